//! The loop of a run: messages are looked up a page ahead of the downloads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tdl::chat::history;
use tdl::chat::media::Selection;
use tdl::client::Client;
use tdl::store::{JobKind, Namespace};
use tdl::transfer::RunRecord;
use tdl::transfer::flow::Flow;
use tdl::transfer::stop::Stop;
use tdl::transfer::takeout::Takeout;

use super::args::DlArgs;
use super::file::Twins;
use super::items::Items;
use super::look_up::{File, Found, Page, Wanted};
use super::naming::Names;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::failure::Failure;
use crate::cli::progress::{Outcome, Reporter};
use crate::cli::select::Extensions;
use crate::cli::template::{self, NameTemplate};
use crate::cli::transfers::{self, quoted};

/// One run of `tdl dl`.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    pub(super) namespace: &'a Arc<Namespace>,
    pub(super) items: &'a Items,
    pub(super) template: NameTemplate,
    /// Which files of a message are meant, and of these those with the right names.
    pub(super) selection: Selection,
    pub(super) extensions: Extensions,
    pub(super) args: &'a DlArgs,
    pub(super) stop: &'a Stop,
    pub(super) takeout: Option<&'a Takeout>,
    pub(super) reporter: Reporter,
    pub(super) names: Names,
    /// What is done; none for a run that only says what it would do.
    pub(super) record: Option<RunRecord>,
    /// Messages with several files.
    pub(super) several: Mutex<HashSet<u32>>,
    /// How many files of each message are not done yet: an album has several.
    pub(super) open: Mutex<HashMap<u32, usize>>,
    /// With `--dedupe`: files of which there may be several in this run.
    pub(super) twins: Twins,
    pub(super) flow: Flow,
}

/// A file of at most this length takes one request, and most of its time is spent on waiting for the disk.
const SMALL: u64 = 256 << 10;

/// How many small files take the place of a large one.
const SMALL_FOR_LARGE: usize = 16;

/// Who may begin: as many files at once as `--limit` says, and small ones beside them, so that they wait neither for large ones nor for the
/// disk to be done with each other.
struct Slots {
    large: usize,
    small: usize,
    max_large: usize,
    max_small: usize,
}

impl Slots {
    fn new(limit: usize) -> Self {
        // Whoever asks for one file at a time gets one.
        let max_small = if limit > 1 { limit.saturating_mul(SMALL_FOR_LARGE) } else { 0 };
        Self { large: 0, small: 0, max_large: limit.max(1), max_small }
    }

    /// The first of the files that may begin now; which kind of slot it takes is noted.
    fn admit(&mut self, ready: &mut VecDeque<Box<Wanted>>) -> Option<(Box<Wanted>, bool)> {
        if self.max_small > self.small
            && let Some(at) = ready.iter().position(|wanted| wanted.media.size <= SMALL)
        {
            self.small += 1;
            return ready.remove(at).map(|wanted| (wanted, true));
        }
        let any = self.max_small == 0;
        if self.max_large > self.large
            && let Some(at) = ready.iter().position(|wanted| any || wanted.media.size > SMALL)
        {
            self.large += 1;
            return ready.remove(at).map(|wanted| (wanted, false));
        }
        None
    }

    fn free(&mut self, small: bool) {
        let slots = if small { &mut self.small } else { &mut self.large };
        *slots = slots.saturating_sub(1);
    }
}

/// How a loop ended: what ended it early, and the items that failed.
type End = (Option<CliError>, HashSet<u32>);

impl Run<'_> {
    /// Takes up the record of an earlier run, downloads what is missing, and says how it ended.
    pub(super) async fn all(mut self) -> Result<ExitCode, CliError> {
        let count = u32::try_from(self.items.len()).map_err(|_| CliError::usage("too many messages"))?;
        if !self.args.dry_run {
            let fingerprint = self.items.fingerprint(self.args);
            let (record, before) =
                RunRecord::take_up(self.namespace, JobKind::Download, &fingerprint, count, self.args.restart)?;
            if before > 0 {
                self.context
                    .output
                    .note(&format!("going on where this download was cut off: {before} of {count} messages are done"));
            }
            self.record = Some(record);
        }
        let (fatal, failed) = self.transfer().await?;
        self.reporter.finish(if self.args.dry_run { "to download" } else { "downloaded" });
        // Of a message with several files some may be here.
        let partly = self.several.lock().unwrap_or_else(PoisonError::into_inner).intersection(&failed).next().is_some();
        let failed: Vec<String> = (0..count)
            .filter(|index| failed.contains(index))
            .filter_map(|index| self.items.get(index))
            .map(|item| self.items.text(item))
            .collect();
        let Some(record) = self.record else {
            return match fatal {
                Some(error) => Err(error),
                None if self.stop.is_requested() => Err(CliError::interrupted()),
                None => Ok(if failed.is_empty() { ExitCode::Done } else { ExitCode::SomeFailed }),
            };
        };
        let again = |list: &Path| again(self.context, self.args, list, partly);
        transfers::conclude(self.context, "dl", record, self.stop, fatal, &failed, again)
    }

    /// Looks messages up a page ahead of the downloads, so that the first file begins at once, however long the list is, and the downloads
    /// need not wait. No more than two pages are known at any time: what is known goes stale.
    async fn transfer(&self) -> Result<End, CliError> {
        // With a pause before each file they come one by one.
        let delay = self.context.settings.delay;
        let limit = usize::from(self.context.settings.limit);
        let mut slots = Slots::new(limit);
        if !delay.is_zero() {
            slots.max_small = 0;
        }
        let mut pages = self.items.pages();
        let mut looking: Option<Pin<Box<dyn Future<Output = Page> + '_>>> = None;
        let mut ready: VecDeque<Box<Wanted>> = VecDeque::new();
        let mut in_flight = FuturesUnordered::new();
        let mut failed = HashSet::new();
        let mut fatal: Option<CliError> = None;
        let mut first = true;
        loop {
            let ending = fatal.is_some() || self.stop.is_requested();
            while !ending && let Some((wanted, small)) = slots.admit(&mut ready) {
                let pause = !first && !delay.is_zero();
                first = false;
                in_flight.push(async move {
                    if pause {
                        tokio::time::sleep(delay).await;
                    }
                    let result = self.file(&wanted).await;
                    (wanted.index, small, result)
                });
            }
            if !ending && looking.is_none() && ready.len() < history::PAGE {
                looking = pages.next().map(|page| Box::pin(self.look_up(page)) as _);
            }
            if in_flight.is_empty() && (ending || looking.is_none()) {
                break;
            }
            let looked_up = async {
                match looking.as_mut() {
                    Some(page) => page.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((index, small, result)) = in_flight.next(), if !in_flight.is_empty() => {
                    slots.free(small);
                    match result {
                        Ok(()) => {}
                        Err(Failure::Item(_)) => { failed.insert(index); }
                        Err(Failure::Run(error)) => fatal = Some(error),
                    }
                }
                page = looked_up, if !ending => {
                    looking = None;
                    for (index, found) in page {
                        match self.admit(index, found, &mut ready).await {
                            Ok(()) => {}
                            Err(Failure::Item(_)) => { failed.insert(index); }
                            Err(Failure::Run(error)) => fatal = Some(error),
                        }
                    }
                }
            }
        }
        drop(in_flight);
        Ok((fatal, failed))
    }

    /// Takes what a look-up brought for one item: queues its files, or reports why there are none.
    async fn admit(&self, index: u32, found: Found, ready: &mut VecDeque<Box<Wanted>>) -> Result<(), Failure> {
        let files = match found {
            Found::Files(files) => files,
            Found::Done => {
                self.reporter.item(&self.text(index), &Outcome::Skipped("downloaded before the interruption".into()));
                return Ok(());
            }
            Found::Failed(Failure::Item(why)) => {
                self.reporter.item(&self.text(index), &Outcome::Failed(why.clone()));
                return Err(Failure::Item(why));
            }
            Found::Failed(other) => return Err(other),
        };
        self.reporter.also((files.len() as u64).saturating_sub(1));
        if files.len() > 1 {
            self.several.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(index, files.len());
        for file in files {
            match file {
                File::Wanted(wanted) => ready.push_back(wanted),
                File::Skipped(name, why) => {
                    self.finished(index).await?;
                    self.reporter.item(&name, &Outcome::Skipped(why.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn text(&self, index: u32) -> String {
        self.items.get(index).map(|item| self.items.text(item)).unwrap_or_default()
    }

    /// Records that a file of an item is done, and with its last one the item. Comes before the report: what is reported must stay true.
    pub(super) async fn finished(&self, index: u32) -> Result<(), Failure> {
        let is_last = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let left = open.get(&index).copied().unwrap_or(1).saturating_sub(1);
            if left > 0 {
                open.insert(index, left)
            } else {
                open.remove(&index)
            };
            left == 0
        };
        match &self.record {
            Some(record) if is_last => Ok(record.commit(index).await?),
            _ => Ok(()),
        }
    }
}

/// The command that tries again what failed, and does with it what this one was to do; `partly`, if some of its files are here.
fn again(context: &Context, args: &DlArgs, list: &Path, partly: bool) -> String {
    let mut command =
        format!("{} dl --link-list {} -d {}", transfers::program(&context.settings), quoted(list), quoted(&args.dir));
    let mut add = |text: &str| {
        command.push(' ');
        command.push_str(text);
    };
    if args.template != template::DEFAULT {
        add(&format!("--template {}", quoted(Path::new(&args.template))));
    }
    for (flag, list) in [("-i", &args.include), ("-e", &args.exclude)] {
        if !list.is_empty() {
            add(&format!("{flag} {}", quoted(Path::new(&list.join(",")))));
        }
    }
    match args.dedupe {
        Some(super::args::Dedupe::Skip) => add("--dedupe"),
        Some(super::args::Dedupe::Link) => add("--dedupe=link"),
        None => {}
    }
    args.which.flags().iter().for_each(|flag| add(flag));
    if let Some(rate) = args.limit_rate {
        add(&format!("--limit-rate {rate}"));
    }
    for (flag, given) in [
        ("--skip-same", args.skip_same || partly),
        ("--rewrite-ext", args.rewrite_ext),
        ("--group", args.group),
        ("--takeout", args.takeout),
    ] {
        if given {
            add(flag);
        }
    }
    command
}
