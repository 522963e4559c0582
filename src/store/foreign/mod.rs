//! Sessions of other programs: read, to log in through them once; written, for who wants to go on elsewhere.
//!
//! [`ForeignSession`] is what all formats have in common. [`read_path`] and [`read_text`] find out which format it is and read it; each format has
//! a module of its own, with its reader, its writer and the rules that it checks.
//!
//! | module | what |
//! |---|---|
//! | [`tdata`] | Telegram Desktop's directory, all accounts, with a passcode and without |
//! | [`places`](mod@places) | where builds of Telegram Desktop keep it |
//! | [`telethon`], [`pyrogram`] | session strings and files |
//! | [`gramjs`] | session strings |
//! | [`mtcute`] | session strings and files |
//! | [`gotd`] | the Go tool's namespaces |
//! | [`own`] | our own document, which says all that a session can |
//!
//! What is read is hostile until it is checked: nothing is allocated by a length that the bytes do not bear out, and each rule has an
//! [`Error`] of its own. What is read is never written to.

mod bytes;
mod database;
mod detect;
mod error;
mod format;
mod private_files;
mod session;
mod text;

pub mod gotd;
pub mod gramjs;
pub mod mtcute;
pub mod own;
pub mod places;
pub mod pyrogram;
pub mod tdata;
pub mod telethon;

pub use detect::{Sessions, detect_path, detect_text, read_path, read_path_as, read_text, read_text_as};
pub use error::Error;
pub use format::Format;
pub use private_files::create as create_private_file;
pub use session::{ForeignSession, Owner};

/// Where and why a JSON document is wrong. Its own error would show what stands there.
fn json_reason(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "it cannot be read",
        serde_json::error::Category::Syntax => "a syntax error",
        serde_json::error::Category::Data => "a field is missing or of the wrong kind",
        serde_json::error::Category::Eof => "it is cut off",
    };
    format!("{what}, line {} column {}", error.line(), error.column())
}
