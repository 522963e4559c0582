//! What can go wrong in a transport: rules that bytes break, and what a server may answer in place of a payload.

use std::fmt;

/// A rule of the transport that was broken. The stream cannot be resumed after any of them: a codec that has returned one returns
/// it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Broken by the caller.
    /// A payload to send is too long.
    #[error("payload of {len} bytes is longer than a frame may be ({max})")]
    PayloadTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A payload to send is not a whole number of 32-bit words.
    #[error("payload of {len} bytes is not a multiple of 4")]
    PayloadNotAligned {
        /// Its length.
        len: usize,
    },
    /// The full transport has no quick acknowledgements.
    #[error("the full transport has no quick acknowledgements")]
    QuickAckUnsupported,
    /// A DC number that does not fit the 16 bits which the obfuscated initial bytes have for it.
    #[error("DC {dc} does not fit the 16 bits of the obfuscated initial bytes")]
    DcOutOfRange {
        /// The number.
        dc: i32,
    },
    /// The full transport has no tag by which a proxy could recognise it.
    #[error("the full transport cannot be used through an MTProxy")]
    NoTag,
    /// Bytes that the codec had already deciphered were taken from the front of the input.
    #[error("the input holds {left} bytes, fewer than the {deciphered} already deciphered in it")]
    InputTaken {
        /// Bytes there should be at least.
        deciphered: usize,
        /// Bytes there are.
        left: usize,
    },

    // Broken by the peer.
    /// A frame is announced that is longer than allowed.
    #[error("frame of {found} bytes announced, at most {max} allowed")]
    FrameTooLong {
        /// The length announced.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A frame is announced whose length is not a multiple of 4.
    #[error("frame of {found} bytes announced, not a multiple of 4")]
    FrameNotAligned {
        /// The length announced.
        found: usize,
    },
    /// A frame of the full transport is announced that has no room for its own envelope.
    #[error("frame of {found} bytes announced, its envelope alone takes {min}")]
    FrameTooShort {
        /// The length announced.
        found: usize,
        /// The least possible.
        min: usize,
    },
    /// The checksum of a full frame is wrong.
    #[error("checksum {found:#010x} announced, {expected:#010x} computed")]
    WrongCrc {
        /// What the frame says.
        found: u32,
        /// What its bytes give.
        expected: u32,
    },
    /// The sequence number of a full frame is not the next one.
    #[error("frame number {found} came, {expected} is next")]
    WrongSeq {
        /// What the frame says.
        found: u32,
        /// What it should say.
        expected: u32,
    },
    /// A four-byte answer that should be a transport error is not negative.
    #[error("transport error {found} is not negative")]
    ErrorCodeNotNegative {
        /// What came.
        found: i32,
    },
    /// A padded quick acknowledgement has a length it cannot have.
    #[error("quick acknowledgement of {found} bytes, 8 to 16 are possible")]
    QuickAckLength {
        /// Its length.
        found: usize,
    },

    // Not a transport of ours at all (server side).
    /// The first bytes are an HTTP request.
    #[error("the client speaks HTTP")]
    Http,
    /// The first bytes are a TLS greeting.
    #[error("the client speaks TLS")]
    Tls,
    /// The initial bytes name a transport that does not exist, and what follows is no full frame either.
    #[error("no transport has the tag {tag:#010x}")]
    UnknownProtocol {
        /// What the initial bytes hold at offset 56, deciphered.
        tag: u32,
    },
    /// The initial bytes name no transport under the proxy's secret: the client has another one, or none.
    #[error("the client does not know the proxy's secret")]
    WrongSecret,
}

/// What a server answers in place of a payload ("Transport errors"). On the wire it is the negated code, in a frame of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportError {
    /// 404: the server does not know the auth key, or a query of the key exchange was wrong.
    AuthKeyNotFound,
    /// 429: too many connections in too short a time, or a limit on containers and service messages was exceeded.
    Flood,
    /// 444: there is no such DC here.
    InvalidDc,
    /// Any other code, positive.
    Other(i32),
}

impl TransportError {
    /// The code, positive.
    pub const fn code(self) -> i32 {
        match self {
            Self::AuthKeyNotFound => 404,
            Self::Flood => 429,
            Self::InvalidDc => 444,
            Self::Other(code) => code,
        }
    }

    /// What it means for people, as a clause.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::AuthKeyNotFound => "the server does not know the key, or did not like the key exchange",
            Self::Flood => "there were too many connections, or too much at once; only waiting helps",
            Self::InvalidDc => {
                "the server is of another DC than the one asked for: the DC list, --test-dc or the proxy leads elsewhere"
            }
            Self::Other(_) => "the protocol's pages do not say what that is",
        }
    }
}

/// From a code of either sign.
impl From<i32> for TransportError {
    fn from(code: i32) -> Self {
        match code.saturating_abs() {
            404 => Self::AuthKeyNotFound,
            429 => Self::Flood,
            444 => Self::InvalidDc,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthKeyNotFound => f.write_str("transport error 404: auth key not found"),
            Self::Flood => f.write_str("transport error 429: transport flood"),
            Self::InvalidDc => f.write_str("transport error 444: invalid DC"),
            Self::Other(code) => write!(f, "transport error {code}"),
        }
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthKeyNotFound => f.write_str("AuthKeyNotFound(404)"),
            Self::Flood => f.write_str("Flood(429)"),
            Self::InvalidDc => f.write_str("InvalidDc(444)"),
            Self::Other(code) => write!(f, "Other({code})"),
        }
    }
}

impl std::error::Error for TransportError {}
