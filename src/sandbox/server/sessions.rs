//! Sessions by key and identifier. They outlive connections: a client that connects again goes on where it was, on whatever connection
//! its next message comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::answers::Answers;
use super::turns::{Turn, Turns};
use crate::dispatch;
use tdl_core::clock::Now;
use tdl_core::ids::{MsgId, SessionId};
use tdl_core::mtproto::session::{ApiMisuse, Session};
use tdl_core::trace::ConnId;

/// How long a session without a connection is remembered.
const KEEP: Duration = Duration::from_secs(900);
/// How long a message is in time: 300 seconds, and 30 that it may have been early.
const REPLAYABLE: Duration = Duration::from_secs(330);

/// Which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The data centre.
    pub dc: i32,
    /// The auth key.
    pub key_id: i64,
    /// The session.
    pub session: SessionId,
}

/// A session and what the server keeps beside it.
pub struct Slot<A: Answers> {
    /// Which session it is.
    pub key: SessionKey,
    inner: Mutex<Inner<A>>,
}

/// Where a session's messages go.
enum Owner {
    /// To one connection, at any time; and how to wake its task.
    Stream(ConnId, Arc<Notify>),
    /// To requests over HTTP.
    Http(Turns),
}

/// Why a session's connection is closed from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dismissal {
    /// Whoever answers wants it so.
    Wanted,
    /// The same, in the middle of what it has to say.
    Midway,
    /// Its key is known no more: the client is told.
    KeyUnknown,
}

/// The part of a slot that changes.
pub struct Inner<A: Answers> {
    pub(crate) session: Session,
    /// The connection or connections that the session's messages come from and go to.
    owner: Option<Owner>,
    /// The address at the other end of it.
    address: Option<IpAddr>,
    /// What whoever answers keeps beside it.
    pub calls: A::Calls,
    /// Updates were not pushed while nobody was connected.
    missed: bool,
    /// Why the connection is to be closed, if it is.
    dismissed: Option<Dismissal>,
    /// Bytes of answers that are not on their way yet: nobody reads them, or not fast enough.
    pub unsent: usize,
    /// When the connection went away.
    left_at: Duration,
    /// How far the salts reach that the session knows.
    pub(crate) salts_until: i64,
}

impl<A: Answers> Inner<A> {
    /// Answers a call with a serialized result, packed if `compress` and that is shorter.
    pub fn answer(&mut self, now: Now, msg_id: MsgId, body: Bytes, compress: bool) -> Result<(), ApiMisuse> {
        self.unsent = self.unsent.saturating_add(body.len());
        self.session.respond(now, msg_id, body, compress)
    }

    /// Answers a call with an error.
    pub fn refuse(&mut self, now: Now, msg_id: MsgId, code: i32, text: &str) -> Result<(), ApiMisuse> {
        self.session.respond_error(now, msg_id, code, text)
    }

    /// Has the connection closed, as soon as its task looks; none if there is none.
    pub fn dismiss(&mut self, why: Dismissal) {
        self.dismissed = self.owner.is_some().then_some(why);
        self.wake();
    }

    /// Why the connection is to be closed at once, if it is; asked once. A stream that is to end in the middle of an answer is not: the answer
    /// comes first ([`Self::take_midway`]).
    pub(super) fn take_dismissal(&mut self) -> Option<Dismissal> {
        let stream = matches!(self.owner, Some(Owner::Stream(..)));
        self.dismissed.take_if(|why| !(stream && *why == Dismissal::Midway))
    }

    /// Whether the connection is to be closed in the middle of what it was just given to write; asked once.
    pub(super) fn take_midway(&mut self) -> bool {
        self.dismissed.take_if(|why| *why == Dismissal::Midway).is_some()
    }

    /// Wakes the connection's task: there is something to send.
    pub fn wake(&self) {
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

    /// A connection of the session's, if it has one.
    pub fn conn(&self) -> Option<ConnId> {
        match &self.owner {
            Some(Owner::Stream(conn, _)) => Some(*conn),
            Some(Owner::Http(turns)) => turns.conn(),
            None => None,
        }
    }

    /// The address that the session's messages come from, if it has a connection.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address.filter(|_| self.owner.is_some())
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
        A::attached(&mut self.calls);
        if std::mem::take(&mut self.missed) {
            self.push(now, dispatch::too_long());
        }
    }

    /// Sends an update; later, that there was one, if nobody is connected.
    pub fn push(&mut self, now: Now, body: Bytes) {
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

impl<A: Answers> Slot<A> {
    /// What it holds, until the guard goes.
    pub fn lock(&self) -> MutexGuard<'_, Inner<A>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a connection the session's own.
    pub(crate) fn attach(&self, now: Now, conn: ConnId, address: IpAddr, notify: &Arc<Notify>) {
        let mut inner = self.lock();
        inner.address = Some(address);
        if matches!(&inner.owner, Some(Owner::Stream(owner, _)) if *owner == conn) {
            return;
        }
        inner.change_owner(now, Owner::Stream(conn, Arc::clone(notify)));
    }

    /// Adds a connection over HTTP to the session's own.
    pub(crate) fn attach_http(&self, now: Now, conn: ConnId, address: IpAddr, notify: &Arc<Notify>) {
        let mut inner = self.lock();
        inner.address = Some(address);
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
            inner.dismissed = None;
            A::detached(&mut inner.calls);
        }
    }
}

/// All sessions of a server.
pub struct Registry<A: Answers> {
    slots: Mutex<HashMap<SessionKey, Arc<Slot<A>>>>,
    /// Sessions that were destroyed, and when: what was written in one of them may come again, and must not be executed again.
    destroyed: Mutex<HashMap<SessionKey, Duration>>,
}

impl<A: Answers> Default for Registry<A> {
    fn default() -> Self {
        Self { slots: Mutex::default(), destroyed: Mutex::default() }
    }
}

impl<A: Answers> Registry<A> {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Arc<Slot<A>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with a key, if it is known.
    pub(crate) fn find(&self, key: SessionKey) -> Option<Arc<Slot<A>>> {
        self.lock().get(&key).cloned()
    }

    /// Adds a session, unless another connection was quicker; forgets those that nobody came back to.
    pub(crate) fn add(&self, now: Now, key: SessionKey, session: Session, salts_until: i64) -> Arc<Slot<A>> {
        let inner = Inner {
            session,
            owner: None,
            address: None,
            calls: A::calls(key),
            missed: false,
            dismissed: None,
            unsent: 0,
            left_at: now.mono,
            salts_until,
        };
        let mut slots = self.lock();
        forget_left(&mut slots, now);
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

    /// Every session that is known.
    pub fn all(&self) -> Vec<Arc<Slot<A>>> {
        self.lock().values().cloned().collect()
    }

    /// Forgets sessions that nobody came back to.
    pub fn sweep(&self, now: Now) {
        forget_left(&mut self.lock(), now);
    }
}

fn forget_left<A: Answers>(slots: &mut HashMap<SessionKey, Arc<Slot<A>>>, now: Now) {
    slots.retain(|_, slot| {
        let inner = slot.lock();
        inner.owner.is_some() || A::is_busy(&inner.calls) || now.mono < inner.left_at.saturating_add(KEEP)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::work::Services;
    use tdl_core::crypto::AuthKey;
    use tdl_core::mtproto::session::ServerParams;

    #[test]
    fn a_destroyed_session_is_not_made_anew_for_a_copy_of_its_frames() {
        let now = Now::new(Duration::from_secs(1), Duration::from_secs(1_700_000_000));
        let registry = Registry::<Services>::default();
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
