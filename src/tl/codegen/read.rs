//! The text that reads the fields of a struct.

use std::fmt::Write as _;

use super::super::schema::{Definition, Param, Type};
use super::names;
use super::runs::{bit, flag_index, runs};

/// The expression that makes a struct out of what the reader has.
pub(super) fn by_value(definition: &Definition) -> String {
    if definition.params.is_empty() {
        return "Self".to_owned();
    }
    let steps = steps(definition);
    // Fields are read in the order of the schema. Those before the last statement need statements too; the others are read where the
    // struct expression names them.
    let last = steps.iter().rposition(|step| matches!(step, Step::Statement(_))).unwrap_or(0);
    let (mut before, mut fields) = (String::new(), String::new());
    for (at, step) in steps.iter().enumerate() {
        let _ = match step {
            Step::Statement(text) => write!(before, "{text}"),
            Step::Known { param, value, .. } => write!(fields, "{}: {value}, ", names::field(&param.name)),
            Step::Read(param) if at < last => keep(&mut before, &mut fields, definition, param, at),
            Step::Read(param) => write!(fields, "{}: {}, ", names::field(&param.name), expression(definition, param)),
        };
    }
    if before.is_empty() { format!("Self {{ {fields}}}") } else { format!("{{ {before}Self {{ {fields}}} }}") }
}

/// The statements that make the struct in a box, which is there from the start.
pub(super) fn in_box(definition: &Definition) -> String {
    let Parts { before, fields, after } = in_place(definition);
    let mutable = if after.is_empty() { "" } else { "mut " };
    format!("let x = Box::new_uninit(); {before}let {mutable}x = Box::write(x, Self {{ {fields}}}); {after}x")
}

/// The statements that make the struct where `f` puts it.
pub(super) fn into(definition: &Definition) -> String {
    let Parts { before, fields, after } = in_place(definition);
    format!("{before}if let Some(x) = f(Self {{ {fields}}}) {{ {after}}}")
}

/// What makes a struct where it will stay.
struct Parts {
    /// Statements before the struct is there.
    before: String,
    /// The fields that the struct begins with.
    fields: String,
    /// Statements that put further fields into the struct `x`.
    after: String,
}

/// The struct comes to be after the last field that has no [`placeholder`], out of what is known by then and placeholders; what follows
/// goes into it one by one. So nothing is moved, and what is absent costs next to nothing.
fn in_place(definition: &Definition) -> Parts {
    let steps = steps(definition);
    let unreplaceable = |step: &Step<'_>| matches!(step, Step::Read(param) if placeholder(param).is_none());
    let cut = steps.iter().rposition(unreplaceable).map_or(0, |last| last + 1);
    let (mut before, mut fields, mut after) = (String::new(), String::new(), String::new());
    // The last step that is taken before the struct is there.
    let mut early = 0;
    for (at, step) in steps.iter().enumerate() {
        if at < cut || after.is_empty() {
            early = at;
        }
        let _ = match step {
            Step::Statement(text) => write!(if early == at { &mut before } else { &mut after }, "{text}"),
            Step::Known { param, value, since } if *since <= early => {
                write!(fields, "{}: {value}, ", names::field(&param.name))
            }
            Step::Known { param, value, .. } => {
                let field = names::field(&param.name);
                let nothing = placeholder(param).unwrap_or_default();
                write!(fields, "{field}: {nothing}, ").and(write!(after, "x.{field} = {value}; "))
            }
            Step::Read(param) if at < cut => keep(&mut before, &mut fields, definition, param, at),
            Step::Read(param) => {
                let (field, value) = (names::field(&param.name), value(&param.ty));
                let nothing = placeholder(param).unwrap_or_default();
                write!(fields, "{field}: {nothing}, ").and(match &param.flag {
                    Some(flag) => {
                        write!(after, "if {} {{ w::put(&mut x.{field}, Some({value})); }} ", bit(definition, flag))
                    }
                    None => write!(after, "w::put(&mut x.{field}, {value}); "),
                })
            }
        };
    }
    Parts { before, fields, after }
}

/// What has to be done for a struct, in this order.
enum Step<'a> {
    /// Read flags, or a run of numbers, into variables.
    Statement(String),
    /// A field whose value is a matter of variables.
    Known {
        /// The field.
        param: &'a Param,
        /// Its value.
        value: String,
        /// The step with the statement behind which the variables are there.
        since: usize,
    },
    /// A field that is read.
    Read(&'a Param),
}

fn steps(definition: &Definition) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    // For each flags field, the step that reads it.
    let mut flags_since = Vec::new();
    let mut runs = runs(definition).into_iter().enumerate().peekable();
    for (at, param) in definition.params.iter().enumerate() {
        if let (Type::True, Some(flag)) = (&param.ty, &param.flag) {
            let since = flag_index(definition, flag).and_then(|index| flags_since.get(index)).copied().unwrap_or_default();
            steps.push(Step::Known { param, value: bit(definition, flag), since });
            continue;
        }
        // Runs begin in the order of the parameters; what lies within one was dealt with at its beginning.
        let Some((number, run)) = runs.next_if(|(_, run)| run.first().is_some_and(|(first, _)| *first == at)) else { continue };
        if let [(_, only)] = run.as_slice() {
            if only.ty == Type::Flags {
                steps.push(Step::Statement(format!("let b{} = r.next_u32(); ", flags_since.len())));
                flags_since.push(steps.len() - 1);
            } else {
                steps.push(Step::Read(only));
            }
            continue;
        }
        // One variable a word.
        let since = steps.len();
        let (mut variables, mut known) = (Vec::new(), Vec::new());
        for (_, param) in run {
            let word = variables.len();
            match param.ty {
                Type::Flags => {
                    variables.push(format!("b{}", flags_since.len()));
                    flags_since.push(since);
                }
                Type::Long => {
                    variables.extend([word, word + 1].map(|word| format!("n{number}_{word}")));
                    let value = format!("w::long(n{number}_{word}, n{number}_{})", word + 1);
                    known.push(Step::Known { param, value, since });
                }
                _ => {
                    variables.push(format!("n{number}_{word}"));
                    known.push(Step::Known { param, value: format!("n{number}_{word} as i32"), since });
                }
            }
        }
        steps.push(Step::Statement(format!("let [{}] = r.next_words(); ", variables.join(", "))));
        steps.extend(known);
    }
    steps
}

/// Reads a field before the struct is there.
fn keep(before: &mut String, fields: &mut String, definition: &Definition, param: &Param, at: usize) -> std::fmt::Result {
    write!(before, "let f{at} = {}; ", expression(definition, param))?;
    write!(fields, "{}: f{at}, ", names::field(&param.name))
}

/// The expression that reads a field, there or not.
fn expression(definition: &Definition, param: &Param) -> String {
    let value = value(&param.ty);
    match &param.flag {
        None => value.to_owned(),
        Some(flag) => format!("if {} {{ Some({value}) }} else {{ None }}", bit(definition, flag)),
    }
}

/// The expression that reads a value of a type.
fn value(ty: &Type) -> &'static str {
    match ty {
        Type::Int => "r.next_i32()",
        Type::Long => "r.next_i64()",
        Type::Double => "r.next_f64()",
        Type::Int128 => "r.next_int128()",
        Type::Int256 => "r.next_int256()",
        Type::String => "r.next_string()",
        Type::Bytes => "r.next_bytes()",
        Type::Bool => "r.next_bool()",
        Type::Vector { bare: true, .. } => "r.next_bare_vector()",
        _ => "w::d(r)",
    }
}

/// A value for a field that costs nothing and owns nothing. None where there is no such value.
fn placeholder(param: &Param) -> Option<&'static str> {
    match (&param.flag, &param.ty) {
        (_, Type::True | Type::Bool) if param.is_true_flag() || param.flag.is_none() => Some("false"),
        (Some(_), _) => Some("None"),
        (None, Type::Int | Type::Long) => Some("0"),
        (None, Type::Double) => Some("0.0"),
        (None, Type::Int128) => Some("[0; 16]"),
        (None, Type::Int256) => Some("[0; 32]"),
        (None, Type::String) => Some("w::Str::new()"),
        (None, Type::Bytes) => Some("w::Bytes::new()"),
        (None, Type::Vector { .. }) => Some("Vec::new()"),
        (None, _) => None,
    }
}
