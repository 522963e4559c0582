//! The arguments of `tdl up`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `tdl up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl up -p photo.jpg                        to your Saved Messages
  tdl up -p album/ -p notes.txt -c @friend   a whole directory, and a file
  tdl up -p holiday/ --photo --album         as albums of up to ten photos and videos
  tdl up -p film.mkv --caption '\"<b>\"+FileName+\"</b>\"'
  tdl up -p backup.tar --split               in pieces, if it is larger than the account may send
  tar c dir | tdl up -p - --name dir.tar     whatever comes through a pipe
An upload that was cut off goes on when the same command is given again.
Pieces are put together again by `cat backup.tar.0* > backup.tar` (in a shell of Windows: `copy /b`).")]
pub(crate) struct UpArgs {
    /// A file, or a directory with everything below it; may be given several times. `-` is standard input
    #[arg(short, long = "path", value_name = "PATH", required_unless_present = "path_list")]
    pub(super) path: Vec<PathBuf>,

    /// A text file with one path a line, such as the retry list of a failed run
    #[arg(long, value_name = "FILE")]
    pub(super) path_list: Option<PathBuf>,

    /// The chat: @name, a t.me link, a phone number or an id from `tdl chat ls` [default: Saved Messages]
    #[arg(short, long, value_name = "CHAT", default_value = "", hide_default_value = true)]
    pub(super) chat: String,

    /// The topic of a forum to post in
    #[arg(long, value_name = "ID", requires = "chat", value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) topic: Option<i32>,

    /// Only files with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',', conflicts_with = "exclude")]
    pub(super) include: Vec<String>,

    /// All files but those with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,

    /// Delete each file here once its message exists and has the file's size
    #[arg(long)]
    pub(super) rm: bool,

    /// Send pictures as photos, which the server makes smaller, instead of as files
    #[arg(long)]
    pub(super) photo: bool,

    /// Send videos and music as plain files as well, without a player
    #[arg(long, conflicts_with_all = ["photo", "voice"])]
    pub(super) as_file: bool,

    /// Send Opus in Ogg as voice messages instead of as music
    #[arg(long)]
    pub(super) voice: bool,

    /// Send what belongs together as albums of up to ten: photos and videos, music, other files. `dir` makes albums of the files of one
    /// directory, `all` of all files
    #[arg(long, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "dir", value_enum)]
    pub(super) album: Option<AlbumBy>,

    /// Send a file that is larger than this in pieces, NAME.001 and so on [default: what the account may send]
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "max", value_parser = split)]
    pub(super) split: Option<Split>,

    /// The small picture of a video or file: `auto` takes NAME.thumb beside it, or a frame of the video where ffmpeg is installed; `jpg`
    /// takes NAME.jpg beside a video as well; `none`; or the path of a JPEG
    #[arg(long, value_name = "FROM", default_value = "auto", value_parser = thumb)]
    pub(super) thumb: Thumb,

    /// An expression for the text below each file, in HTML; `-` lists what it may use
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub(super) caption: Option<String>,

    /// The name that the receiver sees; for one file
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Send without a notification
    #[arg(long)]
    pub(super) silent: bool,

    /// Hide photos and videos behind a veil until they are touched
    #[arg(long)]
    pub(super) spoiler: bool,

    /// Send no more than this many bytes a second: 500K, 2M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) limit_rate: Option<NonZeroU64>,

    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Begin anew, even if the same command was cut off earlier
    #[arg(long)]
    pub(super) restart: bool,
}

impl UpArgs {
    /// Whether it is standard input that is sent.
    pub(super) fn sends_stdin(&self) -> bool {
        self.path.iter().any(|path| path.as_os_str() == "-")
    }
}

/// What makes an album.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlbumBy {
    /// The files of one directory.
    Dir,
    /// All files, in order.
    All,
}

/// How large a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// As large as the account may send.
    Max,
    /// This many bytes, or as many as the account may send.
    Bytes(u64),
}

impl Split {
    /// The length of a piece for an account that may send `most` bytes.
    pub(super) fn piece(self, most: u64) -> u64 {
        match self {
            Self::Max => most,
            Self::Bytes(bytes) => bytes.min(most),
        }
    }
}

/// Where thumbnails come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thumb {
    /// What lies beside the file, or a frame.
    Auto,
    /// The same, and pictures beside videos.
    Jpg,
    /// There are none.
    None,
    /// This one.
    File(PathBuf),
}

fn thumb(text: &str) -> Result<Thumb, String> {
    Ok(match text {
        "auto" => Thumb::Auto,
        "jpg" => Thumb::Jpg,
        "none" => Thumb::None,
        "" => return Err("it is auto, jpg, none or a file".to_owned()),
        path => Thumb::File(path.into()),
    })
}

fn rate(text: &str) -> Result<NonZeroU64, String> {
    size(text).and_then(|rate| NonZeroU64::new(rate).ok_or_else(|| "at least 1K".to_owned()))
}

fn split(text: &str) -> Result<Split, String> {
    if text == "max" { Ok(Split::Max) } else { size(text).map(Split::Bytes) }
}

/// A size in bytes: a number, and K, M or G for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write 500M, 2G or a number of bytes");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).filter(|&size| size >= 1024).ok_or_else(|| format!("{text}: at least 1K"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        assert_eq!(size("1024"), Ok(1024));
        assert_eq!(size("2k"), Ok(2048));
        assert_eq!(size("3MiB"), Ok(3 << 20));
        assert_eq!(size("1 GB"), Ok(1 << 30));
        for wrong in ["", "M", "1T", "-1", "1.5G", "1023", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!((split("max"), split("1M")), (Ok(Split::Max), Ok(Split::Bytes(1 << 20))));
        assert_eq!(Split::Bytes(1 << 40).piece(1 << 31), 1 << 31, "no larger than the account may send");
    }
}
