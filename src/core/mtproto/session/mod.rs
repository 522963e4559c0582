//! A session: encrypted messages between a client and a server, whatever happens to the connections under them. Both roles.
//!
//! * [`params`]: what a session is made from, limits included.
//! * [`event`]: what it tells its driver.
//! * [`error`]: what it refuses, one variant for each rule.
//! * [`salts`]: the server salts of a key.
//! * `client`, `server`: the two roles.
//! * `commands`: what the driver asks for. `http`: what HTTP needs, where a server speaks only when it was asked.
//! * `ahead`: frames that are opened before their turn. `inbound`: checks of received messages. `frame`: frames to be sent. `ledger`: what was
//!   sent in them beside requests and answers. `core`: what both roles share. `service`: service messages on the wire. `acks`, `timer`:
//!   what their names say. `sorted`: a map for keys that rise.
//! * [`recording`]: calls written down, and played again.
//!
//! See "Mobile Protocol: Detailed Description", "Service Messages", "Service Messages about Messages", "Security Guidelines for Client
//! Developers".

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use rand::{Rng, SeedableRng, rngs::StdRng};
use zeroize::Zeroize;

use crate::{
    clock::Now,
    crypto::AuthKey,
    ids::SessionId,
    mtproto::{
        envelope::{self, EnvelopeError, Opened, Side},
        msg_id::{Generator, SeenIds},
        time::ServerClock,
    },
    trace::{self, Tracer, call::Call},
};

mod acks;
mod ahead;
mod behind;
mod client;
mod commands;
mod core;
pub mod error;
pub mod event;
mod footprint;
mod frame;
mod http;
mod inbound;
mod ledger;
pub mod params;
mod query;
pub mod recording;
pub mod salts;
mod server;
pub mod service;
mod sorted;
#[cfg(test)]
mod tests;
mod timer;

pub use self::{
    ahead::{OpenedAhead, Opening},
    behind::{Output, Unsealed},
    client::{Failure, RequestId, Reserved},
    error::{ApiMisuse, PeerMisbehaved, Reaction, SessionError},
    event::{DeathCause, DropOutcome, Event, KeyDestruction},
    footprint::Footprint,
    params::{ClientParams, HttpWait, Limits, PingPolicy, RequestOptions, Seed, ServerParams},
    query::Query,
    salts::{FutureSalt, Salts},
};

use self::{
    acks::Acks,
    client::Client,
    core::{Core, Events},
    frame::{Body, Frame},
    ledger::Ledger,
    recording::{Recorder, outcome},
    server::Server,
    timer::{Timer, TimerTable},
};

/// One session, in the client's or in the server's role. It opens no socket, reads no clock and draws no random number of its own: a
/// driver moves bytes, time and events in and out.
///
/// There are four kinds of methods:
///
/// 1. Getters: [`salts`](Self::salts), [`time_offset`](Self::time_offset), …
/// 2. `handle_*`: what happened outside. [`handle_input`](Self::handle_input) takes one frame from the transport,
///    [`handle_timeout`](Self::handle_timeout) says that time has passed.
/// 3. Commands: [`request`](Self::request), [`cancel`](Self::cancel), [`respond`](Self::respond), [`push`](Self::push),
///    [`connection_lost`](Self::connection_lost), [`connection_opened`](Self::connection_opened), …
/// 4. `poll_*`: what is to happen outside.
///
/// After any number of calls of the second and third kind, poll, in this order:
///
/// 1. [`poll_event`](Self::poll_event) until it returns `None`. Nothing else empties the queue of events, so poll it after each frame.
/// 2. [`poll_output`](Self::poll_output) until it returns `None`, and write each frame whole, in that order. Requests made within
///    [`Limits::coalesce`] of each other travel together in one container: that is why a request may have to wait for the next deadline.
///    A driver whose writes are blocked keeps the frame that it has, and does not poll for another until that is written.
/// 3. [`poll_timeout`](Self::poll_timeout), and call [`handle_timeout`](Self::handle_timeout) when that time has come. A call too early
///    or too often does nothing.
///
/// `now` must not run backwards on its monotonic clock; the wall clock may do as it likes.
///
/// A session begins connected. It outlives its connections: when one ends, call [`connection_lost`](Self::connection_lost); when the
/// next one is open, [`connection_opened`](Self::connection_opened), on the client's side and on the server's. What was under way is
/// then cleared up with the server's help, and nothing is executed twice. Between the two, requests may be made and wait.
///
/// An error of [`handle_input`](Self::handle_input) leaves the session intact and says by [`SessionError::reaction`] whether the
/// connection is to be given up.
///
/// As a client: a request ends with exactly one event, [`Event::Response`] or [`Event::Failed`]. As a server: the host finds the key by
/// [`envelope::key_id_of`], opens the frame with [`envelope::open`], finds or makes the session for
/// [`Opened::session_id`](envelope::Opened::session_id), calls [`handle_opened`](Self::handle_opened), and answers each
/// [`Event::Request`], which comes once whatever the client repeats.
///
/// # Back-pressure
///
/// Everything that a peer or a caller can make grow has a bound in [`Limits`]; [`Limits::most_held_bytes`] is their sum. A caller that makes
/// requests faster than the server answers is refused with [`ApiMisuse::Backlog`] or [`ApiMisuse::BacklogBytes`], a server that pushes
/// faster than the client acknowledges likewise; both may ask before, with [`has_room_for`](Self::has_room_for). A peer that sends
/// faster than events are polled and acknowledgements are written meets a session that
/// [is not ready](Self::is_ready_for_input): the driver stops reading, and the peer's connection fills up.
pub struct Session {
    core: Core,
    role: Role,
    /// The last frame asks for a quick acknowledgement.
    wants_quick_ack: bool,
    /// Writes down each call, if somebody wants to play them again.
    recorder: Option<Box<Recorder>>,
}

#[expect(clippy::large_enum_variant, reason = "one for each session, and never moved")]
enum Role {
    Client(Client),
    Server(Server),
}

impl Session {
    /// A client's session, on a connection that is open.
    pub fn client(params: ClientParams, now: Now) -> Self {
        match Recorder::of(&params.tracer, false, &params.auth_key, params.session_id) {
            Some(recorder) => {
                let call = recording::begin_client(&params);
                recorder.begin(now, call, |tracer| Self::begin_client(params, now, tracer))
            }
            None => {
                let tracer = params.tracer.clone();
                Self::begin_client(params, now, tracer)
            }
        }
    }

    fn begin_client(params: ClientParams, now: Now, tracer: Tracer) -> Self {
        let ClientParams { auth_key, session_id, salts, time_offset, tracer: _, rng_seed, ping, limits } = params;
        let clock = ServerClock::new(now, time_offset);
        let mut core = new_core(auth_key, Side::Client, session_id, now, clock, salts, tracer, &rng_seed, limits);
        core.reported_offset = core.clock.offset(now);
        let mut client = Client::new(ping);
        client.connection_opened(&mut core, now);
        Self { core, role: Role::Client(client), wants_quick_ack: false, recorder: None }
    }

    /// A server's side of a session, on a connection that is open. The client's first message makes it say `new_session_created`.
    pub fn server(params: ServerParams, now: Now) -> Self {
        match Recorder::of(&params.tracer, true, &params.auth_key, params.session_id) {
            Some(recorder) => {
                let call = recording::begin_server(&params);
                recorder.begin(now, call, |tracer| Self::begin_server(params, now, tracer))
            }
            None => {
                let tracer = params.tracer.clone();
                Self::begin_server(params, now, tracer)
            }
        }
    }

    fn begin_server(params: ServerParams, now: Now, tracer: Tracer) -> Self {
        let ServerParams { auth_key, session_id, salts, tracer: _, rng_seed, limits } = params;
        let clock = ServerClock::new(now, 0);
        let mut core = new_core(auth_key, Side::Server, session_id, now, clock, salts, tracer, &rng_seed, limits);
        let unique_id = core.rng.next_u64().cast_signed();
        Self { core, role: Role::Server(Server::new(unique_id)), wants_quick_ack: false, recorder: None }
    }

    /// The session's identifier. It changes only by [`Event::SessionReset`].
    pub fn session_id(&self) -> SessionId {
        self.core.session_id
    }

    /// The identifier of the key.
    pub fn auth_key_id(&self) -> i64 {
        self.core.auth_key.id()
    }

    /// The salts known, for storing.
    pub fn salts(&self) -> &[FutureSalt] {
        self.core.salts.list()
    }

    /// Server minus local Unix time in seconds, for storing.
    pub fn time_offset(&self, now: Now) -> i64 {
        match self.core.side {
            Side::Client => self.core.clock.offset(now),
            Side::Server => 0,
        }
    }

    /// The server's Unix time, as far as it is known.
    pub fn server_time(&self, now: Now) -> std::time::Duration {
        self.core.server_time(now)
    }

    /// Requests that have not ended: made (client), or being worked on (server).
    pub fn pending(&self) -> usize {
        match &self.role {
            Role::Client(client) => client.pending(),
            Role::Server(server) => server.pending(),
        }
    }

    /// Whether a connection is open.
    pub fn is_connected(&self) -> bool {
        self.core.connected
    }

    /// Whether a frame may come in. If not, poll events and write what there is to write first: until then frames are refused with
    /// [`ApiMisuse::NotReady`], and are as if they had been lost.
    pub fn is_ready_for_input(&self) -> bool {
        let (core, limits) = (&self.core, &self.core.limits);
        core.events.len() < limits.events && core.events.bytes() < limits.event_bytes && core.acks.len() < MAX_OWED
    }

    /// Whether a request (client role) or an update (server role) with a body of `len` bytes would be taken.
    pub fn has_room_for(&self, len: usize) -> bool {
        match &self.role {
            Role::Client(client) => client.has_room_for(&self.core, len),
            Role::Server(server) => server.has_room_for(&self.core, len),
        }
    }

    /// Bytes of bodies that the session holds: see [`Limits::most_held_bytes`].
    pub fn held_bytes(&self) -> usize {
        let drafts: usize = self.core.drafts.iter().map(Body::len).sum();
        let of_role = match &self.role {
            Role::Client(client) => client.held_bytes(),
            Role::Server(server) => server.held_bytes(),
        };
        self.core.events.bytes() + drafts + of_role
    }

    /// The round trip, as measured by pings on this connection (client role).
    pub fn rtt(&self) -> Option<std::time::Duration> {
        match &self.role {
            Role::Client(client) => client.rtt(),
            Role::Server(_) => None,
        }
    }

    /// Whether the server may have executed a pending request (client role): before the session is given up for good, this tells which
    /// requests may be made anew elsewhere.
    pub fn may_have_been_executed(&self, id: RequestId) -> bool {
        match &self.role {
            Role::Client(client) => client.may_have_been_executed(id),
            Role::Server(_) => false,
        }
    }

    /// Replaces the tracer: each connection has its own number in the trace.
    pub fn set_tracer(&mut self, tracer: Tracer) {
        self.core.tracer = match self.recorder.take() {
            // One that was not recorded from its beginning cannot be played.
            Some(recorder) if tracer.wants(trace::Layer::Core) => self.recorder.insert(recorder).report_to(tracer),
            _ => tracer,
        };
    }

    /// Takes one encrypted message off the transport, decrypting it in place.
    ///
    /// # Errors
    ///
    /// What was refused, and why; see [`SessionError::reaction`] for what to do.
    pub fn handle_input(&mut self, now: Now, frame: BytesMut) -> Result<(), SessionError> {
        let call = self.recorder.is_some().then(|| Call::Input { frame: Bytes::copy_from_slice(&frame) });
        self.recorded(now, call, |session| session.open(now, frame), outcome::taken)
    }

    fn open(&mut self, now: Now, frame: BytesMut) -> Result<(), SessionError> {
        let (len, key_id) = (frame.len(), envelope::key_id_of(&frame).unwrap_or(0));
        let outcome = envelope::open_with_token(&self.core.auth_key, self.core.side.peer(), frame);
        self.take_in(now, len, key_id, outcome)
    }

    /// Goes on with a frame of `len` bytes under a key after its envelope was opened or refused.
    fn take_in(
        &mut self,
        now: Now,
        len: usize,
        key_id: i64,
        outcome: Result<(Opened, u32), EnvelopeError>,
    ) -> Result<(), SessionError> {
        match outcome {
            Ok((opened, token)) => {
                let token = Some(token).filter(|_| self.core.side == Side::Server);
                self.core.tracer.emit(now, || envelope::traced(key_id, len, Ok((&opened, token))));
                self.receive(now, opened)
            }
            Err(error) => {
                self.core.tracer.emit(now, || envelope::traced(key_id, len, Err(&error)));
                self.core
                    .tracer
                    .emit(now, || trace::Event::CheckFailed { rule: error.rule().into(), detail: error.to_string() });
                Err(error.into())
            }
        }
    }

    /// Takes a message that was opened already: a server has to open it to know which session it is for.
    ///
    /// # Errors
    ///
    /// As [`handle_input`](Self::handle_input).
    pub fn handle_opened(&mut self, now: Now, opened: Opened) -> Result<(), SessionError> {
        let call = self.recorder.is_some().then(|| recording::opened(&opened));
        self.recorded(now, call, |session| session.receive(now, opened), outcome::taken)
    }

    /// Says that time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let call = self.recorder.is_some().then_some(Call::Timeout {});
        self.recorded(now, call, |session| session.let_pass(now), outcome::done);
    }

    fn let_pass(&mut self, now: Now) {
        self.note_clocks(now);
        if self.core.timers.take_expired(Timer::Acks, now.mono) {
            self.core.acks_due = true;
        }
        if self.core.timers.take_expired(Timer::Flush, now.mono) {
            // Whoever cannot write now, or may not, need not be woken for it again.
            self.core.hurry = true;
        }
        match &mut self.role {
            Role::Client(client) => client.handle_timeout(&mut self.core, now),
            Role::Server(server) => server.handle_timeout(&mut self.core, now),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<std::time::Duration> {
        self.core.timers.next()
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        // Nothing happens where there is none.
        let call = (self.recorder.is_some() && self.core.events.len() > 0).then_some(Call::PollEvent {});
        self.recorded(self.core.now, call, |session| session.core.events.pop(), outcome::event)
    }

    /// The next frame to write, if there is any.
    pub fn poll_output(&mut self, now: Now) -> Option<BytesMut> {
        let call = self.recorder.is_some().then_some(Call::PollOutput {});
        self.recorded(now, call, |session| session.next_frame(now), outcome::frame)
    }

    fn next_frame(&mut self, now: Now) -> Option<BytesMut> {
        let frame = self.collect_next(now)?;
        Some(self.seal(now, frame))
    }

    /// What the next frame is to hold, if there is anything to send now.
    fn collect_next(&mut self, now: Now) -> Option<Frame> {
        if !self.core.connected {
            return None;
        }
        if self.waits_for_company(now) {
            return None;
        }
        let mut frame = self.collect(now);
        self.core.fill_acks(now, &mut frame);
        if frame.is_empty() {
            self.core.spare = frame.into_spare();
            self.nothing_left();
            return None;
        }
        Some(frame)
    }

    /// Whether the frame that [`poll_output`](Self::poll_output) returned last is to be sent so that the server acknowledges it at once
    /// ("Quick ack"). A transport that has no such thing sends it as any other.
    pub fn wants_quick_ack(&self) -> bool {
        self.wants_quick_ack
    }

    /// Takes a quick acknowledgement off the transport (client role): [`Event::QuickAck`] for each request in the frame that it is about.
    /// Returns whether it is known which that is. One that is not is no attack: it may be late.
    pub fn handle_quick_ack(&mut self, token: u32) -> bool {
        let call = self.recorder.is_some().then_some(Call::QuickAck { token });
        let take = |session: &mut Self| match &mut session.role {
            Role::Client(client) => client.handle_quick_ack(&mut session.core, token),
            Role::Server(_) => false,
        };
        self.recorded(self.core.now, call, take, outcome::answer)
    }

    /// Whether what there is to send waits a moment longer for what may come.
    fn waits_for_company(&mut self, now: Now) -> bool {
        self.note_clocks(now);
        self.core.timers.waits(Timer::Flush, now.mono) && !self.core.hurry && !self.core.acks_due
    }

    /// Everything is said. What comes next may wait for company again.
    fn nothing_left(&mut self) {
        self.core.hurry = false;
        self.core.timers.stop(Timer::Flush);
    }

    /// What there is to send, acknowledgements aside.
    fn collect(&mut self, now: Now) -> Frame {
        let mut frame = Frame::reusing(std::mem::take(&mut self.core.spare));
        if let Role::Server(server) = &mut self.role {
            // News of a new session goes before what that session answers.
            server.fill_news(&mut self.core, now, &mut frame);
        }
        self.core.fill_drafts(now, &mut frame);
        match &mut self.role {
            Role::Client(client) => client.fill(&mut self.core, now, &mut frame),
            Role::Server(server) => server.fill(&mut self.core, now, &mut frame),
        }
        frame
    }

    fn seal(&mut self, now: Now, mut frame: Frame) -> BytesMut {
        // What found no room does not wait any longer.
        self.core.hurry = true;
        let quick = std::mem::take(&mut frame.quick);
        let (sealed, token) = self.core.seal(now, frame);
        self.wants_quick_ack = !quick.is_empty();
        if let Role::Client(client) = &mut self.role {
            client.wrote(sealed.len());
            if self.wants_quick_ack {
                client.expect_quick_ack(token, quick);
            }
        }
        sealed
    }

    /// Sends what acknowledgements are owed without waiting for company: before a connection is closed for good.
    pub fn flush_acks(&mut self) {
        let call = self.recorder.is_some().then_some(Call::FlushAcks {});
        self.recorded(self.core.now, call, |session| session.core.acks_due = true, outcome::done);
    }

    /// The connection has ended. Nothing is sent until the next one.
    pub fn connection_lost(&mut self, now: Now) {
        let call = self.recorder.is_some().then_some(Call::ConnectionLost {});
        self.recorded(now, call, Self::disconnect, outcome::done);
    }

    fn disconnect(&mut self) {
        self.core.connected = false;
        self.core.timers.stop_all();
        // What is about this connection only, or will be asked again.
        self.core.drafts.clear();
        if let Role::Client(client) = &mut self.role {
            client.connection_lost();
        }
    }

    /// A connection is open, after another one or (needlessly) the first.
    pub fn connection_opened(&mut self, now: Now) {
        let call = self.recorder.is_some().then_some(Call::ConnectionOpened {});
        self.recorded(now, call, |session| session.connect(now), outcome::done);
    }

    fn connect(&mut self, now: Now) {
        if self.core.connected {
            self.disconnect();
        }
        self.core.connected = true;
        self.note_clocks(now);
        self.core.clock.distrust();
        if !self.core.acks.is_empty() {
            self.core.timers.start(Timer::Acks, now.mono.saturating_add(self.core.limits.ack_delay));
        }
        match &mut self.role {
            Role::Client(client) => client.connection_opened(&mut self.core, now),
            Role::Server(server) => server.connection_opened(&mut self.core, now),
        }
    }
}

impl Session {
    /// Runs a call, and writes it down if it is to be. Before as well as after: the call may not return.
    fn recorded<T>(
        &mut self,
        now: Now,
        call: Option<Call>,
        run: impl FnOnce(&mut Self) -> T,
        told: impl FnOnce(&T) -> String,
    ) -> T {
        let Some(call) = call else { return run(self) };
        if let Some(recorder) = &mut self.recorder {
            recorder.enter(now, call);
        }
        let result = run(self);
        if let Some(recorder) = &mut self.recorder {
            recorder.leave(now, told(&result));
        }
        result
    }

    /// Looks whether the machine's clocks have parted. A server's time is its machine's, whatever that does.
    fn note_clocks(&mut self, now: Now) {
        self.core.now = now;
        if let Role::Client(client) = &mut self.role
            && self.core.clock.note(now).is_some()
        {
            client.clock_jumped(&mut self.core);
            self.core.report_offset(now);
        }
    }
}

/// Acknowledgements that may wait to be written, at most, before no further frame is taken.
const MAX_OWED: usize = acks::MAX_IDS;

#[expect(clippy::too_many_arguments, reason = "the fields of the two kinds of parameters")]
fn new_core(
    auth_key: AuthKey,
    side: Side,
    session_id: SessionId,
    now: Now,
    clock: ServerClock,
    salts: Vec<FutureSalt>,
    tracer: Tracer,
    rng_seed: &Seed,
    limits: Limits,
) -> Core {
    let mut seed = rng_seed.0;
    let rng = StdRng::from_seed(seed);
    seed.zeroize();
    Core {
        auth_key,
        side,
        session_id,
        now,
        clock,
        generator: Generator::default(),
        content_sent: 0,
        rng,
        tracer,
        salts: Salts::new(salts),
        seen: SeenIds::new(limits.seen),
        acks: Acks::default(),
        ledger: Ledger::default(),
        timers: TimerTable::default(),
        events: Events::default(),
        limits,
        connected: true,
        drafts: VecDeque::new(),
        spare: Vec::new(),
        acks_due: false,
        hurry: false,
        unpack_left: limits.unpacked,
        reported_offset: 0,
        http_wait: None,
    }
}
