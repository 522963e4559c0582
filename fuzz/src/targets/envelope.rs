//! The encrypted envelope. Input: a byte whose lowest bit tells what follows: a frame as it comes, or the decrypted part of one that
//! was made by somebody who has the key. The next bit tells who wrote it.

use std::sync::LazyLock;

use bytes::BytesMut;
use tdl::crypto::{AuthKey, kdf};
use tdl::ids::{MsgId, Salt, SeqNo, SessionId};
use tdl::mtproto::envelope::{self, Header, Side};

use super::Seed;
use super::input::{self, Input};

pub(super) static KEY: LazyLock<AuthKey> = LazyLock::new(|| AuthKey::from_bytes(&std::array::from_fn(|i| (i * 7 + 3) as u8)));

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.byte();
    let writer = if mode & 2 == 0 { Side::Server } else { Side::Client };
    let frame = if mode & 1 == 0 { BytesMut::from(input.rest()) } else { seal_raw(writer, input.rest()) };
    let len = frame.len();
    let _ = envelope::key_id_of(&frame);
    let theirs = envelope::open(&KEY, writer.peer(), frame.clone());
    if let Ok(opened) = envelope::open(&KEY, writer, frame) {
        assert!(opened.body.len() + envelope::OUTER_HEADER_LEN + envelope::INNER_HEADER_LEN + envelope::MIN_PADDING <= len);
        assert!(opened.body.len().is_multiple_of(4));
        assert!(theirs.is_err(), "what one side wrote is not the other's");
    }
}

pub fn seeds() -> Vec<Seed> {
    let header = Header { salt: Salt(1), session_id: SessionId(2), msg_id: MsgId(0x6553_f100_0000_0001), seq_no: SeqNo(1) };
    let mut seeds = Vec::new();
    for (name, writer, mode) in [("server", Side::Server, 0), ("client", Side::Client, 2)] {
        let frame = envelope::seal(&KEY, writer, &header, &[&[9; 20]], &mut input::rng());
        seeds.push((format!("{name}-frame"), [&[mode][..], &frame[..]].concat()));
        for (what, len, total) in
            [("sound", 20, 80_usize), ("odd-length", 21, 80), ("negative-length", -4, 80), ("no-padding", 48, 80)]
        {
            let mut inner = vec![0; total];
            inner[28..32].copy_from_slice(&i32::to_le_bytes(len));
            seeds.push((format!("{name}-{what}"), [&[mode | 1][..], &inner].concat()));
        }
        let mut long = vec![0; 32 + 1040];
        long[16] = 1;
        seeds.push((format!("{name}-long-padding"), [&[mode | 1][..], &long].concat()));
    }
    seeds
}

/// Encrypts any whole blocks as the decrypted part of a message.
pub(super) fn seal_raw(writer: Side, inner: &[u8]) -> BytesMut {
    let inner = &inner[..inner.len() & !15];
    let msg_key = kdf::msg_key_v2(&KEY, writer, inner);
    let mut frame = BytesMut::with_capacity(24 + inner.len());
    frame.extend_from_slice(&KEY.id().to_le_bytes());
    frame.extend_from_slice(&msg_key);
    frame.extend_from_slice(inner);
    kdf::aes_v2(&KEY, &msg_key, writer).encrypt(&mut frame[24..]).expect("whole blocks");
    frame
}
