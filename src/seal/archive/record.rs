//! Records, tables and cells.

use std::fmt;

use zeroize::Zeroizing;

/// The longest text or bytes in one cell.
pub const MAX_CELL: usize = 16 * 1024 * 1024;

/// The longest name of a namespace, in bytes.
pub const MAX_NAME: usize = 200;

/// One value of a row. Bytes are wiped when dropped: keys are among them.
#[derive(Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing, where a column allows it.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Int(number) => write!(f, "Int({number})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A number.
    Int,
    /// A text.
    Text,
    /// A text, or nothing.
    OptionalText,
    /// Bytes.
    Bytes,
}

impl Column {
    pub(super) fn fits(self, cell: &Cell) -> bool {
        matches!(
            (self, cell),
            (Self::Int, Cell::Int(_))
                | (Self::Text, Cell::Text(_))
                | (Self::OptionalText, Cell::Text(_) | Cell::Null)
                | (Self::Bytes, Cell::Bytes(_))
        )
    }
}

/// A table that a backup can hold rows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Small values.
    Meta,
    /// The lock of an encrypted namespace.
    Seal,
    /// Permanent keys.
    DcAuth,
    /// Chats.
    Peer,
    /// Unfinished transfers.
    Job,
}

impl Table {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 5] = [Self::Meta, Self::Seal, Self::DcAuth, Self::Peer, Self::Job];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Seal => "seal",
            Self::DcAuth => "dc_auth",
            Self::Peer => "peer",
            Self::Job => "job",
        }
    }

    /// Its columns. Part of the format: they are never changed, only followed by further tables.
    pub const fn columns(self) -> &'static [(&'static str, Column)] {
        match self {
            Self::Meta => &[("key", Column::Text), ("value", Column::Text)],
            Self::Seal => &[("record", Column::Bytes)],
            Self::DcAuth => &[
                ("dc", Column::Int),
                ("auth_key", Column::Bytes),
                ("key_id", Column::Int),
                ("salts", Column::Bytes),
                ("time_offset", Column::Int),
                ("authorized", Column::Int),
                ("created_at", Column::Int),
            ],
            Self::Peer => &[
                ("kind", Column::Int),
                ("id", Column::Int),
                ("access_hash", Column::Int),
                ("username", Column::OptionalText),
                ("title", Column::Text),
            ],
            Self::Job => &[
                ("kind", Column::Text),
                ("fingerprint", Column::Bytes),
                ("state", Column::Text),
                ("parts", Column::Bytes),
                ("created_at", Column::Int),
                ("updated_at", Column::Int),
            ],
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Meta => 1,
            Self::Seal => 2,
            Self::DcAuth => 3,
            Self::Peer => 4,
            Self::Job => 5,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.number() == number)
    }
}

/// One record of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What the backup is.
    Manifest {
        /// When it was made, in Unix seconds.
        made_at: i64,
        /// The program that made it.
        by: String,
        /// How many namespaces follow.
        namespaces: u32,
    },
    /// A namespace begins.
    Begin {
        /// Its name. Not checked here beyond its length: whoever uses it as a file's name has to.
        name: String,
        /// The version of its tables.
        schema: u32,
    },
    /// A row of it.
    Row {
        /// The table.
        table: Table,
        /// The cells, one for each column.
        cells: Vec<Cell>,
    },
    /// The namespace ends.
    EndOf {
        /// How many rows it had.
        rows: u64,
    },
    /// The backup ends.
    End {
        /// How many namespaces there were.
        namespaces: u32,
    },
}

impl Record {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "the manifest",
            Self::Begin { .. } => "the beginning of a namespace",
            Self::Row { .. } => "a row",
            Self::EndOf { .. } => "the end of a namespace",
            Self::End { .. } => "the end",
        }
    }
}

/// Where in the order of records we are: the same for the writer and the reader.
#[derive(Debug)]
pub(super) struct Order {
    last: &'static str,
    inside: bool,
    ended: bool,
    stated: u32,
    namespaces: u32,
    rows: u64,
    names: std::collections::BTreeSet<String>,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            last: "nothing",
            inside: false,
            ended: false,
            stated: 0,
            namespaces: 0,
            rows: 0,
            names: std::collections::BTreeSet::new(),
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether `record` may come now.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), super::ArchiveError> {
        use super::ArchiveError as E;
        let first = self.last == "nothing";
        let fits = !self.ended
            && match record {
                Record::Manifest { .. } => first,
                Record::Begin { .. } | Record::End { .. } => !first && !self.inside,
                Record::Row { .. } | Record::EndOf { .. } => self.inside,
            };
        if !fits {
            return Err(E::OutOfOrder { found: record.name(), after: self.last });
        }
        self.last = record.name();
        match record {
            Record::Manifest { namespaces, .. } => self.stated = *namespaces,
            Record::Begin { name, .. } => {
                if !self.names.insert(name.clone()) {
                    return Err(E::TwiceTheName { name: name.escape_debug().to_string() });
                }
                self.namespaces += 1;
                if self.namespaces > self.stated {
                    let (stated, found) = (self.stated.into(), self.namespaces.into());
                    return Err(E::WrongCount { what: "namespaces", stated, found });
                }
                (self.inside, self.rows) = (true, 0);
            }
            Record::Row { .. } => self.rows += 1,
            Record::EndOf { rows } => {
                if *rows != self.rows {
                    return Err(E::WrongCount { what: "rows", stated: *rows, found: self.rows });
                }
                self.inside = false;
            }
            Record::End { namespaces } => {
                if *namespaces != self.namespaces || self.stated != self.namespaces {
                    let stated = self.stated.max(*namespaces).into();
                    return Err(E::WrongCount { what: "namespaces", stated, found: self.namespaces.into() });
                }
                self.ended = true;
            }
        }
        Ok(())
    }
}
