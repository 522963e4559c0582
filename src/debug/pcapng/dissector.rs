//! The script that shows our packets in Wireshark.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tdl_core::tl::api::LAYER;
use tdl_core::tl::compiled_schema;
use tdl_core::tl::mtproto::SPECIAL;

const TEMPLATE: &str = include_str!("dissector.lua");

/// The script, with the names of everything in the schema that this program was built with. Lua 5.2 and later run it.
pub fn script() -> String {
    let mut names: BTreeMap<u32, &str> = compiled_schema().definitions().iter().map(|d| (d.id, d.name.as_str())).collect();
    names.extend(SPECIAL.iter().copied());
    let mut table = String::with_capacity(names.len() * 50);
    for (id, name) in &names {
        // Names are letters, digits, dots and underscores.
        let _ = writeln!(table, "  [0x{id:08x}] = \"{name}\",");
    }
    TEMPLATE
        .replace("@NAMES@", table.trim_end())
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@LAYER@", &LAYER.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constructor_and_method_has_its_name() {
        let script = script();
        for line in ["[0xf35c6d01] = \"rpc_result\"", "[0xc4f9186b] = \"help.getConfig\"", "[0x73f1f8dc] = \"msg_container\""] {
            assert!(script.contains(line), "{line}");
        }
        assert!(!script.contains('@'), "everything is filled in");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
        assert!(compiled_schema().definitions().iter().all(|d| d.name.chars().all(plain)));
    }
}
