//! `tdl up`, `chat` and `dl` against a cluster that `tdl sandbox up` runs: all of it through the binary.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::{Sandbox, TestDir, bytes, logged_in, tdl};

/// The contents of all files below a directory.
fn contents(dir: &Path) -> BTreeSet<Vec<u8>> {
    files(dir).iter().map(|path| fs::read(path).unwrap()).collect()
}

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
    found
}

#[test]
fn a_directory_of_mixed_files_comes_back_whole_and_an_empty_one_is_refused() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let part = 512 * 1024;
    let sizes = [1, part - 1, part, part + 1, 2 * part - 1, 2 * part, 2 * part + 1];
    let mut sent = BTreeSet::new();
    for (seed, size) in (1..).zip(sizes) {
        sent.insert(bytes(seed, size));
        dir.write(&format!("files/sub {seed}/file {size} \u{1f980}.bin"), bytes(seed, size));
    }
    let long = format!("files/{}.txt", "l".repeat(240));
    sent.insert(b"a long name".to_vec());
    dir.write(&long, b"a long name");
    dir.write("files/empty.bin", b"");

    let up = tdl(&sandbox, &dir, "up --json -p files").code(3);
    up.stderr_has("Telegram does not take files of 0 bytes").stderr_has("8 files uploaded").stderr_has("1 failed");
    assert_eq!(up.stdout().lines().count(), 8, "one object for each message\n{up}");
    let list = up.stderr().lines().find_map(|l| l.split("--path-list ").nth(1).map(str::to_owned)).expect("a retry list");
    assert_eq!(fs::read_to_string(dir.join(list)).unwrap().trim(), "files/empty.bin");

    tdl(&sandbox, &dir, "chat ls").ok().stdout_has("Saved Messages").stdout_has("private");
    tdl(&sandbox, &dir, "chat export -o export.json").ok().stderr_has("8 messages of Saved Messages");
    tdl(&sandbox, &dir, "dl -f export.json -d down").ok().stderr_has("8 files downloaded");
    assert_eq!(contents(&dir.join("down")), sent);
    assert!(files(&dir.join("down")).iter().all(|f| f.extension().is_some_and(|e| e != "part")));

    // Again, by what is there.
    let again = tdl(&sandbox, &dir, "dl -f export.json -d down --skip-same").ok();
    again.stderr_has("0 files downloaded").stderr_has("8 skipped");
}

#[test]
fn names_from_outside_stay_inside_the_directory() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("x.bin", b"x");
    let names = [
        "../../../climb.bin",
        "/etc/absolute.bin",
        "..",
        "a\nb\u{202e}c.bin",
        &format!("{}.bin", "\u{1f980}".repeat(300)),
        "CON",
    ];
    for name in names {
        tdl(&sandbox, &dir, "up -p x.bin --name").arg(name).ok();
    }
    tdl(&sandbox, &dir, "chat export -o export.json").ok();
    let templates = ["{{ .FileName }}", "{{ .DialogID }}_{{ .MessageID }}_{{ filenamify .FileName }}", "../../{{ .FileName }}"];
    for (n, template) in templates.into_iter().enumerate() {
        let mut command = tdl(&sandbox, &dir, &format!("dl -f export.json -d deep/down/{n} --template"));
        command.arg(template).ok().stderr_has("6 files downloaded");
        let down = dir.join(format!("deep/down/{n}"));
        assert_eq!(files(&down).len(), 6, "two names became one");
    }
    assert_eq!(files(&dir.join("deep")).len(), 18, "something left its directory");
    let above: Vec<_> = files(dir.path()).into_iter().filter(|p| p.to_string_lossy().contains("climb")).collect();
    assert!(above.iter().all(|p| p.starts_with(dir.join("deep/down"))), "{above:?}");
}

#[test]
fn links_pick_single_messages_and_say_why_others_fail() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("a.txt", b"first");
    dir.write("b.log", b"second");
    tdl(&sandbox, &dir, "up -p a.txt -p b.log -l 1").ok();
    let id = tdl(&sandbox, &dir, "whoami --json").ok().json()["id"].to_string();
    let dl = tdl(&sandbox, &dir, &format!("dl -d down -u https://t.me/c/{id}/1 -u https://t.me/c/{id}/99")).code(3);
    dl.stderr_has("https://t.me/c/").stderr_has("the message does not exist, or was deleted");
    assert_eq!(contents(&dir.join("down")), [b"first".to_vec()].into());
    tdl(&sandbox, &dir, &format!("dl -d only -e log -u https://t.me/c/{id}/1,https://t.me/c/{id}/2"))
        .ok()
        .stderr_has("1 skipped");
    assert_eq!(contents(&dir.join("only")), [b"first".to_vec()].into());
    tdl(&sandbox, &dir, "dl -u https://example.org/x").code(2).error("is not a message link", "");
    tdl(&sandbox, &dir, "dl -u https://t.me/c/424242/1").code(3).stderr_has("has not been seen in this namespace");
    tdl(&sandbox, &dir, "dl -f none.json").code(1);
    dir.write("bad.json", b"{}");
    tdl(&sandbox, &dir, "dl -f bad.json").code(1).error("not a `tdl chat export` file", "");
}

#[test]
fn exports_choose_by_range_filter_and_content() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for n in 1..=3 {
        dir.write(&format!("{n}.bin"), vec![1; n * 1000]);
    }
    tdl(&sandbox, &dir, "up -l 1 -p 1.bin -p 2.bin -p 3.bin --caption").arg("\"<b>\" + FileName + \"</b> & co\"").ok();
    let export = |args: &str| {
        tdl(&sandbox, &dir, &format!("chat export -o - {args}")).ok().json()["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(export(""), [3, 2, 1]);
    assert_eq!(export("-T id -i 2,3"), [3, 2]);
    assert_eq!(export("-T last -i 1"), [3]);
    assert_eq!(export("-T time -i 0,10"), [] as [i64; 0]);
    assert_eq!(export("-f Media.Size>1500"), [3, 2]);
    let with = tdl(&sandbox, &dir, "chat export -o - -T id -i 1,1 --with-content").ok().json();
    assert_eq!((&with["messages"][0]["text"], &with["messages"][0]["file"]), (&"1 & co".into(), &"1.bin".into()));
    tdl(&sandbox, &dir, "chat export -f Media.Size>").code(2).error("is not an expression", "--filter -");
    tdl(&sandbox, &dir, "chat export -f -").ok().stdout_has("Media.Size");
    tdl(&sandbox, &dir, "chat export -c @nobody_at_all").code(1).error("there is no @nobody_at_all", "chat ls");
}

#[test]
fn files_are_removed_here_only_when_the_message_shows_them() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    dir.write("gone.bin", bytes(5, 700_000));
    tdl(&sandbox, &dir, "up --rm -p gone.bin").ok();
    assert!(!dir.join("gone.bin").exists());
    dir.write("stays.bin", b"");
    tdl(&sandbox, &dir, "up --rm -p stays.bin").code(3);
    assert!(dir.join("stays.bin").exists());
}

/// Runs a command and kills it, as `kill -9` does, as soon as it has reported `after` on stderr.
fn killed_after(mut command: std::process::Command, after: &str) {
    use std::io::{BufRead as _, BufReader};
    let mut child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(after)), "the run ended before it reported {after:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_upload_and_a_killed_download_go_on_and_repeat_nothing() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let mut sent = BTreeSet::new();
    for n in 1..=4 {
        sent.insert(bytes(n, 3_000_000));
        dir.write(&format!("files/{n}.bin"), bytes(n, 3_000_000));
    }
    let up = tdl(&sandbox, &dir, "up -l 1 -t 1 -p files");
    killed_after(up.command(), "done: files/2.bin");
    up.ok().stderr_has("going on where this upload was cut off");
    let export = tdl(&sandbox, &dir, "chat export -o export.json --json").ok().json();
    assert_eq!(export["messages"], 4, "no message was sent twice");

    let dl = tdl(&sandbox, &dir, "dl -l 1 -t 1 -f export.json -d down --desc");
    killed_after(dl.command(), "4.bin: ");
    assert!(!files(&dir.join("down")).iter().any(|f| f.extension().is_some_and(|e| e == "bin")), "no finished name yet");
    killed_after(dl.command(), "done: ");
    let traced = tdl(&sandbox, &dir, "dl -l 1 -t 1 -f export.json -d down --desc --trace=all").ok();
    assert!(!traced.stderr().contains("req_pq"), "no key exchange is repeated\n{traced}");
    traced.stderr_has("1 skipped");
    assert_eq!(contents(&dir.join("down")), sent);
    assert_eq!(files(&dir.join("down")).len(), 4, "nothing is left over");
}

#[test]
fn a_cluster_killed_in_mid_transfer_has_lost_nothing_when_it_is_back() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    let content = bytes(9, 6_000_000);
    dir.write("big.bin", &content);
    let up = tdl(&sandbox, &dir, "up -t 1 -p big.bin");
    let mut running = up.command().stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Part files appear when parts arrive: then the upload is in its middle.
    let parts = || files(&dir.join("box")).iter().filter_map(|f| fs::metadata(f).ok()).map(|m| m.len()).sum::<u64>();
    let before = parts();
    while parts() < before + 1_000_000 {
        assert!(running.try_wait().unwrap().is_none(), "the upload ended before it was in its middle");
        std::thread::yield_now();
    }
    drop(sandbox);
    let sandbox = Sandbox::start(&dir);
    let finished = running.wait_with_output().unwrap();
    if !finished.status.success() {
        up.ok();
    }
    let export = tdl(&sandbox, &dir, "chat export -o export.json --json").ok().json();
    assert_eq!(export["messages"], 1, "sent once: {}", String::from_utf8_lossy(&finished.stderr));
    let traced = tdl(&sandbox, &dir, "dl -f export.json -d down --trace=all").ok();
    assert!(!traced.stderr().contains("req_pq"), "no key exchange is repeated\n{traced}");
    assert_eq!(contents(&dir.join("down")), [content].into());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_the_state_and_ends_with_130() {
    let dir = TestDir::new();
    let sandbox = logged_in(&dir);
    for n in 1..=3 {
        dir.write(&format!("files/{n}.bin"), bytes(n, 2_000_000));
    }
    let up = tdl(&sandbox, &dir, "up -l 1 -t 1 -p files");
    let mut child = up.command().stderr(std::process::Stdio::piped()).spawn().unwrap();
    {
        use std::io::{BufRead as _, BufReader};
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("done: files/1.bin")));
        let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert!(rest.iter().any(|l| l.contains("interrupted")), "{rest:?}");
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    up.ok().stderr_has("going on where this upload was cut off");
    assert_eq!(tdl(&sandbox, &dir, "chat export -o e.json --json").ok().json()["messages"], 3);
}

#[test]
fn the_demo_keeps_its_promises() {
    let dir = TestDir::new();
    let run = dir.tdl().args("demo --size 1").env("TMPDIR", dir.path().as_os_str()).ok();
    run.stderr_has("every byte agrees").stderr_has("All of it held");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|n| !n.to_string_lossy().starts_with("tdl-demo")), "{left:?}");
}
