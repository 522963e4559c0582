//! `tdl tl import`: any schema file into canonical form.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tdl::tl::{
    layers::Store,
    schema::{self, Kind, Schema},
};

use super::source::{file, read};
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The arguments of `tdl tl import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The schema to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write here instead of to stdout
    #[arg(short, long, value_name = "FILE", conflicts_with = "layer_store")]
    output: Option<PathBuf>,
    /// Put it among the layers of this directory, which holds api.tl and layers/, and write what changes there
    #[arg(long, value_name = "DIR")]
    layer_store: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &ImportArgs) -> Result<ExitCode, CliError> {
    let schema = file(&args.file)?;
    match (&args.layer_store, &args.output) {
        (Some(directory), _) => into_store(context, &schema, directory)?,
        (None, None) => context.output.raw(schema::canonical(&schema).as_bytes())?,
        (None, Some(path)) => write(path, &schema::canonical(&schema))?,
    }
    let count = |kind| schema.definitions().iter().filter(|d| d.kind == kind).count();
    let layer = schema.layer().map(|layer| format!("layer {layer}: ")).unwrap_or_default();
    context.output.note(&format!("{layer}{} constructors, {} methods", count(Kind::Constructor), count(Kind::Function)));
    for exception in schema::exceptions(&schema) {
        context.output.note(&format!("id is not the CRC-32 of the definition: {exception}"));
    }
    Ok(ExitCode::Done)
}

fn into_store(context: &Context, schema: &Schema, directory: &Path) -> Result<(), CliError> {
    let wrong = |what: String| {
        CliError::failed(what).advise("the directory holds api.tl and, in layers/, N.delta for each older layer N")
    };
    let mut differences = Vec::new();
    let entries =
        fs::read_dir(directory.join("layers")).map_err(|e| wrong(format!("{}: {e}", directory.join("layers").display())))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let layer = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i32>().ok());
        if let (Some(layer), Some("delta")) = (layer, path.extension().and_then(|e| e.to_str())) {
            differences.push((layer, read(&path)?));
        }
    }
    let newest = read(&directory.join("api.tl"))?;
    let mut store = Store::read(&newest, differences.iter().map(|(layer, text)| (*layer, text.as_str())))
        .map_err(|e| wrong(e.to_string()))?;
    let inserted = store.insert(schema).map_err(|e| {
        CliError::failed(e.to_string())
            .advise("its file needs a line '// LAYER n', and definitions that do not contradict each other")
    })?;
    for (name, list) in
        [("left out, they are the protocol's own", &inserted.left_out), ("added, every layer has them", &inserted.added)]
    {
        if !list.is_empty() {
            context.output.note(&format!("{name}: {}", list.join(", ")));
        }
    }
    for (name, text) in store.files() {
        let path = directory.join(&name);
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            write(&path, &text)?;
            context.output.line(&path.display().to_string())?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(|e| CliError::failed(format!("{}: {e}", path.display())))
}
