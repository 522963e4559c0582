//! What the engine makes of the server's answers about what was missed.

use std::time::Duration;

use crate::tl::api::enums::updates::{ChannelDifference, Difference, State};
use crate::tl::api::enums::{self, Update};
use crate::tl::api::types;

use super::engine::{CHANNEL_LIMIT, Engine, Request, UpdateEvent};
use super::place::{Place, place};

/// An answer after which asking again would bring the same answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server says that there is more, but goes on from the same place (pts {pts})")]
pub struct NoProgress {
    /// Where it stays.
    pub pts: i32,
}

impl Engine {
    /// The answer to [`Request::State`].
    pub fn handle_state(&mut self, now: Duration, state: State) {
        let State::State(state) = state;
        if let Some(from) = self.lost_at.take() {
            self.events.push_back(UpdateEvent::Missed { channel: None, from: Some(from), to: Some(state.pts) });
        }
        self.known = true;
        self.set_account(&state);
        self.account.answered(now, false);
        self.resume(now);
    }

    /// The answer to [`Request::Difference`].
    ///
    /// # Errors
    /// [`NoProgress`]. What the answer held is told all the same, and the question counts as failed.
    pub fn handle_difference(&mut self, now: Duration, difference: Difference) -> Result<(), NoProgress> {
        let before = (self.state.pts, self.state.qts, self.state.date);
        let more = match difference {
            Difference::Empty(empty) => {
                (self.state.date, self.state.seq) = (empty.date, empty.seq);
                self.changes += 1;
                false
            }
            Difference::Difference(all) => {
                let all = *all;
                self.tell_peers(all.users, all.chats);
                self.tell_missed(now, all.new_messages, all.new_encrypted_messages, all.other_updates);
                let State::State(state) = all.state;
                self.set_account(&state);
                false
            }
            Difference::Slice(slice) => {
                let slice = *slice;
                self.tell_peers(slice.users, slice.chats);
                self.tell_missed(now, slice.new_messages, slice.new_encrypted_messages, slice.other_updates);
                let State::State(state) = slice.intermediate_state;
                self.set_account(&state);
                true
            }
            Difference::TooLong(too_long) => {
                let (from, to) = (Some(self.state.pts), Some(too_long.pts));
                self.events.push_back(UpdateEvent::Missed { channel: None, from, to });
                self.state.pts = too_long.pts;
                self.changes += 1;
                true
            }
        };
        if more && before == (self.state.pts, self.state.qts, self.state.date) {
            let (pts, qts, date) = before;
            self.handle_failure(now, Request::Difference { pts, qts, date });
            return Err(NoProgress { pts });
        }
        self.account.answered(now, more);
        if !more {
            self.resume(now);
        }
        Ok(())
    }

    /// The answer to [`Request::Channel`] about this channel.
    ///
    /// # Errors
    /// [`NoProgress`], as for the account.
    pub fn handle_channel_difference(
        &mut self,
        now: Duration,
        id: i64,
        difference: ChannelDifference,
    ) -> Result<(), NoProgress> {
        let local = self.state.channels.get(&id).copied();
        let (pts, is_final) = match difference {
            ChannelDifference::Empty(empty) => (empty.pts, empty.r#final),
            ChannelDifference::Difference(all) => {
                let all = *all;
                self.tell_peers(all.users, all.chats);
                for message in all.new_messages {
                    self.tell(types::UpdateNewChannelMessage { message, pts: 0, pts_count: 0 }.into());
                }
                for update in all.other_updates {
                    match place(&update) {
                        // What is of this channel is part of the answer, and needs no counting.
                        Place::Channel { id: of, .. } if of == id => self.tell(update),
                        _ => self.apply(now, update),
                    }
                }
                (all.pts, all.r#final)
            }
            ChannelDifference::TooLong(too_long) => {
                let too_long = *too_long;
                // Its newest messages come with it, but which of them we have told already cannot be known.
                self.tell_peers(too_long.users, too_long.chats);
                let pts = match too_long.dialog {
                    enums::Dialog::Dialog(dialog) => dialog.pts,
                    enums::Dialog::Folder(_) | enums::Dialog::Community(_) => None,
                };
                self.events.push_back(UpdateEvent::Missed { channel: Some(id), from: local, to: pts });
                let Some(pts) = pts else {
                    // Without a counter there is nothing to go on from.
                    self.state.channels.remove(&id);
                    self.channels.remove(&id);
                    self.changes += 1;
                    return Ok(());
                };
                (pts, true)
            }
        };
        self.state.channels.insert(id, pts);
        self.changes += 1;
        if !is_final && local == Some(pts) {
            self.handle_failure(now, Request::Channel { id, pts, limit: CHANNEL_LIMIT });
            return Err(NoProgress { pts });
        }
        if let Some(counter) = self.channels.get_mut(&id) {
            counter.answered(now, !is_final);
        }
        self.retry_channel(now, id);
        Ok(())
    }

    fn set_account(&mut self, state: &types::updates::State) {
        (self.state.pts, self.state.qts, self.state.seq, self.state.date) = (state.pts, state.qts, state.seq, state.date);
        self.changes += 1;
    }

    fn tell_missed(
        &mut self,
        now: Duration,
        messages: Vec<enums::Message>,
        secret: Vec<enums::EncryptedMessage>,
        updates: Vec<Update>,
    ) {
        for message in messages {
            self.tell(types::UpdateNewMessage { message, pts: 0, pts_count: 0 }.into());
        }
        for message in secret {
            self.tell(types::UpdateNewEncryptedMessage { message, qts: 0 }.into());
        }
        for update in updates {
            match place(&update) {
                // The state that comes with the answer covers them.
                Place::None | Place::Account { .. } | Place::Secret { .. } => self.tell(update),
                Place::Channel { .. } | Place::ChannelTooLong { .. } => self.apply(now, update),
            }
        }
    }
}
