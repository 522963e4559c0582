//! Every deadline of a session, in one table.

use std::time::Duration;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Acknowledgements have waited long enough for a message to ride along with.
    Acks,
    /// A ping is due (client).
    Ping,
    /// No pong has come (client).
    PingTimeout,
    /// Nothing has been heard though requests are under way (client).
    Silence,
    /// What was written has waited long enough for company.
    Flush,
    /// Requests have gone without a sign that they arrived (client).
    StateCheck,
    /// The client asked that the connection be closed if no ping comes (server).
    Disconnect,
    /// Answers and updates have gone without acknowledgement (server).
    Unacknowledged,
}

impl Timer {
    pub(super) const ALL: [Self; 8] = [
        Self::Acks,
        Self::Ping,
        Self::PingTimeout,
        Self::Silence,
        Self::Flush,
        Self::StateCheck,
        Self::Disconnect,
        Self::Unacknowledged,
    ];
}

/// The deadlines, on the monotonic clock.
#[derive(Clone, Debug, Default)]
pub(super) struct TimerTable {
    deadlines: [Option<Duration>; Timer::ALL.len()],
}

impl TimerTable {
    pub(super) fn set(&mut self, timer: Timer, deadline: Duration) {
        self.deadlines[timer as usize] = Some(deadline);
    }

    /// Sets the timer unless it is running already.
    pub(super) fn start(&mut self, timer: Timer, deadline: Duration) {
        self.deadlines[timer as usize].get_or_insert(deadline);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Whether the timer runs and its time has not come.
    pub(super) fn waits(&self, timer: Timer, mono: Duration) -> bool {
        self.deadlines[timer as usize].is_some_and(|deadline| deadline > mono)
    }

    /// Stops the timer and says so, if its time has come.
    pub(super) fn take_expired(&mut self, timer: Timer, mono: Duration) -> bool {
        let expired = self.deadlines[timer as usize].is_some_and(|deadline| deadline <= mono);
        if expired {
            self.stop(timer);
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_has_its_place() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }

    #[test]
    fn the_nearest_deadline_is_next_and_fires_once() {
        let mut table = TimerTable::default();
        assert_eq!(table.next(), None);
        table.set(Timer::Ping, Duration::from_secs(60));
        table.set(Timer::Acks, Duration::from_secs(30));
        table.start(Timer::Acks, Duration::from_secs(90));
        assert_eq!(table.next(), Some(Duration::from_secs(30)));
        assert!(!table.take_expired(Timer::Acks, Duration::from_secs(29)));
        assert!(table.take_expired(Timer::Acks, Duration::from_secs(30)));
        assert!(!table.take_expired(Timer::Acks, Duration::from_secs(30)));
        assert_eq!(table.next(), Some(Duration::from_secs(60)));
    }
}
