//! What is done of a run and of each of its files, kept in the namespace, so that the same command goes on where it was cut off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::Checkpoint;
use super::group::Group;
use crate::store::{Error, Fingerprint, JobKind, Namespace, PartSet};

/// Which items of one run are done. A run is the same when the command is.
pub struct RunRecord {
    namespace: Arc<Namespace>,
    job: i64,
    done: Arc<Mutex<PartSet>>,
    /// Locked while the record is written, so that what is on record never gets less.
    writing: Arc<Mutex<()>>,
    commits: Group,
    /// When the run began, if this is not its beginning.
    taken_up: Option<i64>,
}

impl RunRecord {
    /// Takes up the record of an earlier run with the same fingerprint and number of items, or begins a new one. The second value says
    /// how many items that run had done; it is 0 for a new one.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn take_up(
        namespace: &Arc<Namespace>,
        kind: JobKind,
        fingerprint: &Fingerprint,
        items: u32,
        restart: bool,
    ) -> Result<(Self, u32), Error> {
        let found = if restart { None } else { namespace.find_job(kind, fingerprint)? };
        let found = found.filter(|job| job.parts.len() == items);
        let taken_up = found.as_ref().map(|job| job.created_at);
        let job = match found {
            Some(job) => job,
            None => namespace.begin_job(kind, fingerprint, &json!({"run": true}), &PartSet::new(items), unix_now())?,
        };
        let before = job.parts.done();
        let done = Arc::new(Mutex::new(job.parts));
        let (namespace, writing) = (Arc::clone(namespace), Arc::default());
        Ok((Self { namespace, job: job.id, done, writing, commits: Group::default(), taken_up }, before))
    }

    fn lock(&self) -> MutexGuard<'_, PartSet> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the run began, in Unix time, if an earlier process began it.
    pub fn taken_up(&self) -> Option<i64> {
        self.taken_up
    }

    /// Whether an earlier run finished item `index`.
    pub fn is_done(&self, index: u32) -> bool {
        self.lock().contains(index)
    }

    /// Records that item `index` is finished.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn mark(&self, index: u32) -> Result<(), Error> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock().insert(index);
        let done = self.lock().clone();
        self.namespace.save_parts(self.job, &done, unix_now()).map(drop)
    }

    /// Records that item `index` is finished, together with all others that finish at the same time: returns when it is on record. For
    /// many small items; a transaction for each would take longer than they do.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub async fn commit(&self, index: u32) -> Result<(), Error> {
        self.lock().insert(index);
        let save = || {
            let (namespace, job) = (Arc::clone(&self.namespace), self.job);
            let (done, writing) = (Arc::clone(&self.done), Arc::clone(&self.writing));
            let work = move || {
                let _one = writing.lock().unwrap_or_else(PoisonError::into_inner);
                let done = done.lock().unwrap_or_else(PoisonError::into_inner).clone();
                namespace.save_parts(job, &done, unix_now()).map(drop)
            };
            async move {
                match tokio::task::spawn_blocking(work).await {
                    Ok(result) => result,
                    // It has panicked: only the end of the runtime cancels such work, and nobody waits for it then.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
        };
        self.commits.run(save).await
    }

    /// The run has come to its end: the next one with the same command begins from the beginning.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn finish(self) -> Result<(), Error> {
        self.namespace.finish_job(self.job)
    }
}

/// Which parts of one file are done.
pub struct JobRecord {
    namespace: Arc<Namespace>,
    job: i64,
    parts: PartSet,
}

impl JobRecord {
    /// The record of an earlier download with this fingerprint, if there is one.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn find_download(namespace: &Arc<Namespace>, fingerprint: &Fingerprint, parts: u32) -> Result<Option<Self>, Error> {
        let found = namespace.find_job(JobKind::Download, fingerprint)?.filter(|job| job.parts.len() == parts);
        Ok(found.map(|job| Self { namespace: Arc::clone(namespace), job: job.id, parts: job.parts }))
    }

    /// Begins the record of a download, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn download(namespace: &Arc<Namespace>, fingerprint: &Fingerprint, parts: u32) -> Result<Self, Error> {
        let job = namespace.begin_job(JobKind::Download, fingerprint, &json!({}), &PartSet::new(parts), unix_now())?;
        Ok(Self { namespace: Arc::clone(namespace), job: job.id, parts: job.parts })
    }

    /// The parts that were done when the record was taken up.
    pub fn parts(&self) -> &PartSet {
        &self.parts
    }

    /// The transfer is over: nothing is left to resume.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn finish(self) -> Result<(), Error> {
        self.forget()
    }

    /// The same, for one that others hold as well.
    pub(super) fn forget(&self) -> Result<(), Error> {
        self.namespace.finish_job(self.job)
    }
}

impl Checkpoint for JobRecord {
    fn save(&self, done: &PartSet) -> Result<(), Error> {
        self.namespace.save_parts(self.job, done, unix_now()).map(drop)
    }
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
