//! What a session is made from.

use std::time::Duration;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::salts::FutureSalt;
use crate::{crypto::AuthKey, ids::SessionId, trace::Tracer};

/// The seed of a session's random numbers: session identifiers, padding, low bits of message identifiers. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed(pub [u8; 32]);

impl From<[u8; 32]> for Seed {
    fn from(seed: [u8; 32]) -> Self {
        Self(seed)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A client's session.
pub struct ClientParams {
    /// The key shared with the server.
    pub auth_key: AuthKey,
    /// The session's identifier, drawn at random by the client; the same after a reconnection.
    pub session_id: SessionId,
    /// The salts known, with the time for which each is valid. With none the first message is refused and sent again.
    pub salts: Vec<FutureSalt>,
    /// Server minus local Unix time in seconds, from the key exchange or from an earlier session.
    pub time_offset: i64,
    /// Where events are reported.
    pub tracer: Tracer,
    /// The seed of the session's random numbers; another one for each session.
    pub rng_seed: Seed,
    /// When to ping.
    pub ping: PingPolicy,
    /// What may pile up.
    pub limits: Limits,
}

impl ClientParams {
    /// With no salt, no time offset, no tracer and the default policy.
    pub fn new(auth_key: AuthKey, session_id: SessionId, rng_seed: impl Into<Seed>) -> Self {
        Self {
            auth_key,
            session_id,
            salts: Vec::new(),
            time_offset: 0,
            tracer: Tracer::off(),
            rng_seed: rng_seed.into(),
            ping: PingPolicy::default(),
            limits: Limits::default(),
        }
    }
}

/// A server's side of one session of one client: one for each pair of key and session identifier.
pub struct ServerParams {
    /// The key shared with the client.
    pub auth_key: AuthKey,
    /// The session's identifier, from the client's first message.
    pub session_id: SessionId,
    /// The salts that the client may use. They belong to the key: all sessions of one key have the same.
    pub salts: Vec<FutureSalt>,
    /// Where events are reported.
    pub tracer: Tracer,
    /// The seed of the session's random numbers; another one for each session.
    pub rng_seed: Seed,
    /// What may pile up.
    pub limits: Limits,
}

impl ServerParams {
    /// With no tracer and the default limits.
    pub fn new(auth_key: AuthKey, session_id: SessionId, salts: Vec<FutureSalt>, rng_seed: impl Into<Seed>) -> Self {
        Self { auth_key, session_id, salts, tracer: Tracer::off(), rng_seed: rng_seed.into(), limits: Limits::server() }
    }
}

/// When a client pings. See "Service Messages", Deferred Connection Closure + PING. The last two are for a connection on which no ping has
/// been answered yet; from then on they follow the measured round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingPolicy {
    /// The time from one ping to the next. Half of it after the last one, a ping rides along with whatever is sent.
    pub interval: Duration,
    /// After how long without a further ping the server is asked to close the connection.
    pub disconnect_delay: Duration,
    /// How long after a ping the pong has to come, or the connection is dead; up to four times as long where round trips are slow or while
    /// other messages come.
    pub patience: Duration,
}

/// A ping a minute, and the server keeps the connection for a quarter more: the numbers that the protocol's page proposes.
impl Default for PingPolicy {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), disconnect_delay: Duration::from_secs(75), patience: Duration::from_secs(15) }
    }
}

/// What may pile up, and how long things wait. The defaults suit both roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests at once: unanswered ones of a client, running ones of a server.
    pub requests: usize,
    /// The bytes of the bodies of a client's unanswered requests. A single one may be longer.
    pub request_bytes: usize,
    /// Events that wait to be polled: with more, no frame is taken.
    pub events: usize,
    /// The bytes of events that wait to be polled: with more, no frame is taken.
    pub event_bytes: usize,
    /// The longest body that may be sent, in bytes.
    pub body: usize,
    /// The most that the packed objects of one frame may unpack to, in bytes.
    pub unpacked: usize,
    /// Received messages remembered: the filter against duplicates.
    pub seen: usize,
    /// Requests whose fate a server remembers.
    pub remembered: usize,
    /// Unacknowledged messages that a server keeps for sending again: how many.
    pub kept: usize,
    /// Unacknowledged messages that a server keeps for sending again: their bytes.
    pub kept_bytes: usize,
    /// Messages about messages waiting to be sent.
    pub service_queue: usize,
    /// How often one request is sent again because its message was refused, before it fails.
    pub resends: u32,
    /// The longest an acknowledgement waits for a message to ride along with.
    pub ack_delay: Duration,
    /// How many acknowledgements wait at most.
    pub ack_batch: usize,
    /// How long a client waits for any sign that a request has arrived before it asks.
    pub state_check: Duration,
    /// How long a message waits for others to share its container. Nothing waits behind it: acknowledgements that are due, answers to
    /// service messages, and messages that are sent again take it along at once.
    pub coalesce: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 8192,
            request_bytes: 64 << 20,
            events: 4096,
            event_bytes: 64 << 20,
            body: (16 << 20) - 4096,
            unpacked: 16 << 20,
            seen: 4096,
            remembered: 8192,
            kept: 4096,
            kept_bytes: 64 << 20,
            service_queue: 4096,
            resends: 8,
            ack_delay: Duration::from_secs(30),
            ack_batch: 100,
            state_check: Duration::from_secs(15),
            coalesce: Duration::from_millis(1),
        }
    }
}

impl Limits {
    /// The defaults, but acknowledgements wait for a second only: what a server acknowledges on its own are requests that run long, and
    /// their sender waits to hear that they arrived. Answers wait for nobody.
    pub fn server() -> Self {
        Self { ack_delay: Duration::from_secs(1), coalesce: Duration::ZERO, ..Self::default() }
    }

    /// The most bytes of bodies that a session holds under these limits, whatever its peer and its driver do: requests, events that
    /// wait, what is kept for sending again, messages about messages, and the frame that was taken last with what was packed in it.
    /// What it remembers of each message beside its body (some hundred bytes) is bounded by the numbers of entries.
    ///
    /// [`Session::held_bytes`](super::Session::held_bytes) never exceeds it.
    pub fn most_held_bytes(&self) -> usize {
        let requests = self.request_bytes.max(self.body);
        let kept = self.kept_bytes.saturating_add(self.body);
        // The longest message about messages lists 8192 states.
        let drafts = self.service_queue.saturating_mul(8192 + 64);
        let last_frame = MAX_FRAME.saturating_add(self.unpacked);
        [requests, self.event_bytes, last_frame, kept, drafts].into_iter().fold(0, usize::saturating_add)
    }
}

/// How long a server may hold back the answer to an HTTP request, in the hope of something to say: `http_wait`. On the wire, whole
/// milliseconds. See "Service Messages", HTTP Wait/Long Poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpWait {
    /// The longest time between the first message that waits to be sent and the answer.
    pub max_delay: Duration,
    /// How long after each message another one is waited for.
    pub wait_after: Duration,
    /// The longest time without any message. Beats the other two.
    pub max_wait: Duration,
}

impl HttpWait {
    /// An answer at once, whatever there is to say.
    pub const NONE: Self = Self { max_delay: Duration::ZERO, wait_after: Duration::ZERO, max_wait: Duration::ZERO };
}

/// What a server assumes of a client that does not say.
impl Default for HttpWait {
    fn default() -> Self {
        Self { max_wait: Duration::from_secs(25), ..Self::NONE }
    }
}
/// The longest frame that a transport carries.
const MAX_FRAME: usize = 16 << 20;

/// How a client's request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestOptions {
    /// The method that the trace names: the constructor inside `invokeWithLayer` and the like. 0 for that of the body itself.
    pub method: u32,
    /// Whether to gzip the body if that makes it shorter. Not for file parts: they are compressed already, or should be.
    pub compress: bool,
    /// Whether no other request may share its container: for requests with long answers, like `upload.getFile`, which would otherwise
    /// wait for each other.
    pub alone: bool,
    /// Whether to ask for a quick acknowledgement, where the transport has them: [`Event::QuickAck`](super::Event::QuickAck).
    pub quick_ack: bool,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self { method: 0, compress: true, alone: false, quick_ack: false }
    }
}
