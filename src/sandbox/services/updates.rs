//! `updates.*`: where the account's counter stands, and what happened since.

use super::view::View;
use super::{Call, unix32};
use crate::fault::Fault;
use crate::state::journal::{self, Entry};
use crate::state::messages;
use tdl_core::tl::api::functions::updates as f;
use tdl_core::tl::api::{enums, types};

/// Events of one `updates.difference`; what is beyond comes in slices.
const SLICE: usize = 100;
/// How far the counter may have gone on for a difference to be told: who is further behind fetches everything anew.
pub(crate) const FARTHEST: i32 = 20_000;

/// Chats with something unread.
pub(crate) fn unread_chats(db: &rusqlite::Connection, user: i64) -> Result<i32, Fault> {
    let unread = messages::dialogs(db, user)?.iter().filter(|d| d.unread > 0).count();
    Ok(i32::try_from(unread).unwrap_or(i32::MAX))
}

pub(crate) fn state(call: &mut Call<'_>, _: f::GetState) -> Result<enums::updates::State, Fault> {
    let user = call.user()?;
    let unread_count = call.state.read(|db| unread_chats(db, user.id))?;
    Ok(types::updates::State { pts: user.pts, qts: 0, date: call.date(), seq: 0, unread_count }.into())
}

pub(crate) fn difference(call: &mut Call<'_>, req: f::GetDifference) -> Result<enums::updates::Difference, Fault> {
    let user = call.user()?;
    if req.pts <= 0 || req.pts > user.pts {
        return Err(Fault::PersistentTimestampInvalid);
    }
    let (state, now) = (call.state, call.now);
    if user.pts - req.pts > req.pts_total_limit.map_or(FARTHEST, |limit| limit.clamp(0, FARTHEST)) {
        return Ok(types::updates::DifferenceTooLong { pts: user.pts }.into());
    }
    let limit = req.pts_limit.and_then(|n| usize::try_from(n).ok()).map_or(SLICE, |n| n.clamp(1, SLICE));
    state.read(|db| {
        let events = journal::since(db, user.id, req.pts, limit)?;
        let Some(last) = events.last() else {
            return Ok(types::updates::DifferenceEmpty { date: unix32(now), seq: 0 }.into());
        };
        let view = View { state, db, viewer: user.id, now };
        let mut found = Vec::new();
        let mut other_updates = Vec::new();
        // Whoever is spoken of is described: the client may not know them.
        let mut spoken_of = Vec::new();
        for event in &events {
            match &event.entry {
                Entry::New { id } => found.extend(messages::by_id(db, user.id, *id)?),
                Entry::Deleted { .. } => other_updates.extend(view.event(event)?),
                Entry::ReadInbox { peer, .. } | Entry::ReadOutbox { peer, .. } => {
                    other_updates.extend(view.event(event)?);
                    spoken_of.push(*peer);
                }
            }
        }
        let new_messages = view.messages(&found)?;
        let users = view.users(View::spoken_of(&found).chain(spoken_of))?;
        let unread_count = unread_chats(db, user.id)?;
        let reached = types::updates::State { pts: last.pts, qts: 0, date: unix32(now), seq: 0, unread_count }.into();
        let (new_encrypted_messages, chats) = (Vec::new(), Vec::new());
        if last.pts == user.pts {
            let all = types::updates::Difference {
                new_messages,
                new_encrypted_messages,
                other_updates,
                chats,
                users,
                state: reached,
            };
            return Ok(all.into());
        }
        Ok(types::updates::DifferenceSlice {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            intermediate_state: reached,
        }
        .into())
    })
}
