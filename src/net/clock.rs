//! The clock reading that the core is given.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use tdl_core::clock::Now;

/// Reads both clocks of the machine. Cheap to copy; copies agree.
///
/// The monotonic side is the runtime's, so that a test that pauses the runtime's time steers the core as well.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Local Unix time at `start`, when the wall clock is to follow the monotonic one.
    fixed: Option<Duration>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self { start: Instant::now(), fixed: None }
    }

    /// A wall clock that says `wall` now and runs exactly as the runtime's time does: for tests.
    pub fn starting_at(wall: Duration) -> Self {
        Self { start: Instant::now(), fixed: Some(wall) }
    }

    /// A reading.
    pub fn now(&self) -> Now {
        let mono = self.start.elapsed();
        let wall = match self.fixed {
            Some(base) => base.saturating_add(mono),
            // A clock set before 1970 reads as 1970: the server's time is learnt as an offset anyway.
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        Now::new(mono, wall)
    }

    /// The moment on the runtime's clock that a deadline of the core means.
    pub fn instant(&self, mono: Duration) -> Instant {
        // Far beyond any deadline in use, and far from the end of the clock's range.
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        self.start.checked_add(mono).unwrap_or_else(|| Instant::now() + FAR)
    }
}
