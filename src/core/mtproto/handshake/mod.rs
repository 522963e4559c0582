//! The key exchange: how a client and a server come to share an authorization key.
//!
//! ```text
//! client                                              server
//!   | req_pq_multi            nonce                     |
//!   |-------------------------------------------------->|
//!   |                  resPQ  pq, key fingerprints      |
//!   |<--------------------------------------------------|   the client factors pq and picks a key
//!   | req_DH_params           RSA_PAD( p_q_inner_data ) |
//!   |-------------------------------------------------->|   only the server can read new_nonce
//!   |    server_DH_params_ok  AES-IGE( g, p, g_a )      |
//!   |<--------------------------------------------------|   the client checks the group and g_a
//!   | set_client_DH_params    AES-IGE( g_b )            |
//!   |-------------------------------------------------->|   the server checks g_b
//!   |             dh_gen_ok   new_nonce_hash1           |
//!   |<--------------------------------------------------|   or dh_gen_retry: a new g_b; or dh_gen_fail
//! ```
//!
//! See "Creating an Authorization Key" and "Security Guidelines for Client Developers".
//!
//! Each step of each role is a type that is consumed by value: it takes the peer's message, and gives the next state and the bytes
//! to send, or an error that names the rule that was broken. A step cannot be left out, done twice or gone on from after an error.
//! What a step has to have proved is a field that only the proof can fill.
//!
//! * [`client`]: `ExpectResPq` → `ExpectServerDhParams` → `ExpectDhGen` → [`client::Established`], and [`ClientHandshake`], which
//!   drives them with whole frames.
//! * [`server`]: `ExpectReqPq` → `ExpectReqDhParams` → `ExpectSetClientDhParams` → [`server::Established`], and
//!   [`ServerHandshake`].
//! * [`watch`]: the client's side in full detail, for whoever wants to see it.
//! * [`Error`]: one variant for each rule, by whose fault it is.

use std::{fmt, time::Duration};

use bytes::Bytes;
use rand::Rng;
use zeroize::Zeroizing;

use crate::{
    check::Check,
    clock::Now,
    crypto::{
        AuthKey,
        dh::{Group, PublicValue},
        hash,
    },
    ids::{MsgId, Salt},
    tl::Deserialize,
};

use self::watch::Watch;

pub mod client;
pub mod error;
mod sealed;
pub mod server;
#[cfg(test)]
mod tests;
pub mod watch;

pub use self::{
    client::ClientHandshake,
    error::{Error, InvalidMessage, Message, PeerIncompatible, PeerMisbehaved, Refused},
    server::ServerHandshake,
};

/// How often a client makes a new `g_b` at the server's wish, and how often a server wishes it, before giving up.
///
/// A retry happens when another key has the same identifier, once in 2⁶⁴ times: a second one in a row is a broken or hostile peer.
pub const MAX_RETRIES: u8 = 5;

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A key that lasts until it is destroyed.
    Permanent,
    /// A key that the server forgets after a while, for perfect forward secrecy.
    Temporary {
        /// For how long the server keeps the key at most, in seconds. At least 1.
        expires_in: i32,
    },
}

/// What kind of key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A key that lasts until it is destroyed.
    Permanent,
    /// A key that the server forgets.
    Temporary {
        /// When the server forgets it, in Unix time by the server's clock.
        expires_at: i64,
    },
}

impl Mode {
    /// The kind of a key that was made at `server_time`, Unix seconds.
    fn kind(self, server_time: i64) -> KeyKind {
        match self {
            Self::Permanent => KeyKind::Permanent,
            Self::Temporary { expires_in } => KeyKind::Temporary { expires_at: server_time.saturating_add(expires_in.into()) },
        }
    }
}

/// Both sides' public nonces: they name one run of the exchange and stand in each of its messages.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Nonces {
    nonce: [u8; 16],
    server_nonce: [u8; 16],
}

/// Proof that a message carries the nonces of this run.
#[derive(Clone, Copy)]
struct NoncesMatched(());

impl Nonces {
    /// Checks the nonces of `message`.
    fn check(
        &self,
        message: Message,
        nonce: [u8; 16],
        server_nonce: [u8; 16],
        watch: &Watch,
    ) -> Result<NoncesMatched, PeerMisbehaved> {
        check_nonce(message, nonce, self.nonce, watch)?;
        if watch.broken(message.server_nonce_check(), server_nonce != self.server_nonce) {
            let (found, expected) = (Nonce(server_nonce), Nonce(self.server_nonce));
            return Err(PeerMisbehaved::ServerNonceMismatch { message, found, expected });
        }
        Ok(NoncesMatched(()))
    }
}

/// Checks the client's nonce alone, in the one message that introduces the server's.
fn check_nonce(message: Message, found: [u8; 16], expected: [u8; 16], watch: &Watch) -> Result<(), PeerMisbehaved> {
    if watch.broken(message.nonce_check(), found != expected) {
        return Err(PeerMisbehaved::NonceMismatch { message, found: Nonce(found), expected: Nonce(expected) });
    }
    Ok(())
}

impl Message {
    /// The check of the client's nonce in this message.
    const fn nonce_check(self) -> Check {
        match self {
            Self::ReqPq | Self::ResPq => Check::NonceInResPq,
            Self::ReqDhParams => Check::NonceInReqDhParams,
            Self::PqInnerData => Check::NonceInPqInner,
            Self::ServerDhParams => Check::NonceInServerDhParams,
            Self::ServerDhInnerData => Check::NonceInServerDhInner,
            Self::SetClientDhParams => Check::NonceInSetClientDhParams,
            Self::ClientDhInnerData => Check::NonceInClientDhInner,
            Self::DhGen => Check::NonceInDhGen,
        }
    }

    /// The check of the server's nonce in this message. Where it is introduced there is nothing to compare it with.
    const fn server_nonce_check(self) -> Check {
        match self {
            Self::ReqPq | Self::ResPq | Self::ReqDhParams => Check::ServerNonceInReqDhParams,
            Self::PqInnerData => Check::ServerNonceInPqInner,
            Self::ServerDhParams => Check::ServerNonceInServerDhParams,
            Self::ServerDhInnerData => Check::ServerNonceInServerDhInner,
            Self::SetClientDhParams => Check::ServerNonceInSetClientDhParams,
            Self::ClientDhInnerData => Check::ServerNonceInClientDhInner,
            Self::DhGen => Check::ServerNonceInDhGen,
        }
    }
}

/// A nonce that everybody on the wire can see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The nonce that only the two sides know.
#[cfg_attr(test, derive(Clone))]
struct NewNonce(Zeroizing<[u8; 32]>);

/// The answers that end one attempt, each with a hash of its own so that none can be turned into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok = 1,
    Retry = 2,
    Fail = 3,
}

impl NewNonce {
    /// `new_nonce_hash1`, `2` or `3`: what proves that the server has `key` and means `verdict`.
    fn hash(&self, verdict: Verdict, key: &AuthKey) -> [u8; 16] {
        key.new_nonce_hash(&self.0, verdict as u8)
    }

    /// The hash in `server_DH_params_fail`: the last 16 bytes of SHA1(new_nonce).
    fn plain_hash(&self) -> [u8; 16] {
        *hash::sha1(&[&self.0[..]]).last_chunk().expect("SHA-1 has 20 bytes")
    }

    /// The first salt: the first 8 bytes of both nonces, combined by exclusive or.
    fn first_salt(&self, server_nonce: &[u8; 16]) -> Salt {
        let (a, _) = self.0.split_first_chunk::<8>().expect("a new nonce has 32 bytes");
        let (b, _) = server_nonce.split_first_chunk::<8>().expect("a server nonce has 16 bytes");
        Salt(i64::from_le_bytes(*a) ^ i64::from_le_bytes(*b))
    }
}

/// A number as the exchange writes it: big-endian without leading zeros. Servers refuse factors written otherwise.
fn minimal(number: u64) -> Bytes {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Bytes::copy_from_slice(&bytes[zeros..])
}

/// A secret and its public value, inside the ranges that both sides check. The first draw is, but for once in 2⁶³ times.
fn draw_secret(group: &Group, rng: &mut dyn Rng) -> (Zeroizing<[u8; 256]>, PublicValue) {
    let mut secret = Zeroizing::new([0; 256]);
    loop {
        rng.fill_bytes(&mut secret[..]);
        if let Ok(public) = group.check_public(&group.public(&secret)) {
            return (secret, public);
        }
    }
}

/// Reads a body that has to be one object and nothing else.
fn decode<T: Deserialize>(expected: Message, body: Bytes) -> Result<T, InvalidMessage> {
    T::from_bytes(body).map_err(|error| InvalidMessage::Decode { expected, error })
}

/// Identifiers for unencrypted messages: Unix time × 2³², ever increasing, in the writer's residue modulo 4.
#[derive(Clone, Copy)]
struct PlainMsgIds {
    last: i64,
    residue: i64,
}

impl PlainMsgIds {
    const fn client() -> Self {
        Self { last: 0, residue: 0 }
    }

    /// A server only answers here: 1 modulo 4.
    const fn server() -> Self {
        Self { last: 0, residue: 1 }
    }

    fn next(&mut self, now: Now) -> MsgId {
        let fraction = (u64::from(now.wall.subsec_nanos()) << 32) / Duration::from_secs(1).as_nanos() as u64;
        let time = now.unix().wrapping_shl(32) | fraction.cast_signed();
        self.last = (time & !3).max((self.last & !3).wrapping_add(4)) | self.residue;
        MsgId(self.last)
    }
}
