//! The fields of a message of the key exchange, by the schema.

use bytes::Bytes;

use crate::units::date;
use tdl_core::tl::compiled_schema;
use tdl_core::tl::dynamic::{self, Value};

/// One value with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the schema, or what it is.
    pub name: String,
    /// The value.
    pub value: Shown,
}

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it stands.
    Text(String),
    /// Bytes in hexadecimal, all of them, and what they mean where that is more.
    Hex {
        /// The digits.
        digits: String,
        /// The number that they are, for short ones.
        number: Option<u64>,
    },
    /// Not shown.
    Secret,
}

impl Shown {
    /// Bytes in hexadecimal.
    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::Hex { digits: hex(bytes), number: None }
    }
}

/// Fields that only the two sides know.
const SECRET: &[&str] = &["new_nonce"];
/// Fields that are big-endian numbers.
const NUMBERS: &[&str] = &["pq", "p", "q"];

/// Name and fields of a serialized object; `None` if the schema cannot read it.
pub(super) fn read(body: &[u8], secrets: bool) -> Option<(String, Vec<Field>)> {
    let Ok(Value::Object(object)) = dynamic::decode(compiled_schema(), Bytes::copy_from_slice(body)) else { return None };
    let fields = object.fields().map(|(name, value)| {
        // The identifier of a refused key would help to find it.
        let hidden = SECRET.contains(&name) || (name == "retry_id" && *value != Value::Long(0));
        let value = if hidden && !secrets { Shown::Secret } else { shown(name, value) };
        Field { name: name.to_owned(), value }
    });
    Some((object.definition.name.clone(), fields.collect()))
}

fn shown(name: &str, value: &Value<'_>) -> Shown {
    match value {
        Value::Int128(bytes) => Shown::bytes(bytes),
        Value::Int256(bytes) => Shown::bytes(bytes),
        Value::Bytes(bytes) => bytes_of(name, bytes),
        // The protocol writes big numbers as strings.
        Value::String(text) => bytes_of(name, text.as_bytes()),
        Value::Long(number) => Shown::Text(format!("{number:#018x}")),
        Value::Int(time) if name == "server_time" => Shown::Text(format!("{time} ({})", date((*time).into()))),
        Value::Vector(items) => {
            let items = items.iter().map(|item| match shown(name, item) {
                Shown::Text(text) => text,
                Shown::Hex { digits, .. } => digits,
                Shown::Secret => String::new(),
            });
            Shown::Text(items.collect::<Vec<_>>().join(", "))
        }
        other => Shown::Text(format!("{other:?}")),
    }
}

fn bytes_of(name: &str, bytes: &[u8]) -> Shown {
    let short = NUMBERS.contains(&name) && bytes.len() <= 8;
    let number = short.then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    Shown::Hex { digits: hex(bytes), number }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
