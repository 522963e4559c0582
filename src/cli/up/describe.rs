//! What a file is to appear as: photo, video, music, voice message or plain file; with which name, text and thumbnail.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use tdl::chat::html;
use tdl::tl::api::enums;
use tdl::transfer::attributes::{Content, Image, ImageFormat};
use tdl::transfer::upload::{SMALL_FILE, thumbnail};

use super::args::{Thumb, UpArgs};
use super::plan::{Class, Item};
use crate::cli::exit::CliError;
use crate::cli::expr::Expression;
use crate::cli::failure::Failure;

/// Width and height of a photo together, in pixels ("Uploading and Downloading Files").
const PHOTO_SIDES: i32 = 10_000;
/// The longer side of a photo over the shorter.
const PHOTO_RATIO: i32 = 20;

/// As what a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Photo,
    Video,
    Music,
    Voice,
    File,
}

impl As {
    /// In one word, for `--dry-run`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Music => "music",
            Self::Voice => "voice",
            Self::File => "file",
        }
    }

    /// What it may share an album with.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Photo | Self::Video => Class::Visual,
            Self::Music => Class::Audio,
            Self::File => Class::File,
            Self::Voice => Class::Alone,
        }
    }
}

/// Why a picture of `size` bytes cannot be a photo, if it cannot.
pub(super) fn no_photo(image: Image, size: u64) -> Option<&'static str> {
    let (long, short) = (image.width.max(image.height), image.width.min(image.height));
    if !matches!(image.format, ImageFormat::Jpeg | ImageFormat::Png) {
        Some("it is neither JPEG nor PNG")
    } else if size > SMALL_FILE {
        Some("it has more than 10 MB")
    } else if long.saturating_add(short) > PHOTO_SIDES {
        Some("its sides have more than 10000 pixels together")
    } else if long > short.saturating_mul(PHOTO_RATIO) {
        Some("it is more than 20 times as long as wide")
    } else {
        None
    }
}

/// As what a file with this content and of `size` bytes goes, and, where it is not what was asked for, why not.
pub(super) fn form(args: &UpArgs, content: &Content, size: u64) -> (As, Option<&'static str>) {
    match content {
        Content::Image(image) if args.photo => match no_photo(*image, size) {
            None => (As::Photo, None),
            why => (As::File, why),
        },
        Content::Video(_) if !args.as_file => (As::Video, None),
        Content::Audio(audio) if args.voice => {
            if audio.opus {
                (As::Voice, None)
            } else {
                (As::Music, Some("it is not Opus in Ogg"))
            }
        }
        Content::Audio(_) if !args.as_file => (As::Music, None),
        _ => (As::File, None),
    }
}

/// By name, or where that says nothing, by content.
pub(super) fn mime_of(path: &Path, name: &str, content: &Content) -> String {
    let of = |path: &Path| mime_guess::from_path(path).first().map(|mime| mime.essence_str().to_owned());
    if let Some(mime) = of(Path::new(name)).or_else(|| of(path)) {
        return mime;
    }
    if let Content::Image(image) = content {
        return image.format.mime().to_owned();
    }
    match infer::get_from_path(path) {
        Ok(Some(kind)) => kind.mime_type().to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

/// What a caption sees.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UploadFields {
    /// The path as it was given or found.
    pub(super) file_path: String,
    /// The name without its extension.
    pub(super) file_name: String,
    /// The extension with its dot.
    pub(super) file_ext: String,
    /// The path of the thumbnail beside the file, or nothing.
    pub(super) thumb_path: String,
    /// The MIME type.
    #[serde(rename = "MIME")]
    pub(super) mime: String,
    /// Which of the run's messages, from 1.
    pub(super) index: u32,
    /// Bytes.
    pub(super) size: u64,
    /// Seconds.
    pub(super) duration: f64,
    /// Pixels.
    pub(super) width: i32,
    /// Pixels.
    pub(super) height: i32,
    /// Of music.
    pub(super) title: String,
    /// Of music.
    pub(super) performer: String,
    /// Of a file in pieces: which one, from 1; 0 of a whole one.
    pub(super) piece: u32,
    /// Of a file in pieces: how many; 0 of a whole one.
    pub(super) pieces: u32,
}

impl UploadFields {
    /// The list that `--caption -` prints.
    pub(super) const HELP: &'static str = "\
FilePath       string  path of the file
FileName       string  name without its extension
FileExt        string  extension with its dot
ThumbPath      string  path of the thumbnail beside the file; may be empty
MIME           string  MIME type
Index          int     which of the messages, from 1
Size           int     size in bytes; 0 from standard input
Duration       float   seconds, of videos and music; 0 if unknown
Width          int     pixels, of videos and pictures; 0 if unknown
Height         int     pixels
Title          string  of music; may be empty
Performer      string  of music; may be empty
Piece          int     which piece of the file, from 1; 0 of a whole one
Pieces         int     how many pieces; 0 of a whole one";

    /// Of the file at `path`, which the receiver sees under another name or not.
    pub(super) fn new(path: &Path, mime: &str, content: &Content) -> Self {
        let part = |p: Option<&std::ffi::OsStr>| p.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let extension = part(path.extension());
        let (width, height) = content.size().unwrap_or_default();
        let (title, performer) = match content {
            Content::Audio(audio) => (audio.title.clone(), audio.performer.clone()),
            _ => (None, None),
        };
        Self {
            file_path: path.to_string_lossy().into_owned(),
            file_name: part(path.file_stem()),
            file_ext: if extension.is_empty() { extension } else { format!(".{extension}") },
            thumb_path: String::new(),
            mime: mime.to_owned(),
            index: 1,
            size: 0,
            duration: content.duration().unwrap_or(0.0),
            width,
            height,
            title: title.unwrap_or_default(),
            performer: performer.unwrap_or_default(),
            piece: 0,
            pieces: 0,
        }
    }

    /// The same for one item of a run.
    pub(super) fn of(item: &Item, index: u32, size: u64, mime: &str, content: &Content, thumb: Option<&Path>) -> Self {
        Self {
            index: index.saturating_add(1),
            size,
            thumb_path: thumb.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
            piece: item.piece.map_or(0, |piece| piece.number),
            pieces: item.piece.map_or(0, |piece| piece.of),
            ..Self::new(&item.path, mime, content)
        }
    }
}

/// Text and formatting that the expression gives for a file.
pub(super) fn caption(
    expression: Option<&Expression>,
    fields: &UploadFields,
) -> Result<(String, Vec<enums::MessageEntity>), Failure> {
    let Some(expression) = expression else { return Ok(Default::default()) };
    let html = expression.text(fields)?;
    html::parse(&html).map_err(|e| Failure::Item(format!("its caption {html:?}: {e}")))
}

/// The picture beside a file that is to be its thumbnail.
pub(super) fn sidecar(args: &UpArgs, path: &Path, content: &Content) -> Option<PathBuf> {
    match &args.thumb {
        Thumb::None => None,
        Thumb::File(file) => Some(file.clone()),
        Thumb::Auto => thumbnail::beside(path, "thumb"),
        Thumb::Jpg => thumbnail::beside(path, "thumb")
            .or_else(|| matches!(content, Content::Video(_)).then(|| thumbnail::beside(path, "jpg")).flatten()),
    }
}

/// The thumbnail of a file, if there is one or one can be made, and what to tell about it.
pub(super) async fn thumbnail(
    args: &UpArgs,
    path: &Path,
    content: &Content,
    beside: Option<&Path>,
) -> (Option<Bytes>, Option<String>) {
    match (beside, content, &args.thumb) {
        (Some(picture), ..) => match thumbnail::read(picture) {
            Ok(bytes) => (Some(bytes), None),
            // What is there but does not fit can be made to fit.
            Err(why) => match thumbnail::ffmpeg() {
                Some(ffmpeg) => match thumbnail::made(&ffmpeg, picture, 0.0).await {
                    Ok(bytes) => (Some(bytes), None),
                    Err(_) => (None, Some(format!("no thumbnail: {why}"))),
                },
                None => (None, Some(format!("no thumbnail: {why}"))),
            },
        },
        (None, Content::Video(video), Thumb::Auto | Thumb::Jpg) => {
            let Some(ffmpeg) = thumbnail::ffmpeg() else { return (None, None) };
            // Not the first frame, which is black more often than not; and no later than some seconds, which are quickly found.
            match thumbnail::made(&ffmpeg, path, (video.duration / 10.0).min(5.0)).await {
                Ok(bytes) => (Some(bytes), None),
                Err(why) => (None, Some(format!("no thumbnail: {why}"))),
            }
        }
        _ => (None, None),
    }
}

/// What `--thumb FILE` names has to be fit for it: a mistake there is one of the whole command.
pub(super) fn check_thumb(args: &UpArgs) -> Result<(), CliError> {
    match &args.thumb {
        Thumb::File(path) if thumbnail::ffmpeg().is_none() => match thumbnail::read(path) {
            Ok(_) => Ok(()),
            Err(e) => {
                Err(CliError::usage(format!("--thumb: {e}")).advise("a thumbnail is a JPEG of up to 320 pixels and 200 KiB"))
            }
        },
        Thumb::File(path) if !path.is_file() => Err(CliError::usage(format!("--thumb: there is no file {}", path.display()))
            .advise("it is auto, jpg, none or the path of a JPEG")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_keep_the_servers_limits() {
        let image = |format, width, height| Image { format, width, height };
        let why = |image, size| no_photo(image, size).unwrap_or("");
        assert_eq!(why(image(ImageFormat::Jpeg, 5000, 5000), SMALL_FILE), "");
        assert_eq!(why(image(ImageFormat::Png, 20, 400), 1), "");
        assert!(why(image(ImageFormat::Png, 20, 401), 1).contains("20 times"));
        assert!(why(image(ImageFormat::Png, 5001, 5000), 1).contains("10000"));
        assert!(why(image(ImageFormat::Jpeg, 10, 10), SMALL_FILE + 1).contains("10 MB"));
        assert!(why(image(ImageFormat::Webp, 10, 10), 1).contains("JPEG"));
    }

    #[test]
    fn types_come_from_the_name_and_else_from_the_content() {
        let picture = Content::Image(Image { format: ImageFormat::Webp, width: 1, height: 1 });
        assert_eq!(mime_of(Path::new("a"), "b.mp4", &picture), "video/mp4");
        assert_eq!(mime_of(Path::new("a.txt"), "b", &picture), "text/plain");
        assert_eq!(mime_of(Path::new("a"), "b", &picture), "image/webp");
        assert_eq!(mime_of(Path::new("nowhere"), "b", &Content::Other), "application/octet-stream");
    }
}
