//! A machine's clocks: a monotonic one that may run fast or slow and stands still while the machine sleeps, and a wall clock that may leap.

use std::time::Duration;

use crate::clock::Now;

/// Unix time at which every world begins.
const EPOCH: Duration = Duration::from_secs(1_750_000_000);

/// What a machine's monotonic clock shows when its world begins.
const UPTIME: Duration = Duration::from_secs(1000);

/// The most that a clock may be off, in seconds, either way: the wall clock stays in the range that identifiers of messages can hold.
const MOST_OFF: i64 = 40_000_000;

/// The two clocks of one machine, as functions of the world's time.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// How much faster than the world it runs, in parts per million.
    drift: i64,
    /// For how long it has slept.
    slept: Duration,
    /// Wall clock minus world clock, drift aside, in milliseconds.
    offset: i64,
}

impl Machine {
    pub(super) fn new(drift: i64, offset_secs: i64) -> Self {
        Self { drift: drift.clamp(-50_000, 50_000), slept: Duration::ZERO, offset: offset_secs.saturating_mul(1000) }
    }

    /// Reads both clocks.
    pub(super) fn now(&self, world: Duration) -> Now {
        let gone = self.scaled(world);
        let wall = if self.offset < 0 {
            (EPOCH + gone).saturating_sub(Duration::from_millis(self.offset.unsigned_abs()))
        } else {
            EPOCH + gone + Duration::from_millis(self.offset.unsigned_abs())
        };
        Now::new((UPTIME + gone).saturating_sub(self.slept), wall)
    }

    /// The first moment of the world at which the monotonic clock shows `mono` or more.
    pub(super) fn when(&self, mono: Duration) -> Duration {
        let gone = (mono + self.slept).saturating_sub(UPTIME);
        let nanos = gone.as_nanos() * 1_000_000 / u128::from((1_000_000 + self.drift).unsigned_abs());
        let mut world = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        while self.now(world).mono < mono {
            world += Duration::from_nanos(1);
        }
        world
    }

    /// The wall clock leaps by so many seconds.
    pub(super) fn leap(&mut self, seconds: i64) {
        self.offset = (self.offset + seconds.saturating_mul(1000)).clamp(-MOST_OFF * 1000, MOST_OFF * 1000);
    }

    /// The machine wakes from a sleep of this length: its wall clock has gone on, its monotonic one has not.
    pub(super) fn wake(&mut self, after: Duration) {
        self.slept += self.scaled(after);
    }

    fn scaled(&self, world: Duration) -> Duration {
        let nanos = world.as_nanos() * u128::from((1_000_000 + self.drift).unsigned_abs()) / 1_000_000;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_exactly_when_the_clock_shows_them() {
        for drift in [-20_000, -1, 0, 7, 30_000] {
            let mut machine = Machine::new(drift, -77);
            machine.wake(Duration::from_secs(9));
            for millis in [9_001, 20_500, 3_600_000] {
                let mono = machine.now(Duration::from_millis(millis)).mono + Duration::from_nanos(1);
                let world = machine.when(mono);
                assert!(machine.now(world).mono >= mono);
                assert!(machine.now(world - Duration::from_nanos(1)).mono < mono, "{drift} {millis}");
            }
        }
    }

    #[test]
    fn leaps_move_the_wall_and_sleep_stops_the_other() {
        let at = Duration::from_secs(100);
        let mut machine = Machine::new(0, 0);
        let before = machine.now(at);
        machine.leap(-5);
        assert_eq!((machine.now(at).mono, machine.now(at).unix()), (before.mono, before.unix() - 5));
        machine.wake(Duration::from_secs(30));
        let later = machine.now(at + Duration::from_secs(30));
        assert_eq!((later.mono, later.unix()), (before.mono, before.unix() + 25));
    }
}
