//! The schemas that this build was generated from, as data.

use std::sync::OnceLock;

use super::schema::{Schema, parse};

/// Protocol and API schema in one. Read on first use.
pub fn compiled_schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let api = parse(include_str!("../../tl-schema/api.tl")).expect("the build script has read this text before");
        protocol_schema().clone().merged(api).expect("a test merges the two")
    })
}

/// The protocol's own schema.
pub(crate) fn protocol_schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    let text = include_str!("../../tl-schema/mtproto.tl");
    SCHEMA.get_or_init(|| parse(text).expect("the build script has read this text before"))
}

/// Name of the constructor or method with this id, with its namespace; also of those that are read by hand.
pub fn name_of(id: u32) -> Option<&'static str> {
    let special = super::mtproto::SPECIAL.iter().find(|(special, _)| *special == id);
    special.map(|(_, name)| *name).or_else(|| compiled_schema().by_id(id).map(|d| d.name.as_str()))
}
