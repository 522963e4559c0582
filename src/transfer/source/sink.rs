//! Where ranges of a file go that have come: checked against their hashes and written, in one piece of work for one of the disk's threads.
//!
//! Connections do not wait for it, and whoever writes finds in the processor's cache what has just been hashed. Ranges that come together are
//! taken together: hashed side by side, and handed over between threads once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::hashes::Unchecked;
use crate::transfer::TransferError;
use crate::transfer::disk::{Disk, lost};

/// Ranges of one file that have come.
pub(in crate::transfer) struct Sink {
    disk: Disk,
    /// One batch is worked off at a time: the system takes writes to one file one after the other, for most of the way, and those behind would
    /// wait on a processor. The work has the turn until it has ended, whoever began it and whether or not he still waits.
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: Arc<Waiting>,
}

/// The bytes of a range, and how many of them have a hash; or what is wrong with it.
type Checked = Result<(Bytes, u64), TransferError>;

/// A range, and what is to be done with it once it was checked.
struct Range {
    id: u64,
    came: Unchecked,
    go_on: Box<dyn FnOnce(Checked) + Send>,
}

#[derive(Default)]
struct Waiting {
    ranges: Mutex<Vec<Range>>,
    ids: AtomicU64,
}

/// That somebody waits for a range. Dropped before anybody works on it, it takes it away.
struct Wanted<'a> {
    waiting: &'a Waiting,
    id: u64,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        let mut ranges = self.waiting.lock();
        let at = ranges.iter().position(|range| range.id == self.id);
        let range = at.map(|at| ranges.remove(at));
        drop(ranges);
        // Its memory is free for others now.
        drop(range);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Vec<Range>> {
        // It is only ever added to and taken from.
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, came: Unchecked, go_on: Box<dyn FnOnce(Checked) + Send>) -> Wanted<'_> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.lock().push(Range { id, came, go_on });
        Wanted { waiting: self, id }
    }

    /// Checks all that waits, and goes on with each.
    fn work_off(&self) {
        let (came, go_on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *self.lock()).into_iter().map(|range| (range.came, range.go_on)).unzip();
        Unchecked::check_all(came).into_iter().zip(go_on).for_each(|(checked, go_on)| go_on(checked));
    }
}

impl Sink {
    pub(in crate::transfer) fn new(disk: &Disk) -> Self {
        Self { disk: disk.clone(), turn: Arc::default(), waiting: Arc::default() }
    }

    /// Has a range checked, and `then` do something with it. Returns what came of it, and how many of the bytes had a hash. Dropped, it has
    /// nothing done that was not begun.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        came: Unchecked,
        then: impl FnOnce(&[u8]) -> Result<T, TransferError> + Send + 'static,
    ) -> Result<(T, u64), TransferError> {
        let (give, mut taken) = oneshot::channel();
        let go_on = Box::new(move |checked: Checked| {
            let done = checked.and_then(|(bytes, checked)| Ok((then(&bytes)?, checked)));
            // Whoever is gone by now does not want to know.
            let _ = give.send(done);
        });
        let _wanted = self.waiting.add(came, go_on);
        // Who has the turn works for the others as well; its failure is told to him alone, and shows to them by what does not come.
        let others = |_| lost("the work was given up");
        tokio::select! {
            biased;
            done = &mut taken => done.unwrap_or_else(|gone| Err(others(gone))),
            result = self.run() => match result {
                Ok(()) => taken.await.unwrap_or_else(|gone| Err(others(gone))),
                // What failed may have been another one's.
                Err(error) => taken.try_recv().unwrap_or(Err(error)),
            },
        }
    }

    /// Has all that waits worked off when it is its turn.
    async fn run(&self) -> Result<(), TransferError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // What came in the same moment is on its way here.
        tokio::task::yield_now().await;
        if self.waiting.lock().is_empty() {
            // It was in the batch before.
            return Ok(());
        }
        let waiting = Arc::clone(&self.waiting);
        // Taken when there is a thread for it, and not before: whoever is gone until then takes nobody's with him.
        let work = move || {
            let _turn = turn;
            waiting.work_off();
            Ok(())
        };
        self.disk.write(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::{join_all, poll_immediate};

    use super::*;
    use crate::transfer::source::hashes::Hashes;
    use crate::transfer::source::range::Ask;
    use crate::transfer::source::tests::{content, hashes, until};

    const RANGE: u32 = 256 << 10;

    /// Range number `n` of `content`, with the hashes of `of`.
    fn range(n: usize, content: &[u8], of: &[u8]) -> Unchecked {
        let asked = Ask { offset: n as u64 * u64::from(RANGE), limit: RANGE, len: RANGE, precise: false };
        let mut known = Hashes::default();
        known.add(&hashes(of, asked.offset.cast_signed()), of.len() as u64);
        let from = n * RANGE as usize;
        let bytes = Bytes::copy_from_slice(&content[from..from + RANGE as usize]);
        Unchecked { bytes, asked, expected: known.within(asked), wholly: true }
    }

    #[tokio::test]
    async fn each_of_a_batch_gets_what_is_its_own() {
        let content = content(6 * RANGE as usize);
        let mut wrong = content.clone();
        wrong[RANGE as usize + 5] ^= 1;
        let disk = Disk::default();
        let sink = Sink::new(&disk);
        let threads = Arc::new(Mutex::new(Vec::new()));
        let takes = (0..6).map(|n| {
            let mut came = range(n, &wrong, &content);
            if n == 2 {
                came.bytes.truncate(10);
            }
            let threads = Arc::clone(&threads);
            sink.take(came, move |bytes| {
                threads.lock().unwrap().push(std::thread::current().id());
                if n == 3 { Err(TransferError::Gone) } else { Ok(bytes.to_vec()) }
            })
        });
        for (n, taken) in join_all(takes).await.into_iter().enumerate() {
            let from = n * RANGE as usize;
            match (n, taken) {
                (1, Err(TransferError::HashMismatch { offset })) => assert_eq!(offset, u64::from(RANGE)),
                (2, Err(TransferError::PartLength { got: 10, .. })) | (3, Err(TransferError::Gone)) => {}
                (0 | 4 | 5, Ok((bytes, checked))) => {
                    assert!(bytes == content[from..from + RANGE as usize] && checked == u64::from(RANGE));
                }
                (_, other) => panic!("range {n}: {:?}", other.map(|(_, checked)| checked)),
            }
        }
        let threads = threads.lock().unwrap();
        assert_eq!(threads.len(), 4, "nothing is done with what is wrong");
        let own = std::thread::current().id();
        assert!(threads.iter().all(|thread| *thread == threads[0] && *thread != own));
        assert_eq!(disk.written(), 1, "one piece of work for all");
    }

    /// What comes while a batch is worked off does not take a second thread.
    #[tokio::test]
    async fn one_batch_is_worked_off_at_a_time() {
        let content = content(3 * RANGE as usize);
        let disk = Disk::default();
        let sink = Sink::new(&disk);
        let (begin, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let mut first = Box::pin(sink.take(range(0, &content, &content), move |_| {
            begin.send(()).expect("somebody listens");
            wait.recv().expect("told to go on");
            Ok(())
        }));
        until(|| first.as_mut().now_or_never().is_none() && begun.try_recv().is_ok()).await;
        let mut others: Vec<_> = (1..3).map(|n| Box::pin(sink.take(range(n, &content, &content), |_| Ok(())))).collect();
        for _ in 0..20 {
            assert!(poll_immediate(&mut first).await.is_none());
            for other in &mut others {
                assert!(poll_immediate(other).await.is_none());
            }
        }
        assert_eq!(disk.written(), 1);
        go.send(()).expect("it waits");
        assert!(first.await.is_ok() && join_all(others).await.iter().all(Result::is_ok));
        assert_eq!(disk.written(), 2, "those who came meanwhile are a batch again");
    }

    /// Nor does what comes while others' ranges are worked off, after the one whose turn it was has got his own.
    #[tokio::test]
    async fn a_batch_has_its_turn_to_its_end() {
        let content = content(3 * RANGE as usize);
        let disk = Disk::default();
        let sink = Sink::new(&disk);
        let (go, wait) = mpsc::channel();
        let mut first = Box::pin(sink.take(range(0, &content, &content), |_| Ok(())));
        let mut second = Box::pin(sink.take(range(1, &content, &content), move |_| {
            wait.recv().expect("told to go on");
            Ok(())
        }));
        assert!(poll_immediate(&mut first).await.is_none() && poll_immediate(&mut second).await.is_none());
        assert!(first.await.is_ok());
        let mut third = Box::pin(sink.take(range(2, &content, &content), |_| Ok(())));
        for _ in 0..20 {
            assert!(poll_immediate(&mut second).await.is_none() && poll_immediate(&mut third).await.is_none());
            tokio::task::yield_now().await;
        }
        assert_eq!(disk.written(), 1);
        go.send(()).expect("it waits");
        assert!(second.await.is_ok() && third.await.is_ok());
        assert_eq!(disk.written(), 2);
    }

    /// What nobody wants any more takes no memory, though nothing else comes.
    #[tokio::test]
    async fn who_is_gone_takes_his_own_with_him() {
        struct Counted(Vec<u8>, #[expect(dead_code, reason = "counts")] Arc<()>);
        impl AsRef<[u8]> for Counted {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let content = content(3 * RANGE as usize);
        let sink = Sink::new(&Disk::default());
        let memory = Arc::new(());
        let mut takes: Vec<_> = (0..3)
            .map(|n| {
                let mut came = range(n, &content, &content);
                came.bytes = Bytes::from_owner(Counted(came.bytes.to_vec(), Arc::clone(&memory)));
                Box::pin(sink.take(came, |_| Ok(())))
            })
            .collect();
        for take in &mut takes {
            assert!(poll_immediate(take).await.is_none());
        }
        for left in (1..=3).rev() {
            assert_eq!((sink.waiting.lock().len(), Arc::strong_count(&memory)), (left, left + 1));
            // Those in the middle first.
            drop(takes.remove(takes.len() / 2));
        }
        assert_eq!((sink.waiting.lock().len(), Arc::strong_count(&memory)), (0, 1));
    }

    #[tokio::test]
    async fn who_is_gone_takes_nobody_with_him() {
        // He who has the turn goes before the batch is on its way, while it waits for a thread, and while it is worked off.
        for stage in 0..3 {
            let content = content(3 * RANGE as usize);
            let disk = Disk::default();
            let sink = Sink::new(&disk);
            let (written, (go, wait)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
            let busy: Vec<_> = (0..if stage == 1 { 3 } else { 0 })
                .map(|_| {
                    let (disk, (free, wait)) = (disk.clone(), mpsc::channel::<()>());
                    let mut work = Box::pin(async move { disk.write(move || Ok(wait.recv().is_err())).await });
                    assert!(work.as_mut().now_or_never().is_none());
                    (free, work)
                })
                .collect();
            let take = |n: usize, wait: Option<mpsc::Receiver<()>>| {
                let written = Arc::clone(&written);
                sink.take(range(n, &content, &content), move |_| {
                    // Nothing is ever sent: it comes to its end when the test lets go.
                    let _ = wait.map(|wait| wait.recv());
                    written.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            let mut first = Box::pin(take(0, Some(wait)));
            let mut second = Box::pin(take(1, None));
            assert!(poll_immediate(&mut first).await.is_none() && poll_immediate(&mut second).await.is_none());
            if stage > 0 {
                until(|| first.as_mut().now_or_never().is_none() && disk.written() > busy.len()).await;
            }
            if stage == 2 {
                until(|| sink.waiting.lock().is_empty()).await;
            }
            drop(first);
            drop((busy, go));
            let done = tokio::time::timeout(Duration::from_secs(20), second).await.expect("the turn goes on");
            assert!(done.is_ok(), "{stage}: {:?}", done.err());
            assert!(take(2, None).await.is_ok());
            let begun = usize::from(stage == 2);
            assert_eq!(written.load(Ordering::Relaxed), 2 + begun, "what was begun is done, whether or not anybody waits");
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_of_all_that_wait_for_it() {
        let content = content(2 * RANGE as usize);
        let sink = Sink::new(&Disk::default());
        let takes = (0..2).map(|n| sink.take(range(n, &content, &content), |_| -> Result<(), _> { panic!("as it is to be") }));
        for taken in join_all(takes).await {
            assert!(matches!(taken, Err(TransferError::Io { action: "cannot use the disk for", .. })));
        }
    }
}
