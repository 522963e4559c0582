//! Telethon's sessions.
//!
//! The string is `1` and the base64 of: DC (one byte), IPv4 or IPv6 address, port (two bytes), key. The file is an SQLite database; all its
//! versions have a table `sessions` with these values in columns of the same names.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use zeroize::Zeroizing;

use crate::crypto::AuthKey;

use super::bytes::{self, Cursor};
use super::database::{self, Database};
use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, session};

/// The version of the string, its first character.
const STRING_VERSION: char = '1';
/// The lengths of a string's bytes.
const LEN_V4: usize = 1 + 4 + 2 + AuthKey::LEN;
const LEN_V6: usize = 1 + 16 + 2 + AuthKey::LEN;

/// The newest version of the file that is read. Later ones may keep the key elsewhere.
const NEWEST: i64 = 8;
/// The version that is written: that of most releases of Telethon 1. Newer ones bring it up to date when they open it, as their own.
const WRITTEN: i64 = 7;

/// Reads a session string.
///
/// # Errors
///
/// [`Error::UnknownVersion`], [`Error::NotBase64`], [`Error::WrongLength`], [`Error::BadDc`], [`Error::BadPort`], [`Error::NotLoggedIn`].
pub fn from_string(text: &str) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::TelethonString;
    let mut chars = text.chars();
    match chars.next() {
        Some(STRING_VERSION) => {}
        other => return Err(Error::UnknownVersion { format: FORMAT, found: other.map_or(-1, |c| u32::from(c).into()) }),
    }
    let content = text::decode(FORMAT, chars.as_str(), Alphabet::UrlSafe)?;
    let mut cursor = Cursor::new(&content);
    let dc = cursor.u8("the string")?;
    let ip = match content.len() {
        LEN_V4 => IpAddr::from(cursor.array::<4>("the string")?),
        LEN_V6 => IpAddr::from(cursor.array::<16>("the string")?),
        found => return Err(Error::WrongLength { format: FORMAT, found }),
    };
    let port = bytes::port(cursor.u16("the string")?.into())?;
    let key = session::key(cursor.take(AuthKey::LEN, "the string")?)?;
    let mut read = ForeignSession::new(FORMAT, dc.into(), &key)?;
    read.address = Some(SocketAddr::new(ip, port));
    Ok(read)
}

/// The session string.
///
/// # Errors
///
/// [`Error::Missing`] without the home DC's address; [`Error::CannotHold`] for a DC above 255.
pub fn to_string(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    const FORMAT: Format = Format::TelethonString;
    let address = session.address.ok_or(Error::Missing { format: FORMAT, what: "the server's address" })?;
    let dc = u8::try_from(session.home_dc.0).map_err(|_| Error::CannotHold { format: FORMAT, what: "the DC's number" })?;
    let mut content = Zeroizing::new(Vec::with_capacity(LEN_V6));
    content.push(dc);
    match address.ip() {
        IpAddr::V4(ip) => content.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => content.extend_from_slice(&ip.octets()),
    }
    content.extend_from_slice(&address.port().to_be_bytes());
    content.extend_from_slice(session.home_key()?.as_bytes());
    Ok(text::encode("1", &content, &text::URL_SAFE_PADDED))
}

/// Reads a `.session` file.
///
/// # Errors
///
/// [`Error::Unrecognised`] for a database of another program; [`Error::UnknownVersion`]; [`Error::NotLoggedIn`]; [`Error::BadColumn`] and others
/// for values that cannot be; what [`Error::Database`] and its neighbours say.
pub fn from_file(path: &Path) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::TelethonFile;
    let database = Database::open(path)?;
    if !is_telethon(&database)? {
        return Err(Error::Unrecognised { what: path.display().to_string() });
    }
    let version = database.rows("version", &["version"], "", 1)?;
    match version.first().map(|row| row[0].integer("version")).transpose()?.flatten() {
        Some(1..=NEWEST) => {}
        other => return Err(Error::UnknownVersion { format: FORMAT, found: other.unwrap_or(-1) }),
    }
    // Old releases kept a row for each DC; the one with a key is the one in use.
    let rows =
        database.rows("sessions", &["dc_id", "server_address", "port", "auth_key"], "ORDER BY length(auth_key) DESC", 1)?;
    let row = rows.first().ok_or(Error::NotLoggedIn)?;
    let key = row[3].bytes("auth_key")?;
    if key.is_empty() {
        return Err(Error::NotLoggedIn);
    }
    let dc = row[0].integer("dc_id")?.unwrap_or(0);
    let mut read = ForeignSession::new(FORMAT, dc, &session::key(key)?)?;
    if let (Some(ip), Some(port)) = (row[1].text("server_address")?, row[2].integer("port")?) {
        read.address = Some(SocketAddr::new(bytes::address(ip)?, bytes::port(port)?));
    }
    // Telethon notes its own account as an entity with the id 0, whose hash is the account's id.
    if let Some(row) = database.rows("entities", &["hash"], "WHERE id = 0", 1)?.first()
        && let Some(id) = row[0].integer("hash")?
    {
        read.set_user_id(id)?;
    }
    read.path = Some(path.to_path_buf());
    Ok(read)
}

/// Whether the tables are those of Telethon: Pyrogram's `version` has another column.
pub(super) fn is_telethon(database: &Database<'_>) -> Result<bool, Error> {
    Ok(database.has("version", "version")? && database.has("sessions", "auth_key")?)
}

/// Writes a `.session` file, which must not be there yet.
///
/// # Errors
///
/// [`Error::Missing`] without the home DC's address; [`Error::Exists`], [`Error::Io`], [`Error::Database`].
pub fn write_file(session: &ForeignSession, path: &Path) -> Result<(), Error> {
    let address = session.address.ok_or(Error::Missing { format: Format::TelethonFile, what: "the server's address" })?;
    let key = session.home_key()?;
    database::create(path, |c| {
        c.execute_batch(
            "CREATE TABLE version (version INTEGER PRIMARY KEY);
             CREATE TABLE sessions (dc_id INTEGER PRIMARY KEY, server_address TEXT, port INTEGER, auth_key BLOB, takeout_id INTEGER);
             CREATE TABLE entities (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, username TEXT, phone INTEGER, name TEXT, date INTEGER);
             CREATE TABLE sent_files (md5_digest BLOB, file_size INTEGER, type INTEGER, id INTEGER, hash INTEGER,
                 PRIMARY KEY (md5_digest, file_size, type));
             CREATE TABLE update_state (id INTEGER PRIMARY KEY, pts INTEGER, qts INTEGER, date INTEGER, seq INTEGER);",
        )?;
        c.execute("INSERT INTO version VALUES (?1)", [WRITTEN])?;
        c.execute(
            "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, NULL)",
            (session.home_dc.0, address.ip().to_string(), address.port(), key.as_bytes().as_slice()),
        )?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn example(address: &str) -> ForeignSession {
        let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
        session.address = Some(address.parse().unwrap());
        session
    }

    /// A string of these bytes.
    fn string(content: &[u8]) -> Zeroizing<String> {
        text::encode("1", content, &text::URL_SAFE_PADDED)
    }

    #[test]
    fn strings_of_both_kinds_of_addresses_go_both_ways() {
        for (address, len) in [("149.154.167.91:443", 353), ("[2001:67c:4e8:f004::a]:443", 369)] {
            let written = to_string(&example(address)).unwrap();
            assert_eq!(written.len(), len);
            let read = from_string(&written).unwrap();
            assert_eq!((read.home_dc.0, read.address), (4, example(address).address));
            assert_eq!(read.home_key().unwrap(), example(address).home_key().unwrap());
            assert!(from_string(written.trim_end_matches('=')).is_ok());
            for end in 1..written.len() - 2 {
                let error = from_string(&written[..end]).unwrap_err();
                let seen = matches!(error, Error::WrongLength { .. } | Error::NotBase64(_) | Error::Truncated { .. });
                assert!(seen, "{error} at {end}");
            }
        }
    }

    #[test]
    fn each_rule_of_a_string() {
        assert!(matches!(from_string(""), Err(Error::UnknownVersion { found: -1, .. })));
        assert!(matches!(from_string("2AAA"), Err(Error::UnknownVersion { found: 50, .. })));
        assert!(matches!(from_string("1A*"), Err(Error::NotBase64(Format::TelethonString))));
        assert!(matches!(from_string("1é"), Err(Error::NotBase64(_))));
        assert!(matches!(from_string(&string(&[1; 264])), Err(Error::WrongLength { found: 264, .. })));
        let mut content = [1; LEN_V4];
        assert!(from_string(&string(&content)).is_ok());
        content[0] = 0;
        assert!(matches!(from_string(&string(&content)), Err(Error::BadDc { found: 0 })));
        content[0] = 2;
        content[5..7].copy_from_slice(&[0, 0]);
        assert!(matches!(from_string(&string(&content)), Err(Error::BadPort { found: 0 })));
        content[5] = 1;
        content[7..].fill(0);
        assert!(matches!(from_string(&string(&content)), Err(Error::NotLoggedIn)));
    }

    #[test]
    fn what_a_string_cannot_say() {
        let mut session = example("1.2.3.4:5");
        session.address = None;
        assert!(matches!(to_string(&session), Err(Error::Missing { what: "the server's address", .. })));
        let mut far = ForeignSession::new(Format::Tdl, 300, &AuthKey::from_bytes(&[1; 256])).unwrap();
        far.address = example("1.2.3.4:5").address;
        assert!(matches!(to_string(&far), Err(Error::CannotHold { what: "the DC's number", .. })));
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.session");
        write_file(&example("149.154.167.91:443"), &path).unwrap();
        (dir, path)
    }

    fn changed(sql: &str) -> Result<ForeignSession, Error> {
        let (_dir, path) = file();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        from_file(&path)
    }

    #[test]
    fn files_go_both_ways_and_all_versions_are_read() {
        let (dir, path) = file();
        let read = from_file(&path).unwrap();
        assert_eq!((read.home_dc.0, read.address, read.user_id), (4, example("149.154.167.91:443").address, None));
        assert_eq!(read.home_key().unwrap(), example("1.2.3.4:5").home_key().unwrap());
        assert_eq!(read.path.as_ref(), Some(&path));
        assert!(matches!(write_file(&example("1.2.3.4:5"), &path), Err(Error::Exists { .. })));
        assert!(matches!(from_file(&dir.path().join("y")), Err(Error::NotFound { .. })));
        let newest = "UPDATE version SET version = 8; ALTER TABLE sessions ADD COLUMN tmp_auth_key BLOB";
        assert!(changed(newest).is_ok());
        assert!(changed("UPDATE version SET version = 1; DROP TABLE update_state").is_ok());
        assert_eq!(changed("INSERT INTO entities (id, hash) VALUES (0, 77)").unwrap().user_id, Some(77));
        assert_eq!(changed("INSERT INTO sessions (dc_id, auth_key) VALUES (1, x'')").unwrap().home_dc.0, 4);
    }

    #[test]
    fn each_rule_of_a_file() {
        assert!(matches!(changed("UPDATE version SET version = 9"), Err(Error::UnknownVersion { found: 9, .. })));
        assert!(matches!(changed("DELETE FROM version"), Err(Error::UnknownVersion { found: -1, .. })));
        assert!(matches!(changed("DROP TABLE version"), Err(Error::Unrecognised { .. })));
        assert!(matches!(changed("DELETE FROM sessions"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET auth_key = x''"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET auth_key = NULL"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET auth_key = x'0102'"), Err(Error::BadKeyLength { found: 2 })));
        assert!(matches!(changed("UPDATE sessions SET auth_key = 'text'"), Err(Error::BadColumn { column: "auth_key", .. })));
        assert!(matches!(changed("UPDATE sessions SET dc_id = 0"), Err(Error::BadDc { found: 0 })));
        assert!(matches!(changed("UPDATE sessions SET port = 70000"), Err(Error::BadPort { found: 70000 })));
        assert!(matches!(changed("UPDATE sessions SET server_address = 'x'"), Err(Error::BadAddress)));
        assert!(matches!(changed("INSERT INTO entities (id, hash) VALUES (0, -5)"), Err(Error::BadUserId { found: -5 })));
        assert!(changed("UPDATE sessions SET server_address = NULL").unwrap().address.is_none());
    }
}
