//! `tdl dl`: files from messages.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use humansize::{BINARY, format_size};
use serde_json::json;
use tdl::chat::links::{ChatRef, MessageLink};
use tdl::chat::peers::Peer;
use tdl::chat::{ChatError, export, history, links, media::Media, peers};
use tdl::client::Client;
use tdl::store::{JobKind, Namespace};
use tdl::transfer::download::{self, PartFile, Remote};
use tdl::transfer::fingerprint::Identity;
use tdl::transfer::flow::{Flow, Limits, Notices};
use tdl::transfer::name::{numbered, safe_path};
use tdl::transfer::stop::Stop;
use tdl::transfer::{JobRecord, RunRecord, TransferError};

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::failure::Failure;
use super::progress::{FileProgress, Outcome, Reporter};
use super::select::Extensions;
use super::template::{self, NameFields, NameTemplate, unix_now};
use super::transfers;

/// The arguments of `tdl dl`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl dl -u https://t.me/telegram/193            one message
  tdl dl -u https://t.me/c/1697797156/151 --group  all files of its album
  tdl chat export -c @telegram -i 0 && tdl dl -f tdl-export.json -d telegram
A download that was cut off goes on when the same command is given again.")]
pub(crate) struct DlArgs {
    /// A link to a message; may be given several times, or several with commas
    #[arg(short, long, value_name = "LINK", value_delimiter = ',', required_unless_present_any = ["file", "link_list"])]
    url: Vec<String>,

    /// A file written by `tdl chat export`, or a Telegram Desktop result.json
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    file: Vec<PathBuf>,

    /// A text file with one link a line, such as the retry list of a failed run
    #[arg(long, value_name = "FILE")]
    link_list: Option<PathBuf>,

    /// The directory for the files
    #[arg(short, long, value_name = "DIR", default_value = "downloads")]
    dir: PathBuf,

    /// How files are named: a Go template; `/` in it makes directories
    #[arg(long, env = "TDL_TEMPLATE", value_name = "TEMPLATE", default_value = template::DEFAULT)]
    template: String,

    /// Only files with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',', conflicts_with = "exclude")]
    include: Vec<String>,

    /// All files but those with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',')]
    exclude: Vec<String>,

    /// Leave out a file that is there already with the same size
    #[arg(long)]
    skip_same: bool,

    /// Name each file by what its content is
    #[arg(long)]
    rewrite_ext: bool,

    /// In the opposite order
    #[arg(long)]
    desc: bool,

    /// With a message of an album, download the whole album
    #[arg(long)]
    group: bool,

    /// Go on where the same command was cut off (this is the default)
    #[arg(long = "continue", conflicts_with = "restart")]
    go_on: bool,

    /// Begin anew, even if the same command was cut off earlier
    #[arg(long)]
    restart: bool,
}

/// One message to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    link: MessageLink,
}

impl Item {
    /// As the retry list and the reports write it.
    fn text(&self) -> String {
        let mut text = match &self.link.chat {
            ChatRef::Username(name) => format!("https://t.me/{name}/{}", self.link.message),
            ChatRef::Id(id) => format!("https://t.me/c/{id}/{}", self.link.message),
            ChatRef::Own | ChatRef::Phone(_) => format!("{}/{}", self.link.chat, self.link.message),
        };
        if let Some(comment) = self.link.comment {
            text.push_str(&format!("?comment={comment}"));
        }
        text
    }
}

pub(crate) async fn run(context: &Context, args: DlArgs) -> Result<ExitCode, CliError> {
    let template = NameTemplate::parse(&args.template)?;
    let items = collect(&args)?;
    transfers::with_client(context, async |client, namespace, stop| {
        let run = Run {
            context,
            client,
            namespace,
            template,
            extensions: Extensions::new(&args.include, &args.exclude),
            args: &args,
            stop,
            reporter: Reporter::new(context, items.len() as u64),
            taken: Mutex::default(),
            open: Mutex::default(),
            flow: Flow::watched(
                Limits {
                    max_wait: context.settings.max_flood_wait,
                    ..Limits::new(context.settings.threads.into(), context.settings.limit.into())
                },
                Notices(client.clone()),
            ),
        };
        run.all(&items).await
    })
    .await
}

fn collect(args: &DlArgs) -> Result<Vec<Item>, CliError> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| CliError::failed(format!("cannot read {}: {e}", path.display())));
    let mut texts = args.url.clone();
    if let Some(list) = &args.link_list {
        texts.extend(String::from_utf8_lossy(&read(list)?).lines().map(str::to_owned));
    }
    let mut items = Vec::new();
    for text in texts.iter().filter(|t| !t.trim().is_empty()) {
        items.push(Item { link: links::message_link(text).map_err(|e| CliError::usage(e.to_string()))? });
    }
    for path in &args.file {
        let export = export::read(&read(path)?).map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?;
        let chat = ChatRef::Id(export.chat);
        items.extend(
            export.messages.iter().map(|id| Item { link: MessageLink { chat: chat.clone(), message: *id, comment: None } }),
        );
    }
    let mut known = HashSet::new();
    items.retain(|item| known.insert(item.text()));
    if args.desc {
        items.reverse();
    }
    if items.is_empty() {
        return Err(CliError::failed("there is nothing to download").advise("the export holds no message with a file"));
    }
    Ok(items)
}

/// A file of a message, ready to be downloaded.
struct Wanted {
    index: u32,
    text: String,
    peer: Arc<Peer>,
    message: i32,
    date: i32,
    caption: String,
    media: Media,
}

struct Run<'a> {
    context: &'a Context,
    client: &'a Client,
    namespace: &'a Arc<Namespace>,
    template: NameTemplate,
    extensions: Extensions,
    args: &'a DlArgs,
    stop: &'a Stop,
    reporter: Reporter,
    /// Targets of this run, so that no two files share one.
    taken: Mutex<HashSet<PathBuf>>,
    /// How many files of each message are not done yet: an album has several.
    open: Mutex<HashMap<u32, usize>>,
    flow: Flow,
}

/// Messages that one page of look-ups brought: files, and items that turned out to have none.
type Page = Vec<(u32, String, Result<Vec<Wanted>, Failure>)>;

impl<'a> Run<'a> {
    async fn all(self, items: &[Item]) -> Result<ExitCode, CliError> {
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

    /// Resolves the messages of one page: many of one chat in one request.
    async fn look_up(&self, page: Vec<u32>, items: &[Item]) -> Page {
        let items: Vec<(u32, &Item)> = page.into_iter().filter_map(|i| Some((i, items.get(i as usize)?))).collect();
        let fail_all = |items: &[(u32, &Item)], failure: &dyn Fn() -> Failure| {
            items.iter().map(|(i, item)| (*i, item.text(), Err(failure()))).collect::<Page>()
        };
        let Some((_, head)) = items.first() else { return Vec::new() };
        let mut found: HashMap<i32, tdl::tl::api::enums::Message> = HashMap::new();
        let peer = if head.link.comment.is_some() {
            match history::by_link(self.client, &head.link).await {
                Ok((peer, message)) => {
                    found.insert(head.link.message, message);
                    peer
                }
                Err(error) => return vec![(items.first().map_or(0, |(i, _)| *i), head.text(), Err(error.into()))],
            }
        } else {
            let peer = match peers::resolve(self.client, &head.link.chat).await {
                Ok(peer) => peer,
                Err(error) => match Failure::from(error) {
                    Failure::Item(why) => return fail_all(&items, &|| Failure::Item(why.clone())),
                    other => return vec![(0, head.text(), Err(other))],
                },
            };
            let ids: Vec<i32> = items.iter().map(|(_, item)| item.link.message).collect();
            match history::by_ids(self.client, &peer, &ids).await {
                Ok(messages) => found.extend(messages.into_iter().map(|m| (history::id_of(&m), m))),
                Err(error) => match Failure::from(error) {
                    Failure::Item(why) => return fail_all(&items, &|| Failure::Item(why.clone())),
                    other => return vec![(0, head.text(), Err(other))],
                },
            }
            peer
        };
        let peer = Arc::new(peer);
        let mut page = Vec::with_capacity(items.len());
        for (index, item) in items {
            let result = match found.get(&item.link.message) {
                None => Err(Failure::Item("the message does not exist, or was deleted".into())),
                Some(message) => self.files_of(index, &item.text(), &peer, message).await,
            };
            page.push((index, item.text(), result));
        }
        page
    }

    async fn files_of(
        &self,
        index: u32,
        text: &str,
        peer: &Arc<Peer>,
        message: &tdl::tl::api::enums::Message,
    ) -> Result<Vec<Wanted>, Failure> {
        let Some(message) = export::regular(message) else {
            return Err(Failure::Item("a service message: it has no file".into()));
        };
        let album =
            if self.args.group { history::album(self.client, peer, message).await? } else { vec![message.clone().into()] };
        let files: Vec<Wanted> = album
            .iter()
            .filter_map(export::regular)
            .filter_map(|m| {
                Some(Wanted {
                    index,
                    text: text.to_owned(),
                    peer: Arc::clone(peer),
                    message: m.id,
                    date: m.date,
                    caption: m.message.to_string(),
                    media: Media::of(m)?,
                })
            })
            .collect();
        if files.is_empty() { Err(Failure::Item("the message has no file that can be downloaded".into())) } else { Ok(files) }
    }

    /// One file, from its name to its last byte. Reports its own end.
    async fn file(&self, wanted: &Wanted, record: &RunRecord) -> Result<(), Failure> {
        let media = &wanted.media;
        if !self.extensions.admits(&media.name) {
            self.finished(wanted, record)?;
            self.reporter.item(&media.name, &Outcome::Skipped("not one of the wanted extensions".into()));
            return Ok(());
        }
        let fields = NameFields {
            dialog_id: wanted.peer.id,
            message_id: wanted.message,
            message_date: wanted.date.into(),
            // Directories are the template's to make, not the sender's.
            file_name: media.name.replace(['/', '\\'], "_"),
            file_caption: wanted.caption.replace(['/', '\\'], "_"),
            file_size: format_size(media.size, BINARY),
            download_date: unix_now(),
        };
        let target = self.claim(safe_path(&self.args.dir, &self.template.name(&fields)?));
        let shown = target.strip_prefix(&self.args.dir).unwrap_or(&target).to_string_lossy().into_owned();
        let there = std::fs::metadata(&target).ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
        if there == Some(media.size) && (self.args.skip_same || record.is_done(wanted.index)) {
            self.finished(wanted, record)?;
            self.reporter.item(&shown, &Outcome::Skipped("there already, with the same size".into()));
            return Ok(());
        }
        let prepared = self.prepare(wanted, &target);
        let (file, job) = match prepared {
            Ok(prepared) => prepared,
            Err(Failure::Item(why)) => {
                self.reporter.item(&wanted.text, &Outcome::Failed(why.clone()));
                return Err(Failure::Item(why));
            }
            Err(other) => return Err(other),
        };
        let already = u64::from(job.parts().done()) * u64::from(tdl::transfer::parts::DOWNLOAD_PART);
        let progress = self.reporter.file(&shown, media.size, already.min(media.size));
        match self.fetch(wanted, file, job, &progress).await {
            Ok(path) => {
                self.finished(wanted, record)?;
                progress.end(&Outcome::Done);
                if self.context.output.json {
                    let line = json!({"chat": wanted.peer.id, "message": wanted.message, "path": path, "size": media.size});
                    self.context.output.json_line(&line)?;
                }
                Ok(())
            }
            Err(Failure::Item(why)) => {
                progress.end(&Outcome::Failed(why.clone()));
                Err(Failure::Item(why))
            }
            Err(other) => {
                progress.abandon();
                Err(other)
            }
        }
    }

    /// Records that a file is done, and with the last one its message. Comes before the report: what is reported must stay true.
    fn finished(&self, wanted: &Wanted, record: &RunRecord) -> Result<(), Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.entry(wanted.index).or_insert(1);
        *left = left.saturating_sub(1);
        if *left == 0 {
            record.mark(wanted.index)?;
        }
        Ok(())
    }

    /// The target, or a numbered one beside it when an earlier file of this run has taken it.
    fn claim(&self, target: PathBuf) -> PathBuf {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chosen = target.clone();
        let mut n = 2;
        while !taken.insert(chosen.clone()) {
            chosen = numbered(&target, n);
            n += 1;
        }
        chosen
    }

    fn prepare(&self, wanted: &Wanted, target: &Path) -> Result<(PartFile, JobRecord), Failure> {
        let media = &wanted.media;
        let (parts, _) = download::parts_of(media.size)?;
        let identity = Identity::new("dl file")
            .number(media.id)
            .number(i64::try_from(media.size).unwrap_or(i64::MAX))
            .text(&target.to_string_lossy())
            .finish();
        let found = if self.args.restart { None } else { JobRecord::find_download(self.namespace, &identity, parts.count())? };
        let file = PartFile::open(target, media.size, found.is_some())?;
        let job = match found.filter(|_| file.is_resumed()) {
            Some(job) => job,
            None => JobRecord::download(self.namespace, &identity, parts.count())?,
        };
        Ok((file, job))
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        file: PartFile,
        job: JobRecord,
        progress: &FileProgress,
    ) -> Result<PathBuf, Failure> {
        let media = &wanted.media;
        let remote = Remote { dc: media.dc, location: media.location.clone(), size: media.size };
        let refresh = Arc::new(|| -> download::Refreshed<'_> { Box::pin(self.refresh(wanted)) });
        let options = download::Options { progress, checkpoint: &job, refresh, stop: self.stop };
        download::download(self.client, &self.flow, &remote, &file, job.parts().clone(), &options).await?;
        drop(options);
        let path = file.finish(wanted.date)?;
        job.finish()?;
        if self.args.rewrite_ext {
            return self.rewrite_extension(path);
        }
        Ok(path)
    }

    /// The location with a fresh file reference: the message is asked for again.
    async fn refresh(&self, wanted: &Wanted) -> Result<tdl::tl::api::enums::InputFileLocation, TransferError> {
        let found = match history::by_ids(self.client, &wanted.peer, &[wanted.message]).await {
            Err(ChatError::Invoke(error)) => return Err(error.into()),
            other => other.unwrap_or_default(),
        };
        let media = found.iter().filter_map(export::regular).find_map(Media::of);
        media.filter(|m| m.id == wanted.media.id).map(|m| m.location).ok_or(TransferError::Gone)
    }

    fn rewrite_extension(&self, path: PathBuf) -> Result<PathBuf, Failure> {
        let Ok(Some(kind)) = infer::get_from_path(&path) else { return Ok(path) };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(kind.extension())) {
            return Ok(path);
        }
        let renamed = self.claim(path.with_extension(kind.extension()));
        std::fs::rename(&path, &renamed).map_err(|e| Failure::Item(format!("downloaded, but cannot be renamed: {e}")))?;
        Ok(renamed)
    }
}

/// The items in pages: neighbours of one chat together, up to what one request takes; comments alone.
fn pages(items: &[Item]) -> Vec<Vec<u32>> {
    let mut pages: Vec<Vec<u32>> = Vec::new();
    let mut last: Option<&Item> = None;
    for (index, item) in (0..).zip(items) {
        let joins =
            last.is_some_and(|l| l.link.chat == item.link.chat && l.link.comment.is_none() && item.link.comment.is_none());
        match pages.last_mut() {
            Some(page) if joins && page.len() < history::PAGE => page.push(index),
            _ => pages.push(vec![index]),
        }
        last = Some(item);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(chat: i64, message: i32, comment: Option<i32>) -> Item {
        Item { link: MessageLink { chat: ChatRef::Id(chat), message, comment } }
    }

    #[test]
    fn neighbours_of_a_chat_share_a_page_and_comments_do_not() {
        let mut items: Vec<Item> = (1..=150).map(|m| item(1, m, None)).collect();
        items.push(item(2, 1, None));
        items.push(item(2, 2, Some(5)));
        items.push(item(2, 3, None));
        let sizes: Vec<usize> = pages(&items).iter().map(Vec::len).collect();
        assert_eq!(sizes, [100, 50, 1, 1, 1]);
    }

    #[test]
    fn an_item_reads_back_from_the_retry_list() {
        for item in [item(1_697_797_156, 151, None), item(7, 3, Some(9))] {
            assert_eq!(links::message_link(&item.text()).unwrap(), item.link);
        }
    }
}
