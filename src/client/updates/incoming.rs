//! Updates as they come in, for a listener that keeps its own state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::client::shared::Shared;

/// Updates that wait for a slow listener; beyond that they are dropped, and the listener is told of the gap.
pub(in crate::client) const UPDATES: usize = 1024;

/// What a listener takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateItem {
    /// A serialized `Updates` object, in the layer of the generated types.
    Update(Bytes),
    /// Updates may have been missed: the server began a new session, or the listener was too slow. Ask for the difference
    /// ("Working with Updates").
    Gap,
}

/// The receiving end. There is one per client.
pub struct Updates {
    pub(in crate::client) items: mpsc::Receiver<UpdateItem>,
    pub(in crate::client) gap: Arc<AtomicBool>,
}

impl Updates {
    /// Waits for the next item. `None` when the client is gone.
    pub async fn next(&mut self) -> Option<UpdateItem> {
        if self.items.is_empty() && self.gap.swap(false, Ordering::AcqRel) {
            return Some(UpdateItem::Gap);
        }
        self.items.recv().await
    }

    /// Drops what has come in and was not taken.
    pub fn clear(&mut self) {
        self.gap.store(false, Ordering::Release);
        while self.items.try_recv().is_ok() {}
    }
}

impl Shared {
    /// Never waits: a connection must not stall because a listener does.
    pub(in crate::client) fn offer(&self, item: UpdateItem) {
        if self.updates.try_send(item).is_err() {
            self.gap.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::client::interpreter::Interpreter;
    use crate::client::{LayerPlan, MemoryPersistence};
    use crate::ids::DcId;
    use crate::net::Clock;

    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_of_the_gap_after_what_was_kept() {
        let (sender, items) = mpsc::channel(2);
        let store = Arc::new(MemoryPersistence::new());
        let interpreter = Interpreter::new(LayerPlan::COMPILED).unwrap();
        let shared = Shared::new(store, Clock::starting_at(Duration::ZERO), DcId(2), None, sender, interpreter);
        let mut updates = Updates { items, gap: Arc::clone(&shared.gap) };
        let update = |n: u8| UpdateItem::Update(Bytes::copy_from_slice(&[n; 4]));
        for n in 0..5 {
            shared.offer(update(n));
        }
        assert_eq!(updates.next().await, Some(update(0)));
        assert_eq!(updates.next().await, Some(update(1)));
        assert_eq!(updates.next().await, Some(UpdateItem::Gap));
        shared.offer(update(9));
        assert_eq!(updates.next().await, Some(update(9)));
        for n in 0..5 {
            shared.offer(update(n));
        }
        updates.clear();
        shared.offer(update(10));
        assert_eq!(updates.next().await, Some(update(10)));
        drop(shared);
        assert_eq!(updates.next().await, None);
    }
}
