//! Which files: what was named, and what lies below it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tdl::transfer::upload::thumbnail;

use super::args::{Thumb, UpArgs};
use crate::cli::exit::CliError;
use crate::cli::select::Extensions;

/// Extensions of videos, whose pictures `--thumb jpg` takes for their thumbnails.
const VIDEOS: [&str; 8] = ["mp4", "mkv", "webm", "mov", "m4v", "avi", "ts", "wmv"];

/// The files below the given paths, each once, in order. One that cannot be looked at is in the list as well, and fails when its turn
/// comes, unless there is nothing else.
pub(super) fn collect(args: &UpArgs) -> Result<Vec<PathBuf>, CliError> {
    let extensions = Extensions::new(&args.include, &args.exclude);
    let mut paths = args.path.clone();
    if let Some(list) = &args.path_list {
        let text =
            std::fs::read_to_string(list).map_err(|e| CliError::failed(format!("cannot read {}: {e}", list.display())))?;
        paths.extend(text.lines().filter(|l| !l.is_empty()).map(PathBuf::from));
    }
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    let mut missing = None;
    for path in &paths {
        let mut below = Vec::new();
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                walk(path, &mut below)?;
                below.retain(|file| extensions.admits(&file.to_string_lossy()) && !is_thumbnail(file, &args.thumb));
            }
            Ok(_) => below.push(path.clone()),
            Err(e) => {
                missing = missing.or_else(|| Some(format!("cannot read {}: {e}", path.display())));
                below.push(path.clone());
            }
        }
        found.extend(below.into_iter().filter(|file| known.insert(file.clone())));
    }
    if found.is_empty() {
        return Err(CliError::failed("there are no files to upload").advise("check the paths, and --include or --exclude"));
    }
    match missing {
        Some(what) if found.len() == 1 => Err(CliError::failed(what).advise("check the path given with -p")),
        _ => Ok(found),
    }
}

/// Whether a file is there only as the thumbnail of another one.
fn is_thumbnail(file: &Path, thumb: &Thumb) -> bool {
    let is = |extension: &str| file.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    let takes_jpg = *thumb == Thumb::Jpg && is("jpg");
    is("thumb") || (takes_jpg && VIDEOS.iter().any(|video| thumbnail::beside(file, video).is_some()))
}

/// Everything below a directory that is not one itself, by name. Links to directories are not followed: they may lead in circles.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let unreadable = |e: std::io::Error| CliError::failed(format!("cannot read the directory {}: {e}", dir.display()));
    let mut entries = std::fs::read_dir(dir).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type().map_err(unreadable)?.is_dir() {
            walk(&entry.path(), found)?;
        } else if !entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_are_not_sent_themselves() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["film.mp4", "film.jpg", "other.jpg"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        let thumbnail = |name: &str, thumb: Thumb| is_thumbnail(&dir.path().join(name), &thumb);
        assert!(thumbnail("film.thumb", Thumb::None) && thumbnail("film.jpg", Thumb::Jpg));
        assert!(
            !thumbnail("film.jpg", Thumb::Auto) && !thumbnail("other.jpg", Thumb::Jpg) && !thumbnail("film.mp4", Thumb::Jpg)
        );
    }
}
