//! `upload.*`: parts in, ranges out. The rules are those of "Uploading and Downloading Files".

use super::view::{FileKind, check_file_reference, file_access_hash, photo_size_type};
use super::{Call, cdn, help};
use crate::fault::Fault;
use crate::image::Format;
use crate::state::files::{self, Blob, Document, MAX_PART, UploadKey};
use crate::state::variants;
use tdl_core::crypto::hash;
use tdl_core::tl::api::functions::upload as f;
use tdl_core::tl::api::{enums, types};

/// The longest range of one `upload.getFile`, and the block that a range must not leave.
const BLOCK: i64 = 1024 * 1024;
/// What offsets and limits are multiples of.
const STEP: i64 = 4096;
/// The same, for `precise` ranges.
const PRECISE_STEP: i64 = 1024;
/// Bytes that one hash of `upload.getFileHashes` covers.
const HASH_BLOCK: i64 = 128 * 1024;

/// The most parts that the caller's files may have.
pub(crate) fn max_parts(call: &Call<'_>) -> Result<i32, Fault> {
    Ok(if call.user()?.premium { help::PARTS_MAX_PREMIUM } else { help::PARTS_MAX })
}

pub(crate) fn upload_key(call: &Call<'_>, file_id: i64) -> Result<UploadKey, Fault> {
    Ok(UploadKey { dc: call.dc, user: call.user_id()?, file_id })
}

/// Whether parts may have this size: a multiple of 1 KiB that divides 512 KiB.
pub(crate) fn is_part_size(size: i32) -> bool {
    size > 0 && size % 1024 == 0 && MAX_PART % size == 0
}

fn check_part(call: &Call<'_>, part: i32, bytes: &[u8]) -> Result<i32, Fault> {
    if bytes.is_empty() {
        return Err(Fault::FilePartEmpty);
    }
    let size = i32::try_from(bytes.len()).ok().filter(|size| *size <= MAX_PART).ok_or(Fault::FilePartTooBig)?;
    if !(0..max_parts(call)?).contains(&part) {
        return Err(Fault::FilePartInvalid);
    }
    Ok(size)
}

/// Which part is the last, and so may be short, is not known before the file is used: sizes are checked then.
pub(crate) fn save_file_part(call: &mut Call<'_>, req: f::SaveFilePart) -> Result<bool, Fault> {
    check_part(call, req.file_part, &req.bytes)?;
    let upload = call.state.open_upload(upload_key(call, req.file_id)?, false, 0, call.now)?;
    if upload.big {
        return Err(Fault::FilePartsInvalid);
    }
    if !call.mishaps.forget {
        call.state.write_part(&upload, req.file_part, 0, &req.bytes)?;
    }
    Ok(true)
}

pub(crate) fn save_big_file_part(call: &mut Call<'_>, req: f::SaveBigFilePart) -> Result<bool, Fault> {
    // A client that does not know the length yet says -1.
    let total = req.file_total_parts;
    if total != -1 && !(1..=max_parts(call)?).contains(&total) {
        return Err(Fault::FilePartsInvalid);
    }
    let size = check_part(call, req.file_part, &req.bytes)?;
    if total != -1 && req.file_part >= total {
        return Err(Fault::FilePartInvalid);
    }
    let last = req.file_part == total - 1;
    if !last && total != -1 && !is_part_size(size) {
        return Err(Fault::FilePartSizeInvalid);
    }
    let upload = call.state.open_upload(upload_key(call, req.file_id)?, true, total.max(0), call.now)?;
    if !upload.big || (upload.total > 0 && total != -1 && upload.total != total) {
        return Err(Fault::FilePartsInvalid);
    }
    // Without a total nobody can say which part is the last and may be short: then sizes are checked when the file is used.
    let known = total != -1 && upload.part_size > 0;
    if known && (size > upload.part_size || (size < upload.part_size && !last)) {
        return Err(Fault::FilePartSizeChanged);
    }
    let part_size = if total != -1 && !last { size } else { upload.part_size };
    if !call.mishaps.forget {
        call.state.write_part(&upload, req.file_part, part_size, &req.bytes)?;
    }
    Ok(true)
}

/// A file that can be read: its contents, and what it is.
struct Source {
    blob: Blob,
    file_type: enums::storage::FileType,
    date: i64,
    /// The document that these are the contents of, and not of its thumbnail.
    document: Option<Document>,
}

/// The kind of file that a location names, and its id.
fn named(location: &enums::InputFileLocation) -> Option<(FileKind, i64)> {
    match location {
        enums::InputFileLocation::InputDocumentFileLocation(l) => Some((FileKind::Document, l.id)),
        enums::InputFileLocation::InputPhotoFileLocation(l) => Some((FileKind::Photo, l.id)),
        _ => None,
    }
}

/// What is to go wrong with a file before it is looked for: its references expire, or it moves to another DC.
fn disturb(call: &Call<'_>, location: &enums::InputFileLocation) -> Result<(), Fault> {
    let Some((kind, id)) = named(location) else { return Ok(()) };
    if call.mishaps.expire {
        call.state.write(|tx| files::expire_references(tx, kind as i64, id))?;
    }
    if let Some(to) = call.mishaps.relocate {
        // The next one if nothing is said; to itself nothing moves.
        let dc = to.unwrap_or(call.dc % call.settings.dc_count() + 1);
        if !(1..=call.settings.dc_count()).contains(&dc) {
            return Err(Fault::DcIdInvalid);
        }
        call.state.write(|tx| files::relocate(tx, kind == FileKind::Photo, id, dc))?;
    }
    Ok(())
}

fn locate(call: &Call<'_>, location: &enums::InputFileLocation) -> Result<Source, Fault> {
    disturb(call, location)?;
    let reference = |kind, id, reference: &[u8]| check_file_reference(call, kind, id, reference);
    match location {
        enums::InputFileLocation::InputDocumentFileLocation(l) => {
            let document = call.state.read(|db| files::document(db, l.id))?.ok_or(Fault::FileIdInvalid)?;
            if l.access_hash != file_access_hash(call.state, FileKind::Document, l.id) {
                return Err(Fault::FileIdInvalid);
            }
            if document.dc != call.dc {
                return Err(Fault::FileMigrate(document.dc));
            }
            reference(FileKind::Document, l.id, &l.file_reference)?;
            let date = document.date;
            Ok(match (&*l.thumb_size, document.thumb) {
                ("", _) => {
                    let file_type = enums::storage::FileType::FilePartial;
                    Source { blob: document.blob, file_type, date, document: Some(document) }
                }
                ("m", Some(thumb)) => {
                    Source { blob: thumb.blob, file_type: enums::storage::FileType::FileJpeg, date, document: None }
                }
                _ => return Err(Fault::LocationInvalid),
            })
        }
        enums::InputFileLocation::InputPhotoFileLocation(l) => {
            let photo = call.state.read(|db| files::photo(db, l.id))?.ok_or(Fault::FileIdInvalid)?;
            if l.access_hash != file_access_hash(call.state, FileKind::Photo, l.id) {
                return Err(Fault::FileIdInvalid);
            }
            if photo.dc != call.dc {
                return Err(Fault::FileMigrate(photo.dc));
            }
            reference(FileKind::Photo, l.id, &l.file_reference)?;
            let blob = if *l.thumb_size == *photo_size_type(photo.w, photo.h) {
                photo.blob
            } else {
                let others = call.state.read(|db| variants::sizes(db, l.id))?;
                let other = others.iter().find(|size| size.letter == *l.thumb_size).ok_or(Fault::LocationInvalid)?;
                other.blob
            };
            let file_type = match Format::from_db(photo.format) {
                Some(Format::Jpeg) => enums::storage::FileType::FileJpeg,
                Some(Format::Png) => enums::storage::FileType::FilePng,
                Some(Format::Gif) => enums::storage::FileType::FileGif,
                Some(Format::Webp) => enums::storage::FileType::FileWebp,
                None => enums::storage::FileType::FileUnknown,
            };
            Ok(Source { blob, file_type, date: photo.date, document: None })
        }
        _ => Err(Fault::LocationInvalid),
    }
}

/// Whether a range may be asked for.
pub(super) fn check_range(offset: i64, limit: i64, precise: bool) -> Result<(), Fault> {
    let step = if precise { PRECISE_STEP } else { STEP };
    if offset < 0 || offset % step != 0 {
        return Err(Fault::OffsetInvalid);
    }
    if limit <= 0 || limit > BLOCK || limit % step != 0 || (!precise && BLOCK % limit != 0) {
        return Err(Fault::LimitInvalid);
    }
    // One range never touches two blocks of 1 MiB.
    if offset / BLOCK != (offset.saturating_add(limit) - 1) / BLOCK {
        return Err(Fault::LimitInvalid);
    }
    Ok(())
}

pub(crate) fn file(call: &mut Call<'_>, req: f::GetFile) -> Result<enums::upload::File, Fault> {
    call.user_id()?;
    check_range(req.offset, req.limit.into(), req.precise)?;
    let source = locate(call, &req.location)?;
    if let Some(document) = source.document.as_ref().filter(|_| req.cdn_supported)
        && let Some(redirect) = cdn::redirect(call, document, req.offset)?
    {
        return Ok(redirect);
    }
    let mut bytes = call.state.read_blob(source.blob, req.offset, req.limit.into())?;
    corrupted(call, req.offset, &mut bytes);
    shortened(call, &mut bytes);
    Ok(types::upload::File { r#type: source.file_type, mtime: super::unix32(source.date), bytes: bytes.into() }.into())
}

/// Changes a bit of a range, if that is to go wrong: which one follows from where the range lies.
pub(super) fn corrupted(call: &Call<'_>, offset: i64, bytes: &mut [u8]) {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if !call.mishaps.corrupt || len == 0 {
        return;
    }
    let spread = offset.unsigned_abs().wrapping_add(0x9e37_79b9).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let at = usize::try_from(spread % len).unwrap_or(0);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (spread % 8);
    }
}

/// Takes away the second half of a range, if that is to go wrong.
pub(super) fn shortened(call: &Call<'_>, bytes: &mut Vec<u8>) {
    if call.mishaps.shorten {
        bytes.truncate(bytes.len() / 2);
    }
}

pub(crate) fn file_hashes(call: &mut Call<'_>, req: f::GetFileHashes) -> Result<Vec<enums::FileHash>, Fault> {
    call.user_id()?;
    if req.offset < 0 {
        return Err(Fault::OffsetInvalid);
    }
    let source = locate(call, &req.location)?;
    hashes_around(call, source.blob, req.offset)
}

/// The hashes of the block of 1 MiB in which an offset lies; none behind the end.
pub(super) fn hashes_around(call: &Call<'_>, blob: Blob, offset: i64) -> Result<Vec<enums::FileHash>, Fault> {
    let start = offset / BLOCK * BLOCK;
    let bytes = call.state.read_blob(blob, start, BLOCK)?;
    let parts: Vec<&[u8]> = bytes.chunks(usize::try_from(HASH_BLOCK).unwrap_or(usize::MAX)).collect();
    Ok(parts
        .iter()
        .zip(hash::sha256_each(&parts))
        .zip(0i64..)
        .map(|((part, mut hash), n)| {
            let limit = i32::try_from(part.len()).unwrap_or(i32::MAX);
            let offset = start.saturating_add(n * HASH_BLOCK);
            corrupted(call, offset, &mut hash);
            types::FileHash { offset, limit, hash: bytes::Bytes::copy_from_slice(&hash) }.into()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        const MB: i64 = BLOCK;
        let ok = |offset, limit, precise| check_range(offset, limit, precise).is_ok();
        assert!(ok(0, MB, false) && ok(4096, 4096, false) && ok(3 * MB, 524_288, false));
        assert!(ok(MB - 4096, 4096, false) && ok(1024, 3072, true) && ok(MB - 1024, 1024, true));
        for (offset, precise) in [(-4096, false), (1024, false), (4095, false), (512, true)] {
            assert!(matches!(check_range(offset, 4096, precise), Err(Fault::OffsetInvalid)), "{offset}");
        }
        for (offset, limit, precise) in [
            (0, 0, false),
            (0, -4096, false),
            (0, 1000, false),
            (0, 1024, false),
            (0, 12_288, false),
            (0, 2 * MB, false),
            (0, 1000, true),
            (0, 2 * MB, true),
            (4096, MB, false),
            (MB - 1024, 2048, true),
        ] {
            assert!(matches!(check_range(offset, limit, precise), Err(Fault::LimitInvalid)), "{offset} {limit} {precise}");
        }
    }

    #[test]
    fn part_sizes() {
        assert!(is_part_size(1024) && is_part_size(MAX_PART) && is_part_size(131_072));
        assert!(
            !is_part_size(0)
                && !is_part_size(-1024)
                && !is_part_size(3072)
                && !is_part_size(1000)
                && !is_part_size(MAX_PART * 2)
        );
    }
}
