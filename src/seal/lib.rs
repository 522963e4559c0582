//! What lies on disk sealed with a passphrase: authenticated encryption, and nothing of files or databases.
//!
//! | module | subject |
//! |---|---|
//! | `passphrase` | a passphrase as a value: wiped when dropped, never printed |
//! | `kdf` | from a passphrase to keys: Argon2id (RFC 9106), with bounds for parameters that a file states |
//! | `lock` | a random data key, wrapped under a passphrase: the passphrase can be changed without touching what is sealed |
//! | `value` | single values under a data key, each bound to its place |
//! | `stream` | long streams in pieces, where a missing end is noticed |
//! | `archive` | what a backup looks like in bytes: records in such a stream |
//!
//! All of it is XChaCha20-Poly1305 with 192-bit nonces drawn at random. Two things are told apart wherever they can be: a passphrase that is
//! wrong, and data that is damaged. For that, what has to be believed before the passphrase is known carries a checksum without a key. It
//! proves nothing against somebody who changes it on purpose; then the passphrase appears to be wrong.

pub mod archive;
mod kdf;
mod lock;
mod passphrase;
mod stream;
mod value;

pub use kdf::{KdfLimits, KdfParams, argon2id};
pub use lock::{LOCK_LEN, Lock};
pub use passphrase::{MAX_PASSPHRASE, Passphrase};
pub use stream::{CHUNK, Protection, SealedReader, SealedWriter, Unopened};
pub use value::{DataKey, OVERHEAD, Place};

use std::io;

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A passphrase without a character protects nothing.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// Longer than [`MAX_PASSPHRASE`].
    #[error("the passphrase has {found} bytes; {limit} are the most")]
    PassphraseTooLong {
        /// Its bytes.
        found: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The passphrase is not the one that it was sealed with.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// It is sealed, and no passphrase was given.
    #[error("it is encrypted, and no passphrase was given")]
    PassphraseMissing,
    /// What says how it is sealed does not fit its own checksum.
    #[error("the part that says how it is encrypted is damaged")]
    HeadDamaged,
    /// It does not begin as it should.
    #[error("it does not begin like {expected}")]
    NotOurs {
        /// What it should have been.
        expected: &'static str,
    },
    /// A newer version of this program sealed it.
    #[error("it has format version {found}; this program knows versions up to {supported}")]
    NewerVersion {
        /// The version found.
        found: u8,
        /// The newest version that this program knows.
        supported: u8,
    },
    /// It asks for more memory or time than anybody should give to a file.
    #[error("it asks for a key derivation with {memory_kib} KiB, {passes} passes and {lanes} lanes, which is out of bounds")]
    KdfOutOfBounds {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// The memory that the key derivation needs is not to be had.
    #[error("there is no memory for a key derivation with {memory_kib} KiB")]
    OutOfMemory {
        /// Memory, in KiB.
        memory_kib: u32,
    },
    /// A value was changed, or moved here from another place, or is damaged.
    #[error("a sealed value is damaged, or belongs somewhere else")]
    ValueNotAuthentic,
    /// A piece of a stream was changed or is damaged.
    #[error("it is damaged within the {piece}. piece of 64 KiB")]
    PieceNotAuthentic {
        /// Which piece, from 1.
        piece: u64,
    },
    /// The stream stops before its end.
    #[error("its end is missing: it was cut off")]
    Truncated,
    /// The stream is longer than it may be.
    #[error("it is longer than a stream can be")]
    TooLong,
    /// What it is read from or written to failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
