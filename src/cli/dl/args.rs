//! What `tdl dl` takes.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::serve::ServeArgs;
use super::which::WhichArgs;
use crate::cli::{rate, template};

/// The arguments of `tdl dl`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl dl -u https://t.me/telegram/193            one message
  tdl dl -u https://t.me/c/1697797156/151 --group  all files of its album
  tdl chat export -c @telegram -i 0 && tdl dl -f tdl-export.json -d telegram
  tdl dl -f tdl-export.json --dry-run            what it would download
  tdl dl -f tdl-export.json --skip-same --dedupe  only what is not here yet
  tdl dl -f tdl-export.json --kinds video --quality 720   smaller copies of the videos
  tdl dl -f tdl-export.json --serve              over HTTP, for players and download managers
  tdl dl -u https://t.me/telegram/193 -o - | tar x    straight into another program
  tdl dl -f tdl-export.json --template '{{ .ChatTitle }}/{{ .MessageID }}{{ .FileExt }}'
A download that was cut off goes on when the same command is given again. Messages whose files could not be had are written to a list for
--link-list, and the exit code is 3.")]
pub(crate) struct DlArgs {
    /// A link to a message or a story; may be given several times, or several with commas
    #[arg(short, long, value_name = "LINK", value_delimiter = ',', required_unless_present_any = ["file", "link_list", "template", "serve"])]
    pub(super) url: Vec<String>,

    /// A file written by `tdl chat export`, or a Telegram Desktop result.json; the oldest messages come first
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub(super) file: Vec<PathBuf>,

    /// A text file with one link a line, such as the retry list of a failed run
    #[arg(long, value_name = "FILE")]
    pub(super) link_list: Option<PathBuf>,

    /// The directory for the files
    #[arg(short, long, value_name = "DIR", default_value = "downloads")]
    pub(super) dir: PathBuf,

    /// How files are named: a Go template; `/` in it makes directories; `-` lists what it may use
    #[arg(long, env = "TDL_TEMPLATE", value_name = "TEMPLATE", default_value = template::DEFAULT)]
    pub(super) template: String,

    /// Only files with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',', conflicts_with = "exclude")]
    pub(super) include: Vec<String>,

    /// All files but those with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,

    /// Leave out a file that is there already with the same size, under its name or under the same name with another extension
    #[arg(long)]
    pub(super) skip_same: bool,

    /// Leave out a file that was downloaded before, from whatever message, and is still there with its size; with `link` make a
    /// hard link to it, or a copy where there are none
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "skip")]
    pub(super) dedupe: Option<Dedupe>,

    /// Name each file by what its content is
    #[arg(long)]
    pub(super) rewrite_ext: bool,

    /// From the newest message to the oldest
    #[arg(long)]
    pub(super) desc: bool,

    /// With a message of an album, download the whole album
    #[arg(long)]
    pub(super) group: bool,

    /// Say which files would be downloaded, and download none
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Write the one file of the one message to standard output: `-` is the only place
    #[arg(short, long, value_name = "-", value_parser = ["-"], conflicts_with_all = ["dry_run", "dedupe", "skip_same", "rewrite_ext", "group"])]
    pub(super) out: Option<String>,

    /// At most so many bytes a second, all files together: 500K, 2M, 1.5M
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    pub(super) limit_rate: Option<NonZeroU64>,

    /// Fetch the files in a takeout of the account, for which the server allows more before it demands pauses; it may ask for a
    /// confirmation in another app first
    #[arg(long, conflicts_with_all = ["dry_run", "serve"])]
    pub(super) takeout: bool,

    /// Go on where the same command was cut off (this is the default)
    #[arg(long = "continue", conflicts_with = "restart")]
    pub(super) go_on: bool,

    /// Begin anew, even if the same command was cut off earlier
    #[arg(long)]
    pub(super) restart: bool,

    #[command(flatten)]
    pub(super) which: WhichArgs,

    #[command(flatten)]
    pub(super) serve: ServeArgs,
}

impl DlArgs {
    /// Whether the files go to others over HTTP.
    pub(crate) fn serves(&self) -> bool {
        self.serve.serve
    }
}

/// What happens to a file that is here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dedupe {
    /// Leave it out
    Skip,
    /// Make a hard link to the one that is here
    Link,
}
