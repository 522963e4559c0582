//! What travels in a simulated world: requests, the one right answer to each, and numbered updates.
//!
//! None of the constructors is a service message's, so the session hands all of them to its driver.

use bytes::{BufMut, Bytes, BytesMut};

use super::dice::Dice;
use crate::{
    ids::MsgId,
    mtproto::{container::constructor, gzip},
    tl::Reader,
};

const REQUEST: u32 = 0x51a0_0001;
const ANSWER: u32 = 0x51a0_0002;
const UPDATE: u32 = 0x51a0_0003;
const FORGED: u32 = 0x51a0_0004;

const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;

/// Bytes of a request before its filling.
const REQUEST_HEAD: usize = 28;

/// Who asks, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) client: usize,
    pub(super) number: u64,
}

/// A request of `len` bytes or a little more, to be answered with `answer_len` bytes or a little more.
pub(super) fn request(asked: Asked, len: usize, answer_len: usize, dice: &mut Dice) -> Bytes {
    let mut out = BytesMut::with_capacity(REQUEST_HEAD + len + 4);
    out.put_u32_le(REQUEST);
    out.put_u32_le(u32::try_from(asked.client).unwrap_or(u32::MAX));
    out.put_u64_le(asked.number);
    out.put_u64_le(dice.long().cast_unsigned());
    out.put_u32_le(u32::try_from(answer_len).unwrap_or(0));
    fill(&mut out, len, dice.long().cast_unsigned());
    out.freeze()
}

/// Takes a request apart; `None` if it is none.
pub(super) fn read_request(body: &[u8]) -> Option<Asked> {
    let client = usize::try_from(word(body, 4)?).ok()?;
    (constructor(body) == REQUEST).then_some(Asked { client, number: long(body, 8)? })
}

/// What an object is, unpacked if it is packed.
pub(super) fn unpacked(body: &Bytes) -> Bytes {
    let mut reader = Reader::new(body.clone());
    if constructor(body) != gzip::ID || reader.u32().is_err() {
        return body.clone();
    }
    reader.bytes().ok().and_then(|data| gzip::unpack(&data, 1 << 20).ok()).unwrap_or_else(|| body.clone())
}

/// Takes off what says after which messages a request is to be done: `invokeAfterMsg#cb9f372d msg_id:long query:!X`,
/// `invokeAfterMsgs#3dc4b4f0 msg_ids:Vector<long> query:!X`.
///
/// Either side of that may be packed.
pub(super) fn unwrap(body: &Bytes) -> (Vec<MsgId>, Bytes) {
    let body = &unpacked(body);
    let mut reader = Reader::new(body.clone());
    let ids = match reader.u32() {
        Ok(INVOKE_AFTER_MSG) => reader.i64().map(|id| vec![MsgId(id)]),
        Ok(INVOKE_AFTER_MSGS) => (|| {
            let (_vector, count) = (reader.u32()?, reader.u32()?);
            (0..count).map(|_| reader.i64().map(MsgId)).collect()
        })(),
        _ => return (Vec::new(), body.clone()),
    };
    match ids {
        Ok(ids) => (ids, unpacked(&reader.rest())),
        Err(_) => (Vec::new(), body.clone()),
    }
}

/// The answer to a request: everything in it follows from the request.
pub(super) fn answer(request: &[u8]) -> Bytes {
    let digest = digest(request);
    let len = word(request, 24).and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    let mut out = BytesMut::with_capacity(16 + len + 4);
    out.put_u32_le(ANSWER);
    out.put_u64_le(digest);
    fill(&mut out, len, digest);
    out.freeze()
}

/// An update.
pub(super) fn update(client: usize, number: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_u32_le(UPDATE);
    out.put_u32_le(u32::try_from(client).unwrap_or(u32::MAX));
    out.put_u64_le(number);
    out.freeze()
}

/// An update that no host has sent: the misbehaving server made it.
pub(super) fn forged(number: i64) -> Bytes {
    let mut out = BytesMut::with_capacity(12);
    out.put_u32_le(FORGED);
    out.put_i64_le(number);
    out.freeze()
}

/// What arrived as an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// One of the host's: for whom, and its number.
    Numbered(Asked),
    /// One of the misbehaving server's.
    Forged,
    /// Neither.
    Unknown,
}

/// Takes an update apart.
pub(super) fn read_update(body: &[u8]) -> Update {
    match (constructor(body), word(body, 4), long(body, 8)) {
        (FORGED, ..) => Update::Forged,
        (UPDATE, Some(client), Some(number)) if body.len() == 16 => {
            Update::Numbered(Asked { client: usize::try_from(client).unwrap_or(usize::MAX), number })
        }
        _ => Update::Unknown,
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}

fn long(body: &[u8], at: usize) -> Option<u64> {
    body.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// FNV-1a over words: good enough to tell two requests apart.
fn digest(body: &[u8]) -> u64 {
    body.chunks(8).fold(0xcbf2_9ce4_8422_2325, |hash: u64, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}

/// Whole words, `len` bytes of them at least; half of all seeds give what gzip makes shorter.
fn fill(out: &mut BytesMut, len: usize, seed: u64) {
    let mut state = seed;
    for _ in 0..len.div_ceil(4) {
        if seed & 1 == 1 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        out.put_u32_le((state >> 32) as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_from_requests() {
        let mut dice = Dice::new(1, 2);
        let asked = Asked { client: 2, number: 77 };
        let (one, two) = (request(asked, 10, 9, &mut dice), request(asked, 10, 9, &mut dice));
        assert_eq!(read_request(&one), Some(asked));
        assert_eq!(answer(&one), answer(&one.clone()));
        assert_ne!(answer(&one), answer(&two));
        assert!(one.len().is_multiple_of(4) && answer(&one).len().is_multiple_of(4));
        assert_eq!(read_request(&answer(&one)), None);
    }

    #[test]
    fn updates_are_told_apart() {
        assert_eq!(read_update(&update(1, 5)), Update::Numbered(Asked { client: 1, number: 5 }));
        assert_eq!(read_update(&forged(5)), Update::Forged);
        for end in 0..16 {
            assert_eq!(read_update(&update(1, 5)[..end]), Update::Unknown);
        }
    }
}
