//! What a client remembers between runs, and the trait through which it remembers.
//!
//! The client calls a [`Persistence`] *before* it relies on a fact: an auth key is saved before the first message under it, a home DC
//! before the first request to it. So a process that dies at any moment never repeats a key exchange or a login. Calls are short and
//! synchronous; an implementation commits before it returns. Several processes may share one store: a record that belongs to an auth key
//! (salts, the login flag) is therefore addressed by DC *and* key id, and is dropped when the key in the store is another one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::{DcId, Salt};

use super::device::DeviceProfile;
use super::error::Unauthorized;
use super::updates::UpdateState;
use crate::net::KeyUse;

pub use crate::crypto::AuthKey;

/// A server salt with the period in which it may be used ("Service Messages", `future_salt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaltRecord {
    /// The salt.
    pub salt: Salt,
    /// Server Unix time from which it is valid, in seconds.
    pub since: i64,
    /// Server Unix time until which it is valid, in seconds.
    pub until: i64,
}

/// One data centre's auth key and all that belongs to it.
#[derive(Clone)]
pub struct DcAuth {
    /// The data centre, by its plain number (1 to 5 in production), also when the cluster is a test one.
    pub dc: DcId,
    /// The permanent auth key.
    pub auth_key: AuthKey,
    /// Salts known, oldest first. May be empty: the server then teaches one.
    pub salts: Vec<SaltRecord>,
    /// Server time minus local time, in seconds.
    pub time_offset: i64,
    /// Whether the account is logged in under this key: signed in here, or its authorization was imported here.
    pub authorized: bool,
    /// Local Unix time of the key exchange, in seconds.
    pub created_at: i64,
}

impl std::fmt::Debug for DcAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DcAuth")
            .field("dc", &self.dc)
            .field("key_id", &format_args!("{:#018x}", self.auth_key.id()))
            .field("salts", &self.salts.len())
            .field("time_offset", &self.time_offset)
            .field("authorized", &self.authorized)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// A temporary key that is bound to a DC's permanent one, for one kind of connection ("Perfect Forward Secrecy"). It is kept so that a
/// command which runs for a second does not begin with a key exchange; it is worth nothing once it has ended.
#[derive(Clone)]
pub struct TempAuth {
    /// The data centre, by its plain number.
    pub dc: DcId,
    /// What kind of connection it is for.
    pub key_use: KeyUse,
    /// The permanent key that it is bound to.
    pub perm_key_id: i64,
    /// The temporary key.
    pub auth_key: AuthKey,
    /// Salts known, oldest first.
    pub salts: Vec<SaltRecord>,
    /// Server time minus local time, in seconds.
    pub time_offset: i64,
    /// When it was made, in Unix time by the server's clock.
    pub created_at: i64,
    /// When it ends, in Unix time by the server's clock.
    pub expires_at: i64,
}

impl std::fmt::Debug for TempAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TempAuth")
            .field("dc", &self.dc)
            .field("key_use", &self.key_use)
            .field("key_id", &format_args!("{:#018x}", self.auth_key.id()))
            .field("perm_key_id", &format_args!("{:#018x}", self.perm_key_id))
            .field("salts", &self.salts.len())
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// How the authorization introduces itself: sent with `initConnection`, kept with the login it was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device profile.
    pub device: DeviceProfile,
    /// The API layer negotiated.
    pub layer: i32,
    /// The application's id.
    pub api_id: i32,
}

/// Who is logged in. No secrets: the phone number is redacted before it comes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The user's id.
    pub user_id: i64,
    /// Whether it is a bot.
    pub is_bot: bool,
    /// First and last name.
    pub name: String,
    /// The main username, without `@`.
    pub username: Option<String>,
    /// The phone number with its middle digits replaced by `*`.
    pub phone: Option<String>,
    /// Local Unix time of the login, in seconds.
    pub logged_in_at: i64,
}

/// How an authorization ended. It is kept until a login replaces it or somebody clears it, and nothing is asked under it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRecord {
    /// What the server said.
    pub reason: Unauthorized,
    /// When, in local Unix time.
    pub at: i64,
}

/// What kind of peer a [`PeerRecord`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerKind {
    /// A user or a bot.
    User,
    /// A basic group: has no access hash.
    Chat,
    /// A channel or a supergroup.
    Channel,
}

/// A peer seen in an answer, with what is needed to address it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    /// User, basic group or channel.
    pub kind: PeerKind,
    /// The bare id, positive (no `-100` prefix).
    pub id: i64,
    /// The access hash under this authorization; 0 for basic groups.
    pub access_hash: i64,
    /// The main username, without `@`.
    pub username: Option<String>,
    /// Name of a user, title of a group or channel.
    pub title: String,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PersistenceError {
    /// The store cannot be read or written: disk, permissions, locks.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A record is there but makes no sense, for instance a key that is not 256 bytes.
    #[error("the store holds a damaged record: {what}")]
    Corrupt {
        /// Which record, and what is wrong with it. Never its content.
        what: &'static str,
    },
}

/// What a client remembers. See the module's head for the rules.
pub trait Persistence: Send + Sync {
    /// The auth key of one DC.
    fn dc_auth(&self, dc: DcId) -> Result<Option<DcAuth>, PersistenceError>;

    /// The auth keys of all DCs, by DC number.
    fn dc_auths(&self) -> Result<Vec<DcAuth>, PersistenceError>;

    /// Stores a fresh key unless the DC has one already, and returns the record that is in the store afterwards: another process may
    /// have been faster, and then its key is the one to use.
    fn insert_dc_auth(&self, auth: &DcAuth) -> Result<DcAuth, PersistenceError>;

    /// Stores a record, in place of whatever the DC had.
    fn save_dc_auth(&self, auth: &DcAuth) -> Result<(), PersistenceError>;

    /// Replaces salts and time offset of the key with this id. Does nothing when the DC's key is another one.
    fn save_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError>;

    /// Notes whether the account is logged in under the key with this id. Does nothing when the DC's key is another one.
    fn set_authorized(&self, dc: DcId, key_id: i64, authorized: bool) -> Result<(), PersistenceError>;

    /// The temporary key for one kind of connection to a DC, if it is bound to the key that the DC has. It may have ended.
    fn temp_auth(&self, dc: DcId, key_use: KeyUse) -> Result<Option<TempAuth>, PersistenceError>;

    /// The temporary keys of all DCs, by DC number and use, each bound to the key that its DC has.
    fn temp_auths(&self) -> Result<Vec<TempAuth>, PersistenceError>;

    /// Stores a temporary key, in place of the one for the same use. Does nothing when the DC's key is not the one that it is bound to.
    fn save_temp_auth(&self, auth: &TempAuth) -> Result<(), PersistenceError>;

    /// Replaces salts and time offset of the temporary key with this id. Does nothing when there is no such key.
    fn save_temp_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError>;

    /// Removes the temporary key with this id.
    fn forget_temp_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError>;

    /// Removes the key of a DC, if it is the one with this id, and the temporary keys that are bound to it.
    fn forget_dc_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError>;

    /// The account's home DC, once known.
    fn home_dc(&self) -> Result<Option<DcId>, PersistenceError>;

    /// Stores the account's home DC.
    fn set_home_dc(&self, dc: DcId) -> Result<(), PersistenceError>;

    /// What the authorization introduces itself as.
    fn identity(&self) -> Result<Option<Identity>, PersistenceError>;

    /// Stores what the authorization introduces itself as.
    fn save_identity(&self, identity: &Identity) -> Result<(), PersistenceError>;

    /// Who is logged in.
    fn account(&self) -> Result<Option<AccountRecord>, PersistenceError>;

    /// Stores who is logged in.
    fn save_account(&self, account: &AccountRecord) -> Result<(), PersistenceError>;

    /// How the authorization ended, if it has.
    fn ended(&self) -> Result<Option<EndedRecord>, PersistenceError>;

    /// Stores that the authorization has ended. What it was stays. The first record stays as well: what comes later says less.
    fn save_ended(&self, ended: &EndedRecord) -> Result<(), PersistenceError>;

    /// Removes the record of an authorization's end: a login has replaced it.
    fn clear_ended(&self) -> Result<(), PersistenceError>;

    /// Stores peers, each replacing the record of the same kind and id.
    fn save_peers(&self, peers: &[PeerRecord]) -> Result<(), PersistenceError>;

    /// One peer by kind and bare id.
    fn peer(&self, kind: PeerKind, id: i64) -> Result<Option<PeerRecord>, PersistenceError>;

    /// One peer by username, without `@`, ASCII case ignored.
    fn peer_by_username(&self, username: &str) -> Result<Option<PeerRecord>, PersistenceError>;

    /// All peers, by kind and id.
    fn peers(&self) -> Result<Vec<PeerRecord>, PersistenceError>;

    /// How far the account's updates have been followed.
    fn update_state(&self) -> Result<Option<UpdateState>, PersistenceError>;

    /// Stores how far the account's updates have been followed; `None` forgets it. It need not survive a power cut: what is told again then
    /// is not lost.
    fn save_update_state(&self, state: Option<&UpdateState>) -> Result<(), PersistenceError>;

    /// Removes everything: keys, home DC, identity, account, peers, how far updates have been followed and how it ended.
    fn forget_all(&self) -> Result<(), PersistenceError>;
}

/// A [`Persistence`] that forgets with the process: tests, harnesses, one-off calls.
#[derive(Default)]
pub struct MemoryPersistence {
    state: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    auths: BTreeMap<DcId, DcAuth>,
    temp: BTreeMap<(DcId, KeyUse), TempAuth>,
    home_dc: Option<DcId>,
    identity: Option<Identity>,
    account: Option<AccountRecord>,
    ended: Option<EndedRecord>,
    peers: HashMap<(PeerKind, i64), PeerRecord>,
    updates: Option<UpdateState>,
}

impl MemoryPersistence {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere while the lock was held leaves whole records: each call below changes one.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_key(&self, dc: DcId, key_id: i64, change: impl FnOnce(&mut DcAuth)) {
        if let Some(auth) = self.lock().auths.get_mut(&dc).filter(|auth| auth.auth_key.id() == key_id) {
            change(auth);
        }
    }
}

impl Memory {
    /// Whether a temporary key is bound to the key that its DC has.
    fn is_bound(&self, temp: &TempAuth) -> bool {
        self.auths.get(&temp.dc).is_some_and(|auth| auth.auth_key.id() == temp.perm_key_id)
    }
}

impl Persistence for MemoryPersistence {
    fn dc_auth(&self, dc: DcId) -> Result<Option<DcAuth>, PersistenceError> {
        Ok(self.lock().auths.get(&dc).cloned())
    }

    fn dc_auths(&self) -> Result<Vec<DcAuth>, PersistenceError> {
        Ok(self.lock().auths.values().cloned().collect())
    }

    fn insert_dc_auth(&self, auth: &DcAuth) -> Result<DcAuth, PersistenceError> {
        Ok(self.lock().auths.entry(auth.dc).or_insert_with(|| auth.clone()).clone())
    }

    fn save_dc_auth(&self, auth: &DcAuth) -> Result<(), PersistenceError> {
        self.lock().auths.insert(auth.dc, auth.clone());
        Ok(())
    }

    fn save_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError> {
        self.with_key(dc, key_id, |auth| {
            auth.salts = salts.to_vec();
            auth.time_offset = time_offset;
        });
        Ok(())
    }

    fn set_authorized(&self, dc: DcId, key_id: i64, authorized: bool) -> Result<(), PersistenceError> {
        self.with_key(dc, key_id, |auth| auth.authorized = authorized);
        Ok(())
    }

    fn temp_auth(&self, dc: DcId, key_use: KeyUse) -> Result<Option<TempAuth>, PersistenceError> {
        let state = self.lock();
        Ok(state.temp.get(&(dc, key_use)).filter(|temp| state.is_bound(temp)).cloned())
    }

    fn temp_auths(&self) -> Result<Vec<TempAuth>, PersistenceError> {
        let state = self.lock();
        Ok(state.temp.values().filter(|temp| state.is_bound(temp)).cloned().collect())
    }

    fn save_temp_auth(&self, auth: &TempAuth) -> Result<(), PersistenceError> {
        let mut state = self.lock();
        if state.is_bound(auth) {
            state.temp.insert((auth.dc, auth.key_use), auth.clone());
        }
        Ok(())
    }

    fn save_temp_salts(&self, dc: DcId, key_id: i64, salts: &[SaltRecord], time_offset: i64) -> Result<(), PersistenceError> {
        for temp in self.lock().temp.values_mut().filter(|temp| temp.dc == dc && temp.auth_key.id() == key_id) {
            temp.salts = salts.to_vec();
            temp.time_offset = time_offset;
        }
        Ok(())
    }

    fn forget_temp_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError> {
        self.lock().temp.retain(|_, temp| temp.dc != dc || temp.auth_key.id() != key_id);
        Ok(())
    }

    fn forget_dc_auth(&self, dc: DcId, key_id: i64) -> Result<(), PersistenceError> {
        let mut state = self.lock();
        if state.auths.get(&dc).is_some_and(|auth| auth.auth_key.id() == key_id) {
            state.auths.remove(&dc);
        }
        state.temp.retain(|_, temp| temp.dc != dc || temp.perm_key_id != key_id);
        Ok(())
    }

    fn home_dc(&self) -> Result<Option<DcId>, PersistenceError> {
        Ok(self.lock().home_dc)
    }

    fn set_home_dc(&self, dc: DcId) -> Result<(), PersistenceError> {
        self.lock().home_dc = Some(dc);
        Ok(())
    }

    fn identity(&self) -> Result<Option<Identity>, PersistenceError> {
        Ok(self.lock().identity.clone())
    }

    fn save_identity(&self, identity: &Identity) -> Result<(), PersistenceError> {
        self.lock().identity = Some(identity.clone());
        Ok(())
    }

    fn account(&self) -> Result<Option<AccountRecord>, PersistenceError> {
        Ok(self.lock().account.clone())
    }

    fn save_account(&self, account: &AccountRecord) -> Result<(), PersistenceError> {
        self.lock().account = Some(account.clone());
        Ok(())
    }

    fn ended(&self) -> Result<Option<EndedRecord>, PersistenceError> {
        Ok(self.lock().ended.clone())
    }

    fn save_ended(&self, ended: &EndedRecord) -> Result<(), PersistenceError> {
        self.lock().ended.get_or_insert_with(|| ended.clone());
        Ok(())
    }

    fn clear_ended(&self) -> Result<(), PersistenceError> {
        self.lock().ended = None;
        Ok(())
    }

    fn save_peers(&self, peers: &[PeerRecord]) -> Result<(), PersistenceError> {
        let mut state = self.lock();
        for peer in peers {
            state.peers.insert((peer.kind, peer.id), peer.clone());
        }
        Ok(())
    }

    fn peer(&self, kind: PeerKind, id: i64) -> Result<Option<PeerRecord>, PersistenceError> {
        Ok(self.lock().peers.get(&(kind, id)).cloned())
    }

    fn peer_by_username(&self, username: &str) -> Result<Option<PeerRecord>, PersistenceError> {
        let named = |peer: &&PeerRecord| peer.username.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(username));
        Ok(self.lock().peers.values().find(named).cloned())
    }

    fn peers(&self) -> Result<Vec<PeerRecord>, PersistenceError> {
        let mut peers: Vec<_> = self.lock().peers.values().cloned().collect();
        peers.sort_by_key(|peer| (peer.kind, peer.id));
        Ok(peers)
    }

    fn update_state(&self) -> Result<Option<UpdateState>, PersistenceError> {
        Ok(self.lock().updates.clone())
    }

    fn save_update_state(&self, state: Option<&UpdateState>) -> Result<(), PersistenceError> {
        self.lock().updates = state.cloned();
        Ok(())
    }

    fn forget_all(&self) -> Result<(), PersistenceError> {
        *self.lock() = Memory::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(dc: i32, fill: u8) -> DcAuth {
        DcAuth {
            dc: DcId(dc),
            auth_key: AuthKey::from_bytes(&[fill; 256]),
            salts: Vec::new(),
            time_offset: 0,
            authorized: false,
            created_at: 0,
        }
    }

    #[test]
    fn the_first_key_of_a_dc_stays() {
        let store = MemoryPersistence::new();
        assert_eq!(store.insert_dc_auth(&auth(2, 1)).unwrap().auth_key.id(), auth(2, 1).auth_key.id());
        assert_eq!(store.insert_dc_auth(&auth(2, 9)).unwrap().auth_key.id(), auth(2, 1).auth_key.id());
        assert_eq!(store.dc_auths().unwrap().len(), 1);
    }

    #[test]
    fn what_belongs_to_another_key_is_dropped() {
        let store = MemoryPersistence::new();
        store.save_dc_auth(&auth(2, 1)).unwrap();
        let other = auth(2, 9).auth_key.id();
        store.save_salts(DcId(2), other, &[SaltRecord { salt: Salt(1), since: 0, until: 9 }], 5).unwrap();
        store.set_authorized(DcId(2), other, true).unwrap();
        store.forget_dc_auth(DcId(2), other).unwrap();
        let kept = store.dc_auth(DcId(2)).unwrap().unwrap();
        assert!(kept.salts.is_empty() && !kept.authorized && kept.time_offset == 0);

        let own = kept.auth_key.id();
        store.save_salts(DcId(2), own, &[SaltRecord { salt: Salt(1), since: 0, until: 9 }], 5).unwrap();
        store.set_authorized(DcId(2), own, true).unwrap();
        let kept = store.dc_auth(DcId(2)).unwrap().unwrap();
        assert!(kept.salts.len() == 1 && kept.authorized && kept.time_offset == 5);
        store.forget_dc_auth(DcId(2), own).unwrap();
        assert!(store.dc_auth(DcId(2)).unwrap().is_none());
    }

    fn temp(dc: i32, key_use: KeyUse, fill: u8, perm: u8) -> TempAuth {
        TempAuth {
            dc: DcId(dc),
            key_use,
            perm_key_id: auth(dc, perm).auth_key.id(),
            auth_key: AuthKey::from_bytes(&[fill; 256]),
            salts: Vec::new(),
            time_offset: 0,
            created_at: 10,
            expires_at: 20,
        }
    }

    #[test]
    fn temporary_keys_live_and_die_with_the_key_that_they_are_bound_to() {
        let store = MemoryPersistence::new();
        store.save_temp_auth(&temp(2, KeyUse::Main, 5, 1)).unwrap();
        assert!(store.temp_auths().unwrap().is_empty(), "bound to a key that is not there");
        store.save_dc_auth(&auth(2, 1)).unwrap();
        store.save_temp_auth(&temp(2, KeyUse::Main, 5, 1)).unwrap();
        store.save_temp_auth(&temp(2, KeyUse::Media, 6, 1)).unwrap();
        store.save_temp_auth(&temp(2, KeyUse::Main, 7, 1)).unwrap();
        let id = |temp: Option<TempAuth>| temp.map(|temp| temp.auth_key.id());
        let key = |fill| Some(temp(2, KeyUse::Main, fill, 1).auth_key.id());
        assert_eq!(id(store.temp_auth(DcId(2), KeyUse::Main).unwrap()), key(7));
        assert_eq!(id(store.temp_auth(DcId(2), KeyUse::Media).unwrap()), key(6));
        let salts = [SaltRecord { salt: Salt(1), since: 0, until: 9 }];
        store.save_temp_salts(DcId(2), key(6).unwrap(), &salts, 3).unwrap();
        let media = store.temp_auth(DcId(2), KeyUse::Media).unwrap().unwrap();
        assert_eq!((&media.salts[..], media.time_offset), (&salts[..], 3));
        store.forget_temp_auth(DcId(2), key(5).unwrap()).unwrap();
        store.forget_temp_auth(DcId(2), key(7).unwrap()).unwrap();
        assert_eq!(store.temp_auths().unwrap().len(), 1);
        store.save_dc_auth(&auth(2, 9)).unwrap();
        assert!(store.temp_auths().unwrap().is_empty(), "the DC has another key");
        store.save_dc_auth(&auth(2, 1)).unwrap();
        store.forget_dc_auth(DcId(2), auth(2, 1).auth_key.id()).unwrap();
        store.save_dc_auth(&auth(2, 1)).unwrap();
        assert!(store.temp_auths().unwrap().is_empty());
    }

    #[test]
    fn debug_output_has_no_key_material() {
        let text = format!("{:?}", temp(2, KeyUse::Main, 0xab, 1));
        assert!(!text.contains("171") && !text.to_lowercase().contains("abab"), "{text}");
        let text = format!("{:?}", auth(2, 0xab));
        assert!(!text.contains("171") && !text.to_lowercase().contains("abab"), "{text}");
    }
}
