//! How connections get to the DCs: directly, or through a proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::ids::DcId;
use crate::net::{Dialer, ProxyDialer};
use crate::transport::Options;

use super::config::ClientConfig;

/// The way to all DCs.
pub(super) enum Way {
    /// By themselves.
    Direct(Arc<dyn Dialer>),
    /// Through a proxy.
    Proxy(Arc<ProxyDialer>),
}

/// The way to one DC, for one connection.
pub(super) struct WayTo {
    pub(super) dialer: Arc<dyn Dialer>,
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) transport: Options,
}

impl Way {
    /// To `dc`; with `transfer`, for uploads and downloads.
    pub(super) fn to(&self, config: &ClientConfig, dc: DcId, transfer: bool) -> WayTo {
        let addrs = config.dcs.addresses(dc, config.ipv6_first, transfer);
        let transport = config.transport;
        let (proxy, secret) = match (self, config.proxy.as_ref().and_then(|proxy| proxy.secret())) {
            (Self::Direct(dialer), _) => return WayTo { dialer: Arc::clone(dialer), addrs, transport },
            (Self::Proxy(proxy), None) => return WayTo { dialer: Arc::clone(proxy) as _, addrs, transport },
            (Self::Proxy(proxy), Some(secret)) => (proxy, secret),
        };
        // The proxy knows where the DCs are. One address stands for this one, so that the proxy is not dialled once for each.
        let addrs = addrs.into_iter().take(1).collect();
        let kind = secret.kind(transport.kind);
        // Where a DC has addresses for files alone, a negative number asks for them.
        let only_files = transfer && config.dcs.dcs.iter().any(|found| DcId(found.id) == dc && found.media_only && !found.cdn);
        let number = config.dcs.wire_id(dc).0;
        let number = if only_files { number.saturating_neg() } else { number };
        WayTo { dialer: proxy.for_dc(kind, DcId(number)), addrs, transport: Options { kind, obfuscated: false, ..transport } }
    }
}
