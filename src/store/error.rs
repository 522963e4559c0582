//! What can go wrong with a namespace on disk, and what to do about it.

use std::{io, path::Path, path::PathBuf};

use rusqlite::ErrorCode;

use super::Holder;
use crate::seal::{SealError, archive::ArchiveError};

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
    /// The namespace is encrypted, and has not been unlocked.
    #[error("namespace '{name}' is encrypted, and no passphrase was given")]
    Sealed {
        /// The namespace.
        name: String,
    },
    /// The passphrase is not that of the namespace.
    #[error("that is not the passphrase of namespace '{name}'")]
    WrongPassphrase {
        /// The namespace.
        name: String,
    },
    /// What is needed to open an encrypted namespace cannot be used.
    #[error("the encryption of {} cannot be opened: {source}", .path.display())]
    BadSeal {
        /// The database.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// A sealed value was changed, or moved from another place, or is damaged.
    #[error("{} holds a value that is damaged or was put there by somebody else: {what}", .path.display())]
    NotAuthentic {
        /// The database.
        path: PathBuf,
        /// Which value.
        what: &'static str,
    },
    /// It is encrypted already.
    #[error("namespace '{name}' is encrypted already")]
    AlreadyEncrypted {
        /// The namespace.
        name: String,
    },
    /// It is not encrypted.
    #[error("namespace '{name}' is not encrypted")]
    NotEncrypted {
        /// The namespace.
        name: String,
    },
    /// Another process follows the updates of the namespace.
    #[error("{holder} follows the updates of namespace '{name}' already")]
    Watched {
        /// The namespace.
        name: String,
        /// Who.
        holder: Holder,
    },
    /// The passphrase of a backup is wrong, or missing.
    #[error("{}: {source}", .path.display())]
    BackupLocked {
        /// The backup.
        path: PathBuf,
        /// Wrong, or missing.
        source: SealError,
    },
    /// The backup is damaged, cut off, or none.
    #[error("{} cannot be recovered from: {source}", .path.display())]
    BadBackup {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// The backup is sound, and what it holds makes no namespace.
    #[error("{} holds no usable namespace '{name}': {detail}", .path.display())]
    BadContent {
        /// The backup.
        path: PathBuf,
        /// The namespace in it.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is nothing of that name in the backup.
    #[error("{} holds no namespace '{name}'", .path.display())]
    NotInBackup {
        /// The backup.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// A file of that name is there already.
    #[error("{} exists already", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// The stored device profile is unknown.
    #[error("there is no device profile '{name}' in namespace '{namespace}'")]
    NoSuchDevice {
        /// The namespace.
        namespace: String,
        /// The profile asked for.
        name: String,
    },
    /// The disk refused to read or write.
    #[error("the disk refuses to read or write {}: {detail}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
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
            Self::Sealed { .. } => {
                "type it at the prompt, or give it with --passphrase-file, --passphrase-command or TDL_PASSPHRASE".into()
            }
            Self::WrongPassphrase { .. } => "try again; nothing was changed. A lost passphrase cannot be had back: log in anew".into(),
            Self::BadSeal { path, source } => match source {
                SealError::NewerVersion { .. } => "use the newer tdl that wrote it".into(),
                SealError::OutOfMemory { .. } => "free some memory and run the command again".into(),
                _ => format!("restore {} from a backup, or move it away and log in again", path.display()),
            },
            Self::NotAuthentic { path, .. } => {
                format!("restore {} from a backup, or move it away and log in again", path.display())
            }
            Self::AlreadyEncrypted { .. } => "change its passphrase with `tdl ns passwd`".into(),
            Self::NotEncrypted { .. } => "encrypt it with `tdl ns encrypt`".into(),
            Self::Watched { .. } => {
                "only one at a time can, or each would see a part; stop the other, or watch with another namespace (-n)".into()
            }
            Self::BackupLocked { .. } => {
                "give the passphrase it was made with: at the prompt, with --passphrase-file, --passphrase-command or TDL_PASSPHRASE"
                    .into()
            }
            Self::BadBackup { source: ArchiveError::Seal(SealError::NewerVersion { .. }), .. } => {
                "use the newer tdl that made it; nothing was changed".into()
            }
            Self::BadBackup { .. } | Self::BadContent { .. } => "take another copy of the backup; nothing was changed".into(),
            Self::NotInBackup { .. } => "leave the names out to recover all that is in it".into(),
            Self::FileExists { .. } => "choose another name, or replace it with --force".into(),
            Self::NoSuchDevice { .. } => "`tdl device ls` lists the profiles there are; `tdl device set` makes one".into(),
            Self::Disk { .. } => "check the disk and the space on it, then run the command again; what was saved before is kept".into(),
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
            Some(ErrorCode::SystemIoFailure) => Self::Disk { path, detail: source.to_string() },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Self::ReadOnly { path },
            _ => Self::Sqlite { path, source },
        }
    }
}
