//! Why a proxy does not lead on.

use std::io;
use std::time::Duration;

use crate::tls::{TlsError, TlsRootError};
use tdl_core::transport::{self, fake_tls, http_connect, socks5};

/// Why there is no connection through the proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A name has no address.
    #[error("the name {name} cannot be looked up: {reason}")]
    UnknownName {
        /// The name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// No connection to the proxy itself.
    #[error("the proxy cannot be reached: {failures}")]
    Unreachable {
        /// What happened at each of its addresses.
        failures: String,
    },
    /// The connection to the proxy broke while it was being asked.
    #[error("the connection to the proxy broke: {0}")]
    Broken(#[from] io::Error),
    /// The proxy closed the connection while it was being asked.
    #[error("the proxy closed the connection before it answered")]
    Closed,
    /// The proxy says nothing to the greeting of its disguise.
    #[error("the proxy did not answer the greeting within {} s", after.as_secs())]
    Silent {
        /// How long we waited.
        after: Duration,
    },
    /// A SOCKS5 proxy broke a rule, or refused.
    #[error("SOCKS5: {0}")]
    Socks5(#[from] socks5::Error),
    /// An HTTP proxy broke a rule, or refused.
    #[error("CONNECT: {0}")]
    Http(#[from] http_connect::Error),
    /// There is no TLS with the proxy.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authorities to believe cannot be used.
    #[error(transparent)]
    Trust(TlsRootError),
    /// An MTProxy broke a rule of its disguise, or does not know the secret.
    #[error("fake TLS: {0}")]
    FakeTls(#[from] fake_tls::Error),
    /// What is wanted cannot be said to an MTProxy: the full transport, or a DC beyond 16 bits.
    #[error("MTProxy: {0}")]
    Unspeakable(transport::Error),
}

impl ProxyError {
    /// Whether every further attempt would end the same way: the proxy is there, and does not know us or is not what we take it for.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Socks5(error) => error.is_final(),
            Self::Http(error) => error.is_final(),
            Self::FakeTls(error) => error.is_about_the_secret(),
            Self::Tls(error) => error.is_final(),
            Self::Unspeakable(_) | Self::Trust(_) => true,
            Self::UnknownName { .. } | Self::Unreachable { .. } | Self::Broken(_) | Self::Closed | Self::Silent { .. } => false,
        }
    }

    /// Whether another greeting might be taken.
    pub(super) const fn is_about_the_greeting(&self) -> bool {
        match self {
            Self::Closed | Self::Broken(_) | Self::Silent { .. } => true,
            Self::FakeTls(error) => error.is_about_the_secret(),
            _ => false,
        }
    }
}
