//! What both roles share: identifiers, salts, time, acknowledgements, and what the driver has yet to hear.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use rand::rngs::StdRng;

use super::{
    acks::Acks,
    error::PeerMisbehaved,
    event::Event,
    frame::{Body, Ready},
    ledger::Ledger,
    params::{HttpWait, Limits},
    salts::{FutureSalt, Salts},
    timer::{Timer, TimerTable},
};
use crate::{
    check::{Check, broken},
    clock::Now,
    crypto::AuthKey,
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        envelope::Side,
        gzip,
        msg_id::{Generator, Origin, SeenIds},
        time::{MAX_LEAD_SECS, ServerClock},
    },
    trace::{self, Layer, Tracer},
};

/// The part of a session that does not depend on its role.
pub(super) struct Core {
    pub(super) auth_key: AuthKey,
    /// Who we are.
    pub(super) side: Side,
    pub(super) session_id: SessionId,
    /// The last reading of the clocks that came in, for what is traced without one.
    pub(super) now: Now,
    pub(super) clock: ServerClock,
    pub(super) generator: Generator,
    /// Content-related messages sent so far.
    pub(super) content_sent: i32,
    pub(super) rng: StdRng,
    pub(super) tracer: Tracer,
    pub(super) salts: Salts,
    pub(super) seen: SeenIds,
    pub(super) acks: Acks,
    pub(super) ledger: Ledger,
    pub(super) timers: TimerTable,
    pub(super) events: Events,
    pub(super) limits: Limits,
    pub(super) connected: bool,
    /// Messages about messages that wait to be sent on this connection.
    pub(super) drafts: VecDeque<Body>,
    /// The room of the last frame, empty, for the next one.
    pub(super) spare: Vec<Ready>,
    /// Acknowledgements have waited long enough.
    pub(super) acks_due: bool,
    /// Something waits that does not wait for company, or company has come.
    pub(super) hurry: bool,
    /// What packed objects of the present frame may still unpack to, in bytes.
    pub(super) unpack_left: usize,
    /// The offset that was last reported.
    pub(super) reported_offset: i64,
    /// What the peer last said about the answer to its HTTP request (server).
    pub(super) http_wait: Option<HttpWait>,
}

impl Core {
    /// The server's time.
    pub(super) fn server_time(&self, now: Now) -> Duration {
        match self.side {
            Side::Client => self.clock.now(now),
            // A server's own clock is the server's time.
            Side::Server => now.wall,
        }
    }

    pub(super) fn server_unix(&self, now: Now) -> i64 {
        i64::try_from(self.server_time(now).as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether an identifier is of a time to which our clock has yet to come: one that we made before it was set back.
    pub(super) fn is_early(&self, now: Now, msg_id: MsgId) -> bool {
        msg_id.unix() - self.server_unix(now) > MAX_LEAD_SECS
    }

    /// A new identifier and sequence number.
    pub(super) fn allocate(&mut self, now: Now, origin: Origin, content_related: bool) -> (MsgId, SeqNo) {
        if self.side == Side::Server && self.is_early(now, self.generator.last()) {
            // The machine's clock was set back. Identifiers tell the client the time: better lower ones than wrong ones.
            self.generator.reset_to(MsgId(0));
        }
        let msg_id = self.generator.next(self.server_time(now), origin, &mut self.rng);
        let even = self.content_sent.wrapping_mul(2);
        if !content_related {
            return (msg_id, SeqNo(even));
        }
        self.content_sent = self.content_sent.wrapping_add(1);
        (msg_id, SeqNo(even | 1))
    }

    /// The origin of messages that answer the peer's.
    pub(super) fn answering(&self) -> Origin {
        match self.side {
            Side::Client => Origin::Client,
            Side::Server => Origin::Answer,
        }
    }

    /// Something is there to be written, but may wait for company.
    pub(super) fn write_soon(&mut self, now: Now) {
        if self.limits.coalesce.is_zero() {
            self.hurry = true;
        } else if self.connected {
            self.timers.start(Timer::Flush, now.mono.saturating_add(self.limits.coalesce));
        }
    }

    /// Queues a message that needs no acknowledgement. `false` if too many wait already.
    pub(super) fn draft(&mut self, body: impl Into<Body>) -> bool {
        let room = !broken(Check::ServiceQueue, self.drafts.len() >= self.limits.service_queue);
        if room {
            self.drafts.push_back(body.into());
            self.hurry = true;
        }
        room
    }

    /// Owes the peer an acknowledgement.
    pub(super) fn owe_ack(&mut self, now: Now, msg_id: MsgId) {
        self.acks.push(msg_id);
        if self.acks.len() >= self.limits.ack_batch {
            self.acks_due = true;
        } else {
            self.timers.start(Timer::Acks, now.mono.saturating_add(self.limits.ack_delay));
        }
    }

    /// Unpacks an object of a message. All those of one frame share one allowance, so that a container of bombs is no worse than one.
    pub(super) fn unpack(&mut self, msg_id: MsgId, data: &[u8]) -> Result<Bytes, PeerMisbehaved> {
        let unpacked = gzip::unpack(data, self.unpack_left).map_err(|error| PeerMisbehaved::Gzip { msg_id, error })?;
        self.unpack_left = self.unpack_left.saturating_sub(unpacked.len());
        let (packed, len) = (data.len(), unpacked.len());
        self.tracer.emit(self.now, || trace::Event::Gzip { sent: false, msg_id, packed, unpacked: len });
        Ok(unpacked)
    }

    /// Tells the trace of an update and of what is in it.
    pub(super) fn trace_update(&self, now: Now, body: &Bytes) {
        if self.tracer.wants(Layer::Updates) {
            for (constructor, counters) in trace::counters::of(body) {
                self.tracer.emit(now, || trace::Event::Update { constructor, counters });
            }
        }
    }

    /// Answers a question about messages of the peer's, as far as both roles can: one byte for each.
    pub(super) fn state_of(&self, msg_id: MsgId) -> u8 {
        if let Some(seen) = self.seen.find(msg_id) {
            let acknowledged = if seen.acknowledged { 8 } else { 0 };
            return 4 | if seen.seq_no.is_content_related() { acknowledged } else { 16 };
        }
        let of_the_peers = match self.side {
            Side::Client => msg_id.is_from_server(),
            Side::Server => msg_id.is_from_client(),
        };
        match (self.seen.oldest(), self.seen.newest()) {
            _ if !of_the_peers => 1,
            (Some(_), Some(newest)) if msg_id > newest => 3,
            (Some(oldest), Some(_)) if msg_id > oldest => 2,
            _ => 1,
        }
    }

    /// The server has named the salt to use.
    pub(super) fn use_salt(&mut self, now: Now, salt: Salt) {
        let unix = self.server_unix(now);
        let old = self.salts.current(unix).map_or(Salt(0), |salt| salt.salt);
        self.salts.set_current(salt, unix);
        if old != salt {
            self.tracer.emit(now, || trace::Event::SaltChanged { old, new: salt });
            self.events.push(Event::SaltsChanged);
        }
    }

    /// The server has announced salts.
    pub(super) fn announce_salts(&mut self, now: Now, salts: Vec<FutureSalt>) {
        let unix = self.server_unix(now);
        self.tracer.emit(now, || trace::Event::FutureSalts { count: salts.len() });
        let before = self.salts.clone();
        self.salts.announce(salts, unix);
        if before != self.salts {
            self.events.push(Event::SaltsChanged);
        }
    }

    /// Tells the driver of a changed time offset, if it changed by a second or more.
    pub(super) fn report_offset(&mut self, now: Now) {
        let offset = self.clock.offset(now);
        if offset != self.reported_offset {
            self.reported_offset = offset;
            self.tracer.emit(now, || trace::Event::TimeOffset { seconds: offset });
            self.events.push(Event::TimeOffsetChanged);
        }
    }
}

/// What the driver has yet to hear, and how many bytes that is.
#[derive(Debug, Default)]
pub(super) struct Events {
    list: VecDeque<Event>,
    bytes: usize,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.len();
        self.list.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.list.pop_front()?;
        self.bytes = self.bytes.saturating_sub(event.len());
        Some(event)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
