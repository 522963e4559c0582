//! Records into a stream.

use std::io::Write;

use rand::Rng;
use zeroize::Zeroizing;

use super::{
    ArchiveError, Cell, MAGIC, MAX_CELL, MAX_NAME, Record,
    record::{Column, Order},
};
use crate::{Protection, SealError, SealedWriter};

/// Writes a backup, record by record.
pub struct ArchiveWriter<W: Write> {
    to: SealedWriter<W>,
    order: Order,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins it. The first record is the manifest.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn new(to: W, protection: &Protection, rng: &mut impl Rng) -> Result<Self, ArchiveError> {
        Ok(Self { to: SealedWriter::new(to, MAGIC, protection, rng)?, order: Order::new() })
    }

    /// Writes one record.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::OutOfOrder`], [`ArchiveError::WrongCount`], [`ArchiveError::TwiceTheName`], [`ArchiveError::TooLong`],
    /// [`ArchiveError::BadRow`]; those of the stream.
    pub fn write(&mut self, record: &Record) -> Result<(), ArchiveError> {
        self.order.take(record)?;
        let mut bytes = Zeroizing::new(Vec::new());
        match record {
            Record::Manifest { made_at, by, namespaces } => {
                bytes.push(1);
                bytes.extend_from_slice(&made_at.to_le_bytes());
                sized(&mut bytes, by.as_bytes(), MAX_NAME)?;
                bytes.extend_from_slice(&namespaces.to_le_bytes());
            }
            Record::Begin { name, schema } => {
                bytes.push(2);
                sized(&mut bytes, name.as_bytes(), MAX_NAME)?;
                bytes.extend_from_slice(&schema.to_le_bytes());
            }
            Record::Row { table, cells } => {
                let columns = table.columns();
                if cells.len() != columns.len() || !columns.iter().zip(cells).all(|((_, column), cell)| column.fits(cell)) {
                    return Err(ArchiveError::BadRow { table: table.name() });
                }
                bytes.extend_from_slice(&[3, table.number()]);
                for ((_, column), cell) in columns.iter().zip(cells) {
                    if *column == Column::OptionalText {
                        bytes.push(u8::from(*cell != Cell::Null));
                    }
                    match cell {
                        Cell::Null => {}
                        Cell::Int(number) => bytes.extend_from_slice(&number.to_le_bytes()),
                        Cell::Text(text) => sized(&mut bytes, text.as_bytes(), MAX_CELL)?,
                        Cell::Bytes(content) => sized(&mut bytes, content, MAX_CELL)?,
                    }
                }
            }
            Record::EndOf { rows } => {
                bytes.push(4);
                bytes.extend_from_slice(&rows.to_le_bytes());
            }
            Record::End { namespaces } => {
                bytes.push(5);
                bytes.extend_from_slice(&namespaces.to_le_bytes());
            }
        }
        self.to.write_all(&bytes).map_err(SealError::from)?;
        Ok(())
    }

    /// Makes it whole. The last record was [`Record::End`].
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Incomplete`] where it was not; those of the stream.
    pub fn finish(self) -> Result<W, ArchiveError> {
        if !self.order.ended() {
            return Err(ArchiveError::Incomplete);
        }
        Ok(self.to.finish()?)
    }
}

fn sized(bytes: &mut Vec<u8>, content: &[u8], limit: usize) -> Result<(), ArchiveError> {
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= limit);
    let length = length.ok_or(ArchiveError::TooLong { found: content.len(), limit })?;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(content);
    Ok(())
}
