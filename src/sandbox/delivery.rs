//! How a number's login codes travel: what `auth.sentCode` says about them, and what the code is. Nothing is sent anywhere; every code
//! follows from the number, so that a test knows it.
//!
//! | kind | `auth.sentCodeType…` | the code for a number of DC 2 |
//! |---|---|---|
//! | `app` | `App` | `22222` |
//! | `sms` | `Sms` | `22222` |
//! | `call` | `Call` | `22222` |
//! | `flash-call` | `FlashCall`, pattern `+99966*` | `9996622222`: the number that calls |
//! | `missed-call` | `MissedCall`, prefix `+99966` | `22222`: its last digits |
//! | `fragment` | `FragmentSms` | `22222` |
//! | `firebase` | `FirebaseSms` | `22222` |
//! | `sms-word` | `SmsWord` | `birch`: see [`Delivery::code`] |
//! | `sms-phrase` | `SmsPhrase` | `birch at dawn` |
//! | `email` | `EmailCode` | `222222`, as an email verification |
//! | `email-setup` | `SetUpEmailRequired` | `222222`, at first for the address and then for the login |
//! | `banned`, `flood` | none: the number is refused | |

use std::fmt;
use std::str::FromStr;

/// Digits in a login code.
pub(crate) const CODE_LENGTH: i32 = 5;
/// Digits in a code that goes to an email address.
pub(crate) const EMAIL_CODE_LENGTH: i32 = 6;
/// What the numbers of all who call begin with.
pub(crate) const CALLER_PREFIX: &str = "+99966";

/// One word for each DC that there may be.
const WORDS: [&str; 9] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris"];

/// One way for a login code to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// A message to the account's other sessions.
    App,
    /// A text message.
    Sms,
    /// Somebody calls and says it.
    Call,
    /// Somebody calls: the code is the number that calls.
    FlashCall,
    /// Somebody calls: the code is the end of the number that calls.
    MissedCall,
    /// A message on the Fragment platform.
    Fragment,
    /// A text message by way of Firebase.
    Firebase,
    /// A text message with a word.
    SmsWord,
    /// A text message with a few words.
    SmsPhrase,
    /// A message to the account's login address.
    Email,
    /// None yet: the account has to name a login address first.
    EmailSetup,
    /// None: the number is banned.
    Banned,
    /// None: codes were asked for too often.
    Flood,
}

impl Delivery {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::App,
        Self::Sms,
        Self::Call,
        Self::FlashCall,
        Self::MissedCall,
        Self::Fragment,
        Self::Firebase,
        Self::SmsWord,
        Self::SmsPhrase,
        Self::Email,
        Self::EmailSetup,
        Self::Banned,
        Self::Flood,
    ];

    /// Its name on the command line and in the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Sms => "sms",
            Self::Call => "call",
            Self::FlashCall => "flash-call",
            Self::MissedCall => "missed-call",
            Self::Fragment => "fragment",
            Self::Firebase => "firebase",
            Self::SmsWord => "sms-word",
            Self::SmsPhrase => "sms-phrase",
            Self::Email => "email",
            Self::EmailSetup => "email-setup",
            Self::Banned => "banned",
            Self::Flood => "flood",
        }
    }

    /// The code that travels so to a number of a DC, 1 to 9. None where none does.
    pub fn code(self, dc: i32) -> Option<String> {
        let digits = |count| dc.to_string().repeat(count);
        let word = usize::try_from(dc).ok().and_then(|dc| WORDS.get(dc.wrapping_sub(1)))?;
        Some(match self {
            Self::App | Self::Sms | Self::Call | Self::MissedCall | Self::Fragment | Self::Firebase => digits(5),
            Self::FlashCall => format!("{}{}", &CALLER_PREFIX[1..], digits(5)),
            Self::SmsWord => (*word).to_owned(),
            Self::SmsPhrase => format!("{word} at dawn"),
            Self::Email | Self::EmailSetup => digits(6),
            Self::Banned | Self::Flood => return None,
        })
    }

    /// Whether this may be the way after another one: `auth.CodeType` has no word for the others.
    const fn can_follow(self) -> bool {
        !matches!(self, Self::App | Self::Email | Self::EmailSetup | Self::Banned | Self::Flood)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a list of deliveries is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveriesError {
    /// No such kind.
    #[error("no delivery is called {0:?}")]
    Unknown(String),
    /// A kind that can only be the first.
    #[error("{0} can only be the first delivery")]
    NotFirst(Delivery),
    /// A refusal with a delivery after it.
    #[error("nothing is delivered after {0}")]
    NotAlone(Delivery),
}

/// The ways of a number's login codes, in the order in which `auth.resendCode` goes through them. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries(Vec<Delivery>);

impl Deliveries {
    /// One after another.
    ///
    /// # Errors
    /// [`DeliveriesError::NotFirst`] and [`DeliveriesError::NotAlone`].
    pub fn new(first: Delivery, others: &[Delivery]) -> Result<Self, DeliveriesError> {
        if let Some(other) = others.iter().find(|other| !other.can_follow()) {
            return Err(DeliveriesError::NotFirst(*other));
        }
        if matches!(first, Delivery::Banned | Delivery::Flood) && !others.is_empty() {
            return Err(DeliveriesError::NotAlone(first));
        }
        Ok(Self(std::iter::once(first).chain(others.iter().copied()).collect()))
    }

    /// The way at a place, from 0 on.
    pub fn at(&self, step: usize) -> Option<Delivery> {
        self.0.get(step).copied()
    }

    /// The first way.
    pub fn first(&self) -> Delivery {
        self.at(0).unwrap_or(Delivery::Sms)
    }

    /// The same with another first way.
    pub(crate) fn with_first(&self, first: Delivery) -> Self {
        Self(std::iter::once(first).chain(self.0.iter().skip(1).copied()).collect())
    }
}

impl From<Delivery> for Deliveries {
    fn from(only: Delivery) -> Self {
        Self(vec![only])
    }
}

impl FromStr for Deliveries {
    type Err = DeliveriesError;

    /// Reads a list with commas in between: `app,sms,call`.
    fn from_str(text: &str) -> Result<Self, DeliveriesError> {
        let mut all = Vec::new();
        for name in text.split(',').map(str::trim) {
            let found = Delivery::ALL.into_iter().find(|kind| kind.name() == name);
            all.push(found.ok_or_else(|| DeliveriesError::Unknown(name.to_owned()))?);
        }
        match all.split_first() {
            Some((first, others)) => Self::new(*first, others),
            None => Err(DeliveriesError::Unknown(String::new())),
        }
    }
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, kind) in self.0.iter().enumerate() {
            write!(f, "{}{kind}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Whether a text looks like an email address: one at sign, something before it, a domain with a dot after it, no blanks.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && c != '@');
    let dotted = domain.split_once('.').is_some_and(|(before, after)| !before.is_empty() && !after.is_empty());
    text.len() <= 254 && plain(local) && plain(domain) && dotted && !domain.ends_with('.')
}

/// What is shown of an email address to somebody who should know it.
pub(crate) fn email_pattern(email: &str) -> String {
    let (local, domain) = email.split_once('@').unwrap_or((email, ""));
    let first = local.chars().next().unwrap_or('*');
    format!("{first}***@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_that_is_read_back() {
        for kind in Delivery::ALL {
            assert_eq!(kind.name().parse::<Deliveries>().unwrap(), Deliveries::from(kind));
        }
        let names: std::collections::HashSet<&str> = Delivery::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Delivery::ALL.len());
    }

    #[test]
    fn a_list_is_read_back_as_it_is_written() {
        for text in ["app,sms,call", "email,sms", "flash-call,missed-call,sms-word,sms-phrase,fragment,firebase", "banned"] {
            assert_eq!(text.parse::<Deliveries>().unwrap().to_string(), text);
        }
        assert_eq!(" app, sms ".parse::<Deliveries>().unwrap().to_string(), "app,sms");
    }

    #[test]
    fn lists_that_cannot_be() {
        assert_eq!("".parse::<Deliveries>(), Err(DeliveriesError::Unknown(String::new())));
        assert_eq!("app,pigeon".parse::<Deliveries>(), Err(DeliveriesError::Unknown("pigeon".into())));
        assert_eq!("sms,app".parse::<Deliveries>(), Err(DeliveriesError::NotFirst(Delivery::App)));
        assert_eq!("sms,email".parse::<Deliveries>(), Err(DeliveriesError::NotFirst(Delivery::Email)));
        assert_eq!("flood,sms".parse::<Deliveries>(), Err(DeliveriesError::NotAlone(Delivery::Flood)));
    }

    #[test]
    fn codes_follow_from_the_dc() {
        assert_eq!(Delivery::App.code(2).as_deref(), Some("22222"));
        assert_eq!(Delivery::FlashCall.code(3).as_deref(), Some("9996633333"));
        assert_eq!(Delivery::SmsPhrase.code(9).as_deref(), Some("iris at dawn"));
        assert_eq!(Delivery::Email.code(1).as_deref(), Some("111111"));
        assert_eq!(Delivery::Banned.code(1), None);
        for dc in [i32::MIN, -1, 0, 10] {
            assert_eq!(Delivery::App.code(dc), None, "{dc}");
        }
    }

    #[test]
    fn addresses() {
        assert!(is_email("ann@example.org"));
        for wrong in
            ["", "ann", "@example.org", "ann@", "ann@org", "a b@example.org", "ann@@example.org", "ann@.", "ann@x.", "ann@.x"]
        {
            assert!(!is_email(wrong), "{wrong}");
        }
        assert!(!is_email(&format!("{}@example.org", "a".repeat(250))));
        assert_eq!(email_pattern("ann@example.org"), "a***@example.org");
    }
}
