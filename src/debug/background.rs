//! A sink that writes on a thread of its own, so that what is traced never waits for a disk.
//!
//! Records go into a queue of bounded size. The thread takes what is there, redacts it, writes it in one go, and gives what comes next a
//! few milliseconds to gather. When records come faster than they can be written, those that find no room are dropped, and the file says
//! at that place how many ([`Format::lost`]); unless the sink was told to wait for room, as recordings are, which a gap makes worthless.
//!
//! What is written is in the operating system's hands at once: a process that is killed loses the few milliseconds that were still
//! gathering, and nothing of a failed check, which is not made to wait. [`Background::close`] writes everything.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::human;
use super::jsonl::{self, Header};
use super::redact::{self, Shown};
use tdl_core::trace::{Event, Layer, LayerSet, Observer, Record};

/// Records that wait, at most.
const MOST_RECORDS: usize = 16 << 10;
/// Bytes of bodies that wait, at most. One longer body may wait alone.
const MOST_BYTES: usize = 32 << 20;
/// How long records gather after some were written.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes after which what was written so far goes to the file.
const CHUNK: usize = 256 << 10;

/// How records look in a file.
pub trait Format: Send + 'static {
    /// What stands at the beginning of a run.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// A record, as it is to be shown.
    fn record(&mut self, record: &Record, out: &mut Vec<u8>);
    /// That so many records were dropped, at a time.
    fn lost(&mut self, at: Duration, count: u64, out: &mut Vec<u8>);
    /// What is left when nothing more will come.
    fn end(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

/// Lines of JSON.
pub struct Jsonl {
    /// What the file begins with.
    pub header: Header,
}

impl Format for Jsonl {
    fn begin(&mut self, out: &mut Vec<u8>) {
        jsonl::put_header(&self.header, out);
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        jsonl::put_record(record, out);
    }

    fn lost(&mut self, at: Duration, count: u64, out: &mut Vec<u8>) {
        jsonl::put_lost(at, count, out);
    }
}

/// Lines for people.
impl Format for human::Style {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        if let Some(line) = human::line(record, self) {
            out.extend_from_slice(line.as_bytes());
        }
    }

    fn lost(&mut self, _at: Duration, count: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(human::lost_line(count).as_bytes());
    }
}

/// What happens to a record for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped and counted.
    Drop,
    /// Whoever reports it waits.
    Wait,
}

/// What a sink is to write.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which layers.
    pub layers: LayerSet,
    /// What of the bodies.
    pub shown: Shown,
    /// What happens when there is no room.
    pub when_full: WhenFull,
}

/// What became of the records.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were dropped.
    pub lost: u64,
    /// Why nothing more was written from some point on.
    pub error: Option<io::Error>,
}

/// The sink.
pub struct Background {
    shared: Arc<Shared>,
    plan: Plan,
    thread: Mutex<Option<JoinHandle<Summary>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is there to be written at once, or the end has come.
    filled: Condvar,
    /// There is room again.
    drained: Condvar,
}

#[derive(Default)]
struct Queue {
    records: Vec<Record>,
    bytes: usize,
    /// Dropped since the last record in the queue.
    lost: u64,
    /// Whoever writes is asleep and wants to be woken by the next record.
    idle: bool,
    /// What is there is not to gather any longer.
    urgent: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A queue of whole records is whole after any panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn has_room(&self, bytes: usize) -> bool {
        self.records.is_empty() || (self.records.len() < MOST_RECORDS && self.bytes.saturating_add(bytes) <= MOST_BYTES)
    }
}

impl Background {
    /// Starts the thread. It writes to `out` what `plan` says in the given format; the beginning is written before this returns.
    ///
    /// # Errors
    ///
    /// The beginning cannot be written, or there is no thread to be had.
    pub fn spawn(mut out: impl Write + Send + 'static, mut format: impl Format, plan: Plan) -> io::Result<Arc<Self>> {
        let mut beginning = Vec::new();
        format.begin(&mut beginning);
        out.write_all(&beginning)?;
        out.flush()?;
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("trace".to_owned()).spawn(move || write(&writer, out, format, plan.shown))?;
        Ok(Arc::new(Self { shared, plan, thread: Mutex::new(Some(thread)) }))
    }

    /// Writes all that has come, and ends. What comes later is dropped without a word. A second call does nothing.
    pub fn close(&self) -> Summary {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
        self.shared.drained.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.close();
    }
}

impl Observer for Background {
    fn record(&self, record: &Record) {
        let bytes = weight(&record.event);
        let urgent = matches!(record.event, Event::CheckFailed { .. });
        let mut queue = self.shared.lock();
        while !queue.has_room(bytes) && !queue.closed {
            if self.plan.when_full == WhenFull::Drop {
                queue.lost += 1;
                return;
            }
            queue.urgent = true;
            self.shared.filled.notify_one();
            queue = self.shared.drained.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            return;
        }
        queue.bytes += bytes;
        queue.records.push(record.clone());
        queue.urgent |= urgent;
        if queue.idle || urgent {
            queue.idle = false;
            drop(queue);
            self.shared.filled.notify_one();
        }
    }

    fn wants(&self, layer: Layer) -> bool {
        // Calls hold everything, and nothing can be taken out of them.
        self.plan.layers.contains(layer) && (layer != Layer::Core || self.plan.shown == Shown::Everything)
    }
}

/// Bytes that an event keeps, beside itself.
fn weight(event: &Event) -> usize {
    use tdl_core::trace::call::Call;
    match event {
        Event::Body { bytes, .. } => bytes.len(),
        Event::CoreCall { call, .. } => match &**call {
            Call::Input { frame: bytes }
            | Call::Opened { body: bytes, .. }
            | Call::Request { body: bytes, .. }
            | Call::RequestReserved { body: bytes, .. }
            | Call::Respond { result: bytes, .. }
            | Call::Push { body: bytes } => bytes.len(),
            _ => 0,
        },
        Event::CoreDone { events, .. } => events.len() * size_of::<Event>(),
        Event::Acked { ids } | Event::AcksSent { ids } => ids.len() * 8,
        _ => 0,
    }
}

/// The thread.
fn write(shared: &Shared, mut out: impl Write, mut format: impl Format, shown: Shown) -> Summary {
    let (mut batch, mut text) = (Vec::new(), Vec::new());
    let mut summary = Summary::default();
    loop {
        let (lost, closed) = {
            let mut queue = shared.lock();
            while queue.records.is_empty() && queue.lost == 0 && !queue.closed {
                queue.idle = true;
                queue = shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.idle = false;
            queue.urgent = false;
            queue.bytes = 0;
            std::mem::swap(&mut queue.records, &mut batch);
            (std::mem::take(&mut queue.lost), queue.closed)
        };
        shared.drained.notify_all();
        summary.lost += lost;
        let last = batch.last().map_or(Duration::ZERO, |record: &Record| record.at);
        for record in batch.drain(..) {
            if summary.error.is_some() {
                continue;
            }
            format.record(&redact::record(&record, shown), &mut text);
            if text.len() >= CHUNK {
                summary.error = out.write_all(&text).err();
                text.clear();
            }
        }
        if lost > 0 {
            // They came behind the batch: there was no room for them any more.
            format.lost(last, lost, &mut text);
        }
        if summary.error.is_none() {
            summary.error = out.write_all(&text).and_then(|()| out.flush()).err();
        }
        text.clear();
        if closed && shared.lock().records.is_empty() {
            format.end(&mut text);
            if summary.error.is_none() {
                summary.error = out.write_all(&text).and_then(|()| out.flush()).err();
            }
            return summary;
        }
        let mut queue = shared.lock();
        if !queue.urgent && !queue.closed {
            let gathered = shared.filled.wait_timeout_while(queue, GATHER, |queue| !queue.urgent && !queue.closed);
            queue = gathered.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
        }
        drop(queue);
    }
}

#[cfg(test)]
mod tests;
