//! Backups, recovery, other homes: all or nothing, and nothing lost.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    client::{
        AuthKey, DcAuth, EndedRecord, KeyUse, PeerKind, PeerRecord, Persistence, SaltRecord, TempAuth, Unauthorized,
        UpdateState,
    },
    ids::{DcId, Salt},
    seal::{
        KdfParams, Passphrase, Protection, SealError,
        archive::{ArchiveError, ArchiveReader, ArchiveWriter, Cell, Record, Table},
    },
};

const NOW: i64 = 1_800_000_000;

fn name(text: &str) -> NamespaceName {
    text.parse().expect("valid")
}

fn word(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("a passphrase")
}

fn under(text: &str) -> Protection {
    Protection::Passphrase { passphrase: word(text), params: KdfParams::LEAST }
}

fn homes() -> (TempDir, Home, Home) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (one, two) = (Home::at(dir.path().join("one")), Home::at(dir.path().join("two")));
    (dir, one, two)
}

fn auth(dc: i32, fill: u8) -> DcAuth {
    DcAuth {
        dc: DcId(dc),
        auth_key: AuthKey::from_bytes(&[fill; 256]),
        salts: vec![SaltRecord { salt: Salt(7), since: 1, until: 9 }],
        time_offset: -3,
        authorized: true,
        created_at: NOW,
    }
}

fn peer(id: i64) -> PeerRecord {
    let username = (id % 2 == 0).then(|| format!("user{id}"));
    PeerRecord { kind: PeerKind::Channel, id, access_hash: -id, username, title: format!("Ä {id}") }
}

/// A namespace with something of everything.
fn fill(home: &Home, of: &str, key: u8) {
    let ns = home.open(&name(of), NOW).expect("made");
    ns.save_dc_auth(&auth(2, key)).expect("saved");
    let temp = TempAuth {
        dc: DcId(2),
        key_use: KeyUse::Main,
        perm_key_id: auth(2, key).auth_key.id(),
        auth_key: AuthKey::from_bytes(&[0xee; 256]),
        salts: Vec::new(),
        time_offset: 0,
        created_at: 1,
        expires_at: 2,
    };
    ns.save_temp_auth(&temp).expect("saved");
    ns.set_home_dc(DcId(2)).expect("saved");
    ns.bind_cluster("here").expect("saved");
    ns.save_peers(&(0..300).map(peer).collect::<Vec<_>>()).expect("saved");
    ns.save_update_state(Some(&UpdateState { pts: 5, ..UpdateState::default() })).expect("saved");
    ns.save_ended(&EndedRecord { reason: Unauthorized::SessionRevoked, at: 4 }).expect("saved");
    ns.begin_job(JobKind::Upload, &[key + 100; 32], &json!({"path": "x"}), &PartSet::new(99), NOW).expect("saved");
}

fn assert_filled(home: &Home, of: &str, key: u8) {
    let ns = home.open_existing(&name(of), NOW + 5).expect("opened");
    assert!(
        ns.dc_auth(DcId(2)).expect("read").is_some_and(|found| found.auth_key == auth(2, key).auth_key && found.authorized)
    );
    assert_eq!(ns.peers().expect("read"), (0..300).map(peer).collect::<Vec<_>>());
    assert_eq!(ns.update_state().expect("read").map(|state| state.pts), Some(5));
    assert_eq!(ns.ended().expect("read").map(|ended| ended.at), Some(4));
    assert_eq!(ns.find_job(JobKind::Upload, &[key + 100; 32]).expect("read").map(|job| job.state), Some(json!({"path": "x"})));
    assert_eq!((ns.created_at().expect("read"), ns.cluster().expect("read")), (NOW, Some("here".into())));
    ns.check().expect("sound");
}

fn recover(
    home: &Home,
    from: &Path,
    passphrase: Option<&Passphrase>,
    only: &[&str],
    overwrite: bool,
) -> Result<Vec<Arrived>, Error> {
    let head = ArchiveReader::head(fs::File::open(from).expect("there"))
        .map_err(|source| Error::BadBackup { path: from.to_path_buf(), source })?;
    let only: Vec<NamespaceName> = only.iter().map(|text| name(text)).collect();
    home.recover(head, from, passphrase, &only, overwrite, NOW + 1)
}

/// Everything in a directory, by path and content.
fn state(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.expect("entry").path();
            match path.is_dir() {
                true => dirs.push(path),
                false if path.extension().is_some_and(|e| e == "lock") => {}
                false => all.push((path.clone(), fs::read(&path).expect("read"))),
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_backup_comes_back_as_it_was() {
    for protection in [Protection::None, under("open")] {
        let (dir, one, two) = homes();
        fill(&one, "a", 1);
        fill(&one, "b", 2);
        let file = dir.path().join("all.backup");
        let done = one.backup(&one.list().expect("listed"), &file, &protection, false, NOW).expect("written");
        assert_eq!(done.iter().map(|d| (d.name.as_str(), d.encrypted)).collect::<Vec<_>>(), [("a", false), ("b", false)]);
        assert!(done[0].rows > 300);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2, "nothing else is left beside it");
        let bytes = fs::read(&file).expect("read");
        assert!(!bytes.windows(64).any(|w| w == [0xee; 64]), "no temporary key");
        assert_eq!(bytes.windows(64).any(|w| w == [1; 64]), matches!(protection, Protection::None));

        let arrived = recover(&two, &file, Some(&word("open")), &[], false).expect("recovered");
        assert_eq!(arrived.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_filled(&two, "a", 1);
        assert_filled(&two, "b", 2);
        assert!(two.open(&name("a"), NOW).expect("opened").temp_auths().expect("read").is_empty());
        assert_eq!(two.list().expect("listed").len(), 2);

        assert!(matches!(one.backup(&[name("a")], &file, &protection, false, NOW), Err(Error::FileExists { .. })));
        assert_eq!(fs::read(&file).expect("read"), bytes, "it was not touched");
        one.backup(&[name("a")], &file, &protection, true, NOW).expect("replaced");
        assert_ne!(fs::read(&file).expect("read"), bytes);
        assert!(matches!(one.backup(&[name("nobody")], &file, &protection, true, NOW), Err(Error::NoSuchNamespace { .. })));
        assert!(one.backup(&[name("a")], &dir.path().join("no/such/dir"), &protection, true, NOW).is_err());
    }
}

#[test]
fn whatever_is_in_the_way_is_kept() {
    let (dir, one, _) = homes();
    fill(&one, "a", 1);
    let file = dir.path().join("x.backup");
    one.backup(&[name("a")], &file, &Protection::None, false, NOW).expect("written");
    one.open(&name("a"), NOW).expect("opened").save_dc_auth(&auth(2, 9)).expect("changed");
    let before = state(one.root());
    assert!(matches!(recover(&one, &file, None, &[], false), Err(Error::NamespaceExists { .. })));
    assert_eq!(state(one.root()), before);
    {
        let _open = one.open(&name("a"), NOW).expect("opened");
        assert!(matches!(recover(&one, &file, None, &[], true), Err(Error::InUse { .. })));
    }
    for n in 1..=2 {
        let arrived = recover(&one, &file, None, &[], true).expect("recovered");
        assert_eq!(arrived[0].set_aside, Some(name(&format!("a.before-{n}"))));
        assert_filled(&one, "a", 1);
    }
    let old = one.open_existing(&name("a.before-1"), NOW).expect("kept");
    assert!(old.dc_auth(DcId(2)).expect("read").is_some_and(|found| found.auth_key == auth(2, 9).auth_key));

    // A damaged one is the reason to recover.
    fs::write(one.path_of(&name("a")), "no database any more").expect("damaged");
    let arrived = recover(&one, &file, None, &[], true).expect("recovered");
    assert_eq!(arrived[0].set_aside, Some(name("a.before-3")));
    assert_eq!(fs::read(one.path_of(&name("a.before-3"))).expect("kept"), b"no database any more");
    assert_filled(&one, "a", 1);
}

#[test]
fn a_damaged_cut_off_or_foreign_backup_changes_nothing() {
    for protection in [Protection::None, under("open")] {
        let (dir, one, two) = homes();
        fill(&one, "a", 1);
        fill(&one, "b", 2);
        fill(&two, "a", 3);
        let file = dir.path().join("x.backup");
        one.backup(&one.list().expect("listed"), &file, &protection, false, NOW).expect("written");
        let bytes = fs::read(&file).expect("read");
        let before = state(two.root());
        let passphrase = word("open");
        let attempt = |content: &[u8]| {
            fs::write(&file, content).expect("written");
            recover(&two, &file, Some(&passphrase), &[], true).expect_err("refused")
        };
        for at in [0, 7, 9, 40, 90, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(attempt(&bytes[..at]), Error::BadBackup { .. }), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(matches!(attempt(&changed), Error::BadBackup { .. } | Error::BackupLocked { .. }), "changed at {at}");
        }
        assert!(matches!(
            attempt(b"PK\x03\x04"),
            Error::BadBackup { source: ArchiveError::Seal(SealError::NotOurs { .. }), .. }
        ));
        fs::write(&file, &bytes).expect("written");
        if matches!(protection, Protection::Passphrase { .. }) {
            for (wrong, what) in [(Some(word("shut")), "wrong"), (None, "no passphrase")] {
                let error = recover(&two, &file, wrong.as_ref(), &[], true).expect_err("refused");
                assert!(matches!(&error, Error::BackupLocked { .. }) && error.to_string().contains(what), "{error}");
            }
        }
        assert!(
            matches!(recover(&two, &file, Some(&passphrase), &["a", "c"], true), Err(Error::NotInBackup { name, .. }) if name == "c")
        );
        assert_eq!(state(two.root()), before);
        let arrived = recover(&two, &file, Some(&passphrase), &["b"], false).expect("only the one");
        assert_eq!((arrived.len(), two.list().expect("listed").len()), (1, 2));
    }
}

#[test]
fn a_sound_file_with_senseless_content_changes_nothing() {
    let (dir, one, _) = homes();
    fill(&one, "kept", 1);
    let before = state(one.root());
    let text = |text: &str| Cell::Text(text.to_owned());
    let bytes = |length: usize| Cell::Bytes(Zeroizing::new(vec![7; length]));
    let key_id = AuthKey::from_bytes(&[7; 256]).id();
    let key = |length, id| vec![Cell::Int(2), bytes(length), Cell::Int(id), bytes(0), Cell::Int(0), Cell::Int(1), Cell::Int(0)];
    let attempt = |called: &str, schema: u32, rows: &[(Table, Vec<Cell>)]| {
        let file = dir.path().join("x.backup");
        let mut archive = ArchiveWriter::new(Vec::new(), &Protection::None, &mut StdRng::seed_from_u64(1)).expect("begun");
        let mut write = |record: Record| archive.write(&record).expect("written");
        write(Record::Manifest { made_at: 0, by: "a test".into(), namespaces: 1 });
        write(Record::Begin { name: called.into(), schema });
        rows.iter().for_each(|(table, cells)| write(Record::Row { table: *table, cells: cells.clone() }));
        write(Record::EndOf { rows: rows.len() as u64 });
        write(Record::End { namespaces: 1 });
        fs::write(&file, archive.finish().expect("whole")).expect("written");
        recover(&one, &file, None, &[], true)
    };
    let content = |rows: &[(Table, Vec<Cell>)]| {
        let error = attempt("x", 3, rows).expect_err("refused");
        assert!(matches!(error, Error::BadContent { .. }), "{error:?}");
    };
    content(&[(Table::DcAuth, key(255, key_id))]);
    content(&[(Table::DcAuth, key(256, 5))]);
    content(&[(Table::DcAuth, key(256, key_id)), (Table::DcAuth, key(256, key_id))]);
    content(&[(Table::Meta, vec![text("home_dc"), text("two")])]);
    content(&[(Table::Meta, vec![text("account"), text("{")])]);
    content(&[(Table::Meta, vec![text("ended"), text(r#"{"reason":"x","at":1}"#)])]);
    content(&[(Table::Meta, vec![text("devices"), text("[]")])]);
    content(&[(Table::Peer, vec![Cell::Int(9), Cell::Int(1), Cell::Int(1), Cell::Null, text("x")])]);
    content(&[(Table::Job, vec![text("sideload"), bytes(32), text("{}"), bytes(4), Cell::Int(1), Cell::Int(1)])]);
    content(&[(Table::Seal, vec![bytes(133)])]);
    for called in ["../out", "a/b", "", "nul", "\u{1b}[2J"] {
        assert!(matches!(attempt(called, 3, &[]), Err(Error::InvalidName { .. })), "{called:?}");
    }
    assert!(matches!(attempt("x", 99, &[]), Err(Error::NewerSchema { found: 99, .. })));
    assert_eq!(state(one.root()), before);
    // The same, where it makes sense.
    attempt("x", 2, &[(Table::DcAuth, key(256, key_id))]).expect("recovered");
}

#[test]
fn an_encrypted_namespace_stays_so_in_any_backup() {
    let (dir, one, two) = homes();
    fill(&one, "a", 1);
    one.encrypt(&name("a"), &word("own"), KdfParams::LEAST, NOW).expect("encrypted");
    let file = dir.path().join("x.backup");
    let done = one.backup(&[name("a")], &file, &Protection::None, false, NOW).expect("needs no passphrase");
    assert!(done[0].encrypted);
    assert!(!fs::read(&file).expect("read").windows(32).any(|w| w == [1; 32]));
    let arrived = recover(&two, &file, None, &[], false).expect("nor does this");
    assert!(arrived[0].encrypted);
    let ns = two.open(&name("a"), NOW).expect("opened");
    assert!(ns.dc_auths().is_err());
    ns.unlock(&word("own")).expect("its own passphrase");
    drop(ns);
    two.decrypt(&name("a"), &word("own"), NOW).expect("decrypted");
    assert_filled(&two, "a", 1);
}

#[test]
fn a_backup_is_one_moment_of_what_somebody_writes() {
    let (dir, one, two) = homes();
    fill(&one, "a", 1);
    let ended = Arc::new(AtomicBool::new(false));
    let writer = {
        let (home, ended) = (one.clone(), Arc::clone(&ended));
        std::thread::spawn(move || {
            let ns = home.open(&name("a"), NOW).expect("opened");
            let mut round = 0;
            while !ended.load(Ordering::Acquire) {
                round += 1;
                // One transaction: all of them are of one round.
                let title = format!("round {round}");
                let peers: Vec<_> = (0..50).map(|id| PeerRecord { title: title.clone(), ..peer(id) }).collect();
                ns.save_peers(&peers).expect("saved");
            }
            round
        })
    };
    for n in 0..10 {
        let file = dir.path().join(format!("{n}.backup"));
        one.backup(&[name("a")], &file, &Protection::None, false, NOW).expect("written");
        recover(&two, &file, None, &[], true).expect("recovered");
        let peers = two.open(&name("a"), NOW).expect("opened").peers().expect("read");
        let titles: std::collections::BTreeSet<_> = peers
            .iter()
            .take(50)
            .enumerate()
            .map(|(id, peer)| {
                // Before the first round they are what they were.
                if peer.title == format!("Ä {id}") { "none".to_owned() } else { peer.title.clone() }
            })
            .collect();
        assert_eq!(titles.len(), 1, "{titles:?}");
    }
    ended.store(true, Ordering::Release);
    assert!(writer.join().expect("no panic") > 0);
}

#[test]
fn namespaces_move_to_another_home_or_are_copied() {
    let (_dir, one, two) = homes();
    fill(&one, "a", 1);
    fill(&one, "b", 2);
    let both = [name("a"), name("b")];
    assert!(matches!(one.migrate(&[name("c")], &two, MigrateMode::Copy, false, NOW), Err(Error::NoSuchNamespace { .. })));
    one.migrate(&both, &two, MigrateMode::Copy, false, NOW).expect("copied");
    assert_filled(&two, "a", 1);
    assert_filled(&one, "a", 1);
    let before = (state(one.root()), state(two.root()));
    assert!(matches!(one.migrate(&both, &two, MigrateMode::Move, false, NOW), Err(Error::NamespaceExists { .. })));
    {
        let _open = one.open(&name("b"), NOW).expect("opened");
        assert!(matches!(one.migrate(&both, &two, MigrateMode::Move, true, NOW), Err(Error::InUse { .. })));
    }
    assert_eq!(state(two.root()), before.1);
    assert_filled(&one, "a", 1);
    let arrived = one.migrate(&both, &two, MigrateMode::Move, true, NOW).expect("moved");
    assert_eq!(arrived[1].set_aside, Some(name("b.before-1")));
    assert!(one.list().expect("listed").is_empty());
    assert_filled(&two, "a", 1);
    assert_filled(&two, "b", 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(two.path_of(&name("a"))).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_full_disk_or_a_locked_database_is_said_plainly_and_loses_nothing() {
    let (dir, one, two) = homes();
    fill(&one, "a", 1);
    let ns = one.open(&name("a"), NOW).expect("opened");
    let pages: i64 = ns.read(|c| c.query_row("PRAGMA page_count", [], |row| row.get(0))).expect("read");
    ns.read(|c| c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))).expect("set");
    let many: Vec<_> = (1000..9000).map(peer).collect();
    let error = ns.save_peers(&many).expect_err("full");
    let crate::client::PersistenceError::Unavailable(inner) = error else { panic!("{error:?}") };
    let full = inner.downcast_ref::<Error>().expect("the store's own");
    assert!(matches!(full, Error::DiskFull { .. }) && full.advice().contains("nothing that was saved is lost"), "{full:?}");
    drop(ns);
    assert_filled(&one, "a", 1);

    let holder = rusqlite::Connection::open(one.path_of(&name("a"))).expect("opened");
    holder.execute_batch("BEGIN IMMEDIATE").expect("locked");
    one.backup(&[name("a")], &dir.path().join("x.backup"), &Protection::None, false, NOW).expect("who reads needs no turn");
    drop(holder);

    // A backup that cannot be written: nothing of it is left.
    let file = dir.path().join("dir");
    fs::create_dir(&file).expect("in the way");
    assert!(one.backup(&[name("a")], &file, &Protection::None, true, NOW).is_err());
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 3, "home, backup and directory");
    let mut blocked = fs::File::create(two.root()).expect("a file where the home should be");
    blocked.write_all(b"x").expect("written");
    assert!(matches!(
        recover(&two, &dir.path().join("x.backup"), None, &[], false),
        Err(Error::Io { .. } | Error::ReadOnly { .. })
    ));
}
