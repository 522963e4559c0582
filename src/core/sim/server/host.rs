//! The host: requests are taken, worked on and answered, and updates pushed.

use std::time::Duration;

use bytes::Bytes;

use super::Held;
use crate::{
    ids::MsgId,
    mtproto::session::Session,
    sim::{
        Sabotage,
        body::{self, Asked},
        fault::Fault,
        report::Violation,
        world::{Event, World},
    },
};

/// How long a request waits for those that it comes after.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl World {
    /// Takes a request: works on it at once, or when what has to be done before is done.
    pub(super) fn take(&mut self, slot: usize, msg_id: MsgId, body: &Bytes) {
        let (after, query) = body::unwrap(body);
        let number = self.server.slots[slot].number;
        self.server.slots[slot].taken.insert(msg_id);
        if self.sabotages(Sabotage::OutOfTurn) {
            return self.execute(slot, msg_id, &query);
        }
        self.begin_when_free(Held { slot: number, msg_id, query, after, until: self.time + LONGEST_WAIT });
    }

    /// Works on a request if what it comes after is done.
    pub(in super::super) fn begin_when_free(&mut self, held: Held) {
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
    pub(in super::super) fn worked(&mut self, number: u64, asked: Asked, msg_id: MsgId, error: Option<(i32, &'static str)>) {
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
    pub(in super::super) fn push(&mut self, client: usize) {
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
