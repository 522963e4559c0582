//! What an MTProxy's secret says ("MTProto proxies", "Transport obfuscation").
//!
//! ```text
//! 16 bytes                 plain         obfuscation under a key that only those who know the secret can derive
//! dd, 16 bytes             padded        the same, and frames have random padding
//! ee, 16 bytes, a name     fake TLS      the same inside what looks like a TLS 1.3 connection to a web site of that name
//! ```
//!
//! People pass it on as hexadecimal digits or as base64, mostly the kind that fits into links.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Kind;
use crate::check::{Check, broken};

/// Length of the key inside every secret.
pub const KEY: usize = 16;

/// The longest name that fake TLS can ask for, in bytes. Official clients refuse longer ones, because the greeting would grow beyond
/// what browsers send.
pub const MAX_DOMAIN: usize = 182;

/// First byte of a secret that demands padding.
const PADDED: u8 = 0xdd;
/// First byte of a secret that demands fake TLS.
const FAKE_TLS: u8 = 0xee;
/// The longest text that can be a secret: hexadecimal digits of the longest one, with a little to spare for base64's filling.
const MAX_TEXT: usize = 2 * (1 + KEY + MAX_DOMAIN) + 4;

/// The 16 bytes that a proxy and its clients share. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; KEY]);

impl Key {
    /// A key of these bytes.
    pub const fn new(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What the connection to the proxy has to look like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disguise {
    /// Random bytes.
    Plain,
    /// Random bytes in frames of random length.
    Padded,
    /// A TLS 1.3 connection to a web site of this name.
    FakeTls {
        /// ASCII, 1 to [`MAX_DOMAIN`] bytes.
        domain: String,
    },
}

/// The secret of an MTProxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    key: Key,
    disguise: Disguise,
}

/// Why a text or bytes are no secret of an MTProxy. None of these repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is nothing.
    #[error("the secret is empty")]
    Empty,
    /// The text is longer than any secret.
    #[error("the secret has {len} characters, at most {max} are possible")]
    TextTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A character is neither a hexadecimal digit nor one of base64's.
    #[error("character {at} of the secret is neither hexadecimal nor base64")]
    BadCharacter {
        /// Its place, from 1.
        at: usize,
    },
    /// The base64 ends in the middle of a byte, or is filled up wrongly.
    #[error("the secret is cut off: it is neither whole hexadecimal nor whole base64")]
    BadEnd,
    /// There are fewer than 16 bytes.
    #[error("the secret has {len} bytes, at least {KEY} are needed")]
    TooShort {
        /// How many.
        len: usize,
    },
    /// There are more than 16 bytes, and the first is not one that says why.
    #[error("the secret has {len} bytes but begins with {found:02x}; longer ones begin with dd (padded) or ee (fake TLS)")]
    UnknownPrefix {
        /// The first byte.
        found: u8,
        /// How many there are.
        len: usize,
    },
    /// A padded secret that is not exactly 17 bytes long.
    #[error("a secret that begins with dd has 17 bytes, this one has {len}")]
    PaddedLength {
        /// How many.
        len: usize,
    },
    /// A secret for fake TLS without the name of a web site.
    #[error("a secret that begins with ee ends with the name of a web site; this one has none")]
    NoDomain,
    /// The name is too long.
    #[error("the web site's name in the secret has {len} bytes, at most {max} are possible")]
    DomainTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The name has a byte that names do not have.
    #[error("byte {at} of the web site's name in the secret belongs into no name")]
    BadDomain {
        /// Its place, from 1.
        at: usize,
    },
}

impl Secret {
    /// Reads the bytes of a secret.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let (disguise, key): (_, &[u8]) = match bytes {
            [] => return Err(SecretError::Empty),
            short if short.len() < KEY => return Err(SecretError::TooShort { len: short.len() }),
            key if key.len() == KEY => (Disguise::Plain, key),
            [PADDED, key @ ..] if key.len() == KEY => (Disguise::Padded, key),
            [PADDED, ..] => return Err(SecretError::PaddedLength { len: bytes.len() }),
            [FAKE_TLS, rest @ ..] => {
                let (key, name) = rest.split_at_checked(KEY).ok_or(SecretError::TooShort { len: rest.len() })?;
                (Disguise::FakeTls { domain: domain(name)? }, key)
            }
            &[found, ..] => return Err(SecretError::UnknownPrefix { found, len: bytes.len() }),
        };
        let key = key.try_into().map_err(|_| SecretError::TooShort { len: key.len() })?;
        Ok(Self { key: Key(key), disguise })
    }

    /// The bytes, as they are passed on.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (prefix, name): (&[u8], &str) = match &self.disguise {
            Disguise::Plain => (&[], ""),
            Disguise::Padded => (&[PADDED], ""),
            Disguise::FakeTls { domain } => (&[FAKE_TLS], domain),
        };
        [prefix, &self.key.0, name.as_bytes()].concat()
    }

    /// What proves that we may use the proxy.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// What the connection has to look like.
    pub const fn disguise(&self) -> &Disguise {
        &self.disguise
    }

    /// The web site whose visitor we pretend to be, if we are to.
    pub fn domain(&self) -> Option<&str> {
        match &self.disguise {
            Disguise::FakeTls { domain } => Some(domain),
            Disguise::Plain | Disguise::Padded => None,
        }
    }

    /// The envelope to use through this proxy when `wished` is what would be used without it. Always inside obfuscation.
    ///
    /// Padding is for secrets that demand it, and for no others: a proxy that was set up without it refuses it. The full
    /// transport has no tag that a proxy would recognise.
    pub const fn kind(&self, wished: Kind) -> Kind {
        match (&self.disguise, wished) {
            (Disguise::Padded | Disguise::FakeTls { .. }, _) => Kind::PaddedIntermediate,
            (Disguise::Plain, Kind::Abridged) => Kind::Abridged,
            (Disguise::Plain, Kind::Intermediate | Kind::PaddedIntermediate | Kind::Full) => Kind::Intermediate,
        }
    }
}

/// From hexadecimal digits, or from base64 of either alphabet, filled up or not. What can be both is hexadecimal, as in the official
/// clients.
impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if broken(Check::SecretTextMost, text.len() > MAX_TEXT) {
            return Err(SecretError::TextTooLong { len: text.len(), max: MAX_TEXT });
        }
        let mut bytes = match from_hex(text) {
            Some(bytes) => bytes,
            None => from_base64(text)?,
        };
        let secret = Self::from_bytes(&bytes);
        bytes.zeroize();
        secret
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn from_base64(text: &str) -> Result<Vec<u8>, SecretError> {
    let digits = text.trim_end_matches('=');
    let filling = text.len() - digits.len();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for (at, byte) in digits.bytes().enumerate() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Err(SecretError::BadCharacter { at: text.get(..at).map_or(at, |front| front.chars().count()) + 1 }),
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    // What is left over are bits of no byte, which have to be zero, and fewer than a digit holds.
    let whole = count < 6 && bits & ((1 << count) - 1) == 0;
    let filled = filling == 0 || (filling <= 2 && text.len().is_multiple_of(4));
    if broken(Check::SecretWhole, !whole) || broken(Check::SecretFilling, !filled) { Err(SecretError::BadEnd) } else { Ok(out) }
}

fn domain(name: &[u8]) -> Result<String, SecretError> {
    if broken(Check::SecretDomainThere, name.is_empty()) {
        return Err(SecretError::NoDomain);
    }
    if broken(Check::SecretDomainMost, name.len() > MAX_DOMAIN) {
        return Err(SecretError::DomainTooLong { len: name.len(), max: MAX_DOMAIN });
    }
    // International names travel in their ASCII form.
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    if let Some(at) = name.iter().position(|byte| broken(Check::SecretDomainName, !belongs(byte))) {
        return Err(SecretError::BadDomain { at: at + 1 });
    }
    Ok(name.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789ABCDEF";
    const BYTES: [u8; KEY] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

    fn parse(text: &str) -> Result<Secret, SecretError> {
        text.parse()
    }

    fn error(text: &str) -> SecretError {
        parse(text).unwrap_err()
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        let plain = parse(HEX).unwrap();
        assert_eq!((plain.key().bytes(), plain.disguise()), (&BYTES, &Disguise::Plain));
        let padded = parse(&format!("dd{HEX}")).unwrap();
        assert_eq!((padded.key().bytes(), padded.disguise()), (&BYTES, &Disguise::Padded));
        let tls = parse(&format!("EE{HEX}{}", hex::encode("www.example.com"))).unwrap();
        assert_eq!((tls.key().bytes(), tls.domain()), (&BYTES, Some("www.example.com")));
        // A plain secret may begin with any byte.
        for prefix in [PADDED, FAKE_TLS] {
            let mut bytes = BYTES;
            bytes[0] = prefix;
            assert_eq!(Secret::from_bytes(&bytes).unwrap().disguise(), &Disguise::Plain);
        }
    }

    #[test]
    fn base64_of_either_alphabet_is_understood() {
        // Published by others as an example: ee, sixteen ones, "lib.arvancloud.com".
        for text in ["7gEBAQEBAQEBAQEBAQEBAQFsaWIuYXJ2YW5jbG91ZC5jb20=", "7gEBAQEBAQEBAQEBAQEBAQFsaWIuYXJ2YW5jbG91ZC5jb20"] {
            let secret = parse(text).unwrap();
            assert_eq!((secret.key().bytes(), secret.domain()), (&[1; 16], Some("lib.arvancloud.com")));
        }
        for text in ["-_-_-_-_-_-_-_-_-_-_-w==", "+/+/+/+/+/+/+/+/+/+/+w", "-/+_-/+_-/+_-/+_-/+_-w=="] {
            let expected: Vec<u8> = [0xfb, 0xff, 0xbf].into_iter().cycle().take(16).collect();
            assert_eq!(parse(text).unwrap().key().bytes()[..], expected);
        }
        // All digits are hexadecimal, so it is: 22 of them would be 16 bytes of base64 and are 11 of these.
        assert_eq!(error("0123456789abcdef012345"), SecretError::TooShort { len: 11 });
    }

    #[test]
    fn each_rule_has_its_error() {
        assert_eq!(error(""), SecretError::Empty);
        assert_eq!(error(&"a".repeat(403)), SecretError::TextTooLong { len: 403, max: 402 });
        assert_eq!(error("0123456789abcdef 123456789abcdef"), SecretError::BadCharacter { at: 17 });
        assert_eq!(error("Aä"), SecretError::BadCharacter { at: 2 });
        assert_eq!(error("ZZZZZ"), SecretError::BadEnd);
        assert_eq!(error("ZZZ"), SecretError::BadEnd, "bits are left over");
        assert_eq!(error("ZA="), SecretError::BadEnd, "filled up to no multiple of four");
        assert_eq!(error("Z==="), SecretError::BadEnd);
        assert_eq!(error("abcd"), SecretError::TooShort { len: 2 });
        assert_eq!(error(&format!("42{HEX}")), SecretError::UnknownPrefix { found: 0x42, len: 17 });
        assert_eq!(error(&format!("dd{HEX}00")), SecretError::PaddedLength { len: 18 });
        assert_eq!(error(&format!("ee{HEX}")), SecretError::NoDomain);
        let long = "a".repeat(MAX_DOMAIN + 1);
        assert_eq!(error(&format!("ee{HEX}{}", hex::encode(&long))), SecretError::DomainTooLong { len: 183, max: 182 });
        assert!(parse(&format!("ee{HEX}{}", hex::encode(&long[1..]))).is_ok());
        assert_eq!(error(&format!("ee{HEX}{}", hex::encode("a b"))), SecretError::BadDomain { at: 2 });
        assert_eq!(error(&format!("ee{HEX}{}", hex::encode("aä"))), SecretError::BadDomain { at: 2 });
    }

    #[test]
    fn every_prefix_is_refused_or_plain() {
        let whole = Secret { key: Key(BYTES), disguise: Disguise::FakeTls { domain: "a.b".into() } }.to_bytes();
        for len in 0..whole.len() {
            match Secret::from_bytes(&whole[..len]) {
                Ok(secret) => assert!(len == 16 || len > 17, "{len}: {secret:?}"),
                Err(error) => assert!(len < 18, "{len}: {error}"),
            }
        }
    }

    #[test]
    fn bytes_survive_a_round_trip() {
        for text in [HEX.to_owned(), format!("dd{HEX}"), format!("ee{HEX}{}", hex::encode("a-b_c.d"))] {
            let secret = parse(&text).unwrap();
            assert_eq!(hex::encode(secret.to_bytes()), text.to_lowercase());
            assert_eq!(Secret::from_bytes(&secret.to_bytes()).unwrap(), secret);
        }
    }

    #[test]
    fn the_envelope_follows_the_secret() {
        let plain = parse(HEX).unwrap();
        assert_eq!(
            Kind::ALL.map(|kind| plain.kind(kind)),
            [Kind::Abridged, Kind::Intermediate, Kind::Intermediate, Kind::Intermediate]
        );
        let padded = parse(&format!("dd{HEX}")).unwrap();
        assert_eq!(Kind::ALL.map(|kind| padded.kind(kind)), [Kind::PaddedIntermediate; 4]);
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", parse(&format!("ee{HEX}{}", hex::encode("a.b"))).unwrap());
        assert_eq!(shown, r#"Secret { key: Key(..), disguise: FakeTls { domain: "a.b" } }"#);
    }
}
