//! How connections get to the DCs: directly, or through a proxy; bare, or inside TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::ids::DcId;
use crate::net::{Clock, Dialer, ProxyDialer, TlsDialer, TlsTrust};
use crate::transport::{Carrier, Options, Proxy};

use super::config::ClientConfig;
use super::dcs::{DcTable, DcTableError};

/// The way to all DCs.
pub(super) struct Way {
    lead: Lead,
    /// Whom to believe about who a DC's host is, where that is asked.
    trust: Option<TlsTrust>,
}

enum Lead {
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
    /// As the configuration wants it, over the streams of `dialer`. The seed decides the random bytes that a proxy is told.
    ///
    /// # Errors
    /// [`DcTableError::BadTlsRoot`], if somebody is to be believed.
    pub(super) fn new(
        config: &ClientConfig,
        dialer: Arc<dyn Dialer>,
        clock: Clock,
        seed: [u8; 32],
    ) -> Result<Self, DcTableError> {
        let trust = config.carrier.is_tls().then(|| config.dcs.tls_trust(&config.tls_roots)).transpose()?;
        let lead = match config.proxy.clone() {
            None => Lead::Direct(dialer),
            Some(proxy) => {
                let through_tls = matches!(proxy, Proxy::Http { tls: true, .. });
                let mut proxy = ProxyDialer::new(proxy, dialer, clock, seed);
                if through_tls {
                    // The table's own authorities are for its DCs.
                    proxy = proxy.with_trust(TlsTrust::public(&config.tls_roots)?);
                }
                Lead::Proxy(Arc::new(proxy))
            }
        };
        Ok(Self { lead, trust })
    }

    /// To `dc`; with `transfer`, for uploads and downloads.
    pub(super) fn to(&self, config: &ClientConfig, dc: DcId, transfer: bool) -> WayTo {
        let transport = config.transport;
        let (proxy, secret) = match (&self.lead, config.proxy.as_ref().and_then(|proxy| proxy.secret())) {
            (Lead::Direct(dialer), _) => return self.past(Arc::clone(dialer), config, dc, transfer),
            (Lead::Proxy(proxy), None) => return self.past(Arc::clone(proxy) as _, config, dc, transfer),
            (Lead::Proxy(proxy), Some(secret)) => (proxy, secret),
        };
        // The proxy knows where the DCs are. One address stands for this one, so that the proxy is not dialled once for each.
        let addrs = config.dcs.addresses(dc, config.ipv6_first, transfer).into_iter().take(1).collect();
        let kind = secret.kind(transport.kind);
        WayTo {
            dialer: proxy.for_dc(kind, number_for_proxy(&config.dcs, dc, transfer)),
            addrs,
            transport: Options { kind, obfuscated: false, ..transport },
            // It takes nothing but a stream, and has a disguise of its own.
            carrier: Carrier::Stream,
        }
    }

    /// To `dc`, over streams that lead there, inside TLS if the carrier wants it.
    fn past(&self, dialer: Arc<dyn Dialer>, config: &ClientConfig, dc: DcId, transfer: bool) -> WayTo {
        let (transport, carrier) = (config.transport, config.carrier);
        let (ipv6_first, dcs) = (config.ipv6_first, &config.dcs);
        let Some(trust) = self.trust.clone() else {
            return WayTo { dialer, addrs: dcs.addresses(dc, ipv6_first, transfer), transport, carrier };
        };
        let place = dcs.web_host(dc);
        let mut addrs = dcs.tls_addresses(dc, ipv6_first, transfer);
        if place.is_some() {
            // One stands for the host, which has addresses of its own.
            addrs.truncate(1);
        }
        WayTo { dialer: Arc::new(TlsDialer::new(dialer, trust, place)), addrs, transport, carrier }
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
    use crate::net::{TcpDialer, TlsRootError};
    use crate::transport::Kind;

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
        let way = |config: &ClientConfig| {
            let clock = Clock::starting_at(std::time::Duration::ZERO);
            Way::new(config, Arc::new(TcpDialer), clock, [1; 32]).unwrap()
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

    /// Row: A.1 "WebSocket wss"
    #[test]
    fn inside_tls_the_way_leads_to_the_hosts_of_the_web_or_to_the_ports_of_a_cluster() {
        let clock = Clock::starting_at(std::time::Duration::ZERO);
        let way = |config: &ClientConfig| Way::new(config, Arc::new(TcpDialer), clock, [1; 32]);
        for carrier in [Carrier::WebSocketTls, Carrier::HttpTls] {
            let mut config = ClientConfig { carrier, ..ClientConfig::new(DcTable::production(), 1, "x") };
            let to = way(&config).unwrap().to(&config, DcId(2), false);
            assert_eq!(to.dialer.place().map(ToString::to_string).as_deref(), Some("venus.web.telegram.org:443"));
            assert_eq!((to.addrs.len(), to.carrier), (1, carrier), "its name stands for all of them");
            config.proxy = Some("socks5h://a".parse().unwrap());
            let to = way(&config).unwrap().to(&config, DcId(2), false);
            assert_eq!((to.dialer.place().is_some(), to.dialer.via().as_deref()), (true, Some("socks5h://a:1080")));

            config.dcs.web_hosts.clear();
            config.dcs.dcs.iter_mut().for_each(|dc| dc.tls_port = Some(8443));
            let to = way(&config).unwrap().to(&config, DcId(2), false);
            assert!(to.dialer.place().is_none());
            assert!(to.addrs.len() == 2 && to.addrs.iter().all(|addr| addr.port() == 8443), "{:?}", to.addrs);

            config.proxy = None;
            config.tls_roots = vec!["nonsense".to_owned()];
            assert!(matches!(way(&config).err(), Some(DcTableError::BadTlsRoot(TlsRootError::Empty))));
        }
        let mut config = ClientConfig::new(DcTable::production(), 1, "x");
        config.tls_roots = vec!["nonsense".to_owned()];
        assert!(way(&config).is_ok(), "nobody is to be believed");
        config.proxy = Some("https://a".parse().unwrap());
        assert!(way(&config).is_err());
    }
}
