//! The ledger of what we sent: service messages and containers, in case the peer speaks of them.

use std::collections::VecDeque;

use super::sorted::Sorted;
use crate::ids::{MsgId, SessionId};

/// Service messages and containers of ours that are remembered, in case the peer speaks of them.
const LEDGER_LEN: usize = 4096;

/// Identifiers that they list, all together.
const LEDGER_LISTED: usize = 64 << 10;

/// What a message of ours was about, other than a request or an answer: what is to be done again if the peer did not take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Container(Listed),
    Acks(Listed),
    Ping(i64),
    StateReq(Vec<MsgId>),
    /// Answers asked for, and the messages that they answer.
    ResendReq(Vec<(MsgId, Option<MsgId>)>),
    ResendAnswersReq(Vec<MsgId>),
    FutureSalts,
    DropAnswer(MsgId),
    DestroySession(SessionId),
    DestroyAuthKey,
    /// Nothing that would be missed.
    Note,
}

/// A list of identifiers that the ledger keeps: those of a container's messages, or those acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Counted from the first identifier that the ledger ever kept.
    start: u64,
    pub(super) len: usize,
}

/// The service messages and containers that we sent lately, in the order of their identifiers.
///
/// Most come with lists, one or two in every frame. The lists stand one behind the other in one ring, so that none is an allocation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: Sorted<MsgId, Service>,
    /// Identifiers that the entries list in vectors of their own.
    listed: usize,
    ring: VecDeque<MsgId>,
    /// Identifiers that have left the ring.
    gone: u64,
}

impl Service {
    fn listed(&self) -> usize {
        match self {
            Self::StateReq(ids) | Self::ResendAnswersReq(ids) => ids.len(),
            Self::ResendReq(ids) => ids.len(),
            _ => 0,
        }
    }
}

impl Ledger {
    /// Keeps a list, for an entry that comes with it. The oldest are forgotten when there is no room.
    pub(super) fn list(&mut self, ids: impl ExactSizeIterator<Item = MsgId>) -> Listed {
        let len = ids.len();
        while !self.ring.is_empty() && self.ring.len() + len > LEDGER_LISTED {
            self.ring.pop_front();
            self.gone += 1;
        }
        let start = self.gone + self.ring.len() as u64;
        self.ring.extend(ids);
        Listed { start, len }
    }

    /// What a list holds; nothing if it is forgotten.
    pub(super) fn ids(&self, list: Listed) -> impl Iterator<Item = MsgId> + '_ {
        let start = list.start.checked_sub(self.gone).and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(list.len)).filter(|end| *end <= self.ring.len());
        let range = start.zip(end).map_or(0..0, |(start, end)| start..end);
        self.ring.range(range).copied()
    }

    pub(super) fn insert(&mut self, msg_id: MsgId, service: Service) {
        self.listed += service.listed();
        if let Some(before) = self.sent.insert(msg_id, service) {
            self.listed = self.listed.saturating_sub(before.listed());
        }
        while self.sent.len() > LEDGER_LEN || (self.listed > LEDGER_LISTED && self.sent.len() > 1) {
            let Some((_, oldest)) = self.sent.pop_first() else { break };
            self.listed = self.listed.saturating_sub(oldest.listed());
        }
    }

    pub(super) fn get(&self, msg_id: MsgId) -> Option<&Service> {
        self.sent.get(&msg_id).filter(|service| match service {
            Service::Container(list) | Service::Acks(list) => list.start >= self.gone,
            _ => true,
        })
    }

    pub(super) fn remove(&mut self, msg_id: MsgId) -> Option<Service> {
        let service = self.sent.remove(&msg_id)?;
        self.listed = self.listed.saturating_sub(service.listed());
        Some(service)
    }

    /// The latest container that a message travelled in.
    pub(super) fn container_of(&self, msg_id: MsgId) -> Option<MsgId> {
        self.sent
            .iter()
            .rev()
            .find(|(_, service)| matches!(service, Service::Container(list) if self.ids(*list).any(|id| id == msg_id)))
            .map(|(id, _)| *id)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.listed = 0;
        self.gone += self.ring.len() as u64;
        self.ring.clear();
    }
}
