//! How likely it is that a rule meets a call.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FaultError;

/// How likely something is, in millionths. Written `1%` or `0.05%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chance(u32);

impl Chance {
    const CERTAIN: u32 = 1_000_000;

    /// Whether it happens this time: the `n`-th time, of those that follow from `seed`.
    pub(super) fn happens(self, seed: u64, n: u64) -> bool {
        // SplitMix64, whose every output depends on all bits of its input.
        let mut x = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % u64::from(Self::CERTAIN) < u64::from(self.0)
    }
}

impl FromStr for Chance {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Chance(text.to_owned());
        let percent = text.strip_suffix('%').ok_or_else(wrong)?;
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 4 {
            return Err(wrong());
        }
        let (whole, part): (u32, u32) =
            (whole.parse().map_err(|_| wrong())?, format!("{part:0<4}").parse().map_err(|_| wrong())?);
        Some(whole * 10_000 + part).filter(|n| (1..=Self::CERTAIN).contains(n)).map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Chance {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Chance> for String {
    fn from(chance: Chance) -> Self {
        chance.to_string()
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:04}", self.0 % 10_000);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 10_000),
            part => write!(f, "{}.{part}%", self.0 / 10_000),
        }
    }
}
