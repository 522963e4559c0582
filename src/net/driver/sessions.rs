//! The sessions of a connection: the one that requests go to, and those under keys that have been renewed, which stay until the last of
//! their requests is answered. Nothing that is under way is moved from one to the other: what one session has sent, only that session can
//! ask the server about.

use crate::error::RequestError;
use crate::wire::Wire;
use tdl_core::mtproto::session::{Event as SessionEvent, Failure, Session};
use tdl_core::trace::Event;

use super::{Driver, End};

/// Sessions that wait for their last answers, at most. A key lasts longer than requests do, so there is one as a rule.
const MAX_DRAINING: usize = 4;
/// Keys of sessions that are over which are remembered.
const MAX_RETIRED: usize = 8;

/// The end of a temporary key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Temp {
    /// The permanent key that it is bound to.
    pub(super) perm_key_id: i64,
    /// When the next one is to be made, in Unix time by the server's clock.
    pub(super) renew_at: i64,
    /// When it ends.
    pub(super) expires_at: i64,
}

impl Temp {
    /// When the key ends, as server time is counted.
    pub(super) fn ends_at(&self) -> u64 {
        self.expires_at.try_into().unwrap_or(0)
    }
}

/// A session, and what is known about it.
pub(super) struct Active {
    /// Its number among the driver's sessions: the names of requests are the session's own.
    pub(super) serial: u64,
    pub(super) session: Session,
    pub(super) key_id: i64,
    /// If its key is a temporary one.
    pub(super) temp: Option<Temp>,
    /// Whether the server has answered an introduction in this session.
    pub(super) introduced: bool,
    /// Whether anything came under its key on this connection.
    pub(super) heard: bool,
}

impl Driver {
    /// Requests go to this session from now on.
    pub(super) fn begin(&mut self, session: Session, key_id: i64, temp: Option<Temp>) {
        self.serials += 1;
        let expires_at = temp.map(|temp| temp.expires_at);
        self.tracer.emit(self.config.clock.now(), || Event::KeyInUse { id: key_id, expires_at });
        self.session = Some(Active { serial: self.serials, session, key_id, temp, introduced: false, heard: false });
    }

    /// The session with this number, if it is not over.
    pub(super) fn active(&mut self, serial: u64) -> Option<&mut Active> {
        self.session.iter_mut().chain(&mut self.draining).find(|active| active.serial == serial)
    }

    /// The session under the key with this id.
    pub(super) fn serial_of(&self, key_id: Option<i64>) -> Option<u64> {
        let mut sessions = self.session.iter().chain(&self.draining);
        sessions.find(|active| Some(active.key_id) == key_id).map(|active| active.serial)
    }

    pub(super) fn is_current(&self, serial: u64) -> bool {
        self.session.as_ref().is_some_and(|active| active.serial == serial)
    }

    /// Whether the server knows the session that requests go to.
    pub(super) fn is_introduced(&self) -> bool {
        self.session.as_ref().is_some_and(|active| active.introduced)
    }

    /// What any of the sessions reports next.
    pub(super) fn next_event(&mut self) -> Option<(u64, SessionEvent)> {
        let sessions = self.session.iter_mut().chain(&mut self.draining);
        sessions.into_iter().find_map(|active| active.session.poll_event().map(|event| (active.serial, event)))
    }

    /// Notes what a session has learnt about its key.
    pub(super) fn learn(&mut self, serial: u64) {
        let now = self.config.clock.now();
        let Some(active) = self.active(serial) else { return };
        let (salts, offset) = (active.session.salts().to_vec(), active.session.time_offset(now));
        let (key_id, temp) = (active.key_id, active.temp.is_some());
        match &self.config.pfs {
            Some(pfs) if temp => pfs.slot.learn(key_id, &salts, offset),
            _ => self.key.learn(key_id, &salts, offset),
        }
        self.host.salts_changed(key_id, &salts, offset);
    }

    /// Takes the session in use out of use. It stays for the answers that are under way in it.
    pub(super) fn retire(&mut self) {
        let Some(active) = self.session.take() else { return };
        self.draining.push_back(active);
        if self.draining.len() > MAX_DRAINING
            && let Some(oldest) = self.draining.pop_front()
        {
            self.abandon(&oldest);
        }
    }

    /// Whether updates come in sessions out of use: a connection that is kept for them gets them from the old session until the new one is
    /// known.
    pub(super) fn is_covering(&self) -> bool {
        self.keep_alive && !self.config.prelude.hello.is_empty() && !self.is_introduced()
    }

    /// Ends sessions that have nothing left to wait for.
    pub(super) fn retire_drained(&mut self, io: &mut Wire) -> Result<(), End> {
        if self.is_covering() || self.draining.is_empty() || !io.has_room() {
            return Ok(());
        }
        let now = self.config.clock.now();
        let sealing = self.sealing.as_ref().map(|sealing| sealing.serial);
        for mut active in std::mem::take(&mut self.draining) {
            if active.session.pending() > 0 || sealing == Some(active.serial) {
                self.draining.push_back(active);
                continue;
            }
            // Not under a key that is about to end: the server would take the last words for a stranger's.
            if active.temp.is_none_or(|temp| active.session.server_time(now).as_secs() + 1 < temp.ends_at()) {
                active.session.flush_acks();
                while let Some(frame) = io.turn(false, active.key_id).and_then(|turn| turn.poll(&mut active.session, now)) {
                    io.queue(&frame, false, &mut self.rng).map_err(End::Violation)?;
                }
            }
            self.parted = true;
            self.note_retired(active.key_id);
        }
        Ok(())
    }

    /// A session is over, whatever is under way in it. What cannot have been executed is asked again in another one; of the rest nobody
    /// will ever know, so it is not.
    pub(super) fn abandon(&mut self, active: &Active) {
        // What has not gone out does not go out any more.
        self.sealing.take_if(|sealing| sealing.serial == active.serial);
        let of_it = |id: Option<(u64, _)>| id.is_some_and(|(serial, _)| serial == active.serial);
        let mut tokens: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| of_it(pending.id)).map(|(token, _)| *token).collect();
        tokens.sort_unstable();
        // In front of what waits, in their order.
        for token in tokens.into_iter().rev() {
            let Some(mut pending) = self.take(token) else { continue };
            // Nothing was heard on the only connection that it was handed to, but the refusal; or it was never written.
            let unheard = !active.heard || pending.id.is_some_and(|(_, id)| !active.session.may_have_been_executed(id));
            if unheard && pending.connection == self.connections {
                (pending.id, pending.deadline) = (None, None);
                self.pending.insert(token, pending);
                self.waiting.push_front(token);
            } else {
                let _ = pending.reply.send(Err(RequestError::Failed(Failure::SessionReset)));
            }
        }
        self.note_retired(active.key_id);
    }

    fn note_retired(&mut self, key_id: i64) {
        self.retired.push_back(key_id);
        if self.retired.len() > MAX_RETIRED {
            self.retired.pop_front();
        }
    }
}
