//! A login of our own out of another program's, which goes on as if nothing had been ("Login via QR code", between two keys).
//!
//! ```text
//!   our key                                          the other program's key
//!   auth.exportLoginToken ─▶ a token ───────────────▶ auth.acceptLoginToken, this one call
//!   auth.exportLoginToken ─▶ let in, or the password
//! ```
//!
//! The server keeps one device record and one layer for each key, and routes updates by which session of a key called last. So the one call
//! under the other program's key has to come from a client that
//!
//! * asks for no updates (`invokeWithoutUpdates`), which does not make its session the one that updates go to;
//! * introduces itself exactly as the other program does, or not at all where that is not known
//!   ([`Introduction`]): a key that is in use has been introduced;
//! * makes no temporary key for it ([`ClientConfig::pfs`](crate::client::ClientConfig::pfs) off): binding one is a call of its own, and the
//!   server may drop the one that the other program has bound;
//! * remembers nothing ([`MemoryPersistence`](crate::client::MemoryPersistence)): the key is gone with the client.
//!
//! [`lent`] makes such a configuration.

use crate::{
    client::{ClientConfig, DeviceProfile, Introduction, InvokeError, LayerPlan},
    tl::{api::functions, layers::bundled},
};

use super::{
    Api, Error, LoggedIn, LoginPrompts, LoginRequest,
    error::is,
    login::{admitted, begin_or_go_on},
    token::{Asked, ask_token},
};

/// What servers answer to bots that ask for what only people may do.
const FOR_PEOPLE: &[&str] = &["BOT_METHOD_INVALID", "USER_BOT_INVALID"];

/// What the owner of a key says of itself, where that is known in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnersIdentity {
    /// Its device.
    pub device: DeviceProfile,
    /// Its layer.
    pub layer: i32,
    /// Its application.
    pub api_id: i32,
}

/// A configuration for a client on a key that is not ours: see the head of this module. `owner` is how the owner introduces itself;
/// where that is not known, nothing is said, and answers are taken to be in the layer of `config`.
#[must_use]
pub fn lent(config: ClientConfig, owner: Option<OwnersIdentity>) -> ClientConfig {
    let quiet = ClientConfig { updates: false, pfs: None, introduction: Introduction::Silent, ..config };
    match owner {
        // A layer that we do not speak cannot be named without being spoken. The one call is the same in all of them.
        Some(OwnersIdentity { device, layer, api_id }) if bundled().contains(&layer) => {
            ClientConfig { device, layer: LayerPlan::fixed(layer), api_id, introduction: Introduction::Full, ..quiet }
        }
        _ => quiet,
    }
}

/// Makes a login under a key of our own, and has it accepted by the account's login under another key, once. `foreign` should be a client
/// that [`lent`] configured; it is asked nothing else.
///
/// `own` should have the account's DC as its home, which spares a detour.
///
/// # Errors
///
/// [`Error::ForeignEnded`], [`Error::ForeignIsBot`], [`Error::ForeignRefused`], and what any login can raise: see [`Error`].
pub async fn isolate(
    foreign: &impl Api,
    own: &impl Api,
    prompts: &mut impl LoginPrompts,
    request: LoginRequest,
) -> Result<LoggedIn, Error> {
    if let Some(outcome) = begin_or_go_on(own, prompts, &request).await? {
        return Ok(outcome);
    }
    let token = match ask_token(own, prompts, &[]).await? {
        Asked::Token { token, .. } => token,
        // One of an earlier attempt, which ended between being accepted and being used.
        Asked::In(authorization, method) => return Ok(LoggedIn::In(admitted(own, &authorization, method, request.now)?)),
        Asked::Gone { name } => return Err(Error::LinkRefused { name }),
    };
    let accepted = foreign.invoke(&functions::auth::AcceptLoginToken { token }).await;
    // Where nobody knows whether the call arrived, our own key tells.
    let unsure = match accepted {
        Ok(_) => None,
        Err(InvokeError::Unauthorized(reason)) => return Err(Error::ForeignEnded(reason)),
        Err(error) if is(&error, FOR_PEOPLE) => return Err(Error::ForeignIsBot),
        Err(error) if is(&error, &["AUTH_TOKEN_ALREADY_ACCEPTED"]) => None,
        Err(InvokeError::Rpc(error)) => return Err(Error::ForeignRefused { name: error.name }),
        Err(error) => Some(error),
    };
    match (ask_token(own, prompts, &[]).await?, unsure) {
        (Asked::In(authorization, method), _) => Ok(LoggedIn::In(admitted(own, &authorization, method, request.now)?)),
        (_, Some(error)) => Err(Error::Invoke(error)),
        (Asked::Gone { name }, None) => Err(Error::LinkRefused { name }),
        (Asked::Token { .. }, None) => {
            Err(Error::Nonsense { method: "auth.exportLoginToken", what: "the token was accepted, and is not known any more" })
        }
    }
}
