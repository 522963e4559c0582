//! AES-256-CTR: the obfuscation of a connection, and the files of content-delivery DCs.
//!
//! Where the processor has no instructions for two blocks at once it is the `ctr` crate's. That is here because its loops are compiled where they
//! are used, and byte by byte, as an unoptimised build has them, they would be most of what a test of a transfer does.

use std::fmt;

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;

use crate::Block;

/// A running AES-256-CTR key stream with a 128-bit big-endian counter: one direction of an obfuscated connection, or a part of a CDN's file.
pub struct Ctr(Way);

enum Way {
    #[cfg(target_arch = "x86_64")]
    X86(crate::x86::Stream),
    Portable(Portable),
}

/// Through the crates.
pub(crate) struct Portable(Ctr128BE<Aes256Enc>);

impl Portable {
    pub(crate) fn new(key: &[u8; 32], iv: &Block) -> Self {
        Self(Ctr128BE::new(&Array(*key), &Array(*iv)))
    }

    pub(crate) fn apply(&mut self, data: &mut [u8]) {
        self.0.apply_keystream(data);
    }
}

impl Ctr {
    /// Starts the stream at the counter value `iv`.
    pub fn new(key: &[u8; 32], iv: &Block) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(stream) = crate::x86::Stream::new(key, iv) {
            return Self(Way::X86(stream));
        }
        Self(Way::Portable(Portable::new(key, iv)))
    }

    /// Encrypts or decrypts the next bytes of the stream in place. Pieces may be of any length.
    #[inline(never)]
    pub fn apply(&mut self, data: &mut [u8]) {
        match &mut self.0 {
            #[cfg(target_arch = "x86_64")]
            Way::X86(stream) => stream.apply(data),
            Way::Portable(stream) => stream.apply(data),
        }
    }
}

impl fmt::Debug for Ctr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ctr(..)")
    }
}
