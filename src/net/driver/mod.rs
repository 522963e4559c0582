//! The task behind a [`Link`](super::Link): a loop around the core that knows no protocol.
//!
//! It dials when there is something to do, makes a key when there is none, feeds the session what comes in, writes what the session wants
//! to say, wakes it at its deadlines, and hands its answers to whoever waits. After a loss it comes back with the same session, so that
//! what was asked is asked again under the same identifier and is not done twice.
//!
//! * here: the loop, and what the session reports;
//! * `connect`: how a connection comes about, and what follows its end;
//! * `requests`: what somebody waits for.

mod connect;
mod requests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};

use crate::mtproto::session::{Event as SessionEvent, Reaction, RequestId, Session};
use crate::trace::{Event, Tracer};
use crate::transport::{Frame, TransportError, websocket};

use self::requests::Pending;
use super::backoff::Backoff;
use super::error::{ProtocolError, RequestError};
use super::host::{Host, HostError, Status};
use super::io::Readiness;
use super::key::KeySlot;
use super::link::LinkConfig;
use super::wire::Wire;

/// Delays between attempts: the first within a third of a second, then doubling.
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// The longest delay between attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How often one request is sent again because the server says that the connection has not introduced itself.
const INTRODUCTIONS: u8 = 3;
/// How long a closing connection may take to write its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);
/// Commands taken at once, so that requests made together travel together.
const COMMANDS_PER_WAKE: usize = 64;

/// What users of the link ask of its task.
pub(super) enum Command {
    /// Send a request.
    Request { token: u64, body: Bytes, compress: bool, reply: oneshot::Sender<Result<Bytes, RequestError>> },
    /// Nobody waits for this one any more.
    Cancel { token: u64 },
    /// Stay connected from now on.
    Open,
    /// End.
    Close { done: oneshot::Sender<()> },
}

/// Why a connection is over.
enum End {
    /// The link is closing.
    Closed,
    /// The stream ended or went dead.
    Lost(String),
    /// The server refused below the protocol.
    Refused(TransportError),
    /// The server broke a rule.
    Violation(ProtocolError),
    /// The floor above failed.
    Host(HostError),
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
    session: Option<(Session, i64)>,
    pending: HashMap<u64, Pending>,
    by_request: HashMap<RequestId, u64>,
    /// Requests not yet handed to the session, in order.
    waiting: VecDeque<u64>,
    deadlines: BTreeSet<(Duration, u64)>,
    /// Whether the server has answered an introduction in this session.
    introduced: bool,
    keep_alive: bool,
    outage: Option<Outage>,
    /// Connections since the last answer that ended with a broken rule.
    violations: u32,
    closing: Option<oneshot::Sender<()>>,
    closed: bool,
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
        Self {
            tracer: config.tracer.clone(),
            config,
            key,
            host,
            commands,
            rng,
            backoff,
            session: None,
            pending: HashMap::new(),
            by_request: HashMap::new(),
            waiting: VecDeque::new(),
            deadlines: BTreeSet::new(),
            introduced: false,
            keep_alive: false,
            outage: None,
            violations: 0,
            closing: None,
            closed: false,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.closed {
            if self.pending.is_empty() && !self.keep_alive {
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
            Command::Request { token, body, compress, reply } => {
                let pending = Pending {
                    wrapped: body,
                    prelude: 0,
                    introduces: false,
                    introductions: 0,
                    compress,
                    id: None,
                    deadline: None,
                    reply,
                };
                self.pending.insert(token, pending);
                self.waiting.push_back(token);
            }
            Command::Cancel { token } => self.forget(token),
            Command::Open => self.keep_alive = true,
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
        if let Some((session, _)) = &mut self.session
            && !session.is_connected()
        {
            session.set_tracer(self.tracer.clone());
            session.connection_opened(now);
        }
        self.restart_deadlines(now.mono);
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        loop {
            if let Err(end) = self.advance(io) {
                return end;
            }
            if self.closed {
                return End::Closed;
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
                    Ok(Readiness::Read(0)) => return End::Lost("closed by the server".to_owned()),
                    Ok(Readiness::Read(_)) => {
                        if let Err(end) = self.receive(io) {
                            return end;
                        }
                    }
                    Ok(Readiness::Written) => {}
                    Err(error) => return broken(&error),
                },
                () = &mut timer, if due.is_some() => self.expire(),
                command = self.commands.recv() => match command {
                    Some(command) => self.apply_some(command),
                    None => self.closed = true,
                },
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

    fn next_deadline(&self) -> Option<Duration> {
        let session = self.session.as_ref().and_then(|(session, _)| session.poll_timeout());
        let request = self.deadlines.first().map(|(deadline, _)| *deadline);
        session.into_iter().chain(request).min()
    }

    /// Moves everything that can move without waiting: requests into the session, its events out of it, its frames into the stream.
    fn advance(&mut self, io: &mut Wire) -> Result<(), End> {
        loop {
            self.hand_over();
            let moved = self.handle_events()?;
            let Some((session, _)) = &mut self.session else { return Ok(()) };
            let listening = self.keep_alive || !self.pending.is_empty();
            while let Some(turn) = io.turn(listening) {
                let Some(frame) = turn.poll(session, self.config.clock.now()) else { break };
                io.queue(&frame, session.wants_quick_ack(), &mut self.rng).map_err(End::Violation)?;
            }
            // An event may have led to a request that is sent again.
            if !moved || self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes the frames that have come in whole.
    fn receive(&mut self, io: &mut Wire) -> Result<(), End> {
        while let Some(frame) = io.next_frame().map_err(End::Violation)? {
            match frame {
                Frame::Payload(payload) => {
                    let Some((session, _)) = &mut self.session else { return Ok(()) };
                    match session.handle_input(self.config.clock.now(), payload) {
                        Ok(()) if self.pending.is_empty() => self.recovered(),
                        Ok(()) => {}
                        // A duplicate, for instance: dropped, and reported by the session.
                        Err(error) if error.reaction() == Reaction::Ignore => {}
                        Err(error) => return Err(End::Violation(error.into())),
                    }
                }
                Frame::QuickAck(token) => {
                    if let Some((session, _)) = &mut self.session {
                        session.handle_quick_ack(token);
                    }
                }
                Frame::Error(error) => return Err(End::Refused(error)),
            }
        }
        Ok(())
    }

    /// The server has answered: what was wrong is over. A message alone does not show that while somebody waits: a connection that breaks
    /// each time before the answer would be tried for ever.
    fn recovered(&mut self) {
        self.violations = 0;
        if let Some(outage) = self.outage.take() {
            self.backoff.reset();
            // The first connection of all is no news.
            if outage.attempts > 1 {
                self.host.status(Status::Reconnected { attempts: outage.attempts - 1 });
            }
        }
    }

    /// Hands on what the session reports. Returns whether there was anything.
    fn handle_events(&mut self) -> Result<bool, End> {
        let mut any = false;
        while let Some((session, key_id)) = &mut self.session {
            let Some(event) = session.poll_event() else { break };
            any = true;
            match event {
                SessionEvent::Response { id, result: Ok(body) } => {
                    let Some(pending) = self.by_request.get(&id).copied().and_then(|token| self.take(token)) else { continue };
                    self.introduced |= pending.introduces;
                    self.recovered();
                    let _ = pending.reply.send(Ok(body));
                }
                SessionEvent::Response { id, result: Err(error) } => {
                    let Some(token) = self.by_request.get(&id).copied() else { continue };
                    let Some(mut pending) = self.take(token) else { continue };
                    let uninitialised = error.is("CONNECTION_NOT_INITED") && !self.config.prelude.first.is_empty();
                    if uninitialised && pending.introductions < INTRODUCTIONS {
                        self.introduced = false;
                        pending.introductions += 1;
                        (pending.id, pending.deadline) = (None, None);
                        self.pending.insert(token, pending);
                        self.waiting.push_back(token);
                    } else {
                        self.recovered();
                        let _ = pending.reply.send(Err(RequestError::Rpc(error)));
                    }
                }
                SessionEvent::Failed { id, error } => {
                    let Some(pending) = self.by_request.get(&id).copied().and_then(|token| self.take(token)) else { continue };
                    let _ = pending.reply.send(Err(RequestError::Failed(error)));
                }
                SessionEvent::Update(body) => self.host.update(body),
                SessionEvent::NewSession { .. } | SessionEvent::SessionReset { .. } => {
                    // The server has no memory of this session: it does not know us any more.
                    self.introduced = false;
                    self.host.new_session();
                }
                SessionEvent::SaltsChanged | SessionEvent::TimeOffsetChanged => {
                    let (salts, offset) = (session.salts().to_vec(), session.time_offset(self.config.clock.now()));
                    self.key.learn(*key_id, &salts, offset);
                    self.host.salts_changed(*key_id, &salts, offset);
                }
                SessionEvent::ConnectionDead(cause) => return Err(End::Lost(cause.to_string())),
                // What became of a dropped answer or of another session concerns nobody here; the rest is for the server role.
                _ => {}
            }
        }
        Ok(any)
    }

    /// The stream is over: says goodbye where there is somebody to hear it.
    async fn leave(&mut self, io: &mut Wire, end: &End) {
        let now = self.config.clock.now();
        if let (End::Closed, Some((session, _))) = (end, &mut self.session) {
            session.flush_acks();
            while let Some(frame) = io.turn(false).and_then(|turn| turn.poll(session, now)) {
                if io.queue(&frame, false, &mut self.rng).is_err() {
                    break;
                }
            }
            // A peer that does not take its last bytes in time does without.
            let _ = tokio::time::timeout(GOODBYE, io.finish()).await;
        }
        if let Some((session, _)) = &mut self.session {
            session.connection_lost(self.config.clock.now());
        }
        self.tracer.emit(self.config.clock.now(), || Event::Disconnected { reason: end.to_string() });
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by us"),
            Self::Lost(reason) => f.write_str(reason),
            Self::Refused(error) => error.fmt(f),
            Self::Violation(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
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

fn seed(rng: &mut StdRng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
