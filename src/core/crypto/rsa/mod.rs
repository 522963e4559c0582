//! RSA as the key exchange uses it: 2048-bit keys, `RSA_PAD`, fingerprints. See "Creating an Authorization Key".
//!
//! Clients hold [`PublicKey`]s, servers [`PrivateKey`]s. Keys are kept in PEM, in the PKCS #1 form that Telegram publishes its own in
//! (`BEGIN RSA PUBLIC KEY`).

use std::fmt;

use crypto_bigint::BoxedUint;
use rand::Rng;
use zeroize::Zeroizing;

use super::bigint::{self, Modulus};
use super::hash::{sha1, sha256};
use super::{aes, der, pem};
use crate::check::{Check, broken};

mod private;

pub use super::der::DerError;
pub use super::pem::PemError;
pub use private::{Legacy, PrivateKey};

/// The length of the modulus and of everything encrypted, in bytes.
pub const LEN: usize = 256;

/// The most that [`PublicKey::encrypt_pad`] takes, in bytes.
pub const MAX_DATA: usize = 144;

/// The length of data with its padding, in bytes.
pub const PADDED: usize = 192;

const BITS: u32 = 2048;
const TEMP_KEY: usize = 32;
const PUBLIC_LABEL: &str = "RSA PUBLIC KEY";

/// What is wrong with a key, or with something encrypted for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RsaError {
    /// The text is not a PEM block of the right kind.
    #[error("not a PEM key: {0}")]
    Pem(#[from] PemError),
    /// The block does not hold a key.
    #[error("not a PKCS #1 key: {0}")]
    Der(#[from] DerError),
    /// The key has a format version that is not 0: more than two prime factors.
    #[error("the key's format version is not 0")]
    Version,
    /// The modulus does not have 2048 bits.
    #[error("the modulus has {bits} bits, not 2048")]
    ModulusSize {
        /// Its length in bits.
        bits: usize,
    },
    /// The modulus is even.
    #[error("the modulus is even")]
    EvenModulus,
    /// The public exponent is even, 1, or longer than 32 bits.
    #[error("the public exponent is even, 1, or longer than 32 bits")]
    Exponent,
    /// The numbers of a private key contradict each other.
    #[error("the numbers of the private key contradict each other")]
    Inconsistent,
    /// There is too much to encrypt.
    #[error("{len} bytes do not fit, the most is 144")]
    DataTooLong {
        /// The length found, in bytes.
        len: usize,
    },
    /// An encrypted value is not below the modulus.
    #[error("the encrypted value is not below the modulus")]
    NotReduced,
    /// The hash inside a decrypted value does not fit it: it was encrypted for another key, or changed on the way.
    #[error("the hash inside the decrypted value does not match")]
    HashMismatch,
    /// A value decrypted in the way of before 2021 has more than 255 bytes.
    #[error("the decrypted value does not begin with a zero byte")]
    LegacyTopByte,
}

/// A server's public key.
#[derive(Clone)]
pub struct PublicKey {
    modulus: Modulus,
    exponent: u32,
    fingerprint: i64,
}

impl PublicKey {
    /// Reads a key in PEM (PKCS #1, `BEGIN RSA PUBLIC KEY`).
    pub fn from_pem(text: &str) -> Result<Self, RsaError> {
        let data = pem::decode(text, PUBLIC_LABEL)?;
        let mut reader = der::Reader::sequence(&data)?;
        let (modulus, exponent) = (reader.unsigned()?, reader.unsigned()?);
        reader.finish()?;
        Self::from_numbers(modulus, exponent)
    }

    /// Takes a key's modulus and public exponent, big-endian.
    pub fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self, RsaError> {
        let digits = bigint::without_leading_zeros(modulus);
        let bits = digits.first().map_or(0, |top| digits.len() * 8 - top.leading_zeros() as usize);
        let size = RsaError::ModulusSize { bits };
        if bits != BITS as usize {
            return Err(size);
        }
        let n = bigint::from_be(digits, BITS).ok_or(size)?;
        let modulus = Modulus::new(&n).ok_or(RsaError::EvenModulus)?;

        let exponent_digits = bigint::without_leading_zeros(exponent);
        if exponent_digits.len() > 4 {
            return Err(RsaError::Exponent);
        }
        let exponent = exponent_digits.iter().fold(0, |e, &digit| e << 8 | u32::from(digit));
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(RsaError::Exponent);
        }
        let fingerprint = fingerprint(digits, exponent_digits);
        Ok(Self { modulus, exponent, fingerprint })
    }

    /// Writes the key in PEM (PKCS #1, `BEGIN RSA PUBLIC KEY`).
    pub fn to_pem(&self) -> String {
        pem::encode(&der::write_integers(&[&self.modulus(), &self.exponent.to_be_bytes()]), PUBLIC_LABEL)
    }

    /// The fingerprint by which a server announces the key: the 64 lower-order bits of the SHA-1 of its two numbers, each
    /// serialized as a TL string.
    pub fn fingerprint(&self) -> i64 {
        self.fingerprint
    }

    /// The modulus, big-endian.
    pub fn modulus(&self) -> [u8; LEN] {
        bigint::to_be(self.modulus.value())
    }

    /// `RSA_PAD(data, key)`: encrypts up to [`MAX_DATA`] bytes.
    ///
    /// Draws the padding, then a 32-byte temporary key, and another one as long as the result is not below the modulus.
    pub fn encrypt_pad(&self, data: &[u8], rng: &mut dyn Rng) -> Result<[u8; LEN], RsaError> {
        if data.len() > MAX_DATA {
            return Err(RsaError::DataTooLong { len: data.len() });
        }
        let mut data_with_padding = Zeroizing::new([0; PADDED]);
        let (front, padding) = data_with_padding.split_at_mut(data.len());
        front.copy_from_slice(data);
        rng.fill_bytes(padding);

        let mut temp_key = Zeroizing::new([0; TEMP_KEY]);
        loop {
            rng.fill_bytes(&mut *temp_key);
            let block = pad(&data_with_padding, &temp_key);
            let number = Zeroizing::new(BoxedUint::from_be_slice_truncated(&*block, BITS));
            if *number < *self.modulus.value() {
                return Ok(bigint::to_be(&self.power(&number)));
            }
        }
    }

    /// The bare RSA operation on a number below the modulus.
    fn power(&self, number: &BoxedUint) -> BoxedUint {
        self.modulus.pow_public(number, &BoxedUint::from(self.exponent))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.modulus.value() == other.modulus.value() && self.exponent == other.exponent
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:#018x})", self.fingerprint)
    }
}

/// `key_aes_encrypted`: the temporary key, masked by the hash of what it encrypts, and the data with its hash under it.
fn pad(data_with_padding: &[u8; PADDED], temp_key: &[u8; TEMP_KEY]) -> Zeroizing<[u8; LEN]> {
    let mut block = Zeroizing::new([0; LEN]);
    let (temp_key_xor, data_with_hash) = block.split_at_mut(TEMP_KEY);

    let (data_pad_reversed, hash) = data_with_hash.split_at_mut(PADDED);
    data_pad_reversed.copy_from_slice(data_with_padding);
    data_pad_reversed.reverse();
    hash.copy_from_slice(&sha256(&[temp_key, data_with_padding]));

    aes::ige_encrypt(temp_key, &[0; 32], data_with_hash).expect("224 bytes are 14 blocks");
    let mask = sha256(&[data_with_hash]);
    for ((out, key), mask) in temp_key_xor.iter_mut().zip(temp_key).zip(mask) {
        *out = key ^ mask;
    }
    block
}

/// The inverse of [`pad`], which checks the hash.
fn unpad(mut block: Zeroizing<[u8; LEN]>) -> Result<Zeroizing<[u8; PADDED]>, RsaError> {
    let (temp_key_xor, data_with_hash) = block.split_at_mut(TEMP_KEY);
    let mut temp_key = Zeroizing::new(sha256(&[data_with_hash]));
    for (key, masked) in temp_key.iter_mut().zip(&*temp_key_xor) {
        *key ^= masked;
    }
    aes::ige_decrypt(&temp_key, &[0; 32], data_with_hash).expect("224 bytes are 14 blocks");

    let (data_pad_reversed, hash) = data_with_hash.split_at_mut(PADDED);
    data_pad_reversed.reverse();
    let same = super::constant_time_eq(&sha256(&[&*temp_key, data_pad_reversed]), hash);
    if broken(Check::RsaPadHash, !same) {
        return Err(RsaError::HashMismatch);
    }
    let mut data = Zeroizing::new([0; PADDED]);
    data.copy_from_slice(data_pad_reversed);
    Ok(data)
}

fn fingerprint(modulus: &[u8], exponent: &[u8]) -> i64 {
    let hash = sha1(&[&tl_bytes(modulus), &tl_bytes(exponent)]);
    let [.., a, b, c, d, e, f, g, h] = hash;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// TL's `bytes`: length, content, zeros up to a multiple of four. Here because this floor uses no other.
fn tl_bytes(content: &[u8]) -> Vec<u8> {
    let mut out = match u8::try_from(content.len()) {
        Ok(short @ 0..254) => vec![short],
        _ => ((content.len() as u32) << 8 | 254).to_le_bytes().to_vec(),
    };
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

#[cfg(test)]
mod tests;
