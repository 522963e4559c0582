//! Key logs: the file with which a capture of encrypted traffic can be opened.
//!
//! Text, one key a line; what begins with `#`, and empty lines, are passed over:
//!
//! ```text
//! auth_key_id  auth_key    kind  dc  expires
//! 16 digits    512 digits  perm  2   -               the first two fields are enough
//! 16 digits    512 digits  temp  2   1700086400      Unix time by the server's clock
//! ```
//!
//! Digits are hexadecimal. The identifier is written as the number that traces show, and has to be the key's: a damaged line is told
//! from a good one by it. A key may stand there more than once, so runs can share a file.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use tdl_core::crypto::AuthKey;
use tdl_core::crypto::keylog::{KeyEntry, KeyLog};
use tdl_core::ids::DcId;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 1024;

/// What stands on top of a new file.
const HEADING: &str = "\
# tdl key log: auth_key_id auth_key kind dc expires
# Whoever has this file can read captures of the traffic, and can use the account. Keep it to yourself; delete it when you are done.
";

/// A key of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedKey {
    /// The key.
    pub key: AuthKey,
    /// The data centre that it is shared with, if the log says.
    pub dc: Option<DcId>,
    /// When it ends, if it is a temporary one.
    pub expires_at: Option<i64>,
}

/// Why a key log cannot be read. None of these repeats any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeylogError {
    /// It cannot be read at all.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is longer than any that holds a key.
    #[error("line {line} is longer than {MAX_LINE} bytes")]
    LineTooLong {
        /// Its number, from 1.
        line: usize,
    },
    /// A line is not ASCII text.
    #[error("line {line} is no text")]
    NotText {
        /// Its number.
        line: usize,
    },
    /// The first field is not 16 hexadecimal digits.
    #[error("line {line} does not begin with 16 hexadecimal digits, the key's identifier")]
    BadId {
        /// Its number.
        line: usize,
    },
    /// The second field is not 512 hexadecimal digits.
    #[error("line {line} has no key: 512 hexadecimal digits")]
    BadKey {
        /// Its number.
        line: usize,
    },
    /// The identifier is not that of the key.
    #[error("line {line} is damaged: its key is {found:016x}, not {expected:016x}")]
    WrongId {
        /// Its number.
        line: usize,
        /// The identifier of the key that stands there.
        found: i64,
        /// The identifier that stands there.
        expected: i64,
    },
    /// The kind is neither `perm` nor `temp`.
    #[error("line {line}: the kind of a key is perm or temp")]
    BadKind {
        /// Its number.
        line: usize,
    },
    /// The data centre is no number.
    #[error("line {line}: the data centre is no number")]
    BadDc {
        /// Its number.
        line: usize,
    },
    /// The end is neither a number nor `-`.
    #[error("line {line}: the end of a key is a Unix time, or - for none")]
    BadEnd {
        /// Its number.
        line: usize,
    },
    /// There is more on the line.
    #[error("line {line} has more than five fields")]
    TooManyFields {
        /// Its number.
        line: usize,
    },
}

/// Reads a key log.
///
/// # Errors
///
/// See [`KeylogError`].
pub fn read(mut input: impl BufRead) -> Result<Vec<LoggedKey>, KeylogError> {
    let mut keys = Vec::new();
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE + 1));
    for line in 1.. {
        bytes.clear();
        let most = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        if input.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.len() > MAX_LINE {
            return Err(KeylogError::LineTooLong { line });
        }
        let text = std::str::from_utf8(&bytes).ok().filter(|text| text.is_ascii()).ok_or(KeylogError::NotText { line })?;
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('#') {
            keys.push(parse(text, line)?);
        }
    }
    Ok(keys)
}

fn parse(text: &str, line: usize) -> Result<LoggedKey, KeylogError> {
    let mut fields = text.split_ascii_whitespace();
    let mut id = [0; 8];
    fields.next().and_then(|digits| unhex(digits, &mut id)).ok_or(KeylogError::BadId { line })?;
    let mut bytes = Zeroizing::new([0; AuthKey::LEN]);
    fields.next().and_then(|digits| unhex(digits, &mut *bytes)).ok_or(KeylogError::BadKey { line })?;
    let key = AuthKey::from_bytes(&bytes);
    let (found, expected) = (key.id(), i64::from_be_bytes(id));
    if found != expected {
        return Err(KeylogError::WrongId { line, found, expected });
    }
    if !matches!(fields.next(), None | Some("perm" | "temp")) {
        return Err(KeylogError::BadKind { line });
    }
    let dc = fields.next().map(str::parse).transpose().map_err(|_| KeylogError::BadDc { line })?.map(DcId);
    let expires_at = match fields.next() {
        None | Some("-") => None,
        Some(end) => Some(end.parse().map_err(|_| KeylogError::BadEnd { line })?),
    };
    match fields.next() {
        None => Ok(LoggedKey { key, dc, expires_at }),
        Some(_) => Err(KeylogError::TooManyFields { line }),
    }
}

/// Exactly as many hexadecimal digits as fill `out`.
fn unhex(digits: &str, out: &mut [u8]) -> Option<()> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != out.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, &[high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(())
}

/// The line of one key, with its line feed. Wiped when dropped.
fn line(entry: &KeyEntry<'_>) -> Zeroizing<String> {
    // Allocated once: what grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE));
    let _ = write!(line, "{:016x} ", entry.key.id());
    for byte in entry.key.as_bytes() {
        let _ = write!(line, "{byte:02x}");
    }
    let _ = match entry.expires_at {
        None => writeln!(line, " perm {} -", entry.dc.0),
        Some(end) => writeln!(line, " temp {} {end}", entry.dc.0),
    };
    line
}

/// A key log that is being written: appended to, readable by its owner alone, each key once.
pub struct KeylogFile {
    state: Mutex<State>,
    trouble: Box<dyn Fn(&io::Error) + Send + Sync>,
}

struct State {
    file: File,
    written: HashSet<i64>,
}

impl KeylogFile {
    /// Opens the log at `path`, and makes it if it is not there. One that others can read is made private first. What is in it stays.
    ///
    /// `trouble` hears of keys that could not be written: whoever uses them cannot help it.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or not be made private.
    pub fn open(path: &Path, trouble: impl Fn(&io::Error) + Send + Sync + 'static) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let meta = file.metadata()?;
        make_private(&file, &meta)?;
        if meta.len() == 0 {
            file.write_all(HEADING.as_bytes())?;
        }
        Ok(Self { state: Mutex::new(State { file, written: HashSet::new() }), trouble: Box::new(trouble) })
    }
}

#[cfg(unix)]
fn make_private(file: &File, meta: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // A pipe or a terminal has nothing to be made private.
    if meta.is_file() && meta.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

impl KeyLog for KeylogFile {
    fn key(&self, entry: &KeyEntry<'_>) {
        // The set and the file are each whole after any panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.written.insert(entry.key.id()) {
            return;
        }
        // One call a line, so that processes which share the file do not cut each other's lines.
        if let Err(error) = state.file.write_all(line(entry).as_bytes()) {
            (self.trouble)(&error);
        }
    }
}

impl std::fmt::Debug for KeylogFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeylogFile")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> AuthKey {
        AuthKey::from_bytes(&[byte; 256])
    }

    fn entry(key: &AuthKey, expires_at: Option<i64>) -> KeyEntry<'_> {
        KeyEntry { key, dc: DcId(2), expires_at }
    }

    fn error(text: &[u8]) -> KeylogError {
        read(text).expect_err("refused")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        for _ in 0..2 {
            let log = KeylogFile::open(&path, |error| panic!("{error}")).unwrap();
            for _ in 0..2 {
                log.key(&entry(&key(1), None));
                log.key(&entry(&key(2), Some(1_700_086_400)));
            }
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 2, "one heading\n{text}");
        let expected = [
            LoggedKey { key: key(1), dc: Some(DcId(2)), expires_at: None },
            LoggedKey { key: key(2), dc: Some(DcId(2)), expires_at: Some(1_700_086_400) },
        ];
        // Each key once a run.
        assert_eq!(read(text.as_bytes()).unwrap(), [expected.clone(), expected].concat());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone_even_if_it_was_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(KeylogFile::open(&path, |_| {}).unwrap());
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        drop(KeylogFile::open(&path, |_| {}).unwrap());
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn identifier_and_key_are_enough() {
        let full = line(&entry(&key(3), Some(5)));
        let short: Vec<&str> = full.split(' ').take(2).collect();
        let text = format!("\n# a comment\n  {}\t{}  \r\n", short[0], short[1].to_uppercase());
        assert_eq!(read(text.as_bytes()).unwrap(), [LoggedKey { key: key(3), dc: None, expires_at: None }]);
    }

    #[test]
    fn each_rule_has_its_error() {
        let good = line(&entry(&key(3), None)).trim_end().to_owned();
        let (id, rest) = good.split_at(16);
        let (digits, _) = rest.trim_start().split_at(512);
        let with = |tail: &str| error(format!("#\n{id} {digits} {tail}").as_bytes());
        assert!(matches!(error(&[b'a'; MAX_LINE + 1]), KeylogError::LineTooLong { line: 1 }));
        assert!(matches!(error(b"\xff"), KeylogError::NotText { line: 1 }));
        assert!(matches!(error("ä".as_bytes()), KeylogError::NotText { line: 1 }));
        for wrong in ["x", "0123456789abcde", "0123456789abcdefa", "0123456789abcdeg"] {
            assert!(matches!(error(wrong.as_bytes()), KeylogError::BadId { line: 1 }), "{wrong}");
        }
        for wrong in [id.to_owned(), format!("{id} {}", &digits[2..]), format!("{id} g{}", &digits[1..])] {
            assert!(matches!(error(wrong.as_bytes()), KeylogError::BadKey { line: 1 }), "{wrong}");
        }
        let other = format!("{:016x} {digits}", key(3).id() ^ 1);
        assert!(matches!(error(other.as_bytes()), KeylogError::WrongId { line: 1, found, .. } if found == key(3).id()));
        assert!(matches!(with("other"), KeylogError::BadKind { line: 2 }));
        assert!(matches!(with("perm two"), KeylogError::BadDc { line: 2 }));
        assert!(matches!(with("temp 2 never"), KeylogError::BadEnd { line: 2 }));
        assert!(matches!(with("temp 2 5 6"), KeylogError::TooManyFields { line: 2 }));
        assert!(!format!("{:?} {}", with("other"), with("other")).contains(&digits[..8]), "no error repeats a key");
    }

    #[test]
    fn no_prefix_of_a_line_is_taken_for_another_key() {
        let good = line(&entry(&key(3), Some(77)));
        let whole = good.trim_end();
        for end in 1..whole.len() {
            match read(&whole.as_bytes()[..end]) {
                Ok(keys) => assert!(keys.len() == 1 && keys[0].key == key(3), "{end}"),
                Err(_) => assert!(end != 16 + 1 + 512, "{end}"),
            }
        }
    }

    #[test]
    fn trouble_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.log");
        let told = std::sync::Arc::new(Mutex::new(0));
        let count = std::sync::Arc::clone(&told);
        let log = KeylogFile::open(&path, move |_| *count.lock().unwrap() += 1).unwrap();
        // A file that can only be read.
        log.state.lock().unwrap().file = File::open(&path).unwrap();
        log.key(&entry(&key(1), None));
        assert_eq!(*told.lock().unwrap(), 1);
    }
}
