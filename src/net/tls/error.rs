//! Why there is no TLS.

use std::io;

use tokio_rustls::rustls::{self, CertificateError};

/// Why a stream could not be wrapped in TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer speaks something else.
    #[error("{name} does not speak TLS there")]
    NotTls {
        /// Who was dialled.
        name: String,
    },
    /// The certificate was made out by nobody that is trusted.
    #[error("the certificate of {name} is vouched for by nobody we trust: somebody in between may be answering in its place")]
    UnknownIssuer {
        /// Who was dialled.
        name: String,
    },
    /// The certificate is somebody else's.
    #[error("the certificate shown for {name} is made out to another name")]
    WrongName {
        /// Who was dialled.
        name: String,
    },
    /// The certificate is not valid any more.
    #[error("the certificate of {name} has expired, or the clock of this machine is ahead")]
    Expired {
        /// Who was dialled.
        name: String,
    },
    /// The certificate is not valid yet.
    #[error("the certificate of {name} is not valid yet, or the clock of this machine is behind")]
    NotYetValid {
        /// Who was dialled.
        name: String,
    },
    /// The certificate breaks another rule.
    #[error("the certificate of {name} cannot be accepted: {reason}")]
    Certificate {
        /// Who was dialled.
        name: String,
        /// Which rule.
        reason: String,
    },
    /// The peer says why it does not go on.
    #[error("{name} refuses: {reason}")]
    Refused {
        /// Who was dialled.
        name: String,
        /// What it says.
        reason: String,
    },
    /// The peer broke another rule of TLS, or has nothing in common with us.
    #[error("no agreement on TLS with {name}: {reason}")]
    Protocol {
        /// Who was dialled.
        name: String,
        /// Which rule.
        reason: String,
    },
    /// What was dialled is no name that a certificate can be made out to.
    #[error("no certificate can be made out to {name}")]
    BadName {
        /// Who was to be dialled.
        name: String,
    },
    /// The peer closed the connection before there was agreement.
    #[error("{name} closed the connection before TLS was agreed on")]
    Closed {
        /// Who was dialled.
        name: String,
    },
    /// The connection broke before there was agreement.
    #[error("the connection to {name} broke before TLS was agreed on: {reason}")]
    Broken {
        /// Who was dialled.
        name: String,
        /// What the system says.
        reason: String,
    },
}

impl TlsError {
    /// What the failure of a handshake with `name` was.
    pub(super) fn of_handshake(name: String, error: &io::Error) -> Self {
        let Some(rule) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Self::Closed { name },
                _ => Self::Broken { name, reason: error.to_string() },
            };
        };
        match rule {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(name, error),
            rustls::Error::InvalidMessage(_) => Self::NotTls { name },
            rustls::Error::AlertReceived(alert) => Self::Refused { name, reason: format!("{alert:?}") },
            other => Self::Protocol { name, reason: other.to_string() },
        }
    }

    fn of_certificate(name: String, error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            // The latter: somebody of the same name as one whom we trust.
            E::UnknownIssuer | E::BadSignature => Self::UnknownIssuer { name },
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongName { name },
            E::Expired | E::ExpiredContext { .. } => Self::Expired { name },
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid { name },
            other => Self::Certificate { name, reason: other.to_string() },
        }
    }

    /// Whether every further attempt would end the same way: the peer is there, and is not who it should be or does not speak TLS.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::NotTls { .. }
            | Self::UnknownIssuer { .. }
            | Self::WrongName { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::Certificate { .. }
            | Self::Protocol { .. }
            | Self::BadName { .. } => true,
            Self::Refused { .. } | Self::Closed { .. } | Self::Broken { .. } => false,
        }
    }
}

/// Why certificates that are to be trusted cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsRootError {
    /// The text is not in PEM.
    #[error("the certificates to trust are not in PEM: {reason}")]
    NotPem {
        /// Where it goes wrong.
        reason: String,
    },
    /// There is none.
    #[error("the text that is to name certificates to trust has none in it")]
    Empty,
    /// One of them cannot be read.
    #[error("certificate {index} of those to trust cannot be read: {reason}")]
    Unreadable {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}
