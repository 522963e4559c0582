//! Frames behind the upgrade.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rand::Rng;

use super::MAX_MESSAGE;
use super::error::Error;
use crate::check::{Check, broken};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// The longest payload of a control frame.
const MAX_CONTROL: usize = 125;

/// Which end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// Why a connection is closed. 1000 is the usual one; with it the servers close whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The connection has done what it was for.
    pub const NORMAL: Self = Self(1000);
    /// The peer broke a rule.
    pub const PROTOCOL: Self = Self(1002);
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes of the stream: all of a message, or as much of it as has come.
    Data(BytesMut),
    /// The peer asks for a sign of life. [`Codec::poll_output`] has the answer.
    Ping,
    /// The peer gave a sign of life.
    Pong,
    /// The peer closes, perhaps with a code. Nothing follows; [`Codec::poll_output`] has the answer.
    Close(Option<CloseCode>),
}

/// One end of a WebSocket connection. Both directions are independent of each other.
#[derive(Debug)]
pub struct Codec {
    role: Role,
    coming: Option<Coming>,
    /// Bytes of the message that is in fragments, if one is.
    unfinished: Option<u64>,
    answer: Option<Answer>,
    closed_in: bool,
    closed_out: bool,
    failed: Option<Error>,
}

/// A frame whose payload is coming in.
#[derive(Clone, Copy, Debug)]
struct Coming {
    opcode: u8,
    left: u64,
    mask: Option<[u8; 4]>,
}

/// What is owed to the peer: the latest only, as RFC 6455 allows.
#[derive(Debug)]
enum Answer {
    Pong(Bytes),
    Close(Option<CloseCode>),
}

impl Codec {
    pub(super) fn new(role: Role) -> Self {
        Self { role, coming: None, unfinished: None, answer: None, closed_in: false, closed_out: false, failed: None }
    }

    /// Appends bytes of the stream as one binary message to `out`. Nothing is written for no bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] behind a close frame.
    pub fn encode(&mut self, data: &[u8], rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        if broken(Check::WsSendClosed, self.closed_out) {
            return Err(Error::Closed);
        }
        if !data.is_empty() {
            self.put(BINARY, data, rng, out);
        }
        Ok(())
    }

    /// Appends a ping.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] behind a close frame.
    pub fn encode_ping(&mut self, rng: &mut dyn Rng, out: &mut BytesMut) -> Result<(), Error> {
        if self.closed_out {
            return Err(Error::Closed);
        }
        self.put(PING, &[], rng, out);
        Ok(())
    }

    /// Closes this end: appends a close frame, unless there was one.
    pub fn close(&mut self, code: CloseCode, rng: &mut dyn Rng, out: &mut BytesMut) {
        self.put_close(Some(code), rng, out);
    }

    /// Appends what is owed to the peer: the answer to a ping or to a close frame. Returns whether there was any.
    pub fn poll_output(&mut self, rng: &mut dyn Rng, out: &mut BytesMut) -> bool {
        match self.answer.take() {
            Some(Answer::Pong(payload)) if !self.closed_out => self.put(PONG, &payload, rng, out),
            Some(Answer::Close(code)) => self.put_close(code, rng, out),
            Some(Answer::Pong(_)) | None => return false,
        }
        true
    }

    fn put_close(&mut self, code: Option<CloseCode>, rng: &mut dyn Rng, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.closed_out, true) {
            let code = code.map(|code| code.0.to_be_bytes());
            self.put(CLOSE, code.as_ref().map_or(&[], |code| &code[..]), rng, out);
        }
    }

    fn put(&self, opcode: u8, payload: &[u8], rng: &mut dyn Rng, out: &mut BytesMut) {
        out.reserve(payload.len() + 14);
        out.put_u8(FIN | opcode);
        let masked = if self.role == Role::Client { MASKED } else { 0 };
        match payload.len() {
            len @ 0..=MAX_CONTROL => out.put_u8(masked | len as u8),
            len => match u16::try_from(len) {
                Ok(len) => {
                    out.put_u8(masked | 126);
                    out.put_u16(len);
                }
                Err(_) => {
                    out.put_u8(masked | 127);
                    out.put_u64(len as u64);
                }
            },
        }
        if self.role == Role::Server {
            out.put_slice(payload);
            return;
        }
        let mask = rng.next_u32().to_be_bytes();
        out.put_slice(&mask);
        let start = out.len();
        out.put_slice(payload);
        apply(mask, &mut out[start..]);
    }

    /// Takes what has come off the front of `input`; `None` when nothing more can be made of it yet. Call it until it returns `None`.
    /// The payload of a message is returned as it comes: no more than a control frame is waited for.
    ///
    /// # Errors
    ///
    /// One [`Error`] for each rule. An error is final; close with [`CloseCode::PROTOCOL`].
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.decode_next(input);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn decode_next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Error> {
        loop {
            if self.closed_in {
                return if broken(Check::WsAfterClose, !input.is_empty()) { Err(Error::AfterClose) } else { Ok(None) };
            }
            let Some(coming) = self.coming else {
                if !self.take_head(input)? {
                    return Ok(None);
                }
                continue;
            };
            if coming.opcode >= CLOSE {
                let len = usize::try_from(coming.left).unwrap_or(usize::MAX);
                if input.len() < len {
                    return Ok(None);
                }
                let payload = self.take_payload(input, coming, len);
                return self.control(coming.opcode, payload).map(Some);
            }
            if coming.left == 0 {
                // An empty message, or the end of one: no bytes, no news.
                self.coming = None;
                continue;
            }
            if input.is_empty() {
                return Ok(None);
            }
            let len = usize::try_from(coming.left).unwrap_or(usize::MAX).min(input.len());
            return Ok(Some(Event::Data(self.take_payload(input, coming, len))));
        }
    }

    /// Takes `len` bytes of a payload, which are there.
    fn take_payload(&mut self, input: &mut BytesMut, coming: Coming, len: usize) -> BytesMut {
        let mut payload = input.split_to(len);
        let mut rest = Coming { left: coming.left.saturating_sub(len as u64), ..coming };
        if let Some(mask) = &mut rest.mask {
            apply(*mask, &mut payload);
            mask.rotate_left(len % 4);
        }
        self.coming = Some(rest).filter(|rest| rest.left > 0);
        payload
    }

    /// Reads the front of a frame; `false` when more bytes are needed.
    fn take_head(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        let Some(&[first, second]) = input.first_chunk() else { return Ok(false) };
        if broken(Check::WsReserved, first & RESERVED != 0) {
            return Err(Error::ReservedBit);
        }
        let (opcode, fin) = (first & 0x0f, first & FIN != 0);
        match opcode {
            CONTINUATION | BINARY | CLOSE | PING | PONG => {}
            TEXT if broken(Check::WsNotText, true) => return Err(Error::Text),
            opcode if broken(Check::WsOpcode, opcode != TEXT) => return Err(Error::UnknownOpcode { opcode }),
            _ => {}
        }
        match (self.role, second & MASKED != 0) {
            (Role::Server, false) if broken(Check::WsMasked, true) => return Err(Error::NotMasked),
            (Role::Client, true) if broken(Check::WsNotMasked, true) => return Err(Error::Masked),
            _ => {}
        }
        let (len, skip) = match second & !MASKED {
            126 => match input.first_chunk() {
                Some([_, _, a, b]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
                None => return Ok(false),
            },
            127 => match input.get(2..).and_then(|rest| rest.first_chunk()) {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(false),
            },
            short => (u64::from(short), 2),
        };
        if broken(Check::WsLengthOfTwo, skip == 4 && len <= MAX_CONTROL as u64)
            || broken(Check::WsLengthOfEight, skip == 10 && len <= u64::from(u16::MAX))
        {
            return Err(Error::LengthNotShortest { found: len });
        }
        self.check(opcode, fin, len)?;
        let mask = match self.role {
            Role::Client => None,
            Role::Server => match input.get(skip..).and_then(|rest| rest.first_chunk()) {
                Some(mask) => Some(*mask),
                None => return Ok(false),
            },
        };
        input.advance(skip + mask.map_or(0, |mask| mask.len()));
        if opcode < CLOSE {
            let before = self.unfinished.unwrap_or(0);
            self.unfinished = if fin { None } else { Some(before.saturating_add(len)) };
        }
        self.coming = Some(Coming { opcode, left: len, mask });
        Ok(true)
    }

    /// The rules about order and length.
    fn check(&self, opcode: u8, fin: bool, len: u64) -> Result<(), Error> {
        if opcode >= CLOSE {
            if broken(Check::WsControlWhole, !fin) {
                return Err(Error::ControlFragmented);
            }
            if broken(Check::WsControlMost, len > MAX_CONTROL as u64) {
                return Err(Error::ControlTooLong { found: len });
            }
            return Ok(());
        }
        match (opcode, self.unfinished) {
            (CONTINUATION, None) if broken(Check::WsContinues, true) => return Err(Error::NothingToContinue),
            (BINARY, Some(_)) if broken(Check::WsFinished, true) => return Err(Error::Unfinished),
            _ => {}
        }
        let found = self.unfinished.unwrap_or(0).saturating_add(len);
        if broken(Check::WsMessageMost, found > MAX_MESSAGE) { Err(Error::MessageTooLong { found }) } else { Ok(()) }
    }

    fn control(&mut self, opcode: u8, payload: BytesMut) -> Result<Event, Error> {
        match opcode {
            PING => {
                self.answer = Some(Answer::Pong(payload.freeze()));
                Ok(Event::Ping)
            }
            PONG => Ok(Event::Pong),
            _ => {
                let code = match payload.first_chunk() {
                    Some(code) => Some(u16::from_be_bytes(*code)),
                    None if broken(Check::WsCloseLength, !payload.is_empty()) => return Err(Error::WrongCloseCode),
                    None => None,
                };
                // 1004 to 1006 and 1015 are never sent; below 1000 and from 1016 to 2999 is nothing, from 5000 neither.
                let sendable = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
                if broken(Check::WsCloseCode, code.is_some_and(|code| !sendable(code))) {
                    return Err(Error::WrongCloseCode);
                }
                self.closed_in = true;
                let code = code.map(CloseCode);
                self.answer = Some(Answer::Close(code));
                Ok(Event::Close(code))
            }
        }
    }
}

/// XORs with the mask, over and over.
fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
