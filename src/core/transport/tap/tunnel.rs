//! The handshakes of SOCKS5 (RFC 1928, 1929) and HTTP CONNECT, as far as somebody who looks on has to get past them.

use bytes::{Buf, BytesMut};

use super::TapError;
use crate::transport::http::head::{Head, Scanner};

/// A tunnel in the making.
#[derive(Debug)]
pub(super) enum Tunnel {
    Socks(Socks),
    Connect {
        request: Scanner,
        answer: Scanner,
        /// The request has passed.
        asked: bool,
    },
    /// It is made.
    Done,
}

/// Where a SOCKS5 handshake is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Socks {
    /// The client offered ways to log in.
    Offered,
    /// User and password are asked for.
    Login,
    /// The client names where it wants to go.
    Request,
}

const VERSION: u8 = 5;
/// "No acceptable methods".
const NO_WAY: u8 = 0xff;
const USER_AND_PASSWORD: u8 = 2;

/// Bytes that are there, or more are needed.
type Taken<T> = Option<T>;

impl Tunnel {
    /// Takes a tunnel's handshake off both directions. Whether there was none, or it is over.
    ///
    /// # Errors
    ///
    /// [`TapError::TunnelRefused`], or an error of HTTP.
    pub(super) fn pass(tunnel: &mut Option<Self>, client: &mut BytesMut, server: &mut BytesMut) -> Result<bool, TapError> {
        loop {
            let step = match tunnel {
                None => Self::begin(client, server),
                Some(Self::Done) => return Ok(true),
                Some(Self::Socks(socks)) => socks.step(client, server)?.map(Some),
                Some(Self::Connect { request, answer, asked }) => connect(request, answer, asked, client, server)?.map(Some),
            };
            match step {
                // More bytes are needed.
                None => return Ok(false),
                // There is no tunnel.
                Some(None) => *tunnel = Some(Self::Done),
                Some(next) => *tunnel = next,
            }
        }
    }

    /// Whether there is a tunnel at all. Random bytes may begin like one, but a client of SOCKS5 says no more than its greeting before
    /// it is answered.
    fn begin(client: &[u8], server: &[u8]) -> Taken<Option<Self>> {
        let (&first, rest) = client.split_first()?;
        if first == VERSION {
            let greeting = 2 + usize::from(*rest.first()?);
            let (short, whole) = (client.len() < greeting, client.len() == greeting);
            return match server {
                [] if short || whole => None,
                [VERSION] if whole => None,
                [VERSION, ..] if whole && greeting > 2 => Some(Some(Self::Socks(Socks::Offered))),
                _ => Some(None),
            };
        }
        const CONNECT: &[u8] = b"CONNECT ";
        let seen = client.len().min(CONNECT.len());
        if client[..seen] != CONNECT[..seen] {
            return Some(None);
        }
        let tunnel = Self::Connect { request: Scanner::default(), answer: Scanner::default(), asked: false };
        (seen == CONNECT.len()).then_some(Some(tunnel))
    }
}

impl Socks {
    fn step(self, client: &mut BytesMut, server: &mut BytesMut) -> Result<Taken<Tunnel>, TapError> {
        let next = match self {
            Self::Offered => {
                let (Some(offer), &[version, way, ..]) = (client.get(1).map(|n| 2 + usize::from(*n)), server.as_ref()) else {
                    return Ok(None);
                };
                if version != VERSION || way == NO_WAY {
                    return Err(TapError::TunnelRefused);
                }
                client.advance(offer.min(client.len()));
                server.advance(2);
                Tunnel::Socks(if way == USER_AND_PASSWORD { Self::Login } else { Self::Request })
            }
            Self::Login => {
                let (Some(login), &[_, status, ..]) = (login_len(client), server.as_ref()) else { return Ok(None) };
                if status != 0 {
                    return Err(TapError::TunnelRefused);
                }
                client.advance(login);
                server.advance(2);
                Tunnel::Socks(Self::Request)
            }
            Self::Request => {
                let (Some(request), Some(reply)) = (request_len(client), request_len(server)) else { return Ok(None) };
                if server.get(1) != Some(&0) {
                    return Err(TapError::TunnelRefused);
                }
                client.advance(request);
                server.advance(reply);
                Tunnel::Done
            }
        };
        Ok(Some(next))
    }
}

/// `01, user's length, user, password's length, password`, if all of it is there.
fn login_len(bytes: &[u8]) -> Taken<usize> {
    let user = 2 + usize::from(*bytes.get(1)?);
    let len = user + 1 + usize::from(*bytes.get(user)?);
    (bytes.len() >= len).then_some(len)
}

/// `05, command or reply, 00, kind of address, address, port`, if all of it is there.
fn request_len(bytes: &[u8]) -> Taken<usize> {
    let address = match bytes.get(3)? {
        1 => 4,
        4 => 16,
        // A name, with its length in front.
        _ => 1 + usize::from(*bytes.get(4)?),
    };
    let len = 4 + address + 2;
    (bytes.len() >= len).then_some(len)
}

fn connect(
    request: &mut Scanner,
    answer: &mut Scanner,
    asked: &mut bool,
    client: &mut BytesMut,
    server: &mut BytesMut,
) -> Result<Taken<Tunnel>, TapError> {
    if !*asked {
        let Some(len) = request.find(client)? else { return Ok(None) };
        client.advance(len);
        *asked = true;
    }
    let Some(len) = answer.find(server)? else { return Ok(None) };
    let bytes = server.split_to(len);
    let (_, status) = Head::parse(&bytes)?.status_line()?;
    if !(200..300).contains(&status) {
        return Err(TapError::TunnelRefused);
    }
    Ok(Some(Tunnel::Done))
}
