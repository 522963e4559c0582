//! Reading: histories, single messages, search; and what changes them: reading and deleting.

use super::view::View;
use super::{Call, input_peer};
use crate::fault::Fault;
use crate::state::journal::Event;
use crate::state::messages::{self, Filter, MAX_PAGE, MediaKind, Message, Window};
use tdl_core::tl::api::functions::messages as f;
use tdl_core::tl::api::{enums, types};

/// Answers with a page: the short form if it is everything there is.
fn page(
    call: &Call<'_>,
    viewer: i64,
    filter: impl FnOnce(&rusqlite::Connection) -> Result<Option<Filter>, Fault>,
    window: &Window,
) -> Result<enums::messages::Messages, Fault> {
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let view = View { state, db, viewer, now };
        let (list, count) = match filter(db)? {
            // Asked for a kind of message that this cluster cannot hold.
            None => (Vec::new(), 0),
            Some(filter) => (messages::window(db, viewer, &filter, window)?, messages::count(db, viewer, &filter)?),
        };
        let (found, users) = (view.messages(&list)?, view.users_of(&list)?);
        if usize::try_from(count).ok() == Some(list.len()) {
            return Ok(types::messages::Messages { messages: found, topics: Vec::new(), chats: Vec::new(), users }.into());
        }
        Ok(types::messages::MessagesSlice { count, messages: found, users, ..types::messages::MessagesSlice::default() }.into())
    })
}

pub(crate) fn history(call: &mut Call<'_>, req: f::GetHistory) -> Result<enums::messages::Messages, Fault> {
    let viewer = call.user_id()?;
    let state = call.state;
    let window = Window {
        offset_id: req.offset_id,
        offset_date: req.offset_date,
        add_offset: req.add_offset,
        limit: if req.limit <= 0 { MAX_PAGE } else { req.limit },
        max_id: req.max_id,
        min_id: req.min_id,
    };
    let filter = |db: &rusqlite::Connection| {
        let peer = input_peer(state, db, viewer, &req.peer)?.id;
        Ok(Some(Filter { peer: Some(peer), ..Filter::default() }))
    };
    page(call, viewer, filter, &window)
}

/// The kinds of media that a filter shows. Nothing for a kind that the cluster cannot hold; the flag is for links, which are text.
fn filter_kinds(filter: &enums::MessagesFilter) -> Option<(Vec<MediaKind>, bool)> {
    use enums::MessagesFilter as F;
    Some((
        match filter {
            F::InputMessagesFilterEmpty => vec![],
            F::InputMessagesFilterUrl => return Some((vec![], true)),
            F::InputMessagesFilterPhotos => vec![MediaKind::Photo],
            F::InputMessagesFilterVideo => vec![MediaKind::Video],
            F::InputMessagesFilterPhotoVideo => vec![MediaKind::Photo, MediaKind::Video],
            F::InputMessagesFilterDocument => vec![MediaKind::Document],
            F::InputMessagesFilterGif => vec![MediaKind::Animation],
            F::InputMessagesFilterVoice => vec![MediaKind::Voice],
            F::InputMessagesFilterMusic => vec![MediaKind::Music],
            F::InputMessagesFilterRoundVideo => vec![MediaKind::RoundVideo],
            F::InputMessagesFilterRoundVoice => vec![MediaKind::RoundVideo, MediaKind::Voice],
            _ => return None,
        },
        false,
    ))
}

pub(crate) fn search(call: &mut Call<'_>, req: f::Search) -> Result<enums::messages::Messages, Fault> {
    let viewer = call.user_id()?;
    let state = call.state;
    let text = req.q.trim();
    if text.is_empty() && matches!(req.filter, enums::MessagesFilter::InputMessagesFilterEmpty) && req.from_id.is_none() {
        return Err(Fault::SearchQueryEmpty);
    }
    let window = Window {
        offset_id: req.offset_id,
        offset_date: 0,
        add_offset: req.add_offset,
        // Zero asks for the count alone.
        limit: req.limit.max(0),
        max_id: req.max_id,
        min_id: req.min_id,
    };
    let filter = |db: &rusqlite::Connection| {
        let peer = match &req.peer {
            enums::InputPeer::Empty => None,
            peer => Some(input_peer(state, db, viewer, peer)?.id),
        };
        let sender = req.from_id.as_ref().map(|from| input_peer(state, db, viewer, from)).transpose()?.map(|user| user.id);
        Ok(filter_kinds(&req.filter).map(|(kinds, links)| Filter {
            peer,
            kinds,
            text: (!text.is_empty()).then(|| text.to_owned()),
            links,
            sender,
            min_date: req.min_date,
            max_date: req.max_date,
        }))
    };
    page(call, viewer, filter, &window)
}

/// Messages that are not there come back empty, in their place.
pub(crate) fn messages(call: &mut Call<'_>, req: f::GetMessages) -> Result<enums::messages::Messages, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    let page_max = usize::try_from(MAX_PAGE).unwrap_or(usize::MAX);
    state.read(|db| {
        let view = View { state, db, viewer, now };
        let mut found: Vec<Message> = Vec::new();
        let mut out = Vec::new();
        for id in req.id.iter().take(page_max) {
            let message = match id {
                enums::InputMessage::Id(m) => (m.id, messages::by_id(db, viewer, m.id)?),
                enums::InputMessage::ReplyTo(m) => {
                    let target = messages::by_id(db, viewer, m.id)?.and_then(|m| m.reply_to);
                    (m.id, target.map(|id| messages::by_id(db, viewer, id)).transpose()?.flatten())
                }
                // Nothing is pinned here, and there are no bots.
                enums::InputMessage::Pinned | enums::InputMessage::CallbackQuery(_) => (0, None),
            };
            match message {
                (_, Some(message)) => {
                    out.push(view.message(&message)?);
                    found.push(message);
                }
                (id, None) => out.push(types::MessageEmpty { id, peer_id: None }.into()),
            }
        }
        let users = view.users_of(&found)?;
        Ok(types::messages::Messages { messages: out, topics: Vec::new(), chats: Vec::new(), users }.into())
    })
}

/// Tells the sessions concerned, and says where the caller's own counter stands.
fn tell(call: &mut Call<'_>, viewer: i64, events: &[(i64, Event)]) -> Result<enums::messages::AffectedMessages, Fault> {
    let (state, now) = (call.state, call.now);
    for (user, event) in events {
        let updates = state.read(|db| {
            let view = View { state, db, viewer: *user, now };
            Ok::<_, Fault>(view.event(event)?.map(|update| view.updates(vec![update], Vec::new())))
        })?;
        if let Some(updates) = updates {
            call.push(*user, &updates);
        }
    }
    let own = events.iter().find(|e| e.0 == viewer);
    let (pts, pts_count) = match own {
        Some((_, event)) => (event.pts, event.count),
        None => (call.user()?.pts, 0),
    };
    Ok(types::messages::AffectedMessages { pts, pts_count }.into())
}

pub(crate) fn read_history(call: &mut Call<'_>, req: f::ReadHistory) -> Result<enums::messages::AffectedMessages, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    let events = state.write(|tx| {
        let peer = input_peer(state, tx, viewer, &req.peer)?.id;
        Ok::<_, Fault>(messages::read(tx, viewer, peer, req.max_id, now)?)
    })?;
    tell(call, viewer, &events)
}

pub(crate) fn delete_messages(call: &mut Call<'_>, req: f::DeleteMessages) -> Result<enums::messages::AffectedMessages, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    let events = state.write(|tx| messages::delete(tx, viewer, &req.id, req.revoke, now))?;
    tell(call, viewer, &events)
}
