//! The text that writes the fields of a struct.

use std::fmt::Write as _;

use super::super::schema::{Definition, Param, Type};
use super::names;
use super::runs::{bit, runs};

/// The statements that write the fields of a struct.
pub(super) fn fields(definition: &Definition) -> String {
    let mut out = String::new();
    let mut flags = 0;
    for run in runs(definition) {
        let mut words = Vec::new();
        for &(_, param) in &run {
            let field = format!("self.{}", names::field(&param.name));
            match param.ty {
                Type::Flags => {
                    let _ = write!(out, "let b{flags}: u32 = {}; ", flag_bits(definition, &param.name));
                    words.push(format!("b{flags}"));
                    flags += 1;
                }
                Type::Long => words.extend([format!("{field} as u32"), format!("({field} >> 32) as u32")]),
                _ => words.push(format!("{field} as u32")),
            }
        }
        let _ = match run.as_slice() {
            [(_, param)] if param.ty == Type::Flags => write!(out, "w::u32(o, b{}); ", flags - 1),
            [(_, param)] => field(&mut out, definition, param),
            _ => write!(out, "w::words(o, [{}]); ", words.join(", ")),
        };
    }
    out
}

/// Writes a field on its own.
fn field(out: &mut String, definition: &Definition, param: &Param) -> std::fmt::Result {
    let field = format!("self.{}", names::field(&param.name));
    let value = |by_value: &str, by_ref: &str| match &param.ty {
        Type::Int => format!("w::i32(o, {by_value})"),
        Type::Long => format!("w::i64(o, {by_value})"),
        Type::Vector { bare: true, .. } => format!("w::bare_vector(o, {by_ref})"),
        _ => format!("w::S::serialize({by_ref}, o)"),
    };
    match &param.flag {
        None => write!(out, "{}; ", value(&field, &format!("&{field}"))),
        // Only where all values of the bit are there.
        Some(flag) if shares_bit(definition, param) => {
            write!(out, "if {} {{ if let Some(x) = &{field} {{ {} }} }} ", bit(definition, flag), value("*x", "x"))
        }
        Some(_) => write!(out, "if let Some(x) = &{field} {{ {} }} ", value("*x", "x")),
    }
}

/// The parameters that depend on a bit.
fn depends_on<'a>(definition: &'a Definition, field: &str, bit: u8) -> impl Iterator<Item = &'a Param> {
    definition.params.iter().filter(move |p| p.flag.as_ref().is_some_and(|f| f.field == field && f.bit == bit))
}

/// Whether the bit of this parameter also stands for other values.
fn shares_bit(definition: &Definition, param: &Param) -> bool {
    param.flag.as_ref().is_some_and(|f| depends_on(definition, &f.field, f.bit).filter(|p| !p.is_true_flag()).count() > 1)
}

/// The expression for a flags field: a bit is set if all values that depend on it are there, or if its `true` field is set where no value
/// depends on it.
fn flag_bits(definition: &Definition, field: &str) -> String {
    let mut terms = Vec::new();
    for bit in 0..32u8 {
        let all: Vec<&Param> = depends_on(definition, field, bit).collect();
        let values: Vec<String> =
            all.iter().filter(|p| !p.is_true_flag()).map(|p| format!("self.{}.is_some()", names::field(&p.name))).collect();
        let trues: Vec<String> =
            all.iter().filter(|p| p.is_true_flag()).map(|p| format!("self.{}", names::field(&p.name))).collect();
        let condition = match (values.as_slice(), trues.as_slice()) {
            ([], []) => continue,
            ([], trues) => trues.join(" | "),
            (values, _) => values.join(" & "),
        };
        terms.push(format!("(({condition}) as u32) << {bit}"));
    }
    if terms.is_empty() { "0".to_owned() } else { terms.join(" | ") }
}
