//! What a cluster was asked since it started, and what it answered: by method and answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::layers;

/// What a bare vector begins with: "Binary Data Serialization".
const VECTOR: u32 = 0x1cb5_c415;
/// Kinds of answers that are told apart; of more, those that come later are counted together.
const MAX_KINDS: usize = 4096;
/// How those are called.
const OTHERS: &str = "(others)";

/// Calls of one method that were answered in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// The method, as its callers' layer calls it; empty for what no layer knows.
    pub method: String,
    /// The constructor of the answer, or the error with X for its number; empty if it was left without an answer on purpose.
    pub answer: String,
    /// How many.
    pub calls: u64,
    /// How many of them in a takeout.
    pub in_takeout: u64,
    /// Bytes of the answers, before encryption.
    pub bytes: u64,
}

/// What is counted of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    calls: u64,
    in_takeout: u64,
    bytes: u64,
}

/// By method and answer.
type Counts = BTreeMap<(&'static str, String), Count>;

/// The counts of a running cluster.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, (method, takeout): (&'static str, bool), answer: String, bytes: usize) {
        let mut counts = self.lock();
        let mut kind = (method, answer);
        if counts.len() >= MAX_KINDS && !counts.contains_key(&kind) {
            kind = ("", OTHERS.to_owned());
        }
        let count = counts.entry(kind).or_default();
        count.calls = count.calls.saturating_add(1);
        count.in_takeout = count.in_takeout.saturating_add(takeout.into());
        count.bytes = count.bytes.saturating_add(bytes as u64);
    }

    /// Counts a call, and whether it came in a takeout, that was answered in `layer`.
    pub(crate) fn answered(&self, call: (&'static str, bool), layer: i32, result: &Result<Bytes, Fault>) {
        match result {
            Ok(body) => self.add(call, constructor(layer, body), body.len()),
            Err(fault) => self.refused(call, fault),
        }
    }

    /// Counts a call that was refused.
    pub(crate) fn refused(&self, call: (&'static str, bool), fault: &Fault) {
        self.add(call, general(&fault.to_string()), 0);
    }

    /// Counts a call that is not answered.
    pub(crate) fn swallowed(&self, method: &'static str) {
        self.add((method, false), String::new(), 0);
    }

    /// All counts, by method and answer.
    pub(crate) fn list(&self) -> Vec<CallCount> {
        let counts = self.lock();
        let one = |((method, answer), count): (&(&'static str, String), &Count)| CallCount {
            method: (*method).to_owned(),
            answer: answer.clone(),
            calls: count.calls,
            in_takeout: count.in_takeout,
            bytes: count.bytes,
        };
        counts.iter().map(one).collect()
    }
}

/// The name of what an answer begins with.
fn constructor(layer: i32, body: &[u8]) -> String {
    let Some(id) = body.first_chunk().map(|id| u32::from_le_bytes(*id)) else { return String::new() };
    match layers::name_of(layer, id) {
        Some(name) => name.to_owned(),
        None if id == VECTOR => "vector".to_owned(),
        None => format!("{id:#010x}"),
    }
}

/// An error without its numbers: those with different ones are counted together.
fn general(error: &str) -> String {
    let is_number = |word: &str| word.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let words: Vec<&str> = error.split('_').map(|word| if is_number(word) { "X" } else { word }).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tdl_core::tl::Serialize as _;
    use tdl_core::tl::api::{enums, types};

    #[test]
    fn calls_are_counted_by_method_and_answer() {
        let tally = Tally::default();
        let state = enums::updates::State::State(types::updates::State::default());
        for _ in 0..2 {
            tally.answered(("updates.getState", false), layers::OWN_LAYER, &Ok(state.to_bytes()));
        }
        for seconds in [3, 40] {
            tally.answered(("upload.getFile", true), layers::OWN_LAYER, &Err(Fault::FloodWait(seconds)));
        }
        tally.answered(("upload.getFile", true), layers::OWN_LAYER, &Err(Fault::AuthKeyUnregistered));
        tally.swallowed("upload.getFile");
        tally.answered(("", false), layers::OWN_LAYER, &Ok(Bytes::from_static(&[1, 2, 3, 4])));
        let found: Vec<_> = tally.list().into_iter().map(|c| (c.method, c.answer, c.calls, c.bytes, c.in_takeout)).collect();
        let line =
            |method: &str, answer: &str, calls, bytes, taken| (method.to_owned(), answer.to_owned(), calls, bytes, taken);
        let want = [
            line("", "0x04030201", 1, 4, 0),
            line("updates.getState", "updates.state", 2, 2 * state.to_bytes().len() as u64, 0),
            line("upload.getFile", "", 1, 0, 0),
            line("upload.getFile", "AUTH_KEY_UNREGISTERED", 1, 0, 1),
            line("upload.getFile", "FLOOD_WAIT_X", 2, 0, 2),
        ];
        assert!(want.iter().all(|line| found.contains(line)) && found.len() == want.len(), "{found:?}");
    }

    #[test]
    fn there_is_an_end_to_what_is_told_apart() {
        let tally = Tally::default();
        for n in 0..MAX_KINDS as u32 + 10 {
            tally.answered(("", false), layers::OWN_LAYER, &Ok(Bytes::copy_from_slice(&n.to_le_bytes())));
        }
        let list = tally.list();
        assert_eq!(list.len(), MAX_KINDS + 1);
        assert_eq!(list.iter().find(|count| count.answer == OTHERS).unwrap().calls, 10);
        assert_eq!(list.iter().map(|count| count.calls).sum::<u64>(), MAX_KINDS as u64 + 10);
    }

    #[test]
    fn errors_are_counted_without_their_numbers() {
        for (error, want) in [
            ("FILE_PART_5_MISSING", "FILE_PART_X_MISSING"),
            ("INPUT_METHOD_INVALID_1234_12", "INPUT_METHOD_INVALID_X_X"),
            ("USER_MIGRATE_2", "USER_MIGRATE_X"),
            ("AUTH_KEY_UNREGISTERED", "AUTH_KEY_UNREGISTERED"),
        ] {
            assert_eq!(general(error), want);
        }
    }
}
