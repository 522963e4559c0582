//! The client's side of SOCKS5 (RFC 1928), with a user and a password (RFC 1929) or without.
//!
//! ```text
//! client                                            proxy
//! 05 | count | methods                      ----->
//!                                           <-----  05 | method            00 none, 02 user and password, ff none of these
//! 01 | len | user | len | password          ----->                         only after 02
//!                                           <-----  01 | 00 if welcome
//! 05 01 00 | kind | address | port          ----->
//!                                           <-----  05 | reply | 00 | kind | address | port
//! ```
//!
//! Kinds of addresses: 01 IPv4, 03 a name with its length in front, 04 IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::proxy::{Credentials, Host, Target};
use crate::check::{Check, broken};

const VERSION: u8 = 5;
const AUTH_VERSION: u8 = 1;
const NO_AUTH: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A client on its way through a SOCKS5 proxy.
#[derive(Debug)]
pub struct Socks5 {
    state: State,
    target: Target,
    credentials: Option<Credentials>,
    failed: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Method,
    Auth,
    Reply,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for more bytes.
    Wait,
    /// Send these, then wait for more.
    Send(Zeroizing<Vec<u8>>),
    /// The tunnel is open. It begins at this address of the proxy's, for what it is worth: many proxies say 0.0.0.0.
    Done(Target),
}

/// Why there is no tunnel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of the target is empty or longer than one byte can say.
    #[error("a name of {len} bytes cannot be asked for; 1 to 255 are possible")]
    NameLength {
        /// Its length.
        len: usize,
    },
    /// The answer is not SOCKS5's.
    #[error("the proxy answers with version {found}, not 5: it speaks something else than SOCKS5")]
    WrongVersion {
        /// What came.
        found: u8,
    },
    /// The proxy wants to know who we are, and we did not say that we could tell.
    #[error("the proxy wants a user and a password")]
    CredentialsWanted,
    /// The proxy takes neither of the ways to prove who we are that we offer.
    #[error("the proxy accepts neither users without a name nor a user and password")]
    NoMethod,
    /// The proxy chose a way that we did not offer.
    #[error("the proxy chose method {found:#04x}, which was not offered")]
    MethodNotOffered {
        /// The method.
        found: u8,
    },
    /// The answer to user and password has a version that there is not.
    #[error("the proxy answers to user and password with version {found}, not 1")]
    WrongAuthVersion {
        /// What came.
        found: u8,
    },
    /// The proxy does not know the user, or the password is wrong.
    #[error("the proxy refuses the user and password")]
    CredentialsRefused,
    /// The proxy does not open the tunnel.
    #[error("the proxy refuses: {0}")]
    Refused(Refusal),
    /// A byte that is zero by definition is not.
    #[error("the reserved byte of the proxy's reply is {found:#04x}")]
    ReservedByte {
        /// What came.
        found: u8,
    },
    /// The reply has a kind of address that there is not.
    #[error("the proxy's reply has an address of kind {found}")]
    UnknownAddressKind {
        /// What came.
        found: u8,
    },
    /// The reply has a name that is none.
    #[error("the proxy's reply has a name that is empty or not ASCII")]
    BadName,
    /// Bytes came behind the reply, although we have said nothing yet.
    #[error("{len} bytes came behind the proxy's reply, before anything was said")]
    EarlyData {
        /// How many.
        len: usize,
    },
}

/// The proxy's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(u8);

impl Refusal {
    /// The code of the reply, 1 to 255.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "it had a failure of its own",
            2 => "its rules forbid this connection",
            3 => "it cannot reach the network",
            4 => "it cannot reach the host",
            5 => "the host refused the connection",
            6 => "the way to the host is too long (TTL expired)",
            7 => "it does not open tunnels",
            8 => "it does not know this kind of address (IPv6, or names)",
            code => return write!(f, "reason {code}, which RFC 1928 does not define"),
        })
    }
}

impl Error {
    /// Whether another attempt, to the same or to another target, would end the same way.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::WrongVersion { .. }
                | Self::CredentialsWanted
                | Self::NoMethod
                | Self::CredentialsRefused
                | Self::Refused(Refusal(7))
        )
    }
}

impl Socks5 {
    /// A way to `target`, and the bytes to begin with.
    ///
    /// # Errors
    /// [`Error::NameLength`].
    pub fn new(target: Target, credentials: Option<Credentials>) -> Result<(Self, Vec<u8>), Error> {
        if let Host::Name(name) = &target.host
            && broken(Check::SocksNameLength, !(1..=255).contains(&name.len()))
        {
            return Err(Error::NameLength { len: name.len() });
        }
        let methods: &[u8] = if credentials.is_some() { &[VERSION, 2, NO_AUTH, PASSWORD] } else { &[VERSION, 1, NO_AUTH] };
        Ok((Self { state: State::Method, target, credentials, failed: None }, methods.to_vec()))
    }

    /// Takes the next message of the proxy off the front of `input`, once it is whole. No message is longer than 262 bytes.
    ///
    /// # Errors
    /// See [`Error`]. An error is final.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let step = match self.state {
            State::Method => self.method(input),
            State::Auth => self.auth(input),
            State::Reply => reply(input),
        };
        step.inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn method(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        let Some(&version) = input.first() else { return Ok(Step::Wait) };
        if broken(Check::SocksVersion, version != VERSION) {
            return Err(Error::WrongVersion { found: version });
        }
        let Some(&[_, method]) = input.first_chunk() else { return Ok(Step::Wait) };
        let _ = input.split_to(2);
        match (method, &self.credentials) {
            (NO_AUTH, _) => Ok(self.ask()),
            (PASSWORD, Some(credentials)) => {
                self.state = State::Auth;
                Ok(Step::Send(password(credentials)))
            }
            (NO_METHOD | PASSWORD, None) => Err(Error::CredentialsWanted),
            (NO_METHOD, Some(_)) => Err(Error::NoMethod),
            (found, _) => Err(Error::MethodNotOffered { found }),
        }
    }

    fn auth(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        let Some(&[version, status]) = input.first_chunk() else { return Ok(Step::Wait) };
        let _ = input.split_to(2);
        // Some proxies put their own version here; only RFC 1929's counts, and that of SOCKS5 is known to be used for it.
        if broken(Check::SocksAuthVersion, !matches!(version, AUTH_VERSION | VERSION)) {
            return Err(Error::WrongAuthVersion { found: version });
        }
        if broken(Check::SocksAuthStatus, status != 0) {
            return Err(Error::CredentialsRefused);
        }
        Ok(self.ask())
    }

    fn ask(&mut self) -> Step {
        self.state = State::Reply;
        let mut out = vec![VERSION, CONNECT, 0];
        match &self.target.host {
            Host::Ip(IpAddr::V4(ip)) => {
                out.push(IPV4);
                out.extend(ip.octets());
            }
            Host::Ip(IpAddr::V6(ip)) => {
                out.push(IPV6);
                out.extend(ip.octets());
            }
            Host::Name(name) => {
                out.extend([NAME, name.len() as u8]); // At most 255: checked at the start.
                out.extend(name.as_bytes());
            }
        }
        out.extend(self.target.port.to_be_bytes());
        Step::Send(Zeroizing::new(out))
    }
}

/// Lengths of 1 to 255 are what [`Credentials`] has.
fn password(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let (user, password) = (credentials.user().as_bytes(), credentials.password().as_bytes());
    let mut out = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    out.push(AUTH_VERSION);
    for part in [user, password] {
        out.push(part.len() as u8);
        out.extend(part);
    }
    out
}

fn reply(input: &mut BytesMut) -> Result<Step, Error> {
    let Some(&version) = input.first() else { return Ok(Step::Wait) };
    if broken(Check::SocksReplyVersion, version != VERSION) {
        return Err(Error::WrongVersion { found: version });
    }
    match input.get(1) {
        None => return Ok(Step::Wait),
        // Its address says nothing, and some proxies do not even send one.
        Some(&code) => {
            if broken(Check::SocksReply, code != 0) {
                return Err(Error::Refused(Refusal(code)));
            }
        }
    }
    let Some(&[_, _, reserved, kind, first]) = input.first_chunk() else { return Ok(Step::Wait) };
    if broken(Check::SocksReserved, reserved != 0) {
        return Err(Error::ReservedByte { found: reserved });
    }
    let (skip, len) = match kind {
        IPV4 => (4, 4),
        IPV6 => (4, 16),
        NAME => (5, usize::from(first)),
        found => return Err(Error::UnknownAddressKind { found }),
    };
    if input.len() < skip + len + 2 {
        return Ok(Step::Wait);
    }
    let message = input.split_to(skip + len + 2);
    let (address, port) = message.get(skip..).and_then(|rest| rest.split_last_chunk::<2>()).unwrap_or((&[], &[0; 2]));
    let host = match address {
        &[a, b, c, d] if kind == IPV4 => Host::Ip(Ipv4Addr::from([a, b, c, d]).into()),
        name if kind == NAME => match std::str::from_utf8(name) {
            Ok(name) if !broken(Check::SocksReplyName, name.is_empty() || !name.is_ascii()) => Host::Name(name.to_owned()),
            _ => return Err(Error::BadName),
        },
        address => match <[u8; 16]>::try_from(address) {
            Ok(octets) => Host::Ip(Ipv6Addr::from(octets).into()),
            Err(_) => return Err(Error::BadName),
        },
    };
    if broken(Check::SocksEarlyData, !input.is_empty()) {
        return Err(Error::EarlyData { len: input.len() });
    }
    Ok(Step::Done(Target::new(host, u16::from_be_bytes(*port))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn target(host: Host) -> Target {
        Target::new(host, 443)
    }

    fn name() -> Target {
        target(Host::Name("dc.example".into()))
    }

    fn credentials() -> Option<Credentials> {
        Some(Credentials::new("user", "word").unwrap())
    }

    fn start(credentials: Option<Credentials>) -> Socks5 {
        Socks5::new(name(), credentials).unwrap().0
    }

    fn feed(client: &mut Socks5, bytes: &[u8]) -> Result<Step, Error> {
        client.handle_input(&mut BytesMut::from(bytes))
    }

    fn sent(step: Step) -> Vec<u8> {
        match step {
            Step::Send(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// A client that has asked and waits for the reply.
    fn asked() -> Socks5 {
        let mut client = start(None);
        feed(&mut client, &[5, 0]).unwrap();
        client
    }

    #[test]
    fn it_asks_for_every_kind_of_target() {
        let cases: [(Host, &[u8]); 3] = [
            (Host::Name("dc.example".into()), b"\x05\x01\x00\x03\x0adc.example\x01\xbb"),
            (Host::Ip([149, 154, 167, 51].into()), b"\x05\x01\x00\x01\x95\x9a\xa7\x33\x01\xbb"),
            (
                Host::Ip("2001:67c:4e8:f002::a".parse().unwrap()),
                b"\x05\x01\x00\x04\x20\x01\x06\x7c\x04\xe8\xf0\x02\0\0\0\0\0\0\0\x0a\x01\xbb",
            ),
        ];
        for (host, expected) in cases {
            let (mut client, first) = Socks5::new(target(host), None).unwrap();
            assert_eq!(first, [5, 1, 0]);
            assert_eq!(sent(feed(&mut client, &[5, 0]).unwrap()), expected);
            let bound = feed(&mut client, &[5, 0, 0, 1, 127, 0, 0, 1, 0x1f, 0x90]).unwrap();
            assert_eq!(bound, Step::Done(Target::new(Host::Ip([127, 0, 0, 1].into()), 8080)));
        }
    }

    #[test]
    fn user_and_password_are_told_only_when_asked_for() {
        let (mut client, first) = Socks5::new(name(), credentials()).unwrap();
        assert_eq!(first, [5, 2, 0, 2]);
        assert_eq!(sent(feed(&mut client, &[5, 2]).unwrap()), b"\x01\x04user\x04word");
        assert_eq!(sent(feed(&mut client, &[1, 0]).unwrap())[..4], [5, 1, 0, 3]);
        let mut open = start(credentials());
        assert_eq!(sent(feed(&mut open, &[5, 0]).unwrap())[..4], [5, 1, 0, 3]);
    }

    #[test]
    fn every_kind_of_bound_address_is_read() {
        let done = |bytes: &[u8]| match feed(&mut asked(), bytes).unwrap() {
            Step::Done(bound) => bound.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(done(b"\x05\0\0\x03\x03a.b\0\x01"), "a.b:1");
        assert_eq!(done(b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02"), "[::1]:2");
        let mut longest = vec![5, 0, 0, 3, 255];
        longest.extend([b'a'; 255]);
        longest.extend([0, 1]);
        assert_eq!(longest.len(), 262);
        assert_eq!(done(&longest), format!("{}:1", "a".repeat(255)));
    }

    #[test]
    fn each_rule_has_its_error() {
        let long = Target::new(Host::Name("a".repeat(256)), 1);
        assert_eq!(Socks5::new(long, None).unwrap_err(), Error::NameLength { len: 256 });
        assert_eq!(Socks5::new(target(Host::Name(String::new())), None).unwrap_err(), Error::NameLength { len: 0 });
        let first = |credentials, bytes: &[u8]| feed(&mut start(credentials), bytes).unwrap_err();
        assert_eq!(first(None, b"H"), Error::WrongVersion { found: b'H' });
        assert_eq!(first(None, &[5, 2]), Error::CredentialsWanted);
        assert_eq!(first(None, &[5, 0xff]), Error::CredentialsWanted);
        assert_eq!(first(credentials(), &[5, 0xff]), Error::NoMethod);
        assert_eq!(first(credentials(), &[5, 1]), Error::MethodNotOffered { found: 1 });
        let second = |bytes: &[u8]| {
            let mut client = start(credentials());
            feed(&mut client, &[5, 2]).unwrap();
            feed(&mut client, bytes).unwrap_err()
        };
        assert_eq!(second(&[1, 1]), Error::CredentialsRefused);
        assert_eq!(second(&[5, 255]), Error::CredentialsRefused);
        assert_eq!(second(&[0, 0]), Error::WrongAuthVersion { found: 0 });
        let third = |bytes: &[u8]| feed(&mut asked(), bytes).unwrap_err();
        assert_eq!(third(&[4]), Error::WrongVersion { found: 4 });
        assert_eq!(third(&[5, 0, 1, 1, 0]), Error::ReservedByte { found: 1 });
        assert_eq!(third(&[5, 0, 0, 2, 0]), Error::UnknownAddressKind { found: 2 });
        assert_eq!(third(&[5, 0, 0, 3, 0, 0, 1]), Error::BadName);
        assert_eq!(third(&[5, 0, 0, 3, 1, 0xff, 0, 1]), Error::BadName);
        assert_eq!(third(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 1, b'x']), Error::EarlyData { len: 1 });
        let mut said = BTreeSet::new();
        for code in 1..=9 {
            let error = third(&[5, code]);
            assert_eq!(error, Error::Refused(Refusal(code)));
            said.insert(error.to_string());
            assert_eq!(error.is_final(), code == 7);
        }
        assert_eq!(said.len(), 9, "each code has its explanation");
        assert!(said.iter().any(|text| text.contains("reason 9")));
    }

    #[test]
    fn an_error_is_final() {
        let mut client = asked();
        for bytes in [&[5, 5][..], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 1]] {
            assert_eq!(feed(&mut client, bytes).unwrap_err(), Error::Refused(Refusal(5)));
        }
    }

    #[test]
    fn every_prefix_waits_and_pieces_do_not_matter() {
        let replies: [&[u8]; 3] = [&[5, 2], &[1, 0], b"\x05\0\0\x03\x03a.b\0\x01"];
        let mut client = start(credentials());
        for reply in replies {
            let mut input = BytesMut::new();
            for (at, byte) in reply.iter().enumerate() {
                assert_eq!(client.handle_input(&mut input).unwrap(), Step::Wait, "at {at}");
                input.extend_from_slice(&[*byte]);
            }
            assert_ne!(client.handle_input(&mut input).unwrap(), Step::Wait);
        }
    }
}
