//! The account's `config` file: which Telegram it belongs to, and where the DCs are.

use std::net::{IpAddr, SocketAddr};

use crate::{client::DcTable, ids::DcId};

use super::super::bytes::{self, Cursor, put_qt_bytes};
use super::super::{Error, session};

/// The version of the file's layout.
const VERSION: i32 = 1;
/// The environments.
const PRODUCTION: i32 = 0;
const TEST: i32 = 1;

/// The version of the list of addresses, which is written with a minus: older lists began with their count.
const LIST_VERSION: i32 = 2;
/// Flags of an address: as in `dcOption`, and for one that no server told.
const IPV6: i32 = 1;
const MEDIA_ONLY: i32 = 1 << 1;
const CDN: i32 = 1 << 3;
const STATIC: i32 = 1 << 4;
/// The longest address, in bytes.
const MAX_ADDRESS: i32 = 45;
/// The longest secret of an address, in bytes.
const MAX_SECRET: i32 = 32;
/// The most addresses. Telegram has some thirty.
const MAX_ADDRESSES: i32 = 1000;

/// What is of use in an account's `config`.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether the account is one of the test DCs.
    pub test: bool,
    /// Addresses of ordinary DCs, in their order.
    pub addresses: Vec<(DcId, SocketAddr)>,
}

impl Config {
    /// The first address of a DC, IPv4 before IPv6.
    pub fn address(&self, dc: DcId) -> Option<SocketAddr> {
        let mut of_dc = self.addresses.iter().filter(|(id, _)| *id == dc).map(|(_, address)| *address);
        let first = of_dc.next()?;
        if first.is_ipv4() { Some(first) } else { of_dc.find(SocketAddr::is_ipv4).or(Some(first)) }
    }
}

/// Reads the file's content, which has been decrypted.
///
/// # Errors
///
/// [`Error::Truncated`]; [`Error::BadValue`] for a version or an environment that is not known, and for what is out of its bounds.
pub fn parse(content: &[u8]) -> Result<Config, Error> {
    const WHAT: &str = "the config";
    let mut cursor = Cursor::new(Cursor::new(content).qt_bytes(WHAT)?);
    within("the version of the config", cursor.i32(WHAT)?, VERSION, VERSION)?;
    let test = within("the environment of the config", cursor.i32(WHAT)?, PRODUCTION, TEST)? == TEST;
    let addresses = addresses(cursor.qt_bytes(WHAT)?)?;
    // What follows are limits and periods of the user interface.
    Ok(Config { test, addresses })
}

fn within(what: &'static str, found: i32, low: i32, high: i32) -> Result<i32, Error> {
    if (low..=high).contains(&found) { Ok(found) } else { Err(Error::BadValue { what, found: found.into() }) }
}

fn addresses(content: &[u8]) -> Result<Vec<(DcId, SocketAddr)>, Error> {
    const WHAT: &str = "the list of addresses";
    let mut cursor = Cursor::new(content);
    let first = cursor.i32(WHAT)?;
    let (has_secrets, count) = if first < 0 { (true, cursor.i32(WHAT)?) } else { (false, first) };
    let count = within("the number of addresses", count, 0, MAX_ADDRESSES)?;
    let mut addresses = Vec::new();
    for _ in 0..count {
        let (id, flags, port) = (cursor.i32(WHAT)?, cursor.i32(WHAT)?, cursor.i32(WHAT)?);
        let ip = text(&mut cursor, MAX_ADDRESS)?;
        if has_secrets {
            text(&mut cursor, MAX_SECRET)?;
        }
        let usable = flags & (MEDIA_ONLY | CDN) == 0;
        // One address that makes no sense is no reason to lose the others.
        let ip = std::str::from_utf8(ip).map_err(|_| Error::BadAddress).and_then(bytes::address);
        if let (true, Ok(dc), Ok(ip), Ok(port)) = (usable, session::dc(id.into()), ip, bytes::port(port.into())) {
            addresses.push((dc, SocketAddr::new(ip, port)));
        }
    }
    Ok(addresses)
}

fn text<'a>(cursor: &mut Cursor<'a>, limit: i32) -> Result<&'a [u8], Error> {
    let len = within("the length of an address", cursor.i32("an address")?, 0, limit)?;
    cursor.take(usize::try_from(len).unwrap_or(0), "an address")
}

/// The file's content for an account: the addresses of the Telegram that `home` is one of, or `home` alone.
pub(super) fn write(test: bool, dc: DcId, home: SocketAddr) -> Vec<u8> {
    let known = [DcTable::production(), DcTable::public_test()];
    let table = known.iter().find(|t| t.test == test && t.addresses(dc, false, false).contains(&home));
    let listed: Vec<(i32, IpAddr, u16, i32)> = match table {
        Some(table) => {
            let media = |only: bool| if only { MEDIA_ONLY } else { 0 };
            table.dcs.iter().map(|dc| (dc.id, dc.ip, dc.port, media(dc.media_only) | STATIC)).collect()
        }
        None => vec![(dc.0, home.ip(), home.port(), STATIC)],
    };
    let mut list = Vec::new();
    put_numbers(&mut list, &[-LIST_VERSION, count(listed.len())]);
    for (id, ip, port, flags) in listed {
        let text = ip.to_string();
        put_numbers(&mut list, &[id, flags | if ip.is_ipv6() { IPV6 } else { 0 }, port.into(), count(text.len())]);
        list.extend_from_slice(text.as_bytes());
        put_numbers(&mut list, &[0]);
    }
    // No keys of CDNs.
    put_numbers(&mut list, &[0]);

    let mut inner = Vec::new();
    put_numbers(&mut inner, &[VERSION, if test { TEST } else { PRODUCTION }]);
    put_qt_bytes(&mut inner, &list);
    // From here on what a fresh Desktop has before a server has told it better.
    put_numbers(&mut inner, &[200, 10_000, 100, 120_000, 5000, 30_000, 1000, 300_000, 30_000, 1500]);
    put_numbers(&mut inner, &[0, 172_800, 172_800, 172_800, 0, 30, 0, 0, 0]);
    put_text(&mut inner, "https://t.me/");
    put_numbers(&mut inner, &[604_800, 20_000, 90_000, 30_000, 10_000, if test { 2 } else { 4 }]);
    put_text(&mut inner, if test { "tapv3.stel.com" } else { "apv3.stel.com" });
    put_numbers(&mut inner, &[1, 0, 1024]);
    let mut out = Vec::new();
    put_qt_bytes(&mut out, &inner);
    out
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[i32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
}

/// Qt's `QString`: UTF-16, big-endian, after its length in bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    put_qt_bytes(out, &utf16);
}

fn count(len: usize) -> i32 {
    i32::try_from(len).expect("the lists written here are short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(numbers: &[i32], list: &[u8]) -> Vec<u8> {
        let mut inner = Vec::new();
        put_numbers(&mut inner, numbers);
        put_qt_bytes(&mut inner, list);
        let mut out = Vec::new();
        put_qt_bytes(&mut out, &inner);
        out
    }

    fn listed(numbers: &[i32], entries: &[(i32, i32, i32, &str)], secrets: bool) -> Vec<u8> {
        let mut list = Vec::new();
        put_numbers(&mut list, numbers);
        for (id, flags, port, ip) in entries {
            put_numbers(&mut list, &[*id, *flags, *port, count(ip.len())]);
            list.extend_from_slice(ip.as_bytes());
            if secrets {
                put_numbers(&mut list, &[3]);
                list.extend_from_slice(b"sec");
            }
        }
        list
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (test, dc, home, others) in [
            (false, 4, "149.154.167.91:443", true),
            (true, 2, "149.154.167.40:443", true),
            (false, 2, "127.0.0.1:5000", false),
            (true, 2, "[::1]:5000", false),
        ] {
            let (dc, home): (_, SocketAddr) = (DcId(dc), home.parse().unwrap());
            let config = parse(&write(test, dc, home)).unwrap();
            assert_eq!((config.test, config.address(dc)), (test, Some(home)));
            assert_eq!(config.addresses.len() > 1, others);
        }
    }

    #[test]
    fn both_kinds_of_lists_are_read_and_what_cannot_be_used_is_passed_over() {
        let entries = [
            (2, CDN, 443, "1.1.1.1"),
            (2, MEDIA_ONLY, 443, "1.1.1.2"),
            (0, 0, 443, "1.1.1.3"),
            (2, 0, 0, "1.1.1.4"),
            (2, 0, 443, "nowhere"),
            (2, IPV6, 443, "2001::1"),
            (2, 0, 80, "1.1.1.5"),
        ];
        for (head, secrets) in [(vec![7], false), (vec![-2, 7], true), (vec![-1, 7], true)] {
            let config = parse(&wrapped(&[1, 0], &listed(&head, &entries, secrets))).unwrap();
            assert_eq!(config.address(DcId(2)), Some("1.1.1.5:80".parse().unwrap()), "{head:?}");
            assert_eq!(config.addresses.len(), 2);
            assert_eq!(config.address(DcId(3)), None);
        }
        let only = parse(&wrapped(&[1, 0], &listed(&[1], &entries[5..6], false))).unwrap();
        assert_eq!(only.address(DcId(2)), Some("[2001::1]:443".parse().unwrap()));
    }

    #[test]
    fn each_bound_is_kept() {
        let bad = |content: Vec<u8>| match parse(&content) {
            Err(Error::BadValue { found, .. }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(bad(wrapped(&[2, 0], &[])), 2);
        assert_eq!(bad(wrapped(&[1, 2], &[])), 2);
        assert_eq!(bad(wrapped(&[1, 0], &listed(&[1001], &[], false))), 1001);
        assert_eq!(bad(wrapped(&[1, 0], &listed(&[-2, -1], &[], false))), -1);
        let long = "1".repeat(46);
        assert_eq!(bad(wrapped(&[1, 0], &listed(&[1], &[(2, 0, 443, &long)], false))), 46);
        let mut secret = Vec::new();
        put_numbers(&mut secret, &[-2, 1, 2, 0, 443, 0, 33]);
        assert_eq!(bad(wrapped(&[1, 0], &secret)), 33);
        let whole = write(true, DcId(2), "149.154.167.40:443".parse().unwrap());
        for end in 0..whole.len() {
            assert!(matches!(parse(&whole[..end]), Err(Error::Truncated { .. })), "end at {end}");
        }
    }
}
