//! The TL language: wire format, schemas, generated types, dynamic objects.
//!
//! * [`wire`]: bytes to values and back;
//! * [`schema`]: schema files as data, [`schema::import`] to bring one into canonical form;
//! * [`mtproto`] and [`api`]: the types generated from `tl-schema/`;
//! * [`dynamic`]: objects of any schema, read and printed without generated types, from and to JSON;
//! * [`layers`]: older API layers, as schemas;
//! * [`translate`]: requests and answers from one layer into another;
//! * [`compiled_schema`] and [`name_of`]: what this build was generated from.

pub mod api;
pub mod dynamic;
pub mod layers;
pub mod mtproto;
pub mod schema;
pub mod translate;
pub mod wire;

#[cfg(test)]
mod codegen;
mod compiled;
mod describe;
mod generated;
#[cfg(test)]
mod tests;

pub use compiled::{compiled_schema, name_of};
pub use describe::{describe, find};
pub use wire::{Deserialize, Error, Identifiable, RawObject, Reader, RemoteCall, Serialize, Str};
