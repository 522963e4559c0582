//! Where builds of Telegram Desktop keep their `tdata`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::tdata;

/// A family of operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux and what is like it.
    Linux,
    /// macOS.
    Mac,
    /// Windows.
    Windows,
}

impl System {
    /// The one that this program was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::Mac
    } else {
        Self::Linux
    };
}

/// A directory in which a `tdata` may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which build keeps it there, for people.
    pub build: &'static str,
    /// The directory above `tdata`.
    pub directory: PathBuf,
}

/// The places below the data directory of a Linux user, snap or flatpak.
const LINUX: [(&str, &str); 4] = [
    ("Telegram Desktop", "TelegramDesktop"),
    ("Kotatogram", "KotatogramDesktop"),
    ("64Gram", "64Gram"),
    ("AyuGram", "AyuGramDesktop"),
];

/// Flatpaks by their id, with the directory in their data directory.
const FLATPAKS: [(&str, &str, &str); 4] = [
    ("Telegram Desktop (flatpak)", "org.telegram.desktop", "TelegramDesktop"),
    ("Kotatogram (flatpak)", "io.github.kotatogram", "KotatogramDesktop"),
    ("64Gram (flatpak)", "io.github.tdesktop_x64.TDesktop", "64Gram"),
    ("AyuGram (flatpak)", "com.ayugram.desktop", "AyuGramDesktop"),
];

/// Where `tdata` may be on a system, the likeliest first. `home` is the user's home directory, `variable` reads the environment.
///
/// Portable builds keep it beside the program: those in `PATH` are looked at on Windows, where they are usual; elsewhere the person has to
/// say where.
pub fn places(system: System, home: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |build, directory| places.push(Place { build, directory });
    // An empty variable is as good as none, and a relative path means nothing here.
    let base = |name: &str, default: &str| {
        let set = variable(name).map(PathBuf::from).filter(|path| path.is_absolute() || is_windows_absolute(path));
        set.unwrap_or_else(|| home.join(default))
    };
    match system {
        System::Linux => {
            let data = base("XDG_DATA_HOME", ".local/share");
            for (build, name) in LINUX {
                add(build, data.join(name));
            }
            // A snap has a home of its own, for each revision; `current` is the one in use.
            add("Telegram Desktop (snap)", home.join("snap/telegram-desktop/current/.local/share/TelegramDesktop"));
            add("Telegram Desktop (snap)", home.join("snap/telegram-desktop/common/.local/share/TelegramDesktop"));
            for (build, id, name) in FLATPAKS {
                add(build, home.join(".var/app").join(id).join("data").join(name));
            }
            add("Telegram Desktop (before 1.0)", home.join(".TelegramDesktop"));
        }
        System::Mac => {
            let support = home.join("Library/Application Support");
            add("Telegram Desktop", support.join("Telegram Desktop"));
            // What comes from the App Store lives in a container, which is a home of its own.
            let container = home.join("Library/Containers/org.telegram.desktop/Data/Library/Application Support");
            add("Telegram Desktop (App Store)", container.join("Telegram Desktop"));
            add("Kotatogram", support.join("Kotatogram Desktop"));
            add("64Gram", support.join("64Gram Desktop"));
            add("AyuGram", support.join("AyuGram Desktop"));
        }
        System::Windows => {
            let roaming = base("APPDATA", "AppData/Roaming");
            let local = base("LOCALAPPDATA", "AppData/Local");
            add("Telegram Desktop", roaming.join("Telegram Desktop"));
            // The Store redirects what its programs write to a directory of the package.
            add("Telegram Desktop (Store)", roaming.join("Telegram Desktop UWP"));
            let package = local.join("Packages/TelegramMessengerLLP.TelegramDesktop_t4vj0pshhgkwm/LocalCache/Roaming");
            add("Telegram Desktop (Store)", package.join("Telegram Desktop UWP"));
            add("Telegram Desktop (Store)", package.join("Telegram Desktop"));
            add("Kotatogram", roaming.join("Kotatogram Desktop"));
            add("64Gram", roaming.join("64Gram Desktop"));
            add("AyuGram", roaming.join("AyuGram Desktop"));
            add("Telegram Desktop (Scoop)", home.join("scoop/persist/telegram"));
            for directory in std::env::split_paths(&variable("PATH").unwrap_or_default()) {
                if directory.join("Telegram.exe").is_file() {
                    add("Telegram Desktop (portable)", directory);
                }
            }
        }
    }
    // A portable build that is forced to be one, where the installed one would be.
    let forced: Vec<Place> = places
        .iter()
        .map(|place| Place { directory: place.directory.join("TelegramForcePortable"), ..place.clone() })
        .collect();
    places.extend(forced);
    places
}

/// A test on one system reads the paths of another.
fn is_windows_absolute(path: &Path) -> bool {
    path.to_str().is_some_and(|text| matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic()))
}

/// Those of the places in which there is a `tdata`, each with its directory.
pub fn found(places: Vec<Place>) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for place in places {
        if let Some(directory) = tdata::directory(&place.directory)
            && !found.iter().any(|known| same(&known.directory, &directory))
        {
            found.push(Place { build: place.build, directory });
        }
    }
    found
}

/// Two paths to one directory: a snap's `current` is a link.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::super::{ForeignSession, Format};
    use super::*;
    use crate::crypto::AuthKey;

    fn list(system: System, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        places(system, Path::new("/home/ada"), &variable)
            .into_iter()
            .map(|place| place.directory.display().to_string().replace('\\', "/"))
            .collect()
    }

    #[test]
    fn linux_with_and_without_a_data_directory_of_ones_own() {
        let plain = list(System::Linux, &[]);
        assert_eq!(plain[0], "/home/ada/.local/share/TelegramDesktop");
        for expected in [
            "/home/ada/snap/telegram-desktop/current/.local/share/TelegramDesktop",
            "/home/ada/.var/app/org.telegram.desktop/data/TelegramDesktop",
            "/home/ada/.TelegramDesktop",
            "/home/ada/.local/share/TelegramDesktop/TelegramForcePortable",
        ] {
            assert!(plain.iter().any(|path| path == expected), "{expected}");
        }
        assert_eq!(list(System::Linux, &[("XDG_DATA_HOME", "/data")])[0], "/data/TelegramDesktop");
        for useless in ["", "relative"] {
            assert_eq!(list(System::Linux, &[("XDG_DATA_HOME", useless)]), plain);
        }
    }

    #[test]
    fn mac_with_the_container_of_the_app_store() {
        let places = list(System::Mac, &[]);
        assert_eq!(places[0], "/home/ada/Library/Application Support/Telegram Desktop");
        assert_eq!(
            places[1],
            "/home/ada/Library/Containers/org.telegram.desktop/Data/Library/Application Support/Telegram Desktop"
        );
    }

    #[test]
    fn windows_with_the_store_and_portable_builds() {
        let places = list(System::Windows, &[("APPDATA", "C:/Roaming"), ("LOCALAPPDATA", "C:/Local")]);
        assert_eq!(places[0], "C:/Roaming/Telegram Desktop");
        let package =
            "C:/Local/Packages/TelegramMessengerLLP.TelegramDesktop_t4vj0pshhgkwm/LocalCache/Roaming/Telegram Desktop UWP";
        assert!(places.iter().any(|path| path == package));
        assert_eq!(list(System::Windows, &[])[0], "/home/ada/AppData/Roaming/Telegram Desktop");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Telegram.exe"), "").unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(list(System::Windows, &[("PATH", path)]).iter().any(|place| *place == path.replace('\\', "/")));
    }

    #[test]
    fn only_places_with_a_tdata_are_found_and_each_once() {
        let home = tempfile::tempdir().unwrap();
        let none = |_: &str| None;
        assert!(found(places(System::Linux, home.path(), &none)).is_empty());
        let mut account = ForeignSession::new(Format::Tdata, 2, &AuthKey::from_bytes(&[1; 256])).unwrap();
        account.set_user_id(7).unwrap();
        let revision = home.path().join("snap/telegram-desktop/common/.local/share/TelegramDesktop");
        std::fs::create_dir_all(&revision).unwrap();
        std::fs::create_dir_all(home.path().join(".local/share/TelegramDesktop")).unwrap();
        tdata::write(&revision.join("tdata"), &[account], b"", &mut StdRng::from_seed([1; 32])).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("common", home.path().join("snap/telegram-desktop/current")).unwrap();
        let found = found(places(System::Linux, home.path(), &none));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].build, "Telegram Desktop (snap)");
        assert!(tdata::read(&found[0].directory, b"").is_ok());
    }
}
