//! The hash of eight messages at once, by ordinary vector instructions of AVX-512VL: each message has one of the eight places of a register.
//!
//! It needs no instruction for SHA. On Intel's processors two rounds by those take three cycles of one port, whichever lane they are for, so
//! that lanes side by side gain little; here eight messages take as long as less than four there. FIPS 180-4, section 6.2.2.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_ror_epi32, _mm256_set_m128i, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi32, _mm256_ternarylogic_epi32, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::bytes::{gathered, load, numbers, of_numbers, scattered};
use super::lanes::Hash;
use super::sha::{Group, K, State, XOR, swap};

/// Messages side by side.
pub(super) const EIGHT: usize = 8;

/// "Choose", as a table of its eight cases: the second where the first has a one, else the third.
const CHOOSE: i32 = 0xca;
/// "Majority", likewise.
const MAJORITY: i32 = 0xe8;

/// One word of each message.
type Words = __m256i;

/// Sum of all that go in.
macro_rules! sum {
    ($first:expr $(, $more:expr)+) => {{
        let sum = $first;
        $(let sum = _mm256_add_epi32(sum, $more);)+
        sum
    }};
}

/// The word that is made of the sixteen before it, in the place of the oldest of them: `AT` is its number modulo 16.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn word<const AT: usize>(words: &mut [Words; 16]) {
    let (w15, w2) = (words[(AT + 1) % 16], words[(AT + 14) % 16]);
    let small =
        _mm256_ternarylogic_epi32::<XOR>(_mm256_ror_epi32::<7>(w15), _mm256_ror_epi32::<18>(w15), _mm256_srli_epi32::<3>(w15));
    let large =
        _mm256_ternarylogic_epi32::<XOR>(_mm256_ror_epi32::<17>(w2), _mm256_ror_epi32::<19>(w2), _mm256_srli_epi32::<10>(w2));
    words[AT] = sum!(words[AT], words[(AT + 9) % 16], small, large);
}

/// One round, of which `at` is the number modulo 16: in it the letter that is `n`-th of eight is in place `n - at`.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn round<const AT: usize, const FIRST: bool>(state: &mut [Words; 8], words: &mut [Words; 16], constants: &[u32; 16]) {
    if !FIRST {
        word::<AT>(words);
    }
    let place = |letter: usize| (letter + 16 - AT) % 8;
    let [a, b, c, e, f, g] = [0, 1, 2, 4, 5, 6].map(|letter| state[place(letter)]);
    let large =
        _mm256_ternarylogic_epi32::<XOR>(_mm256_ror_epi32::<6>(e), _mm256_ror_epi32::<11>(e), _mm256_ror_epi32::<25>(e));
    let constant = _mm256_set1_epi32(constants[AT].cast_signed());
    let t1 = sum!(
        _mm256_add_epi32(state[place(7)], _mm256_add_epi32(words[AT], constant)),
        _mm256_ternarylogic_epi32::<CHOOSE>(e, f, g),
        large
    );
    let large =
        _mm256_ternarylogic_epi32::<XOR>(_mm256_ror_epi32::<2>(a), _mm256_ror_epi32::<13>(a), _mm256_ror_epi32::<22>(a));
    let t2 = _mm256_add_epi32(large, _mm256_ternarylogic_epi32::<MAJORITY>(a, b, c));
    state[place(3)] = _mm256_add_epi32(state[place(3)], t1);
    state[place(7)] = _mm256_add_epi32(t1, t2);
}

/// Sixteen rounds, after which the letters are in their places again.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn sixteen<const FIRST: bool>(state: &mut [Words; 8], words: &mut [Words; 16], constants: &[u32; 16]) {
    macro_rules! rounds {
        ($($at:literal),+) => { $(round::<$at, FIRST>(state, words, constants);)+ };
    }
    rounds!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/// Rows for columns in each half: four rows of four words.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn transposed([a, b, c, d]: [Words; 4]) -> [Words; 4] {
    let (low_ab, low_cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
    let (high_ab, high_cd) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(low_ab, low_cd),
        _mm256_unpackhi_epi64(low_ab, low_cd),
        _mm256_unpacklo_epi64(high_ab, high_cd),
        _mm256_unpackhi_epi64(high_ab, high_cd),
    ]
}

/// The words of a group of each message.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn words_of(groups: [&Group; EIGHT]) -> [Words; 16] {
    let swap = _mm256_set_m128i(swap(), swap());
    let mut words = [_mm256_setzero_si256(); 16];
    for (at, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Message n is in the lower half, n + 4 in the upper: what follows leaves halves where they are.
        let blocks = |n: usize| _mm256_shuffle_epi8(_mm256_set_m128i(load(&groups[n + 4][at]), load(&groups[n][at])), swap);
        *words = transposed([blocks(0), blocks(1), blocks(2), blocks(3)]);
    }
    words
}

/// Hashes `count` groups of each message, as `lanes` does: each one's waiting block and all but the last of these, which waits then.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn hash(hashes: [&mut Hash; EIGHT], data: [&[Group]; EIGHT], count: usize) {
    let (constants, []) = K.0.as_flattened().as_chunks() else { unreachable!("64 are four times sixteen") };
    let mut words = [_mm256_setzero_si256(); 16];
    let mut state = [_mm256_setzero_si256(); 8];
    for (at, words) in words.iter_mut().enumerate() {
        *words = gathered(hashes.each_ref().map(|hash| numbers(hash.next[at / 4])[at % 4]));
    }
    for (letter, state) in state.iter_mut().enumerate() {
        *state = gathered(hashes.each_ref().map(|hash| hash.state.letters()[letter]));
    }
    for at in 0..count {
        let before = state;
        sixteen::<true>(&mut state, &mut words, &constants[0]);
        for constants in &constants[1..] {
            sixteen::<false>(&mut state, &mut words, constants);
        }
        for (state, before) in state.iter_mut().zip(before) {
            *state = _mm256_add_epi32(*state, before);
        }
        words = words_of(data.each_ref().map(|data| &data[at]));
    }
    let (state, words) = (state.map(|letter| scattered(letter)), words.map(|words| scattered(words)));
    for (n, hash) in hashes.into_iter().enumerate() {
        hash.state = State::of_letters(state.each_ref().map(|letter| letter[n]));
        for (at, next) in hash.next.iter_mut().enumerate() {
            *next = of_numbers([0, 1, 2, 3].map(|word| words[4 * at + word][n]));
        }
    }
}
