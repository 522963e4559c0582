//! The encryption of `tdata`: the keys that a passcode gives, and the blocks that are encrypted with them.
//!
//! A block is AES-256 in IGE mode with the key derivation of MTProto 1.0 (side `x = 8`), under 128 bits of the SHA-1 of what is encrypted;
//! they stand in front, and tell afterwards whether the key was right.

use rand::Rng;
use sha1::{Digest as _, Sha1};
use sha2::Sha512;
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::{
    AuthKey, constant_time_eq,
    hash::sha1,
    kdf::{self, Side},
    pbkdf2::pbkdf2_sha512,
};
use crate::seal::{KdfLimits, KdfParams, argon2id};

use super::super::Error;

/// The length of the salt, in bytes.
pub(super) const SALT: usize = 32;

/// Rounds for a passcode, and for none.
const ROUNDS: u32 = 100_000;
/// Rounds for a passcode, and for none, of versions that kept the key in the map.
const LEGACY_ROUNDS: u32 = 4000;
const LEGACY_ROUNDS_WITHOUT: u32 = 4;

/// The length of a block's digest, in bytes.
const DIGEST: usize = 16;

/// The key that a passcode gives. An empty one stands for none.
pub(super) fn passcode_key(passcode: &[u8], salt: &[u8]) -> AuthKey {
    let mut hash = Sha512::new();
    for part in [salt, passcode, salt] {
        hash.update(part);
    }
    let mut password: [u8; 64] = hash.finalize().into();
    let mut key = Zeroizing::new([0; AuthKey::LEN]);
    pbkdf2_sha512(&password, salt, if passcode.is_empty() { 1 } else { ROUNDS }, key.as_mut_slice());
    password.zeroize();
    AuthKey::from_bytes(&key)
}

/// The key that a passcode gave before version 2.1.
pub(super) fn legacy_passcode_key(passcode: &[u8], salt: &[u8]) -> AuthKey {
    let rounds = if passcode.is_empty() { LEGACY_ROUNDS_WITHOUT } else { LEGACY_ROUNDS };
    let mut key = Zeroizing::new([0; AuthKey::LEN]);
    pbkdf2_sha1(passcode, salt, rounds, key.as_mut_slice());
    AuthKey::from_bytes(&key)
}

/// The key that a passcode gives since version 7.3: Argon2id, with costs that the file says.
///
/// # Errors
///
/// [`Error::PasscodeCost`] for costs beyond the limits, or where there is no memory for them.
pub(super) fn costly_key(passcode: &[u8], salt: &[u8], cost: KdfParams, limits: KdfLimits) -> Result<AuthKey, Error> {
    let mut key = Zeroizing::new([0; AuthKey::LEN]);
    argon2id(passcode, salt, cost, limits, key.as_mut_slice()).map_err(Error::PasscodeCost)?;
    Ok(AuthKey::from_bytes(&key))
}

/// PBKDF2 (RFC 8018, section 5.2) with HMAC-SHA-1: fills `out`.
fn pbkdf2_sha1(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    /// The length of one block of SHA-1, in bytes.
    const BLOCK: usize = 64;
    let mut block = Zeroizing::new([0; BLOCK]);
    match block.get_mut(..password.len()) {
        Some(front) => front.copy_from_slice(password),
        None => block[..20].copy_from_slice(&sha1(&[password])),
    }
    let keyed = |mask: u8| {
        let masked = Zeroizing::new(block.map(|byte| byte ^ mask));
        Sha1::new().chain_update(masked.as_slice())
    };
    let (inner, outer) = (keyed(0x36), keyed(0x5c));
    let mac = |parts: &[&[u8]]| -> [u8; 20] {
        let mut hash = inner.clone();
        parts.iter().for_each(|part| hash.update(part));
        outer.clone().chain_update(hash.finalize()).finalize().into()
    };
    for (at, chunk) in (1_u32..).zip(out.chunks_mut(20)) {
        let mut round = mac(&[salt, &at.to_be_bytes()]);
        let mut sum = round;
        for _ in 1..rounds {
            round = mac(&[&round]);
            sum.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
        }
        chunk.copy_from_slice(&sum[..chunk.len()]);
        sum.zeroize();
        round.zeroize();
    }
}

/// Opens a block. `what` is for the error.
///
/// # Errors
///
/// [`Error::BadEncryptedLength`]; [`Error::BadDigest`] where the key is another one or the block is damaged; [`Error::BadInnerLength`].
pub(super) fn decrypt(what: &'static str, block: &[u8], key: &AuthKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bad_length = || Error::BadEncryptedLength { what, found: block.len() };
    let (digest, encrypted) = block.split_first_chunk::<DIGEST>().ok_or_else(bad_length)?;
    if encrypted.is_empty() {
        return Err(bad_length());
    }
    let mut plain = Zeroizing::new(encrypted.to_vec());
    kdf::aes_v1(key, digest, Side::Server).decrypt(&mut plain).map_err(|_| bad_length())?;
    if !constant_time_eq(&sha1(&[&plain])[..DIGEST], digest) {
        return Err(Error::BadDigest { what });
    }
    let mut claimed = [0; 4];
    claimed.copy_from_slice(&plain[..4]);
    let claimed = u32::from_le_bytes(claimed);
    // The length counts itself, and the padding is shorter than a block of the cipher.
    let len = usize::try_from(claimed).unwrap_or(usize::MAX);
    if len < 4 || len > plain.len() || len.saturating_add(16) <= plain.len() {
        return Err(Error::BadInnerLength { what, found: claimed, block: plain.len() });
    }
    Ok(Zeroizing::new(plain[4..len].to_vec()))
}

/// Closes a block.
pub(super) fn encrypt(content: &[u8], key: &AuthKey, rng: &mut impl Rng) -> Vec<u8> {
    let len = content.len() + 4;
    let padded = len.next_multiple_of(16);
    let mut plain = Zeroizing::new(Vec::with_capacity(padded));
    plain.extend_from_slice(&u32::try_from(len).expect("what is written here is some kilobytes long").to_le_bytes());
    plain.extend_from_slice(content);
    plain.resize(padded, 0);
    rng.fill_bytes(&mut plain[len..]);
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&sha1(&[&plain])[..DIGEST]);
    kdf::aes_v1(key, &digest, Side::Server).encrypt(&mut plain).expect("the length is a multiple of the block's");
    [digest.as_slice(), &plain].concat()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    /// RFC 6070, the first four cases that do not take minutes, and the one of 25 bytes.
    #[test]
    fn published_keys() {
        let cases: [(&[u8], &[u8], u32, &str); 4] = [
            (b"password", b"salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            (b"password", b"salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            (b"password", b"salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
            (
                b"passwordPASSWORDpassword",
                b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
                4096,
                "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
            ),
        ];
        for (password, salt, rounds, expected) in cases {
            let mut out = vec![0; expected.len() / 2];
            pbkdf2_sha1(password, salt, rounds, &mut out);
            assert_eq!(hex::encode(out), expected);
        }
        // A password longer than a block is hashed first.
        let mut outs = [[0; 20]; 2];
        pbkdf2_sha1(&[7; 65], b"salt", 2, &mut outs[0]);
        pbkdf2_sha1(&sha1(&[&[7; 65]]), b"salt", 2, &mut outs[1]);
        assert_eq!(outs[0], outs[1]);
    }

    #[test]
    fn a_block_opens_with_its_key_only_and_damage_is_seen() {
        let mut rng = StdRng::from_seed([1; 32]);
        let (key, other) = (AuthKey::from_bytes(&[1; 256]), AuthKey::from_bytes(&[2; 256]));
        for len in [0, 1, 11, 12, 13, 256] {
            let content = vec![9; len];
            let block = encrypt(&content, &key, &mut rng);
            assert_eq!(decrypt("x", &block, &key).unwrap().as_slice(), content);
            assert!(matches!(decrypt("x", &block, &other), Err(Error::BadDigest { what: "x" })));
            for at in [0, 15, 16, block.len() - 1] {
                let mut damaged = block.clone();
                damaged[at] ^= 1;
                assert!(matches!(decrypt("x", &damaged, &key), Err(Error::BadDigest { .. })), "byte {at} of {len}");
            }
        }
        for len in [0, 15, 16, 17, 47] {
            let error = decrypt("x", &vec![0; len], &key).unwrap_err();
            assert!(matches!(error, Error::BadEncryptedLength { found, .. } if found == len));
        }
    }

    #[test]
    fn a_length_inside_that_cannot_be_is_refused() {
        let key = AuthKey::from_bytes(&[1; 256]);
        for claimed in [0_u32, 3, 16, 33, u32::MAX] {
            let mut plain = vec![0; 32];
            plain[..4].copy_from_slice(&claimed.to_le_bytes());
            let mut digest = [0; 16];
            digest.copy_from_slice(&sha1(&[&plain])[..16]);
            kdf::aes_v1(&key, &digest, Side::Server).encrypt(&mut plain).unwrap();
            let error = decrypt("x", &[digest.as_slice(), &plain].concat(), &key).unwrap_err();
            assert!(matches!(error, Error::BadInnerLength { found, block: 32, .. } if found == claimed), "{claimed}");
        }
    }
}
