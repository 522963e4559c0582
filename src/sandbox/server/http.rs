//! A connection over HTTP: requests in, an answer to each, in order, when its time has come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::answers::Answers;
use super::connection::{Closed, Connection, Handled, IDLE, IDLE_AT_FIRST, MAX_UNWRITTEN, READ};
use super::sessions::Slot;
use super::turns::Turn;
use tdl_core::mtproto::handshake::error::Error;
use tdl_core::transport::TransportError;
use tdl_core::transport::http::Server;

/// Requests on one connection that may wait for their answers. What comes behind them is not read.
const MAX_PIPELINED: usize = 32;

/// A request without an answer.
enum Asked<A: Answers> {
    /// A step of the key exchange, which has its answer.
    Plain(Bytes),
    /// A message of a session.
    Message(Arc<Slot<A>>, Turn),
}

impl<A: Answers> Connection<A> {
    /// Serves the client until one of both has had enough. Only an end that is no answer to a request is an error of the connection; what
    /// there is to say about it is written as a status.
    pub(super) async fn serve_http<R, W>(&mut self, reader: &mut R, writer: &mut W) -> Closed
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut server = Server::new();
        let closed = match self.run_http(reader, writer, &mut server).await {
            Ok(never) => match never {},
            Err(closed) => closed,
        };
        let status = match &closed {
            // A request that could not be read waits for an answer as well.
            Closed::Http(error) => Some(TransportError::Other(error.status().into())),
            closed => closed.transport_error().filter(|_| server.asked() > 0),
        };
        if let Some(status) = status {
            server.encode_error(status, &mut self.output);
        }
        closed
    }

    async fn run_http<R, W>(&mut self, reader: &mut R, writer: &mut W, server: &mut Server) -> Result<Infallible, Closed>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut asked = VecDeque::new();
        let mut failed = None;
        let mut taken = 0;
        let mut heard_at = self.shared.now().mono;
        loop {
            while failed.is_none()
                && asked.len() < MAX_PIPELINED
                && let Some(request) = {
                    let before = self.input.len();
                    let request = server.decode(&mut self.input)?;
                    // A head may have been taken before its body is there.
                    taken += before.saturating_sub(self.input.len());
                    request
                }
            {
                self.trace_received(request.payload.len(), std::mem::take(&mut taken), 0, false);
                failed = self.take_request(request.payload, &mut asked).await?;
            }
            self.take_events()?;
            self.answer(server, &mut asked)?;
            if let Some(error) = failed {
                return Err(Closed::Handshake(error));
            }
            let full = self.output.len() >= MAX_UNWRITTEN || asked.len() >= MAX_PIPELINED || self.queues_are_full();
            let idle_at = heard_at.saturating_add(if self.slots.is_empty() { IDLE_AT_FIRST } else { IDLE });
            // A client that waits for an answer is not idle, and one that does not take what it has been answered gets no more.
            let due = match asked.front() {
                None => Some(idle_at),
                Some(Asked::Message(slot, turn)) if self.output.len() < MAX_UNWRITTEN => slot.lock().turns_due(*turn),
                Some(_) => None,
            };
            let wake_at = self.next_timeout().into_iter().chain(due).min().unwrap_or(heard_at.saturating_add(IDLE));
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
                    if asked.is_empty() && self.shared.now().mono >= idle_at {
                        return Err(Closed::Idle);
                    }
                    self.handle_timeouts();
                }
            }
        }
    }

    /// Acts on a request. Returns why the key exchange ended with it, if it did: after the answer.
    async fn take_request(&mut self, payload: BytesMut, asked: &mut VecDeque<Asked<A>>) -> Result<Option<Error>, Closed> {
        match self.handle_frame(payload, true).await? {
            Handled::Plain { answer, failed } => {
                // What is neither answered nor wrong was not worth a request.
                let answer = answer.ok_or(Closed::NoAnswer)?;
                asked.push_back(Asked::Plain(answer));
                Ok(failed)
            }
            Handled::Dropped => Err(Closed::NoAnswer),
            Handled::Message { slot, .. } => {
                let (now, id) = (self.shared.now(), self.id);
                let turn = slot.lock().ask(now, id);
                // The session may have moved to a stream in this very moment; then there is nobody to answer for.
                if let Some(turn) = turn {
                    asked.push_back(Asked::Message(slot, turn));
                    Ok(None)
                } else {
                    Err(Closed::NoAnswer)
                }
            }
        }
    }

    /// Writes the answers whose time has come, up to the first that waits.
    fn answer(&mut self, server: &mut Server, asked: &mut VecDeque<Asked<A>>) -> Result<(), Closed> {
        let now = self.shared.now();
        while self.output.len() < MAX_UNWRITTEN {
            let before = self.output.len();
            let (last, len) = match asked.front() {
                None => return Ok(()),
                Some(Asked::Plain(answer)) => (server.encode(answer, &mut self.output)?, answer.len()),
                Some(Asked::Message(slot, turn)) => {
                    let mut inner = slot.lock();
                    if inner.turns_due(*turn).is_some_and(|due| due > now.mono) {
                        return Ok(());
                    }
                    let frame = inner.take_answer(now, *turn).ok_or(Closed::NoAnswer)?;
                    A::resume(&self.shared, slot, &mut inner);
                    (server.encode(&frame, &mut self.output)?, frame.len())
                }
            };
            self.trace_sent(len, self.output.len().saturating_sub(before), 0);
            asked.pop_front();
            if last {
                return Err(Closed::Last);
            }
        }
        Ok(())
    }
}
