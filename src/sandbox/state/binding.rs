//! Temporary keys: bound to a permanent one, they stand for what it stands for. See "Perfect Forward Secrecy".
//!
//! The page says that a permanent key is bound to one temporary key at a time. The official clients have several, one for each kind of
//! connection, and two of a kind while one is renewed; so here there may be [`MAX_BOUND`] of them, and the oldest goes when there are more.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::keys::Auth;
use super::{Error, State, keys};
use crate::fault::Fault;
use tdl_core::crypto::AuthKey;
use tdl_core::ids::DcId;
use tdl_core::mtproto::binding::{self, Binding};

/// Temporary keys that are bound to one permanent key at the same time.
pub(crate) const MAX_BOUND: i64 = 16;

impl State {
    /// The auth key with an id, if this DC has it and it has not expired; and when it will.
    pub(crate) fn auth_key_until(&self, dc: DcId, id: i64, now: i64) -> Result<Option<(AuthKey, Option<i64>)>, Error> {
        let Some(key) = self.auth_key(dc, id, now)? else { return Ok(None) };
        let expires = self.read(|db| {
            db.query_row("SELECT expires FROM auth_keys WHERE dc = ?1 AND id = ?2", params![dc.0, id], |row| row.get(0))
                .optional()
        });
        Ok(expires.map_err(|error: rusqlite::Error| Error::from(error))?.map(|expires| (key, expires)))
    }

    /// What a key stands for: of a temporary one that is bound, what the permanent key does.
    pub fn auth_behind(&self, dc: i32, key_id: i64) -> Result<Option<Auth>, Error> {
        self.read(|db| {
            let Some(own) = keys::auth(db, dc, key_id)? else { return Ok(None) };
            match own.bound_to {
                Some(perm) => Ok(keys::auth(db, dc, perm)?),
                None => Ok(Some(own)),
            }
        })
    }

    /// Binds a temporary key, if the message that asks for it is in order.
    pub fn bind_temp_key(&self, dc: DcId, expected: &Binding, message: &[u8], now: i64) -> Result<(), Fault> {
        let (temp, perm) = (expected.temp_auth_key_id, expected.perm_auth_key_id);
        let own = self.auth(dc.0, temp)?.ok_or(Fault::AuthKeyUnregistered)?;
        let Some(ends) = own.expires else { return Err(Fault::TempAuthKeyEmpty) };
        if own.bound_to.is_some_and(|bound| bound != perm) {
            return Err(Fault::TempAuthKeyAlreadyBound);
        }
        let (key, expires) = self.auth_key_until(dc, perm, now)?.ok_or(Fault::EncryptedMessageInvalid)?;
        if expires.is_some() {
            // A temporary key cannot stand for a permanent one.
            return Err(Fault::EncryptedMessageInvalid);
        }
        binding::check(&key, expected, message).map_err(|error| {
            tracing::debug!(dc = dc.0, rule = error.rule(), %error, "binding refused");
            Fault::EncryptedMessageInvalid
        })?;
        let wanted = i64::from(expected.expires_at);
        if wanted <= now {
            return Err(Fault::ExpiresAtInvalid);
        }
        self.write(|tx| {
            tx.execute(
                "UPDATE auth_keys SET bound_to = ?3, expires = ?4, bound_at = ?5, active_at = ?5 WHERE dc = ?1 AND id = ?2",
                params![dc.0, temp, perm, ends.min(wanted), now],
            )?;
            let surplus = "DELETE FROM auth_keys WHERE dc = ?1 AND id IN (SELECT id FROM auth_keys WHERE dc = ?1 AND bound_to = ?2 \
                           AND id <> ?3 ORDER BY bound_at DESC, created DESC LIMIT -1 OFFSET ?4)";
            tx.execute(surplus, params![dc.0, perm, temp, MAX_BOUND - 1])?;
            // Nothing asks for keys that have ended any more.
            tx.execute("DELETE FROM auth_keys WHERE expires <= ?1", [now])?;
            Ok::<_, Fault>(())
        })?;
        self.note_key_loss();
        Ok(())
    }

    /// Forgets the temporary keys that are bound to a permanent one.
    pub(crate) fn remove_temp_keys(&self, dc: DcId, perm: i64) -> Result<(), Error> {
        self.write(|tx| remove_bound(tx, dc.0, perm))?;
        self.note_key_loss();
        Ok(())
    }

    /// Counts what may have been the loss of a key.
    pub(super) fn note_key_loss(&self) {
        self.key_losses.fetch_add(1, Ordering::Release);
    }

    /// Another number whenever a key may have been forgotten before its time.
    pub fn key_losses(&self) -> u64 {
        self.key_losses.load(Ordering::Acquire)
    }
}

/// Forgets the temporary keys that are bound to a permanent one.
pub(super) fn remove_bound(db: &Connection, dc: i32, perm: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM auth_keys WHERE dc = ?1 AND bound_to = ?2", params![dc, perm])?;
    Ok(())
}
