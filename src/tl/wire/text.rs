//! `string` values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

use super::slice::Slice;

/// A `string`: UTF-8 text that is, after decoding, a slice of the received buffer. Cloning it copies no text.
#[derive(Clone)]
pub struct Str(Slice);

impl Str {
    /// An empty string.
    #[inline]
    pub const fn new() -> Self {
        Self(Slice::empty())
    }

    /// Text that lives as long as the program. It is not copied.
    pub fn from_static(text: &'static str) -> Self {
        Self(Slice::whole(Bytes::from_static(text.as_bytes())))
    }

    /// What came over the wire. A peer that sends something else than UTF-8 gets the bad parts replaced by U+FFFD, in a copy: one broken
    /// name must not make a whole list of chats unreadable.
    pub fn from_wire(bytes: Bytes) -> Self {
        if is_text(&bytes) { Self(Slice::whole(bytes)) } else { Self::repaired(&bytes) }
    }

    /// As [`from_wire`](Self::from_wire), for bytes that somebody else holds: `share` makes the slice of them.
    #[inline]
    pub(super) fn from_shared(bytes: &[u8], share: impl FnOnce() -> Slice) -> Self {
        if is_text(bytes) { Self(share()) } else { Self::repaired(bytes) }
    }

    #[cold]
    fn repaired(bytes: &[u8]) -> Self {
        Self::from(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("a Str is only ever made of checked text")
    }

    /// The text's bytes, without the check that [`as_str`](Self::as_str) makes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The slice of the buffer.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

/// Whether the bytes are UTF-8. Most text is ASCII, and that is quicker to see.
#[inline]
fn is_text(bytes: &[u8]) -> bool {
    // The last 64 once more, because what is left behind a multiple of that is looked at byte by byte.
    let ascii = match bytes.last_chunk::<64>() {
        Some(last) => bytes.as_chunks::<64>().0.as_flattened().is_ascii() && last.is_ascii(),
        None => bytes.is_ascii(),
    };
    ascii || std::str::from_utf8(bytes).is_ok()
}

impl Default for Str {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

// `Eq` and `Ord` of text are those of its bytes, and `Hash` below is that of `str`, as `Borrow` demands.
impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Slice::whole(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Slice::whole(text.into_bytes().into()))
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Str> for String {
    fn from(text: Str) -> Self {
        text.as_str().to_owned()
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
