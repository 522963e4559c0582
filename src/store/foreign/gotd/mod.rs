//! The Go tool's storage.
//!
//! A namespace is a set of values by key; `session` is a JSON document of its MTProto library with the home DC, its address and the key, `app`
//! says which of two applications it used. Namespaces are kept in one file of bbolt each (`data/NAME` below the tool's directory), in one file
//! of bbolt for all (older versions), or in one JSON file for all.

mod bolt;

use std::{borrow::Cow, collections::BTreeMap, net::SocketAddr, path::Path};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::bytes::{port, read_file};
use super::detect::Sessions;
use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, json_reason, private_files, session, tdata};

const FORMAT: Format = Format::Gotd;

/// The largest file. It grows with the peers that were seen.
const MAX_FILE: u64 = 256 << 20;
/// The most files that are looked at in a directory.
const MAX_FILES: usize = 1000;
/// The largest document in JSON. Its list of DCs has some kilobytes.
const MAX_DOCUMENT: usize = 1 << 20;

/// The version of the document.
const VERSION: i64 = 1;
/// The applications, by what `app` says.
const DESKTOP: &str = "desktop";
const BUILT_IN: (&str, i32) = ("builtin", 15_055_931);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: i64,
    #[serde(borrow)]
    data: Data<'a>,
}

// The key is borrowed, so that no copy of it stays behind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data<'a> {
    #[serde(default)]
    config: Config,
    #[serde(rename = "DC")]
    dc: i64,
    #[serde(borrow, default)]
    addr: Cow<'a, str>,
    #[serde(borrow, default)]
    auth_key: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "AuthKeyID")]
    auth_key_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    test_mode: bool,
}

/// Reads the document that a namespace has under `session`.
///
/// # Errors
///
/// [`Error::TooLarge`], [`Error::BadJson`], [`Error::UnknownVersion`], [`Error::NotBase64`], [`Error::BadKeyLength`], [`Error::BadKeyId`],
/// [`Error::BadDc`], [`Error::BadAddress`], [`Error::BadPort`], [`Error::NotLoggedIn`].
pub fn from_document(document: &[u8]) -> Result<ForeignSession, Error> {
    if document.len() > MAX_DOCUMENT {
        let found = document.len() as u64;
        return Err(Error::TooLarge { what: "the session document".into(), limit: MAX_DOCUMENT as u64, found });
    }
    let Document { version, data } = serde_json::from_slice(document)
        .map_err(|e| Error::BadJson { what: "a session document of the Go tool", reason: json_reason(&e) })?;
    if version != VERSION {
        return Err(Error::UnknownVersion { format: FORMAT, found: version });
    }
    let key = text::decode(FORMAT, &data.auth_key.unwrap_or_default(), Alphabet::Standard)?;
    if key.is_empty() {
        return Err(Error::NotLoggedIn);
    }
    let mut read = ForeignSession::new(FORMAT, data.dc, &session::key(&key)?)?;
    let id = text::decode(FORMAT, &data.auth_key_id.unwrap_or_default(), Alphabet::Standard)?;
    if !id.is_empty() && *id != read.home_key()?.id().to_le_bytes() {
        return Err(Error::BadKeyId);
    }
    if !data.addr.is_empty() {
        let address: SocketAddr = data.addr.parse().map_err(|_| Error::BadAddress)?;
        port(address.port().into())?;
        read.address = Some(address);
    }
    read.test = Some(data.config.test_mode);
    Ok(read)
}

/// The document that belongs under `session`.
///
/// # Errors
///
/// [`Error::NoHomeKey`].
pub fn to_document(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    let key = session.home_key()?;
    let id = text::encode("", &key.id().to_le_bytes(), &text::PADDED);
    let key = text::encode("", key.as_bytes(), &text::PADDED);
    let address = session.address.map(|address| address.to_string()).unwrap_or_default();
    let (test, dc) = (session.test.unwrap_or(false), session.home_dc.0);
    let document = format!(
        r#"{{"Version":1,"Data":{{"Config":{{"TestMode":{test},"ThisDC":{dc}}},"DC":{dc},"Addr":"{address}","AuthKey":"{}","AuthKeyID":"{}","Salt":0}}}}"#,
        key.as_str(),
        id.as_str(),
    );
    Ok(Zeroizing::new(document))
}

/// Whether a file is one of bbolt.
pub(super) fn is_bolt(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(bolt::HEAD_OF_FILE).read_to_end(&mut head));
    read.is_ok() && bolt::is_bolt(&head)
}

/// The directory with a file for each namespace, given it or the tool's own directory. It is one if at least one file in it is one of bbolt.
pub(super) fn directory(path: &Path) -> Option<std::path::PathBuf> {
    let holds_storage = |directory: &std::path::PathBuf| {
        let Ok(entries) = std::fs::read_dir(directory) else { return false };
        entries.flatten().take(MAX_FILES).any(|entry| entry.path().is_file() && is_bolt(&entry.path()))
    };
    [path.to_path_buf(), path.join("data")].into_iter().find(holds_storage)
}

/// Whether a text is a JSON file for all namespaces, or the document of one.
pub(super) fn is_json(text: &str) -> bool {
    text.len() as u64 <= MAX_FILE
        && (serde_json::from_str::<Document<'_>>(text).is_ok()
            || serde_json::from_str::<Namespaces<'_>>(text).is_ok_and(|n| !n.is_empty()))
}

/// Values in base64, by key, by namespace.
type Namespaces<'a> = BTreeMap<String, BTreeMap<String, Cow<'a, str>>>;

/// Reads a storage: the tool's directory, or a file of one of its kinds.
///
/// # Errors
///
/// [`Error::Unrecognised`], [`Error::BoltFacts`], [`Error::BoltPage`], [`Error::BoltLoop`], [`Error::BadJson`]; as [`from_document`] where no
/// namespace can be read.
pub fn read(path: &Path) -> Result<Sessions, Error> {
    let mut out = Sessions { sessions: Vec::new(), unreadable: Vec::new() };
    if path.is_dir() {
        let directory = directory(path).ok_or_else(|| Error::Unrecognised { what: path.display().to_string() })?;
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .map_err(|e| Error::io(&directory, e))?
            .flatten()
            .take(MAX_FILES)
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        for file in files {
            if let Err(error) = read_file_of_namespaces(&file, &mut out) {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                out.unreadable.push((name, error));
            }
        }
    } else {
        read_file_of_namespaces(path, &mut out)?;
    }
    // Where nothing can be read, damage says more than a namespace that nobody is logged in to.
    if out.sessions.is_empty() {
        let damaged = out.unreadable.iter().position(|(_, error)| !matches!(error, Error::NotLoggedIn)).unwrap_or(0);
        return match out.unreadable.len() {
            0 => Err(Error::NotLoggedIn),
            _ => Err(out.unreadable.swap_remove(damaged).1),
        };
    }
    Ok(out)
}

fn read_file_of_namespaces(path: &Path, out: &mut Sessions) -> Result<(), Error> {
    let bytes = read_file(path, MAX_FILE)?;
    let before = out.sessions.len();
    read_bytes(&bytes, out)?;
    for session in &mut out.sessions[before..] {
        session.path = Some(path.to_path_buf());
    }
    Ok(())
}

/// Reads the content of a storage's file, of any of its kinds.
///
/// # Errors
///
/// As [`read`], but what is wrong with a namespace is among what is unreadable.
pub fn read_storage(bytes: &[u8]) -> Result<Sessions, Error> {
    let mut out = Sessions { sessions: Vec::new(), unreadable: Vec::new() };
    read_bytes(bytes, &mut out).map(|()| out)
}

fn read_bytes(bytes: &[u8], out: &mut Sessions) -> Result<(), Error> {
    if bolt::is_bolt(bytes) {
        for (name, values) in bolt::Bolt::open(bytes)?.buckets()? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let value = |key: &str| values.get(key.as_bytes()).map(|value| value.as_slice());
            namespace(name, value("session"), value("app"), out);
        }
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotText { what: "the file" })?;
    if let Ok(Document { .. }) = serde_json::from_str(text) {
        out.sessions.push(from_document(bytes)?);
        return Ok(());
    }
    let namespaces: Namespaces<'_> =
        serde_json::from_str(text).map_err(|e| Error::BadJson { what: "a storage of the Go tool", reason: json_reason(&e) })?;
    for (name, values) in namespaces {
        let value = |key: &str| -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
            // Longer than a session string can be: it is JSON inside.
            let Some(value) = values.get(key) else { return Ok(None) };
            text::decode_long(FORMAT, value, Alphabet::Standard, 2 * MAX_DOCUMENT).map(Some)
        };
        match (value("session"), value("app")) {
            (Ok(session), Ok(app)) => {
                namespace(name, session.as_ref().map(|s| s.as_slice()), app.as_ref().map(|a| a.as_slice()), out);
            }
            (Err(error), _) | (_, Err(error)) => out.unreadable.push((name, error)),
        }
    }
    Ok(())
}

fn namespace(name: String, session: Option<&[u8]>, app: Option<&[u8]>, out: &mut Sessions) {
    match session.ok_or(Error::NotLoggedIn).and_then(from_document) {
        Ok(mut session) => {
            session.api_id = match app.map(std::str::from_utf8) {
                Some(Ok(DESKTOP)) => Some(tdata::DESKTOP_API_ID),
                // Without a word about it, the tool takes its own.
                Some(Ok(app)) if app != BUILT_IN.0 => None,
                Some(Err(_)) => None,
                _ => Some(BUILT_IN.1),
            };
            session.name = Some(name);
            out.sessions.push(session);
        }
        Err(error) => out.unreadable.push((name, error)),
    }
}

/// The file of a namespace, in bbolt.
///
/// # Errors
///
/// [`Error::NoHomeKey`]; [`Error::CannotHold`] for an application that is none of the tool's two.
pub fn namespace_file(session: &ForeignSession, name: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let app = match session.api_id {
        None | Some(tdata::DESKTOP_API_ID) => DESKTOP,
        Some(id) if id == BUILT_IN.1 => BUILT_IN.0,
        Some(_) => return Err(Error::CannotHold { format: FORMAT, what: "an application of one's own" }),
    };
    let document = to_document(session)?;
    let values = BTreeMap::from([(b"app".as_slice(), app.as_bytes()), (b"session", document.as_bytes())]);
    Ok(bolt::write(name.as_bytes(), &values))
}

/// Writes the file of a namespace, named after it, which must not be there yet.
///
/// # Errors
///
/// As [`namespace_file`]; [`Error::Exists`], [`Error::Io`].
pub fn write_file(session: &ForeignSession, path: &Path) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    private_files::create(path, &namespace_file(session, &name)?)
}

#[cfg(test)]
mod tests;
