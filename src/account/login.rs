//! What all ways of logging in have in common: the questions, the request, how it ends well, and what is done before anything is asked.

use std::future::Future;

use zeroize::Zeroizing;

use crate::{
    client::{InvokeError, Unauthorized},
    tl::api::enums,
};

use super::{
    Api, CodeSent, Error, Me,
    error::is,
    password::check_password,
    session::{ask, keep_record, logout},
};

/// What somebody answers when asked for the code.
#[derive(Clone, PartialEq, Eq)]
pub enum CodeAnswer {
    /// The code.
    Code(String),
    /// It does not arrive: send it another way.
    Resend,
    /// It does not arrive, and there is no other way: tell Telegram so (`auth.reportMissingCode`), and ask again.
    Missing {
        /// The network code (MNC) of the phone's operator, empty if it is not known.
        mnc: String,
    },
    /// The email address cannot be read any more: take it away from the account (`auth.resetLoginEmail`).
    ResetEmail,
    /// Withdraw the code and end the login.
    Cancel,
}

/// The name of a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// First name, not empty.
    pub first: String,
    /// Last name.
    pub last: String,
}

/// The password of two-step verification is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordAsked {
    /// The hint that the account's owner has left.
    pub hint: Option<String>,
    /// How many wrong ones were given before.
    pub wrong: u32,
    /// Whether the account has a recovery email.
    pub recovery: bool,
    /// When the password is reset, if that was asked for: Unix time.
    pub reset_at: Option<i64>,
}

/// Why a question was not answered: whatever the source of answers says.
pub type PromptError = Box<dyn std::error::Error + Send + Sync>;

/// Where phone number, code, password and name come from: a person at a terminal, flags, a test.
///
/// An error ends the login with [`Error::Prompt`].
pub trait LoginPrompts {
    /// The phone number with its country code.
    fn phone(&mut self) -> impl Future<Output = Result<String, PromptError>>;

    /// The code that was sent. `wrong` is how many wrong ones were given before; a source with one fixed answer gives an error
    /// from then on.
    fn code(&mut self, sent: &CodeSent, wrong: u32) -> impl Future<Output = Result<CodeAnswer, PromptError>>;

    /// The name for a new account. `terms` is the text of the terms of service that signing up accepts, if the server sent one.
    fn name(&mut self, terms: Option<&str>) -> impl Future<Output = Result<Name, PromptError>>;

    /// The password of two-step verification. A source that has none says so.
    fn password(&mut self, asked: &PasswordAsked) -> impl Future<Output = Result<Zeroizing<String>, PromptError>> {
        let _ = asked;
        std::future::ready(Err("the account is protected by a password, and none was given".into()))
    }

    /// An email address for the account, which needs one before it is let in. `refused` is what the server called the last one. A source
    /// that has none says so.
    fn email(&mut self, refused: Option<&str>) -> impl Future<Output = Result<String, PromptError>> {
        let _ = refused;
        std::future::ready(Err("the account needs an email address, and none was given".into()))
    }
}

/// How a login ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    /// The account was logged in here before; nothing was done.
    Already(Me),
    /// An earlier login, which was cut off after the server had let it in, is complete now.
    Resumed(Me),
    /// Logged in.
    In(Me),
    /// A new account was made.
    Up(Me),
}

impl LoggedIn {
    /// The account.
    pub fn me(&self) -> &Me {
        match self {
            Self::Already(me) | Self::Resumed(me) | Self::In(me) | Self::Up(me) => me,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoginRequest {
    /// The phone number, if it is known already; otherwise [`LoginPrompts::phone`] is asked.
    pub phone: Option<String>,
    /// The account's id, if it is known already: another one that is logged in here is not taken for it.
    pub user_id: Option<i64>,
    /// End an authorization that is here already, and log in anew.
    pub force: bool,
    /// Unix time, for the record of the login.
    pub now: i64,
}

/// What was found before anything was asked.
pub(super) enum Begun {
    /// Somebody is in.
    In(LoggedIn),
    /// An earlier login got as far as the password.
    Halfway,
    /// Nothing.
    Fresh,
}

/// What is done before anything is asked: an authorization that is here already is the answer, unless `force` ends it.
///
/// A key without a login on record may have one all the same: the process that was logging in may have died after the server had let it in.
/// That login is taken over, so that none is left without an owner; it is asked for only where there is such a key, so the first login of
/// a namespace costs no request more.
pub(super) async fn begin(api: &impl Api, request: &LoginRequest) -> Result<Begun, Error> {
    if api.is_authorized()? {
        if request.force {
            logout(api).await?;
            return Ok(Begun::Fresh);
        }
        return match ask(api).await {
            Ok(me) => {
                is_wanted(&me, request)?;
                keep_record(api, &me, request.now)?;
                Ok(Begun::In(LoggedIn::Already(me)))
            }
            Err(Error::Invoke(InvokeError::Unauthorized(_))) => {
                api.forget().await?;
                Ok(Begun::Fresh)
            }
            Err(error) => Err(error),
        };
    }
    if !api.has_key()? {
        return Ok(Begun::Fresh);
    }
    match ask(api).await {
        Ok(me) if is_wanted(&me, request).is_ok() && !request.force => {
            api.logged_in(&me.record(request.now))?;
            Ok(Begun::In(LoggedIn::Resumed(me)))
        }
        // Somebody else's, or not wanted any more: it ends here, so that no authorization is left that nobody knows of.
        Ok(me) => {
            api.logged_in(&me.record(request.now))?;
            logout(api).await?;
            Ok(Begun::Fresh)
        }
        Err(Error::Invoke(error)) if is(&error, &["SESSION_PASSWORD_NEEDED"]) && !request.force => Ok(Begun::Halfway),
        // There was none.
        Err(Error::Invoke(InvokeError::Unauthorized(Unauthorized::KeyUnregistered) | InvokeError::Rpc(_))) => Ok(Begun::Fresh),
        Err(Error::Invoke(InvokeError::Unauthorized(_))) => {
            api.forget().await?;
            Ok(Begun::Fresh)
        }
        Err(error) => Err(error),
    }
}

/// As [`begin`], for a login that is about no phone number: one that got as far as the password is gone on with.
pub(super) async fn begin_or_go_on(
    api: &impl Api,
    prompts: &mut impl LoginPrompts,
    request: &LoginRequest,
) -> Result<Option<LoggedIn>, Error> {
    match begin(api, request).await? {
        Begun::In(outcome) => Ok(Some(outcome)),
        Begun::Fresh => Ok(None),
        Begun::Halfway => {
            let authorization = check_password(api, prompts).await?;
            let me = admitted(api, &authorization, "auth.checkPassword", request.now)?;
            if is_wanted(&me, request).is_ok() {
                return Ok(Some(LoggedIn::Resumed(me)));
            }
            logout(api).await?;
            Ok(None)
        }
    }
}

/// Refuses an account that is another one than the one asked for.
fn is_wanted(me: &Me, request: &LoginRequest) -> Result<(), Error> {
    let other_phone = request.phone.as_ref().is_some_and(|phone| !me.has_phone(phone));
    if other_phone || request.user_id.is_some_and(|id| id != me.id) {
        return Err(Error::OtherAccount { who: format!("{} (id {})", me.name(), me.id) });
    }
    Ok(())
}

/// Notes that the server has let us in. `method` is what it answered.
pub(super) fn admitted(
    api: &impl Api,
    authorization: &enums::auth::Authorization,
    method: &'static str,
    now: i64,
) -> Result<Me, Error> {
    let enums::auth::Authorization::Authorization(authorization) = authorization else {
        return Err(Error::Nonsense { method, what: "it asks for a sign-up at this point" });
    };
    let me = Me::read(&authorization.user).ok_or(Error::Nonsense { method, what: "it does not describe the account" })?;
    api.logged_in(&me.record(now))?;
    Ok(me)
}
