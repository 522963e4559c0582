//! Files with secrets that are handed out: made anew, readable by their owner only, never in place of something else.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
};

use super::Error;

/// Makes a directory, which must not be there yet.
pub(super) fn create_dir(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| Error::io(path, e))
}

/// Makes a file, which must not be there yet, and writes all of it to the disk.
///
/// # Errors
///
/// [`Error::Exists`]; [`Error::Io`], and then half a file does not stay behind.
pub fn create(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|e| Error::io(path, e))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|e| {
        // What was written so far is of no use to anybody; the first error is the one to tell.
        drop(fs::remove_file(path));
        Error::io(path, e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_can_read_and_nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (sub, file) = (dir.path().join("d"), dir.path().join("d/f"));
        create_dir(&sub).unwrap();
        create(&file, b"secret").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"secret");
        assert!(matches!(create_dir(&sub), Err(Error::Exists { path }) if path == sub));
        assert!(matches!(create(&file, b""), Err(Error::Exists { path }) if path == file));
        assert!(matches!(create(&dir.path().join("no/f"), b""), Err(Error::NotFound { .. })));
        #[cfg(unix)]
        for (path, mode) in [(&sub, 0o700), (&file, 0o600)] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
    }
}
