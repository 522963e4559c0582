//! A server for the client's tests: both server roles of the core behind in-memory streams, a table of answers, and a log.
//!
//! * `connection`: one connection to it. `keys`: its keys, and what is bound to what.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::handle::Surroundings;
use crate::client::{Client, ClientConfig, DcAddress, DcTable, MemoryPersistence};
use crate::crypto::AuthKey;
use crate::ids::{DcId, MsgId};
use crate::mtproto::session::Session;
use crate::net::{Clock, DialFuture, Dialer, Stream};
use crate::tl::{Identifiable, Serialize};
use crate::trace::Tracer;
use crate::transport::Detector;

mod connection;
mod keys;

pub(crate) use self::keys::{FIRST_CDN, cdn_key_pem};

use self::connection::{Connection, Verdict};
use self::keys::private_key;

/// What the server's wall clock says at the start.
pub(crate) const START: Duration = Duration::from_secs(1_700_000_000);

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) dc: i32,
    pub(crate) key_id: i64,
    /// The permanent key behind it.
    pub(crate) perm: i64,
    pub(crate) session: i64,
    /// The layer and the device model of `initConnection`, when the request carried it.
    pub(crate) introduced: Option<(i32, String)>,
    pub(crate) without_updates: bool,
    pub(crate) method: u32,
    /// How often this method was called on this DC before.
    pub(crate) nth: usize,
    /// Frames that had come over the connection, this one included.
    pub(crate) frames: usize,
    /// The request without the generic calls around it.
    pub(crate) body: Bytes,
}

/// What the server does about a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with these bytes.
    Body(Bytes),
    /// Answers with `rpc_error`.
    Error(i32, &'static str),
    /// Answers, but the connection breaks before the answer is out.
    AnswerAndCut(Bytes),
    /// Answers after a while.
    Later(Duration, Bytes),
    /// Never answers.
    Silence,
}

impl Reply {
    pub(crate) fn of(object: &impl Serialize) -> Self {
        Self::Body(object.to_bytes())
    }
}

type Handler = Box<dyn FnMut(&Call) -> Reply + Send>;

/// What the server knows of a temporary key.
struct Temp {
    expires_at: i64,
    bound_to: Option<i64>,
}

#[derive(Default)]
struct State {
    keys: HashMap<(i32, i64), AuthKey>,
    temps: HashMap<i64, Temp>,
    /// The keys of encrypted messages as they came, and the messages themselves.
    heard: Vec<(i64, Bytes)>,
    bindings: usize,
    keeps_unbound: bool,
    /// How many bindings are refused, and with what.
    refused_bindings: (usize, &'static str),
    /// Answers that take their time.
    later: Vec<(Duration, (i64, i64), MsgId, Bytes)>,
    sessions: HashMap<(i64, i64), Session>,
    calls: Vec<Call>,
    cancelled: usize,
    dials: usize,
    open: usize,
    handshakes: usize,
    /// For each exchange of a temporary key, the DC that it named.
    temp_dcs: Vec<Option<DcId>>,
    refuse_dials: bool,
    refuse_with: Option<i32>,
    talks_garbage: bool,
    cuts_before_answers: bool,
    outstanding: usize,
    most_outstanding: usize,
}

/// The server. [`Way`] leads to it.
pub(crate) struct TestServer {
    state: Mutex<State>,
    handler: Mutex<Handler>,
    rng: Mutex<StdRng>,
    pub(crate) clock: Clock,
    /// Woken to break every connection.
    cut: tokio::sync::Notify,
    /// Woken to look for something to push.
    push: tokio::sync::Notify,
}

impl TestServer {
    /// A client of it.
    pub(crate) async fn client(self: &Arc<Self>, config: ClientConfig) -> Client {
        let surroundings = Surroundings { dialer: Arc::new(Way(Arc::clone(self))), clock: self.clock };
        let store: Arc<MemoryPersistence> = Arc::default();
        Client::connect_through(config, store, Tracer::off(), surroundings).await.unwrap()
    }

    pub(crate) fn new(handler: impl FnMut(&Call) -> Reply + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            handler: Mutex::new(Box::new(handler)),
            rng: Mutex::new(StdRng::from_seed([5; 32])),
            clock: Clock::starting_at(START),
            cut: tokio::sync::Notify::new(),
            push: tokio::sync::Notify::new(),
        })
    }

    /// Three DCs, and the key of all. Without forward secrecy: what that adds has tests of its own.
    pub(crate) fn config() -> ClientConfig {
        let dc = |id: i32| DcAddress {
            id,
            ip: [127, 0, 0, 1].into(),
            port: 4430 + u16::try_from(id).unwrap(),
            media_only: false,
            cdn: false,
            tls_port: None,
        };
        let dcs = DcTable {
            layer: None,
            dcs: [1, 2, 3].map(dc).to_vec(),
            rsa_public_keys: vec![private_key().public().to_pem()],
            test: false,
            web_hosts: std::collections::BTreeMap::new(),
            tls_root: None,
        };
        ClientConfig { seed: Some([1; 32]), pfs: None, ..ClientConfig::new(dcs, 17, "hash") }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// How often a method was executed.
    pub(crate) fn count<R: Identifiable>(&self) -> usize {
        self.calls().iter().filter(|call| call.method == R::ID).count()
    }

    pub(crate) fn dials(&self) -> usize {
        self.state.lock().unwrap().dials
    }

    pub(crate) fn open(&self) -> usize {
        self.state.lock().unwrap().open
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.state.lock().unwrap().handshakes
    }

    pub(crate) fn temp_handshakes(&self) -> usize {
        self.temp_dcs().len()
    }

    pub(crate) fn temp_dcs(&self) -> Vec<Option<DcId>> {
        self.state.lock().unwrap().temp_dcs.clone()
    }

    /// Bindings that were accepted.
    pub(crate) fn bindings(&self) -> usize {
        self.state.lock().unwrap().bindings
    }

    /// Every encrypted message so far: its key, and what it said.
    pub(crate) fn heard(&self) -> Vec<(i64, Bytes)> {
        self.state.lock().unwrap().heard.clone()
    }

    /// Refuses the next bindings.
    pub(crate) fn refuse_bindings(&self, count: usize, error: &'static str) {
        self.state.lock().unwrap().refused_bindings = (count, error);
    }

    /// Forgets at once what a key is bound to.
    pub(crate) fn keep_unbound(&self, keep: bool) {
        self.state.lock().unwrap().keeps_unbound = keep;
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.state.lock().unwrap().cancelled
    }

    pub(crate) fn most_outstanding(&self) -> usize {
        self.state.lock().unwrap().most_outstanding
    }

    pub(crate) fn refuse_dials(&self, refuse: bool) {
        self.state.lock().unwrap().refuse_dials = refuse;
    }

    /// Answers every encrypted message with this transport error.
    pub(crate) fn refuse_with(&self, code: Option<i32>) {
        self.state.lock().unwrap().refuse_with = code;
    }

    /// Sends messages that cannot be opened, in place of answers.
    pub(crate) fn talk_garbage(&self, garbage: bool) {
        self.state.lock().unwrap().talks_garbage = garbage;
    }

    /// Breaks a connection as soon as a request comes over it, after everything else has been said.
    pub(crate) fn cut_before_answers(&self, cut: bool) {
        self.state.lock().unwrap().cuts_before_answers = cut;
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Forgets every session but no key.
    pub(crate) fn forget_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }

    /// Pushes an update over every session of a DC's keys.
    pub(crate) fn push(&self, body: &Bytes) {
        let now = self.clock.now();
        for session in self.state.lock().unwrap().sessions.values_mut() {
            session.push(now, body.clone()).unwrap();
        }
        self.push.notify_waiters();
    }

    /// Accepts TCP connections to DC 2 as well. Returns the address.
    pub(crate) async fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&server).serve(2, stream));
            }
        });
        addr
    }

    async fn serve(self: Arc<Self>, dc: i32, stream: impl Stream) {
        self.state.lock().unwrap().open += 1;
        self.run(dc, stream).await;
        self.state.lock().unwrap().open -= 1;
    }

    async fn run(&self, dc: i32, mut stream: impl Stream) {
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let mut detector = Detector::new();
        let mut connection: Option<Connection> = None;
        loop {
            if connection.is_none() {
                connection = detector.detect(&mut input).unwrap().map(|codec| Connection::new(dc, codec));
            }
            if let Some(connection) = &mut connection {
                let verdict = connection.advance(self, &mut input, &mut output);
                if verdict == Verdict::Cut {
                    return;
                }
                if stream.write_all_buf(&mut output).await.is_err() || verdict == Verdict::End {
                    return;
                }
            }
            let due = connection.as_ref().and_then(|connection| connection.due(self));
            let at = due.map_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3600), |due| self.clock.instant(due));
            tokio::select! {
                read = stream.read_buf(&mut input) => if read.unwrap_or(0) == 0 { return },
                () = self.cut.notified() => return,
                () = self.push.notified() => {}
                () = tokio::time::sleep_until(at) => {}
            }
        }
    }
}

/// The way to a server: port 4430 + n is DC n.
pub(super) struct Way(pub(super) Arc<TestServer>);

impl Dialer for Way {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move {
            let mut state = self.0.state.lock().unwrap();
            state.dials += 1;
            if state.refuse_dials {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            tokio::spawn(Arc::clone(&self.0).serve(i32::from(addr.port()) - 4430, theirs));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}
