//! Requests of which nobody knows whether they arrived, and answers that did not.
//!
//! After a reconnection, and whenever a request has gone long without a sign, the client asks (`msgs_state_req`) before it sends
//! anything again. What did not arrive is sent again under the identifier that it had, within a container, so that a server that has
//! received it after all can tell. See "Service Messages about Messages".

use super::{
    Client, Failure, Phase, RequestId,
    incoming::draft,
    request::{Fate, fate, is_dying, is_young},
};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::MsgId,
    mtproto::{
        msg_id::Novelty,
        session::{core::Core, error::PeerMisbehaved, event::Event, ledger::Service as Sent, service, timer::Timer},
    },
};

/// The bit of a state that says that the message has been answered.
const ANSWERED: u8 = 64;

/// How often the server may say that it has answered, without the answer coming, until we believe that it never will.
const ANSWERED_ENOUGH: u32 = 5;

/// How often the server may offer an answer that then does not come.
const OFFERS_ENOUGH: u32 = 32;

/// How much longer a request is waited for that the server is known to have received.
const RECEIVED_FACTOR: u32 = 4;

impl Client {
    /// Asks for the states of requests that have been silent for long.
    pub(super) fn check_states(&mut self, core: &mut Core, now: Now) {
        let delay = core.limits.state_check;
        let mut next = None;
        for request in self.requests.values_mut() {
            let (Phase::Sent | Phase::Unknown, Some((msg_id, _))) = (request.phase, request.sent) else { continue };
            let patience = if request.received && request.answered == 0 { delay * RECEIVED_FACTOR } else { delay };
            let mut deadline = request.checked.saturating_add(patience);
            if deadline <= now.mono {
                request.checked = now.mono;
                deadline = now.mono.saturating_add(patience);
                self.ask.insert(msg_id);
            }
            next = Some(next.map_or(deadline, |next: std::time::Duration| next.min(deadline)));
        }
        if let Some(next) = next {
            core.timers.set(Timer::StateCheck, next);
        }
        core.hurry |= !self.ask.is_empty();
    }

    /// Says again what the server has said nothing about: that an answer is not wanted. Some time that has to end.
    pub(super) fn check_drops(&mut self, core: &mut Core, now: Now) {
        self.drops.retain(|_, cancelled| !cancelled.told || cancelled.times < super::DROP_TIMES);
        if self.drops.is_empty() {
            return;
        }
        for cancelled in self.drops.values_mut() {
            cancelled.told = false;
        }
        core.hurry = true;
        core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
    }

    /// The server has taken a message of ours.
    pub(super) fn note_accepted(&mut self, core: &Core, msg_id: MsgId) {
        // It names what it likes: only what we have sent counts.
        if self.by_msg.contains_key(&msg_id) || core.ledger.get(msg_id).is_some() {
            self.accepted = self.accepted.max(msg_id);
            self.first_accepted = Some(self.first_accepted.map_or(msg_id, |first| first.min(msg_id)));
            self.refusals = 0;
        }
    }

    /// The server has received a message of ours.
    pub(super) fn mark_received(&mut self, core: &Core, msg_id: MsgId) {
        self.note_accepted(core, msg_id);
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
            Some(Sent::StateReq(ids) | Sent::ResendAnswersReq(ids)) => ids.clone(),
            Some(Sent::ResendReq(wanted)) => {
                let wanted = wanted.clone();
                return self.handle_no_answers(core, msg_id, req, &wanted, info);
            }
            _ => return Err(PeerMisbehaved::AboutUnknown { msg_id, about: req }),
        };
        core.ledger.remove(req);
        self.note_accepted(core, req);
        self.handle_states(core, now, msg_id, Some(req), &about, info)
    }

    /// The states of answers that the server could not send again, all of them or some: those that it does not know are lost.
    fn handle_no_answers(
        &mut self,
        core: &mut Core,
        msg_id: MsgId,
        req: MsgId,
        wanted: &[(MsgId, Option<MsgId>)],
        info: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        if broken(Check::AnswerStateCount, wanted.len() != info.len()) {
            return Err(PeerMisbehaved::StateCount { msg_id, found: info.len(), expected: wanted.len() });
        }
        core.ledger.remove(req);
        for ((answer, about), state) in wanted.iter().zip(info) {
            let lost = matches!(state & 7, 1..=3) && core.seen.check(*answer) == Novelty::New;
            if let Some(id) = about.filter(|_| lost).and_then(|about| self.under_way(about)) {
                self.fail(core, id, Failure::AnswerLost);
            }
        }
        Ok(())
    }

    /// One byte for each message, in answer to the question `asked` or unasked: 1, 2 and 3 say that it was not received, 4 that it was; further bits tell what became of it.
    pub(super) fn handle_states(
        &mut self,
        core: &mut Core,
        now: Now,
        msg_id: MsgId,
        asked: Option<MsgId>,
        about: &[MsgId],
        info: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        if broken(Check::StateCount, about.len() != info.len()) {
            return Err(PeerMisbehaved::StateCount { msg_id, found: info.len(), expected: about.len() });
        }
        for (msg_id, state) in about.iter().zip(info) {
            let Some(id) = self.under_way(*msg_id) else { continue };
            match state & 7 {
                state @ 1..=3 => {
                    // An answer to an older question was overtaken by a refusal: the next answer counts.
                    let outdated = self.requests.get(&id).is_some_and(|request| {
                        (request.fresh_id || request.doubtful) && asked.is_none_or(|asked| asked <= request.asked_after)
                    });
                    if !outdated {
                        self.handle_not_received(core, now, id, *msg_id, state == 1);
                    }
                }
                4 => {
                    self.mark_received(core, *msg_id);
                    self.handle_received(core, now, id, *msg_id, state & ANSWERED != 0);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The server has not received a message, or (`forgotten`) cannot tell.
    fn handle_not_received(&mut self, core: &mut Core, now: Now, id: RequestId, msg_id: MsgId, forgotten: bool) {
        let era = self.era;
        let Some(request) = self.requests.get_mut(&id) else { return };
        // What this session of the server's has not received, an earlier one may have.
        let of_another_session = request.since.incarnation != era.incarnation;
        // Under the same identifier the server can tell a copy. Under another it cannot.
        let same_id = !request.fresh_id && is_young(core, now, msg_id);
        // It had taken something older, and now has no memory that goes back so far: of what it took besides it knows no more either.
        let remembered_less = self.first_accepted.is_some_and(|first| first < msg_id);
        if of_another_session || (forgotten && (request.doubtful || !same_id || remembered_less)) {
            return self.fail(core, id, Failure::Uncertain);
        }
        let refused = request.fresh_id;
        let open = match fate(core, now, msg_id) {
            _ if !refused => is_dying(core, now, msg_id),
            // The one copy that there was is the one that was refused.
            _ if request.times < 2 => false,
            Fate::Ahead => return self.fail(core, id, Failure::Uncertain),
            fate => fate == Fate::Open,
        };
        if open {
            // Not to be sent again as it is, and too young to be sure that no copy of it arrives yet: it is asked about until it is either.
            request.phase = Phase::Unknown;
            request.checked = now.mono;
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
            return;
        }
        request.fresh_id |= !same_id;
        self.resend(core, id, refused);
    }

    /// The server has received a message, and has perhaps answered it.
    fn handle_received(&mut self, core: &mut Core, now: Now, id: RequestId, msg_id: MsgId, answered: bool) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.checked = now.mono;
        // A copy of it was refused: that does not matter any more.
        (request.fresh_id, request.doubtful) = (false, false);
        request.answered += u32::from(answered);
        if request.answered >= ANSWERED_ENOUGH {
            self.fail(core, id, Failure::AnswerLost);
        } else if request.answered > 1 {
            // It has told us so before, and the answer has not come: ask for it by the name of the question.
            self.fetch_of.insert(msg_id);
            core.hurry = true;
        }
        if answered {
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
        }
    }

    /// `msg_detailed_info#276d3ec6` and `msg_new_detailed_info#809db6df`: there is an answer or an update that we should have.
    pub(super) fn handle_detailed_info(
        &mut self,
        core: &mut Core,
        now: Now,
        about: Option<MsgId>,
        answer: MsgId,
    ) -> Result<(), PeerMisbehaved> {
        if let Some(about) = about {
            self.mark_received(core, about);
        }
        let wanted = about.is_none_or(|about| self.by_msg.contains_key(&about));
        if !wanted || core.seen.check(answer) != Novelty::New {
            // We have it, or do not want it.
            core.owe_ack(now, answer);
            return Ok(());
        }
        if broken(Check::AnswersToFetch, self.fetch.len() >= core.limits.service_queue) {
            return Err(PeerMisbehaved::Flood { limit: core.limits.service_queue });
        }
        if let Some(id) = about.and_then(|about| self.under_way(about))
            && let Some(request) = self.requests.get_mut(&id)
        {
            // It is there to be had, so it is not lost; unless that goes on and on.
            request.answered = 0;
            request.offers += 1;
            if request.offers > OFFERS_ENOUGH {
                self.fail(core, id, Failure::AnswerLost);
                return Ok(());
            }
        }
        self.fetch.insert(answer, about);
        core.hurry = true;
        Ok(())
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

    /// `new_session_created#9ec20908`: what is older than `first_msg_id` and unanswered, this session of the server's does not know. If
    /// it is the first one, nothing older was taken, and is sent again. If there was one before, that one may have executed what is
    /// older, so it is not.
    pub(super) fn handle_new_session(&mut self, core: &mut Core, now: Now, first_msg_id: MsgId, unique_id: i64) {
        let known = self.unique_id.replace(unique_id);
        if known == Some(unique_id) {
            return;
        }
        self.era.incarnation += u64::from(known.is_some());
        // The server may name the container in which the first message came: what is in it has lower identifiers and is known.
        let first = match core.ledger.get(first_msg_id) {
            Some(Sent::Container(ids)) => core.ledger.ids(*ids).min().unwrap_or(first_msg_id),
            _ => first_msg_id,
        };
        let unknown: Vec<_> =
            self.by_msg.below(&first).filter_map(|(msg_id, _)| self.under_way(*msg_id).map(|id| (*msg_id, id))).collect();
        for (msg_id, id) in unknown {
            self.handle_not_received(core, now, id, msg_id, false);
        }
        // What is not older was taken by the new session, unless it was written before that began: then it is asked about.
        let era = self.era;
        let (requests, ask) = (&mut self.requests, &mut self.ask);
        for request in requests.values_mut().filter(|request| request.phase == Phase::Sent) {
            if let Some((msg_id, _)) = request.sent.filter(|(msg_id, _)| *msg_id >= first) {
                if request.since.connection == era.connection {
                    request.since = era;
                } else {
                    ask.insert(msg_id);
                }
            }
        }
        core.hurry |= !self.ask.is_empty();
        core.events.push(Event::NewSession { first_msg_id, unique_id });
    }
}
