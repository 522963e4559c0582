//! [`Persistence`] on a namespace: what the client remembers, as rows.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    client::{
        AccountRecord, AuthKey, DcAuth, EndedRecord, Identity, KeyUse, PeerKind, PeerRecord, Persistence, PersistenceError,
        SaltRecord, TempAuth, UpdateState,
    },
    ids::{DcId, Salt},
};

use super::{
    Error, Namespace,
    device::DeviceJson,
    ended,
    namespace::Durability,
    temp, update_state,
    vault::{auth_key_place, salts_place},
};

/// Bytes of a stored salt: the salt, since, until.
const SALT_LEN: usize = 24;

/// More salts than a server hands out at once; what a damaged store can make us allocate.
const MAX_SALTS: usize = 1024;

const AUTH_COLUMNS: &str = "dc, auth_key, salts, time_offset, authorized, created_at, key_id";
const PEER_COLUMNS: &str = "kind, id, access_hash, username, title";

impl From<Error> for PersistenceError {
    fn from(error: Error) -> Self {
        match error {
            Error::BadValue { what, .. } | Error::NotAuthentic { what, .. } => Self::Corrupt { what },
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

impl Persistence for Namespace {
    fn dc_auth(&self, dc: DcId) -> Result<Option<DcAuth>, PersistenceError> {
        let sql = format!("SELECT {AUTH_COLUMNS} FROM dc_auth WHERE dc = ?1");
        let row = self.read(|c| c.query_row(&sql, [dc.0], RawAuth::read).optional())?;
        Ok(row.map(|raw| raw.check(self)).transpose()?)
    }

    fn dc_auths(&self) -> Result<Vec<DcAuth>, PersistenceError> {
        let sql = format!("SELECT {AUTH_COLUMNS} FROM dc_auth ORDER BY dc");
        let rows: Vec<RawAuth> = self.read(|c| c.prepare(&sql)?.query_map([], RawAuth::read)?.collect())?;
        Ok(rows.into_iter().map(|raw| raw.check(self)).collect::<Result<_, _>>()?)
    }

    fn insert_dc_auth(&self, auth: &DcAuth) -> Result<DcAuth, PersistenceError> {
        let sql = format!("SELECT {AUTH_COLUMNS} FROM dc_auth WHERE dc = ?1");
        let stored = Stored::of(self, auth)?;
        let raw = self.write(Durability::Full, |t| {
            insert(t, "INSERT OR IGNORE", auth, &stored)?;
            t.query_row(&sql, [auth.dc.0], RawAuth::read)
        })?;
        Ok(raw.check(self)?)
    }

    fn save_dc_auth(&self, auth: &DcAuth) -> Result<(), PersistenceError> {
        let stored = Stored::of(self, auth)?;
        Ok(self.write(Durability::Full, |t| {
            t.execute("DELETE FROM temp_auth WHERE dc = ?1 AND perm_key_id <> ?2", params![auth.dc.0, auth.auth_key.id()])?;
            insert(t, "INSERT OR REPLACE", auth, &stored)
        })?)
    }

    fn save_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError> {
        let salts = self.hide(|owner| salts_place(owner, "dc_auth", dc.0, key_id), &pack_salts(salts))?;
        // Salts can be asked for again: they need not survive a power cut.
        self.write(Durability::Normal, |t| {
            t.execute(
                "UPDATE dc_auth SET salts = ?3, time_offset = ?4 WHERE dc = ?1 AND key_id = ?2",
                params![dc.0, key_id, *salts, time_offset],
            )
        })?;
        Ok(())
    }

    fn set_authorized(&self, dc: DcId, key_id: i64, authorized: bool) -> Result<(), PersistenceError> {
        self.write(Durability::Full, |t| {
            t.execute("UPDATE dc_auth SET authorized = ?3 WHERE dc = ?1 AND key_id = ?2", params![dc.0, key_id, authorized])
        })?;
        Ok(())
    }

    fn temp_auth(&self, dc: DcId, key_use: KeyUse) -> Result<Option<TempAuth>, PersistenceError> {
        temp::read(self, dc, key_use)
    }

    fn temp_auths(&self) -> Result<Vec<TempAuth>, PersistenceError> {
        temp::read_all(self)
    }

    fn save_temp_auth(&self, auth: &TempAuth) -> Result<(), PersistenceError> {
        temp::save(self, auth)
    }

    fn save_temp_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError> {
        let salts = self.hide(|owner| salts_place(owner, "temp_auth", dc.0, key_id), &pack_salts(salts))?;
        self.write(Durability::Normal, |t| {
            t.execute(
                "UPDATE temp_auth SET salts = ?3, time_offset = ?4 WHERE dc = ?1 AND key_id = ?2",
                params![dc.0, key_id, *salts, time_offset],
            )
        })?;
        Ok(())
    }

    fn forget_temp_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError> {
        self.write(Durability::Normal, |t| {
            t.execute("DELETE FROM temp_auth WHERE dc = ?1 AND key_id = ?2", params![dc.0, key_id])
        })?;
        Ok(self.checkpoint()?)
    }

    fn forget_dc_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError> {
        self.write(Durability::Full, |t| {
            t.execute("DELETE FROM temp_auth WHERE dc = ?1 AND perm_key_id = ?2", params![dc.0, key_id])?;
            t.execute("DELETE FROM dc_auth WHERE dc = ?1 AND key_id = ?2", params![dc.0, key_id])
        })?;
        Ok(self.checkpoint()?)
    }

    fn home_dc(&self) -> Result<Option<DcId>, PersistenceError> {
        let Some(text) = self.meta("home_dc")? else { return Ok(None) };
        Ok(Some(DcId(text.parse().map_err(|_| self.bad_value("home_dc", "a DC's number", text.escape_debug()))?)))
    }

    fn set_home_dc(&self, dc: DcId) -> Result<(), PersistenceError> {
        Ok(self.set_meta("home_dc", &dc.0.to_string())?)
    }

    fn identity(&self) -> Result<Option<Identity>, PersistenceError> {
        Ok(self.record::<IdentityJson>("identity")?.map(Into::into))
    }

    fn save_identity(&self, identity: &Identity) -> Result<(), PersistenceError> {
        Ok(self.set_record("identity", &IdentityJson::from(identity))?)
    }

    fn account(&self) -> Result<Option<AccountRecord>, PersistenceError> {
        Ok(self.record::<AccountJson>("account")?.map(Into::into))
    }

    fn save_account(&self, account: &AccountRecord) -> Result<(), PersistenceError> {
        Ok(self.set_record("account", &AccountJson::from(account))?)
    }

    fn ended(&self) -> Result<Option<EndedRecord>, PersistenceError> {
        Ok(ended::ended(self)?)
    }

    fn save_ended(&self, ended: &EndedRecord) -> Result<(), PersistenceError> {
        Ok(ended::save_ended(self, ended)?)
    }

    fn clear_ended(&self) -> Result<(), PersistenceError> {
        Ok(ended::clear_ended(self)?)
    }

    fn save_peers(&self, peers: &[PeerRecord]) -> Result<(), PersistenceError> {
        if peers.is_empty() {
            return Ok(());
        }
        self.write(Durability::Normal, |t| {
            let mut statement = t.prepare_cached(
                "INSERT INTO peer (kind, id, access_hash, username, title) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, id) DO \
                 UPDATE SET access_hash = excluded.access_hash, username = excluded.username, title = excluded.title",
            )?;
            for peer in peers {
                statement.execute(params![kind_number(peer.kind), peer.id, peer.access_hash, peer.username, peer.title])?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn peer(&self, kind: PeerKind, id: i64) -> Result<Option<PeerRecord>, PersistenceError> {
        let sql = format!("SELECT {PEER_COLUMNS} FROM peer WHERE kind = ?1 AND id = ?2");
        let row = self.read(|c| c.query_row(&sql, params![kind_number(kind), id], RawPeer::read).optional())?;
        Ok(row.map(|raw| raw.check(self)).transpose()?)
    }

    fn peer_by_username(&self, username: &str) -> Result<Option<PeerRecord>, PersistenceError> {
        // A name can move from one peer to another: the newest holder cannot be told here, so any of them is as good.
        let sql = format!("SELECT {PEER_COLUMNS} FROM peer WHERE username = ?1 COLLATE NOCASE ORDER BY kind, id LIMIT 1");
        let row = self.read(|c| c.query_row(&sql, [username], RawPeer::read).optional())?;
        Ok(row.map(|raw| raw.check(self)).transpose()?)
    }

    fn peers(&self) -> Result<Vec<PeerRecord>, PersistenceError> {
        let sql = format!("SELECT {PEER_COLUMNS} FROM peer ORDER BY kind, id");
        let rows: Vec<RawPeer> = self.read(|c| c.prepare(&sql)?.query_map([], RawPeer::read)?.collect())?;
        Ok(rows.into_iter().map(|raw| raw.check(self)).collect::<Result<_, _>>()?)
    }

    fn update_state(&self) -> Result<Option<UpdateState>, PersistenceError> {
        Ok(update_state::read(self)?)
    }

    fn save_update_state(&self, state: Option<&UpdateState>) -> Result<(), PersistenceError> {
        Ok(update_state::save(self, state)?)
    }

    fn forget_all(&self) -> Result<(), PersistenceError> {
        self.write(Durability::Full, |t| {
            t.execute_batch(
                "DELETE FROM temp_auth; DELETE FROM dc_auth; DELETE FROM peer; DELETE FROM job; DELETE FROM saved_file; \
                 DELETE FROM meta WHERE key NOT IN ('created_at', 'devices', 'device');",
            )
        })?;
        Ok(self.checkpoint()?)
    }
}

impl Namespace {
    pub(super) fn record<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, Error> {
        let Some(text) = self.meta(key)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|e| self.bad_value(key, "its JSON form", e))
    }

    pub(super) fn set_record<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Error> {
        let text = serde_json::to_string(value).expect("plain values have a JSON form");
        self.set_meta(key, &text)
    }
}

/// Key and salts as they are stored: sealed where the namespace is encrypted.
pub(super) struct Stored {
    auth_key: Zeroizing<Vec<u8>>,
    salts: Zeroizing<Vec<u8>>,
}

impl Stored {
    pub(super) fn of(namespace: &Namespace, auth: &DcAuth) -> Result<Self, Error> {
        let (dc, id) = (auth.dc.0, auth.auth_key.id());
        Ok(Self {
            auth_key: namespace.hide(|owner| auth_key_place(owner, dc, id), auth.auth_key.as_bytes())?,
            salts: namespace.hide(|owner| salts_place(owner, "dc_auth", dc, id), &pack_salts(&auth.salts))?,
        })
    }
}

pub(super) fn insert(t: &rusqlite::Transaction<'_>, verb: &str, auth: &DcAuth, stored: &Stored) -> rusqlite::Result<()> {
    let mut statement = t.prepare(&format!(
        "{verb} INTO dc_auth (dc, auth_key, key_id, salts, time_offset, authorized, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    ))?;
    statement.execute(params![
        auth.dc.0,
        *stored.auth_key,
        auth.auth_key.id(),
        *stored.salts,
        auth.time_offset,
        auth.authorized,
        auth.created_at
    ])?;
    Ok(())
}

pub(super) fn pack_salts(salts: &[SaltRecord]) -> Vec<u8> {
    salts.iter().take(MAX_SALTS).flat_map(|s| [s.salt.0, s.since, s.until]).flat_map(i64::to_le_bytes).collect()
}

pub(super) fn unpack_salts(bytes: &[u8]) -> Option<Vec<SaltRecord>> {
    let (records, rest) = bytes.as_chunks::<SALT_LEN>();
    if !rest.is_empty() || records.len() > MAX_SALTS {
        return None;
    }
    let number = |record: &[u8; SALT_LEN], index: usize| record.as_chunks::<8>().0.get(index).map(|n| i64::from_le_bytes(*n));
    records.iter().map(|r| Some(SaltRecord { salt: Salt(number(r, 0)?), since: number(r, 1)?, until: number(r, 2)? })).collect()
}

struct RawAuth {
    dc: i32,
    key_id: i64,
    auth_key: Zeroizing<Vec<u8>>,
    salts: Vec<u8>,
    time_offset: i64,
    authorized: bool,
    created_at: i64,
}

impl RawAuth {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            dc: row.get(0)?,
            auth_key: Zeroizing::new(row.get(1)?),
            salts: row.get(2)?,
            time_offset: row.get(3)?,
            authorized: row.get(4)?,
            created_at: row.get(5)?,
            key_id: row.get(6)?,
        })
    }

    fn check(self, namespace: &Namespace) -> Result<DcAuth, Error> {
        let (dc, id) = (self.dc, self.key_id);
        let auth_key = namespace.reveal(|owner| auth_key_place(owner, dc, id), self.auth_key, "an auth key")?;
        let salts =
            namespace.reveal(|owner| salts_place(owner, "dc_auth", dc, id), Zeroizing::new(self.salts), "the salts of a DC")?;
        let key: &[u8; 256] = auth_key
            .as_slice()
            .try_into()
            .map_err(|_| namespace.bad_value("an auth key", "256 bytes", format!("{} bytes", auth_key.len())))?;
        Ok(DcAuth {
            dc: DcId(self.dc),
            auth_key: AuthKey::from_bytes(key),
            salts: unpack_salts(&salts).ok_or_else(|| {
                namespace.bad_value("the salts of a DC", "records of 24 bytes", format!("{} bytes", salts.len()))
            })?,
            time_offset: self.time_offset,
            authorized: self.authorized,
            created_at: self.created_at,
        })
    }
}

struct RawPeer {
    kind: i64,
    id: i64,
    access_hash: i64,
    username: Option<String>,
    title: String,
}

impl RawPeer {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { kind: row.get(0)?, id: row.get(1)?, access_hash: row.get(2)?, username: row.get(3)?, title: row.get(4)? })
    }

    fn check(self, namespace: &Namespace) -> Result<PeerRecord, Error> {
        let kind = match self.kind {
            0 => PeerKind::User,
            1 => PeerKind::Chat,
            2 => PeerKind::Channel,
            other => return Err(namespace.bad_value("a peer's kind", "0 to 2", other)),
        };
        Ok(PeerRecord { kind, id: self.id, access_hash: self.access_hash, username: self.username, title: self.title })
    }
}

fn kind_number(kind: PeerKind) -> i64 {
    match kind {
        PeerKind::User => 0,
        PeerKind::Chat => 1,
        PeerKind::Channel => 2,
    }
}

// The stored form of the records, apart from the types that the client works with: those may change, this may only grow.

#[derive(Serialize, Deserialize)]
struct IdentityJson {
    device: DeviceJson,
    layer: i32,
    api_id: i32,
}

impl From<&Identity> for IdentityJson {
    fn from(identity: &Identity) -> Self {
        Self { device: (&identity.device).into(), layer: identity.layer, api_id: identity.api_id }
    }
}

impl From<IdentityJson> for Identity {
    fn from(json: IdentityJson) -> Self {
        Self { device: json.device.into(), layer: json.layer, api_id: json.api_id }
    }
}

#[derive(Serialize, Deserialize)]
struct AccountJson {
    user_id: i64,
    is_bot: bool,
    name: String,
    username: Option<String>,
    phone: Option<String>,
    logged_in_at: i64,
}

impl From<&AccountRecord> for AccountJson {
    fn from(account: &AccountRecord) -> Self {
        let AccountRecord { user_id, is_bot, name, username, phone, logged_in_at } = account.clone();
        Self { user_id, is_bot, name, username, phone, logged_in_at }
    }
}

impl From<AccountJson> for AccountRecord {
    fn from(json: AccountJson) -> Self {
        let AccountJson { user_id, is_bot, name, username, phone, logged_in_at } = json;
        Self { user_id, is_bot, name, username, phone, logged_in_at }
    }
}
