//! Whose turn it is: requests over HTTP that wait for an answer, of one session, over all its connections.
//!
//! A session has one outbox. What is in it goes to the request that has waited longest, when the time has come that the client asked for
//! ("Service Messages", HTTP Wait/Long Poll):
//!
//! ```text
//! with messages     wait_after behind the latest, but no later than max_delay behind the first
//! in any case       max_wait behind the request
//! ```
//!
//! A client that says nothing about this may not ask again before it has its answer. It is not put off with a service message while one
//! of its calls runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use tdl_core::mtproto::session::HttpWait;
use tdl_core::trace::ConnId;

/// The longest that a request is held back, whatever the client says.
const LONGEST: Duration = Duration::from_secs(60);

/// Names one request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// A session's connections over HTTP, and the requests on them that wait.
#[derive(Default)]
pub(crate) struct Turns {
    conns: Vec<(ConnId, Arc<Notify>)>,
    /// In the order in which they came.
    waiting: VecDeque<Waiting>,
    asked: u64,
    outbox: usize,
    /// Calls of the session that run.
    running: usize,
    /// When the outbox ceased to be empty, and when the latest message came into it.
    filled: Option<(Duration, Duration)>,
}

#[derive(Debug)]
struct Waiting {
    turn: Turn,
    conn: ConnId,
    since: Duration,
    wait: HttpWait,
    /// The client has said how long to wait.
    said: bool,
}

impl Turns {
    /// A connection over which a request of the session came.
    pub(super) fn attach(&mut self, conn: ConnId, notify: &Arc<Notify>) {
        if !self.is_attached(conn) {
            self.conns.push((conn, Arc::clone(notify)));
        }
    }

    /// One of the connections.
    pub(super) fn conn(&self) -> Option<ConnId> {
        self.conns.first().map(|known| known.0)
    }

    pub(super) fn is_attached(&self, conn: ConnId) -> bool {
        self.conns.iter().any(|known| known.0 == conn)
    }

    /// The connection is gone. Whether any is left.
    pub(super) fn detach(&mut self, conn: ConnId) -> bool {
        self.conns.retain(|known| known.0 != conn);
        self.waiting.retain(|waiting| waiting.conn != conn);
        // Whoever is the oldest now may be due.
        self.wake();
        !self.conns.is_empty()
    }

    /// Wakes the tasks that may have something to answer.
    pub(super) fn wake(&self) {
        for (conn, notify) in &self.conns {
            if self.waiting.iter().any(|waiting| waiting.conn == *conn) {
                notify.notify_one();
            }
        }
    }

    /// A request came.
    pub(super) fn ask(&mut self, mono: Duration, conn: ConnId, wait: Option<HttpWait>) -> Turn {
        self.asked += 1;
        let turn = Turn(self.asked);
        let said = wait.is_some();
        let wait = wait.unwrap_or_default();
        let wait = HttpWait { max_wait: wait.max_wait.min(LONGEST), ..wait };
        self.waiting.push_back(Waiting { turn, conn, since: mono, wait, said });
        turn
    }

    /// A request is answered.
    pub(super) fn answered(&mut self, turn: Turn) {
        self.waiting.retain(|waiting| waiting.turn != turn);
        self.wake();
    }

    /// So many messages wait to be sent now, and so many calls run.
    pub(super) fn observe(&mut self, mono: Duration, outbox: usize, running: usize) {
        self.running = running;
        if outbox == 0 {
            self.filled = None;
        } else if self.filled.is_none() || outbox > self.outbox {
            let first = self.filled.map_or(mono, |(first, _)| first);
            self.filled = Some((first, mono));
        }
        self.outbox = outbox;
    }

    /// When a request is to be answered, as things stand. One that is not known: at once.
    pub(super) fn due(&self, turn: Turn) -> Duration {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.turn == turn) else { return Duration::ZERO };
        let waiting = &self.waiting[at];
        let end = waiting.since.saturating_add(waiting.wait.max_wait);
        match self.filled {
            Some((first, latest)) if at == 0 && (waiting.said || self.running == 0) => {
                let settled = latest.saturating_add(waiting.wait.wait_after);
                end.min(settled.min(first.saturating_add(waiting.wait.max_delay)))
            }
            _ => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn wait(max_delay: u64, wait_after: u64, max_wait: u64) -> Option<HttpWait> {
        Some(HttpWait { max_delay: ms(max_delay), wait_after: ms(wait_after), max_wait: ms(max_wait) })
    }

    fn turns() -> Turns {
        let mut turns = Turns::default();
        turns.attach(A, &Arc::default());
        turns.attach(B, &Arc::default());
        turns
    }

    #[test]
    fn without_a_message_the_longest_wait_counts() {
        let mut turns = turns();
        let turn = turns.ask(ms(100), A, wait(30, 10, 5000));
        turns.observe(ms(200), 0, 0);
        assert_eq!(turns.due(turn), ms(5100));
        let greedy = turns.ask(ms(100), A, wait(0, 0, 10_000_000));
        assert_eq!(turns.due(greedy), ms(100) + LONGEST);
        let hasty = turns.ask(ms(100), B, Some(HttpWait::NONE));
        assert_eq!(turns.due(hasty), ms(100));
    }

    #[test]
    fn messages_are_waited_for_as_long_as_more_of_them_come() {
        let mut turns = turns();
        let turn = turns.ask(ms(0), A, wait(30, 10, 5000));
        turns.observe(ms(100), 1, 0);
        assert_eq!(turns.due(turn), ms(110));
        turns.observe(ms(108), 1, 0);
        assert_eq!(turns.due(turn), ms(110), "the same one");
        turns.observe(ms(108), 2, 0);
        assert_eq!(turns.due(turn), ms(118));
        turns.observe(ms(117), 3, 0);
        turns.observe(ms(126), 4, 0);
        assert_eq!(turns.due(turn), ms(130), "no longer than max_delay behind the first");
    }

    #[test]
    fn the_longest_wait_beats_the_others() {
        let mut turns = turns();
        let turn = turns.ask(ms(0), A, wait(1000, 1000, 50));
        turns.observe(ms(40), 1, 0);
        assert_eq!(turns.due(turn), ms(50));
    }

    #[test]
    fn by_default_a_message_is_sent_at_once() {
        let mut turns = turns();
        let turn = turns.ask(ms(0), A, None);
        assert_eq!(turns.due(turn), ms(25_000));
        turns.observe(ms(700), 1, 0);
        assert_eq!(turns.due(turn), ms(700));
    }

    #[test]
    fn who_says_nothing_gets_the_answers_to_its_calls() {
        let mut turns = turns();
        let turn = turns.ask(ms(0), A, None);
        turns.observe(ms(1), 1, 2);
        turns.observe(ms(5), 2, 1);
        assert_eq!(turns.due(turn), ms(25_000));
        turns.observe(ms(9), 3, 0);
        assert!(turns.due(turn) <= ms(9), "at once: the first message has waited long enough");
        // Who says it knows what it does.
        let said = turns.ask(ms(20), B, wait(0, 0, 1000));
        turns.answered(turn);
        turns.observe(ms(21), 4, 1);
        assert!(turns.due(said) <= ms(21));
    }

    #[test]
    fn what_there_is_goes_to_the_oldest_on_whichever_connection() {
        let mut turns = turns();
        let first = turns.ask(ms(0), A, wait(0, 0, 1000));
        let second = turns.ask(ms(1), B, wait(0, 0, 1000));
        turns.observe(ms(5), 1, 0);
        assert_eq!((turns.due(first), turns.due(second)), (ms(5), ms(1001)));
        turns.answered(first);
        turns.observe(ms(6), 0, 0);
        assert_eq!(turns.due(second), ms(1001));
        turns.observe(ms(7), 1, 0);
        assert_eq!(turns.due(second), ms(7));
    }

    #[test]
    fn a_connection_that_is_gone_waits_no_more() {
        let mut turns = turns();
        let first = turns.ask(ms(0), A, wait(0, 0, 1000));
        let second = turns.ask(ms(0), B, wait(0, 0, 1000));
        turns.observe(ms(5), 1, 0);
        assert!(turns.detach(A));
        assert_eq!((turns.due(first), turns.due(second)), (Duration::ZERO, ms(5)));
        assert!(!turns.detach(B));
    }
}
