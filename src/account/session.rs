//! Who is logged in, and the end of a login.

use crate::{
    client::InvokeError,
    tl::api::{enums, functions},
};

use super::{Api, Error, Me};

/// Asks the server who is logged in, and keeps the record here up to date. `now` is Unix time.
///
/// # Errors
///
/// [`Error::NotLoggedIn`] without asking when no login is on record; [`InvokeError::Unauthorized`] inside [`Error::Invoke`] when the server has
/// ended it; others as any call.
pub async fn whoami(api: &impl Api, now: i64) -> Result<Me, Error> {
    if !api.is_authorized()? {
        return Err(Error::NotLoggedIn);
    }
    let me = ask(api).await?;
    keep_record(api, &me, now)?;
    Ok(me)
}

/// Brings the record of the account up to date. It is missing when a login was cut off between the server's answer and here: then `now` has to
/// stand for the time of the login.
pub(super) fn keep_record(api: &impl Api, me: &Me, now: i64) -> Result<(), Error> {
    let old = api.account()?;
    let new = me.record(old.as_ref().map_or(now, |old| old.logged_in_at));
    if old.as_ref() != Some(&new) {
        api.save_account(&new)?;
    }
    Ok(())
}

pub(super) async fn ask(api: &impl Api) -> Result<Me, Error> {
    let users = api.invoke(&functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] }).await?;
    users
        .first()
        .and_then(Me::read)
        .ok_or(Error::Nonsense { method: "users.getUsers", what: "it does not describe the account that asks" })
}

/// How a logout went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// The server has ended the authorization.
    Now,
    /// The server had ended it before.
    Before,
}

/// Ends the authorization on the server, then forgets it here. What is here stays if the server does not agree, so that it can be tried again.
///
/// # Errors
///
/// [`Error::NotLoggedIn`] when no login is on record; whatever the call to the server can raise.
pub async fn logout(api: &impl Api) -> Result<LoggedOut, Error> {
    if !api.is_authorized()? {
        return Err(Error::NotLoggedIn);
    }
    let outcome = match api.invoke(&functions::auth::LogOut {}).await {
        Ok(_) => LoggedOut::Now,
        Err(InvokeError::Unauthorized(_)) => LoggedOut::Before,
        Err(error) => return Err(error.into()),
    };
    api.forget().await?;
    Ok(outcome)
}
