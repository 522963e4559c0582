//! One direction of a TCP connection: segments as they were captured, put back into the order in which they were sent.
//!
//! What comes twice is dropped; what comes early waits. Of bytes that come twice and differ, the first count, as they do for a receiver
//! that has passed them on already. Segments that are missing from the capture leave a hole, and whether a hole will be filled can only
//! be told by waiting: it is given up when too much waits behind it, or at the end.

use std::collections::BTreeMap;

/// Bytes that may wait behind a hole.
const MAX_WAITING: usize = 8 << 20;
/// Segments that may wait behind a hole.
const MAX_SEGMENTS: usize = 16_384;
/// What is further ahead than any window belongs to another connection, or to none.
const MAX_AHEAD: i64 = 1 << 30;
/// What a waiting segment takes besides its bytes.
const OVERHEAD: usize = 64;

/// A hole in a direction: the stream is read up to it and no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it is, counted from the first byte that was seen.
    pub at: u64,
    /// How many bytes are missing, at least.
    pub missing: u64,
    /// How many bytes behind it were captured and are of no use.
    pub unused: u64,
}

/// One direction.
#[derive(Debug, Default)]
pub struct Stream {
    /// The number of the next byte to pass on; `None` until something was seen.
    next: Option<u32>,
    /// Bytes passed on.
    passed: u64,
    /// What waits, by its place in the stream.
    waiting: BTreeMap<u64, Box<[u8]>>,
    held: usize,
    /// How far the receiver has said that it has everything.
    acknowledged: u64,
    /// Where the sender ended the stream.
    end: Option<u64>,
    gap: Option<Gap>,
    unused: u64,
}

impl Stream {
    /// The stream begins behind this number: that of the segment that opened the connection.
    pub fn opened(&mut self, seq: u32) {
        if self.passed == 0 && self.waiting.is_empty() {
            self.next = Some(seq.wrapping_add(1));
        }
    }

    /// Takes a segment that begins at `seq`, and passes on what is in order by now.
    pub fn segment(&mut self, seq: u32, payload: &[u8], mut pass_on: impl FnMut(&[u8])) {
        if payload.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(seq);
        if self.gap.is_some() {
            self.unused = self.unused.saturating_add(payload.len() as u64);
            return;
        }
        let Some(start) = self.place(seq, next) else { return };
        let end = start.saturating_add(payload.len() as i64);
        let passed = i64::try_from(self.passed).unwrap_or(i64::MAX);
        if end <= passed {
            return;
        }
        // A segment that begins before what was passed on brings something new at its end.
        let old = usize::try_from(passed - start).unwrap_or(0);
        let (start, payload) = (start.max(passed), payload.get(old..).unwrap_or_default());
        if start == passed {
            self.advance(payload.len());
            pass_on(payload);
            self.drain(&mut pass_on);
        } else {
            self.keep(start.unsigned_abs(), payload);
        }
    }

    /// Notes that the receiver waits for the byte with this number.
    pub fn acknowledge(&mut self, ack: u32) {
        if let Some(place) = self.next.and_then(|next| self.place(ack, next)) {
            self.acknowledged = self.acknowledged.max(u64::try_from(place).unwrap_or(0));
        }
    }

    /// Notes that the sender ends the stream at this number.
    pub fn ended(&mut self, seq: u32) {
        let next = *self.next.get_or_insert(seq);
        if self.end.is_none() {
            self.end = self.place(seq, next).and_then(|place| u64::try_from(place).ok());
        }
    }

    /// Whether everything up to the end has been passed on.
    pub fn is_complete(&self) -> bool {
        self.end == Some(self.passed)
    }

    /// Bytes that wait.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Nothing more will come: a hole that was not filled by now is one.
    pub fn finish(&mut self) -> Option<Gap> {
        if self.gap.is_none() {
            // The end of the stream counts as a byte in acknowledgements: where it was not seen, one may be too many.
            let known = self.end.unwrap_or(self.acknowledged.saturating_sub(1));
            if !self.waiting.is_empty() || known > self.passed {
                self.give_up(known);
            }
        }
        self.gap.map(|gap| Gap { unused: self.unused, ..gap })
    }

    /// The hole at which the stream was given up.
    pub fn gap(&self) -> Option<Gap> {
        self.gap.map(|gap| Gap { unused: self.unused, ..gap })
    }

    /// Gives the stream up here, whatever is known of it: nothing more is kept.
    pub fn abandon(&mut self) {
        if self.gap.is_none() {
            self.give_up(self.passed);
        }
    }

    /// The place of a number in the stream; `None` if it is nowhere near.
    fn place(&self, seq: u32, next: u32) -> Option<i64> {
        let distance = i64::from(seq.wrapping_sub(next).cast_signed());
        let place = i64::try_from(self.passed).ok()?.checked_add(distance)?;
        (distance.abs() <= MAX_AHEAD).then_some(place)
    }

    fn advance(&mut self, len: usize) {
        self.passed = self.passed.saturating_add(len as u64);
        // A segment is shorter than 2³² bytes.
        self.next = self.next.map(|next| next.wrapping_add(len as u32));
    }

    fn keep(&mut self, start: u64, payload: &[u8]) {
        let known = self.waiting.get(&start).map_or(0, |known| known.len());
        if payload.len() <= known {
            return;
        }
        if known == 0 {
            self.held += OVERHEAD;
        }
        self.held = self.held.saturating_sub(known) + payload.len();
        self.waiting.insert(start, payload.into());
        if self.held > MAX_WAITING || self.waiting.len() > MAX_SEGMENTS {
            self.give_up(0);
        }
    }

    /// Passes on what waited for what was just passed on.
    fn drain(&mut self, pass_on: &mut impl FnMut(&[u8])) {
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= self.passed) {
            let (start, payload) = first.remove_entry();
            self.held = self.held.saturating_sub(payload.len() + OVERHEAD);
            let old = usize::try_from(self.passed - start).unwrap_or(usize::MAX);
            if let Some(fresh) = payload.get(old..).filter(|fresh| !fresh.is_empty()) {
                self.advance(fresh.len());
                pass_on(fresh);
            }
        }
    }

    fn give_up(&mut self, known: u64) {
        let behind = self.waiting.first_key_value().map_or(known, |(start, _)| *start);
        self.gap = Some(Gap { at: self.passed, missing: behind.saturating_sub(self.passed), unused: 0 });
        self.unused = self.waiting.values().map(|payload| payload.len() as u64).sum();
        self.waiting.clear();
        self.held = 0;
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
