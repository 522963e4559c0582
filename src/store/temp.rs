//! Temporary keys as rows. Each belongs to the permanent key of its DC: a row whose key the DC does not have any more is not there.

use rusqlite::{OptionalExtension, Row, params};
use zeroize::Zeroizing;

use crate::{
    client::{AuthKey, KeyUse, PersistenceError, TempAuth},
    ids::DcId,
};

use super::{
    Error, Namespace,
    namespace::Durability,
    persist::{pack_salts, unpack_salts},
    vault::{salts_place, temp_key_place},
};

const SELECT: &str = "SELECT dc, key_use, perm_key_id, auth_key, salts, time_offset, created_at, expires_at, key_id FROM temp_auth AS t \
                      WHERE EXISTS (SELECT 1 FROM dc_auth WHERE dc = t.dc AND key_id = t.perm_key_id)";

pub(super) fn read(namespace: &Namespace, dc: DcId, key_use: KeyUse) -> Result<Option<TempAuth>, PersistenceError> {
    let sql = format!("{SELECT} AND dc = ?1 AND key_use = ?2");
    let row = namespace.read(|c| c.query_row(&sql, params![dc.0, number(key_use)], RawTemp::read).optional())?;
    Ok(row.map(|raw| raw.check(namespace)).transpose()?)
}

pub(super) fn read_all(namespace: &Namespace) -> Result<Vec<TempAuth>, PersistenceError> {
    let sql = format!("{SELECT} ORDER BY dc, key_use");
    let rows: Vec<RawTemp> = namespace.read(|c| c.prepare(&sql)?.query_map([], RawTemp::read)?.collect())?;
    Ok(rows.into_iter().map(|raw| raw.check(namespace)).collect::<Result<_, _>>()?)
}

/// It can be made again: it need not survive a power cut.
pub(super) fn save(namespace: &Namespace, auth: &TempAuth) -> Result<(), PersistenceError> {
    let (dc, id) = (auth.dc.0, auth.auth_key.id());
    let key = namespace.hide(
        |owner| temp_key_place(owner, dc, number(auth.key_use), auth.perm_key_id, id),
        auth.auth_key.as_bytes().as_slice(),
    )?;
    let salts = namespace.hide(|owner| salts_place(owner, "temp_auth", dc, id), &pack_salts(&auth.salts))?;
    namespace.write(Durability::Normal, |t| {
        t.execute(
            "INSERT OR REPLACE INTO temp_auth (dc, key_use, perm_key_id, auth_key, key_id, salts, time_offset, created_at, expires_at) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM dc_auth WHERE dc = ?1 AND key_id = ?3)",
            params![
                auth.dc.0,
                number(auth.key_use),
                auth.perm_key_id,
                *key,
                id,
                *salts,
                auth.time_offset,
                auth.created_at,
                auth.expires_at
            ],
        )
    })?;
    // The one that it replaces protects what was said under it: it is to be gone from the log as well.
    Ok(namespace.checkpoint()?)
}

struct RawTemp {
    dc: i32,
    key_id: i64,
    key_use: i64,
    perm_key_id: i64,
    auth_key: Zeroizing<Vec<u8>>,
    salts: Vec<u8>,
    time_offset: i64,
    created_at: i64,
    expires_at: i64,
}

impl RawTemp {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            dc: row.get(0)?,
            key_use: row.get(1)?,
            perm_key_id: row.get(2)?,
            auth_key: Zeroizing::new(row.get(3)?),
            salts: row.get(4)?,
            time_offset: row.get(5)?,
            created_at: row.get(6)?,
            expires_at: row.get(7)?,
            key_id: row.get(8)?,
        })
    }

    fn check(self, namespace: &Namespace) -> Result<TempAuth, Error> {
        let (dc, id) = (self.dc, self.key_id);
        let place = |owner: &[u8; 16]| temp_key_place(owner, dc, self.key_use, self.perm_key_id, id);
        let auth_key = namespace.reveal(place, self.auth_key, "a temporary auth key")?;
        let salts = namespace.reveal(
            |owner| salts_place(owner, "temp_auth", dc, id),
            Zeroizing::new(self.salts),
            "the salts of a temporary key",
        )?;
        let auth_key = AuthKey::try_from_slice(&auth_key)
            .map_err(|error| namespace.bad_value("a temporary auth key", "256 bytes", format!("{} bytes", error.found)))?;
        let key_use = match self.key_use {
            0 => KeyUse::Main,
            1 => KeyUse::Media,
            other => return Err(namespace.bad_value("the use of a temporary key", "0 or 1", other)),
        };
        let salts = unpack_salts(&salts).ok_or_else(|| {
            namespace.bad_value("the salts of a temporary key", "records of 24 bytes", format!("{} bytes", salts.len()))
        })?;
        Ok(TempAuth {
            dc: DcId(self.dc),
            key_use,
            perm_key_id: self.perm_key_id,
            auth_key,
            salts,
            time_offset: self.time_offset,
            created_at: self.created_at,
            expires_at: self.expires_at,
        })
    }
}

fn number(key_use: KeyUse) -> i64 {
    match key_use {
        KeyUse::Main => 0,
        KeyUse::Media => 1,
    }
}
