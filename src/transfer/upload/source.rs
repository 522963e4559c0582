//! A local file, or a piece of one, that is sent: opened once, and watched for changes until it is there.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::{blocking, hex, part_size};
use crate::transfer::parts::UPLOAD_PART;
use crate::transfer::{Parts, TransferError, positional};

/// What a file looked like when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    len: u64,
    modified: Option<SystemTime>,
    /// Device and inode, where there are any: another file under the same name is another file.
    identity: Option<(u64, u64)>,
}

impl Seen {
    fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            Some((meta.dev(), meta.ino()))
        };
        #[cfg(not(unix))]
        let identity = None;
        Self { len: meta.len(), modified: meta.modified().ok(), identity }
    }
}

/// A local file, or a piece of one, opened for an upload.
#[derive(Clone)]
pub struct LocalFile {
    file: Arc<File>,
    path: PathBuf,
    seen: Seen,
    start: u64,
    size: u64,
}

impl LocalFile {
    /// Opens `path` and notes its length, time and identity, so that a change while it is sent is seen.
    ///
    /// # Errors
    ///
    /// [`TransferError::Io`] when it is not a readable file, [`TransferError::Empty`] when it has no bytes.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let io = |e| TransferError::io("cannot read", path)(e);
        // Looked at before it is opened: opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let file = File::open(path).map_err(io)?;
        let seen = Seen::of(&file.metadata().map_err(io)?);
        if seen.len == 0 {
            return Err(TransferError::Empty);
        }
        Ok(Self { file: Arc::new(file), path: path.to_owned(), seen, start: 0, size: seen.len })
    }

    /// The piece of it that begins at `start` and has `len` bytes.
    ///
    /// # Errors
    ///
    /// [`TransferError::Changed`] when the file does not reach so far: it was longer when that was decided.
    pub fn piece(self, start: u64, len: u64) -> Result<Self, TransferError> {
        match start.checked_add(len) {
            Some(end) if end <= self.seen.len && len > 0 => Ok(Self { start, size: len, ..self }),
            _ => Err(TransferError::Changed),
        }
    }

    /// Length in bytes of what is sent: of the piece, if it is one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Length in bytes of the whole file.
    pub fn whole(&self) -> u64 {
        self.seen.len
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unix time of its last change in nanoseconds, 0 where the file system knows none.
    pub fn modified_nanos(&self) -> i64 {
        let since = self.seen.modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(0)
    }

    /// How it is cut into parts.
    ///
    /// # Errors
    ///
    /// [`TransferError::TooBig`] when there are more than `max_parts`.
    pub fn parts(&self, max_parts: u32) -> Result<Parts, TransferError> {
        let parts =
            Parts::new(self.size, part_size(self.size)).ok_or(TransferError::TooBig { parts: u32::MAX, max: max_parts })?;
        if parts.count() > max_parts {
            return Err(TransferError::TooBig { parts: parts.count(), max: max_parts });
        }
        Ok(parts)
    }

    /// The whole file, from its beginning, for whoever wants to look into it.
    pub fn reader(&self) -> impl Read + Seek + Send + 'static {
        Reader { file: Arc::clone(&self.file), end: self.seen.len, at: 0 }
    }

    /// Reads a part, and sees to it that the file is still the one that was opened.
    pub(super) async fn read(&self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let (file, seen, at) = (Arc::clone(&self.file), self.seen, self.start.saturating_add(offset));
        let read = move || {
            let buffer = positional::read_new(&file, len as usize, at)?;
            // Afterwards: what was written before this was read is in the time already.
            let same = Seen::of(&file.metadata()?) == seen;
            Ok(same.then(|| Bytes::from(buffer)))
        };
        match blocking(read).await {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(TransferError::Changed),
            other => other.map_err(TransferError::io("cannot read", &self.path))?.ok_or(TransferError::Changed),
        }
    }

    /// MD5 of what is sent, in lower-case hexadecimal.
    pub(super) async fn md5(&self) -> Result<String, TransferError> {
        let mut sum = Md5::new();
        let mut at = 0;
        while at < self.size {
            let len = u32::try_from((self.size - at).min(UPLOAD_PART.into())).unwrap_or(UPLOAD_PART);
            sum.update(&self.read(at, len).await?);
            at += u64::from(len);
        }
        Ok(hex(&sum.finalize()))
    }

    /// Whether the file is what it was: the open one, and what its path leads to.
    ///
    /// # Errors
    ///
    /// [`TransferError::Changed`], or [`TransferError::Vanished`] when there is nothing under its path any more.
    pub async fn check(&self) -> Result<(), TransferError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let look = move || Ok((Seen::of(&file.metadata()?), std::fs::metadata(&path).map(|meta| Seen::of(&meta))));
        let (open, named) = blocking(look).await.map_err(TransferError::io("cannot read", &self.path))?;
        match named {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(TransferError::Vanished),
            Err(e) => Err(TransferError::io("cannot read", &self.path)(e)),
            Ok(named) if open == self.seen && named == self.seen => Ok(()),
            Ok(_) => Err(TransferError::Changed),
        }
    }
}

/// A cursor of its own over a shared file.
struct Reader {
    file: Arc<File>,
    end: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        positional::read_exact_at(&self.file, buffer, self.at)?;
        self.at += buffer.len() as u64;
        Ok(buffer.len())
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_becomes_another_one_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let fresh = || {
            std::fs::write(&path, b"0123456789").unwrap();
            LocalFile::open(&path).unwrap()
        };
        let file = fresh();
        assert_eq!(&*file.read(2, 3).await.unwrap(), b"234");
        file.check().await.unwrap();

        std::fs::write(&path, b"0123456789 and more").unwrap();
        assert!(matches!(file.read(2, 3).await, Err(TransferError::Changed)), "longer");
        let file = fresh();
        std::fs::write(&path, b"0").unwrap();
        assert!(matches!(file.read(2, 3).await, Err(TransferError::Changed)), "shorter");
        let file = fresh();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(matches!(file.check().await, Err(TransferError::Changed)), "newer");
        let file = fresh();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::rename(&path, dir.path().join("b")).unwrap();
        assert!(matches!(file.check().await, Err(TransferError::Vanished)));
        std::fs::write(&path, b"abcdefghij").unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        if cfg!(unix) {
            assert!(matches!(file.check().await, Err(TransferError::Changed)), "another one of the same length and time");
        }
    }

    #[tokio::test]
    async fn a_piece_is_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"0123456789").unwrap();
        let whole = LocalFile::open(&path).unwrap();
        let piece = whole.clone().piece(4, 5).unwrap();
        assert_eq!((piece.size(), piece.whole()), (5, 10));
        assert_eq!(&*piece.read(1, 4).await.unwrap(), b"5678");
        assert_eq!(piece.md5().await.unwrap(), hex(&Md5::digest(b"45678")));
        for (start, len) in [(6, 5), (10, 1), (0, 0), (u64::MAX, 2)] {
            assert!(matches!(whole.clone().piece(start, len), Err(TransferError::Changed)), "{start} {len}");
        }
        let mut text = String::new();
        let mut reader = piece.reader();
        reader.seek(SeekFrom::End(-3)).unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "789");
    }
}
