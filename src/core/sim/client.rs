//! A client of a simulated world: the real codec, key exchange and session, and the least of a driver around them.
//!
//! The driver does what any driver has to do: it dials, makes a key when there is none, moves bytes, wakes the session, closes the
//! connection when the session's error says so, and comes back after a pause. It knows nothing of messages.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;

use super::{
    Options, Sabotage,
    body::{self, Asked},
    dice::Dice,
    fault::{Fault, Faults},
    machine::Machine,
    oracle::End,
    server::{self, Server},
    world::{Event, World},
};
use crate::{
    clock::Now,
    crypto::AuthKey,
    ids::{DcId, SessionId},
    mtproto::{
        envelope::Side,
        handshake::{
            ClientHandshake, Mode,
            client::{Config, Step},
        },
        session::{
            ClientParams, Event as SessionEvent, FutureSalt, Limits, PingPolicy, Reaction, RequestId, RequestOptions, Session,
        },
    },
    transport::{self, Codec, Frame, Kind, TransportError},
};

/// The pause before a new connection: it doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The least pause after transport error 429.
const FLOOD_PAUSE: Duration = Duration::from_secs(5);

/// How long a key exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many times in a row the server has to say that it does not know the key: anybody can say it once.
const BELIEVE_404: u32 = 3;

/// What a client knows of its key.
#[derive(Clone)]
pub(super) struct Material {
    pub(super) auth_key: AuthKey,
    pub(super) salts: Vec<FutureSalt>,
    pub(super) time_offset: i64,
}

enum Link {
    Down,
    Dialling(u32),
    Exchanging(Stream, Option<ClientHandshake>),
    Up(Stream),
}

struct Stream {
    conn: u32,
    codec: Codec,
    input: BytesMut,
}

pub(super) struct Client {
    pub(super) machine: Machine,
    /// It sleeps until then.
    pub(super) asleep: Option<Duration>,
    slept_from: Duration,
    pub(super) key: Option<Material>,
    pub(super) session: Option<Session>,
    link: Link,
    transport: transport::Options,
    /// Each connection has another transport.
    restless: bool,
    rng: StdRng,
    ping: PingPolicy,
    pub(super) limits: Limits,
    /// Requests that wait for a session.
    waiting: VecDeque<u64>,
    /// Every request of the session, ended ones too: one that ends again is to be noticed.
    by_request: BTreeMap<RequestId, u64>,
    open: BTreeSet<RequestId>,
    numbers: u64,
    pub(super) updates: u64,
    pause: Duration,
    /// Which pause is the current one.
    token: u64,
    unknown_key: u32,
}

impl Client {
    pub(super) fn draw(index: usize, dice: &mut Dice, faults: &mut Faults, server: &mut Server, options: &Options) -> Self {
        let (drift, offset) = match faults.has(Fault::Drift) {
            true => (dice.within(0, 40_000).cast_signed() - 20_000, dice.within(0, 200_000).cast_signed() - 100_000),
            false => (0, 0),
        };
        if faults.has(Fault::Drift) {
            faults.planned(Fault::Drift);
        }
        let machine = Machine::new(drift, offset);
        let key = match dice.chance(options.exchanges) {
            true => None,
            // Half of the time several sessions share one key.
            false => Some(server.cached_key(if dice.below(2) == 0 { 0 } else { index }, dice)),
        };
        Self {
            machine,
            asleep: None,
            slept_from: Duration::ZERO,
            key,
            session: None,
            link: Link::Down,
            transport: draw_transport(dice),
            restless: dice.chance(3000),
            rng: rand::SeedableRng::from_seed(dice.seed()),
            ping: match dice.below(4) {
                0 => PingPolicy {
                    interval: Duration::from_secs(10),
                    disconnect_delay: Duration::from_secs(25),
                    patience: Duration::from_secs(5),
                },
                _ => PingPolicy::default(),
            },
            limits: Limits { requests: dice.pick([8, 64, 8192]), ..draw_limits(dice, Limits::default()) },
            waiting: VecDeque::new(),
            by_request: BTreeMap::new(),
            open: BTreeSet::new(),
            numbers: 0,
            updates: 0,
            pause: FIRST_PAUSE,
            token: 0,
            unknown_key: 0,
        }
    }

    pub(super) fn now(&self, world: Duration) -> Now {
        self.machine.now(world)
    }

    /// When the session wants to be woken, in the world's time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.asleep.is_some() {
            return None;
        }
        self.session.as_ref()?.poll_timeout().map(|mono| self.machine.when(mono))
    }

    /// The codec of a connection, if it is this client's current one.
    pub(super) fn codec_of(&mut self, conn: u32) -> Option<(&mut Codec, &mut StdRng)> {
        match &mut self.link {
            Link::Up(stream) | Link::Exchanging(stream, _) if stream.conn == conn => Some((&mut stream.codec, &mut self.rng)),
            _ => None,
        }
    }

    pub(super) fn pending_numbers(&self) -> VecDeque<u64> {
        self.open.iter().filter_map(|id| self.by_request.get(id)).copied().collect()
    }

    fn conn(&self) -> Option<u32> {
        match &self.link {
            Link::Down => None,
            Link::Dialling(conn) => Some(*conn),
            Link::Exchanging(stream, _) | Link::Up(stream) => Some(stream.conn),
        }
    }
}

fn draw_transport(dice: &mut Dice) -> transport::Options {
    let kind = dice.pick(Kind::ALL);
    transport::Options { kind, obfuscated: dice.below(4) == 0, dc: DcId(server::DC) }
}

/// Mostly the defaults; sometimes so small that every bound is reached that can be reached in good faith. What the other side may have
/// under way at once is not among those: a server that admits less than its clients ask can only turn them away.
pub(super) fn draw_limits(dice: &mut Dice, limits: Limits) -> Limits {
    let limits = Limits { unpacked: 256 << 10, ..limits };
    if dice.below(3) > 0 {
        return limits;
    }
    Limits {
        seen: dice.pick([512, 1024]),
        remembered: dice.pick([128, 512]),
        kept: dice.pick([64, 256]),
        service_queue: dice.pick([64, 256]),
        resends: dice.pick([2, 4, 8]),
        ack_batch: dice.pick([1, 8, 100]),
        ..limits
    }
}

/// Most bodies are short. Some are long enough to be packed, few so long that they travel alone.
fn draw_len(dice: &mut Dice) -> usize {
    let most = match dice.below(400) {
        0 => 40_000,
        1..16 => 3_000,
        _ => 160,
    };
    dice.index(most)
}

impl World {
    // Connections.

    pub(super) fn redial(&mut self, client: usize, token: u64) {
        let found = &mut self.clients[client];
        if token != found.token || !matches!(found.link, Link::Down) {
            return;
        }
        if found.restless {
            found.transport = draw_transport(&mut self.dice);
        }
        let conn = self.connect(client);
        self.clients[client].link = Link::Dialling(conn);
    }

    pub(super) fn dial_failed(&mut self, conn: u32) {
        let Some(client) = self.conns.remove(&conn).map(|conn| conn.client) else { return };
        self.note(|| format!("client {client}: conn {conn} was not accepted"));
        self.client_lost(client, conn, "not accepted");
    }

    pub(super) fn dialled(&mut self, conn: u32) {
        let Some(client) = self.conns.get(&conn).map(|conn| conn.client) else { return };
        let Link::Dialling(dialling) = self.clients[client].link else { return };
        if dialling != conn {
            return;
        }
        self.figures.connections += 1;
        self.server.accept(conn, client);
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let codec = Codec::client(&found.transport, &mut found.rng);
        let stream = Stream { conn, codec, input: BytesMut::new() };
        if let Some(session) = &mut found.session {
            session.connection_opened(now);
            found.link = Link::Up(stream);
        } else if found.key.is_some() {
            found.link = Link::Up(stream);
            self.begin_session(client);
        } else {
            let config = Config::new(server::public_keys(), DcId(server::DC), Mode::Permanent);
            let (handshake, frame) = ClientHandshake::new(&config, now, &mut found.rng);
            found.link = Link::Exchanging(stream, Some(handshake));
            self.at(self.time + EXCHANGE_TIMEOUT, Event::ExchangeTimeout { client, conn });
            self.carry(conn, Side::Client, BytesMut::from(&frame[..]));
        }
        let transport = self.clients[client].transport;
        self.note(|| format!("client {client}: conn {conn} is open, {transport}"));
        self.pump_client(client);
    }

    /// Begins a session under the key that there is.
    fn begin_session(&mut self, client: usize) {
        let tracer = self.tracer(|| format!("client {client}"));
        let hoards = self.sabotages(Sabotage::Hoard);
        let found = &mut self.clients[client];
        let Some(material) = found.key.clone() else { return };
        let id = loop {
            // Zero is no session.
            let id = self.dice.long();
            if id != 0 {
                break id;
            }
        };
        let mut params = ClientParams::new(material.auth_key, SessionId(id), self.dice.seed());
        (params.salts, params.time_offset, params.tracer) = (material.salts, material.time_offset, tracer);
        (params.ping, params.limits) = (found.ping, found.limits);
        if hoards {
            params.limits.requests = 1 << 16;
        }
        found.session = Some(Session::client(params, found.now(self.time)));
        self.submit_waiting(client);
    }

    pub(super) fn exchange_timeout(&mut self, client: usize, conn: u32) {
        if matches!(&self.clients[client].link, Link::Exchanging(stream, _) if stream.conn == conn) {
            self.drop_link(client, "the key exchange takes too long", Duration::ZERO);
        }
    }

    /// The network says that a connection is over.
    pub(super) fn client_lost(&mut self, client: usize, conn: u32, why: &str) {
        if self.clients[client].conn() == Some(conn) {
            self.drop_link(client, why, Duration::ZERO);
        }
    }

    /// Ends the connection, tells the session, and plans the next one.
    fn drop_link(&mut self, client: usize, why: &str, least: Duration) {
        self.note(|| format!("client {client}: connection over: {why}"));
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let conn = found.conn();
        found.link = Link::Down;
        if let Some(session) = &mut found.session
            && session.is_connected()
        {
            session.connection_lost(now);
        }
        found.token += 1;
        let (token, pause) = (found.token, found.pause.max(least));
        found.pause = (found.pause * 2).min(LONGEST_PAUSE);
        if let Some(conn) = conn {
            self.hang_up(conn, Side::Client);
        }
        let jitter = self.dice.between(Duration::ZERO, pause / 4);
        self.at(self.time + pause + jitter, Event::Redial { client, token });
    }

    // Bytes.

    pub(super) fn client_bytes(&mut self, client: usize, conn: u32, bytes: &Bytes) {
        match &mut self.clients[client].link {
            Link::Up(stream) | Link::Exchanging(stream, _) if stream.conn == conn => stream.input.extend_from_slice(bytes),
            _ => return,
        }
        loop {
            let decoded = match &mut self.clients[client].link {
                Link::Up(stream) | Link::Exchanging(stream, _) if stream.conn == conn => stream.codec.decode(&mut stream.input),
                _ => break,
            };
            match decoded {
                Ok(None) => break,
                Ok(Some(Frame::Payload(frame))) => self.client_frame(client, frame),
                Ok(Some(Frame::QuickAck(_))) => {}
                Ok(Some(Frame::Error(error))) => self.client_refused(client, error),
                Err(error) => {
                    self.count("Transport");
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
        }
        self.pump_client(client);
    }

    fn client_frame(&mut self, client: usize, frame: BytesMut) {
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        if let Link::Exchanging(stream, handshake) = &mut found.link {
            let conn = stream.conn;
            let Some(taken) = handshake.take() else { return };
            match taken.handle_frame(frame.freeze(), now, &mut found.rng) {
                Ok(Step::Send(next, frame)) => {
                    *handshake = Some(next);
                    self.carry(conn, Side::Client, BytesMut::from(&frame[..]));
                }
                Ok(Step::Done(made)) => {
                    self.figures.exchanges += 1;
                    let salts = vec![FutureSalt::unlimited(made.salt)];
                    found.key = Some(Material { auth_key: made.auth_key, salts, time_offset: made.time_offset });
                    found.pause = FIRST_PAUSE;
                    if let Link::Exchanging(stream, _) = std::mem::replace(&mut found.link, Link::Down) {
                        found.link = Link::Up(stream);
                    }
                    self.begin_session(client);
                }
                Err(error) => {
                    self.count(error.rule());
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
            return;
        }
        let Some(session) = &mut found.session else { return };
        match session.handle_input(now, frame) {
            Ok(()) => {
                found.unknown_key = 0;
                found.pause = FIRST_PAUSE;
            }
            Err(error) => {
                self.count(error.rule());
                self.note(|| format!("client {client}: refused: {error}"));
                if error.reaction() == Reaction::Reconnect {
                    self.pump_events(client);
                    self.drop_link(client, &error.to_string(), Duration::ZERO);
                }
            }
        }
        self.pump_events(client);
    }

    /// The server refuses below the protocol. Nobody signs that, so the key is given up only when it has been said several times.
    fn client_refused(&mut self, client: usize, error: TransportError) {
        self.count("TransportError");
        let found = &mut self.clients[client];
        let least = if error == TransportError::Flood { FLOOD_PAUSE } else { Duration::ZERO };
        if error == TransportError::AuthKeyNotFound && found.session.is_some() {
            found.unknown_key += 1;
            if found.unknown_key >= BELIEVE_404 {
                found.unknown_key = 0;
                self.lose_key(client);
            }
        }
        self.drop_link(client, &error.to_string(), least);
    }

    /// The key is of no use any more: everything under it ends, and another one is made.
    fn lose_key(&mut self, client: usize) {
        self.note(|| format!("client {client} gives its key up"));
        self.pump_events(client);
        let found = &mut self.clients[client];
        found.session = None;
        let lost = found.pending_numbers();
        found.by_request.clear();
        found.open.clear();
        for number in lost {
            self.end(client, number, &End::KeyLost);
        }
        let fresh = match self.dice.chance(self.options.exchanges) {
            true => None,
            false => Some(self.server.fresh_key(&mut self.dice)),
        };
        self.clients[client].key = fresh;
    }

    // Time.

    pub(super) fn client_timeouts(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].deadline().is_none_or(|deadline| deadline > self.time) {
                continue;
            }
            let now = self.clients[client].now(self.time);
            if let Some(session) = &mut self.clients[client].session {
                session.handle_timeout(now);
            }
            self.pump_client(client);
        }
    }

    pub(super) fn fall_asleep(&mut self, client: usize) {
        let length = self.faults.dice().spread(Duration::from_secs(5), Duration::from_secs(4000));
        // It wakes before the faults stop: that is when everything has to come right.
        let until = (self.time + length).min(self.length);
        let found = &mut self.clients[client];
        if found.asleep.is_some() {
            return;
        }
        (found.asleep, found.slept_from) = (Some(until), self.time);
        self.at(until, Event::Wake { client });
    }

    pub(super) fn wake(&mut self, client: usize) {
        let found = &mut self.clients[client];
        found.asleep = None;
        found.machine.wake(self.time.saturating_sub(found.slept_from));
        self.note(|| format!("client {client} wakes"));
    }

    // Requests.

    /// Makes one request, or several at once.
    pub(super) fn ask_some(&mut self, client: usize) {
        let count = match self.dice.below(20) {
            0 => self.dice.within(10, 40),
            1..=5 => self.dice.within(2, 6),
            _ => 1,
        };
        for _ in 0..count {
            self.ask(client, false);
        }
    }

    pub(super) fn ask(&mut self, client: usize, last: bool) {
        self.figures.requests += 1;
        let found = &mut self.clients[client];
        found.numbers += 1;
        let number = found.numbers;
        let asked = Asked { client, number };
        let (len, answer_len) = (draw_len(&mut self.dice), draw_len(&mut self.dice));
        let body = body::request(asked, len, answer_len, &mut self.dice);
        self.oracle.asked(asked, body, last || self.faults.are_none());
        self.clients[client].waiting.push_back(number);
        if self.clients[client].session.is_some() {
            self.submit_waiting(client);
            // What is asked in the same moment travels together, unless the driver is quicker.
            if last || self.dice.below(2) == 0 {
                self.pump_client(client);
            } else {
                self.at(self.time + Duration::from_micros(10), Event::Pump { client });
            }
        }
    }

    fn submit_waiting(&mut self, client: usize) {
        let now = self.clients[client].now(self.time);
        while let Some(number) = self.clients[client].waiting.pop_front() {
            let Some(body) = self.oracle.body_of(Asked { client, number }) else { continue };
            let compress = self.dice.below(2) == 0;
            let pending = self.pending_of(client);
            let mut after = Vec::new();
            if self.dice.below(6) == 0 && !pending.is_empty() {
                let count = self.dice.within(1, 3);
                after.extend((0..count).filter_map(|_| pending.get(self.dice.index(pending.len())).copied()));
            }
            self.oracle.ordered(Asked { client, number }, after.clone());
            let alone = self.dice.below(40) == 0;
            let found = &mut self.clients[client];
            let after: Vec<RequestId> =
                found.by_request.iter().filter(|(_, number)| after.contains(number)).map(|(id, _)| *id).collect();
            let Some(session) = &mut found.session else { return };
            match session.request_after(now, body, RequestOptions { compress, alone, ..RequestOptions::default() }, &after) {
                Ok(id) => {
                    found.by_request.insert(id, number);
                    found.open.insert(id);
                }
                Err(_) => self.end(client, number, &End::Backlog),
            }
        }
    }

    pub(super) fn cancel_one(&mut self, client: usize) {
        let pending = self.pending_of(client);
        let Some(number) = pending.get(self.dice.index(pending.len())).copied() else { return };
        let now = self.clients[client].now(self.time);
        let found = &mut self.clients[client];
        let Some(id) = found.by_request.iter().find(|(_, found)| **found == number).map(|(id, _)| *id) else { return };
        self.oracle.cancelled(Asked { client, number });
        if let Some(session) = &mut found.session {
            session.cancel(now, id);
        }
        self.pump_client(client);
    }

    /// Asks the server to forget a session that it never had.
    pub(super) fn destroy_stranger(&mut self, client: usize) {
        let id = self.dice.long();
        if let Some(session) = &mut self.clients[client].session {
            // In the client's role it cannot be refused.
            let _ = session.destroy_session(SessionId(id));
        }
        self.pump_client(client);
    }

    /// The session says that a request has ended.
    fn ended(&mut self, client: usize, id: RequestId, end: &End) {
        let found = &mut self.clients[client];
        found.open.remove(&id);
        // Number 0 is nobody's: the oracle will say so.
        let number = found.by_request.get(&id).copied().unwrap_or(0);
        self.end(client, number, end);
    }

    fn end(&mut self, client: usize, number: u64, end: &End) {
        if let Some(since) = self.calm_since {
            self.figures.slowest = self.figures.slowest.max(self.time.saturating_sub(since.max(self.last_asked(since))));
        }
        self.note(|| format!("client {client}: request {number} ends: {}", brief(end)));
        self.oracle.ended(Asked { client, number }, end, &mut self.figures);
        if self.sabotages(Sabotage::EndTwice) {
            self.oracle.ended(Asked { client, number }, end, &mut self.figures);
        }
    }

    /// When the last requests were made, if they were.
    fn last_asked(&self, since: Duration) -> Duration {
        if self.time >= since + super::world::PEACE { since + super::world::PEACE } else { since }
    }

    // What the session has to say.

    /// Polls the session, as a driver does.
    pub(super) fn pump_client(&mut self, client: usize) {
        self.pump_events(client);
        let now = self.clients[client].now(self.time);
        for _ in 0..1000 {
            let found = &mut self.clients[client];
            let (Link::Up(stream), Some(session)) = (&found.link, &mut found.session) else { break };
            let conn = stream.conn;
            let Some(frame) = session.poll_output(now) else { break };
            self.carry(conn, Side::Client, frame);
        }
        // What putting frames together has led to.
        self.pump_events(client);
        self.check_client_sizes(client);
    }

    fn pump_events(&mut self, client: usize) {
        loop {
            let found = &mut self.clients[client];
            let Some(event) = found.session.as_mut().and_then(Session::poll_event) else { break };
            match event {
                SessionEvent::Response { id, result } => self.ended(client, id, &End::Answered(result)),
                SessionEvent::Failed { id, error } => self.ended(client, id, &End::Failed(error)),
                SessionEvent::Update(body) => {
                    if self.oracle.delivered(client, &body) {
                        self.figures.delivered += 1;
                        self.note(|| format!("client {client}: update {:?}", body::read_update(&body)));
                    }
                }
                SessionEvent::ConnectionDead(cause) => self.drop_link(client, &cause.to_string(), Duration::ZERO),
                other => {
                    if matches!(other, SessionEvent::NewSession { .. }) {
                        self.oracle.told_of_new_session(client);
                    }
                    self.note(|| format!("client {client}: {other:?}"));
                }
            }
        }
    }

    /// Counts a rule that somebody found broken.
    pub(super) fn count(&mut self, rule: &'static str) {
        *self.figures.rules.entry(rule).or_default() += 1;
    }
}

fn brief(end: &End) -> String {
    match end {
        End::Answered(Ok(body)) => format!("answered, {} bytes", body.len()),
        End::Answered(Err(error)) => error.to_string(),
        End::Failed(failure) => failure.to_string(),
        End::Backlog => "too many are pending".to_owned(),
        End::KeyLost => "the key is lost".to_owned(),
    }
}
