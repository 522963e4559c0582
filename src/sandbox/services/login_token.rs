//! Login tokens: "Login via QR code".
//!
//! ```text
//! new client                         cluster                       client that is logged in
//! auth.exportLoginToken ───────────▶ loginToken, for 30 seconds
//!                                    ◀────────────────────────────  auth.acceptLoginToken
//! updateLoginToken ◀───────────────  to the key's latest session     authorization
//! auth.exportLoginToken ───────────▶ loginTokenSuccess, or SESSION_PASSWORD_NEEDED;
//!                                    or, if the account lives elsewhere, loginTokenMigrateTo
//! auth.importLoginToken, there ────▶ loginTokenSuccess, or SESSION_PASSWORD_NEEDED
//! ```
//!
//! The login itself is made by whoever claims the token, not by the acceptance: in another DC there is no key before that. Until then
//! the new authorization is not in the account's list.

use tdl_core::tl::api::functions::auth as f;
use tdl_core::tl::api::{enums, types};

use super::{Call, auth, authorizations, unix32};
use crate::fault::Fault;
use crate::state::keys::{self, Auth};
use crate::state::login_tokens::{self, LoginToken, TOKEN_LIFETIME};
use crate::state::passwords;
use crate::state::users::{self, User};

/// Bytes of a token.
const TOKEN_LEN: usize = 32;
/// Accounts that a client may except.
const MAX_EXCEPTED: usize = 100;

/// A token to be accepted; once it is, what came of that. A client that is logged in is told so.
pub(crate) fn export_login_token(call: &mut Call<'_>, req: f::ExportLoginToken) -> Result<enums::auth::LoginToken, Fault> {
    if call.auth.user.is_some() && call.auth.imported_from.is_none() {
        let user = call.user()?;
        let authorization = auth::authorization(call, &user)?;
        return Ok(types::auth::LoginTokenSuccess { authorization }.into());
    }
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let mut excepted = req.except_ids;
    excepted.truncate(MAX_EXCEPTED);
    match call.state.read(|db| login_tokens::of_key(db, dc, key_id, now))? {
        Some(token) if token.user.is_some() => return claim(call, &token),
        Some(token) if token.excepted == excepted => return Ok(shown(&token)),
        _ => {}
    }
    let mut bytes = vec![0; TOKEN_LEN];
    call.rng.fill_bytes(&mut bytes);
    let expires = now.saturating_add(TOKEN_LIFETIME);
    let token = LoginToken { token: bytes, dc, key_id, excepted, expires, user: None, claimed: false };
    call.state.write(|tx| login_tokens::add(tx, &token, now))?;
    Ok(shown(&token))
}

fn shown(token: &LoginToken) -> enums::auth::LoginToken {
    types::auth::LoginToken { expires: unix32(token.expires), token: token.token.clone().into() }.into()
}

/// A token that has not ended.
fn live(call: &Call<'_>, token: &[u8]) -> Result<LoginToken, Fault> {
    let token = call.state.read(|db| login_tokens::find(db, token))?.ok_or(Fault::AuthTokenInvalidx)?;
    if call.now < token.expires { Ok(token) } else { Err(Fault::AuthTokenExpired) }
}

/// A token that was exported in another DC and accepted by an account of this one.
pub(crate) fn import_login_token(call: &mut Call<'_>, req: f::ImportLoginToken) -> Result<enums::auth::LoginToken, Fault> {
    let token = live(call, &req.token)?;
    if token.claimed {
        return Err(Fault::AuthTokenAlreadyAccepted);
    }
    claim(call, &token)
}

/// Makes a login of an accepted token, if this is where the account lives.
fn claim(call: &mut Call<'_>, token: &LoginToken) -> Result<enums::auth::LoginToken, Fault> {
    let user = match token.user {
        Some(id) => call.state.read(|db| users::by_id(db, id))?,
        None => None,
    };
    let user: User = user.ok_or(Fault::AuthTokenInvalid)?;
    if user.dc != call.dc {
        return Ok(types::auth::LoginTokenMigrateTo { dc_id: user.dc, token: token.token.clone().into() }.into());
    }
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let entered = call.state.write(|tx| {
        let entered = passwords::enter(tx, dc, key_id, user.id, now)?;
        // One that waits for a password may be asked about again.
        if entered {
            login_tokens::claim(tx, &token.token)?;
        }
        Ok::<_, Fault>(entered)
    })?;
    let authorization = auth::entered_with_help(call, &user, entered)?;
    Ok(types::auth::LoginTokenSuccess { authorization }.into())
}

/// Lets whoever exported a token in; they are told.
pub(crate) fn accept_login_token(call: &mut Call<'_>, req: f::AcceptLoginToken) -> Result<enums::Authorization, Fault> {
    let user = call.user_id()?;
    let token = live(call, &req.token)?;
    if token.user.is_some() {
        return Err(Fault::AuthTokenAlreadyAccepted);
    }
    if token.excepted.contains(&user) {
        return Err(Fault::AuthTokenException);
    }
    let now = call.now;
    let (exporter, has_password) = call.state.write(|tx| {
        // The key that it was exported to may be gone, or logged in by other means.
        let exporter = keys::auth(tx, token.dc, token.key_id)?.filter(|exporter| exporter.user.is_none());
        let exporter = exporter.ok_or(Fault::AuthTokenInvalidx)?;
        login_tokens::accept(tx, &token.token, user, now)?;
        Ok::<_, Fault>((exporter, passwords::find(tx, user)?.is_some()))
    })?;
    let update = types::UpdateShort { update: enums::Update::LoginToken, date: call.date() };
    call.tell_key(token.dc, token.key_id, &update.into());
    describe(call, &exporter, has_password)
}

/// The authorization that is to be, as the account's list will show it.
fn describe(call: &Call<'_>, exporter: &Auth, password_pending: bool) -> Result<enums::Authorization, Fault> {
    let enums::Authorization::Authorization(mut shown) = authorizations::view(call, exporter)?;
    shown.password_pending = password_pending;
    (shown.date_created, shown.date_active) = (call.date(), call.date());
    Ok(enums::Authorization::Authorization(shown))
}
