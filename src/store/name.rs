//! A namespace's name: one file name, on every platform, and never a way out of the directory.

use std::{fmt, str::FromStr};

use super::Error;

/// The longest name, in characters.
const MAX_CHARS: usize = 64;

/// The longest name, in bytes of UTF-8: file systems allow 255, and suffixes are added.
const MAX_BYTES: usize = 200;

/// Names that Windows keeps for devices, whatever their extension.
const RESERVED: &[&str] = &["con", "prn", "aux", "nul"];

/// A valid namespace name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(String);

impl NamespaceName {
    /// The name that is used when none is given.
    pub const DEFAULT: &'static str = "default";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NamespaceName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for NamespaceName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match broken_rule(name) {
            None => Ok(Self(name.to_owned())),
            // The name goes into an error message: control characters must not reach a terminal.
            Some(rule) => Err(Error::InvalidName { name: name.escape_debug().take(80).collect(), rule }),
        }
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.chars().count() > MAX_CHARS || name.len() > MAX_BYTES {
        return Some("it is longer than 64 characters");
    }
    if name.starts_with('.') || name.starts_with('-') {
        return Some("it starts with '.' or '-'");
    }
    if name.ends_with('.') || name.ends_with(' ') || name.starts_with(' ') {
        return Some("it starts or ends with a space, or ends with '.'");
    }
    if name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)) {
        return Some("it holds one of / \\ : * ? \" < > | or a control character");
    }
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit()));
    if RESERVED.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return Some("Windows keeps it for a device");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["default", "work", "a", "v1.2", "my account", "счёт", "com10", "console", &"x".repeat(64)] {
            assert_eq!(name.parse::<NamespaceName>().expect(name).as_str(), name);
        }
    }

    #[test]
    fn names_that_leave_the_directory_or_break_a_platform_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "/etc/passwd",
            ".hidden",
            "-n",
            "a:b",
            "a\0b",
            "a\nb",
            "x ",
            " x",
            "x.",
            "nul",
            "NUL.txt",
            "Com1",
            "lpt9.sqlite",
            "a*",
            "a?",
            &"x".repeat(65),
            &"\u{1F600}".repeat(60),
        ] {
            assert!(matches!(name.parse::<NamespaceName>(), Err(Error::InvalidName { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_escaped() {
        let error = "a\x1b[31m".parse::<NamespaceName>().expect_err("control character");
        assert!(!error.to_string().contains('\x1b'));
    }
}
