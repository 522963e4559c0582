//! What the cluster remembers: one SQLite file and a directory of file contents, shared by all of its DCs.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | opening, the schema, transactions, the secret |
//! | `keys.rs` | the RSA key, auth keys with who is logged in and what device, exported authorizations |
//! | `authorizations.rs` | what is said about authorizations, how long they last, whether an account may be used |
//! | `binding.rs` | temporary keys and what they are bound to |
//! | `codes.rs` | login codes, how each number wants them, terms of service |
//! | `passwords.rs` | passwords, challenges, keys that wait for a password |
//! | `login_tokens.rs` | login tokens |
//! | `users.rs` | accounts, contacts |
//! | `bots.rs` | bots and their tokens |
//! | `messages.rs` | messages, dialogs, read marks |
//! | `journal.rs` | what happened to an account, by pts |
//! | `outbox.rs` | what an operator in another process leaves for a running cluster to tell |
//! | `files.rs` | uploads, file contents, documents and photos |
//! | `variants.rs` | further sizes of photos and qualities of videos |
//! | `composed.rs` | media made of others, stories |
//!
//! Every change is one transaction, committed before the method that made it is answered, so a `kill -9` loses nothing that a
//! client was told. (The file system's cache is trusted: a machine that loses power may lose the last moments.)

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::Rng;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use tdl_core::crypto::hash;

pub(crate) mod authorizations;
pub(crate) mod binding;
pub(crate) mod bots;
pub(crate) mod codes;
pub(crate) mod composed;
pub(crate) mod files;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod login_tokens;
pub(crate) mod messages;
pub(crate) mod outbox;
pub(crate) mod passwords;
pub(crate) mod users;
pub(crate) mod variants;

/// The name of the database's file.
const DATABASE: &str = "cluster.sqlite";

/// The version of the tables, in SQLite's `user_version`.
const SCHEMA_VERSION: i32 = 3;

const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE auth_keys (
    dc INTEGER NOT NULL, id INTEGER NOT NULL, key BLOB NOT NULL, first_salt INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER,
    user INTEGER, imported_from INTEGER, imported_dc INTEGER, revoked INTEGER NOT NULL DEFAULT 0, bound_at INTEGER NOT NULL DEFAULT 0,
    active_at INTEGER NOT NULL DEFAULT 0, ip TEXT NOT NULL DEFAULT '',
    layer INTEGER, api_id INTEGER NOT NULL DEFAULT 0, device_model TEXT NOT NULL DEFAULT '', system_version TEXT NOT NULL DEFAULT '',
    app_version TEXT NOT NULL DEFAULT '', system_lang_code TEXT NOT NULL DEFAULT '', lang_pack TEXT NOT NULL DEFAULT '',
    lang_code TEXT NOT NULL DEFAULT '', bound_to INTEGER,
    PRIMARY KEY (dc, id)) WITHOUT ROWID;
CREATE INDEX auth_keys_user ON auth_keys (user) WHERE user IS NOT NULL;
CREATE INDEX auth_keys_bound ON auth_keys (dc, bound_to) WHERE bound_to IS NOT NULL;
CREATE TABLE login_codes (hash TEXT PRIMARY KEY, phone TEXT NOT NULL, dc INTEGER NOT NULL, created INTEGER NOT NULL,
    verified INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE exported (token BLOB PRIMARY KEY, user INTEGER NOT NULL, from_dc INTEGER NOT NULL, from_key INTEGER NOT NULL,
    to_dc INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, phone TEXT NOT NULL UNIQUE, dc INTEGER NOT NULL,
    first_name TEXT NOT NULL, last_name TEXT NOT NULL, username TEXT UNIQUE COLLATE NOCASE, about TEXT NOT NULL DEFAULT '',
    premium INTEGER NOT NULL, created INTEGER NOT NULL, pts INTEGER NOT NULL DEFAULT 1, last_message INTEGER NOT NULL DEFAULT 0,
    online_until INTEGER NOT NULL DEFAULT 0);
CREATE TABLE contacts (owner INTEGER NOT NULL, user INTEGER NOT NULL, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    PRIMARY KEY (owner, user)) WITHOUT ROWID;
CREATE TABLE messages (owner INTEGER NOT NULL, id INTEGER NOT NULL, peer INTEGER NOT NULL, sender INTEGER NOT NULL, out INTEGER NOT NULL,
    date INTEGER NOT NULL, text TEXT NOT NULL, entities BLOB, media_kind INTEGER NOT NULL DEFAULT 0, media_id INTEGER NOT NULL DEFAULT 0,
    media_flags INTEGER NOT NULL DEFAULT 0, reply_to INTEGER, fwd_from INTEGER, fwd_date INTEGER, saved_peer INTEGER, saved_msg INTEGER,
    grouped_id INTEGER, silent INTEGER NOT NULL DEFAULT 0, twin INTEGER,
    PRIMARY KEY (owner, id)) WITHOUT ROWID;
CREATE INDEX messages_dialog ON messages (owner, peer, id);
CREATE TABLE random_ids (owner INTEGER NOT NULL, random_id INTEGER NOT NULL, message INTEGER NOT NULL,
    PRIMARY KEY (owner, random_id)) WITHOUT ROWID;
CREATE TABLE dialogs (owner INTEGER NOT NULL, peer INTEGER NOT NULL, read_inbox INTEGER NOT NULL DEFAULT 0,
    read_outbox INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, peer)) WITHOUT ROWID;
CREATE TABLE journal (owner INTEGER NOT NULL, pts INTEGER NOT NULL, count INTEGER NOT NULL, date INTEGER NOT NULL,
    kind INTEGER NOT NULL, peer INTEGER NOT NULL, value INTEGER NOT NULL, ids BLOB, PRIMARY KEY (owner, pts)) WITHOUT ROWID;
CREATE TABLE uploads (id INTEGER PRIMARY KEY AUTOINCREMENT, dc INTEGER NOT NULL, user INTEGER NOT NULL, file_id INTEGER NOT NULL,
    big INTEGER NOT NULL, total INTEGER NOT NULL, part_size INTEGER NOT NULL, created INTEGER NOT NULL, blob INTEGER,
    UNIQUE (dc, user, file_id));
CREATE TABLE upload_parts (upload INTEGER NOT NULL, part INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (upload, part)) WITHOUT ROWID;
CREATE TABLE blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL);
CREATE TABLE documents (id INTEGER PRIMARY KEY, dc INTEGER NOT NULL, date INTEGER NOT NULL, mime TEXT NOT NULL, size INTEGER NOT NULL,
    blob INTEGER NOT NULL, attributes BLOB NOT NULL, thumb INTEGER, thumb_w INTEGER NOT NULL DEFAULT 0, thumb_h INTEGER NOT NULL DEFAULT 0,
    thumb_size INTEGER NOT NULL DEFAULT 0);
CREATE TABLE photos (id INTEGER PRIMARY KEY, dc INTEGER NOT NULL, date INTEGER NOT NULL, blob INTEGER NOT NULL, size INTEGER NOT NULL,
    w INTEGER NOT NULL, h INTEGER NOT NULL, format INTEGER NOT NULL);
INSERT INTO sqlite_sequence (name, seq) VALUES ('users', 7000000000);
";

/// From version 1 to 2: temporary keys are bound to permanent ones.
const BINDINGS: &str = "
ALTER TABLE auth_keys ADD COLUMN bound_to INTEGER;
CREATE INDEX auth_keys_bound ON auth_keys (dc, bound_to) WHERE bound_to IS NOT NULL;
";

/// From version 2 to 3: every way in, and operators beside a running cluster.
const WAYS_IN: [&str; 5] = [codes::TABLES, passwords::TABLES, login_tokens::TABLES, bots::TABLES, outbox::TABLES];

/// Why the cluster's state could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite refused.
    #[error("the cluster's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was written by a newer program.
    #[error("the cluster's database has version {found}, this program knows {known}")]
    Version {
        /// In the file.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// Another process runs a cluster in this directory.
    #[error("a cluster is already running in {}", .0.display())]
    Busy(PathBuf),
    /// A value in the database is not what the program writes there.
    #[error("the cluster's database holds a damaged {0}")]
    Damaged(&'static str),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The cluster's state, open.
pub struct State {
    db: Mutex<Connection>,
    dir: PathBuf,
    secret: [u8; 32],
    assembling: Mutex<()>,
    /// Counts keys that were forgotten: whoever remembers keys looks again when it has changed.
    key_losses: AtomicU64,
    /// Seconds after which file references that are given out change.
    reference_step: AtomicI64,
    /// Held by whoever runs the cluster.
    _lock: Option<std::fs::File>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl State {
    /// Opens the state in `dir`, which is made if it is not there. One process at a time.
    pub fn open(dir: &Path, now: i64, rng: &mut dyn Rng) -> Result<Self, Error> {
        make_private_dir(dir)?;
        for sub in [files::PARTS_DIR, files::BLOBS_DIR] {
            make_private_dir(&dir.join(sub))?;
        }
        let lock_path = dir.join("cluster.lock");
        let lock = private_file(&lock_path).map_err(Error::io("opening", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Error::Busy(dir.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => return Err(Error::Io { what: "locking", path: lock_path, source }),
        }
        let path = dir.join(DATABASE);
        // Made here, so that it is never readable by others, not even for a moment; SQLite gives its companions the same mode.
        drop(private_file(&path).map_err(Error::io("opening", &path))?);
        let mut db = Connection::open(&path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        db.set_prepared_statement_cache_capacity(128);
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0 => {
                tx.execute_batch(SCHEMA)?;
                let mut secret = [0u8; 32];
                rng.fill_bytes(&mut secret);
                tx.execute("INSERT INTO meta (name, value) VALUES ('secret', ?1)", [secret.as_slice()])?;
            }
            1 => tx.execute_batch(BINDINGS)?,
            2 | SCHEMA_VERSION => {}
            found => return Err(Error::Version { found, known: SCHEMA_VERSION }),
        }
        if found < SCHEMA_VERSION {
            for tables in WAYS_IN {
                tx.execute_batch(tables)?;
            }
            tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        tx.execute_batch(authorizations::TABLES)?;
        for tables in [files::TABLES, variants::TABLES, composed::TABLES] {
            tx.execute_batch(tables)?;
        }
        let secret = secret(&tx)?;
        tx.commit()?;
        let state = Self {
            db: Mutex::new(db),
            dir: dir.to_owned(),
            secret,
            assembling: Mutex::new(()),
            key_losses: AtomicU64::new(0),
            reference_step: AtomicI64::new(3600),
            _lock: Some(lock),
        };
        state.clean_files(now)?;
        Ok(state)
    }

    /// Opens the state of a cluster beside whoever runs it, or when nobody does. Nothing is made that is not there.
    pub(crate) fn beside(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(DATABASE);
        // SQLite would say less about a file that is missing.
        std::fs::metadata(&path).map_err(Error::io("opening", &path))?;
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let found: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != SCHEMA_VERSION {
            return Err(Error::Version { found, known: SCHEMA_VERSION });
        }
        let secret = secret(&db)?;
        Ok(Self {
            db: Mutex::new(db),
            dir: dir.to_owned(),
            secret,
            assembling: Mutex::new(()),
            key_losses: AtomicU64::new(0),
            reference_step: AtomicI64::new(3600),
            _lock: None,
        })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// After how many seconds file references that are given out change.
    pub(crate) fn reference_step(&self) -> i64 {
        self.reference_step.load(Ordering::Relaxed).max(1)
    }

    /// Sets it.
    pub(crate) fn set_reference_step(&self, seconds: i64) {
        self.reference_step.store(seconds, Ordering::Relaxed);
    }

    /// Held while an upload becomes a file.
    pub(crate) fn assembling(&self) -> MutexGuard<'_, ()> {
        self.assembling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` in a transaction that is committed if it succeeds and undone if it does not.
    pub fn write<T, E: From<rusqlite::Error>>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut db = self.lock();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let out = f(&tx)?;
        tx.commit()?;
        Ok(out)
    }

    /// Runs `f` on the database without changing it.
    pub fn read<T, E: From<rusqlite::Error>>(&self, f: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        f(&self.lock())
    }

    /// Eight bytes that only this cluster can derive from a label and numbers: access hashes, salts, references.
    pub(crate) fn derive(&self, label: &[u8], numbers: &[i64]) -> i64 {
        let mut bytes = Vec::with_capacity(numbers.len() * 8);
        for n in numbers {
            bytes.extend_from_slice(&n.to_le_bytes());
        }
        let digest = hash::sha256(&[self.secret.as_slice(), label, &[0], &bytes]);
        let mut out = [0u8; 8];
        out.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(out)
    }

    /// A value kept by name.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read(|db| Ok(db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?))
    }

    /// Keeps a value by name.
    pub fn set_meta(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![name, value])?;
            Ok(())
        })
    }

    /// A thread that panicked inside a transaction rolled it back when it unwound: the connection is as good as before.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(db: &Connection) -> Result<[u8; 32], Error> {
    let secret: Vec<u8> = db.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0))?;
    <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| Error::Damaged("secret"))
}

fn make_private_dir(dir: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(Error::io("making", dir))
}

/// Opens a file for reading and writing, making it readable by its owner alone.
pub(crate) fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Writes a file that only its owner may read, in one step: whoever reads it finds the old one or the new one.
pub(crate) fn replace_private(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let (path, draft) = (dir.join(name), dir.join(format!("{name}.new")));
    let mut file = private_file(&draft).map_err(Error::io("making", &draft))?;
    file.set_len(0).and_then(|()| writeln!(file, "{text}")).map_err(Error::io("writing", &draft))?;
    std::fs::rename(&draft, &path).map_err(Error::io("writing", &path))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    pub(crate) const NOW: i64 = 1_790_000_000;

    pub(crate) fn rng(seed: u8) -> StdRng {
        StdRng::from_seed([seed; 32])
    }

    pub(crate) fn open(dir: &Path) -> State {
        State::open(dir, NOW, &mut rng(1)).unwrap()
    }

    #[test]
    fn the_secret_survives_and_differs_between_clusters() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).derive(b"x", &[1]);
        let state = State::open(dir.path(), NOW, &mut rng(2)).unwrap();
        assert_eq!(state.derive(b"x", &[1]), first);
        assert_ne!(state.derive(b"x", &[2]), first);
        assert_ne!(state.derive(b"y", &[1]), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(State::open(other.path(), NOW, &mut rng(2)).unwrap().derive(b"x", &[1]), first);
    }

    #[test]
    fn a_second_cluster_in_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path());
        assert!(matches!(State::open(dir.path(), NOW, &mut rng(1)), Err(Error::Busy(_))));
    }

    #[test]
    fn a_database_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state
            .write(|tx| {
                tx.execute_batch("DROP INDEX auth_keys_bound; ALTER TABLE auth_keys DROP COLUMN bound_to;")?;
                back_to_version_2(tx)?;
                tx.pragma_update(None, "user_version", 1)
            })
            .unwrap();
        state.set_meta("kept", b"yes").unwrap();
        drop(state);
        let state = open(dir.path());
        assert_eq!(state.meta("kept").unwrap().unwrap(), b"yes");
        let bound: i64 = state.read(|db| db.query_row("SELECT count(bound_to) FROM auth_keys", [], |row| row.get(0))).unwrap();
        assert_eq!(bound, 0);
    }

    /// Undoes what came with version 3.
    fn back_to_version_2(tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for table in WAYS_IN.iter().flat_map(|tables| tables.lines()).filter_map(|line| line.strip_prefix("CREATE TABLE ")) {
            let name = table.split(' ').next().unwrap_or_default();
            tx.execute_batch(&format!("DROP TABLE {name};"))?;
        }
        tx.execute_batch("ALTER TABLE login_codes DROP COLUMN step; ALTER TABLE login_codes DROP COLUMN email;")
    }

    #[test]
    fn a_database_of_the_second_version_learns_of_passwords_and_bots() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state
            .write(|tx| {
                back_to_version_2(tx)?;
                tx.pragma_update(None, "user_version", 2)
            })
            .unwrap();
        drop(state);
        assert!(matches!(State::beside(dir.path()), Err(Error::Version { found: 2, .. })), "only a cluster changes the tables");
        let state = open(dir.path());
        assert!(!state.read(|db| bots::is_bot(db, 5)).unwrap());
    }

    #[test]
    fn an_operator_opens_what_is_there_and_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(State::beside(dir.path()), Err(Error::Io { .. })));
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        let running = open(dir.path());
        let beside = State::beside(dir.path()).unwrap();
        assert_eq!(beside.derive(b"x", &[1]), running.derive(b"x", &[1]));
        beside.set_meta("said", b"yes").unwrap();
        assert_eq!(running.meta("said").unwrap().unwrap(), b"yes");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state.write(|tx| tx.pragma_update(None, "user_version", 99)).unwrap();
        drop(state);
        assert!(matches!(State::open(dir.path(), NOW, &mut rng(1)), Err(Error::Version { found: 99, known: SCHEMA_VERSION })));
    }

    #[test]
    fn a_failed_change_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let result: Result<(), Error> = state.write(|tx| {
            tx.execute("INSERT INTO meta (name, value) VALUES ('half', x'00')", [])?;
            Err(Error::Damaged("test"))
        });
        assert!(matches!(result, Err(Error::Damaged("test"))));
        assert_eq!(state.meta("half").unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn everything_is_private_to_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("c");
        let state = open(&dir);
        state.set_meta("x", b"y").unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in std::fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.path());
        }
    }
}
