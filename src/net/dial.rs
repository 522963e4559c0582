//! Making a connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::error::{DialError, DialFailure};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection being made.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Makes byte streams to addresses: plain TCP here; a proxy or a test stands in with its own.
pub trait Dialer: Send + Sync {
    /// Connects to one address. The caller bounds the time.
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_>;
}

/// Plain TCP, IPv4 or IPv6, without Nagle's delay.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            // Frames are coalesced before they are written: waiting for more would only add a round trip.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// Tries the addresses in order, each for `timeout` at most; the first that answers wins.
///
/// # Errors
/// What happened at each address, in order. Empty when there was none to try.
pub async fn dial(
    dialer: &dyn Dialer,
    addrs: &[SocketAddr],
    timeout: Duration,
) -> Result<(Box<dyn Stream>, SocketAddr), Vec<DialError>> {
    let mut failures = Vec::new();
    for &addr in addrs {
        let failure = match tokio::time::timeout(timeout, dialer.dial(addr)).await {
            Ok(Ok(stream)) => return Ok((stream, addr)),
            Ok(Err(error)) => DialFailure::Io(error),
            Err(_) => DialFailure::Timeout { after: timeout },
        };
        failures.push(DialError { addr, failure });
    }
    Err(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses port 1, never answers on port 2, connects on any other.
    struct Picky;

    impl Dialer for Picky {
        fn dial(&self, addr: SocketAddr) -> DialFuture<'_> {
            Box::pin(async move {
                match addr.port() {
                    1 => Err(io::ErrorKind::ConnectionRefused.into()),
                    2 => std::future::pending().await,
                    _ => Ok(Box::new(tokio::io::duplex(16).0) as Box<dyn Stream>),
                }
            })
        }
    }

    fn addrs(ports: &[u16]) -> Vec<SocketAddr> {
        ports.iter().map(|&port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_to_the_next_address() {
        let (_, addr) = dial(&Picky, &addrs(&[1, 2, 3]), Duration::from_secs(10)).await.ok().unwrap();
        assert_eq!(addr.port(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn tells_what_happened_at_each_address() {
        let failures = dial(&Picky, &addrs(&[1, 2]), Duration::from_secs(10)).await.err().unwrap();
        assert!(matches!(failures[0].failure, DialFailure::Io(_)) && failures[0].addr.port() == 1);
        assert!(matches!(failures[1].failure, DialFailure::Timeout { after } if after == Duration::from_secs(10)));
        assert!(dial(&Picky, &[], Duration::from_secs(10)).await.err().unwrap().is_empty());
    }

    #[tokio::test]
    async fn connects_over_tcp() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let addrs = [addr];
        let (dialled, accepted) = tokio::join!(dial(&TcpDialer, &addrs, Duration::from_secs(10)), listener.accept());
        assert_eq!(dialled.ok().unwrap().1, addr);
        accepted.unwrap();
    }
}
