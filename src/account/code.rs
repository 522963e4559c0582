//! How a login code reaches a person ("User Authorization", `auth.SentCodeType`), and how what the person types becomes one.

use std::fmt;

use crate::tl::api::{enums, types};

use super::me::digits;

/// The way of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// A message in the account's other Telegram apps.
    App,
    /// A text message.
    Sms,
    /// A text message with a word to type.
    SmsWord {
        /// What the word begins with, if the server says.
        beginning: Option<String>,
    },
    /// A text message with a phrase to type.
    SmsPhrase {
        /// What the phrase begins with, if the server says.
        beginning: Option<String>,
    },
    /// A voice call that says the code.
    Call,
    /// A call that is hung up; the code is the number that called.
    FlashCall {
        /// What the number looks like: digits, and `*` for what is not said.
        pattern: Option<String>,
    },
    /// A missed call; the code is the last digits of the number that called.
    MissedCall {
        /// What the number begins with.
        prefix: Option<String>,
    },
    /// A message to the email address of the account.
    Email {
        /// The address, masked by the server.
        pattern: String,
    },
    /// A message on fragment.com, for an anonymous number.
    Fragment {
        /// Where to read it.
        url: Option<String>,
    },
    /// A text message through the phone's own maker: only official apps can ask for it.
    Firebase,
    /// The account needs an email address first.
    EmailSetup,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App => write!(f, "as a message in Telegram on your other devices"),
            Self::Sms => write!(f, "by SMS"),
            Self::SmsWord { beginning: Some(b) } => write!(f, "by SMS, as a word that begins with \"{b}\""),
            Self::SmsWord { beginning: None } => write!(f, "by SMS, as a word"),
            Self::SmsPhrase { beginning: Some(b) } => write!(f, "by SMS, as a phrase that begins with \"{b}\""),
            Self::SmsPhrase { beginning: None } => write!(f, "by SMS, as a phrase"),
            Self::Call => write!(f, "by a phone call that tells it"),
            Self::FlashCall { pattern: Some(p) } => write!(f, "by a call that hangs up; the code is the caller's number ({p})"),
            Self::FlashCall { pattern: None } => write!(f, "by a call that hangs up; the code is the caller's number"),
            Self::MissedCall { prefix: Some(p) } => {
                write!(f, "by a missed call; the code is the last digits of the caller's number ({p}…)")
            }
            Self::MissedCall { prefix: None } => {
                write!(f, "by a missed call; the code is the last digits of the caller's number")
            }
            Self::Email { pattern } => write!(f, "by email to {pattern}"),
            Self::Fragment { url: Some(url) } => write!(f, "on Fragment: {url}"),
            Self::Fragment { url: None } => write!(f, "on Fragment"),
            Self::Firebase => write!(f, "through the maker of your phone, which only official apps can use"),
            Self::EmailSetup => write!(f, "by email, once an address is set up"),
        }
    }
}

/// A code is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSent {
    /// How it comes.
    pub delivery: Delivery,
    /// How many characters it has, if the server says.
    pub length: Option<u32>,
    /// How the next one would come, if this one does not arrive. Texts of that way have no details yet.
    pub next: Option<Delivery>,
    /// After how many seconds the next way may be asked for.
    pub wait: Option<u32>,
    /// What can be done by somebody who cannot read the email any more.
    pub email_reset: Option<EmailReset>,
}

/// When the login email of an account can be taken away ("User Authorization", `auth.resetLoginEmail`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailReset {
    /// It can be asked for, and takes effect after so many seconds; zero is at once.
    After(u32),
    /// It was asked for, and takes effect at this Unix time.
    At(i64),
}

impl CodeSent {
    pub(super) fn read(sent: &types::auth::SentCode) -> Self {
        let (delivery, length) = delivery(&sent.r#type);
        Self {
            delivery,
            length: positive(length),
            next: sent.next_type.as_ref().map(next_delivery),
            wait: sent.timeout.and_then(|seconds| u32::try_from(seconds).ok()),
            email_reset: email_reset(&sent.r#type),
        }
    }

    /// A code that was sent to an email address that is being set up.
    pub(super) fn to_new_email(sent: &types::account::SentEmailCode) -> Self {
        Self {
            delivery: Delivery::Email { pattern: sent.email_pattern.to_string() },
            length: positive(Some(sent.length)),
            next: None,
            wait: None,
            email_reset: None,
        }
    }

    /// What is to be sent for what was typed; `None` for what the server's hints rule out.
    pub(super) fn typed(&self, text: &str) -> Option<String> {
        // Codes are read off a screen with spaces and dashes in them.
        let code = || text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>();
        Some(match &self.delivery {
            Delivery::SmsWord { beginning } | Delivery::SmsPhrase { beginning } => {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let begins = |b: &String| words.to_lowercase().starts_with(&b.to_lowercase());
                return beginning.as_ref().is_none_or(begins).then_some(words);
            }
            Delivery::FlashCall { pattern } => {
                let number = digits(text);
                return pattern.as_ref().is_none_or(|pattern| fits(pattern, &number)).then_some(number);
            }
            Delivery::MissedCall { .. } => {
                let number = digits(text);
                let wanted = self.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(number.len());
                // The last ones, of somebody who typed the whole number.
                number.get(number.len().saturating_sub(wanted)..).unwrap_or_default().to_owned()
            }
            _ => code(),
        })
    }
}

fn positive(length: Option<i32>) -> Option<u32> {
    length.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

/// Whether a number fits a pattern of digits in which `*` stands for any of them ("Pattern matching"). What else is in it, spaces and a plus
/// sign, is of no account.
fn fits(pattern: &str, number: &str) -> bool {
    let parts: Vec<String> = pattern.split('*').map(digits).collect();
    let [first, middle @ .., last] = parts.as_slice() else { return digits(pattern) == number };
    let Some(mut rest) = number.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last.as_str())
}

fn delivery(kind: &enums::auth::SentCodeType) -> (Delivery, Option<i32>) {
    use enums::auth::SentCodeType as T;
    let text = |s: &crate::tl::Str| s.to_string();
    match kind {
        T::App(t) => (Delivery::App, Some(t.length)),
        T::Sms(t) => (Delivery::Sms, Some(t.length)),
        T::SmsWord(t) => (Delivery::SmsWord { beginning: t.beginning.as_ref().map(text) }, None),
        T::SmsPhrase(t) => (Delivery::SmsPhrase { beginning: t.beginning.as_ref().map(text) }, None),
        T::Call(t) => (Delivery::Call, Some(t.length)),
        T::FlashCall(t) => (Delivery::FlashCall { pattern: Some(text(&t.pattern)) }, None),
        T::MissedCall(t) => (Delivery::MissedCall { prefix: Some(text(&t.prefix)) }, Some(t.length)),
        T::EmailCode(t) => (Delivery::Email { pattern: text(&t.email_pattern) }, Some(t.length)),
        T::FragmentSms(t) => (Delivery::Fragment { url: Some(text(&t.url)) }, Some(t.length)),
        T::FirebaseSms(t) => (Delivery::Firebase, Some(t.length)),
        T::SetUpEmailRequired(_) => (Delivery::EmailSetup, None),
    }
}

fn email_reset(kind: &enums::auth::SentCodeType) -> Option<EmailReset> {
    let enums::auth::SentCodeType::EmailCode(email) = kind else { return None };
    match (email.reset_pending_date, email.reset_available_period) {
        (Some(date), _) => Some(EmailReset::At(date.into())),
        (None, Some(period)) => Some(EmailReset::After(period.try_into().unwrap_or(0))),
        (None, None) => None,
    }
}

fn next_delivery(kind: &enums::auth::CodeType) -> Delivery {
    use enums::auth::CodeType as T;
    match kind {
        T::Sms => Delivery::Sms,
        T::Call => Delivery::Call,
        T::FlashCall => Delivery::FlashCall { pattern: None },
        T::MissedCall => Delivery::MissedCall { prefix: None },
        T::FragmentSms => Delivery::Fragment { url: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(delivery: Delivery, length: Option<u32>) -> CodeSent {
        CodeSent { delivery, length, next: None, wait: None, email_reset: None }
    }

    #[test]
    fn a_number_fits_its_pattern() {
        for (pattern, number, fit) in [
            ("+7 999 *", "79991234567", true),
            ("+7 999 *", "79981234567", false),
            ("*4567", "79991234567", true),
            ("7***34*67", "79991234567", true),
            ("7***34*68", "79991234567", false),
            ("7*55*67", "79991234567", false),
            ("79991234567", "79991234567", true),
            ("79991234567", "7999123456", false),
            ("*", "1", true),
            ("12*12", "12", false),
        ] {
            assert_eq!(fits(pattern, number), fit, "{pattern} {number}");
        }
    }

    #[test]
    fn what_is_typed_becomes_a_code_by_the_way_it_came() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(sent(Delivery::Sms, Some(5)).typed(" 12-3 45 "), some("12345"));
        let missed = sent(Delivery::MissedCall { prefix: some("+7999") }, Some(4));
        assert_eq!(missed.typed("4567"), some("4567"));
        assert_eq!(missed.typed("+7 (999) 123-45-67"), some("4567"));
        assert_eq!(missed.typed("67"), some("67"));
        let flash = sent(Delivery::FlashCall { pattern: some("+7999*") }, None);
        assert_eq!(flash.typed("+7 999 123-45-67"), some("79991234567"));
        assert_eq!(flash.typed("+7 998 123-45-67"), None);
        let word = sent(Delivery::SmsWord { beginning: some("Ap") }, None);
        assert_eq!((word.typed(" apple "), word.typed("pear")), (some("apple"), None));
        let phrase = sent(Delivery::SmsPhrase { beginning: None }, None);
        assert_eq!(phrase.typed(" well-known   words "), some("well-known words"), "dashes belong to it");
    }
}
