//! One client's connection: bytes to frames, frames to the key exchange or to sessions, and back.
//!
//! * `exchange`: the key exchange. `messages`: encrypted messages. `events`: what sessions have to say. `closed`: why a connection ended.

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
use super::sessions::Slot;
use super::socket::Socket;
use tdl_core::crypto::AuthKey;
use tdl_core::ids::DcId;
use tdl_core::mtproto::handshake;
use tdl_core::mtproto::handshake::server::ServerHandshake;
use tdl_core::trace::{self, ConnId, Tracer};
use tdl_core::transport::{self, Carrier, Codec, Detector, Frame};
use tdl_net::websocket;

mod closed;
mod events;
mod exchange;
mod messages;

pub(crate) use self::closed::Closed;
pub(super) use self::messages::SALTS_AHEAD;

/// A connection over which nothing comes is closed.
pub(super) const IDLE: Duration = Duration::from_secs(600);
/// The same, as long as nothing has come at all.
pub(super) const IDLE_AT_FIRST: Duration = Duration::from_secs(60);
/// Bytes that wait to be written at which nothing more is made ready.
pub(super) const MAX_UNWRITTEN: usize = 2 << 20;
/// How much is read at once.
pub(super) const READ: usize = 256 << 10;
/// How long the last words may take to be written.
const FAREWELL: Duration = Duration::from_secs(2);

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
}
