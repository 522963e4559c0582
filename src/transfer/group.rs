//! One piece of work for many who want it done at the same time.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Work that serves everybody who asked for it before it began: commits, and directories to be written to the disk.
#[derive(Default)]
pub(super) struct Group {
    asked: AtomicU64,
    /// Whoever asked up to here has been served. Locked while the work is done.
    served: Mutex<u64>,
}

impl Group {
    /// Returns when `work` was done after this call: by this caller, or by another one for both. It is not repeated for those who asked
    /// before it began; those who come later wait for the next time, which is one for all of them.
    ///
    /// # Errors
    ///
    /// What `work` fails with. Then everybody else who waits tries for themselves.
    pub(super) async fn run<E, F: Future<Output = Result<(), E>>>(&self, work: impl FnOnce() -> F) -> Result<(), E> {
        let own = self.asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let mut served = self.served.lock().await;
        if *served < own {
            let upto = self.asked.load(Ordering::Acquire);
            work().await?;
            *served = upto;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_together_are_served_together() {
        let (group, times) = (Group::default(), AtomicU64::new(0));
        let ask = |at: u64| {
            let (group, times) = (&group, &times);
            async move {
                tokio::time::sleep(Duration::from_millis(at)).await;
                let work = || async {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    times.fetch_add(1, Ordering::Relaxed);
                    Ok::<(), ()>(())
                };
                group.run(work).await.unwrap();
                assert!(times.load(Ordering::Relaxed) > u64::from(at > 0), "served by work that began before it asked");
            }
        };
        futures_util::future::join_all([0, 1, 2, 3, 4].map(ask)).await;
        assert_eq!(times.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_that_of_who_met_it() {
        let group = Group::default();
        assert_eq!(group.run(|| async { Err(5) }).await, Err(5));
        assert_eq!(group.run(|| async { Ok::<(), i32>(()) }).await, Ok(()));
    }
}
