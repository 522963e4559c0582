//! Sessions of Pyrogram, and of what was made of it (kurigram, Pyrofork and others).
//!
//! The string is base64 without padding; it is told by its length which of three layouts it has:
//!
//! | characters | content |
//! |---|---|
//! | 351 | DC (1), test (1), key (256), user id (4), bot (1) |
//! | 356 | DC (1), test (1), key (256), user id (8), bot (1) |
//! | 362 | DC (1), application id (4), test (1), key (256), user id (8), bot (1) |
//!
//! The file is an SQLite database with the same values in a table `sessions`; newer versions add the server's address.

use std::{net::SocketAddr, path::Path};

use zeroize::Zeroizing;

use crate::crypto::AuthKey;

use super::bytes::{self, Cursor};
use super::database::{self, Database};
use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, session};

/// Lengths of a string's bytes, in the order of the table.
const LEN_NARROW: usize = 1 + 1 + AuthKey::LEN + 4 + 1;
const LEN_WIDE: usize = 1 + 1 + AuthKey::LEN + 8 + 1;
const LEN_CURRENT: usize = 1 + 4 + 1 + AuthKey::LEN + 8 + 1;

/// The newest version of the file that is read: kurigram's.
const NEWEST: i64 = 7;
/// The version that is written: that of Pyrogram 2. What was made of it brings it up to date when it opens it, as its own.
const WRITTEN: i64 = 3;

/// Reads a session string.
///
/// # Errors
///
/// [`Error::NotBase64`], [`Error::WrongLength`], [`Error::BadDc`], [`Error::BadUserId`], [`Error::BadValue`] for an application's id that is
/// negative, [`Error::NotLoggedIn`].
pub fn from_string(text: &str) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::PyrogramString;
    const WHAT: &str = "the string";
    let content = text::decode(FORMAT, text, Alphabet::UrlSafe)?;
    let mut cursor = Cursor::new(&content);
    let dc = match content.len() {
        LEN_NARROW | LEN_WIDE | LEN_CURRENT => cursor.u8(WHAT)?,
        found => return Err(Error::WrongLength { format: FORMAT, found }),
    };
    let api_id = if content.len() == LEN_CURRENT { cursor.i32(WHAT)? } else { 0 };
    let test = cursor.flag(WHAT)?;
    let key = session::key(cursor.take(AuthKey::LEN, WHAT)?)?;
    let user_id = if content.len() == LEN_NARROW { cursor.u32(WHAT)?.into() } else { cursor.u64(WHAT)?.cast_signed() };
    let is_bot = cursor.flag(WHAT)?;
    let mut read = ForeignSession::new(FORMAT, dc.into(), &key)?;
    read.set_user_id(user_id)?;
    read.is_bot = Some(is_bot);
    read.test = Some(test);
    read.api_id = application(api_id.into())?;
    Ok(read)
}

/// 0 stands for "not known".
fn application(id: i64) -> Result<Option<i32>, Error> {
    match i32::try_from(id) {
        Ok(0) => Ok(None),
        Ok(id) if id > 0 => Ok(Some(id)),
        _ => Err(Error::BadValue { what: "the application's id", found: id }),
    }
}

/// The session string, in the newest layout where the application's id is known, otherwise in the one before.
///
/// # Errors
///
/// [`Error::Missing`] without the account's id; [`Error::CannotHold`] for a DC above 255.
pub fn to_string(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    const FORMAT: Format = Format::PyrogramString;
    let user_id = session.user_id.ok_or(Error::Missing { format: FORMAT, what: "the account's id" })?;
    let dc = u8::try_from(session.home_dc.0).map_err(|_| Error::CannotHold { format: FORMAT, what: "the DC's number" })?;
    let mut content = Zeroizing::new(Vec::with_capacity(LEN_CURRENT));
    content.push(dc);
    if let Some(api_id) = session.api_id {
        content.extend_from_slice(&api_id.to_be_bytes());
    }
    content.push(session.test.unwrap_or(false).into());
    content.extend_from_slice(session.home_key()?.as_bytes());
    content.extend_from_slice(&user_id.to_be_bytes());
    content.push(session.is_bot.unwrap_or(false).into());
    Ok(text::encode("", &content, &text::URL_SAFE_BARE))
}

/// Whether the tables are those of Pyrogram: Telethon's `version` has another column.
pub(super) fn is_pyrogram(database: &Database<'_>) -> Result<bool, Error> {
    Ok(database.has("version", "number")? && database.has("sessions", "auth_key")?)
}

/// Reads a `.session` file.
///
/// # Errors
///
/// [`Error::Unrecognised`] for a database of another program; [`Error::UnknownVersion`]; [`Error::NotLoggedIn`]; [`Error::BadColumn`] and others
/// for values that cannot be; what [`Error::Database`] and its neighbours say.
pub fn from_file(path: &Path) -> Result<ForeignSession, Error> {
    const FORMAT: Format = Format::PyrogramFile;
    const COLUMNS: [&str; 8] = ["dc_id", "api_id", "test_mode", "auth_key", "user_id", "is_bot", "server_address", "port"];
    let database = Database::open(path)?;
    if !is_pyrogram(&database)? {
        return Err(Error::Unrecognised { what: path.display().to_string() });
    }
    let version = database.rows("version", &["number"], "", 1)?;
    match version.first().map(|row| row[0].integer("number")).transpose()?.flatten() {
        Some(1..=NEWEST) => {}
        other => return Err(Error::UnknownVersion { format: FORMAT, found: other.unwrap_or(-1) }),
    }
    let rows = database.rows("sessions", &COLUMNS, "", 1)?;
    let Some([dc, api_id, test, key, user_id, is_bot, address, port]) = rows.first().map(Vec::as_slice) else {
        return Err(Error::NotLoggedIn);
    };
    let key = key.bytes("auth_key")?;
    if key.is_empty() {
        return Err(Error::NotLoggedIn);
    }
    let mut read = ForeignSession::new(FORMAT, dc.integer("dc_id")?.unwrap_or(0), &session::key(key)?)?;
    read.set_user_id(user_id.integer("user_id")?.unwrap_or(0))?;
    if read.user_id.is_none() {
        // The key is made before the login, and so is the row.
        return Err(Error::NotLoggedIn);
    }
    read.is_bot = is_bot.integer("is_bot")?.map(|flag| flag != 0);
    read.test = test.integer("test_mode")?.map(|flag| flag != 0);
    read.api_id = application(api_id.integer("api_id")?.unwrap_or(0))?;
    if let (Some(ip), Some(port)) = (address.text("server_address")?, port.integer("port")?) {
        read.address = Some(SocketAddr::new(bytes::address(ip)?, bytes::port(port)?));
    }
    read.path = Some(path.to_path_buf());
    Ok(read)
}

/// Writes a `.session` file, which must not be there yet.
///
/// # Errors
///
/// [`Error::Missing`] without the account's id or the application's; [`Error::Exists`], [`Error::Io`], [`Error::Database`].
pub fn write_file(session: &ForeignSession, path: &Path) -> Result<(), Error> {
    let missing = |what| Error::Missing { format: Format::PyrogramFile, what };
    let user_id = session.user_id.ok_or_else(|| missing("the account's id"))?;
    let api_id = session.api_id.ok_or_else(|| missing("the application's id"))?;
    let key = session.home_key()?;
    database::create(path, |c| {
        c.execute_batch(
            "CREATE TABLE sessions (dc_id INTEGER PRIMARY KEY, api_id INTEGER, test_mode INTEGER, auth_key BLOB,
                 date INTEGER NOT NULL, user_id INTEGER, is_bot INTEGER);
             CREATE TABLE peers (id INTEGER PRIMARY KEY, access_hash INTEGER, type INTEGER NOT NULL, username TEXT, phone_number TEXT,
                 last_update_on INTEGER NOT NULL DEFAULT (CAST(STRFTIME('%s', 'now') AS INTEGER)));
             CREATE TABLE version (number INTEGER PRIMARY KEY);
             CREATE INDEX idx_peers_id ON peers (id);
             CREATE INDEX idx_peers_username ON peers (username);
             CREATE INDEX idx_peers_phone_number ON peers (phone_number);
             CREATE TRIGGER trg_peers_last_update_on AFTER UPDATE ON peers BEGIN
                 UPDATE peers SET last_update_on = CAST(STRFTIME('%s', 'now') AS INTEGER) WHERE id = NEW.id;
             END;",
        )?;
        c.execute("INSERT INTO version VALUES (?1)", [WRITTEN])?;
        c.execute(
            "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
            (
                session.home_dc.0,
                api_id,
                session.test.unwrap_or(false),
                key.as_bytes().as_slice(),
                user_id,
                session.is_bot.unwrap_or(false),
            ),
        )?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn example() -> ForeignSession {
        let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
        session.set_user_id(7_000_000_001).unwrap();
        session.is_bot = Some(true);
        session.test = Some(true);
        session.api_id = Some(17);
        session
    }

    fn string(content: &[u8]) -> Zeroizing<String> {
        text::encode("", content, &text::URL_SAFE_BARE)
    }

    #[test]
    fn strings_of_all_layouts_are_read() {
        let current = to_string(&example()).unwrap();
        let mut without = example();
        without.api_id = None;
        let wide = to_string(&without).unwrap();
        let narrow = string(&[[4, 1].as_slice(), &[0xfb; 256], &[0xff, 0xff, 0xff, 0xfe, 0]].concat());
        assert_eq!((current.len(), wide.len(), narrow.len()), (362, 356, 351));
        for (text, api_id, user_id, is_bot) in [
            (&current, Some(17), 7_000_000_001, true),
            (&wide, None, 7_000_000_001, true),
            // An id of 32 bits has no sign.
            (&narrow, None, 0xffff_fffe, false),
        ] {
            let read = from_string(text).unwrap();
            assert_eq!((read.home_dc.0, read.api_id, read.user_id), (4, api_id, Some(user_id)));
            assert_eq!((read.is_bot, read.test, read.address), (Some(is_bot), Some(true), None));
            assert_eq!(read.home_key().unwrap(), example().home_key().unwrap());
        }
        for end in 0..current.len() {
            let error = match from_string(&current[..end]) {
                Err(error) => error,
                // A beginning of a string may have the length of an older layout. What it says then is nonsense, but not to be told.
                Ok(_) => continue,
            };
            let seen = matches!(
                error,
                Error::WrongLength { .. } | Error::NotBase64(_) | Error::BadUserId { .. } | Error::BadDc { .. }
            );
            assert!(seen, "{error} at {end}");
        }
    }

    #[test]
    fn each_rule_of_a_string() {
        assert!(matches!(from_string("*"), Err(Error::NotBase64(Format::PyrogramString))));
        assert!(matches!(from_string(&string(&[1; 264])), Err(Error::WrongLength { found: 264, .. })));
        let mut content = [[2].as_slice(), &[0, 0, 0, 17, 0], &[1; 256], &[0; 7], &[9, 0]].concat();
        assert!(from_string(&string(&content)).is_ok());
        content[0] = 0;
        assert!(matches!(from_string(&string(&content)), Err(Error::BadDc { found: 0 })));
        content[0] = 2;
        content[1] = 0x80;
        assert!(matches!(from_string(&string(&content)), Err(Error::BadValue { what: "the application's id", .. })));
        content[1] = 0;
        content[262] = 0xff;
        assert!(matches!(from_string(&string(&content)), Err(Error::BadUserId { .. })));
        content[262] = 0;
        content[6..262].fill(0);
        assert!(matches!(from_string(&string(&content)), Err(Error::NotLoggedIn)));
    }

    #[test]
    fn what_cannot_be_said() {
        let mut stranger = example();
        stranger.user_id = None;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.session");
        assert!(matches!(to_string(&stranger), Err(Error::Missing { what: "the account's id", .. })));
        assert!(matches!(write_file(&stranger, &path), Err(Error::Missing { what: "the account's id", .. })));
        let mut without = example();
        without.api_id = None;
        assert!(matches!(write_file(&without, &path), Err(Error::Missing { what: "the application's id", .. })));
        let mut far = ForeignSession::new(Format::Tdl, 300, &AuthKey::from_bytes(&[1; 256])).unwrap();
        far.user_id = Some(1);
        assert!(matches!(to_string(&far), Err(Error::CannotHold { what: "the DC's number", .. })));
        assert!(!path.exists());
    }

    fn changed(sql: &str) -> Result<ForeignSession, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.session");
        write_file(&example(), &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        from_file(&path)
    }

    #[test]
    fn files_go_both_ways_and_newer_versions_are_read() {
        let read = changed("").unwrap();
        assert_eq!((read.home_dc.0, read.api_id, read.user_id), (4, Some(17), Some(7_000_000_001)));
        assert_eq!((read.is_bot, read.test, read.address), (Some(true), Some(true), None));
        assert_eq!(read.home_key().unwrap(), example().home_key().unwrap());
        let newest = "UPDATE version SET number = 7; ALTER TABLE sessions ADD server_address TEXT; ALTER TABLE sessions ADD port INTEGER; \
                      UPDATE sessions SET server_address = '149.154.167.91', port = 443";
        assert_eq!(changed(newest).unwrap().address, Some("149.154.167.91:443".parse().unwrap()));
        let first = changed("UPDATE version SET number = 1; ALTER TABLE sessions DROP api_id").unwrap();
        assert_eq!(first.api_id, None);
    }

    #[test]
    fn each_rule_of_a_file() {
        assert!(matches!(changed("UPDATE version SET number = 8"), Err(Error::UnknownVersion { found: 8, .. })));
        assert!(matches!(changed("DELETE FROM version"), Err(Error::UnknownVersion { found: -1, .. })));
        assert!(matches!(changed("DROP TABLE version"), Err(Error::Unrecognised { .. })));
        assert!(matches!(changed("DELETE FROM sessions"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET auth_key = NULL"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET user_id = NULL"), Err(Error::NotLoggedIn)));
        assert!(matches!(changed("UPDATE sessions SET user_id = -1"), Err(Error::BadUserId { found: -1 })));
        assert!(matches!(changed("UPDATE sessions SET auth_key = x'01'"), Err(Error::BadKeyLength { found: 1 })));
        assert!(matches!(changed("UPDATE sessions SET is_bot = 'x'"), Err(Error::BadColumn { column: "is_bot", .. })));
        assert!(matches!(changed("UPDATE sessions SET dc_id = 5000"), Err(Error::BadDc { found: 5000 })));
        assert!(matches!(changed("UPDATE sessions SET api_id = -2"), Err(Error::BadValue { found: -2, .. })));
    }
}
