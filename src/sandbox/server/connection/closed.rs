//! Why a connection ended.

use super::messages::MAX_SESSIONS;
use crate::state;
use tdl_core::ids::SessionId;
use tdl_core::mtproto::handshake;
use tdl_core::mtproto::session::{DeathCause, SessionError};
use tdl_core::transport::{self, TransportError};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("closed by the client")]
    ByPeer,
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("transport: {0}")]
    Transport(#[from] transport::Error),
    #[error("HTTP: {0}")]
    Http(#[from] transport::http::Error),
    #[error("WebSocket: {0}")]
    WebSocket(String),
    #[error("a request to which there is no answer")]
    NoAnswer,
    #[error("the client wanted no more than this")]
    Last,
    #[error("key exchange: {0}")]
    Handshake(#[from] handshake::error::Error),
    #[error("no auth key {0:#018x}")]
    UnknownKey(i64),
    #[error("session: {0}")]
    Session(#[from] SessionError),
    #[error("more than {MAX_SESSIONS} sessions")]
    TooManySessions,
    #[error("session {0} was destroyed")]
    SessionDestroyed(SessionId),
    #[error("{0}")]
    Dead(DeathCause),
    #[error("nothing came")]
    Idle,
    #[error("closed from this side")]
    Dismissed,
    #[error("closed from this side, in the middle of an answer")]
    Midway,
    #[error("a key exchange's thread ended")]
    Lost,
    #[error("{0}")]
    State(#[from] state::Error),
}

impl Closed {
    /// The transport error that tells the client, if one does.
    pub(in super::super) fn transport_error(&self) -> Option<TransportError> {
        match self {
            Self::UnknownKey(_) | Self::Session(SessionError::Envelope(_)) => Some(TransportError::AuthKeyNotFound),
            Self::Handshake(error) => Some(error.transport_code().into()),
            _ => None,
        }
    }
}
