//! Requests that somebody waits for: queued, handed to the session, timed, taken out again.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::RequestError;
use crate::link::Outgoing;
use tdl_core::mtproto::session::{Query, RequestId, RequestOptions};
use tdl_core::tl::api::functions::InvokeWithTakeout;
use tdl_core::tl::{Identifiable, RawObject};
use tdl_core::trace::Event;

use super::sessions::Active;
use super::{Driver, End};

/// A request that somebody waits for.
pub(super) struct Pending {
    /// The request with the prelude in front.
    pub(super) wrapped: Query,
    /// How much of it is prelude.
    pub(super) prelude: usize,
    /// Whether the prelude introduces the connection.
    pub(super) introduces: bool,
    /// How often it has been sent again because the server said that it had not executed it.
    pub(super) repetitions: u8,
    /// Whether it may be sent packed.
    pub(super) compress: bool,
    /// The method that the trace names; 0 for what the body begins with.
    method: u32,
    /// Whether it is answered with a part of a file.
    pub(super) has_long_answer: bool,
    /// Requests that the server has to have done first, by token.
    after: Vec<u64>,
    /// The session it was handed to, and its name there.
    pub(super) id: Option<(u64, RequestId)>,
    /// The connection over which it was first sent, by number.
    pub(super) connection: u64,
    /// When it times out, while connected.
    pub(super) deadline: Option<Duration>,
    pub(super) reply: oneshot::Sender<Result<Bytes, RequestError>>,
}

impl Pending {
    pub(super) fn new(outgoing: Outgoing, reply: oneshot::Sender<Result<Bytes, RequestError>>) -> Self {
        let Outgoing { body, compress, method, after } = outgoing;
        Self {
            has_long_answer: has_long_answer(if method == 0 { method_of(body.head()) } else { method }),
            wrapped: body,
            method,
            after,
            prelude: 0,
            introduces: false,
            repetitions: 0,
            compress,
            id: None,
            connection: 0,
            deadline: None,
            reply,
        }
    }
}

/// Whether a method is answered with a part of a file: such requests do not share a container, or one would wait for the other's answer.
fn has_long_answer(method: u32) -> bool {
    use tdl_core::tl::api::functions::upload;
    matches!(method, upload::GetFile::ID | upload::GetCdnFile::ID | upload::GetWebFile::ID)
}

/// The method that a request's body calls: what is inside, if it is called in a takeout. 0 if there is none.
fn method_of(body: &[u8]) -> u32 {
    let id_at = |at| body.get(at..).and_then(|rest: &[u8]| rest.first_chunk()).map_or(0, |id| u32::from_le_bytes(*id));
    match id_at(0) {
        // The identifier of the takeout stands between the two.
        InvokeWithTakeout::<RawObject>::ID => id_at(12),
        id => id,
    }
}

/// Bytes by which a prelude may lengthen a request.
const PRELUDE_ROOM: usize = 4096;

impl Driver {
    /// Takes a request out, and tells the session to drop it.
    pub(super) fn forget(&mut self, token: u64) {
        if let Some(pending) = self.take(token) {
            self.cancel(&pending);
        }
    }

    /// Tells the session that a request was handed to that nobody waits for it.
    fn cancel(&mut self, pending: &Pending) {
        let now = self.config.clock.now();
        if let Some((serial, id)) = pending.id
            && let Some(active) = self.active(serial)
        {
            active.session.cancel(now, id);
        }
    }

    pub(super) fn take(&mut self, token: u64) -> Option<Pending> {
        let pending = self.pending.remove(&token)?;
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, token));
        }
        match pending.id {
            Some(id) => drop(self.by_request.remove(&id)),
            None => self.waiting.retain(|waiting| *waiting != token),
        }
        Some(pending)
    }

    pub(super) fn fail_all(&mut self, error: &RequestError) {
        let tokens: Vec<_> = self.pending.keys().copied().collect();
        for token in tokens {
            let Some(pending) = self.take(token) else { continue };
            self.cancel(&pending);
            // Whoever has stopped waiting does not want to know.
            let _ = pending.reply.send(Err(error.clone()));
        }
    }

    /// Gives waiting requests to the session, each with the prelude that it needs now.
    pub(super) fn hand_over(&mut self) {
        let now = self.config.clock.now();
        let Some(Active { session, serial, introduced, .. }) = &mut self.session else { return };
        // Those that come after one which the server does not know in this session.
        let mut held = Vec::new();
        while let Some(token) = self.waiting.pop_front() {
            // What has ended is no obstacle. Where the server does not know of it in this session, its end is waited for.
            let mut after = Vec::new();
            let mut waits = false;
            for before in self.pending.get(&token).into_iter().flat_map(|pending| &pending.after) {
                match self.pending.get(before).map(|before| before.id) {
                    None => {}
                    Some(Some((at, id))) if at == *serial => after.push(id),
                    Some(_) => waits = true,
                }
            }
            if waits {
                held.push(token);
                continue;
            }
            let Some(pending) = self.pending.get_mut(&token) else { continue };
            if !session.has_room_for(pending.wrapped.len().saturating_add(PRELUDE_ROOM)) {
                // What is answered makes room.
                self.waiting.push_front(token);
                break;
            }
            let prelude = &self.config.prelude;
            let introduces = !*introduced && !prelude.first.is_empty();
            if introduces {
                self.tracer.emit(now, || Event::Negotiated { layer: prelude.layer, device: prelude.device.clone() });
            }
            let bare = pending.wrapped.without(pending.prelude);
            let method = match pending.method {
                0 => method_of(bare.head()),
                method => method,
            };
            let front = match introduces {
                true => &[&prelude.first[..], &prelude.every].concat(),
                false => &prelude.every[..],
            };
            (pending.prelude, pending.introduces) = (front.len(), introduces);
            pending.wrapped = bare.behind(front);
            let options = RequestOptions {
                method,
                compress: pending.compress,
                alone: has_long_answer(method),
                quick_ack: self.config.quick_acks,
            };
            let id = match session.request_query(now, pending.wrapped.clone(), options, &after) {
                Ok(id) => id,
                Err(error) => {
                    if let Some(pending) = self.pending.remove(&token) {
                        let _ = pending.reply.send(Err(RequestError::Misuse(error)));
                    }
                    continue;
                }
            };
            pending.id = Some((*serial, id));
            pending.connection = self.connections;
            self.by_request.insert((*serial, id), token);
            if !self.config.request_timeout.is_zero() {
                let deadline = now.mono + self.config.request_timeout;
                pending.deadline = Some(deadline);
                self.deadlines.insert((deadline, token));
            }
        }
        // In front, in their order.
        for token in held.into_iter().rev() {
            self.waiting.push_front(token);
        }
    }

    /// Requests count their time from here: while there was no connection, the reconnect timeout counted.
    pub(super) fn restart_deadlines(&mut self, mono: Duration) {
        self.deadlines.clear();
        if self.config.request_timeout.is_zero() {
            return;
        }
        let deadline = mono + self.config.request_timeout;
        for (token, pending) in self.pending.iter_mut().filter(|(_, pending)| pending.id.is_some()) {
            pending.deadline = Some(deadline);
            self.deadlines.insert((deadline, *token));
        }
    }

    /// Wakes the sessions, gives up requests whose time is over, and sees to the key.
    pub(super) fn expire(&mut self) -> Result<(), End> {
        let now = self.config.clock.now();
        for active in self.session.iter_mut().chain(&mut self.draining) {
            active.session.handle_timeout(now);
        }
        while let Some((deadline, token)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now.mono) {
            self.deadlines.remove(&(deadline, token));
            let Some(pending) = self.take(token) else { continue };
            self.cancel(&pending);
            let _ = pending.reply.send(Err(RequestError::Timeout { after: self.config.request_timeout }));
        }
        self.check_keys(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tdl_core::tl::Serialize as _;
    use tdl_core::tl::api::functions::{help, upload};

    #[test]
    fn what_is_called_in_a_takeout_is_what_is_inside() {
        let call = upload::GetFile::default();
        assert_eq!(method_of(&call.to_bytes()), upload::GetFile::ID);
        let wrapped = InvokeWithTakeout { takeout_id: -1, query: call }.to_bytes();
        assert_eq!(method_of(&wrapped), upload::GetFile::ID);
        assert!(has_long_answer(method_of(&wrapped)), "it has a frame of its own");
        assert!(!has_long_answer(method_of(&InvokeWithTakeout { takeout_id: 1, query: help::GetConfig }.to_bytes())));
        for len in 0..16 {
            assert_ne!(method_of(&wrapped[..len]), upload::GetFile::ID, "{len}");
        }
    }
}
