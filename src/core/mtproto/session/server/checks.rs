//! What a server checks of a client's messages, and the notices that it answers with.
//!
//! A notice names the message or the container that was ignored, and why: see "Service Messages about Messages", Notice of Ignored
//! Error Message. A container is accepted or refused as a whole, so all of it is checked before any of it is remembered.

use super::{Server, Status};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::{MsgId, SeqNo},
    mtproto::{
        container::{self, constructor},
        envelope::Opened,
        msg_id::Novelty,
        session::{
            core::Core,
            error::{ApiMisuse, PeerMisbehaved, SessionError},
            event::Event,
            inbound::Message,
            service::{self, ids},
        },
        wrappers,
    },
    trace,
};

impl Server {
    /// One message whose envelope is in order.
    pub(in super::super) fn receive(&mut self, core: &mut Core, now: Now, opened: Opened) -> Result<(), SessionError> {
        core.check_session(&opened)?;
        let salt = opened.salt;
        let outer = Message { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body, container: None };
        let msg_id = outer.msg_id;
        check_parity(&outer, Check::ClientParity).map_err(|error| refuse(core, now, &outer, 18, error))?;
        // First of all, whether it was received before: a notice about a copy would be taken for one about the message, and what was
        // executed would be sent again as something new.
        let is_container = constructor(&outer.body) == container::ID;
        match core.seen.check(msg_id) {
            // Whether it can be told is asked last: a message with a wrong time is to hear that.
            Novelty::New | Novelty::TooOld { .. } => {}
            Novelty::Duplicate if !broken(Check::ClientNovelty, true) => {}
            Novelty::Duplicate if is_container => {
                if core.seen.find(msg_id).is_some_and(|seen| seen.is_container) {
                    // The network has doubled it: what is in it has been dealt with.
                    return Err(PeerMisbehaved::Duplicate { msg_id }.into());
                }
                if broken(Check::ContainerIdFree, true) {
                    return Err(refuse(core, now, &outer, 19, PeerMisbehaved::ContainerIdCollision { msg_id }));
                }
            }
            Novelty::Duplicate => {
                self.handle_duplicate(core, now, &outer);
                return Err(PeerMisbehaved::Duplicate { msg_id }.into());
            }
        }
        core.check_window(now, msg_id).map_err(|error| {
            let code = if matches!(error, PeerMisbehaved::TooOld { .. }) { 16 } else { 17 };
            refuse(core, now, &outer, code, error)
        })?;
        let unix = core.server_unix(now);
        if broken(Check::Salt, !core.salts.accepts(salt, unix)) {
            let Some(current) = core.salts.current(unix).filter(|current| current.until > unix) else {
                return Err(ApiMisuse::NoValidSalt { unix }.into());
            };
            core.tracer.emit(now, || trace::Event::BadMsg { code: 48, msg_id });
            core.draft(service::bad_server_salt(msg_id, outer.seq_no, current.salt));
            return Err(SessionError::Notified(PeerMisbehaved::WrongSalt { msg_id }));
        }
        if let Novelty::TooOld { oldest } = core.seen.check(msg_id)
            && broken(Check::ClientMemory, true)
        {
            return Err(refuse(core, now, &outer, 20, PeerMisbehaved::BelowMemory { msg_id, oldest }));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = take_apart(core, &outer, &mut scratch);
        let result = match taken {
            Ok(()) => self.accept_all(core, now, &outer, is_container, &mut scratch.messages),
            Err((blamed, code, error)) => Err(refuse(core, now, &blamed, code, error)),
        };
        // Their bodies are not to be kept any longer; the room is.
        scratch.clear();
        self.scratch = scratch;
        result
    }

    /// The messages of a frame that passed its checks.
    fn accept_all(
        &mut self,
        core: &mut Core,
        now: Now,
        outer: &Message,
        is_container: bool,
        messages: &mut Vec<Message>,
    ) -> Result<(), SessionError> {
        let requests = messages.iter().filter(|message| is_request(message)).count();
        if broken(Check::RequestsAtOnce, self.running + requests > core.limits.requests) {
            return Err(PeerMisbehaved::Flood { limit: core.limits.requests }.into());
        }
        if is_container {
            core.seen.insert(outer.seen());
            core.trace_received(now, outer, || 0);
        }
        self.begin(core, now, messages);

        let mut first_error = None;
        for message in messages.drain(..) {
            if let Err(error) = self.accept(core, now, message) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// A message that passed the checks of its frame.
    fn accept(&mut self, core: &mut Core, now: Now, message: Message) -> Result<(), SessionError> {
        let msg_id = message.msg_id;
        match core.seen.check(msg_id) {
            Novelty::Duplicate if broken(Check::ClientNoveltyInside, true) => {
                self.handle_duplicate(core, now, &message);
                return Ok(());
            }
            Novelty::New | Novelty::Duplicate => {}
            Novelty::TooOld { oldest } => {
                return Err(refuse(core, now, &message, 20, PeerMisbehaved::BelowMemory { msg_id, oldest }));
            }
        }
        core.seen.insert(message.seen());
        core.trace_received(now, &message, || 0);
        if message.seq_no.is_content_related() {
            core.owe_ack(now, msg_id);
        }
        let (service, body) = core.read(&message)?;
        match service {
            Some(service) => Ok(self.handle(core, now, &Message { body, ..message }, service)?),
            None => {
                let (method, len) = (wrappers::method_of(&body), body.len());
                self.running += 1;
                self.remember(core, msg_id, Status::Running(method));
                core.tracer.emit(now, || trace::Event::RpcReceived { msg_id, method, len });
                core.events.push(Event::Request { msg_id, body });
                Ok(())
            }
        }
    }

    /// The client's first message, or one older than what was the first: tell it where the session begins.
    fn begin(&mut self, core: &mut Core, now: Now, messages: &[Message]) {
        let Some(lowest) = messages.iter().map(|message| message.msg_id).min() else { return };
        if self.first_msg_id.is_some_and(|first| first <= lowest) {
            return;
        }
        self.first_msg_id = Some(lowest);
        self.announce(core, now, lowest);
    }

    /// A message that was received before: its sender does not know that, or has not got the answer.
    fn handle_duplicate(&mut self, core: &mut Core, now: Now, message: &Message) {
        let msg_id = message.msg_id;
        if let Some(Status::Answered(answer)) = self.requests.get(&msg_id).copied()
            && let Some(kept) = self.kept.get(&answer)
        {
            if kept.body.len() <= super::RESEND_WHOLE {
                self.send_again(core, now, answer);
            } else if !kept.queued {
                core.draft(service::msg_detailed_info(msg_id, answer, kept.body.len()));
            }
            return;
        }
        if message.seq_no.is_content_related() {
            core.owe_ack(now, msg_id);
            core.acks_due = true;
        }
    }
}

/// Queues the notice that a message was ignored.
fn refuse(core: &mut Core, now: Now, message: &Message, code: i32, error: PeerMisbehaved) -> SessionError {
    core.tracer.emit(now, || trace::Event::BadMsg { code, msg_id: message.msg_id });
    if core.draft(service::bad_msg_notification(message.msg_id, message.seq_no, code)) {
        SessionError::Notified(error)
    } else {
        PeerMisbehaved::Flood { limit: core.limits.service_queue }.into()
    }
}

/// Room that is used again and again.
#[derive(Default)]
pub(super) struct Scratch {
    /// The messages of a frame.
    messages: Vec<Message>,
    /// Those among them that are new, by identifier, and where they stand.
    order: Vec<(MsgId, SeqNo, usize)>,
}

/// Messages for which there stays room. A frame with more is seldom, and sessions are many.
const ROOM: usize = 128;

impl Scratch {
    fn clear(&mut self) {
        self.messages.clear();
        self.messages.shrink_to(ROOM);
        self.order.clear();
        self.order.shrink_to(ROOM);
    }
}

/// The messages of a frame, each checked against what was received before and against the others. An error names the message to blame
/// and the code to answer with.
fn take_apart(core: &Core, outer: &Message, scratch: &mut Scratch) -> Result<(), (Message, i32, PeerMisbehaved)> {
    let msg_id = outer.msg_id;
    let blame = |message: &Message, code| {
        let message = message.clone();
        move |error| (message, code, error)
    };
    check_container_even(outer).map_err(blame(outer, 34))?;
    if constructor(&outer.body) != container::ID {
        scratch.messages.push(outer.clone());
        check_sequence(core, scratch)?;
        return check_odd(outer).map_err(blame(outer, 35));
    }
    let parsed =
        container::parse(&outer.body, msg_id).map_err(|error| blame(outer, 64)(PeerMisbehaved::Container { msg_id, error }))?;
    scratch.messages.extend(parsed.map(|message| Message::inner(message, msg_id)));
    for message in &scratch.messages {
        check_parity(message, Check::ClientParityInside).map_err(blame(message, 18))?;
        check_container_even(message).map_err(blame(message, 34))?;
        check_odd(message).map_err(blame(message, 35))?;
    }
    scratch.messages.push(outer.clone());
    check_sequence(core, scratch)?;
    scratch.messages.pop();
    Ok(())
}

/// "Client message identifiers are divisible by 4."
fn check_parity(message: &Message, check: Check) -> Result<(), PeerMisbehaved> {
    if broken(check, !message.msg_id.is_from_client()) {
        return Err(PeerMisbehaved::WrongParity { msg_id: message.msg_id });
    }
    Ok(())
}

/// A container never demands to be acknowledged. Nor do acknowledgements, but there are clients that write them as if they did (mtcute),
/// and the public servers let them.
fn check_container_even(message: &Message) -> Result<(), PeerMisbehaved> {
    let constructor = constructor(&message.body);
    if broken(Check::SeqNoEven, message.seq_no.is_content_related() && constructor == container::ID) {
        return Err(PeerMisbehaved::SeqNoNotEven { msg_id: message.msg_id, constructor });
    }
    Ok(())
}

/// "A client must always mark all API-level RPC queries as content-related."
fn check_odd(message: &Message) -> Result<(), PeerMisbehaved> {
    if broken(Check::SeqNoOdd, is_request(message) && !message.seq_no.is_content_related()) {
        return Err(PeerMisbehaved::SeqNoNotOdd { msg_id: message.msg_id, constructor: constructor(&message.body) });
    }
    Ok(())
}

/// Whether a message is neither a service message nor (as far as can be told without unpacking) may be one.
fn is_request(message: &Message) -> bool {
    !matches!(
        constructor(&message.body),
        ids::RPC_RESULT
            | ids::RPC_DROP_ANSWER
            | ids::GET_FUTURE_SALTS
            | ids::FUTURE_SALTS
            | ids::PING
            | ids::PING_DELAY_DISCONNECT
            | ids::PONG
            | ids::DESTROY_SESSION
            | ids::DESTROY_SESSION_OK
            | ids::DESTROY_SESSION_NONE
            | ids::DESTROY_AUTH_KEY
            | ids::DESTROY_AUTH_KEY_OK
            | ids::DESTROY_AUTH_KEY_NONE
            | ids::DESTROY_AUTH_KEY_FAIL
            | ids::NEW_SESSION_CREATED
            | ids::MSG_COPY
            | ids::HTTP_WAIT
            | ids::MSGS_ACK
            | ids::BAD_MSG_NOTIFICATION
            | ids::BAD_SERVER_SALT
            | ids::MSGS_STATE_REQ
            | ids::MSGS_STATE_INFO
            | ids::MSGS_ALL_INFO
            | ids::MSG_DETAILED_INFO
            | ids::MSG_NEW_DETAILED_INFO
            | ids::MSG_RESEND_REQ
            | ids::MSG_RESEND_ANS_REQ
            | container::ID
    )
}

/// Identifiers and sequence numbers rise together; only messages that need no acknowledgement may repeat a number.
fn check_sequence(core: &Core, scratch: &mut Scratch) -> Result<(), (Message, i32, PeerMisbehaved)> {
    let Scratch { messages, order } = scratch;
    let new = messages.iter().enumerate().filter(|(_, message)| core.seen.check(message.msg_id) == Novelty::New);
    order.extend(new.map(|(at, message)| (message.msg_id, message.seq_no, at)));
    order.sort_unstable();
    let blamed = |at: usize| messages.get(at).cloned();
    let mut within: Option<(MsgId, SeqNo)> = None;
    for &(msg_id, found, at) in order.iter() {
        let (before, after) = core.seen.neighbours(msg_id);
        let before = before.map(|seen| (seen.msg_id, seen.seq_no)).max(within);
        let clash = |low: SeqNo, high: SeqNo| low > high || (low == high && low.is_content_related());
        if let Some((_, before)) = before.filter(|(_, before)| broken(Check::SeqNoRises, clash(*before, found))) {
            let Some(message) = blamed(at) else { continue };
            return Err((message, 32, PeerMisbehaved::SeqNoTooLow { msg_id, found, before }));
        }
        if let Some(after) = after.map(|seen| seen.seq_no).filter(|after| broken(Check::SeqNoBelowNewer, clash(found, *after)))
        {
            let Some(message) = blamed(at) else { continue };
            return Err((message, 33, PeerMisbehaved::SeqNoTooHigh { msg_id, found, after }));
        }
        within = Some((msg_id, found));
    }
    Ok(())
}
