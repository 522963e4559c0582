//! The login of a bot, by its token ("Telegram Bots", `auth.importBotAuthorization`).

use crate::tl::api::functions;

use super::{
    Api, Error, LoggedIn, LoginRequest,
    login::{Begun, admitted, begin},
};

/// Logs in as the bot that a token belongs to.
///
/// If that bot is logged in here already, nothing is done.
///
/// # Errors
///
/// [`Error::BotTokenInvalid`], [`Error::BotTokenExpired`], and what any login can raise: see [`Error`].
pub async fn login_bot(api: &impl Api, token: &str, request: LoginRequest) -> Result<LoggedIn, Error> {
    let token = token.trim();
    let id = bot_id(token).ok_or(Error::BotTokenInvalid)?;
    let request = LoginRequest { phone: None, user_id: Some(id), ..request };
    if let Begun::In(outcome) = begin(api, &request).await? {
        return Ok(outcome);
    }
    let (api_id, api_hash) = api.application();
    let call =
        functions::auth::ImportBotAuthorization { flags: 0, api_id, api_hash: api_hash.into(), bot_auth_token: token.into() };
    let authorization = api.invoke(&call).await.map_err(|error| Error::of_login(error, ""))?;
    Ok(LoggedIn::In(admitted(api, &authorization, "auth.importBotAuthorization", request.now)?))
}

/// The bot's user id, which stands in front of its token: `ID:SECRET`.
fn bot_id(token: &str) -> Option<i64> {
    let (id, secret) = token.split_once(':')?;
    let secret_like = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_digit());
    if !plain || secret.is_empty() || token.len() > 256 || !secret.chars().all(secret_like) {
        return None;
    }
    id.parse().ok().filter(|id| *id > 0)
}
