//! What the server has to give: files by the message that carries them, and the list of those that it was started with.

use std::sync::Arc;

use thiserror::Error;

use super::file::FileInfo;
use super::path::{FilePath, encoded};
use super::source::{BoxFuture, RangeSource, SourceError};
use crate::chat::stories;

/// A file that was found.
#[derive(Clone)]
pub struct Item {
    /// What its message says of it.
    pub info: FileInfo,
    /// Its bytes.
    pub source: Arc<dyn RangeSource>,
}

/// A file in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The chat, as a path names it: its id.
    pub chat: i64,
    /// The message; a story's number negated.
    pub message: i32,
    /// Which of its files, from 1.
    pub file: u32,
    /// What the message says of it.
    pub info: FileInfo,
}

impl Listed {
    /// Its path below that of the list: no slash in front, and a name that it can be saved under at the end.
    pub fn path(&self) -> String {
        let message = match stories::number_of(self.message) {
            Some(number) => format!("s/{number}"),
            None => self.message.to_string(),
        };
        format!("{}/{message}/{}/{}", self.chat, self.file, encoded(&self.info.safe_name()))
    }
}

/// Why a file was not found.
#[derive(Debug, Error)]
pub enum FindError {
    /// There is no such chat, or none that this account knows.
    #[error("{0}")]
    NoChat(String),
    /// The message does not exist, or was deleted.
    #[error("the message does not exist, or was deleted")]
    NoMessage,
    /// The message has no file, or not so many.
    #[error("{}", no_file(*asked, *count))]
    NoFile {
        /// Which one was asked for.
        asked: u32,
        /// How many there are.
        count: u32,
    },
    /// Anything else: the server's answer, the connection.
    #[error(transparent)]
    Source(#[from] SourceError),
}

fn no_file(asked: u32, count: u32) -> String {
    match count {
        0 => "the message has no file that can be downloaded".to_owned(),
        1 => format!("the message has one file, and no file {asked}"),
        _ => format!("the message has {count} files, and no file {asked}"),
    }
}

/// Where files are found. Dropping a future ends what it does.
pub trait Shelf: Send + Sync + 'static {
    /// The file of a message.
    fn find<'a>(&'a self, path: &'a FilePath) -> BoxFuture<'a, Result<Item, FindError>>;

    /// How many pages the list has; at least one, which may be empty.
    fn pages(&self) -> u32;

    /// One page of the list, from 1; empty when there is none of that number.
    fn page(&self, page: u32) -> BoxFuture<'_, Result<Vec<Listed>, FindError>>;
}
