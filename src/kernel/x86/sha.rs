//! SHA-256 (FIPS 180-4) by the instructions for it: the rounds, and the ends of a message.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_ror_epi32, _mm_set_epi64x, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_epi32,
    _mm_srli_si128, _mm_ternarylogic_epi32,
};

use super::bytes::{load, numbers, of_numbers, store};
use crate::{BLOCK, Block};

/// What one compression takes: four blocks of the cipher.
pub(super) type Group = [Block; 4];

/// The constants of the rounds, four at a time.
#[repr(align(16))]
pub(super) struct Constants(pub(super) [[u32; 4]; 16]);

pub(super) static K: Constants = Constants([
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
]);

/// The exclusive or of three, as a table of its eight cases.
pub(super) const XOR: i32 = 0x96;

/// A running hash, in the order in which the instructions want its eight words.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) abef: __m128i,
    pub(super) cdgh: __m128i,
}

/// The sixteen words of a block to be compressed.
pub(super) type Words = [__m128i; 4];

/// Four bytes as a big-endian number, in each of the four places.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn words(bytes: __m128i) -> __m128i {
    _mm_shuffle_epi8(bytes, swap())
}

/// Where the bytes of a block go in its words.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn swap() -> __m128i {
    _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203)
}

/// All words of a group.
#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn words_of(group: &Group) -> Words {
    let [a, b, c, d] = group;
    [words(load(a)), words(load(b)), words(load(c)), words(load(d))]
}

/// Rounds `4 * Q` to `4 * Q + 3`. The message schedule goes on in `words`, whose oldest four are replaced.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn rounds<const Q: usize>(state: &mut State, words: &mut Words) {
    if Q >= 4 {
        let [oldest, older, before, last] = [words[Q % 4], words[(Q + 1) % 4], words[(Q + 2) % 4], words[(Q + 3) % 4]];
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(oldest, older), _mm_alignr_epi8::<4>(last, before));
        words[Q % 4] = _mm_sha256msg2_epu32(sum, last);
    }
    compress_four::<Q>(state, words[Q % 4]);
}

/// The same, for processors whose two instructions for the message schedule are slow: twenty ordinary ones, which any of three ports
/// takes, are faster than two for five to six cycles each on one port (Ice Lake).
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3,avx512f,avx512vl")]
pub(super) fn rounds_vector<const Q: usize>(state: &mut State, words: &mut Words) {
    if Q >= 4 {
        let [oldest, older, before, last] = [words[Q % 4], words[(Q + 1) % 4], words[(Q + 2) % 4], words[(Q + 3) % 4]];
        let w15 = _mm_alignr_epi8::<4>(older, oldest);
        let small = _mm_ternarylogic_epi32::<XOR>(_mm_ror_epi32::<7>(w15), _mm_ror_epi32::<18>(w15), _mm_srli_epi32::<3>(w15));
        let sum = _mm_add_epi32(_mm_add_epi32(oldest, _mm_alignr_epi8::<4>(last, before)), small);
        // Two words at a time: the later two are made of the earlier two. What makes nothing adds zero.
        let sum = _mm_add_epi32(sum, large(_mm_srli_si128::<8>(last)));
        words[Q % 4] = _mm_add_epi32(sum, large(_mm_slli_si128::<8>(sum)));
    }
    compress_four::<Q>(state, words[Q % 4]);
}

/// The larger of the schedule's two functions: zero of zero.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn large(words: __m128i) -> __m128i {
    _mm_ternarylogic_epi32::<XOR>(_mm_ror_epi32::<17>(words), _mm_ror_epi32::<19>(words), _mm_srli_epi32::<10>(words))
}

/// Rounds `4 * Q` to `4 * Q + 3` with the words for them.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress_four<const Q: usize>(state: &mut State, words: __m128i) {
    // Their bytes are the numbers' as the processor has them in memory.
    let [a, b, c, d] = K.0[Q];
    let constants = _mm_set_epi64x(pair(c, d), pair(a, b));
    let input = _mm_add_epi32(words, constants);
    state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, input);
    state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32::<0x0e>(input));
}

#[inline(always)]
const fn pair(low: u32, high: u32) -> i64 {
    (low as u64 | (high as u64) << 32).cast_signed()
}

/// One whole block.
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn compress(state: &mut State, mut words: Words) {
    let before = *state;
    rounds::<0>(state, &mut words);
    rounds::<1>(state, &mut words);
    rounds::<2>(state, &mut words);
    rounds::<3>(state, &mut words);
    rounds::<4>(state, &mut words);
    rounds::<5>(state, &mut words);
    rounds::<6>(state, &mut words);
    rounds::<7>(state, &mut words);
    rounds::<8>(state, &mut words);
    rounds::<9>(state, &mut words);
    rounds::<10>(state, &mut words);
    rounds::<11>(state, &mut words);
    rounds::<12>(state, &mut words);
    rounds::<13>(state, &mut words);
    rounds::<14>(state, &mut words);
    rounds::<15>(state, &mut words);
    state.abef = _mm_add_epi32(state.abef, before.abef);
    state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
}

impl State {
    /// The initial value (section 5.3.3).
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self::of_letters([
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ])
    }

    /// The state whose words, from a to h, are these.
    #[inline(always)]
    pub(super) fn of_letters([a, b, c, d, e, f, g, h]: [u32; 8]) -> Self {
        Self { abef: of_numbers([f, e, b, a]), cdgh: of_numbers([h, g, d, c]) }
    }

    /// The other way.
    #[inline(always)]
    pub(super) fn letters(&self) -> [u32; 8] {
        let ([f, e, b, a], [h, g, d, c]) = (numbers(self.abef), numbers(self.cdgh));
        [a, b, c, d, e, f, g, h]
    }

    /// The digest of a message of `total` bytes, of which `rest`, at most 48, are not compressed yet.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn finish(mut self, rest: &[u8], total: usize) -> [u8; 32] {
        let mut last: Group = [[0; BLOCK]; 4];
        let bytes = last.as_flattened_mut();
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        bytes[56..].copy_from_slice(&(8 * total as u64).to_be_bytes());
        compress(&mut self, words_of(&last));

        let feba = _mm_shuffle_epi32::<0x1b>(self.abef);
        let dchg = _mm_shuffle_epi32::<0xb1>(self.cdgh);
        let dcba = _mm_blend_epi16::<0xf0>(feba, dchg);
        let hgfe = _mm_alignr_epi8::<8>(dchg, feba);
        let mut digest = [0; 32];
        let ([low, high], []) = digest.as_chunks_mut() else { unreachable!("32 bytes are two blocks") };
        store(low, words(dcba));
        store(high, words(hgfe));
        digest
    }
}
