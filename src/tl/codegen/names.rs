//! Schema names to Rust names.

use std::borrow::Cow;

use super::super::schema::{Definition, split_name};

/// CamelCase of a name without its namespace: `help.some_OK_name` becomes `SomeOkName`. Runs of capitals become one word.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    // Whether the next character starts a word, and whether the last one was a capital.
    let (mut start, mut after_capital) = (true, false);
    for c in split_name(name).1.chars() {
        if c == '_' {
            (start, after_capital) = (true, false);
            continue;
        }
        let capital = c.is_ascii_uppercase();
        out.push(match (start, after_capital) {
            (true, _) => c.to_ascii_uppercase(),
            (false, true) => c.to_ascii_lowercase(),
            (false, false) => c,
        });
        // The first letter of a word counts as a capital even where the schema has it small.
        (start, after_capital) = (false, capital || start);
    }
    out
}

/// Path of a name inside its section: `auth::SendCode`.
pub(super) fn path(name: &str) -> String {
    match split_name(name).0 {
        "" => camel(name),
        namespace => format!("{}::{}", module(namespace), camel(name)),
    }
}

/// A namespace as a module name.
pub(super) fn module(namespace: &str) -> Cow<'_, str> {
    if is_keyword(namespace) { format!("r#{namespace}").into() } else { namespace.into() }
}

/// The variant of a constructor in the enum of its type: its name without the type's.
pub(super) fn variant(definition: &Definition) -> String {
    let name = camel(&definition.name);
    let ty = camel(&definition.result.to_string());
    let last_word = |text: &str| text.rfind(|c: char| c.is_ascii_uppercase()).unwrap_or(0);
    match name.strip_prefix(&ty) {
        None => name,
        // `inputPeerSelf`: `Self` is taken, so one word more.
        Some("Self") => name[last_word(&name[..ty.len()])..].to_owned(),
        // `message` of `Message`, `inputBotInlineMessageID64`: a variant needs a word.
        Some(rest) if rest.chars().all(|c| c.is_ascii_digit()) => name[last_word(&name)..].to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

/// A parameter as a field name.
pub(super) fn field(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "self" => "is_self".to_owned(),
        // These three cannot be raw identifiers either.
        "super" | "crate" | "_" => format!("{lower}_"),
        _ if is_keyword(&lower) => format!("r#{lower}"),
        _ => lower,
    }
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &str = " abstract as async await become box break const continue do dyn else enum extern false final fn for gen if \
        impl in let loop macro match mod move mut override priv pub ref return static struct trait true try type typeof unsafe unsized \
        use virtual where while yield ";
    KEYWORDS.split_ascii_whitespace().any(|keyword| keyword == word)
}
