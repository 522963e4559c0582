use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::transport::fake_tls::{Replays, Shape};
use crate::transport::{Obfuscated, TransportError};

fn rng() -> StdRng {
    StdRng::from_seed([9; 32])
}

fn secret() -> Key {
    Key::new([0x5e; 16])
}

/// Payloads of either side: as long as real ones, since padding is told from content by the packet itself.
fn payloads(way: Way) -> Vec<BytesMut> {
    let byte = if way == Way::ToServer { 0xc1 } else { 0x5e };
    [72, 88, 1048, 70_040].map(|len| BytesMut::from(&vec![byte; len][..])).to_vec()
}

/// The bytes of both directions.
type Wire = [BytesMut; 2];

/// A connection's bytes: what client and server write through codecs of their own.
fn talk(options: &Options) -> Wire {
    let mut rng = rng();
    let mut client = Codec::client(options, &mut rng);
    let mut wire = Wire::default();
    for payload in payloads(Way::ToServer) {
        client.encode(&payload, &mut rng, &mut wire[0]).unwrap();
    }
    let mut seen = wire[0].clone();
    let mut server = Detector::new().detect(&mut seen).unwrap().unwrap();
    for payload in payloads(Way::ToClient) {
        server.encode(&payload, &mut rng, &mut wire[1]).unwrap();
    }
    wire
}

/// What a tap hears of each direction when the bytes come in pieces of this size, by turns.
fn hear(tap: &mut Tap, wire: &Wire, piece: usize) -> [Vec<Heard>; 2] {
    let mut heard = [Vec::new(), Vec::new()];
    let mut pieces = [wire[0].chunks(piece), wire[1].chunks(piece)];
    let mut going = true;
    while going {
        going = false;
        for way in Way::BOTH {
            if let Some(bytes) = pieces[way.index()].next() {
                going = true;
                tap.feed(way, bytes);
            }
            for way in Way::BOTH {
                while let Some(one) = tap.poll(way).unwrap_or_else(|error| panic!("{way:?}: {error}")) {
                    heard[way.index()].push(one);
                }
            }
        }
    }
    assert_eq!(tap.held(), 0, "nothing is left");
    heard
}

fn check(mut tap: impl FnMut() -> Tap, wire: &Wire, expected: &str) -> Tap {
    for piece in [1, 7, 64, 1000, 1 << 20] {
        if piece == 1 && wire[0].len() > 80_000 {
            continue;
        }
        let mut tap = tap();
        let heard = hear(&mut tap, wire, piece);
        for way in Way::BOTH {
            let frames: Vec<_> = heard[way.index()].iter().map(|one| one.frame.clone()).collect();
            let payloads: Vec<_> = payloads(way).into_iter().map(Frame::Payload).collect();
            assert!(frames == payloads, "{expected}, {way:?}, in pieces of {piece}");
        }
        assert_eq!(tap.spoken().expect("known").name(), expected);
    }
    let mut tap = tap();
    hear(&mut tap, wire, 1 << 20);
    tap
}

#[test]
fn every_kind_is_heard_in_both_directions_obfuscated_or_not() {
    for kind in Kind::ALL {
        for obfuscated in [false, true] {
            let options = Options { kind, obfuscated, dc: DcId(2) };
            let wire = talk(&options);
            let tap = check(|| Tap::new([]), &wire, options.name());
            let dc = obfuscated.then_some(DcId(2));
            assert_eq!((tap.spoken().unwrap().dc, tap.spoken().unwrap().secret), (dc, None));
            // A secret that has nothing to do with it does no harm.
            check(|| Tap::new([secret()]), &wire, options.name());
        }
    }
}

#[test]
fn what_a_frame_takes_on_the_wire_is_told() {
    let options = Options { kind: Kind::PaddedIntermediate, obfuscated: true, dc: DcId(2) };
    let wire = talk(&options);
    let heard = hear(&mut Tap::new([]), &wire, 1000);
    let total: usize = heard[0].iter().map(|one| one.wire).sum();
    assert_eq!(total, wire[0].len() - obfuscation::INIT);
    for one in heard.iter().flatten() {
        let Frame::Payload(payload) = &one.frame else { panic!("a payload") };
        assert_eq!(one.wire, 4 + payload.len() + one.padding);
    }
    assert!(heard.iter().flatten().any(|one| one.padding > 0));
}

#[test]
fn quick_acks_and_errors_are_heard() {
    let mut rng = rng();
    for kind in [Kind::Abridged, Kind::Intermediate, Kind::PaddedIntermediate] {
        let mut client = Codec::client(&Options { kind, obfuscated: true, dc: DcId(0) }, &mut rng);
        let mut wire = Wire::default();
        client.encode_with_quick_ack(&[1; 72], &mut rng, &mut wire[0]).unwrap();
        let mut server = Detector::new().detect(&mut wire[0].clone()).unwrap().unwrap();
        server.encode_quick_ack(0x1234_5678, &mut rng, &mut wire[1]).unwrap();
        server.encode_error(404, &mut rng, &mut wire[1]).unwrap();
        let heard = hear(&mut Tap::new([]), &wire, 5);
        assert!(heard[0][0].wants_quick_ack);
        let frames: Vec<_> = heard[1].iter().map(|one| one.frame.clone()).collect();
        assert_eq!(frames, [Frame::QuickAck(0x9234_5678), Frame::Error(TransportError::AuthKeyNotFound)]);
    }
}

#[test]
fn http_is_heard() {
    let mut wire = Wire::default();
    let (mut client, mut server) = (http::Client::new("localhost", http::PATH), http::Server::new());
    for payload in payloads(Way::ToServer) {
        client.encode(&payload, &mut wire[0]).unwrap();
    }
    let mut seen = wire[0].clone();
    while server.decode(&mut seen).unwrap().is_some() {}
    for payload in payloads(Way::ToClient) {
        server.encode(&payload, &mut wire[1]).unwrap();
    }
    check(|| Tap::new([]), &wire, "http");
    server.encode_error(404, &mut wire[1]);
    let mut tap = Tap::new([]);
    let heard = hear(&mut tap, &wire, 100);
    assert_eq!(heard[1].last().unwrap().frame, Frame::Error(TransportError::AuthKeyNotFound));
    assert_eq!(heard.map(|heard| heard.iter().map(|one| one.wire).sum::<usize>()), [wire[0].len(), wire[1].len()]);
}

#[test]
fn websocket_is_heard() {
    let mut rng = rng();
    let inside = talk(&Options { kind: Kind::PaddedIntermediate, obfuscated: true, dc: DcId(4) });
    let mut wire = Wire::default();
    let mut client = websocket::ClientHandshake::new("localhost", websocket::PATH, &mut rng, &mut wire[0]);
    let mut server = websocket::ServerHandshake::new().handle_input(&mut wire[0].clone(), &mut wire[1]).unwrap().unwrap();
    let mut client = client.handle_input(&mut wire[1].clone()).unwrap().unwrap();
    for piece in inside[0].chunks(999) {
        client.encode(piece, &mut rng, &mut wire[0]).unwrap();
        client.encode_ping(&mut rng, &mut wire[0]).unwrap();
    }
    for piece in inside[1].chunks(5000) {
        server.encode(piece, &mut rng, &mut wire[1]).unwrap();
    }
    server.close(websocket::CloseCode::NORMAL, &mut rng, &mut wire[1]);
    let tap = check(|| Tap::new([]), &wire, "ws obfuscated padded");
    assert_eq!(tap.spoken().unwrap().dc, Some(DcId(4)));
}

/// What goes to an MTProxy and back, under its secret.
fn proxied(kind: Kind) -> Wire {
    let mut rng = rng();
    let (init, mut stream) = Obfuscated::client(kind, DcId(-3), &secret(), &mut rng).unwrap();
    let mut codec = Codec::client(&Options { kind, obfuscated: false, dc: DcId(0) }, &mut rng);
    let mut wire = Wire::default();
    for payload in payloads(Way::ToServer) {
        codec.encode(&payload, &mut rng, &mut wire[0]).unwrap();
    }
    let mut inside = wire[0].split_off(kind.announcement().len());
    stream.encipher(&mut inside);
    wire[0] = [&init[..], &inside].concat().as_slice().into();
    let mut server = Detector::proxy(secret()).detect(&mut wire[0].clone()).unwrap().unwrap();
    for payload in payloads(Way::ToClient) {
        server.encode(&payload, &mut rng, &mut wire[1]).unwrap();
    }
    wire
}

#[test]
fn what_goes_to_an_mtproxy_is_heard_with_its_secret_only() {
    for kind in [Kind::Abridged, Kind::Intermediate, Kind::PaddedIntermediate] {
        let wire = proxied(kind);
        let options = Options { kind, obfuscated: true, dc: DcId(0) };
        let tap = check(|| Tap::new([Key::new([1; 16]), secret()]), &wire, options.name());
        assert_eq!((tap.spoken().unwrap().dc, tap.spoken().unwrap().secret), (Some(DcId(-3)), Some(1)));
        for secrets in [vec![], vec![Key::new([1; 16])]] {
            let mut tap = Tap::new(secrets);
            tap.feed(Way::ToServer, &wire[0]);
            for way in [Way::ToServer, Way::ToClient] {
                assert_eq!(tap.poll(way), Err(TapError::Unknown), "an error is final, for both directions");
            }
            tap.feed(Way::ToClient, &wire[1]);
            assert_eq!(tap.held(), 0, "and nothing is kept");
        }
    }
}

fn in_fake_tls(shape: Shape) -> Wire {
    let mut rng = rng();
    let inside = proxied(Kind::PaddedIntermediate);
    let (mut client, greeting) = fake_tls::Client::new(&secret(), "example.com", shape, 1_700_000_000, &mut rng);
    let mut wire: Wire = [greeting.as_slice().into(), BytesMut::new()];
    let mut server = fake_tls::Server::new(secret(), None);
    let accepted = server
        .handle_input(&mut wire[0].clone(), 1_700_000_000, &mut Replays::new(), &mut rng)
        .unwrap()
        .expect("the greeting is whole");
    wire[1].extend_from_slice(&accepted.answer);
    let mut records = client.handle_input(&mut wire[1].clone()).unwrap().expect("the answer is whole");
    records.encode(&inside[0], &mut wire[0]);
    let mut records = accepted.records;
    records.encode(&inside[1], &mut wire[1]);
    wire
}

#[test]
fn fake_tls_is_heard_with_its_secret_only() {
    for shape in [Shape::Current, Shape::Classic] {
        let wire = in_fake_tls(shape);
        let tap = check(|| Tap::new([Key::new([1; 16]), secret()]), &wire, "faketls obfuscated padded");
        assert_eq!((tap.spoken().unwrap().dc, tap.spoken().unwrap().secret), (Some(DcId(-3)), Some(1)));
        let mut tap = Tap::new([Key::new([1; 16])]);
        tap.feed(Way::ToServer, &wire[0]);
        assert_eq!(tap.poll(Way::ToServer), Err(TapError::Tls));
    }
}

#[test]
fn other_protocols_are_told_as_such() {
    let cases: [(&[u8], TapError); 6] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", TapError::OtherHttp),
        (b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", TapError::OtherHttp),
        (b"HEAD / HTTP/1.1\r\n\r\n", TapError::OtherHttp),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", TapError::OtherHttp),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", TapError::Tls),
        (&[0x77; 100], TapError::Unknown),
    ];
    for (bytes, error) in cases {
        let mut tap = Tap::new([]);
        tap.feed(Way::ToServer, bytes);
        assert_eq!(tap.poll(Way::ToServer), Err(error.clone()), "{bytes:02x?}");
        assert_eq!(tap.poll(Way::ToClient), Err(error.clone()), "{bytes:02x?}");
        assert_eq!(error.is_other_protocol(), error != TapError::Unknown);
    }
}

#[test]
fn a_broken_rule_ends_its_direction_only() {
    let options = Options { kind: Kind::Full, obfuscated: false, dc: DcId(2) };
    let mut wire = talk(&options);
    wire[0][20] ^= 1;
    let mut tap = Tap::new([]);
    for way in Way::BOTH {
        tap.feed(way, &wire[way.index()]);
    }
    let error = tap.poll(Way::ToServer).unwrap_err();
    assert!(matches!(error, TapError::Transport(Error::WrongCrc { .. })), "{error}");
    assert_eq!(tap.poll(Way::ToServer), Err(error));
    for payload in payloads(Way::ToClient) {
        assert_eq!(tap.poll(Way::ToClient).unwrap().unwrap().frame, Frame::Payload(payload));
    }
}

#[test]
fn tunnels_are_taken_off() {
    let inside = talk(&Options { kind: Kind::Intermediate, obfuscated: true, dc: DcId(0) });
    let reply: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb";
    // By turns: client, server, client…
    let handshakes: [&[&[u8]]; 5] = [
        &[b"\x05\x01\x00", b"\x05\x00", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb", reply],
        &[b"\x05\x02\x00\x02", b"\x05\x02", b"\x01\x02ab\x03cde", b"\x01\x00", b"\x05\x01\x00\x03\x04name\x01\xbb", reply],
        &[b"\x05\x01\x00", b"\x05\x00", b"\x05\x01\x00\x04aaaaaaaaaaaaaaaa\x01\xbb", reply],
        &[b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
        &[b"CONNECT a:443 HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 Connection established\r\nVia: b\r\n\r\n"],
    ];
    for handshake in handshakes {
        for piece in [1, 3, 1000] {
            let mut tap = Tap::new([]);
            for (turn, bytes) in handshake.iter().enumerate() {
                let way = Way::BOTH[turn % 2];
                for piece in bytes.chunks(piece) {
                    tap.feed(way, piece);
                    assert_eq!(tap.poll(Way::ToServer), Ok(None));
                    assert_eq!(tap.poll(Way::ToClient), Ok(None));
                }
            }
            assert_eq!(tap.held(), 0, "{handshake:?}");
            let heard = hear(&mut tap, &inside, 1000);
            assert_eq!(heard.map(|heard| heard.len()), [4, 4]);
        }
    }
    for refusal in [
        [&b"\x05\x01\x00"[..], b"\x05\xff"],
        [b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"],
    ] {
        let mut tap = Tap::new([]);
        tap.feed(Way::ToServer, refusal[0]);
        tap.feed(Way::ToClient, refusal[1]);
        assert_eq!(tap.poll(Way::ToServer), Err(TapError::TunnelRefused));
    }
}

#[test]
fn random_bytes_that_begin_like_a_tunnel_are_none() {
    // An obfuscated stream may begin with 05; its client does not wait for an answer.
    let mut seed = 0;
    let options = Options { kind: Kind::Abridged, obfuscated: true, dc: DcId(0) };
    let wire = loop {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut client = Codec::client(&options, &mut rng);
        let mut out = BytesMut::new();
        client.encode(&[1; 72], &mut rng, &mut out).unwrap();
        if out[0] == 5 {
            break out;
        }
        seed += 1;
    };
    let mut tap = Tap::new([]);
    tap.feed(Way::ToServer, &wire);
    // Nothing is decided while it may still be one; the server's first word decides.
    tap.feed(Way::ToClient, &[0x99; 3]);
    assert!(tap.poll(Way::ToServer).unwrap().is_some());
}

#[test]
fn a_plain_connection_can_be_joined_midway() {
    for kind in Kind::ALL {
        let wire = talk(&Options { kind, obfuscated: false, dc: DcId(2) });
        let mut tap = Tap::midway();
        let mut whole = Tap::new([]);
        for way in Way::BOTH {
            whole.feed(way, &wire[way.index()]);
        }
        let first = whole.poll(Way::ToServer).unwrap().unwrap().wire + kind.announcement().len();
        tap.feed(Way::ToServer, &wire[0]);
        assert_eq!(tap.poll(Way::ToServer), Ok(None), "nobody has joined");
        tap.skip(Way::ToServer, first);
        tap.join(Way::ToServer, kind, 1);
        for payload in &payloads(Way::ToServer)[1..] {
            assert_eq!(tap.poll(Way::ToServer).unwrap().unwrap().frame, Frame::Payload(payload.clone()));
        }
        assert!(tap.is_joined(Way::ToServer) && !tap.is_joined(Way::ToClient));
    }
}

#[test]
fn noise_of_any_length_is_no_trouble() {
    let mut rng = rng();
    for round in 0..2000_u32 {
        let mut bytes = vec![0; (round % 300) as usize];
        rng.fill_bytes(&mut bytes);
        let starts: [&[u8]; 6] = [&[0xef], &[0xee; 4], b"POST", b"GET ", &[0x16, 3, 1, 0, 9], &[5, 1, 0]];
        let start = starts[round as usize % starts.len()];
        let mut tap = Tap::new([secret()]);
        tap.feed(Way::ToServer, start);
        for way in [Way::ToServer, Way::ToClient, Way::ToServer] {
            tap.feed(way, &bytes);
            for way in Way::BOTH {
                for _ in 0..100 {
                    if !matches!(tap.poll(way), Ok(Some(_))) {
                        break;
                    }
                }
            }
        }
    }
}
