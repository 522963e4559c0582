//! Framing codecs and obfuscation as pure byte transformers ("MTProto transports").
//!
//! A transport cuts a byte stream into payloads, each one MTProto packet. The four kinds differ in their envelope only; any of them
//! may be wrapped in obfuscation.
//!
//! ```text
//!                      first bytes   then, for each payload
//! abridged             ef            [len/4] payload                      or  [7f][len/4: 3] payload
//! intermediate         eeeeeeee      [len: 4] payload
//! padded intermediate  dddddddd      [len: 4] payload padding             len counts the padding
//! full                 -             [len: 4][seq: 4] payload [crc32: 4]  len counts all of it
//!
//! obfuscated           64 bytes that look random; then the same envelopes, enciphered with AES-256-CTR
//! ```
//!
//! Numbers are little-endian.
//!
//! * [`codec`]: [`Codec`], one end of a connection: payloads in, bytes out, and back. [`Frame`] is what comes back.
//! * [`detect`]: [`Detector`], how a server learns from the first bytes which codec its client speaks.
//! * `abridged`, `intermediate` (padded or not), `full`: the envelopes.
//! * `obfuscation`: the initial 64 bytes and the two key streams.
//! * [`http`]: requests and answers as envelopes. [`websocket`]: messages around an obfuscated stream. [`carrier`]: which of them.
//! * [`mtproxy`]: what a proxy's secret says. `obfuscated`: the stream that it wants, below the envelopes. [`fake_tls`]: the disguise that some of them demand.
//! * [`tap`]: [`Tap`], both directions of a connection, for somebody who looks on.
//! * [`proxy`]: which proxy is meant, from a URL. [`socks5`], [`http_connect`]: how a client gets past two kinds of them.
//! * [`error`]: [`Error`], one variant for each rule, and [`TransportError`], what a server may answer in place of a payload.

mod abridged;
pub mod carrier;
pub mod codec;
pub mod detect;
pub mod error;
pub mod fake_tls;
mod full;
pub mod http;
pub mod http_connect;
mod intermediate;
pub mod mtproxy;
mod obfuscated;
mod obfuscation;
pub mod proxy;
pub mod socks5;
pub mod tap;
#[cfg(test)]
mod tests;
pub mod websocket;

use std::fmt;
use std::str::FromStr;

use crate::ids::DcId;

pub use carrier::Carrier;
pub use codec::{Codec, Frame};
pub use detect::Detector;
pub use error::{Error, TransportError};
pub use obfuscated::Obfuscated;
pub use proxy::{Host, Proxy, Target};
pub use tap::Tap;

/// The longest payload that either end accepts, in bytes. Checked before anything is allocated for it. TDLib has the same limit.
pub const MAX_FRAME: usize = 16 << 20;

/// The shape of the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One byte of overhead for payloads under 508 bytes, four above.
    Abridged,
    /// Four bytes of overhead.
    Intermediate,
    /// As intermediate, with a few random bytes behind the payload, so that lengths say less.
    PaddedIntermediate,
    /// Twelve bytes of overhead: length, sequence number, CRC-32.
    Full,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Abridged, Self::Intermediate, Self::PaddedIntermediate, Self::Full];

    /// The name, as flags and traces write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abridged => "abridged",
            Self::Intermediate => "intermediate",
            Self::PaddedIntermediate => "padded",
            Self::Full => "full",
        }
    }

    /// What stands at offset 56 of the obfuscated initial bytes, and (its first byte alone, for abridged) in front of a plain
    /// stream. Full has none: its first sequence number gives it away.
    const fn tag(self) -> Option<u32> {
        match self {
            Self::Abridged => Some(0xefef_efef),
            Self::Intermediate => Some(0xeeee_eeee),
            Self::PaddedIntermediate => Some(0xdddd_dddd),
            Self::Full => None,
        }
    }
}

impl Kind {
    /// What a plain stream of this kind begins with.
    pub const fn announcement(self) -> &'static [u8] {
        match self {
            Self::Abridged => &[0xef],
            Self::Intermediate => &[0xee; 4],
            Self::PaddedIntermediate => &[0xdd; 4],
            Self::Full => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no transport; known are abridged, intermediate, padded and full")]
pub struct UnknownKind {
    /// The word.
    pub found: String,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind { found: name.to_owned() })
    }
}

/// Which transport a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// The envelope.
    pub kind: Kind,
    /// Whether the stream is obfuscated. This hides from simple filters what it is; it is no encryption, since the keys travel
    /// in the initial bytes.
    pub obfuscated: bool,
    /// The DC to name in the obfuscated initial bytes; proxies route by it. 0 names none. Must fit 16 bits.
    pub dc: DcId,
}

impl Options {
    /// The envelope and what is around it, as traces write it: what [`Display`](fmt::Display) prints.
    pub const fn name(&self) -> &'static str {
        match (self.obfuscated, self.kind) {
            (false, kind) => kind.name(),
            (true, Kind::Abridged) => "obfuscated abridged",
            (true, Kind::Intermediate) => "obfuscated intermediate",
            (true, Kind::PaddedIntermediate) => "obfuscated padded",
            (true, Kind::Full) => "obfuscated full",
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
