//! What happens to a call, as one word.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FaultError, MAX_TEXT};
use crate::fault::Fault;

/// The longest that a call is delayed.
pub const MAX_DELAY: Duration = Duration::from_secs(600);
/// The words that effects begin with, but for errors.
pub(super) const EFFECTS: &str = "delay:2s drop cut silence wrong-salt key-loss corrupt short forget expire migrate:2";

/// What happens to a call. Written as one word, which [`FromStr`] reads: the name of an error (`FLOOD_WAIT_30`, `SESSION_REVOKED`), or with
/// its code where that does not follow from the name (`500:NO_WORKERS_RUNNING`); `delay:2s`; `drop`, `cut`, `silence`, `wrong-salt`, `key-loss`;
/// of calls about files `corrupt`, `short`, `forget`, `expire`, `migrate` or `migrate:2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum FaultEffect {
    /// It is refused.
    Error {
        /// The code of `rpc_error`.
        code: i32,
        /// Its text.
        text: String,
    },
    /// It is answered later.
    Delay(Duration),
    /// Its connection is closed before the answer is written; the answer waits for the session's next connection.
    Drop,
    /// It is not done, and never answered.
    Silence,
    /// After it, the salts that the session's client knows are not good any more.
    WrongSalt,
    /// The key that it came under is forgotten.
    KeyLoss,
    /// Its connection is closed in the middle of the answer, which waits for the session's next connection.
    Cut,
    /// A bit is wrong in the range of a file that it brings, or in the hashes of one.
    Corrupt,
    /// Half of the range of a file is missing.
    Short,
    /// A part of an upload is not kept, though the answer says so; a CDN DC has lost the file that is asked for.
    Forget,
    /// The references of the file expire, all that were given out until now, those in this call included.
    Expire,
    /// The file is kept by another DC from now on: this one, or the next.
    Migrate(Option<i32>),
}

fn parse_delay(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u64 = digits.parse().ok()?;
    let span = match text.get(digits.len()..)? {
        "ms" => Duration::from_millis(n),
        "s" | "" => Duration::from_secs(n),
        "m" => Duration::from_secs(n.checked_mul(60)?),
        _ => return None,
    };
    (span <= MAX_DELAY).then_some(span)
}

/// The code that the real servers send an error with, as far as it follows from the name.
fn code_of(name: &str) -> i32 {
    if let Some(code) = Fault::code_of(name) {
        return code;
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() < name.len() {
        if stem.ends_with("_MIGRATE_") {
            return 303;
        }
        if stem.ends_with("_WAIT_") || stem.starts_with("FLOOD_") {
            return 420;
        }
    }
    400
}

impl FromStr for FaultEffect {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Effect(text.to_owned());
        match text {
            "drop" => return Ok(Self::Drop),
            "silence" => return Ok(Self::Silence),
            "wrong-salt" => return Ok(Self::WrongSalt),
            "key-loss" => return Ok(Self::KeyLoss),
            "cut" => return Ok(Self::Cut),
            "corrupt" => return Ok(Self::Corrupt),
            "short" => return Ok(Self::Short),
            "forget" => return Ok(Self::Forget),
            "expire" => return Ok(Self::Expire),
            "migrate" => return Ok(Self::Migrate(None)),
            _ => {}
        }
        if text.len() > MAX_TEXT {
            return Err(wrong());
        }
        if let Some((kind, value)) = text.split_once(':') {
            if kind == "delay" {
                return parse_delay(value).map(Self::Delay).ok_or_else(|| FaultError::Delay { given: value.to_owned() });
            }
            if kind == "migrate" {
                let dc = value.parse().ok().filter(|dc| *dc > 0);
                return dc.map(|dc| Self::Migrate(Some(dc))).ok_or_else(wrong);
            }
            let code: i32 = kind.parse().map_err(|_| wrong())?;
            let good = (-999..=999).contains(&code) && !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic());
            return if good { Ok(Self::Error { code, text: value.to_owned() }) } else { Err(wrong()) };
        }
        let good = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if good { Ok(Self::Error { code: code_of(text), text: text.to_owned() }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for FaultEffect {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<FaultEffect> for String {
    fn from(effect: FaultEffect) -> Self {
        effect.to_string()
    }
}

impl fmt::Display for FaultEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { code, text } if code_of(text) == *code && text.parse::<Self>().is_ok() => f.write_str(text),
            Self::Error { code, text } => write!(f, "{code}:{text}"),
            Self::Delay(span) => write!(f, "delay:{}ms", span.as_millis()),
            Self::Drop => f.write_str("drop"),
            Self::Silence => f.write_str("silence"),
            Self::WrongSalt => f.write_str("wrong-salt"),
            Self::KeyLoss => f.write_str("key-loss"),
            Self::Cut => f.write_str("cut"),
            Self::Corrupt => f.write_str("corrupt"),
            Self::Short => f.write_str("short"),
            Self::Forget => f.write_str("forget"),
            Self::Expire => f.write_str("expire"),
            Self::Migrate(None) => f.write_str("migrate"),
            Self::Migrate(Some(dc)) => write!(f, "migrate:{dc}"),
        }
    }
}
