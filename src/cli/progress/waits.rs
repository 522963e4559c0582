//! Why nothing moves: waits that the server imposes, and connections that are being made again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tdl::client::Notice;

/// How long a lost connection is shown as such when nothing is heard of it.
const AT_LEAST: Duration = Duration::from_secs(10);

/// The latest reason for nothing to move.
#[derive(Debug, Default)]
pub(super) struct Waits {
    latest: Mutex<Option<Wait>>,
}

#[derive(Clone, Debug)]
struct Wait {
    why: &'static str,
    /// When something is tried again.
    until: Instant,
    /// When it is not worth showing any more.
    shown_until: Instant,
    /// Whether bytes that arrive are the end of it.
    ends_with_bytes: bool,
}

impl Waits {
    /// Takes note of what delays a request. Returns the event of it, if it is a wait or the end of one.
    pub(super) fn take(&self, notice: &Notice, now: Instant) -> Option<serde_json::Value> {
        let (wait, event) = match notice {
            Notice::FloodWait { method, wait, .. } => {
                // The others of a transfer go on meanwhile.
                let waiting = Wait::new("asked to wait", now, *wait, false);
                (Some(waiting), json!({"event": "wait", "reason": "flood", "method": method, "seconds": wait.as_secs_f64()}))
            }
            Notice::Flooded { wait, .. } => (
                Some(Wait::new("too many connections", now, *wait, true)),
                json!({"event": "wait", "reason": "connections", "seconds": wait.as_secs_f64()}),
            ),
            Notice::Reconnecting { delay, reason, .. } => (
                Some(Wait::new("reconnecting", now, *delay, true)),
                json!({"event": "wait", "reason": "reconnect", "seconds": delay.as_secs_f64(), "text": reason}),
            ),
            Notice::Retry { method, error, delay, .. } => (
                Some(Wait::new("the server is busy", now, *delay, true)),
                json!({"event": "wait", "reason": "retry", "method": method, "seconds": delay.as_secs_f64(), "text": error}),
            ),
            Notice::Reconnected { .. } => (None, json!({"event": "reconnected"})),
            _ => return None,
        };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = wait;
        Some(event)
    }

    /// Bytes have come.
    pub(super) fn moved(&self, now: Instant) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_ref().is_some_and(|wait| wait.ends_with_bytes || wait.shown_until <= now) {
            *latest = None;
        }
    }

    /// What to say of it at this moment.
    pub(super) fn text(&self, now: Instant) -> Option<String> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if now >= latest.shown_until {
            return None;
        }
        let left = latest.until.saturating_duration_since(now);
        Some(if left.is_zero() { latest.why.to_owned() } else { format!("{}, {} s", latest.why, left.as_secs() + 1) })
    }
}

impl Wait {
    fn new(why: &'static str, now: Instant, wait: Duration, ends_with_bytes: bool) -> Self {
        let until = now + wait.min(Duration::from_secs(86_400));
        let shown_until = if ends_with_bytes { until.max(now + AT_LEAST) } else { until };
        Self { why, until, shown_until, ends_with_bytes }
    }
}

#[cfg(test)]
mod tests {
    use tdl::ids::DcId;

    use super::*;

    #[test]
    fn a_wait_is_shown_until_it_is_over() {
        let (waits, start) = (Waits::default(), Instant::now());
        let flood = Notice::FloodWait { dc: DcId(2), method: "upload.getFile", wait: Duration::from_secs(30) };
        let event = waits.take(&flood, start).unwrap();
        assert_eq!((&event["reason"], &event["seconds"]), (&"flood".into(), &30.0.into()));
        assert_eq!(waits.text(start).unwrap(), "asked to wait, 31 s");
        waits.moved(start + Duration::from_secs(5));
        assert_eq!(waits.text(start + Duration::from_millis(5500)).unwrap(), "asked to wait, 25 s");
        assert_eq!(waits.text(start + Duration::from_secs(30)), None);
    }

    #[test]
    fn a_lost_connection_is_shown_until_bytes_come() {
        let (waits, start) = (Waits::default(), Instant::now());
        let lost = Notice::Reconnecting { dc: DcId(2), attempt: 1, delay: Duration::ZERO, reason: "reset".into() };
        assert!(waits.take(&lost, start).is_some());
        assert_eq!(waits.text(start + Duration::from_secs(1)).unwrap(), "reconnecting");
        waits.moved(start + Duration::from_secs(2));
        assert_eq!(waits.text(start + Duration::from_secs(2)), None);
        assert!(waits.take(&Notice::Importing { dc: DcId(2) }, start).is_none(), "no wait");
    }
}
