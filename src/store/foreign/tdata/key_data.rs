//! The `key_data` file: the local key, closed with what the passcode gives, and the list of accounts, closed with the local key.
//!
//! | since | what the file holds |
//! |---|---|
//! | 2.1 | salt, local key, list |
//! | 7.3 | salt, local key or nothing, list, record of the passcode |
//!
//! Without a passcode the key stands where it always did. The record of a passcode begins with `KD2`, and has the key once for each way to
//! derive what closes it. Known here is Argon2id. It may have several while Desktop goes over from one to another; a number says which of them
//! counts.

use crate::crypto::AuthKey;
use crate::seal::{KdfLimits, KdfParams};

use super::super::bytes::Cursor;
use super::super::{Error, session};
use super::local;

/// What the record of a passcode begins with: `KD2` and a zero.
const MARK: u32 = 0x4b44_3200;
/// The most keys in a record.
const MAX_WRAPS: u32 = 2;
/// The way to derive that is known.
const ARGON2ID: u32 = 1;

/// What a file can make us spend: 256 MiB, and 64 passes over them. Desktop takes 64 MiB and 8 passes.
const LIMITS: KdfLimits = KdfLimits { memory_kib: 256 << 10, work_kib: 16 << 20 };

const WHAT: &str = "key_data";

/// The file's content, taken apart.
pub(super) struct KeyData<'a> {
    salt: &'a [u8],
    key: &'a [u8],
    /// The list of accounts, encrypted with the local key.
    pub(super) list: &'a [u8],
    /// Whatever stands behind it.
    record: &'a [u8],
}

/// The local key, closed in one way.
struct Wrap<'a> {
    cost: KdfParams,
    salt: &'a [u8],
    key: &'a [u8],
}

impl<'a> KeyData<'a> {
    /// Takes the content apart.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`].
    pub(super) fn parse(content: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(content);
        let (salt, key, list) = (cursor.qt_bytes(WHAT)?, cursor.qt_bytes(WHAT)?, cursor.qt_bytes(WHAT)?);
        let record = if cursor.is_empty() { &[] } else { cursor.qt_bytes(WHAT)? };
        Ok(Self { salt, key, list, record })
    }

    /// Opens the local key. The file's checksum was right, so what does not open has another passcode.
    ///
    /// # Errors
    ///
    /// [`Error::PasscodeNeeded`], [`Error::WrongPasscode`]; [`Error::NewerPasscode`] for a record of which no way to derive is known;
    /// [`Error::PasscodeCost`]; for what is damaged [`Error::Truncated`], [`Error::BadValue`], [`Error::BadSaltLength`],
    /// [`Error::BadEncryptedLength`], [`Error::BadInnerLength`], [`Error::BadKeyLength`].
    pub(super) fn open(&self, passcode: &[u8]) -> Result<AuthKey, Error> {
        if !self.key.is_empty() || self.record.is_empty() {
            return open_local_key(self.salt, self.key, passcode, |passcode, salt| Ok(local::passcode_key(passcode, salt)));
        }
        let wraps = parse_record(self.record)?;
        if passcode.is_empty() {
            return Err(Error::PasscodeNeeded);
        }
        for wrap in wraps {
            match open_local_key(wrap.salt, wrap.key, passcode, |passcode, salt| {
                local::costly_key(passcode, salt, wrap.cost, LIMITS)
            }) {
                Err(Error::WrongPasscode) => {}
                other => return other,
            }
        }
        Err(Error::WrongPasscode)
    }
}

/// The keys of a record that are closed in a known way, the one that counts first.
fn parse_record(record: &[u8]) -> Result<Vec<Wrap<'_>>, Error> {
    let mut cursor = Cursor::new(record);
    if cursor.u32(WHAT)? != MARK {
        return Err(Error::NewerPasscode);
    }
    // Desktop's own bookkeeping.
    cursor.u32(WHAT)?;
    let current = cursor.u32(WHAT)?;
    let count = match cursor.u32(WHAT)? {
        count @ 1..=MAX_WRAPS => count,
        found => return Err(Error::BadValue { what: "the number of keys in the passcode's record", found: found.into() }),
    };
    let mut wraps = Vec::new();
    for _ in 0..count {
        let (kind, number) = (cursor.u32(WHAT)?, cursor.u32(WHAT)?);
        let cost = KdfParams { memory_kib: cursor.u32(WHAT)?, passes: cursor.u32(WHAT)?, lanes: cursor.u32(WHAT)? };
        let wrap = Wrap { cost, salt: cursor.qt_bytes(WHAT)?, key: cursor.qt_bytes(WHAT)? };
        match kind {
            ARGON2ID if number == current => wraps.insert(0, wrap),
            ARGON2ID => wraps.push(wrap),
            _ => {}
        }
    }
    if wraps.is_empty() {
        return Err(Error::NewerPasscode);
    }
    Ok(wraps)
}

/// Opens the local key with what `derive` makes of passcode and salt.
pub(super) fn open_local_key(
    salt: &[u8],
    encrypted: &[u8],
    passcode: &[u8],
    derive: impl FnOnce(&[u8], &[u8]) -> Result<AuthKey, Error>,
) -> Result<AuthKey, Error> {
    if salt.len() != local::SALT {
        return Err(Error::BadSaltLength { found: salt.len() });
    }
    match local::decrypt("the local key", encrypted, &derive(passcode, salt)?) {
        Ok(key) => session::key(&key),
        Err(Error::BadDigest { .. }) if passcode.is_empty() => Err(Error::PasscodeNeeded),
        Err(Error::BadDigest { .. }) => Err(Error::WrongPasscode),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "key_data_tests.rs"]
mod tests;
