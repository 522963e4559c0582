//! `tdl chat`: the list of chats, and the export of one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tdl::chat::dialogs::{self, Dialog};
use tdl::chat::export::{Entry, Writer, regular};
use tdl::chat::files::story_meant;
use tdl::chat::history::{History, Range};
use tdl::chat::media::{Selection, files_of};
use tdl::chat::{links, peers};
use tdl::client::Client;
use unicode_width::UnicodeWidthStr as _;

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::expr::{DialogFields, Expression, MessageFields};
use super::output::{counted, fit, printable};

/// The commands under `tdl chat`.
#[derive(Debug, Subcommand)]
pub(crate) enum ChatCommand {
    /// List your chats
    Ls(LsArgs),
    /// Write the messages of a chat to a JSON file, for `tdl dl -f`
    Export(ExportArgs),
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// A JSON array
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl chat ls
  tdl chat ls -f \"Type == 'channel' && VisibleName contains 'news'\" -o json")]
pub(crate) struct LsArgs {
    /// How to print the list
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// Only chats for which this expression is true; `-` lists what it may use
    #[arg(short, long, value_name = "EXPR", default_value = "true", allow_hyphen_values = true)]
    filter: String,
}

/// What `--input` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Unix times: FROM[,TO]
    Time,
    /// Message identifiers: FROM[,TO]
    Id,
    /// The newest so many: COUNT
    Last,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl chat export -c @telegram                      all messages with files
  tdl chat export -c @telegram -T last -i 100 --all --with-content
  tdl chat export -T id -i 10,20 -f 'Media.Size > 1024*1024' -o big.json")]
pub(crate) struct ExportArgs {
    /// The chat: @name, a t.me link, a phone number or an id from `tdl chat ls` [default: Saved Messages]
    #[arg(short, long, value_name = "CHAT", default_value = "", hide_default_value = true)]
    chat: String,

    /// What --input means
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = "time")]
    by: By,

    /// Which messages: FROM[,TO] or COUNT, by --type [default: all]
    #[arg(short, long, value_name = "N", value_delimiter = ',', num_args = 1..=2)]
    input: Vec<i64>,

    /// Only messages for which this expression is true; `-` lists what it may use
    #[arg(short, long, value_name = "EXPR", default_value = "true", allow_hyphen_values = true)]
    filter: String,

    /// Only this topic of a forum, or the comments under this post
    #[arg(long, value_name = "ID", visible_alias = "reply", value_parser = clap::value_parser!(i32).range(1..))]
    topic: Option<i32>,

    /// The file to write; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "tdl-export.json")]
    output: PathBuf,

    /// Write time and text as well
    #[arg(long)]
    with_content: bool,

    /// Messages as well that have a file only in what is shown below them, of a link or a game: for `tdl dl --preview`
    #[arg(long)]
    preview: bool,

    /// Messages without a file as well
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(context: &Context, command: ChatCommand) -> Result<ExitCode, CliError> {
    match command {
        ChatCommand::Ls(args) => ls(context, args).await,
        ChatCommand::Export(args) => export(context, args).await,
    }
}

async fn ls(context: &Context, args: LsArgs) -> Result<ExitCode, CliError> {
    if args.filter == "-" {
        context.output.line(DialogFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    let filter = Expression::compile("--filter", &args.filter)?;
    let (client, _) = context.logged_in().await?;
    let listed = dialogs::list(&client).await;
    client.close().await;
    let mut chosen = Vec::new();
    for dialog in listed? {
        if filter.is_true(&DialogFields::new(&dialog))? {
            chosen.push(dialog);
        }
    }
    if context.output.json || args.output == Format::Json {
        context.output.document(&chosen.iter().map(dialog_json).collect::<Vec<_>>())?;
    } else {
        let rows: Vec<Vec<String>> = chosen.iter().map(dialog_row).collect();
        context.output.table(&["ID", "TYPE", "NAME", "USERNAME", "UNREAD", "TOPICS"], &rows)?;
    }
    Ok(ExitCode::Done)
}

fn dialog_json(dialog: &Dialog) -> serde_json::Value {
    json!({
        "id": dialog.id,
        "type": dialog.kind.as_str(),
        "visible_name": dialog.title,
        "username": dialog.username.as_deref().unwrap_or_default(),
        "topics": dialog.topics.iter().map(|t| json!({"id": t.id, "title": t.title})).collect::<Vec<_>>(),
        "unread": dialog.unread,
        "top_message": dialog.top_message,
    })
}

fn dialog_row(dialog: &Dialog) -> Vec<String> {
    let topics: Vec<String> = dialog.topics.iter().map(|t| format!("{}: {}", t.id, printable(&t.title))).collect();
    let or_dash = |text: String| if text.width() == 0 { "-".to_owned() } else { text };
    vec![
        dialog.id.to_string(),
        dialog.kind.as_str().to_owned(),
        or_dash(fit(&printable(&dialog.title), 32)),
        or_dash(fit(dialog.username.as_deref().unwrap_or_default(), 32)),
        dialog.unread.to_string(),
        or_dash(fit(&topics.join(", "), 60)),
    ]
}

fn range_of(args: &ExportArgs) -> Result<Range, CliError> {
    let wrong = |what: &str| CliError::usage(format!("--input: {what}"));
    let ends = |max: i64| match args.input.as_slice() {
        [] => (0, max),
        [from] => (*from, max),
        [a, b, ..] => ((*a).min(*b), (*a).max(*b)),
    };
    Ok(match args.by {
        By::Last => match args.input.as_slice() {
            [count] if *count > 0 => Range::Last(usize::try_from(*count).unwrap_or(usize::MAX)),
            _ => return Err(wrong("--type last takes one number above 0")),
        },
        _ if args.input.is_empty() => Range::All,
        By::Time => {
            let (from, to) = ends(i64::from(i32::MAX) - 1);
            Range::Times(from, to)
        }
        By::Id => {
            let (from, to) = ends(i64::from(i32::MAX) - 1);
            let id = |n: i64| i32::try_from(n).map_err(|_| wrong("a message identifier is smaller than that"));
            Range::Ids(id(from)?, id(to)?)
        }
    })
}

async fn export(context: &Context, args: ExportArgs) -> Result<ExitCode, CliError> {
    if args.filter == "-" {
        context.output.line(MessageFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    let range = range_of(&args)?;
    let filter = Expression::compile("--filter", &args.filter)?;
    let chat = links::chat(&args.chat).map_err(|e| CliError::usage(e.to_string()))?;
    let (client, _) = context.logged_in().await?;
    let result = write(context, &args, &client, &chat, range, &filter).await;
    client.close().await;
    let (count, title) = result?;
    if args.output.as_os_str() == "-" {
        return Ok(ExitCode::Done);
    }
    if context.output.json {
        context.output.document(&json!({"file": args.output, "messages": count}))?;
    } else {
        context.output.note(&format!(
            "{} of {} written to {}",
            counted(count, "message"),
            printable(&title),
            args.output.display()
        ));
    }
    Ok(ExitCode::Done)
}

/// Writes the export beside its place and moves it there when it is whole, so that a failure leaves an earlier one as it was.
async fn write(
    context: &Context,
    args: &ExportArgs,
    client: &Client,
    chat: &links::ChatRef,
    range: Range,
    filter: &Expression,
) -> Result<(u64, String), CliError> {
    let peer = peers::resolve(client, chat).await?;
    let title = peer.title.clone();
    let failed = |e: std::io::Error| CliError::failed(format!("cannot write {}: {e}", args.output.display()));
    let to_stdout = args.output.as_os_str() == "-";
    let mut partial = args.output.clone().into_os_string();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let out: Box<dyn Write> =
        if to_stdout { Box::new(std::io::stdout()) } else { Box::new(File::create(&partial).map_err(failed)?) };
    let failed = |e: std::io::Error| if to_stdout { CliError::stdout(&e) } else { failed(e) };
    let mut writer = Writer::begin(BufWriter::new(out), peer.id).map_err(failed)?;
    let mut history = History::new(client, peer, args.topic, range);
    let mut selection = Selection::default();
    selection.web_pages = args.preview;
    let mut seen: u64 = 0;
    loop {
        let page = history.next_page().await?;
        if page.is_empty() {
            break;
        }
        for message in page.iter().filter_map(regular) {
            let media = files_of(message, &selection).into_iter().next();
            let story = story_meant(message, &selection).filter(|_| media.is_none());
            let has_file = media.is_some() || story.is_some();
            if (has_file || args.all) && filter.is_true(&MessageFields::new(message, media.as_ref()))? {
                let mut entry = Entry::new(message, media.as_ref(), args.with_content);
                if let Some(story) = story {
                    // What is in it is not known before it is asked for.
                    entry.file = format!("story {}", story.id);
                }
                writer.message(&entry).map_err(failed)?;
            }
        }
        seen += page.len() as u64;
        context.output.detail(&format!("{seen} messages looked at"));
    }
    let (_, count) = writer.end().map_err(failed)?;
    if !to_stdout {
        std::fs::rename(&partial, &args.output).map_err(failed)?;
    }
    Ok((count, title))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shell {
        #[command(flatten)]
        args: ExportArgs,
    }

    fn range(line: &str) -> Result<Range, CliError> {
        range_of(&Shell::try_parse_from(format!("x {line}").split_whitespace()).unwrap().args)
    }

    #[test]
    fn ranges_as_the_go_tool_reads_them() {
        assert_eq!(range("").unwrap(), Range::All);
        assert_eq!(range("-T id -i 5,3").unwrap(), Range::Ids(3, 5));
        assert_eq!(range("-T id -i 5").unwrap(), Range::Ids(5, i32::MAX - 1));
        assert_eq!(range("-i 100,200").unwrap(), Range::Times(100, 200));
        assert_eq!(range("-T last -i 7").unwrap(), Range::Last(7));
        for wrong in ["-T last", "-T last -i 0", "-T last -i 1,2", "-T id -i 99999999999"] {
            assert_eq!(range(wrong).unwrap_err().code, ExitCode::Usage, "{wrong}");
        }
    }
}
