//! AES-256-IGE and SHA-256 of MTProto's messages, by the processor's own instructions where it has them.
//!
//! | what | how |
//! |---|---|
//! | [`encrypt`], [`decrypt`] | AES-256-IGE, in place |
//! | [`hash`] | SHA-256 over 32 bytes of the auth key and a plaintext: `msg_key_large` of MTProto 2.0 |
//! | [`Ctr`] | AES-256-CTR, a stream of any pieces |
//! | [`receive`] | both at once: what was just decrypted is hashed while the next blocks are decrypted |
//!
//! Each takes several messages. One message is bound by latency: in IGE every block waits for the one before it, and in SHA-256 every
//! round. So up to [`LANES`] messages are worked on side by side, each in a lane of its own; they may differ in length, and a lane that
//! is done takes the next message. A few more than there are lanes take turns: four in three lanes cost as much each as three. Where
//! the processor hashes faster without its instructions for SHA, eight or sixteen are hashed at once.
//!
//! # Ways
//!
//! `portable` goes through the `aes` and `sha2` crates, and is what everything else is compared with. On x86-64 with the instructions
//! for AES and for SHA there is `x86`, once for each encoding of its instructions. Which one it is, is asked when the program runs.
//! A package of its own, so that it is optimised even where what uses it is not, and so that all code that the compiler cannot
//! check is in one place.
//!
//! # What is constant in time
//!
//! All of it but for the lengths: `x86` has neither a table nor a branch that depends on keys or data, and the two crates say the same
//! of themselves. Round keys are wiped when dropped.

mod ctr;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub use ctr::Ctr;

/// The length of an AES block, in bytes.
pub const BLOCK: usize = 16;

/// How many messages are worked on side by side, at most; but for [`hash`], which takes up to sixteen on some processors.
pub const LANES: usize = 4;

/// One block of the cipher.
pub type Block = [u8; BLOCK];

/// Data to be encrypted or decrypted with AES-256-IGE.
pub struct Cipher<'a> {
    /// The key.
    pub key: &'a [u8; 32],
    /// The initialisation vector: the ciphertext block before the first one, and the plaintext block.
    pub iv: &'a [u8; 32],
    /// What is encrypted or decrypted in place.
    pub data: &'a mut [Block],
}

/// A plaintext to be hashed.
pub struct Digest<'a> {
    /// What is hashed before it: the part of the auth key.
    pub prefix: &'a [u8; 32],
    /// The plaintext with its padding.
    pub data: &'a [Block],
    /// SHA-256 of both: written by [`hash`].
    pub digest: [u8; 32],
}

/// A message to be decrypted and hashed.
pub struct Received<'a> {
    /// What is decrypted, and with what.
    pub cipher: Cipher<'a>,
    /// What is hashed before the plaintext: the part of the auth key.
    pub prefix: &'a [u8; 32],
    /// SHA-256 of both: written by [`receive`].
    pub digest: [u8; 32],
}

/// Encrypts in place: `c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]`.
pub fn encrypt(messages: &mut [Cipher<'_>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(way) = x86::Way::best() {
        return way.encrypt(messages);
    }
    messages.iter_mut().for_each(portable::encrypt);
}

/// Decrypts in place: the inverse of [`encrypt`].
pub fn decrypt(messages: &mut [Cipher<'_>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(way) = x86::Way::best() {
        return way.decrypt(messages);
    }
    messages.iter_mut().for_each(portable::decrypt);
}

/// Writes each message's digest.
pub fn hash(messages: &mut [Digest<'_>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(way) = x86::Way::best() {
        return way.hash(messages);
    }
    messages.iter_mut().for_each(portable::hash);
}

/// Decrypts in place, and writes each message's digest.
pub fn receive(messages: &mut [Received<'_>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(way) = x86::Way::best() {
        return way.receive(messages);
    }
    messages.iter_mut().for_each(portable::receive);
}

/// Whether messages that are given together are worked on side by side on this processor, and not one after the other.
pub fn is_side_by_side() -> bool {
    #[cfg(target_arch = "x86_64")]
    if x86::Way::best().is_some() {
        return true;
    }
    false
}

/// How the functions here do their work on this processor: for reports of measurements.
pub fn way() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if let Some(way) = x86::Way::best() {
        return way.name();
    }
    "portable"
}
