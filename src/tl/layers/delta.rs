//! One layer as its difference to another.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use thiserror::Error;

use crate::schema::{Definition, Kind, ParseErrorKind, Schema, canonical, canonical_order, parse};

/// A difference that cannot be applied: the line, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct DeltaError {
    /// Line of the difference, from 1; zero if it is none in particular.
    pub line: u32,
    /// What is wrong.
    pub kind: DeltaErrorKind,
}

/// The rules of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeltaErrorKind {
    /// The text does not begin with `// LAYER n`.
    #[error("the first line does not name a layer")]
    NoLayer,
    /// A line that is neither a section, a comment, `-name#id` nor `+definition;`.
    #[error("neither -name#id nor +definition;: {0:?}")]
    BadLine(String),
    /// A `-` for something that is not there.
    #[error("{0} is to be taken out and is not there")]
    NothingToTake(String),
    /// A `+` whose definition does not parse.
    #[error(transparent)]
    Definition(#[from] ParseErrorKind),
}

/// The difference that makes `older` out of `newer`: the text that is stored in `tl-schema/layers/`. Sorted as the canonical form is.
pub fn difference(newer: &Schema, older: &Schema) -> String {
    let layer = |schema: &Schema| schema.layer().map_or_else(|| "?".to_owned(), |layer| layer.to_string());
    let text = canonical(older);
    let mut out = format!(
        "// LAYER {}, as a difference to layer {}: lines with - are taken out of that one, lines with + put in.\n",
        layer(older),
        layer(newer),
    );
    let _ = writeln!(out, "// Canonical text: {} bytes, CRC-32 {:08x}.", text.len(), crc32fast::hash(text.as_bytes()));

    let lines = |schema: &Schema| -> HashSet<String> { schema.definitions().iter().map(Definition::to_string).collect() };
    let (before, after) = (lines(newer), lines(older));
    for (title, kind) in [("types", Kind::Constructor), ("functions", Kind::Function)] {
        let mut rows: Vec<(bool, &Definition)> = Vec::new();
        let of_kind = |d: &&Definition| d.kind == kind;
        rows.extend(newer.definitions().iter().filter(of_kind).filter(|d| !after.contains(&d.to_string())).map(|d| (false, d)));
        rows.extend(older.definitions().iter().filter(of_kind).filter(|d| !before.contains(&d.to_string())).map(|d| (true, d)));
        rows.sort_by_cached_key(|(comes, d)| (canonical_order(d), *comes));
        let _ = write!(out, "\n---{title}---\n\n");
        for (comes, definition) in rows {
            let _ = match comes {
                true => writeln!(out, "+{definition}"),
                false => writeln!(out, "-{}#{:08x}", definition.name, definition.id),
            };
        }
    }
    out
}

/// Applies differences one after the other. The layer is that of the last; the definitions come in canonical order, those that no
/// difference may mention (the protocol's own) among them.
///
/// # Errors
/// The first rule that a difference breaks.
pub fn apply<'t>(newest: &Schema, differences: impl IntoIterator<Item = &'t str>) -> Result<Schema, DeltaError> {
    let mut layer = newest.layer();
    let mut definitions: HashMap<(Kind, String), Definition> =
        newest.definitions().iter().map(|d| ((d.kind, d.name.clone()), d.clone())).collect();
    for text in differences {
        layer = Some(step(text, &mut definitions)?);
    }
    let mut definitions: Vec<Definition> = definitions.into_values().collect();
    definitions.sort_by_cached_key(|d| (d.kind, canonical_order(d)));
    Schema::new(layer, definitions, newest.builtins().to_vec()).map_err(|e| DeltaError { line: 0, kind: e.kind.into() })
}

/// Applies one difference; returns its layer.
fn step(text: &str, definitions: &mut HashMap<(Kind, String), Definition>) -> Result<i32, DeltaError> {
    let first = text.lines().next().unwrap_or_default();
    let digits = first.strip_prefix("// LAYER ").and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let layer = digits.and_then(|digits| digits.parse().ok()).ok_or(DeltaError { line: 1, kind: DeltaErrorKind::NoLayer })?;

    let mut kind = Kind::Constructor;
    // What comes is parsed in one go behind the loop, with the same line numbers.
    let mut coming = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        let fail = |kind| Err(DeltaError { line: number, kind });
        if let Some(definition) = line.strip_prefix('+') {
            coming.push_str(definition);
        } else if let Some(gone) = line.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
            let Some((name, id)) = gone.split_once('#') else { return fail(DeltaErrorKind::BadLine(line.to_owned())) };
            match definitions.remove(&(kind, name.to_owned())) {
                Some(found) if format!("{:08x}", found.id) == id => {}
                _ => return fail(DeltaErrorKind::NothingToTake(gone.to_owned())),
            }
        } else if line.starts_with("---") {
            kind = if line == "---functions---" { Kind::Function } else { Kind::Constructor };
            coming.push_str(line);
        } else if !line.is_empty() && !line.starts_with("//") {
            return fail(DeltaErrorKind::BadLine(line.to_owned()));
        }
        coming.push('\n');
    }
    let coming = parse(&coming).map_err(|e| DeltaError { line: e.line, kind: e.kind.into() })?;
    for definition in coming.definitions() {
        let key = (definition.kind, definition.name.clone());
        if definitions.insert(key, definition.clone()).is_some() {
            let kind = ParseErrorKind::DuplicateName(definition.name.clone()).into();
            return Err(DeltaError { line: definition.line, kind });
        }
    }
    Ok(layer)
}
