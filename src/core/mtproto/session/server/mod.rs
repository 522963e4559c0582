//! The server role: requests that come in, answers and updates that go out.
//!
//! * [`checks`]: what a server checks of a client's messages, and the notices that it answers with.
//! * [`incoming`]: service messages of the client's, one `match`.
//! * here: the memory of requests, and what is kept until it is acknowledged.
//!
//! A request is handed to the host once, whatever the connection does: a message that comes again finds its answer, or the note that
//! it is being worked on; one that is older than the memory is refused (code 20).

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use rand::Rng;

use super::{
    client::check_body,
    core::Core,
    error::ApiMisuse,
    event::{DeathCause, Event, KeyDestruction},
    frame::{Body, Frame, Ready},
    salts::Salts,
    service,
    sorted::Sorted,
    timer::Timer,
};
use crate::{
    clock::Now,
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{container::constructor, gzip, msg_id::Origin, session::salts::FutureSalt},
    trace,
};

mod checks;
mod footprint;
mod incoming;

/// A message waiting longer than this before it is first sent gets a container, as one that is sent again does.
const STALE_SECS: i64 = 10;

/// How long an answer or an update goes without acknowledgement before the client is told that it exists. Clients acknowledge after
/// half a minute.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// How many messages the client is told of at once.
const REMIND_COUNT: usize = 100;

/// News of the session is looked for among so many messages at the head of the queue: it is queued with the client's first.
const NEWS_AMONG: usize = 64;

/// An answer up to this long is sent again when its request comes again; of a longer one the client is only told.
const RESEND_WHOLE: usize = 4096;

pub(super) struct Server {
    /// Requests, by their messages.
    requests: Sorted<MsgId, Status>,
    running: usize,
    /// Messages that are kept until they are acknowledged.
    kept: Sorted<MsgId, Kept>,
    kept_bytes: usize,
    /// Messages that were ever kept.
    kept_so_far: u64,
    /// Updates among the kept.
    updates: usize,
    update_bytes: usize,
    /// Kept messages to be sent, some of them again.
    queue: VecDeque<MsgId>,
    /// The lowest message that the client was told the session begins with.
    first_msg_id: Option<MsgId>,
    unique_id: i64,
    disconnect_delay: u64,
    /// Room for taking the next frame apart.
    scratch: checks::Scratch,
}

/// What is known of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The host works on it. Its method, for the trace.
    Running(u32),
    /// The host may still work on it, but nobody waits for the answer.
    Cancelled,
    /// The answer is kept.
    Answered(MsgId),
    /// The answer was acknowledged, dropped or forgotten.
    Done,
}

struct Kept {
    /// Its place among all that was kept: identifiers rise only as long as the machine's clock does.
    order: u64,
    /// The identifier that it had at first, by which the host knows it.
    name: MsgId,
    seq_no: SeqNo,
    body: Body,
    what: What,
    /// Whether it was ever sent.
    sent: bool,
    queued: bool,
    /// When it was last sent, or the client told of it.
    at: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Answer(MsgId),
    Update,
    NewSession,
}

impl Server {
    pub(super) fn new(unique_id: i64) -> Self {
        Self {
            requests: Sorted::default(),
            running: 0,
            kept: Sorted::default(),
            kept_bytes: 0,
            kept_so_far: 0,
            updates: 0,
            update_bytes: 0,
            queue: VecDeque::new(),
            first_msg_id: None,
            unique_id,
            disconnect_delay: 0,
            scratch: checks::Scratch::default(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.running
    }

    /// Kept messages that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.queue.iter().filter(|msg_id| self.kept.get(msg_id).is_some_and(|kept| kept.queued)).count()
    }

    /// Answers a request.
    pub(super) fn respond(
        &mut self,
        core: &mut Core,
        now: Now,
        req: MsgId,
        result: Bytes,
        compress: bool,
    ) -> Result<(), ApiMisuse> {
        check_body(result.len(), core.limits.body)?;
        let method = match self.requests.get(&req) {
            Some(Status::Running(method)) => *method,
            Some(Status::Cancelled) => {
                self.requests.insert(req, Status::Done);
                return Ok(());
            }
            Some(Status::Answered(_) | Status::Done) | None => return Err(ApiMisuse::NoSuchRequest { msg_id: req }),
        };
        self.running = self.running.saturating_sub(1);
        let packed = if compress { gzip::pack(&result) } else { None };
        let (len, packed_len) = (result.len(), packed.as_ref().map(Bytes::len));
        core.tracer.emit(now, || trace::Event::RpcAnswered {
            msg_id: req,
            method,
            len,
            packed: packed_len,
            error: rpc_error_of(&result),
        });
        let msg_id = self.answer(core, now, req, packed.unwrap_or(result), method);
        if let Some(packed) = packed_len {
            core.tracer.emit(now, || trace::Event::Gzip { sent: true, msg_id, packed, unpacked: len });
        }
        Ok(())
    }

    /// Sends something that no request asked for.
    pub(super) fn push(&mut self, core: &mut Core, now: Now, body: Bytes) -> Result<MsgId, ApiMisuse> {
        check_body(body.len(), core.limits.body)?;
        if self.updates >= core.limits.kept {
            return Err(ApiMisuse::Backlog { limit: core.limits.kept });
        }
        if !self.has_room_for(core, body.len()) {
            return Err(ApiMisuse::BacklogBytes { limit: core.limits.kept_bytes });
        }
        core.trace_update(now, &body);
        Ok(self.keep(core, now, Origin::Notice, body.into(), What::Update))
    }

    /// Whether an update would be kept until it is acknowledged. Answers give way to it, other updates do not.
    pub(super) fn has_room_for(&self, core: &Core, len: usize) -> bool {
        self.updates == 0
            || (self.updates < core.limits.kept && self.update_bytes.saturating_add(len) <= core.limits.kept_bytes / 2)
    }

    /// Bytes that are kept.
    pub(super) fn held_bytes(&self) -> usize {
        self.kept_bytes
    }

    pub(super) fn auth_key_destroyed(&mut self, core: &mut Core, msg_id: MsgId, outcome: KeyDestruction) {
        core.acks.settle(msg_id);
        core.draft(service::destroy_auth_key_answer(outcome));
    }

    pub(super) fn session_destroyed(&mut self, core: &mut Core, session_id: SessionId, existed: bool) {
        core.draft(service::destroy_session_answer(session_id, existed));
    }

    pub(super) fn set_salts(&mut self, core: &mut Core, salts: Vec<FutureSalt>) {
        core.salts = Salts::new(salts);
    }

    /// What is not acknowledged is sent again.
    pub(super) fn connection_opened(&mut self, core: &mut Core, now: Now) {
        core.hurry = true;
        let mut all: Vec<(u64, MsgId)> = self.kept.iter().map(|(msg_id, kept)| (kept.order, *msg_id)).collect();
        all.sort_unstable();
        self.queue.clear();
        for (_, msg_id) in all {
            let Some(kept) = self.kept.get_mut(&msg_id) else { continue };
            if kept.sent {
                core.tracer.emit(now, || trace::Event::Resent { old: msg_id, new: msg_id });
            }
            kept.queued = true;
            self.queue.push_back(msg_id);
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Now) {
        if core.timers.take_expired(Timer::Disconnect, now.mono) {
            core.events.push(Event::ConnectionDead(DeathCause::NoPing { seconds: self.disconnect_delay }));
        }
        if core.timers.take_expired(Timer::Unacknowledged, now.mono) {
            self.remind(core, now);
        }
    }

    /// Puts the news of the session into a frame, if the client has not had it yet: before all else, so that what follows can be sent.
    pub(super) fn fill_news(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        if self.queue.iter().any(|msg_id| core.is_early(now, *msg_id)) {
            self.settle_what_is_early(core, now);
        }
        let is_news = |msg_id: &MsgId| self.kept.get(msg_id).is_some_and(|kept| kept.what == What::NewSession && kept.queued);
        let Some(at) = self.queue.iter().take(NEWS_AMONG).position(is_news) else { return };
        let Some(msg_id) = self.queue.remove(at) else { return };
        self.queue.push_front(msg_id);
        self.fill_some(core, now, frame, 1);
    }

    /// Puts what there is to send into a frame.
    pub(super) fn fill(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        self.fill_some(core, now, frame, usize::MAX);
    }

    /// Our clock was set back, so that messages to be sent have identifiers of the future: they fit no container, and the client would
    /// refuse them. They get others, unless the client may have them already: then it would not know them again. An answer it knows by
    /// its request, but an update it knows by nothing else: such a one is given up, and the client is told of a new session, which is
    /// how it learns that updates may have been missed.
    fn settle_what_is_early(&mut self, core: &mut Core, now: Now) {
        let early: Vec<MsgId> =
            self.kept.iter().rev().map(|(msg_id, _)| *msg_id).take_while(|msg_id| core.is_early(now, *msg_id)).collect();
        let mut early: Vec<(u64, MsgId)> =
            early.iter().filter_map(|msg_id| self.kept.get(msg_id).map(|kept| (kept.order, *msg_id))).collect();
        early.sort_unstable();
        let mut lost = false;
        for (_, old) in early {
            let Some(kept) = self.kept.get(&old) else { continue };
            if kept.what == What::Update && kept.sent {
                // One that is not to be sent again may be acknowledged yet.
                if kept.queued
                    && let Some(kept) = self.forget(old)
                {
                    core.events.push(Event::UpdateLost { msg_id: kept.name });
                    lost = true;
                }
                continue;
            }
            let origin = if kept.what == What::Update { Origin::Notice } else { Origin::Answer };
            let (new, seq_no) = core.allocate(now, origin, true);
            let Some(mut kept) = self.kept.remove(&old) else { continue };
            kept.seq_no = seq_no;
            if let What::Answer(req) = kept.what
                && self.requests.get(&req) == Some(&Status::Answered(old))
            {
                self.requests.insert(req, Status::Answered(new));
            }
            self.kept.insert(new, kept);
            if let Some(place) = self.queue.iter_mut().find(|queued| **queued == old) {
                *place = new;
            }
            core.tracer.emit(now, || trace::Event::Resent { old, new });
        }
        if lost {
            self.begin_anew(core, now);
        }
    }

    /// Tells the client of a session of another name. It begins where the present one does, so that its requests stay.
    fn begin_anew(&mut self, core: &mut Core, now: Now) {
        let news: Vec<MsgId> =
            self.kept.iter().filter(|(_, kept)| kept.what == What::NewSession).map(|(msg_id, _)| *msg_id).collect();
        for msg_id in news {
            self.forget(msg_id);
        }
        self.unique_id = core.rng.next_u64().cast_signed();
        if self.first_msg_id.is_some_and(|first| self.announce(core, now, first)) {
            // Before what that session says.
            self.queue.rotate_right(1);
        }
    }

    /// Queues `new_session_created`. `false` if there is no salt to tell of.
    fn announce(&mut self, core: &mut Core, now: Now, first_msg_id: MsgId) -> bool {
        let Some(salt) = core.salts.current(core.server_unix(now)).map(|current| current.salt) else { return false };
        let unique_id = self.unique_id;
        core.tracer.emit(now, || trace::Event::SessionCreated { first_msg_id, unique_id, salt });
        let body = service::new_session_created(first_msg_id, unique_id, salt);
        self.keep(core, now, Origin::Answer, body.into(), What::NewSession);
        true
    }

    fn fill_some(&mut self, core: &mut Core, now: Now, frame: &mut Frame, mut most: usize) {
        while let Some(msg_id) = self.queue.front().copied().filter(|_| most > 0) {
            let Some(kept) = self.kept.get_mut(&msg_id).filter(|kept| kept.queued) else {
                // It has been acknowledged meanwhile, or given up.
                self.queue.pop_front();
                continue;
            };
            if !frame.has_room(kept.body.len()) {
                return;
            }
            self.queue.pop_front();
            most -= 1;
            if kept.sent || core.server_unix(now) - msg_id.unix() > STALE_SECS {
                frame.wrap();
            }
            kept.sent = true;
            kept.queued = false;
            kept.at = now.mono;
            if let What::Answer(req) = kept.what {
                // The answer acknowledges the request.
                core.acks.settle(req);
                core.seen.mark_acknowledged(req);
            }
            frame.push(Ready { msg_id, seq_no: kept.seq_no, body: kept.body.clone() });
            core.timers.start(Timer::Unacknowledged, now.mono.saturating_add(REMIND_AFTER));
        }
    }

    /// Keeps `rpc_result`, and queues it. Returns its message.
    fn answer(&mut self, core: &mut Core, now: Now, req: MsgId, result: Bytes, method: u32) -> MsgId {
        let msg_id = self.keep(core, now, Origin::Answer, Body::answer(req, result, method), What::Answer(req));
        self.requests.insert(req, Status::Answered(msg_id));
        msg_id
    }

    fn keep(&mut self, core: &mut Core, now: Now, origin: Origin, body: Body, what: What) -> MsgId {
        let (msg_id, seq_no) = core.allocate(now, origin, true);
        self.kept_bytes += body.len();
        if what == What::Update {
            self.updates += 1;
            self.update_bytes += body.len();
        }
        self.kept_so_far += 1;
        let order = self.kept_so_far;
        self.kept.insert(msg_id, Kept { order, name: msg_id, seq_no, body, what, sent: false, queued: true, at: now.mono });
        self.queue.push_back(msg_id);
        // The newest stays, whatever its size: the client waits for it. Updates stay too: nobody would ask for them again.
        while self.kept_bytes > core.limits.kept_bytes || self.kept.len() > core.limits.kept.saturating_mul(2) {
            let oldest = self.kept.iter().find(|(id, kept)| **id != msg_id && matches!(kept.what, What::Answer(_)));
            let Some(oldest) = oldest.map(|(id, _)| *id) else { break };
            self.forget(oldest);
            let reason = "it was kept longest and there is no room".into();
            core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id: oldest, reason });
        }
        core.write_soon(now);
        msg_id
    }

    /// Keeps a message no longer. Returns what it was.
    fn forget(&mut self, msg_id: MsgId) -> Option<Kept> {
        let kept = self.kept.remove(&msg_id)?;
        self.kept_bytes = self.kept_bytes.saturating_sub(kept.body.len());
        match kept.what {
            What::Update => {
                self.updates = self.updates.saturating_sub(1);
                self.update_bytes = self.update_bytes.saturating_sub(kept.body.len());
            }
            What::Answer(req) => {
                if self.requests.get(&req) == Some(&Status::Answered(msg_id)) {
                    self.requests.insert(req, Status::Done);
                }
            }
            What::NewSession => {}
        }
        Some(kept)
    }

    fn remember(&mut self, core: &Core, req: MsgId, status: Status) {
        self.requests.insert(req, status);
        while self.requests.len() > core.limits.remembered {
            // The filter against duplicates remembers the message even so; only its answer cannot be found any more.
            let Some(oldest) = self
                .requests
                .iter()
                .find(|(_, status)| matches!(status, Status::Done | Status::Cancelled))
                .map(|(req, _)| *req)
            else {
                break;
            };
            self.requests.remove(&oldest);
        }
    }

    /// Sends a kept message again, unless it is about to be sent anyway.
    fn send_again(&mut self, core: &mut Core, now: Now, msg_id: MsgId) {
        if let Some(kept) = self.kept.get_mut(&msg_id).filter(|kept| !kept.queued) {
            kept.queued = true;
            core.hurry = true;
            self.queue.push_back(msg_id);
            core.tracer.emit(now, || trace::Event::Resent { old: msg_id, new: msg_id });
        }
    }

    /// Tells the client of answers and updates that it has not acknowledged for long.
    fn remind(&mut self, core: &mut Core, now: Now) {
        let mut left = REMIND_COUNT;
        for (msg_id, kept) in self.kept.iter_mut() {
            if left == 0 {
                break;
            }
            if kept.queued || now.mono.saturating_sub(kept.at) < REMIND_AFTER {
                continue;
            }
            kept.at = now.mono;
            left -= 1;
            let len = kept.body.len();
            core.draft(match kept.what {
                What::Answer(req) => service::msg_detailed_info(req, *msg_id, len),
                What::Update | What::NewSession => service::msg_new_detailed_info(*msg_id, len),
            });
        }
        if !self.kept.is_empty() {
            core.timers.set(Timer::Unacknowledged, now.mono.saturating_add(REMIND_AFTER));
        }
    }
}

fn rpc_error_of(result: &Bytes) -> Option<(i32, String)> {
    if constructor(result) != service::ids::RPC_ERROR {
        return None;
    }
    let mut reader = crate::tl::Reader::new(result.clone());
    let _ = reader.u32().ok()?;
    let code = reader.i32().ok()?;
    let message = reader.bytes().ok()?;
    Some((code, String::from_utf8_lossy(&message).into_owned()))
}
