//! The list of chats.

use super::view::View;
use super::{Call, input_peer};
use crate::fault::Fault;
use crate::state::messages::{self, Dialog, Message};
use crate::state::users;
use tdl_core::tl::api::functions::messages as f;
use tdl_core::tl::api::{enums, types};

/// The most chats that one answer holds.
const MAX_DIALOGS: usize = 100;

/// The newest messages of chats.
fn tops(db: &rusqlite::Connection, owner: i64, list: &[Dialog]) -> Result<Vec<Message>, Fault> {
    let mut out = Vec::with_capacity(list.len());
    for dialog in list {
        out.extend(messages::by_id(db, owner, dialog.top)?);
    }
    Ok(out)
}

pub(crate) fn dialogs(call: &mut Call<'_>, req: f::GetDialogs) -> Result<enums::messages::Dialogs, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let view = View { state, db, viewer, now };
        // There is one folder, the main one: in any other there is nothing.
        let all = if req.folder_id.unwrap_or(0) == 0 { messages::dialogs(db, viewer)? } else { Vec::new() };
        let after = match &req.offset_peer {
            enums::InputPeer::Empty => None,
            peer => Some(input_peer(state, db, viewer, peer)?.id),
        };
        let start = match after.and_then(|peer| all.iter().position(|d| d.peer == peer)) {
            // The chat moved up since the last page: then the position in time counts.
            Some(n) if req.offset_id == 0 || all.get(n).is_some_and(|d| d.top == req.offset_id) => n + 1,
            _ if req.offset_date > 0 => {
                all.iter().position(|d| (d.top_date, d.top) < (req.offset_date.into(), req.offset_id)).unwrap_or(all.len())
            }
            Some(n) => n + 1,
            None => 0,
        };
        let limit = usize::try_from(req.limit).ok().filter(|n| (1..=MAX_DIALOGS).contains(n)).unwrap_or(MAX_DIALOGS);
        let rest = all.get(start..).unwrap_or_default();
        let list = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let newest = tops(db, viewer, list)?;
        let dialogs = list.iter().map(|d| view.dialog(d)).collect();
        let (messages, users) = (view.messages(&newest)?, view.users_of(&newest)?);
        if list.len() == all.len() {
            return Ok(types::messages::Dialogs { dialogs, messages, chats: Vec::new(), users }.into());
        }
        let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
        Ok(types::messages::DialogsSlice { count, dialogs, messages, chats: Vec::new(), users }.into())
    })
}

fn answer(call: &Call<'_>, viewer: i64, list: &[Dialog]) -> Result<enums::messages::PeerDialogs, Fault> {
    let (state, now) = (call.state, call.now);
    let user = call.user()?;
    state.read(|db| {
        let view = View { state, db, viewer, now };
        let newest = tops(db, viewer, list)?;
        let unread_count = super::updates::unread_chats(db, viewer)?;
        Ok(types::messages::PeerDialogs {
            dialogs: list.iter().map(|d| view.dialog(d)).collect(),
            messages: view.messages(&newest)?,
            chats: Vec::new(),
            users: view.users(newest.iter().map(|m| m.sender).chain(list.iter().map(|d| d.peer)))?,
            state: types::updates::State { pts: user.pts, qts: 0, date: call.date(), seq: 0, unread_count }.into(),
        }
        .into())
    })
}

/// Nothing can be pinned here yet.
pub(crate) fn pinned_dialogs(call: &mut Call<'_>, _: f::GetPinnedDialogs) -> Result<enums::messages::PeerDialogs, Fault> {
    let viewer = call.user_id()?;
    answer(call, viewer, &[])
}

/// A chat without messages is there too, empty.
pub(crate) fn peer_dialogs(call: &mut Call<'_>, req: f::GetPeerDialogs) -> Result<enums::messages::PeerDialogs, Fault> {
    let viewer = call.user_id()?;
    let state = call.state;
    let list = state.read(|db| {
        let all = messages::dialogs(db, viewer)?;
        let mut list: Vec<Dialog> = Vec::new();
        for peer in &req.peers {
            let enums::InputDialogPeer::Peer(peer) = peer else { return Err(Fault::PeerIdInvalid) };
            let id = input_peer(state, db, viewer, &peer.peer)?.id;
            let empty = Dialog { peer: id, top: 0, top_date: 0, read_inbox: 0, read_outbox: 0, unread: 0 };
            list.push(all.iter().find(|d| d.peer == id).cloned().unwrap_or(empty));
        }
        Ok(list)
    })?;
    answer(call, viewer, &list)
}

/// There are no folders: only the list of all chats.
pub(crate) fn dialog_filters(call: &mut Call<'_>, _: f::GetDialogFilters) -> Result<enums::messages::DialogFilters, Fault> {
    call.user_id()?;
    let filters = vec![enums::DialogFilter::Default];
    Ok(types::messages::DialogFilters { tags_enabled: false, filters }.into())
}

/// Who types is shown to the other side, and to nobody later.
pub(crate) fn set_typing(call: &mut Call<'_>, req: f::SetTyping) -> Result<bool, Fault> {
    let from = call.user_id()?;
    let state = call.state;
    let to = state.read(|db| input_peer(state, db, from, &req.peer))?.id;
    if to != from && state.read(|db| users::by_id(db, to))?.is_some() {
        let update = types::UpdateUserTyping { user_id: from, action: req.action, ..types::UpdateUserTyping::default() };
        let updates = types::UpdateShort { update: update.into(), date: call.date() };
        call.push(to, &updates.into());
    }
    Ok(true)
}
