//! The server's end: detection, then whatever codec it found, with the client as attacker.
//!
//! Input: one byte for the size of the pieces in which the stream arrives, the stream. What comes out must not depend on the pieces.

use bytes::BytesMut;
use tdl::ids::DcId;
use tdl::transport::{Codec, Detector, Error, Kind, Options};

use super::stream::{self, Outcome};
use super::{Seed, input};

pub fn run(data: &[u8]) {
    let [piece, wire @ ..] = data else { return };
    let at_once = serve(wire, wire.len().max(1));
    assert_eq!(at_once, serve(wire, usize::from(*piece).max(1)));
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for kind in Kind::ALL {
        for obfuscated in [false, true] {
            let options = Options { kind, obfuscated, dc: DcId(2) };
            let mut rng = input::rng();
            let mut wire = BytesMut::from(&[1][..]);
            let mut client = Codec::client(&options, &mut rng);
            for packet in stream::packets() {
                client.encode(&packet, &mut rng, &mut wire).expect("aligned");
            }
            let _ = client.encode_with_quick_ack(&stream::packets()[1], &mut rng, &mut wire);
            seeds.push((options.to_string().replace(' ', "-"), wire.to_vec()));
        }
    }
    seeds.push(("http".into(), b"\xffPOST /api HTTP/1.1\r\n\r\n".to_vec()));
    seeds.push(("websocket".into(), b"\xffGET /apiws HTTP/1.1\r\n\r\n".to_vec()));
    seeds.push(("tls".into(), b"\xff\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()));
    seeds.push(("unknown-tag".into(), vec![0x42; 90]));
    seeds
}

fn serve(wire: &[u8], piece: usize) -> (Option<Options>, Result<(), Error>, Outcome) {
    let mut input = BytesMut::new();
    let mut detector = Detector::new();
    let mut codec: Option<Codec> = None;
    let mut outcome = (Vec::new(), Ok(()));
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        if codec.is_none() {
            match detector.detect(&mut input) {
                Ok(found) => codec = found,
                Err(error) => return (None, Err(error), outcome),
            }
        }
        if let Some(codec) = &mut codec {
            stream::drain(codec, &mut input, &mut outcome);
        }
    }
    if let (Some(codec), Ok(())) = (&mut codec, &outcome.1) {
        let mut out = BytesMut::new();
        codec.encode(&stream::packets()[1], &mut input::rng(), &mut out).expect("aligned");
        codec.encode_error(404, &mut input::rng(), &mut out).expect("aligned");
        let _ = codec.encode_quick_ack(7, &mut input::rng(), &mut out);
    }
    (codec.map(|codec| codec.options()), Ok(()), outcome)
}
