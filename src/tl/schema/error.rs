//! What can be wrong with a schema file.

use thiserror::Error;

/// A schema that cannot be read: the line it happened on, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct ParseError {
    /// Line number, from 1: where the definition in question starts.
    pub line: u32,
    /// The rule that was broken.
    pub kind: ParseErrorKind,
}

/// The rules of a schema file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The text ends inside a definition.
    #[error("the definition does not end with ';'")]
    Unterminated,
    /// A `---section---` line that is neither `---types---` nor `---functions---`.
    #[error("unknown section {0:?}: expected ---types--- or ---functions---")]
    UnknownSection(String),
    /// A `// LAYER` line without a number.
    #[error("bad layer number {0:?}")]
    BadLayer(String),
    /// A definition without `= Type`.
    #[error("the definition has no result type")]
    NoResult,
    /// A name that is empty or has characters a name cannot have.
    #[error("bad name {0:?}")]
    BadName(String),
    /// What follows `#` is not a 32-bit hexadecimal number.
    #[error("bad constructor id {0:?}")]
    BadId(String),
    /// A parameter without a colon.
    #[error("parameter {0:?} has no type")]
    NoParamType(String),
    /// `{X:Type}` is the only form of type parameter there is.
    #[error("bad type parameter {0:?}: expected {{X:Type}}")]
    BadGeneric(String),
    /// A type that does not read as one.
    #[error("bad type {0:?}")]
    BadType(String),
    /// `flags.N?` with N missing, not a number or above 31.
    #[error("bad flag {0:?}: expected field.N?type with N up to 31")]
    BadFlag(String),
    /// A conditional field whose flags field does not come before it.
    #[error("parameter {param:?} depends on {field:?}, and no such # field precedes it")]
    UnknownFlagField {
        /// The conditional field.
        param: String,
        /// The name of the missing flags field.
        field: String,
    },
    /// A type variable that no `{X:Type}` declares.
    #[error("type variable {0:?} is not declared")]
    UnknownVariable(String),
    /// Two parameters of one definition have one name.
    #[error("parameter {0:?} occurs twice")]
    DuplicateParam(String),
    /// Two definitions of one kind have one name.
    #[error("{0:?} is defined twice")]
    DuplicateName(String),
    /// Two definitions have one id: the wire could not tell them apart.
    #[error("{name:?} has the id {id:#010x} of {other:?}")]
    DuplicateId {
        /// The later definition.
        name: String,
        /// The earlier one.
        other: String,
        /// The id they share.
        id: u32,
    },
    /// A definition nests types more deeply than any real schema does.
    #[error("types are nested too deeply")]
    TooDeep,
}
