//! A view of a source that lets a library neither read nor allocate without bounds.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// How far beyond where it stands the source pretends to go on, at most.
const AHEAD: u64 = 16 * 1024 * 1024;
/// What may be read of it altogether.
const BUDGET: u64 = 64 * 1024 * 1024;
/// How often it may be read from or sought in: a file of nothing but jumps ends as well.
const STEPS: u32 = 2_000_000;

/// A reader with a budget. Its end, for whoever asks where that is, is never more than [`AHEAD`] away: what says that it is longer is
/// not worth reading, and gets no buffer of that length.
pub(super) struct Window<R> {
    inner: R,
    end: u64,
    left: u64,
    steps: u32,
}

impl<R: Read + Seek> Window<R> {
    /// A view of `inner`, which is `end` bytes long.
    pub(super) fn new(inner: R, end: u64) -> Self {
        Self { inner, end, left: BUDGET, steps: STEPS }
    }

    fn step(&mut self) -> Result<()> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::FileTooLarge, "too many steps"))?;
        Ok(())
    }
}

impl<R: Read + Seek> Read for Window<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.step()?;
        if self.left == 0 && !buffer.is_empty() {
            return Err(Error::new(ErrorKind::FileTooLarge, "too much to read"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}

impl<R: Read + Seek> Seek for Window<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.step()?;
        match to {
            SeekFrom::End(back) => {
                let at = self.inner.stream_position()?;
                let end = self.end.min(at.saturating_add(AHEAD));
                let to = end.checked_add_signed(back).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
                self.inner.seek(SeekFrom::Start(to))
            }
            other => self.inner.seek(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_end_is_never_far_and_the_budget_ends() {
        let mut window = Window::new(Endless(0), 1 << 40);
        window.seek(SeekFrom::Start(5)).unwrap();
        assert_eq!(window.seek(SeekFrom::End(0)).unwrap(), 5 + AHEAD);
        let mut small = Window::new(Cursor::new([0; 10]), 10);
        assert_eq!(small.seek(SeekFrom::End(-1)).unwrap(), 9);
        let error = std::io::copy(&mut window, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    /// Endless bytes that can be sought in.
    struct Endless(u64);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }

    impl Seek for Endless {
        fn seek(&mut self, to: SeekFrom) -> Result<u64> {
            match to {
                SeekFrom::Start(at) => self.0 = at,
                SeekFrom::Current(by) => self.0 = self.0.saturating_add_signed(by),
                SeekFrom::End(_) => unreachable!("the window answers that"),
            }
            Ok(self.0)
        }
    }
}
