use num_bigint::BigUint;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::testing::{rfc3526_prime, sample, samples};
use super::*;

#[test]
fn the_known_prime_is_the_published_one() {
    assert_eq!(KNOWN_PRIME.to_vec(), sample("2024").bytes("dh_prime"));
}

/// g_b and the key of the published samples, from their secret b. One has g = 3. The other, of 2013, has g = 2, which is no square
/// modulo the prime: the arithmetic has to agree, and the group has to be refused.
#[test]
fn published_samples() {
    let mut seen = Vec::new();
    for sample in samples().iter().filter(|sample| sample.find("b").is_some()) {
        let g = i32::from_le_bytes(sample.array("g"));
        let group = match Group::check(g, &KNOWN_PRIME) {
            Ok(group) => group,
            Err(error) => {
                assert_eq!((g, error), (2, DhError::GeneratorNotResidue { g: 2 }));
                Group { g: 2, ..Group::known() }
            }
        };
        let b = sample.array("b");
        assert_eq!(group.public(&b).to_vec(), sample.bytes("g_b"), "{}", sample.name);
        let g_a = group.check_public(&sample.bytes("g_a")).unwrap();
        assert_eq!(group.shared(&g_a, &b).as_bytes().to_vec(), sample.bytes("auth_key"), "{}", sample.name);
        group.check_public(&sample.bytes("g_b")).unwrap();
        seen.push(g);
    }
    assert_eq!(seen, [3, 2]);
}

#[test]
fn powers_agree_with_another_library() {
    let mut rng = StdRng::from_seed([6; 32]);
    let group = Group::known();
    let p = BigUint::from_bytes_be(&KNOWN_PRIME);
    for _ in 0..3 {
        let (mut a, mut b) = ([0; LEN], [0; LEN]);
        rng.fill_bytes(&mut a);
        rng.fill_bytes(&mut b);
        let g_a = BigUint::from(3_u8).modpow(&BigUint::from_bytes_be(&a), &p);
        assert_eq!(BigUint::from_bytes_be(&group.public(&a)), g_a);
        let value = group.check_public(&group.public(&a)).unwrap();
        assert_eq!(BigUint::from_bytes_be(group.shared(&value, &b).as_bytes()), g_a.modpow(&BigUint::from_bytes_be(&b), &p));
    }
}

#[test]
fn both_sides_agree() {
    let mut rng = StdRng::from_seed([7; 32]);
    let group = Group::check(2, &rfc3526_prime()).unwrap();
    let (mut a, mut b) = ([0; LEN], [0; LEN]);
    rng.fill_bytes(&mut a);
    rng.fill_bytes(&mut b);
    let (g_a, g_b) = (group.check_public(&group.public(&a)).unwrap(), group.check_public(&group.public(&b)).unwrap());
    assert_eq!(group.shared(&g_a, &b), group.shared(&g_b, &a));
    assert_ne!(group.shared(&g_a, &a), group.shared(&g_b, &a));
}

/// A shared key that begins with zero bytes keeps them: it is always 256 bytes.
/// Row: A.2 "auth_key zero-padded to 256"
#[test]
fn keys_keep_leading_zeros() {
    let group = Group::known();
    let p = BigUint::from_bytes_be(&KNOWN_PRIME);
    let value = group.check_public(&group.public(&[0x5a; LEN])).unwrap();
    let base = BigUint::from_bytes_be(value.as_bytes());
    // About one exponent in 256 will do; small ones are fast to try.
    let exponent = (2_u32..).find(|&e| base.modpow(&e.into(), &p).bits() <= 2040).unwrap();
    let mut secret = [0; LEN];
    secret[LEN - 4..].copy_from_slice(&exponent.to_be_bytes());
    let key = group.shared(&value, &secret);
    assert_eq!(key.as_bytes()[0], 0);
    assert_eq!(BigUint::from_bytes_be(key.as_bytes()), base.modpow(&exponent.into(), &p));
    // And so does a public value.
    let mut one = [0; LEN];
    one[LEN - 1] = 1;
    let mut three = [0; LEN];
    three[LEN - 1] = 3;
    assert_eq!(group.public(&one), three);
}

/// Row: A.2 "p is 2048-bit safe prime"
#[test]
fn a_prime_of_another_size_is_refused() {
    let check = |prime: &[u8]| Group::check(3, prime).unwrap_err();
    assert_eq!(check(&[]), DhError::PrimeSize { bits: 0 });
    assert_eq!(check(&[0; 256]), DhError::PrimeSize { bits: 0 });
    assert_eq!(check(&[7]), DhError::PrimeSize { bits: 3 });
    assert_eq!(check(&KNOWN_PRIME[1..]), DhError::PrimeSize { bits: bits(&KNOWN_PRIME[1..]) });
    let mut small = KNOWN_PRIME;
    small[0] = 0x7f;
    assert_eq!(check(&small), DhError::PrimeSize { bits: 2047 });
    let mut long = vec![1];
    long.extend(KNOWN_PRIME);
    assert_eq!(check(&long), DhError::PrimeSize { bits: 2049 });
    assert_eq!(check(&vec![0xff; 100_000]), DhError::PrimeSize { bits: 800_000 });
}

fn bits(digits: &[u8]) -> usize {
    BigUint::from_bytes_be(digits).bits() as usize
}

/// A zero byte in front, as some serializers leave it, changes nothing.
#[test]
fn a_leading_zero_is_no_digit() {
    let mut padded = vec![0];
    padded.extend(KNOWN_PRIME);
    assert_eq!(Group::check(3, &padded), Ok(Group::known()));
}

/// Row: A.2 "1<g,g_a,g_b<p-1"
#[test]
fn a_generator_out_of_range_is_refused() {
    for g in [i32::MIN, -3, -1, 0, 1, 8, 256 + 3, i32::MAX] {
        assert_eq!(Group::check(g, &KNOWN_PRIME), Err(DhError::GeneratorOutOfRange { g }));
    }
}

/// The known prime is no exception: of 2..=7 only some are squares modulo it.
/// Row: A.2 "g quadratic residue"
#[test]
fn a_generator_that_is_no_residue_is_refused() {
    for (prime, name, expected) in [(KNOWN_PRIME, "known", &[2, 5, 6][..]), (rfc3526_prime(), "RFC 3526", &[])] {
        let p = BigUint::from_bytes_be(&prime);
        let half = &p >> 1_u32;
        let mut refused = Vec::new();
        for g in 2..=7 {
            // Euler's criterion is the judge of the congruences.
            let residue = BigUint::from(g as u32).modpow(&half, &p) == BigUint::from(1_u8);
            let p = bigint::from_be(&prime, BITS).unwrap();
            assert_eq!(is_quadratic_residue(g as u8, &p), residue, "{g} modulo the {name} prime");
            if !residue {
                assert_eq!(Group::check(g, &prime), Err(DhError::GeneratorNotResidue { g }));
                refused.push(g);
            }
        }
        assert_eq!(refused, expected, "{name}");
    }
}

/// The congruences, for every generator, against Euler's criterion modulo small safe primes.
#[test]
fn residues_modulo_small_safe_primes() {
    for p in [23_u64, 47, 59, 83, 107, 167, 179, 227, 263, 347, 359, 383, 467, 479, 503] {
        for g in 2..=7_u8 {
            let euler = BigUint::from(g).modpow(&BigUint::from(p / 2), &BigUint::from(p)) == BigUint::from(1_u8);
            assert_eq!(is_quadratic_residue(g, &bigint::small(p, 64)), euler, "{g} modulo {p}");
        }
    }
    assert!(!is_quadratic_residue(8, &bigint::small(23, 64)));
}

#[test]
fn an_unknown_safe_prime_is_tested_and_taken() {
    let group = Group::check(2, &rfc3526_prime()).unwrap();
    assert_eq!((group.g(), group.prime()), (2, &rfc3526_prime()));
}

/// Row: A.2 "p is 2048-bit safe prime"
#[test]
fn a_composite_prime_is_refused() {
    // Even.
    let mut even = KNOWN_PRIME;
    even[255] -= 1;
    assert_eq!(Group::check(4, &even), Err(DhError::PrimeComposite));
    // A product of two primes of 1024 bits, with 4, which is a square modulo anything.
    let key = crate::crypto::rsa::PublicKey::from_pem(super::super::testing::PRODUCTION_PEM).unwrap();
    assert_eq!(Group::check(4, &key.modulus()), Err(DhError::PrimeComposite));
    // The known prime, one digit changed.
    let mut changed = KNOWN_PRIME;
    changed[100] ^= 2;
    assert_eq!(Group::check(4, &changed), Err(DhError::PrimeComposite));
}

/// Row: A.2 "p is 2048-bit safe prime"
#[test]
fn a_prime_that_is_not_safe_is_refused() {
    // The first prime above 2^2047: chance would have to be kind for half of it to be prime as well.
    let p = (BigUint::from(1_u8) << 2047_u32) + 1919_u32;
    assert_eq!(Group::check(4, &p.to_bytes_be()), Err(DhError::PrimeNotSafe));
}

/// Row: A.2 "1<g,g_a,g_b<p-1"
/// Row: A.2 "2^1984 <= g_a,g_b <= p-2^1984"
#[test]
fn public_values_out_of_range_are_refused() {
    let group = Group::known();
    let p = BigUint::from_bytes_be(&KNOWN_PRIME);
    let margin = BigUint::from(1_u8) << 1984_u32;
    let one = BigUint::from(1_u8);
    let check = |value: BigUint| group.check_public(&value.to_bytes_be()).map(|value| BigUint::from_bytes_be(value.as_bytes()));

    for value in [BigUint::ZERO, one.clone(), &p - 1_u8, p.clone(), &p + 1_u8, &one << 2048_u32, &one << 5000_u32] {
        assert_eq!(check(value), Err(DhError::PublicOutOfRange));
    }
    for value in [BigUint::from(2_u8), &margin >> 1_u32, &margin - 1_u8] {
        assert_eq!(check(value), Err(DhError::PublicTooSmall));
    }
    for value in [&p - 2_u8, &p - &margin + 1_u8] {
        assert_eq!(check(value), Err(DhError::PublicTooLarge));
    }
    for value in [margin.clone(), &margin + 1_u8, &p >> 1_u32, &p - &margin] {
        assert_eq!(check(value.clone()), Ok(value));
    }
    assert_eq!(group.check_public(&[]), Err(DhError::PublicOutOfRange));
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    let mut rng = StdRng::from_seed([8; 32]);
    let group = Group::known();
    for _ in 0..300 {
        let mut bytes = vec![0; (rng.next_u32() % 300) as usize];
        rng.fill_bytes(&mut bytes);
        let _ = Group::check((rng.next_u32() % 10) as i32, &bytes);
        if let Ok(value) = group.check_public(&bytes) {
            assert!(value.as_bytes().ends_with(bigint::without_leading_zeros(&bytes)));
        }
    }
    // Of the right size, so that every check is reached.
    for g in 2..=7 {
        let mut bytes = [0; LEN];
        rng.fill_bytes(&mut bytes);
        bytes[0] |= 0x80;
        assert!(Group::check(g, &bytes).is_err());
    }
}

#[test]
fn debug_is_short() {
    let group = Group::known();
    assert_eq!(format!("{group:?}"), "Group(g = 3, known prime)");
    let value = group.check_public(&group.public(&[0x5a; LEN])).unwrap();
    assert_eq!(format!("{value:?}"), "PublicValue(..)");
}
