//! The definition of a method, and an example of its arguments.

use serde_json::{Map, Value as Json, json};
use tdl::tl::schema::{Definition, Schema, Type};

use super::{
    fill::{self, PeerKind},
    methods,
};
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// How deep examples go: below that, whatever may be empty is.
const DEEPEST: usize = 5;

/// Lists the methods whose names begin in a way.
pub(super) fn list(context: &Context, schema: &Schema, prefix: &str) -> Result<ExitCode, CliError> {
    let lower = prefix.to_lowercase();
    let found: Vec<&Definition> =
        methods::all(schema).into_iter().filter(|it| it.name.to_lowercase().starts_with(&lower)).collect();
    if found.is_empty() {
        return Err(CliError::failed(format!("no method's name begins with '{prefix}'"))
            .advise("`tdl call --list` lists them all; `tdl tl ls` looks for any part of a name"));
    }
    for method in found {
        match context.output.json {
            true => context.output.json_line(&json!({ "name": method.name, "result": method.result.to_string() }))?,
            false => context.output.line(&method.name)?,
        }
    }
    Ok(ExitCode::Done)
}

/// Shows what a method takes and gives.
pub(super) fn method(context: &Context, schema: &Schema, method: &Definition) -> Result<ExitCode, CliError> {
    let example = example(schema, method);
    let optional: Vec<_> = method.params.iter().filter(|param| param.flag.is_some()).collect();
    if context.output.json {
        context.output.document(&json!({
            "name": method.name,
            "definition": method.to_string(),
            "result": method.result.to_string(),
            "example": example,
            "optional": optional.iter().map(|it| (it.name.clone(), json!(it.ty.to_string()))).collect::<Map<_, _>>(),
        }))?;
        return Ok(ExitCode::Done);
    }
    context.output.line(&method.to_string())?;
    context.output.line("")?;
    let text = serde_json::to_string(&example).expect("plain values have a JSON form");
    let arguments = if text == "{}" { String::new() } else { format!(" '{}'", text.replace('\'', "'\\''")) };
    context.output.line(&format!("tdl call {}{arguments}", method.name))?;
    if !optional.is_empty() {
        context.output.line("")?;
        context.output.line("optional:")?;
        let width = optional.iter().map(|it| it.name.len()).max().unwrap_or(0);
        for param in optional {
            context.output.line(&format!("  {:width$}  {}", param.name, param.ty))?;
        }
    }
    Ok(ExitCode::Done)
}

/// The arguments that a method cannot do without, with values that stand for what belongs there.
pub(super) fn example(schema: &Schema, method: &Definition) -> Json {
    let mut fields = Map::new();
    for param in needed(method).filter(|param| !fill::is_drawn(&param.name, &param.ty)) {
        if let Some(value) = sample(schema, &param.ty, DEEPEST) {
            fields.insert(param.name.clone(), value);
        }
    }
    Json::Object(fields)
}

fn needed(definition: &Definition) -> impl Iterator<Item = &tdl::tl::schema::Param> {
    definition.params.iter().filter(|param| param.flag.is_none() && param.ty != Type::Flags)
}

fn sample(schema: &Schema, ty: &Type, depth: usize) -> Option<Json> {
    Some(match ty {
        Type::Int => json!(0),
        Type::Long => json!("0"),
        Type::Double => json!(0.0),
        Type::Int128 => json!("0".repeat(32)),
        Type::Int256 => json!("0".repeat(64)),
        Type::String => json!("text"),
        Type::Bytes => json!(""),
        Type::Bool => json!(false),
        Type::Vector { item, .. } => match depth.checked_sub(1).and_then(|depth| sample(schema, item, depth)) {
            Some(item) => json!([item]),
            None => json!([]),
        },
        Type::Boxed(name) => match PeerKind::of(name) {
            Some(PeerKind::Peer | PeerKind::User) => json!("me"),
            Some(PeerKind::Channel) => json!("@channel"),
            None => {
                // One that says something, and not much: "empty" ones and those that other servers make are no example.
                let constructors = schema.constructors_of(name).filter(|it| !it.name.ends_with("Empty"));
                let chosen =
                    constructors.min_by_key(|it| needed(it).count()).or_else(|| schema.constructors_of(name).next())?;
                object(schema, chosen, depth)?
            }
        },
        Type::Bare(name) => object(schema, schema.constructor(name)?, depth)?,
        Type::BareBoxed(name) => object(schema, schema.constructors_of(name).next()?, depth)?,
        Type::Call(_) => json!({ "_": "help.getConfig" }),
        Type::Flags | Type::True | Type::Variable(_) => return None,
    })
}

fn object(schema: &Schema, definition: &Definition, depth: usize) -> Option<Json> {
    let depth = depth.checked_sub(1)?;
    let mut fields = Map::new();
    fields.insert("_".to_owned(), json!(definition.name));
    for param in needed(definition) {
        fields.insert(param.name.clone(), sample(schema, &param.ty, depth)?);
    }
    Some(Json::Object(fields))
}
