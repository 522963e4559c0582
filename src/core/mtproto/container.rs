//! `msg_container#73f1f8dc messages:vector<%Message> = MessageContainer`: several messages in one.
//!
//! ```text
//! msg_container:int32 | count:int32 | count × ( msg_id:int64 | seq_no:int32 | bytes:int32 | body, `bytes` bytes )
//! ```
//!
//! See "Service Messages", Containers. A container is accepted or refused as a whole, so it is taken apart and checked as a whole
//! before anything in it is looked at.

use bytes::Bytes;

use crate::{
    check::{Check, broken},
    ids::{MsgId, SeqNo},
};

/// The constructor of `msg_container`.
pub const ID: u32 = 0x73f1_f8dc;

/// The most messages that a container may hold.
pub const MAX_MESSAGES: usize = 1024;

/// Bytes in front of the messages.
pub const HEADER_LEN: usize = 8;

/// Bytes in front of each message's body.
pub const MESSAGE_HEADER_LEN: usize = 16;

/// A message of a container. The body is a slice of the container's buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its identifier.
    pub msg_id: MsgId,
    /// Its sequence number.
    pub seq_no: SeqNo,
    /// The serialized object.
    pub body: Bytes,
}

/// Bodies hold what people write: only their length is printed.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("msg_id", &self.msg_id)
            .field("seq_no", &self.seq_no)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Why a container was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// More messages than a container may hold, or a negative number.
    #[error("container claims {count} messages, {MAX_MESSAGES} are allowed")]
    TooManyMessages {
        /// The number claimed.
        count: i32,
    },
    /// The container ends before its messages do.
    #[error("container ends within message {index} of {count}")]
    Truncated {
        /// The message, counted from 0.
        index: usize,
        /// The number claimed.
        count: usize,
    },
    /// A body's length is negative or no multiple of four.
    #[error("message {index} of a container has {len} bytes")]
    BadLength {
        /// The message, counted from 0.
        index: usize,
        /// The length claimed.
        len: i32,
    },
    /// There is something behind the last message.
    #[error("{left} bytes follow the last message of a container")]
    TrailingBytes {
        /// How much.
        left: usize,
    },
    /// A container holds a container.
    #[error("message {index} of a container is a container")]
    Nested {
        /// The message, counted from 0.
        index: usize,
    },
    /// A message's identifier is not lower than that of its container.
    #[error("message {inner} of container {container} is not older than it")]
    InnerIdNotLower {
        /// The message.
        inner: MsgId,
        /// The container.
        container: MsgId,
    },
    /// Two messages of one container have the same identifier.
    #[error("message {inner} stands twice in a container")]
    Repeated {
        /// The message.
        inner: MsgId,
    },
}

/// Takes a container apart. `body` is the whole object, constructor included; `container` is its identifier. Nothing is copied or
/// allocated.
///
/// # Errors
///
/// One [`ContainerError`] for each rule.
pub fn parse(body: &Bytes, container: MsgId) -> Result<Messages, ContainerError> {
    let truncated = |index, count| ContainerError::Truncated { index, count };
    let (head, mut rest) = body.split_first_chunk::<HEADER_LEN>().ok_or(truncated(0, 0))?;
    let [_, _, _, _, c0, c1, c2, c3] = *head;
    let claimed = i32::from_le_bytes([c0, c1, c2, c3]);
    let too_many = ContainerError::TooManyMessages { count: claimed };
    let count = usize::try_from(claimed).map_err(|_| too_many)?;
    if broken(Check::ContainerCount, count > MAX_MESSAGES) {
        return Err(too_many);
    }
    let (mut newest, mut rising) = (None, true);
    for index in 0..count {
        let (head, after) = rest.split_first_chunk().ok_or(truncated(index, count))?;
        let (msg_id, _, claimed) = read_message_header(head);
        let bad_length = ContainerError::BadLength { index, len: claimed };
        let len = usize::try_from(claimed).map_err(|_| bad_length)?;
        if broken(Check::ContainerBodyLength, !len.is_multiple_of(4)) {
            return Err(bad_length);
        }
        let (inner, after) = after.split_at_checked(len).ok_or(truncated(index, count))?;
        if broken(Check::ContainerNested, constructor(inner) == ID) {
            return Err(ContainerError::Nested { index });
        }
        if broken(Check::ContainerIdOrder, msg_id >= container) {
            return Err(ContainerError::InnerIdNotLower { inner: msg_id, container });
        }
        rising &= newest.is_none_or(|newest| newest < msg_id);
        newest = Some(msg_id);
        rest = after;
    }
    let left = rest.len();
    if broken(Check::ContainerTrailingBytes, left > 0) {
        return Err(ContainerError::TrailingBytes { left });
    }
    let messages = Messages { rest: body.slice(HEADER_LEN..), left: count };
    // Identifiers that rise are all different, and they nearly always do.
    match if rising { None } else { repeated(&messages) } {
        Some(inner) if broken(Check::ContainerRepeatedId, true) => Err(ContainerError::Repeated { inner }),
        _ => Ok(messages),
    }
}

/// An identifier that stands twice among those of the messages.
fn repeated(messages: &Messages) -> Option<MsgId> {
    let mut ids = [MsgId(0); MAX_MESSAGES];
    let ids = ids.get_mut(..messages.len())?;
    for (place, message) in ids.iter_mut().zip(messages.clone()) {
        *place = message.msg_id;
    }
    ids.sort_unstable();
    ids.array_windows().find(|[a, b]| a == b).map(|[a, _]| *a)
}

/// The messages of a container, in their order. There is no way to make one but [`parse`]: the container as a whole was checked.
#[derive(Clone)]
pub struct Messages {
    /// What follows the messages that were taken.
    rest: Bytes,
    left: usize,
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.left = self.left.checked_sub(1)?;
        let (msg_id, seq_no, len) = read_message_header(self.rest.first_chunk()?);
        let end = MESSAGE_HEADER_LEN + usize::try_from(len).ok()?;
        let message = self.rest.split_to(end.min(self.rest.len()));
        Some(Message { msg_id, seq_no, body: message.slice(MESSAGE_HEADER_LEN..) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Messages {}

/// Bodies hold what people write: only the number of messages is printed.
impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Messages({})", self.left)
    }
}

/// Identifier, sequence number and length.
fn read_message_header(head: &[u8; MESSAGE_HEADER_LEN]) -> (MsgId, SeqNo, i32) {
    let [i0, i1, i2, i3, i4, i5, i6, i7, s0, s1, s2, s3, l0, l1, l2, l3] = *head;
    let msg_id = i64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
    (MsgId(msg_id), SeqNo(i32::from_le_bytes([s0, s1, s2, s3])), i32::from_le_bytes([l0, l1, l2, l3]))
}

/// The constructor that a body begins with; 0 if it is too short to have one.
pub fn constructor(body: &[u8]) -> u32 {
    body.first_chunk::<4>().map_or(0, |id| u32::from_le_bytes(*id))
}

/// The first bytes of a container of `count` messages.
pub fn header(count: usize) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[..4].copy_from_slice(&ID.to_le_bytes());
    out[4..].copy_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    out
}

/// What stands in front of a message's body of `len` bytes.
pub fn message_header(msg_id: MsgId, seq_no: SeqNo, len: usize) -> [u8; MESSAGE_HEADER_LEN] {
    let mut out = [0; MESSAGE_HEADER_LEN];
    out[..8].copy_from_slice(&msg_id.0.to_le_bytes());
    out[8..12].copy_from_slice(&seq_no.0.to_le_bytes());
    out[12..].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTER: MsgId = MsgId(1 << 40);

    fn build(messages: &[(i64, &[u8])]) -> Vec<u8> {
        let mut out = header(messages.len()).to_vec();
        for (id, body) in messages {
            out.extend(message_header(MsgId(*id), SeqNo(1), body.len()));
            out.extend(*body);
        }
        out
    }

    fn refused(bytes: Vec<u8>) -> ContainerError {
        parse(&Bytes::from(bytes), OUTER).unwrap_err()
    }

    #[test]
    fn messages_come_out_as_slices() {
        let bytes = Bytes::from(build(&[(4, b"abcd"), (8, b"efghijkl"), (12, b"")]));
        let messages: Vec<_> = parse(&bytes, OUTER).unwrap().collect();
        assert_eq!(messages.len(), 3);
        assert_eq!((messages[1].msg_id, messages[1].seq_no, &messages[1].body[..]), (MsgId(8), SeqNo(1), &b"efghijkl"[..]));
        assert_eq!(messages[0].body.as_ptr(), bytes[HEADER_LEN + MESSAGE_HEADER_LEN..].as_ptr());
        assert_eq!(parse(&Bytes::from(build(&[])), OUTER).unwrap().len(), 0);
    }

    #[test]
    fn every_prefix_is_refused() {
        let bytes = build(&[(4, b"abcd"), (8, b"efgh")]);
        for end in 0..bytes.len() {
            assert!(matches!(refused(bytes[..end].to_vec()), ContainerError::Truncated { .. }), "{end}");
        }
    }

    #[test]
    fn counts_are_limited() {
        let many: Vec<(i64, &[u8])> = (0..MAX_MESSAGES as i64 + 1).map(|n| (4 * n, &b""[..])).collect();
        assert_eq!(refused(build(&many)), ContainerError::TooManyMessages { count: 1025 });
        assert_eq!(parse(&Bytes::from(build(&many[1..])), OUTER).unwrap().len(), MAX_MESSAGES);
        let mut negative = build(&[]);
        negative[7] = 0x80;
        assert!(matches!(refused(negative), ContainerError::TooManyMessages { count: i32::MIN }));
    }

    #[test]
    fn lengths_are_checked() {
        let mut odd = build(&[(4, b"abcd")]);
        odd[HEADER_LEN + 12] = 3;
        assert_eq!(refused(odd.clone()), ContainerError::BadLength { index: 0, len: 3 });
        odd[HEADER_LEN + 15] = 0x80;
        assert!(matches!(refused(odd), ContainerError::BadLength { index: 0, .. }));
        let mut long = build(&[(4, b"abcd")]);
        long[HEADER_LEN + 12] = 8;
        assert_eq!(refused(long), ContainerError::Truncated { index: 0, count: 1 });
        let mut more = build(&[(4, b"abcd")]);
        more.extend([0; 4]);
        assert_eq!(refused(more), ContainerError::TrailingBytes { left: 4 });
    }

    #[test]
    fn containers_do_not_nest() {
        assert_eq!(refused(build(&[(4, b"abcd"), (8, &header(0))])), ContainerError::Nested { index: 1 });
    }

    /// Row: A.4 "ids of inner container messages"
    #[test]
    fn identifiers_are_lower_than_the_containers_and_unique() {
        let inner = OUTER;
        assert_eq!(refused(build(&[(inner.0, b"abcd")])), ContainerError::InnerIdNotLower { inner, container: OUTER });
        assert_eq!(refused(build(&[(8, b""), (4, b""), (8, b"")])), ContainerError::Repeated { inner: MsgId(8) });
        assert_eq!(refused(build(&[(8, b""), (8, b"")])), ContainerError::Repeated { inner: MsgId(8) });
        let falling: Vec<(i64, &[u8])> = (0..MAX_MESSAGES as i64).map(|n| (4 * (2000 - n), &b""[..])).collect();
        assert_eq!(parse(&Bytes::from(build(&falling)), OUTER).unwrap().len(), MAX_MESSAGES);
    }
}
