//! A key exchange with somebody in the middle.
//!
//! Input: a byte whose lowest bit picks the attack.
//!
//! * 0: an honest peer whose frames are altered. The rest are changes: a byte for the frame, two for the place, one to combine with
//!   what is there. The second bit makes the server ask for one more try.
//! * 1: a peer that writes what it likes. The rest are frames: a byte of what to make right in it (1 the header, 2 the client's
//!   nonce, 4 the server's), two for the length of the body, the body.

use std::sync::LazyLock;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tdl::crypto::rsa::{PrivateKey, PublicKey};
use tdl::ids::{DcId, MsgId};
use tdl::mtproto::handshake::{ClientHandshake, Mode, ServerHandshake, client, server};
use tdl::mtproto::plain;

use super::Seed;
use super::input::{self, Input, START};

/// The server's RSA key: drawn from a fixed seed, so that inputs mean the same each time.
pub(super) static SERVER_KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(&mut StdRng::from_seed([5; 32])));

static SERVER: LazyLock<server::Config> = LazyLock::new(|| server::Config::new(vec![SERVER_KEY.clone()], DcId(2)));

/// Who is attacked: whose incoming frames are not to be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Client,
    Server,
}

pub(super) fn run(data: &[u8], victim: Victim) {
    let mut input = Input::new(data);
    let mode = input.byte();
    if mode & 1 == 0 {
        altered(&mut input, victim, mode & 2 != 0);
    } else {
        match victim {
            Victim::Client => hostile_server(&mut input),
            Victim::Server => hostile_client(&mut input),
        }
    }
}

pub(super) fn seeds() -> Vec<Seed> {
    let change = |mode: u8, frame: u8, at: u16, xor: u8| {
        let [low, high] = at.to_le_bytes();
        vec![mode, frame, low, high, xor]
    };
    let mut seeds = vec![("honest".into(), vec![0]), ("honest-with-a-retry".into(), vec![2])];
    // Header, constructor, nonces, what follows them, the encrypted part.
    for frame in 0..3 {
        for at in [0, 16, 20, 24, 40, 56, 64, 300] {
            seeds.push((format!("altered-{frame}-{at}"), change(0, frame, at, 0x10)));
        }
    }
    let body = |flags: u8, body: &[u8]| {
        let mut input = vec![1, flags];
        input.extend_from_slice(&(body.len() as u16).to_le_bytes());
        input.extend_from_slice(body);
        input
    };
    seeds.push(("garbage-frame".into(), body(0, &[0x42; 64])));
    let pq = [&0x0516_2463_u32.to_le_bytes()[..], &[0; 32], &[4, 0, 0, 1, 0xff, 0, 0, 0]].concat();
    seeds.push(("res-pq-cut".into(), body(3, &pq)));
    let req = [&0xbe7e_8ef1_u32.to_le_bytes()[..], &[9; 16]].concat();
    seeds.push(("req-pq".into(), body(1, &req)));
    seeds.push(("req-pq-often".into(), [&[1][..], &body(1, &req)[1..].repeat(20)].concat()));
    seeds
}

fn altered(input: &mut Input<'_>, victim: Victim, retry: bool) {
    let mut changes = Vec::new();
    while !input.is_empty() {
        changes.push((usize::from(input.byte() % 4), usize::from(input.u16()), input.byte()));
    }
    let alter = |frame: Bytes, number: usize| {
        let mut frame = frame.to_vec();
        for (_, at, xor) in changes.iter().filter(|(of, ..)| *of == number) {
            let at = at % frame.len();
            frame[at] ^= xor;
        }
        Bytes::from(frame)
    };

    let (mut client_rng, mut server_rng) = (input::rng(), StdRng::from_seed([9; 32]));
    let mut refusals = u8::from(retry);
    let keys: [PublicKey; 1] = [SERVER_KEY.public().clone()];
    let config = client::Config::new(&keys, DcId(2), Mode::Permanent);
    let (mut client, mut to_server) = ClientHandshake::new(&config, START, &mut client_rng);
    let mut server = Some(ServerHandshake::new(&SERVER));
    let mut made = None;
    // Three round trips, and one more for each retry.
    for number in 0..10 {
        if victim == Victim::Server {
            to_server = alter(to_server, number);
        }
        let Some(current) = server.take() else { return };
        let mut is_taken = |_| std::mem::take(&mut refusals) != 0;
        let mut to_client = match current.handle_frame(to_server, START, &mut server_rng, &mut is_taken) {
            Err(error) => {
                assert!(!changes.is_empty(), "{error}");
                return;
            }
            Ok(server::Step::Wait(_)) => return,
            Ok(server::Step::Send(next, frame)) => {
                server = Some(next);
                frame
            }
            Ok(server::Step::Done(established, frame)) => {
                made = Some(established);
                frame
            }
            #[allow(unreachable_patterns, reason = "the server may learn further steps")]
            Ok(_) => return,
        };
        if victim == Victim::Client {
            to_client = alter(to_client, number);
        }
        match client.handle_frame(to_client, START, &mut client_rng) {
            Err(error) => {
                assert!(!changes.is_empty(), "{error}");
                return;
            }
            Ok(client::Step::Send(next, frame)) => (client, to_server) = (next, frame),
            Ok(client::Step::Done(established)) => {
                let made = made.expect("a client is done after its server");
                assert!(established.auth_key.as_bytes() == made.auth_key.as_bytes(), "whoever altered what: one key or none");
                assert_eq!(established.salt, made.salt);
                return;
            }
        }
    }
    panic!("an exchange without an end");
}

fn hostile_server(input: &mut Input<'_>) {
    let mut rng = input::rng();
    let keys: [PublicKey; 1] = [SERVER_KEY.public().clone()];
    let config = client::Config::new(&keys, DcId(2), Mode::Temporary { expires_in: 3600 });
    let (mut client, first) = ClientHandshake::new(&config, START, &mut rng);
    let nonce = first[24..40].to_vec();
    while !input.is_empty() {
        match client.handle_frame(frame(input, &nonce, 1), START, &mut rng) {
            Err(_) => return,
            Ok(client::Step::Send(next, _)) => client = next,
            Ok(client::Step::Done(_)) => panic!("a key without its server's secret"),
        }
    }
}

fn hostile_client(input: &mut Input<'_>) {
    let mut rng = input::rng();
    let mut server = ServerHandshake::new(&SERVER);
    let mut nonces = vec![9; 32];
    while !input.is_empty() {
        match server.handle_frame(frame(input, &nonces, 0), START, &mut rng, &mut |_| false) {
            Err(_) => return,
            Ok(server::Step::Send(next, answer)) => {
                server = next;
                if let Some(answered) = answer.get(24..56) {
                    nonces = answered.to_vec();
                }
            }
            Ok(server::Step::Wait(next)) => server = next,
            Ok(server::Step::Done(..)) => panic!("a key without the client's secret"),
            #[allow(unreachable_patterns, reason = "the server may learn further steps")]
            Ok(_) => return,
        }
    }
}

/// The next frame of the input, with what its first byte asks for made right.
fn frame(input: &mut Input<'_>, nonces: &[u8], residue: i64) -> Bytes {
    let flags = input.byte();
    let len = usize::from(input.u16());
    let mut body = input.take(len).to_vec();
    for (flag, range) in [(2, 4..20), (4, 20..36)] {
        if let (true, Some(place), Some(nonce)) =
            (flags & flag != 0, body.get_mut(range.clone()), nonces.get(range.start - 4..range.end - 4))
        {
            place.copy_from_slice(nonce);
        }
    }
    if flags & 1 == 0 {
        return Bytes::from(body);
    }
    body.truncate(plain::MAX_BODY_LEN);
    body.truncate(body.len() & !3);
    plain::encode(MsgId(START.unix() << 32 | residue), &body)
}
