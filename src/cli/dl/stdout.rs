//! `-o -`: one file to standard output, in order, with nothing else on it.

use tdl::transfer::TransferError;
use tdl::transfer::download;

use super::look_up::{File, Found, Wanted};
use super::run::Run;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::failure::Failure;
use crate::cli::progress::{FileProgress, Outcome};

impl Run<'_> {
    /// Writes the one file of the one message to standard output.
    pub(super) async fn into_stdout(self) -> Result<ExitCode, CliError> {
        let one = |n: usize, advice: &str| {
            CliError::usage(format!("standard output takes one file, and there are {n}")).advise(advice)
        };
        if self.items.len() != 1 {
            return Err(one(self.items.len(), "name one message with -u"));
        }
        let mut files = Vec::new();
        for (_, found) in self.look_up(vec![0]).await {
            match found {
                Found::Files(of_item) => files.extend(of_item),
                Found::Failed(failure) => return Err(fatal(failure)),
                Found::Done => {}
            }
        }
        let (mut wanted, mut skipped) = (Vec::new(), None);
        for file in files {
            match file {
                File::Wanted(file) => wanted.push(file),
                File::Skipped(name, why) => skipped = Some(format!("{name}: {why}")),
            }
        }
        let file = match (wanted.as_slice(), skipped) {
            ([file], _) => file,
            ([], Some(skipped)) => return Err(CliError::failed(skipped)),
            (several, _) => return Err(one(several.len(), "choose one with --kinds, or by its extension with -i")),
        };
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
        match download::to_writer(&self.source(file), &self.flow, &mut stdout()?, progress, self.stop).await {
            Ok(_) => Ok(()),
            Err(TransferError::Sink(error)) => Err(CliError::stdout(&error)),
            Err(TransferError::Interrupted) => Err(CliError::interrupted()),
            Err(error) => Err(fatal(error.into())),
        }
    }
}

/// Standard output as bytes that are written off the runtime's threads: whoever reads may be slow, and must not hold up the connections.
fn stdout() -> Result<tokio::fs::File, CliError> {
    let out = std::io::stdout();
    #[cfg(unix)]
    let same = std::os::fd::AsFd::as_fd(&out).try_clone_to_owned();
    #[cfg(windows)]
    let same = std::os::windows::io::AsHandle::as_handle(&out).try_clone_to_owned();
    let same = same.map_err(|e| CliError::stdout(&e))?;
    Ok(tokio::fs::File::from_std(std::fs::File::from(same)))
}

/// There is nothing else that could go on.
fn fatal(failure: Failure) -> CliError {
    match failure {
        Failure::Item(why) => CliError::failed(why),
        Failure::Run(error) => error,
    }
}
