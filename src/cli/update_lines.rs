//! Updates as lines: JSON for programs, text for people.

use chrono::{Local, TimeZone as _};
use serde_json::{Value as Json, json};
use tdl::chat::media::Media;
use tdl::chat::watch::ChatKey;
use tdl::client::{PeerKind, Persistence, UpdateEvent};
use tdl::tl::api::enums::{Message, Peer, Update};
use tdl::tl::dynamic::json::{JsonOptions, to_json};
use tdl::tl::{Serialize as _, compiled_schema, dynamic};

use super::output::{counted, printable};

/// An event as a JSON object; nothing for what only describes peers.
pub(crate) fn event_json(event: &UpdateEvent) -> Option<Json> {
    match event {
        UpdateEvent::Peers { .. } => None,
        UpdateEvent::Update(update) => Some(update_json(update)),
        UpdateEvent::Missed { channel, from, to } => {
            Some(json!({"_": "tdl.missed", "channel_id": channel.map(|id| id.to_string()), "from_pts": from, "to_pts": to}))
        }
    }
}

/// An update by the schema's tables.
fn update_json(update: &Update) -> Json {
    match dynamic::decode(compiled_schema(), update.to_bytes()) {
        Ok(value) => to_json(&value, &JsonOptions::default()),
        // Ours to the last byte, but larger than a tree may be.
        Err(error) => json!({"_": "tdl.unreadable", "error": error.to_string()}),
    }
}

/// What people call chats.
pub(crate) struct Names<'a> {
    pub(crate) store: &'a dyn Persistence,
    /// The account's user id.
    pub(crate) own: i64,
}

impl Names<'_> {
    fn of(&self, (kind, id): ChatKey) -> String {
        if (kind, id) == (PeerKind::User, self.own) {
            return "Saved Messages".to_owned();
        }
        let title = self.store.peer(kind, id).ok().flatten().map(|peer| peer.title).filter(|title| !title.is_empty());
        title.map_or_else(|| id.to_string(), |title| printable(&title))
    }

    fn who(&self, peer: &Peer) -> String {
        match key(peer) {
            (PeerKind::User, id) if id == self.own => "you".to_owned(),
            other => self.of(other),
        }
    }
}

fn key(peer: &Peer) -> ChatKey {
    match peer {
        Peer::User(p) => (PeerKind::User, p.user_id),
        Peer::Chat(p) => (PeerKind::Chat, p.chat_id),
        Peer::Channel(p) => (PeerKind::Channel, p.channel_id),
    }
}

/// An event as a line for people; nothing for what they would not want to read.
pub(crate) fn event_text(event: &UpdateEvent, chat: Option<ChatKey>, names: &Names<'_>) -> Option<String> {
    let UpdateEvent::Update(update) = event else { return None };
    let place = chat.map(|chat| names.of(chat));
    let in_place = |what: String| match &place {
        Some(place) => format!("          {place}: {what}"),
        None => format!("          {what}"),
    };
    let deleted = |count: usize| in_place(format!("{} deleted", counted(count, "message")));
    match update {
        Update::NewMessage(u) => message(&u.message, names, ""),
        Update::NewChannelMessage(u) => message(&u.message, names, ""),
        Update::EditMessage(u) => message(&u.message, names, " (edited)"),
        Update::EditChannelMessage(u) => message(&u.message, names, " (edited)"),
        Update::DeleteMessages(u) => Some(deleted(u.messages.len())),
        Update::DeleteChannelMessages(u) => Some(deleted(u.messages.len())),
        Update::ReadHistoryInbox(u) => Some(in_place(format!("you have read up to {}", u.max_id))),
        Update::ReadHistoryOutbox(u) => Some(in_place(format!("has read up to {}", u.max_id))),
        // What comes by the second and says little.
        Update::UserStatus(_) | Update::UserTyping(_) | Update::ChatUserTyping(_) | Update::ChannelUserTyping(_) => None,
        other => {
            let id = other.to_bytes().first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
            Some(in_place(tdl::tl::name_of(id).unwrap_or("something unknown").to_owned()))
        }
    }
}

fn message(message: &Message, names: &Names<'_>, note: &str) -> Option<String> {
    let (date, peer, from, text, file) = match message {
        Message::Message(m) => {
            let file = Media::of(m).map(|media| format!("[{}]", printable(&media.name)));
            let file = file.or_else(|| m.media.as_ref().map(|_| "[media]".to_owned()));
            (m.date, &m.peer_id, m.from_id.as_ref(), printable(&m.message), file)
        }
        Message::Service(m) => (m.date, &m.peer_id, m.from_id.as_ref(), String::new(), Some("[service message]".to_owned())),
        Message::Empty(_) => return None,
    };
    let at =
        Local.timestamp_opt(i64::from(date), 0).earliest().map_or_else(String::new, |at| at.format("%H:%M:%S").to_string());
    let chat = names.of(key(peer));
    let who = match from {
        Some(from) if from != peer => format!("{chat}, {}", names.who(from)),
        _ => chat,
    };
    let space = if text.is_empty() || file.is_none() { "" } else { " " };
    Some(format!("{at}  {who}{note}: {}{space}{text}", file.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tdl::client::{MemoryPersistence, PeerRecord};
    use tdl::tl::api::types;

    use super::*;

    fn private(text: &str, out: bool) -> Update {
        let peer = |id| Peer::from(types::PeerUser { user_id: id });
        let message = types::Message {
            id: 3,
            out,
            from_id: Some(peer(if out { 1 } else { 5 })),
            peer_id: peer(5),
            date: 1_700_000_000,
            message: text.into(),
            ..types::Message::default()
        };
        types::UpdateNewMessage { message: message.into(), pts: 9, pts_count: 1 }.into()
    }

    #[test]
    fn an_update_is_an_object_under_the_schemas_names() {
        let line = event_json(&UpdateEvent::Update(private("héllo", false))).unwrap();
        assert_eq!((line["_"].as_str(), line["pts"].as_i64()), (Some("updateNewMessage"), Some(9)));
        assert_eq!(line["message"]["peer_id"], json!({"_": "peerUser", "user_id": "5"}));
        assert_eq!(line["message"]["message"], "héllo");
        assert!(line["message"].get("media").is_none(), "what is absent is left out");
        let missed = UpdateEvent::Missed { channel: Some(7), from: Some(1), to: None };
        assert_eq!(event_json(&missed).unwrap(), json!({"_": "tdl.missed", "channel_id": "7", "from_pts": 1, "to_pts": null}));
    }

    #[test]
    fn a_line_for_people_says_where_who_and_what_and_cannot_steer_the_terminal() {
        let store = MemoryPersistence::new();
        let ann = PeerRecord { kind: PeerKind::User, id: 5, access_hash: 1, username: None, title: "Ann\u{1b}".into() };
        store.save_peers(&[ann]).unwrap();
        let names = Names { store: &store, own: 1 };
        let line = |update| event_text(&UpdateEvent::Update(update), Some((PeerKind::User, 5)), &names).unwrap();
        assert!(line(private("hi\n", false)).ends_with("  Ann\\u{1b}: hi\\u{a}"), "{}", line(private("hi\n", false)));
        assert!(line(private("hi", true)).ends_with("  Ann\\u{1b}, you: hi"));
        let gone = types::UpdateDeleteMessages { messages: vec![1, 2], pts: 1, pts_count: 2 };
        let gone = event_text(&UpdateEvent::Update(gone.into()), None, &names);
        assert_eq!(gone.unwrap().trim(), "2 messages deleted");
        let typing = types::UpdateUserStatus { user_id: 5, status: tdl::tl::api::enums::UserStatus::Empty };
        assert_eq!(event_text(&UpdateEvent::Update(typing.into()), None, &names), None);
    }
}
