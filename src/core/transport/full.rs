//! The full envelope.
//!
//! ```text
//! +------+------+---------+-------+
//! | len  | seq  | payload | crc32 |
//! +------+------+---------+-------+
//! ```
//!
//! `len` counts the whole frame. `seq` counts the frames of one direction of one connection from 0. The checksum covers all that
//! stands before it. There are no quick acknowledgements.

use bytes::{BufMut, BytesMut};

use super::codec::{Head, Role, check_len};
use super::error::Error;
use crate::check::{Check, broken};

/// Length, sequence number and checksum.
const ENVELOPE: usize = 12;

/// Appends a whole frame.
pub(super) fn put(payload: &[u8], seq: u32, out: &mut BytesMut) {
    let mut head = [0; 8];
    head[..4].copy_from_slice(&((payload.len() + ENVELOPE) as u32).to_le_bytes());
    head[4..].copy_from_slice(&seq.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head);
    crc.update(payload);
    out.put_slice(&head);
    out.put_slice(payload);
    out.put_u32_le(crc.finalize());
}

/// What the front of `input` announces; `None` when more bytes are needed to say.
pub(super) fn head(input: &[u8], role: Role) -> Result<Option<Head>, Error> {
    let Some(word) = input.first_chunk() else { return Ok(None) };
    let announced = i32::from_le_bytes(*word);
    // A server that refuses the connection itself writes the error without an envelope (observed with 429, three times in a row).
    if announced < 0 && role == Role::Client {
        return Ok(Some(Head::BareError { code: announced }));
    }
    let announced = announced as u32 as usize;
    if broken(Check::FullFrameLeast, announced < ENVELOPE) {
        return Err(Error::FrameTooShort { found: announced, min: ENVELOPE });
    }
    let len = check_len(announced, ENVELOPE)?.saturating_sub(ENVELOPE);
    Ok(Some(Head::Body { skip: 8, len, tail: 4, wants_ack: false }))
}

/// Checks a complete frame: its checksum first, since nothing in a corrupt frame can be believed, then its number.
pub(super) fn check(frame: &[u8], expected_seq: u32) -> Result<(), Error> {
    let Some((covered, crc)) = frame.split_last_chunk() else {
        return Err(Error::FrameTooShort { found: frame.len(), min: ENVELOPE });
    };
    let (found, expected) = (u32::from_le_bytes(*crc), crc32fast::hash(covered));
    if broken(Check::FullCrc, found != expected) {
        return Err(Error::WrongCrc { found, expected });
    }
    let seq = covered.get(4..8).and_then(|seq| seq.first_chunk()).map(|seq| u32::from_le_bytes(*seq));
    match seq {
        Some(found) if !broken(Check::FullSeq, found != expected_seq) => Ok(()),
        Some(found) => Err(Error::WrongSeq { found, expected: expected_seq }),
        None => Err(Error::FrameTooShort { found: frame.len(), min: ENVELOPE }),
    }
}

/// Whether the first eight bytes of a stream can be the start of its first full frame.
pub(super) fn is_first(head: &[u8; 8]) -> bool {
    let [l0, l1, l2, l3, seq @ ..] = *head;
    let announced = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    seq == [0; 4] && announced >= ENVELOPE && check_len(announced, ENVELOPE).is_ok()
}
