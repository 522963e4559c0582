//! What can be wrong with JSON that should be TL.

use thiserror::Error;

/// JSON that is no value of the schema: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {kind}")]
pub struct JsonError {
    /// The way from the outermost object: `message.entities[2].offset`.
    pub path: String,
    /// The rule that was broken.
    pub kind: JsonErrorKind,
}

/// The rules of JSON as TL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// JSON of another kind than the type takes.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What the type takes.
        expected: String,
        /// What is there.
        found: String,
    },
    /// An object without `"_"` where several could stand.
    #[error("which object? \"_\" is missing{}", one_of(.candidates))]
    NoName {
        /// Some of those that could stand there.
        candidates: Vec<String>,
    },
    /// A name that the schema does not have.
    #[error("the schema has no {name:?}{}", meant(.nearest))]
    UnknownName {
        /// The name.
        name: String,
        /// The name nearest to it that could stand there.
        nearest: Option<String>,
    },
    /// An object that cannot stand there.
    #[error("{name} is no {expected}{}", one_of(.candidates))]
    WrongType {
        /// The object's name.
        name: String,
        /// The type that the field has.
        expected: String,
        /// Some of those that could stand there.
        candidates: Vec<String>,
    },
    /// A field that is not conditional and is not there.
    #[error("is missing: {ty}")]
    MissingField {
        /// Its type.
        ty: String,
    },
    /// A field that the definition does not have.
    #[error("{definition} has no such field{}", meant(.nearest))]
    UnknownField {
        /// The definition.
        definition: String,
        /// The field nearest to it.
        nearest: Option<String>,
    },
    /// One of several fields that share a bit of the flags, without the others.
    #[error("goes with {other}: both or neither, for they share a bit")]
    SharedBit {
        /// The one that is missing.
        other: String,
    },
    /// A number outside the range of its type.
    #[error("{value} is outside the range of {ty}")]
    OutOfRange {
        /// The number.
        value: String,
        /// The type.
        ty: &'static str,
    },
    /// Text that is neither base64 nor hexadecimal, whichever it should be.
    #[error("the text is not {form}")]
    BadBytes {
        /// What it should be.
        form: &'static str,
    },
    /// An `int128` or `int256` of another length.
    #[error("{found} bytes, where {expected} are needed")]
    BadLength {
        /// Bytes that the type has.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The schema mentions a type or constructor that it does not define.
    #[error("the schema does not define {0}")]
    UndefinedType(String),
    /// Objects nested more than [`MAX_DEPTH`](crate::dynamic::MAX_DEPTH) deep.
    #[error("objects nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More than [`MAX_VALUES`](crate::dynamic::MAX_VALUES) values in one object.
    #[error("more than {limit} values in one object")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

fn meant(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

fn one_of(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!("; it could be {}", candidates.join(", ")) }
}
