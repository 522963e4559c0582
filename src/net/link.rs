//! One connection, as its users see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use tdl_core::crypto::keylog::KeyLogger;
use tdl_core::crypto::rsa::PublicKey;
use tdl_core::ids::DcId;
use tdl_core::mtproto::session::Query;
use tdl_core::trace::Tracer;
use tdl_core::transport;

use super::clock::Clock;
use super::dial::Dialer;
use super::driver::{Command, Driver};
use super::error::RequestError;
use super::host::Host;
use super::key::KeySlot;
use super::opener::Opener;
use super::order::{Place, Sent};
use super::sealer::Sealer;
use super::temp::{KeyUse, PfsPolicy, TempSlot};

/// What a connection is told.
#[derive(Clone)]
pub struct LinkConfig {
    /// The DC's plain number: for traces and errors.
    pub dc: DcId,
    /// The number that the key exchange and the obfuscated transport write.
    pub wire_dc: DcId,
    /// Where to connect, in the order to try.
    pub addrs: Vec<SocketAddr>,
    /// Envelope and obfuscation; the DC in it is overwritten by `wire_dc`.
    pub transport: transport::Options,
    /// What carries the envelopes.
    pub carrier: transport::Carrier,
    /// Whether requests ask for quick acknowledgements, where the transport has them.
    pub quick_acks: bool,
    /// RSA keys that the server may prove itself with.
    pub rsa_keys: Arc<[PublicKey]>,
    /// How streams are made.
    pub dialer: Arc<dyn Dialer>,
    /// The clock for the core.
    pub clock: Clock,
    /// Who observes.
    pub tracer: Tracer,
    /// The bytes that go in front of requests.
    pub prelude: Prelude,
    /// How long one attempt at one address may take.
    pub dial_timeout: Duration,
    /// How long to go on trying before waiting requests fail; zero for ever.
    pub reconnect_timeout: Duration,
    /// How long a request may go without an answer while connected; zero for ever.
    pub request_timeout: Duration,
    /// Requests on their way at most; further ones wait their turn.
    pub max_in_flight: usize,
    /// Forward secrecy: the traffic is encrypted with a temporary key. `None`: with the permanent one.
    pub pfs: Option<Pfs>,
    /// Who is told of every key before it is used.
    pub key_log: KeyLogger,
    /// Where large messages are opened, together with those of the connections that have the same one.
    pub opener: Arc<Opener>,
    /// Where large messages are encrypted, likewise.
    pub sealer: Arc<Sealer>,
    /// The seed of all random bytes of this connection.
    pub seed: [u8; 32],
}

/// Where a connection's temporary key is kept, and how long one lasts.
#[derive(Clone, Debug)]
pub struct Pfs {
    /// The key, shared by the connections of one kind to one DC.
    pub slot: Arc<TempSlot>,
    /// Which kind that is.
    pub key_use: KeyUse,
    /// How long keys last.
    pub policy: PfsPolicy,
}

/// Bytes in front of each request: the serialized head of a generic call, which the request itself completes.
#[derive(Clone, Default)]
pub struct Prelude {
    /// In front of requests until the first of a session is answered: `invokeWithLayer` and `initConnection`.
    pub first: Bytes,
    /// In front of every request, behind `first`: `invokeWithoutUpdates`, or nothing.
    pub every: Bytes,
    /// A request that makes a new session known, on a connection that is kept for its updates. Empty: none is needed.
    pub hello: Bytes,
    /// The layer that `first` names: for the trace.
    pub layer: i32,
    /// The device that `first` names: for the trace.
    pub device: String,
}

impl Prelude {
    /// The same, for a connection that wants updates, or for one that does not.
    #[must_use]
    pub fn for_link(&self, without_updates: bool) -> Self {
        let (every, hello) =
            if without_updates { (self.every.clone(), Bytes::new()) } else { (Bytes::new(), self.hello.clone()) };
        Self { every, hello, ..self.clone() }
    }
}

/// A handle on one connection. Dropping it closes the connection once what it was asked is answered or given up.
pub struct Link {
    /// Among those of this process.
    number: u64,
    commands: mpsc::UnboundedSender<Command>,
    permits: Arc<Semaphore>,
    capacity: usize,
    tokens: AtomicU64,
}

impl Link {
    /// Starts the connection's task, on the runtime of the caller. It dials when the first request comes.
    pub fn spawn(config: LinkConfig, key: Arc<KeySlot>, host: Arc<dyn Host>) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let capacity = config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        tokio::spawn(Driver::new(config, key, host, receiver).run());
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { number, commands, permits: Arc::new(Semaphore::new(capacity)), capacity, tokens: AtomicU64::new(1) }
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request. `compress`: send it packed if that is shorter.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, body: Bytes, compress: bool) -> Result<Bytes, RequestError> {
        self.request_in(body, compress, None).await
    }

    /// As [`Link::request`], but the server does it only after the one whose place is before this one's, if there is a place. It is an
    /// order, not a condition: when that one has ended, however it ended, this one is free.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request_in(
        &self,
        body: impl Into<Query>,
        compress: bool,
        place: Option<&Place>,
    ) -> Result<Bytes, RequestError> {
        let body = body.into();
        // Before there is leave to send: those that wait must not keep the ones that they wait for from being sent.
        let after = match place {
            Some(place) => place.behind(self.number).await,
            None => None,
        };
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| RequestError::Closed)?;
        let after = after.into_iter().collect();
        let submitted = self.submit(Outgoing { compress, after, ..Outgoing::new(body) })?;
        if let Some(place) = place {
            place.sent(Sent { link: self.number, token: submitted.token() });
        }
        submitted.answer().await
    }

    /// Sends a request at once, in the order of the calls, however many are on their way: whoever calls this keeps count.
    ///
    /// # Errors
    /// [`RequestError::Closed`] if the connection's task has ended.
    pub fn submit(&self, outgoing: Outgoing) -> Result<Submitted, RequestError> {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Request { token, outgoing, reply }).map_err(|_| RequestError::Closed)?;
        Ok(Submitted { guard: CancelOnDrop { commands: Some(self.commands.clone()), token }, answer })
    }

    /// Requests on their way.
    pub fn in_flight(&self) -> usize {
        self.capacity - self.permits.available_permits()
    }

    /// Asks the connection to stay, and to come back after a loss, although no request waits.
    pub fn open(&self) {
        // A task that has ended cannot be asked; the next request will say so.
        let _ = self.commands.send(Command::Open);
    }

    /// Lets the connection go once nobody waits for an answer. The session stays: the next request, or [`open`](Self::open), goes on in it.
    pub fn rest(&self) {
        let _ = self.commands.send(Command::Rest);
    }

    /// Writes what is left to be said (acknowledgements), closes the connection and ends its task. Requests under way fail.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Close { done }).is_ok() {
            // An error means that the task has ended, which is what we wait for.
            let _ = ended.await;
        }
    }
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The serialized method, without the connection's prelude.
    pub body: Query,
    /// Whether to send it packed if that is shorter. Default yes.
    pub compress: bool,
    /// The method that the trace names and that says what kind of answer to expect; 0, the default, for what the body begins with.
    pub method: u32,
    /// Requests that the server has to have done first (`invokeAfterMsg`), by [`Submitted::token`]. Those that have ended already are no
    /// obstacle.
    pub after: Vec<u64>,
}

impl Outgoing {
    /// A request with the defaults.
    pub fn new(body: impl Into<Query>) -> Self {
        Self { body: body.into(), compress: true, method: 0, after: Vec::new() }
    }
}

/// A request on its way. Dropped, it is cancelled.
pub struct Submitted {
    guard: CancelOnDrop,
    answer: oneshot::Receiver<Result<Bytes, RequestError>>,
}

impl Submitted {
    /// The request's name on its connection, for [`Outgoing::after`].
    pub fn token(&self) -> u64 {
        self.guard.token
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn answer(mut self) -> Result<Bytes, RequestError> {
        let answer = (&mut self.answer).await;
        self.guard.commands = None;
        answer.unwrap_or(Err(RequestError::Closed))
    }
}

/// Tells the task when nobody waits any more.
struct CancelOnDrop {
    commands: Option<mpsc::UnboundedSender<Command>>,
    token: u64,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(Command::Cancel { token: self.token });
        }
    }
}
