//! How much is read ahead: a few parts for each request, and a limit for all of them together.
//!
//! Each request may always have one part in memory, so that slow clients cannot keep others waiting; every further one comes out of a
//! common pool, which is never waited for. So the most that is held is one part a connection, and the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pool of all requests.
#[derive(Clone)]
pub(super) struct Budget {
    pool: Arc<Semaphore>,
    per_request: usize,
}

impl Budget {
    /// `per_request`: the most parts of one request; `pool`: the most beyond the first, over all requests.
    pub(super) fn new(per_request: usize, pool: usize) -> Self {
        Self { pool: Arc::new(Semaphore::new(pool)), per_request: per_request.max(1) }
    }

    /// The share of one request.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), held: Arc::default() }
    }
}

#[derive(Default)]
struct Held {
    parts: AtomicUsize,
    /// Whether the part that every request may have is in use.
    own: AtomicBool,
    waker: AtomicWaker,
}

/// What one request has in memory.
pub(super) struct Share {
    budget: Budget,
    held: Arc<Held>,
}

impl Share {
    /// Room for one more part, if there is any.
    pub(super) fn room(&self) -> Option<Room> {
        if self.held.parts.load(Ordering::Acquire) >= self.budget.per_request {
            return None;
        }
        let permit = match self.held.own.swap(true, Ordering::AcqRel) {
            false => None,
            true => Some(Arc::clone(&self.budget.pool).try_acquire_owned().ok()?),
        };
        self.held.parts.fetch_add(1, Ordering::AcqRel);
        Some(Room { held: Arc::clone(&self.held), permit })
    }

    /// Who is to be woken when a part of this request has left the memory.
    pub(super) fn register(&self, waker: &Waker) {
        self.held.waker.register(waker);
    }
}

/// Room for one part. It is given back when this is dropped.
pub(super) struct Room {
    held: Arc<Held>,
    /// Of the pool; without one it is the request's own.
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// The part, which takes its room until the last slice of it is dropped: until the socket has it.
    pub(super) fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Occupied { bytes, _room: self })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        match self.permit.take() {
            Some(permit) => drop(permit),
            None => self.held.own.store(false, Ordering::Release),
        }
        self.held.parts.fetch_sub(1, Ordering::AcqRel);
        self.held.waker.wake();
    }
}

struct Occupied {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Occupied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_gets_one_part_however_many_others_there_are() {
        let budget = Budget::new(3, 2);
        let (a, b, c) = (budget.share(), budget.share(), budget.share());
        let mut held: Vec<Room> = (0..3).map(|_| a.room().unwrap()).collect();
        assert!(a.room().is_none(), "its own limit");
        let first = b.room().unwrap();
        assert!(b.room().is_none(), "the pool is empty");
        assert!(c.room().is_some());
        held.pop();
        let bytes = b.room().expect("there is room in the pool again").hold(Bytes::from_static(b"abc"));
        let slice = bytes.slice(1..2);
        drop(bytes);
        assert!(b.room().is_none(), "a slice keeps the part");
        drop(slice);
        assert!(b.room().is_some());
        drop(first);
    }
}
