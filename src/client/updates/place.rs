//! Where an update belongs: which counter, and which stretch of it.

use crate::tl::api::enums::{Message, Peer, Update};

/// A counter and a stretch of it. The stretch ends at `pts`, and is `count` long: an update with a count of 0 changes something that
/// an earlier one brought, and may come any number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On no counter: only good now, or good at any time.
    None,
    /// On the account's own.
    Account { pts: i32, count: i32 },
    /// On the one of secret chats and of what only bots hear.
    Secret { qts: i32 },
    /// On a channel's.
    Channel { id: i64, pts: i32, count: i32 },
    /// A channel has more than the server wants to push.
    ChannelTooLong { id: i64, pts: Option<i32> },
}

/// The place of an update.
pub(super) fn place(update: &Update) -> Place {
    use Update as U;
    let account = |pts, count| Place::Account { pts, count };
    let secret = |qts| Place::Secret { qts };
    let channel = |id, pts, count| Place::Channel { id, pts, count };
    match update {
        U::NewMessage(u) => account(u.pts, u.pts_count),
        U::EditMessage(u) => account(u.pts, u.pts_count),
        U::DeleteMessages(u) => account(u.pts, u.pts_count),
        U::ReadHistoryInbox(u) => account(u.pts, u.pts_count),
        U::ReadHistoryOutbox(u) => account(u.pts, u.pts_count),
        U::ReadMessagesContents(u) => account(u.pts, u.pts_count),
        U::WebPage(u) => account(u.pts, u.pts_count),
        U::FolderPeers(u) => account(u.pts, u.pts_count),
        U::PinnedMessages(u) => account(u.pts, u.pts_count),

        // A message that names no channel has no counter that we could find.
        U::NewChannelMessage(u) => channel_of(&u.message).map_or(Place::None, |id| channel(id, u.pts, u.pts_count)),
        U::EditChannelMessage(u) => channel_of(&u.message).map_or(Place::None, |id| channel(id, u.pts, u.pts_count)),
        U::DeleteChannelMessages(u) => channel(u.channel_id, u.pts, u.pts_count),
        U::ChannelWebPage(u) => channel(u.channel_id, u.pts, u.pts_count),
        U::PinnedChannelMessages(u) => channel(u.channel_id, u.pts, u.pts_count),
        U::ChannelTooLong(u) => Place::ChannelTooLong { id: u.channel_id, pts: u.pts },

        U::NewEncryptedMessage(u) => secret(u.qts),
        U::BotBusinessConnect(u) => secret(u.qts),
        U::BotChatBoost(u) => secret(u.qts),
        U::BotChatInviteRequester(u) => secret(u.qts),
        U::BotDeleteBusinessMessage(u) => secret(u.qts),
        U::BotEditBusinessMessage(u) => secret(u.qts),
        U::BotGuestChatQuery(u) => secret(u.qts),
        U::BotMessageReaction(u) => secret(u.qts),
        U::BotMessageReactions(u) => secret(u.qts),
        U::BotNewBusinessMessage(u) => secret(u.qts),
        U::BotPurchasedPaidMedia(u) => secret(u.qts),
        U::BotStarsSubscription(u) => secret(u.qts),
        U::BotStopped(u) => secret(u.qts),
        U::ChannelParticipant(u) => secret(u.qts),
        U::ChatParticipant(u) => secret(u.qts),
        U::ManagedBot(u) => secret(u.qts),
        U::MessagePollVote(u) => secret(u.qts),

        // `updateReadChannelInbox` has a pts, but no stretch: it says where the channel stands, and takes nothing of its counter.
        _ => Place::None,
    }
}

impl Place {
    /// What to sort the updates of one envelope by: they need not be in the order of their counters.
    pub(super) fn order(self) -> i32 {
        match self {
            Self::Account { pts, count } | Self::Channel { pts, count, .. } => pts.saturating_sub(count),
            Self::Secret { qts } => qts,
            Self::None | Self::ChannelTooLong { .. } => 0,
        }
    }
}

fn channel_of(message: &Message) -> Option<i64> {
    let peer = match message {
        Message::Message(m) => Some(&m.peer_id),
        Message::Service(m) => Some(&m.peer_id),
        Message::Empty(m) => m.peer_id.as_ref(),
    };
    match peer? {
        Peer::Channel(channel) => Some(channel.channel_id),
        Peer::User(_) | Peer::Chat(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::tl::dynamic::{self, Object, Value};
    use crate::tl::schema::{Definition, Kind, Type};
    use crate::tl::{Deserialize, compiled_schema, wire};

    use super::*;

    /// The plainest value of a type: of several constructors the first that does not contain its own type.
    fn plain<'s>(ty: &Type, depth: usize) -> Value<'s> {
        let schema = compiled_schema();
        match ty {
            Type::Flags => Value::Flags(0),
            Type::Int => Value::Int(5),
            Type::Long => Value::Long(77),
            Type::Double => Value::Double(0.0),
            Type::Int128 => Value::Int128([0; 16]),
            Type::Int256 => Value::Int256([0; 32]),
            Type::String => Value::String("x".into()),
            Type::Bytes => Value::Bytes(bytes::Bytes::new()),
            Type::True => Value::True,
            Type::Bool => Value::Bool(false),
            Type::Vector { .. } => Value::Vector(Vec::new()),
            Type::Boxed(name) => {
                assert!(depth < 20, "{name} contains itself");
                // The last one is never the degenerate `…Empty` that comes first in the alphabet where it matters here.
                let wanted = if name == "Peer" { "peerChannel" } else { "" };
                let mut all: Vec<_> = schema.constructors_of(name).collect();
                all.sort_by_key(|d| (d.name != wanted, d.params.iter().filter(|p| p.flag.is_none()).count()));
                object(all[0], depth + 1)
            }
            other => panic!("no value for {other}"),
        }
    }

    fn object<'s>(definition: &Definition, depth: usize) -> Value<'s> {
        let definition = compiled_schema().by_id(definition.id).unwrap();
        let value = |p: &crate::tl::schema::Param| {
            // The message of a channel has to say which.
            let said = p.name == "peer_id";
            if p.flag.is_some() && !said { Value::Absent } else { plain(&p.ty, depth) }
        };
        Value::Object(Object { definition, values: definition.params.iter().map(value).collect() })
    }

    #[test]
    fn every_update_of_the_schema_that_counts_has_its_place() {
        let updates = compiled_schema().constructors_of("Update").filter(|d| d.kind == Kind::Constructor);
        let (mut account, mut channel, mut secret) = (0, 0, 0);
        for definition in updates {
            let has = |name: &str| definition.params.iter().any(|p| p.name == name && p.flag.is_none());
            let mut out = Vec::new();
            dynamic::encode(compiled_schema(), &object(definition, 0), &mut out).unwrap();
            let update: Result<Update, wire::Error> = Update::from_bytes(out.into());
            let found = place(&update.unwrap());
            match found {
                Place::Account { pts: 5, count: 5 } => account += 1,
                Place::Channel { id: 77, pts: 5, count: 5 } => channel += 1,
                Place::Secret { qts: 5 } => secret += 1,
                Place::None | Place::ChannelTooLong { id: 77, pts: None } => {}
                other => panic!("{}: {other:?}", definition.name),
            }
            let counts = has("pts_count") || has("qts");
            let placed = matches!(found, Place::Account { .. } | Place::Channel { .. } | Place::Secret { .. });
            assert_eq!(placed, counts, "{}", definition.name);
            let in_channel = definition.name.contains("Channel") && has("pts_count");
            assert_eq!(matches!(found, Place::Channel { .. }), in_channel, "{}", definition.name);
            assert_eq!(matches!(found, Place::Secret { .. }), has("qts"), "{}", definition.name);
        }
        assert!(account >= 9 && channel >= 5 && secret >= 17, "{account} {channel} {secret}");
    }
}
