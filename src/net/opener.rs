//! Where the connections of a client open their large messages together.
//!
//! Two messages that are decrypted side by side cost little more than one. A connection alone seldom has two: while a part of a file is
//! there, the next is on its way. But another connection has one on its way too. So whoever has a large message while others expect theirs
//! waits for them, a moment at most; whoever comes last opens all. Where that is in vain time after time, as on a line
//! that is slower than the processor by far, nobody waits any more, but for an attempt now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tdl_core::mtproto::session::{OpenedAhead, Opening};
use tokio::sync::oneshot;

/// How long one waits for others. At a megabyte a part that is a line of 100 MB/s and more: below it, the processor has time.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);
/// Messages that are opened together: as many as cost little more than one.
pub(super) const TOGETHER: usize = 3;
/// So many waits to the end, one after the other, and nobody waits any more.
const IN_VAIN: u32 = 8;
/// One in so many tries again then.
const RETRY: u32 = 32;

/// The place. One for all connections of a client.
#[derive(Debug, Default)]
pub struct Opener {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Numbers those who wait.
    next: u64,
    /// Connections that expect a large message.
    arriving: usize,
    /// How often in a row somebody waited to the end, and those who did not wait since.
    in_vain: u32,
    passed: u32,
    /// Messages that were opened with others.
    together: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    opening: Opening,
    /// Large messages in it.
    large: usize,
    give: oneshot::Sender<Vec<OpenedAhead>>,
}

/// What comes of frames that wait. Dropped, they are not wanted any more.
#[derive(Debug)]
pub(super) struct Awaited {
    opener: Arc<Opener>,
    number: u64,
    pub(super) opened: oneshot::Receiver<Vec<OpenedAhead>>,
}

impl Awaited {
    /// Opens what waits, unless somebody is at it. `to_the_end`: it has waited as long as one waits.
    pub(super) fn hurry(&self, to_the_end: bool) {
        let mut state = self.opener.lock();
        if state.waiting.iter().any(|waiting| waiting.number == self.number) {
            state.in_vain = state.in_vain.saturating_add(to_the_end.into());
            let waiting = state.take();
            state.count(&waiting, 0);
            drop(state);
            open(waiting, None);
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.opener.lock().waiting.retain(|waiting| waiting.number != self.number);
    }
}

/// Says, as long as it lasts, that a connection expects a large message.
#[derive(Debug)]
pub struct Arriving(Arc<Opener>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.lock().arriving -= 1;
    }
}

/// What became of frames that were brought.
pub(super) enum Brought {
    /// They wait for others: it comes out here, after [`PATIENCE`] if [`Awaited::hurry`] is called then.
    Waits(Awaited),
    /// They are open.
    Open(Vec<OpenedAhead>),
}

impl Opener {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection expects a large message: the others wait for it.
    pub fn arriving(self: &Arc<Self>) -> Arriving {
        self.lock().arriving += 1;
        Arriving(Arc::clone(self))
    }

    /// Frames, so many of them large: opens them with those that wait, or has them wait for what arrives elsewhere.
    pub(super) fn bring(self: &Arc<Self>, opening: Opening, large: usize) -> Brought {
        let mut state = self.lock();
        if state.is_worth_waiting(large) {
            let (give, opened) = oneshot::channel();
            let number = state.next;
            state.next += 1;
            state.waiting.push(Waiting { number, opening, large, give });
            return Brought::Waits(Awaited { opener: Arc::clone(self), number, opened });
        }
        let waiting = state.take();
        // Whoever only passes by proves nothing.
        if !waiting.is_empty() && (large + large_in(&waiting) >= TOGETHER || state.arriving == 0) {
            (state.in_vain, state.passed) = (0, 0);
        }
        state.count(&waiting, large);
        drop(state);
        Brought::Open(open(waiting, Some(opening)))
    }

    /// Connections that wait for others just now.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Messages that were opened with those of other connections so far: for measurements.
    pub fn together(&self) -> u64 {
        self.lock().together
    }
}

impl State {
    fn is_worth_waiting(&mut self, large: usize) -> bool {
        if large + large_in(&self.waiting) >= TOGETHER || self.arriving == 0 {
            return false;
        }
        if self.in_vain < IN_VAIN {
            return true;
        }
        self.passed = self.passed.wrapping_add(1);
        self.passed.is_multiple_of(RETRY)
    }

    fn take(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Counts what is opened with so many large messages more.
    fn count(&mut self, waiting: &[Waiting], more: usize) {
        if waiting.len() + usize::from(more > 0) > 1 {
            self.together = self.together.saturating_add((more + large_in(waiting)) as u64);
        }
    }
}

/// Large messages among those that wait.
fn large_in(waiting: &[Waiting]) -> usize {
    waiting.iter().map(|waiting| waiting.large).sum()
}

/// Opens frames side by side, gives those who wait what is theirs, and returns what came of the last.
fn open(waiting: Vec<Waiting>, last: Option<Opening>) -> Vec<OpenedAhead> {
    let mut openings = Vec::with_capacity(waiting.len() + 1);
    let mut takers = Vec::with_capacity(waiting.len());
    for Waiting { opening, give, .. } in waiting {
        openings.push(opening);
        takers.push(give);
    }
    let is_last = last.is_some();
    openings.extend(last);
    let mut opened = Opening::open_all(openings);
    let own = if is_last { opened.pop().unwrap_or_default() } else { Vec::new() };
    for (give, opened) in takers.into_iter().zip(opened) {
        // It has gone just now.
        let _ = give.send(opened);
    }
    own
}

#[cfg(test)]
mod tests {
    use tdl_core::clock::Now;
    use tdl_core::crypto::AuthKey;
    use tdl_core::ids::{MsgId, Salt, SeqNo, SessionId};
    use tdl_core::mtproto::envelope::{Header, Side, seal};
    use tdl_core::mtproto::session::{ClientParams, Session};

    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    /// A frame for a session of its own.
    fn opening() -> Opening {
        let (key, id) = (AuthKey::from_bytes(&[1; 256]), SessionId(1));
        let now = Now { mono: Duration::ZERO, wall: Duration::from_secs(1_700_000_000) };
        let header = Header { salt: Salt(1), session_id: id, msg_id: MsgId(5), seq_no: SeqNo(1) };
        let frame = seal(&key, Side::Server, &header, &[&[7; 64]], &mut StdRng::seed_from_u64(1));
        Session::client(ClientParams::new(key, id, [7; 32]), now).opening(vec![frame])
    }

    fn waits(opener: &Arc<Opener>, large: usize) -> Option<Awaited> {
        match opener.bring(opening(), large) {
            Brought::Waits(awaited) => Some(awaited),
            Brought::Open(opened) => {
                assert_eq!(opened.len(), 1);
                None
            }
        }
    }

    fn is_open(awaited: &mut Awaited) -> bool {
        awaited.opened.try_recv().is_ok_and(|opened| opened.len() == 1)
    }

    #[test]
    fn whoever_comes_last_opens_for_all() {
        let opener = Arc::new(Opener::default());
        assert!(waits(&opener, 1).is_none(), "nothing arrives anywhere: nobody to wait for");
        let (first, second) = (opener.arriving(), opener.arriving());
        drop(first);
        let mut one = waits(&opener, 1).expect("the second is still coming");
        assert!(!is_open(&mut one));
        drop(second);
        assert!(waits(&opener, 1).is_none(), "nobody comes any more");
        assert!(is_open(&mut one));
        assert_eq!(opener.together(), 2);
    }

    #[test]
    fn as_many_as_are_worth_it_are_enough() {
        let opener = Arc::new(Opener::default());
        let _arriving = opener.arriving();
        assert!(waits(&opener, TOGETHER).is_none());
        let mut awaited: Vec<_> = (1..TOGETHER).map(|_| waits(&opener, 1).expect("more are coming")).collect();
        assert!(waits(&opener, 1).is_none());
        assert!(awaited.iter_mut().all(is_open));
        assert_eq!(opener.together(), TOGETHER as u64, "those of one alone were not with others");
    }

    #[test]
    fn whoever_has_waited_long_enough_opens_what_waits() {
        let opener = Arc::new(Opener::default());
        let _arriving = opener.arriving();
        drop(waits(&opener, 1).expect("waits, and goes"));
        assert!(opener.lock().waiting.is_empty(), "nothing is left of it");
        let (mut one, mut other) = (waits(&opener, 1).expect("waits"), waits(&opener, 1).expect("waits"));
        one.hurry(true);
        assert!(is_open(&mut one) && is_open(&mut other));
        // Whoever is served already disturbs nobody.
        let mut third = waits(&opener, 1).expect("waits");
        other.hurry(true);
        assert!(!is_open(&mut third));
    }

    #[test]
    fn nobody_waits_where_it_is_always_to_the_end() {
        let opener = Arc::new(Opener::default());
        let stalled = opener.arriving();
        for _ in 0..2 * IN_VAIN {
            waits(&opener, 1).expect("cut short is not in vain").hurry(false);
        }
        for _ in 0..IN_VAIN {
            // Two wait for a third that does not come.
            let (one, other) = (waits(&opener, 1).expect("not yet known"), waits(&opener, 1).expect("not yet known"));
            other.hurry(true);
            one.hurry(true);
        }
        let mut tries = (1..=2 * RETRY).filter_map(|at| waits(&opener, 1).map(|awaited| (at, awaited.hurry(true)).0));
        assert!(tries.by_ref().eq([RETRY, 2 * RETRY]));
        // Whoever finds one that tries, and does not wait itself, changes nothing.
        let next = || (0..RETRY).find_map(|_| waits(&opener, 1)).expect("one in so many tries");
        let mut found = next();
        assert!(waits(&opener, 1).is_none() && is_open(&mut found));
        assert!(waits(&opener, 1).is_none());
        // Once the last has come, it is as it was before.
        let mut found = next();
        drop(stalled);
        assert!(waits(&opener, 1).is_none() && is_open(&mut found));
        let _arriving = opener.arriving();
        assert!(waits(&opener, 1).is_some());
    }
}
