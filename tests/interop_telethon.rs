//! A client that others wrote against the local cluster: Telethon, from PyPI. See `interop/telethon_client.py`, which also says which of
//! its transports are left out, and why.
#![cfg(feature = "sandbox")]

use crate::peers as support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tdl::sandbox::{Cluster, Config};

/// Runs the script to its end; what it printed. It must succeed.
fn telethon(cluster: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    run("telethon_client.py", cluster, arguments)
}

/// The same with any of the scripts.
fn run(script: &str, cluster: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
    let mut command = Command::new(support::python());
    command.arg("-u").arg(script).arg(cluster).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("it was asked for"))
        .lines()
        .map(|line| line.expect("it prints UTF-8"))
        .collect();
    let status = child.wait().expect("it runs");
    assert!(status.success(), "{command:?}: {status}\n{}", lines.join("\n"));
    lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

fn steps(lines: &[serde_json::Value]) -> Vec<&str> {
    lines.iter().map(|line| line["step"].as_str().expect("each line names its step")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_exchanges_keys_on_each_of_its_transports() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let file = cluster.file();
    let lines = tokio::task::spawn_blocking(move || telethon(&file, &["keys", "2"])).await.unwrap();
    let transports: Vec<&str> = lines.iter().filter_map(|line| line["transport"].as_str()).collect();
    assert_eq!(transports, ["full", "abridged", "intermediate", "obfuscated", "http"]);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_signs_up_sends_and_moves_a_file_of_20_megabytes_up_and_down() {
    let dir = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let file = cluster.file();
    let size = (20_000_000 + 12_345).to_string();
    let directory = files.path().to_str().unwrap().to_owned();
    let lines =
        tokio::task::spawn_blocking(move || telethon(&file, &["account", "9996621234", &size, &directory])).await.unwrap();
    assert_eq!(
        steps(&lines),
        ["migrated", "signed up", "sent", "uploaded", "downloaded", "update", "reconnected", "logged out", "done"]
    );
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_finds_every_way_in() {
    use tdl::sandbox::operator::{Login, NewBot, NewUser};

    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (file, operator) = (cluster.file(), cluster.operator().unwrap());
    let lines = tokio::task::spawn_blocking(move || {
        let login = Login { password: Some("pässword".into()), ..Login::default() };
        operator.add_user(&NewUser { phone: "9996621234".into(), login, ..NewUser::default() }).unwrap();
        operator.add_user(&NewUser { phone: "9996611234".into(), ..NewUser::default() }).unwrap();
        let (_, token) = operator.add_bot(&NewBot { name: "Bot".into(), ..NewBot::default() }).unwrap();
        run("telethon_ways.py", &file, &["9996621234", "pässword", "9996611234", &token])
    })
    .await
    .unwrap();
    assert_eq!(
        steps(&lines),
        [
            "password",
            "password set, changed and removed",
            "QR code",
            "QR code elsewhere",
            "QR code elsewhere, with a password",
            "bot",
            "done"
        ]
    );
    cluster.shutdown().await;
}

/// The same through the bridge, to whose key alone the client trusts.
#[cfg(feature = "bridge")]
#[tokio::test(flavor = "multi_thread")]
async fn telethon_does_the_same_through_the_bridge() {
    use tdl::bridge::{Bridge, Config as BridgeConfig};
    use tdl::client::DcTable;
    use tdl::trace::{Collector, Event, LayerSet, Role};

    let dir = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path().join("box"))).await.unwrap();
    let mut config = BridgeConfig::new(DcTable::read(&cluster.file()).unwrap(), dir.path().join("state"));
    let collector = Collector::of(LayerSet::NONE.with(tdl::trace::Layer::Rpc).with(tdl::trace::Layer::Updates));
    config.tracer = collector.tracer();
    let bridge = Bridge::start(config).await.unwrap();
    assert_ne!(bridge.rsa_public_key(), cluster.rsa_public_key());

    let file = bridge.file();
    let lines = tokio::task::spawn_blocking(move || telethon(&file, &["keys", "2"])).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line["transport"].is_string()).count(), 5);
    let (file, size) = (bridge.file(), (20_000_000 + 12_345).to_string());
    let directory = files.path().to_str().unwrap().to_owned();
    let lines =
        tokio::task::spawn_blocking(move || telethon(&file, &["account", "9996621234", &size, &directory])).await.unwrap();
    assert_eq!(
        steps(&lines),
        ["migrated", "signed up", "sent", "uploaded", "downloaded", "update", "reconnected", "logged out", "done"]
    );
    // Every call was seen on both sides.
    let records = collector.take();
    let calls = |role: Role| {
        let is_call = |event: &Event| matches!(event, Event::RpcReceived { .. } | Event::RpcResult { .. });
        records.iter().filter(|record| record.role == role && is_call(&record.event)).count()
    };
    let (client, server) = (calls(Role::Client), calls(Role::Server));
    assert!(client > 100 && client <= server, "{client} calls to data centres, {server} from the client");
    bridge.shutdown().await;
    cluster.shutdown().await;
}
