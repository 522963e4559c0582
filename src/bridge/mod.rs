//! A bridge: between a client that trusts its key and data centres whose keys we hold. Both sides are decrypted, traced, changed by rules if
//! there are any, and encrypted again. On this machine only.
//!
//! | file | subject |
//! |---|---|
//! | here | starting and stopping; what a client has to know (`bridge.json`) |
//! | `relay.rs` | a call on its way, and back |
//! | `line.rs` | one session's way to the data centre |
//! | `keys.rs` | the keys at the data centres, one for each of the clients' |
//! | `addresses.rs` | addresses in answers, so that clients stay |
//! | [`rules`] | what is changed |
//!
//! Towards the client the bridge is a server like the sandbox's, with the same transports, key exchange and sessions, temporary keys
//! included. Towards the data centre it is a client. What maps to what:
//!
//! | the client's | the bridge's |
//! |---|---|
//! | permanent key | a permanent key, so that a login is a login of both |
//! | temporary key | ends here: the one behind it counts |
//! | session | a session on a connection of its own, which rests while the client's is gone |
//! | call | a call, byte by byte but for `invokeAfterMsg` |
//! | acknowledgements, pings, salts, resends | end here, and begin anew |
//!
//! Left out: content-delivery DCs, whose keys clients learn from the server; and destroying a key (`destroy_auth_key`) forgets the bridge's
//! own without telling the data centre.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use self::addresses::{Addresses, Listening};
use self::keys::Keys;
use self::relay::{Relay, Shared};
use self::rules::{Rule, Rules};
use crate::client::{DcAddress, DcTable, DcTableError};
use crate::crypto::keylog::KeyLogger;
use crate::crypto::rsa::RsaError;
use crate::ids::DcId;
use crate::net::{Clock, LinkConfig, Prelude, Status, TcpDialer};
use crate::sandbox::cluster::CLUSTER_FILE;
use crate::sandbox::server::{self, Port};
use crate::sandbox::state::{self, State};
use crate::tl;
use crate::trace::Tracer;
use crate::transport::{self, Carrier};

mod addresses;
mod keys;
mod line;
mod relay;
pub mod rules;

/// The name of the file that tells clients where the bridge is.
pub const BRIDGE_FILE: &str = "bridge.json";

/// How often sessions that nobody came back to are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Notices that wait for whoever shows them; of more, the oldest are lost.
const NOTICES: usize = 256;
/// How long a data centre may take to accept a connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How a bridge is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen: the first data centre's address; the others get the ports behind it. With port 0, the ports of the last run if
    /// they are free, and any otherwise.
    pub listen: SocketAddr,
    /// The data centres.
    pub to: DcTable,
    /// Where keys are kept; made if it is not there.
    pub dir: PathBuf,
    /// What is changed.
    pub rules: Vec<Rule>,
    /// Decides about rules with a probability.
    pub seed: u64,
    /// How the bridge talks to the data centres.
    pub transport: transport::Options,
    /// What carries that.
    pub carrier: Carrier,
    /// How long to try to reach a data centre before a call is answered with an error; zero for ever.
    pub reconnect_timeout: Duration,
    /// Who hears what happens on both sides.
    pub tracer: Tracer,
    /// Who is told of the keys of both sides.
    pub key_log: KeyLogger,
}

impl Config {
    /// A bridge on any free ports of 127.0.0.1, without rules.
    pub fn new(to: DcTable, dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            to,
            dir: dir.into(),
            rules: Vec::new(),
            seed: 0,
            transport: transport::Options { kind: transport::Kind::PaddedIntermediate, obfuscated: true, dc: DcId(0) },
            carrier: Carrier::Stream,
            reconnect_timeout: Duration::from_secs(10),
            tracer: Tracer::off(),
            key_log: KeyLogger::off(),
        }
    }
}

/// Why a bridge could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It would be reachable from elsewhere.
    #[error("a bridge listens on loopback only, and {0} is not")]
    ListenElsewhere(IpAddr),
    /// It would reach elsewhere.
    #[error("a bridge leads to data centres on this machine only, and {dc} is at {ip}")]
    LeadsElsewhere {
        /// The data centre.
        dc: DcId,
        /// Its address.
        ip: IpAddr,
    },
    /// There is nothing to lead to.
    #[error("no data centre to lead to is listed (CDNs do not count)")]
    Nowhere,
    /// The ports would run past the last one.
    #[error("{count} ports from {base} on: the last port is 65535")]
    Ports {
        /// The first port.
        base: u16,
        /// How many.
        count: usize,
    },
    /// A port cannot be listened on.
    #[error("listening on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory is a cluster's.
    #[error("{} holds a cluster's state, not a bridge's", .0.display())]
    ClusterDir(PathBuf),
    /// Another bridge has the directory.
    #[error("another bridge is running with the state in {}", .0.display())]
    Busy(PathBuf),
    /// The directory belongs to other data centres.
    #[error("the state in {} belongs to a bridge to other data centres", .0.display())]
    OtherCluster(PathBuf),
    /// An RSA key of the data centres cannot be read.
    #[error(transparent)]
    Table(#[from] DcTableError),
    /// The bridge's own RSA key cannot be used.
    #[error("the bridge's RSA key: {0}")]
    Rsa(#[from] RsaError),
    /// The state cannot be used.
    #[error("the bridge's state: {0}")]
    State(state::Error),
    /// The thread that prepares the state ended.
    #[error("the thread that prepares the bridge's state ended")]
    Lost,
}

impl From<state::Error> for StartError {
    fn from(error: state::Error) -> Self {
        match error {
            state::Error::Busy(dir) => Self::Busy(dir),
            error => Self::State(error),
        }
    }
}

/// Something that whoever runs the bridge may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// What a connection to a data centre is doing.
    Upstream {
        /// The data centre.
        dc: DcId,
        /// What it does.
        status: Status,
    },
    /// A call could not be carried there and back: the client was answered with a timeout.
    Unanswered {
        /// The data centre.
        dc: DcId,
        /// The method.
        method: u32,
        /// Why.
        reason: String,
    },
    /// The data centre has forgotten a key: the client's that it stood for is forgotten as well.
    KeyLost {
        /// The data centre.
        dc: DcId,
        /// The client's key.
        key_id: i64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream { dc, status } => match status {
                Status::KeyExchange => write!(f, "{dc}: making a key for a client's"),
                Status::Reconnecting { attempt, delay, reason } => {
                    write!(f, "{dc}: {reason}; attempt {} in {} ms", attempt.saturating_add(1), delay.as_millis())
                }
                Status::Reconnected { attempts } => write!(f, "{dc}: connected again after {attempts} attempt(s)"),
                Status::Flooded { wait } => write!(f, "{dc}: too many connections; waiting {} s", wait.as_secs()),
                Status::GaveUp { reason } => write!(f, "{dc}: given up until the next call: {reason}"),
            },
            Self::Unanswered { dc, method, reason } => {
                write!(f, "{dc}: {} is answered with a timeout: {reason}", tl::name_of(*method).unwrap_or("a call"))
            }
            Self::KeyLost { dc, key_id } => {
                write!(f, "{dc} has forgotten the key that stood for a client's, {key_id:#018x}: the client's is forgotten too")
            }
        }
    }
}

/// One data centre, as a client of the bridge sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Where the bridge listens for it.
    pub at: DcAddress,
    /// Where it is.
    pub leads_to: Vec<SocketAddr>,
}

/// A running bridge. Dropped, it stops; [`shutdown`](Self::shutdown) also waits until it has.
pub struct Bridge {
    dir: PathBuf,
    entrances: Vec<Entrance>,
    public_key: String,
    fingerprint: i64,
    notices: broadcast::Sender<Notice>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    alive: mpsc::Receiver<()>,
    shared: std::sync::Weak<Shared>,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("dir", &self.dir).field("entrances", &self.entrances).finish_non_exhaustive()
    }
}

impl Bridge {
    /// Starts a bridge, and writes `bridge.json` once it can be connected to.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let leads_to = check(&config)?;
        let rsa_keys = config.to.public_keys()?.into();
        let dir = config.dir.clone();
        let name = config.to.rsa_public_keys.iter().map(|key| key.split_whitespace().collect::<String>()).collect::<Vec<_>>();
        let (state, key) =
            tokio::task::spawn_blocking(move || open(&dir, &name.join("\n"))).await.map_err(|_| StartError::Lost)??;

        let listeners = listen(&config, leads_to.len()).await?;
        let mut entrances = Vec::with_capacity(listeners.len());
        for (listener, (dc, media_only)) in listeners.iter().zip(&leads_to) {
            let addr = listener.local_addr().map_err(|source| StartError::Listen { addr: config.listen, source })?;
            let at =
                DcAddress { id: dc.0, ip: addr.ip(), port: addr.port(), media_only: *media_only, cdn: false, tls_port: None };
            entrances.push(Entrance { at, leads_to: config.to.addresses(*dc, false, true) });
        }
        let table = DcTable {
            layer: config.to.layer,
            dcs: entrances.iter().map(|entrance| entrance.at.clone()).collect(),
            rsa_public_keys: vec![key.public().to_pem()],
            test: false,
            web_hosts: BTreeMap::new(),
            tls_root: None,
        };
        let listening = |entrance: &Entrance| Listening {
            dc: entrance.at.id,
            media_only: entrance.at.media_only,
            addr: SocketAddr::new(entrance.at.ip, entrance.at.port),
        };
        let (stop, stopped) = watch::channel(false);
        let (notices, _) = broadcast::channel(NOTICES);
        let relay = Relay {
            addresses: Addresses(entrances.iter().map(listening).collect()),
            rules: Rules::new(config.rules.clone(), config.seed),
            keys: Keys::default(),
            layers: Mutex::default(),
            link: link_config(&config, rsa_keys),
            notices: notices.clone(),
            stop: stopped.clone(),
            to: config.to,
        };
        let (public_key, fingerprint) = (key.public().to_pem(), key.public().fingerprint());
        let (alive_sender, alive) = mpsc::channel(1);
        let shared = Arc::new(Shared::new(state, relay, Arc::new([key]), config.tracer, config.key_log, alive_sender));
        let mut tasks: Vec<_> = listeners
            .into_iter()
            .zip(&leads_to)
            .map(|(listener, (dc, _))| Port { listener, dc: *dc, tls: None })
            .map(|port| tokio::spawn(server::serve(port, Arc::clone(&shared), stopped.clone())))
            .collect();
        tasks.push(tokio::spawn(sweep(Arc::clone(&shared), stopped)));
        let shared = Arc::downgrade(&shared);
        let bridge = Self { dir: config.dir, entrances, public_key, fingerprint, notices, stop, tasks, alive, shared };
        table.write(&bridge.file())?;
        Ok(bridge)
    }

    /// Where it listens and where that leads, in the order of the ports.
    pub fn entrances(&self) -> &[Entrance] {
        &self.entrances
    }

    /// The directory of the state.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where clients find the bridge described, in the format of `cluster.json`.
    pub fn file(&self) -> PathBuf {
        self.dir.join(BRIDGE_FILE)
    }

    /// The RSA key by which clients know the bridge, in PEM.
    pub fn rsa_public_key(&self) -> &str {
        &self.public_key
    }

    /// Its fingerprint.
    pub fn rsa_fingerprint(&self) -> i64 {
        self.fingerprint
    }

    /// What happens from here on that a person may want to hear of.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Stops the bridge and waits until its connections are closed and its state is free for another one.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has stopped as well.
            let _ = task.await;
        }
        if let Some(shared) = self.shared.upgrade() {
            relay::hang_up(&shared);
        }
        while self.alive.recv().await.is_some() {}
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        if let Some(shared) = self.shared.upgrade() {
            relay::hang_up(&shared);
        }
    }
}

/// The data centres to listen for: each once, and once more if it has addresses for files alone.
fn check(config: &Config) -> Result<Vec<(DcId, bool)>, StartError> {
    if !config.listen.ip().is_loopback() {
        return Err(StartError::ListenElsewhere(config.listen.ip()));
    }
    if let Some(dc) = config.to.dcs.iter().find(|dc| !dc.ip.is_loopback()) {
        return Err(StartError::LeadsElsewhere { dc: DcId(dc.id), ip: dc.ip });
    }
    let mut found: Vec<(DcId, bool)> =
        config.to.dcs.iter().filter(|dc| !dc.cdn).map(|dc| (DcId(dc.id), dc.media_only)).collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Err(StartError::Nowhere) } else { Ok(found) }
}

fn open(dir: &Path, belongs_to: &str) -> Result<(State, crate::crypto::rsa::PrivateKey), StartError> {
    if dir.join(CLUSTER_FILE).exists() {
        return Err(StartError::ClusterDir(dir.to_owned()));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut rng = rand::rng();
    let state = State::open(dir, i64::try_from(now.as_secs()).unwrap_or(0), &mut rng)?;
    if !keys::belongs_to(&state, belongs_to)? {
        return Err(StartError::OtherCluster(dir.to_owned()));
    }
    let key = state.rsa_key(&mut rng)?;
    Ok((state, key))
}

fn link_config(config: &Config, rsa_keys: Arc<[crate::crypto::rsa::PublicKey]>) -> LinkConfig {
    LinkConfig {
        dc: DcId(0),
        wire_dc: DcId(0),
        addrs: Vec::new(),
        transport: config.transport,
        carrier: config.carrier,
        quick_acks: false,
        rsa_keys,
        dialer: Arc::new(TcpDialer),
        clock: Clock::system(),
        tracer: config.tracer.clone(),
        prelude: Prelude::default(),
        dial_timeout: DIAL_TIMEOUT,
        reconnect_timeout: config.reconnect_timeout,
        // The client decides how long it waits.
        request_timeout: Duration::ZERO,
        max_in_flight: usize::MAX,
        pfs: None,
        key_log: config.key_log.clone(),
        opener: Arc::default(),
        sealer: Arc::default(),
        seed: [0; 32],
    }
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).await.map_err(|source| StartError::Listen { addr, source })
}

async fn listen(config: &Config, count: usize) -> Result<Vec<TcpListener>, StartError> {
    let (ip, base) = (config.listen.ip(), config.listen.port());
    let mut listeners = Vec::with_capacity(count);
    if base != 0 {
        let ports = (0..count).map(|n| u16::try_from(n).ok().and_then(|n| base.checked_add(n)));
        let ports: Vec<u16> = ports.collect::<Option<_>>().ok_or(StartError::Ports { base, count })?;
        for port in ports {
            listeners.push(bind(SocketAddr::new(ip, port)).await?);
        }
        return Ok(listeners);
    }
    let last = DcTable::read(&config.dir.join(BRIDGE_FILE)).ok().filter(|last| last.dcs.len() == count);
    let last: Vec<u16> = last.map_or_else(Vec::new, |last| last.dcs.iter().map(|dc| dc.port).collect());
    for n in 0..count {
        let wanted = last.get(n).copied().unwrap_or(0);
        let listener = match bind(SocketAddr::new(ip, wanted)).await {
            Err(error) if wanted != 0 => {
                tracing::debug!(%error, "another port instead of the last one");
                bind(SocketAddr::new(ip, 0)).await?
            }
            other => other?,
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn sweep(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SWEEP) => shared.sessions.sweep(shared.now()),
        }
    }
}

#[cfg(test)]
mod tests;
