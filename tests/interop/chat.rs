//! Clients that others wrote, as correspondents: each is a program that takes commands on standard input and says on standard output what it
//! has done and heard, one JSON object a line. `chat.py` and `chat.mjs` are the other end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Longer than any single step takes, so that a failure ends.
const PATIENCE: Duration = Duration::from_secs(90);

/// One of them, running. It is ended when this is dropped.
pub(crate) struct Chat {
    name: &'static str,
    phone: String,
    id: i64,
    /// The layer that it says it speaks.
    pub(crate) layer: i64,
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    heard: Vec<Value>,
}

impl Chat {
    /// Starts a program and signs up.
    pub(crate) fn start(name: &'static str, phone: String, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let commands = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut chat = Self { name, phone, id: 0, layer: 0, child, commands, lines, heard: Vec::new() };
        let signed_up = chat.does(&json!({"do": "sign up", "phone": chat.phone, "name": name}));
        chat.id = signed_up["id"].as_i64().unwrap();
        chat.layer = signed_up["layer"].as_i64().unwrap();
        chat
    }

    fn line(&mut self, what: &str) -> Value {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("{}, {what}: {error}; it is {:?}", self.name, self.child.try_wait()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}, {what}: {error}: {line}", self.name))
    }

    /// Gives a command and waits until it is carried out.
    fn does(&mut self, command: &Value) -> Value {
        let what = command["do"].as_str().unwrap().to_owned();
        let input = self.commands.as_mut().unwrap();
        writeln!(input, "{command}")
            .and_then(|()| input.flush())
            .unwrap_or_else(|error| panic!("{}, {what}: {error}", self.name));
        loop {
            let line = self.line(&what);
            if line["did"] == what.as_str() {
                return line;
            }
            self.heard.push(line);
        }
    }

    /// The next message that it heard.
    fn hears(&mut self) -> Value {
        if self.heard.is_empty() { self.line("listening") } else { self.heard.remove(0) }
    }

    fn leaves(mut self) {
        self.does(&json!({"do": "leave"}));
        self.commands = None;
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}", self.name);
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of the `n`-th correspondent; they live on all three DCs.
pub(crate) fn phone(n: usize) -> String {
    format!("99966{}{:04}", 1 + n % 3, 1000 + n)
}

/// Each writes to the next one and sends it a file; each hears both at once, finds them in the history, and has the file, to the byte.
pub(crate) fn talk_in_a_ring(mut ring: Vec<Chat>, files: &Path) {
    let count = ring.len();
    for at in 0..count {
        let to = (at + 1) % count;
        let (name, phone, id) = (ring[at].name, ring[at].phone.clone(), ring[at].id);
        let other = ring[to].phone.clone();
        let text = format!("from {name}, with \u{fc}ml\u{e4}uts and \u{1f600}");
        ring[at].does(&json!({"do": "send", "to": other, "text": text}));
        let heard = ring[to].hears();
        assert_eq!((&heard["heard"], heard["from"].as_i64(), &heard["file"]), (&json!(text), Some(id), &Value::Null), "{name}");

        // More than one part, and not a whole number of them.
        let size = 150_000 + at;
        let content: Vec<u8> = (0..size).map(|n| (n.wrapping_mul(31) >> 3) as u8 ^ at as u8).collect();
        let file = format!("file {at}.bin");
        let path = files.join(&file);
        std::fs::write(&path, &content).unwrap();
        let caption = format!("a file from {name}");
        ring[at].does(&json!({"do": "send file", "to": other, "path": path, "name": file, "size": size, "text": caption}));
        let heard = ring[to].hears();
        assert_eq!((&heard["heard"], &heard["file"]), (&json!(caption), &json!({"name": file, "size": size})), "{name}");
        let got = ring[to].does(&json!({"do": "download", "with": phone, "id": heard["id"]}));
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(got["sha256"], digest, "{name} to {}", ring[to].name);
        let history = ring[to].does(&json!({"do": "history", "with": phone, "limit": 2}));
        assert_eq!(history["texts"], json!([caption, text]), "{name} to {}", ring[to].name);
    }
    for (at, mut chat) in ring.into_iter().enumerate() {
        let chats = chat.does(&json!({"do": "chats"}));
        let expected = if count == 2 { 1 } else { 2 };
        assert_eq!(chats["names"].as_array().map(Vec::len), Some(expected), "{at}: {chats}");
        chat.leaves();
    }
}
