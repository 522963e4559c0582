//! `tdl sandbox`: a Telegram of one's own, on this machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tdl::{
    sandbox::{Cdn, Cluster, Config, layers::OWN_LAYER},
    tl::layers,
};

use super::{
    context::Context,
    duration,
    exit::{CliError, ExitCode, chain},
    keylog,
    sandbox_accounts::{self, MessageCommand, SeedCommand, UserCommand},
    sandbox_control::{self, AgeArgs, DirArgs, FaultCommand, StandingArgs},
};

/// The commands under `tdl sandbox`.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Run a local cluster until interrupted; print one JSON line when it is ready
    #[command(after_help = "\
Examples:
  tdl sandbox up --dir box                stop it with Ctrl-C; started again, it has everything it had
  tdl sandbox up --dir box --dcs 5 --port-base 9000
  tdl sandbox up --dir box --cdn --media-addresses
  tdl sandbox up --dir box --keylog keys.log
                                          so that captures of its clients' traffic can be opened: `tdl trace decode`
  tdl --sandbox box login --phone 9996621234 --code 22222 --first-name Ada
                                          in another terminal

Phone numbers are 99966XYYYY: the account lives on DC X, and its login code is XXXXX. Everything listens on loopback only.
Being interrupted is how it ends: that is exit code 0.")]
    Up(UpArgs),

    /// Let things go wrong in a running cluster: errors, delays, lost connections and keys
    #[command(subcommand)]
    Fault(FaultCommand),

    /// Count what a running cluster was asked since it started, by method and answer
    #[command(after_help = "Examples:\n  tdl sandbox calls --dir box\n  tdl sandbox calls --dir box --json")]
    Calls(DirArgs),

    /// Make authorizations of a running cluster older, to try what depends on their age
    #[command(after_help = "\
Examples:
  tdl sandbox age --dir box 25h           past the day in which a new login may end no other
  tdl sandbox age --dir box 200d --phone 9996621234
                                          past the half year after which unused ones end")]
    Age(AgeArgs),

    /// Delete or ban an account of a running cluster, or take that back
    #[command(
        after_help = "Examples:\n  tdl sandbox standing --dir box 9996621234 banned\n  tdl sandbox standing --dir box 9996621234 good"
    )]
    Standing(StandingArgs),
    /// Make accounts and bots, change how they log in, list them
    #[command(subcommand)]
    User(UserCommand),
    /// Write messages in somebody's name
    #[command(subcommand)]
    Message(MessageCommand),
    /// Fill the cluster with something to look at
    #[command(subcommand)]
    Seed(SeedCommand),
}

/// The arguments of `tdl sandbox up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where the cluster keeps its state; made if it does not exist. Clients find the cluster by it: tdl --sandbox DIR
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// How many data centres
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    dcs: u8,

    /// The port of the first data centre; the others follow [default: those of the last run, or any that are free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port_base: Option<u16>,

    /// With a CDN DC: documents of 128 KiB and more are downloaded from there by clients that can
    #[arg(long)]
    cdn: bool,

    /// Give each data centre a second address that is for file contents only
    #[arg(long)]
    media_addresses: bool,

    /// For how long a file reference can be used
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = duration::parse)]
    file_references: Duration,
}

pub(crate) async fn run(context: &Context, command: SandboxCommand) -> Result<ExitCode, CliError> {
    match command {
        SandboxCommand::Up(args) => up(context, args).await,
        SandboxCommand::Fault(command) => sandbox_control::fault(context, command).await,
        SandboxCommand::Calls(args) => sandbox_control::calls(context, args).await,
        SandboxCommand::Age(args) => sandbox_control::age(context, args).await,
        SandboxCommand::Standing(args) => sandbox_control::standing(context, args).await,
        SandboxCommand::User(command) => sandbox_accounts::user(context, command).await,
        SandboxCommand::Message(command) => sandbox_accounts::message(context, command).await,
        SandboxCommand::Seed(command) => sandbox_accounts::seed(context, command).await,
    }
}

async fn up(context: &Context, args: UpArgs) -> Result<ExitCode, CliError> {
    let mut config = Config::new(&args.dir);
    config.dcs = args.dcs;
    config.port_base = args.port_base;
    config.cdn = args.cdn.then(Cdn::default);
    config.media_addresses = args.media_addresses;
    config.file_reference_lifetime = i64::try_from(args.file_references.as_secs()).unwrap_or(i64::MAX);
    config.tracer.0 = context.tracer()?;
    config.key_log = keylog::logger(&context.settings, &context.output)?;
    context.interrupt.take_over();
    let cluster = Cluster::start(config).await.map_err(|e| {
        CliError::failed(format!("the cluster cannot start: {}", chain(&e)))
            .advise("is another one running on that directory or those ports? Choose others with --dir and --port-base")
    })?;
    context.output.json_line(&json!({
        "ready": true,
        "dir": cluster.dir().display().to_string(),
        "file": cluster.file().display().to_string(),
        "layer": OWN_LAYER,
        "layers": layers::bundled(),
        "dcs": cluster.dcs(),
    }))?;
    context.output.note(&format!(
        "{} data centres are ready; use them with: tdl --sandbox {} …   (Ctrl-C stops them)",
        args.dcs,
        args.dir.display()
    ));
    context.interrupt.wait().await;
    cluster.shutdown().await;
    context.output.note("the cluster has stopped; its state is saved");
    Ok(ExitCode::Done)
}
