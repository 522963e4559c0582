//! Message identifiers: making them, and judging those that come in.
//!
//! An identifier is the server's Unix time × 2³², unique and rising within a session. Its two lowest bits tell who wrote it: 0 a client,
//! 1 a server that answers, 3 a server otherwise. See "Mobile Protocol: Detailed Description", "Security Guidelines for Client
//! Developers".

use std::{collections::VecDeque, time::Duration};

use rand::Rng;

use crate::ids::{MsgId, SeqNo};

/// Who writes a message and why: the two lowest bits of its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client.
    Client,
    /// A server, in answer to a message of the client's.
    Answer,
    /// A server, of its own accord.
    Notice,
}

impl Origin {
    const fn bits(self) -> i64 {
        match self {
            Self::Client => 0,
            Self::Answer => 1,
            Self::Notice => 3,
        }
    }
}

/// Makes identifiers, each greater than all before.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    last: i64,
}

/// Low bits that are drawn at random: 2²² units of 2⁻³² s are about a millisecond, so that clocks of low precision do not make
/// guessable identifiers, and the time that they carry stays true.
const RANDOM_BITS: i64 = (1 << 22) - 1;

impl Generator {
    /// The next identifier, at `server_time`.
    pub fn next(&mut self, server_time: Duration, origin: Origin, rng: &mut dyn Rng) -> MsgId {
        let random = i64::from(rng.next_u32());
        let base = at(server_time).0 ^ (random & RANDOM_BITS);
        let mut id = base & !3;
        let last = self.last & !3;
        if id <= last {
            // Up to a quarter of a microsecond further: a burst of thousands does not leave its second.
            id = last.saturating_add(4 * (1 + (random >> 22 & 0xff)));
        }
        self.last = id;
        MsgId(id | origin.bits())
    }

    /// The highest identifier made, without the bits that tell who made it.
    pub fn last(&self) -> MsgId {
        MsgId(self.last)
    }

    /// Forgets what was made after `last`: the clock that it was made by has proved to be ahead.
    pub fn reset_to(&mut self, last: MsgId) {
        self.last = self.last.min(last.0);
    }
}

/// The lowest identifier of a point in server time.
pub fn at(server_time: Duration) -> MsgId {
    let secs = i64::try_from(server_time.as_secs()).unwrap_or(i64::MAX).min(i64::from(i32::MAX));
    let fraction = (i64::from(server_time.subsec_nanos()) << 32) / 1_000_000_000;
    MsgId((secs << 32 | fraction) & !3)
}

/// What the filter says of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Never seen.
    New,
    /// Seen before.
    Duplicate,
    /// Lower than everything that is remembered: it cannot be told whether it was seen.
    TooOld {
        /// The lowest identifier remembered.
        oldest: MsgId,
    },
}

/// A received message, as far as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its identifier.
    pub msg_id: MsgId,
    /// Its sequence number.
    pub seq_no: SeqNo,
    /// Whether it was a container.
    pub is_container: bool,
    /// Whether we have acknowledged it.
    pub acknowledged: bool,
}

/// The identifiers of the last messages received, in order: the filter against duplicates and replays, and the memory from which
/// questions about received messages are answered.
#[derive(Clone, Debug)]
pub struct SeenIds {
    entries: VecDeque<Seen>,
    capacity: usize,
    /// Whether something has been forgotten: from then on, what is below the lowest entry is too old.
    overflowed: bool,
}

impl SeenIds {
    /// A filter that remembers `capacity` identifiers, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: capacity.max(1), overflowed: false }
    }

    /// Judges an identifier.
    pub fn check(&self, msg_id: MsgId) -> Novelty {
        match (self.entries.front(), self.entries.back()) {
            (Some(_), Some(newest)) if msg_id > newest.msg_id => Novelty::New,
            (Some(oldest), Some(_)) if msg_id < oldest.msg_id => {
                if self.overflowed {
                    Novelty::TooOld { oldest: oldest.msg_id }
                } else {
                    Novelty::New
                }
            }
            (Some(_), Some(_)) if self.position(msg_id).is_ok() => Novelty::Duplicate,
            _ => Novelty::New,
        }
    }

    /// Remembers a message that was judged new. The oldest is forgotten when there is no room.
    pub fn insert(&mut self, seen: Seen) {
        match self.position(seen.msg_id) {
            Ok(_) => return,
            Err(at) => self.entries.insert(at, seen),
        }
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
            self.overflowed = true;
        }
    }

    /// What is remembered of a message.
    pub fn find(&self, msg_id: MsgId) -> Option<Seen> {
        self.position(msg_id).ok().and_then(|at| self.entries.get(at).copied())
    }

    /// Notes that a message has been acknowledged.
    pub fn mark_acknowledged(&mut self, msg_id: MsgId) {
        if let Ok(at) = self.position(msg_id)
            && let Some(entry) = self.entries.get_mut(at)
        {
            entry.acknowledged = true;
        }
    }

    /// The remembered messages right before and right after an identifier.
    pub fn neighbours(&self, msg_id: MsgId) -> (Option<Seen>, Option<Seen>) {
        let (before, after) = match self.position(msg_id) {
            Ok(at) => (at, at + 1),
            Err(at) => (at, at),
        };
        (before.checked_sub(1).and_then(|at| self.entries.get(at).copied()), self.entries.get(after).copied())
    }

    /// The lowest identifier remembered.
    pub fn oldest(&self) -> Option<MsgId> {
        self.entries.front().map(|seen| seen.msg_id)
    }

    /// The highest identifier remembered.
    pub fn newest(&self) -> Option<MsgId> {
        self.entries.back().map(|seen| seen.msg_id)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.overflowed = false;
    }

    fn position(&self, msg_id: MsgId) -> Result<usize, usize> {
        // Messages come nearly in order.
        if self.entries.back().is_none_or(|newest| newest.msg_id < msg_id) {
            return Err(self.entries.len());
        }
        self.entries.binary_search_by_key(&msg_id, |seen| seen.msg_id)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn seen(id: i64) -> Seen {
        Seen { msg_id: MsgId(id), seq_no: SeqNo(1), is_container: false, acknowledged: false }
    }

    #[test]
    fn identifiers_rise_and_tell_their_origin_and_time() {
        let mut rng = StdRng::from_seed([1; 32]);
        let mut ids = Generator::default();
        let time = Duration::new(1_700_000_000, 250_000_000);
        let mut last = MsgId(0);
        for n in 0..10_000 {
            let origin = [Origin::Client, Origin::Answer, Origin::Notice][n % 3];
            let id = ids.next(time, origin, &mut rng);
            assert!(id > last);
            assert_eq!(id.0 & 3, origin.bits());
            assert_eq!(id.unix(), 1_700_000_000);
            assert_ne!(id.0 & 0xffff_ffff, 0);
            last = id;
        }
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_lower_identifiers_until_reset() {
        let mut rng = StdRng::from_seed([2; 32]);
        let mut ids = Generator::default();
        let first = ids.next(Duration::from_secs(2000), Origin::Client, &mut rng);
        assert!(ids.next(Duration::from_secs(1000), Origin::Client, &mut rng) > first);
        ids.reset_to(MsgId(0));
        assert_eq!(ids.next(Duration::from_secs(1000), Origin::Client, &mut rng).unix(), 1000);
    }

    #[test]
    fn absurd_times_give_positive_identifiers() {
        let mut rng = StdRng::from_seed([3; 32]);
        for time in [Duration::ZERO, Duration::MAX] {
            assert!(Generator::default().next(time, Origin::Answer, &mut rng).0 > 0);
        }
        assert_eq!(at(Duration::from_secs(1_700_000_001)).unix(), 1_700_000_001);
    }

    /// Row: A.4 "duplicate filter"
    #[test]
    fn filter_tells_new_from_seen_from_too_old() {
        let mut ids = SeenIds::new(3);
        assert_eq!(ids.check(MsgId(5)), Novelty::New);
        for id in [5, 9, 7] {
            ids.insert(seen(id));
        }
        assert_eq!(ids.check(MsgId(7)), Novelty::Duplicate);
        assert_eq!(ids.check(MsgId(8)), Novelty::New);
        assert_eq!(ids.check(MsgId(1)), Novelty::New);
        ids.insert(seen(11));
        assert_eq!(ids.check(MsgId(5)), Novelty::TooOld { oldest: MsgId(7) });
        assert_eq!(ids.check(MsgId(7)), Novelty::Duplicate);
        assert_eq!(ids.newest(), Some(MsgId(11)));
    }

    #[test]
    fn neighbours_and_marks() {
        let mut ids = SeenIds::new(8);
        for id in [10, 20, 30] {
            ids.insert(seen(id));
        }
        let around = |ids: &SeenIds, id| {
            let (before, after) = ids.neighbours(MsgId(id));
            (before.map(|seen| seen.msg_id.0), after.map(|seen| seen.msg_id.0))
        };
        assert_eq!(around(&ids, 5), (None, Some(10)));
        assert_eq!(around(&ids, 20), (Some(10), Some(30)));
        assert_eq!(around(&ids, 25), (Some(20), Some(30)));
        assert_eq!(around(&ids, 35), (Some(30), None));
        ids.mark_acknowledged(MsgId(20));
        assert!(ids.find(MsgId(20)).unwrap().acknowledged);
        assert!(!ids.find(MsgId(30)).unwrap().acknowledged);
    }
}
