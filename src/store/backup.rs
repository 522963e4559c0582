//! Namespaces into one file: rows in a sealed stream ([`crate::seal::archive`]).
//!
//! Each namespace is read in one transaction, so that it is as it was at one moment, whatever others write meanwhile. The file has its name only
//! when all of it is on the disk. Temporary keys are left out: they protect what was said from whoever comes by the keys later, and are made
//! again. What an encrypted namespace keeps sealed stays sealed, whatever protects the backup itself.

use std::{
    fs::{self, File},
    io::{BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use rand::Rng as _;
use rand::rngs::StdRng;
use rusqlite::{Connection, types::ValueRef};
use zeroize::Zeroizing;

use super::{Error, Home, NamespaceName, private, schema};
use crate::seal::{
    Protection,
    archive::{ArchiveError, ArchiveWriter, Cell, Column, Record, Table},
};

/// One namespace in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// Its name.
    pub name: NamespaceName,
    /// How many rows were written of it.
    pub rows: u64,
    /// Whether its keys are sealed with a passphrase of its own.
    pub encrypted: bool,
}

/// Why one row or record could not be taken.
enum Failed {
    Sqlite(rusqlite::Error),
    Archive(ArchiveError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ArchiveError> for Failed {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl Home {
    /// Writes the namespaces into the file `to`, readable by its owner only. `now` is Unix time. An existing file is replaced only if `replace` is
    /// set, and only by a whole one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchNamespace`], [`Error::FileExists`], what reading the namespaces can raise, and what writing can. Nothing is left behind then.
    pub fn backup(
        &self,
        names: &[NamespaceName],
        to: &Path,
        protection: &Protection,
        replace: bool,
        now: i64,
    ) -> Result<Vec<BackedUp>, Error> {
        for name in names {
            if !self.contains(name) {
                return Err(self.missing(name));
            }
        }
        if !replace && fs::symlink_metadata(to).is_ok() {
            return Err(Error::FileExists { path: to.to_path_buf() });
        }
        let unfinished = Unfinished::beside(to)?;
        let done = self.write_backup(names, &unfinished, protection, now)?;
        unfinished.finish(to, replace)?;
        Ok(done)
    }

    fn write_backup(
        &self,
        names: &[NamespaceName],
        unfinished: &Unfinished,
        protection: &Protection,
        now: i64,
    ) -> Result<Vec<BackedUp>, Error> {
        let path = &unfinished.path;
        let failed = |error: ArchiveError| archive_error(path, error);
        let mut rng = rand::make_rng::<StdRng>();
        let mut archive = ArchiveWriter::new(BufWriter::new(&unfinished.file), protection, &mut rng).map_err(failed)?;
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let by = concat!("tdl ", env!("CARGO_PKG_VERSION")).to_owned();
        archive.write(&Record::Manifest { made_at: now, by, namespaces: count }).map_err(failed)?;
        let mut done = Vec::new();
        for name in names {
            let namespace = self.open_existing(name, now)?;
            let schema = u32::try_from(schema::VERSION).unwrap_or(u32::MAX);
            archive.write(&Record::Begin { name: name.to_string(), schema }).map_err(failed)?;
            let (rows, encrypted) = namespace.with(|c| write_rows(c, &mut archive)).map_err(|error| match error {
                Failed::Sqlite(error) => Error::sqlite(namespace.path(), error),
                Failed::Archive(error) => failed(error),
            })?;
            archive.write(&Record::EndOf { rows }).map_err(failed)?;
            done.push(BackedUp { name: name.clone(), rows, encrypted });
        }
        archive.write(&Record::End { namespaces: count }).map_err(failed)?;
        let mut buffered = archive.finish().map_err(failed)?;
        buffered.flush().map_err(|e| Error::io(path, e))?;
        unfinished.file.sync_all().map_err(|e| Error::io(path, e))?;
        Ok(done)
    }
}

/// All rows of a namespace, as they are at one moment. Says how many, and whether it is encrypted.
fn write_rows<W: std::io::Write>(c: &Connection, archive: &mut ArchiveWriter<W>) -> Result<(u64, bool), Failed> {
    let transaction = c.unchecked_transaction()?;
    let (mut rows, mut encrypted) = (0, false);
    for table in Table::ALL {
        let columns = table.columns();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let mut statement = transaction.prepare(&format!("SELECT {} FROM {}", names.join(", "), table.name()))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let mut cells = Vec::with_capacity(columns.len());
            for (at, (name, column)) in columns.iter().enumerate() {
                let value = row.get_ref(at)?;
                cells.push(
                    cell(*column, value)
                        .ok_or_else(|| rusqlite::Error::InvalidColumnType(at, (*name).to_owned(), value.data_type()))?,
                );
            }
            archive.write(&Record::Row { table, cells })?;
            rows += 1;
            encrypted |= table == Table::Seal;
        }
    }
    // It only read.
    transaction.commit()?;
    Ok((rows, encrypted))
}

fn cell(column: Column, value: ValueRef<'_>) -> Option<Cell> {
    Some(match (column, value) {
        (Column::Int, ValueRef::Integer(number)) => Cell::Int(number),
        (Column::OptionalText, ValueRef::Null) => Cell::Null,
        (Column::Text | Column::OptionalText, ValueRef::Text(text)) => Cell::Text(String::from_utf8(text.to_vec()).ok()?),
        (Column::Bytes, ValueRef::Blob(bytes)) => Cell::Bytes(Zeroizing::new(bytes.to_vec())),
        _ => return None,
    })
}

/// What writing or reading an archive failed of, where it was the file system's doing.
pub(super) fn archive_error(path: &Path, error: ArchiveError) -> Error {
    use crate::seal::SealError;
    match error {
        ArchiveError::Seal(SealError::Io(error)) => Error::io(path, error),
        ArchiveError::Seal(source @ (SealError::WrongPassphrase | SealError::PassphraseMissing)) => {
            Error::BackupLocked { path: path.to_path_buf(), source }
        }
        source => Error::BadBackup { path: path.to_path_buf(), source },
    }
}

/// A file that has its name only when it is whole. Removed when dropped before that.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    fn beside(to: &Path) -> Result<Self, Error> {
        let mut name = to.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{:08x}.unfinished", rand::make_rng::<StdRng>().next_u32()));
        let path = to.with_file_name(name);
        let file = private::create_new(&path)?;
        Ok(Self { path, file })
    }

    fn finish(self, to: &Path, replace: bool) -> Result<(), Error> {
        let result = match replace {
            true => fs::rename(&self.path, to),
            // A link never replaces anything, not even what came to be there meanwhile.
            false => fs::hard_link(&self.path, to),
        };
        match result {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(Error::FileExists { path: to.to_path_buf() }),
            // A file system without links.
            Err(_) if !replace && fs::symlink_metadata(to).is_err() => {
                fs::rename(&self.path, to).map_err(|e| Error::io(to, e))?;
            }
            Err(e) => return Err(Error::io(to, e)),
        }
        private::sync_dir_of(to)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}
