//! An MTProxy in front of a cluster: what a client goes through where the way to the DCs is barred.
//!
//! It recognises its clients by the secret, in whichever disguise the secret demands, reads which DC they want, and carries frames to and
//! fro. Whoever does not know the secret is cut off; a real proxy would show them a web site.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::cluster::Dc;
use tdl_core::transport::fake_tls::{self, Replays};
use tdl_core::transport::mtproxy::{Disguise, Secret};
use tdl_core::transport::{Codec, Detector, Frame, Kind, Options};
use tdl_net::{FakeTls, Stream};

/// How long a client may take to prove itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is read at once, at most.
const READ_CHUNK: usize = 64 << 10;

/// A running proxy, on loopback. Dropped, it stops.
#[derive(Debug)]
pub struct MtProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    secret: Secret,
    dcs: Vec<Dc>,
    replays: Mutex<Replays>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    accepted: Vec<Options>,
    refused: Vec<String>,
}

/// Why a client was cut off.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the client hung up before it proved itself")]
    HungUp,
    #[error("the client took too long to prove itself")]
    TooSlow,
    #[error("fake TLS: {0}")]
    FakeTls(#[from] fake_tls::Error),
    #[error("transport: {0}")]
    Transport(#[from] tdl_core::transport::Error),
    #[error("the secret demands padding, and the client came with {0}")]
    Unpadded(Kind),
    #[error("there is no DC {0} here")]
    NoSuchDc(i32),
}

impl MtProxy {
    /// Starts a proxy with this secret on any free port, to these DCs.
    ///
    /// # Errors
    /// The system's, when no port can be listened on.
    pub async fn start(secret: Secret, dcs: &[Dc]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared { secret, dcs: dcs.to_vec(), replays: Mutex::default(), log: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The clients that were let through so far: the envelope that each came with, and the DC that it asked for.
    pub fn accepted(&self) -> Vec<Options> {
        lock(&self.shared.log).accepted.clone()
    }

    /// Why the others were not.
    pub fn refused(&self) -> Vec<String> {
        lock(&self.shared.log).refused.clone()
    }
}

impl Drop for MtProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&shared)))),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut rng: StdRng = rand::make_rng();
    let proven = tokio::time::timeout(PATIENCE, prove(stream, &shared, &mut rng)).await.unwrap_or(Err(Refused::TooSlow));
    let (client, codec, input, dc) = match proven {
        Ok(proven) => proven,
        Err(reason) => {
            tracing::debug!(%reason, "client refused");
            lock(&shared.log).refused.push(reason.to_string());
            return;
        }
    };
    lock(&shared.log).accepted.push(codec.options());
    if let Err(error) = relay(client, codec, input, dc, &mut rng).await {
        tracing::debug!(%error, "connection closed");
    }
}

/// A client that knows the secret: its stream, its codec, what it has sent behind the initial bytes, and where it wants to go.
type Proven = (Box<dyn Stream>, Codec, BytesMut, SocketAddr);

async fn prove(stream: TcpStream, shared: &Shared, rng: &mut StdRng) -> Result<Proven, Refused> {
    stream.set_nodelay(true)?;
    let mut client: Box<dyn Stream> = Box::new(stream);
    let mut input = BytesMut::new();
    if let Disguise::FakeTls { domain } = shared.secret.disguise() {
        let mut server = fake_tls::Server::new(shared.secret.key().clone(), Some(domain.clone()));
        let accepted = loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            let accepted = server.handle_input(&mut input, now, &mut lock(&shared.replays), rng)?;
            match accepted {
                Some(accepted) => break accepted,
                None => more(&mut client, &mut input).await?,
            }
        };
        client.write_all(&accepted.answer).await?;
        client = Box::new(FakeTls::over(client, accepted.records, std::mem::take(&mut input)));
    }
    let mut detector = Detector::proxy(shared.secret.key().clone());
    let codec = loop {
        match detector.detect(&mut input)? {
            Some(codec) => break codec,
            None => more(&mut client, &mut input).await?,
        }
    };
    if codec.kind() != Kind::PaddedIntermediate && *shared.secret.disguise() != Disguise::Plain {
        return Err(Refused::Unpadded(codec.kind()));
    }
    // Test DCs and those for files alone are the same ones here.
    let wanted = codec.options().dc.0;
    let plain = wanted.abs() % 10_000;
    let dc = shared.dcs.iter().find(|dc| dc.id == plain).ok_or(Refused::NoSuchDc(wanted))?;
    Ok((client, codec, input, dc.addr()))
}

async fn more(stream: &mut Box<dyn Stream>, input: &mut BytesMut) -> Result<(), Refused> {
    match stream.read_buf(input).await? {
        0 => Err(Refused::HungUp),
        _ => Ok(()),
    }
}

/// Carries frames to and fro until either side hangs up.
async fn relay(
    client: Box<dyn Stream>,
    mut codec: Codec,
    mut up_in: BytesMut,
    dc: SocketAddr,
    rng: &mut StdRng,
) -> Result<(), Refused> {
    let server = TcpStream::connect(dc).await?;
    server.set_nodelay(true)?;
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut server_read, mut server_write) = server.into_split();
    let mut onward = Codec::client(&Options { obfuscated: true, ..codec.options() }, rng);
    let (mut down_in, mut up_out, mut down_out) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    loop {
        while let Some(frame) = codec.decode(&mut up_in)? {
            // Clients send nothing else.
            let Frame::Payload(payload) = frame else { continue };
            match codec.quick_ack_requested() {
                true => onward.encode_with_quick_ack(&payload, rng, &mut up_out)?,
                false => onward.encode(&payload, rng, &mut up_out)?,
            }
        }
        while let Some(frame) = onward.decode(&mut down_in)? {
            match frame {
                Frame::Payload(payload) => codec.encode(&payload, rng, &mut down_out)?,
                Frame::QuickAck(token) => codec.encode_quick_ack(token, rng, &mut down_out)?,
                Frame::Error(error) => codec.encode_error(error, rng, &mut down_out)?,
            }
        }
        server_write.write_all_buf(&mut up_out).await?;
        client_write.write_all_buf(&mut down_out).await?;
        client_write.flush().await?;
        up_in.reserve(READ_CHUNK);
        down_in.reserve(READ_CHUNK);
        let count = tokio::select! {
            read = client_read.read_buf(&mut up_in) => read?,
            read = server_read.read_buf(&mut down_in) => read?,
        };
        if count == 0 {
            return Ok(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is changed by single calls, which a panic elsewhere cannot leave half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SECRET: &str = "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d";

    async fn refusal(secret: &str, said: &[u8]) -> String {
        let proxy = MtProxy::start(secret.parse().unwrap(), &[]).await.unwrap();
        let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Cut off with bytes unread may be a reset.
        let _ = client.read_to_end(&mut answer).await;
        loop {
            if let Some(reason) = proxy.refused().first() {
                return reason.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn whoever_does_not_know_the_secret_is_cut_off() {
        assert_eq!(
            refusal(SECRET, b"GET / HTTP/1.1\r\n\r\n").await,
            "fake TLS: the client begins with 0x47, not with a TLS greeting"
        );
        assert_eq!(refusal(SECRET, b"\x16\x03").await, "the client hung up before it proved itself");
        let mut rng = StdRng::from_seed([1; 32]);
        let key: Secret = SECRET.parse().unwrap();
        let (_, greeting) = fake_tls::Client::new(key.key(), "www.example.com", fake_tls::Shape::Current, 0, &mut rng);
        assert!(refusal(SECRET, &greeting).await.starts_with("fake TLS: the client's clock is"));

        let start = |kind, dc, secret: &str| {
            let secret: Secret = secret.parse().unwrap();
            let mut rng = StdRng::from_seed([1; 32]);
            tdl_core::transport::Obfuscated::client(kind, tdl_core::ids::DcId(dc), secret.key(), &mut rng).unwrap().0
        };
        let (plain, padded) = ("00112233445566778899aabbccddeeff", "dd00112233445566778899aabbccddeeff");
        let other = "ff112233445566778899aabbccddeeff";
        assert_eq!(
            refusal(plain, &start(Kind::Abridged, 2, other)).await,
            "transport: the client does not know the proxy's secret"
        );
        assert_eq!(
            refusal(padded, &start(Kind::Intermediate, 2, padded)).await,
            "the secret demands padding, and the client came with intermediate"
        );
        assert_eq!(refusal(plain, &start(Kind::Abridged, -10_002, plain)).await, "there is no DC -10002 here");
    }
}
