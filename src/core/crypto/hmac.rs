//! HMAC-SHA-256 (RFC 2104), which proves that whoever made a message knows a secret.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::hash::sha256;

/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// HMAC-SHA-256 of the parts' concatenation under `key`, which may be of any length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0; BLOCK]);
    match block.get_mut(..key.len()) {
        Some(front) => front.copy_from_slice(key),
        None => block[..32].copy_from_slice(&sha256(&[key])),
    }
    let inner = keyed(&block, 0x36, parts);
    keyed(&block, 0x5c, &[&inner])
}

/// SHA-256 of the key block, each byte of it changed by `mask`, and the parts.
fn keyed(block: &[u8; BLOCK], mask: u8, parts: &[&[u8]]) -> [u8; 32] {
    let masked = Zeroizing::new(block.map(|byte| byte ^ mask));
    let mut state = Sha256::new();
    state.update(masked.as_slice());
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
    #[test]
    fn published_codes() {
        let cases: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, code) in cases {
            assert_eq!(hex::encode(hmac_sha256(key, &[message])), code);
        }
    }

    #[test]
    fn parts_are_concatenated_and_a_key_of_one_block_is_used_as_it_is() {
        assert_eq!(hmac_sha256(b"k", &[b"ab", b"", b"c"]), hmac_sha256(b"k", &[b"abc"]));
        // RFC 2104: a shorter key is filled up with zeros.
        let mut padded = [0; BLOCK];
        padded[0] = b'k';
        assert_eq!(hmac_sha256(&padded, &[b"m"]), hmac_sha256(b"k", &[b"m"]));
    }
}
