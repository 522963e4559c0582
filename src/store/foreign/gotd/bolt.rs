//! Reading a file of bbolt, the key-value store that the Go tool keeps its namespaces in, and writing a small one.
//!
//! A file consists of pages of one size. The first two hold the same facts, of which the newer whole one counts: where the tree of buckets
//! begins. A page of a tree is a branch (keys and pages) or a leaf (keys and values); a value may be a bucket, with a tree of its own or with
//! its only page inside. All numbers are little-endian: the file is a picture of memory, and machines of the other kind are rare.

use std::collections::{BTreeMap, HashSet};

use zeroize::Zeroizing;

use super::super::Error;

/// The number in front of the facts, and the version behind it.
const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;
/// The head of a page, and of the entries of trees.
const HEAD: usize = 16;
const ELEMENT: usize = 16;
/// The facts, checksum included.
const META: usize = 64;
/// Kinds of pages.
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const META_PAGE: u16 = 4;
const FREE_LIST: u16 = 0x10;
/// The flag of an entry that is a bucket.
const BUCKET: u32 = 1;
/// Sizes of pages.
const SIZES: std::ops::RangeInclusive<u32> = 10..=24;
/// The size that is written.
const PAGE: usize = 4096;

/// One entry of a tree.
enum Entry<'a> {
    Value(&'a [u8]),
    Bucket(&'a [u8]),
}

/// A file whose facts are whole.
pub(super) struct Bolt<'a> {
    bytes: &'a [u8],
    page_size: usize,
    root: u64,
}

/// As much of a file as [`is_bolt`] has to see.
pub(super) const HEAD_OF_FILE: u64 = 16_384 + 32;

/// Whether a file begins as one of bbolt does: with the facts, or, where those are damaged, with the second ones after a page of a usual size.
pub(super) fn is_bolt(bytes: &[u8]) -> bool {
    [0, 4096, 16_384].into_iter().any(|at| number32(bytes, at + HEAD) == Some(MAGIC))
}

/// The values of a bucket, by their keys.
pub(super) type Bucket = BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>;

impl<'a> Bolt<'a> {
    /// Finds the newer of the facts that are whole.
    ///
    /// # Errors
    ///
    /// [`Error::BoltFacts`] where none is.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let first = Self::facts(bytes, 0);
        // Where the first are damaged, the size of a page has to be guessed to find the second.
        let second = match &first {
            Some((_, bolt)) => Self::facts(bytes, bolt.page_size),
            None => {
                SIZES.map(|shift| 1_usize << shift).find_map(|at| Self::facts(bytes, at).filter(|(_, b)| b.page_size == at))
            }
        };
        match (first, second) {
            (Some(first), Some(second)) => Ok(if second.0 > first.0 { second.1 } else { first.1 }),
            (Some((_, bolt)), None) | (None, Some((_, bolt))) => Ok(bolt),
            (None, None) => Err(Error::BoltFacts),
        }
    }

    /// The facts in the page that begins at a byte, and the number of the transaction that wrote them.
    fn facts(bytes: &'a [u8], at: usize) -> Option<(u64, Self)> {
        let meta = bytes.get(at.checked_add(HEAD)?..)?.get(..META)?;
        let page_size = number32(meta, 8)?;
        let whole = number32(meta, 0)? == MAGIC
            && number32(meta, 4)? == VERSION
            && SIZES.contains(&page_size.checked_ilog2()?)
            && page_size.is_power_of_two()
            && number64(meta, META - 8)? == fnv(&meta[..META - 8]);
        let page_size = usize::try_from(page_size).ok()?;
        whole.then_some((number64(meta, 48)?, Self { bytes, page_size, root: number64(meta, 16)? }))
    }

    /// All buckets with their values; buckets inside buckets are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::BoltPage`], [`Error::BoltLoop`].
    pub(super) fn buckets(&self) -> Result<BTreeMap<Vec<u8>, Bucket>, Error> {
        let mut seen = HashSet::new();
        let mut buckets = BTreeMap::new();
        for (name, entry) in self.tree(self.root, &mut seen)? {
            let Entry::Bucket(head) = entry else { continue };
            let root = number64(head, 0).ok_or(Error::BoltPage { page: self.root })?;
            // A bucket whose tree is one small page has it right behind its head.
            let entries = match root {
                0 => Self::leaf(head.get(HEAD..).unwrap_or_default(), 0)?,
                root => self.tree(root, &mut seen)?,
            };
            let values = entries.into_iter().filter_map(|(key, entry)| match entry {
                Entry::Value(value) => Some((key.to_vec(), Zeroizing::new(value.to_vec()))),
                Entry::Bucket(_) => None,
            });
            buckets.insert(name.to_vec(), values.collect());
        }
        Ok(buckets)
    }

    /// All entries of the tree that begins at a page. A page that comes twice is a loop: nothing in a file is shared.
    fn tree(&self, root: u64, seen: &mut HashSet<u64>) -> Result<Vec<(&'a [u8], Entry<'a>)>, Error> {
        let mut entries = Vec::new();
        let mut ahead = vec![root];
        while let Some(page) = ahead.pop() {
            if !seen.insert(page) {
                return Err(Error::BoltLoop { page });
            }
            let content = self.page(page)?;
            match kind(content) {
                Some(LEAF) => entries.extend(Self::leaf(content, page)?),
                Some(BRANCH) => {
                    for index in 0..count(content) {
                        let child = number64(content, HEAD + index * ELEMENT + 8).ok_or(Error::BoltPage { page })?;
                        ahead.push(child);
                    }
                }
                _ => return Err(Error::BoltPage { page }),
            }
        }
        Ok(entries)
    }

    /// The bytes of a page and of what it overflows into.
    fn page(&self, page: u64) -> Result<&'a [u8], Error> {
        let find = || {
            let start = usize::try_from(page).ok()?.checked_mul(self.page_size)?;
            let rest = self.bytes.get(start..)?;
            let pages = usize::try_from(number32(rest, 12)?).ok()?.checked_add(1)?;
            (number64(rest, 0)? == page).then_some(())?;
            rest.get(..pages.checked_mul(self.page_size)?)
        };
        find().ok_or(Error::BoltPage { page })
    }

    fn leaf(content: &'a [u8], page: u64) -> Result<Vec<(&'a [u8], Entry<'a>)>, Error> {
        let entry = |index: usize| {
            let at = HEAD + index * ELEMENT;
            let number = |offset: usize| usize::try_from(number32(content, at + offset)?).ok();
            let (flags, start) = (number32(content, at)?, at.checked_add(number(4)?)?);
            let (key, value) = content.get(start..)?.split_at_checked(number(8)?)?;
            let value = value.get(..number(12)?)?;
            Some((key, if flags & BUCKET == 0 { Entry::Value(value) } else { Entry::Bucket(value) }))
        };
        if kind(content) != Some(LEAF) {
            return Err(Error::BoltPage { page });
        }
        (0..count(content)).map(|index| entry(index).ok_or(Error::BoltPage { page })).collect()
    }
}

fn kind(page: &[u8]) -> Option<u16> {
    page.get(8..10).map(|b| u16::from_le_bytes([b[0], b[1]]))
}

fn count(page: &[u8]) -> usize {
    page.get(10..12).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]).into())
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// FNV-1a of 64 bits, the checksum of the facts.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A file with one bucket, as bbolt makes it: the facts twice, a list of free pages, the bucket's leaf, and the leaf that names the bucket.
pub(super) fn write(bucket: &[u8], values: &BTreeMap<&[u8], &[u8]>) -> Zeroizing<Vec<u8>> {
    const LIST: u64 = 2;
    const ROOT: u64 = 3;
    const VALUES: u64 = 4;
    let head = [VALUES.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    let root = leaf(ROOT, &[(bucket, &head, BUCKET)]);
    let entries: Vec<_> = values.iter().map(|(key, value)| (*key, *value, 0)).collect();
    let values = leaf(VALUES, &entries);
    let pages = VALUES + (values.len() / PAGE) as u64;
    let mut out = Zeroizing::new(Vec::with_capacity(3 * PAGE + root.len() + values.len()));
    for transaction in 0..2_u64 {
        let mut meta = Vec::new();
        for number in [MAGIC, VERSION, small(PAGE), 0] {
            meta.extend_from_slice(&number.to_le_bytes());
        }
        for number in [ROOT, 0, LIST, pages, transaction] {
            meta.extend_from_slice(&number.to_le_bytes());
        }
        meta.extend_from_slice(&fnv(&meta).to_le_bytes());
        put_page(&mut out, page_head(transaction, META_PAGE, 0, 0), &meta);
    }
    put_page(&mut out, page_head(LIST, FREE_LIST, 0, 0), &[]);
    out.extend_from_slice(&root);
    out.extend_from_slice(&values);
    out
}

fn page_head(page: u64, kind: u16, count: usize, overflow: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&page.to_le_bytes());
    head[8..10].copy_from_slice(&kind.to_le_bytes());
    head[10..12].copy_from_slice(&u16::try_from(count).expect("few entries are written").to_le_bytes());
    head[12..].copy_from_slice(&small(overflow).to_le_bytes());
    head
}

fn put_page(out: &mut Vec<u8>, head: [u8; HEAD], content: &[u8]) {
    let end = (out.len() + HEAD + content.len()).next_multiple_of(PAGE);
    out.extend_from_slice(&head);
    out.extend_from_slice(content);
    out.resize(end, 0);
}

fn leaf(page: u64, entries: &[(&[u8], &[u8], u32)]) -> Zeroizing<Vec<u8>> {
    let size = HEAD + entries.iter().map(|(key, value, _)| ELEMENT + key.len() + value.len()).sum::<usize>();
    let mut heads = Vec::new();
    let mut data = Zeroizing::new(Vec::with_capacity(size));
    for (index, (key, value, flags)) in entries.iter().enumerate() {
        // Counted from the entry's own head.
        let at = (entries.len() - index) * ELEMENT + data.len();
        for number in [*flags, small(at), small(key.len()), small(value.len())] {
            heads.extend_from_slice(&number.to_le_bytes());
        }
        data.extend_from_slice(key);
        data.extend_from_slice(value);
    }
    let mut out = Zeroizing::new(Vec::with_capacity(size.next_multiple_of(PAGE)));
    out.extend_from_slice(&page_head(page, LEAF, entries.len(), size.div_ceil(PAGE) - 1));
    out.extend_from_slice(&heads);
    out.extend_from_slice(&data);
    out.resize(size.next_multiple_of(PAGE), 0);
    out
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("what is written here is some kilobytes long")
}

#[cfg(test)]
#[path = "bolt_tests.rs"]
mod tests;
