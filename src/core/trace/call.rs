//! Calls of a driver into a session's core, as plain values: with them a recording can be played again.
//!
//! A core opens no socket, reads no clock and draws no random number of its own, so its beginning and the calls into it determine all
//! that it says and reports. They hold everything: keys, seeds, bodies. Records of them are made only for a sink that asks for
//! [`Layer::Core`](super::Layer::Core), and no sink does unless everything is to be shown.

use std::time::Duration;

use bytes::Bytes;

use super::Word;
use crate::ids::{MsgId, Salt, SeqNo, SessionId};

/// Which session of a recording: what it was called when it began. A second beginning of the same name replaces the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName {
    /// Whether it is a server's side.
    pub server: bool,
    /// Its key.
    pub auth_key_id: i64,
    /// Its identifier.
    pub session_id: SessionId,
}

/// A salt and the time for which it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaltSpan {
    /// From when on, in the server's Unix time.
    pub since: i64,
    /// Until when.
    pub until: i64,
    /// The salt.
    pub salt: Salt,
}

/// Numbers by name: limits and policies. Times are in nanoseconds.
pub type Settings = Vec<(Word, u64)>;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    // Beginnings.
    /// `Session::client`.
    BeginClient {
        /// The key.
        auth_key: Bytes,
        /// The salts known.
        salts: Vec<SaltSpan>,
        /// Server minus local time, in seconds.
        time_offset: i64,
        /// The seed of the random numbers.
        rng_seed: Bytes,
        /// When to ping.
        ping: Settings,
        /// What may pile up.
        limits: Settings,
    },
    /// `Session::server`.
    BeginServer {
        /// The key.
        auth_key: Bytes,
        /// The salts.
        salts: Vec<SaltSpan>,
        /// The seed of the random numbers.
        rng_seed: Bytes,
        /// What may pile up.
        limits: Settings,
    },

    // What happened outside.
    /// `handle_input`: a frame, as it came off the transport.
    Input {
        /// The frame.
        frame: Bytes,
    },
    /// `handle_opened`: a frame that the host had opened.
    Opened {
        /// The salt in it.
        salt: Salt,
        /// The session in it.
        session_id: SessionId,
        /// The message.
        msg_id: MsgId,
        /// Its sequence number.
        seq_no: SeqNo,
        /// Its body.
        body: Bytes,
    },
    /// `handle_timeout`.
    Timeout {},
    /// `handle_quick_ack`.
    QuickAck {
        /// The token.
        token: u32,
    },
    /// `connection_lost`.
    ConnectionLost {},
    /// `connection_opened`.
    ConnectionOpened {},

    // Commands.
    /// `flush_acks`.
    FlushAcks {},
    /// `request` and `request_after`.
    Request {
        /// The serialized method.
        body: Bytes,
        /// The method that the trace names.
        method: u32,
        /// Whether to pack it.
        compress: bool,
        /// Whether no other request shares its container.
        alone: bool,
        /// Whether to ask for a quick acknowledgement.
        quick_ack: bool,
        /// Requests to be done before.
        after: Vec<u64>,
    },
    /// `reserve`.
    Reserve {},
    /// `request_reserved`.
    RequestReserved {
        /// The identifier that was kept back.
        msg_id: MsgId,
        /// The serialized method.
        body: Bytes,
        /// The method that the trace names.
        method: u32,
        /// Whether no other request shares its container.
        alone: bool,
        /// Whether to ask for a quick acknowledgement.
        quick_ack: bool,
    },
    /// `cancel`.
    Cancel {
        /// The request.
        request: u64,
    },
    /// `destroy_session`.
    DestroySession {
        /// The session.
        session_id: SessionId,
    },
    /// `destroy_auth_key`.
    DestroyAuthKey {},
    /// `ping`.
    Ping {},
    /// `respond` and `respond_error`.
    Respond {
        /// The request.
        req: MsgId,
        /// The serialized result.
        result: Bytes,
        /// Whether to pack it.
        compress: bool,
    },
    /// `push`.
    Push {
        /// The serialized update.
        body: Bytes,
    },
    /// `session_destroyed`.
    SessionDestroyed {
        /// The session.
        session_id: SessionId,
        /// Whether there was one.
        existed: bool,
    },
    /// `auth_key_destroyed`.
    AuthKeyDestroyed {
        /// The message that asked.
        msg_id: MsgId,
        /// `destroyed`, `unknown` or `failed`.
        outcome: Word,
    },
    /// `set_salts`.
    SetSalts {
        /// The salts.
        salts: Vec<SaltSpan>,
    },

    // What is to happen outside.
    /// `poll_output`.
    PollOutput {},
    /// `poll_http_request`.
    PollHttpRequest {
        /// The longest time between the first message that waits and the answer.
        max_delay: Duration,
        /// How long after each message another one is waited for.
        wait_after: Duration,
        /// The longest time without any message.
        max_wait: Duration,
        /// Whether there is a request in any case.
        listen: bool,
    },
    /// `poll_http_response`.
    PollHttpResponse {},
    /// `take_http_wait`.
    TakeHttpWait {},
    /// `poll_event`, where there was one.
    PollEvent {},
}
