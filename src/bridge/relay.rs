//! Who answers a client of the bridge: the data centre, by way of a session of the bridge's own.
//!
//! A call comes in, the rules are asked, and it waits its turn; it goes to the data centre; its answer comes, the rules are asked again,
//! and it goes back. Calls of one session keep their order, unless a rule delays one. Answered here are only those that are about the
//! client's own keys and messages: `auth.bindTempAuthKey`, and `invokeAfterMsg` behind a call that has failed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

use super::Notice;
use super::addresses::Addresses;
use super::keys::Keys;
use super::line::Line;
use super::rules::{Direction, Fate, Rules, Subject, What};
use crate::client::DcTable;
use crate::ids::{DcId, MsgId};
use crate::mtproto::binding::Binding;
use crate::mtproto::container::constructor;
use crate::mtproto::session::KeyDestruction;
use crate::mtproto::wrappers::Call;
use crate::net::{LinkConfig, Outgoing, RequestError, Submitted};
use crate::sandbox::Fault;
use crate::sandbox::dispatch;
use crate::sandbox::server::answers::Answers;
use crate::sandbox::server::sessions::{self, Dismissal, SessionKey};
use crate::sandbox::server::{self};
use crate::sandbox::state::Error;
use crate::tl;
use crate::tl::api::functions as f;
use crate::tl::layers;
use crate::tl::schema::Schema;
use crate::tl::{Deserialize as _, Identifiable as _, Serialize as _};
use crate::trace::{Event, Tracer};

pub(super) type Shared = server::Shared<Relay>;
pub(super) type Slot = sessions::Slot<Relay>;
type Inner = sessions::Inner<Relay>;

/// Calls of one session that are at the data centre at the same time.
const MAX_IN_FLIGHT: usize = 64;
/// Calls that wait for their turn at which a session's connection is not read any further.
const MAX_WAITING: usize = 512;
/// The same, in bytes.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Bytes of answers that wait for the client to take them at which no further call is passed on.
const MAX_UNSENT: usize = 8 << 20;
/// Finished calls remembered for `invokeAfterMsg`.
const FINISHED: usize = 1024;
/// What the public servers answer when one behind them does not.
const TIMEOUT: (i32, &str) = (-503, "Timeout");

/// What all sessions share.
pub(super) struct Relay {
    /// The data centres.
    pub(super) to: DcTable,
    /// Where the bridge listens for them.
    pub(super) addresses: Addresses,
    pub(super) rules: Rules,
    pub(super) keys: Keys,
    /// How connections to the data centres are made; what is particular to one is filled in.
    pub(super) link: LinkConfig,
    pub(super) notices: broadcast::Sender<Notice>,
    /// Says when to stop: what waits for an answer does not keep the bridge alive.
    pub(super) stop: watch::Receiver<bool>,
    /// The layer that was named last under a client's key.
    pub(super) layers: Mutex<HashMap<(i32, i64), i32>>,
}

/// A call that waits for its turn.
struct Job {
    msg_id: MsgId,
    call: Call,
}

/// A call that the data centre has.
struct Running {
    /// Its name on the way there.
    token: u64,
    task: AbortHandle,
}

/// What is kept beside a session.
#[derive(Default)]
pub(super) struct Calls {
    /// The way to the data centre, and when the key behind it was looked up: it is looked up again when a key was lost since.
    line: Option<(Line, u64)>,
    queue: VecDeque<Job>,
    /// Calls behind others that have not been passed on yet.
    held: Vec<Job>,
    /// Bytes of what waits.
    bytes: usize,
    /// Calls that a rule delays.
    delayed: HashSet<MsgId>,
    running: HashMap<MsgId, Running>,
    /// Those of them whose answers have not come.
    in_flight: usize,
    /// Calls that ended, and whether well; the oldest first.
    finished: VecDeque<(MsgId, bool)>,
    connected: bool,
    /// The layer that the session has named.
    layer: Option<i32>,
}

impl Calls {
    fn finish(&mut self, msg_id: MsgId, good: bool) {
        self.running.remove(&msg_id);
        self.delayed.remove(&msg_id);
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back((msg_id, good));
        // Who waited for it waits for the next, or no more.
        for job in self.held.drain(..).rev() {
            self.queue.push_front(job);
        }
    }

    fn finished(&self, msg_id: MsgId) -> Option<bool> {
        self.finished.iter().rev().find(|f| f.0 == msg_id).map(|f| f.1)
    }

    /// Whether a call is here and has not been passed on.
    fn waits(&self, msg_id: MsgId) -> bool {
        self.delayed.contains(&msg_id) || self.queue.iter().chain(&self.held).any(|job| job.msg_id == msg_id)
    }

    fn waiting(&self) -> usize {
        self.queue.len() + self.held.len() + self.delayed.len()
    }
}

impl Answers for Relay {
    type Calls = Calls;

    const KEPT_BYTES: usize = 96 << 20;

    fn calls(_: SessionKey) -> Calls {
        Calls::default()
    }

    fn submit(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, body: Bytes) {
        let call = Call::read(body);
        if let Some(layer) = call.layer {
            slot.lock().calls.layer = Some(layer);
            let mut layers = shared.answers.layers.lock().unwrap_or_else(PoisonError::into_inner);
            layers.insert((slot.key.dc, slot.key.key_id), layer);
        }
        if shared.answers.rules.is_empty() {
            return enqueue(shared, slot, Job { msg_id, call });
        }
        let (method, what) = (call.method, What::Object(call.bare()));
        let verdict = shared.answers.rules.judge(Subject {
            on: Direction::Request,
            dc: slot.key.dc,
            schema: spoken(shared, slot),
            method,
            what,
        });
        report(shared, slot, &verdict.applied, method, Some(msg_id));
        let go = {
            let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
            move || decide(&shared, &slot, Job { msg_id, call }, verdict.close, verdict.fate)
        };
        if verdict.delay.is_zero() {
            return go();
        }
        slot.lock().calls.delayed.insert(msg_id);
        let task = spawn(shared, async move {
            tokio::time::sleep(verdict.delay).await;
            go();
        });
        drop(task);
    }

    fn cancel(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId) {
        let mut inner = slot.lock();
        let calls = &mut inner.calls;
        if let Some(running) = calls.running.remove(&msg_id) {
            // What it waits for is dropped with it: that is how the data centre hears of it.
            running.task.abort();
            calls.in_flight = calls.in_flight.saturating_sub(1);
        }
        calls.queue.retain(|job| job.msg_id != msg_id);
        calls.held.retain(|job| job.msg_id != msg_id);
        calls.finish(msg_id, false);
        pump(shared, slot, &mut inner);
    }

    fn resume(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner) {
        pump(shared, slot, inner);
    }

    fn is_full(inner: &Inner) -> bool {
        inner.unsent >= MAX_UNSENT || inner.calls.bytes >= MAX_WAITING_BYTES || inner.calls.waiting() >= MAX_WAITING
    }

    fn is_busy(calls: &Calls) -> bool {
        !calls.running.is_empty() || calls.waiting() > 0
    }

    fn attached(calls: &mut Calls) {
        calls.connected = true;
        if let Some((line, _)) = &calls.line {
            line.link.open();
        }
    }

    /// Nobody hears what the data centre has to say: it is left alone, as the client has left the bridge.
    fn detached(calls: &mut Calls) {
        calls.connected = false;
        if let Some((line, _)) = &calls.line {
            line.link.rest();
        }
    }

    fn destroy_key(shared: &Arc<Shared>, dc: DcId, key_id: i64) -> Result<KeyDestruction, Error> {
        let Some(auth) = shared.state.auth_behind(dc.0, key_id)? else { return Ok(KeyDestruction::Unknown) };
        let known = shared.answers.keys.forget(&shared.state, dc.0, auth.key_id)?;
        Ok(if known { KeyDestruction::Destroyed } else { KeyDestruction::Unknown })
    }
}

/// Runs something that ends with the bridge.
fn spawn(shared: &Arc<Shared>, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let mut stop = shared.answers.stop.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = work => {}
        }
    });
    task.abort_handle()
}

/// The tracer of the client's connection.
fn tracer(shared: &Shared, slot: &Slot) -> Tracer {
    let conn = slot.lock().conn().unwrap_or_default();
    shared.tracer.with_connection(conn, DcId(slot.key.dc)).as_server()
}

fn report(shared: &Shared, slot: &Slot, applied: &[(String, String)], method: u32, msg_id: Option<MsgId>) {
    if applied.is_empty() || shared.tracer.is_off() {
        return;
    }
    let tracer = tracer(shared, slot);
    for (rule, action) in applied {
        let (rule, action) = (rule.clone(), action.clone());
        tracer.emit(shared.now(), || Event::RuleApplied { rule, action, method, msg_id });
    }
}

/// The layer that a client speaks: what its session has said, or else its key. That of this build if neither has, or if it is not bundled.
fn spoken(shared: &Shared, slot: &Slot) -> &'static Schema {
    let of_session = slot.lock().calls.layer;
    let layer = of_session.or_else(|| {
        let layers = shared.answers.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.get(&(slot.key.dc, slot.key.key_id)).copied()
    });
    layer.and_then(|layer| layers::schema(layer).ok()).unwrap_or_else(tl::compiled_schema)
}

/// Does with a call what the rules say.
fn decide(shared: &Arc<Shared>, slot: &Arc<Slot>, job: Job, close: bool, fate: Fate) {
    if close {
        slot.lock().dismiss(Dismissal::Wanted);
    }
    let Job { msg_id, call } = job;
    match fate {
        Fate::Pass(What::Object(bare)) => {
            let call = if bare == call.bare() { call } else { call.with_bare(&bare) };
            enqueue(shared, slot, Job { msg_id, call });
        }
        Fate::Answer(what) | Fate::Pass(what @ What::Error { .. }) => respond(shared, slot, msg_id, call.method, &what),
        Fate::Drop => swallow(shared, slot, msg_id),
    }
}

fn swallow(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId) {
    let mut inner = slot.lock();
    inner.calls.finish(msg_id, false);
    pump(shared, slot, &mut inner);
}

fn enqueue(shared: &Arc<Shared>, slot: &Arc<Slot>, job: Job) {
    let mut inner = slot.lock();
    inner.calls.delayed.remove(&job.msg_id);
    inner.calls.bytes = inner.calls.bytes.saturating_add(job.call.body().len());
    inner.calls.queue.push_back(job);
    pump(shared, slot, &mut inner);
}

/// Passes on what waits and may go: after a call came, after one was answered, after the client took answers.
fn pump(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner) {
    while inner.unsent < MAX_UNSENT && inner.calls.in_flight < MAX_IN_FLIGHT {
        let Some(job) = inner.calls.queue.pop_front() else { return };
        let mut after = Vec::new();
        let mut failed = None;
        let mut waits = false;
        for id in &job.call.after {
            match (inner.calls.finished(*id), inner.calls.running.get(id)) {
                (Some(true), _) => {}
                (Some(false), _) => failed = Some(Fault::MsgWaitFailed),
                (None, Some(running)) => after.push(running.token),
                (None, None) if inner.calls.waits(*id) => waits = true,
                (None, None) => failed = Some(Fault::MsgWaitTimeout),
            }
        }
        if waits && failed.is_none() {
            inner.calls.held.push(job);
            continue;
        }
        inner.calls.bytes = inner.calls.bytes.saturating_sub(job.call.body().len());
        if let Some(fault) = failed {
            refuse(shared, inner, job.msg_id, &fault);
            continue;
        }
        if let Err(fault) = pass_on(shared, slot, inner, &job, after) {
            refuse(shared, inner, job.msg_id, &fault);
        }
    }
}

/// Gives a call to the data centre, or answers it here if it is about the client's own key.
fn pass_on(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &mut Inner, job: &Job, after: Vec<u64>) -> Result<(), Fault> {
    let Job { msg_id, call } = job;
    let method = call.method;
    if method == f::auth::BindTempAuthKey::ID {
        bind(shared, slot, inner, *msg_id, call)?;
        let answered = inner.answer(shared.now(), *msg_id, true.to_bytes(), false);
        ended(inner, *msg_id, true, answered);
        return Ok(());
    }
    let line = line(shared, slot, inner, method)?;
    // Parts of files are packed already, or should be.
    let compress = !dispatch::is_concurrent(method);
    let outgoing = Outgoing { compress, method, after, ..Outgoing::new(call.body()) };
    let submitted = line.link.submit(outgoing).map_err(|error| {
        tracing::debug!(%error, "call not passed on");
        Fault::MsgWaitTimeout
    })?;
    let token = submitted.token();
    let task = spawn(shared, carry(Arc::clone(shared), Arc::clone(slot), *msg_id, method, submitted));
    inner.calls.running.insert(*msg_id, Running { token, task });
    inner.calls.in_flight += 1;
    Ok(())
}

/// The session's way to the data centre; another one if its key stands for another one by now.
fn line<'a>(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &'a mut Inner, method: u32) -> Result<&'a Line, Fault> {
    let losses = shared.state.key_losses();
    let known = inner.calls.line.take_if(|_| true);
    let line = match known {
        Some((line, at)) if at == losses => line,
        known => {
            let auth = shared.state.auth_behind(slot.key.dc, slot.key.key_id)?.ok_or(Fault::AuthKeyUnregistered)?;
            // A temporary key that is bound to none may ask for little, and nothing hangs on what it has asked.
            if auth.expires.is_some() && !dispatch::UNBOUND.contains(&method) {
                inner.calls.line = known;
                return Err(Fault::AuthKeyPermEmpty);
            }
            match known {
                Some((line, _)) if line.client == auth.key_id => line,
                _ => {
                    let line = Line::new(shared, slot, inner.conn(), auth.key_id)?;
                    if inner.calls.connected {
                        line.link.open();
                    }
                    line
                }
            }
        }
    };
    Ok(&inner.calls.line.insert((line, losses)).0)
}

/// Binds the client's temporary key to its permanent one, as a data centre does.
fn bind(shared: &Arc<Shared>, slot: &Arc<Slot>, inner: &Inner, msg_id: MsgId, call: &Call) -> Result<(), Fault> {
    let request = f::auth::BindTempAuthKey::from_bytes(call.bare()).map_err(|_| Fault::InputFetchError)?;
    let expected = Binding {
        msg_id,
        nonce: request.nonce,
        temp_auth_key_id: slot.key.key_id,
        perm_auth_key_id: request.perm_auth_key_id,
        session_id: slot.key.session,
        expires_at: request.expires_at,
    };
    let (now, dc) = (shared.now(), DcId(slot.key.dc));
    shared.state.bind_temp_key(dc, &expected, &request.encrypted_message, now.unix())?;
    let tracer = shared.tracer.with_connection(inner.conn().unwrap_or_default(), dc).as_server();
    tracer.emit(now, || Event::TempKeyBound {
        id: slot.key.key_id,
        perm: request.perm_auth_key_id,
        expires_at: request.expires_at.into(),
    });
    Ok(())
}

fn refuse(shared: &Arc<Shared>, inner: &mut Inner, msg_id: MsgId, fault: &Fault) {
    if let Fault::Internal(error) = fault {
        tracing::error!(%error, "the bridge's state failed");
    }
    let answered = inner.refuse(shared.now(), msg_id, fault.code(), &fault.to_string());
    ended(inner, msg_id, false, answered);
}

fn ended(inner: &mut Inner, msg_id: MsgId, good: bool, answered: Result<(), crate::mtproto::session::ApiMisuse>) {
    if let Err(error) = answered {
        tracing::debug!(%error, "answer not wanted");
    }
    inner.calls.finish(msg_id, good);
    inner.wake();
}

/// Waits for an answer and sees it through.
async fn carry(shared: Arc<Shared>, slot: Arc<Slot>, msg_id: MsgId, method: u32, submitted: Submitted) {
    let result = submitted.answer().await;
    {
        let mut inner = slot.lock();
        if !inner.calls.running.contains_key(&msg_id) {
            return;
        }
        inner.calls.in_flight = inner.calls.in_flight.saturating_sub(1);
        pump(&shared, &slot, &mut inner);
    }
    let schema = spoken(&shared, &slot);
    let what = match result {
        Ok(body) => What::Object(at_home(&shared, schema, body)),
        Err(RequestError::Rpc(error)) => What::Error { code: error.code, text: error.message },
        // The client was told by the end of its connection.
        Err(RequestError::KeyLost | RequestError::Closed) => return swallow(&shared, &slot, msg_id),
        Err(error) => {
            shared.answers.notify(Notice::Unanswered { dc: DcId(slot.key.dc), method, reason: error.to_string() });
            let (code, text) = TIMEOUT;
            return respond(&shared, &slot, msg_id, method, &What::Error { code, text: text.to_owned() });
        }
    };
    if shared.answers.rules.is_empty() {
        return respond(&shared, &slot, msg_id, method, &what);
    }
    let verdict = shared.answers.rules.judge(Subject { on: Direction::Answer, dc: slot.key.dc, schema, method, what });
    report(&shared, &slot, &verdict.applied, method, Some(msg_id));
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    if verdict.close {
        slot.lock().dismiss(Dismissal::Wanted);
    }
    match verdict.fate {
        Fate::Pass(what) | Fate::Answer(what) => respond(&shared, &slot, msg_id, method, &what),
        Fate::Drop => swallow(&shared, &slot, msg_id),
    }
}

/// With the bridge's own addresses in place of those of the data centres.
fn at_home(shared: &Shared, schema: &Schema, body: Bytes) -> Bytes {
    match shared.answers.addresses.rewrite(schema, &body) {
        Ok(Some(changed)) => changed,
        Ok(None) => body,
        Err(error) => {
            tracing::warn!(%error, id = constructor(&body), "addresses left as they are: the object cannot be read");
            body
        }
    }
}

fn respond(shared: &Arc<Shared>, slot: &Arc<Slot>, msg_id: MsgId, method: u32, what: &What) {
    let now = shared.now();
    let mut inner = slot.lock();
    let (good, answered) = match what {
        What::Object(body) => (true, inner.answer(now, msg_id, body.clone(), !dispatch::is_concurrent(method))),
        What::Error { code, text } => (false, inner.refuse(now, msg_id, *code, text)),
    };
    ended(&mut inner, msg_id, good, answered);
    pump(shared, slot, &mut inner);
}

/// The data centre has sent an update.
pub(super) fn updated(shared: &Arc<Shared>, slot: &Arc<Slot>, body: Bytes) {
    let schema = spoken(shared, slot);
    let body = at_home(shared, schema, body);
    if shared.answers.rules.is_empty() {
        return slot.lock().push(shared.now(), body);
    }
    let id = constructor(&body);
    let verdict = shared.answers.rules.judge(Subject {
        on: Direction::Update,
        dc: slot.key.dc,
        schema,
        method: 0,
        what: What::Object(body),
    });
    report(shared, slot, &verdict.applied, id, None);
    let go = {
        let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
        move || {
            let mut inner = slot.lock();
            if verdict.close {
                inner.dismiss(Dismissal::Wanted);
            }
            if let Fate::Pass(What::Object(body)) = verdict.fate {
                inner.push(shared.now(), body);
            }
        }
    };
    if verdict.delay == Duration::ZERO {
        return go();
    }
    let task = spawn(shared, async move {
        tokio::time::sleep(verdict.delay).await;
        go();
    });
    drop(task);
}

/// The data centre has begun the session anew: updates may have been missed, and the client is told to ask.
pub(super) fn missed(shared: &Shared, slot: &Slot) {
    slot.lock().push(shared.now(), dispatch::too_long());
}

/// A key is lost: the client's goes as well, and its connections are told.
pub(super) fn forget(shared: &Shared, dc: i32, client: i64) -> Result<(), Error> {
    shared.answers.keys.forget(&shared.state, dc, client)?;
    for slot in shared.sessions.all().iter().filter(|slot| slot.key.dc == dc) {
        let mut inner = slot.lock();
        if inner.calls.line.take_if(|(line, _)| line.client == client).is_some() {
            inner.dismiss(Dismissal::KeyUnknown);
        }
    }
    Ok(())
}

/// Ends every way to the data centres.
pub(super) fn hang_up(shared: &Shared) {
    for slot in shared.sessions.all() {
        slot.lock().calls.line = None;
    }
}
