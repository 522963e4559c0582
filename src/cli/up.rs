//! `tdl up`: files to a chat.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;
use tdl::chat::peers::Peer;
use tdl::chat::send::FileMessage;
use tdl::chat::{ChatError, export::regular, history, html, links, media::Media, peers, send};
use tdl::client::{Client, InvokeError};
use tdl::store::{JobKind, Namespace};
use tdl::tl::api::enums;
use tdl::transfer::fingerprint::Identity;
use tdl::transfer::stop::Stop;
use tdl::transfer::upload::{self, LocalFile};
use tdl::transfer::{JobRecord, RunRecord, UploadIds};

use super::context::Context;
use super::exit::{CliError, ExitCode};
use super::expr::{Expression, UploadFields};
use super::failure::Failure;
use super::progress::{Outcome, Reporter};
use super::select::Extensions;
use super::transfers;

/// Parts of 512 KiB that an account may send: 2000 MiB, or twice as much with Premium ("Uploading and Downloading Files").
const MAX_PARTS: u32 = 4000;
const MAX_PARTS_PREMIUM: u32 = 8000;

/// The arguments of `tdl up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl up -p photo.jpg                        to your Saved Messages
  tdl up -p album/ -p notes.txt -c @friend   a whole directory, and a file
  tdl up -p film.mkv --caption '\"<b>\"+FileName+\"</b>\"'
An upload that was cut off goes on when the same command is given again.")]
pub(crate) struct UpArgs {
    /// A file, or a directory with everything below it; may be given several times
    #[arg(short, long = "path", value_name = "PATH", required_unless_present = "path_list")]
    path: Vec<PathBuf>,

    /// A text file with one path a line, such as the retry list of a failed run
    #[arg(long, value_name = "FILE")]
    path_list: Option<PathBuf>,

    /// The chat: @name, a t.me link, a phone number or an id from `tdl chat ls` [default: Saved Messages]
    #[arg(short, long, value_name = "CHAT", default_value = "", hide_default_value = true)]
    chat: String,

    /// The topic of a forum to post in
    #[arg(long, value_name = "ID", requires = "chat", value_parser = clap::value_parser!(i32).range(1..))]
    topic: Option<i32>,

    /// Only files with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',', conflicts_with = "exclude")]
    include: Vec<String>,

    /// All files but those with these extensions
    #[arg(short, long, value_name = "EXT", value_delimiter = ',')]
    exclude: Vec<String>,

    /// Delete each file here once its message exists and has the file's size
    #[arg(long)]
    rm: bool,

    /// Send pictures as photos, which the server makes smaller, instead of as files
    #[arg(long)]
    photo: bool,

    /// An expression for the text below each file, in HTML; `-` lists what it may use
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    caption: Option<String>,

    /// The name that the receiver sees; for one file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Begin anew, even if the same command was cut off earlier
    #[arg(long)]
    restart: bool,
}

pub(crate) async fn run(context: &Context, args: UpArgs) -> Result<ExitCode, CliError> {
    if args.caption.as_deref() == Some("-") {
        context.output.line(UploadFields::HELP)?;
        return Ok(ExitCode::Done);
    }
    let caption = args.caption.as_deref().map(|text| Expression::compile("--caption", text)).transpose()?;
    let chat = links::chat(&args.chat).map_err(|e| CliError::usage(e.to_string()))?;
    let files = collect(&args)?;
    if args.name.is_some() && files.len() != 1 {
        return Err(CliError::usage(format!("--name is for one file, and there are {}", files.len())));
    }
    transfers::with_client(context, async |client, namespace, stop| {
        let own = peers::own_user(client).await?;
        let run = Run {
            context,
            client,
            namespace,
            max_parts: if own.premium { MAX_PARTS_PREMIUM } else { MAX_PARTS },
            peer: peers::resolve(client, &chat).await?,
            caption,
            args: &args,
            stop,
            reporter: Reporter::new(context, files.len() as u64),
        };
        run.all(&files).await
    })
    .await
}

/// The files below the given paths, each once, in order.
fn collect(args: &UpArgs) -> Result<Vec<PathBuf>, CliError> {
    let extensions = Extensions::new(&args.include, &args.exclude);
    let mut paths = args.path.clone();
    if let Some(list) = &args.path_list {
        let text =
            std::fs::read_to_string(list).map_err(|e| CliError::failed(format!("cannot read {}: {e}", list.display())))?;
        paths.extend(text.lines().filter(|l| !l.is_empty()).map(PathBuf::from));
    }
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for path in &paths {
        let meta = std::fs::metadata(path).map_err(|e| {
            CliError::new(ExitCode::Failed, format!("cannot read {}: {e}", path.display()))
                .advise("check the path given with -p")
        })?;
        let mut below = Vec::new();
        if meta.is_dir() {
            walk(path, &mut below)?;
            below.retain(|file| extensions.admits(&file.to_string_lossy()));
        } else {
            below.push(path.clone());
        }
        found.extend(below.into_iter().filter(|file| known.insert(file.clone())));
    }
    if found.is_empty() {
        return Err(CliError::failed("there are no files to upload").advise("check the paths, and --include or --exclude"));
    }
    Ok(found)
}

/// Everything below a directory that is not one itself, by name. Links to directories are not followed: they may lead in circles.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let unreadable = |e: std::io::Error| CliError::failed(format!("cannot read the directory {}: {e}", dir.display()));
    let mut entries = std::fs::read_dir(dir).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type().map_err(unreadable)?.is_dir() {
            walk(&entry.path(), found)?;
        } else if !entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    Ok(())
}

struct Run<'a> {
    context: &'a Context,
    client: &'a Client,
    namespace: &'a Arc<Namespace>,
    max_parts: u32,
    peer: Peer,
    caption: Option<Expression>,
    args: &'a UpArgs,
    stop: &'a Stop,
    reporter: Reporter,
}

impl Run<'_> {
    /// What makes a message of this run another one: everything but the file.
    fn identity(&self, kind: &str) -> Identity {
        let args = self.args;
        Identity::new(kind)
            .number(self.peer.id)
            .number(args.topic.unwrap_or(0).into())
            .number(args.photo.into())
            .text(args.caption.as_deref().unwrap_or_default())
            .text(args.name.as_deref().unwrap_or_default())
    }

    async fn all(self, files: &[PathBuf]) -> Result<ExitCode, CliError> {
        let mut identity = self.identity("up run");
        for file in files {
            identity = identity.text(&file.to_string_lossy());
        }
        let items = u32::try_from(files.len()).map_err(|_| CliError::usage("too many files"))?;
        let (record, before) =
            RunRecord::take_up(self.namespace, JobKind::Upload, &identity.finish(), items, self.args.restart)?;
        if before > 0 {
            self.context
                .output
                .note(&format!("going on where this upload was cut off: {before} of {items} files are there already"));
        }
        let mut in_flight = FuturesUnordered::new();
        let mut queue = (0..items).zip(files);
        let mut fatal = None;
        let mut first = true;
        let limit = usize::from(self.context.settings.limit).max(1);
        loop {
            while in_flight.len() < limit
                && fatal.is_none()
                && !self.stop.is_requested()
                && let Some((index, path)) = queue.next()
            {
                if record.is_done(index) {
                    self.reporter.item(&path.to_string_lossy(), &Outcome::Skipped("sent before the interruption".into()));
                    continue;
                }
                let delay = if first { std::time::Duration::ZERO } else { self.context.settings.delay };
                first = false;
                let (run, record) = (&self, &record);
                in_flight.push(async move {
                    tokio::time::sleep(delay).await;
                    (path, run.file(path, &|| record.mark(index)).await)
                });
            }
            let Some((path, result)) = in_flight.next().await else { break };
            match result {
                Ok(message) => {
                    if self.context.output.json {
                        self.context.output.json_line(&json!({"path": path, "chat": self.peer.id, "message": message}))?;
                    }
                }
                Err(Failure::Item(_)) => {}
                Err(Failure::Run(error)) => fatal = Some(error),
            }
        }
        drop(in_flight);
        let failed: Vec<String> = self.reporter.finish("uploaded").into_iter().map(|(path, _)| path).collect();
        let again = |list: &Path| format!("tdl up --path-list {}", list.display());
        transfers::conclude(self.context, "up", record, self.stop, fatal, &failed, again)
    }

    /// One file, from opening it to its message. Reports its own end, after `sent` has recorded that it is there.
    async fn file(&self, path: &Path, sent: &dyn Fn() -> Result<(), tdl::store::Error>) -> Result<Option<i32>, Failure> {
        let shown = path.to_string_lossy();
        match self.prepare(path) {
            Err(Failure::Item(why)) => {
                self.reporter.item(&shown, &Outcome::Failed(why.clone()));
                Err(Failure::Item(why))
            }
            Err(other) => Err(other),
            Ok((file, record, ids)) => {
                let already = u64::from(record.parts().done()) * u64::from(tdl::transfer::parts::UPLOAD_PART);
                let progress = self.reporter.file(&shown, file.size(), already.min(file.size()));
                let result = self.send(&file, record, ids, &progress, sent).await;
                match &result {
                    Ok(_) => progress.end(&Outcome::Done),
                    Err(Failure::Item(why)) => progress.end(&Outcome::Failed(why.clone())),
                    Err(Failure::Run(_)) => progress.abandon(),
                }
                result
            }
        }
    }

    fn prepare(&self, path: &Path) -> Result<(LocalFile, JobRecord, UploadIds), Failure> {
        let file = LocalFile::open(path)?;
        let parts = file.parts(self.max_parts)?;
        let identity = self
            .identity("up file")
            .text(&path.to_string_lossy())
            .number(i64::try_from(file.size()).unwrap_or(i64::MAX))
            .number(file.modified_nanos());
        let (record, ids) = JobRecord::upload(self.namespace, &identity.finish(), parts.count(), self.args.restart)?;
        Ok((file, record, ids))
    }

    async fn send(
        &self,
        file: &LocalFile,
        mut record: JobRecord,
        mut ids: UploadIds,
        progress: &super::progress::FileProgress,
        sent: &dyn Fn() -> Result<(), tdl::store::Error>,
    ) -> Result<Option<i32>, Failure> {
        let path = file.path();
        let name = match &self.args.name {
            Some(name) => name.clone(),
            None => path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        };
        let mime = mime_of(path);
        let (caption, entities) = self.caption_of(path, &mime)?;
        let mut retried = false;
        let message = loop {
            let options = upload::Options {
                name: &name,
                file_id: ids.file_id,
                threads: self.context.settings.threads.into(),
                max_parts: self.max_parts,
                progress,
                checkpoint: &record,
                stop: self.stop,
            };
            let input = upload::upload(self.client, file, record.parts().clone(), &options).await?;
            let message = FileMessage {
                file: input,
                name: name.clone(),
                mime: mime.clone(),
                photo: self.args.photo && mime.starts_with("image/") && mime != "image/webp",
                caption: caption.clone(),
                entities: entities.clone(),
                topic: self.args.topic,
                random_id: ids.random_id,
            };
            match send::file(self.client, &self.peer, message).await {
                // The server has forgotten parts that an earlier run had sent.
                Err(ChatError::Invoke(InvokeError::Rpc(error))) if !retried && error.name.starts_with("FILE_PART") => {
                    retried = true;
                    (record, ids) = record.upload_anew(ids)?;
                }
                other => break other?,
            }
        };
        // In this order: a crash in between leaves a record too many, never one too few, which would send the file again.
        sent()?;
        record.finish()?;
        if self.args.rm {
            self.remove(file, message).await?;
        }
        Ok(message)
    }

    fn caption_of(&self, path: &Path, mime: &str) -> Result<(String, Vec<enums::MessageEntity>), Failure> {
        let Some(caption) = &self.caption else { return Ok(Default::default()) };
        let part = |p: Option<&std::ffi::OsStr>| p.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let extension = part(path.extension());
        let fields = UploadFields {
            file_path: path.to_string_lossy().into_owned(),
            file_name: part(path.file_stem()),
            file_ext: if extension.is_empty() { extension } else { format!(".{extension}") },
            thumb_path: String::new(),
            mime: mime.to_owned(),
        };
        let html = caption.text(&fields)?;
        html::parse(&html).map_err(|e| Failure::Item(format!("its caption {html:?}: {e}")))
    }

    /// Deletes the local file, but only when the server shows the message with a file of the same size.
    async fn remove(&self, file: &LocalFile, message: Option<i32>) -> Result<(), Failure> {
        let kept = |why: &str| Failure::Item(format!("sent, but not deleted here: {why}"));
        let id = message.ok_or_else(|| kept("an earlier run sent it"))?;
        let found = history::by_ids(self.client, &self.peer, &[id]).await?;
        let size = found.iter().filter_map(regular).find_map(Media::of).map(|m| m.size);
        if self.args.photo || size != Some(file.size()) {
            return Err(kept("the message does not show a file of the same size"));
        }
        std::fs::remove_file(file.path()).map_err(|e| kept(&e.to_string()))
    }
}

/// By name, or where that says nothing, by content.
fn mime_of(path: &Path) -> String {
    if let Some(mime) = mime_guess::from_path(path).first() {
        return mime.essence_str().to_owned();
    }
    match infer::get_from_path(path) {
        Ok(Some(kind)) => kind.mime_type().to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}
