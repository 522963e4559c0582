//! Sound: duration, title and performer, by the library `lofty`.

use std::io::{BufReader, Read, Seek};

use lofty::config::{GlobalOptions, ParseOptions, ParsingMode, apply_global_options};
use lofty::file::{AudioFile as _, FileType, TaggedFileExt as _};
use lofty::probe::Probe;
use lofty::tag::Accessor as _;

use super::window::Window;
use super::{length, sane};

/// The most that one piece of a tag may take.
const MAX_ALLOCATION: usize = 4 * 1024 * 1024;
/// Title and performer are cut to this many characters: they stand in one line.
const MAX_TEXT: usize = 256;

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
    // For this thread; set each time, for nobody knows which thread this is.
    apply_global_options(GlobalOptions::new().allocation_limit(MAX_ALLOCATION));
    let options = ParseOptions::new().read_cover_art(false).parsing_mode(ParsingMode::Relaxed).max_junk_bytes(4096);
    let probe = Probe::new(BufReader::new(Window::new(source, end))).options(options).guess_file_type().ok()?;
    let file = probe.read().ok()?;
    let text = |text: Option<std::borrow::Cow<'_, str>>| {
        let text: String = text?.trim().chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
        (!text.is_empty()).then_some(text)
    };
    let tag = file.primary_tag().or_else(|| file.first_tag());
    Some(Audio {
        duration: sane(file.properties().duration().as_secs_f64()),
        title: tag.and_then(|tag| text(tag.title())),
        performer: tag.and_then(|tag| text(tag.artist())),
        opus: file.file_type() == FileType::Opus,
    })
}
