//! The login with a phone number and a code ("User Authorization").
//!
//! ```text
//! auth.sendCode ─▶ auth.sentCode ─▶ auth.signIn ─▶ auth.authorization
//!       │                │               ├─▶ auth.authorizationSignUpRequired ─▶ auth.signUp ─▶ auth.authorization
//!       │                │               ├─▶ PHONE_CODE_INVALID ─▶ ask again, a few times
//!       │                │               └─▶ SESSION_PASSWORD_NEEDED ─▶ refused: not supported yet
//!       │                └─▶ auth.resendCode, when asked for
//!       └─▶ auth.sentCodeSuccess: logged in at once
//! ```

use std::future::Future;

use crate::{
    client::InvokeError,
    tl::{
        Str,
        api::{
            enums::{self, auth::SentCode},
            functions, types,
        },
    },
};

use super::{
    Api, CodeSent, Delivery, Error, Me,
    me::digits,
    redact_phone,
    session::{ask, keep_record, logout},
};

/// How many codes may be typed before the login fails. The server's own limit is higher; a typo or two is human.
pub const MAX_CODE_ATTEMPTS: u32 = 3;

/// How often the code may be asked for in another way.
pub const MAX_RESENDS: u32 = 3;

/// The longest first or last name, in characters.
const MAX_NAME: usize = 64;

/// What somebody answers when asked for the code.
#[derive(Clone, PartialEq, Eq)]
pub enum CodeAnswer {
    /// The code.
    Code(String),
    /// It does not arrive: send it another way.
    Resend,
}

/// The name of a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// First name, not empty.
    pub first: String,
    /// Last name.
    pub last: String,
}

/// Why a question was not answered: whatever the source of answers says.
pub type PromptError = Box<dyn std::error::Error + Send + Sync>;

/// Where phone number, code and name come from: a person at a terminal, flags, a test.
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
}

/// How a login ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    /// The account was logged in here before; nothing was done.
    Already(Me),
    /// Logged in.
    In(Me),
    /// A new account was made.
    Up(Me),
}

impl LoggedIn {
    /// The account.
    pub fn me(&self) -> &Me {
        match self {
            Self::Already(me) | Self::In(me) | Self::Up(me) => me,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct LoginRequest {
    /// The phone number, if it is known already; otherwise [`LoginPrompts::phone`] is asked.
    pub phone: Option<String>,
    /// End an authorization that is here already, and log in anew.
    pub force: bool,
    /// Unix time, for the record of the login.
    pub now: i64,
}

/// Logs in with a phone number and a code.
///
/// If the account is logged in here already, nothing is done and no code is sent, unless `force` is set: then the old authorization is
/// ended on the server first. An authorization that the server has ended is replaced without asking.
///
/// # Errors
///
/// See [`Error`].
pub async fn login_code(api: &impl Api, prompts: &mut impl LoginPrompts, request: LoginRequest) -> Result<LoggedIn, Error> {
    if api.is_authorized()? {
        if request.force {
            logout(api).await?;
        } else {
            match ask(api).await {
                Ok(me) => return already(api, me, &request),
                Err(Error::Invoke(InvokeError::Unauthorized(_))) => api.forget().await?,
                Err(error) => return Err(error),
            }
        }
    }
    let typed = match request.phone {
        Some(phone) => phone,
        None => prompts.phone().await.map_err(Error::Prompt)?,
    };
    let phone = digits(&typed);
    // Numbers have at most 15 digits with their country code (E.164); the shortest have 5.
    if !(5..=15).contains(&phone.len()) || typed.chars().any(|c| !c.is_ascii_digit() && !"+-() .".contains(c)) {
        return Err(Error::PhoneInvalid { phone: redact_phone(&typed) });
    }
    Flow { api, phone, now: request.now }.run(prompts).await
}

fn already(api: &impl Api, me: Me, request: &LoginRequest) -> Result<LoggedIn, Error> {
    match &request.phone {
        Some(phone) if !me.has_phone(phone) => Err(Error::OtherAccount { who: format!("{} (id {})", me.name(), me.id) }),
        _ => {
            keep_record(api, &me, request.now)?;
            Ok(LoggedIn::Already(me))
        }
    }
}

/// One login under way.
struct Flow<'a, A> {
    api: &'a A,
    phone: String,
    now: i64,
}

impl<A: Api> Flow<'_, A> {
    async fn run(self, prompts: &mut impl LoginPrompts) -> Result<LoggedIn, Error> {
        let (api_id, api_hash) = self.api.application();
        let request = functions::auth::SendCode {
            phone_number: self.phone(),
            api_id,
            api_hash: api_hash.into(),
            settings: types::CodeSettings::default().into(),
        };
        let mut sent = self.api.invoke(&request).await;
        // AUTH_RESTART: the server has lost the thread and asks for exactly this.
        if matches!(&sent, Err(InvokeError::Rpc(error)) if error.name == "AUTH_RESTART") {
            sent = self.api.invoke(&request).await;
        }
        let (mut code, mut hash) = match self.sent(sent)? {
            Sent::Code(code, hash) => (code, hash),
            Sent::Success(authorization) => return self.authorized(authorization, false),
        };
        let (mut wrong, mut resent) = (0, 0);
        loop {
            match prompts.code(&code, wrong).await.map_err(Error::Prompt)? {
                CodeAnswer::Resend => {
                    resent += 1;
                    if resent > MAX_RESENDS {
                        return Err(Error::TooManyResends);
                    }
                    let request =
                        functions::auth::ResendCode { phone_number: self.phone(), phone_code_hash: hash, reason: None };
                    (code, hash) = match self.sent(self.api.invoke(&request).await)? {
                        Sent::Code(code, hash) => (code, hash),
                        Sent::Success(authorization) => return self.authorized(authorization, false),
                    };
                }
                CodeAnswer::Code(text) => match self.sign_in(&hash, &text).await {
                    Ok(enums::auth::Authorization::SignUpRequired(required)) => {
                        return self.sign_up(hash, required, prompts).await;
                    }
                    Ok(authorization) => return self.authorized(authorization, false),
                    Err(InvokeError::Rpc(error))
                        if matches!(error.name.as_str(), "PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY") =>
                    {
                        wrong += 1;
                        if wrong == MAX_CODE_ATTEMPTS {
                            return Err(Error::CodeWrong { attempts: wrong });
                        }
                    }
                    // What servers said before layer 105 instead of auth.authorizationSignUpRequired.
                    Err(InvokeError::Rpc(error)) if error.name == "PHONE_NUMBER_UNOCCUPIED" => {
                        return self.sign_up(hash, types::auth::AuthorizationSignUpRequired::default(), prompts).await;
                    }
                    Err(error) => return Err(self.error(error)),
                },
            }
        }
    }

    async fn sign_in(&self, hash: &Str, code: &str) -> Result<enums::auth::Authorization, InvokeError> {
        // Codes are read off a screen with spaces and dashes in them.
        let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        self.api
            .invoke(&functions::auth::SignIn {
                phone_number: self.phone(),
                phone_code_hash: hash.clone(),
                phone_code: Some(code.into()),
                email_verification: None,
            })
            .await
    }

    async fn sign_up(
        &self,
        hash: Str,
        required: types::auth::AuthorizationSignUpRequired,
        prompts: &mut impl LoginPrompts,
    ) -> Result<LoggedIn, Error> {
        let terms = required.terms_of_service.as_ref().map(|enums::help::TermsOfService::Service(terms)| &*terms.text);
        let name = prompts.name(terms).await.map_err(Error::Prompt)?;
        if name.first.trim().is_empty() || name.first.chars().count() > MAX_NAME || name.last.chars().count() > MAX_NAME {
            return Err(Error::NameRefused { name: "not 1 to 64 characters".into() });
        }
        let request = functions::auth::SignUp {
            no_joined_notifications: false,
            phone_number: self.phone(),
            phone_code_hash: hash,
            first_name: name.first.trim().into(),
            last_name: name.last.trim().into(),
        };
        let authorization = self.api.invoke(&request).await.map_err(|e| self.error(e))?;
        self.authorized(authorization, true)
    }

    fn authorized(&self, authorization: enums::auth::Authorization, new: bool) -> Result<LoggedIn, Error> {
        let method = if new { "auth.signUp" } else { "auth.signIn" };
        let enums::auth::Authorization::Authorization(authorization) = authorization else {
            return Err(Error::Nonsense { method, what: "it asks for a sign-up at this point" });
        };
        let me = Me::read(&authorization.user).ok_or(Error::Nonsense { method, what: "it does not describe the account" })?;
        self.api.logged_in(&me.record(self.now))?;
        Ok(if new { LoggedIn::Up(me) } else { LoggedIn::In(me) })
    }

    fn sent(&self, answer: Result<SentCode, InvokeError>) -> Result<Sent, Error> {
        match answer.map_err(|e| self.error(e))? {
            SentCode::Code(sent) => {
                let code = CodeSent::read(&sent);
                match code.delivery {
                    Delivery::Firebase | Delivery::EmailSetup => Err(Error::DeliveryUnsupported(code.delivery)),
                    _ => Ok(Sent::Code(code, sent.phone_code_hash)),
                }
            }
            SentCode::Success(success) => Ok(Sent::Success(success.authorization)),
            SentCode::PaymentRequired(_) => Err(Error::PaymentRequired),
        }
    }

    fn phone(&self) -> Str {
        self.phone.as_str().into()
    }

    fn error(&self, error: InvokeError) -> Error {
        Error::of_login(error, &self.phone)
    }
}

enum Sent {
    Code(CodeSent, Str),
    Success(enums::auth::Authorization),
}
