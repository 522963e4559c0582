//! Unencrypted messages: the frames that carry the key exchange.
//!
//! ```text
//! auth_key_id:int64 = 0 | msg_id:int64 | length:int32 | body, `length` bytes
//! ```
//!
//! See "Mobile Protocol: Detailed Description", Unencrypted Message. Nothing here is authentic: whoever sits on the wire can write all
//! of it, so the body is only as good as what the handshake proves about it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    check::{Check, broken},
    ids::MsgId,
};

/// Bytes before the body.
pub const HEADER_LEN: usize = 20;

/// The longest body taken, in bytes. The longest message of the key exchange has some 700; the rest is room for a long list of
/// fingerprints, and a bound on what a stranger can make us hold.
pub const MAX_BODY_LEN: usize = 16 * 1024;

/// Why a frame is not an unencrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The frame ends inside the header.
    #[error("frame of {len} bytes is shorter than the {HEADER_LEN} bytes of an unencrypted message's header")]
    TooShort {
        /// Bytes in the frame.
        len: usize,
    },
    /// The key identifier is not zero: the message is encrypted.
    #[error("message is encrypted with key {key_id:#018x}, an unencrypted one was expected")]
    Encrypted {
        /// The key identifier found.
        key_id: i64,
    },
    /// The declared length is negative or over [`MAX_BODY_LEN`].
    #[error("declared length {len} of an unencrypted message is not within 0..={MAX_BODY_LEN}")]
    LengthOutOfBounds {
        /// The length declared.
        len: i32,
    },
    /// The declared length is no multiple of four, so the body is no TL value.
    #[error("declared length {len} of an unencrypted message is not divisible by 4")]
    LengthNotDivisibleByFour {
        /// The length declared.
        len: i32,
    },
    /// The body is shorter than declared.
    #[error("unencrypted message declares {declared} bytes and brings {found}")]
    LengthTooLong {
        /// The length declared.
        declared: i32,
        /// Bytes after the header.
        found: usize,
    },
    /// More bytes follow than the declared length.
    #[error("{left} bytes follow an unencrypted message")]
    TrailingBytes {
        /// Bytes after the body.
        left: usize,
    },
}

impl Error {
    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "PlainTooShort",
            Self::Encrypted { .. } => "PlainEncrypted",
            Self::LengthOutOfBounds { .. } => "PlainLengthOutOfBounds",
            Self::LengthNotDivisibleByFour { .. } => "PlainLengthNotDivisibleByFour",
            Self::LengthTooLong { .. } => "PlainLengthTooLong",
            Self::TrailingBytes { .. } => "PlainTrailingBytes",
        }
    }
}

/// The frame of an unencrypted message.
///
/// `body` is a serialized TL object, at most [`MAX_BODY_LEN`] bytes.
pub fn encode(msg_id: MsgId, body: &[u8]) -> Bytes {
    debug_assert!(body.len() <= MAX_BODY_LEN && body.len().is_multiple_of(4), "a key exchange message is a short TL object");
    let mut out = BytesMut::with_capacity(HEADER_LEN + body.len());
    out.put_i64_le(0);
    out.put_i64_le(msg_id.0);
    out.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
    out.put_slice(body);
    out.freeze()
}

/// Takes an unencrypted message apart. The body is a slice of the frame. What a transport adds to it is taken off by its codec.
///
/// # Errors
///
/// Each way in which a frame can fail to be an unencrypted message has its [`Error`].
pub fn decode(frame: Bytes) -> Result<(MsgId, Bytes), Error> {
    let too_short = Error::TooShort { len: frame.len() };
    let (&key_id, rest) = frame.split_first_chunk::<8>().ok_or(too_short)?;
    let key_id = i64::from_le_bytes(key_id);
    if broken(Check::PlainEncrypted, key_id != 0) {
        return Err(Error::Encrypted { key_id });
    }
    let (&msg_id, rest) = rest.split_first_chunk::<8>().ok_or(too_short)?;
    let (&len, rest) = rest.split_first_chunk::<4>().ok_or(too_short)?;
    let declared = i32::from_le_bytes(len);
    let len = match usize::try_from(declared) {
        Ok(len) if !broken(Check::PlainLengthMost, len > MAX_BODY_LEN) => len,
        _ => return Err(Error::LengthOutOfBounds { len: declared }),
    };
    if broken(Check::PlainLengthByFour, !len.is_multiple_of(4)) {
        return Err(Error::LengthNotDivisibleByFour { len: declared });
    }
    if broken(Check::PlainLengthThere, len > rest.len()) {
        return Err(Error::LengthTooLong { declared, found: rest.len() });
    }
    let left = rest.len().saturating_sub(len);
    if broken(Check::PlainTrailingBytes, left > 0) {
        return Err(Error::TrailingBytes { left });
    }
    Ok((MsgId(i64::from_le_bytes(msg_id)), frame.slice(HEADER_LEN..HEADER_LEN + len)))
}

/// Whether a frame claims to be an unencrypted message: its key identifier is zero.
pub fn is_plain(frame: &[u8]) -> bool {
    frame.first_chunk::<8>() == Some(&[0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key_id: i64, len: i32, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i64_le(key_id);
        out.put_i64_le(0x0123_4567_89ab_cdef);
        out.put_i32_le(len);
        out.put_slice(body);
        out.freeze()
    }

    #[test]
    fn round_trip_shares_the_frame() {
        let wire = encode(MsgId(0x51e5_7ac4_2770_964a), b"bodybody");
        assert_eq!(wire.len(), HEADER_LEN + 8);
        assert!(is_plain(&wire));
        let (msg_id, body) = decode(wire.clone()).unwrap();
        assert_eq!((msg_id, &body[..]), (MsgId(0x51e5_7ac4_2770_964a), &b"bodybody"[..]));
        assert_eq!(body.as_ptr(), wire[HEADER_LEN..].as_ptr());
    }

    /// Packets of the page "Auth key generation example", versions of 2024 and 2026.
    #[test]
    fn published_packets() {
        let sent = hex::decode("0000000000000000D4720600503DC56514000000F18E7EBE406709F612FADFBEC3F0289D0AA67EEF").unwrap();
        let (msg_id, body) = decode(Bytes::from(sent.clone())).unwrap();
        assert_eq!(msg_id, MsgId(0x65c5_3d50_0006_72d4));
        assert!(msg_id.is_from_client());
        assert_eq!(msg_id.unix(), 1_707_425_104);
        assert_eq!(encode(msg_id, &body), sent);

        let received = "000000000000000001F4CCC26170466A500000006324160551A1143FC7A3666BE4BE54D6890A02DC63248F6748214EAB8A2F4CC8\
                        76E11974082E9CDB98C80CDA4B00000015C4B51C0300000085FD64DE851D9DD0A5B7F709355FC30B216BE86C022BB4C3";
        let (msg_id, body) = decode(Bytes::from(hex::decode(received).unwrap())).unwrap();
        assert!(msg_id.is_from_server());
        assert_eq!(body.len(), 80);
    }

    /// The 2024 page prints wrong lengths in the packets it received: three ready-made negative tests.
    #[test]
    fn published_packets_with_wrong_lengths() {
        for (header, body_len, declared) in [
            ("000000000000000001D83175503DC565A8000000", 80, 168),
            ("000000000000000001B8145A513DC565C4020000", 632, 708),
            ("00000000000000000100BE91513DC56574000000", 52, 116),
        ] {
            let mut packet = hex::decode(header).unwrap();
            packet.resize(HEADER_LEN + body_len, 0);
            assert_eq!(decode(Bytes::from(packet)), Err(Error::LengthTooLong { declared, found: body_len }));
        }
    }

    #[test]
    fn each_rule_fires() {
        let cases = [
            (Bytes::from_static(&[0; 19]), Error::TooShort { len: 19 }),
            (frame(-2, 4, b"body"), Error::Encrypted { key_id: -2 }),
            (frame(0, -4, b"body"), Error::LengthOutOfBounds { len: -4 }),
            (frame(0, 16 * 1024 + 4, &[0; 16 * 1024 + 4]), Error::LengthOutOfBounds { len: 16 * 1024 + 4 }),
            (frame(0, 6, b"bodybo"), Error::LengthNotDivisibleByFour { len: 6 }),
            (frame(0, 8, b"body"), Error::LengthTooLong { declared: 8, found: 4 }),
            (frame(0, 4, &[0; 4 + 1]), Error::TrailingBytes { left: 1 }),
        ];
        let mut rules = Vec::new();
        for (wire, expected) in cases {
            assert_eq!(decode(wire), Err(expected));
            rules.push(expected.rule());
        }
        rules.dedup();
        assert_eq!(rules.len(), 6, "one name per rule");
    }

    #[test]
    fn every_prefix_is_an_error() {
        let wire = encode(MsgId(4), &[7; 64]);
        for end in 0..wire.len() {
            assert!(decode(wire.slice(..end)).is_err(), "prefix of {end} bytes");
        }
    }

    #[test]
    fn plainness_needs_a_whole_key_id() {
        assert!(!is_plain(&[0; 7]));
        assert!(is_plain(&[0; 8]));
        assert!(!is_plain(&[0, 0, 0, 0, 0, 0, 0, 1]));
    }
}
