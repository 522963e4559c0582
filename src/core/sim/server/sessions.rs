//! Sessions and the salts of their keys: made, woken, polled, forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::{SALTS, Slot};
use crate::{
    crypto::AuthKey,
    ids::SessionId,
    mtproto::{
        envelope::Side,
        msg_id::Generator,
        session::{Event as SessionEvent, Salts, ServerParams, Session},
    },
    sim::world::World,
};

impl World {
    /// The session that a message belongs to, made if it is not known.
    pub(super) fn slot(&mut self, client: usize, key: &AuthKey, session_id: SessionId) -> usize {
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
    pub(super) fn attach(&mut self, slot: usize, conn: u32) {
        let now = self.server.machine.now(self.time);
        let slot = &mut self.server.slots[slot];
        if slot.owner.replace(conn) != Some(conn) {
            slot.session.connection_opened(now);
        }
    }

    /// Sees to it that a key has salts that are valid now and for a while.
    pub(super) fn refresh_salts(&mut self, key_id: i64) {
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
    pub(in super::super) fn change_salts(&mut self, client: usize) {
        let Some(key_id) = self.clients[client].key.as_ref().map(|key| key.auth_key.id()) else { return };
        if let Some(key) = self.server.keys.get_mut(&key_id) {
            key.salts = Salts::default();
        }
        self.refresh_salts(key_id);
    }

    pub(in super::super) fn forget_key(&mut self, client: usize) {
        let Some(key_id) = self.clients[client].key.as_ref().map(|key| key.auth_key.id()) else { return };
        self.server.keys.remove(&key_id);
        self.server.cached.retain(|_, key| key.id() != key_id);
        self.forget_slots(|slot| slot.key_id == key_id);
    }

    pub(in super::super) fn forget_session(&mut self, client: usize) {
        self.forget_slots(|slot| slot.client == client);
    }

    fn forget_slots(&mut self, which: impl Fn(&Slot) -> bool) {
        for slot in self.server.slots.extract_if(.., |slot| which(slot)) {
            self.oracle.forgot(slot.number);
        }
    }

    /// The sessions that both ends still have.
    pub(in super::super) fn living_slots(&self) -> BTreeSet<u64> {
        let current = |slot: &&Slot| {
            let session = self.clients.get(slot.client).and_then(|client| client.session.as_ref());
            session.is_some_and(|session| session.session_id() == slot.session_id && session.auth_key_id() == slot.key_id)
        };
        self.server.slots.iter().filter(current).map(|slot| slot.number).collect()
    }

    // Time, and what the sessions have to say.

    pub(in super::super) fn server_timeouts(&mut self) {
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
}
