//! Both ends of a handshake, and what keeps them from agreeing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::dial::TcpDialer;

/// A server whose certificate stands for itself, and the certificate.
pub(crate) fn server(change: impl FnOnce(&mut CertificateParams), alpn: &[u8]) -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

fn host(name: &str) -> Host {
    name.parse().map_or_else(|_| Host::Name(name.to_owned()), Host::Ip)
}

/// What comes of a handshake: both ends, or why there is none. The stream is narrow, but holds the tickets that a server sends behind its
/// last word, when nobody reads yet.
async fn shake(
    trust: &TlsTrust,
    name: &str,
    acceptor: &TlsAcceptor,
) -> Result<(Box<dyn Stream>, TlsStream<tokio_rustls::server::TlsStream<DuplexStream>>), TlsError> {
    let (ours, theirs) = tokio::io::duplex(2000);
    let host = host(name);
    let (client, server) = tokio::join!(trust.connect(&host, Box::new(ours)), acceptor.accept(theirs));
    client.map(|client| (client, TlsStream::new(server.unwrap())))
}

/// What comes of a handshake with a peer that says this and nothing else.
async fn heard(said: &[u8]) -> TlsError {
    let (_, pem) = server(|_| (), ALPN);
    let (ours, mut theirs) = tokio::io::duplex(4096);
    theirs.write_all(said).await.unwrap();
    theirs.shutdown().await.unwrap();
    TlsTrust::only(&pem).unwrap().connect(&host("localhost"), Box::new(ours)).await.err().expect("no TLS")
}

/// Row: A.1 "WebSocket wss"
#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_an_end() {
    let (acceptor, pem) = server(|_| (), ALPN);
    for trust in [TlsTrust::only(&pem).unwrap(), TlsTrust::public(&[pem]).unwrap()] {
        for name in ["localhost", "127.0.0.1"] {
            let (mut client, mut server) = shake(&trust, name, &acceptor).await.unwrap();
            let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
            // Whoever only reads sends what is held back all the same.
            let mut echo = vec![0; 50_000];
            let begin = async {
                server.write_all(&sent[..50_000]).await.unwrap();
                assert_eq!(server.read(&mut [0]).await.unwrap(), 1);
            };
            let answer = async {
                client.read_exact(&mut echo).await.unwrap();
                client.write_all(&[1]).await.unwrap();
                client.flush().await.unwrap();
            };
            tokio::join!(begin, answer);
            assert!(echo == sent[..50_000]);
            let mut heard = Vec::new();
            let write = async {
                client.write_all(&sent).await.unwrap();
                client.shutdown().await.unwrap();
            };
            let (_, read) = tokio::join!(write, server.read_to_end(&mut heard));
            read.unwrap();
            assert!(heard == sent);
            // Gone without a word: nothing is lost by that, as what is inside knows where it is whole.
            drop(server);
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        }
    }
}

/// Row: A.1 "WebSocket wss"
#[tokio::test]
async fn each_rule_has_its_error() {
    let name = || "localhost".to_owned();
    let (acceptor, pem) = server(|_| (), ALPN);
    let (_, other) = server(|_| (), ALPN);
    let mine = TlsTrust::only(&pem).unwrap();
    let refused = |trust: TlsTrust, name: &'static str, acceptor: TlsAcceptor| async move {
        let (ours, theirs) = tokio::io::duplex(4096);
        let host = host(name);
        let (client, _) = tokio::join!(trust.connect(&host, Box::new(ours)), acceptor.accept(theirs));
        client.err().unwrap_or_else(|| panic!("TLS with {name}"))
    };
    for trust in [TlsTrust::only(&other).unwrap(), TlsTrust::public(&[]).unwrap()] {
        assert_eq!(refused(trust, "localhost", acceptor.clone()).await, TlsError::UnknownIssuer { name: name() });
    }
    for wrong in ["127.0.0.2", "example.org", "a.localhost"] {
        assert_eq!(refused(mine.clone(), wrong, acceptor.clone()).await, TlsError::WrongName { name: wrong.to_owned() });
    }

    let day = |year| rcgen::date_time_ymd(year, 1, 1);
    let (acceptor, pem) = server(|params| (params.not_before, params.not_after) = (day(2001), day(2002)), ALPN);
    let error = refused(TlsTrust::only(&pem).unwrap(), "localhost", acceptor).await;
    assert_eq!(error, TlsError::Expired { name: name() });
    let (acceptor, pem) = server(|params| (params.not_before, params.not_after) = (day(3001), day(3002)), ALPN);
    let error = refused(TlsTrust::only(&pem).unwrap(), "localhost", acceptor).await;
    assert_eq!(error, TlsError::NotYetValid { name: name() });
    let (acceptor, pem) = server(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], ALPN);
    let error = refused(TlsTrust::only(&pem).unwrap(), "localhost", acceptor).await;
    assert!(matches!(&error, TlsError::Certificate { name, .. } if name == "localhost"), "{error:?}");

    let (acceptor, pem) = server(|_| (), b"gopher");
    let error = refused(TlsTrust::only(&pem).unwrap(), "localhost", acceptor).await;
    assert_eq!(error, TlsError::Refused { name: name(), reason: "NoApplicationProtocol".to_owned() });
    assert!(!error.is_final());

    assert_eq!(heard(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, TlsError::NotTls { name: name() });
    assert!(heard(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.is_final());
    assert_eq!(heard(b"").await, TlsError::Closed { name: name() });
    // Another message of the handshake than the one whose turn it is.
    let error = heard(&[0x16, 3, 3, 0, 4, 14, 0, 0, 0]).await;
    assert!(matches!(error, TlsError::Protocol { .. }), "{error:?}");

    let error = mine.connect(&host("localhost"), Box::new(Breaks)).await.err().unwrap();
    assert!(matches!(error, TlsError::Broken { .. }) && !error.is_final(), "{error:?}");
    let error = mine.connect(&host("a..b"), Box::new(Breaks)).await.err().unwrap();
    assert_eq!(error, TlsError::BadName { name: "a..b".to_owned() });
}

/// Takes everything and breaks when it is to give something.
struct Breaks;

impl AsyncRead for Breaks {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Breaks {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_place_is_dialled_by_its_name_whatever_the_address() {
    let (acceptor, pem) = server(|_| (), ALPN);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = |name: &str| {
        let place = Target::new(Host::Name(name.to_owned()), port);
        TlsDialer::new(Arc::new(TcpDialer), TlsTrust::only(&pem).unwrap(), Some(place))
    };
    let nowhere: SocketAddr = "127.0.0.7:1".parse().unwrap();
    let by_name = dialer("localhost");
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.unwrap()
    };
    let (dialled, _) = tokio::join!(tokio::time::timeout(Duration::from_secs(20), by_name.dial(nowhere)), serve);
    assert!(dialled.unwrap().is_ok());
    assert_eq!(by_name.place().map(ToString::to_string), Some(format!("localhost:{port}")));

    // Longer than any label of a name: nobody need be asked.
    let error = dialer(&"a".repeat(70)).dial(nowhere).await.err().unwrap();
    assert!(matches!(error, DialFailure::UnknownName { .. }) && !error.is_final(), "{error:?}");
    let addressed = TlsDialer::new(Arc::new(TcpDialer), TlsTrust::only(&pem).unwrap(), None);
    assert!(matches!(addressed.dial(nowhere).await.err(), Some(DialFailure::Io(_))));
}
