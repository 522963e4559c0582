//! The parts of a local file, or of a stream, to the server.
//!
//! "Uploading and Downloading Files": a file goes up in parts of one size under a number that the client chose; parts may be sent in any
//! order and over any connection. Files of up to 10 MB carry their MD5, larger ones are sent by a method of their own.
//!
//! * [`source`]: a file here, or a piece of one, watched for changes.
//! * [`job`]: the record of an unfinished upload.
//! * [`stream`]: bytes of which nobody knows how many will come.
//! * [`thumbnail`]: the small picture that goes with a file.

pub mod job;
pub mod source;
pub mod stream;
pub mod thumbnail;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use md5::{Digest as _, Md5};

pub use job::UploadJob;
pub use source::LocalFile;

use super::flow::{Direction, Flow};
use super::parts::UPLOAD_PART;
use super::pipeline::Pipeline;
use super::stop::Stop;
use super::{Checkpoint, Part, Progress, TransferError};
use crate::client::{Client, Media};
use crate::store::PartSet;
use crate::tl::Str;
use crate::tl::api::{enums, functions, types};

/// Files up to this size go by `upload.saveFilePart` and carry an MD5; larger ones by `upload.saveBigFilePart`.
pub const SMALL_FILE: u64 = 10 * 1024 * 1024;

/// The part size of a file of `size` bytes.
///
/// The server takes what divides 512 KiB and is a multiple of 1 KiB. Large parts cost the fewest calls and make the largest files
/// possible; a small file in smaller parts has several in flight at once, and loses less when it is cut off.
pub fn part_size(size: u64) -> u32 {
    const MIB: u64 = 1024 * 1024;
    match size {
        0..=MIB => UPLOAD_PART / 4,
        size if size <= 4 * MIB => UPLOAD_PART / 2,
        _ => UPLOAD_PART,
    }
}

/// How to upload.
pub struct Options<'a> {
    /// The name that the receiver sees.
    pub name: &'a str,
    /// Chosen by us, at random; the same for a resumed upload.
    pub file_id: i64,
    /// Parts that the account may send.
    pub max_parts: u32,
    /// Called for each part.
    pub progress: &'a dyn Progress,
    /// Where the parts that are done are recorded.
    pub checkpoint: &'a dyn Checkpoint,
    /// Asks to end in good order.
    pub stop: &'a Stop,
}

/// Sends the parts of `file` that are not in `done` yet, in turn with the other files of `flow`, and returns what a message refers to it
/// by.
///
/// # Errors
///
/// The first failure ends the upload; parts that were acknowledged before are in the checkpoint. [`TransferError::Changed`] and
/// [`TransferError::Vanished`] when the file is not what it was when it was opened.
pub async fn upload(
    client: &Client,
    flow: &Flow,
    file: &LocalFile,
    done: PartSet,
    options: &Options<'_>,
) -> Result<enums::InputFile, TransferError> {
    let parts = file.parts(options.max_parts)?;
    let total =
        i32::try_from(parts.count()).map_err(|_| TransferError::TooBig { parts: parts.count(), max: options.max_parts })?;
    let big = file.size() > SMALL_FILE;
    let home = &client.media(client.home_dc());
    let Options { file_id, progress, checkpoint, stop, .. } = *options;
    let lane = &flow.lane();
    let acknowledged = &Mutex::new(done.clone());
    let send = |part: Part| async move {
        let how = if big { Size::Big(total) } else { Size::Small };
        // Read when it is its turn: what waits takes no memory.
        let work = async || save(home, file_id, part.index, how, file.read(part.offset, part.len).await?).await;
        lane.part(home.dc(), Direction::Up, part.len.into(), work).await?;
        // Each on record at once: whatever ends this, only parts in flight are sent again. A single one is the pipeline's to record.
        if parts.count() == 1 {
            return Ok(());
        }
        let mut acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.insert(part.index);
        checkpoint.save(&acknowledged).map_err(TransferError::from)
    };
    // What the server has acknowledged is safe.
    Pipeline { parts, threads: flow.per_file(), progress, checkpoint, stop }.run(done, send, async || Ok(())).await?;
    // Of a small file the sum is taken last: it covers what was sent only if nothing changed until then.
    let sum = if big { None } else { Some(file.md5().await?) };
    file.check().await?;
    Ok(input_file(options.file_id, total, options.name, sum))
}

/// Uploads a few bytes in one go, such as a thumbnail.
///
/// # Errors
///
/// As [`upload`]. More than one part is [`TransferError::TooBig`].
pub async fn bytes(client: &Client, flow: &Flow, bytes: Bytes, name: &str) -> Result<enums::InputFile, TransferError> {
    if bytes.is_empty() {
        return Err(TransferError::Empty);
    }
    if bytes.len() > UPLOAD_PART as usize {
        return Err(TransferError::TooBig { parts: 2, max: 1 });
    }
    let file_id = client.random_i64();
    let sum = hex(&Md5::digest(&bytes));
    let home = &client.media(client.home_dc());
    let bytes = &bytes;
    let work = async || save(home, file_id, 0, Size::Small, bytes.clone()).await;
    flow.lane().part(home.dc(), Direction::Up, bytes.len() as u64, work).await?;
    Ok(input_file(file_id, 1, name, Some(sum)))
}

/// By which of the two methods a part goes.
#[derive(Clone, Copy)]
enum Size {
    /// Up to 10 MB.
    Small,
    /// More, in this many parts altogether; -1 while that is not known.
    Big(i32),
}

/// Sends one part, once: waits and stumbles are the lane's.
async fn save(home: &Media, file_id: i64, index: u32, size: Size, bytes: Bytes) -> Result<(), TransferError> {
    let (file_part, none) = (index.cast_signed(), Bytes::new());
    let taken = match size {
        Size::Small => home.once_with_part(&functions::upload::SaveFilePart { file_id, file_part, bytes: none }, bytes).await?,
        Size::Big(file_total_parts) => {
            let call = functions::upload::SaveBigFilePart { file_id, file_part, file_total_parts, bytes: none };
            home.once_with_part(&call, bytes).await?
        }
    };
    if taken { Ok(()) } else { Err(TransferError::PartRefused { part: index }) }
}

/// What a message refers to an uploaded file by: with the sum of a small one.
fn input_file(id: i64, parts: i32, name: &str, sum: Option<String>) -> enums::InputFile {
    let name = Str::from(name);
    match sum {
        Some(sum) => types::InputFile { id, parts, name, md5_checksum: Str::from(sum) }.into(),
        None => types::InputFileBig { id, parts, name }.into(),
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs a short disk operation where it does not stall the connections.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|join| Err(std::io::Error::other(join)))
}

/// What is in `file`: [`Content::Other`](super::attributes::Content::Other) also where it cannot be read.
pub async fn content(file: &LocalFile) -> super::attributes::Content {
    use super::attributes::Content;
    let reader = file.reader();
    let name = file.path().to_string_lossy().into_owned();
    // A task of its own: should a library panic over a file that was made for that, the file goes without attributes.
    let read = move || Content::of(&mut { reader }, &name);
    tokio::task::spawn_blocking(read).await.unwrap_or(Content::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Parts;

    #[test]
    fn part_sizes_are_those_that_the_server_takes_and_large_files_get_the_largest() {
        for size in [1, 1 << 20, (1 << 20) + 1, 4 << 20, (4 << 20) + 1, SMALL_FILE, SMALL_FILE + 1, 4_194_304_000] {
            let part = part_size(size);
            assert!(part.is_multiple_of(1024) && UPLOAD_PART.is_multiple_of(part), "{size}");
            assert!(Parts::new(size, part).unwrap().count() <= 8000, "{size}");
        }
        assert_eq!(part_size(SMALL_FILE), UPLOAD_PART);
    }
}
