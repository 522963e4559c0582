//! A connection's way of carrying frames, whichever it is: the driver drives them alike.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use tdl_core::clock::Now;
use tdl_core::mtproto::session::{HttpWait, Session};
use tdl_core::trace::Tracer;
use tdl_core::transport::{Carrier, Frame, Options, Target};

use super::clock::Clock;
use super::dial::Stream;
use super::error::ProtocolError;
use super::http::{HttpIo, Redial};
use super::io::{Arrival, Io, Note, Readiness};
use super::websocket::{UpgradeError, upgrade};

/// How long WebSocket's upgrade may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames of a stream that are looked at together, at most.
const MOST_AT_ONCE: usize = 16;

/// What carries the frames.
#[expect(clippy::large_enum_variant, reason = "one for each connection, and moved twice")]
pub(super) enum Wire {
    /// A byte stream with a codec: bare, or inside a WebSocket.
    Stream(Io),
    /// Requests and answers.
    Http(HttpIo),
}

/// Leave to send one frame.
pub(super) enum Turn {
    /// Whatever there is.
    Any,
    /// The body of a request: it says how long its answer may take. With `listen`, it is sent even if there is nothing else to say.
    Request { wait: HttpWait, listen: bool },
}

impl Turn {
    /// The frame to send.
    pub(super) fn poll(&self, session: &mut Session, now: Now) -> Option<BytesMut> {
        match self {
            Self::Any => session.poll_output(now),
            Self::Request { wait, listen } => session.poll_http_request(now, wait, *listen),
        }
    }
}

/// What a fresh stream needs to know to become a [`Wire`].
pub(super) struct Opening {
    pub(super) carrier: Carrier,
    pub(super) options: Options,
    /// Where the stream leads: HTTP wants the name of its host.
    pub(super) place: Target,
    /// Whether these are the public test servers: they have paths of their own.
    pub(super) test: bool,
    /// For carriers that use several streams.
    pub(super) redial: Redial,
    pub(super) clock: Clock,
    pub(super) tracer: Tracer,
}

/// Where it leads and what travels on it.
impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, carrier, options, .. } = self;
        match carrier {
            Carrier::Stream => write!(f, "{place} ({options})"),
            Carrier::WebSocket | Carrier::WebSocketTls => write!(f, "{place} ({carrier}, {})", options.kind),
            Carrier::Http | Carrier::HttpTls => write!(f, "{place} ({carrier})"),
        }
    }
}

impl Opening {
    /// What `Host` says: without the port where that goes without saying (RFC 9110, 4.2).
    fn host(&self) -> String {
        let Target { host, port } = &self.place;
        if *port == self.carrier.default_port() { host.to_string() } else { self.place.to_string() }
    }
}

impl Wire {
    /// Makes a stream carry frames.
    pub(super) async fn open(stream: Box<dyn Stream>, opening: Opening, rng: &mut StdRng) -> Result<Self, UpgradeError> {
        let (host, path) = (opening.host(), opening.carrier.path(opening.test).unwrap_or_default());
        let Opening { carrier, options, redial, clock, tracer, .. } = opening;
        match carrier {
            Carrier::Stream => Ok(Self::Stream(Io::new(stream, &options, carrier.framing(&options), clock, tracer, rng))),
            Carrier::Http | Carrier::HttpTls => {
                Ok(Self::Http(HttpIo::new(stream, redial, host, path, carrier.framing(&options), clock, tracer)))
            }
            Carrier::WebSocket | Carrier::WebSocketTls => {
                let own = StdRng::from_rng(rng);
                let upgraded = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade(stream, &host, path, own));
                let stream = upgraded.await.map_err(|_| UpgradeError::Lost("no answer to the upgrade".to_owned()))??;
                // "When using the WebSocket transport, transport obfuscation is required."
                let options = Options { obfuscated: true, ..options };
                Ok(Self::Stream(Io::new(Box::new(stream), &options, carrier.framing(&options), clock, tracer, rng)))
            }
        }
    }

    /// Leave to send a frame under a key, if there is room for one. `listening`: somebody waits for what the server has to say under it.
    pub(super) fn turn(&self, listening: bool, key_id: i64) -> Option<Turn> {
        match self {
            Self::Stream(io) => io.has_room().then_some(Turn::Any),
            Self::Http(http) => http.turn(listening, key_id),
        }
    }

    /// Whether there is room for a frame.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Stream(io) => io.has_room(),
            Self::Http(http) => http.has_room(),
        }
    }

    /// Queues one frame; `quick_ack`: so that the server acknowledges it at once, where that is possible.
    pub(super) fn queue(&mut self, payload: &[u8], quick_ack: bool, rng: &mut dyn Rng) -> Result<(), ProtocolError> {
        match self {
            Self::Stream(io) if quick_ack => Ok(io.queue_with_quick_ack(payload, rng)?),
            Self::Stream(io) => Ok(io.queue(payload, rng)?),
            Self::Http(http) => Ok(http.queue(payload)?),
        }
    }

    /// Takes the next whole frame out of what was read.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        match self {
            Self::Stream(io) => Ok(io.next_frame()?),
            Self::Http(http) => Ok(http.next_frame()?),
        }
    }

    /// Takes the next whole frame out of what was read; the trace is told by [`note`](Self::note), when it is its turn.
    pub(super) fn next_arrival(&mut self) -> Result<Option<Arrival>, ProtocolError> {
        match self {
            Self::Stream(io) => Ok(io.next_arrival()?),
            Self::Http(http) => Ok(http.next_frame()?.map(|frame| Arrival { frame, note: Note::Told })),
        }
    }

    /// Tells the trace of a frame.
    pub(super) fn note(&self, note: Note) {
        if let Self::Stream(io) = self {
            io.note(note);
        }
    }

    /// How many frames may be taken before the first of them is looked at. Over HTTP each is an answer, of which more is known than the
    /// frame.
    pub(super) fn most_at_once(&self) -> usize {
        match self {
            Self::Stream(_) => MOST_AT_ONCE,
            Self::Http(_) => 1,
        }
    }

    /// Reads what is there already, without waiting, and says whether there was anything.
    pub(super) fn read_more(&mut self) -> bool {
        match self {
            Self::Stream(io) => io.read_more(),
            Self::Http(_) => false,
        }
    }

    /// Waits until something was read or written: of a frame whose length is known, all of it. Can be dropped at any time without loss.
    pub(super) async fn ready(&mut self) -> io::Result<Readiness> {
        match self {
            Self::Stream(io) => io.ready().await,
            Self::Http(http) => http.ready().await,
        }
    }

    /// Writes what is queued and says goodbye.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(io) => io.finish().await,
            Self::Http(http) => http.finish().await,
        }
    }
}
