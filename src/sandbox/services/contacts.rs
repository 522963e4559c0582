//! `contacts.*`: finding people and keeping them.

use super::Call;
use super::view::{View, peer};
use crate::fault::Fault;
use crate::state::users::{self, Phone, User};
use tdl_core::tl::api::functions::contacts as f;
use tdl_core::tl::api::{enums, types};

fn resolved(call: &Call<'_>, viewer: i64, user: &User) -> Result<enums::contacts::ResolvedPeer, Fault> {
    let (state, now) = (call.state, call.now);
    let users = state.read(|db| View { state, db, viewer, now }.users([user.id]))?;
    Ok(types::contacts::ResolvedPeer { peer: peer(user.id), chats: Vec::new(), users }.into())
}

pub(crate) fn resolve_phone(call: &mut Call<'_>, req: f::ResolvePhone) -> Result<enums::contacts::ResolvedPeer, Fault> {
    let viewer = call.user_id()?;
    let phone = Phone::parse(&req.phone, call.settings.dc_count()).ok_or(Fault::PhoneNotOccupied)?;
    let user = call.state.read(|db| users::by_phone(db, &phone.digits))?.ok_or(Fault::PhoneNotOccupied)?;
    resolved(call, viewer, &user)
}

pub(crate) fn resolve_username(call: &mut Call<'_>, req: f::ResolveUsername) -> Result<enums::contacts::ResolvedPeer, Fault> {
    let viewer = call.user_id()?;
    let name = req.username.trim_start_matches('@');
    if name.is_empty() {
        return Err(Fault::UsernameInvalid);
    }
    let user = call.state.read(|db| users::by_username(db, name))?.ok_or(Fault::UsernameNotOccupied)?;
    resolved(call, viewer, &user)
}

/// Numbers that nobody has are left out of the answer.
pub(crate) fn import_contacts(call: &mut Call<'_>, req: f::ImportContacts) -> Result<enums::contacts::ImportedContacts, Fault> {
    let viewer = call.user_id()?;
    let (state, now, dcs) = (call.state, call.now, call.settings.dc_count());
    state.write(|tx| {
        let mut imported = Vec::new();
        let mut ids = Vec::new();
        for contact in &req.contacts {
            let enums::InputContact::InputPhoneContact(contact) = contact;
            let (first, last) = (contact.first_name.trim(), contact.last_name.trim());
            if first.is_empty() && last.is_empty() {
                return Err(Fault::ContactNameEmpty);
            }
            let Some(phone) = Phone::parse(&contact.phone, dcs) else { continue };
            let Some(user) = users::by_phone(tx, &phone.digits)? else { continue };
            if user.id != viewer {
                users::add_contact(tx, viewer, user.id, first, last)?;
            }
            imported.push(types::ImportedContact { user_id: user.id, client_id: contact.client_id }.into());
            ids.push(user.id);
        }
        let users = View { state, db: tx, viewer, now }.users(ids)?;
        Ok(types::contacts::ImportedContacts { imported, popular_invites: Vec::new(), retry_contacts: Vec::new(), users }
            .into())
    })
}

pub(crate) fn contacts(call: &mut Call<'_>, _: f::GetContacts) -> Result<enums::contacts::Contacts, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let ids = users::contacts(db, viewer)?;
        let mut contacts = Vec::with_capacity(ids.len());
        for &id in &ids {
            let mutual = users::contact_name(db, id, viewer)?.is_some();
            contacts.push(types::Contact { user_id: id, mutual }.into());
        }
        let saved_count = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let users = View { state, db, viewer, now }.users(ids)?;
        Ok(types::contacts::Contacts { contacts, saved_count, users }.into())
    })
}
