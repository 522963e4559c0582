//! Primality of big numbers.
//!
//! The rules of "Security Guidelines for Client Developers" ask that a Diffie–Hellman prime which is not known be checked: `p` and
//! `(p - 1) / 2` both prime. The peer chose the number, so the test must not be one it could prepare for: Miller–Rabin with
//! fixed bases has pseudoprimes that anybody can construct. Bases here come out of SHA-256 over the number itself. Nobody chooses
//! them, and the answer for a number is always the same.

use crypto_bigint::BoxedUint;

use super::bigint::{Modulus, rem_small, small};
use super::hash::sha256;

/// Rounds for a number that an adversary may have chosen: a composite passes with a probability below 2⁻¹²⁸, which also is the work
/// of looking for one that does.
const ROUNDS_ADVERSARIAL: u32 = 64;

/// Rounds for a candidate that we drew at random: most composites of this size fail the first.
const ROUNDS_RANDOM: u32 = 8;

/// Odd primes that sieve candidates before anything expensive is done.
pub(super) const SMALL_PRIMES: [u16; 127] = small_primes();

/// Why a number is not a safe prime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsafe {
    /// It is composite.
    Composite,
    /// It may be prime, but half of it (rounded down) is composite.
    HalfComposite,
}

/// Checks that `p`, which is above 2¹⁰²³, may be prime: no small prime divides it, and 2^(p-1) = 1 modulo p. Together with a prime half
/// ([`check_half`]) this *proves* it prime.
pub(super) fn check_prime(p: &BoxedUint) -> Result<(), Unsafe> {
    let Some(modulus) = Modulus::new(p) else { return Err(Unsafe::Composite) };
    if SMALL_PRIMES.iter().any(|&small| rem_small(p, small.into()) == 0) {
        return Err(Unsafe::Composite);
    }
    // Pocklington's criterion: the prime factor (p-1)/2 of p-1 is above √p, and 2² - 1 = 3 does not divide p. So p itself needs no
    // rounds.
    let two = small(2, p.bits_precision());
    if !bool::from(modulus.pow_public(&two, &minus_one(p)).is_one()) {
        return Err(Unsafe::Composite);
    }
    Ok(())
}

/// Checks that `(p - 1) / 2` is prime, for a `p` that [`check_prime`] let pass.
pub(super) fn check_half(p: &BoxedUint) -> Result<(), Unsafe> {
    if half_has_small_factor(p) || !is_prime(&p.shr(1), ROUNDS_ADVERSARIAL) {
        return Err(Unsafe::HalfComposite);
    }
    Ok(())
}

/// Whether a number drawn at random is prime. It is odd, above 2⁶⁴ and has no small factor.
pub(super) fn is_random_prime(candidate: &BoxedUint) -> bool {
    is_prime(candidate, ROUNDS_RANDOM)
}

/// Miller–Rabin with bases hashed out of the number.
fn is_prime(n: &BoxedUint, rounds: u32) -> bool {
    let Some(modulus) = Modulus::new(n) else { return false };
    let n_minus_1 = minus_one(n);
    let twos = n_minus_1.trailing_zeros_vartime();
    let odd_part = n_minus_1.shr(twos);
    let seed = sha256(&[&n.to_be_bytes()]);

    (0..rounds).all(|round| {
        let base = hashed_base(&seed, round, n);
        let mut x = modulus.pow_public(&base, &odd_part);
        // A base of 0, 1 or -1 says nothing, and is as likely as guessing a factor.
        if bool::from(x.is_one()) || x == n_minus_1 {
            return true;
        }
        for _ in 1..twos {
            x = modulus.pow_public(&x, &small(2, 64));
            if x == n_minus_1 {
                return true;
            }
        }
        false
    })
}

/// A base as long as `n`, out of the number's hash and the round's number.
fn hashed_base(seed: &[u8; 32], round: u32, n: &BoxedUint) -> BoxedUint {
    let bits = n.bits_precision();
    let blocks = bits.div_ceil(256);
    let bytes: Vec<u8> = (0..blocks).flat_map(|block| sha256(&[seed, &round.to_be_bytes(), &block.to_be_bytes()])).collect();
    let base = BoxedUint::from_be_slice_truncated(&bytes, bits);
    match n.as_nz_vartime() {
        Some(n) => base.rem_vartime(n),
        None => base,
    }
}

/// Whether a small prime divides `(p - 1) / 2`, for an odd `p`.
fn half_has_small_factor(p: &BoxedUint) -> bool {
    rem_small(p, 4) == 1 || SMALL_PRIMES.iter().any(|&small| rem_small(p, small.into()) == 1)
}

fn minus_one(n: &BoxedUint) -> BoxedUint {
    n.wrapping_sub(small(1, n.bits_precision()))
}

const fn small_primes() -> [u16; 127] {
    let mut found = [0; 127];
    let mut count = 0;
    let mut n = 3;
    while count < found.len() {
        let mut divisor = 3;
        while divisor * divisor <= n && n % divisor != 0 {
            divisor += 2;
        }
        if divisor * divisor > n {
            found[count] = n;
            count += 1;
        }
        n += 2;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::rfc3526_prime;
    use super::*;
    use crate::crypto::dh::KNOWN_PRIME;

    fn check_safe(p: &BoxedUint) -> Result<(), Unsafe> {
        check_prime(p).and_then(|()| check_half(p))
    }

    fn number(bytes: &[u8]) -> BoxedUint {
        BoxedUint::from_be_slice_vartime(bytes)
    }

    #[test]
    fn small_primes_are_the_odd_primes_up_to_719() {
        assert_eq!(SMALL_PRIMES[..8], [3, 5, 7, 11, 13, 17, 19, 23]);
        assert_eq!(SMALL_PRIMES[126], 719);
    }

    #[test]
    fn safe_primes_pass() {
        assert_eq!(check_safe(&number(&KNOWN_PRIME)), Ok(()));
        assert_eq!(check_safe(&number(&rfc3526_prime())), Ok(()));
    }

    #[test]
    fn an_even_number_is_composite() {
        let mut even = KNOWN_PRIME;
        even[255] ^= 1;
        assert_eq!(check_safe(&number(&even)), Err(Unsafe::Composite));
    }

    #[test]
    fn a_product_of_big_primes_is_composite() {
        // The modulus of Telegram's production key has no small factor.
        let key = crate::crypto::rsa::PublicKey::from_pem(super::super::testing::PRODUCTION_PEM).unwrap();
        assert_eq!(check_safe(&number(&key.modulus())), Err(Unsafe::Composite));
    }

    #[test]
    fn a_prime_with_a_composite_half_is_told_apart() {
        // 2^521 - 1 and 2^2203 - 1 are Mersenne primes; half of each, rounded down, is 2^k - 1 with a composite k.
        for bits in [521_u32, 2203] {
            let ones = BoxedUint::one_with_precision(2240).shl(bits).wrapping_sub(BoxedUint::one_with_precision(2240));
            assert_eq!(check_safe(&ones), Err(Unsafe::HalfComposite), "2^{bits} - 1");
        }
    }

    #[test]
    fn strong_pseudoprimes_to_fixed_bases_are_caught() {
        // F. Arnault, "Rabin-Miller primality test: composite numbers which pass it" (1995): composite, and a strong pseudoprime
        // to every prime base below 307.
        let p1 = number(&hex::decode(ARNAULT_P1).unwrap());
        let n = arnault(&p1);
        assert!(!is_prime(&n, ROUNDS_RANDOM));
    }

    /// The prime p₁ of Arnault's 397-digit number, n = p₁ · (313 (p₁ - 1) + 1) · (353 (p₁ - 1) + 1).
    const ARNAULT_P1: &str =
        "02acf5bff060d5cb98a808aef25df948beef3f7c06c5c5c9efed1e53d19363db74537f89d3cadcc9be464335664ed21d0b6dbc736e0e23";

    fn arnault(p1: &BoxedUint) -> BoxedUint {
        let p1 = BoxedUint::from_be_slice_truncated(&p1.to_be_bytes(), 1408);
        let one = small(1, 1408);
        let less = p1.wrapping_sub(&one);
        let p2 = less.wrapping_mul(small(313, 1408)).wrapping_add(&one);
        let p3 = less.wrapping_mul(small(353, 1408)).wrapping_add(&one);
        p1.wrapping_mul(p2).wrapping_mul(p3)
    }

    #[test]
    fn verdicts_agree_with_the_small_primes() {
        // Around 2^64 the machine-word test of `pq` is the judge.
        for n in (u64::MAX - 600..u64::MAX).step_by(2) {
            let big = BoxedUint::from(n | 1);
            assert_eq!(is_prime(&big, ROUNDS_RANDOM), crate::crypto::pq::is_prime(n | 1), "{n}");
        }
    }
}
