//! One file of a run, from its name to its last byte.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tdl::chat::{files, media::Media, stories};
use tdl::transfer::TransferError;
use tdl::transfer::download::{self, Done, Prepared, Source, Target};
use tdl::transfer::fingerprint::Identity;

use super::args::Dedupe;
use super::look_up::Wanted;
use super::run::Run;
use crate::cli::failure::Failure;
use crate::cli::progress::{FileProgress, Outcome};
use crate::cli::template::unix_now;

/// Held while one of several messages brings the file that they share.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Files of which a run may have several, by id and size: the second waits for the first, and finds it there.
#[derive(Default)]
pub(super) struct Twins {
    by_media: Mutex<HashMap<(i64, u64), Turn>>,
}

impl Twins {
    fn of(&self, media: &Media) -> Turn {
        let mut by_media = self.by_media.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_media.entry((media.id, media.size)).or_default())
    }
}

impl Run<'_> {
    /// One file, from its name to its last byte. Reports its own end.
    pub(super) async fn file(&self, wanted: &Wanted) -> Result<(), Failure> {
        let shown = self.shown(&wanted.name.target);
        let result = self.file_named(wanted, &shown).await;
        if let Err(Failure::Item(why)) = &result {
            // By its link: that is what the list for another try has.
            let name = if shown.is_empty() { wanted.text.clone() } else { format!("{shown} ({})", wanted.text) };
            self.reporter.item(&name, &Outcome::Failed(why.clone()));
        }
        result
    }

    async fn file_named(&self, wanted: &Wanted, shown: &str) -> Result<(), Failure> {
        let media = &wanted.media;
        if let Some(path) = self.is_there(wanted) {
            if self.record.is_some() {
                self.namespace.file_saved(&wanted.name.key, &absolute(&path), unix_now())?;
            }
            return self.skipped(wanted, shown, "there already, with the same size".to_owned()).await;
        }
        let twin = self.args.dedupe.map(|how| (how, self.twins.of(media)));
        let _turn = match &twin {
            Some((_, turn)) => Some(turn.lock().await),
            None => None,
        };
        if let Some((how, _)) = &twin
            && let Some(copy) = self.copy_of(wanted)?
        {
            return self.deduplicated(wanted, shown, *how, &copy).await;
        }
        if self.args.dry_run {
            return self.would_download(wanted, shown);
        }
        let prepared = self.prepare(wanted).await?;
        let progress = self.reporter.file(shown, media.size, prepared.already());
        match self.fetch(wanted, prepared, &progress).await {
            Ok((path, done)) => {
                self.namespace.file_saved(&wanted.name.key, &absolute(&path), unix_now())?;
                self.finished(wanted.index).await?;
                done.forget()?;
                progress.end(&Outcome::Done);
                self.tell(wanted, &path, None)
            }
            Err(failure) => {
                progress.abandon();
                Err(failure)
            }
        }
    }

    /// The path as reports show it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.args.dir).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The file, if it need not come because it is here.
    fn is_there(&self, wanted: &Wanted) -> Option<PathBuf> {
        let (path, len) = wanted.name.there.as_ref()?;
        let by_this_run = || {
            let record = self.record.as_ref()?;
            let since = record.taken_up()?;
            // A file that has its name is whole, whether or not there was time left to say so.
            Some(record.is_done(wanted.index) || wanted.name.saved_at.is_none_or(|at| at >= since))
        };
        let by_an_earlier_one = self.args.dedupe.is_some() && wanted.name.saved_at.is_some();
        let is_it = self.args.skip_same || by_an_earlier_one || by_this_run() == Some(true);
        (*len == wanted.media.size && is_it).then(|| path.clone())
    }

    /// A file that was downloaded before, from whatever message, and is still there with its length.
    fn copy_of(&self, wanted: &Wanted) -> Result<Option<PathBuf>, Failure> {
        let (id, size) = (wanted.media.id, wanted.media.size);
        let own = absolute(&wanted.name.target);
        let there =
            |path: &PathBuf| *path != own && std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size);
        Ok(self.namespace.saved_copies(id, size)?.into_iter().map(|file| file.path).find(there))
    }

    async fn deduplicated(&self, wanted: &Wanted, shown: &str, how: Dedupe, copy: &Path) -> Result<(), Failure> {
        let target = &wanted.name.target;
        if how == Dedupe::Link && !self.args.dry_run {
            link(copy, target)
                .map_err(|e| Failure::Item(format!("cannot link {} to {}: {e}", target.display(), copy.display())))?;
            self.namespace.file_saved(&wanted.name.key, &absolute(target), unix_now())?;
            return self.skipped(wanted, shown, format!("linked to the same file, {}", copy.display())).await;
        }
        self.skipped(wanted, shown, format!("the same file is {}", copy.display())).await
    }

    async fn skipped(&self, wanted: &Wanted, shown: &str, why: String) -> Result<(), Failure> {
        self.finished(wanted.index).await?;
        if self.args.dry_run {
            self.tell(wanted, &wanted.name.target, Some(&why))?;
        }
        self.reporter.item(shown, &Outcome::Skipped(why));
        Ok(())
    }

    fn would_download(&self, wanted: &Wanted, shown: &str) -> Result<(), Failure> {
        if !self.context.output.json {
            let size = humansize::format_size(wanted.media.size, humansize::BINARY);
            self.context.output.line(&format!("{size:>12}  {}", crate::cli::output::printable(shown)))?;
        }
        self.tell(wanted, &wanted.name.target, None)?;
        self.reporter.planned(wanted.media.size);
        Ok(())
    }

    /// A line of data on one file, with `--json`.
    fn tell(&self, wanted: &Wanted, path: &Path, skipped: Option<&str>) -> Result<(), Failure> {
        if self.context.output.json {
            let (what, number) = stories::named(wanted.message);
            let mut line = json!({
                "chat": wanted.peer.id, what: number, "path": path, "size": wanted.media.size,
                "type": wanted.media.kind.name(), "file_id": wanted.media.id,
            });
            if let Some(why) = skipped
                && let Some(fields) = line.as_object_mut()
            {
                fields.insert("skipped".to_owned(), why.into());
            }
            self.context.output.json_line(&line)?;
        }
        Ok(())
    }

    async fn prepare(&self, wanted: &Wanted) -> Result<Prepared, TransferError> {
        let (media, target) = (&wanted.media, &wanted.name.target);
        let identity = Identity::new("dl file")
            .number(media.id)
            .number(i64::try_from(media.size).unwrap_or(i64::MAX))
            .text(&target.to_string_lossy())
            .finish();
        let (namespace, restart) = (self.namespace, self.args.restart);
        let target = Target { namespace, identity, path: target, restart, modified: wanted.date };
        download::prepare(self.source(wanted), &self.flow, &target).await
    }

    /// The file on the server.
    pub(super) fn source(&self, wanted: &Wanted) -> Source {
        let Wanted { peer, message, media, .. } = wanted;
        let source = files::source(self.client, &self.flow, peer, *message, media);
        match self.takeout {
            Some(takeout) => source.in_takeout(takeout),
            None => source,
        }
    }

    async fn fetch(&self, wanted: &Wanted, prepared: Prepared, progress: &FileProgress) -> Result<(PathBuf, Done), Failure> {
        let done = prepared.fetch(progress, self.stop).await?.finish().await?;
        let path = done.path.clone();
        Ok((if self.args.rewrite_ext { self.rewrite_extension(wanted, path)? } else { path }, done))
    }

    /// Names a finished file by what its content is.
    fn rewrite_extension(&self, wanted: &Wanted, path: PathBuf) -> Result<PathBuf, Failure> {
        let Some(name) = self.names.by_content(self.namespace, wanted.owner(), &path)? else { return Ok(path) };
        // Both names are its own from now on: a rerun asks for the first and finds the second.
        self.namespace.claim_names(name.claim(wanted.owner()).as_slice())?;
        std::fs::rename(&path, &name.target).map_err(|e| Failure::Item(format!("downloaded, but cannot be renamed: {e}")))?;
        self.namespace.file_saved(&name.key, &absolute(&name.target), unix_now())?;
        Ok(name.target)
    }
}

/// A path that means the same tomorrow.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A hard link at `target` to the file at `copy`; a copy where the file system has none.
fn link(copy: &Path, target: &Path) -> std::io::Result<()> {
    if let Some(parent) = target.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let mut beside = target.as_os_str().to_owned();
    beside.push(download::PART_SUFFIX);
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    if std::fs::hard_link(copy, &beside).is_err() {
        std::fs::copy(copy, &beside)?;
    }
    std::fs::rename(&beside, target)
}
