//! Message links and the ways to name a chat, as people paste them.
//!
//! See the page "Deep links": public posts, private posts, topics, comments, stories, and their `tg://` forms.

use std::fmt;

use thiserror::Error;

/// What a chat was called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatRef {
    /// Saved Messages.
    Own,
    /// A public name, without `@`.
    Username(String),
    /// A phone number, digits only.
    Phone(String),
    /// A bare identifier: of a channel, a user or a basic group that this namespace has seen.
    Id(i64),
}

impl fmt::Display for ChatRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("Saved Messages"),
            Self::Username(name) => write!(f, "@{name}"),
            Self::Phone(phone) => write!(f, "+{phone}"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// One message, as a link names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageLink {
    /// The chat.
    pub chat: ChatRef,
    /// The message's identifier in that chat; of a story its number, negated: see [`stories`](super::stories).
    pub message: i32,
    /// With `?comment=`: the message of the linked discussion group that is meant instead.
    pub comment: Option<i32>,
}

impl MessageLink {
    /// Whether a story is meant.
    pub fn is_story(&self) -> bool {
        super::stories::number_of(self.message).is_some()
    }
}

/// Why a text is no link or chat name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// No form of it is known.
    #[error(
        "{0:?} is not a message link (expected https://t.me/NAME/ID, https://t.me/c/CHAT/ID, https://t.me/NAME/s/STORY or tg://resolve?…)"
    )]
    NotAMessageLink(String),
    /// Invite links name a chat that one may not be in.
    #[error("{0:?} is an invite link: join the chat first, then name it by its @name or id")]
    Invite(String),
    /// What follows the `/s/` of a story link is not a story's number.
    #[error("{0:?} does not end in the number of a story")]
    BadStory(String),
    /// The number after the chat is not a message identifier.
    #[error("{0:?} does not end in a message number")]
    BadMessageId(String),
    /// The text is no name, number or link of a chat.
    #[error("{0:?} is not a chat: use @name, a t.me link, a phone number, or the id that `tdl chat ls` shows")]
    NotAChat(String),
}

/// The hosts that serve message links.
const HOSTS: [&str; 3] = ["t.me", "telegram.me", "telegram.dog"];

/// Parses a link to one message, or to one story.
///
/// # Errors
///
/// Says what the text is instead, where that can be told.
pub fn message_link(text: &str) -> Result<MessageLink, LinkError> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("tg:") {
        return tg_message(text, rest.trim_start_matches('/'));
    }
    let Some((host_user, path, query)) = split_web(text) else { return Err(LinkError::NotAMessageLink(text.to_owned())) };
    let mut segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if let Some(user) = host_user {
        segments.insert(0, user);
    }
    if let [first, ..] = segments.as_slice()
        && (first.starts_with('+') || *first == "joinchat")
    {
        return Err(LinkError::Invite(text.to_owned()));
    }
    // The web preview's /s/NAME/ID.
    if let ["s", rest @ ..] = segments.as_slice()
        && rest.len() == 2
    {
        segments = rest.to_vec();
    }
    let bad_id = || LinkError::BadMessageId(text.to_owned());
    let (chat, message) = match segments.as_slice() {
        ["c", chat, "s", story] => {
            let id = chat.parse().map_err(|_| LinkError::NotAMessageLink(text.to_owned()))?;
            return story_link(text, ChatRef::Id(id), story);
        }
        [chat, "s", story] => {
            let chat = named(chat).ok_or_else(|| LinkError::NotAMessageLink(text.to_owned()))?;
            return story_link(text, chat, story);
        }
        // A story album, a topic that is none.
        [_, topic, _] if message_id(topic).is_none() && segments.first() != Some(&"c") => {
            return Err(LinkError::NotAMessageLink(text.to_owned()));
        }
        ["c", chat, message] | ["c", chat, _, message] => {
            let id = chat.parse().map_err(|_| LinkError::NotAMessageLink(text.to_owned()))?;
            (ChatRef::Id(id), message)
        }
        [chat, message] | [chat, _, message] => {
            (named(chat).ok_or_else(|| LinkError::NotAMessageLink(text.to_owned()))?, message)
        }
        _ => return Err(LinkError::NotAMessageLink(text.to_owned())),
    };
    let message = message_id(message).ok_or_else(bad_id)?;
    let comment = parameter(query, "comment").map(|c| message_id(c).ok_or_else(bad_id)).transpose()?;
    Ok(MessageLink { chat, message, comment })
}

fn story_link(text: &str, chat: ChatRef, story: &str) -> Result<MessageLink, LinkError> {
    let number = message_id(story).ok_or_else(|| LinkError::BadStory(text.to_owned()))?;
    Ok(MessageLink { chat, message: number.saturating_neg(), comment: None })
}

fn tg_message(text: &str, rest: &str) -> Result<MessageLink, LinkError> {
    let (action, query) = rest.split_once('?').unwrap_or((rest, ""));
    let not = || LinkError::NotAMessageLink(text.to_owned());
    let chat = match action.trim_end_matches('/') {
        "resolve" => named(parameter(query, "domain").ok_or_else(not)?).ok_or_else(not)?,
        "privatepost" => ChatRef::Id(parameter(query, "channel").and_then(|c| c.parse().ok()).ok_or_else(not)?),
        "join" => return Err(LinkError::Invite(text.to_owned())),
        _ => return Err(not()),
    };
    if let Some(story) = parameter(query, "story") {
        return story_link(text, chat, story);
    }
    let bad_id = || LinkError::BadMessageId(text.to_owned());
    let message = parameter(query, "post").and_then(message_id).ok_or_else(bad_id)?;
    let comment = parameter(query, "comment").map(|c| message_id(c).ok_or_else(bad_id)).transpose()?;
    Ok(MessageLink { chat, message, comment })
}

/// Parses what a person may call a chat: nothing or `me` for Saved Messages, an id (with or without the bot API's `-100`),
/// `@name`, a `t.me` link, a phone number.
///
/// # Errors
///
/// When it is none of these.
pub fn chat(text: &str) -> Result<ChatRef, LinkError> {
    let text = text.trim();
    if text.is_empty() || text == "me" || text == "self" {
        return Ok(ChatRef::Own);
    }
    if let Ok(id) = text.parse::<i64>()
        && !text.starts_with('+')
    {
        return Ok(ChatRef::Id(bare_id(id)));
    }
    let not = || LinkError::NotAChat(text.to_owned());
    if let Some(rest) = text.strip_prefix("tg:") {
        let (action, query) = rest.trim_start_matches('/').split_once('?').ok_or_else(not)?;
        return match action.trim_end_matches('/') {
            "resolve" => {
                if let Some(phone) = parameter(query, "phone").and_then(phone_number) {
                    return Ok(ChatRef::Phone(phone));
                }
                parameter(query, "domain").and_then(named).ok_or_else(not)
            }
            "join" => Err(LinkError::Invite(text.to_owned())),
            _ => Err(not()),
        };
    }
    if let Some((host_user, path, _)) = split_web(text) {
        if let Some(user) = host_user {
            return named(user).ok_or_else(not);
        }
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        return match segments.as_slice() {
            [first, ..] if first.starts_with('+') && phone_number(first).is_none() => Err(LinkError::Invite(text.to_owned())),
            ["joinchat", ..] => Err(LinkError::Invite(text.to_owned())),
            ["c", id, ..] => id.parse().map(ChatRef::Id).map_err(|_| not()),
            [first, ..] if first.starts_with('+') => phone_number(first).map(ChatRef::Phone).ok_or_else(not),
            [name, ..] => named(name).ok_or_else(not),
            [] => Err(not()),
        };
    }
    if text.starts_with('+') {
        return phone_number(text).map(ChatRef::Phone).ok_or_else(not);
    }
    named(text.strip_prefix('@').unwrap_or(text)).ok_or_else(not)
}

/// The bot API writes channels as -100ID and groups as -ID.
fn bare_id(id: i64) -> i64 {
    const CHANNEL: i64 = -1_000_000_000_000;
    if id < CHANNEL { CHANNEL - id } else { id.saturating_abs() }
}

/// `(user of user.t.me, path, query)` when the host is one of ours.
fn split_web(text: &str) -> Option<(Option<&str>, &str, &str)> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let rest = rest.split('#').next().unwrap_or(rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.strip_prefix("www.").unwrap_or(host);
    if HOSTS.iter().any(|h| h.eq_ignore_ascii_case(host)) {
        return Some((None, path, query));
    }
    let user = host.strip_suffix(".t.me")?;
    Some((Some(user), path, query))
}

fn named(name: &str) -> Option<ChatRef> {
    if let Ok(id) = name.parse::<i64>() {
        return Some(ChatRef::Id(bare_id(id)));
    }
    let ok = name.len() >= 2
        && name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    ok.then(|| ChatRef::Username(name.to_owned()))
}

fn phone_number(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let only = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.'));
    (only && (5..=15).contains(&digits.len())).then_some(digits)
}

fn message_id(text: &str) -> Option<i32> {
    text.parse().ok().filter(|id| *id > 0)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(chat: ChatRef, message: i32) -> MessageLink {
        MessageLink { chat, message, comment: None }
    }

    #[test]
    fn every_form_of_a_message_link() {
        let name = || ChatRef::Username("telegram".into());
        for (text, want) in [
            ("https://t.me/telegram/193", link(name(), 193)),
            ("http://t.me/telegram/193?single", link(name(), 193)),
            ("t.me/telegram/5/193", link(name(), 193)),
            ("https://telegram.me/telegram/193#x", link(name(), 193)),
            ("https://www.telegram.dog/telegram/193/", link(name(), 193)),
            ("https://t.me/s/telegram/193", link(name(), 193)),
            ("https://telegram.t.me/193", link(name(), 193)),
            ("https://t.me/1697797156/151", link(ChatRef::Id(1_697_797_156), 151)),
            ("https://t.me/c/1697797156/151", link(ChatRef::Id(1_697_797_156), 151)),
            ("https://t.me/c/1697797156/7/151", link(ChatRef::Id(1_697_797_156), 151)),
            ("tg://resolve?domain=telegram&post=193", link(name(), 193)),
            ("tg:resolve?domain=telegram&post=193", link(name(), 193)),
            ("tg://privatepost?channel=1697797156&post=151", link(ChatRef::Id(1_697_797_156), 151)),
            ("https://t.me/telegram/s/193", link(name(), -193)),
            ("https://telegram.t.me/s/193", link(name(), -193)),
            ("https://t.me/c/1697797156/s/151", link(ChatRef::Id(1_697_797_156), -151)),
            ("tg://resolve?domain=telegram&story=193", link(name(), -193)),
            ("https://t.me/telegram/193?comment=9", MessageLink { chat: name(), message: 193, comment: Some(9) }),
            ("https://t.me/c/1/193?comment=9", MessageLink { chat: ChatRef::Id(1), message: 193, comment: Some(9) }),
        ] {
            assert_eq!(message_link(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_link_says_what_it_is() {
        assert!(matches!(message_link("https://t.me/+abcdef"), Err(LinkError::Invite(_))));
        assert!(matches!(message_link("https://t.me/joinchat/abc"), Err(LinkError::Invite(_))));
        assert!(matches!(message_link("https://t.me/telegram/a/5"), Err(LinkError::NotAMessageLink(_))));
        assert!(matches!(message_link("https://t.me/c/telegram/s/5"), Err(LinkError::NotAMessageLink(_))));
        assert!(matches!(message_link("https://t.me/telegram/s/live"), Err(LinkError::BadStory(_))));
        assert!(matches!(message_link("https://t.me/telegram/s/-4"), Err(LinkError::BadStory(_))));
        assert!(matches!(message_link("tg://resolve?domain=telegram&story=0"), Err(LinkError::BadStory(_))));
        assert!(matches!(message_link("https://t.me/telegram/0"), Err(LinkError::BadMessageId(_))));
        assert!(matches!(message_link("https://t.me/telegram/99999999999"), Err(LinkError::BadMessageId(_))));
        assert!(matches!(message_link("https://example.org/telegram/1"), Err(LinkError::NotAMessageLink(_))));
        assert!(matches!(message_link("https://t.me/telegram"), Err(LinkError::NotAMessageLink(_))));
        assert!(matches!(message_link(""), Err(LinkError::NotAMessageLink(_))));
    }

    #[test]
    fn every_form_of_a_chat() {
        for (text, want) in [
            ("", ChatRef::Own),
            ("me", ChatRef::Own),
            ("@telegram", ChatRef::Username("telegram".into())),
            ("telegram", ChatRef::Username("telegram".into())),
            ("https://t.me/telegram", ChatRef::Username("telegram".into())),
            ("tg://resolve?domain=telegram", ChatRef::Username("telegram".into())),
            ("+1 (311) 555-0123", ChatRef::Phone("13115550123".into())),
            ("https://t.me/+13115550123", ChatRef::Phone("13115550123".into())),
            ("1697797156", ChatRef::Id(1_697_797_156)),
            ("-1001697797156", ChatRef::Id(1_697_797_156)),
            ("-123456", ChatRef::Id(123_456)),
            ("https://t.me/c/1697797156/12", ChatRef::Id(1_697_797_156)),
        ] {
            assert_eq!(chat(text), Ok(want), "{text}");
        }
        assert!(matches!(chat("https://t.me/+AbCdEf"), Err(LinkError::Invite(_))));
        assert!(matches!(chat("no such chat"), Err(LinkError::NotAChat(_))));
        assert_eq!(chat(&i64::MIN.to_string()), Ok(ChatRef::Id(i64::MAX - 999_999_999_999)));
    }
}
