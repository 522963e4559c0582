//! Replays the corpora of the fuzz targets, so that whatever a fuzzer once found stays fixed without a fuzzer.
//!
//! `cargo test --test fuzz_corpus -- --ignored write_seeds` writes the seeds anew.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[expect(unreachable_pub, reason = "the fuzz package sees these items")]
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_of_every_corpus() {
    let mut failed = Vec::new();
    for target in targets::ALL {
        for file in files(&corpus(target.name)) {
            let input = fs::read(&file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "inputs that fail, each alone with `cargo fuzz run TARGET FILE`: {failed:#?}");
}

/// Seeds are near what is valid; what is near them is where mistakes are.
#[test]
fn every_prefix_and_many_flips_of_every_seed() {
    for target in targets::ALL {
        for (name, seed) in (target.seeds)() {
            let step = seed.len().div_ceil(target.probes).max(1);
            for at in (0..seed.len()).step_by(step) {
                let mut flipped = seed.clone();
                flipped[at] ^= 1 << (at % 8);
                for input in [&seed[..at], &flipped] {
                    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
                    assert!(result.is_ok(), "{} {name} at byte {at}", target.name);
                }
            }
        }
    }
}

#[test]
fn each_target_has_its_seeds_its_binary_and_no_corpus_is_left_over() {
    let known: BTreeSet<_> = targets::ALL.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(known.len(), targets::ALL.len(), "a name is used twice");
    let present: BTreeSet<_> =
        files(&corpus("")).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(known, present);
    let manifest = fs::read_to_string(corpus("").join("../Cargo.toml")).unwrap();
    for target in targets::ALL {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{}.rs\"", target.name)), "{} has no binary", target.name);
        for (name, _) in (target.seeds)() {
            assert!(
                corpus(target.name).join(&name).exists(),
                "{} lacks its seed {name}: see the top of this file",
                target.name
            );
        }
    }
}

#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    for target in targets::ALL {
        let directory = corpus(target.name);
        fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in (target.seeds)() {
            fs::write(directory.join(name), bytes).unwrap();
        }
    }
}
