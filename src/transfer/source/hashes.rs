//! The hashes that the server gives for ranges of a file, and the check of what came against them.

use std::collections::BTreeMap;

use bytes::Bytes;
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

    /// Forgets those of a range.
    pub(super) fn forget(&mut self, asked: Ask) {
        self.known.retain(|at, _| !(asked.offset..asked.end()).contains(at));
    }

    /// The hashes of ranges that are wholly in one.
    pub(super) fn within(&self, asked: Ask) -> Expected {
        let (start, end) = (asked.offset, asked.end());
        let known = self.known.range(start..end).filter(|(_, hash)| hash.end <= end);
        Expected { start, hashes: known.map(|(offset, hash)| (*offset, *hash)).collect() }
    }
}

/// What the bytes of a range are to be hashed to.
pub(super) struct Expected {
    start: u64,
    /// By where what they cover begins.
    hashes: Vec<(u64, Hash)>,
}

impl Expected {
    /// The ranges of `bytes` that have a hash.
    fn ranges<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let within = |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.hashes.iter().map(move |(offset, hash)| bytes.get(within(*offset)..within(hash.end)).unwrap_or_default())
    }

    /// Checks what the ranges are hashed to.
    fn compare(&self, found: &[[u8; 32]]) -> Checked {
        let mut checked = 0;
        for (found, (offset, hash)) in found.iter().zip(&self.hashes) {
            if !bool::from(found.as_slice().ct_eq(&hash.sha256)) {
                return Checked::Wrong(*offset);
            }
            checked += hash.end.saturating_sub(*offset);
        }
        Checked::Good(checked)
    }

    /// Checks `bytes` against every hash.
    pub(super) fn check(&self, bytes: &[u8]) -> Checked {
        self.compare(&hash::sha256_each(&self.ranges(bytes).collect::<Vec<_>>()))
    }
}

/// A range that has come, and is to be believed only after it was checked.
pub(super) struct Unchecked {
    pub(super) bytes: Bytes,
    pub(super) asked: Ask,
    pub(super) expected: Expected,
    /// Whether every byte has to have a hash.
    pub(super) wholly: bool,
}

impl Unchecked {
    /// The bytes, and how many of them have a hash. Takes a millisecond for a MiB.
    ///
    /// # Errors
    ///
    /// [`TransferError::PartLength`], [`TransferError::HashMismatch`], [`TransferError::CdnHashMissing`].
    pub(super) fn check(self) -> Result<(Bytes, u64), TransferError> {
        let Self { bytes, expected, .. } = &self;
        let found = hash::sha256_each(&expected.ranges(bytes).collect::<Vec<_>>());
        self.compare(&found)
    }

    /// The same for each, hashed side by side.
    pub(super) fn check_all(all: Vec<Self>) -> Vec<Result<(Bytes, u64), TransferError>> {
        let ranges: Vec<&[u8]> = all.iter().flat_map(|one| one.expected.ranges(&one.bytes)).collect();
        let found = hash::sha256_each(&ranges);
        let mut found = &found[..];
        let each = all.into_iter().map(|one| {
            let (own, others) = found.split_at(one.expected.hashes.len().min(found.len()));
            found = others;
            one.compare(own)
        });
        each.collect()
    }

    fn compare(self, found: &[[u8; 32]]) -> Result<(Bytes, u64), TransferError> {
        let Self { bytes, asked: Ask { offset, len, .. }, expected, wholly } = self;
        if bytes.len() != len as usize {
            return Err(TransferError::PartLength { offset, expected: len, got: bytes.len() });
        }
        match expected.compare(found) {
            Checked::Good(checked) if wholly && checked != u64::from(len) => Err(TransferError::CdnHashMissing { offset }),
            Checked::Good(checked) => Ok((bytes, checked)),
            Checked::Wrong(offset) => Err(TransferError::HashMismatch { offset }),
        }
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
        let check = |hashes: &Hashes, offset: u64, bytes: &[u8]| {
            let len = u32::try_from(bytes.len()).unwrap();
            hashes.within(Ask { offset, limit: len, len, precise: false }).check(bytes)
        };
        assert_eq!(check(&hashes, 0, &content), Checked::Good(800));
        // The last one ends where the file ends, whatever it says.
        hashes.add(&[told(800, 400, &content[800..])], 1000);
        assert_eq!((hashes.gap(0, 1000), check(&hashes, 0, &content)), (None, Checked::Good(1000)));
        assert_eq!(check(&hashes, 400, &content[400..700]), Checked::Good(0), "half a range has no hash");
        for at in [0, 399, 400, 799, 800, 999] {
            let mut wrong = content.clone();
            wrong[at] ^= 1;
            assert_eq!(check(&hashes, 0, &wrong), Checked::Wrong(at as u64 / 400 * 400));
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
