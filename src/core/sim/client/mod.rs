//! A client of a simulated world: the real codec, key exchange and session, and the least of a driver around them.
//!
//! The driver does what any driver has to do: it dials, makes a key when there is none, moves bytes, wakes the session, closes the
//! connection when the session's error says so, and comes back after a pause. It knows nothing of messages.
//!
//! * `draw`: what a client is like. `connections`: dialling, bytes, the key exchange. `requests`: what it asks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::BytesMut;
use rand::rngs::StdRng;

use super::{
    body,
    machine::Machine,
    oracle::End,
    world::{Event, World},
};
use crate::{
    clock::Now,
    crypto::AuthKey,
    mtproto::{
        envelope::Side,
        handshake::ClientHandshake,
        session::{Event as SessionEvent, FutureSalt, Limits, PingPolicy, RequestId, Session},
    },
    transport::{self, Codec},
};

mod connections;
mod draw;
mod requests;

pub(super) use self::draw::draw_limits;

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

impl World {
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
