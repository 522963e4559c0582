//! The parts that are missing, several in flight, those that are done on record.

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::stop::Stop;
use super::{Checkpoint, Part, Parts, Progress, TransferError};
use crate::store::PartSet;

/// A record is kept after this many parts, and at the end.
const CHECKPOINT_EVERY: u32 = 16;

/// What uploads and downloads have in common.
pub(super) struct Pipeline<'a> {
    pub(super) parts: Parts,
    /// Parts in flight at once, at least 1.
    pub(super) threads: usize,
    pub(super) progress: &'a dyn Progress,
    pub(super) checkpoint: &'a dyn Checkpoint,
    pub(super) stop: &'a Stop,
}

impl Pipeline<'_> {
    /// Moves the parts that are not in `done` yet. `settle` makes those that were moved safe, before they are recorded as done.
    ///
    /// The first failure ends it; the parts that were moved before are on record.
    pub(super) async fn run<F>(
        &self,
        mut done: PartSet,
        mut start: impl FnMut(Part) -> F,
        settle: impl AsyncFn() -> Result<(), TransferError>,
    ) -> Result<(), TransferError>
    where
        F: Future<Output = Result<(), TransferError>>,
    {
        let missing: Vec<u32> = done.missing().collect();
        let mut queue = missing.into_iter().filter_map(|i| self.parts.part(i));
        let mut in_flight = FuturesUnordered::new();
        let mut since_checkpoint = 0;
        let outcome = loop {
            while in_flight.len() < self.threads.max(1)
                && !self.stop.is_requested()
                && let Some(part) = queue.next()
            {
                let moving = start(part);
                in_flight.push(async move { moving.await.map(|()| part) });
            }
            match in_flight.next().await {
                None if self.stop.is_requested() && !done.is_complete() => break Err(TransferError::Interrupted),
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(part)) => {
                    done.insert(part.index);
                    self.progress.advance(u64::from(part.len));
                    since_checkpoint += 1;
                    if since_checkpoint >= CHECKPOINT_EVERY {
                        settle().await?;
                        self.checkpoint.save(&done)?;
                        since_checkpoint = 0;
                    }
                }
            }
        };
        drop(in_flight);
        if since_checkpoint > 0 {
            settle().await?;
            self.checkpoint.save(&done)?;
        }
        outcome
    }
}
