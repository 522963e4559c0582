//! Slices of a received buffer, in two words.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;

/// A part of a buffer that others hold too.
///
/// As [`Bytes`] is, at half the size: an object of the API has many strings, most of them absent, and one owner a buffer is enough for
/// all of them. Taking a slice and dropping it is one count up and one down, without a call.
#[derive(Clone)]
pub(super) struct Slice {
    /// None for the empty slice.
    buffer: Option<Arc<Bytes>>,
    /// Where the slice starts (upper half) and its length plus one (lower half), or [`TO_THE_END`]. Never zero, so that an absent slice
    /// takes no more room than one that is there.
    place: NonZeroU64,
}

/// In the place of a length: all of the buffer from the start of the slice on.
const TO_THE_END: u32 = u32::MAX;
/// The place of a slice of nothing.
const NOWHERE: NonZeroU64 = NonZeroU64::MIN;
/// The place of a slice of everything.
const EVERYWHERE: NonZeroU64 = NonZeroU64::MIN.saturating_add(TO_THE_END as u64 - 1);

impl Slice {
    /// The empty slice.
    pub(super) const fn empty() -> Self {
        Self { buffer: None, place: NOWHERE }
    }

    /// A slice of everything.
    pub(super) fn whole(buffer: Bytes) -> Self {
        if buffer.is_empty() { Self::empty() } else { Self { buffer: Some(Arc::new(buffer)), place: EVERYWHERE } }
    }

    /// A part of a buffer. None if the place cannot be said in 32 bits.
    #[inline]
    pub(super) fn part(buffer: &Arc<Bytes>, start: usize, length: usize) -> Option<Self> {
        let start = u32::try_from(start).ok()?;
        let length = u32::try_from(length).ok().filter(|l| *l < TO_THE_END - 1)?;
        let place = NonZeroU64::MIN.saturating_add(u64::from(start) << 32 | u64::from(length));
        Some(Self { buffer: Some(Arc::clone(buffer)), place })
    }

    /// The bytes.
    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        let Some(buffer) = &self.buffer else { return &[] };
        let (start, end) = self.ends(buffer.len());
        buffer.get(start..end).unwrap_or_default()
    }

    /// The bytes as a slice that needs nobody to hold the buffer.
    pub(super) fn into_bytes(self) -> Bytes {
        let Some(buffer) = &self.buffer else { return Bytes::new() };
        let (start, end) = self.ends(buffer.len());
        buffer.slice(start..end)
    }

    /// Start and end in a buffer of that length.
    #[inline]
    fn ends(&self, total: usize) -> (usize, usize) {
        let place = self.place.get();
        // The halves fit: they were made of numbers that did, in an address space no smaller than 32 bits.
        let start = (place >> 32) as usize;
        match place as u32 {
            TO_THE_END => (start, total),
            length => (start, start + length as usize - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_know_their_place() {
        let bytes = Bytes::from_static(b"0123456789");
        let buffer = Arc::new(bytes.clone());
        for (start, length) in [(0, 10), (0, 1), (3, 4), (9, 1), (10, 0), (0, 0)] {
            let slice = Slice::part(&buffer, start, length).unwrap();
            assert_eq!(slice.as_slice(), &bytes[start..start + length]);
            assert_eq!(slice.clone().into_bytes(), bytes[start..start + length]);
        }
        let whole = Slice::whole(bytes.clone());
        assert_eq!((whole.as_slice(), whole.clone().into_bytes()), (&bytes[..], bytes.clone()));
        assert_eq!(whole.into_bytes().as_ptr(), bytes.as_ptr());
        assert!(Slice::empty().as_slice().is_empty() && Slice::empty().into_bytes().is_empty());
        assert!(Slice::whole(Bytes::new()).buffer.is_none());
    }

    #[test]
    fn what_32_bits_cannot_say_is_refused() {
        let buffer = Arc::new(Bytes::from_static(b"0123456789"));
        assert!(Slice::part(&buffer, u32::MAX as usize, u32::MAX as usize - 2).is_some());
        assert!(Slice::part(&buffer, u32::MAX as usize + 1, 1).is_none());
        assert!(Slice::part(&buffer, 0, u32::MAX as usize - 1).is_none());
    }

    #[test]
    fn an_absent_slice_takes_no_more_room() {
        assert_eq!((size_of::<Slice>(), size_of::<Option<Slice>>()), (16, 16));
    }
}
