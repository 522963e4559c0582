//! Reading other programs' SQLite files: never written to, never trusted.
//!
//! The file is opened for reading only, its schema is not believed (views and virtual tables are no tables here, and no function in it is
//! called that could do harm), and no value may be longer than [`MAX_VALUE`].

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, config::DbConfig, limits::Limit, types::ValueRef};
use zeroize::Zeroizing;

use super::Error;

/// What each SQLite file begins with.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The longest value that is read, in bytes. Keys have 256.
const MAX_VALUE: i32 = 1 << 16;

/// How long another program's lock is waited for.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// An open database of another program.
pub(super) struct Database<'a> {
    connection: Connection,
    path: &'a Path,
}

/// One value of a row, copied out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `NULL`, and a column that this version of the schema does not have.
    Absent,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Zeroizing<Vec<u8>>),
}

impl<'a> Database<'a> {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Database`], [`Error::DatabaseLocked`].
    pub(super) fn open(path: &'a Path) -> Result<Self, Error> {
        // SQLite says of a missing file only that it cannot open it.
        std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |e| failed(path, &e);
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(failed)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE).map_err(failed)?;
        Ok(Self { connection, path })
    }

    /// The columns of an ordinary table; empty where there is none of this name.
    pub(super) fn columns(&self, table: &str) -> Result<Vec<String>, Error> {
        let run = || -> rusqlite::Result<Vec<String>> {
            let kind: Option<String> = self
                .connection
                .query_row("SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?1", [table], |row| row.get(0))
                .optional()?;
            if kind.as_deref() != Some("table") {
                return Ok(Vec::new());
            }
            // Hidden columns are computed ones: no program's session has any.
            let mut statement = self.connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
            statement.query_map([table], |row| row.get(0))?.collect()
        };
        run().map_err(|e| failed(self.path, &e))
    }

    /// Whether an ordinary table has a column.
    pub(super) fn has(&self, table: &str, column: &str) -> Result<bool, Error> {
        Ok(self.columns(table)?.iter().any(|there| there == column))
    }

    /// The first rows of an ordinary table, at most `limit`, with these columns; those that it has not are absent. `rest` is SQL of ours.
    pub(super) fn rows(
        &self,
        table: &'static str,
        columns: &[&'static str],
        rest: &'static str,
        limit: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let present = self.columns(table)?;
        let selected: Vec<_> = columns
            .iter()
            .map(|column| if present.iter().any(|there| there == column) { format!("\"{column}\"") } else { "NULL".to_owned() })
            .collect();
        let sql = format!("SELECT {} FROM \"{table}\" {rest} LIMIT {limit}", selected.join(", "));
        let run = || -> rusqlite::Result<Vec<Vec<Option<Value>>>> {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                out.push((0..columns.len()).map(|at| Ok(copy(row.get_ref(at)?))).collect::<rusqlite::Result<_>>()?);
            }
            Ok(out)
        };
        let rows = run().map_err(|e| failed(self.path, &e))?;
        let checked = |row: Vec<Option<Value>>| -> Result<Vec<Value>, Error> {
            let bad = |column| Error::BadColumn { column, expected: "a number, a text or bytes" };
            columns.iter().zip(row).map(|(column, value)| value.ok_or_else(|| bad(column))).collect()
        };
        rows.into_iter().map(checked).collect()
    }
}

impl Value {
    /// A number; absent is none.
    pub(super) fn integer(&self, column: &'static str) -> Result<Option<i64>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Integer(number) => Ok(Some(*number)),
            Self::Text(_) | Self::Bytes(_) => Err(Error::BadColumn { column, expected: "a number" }),
        }
    }

    /// A text; absent is none.
    pub(super) fn text(&self, column: &'static str) -> Result<Option<&str>, Error> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Integer(_) | Self::Bytes(_) => Err(Error::BadColumn { column, expected: "a text" }),
        }
    }

    /// Bytes; absent is none at all.
    pub(super) fn bytes(&self, column: &'static str) -> Result<&[u8], Error> {
        match self {
            Self::Absent => Ok(&[]),
            Self::Bytes(bytes) => Ok(bytes),
            Self::Integer(_) | Self::Text(_) => Err(Error::BadColumn { column, expected: "bytes" }),
        }
    }
}

/// Texts that are not UTF-8 and fractions are no values here.
fn copy(value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Null => Some(Value::Absent),
        ValueRef::Integer(number) => Some(Value::Integer(number)),
        ValueRef::Text(text) => Some(Value::Text(std::str::from_utf8(text).ok()?.to_owned())),
        ValueRef::Blob(bytes) => Some(Value::Bytes(Zeroizing::new(bytes.to_vec()))),
        ValueRef::Real(_) => None,
    }
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::DatabaseLocked { path },
        _ => Error::Database { path, reason: error.to_string() },
    }
}

/// Makes a database of another program's layout, which must not be there yet, readable by its owner only.
///
/// # Errors
///
/// [`Error::Exists`]; [`Error::Io`], [`Error::Database`].
pub(super) fn create(path: &Path, fill: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), Error> {
    super::private_files::create(path, b"")?;
    let run = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        let transaction = connection.transaction()?;
        fill(&transaction)?;
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error)
    };
    run().map_err(|e: rusqlite::Error| {
        // Half a session is of no use to anybody; the first error is the one to tell.
        drop(std::fs::remove_file(path));
        failed(path, &e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.session");
        create(&path, |c| c.execute_batch(sql)).unwrap();
        (dir, path)
    }

    #[test]
    fn rows_are_read_with_the_columns_that_there_are() {
        let (_dir, path) =
            with("CREATE TABLE t (a INTEGER, b TEXT, c BLOB); INSERT INTO t VALUES (1, 'x', x'0102'), (2, NULL, NULL)");
        let database = Database::open(&path).unwrap();
        assert_eq!(database.columns("t").unwrap(), ["a", "b", "c"]);
        let rows = database.rows("t", &["c", "missing", "a"], "ORDER BY a", 9).unwrap();
        assert_eq!(rows[0], [Value::Bytes(Zeroizing::new(vec![1, 2])), Value::Absent, Value::Integer(1)]);
        assert_eq!(rows.len(), 2);
        assert_eq!(database.rows("t", &["a"], "", 1).unwrap().len(), 1);
        let value = &rows[0][2];
        assert_eq!(value.integer("a").unwrap(), Some(1));
        assert!(matches!(value.text("a"), Err(Error::BadColumn { column: "a", expected: "a text" })));
        assert!(matches!(value.bytes("a"), Err(Error::BadColumn { expected: "bytes", .. })));
        assert!(matches!(rows[0][0].integer("c"), Err(Error::BadColumn { expected: "a number", .. })));
    }

    #[test]
    fn views_and_computed_columns_are_not_believed() {
        let (_dir, path) = with(
            "CREATE VIEW v AS WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT a FROM n; \
             CREATE TABLE g (a INTEGER, b BLOB AS (zeroblob(1000000000)));",
        );
        let database = Database::open(&path).unwrap();
        assert!(database.columns("v").unwrap().is_empty());
        assert_eq!(database.columns("g").unwrap(), ["a"]);
        assert!(database.columns("none").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_value_or_too_long_is_refused() {
        let (_dir, path) = with("CREATE TABLE t (a); INSERT INTO t VALUES (1.5)");
        let database = Database::open(&path).unwrap();
        assert!(matches!(database.rows("t", &["a"], "", 1), Err(Error::BadColumn { column: "a", .. })));
        let (_dir, path) = with("CREATE TABLE t (a); INSERT INTO t VALUES (CAST(x'ff' AS TEXT))");
        let database = Database::open(&path).unwrap();
        assert!(matches!(database.rows("t", &["a"], "", 1), Err(Error::BadColumn { column: "a", .. })));
        let (_dir, path) = with("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(70000))");
        let database = Database::open(&path).unwrap();
        assert!(matches!(database.rows("t", &["a"], "", 1), Err(Error::Database { .. })));
    }

    #[test]
    fn files_that_are_not_there_not_databases_or_locked() {
        let (dir, path) = with("CREATE TABLE t (a)");
        assert!(matches!(Database::open(&dir.path().join("no")), Err(Error::NotFound { .. })));
        assert!(matches!(create(&path, |_| Ok(())), Err(Error::Exists { .. })));
        let noise = dir.path().join("noise");
        std::fs::write(&noise, [7; 4096]).unwrap();
        let read = Database::open(&noise).and_then(|database| database.columns("t"));
        assert!(matches!(read, Err(Error::Database { .. })));
        let holder = Connection::open(&path).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let database = Database::open(&path).unwrap();
        database.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        assert!(matches!(database.columns("t"), Err(Error::DatabaseLocked { .. })));
    }

    #[test]
    fn half_a_database_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(matches!(create(&path, |c| c.execute_batch("nonsense")), Err(Error::Database { .. })));
        assert!(!path.exists());
    }
}
