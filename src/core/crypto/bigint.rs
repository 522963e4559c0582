//! What the number theory here needs of `crypto-bigint`: fixed-width numbers to and from big-endian bytes, and modular powers.
//!
//! The boxed flavour is used on purpose: its arithmetic is compiled inside the dependency, hence optimised in debug builds too,
//! where the const-generic flavour, compiled with this crate, is not.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Limb, NonZero, Odd};
use zeroize::Zeroizing;

/// A small number, `bits` bits wide.
pub(super) fn small(value: u64, bits: u32) -> BoxedUint {
    BoxedUint::from_be_slice_truncated(&value.to_be_bytes(), bits)
}

/// Reads big-endian bytes into a number of `bits` bits (a multiple of 64), or `None` when the value needs more.
pub(super) fn from_be(bytes: &[u8], bits: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(without_leading_zeros(bytes), bits).ok()
}

/// Writes a number as exactly `N` big-endian bytes, with leading zeros. The number has to be `8 * N` bits wide.
pub(super) fn to_be<const N: usize>(number: &BoxedUint) -> [u8; N] {
    let bytes = Zeroizing::new(number.to_be_bytes());
    let mut out = [0; N];
    out.copy_from_slice(&bytes);
    out
}

/// Drops the zero bytes in front of a big-endian number.
pub(super) fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// A public modulus, prepared for powers. (The preparation is not wiped.)
#[derive(Clone)]
pub(super) struct Modulus(BoxedMontyParams);

impl Modulus {
    /// Prepares an odd public modulus, or returns `None` for an even one.
    pub(super) fn new(modulus: &BoxedUint) -> Option<Self> {
        let odd: Option<Odd<BoxedUint>> = modulus.to_odd().into();
        Some(Self(BoxedMontyParams::new_vartime(odd?)))
    }

    /// The modulus itself.
    pub(super) fn value(&self) -> &BoxedUint {
        self.0.modulus()
    }

    /// `base` to the power `exponent`, in a time that depends on the widths of the numbers only. `base` has the modulus' width.
    pub(super) fn pow(&self, base: &BoxedUint, exponent: &BoxedUint) -> BoxedUint {
        Zeroizing::new(self.form(base).pow(exponent)).retrieve()
    }

    /// The product of two numbers below the modulus, both of its width, in a time that does not depend on them.
    pub(super) fn mul(&self, a: &BoxedUint, b: &BoxedUint) -> BoxedUint {
        self.form(a).mul(&self.form(b)).retrieve()
    }

    /// The sum of two numbers below the modulus, both of its width, in a time that does not depend on them.
    pub(super) fn add(&self, a: &BoxedUint, b: &BoxedUint) -> BoxedUint {
        self.form(a).add(&self.form(b)).retrieve()
    }

    /// The difference of two numbers below the modulus, both of its width, in a time that does not depend on them.
    pub(super) fn sub(&self, a: &BoxedUint, b: &BoxedUint) -> BoxedUint {
        self.form(a).sub(&self.form(b)).retrieve()
    }

    fn form(&self, number: &BoxedUint) -> Zeroizing<BoxedMontyForm> {
        Zeroizing::new(BoxedMontyForm::new(number.clone(), &self.0))
    }

    /// `base` to the power of a public exponent, whose length may show in the time taken.
    pub(super) fn pow_public(&self, base: &BoxedUint, exponent: &BoxedUint) -> BoxedUint {
        BoxedMontyForm::new(base.clone(), &self.0).pow_bounded_exp(exponent, exponent.bits_vartime()).retrieve()
    }
}

/// The remainder by a small divisor; `divisor` is not zero.
pub(super) fn rem_small(number: &BoxedUint, divisor: u64) -> u64 {
    let divisor = NonZero::new(Limb(divisor)).expect("small divisors are constants above zero");
    number.rem_limb(divisor).0
}
