//! What the errors that methods answer with mean, and what to do about them: for people.
//!
//! The names are those of the protocol's pages ("Error handling", and the errors of each method); the words are ours, in
//! `rpc_errors.txt`. What is not listed there is explained by its code, and by the last word of its name.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::mtproto::rpc_error::RpcError;

const TABLE: &str = include_str!("rpc_errors.txt");

/// An error in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it means, as a clause without a full stop.
    pub meaning: String,
    /// What to do about it, if anything can be done.
    pub advice: Option<String>,
}

/// What an error means and what to do about it; `None` for one of which nothing is known but its code, which says little.
pub fn explain(error: &RpcError) -> Option<Explanation> {
    if let Some((meaning, advice)) = table().get(error.name.as_str()) {
        // A number that should be there and is not is left out with what leads up to it.
        let filled = |text: &str| match error.parameter {
            Some(number) => text.replace("{}", &number.to_string()),
            None => text.replace("{}", "of an unknown number"),
        };
        return Some(Explanation { meaning: filled(meaning), advice: (!advice.is_empty()).then(|| filled(advice)) });
    }
    let meaning = by_ending(&error.name).or_else(|| by_code(error.code))?;
    Some(Explanation { meaning, advice: None })
}

/// Names are made of what is meant and what is wrong with it.
fn by_ending(name: &str) -> Option<String> {
    const ENDINGS: [(&str, &str); 10] = [
        ("_NOT_MODIFIED", "would not change"),
        ("_TOO_LONG", "is too long"),
        ("_TOO_SHORT", "is too short"),
        ("_TOO_MUCH", "is more than is allowed"),
        ("_TOO_BIG", "is too big"),
        ("_INVALID", "is not valid"),
        ("_EMPTY", "is missing"),
        ("_EXPIRED", "is too old"),
        ("_FORBIDDEN", "is not allowed"),
        ("_OCCUPIED", "is taken"),
    ];
    // Prose is no name.
    if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return None;
    }
    ENDINGS.iter().find_map(|(ending, what)| {
        let subject = name.strip_suffix(ending).filter(|subject| !subject.is_empty())?;
        Some(format!("what the server calls {} {what}", subject.to_ascii_lowercase().replace('_', " ")))
    })
}

fn by_code(code: i32) -> Option<String> {
    let meaning = match code {
        303 => "another data centre has to be asked",
        400 => "the server does not accept the request",
        401 => "the server wants a login for this",
        403 => "the server does not allow this",
        404 => "the server knows no such thing",
        406 => "the server does not accept the request; official applications show a text of its own for it",
        420 => "this was asked too often",
        500..=599 | -599..=-500 => "the server failed at it; try again in a moment",
        _ => return None,
    };
    Some(meaning.to_owned())
}

/// Meaning and advice, by name.
type Table = HashMap<&'static str, (&'static str, &'static str)>;

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| lines().map(|(name, meaning, advice)| (name, (meaning, advice))).collect())
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('|').map(str::trim);
        Some((columns.next()?, columns.next()?, columns.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RpcError;

    #[test]
    fn the_table_is_in_order() {
        let mut names = Vec::new();
        for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let [name, meaning, advice] = columns[..] else { panic!("not three columns: {line}") };
            // The name is one that the parameter was split off.
            assert_eq!(RpcError::new(400, name).name, name, "{line}");
            assert!(!meaning.is_empty() && meaning.is_ascii() && advice.is_ascii(), "{line}");
            assert!(!meaning.ends_with('.') && !advice.ends_with('.'), "{line}");
            names.push(name);
        }
        assert!(names.len() >= 200, "{}", names.len());
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands there twice");
    }

    #[test]
    fn numbers_are_put_in() {
        let explained = explain(&RpcError::new(303, "PHONE_MIGRATE_4")).unwrap();
        assert_eq!(explained.meaning, "the phone number's account lives in data centre 4");
        assert_eq!(explained.advice.as_deref(), Some("ask there: --dc 4"));
        let explained = explain(&RpcError::new(400, "FILE_PART_3_MISSING")).unwrap();
        assert_eq!(explained.meaning, "part 3 of the file was not uploaded");
        assert_eq!(explain(&RpcError::new(400, "USER_IS_BLOCKED")).unwrap().advice, None);
    }

    #[test]
    fn what_is_not_listed_is_read_from_its_name_or_its_code() {
        let meaning = |code, message| explain(&RpcError::new(code, message)).map(|it| it.meaning);
        assert_eq!(meaning(400, "TELEPORT_GATE_INVALID").as_deref(), Some("what the server calls teleport gate is not valid"));
        assert_eq!(meaning(400, "GATES_TOO_MUCH").as_deref(), Some("what the server calls gates is more than is allowed"));
        assert_eq!(meaning(403, "NO_SUCH_LUCK").as_deref(), Some("the server does not allow this"));
        assert_eq!(meaning(400, "Prose_INVALID").as_deref(), Some("the server does not accept the request"));
        assert_eq!(meaning(-503, "Whatever").as_deref(), Some("the server failed at it; try again in a moment"));
        assert_eq!(meaning(999, "WHATEVER"), None);
    }

    /// What the local cluster can answer is explained, all of it.
    #[cfg(feature = "sandbox")]
    #[test]
    fn the_clusters_own_errors_are_listed() {
        for fault in crate::sandbox::Fault::plain() {
            assert!(table().contains_key(fault.to_string().as_str()), "{fault}");
        }
    }
}
