//! Why a file did not travel.

use std::path::PathBuf;

use thiserror::Error;

use crate::client::InvokeError;
use crate::ids::DcId;
use crate::store::Error as StoreError;

/// Why a file did not travel. Each says what is wrong with this one file; the others of a run go on.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The server answered with an error, or could not be reached.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// A local file could not be opened, read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried: "cannot read", "cannot write" …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk has no room for the file, or the system does not allow one so large.
    #[error("no room for {size} bytes at {}: {source}", path.display())]
    NoSpace {
        /// The part file.
        path: PathBuf,
        /// The length that the file is to have.
        size: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process is writing this download.
    #[error("another process is downloading to {}", path.display())]
    PartFileInUse {
        /// The part file.
        path: PathBuf,
    },
    /// Somebody removed, replaced or cut the part file while it was being written.
    #[error("somebody changed {} while it was being written", path.display())]
    PartFileChanged {
        /// The part file.
        path: PathBuf,
    },
    /// Whoever takes the bytes of a download in order does not take them.
    #[error("the bytes cannot be passed on: {0}")]
    Sink(std::io::Error),
    /// The record of unfinished work could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Telegram has no empty files.
    #[error("the file is empty: Telegram does not take files of 0 bytes")]
    Empty,
    /// More parts than the account may send.
    #[error("the file has {parts} parts, the account may send {max} (of 512 KiB each); --split sends it in pieces")]
    TooBig {
        /// Parts that the file has.
        parts: u32,
        /// Parts that the account may send.
        max: u32,
    },
    /// The file became longer, shorter or newer while it was sent, so that what arrived is neither version.
    #[error("the file changed while it was being sent")]
    Changed,
    /// There is no file under its name any more; another one may have been there in between.
    #[error("the file was removed while it was being sent")]
    Vanished,
    /// The server acknowledged a part with "false".
    #[error("the server did not take part {part}")]
    PartRefused {
        /// Which one, from 0.
        part: u32,
    },
    /// A part came back with another length than was asked for.
    #[error("part at {offset}: {expected} bytes were asked for, {got} came")]
    PartLength {
        /// Where the part begins.
        offset: u64,
        /// How much was asked for.
        expected: u32,
        /// How much came.
        got: usize,
    },
    /// What was asked for is not a range of one block of the file.
    #[error("the range of {len} bytes at {offset} is not one that can be asked for at once")]
    Range {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// What came does not have the hash that the server gives for it, however often it is asked for.
    #[error("the bytes at {offset} do not have the hash that the server gives for them")]
    HashMismatch {
        /// Where the hashed range begins.
        offset: u64,
    },
    /// A CDN served bytes for which nobody has a hash. Nobody vouches for a CDN, so they are not taken.
    #[error("the server has no hash for what its CDN serves at {offset}")]
    CdnHashMissing {
        /// Where the range begins.
        offset: u64,
    },
    /// A CDN does not answer, however often it is asked.
    #[error("the CDN {dc} does not answer")]
    CdnSilent {
        /// The DC that it is.
        dc: DcId,
    },
    /// What is needed to decrypt what a CDN serves has the wrong size.
    #[error("the server redirects to a CDN with a key that is none")]
    CdnKeySize,
    /// The server sends the download to and fro between DCs or CDNs.
    #[error("the server keeps redirecting this file (last to {dc})")]
    RedirectLoop {
        /// Where it was sent last.
        dc: DcId,
    },
    /// The CDN asks again and again for a file to be brought to it that was brought to it.
    #[error("the CDN keeps asking for the file to be brought to it")]
    ReuploadLoop,
    /// A fresh file reference is no better than the expired one, several times in a row.
    #[error("the file's reference was renewed {times} times in a row, and is still refused ({reason})")]
    ReferenceLoop {
        /// How often it was renewed.
        times: u32,
        /// What the server said last.
        reason: String,
    },
    /// The server answered with something that the method does not return.
    #[error("unexpected answer to {method}")]
    UnexpectedAnswer {
        /// The method.
        method: &'static str,
    },
    /// The message is gone, or no longer carries this file.
    #[error("the message is gone or no longer carries this file")]
    Gone,
    /// The run was told to stop; what is done is recorded.
    #[error("interrupted")]
    Interrupted,
}

impl TransferError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
