//! Reads and writes at an offset, on every platform: several parts of one file at once, without a shared cursor.

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
/// is a new one that has to be found and charged: that cost more than to decrypt it. Linux has that since 6.14, on some file systems;
/// where there is no such thing, and once one call was refused, writes are ordinary ones.
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
        write_all_by(buffer, offset, |buffer, offset| {
            if self.is_tried() {
                match write_passing(file, buffer, offset) {
                    Err(error) if is_refusal(&error) => self.0.store(false, Ordering::Relaxed),
                    written => return written,
                }
            }
            write_at(file, buffer, offset)
        })
    }
}

/// Whether an error may mean that the system or the file system has no such thing. Where it means something else, an ordinary write fails too.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput)
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
    use super::*;

    /// Whatever the file system makes of it, the bytes are where they belong; one that refuses is not asked again.
    #[test]
    fn what_passes_the_cache_is_all_there_on_every_file_system() {
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let memory = std::path::Path::new("/dev/shm");
        let places = [Some(std::env::temp_dir()), memory.is_dir().then(|| memory.to_owned())];
        for place in places.into_iter().flatten() {
            let file = tempfile::tempfile_in(&place).unwrap();
            let passing = Passing::new(true);
            for (at, piece) in [(3, &content[..100_000]), (100_003, &content[100_000..])] {
                passing.write_all_at(&file, piece, at).unwrap();
            }
            let mut read = vec![0; content.len()];
            read_exact_at(&file, &mut read, 3).unwrap();
            assert!(read == content, "{}", place.display());
            if cfg!(target_os = "linux") && place == memory {
                assert!(!passing.is_tried(), "a file system in memory has nowhere to pass things on to");
            }
        }
    }

    #[test]
    fn a_refusal_is_one_of_the_way_and_not_of_the_disk() {
        for (kind, refusal) in [
            (ErrorKind::Unsupported, true),
            (ErrorKind::InvalidInput, true),
            (ErrorKind::StorageFull, false),
            (ErrorKind::PermissionDenied, false),
        ] {
            assert_eq!(is_refusal(&Error::from(kind)), refusal, "{kind}");
        }
        // A full disk is told as one, whichever way it is written.
        if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
            let passing = Passing::new(true);
            let error = passing.write_all_at(&full, &[1], 0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
    }
}
