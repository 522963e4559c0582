//! The proxy's role of fake TLS, with the client as attacker.
//!
//! Input: one byte for the size of the pieces in which the client's bytes arrive; one whose lowest bit has the digest put right, so that
//! what is behind that check is reached; the length of the greeting, of which that is the digest; the bytes. What comes out must not
//! depend on the pieces.

use bytes::BytesMut;
use tdl::crypto::hmac::hmac_sha256;
use tdl::transport::fake_tls::{Client, Error, Replays, Server, Shape};
use tdl::transport::mtproxy::Key;

use super::{Seed, input};

const KEY: Key = Key::new([0x5e; 16]);
const DIGEST: std::ops::Range<usize> = 11..43;
const NOW: u32 = 1_700_000_000;

pub fn run(data: &[u8]) {
    let [piece, signed, low, high, wire @ ..] = data else { return };
    let mut wire = wire.to_vec();
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    if let Some(greeting) = wire.get_mut(..len)
        && signed & 1 == 1
        && greeting.len() >= DIGEST.end
    {
        greeting[DIGEST].fill(0);
        let mut digest = hmac_sha256(KEY.bytes(), &[greeting]);
        digest[28..].iter_mut().zip(NOW.to_le_bytes()).for_each(|(byte, time)| *byte ^= time);
        greeting[DIGEST].copy_from_slice(&digest);
    }
    let at_once = serve(&wire, wire.len().max(1));
    assert_eq!(at_once, serve(&wire, usize::from(*piece).max(1)));
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, shape) in [("classic", Shape::Classic), ("current", Shape::Current)] {
        let (_, greeting) = Client::new(&KEY, "a.b", shape, NOW, &mut input::rng());
        let [low, high, ..] = greeting.len().to_le_bytes();
        let data = b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x02hi";
        seeds.push((name.into(), [&[100, 1, low, high], &greeting[..], data].concat()));
    }
    seeds.push(("http".into(), b"\xff\x00\x00\x00GET / HTTP/1.1\r\n\r\n".to_vec()));
    seeds
}

/// The data that comes out, whether the client was let in, and how it ended.
fn serve(wire: &[u8], piece: usize) -> (Vec<u8>, bool, Result<(), Error>) {
    let mut server = Server::new(KEY, Some("a.b".into()));
    let mut replays = Replays::new();
    let (mut input, mut data) = (BytesMut::new(), BytesMut::new());
    let mut records = None;
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        if records.is_none() {
            let before = input.len();
            match server.handle_input(&mut input, NOW.into(), &mut replays, &mut input::rng()) {
                Ok(found) => records = found.map(|accepted| accepted.records),
                Err(error) => {
                    assert_eq!(input.len(), before, "the web site gets what came");
                    return (Vec::new(), false, Err(error));
                }
            }
        }
        if let Some(records) = &mut records
            && let Err(error) = records.decode(&mut input, &mut data)
        {
            return (data.to_vec(), true, Err(error));
        }
    }
    assert!(data.len() <= wire.len());
    (data.to_vec(), records.is_some(), Ok(()))
}
