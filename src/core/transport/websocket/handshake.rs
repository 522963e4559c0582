//! The upgrade from HTTP.

use bytes::{BufMut, BytesMut};
use rand::Rng;

use super::codec::{Codec, Role};
use super::error::Error;
use super::{SERVED, SUBPROTOCOL};
use crate::check::{Check, broken};
use crate::crypto::hash::sha1;
use crate::transport::http::head::{Head, Scanner, Version};
use crate::transport::http::reason;

/// What both sides hash behind the key, so that no other server answers by accident.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client that has asked for the upgrade.
#[derive(Debug)]
pub struct ClientHandshake {
    accept: String,
    scanner: Scanner,
}

impl ClientHandshake {
    /// Appends the request for `path` at `host` (with its port if that is not 80) to `out`.
    pub fn new(host: &str, path: &str, rng: &mut dyn Rng, out: &mut BytesMut) -> Self {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let key = base64(&key);
        let clean = |text: &str| text.chars().filter(char::is_ascii_graphic).collect::<String>();
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
            clean(path),
            clean(host),
        );
        out.put_slice(head.as_bytes());
        Self { accept: accept(&key), scanner: Scanner::default() }
    }

    /// Takes the server's answer off the front of `input`; `None` when it is not complete yet. What follows it is the codec's.
    ///
    /// # Errors
    ///
    /// One [`Error`] for each rule; the connection is of no use then.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<Option<Codec>, Error> {
        let Some(len) = self.scanner.find(input)? else { return Ok(None) };
        let bytes = input.split_to(len);
        let head = Head::parse(&bytes)?;
        let (version, status) = head.status_line()?;
        if broken(Check::WsSwitched, (version, status) != (Version::Http11, 101)) {
            return Err(Error::Refused { status });
        }
        let to_websocket = head.lists("Upgrade", "websocket") && head.lists("Connection", "Upgrade");
        if broken(Check::WsServerUpgrade, !to_websocket) {
            return Err(Error::NotWebSocket);
        }
        if broken(Check::WsAccept, head.only("Sec-WebSocket-Accept") != Some(&self.accept)) {
            return Err(Error::WrongAccept);
        }
        if broken(Check::WsServerSubprotocol, head.only("Sec-WebSocket-Protocol") != Some(SUBPROTOCOL)) {
            return Err(Error::WrongSubprotocol);
        }
        if broken(Check::WsExtensions, head.values("Sec-WebSocket-Extensions").next().is_some()) {
            return Err(Error::Extension);
        }
        Ok(Some(Codec::new(Role::Client)))
    }
}

/// A server that waits for a request.
#[derive(Debug, Default)]
pub struct ServerHandshake {
    scanner: Scanner,
}

impl ServerHandshake {
    /// For a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a client's request off the front of `input` and appends the answer to `out`, a refusal too; `None` when it is not complete
    /// yet. What follows it is the codec's.
    ///
    /// # Errors
    ///
    /// One [`Error`] for each rule; the connection is to be closed behind the answer.
    pub fn handle_input(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<Option<Codec>, Error> {
        match self.answer(input) {
            Ok(None) => Ok(None),
            Ok(Some(accept)) => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
                );
                out.put_slice(head.as_bytes());
                Ok(Some(Codec::new(Role::Server)))
            }
            Err(error) => {
                let status = error.status();
                let head = format!(
                    "HTTP/1.1 {status} {}\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
                    reason(status)
                );
                out.put_slice(head.as_bytes());
                Err(error)
            }
        }
    }

    fn answer(&mut self, input: &mut BytesMut) -> Result<Option<String>, Error> {
        let Some(len) = self.scanner.find(input)? else { return Ok(None) };
        let bytes = input.split_to(len);
        let head = Head::parse(&bytes)?;
        let line = head.request_line()?;
        if broken(Check::WsGet, line.method != "GET" || line.version != Version::Http11) {
            return Err(Error::NotGet);
        }
        if broken(Check::WsPath, !SERVED.contains(&line.path)) {
            return Err(Error::WrongPath);
        }
        if broken(Check::WsHost, head.only("Host").is_none()) {
            return Err(crate::transport::http::Error::HostMissing.into());
        }
        let to_websocket = head.lists("Upgrade", "websocket") && head.lists("Connection", "Upgrade");
        if broken(Check::WsClientUpgrade, !to_websocket) {
            return Err(Error::NotWebSocket);
        }
        if broken(Check::WsVersion, head.only("Sec-WebSocket-Version") != Some("13")) {
            return Err(Error::WrongVersion);
        }
        let key = head.only("Sec-WebSocket-Key").filter(|key| !broken(Check::WsKey, !is_key(key))).ok_or(Error::WrongKey)?;
        if broken(Check::WsClientSubprotocol, !head.lists("Sec-WebSocket-Protocol", SUBPROTOCOL)) {
            return Err(Error::WrongSubprotocol);
        }
        Ok(Some(accept(key)))
    }
}

/// Somebody who looks on while the ends upgrade, one direction each. What a path or a subprotocol should be is for the ends to judge.
#[derive(Debug)]
pub(in crate::transport) struct Listener {
    role: Role,
    scanner: Scanner,
}

/// What a [`Listener`] heard.
#[derive(Debug)]
pub(in crate::transport) enum Upgrade {
    /// Frames follow, and this reads them.
    To(Codec),
    /// It is HTTP, but no upgrade.
    No,
}

impl Listener {
    /// Reads what the client writes.
    pub(in crate::transport) fn of_client() -> Self {
        Self { role: Role::Server, scanner: Scanner::default() }
    }

    /// Reads what the server writes.
    pub(in crate::transport) fn of_server() -> Self {
        Self { role: Role::Client, scanner: Scanner::default() }
    }

    /// Takes the head off the front of `input`; `None` when it is not complete yet.
    pub(in crate::transport) fn handle_input(&mut self, input: &mut BytesMut) -> Result<Option<Upgrade>, Error> {
        let Some(len) = self.scanner.find(input)? else { return Ok(None) };
        let bytes = input.split_to(len);
        let head = Head::parse(&bytes)?;
        let begins = match self.role {
            Role::Server => head.request_line()?.method == "GET",
            Role::Client => head.status_line()?.1 == 101,
        };
        let upgrades = begins && head.lists("Upgrade", "websocket");
        Ok(Some(if upgrades { Upgrade::To(Codec::new(self.role)) } else { Upgrade::No }))
    }
}

/// What proves that the server has read the key. Nothing about it is secret.
fn accept(key: &str) -> String {
    base64(&sha1(&[key.as_bytes(), GUID]))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Sixteen bytes in base64: 22 characters and two of padding.
fn is_key(key: &str) -> bool {
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(|digit| ALPHABET.contains(&digit)))
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or_default();
            out.push(if place <= group.len() { char::from(ALPHABET[digit]) } else { '=' });
        }
    }
    out
}
