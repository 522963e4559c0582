//! From the words of the command line to one JSON object.

use serde_json::{Map, Value as Json};
use tdl::tl::schema::{Definition, Type};

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// Standard input.
    Stdin,
    /// A file.
    File(&'a str),
}

/// Puts the words together: one document at most, and fields that are added to it or stand in place of its own.
pub(super) fn parse(
    method: &Definition,
    words: &[String],
    mut read: impl FnMut(Source<'_>) -> Result<String, String>,
) -> Result<Map<String, Json>, String> {
    let mut document = None;
    let mut fields = Vec::new();
    for word in words {
        let text = match word.as_str() {
            "-" => read(Source::Stdin)?,
            json if json.trim_start().starts_with('{') => json.to_owned(),
            file if file.starts_with('@') && file.len() > 1 => read(Source::File(&file[1..]))?,
            field => match field.split_once('=') {
                Some((path, value)) if is_path(path) => {
                    fields.push((path, value));
                    continue;
                }
                _ => return Err(format!("'{field}' is no JSON object, no - and no @FILE, and has no FIELD= in front")),
            },
        };
        if document.is_some() {
            return Err("more than one JSON object is given".to_owned());
        }
        document = Some(text);
    }
    let mut object = match document {
        None => Map::new(),
        Some(text) => match serde_json::from_str(&text) {
            Ok(Json::Object(object)) => object,
            Ok(_) => return Err("the arguments are JSON, but no object with fields".to_owned()),
            Err(error) => return Err(format!("the arguments are no JSON: {error}")),
        },
    };
    if let Some(Json::String(name)) = object.remove("_")
        && name != method.name
    {
        return Err(format!("the arguments are those of '{name}', as their \"_\" says"));
    }
    for (path, value) in fields {
        insert(&mut object, path, value_of(method, path, value))?;
    }
    Ok(object)
}

/// Names with dots between them.
fn is_path(path: &str) -> bool {
    path.split('.').all(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// A value as it was meant: text stays text where text belongs, whatever it looks like.
fn value_of(method: &Definition, path: &str, text: &str) -> Json {
    let ty = method.params.iter().find(|param| param.name == path).map(|param| &param.ty);
    let (item, list) = match ty {
        Some(Type::Vector { item, .. }) => (Some(&**item), text.starts_with('[')),
        other => (other, false),
    };
    let looks_like_json = list
        || match item {
            // Quotes may stand around it, as in JSON.
            Some(Type::String | Type::Bytes | Type::Int128 | Type::Int256) => text.starts_with('"'),
            // Phone numbers and ids name peers.
            Some(Type::Boxed(_)) => text.starts_with(['{', '"']),
            _ => true,
        };
    match serde_json::from_str(text) {
        Ok(json) if looks_like_json => json,
        _ => Json::String(text.to_owned()),
    }
}

fn insert(object: &mut Map<String, Json>, path: &str, value: Json) -> Result<(), String> {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => match object.entry(first).or_insert_with(|| Json::Object(Map::new())) {
            Json::Object(inner) => insert(inner, rest, value),
            _ => Err(format!("'{first}' is given as a whole and as {first}.{rest} as well")),
        },
    }
}
