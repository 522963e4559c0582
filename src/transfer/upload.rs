//! The parts of a local file, to the server.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::parts::UPLOAD_PART;
use super::pipeline::Pipeline;
use super::stop::Stop;
use super::{Checkpoint, Part, Parts, Progress, TransferError, positional};
use crate::client::Client;
use crate::store::PartSet;
use crate::tl::Str;
use crate::tl::api::{enums, functions, types};

/// Files up to this size go by `upload.saveFilePart` and carry an MD5; larger ones by `upload.saveBigFilePart`.
pub const SMALL_FILE: u64 = 10 * 1024 * 1024;

/// A local file, opened for an upload.
#[derive(Clone)]
pub struct LocalFile {
    file: Arc<File>,
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
}

impl LocalFile {
    /// Opens `path` and notes its length and time, so that a change while it is sent is seen.
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
        let meta = file.metadata().map_err(io)?;
        if meta.len() == 0 {
            return Err(TransferError::Empty);
        }
        Ok(Self { file: Arc::new(file), path: path.to_owned(), size: meta.len(), modified: meta.modified().ok() })
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unix time of its last change in nanoseconds, 0 where the file system knows none.
    pub fn modified_nanos(&self) -> i64 {
        let since = self.modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(0)
    }

    /// How it is cut into parts.
    ///
    /// # Errors
    ///
    /// [`TransferError::TooBig`] when there are more than `max_parts`.
    pub fn parts(&self, max_parts: u32) -> Result<Parts, TransferError> {
        let parts = Parts::new(self.size, UPLOAD_PART).ok_or(TransferError::TooBig { parts: u32::MAX, max: max_parts })?;
        if parts.count() > max_parts {
            return Err(TransferError::TooBig { parts: parts.count(), max: max_parts });
        }
        Ok(parts)
    }

    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, TransferError> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let mut buffer = vec![0; len as usize];
            positional::read_exact_at(&file, &mut buffer, offset).map(|()| Bytes::from(buffer))
        };
        match blocking(read).await {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(TransferError::Changed),
            other => other.map_err(TransferError::io("cannot read", &self.path)),
        }
    }

    fn check_unchanged(&self) -> Result<(), TransferError> {
        let meta = self.file.metadata().map_err(TransferError::io("cannot read", &self.path))?;
        if meta.len() == self.size && meta.modified().ok() == self.modified { Ok(()) } else { Err(TransferError::Changed) }
    }
}

/// How to upload.
pub struct Options<'a> {
    /// The name that the receiver sees.
    pub name: &'a str,
    /// Chosen by us, at random; the same for a resumed upload.
    pub file_id: i64,
    /// Parts in flight at once, at least 1.
    pub threads: usize,
    /// Parts that the account may send.
    pub max_parts: u32,
    /// Called for each part.
    pub progress: &'a dyn Progress,
    /// Where the parts that are done are recorded.
    pub checkpoint: &'a dyn Checkpoint,
    /// Asks to end in good order.
    pub stop: &'a Stop,
}

/// Sends the parts of `file` that are not in `done` yet, and returns what a message refers to it by.
///
/// # Errors
///
/// The first failure ends the upload; parts that were acknowledged before are in the checkpoint.
pub async fn upload(
    client: &Client,
    file: &LocalFile,
    done: PartSet,
    options: &Options<'_>,
) -> Result<enums::InputFile, TransferError> {
    let parts = file.parts(options.max_parts)?;
    let total =
        i32::try_from(parts.count()).map_err(|_| TransferError::TooBig { parts: parts.count(), max: options.max_parts })?;
    let big = file.size() > SMALL_FILE;
    let home = &client.media(client.home_dc());
    let Options { file_id, threads, progress, checkpoint, stop, .. } = *options;
    let send = |part: Part| async move {
        let bytes = file.read(part.offset, part.len).await?;
        let file_part = part.index.cast_signed();
        let taken = if big {
            home.invoke(&functions::upload::SaveBigFilePart { file_id, file_part, file_total_parts: total, bytes }).await?
        } else {
            home.invoke(&functions::upload::SaveFilePart { file_id, file_part, bytes }).await?
        };
        if taken { Ok(()) } else { Err(TransferError::PartRefused { part: part.index }) }
    };
    // What the server has acknowledged is safe.
    Pipeline { parts, threads, progress, checkpoint, stop }.run(done, send, async || Ok(())).await?;
    file.check_unchanged()?;
    let name = Str::from(options.name);
    if big {
        return Ok(types::InputFileBig { id: options.file_id, parts: total, name }.into());
    }
    let md5_checksum = Str::from(md5_of(file).await?);
    Ok(types::InputFile { id: options.file_id, parts: total, name, md5_checksum }.into())
}

/// MD5 of a small file, in lower-case hexadecimal.
async fn md5_of(file: &LocalFile) -> Result<String, TransferError> {
    let bytes = file.read(0, u32::try_from(file.size()).unwrap_or(u32::MAX)).await?;
    Ok(Md5::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect())
}

/// Runs a short disk operation where it does not stall the connections.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|join| Err(std::io::Error::other(join)))
}
