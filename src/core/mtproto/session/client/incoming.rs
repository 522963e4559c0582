//! Service messages of the server's.

use bytes::Bytes;

use super::{Client, Failure};
use crate::{
    check::{Check, broken},
    clock::Now,
    ids::MsgId,
    mtproto::{
        container::constructor,
        gzip,
        rpc_error::RpcError,
        session::{
            core::Core,
            error::PeerMisbehaved,
            event::{Event, KeyDestruction},
            frame::Body,
            inbound::{Message, malformed},
            ledger::Service as Sent,
            service::{self, Service, ids},
        },
    },
    tl::Reader,
    trace,
};

impl Client {
    /// Acts on a message that passed the session's checks.
    pub(in super::super) fn handle(
        &mut self,
        core: &mut Core,
        now: Now,
        message: &Message,
        service: Service,
    ) -> Result<(), PeerMisbehaved> {
        let msg_id = message.msg_id;
        match service {
            // Taken apart before they come here.
            Service::Container | Service::Gzip(_) | Service::Copy(_) => Ok(()),
            Service::RpcResult { req, result } => self.handle_result(core, now, message, req, result),
            Service::Acks(ids) => {
                core.tracer.emit(now, || trace::Event::Acked { ids: ids.iter().collect() });
                for id in ids.iter() {
                    self.mark_received(core, id);
                }
                Ok(())
            }
            Service::Pong { msg_id: about, ping_id } => {
                self.note_accepted(core, about);
                self.handle_pong(core, now, ping_id, msg_id.unix());
                Ok(())
            }
            Service::Ping { ping_id, disconnect_delay: _ } => draft(core, Body::short(service::pong_bytes(msg_id, ping_id))),
            Service::BadMsg { about, code } => self.handle_bad_msg(core, now, msg_id, about, code),
            Service::BadSalt { about, code: _, salt } => self.handle_bad_salt(core, now, msg_id, about, salt),
            Service::NewSession { first_msg_id, unique_id, salt } => {
                core.tracer.emit(now, || trace::Event::SessionCreated { first_msg_id, unique_id, salt });
                core.use_salt(now, salt);
                self.handle_new_session(core, now, first_msg_id, unique_id);
                Ok(())
            }
            Service::FutureSalts { req, salts } => {
                // "The client must check to see that the response's req_msg_id in fact coincides with msg_id of the query".
                let asked = matches!(core.ledger.get(req), Some(Sent::FutureSalts));
                if broken(Check::SaltsAsked, !asked) {
                    return Err(PeerMisbehaved::AboutUnknown { msg_id, about: req });
                }
                core.ledger.remove(req);
                self.note_accepted(core, req);
                core.announce_salts(now, salts);
                if core.salts.ahead(core.server_unix(now)) == 0 {
                    self.salts_not_before = Some(now.mono.saturating_add(super::SALT_FUTILE));
                }
                Ok(())
            }
            Service::StateReq(ids) => {
                let info: Vec<u8> = ids.iter().map(|id| core.state_of(*id)).collect();
                draft(core, service::msgs_state_info(msg_id, &info))
            }
            Service::StateInfo { req, info } => self.handle_state_info(core, now, msg_id, req, &info),
            Service::AllInfo { about, info } => self.handle_states(core, now, msg_id, None, &about, &info),
            Service::DetailedInfo { about, answer } => self.handle_detailed_info(core, now, about, answer),
            Service::ResendReq(ids) => self.handle_resend_req(core, msg_id, &ids),
            Service::SessionDestroyed { session_id, existed } => {
                if self.doomed.remove(&session_id).is_some() {
                    core.events.push(Event::SessionDestroyed { session_id, existed });
                }
                Ok(())
            }
            Service::KeyDestroyed(outcome) => {
                self.handle_key_destroyed(core, outcome);
                Ok(())
            }
            Service::DropAnswer { .. }
            | Service::DestroyAuthKey
            | Service::GetFutureSalts { .. }
            | Service::ResendAnswersReq(_)
            | Service::DestroySession { .. }
            | Service::HttpWait(_) => match broken(Check::ServerRole, true) {
                true => Err(PeerMisbehaved::WrongRole { msg_id, constructor: constructor(&message.body) }),
                false => Ok(()),
            },
        }
    }

    /// What is no service message is an update.
    pub(in super::super) fn handle_update(&self, core: &mut Core, now: Now, body: Bytes) {
        core.trace_update(now, &body);
        core.events.push(Event::Update(body));
    }

    /// `rpc_result#f35c6d01 req_msg_id:long result:Object`. The result stays a slice of the received frame.
    fn handle_result(
        &mut self,
        core: &mut Core,
        now: Now,
        message: &Message,
        req: MsgId,
        result: Bytes,
    ) -> Result<(), PeerMisbehaved> {
        self.note_accepted(core, req);
        let Some(&id) = self.by_msg.get(&req) else {
            return self.handle_service_result(core, now, message, req, result);
        };
        match read_result(core, message.msg_id, result) {
            Ok((Err(error), _)) if self.may_wait(core, id, &error) => {
                // It was not executed: it is sent again when what it waits for has ended.
                if let Some(request) = self.requests.get_mut(&id) {
                    request.patient = true;
                }
                self.resend(core, id, true);
                Ok(())
            }
            Ok((result, packed)) => {
                self.complete(core, now, id, req, result, packed);
                Ok(())
            }
            Err(error) => {
                // It is acknowledged and does not come again: waiting would be in vain.
                self.fail(core, id, Failure::UnreadableAnswer);
                Err(error)
            }
        }
    }

    /// Whether an error says that a request did not get its turn behind those that it was to come after, and may be sent again.
    fn may_wait(&self, core: &Core, id: super::RequestId, error: &RpcError) -> bool {
        (error.is("MSG_WAIT_FAILED") || error.is("MSG_WAIT_TIMEOUT"))
            && self.requests.get(&id).is_some_and(|request| {
                !request.after.is_empty() && request.phase != super::Phase::Queued && request.resends < core.limits.resends
            })
    }

    /// `DestroyAuthKeyRes`, bare or as a result.
    fn handle_key_destroyed(&mut self, core: &mut Core, outcome: KeyDestruction) {
        if self.key_doomed.take().is_some() {
            core.events.push(Event::AuthKeyDestroyed { outcome });
        }
    }

    /// The answer to a request that is not pending: to a service request, to a cancelled one, or to one answered before.
    fn handle_service_result(
        &mut self,
        core: &mut Core,
        now: Now,
        message: &Message,
        req: MsgId,
        result: Bytes,
    ) -> Result<(), PeerMisbehaved> {
        match core.ledger.get(req) {
            Some(Sent::DropAnswer(dropped)) => {
                let dropped = *dropped;
                core.ledger.remove(req);
                let outcome = service::read_drop_outcome(&result).map_err(|error| malformed(message, error.into()))?;
                if let (Some(cancelled), Some(outcome)) = (self.drops.remove(&dropped), outcome) {
                    core.events.push(Event::AnswerDropped { id: cancelled.id, outcome });
                }
                return Ok(());
            }
            Some(Sent::DestroySession(session_id)) => {
                let session_id = *session_id;
                core.ledger.remove(req);
                if self.doomed.remove(&session_id).is_some() {
                    let existed = constructor(&result) == ids::DESTROY_SESSION_OK;
                    core.events.push(Event::SessionDestroyed { session_id, existed });
                }
                return Ok(());
            }
            Some(Sent::DestroyAuthKey) => {
                core.ledger.remove(req);
                if let Some(outcome) = service::key_destruction(constructor(&result)) {
                    self.handle_key_destroyed(core, outcome);
                }
                return Ok(());
            }
            _ => {}
        }
        let reason =
            if self.drops.contains_key(&req) { "the request was cancelled" } else { "no request waits for this answer" };
        core.tracer.emit(now, || trace::Event::MessageIgnored { msg_id: message.msg_id, reason: reason.into() });
        Ok(())
    }

    /// The method that an `rpc_result` answers; 0 for what is none, and for requests that have ended.
    pub(in super::super) fn method_answered(&self, body: &[u8]) -> u32 {
        let req = match body.split_first_chunk::<4>() {
            Some((id, rest)) if u32::from_le_bytes(*id) == ids::RPC_RESULT => rest.first_chunk::<8>(),
            _ => None,
        };
        let id = req.and_then(|req| self.by_msg.get(&MsgId(i64::from_le_bytes(*req))));
        id.and_then(|id| self.requests.get(id)).map_or(0, |request| request.method)
    }
}

/// Queues an answer of ours.
pub(super) fn draft(core: &mut Core, body: impl Into<Body>) -> Result<(), PeerMisbehaved> {
    if core.draft(body) { Ok(()) } else { Err(PeerMisbehaved::Flood { limit: core.limits.service_queue }) }
}

/// A result or an error, and how many bytes it was if it came packed.
type Read = (Result<Bytes, RpcError>, Option<usize>);

/// Tells a result from an error, and unpacks it.
fn read_result(core: &mut Core, msg_id: MsgId, result: Bytes) -> Result<Read, PeerMisbehaved> {
    let wire = |constructor| move |error| PeerMisbehaved::Malformed { msg_id, constructor, error };
    let (result, packed) = match constructor(&result) {
        gzip::ID => {
            let mut reader = Reader::new(result);
            let data = reader.u32().and_then(|_| reader.bytes()).map_err(wire(gzip::ID))?;
            let unpacked = core.unpack(msg_id, &data)?;
            (unpacked, Some(data.len()))
        }
        _ => (result, None),
    };
    if constructor(&result) != ids::RPC_ERROR {
        return Ok((Ok(result), packed));
    }
    let mut reader = Reader::new(result);
    let error = (|| {
        reader.u32()?;
        let code = reader.i32()?;
        let message = reader.bytes()?;
        reader.finish()?;
        Ok(RpcError::new(code, String::from_utf8_lossy(&message)))
    })()
    .map_err(wire(ids::RPC_ERROR))?;
    Ok((Err(error), packed))
}
