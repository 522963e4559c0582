//! Which ranges may be asked for, and how any range is cut into such.
//!
//! The limits are those of "Uploading and Downloading Files", section "Downloading files".

use std::ops::Range;

/// No request touches two of these blocks.
pub const BLOCK: u64 = 1 << 20;
/// Bytes that one hash covers: what is fetched begins and ends at multiples of it, or at the end of the file.
pub(super) const HASHED: u64 = 128 << 10;

/// A range of one block, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Its first byte.
    pub(super) offset: u64,
    /// How many bytes are asked for. The end of the file may be before their end.
    pub(super) limit: u32,
    /// How many come.
    pub(super) len: u32,
    /// Whether the server has to be told that it is one of the ranges with loose rules.
    pub(super) precise: bool,
}

impl Ask {
    /// Where what comes ends.
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(self.len.into())
    }
}

/// What has to be asked for to get `len` bytes at `offset` of a file of `size` bytes together with all that their hashes cover. `None`
/// unless it is a range of one block.
pub(super) fn ask(offset: u64, len: u32, size: u64) -> Option<Ask> {
    let (start, end) = hashed(offset, len, size)?;
    let limit = (end - start).next_multiple_of(HASHED);
    let plain = limit.is_power_of_two() && start % limit == 0;
    fits(start, limit, end, !plain)
}

/// The same for servers that know only the strict rules: a power of two at a multiple of itself.
pub(super) fn ask_strictly(offset: u64, len: u32, size: u64) -> Option<Ask> {
    let (start, end) = hashed(offset, len, size)?;
    let mut limit = (end - start).next_multiple_of(HASHED).next_power_of_two();
    while limit <= BLOCK {
        let from = start / limit * limit;
        if from + limit >= end {
            return fits(from, limit, (from + limit).min(size), false);
        }
        limit *= 2;
    }
    None
}

/// What the hashes of a range cover.
fn hashed(offset: u64, len: u32, size: u64) -> Option<(u64, u64)> {
    let end = offset.checked_add(u64::from(len))?;
    if len == 0 || end > size || offset / BLOCK != (end - 1) / BLOCK {
        return None;
    }
    Some((offset / HASHED * HASHED, end.next_multiple_of(HASHED).min(size)))
}

fn fits(offset: u64, limit: u64, end: u64, precise: bool) -> Option<Ask> {
    let (limit, len) = (u32::try_from(limit).ok()?, u32::try_from(end.checked_sub(offset)?).ok()?);
    Some(Ask { offset, limit, len, precise })
}

/// Cuts any range into pieces of at most `piece` bytes (a power of two, at most [`BLOCK`]) at multiples of it, in order.
pub(super) fn pieces(range: Range<u64>, piece: u64) -> impl Iterator<Item = (u64, u32)> {
    let piece = piece.clamp(HASHED, BLOCK);
    let mut at = range.start;
    std::iter::from_fn(move || {
        let end = (at / piece * piece).checked_add(piece)?.min(range.end);
        let len = u32::try_from(end.checked_sub(at)?).ok().filter(|len| *len > 0)?;
        let begin = at;
        at = end;
        Some((begin, len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 1024;

    /// What a server accepts of `upload.getFile`.
    fn is_allowed(ask: Ask) -> bool {
        let (offset, limit) = (ask.offset, u64::from(ask.limit));
        let step = if ask.precise { K } else { 4 * K };
        offset % step == 0
            && limit > 0
            && limit % step == 0
            && limit <= BLOCK
            && (ask.precise || BLOCK.is_multiple_of(limit))
            && offset / BLOCK == (offset + limit - 1) / BLOCK
    }

    #[test]
    fn whatever_is_asked_for_is_allowed_and_contains_what_is_wanted() {
        let size = 5 * BLOCK / 2 + 777;
        for offset in (0..size).step_by(65_537) {
            for len in [1, 100, 4096, 70_000, 131_072, 131_073, 300_000, 524_288, 900_000, 1_048_576] {
                let end = offset + u64::from(len);
                let inside = end <= size && offset / BLOCK == (end - 1) / BLOCK;
                for (strict, asked) in [(false, ask(offset, len, size)), (true, ask_strictly(offset, len, size))] {
                    assert_eq!(asked.is_some(), inside, "{offset} {len}");
                    let Some(asked) = asked else { continue };
                    assert!(is_allowed(asked) && !(strict && asked.precise), "{asked:?}");
                    let upto = asked.offset + u64::from(asked.len);
                    assert!(asked.offset <= offset && upto >= end && asked.offset % HASHED == 0, "{asked:?}");
                    assert!(upto == size || upto % HASHED == 0, "{asked:?}");
                    assert!(asked.len <= asked.limit && (asked.len == asked.limit || upto == size), "{asked:?}");
                }
            }
        }
        assert_eq!(ask(0, 0, 10), None);
        assert_eq!(ask(u64::MAX, 2, u64::MAX), None);
        assert_eq!(ask(5, 6, 10), None, "past the end");
    }

    #[test]
    fn full_parts_need_no_exception() {
        for index in 0..3 {
            let whole = ask(index * BLOCK, 1 << 20, 3 * BLOCK).unwrap();
            assert_eq!((whole.limit, whole.precise), (1 << 20, false));
        }
        assert_eq!(ask(0, 5, 5).unwrap(), Ask { offset: 0, limit: 128 << 10, len: 5, precise: false });
    }

    #[test]
    fn pieces_follow_each_other_without_gaps() {
        for (range, piece) in [(0..0, 512 * K), (1..2, 512 * K), (100..BLOCK * 3 + 5, 512 * K), (BLOCK - 1..BLOCK + 1, BLOCK)] {
            let mut at = range.start;
            for (offset, len) in pieces(range.clone(), piece) {
                assert_eq!(offset, at);
                assert_eq!(offset / piece, (offset + u64::from(len) - 1) / piece);
                at += u64::from(len);
            }
            assert_eq!(at, range.end);
        }
    }
}
