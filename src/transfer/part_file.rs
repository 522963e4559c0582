//! The file that a download writes to until it is whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use crate::transfer::TransferError;
use crate::transfer::positional::{self, Passing};

/// What an unfinished download is called.
pub const PART_SUFFIX: &str = ".part";

/// A file from this size on, in bytes, does not stay in the page cache: it would push out what is in use.
const PASSES_FROM: u64 = 64 << 20;

/// How often a part file is opened anew because another process has given it its name in this moment.
const OPENINGS: u32 = 5;

/// A part file, which nobody else writes while this is open.
pub(super) struct PartFile {
    file: Arc<File>,
    path: PathBuf,
    target: PathBuf,
    size: u64,
    passing: Passing,
}

/// What came of opening a part file.
pub(super) struct Opened {
    pub(super) file: PartFile,
    /// Whether an earlier run's bytes are in it, so that its record may be believed.
    pub(super) resumed: bool,
}

impl PartFile {
    /// Opens the part file of `target`, creating its directory and itself where needed, and takes room for `size` bytes. What an earlier
    /// run wrote stays only if the length already is `size` and `keep` says that there is a record of it.
    ///
    /// # Errors
    ///
    /// [`TransferError::PartFileInUse`], [`TransferError::NoSpace`], [`TransferError::Io`].
    pub(super) fn open(target: &Path, size: u64, keep: bool) -> Result<Opened, TransferError> {
        if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(TransferError::io("cannot create", parent))?;
        }
        let mut path = target.as_os_str().to_owned();
        path.push(PART_SUFFIX);
        let path = PathBuf::from(path);
        let io = |e| TransferError::io("cannot write", &path)(e);
        let mut openings = 0;
        let file = loop {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(TransferError::PartFileInUse { path }),
                // A file system without locks is none to refuse for that.
                Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(io(e)),
            }
            // Whoever had the lock may have given the file its name meanwhile: then this is a finished file, and not to be touched.
            if is_at(&file, &path).map_err(io)? {
                break file;
            }
            openings += 1;
            if openings >= OPENINGS {
                return Err(TransferError::PartFileInUse { path });
            }
        };
        let resumed = keep && file.metadata().map_err(io)?.len() == size;
        let file =
            Self { file: Arc::new(file), path, target: target.to_owned(), size, passing: Passing::new(size >= PASSES_FROM) };
        if !resumed {
            file.take_room()?;
        }
        Ok(Opened { file, resumed })
    }

    fn error(&self, error: Error) -> TransferError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                TransferError::NoSpace { path: self.path.clone(), size: self.size, source: error }
            }
            _ => TransferError::io("cannot write", &self.path)(error),
        }
    }

    /// Empties the file and takes room for all of it, so that a disk that is too small is known before anything is transferred.
    fn take_room(&self) -> Result<(), TransferError> {
        let room = || {
            self.file.set_len(0)?;
            allocate(&self.file, self.size)?;
            self.file.set_len(self.size)
        };
        room().map_err(|error| {
            // Nothing is in it: what there was of room is given back.
            let _ = self.file.set_len(0);
            self.error(error)
        })
    }

    /// Writes at an offset. Blocks.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), TransferError> {
        self.passing.write_all_at(&self.file, bytes, offset).map_err(|e| self.error(e))
    }

    /// Reads at an offset. Blocks.
    pub(super) fn read(&self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let mut buffer = vec![0; len as usize];
        positional::read_exact_at(&self.file, &mut buffer, offset).map_err(|e| self.error(e))?;
        Ok(buffer.into())
    }

    /// Returns when what was written is on the disk. Blocks.
    pub(super) fn sync(&self) -> Result<(), TransferError> {
        self.file.sync_data().map_err(|e| self.error(e))
    }

    /// Gives the file its name and its time (Unix, in seconds). It must be whole and on the disk. Blocks.
    ///
    /// # Errors
    ///
    /// [`TransferError::PartFileChanged`] if somebody has removed, replaced or cut it; [`TransferError::Io`].
    pub(super) fn finish(&self, modified: i32) -> Result<PathBuf, TransferError> {
        let same = is_at(&self.file, &self.path).map_err(|e| self.error(e))?;
        if !same || self.file.metadata().map_err(|e| self.error(e))?.len() != self.size {
            return Err(TransferError::PartFileChanged { path: self.path.clone() });
        }
        if let Ok(seconds) = u64::try_from(modified) {
            // A file system that keeps no times is no reason to fail.
            let _ = self.file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        std::fs::rename(&self.path, &self.target).map_err(TransferError::io("cannot rename", &self.path))?;
        Ok(self.target.clone())
    }

    /// Removes it: nothing of it is worth keeping.
    pub(super) fn discard(&self) {
        // Where that fails it is in nobody's way: the next run empties it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether `path` still leads to this very file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let own = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere a file that is open is not renamed or removed under our hands.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> std::io::Result<bool> {
    Ok(true)
}

/// Takes room on the disk, where the file system has such a thing.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn allocate(file: &File, size: u64) -> std::io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    if size == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        // Then the file is as long as it is to be, and a disk that is too small shows when it is written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn allocate(_: &File, _: u64) -> std::io::Result<()> {
    Ok(())
}

/// Returns when the names in a directory are on the disk. Blocks.
pub(super) fn sync_dir(dir: &Path) -> Result<(), TransferError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems have no such thing for directories.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => Ok(()),
        other => other.map_err(TransferError::io("cannot write", dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(target: &Path, size: u64, keep: bool) -> Opened {
        PartFile::open(target, size, keep).unwrap()
    }

    #[test]
    fn the_final_name_appears_only_when_the_file_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("sub/a.bin");
        let Opened { file, resumed } = open(&target, 5, false);
        assert!(!resumed);
        file.write(0, b"hello").unwrap();
        assert_eq!(file.read(1, 3).unwrap(), "ell");
        assert!(!target.exists());
        file.sync().unwrap();
        assert_eq!(file.finish(1_700_000_000).unwrap(), target);
        sync_dir(&dir.path().join("sub")).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"hello");
        assert_eq!(std::fs::metadata(&target).unwrap().modified().unwrap(), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert!(!dir.path().join("sub/a.bin.part").exists());
    }

    #[test]
    fn only_a_large_file_passes_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        for (size, passes) in [(PASSES_FROM - 1, false), (PASSES_FROM, cfg!(target_os = "linux"))] {
            let file = open(&dir.path().join("a.bin"), size, false).file;
            assert_eq!(file.passing.is_tried(), passes, "{size}");
            file.write(size - 5, b"hello").unwrap();
            assert_eq!(file.read(size - 5, 5).unwrap(), "hello");
        }
    }

    #[test]
    fn an_earlier_runs_bytes_stay_only_with_a_record_and_the_right_length() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.bin");
        let path = dir.path().join("a.bin.part");
        std::fs::write(&path, b"hello").unwrap();
        assert!(open(&target, 5, true).resumed);
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert!(!open(&target, 5, false).resumed, "no record");
        assert_eq!(std::fs::read(&path).unwrap(), [0; 5]);
        std::fs::write(&path, b"hello").unwrap();
        assert!(!open(&target, 6, true).resumed, "another length");
        assert_eq!(std::fs::read(&path).unwrap(), [0; 6]);
    }

    #[test]
    fn two_do_not_write_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.bin");
        let first = open(&target, 5, false);
        first.file.write(0, b"first").unwrap();
        assert!(matches!(PartFile::open(&target, 5, true), Err(TransferError::PartFileInUse { .. })));
        first.file.finish(0).unwrap();
        // The finished file is still open, and locked: that is no obstacle to another download of the same name.
        let second = open(&target, 6, false);
        second.file.write(0, b"second").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"first");
        second.file.finish(0).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"second");
    }

    #[cfg(unix)]
    #[test]
    fn a_part_file_that_somebody_changed_gets_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.bin");
        let path = dir.path().join("a.bin.part");
        let meddle: [&dyn Fn(); 3] = [
            &|| std::fs::remove_file(&path).unwrap(),
            &|| {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, b"other").unwrap();
            },
            &|| File::options().write(true).open(&path).unwrap().set_len(3).unwrap(),
        ];
        for meddle in meddle {
            let Opened { file, .. } = open(&target, 5, false);
            file.write(0, b"hello").unwrap();
            meddle();
            assert!(matches!(file.finish(0), Err(TransferError::PartFileChanged { .. })));
            assert!(!target.exists());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_too_small_is_known_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        // No disk has so much: the system refuses the room, or the length.
        let error = PartFile::open(&dir.path().join("a.bin"), 1 << 62, false).err().unwrap();
        assert!(matches!(error, TransferError::NoSpace { size, .. } if size == 1 << 62), "{error:?}");
        assert_eq!(std::fs::metadata(dir.path().join("a.bin.part")).unwrap().len(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_of_this_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        let error = PartFile::open(&dir.path().join("file/a.bin"), 1, false).err().unwrap();
        assert!(matches!(error, TransferError::Io { action: "cannot create", .. }), "{error:?}");
    }
}
