//! The file that a message carries, if it carries one.

use bytes::Bytes;

use crate::ids::DcId;
use crate::tl::Str;
use crate::tl::api::{enums, types};

/// A file that can be downloaded.
#[derive(Clone)]
pub struct Media {
    /// Identifier of the document or photo; the same wherever the file is posted again.
    pub id: i64,
    /// The name that its sender gave it; for a photo or a nameless document one made from the identifier and the type.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// MIME type as its sender declared it.
    pub mime: String,
    /// Unix time of the upload.
    pub date: i32,
    /// The DC that keeps it.
    pub dc: DcId,
    /// What `upload.getFile` asks for.
    pub location: enums::InputFileLocation,
}

impl Media {
    /// The file of `message`, or `None` when it has none that can be downloaded.
    pub fn of(message: &types::Message) -> Option<Self> {
        match message.media.as_ref()? {
            enums::MessageMedia::Document(media) => match media.document.as_ref()? {
                enums::Document::Document(document) => Some(Self::from_document(document)),
                enums::Document::Empty(_) => None,
            },
            enums::MessageMedia::Photo(media) => match media.photo.as_ref()? {
                enums::Photo::Photo(photo) => Self::from_photo(photo),
                enums::Photo::Empty(_) => None,
            },
            _ => None,
        }
    }

    fn from_document(document: &types::Document) -> Self {
        let name = document.attributes.iter().find_map(|a| match a {
            enums::DocumentAttribute::Filename(f) if !f.file_name.trim().is_empty() => Some(f.file_name.to_string()),
            _ => None,
        });
        let mime = document.mime_type.to_string();
        Self {
            id: document.id,
            name: name.unwrap_or_else(|| format!("{}{}", document.id, extension_for(&mime))),
            size: u64::try_from(document.size).unwrap_or(0),
            mime,
            date: document.date,
            dc: DcId(document.dc_id),
            location: types::InputDocumentFileLocation {
                id: document.id,
                access_hash: document.access_hash,
                file_reference: document.file_reference.clone(),
                thumb_size: Str::default(),
            }
            .into(),
        }
    }

    fn from_photo(photo: &types::Photo) -> Option<Self> {
        let (kind, size) = photo.sizes.iter().filter_map(photo_size).max_by_key(|(_, size)| *size)?;
        Some(Self {
            id: photo.id,
            name: format!("{}.jpg", photo.id),
            size,
            mime: "image/jpeg".to_owned(),
            date: photo.date,
            dc: DcId(photo.dc_id),
            location: types::InputPhotoFileLocation {
                id: photo.id,
                access_hash: photo.access_hash,
                file_reference: photo.file_reference.clone(),
                thumb_size: kind,
            }
            .into(),
        })
    }

    /// The file reference in use; it expires, and the message then has to be fetched again.
    pub fn file_reference(&self) -> Option<&Bytes> {
        match &self.location {
            enums::InputFileLocation::InputDocumentFileLocation(l) => Some(&l.file_reference),
            enums::InputFileLocation::InputPhotoFileLocation(l) => Some(&l.file_reference),
            _ => None,
        }
    }
}

/// The type letter and byte length of a size that is a file on the server: not the inline previews.
fn photo_size(size: &enums::PhotoSize) -> Option<(Str, u64)> {
    match size {
        enums::PhotoSize::Size(s) => Some((s.r#type.clone(), u64::try_from(s.size).ok()?)),
        enums::PhotoSize::Progressive(s) => Some((s.r#type.clone(), u64::try_from(s.sizes.iter().copied().max()?).ok()?)),
        _ => None,
    }
}

/// The usual extension, with its dot, of the types that people send without a name.
fn extension_for(mime: &str) -> &'static str {
    match mime {
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        "video/mp4" => ".mp4",
        "video/webm" => ".webm",
        "video/quicktime" => ".mov",
        "video/x-matroska" => ".mkv",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "application/x-tgsticker" => ".tgs",
        "text/plain" => ".txt",
        _ => "",
    }
}
