//! A clock reading, as an argument.
//!
//! Nothing below the `net` floor reads a clock: whoever drives the core says what time it is. Tests and the simulator say
//! whatever they like.

use std::time::Duration;

/// One reading of both clocks of a machine, taken at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since a start that the driver chose; never runs backwards. All deadlines are on this clock.
    pub mono: Duration,
    /// Local Unix time. May jump, may be wrong: the server's time is learnt as an offset to it.
    pub wall: Duration,
}

impl Now {
    /// A reading with both clocks given.
    pub const fn new(mono: Duration, wall: Duration) -> Self {
        Self { mono, wall }
    }

    /// The same two clocks `by` later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self { mono: self.mono.saturating_add(by), wall: self.wall.saturating_add(by) }
    }

    /// Whole seconds of local Unix time.
    pub fn unix(self) -> i64 {
        i64::try_from(self.wall.as_secs()).unwrap_or(i64::MAX)
    }
}
