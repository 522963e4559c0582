//! The generator of Rust types from a schema. It runs in the build script; the library compiles it for its tests only.
//!
//! Generated code is lean on purpose, because every check of the crate pays for it: no derived `Debug` or `PartialEq` (both go through the
//! encoding), short bodies, short paths, and `#[inline]` so that what nobody calls costs no code generation.
//!
//! Where text buys time, it is there for what is large or frequent only: structs beyond a size are filled where they will stay (`read`),
//! items of vectors are made at their place (`layout`), and numbers in a row are read and written with one look at the buffer (`runs`).

mod emit;
mod layout;
mod names;
mod read;
mod runs;
mod write;

use std::fmt;

use super::schema::{Kind, Schema};

/// Why a schema cannot become Rust types.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(super) enum CodegenError {
    /// A parameter or result of a type that the schema does not define.
    UnknownType {
        /// The definition that mentions it.
        definition: String,
        /// The type.
        ty: String,
    },
    /// A type in a place where there is no encoding for it.
    Unsupported {
        /// The definition that mentions it.
        definition: String,
        /// The type.
        ty: String,
    },
    /// Two definitions, or two fields of one, that get one Rust name.
    NameClash {
        /// The later one.
        definition: String,
        /// The name.
        name: String,
    },
    /// A type of which every value contains another one of it.
    NoFiniteValue {
        /// The type.
        ty: String,
    },
}

impl std::error::Error for CodegenError {}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { definition, ty } => write!(f, "{definition}: type {ty} is not defined"),
            Self::Unsupported { definition, ty } => write!(f, "{definition}: type {ty} cannot stand there"),
            Self::NameClash { definition, name } => write!(f, "{definition}: the name {name} is taken"),
            Self::NoFiniteValue { ty } => write!(f, "{ty}: every value contains another one"),
        }
    }
}

/// Generates the modules `types`, `enums` and `functions`. `root` is the path of the module that will include the text.
///
/// # Errors
/// See [`CodegenError`].
pub(super) fn generate(schema: &Schema, root: &str) -> Result<String, CodegenError> {
    emit::Emitter::new(schema, root).emit()
}

/// Generates a `match` from ids to typed round trips, for the test that puts every definition through them: the including file supplies
/// `round_trip::<T>(bytes)`.
pub(super) fn generate_dispatch(schema: &Schema, root: &str) -> String {
    let mut arms = String::new();
    for definition in schema.definitions() {
        let path = match definition.kind {
            Kind::Constructor if definition.result == super::schema::Type::Bool => "bool".to_owned(),
            Kind::Constructor => format!("{root}::enums::{}", names::path(&definition.result.to_string())),
            Kind::Function => {
                let generics = if definition.generics.is_empty() { "" } else { "::<tdl_tl::RawObject>" };
                format!("{root}::functions::{}{generics}", names::path(&definition.name))
            }
        };
        arms.push_str(&format!("{:#010x} => round_trip::<{path}>,\n", definition.id));
    }
    arms
}

#[cfg(test)]
mod tests;
