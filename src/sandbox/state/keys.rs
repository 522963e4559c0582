//! Auth keys and what hangs on them: who is logged in, from what device, with which layer; exported authorizations.

use rand::Rng;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Error, State, authorizations, binding};
use tdl_core::crypto::AuthKey;
use tdl_core::crypto::rsa::PrivateKey;
use tdl_core::ids::{DcId, Salt};

/// How long an exported authorization may be imported.
pub(crate) const EXPORT_LIFETIME: i64 = 300;
/// How often the time of an authorization's last use is written down.
const ACTIVE_STEP: i64 = 60;
/// A salt is announced this often…
const SALT_STEP: i64 = 1800;
/// …and holds for this long.
const SALT_LIFETIME: i64 = 3600;

/// What a client said about itself in `initConnection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) api_id: i32,
    pub(crate) device_model: String,
    pub(crate) system_version: String,
    pub(crate) app_version: String,
    pub(crate) system_lang_code: String,
    pub(crate) lang_pack: String,
    pub(crate) lang_code: String,
}

/// What the cluster knows about one auth key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The DC that the key belongs to.
    pub(crate) dc: i32,
    /// The key's id.
    pub key_id: i64,
    /// The account that is logged in with it.
    pub(crate) user: Option<i64>,
    /// The DC and key that the authorization was imported from.
    pub(crate) imported_from: Option<(i32, i64)>,
    /// Somebody ended this authorization from elsewhere.
    pub(crate) revoked: bool,
    /// It ended because it was not used for too long.
    pub(crate) expired: bool,
    /// When the key was made, the account logged in, and it was last used.
    pub(crate) created: i64,
    pub(crate) bound_at: i64,
    pub(crate) active_at: i64,
    pub(crate) ip: String,
    /// The key lasts until then: a temporary one, which stands for nobody as long as it is bound to none.
    pub expires: Option<i64>,
    /// The permanent key that a temporary one is bound to.
    pub(crate) bound_to: Option<i64>,
    /// The layer of the last `invokeWithLayer`.
    pub(crate) layer: Option<i32>,
    pub(crate) device: Device,
}

const AUTH_COLUMNS: &str = "dc, id, user, imported_from, imported_dc, revoked, created, bound_at, active_at, ip, layer, api_id, device_model, \
                            system_version, app_version, system_lang_code, lang_pack, lang_code, expires, bound_to";

fn auth_from(row: &Row<'_>) -> rusqlite::Result<Auth> {
    let from_key: Option<i64> = row.get(3)?;
    let from_dc: Option<i32> = row.get(4)?;
    Ok(Auth {
        dc: row.get(0)?,
        key_id: row.get(1)?,
        user: row.get(2)?,
        imported_from: from_dc.zip(from_key),
        revoked: row.get::<_, i32>(5)? == 1,
        expired: row.get::<_, i32>(5)? == authorizations::EXPIRED,
        created: row.get(6)?,
        bound_at: row.get(7)?,
        active_at: row.get(8)?,
        ip: row.get(9)?,
        expires: row.get(18)?,
        bound_to: row.get(19)?,
        layer: row.get(10)?,
        device: Device {
            api_id: row.get(11)?,
            device_model: row.get(12)?,
            system_version: row.get(13)?,
            app_version: row.get(14)?,
            system_lang_code: row.get(15)?,
            lang_pack: row.get(16)?,
            lang_code: row.get(17)?,
        },
    })
}

/// An authorization on its way to another DC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    pub(crate) user: i64,
    pub(crate) from_dc: i32,
    pub(crate) from_key: i64,
    pub(crate) to_dc: i32,
    pub(crate) created: i64,
}

/// A salt and the Unix times between which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SaltPeriod {
    pub(crate) since: i64,
    pub(crate) until: i64,
    pub(crate) salt: Salt,
}

impl State {
    /// The cluster's RSA key: made once, then always the same.
    pub fn rsa_key(&self, rng: &mut dyn Rng) -> Result<PrivateKey, Error> {
        self.kept_rsa_key("rsa_key", rng)
    }

    /// The RSA key of the CDN DC; made if there is none.
    pub fn cdn_rsa_key(&self, rng: &mut dyn Rng) -> Result<PrivateKey, Error> {
        self.kept_rsa_key("cdn_rsa_key", rng)
    }

    fn kept_rsa_key(&self, name: &str, rng: &mut dyn Rng) -> Result<PrivateKey, Error> {
        if let Some(pem) = self.meta(name)? {
            let pem = zeroize::Zeroizing::new(String::from_utf8(pem).map_err(|_| Error::Damaged("RSA key"))?);
            return PrivateKey::from_pem(&pem).map_err(|_| Error::Damaged("RSA key"));
        }
        let key = PrivateKey::generate(rng);
        self.set_meta(name, key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// Keeps a new auth key; a temporary one until it `expires`.
    pub fn add_auth_key(
        &self,
        dc: DcId,
        key: &AuthKey,
        first_salt: Salt,
        expires: Option<i64>,
        now: i64,
        ip: &str,
    ) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO auth_keys (dc, id, key, first_salt, created, active_at, ip, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)",
                params![dc.0, key.id(), key.as_bytes().as_slice(), first_salt.0, now, ip, expires],
            )?;
            Ok(())
        })
    }

    /// The auth key with an id, if this DC has it and it has not expired.
    pub fn auth_key(&self, dc: DcId, id: i64, now: i64) -> Result<Option<AuthKey>, Error> {
        let bytes: Option<Vec<u8>> = self.read(|db| {
            db.query_row(
                "SELECT key FROM auth_keys WHERE dc = ?1 AND id = ?2 AND (expires IS NULL OR expires > ?3)",
                params![dc.0, id, now],
                |row| row.get(0),
            )
            .optional()
            .map_err(Error::from)
        })?;
        let Some(bytes) = bytes.map(zeroize::Zeroizing::new) else { return Ok(None) };
        AuthKey::try_from_slice(&bytes).map(Some).map_err(|_| Error::Damaged("auth key"))
    }

    /// Forgets an auth key, and the temporary ones that are bound to it: `destroy_auth_key`.
    pub fn remove_auth_key(&self, dc: DcId, id: i64) -> Result<bool, Error> {
        let removed = self.write(|tx| {
            binding::remove_bound(tx, dc.0, id)?;
            Ok::<_, Error>(tx.execute("DELETE FROM auth_keys WHERE dc = ?1 AND id = ?2", params![dc.0, id])? > 0)
        })?;
        self.note_key_loss();
        Ok(removed)
    }

    /// The salts of a key that hold now or soon, the current one first. Derived, not stored: every half hour has its own, and each
    /// holds for an hour, so that a client is never between two. The salt of the key exchange holds for the key's first hour.
    pub(crate) fn salts(&self, dc: DcId, key_id: i64, now: i64, count: usize) -> Result<Vec<SaltPeriod>, Error> {
        let (first, created): (i64, i64) = self.read(|db| {
            db.query_row("SELECT first_salt, created FROM auth_keys WHERE dc = ?1 AND id = ?2", params![dc.0, key_id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(Error::from)
        })?;
        let mut out = Vec::with_capacity(count.saturating_add(2));
        if now < created.saturating_add(SALT_LIFETIME) {
            out.push(SaltPeriod { since: created, until: created.saturating_add(SALT_LIFETIME), salt: Salt(first) });
        }
        // The newest that has begun comes first: it holds the longest.
        let step = now.div_euclid(SALT_STEP);
        for k in [0, -1].into_iter().chain(1..) {
            if out.len() >= count {
                break;
            }
            let n = step.saturating_add(k);
            let since = n.saturating_mul(SALT_STEP);
            let salt = Salt(self.derive(b"salt", &[i64::from(dc.0), key_id, n]));
            out.push(SaltPeriod { since, until: since.saturating_add(SALT_LIFETIME), salt });
        }
        Ok(out)
    }

    /// What is known about a key.
    pub(crate) fn auth(&self, dc: i32, key_id: i64) -> Result<Option<Auth>, Error> {
        self.read(|db| auth(db, dc, key_id).map_err(Error::from))
    }

    /// Writes down what `invokeWithLayer` and `initConnection` said.
    pub(crate) fn set_device(&self, dc: i32, key_id: i64, layer: i32, device: &Device) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE auth_keys SET layer = ?3, api_id = ?4, device_model = ?5, system_version = ?6, app_version = ?7, \
                 system_lang_code = ?8, lang_pack = ?9, lang_code = ?10 WHERE dc = ?1 AND id = ?2",
                params![
                    dc,
                    key_id,
                    layer,
                    device.api_id,
                    device.device_model,
                    device.system_version,
                    device.app_version,
                    device.system_lang_code,
                    device.lang_pack,
                    device.lang_code
                ],
            )?;
            Ok(())
        })
    }

    /// Writes down that a key was used, now and then.
    pub(crate) fn touch_auth(&self, auth: &Auth, now: i64) -> Result<(), Error> {
        if now.saturating_sub(auth.active_at) < ACTIVE_STEP {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute("UPDATE auth_keys SET active_at = ?3 WHERE dc = ?1 AND id = ?2", params![auth.dc, auth.key_id, now])?;
            Ok(())
        })
    }
}

/// What is known about a key.
pub(crate) fn auth(db: &Connection, dc: i32, key_id: i64) -> rusqlite::Result<Option<Auth>> {
    db.prepare_cached(&format!("SELECT {AUTH_COLUMNS} FROM auth_keys WHERE dc = ?1 AND id = ?2"))?
        .query_row(params![dc, key_id], auth_from)
        .optional()
}

/// Logs an account in on a key.
pub(crate) fn bind(
    db: &Connection,
    dc: i32,
    key_id: i64,
    user: i64,
    imported_from: Option<(i32, i64)>,
    now: i64,
) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE auth_keys SET user = ?3, imported_dc = ?4, imported_from = ?5, revoked = 0, bound_at = ?6, active_at = ?6 \
         WHERE dc = ?1 AND id = ?2",
        params![dc, key_id, user, imported_from.map(|f| f.0), imported_from.map(|f| f.1), now],
    )?;
    Ok(())
}

/// Logs out a key and the authorizations that were imported from it. `revoked`: it was not the key itself that asked.
pub(crate) fn unbind(db: &Connection, dc: i32, key_id: i64, revoked: bool) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE auth_keys SET user = NULL, imported_dc = NULL, imported_from = NULL, revoked = ?3 WHERE dc = ?1 AND id = ?2",
        params![dc, key_id, revoked],
    )?;
    db.execute(
        "UPDATE auth_keys SET user = NULL, imported_dc = NULL, imported_from = NULL, revoked = ?3 \
         WHERE imported_dc = ?1 AND imported_from = ?2",
        params![dc, key_id, revoked],
    )?;
    db.execute("DELETE FROM exported WHERE from_dc = ?1 AND from_key = ?2", params![dc, key_id])?;
    Ok(())
}

/// The account's authorizations, each once: imported ones belong to the one they came from.
pub(crate) fn authorizations(db: &Connection, user: i64) -> rusqlite::Result<Vec<Auth>> {
    db.prepare_cached(&format!(
        "SELECT {AUTH_COLUMNS} FROM auth_keys WHERE user = ?1 AND imported_from IS NULL ORDER BY active_at DESC, id"
    ))?
    .query_map([user], auth_from)?
    .collect()
}

/// The accounts that are logged in anywhere.
pub(crate) fn logged_in_accounts(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("SELECT DISTINCT user FROM auth_keys WHERE user IS NOT NULL ORDER BY user")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Keeps an exported authorization until it is imported.
pub(crate) fn add_exported(db: &Connection, token: &[u8], exported: &Exported) -> rusqlite::Result<()> {
    db.execute("DELETE FROM exported WHERE created < ?1", [exported.created - EXPORT_LIFETIME])?;
    db.execute(
        "INSERT INTO exported (token, user, from_dc, from_key, to_dc, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![token, exported.user, exported.from_dc, exported.from_key, exported.to_dc, exported.created],
    )?;
    Ok(())
}

/// Takes an exported authorization: it can be imported once.
pub(crate) fn take_exported(db: &Connection, token: &[u8]) -> rusqlite::Result<Option<Exported>> {
    let exported = db
        .query_row("SELECT user, from_dc, from_key, to_dc, created FROM exported WHERE token = ?1", [token], |row| {
            Ok(Exported {
                user: row.get(0)?,
                from_dc: row.get(1)?,
                from_key: row.get(2)?,
                to_dc: row.get(3)?,
                created: row.get(4)?,
            })
        })
        .optional()?;
    if exported.is_some() {
        db.execute("DELETE FROM exported WHERE token = ?1", [token])?;
    }
    Ok(exported)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, open, rng};
    use super::*;

    fn key(byte: u8) -> AuthKey {
        AuthKey::from_bytes(&[byte; 256])
    }

    #[test]
    fn the_rsa_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).rsa_key(&mut rng(3)).unwrap().public().fingerprint();
        assert_eq!(open(dir.path()).rsa_key(&mut rng(4)).unwrap().public().fingerprint(), first);
    }

    #[test]
    fn keys_belong_to_their_dc_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state.add_auth_key(DcId(2), &key(7), Salt(99), None, NOW, "127.0.0.1").unwrap();
        drop(state);
        let state = open(dir.path());
        assert_eq!(state.auth_key(DcId(2), key(7).id(), NOW).unwrap().unwrap().as_bytes(), key(7).as_bytes());
        assert!(state.auth_key(DcId(1), key(7).id(), NOW).unwrap().is_none());
        assert!(state.auth_key(DcId(2), key(8).id(), NOW).unwrap().is_none());
        assert!(state.remove_auth_key(DcId(2), key(7).id()).unwrap());
        assert!(!state.remove_auth_key(DcId(2), key(7).id()).unwrap());
    }

    #[test]
    fn salts_overlap_and_the_first_one_holds_for_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state.add_auth_key(DcId(1), &key(7), Salt(99), None, NOW, "").unwrap();
        let salts = state.salts(DcId(1), key(7).id(), NOW, 5).unwrap();
        assert_eq!(salts.len(), 5);
        assert_eq!(salts[0].salt, Salt(99));
        assert!(salts[1].since <= NOW && NOW < salts[1].until);
        let later = state.salts(DcId(1), key(7).id(), NOW + SALT_LIFETIME, 5).unwrap();
        assert!(later.iter().all(|s| s.salt != Salt(99)));
        assert!(later[0].since <= NOW + SALT_LIFETIME && later[1].until > NOW + SALT_LIFETIME - SALT_STEP);
        // What was announced for then is what holds then.
        assert!(salts.iter().any(|s| later.contains(s)));
    }

    #[test]
    fn an_exported_authorization_is_imported_once_and_logged_out_with_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let (home, away) = (key(1), key(2));
        state.add_auth_key(DcId(1), &home, Salt(0), None, NOW, "").unwrap();
        state.add_auth_key(DcId(2), &away, Salt(0), None, NOW, "").unwrap();
        let exported = Exported { user: 5, from_dc: 1, from_key: home.id(), to_dc: 2, created: NOW };
        state
            .write(|tx| {
                bind(tx, 1, home.id(), 5, None, NOW)?;
                add_exported(tx, b"token", &exported)?;
                assert_eq!(take_exported(tx, b"token")?, Some(exported.clone()));
                assert_eq!(take_exported(tx, b"token")?, None);
                bind(tx, 2, away.id(), 5, Some((1, home.id())), NOW)?;
                assert_eq!(authorizations(tx, 5)?.len(), 1);
                unbind(tx, 1, home.id(), true)?;
                let away = auth(tx, 2, away.id())?.unwrap();
                assert_eq!((away.user, away.revoked), (None, true));
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }

    #[test]
    fn the_device_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state.add_auth_key(DcId(1), &key(1), Salt(0), None, NOW, "").unwrap();
        let device = Device { api_id: 4, device_model: "Pixel".into(), lang_code: "en".into(), ..Device::default() };
        state.set_device(1, key(1).id(), 230, &device).unwrap();
        let auth = state.auth(1, key(1).id()).unwrap().unwrap();
        assert_eq!((auth.layer, auth.device), (Some(230), device));
        let auth = state.auth(1, key(1).id()).unwrap().unwrap();
        state.touch_auth(&auth, NOW + 5).unwrap();
        assert_eq!(state.auth(1, key(1).id()).unwrap().unwrap().active_at, NOW);
        state.touch_auth(&auth, NOW + ACTIVE_STEP).unwrap();
        assert_eq!(state.auth(1, key(1).id()).unwrap().unwrap().active_at, NOW + ACTIVE_STEP);
    }

    #[test]
    fn a_temporary_key_ends() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        state.add_auth_key(DcId(1), &key(1), Salt(0), Some(NOW + 60), NOW, "").unwrap();
        assert!(state.auth_key(DcId(1), key(1).id(), NOW + 59).unwrap().is_some());
        assert!(state.auth_key(DcId(1), key(1).id(), NOW + 60).unwrap().is_none());
        assert_eq!(state.auth(1, key(1).id()).unwrap().unwrap().expires, Some(NOW + 60));
    }
}
