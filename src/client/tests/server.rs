//! A server for the client's tests: both server roles of the core behind in-memory streams, a table of answers, and a log.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::handle::Surroundings;
use crate::client::{Client, ClientConfig, DcAddress, DcTable, MemoryPersistence};
use crate::clock::Now;
use crate::crypto::AuthKey;
use crate::crypto::rsa::PrivateKey;
use crate::ids::{DcId, MsgId, SessionId};
use crate::mtproto::binding::{self, Binding};
use crate::mtproto::envelope::{self, Side};
use crate::mtproto::handshake::KeyKind;
use crate::mtproto::handshake::server::{Config, ServerHandshake, Step};
use crate::mtproto::plain;
use crate::mtproto::session::{Event, FutureSalt, ServerParams, Session};
use crate::net::{Clock, DialFuture, Dialer, Stream};
use crate::tl::api::functions::auth::BindTempAuthKey;
use crate::tl::{Deserialize, Identifiable, RawObject, Serialize, api};
use crate::trace::Tracer;
use crate::transport::{Codec, Detector, Frame};

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

fn private_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut StdRng::from_seed([3; 32])))
}

/// The DCs from this number on are those of a CDN, which have another key.
pub(crate) const FIRST_CDN: i32 = 200;

fn cdn_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(&mut StdRng::from_seed([4; 32])))
}

/// The public key of the CDN's DCs, PEM.
pub(crate) fn cdn_key_pem() -> String {
    cdn_key().public().to_pem()
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

    /// Forgets the temporary keys.
    pub(crate) fn forget_temp_keys(&self) {
        let mut state = self.state.lock().unwrap();
        let temps = std::mem::take(&mut state.temps);
        state.keys.retain(|(_, id), _| !temps.contains_key(id));
        state.sessions.retain(|(id, _), _| !temps.contains_key(id));
    }

    /// Forgets the permanent keys, and what is bound to them.
    pub(crate) fn forget_permanent_keys(&self) {
        let mut state = self.state.lock().unwrap();
        let State { keys, temps, .. } = &mut *state;
        keys.retain(|(_, id), _| temps.contains_key(id));
    }

    /// Forgets what the temporary keys are bound to.
    pub(crate) fn unbind_temp_keys(&self) {
        self.state.lock().unwrap().temps.values_mut().for_each(|temp| temp.bound_to = None);
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

    /// Forgets every auth key and session.
    pub(crate) fn forget_keys(&self) {
        let mut state = self.state.lock().unwrap();
        state.keys.clear();
        state.sessions.clear();
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

    /// The key with an id, as long as it lasts.
    fn key(&self, dc: i32, id: i64) -> Option<AuthKey> {
        let state = self.state.lock().unwrap();
        let ended = state.temps.get(&id).is_some_and(|temp| temp.expires_at <= self.clock.now().unix());
        state.keys.get(&(dc, id)).filter(|_| !ended).cloned()
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

impl State {
    /// The server's part of forward secrecy: binds keys, and answers those that are bound to none.
    fn about_keys(&mut self, dc: i32, (key_id, session): (i64, i64), msg_id: MsgId, body: &Bytes, now: Now) -> Option<Reply> {
        let is_unbound = self.temps.get(&key_id).is_some_and(|temp| temp.bound_to.is_none());
        let Ok(request) = BindTempAuthKey::from_bytes(body.clone()) else {
            return is_unbound.then_some(Reply::Error(401, "AUTH_KEY_PERM_EMPTY"));
        };
        let (left, error) = &mut self.refused_bindings;
        if *left > 0 {
            *left -= 1;
            return Some(Reply::Error(400, error));
        }
        let expected = Binding {
            msg_id,
            nonce: request.nonce,
            temp_auth_key_id: key_id,
            perm_auth_key_id: request.perm_auth_key_id,
            session_id: SessionId(session),
            expires_at: request.expires_at,
        };
        let Some(perm) = self.keys.get(&(dc, request.perm_auth_key_id)) else {
            return Some(Reply::Error(400, "ENCRYPTED_MESSAGE_INVALID"));
        };
        binding::check(perm, &expected, &request.encrypted_message).unwrap();
        let temp = self.temps.get_mut(&key_id).unwrap();
        assert_eq!((temp.expires_at, i64::from(request.expires_at)), (request.expires_at.into(), temp.expires_at));
        assert!(temp.expires_at > now.unix());
        temp.bound_to = (!self.keeps_unbound).then_some(request.perm_auth_key_id);
        self.bindings += 1;
        Some(Reply::of(&true))
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

#[derive(PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// Write what there is, then close.
    End,
    /// Close at once.
    Cut,
}

struct Connection {
    dc: i32,
    codec: Codec,
    handshake: Option<ServerHandshake>,
    /// The sessions whose messages came over it; the last one at the end.
    sessions: Vec<(i64, i64)>,
    frames: usize,
}

impl Connection {
    fn new(dc: i32, codec: Codec) -> Self {
        Self { dc, codec, handshake: None, sessions: Vec::new(), frames: 0 }
    }

    fn due(&self, server: &TestServer) -> Option<Duration> {
        let state = server.state.lock().unwrap();
        let sessions = self.sessions.iter().filter_map(|id| state.sessions.get(id)).filter_map(Session::poll_timeout);
        sessions.chain(state.later.iter().map(|(due, ..)| *due)).min()
    }

    fn advance(&mut self, server: &TestServer, input: &mut BytesMut, output: &mut BytesMut) -> Verdict {
        let now = server.clock.now();
        let mut rng = server.rng.lock().unwrap();
        while let Some(frame) = self.codec.decode(input).unwrap() {
            let Frame::Payload(frame) = frame else { panic!("a client sends payloads") };
            self.frames += 1;
            if plain::is_plain(&frame) {
                self.exchange(server, frame.freeze(), &mut rng, output);
                continue;
            }
            let key_id = envelope::key_id_of(&frame).unwrap();
            if let Some(code) = server.state.lock().unwrap().refuse_with {
                self.codec.encode_error(code, &mut *rng, output).unwrap();
                return Verdict::End;
            }
            let Some(key) = server.key(self.dc, key_id) else {
                self.codec.encode_error(404, &mut *rng, output).unwrap();
                return Verdict::End;
            };
            let opened = envelope::open(&key, Side::Client, frame).unwrap();
            server.state.lock().unwrap().heard.push((key_id, opened.body.clone()));
            let id = (key_id, opened.session_id.0);
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let mut state = server.state.lock().unwrap();
            let session = state.sessions.entry(id).or_insert_with(|| {
                let salts = vec![FutureSalt { since: 0, until: i64::MAX, salt: opened.salt }];
                Session::server(ServerParams::new(key, SessionId(id.1), salts, seed), now)
            });
            if !self.sessions.contains(&id) {
                self.sessions.push(id);
                session.connection_opened(now);
            }
            session.handle_opened(now, opened).unwrap();
            drop(state);
            if server.state.lock().unwrap().cuts_before_answers {
                return Verdict::Cut;
            }
            if self.answer(server, id) == Verdict::Cut {
                return Verdict::Cut;
            }
        }
        let mut state = server.state.lock().unwrap();
        let talks_garbage = state.talks_garbage;
        let due: Vec<_> = state.later.extract_if(.., |(due, id, ..)| *due <= now.mono && self.sessions.contains(id)).collect();
        for (_, id, msg_id, body) in due {
            state.outstanding -= 1;
            if let Some(session) = state.sessions.get_mut(&id) {
                session.respond(now, msg_id, body, true).unwrap();
            }
        }
        for id in &self.sessions {
            let Some(session) = state.sessions.get_mut(id) else { continue };
            session.handle_timeout(now);
            while let Some(mut frame) = session.poll_output(now) {
                if talks_garbage {
                    frame[30..].fill(7);
                }
                self.codec.encode(&frame, &mut *rng, output).unwrap();
            }
        }
        Verdict::GoOn
    }

    fn exchange(&mut self, server: &TestServer, frame: Bytes, rng: &mut StdRng, output: &mut BytesMut) {
        let now = server.clock.now();
        let key = if self.dc < FIRST_CDN { private_key() } else { cdn_key() };
        let config = || Config::new(vec![key.clone()], DcId(self.dc));
        let handshake = self.handshake.take().unwrap_or_else(|| ServerHandshake::new(&config()));
        let answer = match handshake.handle_frame(frame, now, rng, &mut |_| false).unwrap() {
            Step::Send(next, answer) => {
                self.handshake = Some(next);
                answer
            }
            Step::Wait(next) => {
                self.handshake = Some(next);
                return;
            }
            Step::Done(established, answer) => {
                let mut state = server.state.lock().unwrap();
                match established.kind {
                    KeyKind::Permanent => state.handshakes += 1,
                    KeyKind::Temporary { expires_at } => {
                        state.temp_dcs.push(established.dc);
                        state.temps.insert(established.auth_key.id(), Temp { expires_at, bound_to: None });
                    }
                }
                state.keys.insert((self.dc, established.auth_key.id()), established.auth_key);
                answer
            }
            Step::Failed(error, _) => panic!("{error}"),
        };
        self.codec.encode(&answer, rng, output).unwrap();
    }

    /// Executes the requests that the session reports.
    fn answer(&mut self, server: &TestServer, id: (i64, i64)) -> Verdict {
        let now = server.clock.now();
        loop {
            let mut state = server.state.lock().unwrap();
            let Some(event) = state.sessions.get_mut(&id).and_then(Session::poll_event) else { return Verdict::GoOn };
            let (msg_id, body) = match event {
                Event::Request { msg_id, body } => (msg_id, body),
                Event::RequestCancelled { .. } => {
                    state.cancelled += 1;
                    state.outstanding -= 1;
                    continue;
                }
                _ => continue,
            };
            if let Some(reply) = state.about_keys(self.dc, id, msg_id, &body, now) {
                state.outstanding += 1;
                drop(state);
                self.reply(server, id, msg_id, reply, now);
                continue;
            }
            state.outstanding += 1;
            state.most_outstanding = state.most_outstanding.max(state.outstanding);
            let mut call = self.unwrap(id, body);
            call.perm = state.temps.get(&id.0).and_then(|temp| temp.bound_to).unwrap_or(id.0);
            call.nth = state.calls.iter().filter(|old| (old.dc, old.method) == (call.dc, call.method)).count();
            state.calls.push(call.clone());
            drop(state);
            let reply = (server.handler.lock().unwrap())(&call);
            if self.reply(server, id, msg_id, reply, now) == Verdict::Cut {
                return Verdict::Cut;
            }
        }
    }

    fn reply(&self, server: &TestServer, id: (i64, i64), msg_id: MsgId, reply: Reply, now: Now) -> Verdict {
        let mut state = server.state.lock().unwrap();
        let (body, verdict) = match reply {
            Reply::Silence => return Verdict::GoOn,
            Reply::Later(delay, body) => {
                state.later.push((now.mono + delay, id, msg_id, body));
                return Verdict::GoOn;
            }
            Reply::Body(body) => (body, Verdict::GoOn),
            Reply::AnswerAndCut(body) => (body, Verdict::Cut),
            Reply::Error(code, message) => {
                let error = crate::tl::mtproto::types::RpcError { error_code: code, error_message: message.into() };
                (crate::tl::mtproto::enums::RpcError::from(error).to_bytes(), Verdict::GoOn)
            }
        };
        state.outstanding -= 1;
        if let Some(session) = state.sessions.get_mut(&id) {
            session.respond(now, msg_id, body, true).unwrap();
            if verdict == Verdict::Cut {
                session.connection_lost(now);
            }
        }
        verdict
    }

    /// Takes the generic calls off.
    fn unwrap(&self, (key_id, session): (i64, i64), mut body: Bytes) -> Call {
        let (mut introduced, mut without_updates, mut layer) = (None, false, 0);
        loop {
            let method = u32::from_le_bytes(*body.first_chunk().unwrap());
            match method {
                api::functions::InvokeWithLayer::<RawObject>::ID => {
                    let call = api::functions::InvokeWithLayer::<RawObject>::from_bytes(body).unwrap();
                    (layer, body) = (call.layer, call.query.0);
                }
                api::functions::InitConnection::<RawObject>::ID => {
                    let call = api::functions::InitConnection::<RawObject>::from_bytes(body).unwrap();
                    introduced = Some((layer, call.device_model.to_string()));
                    body = call.query.0;
                }
                api::functions::InvokeWithoutUpdates::<RawObject>::ID => {
                    without_updates = true;
                    body = api::functions::InvokeWithoutUpdates::<RawObject>::from_bytes(body).unwrap().query.0;
                }
                _ => {
                    let (dc, frames) = (self.dc, self.frames);
                    return Call {
                        dc,
                        key_id,
                        perm: key_id,
                        session,
                        introduced,
                        without_updates,
                        method,
                        nth: 0,
                        frames,
                        body,
                    };
                }
            }
        }
    }
}
