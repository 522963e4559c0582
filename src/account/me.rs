//! The account, as the server describes it.

use crate::{
    client::AccountRecord,
    tl::api::{enums, types},
};

/// The account that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// The user's id.
    pub id: i64,
    /// First name.
    pub first_name: String,
    /// Last name, often empty.
    pub last_name: String,
    /// The main username, without `@`.
    pub username: Option<String>,
    /// The phone number with its country code, without `+`. Bots have none.
    pub phone: Option<String>,
    /// Whether it is a bot.
    pub is_bot: bool,
    /// Whether it has Premium.
    pub is_premium: bool,
}

impl Me {
    /// First and last name.
    pub fn name(&self) -> String {
        match (self.first_name.as_str(), self.last_name.as_str()) {
            ("", "") => "(no name)".to_owned(),
            (first, "") => first.to_owned(),
            ("", last) => last.to_owned(),
            (first, last) => format!("{first} {last}"),
        }
    }

    /// What is kept of it: the phone number redacted. `now` is the Unix time of the login.
    pub fn record(&self, now: i64) -> AccountRecord {
        AccountRecord {
            user_id: self.id,
            is_bot: self.is_bot,
            name: self.name(),
            username: self.username.clone(),
            phone: self.phone.as_deref().map(redact_phone),
            logged_in_at: now,
        }
    }

    /// Whether `phone`, as somebody typed it, is this account's number.
    pub(super) fn has_phone(&self, phone: &str) -> bool {
        self.phone.as_deref().is_some_and(|own| digits(own) == digits(phone))
    }

    pub(super) fn read(user: &enums::User) -> Option<Self> {
        match user {
            enums::User::User(user) => Some(Self::of(user)),
            enums::User::Empty(_) => None,
        }
    }

    fn of(user: &types::User) -> Self {
        // With collectible names the main one is the first active one of the list.
        let listed = user.usernames.iter().flatten().map(|enums::Username::Username(name)| name).find(|name| name.active);
        Self {
            id: user.id,
            first_name: user.first_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            last_name: user.last_name.as_ref().map(ToString::to_string).unwrap_or_default(),
            username: user.username.as_ref().or(listed.map(|name| &name.username)).map(ToString::to_string),
            phone: user.phone.as_ref().map(ToString::to_string).filter(|phone| !phone.is_empty()),
            is_bot: user.bot,
            is_premium: user.premium,
        }
    }
}

/// The digits of a phone number.
pub(super) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// A phone number that can be shown: the first three and the last two digits, with `*` between them; nothing of a short one.
pub fn redact_phone(phone: &str) -> String {
    let digits = digits(phone);
    let hidden = digits.len().saturating_sub(5);
    match (digits.get(..3), digits.get(digits.len().saturating_sub(2)..)) {
        (Some(head), Some(tail)) if hidden >= 2 => format!("+{head}{}{tail}", "*".repeat(hidden)),
        _ => format!("+{}", "*".repeat(digits.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_redacted_in_the_middle() {
        assert_eq!(redact_phone("+49 151 12345678"), "+491********78");
        assert_eq!(redact_phone("9996621234"), "+999*****34");
        assert_eq!(redact_phone("123456"), "+******");
        assert_eq!(redact_phone(""), "+");
        assert_eq!(redact_phone("ä"), "+");
    }
}
