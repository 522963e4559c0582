//! Which files downloads have made, and whose name is whose: so that a rerun gives each message the name that it had, and so that the
//! same file need not come twice.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Namespace, namespace::Durability};

/// What a name belongs to: one file of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileOwner {
    /// The chat's bare identifier.
    pub chat: i64,
    /// The message's identifier in it.
    pub message: i32,
    /// Identifier of the document or photo.
    pub media: i64,
    /// Length in bytes: a photo's sizes and a document's thumbnails share its identifier.
    pub size: u64,
}

/// A name that belongs to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFile {
    /// What the name is known by: two names that some file system takes for one have the same.
    pub key: String,
    /// Where the file is, or will be.
    pub path: PathBuf,
    /// Whose it is.
    pub owner: FileOwner,
    /// When it was whole, in Unix time; `None` for one that is not yet.
    pub saved_at: Option<i64>,
}

const COLUMNS: &str = "key, path, chat, message, media, size, saved_at";

/// The most copies of one file that are looked at.
const MAX_COPIES: u32 = 32;

/// Names and files of downloads. Writes survive the death of the process, not always a power cut: what is lost is fetched again.
///
/// A path that is no Unicode is kept with replacement characters, and so finds no file later: it costs a download, never a file.
impl Namespace {
    /// Who has the name with this key.
    ///
    /// # Errors
    ///
    /// Reading can fail as any access can, see [`Error`].
    pub fn name_owner(&self, key: &str) -> Result<Option<SavedFile>, Error> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} FROM saved_file WHERE key = ?1"))?;
            statement.query_row([key], read).optional()
        })
    }

    /// The names of the files of one message.
    ///
    /// # Errors
    ///
    /// As [`Self::name_owner`].
    pub fn saved_files(&self, chat: i64, message: i32) -> Result<Vec<SavedFile>, Error> {
        self.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM saved_file WHERE chat = ?1 AND message = ?2 ORDER BY key");
            c.prepare_cached(&sql)?.query_map(params![chat, message], read)?.collect()
        })
    }

    /// Files that are whole, the newest first, with this document or photo of this length.
    ///
    /// # Errors
    ///
    /// As [`Self::name_owner`].
    pub fn saved_copies(&self, media: i64, size: u64) -> Result<Vec<SavedFile>, Error> {
        self.read(|c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM saved_file WHERE media = ?1 AND size = ?2 AND saved_at IS NOT NULL \
                 ORDER BY saved_at DESC, key LIMIT {MAX_COPIES}"
            );
            c.prepare_cached(&sql)?.query_map(params![media, stored(size)], read)?.collect()
        })
    }

    /// Gives names to their owners, all or none. A name that has this owner already stays as it is.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn claim_names(&self, names: &[SavedFile]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        self.write(Durability::Normal, |t| {
            let mut statement = t.prepare_cached(&format!(
                "INSERT INTO saved_file ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET \
                 path = excluded.path, chat = excluded.chat, message = excluded.message, media = excluded.media, \
                 size = excluded.size, saved_at = excluded.saved_at \
                 WHERE (chat, message, media, size) IS NOT (excluded.chat, excluded.message, excluded.media, excluded.size)"
            ))?;
            for SavedFile { key, path, owner, saved_at } in names {
                statement.execute(params![
                    key,
                    path.to_string_lossy(),
                    owner.chat,
                    owner.message,
                    owner.media,
                    stored(owner.size),
                    saved_at
                ])?;
            }
            Ok(())
        })
    }

    /// Records that the file of this name is whole, and where it is.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn file_saved(&self, key: &str, path: &Path, now: i64) -> Result<(), Error> {
        self.write(Durability::Normal, |t| {
            let mut statement = t.prepare_cached("UPDATE saved_file SET path = ?2, saved_at = ?3 WHERE key = ?1")?;
            statement.execute(params![key, path.to_string_lossy(), now])
        })
        .map(drop)
    }
}

fn stored(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SavedFile> {
    let (path, size): (String, i64) = (row.get(1)?, row.get(5)?);
    Ok(SavedFile {
        key: row.get(0)?,
        path: PathBuf::from(path),
        owner: FileOwner {
            chat: row.get(2)?,
            message: row.get(3)?,
            media: row.get(4)?,
            size: u64::try_from(size).unwrap_or(0),
        },
        saved_at: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Persistence as _;
    use crate::store::Home;

    fn namespace(dir: &tempfile::TempDir) -> Namespace {
        Home::at(dir.path()).open(&Default::default(), 1).expect("opened")
    }

    fn file(key: &str, message: i32) -> SavedFile {
        let owner = FileOwner { chat: 7, message, media: 100, size: 5 };
        SavedFile { key: key.into(), path: PathBuf::from("/d").join(key), owner, saved_at: None }
    }

    #[test]
    fn a_name_keeps_its_owner_and_its_file() {
        let dir = tempfile::tempdir().expect("directory");
        let ns = namespace(&dir);
        ns.claim_names(&[file("a", 1), file("b", 2)]).expect("claimed");
        assert_eq!(ns.saved_copies(100, 5).expect("read"), [], "none is whole");
        ns.file_saved("a", Path::new("/d/A"), 9).expect("saved");
        ns.claim_names(&[file("a", 1)]).expect("again");
        let kept = ns.name_owner("a").expect("read").expect("there");
        assert_eq!((kept.path.as_path(), kept.saved_at, kept.owner.message), (Path::new("/d/A"), Some(9), 1));
        assert_eq!(ns.saved_copies(100, 5).expect("read"), [kept]);
        assert_eq!(ns.saved_copies(100, 6).expect("read"), [], "another length is another file");
        assert_eq!(ns.saved_files(7, 2).expect("read"), [file("b", 2)]);
        assert_eq!(ns.name_owner("c").expect("read"), None);
    }

    #[test]
    fn a_name_that_changes_hands_is_not_whole_any_more_and_a_logout_forgets_all() {
        let dir = tempfile::tempdir().expect("directory");
        let ns = namespace(&dir);
        ns.claim_names(&[file("a", 1)]).expect("claimed");
        ns.file_saved("a", Path::new("/d/a"), 9).expect("saved");
        ns.claim_names(&[file("a", 3)]).expect("taken over");
        assert_eq!(ns.name_owner("a").expect("read"), Some(file("a", 3)));
        ns.forget_all().expect("forgotten");
        assert_eq!(ns.name_owner("a").expect("read"), None);
    }
}
