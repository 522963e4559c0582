//! AES-256-CTR. It is the `ctr` crate's; it is here because that crate's loops are compiled where they are used, and byte by byte, as
//! an unoptimised build has them, they would be most of what a test of a transfer does.

use std::fmt;

use aes::Aes256Enc;
use aes::cipher::array::Array;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;

/// A running AES-256-CTR key stream with a 128-bit big-endian counter: one direction of an obfuscated connection, or a part of a CDN's file.
pub struct Ctr(Ctr128BE<Aes256Enc>);

impl Ctr {
    /// Starts the stream at the counter value `iv`.
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self(Ctr128BE::new(&Array(*key), &Array(*iv)))
    }

    /// Encrypts or decrypts the next bytes of the stream in place. Pieces may be of any length.
    #[inline(never)]
    pub fn apply(&mut self, data: &mut [u8]) {
        self.0.apply_keystream(data);
    }
}

impl fmt::Debug for Ctr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ctr(..)")
    }
}
