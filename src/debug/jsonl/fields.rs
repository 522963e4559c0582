//! How the fields of events are written and read.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::LineError;
use crate::{hex, json};
use tdl_core::ids::{DcId, MsgId, Salt, SeqNo, SessionId};
use tdl_core::tl::name_of;
use tdl_core::trace::{Counters, Inner, Verdict, Word};

/// An object of a line.
pub(super) type Fields = Map<String, Value>;

/// How a field of a kind of value is written and read.
pub(super) trait Field {
    /// The value.
    type Value;

    /// Appends it, with its name; nothing if there is nothing to say.
    fn put(name: &'static str, value: &Self::Value, out: &mut Vec<u8>);

    /// Finds it again.
    fn take(name: &'static str, from: &Fields) -> Result<Self::Value, LineError>;

    /// What the documentation says of it.
    fn shape(name: &'static str) -> String;
}

fn missing(field: &'static str) -> LineError {
    LineError::FieldMissing { field }
}

fn wrong(field: &'static str, expected: &'static str) -> LineError {
    LineError::FieldWrong { field, expected }
}

/// A field that must be there.
fn needed<'a>(name: &'static str, from: &'a Fields) -> Result<&'a Value, LineError> {
    from.get(name).ok_or_else(|| missing(name))
}

/// A field that may be missing.
fn optional<'a>(name: &'static str, from: &'a Fields) -> Option<&'a Value> {
    from.get(name).filter(|value| !value.is_null())
}

fn int<T: TryFrom<i64>>(name: &'static str, value: &Value) -> Result<T, LineError> {
    value.as_i64().and_then(|number| number.try_into().ok()).ok_or_else(|| wrong(name, "a whole number in its range"))
}

fn text<'a>(name: &'static str, value: &'a Value) -> Result<&'a str, LineError> {
    value.as_str().ok_or_else(|| wrong(name, "a string"))
}

fn hex64(name: &'static str, value: &Value) -> Result<i64, LineError> {
    let digits = value.as_str().filter(|text| text.len() == 16).and_then(hex::read);
    let bytes: Option<[u8; 8]> = digits.and_then(|bytes| bytes.try_into().ok());
    bytes.map(i64::from_be_bytes).ok_or_else(|| wrong(name, "16 hexadecimal digits"))
}

fn hex32(name: &'static str, value: &Value) -> Result<u32, LineError> {
    let digits = value.as_str().filter(|text| text.len() == 8).and_then(hex::read);
    let bytes: Option<[u8; 4]> = digits.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| wrong(name, "8 hexadecimal digits"))
}

fn put_hex64(name: &str, value: i64, out: &mut Vec<u8>) {
    json::key(name, out);
    json::hex(&value.to_be_bytes(), out);
}

fn put_hex32(name: &str, value: u32, out: &mut Vec<u8>) {
    json::key(name, out);
    json::hex(&value.to_be_bytes(), out);
}

fn put_number(name: &str, value: impl std::fmt::Display, out: &mut Vec<u8>) {
    json::key(name, out);
    json::number(value, out);
}

fn put_string(name: &str, value: &str, out: &mut Vec<u8>) {
    json::key(name, out);
    json::string(value, out);
}

fn is(name: &str, shape: &str) -> String {
    format!("`{name}` {shape}")
}

/// Text of any kind.
pub(super) struct Text;

impl Field for Text {
    type Value = String;

    fn put(name: &'static str, value: &String, out: &mut Vec<u8>) {
        put_string(name, value, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<String, LineError> {
        text(name, needed(name, from)?).map(str::to_owned)
    }

    fn shape(name: &'static str) -> String {
        is(name, "text")
    }
}

/// A word from a fixed list.
pub(super) struct Name;

impl Field for Name {
    type Value = Word;

    fn put(name: &'static str, value: &Word, out: &mut Vec<u8>) {
        put_string(name, value, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<Word, LineError> {
        text(name, needed(name, from)?).map(|text| Word::Owned(text.to_owned()))
    }

    fn shape(name: &'static str) -> String {
        is(name, "word")
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $codec:ident($ty:ty) { $value:ident => $inner:expr, $number:ident => $outer:expr })*) => {$(
        $(#[$doc])*
        pub(super) struct $codec;

        impl Field for $codec {
            type Value = $ty;

            fn put(name: &'static str, $value: &$ty, out: &mut Vec<u8>) {
                put_number(name, $inner, out);
            }

            fn take(name: &'static str, from: &Fields) -> Result<$ty, LineError> {
                let $number = int(name, needed(name, from)?)?;
                Ok($outer)
            }

            fn shape(name: &'static str) -> String {
                is(name, "number")
            }
        }
    )*};
}

numbers! {
    /// A count of bytes or things.
    Size(usize) { value => value, number => number }
    /// A small count.
    Count(u32) { value => value, number => number }
    /// A number of 32 bits.
    Int(i32) { value => value, number => number }
    /// A time or a span in seconds.
    Seconds(i64) { value => value, number => number }
    /// A data centre.
    Dc(DcId) { value => value.0, number => DcId(number) }
    /// A sequence number.
    Seq(SeqNo) { value => value.0, number => SeqNo(number) }
}

/// Yes or no.
pub(super) struct Flag;

impl Field for Flag {
    type Value = bool;

    fn put(name: &'static str, value: &bool, out: &mut Vec<u8>) {
        json::key(name, out);
        out.extend_from_slice(if *value { b"true" } else { b"false" });
    }

    fn take(name: &'static str, from: &Fields) -> Result<bool, LineError> {
        needed(name, from)?.as_bool().ok_or_else(|| wrong(name, "true or false"))
    }

    fn shape(name: &'static str) -> String {
        is(name, "bool")
    }
}

/// A span in whole microseconds.
pub(super) struct Micros;

impl Field for Micros {
    type Value = Duration;

    fn put(name: &'static str, value: &Duration, out: &mut Vec<u8>) {
        put_number(name, value.as_micros(), out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<Duration, LineError> {
        int(name, needed(name, from)?).map(Duration::from_micros)
    }

    fn shape(name: &'static str) -> String {
        is(name, "µs")
    }
}

macro_rules! hex64s {
    ($($(#[$doc:meta])* $codec:ident($ty:ty) { $value:ident => $inner:expr, $number:ident => $outer:expr })*) => {$(
        $(#[$doc])*
        pub(super) struct $codec;

        impl Field for $codec {
            type Value = $ty;

            fn put(name: &'static str, $value: &$ty, out: &mut Vec<u8>) {
                put_hex64(name, $inner, out);
            }

            fn take(name: &'static str, from: &Fields) -> Result<$ty, LineError> {
                let $number = hex64(name, needed(name, from)?)?;
                Ok($outer)
            }

            fn shape(name: &'static str) -> String {
                is(name, "hex64")
            }
        }
    )*};
}

hex64s! {
    /// A number that stands for something: a key, a ping.
    Hex64(i64) { value => *value, number => number }
    /// A message.
    Id(MsgId) { value => value.0, number => MsgId(number) }
    /// A server salt.
    SaltHex(Salt) { value => value.0, number => Salt(number) }
}

/// A number of 32 bits that stands for something.
pub(super) struct Hex32;

impl Field for Hex32 {
    type Value = u32;

    fn put(name: &'static str, value: &u32, out: &mut Vec<u8>) {
        put_hex32(name, *value, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<u32, LineError> {
        hex32(name, needed(name, from)?)
    }

    fn shape(name: &'static str) -> String {
        is(name, "hex32")
    }
}

/// A message, and the time that its identifier claims.
pub(super) struct TimedId;

impl Field for TimedId {
    type Value = MsgId;

    fn put(name: &'static str, value: &MsgId, out: &mut Vec<u8>) {
        put_hex64(name, value.0, out);
        put_number("msg_time", seconds_of(*value), out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<MsgId, LineError> {
        Id::take(name, from)
    }

    fn shape(name: &'static str) -> String {
        format!("`{name}` hex64, `msg_time` time")
    }
}

/// The Unix time of an identifier: the upper half is seconds, the lower one fractions of a second.
fn seconds_of(id: MsgId) -> String {
    let micros = ((id.0.cast_unsigned() & 0xffff_ffff) * 1_000_000) >> 32;
    format!("{}.{micros:06}", id.unix())
}

/// Messages.
pub(super) struct Ids;

impl Field for Ids {
    type Value = Vec<MsgId>;

    fn put(name: &'static str, value: &Vec<MsgId>, out: &mut Vec<u8>) {
        json::key(name, out);
        out.push(b'[');
        for (index, id) in value.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::hex(&id.0.to_be_bytes(), out);
        }
        out.push(b']');
    }

    fn take(name: &'static str, from: &Fields) -> Result<Vec<MsgId>, LineError> {
        let list = needed(name, from)?.as_array().ok_or_else(|| wrong(name, "a list"))?;
        list.iter().map(|id| hex64(name, id).map(MsgId)).collect()
    }

    fn shape(name: &'static str) -> String {
        is(name, "hex64[]")
    }
}

macro_rules! named_ids {
    ($($(#[$doc:meta])* $codec:ident: $called:literal;)*) => {$(
        $(#[$doc])*
        pub(super) struct $codec;

        impl Field for $codec {
            type Value = u32;

            fn put(name: &'static str, value: &u32, out: &mut Vec<u8>) {
                if let Some(called) = name_of(*value) {
                    put_string($called, called, out);
                }
                put_hex32(name, *value, out);
            }

            fn take(name: &'static str, from: &Fields) -> Result<u32, LineError> {
                hex32(name, needed(name, from)?)
            }

            fn shape(name: &'static str) -> String {
                format!("`{}` name?, `{name}` hex32", $called)
            }
        }
    )*};
}

named_ids! {
    /// A constructor, with its name if the schema has one.
    Constructor: "name";
    /// A method, with its name if the schema has one.
    Method: "method";
}

/// A method that may not be known: 0 then, and not written.
pub(super) struct MaybeMethod;

impl Field for MaybeMethod {
    type Value = u32;

    fn put(name: &'static str, value: &u32, out: &mut Vec<u8>) {
        if *value != 0 {
            Method::put(name, value, out);
        }
    }

    fn take(name: &'static str, from: &Fields) -> Result<u32, LineError> {
        optional(name, from).map_or(Ok(0), |value| hex32(name, value))
    }

    fn shape(name: &'static str) -> String {
        format!("`method` name?, `{name}` hex32?")
    }
}

/// What may be missing.
pub(super) struct Maybe<F>(std::marker::PhantomData<F>);

impl<F: Field> Field for Maybe<F> {
    type Value = Option<F::Value>;

    fn put(name: &'static str, value: &Option<F::Value>, out: &mut Vec<u8>) {
        if let Some(value) = value {
            F::put(name, value, out);
        }
    }

    fn take(name: &'static str, from: &Fields) -> Result<Option<F::Value>, LineError> {
        optional(name, from).map(|_| F::take(name, from)).transpose()
    }

    fn shape(name: &'static str) -> String {
        F::shape(name) + "?"
    }
}

/// An error of a call: `{"code":420,"text":"FLOOD_WAIT_3"}`.
pub(super) struct RpcError;

impl Field for RpcError {
    type Value = (i32, String);

    fn put(name: &'static str, (code, message): &(i32, String), out: &mut Vec<u8>) {
        json::key(name, out);
        out.extend_from_slice(b"{\"code\":");
        json::number(code, out);
        put_string("text", message, out);
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<(i32, String), LineError> {
        let error = needed(name, from)?.as_object().ok_or_else(|| wrong(name, "an object"))?;
        Ok((Int::take("code", error)?, Text::take("text", error)?))
    }

    fn shape(name: &'static str) -> String {
        is(name, "{`code` number, `text` text}")
    }
}

/// A verdict, by its name.
pub(super) struct Checked;

impl Field for Checked {
    type Value = Verdict;

    fn put(name: &'static str, value: &Verdict, out: &mut Vec<u8>) {
        put_string(name, value.name(), out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<Verdict, LineError> {
        let found = text(name, needed(name, from)?)?;
        Verdict::ALL.into_iter().find(|known| known.name() == found).ok_or_else(|| wrong(name, "ok, mismatch or unchecked"))
    }

    fn shape(name: &'static str) -> String {
        is(name, "word")
    }
}

/// The inside of an envelope.
pub(super) struct Inside;

impl Field for Inside {
    type Value = Inner;

    fn put(name: &'static str, value: &Inner, out: &mut Vec<u8>) {
        json::key(name, out);
        out.extend_from_slice(b"{\"salt\":");
        json::hex(&value.salt.0.to_be_bytes(), out);
        put_hex64("session_id", value.session_id.0, out);
        TimedId::put("msg_id", &value.msg_id, out);
        Seq::put("seq_no", &value.seq_no, out);
        Size::put("len", &value.len, out);
        Size::put("padding", &value.padding, out);
        out.push(b'}');
    }

    fn take(name: &'static str, from: &Fields) -> Result<Inner, LineError> {
        let inner = needed(name, from)?.as_object().ok_or_else(|| wrong(name, "an object"))?;
        Ok(Inner {
            salt: SaltHex::take("salt", inner)?,
            session_id: SessionId(Hex64::take("session_id", inner)?),
            msg_id: Id::take("msg_id", inner)?,
            seq_no: Seq::take("seq_no", inner)?,
            len: Size::take("len", inner)?,
            padding: Size::take("padding", inner)?,
        })
    }

    fn shape(name: &'static str) -> String {
        let fields = "`salt` hex64, `session_id` hex64, `msg_id` hex64, `msg_time` time, `seq_no` number, `len` number, `padding` number";
        format!("`{name}` {{{fields}}}")
    }
}

/// The counters of an update, each a field of its own.
pub(super) struct Counted;

impl Field for Counted {
    type Value = Counters;

    fn put(_name: &'static str, value: &Counters, out: &mut Vec<u8>) {
        let Counters { pts, pts_count, qts, seq, date, channel_id } = value;
        for (name, value) in [("pts", pts), ("pts_count", pts_count), ("qts", qts), ("seq", seq), ("date", date)] {
            Maybe::<Int>::put(name, value, out);
        }
        Maybe::<Seconds>::put("channel_id", channel_id, out);
    }

    fn take(_name: &'static str, from: &Fields) -> Result<Counters, LineError> {
        Ok(Counters {
            pts: Maybe::<Int>::take("pts", from)?,
            pts_count: Maybe::<Int>::take("pts_count", from)?,
            qts: Maybe::<Int>::take("qts", from)?,
            seq: Maybe::<Int>::take("seq", from)?,
            date: Maybe::<Int>::take("date", from)?,
            channel_id: Maybe::<Seconds>::take("channel_id", from)?,
        })
    }

    fn shape(_name: &'static str) -> String {
        "`pts` number?, `pts_count` number?, `qts` number?, `seq` number?, `date` number?, `channel_id` number?".to_owned()
    }
}

/// Bytes.
pub(super) struct Hex;

impl Field for Hex {
    type Value = Bytes;

    fn put(name: &'static str, value: &Bytes, out: &mut Vec<u8>) {
        json::key(name, out);
        json::hex(value, out);
    }

    fn take(name: &'static str, from: &Fields) -> Result<Bytes, LineError> {
        let bytes = hex::read(text(name, needed(name, from)?)?);
        bytes.map(Bytes::from).ok_or_else(|| wrong(name, "hexadecimal digits"))
    }

    fn shape(name: &'static str) -> String {
        is(name, "hex")
    }
}
