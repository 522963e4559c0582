//! Errors of a session, by blame: the peer's, or the caller's.

use super::client::RequestId;
use crate::{
    ids::{MsgId, SeqNo, SessionId},
    mtproto::{container::ContainerError, envelope::EnvelopeError, gzip::GzipError},
    tl,
};

/// Why a received frame was refused, in whole or in part. The session itself is intact after each of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The frame is no message of ours, or was altered on its way.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The peer broke a rule.
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The client broke a rule, and a notice that says so is ready to be sent (server role).
    #[error("{0}; the client is told")]
    Notified(PeerMisbehaved),
    /// The caller called what is not there.
    #[error(transparent)]
    ApiMisuse(#[from] ApiMisuse),
}

/// What a driver has to do about a refused frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: it happens in normal work, and the session has done what there is to do.
    Ignore,
    /// Close the connection and open another one, with the same session.
    Reconnect,
}

impl SessionError {
    /// What the driver has to do. See "Security Guidelines for Client Developers", Behavior in case of mismatch.
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Envelope(_) => Reaction::Reconnect,
            Self::PeerMisbehaved(peer) => peer.reaction(),
            // The connection is needed for the notice.
            Self::Notified(_) | Self::ApiMisuse(_) => Reaction::Ignore,
        }
    }

    /// The rule that was broken, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Envelope(envelope) => envelope.rule(),
            Self::PeerMisbehaved(peer) | Self::Notified(peer) => peer.rule(),
            Self::ApiMisuse(_) => "ApiMisuse",
        }
    }
}

/// A rule that a peer broke. One variant for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The message belongs to another session.
    #[error("message of session {found}, ours is {expected}")]
    WrongSession {
        /// The session it names.
        found: SessionId,
        /// Ours.
        expected: SessionId,
    },
    /// The two lowest bits of the identifier are not those of the peer's role.
    #[error("message {msg_id} has the identifier of the other side")]
    WrongParity {
        /// The identifier.
        msg_id: MsgId,
    },
    /// The identifier is over 300 seconds old.
    #[error("message {msg_id} is {age} s old")]
    TooOld {
        /// The identifier.
        msg_id: MsgId,
        /// Its age by our estimate of the server's clock, in seconds.
        age: i64,
    },
    /// The identifier is over 30 seconds early.
    #[error("message {msg_id} is {lead} s early")]
    TooEarly {
        /// The identifier.
        msg_id: MsgId,
        /// How early by our estimate of the server's clock, in seconds.
        lead: i64,
    },
    /// The message was received before. It is acknowledged again and not looked at.
    #[error("message {msg_id} was received before")]
    Duplicate {
        /// The identifier.
        msg_id: MsgId,
    },
    /// The message is older than all that are remembered, so that nobody can say whether it was received before.
    #[error("message {msg_id} is older than all that are remembered, the oldest is {oldest}")]
    BelowMemory {
        /// The identifier.
        msg_id: MsgId,
        /// The lowest that is remembered.
        oldest: MsgId,
    },
    /// The salt is none that is valid now (server role).
    #[error("message {msg_id} carries a salt that is not valid now")]
    WrongSalt {
        /// The identifier.
        msg_id: MsgId,
    },
    /// An older message had a higher sequence number, or the same odd one.
    #[error("message {msg_id} has sequence number {found}, an older one had {before}")]
    SeqNoTooLow {
        /// The identifier.
        msg_id: MsgId,
        /// Its sequence number.
        found: SeqNo,
        /// That of the older message.
        before: SeqNo,
    },
    /// A newer message had a lower sequence number, or the same odd one.
    #[error("message {msg_id} has sequence number {found}, a newer one had {after}")]
    SeqNoTooHigh {
        /// The identifier.
        msg_id: MsgId,
        /// Its sequence number.
        found: SeqNo,
        /// That of the newer message.
        after: SeqNo,
    },
    /// A container or an acknowledgement demands to be acknowledged.
    #[error("message {msg_id} ({constructor:#010x}) must not be content-related")]
    SeqNoNotEven {
        /// The identifier.
        msg_id: MsgId,
        /// The constructor.
        constructor: u32,
    },
    /// A request does not demand to be acknowledged.
    #[error("message {msg_id} ({constructor:#010x}) must be content-related")]
    SeqNoNotOdd {
        /// The identifier.
        msg_id: MsgId,
        /// The constructor.
        constructor: u32,
    },
    /// A container has the identifier of an earlier message.
    #[error("container {msg_id} has the identifier of an earlier message")]
    ContainerIdCollision {
        /// The identifier.
        msg_id: MsgId,
    },
    /// A container breaks a rule of its own.
    #[error("container {msg_id}: {error}")]
    Container {
        /// The identifier.
        msg_id: MsgId,
        /// The rule.
        error: ContainerError,
    },
    /// A packed object breaks a rule.
    #[error("message {msg_id}: {error}")]
    Gzip {
        /// The identifier.
        msg_id: MsgId,
        /// The rule.
        error: GzipError,
    },
    /// A packed object holds what must not be packed: a container, or a packed object.
    #[error("message {msg_id} has {constructor:#010x} packed into it")]
    PackedWrongly {
        /// The identifier.
        msg_id: MsgId,
        /// The constructor inside.
        constructor: u32,
    },
    /// A service message does not parse.
    #[error("message {msg_id} ({constructor:#010x}): {error}")]
    Malformed {
        /// The identifier.
        msg_id: MsgId,
        /// Its constructor.
        constructor: u32,
        /// What is wrong.
        error: tl::wire::Error,
    },
    /// A notice about a message that we have not sent, or not recently.
    #[error("message {msg_id} speaks of {about}, which we have not sent recently")]
    AboutUnknown {
        /// The identifier.
        msg_id: MsgId,
        /// The message it speaks of.
        about: MsgId,
    },
    /// States of messages came in another number than was asked for.
    #[error("message {msg_id} has {found} states for {expected} messages")]
    StateCount {
        /// The identifier.
        msg_id: MsgId,
        /// States that came.
        found: usize,
        /// Messages that they are about.
        expected: usize,
    },
    /// More identifiers in one service message than are allowed.
    #[error("message {msg_id} lists {found} identifiers")]
    TooManyIds {
        /// The identifier.
        msg_id: MsgId,
        /// How many.
        found: usize,
    },
    /// The server has refused a message for a reason that is not on the protocol's page.
    #[error("message {msg_id} has an unknown error code {code}")]
    UnknownErrorCode {
        /// The identifier.
        msg_id: MsgId,
        /// The code.
        code: i32,
    },
    /// The peer makes more work than is let pile up.
    #[error("more than {limit} messages wait for an answer")]
    Flood {
        /// The limit.
        limit: usize,
    },
    /// A service message of the other role.
    #[error("message {msg_id} ({constructor:#010x}) is for the other side to send")]
    WrongRole {
        /// The identifier.
        msg_id: MsgId,
        /// Its constructor.
        constructor: u32,
    },
}

impl PeerMisbehaved {
    /// What the driver has to do.
    pub fn reaction(&self) -> Reaction {
        match self {
            // These happen whenever an acknowledgement or a connection was lost.
            Self::Duplicate { .. } | Self::AboutUnknown { .. } => Reaction::Ignore,
            // Only the server's role knows these, and answers them with a notice.
            Self::WrongSalt { .. }
            | Self::ContainerIdCollision { .. }
            | Self::SeqNoTooLow { .. }
            | Self::SeqNoTooHigh { .. }
            | Self::SeqNoNotOdd { .. } => Reaction::Ignore,
            Self::WrongSession { .. }
            | Self::WrongParity { .. }
            | Self::TooOld { .. }
            | Self::TooEarly { .. }
            | Self::BelowMemory { .. }
            | Self::SeqNoNotEven { .. }
            | Self::Container { .. }
            | Self::Gzip { .. }
            | Self::PackedWrongly { .. }
            | Self::Malformed { .. }
            | Self::StateCount { .. }
            | Self::TooManyIds { .. }
            | Self::UnknownErrorCode { .. }
            | Self::Flood { .. }
            | Self::WrongRole { .. } => Reaction::Reconnect,
        }
    }

    /// The rule, as the trace names it.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::WrongSession { .. } => "WrongSession",
            Self::WrongParity { .. } => "WrongParity",
            Self::TooOld { .. } => "TooOld",
            Self::TooEarly { .. } => "TooEarly",
            Self::Duplicate { .. } => "Duplicate",
            Self::BelowMemory { .. } => "BelowMemory",
            Self::WrongSalt { .. } => "WrongSalt",
            Self::SeqNoTooLow { .. } => "SeqNoTooLow",
            Self::SeqNoTooHigh { .. } => "SeqNoTooHigh",
            Self::SeqNoNotEven { .. } => "SeqNoNotEven",
            Self::SeqNoNotOdd { .. } => "SeqNoNotOdd",
            Self::ContainerIdCollision { .. } => "ContainerIdCollision",
            Self::Container { .. } => "Container",
            Self::Gzip { .. } => "Gzip",
            Self::PackedWrongly { .. } => "PackedWrongly",
            Self::Malformed { .. } => "Malformed",
            Self::AboutUnknown { .. } => "AboutUnknown",
            Self::StateCount { .. } => "StateCount",
            Self::TooManyIds { .. } => "TooManyIds",
            Self::UnknownErrorCode { .. } => "UnknownErrorCode",
            Self::Flood { .. } => "Flood",
            Self::WrongRole { .. } => "WrongRole",
        }
    }
}

/// What a caller did wrong, or asked too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The method is for the other role.
    #[error("this is for the other role of a session")]
    WrongRole,
    /// As much waits as may wait; try again when something has been answered or acknowledged.
    #[error("{limit} messages are waiting already")]
    Backlog {
        /// The limit.
        limit: usize,
    },
    /// As many bytes wait as may wait; try again when something has been answered or acknowledged.
    #[error("{limit} bytes are waiting already")]
    BacklogBytes {
        /// The limit.
        limit: usize,
    },
    /// The session takes no frame now: its events have to be polled, or its acknowledgements written, first. The frame is as if it had
    /// been lost; the peer sends it again.
    #[error("frames come in faster than events and acknowledgements are taken out")]
    NotReady,
    /// A request is to come after one that was never made.
    #[error("request {} was never made", .id.0)]
    UnknownPredecessor {
        /// Which.
        id: RequestId,
    },
    /// The identifier was kept back too long, or in a session that was reset: reserve another.
    #[error("the reserved identifier {msg_id} cannot be used any more")]
    StaleReservation {
        /// The identifier.
        msg_id: MsgId,
    },
    /// The body is too long for a frame.
    #[error("a body of {len} bytes is too long, {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The body is no serialized object: its length is no multiple of four, or it is empty.
    #[error("a body of {len} bytes is no serialized object")]
    NotTl {
        /// Its length in bytes.
        len: usize,
    },
    /// There is no such request, or it has been answered.
    #[error("request {msg_id} is not waiting for an answer")]
    NoSuchRequest {
        /// The request.
        msg_id: MsgId,
    },
    /// A server's session was given no salt that is valid now.
    #[error("no salt is valid at {unix}")]
    NoValidSalt {
        /// The time.
        unix: i64,
    },
}
