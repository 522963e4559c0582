//! The proxy's role: recognises its clients by their greeting, and answers.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use bytes::BytesMut;
use rand::Rng;

use super::error::Error;
use super::hello::{AES_128_GCM_SHA256, GROUP_X25519, KEY_SHARE, SUPPORTED_VERSIONS, TLS_1_3, Writer};
use super::record::{Records, check_len};
use super::{
    CHANGE_CIPHER_SPEC_RECORD, DIGEST, LEGACY_VERSION, RECORD_HEAD, content, digest, digest_of, extension, message, put_digest,
    share,
};
use crate::check::{Check, broken};
use crate::crypto::constant_time_eq;
use crate::transport::mtproxy::Key;

/// How far a client's clock may be behind ours, in seconds.
pub const TIME_BEHIND: i64 = 20 * 60;
/// How far a client's clock may be ahead of ours, in seconds.
pub const TIME_AHEAD: i64 = 10 * 60;

/// Digests that are remembered at most.
const REMEMBERED: usize = 1 << 16;
/// Bytes of the digest in front of those that the time is mixed into.
const PROVEN: usize = DIGEST - 4;

/// A proxy that waits for one client's greeting.
pub struct Server {
    key: Key,
    domain: Option<String>,
    failed: Option<Error>,
}

/// A client that knows the secret.
#[derive(Debug)]
pub struct Accepted {
    /// What to send.
    pub answer: Vec<u8>,
    /// What follows, in both directions.
    pub records: Records,
    /// The client's clock: Unix time in seconds.
    pub client_time: u32,
}

/// Digests of greetings that were accepted: the newest 65,536. One for all connections of a proxy.
///
/// The time in a digest proves nothing, since whoever overheard a greeting can change it: it is mixed in last. So what is compared is the
/// digest without it, and what was noted is not forgotten just because its time has passed.
#[derive(Debug, Default)]
pub struct Replays {
    digests: HashSet<[u8; PROVEN]>,
    in_order: VecDeque<[u8; PROVEN]>,
}

impl Server {
    /// Waits for a greeting under `key`; with `domain`, for one to that web site.
    pub fn new(key: Key, domain: Option<String>) -> Self {
        Self { key, domain, failed: None }
    }

    /// Takes the greeting off the front of `input` once it is whole, and checks it; `None` when more bytes are needed. `unix_time` in
    /// seconds. After an error `input` is as it was, so that the connection can be handed to the web site.
    ///
    /// # Errors
    /// See [`Error`]. An error is final.
    pub fn handle_input(
        &mut self,
        input: &mut BytesMut,
        unix_time: i64,
        replays: &mut Replays,
        rng: &mut dyn Rng,
    ) -> Result<Option<Accepted>, Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.greeting(input, unix_time, replays, rng).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn greeting(
        &self,
        input: &mut BytesMut,
        unix_time: i64,
        replays: &mut Replays,
        rng: &mut dyn Rng,
    ) -> Result<Option<Accepted>, Error> {
        let Some(len) = greeting_len(input)? else { return Ok(None) };
        let Some(greeting) = input.get(..len) else { return Ok(None) };
        let hello = Hello::parse(greeting.get(RECORD_HEAD..).unwrap_or_default())?;

        let room = Error::BadLength { field: "random" };
        let (Some(mut expected), Some(found)) = (digest(&self.key, &[], greeting), digest_of(greeting)) else {
            return Err(room);
        };
        // The last four bytes are the digest's only up to the time in them, so they prove nothing.
        let (Some(proven), Some(claimed)) = (expected.first_chunk::<PROVEN>(), found.first_chunk::<PROVEN>()) else {
            return Err(room);
        };
        if broken(Check::TlsClientDigest, !constant_time_eq(proven, claimed)) {
            return Err(Error::WrongClientDigest);
        }
        for (byte, found) in expected.iter_mut().zip(found) {
            *byte ^= found;
        }
        let [.., a, b, c, d] = expected;
        let client_time = u32::from_le_bytes([a, b, c, d]);
        let behind = unix_time.saturating_sub(i64::from(client_time));
        if broken(Check::TlsClockAhead, behind < -TIME_AHEAD) || broken(Check::TlsClockBehind, behind > TIME_BEHIND) {
            return Err(Error::ClockSkew { behind });
        }
        if let Some(domain) = &self.domain {
            match hello.server_name {
                None if broken(Check::TlsNameThere, true) => return Err(Error::NoServerName),
                Some(found) if broken(Check::TlsName, found != domain.as_bytes()) => return Err(Error::WrongServerName),
                None | Some(_) => {}
            }
        }
        if broken(Check::TlsReplay, !replays.note(*claimed)) {
            return Err(Error::Replayed);
        }

        let answer = answer(&self.key, found, hello.session_id, rng);
        let _ = input.split_to(len);
        Ok(Some(Accepted { answer, records: Records::server(), client_time }))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("domain", &self.domain).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Replays {
    /// An empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a digest. Returns whether it is new.
    fn note(&mut self, digest: [u8; PROVEN]) -> bool {
        let new = self.digests.insert(digest);
        if new {
            self.in_order.push_back(digest);
            if self.in_order.len() > REMEMBERED
                && let Some(oldest) = self.in_order.pop_front()
            {
                self.digests.remove(&oldest);
            }
        }
        new
    }
}

/// The parts of a ClientHello that matter here. The rest is checked only for its lengths.
struct Hello<'a> {
    session_id: &'a [u8],
    server_name: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut record = Reader(body);
        let found = record.u8("message")?;
        if broken(Check::TlsClientHello, found != message::CLIENT_HELLO) {
            return Err(Error::NotClientHello { found });
        }
        let mut hello = Reader(record.sized::<3>("message")?);
        record.end("message")?;
        hello.take(LEGACY_VERSION.len(), "version")?;
        hello.take(DIGEST, "random")?;
        let session_id = hello.sized::<1>("session id")?;
        if broken(Check::TlsSessionIdMost, session_id.len() > 32) {
            return Err(Error::BadLength { field: "session id" });
        }
        let ciphers = hello.sized::<2>("cipher list")?;
        if broken(Check::TlsCiphers, ciphers.is_empty() || !ciphers.len().is_multiple_of(2)) {
            return Err(Error::BadLength { field: "cipher list" });
        }
        if broken(Check::TlsCompression, hello.sized::<1>("compression list")?.is_empty()) {
            return Err(Error::BadLength { field: "compression list" });
        }
        let mut extensions = Reader(hello.sized::<2>("extension list")?);
        hello.end("extension list")?;
        let mut server_name = None;
        while !extensions.0.is_empty() {
            let number = extensions.u16("extension")?;
            let content = extensions.sized::<2>("extension")?;
            if number == extension::SERVER_NAME && server_name.is_none() {
                server_name = Some(host_name(content)?);
            }
        }
        Ok(Self { session_id, server_name })
    }
}

/// The first name in the list, which is the only one that TLS knows a kind for.
fn host_name(content: &[u8]) -> Result<&[u8], Error> {
    let mut extension = Reader(content);
    let mut list = Reader(extension.sized::<2>("name list")?);
    extension.end("name list")?;
    if broken(Check::TlsNameKind, list.u8("name")? != 0) {
        return Err(Error::NoServerName);
    }
    list.sized::<2>("name")
}

/// Big-endian numbers and lengths; whatever runs past the end is an error that names the field.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::BadLength { field })?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.take(1, field)?.first().copied().ok_or(Error::BadLength { field })
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.take(2, field)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)).ok_or(Error::BadLength { field })
    }

    /// What follows a length of `N` bytes.
    fn sized<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        let len = self.take(N, field)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        self.take(len, field)
    }

    fn end(&self, field: &'static str) -> Result<(), Error> {
        if broken(Check::TlsEnd, !self.0.is_empty()) { Err(Error::BadLength { field }) } else { Ok(()) }
    }
}

/// How long the greeting is; `None` when more bytes are needed to say. Whoever does not speak TLS is told at the first byte.
pub(super) fn greeting_len(input: &[u8]) -> Result<Option<usize>, Error> {
    match input.first() {
        None => return Ok(None),
        Some(&found) => {
            if broken(Check::TlsClientHandshake, found != content::HANDSHAKE) {
                return Err(Error::NotTls { found });
            }
        }
    }
    let Some(&[_, major, minor, high, low]) = input.first_chunk::<RECORD_HEAD>() else { return Ok(None) };
    // The first record may name any version from TLS 1.0 on.
    if broken(Check::TlsClientVersion, major != 3 || !(1..=3).contains(&minor)) {
        return Err(Error::WrongVersion { found: [major, minor] });
    }
    let len = usize::from(u16::from_be_bytes([high, low]));
    check_len(len)?;
    Ok(Some(RECORD_HEAD + len))
}

/// ServerHello, ChangeCipherSpec, and what would be the site's certificate, enciphered.
fn answer(key: &Key, client_digest: &[u8; DIGEST], session_id: &[u8], rng: &mut dyn Rng) -> Vec<u8> {
    let mut certificate = vec![0; 1024 + rng.next_u32() as usize % 3072];
    rng.fill_bytes(&mut certificate);

    let mut out = Writer(Vec::with_capacity(certificate.len() + 160));
    out.u8(content::HANDSHAKE);
    out.bytes(&LEGACY_VERSION);
    out.sized::<2>(|out| {
        out.u8(message::SERVER_HELLO);
        out.sized::<3>(|out| {
            out.bytes(&LEGACY_VERSION);
            out.bytes(&[0; DIGEST]);
            out.sized::<1>(|out| out.bytes(session_id));
            out.u16(AES_128_GCM_SHA256);
            out.u8(0);
            out.sized::<2>(|out| {
                out.extension(KEY_SHARE, |out| {
                    out.u16(GROUP_X25519);
                    out.sized::<2>(|out| out.bytes(&share::x25519(rng)));
                });
                out.extension(SUPPORTED_VERSIONS, |out| out.u16(TLS_1_3));
            });
        });
    });
    out.bytes(&CHANGE_CIPHER_SPEC_RECORD);
    out.u8(content::DATA);
    out.bytes(&LEGACY_VERSION);
    out.sized::<2>(|out| out.bytes(&certificate));

    // An answer that we made has room for the digest.
    let digest = digest(key, client_digest, &out.0).unwrap_or_default();
    put_digest(&mut out.0, &digest);
    out.0
}
