//! What can go wrong with dynamic objects.

use thiserror::Error;

use crate::wire;

/// Why bytes are no object of the schema, or a value has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes break the wire format.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// An id that the schema does not define.
    #[error("unknown constructor {id:#010x} at byte {position}")]
    UnknownId {
        /// The id.
        id: u32,
        /// Where it is.
        position: usize,
    },
    /// An object of another type than the schema demands there.
    #[error("{found} at byte {position}, where {expected} was expected")]
    WrongType {
        /// Name of what is there.
        found: String,
        /// The type that should be there.
        expected: String,
        /// Where it is.
        position: usize,
    },
    /// The schema mentions a type or constructor that it does not define.
    #[error("the schema does not define {0}")]
    UndefinedType(String),
    /// Objects nested more than [`MAX_DEPTH`](super::MAX_DEPTH) deep.
    #[error("objects nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More than [`MAX_VALUES`](super::MAX_VALUES) values in one object.
    #[error("more than {limit} values in one object")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A value that does not fit the parameter it is given for, when encoding.
    #[error("{parameter}: the value is not a {expected}")]
    Mismatch {
        /// Definition and parameter: `auth.sendCode.api_id`.
        parameter: String,
        /// The type it should have.
        expected: String,
    },
}
