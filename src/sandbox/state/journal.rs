//! What happened to an account, by pts: the source of `updates.getDifference`.
//!
//! Each event takes a stretch of the account's counter: a new message one, a deletion as many as there are messages. The journal
//! keeps references, not copies: a message that was deleted since is simply no longer among the new ones.

use rusqlite::{Connection, params};

use super::users;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A message was added.
    New {
        /// Its id.
        id: i32,
    },
    /// Messages went away.
    Deleted {
        /// Their ids.
        ids: Vec<i32>,
    },
    /// The account read what somebody wrote.
    ReadInbox {
        /// Who wrote.
        peer: i64,
        /// Up to this message.
        max_id: i32,
    },
    /// Somebody read what the account wrote.
    ReadOutbox {
        /// Who read.
        peer: i64,
        /// Up to this message.
        max_id: i32,
    },
}

/// An entry and where the counter stood after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) pts: i32,
    pub(crate) count: i32,
    pub(crate) entry: Entry,
}

impl Entry {
    fn count(&self) -> i32 {
        match self {
            Self::Deleted { ids } => i32::try_from(ids.len()).unwrap_or(i32::MAX),
            Self::New { .. } | Self::ReadInbox { .. } | Self::ReadOutbox { .. } => 1,
        }
    }
}

/// Writes down what happened and advances the counter.
pub(crate) fn record(db: &Connection, owner: i64, entry: Entry, now: i64) -> rusqlite::Result<Event> {
    let count = entry.count();
    let pts = users::advance_pts(db, owner, count)?;
    let (kind, peer, value, ids) = match &entry {
        Entry::New { id } => (0, 0, *id, None),
        Entry::Deleted { ids } => (1, 0, 0, Some(ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>())),
        Entry::ReadInbox { peer, max_id } => (2, *peer, *max_id, None),
        Entry::ReadOutbox { peer, max_id } => (3, *peer, *max_id, None),
    };
    db.prepare_cached(
        "INSERT INTO journal (owner, pts, count, date, kind, peer, value, ids) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![owner, pts, count, now, kind, peer, value, ids])?;
    Ok(Event { pts, count, entry })
}

/// What happened after `pts`, oldest first, at most `limit` events.
pub(crate) fn since(db: &Connection, owner: i64, pts: i32, limit: usize) -> rusqlite::Result<Vec<Event>> {
    db.prepare_cached(
        "SELECT pts, count, kind, peer, value, ids FROM journal WHERE owner = ?1 AND pts > ?2 ORDER BY pts LIMIT ?3",
    )?
    .query_map(params![owner, pts, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let (peer, value) = (row.get(3)?, row.get(4)?);
        let entry = match row.get::<_, i32>(2)? {
            0 => Entry::New { id: value },
            1 => {
                let ids: Vec<u8> = row.get(5)?;
                Entry::Deleted { ids: ids.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect() }
            }
            2 => Entry::ReadInbox { peer, max_id: value },
            3 => Entry::ReadOutbox { peer, max_id: value },
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(other))),
        };
        Ok(Event { pts: row.get(0)?, count: row.get(1)?, entry })
    })?
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open};
    use super::*;

    #[test]
    fn events_come_back_in_order_each_with_its_stretch_of_the_counter() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let phone = users::Phone::parse("9996611111", 3).unwrap();
        state
            .write(|tx| {
                let id = users::add(tx, &phone, "Ann", "", true, NOW)?;
                let entries = [
                    Entry::New { id: 1 },
                    Entry::Deleted { ids: vec![1, 2, 3] },
                    Entry::ReadInbox { peer: 9, max_id: 4 },
                    Entry::ReadOutbox { peer: 8, max_id: 5 },
                ];
                let events: Vec<Event> =
                    entries.into_iter().map(|e| record(tx, id, e, NOW)).collect::<rusqlite::Result<_>>()?;
                assert_eq!(events.iter().map(|e| (e.pts, e.count)).collect::<Vec<_>>(), [(2, 1), (5, 3), (6, 1), (7, 1)]);
                assert_eq!(since(tx, id, 1, 10)?, events);
                assert_eq!(since(tx, id, 2, 1)?, events[1..2]);
                assert_eq!(since(tx, id, 7, 10)?, []);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
