//! Encrypted messages: under which key, of which session, and whether the session takes them.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Closed, Connection, Handled};
use crate::server::answers::Answers;
use crate::server::sessions::{SessionKey, Slot};
use crate::state;
use tdl_core::crypto::AuthKey;
use tdl_core::crypto::kdf::Side;
use tdl_core::mtproto::envelope::{self, Opened};
use tdl_core::mtproto::plain;
use tdl_core::mtproto::session::{FutureSalt, PeerMisbehaved, ServerParams, Session, SessionError};
use tdl_core::trace;

/// Sessions on one connection; nobody needs more than two.
pub(super) const MAX_SESSIONS: usize = 16;
/// Salts given to a session: with one every half hour, enough for more than a day.
const SALTS: usize = 64;
/// Seconds before their end at which more salts are given.
pub(in super::super) const SALTS_AHEAD: i64 = 4 * 3600;

impl<A: Answers> Connection<A> {
    /// Acts on a frame. `http`: its session is to share this connection with others, and answers only when it is asked.
    pub(in super::super) async fn handle_frame(&mut self, frame: BytesMut, http: bool) -> Result<Handled<A>, Closed> {
        if plain::is_plain(&frame) {
            return self.handle_handshake(frame).await;
        }
        let key_id = envelope::key_id_of(&frame).unwrap_or(0);
        let key = self.key(key_id)?;
        let (len, now) = (frame.len(), self.shared.now());
        let (opened, token) = envelope::open_with_token(&key, Side::Client, frame).map_err(|error| {
            self.tracer.emit(now, || envelope::traced(key_id, len, Err(&error)));
            self.tracer.emit(now, || trace::Event::CheckFailed { rule: error.rule().into(), detail: error.to_string() });
            SessionError::Envelope(error)
        })?;
        self.tracer.emit(now, || envelope::traced(key_id, len, Ok((&opened, Some(token)))));
        let slot = match self.slot(&key, &opened) {
            Err(error @ Closed::SessionDestroyed(_)) => {
                tracing::debug!(conn = self.id.0, %error, "message dropped");
                return Ok(Handled::Dropped);
            }
            slot => slot?,
        };
        let now = self.shared.now();
        if http {
            slot.attach_http(now, self.id, self.peer.ip(), &self.notify);
        } else {
            slot.attach(now, self.id, self.peer.ip(), &self.notify);
        }
        let handled = slot.lock().session.handle_opened(now, opened);
        let received = match handled {
            Err(error @ SessionError::PeerMisbehaved(PeerMisbehaved::Flood { .. })) => return Err(error.into()),
            Ok(()) | Err(SessionError::PeerMisbehaved(PeerMisbehaved::Duplicate { .. })) => true,
            // A client whose mistake was answered by a notice is given the chance to make it good.
            Err(error) => {
                tracing::debug!(conn = self.id.0, %error, "message refused");
                false
            }
        };
        // At once, not with the next frames: what a call changes must not wait for them.
        let dead = self.take_events()?;
        match dead {
            // Over HTTP there is no connection whose end could be meant.
            Some(cause) if !http => Err(Closed::Dead(cause)),
            _ => Ok(Handled::Message { slot, token, received }),
        }
    }

    /// The key with an id: remembered for the connection, as long as it lasts and no key of the cluster was forgotten.
    fn key(&mut self, key_id: i64) -> Result<AuthKey, Closed> {
        let losses = self.shared.state.key_losses();
        if self.key_losses != losses {
            self.keys.clear();
            self.key_losses = losses;
        }
        let now = self.shared.now().unix();
        if let Some((key, expires)) = self.keys.get(&key_id)
            && expires.is_none_or(|at| now < at)
        {
            return Ok(key.clone());
        }
        self.keys.remove(&key_id);
        let (key, expires) = self.shared.state.auth_key_until(self.dc, key_id, now)?.ok_or(Closed::UnknownKey(key_id))?;
        self.shared.key_log.key(&key, self.dc, expires);
        self.keys.insert(key_id, (key.clone(), expires));
        self.drop_ended_sessions(now)?;
        Ok(key)
    }

    /// Sessions of keys that have ended go with them: a connection may see many keys, but uses few at a time.
    fn drop_ended_sessions(&mut self, now: i64) -> Result<(), Closed> {
        for slot in std::mem::take(&mut self.slots) {
            let key_id = slot.key.key_id;
            let lives = match self.keys.get(&key_id) {
                Some((_, expires)) => expires.is_none_or(|at| now < at),
                None => self.shared.state.auth_key(self.dc, key_id, now)?.is_some(),
            };
            if lives {
                self.slots.push(slot);
            } else {
                slot.detach(self.shared.now(), self.id);
            }
        }
        Ok(())
    }

    /// The session that a message belongs to.
    fn slot(&mut self, key: &AuthKey, opened: &Opened) -> Result<Arc<Slot<A>>, Closed> {
        let session_key = SessionKey { dc: self.dc.0, key_id: key.id(), session: opened.session_id };
        let now = self.shared.now();
        if self.shared.sessions.is_destroyed(now, session_key) {
            return Err(Closed::SessionDestroyed(opened.session_id));
        }
        let known = self.slots.iter().find(|slot| slot.key == session_key).cloned().or_else(|| {
            let slot = self.shared.sessions.find(session_key)?;
            self.slots.push(Arc::clone(&slot));
            Some(slot)
        });
        let slot = match known {
            Some(slot) => slot,
            None => {
                let (salts, until) = self.salts(key.id(), now.unix())?;
                let seed: [u8; 32] = rand::random();
                let mut params = ServerParams::new(key.clone(), opened.session_id, salts, seed);
                params.tracer = self.tracer.clone();
                params.limits.kept_bytes = A::KEPT_BYTES;
                let slot = self.shared.sessions.add(now, session_key, Session::server(params, now), until);
                self.slots.push(Arc::clone(&slot));
                slot
            }
        };
        if self.slots.len() > MAX_SESSIONS {
            return Err(Closed::TooManySessions);
        }
        let mut inner = slot.lock();
        if !inner.is_at(self.id) {
            inner.session.set_tracer(self.tracer.clone());
        }
        if now.unix() > inner.salts_until.saturating_sub(SALTS_AHEAD) {
            let (salts, until) = self.salts(key.id(), now.unix())?;
            if let Err(error) = inner.session.set_salts(salts) {
                tracing::debug!(%error, "salts not set");
            }
            inner.salts_until = until;
        }
        drop(inner);
        Ok(slot)
    }

    fn salts(&self, key_id: i64, now: i64) -> Result<(Vec<FutureSalt>, i64), state::Error> {
        let periods = self.shared.state.salts(self.dc, key_id, now, SALTS)?;
        let until = periods.iter().map(|p| p.until).max().unwrap_or(now);
        Ok((periods.iter().map(|p| FutureSalt { since: p.since, until: p.until, salt: p.salt }).collect(), until))
    }
}
