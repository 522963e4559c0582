//! The little of DER that RSA keys in PKCS #1 need: sequences and non-negative integers, read strictly.
//!
//! DER has one encoding for each value. Whatever deviates is refused, so that a key has one file and one fingerprint.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// How bytes fail to be the DER that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The data ends in the middle of a value.
    #[error("the data ends {missing} bytes early")]
    UnexpectedEnd {
        /// How many bytes are missing.
        missing: usize,
    },
    /// A value has another type than the one expected.
    #[error("expected tag {expected:#04x}, found {found:#04x}")]
    WrongTag {
        /// The tag that belongs here.
        expected: u8,
        /// The tag found.
        found: u8,
    },
    /// A length is written in a longer form than needed, in the indefinite form, or exceeds four gigabytes.
    #[error("a length is not in its shortest form")]
    BadLength,
    /// An integer has no bytes, or more zero bytes in front than its sign needs.
    #[error("an integer is not in its shortest form")]
    BadInteger,
    /// An integer is negative.
    #[error("an integer is negative")]
    Negative,
    /// There is data after the last value.
    #[error("{left} bytes follow the last value")]
    TrailingBytes {
        /// How many bytes are left.
        left: usize,
    },
}

/// A cursor over DER values.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Opens the one sequence that `data` is.
    pub(super) fn sequence(data: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Self(data);
        let content = outer.value(SEQUENCE)?;
        outer.finish()?;
        Ok(Self(content))
    }

    /// Reads a non-negative integer: its big-endian bytes without leading zeros (none at all for zero).
    pub(super) fn unsigned(&mut self) -> Result<&'a [u8], DerError> {
        match self.value(INTEGER)? {
            [] => Err(DerError::BadInteger),
            [0] => Ok(&[]),
            [0, rest @ ..] if rest.first().is_some_and(|&byte| byte >= 0x80) => Ok(rest),
            [0, ..] => Err(DerError::BadInteger),
            [0x80..=0xff, ..] => Err(DerError::Negative),
            value => Ok(value),
        }
    }

    /// Checks that everything has been read.
    pub(super) fn finish(self) -> Result<(), DerError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DerError::TrailingBytes { left }),
        }
    }

    fn value(&mut self, expected: u8) -> Result<&'a [u8], DerError> {
        let found = self.byte()?;
        if found != expected {
            return Err(DerError::WrongTag { expected, found });
        }
        let len = self.length()?;
        self.take(len)
    }

    fn length(&mut self) -> Result<usize, DerError> {
        let first = self.byte()?;
        let len = match first {
            0..=0x7f => return Ok(first.into()),
            0x81..=0x84 => self.take(usize::from(first & 0x7f))?.iter().fold(0_u64, |len, &byte| len << 8 | u64::from(byte)),
            _ => return Err(DerError::BadLength),
        };
        let shortest = if len < 0x80 { 0 } else { 8 - u64::from(len.leading_zeros()) / 8 };
        if u64::from(first & 0x7f) != shortest {
            return Err(DerError::BadLength);
        }
        usize::try_from(len).map_err(|_| DerError::BadLength)
    }

    fn byte(&mut self) -> Result<u8, DerError> {
        let (&byte, rest) = self.0.split_first().ok_or(DerError::UnexpectedEnd { missing: 1 })?;
        self.0 = rest;
        Ok(byte)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DerError> {
        let missing = DerError::UnexpectedEnd { missing: len.saturating_sub(self.0.len()) };
        let (taken, rest) = self.0.split_at_checked(len).ok_or(missing)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Writes a sequence of non-negative integers, given as big-endian bytes with or without leading zeros.
pub(super) fn write_integers(integers: &[&[u8]]) -> Vec<u8> {
    let mut content = zeroize::Zeroizing::new(Vec::new());
    for integer in integers {
        let digits = super::bigint::without_leading_zeros(integer);
        let sign = digits.first().is_none_or(|&byte| byte >= 0x80);
        write_header(&mut content, INTEGER, digits.len() + usize::from(sign));
        content.extend(sign.then_some(0));
        content.extend_from_slice(digits);
    }
    let mut out = Vec::with_capacity(content.len() + 6);
    write_header(&mut out, SEQUENCE, content.len());
    out.extend_from_slice(&content);
    out
}

fn write_header(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    match u8::try_from(len) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = len.to_be_bytes();
            let digits = super::bigint::without_leading_zeros(&bytes);
            out.push(0x80 | digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(data: &[u8]) -> Result<Vec<Vec<u8>>, DerError> {
        let mut reader = Reader::sequence(data)?;
        let mut out = Vec::new();
        while !reader.0.is_empty() {
            out.push(reader.unsigned()?.to_vec());
        }
        Ok(out)
    }

    #[test]
    fn written_integers_are_read_back() {
        let long = [0xab; 300];
        let data = write_integers(&[&[], &[0, 0], &[0x7f], &[0x80], &[0, 1, 2], &long]);
        assert_eq!(integers(&data).unwrap(), [vec![], vec![], vec![0x7f], vec![0x80], vec![1, 2], long.to_vec()]);
    }

    #[test]
    fn every_deviation_has_its_error() {
        assert_eq!(integers(&[]), Err(DerError::UnexpectedEnd { missing: 1 }));
        assert_eq!(integers(&[0x30, 5, 2, 1]), Err(DerError::UnexpectedEnd { missing: 3 }));
        assert_eq!(integers(&[0x31, 0]), Err(DerError::WrongTag { expected: 0x30, found: 0x31 }));
        assert_eq!(integers(&[0x30, 2, 4, 0]), Err(DerError::WrongTag { expected: 2, found: 4 }));
        assert_eq!(integers(&[0x30, 0x80, 0, 0]), Err(DerError::BadLength), "indefinite");
        assert_eq!(integers(&[0x30, 0x81, 3, 2, 1, 1]), Err(DerError::BadLength), "long form of a short length");
        assert_eq!(integers(&[0x30, 0x82, 0, 0x80]), Err(DerError::BadLength), "leading zero");
        assert_eq!(integers(&[0x30, 0x85, 1, 0, 0, 0, 0]), Err(DerError::BadLength), "too long");
        assert_eq!(integers(&[0x30, 2, 2, 0]), Err(DerError::BadInteger), "no digits");
        assert_eq!(integers(&[0x30, 4, 2, 2, 0, 0x7f]), Err(DerError::BadInteger), "needless zero");
        assert_eq!(integers(&[0x30, 3, 2, 1, 0x80]), Err(DerError::Negative));
        assert_eq!(integers(&[0x30, 0, 9]), Err(DerError::TrailingBytes { left: 1 }));
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let data = write_integers(&[&[1; 200], &[1, 0, 1]]);
        assert!(integers(&data).is_ok());
        for len in 0..data.len() {
            assert!(matches!(integers(&data[..len]), Err(DerError::UnexpectedEnd { .. })), "{len}");
        }
    }
}
