//! TLS around a stream: for WebSocket and HTTP at the names under which the web knows the DCs, and for proxies that are reached through it.
//!
//! * here: whom to believe ([`TlsTrust`]), the two ends of a handshake, and [`TlsDialer`], whose streams are wrapped;
//! * `error`: why there is no TLS, one variant for each rule;
//! * `stream`: the stream itself.
//!
//! MTProto needs none of it: what is inside is encrypted and authenticated already, and the RSA keys say who the server is. It is for
//! networks that let nothing else pass. The certificate is checked all the same: who breaks the rule that nobody listens learns which
//! requests are whose, and what a proxy is told is no secret of MTProto's.
//!
//! TLS itself is a library's, rustls, which draws its random bytes from the system and reads its clock: a seed does not repeat them.

mod error;
mod stream;
// The certificates of the tests are made by what makes the cluster's.
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

pub use error::{TlsError, TlsRootError};
pub use stream::TlsStream;

use super::dial::{DialFuture, Dialer, Stream, dial, resolve};
use super::error::DialFailure;
use super::race::DialMemory;
use tdl_core::transport::{Host, Target};

/// What both sides say they speak inside (RFC 7301).
pub const ALPN: &[u8] = b"http/1.1";

/// How long one address of a name may take to connect. The caller's limit on the whole is shorter or longer as it likes.
const REACH_TIMEOUT: Duration = Duration::from_secs(30);

/// The authorities whose certificates are believed.
#[derive(Clone)]
pub struct TlsTrust(Arc<ClientConfig>);

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTrust")
    }
}

impl TlsTrust {
    /// Those that the public web trusts (Mozilla's list), and further ones, in PEM.
    ///
    /// # Errors
    /// [`TlsRootError`] for the further ones.
    pub fn public(further: &[String]) -> Result<Self, TlsRootError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for pem in further {
            add(&mut roots, pem)?;
        }
        Ok(Self::new(roots))
    }

    /// Only those of this text, in PEM: an authority's, or the very certificates that servers show.
    ///
    /// # Errors
    /// [`TlsRootError`].
    pub fn only(pem: &str) -> Result<Self, TlsRootError> {
        let mut roots = RootCertStore::empty();
        add(&mut roots, pem)?;
        Ok(Self::new(roots))
    }

    fn new(roots: RootCertStore) -> Self {
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for every version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }

    /// Agrees on TLS with whoever is at the other end, who has to prove to be `host`. Not cancel safe: whoever stops it drops the stream.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(super) async fn connect(&self, host: &Host, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, TlsError> {
        let name = host.to_string();
        let server_name = match host {
            Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
            Host::Name(text) => ServerName::try_from(text.clone()).map_err(|_| TlsError::BadName { name: name.clone() })?,
        };
        match TlsConnector::from(Arc::clone(&self.0)).connect(server_name, stream).await {
            Ok(stream) => Ok(Box::new(TlsStream::new(stream))),
            Err(error) => Err(TlsError::of_handshake(name, &error)),
        }
    }
}

/// Whether a certificate could be made out to this name: a DNS name, and no address.
pub fn is_certifiable(name: &str) -> bool {
    matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)))
}

fn add(roots: &mut RootCertStore, pem: &str) -> Result<(), TlsRootError> {
    let mut found = 0;
    for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        let certificate = certificate.map_err(|error| TlsRootError::NotPem { reason: error.to_string() })?;
        roots.add(certificate).map_err(|error| TlsRootError::Unreadable { index, reason: error.to_string() })?;
        found += 1;
    }
    if found == 0 { Err(TlsRootError::Empty) } else { Ok(()) }
}

/// Makes streams inside TLS, over those of another dialer.
pub struct TlsDialer {
    under: Arc<dyn Dialer>,
    trust: TlsTrust,
    /// Where streams lead, whatever the address that is asked for.
    place: Option<Target>,
}

impl TlsDialer {
    /// To the addresses that are asked for, which prove themselves as what they are; or, if there is a `place`, always to that, looked up
    /// by whoever `under` leaves it to.
    pub fn new(under: Arc<dyn Dialer>, trust: TlsTrust, place: Option<Target>) -> Self {
        Self { under, trust, place }
    }

    /// A bare stream to the place.
    async fn reach(&self, place: &Target) -> Result<Box<dyn Stream>, DialFailure> {
        if let Some(dialling) = self.under.dial_target(place) {
            return dialling.await;
        }
        let unknown = |reason| DialFailure::UnknownName { name: place.host.to_string(), reason };
        let addrs = resolve(place).await.map_err(unknown)?;
        dial(&*self.under, &addrs, REACH_TIMEOUT).await.map(|(stream, _)| stream).map_err(|mut failures| {
            // At least one address was tried. The first is the one that the system would rather have had.
            failures.swap_remove(0).failure
        })
    }
}

impl Dialer for TlsDialer {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move {
            let (host, stream) = match &self.place {
                Some(place) => (place.host.clone(), self.reach(place).await?),
                None => (Host::Ip(addr.ip()), self.under.dial(addr).await?),
            };
            Ok(self.trust.connect(&host, stream).await?)
        })
    }

    fn via(&self) -> Option<String> {
        self.under.via()
    }

    fn place(&self) -> Option<&Target> {
        self.place.as_ref()
    }

    fn memory(&self) -> Option<&DialMemory> {
        self.under.memory()
    }
}
