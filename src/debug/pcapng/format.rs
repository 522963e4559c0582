//! How a packet is written. `docs/capture.md` has the same as tables.
//!
//! ```text
//! pcapng's block | Wireshark's tags: dissector, addresses, ports | our head | fields
//!
//! head    version: u8 | kind: u8 | way: u8 | shown: u8 | conn: u32 | dc: i32
//! field   number: u16 | length: u32 | value
//! ```
//!
//! Our numbers are little-endian, as the protocol's are; those of Wireshark's tags are big-endian. A message is a field whose value is
//! fields. A reader passes over numbers that it does not know.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::{Frame, Message, Note};
use crate::body::Body;
use crate::redact::Shown;
use tdl_core::ids::DcId;
use tdl_core::mtproto::container;
use tdl_core::tl::dynamic::Style;
use tdl_core::trace::{ConnId, Verdict};

/// The version of the format.
pub const VERSION: u8 = 1;

/// `LINKTYPE_WIRESHARK_UPPER_PDU`.
const LINK_TYPE: u16 = 252;
/// The name of the dissector.
pub(super) const DISSECTOR: &str = "mtproto";

/// Wireshark refuses files with longer packets.
const MAX_PACKET: usize = 262_144;
/// What a packet's messages may take; the rest of them is left out.
const MAX_MESSAGES: usize = MAX_PACKET - 16_384;
/// What a packet has grown to when bodies are left out, so that there is room for what stands in front of a thousand more.
const MAX_BODIES: usize = 150_000;
/// What is kept of one body, in bytes.
const MAX_BODY: usize = 65_536;
/// What is kept of one body as text.
const MAX_TEXT: usize = 16_384;
/// What is kept of a note.
const MAX_NOTE: usize = 4_096;

/// Which way a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    None = 0,
    ToServer = 1,
    ToClient = 2,
}

/// What all packets have.
pub(super) struct Packet {
    pub(super) conn: ConnId,
    pub(super) dc: DcId,
    pub(super) way: Way,
    /// The client's address and the server's.
    pub(super) ends: Option<[SocketAddr; 2]>,
}

const KIND_FRAME: u8 = 1;
const KIND_EVENT: u8 = 2;

/// Numbers of fields.
pub(super) mod field {
    /// What is around the frame, as text.
    pub(crate) const FRAMING: u16 = 1;
    pub(crate) const AUTH_KEY_ID: u16 = 2;
    /// The whole packet, in bytes.
    pub(crate) const LENGTH: u16 = 3;
    /// 0 unchecked, 1 ok, 2 mismatch.
    pub(crate) const MSG_KEY: u16 = 4;
    pub(crate) const SALT: u16 = 5;
    pub(crate) const SESSION_ID: u16 = 6;
    pub(crate) const PADDING: u16 = 7;
    pub(crate) const QUICK_ACK: u16 = 8;
    /// A message: fields.
    pub(crate) const MESSAGE: u16 = 16;
    pub(crate) const MSG_ID: u16 = 17;
    pub(crate) const SEQ_NO: u16 = 18;
    /// The body's length, before anything was cut or redacted.
    pub(crate) const BODY_LENGTH: u16 = 19;
    pub(crate) const CONSTRUCTOR: u16 = 20;
    /// The message's container.
    pub(crate) const CONTAINER: u16 = 21;
    pub(crate) const BODY: u16 = 22;
    /// The body as text.
    pub(crate) const TL: u16 = 23;
    /// The method that is called or answered.
    pub(crate) const METHOD: u16 = 24;
    /// The message that is answered.
    pub(crate) const REQ_MSG_ID: u16 = 25;
    /// From the request to its answer, in nanoseconds.
    pub(crate) const LATENCY: u16 = 26;
    pub(crate) const ERROR_CODE: u16 = 27;
    pub(crate) const ERROR_TEXT: u16 = 28;
    /// Something that was concluded: fields.
    pub(crate) const NOTE: u16 = 48;
    /// The trace's layer, as text.
    pub(crate) const LAYER: u16 = 49;
    pub(crate) const SUBJECT: u16 = 50;
    pub(crate) const DETAILS: u16 = 51;
}

/// Tags of `LINKTYPE_WIRESHARK_UPPER_PDU` ("Exported PDU").
mod tag {
    pub(super) const END: u16 = 0;
    pub(super) const DISSECTOR: u16 = 12;
    pub(super) const IPV4_SRC: u16 = 20;
    pub(super) const IPV4_DST: u16 = 21;
    pub(super) const IPV6_SRC: u16 = 22;
    pub(super) const IPV6_DST: u16 = 23;
    pub(super) const PORT_TYPE: u16 = 24;
    pub(super) const SRC_PORT: u16 = 25;
    pub(super) const DST_PORT: u16 = 26;
}

/// Wireshark's number for TCP.
const PORT_TYPE_TCP: u32 = 2;

/// The beginning of a file: a section, and the one interface that all packets are of.
pub(super) fn file_head() -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1_u16.to_le_bytes());
    section.extend(0_u16.to_le_bytes());
    // Nobody knows yet how long it will be.
    section.extend((-1_i64).to_le_bytes());
    option(&mut section, 4, concat!("tdl ", env!("CARGO_PKG_VERSION")).as_bytes());
    option(&mut section, 0, &[]);
    let mut interface = Vec::new();
    interface.extend(LINK_TYPE.to_le_bytes());
    interface.extend(0_u16.to_le_bytes());
    interface.extend(0_u32.to_le_bytes());
    option(&mut interface, 2, b"tdl trace");
    // Time stamps are in nanoseconds.
    option(&mut interface, 9, &[9]);
    option(&mut interface, 0, &[]);
    [raw_block(0x0a0d_0d0a, &section), raw_block(1, &interface)].concat()
}

/// A packet as a block of pcapng.
pub(super) fn block(at: Duration, packet: &[u8]) -> Vec<u8> {
    let stamp = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let kept = packet.get(..MAX_PACKET).unwrap_or(packet);
    let mut body = Vec::with_capacity(kept.len() + 24);
    for word in [0, (stamp >> 32) as u32, stamp as u32, length(kept.len()), length(packet.len())] {
        body.extend(word.to_le_bytes());
    }
    body.extend(kept);
    raw_block(6, &body)
}

fn raw_block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = length(padded + 12).to_le_bytes();
    let mut out = Vec::with_capacity(padded + 12);
    out.extend(kind.to_le_bytes());
    out.extend(len);
    out.extend(body);
    out.resize(padded + 8, 0);
    out.extend(len);
    out
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes()); // Ours are short.
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A packet of MTProto with what is in it.
pub(super) fn frame(packet: &Packet, frame: &Frame, shown: Shown) -> Vec<u8> {
    let mut out = head(packet, KIND_FRAME, shown);
    if let Some(framing) = &frame.framing {
        put(&mut out, field::FRAMING, framing.as_bytes());
    }
    if let Some(envelope) = &frame.envelope {
        put(&mut out, field::AUTH_KEY_ID, &envelope.auth_key_id.to_le_bytes());
        put(&mut out, field::LENGTH, &length(envelope.len).to_le_bytes());
        let verdict = match envelope.msg_key {
            Verdict::Unchecked => 0,
            Verdict::Ok => 1,
            Verdict::Mismatch => 2,
        };
        put(&mut out, field::MSG_KEY, &[verdict]);
        if let Some(inner) = &envelope.inner {
            put(&mut out, field::SALT, &inner.salt.0.to_le_bytes());
            put(&mut out, field::SESSION_ID, &inner.session_id.0.to_le_bytes());
            put(&mut out, field::PADDING, &length(inner.padding).to_le_bytes());
        }
        if let Some(token) = envelope.token {
            put(&mut out, field::QUICK_ACK, &token.to_le_bytes());
        }
    }
    for message in &frame.messages {
        put_message(&mut out, message);
    }
    for note in &frame.notes {
        if out.len() + 2 * MAX_NOTE > MAX_PACKET {
            break;
        }
        let mut fields = Vec::new();
        put_note(&mut fields, note);
        put(&mut out, field::NOTE, &fields);
    }
    out
}

/// Something that happened between packets.
pub(super) fn event(packet: &Packet, note: &Note) -> Vec<u8> {
    let mut out = head(packet, KIND_EVENT, Shown::Public);
    put_note(&mut out, note);
    out
}

/// A message; what there is no room for is left out.
fn put_message(out: &mut Vec<u8>, message: &Message) {
    let mut fields = Vec::new();
    put(&mut fields, field::MSG_ID, &message.msg_id.0.to_le_bytes());
    put(&mut fields, field::SEQ_NO, &message.seq_no.0.to_le_bytes());
    put(&mut fields, field::BODY_LENGTH, &length(message.len).to_le_bytes());
    put(&mut fields, field::CONSTRUCTOR, &message.constructor.to_le_bytes());
    if let Some(container) = message.container {
        put(&mut fields, field::CONTAINER, &container.0.to_le_bytes());
    }
    if message.method != 0 {
        put(&mut fields, field::METHOD, &message.method.to_le_bytes());
    }
    if let Some(answer) = &message.answer {
        put(&mut fields, field::REQ_MSG_ID, &answer.req.0.to_le_bytes());
        if let Some(latency) = answer.latency {
            put(&mut fields, field::LATENCY, &u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
        }
        if let Some((code, text)) = &answer.error {
            put(&mut fields, field::ERROR_CODE, &code.to_le_bytes());
            put(&mut fields, field::ERROR_TEXT, cut(text, MAX_NOTE).as_bytes());
        }
    }
    if message.constructor != container::ID {
        let text = text(&message.body, message.method);
        if out.len() + fields.len() + text.len() <= MAX_BODIES {
            put(&mut fields, field::TL, text.as_bytes());
        }
        let most = MAX_BODY.min(MAX_BODIES.saturating_sub(out.len() + fields.len()));
        put(&mut fields, field::BODY, message.body.get(..most).unwrap_or(&message.body));
    }
    if out.len() + fields.len() <= MAX_MESSAGES {
        put(out, field::MESSAGE, &fields);
    }
}

fn put_note(out: &mut Vec<u8>, note: &Note) {
    put(out, field::LAYER, note.layer.name().as_bytes());
    put(out, field::SUBJECT, cut(&note.subject, MAX_NOTE / 4).as_bytes());
    if !note.details.is_empty() {
        put(out, field::DETAILS, cut(&note.details, MAX_NOTE).as_bytes());
    }
}

/// A body that was redacted already, as text: one field a line.
fn text(body: &Bytes, method: u32) -> String {
    let mut out = String::new();
    print(&Body::read(body, method), &mut out);
    cut(&out, MAX_TEXT).to_owned()
}

fn print(body: &Body<'_>, out: &mut String) {
    // Writing to a string does not fail.
    let _ = match body {
        Body::Value(value, _) => write!(out, "{}", value.print(Style { lines: true, redact: false })),
        Body::Answer { result, .. } => {
            print(result, out);
            Ok(())
        }
        Body::Packed { packed, inside } => {
            let _ = writeln!(out, "packed to {packed} bytes:");
            print(inside, out);
            Ok(())
        }
        Body::Opaque { id, len } => match tdl_core::tl::name_of(*id) {
            Some(name) => write!(out, "{name}, {len} bytes that were not read"),
            None => write!(out, "{len} bytes that no schema describes"),
        },
    };
}

/// As much of a text as fits, whole characters only.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Wireshark's tags, and our head.
fn head(packet: &Packet, kind: u8, shown: Shown) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_tag(&mut out, tag::DISSECTOR, DISSECTOR.as_bytes());
    if let Some([client, server]) = packet.ends {
        let [from, to] = if packet.way == Way::ToClient { [server, client] } else { [client, server] };
        put_address(&mut out, from.ip(), [tag::IPV4_SRC, tag::IPV6_SRC]);
        put_address(&mut out, to.ip(), [tag::IPV4_DST, tag::IPV6_DST]);
        put_tag(&mut out, tag::PORT_TYPE, &PORT_TYPE_TCP.to_be_bytes());
        put_tag(&mut out, tag::SRC_PORT, &u32::from(from.port()).to_be_bytes());
        put_tag(&mut out, tag::DST_PORT, &u32::from(to.port()).to_be_bytes());
    }
    put_tag(&mut out, tag::END, &[]);
    let shown = match shown {
        Shown::Public => 0,
        Shown::Texts => 1,
        Shown::Everything => 2,
    };
    out.extend([VERSION, kind, packet.way as u8, shown]);
    out.extend(packet.conn.0.to_le_bytes());
    out.extend(packet.dc.0.to_le_bytes());
    out
}

fn put_address(out: &mut Vec<u8>, addr: IpAddr, [v4, v6]: [u16; 2]) {
    match addr {
        IpAddr::V4(addr) => put_tag(out, v4, &addr.octets()),
        IpAddr::V6(addr) => put_tag(out, v6, &addr.octets()),
    }
}

fn put_tag(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let padded = value.len().next_multiple_of(4);
    out.extend(tag.to_be_bytes());
    out.extend((padded as u16).to_be_bytes()); // Ours are short.
    out.extend(value);
    out.resize(out.len() + padded - value.len(), 0);
}

fn put(out: &mut Vec<u8>, number: u16, value: &[u8]) {
    out.extend(number.to_le_bytes());
    out.extend(length(value.len()).to_le_bytes());
    out.extend(value);
}

fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
