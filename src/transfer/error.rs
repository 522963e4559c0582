//! Why a file did not travel.

use std::path::PathBuf;

use thiserror::Error;

use crate::client::InvokeError;
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
    /// The file is served by a CDN, which this version does not read.
    #[error("the server redirects this file to CDN DC {dc}; CDN downloads are not supported yet")]
    Cdn {
        /// The DC it names.
        dc: i32,
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
