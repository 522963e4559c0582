//! The hash of eight messages at once, in the registers of AVX2 with the instructions of AVX-512VL.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32 as add, _mm256_ror_epi32 as rotate, _mm256_set_m128i, _mm256_set1_epi32 as everywhere,
    _mm256_setzero_si256 as zero, _mm256_shuffle_epi8, _mm256_srli_epi32 as shift, _mm256_ternarylogic_epi32 as logic,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::abreast::{abreast, rounds, sum};
use super::bytes::{gathered, load, scattered};
use super::sha::swap;

/// Messages side by side.
pub(super) const EIGHT: usize = 8;

abreast!(EIGHT, __m256i, "avx512f,avx512vl");

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
    let mut words = [zero(); 16];
    for (at, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Message n is in the lower half, n + 4 in the upper: what follows leaves halves where they are.
        let blocks = |n: usize| _mm256_shuffle_epi8(_mm256_set_m128i(load(&groups[n + 4][at]), load(&groups[n][at])), swap);
        *words = transposed([blocks(0), blocks(1), blocks(2), blocks(3)]);
    }
    words
}
