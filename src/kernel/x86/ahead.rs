//! Reception where the instructions for SHA are slow: the message schedule is computed ahead, and only the rounds are woven with the cipher.
//!
//! The schedule of a block depends on that block alone. So that of eight blocks of a message that follow each other is computed at once, each
//! in one of the eight places of a register, with a third of the instructions that it takes one block after the other. The words
//! are put down in memory, from where the rounds take them without any of the ports that the cipher needs.
//!
//! The two are not woven: writing the upper half of a register makes the rounds slower until all are cleared.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_setzero_si128, _mm_sha256rnds2_epu32, _mm_xor_si128, _mm256_add_epi32, _mm256_set1_epi32,
    _mm256_zeroupper,
};

use super::bytes::{load, load_high, store, store_halves};
use super::eight::{self, EIGHT, transposed, word};
use super::lanes::{Chain, Hash, avx512_vector, cipher_rounds, fence, last_round, round, woven_block};
use super::sha::{Group, K, State, compress, words_of};
use crate::Block;

/// Groups below which nothing is computed ahead: what comes before the first eight and after the last would be most of them.
const LEAST: usize = 4 * EIGHT;

/// The words of eight blocks, each with the constant of its round: four words in a row are one block here.
#[repr(align(32))]
struct Schedule([[Block; 16]; EIGHT]);

impl Schedule {
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn compute(&mut self, groups: [&Group; EIGHT]) {
        let mut words = eight::words_of(groups);
        macro_rules! four {
            ($q:literal, $at:literal) => {
                if $q > 3 {
                    word::<{ $at }>(&mut words);
                    word::<{ $at + 1 }>(&mut words);
                    word::<{ $at + 2 }>(&mut words);
                    word::<{ $at + 3 }>(&mut words);
                }
                let with = |at: usize| _mm256_add_epi32(words[$at + at], _mm256_set1_epi32(K.0[$q][at].cast_signed()));
                // Each has the words of one block in its lower half, and of the block four further in the upper.
                let [a, b, c, d] = transposed([with(0), with(1), with(2), with(3)]);
                let (low, high) = self.0.split_at_mut(EIGHT / 2);
                store_halves(&mut low[0][$q], &mut high[0][$q], a);
                store_halves(&mut low[1][$q], &mut high[1][$q], b);
                store_halves(&mut low[2][$q], &mut high[2][$q], c);
                store_halves(&mut low[3][$q], &mut high[3][$q], d);
            };
        }
        four!(0, 0);
        four!(1, 4);
        four!(2, 8);
        four!(3, 12);
        four!(4, 0);
        four!(5, 4);
        four!(6, 8);
        four!(7, 12);
        four!(8, 0);
        four!(9, 4);
        four!(10, 8);
        four!(11, 12);
        four!(12, 0);
        four!(13, 4);
        four!(14, 8);
        four!(15, 12);
    }
}

/// Rounds `4 * Q` to `4 * Q + 3` of the block whose schedule this is.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3,avx512f,avx512vl")]
fn rounds_ahead<const Q: usize>(state: &mut State, words: &mut &[Block; 16]) {
    state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, load(&words[Q]));
    state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, load_high(&words[Q]));
}

/// Decrypts and hashes as `lanes` does.
#[target_feature(enable = "aes,sha,sse4.1,ssse3,avx,avx2,avx512f,avx512vl")]
pub(super) fn receive<const N: usize>(
    mut chains: [&mut Chain; N],
    mut hashes: [&mut Hash; N],
    mut data: [&mut [Group]; N],
    count: usize,
) {
    const DECRYPT: bool = true;
    // One alone has nothing to fill the time with that computing ahead takes.
    if N < 2 || count < LEAST {
        return avx512_vector::receive(chains, hashes, data, count);
    }
    _mm256_zeroupper();
    let mut states: [State; N] = hashes.each_ref().map(|hash| hash.state);
    for (state, hash) in states.iter_mut().zip(&hashes) {
        compress(state, hash.next);
    }
    avx512_vector::cipher::<DECRYPT, N>(
        chains.each_mut().map(|chain| &mut **chain),
        data.each_mut().map(|data| &mut data[..EIGHT]),
        EIGHT,
    );
    let mut cipher: [__m128i; N] = chains.each_ref().map(|chain| chain.output);
    let mut schedules = [const { Schedule([[[0; 16]; 16]; EIGHT]) }; N];
    let mut done = EIGHT;
    while count - done >= EIGHT {
        for (schedule, data) in schedules.iter_mut().zip(&data) {
            let (groups, _) = data[done - EIGHT..].split_first_chunk::<EIGHT>().expect("there are so many");
            schedule.compute(groups.each_ref());
        }
        _mm256_zeroupper();
        let mut eights: [&mut [Group; EIGHT]; N] =
            data.each_mut().map(|data| data[done..].first_chunk_mut().expect("there are so many"));
        for block in 0..EIGHT {
            let before = states;
            let mut words: [&[Block; 16]; N] = [&schedules[0].0[block]; N];
            for lane in 1..N {
                words[lane] = &schedules[lane].0[block];
            }
            let mut rest = eights.iter_mut();
            let groups: [&mut Group; N] = std::array::from_fn(|_| &mut rest.next().expect("as many")[block]);
            for lane in 0..N {
                let first = _mm_xor_si128(load(&groups[lane][0]), chains[lane].keys.0[0]);
                cipher[lane] = _mm_xor_si128(cipher[lane], first);
            }
            woven_block!(rounds_ahead, DECRYPT, N, 0, cipher, chains, groups, states, words, [0, 1, 2, 3]);
            woven_block!(rounds_ahead, DECRYPT, N, 1, cipher, chains, groups, states, words, [4, 5, 6, 7]);
            woven_block!(rounds_ahead, DECRYPT, N, 2, cipher, chains, groups, states, words, [8, 9, 10, 11]);
            woven_block!(rounds_ahead, DECRYPT, N, 3, cipher, chains, groups, states, words, [12, 13, 14, 15]);
            for lane in 0..N {
                states[lane].abef = _mm_add_epi32(states[lane].abef, before[lane].abef);
                states[lane].cdgh = _mm_add_epi32(states[lane].cdgh, before[lane].cdgh);
            }
        }
        done += EIGHT;
    }
    for (lane, (chain, hash)) in chains.iter_mut().zip(&mut hashes).enumerate() {
        chain.output = cipher[lane];
        (hash.state, hash.next) = (states[lane], words_of(&data[lane][done - EIGHT]));
    }
    let left = count - done;
    avx512_vector::cipher::<DECRYPT, N>(chains, data.each_mut().map(|data| &mut data[done..]), left);
    avx512_vector::hash::<N>(hashes, data.each_ref().map(|data| &data[done - EIGHT + 1..]), EIGHT - 1 + left);
}
