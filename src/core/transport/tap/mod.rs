//! Both directions of one connection, read by somebody who looks on and writes nothing: a capture of the wire.
//!
//! What the client's first bytes are decides about both directions, as it does for a server ([`super::Detector`]):
//!
//! ```text
//! 05, CONNECT                a SOCKS5 or HTTP proxy's own handshake: taken off, what follows is looked at anew
//! POST                       HTTP
//! GET, upgrade               WebSocket, and an obfuscated stream in it
//! 16 03, a known secret      fake TLS, and an obfuscated stream under the secret in it
//! 64 bytes, a known secret   obfuscated under the secret of an MTProxy
//! anything else              as a server would take it
//! ```
//!
//! Plain obfuscation has no secret: the keys are in the client's first 64 bytes. For what goes to an MTProxy, its secret has to be given.
//!
//! A connection whose beginning was not seen cannot be told from noise by its bytes alone, and in an obfuscated stream the place in the
//! key stream is lost for good. In a plain one whoever recognises a frame may [`Tap::join`] there.

mod tunnel;

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::BytesMut;

use super::codec::{Codec, Role};
use super::mtproxy::Key;
use super::{Carrier, Detector, Error, Frame, Kind, Options, fake_tls, http, obfuscation, websocket};
use crate::ids::DcId;
use tunnel::Tunnel;

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// 0 and 1, for what is kept for both.
    pub const fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }

    /// Who reads what travels this way.
    const fn reader(self) -> Role {
        match self {
            Self::ToServer => Role::Server,
            Self::ToClient => Role::Client,
        }
    }
}

/// What a connection speaks, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What is around the envelopes.
    pub cover: Cover,
    /// The envelope; `None` over HTTP, which is one by itself.
    pub kind: Option<Kind>,
    /// Whether the stream is obfuscated.
    pub obfuscated: bool,
    /// The DC that the client's initial bytes name, if they name one that may exist. Most clients name one to a proxy only.
    pub dc: Option<DcId>,
    /// The number, from 0, of the secret that the connection is under, among those given.
    pub secret: Option<usize>,
}

/// What is around the envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cover {
    /// Nothing.
    Bare,
    /// The messages of a WebSocket.
    WebSocket,
    /// Records that look like TLS.
    FakeTls,
    /// HTTP's requests and answers.
    Http,
}

impl Spoken {
    /// As traces write it: `obfuscated padded`, `ws obfuscated padded`, `faketls obfuscated padded`, `http`.
    pub const fn name(&self) -> &'static str {
        let Some(kind) = self.kind else { return Carrier::Http.name() };
        let options = Options { kind, obfuscated: self.obfuscated, dc: DcId(0) };
        match (self.cover, kind) {
            (Cover::Bare, _) => options.name(),
            (Cover::WebSocket, _) => Carrier::WebSocket.framing(&options),
            (Cover::Http, _) => Carrier::Http.framing(&options),
            (Cover::FakeTls, Kind::Abridged) => "faketls obfuscated abridged",
            (Cover::FakeTls, Kind::Intermediate) => "faketls obfuscated intermediate",
            (Cover::FakeTls, Kind::PaddedIntermediate) => "faketls obfuscated padded",
            (Cover::FakeTls, Kind::Full) => "faketls obfuscated full",
        }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why nothing more can be read in a direction. The other one may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TapError {
    /// It is HTTP, but none that carries MTProto.
    #[error("it is HTTP, and no MTProto in it")]
    OtherHttp,
    /// It is TLS, and not the imitation of it under any secret given.
    #[error("it is TLS, and the greeting fits no proxy secret that was given")]
    Tls,
    /// It is a tunnel that was not made.
    #[error("the proxy refused")]
    TunnelRefused,
    /// The first bytes are no transport: another protocol, or obfuscation under a secret that was not given.
    #[error("it is no transport of MTProto, or obfuscated under a proxy secret that was not given")]
    Unknown,
    /// A rule of the transport was broken.
    #[error(transparent)]
    Transport(#[from] Error),
    /// A rule of HTTP was broken.
    #[error("HTTP: {0}")]
    Http(#[from] http::Error),
    /// A rule of WebSocket was broken.
    #[error("WebSocket: {0}")]
    WebSocket(#[from] websocket::Error),
    /// A rule of the imitation of TLS was broken.
    #[error("fake TLS: {0}")]
    FakeTls(#[from] fake_tls::Error),
}

impl TapError {
    /// Whether the connection is certainly something else than MTProto, or a tunnel to nowhere: nothing was lost.
    pub const fn is_other_protocol(&self) -> bool {
        matches!(self, Self::OtherHttp | Self::Tls | Self::TunnelRefused)
    }
}

/// A frame that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The frame.
    pub frame: Frame,
    /// Whether the client asks for a quick acknowledgement of it.
    pub wants_quick_ack: bool,
    /// What it takes on the wire: envelope and padding included, but not what is around a stream of them.
    pub wire: usize,
    /// The transport's own padding in it.
    pub padding: usize,
}

/// Looks on at one connection. [`feed`](Self::feed) it what passes in either direction, in the order of each, and
/// [`poll`](Self::poll) each direction until it has nothing more.
pub struct Tap {
    secrets: Vec<Key>,
    sides: [Side; 2],
    stage: Stage,
    tunnel: Option<Tunnel>,
    spoken: Option<Spoken>,
}

#[derive(Default)]
struct Side {
    /// As it came.
    raw: BytesMut,
    /// Out of what is around it.
    inner: BytesMut,
    /// Bytes of the frame that is coming in which are in neither any more.
    taken: usize,
    failed: Option<TapError>,
}

enum Stage {
    /// Too little has been seen of the client.
    Beginning,
    /// What is around the stream is known, if there is anything; the stream itself is not.
    Covered(Covering, Option<(usize, Key)>),
    /// Envelopes in each direction; where one is missing, nobody has joined yet.
    Frames(Covering, Box<[Option<Codec>; 2]>),
    Http(Box<(http::Server, http::Client)>),
}

enum Covering {
    Bare,
    WebSocket(Box<[WebSocket; 2]>),
    FakeTls(fake_tls::Listener),
}

enum WebSocket {
    Upgrading(websocket::Listener),
    Frames(websocket::Codec),
}

impl Tap {
    /// For a connection from its beginning. `secrets` are those of the MTProxies that it may lead to.
    pub fn new(secrets: impl Into<Vec<Key>>) -> Self {
        Self { secrets: secrets.into(), sides: Default::default(), stage: Stage::Beginning, tunnel: None, spoken: None }
    }

    /// For a plain connection whose beginning was not seen. Nothing is read in a direction before somebody has joined it.
    pub fn midway() -> Self {
        Self { stage: Stage::Frames(Covering::Bare, Box::new([None, None])), ..Self::new([]) }
    }

    /// Begins to read a direction of a connection seen [midway](Self::midway): what is [waiting](Self::waiting) begins with a frame of
    /// `kind`, which has the number `seq` if the kind counts.
    pub fn join(&mut self, way: Way, kind: Kind, seq: u32) {
        if let Stage::Frames(_, codecs) = &mut self.stage {
            codecs[way.index()] = Some(Codec::midway(kind, way.reader(), seq));
            let spoken = Spoken { cover: Cover::Bare, kind: Some(kind), obfuscated: false, dc: None, secret: None };
            self.spoken.get_or_insert(spoken);
        }
    }

    /// Whether somebody has joined a direction, or it has been read from its beginning.
    pub fn is_joined(&self, way: Way) -> bool {
        match &self.stage {
            Stage::Frames(_, codecs) => codecs[way.index()].is_some(),
            _ => true,
        }
    }

    /// Bytes of a direction that nobody has joined.
    pub fn waiting(&self, way: Way) -> &[u8] {
        &self.sides[way.index()].raw
    }

    /// What was taken for one direction is the other one. Only before anybody has joined.
    pub fn reverse(&mut self) {
        if Way::BOTH.iter().all(|way| !self.is_joined(*way)) {
            self.sides.swap(0, 1);
        }
    }

    /// Drops bytes off the front of what is [waiting](Self::waiting).
    pub fn skip(&mut self, way: Way, len: usize) {
        let raw = &mut self.sides[way.index()].raw;
        let _ = raw.split_to(len.min(raw.len()));
    }

    /// What the connection speaks, once that is known.
    pub fn spoken(&self) -> Option<Spoken> {
        self.spoken
    }

    /// Bytes held back: they are not a whole frame yet.
    pub fn held(&self) -> usize {
        self.sides.iter().map(|side| side.raw.len() + side.inner.len()).sum()
    }

    /// Bytes held back of one direction.
    pub fn held_of(&self, way: Way) -> usize {
        let side = &self.sides[way.index()];
        side.raw.len() + side.inner.len()
    }

    /// Takes the next bytes of a direction. What comes behind an error is dropped.
    pub fn feed(&mut self, way: Way, bytes: &[u8]) {
        let side = &mut self.sides[way.index()];
        if side.failed.is_none() {
            side.raw.extend_from_slice(bytes);
        }
    }

    /// The next frame of a direction; `None` when there is no whole one.
    ///
    /// # Errors
    ///
    /// See [`TapError`]. An error is final for the direction; one about what the connection speaks, for both.
    pub fn poll(&mut self, way: Way) -> Result<Option<Heard>, TapError> {
        if let Some(error) = &self.sides[way.index()].failed {
            return Err(error.clone());
        }
        if matches!(self.stage, Stage::Beginning | Stage::Covered(..))
            && let Err(error) = self.begin()
        {
            for side in &mut self.sides {
                *side = Side { failed: Some(error.clone()), ..Side::default() };
            }
            return Err(error);
        }
        self.next(way).inspect_err(|error| {
            // Somebody else's protocol is so in both directions.
            let both = error.is_other_protocol();
            for way in Way::BOTH.into_iter().filter(|one| both || *one == way) {
                self.sides[way.index()] = Side { failed: Some(error.clone()), ..Side::default() };
            }
        })
    }

    /// Finds out what is spoken, as far as the bytes at hand tell.
    fn begin(&mut self) -> Result<(), TapError> {
        if matches!(self.stage, Stage::Beginning) {
            let [client, server] = &mut self.sides;
            if !Tunnel::pass(&mut self.tunnel, &mut client.raw, &mut server.raw)? {
                return Ok(());
            }
            match self.cover()? {
                Some(stage) => self.stage = stage,
                None => return Ok(()),
            }
        }
        if matches!(self.stage, Stage::Covered(..)) {
            self.uncover(Way::ToServer)?;
            self.detect()?;
        }
        Ok(())
    }

    /// Finds out what is around the stream.
    fn cover(&mut self) -> Result<Option<Stage>, TapError> {
        let raw = &mut self.sides[Way::ToServer.index()].raw;
        let Some(&first) = raw.first_chunk::<4>() else {
            // One byte is enough to tell abridged, and it may be all there is for now.
            let bare = raw.first() == Some(&0xef);
            return Ok(bare.then_some(Stage::Covered(Covering::Bare, None)));
        };
        if first == *b"POST" {
            self.spoken = Some(Spoken { cover: Cover::Http, kind: None, obfuscated: false, dc: None, secret: None });
            return Ok(Some(Stage::Http(Box::new((http::Server::new(), http::Client::listener())))));
        }
        if first == *b"GET " {
            let ends = [websocket::Listener::of_client(), websocket::Listener::of_server()].map(WebSocket::Upgrading);
            return Ok(Some(Stage::Covered(Covering::WebSocket(Box::new(ends)), None)));
        }
        if obfuscation::HTTP.contains(&first) {
            return Err(TapError::OtherHttp);
        }
        if is_tls(first) {
            // What only begins like a greeting may still be random bytes.
            match fake_tls::Listener::begin(raw, &self.secrets) {
                Ok(None) => return Ok(None),
                Ok(Some(Some((which, listener)))) => {
                    let secret = self.secrets.get(which).map(|secret| (which, secret.clone()));
                    return Ok(Some(Stage::Covered(Covering::FakeTls(listener), secret)));
                }
                Ok(Some(None)) if raw.get(5) == Some(&1) => return Err(TapError::Tls),
                Ok(Some(None)) | Err(_) => {}
            }
        }
        Ok(Some(Stage::Covered(Covering::Bare, None)))
    }

    /// Finds out what the stream is.
    fn detect(&mut self) -> Result<(), TapError> {
        let Stage::Covered(covering, secret) = &mut self.stage else { return Ok(()) };
        let inner = &mut self.sides[Way::ToServer.index()].inner;
        let found = match secret {
            Some((which, secret)) => Detector::proxy(secret.clone()).detect(inner)?.map(|codec| (codec, Some(*which))),
            None => detect(inner, &self.secrets)?,
        };
        let Some((codec, secret)) = found else { return Ok(()) };
        let options = codec.options();
        let covering = std::mem::replace(covering, Covering::Bare);
        let cover = match &covering {
            Covering::Bare => Cover::Bare,
            Covering::WebSocket(_) => Cover::WebSocket,
            Covering::FakeTls(_) => Cover::FakeTls,
        };
        self.spoken = Some(Spoken {
            cover,
            kind: Some(options.kind),
            obfuscated: options.obfuscated,
            dc: Some(options.dc).filter(|dc| options.obfuscated && may_exist(*dc)),
            secret,
        });
        let (to_server, to_client) = codec.into_readers();
        self.stage = Stage::Frames(covering, Box::new([Some(to_server), Some(to_client)]));
        Ok(())
    }

    /// Moves what has come out of what is around it.
    fn uncover(&mut self, way: Way) -> Result<(), TapError> {
        let covering = match &mut self.stage {
            Stage::Covered(covering, _) | Stage::Frames(covering, _) => covering,
            Stage::Beginning | Stage::Http(_) => return Ok(()),
        };
        let Side { raw, inner, .. } = &mut self.sides[way.index()];
        match covering {
            Covering::Bare if inner.is_empty() => std::mem::swap(raw, inner),
            Covering::Bare => inner.unsplit(raw.split()),
            Covering::WebSocket(ends) => return ends[way.index()].uncover(raw, inner),
            Covering::FakeTls(listener) => match way {
                Way::ToServer => listener.read_client(raw, inner)?,
                Way::ToClient => listener.read_server(raw, inner)?,
            },
        }
        Ok(())
    }

    fn next(&mut self, way: Way) -> Result<Option<Heard>, TapError> {
        if matches!(&self.stage, Stage::Frames(_, codecs) if codecs[way.index()].is_some()) {
            self.uncover(way)?;
        }
        let Side { raw, inner, taken, .. } = &mut self.sides[way.index()];
        let before = raw.len() + inner.len();
        let (frame, wants_quick_ack, padding) = match &mut self.stage {
            Stage::Http(ends) => {
                let (requests, answers) = &mut **ends;
                let frame = match way {
                    Way::ToServer => {
                        let request = requests.decode(raw).map_err(other_http)?;
                        requests.answered_elsewhere();
                        request.map(|request| Frame::Payload(request.payload))
                    }
                    Way::ToClient => answers.decode(raw)?.map(|answer| answer.frame),
                };
                (frame, false, 0)
            }
            Stage::Frames(_, codecs) => {
                let Some(codec) = &mut codecs[way.index()] else { return Ok(None) };
                let frame = codec.decode(inner)?;
                (frame, way == Way::ToServer && codec.quick_ack_requested(), codec.padding_received())
            }
            Stage::Beginning | Stage::Covered(..) => return Ok(None),
        };
        // The head of an answer may be gone before its body is there.
        *taken += before - raw.len() - inner.len();
        Ok(frame.map(|frame| Heard { frame, wants_quick_ack, wire: std::mem::take(taken), padding }))
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("spoken", &self.spoken).field("held", &self.held()).finish_non_exhaustive()
    }
}

impl WebSocket {
    fn uncover(&mut self, raw: &mut BytesMut, inner: &mut BytesMut) -> Result<(), TapError> {
        if let Self::Upgrading(listener) = self {
            match listener.handle_input(raw)? {
                None => return Ok(()),
                Some(websocket::Upgrade::No) => return Err(TapError::OtherHttp),
                Some(websocket::Upgrade::To(codec)) => *self = Self::Frames(codec),
            }
        }
        let Self::Frames(codec) = self else { return Ok(()) };
        while let Some(event) = codec.decode(raw)? {
            if let websocket::Event::Data(data) = event {
                inner.unsplit(data);
            }
        }
        Ok(())
    }
}

/// What a server would take the first bytes for, or a proxy with one of the secrets.
fn detect(input: &mut BytesMut, secrets: &[Key]) -> Result<Option<(Codec, Option<usize>)>, TapError> {
    // What servers take for a plain stream.
    let plain = matches!(
        input.as_ref(),
        [0xef, ..] | [0xee, 0xee, 0xee, 0xee, ..] | [0xdd, 0xdd, 0xdd, 0xdd, ..] | [_, _, _, _, 0, 0, 0, 0, ..]
    );
    if !plain && !secrets.is_empty() {
        if input.len() < obfuscation::INIT {
            return Ok(None);
        }
        for (which, secret) in secrets.iter().enumerate() {
            if let Ok(Some(codec)) = Detector::proxy(secret.clone()).detect(input) {
                return Ok(Some((codec, Some(which))));
            }
        }
    }
    match Detector::new().detect(input) {
        Ok(codec) => Ok(codec.map(|codec| (codec, None))),
        Err(Error::UnknownProtocol { .. }) => Err(TapError::Unknown),
        Err(Error::Http) => Err(TapError::OtherHttp),
        Err(Error::Tls) => Err(TapError::Tls),
        Err(error) => Err(error.into()),
    }
}

/// A record of type handshake.
const fn is_tls([kind, major, minor, _]: [u8; 4]) -> bool {
    kind == 0x16 && major == 0x03 && matches!(minor, 1..=3)
}

/// An error of HTTP that tells that it is somebody else's HTTP.
fn other_http(error: http::Error) -> TapError {
    match error {
        http::Error::WrongPath | http::Error::WrongMethod => TapError::OtherHttp,
        error => TapError::Http(error),
    }
}

/// Whether a number in the client's initial bytes may be a DC's. A client that names none leaves it random.
fn may_exist(dc: DcId) -> bool {
    const MOST: i32 = 9;
    const TEST: i32 = 10_000;
    let number = dc.0.abs();
    (1..=MOST).contains(&number) || (TEST + 1..=TEST + MOST).contains(&number)
}
