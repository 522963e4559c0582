//! `tdl tl ls`, `tdl tl show` and `tdl tl layers`: what a schema has.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tdl::tl::{
    layers::{self, bundled},
    schema::{Definition, Kind, Schema},
};

use super::source::Source;
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// Which definitions to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Methods
    Method,
    /// Constructors
    Constructor,
}

/// The arguments of `tdl tl ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only names that contain this, in any case
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Only methods, or only constructors
    #[arg(long, value_name = "KIND")]
    kind: Option<Which>,
    #[command(flatten)]
    source: Source,
}

/// The arguments of `tdl tl show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A name, or an id in hexadecimal (0x…)
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    source: Source,
}

/// The arguments of `tdl tl layers`: none.
#[derive(Debug, Args)]
pub(crate) struct LayersArgs {}

/// `tdl tl layers`.
pub(super) fn layers(context: &Context, _: &LayersArgs) -> Result<ExitCode, CliError> {
    let mut rows = Vec::new();
    for layer in bundled() {
        let schema = layers::schema(*layer).map_err(|e| CliError::failed(e.to_string()))?;
        let count = |kind| schema.definitions().iter().filter(|d| d.kind == kind).count();
        let (constructors, methods) = (count(Kind::Constructor), count(Kind::Function));
        match context.output.json {
            true => context.output.json_line(&json!({ "layer": layer, "constructors": constructors, "methods": methods }))?,
            false => rows.push(vec![layer.to_string(), constructors.to_string(), methods.to_string()]),
        }
    }
    if !context.output.json {
        context.output.table(&["layer", "constructors", "methods"], &rows)?;
    }
    Ok(ExitCode::Done)
}

/// `tdl tl ls`.
pub(super) fn ls(context: &Context, args: &LsArgs) -> Result<ExitCode, CliError> {
    args.source.with(context, |schema| list(context, args, schema))
}

/// `tdl tl show`.
pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<ExitCode, CliError> {
    args.source.with(context, |schema| explain(context, args, schema))
}

fn list(context: &Context, args: &LsArgs, schema: &Schema) -> Result<ExitCode, CliError> {
    let text = args.text.as_deref().unwrap_or_default().to_lowercase();
    let mut found: Vec<&Definition> = schema
        .definitions()
        .iter()
        .filter(|d| d.name.to_lowercase().contains(&text))
        .filter(|d| args.kind.is_none_or(|kind| (kind == Which::Method) == (d.kind == Kind::Function)))
        .collect();
    found.sort_by_key(|d| (d.kind, d.split_name()));
    for definition in &found {
        match context.output.json {
            true => context.output.json_line(&to_json(definition))?,
            false => context.output.line(&definition.to_string())?,
        }
    }
    if found.is_empty() {
        return Err(CliError::failed(format!("no definition has '{text}' in its name")).advise("`tdl tl ls` lists them all"));
    }
    Ok(ExitCode::Done)
}

fn explain(context: &Context, args: &ShowArgs, schema: &Schema) -> Result<ExitCode, CliError> {
    for name in &args.names {
        let found = lookup(schema, name)?;
        if context.output.json {
            for definition in &found {
                context.output.json_line(&to_json(definition))?;
            }
            continue;
        }
        for definition in &found {
            let kind = match definition.kind {
                Kind::Function => "method",
                Kind::Constructor => "constructor",
            };
            context.output.line(&format!("{kind} {}  #{:08x}", definition.name, definition.id))?;
            let width = definition.params.iter().map(|p| p.name.len()).max().unwrap_or(0);
            for param in &definition.params {
                let condition =
                    param.flag.as_ref().map(|flag| format!("   if {}.{}", flag.field, flag.bit)).unwrap_or_default();
                context.output.line(&format!("  {:width$}  {}{condition}", param.name, param.ty))?;
            }
            context.output.line(&format!("  = {}", definition.result))?;
        }
    }
    Ok(ExitCode::Done)
}

/// What a name can stand for: an id, a method, a constructor, a type; exactly as written first, then in any case.
fn lookup<'a>(schema: &'a Schema, name: &str) -> Result<Vec<&'a Definition>, CliError> {
    let id = name.strip_prefix("0x").or(name.strip_prefix('#')).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let mut found: Vec<&Definition> = match id {
        Some(id) => schema.by_id(id).into_iter().collect(),
        None => schema.constructor(name).into_iter().chain(schema.function(name)).collect(),
    };
    if found.is_empty() {
        found = schema.constructors_of(name).collect();
    }
    if found.is_empty() {
        let lower = name.to_lowercase();
        found = schema.definitions().iter().filter(|d| d.name.to_lowercase() == lower).collect();
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let lower = name.to_lowercase();
    let mut near: Vec<&str> = schema
        .definitions()
        .iter()
        .map(|d| d.name.as_str())
        .filter(|known| known.to_lowercase().contains(&lower))
        .take(4)
        .collect();
    near.dedup();
    let advice = match near.as_slice() {
        [] => "`tdl tl ls` lists what there is".to_owned(),
        near => format!("near it are {}", near.join(", ")),
    };
    Err(CliError::failed(format!("the schema has nothing called '{name}'")).advise(advice))
}

fn to_json(definition: &Definition) -> Value {
    json!({
        "name": definition.name,
        "id": format!("{:08x}", definition.id),
        "kind": match definition.kind { Kind::Function => "method", Kind::Constructor => "constructor" },
        "params": definition.params.iter().map(|param| json!({
            "name": param.name,
            "type": param.ty.to_string(),
            "flag": param.flag.as_ref().map(|flag| json!({ "field": flag.field, "bit": flag.bit })),
        })).collect::<Vec<_>>(),
        "result": definition.result.to_string(),
        "line": definition.to_string(),
    })
}
