//! What can be wrong with bytes that should be TL.

use thiserror::Error;

/// A rule of the wire format that the bytes break.
///
/// Padding bytes after a string are skipped whatever they hold: nothing in the format fixes their value, and other implementations do not
/// look at them either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside a value.
    #[error("{needed} more bytes needed, {left} left")]
    UnexpectedEnd {
        /// Bytes that the value takes from here on.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A constructor id that the expected type does not have.
    #[error("constructor {id:#010x} where {expected} was expected")]
    UnknownConstructor {
        /// The id found.
        id: u32,
        /// The type, method or constructor that should have been there.
        expected: &'static str,
    },
    /// A `Bool` that is neither `boolTrue` nor `boolFalse`.
    #[error("constructor {id:#010x} where Bool was expected")]
    BadBool {
        /// The id found.
        id: u32,
    },
    /// A `Vector<T>` that does not begin with the constructor id of `vector`.
    #[error("constructor {id:#010x} where a vector was expected")]
    BadVector {
        /// The id found.
        id: u32,
    },
    /// A long form of the length prefix for a string that fits a shorter one.
    #[error("string of {length} bytes in a length prefix for longer ones")]
    NonMinimalLength {
        /// The length it holds.
        length: usize,
    },
    /// A vector that claims more elements than the remaining bytes can hold.
    #[error("vector of {count} elements in {left} bytes")]
    VectorTooLong {
        /// Elements claimed, as the unsigned number it is on the wire.
        count: u32,
        /// Bytes that are there.
        left: usize,
    },
    /// Objects inside objects, more than [`MAX_DEPTH`](super::MAX_DEPTH) deep.
    #[error("objects nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// Bytes after the end of the object.
    #[error("{left} bytes after the end of the object")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
}
