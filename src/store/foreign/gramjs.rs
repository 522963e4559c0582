//! GramJS' session string: `1` and the base64 (with `+` and `/`) of: DC (one byte), the length of the address (two bytes), the address as text,
//! port (two bytes), key.
//!
//! It looks like Telethon's, which GramJS reads as well, and can have the same length as one with an IPv6 address. The length inside tells
//! them apart: an address's text has at most 45 bytes, and no IPv6 address in use begins with such a number.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::crypto::AuthKey;

use super::bytes::{self, Cursor};
use super::text::{self, Alphabet};
use super::{Error, ForeignSession, Format, session};

const FORMAT: Format = Format::Gramjs;

/// Everything but the address.
const OVERHEAD: usize = 1 + 2 + 2 + AuthKey::LEN;
/// The longest text of an address.
const MAX_ADDRESS: usize = 45;

/// Reads a session string.
///
/// # Errors
///
/// [`Error::UnknownVersion`], [`Error::NotBase64`], [`Error::WrongLength`], [`Error::NotText`], [`Error::BadAddress`], [`Error::BadPort`],
/// [`Error::BadDc`], [`Error::NotLoggedIn`].
pub fn from_string(text: &str) -> Result<ForeignSession, Error> {
    const WHAT: &str = "the string";
    let mut chars = text.chars();
    match chars.next() {
        Some('1') => {}
        other => return Err(Error::UnknownVersion { format: FORMAT, found: other.map_or(-1, |c| u32::from(c).into()) }),
    }
    let content = text::decode(FORMAT, chars.as_str(), Alphabet::Standard)?;
    let mut cursor = Cursor::new(&content);
    let dc = cursor.u8(WHAT)?;
    let len = usize::from(cursor.u16(WHAT)?);
    if len > MAX_ADDRESS || content.len() != OVERHEAD + len {
        return Err(Error::WrongLength { format: FORMAT, found: content.len() });
    }
    let ip = std::str::from_utf8(cursor.take(len, WHAT)?).map_err(|_| Error::NotText { what: "the server's address" })?;
    let ip = bytes::address(ip)?;
    let port = bytes::port(cursor.u16(WHAT)?.into())?;
    let mut read = ForeignSession::new(FORMAT, dc.into(), &session::key(cursor.take(AuthKey::LEN, WHAT)?)?)?;
    read.address = Some(SocketAddr::new(ip, port));
    Ok(read)
}

/// The session string.
///
/// # Errors
///
/// [`Error::Missing`] without the home DC's address; [`Error::CannotHold`] for a DC above 255, and for a port above 32767, which GramJS
/// reads as a negative one.
pub fn to_string(session: &ForeignSession) -> Result<Zeroizing<String>, Error> {
    let address = session.address.ok_or(Error::Missing { format: FORMAT, what: "the server's address" })?;
    let dc = u8::try_from(session.home_dc.0).map_err(|_| Error::CannotHold { format: FORMAT, what: "the DC's number" })?;
    let port = i16::try_from(address.port()).map_err(|_| Error::CannotHold { format: FORMAT, what: "a port above 32767" })?;
    let ip = address.ip().to_string();
    let len = u16::try_from(ip.len()).expect("the text of an address is short");
    let mut content = Zeroizing::new(Vec::with_capacity(OVERHEAD + MAX_ADDRESS));
    content.push(dc);
    content.extend_from_slice(&len.to_be_bytes());
    content.extend_from_slice(ip.as_bytes());
    content.extend_from_slice(&port.to_be_bytes());
    content.extend_from_slice(session.home_key()?.as_bytes());
    Ok(text::encode("1", &content, &text::PADDED))
}

#[cfg(test)]
mod tests {
    use super::super::telethon;
    use super::*;

    fn example(address: &str) -> ForeignSession {
        let mut session = ForeignSession::new(Format::Tdl, 4, &AuthKey::from_bytes(&[0xfb; 256])).unwrap();
        session.address = Some(address.parse().unwrap());
        session
    }

    fn string(dc: u8, address: &[u8], port: u16, key: u8) -> Zeroizing<String> {
        let len = u16::try_from(address.len()).unwrap();
        let content = [&[dc], len.to_be_bytes().as_slice(), address, &port.to_be_bytes(), &[key; 256]].concat();
        text::encode("1", &content, &text::PADDED)
    }

    #[test]
    fn strings_go_both_ways_and_are_not_taken_for_telethons() {
        for address in ["149.154.167.91:443", "1.2.3.4:80", "[2001:67c:4e8:f004::a]:443"] {
            let written = to_string(&example(address)).unwrap();
            let read = from_string(&written).unwrap();
            assert_eq!((read.home_dc.0, read.address), (4, example(address).address));
            assert_eq!(read.home_key().unwrap(), example(address).home_key().unwrap());
            for end in 0..written.len() - 2 {
                let error = from_string(&written[..end]).unwrap_err();
                let seen = matches!(
                    error,
                    Error::WrongLength { .. }
                        | Error::NotBase64(_)
                        | Error::Truncated { .. }
                        | Error::UnknownVersion { found: -1, .. }
                );
                assert!(seen, "{error} at {end}");
            }
            // The other way round, Telethon's are no GramJS strings.
            let other = telethon::to_string(&example(address)).unwrap();
            assert!(from_string(&other).is_err());
        }
    }

    #[test]
    fn each_rule_of_a_string() {
        assert!(matches!(from_string("2"), Err(Error::UnknownVersion { found: 50, .. })));
        assert!(matches!(from_string("1-_"), Err(Error::NotBase64(Format::Gramjs))));
        assert!(from_string(&string(2, b"1.2.3.4", 443, 1)).is_ok());
        assert!(matches!(from_string(&string(2, &[b'1'; 46], 443, 1)), Err(Error::WrongLength { .. })));
        assert!(matches!(from_string(&string(2, b"\xff.2.3.4", 443, 1)), Err(Error::NotText { .. })));
        assert!(matches!(from_string(&string(2, b"1.2.3.x", 443, 1)), Err(Error::BadAddress)));
        assert!(matches!(from_string(&string(2, b"1.2.3.4", 0, 1)), Err(Error::BadPort { found: 0 })));
        assert!(matches!(from_string(&string(0, b"1.2.3.4", 443, 1)), Err(Error::BadDc { found: 0 })));
        assert!(matches!(from_string(&string(2, b"1.2.3.4", 443, 0)), Err(Error::NotLoggedIn)));
    }

    #[test]
    fn what_a_string_cannot_say() {
        assert!(matches!(to_string(&example("1.2.3.4:40000")), Err(Error::CannotHold { what: "a port above 32767", .. })));
        let mut session = example("1.2.3.4:80");
        session.address = None;
        assert!(matches!(to_string(&session), Err(Error::Missing { what: "the server's address", .. })));
        let mut far = ForeignSession::new(Format::Tdl, 300, &AuthKey::from_bytes(&[1; 256])).unwrap();
        far.address = example("1.2.3.4:80").address;
        assert!(matches!(to_string(&far), Err(Error::CannotHold { what: "the DC's number", .. })));
    }
}
