//! Every kind of transport, over every way to a data centre, against the local cluster: a key exchange, a sign-up, calls, a file up and
//! down again, an update that is pushed. Prints a table: `cargo test --test transport_matrix -- --nocapture`.
//!
//! Kinds are rows, ways are columns. A way is what leads to the data centre before the first byte of the transport: a new one is a variant
//! of [`Way`] and an arm in [`Way::lead`]. Where a way goes through a proxy, the addresses in the client's DC list lead nowhere, so
//! whatever works, works through the proxy.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

#[path = "transport_matrix/axes.rs"]
mod axes;
#[path = "transport_matrix/cell.rs"]
mod cell;
#[path = "support/proxies.rs"]
mod proxies;
#[path = "transport_matrix/world.rs"]
mod world;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tdl::client::{ClientConfig, InvokeError, NetError, PfsPolicy};
use tdl::sandbox::{Cluster, Config};
use tdl::tl::api::{enums, functions as f};
use tdl::trace::{Collector, Event};
use tdl::transport::{Carrier, Kind};
use tokio::sync::Semaphore;

use axes::{FAKE_TLS, PADDED, PLAIN, Row, Way, secret};
use cell::{Failure, Seen, cell, config, connect, hear, login};
use proxies::PASSWORD;
use world::{OTHER_NAME, World};

/// How long one cell may take, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(240);

/// How many cells are under way together.
const TOGETHER: usize = 8;

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

/// Why a proxy refused somebody who knows already that it did, and may know a moment before the proxy has put it down.
async fn refusals(refused: impl Fn() -> Vec<String>) -> Vec<String> {
    let noted = async {
        while refused().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noted).await.expect("a reason");
    refused()
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
        assert_eq!((proxy.tunnels(), refusals(|| proxy.refused()).await), (0, vec!["wrong user or password".to_owned()]));
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
        assert!(!refusals(|| proxy.refused()).await.is_empty());
        assert_eq!(proxy.accepted(), Vec::new(), "{text}");
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
