//! `tdl dc`: data centres looked at from outside, good ones and bad ones.

#![cfg(feature = "cli")]

use crate::support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use support::{Sandbox, TestCommand, TestDir};
use tdl::clock::Now;
use tdl::crypto::dh::KNOWN_PRIME;
use tdl::crypto::hash::sha1;
use tdl::crypto::kdf;
use tdl::crypto::rsa::PrivateKey;
use tdl::ids::{DcId, MsgId};
use tdl::mtproto::handshake::server::{Config, ServerHandshake, Step};
use tdl::mtproto::plain;
use tdl::tl::mtproto::{enums, functions, types};
use tdl::tl::{Deserialize, Serialize};
use tdl::transport::{Codec, Detector, Frame};

const NOW: Now = Now::new(Duration::from_secs(100), Duration::from_secs(1_700_000_000));
static KEY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::from_pem(include_str!("../src/core/mtproto/handshake/tests/server_key.pem")).expect("a key"));

fn log_in(sandbox: &Sandbox, dir: &TestDir) {
    sandbox.tdl(dir).args("login -T code --phone 9996621234 --code 22222 --first-name Ada").ok();
}

#[test]
fn data_centres_are_listed_pinged_and_asked() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let port =
        |id: i64| sandbox.ready["dcs"].as_array().expect("a list")[usize::try_from(id - 1).expect("small")]["port"].clone();

    let before = sandbox.tdl(&dir).args("dc ls --json").ok().json();
    assert_eq!((&before["home_dc"], &before["addresses"][1]["key_id"]), (&Value::Null, &Value::Null));
    assert!(!dir.join("box/home").exists(), "listing makes no files");
    log_in(&sandbox, &dir);
    let after = sandbox.tdl(&dir).args("dc ls --json").ok().json();
    let home = &after["addresses"][1];
    assert_eq!(
        (&home["id"], &home["port"], &home["home"], &home["authorized"]),
        (&json!(2), &port(2), &json!(true), &json!(true))
    );
    assert_eq!(home["key_id"].as_str().expect("a key").len(), 16);
    let table = sandbox.tdl(&dir).args("dc ls").ok();
    table.stdout_has("2 (home)").stdout_has("everything").stdout_has(home["key_id"].as_str().expect("a key"));

    // The login has left a temporary key: the home is pinged under it, the others have none.
    let pinged = sandbox.tdl(&dir).args("dc ping -c 2 --json").ok().json();
    for (at, dc) in pinged["dcs"].as_array().expect("a list").iter().enumerate() {
        let address = &dc["addresses"][0];
        assert_eq!((&dc["id"], &address["answered"], &address["error"]), (&json!(at + 1), &json!(2), &Value::Null), "{dc:#}");
        assert_eq!(dc["race"]["winner"], address["address"]);
        let spread = |name: &str| {
            ["min", "median", "max"].map(|it| address[name][it].as_f64().unwrap_or_else(|| panic!("{name} {it}: {dc:#}")))
        };
        assert!(spread("connect_ms").is_sorted() && spread("req_pq_ms").is_sorted() && spread("req_pq_ms")[0] > 0.0, "{dc:#}");
        assert_eq!(address["ping_ms"].is_object(), dc["id"] == 2, "{dc:#}");
    }
    sandbox.tdl(&dir).args("dc ping 1").ok().stdout_has("wins the race").stdout_has("3/3");
    sandbox.tdl(&dir).args("dc ping 7").code(2).error("no data centre 7", "1, 2, 3");
    // Not under the permanent key, unless that encrypts the rest as well.
    let without = sandbox.tdl(&dir).args("--pfs=off dc ping 2 -c 1 --json").ok().json();
    assert!(without["dcs"][0]["addresses"][0]["ping_ms"].is_object());
    for transport in ["abridged", "full", "http", "ws"] {
        let run = sandbox.tdl(&dir).args("dc ping 2 -c 1 --json --transport").arg(transport).ok().json();
        assert!(run["dcs"][0]["addresses"][0]["ping_ms"].is_object(), "{transport}: {run:#}");
    }

    let config = sandbox.tdl(&dir).args("dc config 3 --save saved.json").ok();
    config.stdout_has("this_dc").stdout_has("127.0.0.1").stdout_has("REMARKS").stderr_has("3 addresses written to saved.json");
    let config = sandbox.tdl(&dir).args("dc config 3 --json").ok().json();
    assert_eq!((&config["this_dc"], &config["dc_options"][0]["port"]), (&json!(3), &port(1)));
    let saved: Value = serde_json::from_slice(&fs::read(dir.join("saved.json")).expect("written")).expect("JSON");
    let original: Value = serde_json::from_slice(&fs::read(dir.join("box/cluster.json")).expect("there")).expect("JSON");
    // Of ports that speak TLS no configuration tells.
    let mut known = original["dcs"].clone();
    known.as_array_mut().expect("a list").iter_mut().for_each(|dc| drop(dc.as_object_mut().expect("a DC").remove("tls_port")));
    assert_eq!((&saved["dcs"], &saved["rsa_public_keys"]), (&known, &original["rsa_public_keys"]));
    dir.tdl().args("--dc-config saved.json dc ping 1 -c 1").ok().stdout_has("1/1");
    let after = sandbox.tdl(&dir).args("dc ls --json").ok().json();
    assert_eq!(after["addresses"][2]["key_id"], Value::Null, "what was asked of DC 3 was asked under a key that is not kept");
}

#[test]
fn a_key_exchange_is_shown_step_by_step() {
    let dir = TestDir::new();
    let sandbox = Sandbox::start(&dir);
    let run = sandbox.tdl(&dir).args("dc handshake 2").ok();
    for part in [
        "→ req_pq_multi",
        "← resPQ",
        "✓ resPQ carries our nonce",
        "· pq was factored",
        "· inside: p_q_inner_data_dc",
        "→ req_DH_params",
        "← server_DH_params_ok",
        "✓ the SHA-1 in front of the message is that of the message",
        "✓ dh_prime has 2048 bits",
        "✓ dh_prime is prime (known)",
        "✓ g is a quadratic residue modulo dh_prime",
        "✓ g_a is not below 2^1984",
        "→ set_client_DH_params",
        "← dh_gen_ok",
        "✓ new_nonce_hash1 shows that the server has the same key",
        "✓ both sides have the key",
        "waiting for the server",
        "new_nonce  ‹secret›",
    ] {
        run.stdout_has(part);
    }
    run.stderr_has("the key was not stored, and the server has forgotten it");
    assert!(!dir.join("box/home").exists(), "nothing is kept");

    let document = sandbox.tdl(&dir).args("dc handshake 2 --temporary --json").ok().json();
    assert_eq!(
        (&document["stored"], &document["forgotten_by_server"], &document["error"]),
        (&json!(false), &json!(true), &Value::Null)
    );
    let steps = document["steps"].as_array().expect("a list");
    let inner = steps.iter().find(|step| step["name"] == "p_q_inner_data_temp_dc").expect("the RSA block");
    assert_eq!((&inner["fields"]["new_nonce"], &inner["fields"]["expires_in"]), (&Value::Null, &json!("3600")));
    let checks: Vec<&Value> = steps.iter().filter(|step| step["kind"] == "check").collect();
    assert!(
        checks.len() >= 26 && checks.iter().all(|check| check["holds"] == true && check["took_us"].is_number()),
        "{checks:#?}"
    );
    let open = sandbox.tdl(&dir).args("dc handshake 2 --secrets --json").ok();
    open.stderr_has("secret values are shown");
    let open = open.json();
    let secret = |name: &str| {
        let value = open["steps"].as_array().expect("a list").iter().find_map(|step| step["fields"][name].as_str());
        value.map_or(0, str::len)
    };
    let lens = ["new_nonce", "tmp_aes_key", "tmp_aes_iv", "b", "auth_key"].map(secret);
    assert_eq!(lens, [64, 64, 64, 512, 512]);
}

/// What a server does wrong.
#[derive(Clone, Copy, Debug)]
enum Crime {
    /// Another nonce in `resPQ`.
    Nonce,
    /// A prime in place of `pq`.
    Pq,
    /// A key that nobody knows.
    Key,
    /// An encrypted part that was altered.
    Sealed,
    /// A generator that is no quadratic residue.
    Generator,
    /// A composite number in place of the prime.
    Composite,
    /// A `g_a` of one.
    Public,
    /// A last word that proves nothing.
    Hash,
}

/// Serves key exchanges that go wrong in one way, until the test ends.
fn rogue(crime: Crime) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, crime));
        }
    });
    addr
}

/// One connection. Its end, however it comes, ends the thread.
fn serve(mut stream: TcpStream, crime: Crime) -> Option<()> {
    let mut rng = StdRng::from_seed([7; 32]);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut detector = Detector::new();
    let mut codec: Option<Codec> = None;
    let mut server = ServerHandshake::new(&Config::new([KEY.clone()], DcId(1)));
    loop {
        if codec.is_none() {
            codec = detector.detect(&mut input).ok()?;
        }
        if let Some(codec) = &mut codec {
            while let Some(frame) = codec.decode(&mut input).ok()? {
                let Frame::Payload(frame) = frame else { continue };
                let frame = frame.freeze();
                let (next, answer) = match server.handle_frame(frame.clone(), NOW, &mut rng, &mut |_| false).ok()? {
                    Step::Send(next, answer) => (next, answer),
                    Step::Done(_, answer) => (ServerHandshake::new(&Config::new([KEY.clone()], DcId(1))), answer),
                    Step::Wait(_) | Step::Failed(..) => return None,
                };
                server = next;
                codec.encode(&tampered(crime, &frame, &answer), &mut rng, &mut output).ok()?;
            }
        }
        stream.write_all(&output.split()).ok()?;
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).ok()? {
            0 => return Some(()),
            read => input.extend_from_slice(&chunk[..read]),
        }
    }
}

/// The answer to a frame, made wrong if it is the one that is to be.
fn tampered(crime: Crime, question: &Bytes, answer: &Bytes) -> Vec<u8> {
    let body = |frame: &Bytes| plain::decode(frame.clone()).expect("a frame").1;
    let frame = |body: Bytes| plain::encode(MsgId(NOW.unix() << 32 | 1), &body).to_vec();
    if let Ok(enums::ResPq::Pq(mut it)) = enums::ResPq::from_bytes(body(answer)) {
        match crime {
            Crime::Nonce => it.nonce[0] ^= 1,
            // 2^61 - 1.
            Crime::Pq => it.pq = Bytes::copy_from_slice(&((1_u64 << 61) - 1).to_be_bytes()),
            Crime::Key => it.server_public_key_fingerprints = vec![0x0bad_c0de],
            _ => {}
        }
        return frame(enums::ResPq::Pq(it).to_bytes());
    }
    if let Ok(enums::ServerDhParams::Ok(mut it)) = enums::ServerDhParams::from_bytes(body(answer)) {
        let mut encrypted = it.encrypted_answer.to_vec();
        match crime {
            Crime::Sealed => encrypted[40] ^= 1,
            Crime::Generator => encrypted = sealed(question, 2, &KNOWN_PRIME, &KEY.public().modulus()),
            // The modulus of an RSA key is composite, and has no small factors.
            Crime::Composite => encrypted = sealed(question, 4, &KEY.public().modulus(), &KNOWN_PRIME),
            Crime::Public => encrypted = sealed(question, 3, &KNOWN_PRIME, &[1]),
            _ => {}
        }
        it.encrypted_answer = encrypted.into();
        return frame(enums::ServerDhParams::Ok(it).to_bytes());
    }
    if let Ok(enums::SetClientDhParamsAnswer::DhGenOk(mut it)) = enums::SetClientDhParamsAnswer::from_bytes(body(answer)) {
        it.new_nonce_hash1[15] ^= u8::from(matches!(crime, Crime::Hash));
        return frame(enums::SetClientDhParamsAnswer::from(*it).to_bytes());
    }
    answer.to_vec()
}

/// `server_DH_inner_data` of our own making, under the key that the question in `req_DH_params` leads to.
fn sealed(question: &Bytes, g: i32, prime: &[u8], g_a: &[u8]) -> Vec<u8> {
    let (_, body) = plain::decode(question.clone()).expect("a frame");
    let request = functions::ReqDhParams::from_bytes(body).expect("req_DH_params");
    let block = KEY.decrypt_pad(request.encrypted_data[..].try_into().expect("a block")).expect("RSA_PAD");
    let mut reader = tdl::tl::Reader::new(Bytes::copy_from_slice(&block[..]));
    let Ok(enums::PQInnerData::Dc(wanted)) = enums::PQInnerData::deserialize(&mut reader) else { panic!("p_q_inner_data_dc") };
    let inner = types::ServerDhInnerData {
        nonce: request.nonce,
        server_nonce: request.server_nonce,
        g,
        dh_prime: Bytes::copy_from_slice(prime),
        g_a: Bytes::copy_from_slice(g_a),
        server_time: i32::try_from(NOW.unix()).expect("before 2038"),
    };
    let inner = enums::ServerDhInnerData::from(inner).to_bytes();
    let mut out = [&sha1(&[&inner])[..], &inner].concat();
    out.resize(out.len().next_multiple_of(16), 0);
    kdf::tmp_aes(&request.server_nonce, &wanted.new_nonce).encrypt(&mut out).expect("whole blocks");
    out
}

/// `tdl` with a table that leads to one address.
fn at(dir: &TestDir, addrs: &[SocketAddr]) -> TestCommand {
    let dcs: Vec<Value> = addrs.iter().map(|addr| json!({ "id": 1, "ip": addr.ip(), "port": addr.port() })).collect();
    dir.write("c.json", json!({ "dcs": dcs, "rsa_public_keys": [KEY.public().to_pem()] }).to_string());
    let mut command = dir.tdl();
    command.args("--dc-config c.json");
    command
}

#[test]
fn a_server_that_breaks_a_rule_is_told_which() {
    let dir = TestDir::new();
    for (crime, rule, check, detail) in [
        (Crime::Nonce, "NonceMismatch", "✗ resPQ carries our nonce", "this exchange has"),
        (Crime::Pq, "PqNotTwoOddPrimes", "✗ pq is the product of two different primes", "pq 2305843009213693951 is not"),
        (Crime::Key, "NoCommonKey", "✗ the server offers a key that we trust", "0x000000000badc0de"),
        (Crime::Sealed, "InnerHashMismatch", "✗ the SHA-1 in front of the message", "SHA-1 in front of server_DH_inner_data"),
        (Crime::Generator, "BadGroup", "✗ g is a quadratic residue modulo dh_prime", "the DH generator 2 is not"),
        (Crime::Composite, "BadGroup", "✗ dh_prime is prime", "the DH prime is composite"),
        (Crime::Public, "BadPublicValue", "✗ 1 < g_a < dh_prime - 1", "g_a: the DH public value is not between"),
        (Crime::Hash, "NewNonceHash1Mismatch", "✗ new_nonce_hash1 shows", "dh_gen_ok does not carry new_nonce_hash1"),
    ] {
        let addr = rogue(crime);
        let run = at(&dir, &[addr]).args("dc handshake 1").code(7);
        run.stdout_has(check).stdout_has(&format!("✗ {rule}: ")).stdout_has(detail);
        run.stderr_has(&format!("error: DC1 at {addr} broke the rule {rule}: ")).stderr_has(detail).stderr_has(" help: ");
        assert!(!run.stdout().contains("both sides have the key"), "{crime:?}\n{run}");
    }
    let addr = rogue(Crime::Hash);
    let document = at(&dir, &[addr]).args("dc handshake 1 --json").code(7).json();
    assert_eq!(
        (&document["error"]["rule"], &document["key_id"]),
        (&json!("NewNonceHash1Mismatch"), &Value::Null),
        "{document:#}"
    );
    let last = document["steps"].as_array().expect("a list").iter().rfind(|step| step["kind"] == "check").expect("a check");
    assert_eq!((&last["check"], &last["holds"]), (&json!("NewNonceHash1"), &json!(false)));
    // Pings see as far as the first answer.
    let addr = rogue(Crime::Key);
    at(&dir, &[addr]).args("dc ping").code(7).stderr_has("broke the rule NoCommonKey");
}

#[test]
fn what_does_not_answer_says_why() {
    let dir = TestDir::new();
    // Nobody listens at the one; the other takes connections and says nothing.
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mute = silent.local_addr().expect("bound");
    let good = rogue(Crime::Hash);

    let run = at(&dir, &[refusing, mute]).args("dc ping --all-ports --timeout 300ms").code(5);
    run.stdout_has("0/3")
        .stdout_has("refused")
        .stdout_has("no answer to req_pq_multi within 0.3 s")
        .stderr_has("no data centre answers");
    let run = at(&dir, &[refusing, mute, good]).args("dc ping --all-ports --timeout 300ms -c 1 --json").ok().json();
    let answered: Vec<&Value> =
        run["dcs"][0]["addresses"].as_array().expect("a list").iter().map(|it| &it["answered"]).collect();
    assert_eq!(answered, [0, 0, 1]);
    assert!(run["dcs"][0]["addresses"][0]["error"].is_string() && run["dcs"][0]["addresses"][2]["error"].is_null(), "{run:#}");

    at(&dir, &[refusing]).args("dc handshake").code(5).error("DC1 cannot be reached", "--proxy");
    at(&dir, &[refusing]).args("--reconnect-timeout 10ms dc config").code(5).error("cannot be reached", "check the connection");
    // Telegram's own want to know who asks; looking from outside needs no application.
    dir.tdl().args("dc config").code(2).error("--app-id and --app-hash are missing", "my.telegram.org");
    dir.tdl().args("dc ls").ok().stdout_has("149.154.167.51").stdout_has("443, 80, 5222");
}
