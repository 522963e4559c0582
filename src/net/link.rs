//! One connection, as its users see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::crypto::keylog::KeyLogger;
use crate::crypto::rsa::PublicKey;
use crate::ids::DcId;
use crate::trace::Tracer;
use crate::transport;

use super::clock::Clock;
use super::dial::Dialer;
use super::driver::{Command, Driver};
use super::error::RequestError;
use super::host::Host;
use super::key::KeySlot;
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
        Self { commands, permits: Arc::new(Semaphore::new(capacity)), capacity, tokens: AtomicU64::new(1) }
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request. `compress`: send it packed if that is shorter.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(&self, body: Bytes, compress: bool) -> Result<Bytes, RequestError> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| RequestError::Closed)?;
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Request { token, body, compress, reply }).map_err(|_| RequestError::Closed)?;
        let mut guard = CancelOnDrop { commands: Some(&self.commands), token };
        let answer = answer.await;
        guard.commands = None;
        answer.unwrap_or(Err(RequestError::Closed))
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

    /// Writes what is left to be said (acknowledgements), closes the connection and ends its task. Requests under way fail.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Close { done }).is_ok() {
            // An error means that the task has ended, which is what we wait for.
            let _ = ended.await;
        }
    }
}

/// Tells the task when nobody waits any more.
struct CancelOnDrop<'a> {
    commands: Option<&'a mpsc::UnboundedSender<Command>>,
    token: u64,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(commands) = self.commands {
            let _ = commands.send(Command::Cancel { token: self.token });
        }
    }
}
