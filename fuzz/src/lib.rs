//! The bodies of the fuzz targets. Each is a function of bytes; `tests/fuzz_corpus.rs` of the package above includes the same files
//! and replays the corpora with them.

pub mod targets;
