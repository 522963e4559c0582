//! Blocks into registers and back.

use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

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
