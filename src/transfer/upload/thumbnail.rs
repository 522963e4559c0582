//! The small picture that goes with a file: one that lies there, or a frame of the video, taken by ffmpeg where that is installed.
//!
//! "Uploading and Downloading Files" wants a JPEG of at most 200 KB and 320 pixels a side. ffmpeg scales on its own, so that no picture is
//! decoded here.

use std::ffi::{OsStr, OsString};
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::transfer::attributes::{Image, ImageFormat};

/// The longest that a thumbnail may be, in bytes.
pub const MAX_BYTES: u64 = 200 * 1024;
/// The longest side that a thumbnail may have, in pixels.
pub const MAX_SIDE: i32 = 320;
/// How long ffmpeg may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a picture cannot be a thumbnail.
#[derive(Debug, Error)]
pub enum ThumbnailError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The picture.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no JPEG.
    #[error("{} is not a JPEG", path.display())]
    NotJpeg {
        /// The picture.
        path: PathBuf,
    },
    /// It is larger than the server takes.
    #[error("{} is larger than {MAX_SIDE} pixels or {} KiB", path.display(), MAX_BYTES / 1024)]
    TooLarge {
        /// The picture.
        path: PathBuf,
    },
    /// ffmpeg did not make one.
    #[error("ffmpeg made no thumbnail of {}", path.display())]
    NotMade {
        /// What it was to be made of.
        path: PathBuf,
    },
}

/// Reads a picture that is to be a thumbnail.
///
/// # Errors
///
/// [`ThumbnailError`]; of one that is not fit for it as it is, [`made`] may make one that is.
pub fn read(path: &Path) -> Result<Bytes, ThumbnailError> {
    let io = |source| ThumbnailError::Io { path: path.to_owned(), source };
    // Looked at before it is opened: opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    check(bytes, path)
}

fn check(bytes: Vec<u8>, path: &Path) -> Result<Bytes, ThumbnailError> {
    match Image::of(&mut Cursor::new(&bytes)) {
        Some(image) if image.format == ImageFormat::Jpeg => {
            let fits = bytes.len() as u64 <= MAX_BYTES && image.width.max(image.height) <= MAX_SIDE;
            if fits { Ok(bytes.into()) } else { Err(ThumbnailError::TooLarge { path: path.to_owned() }) }
        }
        _ => Err(ThumbnailError::NotJpeg { path: path.to_owned() }),
    }
}

/// Where ffmpeg is, by the environment's search path.
pub fn ffmpeg() -> Option<PathBuf> {
    let name = if cfg!(windows) { "ffmpeg.exe" } else { "ffmpeg" };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Has ffmpeg make a thumbnail of a video, of its frame `at` seconds from the beginning, or of a picture.
///
/// # Errors
///
/// [`ThumbnailError::NotMade`] when it fails, takes longer than half a minute, or makes something else.
pub async fn made(ffmpeg: &Path, of: &Path, at: f64) -> Result<Bytes, ThumbnailError> {
    let not_made = || ThumbnailError::NotMade { path: of.to_owned() };
    let mut child = Command::new(ffmpeg)
        .args(arguments(of, at))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| not_made())?;
    let output = child.stdout.take().ok_or_else(not_made)?;
    let child = Arc::new(Mutex::new(child));
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        output.take(MAX_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let guard = Guard(child);
    let bytes = match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(Ok(bytes))) => bytes,
        _ => return Err(not_made()),
    };
    drop(guard);
    check(bytes, of).map_err(|_| not_made())
}

/// Ends the child, whatever becomes of the wait for it: one that has ended already does not mind.
struct Guard(Arc<Mutex<Child>>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// ffmpeg's arguments. The file is hostile, and may be a list of others: it opens what is named here, and nothing on the network.
fn arguments(of: &Path, at: f64) -> Vec<OsString> {
    let mut list: Vec<OsString> = ["-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe"]
        .iter()
        .map(OsString::from)
        .collect();
    if at > 0.0 {
        list.extend([OsString::from("-ss"), format!("{at:.3}").into()]);
    }
    let mut input = OsString::from("file:");
    input.push(of);
    let side = MAX_SIDE;
    let scale = format!("scale='min({side},iw)':'min({side},ih)':force_original_aspect_ratio=decrease");
    list.extend([OsString::from("-i"), input]);
    list.extend(["-an", "-frames:v", "1", "-vf", &scale, "-q:v", "5", "-f", "mjpeg", "pipe:1"].iter().map(OsString::from));
    list
}

/// The thumbnail that lies beside `path` under another extension, if there is one: `film.thumb` beside `film.mp4`.
pub fn beside(path: &Path, extension: &str) -> Option<PathBuf> {
    let other = path.with_extension(extension);
    (path.extension() != Some(OsStr::new(extension)) && other.is_file()).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/media_file/picture.jpg"));

    #[test]
    fn only_a_small_jpeg_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(&*read(&write("a.thumb", JPEG)).unwrap(), JPEG);
        let long: Vec<u8> = JPEG.iter().copied().chain(std::iter::repeat_n(0, 300 * 1024)).collect();
        assert!(matches!(read(&write("long", &long)), Err(ThumbnailError::TooLarge { .. })));
        let wide = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x30\x01\x41";
        assert!(matches!(read(&write("wide", wide)), Err(ThumbnailError::TooLarge { .. })));
        assert!(matches!(read(&write("png", b"\x89PNG\r\n\x1a\n")), Err(ThumbnailError::NotJpeg { .. })));
        assert!(matches!(read(dir.path()), Err(ThumbnailError::Io { .. })));
    }

    #[test]
    fn a_thumbnail_lies_beside_the_whole_name_without_its_extension() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pop.thumb"), JPEG).unwrap();
        assert_eq!(beside(&dir.path().join("pop.mp4"), "thumb"), Some(dir.path().join("pop.thumb")));
        assert_eq!(beside(&dir.path().join("po.mp4"), "thumb"), None);
        assert_eq!(beside(&dir.path().join("pop.thumb"), "thumb"), None, "none of itself");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_is_called_ffmpeg_is_believed_only_if_it_makes_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("good.jpg"), JPEG).unwrap();
        let script = |text: &str| {
            let path = dir.path().join("ffmpeg");
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let film = Path::new("-film.mp4");
        let good = script(&format!("cat {}", dir.path().join("good.jpg").display()));
        assert_eq!(&*made(&good, film, 1.0).await.unwrap(), JPEG);
        for text in ["exit 1", "echo nonsense", "yes"] {
            assert!(matches!(made(&script(text), film, 0.0).await, Err(ThumbnailError::NotMade { .. })), "{text}");
        }
        let asked = arguments(film, 1.5);
        assert!(asked.contains(&"file:-film.mp4".into()) && asked.contains(&"1.500".into()));
    }
}
