//! Several DCs in one process, on one state.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::control::{self, Command, CommandError, Reply};
use super::identity::{Identity, IdentityError};
use super::policy::{Open, Policy};
use super::server::work::Services;
use super::server::{self, Port, Shared};
use super::services::view::reference_step;
use super::services::{Cdn, CdnSettings, DcInfo, Rules, Settings};
use super::state::{self, State};
use tdl_core::crypto::keylog::KeyLogger;
use tdl_core::ids::DcId;
use tdl_core::tl::api::LAYER;
use tdl_core::trace::Tracer;

/// The most DCs: a phone number names its home with one digit.
pub const MAX_DCS: u8 = 9;

/// The number of the CDN DC; numbers of CDN DCs are far from those of the others.
pub const CDN_DC: i32 = 203;

/// The name of the file that tells clients where the cluster is.
pub const CLUSTER_FILE: &str = "cluster.json";

/// How a cluster is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where its state is kept; made if it is not there.
    pub dir: PathBuf,
    /// How many DCs, 1 to 9.
    pub dcs: u8,
    /// The port of DC 1; the others follow. Without one the ports of the last run in this directory are taken again if they are free,
    /// and any free ones otherwise. The ports that speak TLS are always chosen so.
    pub port_base: Option<u16>,
    /// New accounts have Premium, so that files may have 8000 parts (4000 MiB).
    pub premium: bool,
    /// Seconds for which a file reference can be used.
    pub file_reference_lifetime: i64,
    /// A CDN DC beside the others, if there is to be one.
    pub cdn: Option<Cdn>,
    /// Each DC has a second address, which clients are told is for file contents only.
    pub media_addresses: bool,
    /// Which of the real servers' rules about authorizations hold.
    pub rules: Rules,
    /// What may happen to a call before a service sees it.
    pub policy: Arc<dyn Policy>,
    /// Who hears what happens in the protocol.
    pub tracer: ClusterTracer,
    /// Who is told of every key that is made or used, if anybody is to be.
    pub key_log: KeyLogger,
}

/// A tracer, in a form that can be printed.
#[derive(Clone, Default)]
pub struct ClusterTracer(pub Tracer);

impl fmt::Debug for ClusterTracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterTracer")
    }
}

impl Config {
    /// Three DCs with their state in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            dcs: 3,
            port_base: None,
            premium: true,
            file_reference_lifetime: 86_400,
            cdn: None,
            media_addresses: false,
            rules: Rules::default(),
            policy: Arc::new(Open),
            tracer: ClusterTracer::default(),
            key_log: KeyLogger::off(),
        }
    }
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The number of DCs is out of range.
    #[error("a cluster has 1 to {MAX_DCS} DCs, not {0}")]
    Dcs(u8),
    /// The ports would run past the last one.
    #[error("{dcs} ports from {base} on: the last port is 65535")]
    Ports {
        /// The first port.
        base: u16,
        /// How many.
        dcs: u8,
    },
    /// A port cannot be listened on.
    #[error("listening on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// There is no certificate for TLS.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The thread that prepares the state ended.
    #[error("the thread that prepares the cluster's state ended")]
    Lost,
}

/// One DC as `cluster.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dc {
    /// Its number, from 1 on.
    pub id: i32,
    /// Its address.
    pub ip: String,
    /// Its port.
    pub port: u16,
    /// Only for file contents.
    pub media_only: bool,
    /// A CDN DC.
    pub cdn: bool,
    /// The port that speaks TLS, with WebSocket or HTTP inside as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
}

impl Dc {
    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip.parse().unwrap_or(Ipv4Addr::LOCALHOST.into()), self.port)
    }
}

/// `cluster.json`.
#[derive(Serialize, Deserialize)]
struct ClusterFile {
    layer: i32,
    dcs: Vec<Dc>,
    rsa_public_keys: Vec<String>,
    /// What the DCs show inside TLS, for clients to believe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls_root: Option<String>,
}

/// A running cluster. Dropped, it stops; [`shutdown`](Self::shutdown) also waits until it has.
pub struct Cluster {
    dir: PathBuf,
    dcs: Vec<Dc>,
    public_key: String,
    certificate: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    shared: Weak<Shared<Services>>,
    alive: mpsc::Receiver<()>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("dir", &self.dir).field("dcs", &self.dcs).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts a cluster, and writes `cluster.json` once it can be connected to.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !(1..=MAX_DCS).contains(&config.dcs) {
            return Err(StartError::Dcs(config.dcs));
        }
        let dir = config.dir.clone();
        let with_cdn = config.cdn.is_some();
        let (state, key, cdn_key, identity) = tokio::task::spawn_blocking(move || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let mut rng = rand::rng();
            let state = State::open(&dir, i64::try_from(now.as_secs()).unwrap_or(0), &mut rng)?;
            let key = state.rsa_key(&mut rng)?;
            let cdn_key = if with_cdn { Some(state.cdn_rsa_key(&mut rng)?) } else { None };
            let identity = Identity::open(&dir)?;
            Ok::<_, StartError>((state, key, cdn_key, identity))
        })
        .await
        .map_err(|_| StartError::Lost)??;

        let acceptor = identity.acceptor(&config.dir)?;
        let places = places(&config);
        let (listeners, tls_listeners) = listen(&config, &places).await?;
        let mut dcs = Vec::with_capacity(listeners.len());
        for (place, (listener, tls_listener)) in places.iter().zip(listeners.iter().zip(&tls_listeners)) {
            let (addr, tls_port) = (addr_of(listener)?, Some(addr_of(tls_listener)?.port()));
            let Place { id, media_only, cdn } = *place;
            dcs.push(Dc { id, ip: addr.ip().to_string(), port: addr.port(), media_only, cdn, tls_port });
        }
        let info = |dc: &Dc| DcInfo { media_only: dc.media_only, cdn: dc.cdn, ..DcInfo::new(dc.id, &dc.ip, dc.port) };
        let settings = Settings {
            dcs: dcs.iter().map(info).collect(),
            premium: config.premium,
            file_reference_lifetime: config.file_reference_lifetime,
            rules: config.rules,
            cdn: config.cdn.zip(cdn_key.as_ref()).map(|(cdn, key)| CdnSettings {
                dc: CDN_DC,
                public_key: key.public().to_pem(),
                rules: cdn,
            }),
        };
        state.set_reference_step(reference_step(config.file_reference_lifetime));
        let public_key = key.public().to_pem();
        let (alive_sender, alive) = mpsc::channel(1);
        let mut shared = Shared::new(
            state,
            Services::new(settings, config.policy),
            Arc::new([key]),
            config.tracer.0,
            config.key_log,
            alive_sender,
        );
        if let Some(key) = cdn_key {
            shared.set_keys_at(DcId(CDN_DC), Arc::new([key]));
        }
        let shared = Arc::new(shared);
        let (stop, stopped) = watch::channel(false);
        let bare = places.iter().zip(listeners).map(|(place, listener)| Port { listener, dc: DcId(place.id), tls: None });
        let wrapped = places.iter().zip(tls_listeners).map(|(place, listener)| Port {
            listener,
            dc: DcId(place.id),
            tls: Some(acceptor.clone()),
        });
        let mut tasks: Vec<_> =
            bare.chain(wrapped).map(|port| tokio::spawn(server::serve(port, Arc::clone(&shared), stopped.clone()))).collect();
        let commands = control::Listener::open(&config.dir).await?;
        let control_shared = Arc::downgrade(&shared);
        tasks.push(tokio::spawn(commands.serve(Arc::clone(&shared), stopped.clone())));
        tasks.push(tokio::spawn(server::tell::operators(shared, stopped)));
        let certificate = identity.certificate_pem().to_owned();
        let cluster = Self { dir: config.dir, dcs, public_key, certificate, stop, tasks, shared: control_shared, alive };
        cluster.write_file()?;
        Ok(cluster)
    }

    /// The DCs' addresses: the DCs by number, then those for file contents only, then a CDN DC.
    pub fn dcs(&self) -> &[Dc] {
        &self.dcs
    }

    /// The directory of the state.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where clients find the cluster described.
    pub fn file(&self) -> PathBuf {
        self.dir.join(CLUSTER_FILE)
    }

    /// The RSA key of all DCs but a CDN DC, whose clients learn it from `help.getCdnConfig`, in PEM.
    pub fn rsa_public_key(&self) -> &str {
        &self.public_key
    }

    /// The certificate that all DCs show inside TLS, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Tells the cluster something, as [`control::send`] does from another process. Waits for the database, so briefly.
    ///
    /// # Errors
    ///
    /// See [`CommandError`].
    pub fn command(&self, command: Command) -> Result<Reply, CommandError> {
        let shared = self.shared.upgrade().ok_or(CommandError::Stopped)?;
        control::execute(&shared, command)
    }

    /// What is under way is not delayed any further.
    fn end_delays(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.answers.faults.stop();
        }
    }

    /// Stops the cluster and waits until its connections are closed, its calls are done and its state is free for another one.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.end_delays();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has stopped as well.
            let _ = task.await;
        }
        while self.alive.recv().await.is_some() {}
    }

    fn write_file(&self) -> Result<(), state::Error> {
        let content = ClusterFile {
            layer: LAYER,
            dcs: self.dcs.clone(),
            rsa_public_keys: vec![self.public_key.clone()],
            tls_root: Some(self.certificate.clone()),
        };
        let path = self.file();
        let text = serde_json::to_string(&content).map_err(std::io::Error::from).map_err(state::Error::io("writing", &path))?;
        state::replace_private(&self.dir, CLUSTER_FILE, &text)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.end_delays();
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn bind(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind(local(port)).await.map_err(|source| StartError::Listen { addr: local(port), source })
}

fn addr_of(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { addr: local(0), source })
}

/// One address of one DC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    id: i32,
    media_only: bool,
    cdn: bool,
}

/// The addresses that a cluster is to have: one of each DC, then the second ones, then the CDN's.
fn places(config: &Config) -> Vec<Place> {
    let ids = || 1..=i32::from(config.dcs);
    let main = ids().map(|id| Place { id, media_only: false, cdn: false });
    let media = ids().filter(|_| config.media_addresses).map(|id| Place { id, media_only: true, cdn: false });
    let cdn = config.cdn.map(|_| Place { id: CDN_DC, media_only: false, cdn: true });
    main.chain(media).chain(cdn).collect()
}

/// The DCs of the last run in this directory.
fn last_dcs(config: &Config) -> Option<Vec<Dc>> {
    let text = std::fs::read(config.dir.join(CLUSTER_FILE)).ok()?;
    let file: ClusterFile = serde_json::from_slice(&text).ok()?;
    Some(file.dcs)
}

/// Listens for each address: at a port that speaks the transports, and at one that speaks TLS.
async fn listen(config: &Config, places: &[Place]) -> Result<(Vec<TcpListener>, Vec<TcpListener>), StartError> {
    let last = last_dcs(config).unwrap_or_default();
    let before = |place: &Place| {
        last.iter().find(|dc| (dc.id, dc.media_only, dc.cdn) == (place.id, place.media_only, place.cdn)).cloned()
    };
    let bare = match config.port_base {
        None => listen_again(places.iter().map(|place| before(place).map(|dc| dc.port))).await?,
        Some(base) => {
            let mut listeners = Vec::with_capacity(places.len());
            for n in 0..u16::try_from(places.len()).unwrap_or(u16::MAX) {
                let port = base.checked_add(n).ok_or(StartError::Ports { base, dcs: config.dcs })?;
                listeners.push(bind(port).await?);
            }
            listeners
        }
    };
    Ok((bare, listen_again(places.iter().map(|place| before(place).and_then(|dc| dc.tls_port))).await?))
}

/// At the ports of the last time, as far as they are free, and otherwise at any.
async fn listen_again(last: impl Iterator<Item = Option<u16>>) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for port in last {
        match bind(port.unwrap_or(0)).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                tracing::debug!(%error, "another port instead of the last one");
                listeners.push(bind(0).await?);
            }
        }
    }
    Ok(listeners)
}
