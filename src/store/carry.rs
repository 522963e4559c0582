//! Namespaces out of a backup, and into another home.
//!
//! What arrives is built beside the namespaces, in a directory of its own, and looked through there: every row in its place, every value what
//! it should be, every page of the database. Only when all of it is sound does anything get its name. A namespace that is in the way is
//! never written over: it moves aside, under a name of its own, and can be removed by hand.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use rand::Rng as _;
use rand::rngs::StdRng;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::{
    Encryption, Error, Home, Namespace, NamespaceName,
    backup::archive_error,
    home::SIDE_FILES,
    private::{self, PresenceLock},
    schema,
};
use crate::client::Persistence as _;
use crate::seal::{
    KdfLimits, OVERHEAD, Passphrase, Unopened,
    archive::{ArchiveError, ArchiveReader, Cell, Record, Table},
};

/// A namespace that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its name.
    pub name: NamespaceName,
    /// Whether its keys are sealed with a passphrase of its own.
    pub encrypted: bool,
    /// Under which name the one that was there before is now.
    pub set_aside: Option<NamespaceName>,
}

/// What becomes of the namespaces here when they go to another home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateMode {
    /// They stay. The keys are in two places then.
    Copy,
    /// They are removed here once they have arrived there.
    Move,
}

impl Home {
    /// Brings back namespaces from a backup: all of them, or those of `only`. `path` names the backup in errors. Where a namespace of the same
    /// name is there already, it is set aside if `overwrite` is set; otherwise nothing is changed at all.
    ///
    /// # Errors
    ///
    /// [`Error::BackupLocked`], [`Error::BadBackup`], [`Error::BadContent`], [`Error::NotInBackup`], [`Error::NamespaceExists`],
    /// [`Error::InUse`], [`Error::InvalidName`]; what writing can raise. Until the whole backup has been read and found sound, nothing changes.
    pub fn recover<R: Read>(
        &self,
        head: Unopened<R>,
        path: &Path,
        passphrase: Option<&Passphrase>,
        only: &[NamespaceName],
        overwrite: bool,
        now: i64,
    ) -> Result<Vec<Arrived>, Error> {
        let failed = |error: ArchiveError| archive_error(path, error);
        let mut archive = ArchiveReader::open(head, passphrase, KdfLimits::default()).map_err(failed)?;
        let staging = Staging::make(self)?;
        let mut staged: Vec<NamespaceName> = Vec::new();
        while let Some(record) = archive.read().map_err(failed)? {
            let Record::Begin { name, schema } = record else { continue };
            let name: NamespaceName = name.parse()?;
            if i64::from(schema) > schema::VERSION {
                let (found, supported) = (schema.into(), schema::VERSION);
                return Err(Error::NewerSchema { path: path.to_path_buf(), found, supported });
            }
            let wanted = only.is_empty() || only.contains(&name);
            let file = staging.path_of(&name);
            let writer = if wanted { Some(RowWriter::open(&file, &name, now)?) } else { None };
            // The reader sees to it that a namespace ends.
            while let Some(record) = archive.read().map_err(failed)? {
                let Record::Row { table, cells } = record else { break };
                if let Some(writer) = &writer {
                    writer.insert(table, &cells).map_err(|error| bad_content(path, &name, error))?;
                }
            }
            if let Some(writer) = writer {
                let looked = writer.finish().and_then(|namespace| inspect(&namespace).map(|()| namespace));
                let namespace = looked.map_err(|error| bad_content(path, &name, error))?;
                namespace.into_single_file()?;
                staged.push(name);
            }
        }
        if let Some(missing) = only.iter().find(|name| !staged.contains(name)) {
            return Err(Error::NotInBackup { path: path.to_path_buf(), name: missing.to_string() });
        }
        self.install(&staging, &staged, overwrite, now)
    }

    /// Carries namespaces to another home, each as it is at one moment. See [`MigrateMode`] for what becomes of those here.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNamespace`], [`Error::NamespaceExists`] (unless `overwrite` is set: then what is in the way is set aside),
    /// [`Error::InUse`]; what reading and writing can raise. Until everything is there and has been looked through, nothing changes.
    pub fn migrate(
        &self,
        names: &[NamespaceName],
        to: &Self,
        mode: MigrateMode,
        overwrite: bool,
        now: i64,
    ) -> Result<Vec<Arrived>, Error> {
        // Held to the end: what is to be removed here must not change meanwhile.
        let mut alone = Vec::new();
        for name in names {
            if !self.contains(name) {
                return Err(self.missing(name));
            }
            if mode == MigrateMode::Move {
                alone.push(self.alone(name)?);
            }
        }
        let staging = Staging::make(to)?;
        for name in names {
            let (from, copy) = (self.path_of(name), staging.path_of(name));
            let source = match mode {
                MigrateMode::Copy => self.open_existing(name, now)?,
                MigrateMode::Move => Namespace::open_unlocked(&from, name, now)?,
            };
            drop(private::create_new(&copy)?);
            let target = copy.display().to_string();
            source.read(|c| c.execute("VACUUM INTO ?1", [&target])).map(drop)?;
            let namespace = Namespace::open_unlocked(&copy, name, now)?;
            inspect(&namespace)?;
            namespace.into_single_file()?;
        }
        let arrived = to.install(&staging, names, overwrite, now)?;
        for (name, lock) in names.iter().zip(alone) {
            self.remove_files(name, lock)?;
        }
        Ok(arrived)
    }

    /// Gives what was staged its name. All names are free, or freed, before the first one is given.
    fn install(&self, staging: &Staging, names: &[NamespaceName], overwrite: bool, now: i64) -> Result<Vec<Arrived>, Error> {
        let mut locks: Vec<PresenceLock> = Vec::new();
        for name in names {
            if self.contains(name) && !overwrite {
                return Err(Error::NamespaceExists { name: name.to_string() });
            }
            locks.push(self.alone(name)?);
        }
        let mut arrived = Vec::new();
        for name in names {
            let set_aside = self.set_aside(name, now)?;
            let (from, to) = (staging.path_of(name), self.path_of(name));
            fs::rename(&from, &to).map_err(|e| Error::io(&to, e))?;
            private::sync_dir_of(&to)?;
            let namespace = Namespace::open_unlocked(&to, name, now)?;
            let encrypted = namespace.encryption() != Encryption::None;
            arrived.push(Arrived { name: name.clone(), encrypted, set_aside });
        }
        drop(locks);
        Ok(arrived)
    }

    /// Moves what has the name of a namespace out of the way: the database with all that belongs to it. Its lock is held.
    fn set_aside(&self, name: &NamespaceName, now: i64) -> Result<Option<NamespaceName>, Error> {
        let path = self.path_of(name);
        // Into one file, where it can be opened: it may be damaged, which is why it is replaced.
        if path.is_file()
            && let Ok(namespace) = Namespace::open_unlocked(&path, name, now)
        {
            namespace.into_single_file()?;
        }
        let files: Vec<PathBuf> = [""].iter().chain(SIDE_FILES).map(|suffix| with_suffix(&path, suffix)).collect();
        if !files.iter().any(|file| file.exists()) {
            return Ok(None);
        }
        let free = (1..).map(|n| format!("{name}.before-{n}").parse::<NamespaceName>());
        let free = free.take(1000).flatten().find(|other| !self.contains(other));
        let free = free.ok_or_else(|| Error::NamespaceExists { name: format!("{name}.before-1000") })?;
        // The database last: while it has its old name, nothing has been replaced.
        for suffix in SIDE_FILES.iter().copied().chain([""]) {
            let (from, to) = (with_suffix(&path, suffix), with_suffix(&self.path_of(&free), suffix));
            match fs::rename(&from, &to) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(&from, e)),
                _ => {}
            }
        }
        private::sync_dir_of(&path)?;
        Ok(Some(free))
    }
}

/// Why what a backup holds makes no namespace, in its own words.
fn bad_content(path: &Path, name: &NamespaceName, error: Error) -> Error {
    // The disk is to blame, not the backup.
    if matches!(
        error,
        Error::DiskFull { .. } | Error::Disk { .. } | Error::ReadOnly { .. } | Error::Io { .. } | Error::Locked { .. }
    ) {
        return error;
    }
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    Error::BadContent { path: path.to_path_buf(), name: name.to_string(), detail }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut file = path.to_path_buf().into_os_string();
    file.push(suffix);
    PathBuf::from(file)
}

/// Looks through all of a namespace.
fn inspect(namespace: &Namespace) -> Result<(), Error> {
    namespace.check()?;
    let typed = || -> Result<(), crate::client::PersistenceError> {
        namespace.home_dc()?;
        namespace.identity()?;
        namespace.account()?;
        namespace.ended()?;
        namespace.update_state()?;
        namespace.peers()?;
        Ok(())
    };
    typed().map_err(|error| unwrapped(namespace, error))?;
    namespace.devices()?;
    namespace.jobs()?;
    if namespace.encryption() != Encryption::None {
        // Without the passphrase, only how long they are can be seen.
        let lengths: Vec<i64> = namespace
            .read(|c| c.prepare("SELECT length(auth_key) FROM dc_auth")?.query_map([], |row| row.get(0))?.collect())?;
        let right = i64::try_from(256 + OVERHEAD).unwrap_or(i64::MAX);
        return match lengths.into_iter().find(|length| *length != right) {
            Some(found) => Err(namespace.bad_value("a sealed auth key", "256 bytes and what sealing adds", found)),
            None => Ok(()),
        };
    }
    let auths = namespace.dc_auths().map_err(|error| unwrapped(namespace, error))?;
    let heads = namespace.key_heads()?;
    match heads.iter().zip(&auths).find(|(head, auth)| head.key_id != auth.auth_key.id()) {
        Some(_) => Err(namespace.bad_value("the id of an auth key", "the one that the key has", "another")),
        None => Ok(()),
    }
}

/// The store's own error out of the client's.
fn unwrapped(namespace: &Namespace, error: crate::client::PersistenceError) -> Error {
    use crate::client::PersistenceError as P;
    match error {
        P::Corrupt { what } => namespace.bad_value(what, "what it should be", "something else"),
        P::Unavailable(source) => match source.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::Corrupt { path: namespace.path().to_path_buf(), detail: other.to_string() },
        },
    }
}

/// A directory beside the namespaces, removed when dropped.
struct Staging {
    dir: PathBuf,
}

impl Staging {
    fn make(home: &Home) -> Result<Self, Error> {
        let namespaces = home.namespace_dir();
        private::create_dir(&namespaces)?;
        private::restrict(&namespaces)?;
        let dir = namespaces.join(format!(".arriving-{:08x}", rand::make_rng::<StdRng>().next_u32()));
        private::create_dir(&dir)?;
        Ok(Self { dir })
    }

    fn path_of(&self, name: &NamespaceName) -> PathBuf {
        self.dir.join(format!("{name}.sqlite"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left in it has not arrived; what has arrived is not in it any more.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Rows into a fresh namespace, in one transaction.
struct RowWriter {
    namespace: Namespace,
}

impl RowWriter {
    fn open(path: &Path, name: &NamespaceName, now: i64) -> Result<Self, Error> {
        let namespace = Namespace::open_unlocked(path, name, now)?;
        namespace.read(|c| c.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE; DELETE FROM meta"))?;
        Ok(Self { namespace })
    }

    fn insert(&self, table: Table, cells: &[Cell]) -> Result<(), Error> {
        self.namespace.read(|c| insert_row(c, table, cells))
    }

    fn finish(self) -> Result<Namespace, Error> {
        self.namespace.read(|c| c.execute_batch("COMMIT"))?;
        self.namespace.load_vault()?;
        Ok(self.namespace)
    }
}

fn insert_row(c: &Connection, table: Table, cells: &[Cell]) -> rusqlite::Result<()> {
    let bound: Vec<Bound<'_>> = cells.iter().map(Bound).collect();
    let mut names: Vec<&str> = table.columns().iter().map(|(name, _)| *name).collect();
    let mut values: Vec<&dyn ToSql> = bound.iter().map(|cell| cell as &dyn ToSql).collect();
    // What is not carried over, and has to be there.
    if table == Table::Seal {
        names.extend(["id", "scrub"]);
        values.extend([&1 as &dyn ToSql, &0]);
    }
    let places: Vec<String> = (1..=values.len()).map(|at| format!("?{at}")).collect();
    let sql = format!("INSERT INTO {} ({}) VALUES ({})", table.name(), names.join(", "), places.join(", "));
    c.prepare_cached(&sql)?.execute(values.as_slice()).map(drop)
}

/// A cell as a value of SQLite.
struct Bound<'a>(&'a Cell);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Cell::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Cell::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
