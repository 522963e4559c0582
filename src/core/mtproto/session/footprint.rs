//! What a session holds: for whoever watches that it stays bounded.

use super::{Role, Session};

/// How much a session holds, by kind. Every number has a bound in [`Limits`](super::Limits), or follows from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// Requests that have not ended (client), or are being worked on (server).
    pub requests: usize,
    /// Identifiers under which pending requests were sent (client).
    pub message_ids: usize,
    /// Requests whose quick acknowledgement is waited for (client).
    pub quick_acks: usize,
    /// Places in the queue of what is to be sent.
    pub queued: usize,
    /// Questions to be asked: states, lost answers, cancellations, sessions to be destroyed (client).
    pub questions: usize,
    /// Messages about messages that wait to be sent.
    pub drafts: usize,
    /// Events that the driver has not polled.
    pub events: usize,
    /// Answers and updates that are kept until they are acknowledged (server).
    pub kept: usize,
    /// Their bytes.
    pub kept_bytes: usize,
    /// Requests whose fate is remembered (server).
    pub remembered: usize,
}

impl Session {
    /// What the session holds now.
    pub fn footprint(&self) -> Footprint {
        let mut footprint =
            Footprint { drafts: self.core.drafts.len(), events: self.core.events.len(), ..Footprint::default() };
        match &self.role {
            Role::Client(client) => client.measure(&mut footprint),
            Role::Server(server) => server.measure(&mut footprint),
        }
        footprint
    }
}
