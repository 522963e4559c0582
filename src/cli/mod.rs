//! The command line: one file per command, which parses, calls and prints. No protocol and no policy here.
//!
//! | file | subject |
//! |---|---|
//! | `args` | what can be typed |
//! | `settings` | flags, environment and `config.toml`, put together |
//! | `context` | what a command works with: settings, namespace, client, trace |
//! | `exit` | exit codes, and the one mapping from errors to them |
//! | `output` | stdout is data, stderr the rest; tables, JSON, safe text |
//! | `prompt` | questions, only on a terminal |
//! | `signals` | Ctrl-C and its relatives |
//! | `progress` | bars, lines and JSON events of a running transfer |
//! | `expr`, `template`, `select` | the Go tool's expressions, name templates and extension lists |
//! | `passphrase` | where passphrases come from |
//! | `failure` | why one item of a run failed |
//! | `rate` | bytes a second, as people write them |
//! | `retry` | the list of items that failed |
//! | `transfers` | what `up` and `dl` have in common |
//! | `trace` | where `--trace` goes; `trace_command` is `tdl trace` |
//! | `update_lines` | updates as lines, for people and for programs |
//! | `decode` | `tdl trace decode`: captures of the wire |
//! | `keylog` | where `--keylog` goes |
//! | `authorizations` | `tdl session ls` and `end`; `doctor`: `tdl session doctor` |
//! | the others | one command each |

mod args;
mod authorizations;
mod backup;
mod bridge;
mod call;
mod chat;
mod completion;
mod context;
mod dc;
mod decode;
mod demo;
mod device;
mod dl;
mod doctor;
mod duration;
mod exit;
mod expr;
mod failure;
mod isolate;
mod keylog;
mod login;
mod logout;
mod ns;
mod output;
mod passphrase;
mod progress;
mod prompt;
mod rate;
mod retry;
mod sandbox;
mod sandbox_accounts;
mod sandbox_content;
mod sandbox_control;
mod select;
mod session;
mod session_export;
mod session_info;
mod settings;
mod signals;
mod template;
#[cfg(test)]
mod tests;
mod tl;
mod trace;
mod trace_command;
mod transfers;
mod up;
mod update_lines;
mod watch;
mod whoami;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use context::Context;
use exit::{CliError, ExitCode};
use output::Output;
use settings::Settings;
use signals::Interrupt;

/// Runs what the command line asks for, and says how the process is to end.
pub(crate) fn run() -> std::process::ExitCode {
    // Before anything else: a shell that completes a word waits for the answer, and for nothing but it.
    let code = match completion::answer() {
        Some(code) => Ok(code),
        None => start(),
    };
    let code = code.unwrap_or_else(|error| {
        output::print_error(&error);
        error.code
    });
    code.into()
}

/// The whole command tree, with the texts that are put together at run time.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command();
    let steps = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.after_help(format!("{}\n\n{}", steps.trim_end(), ExitCode::help().trim_end()))
}

/// The tree as it is shown: the flags that all commands share are listed once, at the top.
fn shown(mut command: clap::Command) -> clap::Command {
    // Only a built tree has the shared flags in each command.
    command.build();
    command.mut_subcommands(without_shared)
}

fn without_shared(command: clap::Command) -> clap::Command {
    if command.get_name() == "help" {
        return command;
    }
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let note = "All commands also take the global options, such as -n and --json: see `tdl --help`.";
    command
        .mut_args(|arg| {
            let shared = arg.is_global_set();
            arg.hide(shared)
        })
        .after_help(format!("{}\n\n{note}", text.trim_end()).trim_start().to_owned())
        .mut_subcommands(without_shared)
}

fn start() -> Result<ExitCode, CliError> {
    let matches = match shown(command()).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // clap knows which stream its text belongs to. If nobody reads it, that is no failure of ours.
            let _ = error.print();
            return Ok(if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done });
        }
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|e| CliError::usage(e.to_string()))?;
    // Needs no home, and is run while a shell starts: nothing may go wrong here.
    if let Command::Completion(args) = &cli.command {
        return completion::run(args);
    }
    let settings = Settings::resolve(cli.global, &matches)?;
    let runtime = runtime(&cli.command).map_err(|e| CliError::failed(format!("cannot start threads: {e}")))?;
    let result = runtime.block_on(async {
        let interrupt = Interrupt::listen().map_err(|e| CliError::failed(format!("cannot listen for signals: {e}")))?;
        let output = Output::new(&settings);
        let context = Context::new(settings, output, interrupt.clone());
        let result = run_to_its_end(&context, cli.command, &interrupt).await;
        context.finish();
        result
    });
    // A prompt may still hold a thread: it must not hold the process.
    runtime.shutdown_background();
    result
}

/// What a command runs on: all cores if it serves others, otherwise one thread for the connections, beside the one that the command itself is
/// on and those that wait for the disk. What a client computes for a connection is over in a millisecond; to hand it from core to core takes
/// a tenth of a download's time again, and memory for each.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let serves = match command {
        Command::Sandbox(_) | Command::Demo(_) | Command::Bridge(_) => true,
        Command::Dl(args) => args.serves(),
        _ => false,
    };
    if !serves {
        // Not the command's own: that may wait for a pipe, and connections and signals do not wait with it.
        builder.worker_threads(1);
    }
    builder.enable_all().build()
}

/// Runs a command until it has ended or is interrupted.
async fn run_to_its_end(context: &Context, command: Command, interrupt: &Interrupt) -> Result<ExitCode, CliError> {
    let command = dispatch(context, command);
    tokio::pin!(command);
    tokio::select! {
        result = &mut command => return result,
        () = interrupt.wait() => {}
    }
    match interrupt.is_taken_over() {
        true => tokio::time::timeout(signals::GRACE, command).await.unwrap_or_else(|_| Err(CliError::interrupted())),
        false => Err(CliError::interrupted()),
    }
}

async fn dispatch(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Login(args) => login::run(context, args).await,
        Command::Logout(args) => logout::run(context, args).await,
        Command::Whoami(args) => whoami::run(context, args).await,
        Command::Up(args) => up::run(context, args).await,
        Command::Dl(args) => dl::run(context, args).await,
        Command::Chat(command) => chat::run(context, command).await,
        Command::Watch(args) => watch::run(context, args).await,
        Command::Demo(args) => demo::run(context, args).await,
        Command::Ns(command) => ns::run(context, command),
        Command::Device(command) => device::run(context, &command),
        Command::Backup(args) => backup::backup(context, &args),
        Command::Recover(args) => backup::recover(context, &args),
        Command::Migrate(args) => backup::migrate(context, &args),
        Command::Session(command) => session::run(context, command).await,
        Command::Sandbox(command) => sandbox::run(context, command).await,
        Command::Bridge(args) => bridge::run(context, args).await,
        Command::Tl(command) => tl::run(context, &command),
        Command::Call(args) => call::run(context, args).await,
        Command::Dc(command) => dc::run(context, command).await,
        Command::Trace(command) => trace_command::run(context, &command),
        Command::Completion(args) => completion::run(&args),
    }
}

/// Runs a whole command line inside this process, as the demo does: its words, with settings of its own.
async fn run_line(words: Vec<String>, interrupt: &Interrupt) -> Result<ExitCode, CliError> {
    let wrong = |e: clap::Error| CliError::usage(e.to_string());
    let matches = command().try_get_matches_from(words).map_err(wrong)?;
    let cli = Cli::from_arg_matches(&matches).map_err(wrong)?;
    let settings = Settings::resolve(cli.global, &matches)?;
    let output = Output::new(&settings);
    let context = Context::new(settings, output, interrupt.clone());
    let result = dispatch(&context, cli.command).await;
    context.finish();
    result
}
