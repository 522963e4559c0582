//! The client role: requests and what becomes of them.
//!
//! * [`incoming`]: service messages of the server's, one `match`.
//! * [`refusals`]: `bad_msg_notification` and `bad_server_salt`.
//! * [`states`]: asking for the states of requests, and for answers that went astray.
//! * here: the requests, and filling frames with them.
//!
//! Every request ends with exactly one event: `Response` or `Failed`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use super::{
    acks::MAX_IDS,
    core::{Core, Frame, Ready, Service},
    error::ApiMisuse,
    event::{DeathCause, Event},
    params::{PingPolicy, RequestOptions},
    service,
    timer::Timer,
};
use crate::{
    clock::Now,
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{container::constructor, gzip, msg_id::Origin, rpc_error::RpcError},
    trace,
};

mod incoming;
mod refusals;
mod states;

/// A request, as the session names it to its driver. Never used twice in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why a request will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The caller has cancelled it. The server may have executed it.
    #[error("the request was cancelled")]
    Cancelled,
    /// The server has refused the message that carried it, for a reason that sending it again does not mend. It was not executed.
    #[error("the server refused the message, code {code} of bad_msg_notification: {}", refusals::describe(*code))]
    Refused {
        /// The code of `bad_msg_notification`.
        code: i32,
    },
    /// The session had to be begun anew while the request was under way. Whether it was executed is not known.
    #[error("the session was reset while the request was under way; it may have been executed")]
    SessionReset,
    /// The server has refused its message as often as is allowed. It was not executed.
    #[error("the server refused the request's message {times} times")]
    TooManyResends {
        /// How often.
        times: u32,
    },
    /// The answer came, but it cannot be read: it is damaged, or unpacks to too much. The request was executed.
    #[error("the answer cannot be read")]
    UnreadableAnswer,
}

/// A message younger than this many seconds is sent again under the identifier that it had, so that the server can tell that it has
/// seen it. The server takes identifiers of up to 300 seconds.
const SAME_ID_SECS: i64 = 280;

/// The least time between two requests for salts.
const SALT_RETRY: Duration = Duration::from_secs(60);

/// How many salts to ask for.
const SALTS_WANTED: i32 = 32;

/// Cancelled requests whose answers we still try to stop.
const MAX_DROPS: usize = 1024;

/// Frames of which a quick acknowledgement is awaited. A server that sends none costs no more memory than this.
const MAX_QUICK_ACKS: usize = 1024;

pub(super) struct Client {
    requests: BTreeMap<RequestId, Request>,
    /// Every identifier under which a pending request was sent.
    by_msg: BTreeMap<MsgId, RequestId>,
    last_id: u64,
    /// Requests to be sent, some of them again.
    queue: VecDeque<RequestId>,
    /// Messages whose states are to be asked for.
    ask: VecDeque<MsgId>,
    /// Answers to be asked for again.
    fetch: VecDeque<MsgId>,
    /// Cancelled requests, by the message that carried them, and whether the server has been told on this connection.
    drops: BTreeMap<MsgId, Cancelled>,
    /// Sessions to be destroyed, and whether the server has been told on this connection.
    doomed: BTreeMap<SessionId, bool>,
    ping: Ping,
    salts_asked_at: Option<Duration>,
    /// The server's name for the session.
    unique_id: Option<i64>,
    /// Resets since the last answer.
    resets: u32,
    /// The session before a reset: late messages of its are no attack.
    retired: Option<SessionId>,
    /// Quick acknowledgements that may come on this connection, and the requests that they are about. The oldest first.
    quick_acks: VecDeque<(u32, Vec<RequestId>)>,
}

struct Request {
    body: Bytes,
    method: u32,
    /// The message that carries it, once it has been sent.
    sent: Option<(MsgId, SeqNo)>,
    /// Messages that carried it before.
    former: Vec<MsgId>,
    phase: Phase,
    /// Whether its next message needs an identifier of its own.
    fresh_id: bool,
    created: Duration,
    /// When it was last sent or asked about.
    checked: Duration,
    /// The server has received it.
    received: bool,
    resends: u32,
    quick_ack: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the queue.
    Queued,
    /// Sent on this connection.
    Sent,
    /// Sent on an earlier connection; its state is being asked for.
    Unknown,
}

struct Cancelled {
    id: RequestId,
    told: bool,
}

struct Ping {
    policy: PingPolicy,
    last_id: i64,
    last_sent: Duration,
    due: bool,
    /// The ping that is under way.
    awaited: Option<(i64, Duration)>,
}

impl Client {
    pub(super) fn new(policy: PingPolicy) -> Self {
        Self {
            requests: BTreeMap::new(),
            by_msg: BTreeMap::new(),
            last_id: 0,
            queue: VecDeque::new(),
            ask: VecDeque::new(),
            fetch: VecDeque::new(),
            drops: BTreeMap::new(),
            doomed: BTreeMap::new(),
            ping: Ping { policy, last_id: 0, last_sent: Duration::ZERO, due: false, awaited: None },
            salts_asked_at: None,
            unique_id: None,
            resets: 0,
            retired: None,
            quick_acks: VecDeque::new(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.requests.len()
    }

    /// Takes a request. It gets its message when a frame is put together.
    pub(super) fn request(
        &mut self,
        core: &Core,
        now: Now,
        body: Bytes,
        options: RequestOptions,
    ) -> Result<RequestId, ApiMisuse> {
        let limits = &core.limits;
        if self.requests.len() >= limits.requests {
            return Err(ApiMisuse::Backlog { limit: limits.requests });
        }
        check_body(&body, limits.body)?;
        let method = if options.method == 0 { constructor(&body) } else { options.method };
        let packed = if options.compress { gzip::pack(&body) } else { None };
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.requests.insert(
            id,
            Request {
                body: packed.unwrap_or(body),
                method,
                sent: None,
                former: Vec::new(),
                phase: Phase::Queued,
                fresh_id: false,
                created: now.mono,
                checked: now.mono,
                received: false,
                resends: 0,
                quick_ack: options.quick_ack,
            },
        );
        self.queue.push_back(id);
        Ok(id)
    }

    /// Gives a request up. Whether it was still pending.
    pub(super) fn cancel(&mut self, core: &mut Core, now: Now, id: RequestId) -> bool {
        let Some(request) = self.take(id) else { return false };
        if let Some((msg_id, _)) = request.sent {
            core.tracer.emit(now, || trace::Event::RpcCancelled { msg_id });
            for msg_id in request.former.into_iter().chain([msg_id]) {
                self.drops.insert(msg_id, Cancelled { id, told: false });
            }
            while self.drops.len() > MAX_DROPS {
                self.drops.pop_first();
            }
        }
        core.events.push_back(Event::Failed { id, error: Failure::Cancelled });
        true
    }

    pub(super) fn destroy_session(&mut self, session_id: SessionId) {
        self.doomed.insert(session_id, false);
        while self.doomed.len() > MAX_DROPS {
            self.doomed.pop_first();
        }
    }

    pub(super) fn connection_lost(&mut self) {
        self.ask.clear();
        self.fetch.clear();
        self.quick_acks.clear();
        self.ping.due = false;
        self.ping.awaited = None;
        self.salts_asked_at = None;
    }

    /// What was sent on an earlier connection may or may not have arrived: ask before anything is sent again.
    pub(super) fn connection_opened(&mut self, core: &mut Core, now: Now) {
        self.ping.last_sent = now.mono;
        core.timers.set(Timer::Ping, now.mono.saturating_add(self.ping.policy.interval));
        for request in self.requests.values_mut() {
            if let (Phase::Sent | Phase::Unknown, Some((msg_id, _))) = (request.phase, request.sent) {
                request.phase = Phase::Unknown;
                request.checked = now.mono;
                self.ask.push_back(msg_id);
            }
        }
        if !self.ask.is_empty() {
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
        }
        for told in self.drops.values_mut().map(|cancelled| &mut cancelled.told).chain(self.doomed.values_mut()) {
            *told = false;
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Now) {
        if core.timers.take_expired(Timer::Ping, now.mono) {
            self.ping.due = true;
        }
        if core.timers.take_expired(Timer::PingTimeout, now.mono) {
            core.timers.stop(Timer::Ping);
            let seconds = self.ping.policy.patience.as_secs();
            core.events.push_back(Event::ConnectionDead(DeathCause::PingTimeout { seconds }));
        }
        if core.timers.take_expired(Timer::StateCheck, now.mono) {
            self.check_states(core, now);
        }
    }

    /// Something was heard of the server.
    pub(super) fn heard(&mut self, core: &mut Core) {
        core.timers.stop(Timer::PingTimeout);
    }

    /// Puts what there is to send into a frame.
    pub(super) fn fill(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        self.fill_requests(core, now, frame);
        self.fill_questions(core, now, frame);
        self.fill_drops(core, now, frame);
        self.fill_ping(core, now, frame);
    }

    fn fill_requests(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        while let Some(&id) = self.queue.front() {
            let Some(request) = self.requests.get_mut(&id).filter(|request| request.phase == Phase::Queued) else {
                // It has been answered or cancelled meanwhile.
                self.queue.pop_front();
                continue;
            };
            if !frame.has_room(request.body.len()) {
                break;
            }
            self.queue.pop_front();
            let young = |msg_id: MsgId| core.server_unix(now) - msg_id.unix() < SAME_ID_SECS;
            let (msg_id, seq_no) = match request.sent {
                Some((msg_id, seq_no)) if !request.fresh_id && young(msg_id) => {
                    frame.wrap();
                    core.tracer.emit(now, || trace::Event::Resent { old: msg_id, new: msg_id });
                    (msg_id, seq_no)
                }
                before => {
                    let (msg_id, seq_no) = core.allocate(now, Origin::Client, true);
                    if let Some((old, _)) = before {
                        request.former.push(old);
                        core.tracer.emit(now, || trace::Event::Resent { old, new: msg_id });
                    } else {
                        let (method, len) = (request.method, request.body.len());
                        core.tracer.emit(now, || trace::Event::RpcSent { msg_id, method, len });
                    }
                    self.by_msg.insert(msg_id, id);
                    (msg_id, seq_no)
                }
            };
            request.sent = Some((msg_id, seq_no));
            request.fresh_id = false;
            request.received = false;
            request.phase = Phase::Sent;
            request.checked = now.mono;
            if request.quick_ack {
                frame.quick.push(id);
            }
            frame.push(Ready { msg_id, seq_no, body: request.body.clone().into() });
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
        }
    }

    /// `msgs_state_req` and `msg_resend_req`.
    fn fill_questions(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        let by_msg = &self.by_msg;
        self.ask.retain(|msg_id| by_msg.contains_key(msg_id));
        if !self.ask.is_empty() {
            let count = self.ask.len().min(MAX_IDS);
            let ids: Vec<MsgId> = self.ask.drain(..count).collect();
            core.add_service(now, frame, Origin::Client, true, service::msgs_state_req(&ids), Service::StateReq(ids));
        }
        if !self.fetch.is_empty() {
            let count = self.fetch.len().min(MAX_IDS);
            let ids: Vec<MsgId> = self.fetch.drain(..count).collect();
            core.add_service(now, frame, Origin::Client, true, service::msg_resend_req(&ids), Service::ResendReq(ids));
        }
    }

    /// `rpc_drop_answer` and `destroy_session`.
    fn fill_drops(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        for (req, cancelled) in self.drops.iter_mut().filter(|(_, cancelled)| !cancelled.told) {
            let body = service::rpc_drop_answer(*req);
            if !frame.has_room(body.len()) {
                return;
            }
            cancelled.told = true;
            core.add_service(now, frame, Origin::Client, true, body, Service::DropAnswer(*req));
        }
        for (session_id, told) in self.doomed.iter_mut().filter(|(_, told)| !**told) {
            let body = service::destroy_session(*session_id);
            if !frame.has_room(body.len()) {
                return;
            }
            *told = true;
            core.add_service(now, frame, Origin::Client, true, body, Service::DestroySession(*session_id));
        }
    }

    /// `ping_delay_disconnect` and `get_future_salts`. Both ride along when something else is sent; the ping goes alone when it is due.
    fn fill_ping(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        let since = now.mono.saturating_sub(self.ping.last_sent);
        if self.ping.due || (!frame.is_empty() && since >= self.ping.policy.interval / 2) {
            self.ping.due = false;
            self.ping.last_id += 1;
            self.ping.last_sent = now.mono;
            let ping_id = self.ping.last_id;
            self.ping.awaited = Some((ping_id, now.mono));
            let body = service::ping_delay_disconnect(ping_id, self.ping.policy.disconnect_delay.as_secs());
            core.add_service(now, frame, Origin::Client, false, body, Service::Ping(ping_id));
            core.tracer.emit(now, || trace::Event::Ping { ping_id });
            core.timers.set(Timer::Ping, now.mono.saturating_add(self.ping.policy.interval));
            core.timers.start(Timer::PingTimeout, now.mono.saturating_add(self.ping.policy.patience));
        }
        // Only once the server has been heard: before, the salt in use may be wrong and the question refused.
        let asked_lately = self.salts_asked_at.is_some_and(|at| now.mono < at.saturating_add(SALT_RETRY));
        if !frame.is_empty() && core.clock.is_confirmed() && !asked_lately && core.salts.ahead(core.server_unix(now)) == 0 {
            self.salts_asked_at = Some(now.mono);
            let body = service::get_future_salts(SALTS_WANTED);
            core.add_service(now, frame, Origin::Client, false, body, Service::FutureSalts);
        }
    }

    /// A frame was sent that the server is to acknowledge at once.
    pub(super) fn expect_quick_ack(&mut self, token: u32, ids: Vec<RequestId>) {
        if self.quick_acks.len() >= MAX_QUICK_ACKS {
            self.quick_acks.pop_front();
        }
        self.quick_acks.push_back((token, ids));
    }

    /// The server has a frame of ours. `false` if it is not known which.
    pub(super) fn handle_quick_ack(&mut self, core: &mut Core, token: u32) -> bool {
        let Some(at) = self.quick_acks.iter().position(|(awaited, _)| *awaited == token | 1 << 31) else { return false };
        let Some((_, ids)) = self.quick_acks.remove(at) else { return false };
        for id in ids {
            if let Some(request) = self.requests.get_mut(&id) {
                request.received = true;
                core.events.push_back(Event::QuickAck { id });
            }
        }
        true
    }

    /// Removes a request and all traces of it.
    fn take(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        for msg_id in request.former.iter().chain(request.sent.as_ref().map(|(msg_id, _)| msg_id)) {
            self.by_msg.remove(msg_id);
        }
        Some(request)
    }

    fn fail(&mut self, core: &mut Core, id: RequestId, error: Failure) {
        if self.take(id).is_some() {
            core.events.push_back(Event::Failed { id, error });
        }
    }

    /// Ends a request with its answer.
    fn complete(
        &mut self,
        core: &mut Core,
        now: Now,
        id: RequestId,
        req: MsgId,
        result: Result<Bytes, RpcError>,
        compressed: bool,
    ) {
        let Some(request) = self.take(id) else { return };
        self.resets = 0;
        core.tracer.emit(now, || trace::Event::RpcResult {
            msg_id: req,
            method: request.method,
            latency: now.mono.saturating_sub(request.created),
            len: result.as_ref().map_or(0, Bytes::len),
            compressed,
            error: result.as_ref().err().map(|error| (error.code, error.message.clone())),
        });
        core.events.push_back(Event::Response { id, result });
    }

    /// Sends a request again: under the same identifier if that is young enough, unless `fresh_id` says that it must not.
    fn resend(&mut self, core: &mut Core, id: RequestId, fresh_id: bool) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.phase == Phase::Queued {
            request.fresh_id |= fresh_id;
            return;
        }
        if fresh_id {
            // Only refusals can go on for ever: what a broken connection lost is found out once for each connection.
            if request.resends >= core.limits.resends {
                let times = request.resends + 1;
                return self.fail(core, id, Failure::TooManyResends { times });
            }
            request.resends += 1;
        }
        request.fresh_id |= fresh_id;
        request.phase = Phase::Queued;
        self.queue.push_back(id);
    }

    /// The pending request that is under way as this message, and not as a later one.
    fn under_way(&self, msg_id: MsgId) -> Option<RequestId> {
        let id = *self.by_msg.get(&msg_id)?;
        let request = self.requests.get(&id)?;
        let current = request.sent.is_some_and(|(current, _)| current == msg_id);
        (current && request.phase != Phase::Queued).then_some(id)
    }
}

/// A body is serialized TL, and fits a frame.
pub(super) fn check_body(body: &Bytes, limit: usize) -> Result<(), ApiMisuse> {
    let len = body.len();
    if len == 0 || !len.is_multiple_of(4) {
        return Err(ApiMisuse::NotTl { len });
    }
    if len > limit {
        return Err(ApiMisuse::TooLong { len, limit });
    }
    Ok(())
}
