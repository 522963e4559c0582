//! `auth.*`: signing in and up, leaving, and carrying an authorization to another DC.

use super::view::View;
use super::{Call, Effect, Origin, authorizations, codes, terms};
use crate::fault::Fault;
use crate::state::keys::{self, EXPORT_LIFETIME, Exported};
use crate::state::users::{self, User};
use crate::state::{codes as login_codes, passwords};
use tdl_core::ids::DcId;
use tdl_core::mtproto::binding::Binding;
use tdl_core::tl::api::functions::auth as f;
use tdl_core::tl::api::{enums, types};
use tdl_core::tl::mtproto::enums::DestroyAuthKeyRes;
use tdl_core::tl::mtproto::functions::DestroyAuthKey;

/// Characters that the real servers allow in a name.
const MAX_NAME: usize = 64;
/// Bytes of an exported authorization.
const TOKEN_LEN: usize = 128;

pub(crate) fn sign_in(call: &mut Call<'_>, req: f::SignIn) -> Result<enums::auth::Authorization, Fault> {
    let phone = codes::local_phone(call, &req.phone_number)?;
    if req.email_verification.is_none() && req.phone_code.as_deref().unwrap_or_default().is_empty() {
        return Err(Fault::PhoneCodeEmpty);
    }
    let code = codes::find(call, &phone, &req.phone_code_hash)?;
    codes::check(call, &phone, &code, &req)?;
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let known = call.state.write(|tx| {
        let Some(user) = users::by_phone(tx, &phone.digits)? else {
            login_codes::verify(tx, &req.phone_code_hash)?;
            return Ok(None);
        };
        login_codes::remove(tx, &req.phone_code_hash)?;
        let is_in = passwords::enter(tx, dc, key_id, user.id, now)?;
        Ok::<_, Fault>(Some((user, is_in)))
    })?;
    match known {
        Some((user, is_in)) => entered(call, &user, is_in),
        None => Ok(types::auth::AuthorizationSignUpRequired { terms_of_service: Some(terms::terms()) }.into()),
    }
}

pub(crate) fn sign_up(call: &mut Call<'_>, req: f::SignUp) -> Result<enums::auth::Authorization, Fault> {
    let phone = codes::local_phone(call, &req.phone_number)?;
    if !codes::find(call, &phone, &req.phone_code_hash)?.verified {
        return Err(Fault::PhoneCodeInvalid);
    }
    let (first, last) = (req.first_name.trim(), req.last_name.trim());
    if first.is_empty() || first.chars().count() > MAX_NAME || last.chars().count() > MAX_NAME {
        return Err(Fault::FirstNameInvalid);
    }
    let (dc, key_id, now, premium) = (call.auth.dc, call.auth.key_id, call.now, call.settings.premium);
    let user = call.state.write(|tx| {
        if users::by_phone(tx, &phone.digits)?.is_some() {
            return Err(Fault::PhoneNumberOccupied);
        }
        let id = users::add(tx, &phone, first, last, premium, now)?;
        login_codes::remove(tx, &req.phone_code_hash)?;
        login_codes::offer_terms(tx, id)?;
        passwords::admit(tx, dc, key_id, id, now)?;
        users::by_id(tx, id)?.ok_or(Fault::UserIdInvalid)
    })?;
    entered(call, &user, true)
}

/// The end of every way in: the account is logged in on the call's key, or its password is needed first.
pub(super) fn entered(call: &mut Call<'_>, user: &User, is_in: bool) -> Result<enums::auth::Authorization, Fault> {
    enter(call, user, is_in, true)
}

/// The same, for a login that another authorization of the account had a part in: it need not be confirmed.
pub(super) fn entered_with_help(call: &mut Call<'_>, user: &User, is_in: bool) -> Result<enums::auth::Authorization, Fault> {
    enter(call, user, is_in, false)
}

fn enter(call: &mut Call<'_>, user: &User, is_in: bool, unconfirmed: bool) -> Result<enums::auth::Authorization, Fault> {
    if !is_in {
        return Err(Fault::SessionPasswordNeeded);
    }
    authorizations::logged_in(call, user, unconfirmed)?;
    authorization(call, user)
}

/// The answer to a login; from here on the key stands for the account.
pub(super) fn authorization(call: &mut Call<'_>, user: &User) -> Result<enums::auth::Authorization, Fault> {
    call.auth.user = Some(user.id);
    let (state, now) = (call.state, call.now);
    let user = state.read(|db| View { state, db, viewer: user.id, now }.user(user))?;
    Ok(types::auth::Authorization { user, ..types::auth::Authorization::default() }.into())
}

/// Binds the temporary key of the call to a permanent one: "Perfect Forward Secrecy".
pub(crate) fn bind_temp_auth_key(call: &mut Call<'_>, req: f::BindTempAuthKey) -> Result<bool, Fault> {
    let Origin { key_id, session, msg_id } = call.origin;
    let expected = Binding {
        msg_id,
        nonce: req.nonce,
        temp_auth_key_id: key_id,
        perm_auth_key_id: req.perm_auth_key_id,
        session_id: session,
        expires_at: req.expires_at,
    };
    call.state.bind_temp_key(DcId(call.dc), &expected, &req.encrypted_message, call.now)?;
    Ok(true)
}

/// A key that waits for a password waits no more; one that is logged in is so no more.
pub(crate) fn log_out(call: &mut Call<'_>, _: f::LogOut) -> Result<enums::auth::LoggedOut, Fault> {
    let (dc, key_id) = (call.auth.dc, call.auth.key_id);
    let waited = call.state.write(|tx| passwords::stop_waiting(tx, dc, key_id))?;
    if waited && call.auth.user.is_none() {
        return Ok(types::auth::LoggedOut { future_auth_token: None }.into());
    }
    call.user_id()?;
    end(call, &[(dc, key_id)], false)?;
    // What was said under them stays secret from now on, whatever becomes of the permanent key.
    call.state.remove_temp_keys(DcId(dc), key_id)?;
    Ok(types::auth::LoggedOut { future_auth_token: None }.into())
}

/// Ends authorizations, with what was imported from them.
pub(crate) fn end(call: &mut Call<'_>, keys: &[(i32, i64)], revoked: bool) -> Result<(), Fault> {
    call.state.write(|tx| {
        for &(dc, key_id) in keys {
            keys::unbind(tx, dc, key_id, revoked)?;
        }
        Ok::<_, Fault>(())
    })?;
    logged_out(call, keys);
    Ok(())
}

/// Has the sessions of ended authorizations told nothing more.
pub(crate) fn logged_out(call: &mut Call<'_>, keys: &[(i32, i64)]) {
    call.effects.extend(keys.iter().map(|&(dc, key_id)| Effect::LoggedOut { dc, key_id }));
}

/// Forgets the key itself, and who is logged in with it: "Service Messages", Destroy Auth Key.
pub(crate) fn destroy_auth_key(call: &mut Call<'_>, _: DestroyAuthKey) -> Result<DestroyAuthKeyRes, Fault> {
    let (dc, key_id) = (call.auth.dc, call.auth.key_id);
    end(call, &[(dc, key_id)], false)?;
    Ok(if call.state.remove_auth_key(DcId(dc), key_id)? {
        DestroyAuthKeyRes::DestroyAuthKeyOk
    } else {
        DestroyAuthKeyRes::DestroyAuthKeyNone
    })
}

pub(crate) fn export_authorization(
    call: &mut Call<'_>,
    req: f::ExportAuthorization,
) -> Result<enums::auth::ExportedAuthorization, Fault> {
    let user = call.user_id()?;
    if req.dc_id == call.dc || !call.settings.dcs.iter().any(|dc| dc.id == req.dc_id && !dc.cdn) {
        return Err(Fault::DcIdInvalid);
    }
    let mut token = vec![0; TOKEN_LEN];
    call.rng.fill_bytes(&mut token);
    let exported = Exported { user, from_dc: call.auth.dc, from_key: call.auth.key_id, to_dc: req.dc_id, created: call.now };
    call.state.write(|tx| keys::add_exported(tx, &token, &exported))?;
    Ok(types::auth::ExportedAuthorization { id: user, bytes: token.into() }.into())
}

pub(crate) fn import_authorization(
    call: &mut Call<'_>,
    req: f::ImportAuthorization,
) -> Result<enums::auth::Authorization, Fault> {
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let user = call.state.write(|tx| {
        let exported = keys::take_exported(tx, &req.bytes)?.ok_or(Fault::AuthBytesInvalid)?;
        let good = exported.user == req.id && exported.to_dc == dc && now <= exported.created.saturating_add(EXPORT_LIFETIME);
        // The one it was exported from may have logged out since.
        let source = keys::auth(tx, exported.from_dc, exported.from_key)?;
        if !good || source.and_then(|s| s.user) != Some(exported.user) {
            return Err(Fault::AuthBytesInvalid);
        }
        keys::bind(tx, dc, key_id, exported.user, Some((exported.from_dc, exported.from_key)), now)?;
        users::by_id(tx, exported.user)?.ok_or(Fault::AuthBytesInvalid)
    })?;
    authorization(call, &user)
}
