//! The client's end of every transport, with the server as attacker.
//!
//! Input: one byte for the kind, one for the size of the pieces in which the stream arrives, the stream. What comes out must not
//! depend on the pieces, nor on whether the stream is obfuscated.

use bytes::BytesMut;
use tdl::ids::DcId;
use tdl::transport::{Codec, Detector, Kind, Options};

use super::stream::{self, Outcome};
use super::{Seed, input};

pub fn run(data: &[u8]) {
    let [kind, piece, wire @ ..] = data else { return };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let piece = usize::from(*piece).max(1);

    let at_once = decode(&mut client(kind, false).0, wire, wire.len().max(1));
    assert_eq!(at_once, decode(&mut client(kind, false).0, wire, piece));

    let (mut client, mut server) = client(kind, true);
    let enciphered: Vec<u8> = wire.iter().zip(key_stream(&mut server, wire.len())).map(|(byte, key)| byte ^ key).collect();
    assert_eq!(at_once, decode(&mut client, &enciphered, piece));
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        let (_, mut server) = client(kind, false);
        let mut rng = input::rng();
        let mut wire = BytesMut::new();
        for packet in stream::packets() {
            server.encode(&packet, &mut rng, &mut wire).expect("aligned");
        }
        let _ = server.encode_quick_ack(0x1234_5678, &mut rng, &mut wire);
        server.encode_error(404, &mut rng, &mut wire).expect("aligned");
        for (name, piece) in [("bytes", 1), ("whole", 255)] {
            let mut seed = vec![index as u8, piece];
            seed.extend_from_slice(&wire);
            seeds.push((format!("{kind}-{name}"), seed));
        }
        let mut bare = vec![index as u8, 255];
        bare.extend((-429_i32).to_le_bytes().repeat(3));
        seeds.push((format!("{kind}-bare-error"), bare));
    }
    seeds
}

/// A client that has written its first payload, and the server that has read it.
fn client(kind: Kind, obfuscated: bool) -> (Codec, Codec) {
    let mut rng = input::rng();
    let mut client = Codec::client(&Options { kind, obfuscated, dc: DcId(2) }, &mut rng);
    let mut wire = BytesMut::new();
    client.encode(&stream::packets()[0], &mut rng, &mut wire).expect("aligned");
    let server = Detector::new().detect(&mut wire).expect("ours").expect("complete");
    (client, server)
}

fn decode(client: &mut Codec, wire: &[u8], piece: usize) -> Outcome {
    let mut input = BytesMut::new();
    let mut outcome = (Vec::new(), Ok(()));
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        stream::drain(client, &mut input, &mut outcome);
    }
    outcome
}

/// The first `len` bytes of a server's key stream: what it writes for zeros, with its envelope taken out.
fn key_stream(server: &mut Codec, len: usize) -> Vec<u8> {
    let zeros = vec![0; len.next_multiple_of(4)];
    let mut rng = input::rng();
    let (mut enciphered, mut plain) = (BytesMut::new(), BytesMut::new());
    server.encode(&zeros, &mut rng, &mut enciphered).expect("aligned");
    client(server.kind(), false).1.encode(&zeros, &mut input::rng(), &mut plain).expect("aligned");
    enciphered.iter().zip(&plain).map(|(enciphered, plain)| enciphered ^ plain).take(len).collect()
}
