//! Where a run's chance comes from: seeded generators, one for each subject, so that what one subject draws does not shift another's luck.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

/// A seeded source of decisions.
pub(super) struct Dice(StdRng);

impl Dice {
    /// The generator of one subject of a run.
    pub(super) fn new(seed: u64, subject: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_add(subject.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
    }

    /// A number below `limit`; 0 if that is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64().checked_rem(limit).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// An index into a list of `len`.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// `true` so many times in ten thousand.
    pub(super) fn chance(&mut self, per_10k: u32) -> bool {
        self.below(10_000) < u64::from(per_10k)
    }

    /// One of a list.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, list: [T; N]) -> T {
        list[self.index(N)]
    }

    /// A time from `low` to `high`.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let spread = high.saturating_sub(low).as_nanos();
        low + Duration::from_nanos(self.below(u64::try_from(spread).unwrap_or(u64::MAX).saturating_add(1)))
    }

    /// A time from `low` to `high`, short ones as likely as long ones: uniform in the number of digits.
    pub(super) fn spread(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (low.as_secs_f64().max(1e-6), high.as_secs_f64());
        let at = self.below(1 << 32) as f64 / (1u64 << 32) as f64;
        Duration::from_secs_f64(low * (high / low).powf(at))
    }

    /// Any number.
    pub(super) fn long(&mut self) -> i64 {
        self.0.next_u64().cast_signed()
    }

    /// The seed of somebody else's generator.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// The generator itself.
    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.0
    }
}
