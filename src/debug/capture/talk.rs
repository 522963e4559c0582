//! What is said on the connections: frames to messages, requests to their answers.
//!
//! As a session does it, with two differences: nothing is refused that can be read at all (what broke a rule is told, and shown), and what
//! either end knows by itself (its clock, what it waits for) is not known here.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Buf as _, Bytes};

use super::flow::Ends;
use super::report::Report;
use super::wrappers;
use crate::keylog::LoggedKey;
use tdl_core::clock::Now;
use tdl_core::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl_core::mtproto::container::{self, constructor};
use tdl_core::mtproto::envelope::{self, EnvelopeError, Opened, Side};
use tdl_core::mtproto::gzip;
use tdl_core::mtproto::msg_id::{Novelty, Seen, SeenIds};
use tdl_core::mtproto::plain;
use tdl_core::mtproto::session::service::{self, Service, ids};
use tdl_core::tl::api::functions::auth::BindTempAuthKey;
use tdl_core::tl::{self, Deserialize, Identifiable, Reader};
use tdl_core::trace::{ConnId, Event, Layer, Tracer, Verdict, Word, counters};
use tdl_core::transport::Frame;
use tdl_core::transport::tap::{Heard, Way};

/// Sessions that are remembered.
const MAX_SESSIONS: usize = 4096;
/// Requests that wait for their answers.
const MAX_PENDING: usize = 65_536;
/// Received messages that a session remembers.
const MAX_SEEN: usize = 4096;
/// What the packed objects of one packet may unpack to, in bytes.
const MAX_UNPACKED: usize = 16 << 20;
/// How deep copies and packed objects may nest: what is in a copy may be packed.
const MAX_DEPTH: usize = 4;

/// A connection, as far as it matters to what is said on it.
pub(super) struct Line {
    pub(super) id: ConnId,
    pub(super) ends: Ends,
    pub(super) dc: DcId,
    /// What is around payloads.
    pub(super) framing: Word,
    /// The key that was used last.
    pub(super) key_in_use: Option<i64>,
}

/// All that is said, over all connections.
pub(super) struct Talk {
    tracer: Tracer,
    keys: HashMap<i64, LoggedKey>,
    sessions: HashMap<Within, Session>,
    /// Sessions, oldest first.
    order: VecDeque<Within>,
    pending: HashMap<(SessionId, MsgId), Pending>,
    /// Requests, oldest first.
    asked: VecDeque<(SessionId, MsgId)>,
    /// What the packed objects of the packet at hand may unpack to yet.
    unpack_left: usize,
    pub(super) now: Now,
    pub(super) report: Report,
}

/// A session under a key.
type Within = (i64, SessionId);

struct Session {
    /// What each side has said.
    seen: [SeenIds; 2],
    salt: Option<Salt>,
    /// Pings, and when they were sent.
    pings: BTreeMap<i64, Now>,
}

struct Pending {
    method: u32,
    at: Now,
    sends: u32,
    /// What it binds, if that is what it asks for.
    binding: Option<Binding>,
}

struct Binding {
    perm: i64,
    expires_at: i64,
}

/// A message, bare or in a container.
struct Message {
    msg_id: MsgId,
    seq_no: SeqNo,
    body: Bytes,
    container: Option<MsgId>,
}

/// What a message is a part of.
#[derive(Clone, Copy)]
struct Place {
    way: Way,
    key_id: i64,
    session_id: SessionId,
    depth: usize,
}

impl Place {
    fn within(&self) -> Within {
        (self.key_id, self.session_id)
    }

    fn is_sent(&self) -> bool {
        self.way == Way::ToServer
    }
}

impl Talk {
    pub(super) fn new(keys: impl IntoIterator<Item = LoggedKey>, tracer: Tracer, now: Now) -> Self {
        Self {
            tracer,
            keys: keys.into_iter().map(|logged| (logged.key.id(), logged)).collect(),
            sessions: HashMap::new(),
            order: VecDeque::new(),
            pending: HashMap::new(),
            asked: VecDeque::new(),
            unpack_left: MAX_UNPACKED,
            now,
            report: Report::default(),
        }
    }

    /// A key that is known.
    pub(super) fn key(&self, id: i64) -> Option<&tdl_core::crypto::AuthKey> {
        self.keys.get(&id).map(|logged| &logged.key)
    }

    pub(super) fn emit(&self, line: &Line, build: impl FnOnce() -> Event) {
        self.tracer.with_connection(line.id, line.dc).emit(self.now, build);
    }

    fn wants(&self, layer: Layer) -> bool {
        self.tracer.wants(layer)
    }

    pub(super) fn check_failed(&mut self, line: &Line, rule: impl Into<Word>, detail: String) {
        let rule = rule.into();
        self.report.check_failed(rule.clone());
        self.emit(line, || Event::CheckFailed { rule, detail });
    }

    /// Takes a frame.
    pub(super) fn frame(&mut self, line: &mut Line, way: Way, heard: Heard) {
        let Heard { frame, wants_quick_ack, wire, padding } = heard;
        let payload = match frame {
            Frame::QuickAck(token) => return self.emit(line, || Event::QuickAck { token }),
            Frame::Error(error) => return self.emit(line, || Event::TransportError { code: error.code() }),
            Frame::Payload(payload) => payload,
        };
        // An end tells of what it sends from the inside out, and of what it receives from the outside in. So does this.
        let len = payload.len();
        let framing = line.framing.clone();
        let event = match way {
            Way::ToServer => Event::FrameSent { len, wire, padding, framing, quick_ack: wants_quick_ack },
            Way::ToClient => Event::FrameReceived { len, wire, padding, framing, quick_ack: false },
        };
        if way == Way::ToClient {
            self.emit(line, || event);
            self.payload(line, way, payload);
        } else {
            self.payload(line, way, payload);
            self.emit(line, || event);
        }
    }

    fn payload(&mut self, line: &mut Line, way: Way, payload: bytes::BytesMut) {
        if plain::is_plain(&payload) {
            return self.plain(line, way, payload.freeze());
        }
        let Some(key_id) = envelope::key_id_of(&payload) else {
            self.report.undecoded += 1;
            let detail = format!("a packet of {} bytes has no room for a key identifier", payload.len());
            return self.check_failed(line, "TooShort", detail);
        };
        self.encrypted(line, way, key_id, payload);
    }

    /// A message of the key exchange.
    fn plain(&mut self, line: &Line, way: Way, payload: Bytes) {
        match plain::decode(payload) {
            Ok((msg_id, body)) => {
                self.report.decoded += 1;
                self.parity(line, way, msg_id);
                let id = constructor(&body);
                let name: Word = tl::name_of(id).map_or_else(|| format!("{id:#010x}").into(), Word::from);
                let detail = format!("{} bytes", body.len());
                self.emit(line, || Event::HandshakeStep { name, detail });
            }
            Err(error) => {
                self.report.undecoded += 1;
                self.check_failed(line, error.rule(), error.to_string());
            }
        }
    }

    fn encrypted(&mut self, line: &mut Line, way: Way, key_id: i64, payload: bytes::BytesMut) {
        let (sent, len) = (way == Way::ToServer, payload.len());
        let Some(logged) = self.keys.get(&key_id) else {
            self.report.unknown_key(key_id);
            return self.emit(line, || envelope_event(sent, key_id, len, Err(None)));
        };
        let writer = if sent { Side::Client } else { Side::Server };
        let (expires_at, dc) = (logged.expires_at, logged.dc);
        let looked = envelope::look_into(&logged.key, writer, payload);
        if line.dc == DcId(0) {
            line.dc = dc.unwrap_or(DcId(0));
        }
        let (opened, token, broken) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                self.report.undecoded += 1;
                self.emit(line, || envelope_event(sent, key_id, len, Err(Some(&error))));
                return self.check_failed(line, error.rule(), error.to_string());
            }
        };
        self.unpack_left = MAX_UNPACKED;
        self.report.decoded += 1;
        self.report.opened += 1;
        if line.key_in_use != Some(key_id) {
            line.key_in_use = Some(key_id);
            self.emit(line, || Event::KeyInUse { id: key_id, expires_at });
        }
        let token = Some(token).filter(|_| sent);
        let envelope = envelope_event(sent, key_id, len, Ok((&opened, token)));
        let place = Place { way, key_id, session_id: opened.session_id, depth: 0 };
        self.session(place.within()).salt.get_or_insert(opened.salt);
        if sent {
            self.session(place.within()).salt = Some(opened.salt);
        } else {
            self.emit(line, || envelope.clone());
        }
        if let Some(error) = broken {
            self.check_failed(line, error.rule(), error.to_string());
        }
        let message = Message { msg_id: opened.msg_id, seq_no: opened.seq_no, body: opened.body, container: None };
        self.message(line, place, message);
        if sent {
            self.emit(line, || envelope);
        }
    }

    /// A message, and what is in it.
    fn message(&mut self, line: &Line, place: Place, message: Message) {
        self.report.messages += 1;
        let Message { msg_id, seq_no, .. } = message;
        let id = constructor(&message.body);
        self.parity(line, place.way, msg_id);
        if matches!(id, container::ID | ids::MSGS_ACK) && seq_no.is_content_related() {
            let name = tl::name_of(id).unwrap_or("message");
            self.check_failed(line, "SeqNoNotEven", format!("{name} {msg_id} has the odd sequence number {seq_no}"));
        }
        let seen = Seen { msg_id, seq_no, is_container: id == container::ID, acknowledged: false };
        let memory = &mut self.session(place.within()).seen[place.way.index()];
        let known = memory.check(msg_id) == Novelty::Duplicate;
        memory.insert(seen);
        if known && !place.is_sent() {
            let reason = "it was received before".into();
            return self.emit(line, || Event::MessageIgnored { msg_id, reason });
        }
        if known {
            self.emit(line, || Event::Resent { old: msg_id, new: msg_id });
        }
        if id == container::ID {
            self.told(line, place, &message, 0);
            return self.container(line, place, &message);
        }
        let asked = (id == ids::RPC_RESULT).then(|| message.body.get(4..12).and_then(|req| req.first_chunk())).flatten();
        let asked = asked.map(|req| (place.session_id, MsgId(i64::from_le_bytes(*req))));
        let method = asked.and_then(|asked| self.pending.get(&asked)).map_or(0, |pending| pending.method);
        // A request is told of before the message that carries it, as the client does.
        if place.is_sent() {
            self.content(line, place, &message, known);
            self.told(line, place, &message, method);
        } else {
            self.told(line, place, &message, method);
            self.content(line, place, &message, known);
        }
    }

    /// Tells of a message as such.
    fn told(&self, line: &Line, place: Place, message: &Message, method: u32) {
        let Message { msg_id, seq_no, container, ref body } = *message;
        let (id, len) = (constructor(body), body.len());
        self.emit(line, || {
            if place.is_sent() {
                Event::MessageSent { msg_id, seq_no, constructor: id, len, container }
            } else {
                Event::MessageReceived { msg_id, seq_no, constructor: id, len, container }
            }
        });
        if id != container::ID && self.wants(Layer::Tl) {
            self.emit(line, || Event::Body { sent: place.is_sent(), msg_id, method, len, bytes: body.clone() });
        }
    }

    /// "Odd parity for messages from server to client", divisible by four for the others.
    fn parity(&mut self, line: &Line, way: Way, msg_id: MsgId) {
        let right = match way {
            Way::ToServer => msg_id.is_from_client(),
            Way::ToClient => msg_id.is_from_server(),
        };
        if !right {
            let writer = if way == Way::ToServer { "client" } else { "server" };
            self.check_failed(line, "WrongParity", format!("message {msg_id} came from the {writer}"));
        }
    }

    /// What is in a container, as far as it can be taken apart.
    fn container(&mut self, line: &Line, place: Place, outer: &Message) {
        if let Err(error) = container::parse(&outer.body, outer.msg_id) {
            self.check_failed(line, "Container", format!("container {}: {error}", outer.msg_id));
        }
        let mut rest = outer.body.clone();
        if rest.len() < container::HEADER_LEN {
            return;
        }
        rest.advance(4);
        // The count is the peer's claim; what is there decides.
        for _ in 0..rest.get_u32_le() {
            if rest.len() < container::MESSAGE_HEADER_LEN {
                return;
            }
            let (msg_id, seq_no) = (MsgId(rest.get_i64_le()), SeqNo(rest.get_i32_le()));
            let len = usize::try_from(rest.get_i32_le()).unwrap_or(usize::MAX);
            if len > rest.len() || place.depth >= MAX_DEPTH {
                return;
            }
            let body = rest.split_to(len);
            let place = Place { depth: place.depth + 1, ..place };
            self.message(line, place, Message { msg_id, seq_no, body, container: Some(outer.msg_id) });
        }
    }

    /// What a message says. `known`: it was said before.
    fn content(&mut self, line: &Line, place: Place, message: &Message, known: bool) {
        let msg_id = message.msg_id;
        let (body, packed) = match self.unpack(line, place, msg_id, &message.body) {
            Some(unpacked) => unpacked,
            None => return,
        };
        match service::read(&body) {
            Ok(Some(service)) => self.service(line, place, msg_id, service, known),
            Ok(None) if !place.is_sent() => {
                if self.wants(Layer::Updates) {
                    for (constructor, counters) in counters::of(&body) {
                        self.emit(line, || Event::Update { constructor, counters });
                    }
                }
            }
            Ok(None) => self.request(line, place, msg_id, &body, packed, known),
            Err(error) => {
                let id = constructor(&body);
                let name = tl::name_of(id).unwrap_or("a service message");
                self.check_failed(line, "Malformed", format!("{name} in message {msg_id}: {error}"));
            }
        }
    }

    /// Unpacks what is packed. `None` if it cannot be; otherwise what it is, and how long it was if it was packed.
    fn unpack(&mut self, line: &Line, place: Place, msg_id: MsgId, body: &Bytes) -> Option<(Bytes, Option<usize>)> {
        if constructor(body) != gzip::ID {
            return Some((body.clone(), None));
        }
        let mut reader = Reader::new(body.clone());
        let data = match reader.u32().and_then(|_| reader.bytes()) {
            Ok(data) => data,
            Err(error) => {
                self.check_failed(line, "Malformed", format!("gzip_packed in message {msg_id}: {error}"));
                return None;
            }
        };
        match gzip::unpack(&data, self.unpack_left) {
            Ok(unpacked) => {
                self.unpack_left -= unpacked.len();
                let (sent, packed, len) = (place.is_sent(), data.len(), unpacked.len());
                self.emit(line, || Event::Gzip { sent, msg_id, packed, unpacked: len });
                Some((unpacked, Some(packed)))
            }
            Err(error) => {
                self.check_failed(line, "Gzip", format!("message {msg_id}: {error}"));
                None
            }
        }
    }

    fn service(&mut self, line: &Line, place: Place, msg_id: MsgId, service: Service, known: bool) {
        let now = self.now;
        match service {
            Service::Acks(ids) if place.is_sent() => self.emit(line, || Event::AcksSent { ids: ids.iter().collect() }),
            Service::Acks(ids) => self.emit(line, || Event::Acked { ids: ids.iter().collect() }),
            Service::Ping { ping_id, .. } => {
                let pings = &mut self.session(place.within()).pings;
                pings.insert(ping_id, now);
                if pings.len() > MAX_SEEN {
                    pings.pop_first();
                }
                self.emit(line, || Event::Ping { ping_id });
            }
            Service::Pong { ping_id, .. } => {
                let sent = self.session(place.within()).pings.remove(&ping_id);
                let rtt = sent.map_or_else(Default::default, |sent| now.mono.saturating_sub(sent.mono));
                self.emit(line, || Event::Pong { ping_id, rtt });
            }
            Service::NewSession { first_msg_id, unique_id, salt } => {
                self.emit(line, || Event::SessionCreated { first_msg_id, unique_id, salt });
                self.salt(line, place, salt);
            }
            Service::BadMsg { about, code } => self.emit(line, || Event::BadMsg { code, msg_id: about }),
            Service::BadSalt { about, code, salt } => {
                self.emit(line, || Event::BadMsg { code, msg_id: about });
                self.salt(line, place, salt);
            }
            Service::FutureSalts { salts, .. } => self.emit(line, || Event::FutureSalts { count: salts.len() }),
            Service::RpcResult { req, result } => self.result(line, place, msg_id, req, &result),
            Service::DropAnswer { req } => {
                self.asked(place, msg_id, ids::RPC_DROP_ANSWER, None, known);
                self.emit(line, || Event::RpcCancelled { msg_id: req });
            }
            Service::DestroyAuthKey => {
                self.asked(place, msg_id, ids::DESTROY_AUTH_KEY, None, known);
                self.emit(line, || Event::RpcSent { msg_id, method: ids::DESTROY_AUTH_KEY, len: 4, packed: None });
            }
            Service::Copy(copied) if place.depth < MAX_DEPTH => {
                let container::Message { msg_id: inner, seq_no, body } = copied;
                let place = Place { depth: place.depth + 1, ..place };
                self.message(line, place, Message { msg_id: inner, seq_no, body, container: Some(msg_id) });
            }
            Service::Container | Service::Gzip(_) => {
                let detail = format!("message {msg_id} packs what may not be packed");
                self.check_failed(line, "PackedWrongly", detail);
            }
            // Told of as messages; what they ask for shows in what follows.
            Service::Copy(_)
            | Service::GetFutureSalts { .. }
            | Service::DestroySession { .. }
            | Service::SessionDestroyed { .. }
            | Service::KeyDestroyed(_)
            | Service::HttpWait(_)
            | Service::StateReq(_)
            | Service::StateInfo { .. }
            | Service::AllInfo { .. }
            | Service::DetailedInfo { .. }
            | Service::ResendReq(_)
            | Service::ResendAnswersReq(_) => {}
        }
    }

    /// A request. `packed`: how long it was if it was packed.
    fn request(&mut self, line: &Line, place: Place, msg_id: MsgId, body: &Bytes, packed: Option<usize>, known: bool) {
        let unwrapped = wrappers::unwrap(body);
        let (method, len) = (unwrapped.method, body.len());
        let binding = (method == BindTempAuthKey::ID)
            .then(|| BindTempAuthKey::from_bytes(unwrapped.body).ok())
            .flatten()
            .map(|request| Binding { perm: request.perm_auth_key_id, expires_at: request.expires_at.into() });
        self.asked(place, msg_id, method, binding, known);
        if known {
            return;
        }
        if let Some(layer) = unwrapped.layer {
            let device = unwrapped.device.unwrap_or_default();
            self.emit(line, || Event::Negotiated { layer, device });
        }
        self.emit(line, || Event::RpcSent { msg_id, method, len, packed });
    }

    /// Notes a request, until its answer comes.
    fn asked(&mut self, place: Place, msg_id: MsgId, method: u32, binding: Option<Binding>, known: bool) {
        let key = (place.session_id, msg_id);
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.sends = pending.sends.saturating_add(1);
            return;
        }
        if known {
            // It was answered before it was sent again.
            return;
        }
        self.report.requests += 1;
        while self.pending.len() >= MAX_PENDING
            && let Some(oldest) = self.asked.pop_front()
        {
            self.pending.remove(&oldest);
        }
        // What was answered leaves its place in the queue behind.
        if self.asked.len() >= 2 * MAX_PENDING {
            let pending = &self.pending;
            self.asked.retain(|asked| pending.contains_key(asked));
        }
        self.pending.insert(key, Pending { method, at: self.now, sends: 1, binding });
        self.asked.push_back(key);
    }

    fn result(&mut self, line: &Line, place: Place, msg_id: MsgId, req: MsgId, result: &Bytes) {
        let pending = self.pending.remove(&(place.session_id, req));
        let Some((result, packed)) = self.unpack(line, place, msg_id, result) else { return };
        let error = (constructor(&result) == ids::RPC_ERROR).then(|| read_error(&result)).flatten();
        match &pending {
            Some(_) => self.report.answered += 1,
            None => self.report.unasked += 1,
        }
        let (method, sends) = pending.as_ref().map_or((0, 0), |pending| (pending.method, pending.sends));
        let latency = pending.as_ref().map_or_else(Default::default, |pending| self.now.mono.saturating_sub(pending.at.mono));
        if let Some(binding) =
            pending.and_then(|pending| pending.binding).filter(|_| bool::from_bytes(result.clone()) == Ok(true))
        {
            let Binding { perm, expires_at } = binding;
            self.emit(line, || Event::TempKeyBound { id: place.key_id, perm, expires_at });
        }
        let len = result.len();
        self.emit(line, || Event::RpcResult { msg_id: req, method, latency, len, packed, sends, error });
    }

    fn salt(&mut self, line: &Line, place: Place, new: Salt) {
        let old = self.session(place.within()).salt.replace(new);
        if let Some(old) = old.filter(|old| *old != new) {
            self.emit(line, || Event::SaltChanged { old, new });
        }
    }

    fn session(&mut self, within: Within) -> &mut Session {
        if !self.sessions.contains_key(&within) {
            if self.order.len() >= MAX_SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.sessions.remove(&oldest);
            }
            self.order.push_back(within);
        }
        self.sessions.entry(within).or_insert_with(|| Session {
            seen: [SeenIds::new(MAX_SEEN), SeenIds::new(MAX_SEEN)],
            salt: None,
            pings: BTreeMap::new(),
        })
    }
}

/// What the trace says of an encrypted packet of `len` bytes: opened, refused for a reason, or under a key that is not known.
fn envelope_event(
    sent: bool,
    auth_key_id: i64,
    len: usize,
    outcome: Result<(&Opened, Option<u32>), Option<&EnvelopeError>>,
) -> Event {
    let traced = match outcome {
        Ok(opened) => envelope::traced(auth_key_id, len, Ok(opened)),
        Err(Some(error)) => envelope::traced(auth_key_id, len, Err(error)),
        Err(None) => Event::Envelope { sent, auth_key_id, len, msg_key: Verdict::Unchecked, inner: None, token: None },
    };
    match traced {
        Event::Envelope { msg_key, inner, token, .. } => Event::Envelope { sent, auth_key_id, len, msg_key, inner, token },
        other => other,
    }
}

/// `rpc_error#2144ca19 error_code:int error_message:string = RpcError`.
fn read_error(body: &Bytes) -> Option<(i32, String)> {
    let mut reader = Reader::new(body.clone());
    let (_, code, message) = (reader.u32().ok()?, reader.i32().ok()?, reader.bytes().ok()?);
    Some((code, String::from_utf8_lossy(&message).into_owned()))
}
