//! How a server learns which transport its client speaks.

use bytes::{Buf, BytesMut};

use super::codec::Codec;
use super::error::Error;
use super::mtproxy::Key;
use super::{Kind, full, obfuscation};
use crate::check::{Check, broken};

/// Reads the first bytes of a connection until they tell the transport. For servers.
///
/// ```text
/// ef                         abridged
/// eeeeeeee                   intermediate
/// dddddddd                   padded intermediate
/// HEAD POST GET_ OPTI        HTTP, or WebSocket's upgrade: no codec of this kind, see below
/// 16030102                   refused: TLS
/// ........ 00000000          full: the first frame's number is 0
/// anything else, 64 bytes    obfuscated: the tag inside tells the kind
/// ```
///
/// Obfuscated full has no tag. It is recognised by the head of its first frame, eight bytes behind the initial ones; if that is no
/// such head either, the connection is refused with [`Error::UnknownProtocol`].
///
/// [`Error::Http`] leaves the input as it is: [`super::http::Server`] reads it from the start if it begins with `POST`, and
/// [`super::websocket::ServerHandshake`] if it begins with `GET`.
///
/// A proxy's own detector ([`Detector::proxy`]) accepts nothing but obfuscated streams whose keys have its secret in them.
#[derive(Debug, Default)]
pub struct Detector {
    secret: Option<Key>,
    failed: Option<Error>,
}

impl Detector {
    /// A detector for a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// A detector for a new connection to an MTProxy with this secret.
    pub fn proxy(secret: Key) -> Self {
        Self { secret: Some(secret), failed: None }
    }

    /// Takes the initial bytes off `input` and returns the server's end of the connection; `None` when more bytes are needed.
    ///
    /// Until it has returned a codec, `input` may grow at its end and nothing else. An error is final.
    pub fn detect(&mut self, input: &mut BytesMut) -> Result<Option<Codec>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = match &self.secret {
            Some(secret) => detect_proxied(input, secret),
            None => detect(input),
        };
        if let Err(error) = &result {
            self.failed = Some(*error);
        }
        result
    }
}

fn detect_proxied(input: &mut BytesMut, secret: &Key) -> Result<Option<Codec>, Error> {
    let Some(init) = input.first_chunk::<{ obfuscation::INIT }>() else { return Ok(None) };
    let (tag, dc, streams) = obfuscation::accept(init, Some(secret));
    let kind = Kind::ALL.into_iter().find(|kind| kind.tag() == Some(tag)).ok_or(Error::WrongSecret)?;
    input.advance(obfuscation::INIT);
    Ok(Some(Codec::obfuscated_server(kind, dc, streams, 0)))
}

fn detect(input: &mut BytesMut) -> Result<Option<Codec>, Error> {
    if input.first() == Some(&0xef) {
        input.advance(1);
        return Ok(Some(Codec::server(Kind::Abridged)));
    }
    let Some(&first) = input.first_chunk::<4>() else { return Ok(None) };
    for kind in [Kind::Intermediate, Kind::PaddedIntermediate] {
        if kind.tag() == Some(u32::from_le_bytes(first)) {
            input.advance(4);
            return Ok(Some(Codec::server(kind)));
        }
    }
    if broken(Check::StreamNotHttp, obfuscation::HTTP.contains(&first)) {
        return Err(Error::Http);
    }
    if broken(Check::StreamNotTls, first == obfuscation::TLS) {
        return Err(Error::Tls);
    }
    let Some([_, _, _, _, second @ ..]) = input.first_chunk::<8>() else { return Ok(None) };
    if *second == [0; 4] {
        return Ok(Some(Codec::server(Kind::Full)));
    }
    let Some(init) = input.first_chunk::<{ obfuscation::INIT }>() else { return Ok(None) };
    let (tag, dc, mut streams) = obfuscation::accept(init, None);
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.tag() == Some(tag)) {
        input.advance(obfuscation::INIT);
        return Ok(Some(Codec::obfuscated_server(kind, dc, streams, 0)));
    }
    let Some(head) = input[obfuscation::INIT..].first_chunk_mut::<8>() else { return Ok(None) };
    streams.incoming.apply(head);
    if broken(Check::ObfuscatedTag, !full::is_first(head)) {
        return Err(Error::UnknownProtocol { tag });
    }
    input.advance(obfuscation::INIT);
    Ok(Some(Codec::obfuscated_server(Kind::Full, dc, streams, 8)))
}
