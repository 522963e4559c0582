//! Taking secrets out of records, before any sink writes them.
//!
//! Events hold no key material by construction. What may be secret or personal is in the bodies of messages, [`Event::Body`], and there
//! the schema says where: see [`table`]. A redacted body is a body still: each value that is taken out leaves a text behind that says
//! how long it was, `<redacted:12>`, so what was redacted can be written, read and printed like anything else. Of a body that the schema
//! cannot read only the constructor is left.

use std::borrow::Cow;

use bytes::Bytes;

use super::body::Body;
use tdl_core::tl::dynamic::{Object, Value};
use tdl_core::trace::{Event, Record};

pub mod table;

use table::Class;

/// What may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// What says nothing about anybody: constructors, numbers, states.
    #[default]
    Public,
    /// Also what people write and what they are called; no passwords, codes, phone numbers, tokens and keys.
    Texts,
    /// Everything, as it is.
    Everything,
}

impl Shown {
    /// Every choice, the least first.
    pub const ALL: [Self; 3] = [Self::Public, Self::Texts, Self::Everything];

    /// The name, as flags and recordings write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Texts => "texts",
            Self::Everything => "all",
        }
    }

    fn shows(self, class: Class) -> bool {
        match class {
            Class::Public => true,
            Class::Personal => self >= Self::Texts,
            Class::Secret | Class::Contents => self >= Self::Everything,
        }
    }
}

/// The record as it may be shown.
pub fn record(record: &Record, shown: Shown) -> Cow<'_, Record> {
    match &record.event {
        Event::Body { sent, msg_id, method, len, bytes } if shown != Shown::Everything => {
            let event =
                Event::Body { sent: *sent, msg_id: *msg_id, method: *method, len: *len, bytes: body(bytes, *method, shown) };
            Cow::Owned(Record { event, ..*record })
        }
        _ => Cow::Borrowed(record),
    }
}

/// The bytes of a body as they may be shown. `method`: for an `rpc_result`, the method that it answers.
pub fn body(bytes: &Bytes, method: u32, shown: Shown) -> Bytes {
    let mut body = Body::read(bytes, method);
    clean(&mut body, shown);
    let mut out = Vec::new();
    body.write(&mut out);
    out.into()
}

fn clean(body: &mut Body<'_>, shown: Shown) {
    match body {
        // A result that is no object: a list of numbers or objects, or of texts that nothing is known about.
        Body::Value(value, _) => clean_value(value, Class::Personal, shown),
        Body::Answer { result: inside, .. } | Body::Packed { inside, .. } => clean(inside, shown),
        Body::Opaque { .. } => {}
    }
}

/// `class`: of a text that is not inside an object of its own.
fn clean_value(value: &mut Value<'_>, class: Class, shown: Shown) {
    match value {
        Value::Object(object) => clean_object(object, shown),
        Value::Vector(items) => items.iter_mut().for_each(|item| clean_value(item, class, shown)),
        Value::String(text) if !shown.shows(class) && placeholder(text.as_bytes()).is_none() => {
            *text = left_behind(class, text.len()).into();
        }
        Value::Bytes(bytes) if !shown.shows(class) && placeholder(bytes).is_none() => {
            *bytes = left_behind(class, bytes.len()).into();
        }
        // Nothing is known of what is in it.
        Value::Raw { body, .. } => *body = Bytes::new(),
        _ => {}
    }
}

fn clean_object(object: &mut Object<'_>, shown: Shown) {
    let definition = object.definition;
    for (param, value) in definition.params.iter().zip(&mut object.values) {
        clean_value(value, table::class_of(&definition.name, &param.name), shown);
    }
}

/// What stands in the place of a value.
fn left_behind(class: Class, len: usize) -> String {
    let what = if class == Class::Contents { ELIDED } else { REDACTED };
    format!("{what}{len}>")
}

const REDACTED: &str = "<redacted:";
const ELIDED: &str = "<elided:";

/// The text that redaction has put in the place of a value; `None` for anything else.
pub fn placeholder(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() < REDACTED.len() + 24)?;
    let digits = text.strip_prefix(REDACTED).or_else(|| text.strip_prefix(ELIDED))?.strip_suffix('>')?;
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests;
