//! The client's side of a tunnel through an HTTP proxy (RFC 9110, CONNECT), with a user and a password (RFC 7617) or without.
//!
//! ```text
//! CONNECT 149.154.167.51:443 HTTP/1.1        ----->
//! Host: 149.154.167.51:443
//! Proxy-Authorization: Basic dXNlcjpwYXNz
//!                                            <-----  HTTP/1.1 200 Connection established
//!                                                    (fields, an empty line; then the tunnel)
//! ```

use std::fmt;

use bytes::{Buf, BytesMut};
use zeroize::Zeroizing;

use super::proxy::{Credentials, Target};
use crate::check::{Check, broken};

/// The longest head of an answer that is read, all interim ones together, in bytes.
pub const MAX_HEAD: usize = 8 << 10;
/// How much of the proxy's own words is kept.
const MAX_REASON: usize = 80;

/// A client on its way through an HTTP proxy.
#[derive(Debug, Default)]
pub struct HttpConnect {
    /// Bytes of interim answers.
    passed: usize,
    /// Where the end of the head need not be looked for any more.
    searched: usize,
    failed: Option<Error>,
}

/// Why there is no tunnel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The answer is not HTTP's.
    #[error("the proxy does not answer in HTTP: it speaks something else")]
    NotHttp,
    /// A version of HTTP that does not look like this.
    #[error("the proxy answers in a version of HTTP that is neither 1.0 nor 1.1")]
    WrongVersion,
    /// The status is not three digits.
    #[error("the proxy's answer has no status of three digits")]
    BadStatus,
    /// The answer's head does not end.
    #[error("the head of the proxy's answer is longer than {max} bytes")]
    HeadTooLong {
        /// The limit.
        max: usize,
    },
    /// The proxy does not open the tunnel.
    #[error("the proxy refuses: {0}")]
    Refused(Refusal),
    /// Bytes came behind the answer, although we have said nothing yet.
    #[error("{len} bytes came behind the proxy's answer, before anything was said")]
    EarlyData {
        /// How many.
        len: usize,
    },
}

/// The proxy's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    reason: String,
}

impl Refusal {
    /// The status, 300 to 999.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The proxy's own words: printable ASCII, 80 bytes at most.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.status {
            400 => "it does not understand the request",
            401 | 407 => "it wants a user and a password, or refuses these",
            403 => "its rules forbid this connection",
            404 | 410 => "it cannot find the host",
            405 | 501 => "it does not open tunnels",
            408 | 504 => "the host did not answer it in time",
            429 => "it has had too many requests",
            500 => "it had a failure of its own",
            502 | 503 => "it cannot reach the host",
            300..=399 => "it sends us elsewhere",
            _ => "it says no more than the status",
        };
        write!(f, "{meaning} (HTTP {}", self.status)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        f.write_str(")")
    }
}

impl Error {
    /// Whether another attempt, to the same or to another target, would end the same way.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::NotHttp | Self::WrongVersion => true,
            Self::Refused(refusal) => matches!(refusal.status, 401 | 405 | 407 | 501),
            _ => false,
        }
    }
}

impl HttpConnect {
    /// A way to `target`, and the bytes to begin with.
    pub fn new(target: &Target, credentials: Option<&Credentials>) -> (Self, Zeroizing<Vec<u8>>) {
        let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes());
        if let Some(credentials) = credentials {
            let pair = Zeroizing::new(format!("{}:{}", credentials.user(), credentials.password()));
            request.extend(b"Proxy-Authorization: Basic ");
            put_base64(pair.as_bytes(), &mut request);
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        (Self::default(), request)
    }

    /// Takes the proxy's answer off the front of `input` once its head is whole. Whether the tunnel is open; `false` when more bytes are
    /// needed to say.
    ///
    /// # Errors
    /// See [`Error`]. An error is final.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.answer(input).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn answer(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        loop {
            // What is no HTTP need not be waited for.
            let start = b"HTTP/";
            if broken(Check::ConnectHttp, !start.starts_with(input.get(..start.len()).unwrap_or(input))) {
                return Err(Error::NotHttp);
            }
            let from = self.searched.min(input.len());
            let Some(at) = find(input.get(from..).unwrap_or_default(), b"\r\n\r\n") else {
                if broken(Check::ConnectHeadOpen, self.passed + input.len() >= MAX_HEAD) {
                    return Err(Error::HeadTooLong { max: MAX_HEAD });
                }
                // The end may be half there.
                self.searched = input.len().saturating_sub(3);
                return Ok(false);
            };
            let len = from + at + 4;
            if broken(Check::ConnectHeadMost, self.passed + len > MAX_HEAD) {
                return Err(Error::HeadTooLong { max: MAX_HEAD });
            }
            let (status, reason) = status(input.get(..len).unwrap_or_default())?;
            if broken(Check::ConnectWelcome, status >= 300) {
                return Err(Error::Refused(Refusal { status, reason }));
            }
            input.advance(len);
            if (100..=199).contains(&status) {
                // An interim answer: the real one follows.
                self.passed += len;
                self.searched = 0;
                continue;
            }
            if broken(Check::ConnectEarlyData, !input.is_empty()) {
                return Err(Error::EarlyData { len: input.len() });
            }
            return Ok(true);
        }
    }
}

/// Reads `HTTP/1.1 200 Connection established`.
fn status(head: &[u8]) -> Result<(u16, String), Error> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(Error::WrongVersion)?;
    let rest = rest.strip_prefix(b"1 ").or_else(|| rest.strip_prefix(b"0 ")).ok_or(Error::WrongVersion)?;
    let (&[a, b, c], reason) = rest.split_first_chunk().ok_or(Error::BadStatus)?;
    let digits = [a, b, c].iter().all(u8::is_ascii_digit) && a != b'0';
    if broken(Check::ConnectStatus, !digits || !matches!(reason.first(), None | Some(b' '))) {
        return Err(Error::BadStatus);
    }
    let status = [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    // The proxy's words are shown to people: nothing in them may steer their terminal.
    let printable = reason.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').map(|byte| char::from(*byte));
    Ok((status, printable.skip(1).take(MAX_REASON).collect()))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn put_base64(data: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in data.chunks(3) {
        let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            out.push(if at > group.len() { b'=' } else { DIGITS[(bits >> (18 - 6 * at) & 63) as usize] });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::transport::proxy::Host;

    fn target() -> Target {
        Target::new(Host::Ip("2001:db8::1".parse().unwrap()), 443)
    }

    fn feed(bytes: &[u8]) -> Result<bool, Error> {
        HttpConnect::new(&target(), None).0.handle_input(&mut BytesMut::from(bytes))
    }

    fn error(bytes: &[u8]) -> Error {
        feed(bytes).unwrap_err()
    }

    #[test]
    fn the_request_is_whole() {
        let (_, request) = HttpConnect::new(&target(), None);
        assert_eq!(request[..], *b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
        // RFC 7617's example.
        let credentials = Credentials::new("Aladdin", "open sesame").unwrap();
        let named = Target::new(Host::Name("dc.example".into()), 80);
        let (_, request) = HttpConnect::new(&named, Some(&credentials));
        assert_eq!(
            String::from_utf8_lossy(&request),
            "CONNECT dc.example:80 HTTP/1.1\r\nHost: dc.example:80\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    #[test]
    fn answers_that_open_the_tunnel() {
        for answer in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200\r\nServer: x\r\n\r\n",
            "HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(feed(answer.as_bytes()), Ok(true), "{answer}");
        }
    }

    #[test]
    fn each_rule_has_its_error() {
        assert_eq!(error(b"\x05"), Error::NotHttp);
        assert_eq!(error(b"HTTX"), Error::NotHttp);
        assert_eq!(error(b"HTTP/2 200\r\n\r\n"), Error::WrongVersion);
        assert_eq!(error(b"HTTP/1.2 200\r\n\r\n"), Error::WrongVersion);
        for bad in ["HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n"] {
            assert_eq!(error(bad.as_bytes()), Error::BadStatus, "{bad}");
        }
        let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        long.resize(MAX_HEAD, b'x');
        assert_eq!(error(&long), Error::HeadTooLong { max: MAX_HEAD });
        long.extend(b"\r\n\r\n");
        assert_eq!(error(&long), Error::HeadTooLong { max: MAX_HEAD });
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(400);
        assert_eq!(error(&interim), Error::HeadTooLong { max: MAX_HEAD });
        assert_eq!(error(b"HTTP/1.1 200 OK\r\n\r\nhi"), Error::EarlyData { len: 2 });
        let mut said = BTreeSet::new();
        for status in [302, 400, 403, 404, 405, 407, 418, 429, 500, 502, 504] {
            let found = error(format!("HTTP/1.1 {status} No\x1b[31m way\r\n\r\nwhy").as_bytes());
            let Error::Refused(refusal) = &found else { panic!("{found}") };
            assert_eq!((refusal.status(), refusal.reason()), (status, "No[31m way"));
            assert_eq!(found.is_final(), [405, 407].contains(&status));
            said.insert(found.to_string());
        }
        assert_eq!(said.len(), 11);
        let Error::Refused(refusal) = error(format!("HTTP/1.1 403 {}\r\n\r\n", "x".repeat(500)).as_bytes()) else { panic!() };
        assert_eq!(refusal.reason().len(), 80);
    }

    #[test]
    fn an_error_is_final() {
        let mut client = HttpConnect::new(&target(), None).0;
        for bytes in ["SSH-2.0", "HTTP/1.1 200 OK\r\n\r\n"] {
            assert_eq!(client.handle_input(&mut BytesMut::from(bytes)), Err(Error::NotHttp));
        }
    }

    #[test]
    fn every_prefix_waits_and_pieces_do_not_matter() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: 1.1 x\r\n\r\n";
        let mut client = HttpConnect::new(&target(), None).0;
        let mut input = BytesMut::new();
        for byte in answer {
            assert_eq!(client.handle_input(&mut input), Ok(false));
            input.extend_from_slice(&[*byte]);
        }
        assert_eq!(client.handle_input(&mut input), Ok(true));
    }
}
