//! The part of the exchange that both sides encrypt with a key made from the nonces:
//!
//! ```text
//! AES-256-IGE( SHA1(message) | message | 0..=15 random bytes )
//! ```

use bytes::Bytes;
use rand::Rng;

use crate::{
    check::Check,
    crypto::{self, hash::sha1, kdf::AesKeyIv},
    tl::{Deserialize, Reader},
};

use super::{
    error::{Error, InvalidMessage, Message, PeerMisbehaved},
    watch::{Note, Secret, Watch},
};

const HASH_LEN: usize = 20;
const BLOCK: usize = 16;
const MAX_PADDING: usize = BLOCK - 1;

/// The longest encrypted part taken, in bytes. Those of the exchange have 592 and 336; the rest is room for what a later layer
/// might add.
pub(super) const MAX_LEN: usize = 1024;

/// Proof that a message had its own SHA-1 in front of it, so whoever wrote it knows the new nonce.
#[derive(Clone, Copy)]
pub(super) struct Authentic(());

/// Encrypts `message` with its hash in front and random padding behind.
pub(super) fn seal(cipher: &AesKeyIv, message: &[u8], rng: &mut dyn Rng) -> Bytes {
    let len = HASH_LEN + message.len();
    let mut out = Vec::with_capacity(len.next_multiple_of(BLOCK));
    out.extend_from_slice(&sha1(&[message]));
    out.extend_from_slice(message);
    out.resize(len.next_multiple_of(BLOCK), 0);
    rng.fill_bytes(&mut out[len..]);
    cipher.encrypt(&mut out).expect("the length was rounded up to whole blocks");
    out.into()
}

/// Decrypts and reads the message that [`seal`] packed. `min` is the least number of bytes that it can have.
///
/// Where the message ends is known only after reading it, before anything proves that it is authentic. That is safe, for the reader
/// believes nothing, and its complaints are not passed on unless the hash then proves that the peer meant what it wrote.
pub(super) fn open<T: Deserialize>(
    cipher: &AesKeyIv,
    encrypted: &[u8],
    message: Message,
    min: usize,
    watch: &Watch,
) -> Result<(T, Authentic), Error> {
    let (len, min) = (encrypted.len(), (HASH_LEN + min).next_multiple_of(BLOCK));
    if watch.broken(Check::SealedMost, len > MAX_LEN) {
        return Err(PeerMisbehaved::EncryptedTooLong { message, len, max: MAX_LEN }.into());
    }
    if watch.broken(Check::SealedLeast, len < min) {
        return Err(PeerMisbehaved::EncryptedTooShort { message, len, min }.into());
    }
    let mut plaintext = encrypted.to_vec();
    if watch.broken(Check::SealedBlocks, cipher.decrypt(&mut plaintext).is_err()) {
        return Err(PeerMisbehaved::EncryptedNotBlockAligned { message, len }.into());
    }

    let mut content = Bytes::from(plaintext);
    let hash = content.split_to(HASH_LEN.min(len));
    let mut reader = Reader::new(content.clone());
    let read = T::deserialize(&mut reader);
    match read {
        Ok(value) => {
            let end = reader.position();
            let authentic = content.get(..end).is_some_and(|used| is_hash_of(&hash, used));
            if watch.broken(Check::SealedHash, !authentic) {
                return Err(PeerMisbehaved::InnerHashMismatch { message }.into());
            }
            let len = reader.remaining();
            if watch.broken(Check::SealedPadding, len > MAX_PADDING) {
                return Err(PeerMisbehaved::InnerPaddingTooLong { message, len }.into());
            }
            watch.note(|| Note::Inside { message, body: Secret::new(content.get(..end).unwrap_or_default()) });
            Ok((value, Authentic(())))
        }
        Err(error) => {
            let meant = (0..=MAX_PADDING)
                .filter_map(|padding| content.get(..content.len().checked_sub(padding)?))
                .any(|candidate| is_hash_of(&hash, candidate));
            Err(match meant {
                true => InvalidMessage::Decode { expected: message, error }.into(),
                false => PeerMisbehaved::InnerHashMismatch { message }.into(),
            })
        }
    }
}

fn is_hash_of(hash: &[u8], message: &[u8]) -> bool {
    crypto::constant_time_eq(hash, &sha1(&[message]))
}
