//! One client's connection: bytes to frames, frames to the key exchange or to sessions, and back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::Shared;
use super::answers::Answers;
use super::sessions::{Dismissal, SessionKey, Slot};
use super::socket::Socket;
use crate::state;
use tdl_core::crypto::AuthKey;
use tdl_core::crypto::kdf::Side;
use tdl_core::ids::{DcId, SessionId};
use tdl_core::mtproto::envelope::{self, Opened};
use tdl_core::mtproto::handshake::server::{ServerHandshake, Step};
use tdl_core::mtproto::handshake::{self, KeyKind};
use tdl_core::mtproto::plain;
use tdl_core::mtproto::session::{DeathCause, Event, FutureSalt, PeerMisbehaved, ServerParams, Session, SessionError};
use tdl_core::trace::{self, ConnId, Tracer};
use tdl_core::transport::{self, Carrier, Codec, Detector, Frame, TransportError};
use tdl_net::websocket;

/// A connection over which nothing comes is closed.
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// The same, as long as nothing has come at all.
pub(super) const IDLE_AT_FIRST: Duration = Duration::from_secs(60);
/// Bytes that wait to be written at which nothing more is made ready.
pub(super) const MAX_UNWRITTEN: usize = 2 << 20;
/// How much is read at once.
pub(super) const READ: usize = 256 << 10;
/// Sessions on one connection; nobody needs more than two.
const MAX_SESSIONS: usize = 16;
/// Salts given to a session: with one every half hour, enough for more than a day.
const SALTS: usize = 64;
/// Seconds before their end at which more salts are given.
pub(super) const SALTS_AHEAD: i64 = 4 * 3600;
/// How long the last words may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("closed by the client")]
    ByPeer,
    #[error("socket: {0}")]
    Io(#[from] std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("transport: {0}")]
    Transport(#[from] transport::Error),
    #[error("HTTP: {0}")]
    Http(#[from] transport::http::Error),
    #[error("WebSocket: {0}")]
    WebSocket(String),
    #[error("a request to which there is no answer")]
    NoAnswer,
    #[error("the client wanted no more than this")]
    Last,
    #[error("key exchange: {0}")]
    Handshake(#[from] handshake::error::Error),
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
    #[error("closed from this side")]
    Dismissed,
    #[error("closed from this side, in the middle of an answer")]
    Midway,
    #[error("a key exchange's thread ended")]
    Lost,
    #[error("{0}")]
    State(#[from] state::Error),
}

impl Closed {
    /// The transport error that tells the client, if one does.
    pub(super) fn transport_error(&self) -> Option<TransportError> {
        match self {
            Self::UnknownKey(_) | Self::Session(SessionError::Envelope(_)) => Some(TransportError::AuthKeyNotFound),
            Self::Handshake(error) => Some(error.transport_code().into()),
            _ => None,
        }
    }
}

/// What became of a frame.
pub(super) enum Handled<A: Answers> {
    /// A step of the key exchange, and its answer if it has one; with the reason if that was the last step.
    Plain { answer: Option<Bytes>, failed: Option<handshake::error::Error> },
    /// A message of a session; `received`: it was accepted for processing, now or before.
    Message { slot: Arc<Slot<A>>, token: u32, received: bool },
    /// A copy of what a destroyed session has dealt with, or a late message: nobody waits for an answer.
    Dropped,
}

/// One connection.
pub(crate) struct Connection<A: Answers> {
    pub(super) shared: Arc<Shared<A>>,
    pub(super) id: ConnId,
    dc: DcId,
    peer: SocketAddr,
    tracer: Tracer,
    /// What is around payloads, for the trace.
    framing: &'static str,
    pub(super) notify: Arc<Notify>,
    /// Keys used on this connection, and when they end.
    keys: HashMap<i64, (AuthKey, Option<i64>)>,
    /// How many keys the cluster had forgotten when these were looked up.
    key_losses: u64,
    /// Sessions whose messages came over this connection.
    pub(super) slots: Vec<Arc<Slot<A>>>,
    handshake: Option<ServerHandshake>,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
}

impl<A: Answers> Connection<A> {
    pub(crate) fn new(shared: Arc<Shared<A>>, id: ConnId, dc: DcId, peer: SocketAddr) -> Self {
        let tracer = shared.tracer.with_connection(id, dc).as_server();
        Self {
            shared,
            id,
            dc,
            peer,
            tracer,
            framing: "",
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
    pub(crate) async fn run<S: Socket>(mut self, mut stream: S) -> Closed {
        self.tracer.emit(self.shared.now(), || trace::Event::Connected { addr: self.peer.to_string(), took: Duration::ZERO });
        let mut detector = Detector::new();
        let closed = loop {
            match detector.detect(&mut self.input) {
                Ok(Some(codec)) => {
                    let (mut reader, mut writer) = stream.halves();
                    break self.serve(&mut reader, &mut writer, codec).await;
                }
                Err(transport::Error::Http) => break self.serve_web(stream).await,
                Err(error) => break error.into(),
                Ok(None) => {}
            }
            self.input.reserve(READ);
            match tokio::time::timeout(IDLE_AT_FIRST, stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => break Closed::ByPeer,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => break error.into(),
                Err(_) => break Closed::Idle,
            }
        };
        let now = self.shared.now();
        self.tracer.emit(now, || trace::Event::Disconnected { reason: closed.to_string() });
        self.leave();
        closed
    }

    /// Its sessions are without a connection from here on. Before the stream ends, so that a client that sees the end can count on it.
    fn leave(&self) {
        let now = self.shared.now();
        for slot in &self.slots {
            slot.detach(now, self.id);
        }
    }

    /// The first bytes are HTTP: the transport of that name, or the upgrade to WebSocket and what is inside.
    async fn serve_web<S: Socket>(&mut self, stream: S) -> Closed {
        if !self.input.starts_with(b"GET ") {
            let (mut reader, mut writer) = stream.halves();
            self.framing = Carrier::Http.name();
            let closed = self.serve_http(&mut reader, &mut writer).await;
            self.leave();
            self.say_farewell(&closed, &mut writer).await;
            return closed;
        }
        let (input, rng) = (std::mem::take(&mut self.input), StdRng::from_rng(&mut rand::rng()));
        let accepted = tokio::time::timeout(IDLE_AT_FIRST, websocket::accept(stream, input, rng));
        let (mut reader, mut writer) = match accepted.await {
            Ok(Ok(stream)) => tokio::io::split(stream),
            Ok(Err(error)) => return Closed::WebSocket(error.to_string()),
            Err(_) => return Closed::Idle,
        };
        self.framing = Carrier::WebSocket.name();
        let mut detector = Detector::new();
        loop {
            match detector.detect(&mut self.input) {
                // "When using the WebSocket transport, transport obfuscation is required."
                Ok(Some(codec)) if !codec.options().obfuscated => return Closed::WebSocket("not obfuscated inside".to_owned()),
                Ok(Some(codec)) => return self.serve(&mut reader, &mut writer, codec).await,
                Ok(None) => {}
                Err(error) => return error.into(),
            }
            match tokio::time::timeout(IDLE_AT_FIRST, reader.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Closed::ByPeer,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) => return Closed::Idle,
            }
        }
    }

    /// Serves a byte stream whose transport is known.
    async fn serve<R, W>(&mut self, reader: &mut R, writer: &mut W, mut codec: Codec) -> Closed
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let carrier = if self.framing.is_empty() { Carrier::Stream } else { Carrier::WebSocket };
        self.framing = carrier.framing(&codec.options());
        let closed = match self.run_stream(reader, writer, &mut codec).await {
            Ok(never) => match never {},
            Err(closed) => closed,
        };
        self.leave();
        if let Some(code) = closed.transport_error()
            && let Err(error) = codec.encode_error(code, &mut rand::rng(), &mut self.output)
        {
            tracing::debug!(%error, "transport error not sent");
        }
        self.say_farewell(&closed, writer).await;
        closed
    }

    /// What is ready is written: a notice, a transport error.
    async fn say_farewell<W: AsyncWrite + Unpin>(&mut self, closed: &Closed, writer: &mut W) {
        if matches!(closed, Closed::ByPeer | Closed::Io(_)) {
            return;
        }
        let farewell = async {
            writer.write_all(&self.output).await?;
            writer.shutdown().await
        };
        // Whether it arrives is the client's luck.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    async fn run_stream<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        codec: &mut Codec,
    ) -> Result<std::convert::Infallible, Closed>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut heard_at = self.shared.now().mono;
        loop {
            loop {
                let before = self.input.len();
                let Some(frame) = codec.decode(&mut self.input)? else { break };
                // Only servers send the others.
                if let Frame::Payload(frame) = frame {
                    let wire = before.saturating_sub(self.input.len());
                    self.trace_received(frame.len(), wire, codec.padding_received(), codec.quick_ack_requested());
                    self.take_frame(frame, codec).await?;
                }
            }
            self.make_ready(codec)?;
            let full = self.output.len() >= MAX_UNWRITTEN || self.queues_are_full();
            let idle = if self.slots.is_empty() { IDLE_AT_FIRST } else { IDLE };
            let idle_at = heard_at.saturating_add(idle);
            let wake_at = self.next_timeout().map_or(idle_at, |at| at.min(idle_at));
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
                }
                () = self.notify.notified() => {}
                () = tokio::time::sleep_until(self.shared.instant(wake_at)) => {
                    if self.shared.now().mono >= idle_at {
                        return Err(Closed::Idle);
                    }
                    self.handle_timeouts();
                }
            }
        }
    }

    async fn take_frame(&mut self, frame: BytesMut, codec: &mut Codec) -> Result<(), Closed> {
        let wants_quick_ack = codec.quick_ack_requested();
        match self.handle_frame(frame, false).await? {
            Handled::Plain { answer, failed } => {
                if let Some(answer) = answer {
                    self.put(codec, &answer)?;
                }
                failed.map_or(Ok(()), |error| Err(error.into()))
            }
            Handled::Message { token, received, .. } => {
                if wants_quick_ack && received {
                    codec.encode_quick_ack(token, &mut rand::rng(), &mut self.output)?;
                }
                Ok(())
            }
            Handled::Dropped => Ok(()),
        }
    }

    /// Makes one payload ready to be written.
    fn put(&mut self, codec: &mut Codec, payload: &[u8]) -> Result<(), Closed> {
        let before = self.output.len();
        codec.encode(payload, &mut rand::rng(), &mut self.output)?;
        self.trace_sent(payload.len(), self.output.len().saturating_sub(before), codec.padding_sent());
        Ok(())
    }

    pub(super) fn trace_sent(&self, len: usize, wire: usize, padding: usize) {
        if !self.tracer.is_off() {
            let framing = self.framing.into();
            self.tracer.emit(self.shared.now(), || trace::Event::FrameSent { len, wire, padding, framing, quick_ack: false });
        }
    }

    pub(super) fn trace_received(&self, len: usize, wire: usize, padding: usize, quick_ack: bool) {
        if !self.tracer.is_off() {
            let framing = self.framing.into();
            self.tracer.emit(self.shared.now(), || trace::Event::FrameReceived { len, wire, padding, framing, quick_ack });
        }
    }

    /// Whether so much waits that nothing more should be read.
    pub(super) fn queues_are_full(&self) -> bool {
        self.slots.iter().any(|slot| A::is_full(&slot.lock()))
    }

    /// When the first of the sessions here wants to be woken.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let timeout_of = |slot: &Arc<Slot<A>>| {
            let inner = slot.lock();
            if inner.is_at(self.id) { inner.session.poll_timeout() } else { None }
        };
        self.slots.iter().filter_map(timeout_of).min()
    }

    /// Time has passed.
    pub(super) fn handle_timeouts(&self) {
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
    pub(super) fn take_events(&self) -> Result<Option<DeathCause>, Closed> {
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
    fn make_ready(&mut self, codec: &mut Codec) -> Result<(), Closed> {
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

    /// Acts on a frame. `http`: its session is to share this connection with others, and answers only when it is asked.
    pub(super) async fn handle_frame(&mut self, frame: BytesMut, http: bool) -> Result<Handled<A>, Closed> {
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

    /// One step of a key exchange, on a thread of its own: it is arithmetic with large numbers.
    async fn handle_handshake(&mut self, frame: BytesMut) -> Result<Handled<A>, Closed> {
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
                shared.key_log.key(&established.auth_key, dc, expires);
            }
            Ok(step)
        })
        .await
        .map_err(|_| Closed::Lost)??;
        let (next, answer, failed) = match step {
            Step::Send(next, frame) => (Some(next), Some(frame), None),
            Step::Wait(next) => (Some(next), None, None),
            Step::Done(_, frame) => (None, Some(frame), None),
            Step::Failed(error, frame) => (None, Some(frame), Some(error)),
        };
        self.handshake = next;
        Ok(Handled::Plain { answer, failed })
    }
}
