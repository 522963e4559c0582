//! `tdl demo`: a guided run on a cluster of its own.
//!
//! | file | subject |
//! |---|---|
//! | `transfer` | a file travels |
//! | `conflict` | two programs on one key |
//! | `isolation` | the same, with a key for each |
//! | `day` | what both have in common: two programs, a friend who writes, and who was told what |
//! | `program` | one of the programs: a client, and an ear at its connections |
//! | `table` | what came of it, for people and for programs |

mod conflict;
mod day;
mod isolation;
mod program;
mod table;
mod transfer;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::context::Context;
use super::exit::{CliError, ExitCode};

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoName {
    /// A file travels: sign up, upload, list, export, download, compare, log out
    Transfer,
    /// Two programs on one key: each is pushed only a part of the messages, and one of an older layer cannot even read its part
    Conflict,
    /// The same day with a key for each: every message is pushed to both
    Isolation,
}

/// The arguments of `tdl demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tdl demo
  tdl demo transfer --size 200 --keep
  tdl demo conflict
  tdl demo isolation --json
The exit code is 0 only if everything that the demo promises held.")]
pub(crate) struct DemoArgs {
    /// What to show
    #[arg(value_name = "NAME", default_value = "transfer")]
    name: DemoName,

    /// How long the file of `transfer` is, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4000))]
    size: u32,

    /// How many messages the friend writes in `conflict` and `isolation`, in each of their two days
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(4..=1000))]
    messages: u32,

    /// Leave the cluster's directory and the files in place
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(context: &Context, args: DemoArgs) -> Result<ExitCode, CliError> {
    let dir = fresh_dir()?;
    let result = match args.name {
        DemoName::Transfer => transfer::run(context, &args, &dir).await,
        DemoName::Conflict => conflict::run(context, args.messages, &dir).await,
        DemoName::Isolation => isolation::run(context, args.messages, &dir).await,
    };
    if args.keep {
        context.output.note(&format!("everything is still in {}", dir.display()));
    } else if let Err(e) = std::fs::remove_dir_all(&dir) {
        context.output.note(&format!("cannot remove {}: {e}", dir.display()));
    }
    result
}

fn fresh_dir() -> Result<PathBuf, CliError> {
    let dir = std::env::temp_dir().join(format!("tdl-demo-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&dir).map_err(|e| CliError::failed(format!("cannot create {}: {e}", dir.display())))?;
    Ok(dir)
}

/// A promise of a demo.
fn promise(held: bool, what: &str) -> Result<(), CliError> {
    if held { Ok(()) } else { Err(CliError::failed(format!("this did not hold: {what}"))) }
}
