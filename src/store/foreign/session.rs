//! An authorization of another program, as a value, and what a client needs of it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use crate::{
    client::{AccountRecord, DcAuth, DcTable, DeviceProfile, Identity, MemoryPersistence, Persistence},
    crypto::AuthKey,
    ids::DcId,
};

use super::{Error, Format};

/// The largest id that Telegram gives to a user: they fit in 52 bits.
const MAX_USER_ID: i64 = (1 << 52) - 1;

/// What another program's session holds, as far as its format can tell. The keys are wiped when this is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignSession {
    /// What it was read from, or what it is to be written as.
    pub format: Format,
    /// The file or directory in which it was found; none for a string.
    pub path: Option<PathBuf>,
    /// Its name, where one place holds several: `data` and `data#2` in `tdata`, the namespace in the Go tool's storage.
    pub name: Option<String>,
    /// The account's home DC.
    pub home_dc: DcId,
    /// The authorization keys by DC. That of the home DC is among them.
    pub keys: BTreeMap<DcId, AuthKey>,
    /// The home DC's address, if the format has it.
    pub address: Option<SocketAddr>,
    /// The account's id, if the format has it.
    pub user_id: Option<i64>,
    /// Whether the account is a bot, if the format says so.
    pub is_bot: Option<bool>,
    /// Whether it belongs to Telegram's test DCs, if the format says so.
    pub test: Option<bool>,
    /// The application with whose id the key was logged in, if the format has it.
    pub api_id: Option<i32>,
    /// How the program that owns the key introduces itself.
    pub owner: Owner,
}

/// How the owner of a key introduces itself to the server with `initConnection`, as far as the source tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Device model.
    pub device_model: Option<String>,
    /// Operating system and its version.
    pub system_version: Option<String>,
    /// Application version.
    pub app_version: Option<String>,
    /// The system's language.
    pub system_lang_code: Option<String>,
    /// Language pack.
    pub lang_pack: Option<String>,
    /// The interface's language.
    pub lang_code: Option<String>,
    /// The API layer that it negotiates.
    pub layer: Option<i32>,
}

impl ForeignSession {
    /// A session with one key, and nothing else known.
    ///
    /// # Errors
    ///
    /// [`Error::BadDc`] for a number that no DC has; [`Error::NotLoggedIn`] for a key of zeros only, which stands for none.
    pub fn new(format: Format, home_dc: i64, key: &AuthKey) -> Result<Self, Error> {
        let home_dc = dc(home_dc)?;
        if is_empty(key) {
            return Err(Error::NotLoggedIn);
        }
        Ok(Self {
            format,
            path: None,
            name: None,
            home_dc,
            keys: BTreeMap::from([(home_dc, key.clone())]),
            address: None,
            user_id: None,
            is_bot: None,
            test: None,
            api_id: None,
            owner: Owner::default(),
        })
    }

    /// The key of the home DC.
    ///
    /// # Errors
    ///
    /// [`Error::NoHomeKey`] if it was taken out of [`keys`](Self::keys).
    pub fn home_key(&self) -> Result<&AuthKey, Error> {
        self.keys.get(&self.home_dc).ok_or(Error::NoHomeKey { dc: self.home_dc.0 })
    }

    /// Takes the account's id; 0 stands for "not known".
    ///
    /// # Errors
    ///
    /// [`Error::BadUserId`].
    pub fn set_user_id(&mut self, id: i64) -> Result<(), Error> {
        if !(0..=MAX_USER_ID).contains(&id) {
            return Err(Error::BadUserId { found: id });
        }
        self.user_id = (id != 0).then_some(id);
        Ok(())
    }

    /// As what a client on this key has to introduce itself: as the key's owner does, as far as that is known, and as `base` says otherwise.
    pub fn identity(&self, base: &Identity) -> Identity {
        Identity {
            device: self.owner.profile(&base.device),
            layer: self.owner.layer.unwrap_or(base.layer),
            api_id: self.api_id.unwrap_or(base.api_id),
        }
    }

    /// Puts the keys, the home DC, the account and `identity` into a client's store, which should be empty. `now` is local Unix time in
    /// seconds.
    ///
    /// Only the home DC's key is marked as logged in: whether the account's authorization was imported under another key, no format tells.
    ///
    /// # Errors
    ///
    /// [`Error::NoHomeKey`]; [`Error::Store`] where the store refuses.
    pub fn fill(&self, store: &dyn Persistence, identity: &Identity, now: i64) -> Result<(), Error> {
        self.home_key()?;
        for (dc, key) in &self.keys {
            store.save_dc_auth(&DcAuth {
                dc: *dc,
                auth_key: key.clone(),
                salts: Vec::new(),
                time_offset: 0,
                authorized: *dc == self.home_dc,
                created_at: now,
            })?;
        }
        store.set_home_dc(self.home_dc)?;
        store.save_identity(identity)?;
        if let Some(user_id) = self.user_id {
            store.save_account(&AccountRecord {
                user_id,
                is_bot: self.is_bot.unwrap_or(false),
                name: String::new(),
                username: None,
                phone: None,
                logged_in_at: now,
            })?;
        }
        Ok(())
    }

    /// A store in memory that holds this session and nothing else: a client made on it leaves no trace of the key on the disk.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub fn memory(&self, identity: &Identity, now: i64) -> Result<MemoryPersistence, Error> {
        let store = MemoryPersistence::new();
        self.fill(&store, identity, now)?;
        Ok(store)
    }

    /// The session that a namespace holds, to be written for another program. `table` says where the home DC is and whether all of this is
    /// a test.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoggedIn`] where the namespace has no key that is logged in; [`Error::Store`].
    pub fn from_store(store: &dyn Persistence, table: &DcTable) -> Result<Self, Error> {
        let auths = store.dc_auths()?;
        let home = match store.home_dc()? {
            Some(dc) => dc,
            None => auths.iter().find(|auth| auth.authorized).ok_or(Error::NotLoggedIn)?.dc,
        };
        let main = auths.iter().find(|auth| auth.dc == home && auth.authorized).ok_or(Error::NotLoggedIn)?;
        let mut session = Self::new(Format::Tdl, i64::from(home.0), &main.auth_key)?;
        // A key that is not logged in would only confuse the other program, which takes what it finds for one that is.
        for auth in auths.iter().filter(|auth| auth.authorized) {
            session.keys.insert(auth.dc, auth.auth_key.clone());
        }
        session.address = table.addresses(home, false, false).first().copied();
        session.test = Some(table.test);
        if let Some(account) = store.account()? {
            session.set_user_id(account.user_id)?;
            session.is_bot = Some(account.is_bot);
        }
        if let Some(Identity { device, layer, api_id }) = store.identity()? {
            session.api_id = (api_id != 0).then_some(api_id);
            session.owner = Owner::from(device);
            session.owner.layer = Some(layer);
        }
        Ok(session)
    }
}

impl Owner {
    /// A device profile with what is known here, and with `base` for the rest.
    pub fn profile(&self, base: &DeviceProfile) -> DeviceProfile {
        let or = |known: &Option<String>, base: &String| known.as_ref().unwrap_or(base).clone();
        DeviceProfile {
            name: base.name.clone(),
            device_model: or(&self.device_model, &base.device_model),
            system_version: or(&self.system_version, &base.system_version),
            app_version: or(&self.app_version, &base.app_version),
            system_lang_code: or(&self.system_lang_code, &base.system_lang_code),
            lang_pack: or(&self.lang_pack, &base.lang_pack),
            lang_code: or(&self.lang_code, &base.lang_code),
            // No source tells them.
            params: base.params.clone(),
        }
    }
}

impl From<DeviceProfile> for Owner {
    fn from(device: DeviceProfile) -> Self {
        let DeviceProfile {
            name: _,
            device_model,
            system_version,
            app_version,
            system_lang_code,
            lang_pack,
            lang_code,
            params: _,
        } = device;
        Self {
            device_model: Some(device_model),
            system_version: Some(system_version),
            app_version: Some(app_version),
            system_lang_code: Some(system_lang_code),
            lang_pack: Some(lang_pack),
            lang_code: Some(lang_code),
            layer: None,
        }
    }
}

/// A short line for people: the format, the name, who, and where. No secret.
impl fmt::Display for ForeignSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.format)?;
        if let Some(name) = &self.name {
            write!(f, " '{}'", name.escape_debug())?;
        }
        if let Some(user_id) = self.user_id {
            write!(f, ", user {user_id}")?;
        }
        write!(f, ", {}", self.home_dc)
    }
}

/// A DC's number, as any format writes it.
pub(super) fn dc(number: i64) -> Result<DcId, Error> {
    match i32::try_from(number) {
        Ok(dc) if (1..=1000).contains(&dc) => Ok(DcId(dc)),
        _ => Err(Error::BadDc { found: number }),
    }
}

/// A key of 256 bytes.
pub(super) fn key(bytes: &[u8]) -> Result<AuthKey, Error> {
    AuthKey::try_from_slice(bytes).map_err(|wrong| Error::BadKeyLength { found: wrong.found })
}

/// Whether a key is all zeros: some programs write that for "no key yet". Takes the same time for any key.
pub(super) fn is_empty(key: &AuthKey) -> bool {
    crate::crypto::constant_time_eq(key.as_bytes(), &[0; AuthKey::LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth_key(seed: u8) -> AuthKey {
        AuthKey::from_bytes(&[seed; 256])
    }

    fn identity() -> Identity {
        Identity { device: DeviceProfile::default(), layer: 225, api_id: 17 }
    }

    #[test]
    fn a_session_needs_a_dc_and_a_key() {
        for wrong in [0, -1, 1001, i64::MAX] {
            let error = ForeignSession::new(Format::Tdl, wrong, &auth_key(1)).unwrap_err();
            assert!(matches!(error, Error::BadDc { found } if found == wrong));
        }
        assert!(matches!(ForeignSession::new(Format::Tdl, 2, &auth_key(0)), Err(Error::NotLoggedIn)));
        assert!(matches!(key(&[1; 255]), Err(Error::BadKeyLength { found: 255 })));
        let mut session = ForeignSession::new(Format::Tdl, 2, &auth_key(1)).unwrap();
        for wrong in [-1, 1 << 52] {
            assert!(matches!(session.set_user_id(wrong), Err(Error::BadUserId { found }) if found == wrong));
        }
        session.keys.clear();
        assert!(matches!(session.home_key(), Err(Error::NoHomeKey { dc: 2 })));
        assert!(matches!(session.memory(&identity(), 0), Err(Error::NoHomeKey { dc: 2 })));
    }

    #[test]
    fn a_client_finds_in_memory_what_it_needs() {
        let mut session = ForeignSession::new(Format::Tdata, 4, &auth_key(4)).unwrap();
        session.keys.insert(DcId(2), auth_key(2));
        session.set_user_id(77).unwrap();
        session.owner.layer = Some(214);
        session.owner.app_version = Some("6.1.4".into());
        let identity = session.identity(&identity());
        assert_eq!((identity.layer, identity.api_id, identity.device.app_version.as_str()), (214, 17, "6.1.4"));
        assert_eq!(identity.device.device_model, DeviceProfile::default().device_model);
        let store = session.memory(&identity, 5).unwrap();
        assert_eq!(store.home_dc().unwrap(), Some(DcId(4)));
        let home = store.dc_auth(DcId(4)).unwrap().unwrap();
        assert!(home.authorized && home.auth_key == auth_key(4));
        assert!(!store.dc_auth(DcId(2)).unwrap().unwrap().authorized);
        assert_eq!(store.account().unwrap().unwrap().user_id, 77);
        assert_eq!(store.identity().unwrap(), Some(identity));
    }

    #[test]
    fn a_store_becomes_a_session_without_the_keys_that_are_not_logged_in() {
        let table = DcTable::public_test();
        let store = MemoryPersistence::new();
        assert!(matches!(ForeignSession::from_store(&store, &table), Err(Error::NotLoggedIn)));
        let mut session = ForeignSession::new(Format::Tdl, 2, &auth_key(2)).unwrap();
        session.keys.insert(DcId(3), auth_key(3));
        session.set_user_id(9).unwrap();
        session.fill(&store, &identity(), 5).unwrap();
        let read = ForeignSession::from_store(&store, &table).unwrap();
        assert_eq!(read.keys.keys().copied().collect::<Vec<_>>(), [DcId(2)]);
        assert_eq!((read.home_dc, read.user_id, read.is_bot, read.test), (DcId(2), Some(9), Some(false), Some(true)));
        assert_eq!(read.address, Some("149.154.167.40:443".parse().unwrap()));
        assert_eq!((read.api_id, read.owner.layer), (Some(17), Some(225)));
        store.set_authorized(DcId(3), auth_key(3).id(), true).unwrap();
        assert_eq!(ForeignSession::from_store(&store, &table).unwrap().keys.len(), 2);
        store.set_authorized(DcId(2), auth_key(2).id(), false).unwrap();
        assert!(matches!(ForeignSession::from_store(&store, &table), Err(Error::NotLoggedIn)));
    }

    #[test]
    fn nothing_printed_shows_a_key() {
        let session = ForeignSession::new(Format::Tdl, 2, &auth_key(0xa7)).unwrap();
        for text in [format!("{session}"), format!("{session:?}")] {
            assert!(!text.contains("a7a7") && !text.contains("167, 167"), "{text}");
        }
    }
}
