//! Reading.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use super::slice::Slice;
use super::{BOOL_FALSE_ID, BOOL_TRUE_ID, Deserialize, Error, Result, Str, VECTOR_ID};

/// How deep objects of recursive types may nest. Rich texts, the deepest thing in the API, stay below ten.
pub const MAX_DEPTH: u32 = 32;

/// Elements for which a vector reserves memory before it has seen one. It grows as they are really read.
const PREALLOCATED_ELEMENTS: usize = 4096;
/// Bytes of memory for the same purpose.
const PREALLOCATED_BYTES: usize = 64 << 10;

/// A cursor over received bytes. Strings and byte strings come out as slices of the same buffer.
///
/// The first rule that the bytes break spoils the reader: what is left of the buffer is dropped, and every later call tells of that same
/// rule. So there are two ways to read. `u32()`, `string()` and their like answer with a [`Result`]. `next_u32()`, `next_string()` and
/// their like always answer, with zeros and empty values once the reader is spoilt, and [`status`](Self::status) tells at the end whether
/// what came out means anything: one question an object instead of one a field.
#[derive(Debug, Clone)]
pub struct Reader {
    /// What is not yet read.
    ahead: Bytes,
    /// How much there was at the start.
    total: usize,
    /// What was ahead at the first string, for strings to be slices of.
    shared: Option<Arc<Bytes>>,
    depth: u32,
    error: Option<Error>,
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(buffer: Bytes) -> Self {
        Self { total: buffer.len(), ahead: buffer, shared: None, depth: 0, error: None }
    }

    /// A reader that has nothing to give but zeros and empty values.
    pub(crate) fn spoilt() -> Self {
        Self { error: Some(Error::UnexpectedEnd { needed: 4, left: 0 }), ..Self::new(Bytes::new()) }
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.ahead.len()
    }

    /// Bytes already read.
    pub fn position(&self) -> usize {
        self.total - self.ahead.len()
    }

    /// Whether the bytes kept all rules so far.
    ///
    /// # Errors
    /// The first rule they broke.
    #[inline]
    pub fn status(&self) -> Result<()> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Spoils the reader. Of several errors the first counts.
    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.ahead = Bytes::new();
    }

    /// Next four bytes as a number, without taking them.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    pub fn peek_u32(&self) -> Result<u32> {
        self.status()?;
        match self.ahead.first_chunk() {
            Some(chunk) => Ok(u32::from_le_bytes(*chunk)),
            None => Err(self.unexpected_end(4)),
        }
    }

    /// `#`, a constructor id, or any unsigned 32-bit number.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn u32(&mut self) -> Result<u32> {
        let value = self.next_u32();
        self.status().map(|()| value)
    }

    /// As [`u32`](Self::u32); zero when the reader is spoilt.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.next_chunk())
    }

    /// Takes the next four bytes if they are this number.
    #[inline]
    pub fn next_is(&mut self, value: u32) -> bool {
        let found = self.ahead.first_chunk() == Some(&value.to_le_bytes());
        if found {
            self.ahead.advance(4);
        }
        found
    }

    /// Numbers of 32 bits in a row, for one look at what is left; zeros when the reader is spoilt.
    #[inline]
    pub fn next_words<const N: usize>(&mut self) -> [u32; N] {
        let (bytes, _) = self.ahead.as_chunks();
        if let Some(words) = bytes.first_chunk::<N>() {
            let words = words.map(u32::from_le_bytes);
            self.ahead.advance(4 * N);
            return words;
        }
        self.fail_at_end(4 * N);
        [0; N]
    }

    /// `int`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        let value = self.next_i32();
        self.status().map(|()| value)
    }

    /// As [`i32`](Self::i32); zero when the reader is spoilt.
    #[inline]
    pub fn next_i32(&mut self) -> i32 {
        i32::from_le_bytes(self.next_chunk())
    }

    /// `long`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        let value = self.next_i64();
        self.status().map(|()| value)
    }

    /// As [`i64`](Self::i64); zero when the reader is spoilt.
    #[inline]
    pub fn next_i64(&mut self) -> i64 {
        i64::from_le_bytes(self.next_chunk())
    }

    /// `double`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn f64(&mut self) -> Result<f64> {
        let value = self.next_f64();
        self.status().map(|()| value)
    }

    /// As [`f64`](Self::f64); zero when the reader is spoilt.
    #[inline]
    pub fn next_f64(&mut self) -> f64 {
        f64::from_le_bytes(self.next_chunk())
    }

    /// `int128`: 16 bytes, in wire order.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn int128(&mut self) -> Result<[u8; 16]> {
        let value = self.next_int128();
        self.status().map(|()| value)
    }

    /// As [`int128`](Self::int128); zero when the reader is spoilt.
    #[inline]
    pub fn next_int128(&mut self) -> [u8; 16] {
        self.next_chunk()
    }

    /// `int256`: 32 bytes, in wire order.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    #[inline]
    pub fn int256(&mut self) -> Result<[u8; 32]> {
        let value = self.next_int256();
        self.status().map(|()| value)
    }

    /// As [`int256`](Self::int256); zero when the reader is spoilt.
    #[inline]
    pub fn next_int256(&mut self) -> [u8; 32] {
        self.next_chunk()
    }

    /// `Bool`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::BadBool`], or what spoilt the reader.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        let value = self.next_bool();
        self.status().map(|()| value)
    }

    /// As [`bool`](Self::bool); false when the reader is spoilt.
    #[inline]
    pub fn next_bool(&mut self) -> bool {
        match self.next_u32() {
            BOOL_TRUE_ID => true,
            BOOL_FALSE_ID => false,
            id => {
                self.fail(Error::BadBool { id });
                false
            }
        }
    }

    /// `bytes`: a slice of the buffer, no copy.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::NonMinimalLength`], or what spoilt the reader.
    #[inline]
    pub fn bytes(&mut self) -> Result<Bytes> {
        let value = self.next_bytes();
        self.status().map(|()| value)
    }

    /// As [`bytes`](Self::bytes); empty when the reader is spoilt.
    #[inline]
    pub fn next_bytes(&mut self) -> Bytes {
        let place = self.string_place();
        let value = match place.length {
            // An empty value must not keep the whole frame alive.
            0 => Bytes::new(),
            length => self.ahead.slice(place.header..place.header + length),
        };
        self.ahead.advance(place.padded);
        value
    }

    /// `string`: a slice of the buffer, no copy unless it has to be repaired to be UTF-8.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::NonMinimalLength`], or what spoilt the reader.
    #[inline]
    pub fn string(&mut self) -> Result<Str> {
        let value = self.next_string();
        self.status().map(|()| value)
    }

    /// As [`string`](Self::string); empty when the reader is spoilt.
    pub fn next_string(&mut self) -> Str {
        let place = self.string_place();
        let value = match self.ahead.get(place.header..place.header + place.length) {
            None | Some([]) => Str::new(),
            Some(text) => Str::from_shared(text, || Self::share(&mut self.shared, &self.ahead, place.header, place.length)),
        };
        self.ahead.advance(place.padded);
        value
    }

    /// A slice of what is ahead.
    #[inline]
    fn share(shared: &mut Option<Arc<Bytes>>, ahead: &Bytes, start: usize, length: usize) -> Slice {
        let part = shared.as_ref().and_then(|buffer| Slice::part(buffer, buffer.len() - ahead.len() + start, length));
        part.unwrap_or_else(|| Self::share_anew(shared, ahead, start, length))
    }

    /// At the first string, and where more than 32 bits of bytes lie between that and this one.
    #[cold]
    fn share_anew(shared: &mut Option<Arc<Bytes>>, ahead: &Bytes, start: usize, length: usize) -> Slice {
        let buffer = shared.insert(Arc::new(ahead.clone()));
        Slice::part(buffer, start, length).unwrap_or_else(|| Slice::whole(ahead.slice(start..start + length)))
    }

    /// The next `count` bytes as they are.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], or what spoilt the reader.
    pub fn raw(&mut self, count: usize) -> Result<Bytes> {
        self.status()?;
        if count > self.remaining() {
            let error = self.unexpected_end(count);
            self.fail(error);
            return Err(error);
        }
        Ok(self.ahead.split_to(count))
    }

    /// All bytes not yet read; none when the reader is spoilt.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.ahead)
    }

    /// Requires that everything was read.
    ///
    /// # Errors
    /// [`Error::TrailingBytes`], or what spoilt the reader.
    pub fn finish(&self) -> Result<()> {
        self.status()?;
        match self.remaining() {
            0 => Ok(()),
            left => Err(Error::TrailingBytes { left }),
        }
    }

    /// One level deeper: called at the start of each object of a recursive type. Spoils the reader with [`Error::TooDeep`] where there are
    /// too many levels.
    #[inline]
    pub fn enter(&mut self) {
        if self.depth >= MAX_DEPTH {
            self.fail(Error::TooDeep { limit: MAX_DEPTH });
        }
        self.depth += 1;
    }

    /// One level up again.
    #[inline]
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// `Vector<T>`.
    ///
    /// # Errors
    /// [`Error::BadVector`], [`Error::VectorTooLong`], those of the elements, or what spoilt the reader.
    pub fn vector<T: Deserialize>(&mut self) -> Result<Vec<T>> {
        let items = self.next_vector();
        self.status().map(|()| items)
    }

    /// As [`vector`](Self::vector); what was read until then when the reader is spoilt.
    #[inline]
    pub fn next_vector<T: Deserialize>(&mut self) -> Vec<T> {
        self.next_items(true).into_vec()
    }

    /// `vector<T>`: a vector without its constructor id.
    ///
    /// # Errors
    /// [`Error::VectorTooLong`], those of the elements, or what spoilt the reader.
    pub fn bare_vector<T: Deserialize>(&mut self) -> Result<Vec<T>> {
        let items = self.next_bare_vector();
        self.status().map(|()| items)
    }

    /// As [`bare_vector`](Self::bare_vector); what was read until then when the reader is spoilt.
    #[inline]
    pub fn next_bare_vector<T: Deserialize>(&mut self) -> Vec<T> {
        self.next_items(false).into_vec()
    }

    /// The elements of a vector with or without its id. As a box, which comes back in registers where a `Vec` would not.
    fn next_items<T: Deserialize>(&mut self, boxed: bool) -> Box<[T]> {
        if boxed {
            let id = self.next_u32();
            if id != VECTOR_ID {
                self.fail(Error::BadVector { id });
                return Box::default();
            }
        }
        let count = self.next_vector_count();
        let bound = (PREALLOCATED_BYTES / size_of::<T>().max(1)).clamp(1, PREALLOCATED_ELEMENTS);
        let mut items = Vec::with_capacity(count.min(bound));
        for _ in 0..count {
            if items.len() == items.capacity() {
                // As much again, but never more than the count: what is read in full wastes nothing.
                items.reserve_exact(items.len().min(count - items.len()));
            }
            T::read_into(self, |item| {
                if items.len() == items.capacity() {
                    // There is room, but the compiler cannot know. Where it sees neither growth nor an item dropped, it makes the item in
                    // its place.
                    std::mem::forget(item);
                    return None;
                }
                Some(items.push_mut(item))
            });
            if self.error.is_some() {
                break;
            }
        }
        items.into_boxed_slice()
    }

    /// The element count of a vector. Every element takes at least four bytes, so a count that the rest of the buffer cannot hold is
    /// refused here, before anything is reserved.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::VectorTooLong`], or what spoilt the reader.
    pub fn vector_count(&mut self) -> Result<usize> {
        let count = self.next_vector_count();
        self.status().map(|()| count)
    }

    #[inline]
    fn next_vector_count(&mut self) -> usize {
        let count = self.next_u32();
        let left = self.remaining();
        match usize::try_from(count) {
            Ok(elements) if elements <= left / 4 => elements,
            _ => {
                self.fail(Error::VectorTooLong { count, left });
                0
            }
        }
    }

    #[inline]
    fn next_chunk<const N: usize>(&mut self) -> [u8; N] {
        if let Some(chunk) = self.ahead.first_chunk() {
            let chunk = *chunk;
            self.ahead.advance(N);
            return chunk;
        }
        self.fail_at_end(N);
        [0; N]
    }

    #[cold]
    fn fail_at_end(&mut self, needed: usize) {
        self.fail(self.unexpected_end(needed));
    }

    /// Where the string at the cursor lies. When it breaks a rule the reader is spoilt, and the place is that of nothing.
    #[inline]
    fn string_place(&mut self) -> Place {
        let (header, length) = match *self.ahead {
            [length, ..] if length < 254 => (1, usize::from(length)),
            _ => match self.long_string_header() {
                Ok(found) => found,
                Err(error) => return self.no_place(error),
            },
        };
        // Neither sum can overflow: a length has at most 56 bits, and usize has 64 or the conversion was refused.
        let padded = (header + length).next_multiple_of(4);
        if padded > self.ahead.len() {
            return self.no_place(self.unexpected_end(padded));
        }
        Place { header, length, padded }
    }

    #[cold]
    fn no_place(&mut self, error: Error) -> Place {
        self.fail(error);
        Place { header: 0, length: 0, padded: 0 }
    }

    /// Size of the length prefix and length, for prefixes of more than one byte: 254 and three bytes, or 255 and seven.
    #[cold]
    fn long_string_header(&self) -> Result<(usize, usize)> {
        let ahead = &self.ahead;
        let Some(&first) = ahead.first() else { return Err(self.unexpected_end(4)) };
        let (header, smallest) = if first == 254 { (4, 254) } else { (8, 1 << 24) };
        let Some(prefix) = ahead.get(1..header) else { return Err(self.unexpected_end(header)) };
        let length = prefix.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        // A length that the address space cannot hold is certainly more than what is left.
        let length =
            usize::try_from(length).ok().filter(|l| *l < usize::MAX - 16).ok_or_else(|| self.unexpected_end(usize::MAX))?;
        if length < smallest {
            return Err(Error::NonMinimalLength { length });
        }
        Ok((header, length))
    }

    #[cold]
    fn unexpected_end(&self, needed: usize) -> Error {
        Error::UnexpectedEnd { needed, left: self.remaining() }
    }
}

/// Where a string lies in what is ahead.
struct Place {
    /// Bytes of the length prefix, with which it begins.
    header: usize,
    /// Bytes of content.
    length: usize,
    /// Bytes of all of it, padding included.
    padded: usize,
}
