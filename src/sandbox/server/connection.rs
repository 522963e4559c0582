//! One client's connection: bytes to frames, frames to the key exchange or to sessions, and back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::sessions::{SessionKey, Slot};
use super::{Shared, work};
use crate::crypto::AuthKey;
use crate::crypto::kdf::Side;
use crate::ids::{DcId, SessionId};
use crate::mtproto::envelope::{self, Opened};
use crate::mtproto::handshake::KeyKind;
use crate::mtproto::handshake::server::{ServerHandshake, Step};
use crate::mtproto::plain;
use crate::mtproto::session::{
    DeathCause, Event, FutureSalt, KeyDestruction, PeerMisbehaved, ServerParams, Session, SessionError,
};
use crate::sandbox::state;
use crate::trace::{self, ConnId, Tracer};
use crate::transport::{self, Codec, Detector, Frame, TransportError};

/// A connection over which nothing comes is closed.
const IDLE: Duration = Duration::from_secs(600);
/// The same, as long as nothing has come at all.
const IDLE_AT_FIRST: Duration = Duration::from_secs(60);
/// Bytes that wait to be written at which nothing more is made ready.
const MAX_UNWRITTEN: usize = 2 << 20;
/// How much is read at once.
const READ: usize = 256 << 10;
/// Sessions on one connection; nobody needs more than two.
const MAX_SESSIONS: usize = 16;
/// Salts given to a session: with one every half hour, enough for more than a day.
const SALTS: usize = 64;
/// Answers and updates that a session keeps until the client says that it has them: what is not sent yet must fit, with room to spare
/// for what may have to be sent again.
const KEPT_BYTES: usize = 4 * work::MAX_UNSENT;
/// Seconds before their end at which more salts are given.
const SALTS_AHEAD: i64 = 4 * 3600;
/// How long the last words may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("closed by the client")]
    ByPeer,
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("transport: {0}")]
    Transport(#[from] transport::Error),
    #[error("key exchange: {0}")]
    Handshake(#[from] crate::mtproto::handshake::error::Error),
    #[error("no auth key {0:#018x}")]
    UnknownKey(i64),
    #[error("session: {0}")]
    Session(#[from] SessionError),
    #[error("more than {MAX_SESSIONS} sessions")]
    TooManySessions,
    #[error("session {0} was destroyed")]
    SessionDestroyed(SessionId),
    #[error("{0}")]
    Dead(DeathCause),
    #[error("nothing came")]
    Idle,
    #[error("a key exchange's thread ended")]
    Lost,
    #[error("{0}")]
    State(#[from] state::Error),
}

/// One connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    id: ConnId,
    dc: DcId,
    peer: SocketAddr,
    tracer: Tracer,
    notify: Arc<Notify>,
    /// Keys used on this connection, and when they end.
    keys: HashMap<i64, (AuthKey, Option<i64>)>,
    /// How many keys the cluster had forgotten when these were looked up.
    key_losses: u64,
    /// Sessions whose messages came over this connection.
    slots: Vec<Arc<Slot>>,
    handshake: Option<ServerHandshake>,
    input: BytesMut,
    output: BytesMut,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, id: ConnId, dc: DcId, peer: SocketAddr) -> Self {
        let tracer = shared.tracer.with_connection(id, dc);
        Self {
            shared,
            id,
            dc,
            peer,
            tracer,
            notify: Arc::new(Notify::new()),
            keys: HashMap::new(),
            key_losses: 0,
            slots: Vec::new(),
            handshake: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// Serves the client until one of both has had enough.
    pub(crate) async fn run(mut self, stream: TcpStream) -> Closed {
        let (mut reader, mut writer) = stream.into_split();
        self.tracer.emit(self.shared.now(), || trace::Event::Connected { addr: self.peer.to_string(), took: Duration::ZERO });
        let mut codec = None;
        let closed = match self.serve(&mut reader, &mut writer, &mut codec).await {
            Ok(never) => match never {},
            Err(closed) => closed,
        };
        // What is ready is written: a notice, a transport error.
        if !matches!(closed, Closed::ByPeer | Closed::Io(_)) {
            if let Some(codec) = &mut codec {
                let code = match &closed {
                    Closed::UnknownKey(_) | Closed::Session(SessionError::Envelope(_)) => Some(TransportError::AuthKeyNotFound),
                    Closed::Handshake(error) => Some(error.transport_code().into()),
                    _ => None,
                };
                if let Some(code) = code
                    && let Err(error) = codec.encode_error(code, &mut rand::rng(), &mut self.output)
                {
                    tracing::debug!(%error, "transport error not sent");
                }
            }
            let farewell = async {
                writer.write_all(&self.output).await?;
                writer.shutdown().await
            };
            // Whether it arrives is the client's luck.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
        let now = self.shared.now();
        self.tracer.emit(now, || trace::Event::Disconnected { reason: closed.to_string() });
        for slot in &self.slots {
            slot.detach(now, self.id);
        }
        closed
    }

    async fn serve(
        &mut self,
        reader: &mut OwnedReadHalf,
        writer: &mut OwnedWriteHalf,
        codec: &mut Option<Codec>,
    ) -> Result<std::convert::Infallible, Closed> {
        let mut detector = Detector::new();
        let mut heard_at = self.shared.now().mono;
        loop {
            self.make_ready(codec)?;
            let full = self.output.len() >= MAX_UNWRITTEN || self.slots.iter().any(|slot| slot.lock().queues.is_full());
            let idle = if self.slots.is_empty() { IDLE_AT_FIRST } else { IDLE };
            let idle_at = heard_at.saturating_add(idle);
            let wake_at =
                self.slots.iter().filter_map(|slot| self.timeout_of(slot)).min().map_or(idle_at, |at| at.min(idle_at));
            self.input.reserve(READ);
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    written?;
                }
                read = reader.read_buf(&mut self.input), if !full => {
                    if read? == 0 {
                        return Err(Closed::ByPeer);
                    }
                    heard_at = self.shared.now().mono;
                    if codec.is_none() {
                        *codec = detector.detect(&mut self.input)?;
                    }
                    while let Some(codec) = codec.as_mut() {
                        match codec.decode(&mut self.input)? {
                            Some(Frame::Payload(frame)) => self.handle_frame(frame, codec).await?,
                            // Only servers send these.
                            Some(Frame::QuickAck(_) | Frame::Error(_)) => {}
                            None => break,
                        }
                    }
                }
                () = self.notify.notified() => {}
                () = tokio::time::sleep_until(self.shared.instant(wake_at)) => {
                    let now = self.shared.now();
                    if now.mono >= idle_at {
                        return Err(Closed::Idle);
                    }
                    for slot in &self.slots {
                        let mut inner = slot.lock();
                        if inner.owner.as_ref().is_some_and(|owner| owner.0 == self.id) {
                            inner.session.handle_timeout(now);
                        }
                    }
                }
            }
        }
    }

    fn timeout_of(&self, slot: &Slot) -> Option<Duration> {
        let inner = slot.lock();
        inner.owner.as_ref().filter(|owner| owner.0 == self.id)?;
        inner.session.poll_timeout()
    }

    /// Takes the sessions' events, and their frames as long as the client takes them.
    fn make_ready(&mut self, codec: &mut Option<Codec>) -> Result<(), Closed> {
        let now = self.shared.now();
        let mut dead = None;
        for slot in &self.slots {
            loop {
                let event = slot.lock().session.poll_event();
                let Some(event) = event else { break };
                match event {
                    Event::Request { msg_id, body } => work::submit(&self.shared, slot, msg_id, body),
                    Event::DestroySession { session_id } => {
                        let known = self.shared.sessions.remove(now, SessionKey { session: session_id, ..slot.key });
                        if let Err(error) = slot.lock().session.session_destroyed(session_id, known) {
                            tracing::debug!(%error, "answer to destroy_session not sent");
                        }
                    }
                    Event::DestroyAuthKey { msg_id } => {
                        let outcome = self.destroy_key(slot.key.key_id)?;
                        if let Err(error) = slot.lock().session.auth_key_destroyed(msg_id, outcome) {
                            tracing::debug!(%error, "answer to destroy_auth_key not sent");
                        }
                    }
                    Event::ConnectionDead(cause) => dead = Some(cause),
                    // A call that nobody waits for any more runs to its end; acknowledgements are the session's business.
                    _ => {}
                }
            }
            let Some(codec) = codec else { continue };
            let mut inner = slot.lock();
            if inner.owner.as_ref().is_none_or(|owner| owner.0 != self.id) {
                continue;
            }
            while self.output.len() < MAX_UNWRITTEN {
                let Some(frame) = inner.session.poll_output(now) else {
                    inner.unsent = 0;
                    break;
                };
                inner.unsent = inner.unsent.saturating_sub(frame.len());
                codec.encode(&frame, &mut rand::rng(), &mut self.output)?;
            }
            work::resume(&self.shared, slot, &mut inner);
        }
        dead.map_or(Ok(()), |cause| Err(Closed::Dead(cause)))
    }

    async fn handle_frame(&mut self, frame: BytesMut, codec: &mut Codec) -> Result<(), Closed> {
        if plain::is_plain(&frame) {
            return self.handle_handshake(frame, codec).await;
        }
        let key_id = envelope::key_id_of(&frame).unwrap_or(0);
        let key = self.key(key_id)?;
        let opened = envelope::open(&key, Side::Client, frame).map_err(|error| {
            self.tracer.emit(self.shared.now(), || trace::Event::CheckFailed { rule: error.rule(), detail: error.to_string() });
            SessionError::Envelope(error)
        })?;
        let slot = match self.slot(&key, &opened) {
            // A copy of what that session has dealt with, or a late message: nobody waits for an answer.
            Err(error @ Closed::SessionDestroyed(_)) => {
                tracing::debug!(conn = self.id.0, %error, "message dropped");
                return Ok(());
            }
            slot => slot?,
        };
        let now = self.shared.now();
        slot.attach(now, self.id, &self.notify);
        let handled = slot.lock().session.handle_opened(now, opened);
        // A client whose mistake was answered by a notice is given the chance to make it good.
        match handled {
            Err(error @ SessionError::PeerMisbehaved(PeerMisbehaved::Flood { .. })) => return Err(error.into()),
            Err(error) => tracing::debug!(conn = self.id.0, %error, "message refused"),
            Ok(()) => {}
        }
        // At once, not with the next frames: what a call changes must not wait for them.
        let mut codec_here = None;
        self.make_ready(&mut codec_here)
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
    fn slot(&mut self, key: &AuthKey, opened: &Opened) -> Result<Arc<Slot>, Closed> {
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
                params.limits.kept_bytes = KEPT_BYTES;
                let slot = self.shared.sessions.add(now, session_key, Session::server(params, now), until);
                self.slots.push(Arc::clone(&slot));
                slot
            }
        };
        if self.slots.len() > MAX_SESSIONS {
            return Err(Closed::TooManySessions);
        }
        let mut inner = slot.lock();
        if inner.owner.as_ref().is_none_or(|owner| owner.0 != self.id) {
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

    /// Forgets a key, with who is logged in with it and the temporary keys that are bound to it; of a temporary key that is bound, the
    /// permanent one. What this connection still has to say under it is said; from then on nobody knows it.
    fn destroy_key(&self, key_id: i64) -> Result<KeyDestruction, Closed> {
        let (shared, dc) = (&self.shared, self.dc.0);
        let Some(auth) = shared.state.auth_behind(dc, key_id)? else { return Ok(KeyDestruction::Unknown) };
        shared.state.write(|tx| state::keys::unbind(tx, dc, auth.key_id, false).map_err(state::Error::from))?;
        shared.sessions.logged_out(dc, auth.key_id);
        let known = shared.state.remove_auth_key(self.dc, auth.key_id)?;
        Ok(if known { KeyDestruction::Destroyed } else { KeyDestruction::Unknown })
    }

    fn salts(&self, key_id: i64, now: i64) -> Result<(Vec<FutureSalt>, i64), state::Error> {
        let periods = self.shared.state.salts(self.dc, key_id, now, SALTS)?;
        let until = periods.iter().map(|p| p.until).max().unwrap_or(now);
        Ok((periods.iter().map(|p| FutureSalt { since: p.since, until: p.until, salt: p.salt }).collect(), until))
    }

    /// One step of a key exchange, on a thread of its own: it is arithmetic with large numbers.
    async fn handle_handshake(&mut self, frame: BytesMut, codec: &mut Codec) -> Result<(), Closed> {
        let handshake = self.handshake.take();
        let (shared, dc, tracer, ip) = (Arc::clone(&self.shared), self.dc, self.tracer.clone(), self.peer.ip().to_string());
        let step = tokio::task::spawn_blocking(move || -> Result<Step, Closed> {
            let handshake = handshake.unwrap_or_else(|| ServerHandshake::new(&shared.handshake(dc, tracer)));
            let now = shared.now();
            let mut failed = None;
            let mut is_taken = |id| match shared.state.auth_key(dc, id, now.unix()) {
                Ok(found) => found.is_some(),
                Err(error) => {
                    failed = Some(error);
                    true
                }
            };
            let step = handshake.handle_frame(frame.freeze(), now, &mut rand::rng(), &mut is_taken)?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if let Step::Done(established, _) = &step {
                // Kept before the client hears of it: a key that it has is a key that we have.
                let expires = match established.kind {
                    KeyKind::Permanent => None,
                    KeyKind::Temporary { expires_at } => Some(expires_at),
                };
                shared.state.add_auth_key(dc, &established.auth_key, established.salt, expires, now.unix(), &ip)?;
            }
            Ok(step)
        })
        .await
        .map_err(|_| Closed::Lost)??;
        let frame = match step {
            Step::Send(next, frame) => {
                self.handshake = Some(next);
                frame
            }
            Step::Wait(next) => {
                self.handshake = Some(next);
                return Ok(());
            }
            Step::Done(_, frame) => frame,
            Step::Failed(error, frame) => {
                codec.encode(&frame, &mut rand::rng(), &mut self.output)?;
                return Err(error.into());
            }
        };
        codec.encode(&frame, &mut rand::rng(), &mut self.output)?;
        Ok(())
    }
}
