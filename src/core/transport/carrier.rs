//! What carries the envelopes.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::{Kind, Options, http, websocket};

/// What carries the envelopes: the byte stream itself, or something of the web around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// The byte stream of a connection.
    #[default]
    Stream,
    /// The messages of a WebSocket. Obfuscation is required inside ("Transports", WebSocket).
    WebSocket,
    /// The same inside TLS.
    WebSocketTls,
    /// Requests and answers of HTTP, each of which is an envelope by itself: kind and obfuscation of the options do not matter.
    Http,
    /// The same inside TLS.
    HttpTls,
}

/// The port on which the public servers speak what they encrypt by other means on 443.
const TLS_PORT: u16 = 443;
const WEB_PORT: u16 = 80;

impl Carrier {
    /// Every carrier.
    pub const ALL: [Self; 5] = [Self::Stream, Self::WebSocket, Self::WebSocketTls, Self::Http, Self::HttpTls];

    /// The name, as flags and traces write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::WebSocket => "ws",
            Self::WebSocketTls => "wss",
            Self::Http => "http",
            Self::HttpTls => "https",
        }
    }

    /// What is around payloads on the wire, as traces write it: the carrier, unless it is the stream itself, and the envelope.
    pub const fn framing(self, options: &Options) -> &'static str {
        match (self, options.kind) {
            (Self::Stream, _) => options.name(),
            (Self::Http | Self::HttpTls, _) => self.name(),
            // What is inside of a WebSocket is always obfuscated.
            (Self::WebSocket, Kind::Abridged) => "ws obfuscated abridged",
            (Self::WebSocket, Kind::Intermediate) => "ws obfuscated intermediate",
            (Self::WebSocket, Kind::PaddedIntermediate) => "ws obfuscated padded",
            (Self::WebSocket, Kind::Full) => "ws obfuscated full",
            (Self::WebSocketTls, Kind::Abridged) => "wss obfuscated abridged",
            (Self::WebSocketTls, Kind::Intermediate) => "wss obfuscated intermediate",
            (Self::WebSocketTls, Kind::PaddedIntermediate) => "wss obfuscated padded",
            (Self::WebSocketTls, Kind::Full) => "wss obfuscated full",
        }
    }

    /// Whether it travels inside TLS.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::WebSocketTls | Self::HttpTls)
    }

    /// The port that need not be written in a URL of the kind.
    pub const fn default_port(self) -> u16 {
        if self.is_tls() { TLS_PORT } else { WEB_PORT }
    }

    /// Where to connect for a server whose address is `addr`. On port 443 the public servers take `POST` and `GET` for the start of
    /// something that should have been TLS; the page names port 80 for both. Inside TLS, the port stays.
    pub const fn addr(self, mut addr: SocketAddr) -> SocketAddr {
        if matches!(self, Self::WebSocket | Self::Http) && addr.port() == TLS_PORT {
            addr.set_port(WEB_PORT);
        }
        addr
    }

    /// The path to ask for; `None` where there is none. `test`: at the public test servers.
    pub const fn path(self, test: bool) -> Option<&'static str> {
        match (self, test) {
            (Self::Stream, _) => None,
            (Self::WebSocket | Self::WebSocketTls, false) => Some(websocket::PATH),
            (Self::WebSocket | Self::WebSocketTls, true) => Some(websocket::TEST_PATH),
            (Self::Http, false) => Some(http::PATH),
            (Self::Http, true) => Some(http::TEST_PATH),
            (Self::HttpTls, false) => Some(http::TLS_PATH),
            (Self::HttpTls, true) => Some(http::TLS_TEST_PATH),
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Carrier`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no carrier; known are stream, ws, wss, http and https")]
pub struct UnknownCarrier {
    /// The word.
    pub found: String,
}

impl FromStr for Carrier {
    type Err = UnknownCarrier;

    fn from_str(name: &str) -> Result<Self, UnknownCarrier> {
        Self::ALL.into_iter().find(|carrier| carrier.name() == name).ok_or_else(|| UnknownCarrier { found: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for carrier in Carrier::ALL {
            assert_eq!(carrier.to_string().parse(), Ok(carrier));
        }
        assert_eq!("udp".parse::<Carrier>(), Err(UnknownCarrier { found: "udp".to_owned() }));
    }

    #[test]
    fn the_web_is_on_its_own_port() {
        let addr = |port| SocketAddr::from(([149, 154, 167, 50], port));
        assert_eq!(Carrier::Stream.addr(addr(443)), addr(443));
        for carrier in [Carrier::WebSocket, Carrier::Http] {
            assert_eq!((carrier.addr(addr(443)), carrier.addr(addr(5222))), (addr(80), addr(5222)));
            assert_eq!((carrier.is_tls(), carrier.default_port()), (false, 80));
        }
        for carrier in [Carrier::WebSocketTls, Carrier::HttpTls] {
            assert_eq!((carrier.addr(addr(443)), carrier.addr(addr(5222))), (addr(443), addr(5222)));
            assert_eq!((carrier.is_tls(), carrier.default_port()), (true, 443));
        }
    }

    #[test]
    fn the_paths_are_those_of_the_page() {
        let paths = Carrier::ALL.map(|carrier| (carrier.path(false), carrier.path(true)));
        let expected = [
            (None, None),
            (Some("/apiws"), Some("/apiws_test")),
            (Some("/apiws"), Some("/apiws_test")),
            (Some("/api"), Some("/api_test")),
            (Some("/apiw1"), Some("/apiw_test1")),
        ];
        assert_eq!(paths, expected);
    }
}
