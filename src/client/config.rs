//! All that a client has to be told.

use std::fmt;
use std::time::Duration;

use crate::crypto::keylog::KeyLogger;
use crate::ids::DcId;
use crate::net::PfsPolicy;
use crate::transport;

use super::dcs::DcTable;
use super::device::{DeviceProfile, Introduction, LayerPlan};

/// What a [`Client`](super::Client) is to connect to, as what, and how patiently.
///
/// [`ClientConfig::new`] fills in the defaults; change fields afterwards.
#[derive(Clone)]
pub struct ClientConfig {
    /// Addresses and RSA keys.
    pub dcs: DcTable,
    /// The application's id. A local cluster accepts any.
    pub api_id: i32,
    /// The application's hash, for `auth.sendCode` and its like. Not shown by `Debug`.
    pub api_hash: String,
    /// How the device introduces itself.
    pub device: DeviceProfile,
    /// The API layer to negotiate.
    pub layer: LayerPlan,
    /// Whether device and layer are told to the server. Default: they are.
    pub introduction: Introduction,
    /// Envelope and obfuscation of the byte stream. Default: obfuscated padded intermediate.
    pub transport: transport::Options,
    /// What carries the envelopes. Through an MTProxy, always the byte stream. Default: the byte stream itself.
    pub carrier: transport::Carrier,
    /// Whether requests ask for quick acknowledgements, where the transport has them; they appear in the trace. Default no.
    pub quick_acks: bool,
    /// The proxy to go through. Through an MTProxy, the proxy's secret decides about obfuscation, and about the envelope as far as it
    /// has to: see [`Secret::kind`](transport::mtproxy::Secret::kind); the carrier is the byte stream. Default none.
    pub proxy: Option<transport::Proxy>,
    /// Certificates to believe inside TLS beside those of the public web, each text in PEM: of the DCs unless their table has its own, and
    /// of a proxy. Default none.
    pub tls_roots: Vec<String>,
    /// Try IPv6 addresses first.
    pub ipv6_first: bool,
    /// How long one connection attempt may take, key exchange not included. Default 10 s.
    pub dial_timeout: Duration,
    /// How long a lost connection is tried again before its requests fail. Default 5 minutes; zero means for ever.
    pub reconnect_timeout: Duration,
    /// How long one request may go without an answer over a connection that lives. Default 2 minutes; zero means for ever.
    pub request_timeout: Duration,
    /// How long one request is held back at the server's wish, all waits together. Each wait is reported as a
    /// [`Notice`](super::Notice); one that would exceed this fails. Default 10 minutes.
    pub max_flood_wait: Duration,
    /// Whether the main connection asks for updates. Default no: calls are wrapped in `invokeWithoutUpdates`.
    pub updates: bool,
    /// How many requests may be on their way on one connection; further ones queue. Default 256.
    pub max_in_flight: usize,
    /// Connections for uploads and downloads to one DC, at most; they are made as they are needed. Default 4.
    pub transfer_connections: usize,
    /// Forward secrecy: traffic is encrypted with temporary keys, which are bound to the permanent one and renewed as they end; the
    /// permanent key itself encrypts nothing. `None`: the permanent key encrypts everything. Default: on, with keys for a day.
    pub pfs: Option<PfsPolicy>,
    /// Who is told of every key that is used, if anybody is to be. Default: nobody.
    pub key_log: KeyLogger,
    /// The seed of all random bytes. Only for tests: `None` takes one from the system.
    pub seed: Option<[u8; 32]>,
}

impl ClientConfig {
    /// The defaults, for one cluster and one application.
    pub fn new(dcs: DcTable, api_id: i32, api_hash: impl Into<String>) -> Self {
        Self {
            dcs,
            api_id,
            api_hash: api_hash.into(),
            device: DeviceProfile::default(),
            layer: LayerPlan::default(),
            introduction: Introduction::default(),
            transport: transport::Options { kind: transport::Kind::PaddedIntermediate, obfuscated: true, dc: DcId(0) },
            carrier: transport::Carrier::default(),
            quick_acks: false,
            proxy: None,
            tls_roots: Vec::new(),
            ipv6_first: false,
            dial_timeout: Duration::from_secs(10),
            reconnect_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(120),
            max_flood_wait: Duration::from_secs(600),
            updates: false,
            max_in_flight: 256,
            transfer_connections: 4,
            pfs: Some(PfsPolicy::default()),
            key_log: KeyLogger::off(),
            seed: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("dcs", &self.dcs.dcs.len())
            .field("api_id", &self.api_id)
            .field("device", &self.device.name)
            .field("layer", &self.layer.layer)
            .field("proxy", &self.proxy.as_ref().map(ToString::to_string))
            .field("updates", &self.updates)
            .field("pfs", &self.pfs)
            .field("key_log", &self.key_log)
            .finish_non_exhaustive()
    }
}
