//! One file on its way: from opening it to its message.

use bytes::Bytes;
use tdl::chat::media::Media;
use tdl::chat::send::{self, FileMessage, Form};
use tdl::chat::{ChatError, export::regular, history};
use tdl::client::InvokeError;
use tdl::tl::api::enums;
use tdl::transfer::attributes::Content;
use tdl::transfer::upload::{self, LocalFile, UploadJob};
use tdl::transfer::{RunRecord, TransferError};

use super::describe::{self, As, UploadFields};
use super::plan::Item;
use super::run::Run;
use crate::cli::exit::CliError;
use crate::cli::failure::Failure;
use crate::cli::progress::{FileProgress, Outcome};

/// How many times the server may miss parts of one file before it is given up.
const MAX_LOSSES: u32 = 8;
/// What the server says of pictures that it does not take as photos.
const NO_PHOTO: [&str; 5] =
    ["PHOTO_INVALID_DIMENSIONS", "PHOTO_EXT_INVALID", "PHOTO_SAVE_FILE_INVALID", "PHOTO_INVALID", "IMAGE_PROCESS_FAILED"];

/// A file on its way.
pub(super) struct Sending<'a> {
    pub(super) index: u32,
    pub(super) item: &'a Item,
    pub(super) file: LocalFile,
    pub(super) job: UploadJob,
    pub(super) progress: FileProgress,
    pub(super) goes_as: As,
    name: String,
    mime: String,
    content: Content,
    thumb: Option<Bytes>,
    caption: String,
    entities: Vec<enums::MessageEntity>,
}

impl Sending<'_> {
    /// How it is to appear.
    fn form(&self, thumb: Option<enums::InputFile>) -> Form {
        match self.goes_as {
            As::Photo => Form::Photo,
            goes_as => Form::Document {
                mime: self.mime.clone(),
                attributes: self.content.attributes(&self.name, goes_as == As::Voice),
                thumb,
                plain: goes_as == As::File,
            },
        }
    }

    /// The message that carries `media`.
    pub(super) fn message(&self, media: enums::InputMedia) -> FileMessage {
        FileMessage { media, caption: self.caption.clone(), entities: self.entities.clone(), random_id: self.job.random_id() }
    }
}

impl<'a> Run<'a> {
    /// A file that is a message of its own.
    pub(super) async fn one(&self, index: u32, record: &RunRecord) -> Result<(), CliError> {
        let item = self.item(index)?;
        // It is never closed.
        let _turn = self.files.acquire().await;
        let mut sending = match self.begin(index, item).await {
            Ok(sending) => sending,
            Err(failure) => return self.failed(item, failure),
        };
        let result = self.alone(&mut sending).await;
        self.end(sending, result, record).await
    }

    /// Opens a file, and takes up its record.
    pub(super) fn open(&self, item: &Item) -> Result<(LocalFile, UploadJob), Failure> {
        let mut file = LocalFile::open(&item.path)?;
        let mut identity = self
            .identity("up file")
            .text(&item.path.to_string_lossy())
            .number(i64::try_from(file.size()).unwrap_or(i64::MAX))
            .number(file.modified_nanos());
        if let Some(piece) = item.piece {
            if file.whole() != piece.whole {
                return Err(TransferError::Changed.into());
            }
            let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            identity = identity.number(number(piece.offset)).number(number(piece.len));
            file = file.piece(piece.offset, piece.len)?;
        }
        let parts = file.parts(self.max_parts)?;
        let job = UploadJob::take_up(self.namespace, &identity.finish(), parts.count(), self.args.restart)?;
        Ok((file, job))
    }

    pub(super) async fn begin(&self, index: u32, item: &'a Item) -> Result<Sending<'a>, Failure> {
        let (file, job) = self.open(item)?;
        self.describe(index, item, file, job).await
    }

    /// Finds out what the file is, and begins to report it.
    pub(super) async fn describe(
        &self,
        index: u32,
        item: &'a Item,
        file: LocalFile,
        job: UploadJob,
    ) -> Result<Sending<'a>, Failure> {
        let own = item.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name = item.name(self.args.name.as_deref().unwrap_or(&own));
        // A piece of a film is no film.
        let (content, mime) = if item.piece.is_some() {
            (Content::Other, "application/octet-stream".to_owned())
        } else {
            let content = upload::content(&file).await;
            let mime = describe::mime_of(&item.path, &name, &content);
            (content, mime)
        };
        let (goes_as, note) = describe::form(self.args, &content, file.size());
        if let Some(why) = note {
            self.context.output.note(&format!("{}: sent as {}, for {why}", item.shown(), goes_as.word()));
        }
        let beside = describe::sidecar(self.args, &item.path, &content);
        let fields = UploadFields::of(item, index, file.size(), &mime, &content, beside.as_deref());
        let (caption, entities) = describe::caption(self.caption, &fields)?;
        let thumb = if goes_as == As::Photo {
            None
        } else {
            let (thumb, note) = describe::thumbnail(self.args, &item.path, &content, beside.as_deref()).await;
            if let Some(note) = note {
                self.context.output.note(&format!("{}: {note}", item.shown()));
            }
            thumb
        };
        let cut = file.parts(self.max_parts)?;
        let parts = job.parts();
        let missing: u64 = parts.missing().filter_map(|part| cut.part(part)).map(|part| u64::from(part.len)).sum();
        let progress = self.reporter.file(&item.shown(), file.size(), file.size().saturating_sub(missing));
        Ok(Sending { index, item, file, job, progress, goes_as, name, mime, content, thumb, caption, entities })
    }

    /// Uploads what the server does not have and gives it to `take`, until nothing of it is missing there.
    pub(super) async fn deliver<T>(
        &self,
        sending: &mut Sending<'_>,
        take: impl AsyncFn(&Sending<'_>, enums::InputMedia) -> Result<T, ChatError>,
    ) -> Result<T, Failure> {
        let mut anew = false;
        loop {
            let options = upload::Options {
                name: &sending.name,
                file_id: sending.job.file_id(),
                max_parts: self.max_parts,
                progress: &sending.progress,
                checkpoint: &sending.job,
                stop: self.stop,
            };
            let input = upload::upload(self.client, &self.flow, &sending.file, sending.job.parts(), &options).await?;
            let thumb = match (&sending.thumb, sending.goes_as) {
                (Some(bytes), goes_as) if goes_as != As::Photo => {
                    Some(upload::bytes(self.client, &self.flow, bytes.clone(), "thumb.jpg").await?)
                }
                _ => None,
            };
            let media = send::uploaded(input, sending.form(thumb), self.args.spoiler);
            let error = match take(sending, media).await {
                Err(ChatError::Invoke(InvokeError::Rpc(error))) => error,
                other => return Ok(other?),
            };
            let part = error.parameter.and_then(|part| u32::try_from(part).ok());
            match (error.name.as_str(), part) {
                ("FILE_PART_MISSING", Some(part)) if sending.job.losses() < MAX_LOSSES => sending.job.lose(part)?,
                // What it has under this number fits together no more.
                (name, _) if !anew && (name.starts_with("FILE_PART") || name == "MD5_CHECKSUM_INVALID") => {
                    anew = true;
                    sending.job.begin_anew()?;
                }
                ("MD5_CHECKSUM_INVALID", _) => return Err(TransferError::Changed.into()),
                (name, _) if sending.goes_as == As::Photo && NO_PHOTO.contains(&name) => {
                    let shown = sending.item.shown();
                    self.context
                        .output
                        .note(&format!("{shown}: sent as file, for the server does not take it as a photo ({name})"));
                    sending.goes_as = As::File;
                    sending.job.begin_anew()?;
                }
                _ => return Err(InvokeError::Rpc(error).into()),
            }
        }
    }

    /// Sends a message with this file alone.
    pub(super) async fn alone(&self, sending: &mut Sending<'_>) -> Result<Option<i32>, Failure> {
        if let Some(media) = sending.job.media() {
            return Ok(send::file(self.client, &self.post(), sending.message(media)).await?);
        }
        let take = async |sending: &Sending<'_>, media| send::file(self.client, &self.post(), sending.message(media)).await;
        self.deliver(sending, take).await
    }

    /// A file has become a message, or it has failed.
    pub(super) async fn end(
        &self,
        sending: Sending<'_>,
        result: Result<Option<i32>, Failure>,
        record: &RunRecord,
    ) -> Result<(), CliError> {
        let Sending { index, item, file, job, progress, .. } = sending;
        let finished = async {
            let message = result?;
            // In this order: a crash in between leaves a record too many, never one too few, which would send the file again.
            record.commit(index).await?;
            job.finish()?;
            self.tell(item, message)?;
            if self.args.rm {
                self.remove(&file, &[(message, file.size())]).await?;
            }
            Ok(())
        };
        match finished.await {
            Ok(()) => {
                progress.end(&Outcome::Done);
                Ok(())
            }
            Err(failure) => self.give_up(item, progress, failure),
        }
    }

    /// A file that was under way has failed. What ends the whole run comes back.
    pub(super) fn give_up(&self, item: &Item, progress: FileProgress, failure: Failure) -> Result<(), CliError> {
        match failure {
            Failure::Item(why) => {
                progress.end(&Outcome::Failed(why));
                self.to_try_again(item);
                Ok(())
            }
            Failure::Run(error) => {
                progress.abandon();
                Err(error)
            }
        }
    }

    /// Deletes the local file, but only when the server shows `messages` with files of the sizes that they are to have, and the file here
    /// is still the one that was sent.
    pub(super) async fn remove(&self, file: &LocalFile, messages: &[(Option<i32>, u64)]) -> Result<(), Failure> {
        let kept = |why: &str| Failure::Item(format!("sent, but not deleted here: {why}"));
        let ids: Option<Vec<i32>> = messages.iter().map(|(id, _)| *id).collect();
        let ids = ids.ok_or_else(|| kept("an earlier run sent it"))?;
        let found = history::by_ids(self.client, self.peer, &ids).await?;
        let size = |id: i32| found.iter().filter_map(regular).find(|m| m.id == id).and_then(Media::of).map(|m| m.size);
        let agrees = messages.iter().all(|(id, len)| id.and_then(size) == Some(*len));
        if !agrees {
            return Err(kept("the message does not show a file of the same size"));
        }
        file.check().await.map_err(|e| kept(&e.to_string()))?;
        std::fs::remove_file(file.path()).map_err(|e| kept(&e.to_string()))
    }
}
