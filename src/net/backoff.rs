//! How long to wait before the next attempt.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Exponential delays with jitter: the n-th is drawn from the upper half of `first × 2ⁿ`, up to `cap`.
///
/// Jitter keeps many connections that were cut at the same moment from coming back at the same moment.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempts: u32,
    rng: StdRng,
}

impl Backoff {
    /// Delays from `first` up to `cap`; the seed decides the jitter.
    pub fn new(first: Duration, cap: Duration, seed: [u8; 32]) -> Self {
        Self { first, cap, attempts: 0, rng: StdRng::from_seed(seed) }
    }

    /// Attempts asked for since the start or the last [`reset`](Self::reset).
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(self.attempts.min(20)).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1);
        let whole = doubled.min(self.cap);
        let half = whole / 2;
        half + half.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX))
    }

    /// Starts over: the last attempt succeeded.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: A.5 "reconnect / backoff"
    #[test]
    fn delays_double_up_to_the_cap_and_repeat_with_the_seed() {
        let (first, cap) = (Duration::from_millis(200), Duration::from_secs(10));
        let mut backoff = Backoff::new(first, cap, [7; 32]);
        let delays: Vec<_> = (0..40).map(|_| backoff.next_delay()).collect();
        for (n, delay) in delays.iter().enumerate() {
            let whole = first.saturating_mul(1 << n.min(20)).min(cap);
            assert!(*delay >= whole / 2 && *delay <= whole, "attempt {n}: {delay:?} of {whole:?}");
        }
        assert_eq!(backoff.attempts(), 40);
        let mut again = Backoff::new(first, cap, [7; 32]);
        assert!(delays.iter().all(|delay| *delay == again.next_delay()));
        again.reset();
        assert!(again.next_delay() <= first);
    }
}
