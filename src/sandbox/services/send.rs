//! Sending: texts, media, albums, forwards.

use super::view::View;
use super::{Call, help, input_peer, input_user, media};
use crate::fault::Fault;
use crate::state::State;
use crate::state::messages::{self, Draft, Forward, Sent};
use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::functions::messages as f;
use tdl_core::tl::api::{enums, types};

/// Items of an album.
const ALBUM_MAX: usize = 10;
/// Messages of one forward.
const FORWARD_MAX: usize = 100;

/// Formatting as it is kept: mentions by name refer to users as everybody knows them, not as the sender does.
fn keep_entities(
    state: &State,
    db: &rusqlite::Connection,
    viewer: i64,
    entities: Option<&Vec<enums::MessageEntity>>,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(entities) = entities.filter(|list| !list.is_empty()) else { return Ok(None) };
    let mut kept = Vec::with_capacity(entities.len());
    for entity in entities {
        kept.push(match entity {
            enums::MessageEntity::InputMessageEntityMentionName(m) => {
                // Somebody unknown is not mentioned; the text stays.
                let Some(user) = input_user(state, db, viewer, &m.user_id)? else { continue };
                types::MessageEntityMentionName { offset: m.offset, length: m.length, user_id: user.id }.into()
            }
            other => other.clone(),
        });
    }
    Ok(Some(kept.to_bytes().to_vec()))
}

/// The message that is answered, if there is one in this chat.
fn reply_target(
    db: &rusqlite::Connection,
    owner: i64,
    peer: i64,
    reply: Option<&enums::InputReplyTo>,
) -> Result<Option<i32>, Fault> {
    match reply {
        None => Ok(None),
        Some(enums::InputReplyTo::Message(r)) => {
            let found = messages::by_id(db, owner, r.reply_to_msg_id)?.filter(|m| m.peer == peer);
            found.map(|m| Some(m.id)).ok_or(Fault::ReplyMessageIdInvalid)
        }
        Some(_) => Err(Fault::ReplyMessageIdInvalid),
    }
}

/// Sends drafts in one change, tells everybody else, and keeps what the sender has to be told.
fn send_all(
    call: &mut Call<'_>,
    make: impl FnOnce(&rusqlite::Connection) -> Result<Vec<Draft>, Fault>,
) -> Result<Vec<Sent>, Fault> {
    let (state, now) = (call.state, call.now);
    let (sent, pushes) = state.write(|tx| {
        let drafts = make(tx)?;
        let mut sent = Vec::with_capacity(drafts.len());
        let mut pushes = Vec::new();
        for draft in &drafts {
            if messages::by_random_id(tx, draft.from, draft.random_id)?.is_some() {
                return Err(Fault::RandomIdDuplicate);
            }
            let one = messages::send(tx, draft, now)?;
            for (message, event) in [Some(&one.own), one.other.as_ref()].into_iter().flatten() {
                let view = View { state, db: tx, viewer: message.owner, now };
                pushes.push((message.owner, view.announce(message, event)?));
            }
            sent.push(one);
        }
        Ok((sent, pushes))
    })?;
    for (user, updates) in &pushes {
        call.push(*user, updates);
    }
    Ok(sent)
}

/// The full answer to a sender: which random id became which message, and the messages.
fn answer(call: &Call<'_>, viewer: i64, sent: &[Sent]) -> Result<enums::Updates, Fault> {
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let view = View { state, db, viewer, now };
        let mut updates: Vec<enums::Update> = Vec::with_capacity(sent.len() * 2);
        for one in sent {
            updates.push(types::UpdateMessageId { id: one.own.0.id, random_id: one.random_id }.into());
        }
        for one in sent {
            let (message, event) = &one.own;
            let message = view.message(message)?;
            updates.push(types::UpdateNewMessage { message, pts: event.pts, pts_count: event.count }.into());
        }
        let messages: Vec<_> = sent.iter().map(|one| one.own.0.clone()).collect();
        Ok(view.updates(updates, view.users_of(&messages)?))
    })
}

fn check_text(text: &str, limit: i32, too_long: Fault) -> Result<(), Fault> {
    let length = i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX);
    if length > limit { Err(too_long) } else { Ok(()) }
}

fn check_caption(call: &Call<'_>, text: &str) -> Result<(), Fault> {
    let limit = if call.user()?.premium { help::CAPTION_LENGTH_PREMIUM } else { help::CAPTION_LENGTH };
    check_text(text, limit, Fault::MediaCaptionTooLong)
}

fn not_scheduled(date: Option<i32>) -> Result<(), Fault> {
    if date.is_some() { Err(Fault::ScheduleDateInvalid) } else { Ok(()) }
}

pub(crate) fn send_message(call: &mut Call<'_>, req: f::SendMessage) -> Result<enums::Updates, Fault> {
    let from = call.user_id()?;
    if req.message.trim().is_empty() {
        return Err(Fault::MessageEmpty);
    }
    check_text(&req.message, help::MESSAGE_LENGTH_MAX, Fault::MessageTooLong)?;
    not_scheduled(req.schedule_date)?;
    let state = call.state;
    let sent = send_all(call, |db| {
        let to = input_peer(state, db, from, &req.peer)?.id;
        Ok(vec![Draft {
            from,
            to,
            text: req.message.to_string(),
            entities: keep_entities(state, db, from, req.entities.as_ref())?,
            media: None,
            reply_to: reply_target(db, from, to, req.reply_to.as_ref())?,
            forward: None,
            grouped_id: None,
            silent: req.silent,
            random_id: req.random_id,
        }])
    })?;
    // Saved Messages are answered in full, as is everything with media; a text to somebody else in short.
    let [Sent { own: (message, event), other: Some(_), .. }] = sent.as_slice() else { return answer(call, from, &sent) };
    let now = call.now;
    let entities = state.read(|db| View { state, db, viewer: from, now }.entities(message))?;
    Ok(types::UpdateShortSentMessage {
        out: true,
        id: message.id,
        pts: event.pts,
        pts_count: event.count,
        date: call.date(),
        entities,
        ..types::UpdateShortSentMessage::default()
    }
    .into())
}

pub(crate) fn send_media(call: &mut Call<'_>, req: f::SendMedia) -> Result<enums::Updates, Fault> {
    let from = call.user_id()?;
    check_caption(call, &req.message)?;
    not_scheduled(req.schedule_date)?;
    let state = call.state;
    // Checked before the file is put together; checked again, in the same change as the sending, in `send_all`.
    state.read(|db| {
        input_peer(state, db, from, &req.peer)?;
        match messages::by_random_id(db, from, req.random_id)? {
            Some(_) => Err(Fault::RandomIdDuplicate),
            None => Ok(()),
        }
    })?;
    let media = media::resolve(call, &req.media)?;
    let sent = send_all(call, |db| {
        let to = input_peer(state, db, from, &req.peer)?.id;
        Ok(vec![Draft {
            from,
            to,
            text: req.message.to_string(),
            entities: keep_entities(state, db, from, req.entities.as_ref())?,
            media: Some(media),
            reply_to: reply_target(db, from, to, req.reply_to.as_ref())?,
            forward: None,
            grouped_id: None,
            silent: req.silent,
            random_id: req.random_id,
        }])
    })?;
    answer(call, from, &sent)
}

pub(crate) fn send_multi_media(call: &mut Call<'_>, req: f::SendMultiMedia) -> Result<enums::Updates, Fault> {
    let from = call.user_id()?;
    not_scheduled(req.schedule_date)?;
    if req.multi_media.is_empty() {
        return Err(Fault::MediaEmpty);
    }
    if req.multi_media.len() > ALBUM_MAX {
        return Err(Fault::MultiMediaTooLong);
    }
    let state = call.state;
    state.read(|db| input_peer(state, db, from, &req.peer))?;
    let mut items = Vec::with_capacity(req.multi_media.len());
    for (n, item) in req.multi_media.iter().enumerate() {
        let enums::InputSingleMedia::Media(item) = item;
        check_caption(call, &item.message)?;
        let media = media::resolve(call, &item.media).map_err(|fault| match fault {
            // Which of them it is has to be said.
            Fault::FileReferenceExpired => Fault::FileReferenceExpiredAt(n),
            Fault::FileReferenceInvalid | Fault::FileReferenceEmpty => Fault::FileReferenceInvalidAt(n),
            fault => fault,
        })?;
        items.push((item, media));
    }
    let grouped_id = (items.len() > 1).then(|| call.random_id());
    let sent = send_all(call, |db| {
        let to = input_peer(state, db, from, &req.peer)?.id;
        let reply_to = reply_target(db, from, to, req.reply_to.as_ref())?;
        items
            .iter()
            .map(|(item, media)| {
                Ok(Draft {
                    from,
                    to,
                    text: item.message.to_string(),
                    entities: keep_entities(state, db, from, item.entities.as_ref())?,
                    media: Some(*media),
                    reply_to,
                    forward: None,
                    grouped_id,
                    silent: req.silent,
                    random_id: item.random_id,
                })
            })
            .collect()
    })?;
    answer(call, from, &sent)
}

pub(crate) fn forward_messages(call: &mut Call<'_>, req: f::ForwardMessages) -> Result<enums::Updates, Fault> {
    let from = call.user_id()?;
    not_scheduled(req.schedule_date)?;
    if req.id.is_empty() || req.id.len() > FORWARD_MAX {
        return Err(Fault::MessageIdsEmpty);
    }
    if req.id.len() != req.random_id.len() {
        return Err(Fault::RandomIdInvalid);
    }
    let state = call.state;
    let albums = call.random_id();
    let sent = send_all(call, |db| {
        let source = input_peer(state, db, from, &req.from_peer)?.id;
        let to = input_peer(state, db, from, &req.to_peer)?.id;
        let mut drafts = Vec::with_capacity(req.id.len());
        for (&id, &random_id) in req.id.iter().zip(&req.random_id) {
            // Deleted ones are passed over; one of another chat is no message of this one.
            let Some(m) = messages::by_id(db, from, id)?.filter(|m| m.peer == source) else { continue };
            // Who wrote it first stays its author, however often it travels.
            let origin = m.forward.map_or((m.sender, m.date), |f| (f.from, f.date));
            let saved = (to == from && !req.drop_author).then_some((m.peer, m.id));
            let forward = (!req.drop_author).then_some(Forward { from: origin.0, date: origin.1, saved });
            let keep_text = m.media.is_none() || !req.drop_media_captions;
            drafts.push(Draft {
                from,
                to,
                text: if keep_text { m.text } else { String::new() },
                entities: if keep_text { m.entities } else { None },
                media: m.media,
                reply_to: None,
                forward,
                // Albums stay together, under an id of their own.
                grouped_id: m.grouped_id.map(|id| (id ^ albums) & i64::MAX),
                silent: req.silent,
                random_id,
            });
        }
        if drafts.is_empty() { Err(Fault::MessageIdInvalid) } else { Ok(drafts) }
    })?;
    answer(call, from, &sent)
}
