//! Passwords of accounts: verifiers, challenges that were given out, settings that wait for an email address to be confirmed, and keys
//! that wait for a password. "Two-factor authentication".

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tdl_core::crypto::dh::Group;
use tdl_core::crypto::hash;
use tdl_core::crypto::srp::Kdf;
use zeroize::Zeroizing;

use super::keys;

/// Seconds for which a challenge may be answered.
pub(crate) const CHALLENGE_LIFETIME: i64 = 600;

/// From version 2 on.
pub(super) const TABLES: &str = "
CREATE TABLE passwords (user INTEGER PRIMARY KEY, salt1 BLOB NOT NULL, salt2 BLOB NOT NULL, verifier BLOB NOT NULL, hint TEXT NOT NULL,
    email TEXT, recovery_until INTEGER NOT NULL DEFAULT 0);
CREATE TABLE password_drafts (user INTEGER PRIMARY KEY, salt1 BLOB, salt2 BLOB, verifier BLOB, hint TEXT NOT NULL, email TEXT NOT NULL,
    expires INTEGER NOT NULL);
CREATE TABLE password_resets (user INTEGER PRIMARY KEY, due INTEGER, retry INTEGER NOT NULL DEFAULT 0);
CREATE TABLE challenges (id INTEGER PRIMARY KEY, dc INTEGER NOT NULL, key_id INTEGER NOT NULL, user INTEGER NOT NULL, seed BLOB NOT NULL,
    digest INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE TABLE password_waits (dc INTEGER NOT NULL, key_id INTEGER NOT NULL, user INTEGER NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (dc, key_id)) WITHOUT ROWID;
";

/// What passwords are checked from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) salt1: Vec<u8>,
    pub(crate) salt2: Vec<u8>,
    pub(crate) verifier: Zeroizing<Vec<u8>>,
}

impl Secret {
    /// The algorithm, in the group that all passwords of a cluster are in.
    pub(crate) fn kdf(&self) -> Kdf {
        Kdf::new(&self.salt1, &self.salt2, Group::known())
    }

    /// Eight bytes that are others as soon as the password is another.
    pub(crate) fn digest(&self) -> i64 {
        let digest = hash::sha256(&[&self.salt1, &self.salt2, &self.verifier]);
        digest.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
    }
}

/// An account's password and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Password {
    pub(crate) secret: Secret,
    pub(crate) hint: String,
    /// The address by which it can be recovered.
    pub(crate) email: Option<String>,
    /// A recovery code was asked for, and may be used until then.
    pub(crate) recovery_until: i64,
}

/// New settings that hold as soon as the address is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The new password; none if only the address is new.
    pub(crate) secret: Option<Secret>,
    pub(crate) hint: String,
    pub(crate) email: String,
    pub(crate) expires: i64,
}

/// A challenge that was given out to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) dc: i32,
    pub(crate) key_id: i64,
    pub(crate) user: i64,
    /// From which it is made again.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    /// The password that it was made for.
    pub(crate) digest: i64,
    pub(crate) created: i64,
}

/// A password is to be removed at some time, or may not be for some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reset {
    /// When it may be removed, if somebody asked for that.
    pub(crate) due: Option<i64>,
    /// When that may be asked for again.
    pub(crate) retry: i64,
}

fn secret(row: &Row<'_>) -> rusqlite::Result<Secret> {
    Ok(Secret { salt1: row.get(0)?, salt2: row.get(1)?, verifier: Zeroizing::new(row.get(2)?) })
}

/// An account's password.
pub(crate) fn find(db: &Connection, user: i64) -> rusqlite::Result<Option<Password>> {
    db.prepare_cached("SELECT salt1, salt2, verifier, hint, email, recovery_until FROM passwords WHERE user = ?1")?
        .query_row([user], |row| {
            Ok(Password { secret: secret(row)?, hint: row.get(3)?, email: row.get(4)?, recovery_until: row.get(5)? })
        })
        .optional()
}

/// Sets an account's password; what waited to be set, and to be removed, does not any more.
pub(crate) fn set(db: &Connection, user: i64, password: &Password) -> rusqlite::Result<()> {
    let Password { secret, hint, email, recovery_until } = password;
    db.execute(
        "INSERT OR REPLACE INTO passwords (user, salt1, salt2, verifier, hint, email, recovery_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![user, secret.salt1, secret.salt2, &*secret.verifier, hint, email, recovery_until],
    )?;
    db.execute("DELETE FROM password_drafts WHERE user = ?1", [user])?;
    db.execute("DELETE FROM password_resets WHERE user = ?1", [user])?;
    Ok(())
}

/// Removes an account's password.
pub(crate) fn remove(db: &Connection, user: i64) -> rusqlite::Result<()> {
    for table in ["passwords", "password_drafts", "password_resets"] {
        db.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [user])?;
    }
    Ok(())
}

/// A recovery code was asked for.
pub(crate) fn allow_recovery(db: &Connection, user: i64, until: i64) -> rusqlite::Result<()> {
    db.execute("UPDATE passwords SET recovery_until = ?2 WHERE user = ?1", [user, until])?;
    Ok(())
}

/// Settings that wait for an address, if they still do.
pub(crate) fn draft(db: &Connection, user: i64, now: i64) -> rusqlite::Result<Option<Draft>> {
    db.query_row(
        "SELECT salt1, salt2, verifier, hint, email, expires FROM password_drafts WHERE user = ?1 AND expires > ?2",
        [user, now],
        |row| {
            let has_secret = row.get::<_, Option<Vec<u8>>>(2)?.is_some();
            let secret = if has_secret { Some(secret(row)?) } else { None };
            Ok(Draft { secret, hint: row.get(3)?, email: row.get(4)?, expires: row.get(5)? })
        },
    )
    .optional()
}

/// Keeps settings until an address is confirmed, in place of earlier ones; `None` forgets them.
pub(crate) fn set_draft(db: &Connection, user: i64, draft: Option<&Draft>) -> rusqlite::Result<()> {
    db.execute("DELETE FROM password_drafts WHERE user = ?1", [user])?;
    if let Some(Draft { secret, hint, email, expires }) = draft {
        let secret = secret.as_ref();
        db.execute(
            "INSERT INTO password_drafts (user, salt1, salt2, verifier, hint, email, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                user,
                secret.map(|s| &s.salt1),
                secret.map(|s| &s.salt2),
                secret.map(|s| &*s.verifier),
                hint,
                email,
                expires
            ],
        )?;
    }
    Ok(())
}

/// Whether a password is to be removed.
pub(crate) fn reset(db: &Connection, user: i64) -> rusqlite::Result<Reset> {
    let found = db.query_row("SELECT due, retry FROM password_resets WHERE user = ?1", [user], |row| {
        Ok(Reset { due: row.get(0)?, retry: row.get(1)? })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Sets when a password is to be removed.
pub(crate) fn set_reset(db: &Connection, user: i64, reset: Reset) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO password_resets (user, due, retry) VALUES (?1, ?2, ?3)",
        params![user, reset.due, reset.retry],
    )?;
    Ok(())
}

/// Keeps a challenge; forgets those that have ended.
pub(crate) fn give(db: &Connection, id: i64, given: &Given) -> rusqlite::Result<()> {
    db.execute("DELETE FROM challenges WHERE created < ?1", [given.created.saturating_sub(CHALLENGE_LIFETIME)])?;
    db.execute(
        "INSERT INTO challenges (id, dc, key_id, user, seed, digest, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id, given.dc, given.key_id, given.user, given.seed.as_slice(), given.digest, given.created],
    )?;
    Ok(())
}

/// Takes a key's challenge: it is answered once.
pub(crate) fn take(db: &Connection, id: i64, dc: i32, key_id: i64, now: i64) -> rusqlite::Result<Option<Given>> {
    let found = db
        .query_row(
            "DELETE FROM challenges WHERE id = ?1 AND dc = ?2 AND key_id = ?3 RETURNING user, seed, digest, created",
            params![id, dc, key_id],
            |row| {
                let seed = Zeroizing::new(row.get::<_, [u8; 32]>(1)?);
                Ok(Given { dc, key_id, user: row.get(0)?, seed, digest: row.get(2)?, created: row.get(3)? })
            },
        )
        .optional()?;
    Ok(found.filter(|given| now <= given.created.saturating_add(CHALLENGE_LIFETIME)))
}

/// Logs an account in on a key, if it has no password; otherwise the key waits for that. Whether the account is logged in.
pub(crate) fn enter(db: &Connection, dc: i32, key_id: i64, user: i64, now: i64) -> rusqlite::Result<bool> {
    if find(db, user)?.is_none() {
        admit(db, dc, key_id, user, now)?;
        return Ok(true);
    }
    // Keys that are gone wait for nothing.
    db.execute(
        "DELETE FROM password_waits WHERE NOT EXISTS \
         (SELECT 1 FROM auth_keys WHERE auth_keys.dc = password_waits.dc AND auth_keys.id = password_waits.key_id)",
        [],
    )?;
    db.execute(
        "INSERT OR REPLACE INTO password_waits (dc, key_id, user, since) VALUES (?1, ?2, ?3, ?4)",
        params![dc, key_id, user, now],
    )?;
    Ok(false)
}

/// Logs an account in on a key, whose password was given if it has one.
pub(crate) fn admit(db: &Connection, dc: i32, key_id: i64, user: i64, now: i64) -> rusqlite::Result<()> {
    stop_waiting(db, dc, key_id)?;
    keys::bind(db, dc, key_id, user, None, now)
}

/// A key waits for a password no more. Whether it did.
pub(crate) fn stop_waiting(db: &Connection, dc: i32, key_id: i64) -> rusqlite::Result<bool> {
    Ok(db.execute("DELETE FROM password_waits WHERE dc = ?1 AND key_id = ?2", params![dc, key_id])? > 0)
}

/// The account whose password a key waits for.
pub(crate) fn waiting(db: &Connection, dc: i32, key_id: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT user FROM password_waits WHERE dc = ?1 AND key_id = ?2")?
        .query_row(params![dc, key_id], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use tdl_core::crypto::AuthKey;
    use tdl_core::ids::{DcId, Salt};

    use super::super::tests::{NOW, open};
    use super::*;

    fn password(byte: u8) -> Password {
        let secret = Secret { salt1: vec![byte; 40], salt2: vec![2; 16], verifier: Zeroizing::new(vec![byte; 256]) };
        Password { secret, hint: "hint".into(), email: Some("a@example.org".into()), recovery_until: 0 }
    }

    #[test]
    fn a_password_is_kept_changed_and_removed_with_what_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path())
            .write(|tx| {
                set(tx, 5, &password(1))?;
                assert_eq!(find(tx, 5)?, Some(password(1)));
                assert_ne!(password(1).secret.digest(), password(3).secret.digest());
                allow_recovery(tx, 5, NOW)?;
                assert_eq!(find(tx, 5)?.unwrap().recovery_until, NOW);
                let address = Draft { secret: None, hint: String::new(), email: "b@example.org".into(), expires: NOW + 1 };
                set_draft(tx, 5, Some(&address))?;
                assert_eq!(draft(tx, 5, NOW)?, Some(address.clone()));
                assert_eq!(draft(tx, 5, NOW + 1)?, None, "too late");
                let all = Draft { secret: Some(password(3).secret), ..address };
                set_draft(tx, 5, Some(&all))?;
                assert_eq!(draft(tx, 5, NOW)?, Some(all));
                set_reset(tx, 5, Reset { due: Some(NOW), retry: 7 })?;
                assert_eq!(reset(tx, 5)?, Reset { due: Some(NOW), retry: 7 });
                set(tx, 5, &password(3))?;
                assert_eq!((draft(tx, 5, NOW)?, reset(tx, 5)?), (None, Reset::default()));
                remove(tx, 5)?;
                assert_eq!(find(tx, 5)?, None);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }

    #[test]
    fn a_challenge_is_for_one_key_one_answer_and_ten_minutes() {
        let dir = tempfile::tempdir().unwrap();
        let given = Given { dc: 1, key_id: 7, user: 5, seed: Zeroizing::new([4; 32]), digest: -9, created: NOW };
        open(dir.path())
            .write(|tx| {
                give(tx, 100, &given)?;
                assert_eq!(take(tx, 100, 1, 8, NOW)?, None);
                assert_eq!(take(tx, 100, 2, 7, NOW)?, None);
                assert_eq!(take(tx, 100, 1, 7, NOW + CHALLENGE_LIFETIME)?, Some(given.clone()));
                assert_eq!(take(tx, 100, 1, 7, NOW)?, None);
                give(tx, 101, &given)?;
                assert_eq!(take(tx, 101, 1, 7, NOW + CHALLENGE_LIFETIME + 1)?, None);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }

    #[test]
    fn a_key_waits_for_the_password_of_an_account_that_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        let key = AuthKey::from_bytes(&[7; 256]);
        state.add_auth_key(DcId(1), &key, Salt(0), None, NOW, "").unwrap();
        state
            .write(|tx| {
                let user = |tx: &Connection| Ok::<_, rusqlite::Error>(keys::auth(tx, 1, key.id())?.unwrap().user);
                assert!(enter(tx, 1, key.id(), 5, NOW)?);
                assert_eq!(user(tx)?, Some(5));
                keys::unbind(tx, 1, key.id(), false)?;
                set(tx, 5, &password(1))?;
                assert!(!enter(tx, 1, key.id(), 5, NOW)?);
                assert_eq!((user(tx)?, waiting(tx, 1, key.id())?), (None, Some(5)));
                admit(tx, 1, key.id(), 5, NOW)?;
                assert_eq!((user(tx)?, waiting(tx, 1, key.id())?), (Some(5), None));
                // The key behind this one is gone.
                assert!(!enter(tx, 2, 1, 5, NOW)?);
                assert!(!enter(tx, 1, key.id(), 5, NOW)?);
                assert_eq!(waiting(tx, 2, 1)?, None);
                assert!(stop_waiting(tx, 1, key.id())?);
                assert!(!stop_waiting(tx, 1, key.id())?);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
