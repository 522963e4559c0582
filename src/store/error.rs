//! What can go wrong with a namespace on disk, and what to do about it.

use std::{io, path::Path, path::PathBuf};

use rusqlite::ErrorCode;

/// A failure of the store. Every variant names the file it is about; [`Error::advice`] says what a person can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot be a file's name on every platform, or would leave the directory.
    #[error("'{name}' cannot name a namespace: {rule}")]
    InvalidName {
        /// What was asked for.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// There is no such namespace.
    #[error("there is no namespace '{name}' in {}", .dir.display())]
    NoSuchNamespace {
        /// The name asked for.
        name: String,
        /// Where namespaces are kept.
        dir: PathBuf,
    },
    /// A namespace whose login was to be taken over has none.
    #[error("namespace '{name}' has no login to take over")]
    NothingToTake {
        /// Its name.
        name: String,
    },
    /// The new name is taken.
    #[error("a namespace '{name}' exists already")]
    NamespaceExists {
        /// The name that is taken.
        name: String,
    },
    /// Another process has the namespace open, and what was asked for needs it alone.
    #[error("namespace '{name}' is in use by another process")]
    InUse {
        /// The namespace.
        name: String,
    },
    /// Another process kept the database locked for longer than the busy timeout.
    #[error("{} is locked by another process", .path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The database is damaged.
    #[error("{} is damaged: {detail}", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// A stored value cannot be what it should be: a key of the wrong length, say.
    #[error("{} holds a bad value: {what}: expected {expected}, found {found}", .path.display())]
    BadValue {
        /// The database.
        path: PathBuf,
        /// Which value.
        what: &'static str,
        /// What it should have been.
        expected: &'static str,
        /// What it is (a length or a number, never a secret).
        found: String,
    },
    /// The file is no SQLite database.
    #[error("{} is not a database", .path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, but another program's.
    #[error("{} is a database of another program (application id {found:#010x})", .path.display())]
    NotANamespace {
        /// The file.
        path: PathBuf,
        /// The application id it carries.
        found: i64,
    },
    /// A newer version of this program wrote it.
    #[error("{} has schema version {found}; this program knows versions up to {supported}", .path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version this program knows.
        supported: i64,
    },
    /// The namespace was made for another set of data centres.
    #[error("namespace '{name}' belongs to {found}, not to {wanted}")]
    OtherCluster {
        /// The namespace.
        name: String,
        /// The cluster it belongs to.
        found: String,
        /// The cluster asked for.
        wanted: String,
    },
    /// Others can read or write the file, and that could not be changed.
    #[error("{} can be read by other users (mode {mode:04o}), and its mode could not be changed", .path.display())]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// The file or its directory cannot be written.
    #[error("{} cannot be written", .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// No space is left.
    #[error("no space is left for {}", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that the file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Anything else that SQLite refused: a bug in this program, or an unforeseen state.
    #[error("{}: {source}", .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

impl Error {
    /// What a person can do about it, as one sentence.
    pub fn advice(&self) -> String {
        match self {
            Self::InvalidName { .. } => "use letters, digits, '-', '_' and '.', at most 64 characters".into(),
            Self::NoSuchNamespace { .. } => "`tdl ns ls` lists the namespaces there are".into(),
            Self::NothingToTake { .. } => "log in there first".into(),
            Self::NamespaceExists { name } => format!("choose another name, or remove it first: `tdl ns rm {name}`"),
            Self::InUse { .. } => "wait for the other tdl to end, or stop it, and try again".into(),
            Self::Locked { .. } => "another tdl is writing there; try again when it has ended".into(),
            Self::Corrupt { path, .. } | Self::BadValue { path, .. } => {
                format!("restore {} from a backup, or move it away and log in again", path.display())
            }
            Self::NotADatabase { path } | Self::NotANamespace { path, .. } => {
                format!("move {} away, or choose another namespace with -n or another home with --home", path.display())
            }
            Self::NewerSchema { .. } => "use the newer tdl that wrote it, or another namespace (-n)".into(),
            Self::OtherCluster { .. } => {
                "choose another namespace with -n, or drop this one with `tdl logout --local-only`".into()
            }
            Self::TooOpen { path, .. } => format!("make it yours alone: chmod go-rwx '{}'", path.display()),
            Self::ReadOnly { path } => format!("check who owns {} and whether its disk is mounted read-only", path.display()),
            Self::DiskFull { .. } => "free some space and run the command again; nothing that was saved is lost".into(),
            Self::Io { path, .. } => {
                format!("check that {} exists and is yours, or choose another home with --home", path.display())
            }
            Self::Sqlite { .. } => "run the command again; if it persists, report it with the text above".into(),
        }
    }

    /// Names the path in a file system error.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }

    /// Sorts a SQLite error by what it means for the person who sees it.
    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail: source.to_string() },
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Self::ReadOnly { path },
            _ => Self::Sqlite { path, source },
        }
    }
}
