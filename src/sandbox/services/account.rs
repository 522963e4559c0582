//! `account.*`: the account's profile.

use super::Call;
use super::view::View;
use crate::fault::Fault;
use crate::state::users;
use tdl_core::tl::api::enums;
use tdl_core::tl::api::functions::account as f;

/// How long a client that says it is online is believed.
const ONLINE_SECONDS: i64 = 300;

pub(crate) fn update_status(call: &mut Call<'_>, req: f::UpdateStatus) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let until = if req.offline { call.now } else { call.now.saturating_add(ONLINE_SECONDS) };
    call.state.write(|tx| users::set_online_until(tx, user, until))?;
    Ok(true)
}

pub(crate) fn update_profile(call: &mut Call<'_>, req: f::UpdateProfile) -> Result<enums::User, Fault> {
    let id = call.user_id()?;
    if req.first_name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Fault::FirstNameInvalid);
    }
    call.state
        .write(|tx| users::set_profile(tx, id, req.first_name.as_deref(), req.last_name.as_deref(), req.about.as_deref()))?;
    own_user(call)
}

pub(crate) fn update_username(call: &mut Call<'_>, req: f::UpdateUsername) -> Result<enums::User, Fault> {
    let id = call.user_id()?;
    let name: &str = &req.username;
    if !name.is_empty() && !users::is_username(name) {
        return Err(Fault::UsernameInvalid);
    }
    call.state.write(|tx| {
        if users::by_username(tx, name)?.is_some_and(|owner| owner.id != id) {
            return Err(Fault::UsernameOccupied);
        }
        users::set_username(tx, id, (!name.is_empty()).then_some(name))?;
        Ok(())
    })?;
    own_user(call)
}

fn own_user(call: &mut Call<'_>) -> Result<enums::User, Fault> {
    let user = call.user()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| View { state, db, viewer: user.id, now }.user(&user))
}
