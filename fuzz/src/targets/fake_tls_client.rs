//! The client's role of fake TLS, with the proxy, or whoever stands in its place, as attacker.
//!
//! Input: one byte for the size of the pieces in which the answer arrives; one whose lowest bit has the digest put right, so that what is
//! behind that check is reached; the answer. What comes out must not depend on the pieces.

use bytes::BytesMut;
use tdl::crypto::hmac::hmac_sha256;
use tdl::transport::fake_tls::{Client, Error, Replays, Server, Shape};
use tdl::transport::mtproxy::Key;

use super::{Seed, input};

const KEY: Key = Key::new([0x5e; 16]);
const DIGEST: std::ops::Range<usize> = 11..43;

pub fn run(data: &[u8]) {
    let [piece, signed, wire @ ..] = data else { return };
    let mut wire = wire.to_vec();
    if signed & 1 == 1 && wire.len() >= DIGEST.end {
        wire[DIGEST].fill(0);
        let digest = hmac_sha256(KEY.bytes(), &[&greet().1[DIGEST], &wire]);
        wire[DIGEST].copy_from_slice(&digest);
    }
    let at_once = hear(&wire, wire.len().max(1));
    assert_eq!(at_once, hear(&wire, usize::from(*piece).max(1)));
}

pub fn seeds() -> Vec<Seed> {
    let mut replays = Replays::new();
    let mut greeting = BytesMut::from(&greet().1[..]);
    let accepted = Server::new(KEY, None).handle_input(&mut greeting, 1_700_000_000, &mut replays, &mut input::rng());
    let mut answer = accepted.expect("ours").expect("whole").answer;
    // A shorter one is as good, and leaves the fuzzer less to carry.
    let data = 5 + 122 + 6;
    answer.truncate(data + 5 + 40);
    answer[data + 3..data + 5].copy_from_slice(&[0, 40]);
    let mut seeds =
        vec![("answer".into(), [&[16, 1], &answer[..]].concat()), ("unsigned".into(), [&[16, 0], &answer[..]].concat())];
    seeds.push(("alert".into(), b"\x01\x00\x15\x03\x03\x00\x02\x02\x28".to_vec()));
    seeds.push(("http".into(), b"\xff\x00HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    seeds
}

fn greet() -> (Client, Vec<u8>) {
    Client::new(&KEY, "a.b", Shape::Classic, 1_700_000_000, &mut input::rng())
}

/// The data that comes out, and how it ended.
fn hear(wire: &[u8], piece: usize) -> (Vec<u8>, Result<(), Error>) {
    let (mut client, _) = greet();
    let (mut input, mut data) = (BytesMut::new(), BytesMut::new());
    let mut records = None;
    for part in wire.chunks(piece) {
        input.extend_from_slice(part);
        if records.is_none() {
            match client.handle_input(&mut input) {
                Ok(found) => records = found,
                Err(error) => {
                    assert_eq!(client.handle_input(&mut input).err(), Some(error.clone()), "an error is final");
                    return (Vec::new(), Err(error));
                }
            }
        }
        if let Some(records) = &mut records
            && let Err(error) = records.decode(&mut input, &mut data)
        {
            return (data.to_vec(), Err(error));
        }
    }
    assert!(data.len() <= wire.len());
    (data.to_vec(), Ok(()))
}
