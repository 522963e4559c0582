//! The run over everything that is to be sent.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;
use tdl::chat::peers::Peer;
use tdl::chat::send::Post;
use tdl::client::Client;
use tdl::store::{JobKind, Namespace};
use tdl::transfer::RunRecord;
use tdl::transfer::fingerprint::Identity;
use tdl::transfer::flow::Flow;
use tdl::transfer::stop::Stop;
use tokio::sync::Semaphore;

use super::args::{AlbumBy, Split, Thumb, UpArgs};
use super::plan::{Item, Plan, Unit};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::expr::Expression;
use crate::cli::failure::Failure;
use crate::cli::progress::{Outcome, Reporter};
use crate::cli::transfers::{self, quoted};

/// What all files of a run have in common.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    pub(super) namespace: &'a Arc<Namespace>,
    pub(super) stop: &'a Stop,
    pub(super) args: &'a UpArgs,
    pub(super) plan: &'a Plan,
    pub(super) caption: Option<&'a Expression>,
    pub(super) peer: &'a Peer,
    pub(super) max_parts: u32,
    pub(super) reporter: Reporter,
    pub(super) flow: Flow,
    /// Files under way at once.
    pub(super) files: Semaphore,
    failed: Mutex<Vec<String>>,
}

impl<'a> Run<'a> {
    #[allow(clippy::too_many_arguments, reason = "these are what a run is made of; each has another type")]
    pub(super) fn new(
        context: &'a Context,
        client: &'a Client,
        namespace: &'a Arc<Namespace>,
        stop: &'a Stop,
        args: &'a UpArgs,
        plan: &'a Plan,
        caption: Option<&'a Expression>,
        peer: &'a Peer,
        max_parts: u32,
        flow: Flow,
    ) -> Self {
        let files = Semaphore::new(usize::from(context.settings.limit).max(1));
        let reporter = Reporter::new(context, plan.items.len() as u64);
        let failed = Mutex::default();
        Self { context, client, namespace, stop, args, plan, caption, peer, max_parts, reporter, flow, files, failed }
    }

    /// What makes a message of this run another one: everything but the file.
    pub(super) fn identity(&self, kind: &str) -> Identity {
        let args = self.args;
        Identity::new(kind)
            .number(self.peer.id)
            .number(args.topic.unwrap_or(0).into())
            .number(args.photo.into())
            .text(args.caption.as_deref().unwrap_or_default())
            .text(args.name.as_deref().unwrap_or_default())
            .text(&format!("{:?} {} {} {} {}", args.album, args.as_file, args.voice, args.spoiler, args.silent))
    }

    /// Where messages go.
    pub(super) fn post(&self) -> Post<'_> {
        Post { peer: self.peer, topic: self.args.topic, silent: self.args.silent }
    }

    pub(super) async fn all(self, files: &[PathBuf]) -> Result<ExitCode, CliError> {
        let mut identity = self.identity("up run");
        for file in files {
            identity = identity.text(&file.to_string_lossy());
        }
        let items = u32::try_from(self.plan.items.len()).map_err(|_| CliError::usage("too many files"))?;
        let fingerprint = identity.text(&format!("{:?}", self.args.split)).finish();
        let (record, before) = RunRecord::take_up(self.namespace, JobKind::Upload, &fingerprint, items, self.args.restart)?;
        if before > 0 {
            self.context
                .output
                .note(&format!("going on where this upload was cut off: {before} of {items} files are there already"));
        }
        let mut in_flight = FuturesUnordered::new();
        let mut queue = self.plan.units.iter();
        let mut fatal = None;
        let mut first = true;
        let limit = usize::from(self.context.settings.limit).max(1);
        loop {
            while in_flight.len() < limit
                && fatal.is_none()
                && !self.stop.is_requested()
                && let Some(unit) = queue.next()
            {
                if self.is_done(unit, &record) {
                    continue;
                }
                let delay = if first { std::time::Duration::ZERO } else { self.context.settings.delay };
                first = false;
                let (run, record) = (&self, &record);
                in_flight.push(async move {
                    tokio::time::sleep(delay).await;
                    match unit {
                        Unit::One(index) => run.one(*index, record).await,
                        Unit::Album(list) => run.album(list, record).await,
                        Unit::Pieces(list) => run.pieces(list, record).await,
                    }
                });
            }
            match in_flight.next().await {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => fatal = fatal.or(Some(error)),
            }
        }
        drop(in_flight);
        self.reporter.finish("uploaded");
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let again = |list: &Path| again(self.context, self.args, list);
        transfers::conclude(self.context, "up", record, self.stop, fatal, &failed, again)
    }

    /// Whether an earlier run has sent all of this. Pieces are looked at one by one.
    fn is_done(&self, unit: &Unit, record: &RunRecord) -> bool {
        let list = match unit {
            Unit::One(index) => std::slice::from_ref(index),
            Unit::Album(list) | Unit::Pieces(list) => list.as_slice(),
        };
        let done = list.iter().all(|&index| record.is_done(index));
        if done {
            for &index in list {
                self.sent_before(index);
            }
        }
        done
    }

    /// Item `index` of the plan.
    pub(super) fn item(&self, index: u32) -> Result<&'a Item, CliError> {
        let item = usize::try_from(index).ok().and_then(|index| self.plan.items.get(index));
        item.ok_or_else(|| CliError::failed(format!("there is no item {index} in this run")))
    }

    /// Reports an item that an earlier run has sent.
    pub(super) fn sent_before(&self, index: u32) {
        if let Ok(item) = self.item(index) {
            self.reporter.item(&item.shown(), &Outcome::Skipped("sent before the interruption".into()));
        }
    }

    /// An item failed before it was under way. What ends the whole run comes back.
    pub(super) fn failed(&self, item: &Item, failure: Failure) -> Result<(), CliError> {
        match failure {
            Failure::Item(why) => {
                self.reporter.item(&item.shown(), &Outcome::Failed(why));
                self.to_try_again(item);
                Ok(())
            }
            Failure::Run(error) => Err(error),
        }
    }

    /// Puts the file of an item on the retry list.
    pub(super) fn to_try_again(&self, item: &Item) {
        let path = item.path.to_string_lossy().into_owned();
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed.contains(&path) {
            failed.push(path);
        }
    }

    /// Says to a program which message an item has become.
    pub(super) fn tell(&self, item: &Item, message: Option<i32>) -> Result<(), CliError> {
        if !self.context.output.json {
            return Ok(());
        }
        let mut line = json!({"path": item.path, "chat": self.peer.id, "message": message});
        if let Some(piece) = item.piece {
            line["piece"] = piece.number.into();
            line["pieces"] = piece.of.into();
        }
        self.context.output.json_line(&line)
    }
}

/// The command that tries again what failed, and does with it what this one was to do. The list comes last.
fn again(context: &Context, args: &UpArgs, list: &Path) -> String {
    let mut words = vec![transfers::program(&context.settings), "up".to_owned()];
    words.extend(flags(args));
    words.push(format!("--path-list {}", quoted(list)));
    words.join(" ")
}

/// What a run is told but for its files, as a shell takes it.
fn flags(args: &UpArgs) -> Vec<String> {
    let word = |text: &str| quoted(Path::new(text));
    let mut words = Vec::new();
    if !args.chat.is_empty() {
        words.push(format!("--chat={}", word(&args.chat)));
    }
    words.extend(args.topic.map(|topic| format!("--topic={topic}")));
    let flags = [
        ("--rm", args.rm),
        ("--photo", args.photo),
        ("--as-file", args.as_file),
        ("--voice", args.voice),
        ("--silent", args.silent),
        ("--spoiler", args.spoiler),
    ];
    words.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned()));
    words.extend(args.album.map(|by| match by {
        AlbumBy::Dir => "--album".to_owned(),
        AlbumBy::All => "--album=all".to_owned(),
    }));
    words.extend(args.split.map(|split| match split {
        Split::Max => "--split".to_owned(),
        Split::Bytes(bytes) => format!("--split={bytes}"),
    }));
    words.extend(match &args.thumb {
        Thumb::Auto => None,
        Thumb::Jpg => Some("--thumb=jpg".to_owned()),
        Thumb::None => Some("--thumb=none".to_owned()),
        Thumb::File(path) => Some(format!("--thumb={}", quoted(path))),
    });
    words.extend(args.caption.as_deref().map(|text| format!("--caption={}", word(text))));
    words.extend(args.name.as_deref().map(|name| format!("--name={}", word(name))));
    words.extend(args.limit_rate.map(|rate| format!("--limit-rate={rate}")));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shell {
        #[command(flatten)]
        args: UpArgs,
    }

    /// What is printed, read again as a shell reads it, is what was given, but for the files.
    #[test]
    fn the_command_that_tries_again_means_the_same() {
        let given = "x -p f --chat=-100 --topic 7 --rm --photo --silent --spoiler --album=all --split=1M --thumb ./-x.jpg --name=-n \
                     --limit-rate 2M --caption";
        let caption = "it's \"<b>\" + FileName";
        let words = given.split_whitespace().chain([caption]);
        for words in
            [words.collect(), vec!["x", "-p", "f", "--as-file", "--thumb", "none", "--split"], vec!["x", "-p", "f", "--voice"]]
        {
            let args = Shell::try_parse_from(&words).unwrap().args;
            let printed = flags(&args).join(" ");
            let read = shlex(&printed);
            let again =
                Shell::try_parse_from(["x", "-p", "f"].into_iter().chain(read.iter().map(String::as_str))).unwrap().args;
            assert_eq!(format!("{again:?}"), format!("{args:?}"), "{printed}");
        }
    }

    /// Words as a POSIX shell takes them apart, as far as [`quoted`] needs it.
    fn shlex(line: &str) -> Vec<String> {
        let (mut words, mut word, mut within) = (Vec::new(), String::new(), false);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => within = !within,
                '\\' if !within => word.extend(chars.next()),
                ' ' if !within => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        words.push(word);
        words
    }
}
