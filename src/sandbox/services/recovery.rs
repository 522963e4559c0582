//! Whoever forgot the password: recovery by email, before and after the login, and the reset that takes a week, after it.
//! "Two-factor authentication".

use tdl_core::tl::api::functions::{account as f, auth as fa};
use tdl_core::tl::api::{enums, types};

use super::password::{email_code, replace};
use super::{Call, auth, unix32};
use crate::delivery::email_pattern;
use crate::fault::Fault;
use crate::state::passwords::{self, Password, Reset};
use crate::state::users::User;

/// Seconds for which a recovery code may be used.
const RECOVERY_LIFETIME: i64 = 3600;
/// Seconds from the wish to have the password removed until it is.
pub(crate) const RESET_DELAY: i64 = 7 * 86_400;
/// Seconds from a reset that was called off until another may be asked for.
pub(crate) const RESET_PAUSE: i64 = 86_400;

fn current(call: &Call<'_>, user: &User) -> Result<Password, Fault> {
    call.state.read(|db| passwords::find(db, user.id))?.ok_or(Fault::PasswordEmpty)
}

pub(crate) fn request_password_recovery(
    call: &mut Call<'_>,
    _: fa::RequestPasswordRecovery,
) -> Result<enums::auth::PasswordRecovery, Fault> {
    let user = call.account()?;
    let email = current(call, &user)?.email.ok_or(Fault::PasswordRecoveryNa)?;
    let until = call.now.saturating_add(RECOVERY_LIFETIME);
    call.state.write(|tx| passwords::allow_recovery(tx, user.id, until))?;
    Ok(types::auth::PasswordRecovery { email_pattern: email_pattern(&email).into() }.into())
}

/// The account and its password, if a code was asked for and this is it.
fn check_code(call: &Call<'_>, code: &str) -> Result<(User, Password), Fault> {
    let user = call.account()?;
    if code.is_empty() {
        return Err(Fault::CodeEmpty);
    }
    let password = current(call, &user)?;
    if call.now >= password.recovery_until {
        return Err(Fault::PasswordRecoveryExpired);
    }
    if *code != *email_code(&user)? {
        return Err(Fault::CodeInvalid);
    }
    Ok((user, password))
}

pub(crate) fn check_recovery_password(call: &mut Call<'_>, req: fa::CheckRecoveryPassword) -> Result<bool, Fault> {
    check_code(call, &req.code)?;
    Ok(true)
}

/// Sets another password, or none, and logs the account in if that is what the password was wanted for.
pub(crate) fn recover_password(call: &mut Call<'_>, req: fa::RecoverPassword) -> Result<enums::auth::Authorization, Fault> {
    let (user, password) = check_code(call, &req.code)?;
    let new = match &req.new_settings {
        Some(new) => Some(replace(call, user.id, &password, new)?),
        None => None,
    };
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let waits = call.waits_for()?.is_some();
    call.state.write(|tx| {
        match &new {
            Some(new) => passwords::set(tx, user.id, new)?,
            None => passwords::remove(tx, user.id)?,
        }
        if waits {
            passwords::admit(tx, dc, key_id, user.id, now)?;
        }
        Ok::<_, Fault>(())
    })?;
    if waits { auth::entered(call, &user, true) } else { auth::authorization(call, &user) }
}

/// Removes the password a week after the first call, by another one.
pub(crate) fn reset_password(call: &mut Call<'_>, _: f::ResetPassword) -> Result<enums::account::ResetPasswordResult, Fault> {
    let user = call.user()?;
    current(call, &user)?;
    let now = call.now;
    call.state.write(|tx| {
        let reset = passwords::reset(tx, user.id)?;
        Ok(match reset.due {
            Some(due) if due <= now => {
                passwords::remove(tx, user.id)?;
                enums::account::ResetPasswordResult::ResetPasswordOk
            }
            Some(due) => types::account::ResetPasswordRequestedWait { until_date: unix32(due) }.into(),
            None if now < reset.retry => types::account::ResetPasswordFailedWait { retry_date: unix32(reset.retry) }.into(),
            None => {
                let due = now.saturating_add(RESET_DELAY);
                passwords::set_reset(tx, user.id, Reset { due: Some(due), ..reset })?;
                types::account::ResetPasswordRequestedWait { until_date: unix32(due) }.into()
            }
        })
    })
}

/// The owner remembered, or it was somebody else who asked.
pub(crate) fn decline_password_reset(call: &mut Call<'_>, _: f::DeclinePasswordReset) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let retry = call.now.saturating_add(RESET_PAUSE);
    call.state.write(|tx| {
        passwords::reset(tx, user)?.due.ok_or(Fault::ResetRequestMissing)?;
        passwords::set_reset(tx, user, Reset { due: None, retry })?;
        Ok(true)
    })
}
