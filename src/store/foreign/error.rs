//! What can be wrong with a session that another program wrote, one variant for each rule.

use std::{io, path::Path, path::PathBuf};

use super::Format;

/// Why a foreign session cannot be read or written. Nothing in it is secret; [`Error::advice`] says what a person can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is nothing at this path.
    #[error("there is no {}", .path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// What was given is in no format that is known here.
    #[error("{what} is no session in a known format")]
    Unrecognised {
        /// What was looked at: a path, or "the text".
        what: String,
    },
    /// A file or a text is larger than any that the format allows.
    #[error("{what} has {found} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// What it is.
        what: String,
        /// The limit, in bytes.
        limit: u64,
        /// Its size, in bytes.
        found: u64,
    },
    /// A value ends before its bytes do.
    #[error("{what} is cut off: {needed} bytes are needed and {left} are left")]
    Truncated {
        /// Which value.
        what: &'static str,
        /// How many bytes it takes.
        needed: u64,
        /// How many there are.
        left: usize,
    },
    /// Bytes are left over after the last value.
    #[error("{what} is followed by {left} bytes that do not belong there")]
    Trailing {
        /// What should have been the end.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// A text is not UTF-8 (UTF-16 where Qt wrote it).
    #[error("{what} is no text")]
    NotText {
        /// Which value.
        what: &'static str,
    },
    /// A string session has characters that its alphabet does not.
    #[error("the {0} is not in base64")]
    NotBase64(Format),
    /// The version in front is another than those known.
    #[error("the {format} has version {found}, which is not known here")]
    UnknownVersion {
        /// The format.
        format: Format,
        /// The version found.
        found: i64,
    },
    /// A format of fixed length has another one.
    #[error("the {format} has {found} bytes, which is none of its lengths")]
    WrongLength {
        /// The format.
        format: Format,
        /// The length found, in bytes after decoding.
        found: usize,
    },
    /// A data centre's number is outside 1 to 1000.
    #[error("{found} is no number of a data centre")]
    BadDc {
        /// The number.
        found: i64,
    },
    /// A TCP port is outside 1 to 65535.
    #[error("{found} is no port")]
    BadPort {
        /// The number.
        found: i64,
    },
    /// The server's address is neither IPv4 nor IPv6.
    #[error("the server's address cannot be read")]
    BadAddress,
    /// An authorization key is not 256 bytes long.
    #[error("an authorization key has 256 bytes, not {found}")]
    BadKeyLength {
        /// The length found, in bytes.
        found: usize,
    },
    /// A user's id is negative or larger than Telegram's ids can be.
    #[error("{found} is no id of a user")]
    BadUserId {
        /// The number.
        found: i64,
    },
    /// A field has a value that it cannot have.
    #[error("{what} has a value that it cannot have: {found}")]
    BadValue {
        /// Which field.
        what: &'static str,
        /// The value.
        found: i64,
    },
    /// The session was begun, but nobody has logged in with it.
    #[error("nobody is logged in in this session")]
    NotLoggedIn,
    /// There is no key for the account's home DC.
    #[error("the session has no key for {dc}, the account's home")]
    NoHomeKey {
        /// The home DC's number.
        dc: i32,
    },
    /// A JSON document is not valid, or a field is missing or of the wrong kind.
    #[error("{what} is not valid JSON for it: {reason}")]
    BadJson {
        /// Which document.
        what: &'static str,
        /// Where and why, without its content.
        reason: String,
    },

    /// The directory holds no `tdata`.
    #[error("{} holds no tdata: there is neither key_data nor a map in it", .path.display())]
    NotTdata {
        /// The directory.
        path: PathBuf,
    },
    /// A file of `tdata` is missing.
    #[error("tdata has no file '{name}'")]
    MissingFile {
        /// Its name without the suffix.
        name: String,
    },
    /// A file of `tdata` does not begin with `TDF$`.
    #[error("'{name}' is no file of Telegram Desktop: it does not begin with TDF$")]
    BadMagic {
        /// Its name.
        name: String,
    },
    /// The MD5 at the end of a file of `tdata` is not that of what stands before it.
    #[error("'{name}' is damaged: its checksum does not match")]
    BadChecksum {
        /// Its name.
        name: String,
    },
    /// A local passcode is set, and none was given.
    #[error("Telegram Desktop is locked with a local passcode")]
    PasscodeNeeded,
    /// The local passcode is another one. The file itself is whole: its checksum was right.
    #[error("the local passcode is wrong")]
    WrongPasscode,
    /// The local passcode was set by a newer Telegram Desktop, which derives its key in a way that is not known here.
    #[error("the local passcode is kept in a way of newer versions of Telegram Desktop that is not known here")]
    NewerPasscode,
    /// The derivation of the local passcode's key asks for more memory or time than anybody should give to a file, or for memory that is not to
    /// be had.
    #[error("the local passcode cannot be tried")]
    PasscodeCost(#[source] crate::seal::SealError),
    /// The salt of the local key is not 32 bytes long.
    #[error("the salt of the local key has {found} bytes, not 32")]
    BadSaltLength {
        /// The length found.
        found: usize,
    },
    /// An encrypted block of `tdata` is empty or not a multiple of 16 bytes long.
    #[error("{what} has {found} bytes, which no encrypted block has")]
    BadEncryptedLength {
        /// Which block.
        what: &'static str,
        /// The length found.
        found: usize,
    },
    /// An encrypted block of `tdata` is not what it was when its digest was made.
    #[error("{what} is damaged: its digest does not match")]
    BadDigest {
        /// Which block.
        what: &'static str,
    },
    /// The length inside an encrypted block of `tdata` is not one that the block can have.
    #[error("{what} claims {found} bytes inside a block of {block}")]
    BadInnerLength {
        /// Which block.
        what: &'static str,
        /// The length claimed.
        found: u32,
        /// The length of the block.
        block: usize,
    },
    /// `tdata` claims to have an impossible number of accounts.
    #[error("tdata claims to have {found} accounts")]
    BadAccountCount {
        /// The number claimed.
        found: i32,
    },
    /// `tdata` has an account with an impossible number.
    #[error("tdata has an account numbered {found}")]
    BadAccountIndex {
        /// The number.
        found: i32,
    },
    /// The authorization in `tdata` claims more keys than its bytes can hold.
    #[error("the authorization claims {found} keys")]
    BadKeyCount {
        /// The number claimed.
        found: i32,
    },
    /// A block in a settings file of `tdata` has a number that is not known here, so where it ends is not known either.
    #[error("tdata has a block of kind {found:#x}, which is not known here")]
    UnknownBlock {
        /// The kind.
        found: u32,
    },

    /// SQLite cannot read the file.
    #[error("{}: {reason}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        reason: String,
    },
    /// Another process holds the database locked.
    #[error("{} is locked by the program that uses it", .path.display())]
    DatabaseLocked {
        /// The file.
        path: PathBuf,
    },
    /// A column holds a value of another kind than it must, or one that is too long.
    #[error("the column '{column}' holds something else than {expected}")]
    BadColumn {
        /// The column.
        column: &'static str,
        /// What it should hold.
        expected: &'static str,
    },

    /// Neither of the two pages of facts of a bbolt file is whole.
    #[error("the bbolt file is damaged: neither of its first two pages is whole")]
    BoltFacts,
    /// A page of a bbolt file is not there, or is not what it should be.
    #[error("the bbolt file is damaged at page {page}")]
    BoltPage {
        /// The page.
        page: u64,
    },
    /// A page of a bbolt file is reached twice.
    #[error("the bbolt file is damaged: page {page} is reached twice")]
    BoltLoop {
        /// The page.
        page: u64,
    },
    /// The identifier beside a key is that of another key.
    #[error("the authorization key is another one than its identifier says")]
    BadKeyId,

    /// The format cannot be written without a value that the session does not have.
    #[error("a {format} needs {what}, which is not known")]
    Missing {
        /// The format.
        format: Format,
        /// What is missing.
        what: &'static str,
    },
    /// The format cannot hold a value that the session has.
    #[error("a {format} cannot hold {what}")]
    CannotHold {
        /// The format.
        format: Format,
        /// What it cannot hold.
        what: &'static str,
    },
    /// Something is in the way of what is to be written.
    #[error("{} exists already", .path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The namespace's store cannot be read.
    #[error("the namespace cannot be read: {0}")]
    Store(#[from] crate::client::PersistenceError),
}

impl Error {
    /// What a person can do about it, as one sentence.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { path, .. } => format!("check that {} exists and is yours", path.display()),
            Self::NotFound { .. } => "check the path".into(),
            Self::Unrecognised { .. } => {
                "give a tdata directory, a session file or a session string; --format says which it is".into()
            }
            Self::PasscodeNeeded => "give the passcode with -p, as you would type it into Telegram Desktop".into(),
            Self::WrongPasscode => "give the passcode that you type into Telegram Desktop when it starts".into(),
            Self::NewerPasscode | Self::PasscodeCost(_) => {
                "turn the local passcode off in Telegram Desktop until you are logged in here, or log in in another way".into()
            }
            Self::NotLoggedIn => "log in with the other program first".into(),
            Self::NotTdata { .. } => "give the directory named tdata, or the one that it is in".into(),
            Self::DatabaseLocked { .. } => "stop the program that uses it, and try again".into(),
            Self::Missing { .. } | Self::CannotHold { .. } => "choose another format".into(),
            Self::Exists { .. } => "give a name that is free; nothing is written over".into(),
            Self::Store(_) => "look at the namespace with `tdl session info`".into(),
            Self::UnknownVersion { .. } | Self::UnknownBlock { .. } => {
                "the program that wrote it may be newer than this one; log in in another way".into()
            }
            Self::TooLarge { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::NotText { .. }
            | Self::NotBase64(_)
            | Self::WrongLength { .. }
            | Self::BadDc { .. }
            | Self::BadPort { .. }
            | Self::BadAddress
            | Self::BadKeyLength { .. }
            | Self::BadUserId { .. }
            | Self::BadValue { .. }
            | Self::NoHomeKey { .. }
            | Self::BadJson { .. }
            | Self::MissingFile { .. }
            | Self::BadMagic { .. }
            | Self::BadChecksum { .. }
            | Self::BadSaltLength { .. }
            | Self::BadEncryptedLength { .. }
            | Self::BadDigest { .. }
            | Self::BadInnerLength { .. }
            | Self::BadAccountCount { .. }
            | Self::BadAccountIndex { .. }
            | Self::BadKeyCount { .. }
            | Self::BadKeyId
            | Self::BoltFacts
            | Self::BoltPage { .. }
            | Self::BoltLoop { .. }
            | Self::Database { .. }
            | Self::BadColumn { .. } => "it is damaged or incomplete: take a fresh copy, or log in in another way".into(),
        }
    }

    /// Names the path in a file system error.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_path_buf() },
            io::ErrorKind::AlreadyExists => Self::Exists { path: path.to_path_buf() },
            _ => Self::Io { path: path.to_path_buf(), source },
        }
    }
}
