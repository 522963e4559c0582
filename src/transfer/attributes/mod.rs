//! What a file is, as far as a message has to say it: width and height, duration, title and performer.
//!
//! Contents decide, not names. Whatever is read is hostile: nothing here allocates by what a file claims, each reader looks at a bounded
//! number of bytes or boxes, and a file that makes no sense is [`Content::Other`].
//!
//! * `image`: JPEG, PNG, GIF, WebP and BMP, by their headers.
//! * `mp4`: MP4 and QuickTime, by the few boxes that matter.
//! * `matroska`: Matroska and WebM, by a library.
//! * `audio`: MP3, FLAC, Ogg, WAV and MP4 audio, by a library.

mod audio;
mod image;
mod matroska;
mod mp4;
mod window;

use std::io::{Read, Seek, SeekFrom};

pub use audio::Audio;
pub use image::{Image, ImageFormat};

use crate::tl::Str;
use crate::tl::api::{enums, types};

/// Sides longer than this are taken for nonsense.
const MAX_SIDE: u64 = 1 << 20;
/// Durations longer than this, in seconds, are taken for nonsense: a year.
const MAX_DURATION: f64 = 366.0 * 86_400.0;

/// What a file contains.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A picture.
    Image(Image),
    /// Moving pictures, with or without sound.
    Video(Video),
    /// Sound alone.
    Audio(Audio),
    /// Anything else, and what cannot be read.
    Other,
}

/// A video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Video {
    /// In seconds; 0 where the file does not say.
    pub duration: f64,
    /// Width in pixels, as it is shown.
    pub width: i32,
    /// Height in pixels, as it is shown.
    pub height: i32,
    /// Whether it has a track of sound.
    pub sound: bool,
    /// Whether it can be played before all of it is there: an MP4 whose index comes before its frames.
    pub streams: bool,
}

impl Content {
    /// Looks into `source`, from its beginning. `name` is asked only where the content leaves it open.
    ///
    /// The libraries below are given bounded readers, and are kept from what is known to make them panic; run this where a panic ends one
    /// task only.
    pub fn of<R: Read + Seek>(source: &mut R, name: &str) -> Self {
        Self::look(source, name).unwrap_or(Self::Other)
    }

    fn look<R: Read + Seek>(source: &mut R, name: &str) -> Option<Self> {
        let mut head = [0; 64];
        let filled = fill(source, &mut head)?;
        let head = head.get(..filled)?;
        source.rewind().ok()?;
        match head {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska::read(source),
            _ if mp4::is_one(head) => {
                let movie = mp4::read(source)?;
                source.rewind().ok()?;
                match movie.video() {
                    Some(video) => Some(Self::Video(video)),
                    None if movie.sound => audio::read(source).map(Self::Audio),
                    None => None,
                }
            }
            _ if audio::is_one(head, name) => audio::read(source).map(Self::Audio),
            _ => image::read(source).map(Self::Image),
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Option<(i32, i32)> {
        match self {
            Self::Image(image) => Some((image.width, image.height)),
            Self::Video(video) => Some((video.width, video.height)),
            Self::Audio(_) | Self::Other => None,
        }
    }

    /// Length in seconds.
    pub fn duration(&self) -> Option<f64> {
        match self {
            Self::Video(video) => Some(video.duration),
            Self::Audio(audio) => Some(audio.duration),
            Self::Image(_) | Self::Other => None,
        }
    }

    /// What a document of this content says of itself, its name included. `voice` makes a voice message of sound.
    pub fn attributes(&self, name: &str, voice: bool) -> Vec<enums::DocumentAttribute> {
        let mut list: Vec<enums::DocumentAttribute> = match self {
            Self::Image(image) => vec![types::DocumentAttributeImageSize { w: image.width, h: image.height }.into()],
            Self::Video(video) => vec![
                types::DocumentAttributeVideo {
                    supports_streaming: video.streams,
                    nosound: !video.sound,
                    duration: video.duration,
                    w: video.width,
                    h: video.height,
                    ..types::DocumentAttributeVideo::default()
                }
                .into(),
            ],
            Self::Audio(audio) => {
                let text = |text: &Option<String>| text.as_deref().map(Str::from).filter(|_| !voice);
                vec![
                    types::DocumentAttributeAudio {
                        voice,
                        // Whole seconds; what is shorter than one lasts one.
                        duration: (audio.duration.round() as i32).max(1),
                        title: text(&audio.title),
                        performer: text(&audio.performer),
                        ..types::DocumentAttributeAudio::default()
                    }
                    .into(),
                ]
            }
            Self::Other => Vec::new(),
        };
        list.push(types::DocumentAttributeFilename { file_name: Str::from(name) }.into());
        list
    }
}

/// Reads until `buffer` is full or the source ends. How much came.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(filled)
}

/// The length of a source, which is left where it was.
fn length(source: &mut impl Seek) -> Option<u64> {
    let at = source.stream_position().ok()?;
    let end = source.seek(SeekFrom::End(0)).ok()?;
    source.seek(SeekFrom::Start(at)).ok()?;
    Some(end)
}

/// A side in pixels, if it is one.
fn side(pixels: u64) -> Option<i32> {
    (1..=MAX_SIDE).contains(&pixels).then(|| i32::try_from(pixels).ok()).flatten()
}

/// A duration in seconds that makes sense, or 0.
fn sane(seconds: f64) -> f64 {
    if seconds.is_finite() && (0.0..=MAX_DURATION).contains(&seconds) { seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Files that ffmpeg made: a test picture of 64 × 48 for two seconds, a tone.
    macro_rules! sample {
        ($name:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/media_file/", $name))
        };
    }

    fn of(bytes: &[u8], name: &str) -> Content {
        Content::of(&mut Cursor::new(bytes), name)
    }

    fn video(bytes: &[u8]) -> Video {
        match of(bytes, "") {
            Content::Video(video) => video,
            other => panic!("{other:?}"),
        }
    }

    fn audio(bytes: &[u8], name: &str) -> Audio {
        match of(bytes, name) {
            Content::Audio(audio) => audio,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn videos_say_how_long_and_how_large_they_are_and_whether_they_stream() {
        let end = video(sample!("end.mp4"));
        assert_eq!((end.width, end.height, end.sound, end.streams), (64, 48, true, false));
        assert!((1.9..2.3).contains(&end.duration), "{end:?}");
        assert!(video(sample!("start.mp4")).streams);
        let turned = video(sample!("rotated.mov"));
        assert_eq!((turned.width, turned.height), (48, 64), "what lies on its side is shown upright");
        assert!(!video(sample!("silent.mp4")).sound);
        let fragmented = video(sample!("fragmented.mp4"));
        assert_eq!((fragmented.width, fragmented.streams), (64, true));
        for (bytes, sound) in [(&sample!("film.mkv")[..], true), (&sample!("film.webm")[..], false)] {
            let film = video(bytes);
            assert_eq!((film.width, film.height, film.sound, film.streams), (64, 48, sound, false));
            assert!((1.9..2.3).contains(&film.duration), "{film:?}");
        }
    }

    #[test]
    fn sound_says_how_long_it_is_and_who_made_it() {
        for (bytes, name) in [
            (&sample!("song.mp3")[..], "a.mp3"),
            (&sample!("song.flac")[..], ""),
            (&sample!("song.ogg")[..], ""),
            (&sample!("song.m4a")[..], ""),
        ] {
            let song = audio(bytes, name);
            assert_eq!((song.title.as_deref(), song.performer.as_deref()), (Some("A title"), Some("Somebody")), "{name}");
            assert!((1.8..2.3).contains(&song.duration) && !song.opus, "{song:?}");
        }
        assert!(audio(sample!("voice.ogg"), "").opus);
        assert!((0.9..1.1).contains(&audio(sample!("sound.wav"), "").duration));
        let list = of(sample!("voice.ogg"), "").attributes("v.ogg", true);
        assert!(matches!(&list[..], [enums::DocumentAttribute::Audio(a), _] if a.voice && a.duration == 2));
    }

    #[test]
    fn pictures_are_measured_and_nothing_else_is_taken_for_one() {
        assert_eq!(of(sample!("picture.jpg"), "").size(), Some((64, 48)));
        assert_eq!(of(b"", ""), Content::Other);
        assert_eq!(of(b"\xff\xfb\x90 but no frame", "a.mp3"), Content::Other);
        assert_eq!(of(&[0; 4096], "a.mp4"), Content::Other);
        let other = of(b"text", "").attributes("a.txt", false);
        assert!(matches!(&other[..], [enums::DocumentAttribute::Filename(_)]));
    }
}
