//! `tdl tl decode`: bytes to what they say.

use clap::Args;
use tdl::tl::{
    dynamic::{
        self, Style,
        json::{ByteText, JsonOptions, Longs, to_json},
    },
    layers,
    schema::Schema,
};

use super::{input, source};
use crate::cli::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The arguments of `tdl tl decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// The bytes: hexadecimal digits or base64; - reads them from standard input, @FILE from a file
    #[arg(value_name = "BYTES", required = true)]
    bytes: Vec<String>,
    /// What the bytes are, if not an object with its id: a type such as 'Vector<User>', or a method, for its answer
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// With --json: longs as numbers, which other programs may round, instead of strings
    #[arg(long)]
    numbers: bool,
    /// With --json: bytes as hexadecimal digits instead of base64
    #[arg(long)]
    hex: bool,
    #[command(flatten)]
    source: source::Source,
}

pub(super) fn run(context: &Context, args: &DecodeArgs) -> Result<ExitCode, CliError> {
    let (content, name) = input::read(&args.bytes)?;
    let typed = name == "what was typed";
    let bytes = input::bytes(content, typed).ok_or_else(|| {
        CliError::usage(format!("{name}: neither hexadecimal digits nor base64"))
            .advise("each byte takes two hexadecimal digits; @FILE and - take bytes as they are, too")
    })?;
    args.source.with(context, |schema| {
        let decoded = match &args.ty {
            None => dynamic::decode(schema, bytes.clone().into()),
            Some(ty) => dynamic::decode_as(schema, &source::named_type(schema, ty)?, bytes.clone().into()),
        };
        let value = decoded.map_err(|error| explain(schema, &error))?;
        if context.output.json {
            let longs = if args.numbers { Longs::Number } else { Longs::String };
            let options = JsonOptions { longs, bytes: if args.hex { ByteText::Hex } else { ByteText::Base64 } };
            context.output.document(&to_json(&value, &options))?;
        } else {
            context.output.line(&value.print(Style { lines: true, redact: false }).to_string())?;
        }
        Ok(ExitCode::Done)
    })
}

/// The error, and where else an id that is unknown here is known.
fn explain(schema: &Schema, error: &dynamic::Error) -> CliError {
    let failed = CliError::failed(error.to_string());
    let dynamic::Error::UnknownId { id, .. } = error else {
        return failed.advise("look at the bytes behind that place, or try another --layer or --type");
    };
    let known = layers::bundled().iter().filter(|layer| Some(**layer) != schema.layer());
    let found: Vec<_> =
        known.filter_map(|layer| Some((*layer, layers::schema(*layer).ok()?.by_id(*id)?.name.as_str()))).collect();
    match (found.first(), found.last()) {
        (Some((first, name)), Some((last, _))) => {
            let layers = if first == last { format!("layer {first}") } else { format!("layers {first} to {last}") };
            failed.advise(format!("it is {name} in {layers}: try --layer {last}"))
        }
        _ => failed.advise("no layer that this program knows has it: is there something in front of the object?"),
    }
}
