//! What the doctor finds is provoked on a cluster, one thing after the other; and a healthy setup yields nothing.
#![cfg(all(feature = "sandbox", feature = "store"))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tdl::account::doctor::{Evidence, Finding, Fix, Plan, Witness, diagnose, gather, own_address};
use tdl::account::{self, CodeAnswer, CodeSent, LoginPrompts, LoginRequest, Name, PromptError};
use tdl::client::{
    AuthKey, Client, ClientConfig, DcAuth, DcTable, DeviceProfile, Identity, Introduction, InvokeError, KeyUse, LayerPlan,
    MemoryPersistence, Persistence, TempAuth, Unauthorized,
};
use tdl::clock::Now;
use tdl::ids::DcId;
use tdl::mtproto::session::{ClientParams, FutureSalt, RequestOptions, Session};
use tdl::sandbox::{Cluster, Command, Config, Fault, FaultRule, Policy, policy::CallInfo};
use tdl::tl::api::{enums, functions, types};
use tdl::tl::{Identifiable as _, Serialize as _};
use tdl::trace::{Collector, Event, Layer, LayerSet, Tracer};

const ANN: &str = "9996611111";
const BOB: &str = "9996612222";
const DAY: i64 = 86_400;

/// A cluster, and where it is.
struct Stage {
    dir: tempfile::TempDir,
    cluster: Option<Cluster>,
    table: DcTable,
}

impl Stage {
    async fn set() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path());
        change(&mut config);
        let cluster = Cluster::start(config).await.unwrap();
        let table = DcTable::read(&cluster.file()).unwrap();
        Self { dir, cluster: Some(cluster), table }
    }

    fn command(&self, command: Command) {
        self.cluster.as_ref().unwrap().command(command).unwrap();
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(self.table.clone(), 7, "test");
        config.reconnect_timeout = Duration::from_secs(20);
        config
    }

    async fn client(&self, config: ClientConfig, store: &Arc<MemoryPersistence>) -> Client {
        Client::connect(config, Arc::clone(store) as _, Tracer::off()).await.unwrap()
    }

    /// An account's login, and what it is kept in.
    async fn login(&self, phone: &str) -> Arc<MemoryPersistence> {
        let store = Arc::new(MemoryPersistence::new());
        let client = self.client(self.config(), &store).await;
        let request = LoginRequest { phone: Some(phone.into()), now: 1, ..LoginRequest::default() };
        account::login_code(&client, &mut Answers(phone.chars().nth(5).unwrap()), request).await.unwrap();
        client.close().await;
        store
    }

    fn said(&self) -> Identity {
        let config = self.config();
        Identity { device: config.device, layer: config.layer.layer, api_id: config.api_id }
    }

    fn plan(&self, watch: Option<Duration>) -> Plan {
        let address = own_address(SocketAddr::from((Ipv4Addr::LOCALHOST, self.table.dcs[0].port)));
        assert!(address.is_some());
        Plan { said: self.said(), borrowed: None, other_process: false, address, watch }
    }

    /// Looks, while something happens.
    async fn look(
        &self,
        config: ClientConfig,
        store: &Arc<MemoryPersistence>,
        watch: Option<Duration>,
        behind: Tracer,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<Evidence, InvokeError> {
        let config = ClientConfig { introduction: Introduction::Silent, updates: watch.is_some(), ..config };
        let witness = Witness::new(behind);
        let client = Client::connect(config, Arc::clone(store) as _, witness.tracer()).await?;
        let (evidence, ()) = tokio::join!(gather(&client, &witness, self.plan(watch)), meanwhile);
        client.close().await;
        evidence
    }

    /// What is found without listening.
    async fn found(&self, store: &Arc<MemoryPersistence>) -> Vec<Finding> {
        diagnose(&self.look(self.config(), store, None, Tracer::off(), async {}).await.unwrap())
    }

    /// As [`Self::look`], listening; something happens once it listens.
    async fn found_while(
        &self,
        store: &Arc<MemoryPersistence>,
        watch: Duration,
        meanwhile: impl Future<Output = ()>,
    ) -> Vec<Finding> {
        diagnose(&self.look_while(store, watch, meanwhile).await)
    }

    async fn look_while(
        &self,
        store: &Arc<MemoryPersistence>,
        watch: Duration,
        meanwhile: impl Future<Output = ()>,
    ) -> Evidence {
        let collector = Collector::of(LayerSet::NONE.with(Layer::Rpc));
        let meanwhile = async {
            listening(&collector).await;
            meanwhile.await;
        };
        self.look(self.config(), store, Some(watch), collector.tracer(), meanwhile).await.unwrap()
    }

    async fn end(mut self) {
        self.cluster.take().unwrap().shutdown().await;
    }
}

/// Returns when the doctor has asked where the updates stand: from then on it listens.
async fn listening(collector: &Collector) {
    let asked = |event: &Event| matches!(event, Event::RpcResult { method, .. } if *method == functions::updates::GetState::ID);
    let until = Instant::now() + Duration::from_secs(20);
    while collector.count(asked) == 0 {
        assert!(Instant::now() < until, "the doctor does not listen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Answers(char);

impl LoginPrompts for Answers {
    async fn phone(&mut self) -> Result<String, PromptError> {
        Err("it was given".into())
    }

    async fn code(&mut self, _: &CodeSent, _: u32) -> Result<CodeAnswer, PromptError> {
        Ok(CodeAnswer::Code(std::iter::repeat_n(self.0, 5).collect()))
    }

    async fn name(&mut self, _: Option<&str>) -> Result<Name, PromptError> {
        Ok(Name { first: "Somebody".into(), last: String::new() })
    }
}

/// What a copy of the files of a login holds: permanent keys.
fn copy(store: &MemoryPersistence) -> Arc<MemoryPersistence> {
    let copy = MemoryPersistence::new();
    for auth in store.dc_auths().unwrap() {
        copy.save_dc_auth(&auth).unwrap();
    }
    copy.set_home_dc(store.home_dc().unwrap().unwrap()).unwrap();
    Arc::new(copy)
}

/// Somebody who writes.
struct Friend {
    client: Client,
    peer: enums::InputPeer,
}

impl Friend {
    async fn of(stage: &Stage, phone: &str) -> Self {
        let store = stage.login(BOB).await;
        let client = stage.client(stage.config(), &store).await;
        let found = client.invoke(&functions::contacts::ResolvePhone { phone: phone.into() }).await.unwrap();
        let enums::contacts::ResolvedPeer::Peer(found) = found;
        let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
        let peer = types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }.into();
        Self { client, peer }
    }

    async fn write(&self, times: i64) {
        for _ in 0..times {
            let request = functions::messages::SendMessage {
                peer: self.peer.clone(),
                message: "hello".into(),
                random_id: self.client.random_i64(),
                ..functions::messages::SendMessage::default()
            };
            self.client.invoke(&request).await.unwrap();
        }
    }
}

async fn call(client: &Client) {
    client.invoke(&functions::updates::GetState {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_setup_yields_nothing() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let friend = Friend::of(&stage, ANN).await;
    let evidence = stage.look_while(&store, Duration::from_millis(1500), friend.write(3)).await;
    assert_eq!(diagnose(&evidence), []);
    // It was really looked at.
    let watch = evidence.watch.unwrap();
    assert_eq!((watch.happened, watch.pushed), (3, 3));
    assert_eq!((evidence.samples.len(), evidence.keys.len(), evidence.temporary.len()), (2, 2, 1));
    assert!(evidence.samples[0].layers.contains(&LayerPlan::COMPILED.layer));
    assert_eq!(evidence.samples[0].authorizations.list.len(), 1);
    // Nor without listening, again and again, and without forward secrecy.
    assert_eq!(stage.found(&store).await, []);
    let bare = ClientConfig { pfs: None, ..stage.config() };
    assert_eq!(diagnose(&stage.look(bare, &store, None, Tracer::off(), async {}).await.unwrap()), []);
    friend.client.close().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_has_introduced_itself_is_seen_until_we_say_again_who_we_are() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let device = DeviceProfile { device_model: "Stranger".into(), ..DeviceProfile::default() };
    let other = ClientConfig { device, layer: LayerPlan::fixed(201), ..stage.config() };
    let other = stage.client(other, &copy(&store)).await;
    call(&other).await;
    other.close().await;
    for _ in 0..2 {
        // Looking does not cover the traces.
        let found = stage.found(&store).await;
        let [Finding::DeviceReplaced { differences, meanwhile: false, .. }, Finding::LayerReplaced { said, least, most }] =
            found.as_slice()
        else {
            panic!("{found:?}")
        };
        assert_eq!(differences.iter().map(|d| (d.field, d.found.as_str())).collect::<Vec<_>>(), [("device", "Stranger")]);
        assert!(*least <= 201 && *most >= 201 && *most < *said, "{found:?}");
    }
    let client = stage.client(stage.config(), &store).await;
    Fix::Introduce.apply(&client, &*store).await.unwrap();
    client.close().await;
    assert_eq!(stage.found(&store).await, []);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_another_user_of_the_key_was_told_are_missing_here() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let friend = Friend::of(&stage, ANN).await;
    let other = stage.client(ClientConfig { updates: true, ..stage.config() }, &copy(&store)).await;
    let found = stage
        .found_while(&store, Duration::from_millis(2500), async {
            friend.write(2).await;
            call(&other).await;
            friend.write(3).await;
        })
        .await;
    assert_eq!(found, [Finding::NotPushed { happened: 5, missing: 3, seconds: 2 }]);
    other.close().await;
    friend.client.close().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_has_lost_is_noticed() {
    let mut stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let cluster = stage.cluster.take().unwrap();
    let dir = stage.dir.path().to_owned();
    let mut again = None;
    let found = stage
        .found_while(&store, Duration::from_secs(4), async {
            cluster.shutdown().await;
            again = Some(Cluster::start(Config::new(dir)).await.unwrap());
        })
        .await;
    let [Finding::SessionsBegunAnew { times, lost_connections }] = found.as_slice() else { panic!("{found:?}") };
    assert!(*times >= 1 && *lost_connections >= 1, "{found:?}");
    stage.cluster = again;
    stage.end().await;
}

/// A session of ours, out of a copy of its files: its messages are counted by two programs then.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_who_speaks_in_our_session_is_noticed() {
    use tokio::io::AsyncWriteExt as _;

    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let collector = Collector::of(LayerSet::NONE.with(Layer::Crypto).with(Layer::Rpc));
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.table.dcs[0].port));
    // Open until the end: what was written to it is read.
    let mut line = None;
    let copied = async {
        listening(&collector).await;
        let temp = store.temp_auth(DcId(1), KeyUse::Main).unwrap().unwrap();
        let ours = collector.events().into_iter().find_map(|event| match event {
            Event::Envelope { sent: true, auth_key_id, inner: Some(inner), .. } if auth_key_id == temp.auth_key.id() => {
                Some(inner)
            }
            _ => None,
        });
        let ours = ours.expect("a message of ours");
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Now::new(Duration::from_secs(1), wall);
        let salts = vec![FutureSalt::unlimited(ours.salt)];
        let params = ClientParams { salts, ..ClientParams::new(temp.auth_key, ours.session_id, [7; 32]) };
        let mut session = Session::client(params, now);
        let body: Bytes = functions::InvokeWithoutUpdates { query: functions::help::GetNearestDc {} }.to_bytes();
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // The intermediate transport, bare.
        stream.write_all(&[0xee; 4]).await.unwrap();
        for n in 0..30 {
            session.request(now, body.clone(), RequestOptions::default()).unwrap();
            let later = Now::new(Duration::from_secs(1 + n), wall + Duration::from_millis(n));
            while let Some(frame) = session.poll_output(later) {
                stream.write_all(&u32::try_from(frame.len()).unwrap().to_le_bytes()).await.unwrap();
                stream.write_all(&frame).await.unwrap();
            }
        }
        line = Some(stream);
    };
    let evidence = stage.look(stage.config(), &store, Some(Duration::from_secs(3)), collector.tracer(), copied).await.unwrap();
    let found = diagnose(&evidence);
    // Too low for one of both, or too high, as the messages come.
    let copied =
        |f: &Finding| matches!(f, Finding::CopiedSession { codes } if codes.contains_key(&32) || codes.contains_key(&33));
    assert!(found.iter().any(copied), "{evidence:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn salts_that_are_refused_again_and_again_are_noticed() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let rule = FaultRule::new("wrong-salt".parse().unwrap());
    stage.command(Command::FaultSet { rule, phone: Some(ANN.into()) });
    let found = stage.found_while(&store, Duration::from_millis(300), async {}).await;
    let [Finding::SaltsRefused { times }] = found.as_slice() else { panic!("{found:?}") };
    assert!(*times > 2, "{times}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nobody_knows_any_more_are_noticed() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let stray = DcAuth {
        dc: DcId(3),
        auth_key: AuthKey::from_bytes(&[9; 256]),
        salts: Vec::new(),
        time_offset: 0,
        authorized: true,
        created_at: 1,
    };
    store.save_dc_auth(&stray).unwrap();
    let found = stage.found(&store).await;
    let key_id = stray.auth_key.id();
    assert_eq!(found, [Finding::KeyForgotten { dc: 3, key_id, home: false }]);
    let client = stage.client(stage.config(), &store).await;
    found[0].fix().unwrap().apply(&client, &*store).await.unwrap();
    client.close().await;
    assert_eq!(stage.found(&store).await, []);

    // The key of the login itself.
    let home = store.dc_auth(DcId(1)).unwrap().unwrap();
    let lost = DcAuth { auth_key: AuthKey::from_bytes(&[8; 256]), ..home };
    store.save_dc_auth(&lost).unwrap();
    let found = stage.found(&store).await;
    assert!(
        matches!(found.as_slice(), [Finding::Ended { .. } | Finding::KeyForgotten { home: true, .. }]),
        "once, not twice: {found:?}"
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_was_ended_elsewhere_is_noticed() {
    let stage = Stage::set().await;
    let (store, other) = (stage.login(ANN).await, stage.login(ANN).await);
    stage.command(Command::Age { phone: None, seconds: 2 * DAY });
    let client = stage.client(stage.config(), &other).await;
    account::end_other_authorizations(&client).await.unwrap();
    client.close().await;
    assert_eq!(stage.found(&store).await, [Finding::Ended { reason: Unauthorized::SessionRevoked }]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizations_that_nobody_uses_are_noticed_and_ended() {
    let stage = Stage::set().await;
    let (store, _unused) = (stage.login(ANN).await, stage.login(ANN).await);
    stage.command(Command::Age { phone: None, seconds: 100 * DAY });
    let found = stage.found(&store).await;
    let [stale @ Finding::Stale { hashes, longest_days: 99 | 100 }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(hashes.len(), 1);
    let client = stage.client(stage.config(), &store).await;
    stale.fix().unwrap().apply(&client, &*store).await.unwrap();
    client.close().await;
    assert_eq!(stage.found(&store).await, []);
    stage.end().await;
}

/// Leads connections on to the data centres, from another address than ours.
async fn detour(table: &DcTable) -> DcTable {
    let mut led = table.clone();
    led.dcs.iter_mut().for_each(|dc| dc.tls_port = None);
    for dc in &mut led.dcs {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = SocketAddr::new(dc.ip, dc.port);
        dc.port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut inward, _)) = listener.accept().await {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0))).unwrap();
                let mut outward = socket.connect(to).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut inward, &mut outward).await });
            }
        });
    }
    led
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_this_machines_is_noticed() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let config = ClientConfig { dcs: detour(&stage.table).await, ..stage.config() };
    let found = diagnose(&stage.look(config.clone(), &store, None, Tracer::off(), async {}).await.unwrap());
    let ours = Ipv4Addr::LOCALHOST.into();
    assert_eq!(found, [Finding::AddressDiffers { ours, found: "127.0.0.2".into() }]);

    // Both at once, and it is over for both.
    let direct = stage.client(ClientConfig { updates: true, ..stage.config() }, &copy(&store)).await;
    call(&direct).await;
    let found = diagnose(&stage.look(config, &store, None, Tracer::off(), async {}).await.unwrap());
    assert_eq!(found, [Finding::Ended { reason: Unauthorized::KeyDuplicated }]);
    direct.close().await;
    stage.end().await;
}

/// Refuses calls of one method.
#[derive(Debug)]
struct Refuses(&'static str);

impl Policy for Refuses {
    fn before(&self, call: &CallInfo) -> Result<(), Fault> {
        if call.name == self.0 { Err(Fault::InputFetchError) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_refused_is_told() {
    let stage = Stage::with(|config| config.policy = Arc::new(Refuses("account.getAuthorizations"))).await;
    let store = stage.login(ANN).await;
    let found = stage.found(&store).await;
    let [Finding::Unanswered { reason }] = found.as_slice() else { panic!("{found:?}") };
    assert!(reason.contains("INPUT_FETCH_ERROR"), "{reason}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_key_that_has_ended_and_cannot_be_replaced_is_noticed() {
    let stage = Stage::set().await;
    let store = stage.login(ANN).await;
    let temp = store.temp_auth(DcId(1), KeyUse::Main).unwrap().unwrap();
    let ended = TempAuth { expires_at: temp.created_at - 100, ..temp };
    store.save_temp_auth(&ended).unwrap();
    stage.command(Command::FaultSet {
        rule: FaultRule { method: "auth.bindTempAuthKey".into(), ..FaultRule::new("BIND_REFUSED".parse().unwrap()) },
        phone: None,
    });
    let found = stage.found(&store).await;
    let ended = |f: &Finding| matches!(f, Finding::TemporaryKeyEnded { dc: 1, key_id, ended_for } if *key_id == ended.auth_key.id() && *ended_for >= 100);
    assert!(found.iter().any(ended), "{found:?}");
    assert!(found.iter().any(|f| matches!(f, Finding::Unanswered { .. })), "{found:?}");
    // Where it can be replaced, it is, and nothing is found.
    stage.command(Command::FaultClear { ids: Vec::new() });
    assert_eq!(stage.found(&store).await, []);
    stage.end().await;
}
