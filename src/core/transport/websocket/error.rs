//! The rules of WebSocket.

use super::MAX_MESSAGE;
use crate::transport::http;

/// A rule of the upgrade or of the frames behind it that was broken. The stream cannot be resumed after any of them: a codec that has
/// returned one returns it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The upgrade.
    /// The head is not HTTP.
    #[error(transparent)]
    Head(#[from] http::Error),
    /// The server does not switch to WebSocket.
    #[error("the server refuses the upgrade: status {status}")]
    Refused {
        /// Its status.
        status: u16,
    },
    /// The method is not `GET`, or the version is below HTTP/1.1.
    #[error("the upgrade is no GET of HTTP/1.1")]
    NotGet,
    /// No such path is served.
    #[error("no such path")]
    WrongPath,
    /// `Upgrade` does not name websocket, or `Connection` does not name Upgrade.
    #[error("the upgrade is not to websocket")]
    NotWebSocket,
    /// The version of WebSocket is not 13.
    #[error("the version of WebSocket is not 13")]
    WrongVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key is missing or malformed")]
    WrongKey,
    /// The server's proof that it has read our key is missing or wrong.
    #[error("Sec-WebSocket-Accept is missing or wrong")]
    WrongAccept,
    /// The subprotocol `binary` is not offered, or not chosen.
    #[error("the subprotocol is not `binary`")]
    WrongSubprotocol,
    /// The server chose an extension that was not offered.
    #[error("the server uses an extension that was not offered")]
    Extension,

    // Frames.
    /// A reserved bit is set, and no extension gives it a meaning.
    #[error("a reserved bit is set")]
    ReservedBit,
    /// There is no such kind of frame.
    #[error("there is no opcode {opcode}")]
    UnknownOpcode {
        /// Its number.
        opcode: u8,
    },
    /// Text, where only bytes travel.
    #[error("a text message came, where only binary ones may")]
    Text,
    /// A client's frame has no mask.
    #[error("a client's frame is not masked")]
    NotMasked,
    /// A server's frame has a mask.
    #[error("a server's frame is masked")]
    Masked,
    /// A length does not use the fewest bytes that it could.
    #[error("length {found} is not written in the shortest form")]
    LengthNotShortest {
        /// The length.
        found: u64,
    },
    /// A message is announced that is longer than allowed.
    #[error("message of {found} bytes announced, at most {MAX_MESSAGE} allowed")]
    MessageTooLong {
        /// The length announced, all fragments together.
        found: u64,
    },
    /// A control frame is in fragments.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A control frame is longer than 125 bytes.
    #[error("a control frame of {found} bytes")]
    ControlTooLong {
        /// Its length.
        found: u64,
    },
    /// A fragment continues nothing.
    #[error("a fragment continues no message")]
    NothingToContinue,
    /// A message begins before the one before it has ended.
    #[error("a message begins within another one")]
    Unfinished,
    /// A close frame has one byte where two make its code, or a code that may not be sent.
    #[error("the code of a close frame is malformed")]
    WrongCloseCode,
    /// There is something behind a close frame.
    #[error("something follows the close frame")]
    AfterClose,

    // Broken by the caller.
    /// Something is to be sent behind a close frame.
    #[error("the connection is closed for sending")]
    Closed,
}

impl Error {
    /// The status with which a server refuses an upgrade that broke the rule.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Head(error) => error.status(),
            Self::NotGet => 405,
            Self::NotWebSocket | Self::WrongVersion => 426,
            _ => 400,
        }
    }
}
