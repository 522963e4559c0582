//! Accounts: logging in, asking who one is, logging out.
//!
//! | module | subject |
//! |---|---|
//! | `api` | what is needed of a client, so that the flows can be tested against a script |
//! | `login` | what all ways in have in common |
//! | `phone` | the login with phone number and code; `code`: how a code reaches a person; `email`: the address that some accounts need first |
//! | `password` | the password of two-step verification, after any of them |
//! | `qr` | the login by a link that a device which is logged in opens; `token`: what such a link is made of |
//! | `isolate` | a login of our own out of another program's |
//! | `bot` | the login of a bot |
//! | `authorizations` | the account's authorizations, and their end |
//! | `doctor` | whether anything is in conflict: evidence, and what follows from it |
//! | `error` | why a login or logout failed, and what to do about it |
//! | `me` | the account, as the server describes it |
//! | `session` | who am I, and logging out |
//!
//! See "User Authorization" for the flows. Migration to the account's home DC is the client's business.

mod api;
mod authorizations;
mod bot;
mod code;
pub mod doctor;
mod email;
mod error;
mod isolate;
mod login;
mod me;
mod password;
mod phone;
mod qr;
mod session;
mod token;

pub use api::Api;
pub use authorizations::{
    Authorization, Authorizations, EndError, FRESH, authorizations, end_authorization, end_other_authorizations,
    layers_on_record,
};
pub use bot::login_bot;
pub use code::{CodeSent, Delivery, EmailReset};
pub use error::Error;
pub use isolate::{OwnersIdentity, isolate, lent};
pub use login::{CodeAnswer, LoggedIn, LoginPrompts, LoginRequest, Name, PasswordAsked, PromptError};
pub use me::{Me, redact_phone};
pub use password::MAX_PASSWORD_ATTEMPTS;
pub use phone::{MAX_CODE_ATTEMPTS, MAX_RESENDS, login_code};
pub use qr::{LinkDisplay, LoginSignals, MAX_LINKS, TokenWatch, login_qr};
pub use session::{LoggedOut, logout, whoami};
pub use token::LoginLink;

#[cfg(test)]
mod tests;
