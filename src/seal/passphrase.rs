//! A passphrase as a value.

use std::fmt;

use zeroize::Zeroizing;

use super::SealError;

/// The longest passphrase, in bytes of UTF-8. Far above what anybody types, and a file of it is read whole.
pub const MAX_PASSPHRASE: usize = 4096;

/// A passphrase: not empty, wiped when dropped, not shown by `Debug`.
///
/// It is taken byte by byte. The same letters can be written in two ways in Unicode; whoever types an accent on another system may type other
/// bytes, so plain letters, digits and spaces travel best.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A passphrase as it was typed.
    ///
    /// # Errors
    ///
    /// [`SealError::PassphraseEmpty`], [`SealError::PassphraseTooLong`].
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, SealError> {
        let text = text.into();
        match text.len() {
            0 => Err(SealError::PassphraseEmpty),
            1..=MAX_PASSPHRASE => Ok(Self(text)),
            found => Err(SealError::PassphraseTooLong { found, limit: MAX_PASSPHRASE }),
        }
    }

    /// The first line of a text, as a file or a command gives it. Blanks belong to it; the end of the line does not.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn first_line(text: &str) -> Result<Self, SealError> {
        Self::new(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether both are the same, in a time that says nothing about where they differ.
    pub fn is(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_endless_ones_are_refused_and_none_is_printed() {
        assert!(matches!(Passphrase::new(String::new()), Err(SealError::PassphraseEmpty)));
        assert!(matches!(Passphrase::first_line("\nsecond"), Err(SealError::PassphraseEmpty)));
        let long = Passphrase::new("x".repeat(MAX_PASSPHRASE + 1));
        assert!(matches!(long, Err(SealError::PassphraseTooLong { found: 4097, limit: 4096 })));
        assert!(!format!("{:?}", Passphrase::new("hunter2".to_owned()).unwrap()).contains("hunter"));
    }

    #[test]
    fn a_line_ends_where_the_line_ends() {
        let plain = Passphrase::new(" two words ".to_owned()).unwrap();
        for text in [" two words ", " two words \n", " two words \r\nand more"] {
            assert!(Passphrase::first_line(text).unwrap().is(&plain), "{text:?}");
        }
        assert!(!Passphrase::first_line("two words").unwrap().is(&plain));
    }
}
