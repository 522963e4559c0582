//! Identities of unfinished work: the same command on the same files finds what an earlier run left.

use crate::crypto::hash::sha256;
use crate::store::Fingerprint;

/// Builds the identity of a piece of work from everything that makes it another one when it differs.
#[derive(Default)]
pub struct Identity {
    bytes: Vec<u8>,
}

impl Identity {
    /// Begins with what kind of work it is.
    pub fn new(kind: &str) -> Self {
        Self::default().text(kind)
    }

    /// Adds a text. Lengths are part of the identity, so that "ab"+"c" differs from "a"+"bc".
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: i64) -> Self {
        self.bytes.extend(number.to_le_bytes());
        self
    }

    /// The identity.
    pub fn finish(self) -> Fingerprint {
        sha256(&[&self.bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_when_anything_differs() {
        let base = || Identity::new("dl").text("ab").text("c").number(1).finish();
        assert_eq!(base(), base());
        assert_ne!(base(), Identity::new("dl").text("a").text("bc").number(1).finish());
        assert_ne!(base(), Identity::new("up").text("ab").text("c").number(1).finish());
        assert_ne!(base(), Identity::new("dl").text("ab").text("c").number(2).finish());
    }
}
