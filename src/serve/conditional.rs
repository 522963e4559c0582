//! Conditional requests: entity tags, dates, and what the conditions of a request come to (RFC 9110, section 13).

use std::time::SystemTime;

/// What a file is recognised by. Files of messages never change, so both validators are strong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag with its quotes.
    pub etag: String,
    /// When it was uploaded, in whole seconds; `None` when nobody knows.
    pub modified: Option<SystemTime>,
}

/// The fields of a request that make it conditional, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client wants another one than this.
    Failed,
}

impl Validators {
    /// Judges the conditions in the order of section 13.2.2, for a GET or HEAD of a file that exists.
    pub fn judge(&self, conditions: &Conditions<'_>) -> Verdict {
        let fails = match (conditions.if_match, conditions.if_unmodified_since) {
            (Some(tags), _) => !any_tag(tags, |weak, tag| !weak && tag == self.etag),
            (None, Some(date)) => matches!((self.modified, date_of(date)), (Some(modified), Some(date)) if modified > date),
            (None, None) => false,
        };
        if fails {
            return Verdict::Failed;
        }
        let has_it = match (conditions.if_none_match, conditions.if_modified_since) {
            (Some(tags), _) => any_tag(tags, |_, tag| tag == self.etag),
            (None, Some(date)) => matches!((self.modified, date_of(date)), (Some(modified), Some(date)) if modified <= date),
            (None, None) => false,
        };
        if has_it { Verdict::NotModified } else { Verdict::Proceed }
    }

    /// Whether the `Range` field counts (section 13.1.5): a tag has to be this very one and strong, a date this very one.
    pub fn range_counts(&self, conditions: &Conditions<'_>) -> bool {
        match conditions.if_range.map(str::trim) {
            None => true,
            Some(value) if value.starts_with('"') => value == self.etag,
            Some(value) => self.modified.is_some() && self.modified == date_of(value),
        }
    }
}

fn date_of(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value.trim()).ok()
}

/// Whether `is` holds for any tag of the list; it gets whether the tag is weak, and the tag with its quotes. `*` is every tag. What
/// cannot be read ends the list.
fn any_tag(list: &str, is: impl Fn(bool, &str) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let weak = rest.starts_with("W/");
        let tag = if weak { &rest[2..] } else { rest };
        let Some(length) = tag.strip_prefix('"').and_then(|inside| inside.find('"')) else { return false };
        let (tag, behind) = tag.split_at(length + 2);
        if is(weak, tag) {
            return true;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const EXACT: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    fn file() -> Validators {
        Validators { etag: "\"7-64\"".to_owned(), modified: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)) }
    }

    #[test]
    fn a_client_that_has_the_file_is_told_so() {
        for (tags, want) in [
            ("\"7-64\"", Verdict::NotModified),
            ("W/\"7-64\"", Verdict::NotModified),
            ("\"a\", W/\"b\" ,\"7-64\"", Verdict::NotModified),
            ("\"a,\"\"7-64\"", Verdict::NotModified),
            ("*", Verdict::NotModified),
            ("\"a\"", Verdict::Proceed),
            ("7-64", Verdict::Proceed),
            ("\"7-64", Verdict::Proceed),
            ("", Verdict::Proceed),
        ] {
            let conditions = Conditions { if_none_match: Some(tags), ..Conditions::default() };
            assert_eq!(file().judge(&conditions), want, "{tags:?}");
        }
        for (date, want) in
            [(EXACT, Verdict::NotModified), (AFTER, Verdict::NotModified), (BEFORE, Verdict::Proceed), ("x", Verdict::Proceed)]
        {
            let conditions = Conditions { if_modified_since: Some(date), ..Conditions::default() };
            assert_eq!(file().judge(&conditions), want, "{date}");
        }
        let both = Conditions { if_none_match: Some("\"a\""), if_modified_since: Some(EXACT), ..Conditions::default() };
        assert_eq!(file().judge(&both), Verdict::Proceed, "the tag decides");
    }

    #[test]
    fn a_client_that_wants_another_file_gets_none() {
        for (tags, want) in [
            ("\"7-64\"", Verdict::Proceed),
            ("*", Verdict::Proceed),
            ("W/\"7-64\"", Verdict::Failed),
            ("\"a\"", Verdict::Failed),
        ] {
            let conditions = Conditions { if_match: Some(tags), ..Conditions::default() };
            assert_eq!(file().judge(&conditions), want, "{tags:?}");
        }
        for (date, want) in [(BEFORE, Verdict::Failed), (EXACT, Verdict::Proceed), ("x", Verdict::Proceed)] {
            let conditions = Conditions { if_unmodified_since: Some(date), ..Conditions::default() };
            assert_eq!(file().judge(&conditions), want, "{date}");
        }
    }

    #[test]
    fn a_range_of_another_file_is_not_given() {
        let counts = |value| file().range_counts(&Conditions { if_range: value, ..Conditions::default() });
        assert!(counts(None) && counts(Some("\"7-64\"")) && counts(Some(EXACT)));
        assert!(!counts(Some("\"a\"")) && !counts(Some("W/\"7-64\"")) && !counts(Some(AFTER)) && !counts(Some(BEFORE)));
        assert!(!counts(Some("x")));
        let undated = Validators { modified: None, ..file() };
        assert!(!undated.range_counts(&Conditions { if_range: Some("x"), ..Conditions::default() }), "nothing equals nothing");
    }
}
