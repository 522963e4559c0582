//! More clients that others wrote against the local cluster: mtcute (from npm), which binds temporary keys, and kurigram (from PyPI),
//! which knows none. See `interop/mtcute_client.mjs` and `interop/kurigram_client.py`. Clients of several layers, GramJS among them, are in
//! `interop_layers.rs`.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::peers as support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use support::{json_lines, node_program, python, steps};
use tdl::crypto::rsa::PublicKey;
use tdl::sandbox::cluster::ClusterTracer;
use tdl::sandbox::{Cluster, Config};
use tdl::trace::{Collector, Event};

/// A cluster whose key's fingerprint has no leading zero: mtcute looks keys up by fingerprints written without one.
async fn cluster(observer: &Arc<Collector>) -> (tempfile::TempDir, Cluster) {
    loop {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path());
        config.tracer = ClusterTracer(observer.tracer());
        let cluster = Cluster::start(config).await.unwrap();
        let fingerprint = PublicKey::from_pem(cluster.rsa_public_key()).unwrap().fingerprint();
        if fingerprint.cast_unsigned() >> 60 != 0 {
            return (dir, cluster);
        }
        cluster.shutdown().await;
    }
}

fn mtcute(cluster: PathBuf, phone: &'static str, pfs: &'static str) -> Vec<serde_json::Value> {
    let program = node_program("mtcute_client.mjs");
    json_lines(Command::new("node").arg(program).arg(cluster).args([phone, pfs]))
}

const MTCUTE: [&str; 6] = ["connected", "upload", "download", "signed up", "reconnected", "done"];

/// Bindings that the cluster carried out, by the method in the trace.
fn bindings(observer: &Collector) -> usize {
    const BIND_TEMP_AUTH_KEY: u32 = 0xcdd4_2a05;
    observer.count(|event| matches!(event, Event::RpcAnswered { method: BIND_TEMP_AUTH_KEY, error: None, .. }))
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[tokio::test(flavor = "multi_thread")]
async fn mtcute_binds_temporary_keys_on_each_kind_of_connection() {
    let observer = Collector::new();
    let (_dir, cluster) = cluster(&observer).await;
    let file = cluster.file();
    let lines = tokio::task::spawn_blocking(move || mtcute(file, "9996621234", "on")).await.unwrap();
    assert_eq!(steps(&lines), MTCUTE);
    assert_eq!(bindings(&observer), 3, "one for each kind of connection, and none again after the second start");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mtcute_does_the_same_without_forward_secrecy() {
    let observer = Collector::new();
    let (_dir, cluster) = cluster(&observer).await;
    let file = cluster.file();
    let lines = tokio::task::spawn_blocking(move || mtcute(file, "9996621234", "off")).await.unwrap();
    assert_eq!(steps(&lines), MTCUTE);
    assert_eq!(bindings(&observer), 0);
    cluster.shutdown().await;
}

fn kurigram(cluster: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/kurigram_client.py");
    json_lines(Command::new(python()).arg("-u").arg(script).arg(cluster).args(arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn kurigram_exchanges_keys_on_each_of_its_transports() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let file = cluster.file();
    let lines = tokio::task::spawn_blocking(move || kurigram(&file, &["keys", "2"])).await.unwrap();
    let transports: Vec<&str> = lines.iter().filter_map(|line| line["transport"].as_str()).collect();
    assert_eq!(transports, ["abridged", "obfuscated abridged", "full", "intermediate", "obfuscated intermediate", "padded"]);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kurigram_signs_up_sends_and_moves_a_file_up_and_down() {
    let dir = tempfile::tempdir().unwrap();
    let files = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let file = cluster.file();
    let directory = files.path().to_str().unwrap().to_owned();
    let account = move || kurigram(&file, &["account", "9996611234", "12000000", &directory]);
    let lines = tokio::task::spawn_blocking(account).await.unwrap();
    assert_eq!(steps(&lines), ["migrated", "signed up", "sent", "uploaded", "downloaded", "logged out", "done"]);
    cluster.shutdown().await;
}
