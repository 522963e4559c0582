//! Where passphrases come from: a file, a command, the environment, or the person at the terminal. Never a flag: other users see those.

use std::{
    fs,
    io::{self, IsTerminal, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use inquire::{InquireError, Password, PasswordDisplayMode};
use tdl::{
    seal::{MAX_PASSPHRASE, Passphrase, SealError},
    store::{Encryption, Namespace},
};
use zeroize::Zeroizing;

use super::exit::CliError;

/// Where a passphrase is to be had without asking anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassphraseSource {
    /// A file whose first line it is.
    pub(crate) file: Option<PathBuf>,
    /// A command that prints it.
    pub(crate) command: Option<String>,
    /// An environment variable that holds it.
    pub(crate) variable: &'static str,
}

/// What one answers to.
const HELP: &str = "give --passphrase-file or --passphrase-command, or set TDL_PASSPHRASE";

impl PassphraseSource {
    /// The passphrase, if there is a source of it. The more particular one wins: file, command, environment.
    pub(crate) fn get(&self) -> Result<Option<Passphrase>, CliError> {
        if let Some(path) = &self.file {
            return from_file(path).map(Some);
        }
        if let Some(command) = &self.command {
            return from_command(command).map(Some);
        }
        match std::env::var(self.variable).map(Zeroizing::new) {
            Ok(text) if !text.is_empty() => Passphrase::new(text).map(Some).map_err(|e| wrong(self.variable, &e)),
            Ok(_) | Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(CliError::usage(format!("{} is not UTF-8", self.variable)).advise(HELP))
            }
        }
    }

    /// The passphrase, from a source or from the person at the terminal.
    pub(crate) fn get_or_ask(&self, question: &str) -> Result<Passphrase, CliError> {
        match self.get()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(question, false)?.ok_or_else(|| wrong("the prompt", &SealError::PassphraseEmpty)),
        }
    }

    /// A new passphrase: asked for twice where it is asked for.
    pub(crate) fn get_or_ask_new(&self, question: &str) -> Result<Passphrase, CliError> {
        match self.get()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(question, true)?.ok_or_else(|| wrong("the prompt", &SealError::PassphraseEmpty)),
        }
    }
}

/// Unlocks an encrypted namespace. Does nothing for others.
pub(crate) fn unlock(source: &PassphraseSource, namespace: &Namespace) -> Result<(), CliError> {
    if !matches!(namespace.encryption(), Encryption::Locked(_)) {
        return Ok(());
    }
    let passphrase = source.get_or_ask(&format!("Passphrase of namespace '{}':", namespace.name()))?;
    Ok(namespace.unlock(&passphrase)?)
}

/// The same, without asking anybody: an encrypted namespace stays locked if there is no source.
pub(crate) fn unlock_quietly(source: &PassphraseSource, namespace: &Namespace) -> Result<(), CliError> {
    if matches!(namespace.encryption(), Encryption::Locked(_))
        && let Some(passphrase) = source.get()?
    {
        namespace.unlock(&passphrase)?;
    }
    Ok(())
}

/// Whether somebody is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks. Nothing for an empty answer.
pub(crate) fn ask(question: &str, twice: bool) -> Result<Option<Passphrase>, CliError> {
    if !can_ask() {
        return Err(CliError::usage("a passphrase is needed, and there is no terminal to ask at").advise(HELP));
    }
    let mut prompt = Password::new(question).with_display_mode(PasswordDisplayMode::Hidden);
    if !twice {
        prompt = prompt.without_confirmation();
    }
    match prompt.prompt().map(Zeroizing::new) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Passphrase::new(text).map(Some).map_err(|e| wrong("the prompt", &e)),
        Err(InquireError::OperationInterrupted | InquireError::OperationCanceled) => Err(CliError::interrupted()),
        Err(error) => Err(CliError::failed(format!("cannot read from the terminal: {error}"))),
    }
}

fn from_file(path: &Path) -> Result<Passphrase, CliError> {
    let shown = path.display().to_string();
    let unreadable = |e: &dyn std::fmt::Display| {
        CliError::usage(format!("--passphrase-file {shown}: {e}"))
            .advise("name a file that you can read and whose first line is the passphrase")
    };
    let file = fs::File::open(path).map_err(|e| unreadable(&e))?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_PASSPHRASE as u64 + 3).read_to_string(&mut text).map_err(|e| unreadable(&e))?;
    Passphrase::first_line(&text).map_err(|e| wrong(&shown, &e))
}

fn from_command(command: &str) -> Result<Passphrase, CliError> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |what: String| {
        CliError::failed(format!("--passphrase-command: {what}"))
            .advise("run the command by itself: its first line is to be the passphrase")
    };
    // What it has to say, and to ask, goes to the person; what it prints comes here.
    let mut child = Command::new(shell)
        .args([flag, command])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("it cannot be started: {e}")))?;
    let mut text = Zeroizing::new(String::new());
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(MAX_PASSPHRASE as u64 + 3).read_to_string(&mut text),
        None => Ok(0),
    };
    let status = child.wait().map_err(|e| failed(e.to_string()))?;
    if !status.success() {
        return Err(failed(format!("it failed ({status})")));
    }
    read.map_err(|e| failed(format!("what it printed cannot be read: {e}")))?;
    Passphrase::first_line(&text).map_err(|e| wrong("--passphrase-command", &e))
}

fn wrong(from: &str, error: &SealError) -> CliError {
    CliError::usage(format!("{from}: {error}")).advise(HELP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: Option<&Path>, command: Option<&str>) -> PassphraseSource {
        PassphraseSource {
            file: file.map(Path::to_path_buf),
            command: command.map(str::to_owned),
            variable: "TDL_A_VARIABLE_THAT_NOBODY_SETS",
        }
    }

    #[test]
    fn each_source_gives_its_first_line_and_the_particular_one_wins() {
        let word = |text: &str| Passphrase::new(text.to_owned()).expect("a passphrase");
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("word");
        fs::write(&path, "from the file\nand more").expect("written");
        assert!(source(None, None).get().expect("none").is_none());
        let found = |source: PassphraseSource| source.get().expect("readable").expect("there");
        assert!(found(source(Some(&path), Some("echo other"))).is(&word("from the file")));
        if cfg!(unix) {
            assert!(found(source(None, Some("printf 'of a command\\n'; echo more"))).is(&word("of a command")));
        }
        assert!(source(Some(&dir.path().join("nothing")), None).get().is_err());
        fs::write(&path, "").expect("written");
        assert!(source(Some(&path), None).get().is_err_and(|e| e.what.contains("empty")));
        fs::write(&path, [0xff, 0xfe]).expect("written");
        assert!(source(Some(&path), None).get().is_err());
        if cfg!(unix) {
            let error = source(None, Some("echo secret; exit 3")).get().expect_err("failed");
            assert!(error.what.contains("failed") && !error.what.contains("secret"), "{}", error.what);
        }
    }
}
