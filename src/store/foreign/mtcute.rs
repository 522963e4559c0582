//! mtcute's sessions.
//!
//! The string is base64 of: the version (one byte, 3), and in TL's encoding: flags (1: an account follows, 2: a test DC, as older versions said
//! it, 4: a DC for media follows), the main DC, the DC for media, the account's id and whether it is a bot, the key. A DC is a byte string of
//! its own: version, number, flags (1: IPv6, 2: media only, 4: test), address, port.
//!
//! The file is an SQLite database with keys by DC in `auth_keys`, and the main DC and the account in `key_value`.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use bytes::Bytes;
use zeroize::{Zeroize as _, Zeroizing};

use crate::tl::wire::{self, Reader};

use super::bytes::{address, port};
use super::database::{self, Database};
use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, session};

/// The version of the string.
const STRING_VERSION: u8 = 3;
/// Flags of the string.
const HAS_ACCOUNT: i32 = 1;
const TEST_OLD: i32 = 2;
const HAS_MEDIA: i32 = 4;

/// Flags of a DC.
const DC_IPV6: u8 = 1;
const DC_TEST: u8 = 4;

/// Flags of the account's record.
const ACCOUNT_BOT: i32 = 1;
const ACCOUNT_USERNAMES: i32 = 2;
/// The version of the account's record.
const ACCOUNT_VERSION: i32 = 1;

/// The newest layout of the two tables that are read.
const NEWEST: i64 = 1;

/// A DC as mtcute keeps it.
struct Dc {
    id: u8,
    test: bool,
    address: SocketAddr,
}

/// Reads a session string.
///
/// # Errors
///
/// [`Error::NotBase64`], [`Error::UnknownVersion`], [`Error::Truncated`], [`Error::Trailing`], [`Error::BadValue`] for flags that are not known,
/// [`Error::NotText`], [`Error::BadAddress`], [`Error::BadPort`], [`Error::BadDc`], [`Error::BadUserId`], [`Error::BadKeyLength`],
/// [`Error::NotLoggedIn`].
pub fn from_string(text: &str) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::MtcuteString;
    const WHAT: &str = "the string";
    let content = text::decode(FORMAT, text, Alphabet::UrlSafe)?;
    let Some((version, content)) = content.split_first() else { return Err(Error::WrongLength { format: FORMAT, found: 0 }) };
    if *version != STRING_VERSION {
        return Err(Error::UnknownVersion { format: FORMAT, found: (*version).into() });
    }
    let mut fields = Fields::new(content, WHAT);
    let flags = fields.i32()?;
    if flags & !(HAS_ACCOUNT | TEST_OLD | HAS_MEDIA) != 0 {
        return Err(Error::BadValue { what: "the flags of the string", found: flags.into() });
    }
    let main = parse_dc(&fields.bytes()?)?;
    if flags & HAS_MEDIA != 0 {
        parse_dc(&fields.bytes()?)?;
    }
    let account = match flags & HAS_ACCOUNT {
        0 => None,
        _ => Some((fields.i64()?, fields.bool()?)),
    };
    let key = fields.bytes()?;
    fields.end()?;
    let mut read = ForeignSession::new(FORMAT, main.id.into(), &session::key(&key)?)?;
    if let Some((id, is_bot)) = account {
        read.set_user_id(id)?;
        read.is_bot = Some(is_bot);
    }
    read.address = Some(main.address);
    read.test = Some(main.test || flags & TEST_OLD != 0);
    Ok(read)
}

/// The session string.
///
/// # Errors
///
/// [`Error::Missing`] without the home DC's address; [`Error::CannotHold`] for a DC above 255.
pub fn to_string(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    let dc = dc_of(session, Format::MtcuteString)?;
    let mut content = Zeroizing::new(Vec::with_capacity(512));
    content.push(STRING_VERSION);
    wire::write_i32(&mut content, if session.user_id.is_some() { HAS_ACCOUNT } else { 0 });
    wire::write_bytes(&mut content, &dc);
    if let Some(id) = session.user_id {
        wire::write_i64(&mut content, id);
        let is_bot = session.is_bot.unwrap_or(false);
        wire::write_u32(&mut content, if is_bot { wire::BOOL_TRUE_ID } else { wire::BOOL_FALSE_ID });
    }
    wire::write_bytes(&mut content, session.home_key()?.as_bytes());
    Ok(text::encode("", &content, &text::URL_SAFE_BARE))
}

fn parse_dc(content: &[u8]) -> Result<Dc, Error> {
    const WHAT: &str = "a DC";
    let Some(([version, id, flags], rest)) = content.split_first_chunk::<3>() else {
        return Err(Error::Truncated { what: WHAT, needed: 3, left: content.len() });
    };
    if !(1..=2).contains(version) {
        return Err(Error::BadValue { what: "the version of a DC", found: (*version).into() });
    }
    let mut fields = Fields::new(rest, WHAT);
    let ip = fields.bytes()?;
    let ip = address(std::str::from_utf8(&ip).map_err(|_| Error::NotText { what: "the server's address" })?)?;
    let port = port(fields.i32()?.into())?;
    fields.end()?;
    Ok(Dc { id: *id, test: *version == 2 && flags & DC_TEST != 0, address: SocketAddr::new(ip, port) })
}

fn dc_of(session: &ForeignSession, format: Format) -> Result<Vec<u8>, Error> {
    let address = session.address.ok_or(Error::Missing { format, what: "the server's address" })?;
    let id = u8::try_from(session.home_dc.0).map_err(|_| Error::CannotHold { format, what: "the DC's number" })?;
    let ipv6 = if matches!(address.ip(), IpAddr::V6(_)) { DC_IPV6 } else { 0 };
    let test = if session.test == Some(true) { DC_TEST } else { 0 };
    let mut out = vec![2, id, ipv6 | test];
    wire::write_bytes(&mut out, address.ip().to_string().as_bytes());
    wire::write_i32(&mut out, address.port().into());
    Ok(out)
}

/// Whether the tables are those of mtcute.
pub(super) fn is_mtcute(database: &Database<'_>) -> Result<bool, Error> {
    Ok(database.has("mtcute_migrations", "repo")? && database.has("auth_keys", "key")? && database.has("key_value", "value")?)
}

/// Reads a session file.
///
/// # Errors
///
/// [`Error::Unrecognised`] for a database of another program; [`Error::UnknownVersion`]; [`Error::NotLoggedIn`]; [`Error::NoHomeKey`];
/// [`Error::BadColumn`] and others for values that cannot be; what [`Error::Database`] and its neighbours say.
pub fn from_file(path: &Path) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::MtcuteFile;
    let database = Database::open(path)?;
    if !is_mtcute(&database)? {
        return Err(Error::Unrecognised { what: path.display().to_string() });
    }
    let versions = database.rows("mtcute_migrations", &["version"], "WHERE repo IN ('kv', 'auth_keys')", 2)?;
    for version in &versions {
        match version[0].integer("version")? {
            Some(1..=NEWEST) => {}
            other => return Err(Error::UnknownVersion { format: FORMAT, found: other.unwrap_or(-1) }),
        }
    }
    let value = |rest| -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let rows = database.rows("key_value", &["value"], rest, 1)?;
        rows.first().map(|row| Ok(Zeroizing::new(row[0].bytes("value")?.to_vec()))).transpose()
    };
    let main = parse_dc(&value("WHERE key = 'dc_main'")?.ok_or(Error::NotLoggedIn)?)?;
    // Without an account, the key is one that nobody has logged in with.
    let account = value("WHERE key = 'current_user'")?.filter(|record| !record.is_empty()).ok_or(Error::NotLoggedIn)?;
    let (user_id, is_bot) = parse_account(&account)?;
    let rows = database.rows("auth_keys", &["dc", "key"], "ORDER BY dc", 1000)?;
    let mut keys = Vec::new();
    for row in &rows {
        keys.push((session::dc(row[0].integer("dc")?.unwrap_or(0))?, session::key(row[1].bytes("key")?)?));
    }
    let home = keys.iter().find(|(dc, _)| dc.0 == i32::from(main.id)).ok_or(Error::NoHomeKey { dc: main.id.into() })?;
    let mut read = ForeignSession::new(FORMAT, main.id.into(), &home.1)?;
    read.keys.extend(keys);
    read.set_user_id(user_id)?;
    read.is_bot = Some(is_bot);
    read.address = Some(main.address);
    read.test = Some(main.test);
    read.path = Some(path.to_path_buf());
    Ok(read)
}

fn parse_account(record: &[u8]) -> Result<(i64, bool), Error> {
    let mut fields = Fields::new(record, "the account");
    match fields.i32()? {
        ACCOUNT_VERSION => {}
        found => return Err(Error::BadValue { what: "the version of the account", found: found.into() }),
    }
    let flags = fields.i32()?;
    // Usernames, which follow where flag 2 is set, are not needed.
    let id = fields.i64()?;
    if flags & ACCOUNT_USERNAMES == 0 {
        fields.end()?;
    }
    Ok((id, flags & ACCOUNT_BOT != 0))
}

/// Writes a session file, which must not be there yet.
///
/// # Errors
///
/// [`Error::Missing`] without the home DC's address or the account's id; [`Error::CannotHold`] for a DC above 255; [`Error::Exists`],
/// [`Error::Io`], [`Error::Database`].
pub fn write_file(session: &ForeignSession, path: &Path) -> Result<(), Error> {
    const FORMAT: Format = Format::MtcuteFile;
    let dc = dc_of(session, FORMAT)?;
    let id = session.user_id.ok_or(Error::Missing { format: FORMAT, what: "the account's id" })?;
    session.home_key()?;
    let mut account = Vec::new();
    wire::write_i32(&mut account, ACCOUNT_VERSION);
    wire::write_i32(&mut account, if session.is_bot == Some(true) { ACCOUNT_BOT } else { 0 });
    wire::write_i64(&mut account, id);
    database::create(path, |c| {
        // Tables that are not made here are made by mtcute, which notes for each group of tables how far it has come.
        c.execute_batch(
            "CREATE TABLE mtcute_migrations (repo TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
             CREATE TABLE key_value (key TEXT PRIMARY KEY, value BLOB NOT NULL);
             CREATE TABLE auth_keys (dc INTEGER PRIMARY KEY, key BLOB NOT NULL);
             CREATE TABLE temp_auth_keys (dc INTEGER NOT NULL, idx INTEGER NOT NULL, key BLOB NOT NULL, expires INTEGER NOT NULL,
                 PRIMARY KEY (dc, idx));
             INSERT INTO mtcute_migrations VALUES ('kv', 1), ('auth_keys', 1);",
        )?;
        c.execute("INSERT INTO key_value VALUES ('dc_main', ?1), ('current_user', ?2)", (&dc, &account))?;
        for (dc, key) in &session.keys {
            c.execute("INSERT INTO auth_keys VALUES (?1, ?2)", (dc.0, key.as_bytes().as_slice()))?;
        }
        Ok(())
    })
}

/// TL's encoding, read from bytes that are wiped afterwards.
struct Fields {
    reader: Reader,
    bytes: Option<Bytes>,
    what: &'static str,
}

impl Fields {
    fn new(content: &[u8], what: &'static str) -> Self {
        let bytes = Bytes::copy_from_slice(content);
        Self { reader: Reader::new(bytes.clone()), bytes: Some(bytes), what }
    }

    fn failed(&self, error: &wire::Error) -> Error {
        match error {
            wire::Error::UnexpectedEnd { needed, left } => {
                Error::Truncated { what: self.what, needed: *needed as u64, left: *left }
            }
            wire::Error::TrailingBytes { left } => Error::Trailing { what: self.what, left: *left },
            wire::Error::BadBool { id } => Error::BadValue { what: self.what, found: (*id).into() },
            // The length of a byte string in a longer form than it needs; nothing else can be wrong with what is read here.
            _ => Error::BadValue { what: self.what, found: -1 },
        }
    }

    fn i32(&mut self) -> Result<i32, Error> {
        self.reader.i32().map_err(|e| self.failed(&e))
    }

    fn i64(&mut self) -> Result<i64, Error> {
        self.reader.i64().map_err(|e| self.failed(&e))
    }

    fn bool(&mut self) -> Result<bool, Error> {
        self.reader.bool().map_err(|e| self.failed(&e))
    }

    fn bytes(&mut self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.reader.bytes().map(|bytes| Zeroizing::new(bytes.to_vec())).map_err(|e| self.failed(&e))
    }

    fn end(&self) -> Result<(), Error> {
        self.reader.finish().map_err(|e| self.failed(&e))
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.reader = Reader::new(Bytes::new());
        // Alone with the buffer now, if no field is still held as a slice of it: none is, they are copied.
        if let Some(Ok(mut buffer)) = self.bytes.take().map(Bytes::try_into_mut) {
            buffer.zeroize();
        }
    }
}

#[cfg(test)]
#[path = "mtcute_tests.rs"]
mod tests;
