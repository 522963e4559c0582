//! Through the `aes` and `sha2` crates: for every processor, one message after the other.
//!
//! The loop runs *inside* the `aes` crate's backend (through its closure traits): the choice between processor instructions and
//! bit-sliced code is made once per call, round keys stay in registers, and blocks are walked as arrays, without a length check per
//! block.

use aes::cipher::array::Array;
use aes::cipher::common::BlockSizeUser;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockCipherEncrypt, KeyInit,
};
use aes::{Aes256Dec, Aes256Enc};
use sha2::{Digest as _, Sha256};

use super::{Block, Cipher, Digest, Received};

pub(super) fn encrypt(message: &mut Cipher<'_>) {
    encrypt_blocks(&Aes256Enc::new(&Array(*message.key)), message.iv, message.data);
}

pub(super) fn decrypt(message: &mut Cipher<'_>) {
    decrypt_blocks(&Aes256Dec::new(&Array(*message.key)), message.iv, message.data);
}

pub(super) fn hash(message: &mut Digest<'_>) {
    message.digest = digest(message.prefix, message.data);
}

pub(super) fn receive(message: &mut Received<'_>) {
    decrypt(&mut message.cipher);
    message.digest = digest(message.prefix, message.cipher.data);
}

fn digest(prefix: &[u8; 32], data: &[Block]) -> [u8; 32] {
    Sha256::new().chain_update(prefix).chain_update(data.as_flattened()).finalize().into()
}

fn encrypt_blocks<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: &C, iv: &[u8; 32], blocks: &mut [Block]) {
    cipher.encrypt_with_backend(Ige { iv, blocks });
}

fn decrypt_blocks<C: BlockCipherDecrypt<BlockSize = U16>>(cipher: &C, iv: &[u8; 32], blocks: &mut [Block]) {
    cipher.decrypt_with_backend(Ige { iv, blocks });
}

/// One IGE run, handed to the `aes` crate to be called with the backend it chose.
struct Ige<'a> {
    iv: &'a [u8; 32],
    blocks: &'a mut [Block],
}

impl Ige<'_> {
    /// The two halves of the initialisation vector: what came before the first block.
    #[inline(always)]
    fn before(&self) -> [Block; 2] {
        let [first, second] = self.iv.as_chunks().0 else { unreachable!("32 bytes are two blocks") };
        [*first, *second]
    }
}

/// Byte by byte on purpose: the compiler makes one vector instruction of it and leaves the state in a vector register, where AES needs
/// it. Through `u128` the state takes a detour over general registers, which costs a seventh of the throughput.
#[inline(always)]
fn xor(a: Block, b: Block) -> Block {
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
mod tests {
    use aes::Aes128;

    use super::*;

    /// OpenSSL's `test/igetest.c`, both vectors, with 128-bit keys.
    #[test]
    fn openssl_igetest() {
        let cases: [(&str, &str, &str, &str); 2] = [
            (
                "000102030405060708090a0b0c0d0e0f",
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "0000000000000000000000000000000000000000000000000000000000000000",
                "1a8519a6557be652e9da8e43da4ef4453cf456b4ca488aa383c79c98b34797cb",
            ),
            (
                "5468697320697320616e20696d706c65",
                "6d656e746174696f6e206f6620494745206d6f646520666f72204f70656e5353",
                "99706487a1cde613bc6de0b6f24b1c7aa448c8b9c3403e3467a8cad89340f53b",
                "4c2e204c6574277320686f70652042656e20676f74206974207269676874210a",
            ),
        ];
        for (key, iv, plain, cipher) in cases {
            let mut whole = [[0; 32]; 2];
            hex::decode_to_slice(iv, &mut whole[0]).expect("hexadecimal");
            hex::decode_to_slice(plain, &mut whole[1]).expect("hexadecimal");
            let [iv, mut data] = whole;
            let mut key_bytes = [0; 16];
            hex::decode_to_slice(key, &mut key_bytes).expect("hexadecimal");
            let aes = Aes128::new(&Array(key_bytes));
            encrypt_blocks(&aes, &iv, data.as_chunks_mut().0);
            assert_eq!(hex::encode(data), cipher);
            decrypt_blocks(&aes, &iv, data.as_chunks_mut().0);
            assert_eq!(hex::encode(data), plain);
        }
    }
}
