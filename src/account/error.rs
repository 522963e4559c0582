//! Why a login or a logout failed.

use crate::client::{InvokeError, RpcError};

use super::Delivery;

/// What went wrong, one variant for each thing that a person can do something different about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself failed: network, flood wait, ended authorization, or an answer without a variant of its own.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The question for phone, code or name was not answered.
    #[error(transparent)]
    Prompt(Box<dyn std::error::Error + Send + Sync>),
    /// The text cannot be a phone number, or the server says so (`PHONE_NUMBER_INVALID`).
    #[error("{phone} is not a phone number")]
    PhoneInvalid {
        /// The number, redacted.
        phone: String,
    },
    /// `PHONE_NUMBER_BANNED`.
    #[error("this phone number is banned from Telegram")]
    PhoneBanned,
    /// `PHONE_NUMBER_FLOOD` or `PHONE_PASSWORD_FLOOD`: too many logins.
    #[error("too many logins with this phone number ({name})")]
    TooManyLogins {
        /// The server's name for it.
        name: String,
    },
    /// `API_ID_INVALID`: the application is not known, or its hash is another.
    #[error("the server does not accept the application id or its hash ({name})")]
    ApplicationRefused {
        /// The server's name for it.
        name: String,
    },
    /// Each code that was typed was wrong (`PHONE_CODE_INVALID`).
    #[error("the code is wrong")]
    CodeWrong {
        /// How many were tried.
        attempts: u32,
    },
    /// The code was asked for in another way too often.
    #[error("the code was sent several times and never came in")]
    TooManyResends,
    /// `PHONE_CODE_EXPIRED`.
    #[error("the code has expired")]
    CodeExpired,
    /// The code can only be had by an official app.
    #[error("Telegram wants to send the code {0}")]
    DeliveryUnsupported(Delivery),
    /// The server wants money for the code (`auth.sentCodePaymentRequired`).
    #[error("Telegram asks a fee for a login code to this number")]
    PaymentRequired,
    /// `SESSION_PASSWORD_NEEDED`: the account has two-step verification, which this version cannot answer.
    #[error("the account is protected by a password (two-step verification), which this version cannot answer yet")]
    PasswordUnsupported,
    /// The number has no account, and the server does not accept the name for a new one.
    #[error("the server does not accept the name ({name})")]
    NameRefused {
        /// The server's name for it.
        name: String,
    },
    /// Another account is logged in here than the one asked for.
    #[error("another account is logged in here: {who}")]
    OtherAccount {
        /// Who is logged in.
        who: String,
    },
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The answer has the right type and cannot be right: `users.getUsers` without a user, say.
    #[error("the answer to {method} makes no sense: {what}")]
    Nonsense {
        /// The method.
        method: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

impl Error {
    /// What a person can do about it. `None` where the failed call says it better.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Invoke(_) | Self::Prompt(_) | Self::Nonsense { .. } => return None,
            Self::PhoneInvalid { .. } => "write it with the country code, such as +4915112345678".into(),
            Self::PhoneBanned => "write to recover@telegram.org about the number, or use another".into(),
            Self::TooManyLogins { .. } => "wait a day before you try again".into(),
            Self::ApplicationRefused { .. } => {
                "compare --app-id and --app-hash with what https://my.telegram.org/apps shows; both belong together".into()
            }
            Self::CodeWrong { .. } => "run the command again for a new code".into(),
            Self::TooManyResends => "check the number, and look for a message in Telegram on your other devices".into(),
            Self::CodeExpired => "run the command again for a new code".into(),
            Self::DeliveryUnsupported(Delivery::EmailSetup) => "log in with an official app and set up the email address there first".into(),
            Self::DeliveryUnsupported(_) => "log in with an official app on another device first; codes then come as messages there".into(),
            Self::PaymentRequired => "log in with an official app first".into(),
            Self::PasswordUnsupported => {
                "remove the password in an official app (Settings, Privacy, Two-Step Verification) for the login, and set it again afterwards"
                    .into()
            }
            Self::NameRefused { .. } => "choose another --first-name; it may not be empty or longer than 64 characters".into(),
            Self::OtherAccount { .. } => "choose another namespace with -n, or replace the account with --force".into(),
            Self::NotLoggedIn => "log in first: `tdl login -T code`".into(),
        })
    }

    /// The variant that an error answer means, for the methods of the login.
    pub(super) fn of_login(error: InvokeError, phone: &str) -> Self {
        let InvokeError::Rpc(rpc) = error else { return Self::Invoke(error) };
        let RpcError { name, .. } = &rpc;
        match name.as_str() {
            "PHONE_NUMBER_INVALID" => Self::PhoneInvalid { phone: super::redact_phone(phone) },
            "PHONE_NUMBER_BANNED" => Self::PhoneBanned,
            "PHONE_NUMBER_FLOOD" | "PHONE_PASSWORD_FLOOD" => Self::TooManyLogins { name: name.clone() },
            "API_ID_INVALID" | "API_ID_PUBLISHED_FLOOD" => Self::ApplicationRefused { name: name.clone() },
            "PHONE_CODE_EXPIRED" => Self::CodeExpired,
            "SESSION_PASSWORD_NEEDED" => Self::PasswordUnsupported,
            "FIRSTNAME_INVALID" | "LASTNAME_INVALID" => Self::NameRefused { name: name.clone() },
            _ => Self::Invoke(InvokeError::Rpc(rpc)),
        }
    }
}
