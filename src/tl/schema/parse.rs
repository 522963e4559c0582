//! Text to model.

use std::str::FromStr;

use super::error::{ParseError, ParseErrorKind as E};
use super::model::{Builtin, Definition, Flag, Kind, Param, Schema, Type, split_name};

/// `Vector<Vector<…>>` deeper than this is refused; published schemas have one level.
const MAX_TYPE_DEPTH: usize = 8;

/// Reads a schema file.
///
/// A definition ends with `;` and may span lines; `//` starts a comment, and the comment `// LAYER n` names the layer. Definitions without
/// an id get the CRC-32 of their text.
///
/// # Errors
/// The first rule that is broken, with its line.
pub fn parse(text: &str) -> Result<Schema, ParseError> {
    let mut layer = None;
    let mut kind = Kind::Constructor;
    let mut definitions = Vec::new();
    let mut builtins = Vec::new();
    // The definition being collected, and the line it began on.
    let mut pending = String::new();
    let mut start = 0;

    for (number, line) in (1u32..).zip(text.lines()) {
        let (code, comment) = line.split_once("//").map_or((line, None), |(code, comment)| (code, Some(comment)));
        if let Some(found) = comment.and_then(|c| c.trim().strip_prefix("LAYER ")) {
            let found = found.trim();
            let parsed = found.parse().ok().filter(|n: &i32| *n >= 0);
            layer = Some(parsed.ok_or_else(|| ParseError { line: number, kind: E::BadLayer(found.to_owned()) })?);
        }
        let mut code = code.trim();
        if pending.is_empty() && code.starts_with("---") {
            kind = match code {
                "---types---" => Kind::Constructor,
                "---functions---" => Kind::Function,
                _ => return Err(ParseError { line: number, kind: E::UnknownSection(code.to_owned()) }),
            };
            continue;
        }
        while !code.is_empty() {
            if pending.is_empty() {
                start = number;
            } else {
                pending.push(' ');
            }
            let Some((head, tail)) = code.split_once(';') else {
                pending.push_str(code);
                break;
            };
            pending.push_str(head.trim_end());
            let line = start;
            match definition(&pending, kind, line).map_err(|kind| ParseError { line, kind })? {
                Item::Definition(d) => definitions.push(d),
                Item::Builtin(b) => builtins.push(b),
            }
            pending.clear();
            code = tail.trim_start();
        }
    }
    if !pending.is_empty() {
        return Err(ParseError { line: start, kind: E::Unterminated });
    }
    Schema::new(layer, definitions, builtins)
}

enum Item {
    Definition(Definition),
    Builtin(Builtin),
}

/// One definition, without its `;`.
fn definition(text: &str, kind: Kind, line: u32) -> Result<Item, E> {
    let mut tokens = text.split_whitespace();
    let head = tokens.next().unwrap_or_default();
    let (name, id) = match head.split_once('#') {
        Some((name, id)) => (name, Some(parse_id(id)?)),
        None => (head, None),
    };
    if !is_name(name) {
        return Err(E::BadName(name.to_owned()));
    }
    let rest: Vec<&str> = tokens.collect();
    let equals = rest.iter().position(|t| *t == "=").ok_or(E::NoResult)?;
    let (params, result) = (&rest[..equals], &rest[equals + 1..]);

    // Repetitions and `?` belong to the language itself, not to what it describes.
    if params.iter().any(|t| matches!(*t, "?" | "[" | "]" | "#") || t.ends_with("*[")) {
        return Ok(Item::Builtin(Builtin { name: name.to_owned(), id, rest: rest.join(" "), line }));
    }

    let mut definition =
        Definition { name: name.to_owned(), id: 0, generics: Vec::new(), params: Vec::new(), result: Type::Flags, kind, line };
    for token in params {
        if let Some(inner) = token.strip_prefix('{') {
            let variable = inner.strip_suffix(":Type}").filter(|v| is_identifier(v));
            definition.generics.push(variable.ok_or_else(|| E::BadGeneric((*token).to_owned()))?.to_owned());
        } else {
            let param = parse_param(token, &definition)?;
            definition.params.push(param);
        }
    }
    definition.result = match result {
        [] => return Err(E::NoResult),
        [one] => parse_type(one, &definition.generics, 0)?,
        // `Vector t`, as older files write it.
        [vector @ ("Vector" | "vector"), item] => {
            Type::Vector { bare: *vector == "vector", item: Box::new(parse_type(item, &definition.generics, 1)?) }
        }
        more => return Err(E::BadType(more.join(" "))),
    };
    definition.id = id.unwrap_or_else(|| definition.computed_id());
    Ok(Item::Definition(definition))
}

fn parse_param(token: &str, definition: &Definition) -> Result<Param, E> {
    let (name, ty) = token.split_once(':').ok_or_else(|| E::NoParamType(token.to_owned()))?;
    if !is_identifier(name) {
        return Err(E::BadName(name.to_owned()));
    }
    if definition.params.iter().any(|p| p.name == name) {
        return Err(E::DuplicateParam(name.to_owned()));
    }
    let (flag, ty) = match ty.split_once('?') {
        None => (None, ty),
        Some((condition, ty)) => {
            let bad = || E::BadFlag(token.to_owned());
            let (field, bit) = condition.split_once('.').ok_or_else(bad)?;
            let bit: u8 = bit.parse().ok().filter(|b| *b < 32).ok_or_else(bad)?;
            if !definition.params.iter().any(|p| p.ty == Type::Flags && p.name == field) {
                return Err(E::UnknownFlagField { param: name.to_owned(), field: field.to_owned() });
            }
            (Some(Flag { field: field.to_owned(), bit }), ty)
        }
    };
    Ok(Param { name: name.to_owned(), flag, ty: parse_type(ty, &definition.generics, 0)? })
}

fn parse_type(text: &str, generics: &[String], depth: usize) -> Result<Type, E> {
    if depth > MAX_TYPE_DEPTH {
        return Err(E::TooDeep);
    }
    let bad = || E::BadType(text.to_owned());
    if let Some((outer, item)) = text.split_once('<') {
        let item = item.strip_suffix('>').ok_or_else(bad)?;
        let bare = match outer {
            "Vector" => false,
            "vector" | "%Vector" => true,
            _ => return Err(bad()),
        };
        return Ok(Type::Vector { bare, item: Box::new(parse_type(item, generics, depth + 1)?) });
    }
    Ok(match text {
        "#" => Type::Flags,
        "int" => Type::Int,
        "long" => Type::Long,
        "double" => Type::Double,
        "int128" => Type::Int128,
        "int256" => Type::Int256,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "true" => Type::True,
        "Bool" => Type::Bool,
        _ if generics.iter().any(|g| g == text) => Type::Variable(text.to_owned()),
        _ => {
            if let Some(variable) = text.strip_prefix('!') {
                if !generics.iter().any(|g| g == variable) {
                    return Err(E::UnknownVariable(variable.to_owned()));
                }
                return Ok(Type::Call(variable.to_owned()));
            }
            let (percent, name) = text.strip_prefix('%').map_or((false, text), |name| (true, name));
            if !is_name(name) {
                return Err(bad());
            }
            let upper = split_name(name).1.starts_with(|c: char| c.is_ascii_uppercase());
            match (percent, upper) {
                (true, true) => Type::BareBoxed(name.to_owned()),
                (false, true) => Type::Boxed(name.to_owned()),
                (false, false) => Type::Bare(name.to_owned()),
                (true, false) => return Err(bad()),
            }
        }
    })
}

impl FromStr for Type {
    type Err = E;

    /// A type by its text, as it stands behind a parameter's name; without conditions and type variables.
    fn from_str(text: &str) -> Result<Self, E> {
        parse_type(text, &[], 0)
    }
}

fn parse_id(text: &str) -> Result<u32, E> {
    let digits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let id = if digits { u32::from_str_radix(text, 16).ok() } else { None };
    id.ok_or_else(|| E::BadId(text.to_owned()))
}

/// A name with at most one namespace.
fn is_name(text: &str) -> bool {
    match text.split_once('.') {
        Some((namespace, name)) => is_identifier(namespace) && is_identifier(name),
        None => is_identifier(text),
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
