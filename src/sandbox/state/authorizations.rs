//! What an authorization may, how long it lasts and whether its owner has confirmed it; and whether an account may be used at all.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::keys::{self, Auth};
use super::{Error, State};

/// The tables; they are made where they are missing, in databases of every version.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS authorization_settings (dc INTEGER NOT NULL, key INTEGER NOT NULL, unconfirmed INTEGER NOT NULL DEFAULT 0,
    encrypted_disabled INTEGER NOT NULL DEFAULT 0, calls_disabled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (dc, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account_rules (user INTEGER PRIMARY KEY, ttl_days INTEGER, standing INTEGER NOT NULL DEFAULT 0);
";

/// Days after which an authorization ends that was not used, unless its account says otherwise.
pub(crate) const DEFAULT_TTL_DAYS: i32 = 183;
/// Seconds after which a new authorization counts as confirmed although nobody has confirmed it.
pub(crate) const AUTOCONFIRM: i64 = 7 * DAY;
/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// What `auth_keys.revoked` holds where it was time that ended the authorization.
pub(super) const EXPIRED: i32 = 2;

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    #[default]
    Good,
    /// Its owner deleted it: `USER_DEACTIVATED`.
    Deleted,
    /// It was banned: `USER_DEACTIVATED_BAN`.
    Banned,
}

/// What an account's authorizations are subject to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountRules {
    pub(crate) ttl_days: i32,
    pub(crate) standing: Standing,
}

impl AccountRules {
    /// Whether an authorization that was used last at `active_at` has ended by `now`.
    pub(crate) fn has_expired(&self, active_at: i64, now: i64) -> bool {
        now >= active_at.saturating_add(i64::from(self.ttl_days).saturating_mul(DAY))
    }
}

/// What one authorization's owner has said about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthorizationSettings {
    /// Nobody has confirmed it yet.
    pub(crate) unconfirmed: bool,
    pub(crate) encrypted_disabled: bool,
    pub(crate) calls_disabled: bool,
}

/// The rules of an account.
pub(crate) fn account_rules(db: &Connection, user: i64) -> rusqlite::Result<AccountRules> {
    let found = db
        .prepare_cached("SELECT ttl_days, standing FROM account_rules WHERE user = ?1")?
        .query_row([user], |row| Ok((row.get::<_, Option<i32>>(0)?, row.get::<_, i32>(1)?)))
        .optional()?;
    let (ttl_days, standing) = found.unwrap_or_default();
    let standing = match standing {
        0 => Standing::Good,
        1 => Standing::Deleted,
        2 => Standing::Banned,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other.into())),
    };
    Ok(AccountRules { ttl_days: ttl_days.unwrap_or(DEFAULT_TTL_DAYS), standing })
}

/// Sets after how many days without use an account's authorizations end.
pub(crate) fn set_ttl(db: &Connection, user: i64, days: i32) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO account_rules (user, ttl_days) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET ttl_days = ?2",
        params![user, days],
    )?;
    Ok(())
}

/// Sets whether an account may be used.
pub(crate) fn set_standing(db: &Connection, user: i64, standing: Standing) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO account_rules (user, standing) VALUES (?1, ?2) ON CONFLICT (user) DO UPDATE SET standing = ?2",
        params![user, standing as i32],
    )?;
    Ok(())
}

/// What an authorization's owner has said about it.
pub(crate) fn settings(db: &Connection, dc: i32, key_id: i64) -> rusqlite::Result<AuthorizationSettings> {
    let found = db
        .prepare_cached(
            "SELECT unconfirmed, encrypted_disabled, calls_disabled FROM authorization_settings WHERE dc = ?1 AND key = ?2",
        )?
        .query_row(params![dc, key_id], |row| {
            Ok(AuthorizationSettings { unconfirmed: row.get(0)?, encrypted_disabled: row.get(1)?, calls_disabled: row.get(2)? })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Keeps what an authorization's owner has said about it.
pub(crate) fn set_settings(db: &Connection, dc: i32, key_id: i64, settings: &AuthorizationSettings) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO authorization_settings (dc, key, unconfirmed, encrypted_disabled, calls_disabled) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![dc, key_id, settings.unconfirmed, settings.encrypted_disabled, settings.calls_disabled],
    )?;
    Ok(())
}

/// Ends an authorization because it was not used for too long.
pub(crate) fn expire(db: &Connection, dc: i32, key_id: i64) -> rusqlite::Result<()> {
    // What was imported from it goes with it, and is told the same.
    db.execute(
        "UPDATE auth_keys SET revoked = ?3 WHERE (dc = ?1 AND id = ?2) OR (imported_dc = ?1 AND imported_from = ?2)",
        params![dc, key_id, EXPIRED],
    )?;
    let ended = "UPDATE auth_keys SET user = NULL, imported_dc = NULL, imported_from = NULL \
                 WHERE (dc = ?1 AND id = ?2) OR (imported_dc = ?1 AND imported_from = ?2)";
    db.execute(ended, params![dc, key_id])?;
    db.execute("DELETE FROM exported WHERE from_dc = ?1 AND from_key = ?2", params![dc, key_id])?;
    Ok(())
}

/// Ends those of an account's authorizations whose time is over, other than `except`. Which they were.
pub(crate) fn expire_due(
    db: &Connection,
    user: i64,
    except: Option<(i32, i64)>,
    now: i64,
) -> rusqlite::Result<Vec<(i32, i64)>> {
    let rules = account_rules(db, user)?;
    let due = |auth: &Auth| rules.has_expired(auth.active_at, now) && Some((auth.dc, auth.key_id)) != except;
    let ended: Vec<(i32, i64)> =
        keys::authorizations(db, user)?.iter().filter(|auth| due(auth)).map(|auth| (auth.dc, auth.key_id)).collect();
    for &(dc, key_id) in &ended {
        expire(db, dc, key_id)?;
    }
    Ok(ended)
}

impl State {
    /// Makes authorizations older by so many seconds: those of one account, or all. How many they were.
    pub(crate) fn age_authorizations(&self, user: Option<i64>, seconds: i64) -> Result<usize, Error> {
        self.write(|tx| {
            Ok(tx.execute(
                "UPDATE auth_keys SET bound_at = bound_at - ?2, active_at = active_at - ?2 \
                 WHERE user IS NOT NULL AND (?1 IS NULL OR user = ?1)",
                params![user, seconds],
            )?)
        })
    }

    /// Writes down the address that an authorization was seen from last.
    pub(crate) fn set_ip(&self, dc: i32, key_id: i64, ip: &str) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute("UPDATE auth_keys SET ip = ?3 WHERE dc = ?1 AND id = ?2", params![dc, key_id, ip])?;
            Ok(())
        })
    }
}
