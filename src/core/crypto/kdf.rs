//! Message keys, and the AES keys derived from them.
//!
//! MTProto 2.0 is what messages use ("Mobile Protocol: Detailed Description"). MTProto 1.0 survives in one place: the inner message
//! that binds a temporary key ("Perfect Forward Secrecy"). The key exchange has a derivation of its own ("Creating an
//! Authorization Key").

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::AuthKey;
use super::aes::{self, NotBlockAligned};
use super::hash::{sha1, sha256};

/// Who *wrote* a message. The two directions take different parts of the authorization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client wrote it (`x = 0`).
    Client,
    /// The server wrote it (`x = 8`).
    Server,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    const fn x(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 8,
        }
    }
}

/// An AES-256-IGE key and initialisation vector, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AesKeyIv {
    /// The key.
    pub key: [u8; 32],
    /// The initialisation vector, both halves.
    pub iv: [u8; 32],
}

impl AesKeyIv {
    /// Encrypts in place; see [`aes::ige_encrypt`].
    pub fn encrypt(&self, data: &mut [u8]) -> Result<(), NotBlockAligned> {
        aes::ige_encrypt(&self.key, &self.iv, data)
    }

    /// Decrypts in place; see [`aes::ige_decrypt`].
    pub fn decrypt(&self, data: &mut [u8]) -> Result<(), NotBlockAligned> {
        aes::ige_decrypt(&self.key, &self.iv, data)
    }

    fn join(key: [&[u8]; 3], iv: [&[u8]; 4]) -> Self {
        let mut out = Self { key: [0; 32], iv: [0; 32] };
        fill(&mut out.key, &key);
        fill(&mut out.iv, &iv);
        out
    }
}

impl fmt::Debug for AesKeyIv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKeyIv(..)")
    }
}

/// `msg_key_large` of MTProto 2.0: the SHA-256 whose middle is the message key, and whose first four bytes are the quick
/// acknowledgement's token.
pub fn msg_key_large(auth_key: &AuthKey, writer: Side, padded_plaintext: &[u8]) -> [u8; 32] {
    sha256(&[msg_key_part(auth_key, writer), padded_plaintext])
}

/// The part of the authorization key that goes into a message key of MTProto 2.0, in front of the plaintext.
pub(super) fn msg_key_part(auth_key: &AuthKey, writer: Side) -> &[u8; 32] {
    let from = 88 + writer.x();
    auth_key.as_bytes()[from..].first_chunk().expect("the key has 256 bytes, of which these are 32 before the 128th")
}

/// The token by which a quick acknowledgement names a message: the first 32 bits of its [`msg_key_large`], the top one set. See
/// "MTProto transports", Quick ack.
pub fn quick_ack_token(msg_key_large: &[u8; 32]) -> u32 {
    let [a, b, c, d, ..] = *msg_key_large;
    u32::from_le_bytes([a, b, c, d]) | 1 << 31
}

/// `msg_key`: the middle 128 bits of [`msg_key_large`].
pub fn msg_key_of(msg_key_large: &[u8; 32]) -> [u8; 16] {
    middle(msg_key_large)
}

/// `msg_key` of MTProto 2.0, over the plaintext *with* its padding.
pub fn msg_key_v2(auth_key: &AuthKey, writer: Side, padded_plaintext: &[u8]) -> [u8; 16] {
    middle(&msg_key_large(auth_key, writer, padded_plaintext))
}

/// The AES key and vector of an MTProto 2.0 message.
pub fn aes_v2(auth_key: &AuthKey, msg_key: &[u8; 16], writer: Side) -> AesKeyIv {
    let x = writer.x();
    let mut a = sha256(&[msg_key, part(auth_key, x, 36)]);
    let mut b = sha256(&[part(auth_key, 40 + x, 36), msg_key]);
    let out = AesKeyIv::join([&a[..8], &b[8..24], &a[24..]], [&b[..8], &a[8..24], &b[24..], &[]]);
    a.zeroize();
    b.zeroize();
    out
}

/// `msg_key` of MTProto 1.0: the 128 lower-order bits of the SHA-1 of the plaintext *without* padding.
pub fn msg_key_v1(plaintext: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&sha1(&[plaintext])[4..]);
    key
}

/// The AES key and vector of an MTProto 1.0 message.
pub fn aes_v1(auth_key: &AuthKey, msg_key: &[u8; 16], writer: Side) -> AesKeyIv {
    let x = writer.x();
    let mut a = sha1(&[msg_key, part(auth_key, x, 32)]);
    let mut b = sha1(&[part(auth_key, 32 + x, 16), msg_key, part(auth_key, 48 + x, 16)]);
    let mut c = sha1(&[part(auth_key, 64 + x, 32), msg_key]);
    let mut d = sha1(&[msg_key, part(auth_key, 96 + x, 32)]);
    let out = AesKeyIv::join([&a[..8], &b[8..], &c[4..16]], [&a[8..], &b[..8], &c[16..], &d[..8]]);
    a.zeroize();
    b.zeroize();
    c.zeroize();
    d.zeroize();
    out
}

/// `tmp_aes_key` and `tmp_aes_iv`, which protect the Diffie–Hellman part of the key exchange.
///
/// Both nonces go in at full length. A nonce that begins with zero bytes keeps them: it is a string here, not a number.
pub fn tmp_aes(server_nonce: &[u8; 16], new_nonce: &[u8; 32]) -> AesKeyIv {
    let mut new_server = sha1(&[new_nonce, server_nonce]);
    let mut server_new = sha1(&[server_nonce, new_nonce]);
    let mut new_new = sha1(&[new_nonce, new_nonce]);
    let out = AesKeyIv::join([&new_server, &server_new[..12], &[]], [&server_new[12..], &new_new, &new_nonce[..4], &[]]);
    new_server.zeroize();
    server_new.zeroize();
    new_new.zeroize();
    out
}

/// `substr(auth_key, from, len)`; both are constants of the formulas, with `from + len ≤ 136`.
fn part(auth_key: &AuthKey, from: usize, len: usize) -> &[u8] {
    &auth_key.as_bytes()[from..from + len]
}

fn middle(large: &[u8; 32]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&large[8..24]);
    key
}

/// Writes the parts one after the other; together they are exactly as long as `out`.
fn fill(out: &mut [u8; 32], parts: &[&[u8]]) {
    let mut at = 0;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, out.len());
}

#[cfg(test)]
#[path = "kdf_tests.rs"]
mod tests;
