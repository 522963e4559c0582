//! `--trace`, `--trace-file`, `--trace-secrets` and `tdl trace`, through the binary.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use support::{Sandbox, TestDir};

const SIGN_UP: &str = "login --phone 9996631234 --code 33333 --first-name Ada --last-name Lovelace";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn a_file_is_written_shown_and_played_again() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args(args);
        command
    };
    tdl(SIGN_UP).arg("--trace=all").args("--trace-file login.jsonl").ok();

    // The format.
    let text = fs::read_to_string(dir.join("login.jsonl")).unwrap();
    let all = lines(&text);
    assert_eq!((&all[0]["v"], &all[0]["tool"], &all[0]["shown"]), (&1.into(), &"tdl".into(), &"public".into()));
    assert!(all[1..].iter().all(|line| line["t"].is_number() && line["kind"].is_string() && line["conn"].is_number()));
    for kind in ["frame_sent", "envelope", "handshake_step", "message_sent", "rpc_result", "body", "key_in_use", "migrate"] {
        assert!(all.iter().any(|line| line["kind"] == kind), "no {kind}");
    }
    let sent = all.iter().find(|line| line["kind"] == "body" && line["tl"].to_string().contains("auth.sendCode")).unwrap();
    assert!(sent["tl"].to_string().contains("\"phone_number\":\"<redacted:"), "{sent}");
    for secret in ["9996631234", "Lovelace", "\"33333\""] {
        assert!(!text.contains(secret), "{secret}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(dir.join("login.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // Shown, and filtered.
    let show = |args: &str| {
        let mut command = dir.tdl();
        command.args("trace show login.jsonl").args(args);
        command.ok()
    };
    let shown = show("");
    shown.stdout_has("→ auth.sendCode").stdout_has("phone_number").stdout_has("‹redacted›").stdout_has("· auth key ready");
    assert!(!shown.stdout().contains("msgs_ack") && show("--acks").stdout().contains("msgs_ack"));
    assert!(show("--layers rpc").stdout().lines().all(|line| line.contains(" rpc ")));
    assert!(show("--conn 1").stdout().lines().filter(|line| line.contains(" DC")).all(|line| line.contains(" #1 ")));
    let found = show("--layers rpc --grep SENDCODE");
    assert!(
        found.stdout().lines().count() >= 2 && found.stdout().lines().all(|line| line.contains("auth.sendCode")),
        "{found}"
    );
    assert!(lines(&show("--layers rpc --json").stdout()).iter().skip(1).all(|line| line["layer"] == "rpc"));
    let through = format!("{} trace show - --layers rpc", env!("CARGO_BIN_EXE_tdl"));
    let mut child =
        std::process::Command::new("sh").args(["-c", &through]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let piped = child.wait_with_output().unwrap();
    assert!(piped.status.success() && String::from_utf8_lossy(&piped.stdout) == show("--layers rpc").stdout());

    // A second run goes behind the first. That one is a recording, and comes out again.
    tdl("whoami --trace-file run.jsonl --trace-secrets").ok();
    tdl("whoami --trace-file run.jsonl --trace-secrets").ok();
    let recorded = fs::read_to_string(dir.join("run.jsonl")).unwrap();
    assert_eq!(lines(&recorded).iter().filter(|line| line["v"] == 1 && line["shown"] == "all").count(), 2);
    dir.tdl().args("trace replay run.jsonl").ok().stdout_has("everything came out as recorded");
    let json = dir.tdl().args("trace replay run.jsonl --json").ok().json();
    assert!(json["diverged"].is_null() && json["calls"].as_u64().unwrap() > 10 && json["unfinished"] == 0, "{json}");
    let quiet = dir.tdl().args("trace show run.jsonl").ok();
    assert!(!quiet.stdout().contains("auth_key\"") && !quiet.stdout().contains(" core "), "{quiet}");
    dir.tdl().args("trace show run.jsonl --layers core").code(2).error("the layer core holds keys", "--trace-secrets");
    dir.tdl().args("trace show run.jsonl --layers core --trace-secrets").ok().stdout_has("poll_output");

    // One bit of a frame.
    let input = recorded.lines().position(|line| line.contains("\"call\":\"input\"")).unwrap();
    let tampered: Vec<String> = recorded
        .lines()
        .enumerate()
        .map(|(at, line)| match at == input {
            true => {
                let end = line.rfind("\"}}").unwrap();
                let digit = if line.as_bytes()[end - 1] == b'0' { "1" } else { "0" };
                format!("{}{digit}{}", &line[..end - 1], &line[end..])
            }
            false => line.to_owned(),
        })
        .collect();
    dir.write("tampered.jsonl", tampered.join("\n"));
    let run = dir.tdl().args("trace replay tampered.jsonl").code(7);
    run.stdout_has("diverges at line").stdout_has("(input) of client session").stderr_has("does not come out as recorded");
    assert_eq!(dir.tdl().args("trace replay tampered.jsonl --json").code(7).json()["diverged"]["call"], "input");

    // Something that came out differently, and is nobody's fault.
    let other = recorded.replacen("\"outcome\":\"frame of ", "\"outcome\":\"frame of 1", 1);
    dir.write("other.jsonl", other);
    dir.tdl().args("trace replay other.jsonl").code(1).stdout_has("outcome").stdout_has("recorded: frame of 1");
    // A line is missing.
    let gap: Vec<&str> = recorded.lines().enumerate().filter(|(at, _)| *at != input).map(|(_, line)| line).collect();
    dir.write("gap.jsonl", gap.join("\n"));
    dir.tdl().args("trace replay gap.jsonl").code(1).error("has not begun", "a recording must be whole");
    dir.tdl().args("trace replay login.jsonl").code(1).error("holds no recorded calls", "--trace-secrets");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_shown() {
    let dir = TestDir::new();
    let ping = r#"{"t":1700000000.5,"conn":1,"dc":2,"layer":"mtproto","kind":"ping","ping_id":"0000000000000007"}"#;
    let text = format!("{ping}\nnonsense\n{{\"v\":9}}\n\n{ping}\n{}", &ping[..40]);
    dir.write("t.jsonl", text);
    let run = dir.tdl().args("trace show t.jsonl").code(3);
    assert_eq!(run.stdout().lines().count(), 2, "{run}");
    run.stdout_has("22:13:20.500 #1 DC2  mtproto   → ping");
    run.stderr_has("t.jsonl, line 2: not JSON").stderr_has("line 3: version 9 of the format").stderr_has("line 6: not JSON");
    run.stderr_has("3 lines could not be read, 2 records could");
    dir.tdl().args("trace show missing.jsonl").code(1).error("missing.jsonl", "--trace-file");
    dir.tdl().args("trace replay t.jsonl").code(1).error("line 2: not JSON", "whole");
}

#[test]
fn lines_go_to_a_file_and_wrong_flags_are_refused() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let tdl = |args: &str| {
        let mut command = sandbox.tdl(&dir);
        command.args(args);
        command
    };
    let run = tdl(SIGN_UP).args("--trace=rpc,tl --trace-file lines.log").ok();
    assert!(!run.stderr().contains(" rpc "), "they go to the file only\n{run}");
    let text = fs::read_to_string(dir.join("lines.log")).unwrap();
    assert!(text.contains("→ auth.signIn") && text.contains("phone_number") && text.contains("‹redacted›"), "{text}");
    assert!(!text.contains("9996631234") && !text.contains("Lovelace"), "{text}");

    let texts = tdl("whoami --trace=tl --trace-secrets=texts").ok();
    texts.stderr_has("\"Lovelace\"");
    assert!(!texts.stderr().contains("9996631234"), "{texts}");
    tdl("whoami --trace=tl --trace-secrets").ok().stderr_has("\"9996631234\"");

    let quiet = tdl("whoami --trace").ok();
    let verbose = tdl("whoami --trace -v").ok();
    assert!(!quiet.stderr().contains("acknowledging") && verbose.stderr().contains("acknowledging"), "{quiet}\n{verbose}");

    tdl("whoami --trace=core").code(2).no_stdout().stderr_has("--trace-file FILE.jsonl --trace-secrets");
    tdl("whoami --trace-file t.pcap").code(2).error("cannot write .pcap", ".pcapng");
    tdl("whoami --trace-file no/such/dir/t.jsonl").code(1).error("no/such/dir", "choose a file");
    dir.write("home/config.toml", "trace-secrets = \"some\"\n");
    dir.tdl().args("ns ls").code(2).error("config.toml: trace-secrets", "long names of the flags");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_at_once() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args(SIGN_UP).ok();
    std::os::unix::fs::symlink("/dev/full", dir.join("full.jsonl")).unwrap();
    sandbox.tdl(&dir).args("whoami --trace-file full.jsonl").code(1).error("full.jsonl", "choose a file");
}

#[test]
fn a_page_is_made_of_a_trace_and_keeps_its_secrets() {
    use base64::Engine as _;
    use std::io::Read as _;

    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    sandbox.tdl(&dir).args(SIGN_UP).arg("--trace=all").args("--trace-file login.jsonl --trace-secrets").ok();
    let recorded = |args: &str| {
        dir.tdl().args("trace report login.jsonl --html login.html").args(args).ok().stderr_has("open it in a browser");
        let page = fs::read_to_string(dir.join("login.html")).unwrap();
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let packed = base64::engine::general_purpose::STANDARD.decode(rest.split_once('<').unwrap().0).unwrap();
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        text
    };
    let public = recorded("");
    assert!(public.contains("auth.sendCode") && public.contains("<redacted:"));
    for secret in ["9996631234", "Lovelace", "auth_key\\\""] {
        assert!(!public.contains(secret), "{secret}");
    }
    assert!(recorded("--trace-secrets").contains("Lovelace"));

    dir.write("bad.jsonl", "nothing\n");
    dir.tdl().args("trace report bad.jsonl --html bad.html").code(1).stderr_has("bad.jsonl holds no records");
    assert!(!dir.join("bad.html").exists());
    let damaged = fs::read_to_string(dir.join("login.jsonl")).unwrap() + "{\n";
    dir.write("damaged.jsonl", damaged);
    dir.tdl().args("trace report damaged.jsonl --html - -q").code(3).stdout_has("<!doctype html>").stderr_has("not JSON");
}
