//! Flow control, shared by all files of a run: how many parts are on their way, to which DC, and whose turn it is.
//!
//! * `window`: how much may be in flight to one DC in one direction, by measured throughput and waits that the server imposes.
//! * `queue`: whose turn it is: files in turn, memory bounded, rate bounded. Both are told the time and know no task.
//!
//! [`Flow`] is a thin cover around them for tasks. A file takes a [`Lane`], and sends each of its parts through [`Lane::part`], which waits
//! for its turn, does the work, repeats it after waits and stumbles, and accounts for its bytes until the [`Hold`] is dropped.

mod queue;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::TransferError;
use super::disk::Disk;
use crate::client::{Client, InvokeError, Notice};
use crate::ids::DcId;
use queue::{End, LaneId, Queue, Road, Ticket};

/// What all parts together may take of memory, in bytes, unless it is said otherwise.
pub const MEMORY: u64 = 24 << 20;
/// How often a part is asked for again because a connection or an answer was lost.
const RETRIES: u32 = 8;
/// How many of those because an answer was late, before it is left to the client to say what is lost: it knows whether it is connected.
const IMPATIENT: u32 = 3;
/// The wait before the first of them; each further one waits twice as long, up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the server.
    Down,
    /// To the server.
    Up,
}

impl Direction {
    /// What errors and notices name: the method that most parts travel by.
    fn method(self) -> &'static str {
        match self {
            Self::Down => "upload.getFile",
            Self::Up => "upload.saveBigFilePart",
        }
    }
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Parts of one file in flight at once, at least 1.
    pub per_file: usize,
    /// The most that may be in flight to one DC in one direction, in bytes.
    pub window: u64,
    /// The most that all parts may take of memory, in bytes: in flight, and received but not written yet.
    pub memory: u64,
    /// Bytes a second over the whole run, both directions together. `None`: as fast as it goes.
    pub rate: Option<NonZeroU64>,
    /// How long one part is held back at the server's wish, all waits together, before it fails.
    pub max_wait: Duration,
}

impl Limits {
    /// Bounds for a run with so many parts of each file in flight, and so many files at once: what `-t` and `-l` say.
    pub fn new(threads: usize, files: usize) -> Self {
        let threads = threads.max(1);
        let parts = u64::try_from(threads.saturating_mul(files.max(1))).unwrap_or(u64::MAX);
        Self {
            per_file: threads,
            window: parts.saturating_mul(1 << 20).min(MEMORY),
            memory: MEMORY,
            rate: None,
            max_wait: Duration::from_secs(600),
        }
    }
}

/// Who is told when a run waits, so that a person sees why nothing moves. Calls are cheap.
pub trait Watch: Send + Sync {
    /// All parts of one direction to one DC wait, as the server wants it. `reason`: the name of its error, like `FLOOD_PREMIUM_WAIT`.
    fn waiting(&self, dc: DcId, direction: Direction, wait: Duration, reason: &str);

    /// A part is tried again after a stumble, in a while.
    fn retrying(&self, dc: DcId, direction: Direction, reason: &str, delay: Duration) {
        let _ = (dc, direction, reason, delay);
    }
}

/// Tells the listeners of a client's notices, and so whoever sees those of its other calls.
pub struct Notices(pub Client);

impl Watch for Notices {
    fn waiting(&self, dc: DcId, direction: Direction, wait: Duration, _: &str) {
        self.0.tell(Notice::FloodWait { dc, method: direction.method(), wait });
    }

    fn retrying(&self, dc: DcId, direction: Direction, reason: &str, delay: Duration) {
        let method = direction.method();
        self.0.tell(Notice::Retry { dc, method, error: reason.to_owned(), delay });
    }
}

/// Nobody.
struct Nobody;

impl Watch for Nobody {
    fn waiting(&self, _: DcId, _: Direction, _: Duration, _: &str) {}
}

/// Flow control of one run. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Flow {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// One of those that wait is to look when his turn may be: the time of another one's is known to him alone, or he is gone.
    look_again: Notify,
    watch: Box<dyn Watch>,
    max_wait: Duration,
    per_file: usize,
    disk: Disk,
    /// DCs that do not answer: they are done without for the rest of the run.
    shunned: Mutex<HashSet<DcId>>,
}

struct State {
    queue: Queue,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

fn now() -> Instant {
    // The runtime's clock, which tests can stop.
    tokio::time::Instant::now().into_std()
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few numbers that a panic elsewhere cannot leave half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those whose turn it is. Returns when to look again.
    fn pump(&self) -> Option<Instant> {
        let now = now();
        let mut state = self.lock();
        while let Some(ticket) = state.queue.poll(now) {
            let woken = state.waiting.remove(&ticket).is_some_and(|waiting| waiting.send(()).is_ok());
            if !woken {
                // It was given up in this moment.
                state.queue.end(now, ticket, End::Failed);
            }
        }
        state.queue.wake_at(now)
    }

    /// The same for one who does not wait himself: if there is a time to look again, somebody who waits is told.
    fn pump_for_others(&self) {
        if self.pump().is_some() {
            self.look_again.notify_one();
        }
    }
}

impl Flow {
    /// Flow control with these bounds, which nobody watches.
    pub fn new(limits: Limits) -> Self {
        Self::watched(limits, Nobody)
    }

    /// The same, watched.
    pub fn watched(limits: Limits, watch: impl Watch + 'static) -> Self {
        let limits = Limits { per_file: limits.per_file.max(1), ..limits };
        let state = State { queue: Queue::new(limits), waiting: HashMap::new() };
        let shared = Shared {
            state: Mutex::new(state),
            look_again: Notify::new(),
            watch: Box::new(watch),
            max_wait: limits.max_wait,
            per_file: limits.per_file,
            disk: Disk::default(),
            shunned: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A lane for one file: lanes take turns.
    pub fn lane(&self) -> Lane {
        let id = self.shared.lock().queue.join();
        Lane { owner: Arc::new(Owner { shared: Arc::clone(&self.shared), id }) }
    }

    /// Parts of one file in flight at once, at most: asking for more at once brings nothing.
    pub fn per_file(&self) -> usize {
        self.shared.per_file
    }

    /// The disk as the files of this run share it.
    pub(super) fn disk(&self) -> Disk {
        self.shared.disk.clone()
    }

    /// The window of one direction to one DC, and what of it is in use, in bytes; `None` before its first part.
    pub fn window(&self, dc: DcId, direction: Direction) -> Option<(u64, u64)> {
        self.shared.lock().queue.window((dc, direction))
    }

    /// Bytes that parts take of memory just now.
    pub fn memory(&self) -> u64 {
        self.shared.lock().queue.memory()
    }
}

/// One file's place among those that share a [`Flow`]. Cheap to clone; clones are the same file.
#[derive(Clone)]
pub struct Lane {
    owner: Arc<Owner>,
}

struct Owner {
    shared: Arc<Shared>,
    id: LaneId,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.lock().queue.leave(self.id);
    }
}

/// Memory that a part takes until this is dropped.
pub struct Hold {
    owner: Arc<Owner>,
    bytes: u64,
}

impl Hold {
    /// Bytes that account for their memory by themselves: it is given back with the last of their slices.
    pub fn with(self, bytes: Bytes) -> Bytes {
        struct Held(Bytes, #[expect(dead_code, reason = "kept for its end")] Hold);
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Held(bytes, self))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.owner.shared.lock().queue.free(self.owner.id, self.bytes);
        self.owner.shared.pump_for_others();
    }
}

/// A part that waits for its turn, or has it. Dropped, it is given up.
struct Turn {
    owner: Arc<Owner>,
    ticket: Ticket,
    had: bool,
    over: bool,
}

impl Turn {
    /// Waits for its turn.
    async fn new(owner: &Arc<Owner>, road: Road, bytes: u64) -> Self {
        let (sender, mut woken) = oneshot::channel();
        let ticket = {
            let mut state = owner.shared.lock();
            let ticket = state.queue.ask(owner.id, road, bytes);
            state.waiting.insert(ticket, sender);
            ticket
        };
        let mut turn = Self { owner: Arc::clone(owner), ticket, had: false, over: false };
        let mut wake_at;
        loop {
            wake_at = owner.shared.pump();
            let again = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender is dropped only with the turn.
                _ = &mut woken => break,
                () = again => {}
                () = owner.shared.look_again.notified() => {}
            }
        }
        turn.had = true;
        if wake_at.is_some() {
            // The others may have relied on him.
            owner.shared.look_again.notify_one();
        }
        turn
    }

    fn end(mut self, end: End) -> Option<Duration> {
        self.over = true;
        let news = self.owner.shared.lock().queue.end(now(), self.ticket, end);
        self.owner.shared.pump_for_others();
        news
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.owner.shared.lock();
        // A turn that came in this moment has no sender any more.
        if self.had || state.waiting.remove(&self.ticket).is_none() {
            state.queue.end(now(), self.ticket, End::Failed);
        } else {
            state.queue.give_up(self.ticket);
        }
        drop(state);
        self.owner.shared.pump_for_others();
    }
}

impl Lane {
    /// Nobody in this run is to ask a DC any more that has a substitute.
    pub(super) fn shun(&self, dc: DcId) {
        self.owner.shared.shunned.lock().unwrap_or_else(PoisonError::into_inner).insert(dc);
    }

    /// Whether nobody is to ask a DC.
    pub(super) fn is_shunned(&self, dc: DcId) -> bool {
        self.owner.shared.shunned.lock().unwrap_or_else(PoisonError::into_inner).contains(&dc)
    }

    /// Does `work` for a part of `bytes` bytes, or with none for a question about the file, when it is its turn, and again after waits that
    /// the server imposes and after stumbles, as far as patience goes. Work that is done twice has to do no harm. Returns what came of it,
    /// and what its memory is accounted by.
    ///
    /// # Errors
    ///
    /// What `work` failed with in the end. [`InvokeError::FloodWait`] when the server's waits exceed [`Limits::max_wait`].
    pub async fn part<T, W: Future<Output = Result<T, TransferError>>>(
        &self,
        dc: DcId,
        direction: Direction,
        bytes: u64,
        work: impl Fn() -> W,
    ) -> Result<(T, Hold), TransferError> {
        let shared = &self.owner.shared;
        let (mut retries, mut waited, mut late_ones) = (0, Duration::ZERO, 0_u32);
        loop {
            let turn = Turn::new(&self.owner, (dc, direction), bytes).await;
            let result = if late_ones < IMPATIENT {
                let late = || shared.lock().queue.late(turn.ticket) * (1 << late_ones);
                unless_late(late, work()).await.unwrap_or_else(|after| {
                    late_ones += 1;
                    Err(InvokeError::Timeout { method: direction.method(), after }.into())
                })
            } else {
                work().await
            };
            let error = match result {
                Ok(value) => {
                    turn.end(End::Done);
                    return Ok((value, Hold { owner: Arc::clone(&self.owner), bytes }));
                }
                Err(TransferError::Invoke(error)) => error,
                Err(other) => {
                    turn.end(End::Failed);
                    return Err(other);
                }
            };
            if let Some(wait) = error.flood_wait() {
                waited += wait;
                if waited > shared.max_wait {
                    turn.end(End::Flooded(Duration::ZERO));
                    return Err(InvokeError::FloodWait { seconds: wait.as_secs(), method: direction.method() }.into());
                }
                self.flooded(turn, (dc, direction), wait, &error);
            } else if error.is_passing() && retries < RETRIES {
                turn.end(End::Stumbled);
                let delay = (FIRST_DELAY * (1 << retries)).min(LONGEST_DELAY);
                retries += 1;
                shared.watch.retrying(dc, direction, &error.to_string(), delay);
                tokio::time::sleep(delay).await;
            } else {
                turn.end(End::Failed);
                return Err(error.into());
            }
        }
    }

    /// Does `work`, which is a question about the file, when it is its turn, and once: for what somebody else asks for again if he needs it.
    ///
    /// # Errors
    ///
    /// What `work` failed with. If that is a wait of no more than [`Limits::max_wait`], all that go the same way wait.
    pub(super) async fn aside<T>(
        &self,
        dc: DcId,
        direction: Direction,
        work: impl Future<Output = Result<T, TransferError>>,
    ) -> Result<T, TransferError> {
        let shared = &self.owner.shared;
        let turn = Turn::new(&self.owner, (dc, direction), 0).await;
        let late = || shared.lock().queue.late(turn.ticket);
        let result = unless_late(late, work)
            .await
            .unwrap_or_else(|after| Err(InvokeError::Timeout { method: direction.method(), after }.into()));
        match &result {
            Ok(_) => drop(turn.end(End::Done)),
            Err(TransferError::Invoke(error)) => match error.flood_wait() {
                // More than anybody would bear is told to those who ask for what they need; it is not imposed on them from here.
                Some(wait) if wait > shared.max_wait => drop(turn.end(End::Flooded(Duration::ZERO))),
                Some(wait) => self.flooded(turn, (dc, direction), wait, error),
                None if error.is_passing() => drop(turn.end(End::Stumbled)),
                None => drop(turn.end(End::Failed)),
            },
            Err(_) => drop(turn.end(End::Failed)),
        }
        result
    }

    /// Ends a turn with a wait, and says so where it is news.
    fn flooded(&self, turn: Turn, (dc, direction): Road, wait: Duration, error: &InvokeError) {
        if let Some(wait) = turn.end(End::Flooded(wait)) {
            let reason = if let InvokeError::Rpc(error) = error { &*error.name } else { "FLOOD_WAIT" };
            self.owner.shared.watch.waiting(dc, direction, wait, reason);
        }
    }
}

/// Does `work`, but not for longer than it takes to be `late`, which may change meanwhile: what is usual becomes known.
async fn unless_late<T>(late: impl Fn() -> Duration, work: impl Future<Output = T>) -> Result<T, Duration> {
    let begun = tokio::time::Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        let after = late();
        tokio::select! {
            biased;
            result = &mut work => return Ok(result),
            () = tokio::time::sleep_until(begun + after) => {
                if begun.elapsed() >= late() {
                    return Err(after);
                }
            }
        }
    }
}
