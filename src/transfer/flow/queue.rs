//! Who may send next: the state of all windows, without a clock and without tasks of its own.
//!
//! Files take turns, part by part, so that a small one never waits for a large one to end. All that was received and is not written yet is
//! bounded for the whole process, and so is the rate if it is to be.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::window::{FIRST_LATE, LEAST_COST, Window};
use super::{Direction, Limits};
use crate::ids::DcId;

/// A file, among those that share the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LaneId(u64);

/// A part that waits for its turn, or has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Which window a part needs.
pub(super) type Road = (DcId, Direction);

/// How a part that had its turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It came, or went. Its bytes are in memory until they are [`freed`](Queue::free).
    Done,
    /// The server wants everybody to wait.
    Flooded(Duration),
    /// A connection or an answer was lost.
    Stumbled,
    /// For a reason of its own.
    Failed,
}

#[derive(Debug)]
struct Part {
    lane: LaneId,
    road: Road,
    bytes: u64,
    /// When its turn came.
    began: Option<Instant>,
}

impl Part {
    fn cost(&self) -> u64 {
        self.bytes.max(LEAST_COST)
    }

    /// Whether it is one of the file's parts, and not a question about it, as that for hashes.
    fn is_of_file(&self) -> bool {
        self.bytes > 0
    }
}

#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<Road, VecDeque<Ticket>>,
    in_flight: usize,
    /// Bytes of its parts that are in flight, or received and not written yet.
    memory: u64,
    /// Whether its user is gone: it is forgotten with its last part.
    left: bool,
}

/// The lanes that want one window, in turn.
#[derive(Debug)]
struct Line {
    window: Window,
    turn: VecDeque<LaneId>,
}

/// Bytes a second, over the whole run.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    /// May be negative: a part that had its turn is paid for afterwards.
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        if let Some(at) = self.at {
            self.tokens += now.saturating_duration_since(at).as_secs_f64() * self.rate;
        }
        // What was not used is not saved up for longer than a tenth of a second.
        self.tokens = self.tokens.min(self.rate / 10.0);
        self.at = Some(now);
    }

    /// When the next part may begin.
    fn ready_at(&self, now: Instant) -> Option<Instant> {
        // Not sooner than a clock tells: who wakes up too early would only look again.
        (self.tokens < 0.0).then(|| now + Duration::from_secs_f64((-self.tokens / self.rate).clamp(0.001, 3600.0)))
    }
}

/// All windows, and who waits for them.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    lines: BTreeMap<Road, Line>,
    lanes: HashMap<LaneId, Lane>,
    parts: HashMap<Ticket, Part>,
    memory: u64,
    bucket: Option<Bucket>,
    last: u64,
    /// Whose turn it is among the windows.
    next_line: usize,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        let bucket = limits.rate.map(|rate| Bucket { rate: rate.get() as f64, tokens: 0.0, at: None });
        Self {
            limits,
            lines: BTreeMap::new(),
            lanes: HashMap::new(),
            parts: HashMap::new(),
            memory: 0,
            bucket,
            last: 0,
            next_line: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A file joins.
    pub(super) fn join(&mut self) -> LaneId {
        let lane = LaneId(self.number());
        self.lanes.insert(lane, Lane::default());
        lane
    }

    /// A file leaves. What it still has in memory is accounted for until it is freed.
    pub(super) fn leave(&mut self, lane: LaneId) {
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.left = true;
        }
        self.forget_if_idle(lane);
    }

    fn forget_if_idle(&mut self, lane: LaneId) {
        if self.lanes.get(&lane).is_some_and(|l| l.left && l.in_flight == 0 && l.memory == 0 && l.waiting.is_empty()) {
            self.lanes.remove(&lane);
            for line in self.lines.values_mut() {
                line.turn.retain(|waiting| *waiting != lane);
            }
        }
    }

    /// A part of `bytes` bytes wants to travel; or, if there are none, a question about the file. Questions go before the parts of their
    /// file, and need nothing but the window: parts that have come wait for them.
    pub(super) fn ask(&mut self, lane: LaneId, road: Road, bytes: u64) -> Ticket {
        let ticket = Ticket(self.number());
        let part = Part { lane, road, bytes, began: None };
        let waiting = self.lanes.entry(lane).or_default().waiting.entry(road).or_default();
        let is_part = |other: &Ticket| self.parts.get(other).is_some_and(Part::is_of_file);
        let at = if part.is_of_file() { None } else { waiting.iter().position(is_part) };
        waiting.insert(at.unwrap_or(waiting.len()), ticket);
        self.parts.insert(ticket, part);
        if waiting.len() == 1 {
            let ceiling = self.limits.window;
            let line = self.lines.entry(road);
            line.or_insert_with(|| Line { window: Window::new(ceiling), turn: VecDeque::new() }).turn.push_back(lane);
        }
        ticket
    }

    /// Nobody waits any more for the turn of a part.
    pub(super) fn give_up(&mut self, ticket: Ticket) {
        let Some(part) = self.parts.remove(&ticket) else { return };
        let lane = self.lanes.entry(part.lane).or_default();
        if let Some(waiting) = lane.waiting.get_mut(&part.road) {
            waiting.retain(|other| *other != ticket);
            if waiting.is_empty() {
                lane.waiting.remove(&part.road);
                if let Some(line) = self.lines.get_mut(&part.road) {
                    line.turn.retain(|waiting| *waiting != part.lane);
                }
            }
        }
        self.forget_if_idle(part.lane);
    }

    /// The next part whose turn it is. Called until there is none.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Ticket> {
        if let Some(bucket) = &mut self.bucket {
            bucket.fill(now);
            if bucket.ready_at(now).is_some() {
                return None;
            }
        }
        let roads: Vec<Road> = self.lines.keys().copied().collect();
        for n in 0..roads.len() {
            let at = (self.next_line + n) % roads.len();
            let Some(road) = roads.get(at) else { continue };
            if let Some(ticket) = self.poll_line(now, *road) {
                self.next_line = at + 1;
                return Some(ticket);
            }
        }
        None
    }

    fn poll_line(&mut self, now: Instant, road: Road) -> Option<Ticket> {
        let line = self.lines.get_mut(&road)?;
        for _ in 0..line.turn.len() {
            let lane_id = line.turn.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&lane_id) else { continue };
            let Some(waiting) = lane.waiting.get_mut(&road) else { continue };
            let Some(ticket) = waiting.front().copied() else { continue };
            let Some(part) = self.parts.get_mut(&ticket) else { continue };
            let cost = part.cost();
            // Whoever has nothing in memory may always have one part there: those who are slow to take theirs hold nobody up.
            let fits = lane.memory == 0 || self.memory.saturating_add(part.bytes) <= self.limits.memory;
            if part.is_of_file() && (lane.in_flight >= self.limits.per_file || !fits) {
                line.turn.push_back(lane_id);
                continue;
            }
            if !line.window.admits(now, cost) {
                line.turn.push_front(lane_id);
                return None;
            }
            waiting.pop_front();
            if waiting.is_empty() {
                lane.waiting.remove(&road);
            } else {
                line.turn.push_back(lane_id);
            }
            part.began = Some(now);
            lane.in_flight += usize::from(part.is_of_file());
            lane.memory = lane.memory.saturating_add(part.bytes);
            self.memory = self.memory.saturating_add(part.bytes);
            line.window.begin(now, cost);
            if let Some(bucket) = &mut self.bucket {
                bucket.tokens -= part.bytes as f64;
            }
            return Some(ticket);
        }
        line.window.idle();
        None
    }

    /// When [`Self::poll`] may have more to say although nothing else has happened: a wait is over, or the rate allows more.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let waited_for = self.lines.values().filter(|line| !line.turn.is_empty());
        let paused = waited_for.clone().filter_map(|line| line.window.paused_until(now)).min();
        let bucket = self.bucket.as_ref().filter(|_| waited_for.count() > 0);
        paused.into_iter().chain(bucket.and_then(|bucket| bucket.ready_at(now))).min()
    }

    /// After how long the answer for a part with this ticket counts as lost.
    pub(super) fn late(&self, ticket: Ticket) -> Duration {
        let line = self.parts.get(&ticket).and_then(|part| self.lines.get(&part.road));
        line.map_or(FIRST_LATE, |line| line.window.late())
    }

    /// A part that had its turn has ended. Returns how long everybody waits now, if that is news. The memory of a part that is
    /// [`End::Done`] is still in use.
    pub(super) fn end(&mut self, now: Instant, ticket: Ticket, end: End) -> Option<Duration> {
        let part = self.parts.remove(&ticket)?;
        let cost = part.cost();
        if let Some(lane) = self.lanes.get_mut(&part.lane) {
            lane.in_flight = lane.in_flight.saturating_sub(part.is_of_file().into());
        }
        let window = &mut self.lines.get_mut(&part.road)?.window;
        let took = part.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let news = match end {
            End::Done => {
                window.done(now, cost, took);
                return None;
            }
            End::Flooded(wait) => window.flooded(now, cost, wait),
            End::Stumbled => {
                window.stumbled(now, cost);
                None
            }
            End::Failed => {
                window.ended(cost);
                None
            }
        };
        self.free(part.lane, part.bytes);
        news
    }

    /// The bytes of a part are written, or nobody wants them any more.
    pub(super) fn free(&mut self, lane: LaneId, bytes: u64) {
        self.memory = self.memory.saturating_sub(bytes);
        if let Some(state) = self.lanes.get_mut(&lane) {
            state.memory = state.memory.saturating_sub(bytes);
        }
        self.forget_if_idle(lane);
    }

    /// Bytes in flight, or received and not written.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    /// The window of a road as it is now, and what is in flight there.
    pub(super) fn window(&self, road: Road) -> Option<(u64, u64)> {
        self.lines.get(&road).map(|line| (line.window.size(), line.window.in_flight()))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.parts.is_empty() && self.memory == 0
    }
}
