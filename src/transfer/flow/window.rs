//! How much may be in flight to one DC in one direction: measured, not guessed.
//!
//! The window grows while more of it brings more throughput, and shrinks when less of it brings as much: then it was only latency that it
//! had bought. A wait that the server imposes closes it for everybody, and halves it.

use std::time::{Duration, Instant};

/// The smallest cost of a request, in bytes: one for little keeps the server and the line as busy as this.
pub(super) const LEAST_COST: u64 = 64 << 10;
/// The smallest window: one part of a file.
pub(super) const LEAST: u64 = 1 << 20;
/// What a window begins with.
const FIRST: u64 = 4 << 20;
/// By how much it is moved when it is being tried whether another one is better.
const STEP: u64 = 1 << 20;
/// A round lasts at least this long: below it, noise is all that is measured.
const SHORTEST_ROUND: Duration = Duration::from_millis(100);
/// Rounds between two trials of another size.
const ROUNDS_BETWEEN: u32 = 6;
/// Throughput has grown if it is this many times what it was, at the beginning and later on.
const GROWN_FAST: f64 = 1.15;
const GROWN: f64 = 1.04;
/// It is still the same if it is at least this share.
const SAME: f64 = 0.97;
/// What the best throughput is forgotten by, a round: lines change.
const FORGET: f64 = 0.98;
/// How long a part may take while nothing is known of the line.
pub(super) const FIRST_LATE: Duration = Duration::from_secs(30);
/// How many times the usual time of a part may pass before its answer counts as lost, and the least.
const LATE: u32 = 8;
const SOONEST_LATE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Doubling while that helps.
    Opening,
    /// As it is, for so many rounds.
    Steady(u32),
    /// Trying whether a larger one brings more; it was this before.
    Larger(u64),
    /// Trying whether a smaller one brings as much; it was this before.
    Smaller(u64),
}

/// What happened since the window was last judged.
#[derive(Clone, Copy, Debug)]
struct Round {
    began: Instant,
    /// Bytes that came, as they count against the window.
    cost: u64,
    /// Whether there was a time when nobody wanted what the window would have allowed: then it measures the demand.
    idle: bool,
    /// What was begun before the window got its size is not measured.
    warming: bool,
}

/// The window.
#[derive(Debug)]
pub(super) struct Window {
    size: u64,
    ceiling: u64,
    in_flight: u64,
    paused_until: Option<Instant>,
    phase: Phase,
    /// Whether the next trial is of a larger size.
    larger_next: bool,
    /// Bytes a second, the best lately.
    best: f64,
    round: Option<Round>,
    /// The time of a part, smoothed; `None` before the first.
    usual: Option<Duration>,
    stumbled_at: Option<Instant>,
}

impl Window {
    /// `ceiling`: never more than this in flight, in bytes.
    pub(super) fn new(ceiling: u64) -> Self {
        let ceiling = ceiling.max(LEAST);
        Self {
            size: FIRST.min(ceiling),
            ceiling,
            in_flight: 0,
            paused_until: None,
            phase: Phase::Opening,
            larger_next: true,
            best: 0.0,
            round: None,
            usual: None,
            stumbled_at: None,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// When what the server imposed ends, if it has not ended yet.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Whether a request of this cost may begin. One always may, however large it is.
    pub(super) fn admits(&self, now: Instant, cost: u64) -> bool {
        self.paused_until(now).is_none() && (self.in_flight == 0 || self.in_flight.saturating_add(cost) <= self.size)
    }

    /// Nobody wants what is still allowed.
    pub(super) fn idle(&mut self) {
        if let Some(round) = &mut self.round {
            round.idle = true;
        }
    }

    pub(super) fn begin(&mut self, now: Instant, cost: u64) {
        self.in_flight = self.in_flight.saturating_add(cost);
        self.round.get_or_insert(Round { began: now, cost: 0, idle: false, warming: false });
    }

    fn left(&mut self, cost: u64) {
        self.in_flight = self.in_flight.saturating_sub(cost);
    }

    /// A request went wrong for a reason that says nothing about the line, or was given up.
    pub(super) fn ended(&mut self, cost: u64) {
        self.left(cost);
        self.idle();
    }

    /// After how long an answer counts as lost.
    pub(super) fn late(&self) -> Duration {
        self.usual.map_or(FIRST_LATE, |usual| (usual * LATE).max(SOONEST_LATE))
    }

    /// The answer of a request came, begun `took` ago.
    pub(super) fn done(&mut self, now: Instant, cost: u64, took: Duration) {
        self.left(cost);
        self.usual = Some(self.usual.map_or(took, |usual| (usual * 7 + took) / 8));
        let Some(round) = &mut self.round else { return };
        round.cost = round.cost.saturating_add(cost);
        let elapsed = now.saturating_duration_since(round.began);
        let long_enough = elapsed >= SHORTEST_ROUND.max(took);
        if round.cost < self.size || !(long_enough || round.warming) {
            return;
        }
        let Round { cost, idle, warming, .. } = *round;
        *round = Round { began: now, cost: 0, idle: false, warming: false };
        if !warming {
            self.judge(cost as f64 / elapsed.as_secs_f64().max(1e-6), idle);
        }
    }

    /// A round is over.
    fn judge(&mut self, rate: f64, idle: bool) {
        if idle {
            // It says what was wanted, not what could be had.
            self.best = self.best.max(rate);
            return;
        }
        let before = self.best;
        self.best = (before * FORGET).max(rate);
        match self.phase {
            Phase::Opening if rate >= before * GROWN_FAST && self.size < self.ceiling => self.resize(self.size * 2),
            Phase::Opening => {
                if before > 0.0 && rate < before * GROWN_FAST {
                    self.resize((self.size / 2).max(2 * LEAST));
                }
                self.phase = Phase::Steady(0);
            }
            Phase::Steady(rounds) if rounds < ROUNDS_BETWEEN => self.phase = Phase::Steady(rounds + 1),
            Phase::Steady(_) => {
                let size = self.size;
                let larger = self.larger_next && size < self.ceiling;
                self.larger_next = !larger;
                if larger {
                    self.phase = Phase::Larger(size);
                    self.resize(size + STEP);
                } else if size > 2 * LEAST {
                    self.phase = Phase::Smaller(size);
                    self.resize(size - STEP);
                } else {
                    self.phase = Phase::Steady(0);
                }
            }
            Phase::Larger(_) if rate >= before * GROWN && self.size < self.ceiling => {
                self.phase = Phase::Larger(self.size);
                self.resize(self.size + STEP);
            }
            Phase::Larger(from) => {
                if rate < before * GROWN {
                    self.resize(from);
                }
                self.phase = Phase::Steady(0);
            }
            Phase::Smaller(from) => {
                if rate < before * SAME {
                    self.resize(from);
                }
                self.phase = Phase::Steady(0);
            }
        }
    }

    fn resize(&mut self, size: u64) {
        let size = size.clamp(LEAST, self.ceiling);
        if size != self.size {
            self.size = size;
            if let Some(round) = &mut self.round {
                round.warming = true;
            }
        }
    }

    /// The server imposes a wait. Returns how long, if it is one that did not run already: several requests are refused together.
    pub(super) fn flooded(&mut self, now: Instant, cost: u64, wait: Duration) -> Option<Duration> {
        self.left(cost);
        let until = now + wait;
        let running = self.paused_until(now);
        if running.is_none_or(|running| running < until) {
            self.paused_until = Some(until);
        }
        if running.is_some() {
            return None;
        }
        self.start_anew(self.size / 2);
        Some(wait)
    }

    /// A connection was lost, or an answer. A few at a time are one stumble.
    pub(super) fn stumbled(&mut self, now: Instant, cost: u64) {
        self.left(cost);
        let recent = self.usual.unwrap_or(SHORTEST_ROUND).max(Duration::from_secs(1));
        if self.stumbled_at.is_none_or(|at| now.saturating_duration_since(at) > recent) {
            self.stumbled_at = Some(now);
            self.start_anew(self.size / 10 * 7);
        }
    }

    fn start_anew(&mut self, size: u64) {
        self.size = size.clamp(LEAST, self.ceiling);
        self.phase = Phase::Steady(0);
        self.larger_next = true;
        self.best = 0.0;
        self.round = None;
    }
}
