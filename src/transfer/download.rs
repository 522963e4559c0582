//! A remote file to a local one, which gets its name when it is whole; or in order to whoever takes it.
//!
//! [`prepare`] takes up what an earlier run left, [`Prepared::fetch`] brings the missing parts to the part file, and [`Written::finish`] gives
//! it its name when all of it is on the disk. The last two are apart so that a run can begin its next file while the disk is still busy with
//! this one: many that finish together wait for the disk together.
//!
//! What is done is kept as a bitmap of parts, in the namespace. A bit is set only for what is on the disk. What was written after the last
//! time is not lost to a death of the process: the bytes are in the part file, and are believed if they have the hash that the server gives
//! for them. A file of one part has no record: there is nothing to resume.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::disk::Disk;
use super::flow::Flow;
use super::moved::Moved;
pub use super::part_file::PART_SUFFIX;
use super::part_file::{Opened, PartFile};
use super::parts::DOWNLOAD_PART;
use super::source::Sink;
pub use super::source::{Refresh, Refreshed, Remote, Source, Verified};
use super::stop::Stop;
use super::{Checkpoint as _, JobRecord, Part, Parts, Progress, TransferError, beside};
use crate::store::{Fingerprint, Namespace, PartSet};

/// What is done is recorded this often, if there is anything new.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// And as soon as this much is not recorded yet, in bytes.
const SAVE_AT: u64 = 64 << 20;
/// What is in flight when a run is asked to stop, or has failed, may take this long to arrive.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Parts behind the last one on record in which an earlier run may have written something.
const REACH: u32 = 160;

/// Where a file goes, and what makes it the same download when it is asked for again.
#[derive(Clone)]
pub struct Target<'a> {
    /// Where unfinished work is recorded.
    pub namespace: &'a Arc<Namespace>,
    /// Names this download: a hash over the file's id and size, and where it goes.
    pub identity: Fingerprint,
    /// The file's name to be. Its directory is made where needed.
    pub path: &'a Path,
    /// Whether what an earlier run left is not to be used.
    pub restart: bool,
    /// The time that the file gets, Unix seconds; negative for that of its writing.
    pub modified: i32,
}

/// The set of parts of a file of `size` bytes, none done.
///
/// # Errors
///
/// [`TransferError::TooBig`] for a size that no server has.
pub fn parts_of(size: u64) -> Result<(Parts, PartSet), TransferError> {
    let parts = Parts::new(size, DOWNLOAD_PART).filter(|p| p.count() <= PartSet::MAX_LEN);
    let parts = parts.ok_or(TransferError::TooBig { parts: u32::MAX, max: PartSet::MAX_LEN })?;
    Ok((parts, PartSet::new(parts.count())))
}

/// A download of which is known what is left to do.
pub struct Prepared {
    source: Source,
    flow: Flow,
    parts: Parts,
    done: PartSet,
    /// Not yet for a file of one part: it is opened when its bytes are there.
    file: Option<Arc<PartFile>>,
    job: Option<Arc<JobRecord>>,
    /// An earlier run has come as far as to give the file its name.
    finished: bool,
    path: PathBuf,
    modified: i32,
}

/// A download all of whose bytes are in the part file.
#[must_use = "without `finish` the file never gets its name"]
pub struct Written {
    disk: Disk,
    file: Option<Arc<PartFile>>,
    job: Option<Arc<JobRecord>>,
    path: PathBuf,
    modified: i32,
    verified: Verified,
}

/// A download that has its name.
pub struct Done {
    /// The file.
    pub path: PathBuf,
    /// How much of what was fetched was checked against the server's hashes.
    pub verified: Verified,
    job: Option<Arc<JobRecord>>,
}

impl Done {
    /// Forgets what is on record of this download. To be called when its end is on record elsewhere, if it is: until then another run finds
    /// that the file is finished, and does not fetch it again.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn forget(self) -> Result<(), crate::store::Error> {
        self.job.map_or(Ok(()), |job| job.forget())
    }
}

/// Takes up what an earlier run left of a download, or takes room for a new one.
///
/// # Errors
///
/// [`TransferError::PartFileInUse`] if another process is at it, [`TransferError::NoSpace`] if the disk has no room for it.
pub async fn prepare(source: Source, flow: &Flow, target: &Target<'_>) -> Result<Prepared, TransferError> {
    let size = source.size();
    let (parts, done) = parts_of(size)?;
    let Target { namespace, identity, path, restart, modified } = target.clone();
    let mut prepared = Prepared {
        source,
        flow: flow.clone(),
        parts,
        done,
        file: None,
        job: None,
        finished: false,
        path: path.to_owned(),
        modified,
    };
    if parts.count() <= 1 {
        return Ok(prepared);
    }
    let (namespace, path) = (Arc::clone(namespace), path.to_owned());
    let open = move || {
        let found = if restart { None } else { JobRecord::find_download(&namespace, &identity, parts.count())? };
        // The record says that all of it was there, the part file is gone, and a file of this length has its name.
        let mut beside = path.as_os_str().to_owned();
        beside.push(PART_SUFFIX);
        if let Some(job) = &found
            && job.parts().is_complete()
            && !Path::new(&beside).exists()
            && std::fs::symlink_metadata(&path).is_ok_and(|there| there.is_file() && there.len() == size)
        {
            return Ok((None, found, false));
        }
        let Opened { file, resumed } = PartFile::open(&path, size, found.is_some())?;
        let job = match found.filter(|_| resumed) {
            Some(job) => job,
            None => JobRecord::download(&namespace, &identity, parts.count())?,
        };
        Ok((Some(Arc::new(file)), Some(job), resumed))
    };
    let (file, job, resumed) = prepared.flow.disk().write(open).await?;
    prepared.finished = file.is_none();
    if let Some(job) = &job {
        prepared.done = job.parts().clone();
    }
    (prepared.file, prepared.job) = (file, job.map(Arc::new));
    if resumed {
        prepared.find_unrecorded().await?;
    }
    Ok(prepared)
}

impl Prepared {
    /// Bytes that are there from an earlier run.
    pub fn already(&self) -> u64 {
        let missing = self.done.missing().filter_map(|index| self.parts.part(index));
        self.parts.size().saturating_sub(missing.map(|part| u64::from(part.len)).sum())
    }

    /// Looks for parts that an earlier run wrote, but did not come to record.
    async fn find_unrecorded(&mut self) -> Result<(), TransferError> {
        let Some(file) = &self.file else { return Ok(()) };
        let last = (0..self.done.len()).rev().find(|index| self.done.contains(*index)).unwrap_or(0);
        let missing: Vec<Part> = self
            .done
            .missing()
            .take_while(|index| *index <= last.saturating_add(REACH))
            .filter_map(|index| self.parts.part(index))
            .collect();
        let mut looking = futures_util::stream::iter(missing)
            .map(|part| {
                let (file, source, disk) = (Arc::clone(file), &self.source, self.flow.disk());
                async move {
                    let bytes = disk.write(move || file.read(part.offset, part.len)).await?;
                    // Nobody wrote there; or so few zeros that they come again quickly.
                    let written = bytes.iter().any(|byte| *byte != 0);
                    Ok::<_, TransferError>((part.index, written && source.agrees(part.offset, &bytes).await?))
                }
            })
            .buffer_unordered(4);
        let mut found = Vec::new();
        while let Some(result) = looking.next().await {
            let (index, is_there) = result?;
            found.extend(is_there.then_some(index));
        }
        drop(looking);
        for index in found {
            self.done.insert(index);
        }
        Ok(())
    }

    /// Fetches the parts that are missing. The file has its bytes then, checked against the hashes that the server has for them.
    ///
    /// The work is done where the connections are, so that parts need not be handed over to whoever waits for the file; `progress` is told on
    /// the thread that awaits this, some ten times a second. Whoever drops this gives the file up: what is being written then is still written,
    /// and the part file may be held for that moment.
    ///
    /// # Errors
    ///
    /// The first failure ends the download; parts that were written before are on record. [`TransferError::Interrupted`] if it was asked to
    /// stop before the end.
    pub async fn fetch(self, progress: &dyn Progress, stop: &Stop) -> Result<Written, TransferError> {
        let moved = Arc::new(Moved::default());
        let written = beside::run(self.fetch_all(Arc::clone(&moved), stop.clone()));
        moved.tell(progress, written).await
    }

    async fn fetch_all(self, moved: Arc<Moved>, stop: Stop) -> Result<Written, TransferError> {
        let file = match (&self.file, self.finished) {
            (Some(file), _) => {
                self.fetch_parts(file, &moved, &stop).await?;
                Some(Arc::clone(file))
            }
            (None, true) => None,
            (None, false) => Some(self.fetch_single(&moved, &stop).await?),
        };
        let verified = self.source.verified();
        let disk = self.flow.disk();
        Ok(Written { disk, file, job: self.job, path: self.path, modified: self.modified, verified })
    }

    /// A file of one part, or of none.
    async fn fetch_single(&self, moved: &Moved, stop: &Stop) -> Result<Arc<PartFile>, TransferError> {
        if stop.is_requested() {
            return Err(TransferError::Interrupted);
        }
        let (size, path, disk) = (self.parts.size(), self.path.clone(), self.flow.disk());
        let write = move |bytes: &[u8]| {
            let file = Fresh(Some(PartFile::open(&path, size, false)?.file));
            file.0.as_ref().map_or(Ok(()), |file| file.write(0, bytes))?;
            Ok(file)
        };
        let sink = Sink::new(&disk);
        let file = match self.parts.part(0) {
            Some(part) => tokio::select! {
                file = self.source.bring((0, part.len), &sink, write) => file?,
                () = asked_to_stop(stop) => return Err(TransferError::Interrupted),
            },
            None => disk.write(move || write(&[])).await?,
        };
        moved.by(size);
        file.keep().map(Arc::new).ok_or(TransferError::Interrupted)
    }

    async fn fetch_parts(&self, file: &Arc<PartFile>, moved: &Moved, stop: &Stop) -> Result<(), TransferError> {
        let disk = self.flow.disk();
        let missing: VecDeque<u32> = self.done.missing().collect();
        let mut queue = missing.into_iter().filter_map(|index| self.parts.part(index));
        let sink = Sink::new(&disk);
        let bring = |part: Part| {
            let (file, sink) = (Arc::clone(file), &sink);
            let write = move |bytes: &[u8]| file.write(part.offset, bytes);
            async move {
                self.source.bring((part.offset, part.len), sink, write).await?;
                Ok::<_, TransferError>(part)
            }
        };
        let save = |done: PartSet| {
            let (file, job, disk) = (Arc::clone(file), self.job.clone(), disk.clone());
            async move {
                // The disk keeps what it has before the record says so.
                disk.sync(move || {
                    file.sync()?;
                    job.map_or(Ok(()), |job| Ok(job.save(&done)?))
                })
                .await
            }
        };
        // Those that are being written are not in flight any more.
        let at_once = self.flow.per_file() + 2;
        let mut in_flight = FuturesUnordered::new();
        let mut saving = FuturesUnordered::new();
        let mut done = self.done.clone();
        let (mut unsaved, mut saved_at) = (0_u64, Instant::now());
        let mut stopped = std::pin::pin!(asked_to_stop(stop));
        let outcome = loop {
            while in_flight.len() < at_once
                && !stop.is_requested()
                && let Some(part) = queue.next()
            {
                in_flight.push(bring(part));
            }
            if saving.is_empty() && unsaved > 0 && (unsaved >= SAVE_AT || saved_at.elapsed() >= SAVE_EVERY) {
                (unsaved, saved_at) = (0, Instant::now());
                saving.push(save(done.clone()));
            }
            tokio::select! {
                brought = in_flight.next() => match brought {
                    None if done.is_complete() => break Ok(()),
                    None => break Err(TransferError::Interrupted),
                    Some(Ok(part)) => {
                        done.insert(part.index);
                        moved.by(part.len.into());
                        unsaved += u64::from(part.len);
                    }
                    Some(Err(error)) => break Err(error),
                },
                Some(saved) = saving.next() => if let Err(error) = saved {
                    break Err(error);
                },
                () = tokio::time::sleep_until(saved_at + SAVE_EVERY), if unsaved > 0 && saving.is_empty() => {}
                () = &mut stopped => break Err(TransferError::Interrupted),
            }
        };
        // One part's failure is none of the others', which end by themselves or with the time that a stop would give them.
        if !matches!(outcome, Ok(()) | Err(TransferError::Interrupted)) {
            let others = async {
                while let Some(brought) = in_flight.next().await {
                    if let Ok(part) = brought {
                        done.insert(part.index);
                        moved.by(part.len.into());
                    }
                }
            };
            // Late ones are lost.
            let _ = tokio::time::timeout(STOP_WITHIN, others).await;
        }
        drop(in_flight);
        while let Some(saved) = saving.next().await {
            saved?;
        }
        // A failure to record ends it as well: going on would promise a resume that cannot be kept. The end is recorded before the file
        // gets its name: whoever comes next sees whose file that is.
        if done != self.done || done.is_complete() {
            match (save(done).await, outcome) {
                (_, Err(error)) | (Err(error), Ok(())) => return Err(error),
                (Ok(()), Ok(())) => {}
            }
        } else {
            outcome?;
        }
        Ok(())
    }
}

/// The part file of a file of one part, of which there is no record: it is discarded unless somebody keeps it.
struct Fresh(Option<PartFile>);

impl Fresh {
    fn keep(mut self) -> Option<PartFile> {
        self.0.take()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            file.discard();
        }
    }
}

/// Returns when what is in flight has had its time to arrive after a request to stop: it may be held back by a wait of many minutes.
async fn asked_to_stop(stop: &Stop) {
    stop.requested().await;
    tokio::time::sleep(STOP_WITHIN).await;
}

impl Written {
    /// Gives the file its name and its time, once all of it is on the disk; and returns when the name is there as well.
    ///
    /// # Errors
    ///
    /// [`TransferError::PartFileChanged`] if somebody has changed the part file; otherwise the disk's.
    pub async fn finish(self) -> Result<Done, TransferError> {
        let Self { disk, file, job, path, modified, verified } = self;
        if let Some(file) = file {
            let recorded = job.is_some();
            let finish = move || {
                // What has a record is on the disk already.
                if !recorded {
                    file.sync()?;
                }
                file.finish(modified)
            };
            disk.sync(finish).await?;
            disk.sync_dir(path.parent().unwrap_or(Path::new(""))).await?;
        }
        Ok(Done { path, verified, job })
    }
}

/// Sends all of a file in order to a writer: standard output, or whatever else cannot be written out of order. A few parts are fetched
/// ahead, and no more than the flow has memory for.
///
/// # Errors
///
/// [`TransferError::Sink`] if the writer does not take it; otherwise whatever stands in the way.
pub async fn to_writer<W: AsyncWrite + Unpin>(
    source: &Source,
    flow: &Flow,
    writer: &mut W,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Verified, TransferError> {
    let mut stream = std::pin::pin!(source.stream(0..source.size(), flow.per_file().saturating_mul(2)));
    loop {
        let bytes = tokio::select! {
            bytes = stream.next() => match bytes {
                None => break,
                Some(bytes) => bytes?,
            },
            () = stop.requested() => return Err(TransferError::Interrupted),
        };
        tokio::select! {
            written = writer.write_all(&bytes) => written.map_err(TransferError::Sink)?,
            () = stop.requested() => return Err(TransferError::Interrupted),
        }
        progress.advance(bytes.len() as u64);
    }
    writer.flush().await.map_err(TransferError::Sink)?;
    Ok(source.verified())
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
