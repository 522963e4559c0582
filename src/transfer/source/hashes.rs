//! The hashes that the server gives for ranges of a file, and the check of what came against them.

use std::collections::BTreeMap;

use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use super::range::{Ask, BLOCK};
use crate::crypto::hash;
use crate::tl::api::enums;
use crate::transfer::TransferError;

/// The most hashes that are kept: for a file of the largest size that there is, with room. What has none comes in addition, at most one range
/// for each question and each hash.
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

/// What is known of the hashes of a file.
#[derive(Default)]
pub(super) struct Hashes {
    /// By where the ranges begin. No two of them have a byte in common.
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
    /// length than that of SHA-256; nor is one for bytes that have a hash already, until that is [forgotten](Self::forget).
    pub(super) fn add(&mut self, hashes: &[enums::FileHash], size: u64) {
        for enums::FileHash::Hash(hash) in hashes {
            let (Ok(offset), Ok(limit)) = (u64::try_from(hash.offset), u64::try_from(hash.limit)) else { continue };
            let Ok(sha256) = <[u8; 32]>::try_from(&hash.hash[..]) else { continue };
            let end = offset.saturating_add(limit).min(size);
            // In this order: what is known of more than a block is not looked through for each hash of an answer.
            if limit > BLOCK || offset >= end || self.known.len() >= MAX {
                continue;
            }
            if !self.of(offset, end).any(|(_, said)| said.sha256.is_some()) {
                self.clear(offset, end);
                self.known.insert(offset, Said { end, sha256: Some(sha256) });
            }
        }
    }

    /// What is known of the bytes of a range, backwards.
    fn of(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, Said)> {
        let before_end = self.known.range(..end).rev();
        before_end.map(|(offset, said)| (*offset, *said)).take_while(move |(_, said)| said.end > start)
    }

    /// Takes it back that the server has no hashes for a range.
    fn clear(&mut self, start: u64, end: u64) {
        let none: Vec<_> = self.of(start, end).collect();
        for (offset, said) in none {
            self.known.remove(&offset);
            for (offset, end) in [(offset, start), (end, said.end)] {
                if offset < end {
                    self.known.insert(offset, Said { end, sha256: None });
                }
            }
        }
    }

    /// Takes over the answer to a question for the hashes from `at` on: if none of them is for the byte there, the server has none for it and
    /// what follows in its block, up to the next one.
    pub(super) fn answer(&mut self, at: u64, hashes: &[enums::FileHash], size: u64) {
        self.add(hashes, size);
        if self.gap(at, at + 1).is_some() {
            self.none(at, (at / BLOCK + 1).saturating_mul(BLOCK).min(size));
        }
    }

    /// Nobody asks for more: what nothing is known of in a range has no hash.
    pub(super) fn close(&mut self, asked: Ask) {
        let mut at = asked.offset;
        while let Some(gap) = self.gap(at, asked.end()) {
            self.none(gap, asked.end());
            at = gap;
        }
    }

    /// There is no hash from a byte on of which nothing is known, up to the next of which something is, and at most up to `end`.
    fn none(&mut self, at: u64, end: u64) {
        let next = self.known.range(at..).next().map_or(u64::MAX, |(next, _)| *next);
        let end = end.min(next);
        if at < end {
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
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

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

    /// What is known of one byte, in the simplest way to put it.
    #[derive(Clone, Copy, PartialEq)]
    enum Byte {
        Unknown,
        None,
        Hashed(usize),
    }

    /// Ranges that overlap, are forgotten, are denied and told of again, against a list of bytes.
    #[test]
    fn every_byte_has_one_hash_at_most() {
        const SIZE: usize = 60;
        for seed in 0..300 {
            let mut rng = StdRng::seed_from_u64(seed);
            let content: Vec<u8> = (0..SIZE).map(|_| rng.random()).collect();
            let (mut hashes, mut bytes, mut ranges) = (Hashes::default(), [Byte::Unknown; SIZE], Vec::new());
            for _ in 0..60 {
                let start = rng.random_range(0..SIZE);
                let end = rng.random_range(start + 1..=SIZE.min(start + 20));
                let asked = Ask { offset: start as u64, limit: 0, len: (end - start) as u32, precise: false };
                let is_hashed = |byte: &Byte| matches!(byte, Byte::Hashed(_));
                match rng.random_range(0..8) {
                    0 => {
                        hashes.forget(asked);
                        for n in start..end {
                            let Byte::Hashed(range) = bytes[n] else {
                                continue;
                            };
                            bytes
                                .iter_mut()
                                .filter(|byte| **byte == Byte::Hashed(range))
                                .for_each(|byte| *byte = Byte::Unknown);
                        }
                        // What has none is forgotten with all that is beside it, in as many pieces as it was told in.
                        for (n, byte) in bytes.iter_mut().enumerate().filter(|(_, byte)| **byte == Byte::None) {
                            if hashes.gap(n as u64, n as u64 + 1).is_some() {
                                *byte = Byte::Unknown;
                            } else {
                                assert!(!(start..end).contains(&n), "seed {seed}: {n} was to be forgotten");
                            }
                        }
                    }
                    1 => {
                        hashes.close(asked);
                        bytes[start..end].iter_mut().filter(|byte| **byte == Byte::Unknown).for_each(|byte| *byte = Byte::None);
                    }
                    _ => {
                        hashes.add(&[told(start as i64, (end - start) as i32, &content[start..end])], SIZE as u64);
                        if !bytes[start..end].iter().any(is_hashed) {
                            bytes[start..end].fill(Byte::Hashed(ranges.len()));
                            ranges.push((start, end));
                        }
                    }
                }
                let (from, to) = (rng.random_range(0..SIZE / 2), rng.random_range(SIZE / 2..=SIZE));
                let gap = bytes[from..to].iter().position(|byte| *byte == Byte::Unknown).map(|at| (from + at) as u64);
                assert_eq!(hashes.gap(from as u64, to as u64), gap, "seed {seed}");
                let within = Ask { offset: from as u64, limit: 0, len: (to - from) as u32, precise: false };
                let is_within = |range: &usize| ranges[*range].0 >= from && ranges[*range].1 <= to;
                let checked = bytes.iter().filter(|byte| matches!(byte, Byte::Hashed(range) if is_within(range))).count();
                let good = hashes.within(within).check(&content[from..to]);
                assert_eq!(good, Checked::Good(checked as u64), "seed {seed}");
                let mut known = hashes.known.iter().map(|(offset, said)| (*offset, said.end)).peekable();
                while let Some((offset, end)) = known.next() {
                    assert!(
                        offset < end && known.peek().is_none_or(|(next, _)| *next >= end),
                        "seed {seed}: {offset} to {end}"
                    );
                }
            }
        }
    }

    /// Two for the same bytes do not count as one for each byte.
    #[test]
    fn hashes_that_overlap_are_not_added_up() {
        let content = vec![5; 300];
        let mut hashes = Hashes::default();
        hashes.add(&[told(0, 200, &content[..200]), told(100, 100, &content[100..200]), told(50, 100, &content[50..150])], 300);
        assert_eq!(hashes.gap(0, 300), Some(200));
        hashes.answer(200, &[], 300);
        let asked = Ask { offset: 0, limit: 300, len: 300, precise: false };
        assert_eq!(hashes.within(asked).check(&content), Checked::Good(200));
        let came = Unchecked { bytes: content.into(), asked, expected: hashes.within(asked), wholly: true };
        assert!(matches!(came.check(), Err(TransferError::CdnHashMissing { offset: 0 })));
    }

    /// Whatever a server says, it is not kept without end, and a question has an answer.
    #[test]
    fn what_is_kept_is_bounded() {
        let size = 4 << 20;
        let mut hashes = Hashes::default();
        for at in (0..2 * MAX as i64 + 20).step_by(2) {
            hashes.add(&[told(at, 1, b"")], size);
        }
        assert_eq!(hashes.known.len(), MAX);
        let end = 2 * MAX as u64;
        for at in [1, end, size - 1] {
            hashes.answer(at, &[told(at as i64, 1, b"")], size);
            assert_eq!(hashes.gap(at, at + 1), None);
        }
        assert_eq!(hashes.known.len(), MAX + 3);
        hashes.close(Ask { offset: 0, limit: 1 << 20, len: 1 << 20, precise: true });
        assert_eq!((hashes.gap(0, 1 << 20), hashes.known.len()), (None, 2 * MAX + 2));
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
