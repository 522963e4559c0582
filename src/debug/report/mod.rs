//! A recording as one page: a timeline of frames and calls, latencies and sizes, containers, and what is out of the ordinary. The page
//! holds everything that it shows and asks the network for nothing; its own policy forbids it to.
//!
//! * here: [`Report`], which takes records and writes the page;
//! * [`findings`]: what is out of the ordinary;
//! * `calls`: requests paired with their answers; `strings`: names kept once;
//! * `page/`: what runs in the browser. `data.js` unpacks the recording, `timeline.js` draws it, `table.js` lists it, `detail.js` shows one
//!   record, `main.js` puts them together.
//!
//! Text of a recording may come from anybody. It reaches the page as compressed JSON and is shown as text, never as markup.

mod calls;
pub mod findings;
mod strings;

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde_json::Value;

use self::calls::Calls;
use self::findings::{Finding, Findings};
use self::strings::Strings;
use super::human::{self, Mark};
use super::jsonl;
use tdl_core::ids::DcId;
use tdl_core::trace::{ConnId, Event, Layer, Record};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &[&str] = &[
    include_str!("page/data.js"),
    include_str!("page/timeline.js"),
    include_str!("page/table.js"),
    include_str!("page/detail.js"),
    include_str!("page/main.js"),
];

/// Characters of a row's details; the whole of it is among the fields.
const DETAILS: usize = 400;

/// A report in the making. Holds what it was given in memory, some 300 bytes a record.
#[derive(Debug, Default)]
pub struct Report {
    start: Option<Duration>,
    last: Duration,
    rows: Rows,
    frames: Frames,
    conns: Vec<Conn>,
    conn_places: HashMap<ConnId, u32>,
    sums: Vec<Sum>,
    strings: Strings,
    raw: Vec<String>,
    calls: Calls,
    findings: Findings,
    /// Added to the numbers of connections: each run of the program counts its own from 1.
    base: u32,
    highest: u32,
}

/// A column for each property of a row.
#[derive(Debug, Default, Serialize)]
struct Rows {
    /// Microseconds since the row before.
    t: Vec<i64>,
    conn: Vec<u32>,
    layer: Vec<u8>,
    mark: Vec<u8>,
    subject: Vec<u32>,
    details: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Frames {
    row: Vec<usize>,
    len: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Conn {
    id: u32,
    dc: i32,
    addr: String,
}

#[derive(Debug, Default, Serialize)]
struct Sum {
    conn: u32,
    records: u64,
    sent: u64,
    received: u64,
}

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    tool: &'a str,
    /// Unix time of the first record, in seconds.
    start: f64,
    layers: Vec<&'static str>,
    strings: &'a Strings,
    conns: &'a [Conn],
    rows: &'a Rows,
    raw: &'a [String],
    frames: &'a Frames,
    calls: &'a Calls,
    sums: &'a [Sum],
    findings: Vec<Finding>,
}

impl Report {
    /// A report of nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records taken so far.
    pub fn len(&self) -> usize {
        self.rows.t.len()
    }

    /// Whether no record was taken yet.
    pub fn is_empty(&self) -> bool {
        self.rows.t.is_empty()
    }

    /// A run of the program begins: its connections are others than those before, whatever their numbers.
    pub fn begin_run(&mut self) {
        self.base = self.highest;
    }

    /// Takes the next record of the recording. What is not to be shown was taken out of it before: see [`redact`](super::redact).
    pub fn add(&mut self, mut record: Record) {
        record.conn.0 = record.conn.0.saturating_add(self.base);
        self.highest = self.highest.max(record.conn.0);
        let record = &record;
        let row = self.len();
        // A clock that was set back must not make the page go backwards.
        let at = record.at.max(self.last);
        if self.start.is_none() {
            self.start = Some(at);
            self.last = at;
        }
        let conn = self.conn(record);
        let told = human::tell(&record.event);
        self.rows.t.push(i64::try_from((at - self.last).as_micros()).unwrap_or(i64::MAX));
        self.last = at;
        self.rows.conn.push(conn);
        self.rows.layer.push(place_of(record.event.layer()));
        self.rows.mark.push(match told.mark {
            Mark::Out => 0,
            Mark::In => 1,
            Mark::Note => 2,
            Mark::Wrong => 3,
        });
        self.rows.subject.push(self.strings.of(human::clean(&told.subject)));
        self.rows.details.push(cut(&human::clean(&told.details)));
        self.raw.push(fields(record));
        self.count(record, conn, row);
        self.calls.read(record, row, &mut self.strings);
        self.findings.read(record);
    }

    /// Records are missing here: they came faster than they could be written.
    pub fn lost(&mut self, count: u64) {
        self.findings.lost(count);
    }

    /// Writes the page.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, title: &str, tool: &str, out: &mut impl Write) -> io::Result<()> {
        let page = Page {
            title,
            tool,
            start: self.start.unwrap_or_default().as_secs_f64(),
            layers: Layer::ALL.iter().map(|layer| layer.name()).collect(),
            strings: &self.strings,
            conns: &self.conns,
            rows: &self.rows,
            raw: &self.raw,
            frames: &self.frames,
            calls: &self.calls,
            sums: &self.sums,
            findings: self.findings.finish(),
        };
        // Placeholders are looked for in our own files only, never in what came from outside.
        let (before, after) = PAGE.split_once("@DATA@").expect("the page has a place for its data");
        out.write_all(filled(before, title).as_bytes())?;
        let mut packed = ZlibEncoder::new(EncoderWriter::new(&mut *out, &STANDARD), Compression::default());
        serde_json::to_writer(&mut packed, &page)?;
        packed.finish()?.finish()?;
        out.write_all(filled(after, title).as_bytes())?;
        out.flush()
    }

    /// The number of the record's connection, and what the record tells about it.
    fn conn(&mut self, record: &Record) -> u32 {
        let next = u32::try_from(self.conns.len()).unwrap_or(u32::MAX);
        let place = *self.conn_places.entry(record.conn).or_insert(next);
        if place == next {
            self.conns.push(Conn { id: record.conn.0, dc: record.dc.0, addr: String::new() });
            self.sums.push(Sum { conn: place, ..Sum::default() });
        }
        if let Some(conn) = self.conns.get_mut(place as usize) {
            if record.dc != DcId(0) {
                conn.dc = record.dc.0;
            }
            if let Event::Dialing { addr } | Event::Connected { addr, .. } = &record.event {
                conn.addr = cut(&human::clean(addr));
            }
        }
        place
    }

    fn count(&mut self, record: &Record, conn: u32, row: usize) {
        let Some(sum) = self.sums.get_mut(conn as usize) else { return };
        sum.records += 1;
        let (len, total) = match &record.event {
            Event::FrameSent { len, .. } => (*len, &mut sum.sent),
            Event::FrameReceived { len, .. } => (*len, &mut sum.received),
            _ => return,
        };
        *total += len as u64;
        self.frames.row.push(row);
        self.frames.len.push(len);
    }
}

/// What a record's line in JSON says beyond what its row already does.
fn fields(record: &Record) -> String {
    let mut line = Vec::new();
    jsonl::put_record(record, &mut line);
    match serde_json::from_slice(&line) {
        Ok(Value::Object(mut fields)) => {
            for told in ["t", "conn", "dc", "layer"] {
                fields.remove(told);
            }
            Value::Object(fields).to_string()
        }
        // We wrote it ourselves; a record without fields is better than none.
        _ => "{}".to_owned(),
    }
}

/// A part of our page with its own pieces put in.
fn filled(part: &str, title: &str) -> String {
    part.replace("@STYLE@", STYLE).replace("@SCRIPT@", &SCRIPT.concat()).replace("@TITLE@", &escaped(title))
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    human::clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn place_of(layer: Layer) -> u8 {
    Layer::ALL.iter().position(|other| *other == layer).and_then(|at| u8::try_from(at).ok()).unwrap_or_default()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(DETAILS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
