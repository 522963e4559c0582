//! Putting into frames what a client has to say.

use super::{
    Client, SALTS_WANTED,
    request::{Era, Phase, RequestId},
};
use crate::{
    clock::Now,
    ids::MsgId,
    mtproto::{
        msg_id::Origin,
        session::{
            acks::MAX_IDS,
            core::Core,
            frame::{Body, Frame, Ready},
            ledger::Service,
            service,
            timer::Timer,
        },
    },
    trace,
};

impl Client {
    /// Puts what there is to send into a frame. What finds no room waits for the next.
    pub(in super::super) fn fill(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        self.fill_requests(core, now, frame);
        self.fill_questions(core, now, frame);
        self.fill_drops(core, now, frame);
        self.fill_ping(core, now, frame);
        self.fill_salts(core, now, frame);
    }

    fn fill_requests(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        self.release();
        let era = self.era;
        while let Some(&id) = self.queue.front() {
            let Some(request) = self.requests.get(&id).filter(|request| request.phase == Phase::Queued) else {
                // It has been answered or cancelled meanwhile.
                self.queue.pop_front();
                continue;
            };
            let (len, alone, bare) = (request.body.len(), request.alone, request.bare);
            if !frame.has_room_for_request(len, alone, bare) {
                break;
            }
            self.queue.pop_front();
            let Some(before) = self.predecessors(id) else {
                self.held.insert(id);
                continue;
            };
            let Some(request) = self.requests.get_mut(&id) else { continue };
            self.waiting_bytes = self.waiting_bytes.saturating_sub(len);
            if request.has_aged(core, now) {
                request.phase = Phase::Unknown;
                request.checked = now.mono;
                self.ask.extend(request.sent.map(|(msg_id, _)| msg_id));
                core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
                continue;
            }
            let (msg_id, seq_no, old) = request.assign(core, now, era);
            match old {
                Some(old) => core.tracer.emit(now, || trace::Event::Resent { old, new: msg_id }),
                None => {
                    let (method, len) = (request.method, request.unpacked);
                    let packed = request.packed();
                    core.tracer.emit(now, || trace::Event::RpcSent { msg_id, method, len, packed });
                    if let Some(packed) = packed {
                        core.tracer.emit(now, || trace::Event::Gzip { sent: true, msg_id, packed, unpacked: len });
                    }
                }
            }
            // "The message must not be re-sent on its own with the same msg_id."
            let again = old == Some(msg_id);
            if again {
                frame.wrap();
            }
            if let Some(outlived) = request.outlived() {
                self.by_msg.remove(&outlived);
            }
            self.by_msg.insert(msg_id, id);
            if request.quick_ack {
                frame.quick.push(id);
            }
            let ready = Ready { msg_id, seq_no, body: Body::after(&before, request.body.clone()) };
            frame.push_request(ready, alone, bare && !again);
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
            self.expect_sound(core, now);
        }
    }

    /// `msgs_state_req`, `msg_resend_req` and `msg_resend_ans_req`.
    fn fill_questions(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        let by_msg = &self.by_msg;
        self.ask.retain(|msg_id| by_msg.contains_key(msg_id));
        while !self.ask.is_empty() && frame.has_room(list_len(self.ask.len())) {
            let ids: Vec<MsgId> = std::iter::from_fn(|| self.ask.pop_first()).take(MAX_IDS).collect();
            core.add_service(now, frame, Origin::Client, true, service::msgs_state_req(&ids), Service::StateReq(ids));
        }
        while !self.fetch.is_empty() && frame.has_room(list_len(self.fetch.len())) {
            let wanted: Vec<_> = std::iter::from_fn(|| self.fetch.pop_first()).take(MAX_IDS).collect();
            let ids: Vec<MsgId> = wanted.iter().map(|(answer, _)| *answer).collect();
            core.add_service(now, frame, Origin::Client, true, service::msg_resend_req(&ids), Service::ResendReq(wanted));
        }
        self.fetch_of.retain(|msg_id| by_msg.contains_key(msg_id));
        while !self.fetch_of.is_empty() && frame.has_room(list_len(self.fetch_of.len())) {
            let ids: Vec<MsgId> = std::iter::from_fn(|| self.fetch_of.pop_first()).take(MAX_IDS).collect();
            core.add_service(
                now,
                frame,
                Origin::Client,
                true,
                service::msg_resend_ans_req(&ids),
                Service::ResendAnswersReq(ids),
            );
        }
    }

    /// `rpc_drop_answer`, `destroy_session` and `destroy_auth_key`.
    fn fill_drops(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        for (req, cancelled) in self.drops.iter_mut().filter(|(_, cancelled)| !cancelled.told) {
            let body = service::rpc_drop_answer(*req);
            if !frame.has_room(body.len()) {
                return;
            }
            cancelled.told = true;
            cancelled.times += 1;
            core.timers.start(Timer::StateCheck, now.mono.saturating_add(core.limits.state_check));
            core.add_service(now, frame, Origin::Client, true, body, Service::DropAnswer(*req));
        }
        for (session_id, told) in self.doomed.iter_mut().filter(|(_, told)| !**told) {
            let body = service::destroy_session(*session_id);
            if !frame.has_room(body.len()) {
                return;
            }
            *told = true;
            core.add_service(now, frame, Origin::Client, true, body, Service::DestroySession(*session_id));
        }
        if self.key_doomed == Some(false) {
            let body = service::destroy_auth_key();
            if frame.has_room(body.len()) {
                self.key_doomed = Some(true);
                core.add_service(now, frame, Origin::Client, true, body, Service::DestroyAuthKey);
            }
        }
    }

    /// `ping_delay_disconnect`. It rides along when something else is sent, and goes alone when it is due.
    fn fill_ping(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        let since = now.mono.saturating_sub(self.ping.last_sent);
        let rides = !frame.is_empty() && since >= self.ping.policy.interval / 2;
        if !(self.ping.due || rides) {
            return;
        }
        let ping_id = self.ping.last_id + 1;
        let body = Body::short(service::ping_delay_disconnect_bytes(ping_id, self.ping.disconnect_delay()));
        if !frame.has_room(body.len()) {
            return;
        }
        self.ping.sent(ping_id, now.mono);
        core.add_service(now, frame, Origin::Client, false, body, Service::Ping(ping_id));
        core.tracer.emit(now, || trace::Event::Ping { ping_id });
        core.timers.set(Timer::Ping, now.mono.saturating_add(self.ping.policy.interval));
        core.timers.start(Timer::PingTimeout, now.mono.saturating_add(self.ping.patience()));
    }

    /// `get_future_salts`, which rides along. Only once the server has been heard: before, the salt in use may be wrong and the question
    /// refused.
    fn fill_salts(&mut self, core: &mut Core, now: Now, frame: &mut Frame) {
        if frame.is_empty() || !core.clock.is_confirmed() || core.salts.ahead(core.server_unix(now)) > 0 {
            return;
        }
        if self.salts_not_before.is_some_and(|at| now.mono < at) {
            return;
        }
        let body = service::get_future_salts(SALTS_WANTED);
        if !frame.has_room(body.len()) {
            return;
        }
        self.salts_not_before = Some(now.mono.saturating_add(super::SALT_RETRY));
        core.add_service(now, frame, Origin::Client, false, body, Service::FutureSalts);
    }

    /// The messages that have to be done before a request, those of them that are not done: `None` if one has no message yet, or if the
    /// request waits for their end.
    fn predecessors(&self, id: RequestId) -> Option<Vec<MsgId>> {
        let request = self.requests.get(&id)?;
        let mut before = Vec::new();
        for earlier in request.after.iter().filter_map(|earlier| self.requests.get(earlier)) {
            match (earlier.phase, earlier.sent) {
                (Phase::Sent | Phase::Unknown, Some((msg_id, _))) if !request.patient => before.push(msg_id),
                _ => return None,
            }
        }
        Some(before)
    }

    /// Puts back into the queue what was held back and need not be any longer.
    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let ready: Vec<RequestId> = self.held.iter().copied().filter(|id| self.predecessors(*id).is_some()).collect();
        for id in ready {
            self.held.remove(&id);
            self.queue.push_back(id);
        }
    }

    /// What was sent now.
    pub(super) fn begin_era(&mut self) {
        self.era = Era { connection: self.era.connection + 1, ..self.era };
    }
}

/// The length of a service message that lists so many identifiers, or as many as one may.
fn list_len(count: usize) -> usize {
    12 + 8 * count.min(MAX_IDS)
}
