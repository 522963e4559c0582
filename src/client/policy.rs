//! What follows from an error answer, as data.

use std::time::Duration;

use crate::ids::DcId;
use crate::mtproto::rpc_error::RpcError;

use super::error::Unauthorized;

/// What is to be done about an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask another DC.
    Migrate {
        to: DcId,
        /// Whether the account lives there, and not only what was asked for.
        home: bool,
    },
    /// Wait, then ask again.
    Wait(Duration),
    /// The server stumbled: ask again soon.
    Retry,
    /// The authorization is over.
    Ended(Unauthorized),
    /// The caller has to judge.
    Return,
}

/// Errors that say nothing about the request: the server could not do its work just now. Names without their parameters.
const PASSING: [&str; 11] = [
    "CDN_UPLOAD_TIMEOUT",
    "INTERDC_CALL_ERROR",
    "INTERDC_CALL_RICH_ERROR",
    "MT_SEND_QUEUE_TOO_LONG",
    "No workers running",
    "RPC_CALL_FAIL",
    "RPC_MCGET_FAIL",
    "RPC_SEND_FAIL",
    "Timedout",
    "WORKER_BUSY_TOO_LONG_RETRY",
    "memory limit exit",
];

/// How often a request is sent again because the server stumbled.
pub(super) const RETRIES: u32 = 5;

/// The delay before the first of them; each further one waits twice as long.
pub(super) const FIRST_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Judges an error answer. See "Error handling".
pub(super) fn judge(error: &RpcError) -> Verdict {
    if let Some(reason) = Unauthorized::from_rpc(error.code, &error.name) {
        return Verdict::Ended(reason);
    }
    if let Some(dc) = error.migrate() {
        return match error.name.as_str() {
            "PHONE_MIGRATE" | "USER_MIGRATE" | "NETWORK_MIGRATE" => Verdict::Migrate { to: DcId(dc), home: true },
            "FILE_MIGRATE" | "STATS_MIGRATE" => Verdict::Migrate { to: DcId(dc), home: false },
            // A kind of migration that we do not know: guessing could move the account.
            _ => Verdict::Return,
        };
    }
    if error.code == 420
        && let Some(seconds) = error.flood_wait()
    {
        // A wait of nothing would be a busy loop, and the server counts it.
        return Verdict::Wait(Duration::from_secs(seconds.try_into().unwrap_or(0)).max(Duration::from_secs(1)));
    }
    // -503 is what servers of the field send for a request that took too long inside.
    if error.code == -503 || PASSING.contains(&error.name.as_str()) {
        return Verdict::Retry;
    }
    Verdict::Return
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_verdict() {
        let wait = |seconds| Verdict::Wait(Duration::from_secs(seconds));
        let to = |dc, home| Verdict::Migrate { to: DcId(dc), home };
        let cases = [
            (303, "PHONE_MIGRATE_2", to(2, true)),
            (303, "USER_MIGRATE_4", to(4, true)),
            (303, "NETWORK_MIGRATE_1", to(1, true)),
            (303, "FILE_MIGRATE_5", to(5, false)),
            (303, "STATS_MIGRATE_3", to(3, false)),
            (303, "SOUL_MIGRATE_3", Verdict::Return),
            (303, "FILE_MIGRATE_X", Verdict::Return),
            (420, "FLOOD_WAIT_30", wait(30)),
            (420, "FLOOD_PREMIUM_WAIT_3", wait(3)),
            (420, "SLOWMODE_WAIT_60", wait(60)),
            (420, "FLOOD_WAIT_0", wait(1)),
            (420, "FLOOD_WAIT_-7", wait(1)),
            (420, "2FA_CONFIRM_WAIT_604800", Verdict::Return),
            (500, "RPC_CALL_FAIL", Verdict::Retry),
            (500, "No workers running", Verdict::Retry),
            (500, "INTERDC_4_CALL_ERROR", Verdict::Retry),
            (-503, "Timeout", Verdict::Retry),
            (500, "CDN_UPLOAD_TIMEOUT", Verdict::Retry),
            (500, "AUTH_RESTART", Verdict::Return),
            (500, "RANDOM_ID_DUPLICATE", Verdict::Return),
            (401, "SESSION_PASSWORD_NEEDED", Verdict::Return),
            (401, "AUTH_KEY_UNREGISTERED", Verdict::Ended(Unauthorized::KeyUnregistered)),
            (401, "SESSION_REVOKED", Verdict::Ended(Unauthorized::SessionRevoked)),
            (401, "USER_DEACTIVATED_BAN", Verdict::Ended(Unauthorized::UserDeactivated)),
            (406, "AUTH_KEY_DUPLICATED", Verdict::Ended(Unauthorized::KeyDuplicated)),
            (400, "PHONE_NUMBER_INVALID", Verdict::Return),
        ];
        for (code, message, verdict) in cases {
            assert_eq!(judge(&RpcError::new(code, message)), verdict, "{code} {message}");
        }
    }
}
