//! The client's role: greets, and checks the answer.

use std::fmt;

use bytes::{Buf, BytesMut};
use rand::Rng;

use super::error::Error;
use super::hello::{self, SESSION_ID, SESSION_ID_AT, Shape};
use super::record::{Records, read_head};
use super::{CHANGE_CIPHER_SPEC_RECORD, DIGEST, RECORD_HEAD, content, digest, digest_of, message, mix_time, put_digest};
use crate::check::{Check, broken};
use crate::crypto::constant_time_eq;
use crate::transport::mtproxy::Key;

/// A client that has greeted and waits for the answer.
pub struct Client {
    key: Key,
    digest: [u8; DIGEST],
    session_id: [u8; SESSION_ID],
    failed: Option<Error>,
}

impl Client {
    /// Makes the greeting, a record to be sent first. `unix_time` in seconds: proxies refuse clocks that are minutes off.
    pub fn new(key: &Key, domain: &str, shape: Shape, unix_time: u32, rng: &mut dyn Rng) -> (Self, Vec<u8>) {
        let mut greeting = hello::build(domain, shape, rng);
        // A greeting that we made has room for both.
        let mut digest = digest(key, &[], &greeting).unwrap_or_default();
        mix_time(&mut digest, unix_time);
        put_digest(&mut greeting, &digest);
        let session_id = greeting.get(SESSION_ID_AT..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        (Self { key: key.clone(), digest, session_id, failed: None }, greeting)
    }

    /// Takes the answer off the front of `input` once it is whole, and checks it; `None` when more bytes are needed. What is left in
    /// `input` belongs to the records.
    ///
    /// # Errors
    /// See [`Error`]. An error is final.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<Option<Records>, Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.answer(input).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn answer(&self, input: &mut BytesMut) -> Result<Option<Records>, Error> {
        let Some(len) = answer_len(input)? else { return Ok(None) };
        if input.len() < len {
            return Ok(None);
        }
        let answer = input.get(..len).unwrap_or_default();
        let short = Error::NotServerHello { what: "it has no room for a digest" };
        let (Some(expected), Some(found)) = (digest(&self.key, &self.digest, answer), digest_of(answer)) else {
            return Err(short);
        };
        if broken(Check::TlsServerDigest, !constant_time_eq(&expected, found)) {
            return Err(Error::WrongServerDigest);
        }
        // From here on it is the proxy that speaks.
        self.check_hello(answer)?;
        input.advance(len);
        Ok(Some(Records::client()))
    }

    /// The first record holds one ServerHello, and nothing else; that one repeats our session id.
    fn check_hello(&self, answer: &[u8]) -> Result<(), Error> {
        let wrong = |what| Error::NotServerHello { what };
        let head = answer.first_chunk().ok_or(wrong("it has no record"))?;
        let (_, len) = read_head(*head)?;
        let body = answer.get(RECORD_HEAD..RECORD_HEAD + len).ok_or(wrong("its record is cut off"))?;
        let &[kind, high, middle, low, ..] = body else { return Err(wrong("it has no message")) };
        if broken(Check::TlsServerHello, kind != message::SERVER_HELLO) {
            return Err(wrong("its message is another one"));
        }
        if broken(Check::TlsServerHelloFills, u32::from_be_bytes([0, high, middle, low]) as usize != body.len() - 4) {
            return Err(wrong("its message does not fill the record"));
        }
        let id_at = SESSION_ID_AT - 1;
        let repeated = matches!(
            answer.get(id_at..id_at + 1 + SESSION_ID),
            Some([len, id @ ..]) if usize::from(*len) == SESSION_ID && *id == self.session_id
        );
        if broken(Check::TlsSessionId, !repeated) { Err(Error::WrongSessionId) } else { Ok(()) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// How long the answer is; `None` when more bytes are needed to say. A wrong record is told as soon as its head is there, so that a web
/// server is not waited for.
pub(super) fn answer_len(input: &[u8]) -> Result<Option<usize>, Error> {
    let Some(head) = input.first_chunk() else { return Ok(None) };
    let (kind, len) = read_head(*head)?;
    match kind {
        content::HANDSHAKE => {}
        content::ALERT => {
            return match input.get(RECORD_HEAD..).and_then(|body| body.first_chunk()) {
                Some(&[level, description]) => Err(Error::Alert { level, description }),
                None => Ok(None),
            };
        }
        found => {
            if broken(Check::TlsServerHandshake, true) {
                return Err(Error::NotHandshake { found });
            }
        }
    }
    let change_at = RECORD_HEAD + len;
    let Some(rest) = input.get(change_at..) else { return Ok(None) };
    match rest.first() {
        None => return Ok(None),
        Some(&found) => {
            if broken(Check::TlsChange, found != content::CHANGE_CIPHER_SPEC) {
                return Err(Error::NoChangeCipherSpec { found });
            }
        }
    }
    let Some((change, rest)) = rest.split_at_checked(CHANGE_CIPHER_SPEC_RECORD.len()) else { return Ok(None) };
    if broken(Check::TlsChangeContent, change != CHANGE_CIPHER_SPEC_RECORD) {
        return Err(Error::BadChangeCipherSpec);
    }
    let Some(head) = rest.first_chunk() else { return Ok(None) };
    let (found, data) = read_head(*head)?;
    if broken(Check::TlsAnswerData, found != content::DATA) {
        return Err(Error::NoData { found });
    }
    Ok(Some(change_at + CHANGE_CIPHER_SPEC_RECORD.len() + RECORD_HEAD + data))
}
