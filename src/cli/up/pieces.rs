//! A file that is sent in pieces, one after another, so that they stand in order.

use tdl::transfer::RunRecord;

use super::run::Run;
use crate::cli::exit::CliError;
use crate::cli::failure::Failure;
use crate::cli::progress::Outcome;

impl Run<'_> {
    /// Sends the pieces that are not there yet. One that fails ends it: what would come after it is of no use without it. Those that are
    /// there stay on record until all are, so that another try sends only the rest.
    pub(super) async fn pieces(&self, list: &[u32], record: &RunRecord) -> Result<(), CliError> {
        let _turn = self.files.acquire().await;
        let mut jobs = Vec::new();
        let mut messages = Vec::new();
        let mut last = None;
        for &index in list {
            let item = self.item(index)?;
            if self.stop.is_requested() {
                return Ok(());
            }
            let (file, job) = match self.open(item) {
                Ok(open) => open,
                Err(failure) => return self.failed(item, failure),
            };
            if let Some(id) = job.sent() {
                self.sent_before(index);
                record.commit(index).await?;
                messages.push(((id != UNKNOWN).then_some(id), file.size()));
                jobs.push(job);
                last = Some((item, file));
                continue;
            }
            let mut sending = match self.describe(index, item, file, job).await {
                Ok(sending) => sending,
                Err(failure) => return self.failed(item, failure),
            };
            let message = match self.alone(&mut sending).await {
                Ok(message) => message,
                Err(failure) => return self.give_up(item, sending.progress, failure),
            };
            sending.job.set_sent(message.unwrap_or(UNKNOWN))?;
            record.commit(index).await?;
            sending.progress.end(&Outcome::Done);
            self.tell(item, message)?;
            messages.push((message, sending.file.size()));
            jobs.push(sending.job);
            last = Some((item, sending.file));
        }
        if let Some((item, file)) = last.filter(|_| self.args.rm) {
            match self.remove(&file, &messages).await {
                Ok(()) => {}
                Err(Failure::Item(why)) => self.failed(item, Failure::Item(why))?,
                Err(Failure::Run(error)) => return Err(error),
            }
        }
        for job in jobs {
            job.finish()?;
        }
        Ok(())
    }
}

/// The message of a piece of which only its number is known.
const UNKNOWN: i32 = 0;
