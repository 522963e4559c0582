//! Captures made by tcpdump, decoded with a key log, and shown by tshark.
//!
//! * Telethon, obfuscated, against the cluster, with the keys that the cluster logs. It knows no forward secrecy.
//! * mtcute, which binds temporary keys, likewise.
//! * Our own client with forward secrecy, over every transport, through tunnels and an MTProxy, with the keys that it logs itself.
//!
//! They need tcpdump and tshark (Debian has packages of these names), the right to capture on the loopback interface, and what the
//! interop tests need. Without one of these they fail and say so.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::support;

use crate::peers as interop;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use support::{TestCommand, TestDir};
use tdl::crypto::keylog::KeyLogger;
use tdl::crypto::rsa::PublicKey;
use tdl::debug::KeylogFile;
use tdl::sandbox::mtproxy::MtProxy;
use tdl::sandbox::{Cluster, Config};

use crate::proxy_servers as proxies;

/// A running tcpdump.
struct Tcpdump {
    child: Child,
    stderr: BufReader<ChildStderr>,
    file: PathBuf,
}

impl Tcpdump {
    /// Captures on the loopback interface what goes to and from these ports.
    fn start(dir: &TestDir, ports: &[u16]) -> Self {
        let file = dir.join("wire.pcap");
        let filter = ports.iter().map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
        let mut command = Command::new("tcpdump");
        // A large buffer, so that nothing is dropped while the machine is busy; as the user that we are, whose directory it is.
        command.args(["-i", "lo", "-s", "0", "-U", "-n", "-B", "65536", "-Z", "root", "-w"]).arg(&file).arg(filter);
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("tcpdump: {error}; install it: apt-get install tcpdump tshark"));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            if stderr.read_line(&mut said).unwrap() == 0 {
                panic!("tcpdump cannot capture here (it needs root or CAP_NET_RAW):\n{said}");
            }
        }
        Self { child, stderr, file }
    }

    /// Ends the capture; the file.
    fn stop(mut self) -> PathBuf {
        // What was sent a moment ago may still be on its way to the file, and an interrupt would leave it there.
        let mut said = String::new();
        for _ in 0..300 {
            self.signal("-USR1");
            said.clear();
            self.stderr.read_line(&mut said).unwrap();
            let counts: Vec<u64> = said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
            if counts.len() >= 2 && counts[0] == counts[1] {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.signal("-INT");
        self.stderr.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        assert!(said.contains("\n0 packets dropped by kernel"), "the capture has holes:\n{said}");
        self.file.clone()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What tshark makes of a file with our script.
fn tshark(script: &Path, file: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.arg("-X").arg(format!("lua_script:{}", script.display())).arg("-r").arg(file).args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("tshark: {error}; install it: apt-get install tcpdump tshark"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let about = errors.lines().filter(|line| !line.starts_with("Running as user")).collect::<Vec<_>>().join("\n");
    assert!(output.status.success() && about.is_empty(), "{command:?}\n{about}");
    String::from_utf8(output.stdout).unwrap()
}

/// A cluster in the directory's `box` that logs its keys to `keys.log`, and its ports.
async fn cluster(dir: &TestDir) -> (Cluster, Vec<u16>) {
    loop {
        let mut config = Config::new(dir.join("box"));
        let log = KeylogFile::open(&dir.join("keys.log"), |error| panic!("{error}")).unwrap();
        config.key_log = KeyLogger::new(Arc::new(log));
        let cluster = Cluster::start(config).await.unwrap();
        // mtcute looks keys up by fingerprints written without leading zeros.
        let fingerprint = PublicKey::from_pem(cluster.rsa_public_key()).unwrap().fingerprint();
        if fingerprint.cast_unsigned() >> 60 != 0 {
            let ports = cluster.dcs().iter().map(|dc| dc.port).collect();
            return (cluster, ports);
        }
        cluster.shutdown().await;
        std::fs::remove_dir_all(dir.join("box")).unwrap();
    }
}

/// Decodes a capture into JSON lines; all of it must be decoded. `broken`: the rules that the client is known to break.
fn decode(dir: &TestDir, capture: &Path, keys: &str, more: &str, broken: &[&str]) -> Vec<Value> {
    let mut command = dir.tdl();
    let lines = command.args("trace decode --json --trace=all --keylog").arg(keys).arg(capture).args(more).ok();
    let stderr = lines.stderr();
    assert!(!stderr.contains("not decoded"), "{stderr}");
    let records: Vec<Value> = lines.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(words(&records, "check_failed", "rule"), broken.iter().map(|rule| (*rule).to_owned()).collect(), "{stderr}");
    records
}

fn of_kind<'a>(records: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    records.iter().filter(move |record| record["kind"] == kind)
}

fn words(records: &[Value], kind: &str, field: &str) -> BTreeSet<String> {
    of_kind(records, kind).filter_map(|record| record[field].as_str().map(str::to_owned)).collect()
}

/// Every encrypted packet was opened, every answer has its request, and everything in the bodies has a name.
fn assert_whole(records: &[Value]) {
    assert!(of_kind(records, "envelope").all(|record| record["msg_key"] == "ok" && record["inner"].is_object()));
    for result in of_kind(records, "rpc_result") {
        assert!(result["method"].is_string() && result["latency_us"].as_u64() > Some(0), "{result}");
    }
    let nameless = records.iter().find(|record| record["kind"] == "message_sent" && record["name"].is_null());
    assert_eq!(nameless, None);
}

/// Writes the same as packets, and looks at them with tshark.
fn assert_shown(dir: &TestDir, capture: &Path, keys: &str, records: &[Value], method: &str) {
    let (packets, script) = (dir.join("wire.pcapng"), dir.join("tdl.lua"));
    let mut command = dir.tdl();
    command.args("trace decode --quiet --keylog").arg(keys).arg(capture).arg("--out").arg(&packets).ok().no_stdout();
    dir.tdl().args("trace dissector -o tdl.lua").ok().no_stdout();
    assert_eq!(tshark(&script, &packets, &["-Y", "mtproto.malformed || _ws.malformed || mtproto.check_failed"]), "");

    // Each packet of MTProto is one of Wireshark's, under its key, with its messages.
    let columns = "direction conn dc transport auth_key_id salt session_id msg_id msg_id.time seq_no length constructor";
    let columns: Vec<String> = columns.split(' ').map(|column| format!("mtproto.{column}")).collect();
    let mut arguments = vec!["-T", "fields", "-Y", "mtproto.session_id"];
    columns.iter().for_each(|column| arguments.extend(["-e", column]));
    let lines = tshark(&script, &packets, &arguments);
    let ids: BTreeSet<String> =
        lines.lines().flat_map(|line| line.split('\t').nth(7).unwrap().split(',')).map(str::to_owned).collect();
    let expected: BTreeSet<String> = ["message_sent", "message_received"]
        .iter()
        .flat_map(|kind| words(records, kind, "msg_id"))
        .map(|id| format!("0x{id}"))
        .collect();
    assert_eq!(ids, expected, "every message is there");
    assert_eq!(lines.lines().count(), of_kind(records, "envelope").count());
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(fields.len() == columns.len() && fields.iter().all(|field| !field.is_empty()), "{line}");
    }

    // A method's request and its answer know of each other.
    let filter = format!("mtproto.rpc.method == \"{method}\"");
    let shown = [
        "mtproto.direction",
        "mtproto.rpc.req_msg_id",
        "mtproto.rpc.request_in",
        "mtproto.rpc.latency",
        "ip.src",
        "frame.number",
    ];
    let mut arguments = vec!["-T", "fields", "-Y", &filter];
    shown.iter().for_each(|column| arguments.extend(["-e", column]));
    let lines = tshark(&script, &packets, &arguments);
    let requests: BTreeSet<&str> =
        lines.lines().filter(|line| line.starts_with('1')).filter_map(|line| line.split('\t').nth(5)).collect();
    let answers: Vec<&str> = lines.lines().filter(|line| line.starts_with('2')).collect();
    assert!(!requests.is_empty() && !answers.is_empty(), "{lines}");
    for answer in answers {
        let fields: Vec<&str> = answer.split('\t').collect();
        assert!(fields[2].split(',').any(|frame| requests.contains(frame)), "{answer}\n{lines}");
        assert!(fields[3].split(',').all(|latency| latency.parse::<f64>().unwrap() > 0.0), "{answer}");
        assert_eq!(fields[4], "127.0.0.1");
    }
    // The container holds its messages.
    let tree = tshark(&script, &packets, &["-V", "-Y", "mtproto.container"]);
    assert!(tree.contains("    Message: msg_container") && tree.contains("        Message: "), "{tree}");
    assert!(tree.contains("In container: 0x"), "{tree}");
}

fn telethon(cluster: &Path, arguments: &[&str]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/telethon_client.py");
    interop::json_lines(Command::new(interop::python()).arg("-u").arg(script).arg(cluster).args(arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn telethon_obfuscated_is_decoded_in_full_and_shown_in_wireshark() {
    let dir = TestDir::new();
    let (cluster, ports) = cluster(&dir).await;
    let dump = Tcpdump::start(&dir, &ports);
    let (file, files) = (cluster.file(), dir.path().to_str().unwrap().to_owned());
    let account = move || telethon(&file, &["account", "9996621234", "1234567", &files, "obfuscated"]);
    let lines = tokio::task::spawn_blocking(account).await.unwrap();
    assert_eq!(interop::steps(&lines).last(), Some(&"done"));
    cluster.shutdown().await;
    let capture = dump.stop();

    let records = decode(&dir, &capture, "keys.log", "", &[]);
    assert_whole(&records);
    assert_eq!(words(&records, "frame_sent", "framing"), ["obfuscated abridged".to_owned()].into());
    let results = words(&records, "rpc_result", "method");
    let methods = "auth.sendCode auth.signUp messages.sendMessage upload.saveFilePart messages.sendMedia upload.getFile \
                   messages.getHistory account.getAuthorizations auth.logOut";
    for method in methods.split_whitespace() {
        assert!(results.contains(method), "{method} is missing: {results:?}");
    }
    // The file went up and down in parts.
    let parts = |method: &str| of_kind(&records, "rpc_result").filter(|record| record["method"] == method).count();
    assert!(parts("upload.saveFilePart") >= 10 && parts("upload.getFile") >= 10);
    // It was sent to the wrong data centre first.
    let error = of_kind(&records, "rpc_result").find(|record| record["method"] == "auth.sendCode").unwrap();
    assert_eq!(error["error"]["text"], "PHONE_MIGRATE_2");
    let steps = words(&records, "handshake_step", "step");
    assert!(steps.contains("req_pq_multi") && steps.contains("dh_gen_ok"), "{steps:?}");
    assert!(of_kind(&records, "connected").all(|record| record["addr"].as_str().unwrap().starts_with("127.0.0.1:")));
    // What was written stays where it was unless it is asked for.
    let all = serde_json::to_string(&records).unwrap();
    assert!(!all.contains("a text with") && !all.contains("9996621234"), "bodies are redacted");

    assert_shown(&dir, &capture, "keys.log", &records, "messages.sendMessage");
    let lines = dir.tdl().args("trace decode wire.pcap --quiet --keylog keys.log").ok().stdout();
    assert!(lines.lines().any(|line| line.contains("← messages.sendMessage") && line.contains("ms")), "{lines}");

    // Without the keys nothing opens, and the reason is told; with some of them, the rest is.
    let without = dir.tdl().args("trace decode wire.pcap").code(3).stderr();
    assert!(without.contains("which no key log has") && without.contains("no keys:"), "{without}");
    let log = std::fs::read_to_string(dir.join("keys.log")).unwrap();
    let (id, some) =
        log.lines().filter(|line| !line.starts_with('#')).fold((String::new(), String::new()), |(id, some), line| {
            if id.is_empty() { (line[..16].to_owned(), some) } else { (id, some + line + "\n") }
        });
    dir.write("some.log", some);
    let partly = dir.tdl().args("trace decode wire.pcap --keylog some.log").code(3).stderr();
    assert!(partly.contains(&format!("under the key {id}")), "{partly}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mtcute_with_forward_secrecy_is_decoded_in_full() {
    let dir = TestDir::new();
    let (cluster, ports) = cluster(&dir).await;
    let dump = Tcpdump::start(&dir, &ports);
    let file = cluster.file();
    let mtcute = move || {
        let program = interop::node_program("mtcute_client.mjs");
        interop::json_lines(Command::new("node").arg(program).arg(file).args(["9996621234", "on"]))
    };
    let lines = tokio::task::spawn_blocking(mtcute).await.unwrap();
    assert_eq!(interop::steps(&lines).last(), Some(&"done"));
    cluster.shutdown().await;
    // It numbers acknowledgements and containers as if they had to be acknowledged.
    let records = decode(&dir, &dump.stop(), "keys.log", "", &["SeqNoNotEven"]);
    assert_whole(&records);
    assert_eq!(of_kind(&records, "temp_key_bound").count(), 3);
    let temporary: BTreeSet<&str> = of_kind(&records, "key_in_use")
        .filter(|record| record["expires_at"].is_number())
        .filter_map(|record| record["auth_key_id"].as_str())
        .collect();
    assert_eq!(temporary.len(), 3);
    assert!(words(&records, "rpc_result", "method").contains("auth.bindTempAuthKey"));
}

fn ours(dir: &TestDir, arguments: &str) -> TestCommand {
    let mut command = dir.tdl();
    command.env_remove("TDL_HOME").args("--sandbox box --keylog client.log").args(arguments);
    command
}

/// With forward secrecy, as it is by default, over everything that there is; by the keys that the client logs itself.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_is_decoded_in_full_over_every_transport() {
    const SECRET: &str = "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d";
    let dir = TestDir::new();
    let (cluster, mut ports) = cluster(&dir).await;
    let proxy = MtProxy::start(SECRET.parse().unwrap(), cluster.dcs()).await.unwrap();
    let places = cluster.dcs().iter().map(|dc| (dc.addr().to_string(), dc.addr())).collect();
    let tunnel = proxies::TestProxy::start(proxies::Speech::Socks5, places).await.unwrap();
    let links = [format!("mtproxy://{SECRET}@{}", proxy.addr()), tunnel.url(proxies::PASSWORD)];
    ports.extend([proxy.addr().port(), links[1].rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap()]);
    let dump = Tcpdump::start(&dir, &ports);
    let dir = Arc::new(dir);
    let client = Arc::clone(&dir);
    let run = move || {
        let dir = &*client;
        let login = ours(dir, "login -T code --phone 9996621234 --code 22222 --first-name Ada").ok();
        assert!(login.stderr().contains("WARNING: auth keys are being written to client.log"), "{login}");
        ours(dir, "whoami --quiet").ok().stderr_has("WARNING");
        dir.write("files/one.bin", vec![7; 600_000]);
        ours(dir, "up -p files/one.bin --trace-file live.pcapng").ok();
        for transport in ["abridged", "intermediate", "padded", "full", "obfuscated-full", "http", "ws"] {
            ours(dir, "whoami --transport").arg(transport).ok();
        }
        for link in links {
            ours(dir, "whoami --proxy").arg(link).ok();
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    cluster.shutdown().await;
    let capture = dump.stop();

    let records = decode(&dir, &capture, "client.log", &format!("--proxy-secret {SECRET}"), &[]);
    assert_whole(&records);
    let framings = words(&records, "frame_sent", "framing");
    let expected = [
        "abridged",
        "faketls obfuscated padded",
        "full",
        "http",
        "intermediate",
        "obfuscated full",
        "obfuscated padded",
        "padded",
        "ws obfuscated padded",
    ];
    assert_eq!(framings, expected.map(str::to_owned).into());
    assert!(
        of_kind(&records, "key_in_use").all(|record| record["expires_at"].is_number()),
        "no traffic under the permanent key"
    );
    assert!(of_kind(&records, "temp_key_bound").count() >= 2, "one for calls, one for files");
    // What the client says of itself and what was captured of it is the same.
    let mut calls = BTreeMap::new();
    for result in of_kind(&records, "rpc_result") {
        *calls.entry(result["method"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert!(calls["users.getUsers"] >= 9 && calls["upload.saveFilePart"] >= 2, "{calls:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.join("client.log")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Without its secret, what went to the proxy and looks like TLS is TLS.
    let mut without = dir.tdl();
    let stderr = without.args("trace decode --quiet --out x.jsonl --keylog client.log").arg(&capture).ok().stderr();
    assert!(!stderr.contains("not decoded"), "{stderr}");

    // A running client writes the same packets.
    dir.tdl().args("trace dissector -o tdl.lua").ok();
    let (script, live) = (dir.join("tdl.lua"), dir.join("live.pcapng"));
    assert_eq!(tshark(&script, &live, &["-Y", "mtproto.malformed || _ws.malformed || mtproto.check_failed"]), "");
    let filter = ["-Y", "mtproto.rpc.method == \"upload.saveFilePart\" && mtproto.rpc.latency", "-T", "fields"];
    let shown = ["-e", "_ws.col.Source", "-e", "_ws.col.Destination", "-e", "mtproto.transport"];
    let lines = tshark(&script, &live, &[&filter[..], &shown].concat());
    assert!(lines.lines().count() >= 2, "{lines}");
    assert!(lines.lines().all(|line| line.starts_with("DC2\tclient #") && line.ends_with("obfuscated padded")), "{lines}");
}

/// The cluster's own log, by the command line.
#[test]
fn a_cluster_logs_the_keys_of_its_clients() {
    let dir = TestDir::new();
    let sandbox = support::Sandbox::start_with(&dir, "--keylog keys.log");
    let port = |dc: usize| u16::try_from(sandbox.ready["dcs"][dc]["port"].as_u64().unwrap()).unwrap();
    let dump = Tcpdump::start(&dir, &[port(0), port(1), port(2)]);
    sandbox.tdl(&dir).args("login -T code --phone 9996621234 --code 22222 --first-name Ada").ok();
    assert_eq!(sandbox.interrupt(), Some(0));
    let capture = dump.stop();
    let records = decode(&dir, &capture, "keys.log", "", &[]);
    assert_whole(&records);
    let methods = words(&records, "rpc_result", "method");
    assert!(methods.contains("auth.signUp"), "{methods:?}");

    // From a pipe, and what cannot be read.
    let piped = dir.tdl().args("trace decode - --keylog keys.log").command();
    let output = { piped }.stdin(std::fs::File::open(&capture).unwrap()).output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("auth.signUp"));
    dir.tdl().args("trace decode nothing.pcap").code(1).error("nothing.pcap", "");
    dir.write("text.pcap", "no capture at all");
    dir.tdl().args("trace decode text.pcap").code(1).error("it is no capture", "tcpdump -w");
    dir.write("damaged.log", "0123456789abcdef 00");
    dir.tdl().args("trace decode wire.pcap --keylog damaged.log").code(1).error("line 1", "docs/capture.md");
    let whole = std::fs::read(&capture).unwrap();
    dir.write("cut.pcap", &whole[..whole.len() - 20]);
    dir.tdl().args("trace decode cut.pcap --keylog keys.log").code(3).stderr_has("it ends in the middle of a packet");
    dir.write("empty.pcap", &whole[..24]);
    dir.tdl()
        .args("trace decode empty.pcap --keylog keys.log")
        .code(1)
        .error("nothing in empty.pcap could be decoded", "tcpdump -s 0");
}
