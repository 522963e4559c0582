//! An open namespace: the connection, its transactions, and the small values.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    Error, NamespaceName,
    private::{self, PresenceLock},
    schema,
    vault::Vault,
};

/// How long a writer waits for another process's transaction before it gives up with [`Error::Locked`].
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What has to be on the disk when a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Survives a power cut.
    Full,
    /// Survives the death of the process.
    Normal,
}

/// An open namespace. All methods take `&self`; threads take turns on one connection, processes have one each.
pub struct Namespace {
    name: NamespaceName,
    path: PathBuf,
    connection: Mutex<State>,
    pub(super) vault: Mutex<Vault>,
    repaired: Vec<PathBuf>,
    // Dropped after the connection: fields are dropped in order.
    presence: Option<PresenceLock>,
}

struct State {
    connection: Connection,
    durability: Option<Durability>,
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Its database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What others could read before it was opened, and cannot any more.
    pub fn repaired(&self) -> &[PathBuf] {
        &self.repaired
    }

    /// When the namespace was made, in Unix seconds.
    ///
    /// # Errors
    ///
    /// Reading can fail as any access can, see [`Error`].
    pub fn created_at(&self) -> Result<i64, Error> {
        let text = self.meta("created_at")?.unwrap_or_default();
        text.parse().map_err(|_| self.bad_value("created_at", "a Unix time", text))
    }

    /// Ties the namespace to one set of data centres, and refuses another as long as it holds a key: a key of one server means nothing to
    /// another, and using it there would look like an ended authorization.
    ///
    /// `cluster` identifies the set, for people too ("production", "test", or a name made of its RSA keys).
    ///
    /// # Errors
    ///
    /// [`Error::OtherCluster`] if it is tied to another and holds a key.
    pub fn bind_cluster(&self, cluster: &str) -> Result<(), Error> {
        let found = self.meta("cluster")?;
        if found.as_deref() == Some(cluster) {
            return Ok(());
        }
        let bound = self.write(Durability::Full, |t| {
            t.execute(
                "INSERT INTO meta (key, value) VALUES ('cluster', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value \
                 WHERE NOT EXISTS (SELECT 1 FROM dc_auth)",
                [cluster],
            )
        })?;
        match self.meta("cluster")? {
            Some(now) if bound > 0 || now == cluster => Ok(()),
            now => Err(Error::OtherCluster {
                name: self.name.to_string(),
                found: now.unwrap_or_default(),
                wanted: cluster.to_owned(),
            }),
        }
    }

    /// The cluster that [`Self::bind_cluster`] tied it to.
    ///
    /// # Errors
    ///
    /// Reading can fail as any access can, see [`Error`].
    pub fn cluster(&self) -> Result<Option<String>, Error> {
        self.meta("cluster")
    }

    /// Reads the whole database and reports the first damage.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with what SQLite found.
    pub fn check(&self) -> Result<(), Error> {
        let verdict: String = self.read(|c| c.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ => Err(Error::Corrupt { path: self.path.clone(), detail: verdict }),
        }
    }

    pub(super) fn open_unlocked(path: &Path, name: &NamespaceName, now: i64) -> Result<Self, Error> {
        drop(private::open_or_create(path)?);
        let mut repaired = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.to_path_buf().into_os_string();
            file.push(suffix);
            if private::restrict(Path::new(&file))? {
                repaired.push(PathBuf::from(file));
            }
        }
        let sqlite = |e| Error::sqlite(path, e);
        // No SQLITE_OPEN_URI: a name with '?' or '%' is a name.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(sqlite)?;
        if mode != "wal" {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(sqlite)?;
        }
        // What is deleted is overwritten: a removed key does not stay in a free page.
        connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(())).map_err(sqlite)?;
        schema::migrate(&mut connection, path)?;
        let namespace = Self {
            name: name.clone(),
            path: path.to_path_buf(),
            connection: Mutex::new(State { connection, durability: None }),
            vault: Mutex::new(Vault::Plain),
            repaired,
            presence: None,
        };
        namespace.load_vault()?;
        if namespace.meta("created_at")?.is_none() {
            namespace.write(Durability::Full, |t| {
                t.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('created_at', ?1)", [now.to_string()])
            })?;
        }
        Ok(namespace)
    }

    pub(super) fn keep(&mut self, presence: PresenceLock, dir_repaired: bool) {
        self.presence = Some(presence);
        if let (true, Some(dir)) = (dir_repaired, self.path.parent()) {
            self.repaired.insert(0, dir.to_path_buf());
        }
    }

    /// Puts everything into the one file and closes it.
    pub(super) fn into_single_file(self) -> Result<(), Error> {
        let state = self.connection.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sqlite = |e| Error::sqlite(&self.path, e);
        state.connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(())).map_err(sqlite)?;
        state.connection.close().map_err(|(_, e)| sqlite(e))
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        self.read(|c| c.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional())
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        self.write(Durability::Full, |t| {
            t.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )
        })?;
        Ok(())
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        f(&self.state().connection).map_err(|e| Error::sqlite(&self.path, e))
    }

    /// Whatever `f` does with the connection, while no other thread has it.
    pub(super) fn with<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        f(&self.state().connection)
    }

    /// Runs `f` in a transaction that takes the write lock at once, so that it cannot fail half-way for another's sake.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        let run = |state: &mut State| {
            if state.durability != Some(durability) {
                let value = match durability {
                    Durability::Full => "FULL",
                    Durability::Normal => "NORMAL",
                };
                state.connection.pragma_update(None, "synchronous", value)?;
                state.durability = Some(durability);
            }
            let transaction = state.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = f(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut state).map_err(|e| Error::sqlite(&self.path, e))
    }

    /// Empties the write-ahead log, so that what was deleted is not in it either. Others that read at this moment may keep it.
    pub(super) fn checkpoint(&self) -> Result<(), Error> {
        self.read(|c| c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
    }

    pub(super) fn bad_value(&self, what: &'static str, expected: &'static str, found: impl fmt::Display) -> Error {
        Error::BadValue { path: self.path.clone(), what, expected, found: found.to_string() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another thread leaves a connection whose transaction was rolled back: usable.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name.as_str()).field("path", &self.path).finish_non_exhaustive()
    }
}
