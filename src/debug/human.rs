//! One aligned line an event, for people.
//!
//! ```text
//! 22:13:20.123 #1 DC2  mtproto   · auth key ready                   0x00c0ffee00c0ffee, fresh
//! 22:13:20.124 #1 DC2  rpc       → users.getUsers                   84 B  msg 6553f10000000004
//! 22:13:20.147 #1 DC2  rpc       ← users.getUsers                   23.4 ms  1.2 KiB gzip  msg 6553f10000000004
//! 22:13:20.147 #1 DC2  mtproto   ! check failed: WrongSession       ...
//! ```
//!
//! `→` is what we sent, `←` what came, `·` what happened, `!` what went wrong. `DC2` is where a connection leads; `@DC2` is one on which we
//! are DC2, and a client is at the other end.
//!
//! Of salts only the end is shown, and there is nothing to tell of keys, since events hold none. Bodies are trees below their line,
//! folded where they are long, and redacted as far as the style says. Text that came from a peer is cleaned of control characters, so
//! that it cannot play tricks on a terminal.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::body::Body;
use super::jsonl::calls;
use super::redact::{self, Shown};
use super::units::{size, span, time_of_day};
use tree::Branch;

use tdl_core::ids::{MsgId, Salt};
use tdl_core::tl;
use tdl_core::trace::call::SessionName;
use tdl_core::trace::{Counters, Event, Inner, Layer, LayerSet, Observer, Record, Role, Verdict};
use tdl_core::transport::TransportError;

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Which layers to show.
    pub layers: LayerSet,
    /// Whether to use ANSI colours.
    pub colour: bool,
    /// Columns that a line may take; longer ones end in `…`. `None` for no limit.
    pub width: Option<usize>,
    /// Whether to show acknowledgements, most of which say nothing new.
    pub acks: bool,
    /// What bodies show.
    pub shown: Shown,
}

/// The default layers, no colours, no limit, no acknowledgements, nothing secret.
impl Default for Style {
    fn default() -> Self {
        Self { layers: LayerSet::default(), colour: false, width: None, acks: false, shown: Shown::Public }
    }
}

/// The sink. What cannot be written is dropped: a trace must not disturb what it traces.
pub struct Human<W> {
    out: Mutex<W>,
    style: Style,
}

impl<W: Write> Human<W> {
    /// A sink that writes to `out`, one call of `write_all` a line.
    pub fn new(out: W, style: Style) -> Self {
        Self { out: Mutex::new(out), style }
    }

    /// Gives back what it wrote to.
    pub fn into_inner(self) -> W {
        self.out.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Observer for Human<W> {
    fn record(&self, record: &Record) {
        if let Some(line) = line(&redact::record(record, self.style.shown), &self.style) {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }

    fn wants(&self, layer: Layer) -> bool {
        self.style.layers.contains(layer)
    }
}

/// Says that records are missing.
pub fn lost_line(count: u64) -> String {
    format!("… {count} records are missing here: they came faster than they could be written\n")
}

/// The line of one record with its line feed, and those of its tree; `None` when the style leaves it out. What the record holds is shown:
/// redaction comes before.
pub fn line(record: &Record, style: &Style) -> Option<String> {
    /// Columns of the subject; longer ones push the details to the right.
    const SUBJECT: usize = 32;

    if !style.acks && is_ack(&record.event) {
        return None;
    }
    let Told { mark, subject, details } = tell(&record.event);
    let dc = match (record.dc.0, record.role) {
        (0, _) => String::new(),
        (_, Role::Client) => record.dc.to_string(),
        (_, Role::Server) => format!("@{}", record.dc),
    };
    let mut line = Line::new(style);
    line.put(
        DIM,
        format!("{} {:<2} {dc:<4} {:<9} ", time_of_day(record.at), record.conn.to_string(), record.event.layer().name()),
    );
    line.put(mark.colour(), mark.sign());
    line.put(PLAIN, " ");
    let bold = if mark == Mark::Wrong { RED } else { BOLD };
    if details.is_empty() {
        line.put(bold, clean(&subject));
    } else {
        line.put(bold, format!("{:<SUBJECT$}", clean(&subject)));
        line.put(PLAIN, " ");
        line.put(PLAIN, clean(&details));
    }
    let mut text = line.finish();
    if let Event::Body { method, bytes, .. } = &record.event {
        put_tree(&Body::read(bytes, *method), style, &mut text);
    }
    Some(text)
}

/// Appends the tree of a body, under the column of subjects if there is room for it.
fn put_tree(body: &Body<'_>, style: &Style, text: &mut String) {
    let margin = if style.width.is_none_or(|width| width >= 80) { SUBJECT_AT + 2 } else { 2 };
    for Branch { indent, name, value } in tree::branches(body) {
        let mut line = Line::new(style);
        line.put(PLAIN, " ".repeat(margin + indent));
        line.put(DIM, clean(&name));
        line.put(PLAIN, clean(&value));
        text.push_str(&line.finish());
    }
}

/// The column in which subjects begin.
const SUBJECT_AT: usize = 33;

/// What is said of an event.
pub(super) struct Told {
    pub(super) mark: Mark,
    pub(super) subject: String,
    pub(super) details: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Out,
    In,
    Note,
    Wrong,
}

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Out => "→",
            Self::In => "←",
            Self::Note => "·",
            Self::Wrong => "!",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Out => CYAN,
            Self::In => GREEN,
            Self::Note => DIM,
            Self::Wrong => RED,
        }
    }
}

/// What an event says in words, without its mark: the subject, and the details.
pub(super) fn words(event: &Event) -> (String, String) {
    let Told { subject, details, .. } = tell(event);
    (clean(&subject), clean(&details))
}

/// The id of `msgs_ack`, the one constructor whose messages are as quiet as the events about them.
const MSGS_ACK: u32 = 0x62d6_b459;

fn is_ack(event: &Event) -> bool {
    match event {
        Event::Acked { .. } | Event::AcksSent { .. } => true,
        Event::MessageSent { constructor, .. } | Event::MessageReceived { constructor, .. } => *constructor == MSGS_ACK,
        Event::Body { bytes, .. } => bytes.starts_with(&MSGS_ACK.to_le_bytes()),
        _ => false,
    }
}

/// What a line says of an event, not yet cleaned.
pub(super) fn tell(event: &Event) -> Told {
    let (mark, subject, details) = match event {
        Event::Dialing { addr } => (Mark::Note, "dialing".into(), addr.clone()),
        Event::Connected { addr, took } => (Mark::Note, "connected".into(), format!("{addr}  {}", span(*took))),
        Event::Disconnected { reason } => (Mark::Note, "disconnected".into(), reason.clone()),
        Event::FrameSent { len, wire, padding, framing, quick_ack } => {
            (Mark::Out, "frame".into(), frame(*len, *wire, *padding, framing, *quick_ack))
        }
        Event::FrameReceived { len, wire, padding, framing, quick_ack } => {
            (Mark::In, "frame".into(), frame(*len, *wire, *padding, framing, *quick_ack))
        }
        Event::QuickAck { token } => (Mark::In, "quick ack".into(), format!("{token:#010x}")),
        Event::TransportError { code } => (Mark::Wrong, TransportError::from(*code).to_string(), String::new()),
        Event::Computed { what, detail } => (Mark::Note, what.to_string(), detail.clone()),
        Event::Envelope { sent, auth_key_id, len, msg_key, inner, token } => {
            let mark = match (msg_key, sent) {
                (Verdict::Ok, true) => Mark::Out,
                (Verdict::Ok, false) => Mark::In,
                (Verdict::Mismatch | Verdict::Unchecked, _) => Mark::Wrong,
            };
            (mark, "envelope".into(), envelope(*auth_key_id, *len, *msg_key, inner.as_ref(), *token))
        }
        Event::HandshakeStep { name, detail } => (Mark::Note, name.to_string(), detail.clone()),
        Event::AuthKeyReady { id, fresh } => {
            (Mark::Note, "auth key ready".into(), format!("{id:#018x}, {}", if *fresh { "fresh" } else { "stored" }))
        }
        Event::TempKeyBound { id, perm, expires_at } => {
            (Mark::Note, "temporary key bound".into(), format!("{id:#018x} to {perm:#018x}, until {expires_at}"))
        }
        Event::KeyInUse { id, expires_at } => {
            let kind = expires_at.map_or_else(|| "permanent".to_owned(), |end| format!("temporary, until {end}"));
            (Mark::Note, "key in use".into(), format!("{id:#018x}, {kind}"))
        }
        Event::CheckFailed { rule, detail } => (Mark::Wrong, format!("check failed: {rule}"), detail.clone()),
        Event::MessageSent { msg_id, seq_no, constructor, len, container } => {
            (Mark::Out, nested(*constructor, *container), message(*len, seq_no.0, *msg_id))
        }
        Event::MessageReceived { msg_id, seq_no, constructor, len, container } => {
            (Mark::In, nested(*constructor, *container), message(*len, seq_no.0, *msg_id))
        }
        Event::MessageIgnored { msg_id, reason } => {
            (Mark::Note, "message ignored".into(), format!("{reason}  {}", id(*msg_id)))
        }
        Event::Gzip { sent, msg_id, packed, unpacked } => (
            if *sent { Mark::Out } else { Mark::In },
            "packed".into(),
            format!("{}  {}", ratio(*packed, *unpacked), id(*msg_id)),
        ),
        Event::Acked { ids } => (Mark::In, "acknowledged".into(), list(ids)),
        Event::AcksSent { ids } => (Mark::Out, "acknowledging".into(), list(ids)),
        Event::SaltChanged { old, new } => (Mark::Note, "salt changed".into(), format!("{} to {}", end(*old), end(*new))),
        Event::FutureSalts { count } => (Mark::In, "future salts".into(), count.to_string()),
        Event::SessionCreated { first_msg_id, unique_id, salt } => {
            (Mark::In, "session created".into(), format!("{unique_id:#018x}  salt {}  from {}", end(*salt), id(*first_msg_id)))
        }
        Event::BadMsg { code, msg_id } => {
            (Mark::Wrong, format!("message refused: {code}"), format!("{}  {}", bad_msg(*code), id(*msg_id)))
        }
        Event::Resent { old, new } if old == new => (Mark::Out, "sent again".into(), id(*old)),
        Event::Resent { old, new } => (Mark::Out, "sent again".into(), format!("{} as {}", id(*old), id(*new))),
        Event::TimeOffset { seconds } => (Mark::Note, "server's clock".into(), format!("{seconds:+} s")),
        Event::Ping { ping_id } => (Mark::Out, "ping".into(), format!("{ping_id:#018x}")),
        Event::Pong { ping_id, rtt } => (Mark::In, "pong".into(), format!("{}  {ping_id:#018x}", span(*rtt))),
        Event::RpcSent { msg_id, method, len, packed } => {
            (Mark::Out, name(*method), format!("{}  {}", packed_size(*len, *packed), id(*msg_id)))
        }
        Event::RpcResult { msg_id, method, latency, len, packed, sends, error } => {
            let sends = if *sends > 1 { format!("  sent {sends} times") } else { String::new() };
            match error {
                Some((code, text)) => {
                    (Mark::Wrong, name(*method), format!("{code} {text}  {}{sends}  {}", span(*latency), id(*msg_id)))
                }
                None => {
                    let details = format!("{}  {}{sends}  {}", span(*latency), packed_size(*len, *packed), id(*msg_id));
                    (Mark::In, name(*method), details)
                }
            }
        }
        Event::RpcFailed { msg_id, method, sends, reason } => {
            let about = msg_id.map_or_else(|| "never sent".to_owned(), |msg_id| format!("sent {sends}×  {}", id(msg_id)));
            (Mark::Wrong, name(*method), format!("{reason}  {about}"))
        }
        Event::RpcCancelled { msg_id } => (Mark::Note, "request given up".into(), id(*msg_id)),
        Event::RpcReceived { msg_id, method, len } => (Mark::In, name(*method), format!("{}  {}", size(*len), id(*msg_id))),
        Event::RpcAnswered { msg_id, method, len, packed, error } => match error {
            Some((code, text)) => (Mark::Wrong, name(*method), format!("{code} {text}  {}", id(*msg_id))),
            None => (Mark::Out, name(*method), format!("{}  {}", packed_size(*len, *packed), id(*msg_id))),
        },
        Event::Retry { method, attempt, delay, reason } => {
            (Mark::Wrong, format!("again: {attempt}"), format!("{}  in {}  {reason}", name(*method), span(*delay)))
        }
        Event::FloodWait { method, seconds } => (Mark::Wrong, format!("flood wait: {seconds} s"), name(*method)),
        Event::Migrate { from, to, reason } => (Mark::Note, "migrating".into(), format!("{from} to {to}  {reason}")),
        Event::RuleApplied { rule, action, method, msg_id } => {
            let message = msg_id.map(|msg_id| format!("  {}", id(msg_id))).unwrap_or_default();
            (Mark::Note, format!("rule: {rule}"), format!("{action}: {}{message}", name(*method)))
        }
        Event::Negotiated { layer, device } => (Mark::Out, "negotiated".into(), format!("layer {layer}  {device}")),
        Event::Body { sent, msg_id, method: _, len, bytes } => {
            let constructor = bytes.first_chunk().map(|id| u32::from_le_bytes(*id));
            let subject = constructor.map_or_else(|| "body".into(), name);
            (if *sent { Mark::Out } else { Mark::In }, subject, format!("{}  {}", size(*len), id(*msg_id)))
        }
        Event::Update { constructor, counters } => (Mark::In, name(*constructor), counted(counters)),
        Event::CoreCall { session, number, now: _, call } => {
            (Mark::Note, calls::kind_of(call).to_owned(), format!("call {number} of {}", called(session)))
        }
        Event::CoreDone { session, number, outcome, events } => {
            (Mark::Note, outcome.clone(), format!("call {number} of {}, {} events", called(session), events.len()))
        }
    };
    Told { mark, subject, details }
}

fn frame(len: usize, wire: usize, padding: usize, framing: &str, quick_ack: bool) -> String {
    let padding = if padding > 0 { format!(", {padding} B of padding") } else { String::new() };
    let quick_ack = if quick_ack { ", wants a quick ack" } else { "" };
    format!("{}  {} on the wire  {framing}{padding}{quick_ack}", size(len), size(wire))
}

fn envelope(key: i64, len: usize, msg_key: Verdict, inner: Option<&Inner>, token: Option<u32>) -> String {
    let mut text = format!("{}  key {key:016x}", size(len));
    if msg_key != Verdict::Ok {
        let _ = write!(text, "  msg_key {}", msg_key.name());
    }
    if let Some(inner) = inner {
        let Inner { salt, session_id, msg_id, seq_no, len: _, padding } = inner;
        let _ = write!(text, "  session {:016x}  salt {}  padding {padding} B", session_id.0, end(*salt));
        let _ = write!(text, "  seq {seq_no}  {}", id(*msg_id));
    }
    if let Some(token) = token {
        let _ = write!(text, "  token {token:08x}");
    }
    text
}

/// The counters that an update has.
fn counted(counters: &Counters) -> String {
    let Counters { pts, pts_count, qts, seq, date: _, channel_id } = counters;
    let mut parts = Vec::new();
    if let Some(id) = channel_id {
        parts.push(format!("channel {id}"));
    }
    match (pts, pts_count) {
        (Some(pts), Some(count)) => parts.push(format!("pts {pts} ({count:+})")),
        (Some(pts), None) => parts.push(format!("pts {pts}")),
        _ => {}
    }
    if let Some(qts) = qts {
        parts.push(format!("qts {qts}"));
    }
    if let Some(seq) = seq.filter(|seq| *seq != 0) {
        parts.push(format!("seq {seq}"));
    }
    parts.join("  ")
}

/// `1.2 KiB`, or `1.2 KiB packed to 300 B (25 %)`.
fn packed_size(len: usize, packed: Option<usize>) -> String {
    packed.map_or_else(|| size(len), |packed| ratio(packed, len))
}

fn ratio(packed: usize, unpacked: usize) -> String {
    let percent = packed.saturating_mul(100).checked_div(unpacked).unwrap_or(100);
    format!("{} packed to {} ({percent} %)", size(unpacked), size(packed))
}

fn called(session: &SessionName) -> String {
    let role = if session.server { "server" } else { "client" };
    format!("{role} session {:016x}", session.session_id.0)
}

/// A constructor's or method's name; its id when the schema has none.
pub(super) fn name(constructor: u32) -> String {
    tl::name_of(constructor).map_or_else(|| format!("{constructor:#010x}"), str::to_owned)
}

/// A message's subject; those inside a container stand under it.
fn nested(constructor: u32, container: Option<MsgId>) -> String {
    format!("{}{}", if container.is_some() { "  " } else { "" }, name(constructor))
}

/// With the time of day that the identifier claims: by the server's clock.
fn message(len: usize, seq_no: i32, msg_id: MsgId) -> String {
    let at = time_of_day(Duration::from_secs(msg_id.unix().try_into().unwrap_or(0)));
    format!("{}  seq {seq_no}  {}  of {}", size(len), id(msg_id), at.split('.').next().unwrap_or_default())
}

fn id(msg_id: MsgId) -> String {
    format!("msg {:016x}", msg_id.0)
}

/// The end of a salt: enough to tell two apart.
fn end(salt: Salt) -> String {
    format!("…{:04x}", salt.0 & 0xffff)
}

fn list(ids: &[MsgId]) -> String {
    let mut text = ids.len().to_string();
    for id in ids.iter().take(3) {
        let _ = write!(text, "  {:016x}", id.0);
    }
    text + if ids.len() > 3 { "  …" } else { "" }
}

/// What `bad_msg_notification` and `bad_server_salt` mean ("Service Messages About Messages").
fn bad_msg(code: i32) -> &'static str {
    match code {
        16 => "msg_id too low",
        17 => "msg_id too high",
        18 => "msg_id not divisible by 4",
        19 => "container's msg_id used before",
        20 => "message too old to know",
        32 => "seq_no too low",
        33 => "seq_no too high",
        34 => "seq_no odd, even expected",
        35 => "seq_no even, odd expected",
        48 => "wrong server salt",
        64 => "invalid container",
        _ => "unknown code",
    }
}

/// Without control characters.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

mod tree;

const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// A line in the making: coloured pieces. Colours take no columns; each character takes one.
struct Line<'a> {
    style: &'a Style,
    pieces: Vec<(&'static str, String)>,
}

impl<'a> Line<'a> {
    fn new(style: &'a Style) -> Self {
        Self { style, pieces: Vec::with_capacity(6) }
    }

    fn put(&mut self, colour: &'static str, text: impl Into<String>) {
        self.pieces.push((colour, text.into()));
    }

    fn finish(self) -> String {
        let columns: usize = self.pieces.iter().map(|(_, text)| text.chars().count()).sum();
        let cut = self.style.width.filter(|width| *width < columns);
        let mut left = cut.map_or(usize::MAX, |width| width.saturating_sub(1));
        let mut line = String::with_capacity(160);
        for (colour, text) in &self.pieces {
            let shown = text.char_indices().nth(left).map_or(&text[..], |(end, _)| &text[..end]);
            left -= shown.chars().count();
            if self.style.colour && !colour.is_empty() && !shown.is_empty() {
                let _ = write!(line, "{colour}{shown}{RESET}");
            } else {
                line.push_str(shown);
            }
        }
        if cut.is_some() {
            line.push('…');
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests;
