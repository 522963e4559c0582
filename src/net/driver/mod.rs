//! The task behind a [`Link`](super::Link): a loop around the core that knows no protocol.
//!
//! It dials when there is something to do, makes a key when there is none, feeds the session what comes in, writes what the session wants
//! to say, wakes it at its deadlines, and hands its answers to whoever waits. After a loss it comes back with the same session, so that
//! what was asked is asked again under the same identifier and is not done twice.
//!
//! * here: the loop, and what the sessions report;
//! * `connect`: how a connection comes about, and what follows its end;
//! * `pfs`: temporary keys: making one, renewing it while traffic goes on, and what to do about one that the server will not take;
//! * `receive`: what has come in, opened side by side where several frames came together;
//! * `refusals`: what follows when the way is barred;
//! * `requests`: what somebody waits for;
//! * `send`: what goes out, encrypted side by side with what goes out elsewhere;
//! * `sessions`: the session in use, and those before it that still wait for answers.

mod connect;
mod pfs;
mod receive;
mod refusals;
mod requests;
mod send;
mod sessions;

pub use self::connect::next_connection;
pub(super) use self::connect::{draw_session_id, opening};

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot, watch};

use tdl_core::mtproto::rpc_error::RpcError;
use tdl_core::mtproto::session::{Event as SessionEvent, RequestId};
use tdl_core::trace::{Event, Tracer};
use tdl_core::transport::{TransportError, websocket};

use self::pfs::Renewal;
use self::receive::Held;
use self::refusals::{FIRST_FLOOD_DELAY, LONGEST_FLOOD_DELAY};
use self::requests::Pending;
use self::send::Sealing;
use self::sessions::Active;
use super::backoff::Backoff;
use super::error::{NetError, ProtocolError, RequestError};
use super::host::{Host, HostError, Status};
use super::io::Readiness;
use super::key::KeySlot;
use super::link::{LinkConfig, Outgoing};
use super::opener::Arriving;
use super::wire::Wire;

/// Delays between attempts: the first within a third of a second, then doubling.
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// The longest delay between attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How often one request is sent again because the server says that it has not executed it: the connection had not introduced itself,
/// or its key was bound to none.
const REPETITIONS: u8 = 3;
/// How long a closing connection may take to write its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);
/// Commands taken at once, so that requests made together travel together.
const COMMANDS_PER_WAKE: usize = 64;

/// What users of the link ask of its task.
pub(super) enum Command {
    /// Send a request.
    Request { token: u64, outgoing: Outgoing, reply: oneshot::Sender<Result<Bytes, RequestError>> },
    /// Nobody waits for this one any more.
    Cancel { token: u64 },
    /// Stay connected from now on.
    Open,
    /// Stay connected only as long as somebody waits for an answer.
    Rest,
    /// End.
    Close { done: oneshot::Sender<()> },
}

/// Why a connection is over.
enum End {
    /// The link is closing.
    Closed,
    /// Nobody waits for anything, and nobody wants it to stay.
    Rested,
    /// The stream ended or went dead.
    Lost(String),
    /// The server refused below the protocol.
    Refused(TransportError),
    /// The server broke a rule.
    Violation(ProtocolError),
    /// The floor above failed.
    Host(HostError),
    /// The temporary key has ended, or is bound to nothing any more: another one is needed.
    Rekey,
    /// The server will not bind a temporary key.
    Unbound(RpcError),
    /// Somebody is there who does not let us through, or is not who it should be, and would be neither later.
    Barred(NetError),
}

/// The time since a connection was lost, or first wanted, until the next answer.
struct Outage {
    since: Duration,
    attempts: u32,
}

pub(super) struct Driver {
    config: LinkConfig,
    tracer: Tracer,
    key: Arc<KeySlot>,
    host: Arc<dyn Host>,
    commands: mpsc::UnboundedReceiver<Command>,
    rng: StdRng,
    backoff: Backoff,
    /// The session that requests go to.
    session: Option<Active>,
    /// Sessions under keys that have been renewed, which wait for their last answers; the oldest first.
    draining: VecDeque<Active>,
    /// Keys of sessions that are over: what still comes under them is late.
    retired: VecDeque<i64>,
    /// Whether a session ended on this connection with something written under its key: the server's word against a key may be about
    /// that one.
    parted: bool,
    /// Sessions so far.
    serials: u64,
    /// Connections so far.
    connections: u64,
    /// Delays after transport error 429.
    flood: Backoff,
    /// Where the connection leads, until something has come back over it.
    unproven: Option<SocketAddr>,
    pending: HashMap<u64, Pending>,
    by_request: HashMap<(u64, RequestId), u64>,
    /// Requests not yet handed to the session, in order.
    waiting: VecDeque<u64>,
    deadlines: BTreeSet<(Duration, u64)>,
    /// Tells when the temporary key is another one.
    changes: Option<watch::Receiver<u64>>,
    /// The making of the next temporary key.
    renewal: Option<Renewal>,
    /// Not sooner than this on the monotonic clock: the last attempt failed.
    renew_after: Duration,
    /// Spreads renewals: the same number for this connection's whole life.
    jitter: u32,
    /// Bindings in a row that the server has refused.
    refusals: u32,
    keep_alive: bool,
    /// Whether the connection is to go as soon as nobody waits for an answer.
    resting: bool,
    /// Whether nothing is tried before the next request, not even to stay connected.
    gave_up: bool,
    outage: Option<Outage>,
    /// Connections since the last answer that ended with a broken rule.
    violations: u32,
    closing: Option<oneshot::Sender<()>>,
    closed: bool,
    /// Frames that wait to be opened with those of other connections.
    held: Option<Held>,
    /// Says to those that a large frame is expected here.
    arriving: Option<Arriving>,
    /// A frame that is being encrypted with those of other connections.
    sealing: Option<Sealing>,
}

impl Driver {
    pub(super) fn new(
        config: LinkConfig,
        key: Arc<KeySlot>,
        host: Arc<dyn Host>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let mut rng = StdRng::from_seed(config.seed);
        let backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY, seed(&mut rng));
        let jitter = rng.next_u32();
        let changes = config.pfs.as_ref().map(|pfs| pfs.slot.changes());
        let flood = Backoff::new(FIRST_FLOOD_DELAY, LONGEST_FLOOD_DELAY, seed(&mut rng));
        Self {
            tracer: config.tracer.clone(),
            config,
            key,
            host,
            commands,
            rng,
            backoff,
            flood,
            unproven: None,
            session: None,
            draining: VecDeque::new(),
            retired: VecDeque::new(),
            parted: false,
            serials: 0,
            connections: 0,
            pending: HashMap::new(),
            by_request: HashMap::new(),
            waiting: VecDeque::new(),
            deadlines: BTreeSet::new(),
            changes,
            renewal: None,
            renew_after: Duration::ZERO,
            jitter,
            refusals: 0,
            keep_alive: false,
            resting: false,
            gave_up: false,
            outage: None,
            violations: 0,
            closing: None,
            closed: false,
            held: None,
            arriving: None,
            sealing: None,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.closed {
            if self.pending.is_empty() && (!self.keep_alive || self.gave_up) {
                self.outage = None;
                match self.commands.recv().await {
                    Some(command) => self.apply(command),
                    None => return,
                }
                continue;
            }
            let end = match self.connect().await {
                Ok(mut io) => {
                    let end = self.serve(&mut io).await;
                    self.leave(&mut io, &end).await;
                    end
                }
                Err(end) => end,
            };
            self.recover(end).await;
        }
    }

    /// Takes a command. Those who wait learn of the end when their channels are dropped.
    fn apply(&mut self, command: Command) {
        match command {
            Command::Request { token, outgoing, reply } => {
                self.pending.insert(token, Pending::new(outgoing, reply));
                self.waiting.push_back(token);
                self.gave_up = false;
            }
            Command::Cancel { token } => self.forget(token),
            Command::Open => (self.keep_alive, self.resting) = (true, false),
            Command::Rest => (self.keep_alive, self.resting) = (false, true),
            Command::Close { done } => {
                self.closing = Some(done);
                self.closed = true;
            }
        }
    }

    /// Waits for `future` while taking commands. `None`: the link closes, or nobody waits any more.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return Some(output),
                command = self.commands.recv() => {
                    match command {
                        Some(command) => self.apply(command),
                        None => self.closed = true,
                    }
                    if self.closed || (self.pending.is_empty() && !self.keep_alive) {
                        return None;
                    }
                }
            }
        }
    }

    /// The connection's life: until it is lost, broken, or not wanted any more.
    async fn serve(&mut self, io: &mut Wire) -> End {
        let now = self.config.clock.now();
        for active in self.session.iter_mut().chain(&mut self.draining).filter(|active| !active.session.is_connected()) {
            active.session.set_tracer(self.tracer.clone());
            active.session.connection_opened(now);
            active.heard = false;
        }
        self.parted = false;
        self.switch();
        self.restart_deadlines(now.mono);
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        loop {
            if let Err(end) = self.advance(io) {
                // What has come in meanwhile is given to those who wait for it, if it can be.
                let _ = self.settle(io).await;
                return end;
            }
            if self.closed {
                return End::Closed;
            }
            if self.resting && self.pending.is_empty() && self.held.is_none() {
                return End::Rested;
            }
            let due = self.next_deadline();
            if let Some(due) = due {
                let at = self.config.clock.instant(due);
                if timer.deadline() != at {
                    timer.as_mut().reset(at);
                }
            }
            tokio::select! {
                ready = io.ready() => match ready {
                    Ok(Readiness::Read(0)) => {
                        let closed = End::Lost("closed by the server".to_owned());
                        return self.settle(io).await.err().unwrap_or(closed);
                    }
                    Ok(Readiness::Read(_)) => {
                        if let Err(end) = self.receive(io) {
                            return end;
                        }
                    }
                    Ok(Readiness::Written) => {}
                    Err(error) => return self.settle(io).await.err().unwrap_or_else(|| broken(&error)),
                },
                frame = send::sealed(&mut self.sealing) => if let Err(end) = self.write_sealed(io, frame) {
                    return self.settle(io).await.err().unwrap_or(end);
                },
                opened = receive::opened(&mut self.held) => if let Err(end) = self.go_on(io, opened) {
                    return end;
                },
                () = &mut timer, if due.is_some() => {
                    // What has come in counts before anybody is told that it has not.
                    let settled = if self.is_decisive() { self.settle(io).await } else { Ok(()) };
                    if let Err(end) = settled.and_then(|()| self.expire()) {
                        return end;
                    }
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.apply_some(command),
                    None => self.closed = true,
                },
                () = pfs::changed(&mut self.changes) => self.switch(),
                outcome = pfs::finished(&mut self.renewal) => self.renewed(outcome),
            }
        }
    }

    /// Takes a command and those right behind it.
    fn apply_some(&mut self, first: Command) {
        self.apply(first);
        for _ in 1..COMMANDS_PER_WAKE {
            match self.commands.try_recv() {
                Ok(command) => self.apply(command),
                Err(_) => break,
            }
        }
    }

    /// Whether it is time to open what is held: it has waited long enough, or somebody's time is over.
    fn is_decisive(&self) -> bool {
        let now = self.config.clock.now().mono;
        let held = self.held.as_ref().map(|held| held.until);
        let request = self.deadlines.first().map(|(deadline, _)| *deadline);
        held.into_iter().chain(request).chain(self.key_deadline()).any(|due| due <= now)
    }

    fn next_deadline(&self) -> Option<Duration> {
        let sessions = self.session.iter().chain(&self.draining).filter_map(|active| active.session.poll_timeout());
        let request = self.deadlines.first().map(|(deadline, _)| *deadline);
        let held = self.held.as_ref().map(|held| held.until);
        sessions.chain(request).chain(self.key_deadline()).chain(held).min()
    }

    /// Moves everything that can move without waiting: requests into the session, events out of the sessions, frames into the stream.
    fn advance(&mut self, io: &mut Wire) -> Result<(), End> {
        loop {
            self.hand_over();
            let moved = self.handle_events()?;
            let now = self.config.clock.now();
            let (wanted, covering) = (self.keep_alive || !self.pending.is_empty(), self.is_covering());
            self.write_current(io, wanted, now)?;
            let sealing = self.sealing.as_ref().map(|sealing| sealing.serial);
            for active in self.draining.iter_mut().filter(|active| Some(active.serial) != sealing) {
                let listening = covering || active.session.pending() > 0;
                Self::write(io, active, listening, now, &mut self.rng)?;
            }
            self.retire_drained(io)?;
            // An event may have led to a request that is sent again.
            if !moved || self.waiting.is_empty() {
                self.note_arriving(io);
                return Ok(());
            }
        }
    }

    /// The server has answered: what was wrong is over. A message alone does not show that while somebody waits: a connection that breaks
    /// each time before the answer would be tried for ever.
    fn recovered(&mut self) {
        self.violations = 0;
        self.note_answer();
        if let Some(outage) = self.outage.take() {
            self.backoff.reset();
            // The first connection of all is no news.
            if outage.attempts > 1 {
                self.host.status(Status::Reconnected { attempts: outage.attempts - 1 });
            }
        }
    }

    /// Hands on what the sessions report. Returns whether there was anything.
    fn handle_events(&mut self) -> Result<bool, End> {
        let mut any = false;
        while let Some((serial, event)) = self.next_event() {
            any = true;
            match event {
                SessionEvent::Response { id, result: Ok(body) } => {
                    let Some(pending) = self.by_request.get(&(serial, id)).copied().and_then(|token| self.take(token)) else {
                        continue;
                    };
                    if pending.introduces
                        && let Some(active) = self.active(serial)
                    {
                        active.introduced = true;
                    }
                    self.recovered();
                    let _ = pending.reply.send(Ok(body));
                }
                SessionEvent::Response { id, result: Err(error) } => self.handle_refusal(serial, id, error)?,
                SessionEvent::Failed { id, error } => {
                    let Some(pending) = self.by_request.get(&(serial, id)).copied().and_then(|token| self.take(token)) else {
                        continue;
                    };
                    let _ = pending.reply.send(Err(RequestError::Failed(error)));
                }
                // Once the session in use has made itself known, it brings them all.
                SessionEvent::Update(body) if self.is_current(serial) || !self.is_introduced() => self.host.update(body),
                SessionEvent::NewSession { .. } | SessionEvent::SessionReset { .. } => {
                    // The server has no memory of this session: it does not know us any more.
                    if let Some(active) = self.active(serial) {
                        active.introduced = false;
                    }
                    self.host.new_session();
                }
                SessionEvent::SaltsChanged | SessionEvent::TimeOffsetChanged => self.learn(serial),
                SessionEvent::ConnectionDead(cause) => return Err(End::Lost(cause.to_string())),
                // What became of a dropped answer or of another session concerns nobody here; the rest is for the server role.
                _ => {}
            }
        }
        Ok(any)
    }

    /// A request was answered with an error: most are for the caller, some for us.
    fn handle_refusal(&mut self, serial: u64, id: RequestId, error: RpcError) -> Result<(), End> {
        let Some(token) = self.by_request.get(&(serial, id)).copied() else { return Ok(()) };
        let Some(mut pending) = self.take(token) else { return Ok(()) };
        let uninitialised = error.is("CONNECTION_NOT_INITED") && !self.config.prelude.first.is_empty();
        // The key has lost what it was bound to; nothing was executed.
        let unbound = error.is("AUTH_KEY_PERM_EMPTY") && self.config.pfs.is_some();
        if (uninitialised || unbound) && pending.repetitions < REPETITIONS {
            if let Some(active) = self.active(serial) {
                active.introduced = false;
            }
            pending.repetitions += 1;
            (pending.id, pending.deadline) = (None, None);
            self.pending.insert(token, pending);
            self.waiting.push_back(token);
            return if unbound && self.is_current(serial) { Err(End::Rekey) } else { Ok(()) };
        }
        self.recovered();
        let _ = pending.reply.send(Err(RequestError::Rpc(error)));
        Ok(())
    }

    /// The stream is over: says goodbye where there is somebody to hear it.
    async fn leave(&mut self, io: &mut Wire, end: &End) {
        let now = self.config.clock.now();
        (self.held, self.arriving, self.sealing) = (None, None, None);
        if matches!(end, End::Closed | End::Rested) {
            for active in self.session.iter_mut().chain(&mut self.draining) {
                active.session.flush_acks();
                while let Some(frame) = io.turn(false, active.key_id).and_then(|turn| turn.poll(&mut active.session, now)) {
                    if io.queue(&frame, false, &mut self.rng).is_err() {
                        break;
                    }
                }
            }
            // A peer that does not take its last bytes in time does without.
            let _ = tokio::time::timeout(GOODBYE, io.finish()).await;
        }
        for active in self.session.iter_mut().chain(&mut self.draining) {
            active.session.connection_lost(self.config.clock.now());
        }
        self.tracer.emit(self.config.clock.now(), || Event::Disconnected { reason: end.to_string() });
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by us"),
            Self::Rested => f.write_str("closed by us: nobody waits for anything"),
            Self::Lost(reason) => f.write_str(reason),
            Self::Refused(error) => error.fmt(f),
            Self::Violation(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Rekey => f.write_str("another temporary key is needed"),
            Self::Unbound(error) => write!(f, "the server does not bind a temporary key: {error}"),
            Self::Barred(error) => error.fmt(f),
        }
    }
}

/// A stream that fails is lost, unless it fails because the peer broke a rule of what the stream is inside of.
fn broken(error: &std::io::Error) -> End {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<websocket::Error>()) {
        Some(error) => End::Violation((*error).into()),
        None => End::Lost(error.to_string()),
    }
}

pub(super) fn seed(rng: &mut StdRng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
