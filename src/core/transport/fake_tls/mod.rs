//! A TLS 1.3 connection in looks only: what MTProxies with an `ee` secret demand.
//!
//! Nothing is enciphered here; the obfuscated stream inside looks random enough. What an observer sees is a browser that visits the web
//! site named in the secret:
//!
//! ```text
//! client                                          proxy
//! ClientHello (random = digest)        ------->   knows the digest: answers itself; otherwise hands the connection to the web site
//!                                      <-------   ServerHello (random = digest), ChangeCipherSpec, one record of random bytes
//! ChangeCipherSpec, records of data    <------>   records of data
//! ```
//!
//! The client's digest is HMAC-SHA-256 under the secret's key of its whole greeting, with 32 zero bytes in the digest's place; the last
//! four bytes are changed by the client's Unix time (exclusive or, little-endian). The server's is that of the client's digest and its
//! whole answer, with zeros likewise. So the answer belongs to this very greeting, and cannot be an old one; the client's time and a
//! memory of digests keep a greeting from being used twice.
//!
//! * `hello`: the greeting that a browser sends. `share`: the key shares in it.
//! * `client`, `server`: the two roles, up to the first byte of data.
//! * `listener`: both directions, for somebody who knows the secret and looks on.
//! * `record`: cutting data into records and joining it again.
//! * `error`: one variant for each rule.

mod client;
mod error;
mod hello;
mod listener;
mod record;
mod server;
mod share;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use error::Error;
pub use hello::Shape;
pub(super) use listener::Listener;
pub use record::{MAX_RECORD, Records};
pub use server::{Accepted, Replays, Server, TIME_AHEAD, TIME_BEHIND};

use super::mtproxy::Key;
use crate::crypto::hmac::hmac_sha256;

/// Length of the digest in either greeting.
const DIGEST: usize = 32;
/// Where it stands, in either: behind the record's head (5), the message's head (4) and the version (2).
const DIGEST_AT: usize = 11;

/// Length of a record's head: type, version, length.
const RECORD_HEAD: usize = 5;
/// TLS 1.2, which TLS 1.3 pretends to be nearly everywhere.
const LEGACY_VERSION: [u8; 2] = [0x03, 0x03];

/// What a record holds.
mod content {
    pub(super) const CHANGE_CIPHER_SPEC: u8 = 0x14;
    pub(super) const ALERT: u8 = 0x15;
    pub(super) const HANDSHAKE: u8 = 0x16;
    pub(super) const DATA: u8 = 0x17;
}

/// The first messages of either side.
mod message {
    pub(super) const CLIENT_HELLO: u8 = 1;
    pub(super) const SERVER_HELLO: u8 = 2;
}

/// Extensions that are looked at.
mod extension {
    pub(super) const SERVER_NAME: u16 = 0x0000;
}

/// The one message that ChangeCipherSpec is, as a record.
const CHANGE_CIPHER_SPEC_RECORD: [u8; 6] = [content::CHANGE_CIPHER_SPEC, 0x03, 0x03, 0x00, 0x01, 0x01];

/// The digest of `greeting` behind `front`, with zeros in the digest's place. `None` if the greeting is too short to have one.
fn digest(key: &Key, front: &[u8], greeting: &[u8]) -> Option<[u8; DIGEST]> {
    let (head, rest) = greeting.split_at_checked(DIGEST_AT)?;
    let (_, tail) = rest.split_at_checked(DIGEST)?;
    Some(hmac_sha256(key.bytes(), &[front, head, &[0; DIGEST], tail]))
}

/// The digest's place in a greeting.
fn digest_of(greeting: &[u8]) -> Option<&[u8; DIGEST]> {
    greeting.get(DIGEST_AT..)?.first_chunk()
}

/// Writes the digest into its place in a greeting of our own making.
fn put_digest(greeting: &mut [u8], digest: &[u8; DIGEST]) {
    if let Some(place) = greeting.get_mut(DIGEST_AT..DIGEST_AT + DIGEST) {
        place.copy_from_slice(digest);
    }
}

/// Changes the last four bytes of a digest by a time.
fn mix_time(digest: &mut [u8; DIGEST], unix_time: u32) {
    for (byte, time) in digest[DIGEST - 4..].iter_mut().zip(unix_time.to_le_bytes()) {
        *byte ^= time;
    }
}
