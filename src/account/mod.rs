//! Accounts: logging in, asking who one is, logging out.
//!
//! | module | subject |
//! |---|---|
//! | `api` | what is needed of a client, so that the flows can be tested against a script |
//! | `code` | how a login code reaches a person |
//! | `error` | why a login or logout failed, and what to do about it |
//! | `login` | the login with phone number and code |
//! | `me` | the account, as the server describes it |
//! | `session` | who am I, and logging out |
//!
//! See "User Authorization" for the flows. Migration to the account's home DC is the client's business.

mod api;
mod code;
mod error;
mod login;
mod me;
mod session;

pub use api::Api;
pub use code::{CodeSent, Delivery};
pub use error::Error;
pub use login::{
    CodeAnswer, LoggedIn, LoginPrompts, LoginRequest, MAX_CODE_ATTEMPTS, MAX_RESENDS, Name, PromptError, login_code,
};
pub use me::{Me, redact_phone};
pub use session::{LoggedOut, logout, whoami};

#[cfg(test)]
mod tests;
