//! Calls into a session, written down and played again.
//!
//! A session is a function of its beginning and of the calls into it. So a recording of both is a test: whoever has it sees the session
//! do again what it did, to the byte. [`Player`] plays; a `Recorder` stands between the session and its tracer, and writes a record
//! before each call and one after it, with what came of it and what the session reported meanwhile.
//!
//! * `outcome`: results of calls in a form that can be compared. `settings`: limits and policies by name.
//! * [`player`]: calls from a recording.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{
    ClientParams, FutureSalt, HttpWait, KeyDestruction, Query, RequestId, RequestOptions, Reserved, ServerParams, Session,
};
use crate::{
    clock::Now,
    crypto::AuthKey,
    ids::{MsgId, SessionId},
    mtproto::envelope::Opened,
    trace::{
        Event, Layer, Observer, Record, Tracer,
        call::{Call, SaltSpan, SessionName},
    },
};

pub(super) mod outcome;
pub mod player;
mod settings;

pub use player::{PlayError, Played, Player};

/// Writes the calls into one session down.
pub(super) struct Recorder {
    name: SessionName,
    /// The number of the next call.
    number: u64,
    tape: Arc<Tape>,
}

/// What a session reports, on its way to whoever wants it.
struct Tape {
    outer: Tracer,
    events: Mutex<Vec<Event>>,
}

impl Tape {
    fn new(outer: Tracer) -> Arc<Self> {
        Arc::new(Self { outer, events: Mutex::default() })
    }

    fn take(&self) -> Vec<Event> {
        // A list of events is whole after any panic.
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Tape {
    fn record(&self, record: &Record) {
        // Bodies are in the frames of the calls already.
        if record.event.layer() != Layer::Tl {
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push(record.event.clone());
        }
        self.outer.forward(record);
    }

    fn wants(&self, layer: Layer) -> bool {
        match layer {
            Layer::Core => false,
            Layer::Tl => self.outer.wants(layer),
            _ => true,
        }
    }
}

impl Recorder {
    /// One for a session that begins, if somebody wants its calls.
    pub(super) fn of(tracer: &Tracer, server: bool, auth_key: &AuthKey, session_id: SessionId) -> Option<Self> {
        let name = SessionName { server, auth_key_id: auth_key.id(), session_id };
        tracer.wants(Layer::Core).then(|| Self { name, number: 0, tape: Tape::new(tracer.clone()) })
    }

    /// Writes the beginning of a session down.
    pub(super) fn begin(mut self, now: Now, call: Call, make: impl FnOnce(Tracer) -> Session) -> Session {
        self.enter(now, call);
        let mut session = make(self.tracer());
        self.leave(now, "begun".to_owned());
        session.recorder = Some(Box::new(self));
        session
    }

    /// Where the session is to report to from now on.
    pub(super) fn report_to(&mut self, tracer: Tracer) -> Tracer {
        self.tape = Tape::new(tracer);
        self.tracer()
    }

    fn tracer(&self) -> Tracer {
        let (conn, dc) = self.tape.outer.connection();
        Tracer::new(self.tape.clone()).with_connection(conn, dc)
    }

    pub(super) fn enter(&mut self, now: Now, call: Call) {
        let (session, number) = (self.name, self.number);
        self.tape.outer.emit(now, || Event::CoreCall { session, number, now, call: Box::new(call) });
    }

    pub(super) fn leave(&mut self, now: Now, outcome: String) {
        let (session, number) = (self.name, self.number);
        self.tape.outer.emit(now, || Event::CoreDone { session, number, outcome, events: self.tape.take() });
        self.number += 1;
    }
}

// Arguments of calls as plain values.

pub(super) fn begin_client(params: &ClientParams) -> Call {
    let ClientParams { auth_key, session_id: _, salts, time_offset, tracer: _, rng_seed, ping, limits } = params;
    Call::BeginClient {
        auth_key: Bytes::copy_from_slice(auth_key.as_bytes()),
        salts: spans(salts),
        time_offset: *time_offset,
        rng_seed: Bytes::copy_from_slice(&rng_seed.0),
        ping: settings::of_ping(ping),
        limits: settings::of_limits(limits),
    }
}

pub(super) fn begin_server(params: &ServerParams) -> Call {
    let ServerParams { auth_key, session_id: _, salts, tracer: _, rng_seed, limits } = params;
    Call::BeginServer {
        auth_key: Bytes::copy_from_slice(auth_key.as_bytes()),
        salts: spans(salts),
        rng_seed: Bytes::copy_from_slice(&rng_seed.0),
        limits: settings::of_limits(limits),
    }
}

pub(super) fn spans(salts: &[FutureSalt]) -> Vec<SaltSpan> {
    salts.iter().map(|FutureSalt { since, until, salt }| SaltSpan { since: *since, until: *until, salt: *salt }).collect()
}

pub(super) fn opened(opened: &Opened) -> Call {
    Call::Opened {
        salt: opened.salt,
        session_id: opened.session_id,
        msg_id: opened.msg_id,
        seq_no: opened.seq_no,
        body: opened.body.clone(),
    }
}

pub(super) fn request(body: &Query, options: &RequestOptions, after: &[RequestId]) -> Call {
    let RequestOptions { method, compress, alone, quick_ack } = *options;
    let after = after.iter().map(|id| id.0).collect();
    Call::Request { body: body.to_bytes(), method, compress, alone, quick_ack, after }
}

/// Such a request is never packed.
pub(super) fn request_reserved(reserved: &Reserved, body: &Bytes, options: &RequestOptions) -> Call {
    let RequestOptions { method, compress: _, alone, quick_ack } = *options;
    Call::RequestReserved { msg_id: reserved.msg_id(), body: body.clone(), method, alone, quick_ack }
}

pub(super) fn auth_key_destroyed(msg_id: MsgId, destruction: KeyDestruction) -> Call {
    Call::AuthKeyDestroyed { msg_id, outcome: outcome::destruction(destruction).into() }
}

pub(super) fn poll_http_request(wait: &HttpWait, listen: bool) -> Call {
    let HttpWait { max_delay, wait_after, max_wait } = *wait;
    Call::PollHttpRequest { max_delay, wait_after, max_wait, listen }
}
