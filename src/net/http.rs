//! HTTP's requests over several connections.
//!
//! A server answers the requests of one connection in order, and may not look at a second one before it has answered the first: whoever
//! pipelines behind a long poll waits for that to end. So each request in flight has a connection of its own, a *lane*. Any lane's
//! answer may hold any message of the session; the server gives what it has to the request that has waited longest.
//!
//! One lane at least waits for the server whenever somebody wants to hear it, one for each session that there is something to be heard in:
//! an answer holds messages of one session. The last free one is used for a request that is answered at once, so that a lane is never far
//! away for what is to be sent next. What cannot be sent meanwhile is sent together, in one container.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use tdl_core::mtproto::envelope;
use tdl_core::mtproto::session::HttpWait;
use tdl_core::trace::{Event, Tracer};
use tdl_core::transport::Frame;
use tdl_core::transport::http::{Client, Error};

use super::clock::Clock;
use super::dial::Stream;
use super::io::Readiness;
use super::wire::Turn;

/// Connections at once under one key: one that waits for updates, one for a call that runs long, one that is soon free again.
const LANES: usize = 3;

/// Connections at once under all of them. A session that was given up for another key has its long poll until that ends, and takes nothing
/// from the one that follows it.
const ALL_LANES: usize = 3 * LANES;

/// What is read at once, at most.
const READ_CHUNK: usize = 64 << 10;

/// How long an answer may be held back. The delays are TDLib's: answers that come together travel together. The longest wait is the
/// one that servers assume.
const LISTEN: HttpWait =
    HttpWait { max_delay: Duration::from_millis(30), wait_after: Duration::from_millis(10), max_wait: Duration::from_secs(25) };

/// Another stream to the same address.
pub(super) type Redial = Box<dyn Fn() -> Dialling + Send>;

/// A stream on its way, or why there is none.
pub(super) type Dialling = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, String>> + Send>>;

/// The lanes of one connection.
pub(super) struct HttpIo {
    lanes: Vec<Lane>,
    redial: Redial,
    host: String,
    path: &'static str,
    /// What is around payloads, for the trace.
    framing: &'static str,
    clock: Clock,
    tracer: Tracer,
}

struct Lane {
    stream: LaneStream,
    /// The key of the request that was sent last: it stands for the session.
    key_id: Option<i64>,
    client: Client,
    inbuf: BytesMut,
    /// Bytes of the answer that is coming in which were taken out of `inbuf` already.
    taken: usize,
    outbuf: BytesMut,
}

enum LaneStream {
    Dialling(Dialling),
    Open(Box<dyn Stream>),
}

impl HttpIo {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        redial: Redial,
        host: String,
        path: &'static str,
        framing: &'static str,
        clock: Clock,
        tracer: Tracer,
    ) -> Self {
        let first = Lane::new(LaneStream::Open(stream), &host, path);
        Self { lanes: vec![first], redial, host, path, framing, clock, tracer }
    }

    fn busy(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.client.waiting() > 0).count()
    }

    /// Whether a lane is free under some key.
    pub(super) fn has_room(&self) -> bool {
        self.busy() < ALL_LANES
    }

    /// Leave to send a request under a key, if a lane is free. With `listening`, it is sent in any case if none waits under that key.
    pub(super) fn turn(&self, listening: bool, key_id: i64) -> Option<Turn> {
        let waits = |lane: &&Lane| lane.client.waiting() > 0 && lane.key_id == Some(key_id);
        let waiting = self.lanes.iter().filter(waits).count();
        match LANES.saturating_sub(waiting).min(ALL_LANES.saturating_sub(self.busy())) {
            0 => None,
            1 => Some(Turn::Request { wait: HttpWait::NONE, listen: false }),
            _ => Some(Turn::Request { wait: LISTEN, listen: listening && waiting == 0 }),
        }
    }

    /// Queues one request, on a lane that is free.
    pub(super) fn queue(&mut self, payload: &[u8]) -> Result<(), Error> {
        let lane = match self.lanes.iter().position(|lane| lane.client.waiting() == 0) {
            Some(at) => &mut self.lanes[at],
            None => {
                self.lanes.push(Lane::new(LaneStream::Dialling((self.redial)()), &self.host, self.path));
                self.lanes.last_mut().expect("pushed just now")
            }
        };
        let before = lane.outbuf.len();
        lane.client.encode(payload, &mut lane.outbuf)?;
        lane.key_id = envelope::key_id_of(payload);
        let wire = lane.outbuf.len().saturating_sub(before);
        self.tracer.emit(self.clock.now(), || Event::FrameSent {
            len: payload.len(),
            wire,
            padding: 0,
            framing: self.framing.into(),
            quick_ack: false,
        });
        Ok(())
    }

    /// Takes the next answer out of what was read.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        for at in 0..self.lanes.len() {
            let lane = &mut self.lanes[at];
            let before = lane.inbuf.len();
            let answer = lane.client.decode(&mut lane.inbuf)?;
            // A head may have been taken before its body is there.
            lane.taken += before.saturating_sub(lane.inbuf.len());
            let Some(answer) = answer else { continue };
            let wire = std::mem::take(&mut lane.taken);
            if answer.last {
                self.lanes.swap_remove(at);
            }
            self.tracer.emit(self.clock.now(), || match &answer.frame {
                Frame::Payload(payload) => Event::FrameReceived {
                    len: payload.len(),
                    wire,
                    padding: 0,
                    framing: self.framing.into(),
                    quick_ack: false,
                },
                Frame::QuickAck(token) => Event::QuickAck { token: *token },
                Frame::Error(error) => Event::TransportError { code: error.code() },
            });
            return Ok(Some(answer.frame));
        }
        Ok(None)
    }

    /// Waits until a lane gave or took something. Can be dropped at any time without loss.
    pub(super) async fn ready(&mut self) -> io::Result<Readiness> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            match lane.poll(cx) {
                Poll::Pending => at += 1,
                // A server may close a connection on which it owes nothing. The next request dials another one.
                Poll::Ready(Ok(Readiness::Read(0)) | Err(_)) if lane.client.waiting() == 0 => drop(self.lanes.swap_remove(at)),
                Poll::Ready(result) => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    /// Writes what is queued and says goodbye.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        for lane in &mut self.lanes {
            if let LaneStream::Open(stream) = &mut lane.stream {
                stream.write_all_buf(&mut lane.outbuf).await?;
                stream.shutdown().await?;
            }
        }
        Ok(())
    }
}

impl Lane {
    fn new(stream: LaneStream, host: &str, path: &str) -> Self {
        let (inbuf, outbuf) = (BytesMut::new(), BytesMut::new());
        Self { stream, key_id: None, client: Client::new(host, path), inbuf, taken: 0, outbuf }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Readiness>> {
        if let LaneStream::Dialling(dialling) = &mut self.stream {
            let stream = ready!(dialling.as_mut().poll(cx)).map_err(io::Error::other)?;
            self.stream = LaneStream::Open(stream);
        }
        let LaneStream::Open(stream) = &mut self.stream else { return Poll::Pending };
        if !self.outbuf.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut **stream as &mut (dyn AsyncWrite + Unpin)).poll_write(cx, &self.outbuf)
        {
            let written = written?;
            self.outbuf.advance(written);
            let result = if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(Readiness::Written) };
            return Poll::Ready(result);
        }
        self.inbuf.reserve(READ_CHUNK);
        let read = pin!(stream.read_buf(&mut self.inbuf));
        read.poll(cx).map_ok(Readiness::Read)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::DuplexStream;

    use tdl_core::transport::TransportError;
    use tdl_core::transport::http::{PATH, Server};

    use super::*;

    /// The key of the frame `[1; 8]`.
    const KEY: i64 = 0x0101_0101_0101_0101;

    /// Another frame under the same key.
    fn under(n: u8) -> [u8; 12] {
        let mut frame = [1; 12];
        frame[8..].fill(n);
        frame
    }

    /// The other ends of the streams that were dialled.
    type Dialled = Arc<Mutex<Vec<DuplexStream>>>;

    fn io() -> (HttpIo, DuplexStream, Dialled) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let dialled = Dialled::default();
        let list = Arc::clone(&dialled);
        let redial: Redial = Box::new(move || {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            list.lock().unwrap().push(theirs);
            Box::pin(async move { Ok(Box::new(ours) as Box<dyn Stream>) })
        });
        let clock = Clock::starting_at(Duration::ZERO);
        (HttpIo::new(Box::new(ours), redial, "h".to_owned(), PATH, "http", clock, Tracer::off()), theirs, dialled)
    }

    /// Answers the request that a stream brings.
    async fn serve(io: &mut HttpIo, stream: &mut DuplexStream, answer: Option<&[u8]>) -> BytesMut {
        let (mut server, mut input) = (Server::new(), BytesMut::new());
        let request = loop {
            if let Some(request) = server.decode(&mut input).unwrap() {
                break request;
            }
            tokio::select! {
                read = stream.read_buf(&mut input) => assert!(read.unwrap() > 0),
                ready = io.ready() => assert!(matches!(ready, Ok(Readiness::Written)), "nothing was answered yet"),
            }
        };
        let mut out = BytesMut::new();
        match answer {
            Some(answer) => drop(server.encode(answer, &mut out).unwrap()),
            None => server.encode_error(429, &mut out),
        }
        stream.write_all(&out).await.unwrap();
        request.payload
    }

    async fn frame(io: &mut HttpIo) -> Frame {
        loop {
            if let Some(frame) = io.next_frame().unwrap() {
                return frame;
            }
            assert!(!matches!(io.ready().await.unwrap(), Readiness::Read(0)));
        }
    }

    fn wait_of(turn: Option<Turn>) -> Option<(Duration, bool)> {
        turn.map(|turn| match turn {
            Turn::Request { wait, listen } => (wait.max_wait, listen),
            Turn::Any => panic!("HTTP has no such turn"),
        })
    }

    /// Row: A.1 "HTTP (long poll)"
    #[tokio::test]
    async fn requests_in_flight_have_a_lane_each_and_the_last_one_is_soon_free() {
        let (mut io, mut first, dialled) = io();
        assert_eq!(wait_of(io.turn(true, KEY)), Some((LISTEN.max_wait, true)), "somebody listens, and no request waits");
        assert_eq!(wait_of(io.turn(false, KEY)), Some((LISTEN.max_wait, false)));
        io.queue(&[1; 8]).unwrap();
        assert_eq!(wait_of(io.turn(true, KEY)), Some((LISTEN.max_wait, false)), "one waits already");
        assert_eq!(
            wait_of(io.turn(true, KEY + 1)),
            Some((LISTEN.max_wait, true)),
            "but it is answered for its own session only"
        );
        io.queue(&under(2)).unwrap();
        assert_eq!(wait_of(io.turn(true, KEY)), Some((Duration::ZERO, false)));
        io.queue(&under(3)).unwrap();
        assert!(io.turn(true, KEY).is_none());
        assert_eq!(wait_of(io.turn(true, KEY + 1)), Some((LISTEN.max_wait, true)), "another key has lanes of its own");
        assert_eq!(dialled.lock().unwrap().len(), 2);

        // Answers come in any order.
        let mut others = std::mem::take(&mut *dialled.lock().unwrap());
        assert_eq!(serve(&mut io, &mut others[1], Some(&[6; 8])).await[..], under(3));
        assert_eq!(frame(&mut io).await, Frame::Payload(BytesMut::from(&[6; 8][..])));
        assert_eq!(serve(&mut io, &mut first, Some(&[4; 8])).await[..], [1; 8]);
        assert_eq!(frame(&mut io).await, Frame::Payload(BytesMut::from(&[4; 8][..])));
        // A lane that is free is used again.
        io.queue(&[7; 8]).unwrap();
        assert!(dialled.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_status_is_a_transport_error_and_ends_its_lane() {
        let (mut io, mut first, _dialled) = io();
        io.queue(&[1; 8]).unwrap();
        serve(&mut io, &mut first, None).await;
        assert_eq!(frame(&mut io).await, Frame::Error(TransportError::Flood));
        assert!(io.lanes.is_empty());
    }

    #[tokio::test]
    async fn a_lane_closed_while_idle_is_replaced_and_one_closed_before_its_answer_is_a_loss() {
        let (mut io, first, dialled) = io();
        drop(first);
        assert!(poll_fn(|cx| Poll::Ready(io.poll_ready(cx).is_pending())).await);
        assert!(io.lanes.is_empty());
        io.queue(&[1; 8]).unwrap();
        let mut second = dialled.lock().unwrap().pop().unwrap();
        assert!(matches!(io.ready().await, Ok(Readiness::Written)));
        let mut input = BytesMut::new();
        second.read_buf(&mut input).await.unwrap();
        drop(second);
        assert!(matches!(io.ready().await, Ok(Readiness::Read(0))));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_is_an_error() {
        let (mut io, mut first, _dialled) = io();
        first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd").await.unwrap();
        io.ready().await.unwrap();
        assert_eq!(io.next_frame(), Err(Error::Unasked));
    }

    #[tokio::test]
    async fn what_is_queued_is_written_before_the_end() {
        let (mut io, mut first, _dialled) = io();
        io.queue(&[1; 8]).unwrap();
        io.finish().await.unwrap();
        let mut all = Vec::new();
        first.read_to_end(&mut all).await.unwrap();
        assert!(all.ends_with(&[1; 8]));
    }

    #[tokio::test]
    async fn a_lane_that_cannot_be_dialled_is_a_loss() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let redial: Redial = Box::new(|| Box::pin(async { Err("no way".to_owned()) }));
        let clock = Clock::starting_at(Duration::ZERO);
        let mut io = HttpIo::new(Box::new(ours), redial, "h".to_owned(), PATH, "http", clock, Tracer::off());
        io.queue(&[1; 8]).unwrap();
        io.queue(&[2; 8]).unwrap();
        let error = loop {
            match io.ready().await {
                Ok(Readiness::Written) => {}
                Ok(Readiness::Read(_)) => panic!("nobody answers"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "no way");
    }
}
