//! What the sessions here have to say: their events, their frames, and when they want to be woken.

use std::sync::Arc;
use std::time::Duration;

use super::{Closed, Connection, MAX_UNWRITTEN};
use crate::server::answers::Answers;
use crate::server::sessions::{Dismissal, SessionKey, Slot};
use tdl_core::mtproto::session::{DeathCause, Event};
use tdl_core::transport::Codec;

impl<A: Answers> Connection<A> {
    /// Whether so much waits that nothing more should be read.
    pub(in super::super) fn queues_are_full(&self) -> bool {
        self.slots.iter().any(|slot| A::is_full(&slot.lock()))
    }

    /// When the first of the sessions here wants to be woken.
    pub(in super::super) fn next_timeout(&self) -> Option<Duration> {
        let timeout_of = |slot: &Arc<Slot<A>>| {
            let inner = slot.lock();
            if inner.is_at(self.id) { inner.session.poll_timeout() } else { None }
        };
        self.slots.iter().filter_map(timeout_of).min()
    }

    /// Time has passed.
    pub(in super::super) fn handle_timeouts(&self) {
        let now = self.shared.now();
        for slot in &self.slots {
            let mut inner = slot.lock();
            if inner.is_at(self.id) {
                inner.session.handle_timeout(now);
                inner.observe(now);
            }
        }
    }

    /// Takes the sessions' events. Returns why one of them wants the connection closed, if one does.
    pub(in super::super) fn take_events(&self) -> Result<Option<DeathCause>, Closed> {
        let mut dead = None;
        for slot in &self.slots {
            loop {
                let event = slot.lock().session.poll_event();
                let Some(event) = event else { break };
                match event {
                    Event::Request { msg_id, body } => A::submit(&self.shared, slot, msg_id, body),
                    Event::RequestCancelled { msg_id } => A::cancel(&self.shared, slot, msg_id),
                    Event::DestroySession { session_id } => {
                        let now = self.shared.now();
                        let known = self.shared.sessions.remove(now, SessionKey { session: session_id, ..slot.key });
                        if let Err(error) = slot.lock().session.session_destroyed(session_id, known) {
                            tracing::debug!(%error, "answer to destroy_session not sent");
                        }
                    }
                    Event::DestroyAuthKey { msg_id } => {
                        let outcome = A::destroy_key(&self.shared, self.dc, slot.key.key_id)?;
                        if let Err(error) = slot.lock().session.auth_key_destroyed(msg_id, outcome) {
                            tracing::debug!(%error, "answer to destroy_auth_key not sent");
                        }
                    }
                    Event::ConnectionDead(cause) => dead = Some(cause),
                    // A call that nobody waits for any more runs to its end; acknowledgements are the session's business.
                    _ => {}
                }
            }
            let dismissal = {
                let mut inner = slot.lock();
                inner.observe(self.shared.now());
                if inner.is_at(self.id) { inner.take_dismissal() } else { None }
            };
            match dismissal {
                Some(Dismissal::Wanted) => return Err(Closed::Dismissed),
                Some(Dismissal::Midway) => return Err(Closed::Midway),
                Some(Dismissal::KeyUnknown) => return Err(Closed::UnknownKey(slot.key.key_id)),
                None => {}
            }
        }
        Ok(dead)
    }

    /// Takes the sessions' events, and their frames as long as the client takes them.
    pub(super) fn make_ready(&mut self, codec: &mut Codec) -> Result<(), Closed> {
        let dead = self.take_events()?;
        self.take_frames(codec)?;
        dead.map_or(Ok(()), |cause| Err(Closed::Dead(cause)))
    }

    /// Takes the frames of the sessions here as long as there is room for them.
    fn take_frames(&mut self, codec: &mut Codec) -> Result<(), Closed> {
        let now = self.shared.now();
        for slot in &self.slots {
            let mut inner = slot.lock();
            if !inner.is_at(self.id) {
                continue;
            }
            let start = self.output.len();
            while self.output.len() < MAX_UNWRITTEN {
                let Some(frame) = inner.session.poll_output(now) else {
                    inner.unsent = 0;
                    break;
                };
                inner.unsent = inner.unsent.saturating_sub(frame.len());
                let before = self.output.len();
                codec.encode(&frame, &mut rand::rng(), &mut self.output)?;
                self.trace_sent(frame.len(), self.output.len().saturating_sub(before), codec.padding_sent());
            }
            // Under the same lock as the frames: the answer that is to be cut is among them, and not all of it is written yet.
            let new = self.output.len().saturating_sub(start);
            if new > 0 && inner.take_midway() {
                self.output.truncate(start.saturating_add(new / 2));
                return Err(Closed::Midway);
            }
            A::resume(&self.shared, slot, &mut inner);
        }
        Ok(())
    }
}
