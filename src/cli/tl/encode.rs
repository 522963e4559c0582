//! `tdl tl encode`: JSON to bytes.

use clap::Args;
use tdl::tl::dynamic::{
    self,
    json::{ByteText, JsonOptions, from_json, from_json_as},
};

use super::{input, source};
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The arguments of `tdl tl encode`.
#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    /// The JSON; - reads it from standard input, @FILE from a file
    // Not `json`: that is the flag's name.
    #[arg(value_name = "JSON", required = true)]
    object: Vec<String>,
    /// What the JSON is, if not an object with its name: a type such as 'Vector<User>', or a method, for its answer
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Write the bytes as they are, not as hexadecimal digits
    #[arg(long)]
    raw: bool,
    /// Bytes in the JSON are hexadecimal digits, not base64
    #[arg(long)]
    hex: bool,
    #[command(flatten)]
    source: source::Source,
}

pub(super) fn run(context: &Context, args: &EncodeArgs) -> Result<ExitCode, CliError> {
    let (content, name) = input::read(&args.object)?;
    let json: serde_json::Value = serde_json::from_slice(&content).map_err(|e| {
        CliError::failed(format!("{name} is not JSON: {e}"))
            .advise("an object looks like '{\"_\":\"inputPeerUser\",\"user_id\":\"1\",\"access_hash\":\"2\"}'; put it in single quotes for the shell")
    })?;
    let options = JsonOptions { bytes: if args.hex { ByteText::Hex } else { ByteText::Base64 }, ..JsonOptions::default() };
    args.source.with(context, |schema| {
        let failed = |what: String| CliError::failed(what).advise("`tdl tl show NAME` lists the fields and their types");
        let mut out = Vec::new();
        let encoded = match &args.ty {
            None => {
                let value = from_json(schema, &json, &options).map_err(|e| failed(e.to_string()))?;
                dynamic::encode(schema, &value, &mut out)
            }
            Some(ty) => {
                let ty = source::named_type(schema, ty)?;
                let value = from_json_as(schema, &ty, &json, &options).map_err(|e| failed(e.to_string()))?;
                dynamic::encode_as(schema, &ty, &value, &mut out)
            }
        };
        encoded.map_err(|e| failed(e.to_string()))?;
        match args.raw {
            true => context.output.raw(&out)?,
            false => context.output.line(&input::hex(&out))?,
        }
        Ok(ExitCode::Done)
    })
}
