//! The server's side of a key: its making, its file, and decryption.

use std::fmt;

use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd};
use rand::Rng;
use zeroize::{Zeroize, Zeroizing};

use super::{BITS, LEN, PADDED, PublicKey, RsaError, unpad};
use crate::check::{Check, broken};
use crate::crypto::bigint::{self, rem_small};
use crate::crypto::{der, pem, prime};

const PRIVATE_LABEL: &str = "RSA PRIVATE KEY";
const HALF: u32 = BITS / 2;
const EXPONENT: u64 = 65537;

/// A server's key pair: 2048 bits out of two primes of 1024. Wiped when dropped; printing it shows the public fingerprint.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    d: BoxedUint,
    p: BoxedUint,
    q: BoxedUint,
    d_mod_p: BoxedUint,
    d_mod_q: BoxedUint,
    q_inverse: BoxedUint,
}

/// What clients of before 2021 encrypted: see [`PrivateKey::decrypt_legacy`].
pub struct Legacy {
    /// The SHA-1 of the data.
    pub hash: [u8; 20],
    /// The data, and random bytes after it.
    pub content: Zeroizing<[u8; LEGACY_CONTENT]>,
}

/// What is left of 255 bytes after the hash.
const LEGACY_CONTENT: usize = LEN - 1 - 20;

impl PrivateKey {
    /// Makes a key with the public exponent 65537. The same random bytes make the same key.
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let p = random_prime(rng, None);
        let q = random_prime(rng, Some(&p));
        let (p, q) = if p > q { (p, q) } else { (q, p) };
        Self::from_primes(p, q).expect("two different primes, neither 1 modulo the exponent, make a key")
    }

    /// Reads a key in PEM (PKCS #1, `BEGIN RSA PRIVATE KEY`). Its numbers have to agree with each other; that its factors are prime
    /// is taken on trust.
    pub fn from_pem(text: &str) -> Result<Self, RsaError> {
        let data = Zeroizing::new(pem::decode(text, PRIVATE_LABEL)?);
        let mut reader = der::Reader::sequence(&data)?;
        if !reader.unsigned()?.is_empty() {
            return Err(RsaError::Version);
        }
        let (n, e, d) = (reader.unsigned()?, reader.unsigned()?, reader.unsigned()?);
        let (p, q) = (reader.unsigned()?, reader.unsigned()?);
        let (d_mod_p, d_mod_q, q_inverse) = (reader.unsigned()?, reader.unsigned()?, reader.unsigned()?);
        reader.finish()?;

        let public = PublicKey::from_numbers(n, e)?;
        let number = |digits, bits| bigint::from_be(digits, bits).ok_or(RsaError::Inconsistent);
        let (p, q) = (number(p, HALF)?, number(q, HALF)?);
        check_factors(&p, &q)?;
        let key = Self {
            public,
            d: number(d, BITS)?,
            d_mod_p: number(d_mod_p, HALF)?,
            d_mod_q: number(d_mod_q, HALF)?,
            q_inverse: number(q_inverse, HALF)?,
            p,
            q,
        };
        if key.is_consistent() { Ok(key) } else { Err(RsaError::Inconsistent) }
    }

    /// Writes the key in PEM (PKCS #1, `BEGIN RSA PRIVATE KEY`). The text is wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let numbers = [&self.d, &self.p, &self.q, &self.d_mod_p, &self.d_mod_q, &self.q_inverse];
        let [d, p, q, d_mod_p, d_mod_q, q_inverse] = numbers.map(|number| Zeroizing::new(number.to_be_bytes()));
        let (n, e) = (self.public.modulus(), self.public.exponent.to_be_bytes());
        let data = Zeroizing::new(der::write_integers(&[&[], &n, &e, &d, &p, &q, &d_mod_p, &d_mod_q, &q_inverse]));
        Zeroizing::new(pem::encode(&data, PRIVATE_LABEL))
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Undoes [`PublicKey::encrypt_pad`]: returns the data with its random padding, which the caller tells apart.
    pub fn decrypt_pad(&self, encrypted: &[u8; LEN]) -> Result<Zeroizing<[u8; PADDED]>, RsaError> {
        unpad(self.decrypt_raw(encrypted)?)
    }

    /// Decrypts what clients of before 2021 send in place of RSA_PAD: the SHA-1 of the data, the data, and random bytes, 255 in all.
    ///
    /// Where the data ends only its reader can tell, and so the hash is the caller's to compare. Without that comparison the
    /// encryption is malleable: take nothing out of the content before it is done. For servers that still serve such clients.
    pub fn decrypt_legacy(&self, encrypted: &[u8; LEN]) -> Result<Legacy, RsaError> {
        let block = self.decrypt_raw(encrypted)?;
        let [0, rest @ ..] = &*block else { return Err(RsaError::LegacyTopByte) };
        let (hash, content) = rest.split_first_chunk().expect("255 bytes hold a hash of 20");
        let mut out = Legacy { hash: *hash, content: Zeroizing::new([0; LEGACY_CONTENT]) };
        out.content.copy_from_slice(content);
        Ok(out)
    }

    fn decrypt_raw(&self, encrypted: &[u8; LEN]) -> Result<Zeroizing<[u8; LEN]>, RsaError> {
        let number = BoxedUint::from_be_slice_truncated(encrypted, BITS);
        if broken(Check::RsaReduced, number >= *self.public.modulus.value()) {
            return Err(RsaError::NotReduced);
        }
        // Not modulo the factors apart: that takes a quarter of the time, but `crypto-bigint` keeps a prepared modulus in memory that it
        // does not wipe, and the factors are secret.
        let plain = Zeroizing::new(self.public.modulus.pow(&number, &self.d));
        Ok(Zeroizing::new(bigint::to_be(&plain)))
    }

    fn from_primes(p: BoxedUint, q: BoxedUint) -> Result<Self, RsaError> {
        let exponent = EXPONENT.to_be_bytes();
        let public = PublicKey::from_numbers(&p.concatenating_mul(&q).to_be_bytes(), &exponent)?;
        check_factors(&p, &q)?;

        let (p_less, q_less) = (nonzero(&less_one(&p)), nonzero(&less_one(&q)));
        let phi = nonzero(&p_less.concatenating_mul(&*q_less));
        let e = bigint::small(EXPONENT, BITS);
        let d: Option<BoxedUint> = e.invert_mod(&phi).into();
        let d = d.ok_or(RsaError::Inconsistent)?;
        let odd_p: Option<Odd<BoxedUint>> = p.to_odd().into();
        let q_inverse: Option<BoxedUint> = odd_p.and_then(|p| q.rem(p.as_nz_ref()).invert_odd_mod(&p).into());

        let (d_mod_p, d_mod_q) = (d.rem(&p_less), d.rem(&q_less));
        let q_inverse = q_inverse.ok_or(RsaError::Inconsistent)?;
        let key = Self { public, d, p, q, d_mod_p, d_mod_q, q_inverse };
        if key.is_consistent() { Ok(key) } else { Err(RsaError::Inconsistent) }
    }

    /// Whether the numbers are what PKCS #1 says they are: n = p·q, e·d = 1 modulo p-1 and q-1, and the three derived ones.
    fn is_consistent(&self) -> bool {
        let e = bigint::small(self.public.exponent.into(), HALF);
        let fits = |derived: &BoxedUint, factor: &BoxedUint| {
            let less = nonzero(&less_one(factor));
            self.d.rem(&less) == *derived && derived.concatenating_mul(&e).rem(&less).is_one().into()
        };
        self.p.concatenating_mul(&self.q) == *self.public.modulus.value()
            && fits(&self.d_mod_p, &self.p)
            && fits(&self.d_mod_q, &self.q)
            && self.q_inverse < self.p
            && self.q_inverse.concatenating_mul(&self.q).rem(&nonzero(&self.p)).is_one().into()
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        for secret in [&mut self.d, &mut self.p, &mut self.q, &mut self.d_mod_p, &mut self.d_mod_q, &mut self.q_inverse] {
            secret.zeroize();
        }
    }
}

impl zeroize::ZeroizeOnDrop for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:#018x})", self.public.fingerprint())
    }
}

/// The factors are odd, above 1 and different.
fn check_factors(p: &BoxedUint, q: &BoxedUint) -> Result<(), RsaError> {
    let proper = |factor: &BoxedUint| factor.bits_vartime() > 1 && factor.bit_vartime(0);
    if proper(p) && proper(q) && p != q { Ok(()) } else { Err(RsaError::Inconsistent) }
}

/// A prime of 1024 bits with the two highest set, so that a product of two has 2048; not 1 modulo the exponent, and not `taken`.
///
/// The search goes up from a random start, and so ends with any source of random bytes.
fn random_prime(rng: &mut dyn Rng, taken: Option<&BoxedUint>) -> BoxedUint {
    let mut start = Zeroizing::new([0; LEN / 2]);
    rng.fill_bytes(&mut *start);
    // The third bit is clear: however far the search goes, it does not run over the top.
    start[0] = 0xc0 | start[0] & 0x1f;
    start[LEN / 2 - 1] |= 1;
    let start = Zeroizing::new(BoxedUint::from_be_slice_truncated(&*start, HALF));
    let remainders = prime::SMALL_PRIMES.map(|small| rem_small(&start, small.into()));

    (0_u64..)
        .step_by(2)
        .filter(|step| {
            let mut small = prime::SMALL_PRIMES.iter().zip(remainders);
            !small.any(|(&small, remainder)| (remainder + step).is_multiple_of(small.into()))
        })
        .map(|step| start.wrapping_add(bigint::small(step, HALF)))
        .find(|candidate| Some(candidate) != taken && rem_small(candidate, EXPONENT) != 1 && prime::is_random_prime(candidate))
        .expect("there is a prime within any few thousand numbers of this size")
}

fn less_one(number: &BoxedUint) -> BoxedUint {
    number.wrapping_sub(BoxedUint::one_with_precision(number.bits_precision()))
}

/// A number that is known not to be zero: a factor above 1, or such a factor minus 1.
fn nonzero(number: &BoxedUint) -> NonZero<BoxedUint> {
    let nonzero: Option<NonZero<BoxedUint>> = number.to_nz().into();
    nonzero.expect("factors are above 1")
}
