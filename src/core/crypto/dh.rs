//! Diffie–Hellman, with every check that "Security Guidelines for Client Developers" demands.
//!
//! A [`Group`] exists only after its checks passed, and so does a peer's [`PublicValue`]; a shared key is computed from these two and
//! nothing else, so no check can be forgotten.

use std::fmt;

use crypto_bigint::BoxedUint;
use zeroize::Zeroizing;

use super::AuthKey;
use super::bigint::{self, Modulus, rem_small};
use super::prime;
use crate::check::{self, Check};

/// The length of a group's prime and of everything computed in it, in bytes.
pub const LEN: usize = 256;

/// The width of the numbers of a group.
pub(super) const BITS: u32 = 2048;

/// The prime that Telegram's servers have sent since 2013, printed in every version of "Creating an Authorization Key (Samples)". The
/// guidelines let a client embed it and save itself the primality tests.
///
/// Of the six generators, 3, 4 and 7 suit it. The oldest sample has 2, which is no square modulo it: such a group is refused.
pub const KNOWN_PRIME: [u8; LEN] = known_prime();

/// What is wrong with a group or a public value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DhError {
    /// The prime is not between 2^2047 and 2^2048.
    #[error("the DH prime has {bits} bits, not 2048")]
    PrimeSize {
        /// Its length in bits, without leading zeros.
        bits: usize,
    },
    /// The prime is composite.
    #[error("the DH prime is composite")]
    PrimeComposite,
    /// The prime `p` is not safe: `(p - 1) / 2` is composite.
    #[error("the DH prime p is not safe: (p - 1) / 2 is composite")]
    PrimeNotSafe,
    /// The generator is not one of those the protocol uses.
    #[error("the DH generator is {g}, not between 2 and 7")]
    GeneratorOutOfRange {
        /// The generator found.
        g: i32,
    },
    /// The generator is not a quadratic residue, so it does not generate the subgroup of prime order.
    #[error("the DH generator {g} is not a quadratic residue modulo the prime")]
    GeneratorNotResidue {
        /// The generator found.
        g: i32,
    },
    /// A public value is not above 1 and below `p - 1`.
    #[error("the DH public value is not between 1 and p - 1")]
    PublicOutOfRange,
    /// A public value is below 2^1984.
    #[error("the DH public value is below 2^1984")]
    PublicTooSmall,
    /// A public value is above `p - 2^1984`.
    #[error("the DH public value is above p - 2^1984")]
    PublicTooLarge,
}

/// A checked group: a safe prime of 2048 bits and a generator of its subgroup of prime order.
#[derive(Clone)]
pub struct Group {
    g: u8,
    prime: [u8; LEN],
    modulus: Modulus,
}

/// A peer's (or one's own) public value, inside the ranges of its group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicValue([u8; LEN]);

impl Group {
    /// Checks a group as it was received: `prime` in big-endian bytes.
    ///
    /// A known prime is not tested for primality again; the generator's conditions are checked always. For an unknown prime this
    /// takes some tenths of a second.
    pub fn check(g: i32, prime: &[u8]) -> Result<Self, DhError> {
        Self::check_telling(g, prime, &mut |_, _| {})
    }

    /// As [`Group::check`], telling of each check as it ends: which, and whether it holds.
    pub fn check_telling(g: i32, prime: &[u8], tell: &mut dyn FnMut(Check, bool)) -> Result<Self, DhError> {
        let mut broken = telling(tell);
        let digits = bigint::without_leading_zeros(prime);
        let bits = digits.first().map_or(0, |top| digits.len() * 8 - top.leading_zeros() as usize);
        if broken(Check::DhPrimeSize, bits != BITS as usize) {
            return Err(DhError::PrimeSize { bits });
        }
        let generator = match u8::try_from(g) {
            Ok(generator) if !broken(Check::DhGeneratorRange, !(2..=7).contains(&generator)) => generator,
            _ => return Err(DhError::GeneratorOutOfRange { g }),
        };
        let prime = <[u8; LEN]>::try_from(digits).map_err(|_| DhError::PrimeSize { bits })?;
        let p = bigint::from_be(&prime, BITS).ok_or(DhError::PrimeSize { bits })?;
        // Cheap before expensive: a bad generator spares us the primality tests.
        let modulus = Modulus::new(&p).ok_or(DhError::PrimeComposite)?;
        if broken(Check::DhGeneratorResidue, !is_quadratic_residue(generator, &p)) {
            return Err(DhError::GeneratorNotResidue { g });
        }
        let known = prime == KNOWN_PRIME;
        if broken(Check::DhPrimePrime, !known && prime::check_prime(&p).is_err()) {
            return Err(DhError::PrimeComposite);
        }
        if broken(Check::DhPrimeSafe, !known && prime::check_half(&p).is_err()) {
            return Err(DhError::PrimeNotSafe);
        }
        Ok(Self { g: generator, prime, modulus })
    }

    /// The known prime with generator 3, for servers.
    pub fn known() -> Self {
        Self::check(3, &KNOWN_PRIME).expect("the known prime satisfies every rule with g = 3")
    }

    /// The generator.
    pub fn g(&self) -> i32 {
        self.g.into()
    }

    /// The prime, big-endian.
    pub fn prime(&self) -> &[u8; LEN] {
        &self.prime
    }

    /// `g` to the power of `secret`, with leading zeros.
    ///
    /// The result of a random secret is out of the ranges that [`Group::check_public`] allows with a probability of 2⁻⁶³; whoever
    /// sends it checks it too, and draws again.
    pub fn public(&self, secret: &[u8; LEN]) -> [u8; LEN] {
        let g = bigint::small(self.g.into(), BITS);
        bigint::to_be(&self.power(&g, secret))
    }

    /// Checks a public value as it was received: `1 < x < p - 1`, and `2^1984 ≤ x ≤ p - 2^1984`.
    pub fn check_public(&self, value: &[u8]) -> Result<PublicValue, DhError> {
        self.check_public_telling(value, &mut |_, _| {})
    }

    /// As [`Group::check_public`], telling of each check as it ends: which, and whether it holds.
    pub fn check_public_telling(&self, value: &[u8], tell: &mut dyn FnMut(Check, bool)) -> Result<PublicValue, DhError> {
        let mut broken = telling(tell);
        let p = self.modulus.value();
        let x = bigint::from_be(value, BITS).ok_or(DhError::PublicOutOfRange)?;
        let one = BoxedUint::one_with_precision(BITS);
        if broken(Check::DhPublicRange, x <= one || x >= p.wrapping_sub(&one)) {
            return Err(DhError::PublicOutOfRange);
        }
        let margin = one.shl(BITS - 64);
        if broken(Check::DhPublicLeast, x < margin) {
            return Err(DhError::PublicTooSmall);
        }
        if broken(Check::DhPublicMost, x > p.wrapping_sub(&margin)) {
            return Err(DhError::PublicTooLarge);
        }
        Ok(PublicValue(bigint::to_be(&x)))
    }

    /// The authorization key that `secret` shares with the owner of `peer`: `peer` to the power of `secret`, with leading zeros.
    ///
    /// A checked value of another group gives a key that nobody shares, and no more harm than that.
    pub fn shared(&self, peer: &PublicValue, secret: &[u8; LEN]) -> AuthKey {
        let peer = BoxedUint::from_be_slice_truncated(&peer.0, BITS);
        let shared = Zeroizing::new(self.power(&peer, secret));
        AuthKey::from_boxed(Box::new(bigint::to_be(&shared)))
    }

    /// The prime, prepared for arithmetic.
    pub(super) fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    fn power(&self, base: &BoxedUint, secret: &[u8; LEN]) -> BoxedUint {
        let exponent = Zeroizing::new(BoxedUint::from_be_slice_truncated(secret, BITS));
        self.modulus.pow(base, &exponent)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.prime == KNOWN_PRIME { "known prime" } else { "another prime" };
        write!(f, "Group(g = {}, {name})", self.g)
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.g == other.g && self.prime == other.prime
    }
}

impl Eq for Group {}

impl PublicValue {
    /// The value, big-endian, with leading zeros.
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }
}

impl fmt::Debug for PublicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicValue(..)")
    }
}

/// A check that is told of, whatever comes of it.
fn telling(tell: &mut dyn FnMut(Check, bool)) -> impl FnMut(Check, bool) -> bool {
    move |check, broken| {
        tell(check, !broken);
        check::broken(check, broken)
    }
}

/// Whether `g` is a square modulo the safe prime `p`, by quadratic reciprocity: a condition on `p` modulo `4g` that the
/// guidelines spell out for the six generators in use.
fn is_quadratic_residue(g: u8, p: &BoxedUint) -> bool {
    match g {
        2 => rem_small(p, 8) == 7,
        3 => rem_small(p, 3) == 2,
        4 => true,
        5 => matches!(rem_small(p, 5), 1 | 4),
        6 => matches!(rem_small(p, 24), 19 | 23),
        7 => matches!(rem_small(p, 7), 3 | 5 | 6),
        _ => false,
    }
}

/// Decodes the prime at compile time, so that it can be read here as it is printed everywhere.
const fn known_prime() -> [u8; LEN] {
    const HEX: &[u8; 2 * LEN] = b"c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f\
        48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37\
        20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64\
        2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4\
        a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754\
        fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
        e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f\
        0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b";
    const fn digit(c: u8) -> u8 {
        if c <= b'9' { c - b'0' } else { c - b'a' + 10 }
    }
    let mut out = [0; LEN];
    let mut at = 0;
    while at < LEN {
        out[at] = digit(HEX[2 * at]) << 4 | digit(HEX[2 * at + 1]);
        at += 1;
    }
    out
}

#[cfg(test)]
#[path = "dh_tests.rs"]
mod tests;
