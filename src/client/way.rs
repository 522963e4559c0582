//! How connections get to the DCs: directly, or through a proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::ids::DcId;
use crate::net::{Dialer, ProxyDialer};
use crate::transport::{Carrier, Options};

use super::config::ClientConfig;
use super::dcs::DcTable;

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
    pub(super) carrier: Carrier,
}

impl Way {
    /// To `dc`; with `transfer`, for uploads and downloads.
    pub(super) fn to(&self, config: &ClientConfig, dc: DcId, transfer: bool) -> WayTo {
        let addrs = config.dcs.addresses(dc, config.ipv6_first, transfer);
        let (transport, carrier) = (config.transport, config.carrier);
        let (proxy, secret) = match (self, config.proxy.as_ref().and_then(|proxy| proxy.secret())) {
            (Self::Direct(dialer), _) => return WayTo { dialer: Arc::clone(dialer), addrs, transport, carrier },
            (Self::Proxy(proxy), None) => return WayTo { dialer: Arc::clone(proxy) as _, addrs, transport, carrier },
            (Self::Proxy(proxy), Some(secret)) => (proxy, secret),
        };
        // The proxy knows where the DCs are. One address stands for this one, so that the proxy is not dialled once for each.
        let addrs = addrs.into_iter().take(1).collect();
        let kind = secret.kind(transport.kind);
        WayTo {
            dialer: proxy.for_dc(kind, number_for_proxy(&config.dcs, dc, transfer)),
            addrs,
            transport: Options { kind, obfuscated: false, ..transport },
            // It takes nothing but a stream, and has a disguise of its own.
            carrier: Carrier::Stream,
        }
    }
}

/// How an MTProxy is told which DC is meant: plus 10,000 for a test DC; negative for those of its addresses that serve files alone, if it
/// has any and they would do.
fn number_for_proxy(dcs: &DcTable, dc: DcId, transfer: bool) -> DcId {
    let only_files = transfer && dcs.dcs.iter().any(|found| DcId(found.id) == dc && found.media_only && !found.cdn);
    let number = dcs.wire_id(dc).0;
    DcId(if only_files { number.saturating_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Clock, TcpDialer};
    use crate::transport::{Kind, Proxy};

    #[test]
    fn the_proxy_is_told_test_and_media_dcs() {
        let mut table = DcTable::production();
        let number = |table: &DcTable, dc, transfer| number_for_proxy(table, DcId(dc), transfer).0;
        assert_eq!((number(&table, 2, false), number(&table, 2, true)), (2, -2));
        assert_eq!((number(&table, 3, false), number(&table, 3, true)), (3, 3), "it has no such addresses");
        table.test = true;
        assert_eq!((number(&table, 4, false), number(&table, 4, true)), (10_004, -10_004));
    }

    #[test]
    fn the_way_fits_the_proxy() {
        let config = |proxy: Option<&str>| {
            let mut config = ClientConfig::new(DcTable::production(), 1, "x");
            config.proxy = proxy.map(|url| url.parse::<Proxy>().unwrap());
            config
        };
        let way = |config: &ClientConfig| match config.proxy.clone() {
            None => Way::Direct(Arc::new(TcpDialer)),
            Some(proxy) => {
                let clock = Clock::starting_at(std::time::Duration::ZERO);
                Way::Proxy(Arc::new(ProxyDialer::new(proxy, Arc::new(TcpDialer), clock, [1; 32])))
            }
        };
        let to = |proxy: Option<&str>| {
            let config = config(proxy);
            way(&config).to(&config, DcId(2), false)
        };
        let direct = to(None);
        assert_eq!((direct.addrs.len(), direct.dialer.via()), (6, None));
        assert_eq!(direct.transport, config(None).transport);
        let socks = to(Some("socks5://u:p@a"));
        assert_eq!((socks.addrs.len(), socks.dialer.via().as_deref()), (6, Some("socks5://u:***@a:1080")));
        assert_eq!(socks.transport, config(None).transport);
        let mtproxy = to(Some("mtproxy://00112233445566778899aabbccddeeff@a"));
        assert_eq!((mtproxy.addrs.len(), mtproxy.dialer.via().as_deref()), (1, Some("mtproxy://***@a:443")));
        assert_eq!((mtproxy.transport.kind, mtproxy.transport.obfuscated), (Kind::Intermediate, false));
        for carrier in Carrier::ALL {
            let carried = |proxy: Option<&str>| {
                let config = ClientConfig { carrier, ..config(proxy) };
                way(&config).to(&config, DcId(2), false).carrier
            };
            assert_eq!((carried(None), carried(Some("http://a"))), (carrier, carrier));
            assert_eq!(carried(Some("mtproxy://00112233445566778899aabbccddeeff@a")), Carrier::Stream);
        }
        assert!(!format!("{:?}", config(Some("socks5://u:hunter2@a"))).contains("hunter2"));
    }
}
