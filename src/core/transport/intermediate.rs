//! The intermediate envelope, padded or not.
//!
//! ```text
//! +------+---------+        +------+---------+---------+        +------+----------+-------+---------+
//! | len  | payload |        | tlen | payload | padding |        | tlen | ffffffff | token | padding |
//! +------+---------+        +------+---------+---------+        +------+----------+-------+---------+
//!    intermediate                     padded                      padded quick acknowledgement
//! ```
//!
//! The top bit of the length, set by a client, asks for a quick acknowledgement. Set by a server, the four bytes are one: the token
//! itself, whose top bit is always set. A padded one has an envelope; the bare form is understood there as well, as TDLib does.

use bytes::{BufMut, BytesMut};
use rand::Rng;

use super::codec::{Frame, Head, Role, check_len};
use super::error::{Error, TransportError};
use crate::check::{Check, broken};

/// The top bit of a length.
const QUICK_ACK: u32 = 1 << 31;
/// The longest padding that a peer may use.
const MAX_PADDING: usize = 15;
/// No MTProto packet is this short: the least is a plain message without a body, 20 bytes. A padded frame up to here is a
/// transport error or a quick acknowledgement.
const MAX_SPECIAL: usize = 4 + MAX_PADDING;
/// Longest quick acknowledgement: mark, token and eight bytes of padding.
const MAX_QUICK_ACK: usize = 16;

/// Appends the length in front of a body of `len` bytes, which the caller has checked.
pub(super) fn put_head(len: usize, quick_ack: bool, out: &mut BytesMut) {
    out.put_u32_le(len as u32 | if quick_ack { QUICK_ACK } else { 0 });
}

pub(super) fn put_quick_ack(token: u32, out: &mut BytesMut) {
    out.put_u32_le(token | QUICK_ACK);
}

pub(super) fn put_padded_quick_ack(token: u32, rng: &mut dyn Rng, out: &mut BytesMut) {
    let padding = Padding::random(rng);
    put_head(8 + padding.bytes().len(), false, out);
    out.put_u32_le(u32::MAX);
    out.put_u32_le(token | QUICK_ACK);
    out.put_slice(padding.bytes());
}

/// What the front of `input` announces; `None` when more bytes are needed to say.
pub(super) fn head(input: &[u8], role: Role, padded: bool) -> Result<Option<Head>, Error> {
    let Some(word) = input.first_chunk().map(|word| u32::from_le_bytes(*word)) else { return Ok(None) };
    let top = word & QUICK_ACK != 0;
    if top && role == Role::Client {
        return Ok(Some(Head::QuickAck { token: word }));
    }
    let announced = (word & !QUICK_ACK) as usize;
    let len = if padded { check_padded_len(announced)? } else { check_len(announced, 0)? };
    Ok(Some(Head::Body { skip: 4, len, tail: 0, wants_ack: top }))
}

fn check_padded_len(announced: usize) -> Result<usize, Error> {
    const MAX: usize = super::MAX_FRAME + MAX_PADDING;
    if broken(Check::PaddedFrameMost, announced > MAX) {
        return Err(Error::FrameTooLong { found: announced, max: MAX });
    }
    Ok(announced)
}

/// What we put behind a payload: 0 to 3 random bytes.
///
/// The page allows up to 15, and TDLib and the servers use them. But where a payload ends can then be told only from what is in it,
/// and Telethon and others cut to a multiple of 4 instead. Up to three bytes are right for everybody.
pub(super) struct Padding {
    bytes: [u8; 4],
    len: usize,
}

impl Padding {
    pub(super) fn random(rng: &mut dyn Rng) -> Self {
        let bytes = rng.next_u32().to_le_bytes();
        Self { len: usize::from(bytes[3] & 3), bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Turns the body of a padded frame into what it means.
pub(super) fn unpad(mut body: BytesMut, role: Role) -> Result<Frame, Error> {
    if role == Role::Client
        && body.len() <= MAX_SPECIAL
        && let Some(code) = body.first_chunk().map(|code| i32::from_le_bytes(*code))
    {
        if code == -1 {
            let short = !broken(Check::PaddedQuickAckLength, body.len() > MAX_QUICK_ACK);
            return match (short, body.get(4..).and_then(|rest| rest.first_chunk())) {
                (true, Some(token)) => Ok(Frame::QuickAck(u32::from_le_bytes(*token))),
                _ => Err(Error::QuickAckLength { found: body.len() }),
            };
        }
        if code < 0 {
            return Ok(Frame::Error(TransportError::from(code)));
        }
        if broken(Check::PaddedErrorCodeNegative, body.len() < 8) {
            return Err(Error::ErrorCodeNotNegative { found: code });
        }
    }
    body.truncate(payload_len(&body));
    Ok(Frame::Payload(body))
}

/// Where the payload ends. The envelope does not say, so the packet has to:
///
/// ```text
/// plain      [auth_key_id = 0: 8][msg_id: 8][len: 4][body: len]
/// encrypted  [auth_key_id: 8][msg_key: 16][blocks of 16]
/// ```
///
/// The padding is shorter than a cipher block, so the last whole block is the end of an encrypted packet. What looks like neither is
/// cut to whole words and left to the floor above to refuse.
fn payload_len(body: &[u8]) -> usize {
    let words = body.len() & !3;
    let Some(auth_key_id) = body.first_chunk::<8>() else { return words };
    if *auth_key_id != [0; 8] {
        return match words.checked_sub(24) {
            Some(blocks) if blocks >= 16 => 24 + (blocks & !15),
            _ => words,
        };
    }
    let announced = body.get(16..20).and_then(|len| len.first_chunk()).map(|len| u32::from_le_bytes(*len) as usize);
    match announced.and_then(|len| len.checked_add(20)) {
        Some(end) if end % 4 == 0 && end <= words && body.len() - end <= MAX_PADDING => end,
        _ => words,
    }
}
