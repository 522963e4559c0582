//! A cluster, and the proxies that lead to it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tdl::client::DcTable;
use tdl::sandbox::mtproxy::MtProxy;
use tdl::sandbox::{Cluster, Config};

use super::axes::{FAKE_TLS, PADDED, PLAIN, secret};
use super::proxies::{Speech, TestProxy};

/// Nobody listens there.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));

/// A name that leads to a DC as well, and that no certificate is made out to.
pub(super) const OTHER_NAME: &str = "other.localhost";

/// A cluster, and the proxies that lead to it.
pub(super) struct World {
    pub(super) cluster: Cluster,
    /// Where it is.
    pub(super) table: DcTable,
    /// Where it is not.
    pub(super) nowhere: DcTable,
    pub(super) socks5: TestProxy,
    pub(super) connect: TestProxy,
    pub(super) connect_tls: TestProxy,
    pub(super) mtproxies: HashMap<&'static str, MtProxy>,
    _dir: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
        let table = DcTable::read(&cluster.file()).unwrap();
        let mut nowhere = table.clone();
        nowhere.dcs.iter_mut().for_each(|dc| dc.ip = NOWHERE);
        // Inside TLS the DCs have names, which the proxies look up.
        nowhere.web_hosts = table.ids().into_iter().map(|dc| (dc.0, format!("dc{dc}.localhost", dc = dc.0))).collect();
        let mut places = HashMap::new();
        for dc in cluster.dcs() {
            places.insert(SocketAddr::new(NOWHERE, dc.port).to_string(), dc.addr());
            let tls = SocketAddr::new(dc.addr().ip(), dc.tls_port.unwrap());
            places.insert(format!("dc{}.localhost:443", dc.id), tls);
            places.insert(format!("{OTHER_NAME}:443"), tls);
        }
        let mut mtproxies = HashMap::new();
        for text in [PLAIN, PADDED, FAKE_TLS] {
            mtproxies.insert(text, MtProxy::start(secret(text), cluster.dcs()).await.unwrap());
        }
        Self {
            table,
            nowhere,
            socks5: TestProxy::start(Speech::Socks5, places.clone()).await.unwrap(),
            connect: TestProxy::start(Speech::Connect, places.clone()).await.unwrap(),
            connect_tls: TestProxy::start(Speech::ConnectTls, places).await.unwrap(),
            mtproxies,
            cluster,
            _dir: dir,
        }
    }

    pub(super) fn mtproxy(&self, secret: &str) -> &MtProxy {
        &self.mtproxies[secret]
    }
}
