//! Data in records.
//!
//! ```text
//! +------+-------+-----+---------------+
//! | type | 03 03 | len | len bytes     |      type 17: data; len is big-endian
//! +------+-------+-----+---------------+
//! ```

use bytes::{Buf, BufMut, BytesMut};

use super::error::Error;
use super::{CHANGE_CIPHER_SPEC_RECORD, LEGACY_VERSION, RECORD_HEAD, content};
use crate::check::{Check, broken};

/// The most bytes of data in one record that we make: what a TLS record holds at most.
pub const MAX_RECORD: usize = 1 << 14;

/// What a record may announce at most: its content and 256 bytes that a cipher may add (RFC 8446, 5.2).
pub(super) const MAX_ANNOUNCED: usize = MAX_RECORD + 256;

/// One end of a connection past the greetings: data in, records out, and back.
#[derive(Debug)]
pub struct Records {
    /// Whether ChangeCipherSpec goes in front of the first record: the client's has it there.
    announces: bool,
    /// Whether ChangeCipherSpec may come in front of the first record.
    may_announce: bool,
    /// Bytes left of the record that is coming in.
    left: usize,
    failed: Option<Error>,
}

impl Records {
    pub(super) fn client() -> Self {
        Self { announces: true, may_announce: false, left: 0, failed: None }
    }

    pub(super) fn server() -> Self {
        Self { announces: false, may_announce: true, left: 0, failed: None }
    }

    /// Appends `data` to `out`, in as many records as it takes.
    pub fn encode(&mut self, data: &[u8], out: &mut BytesMut) {
        if data.is_empty() {
            return;
        }
        out.reserve(data.len() + data.len().div_ceil(MAX_RECORD) * RECORD_HEAD + CHANGE_CIPHER_SPEC_RECORD.len());
        if std::mem::take(&mut self.announces) {
            out.put_slice(&CHANGE_CIPHER_SPEC_RECORD);
        }
        for part in data.chunks(MAX_RECORD) {
            out.put_u8(content::DATA);
            out.put_slice(&LEGACY_VERSION);
            out.put_u16(part.len() as u16); // At most 2^14.
            out.put_slice(part);
        }
    }

    /// Takes all data there is off the front of `input` and appends it to `out`. What stays in `input` is the start of a record's head.
    ///
    /// # Errors
    /// See [`Error`]; what came before the rule was broken is in `out`. An error is final.
    pub fn decode(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.join(input, out).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn join(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), Error> {
        loop {
            if self.left > 0 {
                let here = self.left.min(input.len());
                if here == 0 {
                    return Ok(());
                }
                out.put(input.split_to(here));
                self.left -= here;
                continue;
            }
            let Some(&head) = input.first_chunk::<RECORD_HEAD>() else { return Ok(()) };
            let (kind, len) = read_head(head)?;
            match kind {
                content::CHANGE_CIPHER_SPEC if self.may_announce => {
                    let Some(record) = input.first_chunk::<{ CHANGE_CIPHER_SPEC_RECORD.len() }>() else { return Ok(()) };
                    if broken(Check::TlsClientChangeContent, *record != CHANGE_CIPHER_SPEC_RECORD) {
                        return Err(Error::BadChangeCipherSpec);
                    }
                    input.advance(CHANGE_CIPHER_SPEC_RECORD.len());
                }
                content::DATA => {
                    input.advance(RECORD_HEAD);
                    self.left = len;
                }
                found if broken(Check::TlsDataRecord, true) => return Err(Error::NotDataRecord { found }),
                _ => {
                    input.advance(RECORD_HEAD);
                    self.left = len;
                }
            }
            self.may_announce = false;
        }
    }
}

/// Reads a record's head: its type, and how long its content is.
pub(super) fn read_head([kind, major, minor, high, low]: [u8; RECORD_HEAD]) -> Result<(u8, usize), Error> {
    let found = usize::from(u16::from_be_bytes([high, low]));
    if broken(Check::TlsRecordVersion, [major, minor] != LEGACY_VERSION) {
        return Err(Error::WrongVersion { found: [major, minor] });
    }
    check_len(found)?;
    Ok((kind, found))
}

pub(super) fn check_len(found: usize) -> Result<(), Error> {
    if broken(Check::TlsRecordEmpty, found == 0) {
        return Err(Error::EmptyRecord);
    }
    if broken(Check::TlsRecordMost, found > MAX_ANNOUNCED) {
        return Err(Error::RecordTooLong { found, max: MAX_ANNOUNCED });
    }
    Ok(())
}
