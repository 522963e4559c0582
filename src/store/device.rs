//! Device profiles of a namespace: those that somebody made for it, and the one that is chosen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Error, Namespace, namespace::Durability};
use crate::client::DeviceProfile;

/// Where the profiles are among the small values, and where the name of the chosen one is.
const PROFILES: &str = "devices";
const CHOSEN: &str = "device";

/// Profiles that one namespace may have.
const MAX_PROFILES: usize = 64;

/// The stored form, apart from the type that the client works with: that may change, this may only grow.
#[derive(Serialize, Deserialize)]
pub(super) struct DeviceJson {
    name: String,
    device_model: String,
    system_version: String,
    app_version: String,
    system_lang_code: String,
    lang_pack: String,
    lang_code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    params: Option<serde_json::Value>,
}

impl From<&DeviceProfile> for DeviceJson {
    fn from(profile: &DeviceProfile) -> Self {
        let DeviceProfile { name, device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, params } =
            profile.clone();
        Self { name, device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, params }
    }
}

impl From<DeviceJson> for DeviceProfile {
    fn from(json: DeviceJson) -> Self {
        let DeviceJson { name, device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, params } =
            json;
        Self { name, device_model, system_version, app_version, system_lang_code, lang_pack, lang_code, params }
    }
}

impl Namespace {
    /// The profiles that somebody made for it, by name.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`] where they are damaged; otherwise as any access.
    pub fn devices(&self) -> Result<Vec<DeviceProfile>, Error> {
        let stored: Option<BTreeMap<String, DeviceJson>> = self.record(PROFILES)?;
        let profiles: Vec<DeviceProfile> = stored.into_iter().flatten().map(|(_, json)| json.into()).collect();
        match profiles.iter().find_map(|profile| profile.check().err()) {
            Some(error) => Err(self.bad_value(PROFILES, "device profiles", error)),
            None => Ok(profiles),
        }
    }

    /// The profile of that name: built in, or made for it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`]; otherwise as [`Self::devices`].
    pub fn device(&self, name: &str) -> Result<DeviceProfile, Error> {
        if let Some(built_in) = DeviceProfile::built_in(name) {
            return Ok(built_in);
        }
        let found = self.devices()?.into_iter().find(|profile| profile.name == name);
        found.ok_or_else(|| Error::NoSuchDevice {
            namespace: self.name().to_string(),
            name: name.escape_debug().take(80).collect(),
        })
    }

    /// Stores a profile in place of the one of its name, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::BadValue`] where it breaks a rule ([`DeviceProfile::check`] says so beforehand) or there are too many; otherwise as any write.
    pub fn save_device(&self, profile: &DeviceProfile) -> Result<(), Error> {
        profile.check().map_err(|error| self.bad_value(PROFILES, "a device profile", error))?;
        let mut profiles = self.devices()?;
        profiles.retain(|other| other.name != profile.name);
        profiles.push(profile.clone());
        if profiles.len() > MAX_PROFILES {
            return Err(self.bad_value(PROFILES, "64 device profiles at most", profiles.len()));
        }
        self.store_devices(&profiles)
    }

    /// Removes a profile, and the choice of it. Says whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Self::save_device`].
    pub fn remove_device(&self, name: &str) -> Result<bool, Error> {
        let mut profiles = self.devices()?;
        let before = profiles.len();
        profiles.retain(|other| other.name != name);
        if profiles.len() == before {
            return Ok(false);
        }
        self.store_devices(&profiles)?;
        if self.chosen_device()?.as_deref() == Some(name) {
            self.write(Durability::Full, |t| t.execute("DELETE FROM meta WHERE key = ?1", [CHOSEN]))?;
        }
        Ok(true)
    }

    /// The name of the profile that was chosen for it, if one was.
    ///
    /// # Errors
    ///
    /// As any access.
    pub fn chosen_device(&self) -> Result<Option<String>, Error> {
        self.meta(CHOSEN)
    }

    /// Chooses a profile for all connections from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`]; otherwise as any write.
    pub fn choose_device(&self, name: &str) -> Result<(), Error> {
        self.device(name)?;
        self.set_meta(CHOSEN, name)
    }

    fn store_devices(&self, profiles: &[DeviceProfile]) -> Result<(), Error> {
        let json: BTreeMap<&str, DeviceJson> = profiles.iter().map(|profile| (profile.name.as_str(), profile.into())).collect();
        self.set_record(PROFILES, &json)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::client::Persistence as _;
    use crate::store::{Home, NamespaceName};

    use super::*;

    fn profile(name: &str) -> DeviceProfile {
        DeviceProfile { name: name.into(), params: Some(json!({"tz_offset": 60})), ..DeviceProfile::default() }
    }

    #[test]
    fn profiles_are_kept_chosen_and_removed() {
        let dir = tempfile::tempdir().expect("directory");
        let open = || Home::at(dir.path()).open(&NamespaceName::default(), 1).expect("namespace");
        assert!(open().devices().expect("read").is_empty());
        assert!(matches!(open().choose_device("lab"), Err(Error::NoSuchDevice { name, .. }) if name == "lab"));
        open().save_device(&profile("lab")).expect("saved");
        let changed = DeviceProfile { device_model: "Bench".into(), ..profile("lab") };
        open().save_device(&changed).expect("changed");
        open().save_device(&profile("another")).expect("saved");
        open().choose_device("lab").expect("chosen");
        assert_eq!(open().devices().expect("read"), [profile("another"), changed.clone()]);
        assert_eq!(
            (open().device("lab").expect("there"), open().chosen_device().expect("read").as_deref()),
            (changed, Some("lab"))
        );
        open().forget_all().expect("forgotten");
        assert_eq!(open().devices().expect("read").len(), 2, "they are the user's, not the authorization's");
        assert!(open().remove_device("lab").expect("removed") && !open().remove_device("lab").expect("nothing there"));
        assert_eq!(open().chosen_device().expect("read"), None);
        assert_eq!(open().device("tdl").expect("built in"), DeviceProfile::default());
    }

    #[test]
    fn what_breaks_a_rule_is_neither_stored_nor_believed() {
        let dir = tempfile::tempdir().expect("directory");
        let namespace = Home::at(dir.path()).open(&NamespaceName::default(), 1).expect("namespace");
        assert!(matches!(namespace.save_device(&profile("tdl")), Err(Error::BadValue { .. })));
        for n in 0..MAX_PROFILES {
            namespace.save_device(&profile(&format!("p{n}"))).expect("saved");
        }
        assert!(matches!(namespace.save_device(&profile("onemore")), Err(Error::BadValue { .. })));
        namespace.set_meta(PROFILES, r#"{"x":{"name":"\u001b[2J"}}"#).expect("written");
        assert!(matches!(namespace.devices(), Err(Error::BadValue { what: PROFILES, .. })));
    }
}
