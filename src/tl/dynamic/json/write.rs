//! Tree to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use super::{ByteText, JsonOptions, Longs};
use crate::dynamic::{Object, Value, unnamed_bits};

/// The value as JSON. What is [`Absent`](Value::Absent) is `null`, and left out where it is a field.
pub fn to_json(value: &Value<'_>, options: &JsonOptions) -> Json {
    match value {
        Value::Absent => Json::Null,
        Value::Flags(bits) => Json::from(*bits),
        Value::True => Json::Bool(true),
        Value::Int(number) => Json::from(*number),
        Value::Long(number) => match options.longs {
            Longs::String => Json::String(number.to_string()),
            Longs::Number => Json::from(*number),
        },
        Value::Double(number) => double(*number),
        Value::Int128(bytes) => Json::String(hex(bytes)),
        Value::Int256(bytes) => Json::String(hex(bytes)),
        Value::Bool(value) => Json::Bool(*value),
        Value::String(text) => Json::String(text.as_str().to_owned()),
        Value::Bytes(bytes) => byte_text(bytes, options),
        Value::Vector(items) => Json::Array(items.iter().map(|item| to_json(item, options)).collect()),
        Value::Object(value) => object(value, options),
        Value::Raw { name, body, .. } => {
            let name = ("_".to_owned(), Json::String((*name).to_owned()));
            Json::Object(Map::from_iter([name, ("body".to_owned(), byte_text(body, options))]))
        }
    }
}

fn object(object: &Object<'_>, options: &JsonOptions) -> Json {
    let mut map = Map::new();
    map.insert("_".to_owned(), Json::String(object.definition.name.clone()));
    for (param, value) in object.definition.params.iter().zip(&object.values) {
        match value {
            Value::Absent => {}
            Value::Flags(bits) => {
                let left = unnamed_bits(object.definition, &param.name, *bits);
                if left != 0 {
                    map.insert(param.name.clone(), Json::from(left));
                }
            }
            value => {
                map.insert(param.name.clone(), to_json(value, options));
            }
        }
    }
    Json::Object(map)
}

fn double(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None => Json::String(match number {
            f64::INFINITY => "Infinity".to_owned(),
            f64::NEG_INFINITY => "-Infinity".to_owned(),
            _ if number.to_bits() == f64::NAN.to_bits() => "NaN".to_owned(),
            _ => format!("0x{:016x}", number.to_bits()),
        }),
    }
}

fn byte_text(bytes: &[u8], options: &JsonOptions) -> Json {
    Json::String(match options.bytes {
        ByteText::Base64 => STANDARD.encode(bytes),
        ByteText::Hex => hex(bytes),
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
