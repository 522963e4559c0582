//! The long forms of updates that the server abbreviates: who listens need not know both.

use crate::tl::api::enums::Update;
use crate::tl::api::types;

/// The long form of a private message. `own` wrote what went out.
pub(super) fn long_form(short: types::UpdateShortMessage, own: i64) -> Update {
    let from = if short.out { own } else { short.user_id };
    let message = types::Message {
        out: short.out,
        mentioned: short.mentioned,
        media_unread: short.media_unread,
        silent: short.silent,
        id: short.id,
        from_id: Some(types::PeerUser { user_id: from }.into()),
        peer_id: types::PeerUser { user_id: short.user_id }.into(),
        fwd_from: short.fwd_from,
        via_bot_id: short.via_bot_id,
        reply_to: short.reply_to,
        date: short.date,
        message: short.message,
        entities: short.entities,
        ttl_period: short.ttl_period,
        ..types::Message::default()
    };
    types::UpdateNewMessage { message: message.into(), pts: short.pts, pts_count: short.pts_count }.into()
}

/// The long form of a message in a basic group.
pub(super) fn long_chat_form(short: types::UpdateShortChatMessage) -> Update {
    let message = types::Message {
        out: short.out,
        mentioned: short.mentioned,
        media_unread: short.media_unread,
        silent: short.silent,
        id: short.id,
        from_id: Some(types::PeerUser { user_id: short.from_id }.into()),
        peer_id: types::PeerChat { chat_id: short.chat_id }.into(),
        fwd_from: short.fwd_from,
        via_bot_id: short.via_bot_id,
        reply_to: short.reply_to,
        date: short.date,
        message: short.message,
        entities: short.entities,
        ttl_period: short.ttl_period,
        ..types::Message::default()
    };
    types::UpdateNewMessage { message: message.into(), pts: short.pts, pts_count: short.pts_count }.into()
}
