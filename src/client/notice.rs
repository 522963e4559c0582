//! What a person should hear of while a request is under way: waits, reconnects, migrations.

use std::fmt;
use std::time::Duration;

use crate::ids::DcId;

/// Something that delays or moves a request. `Display` is one plain line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A fresh auth key is being made with a DC.
    KeyExchange {
        /// With which DC.
        dc: DcId,
    },
    /// A connection was lost, or could not be made, and will be tried again.
    Reconnecting {
        /// To which DC.
        dc: DcId,
        /// 1 for the first attempt after the loss.
        attempt: u32,
        /// How long until then.
        delay: Duration,
        /// What ended the last one.
        reason: String,
    },
    /// A lost connection is back.
    Reconnected {
        /// To which DC.
        dc: DcId,
        /// How many attempts it took.
        attempts: u32,
    },
    /// The server has had too many connections, and is left alone for a while.
    Flooded {
        /// Which DC.
        dc: DcId,
        /// How long.
        wait: Duration,
    },
    /// A connection that was to stay cannot: there will be no updates before the next call succeeds.
    GaveUp {
        /// To which DC.
        dc: DcId,
        /// Why.
        reason: String,
    },
    /// The server imposes a wait, and it is being honoured.
    FloodWait {
        /// Which DC.
        dc: DcId,
        /// The TL name of the method, like `messages.getHistory`.
        method: &'static str,
        /// How long.
        wait: Duration,
    },
    /// The server could not answer for a passing reason; the request will be repeated.
    Retry {
        /// Which DC.
        dc: DcId,
        /// The TL name of the method.
        method: &'static str,
        /// The server's reason.
        error: String,
        /// How long until the next attempt.
        delay: Duration,
    },
    /// A request, or the whole account, moves to another DC.
    Migrate {
        /// The DC that sent us away.
        from: DcId,
        /// Where it goes on.
        to: DcId,
        /// Whether the home DC changes, and not only this request.
        home: bool,
    },
    /// The account's authorization is being carried to another DC, once.
    Importing {
        /// To which DC.
        dc: DcId,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyExchange { dc } => write!(f, "making a key with {dc}"),
            Self::Reconnecting { dc, attempt, delay, reason } => {
                write!(f, "no connection to {dc} ({reason}); attempt {attempt} follows in {:.1} s", delay.as_secs_f64())
            }
            Self::Reconnected { dc, attempts } => write!(f, "connection to {dc} is back after {attempts} attempt(s)"),
            Self::Flooded { dc, wait } => {
                write!(
                    f,
                    "{dc} has had too many connections (transport error 429); the next follows in {:.1} s",
                    wait.as_secs_f64()
                )
            }
            Self::GaveUp { dc, reason } => write!(f, "the connection to {dc} cannot stay: {reason}"),
            Self::FloodWait { dc, method, wait } => {
                write!(f, "{dc} asks for a pause of {} s before {method}", wait.as_secs())
            }
            Self::Retry { dc, method, error, delay } => {
                write!(f, "{method} on {dc}: {error}; again in {:.1} s", delay.as_secs_f64())
            }
            Self::Migrate { from, to, home: true } => write!(f, "the account lives on {to}, moving there from {from}"),
            Self::Migrate { from, to, home: false } => write!(f, "{from} sends this request to {to}"),
            Self::Importing { dc } => write!(f, "carrying the login to {dc}"),
        }
    }
}
