//! What a client's bytes come through: TCP, bare or inside TLS. What is said in it is the same.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream as Accepted;

use super::answers::Answers;
use super::connection::{Closed, Connection};
use tdl_net::tls::TlsStream;

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// A stream whose two directions can go their own ways.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {
    /// What is read from.
    type Reader: AsyncRead + Send + Unpin;
    /// What is written to.
    type Writer: AsyncWrite + Send + Unpin;

    /// The two directions.
    fn halves(self) -> (Self::Reader, Self::Writer);
}

impl Socket for TcpStream {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    fn halves(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.into_split()
    }
}

/// A client's stream inside TLS.
type Wrapped = TlsStream<Accepted<TcpStream>>;

impl Socket for Wrapped {
    type Reader = ReadHalf<Self>;
    type Writer = WriteHalf<Self>;

    fn halves(self) -> (ReadHalf<Self>, WriteHalf<Self>) {
        tokio::io::split(self)
    }
}

impl<A: Answers> Connection<A> {
    /// As [`Connection::run`], inside TLS if there is an acceptor.
    pub(super) async fn run_in(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) -> Closed {
        let Some(acceptor) = acceptor else { return self.run(stream).await };
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.run(TlsStream::new(stream)).await,
            Ok(Err(error)) => Closed::Tls(error),
            Err(_) => Closed::Idle,
        }
    }
}
