//! Records out of a stream. Every byte of it is somebody else's.

use std::io::Read;

use zeroize::Zeroizing;

use super::{
    ArchiveError, Cell, MAGIC, MAX_CELL, MAX_NAME, Record, Table, WHAT,
    record::{Column, Order},
};
use crate::{KdfLimits, Passphrase, SealedReader, Unopened};

/// Bytes taken at a time, whatever length is claimed: memory grows with what is there, not with what is said to be.
const STEP: usize = 64 * 1024;

/// Reads a backup, record by record.
pub struct ArchiveReader<R: Read> {
    from: SealedReader<R>,
    order: Order,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the head of a backup; [`Unopened::is_encrypted`] says whether it needs a passphrase.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn head(from: R) -> Result<Unopened<R>, ArchiveError> {
        Ok(Unopened::read(from, MAGIC, WHAT)?)
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// Those of the stream: above all a missing or a wrong passphrase.
    pub fn open(head: Unopened<R>, passphrase: Option<&Passphrase>, limits: KdfLimits) -> Result<Self, ArchiveError> {
        Ok(Self { from: head.open(passphrase, limits)?, order: Order::new() })
    }

    /// The next record; `None` after the last, when it is sure that nothing is missing and nothing follows.
    ///
    /// # Errors
    ///
    /// See [`ArchiveError`].
    pub fn read(&mut self) -> Result<Option<Record>, ArchiveError> {
        let mut kind = [0];
        let found = self.from.fill(&mut kind)?;
        if self.order.ended() {
            return if found == 0 { Ok(None) } else { Err(ArchiveError::TrailingData) };
        }
        if found == 0 {
            return Err(ArchiveError::Incomplete);
        }
        let record = match kind {
            [1] => Record::Manifest { made_at: self.int()?, by: self.text(MAX_NAME)?, namespaces: self.count()? },
            [2] => Record::Begin { name: self.text(MAX_NAME)?, schema: self.count()? },
            [3] => self.row()?,
            [4] => Record::EndOf { rows: self.int()?.cast_unsigned() },
            [5] => Record::End { namespaces: self.count()? },
            [found] => return Err(ArchiveError::UnknownRecord { found }),
        };
        self.order.take(&record)?;
        Ok(Some(record))
    }

    fn row(&mut self) -> Result<Record, ArchiveError> {
        let [found] = self.exactly()?;
        let table = Table::from_number(found).ok_or(ArchiveError::UnknownTable { found })?;
        let mut cells = Vec::with_capacity(table.columns().len());
        for (_, column) in table.columns() {
            cells.push(match column {
                Column::Int => Cell::Int(self.int()?),
                Column::Text => Cell::Text(self.text(MAX_CELL)?),
                Column::Bytes => Cell::Bytes(self.bytes(MAX_CELL)?),
                Column::OptionalText => match self.exactly()? {
                    [0] => Cell::Null,
                    [1] => Cell::Text(self.text(MAX_CELL)?),
                    [found] => return Err(ArchiveError::BadPresence { found }),
                },
            });
        }
        Ok(Record::Row { table, cells })
    }

    fn text(&mut self, limit: usize) -> Result<String, ArchiveError> {
        let mut bytes = self.bytes(limit)?;
        String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| ArchiveError::NotText)
    }

    fn bytes(&mut self, limit: usize) -> Result<Zeroizing<Vec<u8>>, ArchiveError> {
        let length = usize::try_from(self.count()?).unwrap_or(usize::MAX);
        if length > limit {
            return Err(ArchiveError::TooLong { found: length, limit });
        }
        let mut bytes = Zeroizing::new(Vec::new());
        while bytes.len() < length {
            let start = bytes.len();
            let step = (length - start).min(STEP);
            bytes.resize(start + step, 0);
            if self.from.fill(bytes.get_mut(start..).unwrap_or_default())? < step {
                return Err(ArchiveError::Incomplete);
            }
        }
        Ok(bytes)
    }

    fn int(&mut self) -> Result<i64, ArchiveError> {
        self.exactly().map(i64::from_le_bytes)
    }

    fn count(&mut self) -> Result<u32, ArchiveError> {
        self.exactly().map(u32::from_le_bytes)
    }

    fn exactly<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        if self.from.fill(&mut bytes)? < N {
            return Err(ArchiveError::Incomplete);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
