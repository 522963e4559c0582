//! The kernels: up to [`LANES`](crate::LANES) messages side by side, once for each encoding of the instructions.
//!
//! # The chain of a message
//!
//! In both directions of IGE `out[i] = F(in[i] ^ out[i-1]) ^ in[i-1]`, where `F` begins by adding round key 0 and ends by adding round key
//! 14. The three additions between the last round of a block and the first of the next one are made beforehand, into the key of the
//! last round: that instruction then yields what the next block begins with, and `out[i]` is found beside the chain. So a block costs its
//! fourteen rounds and nothing else.
//!
//! # Two chains and more
//!
//! Four blocks of the cipher are one of the hash, 56 rounds beside 64. The source weaves them, four rounds of the hash for three or
//! four of the cipher, and the lanes among each other. The compiler would undo that, all of one and then all of the other, so that the
//! processor's window sees one chain only: an assembler statement of no instruction, which claims to change both, keeps them together.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_aesdec_si128, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_setzero_si128,
    _mm_xor_si128, _mm256_zeroupper,
};

use super::bytes::{load, store};
use super::keys::RoundKeys;
use super::sha::{Group, State, Words, rounds, rounds_vector, words_of};
use crate::Block;

/// The cipher's side of a lane.
pub(super) struct Chain {
    pub(super) keys: RoundKeys,
    /// The last block that came out.
    pub(super) output: __m128i,
    /// The last block that went in.
    pub(super) input: __m128i,
}

/// The hash's side of a lane.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    pub(super) state: State,
    /// A block that is not compressed yet.
    pub(super) next: Words,
}

/// One inner round.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn round<const DECRYPT: bool>(state: __m128i, key: __m128i) -> __m128i {
    if DECRYPT { _mm_aesdec_si128(state, key) } else { _mm_aesenc_si128(state, key) }
}

/// The last round.
#[inline]
#[target_feature(enable = "aes")]
pub(super) fn last_round<const DECRYPT: bool>(state: __m128i, key: __m128i) -> __m128i {
    if DECRYPT { _mm_aesdeclast_si128(state, key) } else { _mm_aesenclast_si128(state, key) }
}

impl Chain {
    /// A chain at its beginning.
    #[target_feature(enable = "aes")]
    pub(super) fn new<const DECRYPT: bool>(key: &[u8; 32], iv: &[u8; 32]) -> Self {
        let ([cipher, plain], []) = iv.as_chunks() else { unreachable!("32 bytes are two blocks") };
        let (cipher, plain) = (load(cipher), load(plain));
        match DECRYPT {
            true => Self { keys: RoundKeys::decrypting(key), output: plain, input: cipher },
            false => Self { keys: RoundKeys::encrypting(key), output: cipher, input: plain },
        }
    }

    /// Some blocks, alone.
    #[target_feature(enable = "aes")]
    pub(super) fn advance<const DECRYPT: bool>(&mut self, blocks: &mut [Block]) {
        let keys = &self.keys.0;
        for block in blocks {
            let input = load(block);
            let mut state = _mm_xor_si128(_mm_xor_si128(input, self.output), keys[0]);
            for key in &keys[1..14] {
                state = round::<DECRYPT>(state, *key);
            }
            self.output = last_round::<DECRYPT>(state, _mm_xor_si128(keys[14], self.input));
            self.input = input;
            store(block, self.output);
        }
    }
}

/// Keeps the compiler from parting what is woven: see the module.
macro_rules! fence {
    ($cipher:expr, $hash:expr) => {
        // SAFETY: no instruction, no memory, no flags; both values come out as they went in.
        unsafe { std::arch::asm!("/* {0} {1} */", inout(xmm_reg) $cipher, inout(xmm_reg) $hash, options(nomem, nostack, preserves_flags)) }
    };
}

/// Three or four rounds of the cipher in each lane.
macro_rules! cipher_rounds {
    ($decrypt:ident, $states:ident, $chains:ident, $lane:ident, [$($round:literal),+]) => {
        $($states[$lane] = round::<$decrypt>($states[$lane], $chains[$lane].keys.0[$round]);)+
    };
}

/// One block of the cipher in each lane, with sixteen rounds of the hash or none.
macro_rules! woven_block {
    ($rounds:ident, $decrypt:ident, $lanes:ident, $at:literal, $cipher:ident, $chains:ident, $groups:ident
        $(, $states:ident, $words:ident, [$q0:literal, $q1:literal, $q2:literal, $q3:literal])?) => {
        for lane in 0..$lanes {
            cipher_rounds!($decrypt, $cipher, $chains, lane, [1, 2, 3, 4]);
            $(
                $rounds::<$q0>(&mut $states[lane], &mut $words[lane]);
                fence!($cipher[lane], $states[lane].abef);
            )?
        }
        for lane in 0..$lanes {
            cipher_rounds!($decrypt, $cipher, $chains, lane, [5, 6, 7]);
            $(
                $rounds::<$q1>(&mut $states[lane], &mut $words[lane]);
                fence!($cipher[lane], $states[lane].abef);
            )?
        }
        for lane in 0..$lanes {
            cipher_rounds!($decrypt, $cipher, $chains, lane, [8, 9, 10, 11]);
            $(
                $rounds::<$q2>(&mut $states[lane], &mut $words[lane]);
                fence!($cipher[lane], $states[lane].abef);
            )?
        }
        for lane in 0..$lanes {
            cipher_rounds!($decrypt, $cipher, $chains, lane, [12, 13]);
            let keys = &$chains[lane].keys.0;
            let input = load(&$groups[lane][$at]);
            // What the next block begins with besides this one's output. After the fourth the lane may stop.
            let next = match $groups[lane].get($at + 1) {
                Some(next) => _mm_xor_si128(load(next), keys[0]),
                None => _mm_setzero_si128(),
            };
            let folded = _mm_xor_si128(_mm_xor_si128(keys[14], $chains[lane].input), next);
            $cipher[lane] = last_round::<$decrypt>($cipher[lane], folded);
            store(&mut $groups[lane][$at], _mm_xor_si128($cipher[lane], next));
            $chains[lane].input = input;
            $(
                $rounds::<$q3>(&mut $states[lane], &mut $words[lane]);
                fence!($cipher[lane], $states[lane].abef);
            )?
        }
    };
}

// Also for `ahead`.
pub(super) use {cipher_rounds, fence, woven_block};

/// The kernels with a set of processor features. `$rounds` is how four rounds of the hash are done, and `$clear` what has to be done first,
/// if anything.
macro_rules! kernels {
    ($name:ident, $features:literal, $rounds:ident $(, $clear:expr)?) => {
        pub(super) mod $name {
            use super::*;

            /// Encrypts or decrypts `count` groups in each lane.
            #[target_feature(enable = $features)]
            pub(in super::super) fn cipher<const DECRYPT: bool, const N: usize>(
                chains: [&mut Chain; N],
                mut data: [&mut [Group]; N],
                count: usize,
            ) {
                $($clear;)?
                let mut cipher: [__m128i; N] = [_mm_setzero_si128(); N];
                for lane in 0..N {
                    cipher[lane] = chains[lane].output;
                }
                for at in 0..count {
                    let groups: [&mut Group; N] = data.each_mut().map(|data| &mut data[at]);
                    for lane in 0..N {
                        let first = _mm_xor_si128(load(&groups[lane][0]), chains[lane].keys.0[0]);
                        cipher[lane] = _mm_xor_si128(cipher[lane], first);
                    }
                    woven_block!($rounds, DECRYPT, N, 0, cipher, chains, groups);
                    woven_block!($rounds, DECRYPT, N, 1, cipher, chains, groups);
                    woven_block!($rounds, DECRYPT, N, 2, cipher, chains, groups);
                    woven_block!($rounds, DECRYPT, N, 3, cipher, chains, groups);
                }
                for lane in 0..N {
                    chains[lane].output = cipher[lane];
                }
            }

            /// Hashes `count` groups in each lane: each lane's waiting block and all but the last of these, which waits then.
            #[target_feature(enable = $features)]
            pub(in super::super) fn hash<const N: usize>(hashes: [&mut Hash; N], data: [&[Group]; N], count: usize) {
                $($clear;)?
                let mut states: [State; N] = hashes.each_ref().map(|hash| hash.state);
                let mut words: [Words; N] = hashes.each_ref().map(|hash| hash.next);
                for at in 0..count {
                    let before = states;
                    macro_rules! weave {
                        ($q:literal) => {
                            for lane in 0..N {
                                $rounds::<$q>(&mut states[lane], &mut words[lane]);
                                fence!(states[lane].cdgh, states[lane].abef);
                            }
                        };
                    }
                    weave!(0);
                    weave!(1);
                    weave!(2);
                    weave!(3);
                    weave!(4);
                    weave!(5);
                    weave!(6);
                    weave!(7);
                    weave!(8);
                    weave!(9);
                    weave!(10);
                    weave!(11);
                    weave!(12);
                    weave!(13);
                    weave!(14);
                    weave!(15);
                    for lane in 0..N {
                        states[lane].abef = _mm_add_epi32(states[lane].abef, before[lane].abef);
                        states[lane].cdgh = _mm_add_epi32(states[lane].cdgh, before[lane].cdgh);
                        words[lane] = words_of(&data[lane][at]);
                    }
                }
                for (hash, (state, words)) in hashes.into_iter().zip(states.into_iter().zip(words)) {
                    (hash.state, hash.next) = (state, words);
                }
            }

            /// Decrypts `count` groups in each lane. What is hashed is one group behind: each lane's waiting block and all but the last
            /// of these, which waits then.
            #[target_feature(enable = $features)]
            pub(in super::super) fn receive<const N: usize>(
                chains: [&mut Chain; N],
                hashes: [&mut Hash; N],
                mut data: [&mut [Group]; N],
                count: usize,
            ) {
                const DECRYPT: bool = true;
                $($clear;)?
                let mut cipher: [__m128i; N] = [_mm_setzero_si128(); N];
                for lane in 0..N {
                    cipher[lane] = chains[lane].output;
                }
                let mut states: [State; N] = hashes.each_ref().map(|hash| hash.state);
                let mut words: [Words; N] = hashes.each_ref().map(|hash| hash.next);
                for at in 0..count {
                    let before = states;
                    let groups: [&mut Group; N] = data.each_mut().map(|data| &mut data[at]);
                    for lane in 0..N {
                        let first = _mm_xor_si128(load(&groups[lane][0]), chains[lane].keys.0[0]);
                        cipher[lane] = _mm_xor_si128(cipher[lane], first);
                    }
                    woven_block!($rounds, DECRYPT, N, 0, cipher, chains, groups, states, words, [0, 1, 2, 3]);
                    woven_block!($rounds, DECRYPT, N, 1, cipher, chains, groups, states, words, [4, 5, 6, 7]);
                    woven_block!($rounds, DECRYPT, N, 2, cipher, chains, groups, states, words, [8, 9, 10, 11]);
                    woven_block!($rounds, DECRYPT, N, 3, cipher, chains, groups, states, words, [12, 13, 14, 15]);
                    for lane in 0..N {
                        states[lane].abef = _mm_add_epi32(states[lane].abef, before[lane].abef);
                        states[lane].cdgh = _mm_add_epi32(states[lane].cdgh, before[lane].cdgh);
                        words[lane] = words_of(groups[lane]);
                    }
                }
                for lane in 0..N {
                    chains[lane].output = cipher[lane];
                }
                for (hash, (state, words)) in hashes.into_iter().zip(states.into_iter().zip(words)) {
                    (hash.state, hash.next) = (state, words);
                }
            }
        }
    };
}

// Without AVX no register has an upper half that could be in the way. With it, whatever an earlier function left there halves the speed
// of instructions that have the old encoding only, as those of the hash do.
kernels!(plain, "aes,sha,sse4.1,ssse3", rounds);
kernels!(avx, "aes,sha,sse4.1,ssse3,avx", rounds, _mm256_zeroupper());
// Twice as many registers, which three lanes and more can use.
kernels!(avx512, "aes,sha,sse4.1,ssse3,avx,avx2,avx512f,avx512vl", rounds, _mm256_zeroupper());
// The same registers, and the schedule by them: no upper half of any is written here, as that alone makes the rounds a third slower.
kernels!(avx512_vector, "aes,sha,sse4.1,ssse3,avx,avx2,avx512f,avx512vl", rounds_vector, _mm256_zeroupper());
