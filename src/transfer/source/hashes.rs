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

/// What the server says of one range.
#[derive(Clone, Copy)]
struct Said {
    end: u64,
    /// `None`: that it has no hash for it.
    sha256: Option<[u8; 32]>,
}

/// The hash of one range.
#[derive(Clone, Copy)]
struct Hash {
    end: u64,
    sha256: [u8; 32],
}

/// What is known of the hashes of a file, by where the ranges begin.
#[derive(Default)]
pub(super) struct Hashes {
    known: BTreeMap<u64, Said>,
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
            self.known.insert(offset, Said { end, sha256: Some(sha256) });
        }
    }

    /// Takes over the answer to a question for the hashes from `at` on: if none of them is for the byte there, the server has none for it and
    /// what follows in its block, up to the next one.
    pub(super) fn answer(&mut self, at: u64, hashes: &[enums::FileHash], size: u64) {
        self.add(hashes, size);
        let next = self.known.range(at..).next().map_or(u64::MAX, |(next, _)| *next);
        let end = (at / BLOCK + 1).saturating_mul(BLOCK).min(size).min(next);
        if at < end && self.gap(at, at + 1).is_some() {
            self.known.insert(at, Said { end, sha256: None });
        }
    }

    /// Where the first byte of a range is for which nothing is known; `None` if there is no such byte.
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

    /// Forgets what the server said of any byte of a range.
    pub(super) fn forget(&mut self, asked: Ask) {
        self.known.retain(|at, said| *at >= asked.end() || said.end <= asked.offset);
    }

    /// The hashes of ranges that are wholly in one.
    pub(super) fn within(&self, asked: Ask) -> Expected {
        let (start, end) = (asked.offset, asked.end());
        let known = self.known.range(start..end).filter(|(_, said)| said.end <= end);
        let hashes = known.filter_map(|(offset, said)| said.sha256.map(|sha256| (*offset, Hash { end: said.end, sha256 })));
        Expected { start, hashes: hashes.collect() }
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

    /// Checks what each of the ranges is hashed to.
    fn compare(&self, found: &[[u8; 32]]) -> Checked {
        if found.len() != self.hashes.len() {
            return Checked::Wrong(self.start);
        }
        let mut checked = 0;
        for (found, (offset, hash)) in found.iter().zip(&self.hashes) {
            if !bool::from(found.as_slice().ct_eq(&hash.sha256)) {
                return Checked::Wrong(*offset);
            }
            checked += hash.end.saturating_sub(*offset);
        }
        Checked::Good(checked)
    }

    /// What those ranges of `bytes` are hashed to.
    fn found(&self, bytes: &[u8]) -> Vec<[u8; 32]> {
        hash::sha256_each(&self.ranges(bytes).collect::<Vec<_>>())
    }

    /// Checks `bytes` against every hash.
    pub(super) fn check(&self, bytes: &[u8]) -> Checked {
        self.compare(&self.found(bytes))
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
        let found = self.expected.found(&self.bytes);
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
    fn what_has_no_hash_is_known_as_well() {
        let content = vec![5; 1000];
        let all = Ask { offset: 0, limit: 1000, len: 1000, precise: false };
        let mut hashes = Hashes::default();
        hashes.answer(0, &[told(400, 200, &content[400..600])], 1000);
        assert_eq!(hashes.gap(0, 1000), Some(600), "up to what has one, there is none");
        hashes.answer(600, &[], 1000);
        assert_eq!((hashes.gap(0, 1000), hashes.within(all).check(&content)), (None, Checked::Good(200)));
        // One that comes after all counts, whatever was said before.
        hashes.answer(600, &[told(600, 400, &content[600..])], 1000);
        hashes.answer(0, &[told(0, 400, &content[..400])], 1000);
        assert_eq!(hashes.within(all).check(&content), Checked::Good(1000));
        // Nothing is known behind the end, nor of the next block.
        hashes.answer(1000, &[], 1000);
        assert_eq!(hashes.known.len(), 3);
        let mut hashes = Hashes::default();
        hashes.answer(BLOCK - 5, &[], 3 * BLOCK);
        assert_eq!((hashes.gap(BLOCK - 5, 2 * BLOCK), hashes.gap(0, BLOCK)), (Some(BLOCK), Some(0)));
    }

    #[test]
    fn what_is_forgotten_has_to_be_asked_for_again() {
        let ask = |offset: u64, len: u32| Ask { offset, limit: len, len, precise: false };
        let mut hashes = Hashes::default();
        hashes.add(&[told(0, 400, b""), told(400, 400, b"")], 1000);
        hashes.answer(800, &[], 1000);
        hashes.forget(ask(900, 10));
        assert_eq!((hashes.gap(0, 800), hashes.gap(0, 1000)), (None, Some(800)));
        hashes.forget(ask(399, 1));
        assert_eq!((hashes.gap(0, 400), hashes.gap(400, 800)), (Some(0), None));
        hashes.forget(ask(0, 1000));
        assert!(hashes.known.is_empty());
    }

    #[test]
    fn hashes_that_nobody_has_made_do_not_pass() {
        let mut hashes = Hashes::default();
        hashes.add(&[told(0, 5, b"hello")], 5);
        let expected = hashes.within(Ask { offset: 0, limit: 5, len: 5, precise: false });
        assert_eq!(expected.compare(&[sha256(&[b"hello"])]), Checked::Good(5));
        for found in [&[][..], &[sha256(&[b"hello"]), [0; 32]]] {
            assert_eq!(expected.compare(found), Checked::Wrong(0));
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
