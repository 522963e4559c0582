//! The schemas that this build was generated from, as data.

use std::sync::OnceLock;

use super::schema::{Schema, parse};

/// Protocol and API schema in one. Read on first use.
pub fn compiled_schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let read = |text| parse(text).expect("the build script has read this text before");
        let protocol = read(include_str!("../../tl-schema/mtproto.tl"));
        let api = read(include_str!("../../tl-schema/api.tl"));
        protocol.merged(api).expect("a test merges the two")
    })
}

/// Name of the constructor or method with this id, with its namespace; also of those that are read by hand.
pub fn name_of(id: u32) -> Option<&'static str> {
    let special = super::mtproto::SPECIAL.iter().find(|(special, _)| *special == id);
    special.map(|(_, name)| *name).or_else(|| compiled_schema().by_id(id).map(|d| d.name.as_str()))
}
