//! The bridge through the binary: our own client on one side of it, a cluster on the other.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Sandbox, TestCommand, TestDir, bytes};

/// An account on DC 1: the client begins at DC 2, and is sent home.
const ADA: &str = "login --phone 9996611234 --code 11111 --first-name Ada";
/// One on DC 2.
const BOB: &str = "login --phone 9996621234 --code 22222 --first-name Bob";

/// `tdl bridge` in the background, with its keys in the directory's `state`. Killed when dropped.
struct Bridge {
    child: Child,
    ready: serde_json::Value,
    log: PathBuf,
    /// Bytes of the log that were looked at.
    seen: Cell<usize>,
}

impl Bridge {
    fn start(dir: &TestDir, args: &[&str]) -> Self {
        let mut command = dir.tdl();
        command.args("bridge --quiet --to box --state state --trace=all --trace-file bridge.log");
        for arg in args {
            command.arg(*arg);
        }
        let mut child = command.command().stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON: {e}: {line:?}"));
        Self { child, ready, log: dir.join("bridge.log"), seen: Cell::new(0) }
    }

    /// What was traced since the last look, as soon as all of this is in it: what is traced is written a little later than it happens.
    fn traced(&self, all: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let bytes = fs::read(&self.log).unwrap();
            // What is being written may end inside a character, but is not what ends with a line.
            let new = String::from_utf8_lossy(&bytes[self.seen.get()..]);
            let missing = all.iter().find(|what| !new.contains(**what));
            if missing.is_none() && new.ends_with('\n') {
                self.seen.set(bytes.len());
                return new.into_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{missing:?} is not in the trace\n{new}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[cfg(unix)]
    fn interrupt(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tdl` that knows nothing but the bridge.
fn tdl(dir: &TestDir, args: &str) -> TestCommand {
    let mut command = dir.tdl();
    command.args("--dc-config state/bridge.json").args(args);
    command
}

#[test]
fn a_client_logs_in_is_sent_home_and_moves_files_between_data_centres() {
    let dir = TestDir::new();
    let _sandbox = Sandbox::start(&dir);
    let bridge = Bridge::start(&dir, &[]);
    assert_eq!(bridge.ready["dcs"].as_array().unwrap().len(), 3);
    assert_eq!(bridge.ready["rules"], 0);

    let login = tdl(&dir, ADA).args("--trace=transport,mtproto").ok().stderr();
    // It learnt addresses on its way from one data centre to the other, and none led past the bridge.
    let ports: Vec<String> = bridge.ready["dcs"].as_array().unwrap().iter().map(|dc| dc["port"].to_string()).collect();
    let dialled: Vec<&str> = login.lines().filter(|line| line.contains("dialing")).collect();
    assert!(dialled.len() >= 2 && dialled.iter().all(|line| ports.iter().any(|port| line.contains(port))), "{dialled:?}");
    assert!(login.contains("temporary key bound"), "{login}");
    bridge.traced(&[" @DC2 ", " DC2 ", " @DC1 ", " DC1 ", "through the bridge, for #", "rpc       ← auth.signUp"]);

    // Without forward secrecy the client's key is the same, and so is the login.
    for whoami in ["whoami", "whoami --pfs=off"] {
        tdl(&dir, whoami).ok().stdout_has("Ada");
        let trace = bridge.traced(&["rpc       ← users.getUsers"]);
        assert!(!trace.contains("req_pq"), "no further key was made, on either side\n{trace}");
    }

    tdl(&dir, BOB).args("-n bob").ok();
    dir.write("sent.bin", bytes(1, 700_000));
    tdl(&dir, "up -p sent.bin -c +9996621234").ok();
    tdl(&dir, "chat export -n bob -c +9996611234 -o export.json").ok();
    // The file is on the sender's data centre: the login is carried there.
    tdl(&dir, "dl -n bob -f export.json -d got").ok();
    bridge.traced(&["auth.importAuthorization"]);
    let got: Vec<_> = fs::read_dir(dir.join("got")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(fs::read(&got[0]).unwrap(), bytes(1, 700_000));

    tdl(&dir, "logout").ok();
    tdl(&dir, "whoami").code(4);
    #[cfg(unix)]
    assert_eq!(bridge.interrupt(), Some(0));
}

const RULES: &str = r#"
[[rule]]
name = "late"
on = "request"
method = "users.getUsers"
nth = 1
delay = "700ms"

[[rule]]
name = "another name"
on = "request"
method = "auth.signUp"
edit = { first_name = "Eve" }

[[rule]]
name = "a name of its own"
on = "answer"
method = "users.getUsers"
nth = 2
edit = { "*.first_name" = "Mallory" }

[[rule]]
name = "refused"
on = "request"
method = "users.getUsers"
nth = 3
error = { code = 400, text = "BRIDGE_SAYS_NO" }

[[rule]]
name = "cut"
on = "answer"
method = "users.getUsers"
nth = 3
close = true

[[rule]]
name = "never"
on = "answer"
method = "users.getUsers"
nth = 4
drop = true

[[rule]]
name = "as if"
on = "request"
method = "auth.logOut"
nth = 1
answer = { _ = "auth.loggedOut" }
"#;

#[test]
fn each_action_of_a_rule_does_what_it_says_and_is_traced() {
    let dir = TestDir::new();
    let _sandbox = Sandbox::start(&dir);
    dir.write("rules.toml", RULES);
    let more = "on = \"answer\", method = \"messages.getDialogs\", edit = { \"users.*.first_name\" = \"Trent\" }";
    let bridge = Bridge::start(&dir, &["--rules", "rules.toml", "--rule", more, "--seed", "5"]);
    assert_eq!((&bridge.ready["rules"], &bridge.ready["seed"]), (&8.into(), &5.into()));
    let shown = |rule: &str, action: &str| {
        let trace = bridge.traced(&[&format!("rule: {rule} ")]);
        let line = trace.lines().find(|line| line.contains(&format!("rule: {rule} ")));
        assert!(line.is_some_and(|line| line.contains(action) && line.contains("@DC2")), "{rule}: {action}\n{line:?}");
    };

    // The rule's count begins with the first call of the method, whichever command makes it.
    tdl(&dir, BOB).ok();
    let trace = bridge.traced(&["rule: another name", "edited first_name: auth.signUp"]);
    assert!(!trace.contains("rule: late"), "the login asks nobody who it is");

    let began = Instant::now();
    tdl(&dir, "whoami").ok().stdout_has("Eve");
    assert!(began.elapsed() >= Duration::from_millis(700));
    shown("late", "delayed by 700 ms");
    tdl(&dir, "whoami").ok().stdout_has("Mallory");
    shown("a name of its own", "edited *.first_name");
    tdl(&dir, "whoami").code(1).stderr_has("BRIDGE_SAYS_NO");
    shown("refused", "answered 400 BRIDGE_SAYS_NO");
    // What was cut off is answered after the client has come back, and asked of the data centre once.
    tdl(&dir, "whoami").ok().stdout_has("Eve").stderr_has("attempt");
    let trace = bridge.traced(&["rule: cut", "closed from this side", "@DC2 rpc       → users.getUsers"]);
    let asked = trace.lines().filter(|line| line.contains(" DC2 ") && line.contains("rpc       → users.getUsers")).count();
    assert_eq!(asked, 1, "{trace}");
    tdl(&dir, "chat ls").ok();

    let mut child = tdl(&dir, "whoami").command().stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "an answer that is dropped is waited for");
    child.kill().unwrap();
    child.wait().unwrap();
    shown("never", "dropped");

    tdl(&dir, "logout").ok();
    shown("as if", "answered: auth.logOut");
}

#[test]
#[cfg(unix)]
fn keys_outlive_the_bridge_and_transfers_its_absence() {
    let dir = TestDir::new();
    let _sandbox = Sandbox::start(&dir);
    let bridge = Bridge::start(&dir, &[]);
    let first = bridge.ready.clone();
    tdl(&dir, BOB).ok();
    for n in 1..=3 {
        dir.write(&format!("files/{n}.bin"), bytes(n, 300_000));
    }
    let mut up = tdl(&dir, "up -p files -l 1 --delay 1s --trace=mtproto").command();
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(up.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |what: &str, said: &mut String| {
        lines.by_ref().any(|line| {
            said.push_str(&line);
            said.push('\n');
            line.contains(what)
        })
    };
    assert!(until("done: files/1.bin", &mut said), "{said}");
    assert_eq!(bridge.interrupt(), Some(0));
    assert!(until("attempt", &mut said), "it notices that the bridge is gone\n{said}");
    let bridge = Bridge::start(&dir, &[]);
    for same in ["rsa_fingerprint", "dcs"] {
        assert_eq!(bridge.ready[same], first[same]);
    }
    assert!(!until("no such line", &mut said));
    assert_eq!(up.wait().unwrap().code(), Some(0), "{said}");
    let export = tdl(&dir, "chat export -o export.json --json").ok().json();
    assert_eq!(export["messages"], 3, "nothing was sent twice");
    tdl(&dir, "whoami").ok().stdout_has("Bob");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(dir.join("state/cluster.sqlite")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
#[cfg(unix)]
fn what_the_data_centre_forgets_is_lost_and_its_absence_is_told() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let bridge = Bridge::start(&dir, &["--patience", "100ms"]);
    tdl(&dir, BOB).ok();
    assert_eq!(sandbox.interrupt(), Some(0));
    // The client takes it for a passing trouble of the server's, and would ask again for a while.
    let mut client = tdl(&dir, "whoami").command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    bridge.traced(&["users.getUsers                   -503 Timeout"]);
    client.kill().unwrap();
    client.wait().unwrap();
    let database = rusqlite::Connection::open(dir.join("box/cluster.sqlite")).unwrap();
    assert_eq!(database.execute("DELETE FROM auth_keys", []).unwrap(), 1, "the bridge has one key for the client's two");
    drop(database);
    let _sandbox = Sandbox::start(&dir);
    tdl(&dir, "whoami --pfs=off").code(4).stderr_has("forgotten the key");
    bridge.traced(&["transport error 404", "no auth key"]);
    // With a key of its own, another login works.
    tdl(&dir, "login -n again --phone 9996621234 --code 22222").ok();
    tdl(&dir, "whoami -n again").ok().stdout_has("Bob");
}

#[test]
fn what_is_not_on_this_machine_and_what_is_no_rule_is_refused() {
    let dir = TestDir::new();
    let key = "-----BEGIN RSA PUBLIC KEY-----\\nMIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtztKTKqigvO/vBfqACJLZtS7QMgCGXJ6XIR\\nyy7mx66W0/sOFa7/1mAZtEoIokDP3ShoqF4fVNb6XeqgQfaUHd8wJpDWHcR2OFwv\\nplUUI1PLTktZ9uW2WE23b+ixNwJjJGwBDJPQEQFBE+vfmH0JP503wr5INS1poWg/\\nj25sIWeYPHYeOrFp/eXaqhISP6G+q2IeTaWTXpwZj4LzXq5YOpk4bYEQ6mvRq7D1\\naHWfYmlEGepfaYR8Q0YqvvhYtMte3ITnuSJs171+GDqpdKcSwHnd6FudwGO4pcCO\\nj4WcDuXc2CTHgH8gFTNhp/Y8/SpDOhvn9QIDAQAB\\n-----END RSA PUBLIC KEY-----";
    let table = |ip: &str| format!(r#"{{"dcs":[{{"id":1,"ip":"{ip}","port":9}}],"rsa_public_keys":["{key}"]}}"#);
    dir.write("here.json", table("127.0.0.1"));
    dir.write("away.json", table("149.154.167.51"));
    let bridge = |args: &str| {
        let mut command = dir.tdl();
        command.args("bridge").args(args);
        command
    };
    bridge("--to here.json --listen 0.0.0.0:0").code(2).error("on loopback only", "127.0.0.1");
    bridge("--to here.json --listen 192.0.2.1:9100").code(2).error("on loopback only", "127.0.0.1");
    bridge("--to away.json").code(2).error("DC1 is at 149.154.167.51", "on this machine");
    bridge("").code(2).error("--to is missing", "tdl sandbox up");
    bridge("--to missing.json").code(2).error("missing.json", "cluster.json");
    bridge("--to here.json --listen 9100").code(2).no_stdout();
    bridge("--to here.json --listen 127.0.0.1:0").arg("--rules").arg("no.toml").code(2).error("no.toml", "can read");

    dir.write("bad.toml", "# nothing yet\n[[rule]]\non = \"request\"\nmethod = \"mesages.*\"\ndrop = true\n");
    bridge("--to here.json --rules bad.toml")
        .code(2)
        .error("bad.toml: line 2: no method of the schema matches 'mesages.*'", "--help");
    let mut flag = bridge("--to here.json --rule");
    flag.arg("on = \"update\", drop = true, close = true").code(2).error("drop and close", "--help");
    assert!(!dir.join("home").exists(), "a refusal makes no files");
}
