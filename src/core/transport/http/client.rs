//! The client's end of an HTTP connection.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::head::{Head, Scanner};
use super::{Body, Error};
use crate::check::{Check, broken};
use crate::transport::{Frame, MAX_FRAME, TransportError};

/// The client's end: payloads become requests, answers become frames.
pub struct Client {
    host: String,
    path: String,
    waiting: usize,
    scanner: Scanner,
    /// The answer whose body is coming in, and its status.
    coming: Option<(Body, u16)>,
    failed: Option<Error>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A payload, or the status in place of a transport error.
    pub frame: Frame,
    /// The server closes the connection behind this answer.
    pub last: bool,
}

impl Client {
    /// For a connection to `host`, as the `Host` field names it (with the port if it is not 80), and `path` there.
    pub fn new(host: impl Into<String>, path: impl Into<String>) -> Self {
        // Neither comes from a peer, but a line break in them would end the line all the same.
        let clean = |text: String| text.chars().filter(char::is_ascii_graphic).collect();
        Self {
            host: clean(host.into()),
            path: clean(path.into()),
            waiting: 0,
            scanner: Scanner::default(),
            coming: None,
            failed: None,
        }
    }

    /// A reader of what a server answers, for somebody who looks on and does not count the requests.
    pub(in crate::transport) fn listener() -> Self {
        Self { waiting: usize::MAX, ..Self::new("", "") }
    }

    /// Appends a request with `payload` as its body.
    ///
    /// # Errors
    ///
    /// The payload is not a multiple of 4, is empty, or is longer than [`MAX_FRAME`]; nothing is written then.
    pub fn encode(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        check_payload(payload)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            self.path,
            self.host,
            payload.len()
        );
        out.reserve(head.len() + payload.len());
        out.put_slice(head.as_bytes());
        out.put_slice(payload);
        self.waiting += 1;
        Ok(())
    }

    /// Requests that have no answer yet.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes one answer off the front of `input`; `None` when it is not complete yet. Call it until it returns `None`.
    ///
    /// # Errors
    ///
    /// One [`Error`] for each rule. An error is final.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Answer>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.decode_next(input);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn decode_next(&mut self, input: &mut BytesMut) -> Result<Option<Answer>, Error> {
        loop {
            if let Some((body, status)) = self.coming {
                return Ok(self.take_body(input, body, status));
            }
            if input.is_empty() {
                return Ok(None);
            }
            if broken(Check::HttpAsked, self.waiting == 0) {
                return Err(Error::Unasked);
            }
            let Some(len) = self.scanner.find(input)? else { return Ok(None) };
            let bytes = input.split_to(len);
            let head = Head::parse(&bytes)?;
            let (version, status) = head.status_line()?;
            match status {
                101 if broken(Check::HttpNotSwitched, true) => return Err(Error::Switched),
                // "A client MUST be able to parse one or more 1xx responses received prior to a final response".
                100..200 => continue,
                _ => {}
            }
            let len = head.content_length(MAX_FRAME)?;
            let body = match (status, len) {
                (200, None) => return Err(Error::LengthMissing),
                (200, Some(len)) => {
                    check_body(len)?;
                    Body { len, last: head.is_last(version) }
                }
                (_, Some(len)) => Body { len, last: head.is_last(version) },
                // A page that ends with the connection: nobody reads it.
                (_, None) => Body { len: 0, last: true },
            };
            self.coming = Some((body, status));
        }
    }

    fn take_body(&mut self, input: &mut BytesMut, body: Body, status: u16) -> Option<Answer> {
        if input.len() < body.len {
            return None;
        }
        self.coming = None;
        self.waiting = self.waiting.saturating_sub(1);
        let payload = input.split_to(body.len);
        let frame = match status {
            200 => Frame::Payload(payload),
            // "The HTTP payload must be ignored."
            status => Frame::Error(TransportError::from(i32::from(status))),
        };
        Some(Answer { frame, last: body.last })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// What may be sent.
pub(super) fn check_payload(payload: &[u8]) -> Result<(), Error> {
    let len = payload.len();
    if len > MAX_FRAME {
        return Err(Error::PayloadTooLong { len, max: MAX_FRAME });
    }
    if len == 0 || !len.is_multiple_of(4) {
        return Err(Error::PayloadNotAligned { len });
    }
    Ok(())
}

/// What may come.
pub(super) fn check_body(len: usize) -> Result<(), Error> {
    if broken(Check::HttpBodyThere, len == 0) {
        return Err(Error::BodyEmpty);
    }
    if broken(Check::HttpBodyWords, !len.is_multiple_of(4)) {
        return Err(Error::BodyNotAligned { found: len });
    }
    Ok(())
}
