//! A request from its making to its end: made, sent, sent again, answered, failed.

use std::time::Duration;

use bytes::Bytes;

use super::{Cancelled, Client, MAX_DROPS};
use crate::{
    clock::Now,
    ids::{MsgId, SeqNo},
    mtproto::{
        container::constructor,
        gzip,
        msg_id::Origin,
        rpc_error::RpcError,
        session::{
            core::Core,
            error::ApiMisuse,
            event::Event,
            frame::{MAX_CONTAINER_BYTES, MAX_CONTAINER_MESSAGES},
            params::RequestOptions,
            query::Query,
        },
        time::MAX_LEAD_SECS,
    },
    trace,
};

/// A request, as the session names it to its driver. Never used twice in one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A message identifier kept back for a request whose body has to contain it: see
/// [`Session::reserve`](crate::mtproto::session::Session::reserve). Good for one request.
#[derive(Debug)]
pub struct Reserved {
    msg_id: MsgId,
    seq_no: SeqNo,
    /// The session it was made in, by its number: a reset makes it worthless.
    generation: u32,
}

impl Reserved {
    /// The identifier that the request's message will have.
    pub fn msg_id(&self) -> MsgId {
        self.msg_id
    }
}

/// Why a request will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The caller has cancelled it. The server may have executed it.
    #[error("the request was cancelled")]
    Cancelled,
    /// The server has refused the message that carried it, for a reason that sending it again does not mend. It was not executed.
    #[error("the server refused the message, code {code} of bad_msg_notification: {}", super::refusals::describe(*code))]
    Refused {
        /// The code of `bad_msg_notification`.
        code: i32,
    },
    /// The session had to be begun anew while the request was under way. Whether it was executed is not known.
    #[error("the session was reset while the request was under way; it may have been executed")]
    SessionReset,
    /// The server does not remember whether it has received the message. Whether it was executed is not known, so it is not sent again.
    #[error("the server does not know whether it has received the request; it may have been executed")]
    Uncertain,
    /// The server has refused every message that carried it, as often as is allowed. It was not executed.
    #[error("the server refused the request's message {times} times")]
    TooManyResends {
        /// How often.
        times: u32,
    },
    /// The server says that it has answered, but has not got the answer any more. The request was executed.
    #[error("the server has answered the request, but has forgotten the answer")]
    AnswerLost,
    /// The answer came, but it cannot be read: it is damaged, or unpacks to too much. The request was executed.
    #[error("the answer cannot be read")]
    UnreadableAnswer,
    /// The request is bound to a message identifier that cannot be used any more: reserve another. It was not executed.
    #[error("the message identifier that the request is bound to was refused")]
    IdentifierRefused,
}

impl Failure {
    /// Whether the server may have executed the request. If not, making it again does no harm whatever it does.
    pub fn may_have_been_executed(self) -> bool {
        match self {
            Self::Cancelled | Self::SessionReset | Self::Uncertain | Self::AnswerLost | Self::UnreadableAnswer => true,
            Self::Refused { .. } | Self::TooManyResends { .. } | Self::IdentifierRefused => false,
        }
    }
}

/// Former messages of one request that are remembered: an answer to any of them counts.
const MAX_FORMER: usize = 16;

/// A message younger than this many seconds is sent again under the identifier that it had, so that the server can tell that it has
/// seen it. The server takes identifiers of up to 300 seconds.
const SAME_ID_SECS: i64 = 280;

/// Of a message older than this many seconds by our clock, no copy that is still under way somewhere will be taken.
const DEAD_SECS: i64 = 330;

pub(super) struct Request {
    pub(super) body: Query,
    pub(super) method: u32,
    /// The length of its body before it was packed, if it was.
    pub(super) unpacked: usize,
    /// No other request shares its container.
    pub(super) alone: bool,
    /// It goes without a container: the server did not like one.
    pub(super) bare: bool,
    /// Requests that the server has to have done before this one.
    pub(super) after: Vec<RequestId>,
    /// Whether those are waited for here, not at the server's.
    pub(super) patient: bool,
    /// The message that carries it, once it has been sent or its identifier reserved.
    pub(super) sent: Option<(MsgId, SeqNo)>,
    /// Messages that carried it before.
    pub(super) former: Vec<MsgId>,
    pub(super) phase: Phase,
    /// Whether its next message needs an identifier of its own: the server refused the last one.
    pub(super) fresh_id: bool,
    /// Whether its body holds its identifier, so that it cannot have another.
    pub(super) pinned: bool,
    /// How often its present message was written.
    pub(super) times: u32,
    /// How often it was written on this connection.
    pub(super) times_here: u32,
    /// How often it was written at all.
    pub(super) times_ever: u32,
    /// The connection and the server's session when its present message was first written.
    pub(super) since: Era,
    /// The server could not tell whether it has received the present message.
    pub(super) doubtful: bool,
    /// What a question older than this was answered says nothing about the copies written since.
    pub(super) asked_after: MsgId,
    pub(super) created: Duration,
    /// When it was last sent or asked about.
    pub(super) checked: Duration,
    /// The server has received it.
    pub(super) received: bool,
    /// How often the server has said that the answer is there, which has not come.
    pub(super) answered: u32,
    /// How often it has offered the answer.
    pub(super) offers: u32,
    pub(super) resends: u32,
    /// A quick acknowledgement is asked for.
    pub(super) quick_ack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the queue, or held back for the sake of order.
    Queued,
    /// Sent on this connection.
    Sent,
    /// Sent on an earlier connection or refused; its state is being asked for.
    Unknown,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// The salt.
    Salt,
    /// The identifier.
    Identifier,
    /// An earlier copy, which may have been taken.
    Copy,
}

/// When something was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era {
    /// Connections so far.
    pub(super) connection: u64,
    /// Sessions that the server has begun for us, as far as it has told.
    pub(super) incarnation: u64,
}

impl Client {
    /// Takes a request. It gets its message when a frame is put together.
    pub(in super::super) fn request(
        &mut self,
        core: &mut Core,
        now: Now,
        body: Query,
        options: RequestOptions,
        after: &[RequestId],
    ) -> Result<RequestId, ApiMisuse> {
        self.check_room(core, &body)?;
        if let Some(id) = after.iter().find(|id| id.0 == 0 || id.0 > self.last_id) {
            return Err(ApiMisuse::UnknownPredecessor { id: *id });
        }
        let mut after: Vec<RequestId> = after.iter().copied().filter(|id| self.requests.contains_key(id)).collect();
        after.sort_unstable();
        after.dedup();
        let packed = if options.compress { gzip::pack(&body.to_bytes()) } else { None };
        Ok(self.enqueue(core, now, body, packed, options, after, None))
    }

    /// Keeps an identifier back.
    pub(in super::super) fn reserve(&self, core: &mut Core, now: Now) -> Reserved {
        let (msg_id, seq_no) = core.allocate(now, Origin::Client, true);
        Reserved { msg_id, seq_no, generation: self.generation }
    }

    /// Takes a request that has to have the identifier kept back.
    pub(in super::super) fn request_reserved(
        &mut self,
        core: &mut Core,
        now: Now,
        reserved: &Reserved,
        body: Query,
        options: RequestOptions,
    ) -> Result<RequestId, ApiMisuse> {
        self.check_room(core, &body)?;
        if reserved.generation != self.generation || !is_young(core, now, reserved.msg_id) {
            return Err(ApiMisuse::StaleReservation { msg_id: reserved.msg_id });
        }
        let message = (reserved.msg_id, reserved.seq_no);
        let id = self.enqueue(core, now, body, None, options, Vec::new(), Some(message));
        self.by_msg.insert(reserved.msg_id, id);
        Ok(id)
    }

    /// Refuses what there is no room for: this is where a caller feels that the server is slow.
    fn check_room(&self, core: &Core, body: &Query) -> Result<(), ApiMisuse> {
        let limits = &core.limits;
        check_body(body.len(), limits.body)?;
        if self.requests.len() >= limits.requests {
            return Err(ApiMisuse::Backlog { limit: limits.requests });
        }
        if !self.has_room_for(core, body.len()) {
            return Err(ApiMisuse::BacklogBytes { limit: limits.request_bytes });
        }
        Ok(())
    }

    pub(in super::super) fn has_room_for(&self, core: &Core, len: usize) -> bool {
        // One request of whatever length may always be made.
        (self.requests.is_empty() && core.limits.requests > 0)
            || (self.requests.len() < core.limits.requests && self.bytes.saturating_add(len) <= core.limits.request_bytes)
    }

    #[expect(clippy::too_many_arguments, reason = "what makes a request")]
    fn enqueue(
        &mut self,
        core: &mut Core,
        now: Now,
        body: Query,
        packed: Option<Bytes>,
        options: RequestOptions,
        after: Vec<RequestId>,
        message: Option<(MsgId, SeqNo)>,
    ) -> RequestId {
        let method = if options.method == 0 { constructor(body.head()) } else { options.method };
        let unpacked = body.len();
        let body = packed.map_or(body, Query::from);
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.bytes += body.len();
        self.waiting_bytes += body.len();
        self.requests.insert(
            id,
            Request {
                body,
                method,
                unpacked,
                alone: options.alone,
                bare: false,
                after,
                patient: false,
                sent: message,
                former: Vec::new(),
                phase: Phase::Queued,
                fresh_id: false,
                pinned: message.is_some(),
                times: 0,
                times_here: 0,
                times_ever: 0,
                since: Era::default(),
                doubtful: false,
                asked_after: MsgId(0),
                created: now.mono,
                checked: now.mono,
                received: false,
                answered: 0,
                offers: 0,
                resends: 0,
                quick_ack: options.quick_ack,
            },
        );
        self.queue.push_back(id);
        let enough = self.waiting_bytes >= MAX_CONTAINER_BYTES || self.queue.len() >= MAX_CONTAINER_MESSAGES;
        if options.alone || enough {
            core.hurry = true;
        } else {
            core.write_soon(now);
        }
        id
    }

    /// Gives a request up. Whether it was still pending.
    pub(in super::super) fn cancel(&mut self, core: &mut Core, now: Now, id: RequestId) -> bool {
        let Some(request) = self.take(id) else { return false };
        if let Some((msg_id, _)) = request.sent.filter(|_| request.was_written()) {
            core.tracer.emit(now, || trace::Event::RpcCancelled { msg_id });
            for msg_id in request.former.into_iter().chain([msg_id]) {
                self.drops.insert(msg_id, Cancelled { id, told: false, times: 0 });
            }
            while self.drops.len() > MAX_DROPS {
                self.drops.pop_first();
            }
            core.hurry = true;
        }
        core.events.push(Event::Failed { id, error: Failure::Cancelled });
        true
    }

    /// Removes a request and all traces of it.
    pub(super) fn take(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        for msg_id in request.former.iter().chain(request.sent.as_ref().map(|(msg_id, _)| msg_id)) {
            self.by_msg.remove(msg_id);
        }
        self.bytes = self.bytes.saturating_sub(request.body.len());
        if request.phase == Phase::Queued {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(request.body.len());
        }
        self.held.remove(&id);
        Some(request)
    }

    pub(super) fn fail(&mut self, core: &mut Core, id: RequestId, error: Failure) {
        if let Some(request) = self.take(id) {
            core.tracer.emit(core.now, || trace::Event::RpcFailed {
                msg_id: request.sent.map(|(msg_id, _)| msg_id),
                method: request.method,
                sends: request.times_ever,
                reason: error.to_string(),
            });
            core.events.push(Event::Failed { id, error });
            // Who waited for its end need not any more.
            core.hurry |= !self.held.is_empty();
        }
    }

    /// Ends a request with its answer.
    pub(super) fn complete(
        &mut self,
        core: &mut Core,
        now: Now,
        id: RequestId,
        req: MsgId,
        result: Result<Bytes, RpcError>,
        packed: Option<usize>,
    ) {
        let Some(request) = self.take(id) else { return };
        self.resets = 0;
        core.hurry |= !self.held.is_empty();
        core.tracer.emit(now, || trace::Event::RpcResult {
            msg_id: req,
            method: request.method,
            latency: trace::micros(now.mono.saturating_sub(request.created)),
            len: result.as_ref().map_or(0, Bytes::len),
            packed,
            sends: request.times_ever,
            error: result.as_ref().err().map(|error| (error.code, error.message.clone())),
        });
        core.events.push(Event::Response { id, result });
    }

    /// Sends a request again: under the same identifier if that is young enough, unless `fresh_id` says that the server refused it.
    pub(super) fn resend(&mut self, core: &mut Core, id: RequestId, fresh_id: bool) {
        let allowed = core.limits.resends;
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.phase == Phase::Queued {
            request.fresh_id |= fresh_id;
            return;
        }
        if fresh_id && request.pinned {
            return self.fail(core, id, Failure::IdentifierRefused);
        }
        if fresh_id && request.resends >= allowed {
            let times = request.resends + 1;
            return self.fail(core, id, Failure::TooManyResends { times });
        }
        if request.times_here > allowed {
            // Some copy of it may be under way still.
            return self.fail(core, id, Failure::Uncertain);
        }
        request.resends += u32::from(fresh_id);
        request.fresh_id |= fresh_id;
        request.phase = Phase::Queued;
        self.waiting_bytes += request.body.len();
        self.queue.push_back(id);
        core.hurry = true;
    }

    /// The server has refused the message. What it says against the salt it does not say against the identifier, so the message is sent
    /// again as it is, and should a copy of it have been taken after all, the server can tell. What it says against the identifier makes
    /// another one necessary: no harm if the message was written once, for then it was not executed; if it was written more than once,
    /// another copy may have been, or may be yet, so the server is asked, and asked again until no copy can come any more.
    pub(super) fn resend_refused(&mut self, core: &mut Core, now: Now, id: RequestId, against: Against) {
        let allowed = core.limits.resends;
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.phase == Phase::Queued {
            request.fresh_id |= against != Against::Salt;
            return;
        }
        let young = request.sent.is_some_and(|(msg_id, _)| is_young(core, now, msg_id));
        match against {
            Against::Salt if young => {
                if request.resends >= allowed {
                    let times = request.resends + 1;
                    // The notice may be about an older copy than the last, which may be taken.
                    let error =
                        if request.may_have_been_taken() { Failure::Uncertain } else { Failure::TooManyResends { times } };
                    return self.fail(core, id, error);
                }
                request.resends += 1;
                self.resend(core, id, false);
            }
            Against::Salt | Against::Identifier if !request.may_have_been_taken() => self.resend(core, id, true),
            Against::Salt | Against::Identifier | Against::Copy => {
                // What it says of another copy it does not say against the identifier. A copy that the network keeps back may come yet,
                // and under the same identifier alone the server can tell.
                request.doubtful |= against == Against::Copy;
                request.fresh_id |= against != Against::Copy;
                request.phase = Phase::Unknown;
                request.asked_after = core.generator.last();
                if let Some((msg_id, _)) = request.sent {
                    self.ask.insert(msg_id);
                    core.hurry = true;
                }
            }
        }
    }

    /// The server will not take the message, and sending it again does not help.
    pub(super) fn give_up(&mut self, core: &mut Core, id: RequestId, code: i32) {
        let taken = self.requests.get(&id).is_some_and(Request::may_have_been_taken);
        self.fail(core, id, if taken { Failure::Uncertain } else { Failure::Refused { code } });
    }

    /// The pending request that is under way as this message, and not as a later one.
    pub(super) fn under_way(&self, msg_id: MsgId) -> Option<RequestId> {
        let id = *self.by_msg.get(&msg_id)?;
        let request = self.requests.get(&id)?;
        let current = request.sent.is_some_and(|(current, _)| current == msg_id);
        (current && request.phase != Phase::Queued).then_some(id)
    }

    /// Whether the server may have executed a pending request.
    pub(in super::super) fn may_have_been_executed(&self, id: RequestId) -> bool {
        self.heard && self.requests.get(&id).is_some_and(Request::was_written)
    }
}

impl Request {
    /// How many bytes its body has as `gzip_packed`, if it is packed.
    pub(super) fn packed(&self) -> Option<usize> {
        (self.body.len() != self.unpacked).then_some(self.body.len())
    }

    /// Whether any message of it was ever put into a frame.
    pub(super) fn was_written(&self) -> bool {
        self.times > 0 || !self.former.is_empty()
    }

    /// Whether the server may have taken its present message though it refuses a copy of it: another copy was written, or the server
    /// has said so.
    fn may_have_been_taken(&self) -> bool {
        self.times > 1 || self.received
    }

    /// Whether it was written under an identifier that has become too old to be sent again, but of which nobody has said that it was not
    /// taken: it gets no other one before the server was asked.
    pub(super) fn has_aged(&self, core: &Core, now: Now) -> bool {
        let old = |(msg_id, _)| age(core, now, msg_id) >= SAME_ID_SECS;
        self.times > 0 && !self.fresh_id && !self.pinned && self.sent.is_some_and(old)
    }

    /// Gives it a message for the next frame: the one it had, or a new one. Says which, and whether it was written before.
    pub(super) fn assign(&mut self, core: &mut Core, now: Now, era: Era) -> (MsgId, SeqNo, Option<MsgId>) {
        let (msg_id, seq_no, old) = match self.sent {
            Some((msg_id, seq_no)) if !self.fresh_id && (self.pinned || is_young(core, now, msg_id)) => {
                let old = (self.times > 0).then_some(msg_id);
                (msg_id, seq_no, old)
            }
            before => {
                let (msg_id, seq_no) = core.allocate(now, Origin::Client, true);
                if let Some((old, _)) = before {
                    self.former.push(old);
                }
                self.times = 0;
                (msg_id, seq_no, before.map(|(old, _)| old))
            }
        };
        if self.times == 0 {
            self.since = era;
        }
        self.sent = Some((msg_id, seq_no));
        self.times += 1;
        self.times_here += 1;
        self.times_ever = self.times_ever.saturating_add(1);
        self.fresh_id = false;
        self.doubtful = false;
        self.received = false;
        self.answered = 0;
        self.phase = Phase::Sent;
        self.checked = now.mono;
        (msg_id, seq_no, old)
    }

    /// The former message that need not be remembered any more.
    pub(super) fn outlived(&mut self) -> Option<MsgId> {
        (self.former.len() > MAX_FORMER).then(|| self.former.remove(0))
    }
}

/// Whether the server still takes a message of this identifier, and in a container: then it has to be lower than that of the container,
/// which it is not if the clock was set back meanwhile.
pub(super) fn is_young(core: &Core, now: Now, msg_id: MsgId) -> bool {
    age(core, now, msg_id) < SAME_ID_SECS && msg_id <= core.generator.last()
}

/// Whether the server may still take a copy of a message that is too old to be sent again: one that is under way somewhere.
pub(super) fn is_dying(core: &Core, now: Now, msg_id: MsgId) -> bool {
    (SAME_ID_SECS..DEAD_SECS).contains(&age(core, now, msg_id))
}

/// What becomes of a message whose identifier the server refuses, while another copy of it may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Too old: the server takes no copy of it any more.
    Dead,
    /// The server may take a copy still.
    Open,
    /// Its time has not come: the server may take a copy later, and nobody wants to wait for the end of that.
    Ahead,
}

/// See [`Fate`].
pub(super) fn fate(core: &Core, now: Now, msg_id: MsgId) -> Fate {
    match age(core, now, msg_id) {
        age if age >= DEAD_SECS => Fate::Dead,
        age if age < -MAX_LEAD_SECS => Fate::Ahead,
        _ => Fate::Open,
    }
}

/// Seconds since an identifier was made, by the server's clock as far as it is known.
fn age(core: &Core, now: Now, msg_id: MsgId) -> i64 {
    core.server_unix(now) - msg_id.unix()
}

/// A body of so many bytes is serialized TL, and fits a frame.
pub(in super::super) fn check_body(len: usize, limit: usize) -> Result<(), ApiMisuse> {
    if len == 0 || !len.is_multiple_of(4) {
        return Err(ApiMisuse::NotTl { len });
    }
    if len > limit {
        return Err(ApiMisuse::TooLong { len, limit });
    }
    Ok(())
}
