//! Unfinished transfers: what a rerun needs in order to go on where the last run stopped.

use std::{fmt, str::FromStr};

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Namespace, PartSet, namespace::Durability};

/// Which way the file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// From here to the server.
    Upload,
    /// From the server to here.
    Download,
}

impl JobKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Upload, Self::Download].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// What tells one transfer from another: a hash over whatever makes it the same (path, size, time and destination for an upload; file id,
/// size and target for a download). The caller decides.
pub type Fingerprint = [u8; 32];

/// One unfinished transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its row.
    pub id: i64,
    /// Which way.
    pub kind: JobKind,
    /// What it is the transfer of.
    pub fingerprint: Fingerprint,
    /// The caller's own state.
    pub state: serde_json::Value,
    /// What is done.
    pub parts: PartSet,
    /// Unix time of its beginning.
    pub created_at: i64,
    /// Unix time of the last change.
    pub updated_at: i64,
}

const COLUMNS: &str = "id, kind, fingerprint, state, parts, created_at, updated_at";

/// Jobs. A finished transfer has none: [`Namespace::finish_job`] removes it.
///
/// Writes survive the death of the process, not always a power cut. So a download has to have its bytes on the disk (`sync_data`)
/// before it calls [`Namespace::save_parts`]: a bit that is lost costs a part, a bit that is wrong costs the file.
impl Namespace {
    /// The unfinished transfer with this fingerprint.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`] where the row is damaged; otherwise as any access.
    pub fn find_job(&self, kind: JobKind, fingerprint: &Fingerprint) -> Result<Option<Job>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE kind = ?1 AND fingerprint = ?2");
        let row = self.read(|c| c.query_row(&sql, params![kind.as_str(), fingerprint.as_slice()], RawJob::read).optional())?;
        row.map(|raw| self.job(raw)).transpose()
    }

    /// All unfinished transfers, the oldest change first.
    ///
    /// # Errors
    ///
    /// As [`Self::find_job`].
    pub fn jobs(&self) -> Result<Vec<Job>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM job ORDER BY updated_at, id");
        let rows: Vec<RawJob> = self.read(|c| c.prepare(&sql)?.query_map([], RawJob::read)?.collect())?;
        rows.into_iter().map(|raw| self.job(raw)).collect()
    }

    /// Begins a transfer, or begins it anew: an earlier job with the same fingerprint is replaced. `now` is Unix time.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn begin_job(
        &self,
        kind: JobKind,
        fingerprint: &Fingerprint,
        state: &serde_json::Value,
        parts: &PartSet,
        now: i64,
    ) -> Result<Job, Error> {
        let id = self.write(Durability::Normal, |t| {
            t.execute("DELETE FROM job WHERE kind = ?1 AND fingerprint = ?2", params![kind.as_str(), fingerprint.as_slice()])?;
            t.execute(
                "INSERT INTO job (kind, fingerprint, state, parts, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                params![kind.as_str(), fingerprint.as_slice(), state.to_string(), parts.to_bytes(), now],
            )?;
            Ok(t.last_insert_rowid())
        })?;
        Ok(Job {
            id,
            kind,
            fingerprint: *fingerprint,
            state: state.clone(),
            parts: parts.clone(),
            created_at: now,
            updated_at: now,
        })
    }

    /// Records which parts are done. Says whether the job still exists: another process may have finished or replaced it.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn save_parts(&self, id: i64, parts: &PartSet, now: i64) -> Result<bool, Error> {
        self.write(Durability::Normal, |t| {
            t.execute("UPDATE job SET parts = ?2, updated_at = ?3 WHERE id = ?1", params![id, parts.to_bytes(), now])
        })
        .map(|rows| rows > 0)
    }

    /// Records the caller's state and which parts are done, both or neither. Says whether the job still exists.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn save_job(&self, id: i64, state: &serde_json::Value, parts: &PartSet, now: i64) -> Result<bool, Error> {
        self.write(Durability::Normal, |t| {
            t.execute(
                "UPDATE job SET state = ?2, parts = ?3, updated_at = ?4 WHERE id = ?1",
                params![id, state.to_string(), parts.to_bytes(), now],
            )
        })
        .map(|rows| rows > 0)
    }

    /// Removes a job whose transfer is done, or will not be taken up again.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn finish_job(&self, id: i64) -> Result<(), Error> {
        self.write(Durability::Normal, |t| t.execute("DELETE FROM job WHERE id = ?1", [id])).map(drop)
    }

    /// Removes jobs that nobody has touched since `before` (Unix time). Says how many.
    ///
    /// # Errors
    ///
    /// As any write.
    pub fn forget_jobs_before(&self, before: i64) -> Result<usize, Error> {
        self.write(Durability::Normal, |t| t.execute("DELETE FROM job WHERE updated_at < ?1", [before]))
    }

    fn job(&self, raw: RawJob) -> Result<Job, Error> {
        Ok(Job {
            id: raw.id,
            kind: raw
                .kind
                .parse()
                .map_err(|()| self.bad_value("job.kind", "'upload' or 'download'", raw.kind.escape_debug()))?,
            fingerprint: raw
                .fingerprint
                .as_slice()
                .try_into()
                .map_err(|_| self.bad_value("job.fingerprint", "32 bytes", raw.fingerprint.len()))?,
            state: serde_json::from_str(&raw.state).map_err(|e| self.bad_value("job.state", "JSON", e))?,
            parts: PartSet::from_bytes(&raw.parts).ok_or_else(|| self.bad_value("job.parts", "a bitmap", raw.parts.len()))?,
            created_at: raw.created_at,
            updated_at: raw.updated_at,
        })
    }
}

struct RawJob {
    id: i64,
    kind: String,
    fingerprint: Vec<u8>,
    state: String,
    parts: Vec<u8>,
    created_at: i64,
    updated_at: i64,
}

impl RawJob {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            fingerprint: row.get(2)?,
            state: row.get(3)?,
            parts: row.get(4)?,
            created_at: row.get(5)?,
            updated_at: row.get(6)?,
        })
    }
}
