//! WebSocket as a byte stream: the upgrade of either role, and a stream whose bytes travel in messages.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use tdl_core::transport::websocket::{ClientHandshake, CloseCode, Codec, Error, Event, ServerHandshake};

/// Bytes of the stream in one message, at most.
const MESSAGE: usize = 64 << 10;

/// Bytes that wait to be written beyond which no more are taken.
const WRITE_LIMIT: usize = 128 << 10;

/// What is read at once, at most.
const READ_CHUNK: usize = 64 << 10;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The connection ended, or was too slow.
    #[error("{0}")]
    Lost(String),
    /// The peer broke a rule, or refuses.
    #[error(transparent)]
    Protocol(#[from] Error),
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Asks a server for the upgrade. Not cancel safe: whoever stops it drops the stream.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    host: &str,
    path: &str,
    mut rng: StdRng,
) -> Result<WebSocketStream<S>, UpgradeError> {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let mut handshake = ClientHandshake::new(host, path, &mut rng, &mut out);
    stream.write_all_buf(&mut out).await?;
    stream.flush().await?;
    loop {
        if let Some(codec) = handshake.handle_input(&mut input)? {
            return Ok(WebSocketStream::new(stream, codec, input, rng));
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(UpgradeError::Lost("closed by the server during the upgrade".to_owned()));
        }
    }
}

/// Answers a client that asks for the upgrade; `input` is what it has said so far.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut input: BytesMut,
    rng: StdRng,
) -> Result<WebSocketStream<S>, UpgradeError> {
    let mut out = BytesMut::new();
    let mut handshake = ServerHandshake::new();
    loop {
        let answered = handshake.handle_input(&mut input, &mut out);
        // A refusal is said as well.
        stream.write_all_buf(&mut out).await?;
        stream.flush().await?;
        if let Some(codec) = answered? {
            return Ok(WebSocketStream::new(stream, codec, input, rng));
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(UpgradeError::Lost("closed by the client during the upgrade".to_owned()));
        }
    }
}

/// A byte stream inside a WebSocket. Reading also writes what is owed to the peer and what waits: whoever reads drives both.
pub struct WebSocketStream<S> {
    stream: S,
    codec: Codec,
    rng: StdRng,
    inbuf: BytesMut,
    /// Bytes of the stream that have come and were not read yet.
    data: BytesMut,
    outbuf: BytesMut,
    /// The peer has closed.
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketStream<S> {
    fn new(stream: S, codec: Codec, inbuf: BytesMut, rng: StdRng) -> Self {
        Self { stream, codec, rng, inbuf, data: BytesMut::new(), outbuf: BytesMut::new(), ended: false }
    }

    /// Writes what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.codec.poll_output(&mut self.rng, &mut self.outbuf);
        while !self.outbuf.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbuf))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.outbuf.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes apart what was read, until there are bytes of the stream.
    fn decode(&mut self) -> Result<(), Error> {
        while self.data.is_empty() {
            match self.codec.decode(&mut self.inbuf)? {
                Some(Event::Data(data)) => self.data = data,
                Some(Event::Ping | Event::Pong) => {}
                Some(Event::Close(_)) => self.ended = true,
                None => break,
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Err(error) = this.decode() {
                this.codec.close(CloseCode::PROTOCOL, &mut this.rng, &mut this.outbuf);
                // Whether the peer hears of it is its luck.
                let _ = this.poll_drain(cx);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            // Pending is no reason not to read: the task is woken for either.
            if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
            if !this.data.is_empty() {
                let count = this.data.len().min(buf.remaining());
                buf.put_slice(&this.data.split_to(count));
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            this.inbuf.reserve(READ_CHUNK);
            let read = pin!(this.stream.read_buf(&mut this.inbuf));
            // The end without a close frame is an end as well: nothing here says that it must not be.
            this.ended = ready!(read.poll(cx))? == 0;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.outbuf.len() >= WRITE_LIMIT {
            ready!(this.poll_drain(cx))?;
        }
        let count = data.len().min(MESSAGE);
        let taken = data.get(..count).unwrap_or(data);
        this.codec
            .encode(taken, &mut this.rng, &mut this.outbuf)
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error))?;
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.codec.close(CloseCode::NORMAL, &mut this.rng, &mut this.outbuf);
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use tdl_core::transport::websocket::PATH;

    use super::*;

    fn rng(seed: u8) -> StdRng {
        StdRng::from_seed([seed; 32])
    }

    async fn pair(capacity: usize) -> (WebSocketStream<tokio::io::DuplexStream>, WebSocketStream<tokio::io::DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(capacity);
        let (client, server) = tokio::join!(upgrade(ours, "h", PATH, rng(1)), accept(theirs, BytesMut::new(), rng(2)));
        (client.unwrap(), server.unwrap())
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_through_a_narrow_stream() {
        let (mut client, mut server) = pair(100).await;
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let write = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let mut heard = Vec::new();
        let (_, read) = tokio::join!(write, server.read_to_end(&mut heard));
        assert_eq!(read.unwrap(), sent.len());
        assert!(heard == sent);
        // The close frame was answered; the other end sees an end, not a break.
        server.shutdown().await.unwrap();
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn whoever_reads_writes_what_waits() {
        let (mut client, mut server) = pair(64).await;
        let mut taken = 0;
        while client.outbuf.len() < WRITE_LIMIT {
            taken += client.write(&[7; 50_000]).await.unwrap();
        }
        let mut heard = vec![0; taken];
        let mut nothing = [0];
        tokio::select! {
            read = server.read_exact(&mut heard) => drop(read.unwrap()),
            read = client.read(&mut nothing) => panic!("nothing was said: {read:?}"),
        }
        assert!(heard.iter().all(|byte| *byte == 7));
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_on_both_sides() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (client, server) = tokio::join!(upgrade(ours, "h", "/nowhere", rng(1)), accept(theirs, BytesMut::new(), rng(2)));
        assert!(matches!(client.err(), Some(UpgradeError::Protocol(Error::Refused { status: 400 }))));
        assert!(matches!(server.err(), Some(UpgradeError::Protocol(Error::WrongPath))));
    }

    #[tokio::test]
    async fn an_end_within_the_upgrade_is_a_loss() {
        let (ours, theirs) = tokio::io::duplex(1024);
        drop(theirs);
        assert!(matches!(upgrade(ours, "h", PATH, rng(1)).await.err(), Some(UpgradeError::Lost(_))));
        let (ours, theirs) = tokio::io::duplex(1024);
        drop(ours);
        assert!(matches!(accept(theirs, BytesMut::from("GET "), rng(1)).await.err(), Some(UpgradeError::Lost(_))));
    }

    #[tokio::test]
    async fn a_broken_rule_ends_the_stream_with_its_name() {
        let (mut client, mut server) = pair(1024).await;
        server.outbuf.extend_from_slice(&[0x81, 0]);
        server.flush().await.unwrap();
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), Error::Text.to_string());
        // Our close frame: the peer's end.
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
