//! What a command works with.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tdl::{
    account::{self, OwnersIdentity},
    client::{Client, ClientConfig, DcTable, Identity, Introduction, LayerPlan, MemoryPersistence, Persistence, TlsTrust},
    ids::DcId,
    store::{Borrowed, Error as StoreError, Home, Namespace, foreign::ForeignSession},
    tl::layers::bundled,
    trace::Tracer,
    transport::{self, Carrier},
};
use tokio::sync::broadcast::error::RecvError;

use super::{
    args::TransportKind,
    device,
    exit::CliError,
    keylog,
    output::{Output, printable},
    passphrase,
    settings::{Cluster, Settings},
    signals::Interrupt,
    trace::Tracing,
};

/// The variable that names further certificates to believe inside TLS.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// Settings, the home, and the ways out: standard output, standard error, signals.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    pub(crate) interrupt: Interrupt,
    pub(crate) home: Home,
    tracing: Tracing,
}

/// Whether the namespace holds a login, as far as is known here.
pub(crate) fn has_login(namespace: &Namespace) -> Result<bool, CliError> {
    // A key can be logged in without a record of the account, if the login was cut off at that very point.
    Ok(namespace.account()?.is_some() || namespace.dc_auths()?.iter().any(|auth| auth.authorized))
}

/// Refuses a namespace whose authorization has ended, in the words of the one that heard of it: nobody asks again.
pub(crate) fn not_ended(namespace: &Namespace) -> Result<(), CliError> {
    match namespace.ended()? {
        None => Ok(()),
        Some(ended) => Err(CliError::ended(namespace.name(), &ended)),
    }
}

/// Local Unix time.
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Local Unix time in seconds.
pub(crate) fn unix_now() -> i64 {
    i64::try_from(wall_clock().as_secs()).unwrap_or(i64::MAX)
}

impl Context {
    pub(crate) fn new(settings: Settings, output: Output, interrupt: Interrupt) -> Self {
        let home = Home::at(&settings.home);
        Self { settings, output, interrupt, home, tracing: Tracing::default() }
    }

    /// The trace that the flags ask for.
    pub(crate) fn tracer(&self) -> Result<Tracer, CliError> {
        self.tracing.tracer(&self.settings, &self.output)
    }

    /// The command has ended: what is left of the trace is written.
    pub(crate) fn finish(&self) {
        self.tracing.finish(&self.output);
    }

    /// The namespace, which must exist. A missing one was never logged in.
    pub(crate) fn open_namespace(&self) -> Result<Arc<Namespace>, CliError> {
        match self.home.open_existing(&self.settings.ns, unix_now()) {
            Ok(namespace) => {
                let namespace = self.opened(namespace);
                passphrase::unlock(&self.settings.passphrase, &namespace)?;
                Ok(namespace)
            }
            Err(StoreError::NoSuchNamespace { name, .. }) => Err(CliError::not_logged_in(name)),
            Err(error) => Err(error.into()),
        }
    }

    /// The namespace, made if it does not exist.
    pub(crate) fn create_namespace(&self) -> Result<Arc<Namespace>, CliError> {
        let namespace = self.opened(self.home.open(&self.settings.ns, unix_now())?);
        passphrase::unlock(&self.settings.passphrase, &namespace)?;
        Ok(namespace)
    }

    /// The namespace, if it exists. An encrypted one stays locked unless its passphrase is to be had without asking.
    pub(crate) fn namespace_if_any(&self) -> Result<Option<Arc<Namespace>>, CliError> {
        match self.home.open_existing(&self.settings.ns, unix_now()) {
            Ok(namespace) => {
                let namespace = self.opened(namespace);
                passphrase::unlock_quietly(&self.settings.passphrase, &namespace)?;
                Ok(Some(namespace))
            }
            Err(StoreError::NoSuchNamespace { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn opened(&self, namespace: Namespace) -> Arc<Namespace> {
        for path in namespace.repaired() {
            self.output.note(&format!("other users could read {}; now it is yours alone", path.display()));
        }
        Arc::new(namespace)
    }

    /// A client for a command that needs a login: the namespace exists and is logged in, as far as is known here.
    pub(crate) async fn logged_in(&self) -> Result<(Client, Arc<Namespace>), CliError> {
        let namespace = self.namespace_with_login()?;
        let client = self.connect(&namespace).await?;
        Ok((client, namespace))
    }

    /// The same, for a command whose users do not wait: it sits out no wait of the server that is longer than `patience`.
    pub(crate) async fn logged_in_with_patience(&self, patience: Duration) -> Result<(Client, Arc<Namespace>), CliError> {
        let namespace = self.namespace_with_login()?;
        let client = self.connect_as(&namespace, |config| config.max_flood_wait = config.max_flood_wait.min(patience)).await?;
        Ok((client, namespace))
    }

    /// The same, for a command that listens for updates: only then does the server send any.
    pub(crate) async fn listening(&self) -> Result<(Client, Arc<Namespace>), CliError> {
        let namespace = self.namespace_with_login()?;
        let client = self.connect_listening(&namespace).await?;
        Ok((client, namespace))
    }

    /// A client over the namespace that listens for updates.
    pub(crate) async fn connect_listening(&self, namespace: &Arc<Namespace>) -> Result<Client, CliError> {
        self.connect_as(namespace, |config| config.updates = true).await
    }

    /// The namespace of a command that needs a login, without a client.
    pub(crate) fn namespace_with_login(&self) -> Result<Arc<Namespace>, CliError> {
        let namespace = self.open_namespace()?;
        not_ended(&namespace)?;
        if has_login(&namespace)? { Ok(namespace) } else { Err(CliError::not_logged_in(namespace.name())) }
    }

    /// A client over the namespace. Nothing is dialled before the first call. What it has to report goes to standard error.
    pub(crate) async fn connect(&self, namespace: &Arc<Namespace>) -> Result<Client, CliError> {
        self.connect_as(namespace, |_| {}).await
    }

    /// The same, with changes to what the settings say.
    async fn connect_as(&self, namespace: &Arc<Namespace>, change: impl FnOnce(&mut ClientConfig)) -> Result<Client, CliError> {
        let (table, name) = self.cluster()?;
        namespace.bind_cluster(&name)?;
        let mut config = self.client_config(table, Some(namespace))?;
        change(&mut config);
        if let Some(borrowed) = namespace.borrowed()? {
            config = self.as_borrower(config, namespace, &borrowed)?;
        }
        let tracer = self.tracer()?;
        self.connect_by(namespace, config, tracer).await
    }

    /// A client over the namespace that covers no traces: it says nothing of itself. It listens for updates only if it is to.
    pub(crate) async fn onlooker(&self, namespace: &Arc<Namespace>, listens: bool, tracer: Tracer) -> Result<Client, CliError> {
        let (table, name) = self.cluster()?;
        namespace.bind_cluster(&name)?;
        let mut config = self.client_config(table, Some(namespace))?;
        if let Some(borrowed) = namespace.borrowed()? {
            config = self.as_borrower(config, namespace, &borrowed)?;
        }
        config.updates = listens;
        config.introduction = Introduction::Silent;
        self.connect_by(namespace, config, tracer).await
    }

    async fn connect_by(
        &self,
        namespace: &Arc<Namespace>,
        mut config: ClientConfig,
        tracer: Tracer,
    ) -> Result<Client, CliError> {
        if let Some(proxy) = &config.proxy {
            self.output.detail(&format!("going through {proxy}"));
        }
        config.key_log = keylog::logger(&self.settings, &self.output)?;
        let store: Arc<dyn Persistence> = namespace.clone();
        let client = Client::connect(config, store, tracer).await?;
        self.show_notices(&client);
        Ok(client)
    }

    /// The configuration of a client that lives on another program's key: as that program introduces itself, and without anything that would
    /// disturb it.
    fn as_borrower(&self, config: ClientConfig, namespace: &Namespace, borrowed: &Borrowed) -> Result<ClientConfig, CliError> {
        let whose = format!("namespace '{}' lives on the key of {}", namespace.name(), printable(&borrowed.program));
        let isolate = "get a key of your own first: `tdl session isolate`";
        if config.updates {
            return Err(CliError::failed(format!("{whose}, and would take away its updates by listening")).advise(isolate));
        }
        if self.settings.device.is_some() || (borrowed.introduces && self.settings.layer.is_some()) {
            return Err(CliError::usage(format!("{whose}: its device and its layer are kept")).advise(isolate));
        }
        let identity = namespace.identity()?.filter(|_| borrowed.introduces);
        let owner = identity.map(|Identity { device, layer, api_id }| OwnersIdentity { device, layer, api_id });
        Ok(account::lent(config, owner))
    }

    /// The namespace if it exists and belongs to these data centres: for commands that want to know of it and do not need it.
    pub(crate) fn existing_namespace(&self, table: &DcTable) -> Result<Option<Arc<Namespace>>, CliError> {
        let Some(namespace) = self.namespace_if_any()? else { return Ok(None) };
        let same = namespace.cluster()?.is_none_or(|name| name == cluster_name(table));
        if !same {
            self.output.note(&format!("namespace '{}' belongs to another Telegram: nothing of it is used", namespace.name()));
        }
        Ok(same.then_some(namespace))
    }

    /// A client that only looks at data centres from outside: it makes no request, so it needs no application and no namespace.
    /// `timeout`: for each step.
    pub(crate) async fn outsider(&self, timeout: Option<Duration>) -> Result<Client, CliError> {
        let (table, _) = self.cluster()?;
        let mut config = self.config_as(table, (0, String::new()), None)?;
        config.dial_timeout = timeout.unwrap_or(config.dial_timeout);
        self.forgetful(config).await
    }

    /// A client that nobody is logged in with: its keys are made for it and forgotten with it.
    pub(crate) async fn stranger(&self) -> Result<Client, CliError> {
        let (table, _) = self.cluster()?;
        let namespace = self.existing_namespace(&table)?;
        let mut config = self.client_config(table, namespace.as_deref())?;
        // A second key, to keep the first one out of the traffic, is of no use where both end with the command.
        config.pfs = None;
        self.forgetful(config).await
    }

    /// A client on another program's key, for the one call that lets a key of our own in: see [`account::lent`].
    pub(crate) async fn lent_client(
        &self,
        session: &ForeignSession,
        owner: Option<OwnersIdentity>,
    ) -> Result<Client, CliError> {
        let (table, _) = self.cluster()?;
        let config = self.client_config(table, None)?;
        let own = Identity { device: config.device.clone(), layer: config.layer.layer, api_id: config.api_id };
        let identity = match &owner {
            Some(owner) => Identity { device: owner.device.clone(), layer: owner.layer, api_id: owner.api_id },
            None => own,
        };
        let mut config = account::lent(config, owner);
        let tracer = self.tracer()?;
        config.key_log = keylog::logger(&self.settings, &self.output)?;
        let store = session.memory(&identity, unix_now())?;
        let client = Client::connect(config, Arc::new(store), tracer).await?;
        self.show_notices(&client);
        Ok(client)
    }

    async fn forgetful(&self, mut config: ClientConfig) -> Result<Client, CliError> {
        let tracer = self.tracer()?;
        config.key_log = keylog::logger(&self.settings, &self.output)?;
        let client = Client::connect(config, Arc::new(MemoryPersistence::new()), tracer).await?;
        self.show_notices(&client);
        Ok(client)
    }

    /// The data centres to use, and the name under which a namespace is tied to them.
    pub(crate) fn cluster(&self) -> Result<(DcTable, String), CliError> {
        let table = match &self.settings.cluster {
            Cluster::Production => DcTable::production(),
            Cluster::PublicTest => DcTable::public_test(),
            Cluster::File(path) => {
                read_table(path).map_err(|e| e.advise("--dc-config names a file in the format of a sandbox's cluster.json"))?
            }
            Cluster::Sandbox(dir) => read_table(&dir.join("cluster.json"))
                .map_err(|e| e.advise(format!("start the cluster first: `tdl sandbox up --dir {}`", dir.display())))?,
        };
        let name = cluster_name(&table);
        Ok((table, name))
    }

    fn client_config(&self, table: DcTable, namespace: Option<&Namespace>) -> Result<ClientConfig, CliError> {
        let settings = &self.settings;
        let identity = namespace.map(|namespace| namespace.identity()).transpose()?.flatten();
        // A cluster on this machine takes any application.
        let local = table.dcs.iter().all(|dc| dc.ip.is_loopback());
        let known = settings.app_id.or(identity.as_ref().map(|i| i.api_id));
        let (api_id, api_hash) = match (known, &settings.app_hash) {
            (Some(id), Some(hash)) => (id, hash.clone()),
            // The hash is asked for at the login only, and `login` checks that it is there.
            (Some(id), None) => (id, String::new()),
            (None, _) if local => (1, "sandbox".to_owned()),
            (None, _) => return Err(no_application()),
        };
        self.config_as(table, (api_id, api_hash), namespace)
    }

    fn config_as(
        &self,
        table: DcTable,
        (api_id, api_hash): (i32, String),
        namespace: Option<&Namespace>,
    ) -> Result<ClientConfig, CliError> {
        let settings = &self.settings;
        let identity: Option<Identity> = namespace.map(|namespace| namespace.identity()).transpose()?.flatten();
        // What a namespace has spoken it goes on speaking, as long as this program can.
        let spoken = identity.as_ref().map(|identity| identity.layer).filter(|layer| bundled().contains(layer));
        let mut config = ClientConfig::new(table, api_id, api_hash);
        config.device = device::in_use(settings.device.as_deref(), namespace)?;
        config.layer = settings.layer.or(spoken).map_or(LayerPlan::COMPILED, LayerPlan::fixed);
        (config.carrier, config.transport) = transport_options(settings.transport);
        config.proxy = settings.proxy.clone();
        config.tls_roots = further_roots(&config)?;
        config.ipv6_first = settings.ipv6;
        config.pfs = settings.pfs;
        config.reconnect_timeout = settings.reconnect_timeout;
        config.max_flood_wait = settings.max_flood_wait;
        config.transfer_connections = usize::from(settings.pool);
        Ok(config)
    }

    /// Shows what delays a call, while it is being delayed.
    fn show_notices(&self, client: &Client) {
        let mut notices = client.notices();
        let output = self.output.clone();
        tokio::spawn(async move {
            loop {
                match notices.recv().await {
                    Ok(notice) => output.notice(&notice),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
}

/// The error of a login at Telegram itself without an application of one's own.
pub(crate) fn no_application() -> CliError {
    CliError::usage("Telegram wants to know your application: --app-id and --app-hash are missing")
        .advise("get both, free, at https://my.telegram.org/apps, then give them once with `tdl login`, or put app-id and app-hash into config.toml")
}

pub(crate) fn read_table(path: &Path) -> Result<DcTable, CliError> {
    DcTable::read(path).map_err(|e| CliError::usage(format!("{}: {}", path.display(), super::exit::chain(&e))))
}

/// A name for people that stays the same as long as the RSA keys do.
pub(crate) fn cluster_name(table: &DcTable) -> String {
    let keys = |table: &DcTable| {
        let mut keys: Vec<String> = table.rsa_public_keys.iter().map(|key| key.split_whitespace().collect()).collect();
        keys.sort_unstable();
        keys
    };
    let own = keys(table);
    if own == keys(&DcTable::production()) {
        return "production".to_owned();
    }
    if own == keys(&DcTable::public_test()) {
        return "test".to_owned();
    }
    let digest = Sha256::digest(own.join("\n").as_bytes());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("cluster-{short}")
}

/// The certificates that the environment names beside those of the public web, where any are asked for: the variable is OpenSSL's.
fn further_roots(config: &ClientConfig) -> Result<Vec<String>, CliError> {
    let asked = config.carrier.is_tls() || matches!(config.proxy, Some(transport::Proxy::Http { tls: true, .. }));
    let Some(path) = std::env::var_os(CERTIFICATES).filter(|path| asked && !path.is_empty()) else { return Ok(Vec::new()) };
    let wrong = |what: String| {
        CliError::usage(format!("{CERTIFICATES} names {}: {what}", Path::new(&path).display()))
            .advise("name a file of certificates in PEM, or unset the variable")
    };
    let roots = vec![std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?];
    TlsTrust::public(&roots).map_err(|error| wrong(error.to_string()))?;
    Ok(roots)
}

pub(crate) fn transport_options(kind: TransportKind) -> (Carrier, transport::Options) {
    use transport::Kind;
    let carrier = match kind {
        TransportKind::Http => Carrier::Http,
        TransportKind::Https => Carrier::HttpTls,
        TransportKind::Ws => Carrier::WebSocket,
        TransportKind::Wss => Carrier::WebSocketTls,
        _ => Carrier::Stream,
    };
    let (kind, obfuscated) = match kind {
        // HTTP has no kinds; that of its options does not matter.
        TransportKind::Auto
        | TransportKind::Obfuscated
        | TransportKind::Ws
        | TransportKind::Wss
        | TransportKind::Http
        | TransportKind::Https => (Kind::PaddedIntermediate, true),
        TransportKind::ObfuscatedFull => (Kind::Full, true),
        TransportKind::ObfuscatedAbridged => (Kind::Abridged, true),
        TransportKind::ObfuscatedIntermediate => (Kind::Intermediate, true),
        TransportKind::Abridged => (Kind::Abridged, false),
        TransportKind::Intermediate => (Kind::Intermediate, false),
        TransportKind::Padded => (Kind::PaddedIntermediate, false),
        TransportKind::Full => (Kind::Full, false),
    };
    // The client fills in the DC of each connection.
    (carrier, transport::Options { kind, obfuscated, dc: DcId(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_transport_means_something_of_its_own() {
        use clap::ValueEnum;
        let all: Vec<_> = TransportKind::value_variants().iter().map(|kind| transport_options(*kind)).collect();
        let (auto, obfuscated) = (transport_options(TransportKind::Auto), transport_options(TransportKind::Obfuscated));
        assert_eq!(auto, obfuscated, "two names for one thing");
        for (at, meaning) in all.iter().enumerate().skip(1) {
            let same = all.iter().skip(1).filter(|other| *other == meaning).count();
            assert_eq!(same, 1, "{at}: {meaning:?}");
        }
        assert_eq!(transport_options(TransportKind::Http).0, Carrier::Http);
        let (carrier, options) = transport_options(TransportKind::Ws);
        assert_eq!((carrier, options.obfuscated), (Carrier::WebSocket, true));
        let (carrier, options) = transport_options(TransportKind::Wss);
        assert_eq!((carrier, options.obfuscated), (Carrier::WebSocketTls, true));
        assert_eq!(transport_options(TransportKind::Https).0, Carrier::HttpTls);
    }

    #[test]
    fn clusters_are_told_apart_by_their_keys() {
        assert_eq!(cluster_name(&DcTable::production()), "production");
        assert_eq!(cluster_name(&DcTable::public_test()), "test");
        let mut other = DcTable::production();
        other.rsa_public_keys = vec!["-----BEGIN RSA PUBLIC KEY-----\nAA==\n-----END RSA PUBLIC KEY-----".into()];
        let name = cluster_name(&other);
        assert!(name.starts_with("cluster-") && name.len() == 16, "{name}");
        other.rsa_public_keys[0].push('\n');
        assert_eq!(cluster_name(&other), name, "white space is no key");
    }
}
