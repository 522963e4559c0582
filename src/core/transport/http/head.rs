//! The lines in front of a body: one first line, fields, an empty line.

use super::error::Error;
use super::{MAX_FIELDS, MAX_HEAD};
use crate::check::{Check, broken};

const END: &[u8; 4] = b"\r\n\r\n";

/// Looks for the end of a head that comes in pieces, and at no byte twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scanner {
    scanned: usize,
}

impl Scanner {
    /// The length of the head at the front of `input`, the empty line included; `None` when it is not complete.
    pub(crate) fn find(&mut self, input: &[u8]) -> Result<Option<usize>, Error> {
        let within = input.get(..input.len().min(MAX_HEAD)).unwrap_or(input);
        let from = self.scanned.min(within.len());
        if let Some(at) = within.get(from..).and_then(|rest| rest.windows(END.len()).position(|four| four == END)) {
            self.scanned = 0;
            return Ok(Some(from + at + END.len()));
        }
        if broken(Check::HttpHeadMost, within.len() == MAX_HEAD) {
            return Err(Error::HeadTooLong);
        }
        self.scanned = within.len().saturating_sub(END.len() - 1);
        Ok(None)
    }
}

/// A head that has come in whole.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    first: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

/// The first line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) version: Version,
}

/// The versions that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Connections end with the answer unless both sides say otherwise.
    Http10,
    /// Connections stay unless one side says otherwise.
    Http11,
}

impl<'a> Head<'a> {
    /// Takes the lines apart. `bytes` ends with the empty line.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let text = bytes.strip_suffix(END).unwrap_or(bytes);
        // Text may hold a tab (in values) and the line breaks; bytes above 7f are opaque and nobody here needs them.
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match (byte, after) {
                (b'\r', [b'\n', after @ ..]) => after,
                (b'\t' | b' '..=b'~', after) => after,
                (byte, _) if broken(Check::HttpText, true) => return Err(Error::NotText { byte }),
                (_, after) => after,
            };
        }
        let text = std::str::from_utf8(text).map_err(|_| Error::NotText { byte: 0xff })?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut fields = Vec::new();
        for line in lines {
            if broken(Check::HttpFieldsMost, fields.len() == MAX_FIELDS) {
                return Err(Error::TooManyFields);
            }
            let (name, value) = line.split_once(':').ok_or(Error::MalformedField)?;
            // No white space in a name: neither in front of the colon, nor at the start of the line (a folded value).
            if broken(Check::HttpFieldName, name.is_empty() || !name.bytes().all(is_token)) {
                return Err(Error::MalformedField);
            }
            fields.push((name, value.trim_matches([' ', '\t'])));
        }
        Ok(Self { first, fields })
    }

    /// `METHOD SP path SP version`.
    pub(crate) fn request_line(&self) -> Result<RequestLine<'a>, Error> {
        let mut words = self.first.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(path), Some(version), None) if !method.is_empty() && method.bytes().all(is_token) => {
                Ok(RequestLine { method, path, version: Version::parse(version)? })
            }
            _ => Err(Error::MalformedStart),
        }
    }

    /// `version SP status SP reason`. The reason is for people.
    pub(crate) fn status_line(&self) -> Result<(Version, u16), Error> {
        let (version, rest) = self.first.split_once(' ').ok_or(Error::MalformedStart)?;
        let version = Version::parse(version)?;
        let status = rest.split(' ').next().unwrap_or_default();
        if broken(Check::HttpStatusDigits, status.len() != 3 || !status.bytes().all(|digit| digit.is_ascii_digit())) {
            return Err(Error::MalformedStatus);
        }
        let status = status.parse().map_err(|_| Error::MalformedStatus)?;
        if broken(Check::HttpStatusRange, !(100..600).contains(&status)) {
            return Err(Error::MalformedStatus);
        }
        Ok((version, status))
    }

    /// All values of a field.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1)
    }

    /// The value of a field that stands once; `None` if it is missing or repeated.
    pub(crate) fn only(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// Whether a field that is a list has a member.
    pub(crate) fn lists(&self, name: &str, member: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(member))
    }

    /// Whether the connection ends with this message.
    pub(crate) fn is_last(&self, version: Version) -> bool {
        match version {
            Version::Http11 => self.lists("Connection", "close"),
            Version::Http10 => !self.lists("Connection", "keep-alive"),
        }
    }

    /// The length of the body, `None` if none is announced. At most `max`.
    pub(crate) fn content_length(&self, max: usize) -> Result<Option<usize>, Error> {
        if broken(Check::HttpTransferEncoding, self.values("Transfer-Encoding").next().is_some()) {
            return Err(Error::TransferEncoding);
        }
        let mut values = self.values("Content-Length");
        let Some(value) = values.next() else { return Ok(None) };
        if broken(Check::HttpLengthOnce, values.next().is_some()) {
            return Err(Error::LengthRepeated);
        }
        // 19 digits always fit 64 bits; a plus sign, which `parse` would take, is no digit.
        let digits = !value.is_empty() && value.len() <= 19 && value.bytes().all(|digit| digit.is_ascii_digit());
        if broken(Check::HttpLengthDigits, !digits) {
            return Err(Error::LengthMalformed);
        }
        let found: u64 = value.parse().map_err(|_| Error::LengthMalformed)?;
        match usize::try_from(found) {
            Ok(len) if !broken(Check::HttpBodyMost, len > max) => Ok(Some(len)),
            _ => Err(Error::BodyTooLong { found, max }),
        }
    }
}

impl Version {
    fn parse(word: &str) -> Result<Self, Error> {
        match word {
            "HTTP/1.1" => Ok(Self::Http11),
            "HTTP/1.0" => Ok(Self::Http10),
            _ => Err(Error::WrongVersion),
        }
    }
}

/// What names of methods and fields are made of.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
