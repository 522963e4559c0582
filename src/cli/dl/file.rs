//! One file of a run, from its name to its last byte.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use humansize::{BINARY, format_size};
use serde_json::json;
use tdl::chat::{ChatError, export, history, media::Media};
use tdl::transfer::download::{self, Done, Prepared, Refreshed, Remote, Source, Target};
use tdl::transfer::fingerprint::Identity;
use tdl::transfer::name::safe_path;
use tdl::transfer::{RunRecord, TransferError};

use super::look_up::Wanted;
use super::run::Run;
use crate::cli::failure::Failure;
use crate::cli::progress::{FileProgress, Outcome};
use crate::cli::template::{NameFields, unix_now};

impl Run<'_> {
    /// One file, from its name to its last byte. Reports its own end.
    pub(super) async fn file(&self, wanted: &Wanted, record: &RunRecord) -> Result<(), Failure> {
        let media = &wanted.media;
        if !self.extensions.admits(&media.name) {
            self.finished(wanted, record).await?;
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
            self.finished(wanted, record).await?;
            self.reporter.item(&shown, &Outcome::Skipped("there already, with the same size".into()));
            return Ok(());
        }
        let prepared = match self.prepare(wanted, &target).await.map_err(Failure::from) {
            Ok(prepared) => prepared,
            Err(Failure::Item(why)) => {
                self.reporter.item(&wanted.text, &Outcome::Failed(why.clone()));
                return Err(Failure::Item(why));
            }
            Err(other) => return Err(other),
        };
        let progress = self.reporter.file(&shown, media.size, prepared.already());
        match self.fetch(prepared, &progress).await {
            Ok((path, done)) => {
                self.finished(wanted, record).await?;
                done.forget()?;
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
    async fn finished(&self, wanted: &Wanted, record: &RunRecord) -> Result<(), Failure> {
        let is_last = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let left = open.entry(wanted.index).or_insert(1);
            *left = left.saturating_sub(1);
            *left == 0
        };
        if is_last {
            record.commit(wanted.index).await?;
        }
        Ok(())
    }

    async fn prepare<'w>(&'w self, wanted: &'w Wanted, target: &Path) -> Result<Prepared<'w>, TransferError> {
        let media = &wanted.media;
        let identity = Identity::new("dl file")
            .number(media.id)
            .number(i64::try_from(media.size).unwrap_or(i64::MAX))
            .text(&target.to_string_lossy())
            .finish();
        let remote = Remote { dc: media.dc, location: media.location.clone(), size: media.size };
        let refresh = move || -> Refreshed<'w> { Box::pin(self.refresh(wanted)) };
        let source = Source::new(self.client, &self.flow, &remote, Arc::new(refresh));
        let (namespace, restart) = (self.namespace, self.args.restart);
        let target = Target { namespace, identity, path: target, restart, modified: wanted.date };
        download::prepare(source, &self.flow, &target).await
    }

    async fn fetch(&self, prepared: Prepared<'_>, progress: &FileProgress) -> Result<(PathBuf, Done), Failure> {
        let done = prepared.fetch(progress, self.stop).await?.finish().await?;
        let path = done.path.clone();
        Ok((if self.args.rewrite_ext { self.rewrite_extension(path)? } else { path }, done))
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
}
