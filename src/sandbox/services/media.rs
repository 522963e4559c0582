//! What a message carries: uploads become documents and photos here.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

use super::upload::{is_part_size, max_parts, upload_key};
use super::view::{FileKind, View, check_file_reference, file_access_hash};
use super::{Call, input_peer};
use crate::fault::Fault;
use crate::image;
use crate::state::files::{self, Blob, Document, MAX_PART, Photo, Thumb};
use crate::state::messages::{Media, MediaKind};
use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::functions::messages as f;
use tdl_core::tl::api::{enums, types};

/// The largest file that may be uploaded without `saveBigFilePart`, and the largest photo.
const SMALL_FILE: i64 = 10 * 1024 * 1024;
/// How much of an image is looked at for its size.
const PROBE: i64 = 1024 * 1024;
/// Width and height of a photo together.
const PHOTO_SIDES: i32 = 10_000;
/// The longer side of a photo over the shorter.
const PHOTO_RATIO: i32 = 20;
const CHUNK: i64 = 1024 * 1024;

/// The contents of an uploaded file: all of its parts have to be there.
fn take_upload(call: &mut Call<'_>, file: &enums::InputFile) -> Result<Blob, Fault> {
    let (id, count, md5, big) = match file {
        enums::InputFile::File(f) => (f.id, f.parts, &*f.md5_checksum, false),
        enums::InputFile::Big(f) => (f.id, f.parts, "", true),
        enums::InputFile::StoryDocument(_) => return Err(Fault::MediaInvalid),
    };
    if !(1..=max_parts(call)?).contains(&count) {
        return Err(Fault::FilePartsInvalid);
    }
    let key = upload_key(call, id)?;
    let state = call.state;
    // One at a time: the same upload may be used by two messages at once, and becomes one file.
    let _assembling = state.assembling();
    let Some(upload) = state.read(|db| files::upload(db, key))? else { return Err(Fault::FilePartMissing(0)) };
    if upload.big != big || (upload.total > 0 && upload.total != count) {
        return Err(Fault::FilePartsInvalid);
    }
    let blob = match upload.blob {
        Some(blob) => state.blob(blob)?,
        None => {
            let parts = state.read(|db| files::parts(db, upload.id))?;
            let part_size = check_parts(&parts, count)?;
            state.assemble(&upload, &parts, part_size)?
        }
    };
    if !big && blob.size > SMALL_FILE {
        return Err(Fault::FilePartsInvalid);
    }
    if !md5.is_empty() && !md5.eq_ignore_ascii_case(&md5_of(call, blob)?) {
        return Err(Fault::Md5ChecksumInvalid);
    }
    Ok(blob)
}

/// Whether the parts 0 to `count` are there and their sizes fit; the size of all but the last.
fn check_parts(parts: &[(i32, i32)], count: i32) -> Result<i32, Fault> {
    let last = count.saturating_sub(1);
    let mut part_size = None;
    for (n, part) in (0..count).zip(parts.iter().map(Some).chain(std::iter::repeat(None))) {
        let Some(&(_, size)) = part.filter(|p| p.0 == n) else { return Err(Fault::FilePartMissing(n)) };
        let common = *part_size.get_or_insert(size);
        let fits = if n == last { size <= common } else { size == common && is_part_size(size) };
        if !fits {
            return Err(Fault::FilePartSizeInvalid);
        }
    }
    if usize::try_from(count).ok() != Some(parts.len()) {
        return Err(Fault::FilePartsInvalid);
    }
    Ok(part_size.unwrap_or(MAX_PART))
}

fn md5_of(call: &Call<'_>, blob: Blob) -> Result<String, Fault> {
    let mut hasher = Md5::new();
    let mut offset = 0;
    while offset < blob.size {
        let chunk = call.state.read_blob(blob, offset, CHUNK)?;
        offset += CHUNK;
        hasher.update(&chunk);
    }
    Ok(hasher.finalize().iter().fold(String::with_capacity(32), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    }))
}

/// What kind of document its attributes make of it.
pub(crate) fn document_kind(attributes: &[enums::DocumentAttribute]) -> MediaKind {
    let mut kind = MediaKind::Document;
    for attribute in attributes {
        match attribute {
            // An animation is a video too; it is shown among the animations.
            enums::DocumentAttribute::Animated => return MediaKind::Animation,
            enums::DocumentAttribute::Video(v) => kind = if v.round_message { MediaKind::RoundVideo } else { MediaKind::Video },
            enums::DocumentAttribute::Audio(a) => kind = if a.voice { MediaKind::Voice } else { MediaKind::Music },
            _ => {}
        }
    }
    kind
}

fn new_document(call: &mut Call<'_>, media: &types::InputMediaUploadedDocument) -> Result<Media, Fault> {
    let blob = take_upload(call, &media.file)?;
    let thumb = match &media.thumb {
        None => None,
        Some(file) => {
            let blob = take_upload(call, file)?;
            // A picture that is none is left out, as it would be there.
            image::probe(&call.state.read_blob(blob, 0, PROBE)?).map(|(_, w, h)| Thumb { blob, w, h })
        }
    };
    let mime = if media.mime_type.is_empty() { "application/octet-stream" } else { &*media.mime_type };
    let document = Document {
        id: call.random_id(),
        dc: call.dc,
        date: call.now,
        mime: mime.to_owned(),
        blob,
        attributes: media.attributes.to_bytes().to_vec(),
        thumb,
    };
    call.state.write(|tx| files::add_document(tx, &document))?;
    Ok(Media { kind: document_kind(&media.attributes), id: document.id, spoiler: media.spoiler })
}

fn new_photo(call: &mut Call<'_>, media: &types::InputMediaUploadedPhoto) -> Result<Media, Fault> {
    let blob = take_upload(call, &media.file)?;
    if blob.size > SMALL_FILE {
        return Err(Fault::PhotoSaveFileInvalid);
    }
    let (format, w, h) = image::probe(&call.state.read_blob(blob, 0, PROBE)?).ok_or(Fault::ImageProcessFailed)?;
    let legal = w > 0 && h > 0 && w.saturating_add(h) <= PHOTO_SIDES && w.max(h) / w.min(h) <= PHOTO_RATIO;
    if !legal {
        return Err(Fault::PhotoInvalidDimensions);
    }
    let photo = Photo { id: call.random_id(), dc: call.dc, date: call.now, blob, w, h, format: format as i32 };
    call.state.write(|tx| files::add_photo(tx, &photo))?;
    Ok(Media { kind: MediaKind::Photo, id: photo.id, spoiler: media.spoiler })
}

/// A document or photo that exists already, from what names it.
fn check_existing(call: &Call<'_>, kind: FileKind, id: i64, access_hash: i64, reference: &[u8]) -> Result<bool, Fault> {
    if access_hash != file_access_hash(call.state, kind, id) {
        return Ok(false);
    }
    check_file_reference(call, kind, id, reference)?;
    Ok(true)
}

/// Makes an `InputMedia` into something that a message can carry.
pub(crate) fn resolve(call: &mut Call<'_>, media: &enums::InputMedia) -> Result<Media, Fault> {
    match media {
        enums::InputMedia::Empty => Err(Fault::MediaEmpty),
        enums::InputMedia::UploadedDocument(m) => new_document(call, m),
        enums::InputMedia::UploadedPhoto(m) => new_photo(call, m),
        enums::InputMedia::Document(m) => {
            let enums::InputDocument::Document(id) = &m.id else { return Err(Fault::DocumentInvalid) };
            let document = call.state.read(|db| files::document(db, id.id))?.ok_or(Fault::DocumentInvalid)?;
            if !check_existing(call, FileKind::Document, id.id, id.access_hash, &id.file_reference)? {
                return Err(Fault::DocumentInvalid);
            }
            let attributes: Vec<enums::DocumentAttribute> = super::stored(&document.attributes, "document's attributes")?;
            Ok(Media { kind: document_kind(&attributes), id: id.id, spoiler: m.spoiler })
        }
        enums::InputMedia::Photo(m) => {
            let enums::InputPhoto::Photo(id) = &m.id else { return Err(Fault::PhotoInvalid) };
            call.state.read(|db| files::photo(db, id.id))?.ok_or(Fault::PhotoInvalid)?;
            if !check_existing(call, FileKind::Photo, id.id, id.access_hash, &id.file_reference)? {
                return Err(Fault::PhotoInvalid);
            }
            Ok(Media { kind: MediaKind::Photo, id: id.id, spoiler: m.spoiler })
        }
        other => {
            tracing::warn!(media = ?other, "kind of media not kept here");
            Err(Fault::MediaInvalid)
        }
    }
}

pub(crate) fn upload_media(call: &mut Call<'_>, req: f::UploadMedia) -> Result<enums::MessageMedia, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| input_peer(state, db, viewer, &req.peer))?;
    let media = resolve(call, &req.media)?;
    state.read(|db| View { state, db, viewer, now }.media(&media))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_must_be_all_there_and_of_one_size() {
        let fault = |parts: &[(i32, i32)], count| check_parts(parts, count).unwrap_err().to_string();
        assert_eq!(check_parts(&[(0, 77)], 1).unwrap(), 77);
        assert_eq!(check_parts(&[(0, 1024), (1, 1024), (2, 1)], 3).unwrap(), 1024);
        assert_eq!(fault(&[], 1), "FILE_PART_0_MISSING");
        assert_eq!(fault(&[(0, 1024), (2, 1024)], 3), "FILE_PART_1_MISSING");
        assert_eq!(fault(&[(0, 1024)], 2), "FILE_PART_1_MISSING");
        assert_eq!(fault(&[(0, 1024), (1, 1)], 1), "FILE_PARTS_INVALID");
        assert_eq!(fault(&[(0, 1000), (1, 1)], 2), "FILE_PART_SIZE_INVALID");
        assert_eq!(fault(&[(0, 1024), (1, 2048)], 2), "FILE_PART_SIZE_INVALID");
        assert_eq!(fault(&[(0, 1024), (1, 512), (2, 1)], 3), "FILE_PART_SIZE_INVALID");
    }

    #[test]
    fn attributes_say_what_a_document_is() {
        let video = types::DocumentAttributeVideo::default();
        let round = types::DocumentAttributeVideo { round_message: true, ..video.clone() };
        let voice = types::DocumentAttributeAudio { voice: true, ..types::DocumentAttributeAudio::default() };
        let music = types::DocumentAttributeAudio::default();
        assert_eq!(document_kind(&[]), MediaKind::Document);
        assert_eq!(document_kind(&[video.clone().into()]), MediaKind::Video);
        assert_eq!(document_kind(&[round.into()]), MediaKind::RoundVideo);
        assert_eq!(document_kind(&[voice.into()]), MediaKind::Voice);
        assert_eq!(document_kind(&[music.into()]), MediaKind::Music);
        assert_eq!(document_kind(&[video.into(), enums::DocumentAttribute::Animated]), MediaKind::Animation);
    }
}
