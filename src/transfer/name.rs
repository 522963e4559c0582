//! File names that are safe on every file system, whatever a sender called the file.

use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;

/// The longest name in bytes that we write: the common limit is 255, and a part file needs room for its suffix.
const MAX_NAME: usize = 240;

/// What stands in for a character that some file system does not take.
const REPLACEMENT: char = '_';

/// Makes one path component of `name`: nothing in it separates paths, hides a control character, is reserved on Windows or is
/// longer than a file system takes; letters with marks are composed, as most systems write them. The extension survives shortening.
/// Never empty, never `.` or `..`.
pub fn safe_component(name: &str) -> String {
    let mut clean: String = name
        .nfc()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => REPLACEMENT,
            c if c.is_control() || is_direction_mark(c) => REPLACEMENT,
            c => c,
        })
        .collect();
    clean.truncate(clean.trim_end_matches([' ', '.']).len());
    let trimmed = clean.trim_start().to_owned();
    let mut clean = trimmed;
    if clean.is_empty() {
        clean.push(REPLACEMENT);
    }
    if is_reserved_on_windows(&clean) {
        clean.insert(0, REPLACEMENT);
    }
    shorten(clean)
}

/// Turns the output of a name template into a path below `dir`: `/` separates directories, every component is made safe, and
/// none can climb out of `dir`.
pub fn safe_path(dir: &Path, relative: &str) -> PathBuf {
    let mut path = dir.to_path_buf();
    let mut any = false;
    for component in relative.split('/').filter(|c| !c.trim().is_empty() && *c != ".") {
        path.push(safe_component(component));
        any = true;
    }
    if !any {
        path.push(safe_component(""));
    }
    debug_assert!(path.strip_prefix(dir).is_ok_and(|rest| rest.components().all(|c| matches!(c, Component::Normal(_)))));
    path
}

/// The name with ` (n)` before its extension, for a second file that would take the first one's place. The number survives shortening.
pub fn numbered(path: &Path, n: u32) -> PathBuf {
    let name = path.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, ext) = split_extension(&name);
    path.with_file_name(shortened(stem, &format!(" ({n}){ext}")))
}

/// What two names have in common when some file system takes them for one: case and composition of letters make no difference on
/// Windows and macOS.
pub fn collision_key(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// A name and its extension with the dot. An "extension" of more than 16 bytes, or one with a space in it, is just a name with a dot.
pub fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 && !name.get(dot..).is_some_and(|ext| ext.contains(' ')) => {
            name.split_at(dot)
        }
        _ => (name, ""),
    }
}

/// Characters that reverse or hide the text around them, so that `gpj.exe` reads as `exe.jpg`.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_reserved_on_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    // The superscript digits count as digits there.
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    numbered.is_some_and(|n| matches!(n, "¹" | "²" | "³") || matches!(n.as_bytes(), [b'0'..=b'9']))
}

fn shorten(name: String) -> String {
    if name.len() <= MAX_NAME {
        return name;
    }
    let (stem, ext) = split_extension(&name);
    shortened(stem, ext)
}

/// `stem` and `tail` in at most [`MAX_NAME`] bytes: the stem gives way, at a whole character.
fn shortened(stem: &str, tail: &str) -> String {
    let mut end = MAX_NAME.saturating_sub(tail.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let cut = stem.get(..end).unwrap_or(stem);
    // What ends in a dot or a space loses it on Windows.
    let kept = if tail.is_empty() || end < stem.len() { cut.trim_end_matches([' ', '.']) } else { cut };
    format!("{kept}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_climbs_out_of_the_directory() {
        let dir = Path::new("/target");
        for hostile in [
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "a/../../b",
            "..\\..\\x",
            "C:\\x",
            "a//b",
            "./../x",
            "~/x",
            " .. /x",
        ] {
            let path = safe_path(dir, hostile);
            let rest = path.strip_prefix(dir).unwrap();
            assert!(rest.components().all(|c| matches!(c, Component::Normal(_))), "{hostile:?} became {path:?}");
            assert!(rest.components().count() >= 1, "{hostile:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension_and_their_last_whole_character() {
        let name = format!("{}.tar", "🦀".repeat(300));
        let short = safe_component(&name);
        assert!(short.len() <= MAX_NAME && short.ends_with("🦀.tar"), "{short}");
        assert!(safe_component(&"a".repeat(300)).len() <= MAX_NAME);
        assert!(safe_component(&format!("{}.{}", "a".repeat(200), "b".repeat(200))).len() <= MAX_NAME);
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in [
            "a b.txt",
            "🦀 crab.zip",
            "résumé.pdf",
            ".hidden",
            "no_extension",
            "con-tract.txt",
            "COM10",
            "v1.2 final",
            "a.tar.gz",
        ] {
            assert_eq!(safe_component(name), name);
        }
    }

    #[test]
    fn reserved_and_invisible_characters_are_replaced() {
        assert_eq!(safe_component("a:b?c*.txt"), "a_b_c_.txt");
        assert_eq!(safe_component("CON"), "_CON");
        assert_eq!(safe_component("nul.txt"), "_nul.txt");
        assert_eq!(safe_component("com1"), "_com1");
        assert_eq!(safe_component("LPT².tar.gz"), "_LPT².tar.gz");
        assert_eq!(safe_component("CONIN$"), "_CONIN$");
        assert_eq!(safe_component("aux .txt"), "_aux .txt");
        assert_eq!(safe_component("ends with dot. "), "ends with dot");
        assert_eq!(safe_component("\u{202e}gpj.exe"), "_gpj.exe");
        assert_eq!(safe_component("a\nb\0c"), "a_b_c");
    }

    #[test]
    fn a_second_file_of_the_same_name_gets_a_number() {
        assert_eq!(numbered(Path::new("/d/a.txt"), 2), Path::new("/d/a (2).txt"));
        assert_eq!(numbered(Path::new("/d/a"), 2), Path::new("/d/a (2)"));
    }

    #[test]
    fn a_number_survives_whatever_is_too_long_and_two_numbers_differ() {
        for name in ["a".repeat(240), format!("{}.txt", "é".repeat(118)), format!("{}.{}", "a".repeat(100), "b".repeat(139))] {
            let path = Path::new("/d").join(&name);
            let (second, third) = (numbered(&path, 2), numbered(&path, 3));
            assert!(second != third && second != path, "{name}");
            let name = second.file_name().unwrap().to_string_lossy().into_owned();
            assert!(name.len() <= MAX_NAME && name.contains(" (2)"), "{name}");
        }
    }

    #[test]
    fn names_that_some_file_system_takes_for_one_have_one_key() {
        for (a, b) in [("A.TXT", "a.txt"), ("re\u{301}sume\u{301}", "résumé"), ("ÉTÉ", "e\u{301}te\u{301}"), ("Ǆ", "ǆ")] {
            assert_eq!(collision_key(a), collision_key(b), "{a} {b}");
        }
        assert_ne!(collision_key("a"), collision_key("b"));
        assert_eq!(safe_component("e\u{301}.txt"), "é.txt", "written composed");
    }

    #[test]
    fn every_component_is_safe_wherever_it_stands() {
        let long = "ж".repeat(200);
        let path = safe_path(Path::new("/t"), &format!("nul/{long}/CON .x/dots.../b\\c:d. ./{long}.bin"));
        for component in path.strip_prefix("/t").unwrap().components() {
            let name = component.as_os_str().to_str().unwrap();
            assert!(name.len() <= MAX_NAME && !name.ends_with(['.', ' ']) && !name.contains(['\\', ':']), "{name}");
            assert_eq!(safe_component(name), name, "safe once, safe for good");
        }
    }
}
