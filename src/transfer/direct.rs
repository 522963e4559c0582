//! Writes past the system's page cache, for files so large that they would push everything else out of it.
//!
//! What is written the ordinary way is copied into memory that the system finds for it, page by page, and from there to the disk: for a large
//! file that is the dearest thing about a download, and the memory is full of what nobody reads again. Written directly it goes from a small
//! buffer of ours to the disk. Only whole blocks can; the rest, and whatever a file system or a device refuses, is written the ordinary way.

use std::fs::File;
use std::io::Result;
use std::path::Path;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{Buffers, Direct};
#[cfg(target_os = "linux")]
pub(super) use linux::{Buffers, Direct};

/// Files of at least this size are written directly, in bytes. Smaller ones are likely to be opened next, and then the cache has them.
pub(super) const LARGE: u64 = 64 << 20;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    use rustix::fs::{OFlags, fstatfs};
    use rustix::io::Errno;

    use super::super::parts::DOWNLOAD_PART;
    use super::super::positional::write_at;
    use super::{File, Path, Result};

    /// What an offset, a length and an address in memory must be multiples of. Few devices want so much, and hardly any wants more.
    pub(super) const BLOCK: usize = 4096;
    /// How much is written at once, in bytes: what comes at once. Every write is a round to the device and back, and costs a good deal more
    /// than what it copies.
    pub(super) const CHUNK: usize = DOWNLOAD_PART as usize;
    /// File systems, by their magic numbers, whose direct writes go to a disk of this machine, with nothing to be done to them on the way:
    /// ext2 to ext4, XFS, F2FS.
    const FIT: [u64; 3] = [0xEF53, 0x5846_5342, 0xF2F5_2010];

    /// A second way into a file: the one past the cache.
    pub(in super::super) struct Direct {
        file: File,
        /// The file system has said no: it is not asked again.
        refused: AtomicBool,
    }

    impl Direct {
        /// The direct way into `file`, which is at `path`; none if this is not the place for it.
        pub(in super::super) fn open(file: &File, path: &Path) -> Option<Self> {
            let kind = fstatfs(file).ok()?.f_type;
            if !FIT.contains(&u64::try_from(kind).ok()?) {
                return None;
            }
            let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
            let direct = File::options().write(true).custom_flags(flags).open(path).ok()?;
            // Somebody may have put another file there meanwhile.
            let (this, that) = (file.metadata().ok()?, direct.metadata().ok()?);
            let same = (this.dev(), this.ino()) == (that.dev(), that.ino());
            same.then(|| Self::into(direct))
        }

        /// The way that `file` is, which was opened for it.
        pub(super) fn into(file: File) -> Self {
            Self { file, refused: AtomicBool::new(false) }
        }

        /// Writes as much of `bytes` as can go this way, from its beginning, at `offset`. How much that was, in bytes.
        pub(in super::super) fn write(&self, buffers: &Buffers, offset: u64, bytes: &[u8]) -> Result<usize> {
            if !offset.is_multiple_of(BLOCK as u64) || bytes.len() < BLOCK || self.refused.load(Ordering::Relaxed) {
                return Ok(0);
            }
            let Some(mut buffer) = buffers.take() else { return Ok(0) };
            let mut written = 0;
            let outcome = loop {
                let rest = bytes.get(written..).unwrap_or_default();
                let len = rest.len().min(CHUNK) / BLOCK * BLOCK;
                let (Some(from), Some(to)) = (rest.get(..len), buffer.blocks(len)) else { break Ok(()) };
                to.copy_from_slice(from);
                match write_at(&self.file, to, offset + written as u64) {
                    // What is not a whole block cannot be gone on from, and a device that takes nothing takes nothing more.
                    Ok(n) => {
                        written += n / BLOCK * BLOCK;
                        if n < len || n == 0 {
                            break Ok(());
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) if refuses(&error) => {
                        self.refused.store(true, Ordering::Relaxed);
                        break Ok(());
                    }
                    Err(error) => break Err(error),
                }
            };
            buffers.give(buffer);
            outcome.map(|()| written)
        }
    }

    /// Whether an error means that this way is not to be had, rather than that the disk is full or broken.
    fn refuses(error: &std::io::Error) -> bool {
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        matches!(code, Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS))
    }

    /// Buffers to write from: as many as there ever were writers at once.
    #[derive(Default)]
    pub(in super::super) struct Buffers {
        idle: Mutex<Vec<Buffer>>,
    }

    impl Buffers {
        fn take(&self) -> Option<Buffer> {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            idle.or_else(Buffer::new)
        }

        fn give(&self, buffer: Buffer) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }

        /// The next write comes from where no device takes a block from.
        #[cfg(test)]
        pub(super) fn misaligned() -> Self {
            let buffers = Self::default();
            buffers.idle.lock().unwrap().extend(Buffer::new().map(|buffer| Buffer { start: buffer.start + 1, ..buffer }));
            buffers
        }
    }

    /// Memory that begins where a block may.
    struct Buffer {
        room: Vec<u8>,
        start: usize,
    }

    impl Buffer {
        fn new() -> Option<Self> {
            let room = vec![0; CHUNK + BLOCK];
            let start = room.as_ptr().align_offset(BLOCK);
            (start < BLOCK).then_some(Self { room, start })
        }

        /// Its first `len` bytes; none if that is nothing.
        fn blocks(&mut self, len: usize) -> Option<&mut [u8]> {
            self.room.get_mut(self.start..self.start + len).filter(|blocks| !blocks.is_empty())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{File, Path, Result};

    #[derive(Default)]
    pub(in super::super) struct Buffers;

    /// There is no such way that all file systems here know.
    pub(in super::super) enum Direct {}

    impl Direct {
        pub(in super::super) fn open(_: &File, _: &Path) -> Option<Self> {
            None
        }

        pub(in super::super) fn write(&self, _: &Buffers, _: u64, _: &[u8]) -> Result<usize> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::linux::{BLOCK, CHUNK};
    use super::*;

    /// A file with a direct way into it; nothing where the directory of temporary files is on a file system that has none.
    fn file(size: u64) -> Option<(tempfile::NamedTempFile, Direct)> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(size).expect("room");
        let direct = Direct::open(file.as_file(), file.path());
        if direct.is_none() {
            eprintln!("no direct writes in {}: nothing is tested", file.path().display());
        }
        direct.map(|direct| (file, direct))
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect()
    }

    #[test]
    fn whole_blocks_are_written_and_what_is_none_is_left() {
        let Some((file, direct)) = file(4 << 20) else { return };
        let buffers = Buffers::default();
        for (offset, len, written) in [
            (0, CHUNK * 2 + 2 * BLOCK + 17, CHUNK * 2 + 2 * BLOCK),
            (BLOCK as u64 * 3, BLOCK, BLOCK),
            (CHUNK as u64, CHUNK - 1, CHUNK - BLOCK),
            (BLOCK as u64, BLOCK - 1, 0),
            (17, BLOCK * 2, 0),
            (512, BLOCK * 2, 0),
            (0, 0, 0),
        ] {
            file.as_file().write_all_at(&vec![0; 4 << 20], 0).unwrap();
            // Not where a block may begin, wherever the vector is.
            let bytes = content(len + 1);
            let bytes = bytes.get(1..).unwrap();
            assert_eq!(direct.write(&buffers, offset, bytes).unwrap(), written, "{len} at {offset}");
            let mut there = vec![0; len];
            file.as_file().read_exact_at(&mut there, offset).unwrap();
            assert!(there.get(..written) == bytes.get(..written), "{len} at {offset}");
            assert!(there.iter().skip(written).all(|b| *b == 0), "{len} at {offset}");
        }
    }

    #[test]
    fn what_is_refused_is_not_tried_again_and_what_fails_is_an_error() {
        let Some((file, direct)) = file(4 << 20) else { return };
        let buffers = Buffers::default();
        assert_eq!(direct.write(&Buffers::misaligned(), 0, &content(CHUNK * 2)).unwrap(), 0);
        assert_eq!(direct.write(&buffers, 0, &content(CHUNK * 2)).unwrap(), 0, "from where it would do");
        let again = Direct::open(file.as_file(), file.path()).unwrap();
        assert_eq!(again.write(&buffers, 0, &content(CHUNK * 2)).unwrap(), CHUNK * 2);

        let full = Direct::into(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(full.write(&buffers, 0, &content(BLOCK)).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    #[test]
    fn only_the_same_file_will_do_and_only_on_a_disk() {
        let Some((file, _direct)) = file(BLOCK as u64) else { return };
        let (other, path) = tempfile::NamedTempFile::new().unwrap().keep().unwrap();
        assert!(Direct::open(&other, &path).is_some());
        assert!(Direct::open(file.as_file(), &path).is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(Direct::open(&other, &path).is_none());
        // A file system in memory: there is nothing that the cache could be passed by for.
        let memory = File::options().write(true).open("/proc/self/comm").unwrap();
        assert!(Direct::open(&memory, Path::new("/proc/self/comm")).is_none());
    }
}
