//! Forward secrecy through the binary: which keys are in use, and transfers that outlive several of them.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

#[cfg(target_os = "linux")]
use crate::serve;
use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use support::{SIGN_UP, Sandbox, TestDir, bytes, tdl};

fn contents(dir: &Path) -> BTreeSet<Vec<u8>> {
    fs::read_dir(dir).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn count(text: &str, what: &str) -> usize {
    text.lines().filter(|line| line.contains(what)).count()
}

/// Every key that messages were encrypted with was a temporary one.
fn assert_only_temporary(trace: &str) {
    assert!(count(trace, "key in use") > 0, "{trace}");
    assert_eq!(count(trace, "key in use"), count(trace, "temporary, until"), "{trace}");
}

#[test]
fn temporary_keys_are_used_shown_and_kept_and_can_be_switched_off() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let login = tdl(&sandbox, &dir, SIGN_UP).args("--trace=mtproto").ok().stderr();
    assert_only_temporary(&login);
    assert_eq!(count(&login, "temporary key bound"), count(&login, "key in use"), "{login}");

    let warm = tdl(&sandbox, &dir, "whoami --trace=mtproto").ok().stderr();
    assert_only_temporary(&warm);
    assert!(!warm.contains("req_pq") && !warm.contains("temporary key bound"), "a warm start makes no key\n{warm}");

    let info = tdl(&sandbox, &dir, "session info --json").ok().json();
    let keys = info["temporary_keys"].as_array().unwrap();
    let home = keys.iter().find(|key| key["dc"] == 2).unwrap();
    assert_eq!(home["use"], "main");
    let perm = info["dcs"].as_array().unwrap().iter().find(|auth| auth["dc"] == 2).unwrap();
    assert_eq!(home["bound_to"], perm["key_id"]);
    let lifetime = home["expires_at"].as_i64().unwrap() - home["created_at"].as_i64().unwrap();
    assert_eq!(lifetime, 86_400);
    tdl(&sandbox, &dir, "session info").ok().stdout_has("TEMPORARY KEY").stdout_has("main");

    for off in ["--pfs=off whoami --trace=mtproto", "whoami --pfs=off --trace=mtproto"] {
        let off = tdl(&sandbox, &dir, off).ok().stderr();
        assert!(off.contains("permanent") && !off.contains("temporary"), "{off}");
    }
    let mut by_environment = tdl(&sandbox, &dir, "whoami --trace=mtproto");
    assert!(by_environment.env("TDL_PFS", "off").ok().stderr().contains("permanent"));
    assert_only_temporary(&by_environment.args("--pfs").ok().stderr());

    fs::write(dir.join("box/home/config.toml"), "pfs = false\npfs-lifetime = \"1h\"\n").unwrap();
    assert!(tdl(&sandbox, &dir, "whoami --trace=mtproto").ok().stderr().contains("permanent"));
    assert_only_temporary(&tdl(&sandbox, &dir, "whoami --pfs=on --trace=mtproto").ok().stderr());
    fs::write(dir.join("box/home/config.toml"), "pfs-lifetime = \"1s\"\n").unwrap();
    tdl(&sandbox, &dir, "whoami").code(2).error("from 4s to 168h", "long names of the flags");
    fs::remove_file(dir.join("box/home/config.toml")).unwrap();
    tdl(&sandbox, &dir, "whoami --pfs=maybe").code(2).no_stdout();
    tdl(&sandbox, &dir, "whoami --pfs-lifetime 1s").code(2).stderr_has("from 4s to 168h");

    tdl(&sandbox, &dir, "logout").ok();
}

/// Runs a command and kills it, as `kill -9` does, as soon as it has reported `after` on stderr. What it had said until then.
fn killed_after(mut command: std::process::Command, after: &str) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    let found = BufReader::new(child.stderr.take().unwrap()).lines().any(|line| {
        let line = line.unwrap();
        said.push_str(&line);
        said.push('\n');
        line.contains(after)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found, "the run ended before it reported {after:?}\n{said}");
    said
}

/// Row: A.3 "background renewal"
#[test]
fn transfers_outlive_their_keys_and_a_kill_in_the_middle_loses_nothing() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    tdl(&sandbox, &dir, SIGN_UP).ok();
    let mut sent = BTreeSet::new();
    for n in 1..=6 {
        sent.insert(bytes(n, 2_000_000));
        dir.write(&format!("files/{n}.bin"), bytes(n, 2_000_000));
    }
    let short = "--pfs-lifetime 6s --trace=mtproto --delay 2s -l 1";

    let up = tdl(&sandbox, &dir, &format!("up -p files {short}"));
    assert_only_temporary(&killed_after(up.command(), "done: files/3.bin"));
    assert_only_temporary(&up.ok().stderr());
    let export = tdl(&sandbox, &dir, "chat export -o export.json --json").ok().json();
    assert_eq!(export["messages"], 6, "no message was sent twice");

    let dl = tdl(&sandbox, &dir, &format!("dl -f export.json -d down {short}"));
    let first = killed_after(dl.command(), "done: ");
    let rest = dl.ok().stderr();
    assert_only_temporary(&first);
    assert_only_temporary(&rest);
    // Eight seconds of pauses, and a key of six: it is renewed on the way.
    assert!(count(&rest, "temporary key bound") >= 1, "{rest}");
    assert_eq!(contents(&dir.join("down")), sent);
}

/// Row: A.3 "background renewal"
#[cfg(target_os = "linux")]
#[test]
fn a_connection_renews_its_keys_again_and_again_and_serves_all_the_while() {
    let dir = TestDir::new();
    let content = bytes(1, 2_000_000);
    let sandbox = Sandbox::start(&dir);
    // For every command: a key that lasts a day would be used by the server too.
    fs::create_dir_all(dir.join("box/home")).unwrap();
    fs::write(dir.join("box/home/config.toml"), "pfs-lifetime = \"5s\"\n").unwrap();
    tdl(&sandbox, &dir, SIGN_UP).ok();
    dir.write("one.bin", &content);
    tdl(&sandbox, &dir, "up -p one.bin").ok();
    let server = serve::Server::start(&sandbox, &dir, "--trace=mtproto");
    // For as long as it takes: the beginnings of keys are waited for, and there is a download under each. Two of them may be the first ones,
    // for requests and for files.
    for _ in 0..4 {
        assert!(serve::curl(&[&server.at("me/1")]) == content);
        server.logged("temporary key bound");
    }
}
