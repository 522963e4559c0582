//! What a session tells its driver.

use bytes::Bytes;

use super::{
    client::{Failure, RequestId},
    salts::FutureSalt,
};
use crate::{
    ids::{MsgId, SessionId},
    mtproto::rpc_error::RpcError,
};

/// What [`Session::poll_event`](super::Session::poll_event) returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    // Client role.
    /// A request was answered. The result is a slice of the received frame (or the unpacked object, if it was packed).
    Response {
        /// The request.
        id: RequestId,
        /// The serialized result, or the error that the method answered with.
        result: Result<Bytes, RpcError>,
    },
    /// A request will not be answered.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        error: Failure,
    },
    /// The server has received a request, as it says by a quick acknowledgement: nothing more. The answer is still to come.
    QuickAck {
        /// The request.
        id: RequestId,
    },
    /// What became of the answer to a cancelled request on the server. The request itself ended with [`Failure::Cancelled`].
    AnswerDropped {
        /// The request.
        id: RequestId,
        /// What the server says.
        outcome: DropOutcome,
    },
    /// The server sent something of its own accord: a serialized `Updates`, as a rule.
    Update(Bytes),
    /// The server has begun the session anew: updates may have been missed. Requests it cannot know are sent again.
    NewSession {
        /// Messages before this one are not known to it.
        first_msg_id: MsgId,
        /// The server's name for the new session.
        unique_id: i64,
    },
    /// The session goes on under another identifier: the server would not accept the old one's sequence numbers. The old one is being
    /// destroyed. Store the new one, if it is stored.
    SessionReset {
        /// Before.
        old: SessionId,
        /// Now.
        new: SessionId,
    },
    /// The salts have changed: [`Session::salts`](super::Session::salts) tells what to store.
    SaltsChanged,
    /// The clocks' difference has changed: [`Session::time_offset`](super::Session::time_offset) tells what to store.
    TimeOffsetChanged,
    /// The answer to [`Session::destroy_session`](super::Session::destroy_session).
    SessionDestroyed {
        /// The session.
        session_id: SessionId,
        /// Whether the server still knew it.
        existed: bool,
    },

    /// The answer to [`Session::destroy_auth_key`](super::Session::destroy_auth_key).
    AuthKeyDestroyed {
        /// What became of it.
        outcome: KeyDestruction,
    },

    // Both roles.
    /// The connection is of no more use: close it and, as a client, connect again.
    ConnectionDead(DeathCause),

    // Server role.
    /// A request came in: to be answered with [`Session::respond`](super::Session::respond), once. Never the same request twice.
    Request {
        /// Its identifier.
        msg_id: MsgId,
        /// The serialized method, unpacked: a slice of the received frame if it was not packed.
        body: Bytes,
    },
    /// The client does not want the answer to a running request any more. Answering it does no harm.
    RequestCancelled {
        /// The request.
        msg_id: MsgId,
    },
    /// The client has acknowledged an update or an answer.
    Acknowledged {
        /// The request that was answered, or the identifier that [`Session::push`](super::Session::push) returned.
        msg_id: MsgId,
    },
    /// An update is given up: the machine's clock was set back by so much that the update can be sent no more under the identifier by
    /// which the client would know it again. The client is told that the session is new, and fetches what it may have missed.
    UpdateLost {
        /// The identifier that [`Session::push`](super::Session::push) returned.
        msg_id: MsgId,
    },
    /// The client asks to forget another session of its key: to be answered with
    /// [`Session::session_destroyed`](super::Session::session_destroyed). With the session goes the memory of what it has executed, so
    /// the host drops frames of that session for as long as one written before would be in time: for 330 seconds.
    DestroySession {
        /// Which.
        session_id: SessionId,
    },
    /// The client asks to forget its key: to be answered with
    /// [`Session::auth_key_destroyed`](super::Session::auth_key_destroyed).
    DestroyAuthKey {
        /// The message that asks.
        msg_id: MsgId,
    },
}

impl Event {
    /// Bytes that wait with it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Response { result: Ok(body), .. } | Self::Update(body) | Self::Request { body, .. } => body.len(),
            Self::Response { result: Err(error), .. } => error.message.len(),
            _ => 0,
        }
    }
}

/// What a server says about destroying a key. See "Service Messages" of the schema: `DestroyAuthKeyRes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDestruction {
    /// `destroy_auth_key_ok`: it is gone, and every session of it.
    Destroyed,
    /// `destroy_auth_key_none`: there was no such key.
    Unknown,
    /// `destroy_auth_key_fail`: it remains.
    Failed,
}

/// What a server says about an answer that is not wanted any more. See "Service Messages", Cancellation of an RPC Query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropOutcome {
    /// `rpc_answer_unknown`: it remembers nothing of the request, or has answered it already.
    Unknown,
    /// `rpc_answer_dropped_running`: the request is being processed, and will be to its end.
    Running,
    /// `rpc_answer_dropped`: the answer was ready and is not sent.
    Dropped {
        /// The answer's length in bytes.
        bytes: i32,
    },
}

/// Why a connection is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeathCause {
    /// Nothing was heard after a ping.
    #[error("nothing was heard for {seconds} s after a ping")]
    PingTimeout {
        /// How long was waited.
        seconds: u64,
    },
    /// The server has refused message after message, and taken none.
    #[error("the server has refused {times} messages and taken none")]
    Refused {
        /// How many.
        times: u32,
    },
    /// The client had asked for the connection to be closed unless it pings in time, and it did not.
    #[error("the client has not pinged within {seconds} s, as it said it would")]
    NoPing {
        /// The delay that it asked for.
        seconds: u64,
    },
}

/// The salts that a session works with, for storing.
pub type SaltList = Vec<FutureSalt>;
