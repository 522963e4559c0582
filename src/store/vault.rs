//! Keys at rest: what of a namespace is sealed, and with what.
//!
//! In an encrypted namespace the auth keys, permanent and temporary, and their salts are sealed values under a data key, which is wrapped under
//! the passphrase ([`crate::seal`]). Names of chats, the account's name and how far updates have been followed are not: without a key they
//! open nothing, and `tdl ns ls` shows them. A value is bound to its namespace, its column and the numbers of its row, so that rows can neither
//! be exchanged nor carried over from another file.
//!
//! [`Home::encrypt`] and [`Home::decrypt`] need the namespace alone and change all of it in one transaction. What was there in the clear is
//! then removed from free pages and the write-ahead log; a mark in the same transaction sees to it that this is done by whoever opens the
//! namespace next, if this process does not live to do it. What a disk keeps of blocks that were overwritten is beyond us.

use std::sync::{MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use zeroize::Zeroizing;

use super::{Error, Home, Namespace, NamespaceName, namespace::Durability};
use crate::seal::{DataKey, KdfLimits, KdfParams, Lock, Passphrase, Place, SealError};

/// How the sealed values of an open namespace are dealt with.
pub(super) enum Vault {
    /// They are not sealed.
    Plain,
    /// They are, and the passphrase has not been given.
    Locked(Lock),
    /// They are, and can be opened.
    Open(Lock, DataKey),
}

/// Whether a namespace is encrypted, and whether it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It is not.
    None,
    /// It is, and has not been unlocked.
    Locked(KdfParams),
    /// It is, and has been unlocked.
    Unlocked(KdfParams),
}

/// What is known of a permanent key without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHead {
    /// The data centre.
    pub dc: i32,
    /// The key's id.
    pub key_id: i64,
    /// Whether the account is logged in under it.
    pub authorized: bool,
    /// Local Unix time of the key exchange.
    pub created_at: i64,
}

type Owner = [u8; 16];

pub(super) fn auth_key_place(owner: &Owner, dc: i32, key_id: i64) -> Place {
    Place::new(owner, "dc_auth", "auth_key").row(dc.into()).row(key_id)
}

pub(super) fn temp_key_place(owner: &Owner, dc: i32, key_use: i64, perm_key_id: i64, key_id: i64) -> Place {
    Place::new(owner, "temp_auth", "auth_key").row(dc.into()).row(key_use).row(perm_key_id).row(key_id)
}

pub(super) fn salts_place(owner: &Owner, table: &str, dc: i32, key_id: i64) -> Place {
    Place::new(owner, table, "salts").row(dc.into()).row(key_id)
}

impl Namespace {
    /// Whether it is encrypted, and whether it has been unlocked.
    pub fn encryption(&self) -> Encryption {
        match &*self.vault() {
            Vault::Plain => Encryption::None,
            Vault::Locked(lock) => Encryption::Locked(lock.params()),
            Vault::Open(lock, _) => Encryption::Unlocked(lock.params()),
        }
    }

    /// Unlocks it for this process. Does nothing where it is not encrypted. Takes the time that guessing is to cost.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPassphrase`], or [`Error::BadSeal`] where the derivation demands too much.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<(), Error> {
        let lock = match &*self.vault() {
            Vault::Locked(lock) => lock.clone(),
            Vault::Plain | Vault::Open(..) => return Ok(()),
        };
        let key = self.open_lock(&lock, passphrase)?;
        *self.vault() = Vault::Open(lock, key);
        Ok(())
    }

    /// Changes the passphrase. What is sealed stays as it is: only the data key is wrapped anew.
    ///
    /// # Errors
    ///
    /// [`Error::NotEncrypted`], [`Error::WrongPassphrase`]; [`Error::InUse`] when somebody else has changed it at the same time.
    pub fn change_passphrase(&self, old: &Passphrase, new: &Passphrase, params: KdfParams) -> Result<(), Error> {
        let lock = match &*self.vault() {
            Vault::Plain => return Err(Error::NotEncrypted { name: self.name().to_string() }),
            Vault::Locked(lock) | Vault::Open(lock, _) => lock.clone(),
        };
        let key = self.open_lock(&lock, old)?;
        let changed = lock.rewrap(&mut rand::make_rng::<StdRng>(), &key, new, params).map_err(|e| self.bad_seal(e))?;
        let rows = self.write(Durability::Full, |t| {
            t.execute("UPDATE seal SET record = ?1 WHERE record = ?2", params![changed.to_bytes(), lock.to_bytes()])
        })?;
        if rows == 0 {
            return Err(Error::InUse { name: self.name().to_string() });
        }
        *self.vault() = Vault::Open(changed, key);
        // The old wrapping opens with the old passphrase: it is to be gone from the log as well.
        self.checkpoint()
    }

    /// What is known of its permanent keys without a passphrase, by DC.
    ///
    /// # Errors
    ///
    /// As any access.
    pub fn key_heads(&self) -> Result<Vec<KeyHead>, Error> {
        self.read(|c| {
            c.prepare("SELECT dc, key_id, authorized, created_at FROM dc_auth ORDER BY dc")?
                .query_map([], |row| {
                    Ok(KeyHead { dc: row.get(0)?, key_id: row.get(1)?, authorized: row.get(2)?, created_at: row.get(3)? })
                })?
                .collect()
        })
    }

    /// Reads how values are sealed; finishes what an earlier process could not.
    pub(super) fn load_vault(&self) -> Result<(), Error> {
        let found: Option<(Vec<u8>, bool)> =
            self.read(|c| c.query_row("SELECT record, scrub FROM seal", [], |row| Ok((row.get(0)?, row.get(1)?))).optional())?;
        let Some((record, scrub)) = found else { return Ok(()) };
        *self.vault() = Vault::Locked(Lock::from_bytes(&record).map_err(|e| self.bad_seal(e))?);
        if scrub { self.scrub() } else { Ok(()) }
    }

    /// A value as it is to be stored.
    pub(super) fn hide(&self, place: impl FnOnce(&Owner) -> Place, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &*self.vault() {
            Vault::Plain => Ok(Zeroizing::new(value.to_vec())),
            Vault::Locked(_) => Err(self.sealed()),
            Vault::Open(lock, key) => {
                Ok(Zeroizing::new(key.seal(&mut rand::make_rng::<StdRng>(), &place(lock.owner()), value)))
            }
        }
    }

    /// A stored value as it was.
    pub(super) fn reveal(
        &self,
        place: impl FnOnce(&Owner) -> Place,
        stored: Zeroizing<Vec<u8>>,
        what: &'static str,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &*self.vault() {
            Vault::Plain => Ok(stored),
            Vault::Locked(_) => Err(self.sealed()),
            Vault::Open(lock, key) => key.open(&place(lock.owner()), &stored).map_err(|error| match error {
                SealError::NewerVersion { .. } => self.bad_seal(error),
                _ => Error::NotAuthentic { path: self.path().to_path_buf(), what },
            }),
        }
    }

    /// Seals everything that is to be sealed. The caller has the namespace alone.
    pub(super) fn encrypt(&self, passphrase: &Passphrase, params: KdfParams) -> Result<(), Error> {
        if !matches!(&*self.vault(), Vault::Plain) {
            return Err(Error::AlreadyEncrypted { name: self.name().to_string() });
        }
        let mut rng = rand::make_rng::<StdRng>();
        let (lock, key) = Lock::make(&mut rng, passphrase, params).map_err(|e| self.bad_seal(e))?;
        let owner = *lock.owner();
        self.write(Durability::Full, |t| {
            each_value(t, |place, value| Some(Zeroizing::new(key.seal(&mut rng, &place(&owner), &value))))?;
            t.execute("INSERT INTO seal (id, record, scrub) VALUES (1, ?1, 1)", [lock.to_bytes()])
        })?;
        *self.vault() = Vault::Open(lock, key);
        self.scrub()
    }

    /// Opens everything that is sealed. The caller has the namespace alone.
    pub(super) fn decrypt(&self, passphrase: &Passphrase) -> Result<(), Error> {
        if matches!(&*self.vault(), Vault::Plain) {
            return Err(Error::NotEncrypted { name: self.name().to_string() });
        }
        self.unlock(passphrase)?;
        let mut damaged = false;
        {
            let vault = self.vault();
            let Vault::Open(lock, key) = &*vault else { return Err(self.sealed()) };
            let result = self.write(Durability::Full, |t| {
                each_value(t, |place, value| {
                    let open = key.open(&place(lock.owner()), &value).ok();
                    damaged |= open.is_none();
                    open
                })?;
                t.execute("DELETE FROM seal", [])
            });
            if damaged {
                return Err(Error::NotAuthentic { path: self.path().to_path_buf(), what: "a key or its salts" });
            }
            result?;
        }
        *self.vault() = Vault::Plain;
        self.checkpoint()
    }

    /// Removes what was there in the clear from free pages and the log, and the mark that says so.
    fn scrub(&self) -> Result<(), Error> {
        let clean = self.read(|c| {
            // What it sorts and copies meanwhile goes nowhere else.
            c.pragma_update(None, "temp_store", "memory")?;
            c.execute_batch("VACUUM")?;
            emptied(c)
        })?;
        // Somebody who reads at this moment keeps the log: then whoever opens it next does this again.
        if clean {
            self.write(Durability::Full, |t| t.execute("UPDATE seal SET scrub = 0", []))?;
        }
        Ok(())
    }

    fn open_lock(&self, lock: &Lock, passphrase: &Passphrase) -> Result<DataKey, Error> {
        lock.open(passphrase, KdfLimits::default()).map_err(|error| match error {
            SealError::WrongPassphrase => Error::WrongPassphrase { name: self.name().to_string() },
            other => self.bad_seal(other),
        })
    }

    fn bad_seal(&self, source: SealError) -> Error {
        Error::BadSeal { path: self.path().to_path_buf(), source }
    }

    fn sealed(&self) -> Error {
        Error::Sealed { name: self.name().to_string() }
    }

    fn vault(&self) -> MutexGuard<'_, Vault> {
        // Replaced whole: a panic elsewhere leaves none half-changed.
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home {
    /// Encrypts a namespace: see the head of the module. Where it does not exist it is made, so that nothing is ever in it in the clear.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyEncrypted`], [`Error::InUse`] while any process has it open, and what opening and writing can raise.
    pub fn encrypt(&self, name: &NamespaceName, passphrase: &Passphrase, params: KdfParams, now: i64) -> Result<(), Error> {
        drop(self.open(name, now)?);
        let _alone = self.alone(name)?;
        Namespace::open_unlocked(&self.path_of(name), name, now)?.encrypt(passphrase, params)
    }

    /// Takes the encryption of a namespace away.
    ///
    /// # Errors
    ///
    /// [`Error::NotEncrypted`], [`Error::WrongPassphrase`], [`Error::NotAuthentic`] (then nothing is changed), [`Error::NoSuchNamespace`],
    /// [`Error::InUse`], and what opening and writing can raise.
    pub fn decrypt(&self, name: &NamespaceName, passphrase: &Passphrase, now: i64) -> Result<(), Error> {
        drop(self.open_existing(name, now)?);
        let _alone = self.alone(name)?;
        Namespace::open_unlocked(&self.path_of(name), name, now)?.decrypt(passphrase)
    }
}

/// Whether the write-ahead log could be emptied.
fn emptied(c: &Connection) -> rusqlite::Result<bool> {
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0)
}

type Value = Zeroizing<Vec<u8>>;
type PlaceOf<'a> = &'a dyn Fn(&Owner) -> Place;

/// Replaces each value that is sealed in an encrypted namespace by what `change` makes of it. Where that is nothing, it fails.
fn each_value(t: &Transaction<'_>, mut change: impl FnMut(PlaceOf<'_>, Value) -> Option<Value>) -> rusqlite::Result<()> {
    let refused = || rusqlite::Error::QueryReturnedNoRows;
    let bytes = |row: &rusqlite::Row<'_>, at: usize| row.get(at).map(Zeroizing::new);
    let keys: Vec<(i32, i64, Value, Value)> = t
        .prepare("SELECT dc, key_id, auth_key, salts FROM dc_auth")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, bytes(row, 2)?, bytes(row, 3)?)))?
        .collect::<Result<_, _>>()?;
    for (dc, id, key, salts) in keys {
        let key = change(&|owner| auth_key_place(owner, dc, id), key).ok_or_else(refused)?;
        let salts = change(&|owner| salts_place(owner, "dc_auth", dc, id), salts).ok_or_else(refused)?;
        t.execute("UPDATE dc_auth SET auth_key = ?2, salts = ?3 WHERE dc = ?1", params![dc, *key, *salts])?;
    }
    let temporary: Vec<(i32, i64, i64, i64, Value, Value)> = t
        .prepare("SELECT dc, key_use, perm_key_id, key_id, auth_key, salts FROM temp_auth")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, bytes(row, 4)?, bytes(row, 5)?)))?
        .collect::<Result<_, _>>()?;
    for (dc, key_use, perm, id, key, salts) in temporary {
        let key = change(&|owner| temp_key_place(owner, dc, key_use, perm, id), key).ok_or_else(refused)?;
        let salts = change(&|owner| salts_place(owner, "temp_auth", dc, id), salts).ok_or_else(refused)?;
        t.execute(
            "UPDATE temp_auth SET auth_key = ?3, salts = ?4 WHERE dc = ?1 AND key_use = ?2",
            params![dc, key_use, *key, *salts],
        )?;
    }
    Ok(())
}
