//! A counter's troubles: what it meets, gaps in front of what came, and when the server is asked about it.

use std::time::Duration;

use crate::tl::api::enums::Update;

/// How long a gap is given to close by itself: updates may overtake each other on their way.
pub(super) const GAP_PATIENCE: Duration = Duration::from_millis(500);
/// Updates or envelopes that wait for one gap to close. Beyond, they are dropped: the difference will bring them.
pub(super) const MAX_HELD: usize = 1024;
/// The first pause after a question that failed, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Whether a counter follows what comes, or has fallen behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// What comes next is applied.
    Following,
    /// The server is to be asked, not before this moment.
    Wanted { not_before: Duration },
    /// The server has been asked. `again`: something happened since that calls for another question.
    Asked { again: bool },
}

/// One counter's troubles.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    pub(super) phase: Phase,
    /// Updates beyond a gap.
    pub(super) held: Vec<Update>,
    /// When the gap has been given time enough.
    pub(super) gap: Option<Duration>,
    /// Questions in a row that failed.
    failures: u32,
}

impl Counter {
    pub(super) fn new(phase: Phase) -> Self {
        Self { phase, held: Vec::new(), gap: None, failures: 0 }
    }

    pub(super) fn want(&mut self, now: Duration) {
        self.gap = None;
        match &mut self.phase {
            Phase::Following => self.phase = Phase::Wanted { not_before: now },
            Phase::Wanted { .. } => {}
            Phase::Asked { again } => *again = true,
        }
    }

    /// A question was answered; `more`: the answer was not all.
    pub(super) fn answered(&mut self, now: Duration, more: bool) {
        let again = more || self.phase == Phase::Asked { again: true };
        self.phase = if again { Phase::Wanted { not_before: now } } else { Phase::Following };
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Wanted { not_before: now.saturating_add(pause) };
    }

    pub(super) fn hold(&mut self, now: Duration, update: Update) {
        if self.held.len() >= MAX_HELD {
            self.held.clear();
            self.want(now);
        }
        self.held.push(update);
        if self.phase == Phase::Following {
            self.gap.get_or_insert(now.saturating_add(GAP_PATIENCE));
        }
    }

    /// When something is to be done about it, if anything is.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.phase {
            Phase::Following => self.gap,
            Phase::Wanted { not_before } => Some(not_before),
            Phase::Asked { .. } => None,
        }
    }

    /// Whether it may be asked about now.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let wanted = matches!(self.phase, Phase::Wanted { not_before } if not_before <= now);
        if wanted {
            self.phase = Phase::Asked { again: false };
        }
        wanted
    }
}

/// What becomes of an update when it meets its counter.
pub(super) enum Fit {
    /// It is the next one, or takes nothing of the counter.
    Next,
    /// It has been here before.
    Known,
    /// Something is missing in front of it.
    Beyond,
}

pub(super) fn fit(local: i32, end: i32, count: i32) -> Fit {
    // Widened: a hostile counter must not overflow.
    match (i64::from(local) + i64::from(count)).cmp(&i64::from(end)) {
        std::cmp::Ordering::Equal => Fit::Next,
        std::cmp::Ordering::Greater => Fit::Known,
        std::cmp::Ordering::Less => Fit::Beyond,
    }
}
