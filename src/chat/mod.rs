//! Chats, messages and their export.
//!
//! * [`links`]: message links and names of chats, as people paste them.
//! * [`peers`]: from such a name to a peer of the API; peers seen are remembered.
//! * [`dialogs`]: the list of chats.
//! * [`history`]: messages of a chat, in pages, by identifier, and by link.
//! * [`html`]: captions in HTML.
//! * [`stories`]: stories by their own links.
//! * [`media`]: the files that a message carries, and which of them are meant.
//! * [`files`]: those files from the server, and where they are when a reference has expired.
//! * [`export`]: the JSON of `chat export`, written and read.
//! * [`send`]: messages with files.
//! * [`watch`]: which chat an update is about.

pub mod dialogs;
pub mod export;
pub mod files;
pub mod history;
pub mod html;
pub mod links;
pub mod media;
pub mod peers;
pub mod send;
pub mod stories;
pub mod watch;

use thiserror::Error;

use crate::client::{InvokeError, PersistenceError};

/// Why something about a chat could not be done.
#[derive(Debug, Error)]
pub enum ChatError {
    /// The server answered with an error, or could not be reached.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The namespace could not be read or written.
    #[error(transparent)]
    Store(#[from] PersistenceError),
    /// The text is no chat and no link.
    #[error(transparent)]
    Link(#[from] links::LinkError),
    /// An id alone does not address a chat: the server wants an access hash, which only a list or a message gives.
    #[error("chat {id} has not been seen in this namespace yet")]
    UnknownId {
        /// The bare id.
        id: i64,
    },
    /// Nobody has this name or number.
    #[error("there is no {0}")]
    NotFound(links::ChatRef),
    /// The server answered with something that the method does not return.
    #[error("unexpected answer to {method}")]
    UnexpectedAnswer {
        /// The method.
        method: &'static str,
    },
    /// The message does not exist, or was deleted.
    #[error("message {id} does not exist in this chat")]
    NoMessage {
        /// Its identifier.
        id: i32,
    },
}
