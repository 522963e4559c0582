//! JSON as it is written: straight into the line, without a tree in between.

use std::fmt::Display;
use std::io::Write as _;

use super::hex as digits;

/// A string with its quotes.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    // Neither memory nor text can fail to be written.
    let _ = serde_json::to_writer(out, text);
}

/// Something that prints as a number of JSON.
pub(super) fn number(number: impl Display, out: &mut Vec<u8>) {
    let _ = write!(out, "{number}");
}

/// Bytes as a string of hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    digits::put(bytes, out);
    out.push(b'"');
}

/// A comma, the name of a field, and a colon. Names of the schema and of the format need no escapes.
pub(super) fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
