//! What a file that is sent says of itself: pictures, MP4, Matroska, sound. Input: the file. It is looked at under a name that settles
//! nothing, and as an MP3, whose sign alone is too short.

use std::io::Cursor;

use tdl::transfer::attributes::Content;

use super::Seed;

pub fn run(data: &[u8]) {
    for name in ["a", "a.mp3"] {
        let content = Content::of(&mut Cursor::new(data), name);
        if let Some((width, height)) = content.size() {
            assert!(width > 0 && height > 0, "{content:?}");
        }
        if let Some(duration) = content.duration() {
            assert!(duration.is_finite() && duration >= 0.0, "{content:?}");
        }
        let attributes = content.attributes(name, true);
        assert_eq!(attributes.len(), if content == Content::Other { 1 } else { 2 });
    }
}

macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        vec![$(($name.to_owned(), include_bytes!(concat!("../../corpus/media_file/", $name)).to_vec())),*]
    };
}

/// Files that ffmpeg made, which cannot be made here: their corpus is where they are kept.
pub fn seeds() -> Vec<Seed> {
    samples!(
        "audio_only.mp4",
        "end.mp4",
        "film.mkv",
        "film.webm",
        "fragmented.mp4",
        "picture.jpg",
        "rotated.mov",
        "silent.mp4",
        "song.flac",
        "song.m4a",
        "song.mp3",
        "song.ogg",
        "sound.wav",
        "start.mp4",
        "voice.ogg",
    )
}
