//! A serialized method, in one piece or in two.

use bytes::Bytes;

/// A serialized method, wrappers included. Where it ends with bytes that are somewhere else already, as a part of a file does, those can be
/// a piece of their own: they are copied once, into the frame, and not into everything that is put around the method before.
#[derive(Clone)]
pub struct Query {
    head: Bytes,
    end: Bytes,
}

/// It holds what people write: only its length is printed.
impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("len", &self.len()).finish()
    }
}

/// What they hold is the same, wherever it is cut.
impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |query: &Self| query.pieces().map(<[u8]>::to_vec).concat();
        self.len() == other.len() && bytes(self) == bytes(other)
    }
}

impl Eq for Query {}

impl From<Bytes> for Query {
    fn from(head: Bytes) -> Self {
        Self { head, end: Bytes::new() }
    }
}

impl Query {
    /// A method that begins with `head` and ends with `end`.
    pub fn in_pieces(head: Bytes, end: Bytes) -> Self {
        Self { head, end }
    }

    /// Bytes of both together.
    pub fn len(&self) -> usize {
        self.head.len() + self.end.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first piece: with one, all of it.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Both, one after the other.
    pub fn pieces(&self) -> [&[u8]; 2] {
        [&self.head, &self.end]
    }

    /// All in one piece.
    pub fn to_bytes(&self) -> Bytes {
        if self.end.is_empty() { self.head.clone() } else { self.pieces().concat().into() }
    }

    /// The same with something in front.
    #[must_use]
    pub fn behind(&self, front: &[u8]) -> Self {
        if front.is_empty() {
            return self.clone();
        }
        Self { head: [front, &self.head].concat().into(), end: self.end.clone() }
    }

    /// The same without its first bytes: no more than the first piece has.
    #[must_use]
    pub fn without(&self, front: usize) -> Self {
        let head = self.head.slice(front.min(self.head.len())..);
        Self { head, end: self.end.clone() }
    }
}
