//! `tdl sandbox message send` with files, and `tdl sandbox seed files|messages`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use tdl::sandbox::operator::{FileItem, Form, Item, Post, Seed};

use super::{
    context::Context,
    exit::{CliError, ExitCode},
    sandbox_accounts::{DirArgs, on},
};

/// What a message carries.
#[derive(Debug, Args)]
pub(crate) struct MediaArgs {
    /// A photo; given again, the same photo in another size
    #[arg(long, value_name = "IMAGE")]
    photo: Vec<PathBuf>,
    /// Any other file; given again, another one: an album
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The thumbnail of the files
    #[arg(long, value_name = "IMAGE", requires = "file")]
    thumb: Option<PathBuf>,
    /// The MIME type of the files
    #[arg(long, value_name = "TYPE", requires = "file")]
    mime: Option<String>,
    /// The files are videos of this width and height, such as 1280x720
    #[arg(long, value_name = "SIDES", requires = "file", value_parser = parse_sides)]
    video: Option<(i32, i32)>,
    /// The first video in another quality, such as 640x360:small.mp4
    #[arg(long, value_name = "SIDES-AND-FILE", requires = "video", value_parser = parse_quality)]
    quality: Vec<(i32, i32, PathBuf)>,
    /// Not as they are, but inside something else
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<FormArg>,
    /// The data centre that keeps the files [default: the sender's]
    #[arg(long, value_name = "N")]
    file_dc: Option<i32>,
}

/// In what form files are posted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormArg {
    /// Paid media that the receiver has bought
    Paid,
    /// Paid media that nobody has bought
    PaidUnbought,
    /// The preview of a link, which is the text
    WebPage,
    /// A story, and a message that brings it
    Story,
    /// A story, and a message that only names it
    StoryUntold,
    /// A game, with --photo as its picture
    Game,
    /// The goods of an invoice
    Invoice,
    /// The subject and the answers of a poll
    Poll,
}

/// The arguments of `tdl sandbox seed messages`.
#[derive(Debug, Args)]
pub(crate) struct SeedMessagesArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Who writes: a phone number, @username or id
    #[arg(long, value_name = "WHO")]
    from: String,
    /// Who receives them: a phone number, @username or id
    #[arg(long, value_name = "WHO")]
    to: String,
    /// How many messages
    #[arg(long, value_name = "N")]
    count: u64,
}

/// The arguments of `tdl sandbox seed files`.
#[derive(Debug, Args)]
pub(crate) struct SeedFilesArgs {
    #[command(flatten)]
    messages: SeedMessagesArgs,
    /// Their length, or between which two: 4096, 64K, 1..10M
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = parse_sizes)]
    size: (u64, u64),
    /// What their contents and lengths follow from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The data centre that keeps them [default: the sender's]
    #[arg(long, value_name = "N")]
    file_dc: Option<i32>,
}

fn parse_sides(text: &str) -> Result<(i32, i32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=16_384).contains(side));
    let sides = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    sides.ok_or_else(|| format!("'{text}' is no width and height: write 1280x720"))
}

fn parse_quality(text: &str) -> Result<(i32, i32, PathBuf), String> {
    let (sides, path) = text.split_once(':').ok_or_else(|| format!("'{text}' is no quality: write 640x360:FILE"))?;
    let (w, h) = parse_sides(sides)?;
    Ok((w, h, path.into()))
}

fn parse_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'K' | b'k' => (text.get(..text.len() - 1)?, 1 << 10),
        b'M' | b'm' => (text.get(..text.len() - 1)?, 1 << 20),
        b'G' | b'g' => (text.get(..text.len() - 1)?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|size| (1..=4 << 30).contains(size))
}

fn parse_sizes(text: &str) -> Result<(u64, u64), String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let sizes = parse_size(least).zip(parse_size(most)).filter(|(least, most)| least <= most);
    sizes.ok_or_else(|| format!("'{text}' is no length: write 4096, 64K or 1..10M, up to 4G"))
}

impl MediaArgs {
    /// Whether there is nothing but a text.
    pub(crate) fn is_none(&self) -> bool {
        self.photo.is_empty() && self.file.is_empty()
    }

    fn into_post(self, from: String, to: String, text: String) -> Post {
        let form = match self.form {
            None => Form::Plain,
            Some(FormArg::Paid) => Form::Paid { stars: 1, bought: true },
            Some(FormArg::PaidUnbought) => Form::Paid { stars: 1, bought: false },
            Some(FormArg::WebPage) => Form::WebPage { url: text.clone() },
            Some(FormArg::Story) => Form::Story { told: true },
            Some(FormArg::StoryUntold) => Form::Story { told: false },
            Some(FormArg::Game) => Form::Game,
            Some(FormArg::Invoice) => Form::Invoice,
            Some(FormArg::Poll) => Form::Poll,
        };
        let mut qualities = Some(self.quality);
        let files = self.file.into_iter().map(|path| {
            let mut item = FileItem::new(path);
            (item.mime, item.video, item.thumb) = (self.mime.clone(), self.video, self.thumb.clone());
            item.qualities = qualities.take().unwrap_or_default();
            Item::File(Box::new(item))
        });
        let photo = (!self.photo.is_empty()).then_some(Item::Photo(self.photo));
        Post { from, to, text, items: photo.into_iter().chain(files).collect(), form, dc: self.file_dc }
    }
}

/// Posts a message with files.
pub(crate) async fn post(
    context: &Context,
    dir: DirArgs,
    (from, to, text): (String, String, String),
    media: MediaArgs,
) -> Result<ExitCode, CliError> {
    let post = media.into_post(from, to, text);
    let ids = on(context, dir, move |operator| operator.post(&post)).await?;
    if context.output.json {
        context.output.document(&json!({ "id": ids.first(), "ids": ids }))?;
    } else {
        for id in ids {
            context.output.line(&format!("message {id}"))?;
        }
    }
    Ok(ExitCode::Done)
}

/// `tdl sandbox seed messages`.
pub(crate) async fn seed_messages(context: &Context, args: SeedMessagesArgs) -> Result<ExitCode, CliError> {
    let seed = Seed { from: args.from, to: args.to, count: args.count, seed: 0, sizes: None, dc: None };
    sow(context, args.dir, seed).await
}

/// `tdl sandbox seed files`.
pub(crate) async fn seed_files(context: &Context, args: SeedFilesArgs) -> Result<ExitCode, CliError> {
    let SeedMessagesArgs { dir, from, to, count } = args.messages;
    let seed = Seed { from, to, count, seed: args.seed, sizes: Some(args.size), dc: args.file_dc };
    sow(context, dir, seed).await
}

async fn sow(context: &Context, dir: DirArgs, seed: Seed) -> Result<ExitCode, CliError> {
    let seeded = on(context, dir, move |operator| operator.seed(&seed)).await?;
    if context.output.json {
        context.output.document(&seeded)?;
    } else {
        context.output.line(&format!("messages {} to {}, {} bytes of files", seeded.first, seeded.last, seeded.bytes))?;
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_sides() {
        assert_eq!(parse_sizes("4096"), Ok((4096, 4096)));
        assert_eq!(parse_sizes("1..10M"), Ok((1, 10 << 20)));
        assert_eq!(parse_sizes("64k..2G"), Ok((64 << 10, 2 << 30)));
        for wrong in ["", "K", "0", "5G", "2..1", "-1", "1...2", "1T", "99999999999999999999"] {
            assert!(parse_sizes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_quality("640x360:a:b.mp4"), Ok((640, 360, "a:b.mp4".into())));
        for wrong in ["640x360", "640:x", "0x1:f", "x:f", "20000x1:f"] {
            assert!(parse_quality(wrong).is_err(), "{wrong}");
        }
    }
}
