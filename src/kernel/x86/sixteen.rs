//! The hash of sixteen messages at once, in the registers of AVX-512: with half of the instructions that eight at once take (measured on Ice
//! Lake: 3.4 GB/s, and 2.8 for eight).

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32 as add, _mm512_broadcast_i32x4, _mm512_castsi128_si512, _mm512_inserti32x4,
    _mm512_ror_epi32 as rotate, _mm512_set1_epi32 as everywhere, _mm512_setzero_si512 as zero, _mm512_shuffle_epi8,
    _mm512_srli_epi32 as shift, _mm512_ternarylogic_epi32 as logic, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::abreast::{abreast, rounds, sum};
use super::bytes::{gathered_sixteen as gathered, load, scattered_sixteen as scattered};
use super::sha::swap;

/// Messages side by side.
pub(super) const SIXTEEN: usize = 16;

abreast!(SIXTEEN, __m512i, "avx512f,avx512vl,avx512bw");

/// Rows for columns in each quarter: four rows of four words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed([a, b, c, d]: [Words; 4]) -> [Words; 4] {
    let (low_ab, low_cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (high_ab, high_cd) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low_ab, low_cd),
        _mm512_unpackhi_epi64(low_ab, low_cd),
        _mm512_unpacklo_epi64(high_ab, high_cd),
        _mm512_unpackhi_epi64(high_ab, high_cd),
    ]
}

/// The words of a group of each message.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
fn words_of(groups: [&Group; SIXTEEN]) -> [Words; 16] {
    let swap = _mm512_broadcast_i32x4(swap());
    let mut words = [zero(); 16];
    for (at, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Message n is in the first quarter, n + 4 in the second, and so on: what follows leaves quarters where they are.
        let blocks = |n: usize| {
            let first = _mm512_castsi128_si512(load(&groups[n][at]));
            let two = _mm512_inserti32x4::<1>(first, load(&groups[n + 4][at]));
            let three = _mm512_inserti32x4::<2>(two, load(&groups[n + 8][at]));
            _mm512_shuffle_epi8(_mm512_inserti32x4::<3>(three, load(&groups[n + 12][at])), swap)
        };
        *words = transposed([blocks(0), blocks(1), blocks(2), blocks(3)]);
    }
    words
}
