//! The hashes that the server gives for ranges of a file, and the check of what came against them.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq as _;

use super::range::{Ask, BLOCK};
use crate::crypto::hash;
use crate::tl::api::enums;
use crate::transfer::TransferError;

/// The most that are kept: for a file of the largest size that there is, and a bound on what a server makes us keep.
const MAX: usize = 1 << 16;

/// The hash of one range.
#[derive(Clone, Copy)]
struct Hash {
    end: u64,
    sha256: [u8; 32],
}

/// What is known of the hashes of a file, by where the ranges begin.
#[derive(Default)]
pub(super) struct Hashes {
    known: BTreeMap<u64, Hash>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// So many bytes have the hash that they should have; the others have none.
    Good(u64),
    /// The range that begins here has another hash.
    Wrong(u64),
}

impl Hashes {
    /// Takes over what the server says about a file of `size` bytes. What is no hash is not kept: empty or endless ranges, or another
    /// length than that of SHA-256.
    pub(super) fn add(&mut self, hashes: &[enums::FileHash], size: u64) {
        for enums::FileHash::Hash(hash) in hashes {
            let (Ok(offset), Ok(limit)) = (u64::try_from(hash.offset), u64::try_from(hash.limit)) else { continue };
            let Ok(sha256) = <[u8; 32]>::try_from(&hash.hash[..]) else { continue };
            let end = offset.saturating_add(limit).min(size);
            if limit > BLOCK || end <= offset || (self.known.len() >= MAX && !self.known.contains_key(&offset)) {
                continue;
            }
            self.known.insert(offset, Hash { end, sha256 });
        }
    }

    /// Where the first byte of a range is that no hash covers; `None` if all of it is covered.
    pub(super) fn gap(&self, start: u64, end: u64) -> Option<u64> {
        let mut at = start;
        while at < end {
            match self.known.range(..=at).next_back() {
                Some((_, hash)) if hash.end > at => at = hash.end,
                _ => return Some(at),
            }
        }
        None
    }

    /// Whether `bytes` may be what was asked for: says how many of them have a hash. If one is wrong, its hashes are forgotten, as nobody
    /// knows whether it is the bytes or the hash: both have to be asked for again.
    ///
    /// # Errors
    ///
    /// [`TransferError::PartLength`], [`TransferError::HashMismatch`].
    pub(super) fn judge(&mut self, asked: Ask, bytes: &[u8]) -> Result<u64, TransferError> {
        if bytes.len() != asked.len as usize {
            return Err(TransferError::PartLength { offset: asked.offset, expected: asked.len, got: bytes.len() });
        }
        match self.check(asked.offset, bytes) {
            Checked::Good(checked) => Ok(checked),
            Checked::Wrong(offset) => {
                let end = asked.offset.saturating_add(u64::from(asked.len));
                self.known.retain(|at, _| !(asked.offset..end).contains(at));
                Err(TransferError::HashMismatch { offset })
            }
        }
    }

    /// Checks `bytes`, which begin at `start`, against every hash of a range that is wholly in them.
    pub(super) fn check(&self, start: u64, bytes: &[u8]) -> Checked {
        let end = start.saturating_add(bytes.len() as u64);
        let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
        let (mut ranges, mut wanted) = (Vec::new(), Vec::new());
        for (offset, hash) in self.known.range(start..end).filter(|(_, hash)| hash.end <= end) {
            ranges.push(bytes.get(within(*offset)..within(hash.end)).unwrap_or_default());
            wanted.push((*offset, hash.sha256));
        }
        for (found, (offset, sha256)) in hash::sha256_each(&ranges).iter().zip(wanted) {
            if !bool::from(found.as_slice().ct_eq(&sha256)) {
                return Checked::Wrong(offset);
            }
        }
        Checked::Good(ranges.iter().map(|range| range.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash::sha256;
    use crate::tl::api::types;

    fn told(offset: i64, limit: i32, of: &[u8]) -> enums::FileHash {
        types::FileHash { offset, limit, hash: sha256(&[of]).to_vec().into() }.into()
    }

    #[test]
    fn bytes_are_checked_against_every_hash_inside_them() {
        let content: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
        let mut hashes = Hashes::default();
        hashes.add(&[told(0, 400, &content[..400]), told(400, 400, &content[400..800])], 1000);
        assert_eq!(hashes.gap(0, 800), None);
        assert_eq!(hashes.gap(0, 1000), Some(800));
        assert_eq!(hashes.check(0, &content), Checked::Good(800));
        // The last one ends where the file ends, whatever it says.
        hashes.add(&[told(800, 400, &content[800..])], 1000);
        assert_eq!((hashes.gap(0, 1000), hashes.check(0, &content)), (None, Checked::Good(1000)));
        assert_eq!(hashes.check(400, &content[400..700]), Checked::Good(0), "half a range has no hash");
        for at in [0, 399, 400, 799, 800, 999] {
            let mut wrong = content.clone();
            wrong[at] ^= 1;
            assert_eq!(hashes.check(0, &wrong), Checked::Wrong(at as u64 / 400 * 400));
        }
    }

    #[test]
    fn what_is_no_hash_is_not_kept() {
        let mut hashes = Hashes::default();
        let short = types::FileHash { offset: 0, limit: 5, hash: vec![1; 31].into() }.into();
        for bad in [told(-1, 5, b""), told(0, 0, b""), told(0, -5, b""), told(0, i32::MAX, b""), told(10, 5, b""), short] {
            hashes.add(&[bad], 10);
        }
        assert!(hashes.known.is_empty());
        assert_eq!(hashes.gap(0, 10), Some(0));
    }
}
