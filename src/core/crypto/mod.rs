//! Ciphers, hashes, key derivation and number theory of MTProto: pure functions, no clock, no socket, no random source of
//! their own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`aes`] | AES-256 in IGE mode (messages) and in CTR mode (obfuscated transport) |
//! | [`hash`] | SHA-1 and SHA-256 over parts |
//! | [`hmac`] | HMAC-SHA-256, for the digests of fake TLS |
//! | [`kdf`] | message keys and AES keys of MTProto 2.0 and 1.0, and of the key exchange |
//! | [`keylog`] | who is told of auth keys, if anybody asked to be |
//! | [`message`] | whole messages of MTProto 2.0: message key and cipher in one go, several messages side by side |
//! | [`rsa`] | the server's keys: PEM, fingerprints, `RSA_PAD` in both directions |
//! | [`dh`] | Diffie–Hellman over a checked group |
//! | [`srp`] | the proof that somebody knows an account's password, both sides of it |
//! | [`pbkdf2`] | PBKDF2 and HMAC with SHA-512, for passwords |
//! | [`pq`] | the factorisation that the key exchange asks of a client |
//!
//! # What is constant in time
//!
//! Everything whose time could tell about a secret: the exponentiations with a secret exponent, the comparisons made by
//! [`constant_time_eq`], and AES where the processor has instructions for it (elsewhere the `aes` crate's bit-sliced code).
//! Checks of public numbers (a group, a peer's public value, a `pq`) take as long as they take.
//!
//! # What is wiped
//!
//! [`AuthKey`], [`kdf::AesKeyIv`], [`rsa::PrivateKey`], [`srp::Verifier`], what SRP computes on its way and the key schedules inside the ciphers are zeroed when dropped. None of
//! them prints its contents through `Debug`.

pub mod aes;
pub mod dh;
pub mod hash;
pub mod hmac;
pub mod kdf;
pub mod keylog;
pub mod message;
pub mod pbkdf2;
pub mod pq;
pub mod rsa;
pub mod srp;

mod auth_key;
mod bigint;
mod der;
mod pem;
mod prime;

#[cfg(test)]
mod testing;

pub use auth_key::{AuthKey, WrongKeyLength};

use subtle::ConstantTimeEq;

/// Compares two byte strings in a time that depends on their lengths only.
///
/// Strings of different lengths are unequal.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_time_eq_compares_content_and_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"xbc"));
        assert!(!constant_time_eq(b"abc", b"abcd"));
    }
}
