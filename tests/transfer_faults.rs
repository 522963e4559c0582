//! Everything that can go wrong with a download goes wrong, and the program is killed in the middle again and again: in the end every file
//! is there byte by byte, and next to nothing was fetched twice.
//!
//! A few files and kills in an ordinary run. `TDL_TRANSFER_FAULTS=full cargo test --test cli transfer_faults::` has 500 files and 40 kills.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, SIGN_UP, Sandbox, TestCommand, TestDir};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use tdl::sandbox::tally::CallCount;
use tdl::sandbox::{Command, FaultEffect, FaultRule, Reply, control};

const SEED: u64 = 20261130;
const PART: u64 = 1 << 20;
/// Files at once, and parts of each.
const FILES: u64 = 4;
const THREADS: u64 = 4;
/// Small files that `tdl dl` may have under way beside them.
const SMALL: u64 = 16 * FILES;

struct Size {
    files: usize,
    /// Of those, so many have several parts, and so many are large.
    several: usize,
    several_bytes: std::ops::Range<usize>,
    large: usize,
    large_bytes: std::ops::Range<usize>,
    kills: u64,
}

fn size() -> Size {
    match std::env::var("TDL_TRANSFER_FAULTS").as_deref() {
        Ok("full") => Size {
            files: 500,
            several: 40,
            several_bytes: 600 << 10..4 << 20,
            large: 6,
            large_bytes: 10 << 20..30 << 20,
            kills: 40,
        },
        _ => {
            Size { files: 60, several: 4, several_bytes: 600 << 10..3 << 19, large: 1, large_bytes: 3 << 20..4 << 20, kills: 6 }
        }
    }
}

/// Bytes that differ everywhere, the same for the same seed.
fn bytes(rng: &mut StdRng, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    rand::Rng::fill_bytes(rng, &mut out);
    out
}

/// What goes wrong: effect, methods, each how many-th call or with which chance.
const FAULTS: [(&str, &str, Option<u32>, Option<&str>); 17] = [
    ("drop", "upload.*", None, Some("1%")),
    ("cut", "upload.*", None, Some("1%")),
    ("silence", "upload.getFile", Some(211), None),
    ("FLOOD_WAIT_1", "upload.getFile", Some(83), None),
    ("FLOOD_PREMIUM_WAIT_1", "upload.getFile", Some(127), None),
    ("FLOOD_WAIT_1", "upload.getCdnFile", Some(61), None),
    ("-503:Timeout", "upload.*", None, Some("1%")),
    ("500:RPC_CALL_FAIL", "upload.*", None, Some("0.5%")),
    ("delay:200ms", "upload.*", Some(29), None),
    ("expire", "upload.getFile", Some(31), None),
    ("migrate", "upload.getFile", Some(53), None),
    ("corrupt", "upload.getFile", None, Some("1%")),
    ("corrupt", "upload.getFileHashes", None, Some("1%")),
    ("corrupt", "upload.getCdnFile*", None, Some("2%")),
    ("short", "upload.get*File", None, Some("1%")),
    ("forget", "upload.getCdnFile", Some(23), None),
    ("CDN_METHOD_INVALID", "upload.getCdnFile", Some(19), None),
];

struct Control {
    runtime: tokio::runtime::Runtime,
    dir: std::path::PathBuf,
}

impl Control {
    fn of(dir: &TestDir) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, dir: dir.join("box") }
    }

    fn send(&self, command: &Command) -> Reply {
        self.runtime.block_on(control::send(&self.dir, command)).unwrap()
    }

    fn set(&self, rule: FaultRule) {
        assert!(matches!(self.send(&Command::FaultSet { rule, phone: None }), Reply::Rule(_)));
    }

    fn rules(&self) -> Vec<FaultRule> {
        match self.send(&Command::FaultList) {
            Reply::Rules(rules) => rules,
            other => panic!("{other:?}"),
        }
    }

    /// How often ranges of files were asked for, and how often what came was bytes: neither a redirect nor a refusal.
    fn asked(&self) -> (u64, u64) {
        let calls = match self.send(&Command::Calls) {
            Reply::Calls(calls) => calls,
            other => panic!("{other:?}"),
        };
        let ranges = calls.iter().filter(|c| ["upload.getFile", "upload.getCdnFile"].contains(&c.method.as_str()));
        let bytes = |c: &&CallCount| ["upload.file", "upload.cdnFile"].contains(&c.answer.as_str());
        (ranges.clone().map(|c| c.calls).sum(), ranges.filter(bytes).map(|c| c.calls).sum())
    }
}

fn contents(dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, found);
        } else {
            // The default name begins with chat and message.
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let own = name.splitn(3, '_').last().unwrap().to_owned();
            assert!(found.insert(own, fs::read(&path).unwrap()).is_none(), "{name} is there twice");
        }
    }
}

fn start(command: &TestCommand, log: &Path) -> Child {
    let stderr = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    command.command().stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

#[test]
fn every_file_comes_whole_through_every_fault_and_through_being_killed() {
    let Size { files, several, several_bytes, large, large_bytes, kills } = size();
    let mut rng = StdRng::seed_from_u64(SEED);
    let dir = TestDir::new();
    let sandbox = Sandbox::start_with(&dir, "--cdn --media-addresses");
    let tdl = |args: &str| support::tdl(&sandbox, &dir, args);
    tdl(SIGN_UP).ok();
    let mut sent = BTreeMap::new();
    let mut needed = 0;
    for n in 0..files {
        let len = match n {
            n if n < large => rng.random_range(large_bytes.clone()),
            n if n < large + several => rng.random_range(several_bytes.clone()),
            // Some just large enough for the CDN.
            n if n % 9 == 0 => rng.random_range(100 << 10..400 << 10),
            _ => rng.random_range(1..12 << 10),
        };
        let name = format!("{n:03}.bin");
        needed += (len as u64).div_ceil(PART);
        let content = bytes(&mut rng, len);
        dir.write(&format!("files/{name}"), &content);
        sent.insert(name, content);
    }
    tdl("up -l 4 -p files").ok();
    tdl("chat export -o export.json").ok();

    let control = Control::of(&dir);
    for (seed, (effect, method, every, chance)) in (SEED..).zip(FAULTS) {
        let chance = chance.map(|chance| chance.parse().unwrap());
        let rule = FaultRule::new(effect.parse().unwrap());
        control.set(FaultRule { method: method.to_owned(), every, chance, seed, ..rule });
    }

    let dl = tdl(&format!("dl -f export.json -d down -l {FILES} -t {THREADS}"));
    let log = dir.join("dl.log");
    let mut killed = 0;
    for nth in 0..kills {
        // By how much has been asked for, so that the kills lie in the middle of things on any machine.
        let (asked, left) = (control.asked().0, kills - nth);
        let moment = asked + 1 + rng.random_range(0..=2 * needed.saturating_sub(asked).max(left) / left);
        let mut child = start(&dl, &log);
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            assert!(begun.elapsed() < Duration::from_secs(300), "it hangs: {}", fs::read_to_string(&log).unwrap());
            if control.asked().0 >= moment {
                std::thread::sleep(Duration::from_millis(rng.random_range(0..15)));
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        match ended {
            None => killed += 1,
            Some(status) => {
                assert!(status.success(), "seed {SEED}: {status}\n{}", fs::read_to_string(&log).unwrap());
                break;
            }
        }
    }
    // It says which file failed, and why.
    let last = dl.ok();
    assert!(killed * 2 >= kills, "only {killed} of {kills} kills came before the end");

    let mut found = BTreeMap::new();
    contents(&dir.join("down"), &mut found);
    let names = |map: &BTreeMap<String, Vec<u8>>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&sent), "seed {SEED}\n{last}");
    for (name, content) in &sent {
        assert!(found.get(name) == Some(content), "seed {SEED}: {name} is not what was sent");
    }

    let rules = control.rules();
    let (asked, brought) = control.asked();
    let met = |effect: &str, method: &str| {
        let effect: FaultEffect = effect.parse().unwrap();
        let rules = rules.iter().filter(|rule| rule.effect == effect && rule.method == method);
        rules.map(|rule| rule.met).sum::<u64>()
    };
    let table: Vec<_> = rules.iter().map(|r| format!("{} {}: {} of {}", r.effect, r.method, r.met, r.seen)).collect();
    // What came for nothing: with a kill what was in flight then, and what a fault spoilt or lost on its way.
    let in_flight = FILES * THREADS + SMALL;
    let spoilt: u64 = FAULTS
        .iter()
        .filter(|(effect, ..)| ["drop", "cut", "corrupt", "short"].contains(effect))
        .map(|(effect, method, ..)| met(effect, method))
        .sum();
    let bound = needed + killed * in_flight + spoilt;
    eprintln!("{needed} parts, {killed} kills, {asked} asked for, {brought} brought, at most {bound}\n{}", table.join("\n"));
    assert!(
        brought <= bound,
        "seed {SEED}: {brought} ranges were brought, {needed} were needed, {bound} are explained\n{table:#?}"
    );
    // A short run may end before the rarest have had their turn: those with a CDN, which is left alone once it has been silent.
    let full = std::env::var("TDL_TRANSFER_FAULTS").is_ok();
    for (effect, method, ..) in FAULTS {
        let rare =
            matches!(effect, "silence" | "500:RPC_CALL_FAIL" | "short" | "corrupt" | "FLOOD_WAIT_1" | "FLOOD_PREMIUM_WAIT_1")
                || method == "upload.getCdnFile";
        assert!(met(effect, method) > 0 || (rare && !full), "{effect} of {method} never happened\n{table:#?}");
    }
}

/// Large enough to pass the page cache, and no whole number of parts or blocks. Most of what a killed run leaves is not on record: the next
/// one believes it by its hashes.
#[test]
fn a_large_file_is_gone_on_with_after_each_kill() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| support::tdl(&sandbox, &dir, args);
    tdl(SIGN_UP).ok();
    let (parts, threads, kills) = (65, 4, [10, 30, 40]);
    let content = bytes(&mut StdRng::seed_from_u64(SEED), (64 << 20) + 4321);
    dir.write("files/large.bin", &content);
    tdl("up -p files").ok();
    tdl("chat export -o export.json").ok();
    let control = Control::of(&dir);
    let dl = tdl(&format!("dl -f export.json -d down -t {threads}"));
    let log = dir.join("dl.log");
    for asked in kills {
        let mut child = start(&dl, &log);
        while control.asked().0 < asked {
            assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(&log).unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    dl.ok();
    let mut found = BTreeMap::new();
    contents(&dir.join("down"), &mut found);
    assert!(found.into_values().eq([content]), "it is not what was sent");
    // With a kill, what was in flight then, and two that were being written. Whoever began anew each time would have had 105 brought.
    let (brought, most) = (control.asked().1, parts + kills.len() as u64 * (threads + 2));
    assert!((parts..=most).contains(&brought), "{brought} parts were brought, at most {most} are explained");
}

/// The command under a bound on the length of files, which it takes as an error and not as a signal.
#[cfg(target_os = "linux")]
fn bounded(command: &TestCommand, blocks: u32) -> std::process::Command {
    let inner = command.command();
    let mut outer = std::process::Command::new("sh");
    outer.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    outer.arg(inner.get_program()).args(inner.get_args()).current_dir(inner.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_for_which_there_is_no_room_fails_before_it_is_fetched_and_the_others_come() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| support::tdl(&sandbox, &dir, args);
    tdl(SIGN_UP).ok();
    dir.write("files/large.bin", vec![5; 3 << 20]);
    dir.write("files/small.bin", vec![6; 5000]);
    tdl("up -p files").ok();
    tdl("chat export -o export.json").ok();
    // Blocks of 512 bytes: two MiB.
    let finished = bounded(&tdl("dl -f export.json -d down"), 4096).output().unwrap();
    let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert_eq!(finished.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("no room for 3145728 bytes") && stderr.contains("1 failed"), "{stderr}");
    let lengths = |suffix: &str| -> Vec<u64> {
        let entries = fs::read_dir(dir.join("down")).unwrap().map(Result::unwrap);
        let wanted = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(suffix));
        wanted.map(|entry| entry.metadata().unwrap().len()).collect()
    };
    assert_eq!(lengths(".bin"), [5000]);
    assert_eq!(lengths(".part"), [0], "the room that there was is given back");
    tdl("dl -f export.json -d down").ok();
    assert_eq!(lengths(".bin").into_iter().sum::<u64>(), (3 << 20) + 5000);
}
