//! What a name template gets to see of a message and its file.

use std::collections::HashMap;

use humansize::{BINARY, format_size};
use tdl::chat::media::Media;
use tdl::chat::peers::{self, Peer};
use tdl::chat::{ChatError, history, stories};
use tdl::client::{Client, PeerKind};
use tdl::tl::api::{enums, functions, types};
use tdl::transfer::name::split_extension;

use crate::cli::template::{NameFields, NameTemplate, flat, flat_json, unix_now};

/// What has to be asked for, and is asked for once: only what the template mentions.
pub(super) struct Asker<'a> {
    client: &'a Client,
    template: &'a NameTemplate,
    /// Titles of topics, by chat and topic.
    topics: HashMap<(i64, i32), String>,
    /// Albums, by chat and number: their messages in order.
    albums: HashMap<(i64, i64), Vec<i32>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(client: &'a Client, template: &'a NameTemplate) -> Self {
        Self { client, template, topics: HashMap::new(), albums: HashMap::new() }
    }

    /// All that a template may want to know of one file of a message. `index` counts from 1.
    pub(super) async fn fields(
        &mut self,
        peer: &Peer,
        message: &types::Message,
        media: &Media,
        index: u32,
        told: Option<&serde_json::Value>,
    ) -> Result<NameFields, ChatError> {
        let name = flat(&media.name);
        let (stem, ext) = split_extension(&name);
        let own = self.client.store().account()?.map(|account| account.user_id);
        let (sender, sender_id) = sender_of(peer, message, own);
        let topic = topic_of(message);
        let mut export = told.cloned().unwrap_or_default();
        flat_json(&mut export);
        Ok(NameFields {
            dialog_id: peer.id,
            message_id: stories::number_of(message.id).unwrap_or(message.id),
            message_date: message.date.into(),
            file_stem: stem.to_owned(),
            file_ext: ext.to_owned(),
            file_name: name,
            file_caption: flat(&message.message),
            file_size: format_size(media.size, BINARY),
            file_bytes: media.size,
            file_id: media.id,
            file_date: media.date.into(),
            mime: flat(&media.mime),
            media_type: media.kind.name(),
            download_date: unix_now(),
            chat_title: flat(&peer.title),
            chat_name: if self.template.uses("ChatName") { flat(&self.public_name(peer)?) } else { String::new() },
            topic_id: topic,
            topic_title: if topic > 0 && self.template.uses("TopicTitle") {
                flat(&self.topic_title(peer, topic).await?)
            } else {
                String::new()
            },
            sender_id,
            sender_name: if self.template.uses("SenderName") {
                flat(&self.sender_name(peer, sender, message)?)
            } else {
                String::new()
            },
            grouped_id: message.grouped_id.unwrap_or(0),
            album_index: match message.grouped_id {
                Some(_) if self.template.uses("AlbumIndex") => self.album_index(peer, message).await?,
                _ => 0,
            },
            index,
            export,
        })
    }

    fn public_name(&self, peer: &Peer) -> Result<String, ChatError> {
        let store = self.client.store();
        let name = match kind_of(&peer.input) {
            Some(kind) => store.peer(kind, peer.id)?.and_then(|record| record.username),
            None => store.account()?.and_then(|account| account.username),
        };
        Ok(name.unwrap_or_default())
    }

    fn sender_name(&self, peer: &Peer, sender: Option<(PeerKind, i64)>, message: &types::Message) -> Result<String, ChatError> {
        // A channel's post may be signed.
        if let Some(author) = &message.post_author {
            return Ok(author.to_string());
        }
        let store = self.client.store();
        let Some((kind, id)) = sender else { return Ok(peer.title.clone()) };
        if let Some(account) = store.account()?.filter(|account| kind == PeerKind::User && account.user_id == id) {
            return Ok(account.name);
        }
        Ok(store.peer(kind, id)?.map(|record| record.title).unwrap_or_default())
    }

    async fn topic_title(&mut self, peer: &Peer, topic: i32) -> Result<String, ChatError> {
        let key = (peer.id, topic);
        if let Some(known) = self.topics.get(&key) {
            return Ok(known.clone());
        }
        let request = functions::messages::GetForumTopicsById { peer: peer.input.clone(), topics: vec![topic] };
        let enums::messages::ForumTopics::Topics(answer) = self.client.invoke(&request).await?;
        let title = answer.topics.iter().find_map(|found| match found {
            enums::ForumTopic::Topic(found) if found.id == topic => Some(found.title.to_string()),
            _ => None,
        });
        Ok(self.topics.entry(key).or_insert(title.unwrap_or_default()).clone())
    }

    async fn album_index(&mut self, peer: &Peer, message: &types::Message) -> Result<usize, ChatError> {
        let key = (peer.id, message.grouped_id.unwrap_or(0));
        if !self.albums.contains_key(&key) {
            let mut ids: Vec<i32> = history::album(self.client, peer, message).await?.iter().map(history::id_of).collect();
            ids.sort_unstable();
            self.albums.insert(key, ids);
        }
        let place = self.albums.get(&key).and_then(|ids| ids.iter().position(|id| *id == message.id));
        Ok(place.map_or(1, |place| place + 1))
    }
}

/// Who sent it, as kind and identifier. Where nobody is named: of two people one, and in a channel the channel itself.
fn sender_of(peer: &Peer, message: &types::Message, own: Option<i64>) -> (Option<(PeerKind, i64)>, i64) {
    let unnamed = || match kind_of(&peer.input) {
        Some(PeerKind::User) if message.out => own.map(|id| (PeerKind::User, id)),
        None => own.map(|id| (PeerKind::User, id)),
        _ => None,
    };
    let sender = message.from_id.as_ref().map(peers::key_of).or_else(unnamed);
    (sender, sender.map_or(peer.id, |(_, id)| id))
}

fn kind_of(input: &enums::InputPeer) -> Option<PeerKind> {
    match input {
        enums::InputPeer::User(_) => Some(PeerKind::User),
        enums::InputPeer::Chat(_) => Some(PeerKind::Chat),
        enums::InputPeer::Channel(_) => Some(PeerKind::Channel),
        _ => None,
    }
}

/// The topic of a forum that a message is in ("Forum topics"): replies within a topic name it beside the message that they answer.
fn topic_of(message: &types::Message) -> i32 {
    match &message.reply_to {
        Some(enums::MessageReplyHeader::Header(reply)) if reply.forum_topic => {
            reply.reply_to_top_id.or(reply.reply_to_msg_id).unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_by_the_reply() {
        let reply = |forum_topic, top, id| types::Message {
            reply_to: Some(
                types::MessageReplyHeader { forum_topic, reply_to_top_id: top, reply_to_msg_id: id, ..Default::default() }
                    .into(),
            ),
            ..Default::default()
        };
        assert_eq!(topic_of(&reply(true, Some(7), Some(9))), 7);
        assert_eq!(topic_of(&reply(true, None, Some(9))), 9);
        assert_eq!(topic_of(&reply(false, None, Some(9))), 0, "an answer, but in no forum");
        assert_eq!(topic_of(&types::Message::default()), 0);
    }
}
