//! Records as lines of JSON: writing them, and reading them back. `docs/trace.md` describes the format.
//!
//! * [`kinds`]: every kind of record with its fields. [`calls`]: the same for calls into sessions.
//! * `fields`: how each kind of field is written and read. `table`: from which the two follow.
//! * [`read`]: a recording, line by line, whatever has happened to it.
//!
//! The format is versioned by its header. Within one version kinds and fields may be added, but none changes its meaning or goes away:
//! a reader passes over what it does not know.

use std::time::Duration;

use serde_json::Value;

use super::json;
use super::redact::Shown;
use tdl_core::ids::DcId;
use tdl_core::trace::{ConnId, Layer, LayerSet, Record, Role};

pub mod calls;
mod fields;
pub mod kinds;
pub mod read;
mod table;
#[cfg(test)]
mod tests;

use fields::Fields;

/// The version of the format.
pub const VERSION: u64 = 1;

/// What stands in front of the records of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When the run began, in local Unix time.
    pub at: Duration,
    /// The version of the program.
    pub version: String,
    /// The layer of the schema that it was built with.
    pub layer: i32,
    /// The layers that were traced.
    pub layers: LayerSet,
    /// What of the bodies was written.
    pub shown: Shown,
}

impl Header {
    /// That of a run of this program that begins at `at`.
    pub fn new(at: Duration, layers: LayerSet, shown: Shown) -> Self {
        let layer = tdl_core::tl::compiled_schema().layer().unwrap_or(0);
        Self { at, version: env!("CARGO_PKG_VERSION").to_owned(), layer, layers, shown }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A run begins.
    Header(Header),
    /// A record.
    Record(Record),
    /// Records were lost here: they came faster than they could be written.
    Lost {
        /// How many.
        count: u64,
    },
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is longer than any line that is written.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The most there may be.
        max: usize,
    },
    /// It is not JSON, or not text at all.
    #[error("not JSON: {reason}")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// It is some JSON, but no object.
    #[error("no JSON object")]
    NotAnObject,
    /// Of a version of the format that this program does not know.
    #[error("version {found} of the format; this program reads version {VERSION}")]
    Version {
        /// The version.
        found: String,
    },
    /// A kind of record that this program does not know.
    #[error("unknown kind of record '{kind}'")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// A field is not there.
    #[error("the field '{field}' is missing")]
    FieldMissing {
        /// The field.
        field: &'static str,
    },
    /// A field is not what it should be.
    #[error("the field '{field}' should be {expected}")]
    FieldWrong {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// Appends the line of a header.
pub fn put_header(header: &Header, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"v\":");
    json::number(VERSION, out);
    put_time("t", header.at, out);
    json::key("tool", out);
    json::string("tdl", out);
    json::key("version", out);
    json::string(&header.version, out);
    json::key("layer", out);
    json::number(header.layer, out);
    json::key("layers", out);
    json::string(&header.layers.to_string(), out);
    json::key("shown", out);
    json::string(header.shown.name(), out);
    out.extend_from_slice(b"}\n");
}

/// Appends the line of a record, as it is: redaction comes before.
pub fn put_record(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":");
    put_seconds(record.at, out);
    json::key("conn", out);
    json::number(record.conn.0, out);
    json::key("dc", out);
    json::number(record.dc.0, out);
    // Most connections are a client's.
    if record.role == Role::Server {
        json::key("role", out);
        json::string(record.role.name(), out);
    }
    json::key("layer", out);
    json::string(record.event.layer().name(), out);
    json::key("kind", out);
    json::string(kinds::kind_of(&record.event), out);
    kinds::put(&record.event, out);
    kinds::put_derived(&record.event, out);
    out.extend_from_slice(b"}\n");
}

/// Appends the line that says that records were lost.
pub fn put_lost(at: Duration, count: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":");
    put_seconds(at, out);
    json::key("kind", out);
    json::string("lost", out);
    json::key("count", out);
    json::number(count, out);
    out.extend_from_slice(b"}\n");
}

/// Unix time with microseconds.
fn put_seconds(at: Duration, out: &mut Vec<u8>) {
    json::number(format_args!("{}.{:06}", at.as_secs(), at.subsec_micros()), out);
}

fn put_time(name: &str, at: Duration, out: &mut Vec<u8>) {
    json::key(name, out);
    put_seconds(at, out);
}

/// Reads one line, without its line feed.
///
/// # Errors
///
/// One [`LineError`] for each way to be wrong.
pub fn parse(line: &[u8]) -> Result<Line, LineError> {
    let value: Value = serde_json::from_slice(line).map_err(|error| LineError::NotJson { reason: error.to_string() })?;
    let Value::Object(fields) = value else { return Err(LineError::NotAnObject) };
    if let Some(version) = fields.get("v") {
        return match version.as_u64() {
            Some(VERSION) => parse_header(&fields).map(Line::Header),
            _ => Err(LineError::Version { found: version.to_string().chars().take(20).collect() }),
        };
    }
    let kind = string("kind", &fields)?;
    if kind == "lost" {
        let count = fields.get("count").ok_or(LineError::FieldMissing { field: "count" })?;
        let count = count.as_u64().ok_or(LineError::FieldWrong { field: "count", expected: "a whole number" })?;
        return Ok(Line::Lost { count });
    }
    let event = kinds::take(kind, &fields)?;
    let number = |field: &'static str| {
        let found = fields.get(field).ok_or(LineError::FieldMissing { field })?;
        found.as_i64().ok_or(LineError::FieldWrong { field, expected: "a whole number" })
    };
    let range = |field| LineError::FieldWrong { field, expected: "a whole number in its range" };
    Ok(Line::Record(Record {
        at: time(&fields)?,
        conn: ConnId(number("conn")?.try_into().map_err(|_| range("conn"))?),
        dc: DcId(number("dc")?.try_into().map_err(|_| range("dc"))?),
        role: role(&fields)?,
        event,
    }))
}

fn role(fields: &Fields) -> Result<Role, LineError> {
    let Some(found) = fields.get("role") else { return Ok(Role::Client) };
    let known = [Role::Client, Role::Server].into_iter().find(|role| found.as_str() == Some(role.name()));
    known.ok_or(LineError::FieldWrong { field: "role", expected: "client or server" })
}

fn parse_header(fields: &Fields) -> Result<Header, LineError> {
    let layer = fields.get("layer").ok_or(LineError::FieldMissing { field: "layer" })?;
    let layer = layer.as_i64().and_then(|layer| layer.try_into().ok());
    let wrong = |field, expected| LineError::FieldWrong { field, expected };
    let shown = string("shown", fields)?;
    // A layer of a later version is no reason not to read the others.
    let known = string("layers", fields)?.split(',').filter_map(|name| Layer::ALL.into_iter().find(|l| l.name() == name));
    Ok(Header {
        at: time(fields)?,
        version: string("version", fields)?.to_owned(),
        layer: layer.ok_or_else(|| wrong("layer", "a whole number in its range"))?,
        layers: known.fold(LayerSet::NONE, LayerSet::with),
        shown: Shown::ALL
            .into_iter()
            .find(|known| known.name() == shown)
            .ok_or_else(|| wrong("shown", "public, texts or all"))?,
    })
}

fn string<'a>(field: &'static str, fields: &'a Fields) -> Result<&'a str, LineError> {
    let found = fields.get(field).ok_or(LineError::FieldMissing { field })?;
    found.as_str().ok_or(LineError::FieldWrong { field, expected: "a string" })
}

/// The time of a line, to the microsecond: a number of this size has no more digits.
fn time(fields: &Fields) -> Result<Duration, LineError> {
    let found = fields.get("t").ok_or(LineError::FieldMissing { field: "t" })?;
    let seconds = found.as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    let seconds = seconds.ok_or(LineError::FieldWrong { field: "t", expected: "a Unix time" })?;
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}
