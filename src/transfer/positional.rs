//! Reads and writes at an offset, on every platform: several parts of one file at once, without a shared cursor. [`Passing`]: what is
//! written does not stay in memory, where the system has that.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use std::os::unix::fs::FileExt as _;
#[cfg(windows)]
use std::os::windows::fs::FileExt as _;

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    file.read_at(buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    file.seek_read(buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, buffer: &[u8], offset: u64) -> Result<usize> {
    file.write_at(buffer, offset)
}

#[cfg(windows)]
fn write_at(file: &File, buffer: &[u8], offset: u64) -> Result<usize> {
    file.seek_write(buffer, offset)
}

/// Fills `buffer` from `offset`.
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof)),
            Ok(n) => {
                buffer = buffer.get_mut(n..).unwrap_or_default();
                offset += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// So many bytes from `offset`, in memory that was not filled before.
#[cfg(unix)]
pub(super) fn read_new(file: &File, len: usize, offset: u64) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(len);
    while buffer.len() < len {
        let at = offset.saturating_add(buffer.len() as u64);
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may be room for more than was asked for.
    buffer.truncate(len);
    Ok(buffer)
}

/// So many bytes from `offset`.
#[cfg(not(unix))]
pub(super) fn read_new(file: &File, len: usize, offset: u64) -> Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    read_exact_at(file, &mut buffer, offset)?;
    Ok(buffer)
}

/// Writes all of `buffer` at `offset`, by a call that writes some of it.
fn write_all_by(mut buffer: &[u8], mut offset: u64, write: impl Fn(&[u8], u64) -> Result<usize>) -> Result<()> {
    while !buffer.is_empty() {
        match write(buffer, offset) {
            Ok(0) => return Err(Error::from(ErrorKind::WriteZero)),
            Ok(n) => {
                buffer = buffer.get(n..).unwrap_or_default();
                offset += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether what is written to a file may leave the page cache as soon as the disk has it.
///
/// A file that is larger than what anybody reads again at once would otherwise push out of the memory what is in use, and each of its pages
/// is a new one that has to be found and charged: that cost more than to decrypt it. Recent systems have that (Linux: `RWF_DONTCACHE`), on
/// some file systems. Where one call fails, ordinary ones follow: they say what is wrong, if anything is.
pub(super) struct Passing(AtomicBool);

impl Passing {
    /// Whether it is to be tried.
    pub(super) fn new(wanted: bool) -> Self {
        Self(AtomicBool::new(wanted && cfg!(target_os = "linux")))
    }

    /// Whether it is still tried.
    pub(super) fn is_tried(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Writes all of `buffer` at `offset`.
    pub(super) fn write_all_at(&self, file: &File, buffer: &[u8], offset: u64) -> Result<()> {
        let passing = |buffer: &[u8], offset| write_passing(file, buffer, offset);
        self.write_all_by(buffer, offset, passing, |buffer, offset| write_at(file, buffer, offset))
    }

    fn write_all_by(
        &self,
        buffer: &[u8],
        offset: u64,
        passing: impl Fn(&[u8], u64) -> Result<usize>,
        ordinary: impl Fn(&[u8], u64) -> Result<usize>,
    ) -> Result<()> {
        write_all_by(buffer, offset, |buffer, offset| {
            if self.is_tried() {
                match passing(buffer, offset) {
                    Err(error) if error.kind() != ErrorKind::Interrupted => self.0.store(false, Ordering::Relaxed),
                    written => return written,
                }
            }
            ordinary(buffer, offset)
        })
    }
}

#[cfg(target_os = "linux")]
fn write_passing(file: &File, buffer: &[u8], offset: u64) -> Result<usize> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    /// `RWF_DONTCACHE`.
    const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);
    Ok(pwritev2(file, &[std::io::IoSlice::new(buffer)], offset, DONT_CACHE)?)
}

#[cfg(not(target_os = "linux"))]
fn write_passing(_: &File, _: &[u8], _: u64) -> Result<usize> {
    Err(Error::from(ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Whether the file system is one that is known to let things pass, on a system that is known for it.
    #[cfg(target_os = "linux")]
    fn can_pass(file: &File) -> bool {
        const EXT4: u64 = 0xef53;
        const XFS: u64 = 0x5846_5342;
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
        let system = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let kind = u64::try_from(rustix::fs::fstatfs(file).unwrap().f_type).unwrap();
        system >= (6, 18) && [EXT4, XFS].contains(&kind)
    }

    #[test]
    fn new_memory_holds_what_is_in_the_file_and_no_less() {
        let content: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &content).unwrap();
        for (at, len) in [(0, 0), (0, 1), (5, 70_000), (99_999, 1), (0, 100_000)] {
            assert!(read_new(&file, len, at as u64).unwrap() == content[at..at + len], "{at} {len}");
        }
        for (at, len) in [(0, 100_001), (100_000, 1), (u64::MAX / 4, 5)] {
            assert_eq!(read_new(&file, len, at).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{at} {len}");
        }
        assert!(read_new(&file, 5, u64::MAX - 1).is_err());
    }

    /// The bytes are where they belong, whatever the file system makes of it; and it is done where it is known that it can be.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_passes_the_cache_is_all_there() {
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for place in [std::env::temp_dir(), "/dev/shm".into()] {
            let Ok(file) = tempfile::tempfile_in(&place) else { continue };
            let passing = Passing::new(true);
            for (at, piece) in [(3, &content[..100_000]), (100_003, &content[100_000..])] {
                passing.write_all_at(&file, piece, at).unwrap();
            }
            let mut read = vec![0; content.len()];
            read_exact_at(&file, &mut read, 3).unwrap();
            assert!(read == content, "{}", place.display());
            assert!(passing.is_tried() || !can_pass(&file), "{}", place.display());
        }
    }

    /// A call that fails is made in the ordinary way, from there on; its failure is the one that counts. What is only interrupted is
    /// made again.
    #[test]
    fn whoever_is_refused_once_does_not_ask_again() {
        let (asked, written) = (Cell::new(0), Cell::new(0));
        let ordinary = |buffer: &[u8], offset: u64| {
            assert_eq!(offset, 10 + written.get());
            let some = buffer.len().min(3);
            written.set(written.get() + some as u64);
            Ok(some)
        };
        let passing = |buffer: &[u8], offset: u64| {
            asked.set(asked.get() + 1);
            match asked.get() {
                1 => Err(Error::from(ErrorKind::Interrupted)),
                2 => ordinary(buffer, offset),
                _ => Err(Error::from(ErrorKind::PermissionDenied)),
            }
        };
        let tried = Passing(AtomicBool::new(true));
        tried.write_all_by(&[1; 8], 10, passing, ordinary).unwrap();
        assert_eq!((asked.get(), written.get()), (3, 8));
        assert!(!tried.is_tried());
        tried.write_all_by(&[1; 2], 18, passing, ordinary).unwrap();
        assert_eq!((asked.get(), written.get()), (3, 10));
        let full = |_: &[u8], _: u64| Err(Error::from(ErrorKind::StorageFull));
        let tried = Passing(AtomicBool::new(true));
        assert_eq!(tried.write_all_by(&[1], 0, full, full).unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
