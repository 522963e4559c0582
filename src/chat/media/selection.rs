//! Which files of a message are meant.

use std::fmt;
use std::str::FromStr;

use super::Kind;
use super::sizes::{Sized, codec_rank, height_of};
use crate::tl::api::types;

/// The letters of sizes, with the longer side in pixels that they stand for at most: "Files", Thumbnails.
const LETTERS: &[(&str, u32)] = &[
    ("s", 100),
    ("a", 160),
    ("m", 320),
    ("b", 320),
    ("c", 640),
    ("x", 800),
    ("y", 1280),
    ("d", 1280),
    ("w", 2560),
    ("v", 800),
    ("u", 1280),
    ("f", 1280),
];

/// Why the text of a choice is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Neither a letter nor one of the words.
    #[error(
        "{0:?} is no size: largest, smallest, or one of the letters s m x y w, a b c d for cropped ones, u v for short videos"
    )]
    Size(String),
    /// Neither a height nor one of the words.
    #[error("{0:?} is no quality: original, or a height such as 720 or 720p")]
    Quality(String),
}

/// Which size of a photo or thumbnail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SizeChoice {
    /// The one with the most pixels.
    #[default]
    Largest,
    /// The one with the fewest.
    Smallest,
    /// The one with this letter; without it the largest that is smaller by name, or else the smallest.
    Named(String),
}

impl SizeChoice {
    /// The size that is meant, of those that there are. A picture rather than a video, unless the letter says otherwise.
    pub(super) fn choose<'a>(&self, sizes: &'a [Sized]) -> Option<&'a Sized> {
        let pictures = || sizes.iter().filter(|size| !size.is_video);
        let largest = || pictures().max_by_key(|size| (size.area, size.len));
        let smallest = || pictures().min_by_key(|size| (size.area, size.len));
        match self {
            Self::Largest => largest(),
            Self::Smallest => smallest(),
            Self::Named(letter) => {
                let side = |letter: &str| LETTERS.iter().find(|(known, _)| *known == letter).map_or(0, |(_, side)| *side);
                sizes.iter().find(|size| *size.name == **letter).or_else(|| {
                    let smaller = pictures().filter(|size| side(&size.name) <= side(letter));
                    smaller.max_by_key(|size| (size.area, size.len)).or_else(smallest)
                })
            }
        }
    }
}

impl FromStr for SizeChoice {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        match text {
            "largest" => Ok(Self::Largest),
            "smallest" => Ok(Self::Smallest),
            letter if LETTERS.iter().any(|(known, _)| *known == letter) => Ok(Self::Named(letter.to_owned())),
            other => Err(SelectionError::Size(other.to_owned())),
        }
    }
}

impl fmt::Display for SizeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::Named(letter) => letter,
        })
    }
}

/// Which quality of a video that the server has in several: "Files", Video qualities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// As it was sent.
    #[default]
    Original,
    /// Of this height; without it of the next lower one that there is, or else of the lowest. The original counts as well.
    Height(u32),
}

impl Quality {
    /// The document that is meant. Playlists of the qualities are none.
    pub(super) fn choose<'a>(self, original: &'a types::Document, others: &[&'a types::Document]) -> &'a types::Document {
        let Self::Height(wanted) = self else { return original };
        let all = std::iter::once(original).chain(others.iter().copied().filter(|d| d.mime_type.starts_with("video/")));
        let known: Vec<_> = all.filter_map(|document| Some((height_of(document)?, document))).collect();
        let fits = known.iter().map(|(height, _)| *height).filter(|height| *height <= wanted).max();
        let Some(height) = fits.or_else(|| known.iter().map(|(height, _)| *height).min()) else { return original };
        // Of one height the codec that everything plays; of those the first, which is the original if it is among them.
        let of_height = known.iter().filter(|(of, _)| *of == height);
        of_height.min_by_key(|(_, document)| codec_rank(document)).map_or(original, |(_, document)| document)
    }
}

impl FromStr for Quality {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if text == "original" {
            return Ok(Self::Original);
        }
        let height = text.strip_suffix('p').unwrap_or(text).parse().ok().filter(|height| (1..=10_000).contains(height));
        height.map(Self::Height).ok_or_else(|| SelectionError::Quality(text.to_owned()))
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Original => f.write_str("original"),
            Self::Height(height) => write!(f, "{height}p"),
        }
    }
}

/// Whether thumbnails of documents are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thumbs {
    /// Only the files.
    #[default]
    Without,
    /// The files, and behind each its thumbnail.
    Also,
    /// Only the thumbnails. Photos stay what they are.
    Instead,
}

/// Which files of a message are meant. By default what the message itself is about, in full: documents as they were sent, photos in their
/// largest size, paid media that was bought, media of polls, and stories that it passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Only files of these kinds, and thumbnails of files of these kinds; of all, if there are none.
    pub kinds: Vec<Kind>,
    /// Which size of photos.
    pub photo_size: SizeChoice,
    /// Which quality of videos.
    pub quality: Quality,
    /// Whether thumbnails of documents.
    pub thumbs: Thumbs,
    /// In which size.
    pub thumb_size: SizeChoice,
    /// Also the document or picture of a link's preview and of a game.
    pub web_pages: bool,
    /// Also all that an instant view shows.
    pub instant_view: bool,
    /// Also the media of stories, of a link to one only if previews are meant as well.
    pub stories: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            photo_size: SizeChoice::Largest,
            quality: Quality::Original,
            thumbs: Thumbs::Without,
            thumb_size: SizeChoice::Largest,
            web_pages: false,
            instant_view: false,
            stories: true,
        }
    }
}
