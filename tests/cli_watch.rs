//! `tdl watch` through the binary: one account watches while another writes; the watcher and the cluster are killed in between, and nothing
//! is lost or doubled.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Sandbox, TestDir, tdl};
use tdl::chat::{links::ChatRef, peers};
use tdl::client::{Client, ClientConfig, DcTable, Persistence};
use tdl::store::Home;
use tdl::tl::api::{enums::InputPeer, functions::messages::SendMessage};
use tdl::trace::Tracer;

const ADA: &str = "9996621234";
/// Longer than anything here takes, so that a failure ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account that writes: through the library, as there is much to write.
struct Bob {
    runtime: tokio::runtime::Runtime,
    client: Client,
    ada: InputPeer,
}

impl Bob {
    fn new(dir: &TestDir) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let table = DcTable::read(&dir.join("box/cluster.json")).unwrap();
        let namespace = Home::at(dir.join("box/home")).open_existing(&"bob".parse().unwrap(), 0).unwrap();
        let store: Arc<dyn Persistence> = Arc::new(namespace);
        let (client, ada) = runtime.block_on(async {
            let client = Client::connect(ClientConfig::new(table, 1, "x"), store, Tracer::off()).await.unwrap();
            let ada = peers::resolve(&client, &ChatRef::Phone(ADA.to_owned())).await.unwrap();
            (client, ada.input)
        });
        Self { runtime, client, ada }
    }

    fn says(&self, texts: impl IntoIterator<Item = String>) {
        self.runtime.block_on(async {
            for text in texts {
                let random_id = self.client.random_i64();
                let message =
                    SendMessage { peer: self.ada.clone(), message: text.as_str().into(), random_id, ..SendMessage::default() };
                self.client.invoke(&message).await.unwrap();
            }
        });
    }

    fn leaves(self) {
        self.runtime.block_on(self.client.close());
    }
}

/// `tdl watch` in the background.
struct Watcher {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if line.is_ok_and(|line| sender.send(line).is_ok()) {
                continue;
            }
            break;
        }
    });
    receiver
}

impl Watcher {
    fn start(sandbox: &Sandbox, dir: &TestDir, args: &str) -> Self {
        let command = tdl(sandbox, dir, &format!("-n ada watch {args}"));
        let mut child = command.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let notes = lines_of(child.stderr.take().unwrap());
        Self { child, lines, notes }
    }

    /// Waits until it says so on standard error.
    fn noted(&self, what: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.notes.recv_timeout(left) {
                Ok(line) if line.contains(what) => return,
                Ok(_) => {}
                Err(error) => panic!("never noted {what:?}: {error}"),
            }
        }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON: {e}: {line}"))
    }

    /// The texts of the next messages.
    fn texts(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| text_of(&self.next()).expect("a message")).collect()
    }

    /// Nothing comes any more.
    fn silent(&self) {
        assert_eq!(self.lines.recv_timeout(Duration::from_millis(700)), Err(RecvTimeoutError::Timeout));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert_eq!(self.lines.iter().next(), None, "it printed something that nobody expected");
    }

    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text_of(line: &Value) -> Option<String> {
    Some(line.get("message")?.get("message")?.as_str()?.to_owned())
}

fn texts_in(stdout: &str) -> Vec<String> {
    stdout.lines().filter_map(|line| text_of(&serde_json::from_str(line).unwrap())).collect()
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("message {n}")).collect()
}

#[test]
fn nothing_is_lost_or_doubled_when_the_watcher_or_the_cluster_dies() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    tdl(&sandbox, &dir, &format!("-n ada login --phone {ADA} --code 22222 --first-name Ada")).ok();
    tdl(&sandbox, &dir, "-n bob login --phone 9996619999 --code 11111 --first-name Bob").ok();
    let bob = Bob::new(&dir);
    bob.says(["before anybody watched".to_owned()]);

    // The first run begins with what happens from now on.
    let watcher = Watcher::start(&sandbox, &dir, "");
    watcher.noted("up to date");
    bob.says(numbered(0..5));
    assert_eq!(watcher.texts(5), numbered(0..5));
    let file = dir.write("note.txt", "what a file says");
    let up = tdl(&sandbox, &dir, "-n bob up --json -c").arg(format!("+{ADA}")).arg("-p").arg(file).ok();
    drop(up);
    let line = watcher.next();
    assert_eq!((line["_"].as_str(), line["message"]["_"].as_str()), (Some("updateNewMessage"), Some("message")));
    assert_eq!(line["message"]["media"]["document"]["attributes"][0]["file_name"], "note.txt", "{line}");

    // Killed as soon as what it printed is stored.
    let pts = line["pts"].as_i64().unwrap();
    let end = Instant::now() + PATIENCE;
    while tdl(&sandbox, &dir, "-n ada session info --json").ok().json()["updates"]["pts"].as_i64() != Some(pts) {
        assert!(Instant::now() < end, "never stored");
    }
    tdl(&sandbox, &dir, "-n ada session info").ok().stdout_has(&format!("pts {pts}"));
    watcher.kill();
    bob.says(numbered(5..10));
    let watcher = Watcher::start(&sandbox, &dir, "");
    assert_eq!(watcher.texts(5), numbered(5..10));
    watcher.noted("up to date");
    bob.says(numbered(10..12));
    assert_eq!(watcher.texts(2), numbered(10..12));

    // The cluster dies, and comes back with what it had.
    bob.leaves();
    drop(sandbox);
    watcher.noted("attempt");
    let sandbox = Sandbox::start(&dir);
    let bob = Bob::new(&dir);
    bob.says(numbered(12..20));
    assert_eq!(watcher.texts(8), numbered(12..20));
    watcher.silent();
    assert_eq!(watcher.interrupt(), Some(130));

    // More than one answer of the server holds.
    bob.says(numbered(20..130));
    let caught_up = tdl(&sandbox, &dir, "-n ada watch --until-now").ok();
    assert_eq!(texts_in(&caught_up.stdout()), numbered(20..130));
    tdl(&sandbox, &dir, "-n ada watch --until-now").ok().no_stdout();

    // Only one chat; and only from now on.
    bob.says(numbered(130..131));
    let own = Watcher::start(&sandbox, &dir, "-c me --since-now");
    own.noted("up to date");
    bob.says(numbered(131..132));
    tdl(&sandbox, &dir, "-n ada up -p note.txt --json").ok();
    let line = own.next();
    assert_eq!(
        line["message"]["media"]["document"]["attributes"][0]["file_name"], "note.txt",
        "Bob's chat was not asked for: {line}"
    );
    assert_eq!(own.interrupt(), Some(130));
    tdl(&sandbox, &dir, "-n ada watch --until-now --since-now").code(2);
    tdl(&sandbox, &dir, "-n ada watch -c not/a/chat").code(2).no_stdout();
    tdl(&sandbox, &dir, "-n nobody watch").code(4).error("is not logged in", "tdl login");
    bob.leaves();
}
