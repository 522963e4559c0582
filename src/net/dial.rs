//! Making a connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::error::DialFailure;
use super::race::DialMemory;
pub use super::race::dial;
use tdl_core::transport::{Host, Target};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection being made.
pub type DialFuture<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, DialFailure>> + Send + 'a>>;

/// Makes byte streams to addresses: plain TCP here; [`ProxyDialer`](super::ProxyDialer) or a test stands in with its own.
pub trait Dialer: Send + Sync {
    /// Connects to one address. The caller bounds the time.
    fn dial(&self, addr: SocketAddr) -> DialFuture<'_>;

    /// Connects to a host that may be a name, where that is not looked up here but by whatever stands in between. `None`: look it up, and
    /// dial an address.
    fn dial_target<'a>(&'a self, target: &'a Target) -> Option<DialFuture<'a>> {
        let _ = target;
        None
    }

    /// Where streams lead, if that is always the same and not the address that is asked for.
    fn place(&self) -> Option<&Target> {
        None
    }

    /// What stands in between, for people and traces: nothing secret is in it.
    fn via(&self) -> Option<String> {
        None
    }

    /// Which addresses were good so far, if that is remembered: see [`Remembering`](super::Remembering).
    fn memory(&self) -> Option<&DialMemory> {
        None
    }
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

/// The addresses of a target, in the order in which the system prefers them. At least one.
///
/// # Errors
/// What the system says of a name.
pub(super) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let name = match &target.host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, target.port)]),
        Host::Name(name) => name,
    };
    let found: Vec<_> =
        tokio::net::lookup_host((name.as_str(), target.port)).await.map_err(|error| error.to_string())?.collect();
    if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Row: A.1 "IPv6"
    #[tokio::test]
    async fn connects_over_tcp() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to try.
            let Ok(listener) = tokio::net::TcpListener::bind(host).await else { continue };
            let addr = listener.local_addr().unwrap();
            let addrs = [addr];
            let (dialled, accepted) = tokio::join!(dial(&TcpDialer, &addrs, Duration::from_secs(10)), listener.accept());
            assert_eq!(dialled.ok().unwrap().1, addr);
            accepted.unwrap();
        }
    }
}
