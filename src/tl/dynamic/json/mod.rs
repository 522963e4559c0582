//! Trees to JSON and back.
//!
//! An object is a JSON object with its name under `"_"` and its fields by their schema names: `{"_":"peerUser","user_id":"7"}`. Conditional
//! fields that are absent are left out, and `flags.N?true` is `true`. A vector is an array, `Bool` is `true` or `false`, `int` and `double`
//! are numbers. A `long` is a string of decimal digits, because most readers of JSON round numbers beyond 2^53, or a number on demand
//! ([`Longs`]). `bytes` are base64 or, on demand, hexadecimal ([`ByteText`]); `int128` and `int256` always hexadecimal, in wire order.
//!
//! What JSON lacks: a `double` that is no finite number is a string (`"NaN"`, `"Infinity"`, `"-Infinity"`, or `"0x"` and the 16 digits of
//! its bits), and a flags field is left out unless it has bits that no field stands for, which it then holds as a number. Text that was no
//! UTF-8 on the wire has been repaired before it gets here.
//!
//! Reading is more lenient than writing: a `long` may be a number or a string, bytes may say what they are (`"hex:00ff"`, `"base64:AP8="`),
//! `null` is as good as a field left out, `"_"` may be missing where only one constructor can stand, and may carry the id where a
//! constructor and a method share a name (`"_":"name#1cb5c415"`).

mod error;
mod read;
mod write;

pub use error::{JsonError, JsonErrorKind};
pub use read::{from_json, from_json_as, from_json_of};
pub use write::to_json;

/// How `long` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Longs {
    /// As a string of decimal digits.
    #[default]
    String,
    /// As a number, which other programs may round.
    Number,
}

/// How `bytes` are written, and read where they do not say what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ByteText {
    /// Base64 of RFC 4648, with padding.
    #[default]
    Base64,
    /// Two lower-case hexadecimal digits a byte.
    Hex,
}

/// What JSON leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// How `long` is written.
    pub longs: Longs,
    /// How `bytes` are written, and read where they do not say what they are.
    pub bytes: ByteText,
}

#[cfg(test)]
mod tests;
