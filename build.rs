//! Generates the types of the TL schemas into `OUT_DIR`, for the package `tdl-tl` in `src/tl`.
//!
//! Parser and generator are that package's own modules, included by path.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

#[allow(dead_code, unused_imports, unreachable_pub, reason = "the build uses a part of what the library's modules offer")]
#[path = "src/tl/codegen/mod.rs"]
mod codegen;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "as above")]
#[path = "src/tl/schema/mod.rs"]
mod schema;

fn main() -> Result<(), Box<dyn Error>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for path in ["build.rs", "src/tl/codegen", "src/tl/schema", "tl-schema/api.tl", "tl-schema/mtproto.tl"] {
        println!("cargo::rerun-if-changed={}", top.join(path).display());
    }
    let out = env::var("OUT_DIR")?;
    let mut dispatch = String::new();
    for name in ["mtproto", "api"] {
        let file = format!("tl-schema/{name}.tl");
        let parsed = schema::parse(&fs::read_to_string(top.join(&file))?).map_err(|e| format!("{file}: {e}"))?;
        let root = format!("crate::{name}");
        let generated = codegen::generate(&parsed, &root).map_err(|e| format!("{file}: {e}"))?;
        fs::write(Path::new(&out).join(format!("{name}.rs")), generated)?;
        dispatch.push_str(&codegen::generate_dispatch(&parsed, &format!("tdl_tl::{name}")));
    }
    let table = format!("match id {{\n{dispatch}_ => return None,\n}}\n");
    fs::write(Path::new(&out).join("tl_dispatch.rs"), table)?;
    Ok(())
}
