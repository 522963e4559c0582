//! `tdl tl`: the schema.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tdl::tl::{
    compiled_schema,
    schema::{self, Definition, Kind, Schema},
};

use super::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The commands under `tdl tl`.
#[derive(Debug, Subcommand)]
pub(crate) enum TlCommand {
    /// List the definitions of the schema, one a line
    #[command(after_help = "\
Examples:
  tdl tl ls                               everything
  tdl tl ls auth.                         what has 'auth.' in its name
  tdl tl ls --kind method messages.get")]
    Ls(LsArgs),
    /// Show what a name stands for: a method, a constructor, or a type with its constructors
    #[command(after_help = "\
Examples:
  tdl tl show auth.sendCode
  tdl tl show InputPeer
  tdl tl show 0xa677244f")]
    Show(ShowArgs),
    /// Read a schema in any layout, check every id, and write the canonical form
    #[command(after_help = "\
Examples:
  tdl tl import new.tl                    prints it
  tdl tl import new.tl -o tl-schema/api.tl")]
    Import(ImportArgs),
}

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

/// The arguments of `tdl tl import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The schema to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write here instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which schema to look into.
#[derive(Debug, Args)]
struct Source {
    /// Look into this file instead of the schema that the program was built with
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, command: &TlCommand) -> Result<ExitCode, CliError> {
    match command {
        TlCommand::Ls(args) => args.source.with(|schema| ls(context, args, schema)),
        TlCommand::Show(args) => args.source.with(|schema| show(context, args, schema)),
        TlCommand::Import(args) => import(context, args),
    }
}

impl Source {
    fn with(&self, f: impl FnOnce(&Schema) -> Result<ExitCode, CliError>) -> Result<ExitCode, CliError> {
        match &self.schema {
            None => f(compiled_schema()),
            Some(path) => {
                let text = read(path)?;
                f(&schema::parse(&text).map_err(|e| wrong(path, &e))?)
            }
        }
    }
}

fn read(path: &PathBuf) -> Result<String, CliError> {
    fs::read_to_string(path)
        .map_err(|e| CliError::failed(format!("{}: {e}", path.display())).advise("name a text file with a TL schema in it"))
}

fn wrong(path: &std::path::Path, error: &schema::ParseError) -> CliError {
    CliError::failed(format!("{}: {error}", path.display())).advise("correct that line, or get the schema anew")
}

fn ls(context: &Context, args: &LsArgs, schema: &Schema) -> Result<ExitCode, CliError> {
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

fn show(context: &Context, args: &ShowArgs, schema: &Schema) -> Result<ExitCode, CliError> {
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

fn import(context: &Context, args: &ImportArgs) -> Result<ExitCode, CliError> {
    let schema = schema::parse(&read(&args.file)?).map_err(|e| wrong(&args.file, &e))?;
    let text = schema::canonical(&schema);
    match &args.output {
        None => context.output.raw(text.as_bytes())?,
        Some(path) => fs::write(path, &text).map_err(|e| CliError::failed(format!("{}: {e}", path.display())))?,
    }
    let count = |kind| schema.definitions().iter().filter(|d| d.kind == kind).count();
    let layer = schema.layer().map(|layer| format!("layer {layer}: ")).unwrap_or_default();
    context.output.note(&format!("{layer}{} constructors, {} methods", count(Kind::Constructor), count(Kind::Function)));
    for exception in schema::exceptions(&schema) {
        context.output.note(&format!("id is not the CRC-32 of the definition: {exception}"));
    }
    Ok(ExitCode::Done)
}
