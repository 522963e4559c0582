//! AES-256 in the two modes that MTProto uses.
//!
//! **IGE** (infinite garble extension) protects messages: `c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]`. Each block waits for the one before
//! it, in both directions, so the speed limit is the latency of one AES-256 block. The loop therefore runs *inside* the `aes`
//! crate's backend (through its closure traits): the choice between processor instructions and bit-sliced code is made once per
//! call, round keys stay in registers, and blocks are walked as arrays, without a length check per block.
//!
//! A kernel written for one processor would replace `encrypt_blocks` and `decrypt_blocks` and nothing else.
//!
//! **CTR** hides the obfuscated transport; it is the `ctr` crate's, with a 128-bit big-endian counter.

use std::fmt;

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher,
};
use aes::{Aes256Dec, Aes256Enc};
use ctr::Ctr128BE;

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
    encrypt_blocks(&Aes256Enc::new(&Array(*key)), iv, blocks_of(data)?);
    Ok(())
}

/// Decrypts `data` in place with AES-256-IGE: the inverse of [`ige_encrypt`] with the same key and `iv`.
///
/// Fails, and changes nothing, when the length is not a multiple of [`BLOCK`].
pub fn ige_decrypt(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) -> Result<(), NotBlockAligned> {
    decrypt_blocks(&Aes256Dec::new(&Array(*key)), iv, blocks_of(data)?);
    Ok(())
}

/// A running AES-256-CTR key stream: one direction of an obfuscated connection.
pub struct Ctr(Ctr128BE<Aes256Enc>);

impl Ctr {
    /// Starts the stream at the counter value `iv`.
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self(Ctr128BE::new(&Array(*key), &Array(*iv)))
    }

    /// Encrypts or decrypts the next bytes of the stream in place. Pieces may be of any length.
    pub fn apply(&mut self, data: &mut [u8]) {
        self.0.apply_keystream(data);
    }
}

impl fmt::Debug for Ctr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ctr(..)")
    }
}

fn blocks_of(data: &mut [u8]) -> Result<&mut [[u8; BLOCK]], NotBlockAligned> {
    let len = data.len();
    match data.as_chunks_mut() {
        (blocks, []) => Ok(blocks),
        _ => Err(NotBlockAligned { len }),
    }
}

fn encrypt_blocks<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: &C, iv: &[u8; 32], blocks: &mut [[u8; BLOCK]]) {
    cipher.encrypt_with_backend(Ige { iv, blocks });
}

fn decrypt_blocks<C: BlockCipherDecrypt<BlockSize = U16>>(cipher: &C, iv: &[u8; 32], blocks: &mut [[u8; BLOCK]]) {
    cipher.decrypt_with_backend(Ige { iv, blocks });
}

/// One IGE run, handed to the `aes` crate to be called with the backend it chose.
struct Ige<'a> {
    iv: &'a [u8; 32],
    blocks: &'a mut [[u8; BLOCK]],
}

impl Ige<'_> {
    /// The two halves of the initialisation vector: what came before the first block.
    #[inline(always)]
    fn before(&self) -> [[u8; BLOCK]; 2] {
        let [first, second] = self.iv.as_chunks().0 else { unreachable!("32 bytes are two blocks") };
        [*first, *second]
    }
}

/// Byte by byte on purpose: the compiler makes one vector instruction of it and leaves the state in a vector register, where AES needs
/// it. Through `u128` the state takes a detour over general registers, which costs a seventh of the throughput.
#[inline(always)]
fn xor(a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out ^= b;
    }
    out
}

impl BlockSizeUser for Ige<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Ige<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let [mut last_cipher, mut last_plain] = self.before();
        for block in self.blocks {
            let plain = *block;
            let mut state = Array(xor(plain, last_cipher));
            backend.encrypt_block((&mut state).into());
            last_cipher = xor(state.0, last_plain);
            last_plain = plain;
            *block = last_cipher;
        }
    }
}

impl BlockCipherDecClosure for Ige<'_> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = U16>>(self, backend: &B) {
        let [mut last_cipher, mut last_plain] = self.before();
        for block in self.blocks {
            let cipher = *block;
            let mut state = Array(xor(cipher, last_plain));
            backend.decrypt_block((&mut state).into());
            last_plain = xor(state.0, last_cipher);
            last_cipher = cipher;
            *block = last_plain;
        }
    }
}

#[cfg(test)]
#[path = "aes_tests.rs"]
mod tests;
