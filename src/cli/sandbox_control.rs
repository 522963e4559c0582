//! `tdl sandbox fault`, `calls`, `age` and `standing`: what a running cluster is told and asked.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tdl::sandbox::control::{self, ControlError};
use tdl::sandbox::{Chance, Command, FaultEffect, FaultRule, Reply, Standing};

use super::{
    context::Context,
    duration,
    exit::{CliError, ExitCode},
    settings::Cluster,
};

/// The commands under `tdl sandbox fault`.
#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Let something go wrong with calls from now on
    #[command(after_help = "\
Examples:
  tdl sandbox fault set --dir box FLOOD_WAIT_30 --method 'upload.*' --times 3
  tdl sandbox fault set --dir box AUTH_KEY_DUPLICATED --phone 9996621234
  tdl sandbox fault set --dir box drop --method upload.saveFilePart --times 1
  tdl sandbox fault set --dir box corrupt --method upload.getFile --chance 1% --seed 7
  tdl sandbox fault set --dir box expire --method upload.getFile --skip 10 --every 25

Effects:
  FLOOD_WAIT_30, SESSION_REVOKED, …   the call is refused with this error; write 500:NAME where the code does not follow from the name
  delay:2s                            it is answered later
  drop                                its connection is closed before the answer is written
  cut                                 its connection is closed in the middle of the answer
  silence                             it is never answered, and not done
  wrong-salt                          after it, the client's salt is not good any more
  key-loss                            the key that it came under is forgotten
Of calls about files (upload.getFile, getFileHashes, getCdnFile, reuploadCdnFile, saveFilePart, …):
  corrupt                             a bit of the bytes, or of each hash, is wrong
  short                               half of the bytes are missing
  forget                              a part is not kept, though the answer says so; the CDN DC has lost the file
  expire                              the file references that were given out for the file until now are good no more
  migrate, migrate:2                  the file is kept by the next DC, or by this one, from now on: FILE_MIGRATE_2")]
    Set(SetArgs),
    /// List what goes wrong, with how many calls each rule has met
    #[command(after_help = "Example:\n  tdl sandbox fault ls --dir box")]
    Ls(DirArgs),
    /// Let it go right again; calls that are being delayed are answered
    #[command(after_help = "\
Examples:
  tdl sandbox fault clear --dir box       all rules
  tdl sandbox fault clear --dir box 3     the one with this number")]
    Clear(ClearArgs),
}

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct DirArgs {
    /// Where the cluster keeps its state [default: that of --sandbox]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The arguments of `tdl sandbox fault set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// What happens to the call
    #[arg(value_name = "EFFECT")]
    effect: FaultEffect,
    /// To calls of which methods; * stands for anything
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    method: String,
    /// To how many calls [default: all, until it is cleared]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    times: Option<u32>,
    /// Let so many calls pass first
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    skip: u64,
    /// Then only to each N-th call
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// Only with this chance: 1%, 0.05%
    #[arg(long, value_name = "PERCENT")]
    chance: Option<Chance>,
    /// What chance follows from: the same calls meet the same rule again
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, requires = "chance")]
    seed: u64,
    /// Only to calls of the account with this phone number
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Only to calls in this data centre
    #[arg(long, value_name = "N")]
    dc: Option<i32>,
    #[command(flatten)]
    cluster: DirArgs,
}

/// The arguments of `tdl sandbox fault clear`.
#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// The rules' numbers [default: all of them]
    #[arg(value_name = "N")]
    ids: Vec<u32>,
    #[command(flatten)]
    cluster: DirArgs,
}

/// The arguments of `tdl sandbox age`.
#[derive(Debug, Args)]
pub(crate) struct AgeArgs {
    /// By how much: 25h, 30d
    #[arg(value_name = "SPAN", value_parser = duration::parse)]
    span: Duration,
    /// Only the authorizations of the account with this phone number
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    #[command(flatten)]
    cluster: DirArgs,
}

/// What is to become of an account.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StandingArg {
    /// It can be used
    Good,
    /// Its owner deleted it
    Deleted,
    /// It was banned
    Banned,
}

/// The arguments of `tdl sandbox standing`.
#[derive(Debug, Args)]
pub(crate) struct StandingArgs {
    /// The account's phone number
    #[arg(value_name = "NUMBER")]
    phone: String,
    /// What is to become of it
    #[arg(value_enum, value_name = "STANDING")]
    standing: StandingArg,
    #[command(flatten)]
    cluster: DirArgs,
}

/// The directory of the cluster that is meant.
fn dir(context: &Context, args: DirArgs) -> Result<PathBuf, CliError> {
    match (&args.dir, &context.settings.cluster) {
        (Some(dir), _) | (None, Cluster::Sandbox(dir)) => Ok(dir.clone()),
        (None, _) => {
            Err(CliError::usage("which cluster?").advise("name its directory: --dir DIR, or --sandbox DIR before the command"))
        }
    }
}

async fn tell(context: &Context, args: DirArgs, command: Command) -> Result<Reply, CliError> {
    let dir = dir(context, args)?;
    control::send(&dir, &command).await.map_err(|error| match error {
        ControlError::NotRunning { .. } | ControlError::Io(_) => CliError::new(ExitCode::Network, error.to_string())
            .advise(format!("start one there: tdl sandbox up --dir {}", dir.display())),
        error => CliError::failed(error.to_string()),
    })
}

/// What came back is of another kind than what was asked for.
fn unexpected() -> CliError {
    CliError::failed("the cluster answered something else")
        .advise("is it of another version? Stop it, and start it with this one")
}

async fn count(context: &Context, args: DirArgs, command: Command) -> Result<usize, CliError> {
    match tell(context, args, command).await? {
        Reply::Count(n) => Ok(n),
        _ => Err(unexpected()),
    }
}

pub(crate) async fn fault(context: &Context, command: FaultCommand) -> Result<ExitCode, CliError> {
    match command {
        FaultCommand::Set(args) => set(context, args).await,
        FaultCommand::Ls(args) => ls(context, args).await,
        FaultCommand::Clear(args) => {
            let cleared = count(context, args.cluster, Command::FaultClear { ids: args.ids }).await?;
            context.output.note(&format!("{cleared} rules were taken back"));
            Ok(ExitCode::Done)
        }
    }
}

async fn set(context: &Context, args: SetArgs) -> Result<ExitCode, CliError> {
    let mut rule = FaultRule::new(args.effect);
    (rule.method, rule.left, rule.dc) = (args.method, args.times, args.dc);
    (rule.skip, rule.every, rule.chance, rule.seed) = (args.skip, args.every, args.chance, args.seed);
    let Reply::Rule(id) = tell(context, args.cluster, Command::FaultSet { rule, phone: args.phone }).await? else {
        return Err(unexpected());
    };
    if context.settings.json {
        context.output.json_line(&serde_json::json!({ "id": id }))?;
    } else {
        context.output.line(&id.to_string())?;
    }
    context.output.note(&format!("rule {id} holds until it is used up or taken back: tdl sandbox fault clear {id}"));
    Ok(ExitCode::Done)
}

async fn ls(context: &Context, args: DirArgs) -> Result<ExitCode, CliError> {
    let Reply::Rules(rules) = tell(context, args, Command::FaultList).await? else { return Err(unexpected()) };
    if context.settings.json {
        for rule in &rules {
            context.output.json_line(rule)?;
        }
        return Ok(ExitCode::Done);
    }
    if rules.is_empty() {
        context.output.note("nothing goes wrong on purpose");
        return Ok(ExitCode::Done);
    }
    let or = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            vec![
                rule.id.to_string(),
                rule.effect.to_string(),
                rule.method.clone(),
                or(rule.user.map(|user| user.to_string()), "all"),
                or(rule.dc.map(|dc| dc.to_string()), "all"),
                or(rule.left.map(|left| left.to_string()), "all"),
                rule.met.to_string(),
            ]
        })
        .collect();
    context.output.table(&["RULE", "EFFECT", "METHOD", "ACCOUNT", "DC", "LEFT", "MET"], &rows)?;
    Ok(ExitCode::Done)
}

/// `tdl sandbox calls`.
pub(crate) async fn calls(context: &Context, args: DirArgs) -> Result<ExitCode, CliError> {
    let Reply::Calls(calls) = tell(context, args, Command::Calls).await? else { return Err(unexpected()) };
    if context.settings.json {
        for count in &calls {
            context.output.json_line(count)?;
        }
        return Ok(ExitCode::Done);
    }
    if calls.is_empty() {
        context.output.note("nothing was asked yet");
        return Ok(ExitCode::Done);
    }
    let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
    let size = |bytes: u64| if bytes == 0 { String::new() } else { humansize::format_size(bytes, humansize::BINARY) };
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|c| vec![or(&c.method, "(unknown)"), or(&c.answer, "(no answer)"), c.calls.to_string(), size(c.bytes)])
        .collect();
    context.output.table(&["METHOD", "ANSWER", "CALLS", "SIZE"], &rows)?;
    Ok(ExitCode::Done)
}

pub(crate) async fn age(context: &Context, args: AgeArgs) -> Result<ExitCode, CliError> {
    let seconds = i64::try_from(args.span.as_secs()).unwrap_or(i64::MAX);
    let aged = count(context, args.cluster, Command::Age { phone: args.phone, seconds }).await?;
    context
        .output
        .note(&format!("{aged} authorizations are {} s older; those whose time is over were ended", args.span.as_secs()));
    Ok(ExitCode::Done)
}

pub(crate) async fn standing(context: &Context, args: StandingArgs) -> Result<ExitCode, CliError> {
    let (standing, what) = match args.standing {
        StandingArg::Good => (Standing::Good, "can be used"),
        StandingArg::Deleted => (Standing::Deleted, "is deleted: USER_DEACTIVATED"),
        StandingArg::Banned => (Standing::Banned, "is banned: USER_DEACTIVATED_BAN"),
    };
    count(context, args.cluster, Command::SetStanding { phone: args.phone, standing }).await?;
    context.output.note(&format!("the account {what}"));
    Ok(ExitCode::Done)
}
