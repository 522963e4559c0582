//! The `Range` field of a request (RFC 9110, section 14), and what a server may do with it.

use thiserror::Error;

/// More ranges than this in one request are refused: each costs a head of its own, and nobody needs them.
pub const MAX_RANGES: usize = 16;

/// Bytes from `start` up to, not including, `end`. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
}

impl ByteRange {
    /// How many bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Never: an empty range has no form in HTTP.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Whether the two overlap or touch.
    fn meets(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// What is wrong with a `Range` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Ranges are counted in something else than bytes.
    #[error("the unit is not bytes")]
    Unit,
    /// There is no range in it.
    #[error("there is no range in it")]
    Empty,
    /// A range has neither a beginning nor an end.
    #[error("a range has neither a beginning nor an end")]
    Unbounded,
    /// A position is not a decimal number.
    #[error("a position is not a number")]
    Position,
    /// A range ends before it begins.
    #[error("a range ends before it begins")]
    Backwards,
    /// More than [`MAX_RANGES`].
    #[error("there are more than {MAX_RANGES} ranges")]
    TooMany,
    /// Every range lies behind the end of the file.
    #[error("the file is not that long")]
    Unsatisfiable,
}

impl RangeError {
    /// Whether the field is to be treated as if it were not there (section 14.2: an unknown unit, an invalid set of ranges), and not
    /// answered with 416.
    pub fn is_ignored(self) -> bool {
        match self {
            Self::Unit | Self::Empty | Self::Unbounded | Self::Position | Self::Backwards => true,
            Self::TooMany | Self::Unsatisfiable => false,
        }
    }
}

/// The ranges that the field asks for of a file of `size` bytes: cut off at its end, and in the order asked for, except that those which
/// overlap or touch are one. Never empty; no byte is in two of them.
///
/// # Errors
///
/// [`RangeError::is_ignored`] says which of them mean that the whole file is to be sent.
pub fn parse(field: &str, size: u64) -> Result<Vec<ByteRange>, RangeError> {
    let (unit, set) = field.split_once('=').ok_or(RangeError::Unit)?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Err(RangeError::Unit);
    }
    let mut ranges: Vec<ByteRange> = Vec::new();
    let mut count = 0;
    for spec in set.split(',').map(|s| s.trim_matches([' ', '\t'])).filter(|s| !s.is_empty()) {
        count += 1;
        if count > MAX_RANGES {
            return Err(RangeError::TooMany);
        }
        if let Some(range) = one(spec, size)? {
            join(&mut ranges, range);
        }
    }
    match (count, ranges.is_empty()) {
        (0, _) => Err(RangeError::Empty),
        (_, true) => Err(RangeError::Unsatisfiable),
        (_, false) => Ok(ranges),
    }
}

/// One range; `None` when it lies behind the end.
fn one(spec: &str, size: u64) -> Result<Option<ByteRange>, RangeError> {
    let (first, last) = spec.split_once('-').ok_or(RangeError::Position)?;
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return Err(RangeError::Unbounded),
        (true, false) => ByteRange { start: size.saturating_sub(position(last)?), end: size },
        (false, true) => ByteRange { start: position(first)?, end: size },
        (false, false) => {
            let (first, last) = (position(first)?, position(last)?);
            if last < first {
                return Err(RangeError::Backwards);
            }
            ByteRange { start: first, end: last.saturating_add(1).min(size) }
        }
    };
    Ok((range.start < range.end).then_some(range))
}

/// A position that is too large for the type is behind the end of every file, and stays so.
fn position(digits: &str) -> Result<u64, RangeError> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(RangeError::Position);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// Adds a range; it and those that it meets become one, in the place of the first of them.
fn join(ranges: &mut Vec<ByteRange>, mut range: ByteRange) {
    let mut place = None;
    // What grows may meet one that it did not meet before.
    while let Some(at) = ranges.iter().position(|r| r.meets(range)) {
        let met = ranges.remove(at);
        range = ByteRange { start: range.start.min(met.start), end: range.end.max(met.end) };
        place = Some(place.map_or(at, |p: usize| p.min(at)));
    }
    ranges.insert(place.unwrap_or(ranges.len()), range);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(field: &str, size: u64) -> Vec<(u64, u64)> {
        parse(field, size).unwrap().iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn every_form_of_a_range() {
        assert_eq!(ranges("bytes=0-499", 1000), [(0, 500)]);
        assert_eq!(ranges("bytes=500-", 1000), [(500, 1000)]);
        assert_eq!(ranges("bytes=-500", 1000), [(500, 1000)]);
        assert_eq!(ranges("bytes=-5000", 1000), [(0, 1000)], "longer than the file");
        assert_eq!(ranges("bytes=0-0", 1000), [(0, 1)]);
        assert_eq!(ranges("bytes=999-", 1000), [(999, 1000)]);
        assert_eq!(ranges("bytes=900-5000", 1000), [(900, 1000)], "cut off at the end");
        assert_eq!(ranges("bytes=0-18446744073709551615", 1000), [(0, 1000)]);
        assert_eq!(ranges("bytes=0-99999999999999999999999", 1000), [(0, 1000)]);
        assert_eq!(ranges("Bytes = 0-1 ,\t, 10-11,", 1000), [(0, 2), (10, 12)], "units have no case, lists may have holes");
        assert_eq!(ranges("bytes=2000-,0-1", 1000), [(0, 2)], "one that can be had is enough");
    }

    #[test]
    fn ranges_that_meet_become_one_and_the_others_keep_their_order() {
        assert_eq!(ranges("bytes=500-599,0-99", 1000), [(500, 600), (0, 100)]);
        assert_eq!(ranges("bytes=0-99,100-199", 1000), [(0, 200)], "they touch");
        assert_eq!(ranges("bytes=0-99,101-199", 1000), [(0, 100), (101, 200)]);
        assert_eq!(ranges("bytes=0-9,20-29,5-24", 1000), [(0, 30)], "the third joins the first two");
        assert_eq!(ranges("bytes=-1,0-", 1000), [(0, 1000)]);
        assert_eq!(ranges("bytes=0-,0-,0-,0-", 1000), [(0, 1000)]);
    }

    #[test]
    fn each_error() {
        for (field, error) in [
            ("items=0-1", RangeError::Unit),
            ("0-1", RangeError::Unit),
            ("", RangeError::Unit),
            ("bytes=", RangeError::Empty),
            ("bytes= , ", RangeError::Empty),
            ("bytes=-", RangeError::Unbounded),
            ("bytes=0-1,-", RangeError::Unbounded),
            ("bytes=5", RangeError::Position),
            ("bytes=a-", RangeError::Position),
            ("bytes=0-1x", RangeError::Position),
            ("bytes=+1-2", RangeError::Position),
            ("bytes=0--1", RangeError::Position),
            ("bytes=2-1", RangeError::Backwards),
            ("bytes=1000-", RangeError::Unsatisfiable),
            ("bytes=1000-2000,3000-", RangeError::Unsatisfiable),
            ("bytes=-0", RangeError::Unsatisfiable),
            ("bytes=99999999999999999999-", RangeError::Unsatisfiable),
        ] {
            assert_eq!(parse(field, 1000), Err(error), "{field:?}");
        }
        assert_eq!(parse("bytes=0-", 0), Err(RangeError::Unsatisfiable));
        let set = |n: u32| (0..n).map(|i| format!("{}-{}", i * 10, i * 10)).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&format!("bytes={}", set(16)), 1000).map(|r| r.len()), Ok(16));
        assert_eq!(parse(&format!("bytes={}", set(17)), 1000), Err(RangeError::TooMany));
        assert!(RangeError::Position.is_ignored() && !RangeError::TooMany.is_ignored());
    }
}
