use rusqlite::Connection;

use super::*;
use crate::{crypto::AuthKey, ids::DcId};

fn example() -> ForeignSession {
    let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
    session.keys.insert(DcId(2), AuthKey::from_bytes(&[2; 256]));
    session.set_user_id(7_000_000_001).unwrap();
    session.is_bot = Some(true);
    session.test = Some(true);
    session.address = Some("149.154.167.91:443".parse().unwrap());
    session
}

fn dc(version: u8, id: u8, flags: u8, ip: &[u8], port: i32) -> Vec<u8> {
    let mut out = vec![version, id, flags];
    wire::write_bytes(&mut out, ip);
    wire::write_i32(&mut out, port);
    out
}

/// A string of these parts; each DC is a byte string.
fn string(version: u8, flags: i32, dcs: &[Vec<u8>], account: Option<(i64, u32)>, key: &[u8]) -> Zeroizing<String> {
    let mut out = vec![version];
    wire::write_i32(&mut out, flags);
    dcs.iter().for_each(|dc| wire::write_bytes(&mut out, dc));
    if let Some((id, is_bot)) = account {
        wire::write_i64(&mut out, id);
        wire::write_u32(&mut out, is_bot);
    }
    wire::write_bytes(&mut out, key);
    text::encode("", &out, &text::URL_SAFE_BARE)
}

#[test]
fn strings_go_both_ways_and_every_end_before_the_end_is_seen() {
    let written = to_string(&example()).unwrap();
    let read = from_string(&written).unwrap();
    assert_eq!((read.home_dc.0, read.user_id, read.is_bot, read.test), (4, Some(7_000_000_001), Some(true), Some(true)));
    assert_eq!((read.address, read.home_key().unwrap()), (example().address, example().home_key().unwrap()));
    assert_eq!(read.keys.len(), 1, "the string has one key");
    for end in 0..written.len() {
        let error = from_string(&written[..end]).unwrap_err();
        let seen = matches!(error, Error::Truncated { .. } | Error::NotBase64(_) | Error::WrongLength { found: 0, .. });
        assert!(seen, "{error} at {end}");
    }
    let mut v6 = example();
    v6.address = Some("[2001:67c:4e8:f004::a]:443".parse().unwrap());
    v6.user_id = None;
    let read = from_string(&to_string(&v6).unwrap()).unwrap();
    assert_eq!((read.address, read.user_id, read.is_bot), (v6.address, None, None));
}

#[test]
fn what_mtcute_may_write_besides_is_read() {
    let main = dc(1, 2, 0, b"1.2.3.4", 443);
    let media = dc(2, 2, 2, b"1.2.3.5", 443);
    let read = from_string(&string(3, HAS_MEDIA | TEST_OLD, &[main.clone(), media], None, &[1; 256])).unwrap();
    assert_eq!((read.address, read.test), (Some("1.2.3.4:443".parse().unwrap()), Some(true)));
    // The first version of a DC had no flag for tests.
    let read = from_string(&string(3, 0, &[dc(1, 2, 4, b"1.2.3.4", 443)], None, &[1; 256])).unwrap();
    assert_eq!(read.test, Some(false));
}

#[test]
fn each_rule_of_a_string() {
    let main = || dc(2, 2, 0, b"1.2.3.4", 443);
    let no = wire::BOOL_FALSE_ID;
    let read = |flags, dcs: &[Vec<u8>], account| from_string(&string(3, flags, dcs, account, &[1; 256]));
    assert!(read(1, &[main()], Some((7, no))).is_ok());
    assert!(matches!(from_string("*"), Err(Error::NotBase64(Format::MtcuteString))));
    let old = string(2, 0, &[main()], None, &[1; 256]);
    assert!(matches!(from_string(&old), Err(Error::UnknownVersion { found: 2, .. })));
    assert!(matches!(read(8, &[main()], None), Err(Error::BadValue { what: "the flags of the string", found: 8 })));
    assert!(matches!(read(1, &[main()], Some((-7, no))), Err(Error::BadUserId { found: -7 })));
    assert!(matches!(read(1, &[main()], Some((7, 9))), Err(Error::BadValue { found: 9, .. })));
    assert!(matches!(read(0, &[dc(3, 2, 0, b"1.2.3.4", 443)], None), Err(Error::BadValue { found: 3, .. })));
    assert!(matches!(read(0, &[dc(2, 0, 0, b"1.2.3.4", 443)], None), Err(Error::BadDc { found: 0 })));
    assert!(matches!(read(0, &[dc(2, 2, 0, b"nowhere", 443)], None), Err(Error::BadAddress)));
    assert!(matches!(read(0, &[dc(2, 2, 0, b"\xff", 443)], None), Err(Error::NotText { .. })));
    assert!(matches!(read(0, &[dc(2, 2, 0, b"1.2.3.4", -1)], None), Err(Error::BadPort { found: -1 })));
    assert!(matches!(read(0, &[vec![2, 2]], None), Err(Error::Truncated { what: "a DC", needed: 3, left: 2 })));
    assert!(matches!(read(0, &[[main(), vec![0; 4]].concat()], None), Err(Error::Trailing { what: "a DC", left: 4 })));
    for (key, found) in [(&[1; 255][..], 255), (&[], 0)] {
        let error = from_string(&string(3, 0, &[main()], None, key)).unwrap_err();
        assert!(matches!(error, Error::BadKeyLength { found: there } if there == found));
    }
    assert!(matches!(from_string(&string(3, 0, &[main()], None, &[0; 256])), Err(Error::NotLoggedIn)));
}

#[test]
fn what_cannot_be_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let mut session = example();
    session.user_id = None;
    assert!(matches!(write_file(&session, &path), Err(Error::Missing { what: "the account's id", .. })));
    session.address = None;
    assert!(matches!(to_string(&session), Err(Error::Missing { what: "the server's address", .. })));
    assert!(matches!(write_file(&session, &path), Err(Error::Missing { what: "the server's address", .. })));
    let mut far = ForeignSession::new(Format::Tdl, 300, &AuthKey::from_bytes(&[1; 256])).unwrap();
    far.address = example().address;
    assert!(matches!(to_string(&far), Err(Error::CannotHold { what: "the DC's number", .. })));
    assert!(!path.exists());
}

fn changed(sql: &str) -> Result<ForeignSession, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.session");
    write_file(&example(), &path).unwrap();
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    from_file(&path)
}

#[test]
fn files_go_both_ways_with_all_keys() {
    let read = changed("").unwrap();
    assert_eq!((read.home_dc.0, read.user_id, read.is_bot, read.test), (4, Some(7_000_000_001), Some(true), Some(true)));
    assert_eq!((read.address, &read.keys), (example().address, &example().keys));
    // A record with usernames after the account's id.
    let named = "UPDATE key_value SET value = x'01000000020000000900000000000000010000000161000000' WHERE key = 'current_user'";
    let read = changed(named).unwrap();
    assert_eq!((read.user_id, read.is_bot), (Some(9), Some(false)));
}

#[test]
fn each_rule_of_a_file() {
    assert!(matches!(changed("DROP TABLE auth_keys"), Err(Error::Unrecognised { .. })));
    assert!(matches!(changed("UPDATE mtcute_migrations SET version = 2"), Err(Error::UnknownVersion { found: 2, .. })));
    assert!(matches!(changed("DELETE FROM key_value"), Err(Error::NotLoggedIn)));
    assert!(matches!(changed("DELETE FROM key_value WHERE key = 'current_user'"), Err(Error::NotLoggedIn)));
    assert!(matches!(changed("UPDATE key_value SET value = x'' WHERE key = 'current_user'"), Err(Error::NotLoggedIn)));
    assert!(matches!(changed("DELETE FROM auth_keys"), Err(Error::NoHomeKey { dc: 4 })));
    assert!(matches!(changed("UPDATE auth_keys SET key = x'01'"), Err(Error::BadKeyLength { found: 1 })));
    assert!(matches!(changed("INSERT INTO auth_keys VALUES (-1, x'01')"), Err(Error::BadDc { found: -1 })));
    assert!(matches!(changed("UPDATE key_value SET value = 5"), Err(Error::BadColumn { column: "value", .. })));
    let old = "UPDATE key_value SET value = x'02000000' WHERE key = 'current_user'";
    assert!(matches!(changed(old), Err(Error::BadValue { what: "the version of the account", found: 2 })));
    let long = "UPDATE key_value SET value = x'0100000000000000090000000000000000000000' WHERE key = 'current_user'";
    assert!(matches!(changed(long), Err(Error::Trailing { what: "the account", left: 4 })));
}
