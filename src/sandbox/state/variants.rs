//! Further sizes of photos, and further qualities of videos: what the real servers make by themselves, and an operator brings here.

use rusqlite::{Connection, params};

use super::files::Blob;

/// Made when the state is opened, if they are not there.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS photo_sizes (photo INTEGER NOT NULL, letter TEXT NOT NULL, w INTEGER NOT NULL, h INTEGER NOT NULL,
    blob INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (photo, letter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alternatives (document INTEGER NOT NULL, n INTEGER NOT NULL, other INTEGER NOT NULL,
    PRIMARY KEY (document, n)) WITHOUT ROWID;
";

/// A size of a photo besides its first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhotoSize {
    pub(crate) letter: String,
    pub(crate) w: i32,
    pub(crate) h: i32,
    pub(crate) blob: Blob,
}

/// Keeps a size of a photo.
pub(crate) fn add_size(db: &Connection, photo: i64, size: &PhotoSize) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO photo_sizes (photo, letter, w, h, blob, size) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![photo, size.letter, size.w, size.h, size.blob.id, size.blob.size],
    )?;
    Ok(())
}

/// The sizes of a photo besides its first one, the smallest first.
pub(crate) fn sizes(db: &Connection, photo: i64) -> rusqlite::Result<Vec<PhotoSize>> {
    db.prepare_cached("SELECT letter, w, h, blob, size FROM photo_sizes WHERE photo = ?1 ORDER BY w * h")?
        .query_map([photo], |row| {
            let blob = Blob { id: row.get(3)?, size: row.get(4)? };
            Ok(PhotoSize { letter: row.get(0)?, w: row.get(1)?, h: row.get(2)?, blob })
        })?
        .collect()
}

/// Says that a document is another one in another quality.
pub(crate) fn add_alternative(db: &Connection, document: i64, n: i64, other: i64) -> rusqlite::Result<()> {
    db.execute("INSERT INTO alternatives (document, n, other) VALUES (?1, ?2, ?3)", [document, n, other])?;
    Ok(())
}

/// A document's other qualities, in order.
pub(crate) fn alternatives(db: &Connection, document: i64) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("SELECT other FROM alternatives WHERE document = ?1 ORDER BY n")?
        .query_map([document], |row| row.get(0))?
        .collect()
}
