use std::collections::BTreeSet;

use rand::{SeedableRng, rngs::StdRng};

use super::*;

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

/// 00 01 … ff.
fn counting_key() -> AuthKey {
    AuthKey::from_bytes(&std::array::from_fn(|i| i as u8))
}

const HEADER: Header = Header {
    salt: Salt(0x1122_3344_5566_7788),
    session_id: SessionId(0x0102_0304_0506_0708),
    msg_id: MsgId(0x65c5_3d50_0006_72d4),
    seq_no: SeqNo(7),
};

/// Seals whatever plaintext is given, whether or not it makes sense.
fn seal_raw(key: &AuthKey, writer: Side, plaintext: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_i64_le(key.id());
    let msg_key = kdf::msg_key_v2(key, writer, plaintext);
    out.put_slice(&msg_key);
    let cipher = kdf::aes_v2(key, &msg_key, writer);
    let mut encrypted = plaintext.to_vec();
    cipher.encrypt(&mut encrypted).unwrap();
    out.put_slice(&encrypted);
    out
}

/// An inner header that declares `len`, and `tail` zeros after it.
fn plaintext(len: i32, tail: usize) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i64_le(1);
    out.put_i64_le(2);
    out.put_i64_le(3);
    out.put_i32_le(4);
    out.put_i32_le(len);
    out.resize(INNER_HEADER_LEN + tail, 0);
    out
}

/// A rng that says what it is told: for vectors with printed padding.
struct Script<'a>(&'a [u8]);

impl rand::TryRng for Script<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        let (now, later) = self.0.split_at(dst.len());
        dst.copy_from_slice(now);
        self.0 = later;
        Ok(())
    }
}

/// A published message of a client, with its padding, byte for byte.
#[test]
fn published_client_message() {
    let part = hex::decode("98cb29c6ffa89e79da695a54f572e6cb101e81c688b63a4bf73c3622dec230e0").unwrap();
    let key = AuthKey::try_from_slice(&part.repeat(8)).unwrap();
    assert_eq!(key.id().to_le_bytes(), [0x40, 0xfa, 0x5b, 0xb7, 0xcb, 0x56, 0xa8, 0x95]);

    let header = Header {
        salt: Salt(0xbeef_dead_dead_beef_u64.cast_signed()),
        session_id: SessionId(0xbeef_feed_feed_beef_u64.cast_signed()),
        msg_id: MsgId(0x1234_beef_beef_1234),
        seq_no: SeqNo(777),
    };
    let padding = hex::decode("29afd26df40fb8ed10b6b4ad6d56ef5d").unwrap();
    let write = |out: &mut BytesMut| out.put_slice(b"hello, world!!!!");
    let composed = compose_padded(&key, &header, 16, write, 16, &mut Script(&padding));
    let (sealed, token) = seal_composed(&key, Side::Client, composed);
    assert_eq!(
        hex::encode(&sealed),
        "40fa5bb7cb56a895f6f5a88914892aadf87c68031cc953ba29d68e118021f329be386a620d49f3ad3a50c60dcef3733f214e8cefa3e403c11d193637\
         d4971dc15db7f74b26fd16cb0e8fee30bf7e3f68858fe82927e2cd06"
    );
    let (opened, understood) = open_with_token(&key, Side::Client, sealed).unwrap();
    // Both sides have the token from the same hash, of which msg_key is another part.
    assert_eq!(token, understood);
    assert_eq!(token >> 31, 1);
    assert_eq!((opened.salt, opened.session_id, opened.msg_id), (header.salt, header.session_id, header.msg_id));
    assert_eq!((opened.seq_no, &opened.body[..]), (SeqNo(777), &b"hello, world!!!!"[..]));
}

/// Key 00..ff, "Hello, world! …" and 19 zero bytes: a published sealing of bytes that are no message, which stops at the length.
#[test]
fn published_raw_ciphertext() {
    let mut text = b"Hello, world! This data should remain secure!".to_vec();
    text.resize(text.len() + 19, 0);
    let sealed = seal_raw(&counting_key(), Side::Client, &text);
    assert_eq!(
        hex::encode(&sealed),
        "32d1586ea457dfc8a81729d46db54019a2bfd7f744f9b96c4f716cfdc4477db2a2c15f6ddb85235fb9552f1d8407c6aaea00cc844c5a1bf6ac44b79b\
         5edc2a23868b3d6073a590992c0f2975243d563ea180d218ee757c9a"
    );
    let found = open(&counting_key(), Side::Client, sealed).unwrap_err();
    assert_eq!(found, EnvelopeError::LengthOutOfBounds { declared: i32::from_le_bytes(*b"ld r"), available: 32 });
}

#[test]
fn both_directions_round_trip_in_place() {
    let key = counting_key();
    let mut rng = rng(1);
    for writer in [Side::Client, Side::Server] {
        for len in [0, 4, 12, 16, 1000, 0x400, 0x4000, 0x8_0000] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let (front, back) = body.split_at(len / 2);
            let sealed = seal(&key, writer, &HEADER, &[front, back], &mut rng);
            let frame_at = sealed.as_ptr() as usize;
            let opened = open(&key, writer, sealed).unwrap();
            assert_eq!(opened.body, body);
            assert_eq!(
                (opened.salt, opened.session_id, opened.msg_id, opened.seq_no),
                (HEADER.salt, HEADER.session_id, HEADER.msg_id, HEADER.seq_no)
            );
            if len > 0 {
                assert_eq!(opened.body.as_ptr() as usize, frame_at + OUTER_HEADER_LEN + INNER_HEADER_LEN, "no copy");
            }
        }
    }
}

/// Row: A.4 "outgoing padding"
#[test]
fn padding_stays_within_the_rules_and_varies() {
    let mut rng = rng(2);
    for (len, most) in [(0, 15), (100, 15), (0x3fc, 15), (0x400, 7), (0x4000, 1), (0x8_0000, 1)] {
        let mut seen = BTreeSet::new();
        for _ in 0..500 {
            let padding = padding_len(len, &mut rng);
            assert!((MIN_PADDING..=MAX_PADDING).contains(&padding));
            assert_eq!((len + padding) % BLOCK, 0);
            seen.insert(padding);
        }
        assert_eq!(seen.len(), most + 1, "for {len} bytes");
    }
}

#[test]
fn sealing_allocates_exactly_once() {
    let sealed = seal(&counting_key(), Side::Client, &HEADER, &[&[0; 100]], &mut rng(3));
    assert_eq!(sealed.capacity(), sealed.len());
}

/// Row: A.4 "incoming pad 12..1024"
/// Row: A.4 "length %4, <= buffer"
/// Row: A.4 "auth_key_id"
#[test]
fn each_rule_fires() {
    let key = counting_key();
    let id = key.id();
    let other = AuthKey::from_bytes(&[9; 256]);
    let sealed = |len, tail| seal_raw(&key, Side::Server, &plaintext(len, tail));
    let cases = [
        (BytesMut::new(), EnvelopeError::TooShort { len: 0 }),
        (BytesMut::from(&sealed(4, 16)[..71]), EnvelopeError::TooShort { len: 71 }),
        (seal_raw(&other, Side::Server, &plaintext(4, 16)), EnvelopeError::KeyIdMismatch { found: other.id(), expected: id }),
        (BytesMut::zeroed(72), EnvelopeError::KeyIdMismatch { found: 0, expected: id }),
        (BytesMut::from(&sealed(4, 32)[..73]), EnvelopeError::NotBlockAligned { len: 49 }),
        (BytesMut::from(&sealed(4, 32)[..87]), EnvelopeError::NotBlockAligned { len: 63 }),
        (seal_raw(&key, Side::Client, &plaintext(4, 16)), EnvelopeError::MsgKeyMismatch),
        (sealed(2, 16), EnvelopeError::LengthNotDivisibleByFour { len: 2 }),
        (sealed(-1, 16), EnvelopeError::LengthNotDivisibleByFour { len: -1 }),
        (sealed(-4, 16), EnvelopeError::LengthOutOfBounds { declared: -4, available: 16 }),
        (sealed(i32::MIN, 16), EnvelopeError::LengthOutOfBounds { declared: i32::MIN, available: 16 }),
        (sealed(20, 16), EnvelopeError::LengthOutOfBounds { declared: 20, available: 16 }),
        (sealed(i32::MAX - 3, 16), EnvelopeError::LengthOutOfBounds { declared: i32::MAX - 3, available: 16 }),
        (sealed(16, 16), EnvelopeError::PaddingTooShort { len: 0 }),
        (sealed(8, 16), EnvelopeError::PaddingTooShort { len: 8 }),
        (sealed(12, 1040), EnvelopeError::PaddingTooLong { len: 1028 }),
        (sealed(0, 4096), EnvelopeError::PaddingTooLong { len: 4096 }),
    ];
    let mut rules = BTreeSet::new();
    for (frame, expected) in cases {
        assert_eq!(open(&key, Side::Server, frame), Err(expected));
        rules.insert(expected.rule());
    }
    assert_eq!(rules.len(), 8, "every variant was seen: {rules:?}");
}

/// Row: A.4 "incoming pad 12..1024"
#[test]
fn the_limits_themselves_pass() {
    let key = counting_key();
    for (len, tail) in [(4, 16), (16, 1040), (0, 1024)] {
        assert_eq!(
            open(&key, Side::Server, seal_raw(&key, Side::Server, &plaintext(len, tail))).unwrap().body.len(),
            len as usize
        );
    }
}

/// Wherever two keys differ the answer is the same, and it comes before anything is said about what was decrypted: neither the error
/// nor the time to it helps to guess a key or a plaintext. That the time is the same is the comparison's own promise, so the source
/// is looked at as well: there is one comparison, and it is that one.
///
/// Row: A.4 "msg_key compare constant time"
#[test]
fn message_keys_are_compared_whole_and_before_anything_else() {
    let key = counting_key();
    // Each breaks another rule of the plaintext, and one none.
    for (len, tail) in [(4, 16), (2, 16), (-4, 16), (i32::MAX - 3, 16), (16, 16), (0, 4096)] {
        let honest = seal_raw(&key, Side::Server, &plaintext(len, tail));
        for byte in 8..OUTER_HEADER_LEN {
            let mut frame = honest.clone();
            frame[byte] ^= 0x80;
            assert_eq!(open(&key, Side::Server, frame), Err(EnvelopeError::MsgKeyMismatch), "byte {byte}, length {len}");
        }
    }
    let open = include_str!("mod.rs").split("pub fn open_with_token").nth(1).unwrap();
    let before_parsing = open.split("InnerHeader(").next().unwrap();
    assert_eq!(before_parsing.matches("constant_time_eq(&kdf::msg_key_of").count(), 1);
    assert!(!open.contains("== msg_key") && !open.contains("!= msg_key"));
}

/// Every altered bit is found, wherever it is: in the key identifier by its comparison, elsewhere by the message key.
#[test]
fn every_flipped_bit_is_found() {
    let key = counting_key();
    let sealed = seal(&key, Side::Server, &HEADER, &[b"body"], &mut rng(5));
    for byte in 0..sealed.len() {
        for bit in 0..8 {
            let mut frame = sealed.clone();
            frame[byte] ^= 1 << bit;
            let found = open(&key, Side::Server, frame).unwrap_err();
            match byte {
                0..8 => assert!(matches!(found, EnvelopeError::KeyIdMismatch { .. })),
                _ => assert_eq!(found, EnvelopeError::MsgKeyMismatch, "byte {byte} bit {bit}"),
            }
        }
    }
}

#[test]
fn every_prefix_is_an_error() {
    let key = counting_key();
    let sealed = seal(&key, Side::Server, &HEADER, &[&[7; 64]], &mut rng(6));
    for end in 0..sealed.len() {
        assert!(open(&key, Side::Server, BytesMut::from(&sealed[..end])).is_err(), "prefix of {end} bytes");
    }
}

/// Random bytes, and random plaintext under a valid message key: never a panic.
#[test]
fn noise_is_refused_without_panic() {
    let key = counting_key();
    let mut rng = rng(7);
    for round in 0..4000_usize {
        let mut noise = vec![0; round % 300];
        rng.fill_bytes(&mut noise);
        if let Some(id) = noise.first_chunk_mut::<8>() {
            *id = key.id().to_le_bytes();
        }
        assert!(open(&key, Side::Client, BytesMut::from(&noise[..])).is_err());
        let whole = noise.len() / BLOCK * BLOCK;
        let _ = open(&key, Side::Client, seal_raw(&key, Side::Client, &noise[..whole]));
    }
}

#[test]
fn printing_a_message_shows_no_text() {
    let key = counting_key();
    let sealed = seal(&key, Side::Server, &HEADER, &[b"do not print me!"], &mut rng(8));
    let shown = format!("{:?}", open(&key, Side::Server, sealed).unwrap());
    assert!(shown.contains("body_len: 16") && !shown.contains("print me"), "{shown}");
}

#[test]
fn key_id_of_any_frame() {
    assert_eq!(key_id_of(&[1, 2, 3]), None);
    assert_eq!(key_id_of(&[0; 20]), Some(0));
    assert_eq!(key_id_of(&[1, 0, 0, 0, 0, 0, 0, 0x80, 9]), Some(i64::MIN + 1));
}

/// Several at once are what they are one by one: sealed from the same random source, and opened with the same errors in the same places.
#[test]
fn many_at_once_are_as_one_by_one() {
    let key = counting_key();
    for seed in 0..40 {
        let mut lengths = rng(seed);
        let bodies: Vec<Vec<u8>> =
            (0..lengths.next_u32() % 7).map(|at| vec![at as u8; (lengths.next_u32() % 3000 * 4) as usize]).collect();
        let parts: Vec<[&[u8]; 2]> = bodies.iter().map(|body| body.split_at(body.len() / 2).into()).collect();
        let messages: Vec<_> = parts.iter().map(|parts| (HEADER, &parts[..])).collect();
        let many = seal_many(&key, Side::Server, &messages, &mut rng(100 + seed));
        let mut one_by_one = rng(100 + seed);
        for (at, parts) in parts.iter().enumerate() {
            let one = seal_with_token(
                &key,
                Side::Server,
                &HEADER,
                bodies[at].len(),
                |out| parts.iter().for_each(|part| out.put_slice(part)),
                &mut one_by_one,
            );
            assert_eq!(many[at], one, "seed {seed}, message {at}");
        }

        let mut frames: Vec<BytesMut> = many.into_iter().map(|(frame, _)| frame).collect();
        for frame in &mut frames {
            match lengths.next_u32() % 8 {
                0 => frame[(seed % 80) as usize] ^= 4,
                1 => frame.truncate(30),
                2 => frame.truncate(frame.len() - 3),
                _ => {}
            }
        }
        let one_by_one: Vec<_> = frames.iter().map(|frame| open_with_token(&key, Side::Server, frame.clone())).collect();
        assert_eq!(open_many(&key, Side::Server, frames), one_by_one, "seed {seed}");
    }
}
