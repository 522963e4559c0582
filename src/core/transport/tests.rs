//! The codecs against each other, against published bytes, and against every rule.

use std::collections::BTreeSet;

use bytes::{BufMut, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

fn every_transport() -> impl Iterator<Item = Options> {
    Kind::ALL.into_iter().flat_map(|kind| [false, true].map(|obfuscated| Options { kind, obfuscated, dc: DcId(2) }))
}

/// A packet that looks encrypted: key id, msg_key, `blocks` cipher blocks.
fn encrypted(blocks: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut packet = vec![0; 24 + 16 * blocks];
    rng.fill_bytes(&mut packet);
    packet[0] |= 1;
    packet
}

/// A plain packet with a body of `len` bytes.
fn plain(len: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut packet = vec![0; 20 + len];
    rng.fill_bytes(&mut packet[20..]);
    packet[8..16].copy_from_slice(&0x1234_5678_9abc_def0_u64.to_le_bytes());
    packet[16..20].copy_from_slice(&(len as u32).to_le_bytes());
    packet
}

fn payloads(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let mut all = vec![plain(0, rng), plain(4, rng), plain(36, rng), encrypted(2, rng), encrypted(5, rng)];
    // Around the switch of the abridged envelope: 126, 127 and 128 words.
    all.extend([plain(126 * 4 - 20, rng), plain(127 * 4 - 20, rng), plain(128 * 4 - 20, rng)]);
    all.push(encrypted(200, rng));
    all
}

/// Both ends of a connection over which the client has written `payloads`.
fn connected(options: &Options, payloads: &[Vec<u8>], rng: &mut StdRng) -> (Codec, Codec) {
    let mut client = Codec::client(options, rng);
    let mut wire = BytesMut::new();
    for payload in payloads {
        client.encode(payload, rng, &mut wire).unwrap();
    }
    let mut server = Detector::new().detect(&mut wire).unwrap().expect("complete");
    assert_eq!(received(&mut server, &mut wire), payloads);
    (client, server)
}

fn received(codec: &mut Codec, wire: &mut BytesMut) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = codec.decode(wire).unwrap() {
        match frame {
            Frame::Payload(payload) => all.push(payload.to_vec()),
            other => panic!("{other:?}"),
        }
    }
    all
}

/// Row: A.1 "abridged"
/// Row: A.1 "intermediate"
/// Row: A.1 "padded intermediate"
/// Row: A.1 "full (crc32+seq)"
/// Row: A.1 "obfuscated2"
#[test]
fn round_trip_in_every_transport_and_chunking() {
    for options in every_transport() {
        for chunk in [1, 2, 3, 7, 64, 1000, usize::MAX] {
            let mut rng = rng(1);
            let payloads = payloads(&mut rng);
            let mut client = Codec::client(&options, &mut rng);
            let mut wire = BytesMut::new();
            for payload in &payloads {
                client.encode(payload, &mut rng, &mut wire).unwrap();
            }

            let mut detector = Detector::new();
            let mut server = None;
            let mut input = BytesMut::new();
            let mut seen = Vec::new();
            for part in wire.chunks(chunk.min(wire.len())) {
                input.put_slice(part);
                if server.is_none() {
                    server = detector.detect(&mut input).unwrap();
                }
                if let Some(server) = &mut server {
                    seen.extend(received(server, &mut input));
                }
            }
            let mut server = server.expect("detected");
            assert_eq!(server.kind(), options.kind);
            assert_eq!(server.options().obfuscated, options.obfuscated);
            assert_eq!(seen, payloads, "{options}, {chunk} bytes at a time");
            assert!(input.is_empty());

            let mut back = BytesMut::new();
            for payload in &payloads {
                server.encode(payload, &mut rng, &mut back).unwrap();
            }
            let mut input = BytesMut::new();
            let mut seen = Vec::new();
            for part in back.chunks(chunk.min(back.len())) {
                input.put_slice(part);
                seen.extend(received(&mut client, &mut input));
            }
            assert_eq!(seen, payloads, "{options}, {chunk} bytes at a time, back");
            assert!(input.is_empty());
        }
    }
}

#[test]
fn every_prefix_of_a_stream_is_incomplete_and_not_an_error() {
    for options in every_transport() {
        let mut rng = rng(2);
        let mut client = Codec::client(&options, &mut rng);
        let mut wire = BytesMut::new();
        client.encode(&encrypted(3, &mut rng), &mut rng, &mut wire).unwrap();
        for end in 0..wire.len() {
            let mut input = BytesMut::from(&wire[..end]);
            if let Some(mut server) = Detector::new().detect(&mut input).unwrap() {
                assert_eq!(server.decode(&mut input), Ok(None), "{options}, {end} bytes");
            }
        }
    }
}

#[test]
fn the_payload_is_a_part_of_the_buffer_that_was_read() {
    for options in every_transport() {
        let mut rng = rng(3);
        let (mut client, mut server) = connected(&options, &[plain(4, &mut rng)], &mut rng);
        let mut wire = BytesMut::with_capacity(4096);
        client.encode(&encrypted(10, &mut rng), &mut rng, &mut wire).unwrap();
        let range = wire.as_ptr_range();
        match server.decode(&mut wire) {
            Ok(Some(Frame::Payload(payload))) => assert!(range.contains(&payload.as_ptr()), "{options}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn plain_first_bytes() {
    for (kind, expected) in [
        (Kind::Abridged, &[0xef, 0x02][..]),
        (Kind::Intermediate, &[0xee, 0xee, 0xee, 0xee, 8, 0, 0, 0]),
        (Kind::PaddedIntermediate, &[0xdd, 0xdd, 0xdd, 0xdd]),
        (Kind::Full, &[20, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut wire = BytesMut::new();
        let mut client = Codec::client(&Options { kind, obfuscated: false, dc: DcId(0) }, &mut rng(4));
        client.encode(&[7; 8], &mut rng(4), &mut wire).unwrap();
        assert!(wire.starts_with(expected), "{kind}: {wire:02x?}");
        let mut second = BytesMut::new();
        client.encode(&[7; 8], &mut rng(4), &mut second).unwrap();
        assert!(!second.starts_with(&[expected[0]; 4]), "{kind}: the tag is sent once");
    }
}

#[test]
fn full_frame_of_an_empty_payload_as_published() {
    let mut wire = BytesMut::new();
    let mut client = Codec::client(&Options { kind: Kind::Full, obfuscated: false, dc: DcId(0) }, &mut rng(5));
    client.encode(&[], &mut rng(5), &mut wire).unwrap();
    assert_eq!(hex::encode(&wire), "0c0000000000000026ca8d32");
    let mut server = Detector::new().detect(&mut wire).unwrap().expect("full");
    assert_eq!(server.decode(&mut wire), Ok(Some(Frame::Payload(BytesMut::new()))));
}

/// Row: A.1 "quick ack"
#[test]
fn quick_acks_in_both_directions() {
    const TOKEN: u32 = 0x8123_4567;
    for options in every_transport() {
        let mut rng = rng(6);
        let payload = encrypted(2, &mut rng);
        let (mut client, mut server) = connected(&options, &[plain(0, &mut rng)], &mut rng);
        assert!(!server.quick_ack_requested());
        let mut wire = BytesMut::new();
        if options.kind == Kind::Full {
            let refused = Err(Error::QuickAckUnsupported);
            assert_eq!(client.encode_with_quick_ack(&payload, &mut rng, &mut wire), refused);
            assert_eq!(server.encode_quick_ack(TOKEN, &mut rng, &mut wire), refused);
            continue;
        }
        client.encode_with_quick_ack(&payload, &mut rng, &mut wire).unwrap();
        assert_eq!(server.decode(&mut wire), Ok(Some(Frame::Payload(BytesMut::from(&payload[..])))));
        assert!(server.quick_ack_requested(), "{options}");
        client.encode(&payload, &mut rng, &mut wire).unwrap();
        server.decode(&mut wire).unwrap();
        assert!(!server.quick_ack_requested(), "{options}");

        let mut back = BytesMut::new();
        server.encode(&payload, &mut rng, &mut back).unwrap();
        server.encode_quick_ack(TOKEN & !(1 << 31), &mut rng, &mut back).unwrap();
        server.encode(&payload, &mut rng, &mut back).unwrap();
        let frames: Vec<_> = std::iter::from_fn(|| client.decode(&mut back).unwrap()).collect();
        let payload = Frame::Payload(BytesMut::from(&payload[..]));
        assert_eq!(frames, [payload.clone(), Frame::QuickAck(TOKEN), payload], "{options}");
    }
}

/// Row: A.1 "quick ack"
#[test]
fn quick_acks_on_the_wire() {
    for (kind, expected) in [(Kind::Abridged, "81020304"), (Kind::Intermediate, "04030281")] {
        let mut out = BytesMut::new();
        Codec::server(kind).encode_quick_ack(0x0102_0304, &mut rng(7), &mut out).unwrap();
        assert_eq!(hex::encode(&out), expected, "{kind}");
    }
    let mut out = BytesMut::new();
    Codec::server(Kind::PaddedIntermediate).encode_quick_ack(0x0102_0304, &mut rng(7), &mut out).unwrap();
    assert_eq!(hex::encode(&out[4..12]), "ffffffff04030281");
    // The bare form in a padded stream.
    let mut client = client_of(Kind::PaddedIntermediate);
    assert_eq!(client.decode(&mut BytesMut::from(&[4, 3, 2, 0x81][..])), Ok(Some(Frame::QuickAck(0x8102_0304))));
}

/// Row: A.1 "transport errors"
#[test]
fn transport_errors_are_typed() {
    let cases = [
        (404, TransportError::AuthKeyNotFound),
        (429, TransportError::Flood),
        (444, TransportError::InvalidDc),
        (403, TransportError::Other(403)),
        (i32::MAX, TransportError::Other(i32::MAX)),
    ];
    for options in every_transport() {
        for (code, expected) in cases {
            for code in [code, -code] {
                let mut rng = rng(8);
                let (mut client, mut server) = connected(&options, &[plain(0, &mut rng)], &mut rng);
                let mut wire = BytesMut::new();
                server.encode_error(code, &mut rng, &mut wire).unwrap();
                assert_eq!(client.decode(&mut wire), Ok(Some(Frame::Error(expected))), "{options}");
                assert!(wire.is_empty());
                assert_eq!(expected.code(), code.abs());
            }
        }
    }
    assert_eq!(TransportError::from(i32::MIN), TransportError::Other(i32::MAX));
}

#[test]
fn a_full_server_may_write_the_error_without_an_envelope() {
    let mut input = BytesMut::new();
    for _ in 0..3 {
        input.put_i32_le(-429);
    }
    let mut client = client_of(Kind::Full);
    assert_eq!(client.decode(&mut input), Ok(Some(Frame::Error(TransportError::Flood))));
}

#[test]
fn padding_of_up_to_fifteen_bytes_is_cut_off() {
    let mut rng = rng(9);
    for payload in payloads(&mut rng) {
        for padding in 0..16 {
            let mut wire = BytesMut::new();
            wire.put_u32_le((payload.len() + padding) as u32);
            wire.put_slice(&payload);
            wire.put_bytes(0x5a, padding);
            let mut client = client_of(Kind::PaddedIntermediate);
            let expected = Frame::Payload(BytesMut::from(&payload[..]));
            assert_eq!(client.decode(&mut wire), Ok(Some(expected)), "{} bytes and {padding}", payload.len());
        }
    }
    for padding in 0..16 {
        let mut wire = BytesMut::new();
        wire.put_u32_le(4 + padding);
        wire.put_i32_le(-404);
        wire.put_bytes(0x5a, padding as usize);
        let mut client = client_of(Kind::PaddedIntermediate);
        assert_eq!(client.decode(&mut wire), Ok(Some(Frame::Error(TransportError::AuthKeyNotFound))), "{padding}");
    }
}

#[test]
fn padding_that_we_write_varies() {
    let mut rng = rng(10);
    let mut client = client_of(Kind::PaddedIntermediate);
    let lengths: BTreeSet<_> = (0..100)
        .map(|_| {
            let mut wire = BytesMut::new();
            client.encode(&[1; 40], &mut rng, &mut wire).unwrap();
            (wire.len() - 4) % 40 % 4
        })
        .collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// A client that has written its initial bytes.
fn client_of(kind: Kind) -> Codec {
    let mut client = Codec::client(&Options { kind, obfuscated: false, dc: DcId(0) }, &mut rng(11));
    client.encode(&[], &mut rng(11), &mut BytesMut::new()).unwrap();
    client
}

/// The error that a client or a server reports for `wire`, and reports again.
fn refused(mut codec: Codec, wire: &[u8]) -> Error {
    let error = codec.decode(&mut BytesMut::from(wire)).expect_err("refused");
    assert_eq!(codec.decode(&mut BytesMut::new()), Err(error), "an error is final");
    assert_eq!(codec.encode(&[], &mut rng(0), &mut BytesMut::new()), Err(error));
    assert_eq!(codec.encode_quick_ack(0, &mut rng(0), &mut BytesMut::new()), Err(error));
    error
}

#[test]
fn payload_too_long() {
    let long = vec![0; MAX_FRAME + 4];
    for options in every_transport() {
        let mut out = BytesMut::new();
        let mut client = Codec::client(&options, &mut rng(12));
        let expected = Error::PayloadTooLong { len: MAX_FRAME + 4, max: MAX_FRAME };
        assert_eq!(client.encode(&long, &mut rng(12), &mut out), Err(expected));
        assert!(out.is_empty());
    }
}

/// Row: A.1 "max frame"
#[test]
fn longest_payload() {
    let mut rng = rng(13);
    let payload = plain(MAX_FRAME - 20, &mut rng);
    for kind in Kind::ALL {
        connected(&Options { kind, obfuscated: false, dc: DcId(0) }, std::slice::from_ref(&payload), &mut rng);
    }
}

#[test]
fn payload_not_aligned() {
    for options in every_transport() {
        let mut out = BytesMut::new();
        let mut client = Codec::client(&options, &mut rng(14));
        assert_eq!(client.encode(&[0; 6], &mut rng(14), &mut out), Err(Error::PayloadNotAligned { len: 6 }));
        assert!(out.is_empty(), "and the codec can go on");
        assert_eq!(client.encode(&[0; 8], &mut rng(14), &mut out), Ok(()));
    }
}

#[test]
fn dc_out_of_range() {
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(70_000) };
    let mut client = Codec::client(&options, &mut rng(15));
    let expected = Error::DcOutOfRange { dc: 70_000 };
    assert_eq!(client.encode(&[], &mut rng(15), &mut BytesMut::new()), Err(expected));
    assert_eq!(client.decode(&mut BytesMut::new()), Err(expected));
}

#[test]
fn input_taken() {
    let mut rng = rng(16);
    let options = Options { kind: Kind::Intermediate, obfuscated: true, dc: DcId(1) };
    let (mut client, mut server) = connected(&options, &[plain(0, &mut rng)], &mut rng);
    let mut wire = BytesMut::new();
    client.encode(&plain(8, &mut rng), &mut rng, &mut wire).unwrap();
    wire.truncate(10);
    assert_eq!(server.decode(&mut wire), Ok(None));
    wire.truncate(9);
    assert_eq!(server.decode(&mut wire), Err(Error::InputTaken { deciphered: 10, left: 9 }));
}

/// Row: A.1 "max frame"
#[test]
fn frame_too_long() {
    let words = (MAX_FRAME as u32 / 4 + 1).to_le_bytes();
    let wire = [0x7f, words[0], words[1], words[2]];
    let expected = Error::FrameTooLong { found: MAX_FRAME + 4, max: MAX_FRAME };
    assert_eq!(refused(client_of(Kind::Abridged), &wire), expected);
    let len = (MAX_FRAME as u32 + 4).to_le_bytes();
    assert_eq!(refused(client_of(Kind::Intermediate), &len), expected);
    assert_eq!(
        refused(Codec::server(Kind::Intermediate), &[0xff; 4]),
        Error::FrameTooLong { found: 0x7fff_ffff, max: MAX_FRAME }
    );
    let len = (MAX_FRAME as u32 + 16).to_le_bytes();
    let expected = Error::FrameTooLong { found: MAX_FRAME + 16, max: MAX_FRAME + 15 };
    assert_eq!(refused(client_of(Kind::PaddedIntermediate), &len), expected);
    let expected = Error::FrameTooLong { found: MAX_FRAME + 16, max: MAX_FRAME + 12 };
    assert_eq!(refused(client_of(Kind::Full), &len), expected);
    assert_eq!(
        refused(Codec::server(Kind::Full), &[0xff; 4]),
        Error::FrameTooLong { found: 0xffff_ffff, max: MAX_FRAME + 12 },
        "a server does not take a negative length for an error"
    );
}

#[test]
fn frame_not_aligned() {
    for kind in [Kind::Intermediate, Kind::Full] {
        assert_eq!(refused(client_of(kind), &[0x1e, 0, 0, 0]), Error::FrameNotAligned { found: 30 });
    }
}

#[test]
fn frame_too_short() {
    for len in [0, 4, 8, 11] {
        let wire = [len, 0, 0, 0];
        assert_eq!(refused(client_of(Kind::Full), &wire), Error::FrameTooShort { found: len.into(), min: 12 });
    }
}

/// Row: A.1 "full (crc32+seq)"
#[test]
fn wrong_crc() {
    let good = hex::decode("0c0000000000000026ca8d32").unwrap();
    for bit in (8 * 8)..(12 * 8) {
        let mut wire = good.clone();
        wire[bit / 8] ^= 1 << (bit % 8);
        match refused(client_of(Kind::Full), &wire) {
            Error::WrongCrc { found, expected } => assert_eq!((found ^ expected).count_ones(), 1),
            other => panic!("{other}"),
        }
    }
    let mut wire = good;
    wire[4] = 1;
    assert!(matches!(refused(client_of(Kind::Full), &wire), Error::WrongCrc { found: 0x328d_ca26, .. }));
}

/// Row: A.1 "full (crc32+seq)"
#[test]
fn wrong_seq() {
    let mut wire = BytesMut::new();
    full::put(&[1; 20], 1, &mut wire);
    assert_eq!(refused(client_of(Kind::Full), &wire), Error::WrongSeq { found: 1, expected: 0 });
    // A frame repeated.
    let mut rng = rng(17);
    let (mut client, mut server) = connected(
        &Options { kind: Kind::Full, obfuscated: false, dc: DcId(0) },
        &[plain(0, &mut rng), plain(0, &mut rng)],
        &mut rng,
    );
    let mut wire = BytesMut::new();
    client.encode(&[1; 20], &mut rng, &mut wire).unwrap();
    let again = wire.clone();
    server.decode(&mut wire).unwrap();
    assert_eq!(refused(server, &again), Error::WrongSeq { found: 2, expected: 3 });
}

#[test]
fn error_code_not_negative() {
    for (kind, wire) in [
        (Kind::Abridged, &[1, 0x94, 1, 0, 0][..]),
        (Kind::Intermediate, &[4, 0, 0, 0, 0x94, 1, 0, 0]),
        (Kind::PaddedIntermediate, &[6, 0, 0, 0, 0x94, 1, 0, 0, 9, 9]),
    ] {
        assert_eq!(refused(client_of(kind), wire), Error::ErrorCodeNotNegative { found: 404 });
    }
    let mut wire = BytesMut::new();
    full::put(&404_i32.to_le_bytes(), 0, &mut wire);
    assert_eq!(refused(client_of(Kind::Full), &wire), Error::ErrorCodeNotNegative { found: 404 });
}

#[test]
fn quick_ack_length() {
    for len in [4_usize, 7, 17, 19] {
        let mut wire = BytesMut::new();
        wire.put_u32_le(len as u32);
        wire.put_bytes(0xff, len);
        assert_eq!(refused(client_of(Kind::PaddedIntermediate), &wire), Error::QuickAckLength { found: len });
    }
}

fn undetected(start: &[u8]) -> Error {
    let mut detector = Detector::new();
    let error = detector.detect(&mut BytesMut::from(start)).expect_err("refused");
    assert_eq!(detector.detect(&mut BytesMut::from(&[0xef][..])).err(), Some(error), "an error is final");
    error
}

#[test]
fn http_and_tls_are_told() {
    for start in ["GET / HTTP/1.1\r\n", "POST /api", "HEAD", "OPTIONS"] {
        assert_eq!(undetected(start.as_bytes()), Error::Http);
    }
    assert_eq!(undetected(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]), Error::Tls);
}

#[test]
fn unknown_protocol() {
    // 64 bytes are obfuscated initial bytes of something; what follows is no full frame.
    let mut rng = rng(18);
    for _ in 0..200 {
        let mut garbage = [0; 80];
        rng.fill_bytes(&mut garbage);
        garbage[0] = 1;
        assert!(matches!(undetected(&garbage), Error::UnknownProtocol { .. }));
        for end in 0..72 {
            assert!(Detector::new().detect(&mut BytesMut::from(&garbage[..end])).unwrap().is_none(), "{end} bytes");
        }
    }
}

#[test]
fn server_learns_the_dc() {
    for kind in Kind::ALL {
        for dc in [DcId(2), DcId(-4), DcId(10_001)] {
            let options = Options { kind, obfuscated: true, dc };
            let (_, server) = connected(&options, &[plain(0, &mut rng(19))], &mut rng(19));
            assert_eq!(server.options(), options);
        }
    }
}

/// Row: A.1 "obfuscated2"
#[test]
fn obfuscated_streams_differ_and_show_no_tag() {
    for kind in Kind::ALL {
        let options = Options { kind, obfuscated: true, dc: DcId(0) };
        let mut streams = BTreeSet::new();
        for seed in 0..50 {
            let mut rng = rng(seed);
            let mut wire = BytesMut::new();
            Codec::client(&options, &mut rng).encode(&[0; 64], &mut rng, &mut wire).unwrap();
            assert!(wire.len() >= 64 + 64);
            streams.insert(wire[56..72].to_vec());
        }
        assert_eq!(streams.len(), 50);
    }
}

#[test]
fn garbage_never_panics() {
    let mut rng = rng(20);
    for round in 0..2000 {
        let mut garbage = vec![0; round % 97];
        rng.fill_bytes(&mut garbage);
        for kind in Kind::ALL {
            for mut codec in [client_of(kind), Codec::server(kind)] {
                let mut input = BytesMut::from(&garbage[..]);
                while let Ok(Some(_)) = codec.decode(&mut input) {}
            }
        }
    }
}

#[test]
fn names() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!("tcp".parse::<Kind>(), Err(UnknownKind { found: "tcp".into() }));
    let options = Options { kind: Kind::PaddedIntermediate, obfuscated: true, dc: DcId(1) };
    assert_eq!(options.to_string(), "obfuscated padded");
}
