//! `-o -`: one file to standard output, in order, with nothing else on it.

use std::io::Write as _;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tdl::transfer::Progress as _;
use tdl::transfer::download::{Refresh, Refreshed, Remote};
use tdl::transfer::source::Source;

use super::look_up::{File, Found, Wanted};
use super::run::Run;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::failure::Failure;
use crate::cli::progress::{FileProgress, Outcome};

impl Run<'_> {
    /// Writes the one file of the one message to standard output.
    pub(super) async fn to_stdout(self) -> Result<ExitCode, CliError> {
        let one = |n: usize| {
            CliError::usage(format!("standard output takes one file, and there are {n}")).advise("name one message with -u")
        };
        if self.items.len() != 1 {
            return Err(one(self.items.len()));
        }
        let mut files = Vec::new();
        for (_, found) in self.look_up(vec![0]).await {
            match found {
                Found::Files(of_item) => files.extend(of_item),
                Found::Failed(failure) => return Err(fatal(failure)),
                Found::Done => {}
            }
        }
        let mut wanted = Vec::new();
        for file in files {
            match file {
                File::Wanted(file) => wanted.push(file),
                File::Skipped(name, why) => return Err(CliError::failed(format!("{name}: {why}"))),
            }
        }
        let [file] = wanted.as_slice() else { return Err(one(wanted.len())) };
        let progress = self.reporter.file(&file.media.name, file.media.size, 0);
        let written = self.stream(file, &progress).await;
        match &written {
            Ok(()) => progress.end(&Outcome::Done),
            Err(_) => progress.abandon(),
        }
        written?;
        self.reporter.finish("written to standard output");
        Ok(ExitCode::Done)
    }

    async fn stream(&self, file: &Wanted, progress: &FileProgress) -> Result<(), CliError> {
        let remote = Remote { dc: file.media.dc, location: file.media.location.clone(), size: file.media.size };
        let refresh: Arc<Refresh<'_>> = Arc::new(|| -> Refreshed<'_> { Box::pin(self.refresh(file)) });
        let source = Source::new(self.client, &self.flow, &remote, refresh);
        let mut pieces = source.stream(0..file.media.size, usize::from(self.context.settings.threads) * 2);
        loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = self.stop.requested() => return Err(CliError::interrupted()),
            };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| fatal(error.into()))?;
            let len = piece.len() as u64;
            // Whoever reads may be slow: that must not hold up the connections.
            let written = tokio::task::spawn_blocking(move || std::io::stdout().lock().write_all(&piece)).await;
            written.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(|e| CliError::stdout(&e))?;
            progress.advance(len);
        }
        std::io::stdout().lock().flush().map_err(|e| CliError::stdout(&e))
    }
}

/// There is nothing else that could go on.
fn fatal(failure: Failure) -> CliError {
    match failure {
        Failure::Item(why) => CliError::failed(why),
        Failure::Run(error) => error,
    }
}
