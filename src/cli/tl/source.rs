//! Which schema a command looks into.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tdl::tl::{
    layers,
    schema::{self, ParseError, Schema, Type},
};

use crate::cli::{context::Context, exit::CliError};

/// Which schema to look into: that of `--layer`, which all commands take, or a file.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Look into this file instead of a layer that the program knows
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

impl Source {
    /// Runs something with the schema.
    pub(super) fn with<T>(&self, context: &Context, f: impl FnOnce(&Schema) -> Result<T, CliError>) -> Result<T, CliError> {
        match &self.schema {
            None => f(layer(context.settings.layer.unwrap_or(tdl::client::COMPILED_LAYER))?),
            Some(path) => f(&file(path)?),
        }
    }
}

/// The schema of a layer.
pub(super) fn layer(number: i32) -> Result<&'static Schema, CliError> {
    layers::schema(number).map_err(|e| {
        CliError::failed(e.to_string()).advise("choose one of these with --layer, or name a schema file (`--schema FILE`)")
    })
}

/// The schema of a file.
pub(super) fn file(path: &Path) -> Result<Schema, CliError> {
    schema::parse(&read(path)?).map_err(|e| wrong(path, &e))
}

/// The text of a schema file.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path)
        .map_err(|e| CliError::failed(format!("{}: {e}", path.display())).advise("name a text file with a TL schema in it"))
}

/// A schema file with a mistake in it.
pub(super) fn wrong(path: &Path, error: &ParseError) -> CliError {
    CliError::failed(format!("{}: {error}", path.display())).advise("correct that line, or get the schema anew")
}

/// What `--type` names: a type, or a method, which stands for the type of its answer.
pub(super) fn named_type(schema: &Schema, text: &str) -> Result<Type, CliError> {
    if let Some(method) = schema.function(text) {
        return Ok(method.result.clone());
    }
    let ty: Option<Type> = text.parse().ok();
    let known = |ty: &Type| match innermost(ty) {
        Type::Boxed(name) | Type::BareBoxed(name) => schema.constructors_of(name).next().is_some(),
        Type::Bare(name) => schema.constructor(name).is_some(),
        _ => true,
    };
    ty.filter(known).ok_or_else(|| {
        CliError::usage(format!("the schema has no type or method called '{text}'"))
            .advise("name a type such as 'Vector<User>', 'Bool' or 'Updates', or a method such as 'users.getUsers'")
    })
}

fn innermost(ty: &Type) -> &Type {
    match ty {
        Type::Vector { item, .. } => innermost(item),
        other => other,
    }
}
