//! Two processes at a time on one namespace, against a cluster: each has a session of its own, and neither disturbs the other.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Sandbox, TestCommand, TestDir, tdl};

/// Commands of each of the two.
const COMMANDS: usize = 50;
/// Longer than anything here takes, so that a failure ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// `tdl watch` in the background; killed when dropped.
struct Watcher {
    child: Child,
    lines: Receiver<Value>,
}

impl Watcher {
    fn start(command: &TestCommand) -> Self {
        let mut child = command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        let (ready, is_ready) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("up to date") {
                    let _ = ready.send(());
                }
            }
        });
        is_ready.recv_timeout(PATIENCE).expect("up to date");
        Self { child, lines }
    }

    /// Reads until all of `wanted` have been told, and nothing twice.
    fn tells(&self, mut wanted: Vec<String>) {
        let end = Instant::now() + PATIENCE;
        let mut told: Vec<String> = Vec::new();
        while !wanted.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|e| panic!("{e}: still wanted: {wanted:?}"));
            assert_ne!(line["_"], "tdl.missed", "{line}");
            if let Some(text) = line["message"]["message"].as_str().filter(|text| !text.is_empty()) {
                assert!(!told.contains(&text.to_owned()), "twice: {text}");
                told.push(text.to_owned());
                wanted.retain(|other| other != text);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn two_processes_fifty_commands_each_and_no_update_is_lost() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    tdl(&sandbox, &dir, "-n ada login --phone 9996621234 --code 22222 --first-name Ada").ok();
    tdl(&sandbox, &dir, "-n bob login --phone 9996635678 --code 33333 --first-name Bob").ok();
    let me = tdl(&sandbox, &dir, "-n ada whoami --json").ok().json()["id"].clone();
    let found = tdl(&sandbox, &dir, "-n bob call contacts.resolvePhone").arg(r#"{"phone":"9996621234"}"#).ok().json();
    let hash = found["users"][0]["access_hash"].as_str().unwrap().to_owned();
    let send = |text: &str, number: usize| {
        let message = format!(
            r#"{{"peer":{{"_":"inputPeerUser","user_id":"{me}","access_hash":"{hash}"}},"message":"{text}","random_id":"{number}"}}"#
        );
        tdl(&sandbox, &dir, "-n bob call messages.sendMessage").arg(message).ok();
    };
    let watcher = Watcher::start(&tdl(&sandbox, &dir, "-n ada watch --json"));
    let second = tdl(&sandbox, &dir, "-n ada watch --until-now").code(1);
    second.error(&format!("another tdl (process {})", watcher.child.id()), "stop the other");

    thread::scope(|scope| {
        let run = |who: usize| {
            let (sandbox, dir) = (&sandbox, &dir);
            move || {
                for number in 0..COMMANDS {
                    let args = match number % 5 {
                        0 => "whoami --json".to_owned(),
                        1 => "chat ls --json".to_owned(),
                        2 => "session info --json".to_owned(),
                        3 => r#"call users.getUsers {"id":[{"_":"inputUserSelf"}]}"#.to_owned(),
                        _ => {
                            let name = format!("note-{who}-{number}.txt");
                            dir.write(&name, format!("of {who}, {number}"));
                            format!("up -p {name}")
                        }
                    };
                    let run = tdl(sandbox, dir, &format!("-n ada {args}")).ok();
                    if number % 5 == 2 {
                        let info = run.json();
                        let home = info["dcs"].as_array().unwrap().iter().find(|dc| dc["login"] == "home");
                        assert!(info["ended"].is_null() && home.is_some(), "process {who}, command {number}: {info}");
                    }
                }
            }
        };
        let (one, two) = (scope.spawn(run(1)), scope.spawn(run(2)));
        for number in 0..20 {
            send(&format!("message {number}"), number + 1);
        }
        one.join().unwrap();
        two.join().unwrap();
    });
    watcher.tells((0..20).map(|number| format!("message {number}")).collect());
    let who = tdl(&sandbox, &dir, "-n ada whoami --json").ok().json();
    assert_eq!(who["id"], me, "still logged in");

    // A watcher that is killed leaves the place free, whatever it was doing.
    let pid = watcher.child.id().to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    drop(watcher);
    send("after the kill", 100);
    let next = tdl(&sandbox, &dir, "-n ada watch --until-now --json").ok().stdout();
    assert!(next.contains("after the kill"), "{next}");
}

#[test]
fn a_login_that_the_server_ends_is_latched_and_replaced() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let ada = |args: &str| tdl(&sandbox, &dir, args);
    ada("login --phone 9996621234 --code 22222 --first-name Ada").ok();
    // The same key in a second home: its logout ends the login of both.
    ada("backup -d keys.tdl").ok();
    ada("--home copy recover -f keys.tdl").ok();
    ada("--home copy logout").ok();
    ada("whoami").code(4).error("AUTH_KEY_UNREGISTERED", "tdl login");
    let info = ada("session info --json").ok().json();
    assert_eq!(info["ended"]["reason"], "AUTH_KEY_UNREGISTERED");
    assert!(!info["dcs"].as_array().unwrap().is_empty(), "nothing is deleted");
    let again = ada("whoami --trace=all").code(4);
    again.error("is not logged in any more since", "tdl login");
    assert!(!again.stderr().contains("getUsers"), "nothing is asked\n{again}");
    ada("login --phone 9996621234 --code 22222").ok().stderr_has("logging in anew");
    ada("whoami").ok().stdout_has("Ada");
    assert!(ada("session info --json").ok().json()["ended"].is_null());
}
