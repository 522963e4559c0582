//! The API: everything that is not the protocol's own, generated from `tl-schema/api.tl`.

// Fields and variants are documented by the schema line above the struct. The rest is style that does not matter in generated text.
#![allow(
    missing_docs,
    elided_lifetimes_in_paths,
    unused_imports,
    unused_parens,
    unused_variables,
    unused_qualifications,
    clippy::all,
    clippy::use_self
)]

include!(concat!(env!("OUT_DIR"), "/api.rs"));
