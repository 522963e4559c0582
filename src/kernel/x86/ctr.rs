//! AES-256-CTR: blocks that do not wait for each other, so that eight registers are filled with two each.

use std::arch::x86_64::{
    __m256i, _mm_add_epi64, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_set_epi64x, _mm_shuffle_epi8, _mm_xor_si128,
    _mm256_add_epi64, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_broadcastsi128_si256, _mm256_set_epi64x,
    _mm256_shuffle_epi8, _mm256_xor_si256,
};

use zeroize::Zeroize;

use super::bytes::{load, load_two, store, store_two};
use super::keys::RoundKeys;
use crate::{BLOCK, Block};

/// Registers at once: as many as hide what one instruction takes.
const AT_ONCE: usize = 8;

/// A key stream.
pub(crate) struct Stream {
    keys: RoundKeys,
    /// The next block's number, as it is written.
    counter: u128,
    /// The block that was begun, and how much of it was used.
    begun: Block,
    used: usize,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.begun.zeroize();
    }
}

impl Stream {
    /// `None` where the processor has no instructions for two blocks at once: without them the crates' way is as fast.
    pub(crate) fn new(key: &[u8; 32], iv: &Block) -> Option<Self> {
        let has_all = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx2");
        // SAFETY: the processor was found to have AES.
        let keys = has_all.then(|| unsafe { RoundKeys::encrypting(key) })?;
        Some(Self { keys, counter: u128::from_be_bytes(*iv), begun: [0; BLOCK], used: BLOCK })
    }

    /// The next bytes of the stream over `data`.
    pub(crate) fn apply(&mut self, data: &mut [u8]) {
        let (first, rest) = data.split_at_mut(data.len().min(BLOCK - self.used));
        self.begin_with(first);
        let (mut blocks, last) = rest.as_chunks_mut();
        while !blocks.is_empty() {
            // Up to where the lower half of the counter starts anew; that is seldom near.
            let left = usize::try_from((1 << 64) - u128::from(self.counter as u64)).unwrap_or(usize::MAX);
            let some = blocks.split_off_mut(..left.min(blocks.len())).unwrap_or_default();
            // SAFETY: there is a stream only where the processor has AES, SSSE3, VAES and AVX2.
            unsafe {
                let done = wide(&self.keys, self.counter, some);
                narrow(&self.keys, self.counter.wrapping_add(done as u128), &mut some[done..]);
            }
            self.counter = self.counter.wrapping_add(some.len() as u128);
        }
        if !last.is_empty() {
            self.begun = [0; BLOCK];
            // SAFETY: as above.
            unsafe { narrow(&self.keys, self.counter, std::slice::from_mut(&mut self.begun)) };
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
            self.begin_with(last);
        }
    }

    /// What is left of the block that was begun, over no more bytes than that.
    fn begin_with(&mut self, data: &mut [u8]) {
        for (byte, key) in data.iter_mut().zip(&self.begun[self.used..]) {
            *byte ^= key;
        }
        self.used += data.len();
    }
}

/// Blocks that begin at `counter`, whose lower half does not start anew among them: few of them, one after the other.
#[target_feature(enable = "aes,ssse3")]
fn narrow(keys: &RoundKeys, counter: u128, blocks: &mut [Block]) {
    let [low, high] = [counter as i64, (counter >> 64) as i64];
    let reversed = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    let keys = &keys.0;
    let mut next = _mm_set_epi64x(high, low);
    for block in blocks {
        let mut stream = _mm_xor_si128(_mm_shuffle_epi8(next, reversed), keys[0]);
        next = _mm_add_epi64(next, _mm_set_epi64x(0, 1));
        for key in &keys[1..14] {
            stream = _mm_aesenc_si128(stream, *key);
        }
        store(block, _mm_aesenclast_si128(stream, _mm_xor_si128(keys[14], load(block))));
    }
}

/// The same for many, two blocks a register. Returns how many were done: what does not fill all registers is left.
#[target_feature(enable = "vaes,avx2")]
fn wide(keys: &RoundKeys, counter: u128, blocks: &mut [Block]) -> usize {
    let [low, high] = [counter as i64, (counter >> 64) as i64];
    let reversed = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f));
    let key = |at: usize| _mm256_broadcastsi128_si256(keys.0[at]);
    let mut next = _mm256_set_epi64x(high, low.wrapping_add(1), high, low);
    let several = blocks.as_chunks_mut::<2>().0.as_chunks_mut::<AT_ONCE>().0;
    let mut streams: [__m256i; AT_ONCE] = [next; AT_ONCE];
    for pairs in &mut *several {
        for stream in &mut streams {
            *stream = _mm256_xor_si256(_mm256_shuffle_epi8(next, reversed), key(0));
            next = _mm256_add_epi64(next, _mm256_set_epi64x(0, 2, 0, 2));
        }
        for at in 1..14 {
            let key = key(at);
            for stream in &mut streams {
                *stream = _mm256_aesenc_epi128(*stream, key);
            }
        }
        for (stream, pair) in streams.iter().zip(pairs) {
            store_two(pair, _mm256_aesenclast_epi128(*stream, _mm256_xor_si256(key(14), load_two(pair))));
        }
    }
    several.len() * AT_ONCE * 2
}
