//! Reading.

use bytes::Bytes;

use super::{BOOL_FALSE_ID, BOOL_TRUE_ID, Deserialize, Error, Result, Str, VECTOR_ID};

/// How deep objects of recursive types may nest. Rich texts, the deepest thing in the API, stay below ten.
pub const MAX_DEPTH: u32 = 32;

/// Elements for which a vector reserves memory before it has seen one. It grows as they are really read.
const PREALLOCATED_ELEMENTS: usize = 4096;
/// Bytes of memory for the same purpose.
const PREALLOCATED_BYTES: usize = 64 << 10;

/// A cursor over received bytes. Strings and byte strings come out as slices of the same buffer.
#[derive(Debug, Clone)]
pub struct Reader {
    buffer: Bytes,
    position: usize,
    depth: u32,
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(buffer: Bytes) -> Self {
        Self { buffer, position: 0, depth: 0 }
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.buffer.len() - self.position
    }

    /// Bytes already read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Next four bytes as a number, without taking them.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    pub fn peek_u32(&self) -> Result<u32> {
        match self.ahead().first_chunk() {
            Some(chunk) => Ok(u32::from_le_bytes(*chunk)),
            None => Err(self.unexpected_end(4)),
        }
    }

    /// `#`, a constructor id, or any unsigned 32-bit number.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn u32(&mut self) -> Result<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    /// `int`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        self.chunk().map(i32::from_le_bytes)
    }

    /// `long`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        self.chunk().map(i64::from_le_bytes)
    }

    /// `double`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn f64(&mut self) -> Result<f64> {
        self.chunk().map(f64::from_le_bytes)
    }

    /// `int128`: 16 bytes, in wire order.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn int128(&mut self) -> Result<[u8; 16]> {
        self.chunk()
    }

    /// `int256`: 32 bytes, in wire order.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    #[inline]
    pub fn int256(&mut self) -> Result<[u8; 32]> {
        self.chunk()
    }

    /// `Bool`.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::BadBool`].
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        match self.u32()? {
            BOOL_TRUE_ID => Ok(true),
            BOOL_FALSE_ID => Ok(false),
            id => Err(Error::BadBool { id }),
        }
    }

    /// `bytes`: a slice of the buffer, no copy.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::NonMinimalLength`].
    #[inline]
    pub fn bytes(&mut self) -> Result<Bytes> {
        let (start, length) = self.string_bounds()?;
        // An empty value must not keep the whole frame alive.
        Ok(if length == 0 { Bytes::new() } else { self.buffer.slice(start..start + length) })
    }

    /// `string`: a slice of the buffer, no copy unless it has to be repaired to be UTF-8.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::NonMinimalLength`].
    #[inline]
    pub fn string(&mut self) -> Result<Str> {
        self.bytes().map(Str::from_wire)
    }

    /// The next `count` bytes as they are.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`].
    pub fn raw(&mut self, count: usize) -> Result<Bytes> {
        if count > self.remaining() {
            return Err(self.unexpected_end(count));
        }
        let start = self.position;
        self.position += count;
        Ok(self.buffer.slice(start..self.position))
    }

    /// All bytes not yet read.
    pub fn rest(&mut self) -> Bytes {
        let start = self.position;
        self.position = self.buffer.len();
        self.buffer.slice(start..)
    }

    /// Requires that everything was read.
    ///
    /// # Errors
    /// [`Error::TrailingBytes`].
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Error::TrailingBytes { left }),
        }
    }

    /// One level deeper: called at the start of each object of a recursive type.
    ///
    /// # Errors
    /// [`Error::TooDeep`].
    #[inline]
    pub fn enter(&mut self) -> Result<()> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::TooDeep { limit: MAX_DEPTH });
        }
        self.depth += 1;
        Ok(())
    }

    /// One level up again. After an error there is no need to call it: the reader is of no more use.
    #[inline]
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// `Vector<T>`.
    ///
    /// # Errors
    /// [`Error::BadVector`], [`Error::VectorTooLong`] and those of the elements.
    pub fn vector<T: Deserialize>(&mut self) -> Result<Vec<T>> {
        match self.u32()? {
            VECTOR_ID => self.bare_vector(),
            id => Err(Error::BadVector { id }),
        }
    }

    /// `vector<T>`: a vector without its constructor id.
    ///
    /// # Errors
    /// [`Error::VectorTooLong`] and those of the elements.
    pub fn bare_vector<T: Deserialize>(&mut self) -> Result<Vec<T>> {
        let count = self.vector_count()?;
        let bound = (PREALLOCATED_BYTES / size_of::<T>().max(1)).clamp(1, PREALLOCATED_ELEMENTS);
        let mut items = Vec::with_capacity(count.min(bound));
        for _ in 0..count {
            items.push(T::deserialize(self)?);
        }
        Ok(items)
    }

    /// The element count of a vector. Every element takes at least four bytes, so a count that the rest of the buffer cannot hold is
    /// refused here, before anything is reserved.
    ///
    /// # Errors
    /// [`Error::UnexpectedEnd`], [`Error::VectorTooLong`].
    pub fn vector_count(&mut self) -> Result<usize> {
        let count = self.u32()?;
        let left = self.remaining();
        match usize::try_from(count) {
            Ok(elements) if elements <= left / 4 => Ok(elements),
            _ => Err(Error::VectorTooLong { count, left }),
        }
    }

    #[inline]
    fn ahead(&self) -> &[u8] {
        self.buffer.get(self.position..).unwrap_or_default()
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.ahead().first_chunk() {
            Some(chunk) => {
                let chunk = *chunk;
                self.position += N;
                Ok(chunk)
            }
            None => Err(self.unexpected_end(N)),
        }
    }

    /// Where the string at the cursor starts and how long it is; moves the cursor behind its padding.
    #[inline]
    fn string_bounds(&mut self) -> Result<(usize, usize)> {
        let ahead = self.ahead();
        let (header, length) = match *ahead {
            [length, ..] if length < 254 => (1, usize::from(length)),
            [..] => self.long_string_header()?,
        };
        // Neither sum can overflow: a length has at most 56 bits, and usize has 64 or the conversion above failed.
        let end = header + length;
        let padded = end.next_multiple_of(4);
        if padded > ahead.len() {
            return Err(self.unexpected_end(padded));
        }
        let start = self.position + header;
        self.position += padded;
        Ok((start, length))
    }

    /// Size of the length prefix and length, for prefixes of more than one byte: 254 and three bytes, or 255 and seven.
    #[cold]
    fn long_string_header(&self) -> Result<(usize, usize)> {
        let ahead = self.ahead();
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
