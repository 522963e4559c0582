//! Why a call failed: by who is to blame, and by what can be done about it.

use std::time::Duration;

use crate::ids::DcId;
use crate::mtproto::rpc_error::RpcError;
use crate::mtproto::session::{ApiMisuse, Failure};
use crate::net::{NetError, ProtocolError};
use crate::tl;

use super::dcs::DcTableError;
use super::persistence::PersistenceError;
use super::policy::{Verdict, judge};

/// Why an `invoke` failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The server answered with an error that is for the caller to judge.
    #[error("the server answered {0}")]
    Rpc(RpcError),
    /// The server imposes a longer wait than [`ClientConfig::max_flood_wait`](super::ClientConfig::max_flood_wait) allows.
    #[error("the server asks for a pause of {seconds} s before {method}")]
    FloodWait {
        /// How long the server wants us to wait.
        seconds: u64,
        /// The TL name of the method.
        method: &'static str,
    },
    /// The authorization has ended, or was never there: nothing but a login helps.
    #[error("not logged in: {0}")]
    Unauthorized(Unauthorized),
    /// No connection could be made or kept within the reconnect timeout.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The connection lives, but the request got no answer in time.
    #[error("no answer to {method} within {} s", after.as_secs())]
    Timeout {
        /// The TL name of the method.
        method: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The peer broke a rule of the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The session gave the request up: the protocol has no way to carry it.
    #[error("{method} could not be asked: {error}")]
    Failed {
        /// The TL name of the method.
        method: &'static str,
        /// Why.
        error: Failure,
    },
    /// The bytes to be sent are no request, or too many.
    #[error("{method} cannot be sent: {error}")]
    BadRequest {
        /// The TL name of the method.
        method: &'static str,
        /// What is wrong with them.
        error: ApiMisuse,
    },
    /// The answer does not have the form that the schema gives it.
    #[error("the answer to {method} cannot be read: {error}")]
    Decode {
        /// The TL name of the method.
        method: &'static str,
        /// What is wrong with it.
        error: tl::Error,
    },
    /// The layer of the client's [`LayerPlan`](super::LayerPlan) is not among the bundled ones.
    #[error(transparent)]
    UnknownLayer(#[from] tl::layers::UnknownLayer),
    /// A request or its answer has no form in the layer that it is to be carried over to.
    #[error("{method} cannot be used in layer {layer}: {error}")]
    Layer {
        /// The TL name of the method.
        method: &'static str,
        /// The negotiated layer.
        layer: i32,
        /// What stands in the way.
        error: tl::translate::TranslateError,
    },
    /// The configuration's DC table cannot be used.
    #[error(transparent)]
    Config(#[from] DcTableError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PersistenceError),
    /// A content-delivery DC was named that has no key of its own: it could be anybody.
    #[error("{dc} has no key as a CDN")]
    CdnKey {
        /// The DC.
        dc: DcId,
    },
    /// The client was closed while the request was under way.
    #[error("the client is closed")]
    Closed,
}

impl InvokeError {
    /// The wait that the server asks for before this is tried again, if that is what it answered.
    pub fn flood_wait(&self) -> Option<Duration> {
        match self {
            Self::Rpc(error) => match judge(error) {
                Verdict::Wait(wait) => Some(wait),
                _ => None,
            },
            Self::FloodWait { seconds, .. } => Some(Duration::from_secs(*seconds)),
            _ => None,
        }
    }

    /// Whether it says nothing about the request, so that the same may succeed in a moment: the server stumbled, or the answer was lost or
    /// is late. For requests that do no harm when they are executed twice.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Rpc(error) => judge(error) == Verdict::Retry,
            Self::Timeout { .. } => true,
            Self::Failed { error, .. } => matches!(
                error,
                Failure::SessionReset | Failure::Uncertain | Failure::AnswerLost | Failure::TooManyResends { .. }
            ),
            _ => false,
        }
    }

    /// Whether the server answered with an error of this name, without its number.
    pub fn is_rpc(&self, name: &str) -> bool {
        matches!(self, Self::Rpc(error) if error.name == name)
    }
}

/// How an authorization ended. Each is latched: no request is tried again under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// `AUTH_KEY_UNREGISTERED`: no login under this key, or it was ended from another device.
    #[error("this key carries no login (AUTH_KEY_UNREGISTERED)")]
    KeyUnregistered,
    /// `AUTH_KEY_INVALID` or `AUTH_KEY_PERM_EMPTY`.
    #[error("the server refuses this key (AUTH_KEY_INVALID)")]
    KeyInvalid,
    /// `SESSION_REVOKED`: the user ended all other sessions.
    #[error("the login was ended from another device (SESSION_REVOKED)")]
    SessionRevoked,
    /// `SESSION_EXPIRED`.
    #[error("the login has expired (SESSION_EXPIRED)")]
    SessionExpired,
    /// `USER_DEACTIVATED` or `USER_DEACTIVATED_BAN`.
    #[error("the account was deleted or banned (USER_DEACTIVATED)")]
    UserDeactivated,
    /// `AUTH_KEY_DUPLICATED`: the key was used from two places at once, and the server has withdrawn it.
    #[error("the key was used from two places at once and is withdrawn (AUTH_KEY_DUPLICATED)")]
    KeyDuplicated,
    /// Transport error -404: the server no longer knows the key that the login belongs to.
    #[error("the server has forgotten the key of this login")]
    KeyLost,
}

impl Unauthorized {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KeyUnregistered,
        Self::KeyInvalid,
        Self::SessionRevoked,
        Self::SessionExpired,
        Self::UserDeactivated,
        Self::KeyDuplicated,
        Self::KeyLost,
    ];

    /// Its name, as it is stored and shown to programs: the server's where the server has one.
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyUnregistered => "AUTH_KEY_UNREGISTERED",
            Self::KeyInvalid => "AUTH_KEY_INVALID",
            Self::SessionRevoked => "SESSION_REVOKED",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::UserDeactivated => "USER_DEACTIVATED",
            Self::KeyDuplicated => "AUTH_KEY_DUPLICATED",
            Self::KeyLost => "KEY_LOST",
        }
    }

    /// The one with this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The reason that an error answer states, if it is one that ends an authorization.
    pub fn from_rpc(code: i32, name: &str) -> Option<Self> {
        match (code, name) {
            (401, "AUTH_KEY_UNREGISTERED") => Some(Self::KeyUnregistered),
            (401, "AUTH_KEY_INVALID" | "AUTH_KEY_PERM_EMPTY") => Some(Self::KeyInvalid),
            (401, "SESSION_REVOKED") => Some(Self::SessionRevoked),
            (401, "SESSION_EXPIRED") => Some(Self::SessionExpired),
            (401, "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN") => Some(Self::UserDeactivated),
            (406, "AUTH_KEY_DUPLICATED") => Some(Self::KeyDuplicated),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_name_of_its_own() {
        for reason in Unauthorized::ALL {
            assert_eq!(Unauthorized::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Unauthorized::from_code("FLOOD_WAIT"), None);
    }

    #[test]
    fn a_missing_password_is_not_the_end_of_a_login() {
        assert_eq!(Unauthorized::from_rpc(401, "SESSION_PASSWORD_NEEDED"), None);
        assert_eq!(Unauthorized::from_rpc(401, "SESSION_REVOKED"), Some(Unauthorized::SessionRevoked));
        assert_eq!(Unauthorized::from_rpc(406, "AUTH_KEY_DUPLICATED"), Some(Unauthorized::KeyDuplicated));
        assert_eq!(Unauthorized::from_rpc(400, "AUTH_KEY_DUPLICATED"), None);
    }
}
