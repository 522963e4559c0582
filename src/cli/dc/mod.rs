//! `tdl dc`: the data centres, looked at from outside.

mod config;
mod handshake;
mod ls;
mod ping;

use clap::Subcommand;
use tdl::{
    client::{Client, DcTable, NetError, ProbeError},
    ids::DcId,
};

use super::{
    context::Context,
    exit::{CliError, ExitCode},
};

/// The commands under `tdl dc`.
#[derive(Debug, Subcommand)]
pub(crate) enum DcCommand {
    /// List the data centres that are known, and what this namespace has with each; asks nobody
    #[command(after_help = "\
Examples:
  tdl dc ls
  tdl --sandbox box dc ls --json
  tdl --test-dc dc ls

A key is what this namespace and the data centre share; `logged in` says whether the account is signed in under it.")]
    Ls,
    /// Measure how long data centres take to connect and to answer
    #[command(after_help = "\
Examples:
  tdl dc ping                             all of them
  tdl dc ping 2 4 -c 10
  tdl --proxy socks5://127.0.0.1:1080 dc ping 2

Each round opens a connection of its own. Three times are measured, each as least/median/most:
  CONNECT   until the address has taken the connection (through a proxy: until the proxy has led on to it)
  REQ_PQ    the round trip of the first message of a key exchange: there is a server, it speaks this transport, and it has
            a key that we trust
  PING      the round trip of an encrypted ping, where this namespace has a key to encrypt with
If no address answers, that is exit code 5.")]
    Ping(ping::PingArgs),
    /// Make a key with a data centre and show every step: each value, each check, and how long it took
    #[command(after_help = "\
Examples:
  tdl dc handshake
  tdl dc handshake 4 --json
  tdl --sandbox box dc handshake 1 --secrets

The key is never stored, nothing is asked under it, and the server is told to forget it at the end.
Lines begin with the time that they took: → was sent, ← came (after so long a wait), · was computed, ✓ was checked and
is in order, ✗ is not. A server that breaks a rule ends the exchange: that is exit code 7.")]
    Handshake(handshake::HandshakeArgs),
    /// Ask a data centre for its configuration (help.getConfig): addresses, limits, times
    #[command(after_help = "\
Examples:
  tdl dc config
  tdl dc config 4 --json
  tdl dc config --save dcs.json           then: tdl --dc-config dcs.json …

It is asked under a key that is made for it and not stored: no login is needed, and none is touched.")]
    Config(config::ConfigArgs),
}

pub(crate) async fn run(context: &Context, command: DcCommand) -> Result<ExitCode, CliError> {
    match command {
        DcCommand::Ls => ls::run(context),
        DcCommand::Ping(args) => ping::run(context, &args).await,
        DcCommand::Handshake(args) => handshake::run(context, &args).await,
        DcCommand::Config(args) => config::run(context, &args).await,
    }
}

/// A data centre that a person named, if the table has it.
pub(super) fn known(table: &DcTable, id: i32) -> Result<DcId, CliError> {
    let ids = table.ids();
    if ids.contains(&DcId(id)) {
        return Ok(DcId(id));
    }
    let there: Vec<String> = ids.iter().map(|dc| dc.0.to_string()).collect();
    Err(CliError::usage(format!("no data centre {id} is known"))
        .advise(format!("there are {}; `tdl dc ls` lists them", there.join(", "))))
}

/// The data centre to ask when none is named: the account's home, or else where everybody begins.
fn home_or_first(context: &Context, table: &DcTable) -> Result<DcId, CliError> {
    let home = match context.existing_namespace(table)? {
        Some(namespace) => tdl::client::Persistence::home_dc(&*namespace)?,
        None => None,
    };
    let known = home.filter(|dc| table.ids().contains(dc)).or_else(|| table.first_dc());
    known.ok_or_else(|| CliError::usage("the list of data centres is empty").advise("correct the file that --dc-config names"))
}

/// A look at an address that came to nothing, as the error of a command.
fn probe_error(dc: DcId, addr: impl std::fmt::Display, error: &ProbeError) -> CliError {
    let what = match error.handshake() {
        Some(broken) => format!("{dc} at {addr} broke the rule {}: {broken}", broken.rule()),
        None => format!("{dc} at {addr}: {error}"),
    };
    match error {
        ProbeError::Protocol(_) => CliError::new(ExitCode::Protocol, what)
            .advise("it is no server that keeps the protocol, or somebody in between alters what it says; check --dc-config"),
        ProbeError::Refused(_) => CliError::new(ExitCode::Protocol, what)
            .advise("check --dc-config and --test-dc, and where the proxy leads, if there is one"),
        _ => CliError::new(ExitCode::Network, what).advise("check the connection; `tdl dc ping` tries every address"),
    }
}

/// The address that takes a connection first.
async fn winner(client: &Client, dc: DcId) -> Result<std::net::SocketAddr, CliError> {
    match client.race(dc).await {
        Ok((addr, _)) => Ok(addr),
        Err(failures) if failures.is_empty() => Err(tdl::client::InvokeError::from(NetError::NoAddress { dc }).into()),
        Err(failures) => {
            let reasons: Vec<String> = failures.iter().map(ToString::to_string).collect();
            Err(CliError::new(ExitCode::Network, format!("{dc} cannot be reached: {}", reasons.join("; ")))
                .advise("check the connection, and --proxy if there is one"))
        }
    }
}
