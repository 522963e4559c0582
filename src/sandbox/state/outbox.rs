//! What an operator in another process has done and a running cluster has yet to tell its sessions.

use rusqlite::{Connection, params};

use super::{Error, State};

/// From version 2 on.
pub(super) const TABLES: &str = "
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER NOT NULL, updates BLOB NOT NULL);
";

/// Leaves an update (a serialized `Updates`) for an account's sessions.
pub(crate) fn put(db: &Connection, user: i64, updates: &[u8]) -> rusqlite::Result<()> {
    db.execute("INSERT INTO outbox (user, updates) VALUES (?1, ?2)", params![user, updates])?;
    Ok(())
}

impl State {
    /// A number that changes whenever another process has changed the state.
    pub(crate) fn foreign_changes(&self) -> Result<i64, Error> {
        self.read(|db| Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?))
    }

    /// Takes out what was left, the oldest first: accounts and updates.
    pub(crate) fn take_outbox(&self) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        self.write(|tx| {
            let left = tx
                .prepare_cached("SELECT user, updates FROM outbox ORDER BY id")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            tx.execute("DELETE FROM outbox", [])?;
            Ok(left)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::open;
    use super::*;

    #[test]
    fn what_another_process_leaves_is_noticed_and_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let before = state.foreign_changes().unwrap();
        assert_eq!(state.foreign_changes().unwrap(), before);
        let beside = State::beside(dir.path()).unwrap();
        beside.write(|tx| put(tx, 5, b"one").and_then(|()| put(tx, 6, b"two"))).unwrap();
        assert_ne!(state.foreign_changes().unwrap(), before);
        assert_eq!(state.take_outbox().unwrap(), [(5, b"one".to_vec()), (6, b"two".to_vec())]);
        assert!(state.take_outbox().unwrap().is_empty());
    }
}
