//! One key exchange, told step by step: what was sent and what came, each value, each check, and how long each took.
//!
//! * here: [`Recorder`], which hears of the steps and keeps them as [`Entry`] values;
//! * `fields`: the fields of a message, by the schema;
//! * `meaning`: what each check demands, in words;
//! * `print`: an entry as text for people, and as JSON.
//!
//! Secrets (the new nonce, the exponent, the keys, the salt) are left out unless the recorder was told to keep them.

mod fields;
mod meaning;
mod print;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::units::date;
use tdl_core::check::Check;
use tdl_core::mtproto::handshake::KeyKind;
use tdl_core::mtproto::handshake::watch::{Computed, Note, Secret, Watcher};

pub use fields::{Field, Shown};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, since the beginning.
    pub at: Duration,
    /// How long it took: for a message that came in, the wait for it.
    pub took: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A message was sent, or came in.
    Message {
        /// Whether it is ours.
        sent: bool,
        /// Its TL name; that of the message that was to come where it cannot be read.
        name: String,
        /// The length of the object, in bytes.
        bytes: usize,
        /// The length of the unencrypted message around it, in bytes.
        frame: usize,
        /// What is in it. Empty where it cannot be read.
        fields: Vec<Field>,
    },
    /// The object in the encrypted part of a message.
    Inside {
        /// Its TL name.
        name: String,
        /// Its length in bytes.
        bytes: usize,
        /// What is in it.
        fields: Vec<Field>,
    },
    /// Something was computed.
    Computed {
        /// What.
        what: &'static str,
        /// What came of it.
        fields: Vec<Field>,
    },
    /// A rule was looked after.
    Check {
        /// The check.
        check: Check,
        /// What it demands.
        meaning: &'static str,
        /// Whether the peer kept the rule.
        holds: bool,
        /// Whether nothing had to be computed, because the prime is known.
        known: bool,
    },
    /// Both sides have a key.
    Established {
        /// `auth_key_id` and what belongs to it.
        fields: Vec<Field>,
    },
    /// There is no key.
    Failed {
        /// The rule that was broken.
        rule: &'static str,
        /// What was found and what was expected.
        error: String,
    },
}

/// What hears of each entry as it is made.
pub type Sink = Box<dyn FnMut(&Entry) + Send>;

/// Hears of the steps of one exchange.
pub struct Recorder {
    secrets: bool,
    state: Mutex<State>,
}

struct State {
    start: Instant,
    last: Instant,
    entries: Vec<Entry>,
    known_prime: bool,
    sink: Option<Sink>,
}

/// Where the time of an exchange went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From the first message to the end.
    pub total: Duration,
    /// Waiting for the server.
    pub waiting: Duration,
    /// Computing and checking.
    pub computing: Duration,
}

impl Recorder {
    /// A recorder. The time runs from here. With `secrets`, they are kept; `sink` hears of each entry.
    pub fn new(secrets: bool, sink: Option<Sink>) -> Self {
        let start = Instant::now();
        Self { secrets, state: Mutex::new(State { start, last: start, entries: Vec::new(), known_prime: false, sink }) }
    }

    /// What was recorded so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// Where the time went.
    pub fn times(&self) -> Times {
        let mut times = Times::default();
        for entry in &self.lock().entries {
            times.total += entry.took;
            match entry.what {
                What::Message { sent: false, .. } => times.waiting += entry.took,
                _ => times.computing += entry.took,
            }
        }
        times
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Entries are put in whole, so a panic elsewhere leaves none half-made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secret(&self, secret: Secret<'_>) -> Shown {
        if self.secrets { Shown::bytes(secret.reveal()) } else { Shown::Secret }
    }

    fn computed(&self, computed: &Computed<'_>) -> (&'static str, Vec<Field>) {
        let field = |name: &str, value| Field { name: name.to_owned(), value };
        let plain = |name: &str, value: &dyn std::fmt::Display| field(name, Shown::Text(value.to_string()));
        match computed {
            Computed::Factors { p, q, .. } => ("pq was factored", vec![plain("p", p), plain("q", q)]),
            Computed::ServerKey { fingerprint } => {
                ("the server's key was chosen", vec![plain("fingerprint", &format_args!("{fingerprint:#018x}"))])
            }
            Computed::NewNonce(nonce) => ("new_nonce was drawn", vec![field("new_nonce", self.secret(*nonce))]),
            Computed::RsaPad { data, encrypted } => (
                "RSA_PAD",
                vec![plain("data", &format_args!("{data} bytes")), plain("encrypted", &format_args!("{encrypted} bytes"))],
            ),
            Computed::TmpAes { key, iv } => (
                "the temporary AES key was derived from both nonces",
                vec![field("tmp_aes_key", self.secret(*key)), field("tmp_aes_iv", self.secret(*iv))],
            ),
            Computed::Prime { known } => {
                let text =
                    if *known { "the known one: its primality is not tested again" } else { "not a known one: it is tested" };
                ("dh_prime was looked up", vec![plain("dh_prime", &text)])
            }
            Computed::Clock { server, offset } => (
                "the clocks were compared",
                vec![plain("server_time", &date(*server)), plain("offset", &format_args!("{offset:+} s"))],
            ),
            Computed::Exponent { b, g_b } => {
                ("b was drawn, and g_b = g^b computed", vec![field("b", self.secret(*b)), field("g_b", Shown::bytes(g_b))])
            }
            Computed::AuthKey { key, id } => (
                "auth_key = g_a^b was computed",
                vec![field("auth_key", self.secret(*key)), plain("auth_key_id", &format_args!("{id:#018x}"))],
            ),
            Computed::Retry { count } => ("the server wants another g_b", vec![plain("retry", count)]),
        }
    }

    fn what(&self, note: &Note<'_>, known_prime: bool) -> What {
        match note {
            Note::Sent { message, body, frame } => {
                let (name, fields) =
                    fields::read(body, self.secrets).unwrap_or_else(|| (message.name().to_owned(), Vec::new()));
                What::Message { sent: true, name, bytes: body.len(), frame: *frame, fields }
            }
            Note::Received { message, body, frame } => {
                let (name, fields) =
                    fields::read(body, self.secrets).unwrap_or_else(|| (message.name().to_owned(), Vec::new()));
                What::Message { sent: false, name, bytes: body.len(), frame: *frame, fields }
            }
            Note::Inside { message, body } => {
                let body = body.reveal();
                let (name, fields) =
                    fields::read(body, self.secrets).unwrap_or_else(|| (message.name().to_owned(), Vec::new()));
                What::Inside { name, bytes: body.len(), fields }
            }
            Note::Computed(computed) => {
                let (what, fields) = self.computed(computed);
                What::Computed { what, fields }
            }
            Note::Checked { check, holds } => What::Check {
                check: *check,
                meaning: meaning::of(*check),
                holds: *holds,
                known: known_prime && matches!(check, Check::DhPrimePrime | Check::DhPrimeSafe),
            },
            Note::Established { key_id, key, salt, kind } => {
                let salt = if self.secrets { Shown::Text(format!("{:#018x}", salt.0)) } else { Shown::Secret };
                let kind = match kind {
                    KeyKind::Permanent => "permanent".to_owned(),
                    KeyKind::Temporary { expires_at } => format!("temporary, until {}", date(*expires_at)),
                };
                let field = |name: &str, value| Field { name: name.to_owned(), value };
                What::Established {
                    fields: vec![
                        field("auth_key_id", Shown::Text(format!("{key_id:#018x}"))),
                        field("kind", Shown::Text(kind)),
                        field("auth_key", self.secret(*key)),
                        field("first salt", salt),
                    ],
                }
            }
            Note::Failed(error) => What::Failed { rule: error.rule(), error: error.to_string() },
        }
    }
}

impl Watcher for Recorder {
    fn note(&self, note: &Note<'_>) {
        let now = Instant::now();
        let mut state = self.lock();
        if let Note::Computed(Computed::Prime { known }) = note {
            state.known_prime = *known;
        }
        let what = self.what(note, state.known_prime);
        let entry =
            Entry { at: now.saturating_duration_since(state.start), took: now.saturating_duration_since(state.last), what };
        if let Some(sink) = &mut state.sink {
            sink(&entry);
        }
        state.entries.push(entry);
        // What telling took is nobody's time.
        state.last = Instant::now();
    }
}
