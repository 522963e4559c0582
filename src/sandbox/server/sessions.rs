//! Sessions by key and identifier. They outlive connections: a client that connects again goes on where it was, on whatever connection
//! its next message comes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::turns::{Turn, Turns};
use super::work::Queues;
use crate::clock::Now;
use crate::ids::{MsgId, SessionId};
use crate::mtproto::session::Session;
use crate::sandbox::{dispatch, layers};
use crate::trace::ConnId;

/// How long a session without a connection is remembered.
const KEEP: Duration = Duration::from_secs(900);
/// How long a message is in time: 300 seconds, and 30 that it may have been early.
const REPLAYABLE: Duration = Duration::from_secs(330);
/// Finished calls remembered for `invokeAfterMsg`.
const FINISHED: usize = 1024;

/// Which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) dc: i32,
    pub(crate) key_id: i64,
    pub(crate) session: SessionId,
}

/// A session and what the server keeps beside it.
pub(crate) struct Slot {
    pub(crate) key: SessionKey,
    inner: Mutex<Inner>,
}

/// Where a session's messages go.
enum Owner {
    /// To one connection, at any time; and how to wake its task.
    Stream(ConnId, Arc<Notify>),
    /// To requests over HTTP.
    Http(Turns),
}

/// The part of a slot that changes.
pub(crate) struct Inner {
    pub(crate) session: Session,
    /// The connection or connections that the session's messages come from and go to.
    owner: Option<Owner>,
    /// The account to whose updates the session is entitled: logged in here, not imported from elsewhere.
    pub(crate) user: Option<i64>,
    /// The permanent key behind the session's own, as of the last call: itself, unless that is a temporary one.
    pub(crate) behind: i64,
    /// The layer that it speaks, as of the last call.
    pub(crate) layer: Option<i32>,
    /// The session made a call without `invokeWithoutUpdates`.
    pub(crate) wants_updates: bool,
    /// Updates were not pushed while nobody was connected.
    missed: bool,
    pub(crate) queues: Queues,
    /// Bytes of answers that are not on their way yet: nobody reads them, or not fast enough.
    pub(crate) unsent: usize,
    /// Calls that ended, and whether well; the oldest first.
    finished: VecDeque<(MsgId, bool)>,
    /// When the connection went away.
    left_at: Duration,
    /// How far the salts reach that the session knows.
    pub(crate) salts_until: i64,
}

impl Inner {
    /// Remembers how a call ended.
    pub(crate) fn finish(&mut self, msg_id: MsgId, good: bool) {
        if self.finished.len() >= FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back((msg_id, good));
    }

    /// How a call ended, if it did.
    pub(crate) fn finished(&self, msg_id: MsgId) -> Option<bool> {
        self.finished.iter().rev().find(|f| f.0 == msg_id).map(|f| f.1)
    }

    /// Wakes the connection's task: there is something to send.
    pub(crate) fn wake(&self) {
        match &self.owner {
            Some(Owner::Stream(_, notify)) => notify.notify_one(),
            Some(Owner::Http(turns)) => turns.wake(),
            None => {}
        }
    }

    /// Whether the session's messages go to this connection, or to this one among others.
    pub(crate) fn is_at(&self, conn: ConnId) -> bool {
        match &self.owner {
            Some(Owner::Stream(owner, _)) => *owner == conn,
            Some(Owner::Http(turns)) => turns.is_attached(conn),
            None => false,
        }
    }

    /// Over HTTP: a request of this session came. `None` if the session is elsewhere meanwhile.
    pub(super) fn ask(&mut self, now: Now, conn: ConnId) -> Option<Turn> {
        let wait = self.session.take_http_wait();
        let Some(Owner::Http(turns)) = &mut self.owner else { return None };
        Some(turns.ask(now.mono, conn, wait))
    }

    /// Over HTTP: when a request is to be answered; at once if the session is elsewhere.
    pub(super) fn turns_due(&self, turn: Turn) -> Option<Duration> {
        match &self.owner {
            Some(Owner::Http(turns)) => Some(turns.due(turn)),
            _ => None,
        }
    }

    /// Over HTTP: looks at what waits to be sent.
    pub(super) fn observe(&mut self, now: Now) {
        let (outbox, running) = (self.session.outbox(), self.session.pending());
        if let Some(Owner::Http(turns)) = &mut self.owner {
            turns.observe(now.mono, outbox, running);
        }
    }

    /// Over HTTP: the answer to a request. `None` if the session is elsewhere.
    pub(super) fn take_answer(&mut self, now: Now, turn: Turn) -> Option<BytesMut> {
        let Some(Owner::Http(turns)) = &mut self.owner else { return None };
        turns.answered(turn);
        let frame = self.session.poll_http_response(now);
        self.observe(now);
        self.unsent =
            if self.session.outbox() == 0 { 0 } else { self.unsent.saturating_sub(frame.as_ref().map_or(0, BytesMut::len)) };
        frame
    }

    fn change_owner(&mut self, now: Now, owner: Owner) {
        if self.owner.replace(owner).is_some() {
            self.session.connection_lost(now);
        }
        self.session.connection_opened(now);
        if std::mem::take(&mut self.missed) {
            self.push(now, dispatch::too_long());
        }
    }

    fn push(&mut self, now: Now, body: Bytes) {
        if self.owner.is_none() {
            self.missed = true;
            return;
        }
        match self.session.push(now, body) {
            Ok(_) => self.wake(),
            // The client will see the gap in the counter, and ask.
            Err(error) => tracing::debug!(%error, "update not pushed"),
        }
    }
}

impl Slot {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a connection the session's own.
    pub(crate) fn attach(&self, now: Now, conn: ConnId, notify: &Arc<Notify>) {
        let mut inner = self.lock();
        if matches!(&inner.owner, Some(Owner::Stream(owner, _)) if *owner == conn) {
            return;
        }
        inner.change_owner(now, Owner::Stream(conn, Arc::clone(notify)));
    }

    /// Adds a connection over HTTP to the session's own.
    pub(crate) fn attach_http(&self, now: Now, conn: ConnId, notify: &Arc<Notify>) {
        let mut inner = self.lock();
        if let Some(Owner::Http(turns)) = &mut inner.owner {
            turns.attach(conn, notify);
            return;
        }
        let mut turns = Turns::default();
        turns.attach(conn, notify);
        inner.change_owner(now, Owner::Http(turns));
    }

    /// The connection is gone, unless the session has moved to another one.
    pub(crate) fn detach(&self, now: Now, conn: ConnId) {
        let mut inner = self.lock();
        let is_last = |owner: &mut Owner| match owner {
            Owner::Stream(owner, _) => *owner == conn,
            Owner::Http(turns) => turns.is_attached(conn) && !turns.detach(conn),
        };
        if inner.owner.take_if(is_last).is_some() {
            inner.session.connection_lost(now);
            inner.left_at = now.mono;
        }
    }
}

/// All sessions of a cluster.
#[derive(Default)]
pub(crate) struct Registry {
    slots: Mutex<HashMap<SessionKey, Arc<Slot>>>,
    /// Sessions that were destroyed, and when: what was written in one of them may come again, and must not be executed again.
    destroyed: Mutex<HashMap<SessionKey, Duration>>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with a key, if it is known.
    pub(crate) fn find(&self, key: SessionKey) -> Option<Arc<Slot>> {
        self.lock().get(&key).cloned()
    }

    /// Adds a session, unless another connection was quicker; forgets those that nobody came back to.
    pub(crate) fn add(&self, now: Now, key: SessionKey, session: Session, salts_until: i64) -> Arc<Slot> {
        let inner = Inner {
            session,
            owner: None,
            user: None,
            behind: key.key_id,
            layer: None,
            wants_updates: false,
            missed: false,
            queues: Queues::default(),
            unsent: 0,
            finished: VecDeque::new(),
            left_at: now.mono,
            salts_until,
        };
        let mut slots = self.lock();
        slots.retain(|_, slot| {
            let inner = slot.lock();
            inner.owner.is_some() || inner.queues.is_busy() || now.mono < inner.left_at.saturating_add(KEEP)
        });
        Arc::clone(slots.entry(key).or_insert_with(|| Arc::new(Slot { key, inner: Mutex::new(inner) })))
    }

    /// Forgets a session: `destroy_session`. Whether there was one.
    pub(crate) fn remove(&self, now: Now, key: SessionKey) -> bool {
        let known = self.lock().remove(&key).is_some();
        if known {
            let mut destroyed = self.destroyed.lock().unwrap_or_else(PoisonError::into_inner);
            destroyed.retain(|_, at| now.mono < at.saturating_add(REPLAYABLE));
            destroyed.insert(key, now.mono);
        }
        known
    }

    /// Whether a session was destroyed so lately that its frames may be copies of frames that it has executed.
    pub(crate) fn is_destroyed(&self, now: Now, key: SessionKey) -> bool {
        let destroyed = self.destroyed.lock().unwrap_or_else(PoisonError::into_inner);
        destroyed.get(&key).is_some_and(|at| now.mono < at.saturating_add(REPLAYABLE))
    }

    fn all(&self) -> Vec<Arc<Slot>> {
        self.lock().values().cloned().collect()
    }

    /// Sends an update to the account's subscribed sessions, all but one, to each in its own layer.
    pub(crate) fn push(&self, now: Now, user: i64, updates: &Bytes, except: SessionKey) {
        let mut said: HashMap<i32, Option<Bytes>> = HashMap::new();
        for slot in self.all() {
            if slot.key == except {
                continue;
            }
            let mut inner = slot.lock();
            if inner.wants_updates && inner.user == Some(user) {
                let layer = inner.layer.unwrap_or(layers::OWN_LAYER);
                let body = said.entry(layer).or_insert_with(|| layers::update(layer, updates.clone()));
                if let Some(body) = body {
                    inner.push(now, body.clone());
                }
            }
        }
    }

    /// The sessions of a key stand for nobody any more.
    pub(crate) fn logged_out(&self, dc: i32, key_id: i64) {
        for slot in self.all() {
            let mut inner = slot.lock();
            if slot.key.dc == dc && inner.behind == key_id {
                inner.user = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::AuthKey;
    use crate::mtproto::session::ServerParams;

    #[test]
    fn a_destroyed_session_is_not_made_anew_for_a_copy_of_its_frames() {
        let now = Now::new(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
        let registry = Registry::default();
        let key = SessionKey { dc: 1, key_id: 2, session: SessionId(3) };
        assert!(!registry.remove(now, key));
        assert!(!registry.is_destroyed(now, key), "what never was has executed nothing");
        let params = ServerParams::new(AuthKey::from_bytes(&[7; 256]), SessionId(3), Vec::new(), [1; 32]);
        registry.add(now, key, Session::server(params, now), 0);
        assert!(registry.remove(now, key));
        assert!(registry.is_destroyed(now.later(Duration::from_secs(329)), key));
        assert!(!registry.is_destroyed(now.later(REPLAYABLE), key));
    }
}
