//! Frames to be sent: the bodies of messages, what fits together, and how a frame is filled and sealed.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    Query,
    acks::MAX_IDS,
    client::RequestId,
    core::Core,
    ledger::{Ledger, Listed, Service},
    service,
    timer::Timer,
};
use crate::{
    clock::Now,
    ids::{MsgId, Salt, SeqNo},
    mtproto::{
        container,
        envelope::{self, Header, Side},
        msg_id::Origin,
    },
    trace::{self, Layer},
};

/// The most messages that we put into a container. The protocol allows 1024.
pub(super) const MAX_CONTAINER_MESSAGES: usize = 1000;

/// The most bytes that we put into a container of several messages. A longer message travels alone.
pub(super) const MAX_CONTAINER_BYTES: usize = 32 << 10;

/// The longest head of a body, in bytes: a pong, which is nothing else.
const HEAD: usize = 20;

/// A message's body: what precedes it, and the object itself, which is not copied until the frame is sealed.
#[derive(Clone)]
pub(super) struct Body {
    head: [u8; HEAD],
    head_len: usize,
    tail: Tail,
    /// The method that an `rpc_result` answers, for the trace; 0 if it is none, or not known.
    method: u32,
}

#[derive(Clone)]
enum Tail {
    Object(Query),
    /// Identifiers, which the ledger keeps.
    Ids(Listed),
}

impl From<Bytes> for Body {
    fn from(tail: Bytes) -> Self {
        Query::from(tail).into()
    }
}

impl From<Query> for Body {
    fn from(tail: Query) -> Self {
        Self { head: [0; HEAD], head_len: 0, tail: Tail::Object(tail), method: 0 }
    }
}

impl Body {
    /// `invokeAfterMsg#cb9f372d {X:Type} msg_id:long query:!X = X` or
    /// `invokeAfterMsgs#3dc4b4f0 {X:Type} msg_ids:Vector<long> query:!X = X`; with nothing before it the request itself.
    pub(super) fn after(before: &[MsgId], query: Query) -> Self {
        match before {
            [] => query.into(),
            [only] => Self::headed(service::invoke_after_msg_header(*only), Tail::Object(query)),
            several => query.behind(&service::invoke_after_msgs_header(several)).into(),
        }
    }

    /// `rpc_result`, with the method that it answers.
    pub(super) fn answer(req: MsgId, result: Bytes, method: u32) -> Self {
        Self { method, ..Self::headed(service::rpc_result_header(req), Tail::Object(result.into())) }
    }

    /// `msgs_ack`.
    fn acks(ids: Listed) -> Self {
        Self::headed(service::msgs_ack_header(ids.len), Tail::Ids(ids))
    }

    /// A short message: a ping, a pong.
    pub(super) fn short<const N: usize>(message: [u8; N]) -> Self {
        Self::headed(message, Tail::Object(Bytes::new().into()))
    }

    fn headed<const N: usize>(head: [u8; N], tail: Tail) -> Self {
        const { assert!(N <= HEAD, "a head that long has no room") };
        let mut padded = [0; HEAD];
        padded[..N].copy_from_slice(&head);
        Self { head: padded, head_len: N, tail, method: 0 }
    }

    pub(super) fn len(&self) -> usize {
        let tail = match &self.tail {
            Tail::Object(object) => object.len(),
            Tail::Ids(ids) => 8 * ids.len,
        };
        self.head_len + tail
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    fn write(&self, ledger: &Ledger, out: &mut BytesMut) {
        out.put_slice(self.head());
        match &self.tail {
            Tail::Object(object) => object.pieces().into_iter().for_each(|piece| out.put_slice(piece)),
            Tail::Ids(ids) => ledger.ids(*ids).for_each(|id| out.put_i64_le(id.0)),
        }
    }

    fn to_bytes(&self, ledger: &Ledger) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        self.write(ledger, &mut out);
        out.freeze()
    }

    fn constructor(&self) -> u32 {
        match (&self.tail, self.head()) {
            (Tail::Object(object), []) => container::constructor(object.head()),
            (_, head) => container::constructor(head),
        }
    }
}

/// A message on its way into a frame.
pub(super) struct Ready {
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    pub(super) body: Body,
}

/// A frame being put together.
#[derive(Default)]
pub(super) struct Frame {
    messages: Vec<Ready>,
    bytes: usize,
    wrap: bool,
    /// The requests in it that want a quick acknowledgement.
    pub(super) quick: Vec<RequestId>,
    /// There is a request in it.
    request: bool,
    /// No request joins what is in it.
    alone: bool,
    /// Nothing joins what is in it.
    full: bool,
}

impl Frame {
    /// An empty frame that has the room of an earlier one.
    pub(super) fn reusing(spare: Vec<Ready>) -> Self {
        Self { messages: spare, ..Self::default() }
    }

    /// Gives the room of a frame back of which nothing has become.
    pub(super) fn into_spare(self) -> Vec<Ready> {
        self.messages
    }

    /// Bytes of the messages in it, each without what a container adds.
    pub(super) fn len(&self) -> usize {
        self.messages.iter().map(|message| message.body.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of `len` bytes fits. A long one fits only an empty frame.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.messages.is_empty() || len <= self.room()
    }

    /// The longest message that may join those that are in it, in bytes.
    pub(super) fn room(&self) -> usize {
        if self.full || self.messages.len() >= MAX_CONTAINER_MESSAGES {
            return 0;
        }
        MAX_CONTAINER_BYTES.saturating_sub(self.bytes + container::MESSAGE_HEADER_LEN)
    }

    /// Whether a request of `len` bytes fits.
    pub(super) fn has_room_for_request(&self, len: usize, alone: bool, bare: bool) -> bool {
        self.has_room(len) && !self.alone && !(alone && self.request) && (!bare || self.messages.is_empty())
    }

    pub(super) fn push(&mut self, message: Ready) {
        let len = message.body.len() + container::MESSAGE_HEADER_LEN;
        self.bytes += len;
        self.full |= len > MAX_CONTAINER_BYTES;
        self.messages.push(message);
    }

    /// Adds a request. `alone`: no other request joins it. `bare`: nothing does.
    pub(super) fn push_request(&mut self, message: Ready, alone: bool, bare: bool) {
        self.request = true;
        self.alone |= alone;
        self.full |= bare;
        self.push(message);
    }

    /// The frame needs a container even for one message.
    pub(super) fn wrap(&mut self) {
        self.wrap = true;
    }
}

impl Core {
    /// Puts the waiting messages about messages into a frame.
    pub(super) fn fill_drafts(&mut self, now: Now, frame: &mut Frame) {
        let origin = self.answering();
        while let Some(body) = self.drafts.front() {
            if !frame.has_room(body.len()) {
                return;
            }
            let Some(body) = self.drafts.pop_front() else { return };
            self.add_service(now, frame, origin, false, body, Service::Note);
        }
    }

    /// Puts the acknowledgements that we owe into a frame, if it has something in it or they are due.
    pub(super) fn fill_acks(&mut self, now: Now, frame: &mut Frame) {
        if self.acks.is_empty() {
            self.acks_due = false;
            self.timers.stop(Timer::Acks);
            return;
        }
        if frame.is_empty() && !self.acks_due {
            return;
        }
        let most = if frame.is_empty() { MAX_IDS } else { frame.room().saturating_sub(12) / 8 };
        let (ledger, seen) = (&mut self.ledger, &mut self.seen);
        let ids = self.acks.take(most);
        if ids.len() == 0 {
            return;
        }
        let ids = ledger.list(ids.inspect(|id| seen.mark_acknowledged(*id)));
        self.tracer.emit(now, || trace::Event::AcksSent { ids: self.ledger.ids(ids).collect() });
        let origin = self.answering();
        self.add_service(now, frame, origin, false, Body::acks(ids), Service::Acks(ids));
        self.acks_due = !self.acks.is_empty();
        if !self.acks_due {
            self.timers.stop(Timer::Acks);
        }
    }

    /// Puts a service message into a frame and remembers it. Returns its identifier.
    pub(super) fn add_service(
        &mut self,
        now: Now,
        frame: &mut Frame,
        origin: Origin,
        content_related: bool,
        body: impl Into<Body>,
        service: Service,
    ) -> MsgId {
        let (msg_id, seq_no) = self.allocate(now, origin, content_related);
        self.ledger.insert(msg_id, service);
        frame.push(Ready { msg_id, seq_no, body: body.into() });
        msg_id
    }

    /// Encrypts a frame. One message travels bare, several in a container; so does one that is sent again: "the message must not be
    /// re-sent on its own with the same msg_id".
    ///
    /// Returned with it is the token of a quick acknowledgement.
    pub(super) fn seal(&mut self, now: Now, frame: Frame) -> (BytesMut, u32) {
        let (composed, header, body_len) = self.compose(now, frame);
        let (sealed, token) = envelope::seal_composed(&self.auth_key, self.side, composed);
        self.tracer.emit(now, || trace::Event::Envelope {
            sent: true,
            auth_key_id: self.auth_key.id(),
            len: sealed.len(),
            msg_key: trace::Verdict::Ok,
            inner: Some(header.inner(body_len, sealed.len())),
            token: Some(token).filter(|_| self.side == Side::Client),
        });
        (sealed, token)
    }

    /// All of [`seal`](Self::seal) but the encryption, and what the trace says of that. With it come the header and the length of the body.
    pub(super) fn compose(&mut self, now: Now, frame: Frame) -> (BytesMut, Header, usize) {
        let unix = self.server_unix(now);
        let salt = self.salts.current(unix).map_or(Salt(0), |salt| salt.salt);
        let Frame { mut messages, wrap, .. } = frame;
        let (composed, header, body_len) = match &messages[..] {
            [only] if !wrap => {
                self.trace_sent(now, only, None);
                let header = Header { salt, session_id: self.session_id, msg_id: only.msg_id, seq_no: only.seq_no };
                let (body, ledger) = (&only.body, &self.ledger);
                let write = |out: &mut BytesMut| body.write(ledger, out);
                let len = body.len();
                (envelope::compose(&self.auth_key, &header, len, write, &mut self.rng), header, len)
            }
            _ => {
                let origin = self.answering();
                let (msg_id, seq_no) = self.allocate(now, origin, false);
                let each = |message: &Ready| container::MESSAGE_HEADER_LEN + message.body.len();
                let len = container::HEADER_LEN + messages.iter().map(each).sum::<usize>();
                let constructor = container::ID;
                self.tracer.emit(now, || trace::Event::MessageSent { msg_id, seq_no, constructor, len, container: None });
                for message in &messages {
                    self.trace_sent(now, message, Some(msg_id));
                }
                let inside = self.ledger.list(messages.iter().map(|message| message.msg_id));
                self.ledger.insert(msg_id, Service::Container(inside));
                let ledger = &self.ledger;
                let write = |out: &mut BytesMut| {
                    out.put_slice(&container::header(messages.len()));
                    for Ready { msg_id, seq_no, body } in &messages {
                        out.put_slice(&container::message_header(*msg_id, *seq_no, body.len()));
                        body.write(ledger, out);
                    }
                };
                let header = Header { salt, session_id: self.session_id, msg_id, seq_no };
                (envelope::compose(&self.auth_key, &header, len, write, &mut self.rng), header, len)
            }
        };
        messages.clear();
        self.spare = messages;
        (composed, header, body_len)
    }

    fn trace_sent(&self, now: Now, message: &Ready, container: Option<MsgId>) {
        self.tracer.emit(now, || trace::Event::MessageSent {
            msg_id: message.msg_id,
            seq_no: message.seq_no,
            constructor: message.body.constructor(),
            len: message.body.len(),
            container,
        });
        if self.tracer.wants(Layer::Tl) {
            self.tracer.emit(now, || trace::Event::Body {
                sent: true,
                msg_id: message.msg_id,
                method: message.body.method,
                len: message.body.len(),
                bytes: message.body.to_bytes(&self.ledger),
            });
        }
    }
}
