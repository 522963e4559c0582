//! One connection's stream, codec and buffers.

use std::io;

use bytes::{Buf, BytesMut};
use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use tdl_core::trace::{Event, Tracer};
use tdl_core::transport::{Codec, Error, Frame, Options};

use super::clock::Clock;
use super::dial::Stream;

/// What is read at once, at most: enough that a file part takes few calls, little enough that others get their turn.
const READ_CHUNK: usize = 128 << 10;

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
    /// What is around payloads, for the trace.
    framing: &'static str,
    clock: Clock,
    tracer: Tracer,
}

/// What came of waiting for the stream.
pub(super) enum Readiness {
    /// So many bytes came in; 0 means that the peer has closed.
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
        Self { read, write, codec, inbuf, outbuf, unflushed: false, framing, clock, tracer }
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
        let before = self.inbuf.len();
        let frame = self.codec.decode(&mut self.inbuf)?;
        if let Some(frame) = &frame
            && !self.tracer.is_off()
        {
            self.tracer.emit(self.clock.now(), || match frame {
                Frame::Payload(payload) => Event::FrameReceived {
                    len: payload.len(),
                    wire: before.saturating_sub(self.inbuf.len()),
                    padding: self.codec.padding_received(),
                    framing: self.framing.into(),
                    quick_ack: false,
                },
                Frame::QuickAck(token) => Event::QuickAck { token: *token },
                Frame::Error(error) => Event::TransportError { code: error.code() },
            });
        }
        Ok(frame)
    }

    /// Waits until the stream gave or took something. Can be dropped at any time without loss.
    pub(super) async fn ready(&mut self) -> io::Result<Readiness> {
        if self.inbuf.capacity() - self.inbuf.len() < READ_LEAST {
            // A frame longer than a chunk grows the buffer by doubling, not chunk by chunk.
            self.inbuf.reserve(READ_CHUNK.max(self.inbuf.len()));
        }
        let (write, outbuf, flush) = (&mut self.write, &self.outbuf, self.outbuf.is_empty());
        let pass_on = async {
            match flush {
                // A stream that packs what it is given may hold back the rest of it.
                true => write.flush().await.map(|()| None),
                false => write.write(outbuf).await.map(Some),
            }
        };
        tokio::select! {
            read = self.read.read_buf(&mut self.inbuf) => Ok(Readiness::Read(read?)),
            passed = pass_on, if !flush || self.unflushed => match passed? {
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
