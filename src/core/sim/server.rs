//! The server of a simulated world: the real detector, codec, key exchange and session, and a host around them that finds keys and
//! sessions, executes requests and pushes updates.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    Sabotage,
    body::{self, Asked},
    client::{Material, draw_limits},
    dice::Dice,
    fault::{Fault, Faults},
    machine::Machine,
    report::Violation,
    world::{Event, World},
};
use crate::{
    crypto::{
        AuthKey,
        rsa::{PrivateKey, PublicKey},
    },
    ids::{DcId, MsgId, SessionId},
    mtproto::{
        envelope::{self, Side},
        handshake::server::{Config, ServerHandshake, Step},
        msg_id::Generator,
        plain,
        session::{Event as SessionEvent, Limits, PeerMisbehaved, Salts, ServerParams, Session, SessionError},
    },
    transport::{Codec, Detector, Frame},
};

/// The only data centre there is.
pub(super) const DC: i32 = 2;

/// How long a request waits for those that it comes after.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Salts that the server keeps for each key.
const SALTS: usize = 8;

static RSA: LazyLock<([PrivateKey; 1], [PublicKey; 1])> = LazyLock::new(|| {
    // Always the same one: it is drawn from a seed, and guards nothing.
    let key = PrivateKey::generate(&mut StdRng::seed_from_u64(0x51a));
    let public = key.public().clone();
    ([key], [public])
});

pub(super) fn public_keys() -> &'static [PublicKey] {
    &RSA.1
}

/// A session of the server's, and what the host keeps beside it.
pub(super) struct Slot {
    /// Its number: a session that was forgotten and begun anew has another one.
    pub(super) number: u64,
    pub(super) key_id: i64,
    pub(super) session_id: SessionId,
    pub(super) session: Session,
    /// The connection that its messages come from and go to.
    pub(super) owner: Option<u32>,
    /// Whose it is.
    pub(super) client: usize,
    /// Identifiers of what the misbehaving server says.
    pub(super) forger: Generator,
    pub(super) limits: Limits,
    /// Requests that it was handed, by their messages.
    pub(super) executed: BTreeMap<MsgId, Asked>,
    /// Updates that were sent in it, by what the session calls them.
    pushed: BTreeMap<MsgId, Asked>,
    /// Requests that its host was given, whether it works on them yet or not.
    pub(super) taken: BTreeSet<MsgId>,
    /// Frames that were refused on purpose.
    pub(super) refused: BTreeSet<MsgId>,
    /// Those that are done, and whether well.
    finished: BTreeMap<MsgId, bool>,
}

/// A request that waits for others to be done.
pub(super) struct Held {
    slot: u64,
    msg_id: MsgId,
    query: Bytes,
    after: Vec<MsgId>,
    until: Duration,
}

struct Key {
    auth_key: AuthKey,
    salts: Salts,
}

/// A connection, as the server sees it.
struct Stream {
    client: usize,
    input: BytesMut,
    detector: Detector,
    codec: Option<Codec>,
    handshake: Option<ServerHandshake>,
}

pub(super) struct Server {
    pub(super) machine: Machine,
    keys: BTreeMap<i64, Key>,
    pub(super) slots: Vec<Slot>,
    slot_count: u64,
    streams: BTreeMap<u32, Stream>,
    cached: BTreeMap<usize, AuthKey>,
    /// Sessions that their clients had destroyed, with their keys. What is still under way for them must not begin them anew: it would be
    /// executed again.
    destroyed: BTreeSet<(i64, SessionId)>,
    rng: StdRng,
    limits: Limits,
}

impl Server {
    pub(super) fn new(dice: &mut Dice, faults: &mut Faults) -> Self {
        let drift = if faults.has(Fault::Drift) { dice.within(0, 40_000).cast_signed() - 20_000 } else { 0 };
        Self {
            machine: Machine::new(drift, 0),
            keys: BTreeMap::new(),
            slots: Vec::new(),
            slot_count: 0,
            streams: BTreeMap::new(),
            cached: BTreeMap::new(),
            destroyed: BTreeSet::new(),
            rng: StdRng::from_seed(dice.seed()),
            limits: draw_limits(dice, Limits::server()),
        }
    }

    /// A key that both sides have from an exchange long ago.
    pub(super) fn cached_key(&mut self, which: usize, dice: &mut Dice) -> Material {
        match self.cached.get(&which) {
            Some(key) => Material { auth_key: key.clone(), salts: Vec::new(), time_offset: 0 },
            None => {
                let material = self.fresh_key(dice);
                self.cached.insert(which, material.auth_key.clone());
                material
            }
        }
    }

    /// A key that both sides have from an exchange that is not played.
    pub(super) fn fresh_key(&mut self, dice: &mut Dice) -> Material {
        let mut bytes = [0; AuthKey::LEN];
        rand::Rng::fill_bytes(dice.rng(), &mut bytes);
        let auth_key = AuthKey::from_bytes(&bytes);
        self.keys.insert(auth_key.id(), Key { auth_key: auth_key.clone(), salts: Salts::default() });
        Material { auth_key, salts: Vec::new(), time_offset: 0 }
    }

    pub(super) fn accept(&mut self, conn: u32, client: usize) {
        let stream = Stream { client, input: BytesMut::new(), detector: Detector::new(), codec: None, handshake: None };
        self.streams.insert(conn, stream);
    }

    pub(super) fn codec_of(&mut self, conn: u32) -> Option<(&mut Codec, &mut StdRng)> {
        let codec = self.streams.get_mut(&conn)?.codec.as_mut()?;
        Some((codec, &mut self.rng))
    }

    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// When a session wants to be woken, in the world's time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.slots.iter().filter_map(|slot| slot.session.poll_timeout()).min().map(|mono| self.machine.when(mono))
    }

    pub(super) fn position(&self, number: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.number == number)
    }

    /// The session in which a client is now, as far as the server knows it.
    pub(super) fn current_of(&self, client: usize, session_id: SessionId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.client == client && slot.session_id == session_id)
    }

    pub(super) fn key(&self, key_id: i64) -> Option<&AuthKey> {
        self.keys.get(&key_id).map(|key| &key.auth_key)
    }
}

impl World {
    // Bytes.

    pub(super) fn server_bytes(&mut self, conn: u32, bytes: &Bytes) {
        match self.server.streams.get_mut(&conn) {
            Some(stream) => stream.input.extend_from_slice(bytes),
            None => return,
        }
        loop {
            let Some(stream) = self.server.streams.get_mut(&conn) else { return };
            let decoded = match &mut stream.codec {
                Some(codec) => codec.decode(&mut stream.input),
                None => match stream.detector.detect(&mut stream.input) {
                    Ok(None) => return,
                    Ok(Some(codec)) => {
                        stream.codec = Some(codec);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match decoded {
                Ok(None) => return,
                Ok(Some(Frame::Payload(frame))) => self.server_frame(conn, frame),
                // Only servers send these: a server's codec takes four bytes for a payload.
                Ok(Some(Frame::QuickAck(_) | Frame::Error(_))) => {}
                Err(error) => {
                    self.count("Transport");
                    self.note(|| format!("server: conn {conn}: {error}"));
                    self.server_closes(conn);
                }
            }
        }
    }

    fn server_frame(&mut self, conn: u32, frame: BytesMut) {
        if plain::is_plain(&frame) {
            return self.server_exchange(conn, frame);
        }
        let Some(stream) = self.server.streams.get(&conn) else { return };
        let client = stream.client;
        let key_id = envelope::key_id_of(&frame).unwrap_or(0);
        let Some(key) = self.server.keys.get(&key_id).map(|key| key.auth_key.clone()) else {
            self.count("UnknownKey");
            return self.refuse_below(conn, 404);
        };
        let opened = match envelope::open(&key, Side::Client, frame) {
            Ok(opened) => opened,
            Err(error) => {
                self.count(error.rule());
                return self.server_closes(conn);
            }
        };
        if self.server.destroyed.contains(&(key_id, opened.session_id)) {
            return self.note(|| format!("server: {} was destroyed", opened.session_id));
        }
        let slot = self.slot(client, &key, opened.session_id);
        self.refresh_salts(key_id);
        self.attach(slot, conn);
        if self.refuse_on_purpose(slot, &opened) {
            return self.pump_slot(slot);
        }
        let now = self.server.machine.now(self.time);
        let number = self.server.slots[slot].number;
        match self.server.slots[slot].session.handle_opened(now, opened) {
            Ok(()) => {}
            Err(error) => {
                self.count(error.rule());
                self.note(|| format!("server: slot {number} refused: {error}"));
                if matches!(error, SessionError::PeerMisbehaved(PeerMisbehaved::Flood { .. })) {
                    self.server_closes(conn);
                }
            }
        }
        self.pump_slot(slot);
    }

    /// One step of a key exchange.
    fn server_exchange(&mut self, conn: u32, frame: BytesMut) {
        let now = self.server.machine.now(self.time);
        let server = &mut self.server;
        let Some(stream) = server.streams.get_mut(&conn) else { return };
        let handshake = stream.handshake.take().unwrap_or_else(|| ServerHandshake::new(&Config::new(RSA.0.clone(), DcId(DC))));
        let keys = &server.keys;
        let answer = match handshake.handle_frame(frame.freeze(), now, &mut server.rng, &mut |id| keys.contains_key(&id)) {
            Ok(Step::Send(next, answer)) => {
                stream.handshake = Some(next);
                answer
            }
            Ok(Step::Wait(next)) => {
                stream.handshake = Some(next);
                return;
            }
            Ok(Step::Done(made, answer)) => {
                let mut salts = Salts::default();
                salts.set_current(made.salt, now.unix());
                server.keys.insert(made.auth_key.id(), Key { auth_key: made.auth_key, salts });
                answer
            }
            Ok(Step::Failed(error, answer)) => {
                self.count(error.rule());
                answer
            }
            Err(error) => {
                self.count(error.rule());
                return self.refuse_below(conn, 404);
            }
        };
        self.carry(conn, Side::Server, BytesMut::from(&answer[..]));
    }

    /// A transport error, after which the connection ends.
    pub(super) fn refuse_below(&mut self, conn: u32, code: i32) {
        let mut out = BytesMut::new();
        if let Some((codec, rng)) = self.server.codec_of(conn)
            && codec.encode_error(code, rng, &mut out).is_ok()
        {
            self.send(conn, Side::Server, out);
        }
        self.server_closes(conn);
    }

    pub(super) fn server_closes(&mut self, conn: u32) {
        self.hang_up(conn, Side::Server);
        self.server_lost(conn);
    }

    /// A connection is over.
    pub(super) fn server_lost(&mut self, conn: u32) {
        self.server.streams.remove(&conn);
        let now = self.server.machine.now(self.time);
        for slot in self.server.slots.iter_mut().filter(|slot| slot.owner == Some(conn)) {
            slot.owner = None;
            slot.session.connection_lost(now);
        }
    }

    // Sessions and salts.

    /// The session that a message belongs to, made if it is not known.
    fn slot(&mut self, client: usize, key: &AuthKey, session_id: SessionId) -> usize {
        let known = self.server.slots.iter().position(|slot| slot.key_id == key.id() && slot.session_id == session_id);
        if let Some(slot) = known {
            return slot;
        }
        self.refresh_salts(key.id());
        let salts = self.server.keys.get(&key.id()).map(|key| key.salts.list().to_vec()).unwrap_or_default();
        self.server.slot_count += 1;
        let number = self.server.slot_count;
        self.note(|| format!("server: slot {number} for client {client}, {session_id}"));
        let mut params = ServerParams::new(key.clone(), session_id, salts, self.dice.seed());
        params.limits = self.server.limits;
        params.tracer = self.tracer(|| format!("slot {number}"));
        let mut session = Session::server(params, self.server.machine.now(self.time));
        // It belongs to no connection until it is attached to one.
        session.connection_lost(self.server.machine.now(self.time));
        self.server.slots.push(Slot {
            number,
            key_id: key.id(),
            session_id,
            session,
            owner: None,
            client,
            forger: Generator::default(),
            limits: self.server.limits,
            executed: BTreeMap::new(),
            pushed: BTreeMap::new(),
            finished: BTreeMap::new(),
            refused: BTreeSet::new(),
            taken: BTreeSet::new(),
        });
        self.server.slots.len() - 1
    }

    /// Makes a connection the session's own.
    fn attach(&mut self, slot: usize, conn: u32) {
        let now = self.server.machine.now(self.time);
        let slot = &mut self.server.slots[slot];
        if slot.owner.replace(conn) != Some(conn) {
            slot.session.connection_opened(now);
        }
    }

    /// Sees to it that a key has salts that are valid now and for a while.
    fn refresh_salts(&mut self, key_id: i64) {
        let unix = self.server.machine.now(self.time).unix();
        let server = &mut self.server;
        let Some(key) = server.keys.get_mut(&key_id) else { return };
        let valid = |salts: &Salts| salts.current(unix).is_some_and(|salt| salt.since <= unix && unix < salt.until);
        if valid(&key.salts) && key.salts.ahead(unix) > 1 {
            return;
        }
        if !valid(&key.salts) {
            // Its clock has leapt: what was to come is long past, or far away.
            key.salts = Salts::default();
        }
        key.salts.extend(unix, SALTS, &mut server.rng);
        for slot in server.slots.iter_mut().filter(|slot| slot.key_id == key_id) {
            // In the server's role it cannot be refused.
            let _ = slot.session.set_salts(key.salts.list().to_vec());
        }
    }

    /// All salts of a client's key are new.
    pub(super) fn change_salts(&mut self, client: usize) {
        let Some(key_id) = self.clients[client].key.as_ref().map(|key| key.auth_key.id()) else { return };
        if let Some(key) = self.server.keys.get_mut(&key_id) {
            key.salts = Salts::default();
        }
        self.refresh_salts(key_id);
    }

    pub(super) fn forget_key(&mut self, client: usize) {
        let Some(key_id) = self.clients[client].key.as_ref().map(|key| key.auth_key.id()) else { return };
        self.server.keys.remove(&key_id);
        self.server.cached.retain(|_, key| key.id() != key_id);
        self.forget_slots(|slot| slot.key_id == key_id);
    }

    pub(super) fn forget_session(&mut self, client: usize) {
        self.forget_slots(|slot| slot.client == client);
    }

    fn forget_slots(&mut self, which: impl Fn(&Slot) -> bool) {
        for slot in self.server.slots.extract_if(.., |slot| which(slot)) {
            self.oracle.forgot(slot.number);
        }
    }

    /// The sessions that both ends still have.
    pub(super) fn living_slots(&self) -> BTreeSet<u64> {
        let current = |slot: &&Slot| {
            let session = self.clients.get(slot.client).and_then(|client| client.session.as_ref());
            session.is_some_and(|session| session.session_id() == slot.session_id && session.auth_key_id() == slot.key_id)
        };
        self.server.slots.iter().filter(current).map(|slot| slot.number).collect()
    }

    // Time, and what the sessions have to say.

    pub(super) fn server_timeouts(&mut self) {
        let now = self.server.machine.now(self.time);
        let due = |slot: &Slot| slot.session.poll_timeout().is_some_and(|deadline| deadline <= now.mono);
        let numbers: Vec<u64> = self.server.slots.iter().filter(|slot| due(slot)).map(|slot| slot.number).collect();
        for number in numbers {
            let Some(slot) = self.server.position(number) else { continue };
            self.server.slots[slot].session.handle_timeout(now);
            self.pump_slot(slot);
        }
    }

    /// Polls a session, as a driver does.
    pub(super) fn pump_slot(&mut self, slot: usize) {
        let Some(number) = self.server.slots.get(slot).map(|slot| slot.number) else { return };
        self.pump_slot_events(number);
        let now = self.server.machine.now(self.time);
        for _ in 0..1000 {
            let Some(slot) = self.server.position(number) else { return };
            let found = &mut self.server.slots[slot];
            let Some(conn) = found.owner else { break };
            let Some(frame) = found.session.poll_output(now) else { break };
            if let Some(frame) = self.tamper_with_answers(slot, frame) {
                self.carry(conn, Side::Server, frame);
            }
        }
        // What putting frames together has led to.
        self.pump_slot_events(number);
        self.check_slot_sizes(number);
    }

    fn pump_slot_events(&mut self, number: u64) {
        loop {
            let Some(slot) = self.server.position(number) else { return };
            let Some(event) = self.server.slots[slot].session.poll_event() else { return };
            match event {
                SessionEvent::Request { msg_id, body } => self.take(slot, msg_id, &body),
                SessionEvent::DestroySession { session_id } => {
                    let key_id = self.server.slots[slot].key_id;
                    let before = self.server.slots.len();
                    let doomed =
                        |other: &Slot| other.number != number && other.key_id == key_id && other.session_id == session_id;
                    self.server.slots.retain(|other| !doomed(other));
                    let existed = self.server.slots.len() < before;
                    if session_id
                        != self
                            .server
                            .slots
                            .iter()
                            .find(|slot| slot.number == number)
                            .map_or(session_id, |slot| slot.session_id)
                    {
                        self.server.destroyed.insert((key_id, session_id));
                    }
                    let Some(slot) = self.server.position(number) else { return };
                    // In the server's role it cannot be refused.
                    let _ = self.server.slots[slot].session.session_destroyed(session_id, existed);
                }
                SessionEvent::UpdateLost { msg_id } => {
                    self.note(|| format!("server: slot {number} gives update {msg_id} up"));
                    if let Some(update) = self.server.slots[slot].pushed.get(&msg_id) {
                        self.oracle.given_up(*update);
                    }
                }
                SessionEvent::ConnectionDead(cause) => {
                    self.note(|| format!("server: slot {number}: {cause}"));
                    if let Some(conn) = self.server.slots[slot].owner {
                        self.server_closes(conn);
                    }
                }
                _ => {}
            }
        }
    }

    // The host.

    /// Takes a request: works on it at once, or when what has to be done before is done.
    fn take(&mut self, slot: usize, msg_id: MsgId, body: &Bytes) {
        let (after, query) = body::unwrap(body);
        let number = self.server.slots[slot].number;
        self.server.slots[slot].taken.insert(msg_id);
        if self.sabotages(Sabotage::OutOfTurn) {
            return self.execute(slot, msg_id, &query);
        }
        self.begin_when_free(Held { slot: number, msg_id, query, after, until: self.time + LONGEST_WAIT });
    }

    /// Works on a request if what it comes after is done.
    pub(super) fn begin_when_free(&mut self, held: Held) {
        let Some(slot) = self.server.position(held.slot) else { return };
        let finished = &self.server.slots[slot].finished;
        let vain = match held.after.iter().find(|id| finished.get(id) != Some(&true)) {
            None => return self.execute(slot, held.msg_id, &held.query),
            Some(id) if finished.contains_key(id) => (400, "MSG_WAIT_FAILED"),
            Some(_) if self.time < held.until => {
                return self.at(self.time + Duration::from_millis(200), Event::Held(held));
            }
            Some(_) => (500, "MSG_WAIT_TIMEOUT"),
        };
        self.note(|| format!("server: slot {} has waited in vain with {}", held.slot, held.msg_id));
        let now = self.server.machine.now(self.time);
        if let Some(asked) = body::read_request(&held.query) {
            // The client waits and tries again; when it has had enough of that, it says so.
            self.oracle.gave_error(asked, vain.0);
        }
        // It may have been cancelled: then nobody waits.
        let _ = self.server.slots[slot].session.respond_error(now, held.msg_id, vain.0, vain.1);
        self.server.slots[slot].finished.insert(held.msg_id, false);
        self.pump_slot(slot);
    }

    /// Works on a request.
    fn execute(&mut self, slot: usize, msg_id: MsgId, body: &Bytes) {
        let number = self.server.slots[slot].number;
        let Some(asked) = body::read_request(body) else { return self.oracle.blame(Violation::ExecutedUnasked) };
        self.note(|| format!("server: slot {number} executes {asked:?}, {msg_id}"));
        self.figures.executed += 1;
        self.server.slots[slot].executed.insert(msg_id, asked);
        self.oracle.executed(asked, body, number);
        if self.sabotages(Sabotage::ExecuteTwice) {
            self.oracle.executed(asked, body, number);
        }
        if self.sabotages(Sabotage::Panic) {
            panic!("on purpose");
        }
        if self.sabotages(Sabotage::NeverAnswer) {
            return;
        }
        let error = if self.faults.strikes(Fault::FloodWait) {
            Some((420, "FLOOD_WAIT_17"))
        } else if self.faults.strikes(Fault::Internal) {
            Some((500, "INTERDC_2_CALL_ERROR"))
        } else {
            None
        };
        let slow = self.faults.strikes(Fault::Slow);
        let longest = if slow { Duration::from_secs(90) } else { Duration::from_secs(2) };
        let time = self.time + self.dice.spread(Duration::from_micros(100), longest);
        self.at(time, Event::Worked { slot: number, asked, msg_id, error });
    }

    /// The host has finished.
    pub(super) fn worked(&mut self, number: u64, asked: Asked, msg_id: MsgId, error: Option<(i32, &'static str)>) {
        let Some(slot) = self.server.position(number) else { return };
        let now = self.server.machine.now(self.time);
        self.oracle.done(asked);
        self.server.slots[slot].finished.insert(msg_id, error.is_none());
        let session = &mut self.server.slots[slot].session;
        let result = match error {
            Some((code, message)) => {
                if self.options.sabotage != Some(Sabotage::StrangeError) {
                    self.oracle.gave_error(asked, code);
                }
                session.respond_error(now, msg_id, code, message)
            }
            None => {
                let Some(request) = self.oracle.body_of(asked) else { return };
                let mut answer = body::answer(&request);
                if self.options.sabotage == Some(Sabotage::SwapAnswers) {
                    match self.swap.take() {
                        Some((_, _, waiting)) => answer = waiting,
                        None => self.swap = Some((number, msg_id, answer.clone())),
                    }
                }
                session.respond(now, msg_id, answer, self.dice.below(2) == 0)
            }
        };
        if let Err(error) = result {
            let (client, number, error) = (asked.client, asked.number, error.to_string());
            self.oracle.blame(Violation::AnswerRefused { client, number, error });
        }
        self.pump_slot(slot);
    }

    /// Sends an update to a client, if the server knows the session that it is in.
    pub(super) fn push(&mut self, client: usize) {
        let Some(session_id) = self.clients[client].session.as_ref().map(Session::session_id) else { return };
        let Some(slot) = self.server.current_of(client, session_id) else { return };
        let now = self.server.machine.now(self.time);
        let count = if self.dice.below(10) == 0 { self.dice.within(2, 30) } else { 1 };
        for _ in 0..count {
            self.clients[client].updates += 1;
            let mut update = Asked { client, number: self.clients[client].updates };
            let found = &mut self.server.slots[slot];
            if self.options.sabotage == Some(Sabotage::UpdateOutOfOrder) {
                // Every even number changes places with the one before it.
                update.number = (update.number + 1) ^ 1;
            }
            if self.options.sabotage == Some(Sabotage::LoseUpdate) && update.number == 2 {
                self.oracle.pushed(update, found.number);
                continue;
            }
            if let Ok(msg_id) = found.session.push(now, body::update(client, update.number)) {
                found.pushed.insert(msg_id, update);
                self.figures.pushed += 1;
                self.oracle.pushed(update, found.number);
                if self.options.sabotage == Some(Sabotage::UpdateTwice) {
                    let _ = found.session.push(now, body::update(client, update.number));
                }
            }
        }
        self.pump_slot(slot);
    }
}
