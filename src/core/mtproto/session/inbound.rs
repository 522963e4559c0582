//! Checks of received messages, and taking containers and packed objects apart.
//!
//! See "Security Guidelines for Client Developers", Checking session_id, Checking msg_id. The order is TDLib's: session, parity,
//! duplicates, time. What fails leaves no trace in the memory of received messages.

use bytes::Bytes;

use super::{
    Role, Session,
    core::Core,
    error::{ApiMisuse, PeerMisbehaved, SessionError},
    service::{self, ReadError, Service, ids},
};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::{MsgId, SeqNo},
    mtproto::{
        container::{self, constructor},
        envelope::Opened,
        gzip,
        msg_id::{Novelty, Seen},
        time::{MAX_AGE_SECS, MAX_LEAD_SECS},
    },
    trace::{self, Layer},
};

/// A message that came in, bare or in a container.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    pub(super) body: Bytes,
    pub(super) container: Option<MsgId>,
}

impl Message {
    pub(super) fn inner(message: container::Message, container: MsgId) -> Self {
        Self { msg_id: message.msg_id, seq_no: message.seq_no, body: message.body, container: Some(container) }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            msg_id: self.msg_id,
            seq_no: self.seq_no,
            is_container: constructor(&self.body) == container::ID,
            acknowledged: false,
        }
    }
}

/// The blame for a service message that does not parse.
pub(super) fn malformed(message: &Message, error: ReadError) -> PeerMisbehaved {
    let msg_id = message.msg_id;
    match error {
        ReadError::Wire(error) => PeerMisbehaved::Malformed { msg_id, constructor: constructor(&message.body), error },
        ReadError::TooManyIds(found) => PeerMisbehaved::TooManyIds { msg_id, found },
    }
}

impl Core {
    /// The message is of our session.
    pub(super) fn check_session(&self, opened: &Opened) -> Result<(), PeerMisbehaved> {
        let (found, expected) = (opened.session_id, self.session_id);
        if broken(Check::SessionOurs, found != expected) {
            return Err(PeerMisbehaved::WrongSession { found, expected });
        }
        Ok(())
    }

    /// The identifier is not over 300 seconds old and not over 30 seconds early.
    pub(super) fn check_window(&self, now: Now, msg_id: MsgId) -> Result<(), PeerMisbehaved> {
        let age = self.server_unix(now) - msg_id.unix();
        if broken(Check::MessageAge, age > MAX_AGE_SECS) {
            return Err(PeerMisbehaved::TooOld { msg_id, age });
        }
        if broken(Check::MessageLead, -age > MAX_LEAD_SECS) {
            return Err(PeerMisbehaved::TooEarly { msg_id, lead: -age });
        }
        Ok(())
    }

    /// `method`: for an `rpc_result`, the method that it answers, if that is known.
    pub(super) fn trace_received(&self, now: Now, message: &Message, method: impl FnOnce() -> u32) {
        self.tracer.emit(now, || trace::Event::MessageReceived {
            msg_id: message.msg_id,
            seq_no: message.seq_no,
            constructor: constructor(&message.body),
            len: message.body.len(),
            container: message.container,
        });
        // What is in a container follows it.
        if self.tracer.wants(Layer::Tl) && constructor(&message.body) != container::ID {
            self.tracer.emit(now, || trace::Event::Body {
                sent: false,
                msg_id: message.msg_id,
                method: method(),
                len: message.body.len(),
                bytes: message.body.clone(),
            });
        }
    }

    /// Reads a message, unpacking it if it is packed. `None` with the body if it is no service message.
    pub(super) fn read(&mut self, message: &Message) -> Result<(Option<Service>, Bytes), PeerMisbehaved> {
        let msg_id = message.msg_id;
        match service::read(&message.body).map_err(|error| malformed(message, error))? {
            Some(Service::Gzip(data)) => {
                let body = self.unpack(msg_id, &data)?;
                let inner = Message { body, ..message.clone() };
                match constructor(&inner.body) {
                    constructor @ (gzip::ID | container::ID | ids::MSG_COPY) if broken(Check::PackedObject, true) => {
                        Err(PeerMisbehaved::PackedWrongly { msg_id, constructor })
                    }
                    _ => Ok((service::read(&inner.body).map_err(|error| malformed(&inner, error))?, inner.body)),
                }
            }
            service => Ok((service, message.body.clone())),
        }
    }
}

impl Session {
    /// One message whose envelope is in order.
    pub(super) fn receive(&mut self, now: Now, opened: Opened) -> Result<(), SessionError> {
        if !self.is_ready_for_input() {
            return Err(ApiMisuse::NotReady.into());
        }
        self.note_clocks(now);
        self.core.unpack_left = self.core.limits.unpacked;
        let result = match &mut self.role {
            Role::Client(client) => receive_as_client(client, &mut self.core, now, opened).map_err(SessionError::from),
            Role::Server(server) => server.receive(&mut self.core, now, opened),
        };
        if let Err(error) = &result {
            self.core.tracer.emit(now, || trace::Event::CheckFailed { rule: error.rule().into(), detail: error.to_string() });
        }
        result
    }
}

fn receive_as_client(
    client: &mut super::client::Client,
    core: &mut Core,
    now: Now,
    opened: Opened,
) -> Result<(), PeerMisbehaved> {
    if client.is_retired(opened.session_id) {
        let reason = "its session was reset".into();
        core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id: opened.msg_id, reason });
        return Ok(());
    }
    core.check_session(&opened)?;
    let session_id = opened.session_id;
    let outer = Message { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body, container: None };
    let msg_id = outer.msg_id;
    check_parity(&outer, Check::Parity)?;
    check_novelty(core, now, &outer, Check::Novelty)?;
    let kind = constructor(&outer.body);
    // "Certain service messages … may, nonetheless, be processed on the client even if the time appears to be incorrect": those that
    // tell us that ours is wrong. Until a message of this connection has confirmed our clock, ours is not to be relied on either.
    let about_our_time = matches!(kind, ids::BAD_MSG_NOTIFICATION | ids::BAD_SERVER_SALT);
    if core.clock.is_confirmed() && !about_our_time {
        core.check_window(now, msg_id)?;
    }

    // A container is accepted or refused as a whole.
    check_even(&outer)?;
    let inside = if kind == container::ID {
        let parsed = container::parse(&outer.body, msg_id).map_err(|error| PeerMisbehaved::Container { msg_id, error })?;
        let mut messages = parsed.clone().map(|message| Message::inner(message, msg_id));
        messages.try_for_each(|message| check_parity(&message, Check::ParityInside).and_then(|()| check_even(&message)))?;
        core.seen.insert(outer.seen());
        core.trace_received(now, &outer, || 0);
        Some(parsed)
    } else {
        None
    };
    if !about_our_time {
        core.clock.observe(now, msg_id.unix());
        core.report_offset(now);
    }
    client.heard(core, now);

    let Some(inside) = inside else { return accept_anew(client, core, now, outer) };
    let mut first_error = None;
    // News of a new session comes first: what the others say is said by that one.
    let place = inside.clone().position(|message| constructor(&message.body) == ids::NEW_SESSION_CREATED);
    let news = place.and_then(|place| inside.clone().nth(place));
    let others = inside.enumerate().filter(|(at, _)| Some(*at) != place).map(|(_, message)| message);
    for message in news.into_iter().chain(others).map(|message| Message::inner(message, msg_id)) {
        if core.session_id != session_id {
            // A message before this one has ended the session that they all belong to, and with it the memory of what was received.
            let reason = "its session was reset".into();
            core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id: message.msg_id, reason });
            continue;
        }
        if let Err(error) = accept_anew(client, core, now, message) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// [`accept`], passing over a duplicate. A lone one in a container is everyday: an answer that was sent again, with others.
fn accept_anew(client: &mut super::client::Client, core: &mut Core, now: Now, message: Message) -> Result<(), PeerMisbehaved> {
    match accept(client, core, now, message) {
        Err(PeerMisbehaved::Duplicate { msg_id }) => {
            let reason = "it was received before".into();
            core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id, reason });
            Ok(())
        }
        other => other,
    }
}

/// A message that passed the checks of its frame.
fn accept(client: &mut super::client::Client, core: &mut Core, now: Now, message: Message) -> Result<(), PeerMisbehaved> {
    if message.container.is_some() {
        check_novelty(core, now, &message, Check::NoveltyInside)?;
    }
    core.seen.insert(message.seen());
    core.trace_received(now, &message, || client.method_answered(&message.body));
    if message.seq_no.is_content_related() {
        core.owe_ack(now, message.msg_id);
    }
    let (service, body) = core.read(&message)?;
    match service {
        // `msg_copy#e06046b2 orig_message:Message`: as if the wrapper were not there.
        Some(Service::Copy(copied)) => {
            if broken(Check::CopyIdOrder, copied.msg_id >= message.msg_id) {
                let error = container::ContainerError::InnerIdNotLower { inner: copied.msg_id, container: message.msg_id };
                return Err(PeerMisbehaved::Container { msg_id: message.msg_id, error });
            }
            if broken(Check::CopyNested, matches!(constructor(&copied.body), ids::MSG_COPY | container::ID)) {
                let error = container::ContainerError::Nested { index: 0 };
                return Err(PeerMisbehaved::Container { msg_id: message.msg_id, error });
            }
            let copied = Message::inner(copied, message.msg_id);
            check_parity(&copied, Check::ParityOfCopy)?;
            accept(client, core, now, copied)
        }
        Some(service) => client.handle(core, now, &Message { body, ..message }, service),
        None => {
            client.handle_update(core, now, body);
            Ok(())
        }
    }
}

/// "Odd parity for messages from server to client."
fn check_parity(message: &Message, check: Check) -> Result<(), PeerMisbehaved> {
    if broken(check, !message.msg_id.is_from_server()) {
        return Err(PeerMisbehaved::WrongParity { msg_id: message.msg_id });
    }
    Ok(())
}

/// A container or an acknowledgement never demands to be acknowledged.
pub(super) fn check_even(message: &Message) -> Result<(), PeerMisbehaved> {
    let constructor = constructor(&message.body);
    let must_be_even = matches!(constructor, container::ID | ids::MSGS_ACK);
    if broken(Check::SeqNoEven, must_be_even && message.seq_no.is_content_related()) {
        return Err(PeerMisbehaved::SeqNoNotEven { msg_id: message.msg_id, constructor });
    }
    Ok(())
}

/// A message received before is acknowledged again: our acknowledgement must have been lost.
fn check_novelty(core: &mut Core, now: Now, message: &Message, check: Check) -> Result<(), PeerMisbehaved> {
    let msg_id = message.msg_id;
    match core.seen.check(msg_id) {
        Novelty::Duplicate if broken(check, true) => {
            if message.seq_no.is_content_related() {
                core.owe_ack(now, msg_id);
            }
            Err(PeerMisbehaved::Duplicate { msg_id })
        }
        Novelty::TooOld { oldest } if broken(Check::Memory, true) => Err(PeerMisbehaved::BelowMemory { msg_id, oldest }),
        Novelty::New | Novelty::Duplicate | Novelty::TooOld { .. } => Ok(()),
    }
}
