//! Which parts of a file are done: a bitmap with a length.

/// The set of finished parts of a transfer, by index from 0.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PartSet {
    len: u32,
    bits: Vec<u8>,
}

impl PartSet {
    /// The most parts a set can have: far more than any file has, and a bound on what a damaged store makes us allocate.
    pub const MAX_LEN: u32 = 1 << 20;

    /// No part of `len` done. `len` is capped at [`Self::MAX_LEN`].
    pub fn new(len: u32) -> Self {
        let len = len.min(Self::MAX_LEN);
        Self { len, bits: vec![0; len.div_ceil(8) as usize] }
    }

    /// How many parts there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no parts at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are done.
    pub fn done(&self) -> u32 {
        self.bits.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether all are done.
    pub fn is_complete(&self) -> bool {
        self.done() == self.len
    }

    /// Whether part `index` is done; `false` beyond the end.
    pub fn contains(&self, index: u32) -> bool {
        index < self.len && self.bits.get((index / 8) as usize).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }

    /// Marks part `index` as done. Says whether it is news; nothing happens beyond the end.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len || self.contains(index) {
            return false;
        }
        if let Some(byte) = self.bits.get_mut((index / 8) as usize) {
            *byte |= 1 << (index % 8);
        }
        true
    }

    /// Marks part `index` as not done: it has to be transferred again.
    pub fn remove(&mut self, index: u32) {
        if let Some(byte) = self.bits.get_mut((index / 8) as usize) {
            *byte &= !(1 << (index % 8));
        }
    }

    /// The parts still to do, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|index| !self.contains(*index))
    }

    /// As stored: the length as four bytes, little endian, then the bits, the first part in the lowest bit.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.bits.len());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.bits);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` if the length does not fit or a bit beyond it is set.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (len, bits) = bytes.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        if len > Self::MAX_LEN || bits.len() != len.div_ceil(8) as usize {
            return None;
        }
        let spare = len.next_multiple_of(8) - len;
        let last = bits.last().copied().unwrap_or(0);
        if spare > 0 && last >> (8 - spare) != 0 {
            return None;
        }
        Some(Self { len, bits: bits.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_and_missing_ones_listed() {
        let mut parts = PartSet::new(11);
        assert_eq!((parts.len(), parts.done(), parts.is_complete(), parts.is_empty()), (11, 0, false, false));
        assert!(parts.insert(0) && parts.insert(10) && parts.insert(8));
        assert!(!parts.insert(8), "twice");
        assert!(!parts.insert(11), "beyond the end");
        parts.remove(8);
        parts.remove(4000);
        assert_eq!(parts.missing().collect::<Vec<_>>(), vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for index in 0..11 {
            parts.insert(index);
        }
        assert!(parts.is_complete());
        assert!(PartSet::new(0).is_complete());
    }

    #[test]
    fn every_length_survives_storage_and_no_prefix_does() {
        for len in 0..40 {
            let mut parts = PartSet::new(len);
            (0..len).step_by(3).for_each(|index| {
                parts.insert(index);
            });
            let bytes = parts.to_bytes();
            assert_eq!(PartSet::from_bytes(&bytes), Some(parts));
            for cut in 0..bytes.len() {
                assert_eq!(PartSet::from_bytes(&bytes[..cut]), None, "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn bits_beyond_the_end_and_giant_lengths_are_refused() {
        assert_eq!(PartSet::from_bytes(&[3, 0, 0, 0, 0b1000]), None);
        assert_eq!(PartSet::from_bytes(&[0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(PartSet::new(u32::MAX).len(), PartSet::MAX_LEN);
    }
}
