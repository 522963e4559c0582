//! Uploads and downloads: files cut into parts, several parts in flight, resumed where they stopped.
//!
//! See the page "Uploading and Downloading Files".
//!
//! * [`parts`]: how a file is cut, and which parts are done.
//! * [`name`]: names that are safe on every file system.
//! * [`upload`]: the parts of a local file to the server.
//! * [`attributes`]: what a file that is sent says of itself.
//! * [`flow`]: how many parts are in flight, over all files of a run, and whose turn it is.
//! * [`source`]: a remote file that can be read by ranges, wherever it is kept, checked against its hashes.
//! * [`download`]: a remote file to a part file (`part_file`), which gets its name when it is whole and on the disk (`disk`).
//! * `beside`: work that runs where the connections do; `moved`: how whoever waits for it hears how far it is.
//! * `positional`: reads and writes at an offset, and writes that do not stay in memory.
//! * `group`: one commit, or one sync, for many who want it at the same time.
//! * `pipeline`: what both have in common: parts in flight, and the record of those that are done.
//! * [`takeout`]: a time in which the server lets an account fetch more.
//! * [`stop`]: asking a running transfer to end in good order.
//! * [`RunRecord`], [`JobRecord`]: what is done, kept in the namespace.
//! * [`fingerprint`]: identities of unfinished work.

pub mod attributes;
mod beside;
mod disk;
pub mod download;
mod error;
pub mod fingerprint;
pub mod flow;
mod group;
mod moved;
pub mod name;
mod part_file;
pub mod parts;
mod pipeline;
mod positional;
mod record;
pub mod source;
pub mod stop;
pub mod takeout;
pub mod upload;

pub use error::TransferError;
pub use parts::{Part, Parts};
pub use record::{JobRecord, RunRecord};

use crate::store::PartSet;

/// What a transfer reports while it runs, to whoever shows it. Calls are cheap.
pub trait Progress: Send + Sync {
    /// `bytes` more are done.
    fn advance(&self, bytes: u64);
}

/// Where a transfer keeps which parts are done, so that another run can go on from there.
pub trait Checkpoint: Send + Sync {
    /// Called after the parts in `done` are safe: sent and acknowledged, or on disk.
    ///
    /// # Errors
    ///
    /// A failure to keep the record ends the transfer: going on would promise a resume that cannot be kept.
    fn save(&self, done: &PartSet) -> Result<(), crate::store::Error>;
}
