//! What a backup looks like in bytes: records in a sealed stream (the rest of this package). Nothing of files or databases.
//!
//! ```text
//! 1 Manifest    made at i64, by text, namespaces u32
//! 2 Begin       name text, version of the tables u32
//! 3 Row         table u8, one cell for each column of it
//! 4 EndOf       rows u64
//! 5 End         namespaces u32
//! ```
//!
//! Numbers are little endian; texts and bytes have a u32 length in front; a cell that may be missing has a byte 0 or 1 in front. One
//! manifest, then each namespace with its rows between `Begin` and `EndOf`, then `End` and nothing more. The counts are checked: rows can
//! neither be added nor lost unnoticed, even where the stream has no passphrase.
//!
//! The tables and the types of their columns are part of the format, not of the database: whoever reads a backup gets no SQL from it, and no file
//! that a database engine would have to believe.

mod reader;
mod record;
mod writer;

pub use reader::ArchiveReader;
pub use record::{Cell, Column, MAX_CELL, MAX_NAME, Record, Table};
pub use writer::ArchiveWriter;

use crate::SealError;

/// What the stream of a backup begins with.
pub const MAGIC: &[u8; 8] = b"tdl.bkp\n";

/// What [`MAGIC`] stands for, in words.
pub const WHAT: &str = "a backup of tdl";

/// Why a backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The stream around it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A record that does not exist.
    #[error("it holds a record of the unknown kind {found}")]
    UnknownRecord {
        /// The number found.
        found: u8,
    },
    /// A table that does not exist.
    #[error("it holds a row of the unknown table {found}")]
    UnknownTable {
        /// The number found.
        found: u8,
    },
    /// A record where it may not be.
    #[error("a record stands where it may not: {found} after {after}")]
    OutOfOrder {
        /// The record found.
        found: &'static str,
        /// The one before it.
        after: &'static str,
    },
    /// It ends within a record, or before its last one.
    #[error("its content stops in the middle")]
    Incomplete,
    /// Something follows the last record.
    #[error("something follows its last record")]
    TrailingData,
    /// A text that is not UTF-8.
    #[error("a text in it is not UTF-8")]
    NotText,
    /// A byte that says whether a cell is there, and is neither 0 nor 1.
    #[error("a cell in it is neither there nor missing ({found})")]
    BadPresence {
        /// The byte found.
        found: u8,
    },
    /// A text or bytes longer than [`MAX_CELL`], or a name longer than [`MAX_NAME`].
    #[error("a value of {found} bytes is longer than the {limit} that it may have")]
    TooLong {
        /// Its length.
        found: usize,
        /// The most it may be.
        limit: usize,
    },
    /// A count that does not fit what there is.
    #[error("it should hold {stated} {what}, and holds {found}")]
    WrongCount {
        /// What is counted.
        what: &'static str,
        /// The count it states.
        stated: u64,
        /// The count found.
        found: u64,
    },
    /// Two namespaces of one name.
    #[error("it holds two namespaces called '{name}'")]
    TwiceTheName {
        /// The name, made safe for a terminal.
        name: String,
    },
    /// Cells that do not fit the columns of their table: a mistake of the caller.
    #[error("a row of {table} does not fit its columns")]
    BadRow {
        /// The table.
        table: &'static str,
    },
}
