//! Messages of a chat: in pages from newest to oldest, by identifier, and by link.

use super::links::MessageLink;
use super::peers::{Peer, Seen, key_of, resolve};
use super::{ChatError, stories};
use crate::client::Client;
use crate::tl::api::{enums, functions, types};

/// How many messages one request asks for; the server gives no more.
pub const PAGE: usize = 100;

/// Which messages of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of them.
    All,
    /// Identifiers from the first to the second, both included.
    Ids(i32, i32),
    /// Unix times from the first to the second, both included.
    Times(i64, i64),
    /// The newest so many.
    Last(usize),
}

/// Reads a chat from newest to oldest, a page at a time.
pub struct History<'a> {
    client: &'a Client,
    peer: Peer,
    topic: Option<i32>,
    range: Range,
    offset_id: i32,
    offset_date: i32,
    left: usize,
    ended: bool,
}

impl<'a> History<'a> {
    /// Of one chat, or of one topic or thread of it.
    pub fn new(client: &'a Client, peer: Peer, topic: Option<i32>, range: Range) -> Self {
        let offset_id = match range {
            Range::Ids(_, to) => to.saturating_add(1),
            _ => 0,
        };
        let offset_date = match range {
            Range::Times(_, to) => i32::try_from(to.saturating_add(1)).unwrap_or(0),
            _ => 0,
        };
        let left = if let Range::Last(n) = range { n } else { usize::MAX };
        Self { client, peer, topic, range, offset_id, offset_date, left, ended: false }
    }

    /// The next page, newest first; empty when there is nothing more. Messages outside of the range are left out.
    ///
    /// # Errors
    ///
    /// The server's and the connection's.
    pub async fn next_page(&mut self) -> Result<Vec<enums::Message>, ChatError> {
        while !self.ended && self.left > 0 {
            let limit = i32::try_from(self.left.min(PAGE)).unwrap_or(i32::MAX);
            let answer = if let Some(topic) = self.topic {
                let request = functions::messages::GetReplies {
                    peer: self.peer.input.clone(),
                    msg_id: topic,
                    offset_id: self.offset_id,
                    offset_date: self.offset_date,
                    add_offset: 0,
                    limit,
                    max_id: 0,
                    min_id: 0,
                    hash: 0,
                };
                self.client.invoke(&request).await?
            } else {
                let request = functions::messages::GetHistory {
                    peer: self.peer.input.clone(),
                    offset_id: self.offset_id,
                    offset_date: self.offset_date,
                    add_offset: 0,
                    limit,
                    max_id: 0,
                    min_id: 0,
                    hash: 0,
                };
                self.client.invoke(&request).await?
            };
            let page = messages_of(self.client, answer)?;
            let Some(oldest) = page.iter().map(id_of).min() else {
                self.ended = true;
                break;
            };
            // The next page begins below the oldest of this one. A server that repeats itself must not keep us here.
            if self.offset_id != 0 && oldest >= self.offset_id {
                self.ended = true;
                break;
            }
            self.offset_id = oldest;
            self.offset_date = 0;
            if oldest <= 1 {
                self.ended = true;
            }
            let mut kept = Vec::with_capacity(page.len());
            for message in page {
                match position(&message, self.range) {
                    Position::Inside => kept.push(message),
                    Position::Newer => {}
                    Position::Older => self.ended = true,
                }
            }
            kept.truncate(self.left);
            if !kept.is_empty() {
                self.left -= kept.len();
                return Ok(kept);
            }
        }
        Ok(Vec::new())
    }
}

enum Position {
    Newer,
    Inside,
    Older,
}

fn position(message: &enums::Message, range: Range) -> Position {
    let (value, from, to) = match range {
        Range::All | Range::Last(_) => return Position::Inside,
        Range::Ids(from, to) => (i64::from(id_of(message)), i64::from(from), i64::from(to)),
        Range::Times(from, to) => match date_of(message) {
            Some(date) => (i64::from(date), from, to),
            None => return Position::Newer,
        },
    };
    if value < from {
        Position::Older
    } else if value > to {
        Position::Newer
    } else {
        Position::Inside
    }
}

/// A message's identifier, whatever kind it is.
pub fn id_of(message: &enums::Message) -> i32 {
    match message {
        enums::Message::Empty(m) => m.id,
        enums::Message::Message(m) => m.id,
        enums::Message::Service(m) => m.id,
    }
}

/// A message's Unix time; a deleted one has none.
pub fn date_of(message: &enums::Message) -> Option<i32> {
    match message {
        enums::Message::Empty(_) => None,
        enums::Message::Message(m) => Some(m.date),
        enums::Message::Service(m) => Some(m.date),
    }
}

/// The bare identifier of the chat that a message is in; a deleted one is in none.
fn chat_of(message: &enums::Message) -> Option<i64> {
    match message {
        enums::Message::Empty(_) => None,
        enums::Message::Message(m) => Some(key_of(&m.peer_id).1),
        enums::Message::Service(m) => Some(key_of(&m.peer_id).1),
    }
}

/// Messages of a chat by identifier, up to [`PAGE`] a request, in the order asked for. Those that do not exist are left out. Negative
/// identifiers are those of [`stories`], which come last.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn by_ids(client: &Client, peer: &Peer, ids: &[i32]) -> Result<Vec<enums::Message>, ChatError> {
    let mut found = Vec::with_capacity(ids.len());
    let (told, ids): (Vec<i32>, Vec<i32>) = ids.iter().partition(|id| stories::number_of(**id).is_some());
    for chunk in ids.chunks(PAGE) {
        let id: Vec<enums::InputMessage> = chunk.iter().map(|id| types::InputMessageId { id: *id }.into()).collect();
        let answer = match &peer.input {
            enums::InputPeer::Channel(channel) => {
                let channel = types::InputChannel { channel_id: channel.channel_id, access_hash: channel.access_hash }.into();
                client.invoke(&functions::channels::GetMessages { channel, id }).await?
            }
            _ => client.invoke(&functions::messages::GetMessages { id }).await?,
        };
        let mut page: std::collections::HashMap<i32, enums::Message> =
            messages_of(client, answer)?.into_iter().map(|m| (id_of(&m), m)).collect();
        // Outside channels identifiers count over all chats of the account: one of another chat is not what was asked for.
        found.extend(chunk.iter().filter_map(|id| page.remove(id)).filter(|m| chat_of(m) == Some(peer.id)));
    }
    found.extend(stories::by_ids(client, peer, &told).await?);
    Ok(found)
}

/// The message that a link names, and the chat it is in. With `?comment=` that is the linked discussion group.
///
/// # Errors
///
/// [`ChatError::NoMessage`] when it does not exist.
pub async fn by_link(client: &Client, link: &MessageLink) -> Result<(Peer, enums::Message), ChatError> {
    let mut peer = resolve(client, &link.chat).await?;
    let mut id = link.message;
    if let Some(comment) = link.comment {
        let request = functions::messages::GetDiscussionMessage { peer: peer.input.clone(), msg_id: link.message };
        let enums::messages::DiscussionMessage::Message(answer) = client.invoke(&request).await?;
        let seen = Seen::collect(&answer.users, &answer.chats);
        seen.remember(client)?;
        let group = answer.messages.iter().find_map(|m| match m {
            enums::Message::Message(m) => seen.of(&m.peer_id),
            _ => None,
        });
        peer = group.map(Peer::from).ok_or(ChatError::NoMessage { id: comment })?;
        id = comment;
    }
    let message = by_ids(client, &peer, &[id]).await?.pop().ok_or(ChatError::NoMessage { id })?;
    Ok((peer, message))
}

/// All messages of the album that `message` belongs to, oldest first; just the message where it is in none.
///
/// # Errors
///
/// The server's and the connection's.
pub async fn album(client: &Client, peer: &Peer, message: &types::Message) -> Result<Vec<enums::Message>, ChatError> {
    let Some(group) = message.grouped_id else { return Ok(vec![enums::Message::from(message.clone())]) };
    // An album has at most ten messages, sent in a row.
    let ids: Vec<i32> = (message.id.saturating_sub(9).max(1)..=message.id.saturating_add(9)).collect();
    let near = by_ids(client, peer, &ids).await?;
    Ok(near.into_iter().filter(|m| matches!(m, enums::Message::Message(m) if m.grouped_id == Some(group))).collect())
}

fn messages_of(client: &Client, answer: enums::messages::Messages) -> Result<Vec<enums::Message>, ChatError> {
    let (messages, users, chats) = match answer {
        enums::messages::Messages::Messages(m) => (m.messages, m.users, m.chats),
        enums::messages::Messages::Slice(m) => (m.messages, m.users, m.chats),
        enums::messages::Messages::ChannelMessages(m) => (m.messages, m.users, m.chats),
        enums::messages::Messages::NotModified(_) => return Err(ChatError::UnexpectedAnswer { method: "messages.getHistory" }),
    };
    Seen::collect(&users, &chats).remember(client)?;
    Ok(messages)
}
