//! Requests that somebody waits for: queued, handed to the session, timed, taken out again.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use crate::mtproto::session::{RequestId, RequestOptions};
use crate::net::error::RequestError;
use crate::trace::Event;

use super::Driver;

/// A request that somebody waits for.
pub(super) struct Pending {
    /// The request with the prelude in front.
    pub(super) wrapped: Bytes,
    /// How much of it is prelude.
    pub(super) prelude: usize,
    /// Whether the prelude introduces the connection.
    pub(super) introduces: bool,
    /// How often it has been sent again to introduce it.
    pub(super) introductions: u8,
    /// Whether it may be sent packed.
    pub(super) compress: bool,
    /// Its name in the session, once handed over.
    pub(super) id: Option<RequestId>,
    /// When it times out, while connected.
    pub(super) deadline: Option<Duration>,
    pub(super) reply: oneshot::Sender<Result<Bytes, RequestError>>,
}

impl Driver {
    /// Takes a request out, and tells the session to drop it.
    pub(super) fn forget(&mut self, token: u64) {
        if let Some(pending) = self.take(token)
            && let (Some(id), Some((session, _))) = (pending.id, &mut self.session)
        {
            session.cancel(self.config.clock.now(), id);
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
        let now = self.config.clock.now();
        for token in tokens {
            let Some(pending) = self.take(token) else { continue };
            if let (Some(id), Some((session, _))) = (pending.id, &mut self.session) {
                session.cancel(now, id);
            }
            // Whoever has stopped waiting does not want to know.
            let _ = pending.reply.send(Err(error.clone()));
        }
    }

    /// Gives waiting requests to the session, each with the prelude that it needs now.
    pub(super) fn hand_over(&mut self) {
        let now = self.config.clock.now();
        let Some((session, _)) = &mut self.session else { return };
        while let Some(token) = self.waiting.pop_front() {
            let Some(pending) = self.pending.get_mut(&token) else { continue };
            let prelude = &self.config.prelude;
            let introduces = !self.introduced && !prelude.first.is_empty();
            if introduces {
                self.tracer.emit(now, || Event::Negotiated { layer: prelude.layer, device: prelude.device.clone() });
            }
            let bare = pending.wrapped.slice(pending.prelude..);
            let method = bare.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
            let first: &[u8] = if introduces { &prelude.first } else { &[] };
            pending.prelude = first.len() + prelude.every.len();
            pending.introduces = introduces;
            pending.wrapped = if pending.prelude == 0 {
                bare
            } else {
                let mut whole = BytesMut::with_capacity(pending.prelude + bare.len());
                whole.extend_from_slice(first);
                whole.extend_from_slice(&prelude.every);
                whole.extend_from_slice(&bare);
                whole.freeze()
            };
            let options = RequestOptions { method, compress: pending.compress, quick_ack: self.config.quick_acks };
            let id = match session.request(now, pending.wrapped.clone(), options) {
                Ok(id) => id,
                Err(error) => {
                    if let Some(pending) = self.pending.remove(&token) {
                        let _ = pending.reply.send(Err(RequestError::Misuse(error)));
                    }
                    continue;
                }
            };
            pending.id = Some(id);
            self.by_request.insert(id, token);
            if !self.config.request_timeout.is_zero() {
                let deadline = now.mono + self.config.request_timeout;
                pending.deadline = Some(deadline);
                self.deadlines.insert((deadline, token));
            }
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

    /// Wakes the session, and gives up requests whose time is over.
    pub(super) fn expire(&mut self) {
        let now = self.config.clock.now();
        if let Some((session, _)) = &mut self.session {
            session.handle_timeout(now);
            while let Some((deadline, token)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now.mono) {
                self.deadlines.remove(&(deadline, token));
                let Some(pending) = self.take(token) else { continue };
                if let (Some(id), Some((session, _))) = (pending.id, &mut self.session) {
                    session.cancel(now, id);
                }
                let _ = pending.reply.send(Err(RequestError::Timeout { after: self.config.request_timeout }));
            }
        }
    }
}
