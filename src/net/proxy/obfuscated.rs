//! A stream that an MTProxy takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::dial::Stream;
use tdl_core::transport::{Kind, Obfuscated};

/// Bytes waiting to be written beyond which no further ones are taken.
const WRITE_LIMIT: usize = 64 << 10;

/// A stream of envelopes, obfuscated on its way.
pub(super) struct Obfuscating {
    stream: Box<dyn Stream>,
    cipher: Obfuscated,
    /// Bytes of the announcement yet to be left out.
    announcement: usize,
    /// Enciphered, not yet written.
    wire_out: BytesMut,
}

impl Obfuscating {
    /// Over `stream`, for envelopes of `kind`; `init` goes in front of the first byte.
    pub(super) fn new(stream: Box<dyn Stream>, kind: Kind, init: &[u8], cipher: Obfuscated) -> Self {
        Self { stream, cipher, announcement: kind.announcement().len(), wire_out: BytesMut::from(init) }
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

impl AsyncRead for Obfuscating {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, out))?;
        if let Some(fresh) = out.filled_mut().get_mut(before..) {
            this.cipher.decipher(fresh);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Obfuscating {
    /// Takes data and begins to write it. What the stream does not take at once goes out with the next call, or with a flush.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.wire_out.len() >= WRITE_LIMIT {
            ready!(this.poll_drain(context))?;
        }
        let count = data.len().min(WRITE_LIMIT);
        let left_out = this.announcement.min(count);
        this.announcement -= left_out;
        let start = this.wire_out.len();
        this.wire_out.extend_from_slice(data.get(left_out..count).unwrap_or_default());
        if let Some(fresh) = this.wire_out.get_mut(start..) {
            this.cipher.encipher(fresh);
        }
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
