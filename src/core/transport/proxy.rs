//! Which proxy is meant: where it is, who we are to it, and what it is to connect to. `url` reads the URLs and links that people have.
//!
//! Printing a [`Proxy`] shows neither passwords nor secrets.

mod url;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use zeroize::Zeroizing;

pub use url::ProxyUrlError;

use super::mtproxy::{Disguise, Secret};

/// User and password have one byte for their lengths in SOCKS5 (RFC 1929).
const MAX_CREDENTIAL: usize = 255;

/// A host: by address, or by a name that is yet to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name: ASCII, 1 to 253 bytes.
    Name(String),
}

/// A host and a port: what a proxy is to connect to, or where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, not 0.
    pub port: u16,
}

/// Who we are to a proxy. Wiped when dropped; `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// SOCKS5 (RFC 1928).
    Socks5 {
        /// Where it is.
        at: Target,
        /// Who we are to it, if it wants to know.
        credentials: Option<Credentials>,
        /// Whether names are looked up by the proxy rather than here.
        remote_dns: bool,
    },
    /// An HTTP proxy that opens tunnels (RFC 9110, CONNECT).
    Http {
        /// Where it is.
        at: Target,
        /// Who we are to it, if it wants to know.
        credentials: Option<Credentials>,
        /// Whether it is reached through TLS.
        tls: bool,
    },
    /// An MTProxy.
    MtProxy {
        /// Where it is.
        at: Target,
        /// Its secret.
        secret: Secret,
    },
}

impl Target {
    /// A host and a port.
    pub const fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self { host: Host::Ip(addr.ip()), port: addr.port() }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// As URLs write it, with an IPv6 address in brackets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Credentials {
    /// A user and a password, each of 1 to 255 bytes.
    ///
    /// # Errors
    /// [`ProxyUrlError::BadCredentials`].
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, ProxyUrlError> {
        let (user, password) = (Zeroizing::new(user.into()), Zeroizing::new(password.into()));
        let fits = |text: &str| (1..=MAX_CREDENTIAL).contains(&text.len());
        if fits(&user) && fits(&password) { Ok(Self { user, password }) } else { Err(ProxyUrlError::BadCredentials) }
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user()).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Where it is.
    pub const fn at(&self) -> &Target {
        match self {
            Self::Socks5 { at, .. } | Self::Http { at, .. } | Self::MtProxy { at, .. } => at,
        }
    }

    /// Its secret, if it is an MTProxy.
    pub const fn secret(&self) -> Option<&Secret> {
        match self {
            Self::MtProxy { secret, .. } => Some(secret),
            Self::Socks5 { .. } | Self::Http { .. } => None,
        }
    }
}

/// What may be shown: kind, user and place, but neither password nor secret.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = |f: &mut fmt::Formatter<'_>, credentials: &Option<Credentials>| match credentials {
            Some(credentials) => write!(f, "{}:***@", credentials.user()),
            None => Ok(()),
        };
        match self {
            Self::Socks5 { credentials, remote_dns, .. } => {
                f.write_str(if *remote_dns { "socks5h://" } else { "socks5://" })?;
                user(f, credentials)?;
            }
            Self::Http { credentials, tls, .. } => {
                f.write_str(if *tls { "https://" } else { "http://" })?;
                user(f, credentials)?;
            }
            Self::MtProxy { secret, .. } => f.write_str(match secret.disguise() {
                Disguise::Plain => "mtproxy://***@",
                Disguise::Padded => "mtproxy://dd***@",
                Disguise::FakeTls { .. } => "mtproxy://ee***@",
            })?,
        }
        self.at().fmt(f)
    }
}
