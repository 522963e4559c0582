//! Names of files that have none.

/// The usual extension, with its dot, of the types that people send without a name.
pub(super) fn extension_for(mime: &str) -> &'static str {
    match mime {
        "audio/ogg" | "audio/opus" => ".ogg",
        "audio/mpeg" | "audio/mp3" => ".mp3",
        "audio/mp4" | "audio/x-m4a" => ".m4a",
        "audio/aac" => ".aac",
        "audio/flac" | "audio/x-flac" => ".flac",
        "audio/wav" | "audio/x-wav" => ".wav",
        "video/mp4" => ".mp4",
        "video/webm" => ".webm",
        "video/quicktime" => ".mov",
        "video/x-matroska" => ".mkv",
        "video/x-msvideo" => ".avi",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "image/heic" => ".heic",
        "image/avif" => ".avif",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "application/json" => ".json",
        "application/x-tgsticker" => ".tgs",
        "application/x-mpegurl" | "application/vnd.apple.mpegurl" => ".m3u8",
        "text/plain" => ".txt",
        _ => "",
    }
}

/// `clip.mov` with the suffix `720p` and the extension `.mp4` is `clip_720p.mp4`.
pub(super) fn with_suffix(name: &str, suffix: &str, extension: &str) -> String {
    // A dot at the beginning hides a file, and what stands behind the last one is an extension only if it looks like one.
    let stem = match name.rsplit_once('.') {
        Some((stem, old))
            if !stem.is_empty() && (1..=8).contains(&old.len()) && old.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            stem
        }
        _ => name,
    };
    if suffix.is_empty() { format!("{stem}{extension}") } else { format!("{stem}_{suffix}{extension}") }
}
