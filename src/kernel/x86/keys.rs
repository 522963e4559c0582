//! The key schedule of AES-256 (FIPS 197, section 5.2), by the instructions that help with it.

use std::arch::x86_64::{
    __m128i, _mm_aesimc_si128, _mm_aeskeygenassist_si128, _mm_setzero_si128, _mm_shuffle_epi32, _mm_slli_si128, _mm_xor_si128,
};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::bytes::load;

/// Round keys of AES-256, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct RoundKeys(pub(super) [__m128i; 15]);

/// The key before the last but one, mixed with itself as the schedule wants it, and with what the last one became.
#[inline]
#[target_feature(enable = "aes")]
fn next(before: __m128i, assisted: __m128i) -> __m128i {
    let mut mixed = before;
    mixed = _mm_xor_si128(mixed, _mm_slli_si128::<4>(mixed));
    mixed = _mm_xor_si128(mixed, _mm_slli_si128::<8>(mixed));
    _mm_xor_si128(mixed, assisted)
}

impl RoundKeys {
    /// For encryption.
    #[target_feature(enable = "aes")]
    pub(super) fn encrypting(key: &[u8; 32]) -> Self {
        let mut keys = Self([_mm_setzero_si128(); 15]);
        let k = &mut keys.0;
        let ([low, high], []) = key.as_chunks() else { unreachable!("32 bytes are two blocks") };
        (k[0], k[1]) = (load(low), load(high));
        // The constant of each pair of rounds has to be one at compile time.
        macro_rules! pair {
            ($at:literal, $constant:literal) => {
                let rotated = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(k[$at - 1]));
                k[$at] = next(k[$at - 2], rotated);
                let substituted = _mm_shuffle_epi32::<0xaa>(_mm_aeskeygenassist_si128::<0>(k[$at]));
                k[$at + 1] = next(k[$at - 1], substituted);
            };
        }
        pair!(2, 0x01);
        pair!(4, 0x02);
        pair!(6, 0x04);
        pair!(8, 0x08);
        pair!(10, 0x10);
        pair!(12, 0x20);
        let rotated = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<0x40>(k[13]));
        k[14] = next(k[12], rotated);
        keys
    }

    /// For decryption by the equivalent inverse cipher (section 5.3.5): the same backwards, the inner ones mixed.
    #[target_feature(enable = "aes")]
    pub(super) fn decrypting(key: &[u8; 32]) -> Self {
        let mut keys = Self::encrypting(key);
        keys.0.reverse();
        for key in &mut keys.0[1..14] {
            *key = _mm_aesimc_si128(*key);
        }
        keys
    }
}
