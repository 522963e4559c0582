//! The files that a message carries, and what the server is asked for to have them.
//!
//! * [`Selection`]: which of them are meant: sizes of photos, qualities of videos, thumbnails, what belongs to web pages.
//! * [`files_of`]: those of a message. One message can have several: paid media, a photo that moves, a file and its thumbnail.
//! * [`Media`]: one file; [`Media::of`], the first that a message has.
//!
//! "Uploading and Downloading Files", "Files", "Stories", "Paid media".

mod find;
mod names;
mod selection;
mod sizes;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::find::{Found, Origin};
use self::names::{extension_for, with_suffix};
use crate::ids::DcId;
use crate::tl::Str;
use crate::tl::api::{enums, types};

pub use self::find::{StoryRef, untold_story};
pub use self::selection::{Quality, Selection, SelectionError, SizeChoice, Thumbs};

/// What kind of file something is, by what its sender declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Any file.
    #[default]
    Document,
    /// A photo.
    Photo,
    /// A video.
    Video,
    /// A video without sound that repeats.
    Animation,
    /// A video in a circle.
    RoundVideo,
    /// A voice message.
    Voice,
    /// Music, or another recording.
    Audio,
    /// A sticker, still or moving.
    Sticker,
    /// A small picture, or a short video, of another file.
    Thumbnail,
}

impl Kind {
    /// Those that a message can be about.
    pub const OF_MESSAGES: [Self; 8] =
        [Self::Photo, Self::Video, Self::Animation, Self::RoundVideo, Self::Voice, Self::Audio, Self::Sticker, Self::Document];

    /// In a word, as it is typed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Animation => "animation",
            Self::RoundVideo => "round",
            Self::Voice => "voice",
            Self::Audio => "audio",
            Self::Sticker => "sticker",
            Self::Thumbnail => "thumbnail",
        }
    }
}

/// A file that can be downloaded.
#[derive(Clone)]
pub struct Media {
    /// Identifier of the document or photo; the same wherever the file is posted again.
    pub id: i64,
    /// The name that its sender gave it; for a photo or a nameless document one made from the identifier and the type.
    pub name: String,
    /// Length in bytes; of a chat's photo 0, as the server does not say it.
    pub size: u64,
    /// MIME type as its sender declared it.
    pub mime: String,
    /// Unix time of the upload.
    pub date: i32,
    /// The DC that keeps it.
    pub dc: DcId,
    /// What `upload.getFile` asks for.
    pub location: enums::InputFileLocation,
    /// What kind of file it is.
    pub kind: Kind,
}

/// The files of `message` that `selection` means, in the order in which they are shown.
pub fn files_of(message: &types::Message, selection: &Selection) -> Vec<Media> {
    message.media.as_ref().map(|media| files_in(media, selection)).unwrap_or_default()
}

/// The same, of media without a message around it: a story's, or what `messages.uploadMedia` answers.
pub fn files_in(media: &enums::MessageMedia, selection: &Selection) -> Vec<Media> {
    let mut out = Vec::new();
    find::each(media, &mut |origin, found| {
        let wanted = match origin {
            Origin::Message => true,
            Origin::Preview => selection.web_pages,
            Origin::Story => selection.stories,
            Origin::InstantView => selection.instant_view,
            Origin::Cover => false,
        };
        if wanted {
            take(&found, selection, &mut out);
        }
    });
    // An article shows its link's picture again.
    let mut known = std::collections::HashSet::new();
    out.retain(|media| known.insert((media.id, media.copy().to_owned())));
    out
}

/// Takes what is wanted of one document or photo.
fn take(found: &Found<'_>, selection: &Selection, out: &mut Vec<Media>) {
    let kind = match found {
        Found::Document { document, .. } => kind_of(document),
        Found::Photo(_) => Kind::Photo,
    };
    if !selection.kinds.is_empty() && !selection.kinds.contains(&kind) {
        return;
    }
    match found {
        Found::Document { document, alternatives } => {
            let chosen = selection.quality.choose(document, alternatives);
            if selection.thumbs != Thumbs::Instead {
                out.push(Media::from_alternative(document, chosen));
            }
            if selection.thumbs != Thumbs::Without {
                out.extend(Media::thumbnail(document, &selection.thumb_size));
            }
        }
        Found::Photo(photo) => out.extend(Media::from_photo(photo, &selection.photo_size)),
    }
}

impl Media {
    /// The file of `message`, the first if there are several, or `None` when it has none that can be downloaded. Pictures of web pages
    /// do not count.
    pub fn of(message: &types::Message) -> Option<Self> {
        files_of(message, &Selection::default()).into_iter().next()
    }

    /// A document, as it was sent.
    pub fn from_document(document: &types::Document) -> Self {
        Self::from_alternative(document, document)
    }

    /// A document, or one that stands for it in another quality, which has no name of its own.
    fn from_alternative(document: &types::Document, chosen: &types::Document) -> Self {
        let mime = chosen.mime_type.to_string();
        let name = file_name(document);
        let name = if chosen.id == document.id {
            name.unwrap_or_else(|| format!("{}{}", document.id, extension_for(&mime)))
        } else {
            let stem = name.unwrap_or_else(|| document.id.to_string());
            let height = sizes::height_of(chosen).map(|height| format!("{height}p")).unwrap_or_default();
            with_suffix(&stem, &height, extension_for(&mime))
        };
        Self {
            id: chosen.id,
            name,
            size: u64::try_from(chosen.size).unwrap_or(0),
            mime,
            date: chosen.date,
            dc: DcId(chosen.dc_id),
            location: document_location(chosen, Str::default()),
            kind: kind_of(chosen),
        }
    }

    /// The thumbnail of a document, in a size of its; `None` if it has none that is a file.
    pub fn thumbnail(document: &types::Document, size: &SizeChoice) -> Option<Self> {
        let small = sizes::thumbs_of(document);
        let chosen = size.choose(&small)?;
        let mime = if chosen.is_video { "video/mp4" } else { "image/jpeg" };
        let stem = file_name(document).unwrap_or_else(|| document.id.to_string());
        Some(Self {
            id: document.id,
            name: with_suffix(&stem, "thumb", extension_for(mime)),
            size: chosen.len,
            mime: mime.to_owned(),
            date: document.date,
            dc: DcId(document.dc_id),
            location: document_location(document, chosen.name.clone()),
            kind: Kind::Thumbnail,
        })
    }

    /// A photo in one of its sizes; `None` if it has none that is a file.
    pub fn from_photo(photo: &types::Photo, size: &SizeChoice) -> Option<Self> {
        let sizes = sizes::sizes_of(&photo.sizes);
        let chosen = size.choose(&sizes)?;
        let name = match size {
            SizeChoice::Largest => format!("{}.jpg", photo.id),
            _ => format!("{}_{}.jpg", photo.id, &*chosen.name),
        };
        Some(Self {
            id: photo.id,
            name,
            size: chosen.len,
            mime: "image/jpeg".to_owned(),
            date: photo.date,
            dc: DcId(photo.dc_id),
            location: types::InputPhotoFileLocation {
                id: photo.id,
                access_hash: photo.access_hash,
                file_reference: photo.file_reference.clone(),
                thumb_size: chosen.name.clone(),
            }
            .into(),
            kind: Kind::Photo,
        })
    }

    /// The photo of a chat or of somebody: `big`, or the small one of lists. Its size is not known: it is read until it ends.
    pub fn of_peer(peer: enums::InputPeer, photo_id: i64, dc: DcId, big: bool) -> Self {
        Self {
            id: photo_id,
            name: format!("{photo_id}{}.jpg", if big { "" } else { "_small" }),
            size: 0,
            mime: "image/jpeg".to_owned(),
            date: 0,
            dc,
            location: types::InputPeerPhotoFileLocation { big, peer, photo_id }.into(),
            kind: Kind::Photo,
        }
    }

    /// The file reference in use; it expires, and the message then has to be fetched again. The photo of a chat has none.
    pub fn file_reference(&self) -> Option<&Bytes> {
        match &self.location {
            enums::InputFileLocation::InputDocumentFileLocation(l) => Some(&l.file_reference),
            enums::InputFileLocation::InputPhotoFileLocation(l) => Some(&l.file_reference),
            _ => None,
        }
    }

    /// Which copy of the file this is: the size of a photo or thumbnail by its letter, empty for the file itself.
    pub fn copy(&self) -> &str {
        match &self.location {
            enums::InputFileLocation::InputDocumentFileLocation(l) => &l.thumb_size,
            enums::InputFileLocation::InputPhotoFileLocation(l) => &l.thumb_size,
            _ => "",
        }
    }

    /// The same file with the reference, and the DC, that its message has now; `None` if the message does not carry it any more.
    pub fn refreshed(&self, message: &types::Message) -> Option<Self> {
        self.refreshed_in(message.media.as_ref()?)
    }

    /// The same, by media without a message around it.
    pub fn refreshed_in(&self, media: &enums::MessageMedia) -> Option<Self> {
        let mut out = None;
        find::each(media, &mut |_, found| {
            if out.is_none() {
                out = self.updated_by(&found);
            }
        });
        out
    }

    fn updated_by(&self, found: &Found<'_>) -> Option<Self> {
        match (found, &self.location) {
            (Found::Document { document, alternatives }, enums::InputFileLocation::InputDocumentFileLocation(l)) => {
                let same = std::iter::once(*document).chain(alternatives.iter().copied()).find(|d| d.id == self.id)?;
                let location = document_location(same, l.thumb_size.clone());
                Some(Self { location, dc: DcId(same.dc_id), ..self.clone() })
            }
            (Found::Photo(photo), enums::InputFileLocation::InputPhotoFileLocation(l)) if photo.id == self.id => {
                let location = types::InputPhotoFileLocation {
                    access_hash: photo.access_hash,
                    file_reference: photo.file_reference.clone(),
                    ..types::InputPhotoFileLocation::clone(l)
                };
                Some(Self { location: location.into(), dc: DcId(photo.dc_id), ..self.clone() })
            }
            _ => None,
        }
    }
}

fn document_location(document: &types::Document, thumb_size: Str) -> enums::InputFileLocation {
    types::InputDocumentFileLocation {
        id: document.id,
        access_hash: document.access_hash,
        file_reference: document.file_reference.clone(),
        thumb_size,
    }
    .into()
}

/// The name that the sender gave, if there is anything in it.
fn file_name(document: &types::Document) -> Option<String> {
    document.attributes.iter().find_map(|a| match a {
        enums::DocumentAttribute::Filename(f) if !f.file_name.trim().is_empty() => Some(f.file_name.to_string()),
        _ => None,
    })
}

fn kind_of(document: &types::Document) -> Kind {
    let mut kind = Kind::Document;
    for attribute in &document.attributes {
        match attribute {
            enums::DocumentAttribute::Sticker(_) | enums::DocumentAttribute::CustomEmoji(_) => return Kind::Sticker,
            // An animation is a video as well.
            enums::DocumentAttribute::Animated => kind = Kind::Animation,
            enums::DocumentAttribute::Video(v) if kind == Kind::Document => {
                kind = if v.round_message { Kind::RoundVideo } else { Kind::Video };
            }
            enums::DocumentAttribute::Audio(a) => kind = if a.voice { Kind::Voice } else { Kind::Audio },
            _ => {}
        }
    }
    kind
}
