//! Work on the disk, where it does not stall the connections: few threads at a time, and directories synced once for many files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::TransferError;
use super::group::Group;
use super::part_file::sync_dir;

/// Threads that check and write at once: more of them only get in each other's way, and each takes memory.
const WRITERS: usize = 3;
/// Threads that wait at once for what was written to be on the disk. They do nothing else, and file systems serve many together.
const SYNCERS: usize = 8;

/// The disk, shared by all files of a run. Cheap to clone.
#[derive(Clone)]
pub(super) struct Disk {
    inner: Arc<Inner>,
}

struct Inner {
    writers: Arc<Semaphore>,
    syncers: Arc<Semaphore>,
    dirs: Mutex<HashMap<PathBuf, Arc<Group>>>,
    /// Pieces of work for those who write.
    #[cfg(test)]
    written: std::sync::atomic::AtomicUsize,
}

impl Default for Disk {
    fn default() -> Self {
        let (writers, syncers) = (Arc::new(Semaphore::new(WRITERS)), Arc::new(Semaphore::new(SYNCERS)));
        let inner = Inner {
            writers,
            syncers,
            dirs: Mutex::default(),
            #[cfg(test)]
            written: std::sync::atomic::AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Disk {
    /// Writes or reads something. A caller that is dropped leaves it to go on by itself.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, TransferError> {
        #[cfg(test)]
        self.inner.written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        blocking(&self.inner.writers, work).await
    }

    /// How many pieces of work there were for those who write.
    #[cfg(test)]
    pub(super) fn written(&self) -> usize {
        self.inner.written.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Waits for the disk to have something.
    pub(super) async fn sync<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, TransferError> {
        blocking(&self.inner.syncers, work).await
    }

    /// Returns when the names that a directory has now are on the disk. One sync serves all who ask before it begins.
    pub(super) async fn sync_dir(&self, dir: &Path) -> Result<(), TransferError> {
        let group = {
            let mut dirs = self.inner.dirs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(dirs.entry(dir.to_owned()).or_default())
        };
        let work = || {
            let dir = dir.to_owned();
            self.sync(move || sync_dir(&dir))
        };
        group.run(work).await
    }
}

async fn blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    // The semaphore is never closed.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    // The work has it, and not its caller: who is dropped leaves a thread that works on.
    let work = move || {
        let _permit = permit;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(lost(error)),
    }
}

/// Work has panicked, or the runtime ends: there is no file to name.
pub(super) fn lost(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TransferError {
    TransferError::io("cannot use the disk for", "")(std::io::Error::other(why))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use futures_util::future::poll_immediate;

    use super::*;

    /// What goes on after its caller was dropped counts as one of the threads until it has ended.
    #[tokio::test]
    async fn whose_caller_is_gone_still_has_its_thread() {
        let disk = Disk::default();
        let (begin, begun) = mpsc::channel();
        let going: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (begin, (go, wait)) = (begin.clone(), mpsc::channel::<()>());
                let work = disk.write(move || {
                    begin.send(()).expect("somebody listens");
                    Ok(wait.recv().is_err())
                });
                assert!(Box::pin(work).now_or_never().is_none());
                go
            })
            .collect();
        begun.iter().take(WRITERS).for_each(drop);
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let mut next = Box::pin(disk.write(move || Ok(count.fetch_add(1, Ordering::Relaxed))));
        assert!(poll_immediate(&mut next).await.is_none());
        assert_eq!(disk.inner.writers.available_permits(), 0);
        drop(going);
        assert!(next.await.is_ok());
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_thread_back() {
        let disk = Disk::default();
        for _ in 0..=WRITERS {
            assert!(disk.write(|| -> Result<(), _> { panic!("as it is to be") }).await.is_err());
        }
        assert_eq!(disk.inner.writers.available_permits(), WRITERS);
    }
}
