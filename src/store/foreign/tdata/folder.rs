//! Where the files of `tdata` come from: a directory, or memory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use zeroize::Zeroizing;

use super::super::{Error, bytes};
use super::file::{self, TdfFile};

/// What holds the files of a `tdata`. Names are relative, with `/` between a directory and a file in it.
pub trait Folder {
    /// The content of a file of at most `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], and [`Error::Io`] where the file is there and cannot be read.
    fn read(&self, name: &str, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error>;

    /// When a file was last written, where that is known.
    fn modified(&self, name: &str) -> Option<SystemTime>;
}

/// A directory on the disk.
#[derive(Clone, Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl Folder for Directory {
    fn read(&self, name: &str, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match bytes::read_file(&self.0.join(name), limit) {
            Ok(content) => Ok(Some(content)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn modified(&self, name: &str) -> Option<SystemTime> {
        std::fs::metadata(self.0.join(name)).and_then(|metadata| metadata.modified()).ok()
    }
}

/// Files in memory, by name. None of them is newer than another.
pub type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

impl Folder for Files {
    fn read(&self, name: &str, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self.get(name) {
            Some(content) if content.len() as u64 > limit => {
                Err(Error::TooLarge { what: name.to_owned(), limit, found: content.len() as u64 })
            }
            found => Ok(found.cloned()),
        }
    }

    fn modified(&self, _name: &str) -> Option<SystemTime> {
        None
    }
}

/// A file that was found whole.
pub(super) struct Found {
    /// Its content.
    pub(super) file: TdfFile,
    /// Whether a newer copy of it is damaged.
    pub(super) stale: bool,
}

/// The newest whole copy of a file. Desktop writes `NAMEs` and takes the place of the older way, which kept two copies, `NAME0` and `NAME1`,
/// and wrote the one whose turn it was. Where a newer copy is damaged, an older one is taken.
///
/// # Errors
///
/// [`Error::MissingFile`] where there is no copy; otherwise what is wrong with the newest.
pub(super) fn newest(folder: &dyn Folder, name: &str, limit: u64) -> Result<Found, Error> {
    let mut old = [format!("{name}0"), format!("{name}1")];
    if let (Some(first), Some(second)) = (folder.modified(&old[0]), folder.modified(&old[1]))
        && first < second
    {
        old.swap(0, 1);
    }
    let mut first_error = None;
    for copy in std::iter::once(format!("{name}s")).chain(old) {
        let parsed = match folder.read(&copy, limit) {
            Ok(None) => continue,
            Ok(Some(content)) => file::parse(&copy, &content),
            Err(error) => Err(error),
        };
        match parsed {
            Ok(file) => return Ok(Found { file, stale: first_error.is_some() }),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::MissingFile { name: name.to_owned() }))
}

/// Whether there is a copy of a file, whole or not.
pub(super) fn has_copy(directory: &Path, name: &str) -> bool {
    ["s", "0", "1"].iter().any(|suffix| directory.join(format!("{name}{suffix}")).is_file())
}
