//! PBKDF2 (RFC 8018, section 5.2) with HMAC-SHA-512: what makes guessing a password slow.
//!
//! Written on SHA-512's compression function and not taken from a library, because those are generic: they are compiled with whoever
//! uses them, so a hundred thousand rounds take seconds wherever that is not optimised. This is ninety lines, and leaves nothing behind.

use sha2::block_api::compress512;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// The length of one block of SHA-512, in bytes.
const BLOCK: usize = 128;

/// The length of its digest, in bytes.
const DIGEST: usize = 64;

/// What SHA-512 begins with (FIPS 180-4, section 5.3.5).
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// Fills `out` with a key derived from `password` and `salt` in `rounds` rounds (at least one is made).
pub fn pbkdf2_sha512(password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) {
    let key = Key::new(password);
    for (at, chunk) in (1_u32..).zip(out.chunks_mut(DIGEST)) {
        let mut round = key.mac(&[salt, &at.to_be_bytes()]);
        let mut sum = Zeroizing::new(*round);
        for _ in 1..rounds {
            key.mac_again(&mut round);
            sum.iter_mut().zip(round.iter()).for_each(|(sum, word)| *sum ^= word);
        }
        let bytes = to_bytes(&sum);
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
}

/// HMAC-SHA-512 of the parts' concatenation under `key`, which may be of any length.
pub fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    *to_bytes(&Key::new(key).mac(parts))
}

/// A digest or a state of SHA-512.
type Words = Zeroizing<[u64; 8]>;

/// The key of an HMAC, and both its halves hashed already.
struct Key {
    block: Zeroizing<[u8; BLOCK]>,
    inner: Words,
    outer: Words,
}

const INNER: u8 = 0x36;
const OUTER: u8 = 0x5c;

impl Key {
    fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        match block.get_mut(..key.len()) {
            Some(front) => front.copy_from_slice(key),
            None => block[..DIGEST].copy_from_slice(&Sha512::digest(key)),
        }
        let begun = |mask| {
            let mut state = Zeroizing::new(INITIAL);
            compress512(&mut state, &[*masked(&block, mask)]);
            state
        };
        Self { inner: begun(INNER), outer: begun(OUTER), block }
    }

    /// The code of a message of any length.
    fn mac(&self, parts: &[&[u8]]) -> Words {
        let mut inner = Sha512::new();
        inner.update(masked(&self.block, INNER).as_slice());
        for part in parts {
            inner.update(part);
        }
        let mut digest: [u8; DIGEST] = inner.finalize().into();
        let mut words = Zeroizing::new([0; 8]);
        for (word, bytes) in words.iter_mut().zip(digest.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        digest.zeroize();
        let outer = self.ended(&self.outer, &words);
        *words = *outer;
        words
    }

    /// Replaces a digest by its code.
    fn mac_again(&self, digest: &mut Words) {
        let inner = self.ended(&self.inner, digest);
        let outer = self.ended(&self.outer, &inner);
        **digest = *outer;
    }

    /// What a state becomes after one digest and the end of the message: both fit into one block.
    fn ended(&self, begun: &Words, digest: &Words) -> Words {
        let mut block = Zeroizing::new([0; BLOCK]);
        block[..DIGEST].copy_from_slice(to_bytes(digest).as_slice());
        block[DIGEST] = 0x80;
        // The length of all that was hashed, in bits, at the end of the block.
        block[BLOCK - 2..].copy_from_slice(&(8 * (BLOCK + DIGEST) as u16).to_be_bytes());
        let mut state = begun.clone();
        compress512(&mut state, &[*block]);
        state
    }
}

fn masked(block: &[u8; BLOCK], mask: u8) -> Zeroizing<[u8; BLOCK]> {
    Zeroizing::new(block.map(|byte| byte ^ mask))
}

fn to_bytes(words: &[u64; 8]) -> Zeroizing<[u8; DIGEST]> {
    let mut bytes = Zeroizing::new([0; DIGEST]);
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::testing::unhex;
    use super::*;

    /// RFC 4231, test cases 1, 2, 3 and 6 (a key longer than a block).
    #[test]
    fn published_codes() {
        let cases: [(&[u8], &[u8], &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
                 daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39
                 bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ];
        for (key, message, code) in cases {
            assert_eq!(hmac_sha512(key, &[message]).to_vec(), unhex(code));
            let (front, back) = message.split_at(message.len() / 2);
            assert_eq!(hmac_sha512(key, &[front, &[], back]).to_vec(), unhex(code), "in parts");
        }
    }

    /// The cases of RFC 6070 with SHA-512, as CPython's `test_hashlib.py` and others print them.
    #[test]
    fn published_keys() {
        let derived = |password: &[u8], salt: &[u8], rounds| {
            let mut out = [0; DIGEST];
            pbkdf2_sha512(password, salt, rounds, &mut out);
            out.to_vec()
        };
        assert_eq!(
            derived(b"password", b"salt", 1),
            unhex(
                "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252
                 c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce"
            )
        );
        assert_eq!(
            derived(b"password", b"salt", 2),
            unhex(
                "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c
                 f76cab2868a39b9f7840edce4fef5a82be67335c77a6068e04112754f27ccf4e"
            )
        );
        assert_eq!(
            derived(b"password", b"salt", 4096),
            unhex(
                "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5
                 143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5"
            )
        );
        assert_eq!(
            derived(b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096),
            unhex(
                "8c0511f4c6e597c6ac6315d8f0362e225f3c501495ba23b868c005174dc4ee71
                 115b59f9e60cd9532fa33e0f75aefe30225c583a186cd82bd4daea9724a3d3b8"
            )
        );
    }

    /// A key longer than a digest is made of blocks, each numbered; a shorter one is the beginning of a longer one.
    #[test]
    fn keys_of_any_length() {
        let mut long = [0; 2 * DIGEST + 5];
        pbkdf2_sha512(b"password", b"salt", 3, &mut long);
        for length in [0, 1, DIGEST - 1, DIGEST, DIGEST + 1, 2 * DIGEST] {
            let mut short = vec![0; length];
            pbkdf2_sha512(b"password", b"salt", 3, &mut short);
            assert_eq!(short, long[..length]);
        }
        assert_ne!(long[..DIGEST], long[DIGEST..2 * DIGEST]);
        // By the definition: F(2) = U1 ^ U2 ^ U3.
        let first = hmac_sha512(b"password", &[b"salt", &2_u32.to_be_bytes()]);
        let second = hmac_sha512(b"password", &[&first]);
        let third = hmac_sha512(b"password", &[&second]);
        let sum: Vec<u8> = (0..DIGEST).map(|at| first[at] ^ second[at] ^ third[at]).collect();
        assert_eq!(long[DIGEST..2 * DIGEST], sum);
    }
}
