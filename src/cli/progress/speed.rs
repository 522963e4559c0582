//! How fast something goes: over the last seconds, not since its beginning.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time that a speed is about.
const WINDOW: Duration = Duration::from_secs(5);

/// How far apart two samples are at least: a speed needs no more of them, however often something is added.
const STEP: Duration = Duration::from_millis(200);

/// Amounts over the last seconds.
#[derive(Debug)]
pub(super) struct Speed {
    total: u64,
    /// The totals at earlier moments, oldest first. The first one is as old as the window, or the beginning.
    samples: VecDeque<(Instant, u64)>,
}

impl Speed {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: 0, samples: VecDeque::from([(now, 0)]) }
    }

    pub(super) fn add(&mut self, now: Instant, amount: u64) {
        self.total += amount;
        if self.samples.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= STEP) {
            self.samples.push_back((now, self.total));
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        // The second one has to be as old as the window before the first one can go.
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// The amount in a second.
    pub(super) fn per_second(&mut self, now: Instant) -> f64 {
        self.forget(now);
        let Some((since, before)) = self.samples.front() else { return 0.0 };
        let elapsed = now.saturating_duration_since(*since);
        // What came at the very beginning came in no time at all, which says nothing.
        (self.total - before) as f64 / elapsed.max(STEP).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_speed_follows_a_change_within_seconds() {
        let start = Instant::now();
        let mut speed = Speed::new(start);
        for tick in 1..=600 {
            speed.add(at(start, tick * 100), 100);
        }
        assert!((speed.per_second(at(start, 60_000)) - 1000.0).abs() < 50.0);
        for tick in 601..=660 {
            speed.add(at(start, tick * 100), 10);
        }
        let now = speed.per_second(at(start, 66_000));
        assert!((now - 100.0).abs() < 10.0, "{now}: a minute of more does not count any more");
        assert!(speed.samples.len() <= 30);
        assert!(speed.per_second(at(start, 90_000)) < 1.0, "nothing moves");
    }

    #[test]
    fn the_first_moment_promises_nothing() {
        let start = Instant::now();
        let mut speed = Speed::new(start);
        assert_eq!(speed.per_second(start), 0.0);
        speed.add(start, 1000);
        assert!(speed.per_second(start) <= 5000.0);
    }
}
