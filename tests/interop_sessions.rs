//! Formats of sessions against the packages that define them, in both directions: Telethon, kurigram, opentele2 and opentele-ng (from PyPI),
//! GramJS and mtcute with its converter (from npm). See `interop/sessions.py` and `interop/sessions.mjs`.
#![cfg(feature = "store")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is to fail its test")]

use crate::peers as support;

use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use support::{json_lines, node_program_with, python_with};
use tdl::crypto::AuthKey;
use tdl::ids::DcId;
use tdl::store::foreign::{
    Error, ForeignSession, Format, detect_path, detect_text, gramjs, mtcute, pyrogram, read_path, read_text, tdata, telethon,
};

/// A key that is not the same at both ends, so that one which is read from the wrong place is seen.
fn key(seed: u8) -> AuthKey {
    let mut bytes = [0; 256];
    (0..=255_u8).zip(bytes.iter_mut()).for_each(|(at, byte)| *byte = at.wrapping_mul(31) ^ seed);
    AuthKey::from_bytes(&bytes)
}

fn hex_key(seed: u8) -> String {
    hex::encode(key(seed).as_bytes())
}

const USER: i64 = 7_000_000_001;

fn session(address: &str, test: bool) -> ForeignSession {
    let mut session = ForeignSession::new(Format::Tdl, 2, &key(2)).unwrap();
    session.set_user_id(USER).unwrap();
    session.is_bot = Some(true);
    session.test = Some(test);
    session.api_id = Some(17);
    session.address = Some(address.parse().unwrap());
    session
}

/// Addresses of both kinds, and whether they are those of the test DCs.
const ADDRESSES: [(&str, bool); 3] =
    [("149.154.167.51:443", false), ("[2001:67c:4e8:f002::a]:443", false), ("149.154.167.40:80", true)];

fn python(asked: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sessions.py");
    one(Command::new(python_with("requirements_sessions.txt")).arg(script).arg(asked.to_string()))
}

fn node(asked: &Value) -> Value {
    let program = node_program_with(include_str!("interop/package_sessions.json"), "sessions.mjs");
    one(Command::new("node").arg(program).arg(asked.to_string()))
}

fn one(command: &mut Command) -> Value {
    json_lines(command).pop().expect("it prints a line")
}

/// What a package says of a session of [`session`]; fields that it does not name are not compared.
fn assert_says(said: &Value, session: &ForeignSession) {
    let address = session.address.unwrap();
    let expected = json!({
        "dc": 2, "dcId": 2, "id": 2, "key": hex_key(2), "authKey": hex_key(2),
        "port": address.port(), "user_id": USER, "userId": USER, "bot": true, "isBot": true,
        "test": session.test, "isTest": session.test, "api_id": 17, "apiId": 17,
    });
    for (name, value) in said.as_object().expect("an object") {
        match name.as_str() {
            "ip" | "ipAddress" => {
                let ip: std::net::IpAddr = value.as_str().unwrap().parse().unwrap();
                assert_eq!(ip, address.ip(), "{said}");
            }
            _ if expected.get(name).is_some() => assert_eq!(&expected[name], value, "{name} in {said}"),
            _ => {}
        }
    }
    assert_eq!(said.get("key").or(said.get("authKey")), Some(&json!(hex_key(2))), "{said}");
}

fn assert_read(read: &ForeignSession, format: Format) {
    assert_eq!((read.format, read.home_dc), (format, DcId(2)));
    assert!(read.home_key().unwrap() == &key(2), "the key is another one");
}

#[test]
fn telethon_reads_what_is_written_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    for (index, (address, test)) in ADDRESSES.into_iter().enumerate() {
        let session = session(address, test);
        let text = telethon::to_string(&session).unwrap();
        assert_says(&python(&json!({"do": "read telethon", "text": text.as_str()})), &session);
        let ours = dir.path().join(format!("ours{index}.session"));
        telethon::write_file(&session, &ours).unwrap();
        assert_says(&python(&json!({"do": "read telethon", "path": ours})), &session);
        // It has brought the file up to date meanwhile.
        assert_read(&telethon::from_file(&ours).unwrap(), Format::TelethonFile);

        let theirs = dir.path().join(format!("theirs{index}.session"));
        let socket = session.address.unwrap();
        let made = python(&json!({
            "do": "make telethon", "dc": 2, "ip": socket.ip().to_string(), "port": socket.port(), "key": hex_key(2), "user_id": USER,
            "path": theirs,
        }));
        let made = made["text"].as_str().unwrap();
        assert_eq!(made, text.as_str(), "the same string, to the letter");
        assert_eq!((detect_text(made).unwrap(), detect_path(&theirs).unwrap()), (Format::TelethonString, Format::TelethonFile));
        let read = telethon::from_file(&theirs).unwrap();
        assert_read(&read, Format::TelethonFile);
        assert_eq!((read.address, read.user_id), (session.address, Some(USER)));
    }
}

#[test]
fn kurigram_reads_what_is_written_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    for test in [false, true] {
        let session = session(if test { ADDRESSES[2].0 } else { ADDRESSES[0].0 }, test);
        let text = pyrogram::to_string(&session).unwrap();
        assert_says(&python(&json!({"do": "read pyrogram", "text": text.as_str()})), &session);
        let mut old = session.clone();
        old.api_id = None;
        let said = python(&json!({"do": "read pyrogram", "text": pyrogram::to_string(&old).unwrap().as_str()}));
        assert_eq!((&said["user_id"], &said["key"], &said["api_id"]), (&json!(USER), &json!(hex_key(2)), &Value::Null));
        let ours = dir.path().join(format!("ours{test}.session"));
        pyrogram::write_file(&session, &ours).unwrap();
        let said = python(&json!({"do": "read pyrogram", "path": ours}));
        assert_says(&said, &session);
        assert_eq!(said["version"], 7, "it was brought up to date");
        let read = pyrogram::from_file(&ours).unwrap();
        assert_read(&read, Format::PyrogramFile);
        assert_eq!(read.test, Some(test));

        let theirs = dir.path().join(format!("theirs{test}.session"));
        let made = python(&json!({
            "do": "make pyrogram", "dc": 2, "key": hex_key(2), "user_id": USER, "bot": true, "test": test, "api_id": 17, "path": theirs,
        }));
        assert_eq!(made["text"], text.as_str(), "the same string, to the letter");
        for (layout, user, api_id) in [("text", USER, Some(17)), ("wide", USER, None), ("narrow", 77, None)] {
            let read = read_text(made[layout].as_str().unwrap()).unwrap();
            assert_read(&read, Format::PyrogramString);
            assert_eq!((read.user_id, read.api_id, read.is_bot, read.test), (Some(user), api_id, Some(true), Some(test)));
        }
        assert_eq!(detect_path(&theirs).unwrap(), Format::PyrogramFile);
        let read = pyrogram::from_file(&theirs).unwrap();
        assert_read(&read, Format::PyrogramFile);
        assert_eq!((read.user_id, read.api_id, read.is_bot, read.test), (Some(USER), Some(17), Some(true), Some(test)));
    }
}

#[test]
fn gramjs_reads_what_is_written_and_the_other_way_round() {
    for (address, test) in ADDRESSES {
        let session = session(address, test);
        let text = gramjs::to_string(&session).unwrap();
        let said = node(&json!({"do": "read gramjs", "text": text.as_str()}));
        assert_says(&said, &session);
        assert_says(&said["converted"], &session);
        assert_eq!(said["again"], text.as_str(), "the same string, to the letter");
        // GramJS takes Telethon's strings as well; those with an IPv6 address it garbles.
        if session.address.unwrap().is_ipv4() {
            let said = node(&json!({"do": "read gramjs", "text": telethon::to_string(&session).unwrap().as_str()}));
            assert_eq!((&said["ip"], &said["key"]), (&json!(session.address.unwrap().ip().to_string()), &json!(hex_key(2))));
        }
    }
}

#[test]
fn mtcute_and_its_converter_read_what_is_written_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    for (index, (address, test)) in ADDRESSES.into_iter().enumerate() {
        let session = session(address, test);
        let socket = session.address.unwrap();
        let at = |name: &str| dir.path().join(format!("{name}{index}"));
        assert_says(&node(&json!({"do": "read mtcute", "text": mtcute::to_string(&session).unwrap().as_str()})), &session);
        assert_says(&node(&json!({"do": "read telethon", "text": telethon::to_string(&session).unwrap().as_str()})), &session);
        assert_says(&node(&json!({"do": "read pyrogram", "text": pyrogram::to_string(&session).unwrap().as_str()})), &session);
        mtcute::write_file(&session, &at("ours")).unwrap();
        let said = node(&json!({"do": "read storage", "path": at("ours")}));
        assert_eq!(said["key"], hex_key(2));
        assert_eq!(
            (&said["main"]["id"], &said["main"]["port"], &said["main"]["testMode"]),
            (&json!(2), &json!(socket.port()), &json!(test))
        );
        assert_eq!(said["user"], "0100000001000000".to_owned() + &hex::encode(USER.to_le_bytes()));

        let made = node(&json!({
            "do": "make", "dc": 2, "ip": socket.ip().to_string(), "port": socket.port(), "ipv6": socket.is_ipv6(), "test": test,
            "user_id": USER, "bot": true, "key": hex_key(2), "api_id": 17, "tdata": at("tdata"), "passcode": "Kennwort", "storage": at("theirs"),
        }));
        for (name, format) in [
            ("mtcute", Format::MtcuteString),
            ("with_media", Format::MtcuteString),
            ("telethon", Format::TelethonString),
            ("gramjs", Format::Gramjs),
            ("pyrogram", Format::PyrogramString),
            ("pyrogram_old", Format::PyrogramString),
        ] {
            let read = read_text(made[name].as_str().unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_read(&read, format);
            if format != Format::PyrogramString {
                assert_eq!(read.address, session.address, "{name}");
            }
            if matches!(format, Format::PyrogramString | Format::MtcuteString) {
                assert_eq!((read.user_id, read.is_bot, read.test), (Some(USER), Some(true), Some(test)), "{name}");
            }
        }
        let read = read_path(&at("theirs"), b"").unwrap().sessions.pop().unwrap();
        assert_read(&read, Format::MtcuteFile);
        assert_eq!((read.user_id, read.is_bot, read.address, read.test), (Some(USER), Some(true), session.address, Some(test)));
        let theirs = tdata::read(&at("tdata"), b"Kennwort").unwrap();
        assert_eq!(theirs.accounts.iter().map(|a| a.user_id.unwrap()).collect::<Vec<_>>(), [USER, USER + 1]);
        assert_read(&theirs.accounts[1], Format::Tdata);
        assert!(matches!(tdata::read(&at("tdata"), b"kennwort"), Err(Error::WrongPasscode)));
    }
}

/// Two accounts: one with two keys, one of the test DCs.
fn accounts() -> Vec<ForeignSession> {
    let mut first = session("149.154.167.51:443", false);
    first.keys.insert(DcId(4), key(4));
    let mut second = ForeignSession::new(Format::Tdl, 3, &key(3)).unwrap();
    second.set_user_id(12).unwrap();
    second.test = Some(true);
    second.address = Some("149.154.175.117:443".parse().unwrap());
    vec![first, second]
}

fn assert_accounts(path: &Path, passcode: &str) -> tdata::Tdata {
    let read = tdata::read(path, passcode.as_bytes()).unwrap();
    assert!(read.unreadable.is_empty() && read.stale.is_empty());
    let found: Vec<_> = read.accounts.iter().map(|a| (a.user_id.unwrap(), a.home_dc.0)).collect();
    assert_eq!(found, [(USER, 2), (12, 3)]);
    for (account, expected) in read.accounts.iter().zip(accounts()) {
        assert!(account.home_key().unwrap() == expected.home_key().unwrap(), "the key is another one");
    }
    read
}

const PASSCODES: [&str; 2] = ["", "Kennwort \u{1f511}"];

#[test]
fn two_programs_read_the_tdata_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for (index, passcode) in PASSCODES.into_iter().enumerate() {
        let at = |name: &str| -> PathBuf { dir.path().join(format!("{name}{index}")) };
        let path = at("ours");
        tdata::write(&path, &accounts(), passcode.as_bytes(), &mut StdRng::from_seed([9; 32])).unwrap();
        let said = python(&json!({"do": "read opentele2", "path": path, "passcode": passcode}));
        let expected = json!([
            {"user_id": USER, "dc": 2, "keys": {"2": hex_key(2), "4": hex_key(4)}, "config": true},
            {"user_id": 12, "dc": 3, "keys": {"3": hex_key(3)}, "config": true},
        ]);
        assert_eq!(said["accounts"], expected);
        assert_eq!(said["active"], 0);
        let again = json!({"do": "read opentele-ng", "path": path, "passcode": passcode, "again": at("again"), "again_passcode": "other"});
        let said = python(&again);
        let expected = json!([
            {"user_id": USER, "dc": 2, "key": hex_key(2), "test": false},
            {"user_id": 12, "dc": 3, "key": hex_key(3), "test": true},
        ]);
        assert_eq!(said["accounts"], expected);
        for wrong in [
            json!({"do": "read opentele2", "path": path, "passcode": "wrong"}),
            json!({"do": "read opentele-ng", "path": path, "passcode": "wrong"}),
        ] {
            assert!(python(&wrong)["error"].is_string(), "{wrong}");
        }
        let said = node(&json!({"do": "read tdata", "path": path, "passcode": passcode, "account": 0}));
        assert_eq!((&said["user_id"], &said["dc"], &said["key"]), (&json!(USER), &json!(2), &json!(hex_key(2))));
        // What the second program wrote of it.
        let read = assert_accounts(&at("again"), "other");
        // It leaves the ports out of the config, which is no config any more; Desktop does without then, and so do we.
        assert!(read.accounts.iter().all(|account| account.test.is_none() && account.address.is_none()));
    }
}

#[test]
fn the_tdata_that_another_program_makes_is_read_with_its_newer_passcode() {
    let dir = tempfile::tempdir().unwrap();
    for (index, passcode) in PASSCODES.into_iter().enumerate() {
        let path = dir.path().join(format!("theirs{index}"));
        python(&json!({
            "do": "make opentele2", "path": path, "passcode": passcode, "accounts": [
                {"user_id": USER, "dc": 2, "keys": {"2": hex_key(2), "4": hex_key(4)}},
                {"user_id": 12, "dc": 3, "keys": {"3": hex_key(3)}},
            ],
        }));
        let read = assert_accounts(&path, passcode);
        assert!(read.accounts[0].keys[&DcId(4)] == key(4), "the key is another one");
        if !passcode.is_empty() {
            assert!(matches!(tdata::read(&path, b"wrong"), Err(Error::WrongPasscode)));
            assert!(matches!(tdata::read(&path, b""), Err(Error::PasscodeNeeded)));
        }
    }
}
