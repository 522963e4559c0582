//! Sizes of photos and thumbnails, and heights of videos.

use crate::tl::Str;
use crate::tl::api::{enums, types};

/// One size that is a file on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sized {
    /// Its letter.
    pub(super) name: Str,
    /// Bytes.
    pub(super) len: u64,
    /// Pixels in all.
    pub(super) area: u64,
    /// A short video instead of a picture.
    pub(super) is_video: bool,
}

fn area(w: i32, h: i32) -> u64 {
    u64::from(w.max(0).unsigned_abs()).saturating_mul(h.max(0).unsigned_abs().into())
}

/// The sizes that are files on the server: not the previews that are part of the message.
pub(super) fn sizes_of(sizes: &[enums::PhotoSize]) -> Vec<Sized> {
    let sized = |name: &Str, w, h, len: i32| {
        u64::try_from(len).ok().map(|len| Sized { name: name.clone(), len, area: area(w, h), is_video: false })
    };
    sizes
        .iter()
        .filter_map(|size| match size {
            enums::PhotoSize::Size(s) => sized(&s.r#type, s.w, s.h, s.size),
            // The last of its lengths is that of the whole.
            enums::PhotoSize::Progressive(s) => sized(&s.r#type, s.w, s.h, s.sizes.iter().copied().max()?),
            _ => None,
        })
        .collect()
}

/// The small pictures and short videos of a document.
pub(super) fn thumbs_of(document: &types::Document) -> Vec<Sized> {
    let mut out = sizes_of(document.thumbs.as_deref().unwrap_or_default());
    for size in document.video_thumbs.as_deref().unwrap_or_default() {
        if let enums::VideoSize::Size(s) = size
            && let Ok(len) = u64::try_from(s.size)
        {
            out.push(Sized { name: s.r#type.clone(), len, area: area(s.w, s.h), is_video: true });
        }
    }
    out
}

/// The height by which a video's quality is called: of an upright one its width. `None` if the document does not say that it is a video.
pub(super) fn height_of(document: &types::Document) -> Option<u32> {
    document.attributes.iter().find_map(|attribute| match attribute {
        enums::DocumentAttribute::Video(v) => u32::try_from(v.h.min(v.w)).ok(),
        _ => None,
    })
}

/// How well a video's codec is understood by players: the lower the better.
pub(super) fn codec_rank(document: &types::Document) -> u8 {
    let codec = document.attributes.iter().find_map(|attribute| match attribute {
        enums::DocumentAttribute::Video(v) => v.video_codec.as_deref(),
        _ => None,
    });
    match codec {
        None | Some("h264") => 0,
        Some(codec) if codec.starts_with("avc") => 0,
        Some("h265" | "hevc") => 1,
        Some(_) => 2,
    }
}
