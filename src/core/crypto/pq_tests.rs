use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::testing::{Script, samples};
use super::*;

#[test]
fn published_products() {
    for sample in samples() {
        let (p, q) = (sample.number("p"), sample.number("q"));
        assert_eq!(factorize(sample.number("pq")), Some((p, q)), "{}", sample.name);
    }
    // From the tests of TDLib, grammers and gotd.
    for (pq, p, q) in [
        (0x17ed_4894_1a08_f981, 0x494c_553b, 0x5391_1073),
        (1_724_114_033_281_923_457, 1_229_739_323, 1_402_015_859),
        (2_090_522_174_869_285_481, 1_112_973_847, 1_878_321_023),
        (1_470_626_929_934_143_021, 1_206_429_347, 1_218_991_343),
        (2_804_275_833_720_261_793, 1_555_252_417, 1_803_100_129),
        (2_694_724_800_268_887_959, 1_513_098_571, 1_780_931_429),
        (378_221, 613, 617),
        (15, 3, 5),
    ] {
        assert_eq!(factorize(pq), Some((p, q)));
    }
}

#[test]
fn small_numbers_agree_with_trial_division() {
    for n in 0..20_000_u64 {
        let p = (2..n).find(|&p| n.is_multiple_of(p));
        let q = p.map(|p| n / p).filter(|&q| (2..q).all(|r| r * r > q || !q.is_multiple_of(r)));
        let expected = p.zip(q).filter(|(p, q)| p != q);
        assert_eq!(factorize(n), expected, "{n}");
    }
}

#[test]
fn random_products_of_two_primes() {
    let mut rng = StdRng::from_seed([2; 32]);
    for _ in 0..500 {
        let (pq, p, q) = random_pq(&mut rng);
        assert!(p < q && p * q == pq && is_prime(p) && is_prime(q));
        assert!((1 << 30..1 << 31).contains(&p) && (1 << 30..1 << 31).contains(&q));
        assert_eq!(factorize(pq), Some((p, q)));
    }
}

#[test]
fn products_of_unequal_primes() {
    let mut rng = StdRng::from_seed([3; 32]);
    for bits in 2..32 {
        let mut p = (u64::from(rng.next_u32()) >> (32 - bits)) | 1 << (bits - 1) | 1;
        while !is_prime(p) {
            p += 2;
        }
        let mut q = (u64::MAX / p) | 1;
        while !is_prime(q) || q.checked_mul(p).is_none() {
            q -= 2;
        }
        assert_eq!(factorize(p * q), Some((p, q)), "{p} · {q}");
    }
}

#[test]
fn what_is_not_a_product_of_two_different_primes_is_refused() {
    // The largest prime below 2^64, the largest below 2^32, its square, two Mersenne primes.
    let primes = [2, 3, 65537, (1 << 31) - 1, 4_294_967_291, (1 << 61) - 1, 18_446_744_073_709_551_557];
    for prime in primes {
        assert!(is_prime(prime));
        assert_eq!(factorize(prime), None, "{prime}");
        if let Some(square) = prime.checked_mul(prime) {
            assert_eq!(factorize(square), None, "{prime}²");
        }
    }
    for n in [0, 1, 4, 8, 9, 30, 1 << 63, 211 * 211 * 223, 2_097_143_u64.pow(3), u64::MAX] {
        assert_eq!(factorize(n), None, "{n}");
    }
    // Three primes above the reach of trial division.
    assert_eq!(factorize(2_097_143 * 2_097_133 * 1_000_003), None);
}

/// Strong pseudoprimes to the first bases are no primes here.
#[test]
fn pseudoprimes_are_composite() {
    for n in [2047, 1_373_653, 25_326_001, 3_215_031_751, 2_152_302_898_747, 3_474_749_660_383, 341_550_071_728_321, 561, 1729]
    {
        assert!(!is_prime(n), "{n}");
    }
    assert!(!is_prime(3_825_123_056_546_413_051), "a strong pseudoprime to the first nine primes");
}

#[test]
fn any_number_ends() {
    let mut rng = StdRng::from_seed([4; 32]);
    for _ in 0..200 {
        let n = rng.next_u64();
        if let Some((p, q)) = factorize(n) {
            assert!(p < q && p * q == n && is_prime(p) && is_prime(q), "{n}");
        }
    }
    for n in u64::MAX - 40..=u64::MAX {
        factorize(n);
    }
}

#[test]
fn any_random_source_gives_a_product() {
    for byte in [0, 0xff, 0x55] {
        let (pq, p, q) = random_pq(&mut Script::constant(byte));
        assert!(p < q);
        assert_eq!(factorize(pq), Some((p, q)));
    }
}

#[test]
fn gcd_of_edges() {
    assert_eq!(gcd(0, 15), 15);
    assert_eq!(gcd(12, 15), 3);
    assert_eq!(gcd(15, 15), 15);
    assert_eq!(gcd(1 << 63, u64::MAX), 1);
}

#[test]
fn montgomery_agrees_with_wide_arithmetic() {
    let mut rng = StdRng::from_seed([5; 32]);
    for _ in 0..1000 {
        let n = rng.next_u64() | 1;
        let (a, b) = (rng.next_u64() % n, rng.next_u64() % n);
        let field = Montgomery::new(n);
        let product = field.reduce(u128::from(field.mul(field.enter(a), field.enter(b))));
        assert_eq!(u128::from(product), u128::from(a) * u128::from(b) % u128::from(n));
        assert_eq!(u128::from(field.add(a, b)), (u128::from(a) + u128::from(b)) % u128::from(n));
    }
}
