//! `tdl completion`: a script for the shell.

use clap::Args;
use clap_complete::{Shell, generate};

use super::exit::{CliError, ExitCode};

/// The arguments of `tdl completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl completion bash > ~/.local/share/bash-completion/completions/tdl
  tdl completion zsh > ~/.zfunc/_tdl
  tdl completion fish > ~/.config/fish/completions/tdl.fish")]
pub(crate) struct CompletionArgs {
    /// The shell to write for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    generate(args.shell, &mut super::command(), "tdl", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(|e| CliError::stdout(&e))?;
    Ok(ExitCode::Done)
}
