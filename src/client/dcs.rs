//! Where the data centres are and which RSA keys they prove themselves with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::crypto::rsa::PublicKey;
use crate::ids::DcId;
use crate::net::{TlsRootError, TlsTrust, is_certifiable};
use crate::transport::{Host, Target};

/// One address of one data centre, as `cluster.json` writes it and as `help.getConfig` reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcAddress {
    /// The data centre's plain number.
    pub id: i32,
    /// IPv4 or IPv6 address.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Only for uploads and downloads.
    #[serde(default)]
    pub media_only: bool,
    /// A content-delivery DC, with keys of its own.
    #[serde(default)]
    pub cdn: bool,
    /// The port that speaks TLS, and WebSocket or HTTP inside. Without one, `port` would have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
}

/// Addresses and RSA keys of one Telegram, production, test or local: the content of a `cluster.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcTable {
    /// The newest API layer that the cluster speaks, when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<i32>,
    /// All addresses, in the order in which they are to be tried.
    pub dcs: Vec<DcAddress>,
    /// RSA public keys, PKCS#1 PEM.
    pub rsa_public_keys: Vec<String>,
    /// Whether these are Telegram's test DCs: their numbers get 10000 added in the key exchange and in the obfuscated transport.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The hosts at which WebSocket and HTTP reach the DCs inside TLS, on port 443, by the DC's number. A DC without one is reached at its
    /// addresses, which then prove themselves as such.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub web_hosts: BTreeMap<i32, String>,
    /// Certificates to believe there, PEM, and none besides. Without them, those of the public web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_root: Option<String>,
}

/// Why a `cluster.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DcTableError {
    /// The file cannot be read or written.
    #[error("the DC table cannot be read or written")]
    Io(#[from] std::io::Error),
    /// The text is not JSON, or a field is missing or of the wrong kind.
    #[error("the DC table is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// No address at all.
    #[error("the DC table lists no address")]
    NoAddress,
    /// No RSA key: no key exchange could be trusted.
    #[error("the DC table lists no RSA public key")]
    NoKey,
    /// An RSA key cannot be read.
    #[error("RSA public key {index} of the DC table cannot be read: {error}")]
    BadKey {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        error: crate::crypto::rsa::RsaError,
    },
    /// What is to be believed inside TLS cannot be read.
    #[error("{0}")]
    BadTlsRoot(#[from] TlsRootError),
    /// A host's name is none.
    #[error("the DC table names a host {name:?} for DC {id}, which is no name")]
    BadHost {
        /// The DC.
        id: i32,
        /// What stands there.
        name: String,
    },
    /// A DC number outside 1..=1000.
    #[error("the DC table has a DC numbered {id}, expected 1 to 1000")]
    BadId {
        /// The number found.
        id: i32,
    },
}

impl DcTable {
    /// Telegram's production DCs. Facts that change rarely; a running client may learn newer ones from `help.getConfig`.
    pub fn production() -> Self {
        let v4 = [
            (1, [149, 154, 175, 50], false),
            (2, [149, 154, 167, 51], false),
            (2, [149, 154, 167, 222], true),
            (3, [149, 154, 175, 100], false),
            (4, [149, 154, 167, 91], false),
            (4, [149, 154, 166, 120], true),
            (5, [149, 154, 171, 5], false),
        ];
        let v6 = [
            (1, [0x2001, 0x0b28, 0xf23d, 0xf001, 0, 0, 0, 0xa], false),
            (2, [0x2001, 0x067c, 0x04e8, 0xf002, 0, 0, 0, 0xa], false),
            (2, [0x2001, 0x067c, 0x04e8, 0xf002, 0, 0, 0, 0xb], true),
            (3, [0x2001, 0x0b28, 0xf23d, 0xf003, 0, 0, 0, 0xa], false),
            (4, [0x2001, 0x067c, 0x04e8, 0xf004, 0, 0, 0, 0xa], false),
            (4, [0x2001, 0x067c, 0x04e8, 0xf004, 0, 0, 0, 0xb], true),
            (5, [0x2001, 0x0b28, 0xf23f, 0xf005, 0, 0, 0, 0xa], false),
        ];
        Self {
            layer: None,
            dcs: addresses(&v4, &v6),
            rsa_public_keys: vec![PRODUCTION_KEY.to_owned()],
            test: false,
            web_hosts: web_hosts(5),
            tls_root: None,
        }
    }

    /// Telegram's public test DCs.
    pub fn public_test() -> Self {
        let v4 = [(1, [149, 154, 175, 10], false), (2, [149, 154, 167, 40], false), (3, [149, 154, 175, 117], false)];
        let v6 = [
            (1, [0x2001, 0x0b28, 0xf23d, 0xf001, 0, 0, 0, 0xe], false),
            (2, [0x2001, 0x067c, 0x04e8, 0xf002, 0, 0, 0, 0xe], false),
            (3, [0x2001, 0x0b28, 0xf23d, 0xf003, 0, 0, 0, 0xe], false),
        ];
        Self {
            layer: None,
            dcs: addresses(&v4, &v6),
            rsa_public_keys: vec![TEST_KEY.to_owned()],
            test: true,
            web_hosts: web_hosts(3),
            tls_root: None,
        }
    }

    /// Reads the content of a `cluster.json` and checks that it can be used.
    pub fn from_json(text: &str) -> Result<Self, DcTableError> {
        let table: Self = serde_json::from_str(text)?;
        if table.dcs.is_empty() {
            return Err(DcTableError::NoAddress);
        }
        if table.rsa_public_keys.is_empty() {
            return Err(DcTableError::NoKey);
        }
        if let Some((id, name)) = table.web_hosts.iter().find(|(_, name)| !is_certifiable(name)) {
            return Err(DcTableError::BadHost { id: *id, name: name.chars().take(64).collect() });
        }
        match table.dcs.iter().find(|dc| !(1..=1000).contains(&dc.id)) {
            Some(dc) => Err(DcTableError::BadId { id: dc.id }),
            None => Ok(table),
        }
    }

    /// The content of a `cluster.json`, indented, with a final newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a table of plain values has a JSON form");
        text.push('\n');
        text
    }

    /// Reads a `cluster.json`.
    pub fn read(path: &Path) -> Result<Self, DcTableError> {
        Self::from_json(&std::fs::read_to_string(path)?)
    }

    /// Writes a `cluster.json`: beside it first, then moved into place, so that no reader ever sees half a file.
    pub fn write(&self, path: &Path) -> Result<(), DcTableError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.tmp", std::process::id()));
        std::fs::write(&beside, self.to_json())?;
        std::fs::rename(&beside, path).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
        Ok(())
    }

    /// The numbers of all ordinary DCs, ascending.
    pub fn ids(&self) -> Vec<DcId> {
        let mut ids: Vec<_> = self.dcs.iter().filter(|dc| !dc.cdn && !dc.media_only).map(|dc| DcId(dc.id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The RSA keys, in order.
    ///
    /// # Errors
    /// [`DcTableError::BadKey`] for the first that cannot be read, [`DcTableError::NoKey`] when there is none.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, DcTableError> {
        if self.rsa_public_keys.is_empty() {
            return Err(DcTableError::NoKey);
        }
        let key =
            |(index, pem): (usize, &String)| PublicKey::from_pem(pem).map_err(|error| DcTableError::BadKey { index, error });
        self.rsa_public_keys.iter().enumerate().map(key).collect()
    }

    /// The DC to ask before the account's home is known: 2, as most accounts live there, or the first there is.
    pub fn first_dc(&self) -> Option<DcId> {
        let ids = self.ids();
        ids.iter().find(|dc| dc.0 == 2).or(ids.first()).copied()
    }

    /// Where to reach a DC, in the order to try: the preferred IP version first. With `transfer`, addresses that serve only uploads and
    /// downloads come before all others.
    pub fn addresses(&self, dc: DcId, ipv6_first: bool, transfer: bool) -> Vec<SocketAddr> {
        self.found(dc, ipv6_first, transfer).into_iter().map(|a| SocketAddr::new(a.ip, a.port)).collect()
    }

    /// The same for TLS, for a DC without a host of the web.
    pub fn tls_addresses(&self, dc: DcId, ipv6_first: bool, transfer: bool) -> Vec<SocketAddr> {
        let mut addrs = Vec::new();
        for address in self.found(dc, ipv6_first, transfer) {
            let addr = SocketAddr::new(address.ip, address.tls_port.unwrap_or(address.port));
            // Several ports of one address may share one for TLS.
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        addrs
    }

    /// Where the web finds a DC inside TLS.
    pub fn web_host(&self, dc: DcId) -> Option<Target> {
        self.web_hosts.get(&dc.0).map(|name| Target::new(Host::Name(name.clone()), 443))
    }

    /// Whom to believe inside TLS: the table's own authorities, or else those of the public web and the `further` ones, in PEM.
    ///
    /// # Errors
    /// [`DcTableError::BadTlsRoot`].
    pub fn tls_trust(&self, further: &[String]) -> Result<TlsTrust, DcTableError> {
        Ok(match &self.tls_root {
            Some(pem) => TlsTrust::only(pem)?,
            None => TlsTrust::public(further)?,
        })
    }

    /// The addresses of a content-delivery DC, as far as the table has them.
    pub(super) fn cdn_addresses(&self, dc: DcId) -> Vec<DcAddress> {
        self.dcs.iter().filter(|a| DcId(a.id) == dc && a.cdn).cloned().collect()
    }

    fn found(&self, dc: DcId, ipv6_first: bool, transfer: bool) -> Vec<&DcAddress> {
        let mut found: Vec<_> = self.dcs.iter().filter(|a| DcId(a.id) == dc && !a.cdn && (transfer || !a.media_only)).collect();
        found.sort_by_key(|a| (!a.media_only, a.ip.is_ipv6() != ipv6_first));
        found
    }

    /// The number that stands for the DC in the key exchange and in the obfuscated transport: 10000 more for a test DC.
    pub fn wire_id(&self, dc: DcId) -> DcId {
        if self.test { DcId(dc.0.saturating_add(10_000)) } else { dc }
    }
}

/// The ports of the built-in addresses, in the order to try them: networks that block one often let another through. The official clients
/// have the same.
const PORTS: [u16; 3] = [443, 80, 5222];

fn addresses(v4: &[(i32, [u8; 4], bool)], v6: &[(i32, [u16; 8], bool)]) -> Vec<DcAddress> {
    let v4 = v4.iter().map(|&(id, ip, media)| (id, IpAddr::V4(Ipv4Addr::from(ip)), media));
    let v6 = v6.iter().map(|&(id, ip, media)| (id, IpAddr::V6(Ipv6Addr::from(ip)), media));
    let all: Vec<_> = v4.chain(v6).collect();
    let at =
        |port| all.iter().map(move |&(id, ip, media_only)| DcAddress { id, ip, port, media_only, cdn: false, tls_port: None });
    PORTS.into_iter().flat_map(at).collect()
}

/// The names that the web has for the first DCs, production and test alike ("Transports", URI format).
fn web_hosts(count: usize) -> BTreeMap<i32, String> {
    let names = ["pluto", "venus", "aurora", "vesta", "flora"];
    (1..).zip(names).take(count).map(|(id, name)| (id, format!("{name}.web.telegram.org"))).collect()
}

/// Fingerprint 0xd09d1d85de64fd85.
const PRODUCTION_KEY: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEA6LszBcC1LGzyr992NzE0ieY+BSaOW622Aa9Bd4ZHLl+TuFQ4lo4g
5nKaMBwK/BIb9xUfg0Q29/2mgIR6Zr9krM7HjuIcCzFvDtr+L0GQjae9H0pRB2OO
62cECs5HKhT5DZ98K33vmWiLowc621dQuwKWSQKjWf50XYFw42h21P2KXUGyp2y/
+aEyZ+uVgLLQbRA1dEjSDZ2iGRy12Mk5gpYc397aYp438fsJoHIgJ2lgMv5h7WY9
t6N/byY9Nw9p21Og3AoXSL2q/2IJ1WRUhebgAdGVMlV1fkuOQoEzR7EdpqtQD9Cs
5+bfo3Nhmcyvk5ftB0WkJ9z6bNZ7yxrP8wIDAQAB
-----END RSA PUBLIC KEY-----
";

/// Fingerprint 0xb25898df208d2603.
const TEST_KEY: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtztKTKqigvO/vBfqACJLZtS7QMgCGXJ6XIR
yy7mx66W0/sOFa7/1mAZtEoIokDP3ShoqF4fVNb6XeqgQfaUHd8wJpDWHcR2OFwv
plUUI1PLTktZ9uW2WE23b+ixNwJjJGwBDJPQEQFBE+vfmH0JP503wr5INS1poWg/
j25sIWeYPHYeOrFp/eXaqhISP6G+q2IeTaWTXpwZj4LzXq5YOpk4bYEQ6mvRq7D1
aHWfYmlEGepfaYR8Q0YqvvhYtMte3ITnuSJs171+GDqpdKcSwHnd6FudwGO4pcCO
j4WcDuXc2CTHgH8gFTNhp/Y8/SpDOhvn9QIDAQAB
-----END RSA PUBLIC KEY-----
";

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str =
        r#"{"layer":230,"dcs":[{"id":1,"ip":"127.0.0.1","port":4431,"media_only":false,"cdn":false}],"rsa_public_keys":["k"]}"#;

    #[test]
    fn reads_what_the_command_line_page_fixes() {
        let table = DcTable::from_json(SMALL).unwrap();
        assert_eq!(table.layer, Some(230));
        assert_eq!(table.addresses(DcId(1), false, false), ["127.0.0.1:4431".parse().unwrap()]);
        assert_eq!(DcTable::from_json(&table.to_json()).unwrap(), table);
        assert!(!table.to_json().contains("test"));
    }

    #[test]
    fn refuses_what_cannot_be_used() {
        let no_address = r#"{"dcs":[],"rsa_public_keys":["k"]}"#;
        assert!(matches!(DcTable::from_json(no_address), Err(DcTableError::NoAddress)));
        assert!(matches!(DcTable::from_json(&SMALL.replace("[\"k\"]", "[]")), Err(DcTableError::NoKey)));
        assert!(matches!(DcTable::from_json(&SMALL.replace("\"id\":1", "\"id\":0")), Err(DcTableError::BadId { id: 0 })));
        assert!(matches!(DcTable::from_json("{"), Err(DcTableError::Json(_))));
        for name in ["", "a b", "1.2.3.4", "::1", "-", &"a".repeat(300)] {
            let hosts = format!(r#""web_hosts":{{"1":"{name}"}},"rsa_public_keys""#);
            let text = SMALL.replace("\"rsa_public_keys\"", &hosts);
            assert!(matches!(DcTable::from_json(&text), Err(DcTableError::BadHost { id: 1, .. })), "{name}");
        }
        let trust = |pem: &str| DcTable { tls_root: Some(pem.to_owned()), ..DcTable::production() }.tls_trust(&[]);
        assert!(matches!(trust(""), Err(DcTableError::BadTlsRoot(TlsRootError::Empty))));
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(trust(no_certificate), Err(DcTableError::BadTlsRoot(TlsRootError::Unreadable { index: 0, .. }))));
        let no_pem = "-----BEGIN CERTIFICATE-----\n?\n";
        assert!(matches!(trust(no_pem), Err(DcTableError::BadTlsRoot(TlsRootError::NotPem { .. }))));
        assert!(matches!(DcTable::read(Path::new("/nonexistent/cluster.json")), Err(DcTableError::Io(_))));
    }

    /// Row: A.1 "WebSocket wss"
    #[test]
    fn the_web_has_names_for_the_public_dcs_and_ports_of_its_own_elsewhere() {
        let host = |table: DcTable, dc| table.web_host(DcId(dc)).map(|target| target.to_string());
        assert_eq!(host(DcTable::production(), 1).as_deref(), Some("pluto.web.telegram.org:443"));
        assert_eq!(host(DcTable::production(), 5).as_deref(), Some("flora.web.telegram.org:443"));
        assert_eq!(host(DcTable::public_test(), 3).as_deref(), Some("aurora.web.telegram.org:443"));
        assert_eq!(host(DcTable::public_test(), 4), None);
        let local = SMALL.replace("\"cdn\":false", "\"cdn\":false,\"tls_port\":4437");
        let local = DcTable::from_json(&local).unwrap();
        assert_eq!(local.tls_addresses(DcId(1), false, true), ["127.0.0.1:4437".parse().unwrap()]);
        assert_eq!(local.addresses(DcId(1), false, true), ["127.0.0.1:4431".parse().unwrap()]);
        assert_eq!(DcTable::from_json(&local.to_json()).unwrap(), local);
        assert!(DcTable::production().tls_trust(&[]).is_ok());
    }

    #[test]
    fn survives_a_trip_to_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.json");
        DcTable::public_test().write(&path).unwrap();
        assert_eq!(DcTable::read(&path).unwrap(), DcTable::public_test());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    /// Row: A.1 "IPv6"
    #[test]
    fn built_in_tables_are_whole() {
        let production = DcTable::production();
        assert_eq!(production.ids(), [1, 2, 3, 4, 5].map(DcId));
        let ports = |addrs: &[SocketAddr]| addrs.iter().map(SocketAddr::port).collect::<Vec<_>>();
        let main = production.addresses(DcId(2), false, false);
        assert!(main[..3].iter().all(SocketAddr::is_ipv4) && main[3..].iter().all(SocketAddr::is_ipv6), "{main:?}");
        assert_eq!(ports(&main), [443, 80, 5222, 443, 80, 5222]);
        let transfer = production.addresses(DcId(2), true, true);
        assert!(transfer.len() == 12 && transfer[0].is_ipv6() && transfer[3].is_ipv4(), "{transfer:?}");
        assert_eq!(production.wire_id(DcId(2)), DcId(2));
        assert_eq!(DcTable::public_test().ids(), [1, 2, 3].map(DcId));
        assert_eq!(DcTable::public_test().wire_id(DcId(2)), DcId(10_002));
        assert!(production.addresses(DcId(9), false, true).is_empty());
    }
}
