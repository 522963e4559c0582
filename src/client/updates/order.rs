//! Updates against their counters: the next one is told, one beyond a gap is held, one that has been here is dropped.

use std::time::Duration;

use crate::tl::api::enums::Update;

use super::counter::{Counter, Fit, GAP_PATIENCE, Phase, fit};
use super::engine::{Engine, UpdateEvent};
use super::place::{Place, place};
use super::state::MAX_CHANNELS;

impl Engine {
    /// Applies an update, or holds it, or drops it.
    pub(super) fn apply(&mut self, now: Duration, update: Update) {
        if self.apply_one(now, update) {
            self.retry_held(now);
        }
    }

    /// Whether it advanced one of the account's counters.
    fn apply_one(&mut self, now: Duration, update: Update) -> bool {
        match place(&update) {
            Place::None => {
                self.tell(update);
                false
            }
            Place::Account { pts, count } => match fit(self.state.pts, pts, count) {
                Fit::Next => {
                    self.tell(update);
                    self.set_pts(pts);
                    true
                }
                Fit::Known => false,
                Fit::Beyond => {
                    self.account.hold(now, update);
                    false
                }
            },
            Place::Secret { qts } => match fit(self.state.qts, qts, 1) {
                Fit::Next => {
                    self.tell(update);
                    self.state.qts = qts;
                    self.changes += 1;
                    true
                }
                Fit::Known => false,
                Fit::Beyond => {
                    self.account.hold(now, update);
                    false
                }
            },
            Place::Channel { id, pts, count } => {
                self.apply_in_channel(now, id, (pts, count), update);
                false
            }
            Place::ChannelTooLong { id, pts } => {
                self.channel_too_long(now, id, pts);
                false
            }
        }
    }

    /// Applies what the account held, in the order of its counters. What is still beyond a gap gets its time anew: something has moved.
    pub(super) fn retry_held(&mut self, now: Duration) {
        self.account.gap = None;
        let mut held = std::mem::take(&mut self.account.held);
        held.sort_by_key(|update| place(update).order());
        for update in held {
            self.apply_one(now, update);
        }
        if !self.ahead.is_empty() && self.account.phase == Phase::Following {
            self.account.gap.get_or_insert(now.saturating_add(GAP_PATIENCE));
        }
    }

    fn apply_in_channel(&mut self, now: Duration, id: i64, (pts, count): (i32, i32), update: Update) {
        let Some(local) = self.state.channels.get(&id).copied() else {
            // The first that we hear of it: we follow it from here. A server that invents channels is not followed into them.
            if self.state.channels.len() < MAX_CHANNELS {
                self.state.channels.insert(id, pts);
                self.changes += 1;
            }
            return self.tell(update);
        };
        let counter = self.channels.entry(id).or_insert_with(|| Counter::new(Phase::Following));
        if counter.phase != Phase::Following {
            return counter.hold(now, update);
        }
        match fit(local, pts, count) {
            Fit::Next => {
                self.tell(update);
                self.state.channels.insert(id, pts);
                self.changes += 1;
                self.retry_channel(now, id);
            }
            Fit::Known => {}
            Fit::Beyond => counter.hold(now, update),
        }
    }

    /// Applies what a channel held.
    pub(super) fn retry_channel(&mut self, now: Duration, id: i64) {
        let Some(counter) = self.channels.get_mut(&id).filter(|counter| counter.phase == Phase::Following) else { return };
        let mut held = std::mem::take(&mut counter.held);
        counter.gap = None;
        held.sort_by_key(|update| place(update).order());
        for update in held {
            let (Place::Channel { pts, count, .. }, Some(local)) = (place(&update), self.state.channels.get(&id).copied())
            else {
                continue;
            };
            match fit(local, pts, count) {
                Fit::Next => {
                    self.tell(update);
                    self.state.channels.insert(id, pts);
                    self.changes += 1;
                }
                Fit::Known => {}
                Fit::Beyond => {
                    if let Some(counter) = self.channels.get_mut(&id) {
                        counter.hold(now, update);
                    }
                }
            }
        }
        // Only channels with something to wait for need an entry.
        if self.channels.get(&id).is_some_and(|c| c.held.is_empty() && c.phase == Phase::Following) {
            self.channels.remove(&id);
        }
    }

    fn channel_too_long(&mut self, now: Duration, id: i64, pts: Option<i32>) {
        match (self.state.channels.get(&id).copied(), pts) {
            (Some(local), Some(pts)) if pts <= local => {}
            (Some(_), _) => self.channels.entry(id).or_insert_with(|| Counter::new(Phase::Following)).want(now),
            // Never followed: from here on it is.
            (None, pts) => {
                if let Some(pts) = pts.filter(|_| self.state.channels.len() < MAX_CHANNELS) {
                    self.state.channels.insert(id, pts);
                    self.changes += 1;
                }
                self.events.push_back(UpdateEvent::Missed { channel: Some(id), from: None, to: pts });
            }
        }
    }
}
