//! The login with a phone number and a code ("User Authorization").
//!
//! ```text
//! auth.sendCode ─▶ auth.sentCode ─▶ auth.signIn ─▶ auth.authorization
//!       │                │               ├─▶ auth.authorizationSignUpRequired ─▶ auth.signUp ─▶ auth.authorization
//!       │                │               ├─▶ PHONE_CODE_INVALID ─▶ ask again, a few times
//!       │                │               └─▶ SESSION_PASSWORD_NEEDED ─▶ the password
//!       │                ├─▶ an email address is wanted ─▶ set it up ─▶ auth.sentCode
//!       │                └─▶ auth.resendCode, auth.resetLoginEmail, auth.reportMissingCode, auth.cancelCode, when asked for
//!       └─▶ auth.sentCodeSuccess: logged in at once
//! ```

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
    Api, CodeAnswer, CodeSent, Delivery, Error, LoggedIn, LoginPrompts, LoginRequest, email,
    error::is,
    login::{Begun, admitted, begin},
    me::digits,
    password::check_password,
    redact_phone,
};

/// How many codes may be typed before the login fails. The server's own limit is higher; a typo or two is human.
pub const MAX_CODE_ATTEMPTS: u32 = 3;

/// How often the code may be asked for in another way.
pub const MAX_RESENDS: u32 = 3;

/// The longest first or last name, in characters.
const MAX_NAME: usize = 64;

/// What servers call a wrong code, of the phone or of an email.
pub(super) const WRONG_CODE: &[&str] = &["PHONE_CODE_INVALID", "PHONE_CODE_EMPTY", "EMAIL_CODE_INVALID", "CODE_INVALID"];

/// Logs in with a phone number and a code.
///
/// If the account is logged in here already, nothing is done and no code is sent, unless `force` is set: then the old authorization is
/// ended on the server first. An authorization that the server has ended is replaced without asking.
///
/// # Errors
///
/// See [`Error`].
pub async fn login_code(api: &impl Api, prompts: &mut impl LoginPrompts, request: LoginRequest) -> Result<LoggedIn, Error> {
    // One that waits for its password may be another account's: the code is asked for anew.
    if let Begun::In(outcome) = begin(api, &request).await? {
        return Ok(outcome);
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

/// One login under way.
struct Flow<'a, A> {
    api: &'a A,
    phone: String,
    now: i64,
}

/// What the server has made of a request for a code.
enum Sent {
    Code(CodeSent, Str),
    Success(enums::auth::Authorization),
}

impl<A: Api> Flow<'_, A> {
    async fn run(self, prompts: &mut impl LoginPrompts) -> Result<LoggedIn, Error> {
        let (mut code, mut hash) = match self.send(prompts).await? {
            Sent::Code(code, hash) => (code, hash),
            Sent::Success(authorization) => return self.authorized(&authorization, "auth.sendCode"),
        };
        let (mut wrong, mut resent) = (0, 0);
        loop {
            let answer = prompts.code(&code, wrong).await.map_err(Error::Prompt)?;
            if matches!(answer, CodeAnswer::Resend | CodeAnswer::Missing { .. } | CodeAnswer::ResetEmail) {
                resent += 1;
                if resent > MAX_RESENDS {
                    return Err(Error::TooManyResends);
                }
            }
            let another = match answer {
                CodeAnswer::Code(text) => {
                    if let Some(text) = code.typed(&text) {
                        match self.sign_in(&code, &hash, text).await {
                            Ok(enums::auth::Authorization::SignUpRequired(required)) => {
                                return self.sign_up(hash, required, prompts).await;
                            }
                            Ok(authorization) => return self.authorized(&authorization, "auth.signIn"),
                            Err(error) if is(&error, WRONG_CODE) => {}
                            // What servers said before layer 105 instead of auth.authorizationSignUpRequired.
                            Err(error) if is(&error, &["PHONE_NUMBER_UNOCCUPIED"]) => {
                                return self.sign_up(hash, types::auth::AuthorizationSignUpRequired::default(), prompts).await;
                            }
                            Err(error) if is(&error, &["SESSION_PASSWORD_NEEDED"]) => {
                                let authorization = check_password(self.api, prompts).await?;
                                return self.authorized(&authorization, "auth.checkPassword");
                            }
                            Err(error) => return Err(self.error(error)),
                        }
                    }
                    wrong += 1;
                    if wrong == MAX_CODE_ATTEMPTS {
                        return Err(Error::CodeWrong { attempts: wrong });
                    }
                    continue;
                }
                CodeAnswer::Resend => {
                    let request =
                        functions::auth::ResendCode { phone_number: self.phone(), phone_code_hash: hash.clone(), reason: None };
                    self.api.invoke(&request).await
                }
                CodeAnswer::ResetEmail => {
                    let request =
                        functions::auth::ResetLoginEmail { phone_number: self.phone(), phone_code_hash: hash.clone() };
                    self.api.invoke(&request).await
                }
                CodeAnswer::Missing { mnc } => {
                    let request = functions::auth::ReportMissingCode {
                        phone_number: self.phone(),
                        phone_code_hash: hash.clone(),
                        mnc: mnc.as_str().into(),
                    };
                    self.api.invoke(&request).await.map_err(|error| self.error(error))?;
                    continue;
                }
                CodeAnswer::Cancel => {
                    let request = functions::auth::CancelCode { phone_number: self.phone(), phone_code_hash: hash };
                    // The login has ended whether or not the server hears of it: the code runs out by itself.
                    let _ = self.api.invoke(&request).await;
                    return Err(Error::Cancelled);
                }
            };
            match another {
                // There is no other way after all. The code that was sent is good still.
                Err(error) if is(&error, &["SEND_CODE_UNAVAILABLE"]) => code.next = None,
                // The email was to be taken away before.
                Err(error) if is(&error, &["TASK_ALREADY_EXISTS"]) => code.email_reset = None,
                another => match self.sent(another, prompts).await? {
                    Sent::Code(next, its) => (code, hash, wrong) = (next, its, 0),
                    Sent::Success(authorization) => return self.authorized(&authorization, "auth.resendCode"),
                },
            }
        }
    }

    async fn send(&self, prompts: &mut impl LoginPrompts) -> Result<Sent, Error> {
        let (api_id, api_hash) = self.api.application();
        let request = functions::auth::SendCode {
            phone_number: self.phone(),
            api_id,
            api_hash: api_hash.into(),
            settings: types::CodeSettings::default().into(),
        };
        let mut sent = self.api.invoke(&request).await;
        // The server has lost the thread and asks for exactly this.
        if matches!(&sent, Err(error) if is(error, &["AUTH_RESTART"])) {
            sent = self.api.invoke(&request).await;
        }
        self.sent(sent, prompts).await
    }

    /// What the server has sent, or what is sent after that is done which it wants first.
    async fn sent(&self, answer: Result<SentCode, InvokeError>, prompts: &mut impl LoginPrompts) -> Result<Sent, Error> {
        let mut answer = answer;
        // Once for each of the two.
        for _ in 0..3 {
            let (code, hash) = match answer.map_err(|error| self.error(error))? {
                SentCode::Code(sent) => (CodeSent::read(&sent), sent.phone_code_hash),
                SentCode::Success(success) => return Ok(Sent::Success(success.authorization)),
                SentCode::PaymentRequired(_) => return Err(Error::PaymentRequired),
            };
            match code.delivery {
                Delivery::EmailSetup => {
                    answer = Ok(email::set_up(self.api, prompts, &self.phone, &hash).await?);
                }
                // We cannot prove to be a phone with the official app on it. Asking again leads to the next way.
                Delivery::Firebase if code.next.is_some() => {
                    let request =
                        functions::auth::ResendCode { phone_number: self.phone(), phone_code_hash: hash, reason: None };
                    answer = self.api.invoke(&request).await;
                }
                Delivery::Firebase => return Err(Error::DeliveryUnsupported(code.delivery)),
                _ => return Ok(Sent::Code(code, hash)),
            }
        }
        Err(Error::Nonsense { method: "auth.sendCode", what: "it goes in circles" })
    }

    async fn sign_in(&self, code: &CodeSent, hash: &Str, text: String) -> Result<enums::auth::Authorization, InvokeError> {
        let (phone_code, email_verification) = match code.delivery {
            Delivery::Email { .. } => (None, Some(types::EmailVerificationCode { code: text.into() }.into())),
            _ => (Some(text.into()), None),
        };
        let request = functions::auth::SignIn {
            phone_number: self.phone(),
            phone_code_hash: hash.clone(),
            phone_code,
            email_verification,
        };
        self.api.invoke(&request).await
    }

    async fn sign_up(
        &self,
        hash: Str,
        required: types::auth::AuthorizationSignUpRequired,
        prompts: &mut impl LoginPrompts,
    ) -> Result<LoggedIn, Error> {
        let terms = required.terms_of_service.as_ref().map(terms_text);
        let name = prompts.name(terms.as_deref()).await.map_err(Error::Prompt)?;
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
        Ok(LoggedIn::Up(admitted(self.api, &authorization, "auth.signUp", self.now)?))
    }

    fn authorized(&self, authorization: &enums::auth::Authorization, method: &'static str) -> Result<LoggedIn, Error> {
        Ok(LoggedIn::In(admitted(self.api, authorization, method, self.now)?))
    }

    fn phone(&self) -> Str {
        self.phone.as_str().into()
    }

    fn error(&self, error: InvokeError) -> Error {
        Error::of_login(error, &self.phone)
    }
}

/// The terms of service, and the age that they ask for.
fn terms_text(terms: &enums::help::TermsOfService) -> String {
    let enums::help::TermsOfService::Service(terms) = terms;
    match terms.min_age_confirm {
        Some(age) => format!("{}\n(You confirm that you are at least {age} years old.)", &*terms.text),
        None => terms.text.to_string(),
    }
}
