//! Objects of any schema, without generated types: decoding, encoding, printing.
//!
//! A [`Value`] is a tree that borrows names from its [`Schema`](super::schema::Schema) and text from the buffer it was read from. Depth and
//! number of values are bounded. Objects whose content no schema describes (`rpc_result`, `msg_container`, `msg_copy`, a vector without
//! known element type) are kept as [`Value::Raw`].

mod decode;
mod encode;
mod error;
pub mod json;
mod print;
mod value;

use std::fmt;

use bytes::Bytes;

use decode::bare_definition;
pub use decode::{MAX_DEPTH, MAX_VALUES, decode, decode_as, decode_object, decode_wrapper};
pub use encode::{encode, encode_as};
use encode::{flags_of, unnamed_bits};
pub use error::Error;
pub use print::{Printed, Style};
pub use value::{Object, Value};

/// `Debug` of a generated value, by way of its bytes.
pub(crate) fn debug(bytes: Bytes, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let schema = super::compiled_schema();
    match decode(schema, bytes.clone()) {
        Ok(value) => fmt::Debug::fmt(&value, f),
        // A generic method around an object that only its user knows, or a value beyond the limits.
        Err(error) => {
            let id = bytes.first_chunk().map(|id| u32::from_le_bytes(*id));
            write!(f, "{} {{ {} bytes: {error} }}", id.and_then(super::name_of).unwrap_or("object"), bytes.len())
        }
    }
}

#[cfg(test)]
mod tests;
