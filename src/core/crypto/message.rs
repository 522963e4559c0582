//! Whole messages of MTProto 2.0 ("Mobile Protocol: Detailed Description"): message key and cipher in one go.
//!
//! The message key of what comes in is computed while it is decrypted, and several messages are worked on side by side: one alone waits
//! for its own last block all the time. `tdl-kernel` has the loops.

use tdl_kernel::{Cipher, Digest, Received};

use super::AuthKey;
use super::kdf::{self, AesKeyIv, Side, msg_key_of, msg_key_part};

pub use tdl_kernel::Block;

/// How the loops do their work on this processor: for reports of measurements.
pub fn kernel() -> &'static str {
    tdl_kernel::way()
}

/// Whether several messages at once take less than one after the other on this processor.
pub fn is_side_by_side() -> bool {
    tdl_kernel::is_side_by_side()
}

/// An encrypted message.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The key that it is under.
    pub auth_key: &'a AuthKey,
    /// Who wrote it.
    pub writer: Side,
    /// The message key that came with it.
    pub msg_key: [u8; 16],
    /// The encrypted part, decrypted in place.
    pub data: &'a mut [Block],
    /// What the message key would have to be part of: written by [`decrypt`], for the caller to [compare](super::constant_time_eq)
    /// before anything else is made of the plaintext.
    pub msg_key_large: [u8; 32],
}

/// A message to be encrypted.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The key that it is to be under.
    pub auth_key: &'a AuthKey,
    /// Who writes it.
    pub writer: Side,
    /// The plaintext with its padding, encrypted in place.
    pub data: &'a mut [Block],
    /// What the message key is part of: written by [`encrypt`].
    pub msg_key_large: [u8; 32],
}

/// Decrypts messages and computes their keys.
pub fn decrypt(messages: &mut [Incoming<'_>]) {
    if let [message] = messages {
        // By far the most.
        let prefix = msg_key_part(message.auth_key, message.writer);
        let AesKeyIv { key, iv } = &kdf::aes_v2(message.auth_key, &message.msg_key, message.writer);
        let mut received = [Received { cipher: Cipher { key, iv, data: message.data }, prefix, digest: [0; 32] }];
        tdl_kernel::receive(&mut received);
        let [Received { digest, .. }] = received;
        message.msg_key_large = digest;
        return;
    }
    let ciphers: Vec<_> =
        messages.iter().map(|message| kdf::aes_v2(message.auth_key, &message.msg_key, message.writer)).collect();
    let mut received: Vec<_> = messages
        .iter_mut()
        .zip(&ciphers)
        .map(|(message, AesKeyIv { key, iv })| Received {
            cipher: Cipher { key, iv, data: message.data },
            prefix: msg_key_part(message.auth_key, message.writer),
            digest: [0; 32],
        })
        .collect();
    tdl_kernel::receive(&mut received);
    let digests: Vec<_> = received.iter().map(|received| received.digest).collect();
    for (message, digest) in messages.iter_mut().zip(digests) {
        message.msg_key_large = digest;
    }
}

/// Computes the keys of messages, and encrypts them.
pub fn encrypt(messages: &mut [Outgoing<'_>]) {
    if let [message] = messages {
        let prefix = msg_key_part(message.auth_key, message.writer);
        let mut hashed = [Digest { prefix, data: message.data, digest: [0; 32] }];
        tdl_kernel::hash(&mut hashed);
        let [Digest { digest, .. }] = hashed;
        message.msg_key_large = digest;
        let AesKeyIv { key, iv } = &kdf::aes_v2(message.auth_key, &msg_key_of(&digest), message.writer);
        return tdl_kernel::encrypt(&mut [Cipher { key, iv, data: message.data }]);
    }
    let mut hashed: Vec<_> = messages
        .iter()
        .map(|message| Digest { prefix: msg_key_part(message.auth_key, message.writer), data: &*message.data, digest: [0; 32] })
        .collect();
    tdl_kernel::hash(&mut hashed);
    let digests: Vec<_> = hashed.iter().map(|hashed| hashed.digest).collect();
    for (message, digest) in messages.iter_mut().zip(digests) {
        message.msg_key_large = digest;
    }
    let cipher = |message: &Outgoing<'_>| kdf::aes_v2(message.auth_key, &msg_key_of(&message.msg_key_large), message.writer);
    let ciphers: Vec<_> = messages.iter().map(cipher).collect();
    let mut plain: Vec<_> = messages
        .iter_mut()
        .zip(&ciphers)
        .map(|(message, AesKeyIv { key, iv })| Cipher { key, iv, data: message.data })
        .collect();
    tdl_kernel::encrypt(&mut plain);
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    use super::*;

    /// What comes out is what the formulas say, step by step, for one message and for several.
    #[test]
    fn in_one_go_as_step_by_step() {
        for seed in 0..60 {
            let mut rng = StdRng::from_seed([seed; 32]);
            let mut key = [0; 256];
            rng.fill_bytes(&mut key);
            // Every other one under another key, and by the other side.
            let other = AuthKey::from_bytes(&key.map(|byte: u8| !byte));
            let key = AuthKey::from_bytes(&key);
            let whose = |n: usize| {
                let writer = [Side::Client, Side::Server][(usize::from(seed) + n) % 2];
                (if n.is_multiple_of(2) { &key } else { &other }, writer)
            };
            let plain: Vec<Vec<Block>> = (0..usize::from(seed) % 6)
                .map(|_| {
                    let mut data = vec![[0; 16]; rng.random_range(0..200)];
                    rng.fill_bytes(data.as_flattened_mut());
                    data
                })
                .collect();

            let mut sent = plain.clone();
            let mut outgoing: Vec<_> = sent
                .iter_mut()
                .enumerate()
                .map(|(n, data)| {
                    let (auth_key, writer) = whose(n);
                    Outgoing { auth_key, writer, data, msg_key_large: [0; 32] }
                })
                .collect();
            encrypt(&mut outgoing);
            let large: Vec<_> = outgoing.iter().map(|outgoing| outgoing.msg_key_large).collect();
            for (n, ((plain, sent), large)) in plain.iter().zip(&sent).zip(&large).enumerate() {
                let (key, writer) = whose(n);
                assert_eq!(*large, kdf::msg_key_large(key, writer, plain.as_flattened()), "seed {seed}");
                let mut data = plain.clone();
                kdf::aes_v2(key, &msg_key_of(large), writer).encrypt(data.as_flattened_mut()).expect("whole blocks");
                assert_eq!(*sent, data, "seed {seed}");
            }

            let mut received = sent;
            let mut incoming: Vec<_> = received
                .iter_mut()
                .zip(&large)
                .enumerate()
                .map(|(n, (data, large))| {
                    let (auth_key, writer) = whose(n);
                    Incoming { auth_key, writer, msg_key: msg_key_of(large), data, msg_key_large: [0; 32] }
                })
                .collect();
            decrypt(&mut incoming);
            assert!(incoming.iter().map(|incoming| incoming.msg_key_large).eq(large), "seed {seed}");
            assert_eq!(received, plain, "seed {seed}");
        }
    }
}
