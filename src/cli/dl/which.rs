//! Which files of a message are meant: sizes, qualities, thumbnails, what a link shows.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use tdl::chat::media::{Kind, Quality, Selection, SizeChoice, Thumbs};

/// The arguments that choose among the files of a message.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which files of a message")]
pub(crate) struct WhichArgs {
    /// Only files of these kinds, by what their senders declared
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    kinds: Vec<Kind>,

    /// Of photos and thumbnails the copy of this size: `largest`, `smallest`, or its letter (s m x y w; a b c d are cropped) [default: largest]
    #[arg(long, value_name = "SIZE")]
    size: Option<SizeChoice>,

    /// Of a video that the server has in several heights this one, or the next lower: 720, 480p [default: as it was sent]
    #[arg(long, value_name = "HEIGHT")]
    quality: Option<Quality>,

    /// With each document its thumbnail, if it has one; `only` takes thumbnails in place of the documents
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "also")]
    thumb: Option<ThumbHow>,

    /// Also the file or picture that is shown below a message, of a link or a game
    #[arg(long)]
    preview: bool,

    /// Also the pictures and files of the article behind a link (its instant view)
    #[arg(long)]
    article: bool,

    /// Without the stories that messages pass on
    #[arg(long)]
    no_stories: bool,
}

/// Thumbnails beside the files or in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ThumbHow {
    /// Beside the files
    Also,
    /// In place of the files
    Only,
}

fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::OF_MESSAGES.map(Kind::name))
        .map(|name| Kind::OF_MESSAGES.into_iter().find(|kind| kind.name() == name).unwrap_or_default())
}

impl WhichArgs {
    /// As the library takes it.
    pub(super) fn selection(&self) -> Selection {
        let mut selection = Selection::default();
        selection.kinds.clone_from(&self.kinds);
        if let Some(size) = &self.size {
            selection.photo_size = size.clone();
            selection.thumb_size = size.clone();
        }
        selection.quality = self.quality.unwrap_or_default();
        selection.thumbs = match self.thumb {
            None => Thumbs::Without,
            Some(ThumbHow::Also) => Thumbs::Also,
            Some(ThumbHow::Only) => Thumbs::Instead,
        };
        selection.web_pages = self.preview;
        selection.instant_view = self.article;
        selection.stories = !self.no_stories;
        selection
    }

    /// As it is typed: what another run needs to mean the same files, and what makes a run another one.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.kinds.is_empty() {
            let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
            flags.push(format!("--kinds {}", names.join(",")));
        }
        flags.extend(self.size.as_ref().map(|size| format!("--size {size}")));
        flags.extend(self.quality.map(|quality| format!("--quality {quality}")));
        flags.extend(self.thumb.map(|how| match how {
            ThumbHow::Also => "--thumb".to_owned(),
            ThumbHow::Only => "--thumb=only".to_owned(),
        }));
        for (flag, given) in [("--preview", self.preview), ("--article", self.article), ("--no-stories", self.no_stories)] {
            if given {
                flags.push(flag.to_owned());
            }
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shell {
        #[command(flatten)]
        which: WhichArgs,
    }

    fn parsed(line: &str) -> Result<WhichArgs, clap::Error> {
        Shell::try_parse_from(format!("x {line}").split_whitespace()).map(|shell| shell.which)
    }

    #[test]
    fn what_is_typed_is_what_is_meant_and_reads_back() {
        let nothing = parsed("").unwrap();
        assert_eq!(nothing.selection(), Selection::default());
        assert!(nothing.flags().is_empty());
        let line = "--kinds photo,round --size m --quality 480p --thumb=only --preview --article --no-stories";
        let all = parsed(line).unwrap();
        assert_eq!(all.flags().join(" "), line);
        let selection = all.selection();
        assert_eq!(selection.kinds, [Kind::Photo, Kind::RoundVideo]);
        assert_eq!((selection.photo_size, selection.quality), (SizeChoice::Named("m".into()), Quality::Height(480)));
        assert_eq!(selection.thumbs, Thumbs::Instead);
        assert!(selection.web_pages && selection.instant_view && !selection.stories);
        assert_eq!(parsed("--thumb").unwrap().selection().thumbs, Thumbs::Also);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["--kinds thumbnail", "--kinds films", "--size 7", "--quality high", "--thumb=never"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
