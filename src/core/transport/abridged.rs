//! The abridged envelope.
//!
//! ```text
//! +---+---------+        +----+---------+---------+        +----+
//! | l | payload |   or   | 7f | len: 3  | payload |        |dcba|  quick acknowledgement, from the server
//! +---+---------+        +----+---------+---------+        +----+
//! ```
//!
//! `l` and `len` count words of four bytes; the short form holds up to 126. The top bit of the first byte, set by a client, asks for
//! a quick acknowledgement; set by a server, it is one: the token with its bytes in reverse, so that the bit comes first.

use bytes::{BufMut, BytesMut};

use super::codec::{Head, Role, check_len};
use super::error::Error;

/// The first byte, without its top bit, of the long form; the short form ends below it.
const LONG: u8 = 0x7f;

/// Appends the envelope of a payload of `len` bytes, a multiple of 4 that the caller has checked.
pub(super) fn put_head(len: usize, quick_ack: bool, out: &mut BytesMut) {
    let words = len / 4;
    let top = if quick_ack { 0x80 } else { 0 };
    match u8::try_from(words) {
        Ok(short) if short < LONG => out.put_u8(short | top),
        _ => {
            out.put_u8(LONG | top);
            out.put_uint_le(words as u64, 3);
        }
    }
}

pub(super) fn put_quick_ack(token: u32, out: &mut BytesMut) {
    out.put_u32(token | 1 << 31);
}

/// What the front of `input` announces; `None` when more bytes are needed to say.
///
/// The long form is taken for short payloads too, as everybody else does: it harms nothing.
pub(super) fn head(input: &[u8], role: Role) -> Result<Option<Head>, Error> {
    let Some(&first) = input.first() else { return Ok(None) };
    let top = first & 0x80 != 0;
    if top && role == Role::Client {
        return Ok(input.first_chunk().map(|token| Head::QuickAck { token: u32::from_be_bytes(*token) }));
    }
    let (skip, words) = match first & 0x7f {
        LONG => match input.first_chunk() {
            Some([_, a, b, c]) => (4, u32::from_le_bytes([*a, *b, *c, 0])),
            None => return Ok(None),
        },
        short => (1, u32::from(short)),
    };
    let len = check_len(words as usize * 4, 0)?;
    Ok(Some(Head::Body { skip, len, tail: 0, wants_ack: top }))
}
