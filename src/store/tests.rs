//! Namespaces as a whole: files, rights, processes, damage.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    client::{
        AccountRecord, AuthKey, DcAuth, DeviceProfile, Identity, PeerKind, PeerRecord, Persistence, PersistenceError,
        SaltRecord,
    },
    ids::{DcId, Salt},
};

use super::*;

const NOW: i64 = 1_800_000_000;

fn name(text: &str) -> NamespaceName {
    text.parse().expect("valid")
}

fn home() -> (TempDir, Home) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let home = Home::at(dir.path().join("home"));
    (dir, home)
}

fn auth(dc: i32, fill: u8) -> DcAuth {
    DcAuth {
        dc: DcId(dc),
        auth_key: AuthKey::from_bytes(&[fill; 256]),
        salts: vec![SaltRecord { salt: Salt(-5), since: 1, until: i64::MAX }, SaltRecord { salt: Salt(7), since: 2, until: 3 }],
        time_offset: -3,
        authorized: false,
        created_at: NOW,
    }
}

fn peer(kind: PeerKind, id: i64, username: Option<&str>) -> PeerRecord {
    PeerRecord { kind, id, access_hash: id * 31, username: username.map(Into::into), title: format!("peer {id}") }
}

#[test]
fn everything_is_there_after_reopening() {
    let (_dir, home) = home();
    let identity = Identity { device: DeviceProfile::default(), layer: 230, api_id: 12 };
    let account = AccountRecord {
        user_id: 1 << 40,
        is_bot: false,
        name: "Ada L.".into(),
        username: Some("ada".into()),
        phone: Some("+99966*1234".into()),
        logged_in_at: NOW,
    };
    {
        let ns = home.open(&name("a"), NOW).expect("made");
        ns.save_dc_auth(&auth(2, 1)).expect("saved");
        ns.save_dc_auth(&auth(4, 2)).expect("saved");
        ns.set_home_dc(DcId(2)).expect("saved");
        ns.save_identity(&identity).expect("saved");
        ns.save_account(&account).expect("saved");
    }
    let ns = home.open_existing(&name("a"), NOW + 9).expect("reopened");
    let found = ns.dc_auth(DcId(2)).expect("read").expect("there");
    assert_eq!(found.auth_key.as_bytes(), &[1; 256]);
    assert_eq!(found.salts, auth(2, 1).salts);
    assert_eq!((found.time_offset, found.authorized, found.created_at), (-3, false, NOW));
    assert_eq!(ns.dc_auths().expect("read").iter().map(|a| a.dc.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(ns.home_dc().expect("read"), Some(DcId(2)));
    assert_eq!(ns.identity().expect("read"), Some(identity));
    assert_eq!(ns.account().expect("read"), Some(account));
    assert_eq!(ns.created_at().expect("read"), NOW);
    ns.check().expect("sound");
}

#[test]
fn the_first_key_of_a_dc_stays_and_what_belongs_to_another_key_is_dropped() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    let (mine, other) = (auth(2, 1), auth(2, 9));
    assert_eq!(ns.insert_dc_auth(&mine).expect("insert").auth_key.id(), mine.auth_key.id());
    assert_eq!(ns.insert_dc_auth(&other).expect("insert").auth_key.id(), mine.auth_key.id());
    ns.save_salts(DcId(2), other.auth_key.id(), &[], 5).expect("save");
    ns.set_authorized(DcId(2), other.auth_key.id(), true).expect("save");
    ns.forget_dc_auth(DcId(2), other.auth_key.id()).expect("forget");
    let kept = ns.dc_auth(DcId(2)).expect("read").expect("there");
    assert_eq!((kept.salts.len(), kept.authorized, kept.time_offset), (2, false, -3));
    ns.save_salts(DcId(2), mine.auth_key.id(), &[], 5).expect("save");
    ns.set_authorized(DcId(2), mine.auth_key.id(), true).expect("save");
    let kept = ns.dc_auth(DcId(2)).expect("read").expect("there");
    assert_eq!((kept.salts.len(), kept.authorized, kept.time_offset), (0, true, 5));
    ns.forget_dc_auth(DcId(2), mine.auth_key.id()).expect("forget");
    assert!(ns.dc_auth(DcId(2)).expect("read").is_none());
}

#[test]
fn peers_are_found_by_id_and_by_name_in_any_case() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    ns.save_peers(&[peer(PeerKind::User, 5, Some("Ada")), peer(PeerKind::Channel, 5, None)]).expect("saved");
    ns.save_peers(&[peer(PeerKind::Channel, 5, Some("news")), peer(PeerKind::Chat, 1, None)]).expect("saved");
    assert_eq!(ns.peer(PeerKind::User, 5).expect("read"), Some(peer(PeerKind::User, 5, Some("Ada"))));
    assert_eq!(ns.peer_by_username("aDA").expect("read").map(|p| p.kind), Some(PeerKind::User));
    assert_eq!(ns.peer_by_username("NEWS").expect("read").map(|p| p.kind), Some(PeerKind::Channel));
    assert_eq!(ns.peer_by_username("nobody").expect("read"), None);
    assert_eq!(ns.peers().expect("read").len(), 3);
}

#[test]
fn forgetting_leaves_no_trace_of_a_key_in_any_file() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    let pattern: [u8; 256] = std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(11));
    let mut record = auth(2, 0);
    record.auth_key = AuthKey::from_bytes(&pattern);
    ns.save_dc_auth(&record).expect("saved");
    ns.bind_cluster("here").expect("bound");
    ns.save_peers(&[peer(PeerKind::User, 5, None)]).expect("saved");
    ns.begin_job(JobKind::Upload, &[1; 32], &json!({}), &PartSet::new(1), NOW).expect("begun");
    ns.forget_all().expect("forgotten");
    assert!(
        ns.dc_auths().expect("read").is_empty() && ns.peers().expect("read").is_empty() && ns.jobs().expect("read").is_empty()
    );
    assert_eq!((ns.cluster().expect("read"), ns.created_at().expect("read")), (None, NOW));
    for entry in fs::read_dir(home.namespace_dir()).expect("listed") {
        let bytes = fs::read(entry.expect("entry").path()).expect("read");
        assert!(!bytes.windows(32).any(|w| w == &pattern[64..96]), "key material left");
    }
}

#[test]
fn a_namespace_belongs_to_one_cluster() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    ns.bind_cluster("production").expect("first");
    ns.bind_cluster("production").expect("same");
    ns.bind_cluster("elsewhere").expect("nothing is in it yet");
    ns.bind_cluster("production").expect("nor now");
    ns.save_dc_auth(&auth(2, 1)).expect("saved");
    ns.bind_cluster("production").expect("still the same");
    assert!(
        matches!(ns.bind_cluster("test"), Err(Error::OtherCluster { found, wanted, .. }) if found == "production" && wanted == "test")
    );
}

#[test]
fn jobs_are_taken_up_again_where_they_stopped() {
    let (_dir, home) = home();
    let id = {
        let ns = home.open(&name("a"), NOW).expect("made");
        let mut parts = PartSet::new(9);
        let job = ns.begin_job(JobKind::Download, &[1; 32], &json!({"path": "x"}), &parts, NOW).expect("begun");
        parts.insert(3);
        assert!(ns.save_parts(job.id, &parts, NOW + 1).expect("saved"));
        assert!(ns.save_job(job.id, &json!({"path": "y"}), &parts, NOW + 2).expect("saved"));
        job.id
    };
    let ns = home.open(&name("a"), NOW).expect("reopened");
    assert_eq!(ns.find_job(JobKind::Upload, &[1; 32]).expect("read"), None, "another kind");
    let job = ns.find_job(JobKind::Download, &[1; 32]).expect("read").expect("there");
    assert_eq!((job.id, job.state, job.created_at, job.updated_at), (id, json!({"path": "y"}), NOW, NOW + 2));
    assert_eq!(job.parts.missing().count(), 8);

    let again = ns.begin_job(JobKind::Download, &[1; 32], &json!(null), &PartSet::new(9), NOW + 5).expect("anew");
    assert_eq!(ns.jobs().expect("read").len(), 1);
    ns.begin_job(JobKind::Upload, &[2; 32], &json!(null), &PartSet::new(1), NOW + 100).expect("begun");
    assert_eq!(ns.forget_jobs_before(NOW + 50).expect("forgot"), 1);
    assert!(!ns.save_parts(again.id, &PartSet::new(9), NOW).expect("saved"), "gone");
    let rest = ns.jobs().expect("read");
    assert_eq!(rest.len(), 1);
    rest.iter().for_each(|job| ns.finish_job(job.id).expect("finished"));
    assert!(ns.jobs().expect("read").is_empty());
}

#[test]
fn damaged_rows_are_named_and_nothing_panics() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    ns.save_dc_auth(&auth(2, 1)).expect("saved");
    ns.begin_job(JobKind::Upload, &[1; 32], &json!({}), &PartSet::new(9), NOW).expect("begun");
    ns.save_peers(&[peer(PeerKind::User, 5, None)]).expect("saved");
    ns.save_account(&AccountRecord {
        user_id: 1,
        is_bot: false,
        name: String::new(),
        username: None,
        phone: None,
        logged_in_at: 0,
    })
    .expect("saved");
    let damage = |sql: &str| {
        let outside = rusqlite::Connection::open(ns.path()).expect("opened");
        outside.execute_batch(sql).expect("damaged");
    };
    damage("UPDATE dc_auth SET auth_key = x'0102'");
    assert!(matches!(ns.dc_auth(DcId(2)), Err(PersistenceError::Corrupt { what: "an auth key" })));
    damage("UPDATE dc_auth SET auth_key = zeroblob(256), salts = x'01'");
    assert!(matches!(ns.dc_auths(), Err(PersistenceError::Corrupt { what: "the salts of a DC" })));
    damage("UPDATE peer SET kind = 9");
    assert!(matches!(ns.peers(), Err(PersistenceError::Corrupt { what: "a peer's kind" })));
    damage("UPDATE meta SET value = '{' WHERE key = 'account'");
    assert!(matches!(ns.account(), Err(PersistenceError::Corrupt { what: "account" })));
    damage("INSERT INTO meta VALUES ('home_dc', 'two')");
    assert!(matches!(ns.home_dc(), Err(PersistenceError::Corrupt { what: "home_dc" })));
    damage("UPDATE job SET parts = x'ffffffff'");
    assert!(matches!(ns.jobs(), Err(Error::BadValue { what: "job.parts", .. })));
    damage("UPDATE job SET state = 'no'");
    assert!(matches!(ns.jobs(), Err(Error::BadValue { what: "job.state", .. })));
    damage("UPDATE job SET fingerprint = x''");
    assert!(matches!(ns.jobs(), Err(Error::BadValue { what: "job.fingerprint", .. })));
    damage("UPDATE job SET kind = 'sideload'");
    assert!(matches!(ns.jobs(), Err(Error::BadValue { what: "job.kind", .. })));
}

#[test]
fn files_that_are_no_namespace_are_told_apart() {
    let (_dir, home) = home();
    fs::create_dir_all(home.namespace_dir()).expect("dir");
    fs::write(home.path_of(&name("text")), "this is a letter to a friend, and not a database at all").expect("written");
    assert!(matches!(home.open(&name("text"), NOW), Err(Error::NotADatabase { .. })));

    let other = rusqlite::Connection::open(home.path_of(&name("other"))).expect("opened");
    other.execute_batch("CREATE TABLE t (x); PRAGMA application_id = 77").expect("made");
    drop(other);
    assert!(matches!(home.open(&name("other"), NOW), Err(Error::NotANamespace { found: 77, .. })));

    drop(home.open(&name("newer"), NOW).expect("made"));
    rusqlite::Connection::open(home.path_of(&name("newer")))
        .expect("opened")
        .execute_batch("PRAGMA user_version = 999")
        .expect("set");
    assert!(matches!(home.open(&name("newer"), NOW), Err(Error::NewerSchema { found: 999, .. })));
}

#[test]
fn a_damaged_file_is_reported_as_such() {
    let (_dir, home) = home();
    let path = {
        let ns = home.open(&name("a"), NOW).expect("made");
        let peers: Vec<_> = (0..2000).map(|id| peer(PeerKind::User, id, Some("somebody"))).collect();
        ns.save_peers(&peers).expect("saved");
        ns.path().to_path_buf()
    };
    let mut bytes = fs::read(&path).expect("read");
    assert!(bytes.len() > 80_000, "spread over many pages");
    bytes[60_000..76_000].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    let ns = home.open(&name("a"), NOW).expect("the schema is sound");
    assert!(matches!(ns.check(), Err(Error::Corrupt { .. })));
    let error = ns.peers().expect_err("damaged");
    let PersistenceError::Unavailable(inner) = error else { panic!("{error:?}") };
    assert!(matches!(inner.downcast_ref::<Error>(), Some(Error::Corrupt { .. })), "{inner:?}");
}

#[cfg(unix)]
#[test]
fn files_are_private_and_wrong_rights_are_repaired() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    assert!(ns.repaired().is_empty());
    assert_eq!((mode(home.root()), mode(&home.namespace_dir())), (0o700, 0o700));
    for entry in fs::read_dir(home.namespace_dir()).expect("listed") {
        let path = entry.expect("entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let path = ns.path().to_path_buf();
    drop(ns);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
    fs::set_permissions(home.namespace_dir(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let ns = home.open(&name("a"), NOW).expect("opened");
    assert_eq!(ns.repaired(), [home.namespace_dir(), path.clone()]);
    assert_eq!((mode(&path), mode(&home.namespace_dir())), (0o600, 0o700));
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let (_dir, home) = home();
    assert!(home.list().expect("nothing yet").is_empty());
    assert!(matches!(home.open_existing(&name("a"), NOW), Err(Error::NoSuchNamespace { .. })));
    assert!(!home.root().exists(), "asking makes nothing");
    home.open(&name("b"), NOW).expect("made").save_dc_auth(&auth(2, 1)).expect("saved");
    drop(home.open(&name("a"), NOW).expect("made"));
    fs::write(home.namespace_dir().join("notes.txt"), "").expect("written");
    assert_eq!(home.list().expect("listed"), [name("a"), name("b")]);

    assert!(matches!(home.rename(&name("x"), &name("y"), NOW), Err(Error::NoSuchNamespace { .. })));
    assert!(matches!(home.rename(&name("b"), &name("a"), NOW), Err(Error::NamespaceExists { .. })));
    home.rename(&name("b"), &name("c"), NOW).expect("renamed");
    assert_eq!(home.list().expect("listed"), [name("a"), name("c")]);
    assert!(home.open_existing(&name("c"), NOW).expect("opened").dc_auth(DcId(2)).expect("read").is_some());

    home.remove(&name("c")).expect("removed");
    assert!(matches!(home.remove(&name("c")), Err(Error::NoSuchNamespace { .. })));
    assert_eq!(home.list().expect("listed"), [name("a")]);
    let left: Vec<_> = fs::read_dir(home.namespace_dir()).expect("listed").map(|e| e.expect("entry").file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with('c') || n.to_string_lossy().starts_with('b')), "{left:?}");
}

#[test]
fn an_open_namespace_is_neither_renamed_nor_removed() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    assert!(matches!(home.remove(&name("a")), Err(Error::InUse { .. })));
    assert!(matches!(home.rename(&name("a"), &name("b"), NOW), Err(Error::InUse { .. })));
    ns.set_home_dc(DcId(1)).expect("still works");
    drop(ns);
    home.remove(&name("a")).expect("now it goes");
}

#[test]
fn threads_and_handles_write_at_once() {
    let (_dir, home) = home();
    let home = Arc::new(home);
    let threads: Vec<_> = (0..8)
        .map(|writer: i64| {
            let home = home.clone();
            std::thread::spawn(move || {
                let ns = home.open(&name("a"), NOW).expect("opened");
                for i in 0..25 {
                    ns.save_peers(&[peer(PeerKind::User, writer * 100 + i, None)]).expect("saved");
                }
                ns.insert_dc_auth(&auth(2, writer as u8 + 1)).expect("inserted").auth_key.id()
            })
        })
        .collect();
    let mut ids: Vec<i64> = threads.into_iter().map(|t| t.join().expect("no panic")).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "all use the key that was first");
    assert_eq!(home.open(&name("a"), NOW).expect("opened").peers().expect("read").len(), 200);
}

#[test]
fn a_writer_that_never_ends_is_reported_as_a_lock() {
    let (_dir, home) = home();
    let ns = home.open(&name("a"), NOW).expect("made");
    ns.read(|c| c.busy_timeout(std::time::Duration::ZERO)).expect("set");
    let other = rusqlite::Connection::open(ns.path()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = ns.set_home_dc(DcId(1)).expect_err("locked");
    let PersistenceError::Unavailable(inner) = error else { panic!("{error:?}") };
    assert!(matches!(inner.downcast_ref::<Error>(), Some(Error::Locked { .. })), "{inner:?}");
}

/// Where the child of [`a_killed_process_loses_nothing_it_reported`] finds its home.
const CHILD_HOME: &str = "TDL_TEST_STORE_CHILD_HOME";

/// Not a test by itself: the process that the test below kills. Writes for ever and says what is committed.
#[test]
fn child_that_writes_until_killed() {
    let Some(root) = std::env::var_os(CHILD_HOME) else { return };
    let ns = Home::at(root).open(&name("a"), NOW).expect("opened");
    for i in 0..i32::MAX {
        ns.save_dc_auth(&auth(i, i as u8)).expect("saved");
        ns.save_peers(&[peer(PeerKind::User, i64::from(i), None)]).expect("saved");
        // Not `println!`: the test harness captures that.
        writeln!(std::io::stdout().lock(), "committed {i}").expect("parent reads");
    }
}

#[test]
fn a_killed_process_loses_nothing_it_reported() {
    let (_dir, home) = home();
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "store::tests::child_that_writes_until_killed", "--nocapture", "--test-threads=1"])
        .env(CHILD_HOME, home.root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut reported = -1;
    let mut line = String::new();
    while reported < 40 && lines.read_line(&mut line).expect("read") > 0 {
        reported = line.trim().rsplit_once("committed ").and_then(|(_, n)| n.parse().ok()).unwrap_or(reported);
        line.clear();
    }
    // While the child has it open, another process reads and writes it.
    let ns = home.open(&name("a"), NOW).expect("opened beside the child");
    ns.set_home_dc(DcId(3)).expect("written beside the child");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("read");
    for line in rest.lines() {
        reported = line.trim().rsplit_once("committed ").and_then(|(_, n)| n.parse().ok()).unwrap_or(reported);
    }
    assert!(reported >= 40, "the child wrote");
    drop(ns);
    let ns = home.open(&name("a"), NOW).expect("opened after the kill");
    ns.check().expect("sound");
    assert_eq!(ns.home_dc().expect("read"), Some(DcId(3)));
    for i in 0..=reported {
        let found = ns.dc_auth(DcId(i)).expect("read").expect("every reported key is there");
        assert_eq!(found.auth_key.as_bytes(), &[i as u8; 256]);
        assert!(ns.peer(PeerKind::User, i64::from(i)).expect("read").is_some());
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_reported_with_its_path() {
    let (dir, _) = home();
    // A file where a directory should be: works for root as well, whom modes do not stop.
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").expect("written");
    let error = Home::at(&blocked).open(&name("a"), NOW).expect_err("no directory");
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("file") && !error.advice().is_empty());
}

#[test]
fn system_errors_are_sorted_by_what_a_person_can_do() {
    use std::io::{Error as Io, ErrorKind};
    let path = Path::new("p");
    assert!(matches!(Error::io(path, Io::from(ErrorKind::StorageFull)), Error::DiskFull { .. }));
    assert!(matches!(Error::io(path, Io::from(ErrorKind::PermissionDenied)), Error::ReadOnly { .. }));
    assert!(matches!(Error::io(path, Io::from(ErrorKind::ReadOnlyFilesystem)), Error::ReadOnly { .. }));
    let sqlite = |code| Error::sqlite(path, rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    assert!(matches!(sqlite(rusqlite::ffi::SQLITE_FULL), Error::DiskFull { .. }));
    assert!(matches!(sqlite(rusqlite::ffi::SQLITE_READONLY), Error::ReadOnly { .. }));
    assert!(matches!(sqlite(rusqlite::ffi::SQLITE_CANTOPEN), Error::ReadOnly { .. }));
    assert!(matches!(sqlite(rusqlite::ffi::SQLITE_CORRUPT), Error::Corrupt { .. }));
    assert!(matches!(sqlite(rusqlite::ffi::SQLITE_MISUSE), Error::Sqlite { .. }));
}
