//! A desktop client that others wrote is not disturbed: its part is played by Telethon, on a key of its own, while we log in by isolation,
//! list, upload and download. Every message comes to it by push, and it decodes each.
//!
//! `TDL_ISOLATION_MB` says how many megabytes go up and down; without it 200 in an optimised build and 20 in another.
#![cfg(all(feature = "sandbox", feature = "cli"))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::peers as interop;
use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::TestDir;
use tdl::account::{self, CodeAnswer, CodeSent, LoginPrompts, LoginRequest, Name, PromptError};
use tdl::client::{Client, ClientConfig, DcTable, MemoryPersistence, Persistence};
use tdl::sandbox::{Cluster, Config};
use tdl::store::Home;
use tdl::tl::api::{enums, functions, types};
use tdl::trace::Tracer;

const ANN: &str = "9996621111";
const BOB: &str = "9996622222";

struct Answers;

impl LoginPrompts for Answers {
    async fn phone(&mut self) -> Result<String, PromptError> {
        Err("it was given".into())
    }

    async fn code(&mut self, _: &CodeSent, _: u32) -> Result<CodeAnswer, PromptError> {
        Ok(CodeAnswer::Code("22222".into()))
    }

    async fn name(&mut self, _: Option<&str>) -> Result<Name, PromptError> {
        Ok(Name { first: "Somebody".into(), last: String::new() })
    }
}

fn config(table: &DcTable) -> ClientConfig {
    ClientConfig { pfs: None, ..ClientConfig::new(table.clone(), 1, "test") }
}

async fn login(table: &DcTable, phone: &str) -> (Client, Arc<MemoryPersistence>) {
    let store = Arc::new(MemoryPersistence::new());
    let client = Client::connect(config(table), Arc::clone(&store) as _, Tracer::off()).await.unwrap();
    let request = LoginRequest { phone: Some(phone.into()), now: 1, ..LoginRequest::default() };
    account::login_code(&client, &mut Answers, request).await.unwrap();
    (client, store)
}

/// A login by the real binary, and the session string that it exports: the key is Telethon's from then on.
fn session_string(dir: &TestDir) -> String {
    let mut login = dir.tdl();
    login.args("--sandbox box -n lent login -T code --phone").arg(ANN).args("--code 22222 --first-name Ann");
    login.ok();
    let mut export = dir.tdl();
    export.args("--sandbox box -n lent session export --format telethon --reveal-key");
    export.ok().stdout().trim().to_owned()
}

/// The key of a namespace, as it is.
fn key_of(dir: &TestDir, name: &str) -> Arc<MemoryPersistence> {
    let namespace = Home::at(dir.join("home")).open_existing(&name.parse().unwrap(), 1).unwrap();
    let copy = MemoryPersistence::new();
    let home = namespace.home_dc().unwrap().unwrap();
    copy.set_home_dc(home).unwrap();
    copy.save_dc_auth(&namespace.dc_auth(home).unwrap().unwrap()).unwrap();
    Arc::new(copy)
}

/// The device that the server has on record for a key, and the layers that it may have.
async fn on_record(table: &DcTable, store: &Arc<MemoryPersistence>) -> (String, Vec<i32>) {
    let client = Client::connect(account::lent(config(table), None), Arc::clone(store) as _, Tracer::off()).await.unwrap();
    let listed = account::authorizations(&client).await.unwrap();
    let layers = account::layers_on_record(&client).await.unwrap();
    client.close().await;
    let current = listed.current().unwrap();
    (format!("{} {}", current.device_model, current.app_version), layers)
}

fn megabytes() -> usize {
    let optimised = !cfg!(debug_assertions);
    std::env::var("TDL_ISOLATION_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(if optimised { 200 } else { 20 })
}

/// Writes numbered messages until it is told to stop; how many there were.
async fn write(table: &DcTable, stop: &AtomicBool) -> usize {
    let (friend, _store) = login(table, BOB).await;
    let enums::contacts::ResolvedPeer::Peer(found) =
        friend.invoke(&functions::contacts::ResolvePhone { phone: ANN.into() }).await.unwrap();
    let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
    let peer: enums::InputPeer = types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }.into();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = functions::messages::SendMessage {
            peer: peer.clone(),
            message: format!("number {count}").into(),
            random_id: friend.random_i64(),
            ..functions::messages::SendMessage::default()
        };
        friend.invoke(&request).await.unwrap();
        count += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    friend.close().await;
    count
}

/// What our program does meanwhile, each step by the real binary.
fn our_day(dir: &TestDir) {
    let run = |args: &str| {
        let mut command = dir.tdl();
        command.args("--sandbox box").args(args);
        command.ok()
    };
    let mut bytes = Vec::with_capacity(megabytes() * 1_000_000);
    let mut state = 1_u64;
    while bytes.len() < megabytes() * 1_000_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes());
    }
    dir.write("file.bin", &bytes);
    run("whoami");
    run("chat ls");
    run("up -p file.bin");
    run("chat export -o export.json");
    run("dl -f export.json -d downloads");
    let names: Vec<_> = fs::read_dir(dir.join("downloads")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(fs::read(&names[0]).unwrap() == bytes, "the bytes came back");
    run("session ls").stdout_has("Telethon");
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_is_pushed_every_message_while_we_isolate_ourselves_list_upload_and_download() {
    let dir = Arc::new(TestDir::new());
    let cluster = Cluster::start(Config::new(dir.join("box"))).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    let (session, key) = tokio::task::spawn_blocking({
        let dir = Arc::clone(&dir);
        move || (session_string(&dir), key_of(&dir, "lent"))
    })
    .await
    .unwrap();
    let file = cluster.file().to_str().unwrap().to_owned();
    let (mut desktop, ready) = tokio::task::spawn_blocking(move || {
        let mut desktop = interop::Script::start("desktop.py", &[&file, &session]);
        let ready = desktop.line();
        (desktop, ready)
    })
    .await
    .unwrap();
    assert!(ready.contains("\"ready\""), "{ready}");
    let before = on_record(&table, &key).await;
    assert!(before.0.starts_with("Telethon"), "{before:?}");

    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (stop, table) = (Arc::clone(&stop), table.clone());
        async move { write(&table, &stop).await }
    });
    // A key of our own, which Telethon's lets in. The session string says nothing of a device: nothing is said of one.
    let home = Home::at(dir.join("home"));
    let own = Arc::new(home.open(&"default".parse().unwrap(), 1).unwrap());
    own.set_home_dc(key.home_dc().unwrap().unwrap()).unwrap();
    let foreign = Client::connect(account::lent(config(&table), None), Arc::clone(&key) as _, Tracer::off()).await.unwrap();
    let ours = Client::connect(config(&table), Arc::clone(&own) as _, Tracer::off()).await.unwrap();
    let request = LoginRequest { now: 1, ..LoginRequest::default() };
    account::isolate(&foreign, &ours, &mut Answers, request).await.unwrap();
    foreign.close().await;
    ours.close().await;
    drop((foreign, ours, own));
    tokio::task::spawn_blocking({
        let dir = Arc::clone(&dir);
        move || our_day(&dir)
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let sent = writing.await.unwrap();
    assert!(sent >= 10, "{sent}");

    // All of them, by push: it has asked for nothing.
    let (heard, asked) = tokio::task::spawn_blocking(move || {
        let mut heard = BTreeSet::new();
        while heard.len() < sent {
            let line: serde_json::Value = serde_json::from_str(&desktop.line()).unwrap();
            assert_eq!(line["step"], "message", "{line}");
            if let Some(number) = line["text"].as_str().unwrap().strip_prefix("number ") {
                heard.insert(number.parse::<usize>().unwrap());
            }
        }
        desktop.tell("end");
        let mut asked = None;
        loop {
            let line: serde_json::Value = serde_json::from_str(&desktop.line()).unwrap();
            match line["step"].as_str().unwrap() {
                "asked" => asked = Some(line),
                "done" => break,
                _ => {}
            }
        }
        (heard, asked.unwrap())
    })
    .await
    .unwrap();
    assert_eq!(heard, (0..sent).collect());
    assert_eq!(asked["differences"], 0, "{asked}");
    assert_eq!(on_record(&table, &key).await, before, "its device and its layer are what they were");
    assert!(Path::new(&cluster.file()).exists());
    cluster.shutdown().await;
}
