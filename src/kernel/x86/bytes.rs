//! Blocks into registers and back.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadl_epi64, _mm_loadu_si128, _mm_storeu_si128, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_loadu_si512, _mm512_storeu_si512,
};

use crate::Block;

/// The block, its first byte lowest.
#[inline(always)]
pub(super) fn load(block: &Block) -> __m128i {
    // SAFETY: the reference is good for sixteen bytes, of which any may be read in any order, and the instruction wants no alignment.
    // It is of SSE2, which every x86-64 processor has.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

/// The other way.
#[inline(always)]
pub(super) fn store(block: &mut Block, value: __m128i) {
    // SAFETY: the reference is good for writing sixteen bytes and nobody else holds it, and the instruction wants no alignment. It is of
    // SSE2, which every x86-64 processor has.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) }
}

/// The upper half of the block as the lower half, and nothing above.
#[inline(always)]
pub(super) fn load_high(block: &Block) -> __m128i {
    // SAFETY: as for `load`, of eight bytes.
    unsafe { _mm_loadl_epi64(block.as_ptr().add(8).cast()) }
}

/// The halves into two blocks.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_halves(low: &mut Block, high: &mut Block, value: __m256i) {
    store(low, _mm256_castsi256_si128(value));
    store(high, _mm256_extracti128_si256::<1>(value));
}

/// Two blocks at once.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn load_two(blocks: &[Block; 2]) -> __m256i {
    // SAFETY: the reference is good for 32 bytes, and the instruction wants no alignment.
    unsafe { _mm256_loadu_si256(blocks.as_ptr().cast()) }
}

/// The other way.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn store_two(blocks: &mut [Block; 2], value: __m256i) {
    // SAFETY: as above, for writing; nobody else has it.
    unsafe { _mm256_storeu_si256(blocks.as_mut_ptr().cast(), value) }
}

/// Four numbers, the lowest first.
#[inline(always)]
pub(super) fn numbers(value: __m128i) -> [u32; 4] {
    let mut block = [0; 16];
    store(&mut block, value);
    let (numbers, []) = block.as_chunks() else { unreachable!("16 bytes are four numbers") };
    [0, 1, 2, 3].map(|at| u32::from_le_bytes(numbers[at]))
}

/// The other way.
#[inline(always)]
pub(super) fn of_numbers(numbers: [u32; 4]) -> __m128i {
    let mut block = [0; 16];
    block.as_chunks_mut().0.iter_mut().zip(numbers).for_each(|(bytes, number)| *bytes = number.to_le_bytes());
    load(&block)
}

/// Eight numbers into one register, the lowest first.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn gathered(numbers: [u32; 8]) -> __m256i {
    // SAFETY: the array is good for 32 bytes, and the instruction wants no alignment.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

/// The other way.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn scattered(value: __m256i) -> [u32; 8] {
    let mut numbers = [0; 8];
    // SAFETY: as above, for writing; nobody else has it.
    unsafe { _mm256_storeu_si256(numbers.as_mut_ptr().cast(), value) };
    numbers
}

/// Sixteen numbers into one register, the lowest first.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn gathered_sixteen(numbers: [u32; 16]) -> __m512i {
    // SAFETY: the array is good for 64 bytes, and the instruction wants no alignment.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// The other way.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn scattered_sixteen(value: __m512i) -> [u32; 16] {
    let mut numbers = [0; 16];
    // SAFETY: as above, for writing; nobody else has it.
    unsafe { _mm512_storeu_si512(numbers.as_mut_ptr().cast(), value) };
    numbers
}
