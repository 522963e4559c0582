//! What the cluster remembers until it stops: which files its CDN DC has, and who is in a takeout.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A cluster's memory, shared by all calls.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Files that the CDN DC has, by their documents; the one that was asked for last at the end.
    at_cdn: Mutex<VecDeque<i64>>,
    /// Takeouts by their accounts.
    takeouts: Mutex<HashMap<i64, i64>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, VecDeque<i64>> {
        self.at_cdn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CDN DC has a file from now on; of more than `kept`, those that were not asked for the longest go.
    pub(crate) fn put_at_cdn(&self, document: i64, kept: usize) {
        let mut files = self.lock();
        files.retain(|known| *known != document);
        files.push_back(document);
        while files.len() > kept.max(1) {
            files.pop_front();
        }
    }

    /// Whether the CDN DC has a file, which is asked for by that.
    pub(crate) fn is_at_cdn(&self, document: i64) -> bool {
        let mut files = self.lock();
        let Some(at) = files.iter().position(|known| *known == document) else { return false };
        files.remove(at);
        files.push_back(document);
        true
    }

    /// The CDN DC has a file no more.
    pub(crate) fn forget_at_cdn(&self, document: i64) {
        self.lock().retain(|known| *known != document);
    }

    fn takeouts(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        self.takeouts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account is in this takeout from now on.
    pub(crate) fn begin_takeout(&self, user: i64, id: i64) {
        self.takeouts().insert(user, id);
    }

    /// Whether it is.
    pub(crate) fn has_takeout(&self, user: i64, id: i64) -> bool {
        self.takeouts().get(&user) == Some(&id)
    }

    /// It is in none any more.
    pub(crate) fn end_takeout(&self, user: i64) {
        self.takeouts().remove(&user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_asked_for_the_longest_ago_goes_first() {
        let memory = Memory::default();
        for id in 1..=3 {
            memory.put_at_cdn(id, 3);
        }
        assert!(memory.is_at_cdn(1));
        memory.put_at_cdn(4, 3);
        assert_eq!([1, 2, 3, 4].map(|id| memory.is_at_cdn(id)), [true, false, true, true]);
        memory.forget_at_cdn(3);
        assert!(!memory.is_at_cdn(3));
        memory.put_at_cdn(5, 0);
        assert!(memory.is_at_cdn(5) && !memory.is_at_cdn(4), "one there is always room for");
    }
}
