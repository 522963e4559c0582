//! What both roles share: identifiers, salts, time, acknowledgements, and putting frames together.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;

use super::{
    acks::Acks,
    client::RequestId,
    event::Event,
    params::{HttpWait, Limits},
    salts::{FutureSalt, Salts},
    service,
    timer::{Timer, TimerTable},
};
use crate::{
    clock::Now,
    crypto::AuthKey,
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container,
        envelope::{self, Header, Side},
        msg_id::{Generator, Origin, SeenIds},
        time::ServerClock,
    },
    trace::{self, Layer, Tracer},
};

/// The most messages that we put into a container, acknowledgements and the like aside.
const MAX_CONTAINER_MESSAGES: usize = 1000;

/// A container is closed when it holds this many bytes: longer messages travel without others of their kind.
const MAX_CONTAINER_BYTES: usize = 32 << 10;

/// Service messages and containers of ours that are remembered, in case the peer speaks of them.
const LEDGER_LEN: usize = 4096;

/// The part of a session that does not depend on its role.
pub(super) struct Core {
    pub(super) auth_key: AuthKey,
    /// Who we are.
    pub(super) side: Side,
    pub(super) session_id: SessionId,
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
    pub(super) events: VecDeque<Event>,
    pub(super) limits: Limits,
    pub(super) connected: bool,
    /// Messages about messages that wait to be sent on this connection.
    pub(super) drafts: VecDeque<Bytes>,
    /// Acknowledgements have waited long enough.
    pub(super) acks_due: bool,
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

    /// A new identifier and sequence number.
    pub(super) fn allocate(&mut self, now: Now, origin: Origin, content_related: bool) -> (MsgId, SeqNo) {
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

    /// Queues a message that needs no acknowledgement. `false` if too many wait already.
    pub(super) fn draft(&mut self, body: Bytes) -> bool {
        let room = self.drafts.len() < self.limits.service_queue;
        if room {
            self.drafts.push_back(body);
        }
        room
    }

    /// Owes the peer an acknowledgement.
    pub(super) fn owe_ack(&mut self, now: Now, msg_id: MsgId) {
        let deadline = self.acks.push(msg_id, now.mono, &self.limits);
        if deadline <= now.mono {
            self.acks_due = true;
        } else {
            self.timers.start(Timer::Acks, deadline);
        }
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
        let ids = self.acks.take();
        for id in &ids {
            self.seen.mark_acknowledged(*id);
        }
        self.tracer.emit(now, || trace::Event::AcksSent { ids: ids.clone() });
        let body = service::msgs_ack(&ids);
        let origin = self.answering();
        self.add_service(now, frame, origin, false, body, Service::Acks(ids));
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
        body: Bytes,
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
        let Frame { messages, wrap, .. } = frame;
        match &messages[..] {
            [only] if !wrap => {
                self.trace_sent(now, only, None);
                let header = Header { salt, session_id: self.session_id, msg_id: only.msg_id, seq_no: only.seq_no };
                envelope::seal_with_token(&self.auth_key, self.side, &header, &only.body.parts(), &mut self.rng)
            }
            _ => {
                let origin = self.answering();
                let (msg_id, seq_no) = self.allocate(now, origin, false);
                let header = container::header(messages.len());
                let heads: Vec<_> = messages
                    .iter()
                    .map(|message| container::message_header(message.msg_id, message.seq_no, message.body.len()))
                    .collect();
                let mut parts: Vec<&[u8]> = Vec::with_capacity(1 + 3 * messages.len());
                parts.push(&header);
                for (head, message) in heads.iter().zip(&messages) {
                    parts.push(head);
                    parts.extend(message.body.parts());
                    self.trace_sent(now, message, Some(msg_id));
                }
                self.ledger.insert(msg_id, Service::Container(messages.iter().map(|message| message.msg_id).collect()));
                let header = Header { salt, session_id: self.session_id, msg_id, seq_no };
                envelope::seal_with_token(&self.auth_key, self.side, &header, &parts, &mut self.rng)
            }
        }
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
                bytes: message.body.parts().concat().into(),
            });
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
            self.events.push_back(Event::SaltsChanged);
        }
    }

    /// The server has announced salts.
    pub(super) fn announce_salts(&mut self, now: Now, salts: Vec<FutureSalt>) {
        let unix = self.server_unix(now);
        self.tracer.emit(now, || trace::Event::FutureSalts { count: salts.len() });
        let before = self.salts.clone();
        self.salts.announce(salts, unix);
        if before != self.salts {
            self.events.push_back(Event::SaltsChanged);
        }
    }

    /// Tells the driver of a changed time offset, if it changed by a second or more.
    pub(super) fn report_offset(&mut self, now: Now) {
        let offset = self.clock.offset(now);
        if offset != self.reported_offset {
            self.reported_offset = offset;
            self.tracer.emit(now, || trace::Event::TimeOffset { seconds: offset });
            self.events.push_back(Event::TimeOffsetChanged);
        }
    }
}

/// A message's body: what precedes it, and the object itself, which is not copied until the frame is sealed.
#[derive(Clone)]
pub(super) struct Body {
    head: [u8; 12],
    head_len: usize,
    tail: Bytes,
}

impl From<Bytes> for Body {
    fn from(tail: Bytes) -> Self {
        Self { head: [0; 12], head_len: 0, tail }
    }
}

impl Body {
    /// `rpc_result`.
    pub(super) fn answer(req: MsgId, result: Bytes) -> Self {
        Self { head: service::rpc_result_header(req), head_len: 12, tail: result }
    }

    pub(super) fn len(&self) -> usize {
        self.head_len + self.tail.len()
    }

    fn parts(&self) -> [&[u8]; 2] {
        [self.head.get(..self.head_len).unwrap_or_default(), &self.tail]
    }

    fn constructor(&self) -> u32 {
        let [head, tail] = self.parts();
        container::constructor(if head.is_empty() { tail } else { head })
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
}

impl Frame {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of `len` bytes fits. A long one fits only an empty frame.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.messages.is_empty() || (self.messages.len() < MAX_CONTAINER_MESSAGES && self.bytes + len <= MAX_CONTAINER_BYTES)
    }

    pub(super) fn push(&mut self, message: Ready) {
        self.bytes += message.body.len();
        self.messages.push(message);
    }

    /// The frame needs a container even for one message.
    pub(super) fn wrap(&mut self) {
        self.wrap = true;
    }
}

/// What a message of ours was about, other than a request or an answer: what is to be done again if the peer did not take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Container(Vec<MsgId>),
    Acks(Vec<MsgId>),
    Ping(i64),
    StateReq(Vec<MsgId>),
    ResendReq(Vec<MsgId>),
    FutureSalts,
    DropAnswer(MsgId),
    DestroySession(SessionId),
    /// Nothing that would be missed.
    Note,
}

/// The service messages and containers that we sent lately.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeMap<MsgId, Service>,
}

impl Ledger {
    pub(super) fn insert(&mut self, msg_id: MsgId, service: Service) {
        self.sent.insert(msg_id, service);
        if self.sent.len() > LEDGER_LEN {
            self.sent.pop_first();
        }
    }

    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Service> {
        self.sent.get(&msg_id)
    }

    pub(super) fn remove(&mut self, msg_id: MsgId) -> Option<Service> {
        self.sent.remove(&msg_id)
    }

    /// The latest container that a message travelled in.
    pub(super) fn container_of(&self, msg_id: MsgId) -> Option<MsgId> {
        self.sent
            .iter()
            .rev()
            .find(|(_, service)| matches!(service, Service::Container(ids) if ids.contains(&msg_id)))
            .map(|(id, _)| *id)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
    }
}
