//! Stories by their own links. "Stories", "Deep links".
//!
//! A story is looked at as a message of whoever told it, so that all that goes for a message's files goes for a story's. Its identifier is
//! its number, negated: those of messages are positive, and no record or list takes one for the other.

use std::collections::HashMap;

use super::ChatError;
use super::peers::{Peer, Seen};
use crate::client::Client;
use crate::tl::api::{enums, functions, types};

/// Stories that one request may ask for.
const PAGE: usize = 100;

/// The number of a story, if the identifier is that of one.
pub fn number_of(id: i32) -> Option<i32> {
    id.checked_neg().filter(|number| *number > 0)
}

/// What programs are told that an identifier names: `"message"` and it, or `"story"` and the number.
pub fn named(id: i32) -> (&'static str, i32) {
    number_of(id).map_or(("message", id), |number| ("story", number))
}

/// The stories of `peer` with these identifiers, as messages, in the order asked for. Those that have gone, and those that are not shown to
/// this account, are left out.
///
/// # Errors
///
/// The server's and the connection's.
pub(super) async fn by_ids(client: &Client, peer: &Peer, ids: &[i32]) -> Result<Vec<enums::Message>, ChatError> {
    let mut found = Vec::with_capacity(ids.len());
    let numbers: Vec<i32> = ids.iter().copied().filter_map(number_of).collect();
    for numbers in numbers.chunks(PAGE) {
        let request = functions::stories::GetStoriesById { peer: peer.input.clone(), id: numbers.to_vec() };
        let enums::stories::Stories::Stories(answer) = client.invoke(&request).await?;
        Seen::collect(&answer.users, &answer.chats).remember(client)?;
        let items = answer.stories.iter().filter_map(|story| match story {
            enums::StoryItem::Item(item) => Some((item.id, &**item)),
            _ => None,
        });
        let items: HashMap<i32, &types::StoryItem> = items.collect();
        found.extend(numbers.iter().filter_map(|number| items.get(number)).map(|item| as_message(peer, item).into()));
    }
    Ok(found)
}

fn as_message(peer: &Peer, story: &types::StoryItem) -> types::Message {
    types::Message {
        out: story.out,
        id: story.id.saturating_neg(),
        from_id: story.from_id.clone(),
        peer_id: match &peer.input {
            enums::InputPeer::Chat(_) => types::PeerChat { chat_id: peer.id }.into(),
            enums::InputPeer::Channel(_) => types::PeerChannel { channel_id: peer.id }.into(),
            _ => types::PeerUser { user_id: peer.id }.into(),
        },
        date: story.date,
        message: story.caption.clone().unwrap_or_default(),
        media: Some(story.media.clone()),
        entities: story.entities.clone(),
        ..types::Message::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_identifiers() {
        assert_eq!([-12, -1, -i32::MAX].map(number_of), [Some(12), Some(1), Some(i32::MAX)]);
        assert_eq!([0, 1, i32::MAX, i32::MIN].map(number_of), [None; 4]);
        assert_eq!([named(7), named(-7)], [("message", 7), ("story", 7)]);
    }

    #[test]
    fn a_story_is_a_message_of_whoever_told_it() {
        let story = types::StoryItem { id: 12, date: 5, caption: Some("look".into()), ..types::StoryItem::default() };
        let peer = |input| Peer { input, id: 7, title: "Ann".into() };
        let channel = types::InputPeerChannel { channel_id: 7, access_hash: 1 };
        for (input, whose) in [
            (enums::InputPeer::from(channel), enums::Peer::from(types::PeerChannel { channel_id: 7 })),
            (types::InputPeerChat { chat_id: 7 }.into(), types::PeerChat { chat_id: 7 }.into()),
            (enums::InputPeer::PeerSelf, types::PeerUser { user_id: 7 }.into()),
        ] {
            let message = as_message(&peer(input), &story);
            assert_eq!((message.id, message.date, &*message.message, message.peer_id), (-12, 5, "look", whose));
        }
    }
}
