//! A SOCKS5 and an HTTP proxy for tests, on loopback, the latter inside TLS as well. Strict: a user and a password are demanded, nothing is let pass that the
//! specification of the proxy's kind does not prescribe, and tunnels lead to known places only.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// The one user there is.
pub(crate) const USER: &str = "ada";
/// What proves it.
pub(crate) const PASSWORD: &str = "hunter2";
/// `ada:hunter2` for HTTP.
const BASIC: &str = "Basic YWRhOmh1bnRlcjI=";

/// More than any request for a tunnel needs.
const LONGEST_HEAD: usize = 4096;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// SOCKS5 (RFC 1928) with a user and a password (RFC 1929).
    Socks5,
    /// HTTP CONNECT (RFC 9110) with basic authentication (RFC 7617).
    Connect,
    /// The same inside TLS.
    ConnectTls,
}

/// A running proxy. Dropped, it stops, and its tunnels with it.
pub(crate) struct TestProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    speech: Speech,
    /// Where clients want to go, as a URL writes it, and where that is.
    places: HashMap<String, SocketAddr>,
    /// What proves who the proxy is, if it speaks TLS.
    identity: Option<(TlsAcceptor, String)>,
    tunnels: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

impl TestProxy {
    /// Starts a proxy whose tunnels lead from the first places to the second ones.
    pub(crate) async fn start(speech: Speech, places: HashMap<String, SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            speech,
            places,
            identity: (speech == Speech::ConnectTls).then(identity),
            tunnels: AtomicUsize::new(0),
            refused: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, task })
    }

    /// How a client with this password is led through it.
    pub(crate) fn url(&self, password: &str) -> String {
        let scheme = match self.shared.speech {
            Speech::Socks5 => "socks5h",
            Speech::Connect => "http",
            Speech::ConnectTls => "https",
        };
        format!("{scheme}://{USER}:{password}@{}", self.addr)
    }

    /// The certificate that it shows, in PEM, if it speaks TLS.
    pub(crate) fn certificate(&self) -> Option<&str> {
        self.shared.identity.as_ref().map(|(_, certificate)| certificate.as_str())
    }

    /// How many tunnels were made.
    pub(crate) fn tunnels(&self) -> usize {
        self.shared.tunnels.load(Ordering::Relaxed)
    }

    /// Why others were not. Whoever was refused may know of it a moment earlier.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(client, Arc::clone(&shared)));
    }
}

/// A certificate made out to this machine that stands for itself.
fn identity() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("its key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .expect("a key that fits the certificate");
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    // Frames are small, and somebody waits for each.
    let _ = client.set_nodelay(true);
    let done = match (shared.speech, &shared.identity) {
        (Speech::Socks5, _) => {
            let asked = socks5(&mut client, &shared.places).await;
            lead(client, asked, &shared).await
        }
        (_, None) => {
            let asked = connect(&mut client, &shared.places).await;
            lead(client, asked, &shared).await
        }
        (_, Some((acceptor, _))) => match acceptor.accept(client).await {
            Ok(mut client) => {
                let asked = connect(&mut client, &shared.places).await;
                lead(client, asked, &shared).await
            }
            Err(error) => Err(error),
        },
    };
    if let Err(error) = done {
        shared.refused.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
    }
}

/// Carries bytes to and fro, if there is a way.
async fn lead<C: AsyncRead + AsyncWrite + Unpin>(
    mut client: C,
    asked: io::Result<TcpStream>,
    shared: &Shared,
) -> io::Result<()> {
    let mut server = asked?;
    shared.tunnels.fetch_add(1, Ordering::Relaxed);
    // Either side may break off as it likes.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    Ok(())
}

/// Says a last word to a client, and why.
async fn refuse<T, C: AsyncWrite + Unpin>(client: &mut C, word: &[u8], why: impl Into<String>) -> io::Result<T> {
    client.write_all(word).await?;
    client.shutdown().await?;
    Err(io::Error::other(why.into()))
}

/// To where a place is.
async fn open(place: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(place).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

async fn socks5(client: &mut TcpStream, places: &HashMap<String, SocketAddr>) -> io::Result<TcpStream> {
    let [version, count] = read(client).await?;
    if version != 5 {
        return refuse(client, &[5, 0xff], format!("version {version}")).await;
    }
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods).await?;
    if !methods.contains(&2) {
        return refuse(client, &[5, 0xff], "no password offered").await;
    }
    client.write_all(&[5, 2]).await?;

    let [version] = read(client).await?;
    let (user, password) = (short(client).await?, short(client).await?);
    if version != 1 || user != USER.as_bytes() || password != PASSWORD.as_bytes() {
        return refuse(client, &[1, 1], "wrong user or password").await;
    }
    client.write_all(&[1, 0]).await?;

    let answer = |code| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    let [version, command, reserved, kind] = read(client).await?;
    if (version, command, reserved) != (5, 1, 0) {
        return refuse(client, &answer(7), format!("version {version}, command {command}, reserved {reserved}")).await;
    }
    let host = match kind {
        1 => IpAddr::from(read::<4>(client).await?).to_string(),
        3 => String::from_utf8(short(client).await?).map_err(io::Error::other)?,
        4 => format!("[{}]", IpAddr::from(read::<16>(client).await?)),
        kind => return refuse(client, &answer(8), format!("address of kind {kind}")).await,
    };
    let wanted = format!("{host}:{}", u16::from_be_bytes(read(client).await?));
    let Some(place) = places.get(&wanted) else {
        return refuse(client, &answer(4), format!("no way to {wanted}")).await;
    };
    let server = open(*place).await?;
    client.write_all(&answer(0)).await?;
    Ok(server)
}

async fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Bytes with their number in front.
async fn short(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let [len] = read(client).await?;
    let mut bytes = vec![0; len.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn connect<C: AsyncRead + AsyncWrite + Unpin>(
    client: &mut C,
    places: &HashMap<String, SocketAddr>,
) -> io::Result<TcpStream> {
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs into the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return refuse(client, b"HTTP/1.1 431 Too Long\r\n\r\n", "a head without an end").await;
        }
        head.push(client.read_u8().await?);
    }
    let bad: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let Ok(head) = String::from_utf8(head) else { return refuse(client, bad, "a head that is no text").await };
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let Some(wanted) = first.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")) else {
        return refuse(client, bad, format!("the request {first:?}")).await;
    };
    let mut fields = HashMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { return refuse(client, bad, format!("the line {line:?}")).await };
        if fields.insert(name.to_ascii_lowercase(), value).is_some() {
            return refuse(client, bad, format!("{name} twice")).await;
        }
    }
    if fields.get("host") != Some(&wanted) {
        return refuse(client, bad, "a Host that is not the target").await;
    }
    if fields.get("proxy-authorization") != Some(&BASIC) {
        let word = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\n\r\n";
        return refuse(client, word, "wrong user or password").await;
    }
    let Some(place) = places.get(wanted) else {
        return refuse(client, b"HTTP/1.1 403 Forbidden\r\n\r\n", format!("no way to {wanted}")).await;
    };
    let server = open(*place).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    client.flush().await?;
    Ok(server)
}
