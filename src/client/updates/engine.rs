//! The state machine that puts updates in order.
//!
//! It has no clock and no socket. To drive it: give it what came ([`Engine::handle_updates`], [`Engine::handle_gap`]); ask what
//! [`Engine::poll_request`] wants asked, and bring the answer ([`Engine::handle_state`], [`Engine::handle_difference`],
//! [`Engine::handle_channel_difference`], or [`Engine::handle_failure`]); call [`Engine::handle_timeout`] when the moment that
//! [`Engine::poll_timeout`] names has come; take what is in order by [`Engine::poll_event`]. Once all events are taken and dealt with,
//! [`Engine::state`] is what a later run has to begin with. Clock readings are monotonic, and may be of any beginning.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::tl::api::enums::{self, Update, Updates};
use crate::tl::api::types;

use super::counter::{Counter, Fit, GAP_PATIENCE, MAX_HELD, Phase, fit};
use super::long::{long_chat_form, long_form};
use super::place::place;
use super::state::UpdateState;

/// Silence after which the server is asked whether there is really nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(15 * 60);
/// Messages of one channel difference.
pub(super) const CHANNEL_LIMIT: i32 = 100;

/// A question that the engine wants asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `updates.getState`: where the account stands now.
    State,
    /// `updates.getDifference` from here on.
    Difference {
        /// The account's counter.
        pts: i32,
        /// The counter of secret chats.
        qts: i32,
        /// Server Unix time.
        date: i32,
    },
    /// `updates.getChannelDifference` from here on.
    Channel {
        /// The channel's bare id.
        id: i64,
        /// Its counter.
        pts: i32,
        /// Messages wanted at most.
        limit: i32,
    },
}

/// What comes out, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateEvent {
    /// Users and chats that the updates behind it mention.
    Peers {
        /// The users.
        users: Vec<enums::User>,
        /// Groups and channels.
        chats: Vec<enums::Chat>,
    },
    /// An update. One that was asked for later, rather than pushed, may have a `pts` and `pts_count` of 0: new messages are told without.
    Update(Update),
    /// Something happened that the server does not tell any more: it is too long ago, or too much.
    Missed {
        /// In which channel; in none in particular if not given.
        channel: Option<i64>,
        /// The counter up to which everything has been told, if it was known.
        from: Option<i32>,
        /// The counter from which on everything will be told, if it is known.
        to: Option<i32>,
    },
}

/// The stretch of `seq` that an envelope takes; 0 stands for none.
fn envelope_numbers(updates: &Updates) -> Option<(i32, i32)> {
    match updates {
        Updates::Updates(all) => Some((all.seq, all.seq)),
        Updates::Combined(all) => Some((all.seq_start, all.seq)),
        _ => None,
    }
}

/// Puts the updates of one account in order. See the module's head.
#[derive(Debug)]
pub struct Engine {
    pub(super) state: UpdateState,
    /// Whether `state` means anything.
    pub(super) known: bool,
    /// What to report once the account's state is known: the counter at which it was lost.
    pub(super) lost_at: Option<i32>,
    /// The account's own user id, who wrote what went out.
    own: i64,
    pub(super) account: Counter,
    pub(super) channels: BTreeMap<i64, Counter>,
    /// Envelopes beyond a gap in `seq`.
    pub(super) ahead: Vec<Updates>,
    /// Envelopes that came while the server was being asked.
    parked: VecDeque<Updates>,
    pub(super) events: VecDeque<UpdateEvent>,
    /// Raised by whatever changes the state.
    pub(super) changes: u64,
    heard_at: Duration,
}

impl Engine {
    /// An engine that goes on from `state`, or that begins with whatever happens from now on. `own` is the account's user id.
    pub fn new(now: Duration, own: i64, state: Option<UpdateState>) -> Self {
        Self {
            known: state.is_some(),
            state: state.unwrap_or_default(),
            lost_at: None,
            own,
            account: Counter::new(Phase::Wanted { not_before: now }),
            channels: BTreeMap::new(),
            ahead: Vec::new(),
            parked: VecDeque::new(),
            events: VecDeque::new(),
            changes: 0,
            heard_at: now,
        }
    }

    /// What a later run has to begin with, once all events have been taken. Not before the first answer, unless there was one to begin with.
    pub fn state(&self) -> Option<&UpdateState> {
        self.known.then_some(&self.state)
    }

    /// A number that grows whenever the state changes.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether everything that the server knew when it was last asked has been told, and nothing is missing as far as we know.
    pub fn is_caught_up(&self) -> bool {
        let settled = |counter: &Counter| counter.phase == Phase::Following && counter.held.is_empty();
        self.known && settled(&self.account) && self.channels.values().all(settled) && self.ahead.is_empty()
    }

    /// What to ask the server, if anything.
    pub fn poll_request(&mut self, now: Duration) -> Option<Request> {
        if self.account.take(now) {
            let UpdateState { pts, qts, date, .. } = self.state;
            return Some(if self.known { Request::Difference { pts, qts, date } } else { Request::State });
        }
        let id = self.channels.iter_mut().find_map(|(id, counter)| counter.take(now).then_some(*id))?;
        // A counter that is followed is in the state.
        let pts = self.state.channels.get(&id).copied().unwrap_or(1);
        Some(Request::Channel { id, pts, limit: CHANNEL_LIMIT })
    }

    /// When [`Engine::handle_timeout`], or [`Engine::poll_request`], has something to do without anything coming in.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let silence = matches!(self.account.phase, Phase::Following).then(|| self.heard_at.saturating_add(SILENCE));
        self.account.due().into_iter().chain(silence).chain(self.channels.values().filter_map(Counter::due)).min()
    }

    /// Looks at the clock: gaps that have not closed, and silence.
    pub fn handle_timeout(&mut self, now: Duration) {
        if now >= self.heard_at.saturating_add(SILENCE) {
            self.heard_at = now;
            self.account.want(now);
        }
        for counter in std::iter::once(&mut self.account).chain(self.channels.values_mut()) {
            if counter.gap.is_some_and(|at| at <= now) {
                counter.want(now);
            }
        }
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<UpdateEvent> {
        self.events.pop_front()
    }

    /// Updates may have been missed: the server began a new session, the connection was lost, something came that could not be read.
    pub fn handle_gap(&mut self, now: Duration) {
        self.account.want(now);
    }

    /// A question could not be answered: it is asked again after a pause.
    pub fn handle_failure(&mut self, now: Duration, request: Request) {
        match request {
            Request::State | Request::Difference { .. } => self.account.failed(now),
            Request::Channel { id, .. } => {
                if let Some(counter) = self.channels.get_mut(&id) {
                    counter.failed(now);
                }
            }
        }
    }

    /// The server does not accept our counters (`PERSISTENT_TIMESTAMP_INVALID`): begins anew, and reports that something may be missing.
    pub fn handle_state_refused(&mut self, now: Duration) {
        self.lost_at = Some(self.state.pts);
        self.known = false;
        self.account.answered(now, true);
    }

    /// A channel cannot be asked about: we are no member any more, or never learnt how to address it.
    pub fn handle_channel_refused(&mut self, id: i64) {
        self.channels.remove(&id);
        if let Some(from) = self.state.channels.remove(&id) {
            self.changes += 1;
            self.events.push_back(UpdateEvent::Missed { channel: Some(id), from: Some(from), to: None });
        }
    }

    /// Something was pushed. `is_known` says whether a user or basic group can be shown: the short forms name people without describing
    /// them, and where that does not do the server is asked for the long form.
    pub fn handle_updates(&mut self, now: Duration, updates: Updates, is_known: &dyn Fn(&enums::Peer) -> bool) {
        self.heard_at = now;
        if self.account.phase != Phase::Following {
            self.park(updates);
            return;
        }
        self.take_in(now, updates, is_known);
    }

    fn park(&mut self, updates: Updates) {
        if self.parked.len() >= MAX_HELD {
            // What they say will be asked for.
            self.parked.clear();
            if let Phase::Asked { again } = &mut self.account.phase {
                *again = true;
            }
        }
        self.parked.push_back(updates);
    }

    /// Goes on with what had to wait, now that the account is followed again.
    pub(super) fn resume(&mut self, now: Duration) {
        self.retry_held(now);
        // What was described meanwhile is known; if not, asking once more would not help.
        for updates in std::mem::take(&mut self.ahead).into_iter().chain(std::mem::take(&mut self.parked)) {
            if self.account.phase == Phase::Following {
                self.take_in(now, updates, &|_| true);
            } else {
                self.park(updates);
            }
        }
    }

    fn take_in(&mut self, now: Duration, updates: Updates, is_known: &dyn Fn(&enums::Peer) -> bool) {
        match updates {
            Updates::TooLong => self.account.want(now),
            Updates::UpdateShort(short) => {
                self.apply(now, short.update);
                self.advance_date(short.date);
            }
            Updates::UpdateShortMessage(short) => {
                let peer: enums::Peer = types::PeerUser { user_id: short.user_id }.into();
                if !is_known(&peer) && self.is_news(short.pts, short.pts_count) {
                    return self.account.want(now);
                }
                let date = short.date;
                self.apply(now, long_form(*short, self.own));
                self.advance_date(date);
            }
            Updates::UpdateShortChatMessage(short) => {
                let from: enums::Peer = types::PeerUser { user_id: short.from_id }.into();
                let chat: enums::Peer = types::PeerChat { chat_id: short.chat_id }.into();
                if !(is_known(&from) && is_known(&chat)) && self.is_news(short.pts, short.pts_count) {
                    return self.account.want(now);
                }
                let date = short.date;
                self.apply(now, long_chat_form(*short));
                self.advance_date(date);
            }
            // The answer to a message of our own: it takes its stretch, and who sent it knows what it says.
            Updates::UpdateShortSentMessage(sent) => match fit(self.state.pts, sent.pts, sent.pts_count) {
                Fit::Next => {
                    self.set_pts(sent.pts);
                    self.retry_held(now);
                }
                Fit::Known => {}
                Fit::Beyond => self.account.want(now),
            },
            all @ (Updates::Updates(_) | Updates::Combined(_)) => {
                self.envelope(now, all);
                self.open_ahead(now);
            }
        }
    }

    /// An envelope that may have numbers.
    fn envelope(&mut self, now: Duration, updates: Updates) {
        let (first, last) = envelope_numbers(&updates).unwrap_or_default();
        if first != 0 {
            if first <= self.state.seq {
                return;
            }
            // Nothing to compare with: the server counts, and we have not heard any number from it.
            if self.state.seq != 0 && i64::from(first) > i64::from(self.state.seq) + 1 {
                if self.ahead.len() >= MAX_HELD {
                    self.ahead.clear();
                    self.account.want(now);
                }
                self.ahead.push(updates);
                self.account.gap.get_or_insert(now.saturating_add(GAP_PATIENCE));
                return;
            }
        }
        let (mut list, users, chats, date) = match updates {
            Updates::Updates(all) => (all.updates, all.users, all.chats, all.date),
            Updates::Combined(all) => (all.updates, all.users, all.chats, all.date),
            _ => return,
        };
        self.tell_peers(users, chats);
        list.sort_by_key(|update| place(update).order());
        for update in list {
            self.apply(now, update);
        }
        if last != 0 {
            self.state.seq = last;
            self.changes += 1;
        }
        self.advance_date(date);
    }

    /// Takes in the envelopes that waited for one that has come.
    fn open_ahead(&mut self, now: Duration) {
        let is_next =
            |seq: i32, u: &Updates| envelope_numbers(u).is_some_and(|(first, _)| i64::from(first) <= i64::from(seq) + 1);
        while let Some(at) = self.ahead.iter().position(|u| is_next(self.state.seq, u)) {
            let updates = self.ahead.swap_remove(at);
            self.envelope(now, updates);
        }
        self.close_gap();
    }

    /// Stops the clock of the account's gap if nothing is behind it.
    fn close_gap(&mut self) {
        if self.account.held.is_empty() && self.ahead.is_empty() {
            self.account.gap = None;
        }
    }

    fn is_news(&self, pts: i32, count: i32) -> bool {
        !matches!(fit(self.state.pts, pts, count), Fit::Known)
    }

    pub(super) fn tell_peers(&mut self, users: Vec<enums::User>, chats: Vec<enums::Chat>) {
        if !users.is_empty() || !chats.is_empty() {
            self.events.push_back(UpdateEvent::Peers { users, chats });
        }
    }

    pub(super) fn tell(&mut self, update: Update) {
        self.events.push_back(UpdateEvent::Update(update));
    }

    pub(super) fn set_pts(&mut self, pts: i32) {
        self.state.pts = pts;
        self.changes += 1;
    }

    fn advance_date(&mut self, date: i32) {
        if date > self.state.date {
            self.state.date = date;
            self.changes += 1;
        }
    }
}
