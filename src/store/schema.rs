//! The tables, and the steps from each version of them to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::Error;

/// Marks the file as ours: "tdlN" in ASCII. `file(1)` and we ourselves tell it from other programs' databases by it.
pub(super) const APPLICATION_ID: i64 = 0x7464_6c4e;

/// One step for each version: step 0 makes version 1 out of an empty file. Steps are only ever added.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (
        key     TEXT PRIMARY KEY NOT NULL,
        value   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What is one value for the whole namespace (home DC, identity, account) is in meta, the structured ones as JSON.

    CREATE TABLE dc_auth (
        dc          INTEGER PRIMARY KEY,
        auth_key    BLOB NOT NULL,
        key_id      INTEGER NOT NULL,
        salts       BLOB NOT NULL,      -- 24 bytes each, little endian: salt, since, until
        time_offset INTEGER NOT NULL,   -- seconds, server minus local
        authorized  INTEGER NOT NULL,   -- whether the account is signed in with this key
        created_at  INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE peer (
        kind        INTEGER NOT NULL,   -- 0 user, 1 basic group, 2 channel
        id          INTEGER NOT NULL,
        access_hash INTEGER NOT NULL,
        username    TEXT,
        title       TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX peer_by_username ON peer (username COLLATE NOCASE) WHERE username IS NOT NULL;

    CREATE TABLE job (
        id          INTEGER PRIMARY KEY,
        kind        TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        state       TEXT NOT NULL,      -- JSON
        parts       BLOB NOT NULL,
        created_at  INTEGER NOT NULL,
        updated_at  INTEGER NOT NULL,
        UNIQUE (kind, fingerprint)
    ) STRICT;
",
    "
    CREATE TABLE temp_auth (
        dc          INTEGER NOT NULL,
        key_use     INTEGER NOT NULL,   -- 0 main, 1 media
        perm_key_id INTEGER NOT NULL,   -- the key in dc_auth that it is bound to
        auth_key    BLOB NOT NULL,
        key_id      INTEGER NOT NULL,
        salts       BLOB NOT NULL,      -- as in dc_auth
        time_offset INTEGER NOT NULL,
        created_at  INTEGER NOT NULL,   -- both by the server's clock
        expires_at  INTEGER NOT NULL,
        PRIMARY KEY (dc, key_use)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Where it has its row, auth_key and salts of both tables above are sealed values.
    CREATE TABLE seal (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        record      BLOB NOT NULL,      -- the wrapped data key
        scrub       INTEGER NOT NULL    -- 1: what was there in the clear may still be in the log or in free pages
    ) STRICT;
",
    "
    -- Names that downloads have given: a name belongs to one file of one message.
    CREATE TABLE saved_file (
        key         TEXT PRIMARY KEY NOT NULL,  -- the path as a file system sees it to which case and composition make no difference
        path        TEXT NOT NULL,
        chat        INTEGER NOT NULL,
        message     INTEGER NOT NULL,
        media       INTEGER NOT NULL,   -- identifier of the document or photo
        size        INTEGER NOT NULL,
        saved_at    INTEGER             -- null while the file is not whole
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX saved_file_by_message ON saved_file (chat, message);
    CREATE INDEX saved_file_by_media ON saved_file (media, size) WHERE saved_at IS NOT NULL;
",
];

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the database to [`VERSION`], from nothing or from an older version, in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let sqlite = |e| Error::sqlite(path, e);
    if check(connection, path)? == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    // Another process may have done it while this one waited for the lock.
    let from = check(&transaction, path)?;
    let done = usize::try_from(from).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step).map_err(sqlite)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// The version found, between 0 (empty) and [`VERSION`]; an error if the file is not ours to read.
fn check(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let pragma =
        |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|e| Error::sqlite(path, e));
    let application = pragma("application_id")?;
    let version = pragma("user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(|e| Error::sqlite(path, e))?;
    let empty = application == 0 && version == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(Error::NotANamespace { path: path.to_path_buf(), found: application });
    }
    if !(0..=VERSION).contains(&version) {
        return Err(Error::NewerSchema { path: path.to_path_buf(), found: version, supported: VERSION });
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory")
    }

    #[test]
    fn an_empty_file_becomes_the_current_version_and_stays_so() {
        let mut connection = memory();
        migrate(&mut connection, Path::new("x")).expect("first");
        migrate(&mut connection, Path::new("x")).expect("again");
        assert_eq!(check(&connection, Path::new("x")).expect("ours"), VERSION);
    }

    #[test]
    fn a_namespace_of_the_first_version_keeps_what_it_holds() {
        let mut connection = memory();
        connection.execute_batch(MIGRATIONS[0]).expect("version 1");
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("pragma");
        connection.pragma_update(None, "user_version", 1).expect("pragma");
        connection.execute("INSERT INTO dc_auth VALUES (2, x'00', 7, x'', 0, 1, 5)", []).expect("a key of that time");
        migrate(&mut connection, Path::new("x")).expect("brought up to date");
        assert_eq!(check(&connection, Path::new("x")).expect("ours"), VERSION);
        let kept: (i64, bool) = connection
            .query_row("SELECT key_id, authorized FROM dc_auth", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("still there");
        assert_eq!(kept, (7, true));
        let temporary: i64 = connection.query_row("SELECT count(*) FROM temp_auth", [], |row| row.get(0)).expect("a table");
        assert_eq!(temporary, 0);
    }

    #[test]
    fn a_newer_version_is_refused_and_left_alone() {
        let mut connection = memory();
        migrate(&mut connection, Path::new("x")).expect("made");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("pragma");
        assert!(
            matches!(migrate(&mut connection, Path::new("x")), Err(Error::NewerSchema { found, supported, .. }) if found == VERSION + 1 && supported == VERSION)
        );
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut connection = memory();
        connection.execute_batch("CREATE TABLE cookies (x)").expect("table");
        assert!(matches!(migrate(&mut connection, Path::new("x")), Err(Error::NotANamespace { found: 0, .. })));
    }
}
