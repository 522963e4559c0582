//! The JSON of `chat export`: written as messages come, and read back by `dl`, as is Telegram Desktop's `result.json`.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
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
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Export {
    /// The chat's bare identifier.
    pub chat: i64,
    /// Identifiers of the messages with a file, in the order of the export.
    pub messages: Vec<i32>,
    /// What the export says of each of these messages, where that was asked for.
    pub entries: HashMap<i32, serde_json::Value>,
}

/// Why a text is no export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// It is not JSON, or not of this form.
    #[error("not a `tdl chat export` file or a Desktop result.json: {0}")]
    Form(#[from] serde_json::Error),
    /// JSON, but no chat in it.
    #[error("not a `tdl chat export` file or a Desktop result.json: it names no chat")]
    NoChat,
}

/// Reads an export of ours, of the Go tool, or of Desktop: of one chat, or of a whole account with its chats in `chats.list` and
/// `left_chats.list`. Service messages and those without a file are left out. Needs memory for the identifiers only, however long the
/// export is, unless `entries` asks for all that it says of each message.
///
/// # Errors
///
/// [`ExportError`] when it is something else.
pub fn read(input: impl Read, entries: bool) -> Result<Vec<Export>, ExportError> {
    let mut input = serde_json::Deserializer::from_reader(input);
    let exports = Chat { entries }.deserialize(&mut input)?;
    input.end()?;
    if exports.is_empty() { Err(ExportError::NoChat) } else { Ok(exports) }
}

/// An object that is a chat, or that has chats in it.
#[derive(Clone, Copy)]
struct Chat {
    entries: bool,
}

impl<'de> DeserializeSeed<'de> for Chat {
    type Value = Vec<Export>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Chat {
    type Value = Vec<Export>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `id` and `messages`, or with `chats`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut id: Option<i64> = None;
        let mut own: Option<Export> = None;
        let mut inner = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id = Some(map.next_value()?),
                "messages" => own = Some(map.next_value_seed(Messages { entries: self.entries })?),
                "chats" | "left_chats" => inner.extend(map.next_value_seed(Chats { chat: self })?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (id, own) {
            (Some(id), Some(export)) => inner.push(Export { chat: id.saturating_abs(), ..export }),
            (None, Some(_)) => return Err(de::Error::missing_field("id")),
            (_, None) if inner.is_empty() && id.is_some() => return Err(de::Error::missing_field("messages")),
            (_, None) => {}
        }
        Ok(inner)
    }
}

/// `{"about": …, "list": [chat, chat …]}`.
struct Chats {
    chat: Chat,
}

impl<'de> DeserializeSeed<'de> for Chats {
    type Value = Vec<Export>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Chats {
    type Value = Vec<Export>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of chats")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "list" => all = map.next_value_seed(Self { chat: self.chat })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(all)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(chats) = list.next_element_seed(self.chat)? {
            all.extend(chats);
        }
        Ok(all)
    }
}

/// The messages of one chat.
struct Messages {
    entries: bool,
}

impl<'de> DeserializeSeed<'de> for Messages {
    type Value = Export;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages {
    type Value = Export;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut export = Export::default();
        if self.entries {
            while let Some(entry) = list.next_element::<serde_json::Value>()? {
                let message = RawMessage::deserialize(&entry).map_err(de::Error::custom)?;
                if let Some(id) = message.id_with_file() {
                    export.messages.push(id);
                    export.entries.insert(id, entry);
                }
            }
        } else {
            while let Some(message) = list.next_element::<RawMessage>()? {
                export.messages.extend(message.id_with_file());
            }
        }
        Ok(export)
    }
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

impl RawMessage {
    fn id_with_file(&self) -> Option<i32> {
        let has = |name: &Option<String>| name.as_ref().is_some_and(|n| !n.is_empty());
        let id = i32::try_from(self.id).ok().filter(|id| *id > 0)?;
        (self.r#type == "message" && (has(&self.file) || has(&self.photo))).then_some(id)
    }
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
        assert_eq!(plain(&bytes), [Export { chat: 7, messages: vec![3, 1], ..Export::default() }]);
        let told = read(bytes.as_slice(), true).unwrap().remove(0);
        assert_eq!((told.messages.as_slice(), told.entries.len()), ([3, 1].as_slice(), 2));
        assert_eq!(told.entries[&1]["file"], "a \"b\"\n\u{1f980}.txt");
    }

    #[test]
    fn reads_desktops_export() {
        let text = r#"{"name":"x","type":"personal_chat","id":42,"messages":[
            {"id":1,"type":"service","file":"no"},
            {"id":2,"type":"message","date":"2024-01-01T00:00:00","text":[{"type":"bold","text":"x"}],"photo":"photos/p.jpg"},
            {"id":-5,"type":"message","file":"files/old"},
            {"id":3,"type":"message","file":"files/a.bin","text":""}]}"#;
        assert_eq!(plain(text.as_bytes()), [Export { chat: 42, messages: vec![2, 3], ..Export::default() }]);
    }

    #[test]
    fn reads_desktops_export_of_a_whole_account() {
        let text = r#"{"about":"x","personal_information":{"user_id":1},
            "chats":{"about":"y","list":[
                {"name":"a","type":"saved_messages","id":42,"messages":[{"id":1,"type":"message","photo":"p.jpg"}]},
                {"name":"b","messages":[{"id":9,"type":"message","file":"f"},{"id":8,"type":"message","text":"no file"}],"id":-43}]},
            "left_chats":{"list":[{"id":44,"messages":[]}]}}"#;
        let of = |chat, messages: &[i32]| Export { chat, messages: messages.to_vec(), ..Export::default() };
        assert_eq!(plain(text.as_bytes()), [of(42, &[1]), of(43, &[9]), of(44, &[])]);
    }

    fn plain(text: &[u8]) -> Vec<Export> {
        read(text, false).unwrap()
    }

    #[test]
    fn what_is_no_export_is_refused_and_no_prefix_panics() {
        let whole = br#"{"id":1,"messages":[{"id":2,"type":"message","file":"f"}]}"#;
        for entries in [false, true] {
            assert!(read(whole.as_slice(), entries).is_ok());
            for cut in 0..whole.len() {
                assert!(matches!(read(&whole[..cut], entries), Err(ExportError::Form(_))), "cut at {cut}");
            }
            assert!(matches!(read(b"{}".as_slice(), entries), Err(ExportError::NoChat)));
            for other in
                ["[]", "{\"messages\":[]}", "{\"id\":1}", "{\"id\":1,\"messages\":[{}]}", "{\"id\":1,\"messages\":[]} x"]
            {
                assert!(matches!(read(other.as_bytes(), entries), Err(ExportError::Form(_))), "{other}");
            }
        }
    }
}
