//! What the documents say must be true: paths exist, commands run, dependencies have reasons.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;
use std::path::Path;

use support::{Sandbox, TestDir};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    let inside_code = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> =
        inside_code.filter(|c| c.contains('/') || c.ends_with(".rs")).filter(|c| !c.contains([' ', '(', ':'])).collect();
    let own = ["src/", "tests/", "benches/", "fuzz/", "tl-schema/", ".ci/"];
    let named: Vec<&&str> = paths.iter().filter(|p| own.iter().any(|o| p.starts_with(o))).collect();
    assert!(named.len() > 20, "the test has lost its paths: {named:?}");
    for path in named {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} does not exist");
    }
    let modules = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    for entry in modules.map(|e| e.unwrap().file_name().into_string().unwrap()) {
        assert!(entry == "lib.rs" || text.contains(&format!("src/{entry}")), "src/{entry} is not on the map");
    }
}

/// The commands of the README's console blocks, without their prompt.
fn commands() -> Vec<String> {
    let text = read("README.md");
    let blocks = text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|b| b.lines()).filter_map(|l| l.strip_prefix("$ ")).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let dir = TestDir::new();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), dir.join("README.md")).unwrap();
    let ci = read(".ci/run");
    let mut cluster = None;
    let mut ran = 0;
    for line in commands() {
        if line == "cargo test" {
            // It is what runs this; the script that decides runs the same.
            assert!(ci.contains("cargo test --locked"), "the README's test command is not what .ci/run calls");
            continue;
        }
        let words = line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("tdl "));
        let words = words.unwrap_or_else(|| panic!("a command that this test cannot run: {line}"));
        if words.starts_with("sandbox up --dir box") {
            cluster = Some(Sandbox::start(&dir));
            continue;
        }
        let mut command = dir.tdl();
        if words.contains("--sandbox") {
            assert!(cluster.is_some(), "the cluster comes first: {line}");
            command.env_remove("TDL_HOME");
        }
        command.args(words).ok();
        ran += 1;
    }
    assert!(ran >= 10, "the test has lost its commands");
    assert_eq!(
        fs::read(dir.join("downloads").join(only_file(&dir.join("downloads")))).unwrap(),
        read("README.md").into_bytes()
    );
}

fn only_file(dir: &Path) -> std::ffi::OsString {
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.into_iter().next().unwrap()
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let manifest = read("Cargo.toml")
        + &read("src/tl/Cargo.toml")
        + &read("src/kernel/Cargo.toml")
        + &read("src/core/Cargo.toml")
        + &read("src/seal/Cargo.toml")
        + &read("src/net/Cargo.toml")
        + &read("src/sandbox/Cargo.toml");
    let mut reason = false;
    let mut inside = false;
    let mut checked = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            reason = false;
        } else if inside && line.starts_with('#') {
            reason = true;
        } else if inside && line.is_empty() {
            reason = false;
        } else if inside && line.contains('=') && !line.starts_with(' ') {
            assert!(reason, "no reason above: {line}");
            checked += 1;
        }
    }
    assert!(checked > 30, "the test has lost its lines");
}
