//! What comes through a pipe: nobody knows how much, and it comes once.

use std::time::Instant;
use tdl::chat::peers::Peer;
use tdl::chat::send::{self, FileMessage, Form, Post};
use tdl::client::Client;
use tdl::transfer::attributes::Content;
use tdl::transfer::flow::Flow;
use tdl::transfer::parts::UPLOAD_PART;
use tdl::transfer::stop::Stop;
use tdl::transfer::upload::stream::{self, PartReader, StreamOptions};
use tdl::transfer::upload::thumbnail;
use tdl::transfer::{Progress, TransferError};

use super::args::{Thumb, UpArgs};
use super::describe::{self, UploadFields};
use super::plan::piece_name;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::expr::Expression;
use crate::cli::failure::Failure;
use crate::cli::progress::{Outcome, Reporter};

/// The name under which standard input is sent; an error when something was asked for that cannot be had with it.
pub(super) fn name(args: &UpArgs) -> Result<&str, CliError> {
    let wrong = |what: &str, advice: &str| Err(CliError::usage(what).advise(advice));
    if args.path.len() > 1 || args.path_list.is_some() {
        return wrong("standard input is sent alone", "give `-p -` only");
    }
    for (given, flag) in
        [(args.rm, "--rm"), (args.album.is_some(), "--album"), (args.photo, "--photo"), (args.voice, "--voice")]
    {
        if given {
            return wrong(&format!("{flag} cannot be used with standard input"), &format!("leave {flag} out, or send a file"));
        }
    }
    match args.name.as_deref() {
        Some(name) if !name.is_empty() => Ok(name),
        _ => wrong("standard input has no name", "give it one with --name"),
    }
}

/// Sends what comes.
pub(super) struct Stream<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    pub(super) args: &'a UpArgs,
    pub(super) stop: &'a Stop,
    pub(super) peer: &'a Peer,
    pub(super) caption: Option<&'a Expression>,
    pub(super) max_parts: u32,
    pub(super) flow: Flow,
}

/// Nothing is known that a bar could show.
struct Unseen;

impl Progress for Unseen {
    fn advance(&self, _: u64) {}
}

impl Stream<'_> {
    /// All of it, in pieces if that was asked for and it does not fit into one file.
    pub(super) async fn send(&self, name: &str) -> Result<ExitCode, CliError> {
        let reporter = Reporter::new(self.context, 1);
        let mut source = PartReader::new(std::io::stdin()).map_err(|e| CliError::failed(e.to_string()))?;
        let mut number = 1;
        let failure = loop {
            match self.piece(name, number, &mut source, &reporter).await {
                Ok(true) => number += 1,
                Ok(false) => break None,
                Err(failure) => break Some(failure),
            }
        };
        let code = match failure {
            None => Ok(ExitCode::Done),
            Some(Failure::Item(why)) => {
                reporter.item(name, &Outcome::Failed(why));
                Ok(ExitCode::SomeFailed)
            }
            // There is nothing that could be gone on with.
            Some(Failure::Run(_)) if self.stop.is_requested() => Err(CliError::interrupted()),
            Some(Failure::Run(error)) => Err(error),
        };
        reporter.finish("uploaded");
        code
    }

    /// One message; whether there is more.
    async fn piece(&self, name: &str, number: u32, source: &mut PartReader, reporter: &Reporter) -> Result<bool, Failure> {
        let most = u64::from(self.max_parts) * u64::from(UPLOAD_PART);
        let piece = self.args.split.map_or(most, |split| split.piece(most));
        let max_parts = u32::try_from(piece / u64::from(UPLOAD_PART)).unwrap_or(u32::MAX).max(1);
        let options = StreamOptions { flow: &self.flow, max_parts, progress: &Unseen, stop: self.stop };
        let began = Instant::now();
        let sent = stream::upload(self.client, source, &options).await?;
        let more = source.has_more(self.stop).await?;
        if more && self.args.split.is_none() {
            return Err(TransferError::TooBig { parts: max_parts.saturating_add(1), max: max_parts }.into());
        }
        let in_pieces = number > 1 || more;
        let own = if in_pieces { piece_name(name, number) } else { name.to_owned() };
        let content = Content::Other;
        let mime = if in_pieces {
            "application/octet-stream".to_owned()
        } else {
            describe::mime_of(std::path::Path::new(name), name, &content)
        };
        let fields = UploadFields {
            index: number,
            size: sent.size,
            piece: if in_pieces { number } else { 0 },
            ..UploadFields::new(std::path::Path::new(name), &mime, &content)
        };
        let (caption, entities) = describe::caption(self.caption, &fields)?;
        let thumb = match &self.args.thumb {
            Thumb::File(file) => match thumbnail::read(file) {
                Ok(bytes) => Some(tdl::transfer::upload::bytes(self.client, &self.flow, bytes, "thumb.jpg").await?),
                Err(_) => None,
            },
            _ => None,
        };
        let form = Form::Document { mime, attributes: content.attributes(&own, false), thumb, plain: true };
        let media = send::uploaded(sent.file(&own), form, self.args.spoiler);
        let message = FileMessage { media, caption, entities, random_id: self.client.random_i64() };
        let post = Post { peer: self.peer, topic: self.args.topic, silent: self.args.silent };
        let id = send::file(self.client, &post, message).await?;
        reporter.streamed(&own, sent.size, began.elapsed());
        if self.context.output.json {
            let line = serde_json::json!({"path": "-", "name": own, "chat": self.peer.id, "message": id});
            self.context.output.json_line(&line)?;
        }
        Ok(more)
    }
}
