//! The counters of updates: where a client stands in its boxes of events.
//!
//! See "Working with Updates". They are read through the schema's tables, so that every update of the schema is covered, and only when
//! somebody wants to know.

use bytes::Bytes;

use super::Counters;
use crate::tl::compiled_schema;
use crate::tl::dynamic::{self, Object, Value};

/// Updates of one box that are told of, at most.
const MOST: usize = 1000;

/// A serialized `Updates`, as constructor and counters; if it is a box of several updates, those follow it, in their order. What the
/// schema cannot read has its constructor alone; what is too short for one, 0.
pub fn of(body: &Bytes) -> Vec<(u32, Counters)> {
    let Ok(Value::Object(object)) = dynamic::decode(compiled_schema(), body.clone()) else {
        let constructor = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
        return vec![(constructor, Counters::default())];
    };
    let mut all = vec![(object.definition.id, counters(&object))];
    match (object.field("updates"), object.field("update")) {
        (Some(Value::Vector(updates)), _) => {
            let inside = updates.iter().take(MOST).filter_map(|update| match update {
                Value::Object(update) => Some((update.definition.id, counters(update))),
                _ => None,
            });
            all.extend(inside);
        }
        // `updateShort` is nothing but a date around one update.
        (_, Some(Value::Object(update))) => all.push((update.definition.id, counters(update))),
        _ => {}
    }
    all
}

fn counters(object: &Object<'_>) -> Counters {
    let int = |name| match object.field(name) {
        Some(Value::Int(value)) => Some(*value),
        _ => None,
    };
    let channel_id = match object.field("channel_id") {
        Some(Value::Long(id)) => Some(*id),
        // Of a message to a channel: the peer that it was sent to.
        _ if object.definition.name.contains("Channel") => peer(object),
        _ => None,
    };
    Counters { pts: int("pts"), pts_count: int("pts_count"), qts: int("qts"), seq: int("seq"), date: int("date"), channel_id }
}

/// `message.peer_id.channel_id`.
fn peer(object: &Object<'_>) -> Option<i64> {
    let Some(Value::Object(message)) = object.field("message") else { return None };
    let Some(Value::Object(peer)) = message.field("peer_id") else { return None };
    match peer.field("channel_id") {
        Some(Value::Long(id)) => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tl::{Identifiable, Serialize, api::types};

    #[test]
    fn a_box_comes_before_what_is_in_it() {
        let first = types::UpdateDeleteMessages { messages: vec![1, 2], pts: 12, pts_count: 2 };
        let second = types::UpdateDeleteChannelMessages { channel_id: 77, messages: vec![5], pts: 9, pts_count: 1 };
        let updates = types::Updates {
            updates: vec![first.into(), second.into()],
            users: Vec::new(),
            chats: Vec::new(),
            date: 1_700_000_000,
            seq: 4,
        };
        let body = crate::tl::api::enums::Updates::from(updates).to_bytes();
        let expected = [
            (types::Updates::ID, Counters { seq: Some(4), date: Some(1_700_000_000), ..Counters::default() }),
            (types::UpdateDeleteMessages::ID, Counters { pts: Some(12), pts_count: Some(2), ..Counters::default() }),
            (
                types::UpdateDeleteChannelMessages::ID,
                Counters { pts: Some(9), pts_count: Some(1), channel_id: Some(77), ..Counters::default() },
            ),
        ];
        assert_eq!(of(&body), expected);
    }

    #[test]
    fn what_cannot_be_read_has_its_constructor_alone() {
        assert_eq!(of(&Bytes::from_static(&[1, 0, 0, 0, 9])), [(1, Counters::default())]);
        assert_eq!(of(&Bytes::new()), [(0, Counters::default())]);
    }
}
