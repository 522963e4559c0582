//! Looking things up in a schema: what `tdl tl ls` and `tdl tl show` print.

use std::fmt::Write as _;

use super::schema::{Definition, Kind, Schema, Type};

/// Definitions whose name or type matches a pattern, sorted by kind and name. A pattern with `*` must match the whole name; without, it
/// may occur anywhere in it. Case does not matter; the empty pattern matches all.
pub fn find<'s>(schema: &'s Schema, pattern: &str) -> Vec<&'s Definition> {
    let pattern = pattern.to_ascii_lowercase();
    let matches = |name: &str| {
        let name = name.to_ascii_lowercase();
        if pattern.contains('*') { glob(&pattern, &name) } else { name.contains(&pattern) }
    };
    let mut found: Vec<_> =
        schema.definitions().iter().filter(|d| matches(&d.name) || matches(&d.result.to_string())).collect();
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

/// Everything about a constructor, a method or a type, given by name or by id (`#` or `0x` and hexadecimal digits): its line, its sister
/// constructors, and where it occurs. None if the schema has no such thing.
pub fn describe(schema: &Schema, what: &str) -> Option<String> {
    let digits = what.strip_prefix('#').or_else(|| what.strip_prefix("0x"));
    if let Some(definition) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(|id| schema.by_id(id)) {
        return Some(describe_definition(schema, definition));
    }
    if schema.constructors_of(what).next().is_some() {
        return Some(describe_type(schema, what));
    }
    // A constructor and a method may share a name.
    let parts: Vec<String> = [schema.constructor(what), schema.function(what)]
        .into_iter()
        .flatten()
        .map(|d| describe_definition(schema, d))
        .collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

fn describe_definition(schema: &Schema, definition: &Definition) -> String {
    let mut out = format!("{definition}\n");
    let kind = if definition.kind == Kind::Function { "method" } else { "constructor" };
    let _ = writeln!(out, "  {kind}, id {:#010x}", definition.id);
    for param in definition.params.iter().filter(|p| p.ty != Type::Flags) {
        let condition = match &param.flag {
            Some(flag) => format!(" (if {} bit {} is set)", flag.field, flag.bit),
            None => String::new(),
        };
        let _ = writeln!(out, "  {}: {}{condition}", param.name, param.ty);
    }
    match definition.kind {
        Kind::Function => {
            let _ = writeln!(out, "  returns {}", definition.result);
            section(
                &mut out,
                "constructors of the result",
                element_type(&definition.result).into_iter().flat_map(|t| schema.constructors_of(t)),
            );
        }
        Kind::Constructor => {
            let ty = definition.result.to_string();
            section(&mut out, "other constructors of the type", schema.constructors_of(&ty).filter(|d| d.id != definition.id));
            usage(&mut out, schema, &ty);
        }
    }
    out
}

fn describe_type(schema: &Schema, ty: &str) -> String {
    let mut out = format!("{ty}\n");
    section(&mut out, "constructors", schema.constructors_of(ty));
    usage(&mut out, schema, ty);
    out
}

fn usage(out: &mut String, schema: &Schema, ty: &str) {
    let returns = |d: &&Definition| d.kind == Kind::Function && element_type(&d.result) == Some(ty);
    let takes = |d: &&Definition| d.params.iter().any(|p| element_type(&p.ty) == Some(ty));
    section(out, "returned by", schema.definitions().iter().filter(returns));
    section(out, "parameter of", schema.definitions().iter().filter(takes));
}

fn section<'s>(out: &mut String, title: &str, definitions: impl Iterator<Item = &'s Definition>) {
    let mut definitions = definitions.peekable();
    if definitions.peek().is_some() {
        let _ = writeln!(out, "  {title}:");
        definitions.for_each(|d| {
            let _ = writeln!(out, "    {d}");
        });
    }
}

/// The name of the boxed type that a type is, or is a vector of.
fn element_type(ty: &Type) -> Option<&str> {
    match ty {
        Type::Vector { item, .. } => element_type(item),
        Type::Boxed(name) => Some(name),
        _ => None,
    }
}

/// Whether a text matches a pattern in which `*` stands for anything. Case matters.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    // Each further literal at its first place; the last one at the end.
    let mut text = text;
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_stars_matches_the_whole_name() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("auth.*", "auth.sendcode", true),
            ("*code", "auth.sendcode", true),
            ("a*send*e", "auth.sendcode", true),
            ("a*send*d", "auth.sendcode", false),
            ("auth.sendcode*x", "auth.sendcode", false),
            ("b*", "auth.sendcode", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn lookups_work_by_name_part_type_and_id() {
        let schema = crate::compiled_schema();
        assert!(find(schema, "SENDCODE").iter().any(|d| d.name == "auth.sendCode"));
        assert!(
            find(schema, "upload.get*")
                .iter()
                .all(|d| d.name.starts_with("upload.get") || d.result.to_string().starts_with("upload.get"))
        );
        assert_eq!(find(schema, "").len(), schema.definitions().len());

        let by_name = describe(schema, "auth.sendCode").expect("a method of the schema");
        assert!(by_name.contains("returns auth.SentCode") && by_name.contains("phone_number: string"), "{by_name}");
        assert_eq!(describe(schema, "#a677244f").as_ref(), Some(&by_name));
        assert_eq!(describe(schema, "0xa677244f").as_ref(), Some(&by_name));
        let ty = describe(schema, "Peer").expect("a type of the schema");
        assert!(ty.contains("peerUser#") && ty.contains("parameter of"), "{ty}");
        assert_eq!(describe(schema, "noSuchThing"), None);
    }
}
