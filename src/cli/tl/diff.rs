//! `tdl tl diff`: what changed between two layers.

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use serde_json::{Value, json};
use tdl::tl::{
    layers,
    schema::{Definition, Kind, Param, Schema, Type},
    translate::Translator,
};

use super::source;
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The arguments of `tdl tl diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The layer, or the schema file, that is looked at from
    #[arg(value_name = "A")]
    from: String,
    /// The layer, or the schema file, that is compared with it
    #[arg(value_name = "B")]
    to: String,
    /// Only names that begin with this, in any case
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Show instead what happens to objects of A that are translated into B: what is said in other words, left out, or cannot be said
    #[arg(long)]
    translation: bool,
}

/// A definition that both have, and not in the same words.
struct Changed<'s> {
    was: &'s Definition,
    is: &'s Definition,
}

/// What is different, by kind: new, gone, changed; each by name.
#[derive(Default)]
struct Differences<'s> {
    new: Vec<&'s Definition>,
    gone: Vec<&'s Definition>,
    changed: Vec<Changed<'s>>,
}

pub(super) fn run(context: &Context, args: &DiffArgs) -> Result<ExitCode, CliError> {
    let prefix = args.prefix.as_deref().unwrap_or_default().to_lowercase();
    if args.translation {
        return translation(context, args, &prefix);
    }
    with(&args.from, |from| {
        with(&args.to, |to| {
            let kinds = [(Kind::Constructor, "constructors"), (Kind::Function, "methods")];
            let found = kinds.map(|(kind, title)| (title, compare(from, to, kind, &prefix)));
            match context.output.json {
                true => context.output.document(&document(args, &found))?,
                false => print(context, args, &found)?,
            }
            Ok(ExitCode::Done)
        })
    })
}

/// Runs something with the schema that a number or a file name stands for.
fn with<T>(name: &str, f: impl FnOnce(&Schema) -> Result<T, CliError>) -> Result<T, CliError> {
    match name.parse() {
        // Files hold the API alone; so must what they are compared with.
        Ok(number) => f(&layers::api_part(source::layer(number)?).map_err(|e| CliError::failed(e.to_string()))?),
        Err(_) => f(&source::file(Path::new(name))?),
    }
}

fn compare<'s>(from: &'s Schema, to: &'s Schema, kind: Kind, prefix: &str) -> Differences<'s> {
    let by_name = |schema: &'s Schema| -> BTreeMap<&'s str, &'s Definition> {
        let wanted = schema.definitions().iter().filter(|d| d.kind == kind && d.name.to_lowercase().starts_with(prefix));
        wanted.map(|d| (d.name.as_str(), d)).collect()
    };
    let (before, after) = (by_name(from), by_name(to));
    let mut out = Differences::default();
    for (name, is) in &after {
        match before.get(name) {
            None => out.new.push(is),
            Some(was) if was.to_string() != is.to_string() => out.changed.push(Changed { was, is }),
            Some(_) => {}
        }
    }
    out.gone = before.iter().filter(|(name, _)| !after.contains_key(*name)).map(|(_, definition)| *definition).collect();
    out
}

/// The fields of a changed definition: in a word what happened, as it was, as it is. That there are flags now goes without saying.
fn fields<'s>(changed: &Changed<'s>) -> Vec<(&'static str, Option<&'s Param>, Option<&'s Param>)> {
    let find = |definition: &'s Definition, name: &str| definition.params.iter().find(|p| p.name == name);
    let mut out = Vec::new();
    for was in changed.was.params.iter().filter(|p| p.ty != Type::Flags) {
        match find(changed.is, &was.name) {
            None => out.push(("gone", Some(was), None)),
            Some(is) if is != was => out.push(("changed", Some(was), Some(is))),
            Some(_) => {}
        }
    }
    let new = changed.is.params.iter().filter(|is| is.ty != Type::Flags && find(changed.was, &is.name).is_none());
    out.extend(new.map(|is| ("new", None, Some(is))));
    out
}

/// A parameter without its name.
fn type_of(param: &Param) -> String {
    param.to_string().split_once(':').map_or_else(String::new, |(_, ty)| ty.to_owned())
}

fn print(context: &Context, args: &DiffArgs, found: &[(&str, Differences<'_>)]) -> Result<(), CliError> {
    let line = |text: &str| context.output.line(text);
    for (title, differences) in found {
        let count = differences.new.len() + differences.gone.len() + differences.changed.len();
        if count == 0 {
            continue;
        }
        line(&format!(
            "{title}: {} new, {} gone, {} changed",
            differences.new.len(),
            differences.gone.len(),
            differences.changed.len()
        ))?;
        differences.new.iter().try_for_each(|d| line(&format!("  + {d}")))?;
        differences.gone.iter().try_for_each(|d| line(&format!("  - {d}")))?;
        for changed in &differences.changed {
            let (was, is) = (changed.was, changed.is);
            let ids = if was.id == is.id { format!("#{:08x}", is.id) } else { format!("#{:08x} -> #{:08x}", was.id, is.id) };
            line(&format!("  ~ {} {ids}", is.name))?;
            let fields = fields(changed);
            for (_, before, after) in &fields {
                line(&match (before, after) {
                    (Some(was), Some(is)) => format!("      ~ {}: {} -> {}", is.name, type_of(was), type_of(is)),
                    (Some(was), None) => format!("      - {was}"),
                    (None, Some(is)) => format!("      + {is}"),
                    (None, None) => String::new(),
                })?;
            }
            if was.result != is.result {
                line(&format!("      = {} -> {}", was.result, is.result))?;
            } else if fields.is_empty() {
                line("      the order of the fields, or where the flags stand")?;
            }
        }
    }
    if found.iter().all(|(_, d)| d.new.is_empty() && d.gone.is_empty() && d.changed.is_empty()) {
        context.output.note(&format!("nothing differs between {} and {}", args.from, args.to));
    }
    Ok(())
}

fn document(args: &DiffArgs, found: &[(&str, Differences<'_>)]) -> Value {
    let lines = |list: &[&Definition]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut out = json!({ "from": args.from, "to": args.to });
    for (title, differences) in found {
        let changed = differences.changed.iter().map(|changed| {
            json!({
                "name": changed.is.name,
                "was": changed.was.to_string(),
                "is": changed.is.to_string(),
                "fields": fields(changed).iter().map(|(what, was, is)| json!({
                    "name": is.or(*was).map(|p| p.name.as_str()),
                    "change": what,
                    "was": was.map(type_of),
                    "is": is.map(type_of),
                })).collect::<Vec<_>>(),
            })
        });
        out[*title] = json!({
            "new": lines(&differences.new),
            "gone": lines(&differences.gone),
            "changed": changed.collect::<Vec<_>>(),
        });
    }
    out
}

/// What the translator says of itself.
fn translation(context: &Context, args: &DiffArgs, prefix: &str) -> Result<ExitCode, CliError> {
    let number = |name: &str| {
        name.parse::<i32>().map_err(|_| {
            CliError::usage(format!("'{name}' is no layer"))
                .advise("--translation compares layers that this program knows: see `tdl tl layers`")
        })
    };
    let (from, to) = (number(&args.from)?, number(&args.to)?);
    source::layer(from)?;
    source::layer(to)?;
    let translator = Translator::between(from, to).map_err(|e| CliError::failed(e.to_string()))?;
    let mut found = translator.differences();
    found.retain(|difference| difference.definition.to_lowercase().starts_with(prefix));
    for difference in &found {
        match context.output.json {
            true => context.output.json_line(&json!({
                "definition": difference.definition,
                "field": difference.field,
                "change": difference.change.to_string(),
            }))?,
            false => context.output.line(&difference.to_string())?,
        }
    }
    if found.is_empty() {
        context.output.note(&format!("all of layer {from} can be said in layer {to}"));
    }
    Ok(ExitCode::Done)
}
