//! The conversation with a proxy that opens tunnels.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::ProxyError;
use crate::dial::Stream;
use tdl_core::transport::Target;
use tdl_core::transport::http_connect::HttpConnect;
use tdl_core::transport::proxy::Credentials;
use tdl_core::transport::socks5::{Socks5, Step};

/// Has a SOCKS5 proxy lead on to `target`. Afterwards the stream is the tunnel.
pub(super) async fn socks5(
    stream: &mut Box<dyn Stream>,
    target: Target,
    credentials: Option<Credentials>,
) -> Result<(), ProxyError> {
    let (mut client, first) = Socks5::new(target, credentials)?;
    stream.write_all(&first).await?;
    let mut input = BytesMut::new();
    loop {
        match client.handle_input(&mut input)? {
            Step::Wait => more(stream, &mut input).await?,
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Done(_) => return Ok(()),
        }
    }
}

/// Has an HTTP proxy lead on to `target`. Afterwards the stream is the tunnel.
pub(super) async fn http(
    stream: &mut Box<dyn Stream>,
    target: &Target,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let (mut client, request) = HttpConnect::new(target, credentials);
    stream.write_all(&request).await?;
    let mut input = BytesMut::new();
    while !client.handle_input(&mut input)? {
        more(stream, &mut input).await?;
    }
    Ok(())
}

/// Reads on. The state machines bound what they wait for, so this is bounded too.
pub(super) async fn more(stream: &mut Box<dyn Stream>, input: &mut BytesMut) -> Result<(), ProxyError> {
    input.reserve(1024);
    match stream.read_buf(input).await? {
        0 => Err(ProxyError::Closed),
        _ => Ok(()),
    }
}
