//! The proof that somebody knows an account's password, without telling it: SRP 6a as the page "Two-factor authentication" has it.
//!
//! ```text
//! H(x) = SHA-256(x)        SH(x, s) = H(s | x | s)        numbers are hashed as 256 bytes, big-endian
//! PH1  = SH(SH(password, salt1), salt2)
//! PH2  = SH(PBKDF2-HMAC-SHA-512(PH1, salt1, 100000), salt2)
//!
//!       client                                 server
//!   x = PH2(password)                     v = g^x, stored
//!   k = H(p | g)                          k = H(p | g)
//!   a random, A = g^a                     b random, B = k·v + g^b
//!                u = H(A | B)
//!   S = (B - k·g^x)^(a + u·x)             S = (A · v^u)^b
//!   M1 = H(H(p) xor H(g) | H(salt1) | H(salt2) | A | B | H(S))
//! ```
//!
//! Everything is computed in a checked [`Group`], and nothing with a value of the peer that is out of range: a server that sends
//! B = 0, say, would learn enough to guess at the password without asking again.
//!
//! What depends on the password takes a time that does not; so does everything else that is secret.

use std::fmt;

use crypto_bigint::{BoxedUint, ConcatenatingMul, Resize};
use rand::Rng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::bigint;
use super::constant_time_eq;
use super::dh::{BITS, DhError, Group, LEN};
use super::hash::sha256;
use super::pbkdf2::pbkdf2_sha512;
use crate::check::{self, Check};

/// The length of a proof M1, in bytes.
pub const PROOF_LEN: usize = 32;

/// How many random bytes a client appends to the first salt of a new password.
pub const CLIENT_SALT_LEN: usize = 32;

/// Rounds of PBKDF2.
const ROUNDS: u32 = 100_000;

/// How often a secret is drawn before the random source is given up. One draw in 2⁶³ is unusable.
const DRAWS: u32 = 8;

/// Why a password can be neither proved nor checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrpError {
    /// The group is not one in which anything may be computed.
    #[error("the password's group cannot be trusted: {0}")]
    Group(DhError),
    /// The peer's public value (B of a server, A of a client, the verifier of a new password) is out of range.
    #[error("the password exchange cannot be trusted: {0}")]
    PublicValue(DhError),
    /// u = H(A | B) is zero, and would take the password out of the proof.
    #[error("the password exchange cannot be trusted: its scrambler is zero")]
    ScramblerZero,
    /// B - k·v is out of the range of public values: B was not made as the protocol makes it.
    #[error("the password exchange cannot be trusted: the server's value is no blinded one")]
    Unblinded,
    /// M1 is another: the password is wrong.
    #[error("the password is wrong")]
    ProofMismatch,
    /// The random source gives nothing that can be used.
    #[error("the random source gives nothing usable")]
    Randomness,
}

/// How a password becomes a number: `passwordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow`, with its group checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kdf {
    salt1: Vec<u8>,
    salt2: Vec<u8>,
    group: Group,
}

/// What proves a password: the fields of `inputCheckPasswordSRP`, but for `srp_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// A, the client's public value.
    pub a: [u8; LEN],
    /// M1.
    pub m1: [u8; PROOF_LEN],
}

/// v = g^x, from which passwords are checked: `new_password_hash` of a new password. Whoever has it can guess at the password.
#[derive(Clone)]
pub struct Verifier(Box<[u8; LEN]>);

/// The server's side of one exchange. A proof fits no other.
pub struct Challenge {
    kdf: Kdf,
    verifier: Verifier,
    secret: Zeroizing<[u8; LEN]>,
    public: [u8; LEN],
}

impl Kdf {
    /// Takes the fields of the algorithm as they were received. `prime` is p, big-endian.
    ///
    /// For a prime that is not the known one this takes some tenths of a second.
    ///
    /// # Errors
    /// [`SrpError::Group`].
    pub fn check(salt1: &[u8], salt2: &[u8], g: i32, prime: &[u8]) -> Result<Self, SrpError> {
        Ok(Self::new(salt1, salt2, Group::check(g, prime).map_err(SrpError::Group)?))
    }

    /// The algorithm in a group that is checked already.
    pub fn new(salt1: &[u8], salt2: &[u8], group: Group) -> Self {
        Self { salt1: salt1.to_vec(), salt2: salt2.to_vec(), group }
    }

    /// The algorithm for a new password: as the server offers it in `new_algo`, with random bytes of our own after the first salt.
    pub fn for_new_password(&self, rng: &mut dyn Rng) -> Self {
        let mut ours = [0; CLIENT_SALT_LEN];
        rng.fill_bytes(&mut ours);
        Self { salt1: [&self.salt1[..], &ours].concat(), ..self.clone() }
    }

    /// The first salt.
    pub fn salt1(&self) -> &[u8] {
        &self.salt1
    }

    /// The second salt.
    pub fn salt2(&self) -> &[u8] {
        &self.salt2
    }

    /// The group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The verifier of a password. Takes about a tenth of a second.
    pub fn verifier(&self, password: &[u8]) -> Verifier {
        Verifier::from_number(&self.power_of_g(&self.hash(password)))
    }

    /// A verifier as somebody else has sent it.
    ///
    /// # Errors
    /// [`SrpError::PublicValue`].
    pub fn check_verifier(&self, bytes: &[u8]) -> Result<Verifier, SrpError> {
        let checked = self.group.check_public(bytes).map_err(SrpError::PublicValue)?;
        Ok(Verifier(Box::new(*checked.as_bytes())))
    }

    /// Proves to a server, whose B is `server_public`, that we know the password (UTF-8, as it was typed). Takes about a tenth of a
    /// second.
    ///
    /// # Errors
    /// [`SrpError::PublicValue`], [`SrpError::ScramblerZero`] and [`SrpError::Unblinded`]: this is no server to prove anything to.
    /// [`SrpError::Randomness`].
    pub fn prove(&self, password: &[u8], server_public: &[u8], rng: &mut dyn Rng) -> Result<Proof, SrpError> {
        let b = *self.group.check_public(server_public).map_err(SrpError::PublicValue)?.as_bytes();
        let (secret, a) = draw(rng, |secret| {
            let a = self.group.public(secret);
            self.group.check_public(&a).is_ok().then_some(a)
        })?;
        let u = scrambler(&a, &b)?;
        let shared = self.client_shared(password, &secret, &u, &b)?;
        Ok(Proof { m1: self.m1(&a, &b, &shared), a })
    }

    /// x: PH2 of the page.
    fn hash(&self, password: &[u8]) -> Zeroizing<[u8; 32]> {
        let salted = |data: &[u8], salt: &[u8]| Zeroizing::new(sha256(&[salt, data, salt]));
        let first = salted(&*salted(password, &self.salt1), &self.salt2);
        let mut slow = Zeroizing::new([0; 64]);
        pbkdf2_sha512(&*first, &self.salt1, ROUNDS, &mut *slow);
        salted(&*slow, &self.salt2)
    }

    /// S of the client.
    fn client_shared(&self, password: &[u8], secret: &[u8; LEN], u: &[u8; 32], b: &[u8; LEN]) -> Result<Number, SrpError> {
        let modulus = self.group.modulus();
        let x = self.hash(password);
        let blind = self.blind(&self.power_of_g(&x));
        let base = Zeroizing::new(modulus.sub(&number(b), &blind));
        let base_bytes = Zeroizing::new(bigint::to_be::<LEN>(&base));
        if check::broken(Check::SrpUnblinded, self.group.check_public(&*base_bytes).is_err()) {
            return Err(SrpError::Unblinded);
        }
        // One word more than the group has, for the carry of the sum.
        let wide = BITS + 64;
        let x = Zeroizing::new(BoxedUint::from_be_slice_truncated(&*x, 256));
        let u = BoxedUint::from_be_slice_truncated(u, 256);
        let product = Zeroizing::new((*x).concatenating_mul(&u));
        let product = Zeroizing::new((&*product).resize_unchecked(wide));
        let mut exponent = Zeroizing::new((&*Zeroizing::new(number(secret))).resize_unchecked(wide));
        exponent.wrapping_add_assign(&*product);
        Ok(Zeroizing::new(modulus.pow(&base, &exponent)))
    }

    /// M1 for the S of either side.
    fn m1(&self, a: &[u8; LEN], b: &[u8; LEN], shared: &BoxedUint) -> [u8; PROOF_LEN] {
        let shared = Zeroizing::new(bigint::to_be::<LEN>(shared));
        let key = Zeroizing::new(sha256(&[&*shared]));
        let mut group = sha256(&[self.group.prime()]);
        let generator = sha256(&[&self.padded_g()]);
        group.iter_mut().zip(generator).for_each(|(byte, other)| *byte ^= other);
        sha256(&[&group, &sha256(&[&self.salt1]), &sha256(&[&self.salt2]), a, b, &*key])
    }

    /// k·v: what hides g^b in B.
    fn blind(&self, verifier: &BoxedUint) -> Number {
        let k = number(&sha256(&[self.group.prime(), &self.padded_g()]));
        Zeroizing::new(self.group.modulus().mul(&k, verifier))
    }

    fn power_of_g(&self, exponent: &[u8; 32]) -> Number {
        let exponent = Zeroizing::new(BoxedUint::from_be_slice_truncated(exponent, 256));
        Zeroizing::new(self.group.modulus().pow(&number(&self.padded_g()), &exponent))
    }

    fn padded_g(&self) -> [u8; LEN] {
        let mut padded = [0; LEN];
        padded[LEN - 4..].copy_from_slice(&self.group.g().to_be_bytes());
        padded
    }
}

impl Verifier {
    /// The number, big-endian, with leading zeros.
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    fn from_number(number: &BoxedUint) -> Self {
        Self(Box::new(bigint::to_be(number)))
    }
}

impl Zeroize for Verifier {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&*self.0, &*other.0)
    }
}

impl Eq for Verifier {}

impl Challenge {
    /// Begins an exchange about a password.
    ///
    /// # Errors
    /// [`SrpError::Randomness`].
    pub fn new(kdf: &Kdf, verifier: &Verifier, rng: &mut dyn Rng) -> Result<Self, SrpError> {
        let blind = kdf.blind(&Zeroizing::new(number(verifier.0.as_slice())));
        let (secret, public) = draw(rng, |secret| {
            let power = Zeroizing::new(number(&kdf.group.public(secret)));
            let public = bigint::to_be(&kdf.group.modulus().add(&blind, &power));
            kdf.group.check_public(&public).is_ok().then_some(public)
        })?;
        Ok(Self { kdf: kdf.clone(), verifier: verifier.clone(), secret, public })
    }

    /// B: `srp_B` of `account.password`.
    pub fn public(&self) -> &[u8; LEN] {
        &self.public
    }

    /// Checks a client's proof.
    ///
    /// # Errors
    /// [`SrpError::ProofMismatch`] for a wrong password; [`SrpError::PublicValue`] and [`SrpError::ScramblerZero`] for a client that
    /// does not try one.
    pub fn check(&self, a: &[u8], m1: &[u8]) -> Result<(), SrpError> {
        let group = &self.kdf.group;
        let a = *group.check_public(a).map_err(SrpError::PublicValue)?.as_bytes();
        let u = BoxedUint::from_be_slice_truncated(&scrambler(&a, &self.public)?, 256);
        let modulus = group.modulus();
        let verifier = Zeroizing::new(number(self.verifier.0.as_slice()));
        let base = Zeroizing::new(modulus.mul(&number(&a), &Zeroizing::new(modulus.pow(&verifier, &u))));
        let shared = Zeroizing::new(modulus.pow(&base, &Zeroizing::new(number(&*self.secret))));
        let expected = self.kdf.m1(&a, &self.public, &shared);
        if check::broken(Check::SrpProof, !constant_time_eq(&expected, m1)) {
            return Err(SrpError::ProofMismatch);
        }
        Ok(())
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// A number modulo p that is nobody's business.
type Number = Zeroizing<BoxedUint>;

/// A number as wide as the group, of at most that many bytes.
fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_truncated(bytes, BITS)
}

/// u, which is not zero.
fn scrambler(a: &[u8; LEN], b: &[u8; LEN]) -> Result<[u8; 32], SrpError> {
    not_zero(sha256(&[a, b]))
}

fn not_zero(u: [u8; 32]) -> Result<[u8; 32], SrpError> {
    if check::broken(Check::SrpScrambler, u == [0; 32]) { Err(SrpError::ScramblerZero) } else { Ok(u) }
}

/// Draws a secret until `public` finds a public value for it.
fn draw(
    rng: &mut dyn Rng,
    public: impl Fn(&[u8; LEN]) -> Option<[u8; LEN]>,
) -> Result<(Zeroizing<[u8; LEN]>, [u8; LEN]), SrpError> {
    let mut secret = Zeroizing::new([0; LEN]);
    for _ in 0..DRAWS {
        rng.fill_bytes(&mut *secret);
        if let Some(public) = public(&secret) {
            return Ok((secret, public));
        }
    }
    Err(SrpError::Randomness)
}

#[cfg(test)]
#[path = "srp_tests.rs"]
mod tests;
