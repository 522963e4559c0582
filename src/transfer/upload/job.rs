//! The record of an unfinished upload: what the server has of it, and under which numbers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::store::{Error, Fingerprint, JobKind, Namespace, PartSet};
use crate::tl::api::enums;
use crate::tl::{Deserialize as _, Serialize as _};
use crate::transfer::Checkpoint;

/// For how long the server keeps parts that no message refers to: after this an unfinished upload begins anew. The page on files
/// promises "some time"; the official clients count on a few hours.
const PARTS_LIVE: i64 = 3 * 60 * 60;
/// Parts that are sent again one by one, each upon the server's word that it is missing, before all behind the last are sent again.
const ONE_BY_ONE: u32 = 4;

/// What is kept between runs, beside the parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    /// Names the parts on the server.
    file_id: i64,
    /// Names the message: the server takes a message with this number once.
    random_id: i64,
    /// What the server made of the file, when it was given to it before the message: an `InputMedia` in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<String>,
    /// The message, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<i32>,
}

/// One upload, from its first part to its message.
pub struct UploadJob {
    namespace: Arc<Namespace>,
    job: i64,
    state: State,
    parts: Mutex<PartSet>,
    lost: u32,
}

impl UploadJob {
    /// Takes up the record of an earlier run, or begins a new one. Parts that are older than the server keeps them are forgotten; the
    /// message's number is not. With `restart` an earlier record is replaced.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn take_up(namespace: &Arc<Namespace>, fingerprint: &Fingerprint, parts: u32, restart: bool) -> Result<Self, Error> {
        let found = if restart { None } else { namespace.find_job(JobKind::Upload, fingerprint)? };
        let now = unix_now();
        let mut state = State { file_id: rand::random(), random_id: rand::random(), media: None, sent: None };
        if let Some(job) = found.filter(|job| job.parts.len() == parts)
            && let Ok(kept) = serde_json::from_value::<State>(job.state.clone())
        {
            if kept.sent.is_some() || now.saturating_sub(job.updated_at) < PARTS_LIVE {
                let namespace = Arc::clone(namespace);
                return Ok(Self { namespace, job: job.id, state: kept, parts: Mutex::new(job.parts), lost: 0 });
            }
            state.random_id = kept.random_id;
        }
        let parts = PartSet::new(parts);
        let job = namespace.begin_job(JobKind::Upload, fingerprint, &json!(state), &parts, now)?;
        Ok(Self { namespace: Arc::clone(namespace), job: job.id, state, parts: Mutex::new(parts), lost: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, PartSet> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Result<(), Error> {
        self.namespace.save_job(self.job, &json!(self.state), &self.lock(), unix_now()).map(drop)
    }

    /// The number of the parts.
    pub fn file_id(&self) -> i64 {
        self.state.file_id
    }

    /// The number of the message.
    pub fn random_id(&self) -> i64 {
        self.state.random_id
    }

    /// The parts that the server has.
    pub fn parts(&self) -> PartSet {
        self.lock().clone()
    }

    /// What the server made of the file, if it was given to it.
    pub fn media(&self) -> Option<enums::InputMedia> {
        let hex = self.state.media.as_deref()?;
        let bytes: Option<Vec<u8>> = (0..hex.len() / 2)
            .map(|at| hex.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        enums::InputMedia::from_bytes(bytes?.into()).ok()
    }

    /// Records what the server made of the file.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn set_media(&mut self, media: &enums::InputMedia) -> Result<(), Error> {
        self.state.media = Some(super::hex(&media.to_bytes()));
        self.store()
    }

    /// The message of an earlier run.
    pub fn sent(&self) -> Option<i32> {
        self.state.sent
    }

    /// Records that the message is there, without ending the record: for pieces, which are done when all of them are.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn set_sent(&mut self, message: i32) -> Result<(), Error> {
        self.state.sent = Some(message);
        self.store()
    }

    /// The server says that it does not have part `index`. It looks from the first one on, so those before it are there.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn lose(&mut self, index: u32) -> Result<(), Error> {
        self.lost += 1;
        {
            let mut parts = self.lock();
            let end = if self.lost < ONE_BY_ONE { index.saturating_add(1) } else { parts.len() };
            for part in index..end.min(parts.len()) {
                parts.remove(part);
            }
        }
        self.store()
    }

    /// How many times the server has missed a part in this run.
    pub fn losses(&self) -> u32 {
        self.lost
    }

    /// Forgets all that the server had of the file, under its number. The message keeps its own.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn begin_anew(&mut self) -> Result<(), Error> {
        self.state.file_id = rand::random();
        self.state.media = None;
        {
            let mut parts = self.lock();
            *parts = PartSet::new(parts.len());
        }
        self.store()
    }

    /// The upload is over: nothing is left to resume.
    ///
    /// # Errors
    ///
    /// The namespace's.
    pub fn finish(self) -> Result<(), Error> {
        self.namespace.finish_job(self.job)
    }
}

impl Checkpoint for UploadJob {
    fn save(&self, done: &PartSet) -> Result<(), Error> {
        done.clone_into(&mut self.lock());
        self.namespace.save_parts(self.job, done, unix_now()).map(drop)
    }
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Home, NamespaceName};
    use crate::tl::api::types;

    fn namespace(dir: &std::path::Path) -> Arc<Namespace> {
        let name: NamespaceName = "a".parse().unwrap();
        Arc::new(Home::at(dir.join("home")).open(&name, 1).unwrap())
    }

    #[test]
    fn the_record_outlives_the_run_and_keeps_the_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let namespace = namespace(dir.path());
        let print = [7; 32];
        let mut job = UploadJob::take_up(&namespace, &print, 3, false).unwrap();
        let mut done = PartSet::new(3);
        done.insert(1);
        job.save(&done).unwrap();
        let media: enums::InputMedia = types::InputMediaPhoto::default().into();
        job.set_media(&media).unwrap();

        let again = UploadJob::take_up(&namespace, &print, 3, false).unwrap();
        assert_eq!((again.file_id(), again.random_id()), (job.file_id(), job.random_id()));
        assert!(again.parts() == done && again.media() == Some(media) && again.sent().is_none());
        assert_ne!(UploadJob::take_up(&namespace, &print, 4, false).unwrap().file_id(), job.file_id(), "another cut");
        let fresh = UploadJob::take_up(&namespace, &print, 4, true).unwrap();
        assert!(fresh.parts().done() == 0 && fresh.media().is_none());
    }

    #[test]
    fn what_the_server_misses_is_sent_again_one_by_one_and_then_all_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = UploadJob::take_up(&namespace(dir.path()), &[1; 32], 10, false).unwrap();
        let whole = || {
            let mut all = PartSet::new(10);
            (0..10).for_each(|part| {
                all.insert(part);
            });
            all
        };
        let missing = |job: &UploadJob| job.parts().missing().collect::<Vec<_>>();
        for part in [2, 3, 4] {
            job.save(&whole()).unwrap();
            job.lose(part).unwrap();
            assert_eq!(missing(&job), [part]);
        }
        job.save(&whole()).unwrap();
        job.lose(5).unwrap();
        assert_eq!(missing(&job), [5, 6, 7, 8, 9]);
        job.lose(99).unwrap();
        let (file, message) = (job.file_id(), job.random_id());
        job.begin_anew().unwrap();
        assert!(job.file_id() != file && job.random_id() == message && job.parts().done() == 0);
    }
}
