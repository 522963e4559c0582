//! The factorisation of `pq`, a proof of work that the key exchange asks of a client, and its making.
//!
//! Pollard's rho in Brent's form over Montgomery arithmetic on machine words. The product is below 2⁶⁴, so the smaller factor is
//! below 2³² and some 2¹⁶ steps find it: less than a millisecond.

use rand::Rng;

use crate::check::{Check, broken};

/// Splits `pq` into its two prime factors, the smaller first.
///
/// `None` unless `pq` is a product of exactly two different primes: not for 0, 1, a prime, a square, or more factors. Ends for every
/// number after a bounded amount of work.
pub fn factorize(pq: u64) -> Option<(u64, u64)> {
    let factor = match pq {
        0..4 => return None,
        _ if pq.is_multiple_of(2) => 2,
        _ => match small_factor(pq) {
            Some(factor) => factor,
            None if is_prime(pq) => return None,
            None => rho(pq)?,
        },
    };
    let (a, b) = (factor, pq / factor);
    let (alike, composite) = (a == b, !is_prime(a) || !is_prime(b));
    (!broken(Check::PqFactorsDiffer, alike) && !broken(Check::PqFactorsPrime, composite)).then(|| (a.min(b), a.max(b)))
}

/// Draws a `pq` as servers do, for the server role: two different primes of 31 bits. Returns the product and the factors, the
/// smaller first.
pub fn random_pq(rng: &mut dyn Rng) -> (u64, u64, u64) {
    let a = prime_from(u64::from(rng.next_u32()));
    let mut b = prime_from(u64::from(rng.next_u32()));
    if a == b {
        b = prime_from(a + 2);
    }
    (a * b, a.min(b), a.max(b))
}

/// Whether `n` is prime, for certain: Miller–Rabin with the first twelve primes as bases decides every number below 2⁶⁴.
pub(super) fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    for base in BASES {
        if n.is_multiple_of(base) {
            return n == base;
        }
    }
    let field = Montgomery::new(n);
    let (one, minus_one) = (field.one(), n - field.one());
    let twos = (n - 1).trailing_zeros();
    let odd_part = (n - 1) >> twos;
    BASES.into_iter().all(|base| {
        let mut x = field.pow(field.enter(base), odd_part);
        if x == one || x == minus_one {
            return true;
        }
        for _ in 1..twos {
            x = field.mul(x, x);
            if x == minus_one {
                return true;
            }
        }
        false
    })
}

/// The first prime from `draw` on, moved into 2³⁰..2³¹ and going round at its end.
fn prime_from(draw: u64) -> u64 {
    const LOW: u64 = 1 << 30;
    let mut candidate = LOW | (draw & (LOW - 1)) | 1;
    while !is_prime(candidate) {
        candidate = LOW | ((candidate + 2) & (LOW - 1));
    }
    candidate
}

/// An odd prime factor below 211, if there is one. Rho is at its worst with tiny factors: both collapse in one batch.
fn small_factor(n: u64) -> Option<u64> {
    let small = super::prime::SMALL_PRIMES.iter().take_while(|&&prime| prime < 211);
    small.map(|&prime| u64::from(prime)).find(|&prime| n.is_multiple_of(prime))
}

/// A proper factor of an odd composite number, by Pollard's rho.
fn rho(n: u64) -> Option<u64> {
    // Rho never splits the square of a prime: both factors collapse together.
    let root = n.isqrt();
    if root * root == n {
        return Some(root);
    }
    let field = Montgomery::new(n);
    // One polynomial in three or so fails. Ten in a row have not been seen to; sixty-four end the matter in any case.
    (1..=64).find_map(|c| rho_with(&field, c))
}

/// One run of rho with the polynomial x² + c. `None` when its cycle closes without a factor.
fn rho_with(field: &Montgomery, c: u64) -> Option<u64> {
    // How many differences are multiplied before their common divisor with n is taken.
    const BATCH: u64 = 128;
    // The cycle modulo a factor below 2³² is expected to close after 2¹⁶ steps.
    const LAST_SPAN: u64 = 1 << 20;

    let n = field.n;
    let step = |x: u64| field.add(field.mul(x, x), c);

    let mut ahead = field.enter(2);
    let mut span = 1;
    while span <= LAST_SPAN {
        let behind = ahead;
        for _ in 0..span {
            ahead = step(ahead);
        }
        let mut done = 0;
        while done < span {
            let batch_start = ahead;
            let mut product = field.one();
            for _ in 0..BATCH.min(span - done) {
                ahead = step(ahead);
                product = field.mul(product, ahead.abs_diff(behind));
            }
            done += BATCH;
            match gcd(product, n) {
                1 => {}
                // Several factors fell into one batch: go through it again, difference by difference.
                divisor if divisor == n => {
                    let mut x = batch_start;
                    return (0..BATCH)
                        .find_map(|_| {
                            x = step(x);
                            let divisor = gcd(x.abs_diff(behind), n);
                            (divisor > 1).then_some(divisor)
                        })
                        // Both factors at the same step: this polynomial cannot tell them apart.
                        .filter(|&divisor| divisor < n);
                }
                divisor => return Some(divisor),
            }
        }
        span *= 2;
    }
    None
}

/// The greatest common divisor with an odd `n`; of 0 and `n` it is `n`.
fn gcd(mut a: u64, mut n: u64) -> u64 {
    if a == 0 {
        return n;
    }
    a >>= a.trailing_zeros();
    while a != n {
        if a < n {
            std::mem::swap(&mut a, &mut n);
        }
        a -= n;
        a >>= a.trailing_zeros();
    }
    n
}

/// Arithmetic modulo an odd `n`, on numbers kept multiplied by 2⁶⁴. All values are below `n`.
struct Montgomery {
    n: u64,
    /// The inverse of `n` modulo 2⁶⁴.
    inverse: u64,
    /// 2¹²⁸ modulo `n`.
    r2: u64,
}

impl Montgomery {
    fn new(n: u64) -> Self {
        debug_assert!(n % 2 == 1);
        // Newton's iteration doubles the number of right bits, and n is its own inverse modulo 8.
        let mut inverse = n;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)));
        }
        let r = (1u128 << 64) % u128::from(n);
        let r2 = (r * r % u128::from(n)) as u64;
        Self { n, inverse, r2 }
    }

    fn one(&self) -> u64 {
        self.reduce(self.r2.into())
    }

    fn enter(&self, x: u64) -> u64 {
        self.mul(x % self.n, self.r2)
    }

    #[inline]
    fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce(u128::from(a) * u128::from(b))
    }

    #[inline]
    fn add(&self, a: u64, b: u64) -> u64 {
        let room = self.n - a;
        if b >= room { b - room } else { a + b }
    }

    /// `t` / 2⁶⁴ modulo `n`, for `t` below `n` · 2⁶⁴.
    #[inline]
    fn reduce(&self, t: u128) -> u64 {
        let quotient = (t as u64).wrapping_mul(self.inverse);
        let low = ((u128::from(quotient) * u128::from(self.n)) >> 64) as u64;
        let (difference, below_zero) = ((t >> 64) as u64).overflowing_sub(low);
        if below_zero { difference.wrapping_add(self.n) } else { difference }
    }

    fn pow(&self, mut base: u64, mut exponent: u64) -> u64 {
        let mut out = self.one();
        while exponent > 0 {
            if exponent & 1 == 1 {
                out = self.mul(out, base);
            }
            base = self.mul(base, base);
            exponent >>= 1;
        }
        out
    }
}

#[cfg(test)]
#[path = "pq_tests.rs"]
mod tests;
