//! Where the connections of a client encrypt their large frames together.
//!
//! Two frames that are encrypted side by side cost little more than one, where the processor has instructions for that; elsewhere none is
//! brought here. A connection alone seldom has two: the next part of a file is
//! asked for when one has gone out. But another connection has one to send too. Nobody waits for it on purpose: what comes while others
//! are being encrypted is together next, so that more go together the more the processor is what all wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tdl_core::mtproto::session::Unsealed;
use tokio::sync::oneshot;

/// Frames that are encrypted together, at most: as many as cost little more than one.
const TOGETHER: usize = 4;

/// The place. One for all connections of a client.
#[derive(Debug, Default)]
pub struct Sealer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Unsealed, oneshot::Sender<BytesMut>)>,
    /// Whether a task is at it.
    working: bool,
    /// Frames that were encrypted with others.
    together: u64,
}

impl Sealer {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a frame encrypted. It comes out here; nothing does if that was given up. Dropped, it is not wanted any more.
    pub(super) fn bring(self: &Arc<Self>, frame: Unsealed) -> oneshot::Receiver<BytesMut> {
        let (give, sealed) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push((frame, give));
        let begins = !std::mem::replace(&mut state.working, true);
        // A runtime that ends drops what it is given at once, and that locks.
        drop(state);
        if begins {
            tokio::spawn(Working { sealer: Arc::clone(self), done: false }.work());
        }
        sealed
    }

    /// Frames that wait just now.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Frames that were encrypted with those of other connections so far: for measurements.
    pub fn together(&self) -> u64 {
        self.lock().together
    }

    /// What is encrypted next; nobody is at it any more if that is nothing.
    fn next(&self) -> Vec<(Unsealed, oneshot::Sender<BytesMut>)> {
        let mut state = self.lock();
        state.waiting.retain(|(_, give)| !give.is_closed());
        let count = state.waiting.len().min(TOGETHER);
        let next: Vec<_> = state.waiting.drain(..count).collect();
        state.working = !next.is_empty();
        if next.len() > 1 {
            state.together = state.together.saturating_add(next.len() as u64);
        }
        next
    }
}

/// The task that is at it. However it ends, somebody can begin anew.
struct Working {
    sealer: Arc<Sealer>,
    /// Whether nothing was left.
    done: bool,
}

impl Working {
    async fn work(mut self) {
        loop {
            // What is brought in the same moment comes along.
            tokio::task::yield_now().await;
            let (frames, takers): (Vec<_>, Vec<_>) = self.sealer.next().into_iter().unzip();
            if frames.is_empty() {
                self.done = true;
                return;
            }
            for (give, frame) in takers.into_iter().zip(Unsealed::seal_all(frames)) {
                // It has gone just now.
                let _ = give.send(frame);
            }
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.done {
            // A panic, or the end of the runtime. Those who wait learn of it; it is not for this to try the same again.
            let left = {
                let mut state = self.sealer.lock();
                state.working = false;
                std::mem::take(&mut state.waiting)
            };
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tdl_core::clock::Now;
    use tdl_core::crypto::AuthKey;
    use tdl_core::ids::SessionId;
    use tdl_core::mtproto::session::{ClientParams, Output, RequestOptions, Session};

    use super::*;

    /// The frame of a request in a session of its own, twice.
    fn frame(n: u8) -> [Unsealed; 2] {
        let now = Now { mono: Duration::ZERO, wall: Duration::from_secs(1_700_000_000) };
        [(); 2].map(|()| {
            let params = ClientParams::new(AuthKey::from_bytes(&[n + 1; 256]), SessionId(n.into()), [n; 32]);
            let mut session = Session::client(params, now);
            let options = RequestOptions { compress: false, ..RequestOptions::default() };
            session.request(now, Bytes::from(vec![n; 4000]), options).expect("it is a request");
            let later = Now { mono: Duration::from_secs(1), ..now };
            session.handle_timeout(later);
            match session.poll_output_large(later, 1000) {
                Some(Output::Unsealed(frame)) => frame,
                other => panic!("{other:?}"),
            }
        })
    }

    #[tokio::test]
    async fn what_comes_together_is_encrypted_together() {
        let sealer = Arc::new(Sealer::default());
        for round in 1..3 {
            let (mut waiting, mut alone) = (Vec::new(), Vec::new());
            for n in 0..6 {
                let [one, same] = frame(n);
                waiting.push(sealer.bring(one));
                alone.push(same.seal());
            }
            // One that nobody wants any more is not among them.
            waiting.remove(2);
            alone.remove(2);
            for (waiting, alone) in waiting.into_iter().zip(alone) {
                assert!(waiting.await.expect("it is encrypted") == alone);
            }
            assert_eq!(sealer.together(), 4 * round, "four, and one alone");
            tokio::task::yield_now().await;
            assert!(!sealer.lock().working && sealer.lock().waiting.is_empty());
        }
    }

    #[test]
    fn who_waits_hears_of_an_end_in_between_and_who_comes_later_of_none() {
        let sealer = Arc::new(Sealer::default());
        let [one, other] = frame(1);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        // The first has no time to begin.
        let mut waiting = {
            let runtime = runtime();
            let _here = runtime.enter();
            sealer.bring(one)
        };
        assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(!sealer.lock().working);
        assert!(runtime().block_on(async { sealer.bring(other).await }).is_ok());
    }
}
