//! The listener and its connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::access::{Access, ListenError, Token};
use super::budget::Budget;
use super::patient::Patient;
use super::respond::{Observer, State, respond};
use super::shelf::Shelf;

/// The head of a request, and what waits to be written, take no more than this many bytes.
const BUFFER: usize = 64 * 1024;
/// A request has no more fields than this.
const MAX_FIELDS: usize = 64;
/// Connections beyond the limit that are told so at the same time; further ones are closed without a word.
const REFUSALS: usize = 16;
/// How long such a one may take to say what it wants, and the listener rests when the system gives it no connection.
const BRIEFLY: Duration = Duration::from_secs(1);

/// Bounds on what clients can make the server hold. The memory of bodies is at most one part (512 KiB) for each connection and the pool.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Parts that one request reads ahead, its first one included.
    pub parts_per_request: usize,
    /// Parts beyond the first, over all requests.
    pub parts_in_pool: usize,
    /// How long the head of a request may take, and how long a connection may be idle between requests.
    pub head: Duration,
    /// How long a client may take nothing of its answer. A player that is paused takes nothing.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            parts_per_request: 6,
            parts_in_pool: 24,
            head: Duration::from_secs(30),
            stall: Duration::from_secs(15 * 60),
        }
    }
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address and the token do not go together.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system does not give us the address.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What a server is made of.
pub struct Config {
    /// Where to listen; port 0 takes any that is free.
    pub address: SocketAddr,
    /// What clients have to show; `None` lets everybody on this machine in.
    pub token: Option<Token>,
    /// Names that the server goes by, besides its addresses and `localhost`.
    pub names: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// Gets to know each request when it is over.
    pub observer: Option<Observer>,
}

/// A server that listens, and answers once it [runs](Self::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
    limits: Limits,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    ///
    /// [`ServeError`]
    pub async fn bind(config: Config, shelf: Arc<dyn Shelf>) -> Result<Self, ServeError> {
        let Config { address, token, names, limits, observer } = config;
        let access = Access::new(address, token, names)?;
        let bind = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let budget = Budget::new(limits.parts_per_request, limits.parts_in_pool);
        Ok(Self { listener, address, state: Arc::new(State { shelf, access, budget, observer }), limits })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the list of files, token included. Where the server listens on every address, one by which others reach this machine.
    pub fn url(&self) -> String {
        let ip = if self.address.ip().is_unspecified() { outward(self.address.ip()) } else { self.address.ip() };
        let token = self.state.access.token().map_or_else(String::new, |token| format!("{}/", token.reveal()));
        format!("http://{}/{token}", SocketAddr::new(ip, self.address.port()))
    }

    /// Answers until `until` is ready; then every connection is closed, whatever it is in the middle of.
    pub async fn run(self, until: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let mut connections = JoinSet::new();
        tokio::pin!(until);
        loop {
            let accepted = tokio::select! {
                () = &mut until => break,
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let Ok((stream, peer)) = accepted else {
                // No more files may be opened: others have to be closed first.
                tokio::select! {
                    () = &mut until => break,
                    () = tokio::time::sleep(BRIEFLY) => continue,
                }
            };
            if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                let (state, limits) = (Arc::clone(&self.state), self.limits.clone());
                connections.spawn(async move {
                    connection(state, &limits, stream, peer).await;
                    drop(slot);
                });
            } else if let Ok(slot) = Arc::clone(&refusals).try_acquire_owned() {
                connections.spawn(async move {
                    let _ = tokio::time::timeout(BRIEFLY, refuse(stream)).await;
                    drop(slot);
                });
            }
        }
        connections.shutdown().await;
    }
}

async fn connection(state: Arc<State>, limits: &Limits, stream: TcpStream, peer: SocketAddr) {
    // Heads are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(respond(state, peer, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER).max_headers(MAX_FIELDS);
    // Its errors are the client's: it hung up, or does not speak HTTP.
    let _ = builder.serve_connection(TokioIo::new(Patient::new(stream, limits.stall)), service).await;
}

/// Says that there are too many connections. The request is read first: closing with unread bytes would take the answer back.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let mut request = vec![0; 8 * 1024];
    let _ = stream.read(&mut request).await?;
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).await?;
    stream.shutdown().await
}

/// The address of this machine on the way to others; loopback when it has none. Nothing is sent: the system is asked for its route.
fn outward(any: IpAddr) -> IpAddr {
    let (from, to, otherwise): (IpAddr, IpAddr, IpAddr) = match any {
        // Addresses of documentation: they lead out, and nobody has them.
        IpAddr::V4(_) => (any, Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (any, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), Ipv6Addr::LOCALHOST.into()),
    };
    let route = || {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect((to, 9))?;
        socket.local_addr()
    };
    route().map_or(otherwise, |address: SocketAddr| address.ip())
}
