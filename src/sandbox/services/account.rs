//! `account.*`: the account's profile and its authorizations.

use super::view::View;
use super::{Call, auth, unix32};
use crate::fault::Fault;
use crate::state::keys::{self, Auth};
use crate::state::users;
use tdl_core::tl::api::functions::account as f;
use tdl_core::tl::api::{enums, types};

/// How long a client that says it is online is believed.
const ONLINE_SECONDS: i64 = 300;
/// Days after which an unused authorization would end.
const AUTHORIZATION_TTL_DAYS: i32 = 180;

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

/// The number by which an authorization is named to its account: 0 for the one that asks.
fn hash(call: &Call<'_>, a: &Auth) -> i64 {
    if (a.dc, a.key_id) == (call.auth.dc, call.auth.key_id) {
        0
    } else {
        call.state.derive(b"authorization", &[a.dc.into(), a.key_id])
    }
}

pub(crate) fn authorizations(call: &mut Call<'_>, _: f::GetAuthorizations) -> Result<enums::account::Authorizations, Fault> {
    let user = call.user_id()?;
    let list = call.state.read(|db| keys::authorizations(db, user))?;
    let authorizations = list
        .iter()
        .map(|a| {
            let hash = hash(call, a);
            types::Authorization {
                current: hash == 0,
                hash,
                device_model: a.device.device_model.as_str().into(),
                platform: "".into(),
                system_version: a.device.system_version.as_str().into(),
                api_id: a.device.api_id,
                app_name: "".into(),
                app_version: a.device.app_version.as_str().into(),
                date_created: unix32(a.bound_at),
                date_active: unix32(a.active_at),
                ip: a.ip.as_str().into(),
                country: "".into(),
                region: "".into(),
                ..types::Authorization::default()
            }
            .into()
        })
        .collect();
    Ok(types::account::Authorizations { authorization_ttl_days: AUTHORIZATION_TTL_DAYS, authorizations }.into())
}

pub(crate) fn reset_authorization(call: &mut Call<'_>, req: f::ResetAuthorization) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let list = call.state.read(|db| keys::authorizations(db, user))?;
    // 0 is how one's own is shown: that is ended by logging out.
    let found = list.iter().find(|a| req.hash != 0 && hash(call, a) == req.hash).ok_or(Fault::HashInvalid)?;
    auth::end(call, &[(found.dc, found.key_id)], true)?;
    Ok(true)
}
