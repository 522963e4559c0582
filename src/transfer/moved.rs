//! How far a transfer is that runs beside whoever waits for it.
//!
//! Who is told may write to a pipe that nobody reads, and so is told on the waiting side, which holds up no connection. It is woken for that a
//! few times a second at most, not for every part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Progress;

/// The time between two reports.
const EVERY: Duration = Duration::from_millis(100);

/// Bytes that have moved and of which nobody was told.
#[derive(Default)]
pub(super) struct Moved {
    bytes: AtomicU64,
    news: Notify,
}

impl Moved {
    /// `bytes` more have moved.
    pub(super) fn by(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Tells `progress` until `work` ends, and then of what is left to tell. Returns what came of the work.
    pub(super) async fn tell<T>(&self, progress: &dyn Progress, work: impl Future<Output = T>) -> T {
        let report = || match self.bytes.swap(0, Ordering::Relaxed) {
            0 => {}
            bytes => progress.advance(bytes),
        };
        let reports = async {
            loop {
                self.news.notified().await;
                report();
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            result = work => {
                report();
                result
            }
            () = reports => unreachable!("it goes on for ever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    /// What was told, and when.
    struct Told(Instant, Mutex<Vec<(u64, Duration)>>);

    impl Progress for Told {
        fn advance(&self, bytes: u64) {
            self.1.lock().unwrap().push((bytes, self.0.elapsed()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_the_others_ten_times_a_second_and_the_last_in_the_end() {
        let (moved, told) = (Moved::default(), Told(Instant::now(), Mutex::default()));
        let work = async {
            for _ in 0..7 {
                moved.by(1);
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            moved.by(10);
            moved.by(10);
            5
        };
        assert_eq!(moved.tell(&told, work).await, 5);
        let at = |bytes, millis| (bytes, Duration::from_millis(millis));
        assert_eq!(told.1.into_inner().unwrap(), [at(1, 0), at(3, 100), at(3, 200), at(20, 1210)]);
    }
}
