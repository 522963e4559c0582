//! The body of a message as a tree: what is packed unpacked, what is answered read by the type that its method returns.

use bytes::Bytes;

use super::{json, redact};
use tdl_core::ids::MsgId;
use tdl_core::mtproto::gzip;
use tdl_core::tl::dynamic::{self, Value};
use tdl_core::tl::mtproto::{GZIP_PACKED_ID, RPC_RESULT_ID};
use tdl_core::tl::schema::{Schema, Type};
use tdl_core::tl::wire::VECTOR_ID;
use tdl_core::tl::{Reader, compiled_schema, name_of};

/// The most that packed objects of one body may unpack to, in bytes: what a frame may hold.
const MOST_UNPACKED: usize = 16 << 20;

/// Packed objects inside each other, at most. The protocol has no use for a second one.
const MOST_NESTED: u32 = 2;

/// A body, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'s> {
    /// An object that the schema describes, or a value of the given type.
    Value(Value<'s>, Option<&'s Type>),
    /// `rpc_result`.
    Answer {
        /// The message that carried the request.
        req: MsgId,
        /// The result, or `rpc_error`.
        result: Box<Self>,
    },
    /// `gzip_packed`.
    Packed {
        /// Bytes before unpacking.
        packed: usize,
        /// What was in it.
        inside: Box<Self>,
    },
    /// What no schema describes, or what is damaged.
    Opaque {
        /// The first four bytes; 0 if there are fewer.
        id: u32,
        /// All of it, in bytes.
        len: usize,
    },
}

impl Body<'static> {
    /// Reads a body. `method`: for an `rpc_result`, the method that it answers; 0 if that is not known. What cannot be read is opaque:
    /// there is no error.
    pub fn read(bytes: &Bytes, method: u32) -> Self {
        let schema = compiled_schema();
        if constructor(bytes) == RPC_RESULT_ID {
            let mut reader = Reader::new(bytes.clone());
            if let (Ok(_), Ok(req)) = (reader.u32(), reader.i64()) {
                let result = schema.by_id(method).map(|method| &method.result);
                let result = read_value(schema, reader.rest(), result, MOST_NESTED);
                return Self::Answer { req: MsgId(req), result: Box::new(result) };
            }
        }
        read_value(schema, bytes.clone(), None, MOST_NESTED)
    }
}

fn constructor(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

/// `ty`: what a result is, if its method is known. Only a vector cannot be read without.
fn read_value<'s>(schema: &'s Schema, bytes: Bytes, ty: Option<&'s Type>, nested: u32) -> Body<'s> {
    let (id, len) = (constructor(&bytes), bytes.len());
    if id == GZIP_PACKED_ID && nested > 0 {
        let mut reader = Reader::new(bytes.clone());
        let data = reader.u32().and_then(|_| reader.bytes());
        if let Ok(data) = data
            && let Ok(unpacked) = gzip::unpack(&data, MOST_UNPACKED)
        {
            let inside = Box::new(read_value(schema, unpacked, ty, nested - 1));
            return Body::Packed { packed: data.len(), inside };
        }
        return Body::Opaque { id, len };
    }
    let vector = ty.filter(|ty| id == VECTOR_ID && matches!(ty, Type::Vector { bare: false, .. }));
    let value = match vector {
        Some(ty) => dynamic::decode_as(schema, ty, bytes),
        None => dynamic::decode(schema, bytes),
    };
    match value {
        Ok(Value::Raw { .. }) | Err(_) => Body::Opaque { id, len },
        Ok(value) => Body::Value(value, vector),
    }
}

impl Body<'_> {
    /// Its bytes. What was packed is not packed again; of what is opaque only the constructor is left.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(value, ty) => {
                let start = out.len();
                let written = match ty {
                    Some(ty) => dynamic::encode_as(compiled_schema(), ty, value, out),
                    None => dynamic::encode(compiled_schema(), value, out),
                };
                if written.is_err() {
                    // It was read by the same schema, so this does not happen; half an object would be worse than none.
                    out.truncate(start);
                }
            }
            Self::Answer { req, result } => {
                out.extend_from_slice(&RPC_RESULT_ID.to_le_bytes());
                out.extend_from_slice(&req.0.to_le_bytes());
                result.write(out);
            }
            Self::Packed { inside, .. } => inside.write(out),
            Self::Opaque { id, .. } => out.extend_from_slice(&id.to_le_bytes()),
        }
    }

    /// Appends it as JSON: `_` is the constructor, a `long` is a string of decimal digits, bytes are hexadecimal digits. What is absent
    /// is left out; fields are in the schema's order.
    pub fn put_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Value(value, _) => put_value(value, out),
            Self::Answer { req, result } => {
                out.extend_from_slice(b"{\"_\":\"rpc_result\",\"req_msg_id\":");
                json::hex(&req.0.to_be_bytes(), out);
                out.extend_from_slice(b",\"result\":");
                result.put_json(out);
                out.push(b'}');
            }
            Self::Packed { packed, inside } => {
                out.extend_from_slice(b"{\"_\":\"gzip_packed\",\"packed\":");
                json::number(packed, out);
                out.extend_from_slice(b",\"object\":");
                inside.put_json(out);
                out.push(b'}');
            }
            Self::Opaque { id, len } => put_elided(&called(*id), *len, out),
        }
    }
}

/// The name of a constructor, or its number.
fn called(id: u32) -> String {
    name_of(id).map_or_else(|| format!("{id:08x}"), str::to_owned)
}

fn put_elided(name: &str, len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"_\":");
    json::string(name, out);
    out.extend_from_slice(b",\"elided\":");
    json::number(len, out);
    out.push(b'}');
}

fn put_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Absent => out.extend_from_slice(b"null"),
        Value::Flags(bits) => json::number(bits, out),
        Value::True | Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => json::number(number, out),
        // Not every reader of JSON has numbers of 64 bits.
        Value::Long(number) => json::string(&number.to_string(), out),
        Value::Double(number) if number.is_finite() => json::number(number, out),
        Value::Double(number) => json::string(&number.to_string(), out),
        Value::Int128(bytes) => json::hex(bytes, out),
        Value::Int256(bytes) => json::hex(bytes, out),
        Value::String(text) => json::string(text.as_str(), out),
        Value::Bytes(bytes) => match redact::placeholder(bytes) {
            Some(text) => json::string(text, out),
            None => json::hex(bytes, out),
        },
        Value::Vector(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                put_value(item, out);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.extend_from_slice(b"{\"_\":");
            json::string(&object.definition.name, out);
            for (name, value) in object.fields() {
                json::key(name, out);
                put_value(value, out);
            }
            out.push(b'}');
        }
        Value::Raw { name, body, .. } => put_elided(name, body.len(), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tdl_core::tl::api::{functions, types};
    use tdl_core::tl::mtproto::types::RpcError;
    use tdl_core::tl::{Identifiable, Serialize};

    fn answer(result: &[u8]) -> Bytes {
        let head = [&RPC_RESULT_ID.to_le_bytes()[..], &0x6553_f100_0000_0004i64.to_le_bytes()].concat();
        Bytes::from([&head[..], result].concat())
    }

    fn text(body: &Body<'_>) -> String {
        let mut out = Vec::new();
        body.put_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn json_of(body: &Body<'_>) -> serde_json::Value {
        serde_json::from_str(&text(body)).unwrap()
    }

    fn written(body: &Body<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        body.write(&mut out);
        out
    }

    #[test]
    fn requests_with_their_wrappers() {
        let request = functions::InvokeWithLayer { layer: 230, query: functions::help::GetConfig };
        let body = Body::read(&request.to_bytes(), 0);
        let expected = r#"{"_":"invokeWithLayer","layer":230,"query":{"_":"help.getConfig"}}"#;
        assert_eq!(text(&body), expected);
        assert_eq!(written(&body), request.to_bytes());
    }

    #[test]
    fn a_vector_is_read_by_the_type_that_the_method_returns() {
        let bytes = answer(&vec![1i32, 2].to_bytes());
        let known = Body::read(&bytes, functions::contacts::GetContactIds::ID);
        let expected = r#"{"_":"rpc_result","req_msg_id":"6553f10000000004","result":[1,2]}"#;
        assert_eq!(text(&known), expected);
        assert_eq!(written(&known), bytes);
        let unknown = json_of(&Body::read(&bytes, 0));
        assert_eq!(unknown["result"].to_string(), r#"{"_":"vector","elided":16}"#);
    }

    #[test]
    fn errors_and_packed_answers() {
        let error = RpcError { error_code: 420, error_message: "FLOOD_WAIT_3".into() };
        let error = tdl_core::tl::mtproto::enums::RpcError::from(error).to_bytes();
        let body = Body::read(&answer(&error), functions::help::GetConfig::ID);
        assert_eq!(json_of(&body)["result"]["error_message"], "FLOOD_WAIT_3");

        let ids: Vec<i32> = vec![7; 400];
        let packed = gzip::pack(&ids.to_bytes()).expect("worth it");
        let body = Body::read(&answer(&packed), functions::contacts::GetContactIds::ID);
        let json = json_of(&body);
        assert_eq!(json["result"]["_"], "gzip_packed");
        assert_eq!(json["result"]["object"].as_array().map(Vec::len), Some(400));
        assert_eq!(written(&body), answer(&ids.to_bytes()), "unpacked");
    }

    #[test]
    fn what_cannot_be_read_is_opaque() {
        for (bytes, id, len) in [
            (Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8]), 0x0403_0201, 8),
            (Bytes::new(), 0, 0),
            (Bytes::from_static(&[1]), 0, 1),
            (types::PeerUser { user_id: 7 }.to_bytes().slice(..4), 7, 4),
        ] {
            let body = Body::read(&bytes, 0);
            let Body::Opaque { id: found, len: size } = body else { panic!("{body:?}") };
            assert_eq!(size, len);
            assert!(found == id || len == 4);
        }
        let cut = answer(&[1, 2, 3]);
        assert_eq!(json_of(&Body::read(&cut, 0))["result"]["elided"], 3);
    }

    #[test]
    fn long_numbers_are_text_and_bytes_are_digits() {
        let body = types::InputDocument { id: i64::MAX, access_hash: -1, file_reference: Bytes::from_static(&[1, 0xab]) };
        let json = json_of(&Body::read(&tdl_core::tl::api::enums::InputDocument::from(body).to_bytes(), 0));
        assert_eq!((json["id"].as_str(), json["file_reference"].as_str()), (Some("9223372036854775807"), Some("01ab")));
    }
}
