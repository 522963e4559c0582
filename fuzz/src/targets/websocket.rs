//! WebSocket in both roles, with the other end as attacker: the upgrade, then frames.
//!
//! Input: one byte for the role and for whether the upgrade is done, one for the size of the pieces in which the stream arrives, the
//! stream. What comes out must not depend on the pieces.

use bytes::BytesMut;
use tdl::transport::websocket::{ClientHandshake, CloseCode, Codec, Error, Event, PATH, ServerHandshake};

use super::{Seed, input};

pub fn run(data: &[u8]) {
    let [role, piece, wire @ ..] = data else { return };
    let piece = usize::from(*piece).max(1);
    let (is_server, upgraded) = (role & 1 != 0, role & 2 != 0);
    assert_eq!(hear(is_server, upgraded, wire, wire.len().max(1)), hear(is_server, upgraded, wire, piece));
}

pub fn seeds() -> Vec<Seed> {
    let mut rng = input::rng();
    let (mut question, mut answer) = (BytesMut::new(), BytesMut::new());
    ClientHandshake::new("h", PATH, &mut rng, &mut question);
    ServerHandshake::new().handle_input(&mut question.clone(), &mut answer).expect("ours");
    let mut seeds = Vec::new();
    let mut seed = |name: &str, head: [u8; 2], wire: &[u8]| seeds.push((name.to_owned(), [&head[..], wire].concat()));
    seed("request", [1, 1], &question);
    seed("answer", [0, 1], &answer);
    seed("not-found", [0, 9], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    for (name, role) in [("client", 2), ("server", 3)] {
        // What the other end would write.
        let (client, server) = upgraded();
        let mut writer = if role == 2 { server } else { client };
        let mut wire = BytesMut::new();
        for len in [1, 125, 126, 300] {
            writer.encode(&vec![0x5a; len], &mut rng, &mut wire).expect("open");
            writer.encode_ping(&mut rng, &mut wire).expect("open");
        }
        writer.close(CloseCode::NORMAL, &mut rng, &mut wire);
        seed(&format!("{name}-bytes"), [role, 1], &wire);
        seed(&format!("{name}-whole"), [role, 255], &wire);
    }
    seed("fragments", [2, 3], &[0x02, 1, b'a', 0x89, 1, b'p', 0x00, 0, 0x80, 2, b'b', b'c', 0x82, 1, b'd']);
    seed("huge", [2, 3], &[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    seeds
}

fn upgraded() -> (Codec, Codec) {
    let (mut question, mut answer) = (BytesMut::new(), BytesMut::new());
    let mut client = ClientHandshake::new("h", PATH, &mut input::rng(), &mut question);
    let server = ServerHandshake::new().handle_input(&mut question, &mut answer).expect("ours").expect("whole");
    (client.handle_input(&mut answer).expect("ours").expect("whole"), server)
}

/// What an end makes of a stream: the bytes inside, the signs of life, how it closed, and which rule was broken.
type Outcome = (bool, Vec<u8>, usize, Option<Option<CloseCode>>, Result<(), Error>);

fn hear(is_server: bool, is_upgraded: bool, wire: &[u8], piece: usize) -> Outcome {
    let mut rng = input::rng();
    let mut codec = is_upgraded.then(|| if is_server { upgraded().1 } else { upgraded().0 });
    let mut server = ServerHandshake::new();
    let mut client = ClientHandshake::new("h", PATH, &mut input::rng(), &mut BytesMut::new());
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut outcome: Outcome = (is_upgraded, Vec::new(), 0, None, Ok(()));
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        if codec.is_none() {
            let result = if is_server { server.handle_input(&mut input, &mut out) } else { client.handle_input(&mut input) };
            match result {
                Ok(found) => codec = found,
                Err(error) => {
                    outcome.4 = Err(error);
                    return outcome;
                }
            }
            outcome.0 = codec.is_some();
        }
        let Some(codec) = &mut codec else { continue };
        loop {
            match codec.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    outcome.1.extend_from_slice(&data);
                }
                Ok(Some(Event::Ping | Event::Pong)) => outcome.2 += 1,
                Ok(Some(Event::Close(code))) => outcome.3 = Some(code),
                Err(error) => {
                    assert_eq!(codec.decode(&mut input), Err(error), "an error is final");
                    outcome.4 = Err(error);
                    return outcome;
                }
            }
        }
        // What is owed to the peer is a control frame at most, however much it asked for.
        out.clear();
        codec.poll_output(&mut rng, &mut out);
        assert!(out.len() <= 131 && !codec.poll_output(&mut rng, &mut out));
        assert!(input.len() <= 131, "no more than a control frame is held back");
    }
    outcome
}
