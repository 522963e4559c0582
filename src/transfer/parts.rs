//! A file cut into parts.
//!
//! The limits are those of the page "Uploading and Downloading Files".

/// The part size of uploads: the largest that the server takes.
pub const UPLOAD_PART: u32 = 512 * 1024;
/// The part size of downloads: the largest range that one `upload.getFile` may ask for.
pub const DOWNLOAD_PART: u32 = 1024 * 1024;

/// How a file of a known size is cut into parts of one size, the last of which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    size: u64,
    part: u32,
}

/// One part: where it begins and how long it is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Position in the order, from 0.
    pub index: u32,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its length; only the last part's differs from the others'.
    pub len: u32,
}

impl Parts {
    /// Cuts `size` bytes into parts of `part` bytes. `None` when `part` is zero or the count does not fit in 32 bits.
    pub fn new(size: u64, part: u32) -> Option<Self> {
        if part == 0 || size.div_ceil(u64::from(part)) > i32::MAX as u64 {
            return None;
        }
        Some(Self { size, part })
    }

    /// The file's size in bytes.
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many parts there are; 0 for an empty file.
    pub fn count(self) -> u32 {
        u32::try_from(self.size.div_ceil(u64::from(self.part))).unwrap_or(u32::MAX)
    }

    /// Part number `index`, or `None` past the end.
    pub fn part(self, index: u32) -> Option<Part> {
        let offset = u64::from(index) * u64::from(self.part);
        if offset >= self.size {
            return None;
        }
        let len = u32::try_from((self.size - offset).min(u64::from(self.part))).unwrap_or(self.part);
        Some(Part { index, offset, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_file_exactly_around_every_boundary() {
        for size in [0, 1, 511, 512, 513, 1023, 1024, 1025] {
            let parts = Parts::new(size, 512).unwrap();
            let mut next = 0;
            for i in 0..parts.count() {
                let part = parts.part(i).unwrap();
                assert_eq!(part.offset, next, "size {size}");
                assert!(part.len > 0 && part.len <= 512);
                next += u64::from(part.len);
            }
            assert_eq!(next, size);
            assert_eq!(parts.part(parts.count()), None);
        }
    }

    #[test]
    fn a_size_that_needs_too_many_parts_is_refused() {
        assert_eq!(Parts::new(u64::MAX, 1), None);
        assert_eq!(Parts::new(1, 0), None);
    }
}
