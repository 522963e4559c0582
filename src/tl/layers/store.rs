//! The files of the bundled layers, as texts: what `tdl tl import --layer-store` reads and writes.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{DeltaError, apply, difference};
use crate::compiled::protocol_schema;
use crate::schema::{Kind, ParseError, Schema, canonical, parse};

/// Definitions that the wire code knows by itself, and that some schema files therefore leave out.
const STANDARD: [&str; 5] = ["boolFalse", "boolTrue", "error", "null", "true"];

/// Why the files of a store do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The newest layer's schema does not parse.
    #[error("api.tl: {0}")]
    Newest(ParseError),
    /// A difference cannot be applied.
    #[error("layers/{layer}.delta: {error}")]
    Delta {
        /// The layer.
        layer: i32,
        /// What is wrong with it.
        error: DeltaError,
    },
    /// A schema whose file has no `// LAYER n`.
    #[error("the schema does not say which layer it is")]
    NoLayer,
    /// Definitions that cannot be in one schema.
    #[error(transparent)]
    Schema(ParseError),
}

/// All layers of a store: each older one is a file of its own, the difference to the next newer one.
#[derive(Debug, Clone)]
pub struct Store {
    layers: BTreeMap<i32, Schema>,
}

/// A schema after [`Store::insert`] has put it into the form of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// Its layer.
    pub layer: i32,
    /// Definitions that were left out, because they are the protocol's own (`tl-schema/mtproto.tl`).
    pub left_out: Vec<String>,
    /// Definitions that were added, because every schema has them.
    pub added: Vec<String>,
}

impl Store {
    /// Puts together what the files say: `api.tl`, and the difference of each older layer, in any order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn read<'t>(newest: &str, differences: impl IntoIterator<Item = (i32, &'t str)>) -> Result<Self, StoreError> {
        let mut schema = parse(newest).map_err(StoreError::Newest)?;
        let mut layers = BTreeMap::from([(schema.layer().ok_or(StoreError::NoLayer)?, schema.clone())]);
        let differences: BTreeMap<i32, &str> = differences.into_iter().collect();
        for (layer, text) in differences.into_iter().rev() {
            schema = apply(&schema, [text]).map_err(|error| StoreError::Delta { layer, error })?;
            layers.insert(layer, schema.clone());
        }
        Ok(Self { layers })
    }

    /// The layers, ascending.
    pub fn layers(&self) -> impl Iterator<Item = i32> {
        self.layers.keys().copied()
    }

    /// Adds a schema, or replaces that of the same layer. A layer newer than all others becomes `api.tl`. Definitions that are the protocol's
    /// own are left out; those that every schema has and this one lacks are added.
    ///
    /// # Errors
    /// [`StoreError::NoLayer`], and [`StoreError::Schema`] if what is added does not fit.
    pub fn insert(&mut self, schema: &Schema) -> Result<Inserted, StoreError> {
        let layer = schema.layer().ok_or(StoreError::NoLayer)?;
        let own = protocol_schema();
        let is_own = |d: &&crate::schema::Definition| own.by_id(d.id).is_some_and(|other| other.name == d.name);
        let mut inserted = Inserted { layer, left_out: Vec::new(), added: Vec::new() };
        inserted.left_out.extend(schema.definitions().iter().filter(is_own).map(|d| d.name.clone()));
        let mut definitions: Vec<_> = schema.definitions().iter().filter(|d| !is_own(d)).cloned().collect();
        let mut builtins = schema.builtins().to_vec();
        if let Some(model) = self.layers.values().next_back() {
            let standard =
                model.definitions().iter().filter(|d| d.kind == Kind::Constructor && STANDARD.contains(&d.name.as_str()));
            for definition in standard.filter(|d| schema.constructor(&d.name).is_none()) {
                inserted.added.push(definition.name.clone());
                definitions.push(definition.clone());
            }
            // What the language itself defines is the same in all layers, however a file writes it.
            builtins = model.builtins().to_vec();
        }
        let schema = Schema::new(Some(layer), definitions, builtins).map_err(StoreError::Schema)?;
        self.layers.insert(layer, schema);
        Ok(inserted)
    }

    /// The files: paths below the store's directory, and their texts.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for ((layer, older), newer) in self.layers.iter().zip(self.layers.values().skip(1)) {
            files.push((format!("layers/{layer}.delta"), difference(newer, older)));
        }
        if let Some(newest) = self.layers.values().next_back() {
            files.push(("api.tl".to_owned(), canonical(newest)));
        }
        files
    }
}
