//! Media that are made of others: paid ones, previews of links, stories. Kept as the API writes them; what they hold of documents and photos is
//! looked up anew whenever they are shown.

use rusqlite::{Connection, OptionalExtension as _, params};

/// Made when the state is opened, if they are not there.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS composed (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, body BLOB NOT NULL, preview BLOB);
CREATE TABLE IF NOT EXISTS purchases (user INTEGER NOT NULL, composed INTEGER NOT NULL, PRIMARY KEY (user, composed)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stories (owner INTEGER NOT NULL, id INTEGER NOT NULL, date INTEGER NOT NULL, expires INTEGER NOT NULL,
    caption TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (owner, id)) WITHOUT ROWID;
";

/// Keeps composed media: a serialized `MessageMedia`, and what those see who have not paid for it, if it has to be paid for.
pub(crate) fn add(db: &Connection, owner: i64, body: &[u8], preview: Option<&[u8]>) -> rusqlite::Result<i64> {
    db.execute("INSERT INTO composed (owner, body, preview) VALUES (?1, ?2, ?3)", params![owner, body, preview])?;
    Ok(db.last_insert_rowid())
}

/// What somebody sees of composed media.
pub(crate) fn seen_by(db: &Connection, id: i64, viewer: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached(
        "SELECT CASE WHEN preview IS NULL OR owner = ?2 OR EXISTS (SELECT 1 FROM purchases WHERE user = ?2 AND composed = ?1) \
         THEN body ELSE preview END FROM composed WHERE id = ?1",
    )?
    .query_row([id, viewer], |row| row.get(0))
    .optional()
}

/// Somebody has paid for composed media.
pub(crate) fn buy(db: &Connection, id: i64, user: i64) -> rusqlite::Result<()> {
    db.execute("INSERT OR IGNORE INTO purchases (user, composed) VALUES (?1, ?2)", [user, id])?;
    Ok(())
}

/// A story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) owner: i64,
    /// Its number among its owner's.
    pub(crate) id: i32,
    pub(crate) date: i64,
    pub(crate) expires: i64,
    pub(crate) caption: String,
    /// A serialized `MessageMedia`.
    pub(crate) body: Vec<u8>,
}

/// Keeps a story under the next number; its own does not matter.
pub(crate) fn add_story(db: &Connection, story: &Story) -> rusqlite::Result<i32> {
    db.prepare_cached(
        "INSERT INTO stories (owner, id, date, expires, caption, body) \
         SELECT ?1, coalesce(max(id), 0) + 1, ?2, ?3, ?4, ?5 FROM stories WHERE owner = ?1 RETURNING id",
    )?
    .query_row(params![story.owner, story.date, story.expires, story.caption, story.body], |row| row.get(0))
}

/// Deletes a story. Says whether there was one.
pub(crate) fn delete_story(db: &Connection, owner: i64, id: i32) -> rusqlite::Result<bool> {
    Ok(db.execute("DELETE FROM stories WHERE owner = ?1 AND id = ?2", params![owner, id])? > 0)
}

/// Somebody's stories, the oldest first.
pub(crate) fn stories(db: &Connection, owner: i64) -> rusqlite::Result<Vec<Story>> {
    db.prepare_cached("SELECT id, date, expires, caption, body FROM stories WHERE owner = ?1 ORDER BY id")?
        .query_map([owner], |row| {
            Ok(Story {
                owner,
                id: row.get(0)?,
                date: row.get(1)?,
                expires: row.get(2)?,
                caption: row.get(3)?,
                body: row.get(4)?,
            })
        })?
        .collect()
}
