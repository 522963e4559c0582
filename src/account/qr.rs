//! The login by a code that a device which is logged in scans ("Login via QR code").
//!
//! ```text
//! auth.exportLoginToken ─▶ auth.loginToken ─▶ shown ─▶ updateLoginToken, or its time is up ─▶ auth.exportLoginToken again
//!          └─▶ auth.loginTokenMigrateTo ─▶ auth.importLoginToken at the account's DC
//!          └─▶ auth.loginTokenSuccess, or SESSION_PASSWORD_NEEDED ─▶ the password
//! ```

use std::{future::Future, time::Duration};

use crate::{
    client::{Client, InvokeError, UpdateItem, Updates},
    tl::{Deserialize as _, api::enums},
};

use super::{
    Api, Error, LoggedIn, LoginLink, LoginPrompts, LoginRequest, PromptError,
    login::{admitted, begin_or_go_on},
    token::{Asked, ask_token},
};

/// How many links are shown, one after the other, before the login fails. A link lasts for half a minute.
pub const MAX_LINKS: u32 = 20;

/// The shortest and the longest time for which a link is shown, whatever the clocks say.
const SHOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// How often the server may lose a token that was accepted.
const MAX_GONE: u32 = 3;

/// How often it is asked about one link before that, too, is given up: its clock may stand still.
const MAX_ASKED: u32 = 4 * MAX_LINKS;

/// Where login links are shown: a terminal, a test.
pub trait LinkDisplay {
    /// Shows a link, in place of the one before.
    ///
    /// # Errors
    ///
    /// An error ends the login with [`Error::Prompt`].
    fn show(&mut self, link: &LoginLink) -> Result<(), PromptError>;
}

/// Tells when a token has been accepted (`updateLoginToken`).
pub trait TokenWatch {
    /// Waits until the server says that a token was accepted, or that it may have said so unheard; at most for the time given.
    ///
    /// # Errors
    ///
    /// [`InvokeError::Closed`] when nothing can be heard any more.
    fn wait(&mut self, at_most: Duration) -> impl Future<Output = Result<(), InvokeError>>;

    /// Forgets what was heard so far: no token was shown yet.
    fn clear(&mut self);
}

/// What a client hears of its login tokens. The client's configuration has to ask for updates.
pub struct LoginSignals {
    updates: Updates,
}

impl LoginSignals {
    /// Takes the client's updates, if nobody has; see [`Client::updates`].
    pub fn of(client: &Client) -> Option<Self> {
        client.updates().map(|updates| Self { updates })
    }
}

impl TokenWatch for LoginSignals {
    async fn wait(&mut self, at_most: Duration) -> Result<(), InvokeError> {
        let heard = async {
            loop {
                match self.updates.next().await {
                    Some(UpdateItem::Update(body)) if !tells_of_token(&body) => {}
                    Some(_) => return Ok(()),
                    None => return Err(InvokeError::Closed),
                }
            }
        };
        tokio::time::timeout(at_most, heard).await.unwrap_or(Ok(()))
    }

    fn clear(&mut self) {
        self.updates.clear();
    }
}

/// Whether updates, serialized, say that a token was accepted.
pub(super) fn tells_of_token(body: &bytes::Bytes) -> bool {
    let accepted = |update: &enums::Update| matches!(update, enums::Update::LoginToken);
    match enums::Updates::from_bytes(body.clone()) {
        Ok(enums::Updates::UpdateShort(short)) => accepted(&short.update),
        Ok(enums::Updates::Updates(updates)) => updates.updates.iter().any(accepted),
        Ok(enums::Updates::Combined(updates)) => updates.updates.iter().any(accepted),
        _ => false,
    }
}

/// Logs in by links that somebody opens, or scans, with a device that is logged in. Shows at most [`MAX_LINKS`]; a link is replaced when
/// its time is up.
///
/// `except` are the ids of accounts that are logged in elsewhere here: the server does not let those in once more. An account that is
/// logged in here is left as it is, as [`login_code`](super::login_code) leaves it.
///
/// # Errors
///
/// [`Error::LinkNotAccepted`], [`Error::LinkRefused`], and what any login can raise: see [`Error`].
pub async fn login_qr<P: LoginPrompts + LinkDisplay>(
    api: &impl Api,
    watch: &mut impl TokenWatch,
    person: &mut P,
    except: &[i64],
    request: LoginRequest,
) -> Result<LoggedIn, Error> {
    if let Some(outcome) = begin_or_go_on(api, person, &request).await? {
        return Ok(outcome);
    }
    let (mut links, mut gone) = (0, 0);
    let mut shown = None;
    for _ in 0..MAX_ASKED {
        match ask_token(api, person, except).await? {
            Asked::In(authorization, method) => return Ok(LoggedIn::In(admitted(api, &authorization, method, request.now)?)),
            Asked::Gone { name } => {
                gone += 1;
                if gone == MAX_GONE {
                    return Err(Error::LinkRefused { name });
                }
            }
            Asked::Token { token, expires } => {
                let left = u64::try_from(expires.saturating_sub(api.server_time())).unwrap_or(0);
                let link = LoginLink::new(&token, Duration::from_secs(left).clamp(SHOWN.0, SHOWN.1));
                if shown.as_ref() != Some(&token) {
                    if links == MAX_LINKS {
                        return Err(Error::LinkNotAccepted { links });
                    }
                    links += 1;
                    if shown.is_none() {
                        watch.clear();
                    }
                    person.show(&link).map_err(Error::Prompt)?;
                    shown = Some(token);
                }
                watch.wait(link.lifetime).await?;
            }
        }
    }
    Err(Error::LinkNotAccepted { links })
}
