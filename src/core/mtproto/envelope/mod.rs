//! Encrypted messages, MTProto 2.0: sealing, and opening with every check that needs no memory of earlier messages.
//!
//! ```text
//! auth_key_id:int64 | msg_key:int128 | AES-256-IGE( salt:int64 | session_id:int64 | msg_id:int64 | seq_no:int32 | length:int32 |
//!                                                   body, `length` bytes | padding, 12..=1024 random bytes )
//! ```
//!
//! See "Mobile Protocol: Detailed Description" and "Security Guidelines for Client Developers". The order of the checks matters: what
//! comes before the comparison of `msg_key` looks at nothing but what everybody on the wire can see (lengths, the key identifier),
//! and nothing of the decrypted bytes is looked at before that comparison, which takes the same time wherever two keys differ. So an
//! attacker who sends altered messages learns nothing from which error they cause.
//!
//! Whether the session is ours, the identifier fits its time and has not been seen before is for the session to check: that needs
//! memory.

use bytes::{BufMut, Bytes, BytesMut};
use rand::Rng;

use crate::{
    check::{Check, broken},
    crypto::{self, AuthKey, kdf, message},
    ids::{MsgId, Salt, SeqNo, SessionId},
    trace::{self, Verdict},
};

pub use crate::crypto::kdf::Side;

#[cfg(test)]
mod tests;

/// Bytes before the encrypted part: key identifier and message key.
pub const OUTER_HEADER_LEN: usize = 24;

/// Bytes of the encrypted part before the body: salt, session, message identifier, sequence number, length.
pub const INNER_HEADER_LEN: usize = 32;

/// The least padding there may be, in bytes.
pub const MIN_PADDING: usize = 12;

/// The most padding there may be, in bytes.
pub const MAX_PADDING: usize = 1024;

/// The cipher's block, in bytes.
const BLOCK: usize = 16;

/// The shortest encrypted part: the inner header and the least padding, in whole blocks.
const MIN_ENCRYPTED: usize = (INNER_HEADER_LEN + MIN_PADDING).next_multiple_of(BLOCK);

/// What precedes the body of an encrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The server salt in force.
    pub salt: Salt,
    /// The session the message belongs to.
    pub session_id: SessionId,
    /// The message's identifier.
    pub msg_id: MsgId,
    /// The message's sequence number.
    pub seq_no: SeqNo,
}

/// A message whose envelope passed every check.
///
/// An end makes one with [`open`] and in no other way: whoever holds one holds the proof. Who only looks on has [`look_into`], which
/// says beside it what was broken.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The salt that the writer used.
    pub salt: Salt,
    /// The session that the message claims to belong to.
    pub session_id: SessionId,
    /// The message's identifier.
    pub msg_id: MsgId,
    /// The message's sequence number.
    pub seq_no: SeqNo,
    /// The message: a slice of the received frame.
    pub body: Bytes,
}

/// Bodies hold what people write: only their length is printed.
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("salt", &self.salt)
            .field("session_id", &self.session_id)
            .field("msg_id", &self.msg_id)
            .field("seq_no", &self.seq_no)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Why an encrypted message was refused. Each is the peer's fault or an attacker's, and none is survivable for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The frame cannot hold the two headers and the least padding.
    #[error("encrypted message of {len} bytes is shorter than the shortest possible, {}", OUTER_HEADER_LEN + MIN_ENCRYPTED)]
    TooShort {
        /// Bytes in the frame.
        len: usize,
    },
    /// The message is for another key, or is not encrypted at all (0).
    #[error("message is encrypted with key {found:#018x}, ours is {expected:#018x}")]
    KeyIdMismatch {
        /// The key identifier found.
        found: i64,
        /// Our key's identifier.
        expected: i64,
    },
    /// The encrypted part is not whole blocks of the cipher.
    #[error("encrypted part of {len} bytes is not a multiple of {BLOCK}")]
    NotBlockAligned {
        /// Bytes of the encrypted part.
        len: usize,
    },
    /// The message key is not that of the decrypted bytes: the message was altered, or another key made it.
    #[error("message key does not match the decrypted message")]
    MsgKeyMismatch,
    /// The declared length is no multiple of four.
    #[error("declared length {len} is not divisible by 4")]
    LengthNotDivisibleByFour {
        /// The length declared.
        len: i32,
    },
    /// The declared length is negative or runs past the end of the message.
    #[error("declared length {declared} does not fit the {available} bytes there are")]
    LengthOutOfBounds {
        /// The length declared.
        declared: i32,
        /// Bytes after the inner header.
        available: usize,
    },
    /// Less padding than the protocol demands.
    #[error("padding of {len} bytes is shorter than {MIN_PADDING}")]
    PaddingTooShort {
        /// Bytes of padding.
        len: usize,
    },
    /// More padding than the protocol allows.
    #[error("padding of {len} bytes is longer than {MAX_PADDING}")]
    PaddingTooLong {
        /// Bytes of padding.
        len: usize,
    },
}

impl EnvelopeError {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "TooShort",
            Self::KeyIdMismatch { .. } => "KeyIdMismatch",
            Self::NotBlockAligned { .. } => "NotBlockAligned",
            Self::MsgKeyMismatch => "MsgKeyMismatch",
            Self::LengthNotDivisibleByFour { .. } => "LengthNotDivisibleByFour",
            Self::LengthOutOfBounds { .. } => "LengthOutOfBounds",
            Self::PaddingTooShort { .. } => "PaddingTooShort",
            Self::PaddingTooLong { .. } => "PaddingTooLong",
        }
    }
}

/// What the trace says of a frame of `len` bytes under a key that came in: opened, with the token of a quick acknowledgement where that
/// means anything, or refused.
pub fn traced(auth_key_id: i64, len: usize, outcome: Result<(&Opened, Option<u32>), &EnvelopeError>) -> trace::Event {
    let (msg_key, inner, token) = match outcome {
        Ok((opened, token)) => {
            let body = opened.body.len();
            let header =
                Header { salt: opened.salt, session_id: opened.session_id, msg_id: opened.msg_id, seq_no: opened.seq_no };
            (Verdict::Ok, Some(header.inner(body, len)), token)
        }
        Err(error) => (error.verdict(), None, None),
    };
    trace::Event::Envelope { sent: false, auth_key_id, len, msg_key, inner, token }
}

impl Header {
    /// What the trace says of the inside of a frame of `len` bytes that holds a body of `body` bytes.
    pub(super) fn inner(&self, body: usize, len: usize) -> trace::Inner {
        let Self { salt, session_id, msg_id, seq_no } = *self;
        let padding = len.saturating_sub(OUTER_HEADER_LEN + INNER_HEADER_LEN + body);
        trace::Inner { salt, session_id, msg_id, seq_no, len: body, padding }
    }
}

impl EnvelopeError {
    /// What had become of the comparison of the message key by then.
    fn verdict(&self) -> Verdict {
        match self {
            Self::TooShort { .. } | Self::KeyIdMismatch { .. } | Self::NotBlockAligned { .. } => Verdict::Unchecked,
            Self::MsgKeyMismatch => Verdict::Mismatch,
            Self::LengthNotDivisibleByFour { .. }
            | Self::LengthOutOfBounds { .. }
            | Self::PaddingTooShort { .. }
            | Self::PaddingTooLong { .. } => Verdict::Ok,
        }
    }
}

/// The identifier of the key that a frame is encrypted with; 0 for an unencrypted message, `None` if the frame is too short to say.
pub fn key_id_of(frame: &[u8]) -> Option<i64> {
    frame.first_chunk::<8>().map(|id| i64::from_le_bytes(*id))
}

/// Seals a message.
///
/// `writer` is who sends it. `body` is the message in parts that are written one after the other; together they are serialized TL, so
/// their length is a multiple of four. The result is allocated once, at its final size.
pub fn seal(key: &AuthKey, writer: Side, header: &Header, body: &[&[u8]], rng: &mut dyn Rng) -> BytesMut {
    let body_len = body.iter().map(|part| part.len()).sum();
    seal_with(key, writer, header, body_len, |out| body.iter().for_each(|part| out.put_slice(part)), rng)
}

/// [`seal`] for a message that is nowhere in one piece: `write` appends its `body_len` bytes, and leaves what is there alone.
pub fn seal_with(
    key: &AuthKey,
    writer: Side,
    header: &Header,
    body_len: usize,
    write: impl FnOnce(&mut BytesMut),
    rng: &mut dyn Rng,
) -> BytesMut {
    seal_with_token(key, writer, header, body_len, write, rng).0
}

/// [`seal_with`], and the token that a quick acknowledgement of the message would carry.
pub fn seal_with_token(
    key: &AuthKey,
    writer: Side,
    header: &Header,
    body_len: usize,
    write: impl FnOnce(&mut BytesMut),
    rng: &mut dyn Rng,
) -> (BytesMut, u32) {
    seal_composed(key, writer, compose(key, header, body_len, write, rng))
}

/// Encrypts a message as it comes from [`compose`]. Returns it with the token that a quick acknowledgement of it would carry.
pub(super) fn seal_composed(key: &AuthKey, writer: Side, mut frame: BytesMut) -> (BytesMut, u32) {
    let mut outgoing = [message::Outgoing { auth_key: key, writer, data: plaintext_of(&mut frame), msg_key_large: [0; 32] }];
    message::encrypt(&mut outgoing);
    let [message::Outgoing { msg_key_large, .. }] = outgoing;
    let token = put_msg_key(&mut frame, &msg_key_large);
    (frame, token)
}

/// The same for several messages at once, each with its key and with who writes it: they are encrypted side by side, which is faster than
/// one after the other. See [`message::encrypt`].
pub(super) fn seal_each(mut messages: Vec<(&AuthKey, Side, BytesMut)>) -> Vec<(BytesMut, u32)> {
    let outgoing =
        |(auth_key, writer, frame)| message::Outgoing { auth_key, writer, data: plaintext_of(frame), msg_key_large: [0; 32] };
    let mut outgoing: Vec<_> = messages.iter_mut().map(|(key, writer, frame)| outgoing((*key, *writer, frame))).collect();
    message::encrypt(&mut outgoing);
    let large: Vec<_> = outgoing.iter().map(|outgoing| outgoing.msg_key_large).collect();
    let put = |((.., mut frame), large): ((&AuthKey, Side, BytesMut), [u8; 32])| {
        let token = put_msg_key(&mut frame, &large);
        (frame, token)
    };
    messages.into_iter().zip(large).map(put).collect()
}

/// [`seal`] for several messages at once, and the tokens as of [`seal_with_token`]. The same comes out as of one after the other, and
/// sooner: see [`message::encrypt`].
pub fn seal_many(key: &AuthKey, writer: Side, messages: &[(Header, &[&[u8]])], rng: &mut dyn Rng) -> Vec<(BytesMut, u32)> {
    let composed = messages.iter().map(|(header, body)| {
        let body_len = body.iter().map(|part| part.len()).sum();
        let write = |out: &mut BytesMut| body.iter().for_each(|part| out.put_slice(part));
        (key, writer, compose(key, header, body_len, write, rng))
    });
    seal_each(composed.collect())
}

/// A message with a random padding before it is encrypted; its message key is not there yet.
pub(super) fn compose(
    key: &AuthKey,
    header: &Header,
    body_len: usize,
    write: impl FnOnce(&mut BytesMut),
    rng: &mut dyn Rng,
) -> BytesMut {
    let padding = padding_len(INNER_HEADER_LEN + body_len, rng);
    compose_padded(key, header, body_len, write, padding, rng)
}

/// [`compose`] with the length of the padding given: header, body and padding fill whole blocks.
fn compose_padded(
    key: &AuthKey,
    header: &Header,
    body_len: usize,
    write: impl FnOnce(&mut BytesMut),
    padding: usize,
    rng: &mut dyn Rng,
) -> BytesMut {
    debug_assert!(body_len.is_multiple_of(4), "a message is serialized TL");
    let total = OUTER_HEADER_LEN + INNER_HEADER_LEN + body_len + padding;

    let mut out = BytesMut::with_capacity(total);
    out.put_i64_le(key.id());
    out.put_bytes(0, OUTER_HEADER_LEN - 8);
    out.put_i64_le(header.salt.0);
    out.put_i64_le(header.session_id.0);
    out.put_i64_le(header.msg_id.0);
    out.put_i32_le(header.seq_no.0);
    out.put_u32_le(u32::try_from(body_len).unwrap_or(u32::MAX));
    write(&mut out);
    let body_end = OUTER_HEADER_LEN + INNER_HEADER_LEN + body_len;
    debug_assert_eq!(out.len(), body_end, "what is written is as long as was said");
    out.resize(total, 0);
    rng.fill_bytes(&mut out[body_end..]);

    out
}

/// The encrypted part, in blocks.
fn plaintext_of(frame: &mut BytesMut) -> &mut [message::Block] {
    let (blocks, rest) = frame[OUTER_HEADER_LEN..].as_chunks_mut();
    debug_assert!(rest.is_empty(), "header, body and padding fill whole blocks");
    blocks
}

/// Writes the message key of an encrypted frame into its place. Returns the token of its quick acknowledgement.
fn put_msg_key(frame: &mut BytesMut, msg_key_large: &[u8; 32]) -> u32 {
    frame[8..OUTER_HEADER_LEN].copy_from_slice(&kdf::msg_key_of(msg_key_large));
    kdf::quick_ack_token(msg_key_large)
}

/// How much to pad `len` bytes: at least [`MIN_PADDING`], up to whole blocks, and a random number of blocks more.
///
/// Lengths tell what was sent, short ones most of all: a short message gets up to 15 extra blocks. Of a file part everyone knows the
/// length anyway, and bytes cost time there, so it gets one at most.
fn padding_len(len: usize, rng: &mut dyn Rng) -> usize {
    let spread: u32 = match len {
        0..0x400 => 0xf,
        0x400..0x4000 => 0x7,
        _ => 0x1,
    };
    let least = (len + MIN_PADDING).next_multiple_of(BLOCK) - len;
    least + (rng.next_u32() & spread) as usize * BLOCK
}

/// Opens a message in place: the body is a slice of `frame`.
///
/// `writer` is who sent it. `frame` is the message and nothing else: what a transport adds is taken off by its codec.
///
/// # Errors
///
/// One [`EnvelopeError`] for each check, in the order in which the type lists them.
pub fn open(key: &AuthKey, writer: Side, frame: BytesMut) -> Result<Opened, EnvelopeError> {
    open_with_token(key, writer, frame).map(|(opened, _)| opened)
}

/// [`open`], and the token that a quick acknowledgement of the message carries. For servers.
///
/// # Errors
///
/// As [`open`].
pub fn open_with_token(key: &AuthKey, writer: Side, frame: BytesMut) -> Result<(Opened, u32), EnvelopeError> {
    let Deciphered { header, declared, frame, token } = decipher(key, writer, frame)?;
    let len = check_lengths(declared, frame.len())?;
    Ok((opened(header, &frame, len), token))
}

/// Opens a message as somebody who looks on does, to whom a message that no end would take is worth seeing: a broken rule about lengths
/// is returned beside what there is. The body is what was declared, as far as it is there.
///
/// # Errors
///
/// Those of [`open`] up to [`EnvelopeError::MsgKeyMismatch`]: then nothing is known about the message.
pub fn look_into(key: &AuthKey, writer: Side, frame: BytesMut) -> Result<(Opened, u32, Option<EnvelopeError>), EnvelopeError> {
    let Deciphered { header, declared, frame, token } = decipher(key, writer, frame)?;
    let (len, broken) = match check_lengths(declared, frame.len()) {
        Ok(len) => (len, None),
        Err(error) => {
            let there = frame.len().saturating_sub(OUTER_HEADER_LEN + INNER_HEADER_LEN);
            (usize::try_from(declared).unwrap_or(0).min(there), Some(error))
        }
    };
    Ok((opened(header, &frame, len), token, broken))
}

/// [`open_with_token`] for several messages at once: the same comes out as of one after the other, and sooner, because they are decrypted
/// side by side. See [`message::decrypt`].
///
/// # Errors
///
/// As [`open`], for each message its own.
pub fn open_many(key: &AuthKey, writer: Side, frames: Vec<BytesMut>) -> Vec<Result<(Opened, u32), EnvelopeError>> {
    open_each(frames.into_iter().map(|frame| (key, writer, frame)).collect())
}

/// [`open_many`] for messages under different keys: of each its key, who wrote it, and the message.
///
/// # Errors
///
/// As [`open`], for each message its own.
pub fn open_each(mut messages: Vec<(&AuthKey, Side, BytesMut)>) -> Vec<Result<(Opened, u32), EnvelopeError>> {
    let mut incoming = Vec::with_capacity(messages.len());
    let splits: Vec<_> = messages
        .iter_mut()
        .map(|(key, writer, frame)| split(key, *writer, frame).map(|received| incoming.push(received)))
        .collect();
    message::decrypt(&mut incoming);
    let keys: Vec<_> = incoming.iter().map(|incoming| (incoming.msg_key, incoming.msg_key_large)).collect();
    let mut keys = keys.into_iter();
    let judge = |((.., frame), split): ((&AuthKey, Side, BytesMut), Result<(), EnvelopeError>)| {
        split?;
        let (msg_key, msg_key_large) = keys.next().expect("there is one for each frame that could be split");
        let Deciphered { header, declared, frame, token } = judge(frame, &msg_key, &msg_key_large)?;
        let len = check_lengths(declared, frame.len())?;
        Ok((opened(header, &frame, len), token))
    };
    messages.into_iter().zip(splits).map(judge).collect()
}

/// A message whose key is the right one; its lengths are not checked yet.
struct Deciphered {
    header: Header,
    declared: i32,
    frame: Bytes,
    token: u32,
}

/// The checks up to that of the message key, and what stands in front of the body.
fn decipher(key: &AuthKey, writer: Side, mut frame: BytesMut) -> Result<Deciphered, EnvelopeError> {
    let mut incoming = [split(key, writer, &mut frame)?];
    message::decrypt(&mut incoming);
    let [message::Incoming { msg_key, msg_key_large, .. }] = incoming;
    judge(frame, &msg_key, &msg_key_large)
}

/// The checks of what everybody on the wire can see, and what is to be decrypted.
fn split<'a>(key: &'a AuthKey, writer: Side, frame: &'a mut BytesMut) -> Result<message::Incoming<'a>, EnvelopeError> {
    let len = frame.len();
    let encrypted_len = len.saturating_sub(OUTER_HEADER_LEN);
    if broken(Check::EnvelopeTooShort, encrypted_len < MIN_ENCRYPTED) {
        return Err(EnvelopeError::TooShort { len });
    }
    let (outer, encrypted) = frame.split_at_mut(OUTER_HEADER_LEN);
    let (key_id, msg_key) = outer.split_first_chunk::<8>().expect("the outer header has 24 bytes");
    let msg_key: [u8; 16] = (*msg_key).try_into().expect("the outer header has 24 bytes");

    let found = i64::from_le_bytes(*key_id);
    if broken(Check::EnvelopeKeyId, found != key.id()) {
        return Err(EnvelopeError::KeyIdMismatch { found, expected: key.id() });
    }
    let (data, rest) = encrypted.as_chunks_mut();
    if broken(Check::EnvelopeBlocks, !rest.is_empty()) {
        return Err(EnvelopeError::NotBlockAligned { len: encrypted_len });
    }
    Ok(message::Incoming { auth_key: key, writer, msg_key, data, msg_key_large: [0; 32] })
}

/// The check of the message key of a frame that is decrypted: nothing of what was decrypted is looked at before.
fn judge(frame: BytesMut, msg_key: &[u8; 16], msg_key_large: &[u8; 32]) -> Result<Deciphered, EnvelopeError> {
    let same = crypto::constant_time_eq(&kdf::msg_key_of(msg_key_large), msg_key);
    if broken(Check::EnvelopeMsgKey, !same) {
        return Err(EnvelopeError::MsgKeyMismatch);
    }

    let frame = frame.freeze();
    let mut numbers = InnerHeader(&frame[OUTER_HEADER_LEN..OUTER_HEADER_LEN + INNER_HEADER_LEN]);
    let (salt, session_id, msg_id) = (Salt(numbers.i64()), SessionId(numbers.i64()), MsgId(numbers.i64()));
    let (seq_no, declared) = (SeqNo(numbers.i32()), numbers.i32());
    let header = Header { salt, session_id, msg_id, seq_no };
    Ok(Deciphered { header, declared, frame, token: kdf::quick_ack_token(msg_key_large) })
}

/// The rules about the length of the body and of the padding. Returns the body's.
fn check_lengths(declared: i32, frame_len: usize) -> Result<usize, EnvelopeError> {
    let available = frame_len - OUTER_HEADER_LEN - INNER_HEADER_LEN;
    if broken(Check::EnvelopeLengthByFour, declared % 4 != 0) {
        return Err(EnvelopeError::LengthNotDivisibleByFour { len: declared });
    }
    let len = usize::try_from(declared).unwrap_or(usize::MAX);
    if broken(Check::EnvelopeLengthBounds, len > available) {
        return Err(EnvelopeError::LengthOutOfBounds { declared, available });
    }
    let padding = available.saturating_sub(len);
    if broken(Check::EnvelopePaddingLeast, padding < MIN_PADDING) {
        return Err(EnvelopeError::PaddingTooShort { len: padding });
    }
    if broken(Check::EnvelopePaddingMost, padding > MAX_PADDING) {
        return Err(EnvelopeError::PaddingTooLong { len: padding });
    }
    Ok(len)
}

fn opened(header: Header, frame: &Bytes, len: usize) -> Opened {
    let Header { salt, session_id, msg_id, seq_no } = header;
    let start = OUTER_HEADER_LEN + INNER_HEADER_LEN;
    Opened { salt, session_id, msg_id, seq_no, body: frame.slice(start..start + len) }
}

/// The numbers of the inner header, one after the other. Reads no more than the 32 bytes that it is made of.
struct InnerHeader<'a>(&'a [u8]);

impl InnerHeader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_first_chunk::<N>().expect("the inner header has 32 bytes");
        self.0 = tail;
        *head
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }
}
