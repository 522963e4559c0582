//! What came of a capture: what was decoded, and what was not and why.

use std::collections::BTreeMap;

use super::flow::Ends;
use super::packet::Skipped;
use tdl_core::trace::{ConnId, Word};

/// Troubles that are kept with their circumstances; further ones are counted.
const MAX_TROUBLES: usize = 1000;
/// Keys that are kept apart; packets of further ones are counted.
const MAX_UNKNOWN_KEYS: usize = 10_000;

/// What came of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Packets in the capture.
    pub packets: u64,
    /// Those that were passed over.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Packets whose end was cut off when they were captured.
    pub cut: u64,
    /// TCP connections that something passed on.
    pub connections: u64,
    /// Those that MTProto was found on.
    pub mtproto: u64,
    /// Those that are something else for certain.
    pub other: u64,
    /// Packets of MTProto that were decoded: those of the key exchange, and encrypted ones that a key opened.
    pub decoded: u64,
    /// Encrypted packets among them.
    pub opened: u64,
    /// Packets of MTProto that were found and not decoded.
    pub undecoded: u64,
    /// Encrypted packets whose key is not known, by the key's identifier.
    pub unknown_keys: BTreeMap<i64, u64>,
    /// Messages, those in containers included.
    pub messages: u64,
    /// Requests.
    pub requests: u64,
    /// Requests whose answer passed too.
    pub answered: u64,
    /// Answers whose request was not seen.
    pub unasked: u64,
    /// Rules that were broken, and how often.
    pub checks: BTreeMap<Word, u64>,
    /// Why connections, or parts of them, could not be read.
    pub troubles: Vec<Trouble>,
    /// How many more there were.
    pub more_troubles: u64,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The connection.
    pub conn: ConnId,
    /// Its ends.
    pub ends: Ends,
    /// What, and why.
    pub what: String,
}

impl Report {
    /// Whether nothing of MTProto in the capture was left undecoded.
    pub fn is_complete(&self) -> bool {
        self.undecoded == 0 && self.troubles.is_empty() && self.more_troubles == 0
    }

    /// Whether anything was decoded.
    pub fn is_empty(&self) -> bool {
        self.decoded == 0
    }

    pub(super) fn trouble(&mut self, conn: ConnId, ends: Ends, what: String) {
        if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(Trouble { conn, ends, what });
        } else {
            self.more_troubles += 1;
        }
    }

    pub(super) fn unknown_key(&mut self, id: i64) {
        self.undecoded += 1;
        if self.unknown_keys.len() < MAX_UNKNOWN_KEYS || self.unknown_keys.contains_key(&id) {
            *self.unknown_keys.entry(id).or_default() += 1;
        }
    }

    pub(super) fn skip(&mut self, why: Skipped) {
        *self.skipped.entry(why).or_default() += 1;
    }

    pub(super) fn check_failed(&mut self, rule: Word) {
        *self.checks.entry(rule).or_default() += 1;
    }
}
