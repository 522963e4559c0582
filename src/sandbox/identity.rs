//! The certificate with which a cluster's DCs prove themselves inside TLS: made by the cluster for itself, and kept with its state.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::cluster::MAX_DCS;
use super::state;
use tdl_net::tls::ALPN;

/// The file with the certificate and its private key, in PEM.
const FILE: &str = "tls.pem";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error(transparent)]
    State(#[from] state::Error),
    /// What stands in the file is no certificate with its key.
    #[error("{} does not hold a certificate and its key ({reason}); remove it, and another one is made", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// None can be made.
    #[error("no certificate can be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

impl Identity {
    /// The one that is kept in `dir`; made, if there is none yet.
    pub(crate) fn open(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        let mut text = String::new();
        let mut file = state::private_file(&path).map_err(state::Error::io("opening", &path))?;
        file.read_to_string(&mut text).map_err(state::Error::io("reading", &path))?;
        if text.is_empty() {
            text = make()?;
            // In one step: a cluster that is killed meanwhile finds none, or all of it.
            let draft = dir.join("tls.pem.new");
            let mut file = state::private_file(&draft).map_err(state::Error::io("making", &draft))?;
            file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(state::Error::io("writing", &draft))?;
            std::fs::rename(&draft, &path).map_err(state::Error::io("writing", &path))?;
        }
        Self::from_pem(&text).map_err(|reason| IdentityError::Damaged { path, reason })
    }

    fn from_pem(text: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())?;
        let end = "-----END CERTIFICATE-----";
        let pem = text.split_inclusive(end).next().unwrap_or_default().trim_start().to_owned() + "\n";
        Ok(Self { certificate, key, pem })
    }

    /// The certificate, for those who are to believe it.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// Lets connections prove themselves with it.
    ///
    /// # Errors
    /// The key is not the certificate's.
    pub(crate) fn acceptor(&self, dir: &Path) -> Result<TlsAcceptor, IdentityError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for every version")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(|error| IdentityError::Damaged { path: dir.join(FILE), reason: error.to_string() })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A certificate that stands for itself, and its key behind it; valid for longer than anybody keeps a cluster. It is made out to this
/// machine and to `dc1.localhost` and so on: names of this kind mean this machine everywhere (RFC 6761), and tell the DCs apart for
/// whoever comes through a proxy.
fn make() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let names = (1..=MAX_DCS).map(|id| format!("dc{id}.localhost")).chain(["localhost".to_owned()]);
    let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    params.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, "tdl local cluster");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(&key)?.pem() + &key.serialize_pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_kept_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::open(dir.path()).unwrap();
        let again = Identity::open(dir.path()).unwrap();
        assert_eq!(first.certificate_pem(), again.certificate_pem());
        assert!(first.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!first.certificate_pem().contains("PRIVATE"));
        assert!(first.acceptor(dir.path()).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_told_of_and_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mine = make().unwrap();
        let (certificate, key) = mine.split_once("-----BEGIN PRIVATE").unwrap();
        let other = make().unwrap();
        let other_key = other.split_once("-----BEGIN PRIVATE").unwrap().1;
        for text in ["x", certificate, &format!("-----BEGIN PRIVATE{key}")] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Identity::open(dir.path()), Err(IdentityError::Damaged { .. })), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::write(&path, format!("{certificate}-----BEGIN PRIVATE{other_key}")).unwrap();
        let identity = Identity::open(dir.path()).unwrap();
        assert!(matches!(identity.acceptor(dir.path()), Err(IdentityError::Damaged { .. })));
    }
}
