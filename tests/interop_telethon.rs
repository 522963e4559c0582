//! A client that others wrote against the local cluster: Telethon, from PyPI. See `interop/telethon_client.py`, which also says which of
//! its transports are left out, and why.
#![cfg(feature = "sandbox")]

#[path = "interop/support.rs"]
#[allow(dead_code, reason = "the parts of it that another test uses")]
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tdl::sandbox::{Cluster, Config};

/// Runs the script to its end; what it printed. It must succeed.
fn telethon(cluster: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/telethon_client.py");
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
