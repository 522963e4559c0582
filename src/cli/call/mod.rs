//! `tdl call`: any method of the schema, JSON in, JSON out.
//!
//! * here: what can be typed, and the call itself;
//! * `arguments`: from the words of the command line to one JSON object;
//! * `fill`: what may be left out or said shortly: peers by name, `random_id`, empty values;
//! * `methods`: the methods of a schema, by name, and their completion;
//! * `show`: the definition of a method and an example of its arguments.

mod arguments;
mod fill;
mod methods;
mod show;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Map, Value as Json};
use tdl::{
    chat::{links, peers},
    client::{Client, InvokeError, RpcError},
    ids::DcId,
    tl::{
        dynamic::{
            self, Value, encode,
            json::{ByteText, JsonOptions, Longs, from_json_of, to_json},
        },
        layers,
        schema::{Definition, Schema, Type},
    },
};

use self::{
    arguments::Source,
    fill::{Filled, PeerKind, Shortcuts},
};
use super::{
    context::Context,
    dc,
    exit::{CliError, ExitCode, explained},
    output::printable,
};

/// The arguments of `tdl call`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl call help.getConfig
  tdl call messages.sendMessage peer=@durov message='Hello there'
  tdl call users.getUsers '{\"id\":[{\"_\":\"inputUserSelf\"}]}'
  tdl call messages.getHistory peer=me limit=3 --fill --compact
  tdl call messages.search @query.json    arguments from a file; - reads standard input
  tdl call --no-login help.getNearestDc   without an account
  tdl call --list messages.get            the methods whose names begin so
  tdl call --show messages.sendMessage    what a method takes, with an example

Arguments are the fields of the method, by their names in the schema: a JSON object, or FIELD=VALUE words, or both. A VALUE is
JSON, or else text; FIELD may be a path, as in reply_to.reply_to_msg_id=5. Where a peer belongs, `me`, an @username, a phone
number with +, or an id that `tdl chat ls` shows will do. A random_id that is missing is drawn. Where only one constructor can
stand, \"_\" may be left out, and one without fields may be given by its name alone.
Completion of method and field names: see `tdl help completion`.")]
pub(crate) struct CallArgs {
    /// The method, by its name in the schema; with --list, the beginning of names
    #[arg(value_name = "METHOD", required_unless_present = "list", add = ArgValueCompleter::new(methods::complete_method))]
    method: Option<String>,

    /// A JSON object, - for one on standard input, @FILE for one in a file, or FIELD=VALUE
    #[arg(value_name = "ARGUMENT", add = ArgValueCompleter::new(methods::complete_field))]
    arguments: Vec<String>,

    /// Ask this data centre instead of the account's home; the login is carried there if need be
    #[arg(long, value_name = "N")]
    dc: Option<i32>,

    /// Call without an account, under a key that is made for it and not stored
    #[arg(long)]
    no_login: bool,

    /// Give every field that is missing an empty value: 0, no text, an empty list
    #[arg(long)]
    fill: bool,

    /// How to write 64-bit numbers: many programs round them
    #[arg(long, value_name = "FORM", default_value = "string")]
    int64: Int64,

    /// How to write bytes, and how to read them where they do not say
    #[arg(long, value_name = "FORM", default_value = "base64")]
    bytes: BytesForm,

    /// Print the answer on one line
    #[arg(long)]
    compact: bool,

    /// Print the answer's bytes in hexadecimal instead of JSON
    #[arg(long, conflicts_with_all = ["compact", "int64"])]
    raw: bool,

    /// List methods instead of calling one
    #[arg(long, conflicts_with_all = ["show", "arguments", "dc", "no_login", "fill", "raw"])]
    list: bool,

    /// Show what the method takes and gives, with an example, instead of calling it
    #[arg(long, conflicts_with_all = ["arguments", "dc", "no_login", "fill", "raw"])]
    show: bool,
}

/// How 64-bit numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Int64 {
    /// As strings
    String,
    /// As numbers
    Number,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BytesForm {
    /// Base64
    Base64,
    /// Hexadecimal
    Hex,
}

impl CallArgs {
    fn options(&self) -> JsonOptions {
        JsonOptions {
            longs: match self.int64 {
                Int64::String => Longs::String,
                Int64::Number => Longs::Number,
            },
            bytes: match self.bytes {
                BytesForm::Base64 => ByteText::Base64,
                BytesForm::Hex => ByteText::Hex,
            },
        }
    }
}

pub(crate) async fn run(context: &Context, args: CallArgs) -> Result<ExitCode, CliError> {
    let schema = schema_of(context)?;
    let name = args.method.as_deref().unwrap_or_default();
    if args.list {
        return show::list(context, schema, name);
    }
    let method = methods::find(schema, name)?;
    if args.show {
        return show::method(context, schema, method);
    }
    let typed = arguments::parse(method, &args.arguments, read)
        .map_err(|why| CliError::usage(why).advise(format!("`tdl call --show {}` shows what it takes", method.name)))?;
    let call = Call { schema, method, options: args.options(), fill: args.fill };
    // What is wrong with the arguments is told before anybody is asked.
    let wanted = call.check(&typed)?;

    let (table, _) = context.cluster()?;
    let dc = args.dc.map(|id| dc::known(&table, id)).transpose()?;
    let client = if args.no_login {
        context.stranger().await?
    } else {
        let (client, _) = context.logged_in().await.map_err(|error| match error.code {
            ExitCode::NotLoggedIn => {
                let advice = error.advice.clone().unwrap_or_default();
                error.advise(format!("{advice}; or call without an account: --no-login"))
            }
            _ => error,
        })?;
        client
    };
    let shortcuts = resolve(&client, &wanted, args.no_login).await?;
    let answer = call.make(context, &client, dc, typed, &shortcuts).await;
    client.close().await;
    call.print(context, &args, answer?)
}

/// The schema of the layer that is negotiated.
fn schema_of(context: &Context) -> Result<&'static Schema, CliError> {
    let layer = context.settings.layer.unwrap_or(tdl::client::COMPILED_LAYER);
    layers::schema(layer).map_err(|e| CliError::usage(e.to_string()).advise("choose one of them with --layer, or leave it out"))
}

/// One call.
struct Call<'s> {
    schema: &'s Schema,
    method: &'s Definition,
    options: JsonOptions,
    fill: bool,
}

/// A method's answer, with the type that it has.
struct Answer<'s> {
    ty: &'s Type,
    bytes: Bytes,
}

impl Call<'_> {
    /// Whether the arguments will do, and the peers that they name shortly.
    fn check(&self, typed: &Map<String, Json>) -> Result<Vec<(PeerKind, String)>, CliError> {
        let mut arguments = typed.clone();
        let mut filled = Filled::default();
        let mut wanted = Vec::new();
        let mut shortcut = |kind: PeerKind, text: &str| {
            wanted.push((kind, text.to_owned()));
            Ok(kind.nobody())
        };
        let mut filler = fill::Filler { schema: self.schema, empty: self.fill, shortcut: &mut shortcut, random: &mut || 1 };
        filler.method(self.method, &mut arguments, &mut filled).map_err(|why| self.wrong(&why))?;
        self.encode(arguments)?;
        Ok(wanted)
    }

    /// The arguments will not do.
    fn wrong(&self, why: &dyn std::fmt::Display) -> CliError {
        let (name, why) = (&self.method.name, printable(&why.to_string()));
        // The schema's own errors begin with the path, and that with the method.
        let what = if why.starts_with(name.as_str()) { why } else { format!("{name}: {why}") };
        CliError::usage(what).advise(format!("`tdl call --show {}` shows what it takes", self.method.name))
    }

    /// The value of the call, for its bytes and for the type of its answer.
    fn encode(&self, arguments: Map<String, Json>) -> Result<(Value<'_>, Vec<u8>), CliError> {
        let value =
            from_json_of(self.schema, self.method, &Json::Object(arguments), &self.options).map_err(|e| self.wrong(&e))?;
        let mut bytes = Vec::new();
        encode(self.schema, &value, &mut bytes).map_err(|e| self.wrong(&e))?;
        Ok((value, bytes))
    }

    async fn make(
        &self,
        context: &Context,
        client: &Client,
        dc: Option<DcId>,
        mut arguments: Map<String, Json>,
        shortcuts: &Shortcuts,
    ) -> Result<Answer<'_>, CliError> {
        let mut filled = Filled::default();
        let mut shortcut = |kind: PeerKind, text: &str| shortcuts.get(kind, text);
        let mut random = || client.random_i64();
        let mut filler = fill::Filler { schema: self.schema, empty: self.fill, shortcut: &mut shortcut, random: &mut random };
        filler.method(self.method, &mut arguments, &mut filled).map_err(|why| self.wrong(&why))?;
        for note in filled.notes() {
            context.output.note(&note);
        }
        let (value, bytes) = self.encode(arguments)?;
        let ty = result_type(&value).ok_or_else(|| self.wrong(&"what it answers depends on a query that is not there"))?;
        match client.invoke_raw(dc, bytes.into()).await {
            Ok(bytes) => Ok(Answer { ty, bytes }),
            Err(InvokeError::Rpc(error)) => Err(refused(self.method, &error)),
            Err(other) => Err(other.into()),
        }
    }

    fn print(&self, context: &Context, args: &CallArgs, answer: Answer<'_>) -> Result<ExitCode, CliError> {
        if args.raw {
            let digits: String = answer.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            context.output.line(&digits)?;
            return Ok(ExitCode::Done);
        }
        let value = dynamic::decode_as(self.schema, answer.ty, answer.bytes).map_err(|e| {
            CliError::new(ExitCode::Protocol, format!("the answer to {} is no {}: {e}", self.method.name, answer.ty))
                .advise("--raw prints its bytes; it may be of another layer: see --layer")
        })?;
        let json = to_json(&value, &self.options);
        match args.compact {
            true => context.output.json_line(&json)?,
            false => context.output.document(&json)?,
        }
        Ok(ExitCode::Done)
    }
}

/// The type of a call's answer. That of a method which wraps another one is that of the other one.
fn result_type<'s>(call: &Value<'s>) -> Option<&'s Type> {
    let Value::Object(object) = call else { return None };
    let definition = object.definition;
    if !matches!(definition.result, Type::Variable(_)) {
        return Some(&definition.result);
    }
    let (_, inner) = definition.params.iter().zip(&object.values).find(|(param, _)| matches!(param.ty, Type::Call(_)))?;
    result_type(inner)
}

/// The error that a method answered with, in words.
fn refused(method: &Definition, error: &RpcError) -> CliError {
    let explained = explained(error);
    let said = printable(&error.to_string());
    let meaning = explained.strip_prefix(&said).unwrap_or_default();
    let plain = CliError::rpc(error);
    CliError { what: format!("{said} ({}){meaning}", method.name), ..plain }
}

/// Looks up the peers that were named shortly.
async fn resolve(client: &Client, wanted: &[(PeerKind, String)], no_login: bool) -> Result<Shortcuts, CliError> {
    let mut found = HashMap::new();
    for (_, text) in wanted {
        if found.contains_key(text) {
            continue;
        }
        let chat = links::chat(text).map_err(|e| CliError::usage(e.to_string()))?;
        let input = match chat {
            links::ChatRef::Own => tdl::tl::api::enums::InputPeer::PeerSelf,
            _ if no_login => {
                return Err(CliError::usage(format!("'{text}' cannot be looked up without an account"))
                    .advise("write the peer out, such as {\"_\":\"inputPeerUser\",\"user_id\":…,\"access_hash\":…}"));
            }
            chat => peers::resolve(client, &chat).await?.input,
        };
        found.insert(text.clone(), input);
    }
    Ok(Shortcuts::new(found))
}

/// What stands in a file or on standard input.
fn read(source: Source<'_>) -> Result<String, String> {
    match source {
        Source::File(path) => fs::read_to_string(path).map_err(|e| format!("{path}: {e}")),
        Source::Stdin => {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text).map_err(|e| format!("standard input: {e}"))?;
            Ok(text)
        }
    }
}
