//! The list of chats ("messages.getDialogs"), page by page.

use super::ChatError;
use super::peers::{Seen, input_of, key_of};
use crate::client::{Client, PeerKind};
use crate::tl::api::{enums, functions, types};

/// How many chats one request asks for; the server gives no more.
const PAGE: i32 = 100;

/// What kind of chat it is, in the words of the Go tool's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogKind {
    /// With a user or a bot.
    Private,
    /// A broadcast channel.
    Channel,
    /// A basic group or a supergroup.
    Group,
    /// The answer did not say.
    Unknown,
}

impl DialogKind {
    /// As `chat ls` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Channel => "channel",
            Self::Group => "group",
            Self::Unknown => "unknown",
        }
    }
}

/// A topic of a forum.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Identifier: that of the message that opened it.
    pub id: i32,
    /// Its title.
    pub title: String,
}

/// One chat of the list.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Bare identifier.
    pub id: i64,
    /// What kind of chat.
    pub kind: DialogKind,
    /// Title, or name of the user; "Saved Messages" for the chat with oneself.
    pub title: String,
    /// Public name without `@`.
    pub username: Option<String>,
    /// Topics, for a forum.
    pub topics: Vec<Topic>,
    /// Messages not read yet.
    pub unread: i32,
    /// Identifier of the newest message.
    pub top_message: i32,
}

/// All chats of the main list, newest first. Every peer is remembered.
///
/// # Errors
///
/// The first failing page ends the list: a partial one would look whole.
pub async fn list(client: &Client) -> Result<Vec<Dialog>, ChatError> {
    let own = client.store().account()?.map(|account| account.user_id);
    let mut all = Vec::new();
    let mut request = functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: PAGE,
        hash: 0,
    };
    let mut known = std::collections::HashSet::new();
    loop {
        let (page, last) = match client.invoke(&request).await? {
            enums::messages::Dialogs::Dialogs(all) => {
                (Page { dialogs: all.dialogs, messages: all.messages, chats: all.chats, users: all.users }, true)
            }
            enums::messages::Dialogs::Slice(some) => {
                (Page { dialogs: some.dialogs, messages: some.messages, chats: some.chats, users: some.users }, false)
            }
            enums::messages::Dialogs::NotModified(_) => {
                return Err(ChatError::UnexpectedAnswer { method: "messages.getDialogs" });
            }
        };
        let seen = Seen::collect(&page.users, &page.chats);
        seen.remember(client)?;
        let before = all.len();
        for dialog in &page.dialogs {
            let enums::Dialog::Dialog(dialog) = dialog else { continue };
            if !known.insert(key_of(&dialog.peer)) {
                continue;
            }
            let mut entry = describe(dialog, &page, &seen, own);
            if is_forum(&dialog.peer, &page.chats) {
                entry.topics = topics(client, &dialog.peer, &seen).await?;
            }
            all.push(entry);
        }
        // A page that brought nothing new must not be asked for again.
        if last || all.len() == before {
            return Ok(all);
        }
        let Some(offset) = page.offset(&seen) else { return Ok(all) };
        request.exclude_pinned = true;
        (request.offset_date, request.offset_id, request.offset_peer) = offset;
    }
}

struct Page {
    dialogs: Vec<enums::Dialog>,
    messages: Vec<enums::Message>,
    chats: Vec<enums::Chat>,
    users: Vec<enums::User>,
}

impl Page {
    /// Where the next page begins: date, identifier and peer of the last chat's newest message.
    fn offset(&self, seen: &Seen) -> Option<(i32, i32, enums::InputPeer)> {
        self.dialogs.iter().rev().find_map(|dialog| {
            let enums::Dialog::Dialog(dialog) = dialog else { return None };
            let record = seen.of(&dialog.peer)?;
            let date = self.messages.iter().find_map(|message| match message {
                enums::Message::Message(m) if m.id == dialog.top_message && key_of(&m.peer_id) == key_of(&dialog.peer) => {
                    Some(m.date)
                }
                enums::Message::Service(m) if m.id == dialog.top_message && key_of(&m.peer_id) == key_of(&dialog.peer) => {
                    Some(m.date)
                }
                _ => None,
            })?;
            Some((date, dialog.top_message, input_of(record)))
        })
    }
}

fn describe(dialog: &types::Dialog, page: &Page, seen: &Seen, own: Option<i64>) -> Dialog {
    let (kind, id) = key_of(&dialog.peer);
    let record = seen.of(&dialog.peer);
    let kind = match kind {
        PeerKind::User => DialogKind::Private,
        PeerKind::Chat => DialogKind::Group,
        PeerKind::Channel => page
            .chats
            .iter()
            .find_map(|chat| match chat {
                enums::Chat::Channel(c) if c.id == id => {
                    Some(if c.broadcast { DialogKind::Channel } else { DialogKind::Group })
                }
                enums::Chat::ChannelForbidden(c) if c.id == id => {
                    Some(if c.broadcast { DialogKind::Channel } else { DialogKind::Group })
                }
                _ => None,
            })
            .unwrap_or(DialogKind::Unknown),
    };
    let title = match record {
        _ if kind == DialogKind::Private && own == Some(id) => "Saved Messages".to_owned(),
        Some(record) => record.title.clone(),
        None => id.to_string(),
    };
    Dialog {
        id,
        kind,
        title,
        username: record.and_then(|r| r.username.clone()),
        topics: Vec::new(),
        unread: dialog.unread_count,
        top_message: dialog.top_message,
    }
}

fn is_forum(peer: &enums::Peer, chats: &[enums::Chat]) -> bool {
    let (kind, id) = key_of(peer);
    kind == PeerKind::Channel && chats.iter().any(|chat| matches!(chat, enums::Chat::Channel(c) if c.id == id && c.forum))
}

/// The topics of a forum, page by page.
async fn topics(client: &Client, peer: &enums::Peer, seen: &Seen) -> Result<Vec<Topic>, ChatError> {
    let Some(record) = seen.of(peer) else { return Ok(Vec::new()) };
    let mut all: Vec<Topic> = Vec::new();
    let mut request = functions::messages::GetForumTopics {
        peer: input_of(record),
        q: None,
        offset_date: 0,
        offset_id: 0,
        offset_topic: 0,
        limit: PAGE,
    };
    loop {
        let enums::messages::ForumTopics::Topics(page) = client.invoke(&request).await?;
        let before = all.len();
        let mut last = None;
        for topic in &page.topics {
            if let enums::ForumTopic::Topic(topic) = topic {
                last = Some((topic.date, topic.top_message, topic.id));
                if all.iter().all(|t| t.id != topic.id) {
                    all.push(Topic { id: topic.id, title: topic.title.to_string() });
                }
            }
        }
        let complete = usize::try_from(page.count).is_ok_and(|count| all.len() >= count);
        let Some((date, message, id)) = last else { return Ok(all) };
        if complete || all.len() == before {
            return Ok(all);
        }
        (request.offset_date, request.offset_id, request.offset_topic) = (date, message, id);
    }
}
