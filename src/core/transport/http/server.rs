//! The server's end of an HTTP connection.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use super::client::{check_body, check_payload};
use super::head::{Head, Scanner, Version};
use super::{Body, Error, SERVED};
use crate::check::{Check, broken};
use crate::transport::{MAX_FRAME, TransportError};

/// The server's end: requests become payloads, payloads become answers.
///
/// Requests may come before earlier ones are answered. Answers leave in the order of the requests, and each is written once.
#[derive(Debug, Default)]
pub struct Server {
    scanner: Scanner,
    coming: Option<Body>,
    /// For each request without an answer, in order: whether it is the connection's last.
    asked: VecDeque<bool>,
    failed: Option<Error>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// One MTProto packet.
    pub payload: BytesMut,
    /// The client wants the connection closed behind the answer.
    pub last: bool,
}

impl Server {
    /// A server's end of a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one request off the front of `input`; `None` when it is not complete yet. Whoever has taken enough of them stops calling:
    /// nothing here bounds how many wait for an answer.
    ///
    /// # Errors
    ///
    /// One [`Error`] for each rule; its [`status`](Error::status) is what to answer. An error is final.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Request>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.decode_next(input);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn decode_next(&mut self, input: &mut BytesMut) -> Result<Option<Request>, Error> {
        let body = match self.coming {
            Some(body) => body,
            None => {
                let Some(len) = self.scanner.find(input)? else { return Ok(None) };
                let body = read_head(&input.split_to(len))?;
                self.coming = Some(body);
                body
            }
        };
        if input.len() < body.len {
            return Ok(None);
        }
        self.coming = None;
        self.asked.push_back(body.last);
        Ok(Some(Request { payload: input.split_to(body.len), last: body.last }))
    }

    /// Forgets that requests have no answer yet: for somebody who looks on, and will give none.
    pub(in crate::transport) fn answered_elsewhere(&mut self) {
        self.asked.clear();
    }

    /// Requests that have no answer yet.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Appends the answer to the oldest request: one payload. Returns whether the connection is to be closed behind it.
    ///
    /// # Errors
    ///
    /// Nothing was asked, or the payload is none; nothing is written then.
    pub fn encode(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<bool, Error> {
        check_payload(payload)?;
        let last = self.asked.pop_front().ok_or(Error::NothingAsked)?;
        put_head(200, payload.len(), last, out);
        out.put_slice(payload);
        Ok(last)
    }

    /// Appends a transport error, given as its code of either sign or as a [`TransportError`], as the status of an answer. The
    /// connection is to be closed behind it. A request that could not be read counts as asked.
    pub fn encode_error(&mut self, error: impl Into<TransportError>, out: &mut BytesMut) {
        self.asked.pop_front();
        // What no status can say is a mistake on our side.
        let status = u16::try_from(error.into().code()).ok().filter(|status| (400..600).contains(status)).unwrap_or(500);
        put_head(status, 0, true, out);
    }
}

fn read_head(bytes: &[u8]) -> Result<Body, Error> {
    let head = Head::parse(bytes)?;
    let line = head.request_line()?;
    if broken(Check::HttpMethod, line.method != "POST") {
        return Err(Error::WrongMethod);
    }
    if broken(Check::HttpPath, !SERVED.contains(&line.path)) {
        return Err(Error::WrongPath);
    }
    if broken(Check::HttpHost, line.version == Version::Http11 && head.only("Host").is_none()) {
        return Err(Error::HostMissing);
    }
    let len = head.content_length(MAX_FRAME)?.ok_or(Error::LengthMissing)?;
    check_body(len)?;
    Ok(Body { len, last: head.is_last(line.version) })
}

/// `Content-Length` stands last: there are clients that take the body to begin right behind it.
fn put_head(status: u16, len: usize, last: bool, out: &mut BytesMut) {
    let connection = if last { "close" } else { "keep-alive" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nConnection: {connection}\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\nContent-Length: {len}\r\n\r\n",
        reason(status)
    );
    out.reserve(head.len() + len);
    out.put_slice(head.as_bytes());
}

/// What a status says to people.
pub(in super::super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        444 => "Invalid DC",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}
