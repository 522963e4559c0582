//! AES-256 in the two modes that MTProto uses.
//!
//! **IGE** (infinite garble extension) protects messages: `c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]`. Each block waits for the one before
//! it, in both directions, so the speed limit is the latency of one AES-256 block. `tdl-kernel` has the loops, for the processor at hand.
//!
//! **CTR** hides the obfuscated transport, with a 128-bit big-endian counter.

use tdl_kernel::Cipher;
pub use tdl_kernel::Ctr;

/// The length of an AES block, in bytes.
pub const BLOCK: usize = 16;

/// The data is not a whole number of AES blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes are not a whole number of 16-byte AES blocks")]
pub struct NotBlockAligned {
    /// The length found, in bytes.
    pub len: usize,
}

/// Encrypts `data` in place with AES-256-IGE.
///
/// The first half of `iv` stands for the ciphertext block before the first one, the second half for the plaintext block.
/// Fails, and changes nothing, when the length is not a multiple of [`BLOCK`].
pub fn ige_encrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) -> Result<(), NotBlockAligned> {
    tdl_kernel::encrypt(&mut [Cipher { key, iv, data: blocks_of(data)? }]);
    Ok(())
}

/// Decrypts `data` in place with AES-256-IGE: the inverse of [`ige_encrypt`] with the same key and `iv`.
///
/// Fails, and changes nothing, when the length is not a multiple of [`BLOCK`].
pub fn ige_decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) -> Result<(), NotBlockAligned> {
    tdl_kernel::decrypt(&mut [Cipher { key, iv, data: blocks_of(data)? }]);
    Ok(())
}

fn blocks_of(data: &mut [u8]) -> Result<&mut [[u8; BLOCK]], NotBlockAligned> {
    let len = data.len();
    match data.as_chunks_mut() {
        (blocks, []) => Ok(blocks),
        _ => Err(NotBlockAligned { len }),
    }
}

#[cfg(test)]
#[path = "aes_tests.rs"]
mod tests;
