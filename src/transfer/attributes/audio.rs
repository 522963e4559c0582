//! Sound: duration, title and performer, by the library `lofty`.

use std::io::{BufReader, Read, Seek, SeekFrom};

use lofty::config::{GlobalOptions, ParseOptions, ParsingMode, apply_global_options};
use lofty::file::{AudioFile as _, FileType, TaggedFileExt as _};
use lofty::probe::Probe;
use lofty::tag::Accessor as _;

use super::window::Window;
use super::{fill, length, sane};

/// The most that one piece of a tag may take.
const MAX_ALLOCATION: usize = 4 * 1024 * 1024;
/// Title and performer are cut to this many characters: they stand in one line.
const MAX_TEXT: usize = 256;

/// The longest that a page of Ogg can be, in bytes: the last one begins within this of the end.
const LAST_PAGE: usize = 27 + 255 + 255 * 255;

/// A piece of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// In seconds.
    pub duration: f64,
    /// What it is called, by its tags.
    pub title: Option<String>,
    /// Who made it, by its tags.
    pub performer: Option<String>,
    /// Whether it is Opus in Ogg, as voice messages have to be.
    pub opus: bool,
}

/// Whether a file that begins with `head` is for this module. The sign of an MP3 without a tag in front is so short that the name has
/// to agree.
pub(super) fn is_one(head: &[u8], name: &str) -> bool {
    match head {
        [b'f', b'L', b'a', b'C', ..] | [b'O', b'g', b'g', b'S', ..] | [b'I', b'D', b'3', ..] => true,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => true,
        [0xff, second, ..] if second & 0xe0 == 0xe0 => {
            let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
            ["mp3", "mp2", "mpga", "aac"].contains(&extension.as_str())
        }
        _ => false,
    }
}

/// What the sound in `source` says of itself; `None` when it cannot be read.
pub(super) fn read(source: &mut (impl Read + Seek)) -> Option<Audio> {
    let end = length(source)?;
    let mut audio = tagged(source, end)?;
    if audio.opus {
        audio.duration = opus_duration(source, end).unwrap_or(0.0);
    }
    Some(audio)
}

/// What the library makes of it. It is not asked for the duration of Opus: there it multiplies and divides by whatever the file says, and
/// panics.
fn tagged(source: &mut (impl Read + Seek), end: u64) -> Option<Audio> {
    // For this thread; set each time, for nobody knows which thread this is.
    apply_global_options(GlobalOptions::new().allocation_limit(MAX_ALLOCATION));
    let mut options = ParseOptions::new().read_cover_art(false).parsing_mode(ParsingMode::Relaxed).max_junk_bytes(4096);
    let probe = Probe::new(BufReader::new(Window::new(source, end))).guess_file_type().ok()?;
    let opus = probe.file_type() == Some(FileType::Opus);
    let file = probe.options(options.read_properties(!opus)).read().ok()?;
    let text = |text: Option<std::borrow::Cow<'_, str>>| {
        let text: String = text?.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
        (!text.is_empty()).then_some(text)
    };
    let tag = file.primary_tag().or_else(|| file.first_tag());
    Some(Audio {
        duration: sane(file.properties().duration().as_secs_f64()),
        title: tag.and_then(|tag| text(tag.title())),
        performer: tag.and_then(|tag| text(tag.artist())),
        opus,
    })
}

/// The duration of Opus in Ogg, in seconds (RFC 7845, sections 4 and 5.1): its last page counts 48,000 samples a second from the beginning,
/// of which the first few, the pre-skip in its head, are not played.
fn opus_duration(source: &mut (impl Read + Seek), end: u64) -> Option<f64> {
    let mut head = [0; 512];
    source.rewind().ok()?;
    let filled = fill(source, &mut head)?;
    let head = head.get(..filled)?;
    // A page is a head of 27 bytes, the last of which counts the segments whose lengths follow; then comes what is in it.
    let packet = head.get(27 + usize::from(*head.get(26)?)..)?;
    let skip = u16::from_le_bytes(packet.strip_prefix(b"OpusHead")?.get(2..4)?.try_into().ok()?);
    let mut tail = vec![0; LAST_PAGE];
    source.seek(SeekFrom::Start(end.saturating_sub(LAST_PAGE as u64))).ok()?;
    let filled = fill(source, &mut tail)?;
    let tail = tail.get(..filled)?;
    let page = (0..tail.len()).rev().find_map(|at| tail.get(at..).filter(|page| page.starts_with(b"OggS\0")))?;
    let samples = i64::from_le_bytes(page.get(6..14)?.try_into().ok()?);
    Some(sane(samples.saturating_sub(skip.into()) as f64 / 48_000.0))
}
