//! `rpc_error#2144ca19 error_code:int error_message:string = RpcError`, with the parameter split off the message.
//!
//! See "Service Messages", RPC Error, and "Error Handling".

use std::fmt;

/// An error that a method answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct RpcError {
    /// The code: 303 another DC, 400 bad request, 401 not authorized, 403 forbidden, 404 not found, 406 not acceptable, 420 flood,
    /// 500 internal; negative for some of the server's own troubles.
    pub code: i32,
    /// The message without its numbers: `FLOOD_WAIT`, `PHONE_MIGRATE`, `FILE_PART_MISSING`.
    pub name: String,
    /// The first number in the message: the 30 of `FLOOD_WAIT_30`, the 2 of `PHONE_MIGRATE_2`, the 3 of `FILE_PART_3_MISSING`.
    pub parameter: Option<i64>,
    /// The message as it came.
    pub message: String,
}

impl RpcError {
    /// Splits the parameter off a message.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let message = message.into();
        let (name, parameter) = split(&message);
        Self { code, name, parameter, message }
    }

    /// Whether the message has this name, as in `FLOOD_WAIT`.
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The seconds to wait before the method may be called again, if that is what the error says. See "Error Handling", 420 FLOOD.
    pub fn flood_wait(&self) -> Option<i64> {
        const WAITS: [&str; 5] =
            ["FLOOD_WAIT", "FLOOD_PREMIUM_WAIT", "SLOWMODE_WAIT", "FLOOD_TEST_PHONE_WAIT", "TAKEOUT_INIT_DELAY"];
        WAITS.contains(&self.name.as_str()).then_some(self.parameter).flatten()
    }

    /// The DC that the request belongs to, if that is what the error says. See "Working with Different Data Centers".
    pub fn migrate(&self) -> Option<i32> {
        (self.code == 303 && self.name.ends_with("_MIGRATE"))
            .then_some(self.parameter)
            .flatten()
            .and_then(|dc| dc.try_into().ok())
    }

    /// The numbers of the message, in order.
    pub fn parameters(&self) -> impl Iterator<Item = i64> + '_ {
        self.message.split('_').filter_map(number)
    }

    /// A short form for the trace: code and name.
    pub fn brief(&self) -> impl fmt::Display + '_ {
        struct Brief<'a>(&'a RpcError);
        impl fmt::Display for Brief<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.0.code, self.0.name)
            }
        }
        Brief(self)
    }
}

/// Words that are numbers are parameters; `2FA` or `SHA256` are words. Where there is prose instead of a name it stays as it is.
fn split(message: &str) -> (String, Option<i64>) {
    let parameter = message.split('_').find_map(number);
    if parameter.is_none() {
        return (message.to_owned(), None);
    }
    let words: Vec<&str> = message.split('_').filter(|word| number(word).is_none()).collect();
    (words.join("_"), parameter)
}

fn number(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_split_off_wherever_they_stand() {
        let cases: [(&str, &str, Option<i64>); 15] = [
            ("FLOOD_WAIT_30", "FLOOD_WAIT", Some(30)),
            ("PHONE_MIGRATE_2", "PHONE_MIGRATE", Some(2)),
            ("FILE_PART_3_MISSING", "FILE_PART_MISSING", Some(3)),
            ("FILE_REFERENCE_0_EXPIRED", "FILE_REFERENCE_EXPIRED", Some(0)),
            ("FILE_REFERENCE_EXPIRED", "FILE_REFERENCE_EXPIRED", None),
            ("SLOWMODE_WAIT_X", "SLOWMODE_WAIT_X", None),
            ("2FA_CONFIRM_WAIT_604800", "2FA_CONFIRM_WAIT", Some(604_800)),
            ("INPUT_METHOD_INVALID_1192227_77", "INPUT_METHOD_INVALID", Some(1_192_227)),
            ("EMAIL_UNCONFIRMED_6", "EMAIL_UNCONFIRMED", Some(6)),
            ("INTERDC_4_CALL_ERROR", "INTERDC_CALL_ERROR", Some(4)),
            ("SHA256_HASH_INVALID", "SHA256_HASH_INVALID", None),
            ("AUTH_KEY_UNREGISTERED", "AUTH_KEY_UNREGISTERED", None),
            ("No workers running", "No workers running", None),
            ("FLOOD_WAIT_99999999999999999999", "FLOOD_WAIT_99999999999999999999", None),
            ("", "", None),
        ];
        for (message, name, parameter) in cases {
            let error = RpcError::new(400, message);
            assert_eq!((error.name.as_str(), error.parameter), (name, parameter), "{message}");
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn all_numbers_can_be_had() {
        let error = RpcError::new(400, "INPUT_METHOD_INVALID_1192227_77");
        assert_eq!(error.parameters().collect::<Vec<_>>(), [1_192_227, 77]);
    }

    #[test]
    fn waits_and_migrations_are_told() {
        assert_eq!(RpcError::new(420, "FLOOD_WAIT_30").flood_wait(), Some(30));
        assert_eq!(RpcError::new(420, "FLOOD_PREMIUM_WAIT_3").flood_wait(), Some(3));
        assert_eq!(RpcError::new(400, "FILE_PART_3_MISSING").flood_wait(), None);
        assert_eq!(RpcError::new(303, "USER_MIGRATE_4").migrate(), Some(4));
        assert_eq!(RpcError::new(303, "USER_MIGRATE_99999999999").migrate(), None);
        assert_eq!(RpcError::new(400, "USER_MIGRATE_4").migrate(), None);
        assert_eq!(RpcError::new(420, "FLOOD_WAIT_30").brief().to_string(), "420 FLOOD_WAIT");
        assert_eq!(RpcError::new(420, "FLOOD_WAIT_30").to_string(), "420 FLOOD_WAIT_30");
    }
}
