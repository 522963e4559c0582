//! Clients that others wrote, each speaking the layer that it was made for, on one cluster at once: they sign up, write to each other, send
//! files, and read everything in their own layer. The cluster refuses constructors of any other, and they know no other.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::chat;
use crate::peers as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use chat::{Chat, phone, talk_in_a_ring};
use support::{node_program, python_with};
use tdl::crypto::rsa::PublicKey;
use tdl::sandbox::{Cluster, Config};

/// A cluster whose key's fingerprint has no leading zero: mtcute looks keys up by fingerprints written without one.
async fn cluster() -> (tempfile::TempDir, Cluster) {
    loop {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
        let fingerprint = PublicKey::from_pem(cluster.rsa_public_key()).unwrap().fingerprint();
        if fingerprint.cast_unsigned() >> 60 != 0 {
            return (dir, cluster);
        }
        cluster.shutdown().await;
    }
}

fn python(cluster: &Path, script: &str, requirements: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
    let mut command = Command::new(python_with(requirements));
    command.arg("-u").arg(script).arg(cluster);
    command
}

fn node(cluster: &Path, program: &str, argument: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(node_program(program)).arg(cluster).arg(argument);
    command
}

/// Starts a ring on a cluster of its own, and lets it talk.
async fn ring(who: impl FnOnce(PathBuf) -> Vec<Chat> + Send + 'static) {
    let (_dir, cluster) = cluster().await;
    let file = cluster.file();
    tokio::task::spawn_blocking(move || {
        let files = tempfile::tempdir().unwrap();
        talk_in_a_ring(who(file), files.path());
    })
    .await
    .unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gramjs_on_each_of_its_transports() {
    ring(|cluster| {
        let transports = ["full", "abridged", "obfuscated", "websocket"];
        let all = transports.into_iter().enumerate();
        all.map(|(n, transport)| Chat::start(transport, phone(n), &mut node(&cluster, "chat_gramjs.mjs", transport))).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mtcute_with_forward_secrecy_and_without() {
    ring(|cluster| {
        let modes = ["on", "off"].into_iter().enumerate();
        modes.map(|(n, pfs)| Chat::start(pfs, phone(n), &mut node(&cluster, "chat_mtcute.mjs", pfs))).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_six_layers_write_to_each_other() {
    ring(|cluster| {
        let telethon = |version: &str| python(&cluster, "chat_telethon.py", &format!("requirements_telethon_{version}.txt"));
        let clients = [
            ("Telethon 1.39", 199, telethon("1.39.0")),
            ("kurigram 2.2.0", 201, python(&cluster, "chat_kurigram.py", "requirements_kurigram_2.2.0.txt")),
            ("GramJS 2.26", 198, node(&cluster, "chat_gramjs.mjs", "full")),
            ("Telethon 1.42", 216, telethon("1.42.0")),
            ("mtcute 0.30", 227, node(&cluster, "chat_mtcute.mjs", "on")),
            ("Telethon 1.45", 229, telethon("1.45.0")),
        ];
        let ring = clients.into_iter().enumerate().map(|(n, (name, layer, mut command))| {
            let chat = Chat::start(name, phone(n), &mut command);
            assert_eq!(chat.layer, layer, "{name}");
            chat
        });
        ring.collect()
    })
    .await;
}
