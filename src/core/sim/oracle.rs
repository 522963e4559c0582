//! The oracle: it is told what was asked, executed, answered and delivered, and says which promise that breaks.
//!
//! What the session promises, and so what is held against it:
//!
//! * **Requests** end exactly once: with the answer that belongs to them, with an error that the host gave to them, or with a typed
//!   failure. All of them end within a bounded time once nothing goes wrong any more.
//! * **Execution**: the host gets a request once. It may get it again only after it has lost the memory of the session in which it
//!   executed it, or has said about an executed request what is not true (that it never received it): then the protocol itself tells the
//!   client to send it again.
//!   A request that failed with an error that says that it was not executed
//!   ([`Failure::may_have_been_executed`]) was not, and will not be.
//! * **Order**: a request that was made to come after others is not executed before each of those was done or has ended.
//! * **Updates** are delivered at most once, always. They are delivered in the order in which they were sent as long as the transport
//!   keeps the order, as TCP does, over any number of connections. After a frame was lost or overtaken inside a connection that went on, or came again from an earlier one,
//!   those sent until then may come late: the session hands on what it gets, and putting it in order is for the floor that knows the
//!   updates' own counters. They are delivered at least once if the session in which they were sent goes on at both ends. One exception:
//!   when the server's clock was set back, its session may say that it gives up an update that it has sent, because the identifier by
//!   which the client would know it again is of the future now. Then the client has to be told, afterwards, of a new session
//!   ([`Event::NewSession`](crate::mtproto::session::Event::NewSession)): that is how its driver learns that it has to fetch something.
//! * **Memory** stays within what the limits allow.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;

use super::{
    body::{self, Asked, Update},
    report::{Figures, Outcome, Violation},
};
use crate::mtproto::{rpc_error::RpcError, session::Failure};

/// How a request ended, as the client's driver saw it.
#[derive(Clone, Debug)]
pub(super) enum End {
    Answered(Result<Bytes, RpcError>),
    Failed(Failure),
    Backlog,
    KeyLost,
}

struct Request {
    body: Bytes,
    /// It was made when nothing could go wrong.
    in_peace: bool,
    ended: bool,
    cancelled: bool,
    /// The server's sessions in which it was executed.
    executed: Vec<u64>,
    /// The server has said of it what is not true.
    lied_about: bool,
    /// Errors that the host has given to it.
    errors: Vec<i32>,
    /// It has failed with an error that says that it was not executed.
    denied: Option<Failure>,
    /// Requests of the same client that are to be done before.
    after: Vec<u64>,
    /// The host has done it.
    done: bool,
}

struct Sent {
    slot: u64,
    /// Frames lost or overtaken until it was sent.
    tampered: u64,
    delivered: bool,
    loss: Loss,
}

/// Whether an update may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    No,
    /// The server's session has given it up, as it may.
    GivenUp,
    /// The client was told of a new session since.
    Told,
}

/// The updates of one client.
#[derive(Default)]
struct Feed {
    sent: BTreeMap<u64, Sent>,
    highest: u64,
    /// Frames to the client that were lost or overtaken in a connection that went on.
    tampered: u64,
}

pub(super) struct Oracle {
    requests: BTreeMap<Asked, Request>,
    open: BTreeSet<Asked>,
    feeds: Vec<Feed>,
    /// Sessions of the server's that it has forgotten.
    forgotten: BTreeSet<u64>,
    /// The server's clock was set back at some time.
    set_back: bool,
    pub(super) violations: Vec<Violation>,
}

impl Oracle {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            requests: BTreeMap::new(),
            open: BTreeSet::new(),
            feeds: (0..clients).map(|_| Feed::default()).collect(),
            forgotten: BTreeSet::new(),
            set_back: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn blame(&mut self, violation: Violation) {
        // One broken promise may be noticed at every step from then on.
        if self.violations.len() < 20 {
            self.violations.push(violation);
        }
    }

    /// A request is made. `in_peace`: nothing is wrong, so it has to succeed.
    pub(super) fn asked(&mut self, asked: Asked, body: Bytes, in_peace: bool) {
        let request = Request {
            body,
            in_peace,
            ended: false,
            cancelled: false,
            executed: Vec::new(),
            lied_about: false,
            errors: Vec::new(),
            denied: None,
            after: Vec::new(),
            done: false,
        };
        self.requests.insert(asked, request);
        self.open.insert(asked);
    }

    pub(super) fn body_of(&self, asked: Asked) -> Option<Bytes> {
        self.requests.get(&asked).map(|request| request.body.clone())
    }

    /// A request is to be done after others.
    pub(super) fn ordered(&mut self, asked: Asked, after: Vec<u64>) {
        if let Some(request) = self.requests.get_mut(&asked) {
            request.after = after;
        }
    }

    /// The host has done a request, well or not.
    pub(super) fn done(&mut self, asked: Asked) {
        if let Some(request) = self.requests.get_mut(&asked) {
            request.done = true;
        }
    }

    pub(super) fn cancelled(&mut self, asked: Asked) {
        if let Some(request) = self.requests.get_mut(&asked) {
            request.cancelled = true;
        }
    }

    /// The host has begun to work on a request.
    pub(super) fn executed(&mut self, asked: Asked, body: &Bytes, slot: u64) {
        let Some(request) = self.requests.get_mut(&asked).filter(|request| request.body == *body) else {
            return self.blame(Violation::ExecutedUnasked);
        };
        request.executed.push(slot);
        let (_, before) = request.executed.split_last().unwrap_or((&0, &[]));
        let remembered = before.iter().any(|slot| !self.forgotten.contains(slot));
        let times = request.executed.len();
        let (lied_about, denied) = (request.lied_about, request.denied);
        if let Some(failure) = denied.filter(|_| !lied_about) {
            let error = failure.to_string();
            self.blame(Violation::ExecutedAfterAll { client: asked.client, number: asked.number, error });
        }
        let Asked { client, number } = asked;
        let after = self.requests.get(&asked).map(|request| request.after.clone()).unwrap_or_default();
        for before in after {
            let earlier = self.requests.get(&Asked { client, number: before });
            if earlier.is_some_and(|earlier| !earlier.done && !earlier.ended) {
                self.blame(Violation::OutOfTurn { client, number, before });
            }
        }
        if remembered && !lied_about {
            self.blame(Violation::ExecutedAgain { client: asked.client, number: asked.number, times });
        }
    }

    /// Whether the host has ever worked on a request.
    pub(super) fn was_executed(&self, asked: Asked) -> bool {
        self.requests.get(&asked).is_some_and(|request| !request.executed.is_empty())
    }

    /// The host answers a request with an error.
    pub(super) fn gave_error(&mut self, asked: Asked, code: i32) {
        if let Some(request) = self.requests.get_mut(&asked) {
            request.errors.push(code);
        }
    }

    /// The server says of everything that a client has not had answered that it does not know it.
    pub(super) fn lied_to(&mut self, client: usize) {
        for asked in &self.open {
            if asked.client == client
                && let Some(request) = self.requests.get_mut(asked)
            {
                request.lied_about = true;
            }
        }
    }

    /// The server has lost the memory of a session.
    pub(super) fn forgot(&mut self, slot: u64) {
        self.forgotten.insert(slot);
    }

    /// A client's driver was told that a request has ended.
    pub(super) fn ended(&mut self, asked: Asked, end: &End, figures: &mut Figures) {
        let (client, number) = (asked.client, asked.number);
        let Some(request) = self.requests.get_mut(&asked) else {
            return self.blame(Violation::WrongAnswer { client, number });
        };
        if std::mem::replace(&mut request.ended, true) {
            return self.blame(Violation::EndedTwice { client, number });
        }
        self.open.remove(&asked);
        let outcome = match end {
            End::Answered(Ok(_)) => Outcome::Answered,
            End::Answered(Err(_)) => Outcome::RpcError,
            End::Failed(failure) => Outcome::from(*failure),
            End::Backlog => Outcome::Backlog,
            End::KeyLost => Outcome::KeyLost,
        };
        *figures.outcomes.entry(outcome).or_default() += 1;
        if let End::Failed(failure) = end
            && !failure.may_have_been_executed()
        {
            request.denied = Some(*failure);
            if !request.executed.is_empty() && !request.lied_about {
                let error = failure.to_string();
                return self.blame(Violation::ExecutedAfterAll { client, number, error });
            }
        }
        let error = match end {
            End::Answered(Ok(answer)) => {
                if request.executed.is_empty() || *answer != body::answer(&request.body) {
                    self.blame(Violation::WrongAnswer { client, number });
                }
                return;
            }
            End::Answered(Err(error)) if !request.errors.contains(&error.code) => {
                let error = error.to_string();
                return self.blame(Violation::WrongError { client, number, error });
            }
            End::Failed(Failure::Cancelled) if !request.cancelled => {
                let error = Failure::Cancelled.to_string();
                return self.blame(Violation::WrongError { client, number, error });
            }
            // Asked for.
            End::Answered(Err(_)) | End::Failed(Failure::Cancelled) => return,
            End::Failed(failure) => failure.to_string(),
            // That is no failure in a burst, but one when nothing else is pending.
            End::Backlog if self.open.iter().any(|open| open.client == client) => return,
            End::Backlog => "too many are pending".to_owned(),
            End::KeyLost => "the key is lost".to_owned(),
        };
        if request.in_peace {
            self.blame(Violation::FailedInPeace { client, number, error });
        }
    }

    /// Whether a request has ended.
    pub(super) fn has_ended(&self, asked: Asked) -> bool {
        self.requests.get(&asked).is_some_and(|request| request.ended)
    }

    /// Requests that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// A frame to a client was lost, or has overtaken another, in a connection that goes on; or one of earlier has come again.
    pub(super) fn tampered(&mut self, client: usize) {
        if let Some(feed) = self.feeds.get_mut(client) {
            feed.tampered += 1;
        }
    }

    /// The host has sent an update.
    pub(super) fn pushed(&mut self, update: Asked, slot: u64) {
        if let Some(feed) = self.feeds.get_mut(update.client) {
            let tampered = feed.tampered;
            feed.sent.insert(update.number, Sent { slot, tampered, delivered: false, loss: Loss::No });
        }
    }

    /// The server's clock is set back.
    pub(super) fn set_back(&mut self) {
        self.set_back = true;
    }

    /// The server's session gives an update up. Nothing but a clock that was set back is a reason.
    pub(super) fn given_up(&mut self, update: Asked) {
        if self.set_back
            && let Some(sent) = self.feeds.get_mut(update.client).and_then(|feed| feed.sent.get_mut(&update.number))
        {
            sent.loss = Loss::GivenUp;
        }
    }

    /// A client's driver was told of a new session.
    pub(super) fn told_of_new_session(&mut self, client: usize) {
        let Some(feed) = self.feeds.get_mut(client) else { return };
        for sent in feed.sent.values_mut().filter(|sent| sent.loss == Loss::GivenUp) {
            sent.loss = Loss::Told;
        }
    }

    /// A client's driver was given an update. Returns whether it was one of the host's.
    pub(super) fn delivered(&mut self, client: usize, body: &[u8]) -> bool {
        let unknown = Violation::UpdateUnknown { client };
        let number = match body::read_update(body) {
            Update::Forged => return false,
            Update::Numbered(update) if update.client == client => update.number,
            Update::Numbered(_) | Update::Unknown => {
                self.blame(unknown);
                return false;
            }
        };
        let Some(feed) = self.feeds.get_mut(client) else { return false };
        let Some(sent) = feed.sent.get_mut(&number) else {
            self.blame(unknown);
            return false;
        };
        if std::mem::replace(&mut sent.delivered, true) {
            self.blame(Violation::UpdateTwice { client, number });
            return true;
        }
        let (after, excused) = (feed.highest, feed.tampered > sent.tampered);
        feed.highest = feed.highest.max(number);
        if number < after && !excused {
            self.blame(Violation::UpdateOutOfOrder { client, number, after });
        }
        true
    }

    /// Something has a size.
    pub(super) fn measured(&mut self, what: &'static str, found: usize, limit: usize) {
        if found > limit {
            self.blame(Violation::Grown { what, found, limit });
        }
    }

    /// Everything has been well for long. `lives` says of a session of the server's whether both ends still have it.
    pub(super) fn finish(&mut self, lives: impl Fn(u64) -> bool) {
        for Asked { client, number } in std::mem::take(&mut self.open) {
            self.blame(Violation::NeverEnded { client, number });
        }
        let mut lost = Vec::new();
        for (client, feed) in self.feeds.iter().enumerate() {
            let missing = feed.sent.iter().filter(|(_, sent)| {
                // Given up is not enough: the client has to know.
                !sent.delivered && sent.loss != Loss::Told && lives(sent.slot)
            });
            lost.extend(missing.map(|(number, _)| Violation::UpdateLost { client, number: *number }));
        }
        lost.into_iter().for_each(|violation| self.blame(violation));
    }
}

/// How long a world may take to end what is pending once nothing goes wrong any more.
///
/// A dead connection is noticed by a ping: a minute, and a quarter of one. A server's reminder takes a minute; a silent request is asked
/// about after a quarter of one, and after a whole one if it is known to have arrived. Each may need the one before it.
pub(super) const SETTLE: Duration = Duration::from_secs(600);
