//! Namespaces that live on another program's key, and how they come by one of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::client::Persistence as _;

use super::{
    Error, Namespace,
    namespace::Durability,
    persist::{Stored, insert},
};

/// That a namespace's key is another program's, and what is known of that program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrowed {
    /// The program, by name.
    pub program: String,
    /// Where the key was read, if it came from a file or a directory.
    pub path: Option<PathBuf>,
    /// Whether the device and the layer that the namespace has on record are those that the program itself names to the server. If not, they are
    /// nobody's, and nothing may be said to the server.
    pub introduces: bool,
    /// When it was borrowed, in Unix seconds.
    pub since: i64,
}

const KEY: &str = "borrowed";

impl Namespace {
    /// Whose key this namespace lives on; `None` if it has one of its own, or none.
    ///
    /// # Errors
    ///
    /// Reading can fail as any access can, see [`Error`].
    pub fn borrowed(&self) -> Result<Option<Borrowed>, Error> {
        self.record(KEY)
    }

    /// Notes that the namespace's key is another program's. To be called before the key is stored, so that it is never taken for one's own.
    ///
    /// # Errors
    ///
    /// Writing can fail as any access can, see [`Error`].
    pub fn set_borrowed(&self, borrowed: &Borrowed) -> Result<(), Error> {
        self.set_record(KEY, borrowed)
    }

    /// Takes over another namespace's login, keys and all, in place of the borrowed one: all at once, or not at all. What is known of chats
    /// and of unfinished transfers stays, and how far updates were followed: the account is the same. Temporary keys are made anew.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToTake`] where the other one has no login; otherwise as any access can, see [`Error`].
    pub fn take_login(&self, other: &Self) -> Result<(), Error> {
        let nothing = || Error::NothingToTake { name: other.name().to_string() };
        let auths = other.dc_auths().map_err(|_| nothing())?;
        let (home, identity, account) = (other.meta("home_dc")?, other.meta("identity")?, other.meta("account")?);
        if !auths.iter().any(|auth| auth.authorized) || home.is_none() || account.is_none() {
            return Err(nothing());
        }
        // Sealed for this namespace, whatever the other one is.
        let stored = auths.iter().map(|auth| Stored::of(self, auth)).collect::<Result<Vec<_>, _>>()?;
        self.write(Durability::Full, |t| {
            t.execute_batch("DELETE FROM temp_auth; DELETE FROM dc_auth;")?;
            t.execute("DELETE FROM meta WHERE key IN ('home_dc', 'identity', 'account', 'ended', ?1)", [KEY])?;
            for (auth, stored) in auths.iter().zip(&stored) {
                insert(t, "INSERT", auth, stored)?;
            }
            for (key, value) in [("home_dc", &home), ("identity", &identity), ("account", &account)] {
                if let Some(value) = value {
                    t.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, value.as_str()])?;
                }
            }
            Ok(())
        })?;
        // The borrowed key does not stay in the log.
        self.checkpoint()
    }
}

#[cfg(test)]
mod tests {
    use crate::client::{AccountRecord, AuthKey, DcAuth, DeviceProfile, Identity, PeerKind, PeerRecord};
    use crate::ids::DcId;
    use crate::store::Home;

    use super::*;

    fn fill(namespace: &Namespace, key: u8, user_id: i64) {
        let auth = DcAuth {
            dc: DcId(2),
            auth_key: AuthKey::from_bytes(&[key; 256]),
            salts: Vec::new(),
            time_offset: 3,
            authorized: true,
            created_at: 7,
        };
        namespace.save_dc_auth(&auth).expect("saved");
        namespace.set_home_dc(DcId(2)).expect("saved");
        let identity = Identity { device: DeviceProfile::default(), layer: 200 + i32::from(key), api_id: 5 };
        namespace.save_identity(&identity).expect("saved");
        let account =
            AccountRecord { user_id, is_bot: false, name: "Ada".into(), username: None, phone: None, logged_in_at: 7 };
        namespace.save_account(&account).expect("saved");
    }

    #[test]
    fn a_borrowed_key_is_replaced_and_the_rest_stays() {
        let dir = tempfile::tempdir().expect("directory");
        let home = Home::at(dir.path());
        let open = |name: &str| home.open(&name.parse().expect("a name"), 7).expect("opened");
        let (lent, own) = (open("lent"), open("own"));
        assert_eq!(lent.borrowed().expect("read"), None);
        let borrowed = Borrowed { program: "Telegram Desktop".into(), path: Some("/tdata".into()), introduces: true, since: 7 };
        lent.set_borrowed(&borrowed).expect("written");
        assert_eq!(lent.borrowed().expect("read"), Some(borrowed));
        fill(&lent, 1, 9);
        let peer = PeerRecord { kind: PeerKind::User, id: 4, access_hash: 5, username: None, title: "Bob".into() };
        lent.save_peers(std::slice::from_ref(&peer)).expect("saved");

        assert!(matches!(lent.take_login(&own), Err(Error::NothingToTake { name }) if name == "own"));
        assert_eq!(lent.dc_auth(DcId(2)).expect("read").expect("still there").auth_key, AuthKey::from_bytes(&[1; 256]));

        fill(&own, 2, 9);
        lent.take_login(&own).expect("taken");
        let now = lent.dc_auth(DcId(2)).expect("read").expect("there");
        assert!(now.auth_key == AuthKey::from_bytes(&[2; 256]) && now.authorized);
        assert_eq!(lent.identity().expect("read").expect("there").layer, 202);
        assert_eq!(lent.borrowed().expect("read"), None);
        assert_eq!(lent.peers().expect("read"), [peer]);
        let bytes: Vec<u8> = ["", "-wal"]
            .iter()
            .flat_map(|suffix| {
                let mut path = lent.path().as_os_str().to_owned();
                path.push(suffix);
                std::fs::read(path).unwrap_or_default()
            })
            .collect();
        assert!(!bytes.windows(256).any(|bytes| bytes == [1; 256]), "nothing is left of the borrowed key");
    }

    #[test]
    fn whoever_forgets_a_borrowed_key_has_borrowed_none() {
        let dir = tempfile::tempdir().expect("directory");
        let namespace = Home::at(dir.path()).open(&"lent".parse().expect("a name"), 7).expect("opened");
        let borrowed = Borrowed { program: "Telethon".into(), path: None, introduces: false, since: 7 };
        namespace.set_borrowed(&borrowed).expect("written");
        fill(&namespace, 1, 9);
        namespace.forget_all().expect("forgotten");
        assert_eq!(namespace.borrowed().expect("read"), None);
    }
}
