//! What a cluster was asked since it started, and what it answered: by method and answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::layers;

/// What a bare vector begins with: "Binary Data Serialization".
const VECTOR: u32 = 0x1cb5_c415;
/// Kinds of answers that are told apart; there are few, whatever clients ask.
const MAX_KINDS: usize = 4096;

/// Calls of one method that were answered in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// The method, as its callers' layer calls it; empty for what no layer knows.
    pub method: String,
    /// The constructor of the answer, or the error with X for its number; empty if it was left without an answer on purpose.
    pub answer: String,
    /// How many.
    pub calls: u64,
    /// Bytes of the answers, before encryption.
    pub bytes: u64,
}

/// Calls and bytes, by method and answer.
type Counts = BTreeMap<(&'static str, String), (u64, u64)>;

/// The counts of a running cluster.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, method: &'static str, answer: String, bytes: usize) {
        let mut counts = self.lock();
        if counts.len() >= MAX_KINDS && !counts.contains_key(&(method, answer.clone())) {
            return;
        }
        let (calls, sum) = counts.entry((method, answer)).or_default();
        *calls = calls.saturating_add(1);
        *sum = sum.saturating_add(bytes as u64);
    }

    /// Counts a call that was answered in `layer`.
    pub(crate) fn answered(&self, method: &'static str, layer: i32, result: &Result<Bytes, Fault>) {
        match result {
            Ok(body) => self.add(method, constructor(layer, body), body.len()),
            Err(fault) => self.add(method, general(&fault.to_string()), 0),
        }
    }

    /// Counts a call that is not answered.
    pub(crate) fn swallowed(&self, method: &'static str) {
        self.add(method, String::new(), 0);
    }

    /// All counts, by method and answer.
    pub(crate) fn list(&self) -> Vec<CallCount> {
        let counts = self.lock();
        let one = |((method, answer), (calls, bytes)): (&(&'static str, String), &(u64, u64))| CallCount {
            method: (*method).to_owned(),
            answer: answer.clone(),
            calls: *calls,
            bytes: *bytes,
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

/// An error without its number: those with different ones are counted together.
fn general(error: &str) -> String {
    let stem = error.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() < error.len() && stem.ends_with('_') { format!("{stem}X") } else { error.to_owned() }
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
            tally.answered("updates.getState", layers::OWN_LAYER, &Ok(state.to_bytes()));
        }
        for seconds in [3, 40] {
            tally.answered("upload.getFile", layers::OWN_LAYER, &Err(Fault::FloodWait(seconds)));
        }
        tally.answered("upload.getFile", layers::OWN_LAYER, &Err(Fault::AuthKeyUnregistered));
        tally.swallowed("upload.getFile");
        tally.answered("", layers::OWN_LAYER, &Ok(Bytes::from_static(&[1, 2, 3, 4])));
        let found: Vec<_> = tally.list().into_iter().map(|c| (c.method, c.answer, c.calls, c.bytes)).collect();
        let line = |method: &str, answer: &str, calls, bytes| (method.to_owned(), answer.to_owned(), calls, bytes);
        let want = [
            line("", "0x04030201", 1, 4),
            line("updates.getState", "updates.state", 2, 2 * state.to_bytes().len() as u64),
            line("upload.getFile", "", 1, 0),
            line("upload.getFile", "AUTH_KEY_UNREGISTERED", 1, 0),
            line("upload.getFile", "FLOOD_WAIT_X", 2, 0),
        ];
        assert!(want.iter().all(|line| found.contains(line)) && found.len() == want.len(), "{found:?}");
    }

    #[test]
    fn there_is_an_end_to_what_is_told_apart() {
        let tally = Tally::default();
        for n in 0..MAX_KINDS as u32 + 10 {
            tally.answered("", layers::OWN_LAYER, &Ok(Bytes::copy_from_slice(&n.to_le_bytes())));
        }
        assert_eq!(tally.list().len(), MAX_KINDS);
    }
}
