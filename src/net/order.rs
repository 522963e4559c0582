//! Requests that the server is to do one after the other.
//!
//! Each has a [`Place`] behind another one, taken before it is made. It goes to the connection only when that one has: so on one connection
//! they can be under way together, and the server is told which comes after which (`invokeAfterMsg`). Where the one before went over
//! another connection, no server could know, and its end is waited for.

use tokio::sync::watch;

/// The last place of an order so far.
#[derive(Debug, Default)]
pub struct Order {
    last: Before,
}

/// Where a request stands in an order. Dropped when the request has ended or was given up: then the next one is free.
#[derive(Debug)]
pub struct Place {
    before: Before,
    here: watch::Sender<State>,
    ended: bool,
}

/// The place before, if there is one.
type Before = Option<watch::Receiver<State>>;

/// What became of a place.
#[derive(Clone, Debug)]
enum State {
    /// Its request was not given to any connection yet.
    Open,
    /// It was, lately to this one.
    Sent(Sent),
    /// The request was given up: whoever stands behind it stands behind this one.
    GivenUp(Before),
}

/// A request as it was given to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The connection's number.
    pub(super) link: u64,
    /// The request's name there.
    pub(super) token: u64,
}

impl Order {
    /// The place behind all others.
    pub fn join(&mut self) -> Place {
        let (here, told) = watch::channel(State::Open);
        Place { before: self.last.replace(told), here, ended: false }
    }
}

impl Place {
    /// Waits until the request before may be followed on this connection. Its name there, if the server is to be told; it may have ended.
    pub(super) async fn behind(&self, link: u64) -> Option<u64> {
        let mut before = self.before.clone()?;
        loop {
            let state = before.borrow_and_update().clone();
            match state {
                State::Sent(sent) if sent.link == link => return Some(sent.token),
                State::GivenUp(further) => {
                    before = further?;
                    continue;
                }
                State::Open | State::Sent(_) => {}
            }
            // It has ended.
            if before.changed().await.is_err() {
                return None;
            }
        }
    }

    /// The request was given to a connection, for the first time or again.
    pub(super) fn sent(&self, sent: Sent) {
        self.here.send_replace(State::Sent(sent));
    }

    /// The request has ended, however it ended. Without this word it counts as given up.
    pub fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut before = self.before.take();
        // Those that were given up earlier are passed over at once, so that no chain of them grows.
        while let Some(earlier) = &before {
            let State::GivenUp(further) = earlier.borrow().clone() else { break };
            before = further;
        }
        self.here.send_replace(State::GivenUp(before));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_next_one_follows_on_the_same_connection_and_waits_for_the_end_on_another() {
        let mut order = Order::default();
        let (first, second, third) = (order.join(), order.join(), order.join());
        assert_eq!(first.behind(1).now_or_never(), Some(None), "nobody is before it");
        assert_eq!(second.behind(1).now_or_never(), None, "not before the first was given to a connection");
        first.sent(Sent { link: 1, token: 7 });
        assert_eq!(second.behind(1).now_or_never(), Some(Some(7)));
        assert_eq!(second.behind(2).now_or_never(), None);
        first.sent(Sent { link: 1, token: 8 });
        assert_eq!(second.behind(1).now_or_never(), Some(Some(8)), "it was repeated under another name");
        first.end();
        assert_eq!(second.behind(2).now_or_never(), Some(None));
        second.end();
        assert_eq!(third.behind(1).now_or_never(), Some(None));
    }

    #[test]
    fn behind_one_that_is_given_up_stands_who_stood_before_it() {
        let mut order = Order::default();
        let first = order.join();
        let between: Vec<Place> = (0..100_000).map(|_| order.join()).collect();
        let last = order.join();
        drop(between);
        assert_eq!(last.behind(1).now_or_never(), None, "the first is still to come");
        first.sent(Sent { link: 1, token: 7 });
        assert_eq!(last.behind(1).now_or_never(), Some(Some(7)));
        drop(first);
        assert_eq!(last.behind(1).now_or_never(), Some(None), "nobody is left");
        assert_eq!(order.join().behind(1).now_or_never(), None);
        drop(last);
        assert_eq!(order.join().behind(1).now_or_never(), Some(None));
    }
}
