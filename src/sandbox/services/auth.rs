//! `auth.*`: login codes, signing in and up, leaving, and carrying an authorization to another DC.

use std::fmt::Write as _;

use super::view::View;
use super::{Call, Effect, Origin};
use crate::fault::Fault;
use crate::state::keys::{self, CODE_LIFETIME, EXPORT_LIFETIME, Exported};
use crate::state::users::{self, Phone, User};
use tdl_core::ids::DcId;
use tdl_core::mtproto::binding::Binding;
use tdl_core::tl::api::functions::auth as f;
use tdl_core::tl::api::{enums, types};
use tdl_core::tl::mtproto::enums::DestroyAuthKeyRes;
use tdl_core::tl::mtproto::functions::DestroyAuthKey;

/// Digits in a login code.
const CODE_LENGTH: i32 = 5;
/// Characters that the real servers allow in a name.
const MAX_NAME: usize = 64;
/// Bytes of an exported authorization.
const TOKEN_LEN: usize = 128;

/// The number, if it is one of this cluster and its home is here.
fn local_phone(call: &Call<'_>, number: &str) -> Result<Phone, Fault> {
    let phone = Phone::parse(number, call.settings.dc_count()).ok_or(Fault::PhoneNumberInvalid)?;
    if phone.dc == call.dc { Ok(phone) } else { Err(Fault::PhoneMigrate(phone.dc)) }
}

fn sent_code(call: &mut Call<'_>, phone: &Phone) -> Result<enums::auth::SentCode, Fault> {
    let mut hash = String::with_capacity(18);
    for _ in 0..2 {
        let _ = write!(hash, "{:08x}", call.rng.next_u32());
    }
    let (now, dc) = (call.now, call.dc);
    let elsewhere = call.state.write(|tx| {
        keys::add_code(tx, &hash, &phone.digits, dc, now)?;
        let user = users::by_phone(tx, &phone.digits)?;
        Ok::<_, Fault>(match user {
            Some(user) => !keys::authorizations(tx, user.id)?.is_empty(),
            None => false,
        })
    })?;
    let length = CODE_LENGTH;
    let r#type =
        if elsewhere { types::auth::SentCodeTypeApp { length }.into() } else { types::auth::SentCodeTypeSms { length }.into() };
    Ok(types::auth::SentCode { r#type, phone_code_hash: hash.into(), next_type: None, timeout: None }.into())
}

/// Nothing is sent anywhere: the code of a test number is known from the number.
pub(crate) fn send_code(call: &mut Call<'_>, req: f::SendCode) -> Result<enums::auth::SentCode, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    sent_code(call, &phone)
}

pub(crate) fn resend_code(call: &mut Call<'_>, req: f::ResendCode) -> Result<enums::auth::SentCode, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    check_hash(call, &phone, &req.phone_code_hash)?;
    sent_code(call, &phone)
}

pub(crate) fn cancel_code(call: &mut Call<'_>, req: f::CancelCode) -> Result<bool, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    check_hash(call, &phone, &req.phone_code_hash)?;
    call.state.write(|tx| keys::remove_code(tx, &req.phone_code_hash))?;
    Ok(true)
}

/// The login code that a hash stands for, if it is this number's and still good. The answer: whether it was given already.
fn check_hash(call: &Call<'_>, phone: &Phone, hash: &str) -> Result<bool, Fault> {
    if hash.is_empty() {
        return Err(Fault::PhoneCodeHashEmpty);
    }
    let code = call.state.read(|db| keys::code(db, hash))?.ok_or(Fault::PhoneCodeExpired)?;
    let good = code.phone == phone.digits && code.dc == call.dc && call.now <= code.created.saturating_add(CODE_LIFETIME);
    if good { Ok(code.verified) } else { Err(Fault::PhoneCodeExpired) }
}

pub(crate) fn sign_in(call: &mut Call<'_>, req: f::SignIn) -> Result<enums::auth::Authorization, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    let given = req.phone_code.as_deref().unwrap_or_default();
    if given.is_empty() {
        return Err(Fault::PhoneCodeEmpty);
    }
    check_hash(call, &phone, &req.phone_code_hash)?;
    if given != phone.code {
        return Err(Fault::PhoneCodeInvalid);
    }
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let user = call.state.write(|tx| {
        let user = users::by_phone(tx, &phone.digits)?;
        match &user {
            Some(user) => {
                keys::remove_code(tx, &req.phone_code_hash)?;
                keys::bind(tx, dc, key_id, user.id, None, now)?;
            }
            None => keys::verify_code(tx, &req.phone_code_hash)?,
        }
        Ok::<_, Fault>(user)
    })?;
    match user {
        Some(user) => authorization(call, &user),
        None => Ok(types::auth::AuthorizationSignUpRequired { terms_of_service: None }.into()),
    }
}

pub(crate) fn sign_up(call: &mut Call<'_>, req: f::SignUp) -> Result<enums::auth::Authorization, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    if !check_hash(call, &phone, &req.phone_code_hash)? {
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
        keys::remove_code(tx, &req.phone_code_hash)?;
        keys::bind(tx, dc, key_id, id, None, now)?;
        users::by_id(tx, id)?.ok_or(Fault::UserIdInvalid)
    })?;
    authorization(call, &user)
}

/// The answer to a login; from here on the key stands for the account.
fn authorization(call: &mut Call<'_>, user: &User) -> Result<enums::auth::Authorization, Fault> {
    call.auth.user = Some(user.id);
    let (state, now) = (call.state, call.now);
    let user = state.read(|db| View { state, db, viewer: user.id, now }.user(user))?;
    Ok(types::auth::Authorization { user, ..types::auth::Authorization::default() }.into())
}

/// Accounts have no passwords here, so none is right.
pub(crate) fn check_password(call: &mut Call<'_>, _: f::CheckPassword) -> Result<enums::auth::Authorization, Fault> {
    call.user_id()?;
    Err(Fault::PasswordHashInvalid)
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

pub(crate) fn log_out(call: &mut Call<'_>, _: f::LogOut) -> Result<enums::auth::LoggedOut, Fault> {
    call.user_id()?;
    let (dc, key_id) = (call.auth.dc, call.auth.key_id);
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
    call.effects.extend(keys.iter().map(|&(dc, key_id)| Effect::LoggedOut { dc, key_id }));
    Ok(())
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

/// Ends all authorizations but the caller's.
pub(crate) fn reset_authorizations(call: &mut Call<'_>, _: f::ResetAuthorizations) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let own = (call.auth.dc, call.auth.key_id);
    let others: Vec<(i32, i64)> = call
        .state
        .read(|db| keys::authorizations(db, user))?
        .iter()
        .map(|a| (a.dc, a.key_id))
        .filter(|key| *key != own)
        .collect();
    end(call, &others, true)?;
    Ok(true)
}

pub(crate) fn export_authorization(
    call: &mut Call<'_>,
    req: f::ExportAuthorization,
) -> Result<enums::auth::ExportedAuthorization, Fault> {
    let user = call.user_id()?;
    if req.dc_id == call.dc || !call.settings.dcs.iter().any(|dc| dc.id == req.dc_id) {
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
