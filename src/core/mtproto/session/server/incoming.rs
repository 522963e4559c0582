//! Service messages of the client's.

use std::time::Duration;

use super::{Server, Status};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::MsgId,
    mtproto::{
        container::constructor,
        session::{
            core::Core,
            error::PeerMisbehaved,
            event::Event,
            frame::Body,
            inbound::Message,
            service::{self, Service},
            timer::Timer,
        },
    },
    trace,
};

/// The most salts that may be asked for at once.
const MAX_SALTS_ASKED: usize = 64;

/// The longest delay that `ping_delay_disconnect` may ask for: a day.
const MAX_DISCONNECT_DELAY: u64 = 86_400;

impl Server {
    /// Acts on a message that passed the session's checks.
    pub(super) fn handle(
        &mut self,
        core: &mut Core,
        now: Now,
        message: &Message,
        service: Service,
    ) -> Result<(), PeerMisbehaved> {
        let msg_id = message.msg_id;
        match service {
            // Taken apart before they come here.
            Service::Container | Service::Gzip(_) => Ok(()),
            // The host knows whether the message came over HTTP, and asks for this then.
            Service::HttpWait(wait) => {
                core.http_wait = Some(wait);
                Ok(())
            }
            Service::Acks(ids) => {
                core.tracer.emit(now, || trace::Event::Acked { ids: ids.iter().collect() });
                for id in ids.iter() {
                    self.handle_ack(core, id);
                }
                Ok(())
            }
            Service::Ping { ping_id, disconnect_delay } => {
                if let Some(delay) = disconnect_delay {
                    self.disconnect_delay = u64::try_from(delay).unwrap_or(0).min(MAX_DISCONNECT_DELAY);
                    let deadline = now.mono.saturating_add(Duration::from_secs(self.disconnect_delay));
                    core.timers.set(Timer::Disconnect, deadline);
                }
                // The pong acknowledges the ping.
                core.acks.settle(msg_id);
                answer(core, Body::short(service::pong_bytes(msg_id, ping_id)))
            }
            // Of a ping of ours: there are none.
            Service::Pong { .. } => Ok(()),
            Service::GetFutureSalts { num } => {
                let unix = core.server_unix(now);
                let salts = core.salts.upcoming(unix, usize::try_from(num).unwrap_or(0).clamp(1, MAX_SALTS_ASKED));
                core.acks.settle(msg_id);
                answer(core, service::future_salts_answer(msg_id, unix, &salts))
            }
            Service::DropAnswer { req } => {
                self.handle_drop_answer(core, now, msg_id, req);
                Ok(())
            }
            Service::DestroySession { session_id } => {
                core.events.push(Event::DestroySession { session_id });
                Ok(())
            }
            Service::DestroyAuthKey => {
                core.events.push(Event::DestroyAuthKey { msg_id });
                Ok(())
            }
            Service::StateReq(ids) => {
                let info: Vec<u8> = ids.iter().map(|id| self.state_of(core, *id)).collect();
                core.acks.settle(msg_id);
                answer(core, service::msgs_state_info(msg_id, &info))?;
                self.tell_of_answers(core, now, &ids)
            }
            Service::ResendReq(ids) => {
                let mut states = Vec::with_capacity(ids.len());
                for id in &ids {
                    // Those that are sent again count as known.
                    states.push(if self.kept.contains_key(id) { 4 } else { self.state_of(core, *id) });
                    self.send_again(core, now, *id);
                }
                if ids.iter().all(|id| self.kept.contains_key(id)) {
                    core.acks.settle(msg_id);
                    return Ok(());
                }
                answer(core, service::msgs_state_info(msg_id, &states))
            }
            // `msg_resend_ans_req#8610baeb msg_ids:Vector<long>`: the answers to these requests.
            Service::ResendAnswersReq(ids) => {
                let mut all_there = true;
                for id in &ids {
                    match self.requests.get(id).copied() {
                        Some(Status::Answered(answer)) => self.send_again(core, now, answer),
                        _ => all_there = false,
                    }
                }
                if all_there {
                    core.acks.settle(msg_id);
                    return Ok(());
                }
                let states: Vec<u8> = ids.iter().map(|id| self.state_of(core, *id)).collect();
                answer(core, service::msgs_state_info(msg_id, &states))
            }
            Service::AllInfo { about, info } => {
                if broken(Check::ClientStateCount, about.len() != info.len()) {
                    return Err(PeerMisbehaved::StateCount { msg_id, found: info.len(), expected: about.len() });
                }
                for (id, state) in about.iter().zip(&info) {
                    match state & 7 {
                        1..=3 => self.send_again(core, now, *id),
                        4 => self.handle_ack(core, *id),
                        _ => {}
                    }
                }
                Ok(())
            }
            // To a question of ours: there are none.
            Service::StateInfo { req, .. } if broken(Check::ClientStatesAsked, true) => {
                Err(PeerMisbehaved::AboutUnknown { msg_id, about: req })
            }
            // A client keeps no answers, and copies are not used.
            Service::StateInfo { .. }
            | Service::DetailedInfo { .. }
            | Service::Copy(_)
            | Service::RpcResult { .. }
            | Service::FutureSalts { .. }
            | Service::SessionDestroyed { .. }
            | Service::KeyDestroyed(_)
            | Service::NewSession { .. }
            | Service::BadMsg { .. }
            | Service::BadSalt { .. } => match broken(Check::ClientRole, true) {
                true => Err(PeerMisbehaved::WrongRole { msg_id, constructor: constructor(&message.body) }),
                false => Ok(()),
            },
        }
    }

    /// The client has received a message of ours.
    fn handle_ack(&mut self, core: &mut Core, id: MsgId) {
        if let Some(kept) = self.forget(id) {
            let msg_id = match kept.what {
                super::What::Answer(req) => req,
                super::What::Update => kept.name,
                super::What::NewSession => return,
            };
            core.events.push(Event::Acknowledged { msg_id });
        }
    }

    /// `rpc_drop_answer#58e4a740 req_msg_id:long = RpcDropAnswer`.
    fn handle_drop_answer(&mut self, core: &mut Core, now: Now, msg_id: MsgId, req: MsgId) {
        let outcome = match self.requests.get(&req).copied() {
            Some(Status::Running(method)) => {
                // "The same rpc_answer_dropped_running is also returned in response to the original query."
                self.answer(core, now, req, service::rpc_answer_dropped_running(), method);
                self.requests.insert(req, Status::Cancelled);
                self.running = self.running.saturating_sub(1);
                core.events.push(Event::RequestCancelled { msg_id: req });
                service::rpc_answer_dropped_running()
            }
            Some(Status::Answered(answer)) => match self.forget(answer) {
                Some(kept) => service::rpc_answer_dropped(answer, kept.seq_no, kept.body.len()),
                None => service::rpc_answer_unknown(),
            },
            Some(Status::Cancelled | Status::Done) | None => service::rpc_answer_unknown(),
        };
        self.remember(core, msg_id, Status::Done);
        self.answer(core, now, msg_id, outcome, service::ids::RPC_DROP_ANSWER);
    }

    /// The state of a message of the client's: one byte.
    fn state_of(&self, core: &Core, id: MsgId) -> u8 {
        match self.requests.get(&id) {
            Some(Status::Running(_)) => core.state_of(id) | 32,
            Some(Status::Answered(_) | Status::Cancelled | Status::Done) => core.state_of(id) | 32 | 64,
            None => core.state_of(id),
        }
    }

    /// A client that asks about requests lacks their answers.
    fn tell_of_answers(&self, core: &mut Core, now: Now, ids: &[MsgId]) -> Result<(), PeerMisbehaved> {
        for id in ids {
            if let Some(Status::Answered(answer_id)) = self.requests.get(id)
                && let Some(kept) = self.kept.get(answer_id).filter(|kept| kept.sent && !kept.queued && kept.at < now.mono)
            {
                answer(core, service::msg_detailed_info(*id, *answer_id, kept.body.len()))?;
            }
        }
        Ok(())
    }
}

/// Queues an answer that is not kept.
fn answer(core: &mut Core, body: impl Into<Body>) -> Result<(), PeerMisbehaved> {
    if core.draft(body) { Ok(()) } else { Err(PeerMisbehaved::Flood { limit: core.limits.service_queue }) }
}
