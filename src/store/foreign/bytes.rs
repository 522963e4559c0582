//! Reading values off the front of bytes that nobody has checked, and whole files of a bounded size.

use std::{fs::File, io::Read as _, net::IpAddr, path::Path};

use zeroize::Zeroizing;

use super::Error;

/// Takes values off the front. Numbers are big-endian, as Qt's data streams and Python's network order have them.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let Some((taken, left)) = self.left.split_at_checked(len) else {
            return Err(Error::Truncated { what, needed: len as u64, left: self.left.len() });
        };
        self.left = left;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, Error> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, Error> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, Error> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A flag of one byte, as C has them: whatever is not zero is true.
    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, Error> {
        self.u8(what).map(|byte| byte != 0)
    }

    /// Qt's `QByteArray`: a length of four bytes, then that many. All ones in the length stand for an array that is null.
    pub(super) fn qt_bytes(&mut self, what: &'static str) -> Result<&'a [u8], Error> {
        match self.u32(what)? {
            u32::MAX => Ok(&[]),
            len => {
                let needed = usize::try_from(len).unwrap_or(usize::MAX);
                self.take(needed, what)
            }
        }
    }
}

/// Appends Qt's form of a byte array.
pub(super) fn put_qt_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("what is written here is some kilobytes long");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The whole of a file, which may have `limit` bytes at most. Its length is not believed but measured.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |e| Error::io(path, e);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let too_large = |found| Error::TooLarge { what: path.display().to_string(), limit, found };
    if metadata.len() > limit {
        return Err(too_large(metadata.len()));
    }
    // Room for all of it at once: a buffer that grows leaves copies of what it held behind.
    let expected = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 {
        found if found > limit => Err(too_large(found)),
        _ => Ok(bytes),
    }
}

/// A server's address as text; a zone (`%eth0`) is not one.
pub(super) fn address(text: &str) -> Result<IpAddr, Error> {
    text.trim().parse().map_err(|_| Error::BadAddress)
}

/// A port, which is never zero.
pub(super) fn port(number: i64) -> Result<u16, Error> {
    match u16::try_from(number) {
        Ok(0) | Err(_) => Err(Error::BadPort { found: number }),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_off_the_front_and_nothing_is_read_past_the_end() {
        let mut bytes = vec![1, 0, 2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 5, 7];
        put_qt_bytes(&mut bytes, b"ab");
        bytes.extend_from_slice(&[0xff; 4]);
        let mut cursor = Cursor::new(&bytes);
        assert!(cursor.flag("a").unwrap());
        assert_eq!(cursor.u16("b").unwrap(), 2);
        assert_eq!(cursor.u32("c").unwrap(), 3);
        assert_eq!(cursor.i32("d").unwrap(), -2);
        assert_eq!(cursor.u64("e").unwrap(), 5);
        assert_eq!(cursor.u8("f").unwrap(), 7);
        assert_eq!(cursor.qt_bytes("g").unwrap(), b"ab");
        assert_eq!(cursor.left(), 4);
        assert_eq!(cursor.qt_bytes("i").unwrap(), b"");
        assert!(cursor.is_empty());
        assert!(matches!(cursor.u32("k"), Err(Error::Truncated { what: "k", needed: 4, left: 0 })));
    }

    #[test]
    fn a_length_that_is_not_there_reserves_nothing() {
        let bytes = [0xff, 0xff, 0xff, 0xfe, 1, 2];
        let error = Cursor::new(&bytes).qt_bytes("x").unwrap_err();
        assert!(matches!(error, Error::Truncated { needed: 0xffff_fffe, left: 2, .. }));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [0; 9]).unwrap();
        assert_eq!(read_file(&path, 9).unwrap().len(), 9);
        assert!(matches!(read_file(&path, 8), Err(Error::TooLarge { limit: 8, found: 9, .. })));
        assert!(matches!(read_file(&dir.path().join("g"), 8), Err(Error::NotFound { .. })));
        // A directory opens on some systems, and cannot be read on any.
        assert!(matches!(read_file(dir.path(), 1 << 20), Err(Error::Io { .. })));
    }

    #[test]
    fn ports_and_addresses() {
        assert_eq!(port(443).unwrap(), 443);
        for wrong in [0, -1, 65_536, i64::MAX] {
            assert!(matches!(port(wrong), Err(Error::BadPort { found }) if found == wrong));
        }
        assert!(address("149.154.167.51").unwrap().is_ipv4());
        assert!(address("2001:067c:04e8:f002:0000:0000:0000:000a").unwrap().is_ipv6());
        for wrong in ["", "149.154.167", "example.org", "fe80::1%eth0", "1.2.3.4:443"] {
            assert!(matches!(address(wrong), Err(Error::BadAddress)), "{wrong}");
        }
    }
}
