//! What both roles share: identifiers, salts, time, acknowledgements, and putting frames together.

use std::{collections::VecDeque, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use rand::rngs::StdRng;

use super::{
    acks::{Acks, MAX_IDS},
    client::RequestId,
    error::PeerMisbehaved,
    event::Event,
    params::{HttpWait, Limits},
    salts::{FutureSalt, Salts},
    service,
    sorted::Sorted,
    timer::{Timer, TimerTable},
};
use crate::{
    check::{Check, broken},
    clock::Now,
    crypto::AuthKey,
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container,
        envelope::{self, Header, Side},
        gzip,
        msg_id::{Generator, Origin, SeenIds},
        time::{MAX_LEAD_SECS, ServerClock},
    },
    trace::{self, Layer, Tracer},
};

/// The most messages that we put into a container. The protocol allows 1024.
pub(super) const MAX_CONTAINER_MESSAGES: usize = 1000;

/// The most bytes that we put into a container of several messages. A longer message travels alone.
pub(super) const MAX_CONTAINER_BYTES: usize = 32 << 10;

/// Service messages and containers of ours that are remembered, in case the peer speaks of them.
const LEDGER_LEN: usize = 4096;

/// Identifiers that they list, all together.
const LEDGER_LISTED: usize = 64 << 10;

/// The part of a session that does not depend on its role.
pub(super) struct Core {
    pub(super) auth_key: AuthKey,
    /// Who we are.
    pub(super) side: Side,
    pub(super) session_id: SessionId,
    /// The last reading of the clocks that came in, for what is traced without one.
    pub(super) now: Now,
    pub(super) clock: ServerClock,
    pub(super) generator: Generator,
    /// Content-related messages sent so far.
    pub(super) content_sent: i32,
    pub(super) rng: StdRng,
    pub(super) tracer: Tracer,
    pub(super) salts: Salts,
    pub(super) seen: SeenIds,
    pub(super) acks: Acks,
    pub(super) ledger: Ledger,
    pub(super) timers: TimerTable,
    pub(super) events: Events,
    pub(super) limits: Limits,
    pub(super) connected: bool,
    /// Messages about messages that wait to be sent on this connection.
    pub(super) drafts: VecDeque<Body>,
    /// The room of the last frame, empty, for the next one.
    pub(super) spare: Vec<Ready>,
    /// Acknowledgements have waited long enough.
    pub(super) acks_due: bool,
    /// Something waits that does not wait for company, or company has come.
    pub(super) hurry: bool,
    /// What packed objects of the present frame may still unpack to, in bytes.
    pub(super) unpack_left: usize,
    /// The offset that was last reported.
    pub(super) reported_offset: i64,
    /// What the peer last said about the answer to its HTTP request (server).
    pub(super) http_wait: Option<HttpWait>,
}

impl Core {
    /// The server's time.
    pub(super) fn server_time(&self, now: Now) -> Duration {
        match self.side {
            Side::Client => self.clock.now(now),
            // A server's own clock is the server's time.
            Side::Server => now.wall,
        }
    }

    pub(super) fn server_unix(&self, now: Now) -> i64 {
        i64::try_from(self.server_time(now).as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether an identifier is of a time to which our clock has yet to come: one that we made before it was set back.
    pub(super) fn is_early(&self, now: Now, msg_id: MsgId) -> bool {
        msg_id.unix() - self.server_unix(now) > MAX_LEAD_SECS
    }

    /// A new identifier and sequence number.
    pub(super) fn allocate(&mut self, now: Now, origin: Origin, content_related: bool) -> (MsgId, SeqNo) {
        if self.side == Side::Server && self.is_early(now, self.generator.last()) {
            // The machine's clock was set back. Identifiers tell the client the time: better lower ones than wrong ones.
            self.generator.reset_to(MsgId(0));
        }
        let msg_id = self.generator.next(self.server_time(now), origin, &mut self.rng);
        let even = self.content_sent.wrapping_mul(2);
        if !content_related {
            return (msg_id, SeqNo(even));
        }
        self.content_sent = self.content_sent.wrapping_add(1);
        (msg_id, SeqNo(even | 1))
    }

    /// The origin of messages that answer the peer's.
    pub(super) fn answering(&self) -> Origin {
        match self.side {
            Side::Client => Origin::Client,
            Side::Server => Origin::Answer,
        }
    }

    /// Something is there to be written, but may wait for company.
    pub(super) fn write_soon(&mut self, now: Now) {
        if self.limits.coalesce.is_zero() {
            self.hurry = true;
        } else if self.connected {
            self.timers.start(Timer::Flush, now.mono.saturating_add(self.limits.coalesce));
        }
    }

    /// Queues a message that needs no acknowledgement. `false` if too many wait already.
    pub(super) fn draft(&mut self, body: impl Into<Body>) -> bool {
        let room = !broken(Check::ServiceQueue, self.drafts.len() >= self.limits.service_queue);
        if room {
            self.drafts.push_back(body.into());
            self.hurry = true;
        }
        room
    }

    /// Owes the peer an acknowledgement.
    pub(super) fn owe_ack(&mut self, now: Now, msg_id: MsgId) {
        self.acks.push(msg_id);
        if self.acks.len() >= self.limits.ack_batch {
            self.acks_due = true;
        } else {
            self.timers.start(Timer::Acks, now.mono.saturating_add(self.limits.ack_delay));
        }
    }

    /// Unpacks an object of a message. All those of one frame share one allowance, so that a container of bombs is no worse than one.
    pub(super) fn unpack(&mut self, msg_id: MsgId, data: &[u8]) -> Result<Bytes, PeerMisbehaved> {
        let unpacked = gzip::unpack(data, self.unpack_left).map_err(|error| PeerMisbehaved::Gzip { msg_id, error })?;
        self.unpack_left = self.unpack_left.saturating_sub(unpacked.len());
        let (packed, len) = (data.len(), unpacked.len());
        self.tracer.emit(self.now, || trace::Event::Gzip { sent: false, msg_id, packed, unpacked: len });
        Ok(unpacked)
    }

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
        let unix = self.server_unix(now);
        let salt = self.salts.current(unix).map_or(Salt(0), |salt| salt.salt);
        let Frame { mut messages, wrap, .. } = frame;
        let ((sealed, token), header, body_len) = match &messages[..] {
            [only] if !wrap => {
                self.trace_sent(now, only, None);
                let header = Header { salt, session_id: self.session_id, msg_id: only.msg_id, seq_no: only.seq_no };
                let (body, ledger) = (&only.body, &self.ledger);
                let write = |out: &mut BytesMut| body.write(ledger, out);
                let len = body.len();
                (envelope::seal_with_token(&self.auth_key, self.side, &header, len, write, &mut self.rng), header, len)
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
                (envelope::seal_with_token(&self.auth_key, self.side, &header, len, write, &mut self.rng), header, len)
            }
        };
        self.tracer.emit(now, || trace::Event::Envelope {
            sent: true,
            auth_key_id: self.auth_key.id(),
            len: sealed.len(),
            msg_key: trace::Verdict::Ok,
            inner: Some(header.inner(body_len, sealed.len())),
            token: Some(token).filter(|_| self.side == Side::Client),
        });
        messages.clear();
        self.spare = messages;
        (sealed, token)
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

    /// Tells the trace of an update and of what is in it.
    pub(super) fn trace_update(&self, now: Now, body: &Bytes) {
        if self.tracer.wants(Layer::Updates) {
            for (constructor, counters) in trace::counters::of(body) {
                self.tracer.emit(now, || trace::Event::Update { constructor, counters });
            }
        }
    }

    /// Answers a question about messages of the peer's, as far as both roles can: one byte for each.
    pub(super) fn state_of(&self, msg_id: MsgId) -> u8 {
        if let Some(seen) = self.seen.find(msg_id) {
            let acknowledged = if seen.acknowledged { 8 } else { 0 };
            return 4 | if seen.seq_no.is_content_related() { acknowledged } else { 16 };
        }
        let of_the_peers = match self.side {
            Side::Client => msg_id.is_from_server(),
            Side::Server => msg_id.is_from_client(),
        };
        match (self.seen.oldest(), self.seen.newest()) {
            _ if !of_the_peers => 1,
            (Some(_), Some(newest)) if msg_id > newest => 3,
            (Some(oldest), Some(_)) if msg_id > oldest => 2,
            _ => 1,
        }
    }

    /// The server has named the salt to use.
    pub(super) fn use_salt(&mut self, now: Now, salt: Salt) {
        let unix = self.server_unix(now);
        let old = self.salts.current(unix).map_or(Salt(0), |salt| salt.salt);
        self.salts.set_current(salt, unix);
        if old != salt {
            self.tracer.emit(now, || trace::Event::SaltChanged { old, new: salt });
            self.events.push(Event::SaltsChanged);
        }
    }

    /// The server has announced salts.
    pub(super) fn announce_salts(&mut self, now: Now, salts: Vec<FutureSalt>) {
        let unix = self.server_unix(now);
        self.tracer.emit(now, || trace::Event::FutureSalts { count: salts.len() });
        let before = self.salts.clone();
        self.salts.announce(salts, unix);
        if before != self.salts {
            self.events.push(Event::SaltsChanged);
        }
    }

    /// Tells the driver of a changed time offset, if it changed by a second or more.
    pub(super) fn report_offset(&mut self, now: Now) {
        let offset = self.clock.offset(now);
        if offset != self.reported_offset {
            self.reported_offset = offset;
            self.tracer.emit(now, || trace::Event::TimeOffset { seconds: offset });
            self.events.push(Event::TimeOffsetChanged);
        }
    }
}

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
    Object(Bytes),
    /// Identifiers, which the ledger keeps.
    Ids(Listed),
}

impl From<Bytes> for Body {
    fn from(tail: Bytes) -> Self {
        Self { head: [0; HEAD], head_len: 0, tail: Tail::Object(tail), method: 0 }
    }
}

impl Body {
    /// `invokeAfterMsg#cb9f372d {X:Type} msg_id:long query:!X = X` or
    /// `invokeAfterMsgs#3dc4b4f0 {X:Type} msg_ids:Vector<long> query:!X = X`; with nothing before it the request itself.
    pub(super) fn after(before: &[MsgId], query: Bytes) -> Self {
        match before {
            [] => query.into(),
            [only] => Self::headed(service::invoke_after_msg_header(*only), Tail::Object(query)),
            several => Self::from(Bytes::from([&service::invoke_after_msgs_header(several)[..], &query].concat())),
        }
    }

    /// `rpc_result`, with the method that it answers.
    pub(super) fn answer(req: MsgId, result: Bytes, method: u32) -> Self {
        Self { method, ..Self::headed(service::rpc_result_header(req), Tail::Object(result)) }
    }

    /// `msgs_ack`.
    fn acks(ids: Listed) -> Self {
        Self::headed(service::msgs_ack_header(ids.len), Tail::Ids(ids))
    }

    /// A short message: a ping, a pong.
    pub(super) fn short<const N: usize>(message: [u8; N]) -> Self {
        Self::headed(message, Tail::Object(Bytes::new()))
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
            Tail::Object(object) => out.put_slice(object),
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
            (Tail::Object(object), []) => container::constructor(object),
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

/// What the driver has yet to hear, and how many bytes that is.
#[derive(Debug, Default)]
pub(super) struct Events {
    list: VecDeque<Event>,
    bytes: usize,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.len();
        self.list.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.list.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.len());
        Some(event)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a message of ours was about, other than a request or an answer: what is to be done again if the peer did not take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Container(Listed),
    Acks(Listed),
    Ping(i64),
    StateReq(Vec<MsgId>),
    /// Answers asked for, and the messages that they answer.
    ResendReq(Vec<(MsgId, Option<MsgId>)>),
    ResendAnswersReq(Vec<MsgId>),
    FutureSalts,
    DropAnswer(MsgId),
    DestroySession(SessionId),
    DestroyAuthKey,
    /// Nothing that would be missed.
    Note,
}

/// A list of identifiers that the ledger keeps: those of a container's messages, or those acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Counted from the first identifier that the ledger ever kept.
    start: u64,
    len: usize,
}

/// The service messages and containers that we sent lately, in the order of their identifiers.
///
/// Most come with lists, one or two in every frame. The lists stand one behind the other in one ring, so that none is an allocation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: Sorted<MsgId, Service>,
    /// Identifiers that the entries list in vectors of their own.
    listed: usize,
    ring: VecDeque<MsgId>,
    /// Identifiers that have left the ring.
    gone: u64,
}

impl Service {
    fn listed(&self) -> usize {
        match self {
            Self::StateReq(ids) | Self::ResendAnswersReq(ids) => ids.len(),
            Self::ResendReq(ids) => ids.len(),
            _ => 0,
        }
    }
}

impl Ledger {
    /// Keeps a list, for an entry that comes with it. The oldest are forgotten when there is no room.
    pub(super) fn list(&mut self, ids: impl ExactSizeIterator<Item = MsgId>) -> Listed {
        let len = ids.len();
        while !self.ring.is_empty() && self.ring.len() + len > LEDGER_LISTED {
            self.ring.pop_front();
            self.gone += 1;
        }
        let start = self.gone + self.ring.len() as u64;
        self.ring.extend(ids);
        Listed { start, len }
    }

    /// What a list holds; nothing if it is forgotten.
    pub(super) fn ids(&self, list: Listed) -> impl Iterator<Item = MsgId> + '_ {
        let start = list.start.checked_sub(self.gone).and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(list.len)).filter(|end| *end <= self.ring.len());
        let range = start.zip(end).map_or(0..0, |(start, end)| start..end);
        self.ring.range(range).copied()
    }

    pub(super) fn insert(&mut self, msg_id: MsgId, service: Service) {
        self.listed += service.listed();
        if let Some(before) = self.sent.insert(msg_id, service) {
            self.listed = self.listed.saturating_sub(before.listed());
        }
        while self.sent.len() > LEDGER_LEN || (self.listed > LEDGER_LISTED && self.sent.len() > 1) {
            let Some((_, oldest)) = self.sent.pop_first() else { break };
            self.listed = self.listed.saturating_sub(oldest.listed());
        }
    }

    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Service> {
        self.sent.get(&msg_id).filter(|service| match service {
            Service::Container(list) | Service::Acks(list) => list.start >= self.gone,
            _ => true,
        })
    }

    pub(super) fn remove(&mut self, msg_id: MsgId) -> Option<Service> {
        let service = self.sent.remove(&msg_id)?;
        self.listed = self.listed.saturating_sub(service.listed());
        Some(service)
    }

    /// The latest container that a message travelled in.
    pub(super) fn container_of(&self, msg_id: MsgId) -> Option<MsgId> {
        self.sent
            .iter()
            .rev()
            .find(|(_, service)| matches!(service, Service::Container(list) if self.ids(*list).any(|id| id == msg_id)))
            .map(|(id, _)| *id)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.listed = 0;
        self.gone += self.ring.len() as u64;
        self.ring.clear();
    }
}
