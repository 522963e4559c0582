//! `tdl completion`: a script for the shell, and what the script asks for.
//!
//! The script knows nothing itself: it runs `tdl` with a variable set, and gets the candidates for the word under the cursor. So methods
//! of the API can be completed, and the script need not be made anew with every version.

use clap::Args;
use clap_complete::{
    Shell,
    env::{CompleteEnv, Shells},
};

use super::exit::{CliError, ExitCode};

/// The variable by which a script asks for candidates; its value is the shell.
const VARIABLE: &str = "TDL_COMPLETE";

/// The arguments of `tdl completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl completion bash > ~/.local/share/bash-completion/completions/tdl
  tdl completion zsh > ~/.zfunc/_tdl
  tdl completion fish > ~/.config/fish/completions/tdl.fish

Commands, flags and their values are completed, the methods of `tdl call`, and the fields of a method once it is there. The script
asks the `tdl` that the shell finds.")]
pub(crate) struct CompletionArgs {
    /// The shell to write for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<ExitCode, CliError> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell.to_string())
        .ok_or_else(|| CliError::usage(format!("there is no completion for {}", args.shell)))?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "tdl", "tdl", "tdl", &mut script)
        .map_err(|e| CliError::failed(format!("the script cannot be written: {e}")))?;
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(|e| CliError::stdout(&e))?;
    Ok(ExitCode::Done)
}

/// Answers a script that asks for candidates; `None` if nobody does.
pub(super) fn answer() -> Option<ExitCode> {
    let here = std::env::current_dir().ok();
    match CompleteEnv::with_factory(super::command).var(VARIABLE).try_complete(std::env::args_os(), here.as_deref()) {
        Ok(true) => Some(ExitCode::Done),
        Ok(false) => None,
        // A shell shows no errors while it completes.
        Err(_) => Some(ExitCode::Failed),
    }
}
