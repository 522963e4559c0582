//! The loop of a run: messages are looked up a page ahead of the downloads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tdl::client::Client;
use tdl::store::{JobKind, Namespace};
use tdl::transfer::RunRecord;
use tdl::transfer::fingerprint::Identity;
use tdl::transfer::flow::Flow;
use tdl::transfer::stop::Stop;

use super::args::DlArgs;
use super::items::{Item, pages};
use super::look_up::{Page, Wanted};
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::failure::Failure;
use crate::cli::progress::{Outcome, Reporter};
use crate::cli::select::Extensions;
use crate::cli::template::NameTemplate;
use crate::cli::transfers;

/// One run of `tdl dl`.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    pub(super) namespace: &'a Arc<Namespace>,
    pub(super) template: NameTemplate,
    pub(super) extensions: Extensions,
    pub(super) args: &'a DlArgs,
    pub(super) stop: &'a Stop,
    pub(super) reporter: Reporter,
    /// Targets of this run, so that no two files share one.
    pub(super) taken: Mutex<HashSet<PathBuf>>,
    /// How many files of each message are not done yet: an album has several.
    pub(super) open: Mutex<HashMap<u32, usize>>,
    pub(super) flow: Flow,
}

impl Run<'_> {
    /// Takes up the record of an earlier run, downloads what is missing, and says how it ended.
    pub(super) async fn all(self, items: &[Item]) -> Result<ExitCode, CliError> {
        let mut identity = Identity::new("dl run").text(&self.args.dir.to_string_lossy()).text(&self.args.template);
        for item in items {
            identity = identity.text(&item.text());
        }
        let count = u32::try_from(items.len()).map_err(|_| CliError::usage("too many messages"))?;
        let (record, before) =
            RunRecord::take_up(self.namespace, JobKind::Download, &identity.finish(), count, self.args.restart)?;
        if before > 0 {
            self.context
                .output
                .note(&format!("going on where this download was cut off: {before} of {count} messages are done"));
        }
        let (fatal, failed_items) = self.transfer(items, &record).await?;
        self.reporter.finish("downloaded");
        let failed = items.iter().zip(0..).filter(|(_, i)| failed_items.contains(i)).map(|(item, _)| item.text());
        let failed: Vec<String> = failed.collect();
        let again = |list: &Path| format!("tdl dl --link-list {} -d {}", list.display(), self.args.dir.display());
        transfers::conclude(self.context, "dl", record, self.stop, fatal, &failed, again)
    }

    /// Looks messages up a page ahead of the downloads, so that the first file begins at once, however long the list is.
    async fn transfer(&self, items: &[Item], record: &RunRecord) -> Result<(Option<CliError>, HashSet<u32>), CliError> {
        let limit = usize::from(self.context.settings.limit).max(1);
        let mut pages = pages(items).into_iter();
        let mut looking: Option<Pin<Box<dyn Future<Output = Page> + '_>>> = None;
        let mut ready: VecDeque<Wanted> = VecDeque::new();
        let mut in_flight = FuturesUnordered::new();
        let mut failed = HashSet::new();
        let mut fatal: Option<CliError> = None;
        let mut first = true;
        loop {
            let ending = fatal.is_some() || self.stop.is_requested();
            while !ending
                && in_flight.len() < limit
                && let Some(wanted) = ready.pop_front()
            {
                let delay = if first { std::time::Duration::ZERO } else { self.context.settings.delay };
                first = false;
                in_flight.push(async move {
                    tokio::time::sleep(delay).await;
                    let result = self.file(&wanted, record).await;
                    (wanted, result)
                });
            }
            if !ending && looking.is_none() && ready.len() < limit {
                looking = pages.next().map(|page| Box::pin(self.look_up(page, items)) as _);
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
                Some((wanted, result)) = in_flight.next(), if !in_flight.is_empty() => {
                    match result {
                        Ok(()) => {}
                        Err(Failure::Item(_)) => { failed.insert(wanted.index); }
                        Err(Failure::Run(error)) => fatal = Some(error),
                    }
                }
                page = looked_up, if !ending => {
                    looking = None;
                    for (index, text, result) in page {
                        match result {
                            Ok(files) => {
                                self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(index, files.len());
                                ready.extend(files);
                            }
                            Err(Failure::Item(why)) => {
                                failed.insert(index);
                                self.reporter.item(&text, &Outcome::Failed(why));
                            }
                            Err(Failure::Run(error)) => fatal = Some(error),
                        }
                    }
                }
            }
        }
        drop(in_flight);
        Ok((fatal, failed))
    }
}
