//! API layers as data: the one that this build was generated from, and older ones that programs in the field speak.
//!
//! An older layer is stored in `tl-schema/layers/` as its difference to the next newer one ([`difference`], [`apply`]), and put together
//! when it is first asked for. `tl-schema/README.md` says where each comes from and how one is added.

mod delta;
mod store;

use std::sync::OnceLock;

use thiserror::Error;

use crate::compiled_schema;
use crate::schema::{Definition, ParseError, Schema};

pub use delta::{DeltaError, DeltaErrorKind, apply, difference};
pub use store::{Inserted, Store, StoreError};

/// A layer that is not among the bundled ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("layer {layer} is not bundled: there are {}", list(bundled()))]
pub struct UnknownLayer {
    /// The layer asked for.
    pub layer: i32,
}

fn list(layers: &[i32]) -> String {
    layers.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

macro_rules! stored {
    ($($layer:literal)*) => {
        /// Layer and difference to the next newer one, oldest first.
        const STORED: &[(i32, &str)] =
            &[$(($layer, include_str!(concat!("../../../tl-schema/layers/", stringify!($layer), ".delta")))),*];
        const BUNDLED: &[i32] = &[$($layer,)* crate::api::LAYER];
    };
}

// In the order of age; a test compares the list with the directory.
stored! { 158 181 198 199 201 214 216 222 224 227 229 }

/// The bundled layers, ascending; the last one is that of the compiled schema.
pub fn bundled() -> &'static [i32] {
    BUNDLED
}

/// The schema of a bundled layer, the protocol's own definitions included as in [`compiled_schema`]. Read on first use, then kept.
///
/// # Errors
/// [`UnknownLayer`] for any other number.
pub fn schema(layer: i32) -> Result<&'static Schema, UnknownLayer> {
    static LOADED: [OnceLock<Schema>; STORED.len()] = [const { OnceLock::new() }; STORED.len()];
    if layer == crate::api::LAYER {
        return Ok(compiled_schema());
    }
    let index = STORED.iter().position(|(stored, _)| *stored == layer).ok_or(UnknownLayer { layer })?;
    let slot = LOADED.get(index).ok_or(UnknownLayer { layer })?;
    Ok(slot.get_or_init(|| {
        // From the newest down to the one wanted.
        let steps = STORED.get(index..).into_iter().flatten().rev().map(|(_, text)| *text);
        apply(compiled_schema(), steps).expect("a test puts every stored layer together")
    }))
}

/// The API's part of a schema that holds the protocol's own definitions too, as those of [`schema`] do. Its canonical text is that of the
/// layer's file.
///
/// # Errors
/// None for a schema that was put together from valid ones; the type is that of [`Schema::new`].
pub fn api_part(schema: &Schema) -> Result<Schema, ParseError> {
    let protocol = crate::compiled::protocol_schema();
    let own = |d: &&Definition| protocol.by_id(d.id).is_none_or(|other| other.name != d.name);
    let definitions = schema.definitions().iter().filter(own).cloned().collect();
    let mut builtins = schema.builtins().to_vec();
    builtins.sort_by(|a, b| (&a.name, &a.rest).cmp(&(&b.name, &b.rest)));
    builtins.dedup_by(|a, b| a.name == b.name && a.rest == b.rest);
    Schema::new(schema.layer(), definitions, builtins)
}

#[cfg(test)]
mod tests;
