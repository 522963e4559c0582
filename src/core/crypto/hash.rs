//! SHA-1 and SHA-256 over a list of parts.
//!
//! The protocol's formulas hash concatenations (`SHA1(new_nonce + server_nonce)`). The parts are fed one after the other, so
//! nothing is joined in memory first.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// SHA-1 of the parts' concatenation.
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    digest::<Sha1>(parts).into()
}

/// SHA-256 of the parts' concatenation.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest::<Sha256>(parts).into()
}

fn digest<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    state.finalize()
}

/// SHA-256 of each message. Those whose length is a multiple of 16, and at least 32, are hashed side by side, as many as the processor is good
/// for: one alone is bound by the latency of the hash.
pub fn sha256_each(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let in_blocks = messages.iter().map(|message| in_blocks(message));
    let mut lanes: Vec<_> =
        in_blocks.clone().flatten().map(|(prefix, data)| tdl_kernel::Digest { prefix, data, digest: [0; 32] }).collect();
    tdl_kernel::hash(&mut lanes);
    let mut hashed = lanes.into_iter().map(|lane| lane.digest);
    let each = messages.iter().zip(in_blocks);
    each.map(|(message, blocks)| blocks.and_then(|_| hashed.next()).unwrap_or_else(|| sha256(&[message]))).collect()
}

/// A message as the kernel hashes it: with a prefix of its own, which here is how the message begins, and then in whole blocks.
fn in_blocks(message: &[u8]) -> Option<(&[u8; 32], &[tdl_kernel::Block])> {
    let (prefix, rest) = message.split_first_chunk()?;
    let (blocks, rest) = rest.as_chunks();
    rest.is_empty().then_some((prefix, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example messages.
    #[test]
    fn published_digests() {
        assert_eq!(hex::encode(sha1(&[])), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex::encode(sha1(&[b"abc"])), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex::encode(sha256(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex::encode(sha256(&[b"abc"])), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn parts_are_concatenated() {
        assert_eq!(sha1(&[b"a", b"", b"bc"]), sha1(&[b"abc"]));
        assert_eq!(sha256(&[b"ab", b"c"]), sha256(&[b"abc"]));
    }

    #[test]
    fn several_messages_have_the_hashes_that_they_have_alone() {
        let bytes: Vec<u8> = (0..4096_u32).map(|n| (n * 7 + n / 256) as u8).collect();
        for lens in [&[][..], &[0], &[31, 32, 33], &[32, 48, 64, 128], &[128, 1024, 16, 32, 48, 4096, 33], &[4080; 9]] {
            let messages: Vec<&[u8]> = lens.iter().enumerate().map(|(at, len)| &bytes[at..(at + len).min(4096)]).collect();
            let alone: Vec<_> = messages.iter().map(|message| sha256(&[message])).collect();
            assert_eq!(sha256_each(&messages), alone, "{lens:?}");
        }
    }
}
