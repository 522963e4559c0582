//! Namespaces on disk: one SQLite file for each local slot of an authorization.
//!
//! ```text
//! HOME/ns/NAME.sqlite        keys, salts, account, peers, unfinished transfers   0600, in a directory 0700
//! HOME/ns/NAME.sqlite-wal    SQLite's own, while it is open
//! HOME/ns/NAME.lock          held shared by every process that has NAME open
//! HOME/ns/NAME.updates       held by the one process that follows its updates
//! ```
//!
//! * [`Home`] opens, lists, renames and removes namespaces. [`NamespaceName`] is a name that cannot leave the directory.
//! * [`Namespace`] is an open one. It implements [`crate::client::Persistence`], holds the transfer jobs ([`Job`], [`PartSet`])
//!   and the names of files that were downloaded ([`SavedFile`]).
//! * [`foreign`] reads and writes the sessions of other programs.
//! * An encrypted namespace keeps keys and salts as sealed values ([`crate::seal`]); [`Namespace::unlock`] opens it for a process.
//! * [`Home::backup`], [`Home::recover`] and [`Home::migrate`] carry namespaces to a file, from one, and to another home.
//! * [`UpdateLease`]: who follows the updates of a namespace.
//! * [`Error`] says what went wrong, and [`Error::advice`] what to do about it.
//!
//! Several processes may have one namespace open: SQLite is in WAL mode, a writer waits up to [`BUSY_TIMEOUT`] for another.
//!
//! What is committed when: keys, salts and the account with `synchronous = FULL`, so that they survive a power cut once the call has
//! returned; peers, jobs, names of files and how far updates have been followed with `NORMAL`, which survives the death of the process, but may lose the last moments before a
//! power cut. They can be had again.
//!
//! Calls block for as long as the disk takes. They are short; nothing here waits for the network.

mod backup;
mod borrowed;
mod carry;
mod device;
mod ended;
mod error;
pub mod foreign;
mod home;
mod jobs;
mod lease;
mod name;
mod namespace;
mod parts;
mod persist;
mod private;
mod saved;
mod schema;
mod temp;
mod update_state;
mod vault;

pub use backup::BackedUp;
pub use borrowed::Borrowed;
pub use carry::{Arrived, MigrateMode};
pub use error::Error;
pub use home::{Home, Removed};
pub use jobs::{Fingerprint, Job, JobKind};
pub use lease::{Holder, UpdateLease};
pub use name::NamespaceName;
pub use namespace::{BUSY_TIMEOUT, Namespace};
pub use parts::PartSet;
pub use saved::{FileOwner, SavedFile};
pub use vault::{Encryption, KeyHead};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_carry;
#[cfg(test)]
mod tests_vault;
