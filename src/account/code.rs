//! How a login code reaches a person ("User Authorization", `auth.SentCodeType`).

use std::fmt;

use crate::tl::api::{enums, types};

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
        /// What the number looks like.
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
    /// The account needs an email address first: only official apps can set it up.
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
}

impl CodeSent {
    pub(super) fn read(sent: &types::auth::SentCode) -> Self {
        let (delivery, length) = delivery(&sent.r#type);
        Self {
            delivery,
            length: length.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
            next: sent.next_type.as_ref().map(next_delivery),
            wait: sent.timeout.and_then(|seconds| u32::try_from(seconds).ok()),
        }
    }
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
