//! Uploads, file contents, documents and photos.
//!
//! Parts of an upload go straight to their place in one file under `parts/`, 512 KiB apart, in whatever order they come, so nothing
//! of a file is ever in memory but the part that is being written. When the upload becomes a document its parts file becomes a file
//! under `blobs/`: by a link when the parts were 512 KiB (the usual case, nothing is copied), by a copy otherwise. The database
//! says which parts and blobs exist: what a killed process left behind besides is removed at the next start.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, State, private_file};

pub(crate) const PARTS_DIR: &str = "parts";
pub(crate) const BLOBS_DIR: &str = "blobs";

/// The largest part, and the distance between parts on disk.
pub(crate) const MAX_PART: i32 = 512 * 1024;
/// Uploads that became nothing are kept for a day.
const UPLOAD_LIFETIME: i64 = 86_400;

/// Whose upload: file ids are the client's choice, so they mean something only within one account on one DC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UploadKey {
    pub(crate) dc: i32,
    pub(crate) user: i64,
    pub(crate) file_id: i64,
}

/// An upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The row.
    pub(crate) id: i64,
    /// Made by `saveBigFilePart`.
    pub(crate) big: bool,
    /// Parts in all; 0 when only the end will tell.
    pub(crate) total: i32,
    /// Size of every part but the last; 0 while unknown.
    pub(crate) part_size: i32,
    /// What it became.
    pub(crate) blob: Option<i64>,
}

/// File contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) id: i64,
    pub(crate) size: i64,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) id: i64,
    /// The DC that keeps its contents.
    pub(crate) dc: i32,
    pub(crate) date: i64,
    pub(crate) mime: String,
    pub(crate) blob: Blob,
    /// A serialized vector.
    pub(crate) attributes: Vec<u8>,
    pub(crate) thumb: Option<Thumb>,
}

/// A document's small picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thumb {
    pub(crate) blob: Blob,
    pub(crate) w: i32,
    pub(crate) h: i32,
}

/// A photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Photo {
    pub(crate) id: i64,
    pub(crate) dc: i32,
    pub(crate) date: i64,
    pub(crate) blob: Blob,
    pub(crate) w: i32,
    pub(crate) h: i32,
    /// The image format, as `image::Format` numbers it.
    pub(crate) format: i32,
}

/// The upload with a key.
pub(crate) fn upload(db: &Connection, key: UploadKey) -> rusqlite::Result<Option<Upload>> {
    db.prepare_cached("SELECT id, big, total, part_size, blob FROM uploads WHERE dc = ?1 AND user = ?2 AND file_id = ?3")?
        .query_row(params![key.dc, key.user, key.file_id], |row| {
            Ok(Upload { id: row.get(0)?, big: row.get(1)?, total: row.get(2)?, part_size: row.get(3)?, blob: row.get(4)? })
        })
        .optional()
}

/// The parts of an upload that arrived: number and size, in order.
pub(crate) fn parts(db: &Connection, upload: i64) -> rusqlite::Result<Vec<(i32, i32)>> {
    db.prepare_cached("SELECT part, size FROM upload_parts WHERE upload = ?1 ORDER BY part")?
        .query_map([upload], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Keeps a document.
pub(crate) fn add_document(db: &Connection, d: &Document) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO documents (id, dc, date, mime, size, blob, attributes, thumb, thumb_w, thumb_h, thumb_size) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            d.id,
            d.dc,
            d.date,
            d.mime,
            d.blob.size,
            d.blob.id,
            d.attributes,
            d.thumb.map(|t| t.blob.id),
            d.thumb.map_or(0, |t| t.w),
            d.thumb.map_or(0, |t| t.h),
            d.thumb.map_or(0, |t| t.blob.size)
        ],
    )?;
    Ok(())
}

/// The document with an id.
pub(crate) fn document(db: &Connection, id: i64) -> rusqlite::Result<Option<Document>> {
    db.prepare_cached(
        "SELECT id, dc, date, mime, size, blob, attributes, thumb, thumb_w, thumb_h, thumb_size FROM documents WHERE id = ?1",
    )?
    .query_row([id], |row| {
        let thumb = match row.get::<_, Option<i64>>(7)? {
            None => None,
            Some(id) => Some(Thumb { blob: Blob { id, size: row.get(10)? }, w: row.get(8)?, h: row.get(9)? }),
        };
        Ok(Document {
            id: row.get(0)?,
            dc: row.get(1)?,
            date: row.get(2)?,
            mime: row.get(3)?,
            blob: Blob { id: row.get(5)?, size: row.get(4)? },
            attributes: row.get(6)?,
            thumb,
        })
    })
    .optional()
}

/// What came later than the tables of the beginning.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS reference_generations (kind INTEGER NOT NULL, id INTEGER NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (kind, id)) WITHOUT ROWID;
";

/// The generation of a file's references: those of earlier ones have expired, whatever their time.
pub(crate) fn reference_generation(db: &Connection, kind: i64, id: i64) -> rusqlite::Result<i32> {
    let found = db
        .prepare_cached("SELECT generation FROM reference_generations WHERE kind = ?1 AND id = ?2")?
        .query_row([kind, id], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// The references of a file that were given out until now are good no more.
pub(crate) fn expire_references(db: &Connection, kind: i64, id: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO reference_generations VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET generation = generation + 1",
        [kind, id],
    )?;
    Ok(())
}

/// Another DC keeps a file from now on.
pub(crate) fn relocate(db: &Connection, photo: bool, id: i64, dc: i32) -> rusqlite::Result<()> {
    let table = if photo { "photos" } else { "documents" };
    db.execute(&format!("UPDATE {table} SET dc = ?2 WHERE id = ?1"), params![id, dc])?;
    Ok(())
}

/// Keeps a photo.
pub(crate) fn add_photo(db: &Connection, p: &Photo) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO photos (id, dc, date, blob, size, w, h, format) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![p.id, p.dc, p.date, p.blob.id, p.blob.size, p.w, p.h, p.format],
    )?;
    Ok(())
}

/// The photo with an id.
pub(crate) fn photo(db: &Connection, id: i64) -> rusqlite::Result<Option<Photo>> {
    db.prepare_cached("SELECT id, dc, date, blob, size, w, h, format FROM photos WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Photo {
                id: row.get(0)?,
                dc: row.get(1)?,
                date: row.get(2)?,
                blob: Blob { id: row.get(3)?, size: row.get(4)? },
                w: row.get(5)?,
                h: row.get(6)?,
                format: row.get(7)?,
            })
        })
        .optional()
}

impl State {
    fn parts_path(&self, upload: i64) -> PathBuf {
        self.dir().join(PARTS_DIR).join(upload.to_string())
    }

    fn blob_path(&self, blob: i64) -> PathBuf {
        self.dir().join(BLOBS_DIR).join(blob.to_string())
    }

    /// Makes an upload, or begins it again if it already became something: its file id is free then.
    pub(crate) fn open_upload(&self, key: UploadKey, big: bool, total: i32, now: i64) -> Result<Upload, Error> {
        let open = |u: &Upload| u.blob.is_none();
        if let Some(found) = self.read(|db| upload(db, key).map_err(Error::from))?.filter(open) {
            return Ok(found);
        }
        self.write(|tx| {
            // Asked again: parts come in side by side, and another one may have been first.
            match upload(tx, key)? {
                Some(found) if open(&found) => return Ok(found),
                Some(old) => {
                    tx.execute("DELETE FROM upload_parts WHERE upload = ?1", [old.id])?;
                    tx.execute("DELETE FROM uploads WHERE id = ?1", [old.id])?;
                }
                None => {}
            }
            tx.execute(
                "INSERT INTO uploads (dc, user, file_id, big, total, part_size, created) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
                params![key.dc, key.user, key.file_id, big, total, now],
            )?;
            Ok(Upload { id: tx.last_insert_rowid(), big, total, part_size: 0, blob: None })
        })
    }

    /// Writes one part: first its bytes, then that it is there.
    pub(crate) fn write_part(&self, upload: &Upload, part: i32, part_size: i32, bytes: &[u8]) -> Result<(), Error> {
        let path = self.parts_path(upload.id);
        let io = |e| Error::io("writing", &path)(e);
        let mut file = private_file(&path).map_err(io)?;
        file.seek(SeekFrom::Start(part_offset(part))).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        self.write(|tx| {
            tx.prepare_cached("INSERT OR REPLACE INTO upload_parts (upload, part, size) VALUES (?1, ?2, ?3)")?
                .execute(params![upload.id, part, i64::try_from(bytes.len()).unwrap_or(i64::MAX)])?;
            if part_size != upload.part_size {
                tx.execute("UPDATE uploads SET part_size = ?2 WHERE id = ?1", params![upload.id, part_size])?;
            }
            Ok(())
        })
    }

    /// Makes the parts of an upload into a blob. The parts are complete: all of `part_size` but the last.
    pub(crate) fn assemble(&self, upload: &Upload, parts: &[(i32, i32)], part_size: i32) -> Result<Blob, Error> {
        let source = self.parts_path(upload.id);
        let size: i64 = parts.iter().map(|p| i64::from(p.1)).sum();
        // The row first, uncommitted names being no use to anybody; a file whose row was never committed is removed at the next start.
        let id: i64 = self.write(|tx| -> Result<i64, Error> {
            tx.execute("INSERT INTO blobs (size) VALUES (?1)", [size])?;
            Ok(tx.last_insert_rowid())
        })?;
        let target = self.blob_path(id);
        if part_size == MAX_PART || parts.len() == 1 {
            std::fs::hard_link(&source, &target).map_err(Error::io("linking", &target))?;
            // A part that was sent again and shorter leaves the end of the longer one behind.
            let file = private_file(&target).map_err(Error::io("opening", &target))?;
            file.set_len(u64::try_from(size).unwrap_or(0)).map_err(Error::io("cutting", &target))?;
        } else {
            let mut input = File::open(&source).map_err(Error::io("opening", &source))?;
            let mut output = private_file(&target).map_err(Error::io("making", &target))?;
            for &(part, size) in parts {
                input.seek(SeekFrom::Start(part_offset(part))).map_err(Error::io("reading", &source))?;
                std::io::copy(&mut (&mut input).take(u64::try_from(size).unwrap_or(0)), &mut output)
                    .map_err(Error::io("copying to", &target))?;
            }
        }
        self.write(|tx| {
            tx.execute("UPDATE uploads SET blob = ?2 WHERE id = ?1", params![upload.id, id])?;
            tx.execute("DELETE FROM upload_parts WHERE upload = ?1", [upload.id])?;
            Ok::<_, Error>(())
        })?;
        // Failing to remove the other name costs nothing but the name, until the next start.
        if let Err(error) = std::fs::remove_file(&source) {
            tracing::debug!(%error, "parts file not removed");
        }
        Ok(Blob { id, size })
    }

    /// Keeps contents that come from an operator.
    pub(crate) fn keep_contents(&self, contents: &mut impl std::io::Read) -> Result<Blob, Error> {
        let id = self.write(|tx| -> Result<i64, Error> {
            tx.prepare_cached("INSERT INTO blobs (size) VALUES (0)")?.execute([])?;
            Ok(tx.last_insert_rowid())
        })?;
        let path = self.blob_path(id);
        let io = |e| Error::io("writing", &path)(e);
        let size = std::io::copy(contents, &mut private_file(&path).map_err(io)?).map_err(io)?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.write(|tx| tx.prepare_cached("UPDATE blobs SET size = ?2 WHERE id = ?1")?.execute([id, size]))?;
        Ok(Blob { id, size })
    }

    /// A blob by its id.
    pub(crate) fn blob(&self, id: i64) -> Result<Blob, Error> {
        self.read(|db| {
            db.query_row("SELECT size FROM blobs WHERE id = ?1", [id], |row| Ok(Blob { id, size: row.get(0)? }))
                .map_err(Error::from)
        })
    }

    /// Bytes of a blob: fewer than asked for at its end, none after it.
    pub(crate) fn read_blob(&self, blob: Blob, offset: i64, limit: i64) -> Result<Vec<u8>, Error> {
        let len = blob.size.saturating_sub(offset).clamp(0, limit);
        let mut out = vec![0; usize::try_from(len).unwrap_or(0)];
        if out.is_empty() {
            return Ok(out);
        }
        let path = self.blob_path(blob.id);
        let io = |e| Error::io("reading", &path)(e);
        let mut file = File::open(&path).map_err(io)?;
        file.seek(SeekFrom::Start(u64::try_from(offset).unwrap_or(0))).map_err(io)?;
        file.read_exact(&mut out).map_err(io)?;
        Ok(out)
    }

    /// Removes uploads that became nothing, blobs that nothing refers to, and files that the database does not know.
    pub(super) fn clean_files(&self, now: i64) -> Result<(), Error> {
        let (uploads, blobs): (Vec<i64>, Vec<i64>) = self.write(|tx| {
            tx.execute("DELETE FROM uploads WHERE created < ?1", [now - UPLOAD_LIFETIME])?;
            tx.execute("DELETE FROM upload_parts WHERE upload NOT IN (SELECT id FROM uploads)", [])?;
            tx.execute(
                "DELETE FROM blobs WHERE id NOT IN (SELECT blob FROM documents UNION SELECT thumb FROM documents WHERE thumb IS NOT NULL \
                 UNION SELECT blob FROM photos UNION SELECT blob FROM photo_sizes UNION SELECT blob FROM uploads WHERE blob IS NOT NULL)",
                [],
            )?;
            let uploads = tx.prepare("SELECT id FROM uploads WHERE blob IS NULL")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            let blobs = tx.prepare("SELECT id FROM blobs")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            Ok::<_, Error>((uploads, blobs))
        })?;
        for (dir, known) in [(PARTS_DIR, uploads), (BLOBS_DIR, blobs)] {
            let dir = self.dir().join(dir);
            for entry in std::fs::read_dir(&dir).map_err(Error::io("listing", &dir))? {
                let entry = entry.map_err(Error::io("listing", &dir))?;
                let id = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok());
                if id.is_none_or(|id| !known.contains(&id)) {
                    std::fs::remove_file(entry.path()).map_err(Error::io("removing", &entry.path()))?;
                }
            }
        }
        Ok(())
    }
}

fn part_offset(part: i32) -> u64 {
    u64::try_from(part).unwrap_or(0).saturating_mul(MAX_PART.unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open, rng};
    use super::*;

    const KEY: UploadKey = UploadKey { dc: 1, user: 5, file_id: -9 };

    #[test]
    fn parts_in_any_order_become_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        for part_size in [MAX_PART, 1024] {
            let key = UploadKey { file_id: part_size.into(), ..KEY };
            let upload = state.open_upload(key, true, 3, NOW).unwrap();
            let len = part_size as usize;
            state.write_part(&upload, 2, 0, b"end, longer").unwrap();
            state.write_part(&upload, 1, part_size, &vec![1; len]).unwrap();
            state.write_part(&upload, 0, part_size, &vec![0; len]).unwrap();
            state.write_part(&upload, 2, part_size, b"end").unwrap();
            let parts = state.read(|db| parts(db, upload.id)).unwrap();
            assert_eq!(parts, [(0, part_size), (1, part_size), (2, 3)]);
            let blob = state.assemble(&upload, &parts, part_size).unwrap();
            assert_eq!(blob.size, i64::from(part_size) * 2 + 3);
            let all = state.read_blob(blob, 0, i64::MAX).unwrap();
            assert_eq!(all, [vec![0; len], vec![1; len], b"end".to_vec()].concat());
            assert_eq!(state.read_blob(blob, blob.size - 2, 100).unwrap(), b"nd");
            assert!(state.read_blob(blob, blob.size, 100).unwrap().is_empty());
            assert!(!state.parts_path(upload.id).exists());
            assert_eq!(state.read(|db| super::upload(db, key)).unwrap().unwrap().blob, Some(blob.id));
            assert_ne!(state.open_upload(key, true, 3, NOW).unwrap().id, upload.id, "the file id is free again");
        }
    }

    #[test]
    fn an_unfinished_upload_survives_a_restart_and_an_old_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let upload = state.open_upload(KEY, true, 2, NOW).unwrap();
        state.write_part(&upload, 0, MAX_PART, &[7; MAX_PART as usize]).unwrap();
        std::fs::write(dir.path().join(BLOBS_DIR).join("77"), b"left by a killed process").unwrap();
        drop(state);
        let state = open(dir.path());
        assert!(!dir.path().join(BLOBS_DIR).join("77").exists());
        assert_eq!(state.open_upload(KEY, true, 2, NOW).unwrap(), Upload { part_size: MAX_PART, ..upload });
        drop(state);
        let state = State::open(dir.path(), NOW + UPLOAD_LIFETIME + 1, &mut rng(1)).unwrap();
        assert_eq!(state.read(|db| super::upload(db, KEY)).unwrap(), None);
        assert!(!state.parts_path(upload.id).exists());
    }

    #[test]
    fn documents_and_photos_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let thumb = Thumb { blob: Blob { id: 2, size: 10 }, w: 90, h: 60 };
        let document = Document {
            id: -5,
            dc: 2,
            date: NOW,
            mime: "text/plain".into(),
            blob: Blob { id: 1, size: 5_000_000_000 },
            attributes: vec![1, 2],
            thumb: Some(thumb),
        };
        let bare = Document { id: 6, thumb: None, ..document.clone() };
        let photo = Photo { id: 9, dc: 1, date: NOW, blob: Blob { id: 3, size: 4 }, w: 800, h: 600, format: 1 };
        state
            .write(|tx| {
                add_document(tx, &document)?;
                add_document(tx, &bare)?;
                add_photo(tx, &photo)?;
                assert_eq!(super::document(tx, -5)?, Some(document.clone()));
                assert_eq!(super::document(tx, 6)?, Some(bare.clone()));
                assert_eq!(super::document(tx, 7)?, None);
                assert_eq!(super::photo(tx, 9)?, Some(photo.clone()));
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
