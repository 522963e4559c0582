//! What `tdl dl` takes.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::serve::ServeArgs;
use crate::cli::{rate, template};

/// The arguments of `tdl dl`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl dl -u https://t.me/telegram/193            one message
  tdl dl -u https://t.me/c/1697797156/151 --group  all files of its album
  tdl chat export -c @telegram -i 0 && tdl dl -f tdl-export.json -d telegram
  tdl dl -f tdl-export.json --serve              over HTTP, for players and download managers
A download that was cut off goes on when the same command is given again.")]
pub(crate) struct DlArgs {
    /// A link to a message; may be given several times, or several with commas
    #[arg(short, long, value_name = "LINK", value_delimiter = ',', required_unless_present_any = ["file", "link_list", "serve"])]
    pub(super) url: Vec<String>,

    /// A file written by `tdl chat export`, or a Telegram Desktop result.json
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub(super) file: Vec<PathBuf>,

    /// A text file with one link a line, such as the retry list of a failed run
    #[arg(long, value_name = "FILE")]
    pub(super) link_list: Option<PathBuf>,

    /// The directory for the files
    #[arg(short, long, value_name = "DIR", default_value = "downloads")]
    pub(super) dir: PathBuf,

    /// How files are named: a Go template; `/` in it makes directories
    #[arg(long, env = "TDL_TEMPLATE", value_name = "TEMPLATE", default_value = template::DEFAULT)]
    pub(super) template: String,

    /// Only files with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',', conflicts_with = "exclude")]
    pub(super) include: Vec<String>,

    /// All files but those with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',')]
    pub(super) exclude: Vec<String>,

    /// Leave out a file that is there already with the same size
    #[arg(long)]
    pub(super) skip_same: bool,

    /// Name each file by what its content is
    #[arg(long)]
    pub(super) rewrite_ext: bool,

    /// In the opposite order
    #[arg(long)]
    pub(super) desc: bool,

    /// With a message of an album, download the whole album
    #[arg(long)]
    pub(super) group: bool,

    /// At most so many bytes a second, all files together: 500K, 2M, 1.5M
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    pub(super) limit_rate: Option<NonZeroU64>,

    /// Go on where the same command was cut off (this is the default)
    #[arg(long = "continue", conflicts_with = "restart")]
    pub(super) go_on: bool,

    /// Begin anew, even if the same command was cut off earlier
    #[arg(long)]
    pub(super) restart: bool,

    #[command(flatten)]
    pub(super) serve: ServeArgs,
}
