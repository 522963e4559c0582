//! What a request asks for: its path and its query.

use std::borrow::Cow;

use thiserror::Error;

use crate::chat::links::{self, ChatRef, LinkError, MessageLink};

/// Longer paths are refused: no link of a message comes near.
const MAX_PATH: usize = 2048;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/`: the list of files, for people.
    Index,
    /// `/index.json`: the same for programs.
    Json,
    /// `/playlist.m3u8`: the same for players.
    Playlist,
    /// A file of a message.
    File(FilePath),
}

/// One file of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath {
    /// The message.
    pub link: MessageLink,
    /// Which of its files, from 1.
    pub file: u32,
}

/// Why a path names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// It is longer than any that leads anywhere.
    #[error("the path is too long")]
    TooLong,
    /// `%` without two hexadecimal digits behind it, or bytes that are no text.
    #[error("the path is not text")]
    Escape,
    /// Neither a page nor of the form chat/message.
    #[error("there is no such page: files are at /CHAT/MESSAGE, /CHAT/MESSAGE/NUMBER, or /CHAT/s/STORY")]
    Unknown,
    /// The first part is no chat.
    #[error("{0:?} is not a chat: use its name or its id")]
    Chat(String),
    /// What should be a message's number is none.
    #[error("{0:?} is not the number of a message")]
    Message(String),
    /// What should be a file's number is none.
    #[error("{0:?} is not the number of a file: they count from 1")]
    File(String),
    /// What follows `t.me/` is no link to a message.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// The parameters of a query that mean something here; others are left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// `token=`: as it came.
    pub token: Option<String>,
    /// `download=1`: save it, do not show it.
    pub download: bool,
    /// `page=`: which hundred messages of the list, from 1.
    pub page: u32,
    /// `comment=`: as in a message link.
    pub comment: Option<i32>,
}

impl Query {
    /// Reads what stands behind the `?`. What cannot be read is as if it were not there.
    pub fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self { page: 1, ..Self::default() };
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "token" => parsed.token = Some(value.to_owned()),
                "download" => parsed.download = value != "0",
                "page" => parsed.page = value.parse().unwrap_or(1).max(1),
                "comment" => parsed.comment = value.parse().ok().filter(|id| *id > 0),
                _ => {}
            }
        }
        parsed
    }
}

/// Reads a path, without the token that may stand in front: a page; `/CHAT/MESSAGE`, `/CHAT/MESSAGE/N` or `/CHAT/MESSAGE/N/NAME`, where the
/// name is for whoever saves it and means nothing; the same with `s/STORY` for a message; after `/c` for chats by id; or a whole link after
/// `/t.me`.
///
/// # Errors
///
/// Says what it would have to be instead.
pub fn parse(path: &str, query: &Query) -> Result<Target, PathError> {
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let inside = path.strip_prefix('/').ok_or(PathError::Relative)?;
    let segments: Vec<Cow<'_, str>> =
        inside.split('/').filter(|s| !s.is_empty()).map(decoded).collect::<Result<_, PathError>>()?;
    let mut segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match segments.as_slice() {
        [] | ["index.html"] => return Ok(Target::Index),
        ["index.json"] => return Ok(Target::Json),
        ["playlist.m3u8" | "playlist.m3u"] => return Ok(Target::Playlist),
        // A link pasted behind the address: its scheme, if it has one, is a segment of its own.
        [scheme @ ("https:" | "http:"), rest @ ..] if is_link(rest) => {
            let link = links::message_link(&format!("{scheme}//{}", rest.join("/")))?;
            return Ok(file(link, query, 1));
        }
        rest if is_link(rest) => return Ok(file(links::message_link(&rest.join("/"))?, query, 1)),
        _ => {}
    }
    let by_id = segments.first() == Some(&"c");
    if by_id {
        segments.remove(0);
    }
    let (is_story, chat, message, number) = match *segments.as_slice() {
        [chat, "s", story] => (true, chat, story, None),
        [chat, "s", story, number] | [chat, "s", story, number, _] => (true, chat, story, Some(number)),
        [chat, message] => (false, chat, message, None),
        [chat, message, number] | [chat, message, number, _] => (false, chat, message, Some(number)),
        _ => return Err(PathError::Unknown),
    };
    let chat = match links::chat(chat) {
        Ok(chat @ ChatRef::Id(_)) => chat,
        Ok(chat @ (ChatRef::Own | ChatRef::Username(_))) if !by_id => chat,
        _ => return Err(PathError::Chat(chat.to_owned())),
    };
    let message =
        number_of(message).and_then(|m| i32::try_from(m).ok()).ok_or_else(|| PathError::Message(message.to_owned()))?;
    let message = if is_story { message.saturating_neg() } else { message };
    let number = match number {
        None => 1,
        Some(text) => number_of(text).ok_or_else(|| PathError::File(text.to_owned()))?,
    };
    Ok(file(MessageLink { chat, message, comment: None }, query, number))
}

fn file(mut link: MessageLink, query: &Query, file: u32) -> Target {
    link.comment = query.comment.filter(|_| !link.is_story());
    Target::File(FilePath { link, file })
}

fn is_link(segments: &[&str]) -> bool {
    matches!(segments, ["t.me" | "telegram.me" | "telegram.dog", _, ..])
}

/// A decimal number above zero.
fn number_of(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n > 0)
}

/// A segment without its percent signs.
fn decoded(segment: &str) -> Result<Cow<'_, str>, PathError> {
    if !segment.contains('%') {
        return Ok(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16)).ok_or(PathError::Escape);
                u8::try_from(digit()? * 16 + digit()?).map_err(|_| PathError::Escape)?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| PathError::Escape)
}

/// A segment with percent signs: all but letters, digits and `-._~` are written so (RFC 3986, section 2.3).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<Target, PathError> {
        let (path, query) = text.split_once('?').map_or((text, None), |(p, q)| (p, Some(q)));
        parse(path, &Query::parse(query))
    }

    fn found(chat: ChatRef, message: i32, comment: Option<i32>, file: u32) -> Result<Target, PathError> {
        Ok(Target::File(FilePath { link: MessageLink { chat, message, comment }, file }))
    }

    #[test]
    fn every_form_of_a_path() {
        let name = || ChatRef::Username("telegram".into());
        for (text, want) in [
            ("/", Ok(Target::Index)),
            ("/index.html", Ok(Target::Index)),
            ("//index.json", Ok(Target::Json)),
            ("/playlist.m3u8", Ok(Target::Playlist)),
            ("/telegram/193", found(name(), 193, None, 1)),
            ("/@telegram/193/", found(name(), 193, None, 1)),
            ("/telegram/193/2", found(name(), 193, None, 2)),
            ("/telegram/193/2/a%20b%2Fc.mp4", found(name(), 193, None, 2)),
            ("/telegram/193?comment=9", found(name(), 193, Some(9), 1)),
            ("/1697797156/151", found(ChatRef::Id(1_697_797_156), 151, None, 1)),
            ("/-1001697797156/151", found(ChatRef::Id(1_697_797_156), 151, None, 1)),
            ("/c/1697797156/151/3", found(ChatRef::Id(1_697_797_156), 151, None, 3)),
            ("/me/7", found(ChatRef::Own, 7, None, 1)),
            ("/telegram/s/12", found(name(), -12, None, 1)),
            ("/c/1697797156/s/12/2/a.mp4", found(ChatRef::Id(1_697_797_156), -12, None, 2)),
            ("/t.me/telegram/s/12", found(name(), -12, None, 1)),
            ("/telegram/s/12?comment=9", found(name(), -12, None, 1)),
            ("/t.me/telegram/5/193", found(name(), 193, None, 1)),
            ("/https://t.me/c/1697797156/7/151", found(ChatRef::Id(1_697_797_156), 151, None, 1)),
        ] {
            assert_eq!(path(text), want, "{text}");
        }
    }

    #[test]
    fn each_error() {
        let text = |t: &str| t.to_owned();
        for (path_text, want) in [
            ("telegram/193", PathError::Relative),
            ("*", PathError::Relative),
            ("/a%2", PathError::Escape),
            ("/%zz/1", PathError::Escape),
            ("/%ff/1", PathError::Escape),
            ("/favicon.ico", PathError::Unknown),
            ("/telegram/1/1/x/y", PathError::Unknown),
            ("/c/151", PathError::Unknown),
            ("/../1", PathError::Chat(text(".."))),
            ("/+4912345678/1", PathError::Chat(text("+4912345678"))),
            ("/c/telegram/1", PathError::Chat(text("telegram"))),
            ("/telegram/x", PathError::Message(text("x"))),
            ("/telegram/0", PathError::Message(text("0"))),
            ("/telegram/-12", PathError::Message(text("-12"))),
            ("/telegram/s/0", PathError::Message(text("0"))),
            ("/telegram/+1", PathError::Message(text("+1"))),
            ("/telegram/4294967295", PathError::Message(text("4294967295"))),
            ("/telegram/1/0", PathError::File(text("0"))),
            ("/telegram/1/name.mp4", PathError::File(text("name.mp4"))),
            ("/t.me/joinchat/x", PathError::Link(LinkError::Invite(text("t.me/joinchat/x")))),
        ] {
            assert_eq!(path(path_text), Err(want), "{path_text}");
        }
        assert_eq!(path(&format!("/{}", "a".repeat(MAX_PATH))), Err(PathError::TooLong));
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in ["plain.mp4", "a b/c?d#e%f", "Ünïcödé \u{1f980}.txt", "\n\0"] {
            assert_eq!(decoded(&encoded(text)).unwrap(), text);
            assert!(encoded(text).bytes().all(|b| b.is_ascii_graphic()));
        }
        assert_eq!(Query::parse(Some("page=0&download&x=1&token=a=b")).token.as_deref(), Some("a=b"));
        assert_eq!(Query::parse(Some("page=x")), Query { page: 1, ..Query::default() });
        assert!(Query::parse(Some("download")).download && !Query::parse(Some("download=0")).download);
    }
}
