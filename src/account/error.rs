//! Why a login or a logout failed.

use crate::client::{InvokeError, RpcError, Unauthorized};
use crate::crypto::srp::SrpError;

use super::Delivery;

/// What went wrong, one variant for each thing that a person can do something different about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call itself failed: network, flood wait, ended authorization, or an answer without a variant of its own.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// A question was not answered, or there was nothing to show a login link on.
    #[error(transparent)]
    Prompt(Box<dyn std::error::Error + Send + Sync>),
    /// Somebody chose to end the login.
    #[error("the login was cancelled")]
    Cancelled,
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
    /// `UPDATE_APP_TO_LOGIN`, or `PHONE_NUMBER_APP_SIGNUP_FORBIDDEN`: the server wants another application for this.
    #[error("the server does not let this application do that ({name})")]
    OfficialAppWanted {
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
    /// `PHONE_CODE_EXPIRED` or `EMAIL_VERIFY_EXPIRED`.
    #[error("the code has expired")]
    CodeExpired,
    /// The code can only be had by an official app.
    #[error("Telegram wants to send the code {0}")]
    DeliveryUnsupported(Delivery),
    /// The server wants money for the code (`auth.sentCodePaymentRequired`).
    #[error("Telegram asks a fee for a login code to this number")]
    PaymentRequired,
    /// The server accepts none of the email addresses that were given.
    #[error("the server does not accept the email address ({name})")]
    EmailRefused {
        /// The server's name for it.
        name: String,
    },
    /// Each password that was typed was wrong (`PASSWORD_HASH_INVALID`).
    #[error("the password is wrong")]
    PasswordWrong {
        /// How many were tried.
        attempts: u32,
        /// Whether the account has a recovery email.
        recovery: bool,
    },
    /// What the server wants the password to be proved with is not to be trusted.
    #[error("the password was not sent: {0}")]
    PasswordUntrusted(SrpError),
    /// The server wants the password to be proved in a way that this version does not know (`passwordKdfAlgoUnknown`).
    #[error("the server wants the password in a form that this version does not know")]
    PasswordFormUnknown,
    /// The proof of the password was too old each time (`SRP_ID_INVALID`).
    #[error("the server takes no proof of the password: each one was too old for it")]
    PasswordStale,
    /// Nobody accepted the login links, one after the other.
    #[error("nobody has accepted the login")]
    LinkNotAccepted {
        /// How many links there were.
        links: u32,
    },
    /// The server no longer knew a login token, several times.
    #[error("the server does not accept its own login token ({name})")]
    LinkRefused {
        /// The server's name for it.
        name: String,
    },
    /// The text is no bot token, or the server says so (`ACCESS_TOKEN_INVALID`).
    #[error("this is no bot token")]
    BotTokenInvalid,
    /// `ACCESS_TOKEN_EXPIRED`: the token was replaced.
    #[error("the bot token was withdrawn")]
    BotTokenExpired,
    /// The other program's authorization has ended: nothing can be accepted with it.
    #[error("the login of the other program has ended: {0}")]
    ForeignEnded(Unauthorized),
    /// The other program's authorization is a bot's, and bots cannot accept logins.
    #[error("the login of the other program is a bot's, and a bot cannot let another session in")]
    ForeignIsBot,
    /// The server refused to let us in with the other program's authorization.
    #[error("the server does not let the other program's login accept ours ({name})")]
    ForeignRefused {
        /// The server's name for it.
        name: String,
    },
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
        let text = match self {
            Self::Invoke(_) | Self::Prompt(_) | Self::Nonsense { .. } => return None,
            Self::Cancelled => "run the command again when you want to log in",
            Self::PhoneInvalid { .. } => "write it with the country code, such as +4915112345678",
            Self::PhoneBanned => "write to recover@telegram.org about the number, or use another",
            Self::TooManyLogins { .. } => "wait a day before you try again",
            Self::ApplicationRefused { .. } => {
                "compare --app-id and --app-hash with what https://my.telegram.org/apps shows; both belong together"
            }
            Self::OfficialAppWanted { .. } => "log in with an official app first, then here with `tdl login -T qr`",
            Self::CodeWrong { .. } | Self::CodeExpired => "run the command again for a new code",
            Self::TooManyResends => "check the number, and look for a message in Telegram on your other devices",
            Self::DeliveryUnsupported(_) => {
                "log in with an official app on another device first, then here with `tdl login -T qr`"
            }
            Self::PaymentRequired => "log in with an official app first, then here with `tdl login -T qr`",
            Self::EmailRefused { .. } => "give an address that exists and that no other account uses for its logins",
            Self::PasswordWrong { recovery: true, .. } => {
                "it is the password of two-step verification; if you have forgotten it, \"Forgot password?\" in an official app sends a code to \
                 your recovery email"
            }
            Self::PasswordWrong { recovery: false, .. } => {
                "it is the password of two-step verification; without a recovery email, a device that is logged in can ask for it to be reset \
                 (Settings, Privacy, Two-Step Verification, Forgot password?), which takes a week"
            }
            Self::PasswordUntrusted(SrpError::Randomness) => {
                "the system's source of random numbers is broken: that has to be mended first"
            }
            Self::PasswordUntrusted(_) => {
                "whoever answers is not Telegram, or somebody changes what it says: check the network, the proxy and --dc-config"
            }
            Self::PasswordFormUnknown => "look for a newer version of tdl",
            Self::PasswordStale => "run the command again",
            Self::LinkNotAccepted { .. } => {
                "run the command again, and scan the code in Telegram on your phone: Settings, Devices, Link Desktop Device"
            }
            Self::LinkRefused { .. } => "run the command again; check the clock of this machine if it happens again",
            Self::BotTokenInvalid => "take it from @BotFather: it looks like 123456789:AAF…",
            Self::BotTokenExpired => "ask @BotFather for the present one",
            Self::ForeignEnded(_) => "log in with that program again, or use `tdl login -T qr` or -T code",
            Self::ForeignIsBot => "log in with the bot's token: `tdl login -T bot`",
            Self::ForeignRefused { .. } => "use `tdl login -T qr` or -T code instead",
            Self::NameRefused { .. } => "choose another --first-name; it may not be empty or longer than 64 characters",
            Self::OtherAccount { .. } => "choose another namespace with -n, or replace the account with --force",
            Self::NotLoggedIn => "log in first: `tdl login`",
        };
        Some(text.to_owned())
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
            "UPDATE_APP_TO_LOGIN" | "PHONE_NUMBER_APP_SIGNUP_FORBIDDEN" => Self::OfficialAppWanted { name: name.clone() },
            "PHONE_CODE_EXPIRED" | "EMAIL_VERIFY_EXPIRED" => Self::CodeExpired,
            "FIRSTNAME_INVALID" | "LASTNAME_INVALID" => Self::NameRefused { name: name.clone() },
            "ACCESS_TOKEN_INVALID" => Self::BotTokenInvalid,
            "ACCESS_TOKEN_EXPIRED" => Self::BotTokenExpired,
            _ => Self::Invoke(InvokeError::Rpc(rpc)),
        }
    }
}

/// Whether a call was answered with the error of this name.
pub(super) fn is(error: &InvokeError, names: &[&str]) -> bool {
    matches!(error, InvokeError::Rpc(error) if names.contains(&error.name.as_str()))
}
