//! Looking on while a client and a proxy pretend to speak TLS.

use bytes::{Buf, BytesMut};

use super::client::answer_len;
use super::error::Error;
use super::record::Records;
use super::server::greeting_len;
use super::{DIGEST, digest, digest_of};
use crate::crypto::constant_time_eq;
use crate::transport::mtproxy::Key;

/// Bytes of the digest in front of those that the time is mixed into.
const PROVEN: usize = DIGEST - 4;

/// Reads both directions of a connection whose greeting a secret fits. Clocks and repeated greetings are the proxy's business.
#[derive(Debug)]
pub(in crate::transport) struct Listener {
    to_server: Records,
    /// `None` until the answer to the greeting has passed.
    to_client: Option<Records>,
}

impl Listener {
    /// Takes the greeting off the front of `input`. `None` when more bytes are needed. With `Some`, the number of the secret that the
    /// greeting was made with, among `secrets`, and the listener; or `None` inside when it was made with none of them, `input` being as
    /// it was.
    ///
    /// # Errors
    ///
    /// It is no greeting.
    pub(in crate::transport) fn begin(input: &mut BytesMut, secrets: &[Key]) -> Result<Option<Option<(usize, Self)>>, Error> {
        let Some(len) = greeting_len(input)? else { return Ok(None) };
        let Some(greeting) = input.get(..len) else { return Ok(None) };
        let fits = |key: &Key| {
            let (Some(expected), Some(found)) = (digest(key, &[], greeting), digest_of(greeting)) else { return false };
            constant_time_eq(&expected[..PROVEN], &found[..PROVEN])
        };
        let Some(which) = secrets.iter().position(fits) else { return Ok(Some(None)) };
        input.advance(len);
        Ok(Some(Some((which, Self { to_server: Records::server(), to_client: None }))))
    }

    /// Takes all data that the client wrote off the front of `input` and appends it to `out`.
    ///
    /// # Errors
    ///
    /// See [`Error`]. An error is final.
    pub(in crate::transport) fn read_client(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), Error> {
        self.to_server.decode(input, out)
    }

    /// The same for what the proxy wrote, behind its answer to the greeting.
    ///
    /// # Errors
    ///
    /// See [`Error`]. An error is final.
    pub(in crate::transport) fn read_server(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), Error> {
        let records = match &mut self.to_client {
            Some(records) => records,
            None => match answer_len(input)? {
                Some(len) if input.len() >= len => {
                    input.advance(len);
                    self.to_client.insert(Records::client())
                }
                _ => return Ok(()),
            },
        };
        records.decode(input, out)
    }
}
