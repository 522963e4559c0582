//! Calls on their way through the services.
//!
//! A session's calls run one after another, in the order in which they came, so that messages sent in a row arrive in a row. Calls that
//! move file contents are the exception: a few of them run side by side. Both run on threads of their own, since services wait for the
//! disk and the database.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::answers::Answers;
use super::disturb::{self, Aftermath, Course};
use super::sessions::{self, SessionKey};
use super::{duplicates, routing};
use crate::dispatch::{self, Unwrapped};
use crate::fault::Fault;
use crate::faults::Faults;
use crate::layers;
use crate::policy::{CallInfo, Mishaps, Policy};
use crate::services::memory::Memory;
use crate::services::{Call, Effect, Origin, Settings};
use crate::state::{self, keys};
use crate::tally::Tally;
use tdl_core::ids::{DcId, MsgId};
use tdl_core::mtproto::session::KeyDestruction;

/// Calls with file contents that run side by side for one session.
const SIDE_BY_SIDE: usize = 4;
/// Bytes of waiting calls at which a session's connection is not read any further.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Waiting calls at which it is not either.
const MAX_WAITING: usize = 512;

/// Bytes of answers that wait for the client to take them at which no further call is begun. A session keeps more than that, but what
/// it keeps has a limit, beyond which the oldest is lost.
pub(crate) const MAX_UNSENT: usize = 8 << 20;

/// Finished calls remembered for `invokeAfterMsg`.
const FINISHED: usize = 1024;

type Shared = super::Shared<Services>;
type Slot = sessions::Slot<Services>;
type Inner = sessions::Inner<Services>;

/// The cluster's services, and what they all know.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) policy: Arc<dyn Policy>,
    /// What goes wrong on purpose.
    pub(crate) faults: Arc<Faults>,
    /// What is remembered until the cluster stops.
    memory: Memory,
    /// What was asked and answered.
    pub(crate) tally: Tally,
    /// Counts calls that move a session's mark.
    marks: AtomicU64,
}

impl Services {
    pub(crate) fn new(settings: Settings, policy: Arc<dyn Policy>) -> Self {
        Self {
            settings,
            policy,
            faults: Arc::default(),
            memory: Memory::default(),
            tally: Tally::default(),
            marks: AtomicU64::new(0),
        }
    }

    fn next_mark(&self) -> u64 {
        self.marks.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// A call that waits for its turn.
struct Job {
    msg_id: MsgId,
    request: Unwrapped,
    method: u32,
}

/// Calls of one session that wait or run.
#[derive(Default)]
pub(crate) struct Queues {
    in_order: VecDeque<Job>,
    in_order_runs: bool,
    files: VecDeque<Job>,
    /// Calls that run now: at most one of the others, and a few with files.
    running: Vec<MsgId>,
    file_workers: usize,
    bytes: usize,
}

impl Queues {
    /// Whether so much waits that nothing more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= MAX_WAITING_BYTES || self.in_order.len() + self.files.len() >= MAX_WAITING
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.in_order_runs || self.file_workers > 0
    }

    fn knows(&self, msg_id: MsgId) -> bool {
        self.running.contains(&msg_id) || self.files.iter().chain(&self.in_order).any(|job| job.msg_id == msg_id)
    }
}

/// What the services keep beside a session.
pub(crate) struct Calls {
    queues: Queues,
    /// The account to whose updates the session is entitled: logged in here, not imported from elsewhere.
    pub(super) user: Option<i64>,
    /// The permanent key behind the session's own, as of the last call: itself, unless that is a temporary one.
    pub(super) behind: i64,
    /// The layer that it speaks, as of the last call.
    layer: Option<i32>,
    /// When it made its last call that subscribes, as a count; 0 if it never did.
    pub(super) mark: u64,
    /// A call came over the connection that it has.
    pub(super) used: bool,
    /// Its authorization was ended because it was in two places; the client has not been told.
    pub(super) duplicated: bool,
    /// Calls that ended, and whether well; the oldest first.
    finished: VecDeque<(MsgId, bool)>,
}

impl Calls {
    /// Remembers how a call ended.
    fn finish(&mut self, msg_id: MsgId, good: bool) {
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back((msg_id, good));
    }

    /// How a call ended, if it did.
    fn finished(&self, msg_id: MsgId) -> Option<bool> {
        self.finished.iter().rev().find(|f| f.0 == msg_id).map(|f| f.1)
    }
}

impl Answers for Services {
    type Calls = Calls;

    const KEPT_BYTES: usize = 4 * MAX_UNSENT;

    fn calls(key: SessionKey) -> Calls {
        Calls {
            queues: Queues::default(),
            user: None,
            behind: key.key_id,
            layer: None,
            mark: 0,
            used: false,
            duplicated: false,
            finished: VecDeque::new(),
        }
    }

    fn submit(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, body: Bytes) {
        submit(shared, slot, msg_id, body);
    }

    fn resume(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner) {
        resume(shared, slot, inner);
    }

    fn is_full(inner: &Inner) -> bool {
        inner.calls.queues.is_full()
    }

    fn is_busy(calls: &Calls) -> bool {
        calls.queues.is_busy()
    }

    fn attached(calls: &mut Calls) {
        calls.used = false;
    }

    /// With the key goes who is logged in with it, and the temporary keys that are bound to it.
    fn destroy_key(shared: &Arc<Shared>, dc: DcId, key_id: i64) -> Result<KeyDestruction, state::Error> {
        let Some(auth) = shared.state.auth_behind(dc.0, key_id)? else { return Ok(KeyDestruction::Unknown) };
        shared.state.write(|tx| keys::unbind(tx, dc.0, auth.key_id, false).map_err(state::Error::from))?;
        logged_out(shared, dc.0, auth.key_id);
        let known = shared.state.remove_auth_key(dc, auth.key_id)?;
        Ok(if known { KeyDestruction::Destroyed } else { KeyDestruction::Unknown })
    }
}

/// The sessions of a key stand for nobody any more.
pub(crate) fn logged_out(shared: &Shared, dc: i32, key_id: i64) {
    for slot in shared.sessions.all() {
        let mut inner = slot.lock();
        if slot.key.dc == dc && inner.calls.behind == key_id {
            inner.calls.user = None;
        }
    }
}

/// Takes in a call.
fn submit(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, body: Bytes) {
    let request = match dispatch::unwrap(body) {
        Ok(request) => request,
        Err(fault) => {
            shared.answers.tally.refused(("", false), &fault);
            return finish(shared, slot, msg_id, Err(fault), Writing::PLAIN);
        }
    };
    let method = dispatch::method_id(&request.body).unwrap_or(0);
    let job = Job { msg_id, method, request };
    let mut inner = slot.lock();
    inner.calls.used = true;
    if subscribes(&inner, &job) {
        inner.calls.mark = shared.answers.next_mark();
    }
    inner.calls.queues.bytes += job.request.body.len();
    if dispatch::is_concurrent(method) && job.request.after.is_empty() {
        inner.calls.queues.files.push_back(job);
    } else {
        inner.calls.queues.in_order.push_back(job);
    }
    resume(shared, slot, &mut inner);
}

/// The layer that a call is in.
fn layer_of(inner: &Inner, job: &Job) -> i32 {
    job.request.layer.or(inner.calls.layer).unwrap_or(layers::OWN_LAYER)
}

/// The name of a call's method, in that layer.
fn name_of(inner: &Inner, job: &Job) -> &'static str {
    layers::name_of(layer_of(inner, job), job.method).unwrap_or_default()
}

/// Whether a call makes its session one that was active: not what is about file contents, nor the binding of a key, which each connection
/// with a temporary one begins with, nor what says so itself.
fn subscribes(inner: &Inner, job: &Job) -> bool {
    let name = name_of(inner, job);
    !job.request.without_updates && !name.starts_with("upload.") && name != "auth.bindTempAuthKey"
}

/// Begins what waits and may run: after a call came, after one ended, after the client took answers.
fn resume(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner) {
    if inner.unsent >= MAX_UNSENT {
        return;
    }
    start_in_order(shared, slot, inner);
    // One that begins now takes one call, and then what else there is.
    if !inner.calls.queues.files.is_empty() && inner.calls.queues.file_workers < SIDE_BY_SIDE {
        inner.calls.queues.file_workers += 1;
        spawn(shared, slot, next_file);
    }
}

fn start_in_order(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner) {
    if !inner.calls.queues.in_order_runs && !inner.calls.queues.in_order.is_empty() {
        inner.calls.queues.in_order_runs = true;
        spawn(shared, slot, next_in_order);
    }
}

/// What a worker is to do next.
enum Next {
    Run(Job),
    /// With the name of its method.
    Refuse(MsgId, &'static str, Fault),
    /// Nothing: the worker is done, and is counted out already.
    Stop,
}

/// A worker: runs calls until there are none.
fn spawn(shared: &Arc<Shared>, slot: &Arc<Slot>, next: fn(&mut Inner) -> Next) {
    let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
    tokio::task::spawn_blocking(move || {
        loop {
            let job = next(&mut slot.lock());
            match job {
                Next::Run(job) => {
                    let (msg_id, compress) = (job.msg_id, !dispatch::is_concurrent(job.method));
                    let (info, layer) = {
                        let inner = slot.lock();
                        let (method, layer) = (job.method, layer_of(&inner, &job));
                        let name = layers::name_of(layer, method).unwrap_or_default();
                        (CallInfo { dc: slot.key.dc, user: inner.calls.user, method, name }, layer)
                    };
                    let (tally, call) = (&shared.answers.tally, (info.name, job.request.takeout.is_some()));
                    let (result, aftermath) = match disturb::before(&shared, &slot, &info) {
                        Course::Run(mishaps, aftermath) => (run(&shared, &slot, msg_id, job.request, mishaps), aftermath),
                        Course::Refuse(fault, aftermath) => (Err(fault), aftermath),
                        Course::Swallow => {
                            tally.swallowed(info.name);
                            ended(&shared, &slot, &mut slot.lock(), msg_id, false);
                            continue;
                        }
                    };
                    tally.answered(call, layer, &result);
                    finish(&shared, &slot, msg_id, result, Writing { compress, aftermath });
                }
                Next::Refuse(msg_id, name, fault) => {
                    shared.answers.tally.refused((name, false), &fault);
                    finish(&shared, &slot, msg_id, Err(fault), Writing::PLAIN);
                }
                Next::Stop => break,
            }
        }
    });
}

fn take(inner: &mut Inner, job: Job) -> Next {
    inner.calls.queues.bytes = inner.calls.queues.bytes.saturating_sub(job.request.body.len());
    inner.calls.queues.running.push(job.msg_id);
    Next::Run(job)
}

fn next_file(inner: &mut Inner) -> Next {
    let job = if inner.unsent < MAX_UNSENT { inner.calls.queues.files.pop_front() } else { None };
    match job {
        Some(job) => take(inner, job),
        None => {
            inner.calls.queues.file_workers = inner.calls.queues.file_workers.saturating_sub(1);
            Next::Stop
        }
    }
}

fn next_in_order(inner: &mut Inner) -> Next {
    let job = if inner.unsent < MAX_UNSENT { inner.calls.queues.in_order.pop_front() } else { None };
    let Some(job) = job else {
        inner.calls.queues.in_order_runs = false;
        return Next::Stop;
    };
    for after in job.request.after.iter().copied().map(MsgId) {
        let fault = match inner.calls.finished(after) {
            Some(true) => continue,
            Some(false) => Fault::MsgWaitFailed,
            None if inner.calls.queues.knows(after) => {
                // Some file call is to end first: it starts this worker again.
                inner.calls.queues.in_order.push_front(job);
                inner.calls.queues.in_order_runs = false;
                return Next::Stop;
            }
            None => Fault::MsgWaitTimeout,
        };
        inner.calls.queues.bytes = inner.calls.queues.bytes.saturating_sub(job.request.body.len());
        return Next::Refuse(job.msg_id, name_of(inner, &job), fault);
    }
    take(inner, job)
}

/// Runs one call and carries out what follows from it.
fn run(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, request: Unwrapped, mishaps: Mishaps) -> Result<Bytes, Fault> {
    let SessionKey { dc, key_id, session } = slot.key;
    let mut auth = shared.state.auth_behind(dc, key_id)?.ok_or(Fault::AuthKeyUnregistered)?;
    let (layer, address) = {
        let mut inner = slot.lock();
        inner.calls.behind = auth.key_id;
        (inner.calls.layer, inner.address())
    };
    duplicates::check(shared, slot, &auth)?;
    if let Some(address) = address.map(|address| address.to_string()).filter(|address| *address != auth.ip) {
        shared.state.set_ip(auth.dc, auth.key_id, &address)?;
        auth.ip = address;
    }
    let mut rng = rand::rng();
    let now = shared.now();
    let mut call = Call {
        state: &shared.state,
        settings: &shared.answers.settings,
        dc,
        now: now.unix(),
        rng: &mut rng,
        origin: Origin { key_id, session, msg_id },
        auth,
        layer,
        takeout: request.takeout,
        memory: &shared.answers.memory,
        mishaps,
        effects: Vec::new(),
    };
    let answer = dispatch::answer(&mut call, &*shared.answers.policy, request);
    let Call { auth, effects, layer, .. } = call;
    {
        let mut inner = slot.lock();
        inner.calls.layer = layer;
        if answer.is_ok() || auth.user.is_none() {
            inner.calls.user = auth.user.filter(|_| auth.imported_from.is_none());
        }
    }
    let answer = answer?;
    for effect in effects {
        match effect {
            Effect::Push { user, updates } => routing::push(shared, now, user, &updates, Some(slot.key)),
            Effect::TellKey { dc, key_id, updates } => routing::push_to_key(shared, now, (dc, key_id), &updates),
            Effect::LoggedOut { dc, key_id } => logged_out(shared, dc, key_id),
        }
    }
    Ok(answer)
}

/// How an answer is written.
#[derive(Clone, Copy)]
struct Writing {
    /// Packed, if that is shorter.
    compress: bool,
    /// And what follows at once.
    aftermath: Aftermath,
}

impl Writing {
    const PLAIN: Self = Self { compress: true, aftermath: Aftermath::NONE };
}

/// Answers a call and lets those that waited for it go on.
fn finish(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, result: Result<Bytes, Fault>, writing: Writing) {
    let now = shared.now();
    let mut inner = slot.lock();
    let answered = match &result {
        Ok(body) => inner.answer(now, msg_id, body.clone(), writing.compress),
        Err(fault) => {
            if let Fault::Internal(error) = fault {
                tracing::error!(%error, "the cluster's state failed");
            }
            tracing::debug!(dc = slot.key.dc, code = fault.code(), error = %fault, "call refused");
            inner.refuse(now, msg_id, fault.code(), &fault.to_string())
        }
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "answer not wanted");
    }
    disturb::after(now.unix(), &mut inner, writing.aftermath);
    ended(shared, slot, &mut inner, msg_id, result.is_ok());
    inner.wake();
}

/// A call is over: those that waited for it go on.
fn ended(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner, msg_id: MsgId, good: bool) {
    inner.calls.queues.running.retain(|id| *id != msg_id);
    inner.calls.finish(msg_id, good);
    resume(shared, slot, inner);
}
