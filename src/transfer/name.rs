//! File names that are safe on every file system, whatever a sender called the file.

use std::path::{Component, Path, PathBuf};

/// The longest name in bytes that we write: the common limit is 255, and a part file needs room for its suffix.
const MAX_NAME: usize = 240;

/// What stands in for a character that some file system does not take.
const REPLACEMENT: char = '_';

/// Makes one path component of `name`: nothing in it separates paths, hides a control character, is reserved on Windows or is
/// longer than a file system takes. The extension survives shortening. Never empty, never `.` or `..`.
pub fn safe_component(name: &str) -> String {
    let mut clean: String = name
        .chars()
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

/// The name with ` (n)` before its extension, for a second file that would take the first one's place.
pub fn numbered(path: &Path, n: u32) -> PathBuf {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match path.extension() {
        Some(ext) => format!("{stem} ({n}).{}", ext.to_string_lossy()),
        None => format!("{stem} ({n})"),
    };
    path.with_file_name(shorten(name))
}

/// Characters that reverse or hide the text around them, so that `gpj.exe` reads as `exe.jpg`.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_reserved_on_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") {
        return true;
    }
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    numbered.is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit() && c != '0'))
}

fn shorten(name: String) -> String {
    if name.len() <= MAX_NAME {
        return name;
    }
    // An "extension" of more than 16 bytes is just a name with a dot in it.
    let (stem, ext) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        _ => (name.as_str(), ""),
    };
    let mut end = MAX_NAME - ext.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem.get(..end).unwrap_or(stem).trim_end_matches([' ', '.']);
    format!("{stem}{ext}")
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
        for name in ["a b.txt", "🦀 crab.zip", "résumé.pdf", ".hidden", "no_extension", "con-tract.txt", "COM10"] {
            assert_eq!(safe_component(name), name);
        }
    }

    #[test]
    fn reserved_and_invisible_characters_are_replaced() {
        assert_eq!(safe_component("a:b?c*.txt"), "a_b_c_.txt");
        assert_eq!(safe_component("CON"), "_CON");
        assert_eq!(safe_component("nul.txt"), "_nul.txt");
        assert_eq!(safe_component("com1"), "_com1");
        assert_eq!(safe_component("ends with dot. "), "ends with dot");
        assert_eq!(safe_component("\u{202e}gpj.exe"), "_gpj.exe");
        assert_eq!(safe_component("a\nb\0c"), "a_b_c");
    }

    #[test]
    fn a_second_file_of_the_same_name_gets_a_number() {
        assert_eq!(numbered(Path::new("/d/a.txt"), 2), Path::new("/d/a (2).txt"));
        assert_eq!(numbered(Path::new("/d/a"), 2), Path::new("/d/a (2)"));
    }
}
