//! Login tokens ("Login via QR code"): asked for by the session that wants to be let in, accepted by one that is in.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

use crate::{
    client::InvokeError,
    ids::DcId,
    tl::api::{
        enums::{self, auth::LoginToken},
        functions,
    },
};

use super::{Api, Error, LoginPrompts, error::is, password::check_password};

/// DCs to which one token may lead us.
const MIGRATIONS: u32 = 3;

/// What servers call a token that has had its time.
const GONE: &[&str] = &["AUTH_TOKEN_EXPIRED", "AUTH_TOKEN_INVALID", "AUTH_TOKEN_INVALIDX", "AUTH_TOKEN_ALREADY_ACCEPTED"];

/// A login token as a link: whoever opens it in Telegram lets us in. It is worth as much as a login until it is used or has expired, so it
/// is not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginLink {
    /// `tg://login?token=…`
    pub url: String,
    /// How long it can be used.
    pub lifetime: Duration,
}

impl LoginLink {
    pub(super) fn new(token: &[u8], lifetime: Duration) -> Self {
        Self { url: format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(token)), lifetime }
    }

    /// The token of a link, as somebody who is to accept it got it; `None` for another text.
    pub fn token_of(url: &str) -> Option<Vec<u8>> {
        let text = url.trim();
        let token = text.strip_prefix("tg://login?token=").or_else(|| text.strip_prefix("tg:login?token="))?;
        URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok().filter(|token| !token.is_empty())
    }
}

impl fmt::Debug for LoginLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginLink").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What came of asking for a token.
pub(super) enum Asked {
    /// A token, to be accepted by a session that is in.
    Token {
        token: Bytes,
        /// Unix time by the server's clock.
        expires: i64,
    },
    /// An earlier one has been accepted: we are in, with the answer of the method named.
    In(Box<enums::auth::Authorization>, &'static str),
    /// An earlier one has been accepted, and has expired before we could use it.
    Gone {
        /// The server's name for it.
        name: String,
    },
}

/// Asks for a token, or for what has become of the last one: whoever is asked again after a token was accepted lets us in.
///
/// Follows the account to its DC, and proves the password where there is one.
pub(super) async fn ask_token(api: &impl Api, prompts: &mut impl LoginPrompts, except: &[i64]) -> Result<Asked, Error> {
    const EXPORT: &str = "auth.exportLoginToken";
    let (api_id, api_hash) = api.application();
    let export = functions::auth::ExportLoginToken { api_id, api_hash: api_hash.into(), except_ids: except.to_vec() };
    let mut answer = api.invoke(&export).await;
    if matches!(&answer, Err(error) if is(error, &["AUTH_RESTART"])) {
        answer = api.invoke(&export).await;
    }
    let (mut method, mut migrations) = (EXPORT, 0);
    loop {
        match answer {
            Ok(LoginToken::Token(token)) if method == EXPORT => {
                return Ok(Asked::Token { token: token.token, expires: token.expires.into() });
            }
            Ok(LoginToken::Token(_)) => {
                return Err(Error::Nonsense { method, what: "it is another token" });
            }
            Ok(LoginToken::Success(success)) => return Ok(Asked::In(Box::new(success.authorization), method)),
            Ok(LoginToken::MigrateTo(to)) => {
                migrations += 1;
                if migrations > MIGRATIONS {
                    return Err(Error::Nonsense { method, what: "it leads from one data centre to the next, in circles" });
                }
                api.set_home(DcId(to.dc_id))?;
                method = "auth.importLoginToken";
                answer = api.invoke(&functions::auth::ImportLoginToken { token: to.token }).await;
            }
            Err(error) if is(&error, &["SESSION_PASSWORD_NEEDED"]) => {
                return Ok(Asked::In(Box::new(check_password(api, prompts).await?), "auth.checkPassword"));
            }
            Err(InvokeError::Rpc(error)) if GONE.contains(&error.name.as_str()) => return Ok(Asked::Gone { name: error.name }),
            Err(error) => return Err(Error::of_login(error, "")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_back() {
        let link = LoginLink::new(&[0xfb, 0xff, 0, 1], Duration::from_secs(30));
        assert_eq!(link.url, "tg://login?token=-_8AAQ");
        assert_eq!(LoginLink::token_of(&link.url), Some(vec![0xfb, 0xff, 0, 1]));
        assert_eq!(LoginLink::token_of(" tg://login?token=-_8AAQ== \n"), Some(vec![0xfb, 0xff, 0, 1]));
        for wrong in ["", "tg://login?token=", "tg://login?token=+/8A", "https://t.me/x", "tg://resolve?domain=x"] {
            assert_eq!(LoginLink::token_of(wrong), None, "{wrong}");
        }
        assert!(!format!("{link:?}").contains("_8AA"));
    }
}
