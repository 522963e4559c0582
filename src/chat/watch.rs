//! Which chat an update is about: for those who listen to some chats only.

use crate::client::PeerKind;
use crate::tl::dynamic::{self, Object, Value};
use crate::tl::{Serialize, api::enums, compiled_schema};

/// Kind and bare id of a chat.
pub type ChatKey = (PeerKind, i64);

/// The chat that an update is about, if it is about one and says so. Read by the schema's tables, so that it holds for updates of every kind:
/// a message is in its chat; else a `peer` counts more than a channel, a group or a user.
pub fn chat_of(update: &enums::Update) -> Option<ChatKey> {
    // The bytes are our own, so they can be read; if they go beyond the limits of a tree, no chat is found in them.
    let value = dynamic::decode(compiled_schema(), update.to_bytes()).ok()?;
    let Value::Object(update) = &value else { return None };
    if let Some(Value::Object(message)) = update.field("message") {
        return peer_in(message, "peer_id").or_else(|| named(message));
    }
    peer_in(update, "peer").or_else(|| named(update))
}

fn peer_in(object: &Object<'_>, field: &str) -> Option<ChatKey> {
    match object.field(field)? {
        Value::Object(peer) => named(peer),
        _ => None,
    }
}

/// A chat named by a bare id.
fn named(object: &Object<'_>) -> Option<ChatKey> {
    let kinds = [("channel_id", PeerKind::Channel), ("chat_id", PeerKind::Chat), ("user_id", PeerKind::User)];
    kinds.into_iter().find_map(|(field, kind)| match object.field(field)? {
        Value::Long(id) => Some((kind, *id)),
        _ => None,
    })
}

/// The key of a chat as the API addresses it; `own` is the account's user id.
pub fn key_of_input(peer: &enums::InputPeer, own: i64) -> Option<ChatKey> {
    match peer {
        enums::InputPeer::PeerSelf => Some((PeerKind::User, own)),
        enums::InputPeer::User(p) => Some((PeerKind::User, p.user_id)),
        enums::InputPeer::Chat(p) => Some((PeerKind::Chat, p.chat_id)),
        enums::InputPeer::Channel(p) => Some((PeerKind::Channel, p.channel_id)),
        enums::InputPeer::UserFromMessage(p) => Some((PeerKind::User, p.user_id)),
        enums::InputPeer::ChannelFromMessage(p) => Some((PeerKind::Channel, p.channel_id)),
        enums::InputPeer::Empty => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::tl::api::types;

    use super::*;

    #[test]
    fn an_update_is_about_the_chat_that_it_names() {
        let peer: enums::Peer = types::PeerChat { chat_id: 6 }.into();
        let message = |peer_id| types::Message { id: 1, peer_id, ..types::Message::default() };
        let channel: enums::Peer = types::PeerChannel { channel_id: 7 }.into();
        let cases: [(enums::Update, Option<ChatKey>); 8] = [
            (
                types::UpdateNewMessage { message: message(peer.clone()).into(), pts: 1, pts_count: 1 }.into(),
                Some((PeerKind::Chat, 6)),
            ),
            (
                types::UpdateEditChannelMessage { message: message(channel).into(), pts: 1, pts_count: 1 }.into(),
                Some((PeerKind::Channel, 7)),
            ),
            (types::UpdateReadHistoryOutbox { peer, max_id: 1, pts: 1, pts_count: 1 }.into(), Some((PeerKind::Chat, 6))),
            (types::UpdateChannelTooLong { channel_id: 8, pts: None }.into(), Some((PeerKind::Channel, 8))),
            (types::UpdateUserStatus { user_id: 9, status: enums::UserStatus::Empty }.into(), Some((PeerKind::User, 9))),
            (types::UpdateDeleteMessages { messages: vec![1], pts: 1, pts_count: 1 }.into(), None),
            (enums::Update::Config, None),
            (
                types::UpdateNewMessage { message: types::MessageEmpty { id: 1, peer_id: None }.into(), pts: 1, pts_count: 1 }
                    .into(),
                None,
            ),
        ];
        for (update, chat) in cases {
            assert_eq!(chat_of(&update), chat, "{update:?}");
        }
    }
}
