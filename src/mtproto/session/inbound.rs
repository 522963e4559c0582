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
        if opened.session_id == self.session_id {
            return Ok(());
        }
        Err(PeerMisbehaved::WrongSession { found: opened.session_id, expected: self.session_id })
    }

    /// The identifier is not over 300 seconds old and not over 30 seconds early.
    pub(super) fn check_window(&self, now: Now, msg_id: MsgId) -> Result<(), PeerMisbehaved> {
        let age = self.server_unix(now) - msg_id.unix();
        if age > MAX_AGE_SECS {
            return Err(PeerMisbehaved::TooOld { msg_id, age });
        }
        if -age > MAX_LEAD_SECS {
            return Err(PeerMisbehaved::TooEarly { msg_id, lead: -age });
        }
        Ok(())
    }

    pub(super) fn trace_received(&self, now: Now, message: &Message) {
        self.tracer.emit(now, || trace::Event::MessageReceived {
            msg_id: message.msg_id,
            seq_no: message.seq_no,
            constructor: constructor(&message.body),
            len: message.body.len(),
            container: message.container,
        });
        if self.tracer.wants(Layer::Tl) {
            self.tracer.emit(now, || trace::Event::Body { sent: false, msg_id: message.msg_id, bytes: message.body.clone() });
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
                    constructor @ (gzip::ID | container::ID | ids::MSG_COPY) => {
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
            self.core.tracer.emit(now, || trace::Event::CheckFailed { rule: error.rule(), detail: error.to_string() });
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
        let reason = "its session was reset";
        core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id: opened.msg_id, reason });
        return Ok(());
    }
    core.check_session(&opened)?;
    let outer = Message { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body, container: None };
    let msg_id = outer.msg_id;
    check_parity(&outer)?;
    check_novelty(core, now, &outer)?;
    let kind = constructor(&outer.body);
    // "Certain service messages … may, nonetheless, be processed on the client even if the time appears to be incorrect": those that
    // tell us that ours is wrong. Until a message of this connection has confirmed our clock, ours is not to be relied on either.
    let about_our_time = matches!(kind, ids::BAD_MSG_NOTIFICATION | ids::BAD_SERVER_SALT);
    if core.clock.is_confirmed() && !about_our_time {
        core.check_window(now, msg_id)?;
    }

    // A container is accepted or refused as a whole.
    let messages = if kind == container::ID {
        check_even(&outer)?;
        let parsed = container::parse(&outer.body, msg_id).map_err(|error| PeerMisbehaved::Container { msg_id, error })?;
        let messages: Vec<Message> = parsed.map(|message| Message::inner(message, msg_id)).collect();
        messages.iter().try_for_each(|message| check_parity(message).and_then(|()| check_even(message)))?;
        core.seen.insert(outer.seen());
        core.trace_received(now, &outer);
        messages
    } else {
        check_even(&outer)?;
        vec![outer]
    };
    if !about_our_time {
        core.clock.observe(now, msg_id.unix());
        core.report_offset(now);
    }
    client.heard(core, now);

    let mut first_error = None;
    for message in messages {
        if let Err(error) = accept(client, core, now, message) {
            // A lone duplicate in a container is everyday: an answer that was sent again, with others.
            if let PeerMisbehaved::Duplicate { msg_id } = error {
                let reason = "it was received before";
                core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id, reason });
            } else {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// A message that passed the checks of its frame.
fn accept(client: &mut super::client::Client, core: &mut Core, now: Now, message: Message) -> Result<(), PeerMisbehaved> {
    if message.container.is_some() {
        check_novelty(core, now, &message)?;
    }
    core.seen.insert(message.seen());
    core.trace_received(now, &message);
    if message.seq_no.is_content_related() {
        core.owe_ack(now, message.msg_id);
    }
    let (service, body) = core.read(&message)?;
    match service {
        // `msg_copy#e06046b2 orig_message:Message`: as if the wrapper were not there.
        Some(Service::Copy(copied)) => {
            if copied.msg_id >= message.msg_id {
                let error = container::ContainerError::InnerIdNotLower { inner: copied.msg_id, container: message.msg_id };
                return Err(PeerMisbehaved::Container { msg_id: message.msg_id, error });
            }
            if matches!(constructor(&copied.body), ids::MSG_COPY | container::ID) {
                let error = container::ContainerError::Nested { index: 0 };
                return Err(PeerMisbehaved::Container { msg_id: message.msg_id, error });
            }
            let copied = Message::inner(copied, message.msg_id);
            check_parity(&copied)?;
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
fn check_parity(message: &Message) -> Result<(), PeerMisbehaved> {
    if message.msg_id.is_from_server() { Ok(()) } else { Err(PeerMisbehaved::WrongParity { msg_id: message.msg_id }) }
}

/// A container or an acknowledgement never demands to be acknowledged.
pub(super) fn check_even(message: &Message) -> Result<(), PeerMisbehaved> {
    let constructor = constructor(&message.body);
    if message.seq_no.is_content_related() && matches!(constructor, container::ID | ids::MSGS_ACK) {
        return Err(PeerMisbehaved::SeqNoNotEven { msg_id: message.msg_id, constructor });
    }
    Ok(())
}

/// A message received before is acknowledged again: our acknowledgement must have been lost.
fn check_novelty(core: &mut Core, now: Now, message: &Message) -> Result<(), PeerMisbehaved> {
    let msg_id = message.msg_id;
    match core.seen.check(msg_id) {
        Novelty::New => Ok(()),
        Novelty::Duplicate => {
            if message.seq_no.is_content_related() {
                core.owe_ack(now, msg_id);
            }
            Err(PeerMisbehaved::Duplicate { msg_id })
        }
        Novelty::TooOld { oldest } => Err(PeerMisbehaved::BelowMemory { msg_id, oldest }),
    }
}
