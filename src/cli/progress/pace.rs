//! How many lines a second a person, or a log, can do with.

use std::time::{Duration, Instant};

/// Lines that may come at once.
const BURST: f64 = 20.0;

/// Lines a second after that.
const STEADY: f64 = 2.0;

/// How often a run says how far it is while it leaves lines out.
const SUM_EVERY: Duration = Duration::from_secs(5);

/// Leaves lines out when there are too many of them.
#[derive(Debug)]
pub(super) struct Pace {
    room: f64,
    at: Instant,
    left_out: u64,
    summed: Instant,
    pending: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { room: BURST, at: now, left_out: 0, summed: now, pending: false }
    }

    /// Whether one more line may be printed. One that may not is counted.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.room = (self.room + elapsed * STEADY).min(BURST);
        self.at = now;
        if self.room >= 1.0 {
            self.room -= 1.0;
            return true;
        }
        self.left_out += 1;
        self.pending = true;
        false
    }

    /// Whether it is time to say in one line how far the run is, because lines were left out.
    pub(super) fn sum_is_due(&mut self, now: Instant) -> bool {
        let due = self.pending && now.saturating_duration_since(self.summed) >= SUM_EVERY;
        if due {
            self.summed = now;
            self.pending = false;
        }
        due
    }

    /// How many lines were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_lines_in_half_a_minute_become_a_hundred() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let (mut lines, mut sums) = (0, 0);
        for n in 0..10_000 {
            let now = start + Duration::from_millis(n * 3);
            lines += u32::from(pace.admits(now));
            sums += u32::from(pace.sum_is_due(now));
        }
        assert!((60..100).contains(&lines), "{lines}");
        assert!((4..7).contains(&sums), "{sums}");
        assert_eq!(u64::from(lines) + pace.left_out(), 10_000);
    }

    #[test]
    fn few_lines_all_come() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!((0..20).all(|_| pace.admits(start)));
        assert!(!pace.admits(start));
        assert!((1..100).all(|n| pace.admits(start + Duration::from_secs(n))));
        assert_eq!(pace.left_out(), 1);
    }
}
