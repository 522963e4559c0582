//! The TL wire format ("Binary Data Serialization"): primitive values, strings, vectors, and the traits of everything that has bytes.
//!
//! All numbers are little-endian, everything is a multiple of four bytes long. What a peer sends is read through [`Reader`], which never
//! panics and never reserves more memory than the bytes at hand could justify.

mod error;
mod reader;
mod slice;
mod text;
mod traits;
mod writer;

pub use error::Error;
pub use reader::{MAX_DEPTH, Reader};
pub use text::Str;
pub use traits::{Deserialize, Identifiable, RawObject, RemoteCall, Serialize};
pub use writer::{write_bytes, write_f64, write_i32, write_i64, write_u32, write_vector_header, write_words};

pub(crate) use traits::unknown;

/// Constructor id of `vector`.
pub const VECTOR_ID: u32 = 0x1cb5_c415;
/// Constructor id of `boolTrue`.
pub const BOOL_TRUE_ID: u32 = 0x9972_75b5;
/// Constructor id of `boolFalse`.
pub const BOOL_FALSE_ID: u32 = 0xbc79_9737;

/// Result of reading.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
