//! Files and directories that only their owner can read: what is particular to a platform, in one place.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use super::Error;

/// Makes `dir` and what is missing above it, readable by its owner only.
pub(super) fn create_dir(dir: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| Error::io(dir, e))
}

/// Opens `path` for reading and writing, making it first where it is missing, readable by its owner only.
pub(super) fn open_or_create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| Error::io(path, e))
}

/// Makes a file that must not be there yet, readable by its owner only.
pub(super) fn create_new(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| Error::io(path, e))
}

/// Makes sure that the name of a new file survives a power cut.
#[cfg(unix)]
pub(super) fn sync_dir_of(path: &Path) -> Result<(), Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::io(dir, e))
}

/// Elsewhere directories cannot be opened as files; the file system's journal has to do.
#[cfg(not(unix))]
pub(super) fn sync_dir_of(_path: &Path) -> Result<(), Error> {
    Ok(())
}

/// Takes access away from everyone but the owner, where others have it. Says whether that was needed.
#[cfg(unix)]
pub(super) fn restrict(path: &Path) -> Result<bool, Error> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::io(path, e)),
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !0o077))
        .map_err(|_| Error::TooOpen { path: path.to_path_buf(), mode })?;
    Ok(true)
}

/// On other platforms the directory is under the user's profile, which the system already keeps to its owner.
#[cfg(not(unix))]
pub(super) fn restrict(_path: &Path) -> Result<bool, Error> {
    Ok(false)
}

/// A lock on a file beside the database. SQLite's own locks serialise writes; this one says that a process has the namespace
/// open at all, so that nobody renames or removes it underneath.
#[derive(Debug)]
pub(super) struct PresenceLock {
    _file: File,
}

impl PresenceLock {
    /// Waits until nobody renames or removes the namespace, then marks it as open.
    pub(super) fn shared(path: &Path) -> Result<Self, Error> {
        loop {
            let file = open_or_create(path)?;
            unsupported_is_fine(file.lock_shared()).map_err(|e| Error::io(path, e))?;
            // While we waited, the one before may have removed the namespace with its lock: then this is a lock on nothing.
            if is_at(&file, path) {
                return Ok(Self { _file: file });
            }
        }
    }

    /// The lock alone, or `None` if any process has the namespace open.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>, Error> {
        loop {
            let file = open_or_create(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(e)) => unsupported_is_fine(Err(e)).map_err(|e| Error::io(path, e))?,
            }
            if is_at(&file, path) {
                return Ok(Some(Self { _file: file }));
            }
        }
    }
}

/// Some network file systems have no locks. SQLite will say so itself where it matters; presence is a courtesy.
fn unsupported_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.ino() == named.ino() && held.dev() == named.dev(),
        _ => false,
    }
}

/// Elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}
