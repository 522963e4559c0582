//! The bridge's keys at the data centres: one for each permanent key of a client, so that who is logged in with the one is logged in with
//! the other, and logging out ends both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{OptionalExtension as _, params};

use crate::crypto::AuthKey;
use crate::ids::DcId;
use crate::mtproto::handshake::client::Established;
use crate::mtproto::session::FutureSalt;
use crate::net::{KeyMaterial, KeySlot};
use crate::sandbox::state::{Error, State};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS upstream_keys (dc INTEGER NOT NULL, client INTEGER NOT NULL, key BLOB NOT NULL, \
                     time_offset INTEGER NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (dc, client)) WITHOUT ROWID";

/// Under this name the state says which data centres it belongs to.
const BELONGS_TO: &str = "bridge_to";

/// Whether the state was made for the data centres with this name, which is written down if it is new.
pub(super) fn belongs_to(state: &State, name: &str) -> Result<bool, Error> {
    state.write(|tx| tx.execute_batch(TABLE).map_err(Error::from))?;
    match state.meta(BELONGS_TO)? {
        Some(found) => Ok(found == name.as_bytes()),
        None => state.set_meta(BELONGS_TO, name.as_bytes()).map(|()| true),
    }
}

/// The slots in which connections find their keys.
#[derive(Default)]
pub(super) struct Keys(Mutex<HashMap<(i32, i64), Arc<KeySlot>>>);

impl Keys {
    /// The slot of the key that stands for a client's permanent one, filled if the state has that key.
    pub(super) fn slot(&self, state: &State, dc: i32, client: i64) -> Result<Arc<KeySlot>, Error> {
        if let Some(slot) = self.lock().get(&(dc, client)) {
            return Ok(Arc::clone(slot));
        }
        let stored = stored(state, dc, client)?;
        Ok(Arc::clone(self.lock().entry((dc, client)).or_insert_with(|| Arc::new(KeySlot::new(stored)))))
    }

    /// Keeps a key that was made.
    pub(super) fn add(state: &State, dc: i32, client: i64, made: &Established, now: i64) -> Result<KeyMaterial, Error> {
        state.write(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO upstream_keys (dc, client, key, time_offset, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![dc, client, made.auth_key.as_bytes().as_slice(), made.time_offset, now],
            )?;
            Ok::<_, Error>(())
        })?;
        Ok(KeyMaterial {
            auth_key: made.auth_key.clone(),
            salts: vec![FutureSalt::unlimited(made.salt)],
            time_offset: made.time_offset,
            created_at: now,
        })
    }

    /// Forgets a client's key, the temporary ones that are bound to it, and the one that stood for it. Whether the client's was known.
    pub(super) fn forget(&self, state: &State, dc: i32, client: i64) -> Result<bool, Error> {
        state.write(|tx| {
            tx.execute("DELETE FROM upstream_keys WHERE dc = ?1 AND client = ?2", params![dc, client])?;
            Ok::<_, Error>(())
        })?;
        self.lock().remove(&(dc, client));
        state.remove_auth_key(DcId(dc), client)
    }

    /// Slots are put in and taken out whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<(i32, i64), Arc<KeySlot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Salts are not kept: with none, the first message of a session is refused with the right one, and sent again.
fn stored(state: &State, dc: i32, client: i64) -> Result<Option<KeyMaterial>, Error> {
    let row: Option<(Vec<u8>, i64, i64)> = state.read(|db| {
        db.query_row(
            "SELECT key, time_offset, created FROM upstream_keys WHERE dc = ?1 AND client = ?2",
            params![dc, client],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .map_err(Error::from)
    })?;
    let Some((bytes, time_offset, created_at)) = row else { return Ok(None) };
    let bytes = zeroize::Zeroizing::new(bytes);
    let auth_key = AuthKey::try_from_slice(&bytes).map_err(|_| Error::Damaged("auth key"))?;
    Ok(Some(KeyMaterial { auth_key, salts: Vec::new(), time_offset, created_at }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Salt;
    use rand::SeedableRng as _;

    const NOW: i64 = 1_790_000_000;

    fn open(dir: &std::path::Path) -> State {
        State::open(dir, NOW, &mut rand::rngs::StdRng::from_seed([1; 32])).unwrap()
    }

    fn made(byte: u8) -> Established {
        Established {
            auth_key: AuthKey::from_bytes(&[byte; 256]),
            salt: Salt(5),
            time_offset: -3,
            kind: crate::mtproto::handshake::KeyKind::Permanent,
        }
    }

    #[test]
    fn a_key_stands_for_one_of_a_clients_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (state, keys) = (open(dir.path()), Keys::default());
        assert!(belongs_to(&state, "here").unwrap());
        let client = AuthKey::from_bytes(&[1; 256]);
        state.add_auth_key(DcId(2), &client, Salt(0), None, NOW, "").unwrap();
        assert!(keys.slot(&state, 2, client.id()).unwrap().current().is_none());
        let material = Keys::add(&state, 2, client.id(), &made(9), NOW).unwrap();
        keys.slot(&state, 2, client.id()).unwrap().set(material);
        // Another run finds it; another data centre and another key have none.
        let again = Keys::default();
        let found = again.slot(&state, 2, client.id()).unwrap().current().unwrap();
        assert_eq!((found.auth_key.id(), found.time_offset, found.created_at), (made(9).auth_key.id(), -3, NOW));
        assert!(again.slot(&state, 1, client.id()).unwrap().current().is_none());
        assert!(again.slot(&state, 2, 77).unwrap().current().is_none());

        assert!(keys.forget(&state, 2, client.id()).unwrap());
        assert!(state.auth_key(DcId(2), client.id(), NOW).unwrap().is_none());
        assert!(keys.slot(&state, 2, client.id()).unwrap().current().is_none());
        assert!(!keys.forget(&state, 2, client.id()).unwrap());
    }

    #[test]
    fn a_state_belongs_to_the_data_centres_it_was_made_for() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path());
        assert!(belongs_to(&state, "here").unwrap() && belongs_to(&state, "here").unwrap());
        assert!(!belongs_to(&state, "there").unwrap());
    }
}
