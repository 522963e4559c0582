//! `tdl watch`: what happens in the account's chats, as it happens.

use std::io::IsTerminal as _;

use clap::Args;
use tdl::chat::peers::{self, Seen};
use tdl::chat::watch::{ChatKey, chat_of, key_of_input};
use tdl::chat::{ChatError, links};
use tdl::client::{Client, Feed, PeerKind, Start, UpdateEvent};

use super::context::{Context, unix_now};
use super::exit::{CliError, ExitCode};
use super::update_lines::{Names, event_json, event_text};

/// The arguments of `tdl watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl watch                               everything, until Ctrl-C; the next run goes on where this one stopped
  tdl watch -c @telegram -c me | jq -r 'select(.message.message) | .message.message'
  tdl watch --until-now                   what happened since the last run, and no more
  tdl watch --since-now --json            forget what happened since the last run

A line is an update as the API's schema describes it: `_` is its constructor, such as updateNewMessage, and 64-bit numbers are strings. On a terminal it is a line for
people instead, unless --json is given. Where the server does not tell any more what has happened, a line with `\"_\":\"tdl.missed\"` says so.
How far you have watched is stored after each line, so a run that is killed repeats at most what it was just printing. Ctrl-C is how it
ends: that is exit code 130.")]
pub(crate) struct WatchArgs {
    /// Only this chat: @name, a t.me link, a phone number, an id from `tdl chat ls`, or `me`. Can be given several times. Updates that do not
    /// say which chat they are about, such as deletions in private chats, are left out then
    #[arg(short, long, value_name = "CHAT")]
    chat: Vec<String>,

    /// Begin with what happens from now on, and forget what happened since the last run
    #[arg(long)]
    since_now: bool,

    /// Print what happened since the last run, then end
    #[arg(long, conflicts_with = "since_now")]
    until_now: bool,
}

pub(crate) async fn run(context: &Context, args: WatchArgs) -> Result<ExitCode, CliError> {
    let chats = args.chat.iter().map(|chat| links::chat(chat)).collect::<Result<Vec<_>, _>>();
    let chats = chats.map_err(|e| CliError::usage(e.to_string()))?;
    let (client, namespace) = context.listening().await?;
    // Two that both told what happened, and both noted how far they were, would each tell a part.
    let _lease = namespace.follow_updates(std::process::id(), unix_now())?;
    context.interrupt.take_over();
    let result = tokio::select! {
        result = watch(context, &args, &client, &chats) => result,
        () = context.interrupt.wait() => {
            Err(CliError::interrupted().advise("give the same command again to go on: nothing that happens meanwhile is missed"))
        }
    };
    client.close().await;
    result
}

/// Dropped at any time: what has been printed is stored, but for the batch that is just being printed, which takes no waiting.
async fn watch(context: &Context, args: &WatchArgs, client: &Client, chats: &[links::ChatRef]) -> Result<ExitCode, CliError> {
    // Before anything is asked, so that nothing comes unheard.
    let mut feed = Feed::start(client, if args.since_now { Start::Now } else { Start::Stored })?;
    let own = client.store().account()?.map_or(0, |account| account.user_id);
    let mut wanted = Vec::new();
    for chat in chats {
        let peer = peers::resolve(client, chat).await?;
        wanted.extend(key_of_input(&peer.input, own));
    }
    let printer = Printer {
        context,
        wanted: if chats.is_empty() { None } else { Some(wanted) },
        text: std::io::stdout().is_terminal() && !context.output.json,
        own,
    };
    let mut greeted = false;
    loop {
        let batch = feed.next().await?;
        let mut lines = String::new();
        for event in &batch.events {
            printer.event(client, event, &mut lines)?;
        }
        if !lines.is_empty() {
            context.output.raw(lines.as_bytes())?;
        }
        feed.commit()?;
        if batch.caught_up {
            if args.until_now {
                return Ok(ExitCode::Done);
            }
            if !greeted {
                greeted = true;
                context.output.note("up to date; what happens from now on follows (Ctrl-C ends)");
            }
        }
    }
}

struct Printer<'a> {
    context: &'a Context,
    /// The chats to print; all of them if not given.
    wanted: Option<Vec<ChatKey>>,
    /// For people.
    text: bool,
    own: i64,
}

impl Printer<'_> {
    fn event(&self, client: &Client, event: &UpdateEvent, lines: &mut String) -> Result<(), CliError> {
        let chat = match event {
            UpdateEvent::Peers { users, chats } => {
                return Seen::collect(users, chats).remember(client).map_err(|error: ChatError| error.into());
            }
            UpdateEvent::Update(update) => chat_of(update),
            UpdateEvent::Missed { channel, from, to } => {
                let place = channel.map_or_else(|| "your chats".to_owned(), |id| format!("channel {id}"));
                let shown = |pts: &Option<i32>| pts.map_or_else(|| "?".to_owned(), |pts| pts.to_string());
                self.context.output.alert(&format!(
                    "something happened in {place} that the server does not tell any more (pts {} to {})",
                    shown(from),
                    shown(to)
                ));
                channel.map(|id| (PeerKind::Channel, id))
            }
        };
        let general = matches!(event, UpdateEvent::Missed { channel: None, .. });
        let is_wanted = |wanted: &Vec<ChatKey>| general || chat.is_some_and(|chat| wanted.contains(&chat));
        if !self.wanted.as_ref().is_none_or(is_wanted) {
            return Ok(());
        }
        if self.text {
            let names = Names { store: &**client.store(), own: self.own };
            if let Some(line) = event_text(event, chat, &names) {
                lines.push_str(&line);
                lines.push('\n');
            }
        } else if let Some(line) = event_json(event) {
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        Ok(())
    }
}
