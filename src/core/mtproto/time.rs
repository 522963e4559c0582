//! The server's time, as far as we know it.
//!
//! Identifiers of messages carry time, and a server ignores what is 300 seconds old or 30 seconds early. A machine's own clock may be
//! anything, so a client learns the server's from the key exchange and from each message that passed its checks. See "Mobile Protocol:
//! Detailed Description", "Security Guidelines for Client Developers".

use std::time::Duration;

use crate::clock::Now;

/// How far from the server's time the identifier of a received message may be: seconds in the past.
pub const MAX_AGE_SECS: i64 = 300;

/// How far from the server's time the identifier of a received message may be: seconds in the future.
pub const MAX_LEAD_SECS: i64 = 30;

/// An estimate of the server's clock that runs on the local monotonic one, so that a jump of the local wall clock does not move it.
#[derive(Clone, Debug)]
pub struct ServerClock {
    /// Server Unix time minus local monotonic time, in nanoseconds.
    base: i128,
    /// Local wall minus local monotonic time when last looked at, in nanoseconds.
    apart: i128,
    /// Whether a message of this connection has confirmed the estimate.
    confirmed: bool,
}

impl ServerClock {
    /// A clock that is `offset` seconds ahead of the local wall clock.
    pub fn new(now: Now, offset: i64) -> Self {
        let apart = nanos(now.wall) - nanos(now.mono);
        Self { base: apart + i128::from(offset) * NANOS, apart, confirmed: false }
    }

    /// The server's Unix time.
    pub fn now(&self, now: Now) -> Duration {
        let nanos = (self.base + nanos(now.mono)).clamp(0, i128::from(u32::MAX) * NANOS);
        // The clamp bounds both parts: the seconds fit 32 bits, the rest is below 10⁹.
        Duration::new((nanos / NANOS) as u64, (nanos % NANOS) as u32)
    }

    /// The server's Unix time in whole seconds.
    pub fn unix(&self, now: Now) -> i64 {
        i64::try_from(self.now(now).as_secs()).unwrap_or(i64::MAX)
    }

    /// Server minus local Unix time in seconds: what to store for the next run.
    pub fn offset(&self, now: Now) -> i64 {
        let nanos = self.base + nanos(now.mono) - nanos(now.wall);
        i64::try_from(nanos.div_euclid(NANOS)).unwrap_or(0)
    }

    /// Whether a message of this connection has confirmed the estimate. Until then the window of identifiers is not applied.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// A new connection begins: the machine may have slept, so the next message may move the clock by any amount.
    pub fn distrust(&mut self) {
        self.confirmed = false;
    }

    /// Looks at the local clocks. If the wall clock has jumped against the monotonic one, the machine has slept (then the estimate is
    /// behind) or somebody has set it (then the estimate is right): which it was, the next message tells, so the estimate is distrusted
    /// until then. Returns the seconds jumped.
    pub fn note(&mut self, now: Now) -> Option<i64> {
        let apart = nanos(now.wall) - nanos(now.mono);
        let jump = apart - self.apart;
        // Slowly slewed clocks are followed without a word.
        self.apart = apart;
        if jump.abs() < i128::from(JUMP_SECS) * NANOS {
            return None;
        }
        self.confirmed = false;
        Some(i64::try_from(jump / NANOS).unwrap_or(0))
    }

    /// Learns from a pong, which was written at the server's time `unix` within the round trip `rtt` that ends now. The only message that
    /// can set the clock back: of others it is not known how long they were under way. Returns whether it did.
    pub fn correct(&mut self, now: Now, unix: i64, rtt: Duration) -> bool {
        let ahead = self.unix(now).saturating_sub(unix);
        let rtt = i64::try_from(rtt.as_secs()).unwrap_or(i64::MAX);
        if ahead <= AHEAD_SECS.saturating_add(rtt) {
            return false;
        }
        self.set(now, unix);
        true
    }

    /// Learns from a checked message that the server's clock showed at least `unix` seconds when it was written. Only ever moves
    /// the clock forward: a message that was long under way says nothing. Returns whether it moved.
    pub fn observe(&mut self, now: Now, unix: i64) -> bool {
        self.confirmed = true;
        let base = i128::from(unix) * NANOS - nanos(now.mono);
        let moved = base > self.base;
        self.base = self.base.max(base);
        moved
    }

    /// Sets the clock, backwards too: the server has said that ours is wrong (`bad_msg_notification` 16 or 17).
    pub fn set(&mut self, now: Now, unix: i64) {
        self.confirmed = true;
        self.base = i128::from(unix) * NANOS - nanos(now.mono);
    }
}

/// The least jump of the wall clock against the monotonic one that counts.
const JUMP_SECS: i64 = 2;

/// How far ahead of the server's clock ours may be until a pong sets it back.
const AHEAD_SECS: i64 = 15;

const NANOS: i128 = 1_000_000_000;

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now::new(Duration::from_secs(10), Duration::from_secs(1_700_000_000));

    #[test]
    fn follows_the_monotonic_clock_and_not_the_wall() {
        let clock = ServerClock::new(START, 5);
        assert_eq!(clock.unix(START), 1_700_000_005);
        let jumped = Now::new(Duration::from_secs(12), Duration::from_secs(1_600_000_000));
        assert_eq!(clock.unix(jumped), 1_700_000_007);
        assert_eq!(clock.offset(jumped), 100_000_007);
    }

    #[test]
    fn messages_move_it_forward_only() {
        let mut clock = ServerClock::new(START, 0);
        assert!(!clock.is_confirmed());
        assert!(!clock.observe(START, 1_699_999_990));
        assert!(clock.is_confirmed());
        assert_eq!(clock.unix(START), 1_700_000_000);
        assert!(clock.observe(START, 1_700_000_090));
        assert_eq!(clock.unix(START), 1_700_000_090);
        assert_eq!(clock.offset(START), 90);
    }

    #[test]
    fn the_server_may_set_it_back() {
        let mut clock = ServerClock::new(START, 500);
        clock.set(START, 1_700_000_001);
        assert_eq!(clock.offset(START), 1);
        clock.distrust();
        assert!(!clock.is_confirmed());
    }

    /// Row: A.5 "time sync"
    #[test]
    fn jumps_of_the_local_wall_clock_are_noticed_once() {
        let mut clock = ServerClock::new(START, 0);
        clock.observe(START, 1_700_000_000);
        assert_eq!(clock.note(START.later(Duration::from_secs(1000))), None);
        assert!(clock.is_confirmed());
        for jump in [3600, -3600] {
            let now = Now::new(Duration::from_secs(2000), Duration::from_secs((1_700_001_990 + jump) as u64));
            clock.observe(START, 1_700_000_000);
            assert_eq!(clock.note(now), Some(if jump > 0 { jump } else { 2 * jump }));
            assert_eq!(clock.note(now), None);
            assert!(!clock.is_confirmed());
        }
    }

    /// Row: A.5 "time sync"
    #[test]
    fn a_pong_sets_back_a_clock_that_is_far_ahead() {
        let mut clock = ServerClock::new(START, 20);
        assert!(!clock.correct(START, 1_700_000_005, Duration::ZERO));
        assert!(!clock.correct(START, 1_700_000_000, Duration::from_secs(5)));
        assert!(clock.correct(START, 1_700_000_000, Duration::from_secs(4)));
        assert_eq!(clock.offset(START), 0);
    }

    #[test]
    fn absurd_offsets_do_not_overflow() {
        for offset in [i64::MIN, i64::MAX] {
            let mut clock = ServerClock::new(START, offset);
            let _ = (clock.now(START), clock.unix(START), clock.offset(START));
            clock.set(START, offset);
            clock.observe(START, i64::MAX);
            let _ = (clock.now(START), clock.offset(START));
        }
    }
}
