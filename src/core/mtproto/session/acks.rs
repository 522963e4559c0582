//! Acknowledgements that we owe the peer.
//!
//! They ride along with whatever is sent next; a frame of their own they get only when they have waited long or are many. See "Service
//! Messages about Messages", Acknowledgment of Receipt.

use std::collections::VecDeque;

use crate::ids::MsgId;

/// The most identifiers that one service message may carry.
pub(super) const MAX_IDS: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Acks {
    owed: VecDeque<MsgId>,
}

impl Acks {
    /// Owes one more.
    pub(super) fn push(&mut self, msg_id: MsgId) {
        if self.owed.back() != Some(&msg_id) {
            self.owed.push_back(msg_id);
        }
    }

    /// Something else acknowledges the message: the answer to a request does.
    pub(super) fn settle(&mut self, msg_id: MsgId) {
        // The newest are the likeliest to be answered.
        if let Some(at) = self.owed.iter().rposition(|owed| *owed == msg_id) {
            self.owed.remove(at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.owed.len()
    }

    /// Takes what goes into one message, at most so many.
    pub(super) fn take(&mut self, most: usize) -> impl ExactSizeIterator<Item = MsgId> {
        let count = self.owed.len().min(most).min(MAX_IDS);
        self.owed.drain(..count)
    }

    pub(super) fn clear(&mut self) {
        self.owed.clear();
    }
}
