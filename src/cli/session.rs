//! `tdl session`: the authorization that a namespace holds.

use clap::Subcommand;

use super::{
    authorizations::{self, EndArgs, LsArgs},
    context::Context,
    doctor::{self, DoctorArgs},
    exit::{CliError, ExitCode},
    isolate::{self, IsolateArgs},
    login::{self, ImportArgs},
    session_export::{self, ExportArgs},
    session_info,
};

/// The commands under `tdl session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Show what this namespace holds: account, data centres, key ids, salts, device, updates. Never a key, and nothing is asked of the server
    #[command(after_help = "Examples:\n  tdl session info\n  tdl session info -n work --json")]
    Info,
    /// List the authorizations of the account, on the server: which is this one, which are others of ours, which are idle
    Ls(LsArgs),
    /// End authorizations of the account, on the server. Never the one that asks: that is `tdl logout`
    End(EndArgs),
    /// Look whether anything is in conflict: evidence, what it means, what to do
    Doctor(DoctorArgs),
    /// Write this namespace's session in the format of another program
    Export(ExportArgs),
    /// Log in through another program's session: with a key of our own, or on the session's
    Import(ImportArgs),
    /// Replace a borrowed key by one of our own, without logging the other program out
    Isolate(IsolateArgs),
}

pub(crate) async fn run(context: &Context, command: SessionCommand) -> Result<ExitCode, CliError> {
    match command {
        SessionCommand::Info => session_info::run(context),
        SessionCommand::Ls(args) => authorizations::ls(context, args).await,
        SessionCommand::End(args) => authorizations::end(context, args).await,
        SessionCommand::Doctor(args) => doctor::run(context, args).await,
        SessionCommand::Export(args) => session_export::run(context, args).await,
        SessionCommand::Import(args) => login::import(context, args).await,
        SessionCommand::Isolate(args) => isolate::run(context, args).await,
    }
}
