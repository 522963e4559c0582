//! Why there is no connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tdl_core::ids::DcId;
use tdl_core::mtproto::handshake;
use tdl_core::mtproto::rpc_error::RpcError;
use tdl_core::mtproto::session::{ApiMisuse, Failure, SessionError};
use tdl_core::tl;
use tdl_core::transport::{self, TransportError};

use super::host::HostError;
use super::proxy::ProxyError;
use super::tls::TlsError;

/// Why one attempt to connect to one address failed.
#[derive(Debug, thiserror::Error)]
#[error("{addr}: {failure}")]
pub struct DialError {
    /// The address.
    pub addr: SocketAddr,
    /// What happened.
    pub failure: DialFailure,
}

/// What happened to one attempt to connect.
#[derive(Debug, thiserror::Error)]
pub enum DialFailure {
    /// Nothing came back in time.
    #[error("no connection within {} s", after.as_secs())]
    Timeout {
        /// How long we waited.
        after: Duration,
    },
    /// The system or the peer refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A name has no address.
    #[error("the name {name} cannot be looked up: {reason}")]
    UnknownName {
        /// The name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// There is no TLS with whoever is there.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy in between does not lead on.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl DialFailure {
    /// Whether every further attempt would end the same way.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Proxy(error) => error.is_final(),
            Self::Tls(error) => error.is_final(),
            Self::Timeout { .. } | Self::Io(_) | Self::UnknownName { .. } => false,
        }
    }
}

impl From<io::ErrorKind> for DialFailure {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind.into())
    }
}

/// Why a request could not be carried to the server and back.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// No address is known for the DC.
    #[error("no address is known for {dc}")]
    NoAddress {
        /// The DC.
        dc: DcId,
    },
    /// No connection could be made within the time allowed.
    #[error("{dc} cannot be reached ({attempts} attempt(s) in {} s): {last}", after.as_secs())]
    Unreachable {
        /// The DC.
        dc: DcId,
        /// Attempts made, each over all addresses.
        attempts: u32,
        /// From the first attempt to giving up.
        after: Duration,
        /// What ended the last attempt.
        last: String,
    },
    /// The proxy is there and does not let us through, and would not do so later.
    #[error("the proxy {proxy} does not let us through: {reason}")]
    Barred {
        /// The proxy, without what is secret.
        proxy: String,
        /// What it says.
        reason: String,
    },
    /// Somebody is there and does not prove to be the DC's host, or does not speak TLS.
    #[error("no TLS with {dc}: {reason}")]
    Untrusted {
        /// The DC.
        dc: DcId,
        /// Which rule was broken, by whom.
        reason: String,
    },
}

/// Which rule the peer broke, or what it refused below the API.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The key exchange failed.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// An encrypted message failed a check.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The byte stream is not what the transport prescribes.
    #[error("transport: {0}")]
    Stream(#[from] transport::Error),
    /// What comes over HTTP is not what its transport prescribes.
    #[error("HTTP: {0}")]
    Http(#[from] transport::http::Error),
    /// What comes is no WebSocket, or the server refuses to speak it.
    #[error("WebSocket: {0}")]
    WebSocket(#[from] transport::websocket::Error),
    /// A transport error that no other attempt will change, like 444 (no such DC here).
    #[error("the peer refuses: {0} ({meaning})", meaning = .0.meaning())]
    Refused(TransportError),
    /// The server makes temporary keys and will not bind them, again and again: forward secrecy cannot be had there.
    #[error("the server does not bind a temporary key: {0}")]
    Unbound(RpcError),
    /// Temporary keys end, or lose what they were bound to, before anything is answered under them, again and again.
    #[error("the server's temporary keys do not last long enough for an answer")]
    KeysDoNotLast,
    /// The answer to a request of the connection's own does not have the form that the schema gives it.
    #[error("the answer to {method} cannot be read: {error}")]
    Answer {
        /// The TL name of the method.
        method: &'static str,
        /// What is wrong with it.
        error: tl::Error,
    },
}

/// Why a request has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The server answered with an error.
    #[error(transparent)]
    Rpc(RpcError),
    /// The server could not be reached.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The connection lives, but no answer came.
    #[error("no answer within {} s", after.as_secs())]
    Timeout {
        /// How long we waited.
        after: Duration,
    },
    /// The peer broke a rule of the protocol, and went on doing so over new connections.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The session gave the request up.
    #[error("the request failed: {0}")]
    Failed(Failure),
    /// What was asked is no request.
    #[error(transparent)]
    Misuse(#[from] ApiMisuse),
    /// The server does not know the key, and a login hangs on it.
    #[error("the server has forgotten the key")]
    KeyLost,
    /// The floor above failed.
    #[error("{0}")]
    Host(HostError),
    /// The connection was closed meanwhile.
    #[error("the connection is closed")]
    Closed,
}
