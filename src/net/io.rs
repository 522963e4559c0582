//! One connection's stream, codec and buffers.

use std::io;

use bytes::{Buf, BytesMut};
use futures_util::FutureExt as _;
use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use tdl_core::trace::{Event, Tracer};
use tdl_core::transport::{Codec, Error, Frame, Options};

use super::clock::Clock;
use super::dial::Stream;

/// The room that is made where nothing is known of what comes: enough for several frames, little enough that others get their turn.
const READ_CHUNK: usize = 128 << 10;

/// The most room that is made because the peer announced a long frame: that of the longest answer that is everyday, a part of a file.
/// A longer one grows the buffer by doubling, as it comes in.
const READ_MOST: usize = (1 << 20) + (16 << 10);

/// Room below which the buffer is renewed. Not sooner: frames are slices of it, and whoever keeps a small one keeps all of the buffer.
const READ_LEAST: usize = 16 << 10;

/// Bytes waiting to be written beyond which no further frame is made: the socket is full, and what waits can still be cancelled.
const WRITE_LIMIT: usize = 256 << 10;

/// A stream with a codec in front of it. Reading and writing are independent: neither blocks the other.
pub(super) struct Io {
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    codec: Codec,
    inbuf: BytesMut,
    outbuf: BytesMut,
    /// Whether something was written that the stream may still hold back.
    unflushed: bool,
    /// How a read that nobody waited for has failed.
    failed: Option<io::Error>,
    /// What is around payloads, for the trace.
    framing: &'static str,
    clock: Clock,
    tracer: Tracer,
}

/// A frame that has come in, and what the trace is to say of it.
pub(super) struct Arrival {
    pub(super) frame: Frame,
    pub(super) note: Note,
}

/// What the trace is to say of a frame, if it has not been told.
#[derive(Clone, Copy)]
pub(super) enum Note {
    Payload { len: usize, wire: usize, padding: usize },
    QuickAck(u32),
    Error(i32),
    Told,
}

/// What came of waiting for the stream.
pub(super) enum Readiness {
    /// Something came in: so many bytes with the last read, of which 0 mean that the peer has closed.
    Read(usize),
    /// Some of what waited was written.
    Written,
}

impl Io {
    /// `framing`: what is around payloads, for the trace.
    pub(super) fn new(
        stream: Box<dyn Stream>,
        options: &Options,
        framing: &'static str,
        clock: Clock,
        tracer: Tracer,
        rng: &mut dyn Rng,
    ) -> Self {
        let (read, write) = tokio::io::split(stream);
        let codec = Codec::client(options, rng);
        let (inbuf, outbuf) = (BytesMut::new(), BytesMut::new());
        Self { read, write, codec, inbuf, outbuf, unflushed: false, failed: None, framing, clock, tracer }
    }

    /// Whether another frame may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.outbuf.len() < WRITE_LIMIT
    }

    /// Queues one frame.
    pub(super) fn queue(&mut self, payload: &[u8], rng: &mut dyn Rng) -> Result<(), Error> {
        let before = self.outbuf.len();
        self.codec.encode(payload, rng, &mut self.outbuf)?;
        self.trace_sent(payload.len(), before, false);
        Ok(())
    }

    /// Queues one frame that the server is to acknowledge at once; as any other where the transport has no such thing.
    pub(super) fn queue_with_quick_ack(&mut self, payload: &[u8], rng: &mut dyn Rng) -> Result<(), Error> {
        let before = self.outbuf.len();
        match self.codec.encode_with_quick_ack(payload, rng, &mut self.outbuf) {
            Err(Error::QuickAckUnsupported) => return self.queue(payload, rng),
            other => other?,
        }
        self.trace_sent(payload.len(), before, true);
        Ok(())
    }

    fn trace_sent(&self, len: usize, before: usize, quick_ack: bool) {
        if self.tracer.is_off() {
            return;
        }
        self.tracer.emit(self.clock.now(), || Event::FrameSent {
            len,
            wire: self.outbuf.len().saturating_sub(before),
            padding: self.codec.padding_sent(),
            framing: self.framing.into(),
            quick_ack,
        });
    }

    /// Takes the next whole frame out of what was read.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let Some(arrival) = self.next_arrival()? else { return Ok(None) };
        self.note(arrival.note);
        Ok(Some(arrival.frame))
    }

    /// Takes the next whole frame out of what was read, and tells the trace nothing yet: [`note`](Self::note) does, when it is its turn.
    pub(super) fn next_arrival(&mut self) -> Result<Option<Arrival>, Error> {
        let before = self.inbuf.len();
        let Some(frame) = self.codec.decode(&mut self.inbuf)? else { return Ok(None) };
        let note = match &frame {
            Frame::Payload(payload) => {
                let wire = before.saturating_sub(self.inbuf.len());
                Note::Payload { len: payload.len(), wire, padding: self.codec.padding_received() }
            }
            Frame::QuickAck(token) => Note::QuickAck(*token),
            Frame::Error(error) => Note::Error(error.code()),
        };
        Ok(Some(Arrival { frame, note }))
    }

    /// Tells the trace of a frame.
    pub(super) fn note(&self, note: Note) {
        if self.tracer.is_off() {
            return;
        }
        let event = match note {
            Note::Payload { len, wire, padding } => {
                Event::FrameReceived { len, wire, padding, framing: self.framing.into(), quick_ack: false }
            }
            Note::QuickAck(token) => Event::QuickAck { token },
            Note::Error(code) => Event::TransportError { code },
            Note::Told => return,
        };
        self.tracer.emit(self.clock.now(), || event);
    }

    /// Makes room for what is read next. Frames are slices of the buffer, and a frame should be in one piece from the beginning: what has
    /// come of it moves each time that the buffer is renewed.
    fn make_room(&mut self) {
        let (len, room) = (self.inbuf.len(), self.inbuf.capacity() - self.inbuf.len());
        let missing = self.codec.awaited().saturating_sub(len);
        if room < READ_LEAST || (room < missing && missing <= READ_MOST) {
            let more = match missing {
                // The next one's beginning comes with it.
                1..=READ_MOST => missing + READ_LEAST,
                // A frame longer than that grows the buffer by doubling, not chunk by chunk.
                _ => READ_CHUNK.max(len),
            };
            self.inbuf.reserve(more);
        }
    }

    /// Reads what is there already, without waiting. Returns whether that was anything: the end of the stream and errors are for
    /// [`ready`](Self::ready) to report.
    pub(super) fn read_more(&mut self) -> bool {
        self.make_room();
        let before = self.inbuf.len();
        if let Some(Err(error)) = self.read.read_buf(&mut self.inbuf).now_or_never() {
            self.failed = Some(error);
        }
        self.inbuf.len() > before
    }

    /// Waits until the stream gave or took something: of a frame whose length is known, all, as whoever waits can do nothing with less.
    /// Can be dropped at any time without loss.
    pub(super) async fn ready(&mut self) -> io::Result<Readiness> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            self.make_room();
            let (write, outbuf, flush) = (&mut self.write, &self.outbuf, self.outbuf.is_empty());
            let pass_on = async {
                match flush {
                    // A stream that packs what it is given may hold back the rest of it.
                    true => write.flush().await.map(|()| None),
                    false => write.write(outbuf).await.map(Some),
                }
            };
            tokio::select! {
                read = self.read.read_buf(&mut self.inbuf) => {
                    let count = read?;
                    if count == 0 || self.inbuf.len() >= self.codec.awaited() {
                        return Ok(Readiness::Read(count));
                    }
                }
                passed = pass_on, if !flush || self.unflushed => return match passed? {
                    Some(0) => Err(io::ErrorKind::WriteZero.into()),
                    Some(count) => {
                        self.outbuf.advance(count);
                        self.unflushed = true;
                        Ok(Readiness::Written)
                    }
                    None => {
                        self.unflushed = false;
                        Ok(Readiness::Written)
                    }
                },
            }
        }
    }

    /// Writes what is queued and says goodbye.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.write.write_all_buf(&mut self.outbuf).await?;
        self.write.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tokio::io::AsyncWriteExt;

    use tdl_core::ids::DcId;
    use tdl_core::transport::Kind;

    use super::*;

    fn io(stream: tokio::io::DuplexStream) -> (Io, StdRng) {
        let mut rng = StdRng::from_seed([1; 32]);
        let options = Options { kind: Kind::Intermediate, obfuscated: false, dc: DcId(2) };
        let clock = Clock::starting_at(Duration::ZERO);
        (Io::new(Box::new(stream), &options, options.name(), clock, Tracer::off(), &mut rng), rng)
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_still_heard() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut io, mut rng) = io(ours);
        let mut frames = 0;
        while io.has_room() {
            io.queue(&[0; 64 << 10], &mut rng).unwrap();
            frames += 1;
        }
        assert_eq!(frames, 4, "what waits is bounded");
        theirs.write_all(&[8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.unwrap();
        loop {
            io.ready().await.unwrap();
            if let Some(frame) = io.next_frame().unwrap() {
                assert!(matches!(frame, Frame::Payload(payload) if payload[..] == [1, 2, 3, 4, 5, 6, 7, 8]));
                break;
            }
        }
        assert!(io.outbuf.len() > WRITE_LIMIT - 1024, "the peer has taken next to nothing");
    }

    /// Frames that are there already are read without waiting; nothing is, and the end neither.
    #[tokio::test]
    async fn what_is_there_already_is_read_at_once() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (mut io, _) = io(ours);
        assert!(!io.read_more(), "nothing is there");
        let frame = |fill: u8| [&(200_000_u32).to_le_bytes()[..], &vec![fill; 200_000]].concat();
        theirs.write_all(&frame(1)).await.unwrap();
        theirs.write_all(&frame(2)).await.unwrap();
        let mut fills = Vec::new();
        loop {
            match io.next_arrival().unwrap() {
                Some(Arrival { frame: Frame::Payload(payload), note: Note::Payload { len, wire, padding: 0 } }) => {
                    assert_eq!((payload.len(), len, wire), (200_000, 200_000, 200_004));
                    fills.push(payload[199_999]);
                }
                Some(_) => panic!("payloads were sent"),
                None if io.read_more() => {}
                None => break,
            }
        }
        assert_eq!(fills, [1, 2]);
        drop(theirs);
        assert!(!io.read_more(), "the end is not found here");
        assert!(matches!(io.ready().await, Ok(Readiness::Read(0))), "but there");
    }

    /// A part of a file comes into a buffer that was made for it: what has come of it does not move as more comes, and nobody is woken
    /// for less than all of it.
    #[tokio::test]
    async fn a_long_frame_is_in_one_place_and_told_once_when_its_length_is_known() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let (mut io, _) = io(ours);
        let len = 1_000_000_u32;
        let sender = tokio::spawn(async move {
            theirs.write_all(&len.to_le_bytes()).await.unwrap();
            theirs.write_all(&vec![7; len as usize]).await.unwrap();
        });
        io.ready().await.unwrap();
        assert!(io.next_frame().unwrap().is_none());
        let (mut places, mut waits) = (std::collections::BTreeSet::new(), 0);
        // Waiting is given up and begun anew each time that nothing is there.
        while io.ready().now_or_never().is_none() {
            places.insert(io.inbuf.as_ptr() as usize);
            waits += 1;
            tokio::task::yield_now().await;
        }
        places.insert(io.inbuf.as_ptr() as usize);
        let Some(Frame::Payload(payload)) = io.next_frame().unwrap() else { panic!("told before it was all there") };
        assert_eq!(payload.len(), len as usize);
        assert!(waits > 2 && payload.iter().all(|byte| *byte == 7), "{waits} waits");
        assert_eq!(places.len(), 1, "it moved");
        sender.await.unwrap();
    }

    /// While a frame is on its way, others go out; and of one that never becomes whole, the end is told.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_the_rest_of_a_frame_writes_meanwhile_and_hears_the_end() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let (mut io, mut rng) = io(ours);
        theirs.write_all(&[&1000_u32.to_le_bytes()[..], &[7; 10]].concat()).await.unwrap();
        io.ready().await.unwrap();
        assert!(io.next_frame().unwrap().is_none());
        theirs.write_all(&[7; 20]).await.unwrap();
        let soon = |io: &mut Io| io.ready().now_or_never();
        assert!(soon(&mut io).is_none(), "that was not all of it");
        io.queue(&[9; 8], &mut rng).unwrap();
        assert!(matches!(soon(&mut io), Some(Ok(Readiness::Written))));
        let mut sent = [0; 16];
        assert_eq!(theirs.read(&mut sent).await.unwrap(), 4 + 4 + 8, "the transport's first word, and the frame");
        drop(theirs);
        let end = tokio::time::timeout(Duration::from_secs(1), async {
            loop {
                if let Readiness::Read(count) = io.ready().await.unwrap() {
                    break count;
                }
            }
        });
        assert_eq!(end.await, Ok(0));
    }

    #[tokio::test]
    async fn a_closed_stream_is_told() {
        let (ours, theirs) = tokio::io::duplex(64);
        let (mut io, mut rng) = io(ours);
        drop(theirs);
        assert!(matches!(io.ready().await, Ok(Readiness::Read(0))));
        io.queue(&[0; 8], &mut rng).unwrap();
        assert!(io.finish().await.is_err());
    }
}
