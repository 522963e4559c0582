//! A map for keys that nearly always rise: a ring, sorted.
//!
//! What is new goes to the end and what is done leaves near the front, so both cost next to nothing, and the ring's memory is used again
//! and again. A tree would allocate and free a node every few entries, on the path of every message.

use std::collections::VecDeque;

#[derive(Clone, Debug)]
pub(super) struct Sorted<K, V> {
    entries: VecDeque<(K, V)>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<K: Ord + Copy, V> Sorted<K, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.position(key).is_ok()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.position(key).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.position(key).ok()?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value in, and returns the one that was there.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.position(&key) {
            Ok(at) => self.entries.get_mut(at).map(|(_, before)| std::mem::replace(before, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.position(key).ok()?;
        self.entries.remove(at).map(|(_, value)| value)
    }

    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        self.entries.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// The entries below a key.
    pub(super) fn below(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        let end = self.position(key).unwrap_or_else(|at| at);
        self.entries.range(..end).map(|(key, value)| (key, value))
    }

    fn position(&self, key: &K) -> Result<usize, usize> {
        match self.entries.back() {
            Some((last, _)) if last >= key => self.entries.binary_search_by_key(key, |(key, _)| *key),
            _ => Err(self.entries.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// A tree is the judge.
    #[test]
    fn it_does_what_a_tree_does() {
        let mut rng = StdRng::from_seed([4; 32]);
        let (mut ring, mut tree) = (Sorted::default(), BTreeMap::new());
        for round in 0..20_000_u32 {
            let key = (rng.next_u32() % 64) as u8;
            match rng.next_u32() % 8 {
                0..3 => assert_eq!(ring.insert(key, round), tree.insert(key, round)),
                3..5 => assert_eq!(ring.remove(&key), tree.remove(&key)),
                5 if round % 16 == 0 => assert_eq!(ring.pop_first(), tree.pop_first()),
                6 => assert_eq!(ring.get_mut(&key).map(|value| *value), tree.get_mut(&key).map(|value| *value)),
                _ => {}
            }
            assert_eq!(ring.get(&key), tree.get(&key));
            assert_eq!(ring.contains_key(&key), tree.contains_key(&key));
            assert_eq!((ring.len(), ring.is_empty()), (tree.len(), tree.is_empty()));
            assert!(ring.iter().eq(tree.iter()) && ring.iter().rev().eq(tree.iter().rev()));
            assert!(ring.values().eq(tree.values()) && ring.below(&key).eq(tree.range(..key)));
        }
        ring.iter_mut().for_each(|(key, value)| *value = u32::from(*key));
        assert!(ring.iter().all(|(key, value)| *value == u32::from(*key)));
        ring.values_mut().for_each(|value| *value = 0);
        assert!(ring.values().all(|value| *value == 0));
        ring.clear();
        assert!(ring.is_empty());
    }
}
