//! A server that does not do what it should: it holds the keys, so what it says wrong is well encrypted.
//!
//! * Refusals: a frame of the client's is ignored, and the client is told so, with any code. It is only done to frames whose requests
//!   have not been executed: a refusal says so.
//! * Answers: not sent, doubled, or announced in place of being sent.
//! * Nonsense: messages made by hand, from [`nonsense`].

use std::time::Duration;

use bytes::BytesMut;

use super::{
    Sabotage,
    body::{self, Update},
    fault::Fault,
    nonsense::{self, Said, constructors, words},
    world::{Event, World},
};
use crate::{
    ids::{MsgId, Salt, SeqNo},
    mtproto::{
        container::{self, Message, constructor},
        envelope::{self, Header, Opened, Side},
        msg_id::Origin,
        session::Session,
    },
};

/// The refusals, and the codes that they give.
const REFUSALS: [(Fault, i32); 12] = [
    (Fault::BadMsg16, 16),
    (Fault::BadMsg17, 17),
    (Fault::BadMsg18, 18),
    (Fault::BadMsg19, 19),
    (Fault::BadMsg20, 20),
    (Fault::BadMsg32, 32),
    (Fault::BadMsg33, 33),
    (Fault::BadMsg34, 34),
    (Fault::BadMsg35, 35),
    (Fault::BadMsg48, 48),
    (Fault::BadMsg64, 64),
    (Fault::BadMsgOther, 77),
];

/// The messages of a frame: those in the container, or the one that it is.
fn messages(opened: &Opened) -> Vec<Message> {
    let alone = Message { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body.clone() };
    match constructor(&opened.body) {
        container::ID => container::parse(&opened.body, opened.msg_id).map(Iterator::collect).unwrap_or_default(),
        _ => vec![alone],
    }
}

impl World {
    /// Refuses a frame of the client's, if that is the run's fate. Returns whether it did: the frame is not to be looked at then.
    pub(super) fn refuse_on_purpose(&mut self, slot: usize, opened: &Opened) -> bool {
        // Another copy of what was refused is refused, too: a server that means it does not look at what it says.
        if self.server.slots[slot].refused.contains(&opened.msg_id) {
            return !self.sabotages(Sabotage::ExecuteRefused);
        }
        let Some((_, code)) = REFUSALS.into_iter().find(|(fault, _)| self.faults.strikes(*fault)) else { return false };
        let inside = messages(opened);
        let executed = |message: &Message| {
            body::read_request(&body::unwrap(&message.body).1).is_some_and(|asked| self.oracle.was_executed(asked))
        };
        // What was taken is not refused, whatever becomes of its copies: a client has to believe a refusal.
        let taken = &self.server.slots[slot].taken;
        if inside.iter().any(|message| taken.contains(&message.msg_id) || executed(message)) {
            return false;
        }
        // The container as a rule; sometimes a message in it.
        let about = match (self.faults.dice().below(4), inside.len()) {
            (0, len) if len > 0 => {
                let at = self.faults.dice().index(len);
                (inside[at].msg_id, inside[at].seq_no)
            }
            _ => (opened.msg_id, opened.seq_no),
        };
        self.note(|| format!("fault: {} is refused, code {code}", about.0));
        self.server.slots[slot].refused.insert(opened.msg_id);
        let notice = match code {
            48 => {
                let salt = self.faults.dice().long();
                words(constructors::BAD_SERVER_SALT).long(about.0.0).int(about.1.0).int(code).long(salt)
            }
            _ => words(constructors::BAD_MSG_NOTIFICATION).long(about.0.0).int(about.1.0).int(code),
        };
        self.say(slot, Said::plain(notice.done()));
        !self.sabotages(Sabotage::ExecuteRefused)
    }

    /// What becomes of a frame of the server's that holds answers or updates. `None`: it is not sent.
    pub(super) fn tamper_with_answers(&mut self, slot: usize, frame: BytesMut) -> Option<BytesMut> {
        let kinds = [Fault::LostAnswer, Fault::DuplicateAnswer, Fault::DuplicateUpdate, Fault::DetailedInfo];
        let Some(fault) = kinds.into_iter().find(|fault| self.faults.strikes(*fault)) else { return Some(frame) };
        let found = &self.server.slots[slot];
        let Some(key) = self.server.key(found.key_id).cloned() else { return Some(frame) };
        let Ok(opened) = envelope::open(&key, Side::Server, frame.clone()) else { return Some(frame) };
        let client = found.client;
        let answers: Vec<(MsgId, i64)> = messages(&opened).iter().filter_map(answered).collect();
        let update = messages(&opened)
            .into_iter()
            .find(|message| matches!(body::read_update(&body::unpacked(&message.body)), Update::Numbered(_)));
        match (fault, answers.first(), update) {
            (Fault::LostAnswer, Some(_), _) => {
                self.note(|| "fault: an answer is not sent".to_owned());
                self.oracle.tampered(client);
                None
            }
            (Fault::DetailedInfo, Some(_), _) => {
                self.note(|| "fault: an answer is announced only".to_owned());
                self.oracle.tampered(client);
                for (answer, req) in answers {
                    let info = words(constructors::MSG_DETAILED_INFO).long(req).long(answer.0).int(100).int(0);
                    self.say(slot, Said::plain(info.done()));
                }
                None
            }
            (Fault::DuplicateAnswer, Some((_, req)), _) => {
                let (slot, req) = (found.number, MsgId(*req));
                let later = self.faults.dice().spread(Duration::from_millis(100), Duration::from_secs(30));
                self.at(self.time + later, Event::AnswerAgain { slot, req });
                Some(frame)
            }
            (Fault::DuplicateUpdate, _, Some(update)) => {
                if let Some(conn) = found.owner {
                    self.carry(conn, Side::Server, frame);
                }
                let again = nonsense::container(&[(update.msg_id, update.seq_no, update.body)]);
                self.say(slot, Said::plain(again));
                None
            }
            _ => {
                self.faults.struck[fault as usize] -= 1;
                Some(frame)
            }
        }
    }

    /// Answers a request again, with something else. Only where the real answer has come: before that, nobody could tell.
    pub(super) fn answer_again(&mut self, number: u64, req: MsgId) {
        let Some(slot) = self.server.position(number) else { return };
        let asked = self.server.slots[slot].executed.get(&req).copied();
        if !asked.is_some_and(|asked| self.oracle.has_ended(asked)) {
            return;
        }
        let other = body::answer(&self.faults.dice().long().to_le_bytes());
        self.say(slot, Said::content(words(constructors::RPC_RESULT).long(req.0).raw(&other).done()));
    }

    /// A transport error for no reason.
    pub(super) fn transport_error(&mut self, client: usize, code: i32) {
        if let Some(conn) = self.slot_in_use(client).and_then(|slot| self.server.slots[slot].owner) {
            self.refuse_below(conn, code);
        }
    }

    /// The server's side of the session that a client is in.
    fn slot_in_use(&self, client: usize) -> Option<usize> {
        let session_id = self.clients.get(client)?.session.as_ref().map(Session::session_id)?;
        self.server.current_of(client, session_id)
    }

    /// Says something wrong to a client.
    pub(super) fn talk_nonsense(&mut self, client: usize, fault: Fault) {
        let Some(slot) = self.slot_in_use(client) else { return };
        let now = self.server.machine.now(self.time);
        let recent: Vec<MsgId> = self.recent_messages(client);
        let said = nonsense::about(fault, now, &recent, self.faults.dice());
        let lie = match fault {
            // "Nothing before this is known to me", or "send me that again": of what was executed, that is not true.
            Fault::NewSession | Fault::AskBack => true,
            _ => false,
        };
        if lie {
            self.oracle.lied_to(client);
        }
        self.say(slot, said);
    }

    /// Identifiers of messages that a client may have sent a moment ago.
    fn recent_messages(&mut self, client: usize) -> Vec<MsgId> {
        let now = self.clients[client].now(self.time);
        let Some(session) = &self.clients[client].session else { return Vec::new() };
        let time = crate::mtproto::msg_id::at(session.server_time(now));
        (0..4).map(|_| MsgId((time.0 - self.faults.dice().within(0, 60 << 32).cast_signed()) & !3)).collect()
    }

    /// Seals what was made by hand and sends it.
    pub(super) fn say(&mut self, slot: usize, said: Said) {
        let now = self.server.machine.now(self.time);
        let Some(found) = self.server.slots.get_mut(slot) else { return };
        let (Some(conn), session_id, key_id) = (found.owner, found.session_id, found.key_id) else { return };
        let made = found.forger.next(now.wall, Origin::Notice, self.faults.dice().rng());
        let header = Header {
            salt: Salt(self.faults.dice().long()),
            session_id: said.session.unwrap_or(session_id),
            msg_id: said.msg_id.unwrap_or(made),
            seq_no: SeqNo(if said.content { 2_000_001 } else { 2_000_000 }),
        };
        let Some(key) = self.server.key(key_id).cloned() else { return };
        let body = said.body_of(header.msg_id);
        let frame = envelope::seal(&key, Side::Server, &header, &[&body], self.server.rng());
        self.carry(conn, Side::Server, frame);
    }
}

/// The message that answers, and the request that it answers.
fn answered(message: &Message) -> Option<(MsgId, i64)> {
    if constructor(&message.body) != constructors::RPC_RESULT {
        return None;
    }
    let req = message.body.get(4..)?.first_chunk::<8>()?;
    Some((message.msg_id, i64::from_le_bytes(*req)))
}
