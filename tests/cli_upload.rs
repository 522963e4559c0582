//! `tdl up` against a cluster that `tdl sandbox up` runs, through the binary: bytes, pieces, pipes, and what goes wrong.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use support::{Sandbox, TestCommand, TestDir, bytes, logged_in, tdl};

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Everything that was sent, downloaded, in the order of the messages.
fn come_back(sandbox: &Sandbox, dir: &TestDir, to: &str) -> Vec<Vec<u8>> {
    tdl(sandbox, dir, "chat export -o export.json").ok();
    tdl(sandbox, dir, &format!("dl -f export.json -d {to} --template")).arg("{{ printf \"%06d\" .MessageID }}").ok();
    files(&dir.join(to)).iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The names of the files in Saved Messages, the oldest first.
fn names(sandbox: &Sandbox, dir: &TestDir) -> Vec<String> {
    let export = tdl(sandbox, dir, "chat export -o - --with-content").ok().json();
    let mut names: Vec<String> =
        export["messages"].as_array().unwrap().iter().map(|m| m["file"].as_str().unwrap_or_default().to_owned()).collect();
    names.reverse();
    names
}

/// How many calls the rules of the cluster have met.
fn met(sandbox: &Sandbox, dir: &TestDir) -> u64 {
    let rules = tdl(sandbox, dir, "sandbox fault ls --json").ok().stdout();
    rules.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["met"].as_u64().unwrap()).sum()
}

/// Runs `tdl up` with `input` on its standard input.
fn piped(command: &TestCommand, input: &[u8]) -> Output {
    let mut child = command.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn files_of_every_awkward_size_come_back_equal() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let part = 512 * KIB;
    let sizes = [1, 128 * KIB + 1, part - 1, part, part + 1, MIB, MIB + 1, 10 * MIB - 1, 10 * MIB + 1];
    let mut sent = BTreeSet::new();
    for (seed, size) in (1..).zip(sizes) {
        sent.insert(bytes(seed, size));
        dir.write(&format!("files/{seed}"), bytes(seed, size));
    }
    tdl(&sandbox, &dir, "up -l 3 -t 4 -p files").ok().stderr_has("9 files uploaded");
    assert_eq!(come_back(&sandbox, &dir, "down").into_iter().collect::<BTreeSet<_>>(), sent);
}

#[test]
fn what_comes_through_a_pipe_arrives_whole_or_not_at_all() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let part = 512 * KIB;
    let sizes = [1, part, part + 1, 3 * part, 3 * MIB + 5];
    for (seed, size) in (1..).zip(sizes) {
        let up = tdl(&sandbox, &dir, &format!("up -p - --name {size}.bin"));
        let output = piped(&up, &bytes(seed, size));
        assert!(output.status.success(), "{size}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let split = tdl(&sandbox, &dir, "up -p - --name dir.tar --split=1M");
    assert!(piped(&split, &bytes(9, 2 * MIB + 7)).status.success());
    let names: Vec<String> = names(&sandbox, &dir);
    assert_eq!(names[sizes.len()..], ["dir.tar.001", "dir.tar.002", "dir.tar.003"], "{names:?}");
    let came = come_back(&sandbox, &dir, "down");
    for ((seed, size), came) in (1..).zip(sizes).zip(&came) {
        assert!(*came == bytes(seed, size), "{size}");
    }
    assert!(came[sizes.len()..].concat() == bytes(9, 2 * MIB + 7));

    let empty = piped(&tdl(&sandbox, &dir, "up -p - --name empty"), b"");
    assert_eq!(empty.status.code(), Some(3), "{}", String::from_utf8_lossy(&empty.stderr));
    tdl(&sandbox, &dir, "up -p -").code(2).error("no name", "--name");
    tdl(&sandbox, &dir, "up -p - -p x --name y").code(2).error("sent alone", "only");
    tdl(&sandbox, &dir, "up -p - --name y --rm").code(2).error("--rm cannot be used", "");
}

#[test]
fn pieces_stand_in_order_and_the_file_goes_only_when_all_are_there() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let content = bytes(4, 2 * MIB + 100);
    dir.write("big.bin", &content);
    let up = tdl(&sandbox, &dir, "up -l 1 -t 1 --split=1M --rm -p big.bin --caption")
        .arg("string(Piece)+\"/\"+string(Pieces)")
        .clone();
    killed_after(&up, "done: big.bin (1 of 3)");
    assert!(dir.join("big.bin").exists());
    up.ok().stderr_has("going on where this upload was cut off");
    assert!(!dir.join("big.bin").exists(), "all of it is there");
    assert_eq!(names(&sandbox, &dir), ["big.bin.001", "big.bin.002", "big.bin.003"]);
    let export = tdl(&sandbox, &dir, "chat export -o - --with-content").ok().json();
    assert_eq!(export["messages"][0]["text"], "3/3");
    assert!(come_back(&sandbox, &dir, "down").concat() == content);
}

#[test]
fn a_failed_piece_is_the_only_one_that_another_try_sends() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let content = bytes(5, 2 * MIB + 100);
    dir.write("big.bin", &content);
    // So slow that there is time to have the second piece refused.
    tdl(&sandbox, &dir, "sandbox fault set delay:500ms --method upload.saveFilePart --quiet").ok();
    let up = tdl(&sandbox, &dir, "up -l 1 --split=1M -p big.bin");
    let mut child = up.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("done: big.bin (1 of 3)")));
    tdl(&sandbox, &dir, "sandbox fault set MEDIA_EMPTY --method messages.sendMedia --quiet").ok();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{rest:?}");
    assert_eq!(names(&sandbox, &dir), ["big.bin.001"]);
    let list = rest.iter().find_map(|l| l.split("--path-list ").nth(1)).expect("a retry list").to_owned();
    tdl(&sandbox, &dir, "sandbox fault clear").ok();
    let mut again = tdl(&sandbox, &dir, "up --split=1M --path-list");
    again.arg(list).ok().stderr_has("skipped: big.bin (1 of 3)");
    assert_eq!(names(&sandbox, &dir), ["big.bin.001", "big.bin.002", "big.bin.003"]);
    assert!(come_back(&sandbox, &dir, "down").concat() == content);
}

/// Runs a command and kills it, as `kill -9` does, as soon as it has reported `after` on stderr.
fn killed_after(command: &TestCommand, after: &str) {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.command().stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(after)), "the run ended before it reported {after:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until calls have met the cluster's rule, while `child` runs.
fn wait_for(sandbox: &Sandbox, dir: &TestDir, child: &mut std::process::Child, calls: u64) {
    while met(sandbox, dir) < calls {
        assert!(child.try_wait().unwrap().is_none(), "the upload ended before it was in its middle");
    }
}

#[test]
fn a_killed_upload_sends_only_what_was_in_flight_again() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let content = bytes(6, 4 * MIB);
    dir.write("big.bin", &content);
    tdl(&sandbox, &dir, "sandbox fault set delay:300ms --method upload.saveFilePart --quiet").ok();
    let up = tdl(&sandbox, &dir, "up -t 2 -p big.bin");
    for calls in [4, 9] {
        let mut child = up.command().stderr(Stdio::null()).spawn().unwrap();
        wait_for(&sandbox, &dir, &mut child, calls);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    up.ok();
    // 16 parts; two kills, with what was in flight at each.
    let calls = met(&sandbox, &dir);
    let window = u64::try_from(IN_FLIGHT).unwrap();
    assert!((16..=16 + 2 * window).contains(&calls), "{calls} calls for 16 parts");
    assert_eq!(come_back(&sandbox, &dir, "down"), [content]);
}

/// Parts that two threads may have under way.
const IN_FLIGHT: usize = 2;

#[test]
fn a_part_that_the_server_misses_is_sent_again_and_no_other() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let content = bytes(7, 5 * MIB + 3);
    dir.write("file.bin", &content);
    tdl(&sandbox, &dir, "sandbox fault set 400:FILE_PART_3_MISSING --method messages.sendMedia --times 2 --quiet").ok();
    tdl(&sandbox, &dir, "sandbox fault set delay:1ms --method upload.saveFilePart --quiet").ok();
    tdl(&sandbox, &dir, "up -p file.bin").ok();
    assert_eq!(met(&sandbox, &dir), 2 + 11 + 2, "eleven parts, one of them three times");
    assert_eq!(come_back(&sandbox, &dir, "down"), [content]);
}

#[test]
fn waits_are_shown_and_the_rate_is_kept() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("file.bin", bytes(10, 512 * KIB));
    tdl(&sandbox, &dir, "sandbox fault set FLOOD_PREMIUM_WAIT_1 --method upload.saveFilePart --times 1 --quiet").ok();
    let began = std::time::Instant::now();
    tdl(&sandbox, &dir, "up -p file.bin").ok().stderr_has("asks for a pause of 1 s before upload.saveBigFilePart");
    assert!(began.elapsed().as_secs_f64() >= 1.0, "it waits for as long as it is told to");
    let began = std::time::Instant::now();
    tdl(&sandbox, &dir, "up -p file.bin --limit-rate 256K").ok();
    // Four parts; the first goes at once.
    assert!(began.elapsed().as_secs_f64() >= 1.0, "{:?}", began.elapsed());
    assert_eq!(come_back(&sandbox, &dir, "down"), [bytes(10, 512 * KIB), bytes(10, 512 * KIB)]);
}

#[test]
fn each_failure_is_its_files_own_and_the_retry_list_has_them_all() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for name in ["good.bin", "refused.bin", "other.bin"] {
        dir.write(&format!("files/{name}"), name);
    }
    dir.write("files/empty.bin", b"");
    dir.write("list.txt", "files/refused.bin\nfiles/empty.bin\nfiles/vanished.bin\nfiles/good.bin\nfiles/other.bin\n");
    tdl(&sandbox, &dir, "sandbox fault set CHAT_WRITE_FORBIDDEN --method messages.sendMedia --times 1 --quiet").ok();
    let up = tdl(&sandbox, &dir, "up -l 1 --rm --path-list list.txt").code(3);
    up.stderr_has("failed: files/refused.bin").stderr_has("CHAT_WRITE_FORBIDDEN");
    up.stderr_has("failed: files/vanished.bin: cannot read").stderr_has("failed: files/empty.bin");
    up.stderr_has("2 files uploaded").stderr_has("3 failed");
    assert_eq!(files(&dir.join("files")), [dir.join("files/empty.bin"), dir.join("files/refused.bin")], "what failed is kept");
    fs::write(dir.join("files/empty.bin"), b"now it is not").unwrap();
    dir.write("files/vanished.bin", b"and this is back");
    up.stderr_has("up --rm --path-list ");
    #[cfg(unix)]
    {
        let again = support::paste(&dir, &up);
        let stderr = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success() && stderr.contains("3 files uploaded"), "{stderr}");
        assert_eq!(names(&sandbox, &dir).len(), 5);
        assert!(files(&dir.join("files")).is_empty(), "it deletes what it was to delete");
    }
    tdl(&sandbox, &dir, "up -p nowhere.bin").code(1).error("cannot read nowhere.bin", "-p");
}

#[test]
fn a_file_that_changes_while_it_is_sent_fails_alone() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("changes.bin", bytes(8, 6 * MIB));
    dir.write("vanishes.bin", bytes(8, 6 * MIB));
    dir.write("stays.bin", bytes(9, 6 * MIB));
    tdl(&sandbox, &dir, "sandbox fault set delay:400ms --method upload.saveFilePart --quiet").ok();
    let up = tdl(&sandbox, &dir, "up -l 3 -t 1 --rm -p changes.bin -p vanishes.bin -p stays.bin");
    let mut child = up.command().stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&sandbox, &dir, &mut child, 4);
    fs::OpenOptions::new().append(true).open(dir.join("changes.bin")).unwrap().write_all(b"more").unwrap();
    fs::rename(dir.join("vanishes.bin"), dir.join("elsewhere.bin")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("failed: changes.bin: the file changed while it was being sent"), "{said}");
    assert!(said.contains("failed: vanishes.bin: the file was removed while it was being sent"), "{said}");
    assert!(dir.join("changes.bin").exists() && !dir.join("stays.bin").exists(), "{said}");
    assert_eq!(names(&sandbox, &dir), ["stays.bin"]);
}
