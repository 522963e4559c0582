//! One end of a transport connection: payloads in, bytes out, and back.

use std::fmt;

use bytes::{Buf, BufMut, BytesMut};
use rand::Rng;

use super::error::{Error, TransportError};
use super::obfuscation::{self, Streams};
use super::{Kind, MAX_FRAME, Options, abridged, full, intermediate};
use crate::check::{Check, broken};
use crate::crypto::aes::Ctr;
use crate::ids::DcId;

/// What came in.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// One MTProto packet, without envelope and padding.
    Payload(BytesMut),
    /// The server has a payload of ours; the token tells which ("Quick ack").
    QuickAck(u32),
    /// The server refused ("Transport errors").
    Error(TransportError),
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload(payload) => write!(f, "Payload({} bytes)", payload.len()),
            Self::QuickAck(token) => write!(f, "QuickAck({token:#010x})"),
            Self::Error(error) => error.fmt(f),
        }
    }
}

/// One end of a transport connection.
///
/// A client's comes from [`Codec::client`], a server's from [`super::Detector::detect`]. Both directions are independent of each
/// other. No byte is copied on the way in: a payload is a part of the buffer that was read, deciphered there.
pub struct Codec {
    kind: Kind,
    role: Role,
    /// Bytes that go in front of the first frame.
    init: Vec<u8>,
    /// The key streams of an obfuscated connection.
    outgoing: Option<Ctr>,
    incoming: Option<Ctr>,
    /// Bytes at the front of the input that are deciphered already.
    deciphered: usize,
    /// Frame numbers of the full transport.
    seq_out: u32,
    seq_in: u32,
    quick_ack_requested: bool,
    /// The frame at the front of the input that is not all there yet: its length with what is around it; 0 if that is not known.
    awaited: usize,
    /// Padding of the last frame in each direction.
    padding_out: usize,
    padding_in: usize,
    dc: DcId,
    failed: Option<Error>,
}

/// Which end it is. Some bits mean one thing from a client and another from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// What the bytes at the front of the input announce.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A body of `len` bytes between `skip` and `tail` bytes of envelope.
    Body { skip: usize, len: usize, tail: usize, wants_ack: bool },
    /// Four bytes that are a quick acknowledgement.
    QuickAck { token: u32 },
    /// Four bytes that are a transport error without an envelope.
    BareError { code: i32 },
}

impl Codec {
    /// The client's end. An obfuscated one draws its initial bytes from `rng`.
    ///
    /// A DC that does not fit the initial bytes makes every later call fail with [`Error::DcOutOfRange`].
    pub fn client(options: &Options, rng: &mut dyn Rng) -> Self {
        let mut codec = Self::new(options.kind, Role::Client);
        codec.dc = options.dc;
        if options.obfuscated {
            match obfuscation::start(options.kind, options.dc, None, rng) {
                Ok((init, Streams { outgoing, incoming })) => {
                    codec.init = init.to_vec();
                    (codec.outgoing, codec.incoming) = (Some(outgoing), Some(incoming));
                }
                Err(error) => codec.failed = Some(error),
            }
        } else {
            codec.init = options.kind.announcement().to_vec();
        }
        codec
    }

    /// The server's end of a plain stream.
    pub(super) fn server(kind: Kind) -> Self {
        Self::new(kind, Role::Server)
    }

    /// The server's end of an obfuscated stream. `deciphered` bytes at the front of the input are deciphered already.
    pub(super) fn obfuscated_server(kind: Kind, dc: DcId, streams: Streams, deciphered: usize) -> Self {
        let mut codec = Self::new(kind, Role::Server);
        let Streams { outgoing, incoming } = streams;
        (codec.outgoing, codec.incoming) = (Some(outgoing), Some(incoming));
        codec.dc = dc;
        codec.deciphered = deciphered;
        codec
    }

    /// A reader of what the ends of a plain stream wrote from some frame on, for somebody who looks on: `reader` is the end that it was
    /// written for, `seq` the number of the first frame, which only the full transport counts.
    pub(super) fn midway(kind: Kind, reader: Role, seq: u32) -> Self {
        Self { seq_in: seq, ..Self::new(kind, reader) }
    }

    /// Two readers in place of a server's end that has written nothing, for somebody who looks on: of what the client wrote, and of what
    /// the server wrote. Neither can write.
    pub(super) fn into_readers(mut self) -> (Self, Self) {
        let of_server = Self { incoming: self.outgoing.take(), dc: self.dc, ..Self::new(self.kind, Role::Client) };
        (self, of_server)
    }

    fn new(kind: Kind, role: Role) -> Self {
        Self {
            kind,
            role,
            init: Vec::new(),
            outgoing: None,
            incoming: None,
            deciphered: 0,
            seq_out: 0,
            seq_in: 0,
            quick_ack_requested: false,
            awaited: 0,
            padding_out: 0,
            padding_in: 0,
            dc: DcId(0),
            failed: None,
        }
    }

    /// The envelope it uses.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which transport this is. In the server's end of an obfuscated one, `dc` is what the client's initial bytes hold in its place;
    /// a client that names no DC leaves it random.
    pub fn options(&self) -> Options {
        Options { kind: self.kind, obfuscated: self.incoming.is_some(), dc: self.dc }
    }

    /// Appends one frame with `payload` to `out`, in front of a client's first one the initial bytes.
    ///
    /// The payload is a multiple of 4 and at most [`MAX_FRAME`] bytes; otherwise nothing is written.
    pub fn encode(&mut self, payload: &[u8], rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        self.encode_payload(payload, false, rng, out)
    }

    /// As [`Codec::encode`], asking the server for a quick acknowledgement. The full transport has none.
    pub fn encode_with_quick_ack(&mut self, payload: &[u8], rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        if self.kind == Kind::Full {
            return Err(Error::QuickAckUnsupported);
        }
        self.encode_payload(payload, true, rng, out)
    }

    /// Appends a transport error, given as its code of either sign or as a [`TransportError`]. For servers.
    pub fn encode_error(
        &mut self,
        error: impl Into<TransportError>,
        rng: &mut dyn Rng,
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        let code = error.into().code().saturating_neg();
        self.encode(&code.to_le_bytes(), rng, out)
    }

    /// Appends a quick acknowledgement of the payload that `token` names; its top bit is set on the way. For servers.
    pub fn encode_quick_ack(&mut self, token: u32, rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.kind == Kind::Full {
            return Err(Error::QuickAckUnsupported);
        }
        let start = self.begin(out, 16);
        match self.kind {
            Kind::Abridged => abridged::put_quick_ack(token, out),
            Kind::Intermediate => intermediate::put_quick_ack(token, out),
            Kind::PaddedIntermediate => intermediate::put_padded_quick_ack(token, rng, out),
            Kind::Full => {} // Refused above.
        }
        self.encipher(out, start);
        Ok(())
    }

    fn encode_payload(&mut self, payload: &[u8], quick_ack: bool, rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let len = payload.len();
        if len > MAX_FRAME {
            return Err(Error::PayloadTooLong { len, max: MAX_FRAME });
        }
        if !len.is_multiple_of(4) {
            return Err(Error::PayloadNotAligned { len });
        }
        let start = self.begin(out, len + 16);
        match self.kind {
            Kind::Abridged => {
                abridged::put_head(len, quick_ack, out);
                out.put_slice(payload);
            }
            Kind::Intermediate => {
                intermediate::put_head(len, quick_ack, out);
                out.put_slice(payload);
            }
            Kind::PaddedIntermediate => {
                let padding = intermediate::Padding::random(rng);
                self.padding_out = padding.bytes().len();
                intermediate::put_head(len + padding.bytes().len(), quick_ack, out);
                out.put_slice(payload);
                out.put_slice(padding.bytes());
            }
            Kind::Full => {
                full::put(payload, self.seq_out, out);
                self.seq_out = self.seq_out.wrapping_add(1);
            }
        }
        self.encipher(out, start);
        Ok(())
    }

    /// Writes the initial bytes, once, and says where the frame starts.
    fn begin(&mut self, out: &mut BytesMut, room: usize) -> usize {
        let init = std::mem::take(&mut self.init);
        out.reserve(init.len() + room);
        out.put_slice(&init);
        out.len()
    }

    fn encipher(&mut self, out: &mut BytesMut, start: usize) {
        if let Some(stream) = &mut self.outgoing {
            stream.apply(&mut out[start..]);
        }
    }

    /// Takes one frame off the front of `input`; `None` when it is not complete yet. Call it until it returns `None`.
    ///
    /// Between calls `input` may grow at its end and nothing else: in an obfuscated stream what it holds is deciphered already.
    /// A returned error is final: every later call returns it again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.decode_next(input);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    /// Whether the payload that [`Codec::decode`] returned last asks for a quick acknowledgement. For servers.
    pub fn quick_ack_requested(&self) -> bool {
        self.quick_ack_requested
    }

    /// How long the input has to become before [`Codec::decode`] can take the next frame, in bytes; 0 if not even that is known. The peer
    /// says so: it is at most [`MAX_FRAME`] and some, and need not come true.
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// Bytes of padding in the payload's frame that was encoded last.
    pub fn padding_sent(&self) -> usize {
        self.padding_out
    }

    /// Bytes of padding in the payload's frame that was decoded last.
    pub fn padding_received(&self) -> usize {
        self.padding_in
    }

    fn decode_next(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Error> {
        self.awaited = 0;
        self.decipher(input)?;
        let head = match self.kind {
            Kind::Abridged => abridged::head(input, self.role)?,
            Kind::Intermediate => intermediate::head(input, self.role, false)?,
            Kind::PaddedIntermediate => intermediate::head(input, self.role, true)?,
            Kind::Full => full::head(input, self.role)?,
        };
        match head {
            None => Ok(None),
            Some(Head::QuickAck { token }) => {
                self.take(input, 4);
                Ok(Some(Frame::QuickAck(token)))
            }
            Some(Head::BareError { code }) => {
                self.take(input, 4);
                Ok(Some(Frame::Error(TransportError::from(code))))
            }
            Some(Head::Body { skip, len, tail, wants_ack }) => {
                if input.len() < skip + len + tail {
                    self.awaited = skip + len + tail;
                    return Ok(None);
                }
                let mut body = self.take(input, skip + len + tail);
                if self.kind == Kind::Full {
                    full::check(&body, self.seq_in)?;
                    self.seq_in = self.seq_in.wrapping_add(1);
                }
                body.truncate(skip + len);
                body.advance(skip);
                self.quick_ack_requested = wants_ack;
                let padded = body.len();
                let frame = self.interpret(body)?;
                if let Frame::Payload(payload) = &frame {
                    self.padding_in = padded.saturating_sub(payload.len());
                }
                Ok(Some(frame))
            }
        }
    }

    /// Deciphers what is new in `input`, in place.
    fn decipher(&mut self, input: &mut BytesMut) -> Result<(), Error> {
        let Some(stream) = &mut self.incoming else { return Ok(()) };
        let (deciphered, left) = (self.deciphered, input.len());
        let fresh = input.get_mut(deciphered..).ok_or(Error::InputTaken { deciphered, left })?;
        stream.apply(fresh);
        self.deciphered = left;
        Ok(())
    }

    /// Takes `len` bytes, which are there, off the front.
    fn take(&mut self, input: &mut BytesMut, len: usize) -> BytesMut {
        self.deciphered = self.deciphered.saturating_sub(len);
        input.split_to(len)
    }

    fn interpret(&self, body: BytesMut) -> Result<Frame, Error> {
        if self.kind == Kind::PaddedIntermediate {
            return intermediate::unpad(body, self.role);
        }
        match <[u8; 4]>::try_from(&body[..]).map(i32::from_le_bytes) {
            Ok(code) if self.role == Role::Client && code < 0 => Ok(Frame::Error(TransportError::from(code))),
            Ok(found) if self.role == Role::Client && broken(Check::ErrorCodeNegative, true) => {
                Err(Error::ErrorCodeNotNegative { found })
            }
            _ => Ok(Frame::Payload(body)),
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Codec({:?}, {})", self.role, self.options())
    }
}

/// Checks an announced length that includes `envelope` bytes besides the payload.
pub(super) fn check_len(announced: usize, envelope: usize) -> Result<usize, Error> {
    let max = MAX_FRAME + envelope;
    if broken(Check::FrameMost, announced > max) {
        return Err(Error::FrameTooLong { found: announced, max });
    }
    if broken(Check::FrameWords, !announced.is_multiple_of(4)) {
        return Err(Error::FrameNotAligned { found: announced });
    }
    Ok(announced)
}
