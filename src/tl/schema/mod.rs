//! TL schemas as data: the model, the parser, constructor ids, the canonical text form.
//!
//! This module is compiled twice: here, and (by path) into the build script, where the code generator reads the model. It therefore
//! uses nothing of the rest of the crate.

mod canonical;
mod error;
mod model;
mod parse;

pub use canonical::{IdException, canonical, canonical_order, exceptions, import};
pub use error::{ParseError, ParseErrorKind};
pub use model::{Builtin, Definition, Flag, Kind, Param, Schema, Type, split_name};
pub use parse::parse;

#[cfg(test)]
mod tests;
