//! The rules of the HTTP transport.

use super::{MAX_FIELDS, MAX_HEAD};

/// A rule of HTTP, or of the transport that uses it, that was broken. The stream cannot be resumed after any of them: an end that has
/// returned one returns it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Broken by the caller.
    /// A payload to send is too long.
    #[error("payload of {len} bytes is longer than a body may be ({max})")]
    PayloadTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A payload to send is empty or not a whole number of 32-bit words.
    #[error("payload of {len} bytes is empty or not a multiple of 4")]
    PayloadNotAligned {
        /// Its length.
        len: usize,
    },
    /// A server may only answer what it was asked.
    #[error("there is no request to answer")]
    NothingAsked,

    // The head, of either end's messages.
    /// The head does not end within its limit.
    #[error("the head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// The head has too many fields.
    #[error("the head has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// There is a byte in the head that is no text: a control character, or a line break that is not CR LF.
    #[error("byte {byte:#04x} in the head")]
    NotText {
        /// The byte.
        byte: u8,
    },
    /// The first line is no request line, or no status line.
    #[error("the first line is malformed")]
    MalformedStart,
    /// The version is neither HTTP/1.1 nor HTTP/1.0.
    #[error("the version is not HTTP/1.1")]
    WrongVersion,
    /// A field has no name, no colon, or white space where there may be none.
    #[error("a field is malformed")]
    MalformedField,

    // The body.
    /// There is no `Content-Length`.
    #[error("Content-Length is missing")]
    LengthMissing,
    /// `Content-Length` is not a number.
    #[error("Content-Length is not a number")]
    LengthMalformed,
    /// `Content-Length` stands more than once: two readers could take different ones.
    #[error("Content-Length is given more than once")]
    LengthRepeated,
    /// The body is longer than a payload may be.
    #[error("body of {found} bytes announced, at most {max} allowed")]
    BodyTooLong {
        /// The length announced.
        found: u64,
        /// The limit.
        max: usize,
    },
    /// There is no body where a payload should be.
    #[error("the body is empty")]
    BodyEmpty,
    /// The body is not a whole number of 32-bit words, so it is no payload.
    #[error("body of {found} bytes is not a multiple of 4")]
    BodyNotAligned {
        /// Its length.
        found: usize,
    },
    /// The body is in chunks, or encoded otherwise. This transport has none of that.
    #[error("Transfer-Encoding is not used here")]
    TransferEncoding,

    // What a server demands.
    /// The method is not `POST`.
    #[error("the method is not POST")]
    WrongMethod,
    /// No such path is served.
    #[error("no such path")]
    WrongPath,
    /// HTTP/1.1 demands exactly one `Host`.
    #[error("Host is missing or repeated")]
    HostMissing,

    // What a client demands.
    /// The status is no number from 100 to 599.
    #[error("the status is malformed")]
    MalformedStatus,
    /// The server switches to another protocol, which nobody asked for.
    #[error("the server switches protocols unasked")]
    Switched,
    /// An answer came, and there was no question.
    #[error("an answer came to no request")]
    Unasked,
}

impl Error {
    /// The status with which a server answers a request that broke the rule.
    pub const fn status(&self) -> u16 {
        match self {
            Self::HeadTooLong | Self::TooManyFields => 431,
            Self::WrongVersion => 505,
            Self::LengthMissing => 411,
            Self::BodyTooLong { .. } => 413,
            Self::TransferEncoding => 501,
            Self::WrongMethod => 405,
            _ => 400,
        }
    }
}
