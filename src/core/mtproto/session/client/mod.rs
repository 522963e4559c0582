//! The client role: requests and what becomes of them.
//!
//! * [`request`]: a request from its making to its end.
//! * [`fill`]: putting frames together.
//! * [`incoming`]: service messages of the server's, one `match`.
//! * [`refusals`]: `bad_msg_notification` and `bad_server_salt`.
//! * [`states`]: asking for the states of requests, and for answers that went astray.
//! * [`ping`]: pings, and the round trip.
//! * here: what the role remembers, and connections that come and go.
//!
//! Every request ends with exactly one event: `Response` or `Failed`. None is executed twice: a message that may have arrived is sent again
//! only under the identifier that it had, by which the server can tell; under another one only when the server has said that it did not
//! take the first, and no copy of it can be under way any more. Where that cannot be known, the request fails and says so.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{core::Core, event::Event, params::PingPolicy, sorted::Sorted, timer::Timer};
use crate::{
    clock::Now,
    ids::{MsgId, SessionId},
};

mod fill;
mod footprint;
mod incoming;
mod ping;
mod refusals;
mod request;
mod states;

pub(super) use self::request::check_body;
pub use self::request::{Failure, RequestId, Reserved};

use self::{
    ping::Ping,
    request::{Era, Phase, Request},
};

/// The least time between two requests for salts.
const SALT_RETRY: Duration = Duration::from_secs(60);

/// The least time until the next request for salts after one that brought none.
const SALT_FUTILE: Duration = Duration::from_secs(1800);

/// How many salts to ask for.
const SALTS_WANTED: i32 = 64;

/// Cancelled requests whose answers we still try to stop.
const MAX_DROPS: usize = 1024;

/// Frames of which a quick acknowledgement is awaited. A server that sends none costs no more memory than this.
const MAX_QUICK_ACKS: usize = 1024;

pub(super) struct Client {
    requests: Sorted<RequestId, Request>,
    /// Bytes of their bodies.
    bytes: usize,
    /// Bytes of those that wait to be sent.
    waiting_bytes: usize,
    /// Every identifier under which a pending request was sent.
    by_msg: Sorted<MsgId, RequestId>,
    last_id: u64,
    /// Requests to be sent, some of them again.
    queue: VecDeque<RequestId>,
    /// Requests that wait until others have been sent, or have ended.
    held: BTreeSet<RequestId>,
    /// Messages whose states are to be asked for.
    ask: BTreeSet<MsgId>,
    /// Answers to be asked for again, and the messages that they answer.
    fetch: BTreeMap<MsgId, Option<MsgId>>,
    /// Messages whose answers are to be asked for again.
    fetch_of: BTreeSet<MsgId>,
    /// Cancelled requests, by the message that carried them, and whether the server has been told on this connection.
    drops: BTreeMap<MsgId, Cancelled>,
    /// Sessions to be destroyed, and whether the server has been told on this connection.
    doomed: BTreeMap<SessionId, bool>,
    /// Whether the key is to be destroyed, and whether the server has been told on this connection.
    key_doomed: Option<bool>,
    ping: Ping,
    salts_not_before: Option<Duration>,
    /// The server's name for the session.
    unique_id: Option<i64>,
    era: Era,
    /// The highest of our messages that the server has shown to have taken.
    accepted: MsgId,
    /// The lowest of them.
    first_accepted: Option<MsgId>,
    /// Whether anything was ever heard in this session.
    heard: bool,
    /// Resets since the last answer, on this connection.
    resets: u32,
    /// Messages that were refused on this connection since one was taken.
    refusals: u32,
    /// The highest identifier made when one was last refused.
    refused_until: MsgId,
    /// Resets since the beginning.
    generation: u32,
    /// The session before a reset: late messages of its are no attack.
    retired: Option<SessionId>,
    /// Quick acknowledgements that may come on this connection, and the requests that they are about. The oldest first.
    quick_acks: VecDeque<(u32, Vec<RequestId>)>,
}

struct Cancelled {
    id: RequestId,
    told: bool,
    /// How often the server has been told, on whatever connection.
    times: u32,
}

/// How often a server is told of a cancelled request that it says nothing about.
const DROP_TIMES: u32 = 4;

impl Client {
    pub(super) fn new(policy: PingPolicy) -> Self {
        Self {
            requests: Sorted::default(),
            bytes: 0,
            waiting_bytes: 0,
            by_msg: Sorted::default(),
            last_id: 0,
            queue: VecDeque::new(),
            held: BTreeSet::new(),
            ask: BTreeSet::new(),
            fetch: BTreeMap::new(),
            fetch_of: BTreeSet::new(),
            drops: BTreeMap::new(),
            doomed: BTreeMap::new(),
            key_doomed: None,
            ping: Ping::new(policy),
            salts_not_before: None,
            unique_id: None,
            era: Era::default(),
            accepted: MsgId(0),
            first_accepted: None,
            heard: false,
            resets: 0,
            refusals: 0,
            refused_until: MsgId(0),
            generation: 0,
            retired: None,
            quick_acks: VecDeque::new(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.requests.len()
    }

    /// Bytes of the bodies of pending requests.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// The measured round trip.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.ping.rtt.mean()
    }

    pub(super) fn destroy_session(&mut self, core: &mut Core, session_id: SessionId) {
        self.doomed.insert(session_id, false);
        while self.doomed.len() > MAX_DROPS {
            self.doomed.pop_first();
        }
        core.hurry = true;
    }

    pub(super) fn destroy_auth_key(&mut self, core: &mut Core) {
        self.key_doomed = Some(false);
        core.hurry = true;
    }

    pub(super) fn connection_lost(&mut self) {
        self.ask.clear();
        self.fetch.clear();
        self.quick_acks.clear();
        self.fetch_of.clear();
        self.ping.connection_lost();
    }

    /// What was sent on an earlier connection may or may not have arrived: ask before anything is sent again.
    pub(super) fn connection_opened(&mut self, core: &mut Core, now: Now) {
        self.begin_era();
        // What these bound are loops at the pace of round trips. The pace of connections is the driver's, and requests have bounds of their own.
        self.resets = 0;
        self.refusals = 0;
        self.refused_until = MsgId(0);
        self.ping.last_sent = now.mono;
        core.timers.set(Timer::Ping, now.mono.saturating_add(self.ping.policy.interval));
        for request in self.requests.values_mut() {
            request.times_here = 0;
            if let (Phase::Sent | Phase::Unknown, Some((msg_id, _))) = (request.phase, request.sent) {
                request.phase = Phase::Unknown;
                request.checked = now.mono;
                self.ask.insert(msg_id);
            }
        }
        if !self.ask.is_empty() {
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
            self.expect_sound(core, now);
        }
        for told in self.drops.values_mut().map(|cancelled| &mut cancelled.told).chain(self.doomed.values_mut()) {
            *told = false;
        }
        self.key_doomed = self.key_doomed.map(|_| false);
        let nothing = self.ask.is_empty()
            && self.queue.is_empty()
            && self.drops.is_empty()
            && self.doomed.is_empty()
            && self.key_doomed.is_none();
        core.hurry |= !nothing;
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Now) {
        if core.timers.take_expired(Timer::Ping, now.mono) {
            self.ping.due = true;
            core.hurry = true;
        }
        if core.timers.take_expired(Timer::Silence, now.mono) {
            self.handle_silence(core);
        }
        if core.timers.take_expired(Timer::PingTimeout, now.mono) {
            self.handle_ping_timeout(core, now);
        }
        if core.timers.take_expired(Timer::StateCheck, now.mono) {
            self.check_states(core, now);
            self.check_drops(core, now);
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
        // Only who can read the frame knows the token: it may be executed, whether or not anything else is ever heard.
        self.heard = true;
        for id in ids {
            if let Some(request) = self.requests.get_mut(&id) {
                request.received = true;
                core.events.push(Event::QuickAck { id });
            }
        }
        true
    }

    /// The machine's clocks have parted: it has slept, or somebody has set one. Whether the connection still stands is worth a question.
    pub(super) fn clock_jumped(&mut self, core: &mut Core) {
        self.ping.due |= core.connected;
        core.hurry = true;
    }
}
