//! Matroska and WebM: duration and size, by the library `matroska-demuxer`.

use std::io::{BufReader, Read, Seek};

use matroska_demuxer::{DisplayUnit, MatroskaFile, TrackType};

use super::audio::Audio;
use super::window::Window;
use super::{Content, Video, length, sane, side};

/// What the Matroska file in `source` is: a video, or sound alone.
pub(super) fn read(source: &mut (impl Read + Seek)) -> Option<Content> {
    let end = length(source)?;
    let file = MatroskaFile::open(BufReader::new(Window::new(source, end))).ok()?;
    let info = file.info();
    // The duration is counted in units of the time stamps' scale, which is in nanoseconds.
    let duration = sane(info.duration().unwrap_or(0.0) * info.timestamp_scale().get() as f64 / 1e9);
    let sound = file.tracks().iter().any(|track| track.track_type() == TrackType::Audio);
    let picture = file.tracks().iter().filter(|track| track.track_type() == TrackType::Video).find_map(|track| {
        let video = track.video()?;
        // What it is stretched to, unless that is a ratio or a length on paper.
        let shown = match video.display_unit() {
            None | Some(DisplayUnit::Pixels) => video.display_width().zip(video.display_height()),
            Some(_) => None,
        };
        let (width, height) = shown.unwrap_or((video.pixel_width(), video.pixel_height()));
        Some((side(width.get())?, side(height.get())?))
    });
    match picture {
        Some((width, height)) => Some(Content::Video(Video { duration, width, height, sound, streams: false })),
        None if sound => {
            let title = info.title().map(str::to_owned).filter(|title| !title.is_empty());
            Some(Content::Audio(Audio { duration, title, performer: None, opus: false }))
        }
        None => None,
    }
}
