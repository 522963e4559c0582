//! `tdl tl`: schemas of all bundled layers, and objects of them.

mod decode;
mod diff;
mod encode;
mod import;
mod input;
mod show;
mod source;

use clap::Subcommand;

use super::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The commands under `tdl tl`.
#[derive(Debug, Subcommand)]
pub(crate) enum TlCommand {
    /// List the definitions of a schema, one a line
    #[command(after_help = "\
Examples:
  tdl tl ls                               everything
  tdl tl ls auth.                         what has 'auth.' in its name
  tdl tl ls --kind method messages.get
  tdl tl ls --layer 201 message           what an older layer has; `tdl tl layers` says which there are")]
    Ls(show::LsArgs),
    /// Show what a name stands for: a method, a constructor, or a type with its constructors
    #[command(after_help = "\
Examples:
  tdl tl show auth.sendCode
  tdl tl show InputPeer
  tdl tl show 0xa677244f
  tdl tl show --layer 158 messages.sendMessage")]
    Show(show::ShowArgs),
    /// List the API layers that this program knows
    #[command(after_help = "\
Example:
  tdl tl layers")]
    Layers(show::LayersArgs),
    /// Turn bytes into what they say
    ///
    /// Takes hexadecimal digits (spaces and a 0x do not matter), base64, or a file; the form is found out. The bytes are an object with its id;
    /// with --type a bare value of a type, or the answer of a method.
    #[command(after_help = "\
Examples:
  tdl tl decode 0d0d9bda e6000000 6b18f9c4
  tdl tl decode --json 6b 18 f9 c4            one JSON document; --numbers and --hex choose how longs and bytes look
  tdl tl decode --layer 158 @answer.bin       the bytes of a file, in an older layer
  tdl tl decode --type users.getUsers @users.bin
  xclip -o | tdl tl decode -")]
    Decode(decode::DecodeArgs),
    /// Turn JSON into bytes
    ///
    /// Takes a JSON object with the name under \"_\" and the fields by their names in the schema; absent fields are left out. A long may be a number or
    /// a string; bytes are base64, or \"hex:00ff\". Prints hexadecimal digits.
    #[command(after_help = "\
Examples:
  tdl tl encode '{\"_\":\"help.getConfig\"}'
  tdl tl encode --layer 201 '{\"_\":\"users.getUsers\",\"id\":[{\"_\":\"inputUserSelf\"}]}'
  tdl tl encode --raw @call.json > call.bin   bytes instead of digits
  tdl tl decode --json 6b18f9c4 | tdl tl encode -")]
    Encode(encode::EncodeArgs),
    /// Say what changed between two layers
    ///
    /// Each of the two is the number of a layer (`tdl tl layers` lists them) or a schema file.
    #[command(after_help = "\
Examples:
  tdl tl diff 201 230
  tdl tl diff 201 230 messages.           only names that begin with 'messages.'
  tdl tl diff 230 new.tl                  a layer against a file
  tdl tl diff --translation 230 201       what gets lost when objects of 230 are said in 201")]
    Diff(diff::DiffArgs),
    /// Read a schema in any layout, check every id, and write the canonical form
    ///
    /// With --layer-store, the schema goes into the directory of the bundled layers: as api.tl if it is newer than all of them, else as its difference
    /// to the next newer one. Definitions that are the protocol's own are left out then.
    #[command(after_help = "\
Examples:
  tdl tl import new.tl                    prints it
  tdl tl import new.tl -o tl-schema/api.tl
  tdl tl import old.tl --layer-store tl-schema")]
    Import(import::ImportArgs),
}

pub(crate) fn run(context: &Context, command: &TlCommand) -> Result<ExitCode, CliError> {
    match command {
        TlCommand::Ls(args) => show::ls(context, args),
        TlCommand::Show(args) => show::show(context, args),
        TlCommand::Layers(args) => show::layers(context, args),
        TlCommand::Decode(args) => decode::run(context, args),
        TlCommand::Encode(args) => encode::run(context, args),
        TlCommand::Diff(args) => diff::run(context, args),
        TlCommand::Import(args) => import::run(context, args),
    }
}
