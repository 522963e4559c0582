//! Encrypted namespaces: what is sealed, for whom, and that nothing of it is left in the clear.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    client::{AuthKey, DcAuth, KeyUse, Persistence, PersistenceError, SaltRecord, TempAuth},
    ids::{DcId, Salt},
    seal::{KdfParams, Passphrase, SealError},
};

const NOW: i64 = 1_800_000_000;

fn name(text: &str) -> NamespaceName {
    text.parse().expect("valid")
}

fn word(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("a passphrase")
}

fn home() -> (TempDir, Home) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let home = Home::at(dir.path().join("home"));
    (dir, home)
}

/// Bytes that are nowhere else.
fn pattern(seed: u8) -> [u8; 256] {
    std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(seed))
}

const SALT: i64 = 0x1122_3344_5566_7788;

fn auth(dc: i32, seed: u8) -> DcAuth {
    DcAuth {
        dc: DcId(dc),
        auth_key: AuthKey::from_bytes(&pattern(seed)),
        salts: vec![SaltRecord { salt: Salt(SALT), since: 1, until: 9 }],
        time_offset: 0,
        authorized: true,
        created_at: NOW,
    }
}

fn temp(dc: i32, perm: u8, seed: u8) -> TempAuth {
    TempAuth {
        dc: DcId(dc),
        key_use: KeyUse::Main,
        perm_key_id: auth(dc, perm).auth_key.id(),
        auth_key: AuthKey::from_bytes(&pattern(seed)),
        salts: vec![SaltRecord { salt: Salt(SALT), since: 1, until: 9 }],
        time_offset: 0,
        created_at: 10,
        expires_at: 20,
    }
}

/// Whether any file of the home holds a part of one of the keys, or the salt.
fn in_the_clear(home: &Home, seeds: &[u8]) -> bool {
    fs::read_dir(home.namespace_dir()).expect("listed").any(|entry| {
        let bytes = fs::read(entry.expect("entry").path()).expect("read");
        let key = |seed: &u8| bytes.windows(32).any(|w| w == &pattern(*seed)[64..96]);
        seeds.iter().any(key) || bytes.windows(8).any(|w| w == SALT.to_le_bytes())
    })
}

fn filled(home: &Home) -> Namespace {
    let ns = home.open(&name("a"), NOW).expect("made");
    ns.save_dc_auth(&auth(2, 1)).expect("saved");
    ns.save_dc_auth(&auth(4, 2)).expect("saved");
    ns.save_temp_auth(&temp(2, 1, 3)).expect("saved");
    ns.set_home_dc(DcId(2)).expect("saved");
    ns
}

fn outside(home: &Home, sql: &str) {
    Connection::open(home.path_of(&name("a"))).expect("opened").execute_batch(sql).expect("changed");
}

#[test]
fn a_namespace_is_encrypted_with_all_that_is_in_it_and_nothing_stays_in_the_clear() {
    let (_dir, home) = home();
    let ns = filled(&home);
    assert_eq!(ns.encryption(), Encryption::None);
    assert!(in_the_clear(&home, &[1, 2, 3]));
    assert!(matches!(home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW), Err(Error::InUse { .. })));
    drop(ns);
    home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW).expect("encrypted");
    assert!(!in_the_clear(&home, &[1, 2, 3]));

    let ns = home.open(&name("a"), NOW).expect("opened");
    assert_eq!(ns.encryption(), Encryption::Locked(KdfParams::LEAST));
    let refused = |result: Result<Vec<DcAuth>, PersistenceError>| {
        let Err(PersistenceError::Unavailable(inner)) = result else { panic!("readable") };
        assert!(matches!(inner.downcast_ref::<Error>(), Some(Error::Sealed { .. })), "{inner:?}");
    };
    refused(ns.dc_auths());
    assert!(ns.temp_auths().is_err() && ns.save_dc_auth(&auth(5, 5)).is_err() && ns.save_temp_auth(&temp(2, 1, 6)).is_err());
    assert!(ns.save_salts(DcId(2), auth(2, 1).auth_key.id(), &[], 0).is_err());
    assert_eq!(ns.home_dc().expect("read"), Some(DcId(2)), "what is no secret can be read");
    let heads = ns.key_heads().expect("read");
    assert_eq!(
        heads.iter().map(|h| (h.dc, h.key_id)).collect::<Vec<_>>(),
        [2, 4].map(|dc| (dc, auth(dc, dc as u8 / 2).auth_key.id()))
    );

    assert!(matches!(ns.unlock(&word("shut")), Err(Error::WrongPassphrase { .. })));
    ns.unlock(&word("open")).expect("unlocked");
    assert_eq!(ns.encryption(), Encryption::Unlocked(KdfParams::LEAST));
    let found = ns.dc_auth(DcId(4)).expect("read").expect("there");
    assert!(found.auth_key == auth(4, 2).auth_key && found.salts == auth(4, 2).salts);
    assert!(ns.temp_auth(DcId(2), KeyUse::Main).expect("read").is_some_and(|t| t.auth_key == temp(2, 1, 3).auth_key));

    // All that is written later is sealed as well.
    ns.insert_dc_auth(&auth(5, 5)).expect("saved");
    ns.save_temp_auth(&temp(4, 2, 6)).expect("saved");
    ns.save_salts(DcId(5), auth(5, 5).auth_key.id(), &auth(5, 5).salts, 1).expect("saved");
    ns.save_temp_salts(DcId(4), temp(4, 2, 6).auth_key.id(), &auth(5, 5).salts, 1).expect("saved");
    assert!(!in_the_clear(&home, &[1, 2, 3, 5, 6]));
    assert_eq!(ns.dc_auth(DcId(5)).expect("read").expect("there").salts, auth(5, 5).salts);
    assert_eq!(ns.temp_auths().expect("read").len(), 2);
    assert!(matches!(home.encrypt(&name("a"), &word("x"), KdfParams::LEAST, NOW), Err(Error::InUse { .. })));
    drop(ns);
    assert!(matches!(home.encrypt(&name("a"), &word("x"), KdfParams::LEAST, NOW), Err(Error::AlreadyEncrypted { .. })));

    assert!(matches!(home.decrypt(&name("a"), &word("shut"), NOW), Err(Error::WrongPassphrase { .. })));
    home.decrypt(&name("a"), &word("open"), NOW).expect("decrypted");
    let ns = home.open(&name("a"), NOW).expect("opened");
    assert_eq!(
        (ns.encryption(), ns.dc_auths().expect("read").len(), ns.temp_auths().expect("read").len()),
        (Encryption::None, 3, 2)
    );
    drop(ns);
    assert!(matches!(home.decrypt(&name("a"), &word("open"), NOW), Err(Error::NotEncrypted { .. })));
}

#[test]
fn the_passphrase_is_changed_without_touching_what_is_sealed() {
    let (_dir, home) = home();
    drop(filled(&home));
    let ns = home.open(&name("a"), NOW).expect("opened");
    assert!(matches!(ns.change_passphrase(&word("a"), &word("b"), KdfParams::LEAST), Err(Error::NotEncrypted { .. })));
    drop(ns);
    home.encrypt(&name("a"), &word("one"), KdfParams::LEAST, NOW).expect("encrypted");
    let ns = home.open(&name("a"), NOW).expect("opened");
    let stored = |ns: &Namespace| -> (Vec<u8>, Vec<u8>) {
        ns.read(|c| {
            c.query_row("SELECT (SELECT record FROM seal), auth_key FROM dc_auth WHERE dc = 2", [], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
        })
        .expect("read")
    };
    let (old_lock, value) = stored(&ns);
    assert!(matches!(ns.change_passphrase(&word("two"), &word("x"), KdfParams::LEAST), Err(Error::WrongPassphrase { .. })));
    // Somebody who opened it before, and somebody who changes it at the same time.
    let other = home.open(&name("a"), NOW).expect("opened");
    let late = home.open(&name("a"), NOW).expect("opened");
    other.unlock(&word("one")).expect("unlocked");
    ns.change_passphrase(&word("one"), &word("two"), KdfParams { passes: 2, ..KdfParams::LEAST }).expect("changed");
    assert!(matches!(late.change_passphrase(&word("one"), &word("x"), KdfParams::LEAST), Err(Error::InUse { .. })));
    assert_eq!(stored(&ns).1, value);
    assert_eq!(other.dc_auths().expect("goes on").len(), 2);
    drop((ns, other, late));
    let ns = home.open(&name("a"), NOW).expect("opened");
    assert!(matches!(ns.unlock(&word("one")), Err(Error::WrongPassphrase { .. })));
    ns.unlock(&word("two")).expect("unlocked");
    assert_eq!(ns.dc_auths().expect("read").len(), 2);
    for entry in fs::read_dir(home.namespace_dir()).expect("listed") {
        let bytes = fs::read(entry.expect("entry").path()).expect("read");
        assert!(!bytes.windows(32).any(|w| w == &old_lock[60..92]), "the old wrapping is gone");
    }
}

#[test]
fn rows_cannot_be_changed_exchanged_or_brought_from_elsewhere() {
    let (_dir, home) = home();
    drop(filled(&home));
    home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW).expect("encrypted");
    let fresh = fs::read(home.path_of(&name("a"))).expect("read");
    let broken = |sql: &str, read: &dyn Fn(&Namespace) -> Result<(), PersistenceError>| {
        for file in ["a.sqlite-wal", "a.sqlite-shm"] {
            let _ = fs::remove_file(home.namespace_dir().join(file));
        }
        fs::write(home.path_of(&name("a")), &fresh).expect("restored");
        outside(&home, sql);
        let ns = home.open(&name("a"), NOW).expect("opened");
        ns.unlock(&word("open")).expect("unlocked");
        assert!(matches!(read(&ns), Err(PersistenceError::Corrupt { .. })), "{sql}");
        drop(ns);
        assert!(matches!(home.decrypt(&name("a"), &word("open"), NOW), Err(Error::NotAuthentic { .. })), "{sql}");
        let ns = home.open(&name("a"), NOW).expect("opened");
        assert_eq!(ns.encryption(), Encryption::Locked(KdfParams::LEAST), "nothing was changed");
    };
    let keys = |ns: &Namespace| ns.dc_auths().map(drop);
    let temporary = |ns: &Namespace| ns.temp_auths().map(drop);
    broken("UPDATE dc_auth SET auth_key = (SELECT auth_key FROM dc_auth WHERE dc = 4) WHERE dc = 2", &keys);
    broken("UPDATE dc_auth SET dc = 3 WHERE dc = 4", &keys);
    broken("UPDATE dc_auth SET key_id = 5 WHERE dc = 4", &keys);
    broken("UPDATE dc_auth SET salts = auth_key WHERE dc = 4", &keys);
    broken("UPDATE dc_auth SET salts = x''", &keys);
    broken("UPDATE dc_auth SET auth_key = zeroblob(256) WHERE dc = 4", &keys);
    broken("UPDATE dc_auth SET auth_key = CAST(substr(auth_key, 1, 296) || x'00' AS BLOB) WHERE dc = 4", &keys);
    broken("UPDATE temp_auth SET auth_key = (SELECT auth_key FROM dc_auth WHERE dc = 2)", &temporary);
    broken("UPDATE temp_auth SET key_use = 1", &temporary);
    broken("UPDATE temp_auth SET salts = (SELECT salts FROM dc_auth WHERE dc = 2)", &temporary);
}

#[test]
fn a_damaged_lock_is_told_from_a_wrong_passphrase() {
    let (_dir, home) = home();
    drop(filled(&home));
    home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW).expect("encrypted");
    // Random bytes: whatever stands there, something else has to.
    let other = "CASE substr(record, 51, 1) WHEN x'5a' THEN x'a5' ELSE x'5a' END";
    outside(&home, &format!("UPDATE seal SET record = CAST(substr(record, 1, 50) || {other} || substr(record, 52) AS BLOB)"));
    assert!(matches!(home.open(&name("a"), NOW), Err(Error::BadSeal { source: SealError::HeadDamaged, .. })));
    outside(&home, "UPDATE seal SET record = x'00'");
    let error = home.open(&name("a"), NOW).expect_err("damaged");
    assert!(error.advice().contains("backup"), "{}", error.advice());
}

#[test]
fn who_dies_before_the_log_is_clean_leaves_that_to_the_next() {
    let (_dir, home) = home();
    let ns = filled(&home);
    // As the process left it that was killed between the transaction and the cleaning: the mark is set, and the log holds the keys.
    let before = fs::read(home.path_of(&name("a"))).expect("read");
    drop(ns);
    home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW).expect("encrypted");
    assert!(!in_the_clear(&home, &[1, 2, 3]) && !before.is_empty());
    outside(&home, "PRAGMA secure_delete = OFF; CREATE TABLE scrap (x BLOB)");
    let plain: String = pattern(1).iter().map(|byte| format!("{byte:02x}")).collect();
    outside(&home, &format!("PRAGMA secure_delete = OFF; INSERT INTO scrap VALUES (x'{plain}')"));
    outside(&home, "PRAGMA secure_delete = OFF; DROP TABLE scrap; UPDATE seal SET scrub = 1");
    assert!(in_the_clear(&home, &[1]), "in a free page");
    drop(home.open(&name("a"), NOW).expect("opened"));
    assert!(!in_the_clear(&home, &[1, 2, 3]));
    let scrub: i64 = Connection::open(home.path_of(&name("a")))
        .expect("opened")
        .query_row("SELECT scrub FROM seal", [], |row| row.get(0))
        .expect("read");
    assert_eq!(scrub, 0);
}

#[test]
fn a_namespace_can_be_born_encrypted() {
    let (_dir, home) = home();
    home.encrypt(&name("a"), &word("open"), KdfParams::LEAST, NOW).expect("made and encrypted");
    let ns = home.open(&name("a"), NOW).expect("opened");
    assert!(ns.insert_dc_auth(&auth(2, 1)).is_err());
    ns.unlock(&word("open")).expect("unlocked");
    ns.insert_dc_auth(&auth(2, 1)).expect("saved");
    assert!(!in_the_clear(&home, &[1]));
    ns.forget_all().expect("forgotten");
    assert_eq!(ns.encryption(), Encryption::Unlocked(KdfParams::LEAST), "an empty namespace stays encrypted");
}
