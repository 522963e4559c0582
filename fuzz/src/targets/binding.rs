//! The message that binds a temporary key, on the server's side. Input: a byte whose lowest bit tells what follows: a message as it
//! comes, or the decrypted part of one that was made by somebody who has the permanent key.

use tdl::ids::{MsgId, SessionId};
use tdl::mtproto::binding::{self, Binding};

use super::Seed;
use super::envelope::KEY;
use super::input::{self, Input};

const PLAIN_LEN: usize = binding::LEN - 24;

fn expected() -> Binding {
    Binding {
        msg_id: MsgId(0x6553_f100_0000_0000),
        nonce: 5,
        temp_auth_key_id: 6,
        perm_auth_key_id: KEY.id(),
        session_id: SessionId(7),
        expires_at: 1_700_000_000,
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 {
        let message = input.rest();
        if binding::check(&KEY, &expected(), message).is_ok() {
            assert_eq!(message.len(), binding::LEN);
        }
        return;
    }
    let mut plain = [0; PLAIN_LEN];
    for (to, from) in plain.iter_mut().zip(input.rest()) {
        *to = *from;
    }
    let message = binding::seal_raw(&KEY, &plain);
    if binding::check(&KEY, &expected(), &message).is_ok() {
        // What passes says what the request says: all but the random bytes is settled.
        assert_eq!(plain[16..72], sound()[16..72]);
    }
}

/// The decrypted part of a message that passes.
fn sound() -> [u8; PLAIN_LEN] {
    let b = expected();
    let mut plain = [0; PLAIN_LEN];
    let fields = [
        &b.msg_id.0.to_le_bytes()[..],
        &[0, 0, 0, 0, 40, 0, 0, 0, 0x65, 0xf7, 0xa3, 0x75],
        &b.nonce.to_le_bytes(),
        &b.temp_auth_key_id.to_le_bytes(),
        &b.perm_auth_key_id.to_le_bytes(),
        &b.session_id.0.to_le_bytes(),
        &b.expires_at.to_le_bytes(),
    ]
    .concat();
    plain[16..72].copy_from_slice(&fields);
    plain
}

pub fn seeds() -> Vec<Seed> {
    let message = binding::seal(&KEY, &expected(), &mut input::rng());
    assert_eq!(binding::check(&KEY, &expected(), &message), Ok(()), "the seeds are sound");
    let mut seeds =
        vec![("message".to_owned(), [&[0][..], &message].concat()), ("plain".to_owned(), [&[1][..], &sound()].concat())];
    for (name, at) in [
        ("msg-id", 16),
        ("seq-no", 24),
        ("length", 28),
        ("constructor", 32),
        ("nonce", 36),
        ("temp-key", 44),
        ("perm-key", 52),
        ("session", 60),
        ("expiry", 68),
    ] {
        let mut plain = sound();
        plain[at] ^= 0x10;
        seeds.push((format!("wrong-{name}"), [&[1][..], &plain].concat()));
    }
    seeds
}
