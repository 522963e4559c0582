//! What a connection says about the device and about the API layer: explicit values, stored with the login they were used for.

use serde::{Deserialize, Serialize};

/// The newest API layer that the generated types speak.
pub const COMPILED_LAYER: i32 = crate::tl::api::LAYER;

/// What `initConnection` tells the server about the device ("Invoking API Methods").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceProfile {
    /// The profile's own name, for `--device` and for people; never sent.
    pub name: String,
    /// Device model, as the account's list of sessions shows it.
    pub device_model: String,
    /// Operating system and its version.
    pub system_version: String,
    /// Application version.
    pub app_version: String,
    /// The system's language, like `en-US`.
    pub system_lang_code: String,
    /// Language pack; empty for applications that have none.
    pub lang_pack: String,
    /// The interface's language, like `en`.
    pub lang_code: String,
}

impl DeviceProfile {
    /// Names of the built-in profiles.
    pub const BUILT_IN: [&'static str; 2] = ["tdl", "desktop"];

    /// A built-in profile by name: `tdl` says plainly what this program is; `desktop` repeats the values that the Go tool always sent.
    pub fn built_in(name: &str) -> Option<Self> {
        let profile = |device: &str, system: &str, version: &str, system_lang: &str, pack: &str| Self {
            name: name.to_owned(),
            device_model: device.to_owned(),
            system_version: system.to_owned(),
            app_version: version.to_owned(),
            system_lang_code: system_lang.to_owned(),
            lang_pack: pack.to_owned(),
            lang_code: "en".to_owned(),
        };
        match name {
            "tdl" => Some(profile("tdl", system_name(), env!("CARGO_PKG_VERSION"), "en", "")),
            "desktop" => Some(profile("Desktop", "Windows 10", "4.2.4 x64", "en-US", "tdesktop")),
            _ => None,
        }
    }
}

impl Default for DeviceProfile {
    fn default() -> Self {
        Self::built_in("tdl").expect("`tdl` is a built-in profile")
    }
}

/// The name of the system that this program was built for.
fn system_name() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        "freebsd" => "FreeBSD",
        "android" => "Android",
        other => other,
    }
}

/// Which API layer a connection negotiates with `invokeWithLayer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// The layer named to the server: one of [`bundled`](crate::tl::layers::bundled). Typed calls are translated into it and back; raw ones are
    /// made in it.
    pub layer: i32,
}

impl LayerPlan {
    /// The layer that the generated types speak.
    pub const COMPILED: Self = Self { layer: COMPILED_LAYER };

    /// A layer chosen by hand. What one of both layers cannot say fails with a typed error when it comes up.
    pub const fn fixed(layer: i32) -> Self {
        Self { layer }
    }
}

/// Whether connections say what the device is, and which layer they speak ("Invoking API Methods", `initConnection`).
///
/// The server keeps one device record and one layer for each key, and the last introduction wins. Whoever uses a key that belongs to another
/// program changes both under that program's feet by introducing itself as something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Introduction {
    /// With the first request of each session.
    #[default]
    Full,
    /// Never: the key has been introduced, and what was said then stays. Answers come in the layer that was named then, which
    /// [`ClientConfig::layer`](super::ClientConfig::layer) should be.
    Silent,
}

impl Default for LayerPlan {
    fn default() -> Self {
        Self::COMPILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listed_profile_exists_and_no_other() {
        for name in DeviceProfile::BUILT_IN {
            let profile = DeviceProfile::built_in(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(!profile.device_model.is_empty() && !profile.system_version.is_empty() && !profile.app_version.is_empty());
        }
        assert_eq!(DeviceProfile::built_in("toaster"), None);
    }
}
