//! The real binary through proxies that others wrote, and through our own: see `interop/proxies.py`, and `tdl::sandbox::mtproxy`.
//!
//! | proxy | kind |
//! |---|---|
//! | mtprotoproxy (PyPI) | MTProxy: plain, `dd`, `ee` with the older greeting, the only one that it knows |
//! | our own | MTProxy: plain, `dd`, `ee` with today's greeting |
//! | pproxy (PyPI) | SOCKS5, with a user and without |
//! | proxy.py (PyPI) | HTTP CONNECT, with a user and without |
//!
//! Each carries a login, an upload and a download. The addresses in the clients' DC list lead nowhere, so whatever works, works through
//! the proxy.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::peers as interop;
use crate::support;

use std::fs;

use interop::Script;
use support::{TestCommand, TestDir};
use tdl::sandbox::mtproxy::MtProxy;
use tdl::sandbox::{Cluster, Config};
use tdl::transport::Kind;

/// Nobody listens there; the proxies of the suite lead on from there to where the cluster is.
const NOWHERE: &str = "127.0.0.7";
const KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// The key for fake TLS of www.example.com.
const DISGUISED: &str = "ee000102030405060708090a0b0c0d0e0f7777772e6578616d706c652e636f6d";

/// A cluster, and a directory in which a client knows it under addresses that lead nowhere.
struct World {
    dir: TestDir,
    cluster: Cluster,
}

impl World {
    async fn new() -> Self {
        let dir = TestDir::new();
        let cluster = Cluster::start(Config::new(dir.join("cluster"))).await.unwrap();
        let mut table: serde_json::Value = serde_json::from_slice(&fs::read(cluster.file()).unwrap()).unwrap();
        for dc in table["dcs"].as_array_mut().unwrap() {
            dc["ip"] = NOWHERE.into();
        }
        dir.write("elsewhere.json", table.to_string());
        Self { dir, cluster }
    }

    fn script(&self, arguments: &[&str]) -> (Script, u16) {
        let file = self.cluster.file();
        let arguments: Vec<&str> = [file.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
        let mut script = Script::start("proxies.py", &arguments);
        let port = script.line().parse().expect("it prints its port");
        (script, port)
    }

    fn tdl(&self, proxy: &str, args: &str) -> TestCommand {
        let mut command = self.dir.tdl();
        command.env("TDL_DC_CONFIG", self.dir.join("elsewhere.json")).env("TDL_PROXY", proxy).args(args);
        command
    }

    /// Logs in, uploads and downloads through the proxy. All in a thread of its own, for the cluster needs this one's runtime.
    async fn works(self, proxy: String) -> Self {
        tokio::task::spawn_blocking(move || {
            let data: Vec<u8> =
                (0..1_500_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(1_300_007).collect();
            self.dir.write("file.bin", &data);
            let login = "login --phone 9996621234 --code 22222 --first-name Ada";
            self.tdl(&proxy, login).ok();
            self.tdl(&proxy, "up -p file.bin").ok().stderr_has("1 file");
            self.tdl(&proxy, "chat export -o export.json").ok();
            self.tdl(&proxy, "dl -f export.json -d down").ok();
            let down = fs::read_dir(self.dir.join("down")).unwrap().next().expect("a file").unwrap().path();
            assert!(fs::read(down).unwrap() == data, "what came back is not what was sent");
            // What is shown names the proxy, and nothing that is secret.
            let told = self.tdl(&proxy, "whoami -v --trace=transport").ok().stderr();
            let at = &proxy[proxy.rfind('@').map_or_else(|| proxy.find("//").unwrap() + 2, |at| at + 1)..];
            assert!(told.contains("going through") && told.matches(at).count() >= 2, "{told}");
            assert!(!told.contains("hunter2") && !told.contains(KEY), "{told}");
            self
        })
        .await
        .unwrap()
    }

    /// Fails for good, soon, with this code and these words.
    async fn fails(self, proxy: String, code: i32, what: &'static str, advice: &'static str) {
        let world = tokio::task::spawn_blocking(move || {
            self.tdl(&proxy, "login --phone 9996621234 --code 22222 --reconnect-timeout 1s").code(code).error(what, advice);
            self
        });
        world.await.unwrap().cluster.shutdown().await;
    }
}

async fn through_mtprotoproxy(mode: &str, secret: &str) {
    let world = World::new().await;
    let (_script, port) = world.script(&["mtproxy", mode, KEY]);
    world.works(format!("mtproxy://{secret}@127.0.0.1:{port}")).await.cluster.shutdown().await;
}

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn mtprotoproxy_plain() {
    through_mtprotoproxy("plain", KEY).await;
}

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn mtprotoproxy_padded() {
    through_mtprotoproxy("padded", &format!("dd{KEY}")).await;
}

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn mtprotoproxy_in_fake_tls() {
    through_mtprotoproxy("tls", DISGUISED).await;
}

/// Row: A.1 "MTProxy plain / dd / ee fake-TLS"
#[tokio::test(flavor = "multi_thread")]
async fn our_own_mtproxy_in_every_disguise() {
    for (secret, kind) in [
        (KEY.to_owned(), Kind::Intermediate),
        (format!("dd{KEY}"), Kind::PaddedIntermediate),
        (DISGUISED.to_owned(), Kind::PaddedIntermediate),
    ] {
        let world = World::new().await;
        let proxy = MtProxy::start(secret.parse().unwrap(), world.cluster.dcs()).await.unwrap();
        let link = format!("https://t.me/proxy?server=127.0.0.1&port={}&secret={secret}", proxy.addr().port());
        // As a link, and as a URL.
        let shown = format!("mtproxy://{secret}@{}", proxy.addr());
        let world = world.works(shown).await;
        let world = tokio::task::spawn_blocking(move || {
            world.tdl(&link, "whoami").ok();
            world
        });
        let accepted = proxy.accepted();
        assert!(!accepted.is_empty() && accepted.iter().all(|options| options.kind == kind), "{accepted:?}");
        assert_eq!(proxy.refused(), Vec::<String>::new());
        world.await.unwrap().cluster.shutdown().await;
    }
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test(flavor = "multi_thread")]
async fn socks5_of_pproxy() {
    let world = World::new().await;
    let (_script, port) = world.script(&["socks5"]);
    world.works(format!("socks5://127.0.0.1:{port}")).await.cluster.shutdown().await;
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test(flavor = "multi_thread")]
async fn socks5_of_pproxy_with_a_password() {
    let world = World::new().await;
    let (_script, port) = world.script(&["socks5", "ada", "hunter2"]);
    let world = world.works(format!("socks5h://ada:hunter2@127.0.0.1:{port}")).await;
    let wrong = format!("socks5://127.0.0.1:{port}");
    // It hangs up on whoever does not offer a password, without the word that RFC 1928 has for it.
    world.fails(wrong, 5, "the proxy closed the connection before it answered", "check the connection").await;
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test(flavor = "multi_thread")]
async fn http_of_proxy_py() {
    let world = World::new().await;
    let (_script, port) = world.script(&["http"]);
    world.works(format!("http://127.0.0.1:{port}")).await.cluster.shutdown().await;
}

/// Row: A.1 "SOCKS5 / HTTP proxy"
#[tokio::test(flavor = "multi_thread")]
async fn http_of_proxy_py_with_a_password() {
    let world = World::new().await;
    let (_script, port) = world.script(&["http", "ada", "hunter2"]);
    let world = world.works(format!("http://ada:hunter2@127.0.0.1:{port}")).await;
    let wrong = format!("http://ada:hunter3@127.0.0.1:{port}");
    world.fails(wrong, 5, "it wants a user and a password, or refuses these", "--proxy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_proxy_there_is_no_way() {
    let world = World::new().await;
    world.fails("none".to_owned(), 5, "cannot be reached", "check the connection").await;
}
