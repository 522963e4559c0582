//! A stream inside what looks like TLS.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::error::ProxyError;
use super::tunnel::more;
use crate::dial::Stream;
use tdl_core::transport::fake_tls::{Client, Records};

/// What is read at once, at most.
const READ_CHUNK: usize = 64 << 10;
/// Records waiting to be written beyond which no further data is taken.
const WRITE_LIMIT: usize = 64 << 10;

/// A stream whose bytes travel in records, in either role.
pub struct FakeTls {
    stream: Box<dyn Stream>,
    records: Records,
    /// As it came, from the start of an unfinished head on.
    wire_in: BytesMut,
    /// Out of its records, not yet taken.
    data_in: BytesMut,
    /// In records, not yet written.
    wire_out: BytesMut,
}

impl FakeTls {
    /// Sends the greeting and waits for the answer.
    pub(super) async fn begin(mut stream: Box<dyn Stream>, mut client: Client, greeting: &[u8]) -> Result<Self, ProxyError> {
        stream.write_all(greeting).await?;
        let mut wire_in = BytesMut::new();
        loop {
            if let Some(records) = client.handle_input(&mut wire_in)? {
                return Ok(Self::over(stream, records, wire_in));
            }
            more(&mut stream, &mut wire_in).await?;
        }
    }

    /// Past the greetings. `wire_in` is what has been read behind them.
    pub fn over(stream: Box<dyn Stream>, records: Records, wire_in: BytesMut) -> Self {
        Self { stream, records, wire_in, data_in: BytesMut::new(), wire_out: BytesMut::new() }
    }

    /// Writes what waits, as far as the stream takes it.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.wire_out.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.wire_out))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.wire_out.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for FakeTls {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            // What is left from the greetings comes first.
            let decoded = this.records.decode(&mut this.wire_in, &mut this.data_in);
            if !this.data_in.is_empty() {
                let count = this.data_in.len().min(out.remaining());
                out.put_slice(&this.data_in.split_to(count));
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = decoded {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            this.wire_in.reserve(READ_CHUNK);
            if ready!(pin!(this.stream.read_buf(&mut this.wire_in)).poll(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for FakeTls {
    /// Takes data and begins to write it. What the stream does not take at once goes out with the next call, or with a flush.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.wire_out.len() >= WRITE_LIMIT {
            ready!(this.poll_drain(context))?;
        }
        let count = data.len().min(WRITE_LIMIT);
        this.records.encode(data.get(..count).unwrap_or_default(), &mut this.wire_out);
        match this.poll_drain(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}
