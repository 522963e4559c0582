//! Every kind of transport, over every way to a data centre, against the local cluster: a key exchange, a sign-up, calls, a file up and
//! down again, an update that is pushed. Prints a table: `cargo test --test transport_matrix -- --nocapture`.
//!
//! Kinds are rows, ways are columns. A way is what leads to the data centre before the first byte of the transport: a new one is a variant
//! of [`Way`] and an arm in [`Way::lead`]. Where a way goes through a proxy, the addresses in the client's DC list lead nowhere, so
//! whatever works, works through the proxy.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

#[path = "support/proxies.rs"]
mod proxies;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proxies::{PASSWORD, Speech, TestProxy};
use tdl::client::{Client, ClientConfig, DcTable, InvokeError, MemoryPersistence, NetError, PfsPolicy, UpdateItem};
use tdl::ids::DcId;
use tdl::sandbox::mtproxy::MtProxy;
use tdl::sandbox::{Cluster, Config};
use tdl::tl::Deserialize as _;
use tdl::tl::api::{enums, functions as f, types};
use tdl::trace::{Collector, Event};
use tdl::transport::mtproxy::Secret;
use tdl::transport::{Carrier, Kind, Options};
use tokio::sync::Semaphore;

/// How long one cell may take, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(240);

/// How many cells are under way together.
const TOGETHER: usize = 8;

/// Nobody listens there.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));

/// A name that leads to a DC as well, and that no certificate is made out to.
const OTHER_NAME: &str = "other.localhost";

/// The secrets of the MTProxies.
const PLAIN: &str = "000102030405060708090a0b0c0d0e0f";
const PADDED: &str = "dd000102030405060708090a0b0c0d0e0f";
/// For a visitor of www.example.com.
const FAKE_TLS: &str = "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d";

/// The length of the parts of the file, and how many there are.
const PART: usize = 64 << 10;
const PARTS: usize = 3;

/// A row: what the bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    carrier: Carrier,
    kind: Kind,
    obfuscated: bool,
}

impl Row {
    /// Every combination that there is. A WebSocket is always obfuscated inside; HTTP has neither kinds nor obfuscation.
    fn all() -> Vec<Self> {
        let row = |carrier, kind, obfuscated| Self { carrier, kind, obfuscated };
        let plain = Kind::ALL.map(|kind| row(Carrier::Stream, kind, false));
        let obfuscated = Kind::ALL.map(|kind| row(Carrier::Stream, kind, true));
        let websocket = Kind::ALL.map(|kind| row(Carrier::WebSocket, kind, true));
        // TLS does not care what is inside the WebSocket.
        let wss = [row(Carrier::WebSocketTls, Kind::PaddedIntermediate, true)];
        let http = [Carrier::Http, Carrier::HttpTls].map(|carrier| row(carrier, Kind::Full, false));
        [&plain[..], &obfuscated, &websocket, &wss, &http].concat()
    }

    fn has_quick_acks(self) -> bool {
        !matches!(self.carrier, Carrier::Http | Carrier::HttpTls) && self.kind != Kind::Full
    }

    fn name(self) -> String {
        match (self.carrier, self.obfuscated) {
            (carrier @ (Carrier::Http | Carrier::HttpTls), _) => carrier.to_string(),
            (carrier @ (Carrier::WebSocket | Carrier::WebSocketTls), _) => format!("{carrier} {}", self.kind),
            (Carrier::Stream, true) => format!("obfuscated {}", self.kind),
            (Carrier::Stream, false) => self.kind.to_string(),
        }
    }
}

/// A column: what leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing but the network.
    Direct,
    /// The same, and traffic is encrypted with the permanent key.
    WithoutPfs,
    /// A SOCKS5 proxy that wants a user and a password.
    Socks5,
    /// An HTTP proxy that wants them as well.
    Connect,
    /// The same, reached through TLS.
    ConnectTls,
    /// An MTProxy with this secret.
    MtProxy(&'static str),
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Direct,
        Self::WithoutPfs,
        Self::Socks5,
        Self::Connect,
        Self::ConnectTls,
        Self::MtProxy(PLAIN),
        Self::MtProxy(PADDED),
        Self::MtProxy(FAKE_TLS),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::WithoutPfs => "no PFS",
            Self::Socks5 => "SOCKS5",
            Self::Connect => "CONNECT",
            Self::ConnectTls => "… in TLS",
            Self::MtProxy(secret) => match secret.as_bytes() {
                [b'd', ..] => "MTP dd",
                [b'e', ..] => "MTP ee",
                _ => "MTP plain",
            },
        }
    }

    /// Whether a kind of transport can go this way. An MTProxy takes obfuscated streams, of the kinds that its secret allows.
    fn carries(self, row: Row) -> bool {
        match self {
            Self::Direct | Self::WithoutPfs | Self::Socks5 | Self::Connect | Self::ConnectTls => true,
            Self::MtProxy(text) => row.carrier == Carrier::Stream && row.obfuscated && secret(text).kind(row.kind) == row.kind,
        }
    }

    /// Leads a client this way.
    fn lead(self, config: &mut ClientConfig, world: &World) {
        let url = match self {
            Self::Direct => return,
            Self::WithoutPfs => {
                config.pfs = None;
                return;
            }
            Self::Socks5 => world.socks5.url(PASSWORD),
            Self::Connect => world.connect.url(PASSWORD),
            Self::ConnectTls => {
                config.tls_roots = world.connect_tls.certificate().map(str::to_owned).into_iter().collect();
                world.connect_tls.url(PASSWORD)
            }
            Self::MtProxy(secret) => format!("mtproxy://{secret}@{}", world.mtproxy(secret).addr()),
        };
        config.proxy = Some(url.parse().expect("a proxy"));
        config.dcs = world.nowhere.clone();
    }
}

fn secret(text: &str) -> Secret {
    text.parse().expect("a secret")
}

/// A cluster, and the proxies that lead to it.
struct World {
    cluster: Cluster,
    /// Where it is.
    table: DcTable,
    /// Where it is not.
    nowhere: DcTable,
    socks5: TestProxy,
    connect: TestProxy,
    connect_tls: TestProxy,
    mtproxies: HashMap<&'static str, MtProxy>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
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

    fn mtproxy(&self, secret: &str) -> &MtProxy {
        &self.mtproxies[secret]
    }
}

/// What a cell that went well has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    quick_acks: usize,
    /// Connections that went over to a temporary key, and to a permanent one.
    temporary: usize,
    permanent: usize,
}

impl Seen {
    /// What a cell of this row and column should not look like.
    fn check(self, row: Row, way: Way) -> Result<Self, String> {
        let Self { quick_acks, temporary, permanent } = self;
        if row.has_quick_acks() != (quick_acks > 0) {
            return Err(format!("{quick_acks} quick acknowledgements"));
        }
        let fits = if way == Way::WithoutPfs { temporary == 0 && permanent > 0 } else { temporary > 0 && permanent == 0 };
        if fits { Ok(self) } else { Err(format!("{temporary} temporary keys in use, {permanent} permanent ones")) }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn config(world: &World, row: Row, way: Way) -> ClientConfig {
    let mut config = ClientConfig::new(world.table.clone(), 1, "hash");
    config.transport = Options { kind: row.kind, obfuscated: row.obfuscated, dc: DcId(0) };
    config.carrier = row.carrier;
    config.quick_acks = true;
    config.updates = true;
    way.lead(&mut config, world);
    config
}

async fn connect(config: ClientConfig, collector: &Arc<Collector>) -> Result<Client, Failure> {
    Ok(Client::connect(config, Arc::<MemoryPersistence>::default(), collector.tracer()).await?)
}

/// Logs in; signs up if the number has no account.
async fn login(client: &Client, phone: &str) -> Result<(), Failure> {
    let settings = types::CodeSettings::default().into();
    let send = f::auth::SendCode { phone_number: phone.into(), api_id: 1, api_hash: "".into(), settings };
    let enums::auth::SentCode::Code(sent) = client.invoke(&send).await? else { return Err("no code was sent".into()) };
    let sign_in = f::auth::SignIn {
        phone_number: phone.into(),
        phone_code_hash: sent.phone_code_hash.clone(),
        phone_code: Some(phone[5..6].repeat(5).into()),
        email_verification: None,
    };
    let mut answer = client.invoke(&sign_in).await?;
    if matches!(answer, enums::auth::Authorization::SignUpRequired(_)) {
        let sign_up = f::auth::SignUp {
            no_joined_notifications: false,
            phone_number: phone.into(),
            phone_code_hash: sent.phone_code_hash.clone(),
            first_name: "Matrix".into(),
            last_name: "".into(),
        };
        answer = client.invoke(&sign_up).await?;
    }
    match answer {
        enums::auth::Authorization::Authorization(_) => Ok(()),
        enums::auth::Authorization::SignUpRequired(_) => Err("signing up did not help".into()),
    }
}

/// Sends a file, in parts under way together, and fetches it again.
async fn move_a_file(client: &Client, content: &[u8]) -> Result<(), Failure> {
    let media = client.media(client.home_dc());
    let parts = content.chunks(PART).enumerate().map(|(n, part)| f::upload::SaveFilePart {
        file_id: 7,
        file_part: i32::try_from(n).expect("few"),
        bytes: Bytes::copy_from_slice(part),
    });
    let calls = parts.map(|part| {
        let media = media.clone();
        async move { media.invoke(&part).await }
    });
    for saved in futures_util::future::join_all(calls).await {
        saved?;
    }
    let file = types::InputFile { id: 7, parts: i32::try_from(PARTS)?, name: "a.bin".into(), md5_checksum: "".into() };
    let media_input = types::InputMediaUploadedDocument {
        nosound_video: false,
        force_file: true,
        spoiler: false,
        file: file.into(),
        thumb: None,
        mime_type: "application/octet-stream".into(),
        attributes: Vec::new(),
        stickers: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    };
    let upload =
        f::messages::UploadMedia { business_connection_id: None, peer: enums::InputPeer::PeerSelf, media: media_input.into() };
    let enums::MessageMedia::Document(made) = client.invoke(&upload).await? else { return Err("no document".into()) };
    let Some(enums::Document::Document(document)) = made.document else { return Err("no document".into()) };
    let location = types::InputDocumentFileLocation {
        id: document.id,
        access_hash: document.access_hash,
        file_reference: document.file_reference,
        thumb_size: "".into(),
    };
    let ranges = (0..PARTS).map(|n| f::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: location.clone().into(),
        offset: (n * PART) as i64,
        limit: PART as i32,
    });
    let calls = ranges.map(|range| {
        let media = media.clone();
        async move { media.invoke(&range).await }
    });
    let mut copy = Vec::new();
    for part in futures_util::future::join_all(calls).await {
        let enums::upload::File::File(part) = part? else { return Err("no file".into()) };
        copy.extend_from_slice(&part.bytes);
    }
    if copy == content { Ok(()) } else { Err("the copy differs".into()) }
}

/// Waits for a message with the given text.
async fn hear(client: &Client, text: &str) -> Result<(), Failure> {
    let mut updates = client.updates().ok_or("the stream of updates is taken")?;
    while let Some(item) = updates.next().await {
        let UpdateItem::Update(body) = item else { continue };
        let list = match enums::Updates::from_bytes(body)? {
            enums::Updates::Updates(updates) => updates.updates,
            _ => continue,
        };
        for update in list {
            if let enums::Update::NewMessage(update) = update
                && let enums::Message::Message(message) = update.message
                && message.message == *text
            {
                return Ok(());
            }
        }
    }
    Err("the stream of updates ended".into())
}

async fn cell(world: &World, row: Row, way: Way, phone: String) -> Result<Seen, Failure> {
    let collector = Collector::new();
    let first = connect(config(world, row, way), &collector).await?;
    login(&first, &phone).await?;
    let enums::NearestDc::Dc(nearest) = first.invoke(&f::help::GetNearestDc).await?;
    if DcId(nearest.this_dc) != first.home_dc() {
        return Err("another data centre answered".into());
    }
    let content: Vec<u8> = (0..PART * PARTS - 1000).map(|n| ((n * 7) >> 3) as u8).collect();
    move_a_file(&first, &content).await?;

    // Somebody else's connection: what it says is pushed.
    let second = connect(config(world, row, way), &collector).await?;
    login(&second, &phone).await?;
    let text = format!("over {}", row.name());
    let say = f::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: text.as_str().into(),
        random_id: second.random_i64(),
        ..f::messages::SendMessage::default()
    };
    second.invoke(&say).await?;
    hear(&first, &text).await?;
    first.close().await;
    second.close().await;

    let failed = collector.failed_checks();
    if !failed.is_empty() {
        return Err(format!("checks failed: {failed:?}").into());
    }
    let keys = |temporary| {
        collector.count(|event| matches!(event, Event::KeyInUse { expires_at, .. } if expires_at.is_some() == temporary))
    };
    Ok(Seen {
        quick_acks: collector.count(|event| matches!(event, Event::QuickAck { .. })),
        temporary: keys(true),
        permanent: keys(false),
    })
}

/// What came of a cell; `None`: the way does not carry the row.
type Outcome = Option<Result<Seen, String>>;

async fn outcome(world: &World, places: &Semaphore, (n, row): (usize, Row), (m, way): (usize, Way)) -> Outcome {
    if !way.carries(row) {
        return None;
    }
    let _place = places.acquire().await.expect("never closed");
    let phone = format!("999662{:02}{m:02}", n + 10);
    Some(match tokio::time::timeout(PATIENCE, cell(world, row, way, phone)).await {
        Ok(Ok(seen)) => seen.check(row, way),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not done within {} s", PATIENCE.as_secs())),
    })
}

/// The rows with their outcomes, by column, and below them what went wrong.
fn draw(rows: &[(Row, Vec<Outcome>)]) -> String {
    let mut table = format!("\n{:<26}", "");
    for way in Way::ALL {
        write!(table, "{:<11}", way.name()).unwrap();
    }
    table.push_str("quick acks\n");
    let mut failures = String::new();
    for (row, outcomes) in rows {
        write!(table, "{:<26}", row.name()).unwrap();
        for (way, outcome) in Way::ALL.iter().zip(outcomes) {
            let word = match outcome {
                None => "–",
                Some(Ok(_)) => "ok",
                Some(Err(error)) => {
                    writeln!(failures, "{}, {}: {error}", row.name(), way.name()).unwrap();
                    "FAILED"
                }
            };
            write!(table, "{word:<11}").unwrap();
        }
        let quick: usize = outcomes.iter().flatten().flatten().map(|seen| seen.quick_acks).sum();
        writeln!(table, "{}", if row.has_quick_acks() { quick.to_string() } else { "–".to_owned() }).unwrap();
    }
    table + &failures
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
/// Row: A.1 "WebSocket wss"
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_over_every_way() {
    let began = Instant::now();
    let world = Arc::new(World::new().await);
    let places = Arc::new(Semaphore::new(TOGETHER));
    let mut rows = Vec::new();
    for row in Row::all().into_iter().enumerate() {
        let cells = Way::ALL.into_iter().enumerate().map(|way| {
            let (world, places) = (Arc::clone(&world), Arc::clone(&places));
            tokio::spawn(async move { outcome(&world, &places, row, way).await })
        });
        rows.push((row.1, cells.collect::<Vec<_>>()));
    }
    let mut results = Vec::new();
    for (row, cells) in rows {
        let mut outcomes: Vec<Outcome> = Vec::new();
        for cell in cells {
            outcomes.push(cell.await.unwrap_or_else(|panic| Some(Err(panic.to_string()))));
        }
        results.push((row, outcomes));
    }
    let table = draw(&results);
    println!("{table}\n{:.1} s", began.elapsed().as_secs_f64());

    assert!(results.iter().flat_map(|(_, outcomes)| outcomes).flatten().all(Result::is_ok), "{table}");
    let carried = Way::ALL.map(|way| results.iter().filter(|(row, _)| way.carries(*row)).count());
    assert_eq!(
        carried,
        [15, 15, 15, 15, 15, 2, 1, 1],
        "4 plain, 4 obfuscated, 4 in a WebSocket, 1 in one inside TLS, HTTP and HTTPS; by an MTProxy only its own"
    );
    for proxy in [&world.socks5, &world.connect, &world.connect_tls] {
        // Two clients in each cell, each with a connection at least.
        assert!(proxy.tunnels() >= 2 * 15, "{}", proxy.tunnels());
        assert_eq!(proxy.refused(), Vec::<String>::new());
    }
    for (secret, kinds) in [
        (PLAIN, &[Kind::Abridged, Kind::Intermediate][..]),
        (PADDED, &[Kind::PaddedIntermediate]),
        (FAKE_TLS, &[Kind::PaddedIntermediate]),
    ] {
        let accepted = world.mtproxy(secret).accepted();
        let all = kinds.iter().all(|kind| accepted.iter().any(|options| options.kind == *kind));
        assert!(all && accepted.iter().all(|options| kinds.contains(&options.kind)), "{secret}: {accepted:?}");
        assert_eq!(world.mtproxy(secret).refused(), Vec::<String>::new());
    }
    let world = Arc::into_inner(world).expect("all cells are done");
    world.cluster.shutdown().await;
}

/// What a client that is to give up soon gets for an answer.
async fn ask(mut config: ClientConfig) -> Result<enums::NearestDc, InvokeError> {
    config.reconnect_timeout = Duration::from_secs(1);
    let client = connect(config, &Collector::new()).await.expect("nothing is dialled yet");
    let answer = client.invoke(&f::help::GetNearestDc).await;
    client.close().await;
    answer
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_secret_gets_nowhere() {
    let world = World::new().await;
    let row = Row { carrier: Carrier::Stream, kind: Kind::PaddedIntermediate, obfuscated: true };
    let through = |url: Option<String>| ClientConfig {
        proxy: url.map(|url| url.parse().expect("a proxy")),
        dcs: world.nowhere.clone(),
        ..config(&world, row, Way::Direct)
    };
    let unreachable = |answer: Result<_, _>| matches!(answer, Err(InvokeError::Net(NetError::Unreachable { .. })));
    assert!(unreachable(ask(through(None)).await), "the addresses lead nowhere");

    let believing = |url: String| ClientConfig {
        tls_roots: world.connect_tls.certificate().map(str::to_owned).into_iter().collect(),
        ..through(Some(url))
    };
    for proxy in [&world.socks5, &world.connect, &world.connect_tls] {
        let answer = ask(believing(proxy.url("hunter3"))).await;
        assert!(matches!(answer, Err(InvokeError::Net(NetError::Barred { .. }))), "{answer:?}");
        assert_eq!((proxy.tunnels(), proxy.refused()), (0, vec!["wrong user or password".to_owned()]));
        ask(believing(proxy.url(PASSWORD))).await.expect("the right password");
    }
    // Whoever does not show a certificate that is believed is told nothing, the password least of all.
    let told = world.connect_tls.tunnels();
    let answer = ask(through(Some(world.connect_tls.url(PASSWORD)))).await;
    let barred = matches!(&answer, Err(InvokeError::Net(NetError::Barred { reason, .. })) if reason.contains("certificate"));
    assert!(barred && world.connect_tls.tunnels() == told, "{answer:?}");
    for (text, proxy) in &world.mtproxies {
        let wrong = text.replacen("0001", "0002", 1);
        let answer = ask(through(Some(format!("mtproxy://{wrong}@{}", proxy.addr())))).await;
        assert!(matches!(answer, Err(InvokeError::Net(_))), "{text}: {answer:?}");
        assert_eq!((proxy.accepted(), proxy.refused().is_empty()), (Vec::new(), false), "{text}");
    }
    world.cluster.shutdown().await;
}

/// Row: A.1 "WebSocket wss"
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_who_it_should_be_is_refused() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let other = Cluster::start(Config::new(dir.path())).await.unwrap();
    for carrier in [Carrier::WebSocketTls, Carrier::HttpTls] {
        let row = Row { carrier, kind: Kind::PaddedIntermediate, obfuscated: true };
        let sound = || config(&world, row, Way::Direct);
        ask(sound()).await.expect("its own certificate");
        let untrusted = |answer: Result<_, _>, word: &str| match answer {
            Err(InvokeError::Net(NetError::Untrusted { reason, .. })) => assert!(reason.contains(word), "{reason}"),
            other => panic!("{word}: {other:?}"),
        };
        let mut wrong = sound();
        wrong.dcs.tls_root = Some(other.certificate().to_owned());
        untrusted(ask(wrong).await, "nobody we trust");
        let mut public = sound();
        public.dcs.tls_root = None;
        untrusted(ask(public).await, "nobody we trust");
        let mut elsewhere = sound();
        // The same server, by a name that its certificate is not made out to.
        elsewhere.dcs.web_hosts = world.nowhere.dcs.iter().map(|dc| (dc.id, OTHER_NAME.to_owned())).collect();
        elsewhere.proxy = Some(world.connect.url(PASSWORD).parse().expect("a proxy"));
        untrusted(ask(elsewhere).await, "another name");

        // A port that speaks something else, and something else at a port that speaks TLS.
        let mut bare = sound();
        bare.dcs.dcs.iter_mut().for_each(|dc| dc.tls_port = None);
        let answer = ask(bare).await;
        assert!(matches!(answer, Err(InvokeError::Net(_))), "{answer:?}");
        let mut wrapped = sound();
        wrapped.carrier = Carrier::Stream;
        wrapped.dcs.dcs.iter_mut().for_each(|dc| dc.port = dc.tls_port.unwrap());
        let answer = ask(wrapped).await;
        assert!(matches!(answer, Err(InvokeError::Net(_) | InvokeError::Protocol(_))), "{answer:?}");
    }
    other.shutdown().await;
    world.cluster.shutdown().await;
}

/// What an MTProxy does not carry is not sent to it: the client speaks what the secret allows instead.
///
/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn an_mtproxy_is_spoken_to_as_its_secret_wants_whatever_was_wished() {
    let world = World::new().await;
    for (text, proxy) in &world.mtproxies {
        let way = Way::MtProxy(text);
        let others: Vec<_> = Row::all().into_iter().filter(|row| !way.carries(*row)).collect();
        for answer in futures_util::future::join_all(others.iter().map(|row| ask(config(&world, *row, way)))).await {
            answer.expect("an answer");
        }
        let mut wanted: Vec<_> = others.iter().map(|row| secret(text).kind(row.kind)).collect();
        let mut found: Vec<_> = proxy.accepted().iter().map(|options| options.kind).collect();
        assert_eq!(proxy.refused(), Vec::<String>::new());
        for kinds in [&mut wanted, &mut found] {
            kinds.sort_by_key(|kind| kind.name());
            kinds.dedup();
        }
        assert_eq!(found, wanted, "{text}");
    }
    world.cluster.shutdown().await;
}

/// How long an update may take over a connection whose key was renewed a moment ago: less than a long poll.
const PROMPTLY: Duration = Duration::from_secs(12);

/// Renews the key of one connection twice, and hears of an update behind that.
async fn outlive_keys(world: Arc<World>, carrier: Carrier, phone: String) -> Result<(), Failure> {
    let row = Row { carrier, kind: Kind::PaddedIntermediate, obfuscated: true };
    let collector = Collector::new();
    let short = ClientConfig { pfs: Some(PfsPolicy { lifetime: Duration::from_secs(8) }), ..config(&world, row, Way::Direct) };
    let first = connect(short, &collector).await?;
    login(&first, &phone).await?;
    let second = connect(config(&world, row, Way::Direct), &Collector::new()).await?;
    login(&second, &phone).await?;
    while collector.count(|event| matches!(event, Event::TempKeyBound { .. })) < 3 {
        first.invoke(&f::help::GetNearestDc).await?;
        // Keys end by the clock of the wall, and there is nothing to do meanwhile.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Updates go to the session that called last. In the moment of the change that is still the one under the key before, and what it is
    // told when nobody polls for it any more is found by the next difference only.
    first.invoke(&f::help::GetNearestDc).await?;
    let say = f::messages::SendMessage {
        peer: enums::InputPeer::PeerSelf,
        message: "under another key".into(),
        random_id: second.random_i64(),
        ..f::messages::SendMessage::default()
    };
    second.invoke(&say).await?;
    tokio::time::timeout(PROMPTLY, hear(&first, "under another key")).await??;
    first.close().await;
    second.close().await;
    let failed = collector.failed_checks();
    if failed.is_empty() { Ok(()) } else { Err(format!("checks failed: {failed:?}").into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_bound_and_renewed_over_every_carrier() {
    let world = Arc::new(World::new().await);
    let cells: Vec<_> = Carrier::ALL
        .into_iter()
        .enumerate()
        .map(|(n, carrier)| {
            let work = outlive_keys(Arc::clone(&world), carrier, format!("99966230{n:02}"));
            (carrier, tokio::spawn(tokio::time::timeout(PATIENCE, work)))
        })
        .collect();
    for (carrier, cell) in cells {
        let result = cell.await.unwrap().unwrap_or_else(|_| Err("not done in time".into()));
        assert!(result.is_ok(), "{carrier}: {result:?}");
    }
    Arc::into_inner(world).expect("all cells are done").cluster.shutdown().await;
}
