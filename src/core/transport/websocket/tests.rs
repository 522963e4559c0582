use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::transport::http::{self, MAX_HEAD};

fn rng() -> StdRng {
    StdRng::from_seed([3; 32])
}

/// Both ends after the upgrade.
fn pair() -> (Codec, Codec) {
    let mut wire = BytesMut::new();
    let mut client = ClientHandshake::new("127.0.0.1:80", PATH, &mut rng(), &mut wire);
    let mut answer = BytesMut::new();
    let server = ServerHandshake::new().handle_input(&mut wire, &mut answer).unwrap().unwrap();
    let client = client.handle_input(&mut answer).unwrap().unwrap();
    assert!(wire.is_empty() && answer.is_empty());
    (client, server)
}

fn request(change: impl Fn(String) -> String) -> Result<bool, Error> {
    let mut wire = BytesMut::new();
    ClientHandshake::new("h", PATH, &mut rng(), &mut wire);
    let text = change(String::from_utf8(wire.to_vec()).unwrap());
    let mut out = BytesMut::new();
    let result = ServerHandshake::new().handle_input(&mut BytesMut::from(text.as_bytes()), &mut out);
    let answer = String::from_utf8(out.to_vec()).unwrap();
    match &result {
        Ok(None) => assert!(answer.is_empty()),
        Ok(Some(_)) => assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}"),
        Err(error) => assert!(answer.starts_with(&format!("HTTP/1.1 {} ", error.status())), "{answer}"),
    }
    result.map(|codec| codec.is_some())
}

fn answer(change: impl Fn(String) -> String) -> Result<bool, Error> {
    let (mut wire, mut out) = (BytesMut::new(), BytesMut::new());
    let mut client = ClientHandshake::new("h", PATH, &mut rng(), &mut wire);
    ServerHandshake::new().handle_input(&mut wire, &mut out).unwrap();
    let text = change(String::from_utf8(out.to_vec()).unwrap());
    client.handle_input(&mut BytesMut::from(text.as_bytes())).map(|codec| codec.is_some())
}

#[test]
fn the_key_of_rfc_6455_is_accepted_as_it_says() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let head = format!(
        "GET /apiws HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {key}\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: chat, binary\r\nSec-WebSocket-Version: 13\r\n\r\nrest"
    );
    let (mut input, mut out) = (BytesMut::from(head.as_bytes()), BytesMut::new());
    assert!(ServerHandshake::new().handle_input(&mut input, &mut out).unwrap().is_some());
    assert_eq!(&input[..], b"rest");
    let answer = String::from_utf8(out.to_vec()).unwrap();
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
}

#[test]
fn every_rule_of_a_request_has_its_error() {
    let field = |name: &'static str, value: &'static str| {
        move |head: String| {
            let lines = head.trim_end().split("\r\n").filter(|line| !line.starts_with(name));
            let lines: Vec<_> = lines.map(str::to_owned).chain([format!("{name}: {value}")]).collect();
            lines.join("\r\n") + "\r\n\r\n"
        }
    };
    assert_eq!(request(|head| head), Ok(true));
    for (result, error) in [
        (request(|head| head.replace("GET", "POST")), Error::NotGet),
        (request(|head| head.replace("HTTP/1.1", "HTTP/1.0")), Error::NotGet),
        (request(|head| head.replace("/apiws", "/chat")), Error::WrongPath),
        (request(|head| head.replace("Host: h\r\n", "")), Error::Head(http::Error::HostMissing)),
        (request(field("Upgrade", "h2c")), Error::NotWebSocket),
        (request(field("Connection", "keep-alive")), Error::NotWebSocket),
        (request(field("Sec-WebSocket-Version", "8")), Error::WrongVersion),
        (request(field("Sec-WebSocket-Key", "short==")), Error::WrongKey),
        (request(field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ*==")), Error::WrongKey),
        (request(field("Sec-WebSocket-Protocol", "text")), Error::WrongSubprotocol),
        (request(|head| head.replace("\r\nHost", "\nHost")), Error::Head(http::Error::NotText { byte: b'\n' })),
        (request(|head| head.replace("Host", &"x".repeat(MAX_HEAD))), Error::Head(http::Error::HeadTooLong)),
    ] {
        assert_eq!(result, Err(error));
    }
}

#[test]
fn every_rule_of_an_answer_has_its_error() {
    assert_eq!(answer(|head| head), Ok(true));
    for (result, error) in [
        (answer(|head| head.replace("101", "404")), Error::Refused { status: 404 }),
        (answer(|head| head.replace("HTTP/1.1", "HTTP/1.0")), Error::Refused { status: 101 }),
        (answer(|head| head.replace("websocket", "h2c")), Error::NotWebSocket),
        (answer(|head| head.replace("Accept: ", "Accept: x")), Error::WrongAccept),
        (answer(|head| head.replace("Sec-WebSocket-Accept", "X")), Error::WrongAccept),
        (answer(|head| head.replace(": binary", ": text")), Error::WrongSubprotocol),
        (answer(|head| head.replace("Upgrade: w", "Sec-WebSocket-Extensions: x\r\nUpgrade: w")), Error::Extension),
        (answer(|head| head.replace("101", "1")), Error::Head(http::Error::MalformedStatus)),
    ] {
        assert_eq!(result, Err(error));
    }
}

#[test]
fn every_prefix_of_the_upgrade_is_incomplete() {
    let mut wire = BytesMut::new();
    ClientHandshake::new("h", PATH, &mut rng(), &mut wire);
    for end in 0..wire.len() {
        assert_eq!(request(|head| head[..end].to_owned()), Ok(false), "{end} bytes");
    }
    for end in 0..80 {
        assert_eq!(answer(|head| head[..end].to_owned()), Ok(false), "{end} bytes");
    }
}

#[test]
fn a_stream_arrives_whole_whatever_the_messages_and_pieces() {
    let mut rng = rng();
    for from_client in [true, false] {
        let (client, server) = pair();
        let (mut sender, mut receiver) = if from_client { (client, server) } else { (server, client) };
        let (mut sent, mut wire) = (Vec::new(), BytesMut::new());
        for len in [1, 2, 3, 125, 126, 127, 65_535, 65_536, 70_001, 0] {
            let mut data = vec![0; len];
            rng.fill_bytes(&mut data);
            sender.encode(&data, &mut rng, &mut wire).unwrap();
            sender.encode_ping(&mut rng, &mut wire).unwrap();
            sent.extend(data);
        }
        sender.close(CloseCode::NORMAL, &mut rng, &mut wire);
        assert!(!from_client || !wire.windows(64).any(|window| window == &sent[1000..1064]), "a client's bytes are masked");
        let (mut heard, mut pings, mut input, mut closed) = (Vec::new(), 0, BytesMut::new(), None);
        for piece in wire.chunks(997) {
            input.extend_from_slice(piece);
            while let Some(event) = receiver.decode(&mut input).unwrap() {
                match event {
                    Event::Data(data) => heard.extend(data),
                    Event::Ping => pings += 1,
                    Event::Close(code) => closed = Some(code),
                    Event::Pong => panic!("nobody was pinged"),
                }
            }
        }
        assert!(heard == sent, "client: {from_client}");
        assert_eq!((pings, closed), (10, Some(Some(CloseCode::NORMAL))));
        // The answer to the close frame, and no further word.
        let mut out = BytesMut::new();
        assert!(receiver.poll_output(&mut rng, &mut out));
        assert!(!receiver.poll_output(&mut rng, &mut out));
        assert_eq!(sender.decode(&mut out), Ok(Some(Event::Close(Some(CloseCode::NORMAL)))));
        assert_eq!(receiver.encode(b"x", &mut rng, &mut out), Err(Error::Closed));
        assert_eq!(receiver.encode_ping(&mut rng, &mut out), Err(Error::Closed));
    }
}

#[test]
fn a_ping_is_answered_with_its_own_bytes() {
    let (mut client, mut server) = pair();
    let (mut wire, mut rng) = (BytesMut::new(), rng());
    let mut ping = BytesMut::from(&[0x89, 3, b'a', b'b', b'c'][..]);
    assert_eq!(client.decode(&mut ping), Ok(Some(Event::Ping)));
    assert!(client.poll_output(&mut rng, &mut wire));
    assert_eq!(wire[..2], [0x8a, 0x83]);
    assert_eq!(server.decode(&mut wire), Ok(Some(Event::Pong)));
}

#[test]
fn fragments_are_one_stream_and_controls_come_between() {
    let (mut client, _) = pair();
    let mut input = BytesMut::from(&[0x02, 1, b'a', 0x89, 0, 0x00, 0, 0x00, 2, b'b', b'c', 0x80, 1, b'd', 0x82, 1, b'e'][..]);
    let mut heard = Vec::new();
    let mut pings = 0;
    while let Some(event) = client.decode(&mut input).unwrap() {
        match event {
            Event::Data(data) => heard.extend(data),
            Event::Ping => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((heard.as_slice(), pings), (&b"abcde"[..], 1));
}

#[test]
fn every_rule_of_a_frame_has_its_error() {
    let long = |head: &[u8], len: u64| [head, &len.to_be_bytes()].concat();
    let max = MAX_MESSAGE;
    for (bytes, error) in [
        (vec![0xc2, 0], Error::ReservedBit),
        (vec![0x83, 0], Error::UnknownOpcode { opcode: 3 }),
        (vec![0x8f, 0], Error::UnknownOpcode { opcode: 15 }),
        (vec![0x81, 0], Error::Text),
        (vec![0x82, 0x80], Error::Masked),
        (vec![0x82, 126, 0, 125], Error::LengthNotShortest { found: 125 }),
        (long(&[0x82, 127], 65_535), Error::LengthNotShortest { found: 65_535 }),
        (long(&[0x82, 127], max + 1), Error::MessageTooLong { found: max + 1 }),
        (long(&[0x82, 127], u64::MAX), Error::MessageTooLong { found: u64::MAX }),
        ([&[0x02, 1, 0][..], &long(&[0x80, 127], max)].concat(), Error::MessageTooLong { found: max + 1 }),
        (vec![0x09, 0], Error::ControlFragmented),
        (vec![0x88, 126, 1, 0], Error::ControlTooLong { found: 256 }),
        (vec![0x80, 0], Error::NothingToContinue),
        (vec![0x02, 0, 0x82, 0], Error::Unfinished),
        (vec![0x88, 1, 3], Error::WrongCloseCode),
        (vec![0x88, 2, 3, 237], Error::WrongCloseCode),
        (vec![0x88, 0, 0x82], Error::AfterClose),
    ] {
        let (mut client, _) = pair();
        let mut input = BytesMut::from(&bytes[..]);
        let result = std::iter::repeat_with(|| client.decode(&mut input)).find(|result| !matches!(result, Ok(Some(_))));
        assert_eq!(result, Some(Err(error)), "{bytes:02x?}");
        assert_eq!(client.decode(&mut BytesMut::new()), Err(error), "an error is final");
    }
    let (_, mut server) = pair();
    assert_eq!(server.decode(&mut BytesMut::from(&[0x82, 0][..])), Err(Error::NotMasked));
}

#[test]
fn every_prefix_of_a_frame_yields_no_more_than_its_bytes() {
    let (mut client, _) = pair();
    let (mut wire, mut rng) = (BytesMut::new(), rng());
    client.encode(&[0x5a; 300], &mut rng, &mut wire).unwrap();
    for end in 0..=wire.len() {
        let (_, mut server) = pair();
        let mut input = BytesMut::from(&wire[..end]);
        let mut heard = 0;
        while let Some(event) = server.decode(&mut input).unwrap() {
            let Event::Data(data) = event else { panic!("{event:?}") };
            assert!(data.iter().all(|byte| *byte == 0x5a));
            heard += data.len();
        }
        assert_eq!(heard, end.saturating_sub(8), "{end} bytes");
    }
}
