//! The authorization key.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::hash::sha1;

/// A 2048-bit authorization key, shared by one client and one data centre. See "Mobile Protocol: Detailed Description".
///
/// It lives on the heap, so that moving the value leaves no copy behind, and is zeroed when dropped. Comparison takes constant
/// time.
#[derive(Clone)]
pub struct AuthKey {
    bytes: Box<[u8; Self::LEN]>,
    // Both follow from the key and are asked for with every message.
    id: i64,
    aux_hash: i64,
}

/// A stored or received authorization key is not 256 bytes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an authorization key has 256 bytes, not {found}")]
pub struct WrongKeyLength {
    /// The length found, in bytes.
    pub found: usize,
}

impl AuthKey {
    /// The length of a key, in bytes.
    pub const LEN: usize = 256;

    /// Takes a key's bytes, big-endian, with the leading zeros that the number may have.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        Self::from_boxed(Box::new(*bytes))
    }

    /// Takes a key from bytes of any length, which has to be 256.
    pub fn try_from_slice(bytes: &[u8]) -> Result<Self, WrongKeyLength> {
        match <&[u8; Self::LEN]>::try_from(bytes) {
            Ok(bytes) => Ok(Self::from_bytes(bytes)),
            Err(_) => Err(WrongKeyLength { found: bytes.len() }),
        }
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// `auth_key_id`: the 64 lower-order bits of the key's SHA-1, as the little-endian number that stands in front of every
    /// encrypted message.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// `auth_key_aux_hash`: the 64 higher-order bits of the key's SHA-1. It names a key during a repeated key exchange.
    pub fn aux_hash(&self) -> i64 {
        self.aux_hash
    }

    /// `new_nonce_hash1`, `2` or `3` of the key exchange: the 128 lower-order bits of
    /// `SHA1(new_nonce + number + auth_key_aux_hash)`. See "Creating an Authorization Key".
    pub fn new_nonce_hash(&self, new_nonce: &[u8; 32], number: u8) -> [u8; 16] {
        let hash = sha1(&[new_nonce, &[number], &self.aux_hash.to_le_bytes()]);
        let mut low = [0; 16];
        low.copy_from_slice(&hash[4..]);
        low
    }

    pub(super) fn from_boxed(bytes: Box<[u8; Self::LEN]>) -> Self {
        let hash = sha1(&[bytes.as_slice()]);
        let [a0, a1, a2, a3, a4, a5, a6, a7, _, _, _, _, i0, i1, i2, i3, i4, i5, i6, i7] = hash;
        Self {
            bytes,
            id: i64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            aux_hash: i64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
        }
    }
}

impl Zeroize for AuthKey {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.id = 0;
        self.aux_hash = 0;
    }
}

impl Drop for AuthKey {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl zeroize::ZeroizeOnDrop for AuthKey {}

impl PartialEq for AuthKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&*other.bytes).into()
    }
}

impl Eq for AuthKey {}

/// Shows the identifier, which travels in the clear anyway, and nothing of the key.
impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKey({:#018x})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{counting, samples, unhex};
    use super::*;

    #[test]
    fn identifiers_of_the_counting_key() {
        // grammers' test key, 00 01 … ff.
        let key = AuthKey::from_bytes(&counting());
        assert_eq!(hex::encode(key.id().to_le_bytes()), "32d1586ea457dfc8");
        assert_eq!(hex::encode(key.aux_hash().to_le_bytes()), "4916d6bdb7f78e68");
    }

    #[test]
    fn identifiers_and_nonce_hashes_of_the_published_samples() {
        for sample in samples() {
            let key = AuthKey::try_from_slice(&sample.bytes("auth_key")).unwrap();
            let new_nonce = sample.array("new_nonce");
            assert_eq!(key.new_nonce_hash(&new_nonce, 1).to_vec(), sample.bytes("new_nonce_hash1"), "{}", sample.name);
            for (number, name) in [(2, "new_nonce_hash2"), (3, "new_nonce_hash3")] {
                if let Some(expected) = sample.find(name) {
                    assert_eq!(key.new_nonce_hash(&new_nonce, number).to_vec(), expected, "{}", sample.name);
                }
            }
            if let Some(id) = sample.find("auth_key_id") {
                assert_eq!(key.id().to_le_bytes().to_vec(), id);
                assert_eq!(key.aux_hash().to_le_bytes().to_vec(), sample.bytes("auth_key_aux_hash"));
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for found in [0, 1, 255, 257, 512] {
            assert_eq!(AuthKey::try_from_slice(&vec![1; found]), Err(WrongKeyLength { found }));
        }
    }

    #[test]
    fn comparison_is_of_the_whole_key() {
        let mut bytes = counting();
        let key = AuthKey::from_bytes(&bytes);
        assert_eq!(key, key.clone());
        bytes[255] ^= 1;
        assert_ne!(key, AuthKey::from_bytes(&bytes));
    }

    #[test]
    fn debug_shows_no_key_byte() {
        let key = AuthKey::from_bytes(&[0xa7; 256]);
        assert_eq!(format!("{key:?}"), format!("AuthKey({:#018x})", key.id()));
        assert!(!format!("{key:?}").contains("a7a7"));
    }

    #[test]
    fn zeroize_leaves_nothing() {
        let mut key = AuthKey::from_bytes(&counting());
        key.zeroize();
        assert_eq!((key.as_bytes(), key.id(), key.aux_hash()), (&[0; 256], 0, 0));
        fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        wiped_when_dropped(&key);
    }

    #[test]
    fn unhex_is_strict() {
        assert_eq!(unhex("00ff"), [0, 255]);
    }
}
