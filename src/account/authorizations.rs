//! The account's authorizations, as the server lists them, and their end ("User Authorization", `account.getAuthorizations`,
//! `account.resetAuthorization`, `auth.resetAuthorizations`).
//!
//! An authorization is a permanent auth key that somebody is logged in with. The server keeps one record of it: the device that introduced
//! itself last, the address that it was used from, two dates.

use std::time::Duration;

use crate::{
    client::{Client, InvokeError},
    tl::{
        Serialize as _,
        api::{enums, functions, types},
        layers,
    },
};

use super::Api;

/// Seconds that a login has to be old before it may end others.
pub const FRESH: i64 = 86_400;

/// One authorization of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// The number that it is ended by. It is 0 for the one that asks.
    pub hash: i64,
    /// It is the one that asks.
    pub current: bool,
    /// Its application is one of Telegram's own.
    pub official: bool,
    /// It still waits for the password of two-step verification.
    pub password_pending: bool,
    /// Nobody has confirmed it yet from another device.
    pub unconfirmed: bool,
    /// Device model, as it introduced itself.
    pub device_model: String,
    /// The platform, as the server makes it out; often empty.
    pub platform: String,
    /// Operating system and its version.
    pub system_version: String,
    /// The application's id.
    pub api_id: i32,
    /// The application's name, as it was registered.
    pub app_name: String,
    /// Application version.
    pub app_version: String,
    /// When it was made: Unix time by the server's clock, in seconds.
    pub created: i64,
    /// When it was used last, likewise.
    pub active: i64,
    /// The address that it was used from last.
    pub ip: String,
    /// The country of that address, as the server makes it out; often empty.
    pub country: String,
    /// The region of that address, likewise.
    pub region: String,
}

impl From<enums::Authorization> for Authorization {
    fn from(enums::Authorization::Authorization(a): enums::Authorization) -> Self {
        Self {
            hash: a.hash,
            current: a.current,
            official: a.official_app,
            password_pending: a.password_pending,
            unconfirmed: a.unconfirmed,
            device_model: a.device_model.to_string(),
            platform: a.platform.to_string(),
            system_version: a.system_version.to_string(),
            api_id: a.api_id,
            app_name: a.app_name.to_string(),
            app_version: a.app_version.to_string(),
            created: a.date_created.into(),
            active: a.date_active.into(),
            ip: a.ip.to_string(),
            country: a.country.to_string(),
            region: a.region.to_string(),
        }
    }
}

/// All authorizations of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorizations {
    /// Each, in the server's order: the one that asks comes first.
    pub list: Vec<Authorization>,
    /// After how many days without use the server ends one.
    pub ttl_days: i32,
}

impl Authorizations {
    /// The one that asked.
    pub fn current(&self) -> Option<&Authorization> {
        self.list.iter().find(|a| a.current)
    }

    /// Those that have not been used since a Unix time by the server's clock. Never the one that asked.
    pub fn unused_since(&self, time: i64) -> impl Iterator<Item = &Authorization> {
        self.list.iter().filter(move |a| !a.current && a.active < time)
    }

    /// How long the one that asked has to wait before it may end others, if the server's clock says `now`.
    pub fn wait(&self, now: i64) -> Duration {
        let left = self.current().map_or(FRESH, |a| a.created.saturating_add(FRESH).saturating_sub(now));
        Duration::from_secs(u64::try_from(left.min(FRESH)).unwrap_or(0))
    }
}

/// Why an authorization was not ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// `FRESH_RESET_AUTHORISATION_FORBIDDEN`: the one that asks is too young for it.
    #[error("a login that is younger than a day may not end others")]
    TooFresh,
    /// `HASH_INVALID`: there is none with this number. It may have ended meanwhile.
    #[error("the server knows no such authorization any more")]
    Unknown,
    /// The call failed for another reason.
    #[error(transparent)]
    Invoke(InvokeError),
}

impl From<InvokeError> for EndError {
    fn from(error: InvokeError) -> Self {
        match &error {
            InvokeError::Rpc(rpc) if rpc.name == "FRESH_RESET_AUTHORISATION_FORBIDDEN" => Self::TooFresh,
            InvokeError::Rpc(rpc) if rpc.name == "HASH_INVALID" => Self::Unknown,
            _ => Self::Invoke(error),
        }
    }
}

/// Asks for the list.
///
/// # Errors
///
/// As any call.
pub async fn authorizations(api: &impl Api) -> Result<Authorizations, InvokeError> {
    let enums::account::Authorizations::Authorizations(found) = api.invoke(&functions::account::GetAuthorizations {}).await?;
    Ok(read(found))
}

fn read(found: types::account::Authorizations) -> Authorizations {
    let list = found.authorizations.into_iter().map(Authorization::from).collect();
    Authorizations { list, ttl_days: found.authorization_ttl_days }
}

/// Ends one authorization, by its number.
///
/// # Errors
///
/// See [`EndError`].
pub async fn end_authorization(api: &impl Api, hash: i64) -> Result<(), EndError> {
    match api.invoke(&functions::account::ResetAuthorization { hash }).await? {
        true => Ok(()),
        false => Err(EndError::Unknown),
    }
}

/// Ends all authorizations but the one that asks.
///
/// # Errors
///
/// See [`EndError`].
pub async fn end_other_authorizations(api: &impl Api) -> Result<(), EndError> {
    match api.invoke(&functions::auth::ResetAuthorizations {}).await? {
        true => Ok(()),
        false => Err(EndError::Unknown),
    }
}

/// The layers that the server may have on record for the client's key: those in which its answer to a question that names none can be read,
/// oldest first, of the bundled ones. `client` has to be one that does not introduce itself; with any other, it is the layer that was
/// just named. Layers that have the same form of a user cannot be told apart. Empty when the answer is of none of them.
///
/// # Errors
///
/// As any call.
pub async fn layers_on_record(client: &Client) -> Result<Vec<i32>, InvokeError> {
    let ask = functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] };
    let answer = client.invoke_raw(None, ask.to_bytes()).await?;
    // vector#1cb5c415, how many, and the first one's constructor: of the forms of a user, each layer has one.
    let constructor = answer.get(8..12).and_then(|id| id.first_chunk()).map_or(0, |id| u32::from_le_bytes(*id));
    let has = |layer: &i32| layers::schema(*layer).is_ok_and(|schema| schema.by_id(constructor).is_some());
    Ok(layers::bundled().iter().copied().filter(has).collect())
}

#[cfg(test)]
mod tests {
    use crate::client::RpcError;

    use super::*;

    fn at(current: bool, created: i64, active: i64) -> Authorization {
        Authorization { current, created, active, ..Authorization::default() }
    }

    #[test]
    fn the_list_is_read_as_it_is() {
        let listed = types::Authorization {
            current: true,
            unconfirmed: true,
            hash: -5,
            device_model: "Desk".into(),
            api_id: 7,
            app_name: "App".into(),
            date_created: 10,
            date_active: 20,
            ip: "127.0.0.1".into(),
            ..types::Authorization::default()
        };
        let found = read(types::account::Authorizations { authorization_ttl_days: 183, authorizations: vec![listed.into()] });
        let expected = Authorization {
            hash: -5,
            current: true,
            unconfirmed: true,
            device_model: "Desk".into(),
            api_id: 7,
            app_name: "App".into(),
            created: 10,
            active: 20,
            ip: "127.0.0.1".into(),
            ..Authorization::default()
        };
        assert_eq!(found, Authorizations { list: vec![expected], ttl_days: 183 });
    }

    #[test]
    fn the_one_that_asks_is_never_among_the_unused() {
        let all = Authorizations { list: vec![at(true, 0, 5), at(false, 0, 5), at(false, 0, 9)], ttl_days: 183 };
        assert_eq!(all.unused_since(9).collect::<Vec<_>>(), [&at(false, 0, 5)]);
        assert_eq!(all.unused_since(5).count(), 0);
    }

    #[test]
    fn a_login_has_to_wait_until_it_is_a_day_old() {
        let all = |created| Authorizations { list: vec![at(true, created, created)], ttl_days: 183 };
        assert_eq!(all(1000).wait(1000), Duration::from_secs(86_400));
        assert_eq!(all(1000).wait(1000 + 80_000), Duration::from_secs(6_400));
        assert_eq!(all(1000).wait(1000 + 86_400), Duration::ZERO);
        assert_eq!(all(5000).wait(1000), Duration::from_secs(86_400), "by a clock that goes wrong");
    }

    #[test]
    fn refusals_have_their_own_errors() {
        let error = |name: &str| EndError::from(InvokeError::Rpc(RpcError::new(406, name)));
        assert!(matches!(error("FRESH_RESET_AUTHORISATION_FORBIDDEN"), EndError::TooFresh));
        assert!(matches!(error("HASH_INVALID"), EndError::Unknown));
        assert!(matches!(error("FLOOD"), EndError::Invoke(InvokeError::Rpc(_))));
    }
}
