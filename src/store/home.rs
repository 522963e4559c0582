//! The directory that holds the namespaces.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Error, Namespace, NamespaceName,
    private::{self, PresenceLock},
};

/// What SQLite may have left beside a database.
pub(super) const SIDE_FILES: &[&str] = &["-wal", "-shm", "-journal"];

/// The home directory of this program's data.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

/// What [`Home::remove`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// How many files went.
    pub files: usize,
}

impl Home {
    /// The home at `root`. Nothing is made before a namespace is opened.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the namespaces are.
    pub fn namespace_dir(&self) -> PathBuf {
        self.root.join("ns")
    }

    /// The database of a namespace, whether it exists or not.
    pub fn path_of(&self, name: &NamespaceName) -> PathBuf {
        self.namespace_dir().join(format!("{name}.sqlite"))
    }

    /// Whether the namespace exists.
    pub fn contains(&self, name: &NamespaceName) -> bool {
        self.path_of(name).is_file()
    }

    /// Opens a namespace, making it first where it does not exist. `now` is Unix time in seconds.
    ///
    /// The home is made 0700 where it is missing and left as it is where it exists; the directory of the namespaces and
    /// the files in it are made private if they are not ([`Namespace::repaired`] says so).
    ///
    /// # Errors
    ///
    /// See [`Error`]: damage, another program's file, a newer schema, missing rights, a full disk, a lock.
    pub fn open(&self, name: &NamespaceName, now: i64) -> Result<Namespace, Error> {
        private::create_dir(&self.namespace_dir())?;
        self.open_at(name, now)
    }

    /// Opens a namespace that exists.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNamespace`] where it does not, otherwise as [`Self::open`].
    pub fn open_existing(&self, name: &NamespaceName, now: i64) -> Result<Namespace, Error> {
        if !self.contains(name) {
            return Err(self.missing(name));
        }
        self.open_at(name, now)
    }

    /// Whether any process, this one included, has the namespace open. A process that opens it at this very moment may wait for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::ReadOnly`] where the lock cannot be tried.
    pub fn is_in_use(&self, name: &NamespaceName) -> Result<bool, Error> {
        if !self.contains(name) {
            return Ok(false);
        }
        Ok(PresenceLock::try_exclusive(&self.lock_path(name))?.is_none())
    }

    /// The namespaces there are, sorted by name. Files that cannot be one are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::ReadOnly`] where the directory exists and cannot be listed.
    pub fn list(&self) -> Result<Vec<NamespaceName>, Error> {
        let dir = self.namespace_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(&dir, e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::io(&dir, e))?;
            let file_name = entry.file_name();
            let name = file_name.to_str().and_then(|n| n.strip_suffix(".sqlite")).and_then(|n| n.parse().ok());
            if let Some(name) = name {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Gives a namespace another name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNamespace`], [`Error::NamespaceExists`], [`Error::InUse`] while any process has it open, or what opening it
    /// can raise: it is opened once, so that everything is in its one file before that moves.
    pub fn rename(&self, from: &NamespaceName, to: &NamespaceName, now: i64) -> Result<(), Error> {
        if !self.contains(from) {
            return Err(self.missing(from));
        }
        let _from_lock = self.alone(from)?;
        let _to_lock = self.alone(to)?;
        let (old, new) = (self.path_of(from), self.path_of(to));
        if new.exists() {
            return Err(Error::NamespaceExists { name: to.to_string() });
        }
        Namespace::open_unlocked(&old, from, now)?.into_single_file()?;
        fs::rename(&old, &new).map_err(|e| Error::io(&old, e))?;
        self.remove_lock_file(from)
    }

    /// Removes a namespace from the disk: the key in it is gone for good. It is not ended on the server.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNamespace`], [`Error::InUse`] while any process has it open, [`Error::Io`] or [`Error::ReadOnly`].
    pub fn remove(&self, name: &NamespaceName) -> Result<Removed, Error> {
        if !self.contains(name) {
            return Err(self.missing(name));
        }
        let lock = self.alone(name)?;
        self.remove_files(name, lock)
    }

    /// The same, for whoever has it alone already.
    pub(super) fn remove_files(&self, name: &NamespaceName, _lock: PresenceLock) -> Result<Removed, Error> {
        let path = self.path_of(name);
        let mut files = 0;
        // The database last: if this is interrupted, the namespace is still listed and can be removed again.
        for suffix in SIDE_FILES.iter().copied().chain([""]) {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            match fs::remove_file(&file) {
                Ok(()) => files += 1,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io(Path::new(&file), e)),
            }
        }
        self.remove_lock_file(name)?;
        Ok(Removed { files })
    }

    fn open_at(&self, name: &NamespaceName, now: i64) -> Result<Namespace, Error> {
        let dir_repaired = private::restrict(&self.namespace_dir())?;
        let (path, lock_path) = (self.path_of(name), self.lock_path(name));
        if fs::metadata(&path).map_or(true, |m| m.len() == 0) {
            // The one who makes the file does so alone: SQLite's switch to WAL mode does not wait for others.
            if let Some(_alone) = PresenceLock::try_exclusive(&lock_path)? {
                Namespace::open_unlocked(&path, name, now)?;
            }
        }
        let lock = PresenceLock::shared(&lock_path)?;
        let mut namespace = Namespace::open_unlocked(&path, name, now)?;
        namespace.keep(lock, dir_repaired);
        Ok(namespace)
    }

    pub(super) fn alone(&self, name: &NamespaceName) -> Result<PresenceLock, Error> {
        PresenceLock::try_exclusive(&self.lock_path(name))?.ok_or_else(|| Error::InUse { name: name.to_string() })
    }

    fn lock_path(&self, name: &NamespaceName) -> PathBuf {
        self.namespace_dir().join(format!("{name}.lock"))
    }

    fn remove_lock_file(&self, name: &NamespaceName) -> Result<(), Error> {
        for path in [self.path_of(name).with_extension("updates"), self.lock_path(name)] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io(&path, e)),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn missing(&self, name: &NamespaceName) -> Error {
        Error::NoSuchNamespace { name: name.to_string(), dir: self.namespace_dir() }
    }
}
