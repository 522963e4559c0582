//! The obfuscation layer ("Transport obfuscation").
//!
//! A client begins with 64 bytes; everything after them, in both directions, is enciphered with AES-256-CTR, one continuous key
//! stream a direction. The keys are in the 64 bytes themselves:
//!
//! ```text
//!  0          8                       40               56     60   62   64
//! +----------+-----------------------+----------------+------+----+----+
//! | random   | key, client to server | its IV         | tag  | DC | .. |
//! +----------+-----------------------+----------------+------+----+----+
//!            '---------- read backwards: key and IV,  '---- enciphered --'
//!                        server to client
//! ```
//!
//! An MTProxy's clients mix its secret into both keys: each is the SHA-256 of the 32 bytes above and the secret. So only who knows the
//! secret gets past the proxy, and the proxy routes by the DC.
//!
//! The last eight bytes are sent enciphered, with the key stream at offset 56: the stream starts at the initial bytes. The tag is the
//! kind's; full has none and leaves it random. The DC is a signed 16-bit number.

use rand::Rng;

use zeroize::Zeroizing;

use super::Kind;
use super::error::Error;
use super::mtproxy::Key;
use crate::crypto::aes::Ctr;
use crate::crypto::hash::sha256;
use crate::ids::DcId;

/// Length of the initial bytes.
pub(super) const INIT: usize = 64;

/// The two key streams of one end, past the initial bytes.
pub(super) struct Streams {
    pub(super) outgoing: Ctr,
    pub(super) incoming: Ctr,
}

/// Makes the initial bytes of a client; with a proxy's secret, those that the proxy wants.
pub(super) fn start(kind: Kind, dc: DcId, secret: Option<&Key>, rng: &mut dyn Rng) -> Result<([u8; INIT], Streams), Error> {
    let dc_tag = i16::try_from(dc.0).map_err(|_| Error::DcOutOfRange { dc: dc.0 })?;
    let mut init = random_init(kind, rng);
    if let Some(tag) = kind.tag() {
        init[56..60].copy_from_slice(&tag.to_le_bytes());
    }
    if dc_tag != 0 {
        init[60..62].copy_from_slice(&dc_tag.to_le_bytes());
    }
    let (mut outgoing, incoming) = key_streams(&init, secret);
    let mut enciphered = init;
    outgoing.apply(&mut enciphered);
    init[56..].copy_from_slice(&enciphered[56..]);
    Ok((init, Streams { outgoing, incoming }))
}

/// What a server reads in a client's initial bytes: the tag, the DC (meaningful only if the client wrote one), and the streams.
pub(super) fn accept(init: &[u8; INIT], secret: Option<&Key>) -> (u32, DcId, Streams) {
    let (mut incoming, outgoing) = key_streams(init, secret);
    let mut deciphered = *init;
    incoming.apply(&mut deciphered);
    let [.., t0, t1, t2, t3, d0, d1, _, _] = deciphered;
    let tag = u32::from_le_bytes([t0, t1, t2, t3]);
    (tag, DcId(i16::from_le_bytes([d0, d1]).into()), Streams { outgoing, incoming })
}

/// The key streams from client to server and from server to client, both at their start.
fn key_streams(init: &[u8; INIT], secret: Option<&Key>) -> (Ctr, Ctr) {
    let mut reversed = *init;
    reversed.reverse();
    (key_stream(init, secret), key_stream(&reversed, secret))
}

fn key_stream(init: &[u8; INIT], secret: Option<&Key>) -> Ctr {
    let (mut key, mut iv) = (Zeroizing::new([0; 32]), [0; 16]);
    key.copy_from_slice(&init[8..40]);
    iv.copy_from_slice(&init[40..56]);
    if let Some(secret) = secret {
        *key = sha256(&[&*key, secret.bytes()]);
    }
    Ctr::new(&key, &iv)
}

/// Random bytes that cannot be taken for the start of anything else.
fn random_init(kind: Kind, rng: &mut dyn Rng) -> [u8; INIT] {
    /// A sound source needs a second try once in some 250 times. A broken one must not keep us here.
    const TRIES: usize = 16;

    let mut init = [0; INIT];
    for _ in 0..TRIES {
        rng.fill_bytes(&mut init);
        if !is_forbidden(&init, kind) {
            return init;
        }
    }
    // No tag, method or greeting starts with this byte, and the next word is no first sequence number.
    init[0] = 0x01;
    init[4] = 0x01;
    if has_tag(&init) {
        init[56] ^= 0x01;
    }
    init
}

/// First words that mean something else: HTTP methods, a TLS greeting, and the tags of the plain transports.
pub(super) const HTTP: [[u8; 4]; 4] = [*b"HEAD", *b"POST", *b"GET ", *b"OPTI"];
/// A TLS record of type handshake, as a client's greeting begins.
pub(super) const TLS: [u8; 4] = [0x16, 0x03, 0x01, 0x02];

fn is_forbidden(init: &[u8; INIT], kind: Kind) -> bool {
    let [a, b, c, d, e, f, g, h, ..] = *init;
    let first = [a, b, c, d];
    a == 0xef
        || HTTP.contains(&first)
        || first == TLS
        || [0xdd; 4] == first
        || [0xee; 4] == first
        || [e, f, g, h] == [0; 4]
        // Full leaves the place of the tag random. What is random there must not be a tag by chance.
        || (kind == Kind::Full && has_tag(init))
}

fn has_tag(init: &[u8; INIT]) -> bool {
    [[0xef; 4], [0xee; 4], [0xdd; 4]].iter().any(|tag| init[56..60] == *tag)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::TryRng;

    use super::*;

    /// Yields the given starts first (each filled up to 64 bytes), then bytes that are allowed.
    struct Starts(Vec<Vec<u8>>);

    impl TryRng for Starts {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(7)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(7)
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.fill(0x77);
            if let Some(start) = self.0.pop() {
                out[..start.len()].copy_from_slice(&start);
            }
            Ok(())
        }
    }

    fn forbidden_starts() -> Vec<Vec<u8>> {
        let mut all = vec![
            vec![0xef],
            vec![0xdd; 4],
            vec![0xee; 4],
            b"HEAD".to_vec(),
            b"POST".to_vec(),
            b"GET ".to_vec(),
            b"OPTI".to_vec(),
            vec![0x16, 0x03, 0x01, 0x02],
            vec![9, 9, 9, 9, 0, 0, 0, 0],
        ];
        for tag in [0xef_u8, 0xee, 0xdd] {
            let mut at_tag = vec![0x55; 56];
            at_tag.extend([tag; 4]);
            all.push(at_tag);
        }
        all
    }

    #[test]
    fn forbidden_starts_are_drawn_again() {
        for start in forbidden_starts() {
            let only_full = start.len() > 8;
            for kind in Kind::ALL {
                let mut rng = Starts(vec![start.clone()]);
                let (init, _) = start_with(kind, &mut rng);
                if !only_full || kind == Kind::Full {
                    assert_eq!(init[..56], [0x77; 56], "{kind} took {start:02x?}");
                } else {
                    assert_eq!(init[..56], [0x55; 56], "the tag overwrites what was drawn");
                }
            }
        }
        let mut rng = Starts(forbidden_starts());
        assert_eq!(start_with(Kind::Full, &mut rng).0[..56], [0x77; 56]);
    }

    #[test]
    fn a_broken_source_yields_allowed_bytes_all_the_same() {
        for start in forbidden_starts() {
            for kind in Kind::ALL {
                let (init, _) = start_with(kind, &mut Starts(vec![start.clone(); 100]));
                assert!(!is_forbidden(&init, Kind::Abridged), "{kind} {start:02x?}");
                let (tag, ..) = accept(&init, None);
                let named = Kind::ALL.into_iter().find(|kind| kind.tag() == Some(tag));
                assert_eq!(named.unwrap_or(Kind::Full), kind, "{start:02x?}");
            }
        }
    }

    fn start_with(kind: Kind, rng: &mut Starts) -> ([u8; INIT], Streams) {
        start(kind, DcId(2), None, rng).unwrap()
    }

    #[test]
    fn both_ends_agree() {
        let secret = Key::new([0x5e; 16]);
        for (dc, secret) in [1, -3, 10_002, -10_004].into_iter().flat_map(|dc| [(dc, None), (dc, Some(&secret))]) {
            let (init, mut client) = start(Kind::Intermediate, DcId(dc), secret, &mut Starts(Vec::new())).unwrap();
            let (tag, seen, mut server) = accept(&init, secret);
            assert_eq!((tag, seen), (0xeeee_eeee, DcId(dc)));
            let mut data = *b"there and back";
            client.outgoing.apply(&mut data);
            assert_ne!(&data, b"there and back");
            server.incoming.apply(&mut data);
            assert_eq!(&data, b"there and back");
            server.outgoing.apply(&mut data);
            client.incoming.apply(&mut data);
            assert_eq!(&data, b"there and back");
        }
    }

    #[test]
    fn a_dc_that_does_not_fit_is_refused() {
        let result = start(Kind::Full, DcId(40_000), None, &mut Starts(Vec::new()));
        assert_eq!(result.err(), Some(Error::DcOutOfRange { dc: 40_000 }));
    }

    /// The formula, computed by another library: AES-256-CTR under SHA-256(bytes 8..40 of the initial ones, secret), from its start.
    #[test]
    fn a_secret_goes_into_the_key() {
        let (ours, others) = (Key::new([1; 16]), Key::new([2; 16]));
        let (init, _) = start(Kind::PaddedIntermediate, DcId(-2), Some(&ours), &mut Starts(Vec::new())).unwrap();
        assert_eq!(hex::encode(&init[56..]), "28b457c2ad09cda7");
        assert_eq!(accept(&init, Some(&ours)).0, 0xdddd_dddd);
        assert_ne!(accept(&init, Some(&others)).0, 0xdddd_dddd);
        assert_ne!(accept(&init, None).0, 0xdddd_dddd);
    }
}
