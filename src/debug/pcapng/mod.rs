//! Records as pcapng: a file that Wireshark opens, with what was inside the encryption.
//!
//! Each packet of the file is a *frame*: one MTProto packet, opened, with its messages, and with what was concluded from them (a
//! request's answer and how long it took, a rule that was broken). What happens between frames (a connection, a step of the key exchange)
//! has packets of its own. [`dissector`] prints the script that shows them; `docs/capture.md` describes them.
//!
//! The packets are of the kind that Wireshark writes itself when it exports what it has decrypted (`LINKTYPE_WIRESHARK_UPPER_PDU`). So
//! they carry the addresses of both ends where these are known, for columns, filters and statistics, and nothing is made up: no Ethernet,
//! no sequence numbers, no checksums. They name the dissector that they are for, so nobody has to set anything up, and a private number
//! (`LINKTYPE_USER0`) that somebody uses for something else is left alone.
//!
//! * here: [`Assembler`], which puts records together into packets, and [`Pcapng`], a sink that writes them at once.
//! * [`format`](mod@format): how a packet is written.
//! * [`dissector`]: the script for Wireshark.

pub mod dissector;
pub mod format;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::background::Format;
use super::human;
use super::redact::{self, Shown};
use format::{Packet, Way};
use tdl_core::ids::{DcId, MsgId, SeqNo};
use tdl_core::tl::mtproto::RPC_RESULT_ID;
use tdl_core::trace::{ConnId, Event, Inner, Layer, LayerSet, Observer, Record, Role, Verdict, Word};

/// Connections that frames are put together for. Each waits with one frame at most; the one that has waited longest goes first.
const MAX_LINES: usize = 4096;
/// Requests of a connection that were told of and have not been put into a frame yet.
const MAX_ASKED: usize = 4096;

/// A sink that writes each packet as soon as it is put together. What cannot be written is dropped: a trace must not disturb what it
/// traces.
pub struct Pcapng<W: Write> {
    state: Mutex<State<W>>,
}

struct State<W: Write> {
    out: W,
    shown: Shown,
    assembler: Assembler,
    packets: Vec<u8>,
    failed: bool,
}

/// Puts records together into packets. Records come redacted.
pub struct Assembler {
    shown: Shown,
    lines: BTreeMap<ConnId, Line>,
    ends: HashMap<ConnId, [SocketAddr; 2]>,
}

/// A connection.
#[derive(Default)]
struct Line {
    framing: Option<Word>,
    frame: Option<Frame>,
    /// Methods of requests that no message carries yet.
    asked: BTreeMap<MsgId, u32>,
}

/// A frame that is being put together.
pub(super) struct Frame {
    pub(super) at: Duration,
    pub(super) dc: DcId,
    pub(super) role: Role,
    pub(super) sent: bool,
    pub(super) framing: Option<Word>,
    pub(super) envelope: Option<Envelope>,
    pub(super) messages: Vec<Message>,
    pub(super) notes: Vec<Note>,
}

/// What is around the messages of a frame.
#[derive(Clone, Copy)]
pub(super) struct Envelope {
    pub(super) auth_key_id: i64,
    pub(super) len: usize,
    pub(super) msg_key: Verdict,
    pub(super) inner: Option<Inner>,
    pub(super) token: Option<u32>,
}

/// A message of a frame.
pub(super) struct Message {
    pub(super) msg_id: MsgId,
    pub(super) seq_no: SeqNo,
    pub(super) constructor: u32,
    pub(super) len: usize,
    pub(super) container: Option<MsgId>,
    pub(super) body: Bytes,
    /// The method that it calls, or whose result it is; 0 if neither.
    pub(super) method: u32,
    pub(super) answer: Option<Answer>,
}

/// What a message answers.
pub(super) struct Answer {
    pub(super) req: MsgId,
    pub(super) latency: Option<Duration>,
    pub(super) error: Option<(i32, String)>,
}

/// Something that was concluded from a frame, or happened between frames.
pub(super) struct Note {
    pub(super) layer: Layer,
    pub(super) subject: String,
    pub(super) details: String,
}

impl<W: Write> Pcapng<W> {
    /// A sink that writes to `out`, beginning with the head of the file. `shown` says what of the bodies is shown.
    ///
    /// # Errors
    ///
    /// The head cannot be written.
    pub fn new(mut out: W, shown: Shown) -> io::Result<Self> {
        out.write_all(&Assembler::head())?;
        let assembler = Assembler::new(shown);
        Ok(Self { state: Mutex::new(State { out, shown, assembler, packets: Vec::new(), failed: false }) })
    }

    /// Says what the ends of a connection are: see [`Assembler::set_ends`].
    pub fn set_ends(&self, conn: ConnId, client: SocketAddr, server: SocketAddr) {
        self.lock().assembler.set_ends(conn, client, server);
    }

    /// Writes what is still being put together. Returns whether everything has been written.
    pub fn flush(&self) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        state.assembler.finish(&mut state.packets);
        state.write();
        if state.out.flush().is_err() {
            state.failed = true;
        }
        !state.failed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<W>> {
        // Packets are written whole, and what is being put together is dropped with its panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> State<W> {
    /// After an error nothing more is written: half a packet would spoil what follows.
    fn write(&mut self) {
        if !self.failed && self.out.write_all(&self.packets).is_err() {
            self.failed = true;
        }
        self.packets.clear();
    }
}

impl<W: Write> Drop for Pcapng<W> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<W: Write + Send> Observer for Pcapng<W> {
    fn record(&self, record: &Record) {
        let mut state = self.lock();
        let state = &mut *state;
        state.assembler.put(&redact::record(record, state.shown), &mut state.packets);
        state.write();
    }

    fn wants(&self, layer: Layer) -> bool {
        Assembler::LAYERS.contains(layer)
    }
}

/// As a file that is written in the background.
impl Format for Assembler {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend(Self::head());
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        self.put(record, out);
    }

    fn lost(&mut self, at: Duration, count: u64, out: &mut Vec<u8>) {
        self.put_lost(at, count, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.finish(out);
    }
}

impl Assembler {
    /// What it needs to hear of: everything but the calls that recordings are made of.
    pub const LAYERS: LayerSet = LayerSet::ALL;

    /// Packets say that of bodies so much is `shown`.
    pub fn new(shown: Shown) -> Self {
        Self { shown, lines: BTreeMap::new(), ends: HashMap::new() }
    }

    /// What stands in front of all packets.
    pub fn head() -> Vec<u8> {
        format::file_head()
    }

    /// Says what the ends of a connection are: the client's address, and the server's. Where nobody says, packets have no addresses.
    pub fn set_ends(&mut self, conn: ConnId, client: SocketAddr, server: SocketAddr) {
        if self.ends.len() < MAX_LINES || self.ends.contains_key(&conn) {
            self.ends.insert(conn, [client, server]);
        }
    }

    /// Appends the packets that are still being put together: nothing more will come for them.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let waiting: Vec<ConnId> = self.lines.keys().copied().collect();
        for conn in waiting {
            self.close(conn, out);
        }
    }

    /// Appends a packet that says that records were lost.
    pub fn put_lost(&mut self, at: Duration, count: u64, out: &mut Vec<u8>) {
        self.finish(out);
        let (subject, details) =
            ("records were lost".to_owned(), format!("{count}: they came faster than they could be written"));
        let packet = Packet { conn: ConnId(0), dc: DcId(0), way: Way::None, ends: None };
        let note = Note { layer: Layer::Transport, subject, details };
        out.extend(format::block(at, &format::event(&packet, &note)));
    }

    /// Takes a record, and appends the packets that are complete by it.
    pub fn put(&mut self, record: &Record, out: &mut Vec<u8>) {
        if self.lines.len() >= MAX_LINES && !self.lines.contains_key(&record.conn) {
            self.make_room(out);
        }
        let conn = record.conn;
        match &record.event {
            // What is sent is told of from the inside out: messages, envelope, frame. What comes, from the outside in.
            Event::FrameSent { framing, .. } => {
                let line = self.line(conn);
                line.framing = Some(framing.clone());
                if let Some(frame) = line.frame.as_mut().filter(|frame| frame.sent) {
                    frame.framing = Some(framing.clone());
                    self.close(conn, out);
                }
            }
            Event::FrameReceived { framing, .. } => {
                self.close(conn, out);
                self.line(conn).framing = Some(framing.clone());
            }
            Event::Envelope { sent, auth_key_id, len, msg_key, inner, token } => {
                let (auth_key_id, len, msg_key, inner, token) = (*auth_key_id, *len, *msg_key, *inner, *token);
                let envelope = Envelope { auth_key_id, len, msg_key, inner, token };
                if !sent {
                    self.close(conn, out);
                }
                self.frame(record, *sent, out).envelope = Some(envelope);
            }
            Event::MessageSent { msg_id, seq_no, constructor, len, container } => {
                // One that was sealed and not written is followed by another one.
                if self.line(conn).frame.as_ref().is_some_and(|frame| frame.envelope.is_some()) {
                    self.close(conn, out);
                }
                let method = self.line(conn).asked.remove(msg_id).unwrap_or(0);
                let message = message(*msg_id, *seq_no, *constructor, *len, *container, method);
                self.frame(record, true, out).messages.push(message);
            }
            Event::MessageReceived { msg_id, seq_no, constructor, len, container } => {
                let message = message(*msg_id, *seq_no, *constructor, *len, *container, 0);
                self.frame(record, false, out).messages.push(message);
            }
            Event::Body { msg_id, method, bytes, .. } => self.body(conn, *msg_id, *method, bytes),
            Event::RpcSent { msg_id, method, .. } => self.asked(conn, *msg_id, *method),
            Event::RpcReceived { msg_id, method, .. } => {
                if let Some(message) = self.message(conn, |message| message.msg_id == *msg_id) {
                    message.method = *method;
                }
            }
            Event::RpcResult { msg_id, method, latency, error, .. } => {
                let (req, method, latency) = (*msg_id, *method, *latency);
                match self.message(conn, |message| message.answer.as_ref().is_some_and(|answer| answer.req == req)) {
                    Some(message) => {
                        message.method = method;
                        message.answer = Some(Answer { req, latency: Some(latency), error: error.clone() });
                    }
                    None => self.note(record, out),
                }
            }
            _ => self.note(record, out),
        }
    }

    fn line(&mut self, conn: ConnId) -> &mut Line {
        self.lines.entry(conn).or_default()
    }

    /// The frame of a direction that is being put together; one of the other direction is complete.
    fn frame(&mut self, record: &Record, sent: bool, out: &mut Vec<u8>) -> &mut Frame {
        let Record { conn, at, dc, role, .. } = *record;
        if self.line(conn).frame.as_ref().is_some_and(|frame| frame.sent != sent) {
            self.close(conn, out);
        }
        let line = self.line(conn);
        let framing = line.framing.clone();
        line.frame.get_or_insert_with(|| Frame {
            at,
            dc,
            role,
            sent,
            framing,
            envelope: None,
            messages: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// The last message of the frame that fits.
    fn message(&mut self, conn: ConnId, fits: impl Fn(&Message) -> bool) -> Option<&mut Message> {
        self.lines.get_mut(&conn)?.frame.as_mut()?.messages.iter_mut().rev().find(|message| fits(message))
    }

    fn body(&mut self, conn: ConnId, msg_id: MsgId, method: u32, bytes: &Bytes) {
        let Some(message) = self.message(conn, |message| message.msg_id == msg_id) else { return };
        message.body = bytes.clone();
        if message.constructor == RPC_RESULT_ID
            && let Some(req) = bytes.get(4..12).and_then(|req| req.first_chunk())
        {
            message.method = method;
            message.answer = Some(Answer { req: MsgId(i64::from_le_bytes(*req)), latency: None, error: None });
        }
    }

    fn asked(&mut self, conn: ConnId, msg_id: MsgId, method: u32) {
        if let Some(message) = self.message(conn, |message| message.msg_id == msg_id) {
            message.method = method;
            return;
        }
        let asked = &mut self.line(conn).asked;
        asked.insert(msg_id, method);
        if asked.len() > MAX_ASKED {
            asked.pop_first();
        }
    }

    /// What is no part of a frame belongs to the one that it was concluded from, or stands alone.
    fn note(&mut self, record: &Record, out: &mut Vec<u8>) {
        let (subject, details) = human::words(&record.event);
        let note = Note { layer: record.event.layer(), subject, details };
        if is_conclusion(&record.event)
            && let Some(frame) = self.lines.get_mut(&record.conn).and_then(|line| line.frame.as_mut())
        {
            return frame.notes.push(note);
        }
        self.close(record.conn, out);
        let packet = Packet { conn: record.conn, dc: record.dc, way: Way::None, ends: self.ends.get(&record.conn).copied() };
        out.extend(format::block(record.at, &format::event(&packet, &note)));
        if matches!(record.event, Event::Disconnected { .. }) {
            self.lines.remove(&record.conn);
            self.ends.remove(&record.conn);
        }
    }

    /// Appends the frame of a connection, if there is one.
    fn close(&mut self, conn: ConnId, out: &mut Vec<u8>) {
        let Some(frame) = self.lines.get_mut(&conn).and_then(|line| line.frame.take()) else { return };
        let to_server = frame.sent == (frame.role == Role::Client);
        let way = if to_server { Way::ToServer } else { Way::ToClient };
        let packet = Packet { conn, dc: frame.dc, way, ends: self.ends.get(&conn).copied() };
        out.extend(format::block(frame.at, &format::frame(&packet, &frame, self.shown)));
    }

    /// Forgets the connection whose frame is the oldest; one without a frame first.
    fn make_room(&mut self, out: &mut Vec<u8>) {
        let oldest = self.lines.iter().min_by_key(|(_, line)| line.frame.as_ref().map(|frame| frame.at));
        if let Some(conn) = oldest.map(|(conn, _)| *conn) {
            self.close(conn, out);
            self.lines.remove(&conn);
            self.ends.remove(&conn);
        }
    }
}

fn message(msg_id: MsgId, seq_no: SeqNo, constructor: u32, len: usize, container: Option<MsgId>, method: u32) -> Message {
    Message { msg_id, seq_no, constructor, len, container, body: Bytes::new(), method, answer: None }
}

/// Whether an event follows from what is in a frame, rather than from something that happened besides.
fn is_conclusion(event: &Event) -> bool {
    matches!(
        event,
        Event::TempKeyBound { .. }
            | Event::KeyInUse { .. }
            | Event::CheckFailed { .. }
            | Event::MessageIgnored { .. }
            | Event::Gzip { .. }
            | Event::Acked { .. }
            | Event::AcksSent { .. }
            | Event::SaltChanged { .. }
            | Event::FutureSalts { .. }
            | Event::SessionCreated { .. }
            | Event::BadMsg { .. }
            | Event::Resent { .. }
            | Event::TimeOffset { .. }
            | Event::Ping { .. }
            | Event::Pong { .. }
            | Event::RpcResult { .. }
            | Event::RpcCancelled { .. }
            | Event::Negotiated { .. }
            | Event::Update { .. }
    )
}
