//! Takes away each check of what peers send, one at a time, and sees that a test fails.
//!
//! ```text
//! cargo test --no-default-features --features mutations --test mutations -- --nocapture
//! ```
//!
//! The library's own tests are compiled once, with the feature `mutations`, and run once for each check, with that check out of force:
//! see `src/core/check.rs`. Which test missed a check the last time is in `tests/mutations.txt`: that one is tried first, alone, and only if it
//! passes all the others. `-- --ignored write_who_misses` writes the file anew. The last words are the table of checks and of the tests that
//! missed them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tdl::check::Check;

/// Tests that take seconds, and find by chance what others find by name. They run for a check that no other test misses.
const SLOW: &[&str] =
    &["::noise::", "::mutation::", "::lossy::", "over_a_thousand_runs", "noise_is_refused", "round_trip_in_every"];

/// A run that takes longer has lost its way: that would be noticed as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// The rules without an `if` of their own, by the file of their error and the error's variant. Each yields what the code goes on with:
/// there is nothing to take away that would leave a program.
const WITHOUT_AN_IF: &[(&str, &str, &str)] = &[
    ("src/core/mtproto/plain.rs", "TooShort", "the header's bytes"),
    ("src/core/mtproto/container.rs", "Truncated", "the bytes of the next message"),
    ("src/core/mtproto/handshake/error.rs", "Plain", "the body of the frame, which plain.rs checks"),
    ("src/core/mtproto/handshake/error.rs", "Decode", "the object"),
    ("src/core/mtproto/handshake/error.rs", "RsaBlockLength", "the block, an array"),
    ("src/core/mtproto/handshake/error.rs", "RsaPadInvalid", "the content, which rsa.rs checks"),
    ("src/core/mtproto/handshake/error.rs", "BadGroup", "the group, which dh.rs checks"),
    ("src/core/mtproto/handshake/error.rs", "BadPublicValue", "the public value, which dh.rs checks"),
    ("src/core/crypto/srp.rs", "Group", "the group, which dh.rs checks"),
    ("src/core/crypto/srp.rs", "PublicValue", "the public value, which dh.rs checks"),
    ("src/core/crypto/srp.rs", "Randomness", "a secret whose public value may be sent"),
    ("src/core/transport/error.rs", "WrongSecret", "the kind of transport"),
    ("src/core/mtproto/session/error.rs", "Gzip", "the unpacked object, which gzip.rs checks"),
    ("src/core/mtproto/session/error.rs", "UnknownErrorCode", "what to do about the code"),
    ("src/core/mtproto/handshake/error.rs", "DhParams", "no check: the server says so, and has proved that it is the server"),
    ("src/core/mtproto/handshake/error.rs", "DhGen", "no check: the server says so, and has proved that it has the key"),
    ("src/core/transport/fake_tls/error.rs", "Alert", "no check: it says what the wrong record is"),
    ("src/core/transport/socks5.rs", "CredentialsWanted", "what to say next"),
    ("src/core/transport/socks5.rs", "NoMethod", "what to say next"),
    ("src/core/transport/socks5.rs", "MethodNotOffered", "what to say next"),
    ("src/core/transport/socks5.rs", "UnknownAddressKind", "the address's length"),
    ("src/core/transport/http_connect.rs", "WrongVersion", "what follows the version"),
    ("src/core/transport/mtproxy.rs", "Empty", "the key, an array"),
    ("src/core/transport/mtproxy.rs", "BadCharacter", "the character's value"),
    ("src/core/transport/mtproxy.rs", "TooShort", "the key, an array"),
    ("src/core/transport/mtproxy.rs", "UnknownPrefix", "what the secret demands"),
    ("src/core/transport/mtproxy.rs", "PaddedLength", "the key, an array"),
    ("src/core/transport/http/error.rs", "MalformedStart", "the words of the line"),
    ("src/core/transport/http/error.rs", "WrongVersion", "the version"),
    ("src/core/transport/http/error.rs", "LengthMissing", "the length"),
];

/// The error types whose variants must all be in one of the two lists: file, type, and the module whose checks refuse with them.
const ERRORS: &[(&str, &str, &str)] = &[
    ("src/core/mtproto/envelope/mod.rs", "EnvelopeError", "mtproto::envelope"),
    ("src/core/mtproto/plain.rs", "Error", "mtproto::plain"),
    ("src/core/mtproto/container.rs", "ContainerError", "mtproto::container"),
    ("src/core/mtproto/gzip.rs", "GzipError", "mtproto::gzip"),
    ("src/core/mtproto/handshake/error.rs", "PeerMisbehaved", "mtproto::handshake"),
    ("src/core/mtproto/handshake/error.rs", "PeerIncompatible", "mtproto::handshake"),
    ("src/core/mtproto/handshake/error.rs", "InvalidMessage", "mtproto::handshake"),
    ("src/core/mtproto/handshake/error.rs", "Refused", "mtproto::handshake"),
    ("src/core/mtproto/session/error.rs", "PeerMisbehaved", "mtproto::session"),
    ("src/core/crypto/dh.rs", "DhError", "crypto::dh"),
    ("src/core/crypto/srp.rs", "SrpError", "crypto::srp"),
    ("src/core/transport/fake_tls/error.rs", "Error", "transport::fake_tls"),
    ("src/core/transport/socks5.rs", "Error", "transport::socks5"),
    ("src/core/transport/http_connect.rs", "Error", "transport::http_connect"),
    ("src/core/transport/mtproxy.rs", "SecretError", "transport::mtproxy"),
    ("src/core/transport/websocket/error.rs", "Error", "transport::websocket"),
];

/// The same of the transports whose error types also have what callers do wrong: from the line on that says so.
const FROM: &[(&str, &str, &str)] = &[
    ("src/core/transport/error.rs", "// Broken by the peer.", "transport"),
    ("src/core/transport/http/error.rs", "// The head, of either end's messages.", "transport::http::"),
];

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The variants of the enum whose body `text` begins in.
fn variants(text: &str) -> Vec<String> {
    let body = text.lines().take_while(|line| *line != "}");
    let at_margin =
        body.filter_map(|line| line.strip_prefix("    ")).filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    at_margin.map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

#[test]
fn every_rule_has_a_check_that_can_be_taken_away_or_needs_none() {
    let mut listed = Vec::new();
    for (path, name, module) in ERRORS {
        let text = source(path);
        let (_, body) = text.split_once(&format!("pub enum {name} {{\n")).unwrap_or_else(|| panic!("{path} has no {name}"));
        listed.extend(variants(body).into_iter().map(|variant| (*path, variant, *module)));
    }
    for (path, from, module) in FROM {
        let text = source(path);
        let (_, body) = text.split_once(from).expect("the transport's errors say whose fault they are");
        listed.extend(variants(body).into_iter().map(|variant| (*path, variant, *module)));
    }
    assert!(listed.len() > 140, "{listed:?}");

    let has_check =
        |variant: &str, module: &str| Check::ALL.iter().any(|check| check.variant() == variant && check.tests() == module);
    let needs_none = |path: &str, variant: &str| WITHOUT_AN_IF.iter().any(|(p, v, _)| *p == path && *v == variant);
    for (path, variant, module) in &listed {
        assert_ne!(has_check(variant, module), needs_none(path, variant), "{path}: {variant}");
    }
    for (path, variant, _) in WITHOUT_AN_IF {
        assert!(listed.iter().any(|(p, v, _)| p == path && v == variant), "{path} has no {variant}");
    }
}

/// Builds the library's tests and says where they are.
fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--package", "tdl-core", "--features", "mutations", "--lib", "--no-run"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let at = said.lines().find_map(|line| line.trim().strip_prefix("Executable unittests lib.rs (")?.strip_suffix(')'));
    Path::new(env!("CARGO_MANIFEST_DIR")).join(at.unwrap_or_else(|| panic!("cargo names no executable: {said}")))
}

/// The tests that missed the checks, by the checks' names.
const WHO_MISSES: &str = "tests/mutations.txt";

fn who_misses() -> BTreeMap<String, String> {
    let line = |line: &str| line.split_once(' ').map(|(check, test)| (check.to_owned(), test.to_owned()));
    source(WHO_MISSES).lines().filter_map(line).collect()
}

/// Whether this one test fails without `check`. Of a test that does not exist, or does not end, nobody knows.
fn misses(tests: &Path, test: &str, check: &str) -> bool {
    let mut command = Command::new(tests);
    command.args([test, "--exact"]).env("TDL_WITHOUT_CHECK", check).env("RUST_BACKTRACE", "0");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the tests run");
    let (tell, told) = mpsc::channel();
    let mut out = child.stdout.take().expect("piped");
    thread::spawn(move || {
        let mut said = String::new();
        let _ = out.read_to_string(&mut said);
        let _ = tell.send(said);
    });
    let said = told.recv_timeout(PATIENCE).unwrap_or_default();
    let _ = child.kill();
    child.wait().expect("a child ends");
    said.contains(&format!("test {test} ... FAILED"))
}

/// Runs the tests of `module` without `check` (with all, for `""`), until one fails. Its name if one did, or `None` if the run did not end.
fn run(tests: &Path, module: &str, check: &str, skip: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new(tests);
    command.arg(module).env("TDL_WITHOUT_CHECK", check).env("RUST_BACKTRACE", "0");
    for slow in skip {
        command.args(["--skip", slow]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the tests run");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // One is enough: what the others would have said costs minutes over all checks.
    let (tell, told) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            let failed = line.strip_prefix("test ").and_then(|line| line.split_once(" ... FAILED"));
            if let Some((name, _)) = failed {
                let _ = tell.send(name.to_owned());
            }
            said.push(line);
        }
        said.join("\n")
    });
    let outcome = told.recv_timeout(PATIENCE);
    if outcome.is_ok() || outcome == Err(RecvTimeoutError::Timeout) {
        child.kill().expect("a child can be killed");
    }
    let status = child.wait().expect("a child ends");
    let said = reader.join().expect("reading does not panic");
    match outcome {
        Ok(failed) => Some(vec![failed]),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => {
            assert!(status.success() && said.contains("test result: ok"), "without {check}: {said}");
            Some(Vec::new())
        }
    }
}

/// What missed each check, in the order of all checks: as [`run`] says it.
fn results(known: &BTreeMap<String, String>) -> Vec<Option<Vec<String>>> {
    let tests = build();
    let modules: BTreeSet<_> = Check::ALL.iter().map(|check| check.tests()).collect();
    for module in modules {
        assert_eq!(run(&tests, module, "", SLOW), Some(Vec::new()), "with every check in force {module} passes");
    }

    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; Check::ALL.len()]);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(check) = Check::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = format!("{check:?}");
                    let mut missed = match known.get(&name) {
                        Some(test) if misses(&tests, test, &name) => Some(vec![test.clone()]),
                        _ => run(&tests, check.tests(), &name, SLOW),
                    };
                    if missed.as_ref().is_some_and(Vec::is_empty) {
                        missed = run(&tests, check.tests(), &name, &[]);
                    }
                    results.lock().expect("no thread panics while it holds this")[*check as usize] = Some(missed);
                }
            });
        }
    });

    let results = results.into_inner().expect("no thread panicked");
    results.into_iter().map(|result| result.expect("each was run")).collect()
}

#[test]
#[ignore = "writes tests/mutations.txt"]
fn write_who_misses() {
    let mut text = String::new();
    for (check, result) in Check::ALL.iter().zip(results(&BTreeMap::new())) {
        if let Some([test]) = result.as_deref() {
            text.push_str(&format!("{check:?} {test}\n"));
        }
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(WHO_MISSES), text).expect("the file can be written");
}

#[test]
fn without_any_one_check_a_test_fails() {
    let mut unnoticed = Vec::new();
    for (check, result) in Check::ALL.iter().zip(results(&who_misses())) {
        let name = format!("{check:?}");
        match result {
            None => println!("{name:32} (the tests did not end)"),
            Some(tests) if tests.is_empty() => unnoticed.push(name),
            Some(tests) => println!("{name:32} {}", tests.join(", ")),
        }
    }
    println!("{} checks", Check::ALL.len());
    assert!(unnoticed.is_empty(), "no test fails without {unnoticed:?}");
}
