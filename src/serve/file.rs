//! What is said about a file in the head of an answer: its type, its name, what it is recognised by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::conditional::Validators;
use super::path::encoded;
use crate::transfer::name::safe_component;

/// The type of files of which nothing better is known.
const UNKNOWN: &str = "application/octet-stream";

/// Types longer than this are not believed.
const MAX_TYPE: usize = 100;

/// A file as its message describes it. All of it was written by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Identifier of the document or photo.
    pub id: i64,
    /// Which rendering of it: the size of a photo, nothing for a document. With [`id`](Self::id) and [`size`](Self::size) it says which
    /// bytes these are: they never change.
    pub kind: String,
    /// The name that its sender gave it.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// MIME type as its sender declared it.
    pub mime: String,
    /// Unix time of the upload; 0 when nobody knows.
    pub date: i64,
}

impl FileInfo {
    /// The tag and the date by which a client recognises it.
    pub fn validators(&self) -> Validators {
        let kind: String = self.kind.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let dash = if kind.is_empty() { "" } else { "-" };
        Validators { etag: format!("\"{:x}-{:x}{dash}{kind}\"", self.id, self.size), modified: self.modified() }
    }

    fn modified(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.date).ok().filter(|s| *s > 0)?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// A name that can be saved under, whatever the sender called it.
    pub fn safe_name(&self) -> String {
        safe_component(&self.name)
    }

    /// The type that is declared to clients: the sender's where it has the form of one, without parameters; else what the name's
    /// extension tells.
    pub fn content_type(&self) -> String {
        let declared = self.mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let kind = match is_type(&declared) && declared != UNKNOWN {
            true => declared,
            false => mime_guess::from_path(self.safe_name()).first_raw().unwrap_or(UNKNOWN).to_owned(),
        };
        // Without it browsers take the encoding of their language.
        if kind == "text/plain" { "text/plain; charset=utf-8".to_owned() } else { kind }
    }

    /// Whether a browser may show it. What could run a script as if it were a page of this server is only ever saved.
    pub fn is_harmless(&self) -> bool {
        let kind = self.content_type();
        let media = ["image/", "video/", "audio/"].iter().any(|prefix| kind.starts_with(prefix));
        (media && !kind.contains("xml")) || kind.starts_with("text/plain") || kind == "application/pdf"
    }

    /// The `Content-Disposition` field: to be shown, or to be saved; with the name in ASCII, and as it is (RFC 6266, RFC 8187).
    pub fn disposition(&self, save: bool) -> String {
        let how = if save || !self.is_harmless() { "attachment" } else { "inline" };
        let name = self.safe_name();
        let plain: String = name
            .chars()
            // Some clients decode percent signs here, though they should not.
            .map(|c| if (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
            .collect();
        match plain == name {
            true => format!("{how}; filename=\"{plain}\""),
            false => format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", encoded(&name)),
        }
    }
}

/// `type/subtype`, both of the characters of RFC 6838.
fn is_type(text: &str) -> bool {
    let part = |p: &str| {
        p.starts_with(|c: char| c.is_ascii_alphanumeric())
            && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= MAX_TYPE && text.split_once('/').is_some_and(|(a, b)| part(a) && part(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, mime: &str) -> FileInfo {
        FileInfo { id: 255, kind: String::new(), name: name.to_owned(), size: 16, mime: mime.to_owned(), date: 1_700_000_000 }
    }

    #[test]
    fn types_are_the_senders_when_they_are_types() {
        for (name, mime, want) in [
            ("a", "video/mp4", "video/mp4"),
            ("a", " Video/MP4; codecs=\"x\"", "video/mp4"),
            ("a.mkv", "application/octet-stream", "video/x-matroska"),
            ("a.mkv", "", "video/x-matroska"),
            ("a", "", UNKNOWN),
            ("a", "text/html\r\nX: y", UNKNOWN),
            ("a", "a/b/c", UNKNOWN),
            ("a", "/b", UNKNOWN),
            ("a", "text/plain", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(file(name, mime).content_type(), want, "{name} {mime:?}");
        }
    }

    #[test]
    fn what_could_run_is_only_saved() {
        for mime in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/javascript", "multipart/x"]
        {
            assert!(file("a", mime).disposition(false).starts_with("attachment"), "{mime}");
        }
        for mime in ["image/png", "video/mp4", "audio/ogg", "text/plain", "application/pdf"] {
            assert!(file("a", mime).disposition(false).starts_with("inline"), "{mime}");
            assert!(file("a", mime).disposition(true).starts_with("attachment"), "{mime}");
        }
        assert!(file("a.html", "").disposition(false).starts_with("attachment"), "by its extension too");
    }

    #[test]
    fn names_are_quoted_and_encoded() {
        let name = |n: &str| file(n, "video/mp4").disposition(false);
        assert_eq!(name("a b.mp4"), "inline; filename=\"a b.mp4\"");
        assert_eq!(name("é\"%.mp4"), "inline; filename=\"___.mp4\"; filename*=UTF-8''%C3%A9_%25.mp4");
        assert_eq!(name("a\r\nSet-Cookie: x"), "inline; filename=\"a__Set-Cookie_ x\"");
        assert_eq!(name("../../x"), "inline; filename=\".._.._x\"");
    }

    #[test]
    fn the_tag_is_made_of_what_the_bytes_are() {
        let base = file("a", "b/c");
        assert_eq!(base.validators().etag, "\"ff-10\"");
        assert_eq!(FileInfo { kind: "x\"y".into(), ..base.clone() }.validators().etag, "\"ff-10-xy\"");
        assert_eq!(FileInfo { id: -1, ..base.clone() }.validators().etag, "\"ffffffffffffffff-10\"");
        assert_eq!(FileInfo { date: -5, ..base }.validators().modified, None);
    }
}
