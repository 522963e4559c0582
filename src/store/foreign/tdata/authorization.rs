//! The account's own file: its blocks, and the authorization in them.

use std::collections::BTreeMap;

use crate::{crypto::AuthKey, ids::DcId};

use super::super::bytes::{Cursor, put_qt_bytes};
use super::super::{Error, ForeignSession, Format, session};

/// `dbiKey`: one key of a DC, before there was one block for all.
const KEY: u32 = 0x00;
/// `dbiUser`: the account and its home DC, then.
const USER: u32 = 0x01;
/// `dbiDcOptionOldOld`, `dbiDcOptionOld`, `dbiDcOptionsOld`: addresses, which old versions kept in the same file.
const ADDRESS_WITH_HOST: u32 = 0x02;
const ADDRESS_WITH_FLAGS: u32 = 0x27;
const ADDRESSES: u32 = 0x4a;
/// `dbiMtpAuthorization`: the account, its home DC and all keys.
const AUTHORIZATION: u32 = 0x4b;

/// What stands where the user's id and the DC of older versions stood, since ids have 64 bits.
const WIDE_IDS: u64 = u64::MAX;

/// What a name or an address may have, in bytes of UTF-16.
const MAX_TEXT: usize = 1024;

/// The bytes of a DC's number and its key.
const KEY_ENTRY: usize = 4 + AuthKey::LEN;

/// What the account's file says.
#[derive(Default)]
struct Found {
    user_id: i64,
    main_dc: i32,
    keys: BTreeMap<i32, AuthKey>,
}

/// Reads the blocks of the account's file, which have been decrypted.
///
/// # Errors
///
/// [`Error::NotLoggedIn`] where no account is named; [`Error::NoHomeKey`]; [`Error::UnknownBlock`], [`Error::BadKeyCount`],
/// [`Error::Truncated`], [`Error::BadDc`], [`Error::BadUserId`] for what no version wrote.
pub fn parse(content: &[u8]) -> Result<ForeignSession, Error> {
    let mut found = Found::default();
    let mut cursor = Cursor::new(content);
    while !cursor.is_empty() {
        match cursor.u32("a block")? {
            KEY => {
                let dc = cursor.i32("a key")?;
                found.keys.insert(dc, session::key(cursor.take(AuthKey::LEN, "a key")?)?);
            }
            USER => {
                found.user_id = cursor.i32("the account")?.into();
                found.main_dc = cursor.i32("the account")?;
            }
            ADDRESS_WITH_HOST => {
                cursor.i32("an address")?;
                skip_text(&mut cursor)?;
                skip_text(&mut cursor)?;
                cursor.i32("an address")?;
            }
            ADDRESS_WITH_FLAGS => {
                cursor.take(8, "an address")?;
                skip_text(&mut cursor)?;
                cursor.i32("an address")?;
            }
            ADDRESSES => {
                cursor.qt_bytes("the addresses")?;
            }
            // Where there is one, it counts.
            AUTHORIZATION => found = authorization(cursor.qt_bytes("the authorization")?)?,
            kind => return Err(Error::UnknownBlock { found: kind }),
        }
    }
    if found.main_dc == 0 || found.user_id == 0 {
        return Err(Error::NotLoggedIn);
    }
    let Some(home_key) = found.keys.get(&found.main_dc) else { return Err(Error::NoHomeKey { dc: found.main_dc }) };
    let mut read = ForeignSession::new(Format::Tdata, found.main_dc.into(), home_key)?;
    read.set_user_id(found.user_id)?;
    for (dc, key) in &found.keys {
        // Keys of temporary connections have numbers that no DC has; nobody needs them.
        if let Ok(dc) = session::dc((*dc).into())
            && !session::is_empty(key)
        {
            read.keys.insert(dc, key.clone());
        }
    }
    Ok(read)
}

fn skip_text(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    match cursor.qt_bytes("a text")?.len() {
        found if found > MAX_TEXT => {
            Err(Error::TooLarge { what: "a text".into(), limit: MAX_TEXT as u64, found: found as u64 })
        }
        _ => Ok(()),
    }
}

fn authorization(content: &[u8]) -> Result<Found, Error> {
    const WHAT: &str = "the authorization";
    let mut cursor = Cursor::new(content);
    let (user_id, main_dc) = match cursor.u64(WHAT)? {
        WIDE_IDS => {
            let id = cursor.u64(WHAT)?;
            let id = i64::try_from(id).map_err(|_| Error::BadUserId { found: id.cast_signed() })?;
            (id, cursor.i32(WHAT)?)
        }
        both => {
            // The user's id in the upper half, the DC in the lower.
            let [u0, u1, u2, u3, d0, d1, d2, d3] = both.to_be_bytes();
            (i32::from_be_bytes([u0, u1, u2, u3]).into(), i32::from_be_bytes([d0, d1, d2, d3]))
        }
    };
    let keys = keys(&mut cursor)?;
    // Keys that are to be destroyed on the server: not ours to use, but they have to be there.
    self::keys(&mut cursor)?;
    Ok(Found { user_id, main_dc, keys })
}

fn keys(cursor: &mut Cursor<'_>) -> Result<BTreeMap<i32, AuthKey>, Error> {
    let found = cursor.i32("the keys")?;
    let bad_count = Error::BadKeyCount { found };
    let Ok(count) = usize::try_from(found) else { return Err(bad_count) };
    if count > cursor.left() / KEY_ENTRY {
        return Err(bad_count);
    }
    let mut keys = BTreeMap::new();
    for _ in 0..count {
        let dc = cursor.i32("a key")?;
        keys.insert(dc, session::key(cursor.take(AuthKey::LEN, "a key")?)?);
    }
    Ok(keys)
}

/// The account's file, as current versions write it.
pub(super) fn write(user_id: i64, main_dc: DcId, keys: &BTreeMap<DcId, AuthKey>) -> zeroize::Zeroizing<Vec<u8>> {
    let count = i32::try_from(keys.len()).expect("there are at most a thousand DCs");
    // Room for all of it at once: a buffer that grows leaves copies of keys behind.
    let mut inner = zeroize::Zeroizing::new(Vec::with_capacity(8 + 8 + 4 + 4 + keys.len() * KEY_ENTRY + 4));
    inner.extend_from_slice(&WIDE_IDS.to_be_bytes());
    inner.extend_from_slice(&user_id.to_be_bytes());
    inner.extend_from_slice(&main_dc.0.to_be_bytes());
    inner.extend_from_slice(&count.to_be_bytes());
    for (dc, key) in keys {
        inner.extend_from_slice(&dc.0.to_be_bytes());
        inner.extend_from_slice(key.as_bytes());
    }
    inner.extend_from_slice(&0_i32.to_be_bytes());
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(8 + inner.len()));
    out.extend_from_slice(&AUTHORIZATION.to_be_bytes());
    put_qt_bytes(&mut out, &inner);
    out
}

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
