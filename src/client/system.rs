//! What can be said truthfully of the machine: read from where the system writes it down.

use std::{env, fs, path::Path};

/// Name and version of the operating system.
pub(super) fn version() -> String {
    let read = |path: &str| fs::read_to_string(Path::new(path)).ok();
    let found = match env::consts::OS {
        "macos" => read("/System/Library/CoreServices/SystemVersion.plist").and_then(|text| from_plist(&text)),
        _ => read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).and_then(|text| from_os_release(&text)),
    };
    found.unwrap_or_else(|| name().to_owned())
}

/// The language that the system is set to, like `en-US`.
pub(super) fn language() -> String {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .and_then(|locale| from_locale(&locale))
        .unwrap_or_else(|| "en".to_owned())
}

/// The name of the system that this program was built for.
fn name() -> &'static str {
    match env::consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        "windows" => "Windows",
        "freebsd" => "FreeBSD",
        "android" => "Android",
        other => other,
    }
}

/// What os-release(5) calls the name and the version.
fn from_os_release(text: &str) -> Option<String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        sensible(line.trim().trim_matches(['"', '\'']))
    };
    match (value("NAME"), value("VERSION_ID")) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (name, _) => name,
    }
}

/// The version out of a macOS system's own description.
fn from_plist(text: &str) -> Option<String> {
    let (_, after) = text.split_once("<key>ProductVersion</key>")?;
    let (_, value) = after.split_once("<string>")?;
    let (value, _) = value.split_once("</string>")?;
    sensible(value.trim()).map(|version| format!("macOS {version}"))
}

/// `de_DE.UTF-8@euro` is `de-DE`; `C` and `POSIX` are no language.
fn from_locale(locale: &str) -> Option<String> {
    let plain = locale.split(['.', '@']).next().unwrap_or_default();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fits = (2..=16).contains(&plain.len()) && plain.chars().all(is_letter) && plain != "POSIX";
    fits.then(|| plain.replace('_', "-"))
}

/// Short, and without anything that a terminal would act on.
fn sensible(text: &str) -> Option<String> {
    let fits = (1..=40).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_describes_itself() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n";
        assert_eq!(from_os_release(debian).as_deref(), Some("Debian GNU/Linux 13"));
        assert_eq!(from_os_release("NAME='Arch Linux'\n").as_deref(), Some("Arch Linux"));
        for broken in ["", "NAME=\n", "VERSION_ID=3", "NAME=\u{1b}[2J", &format!("NAME={}", "x".repeat(41))] {
            assert_eq!(from_os_release(broken), None, "{broken:?}");
        }
        let plist = "<dict><key>ProductName</key><string>macOS</string><key>ProductVersion</key>\n<string>15.1</string></dict>";
        assert_eq!(from_plist(plist).as_deref(), Some("macOS 15.1"));
        assert_eq!(from_plist("<key>ProductVersion</key>"), None);
        assert!(!version().is_empty() && !language().is_empty());
    }

    #[test]
    fn a_locale_names_a_language() {
        for (locale, language) in [
            ("de_DE.UTF-8", Some("de-DE")),
            ("pt_BR", Some("pt-BR")),
            ("sr_RS@latin", Some("sr-RS")),
            ("en", Some("en")),
            ("C", None),
            ("C.UTF-8", None),
            ("POSIX", None),
            ("a\nb", None),
            ("", None),
        ] {
            assert_eq!(from_locale(locale).as_deref(), language, "{locale}");
        }
    }
}
