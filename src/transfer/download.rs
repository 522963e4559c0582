//! The parts of a remote file, to a part file that gets its name when it is whole.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::flow::Flow;
use super::parts::DOWNLOAD_PART;
use super::pipeline::Pipeline;
pub use super::source::{Refresh, Refreshed, Remote};
use super::source::{Source, Verified};
use super::stop::Stop;
use super::upload::blocking;
use super::{Checkpoint, Part, Parts, Progress, TransferError, positional};
use crate::client::Client;
use crate::store::PartSet;

/// What an unfinished download is called.
pub const PART_SUFFIX: &str = ".part";

/// The file that a download writes to until it is whole.
pub struct PartFile {
    file: Arc<File>,
    path: PathBuf,
    target: PathBuf,
    /// Whether an earlier run's bytes are in it.
    resumed: bool,
}

impl PartFile {
    /// Opens the part file of `target`, creating its directory and itself where needed, and makes it `size` bytes long. What an earlier run
    /// wrote stays only if the length already is `size` and `keep` says that there is a record of it.
    ///
    /// # Errors
    ///
    /// [`TransferError::Io`].
    pub fn open(target: &Path, size: u64, keep: bool) -> Result<Self, TransferError> {
        if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(TransferError::io("cannot create", parent))?;
        }
        let mut path = target.as_os_str().to_owned();
        path.push(PART_SUFFIX);
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(TransferError::io("cannot write", &path))?;
        let io = |e| TransferError::io("cannot write", &path)(e);
        let resumed = keep && file.metadata().map_err(io)?.len() == size;
        if !resumed {
            file.set_len(0).map_err(io)?;
            file.set_len(size).map_err(io)?;
        }
        Ok(Self { file: Arc::new(file), path, target: target.to_owned(), resumed })
    }

    /// Whether an earlier run's bytes are in it, so that its record may be believed.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    async fn write(&self, offset: u64, bytes: Bytes) -> Result<(), TransferError> {
        let file = Arc::clone(&self.file);
        blocking(move || positional::write_all_at(&file, &bytes, offset))
            .await
            .map_err(TransferError::io("cannot write", &self.path))
    }

    async fn sync(&self) -> Result<(), TransferError> {
        let file = Arc::clone(&self.file);
        blocking(move || file.sync_data()).await.map_err(TransferError::io("cannot write", &self.path))
    }

    /// Gives the file its name and its time. It must be whole.
    ///
    /// # Errors
    ///
    /// [`TransferError::Io`].
    pub fn finish(self, modified: i32) -> Result<PathBuf, TransferError> {
        if let Ok(seconds) = u64::try_from(modified) {
            // A file system that keeps no times is no reason to fail.
            let _ = self.file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        drop(self.file);
        std::fs::rename(&self.path, &self.target).map_err(TransferError::io("cannot rename", &self.path))?;
        Ok(self.target)
    }
}

/// How to download.
pub struct Options<'a> {
    /// Called for each part.
    pub progress: &'a dyn Progress,
    /// Where the parts that are done are recorded.
    pub checkpoint: &'a dyn Checkpoint,
    /// How to get a fresh file reference when the server says that it expired.
    pub refresh: Arc<Refresh<'a>>,
    /// Asks to end in good order.
    pub stop: &'a Stop,
}

/// The set of parts of a file of `size` bytes, none done.
///
/// # Errors
///
/// [`TransferError::TooBig`] for a size that no server has.
pub fn parts_of(size: u64) -> Result<(Parts, PartSet), TransferError> {
    let parts = Parts::new(size, DOWNLOAD_PART).filter(|p| p.count() <= PartSet::MAX_LEN);
    let parts = parts.ok_or(TransferError::TooBig { parts: u32::MAX, max: PartSet::MAX_LEN })?;
    Ok((parts, PartSet::new(parts.count())))
}

/// Fetches the parts that are not in `done` yet, in turn with the other files of `flow`. When it returns without an error every byte is in
/// the part file and on the disk, and agrees with the hash that the server has for it; how many have one is returned.
///
/// # Errors
///
/// The first failure ends the download; parts that were written before are in the checkpoint.
pub async fn download(
    client: &Client,
    flow: &Flow,
    remote: &Remote,
    file: &PartFile,
    done: PartSet,
    options: &Options<'_>,
) -> Result<Verified, TransferError> {
    let (parts, _) = parts_of(remote.size)?;
    let source = &Source::new(client, flow, remote, Arc::clone(&options.refresh));
    let take = |part: Part| async move { file.write(part.offset, source.read(part.offset, part.len).await?).await };
    let Options { progress, checkpoint, stop, .. } = *options;
    // The disk keeps what it has before the record says so.
    Pipeline { parts, threads: flow.per_file(), progress, checkpoint, stop }
        .run(done, take, async || file.sync().await)
        .await?;
    Ok(source.verified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_name_appears_only_when_the_file_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("sub/a.bin");
        let part = PartFile::open(&target, 5, false).unwrap();
        assert!(!part.is_resumed());
        positional::write_all_at(&part.file, b"hello", 0).unwrap();
        assert!(!target.exists());
        assert_eq!(part.finish(1_700_000_000).unwrap(), target);
        assert_eq!(std::fs::read(&target).unwrap(), b"hello");
        assert_eq!(std::fs::metadata(&target).unwrap().modified().unwrap(), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert!(!dir.path().join("sub/a.bin.part").exists());
    }

    #[test]
    fn an_earlier_runs_bytes_stay_only_with_a_record_and_the_right_length() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.bin");
        let path = dir.path().join("a.bin.part");
        std::fs::write(&path, b"hello").unwrap();
        assert!(PartFile::open(&target, 5, true).unwrap().is_resumed());
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert!(!PartFile::open(&target, 5, false).unwrap().is_resumed(), "no record");
        assert_eq!(std::fs::read(&path).unwrap(), [0; 5]);
        std::fs::write(&path, b"hello").unwrap();
        assert!(!PartFile::open(&target, 6, true).unwrap().is_resumed(), "another length");
        assert_eq!(std::fs::read(&path).unwrap(), [0; 6]);
    }
}
