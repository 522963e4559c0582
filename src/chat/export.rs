//! The JSON of `chat export`: written as messages come, and read back by `dl`, as is Telegram Desktop's `result.json`.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::media::Media;
use crate::tl::api::{enums, types};

/// One message of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Identifier.
    pub id: i32,
    /// Always "message": service messages are not exported.
    pub r#type: &'static str,
    /// Name of its file; empty when it has none.
    pub file: String,
    /// Unix time, when content is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<i32>,
    /// Text, when content is asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Entry {
    /// Describes `message`; with `content` its time and text as well.
    pub fn new(message: &types::Message, media: Option<&Media>, content: bool) -> Self {
        Self {
            id: message.id,
            r#type: "message",
            file: media.map(|m| m.name.clone()).unwrap_or_default(),
            date: content.then_some(message.date),
            text: content.then(|| message.message.to_string()).filter(|t| !t.is_empty()),
        }
    }
}

/// Writes an export, one message after the other, so that a chat of any length needs no memory.
pub struct Writer<W: Write> {
    out: W,
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Begins the export of the chat with this identifier.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn begin(mut out: W, chat: i64) -> io::Result<Self> {
        write!(out, "{{\"id\":{chat},\"messages\":[")?;
        Ok(Self { out, count: 0 })
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn message(&mut self, entry: &Entry) -> io::Result<()> {
        if self.count > 0 {
            self.out.write_all(b",")?;
        }
        serde_json::to_writer(&mut self.out, entry)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the export; returns the output and how many messages it holds.
    ///
    /// # Errors
    ///
    /// The output's.
    pub fn end(mut self) -> io::Result<(W, u64)> {
        self.out.write_all(b"]}\n")?;
        self.out.flush()?;
        Ok((self.out, self.count))
    }
}

/// What `dl` needs of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The chat's bare identifier.
    pub chat: i64,
    /// Identifiers of the messages with a file, in the order of the export.
    pub messages: Vec<i32>,
}

/// Why a text is no export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// It is not JSON, or not of this form.
    #[error("not a `tdl chat export` file or a Desktop result.json of one chat: {0}")]
    Form(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct RawExport {
    id: i64,
    messages: Vec<RawMessage>,
}

#[derive(Deserialize)]
struct RawMessage {
    id: i64,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    photo: Option<String>,
}

/// Reads an export of ours, of the Go tool, or of Desktop. Service messages and those without a file are left out.
///
/// # Errors
///
/// [`ExportError::Form`] when it is something else.
pub fn read(text: &[u8]) -> Result<Export, ExportError> {
    let raw: RawExport = serde_json::from_slice(text)?;
    let has = |name: &Option<String>| name.as_ref().is_some_and(|n| !n.is_empty());
    let messages = raw.messages.iter().filter(|m| m.r#type == "message" && (has(&m.file) || has(&m.photo)));
    Ok(Export {
        chat: raw.id.saturating_abs(),
        messages: messages.filter_map(|m| i32::try_from(m.id).ok().filter(|id| *id > 0)).collect(),
    })
}

/// The message itself, unless it is a service message or a deleted one.
pub fn regular(message: &enums::Message) -> Option<&types::Message> {
    match message {
        enums::Message::Message(m) => Some(m),
        enums::Message::Service(_) | enums::Message::Empty(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i32, file: &str, text: Option<&str>) -> Entry {
        Entry { id, r#type: "message", file: file.into(), date: text.map(|_| 1_684_651_590), text: text.map(Into::into) }
    }

    #[test]
    fn writes_the_go_tools_form_to_the_letter() {
        let mut out = Writer::begin(Vec::new(), 1_697_797_156).unwrap();
        out.message(&entry(151, "foo.zip", None)).unwrap();
        out.message(&entry(150, "", Some("Hello"))).unwrap();
        let (bytes, count) = out.end().unwrap();
        assert_eq!(count, 2);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"id\":1697797156,\"messages\":[{\"id\":151,\"type\":\"message\",\"file\":\"foo.zip\"},\
             {\"id\":150,\"type\":\"message\",\"file\":\"\",\"date\":1684651590,\"text\":\"Hello\"}]}\n"
        );
    }

    #[test]
    fn reads_back_what_it_wrote_and_keeps_only_files() {
        let mut out = Writer::begin(Vec::new(), 7).unwrap();
        for (id, file) in [(3, "c.bin"), (2, ""), (1, "a \"b\"\n\u{1f980}.txt")] {
            out.message(&entry(id, file, None)).unwrap();
        }
        let (bytes, _) = out.end().unwrap();
        assert_eq!(read(&bytes).unwrap(), Export { chat: 7, messages: vec![3, 1] });
    }

    #[test]
    fn reads_desktops_export() {
        let text = r#"{"name":"x","type":"personal_chat","id":42,"messages":[
            {"id":1,"type":"service","file":"no"},
            {"id":2,"type":"message","date":"2024-01-01T00:00:00","text":[{"type":"bold","text":"x"}],"photo":"photos/p.jpg"},
            {"id":-5,"type":"message","file":"files/old"},
            {"id":3,"type":"message","file":"files/a.bin","text":""}]}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), Export { chat: 42, messages: vec![2, 3] });
    }

    #[test]
    fn what_is_no_export_is_refused_and_no_prefix_panics() {
        let whole = br#"{"id":1,"messages":[{"id":2,"type":"message","file":"f"}]}"#;
        assert!(read(whole).is_ok());
        for cut in 0..whole.len() {
            assert!(matches!(read(&whole[..cut]), Err(ExportError::Form(_))), "cut at {cut}");
        }
        assert!(read(b"[]").is_err());
        assert!(read(br#"{"messages":[]}"#).is_err());
    }
}
