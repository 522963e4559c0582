//! The rows and the columns of the matrix: kinds of transport, and ways to a data centre.

use tdl::client::ClientConfig;
use tdl::transport::mtproxy::Secret;
use tdl::transport::{Carrier, Kind};

use super::proxies::PASSWORD;
use super::world::World;

/// The secrets of the MTProxies.
pub(super) const PLAIN: &str = "000102030405060708090a0b0c0d0e0f";
pub(super) const PADDED: &str = "dd000102030405060708090a0b0c0d0e0f";
/// For a visitor of www.example.com.
pub(super) const FAKE_TLS: &str = "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d";

/// A row: what the bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) carrier: Carrier,
    pub(super) kind: Kind,
    pub(super) obfuscated: bool,
}

impl Row {
    /// Every combination that there is. A WebSocket is always obfuscated inside; HTTP has neither kinds nor obfuscation.
    pub(super) fn all() -> Vec<Self> {
        let row = |carrier, kind, obfuscated| Self { carrier, kind, obfuscated };
        let plain = Kind::ALL.map(|kind| row(Carrier::Stream, kind, false));
        let obfuscated = Kind::ALL.map(|kind| row(Carrier::Stream, kind, true));
        let websocket = Kind::ALL.map(|kind| row(Carrier::WebSocket, kind, true));
        // TLS does not care what is inside the WebSocket.
        let wss = [row(Carrier::WebSocketTls, Kind::PaddedIntermediate, true)];
        let http = [Carrier::Http, Carrier::HttpTls].map(|carrier| row(carrier, Kind::Full, false));
        [&plain[..], &obfuscated, &websocket, &wss, &http].concat()
    }

    pub(super) fn has_quick_acks(self) -> bool {
        !matches!(self.carrier, Carrier::Http | Carrier::HttpTls) && self.kind != Kind::Full
    }

    pub(super) fn name(self) -> String {
        match (self.carrier, self.obfuscated) {
            (carrier @ (Carrier::Http | Carrier::HttpTls), _) => carrier.to_string(),
            (carrier @ (Carrier::WebSocket | Carrier::WebSocketTls), _) => format!("{carrier} {}", self.kind),
            (Carrier::Stream, true) => format!("obfuscated {}", self.kind),
            (Carrier::Stream, false) => self.kind.to_string(),
        }
    }
}

/// A column: what leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing but the network.
    Direct,
    /// The same, and traffic is encrypted with the permanent key.
    WithoutPfs,
    /// A SOCKS5 proxy that wants a user and a password.
    Socks5,
    /// An HTTP proxy that wants them as well.
    Connect,
    /// The same, reached through TLS.
    ConnectTls,
    /// An MTProxy with this secret.
    MtProxy(&'static str),
}

impl Way {
    pub(super) const ALL: [Self; 8] = [
        Self::Direct,
        Self::WithoutPfs,
        Self::Socks5,
        Self::Connect,
        Self::ConnectTls,
        Self::MtProxy(PLAIN),
        Self::MtProxy(PADDED),
        Self::MtProxy(FAKE_TLS),
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::WithoutPfs => "no PFS",
            Self::Socks5 => "SOCKS5",
            Self::Connect => "CONNECT",
            Self::ConnectTls => "… in TLS",
            Self::MtProxy(secret) => match secret.as_bytes() {
                [b'd', ..] => "MTP dd",
                [b'e', ..] => "MTP ee",
                _ => "MTP plain",
            },
        }
    }

    /// Whether a kind of transport can go this way. An MTProxy takes obfuscated streams, of the kinds that its secret allows.
    pub(super) fn carries(self, row: Row) -> bool {
        match self {
            Self::Direct | Self::WithoutPfs | Self::Socks5 | Self::Connect | Self::ConnectTls => true,
            Self::MtProxy(text) => row.carrier == Carrier::Stream && row.obfuscated && secret(text).kind(row.kind) == row.kind,
        }
    }

    /// Leads a client this way.
    pub(super) fn lead(self, config: &mut ClientConfig, world: &World) {
        let url = match self {
            Self::Direct => return,
            Self::WithoutPfs => {
                config.pfs = None;
                return;
            }
            Self::Socks5 => world.socks5.url(PASSWORD),
            Self::Connect => world.connect.url(PASSWORD),
            Self::ConnectTls => {
                config.tls_roots = world.connect_tls.certificate().map(str::to_owned).into_iter().collect();
                world.connect_tls.url(PASSWORD)
            }
            Self::MtProxy(secret) => format!("mtproxy://{secret}@{}", world.mtproxy(secret).addr()),
        };
        config.proxy = Some(url.parse().expect("a proxy"));
        config.dcs = world.nowhere.clone();
    }
}

pub(super) fn secret(text: &str) -> Secret {
    text.parse().expect("a secret")
}
