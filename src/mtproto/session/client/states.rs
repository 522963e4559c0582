//! Requests of which nobody knows whether they arrived, and answers that did not.
//!
//! After a reconnection, and whenever a request has gone long without a sign, the client asks (`msgs_state_req`) before it sends
//! anything again. What did not arrive is sent again under the identifier that it had, within a container, so that a server that has
//! received it after all can tell. See "Service Messages about Messages".

use super::{Client, Phase, incoming::draft};
use crate::{
    clock::Now,
    ids::MsgId,
    mtproto::{
        msg_id::Novelty,
        session::{
            core::{Core, Service as Sent},
            error::PeerMisbehaved,
            event::Event,
            service,
            timer::Timer,
        },
    },
};

/// How much longer a request is waited for that the server is known to have received.
const RECEIVED_FACTOR: u32 = 4;

impl Client {
    /// Asks for the states of requests that have been silent for long.
    pub(super) fn check_states(&mut self, core: &mut Core, now: Now) {
        let delay = core.limits.state_check;
        let mut next = None;
        for request in self.requests.values_mut() {
            let (Phase::Sent | Phase::Unknown, Some((msg_id, _))) = (request.phase, request.sent) else { continue };
            let patience = if request.received { delay * RECEIVED_FACTOR } else { delay };
            let mut deadline = request.checked.saturating_add(patience);
            if deadline <= now.mono {
                request.checked = now.mono;
                deadline = now.mono.saturating_add(patience);
                self.ask.push_back(msg_id);
            }
            next = Some(next.map_or(deadline, |next: std::time::Duration| next.min(deadline)));
        }
        if let Some(next) = next {
            core.timers.set(Timer::StateCheck, next);
        }
        if !self.ask.is_empty() {
            // The connection itself may be dead.
            self.ping.due = true;
        }
    }

    /// The server has received a message of ours.
    pub(super) fn mark_received(&mut self, msg_id: MsgId) {
        if let Some(request) = self.under_way(msg_id).and_then(|id| self.requests.get_mut(&id)) {
            request.received = true;
            request.phase = Phase::Sent;
        }
    }

    /// `msgs_state_info#04deb57d req_msg_id:long info:string`.
    pub(super) fn handle_state_info(
        &mut self,
        core: &mut Core,
        now: Now,
        msg_id: MsgId,
        req: MsgId,
        info: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        let about = match core.ledger.get(req) {
            Some(Sent::StateReq(ids)) => ids.clone(),
            // In place of answers that it cannot send again. The requests remain, and will be asked about.
            Some(Sent::ResendReq(_)) => return Ok(()),
            _ => return Err(PeerMisbehaved::AboutUnknown { msg_id, about: req }),
        };
        core.ledger.remove(req);
        self.handle_states(core, now, msg_id, &about, info)
    }

    /// One byte for each message: 1, 2 and 3 say that it was not received, 4 that it was.
    pub(super) fn handle_states(
        &mut self,
        core: &mut Core,
        now: Now,
        msg_id: MsgId,
        about: &[MsgId],
        info: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        if about.len() != info.len() {
            return Err(PeerMisbehaved::StateCount { msg_id, found: info.len(), expected: about.len() });
        }
        for (msg_id, state) in about.iter().zip(info) {
            let Some(id) = self.under_way(*msg_id) else { continue };
            match state & 7 {
                1..=3 => self.resend(core, id, false),
                4 => {
                    self.mark_received(*msg_id);
                    if let Some(request) = self.requests.get_mut(&id) {
                        request.checked = now.mono;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `msg_detailed_info#276d3ec6` and `msg_new_detailed_info#809db6df`: there is an answer or an update that we should have.
    pub(super) fn handle_detailed_info(&mut self, core: &mut Core, now: Now, about: Option<MsgId>, answer: MsgId) {
        if let Some(about) = about {
            self.mark_received(about);
        }
        let wanted = about.is_none_or(|about| self.by_msg.contains_key(&about));
        if wanted && core.seen.check(answer) == Novelty::New {
            self.fetch.push_back(answer);
        } else {
            // We have it, or do not want it.
            core.owe_ack(now, answer);
        }
    }

    /// `msg_resend_req#7d861a08 msg_ids:Vector<long>`.
    pub(super) fn handle_resend_req(&mut self, core: &mut Core, msg_id: MsgId, ids: &[MsgId]) -> Result<(), PeerMisbehaved> {
        let mut all_known = true;
        for id in ids {
            match self.under_way(*id) {
                Some(request) => self.resend(core, request, false),
                None => all_known &= self.by_msg.contains_key(id),
            }
        }
        if all_known {
            return Ok(());
        }
        let info: Vec<u8> = ids.iter().map(|id| core.state_of(*id)).collect();
        draft(core, service::msgs_state_info(msg_id, &info))
    }

    /// `new_session_created#9ec20908`: what is older than `first_msg_id` and unanswered, the server does not know.
    pub(super) fn handle_new_session(&mut self, core: &mut Core, first_msg_id: MsgId, unique_id: i64) {
        // The server may name the container in which the first message came: what is in it has lower identifiers and is known.
        let first = match core.ledger.get(first_msg_id) {
            Some(Sent::Container(ids)) => ids.iter().min().copied().unwrap_or(first_msg_id),
            _ => first_msg_id,
        };
        let unknown: Vec<_> = self.by_msg.range(..first).filter_map(|(msg_id, _)| self.under_way(*msg_id)).collect();
        for id in unknown {
            self.resend(core, id, false);
        }
        if self.unique_id.replace(unique_id) != Some(unique_id) {
            core.events.push_back(Event::NewSession { first_msg_id, unique_id });
        }
    }
}
