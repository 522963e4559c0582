//! Key shares that hold up to a look: a point on Curve25519 that has a private key, and the encoding of a possible ML-KEM-768 key.
//!
//! No key is ever agreed on with them, so nothing here is secret. But an observer can tell a point that is not on the curve, or a
//! coefficient that is out of range, from what a browser sends.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use rand::Rng;

/// Length of a share of X25519.
pub(super) const X25519: usize = 32;
/// Length of an encapsulation key of ML-KEM-768 (FIPS 203): three polynomials of 256 coefficients of 12 bits, and 32 bytes of seed.
pub(super) const ML_KEM_768: usize = 3 * 256 * 12 / 8 + 32;

/// The modulus of ML-KEM's coefficients.
const Q: u16 = 3329;

/// The public key of a random private key (RFC 7748).
pub(super) fn x25519(rng: &mut dyn Rng) -> [u8; X25519] {
    let mut scalar = [0; X25519];
    rng.fill_bytes(&mut scalar);
    multiply(&scalar, 9)
}

/// Appends an encapsulation key: coefficients below the modulus, spread evenly as a real key's are, and a seed.
pub(super) fn put_ml_kem_768(rng: &mut dyn Rng, out: &mut Vec<u8>) {
    out.reserve(ML_KEM_768);
    let mut coefficient = || {
        /// Each draw is in range four times out of five. A broken source must not keep us here.
        const TRIES: usize = 64;
        let drawn = (0..TRIES).map(|_| (rng.next_u32() & 0xfff) as u16).find(|drawn| *drawn < Q);
        drawn.unwrap_or_default()
    };
    for _ in 0..3 * 256 / 2 {
        let (first, second) = (coefficient(), coefficient());
        let [low, high] = first.to_le_bytes();
        let [second_low, second_high] = second.to_le_bytes();
        out.extend([low, high | second_low << 4, second_low >> 4 | second_high << 4]);
    }
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    out.extend(seed);
}

/// X25519 of a scalar and the u-coordinate of a point: the ladder of RFC 7748, section 5.
fn multiply(scalar: &[u8; X25519], u: u64) -> [u8; X25519] {
    let mut scalar = *scalar;
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 127 | 64;

    let field = Field::new();
    let a24 = field.small(121_665);
    let x1 = field.small(u);
    let (mut x2, mut z2) = (field.small(1), field.small(0));
    let (mut x3, mut z3) = (x1.clone(), field.small(1));
    let mut swapped = false;
    for at in (0..255).rev() {
        let bit = scalar[at / 8] >> (at % 8) & 1 == 1;
        if bit != swapped {
            std::mem::swap(&mut x2, &mut x3);
            std::mem::swap(&mut z2, &mut z3);
        }
        swapped = bit;
        let (a, b) = (x2.add(&z2), x2.sub(&z2));
        let (c, d) = (x3.add(&z3), x3.sub(&z3));
        let (aa, bb) = (a.square(), b.square());
        let e = aa.sub(&bb);
        let (da, cb) = (d.mul(&a), c.mul(&b));
        x3 = da.add(&cb).square();
        z3 = x1.mul(&da.sub(&cb).square());
        x2 = aa.mul(&bb);
        z2 = e.mul(&aa.add(&a24.mul(&e)));
    }
    if swapped {
        std::mem::swap(&mut x2, &mut x3);
        std::mem::swap(&mut z2, &mut z3);
    }
    // The inverse of 0 comes out as 0 this way, as the RFC wants it.
    let inverse = z2.pow(&field.exponent);
    let mut out = [0; X25519];
    for (byte, found) in out.iter_mut().zip(x2.mul(&inverse).retrieve().to_be_bytes().iter().rev()) {
        *byte = *found;
    }
    out
}

/// The integers modulo 2^255 - 19.
struct Field {
    params: BoxedMontyParams,
    /// The modulus less two: the exponent that inverts.
    exponent: BoxedUint,
}

impl Field {
    const BITS: u32 = 256;

    fn new() -> Self {
        let mut modulus = [0xff; 32];
        (modulus[0], modulus[31]) = (0x7f, 0xed);
        let number = |bytes: [u8; 32]| BoxedUint::from_be_slice_truncated(&bytes, Self::BITS);
        let odd: Option<Odd<BoxedUint>> = number(modulus).to_odd().into();
        let params = BoxedMontyParams::new_vartime(odd.expect("the prime is odd"));
        modulus[31] = 0xeb;
        Self { params, exponent: number(modulus) }
    }

    fn small(&self, value: u64) -> BoxedMontyForm {
        BoxedMontyForm::new(BoxedUint::from_be_slice_truncated(&value.to_be_bytes(), Self::BITS), &self.params)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    /// RFC 7748: Bob's public key of section 6.1, and one turn of the iterated test of section 5.2.
    #[test]
    fn published_keys() {
        let private = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        assert_eq!(multiply(&private, 9), bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
        let nine = bytes("0900000000000000000000000000000000000000000000000000000000000000");
        assert_eq!(multiply(&nine, 9), bytes("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
    }

    #[test]
    fn a_kem_key_has_coefficients_in_range_and_all_over_it() {
        let mut out = Vec::new();
        put_ml_kem_768(&mut StdRng::from_seed([3; 32]), &mut out);
        assert_eq!(out.len(), ML_KEM_768);
        let coefficients: Vec<u16> = out[..1152]
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[a, b, c]| [u16::from(a) | u16::from(b & 15) << 8, u16::from(b >> 4) | u16::from(c) << 4])
            .collect();
        assert_eq!(coefficients.len(), 768);
        assert!(coefficients.iter().all(|coefficient| *coefficient < Q));
        assert!(coefficients.iter().any(|coefficient| *coefficient > 3000), "the upper end is used too");
    }
}
