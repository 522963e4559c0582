//! `tdl backup`, `tdl recover` and `tdl migrate`: namespaces into a file, out of one, and to another home.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
};

use chrono::Local;
use clap::Args;
use inquire::Confirm;
use serde_json::json;
use tdl::{
    seal::{KdfParams, Protection, archive::ArchiveReader},
    store::{Arrived, Error as StoreError, Home, MigrateMode, NamespaceName},
};

use super::{
    context::{Context, unix_now},
    exit::{CliError, ExitCode},
    passphrase,
};

/// What is to be said of keys that are in two places.
const TWO_PLACES: &str = "Telegram ends a login whose key is used from two places at once. Use one of the two from here on: on the other, \
                          `tdl logout --local-only` forgets the key without ending the login; `tdl login` then gets one of its own";

/// The arguments of `tdl backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl backup                              all namespaces, into a file named after the time
  tdl backup default work -d keys.backup  two of them
  TDL_PASSPHRASE=... tdl backup           encrypted, without a question
  tdl backup --passphrase-file word -d keys.backup --force

A backup holds your keys: whoever has it can use your accounts, unless it is encrypted. It is encrypted whenever there is a passphrase: from
--passphrase-file, --passphrase-command, TDL_PASSPHRASE, or the prompt. Other tdl may go on working meanwhile: each namespace is saved
as it is at one moment.")]
pub(crate) struct BackupArgs {
    /// The namespaces to save [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<NamespaceName>,

    /// The file to write [default: named after the time, in this directory]
    #[arg(short, long, value_name = "FILE")]
    dst: Option<PathBuf>,

    /// Do not encrypt it, passphrase or not
    #[arg(long)]
    plain: bool,

    /// Replace the file if it exists
    #[arg(short, long)]
    force: bool,
}

/// The arguments of `tdl recover`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl recover -f keys.backup
  tdl recover -f keys.backup work         only this one
  tdl recover -f keys.backup --overwrite  what is in the way is kept under another name

Nothing is changed before the whole file has been read and found sound. What comes back is the same login with the same key: see to it that
the original is not used any more.")]
pub(crate) struct RecoverArgs {
    /// The backup to read
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// The namespaces to bring back [default: all that are in it]
    #[arg(value_name = "NAME")]
    names: Vec<NamespaceName>,

    /// Where a namespace of the same name exists, set it aside under another name
    #[arg(long)]
    overwrite: bool,
}

/// The arguments of `tdl migrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl migrate --to /media/stick/tdl       a copy of all namespaces
  tdl migrate --to ~/new --move           they are removed here once they are there
  tdl migrate --to type=sqlite,path=/media/stick/tdl default
  tdl --home /media/stick/tdl whoami      uses the other home")]
pub(crate) struct MigrateArgs {
    /// The home to go to: a directory, or type=sqlite,path=DIR
    #[arg(long, value_name = "DIR")]
    to: String,

    /// The namespaces to carry over [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<NamespaceName>,

    /// Remove them here once they are there. Asks first
    #[arg(long = "move")]
    moving: bool,

    /// Where a namespace of the same name exists there, set it aside under another name
    #[arg(long)]
    overwrite: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What is asked for, or all there are.
fn chosen(context: &Context, names: &[NamespaceName]) -> Result<Vec<NamespaceName>, CliError> {
    let mut chosen = if names.is_empty() { context.home.list()? } else { names.to_vec() };
    chosen.sort();
    chosen.dedup();
    if chosen.is_empty() {
        return Err(CliError::failed(format!("there are no namespaces in {}", context.home.namespace_dir().display()))
            .advise("`tdl login` makes one; --home names another home"));
    }
    Ok(chosen)
}

pub(crate) fn backup(context: &Context, args: &BackupArgs) -> Result<ExitCode, CliError> {
    let names = chosen(context, &args.names)?;
    let to = args.dst.clone().unwrap_or_else(|| PathBuf::from(Local::now().format("%Y-%m-%d-%H_%M_%S.backup.tdl").to_string()));
    let found = if args.plain { None } else { context.settings.passphrase.get()? };
    let passphrase = match found {
        None if !args.plain && passphrase::can_ask() => {
            passphrase::ask("Passphrase for the backup (Enter alone: none):", true)?
        }
        other => other,
    };
    let encrypted = passphrase.is_some();
    let protection = match passphrase {
        Some(passphrase) => Protection::Passphrase { passphrase, params: KdfParams::DEFAULT },
        None => Protection::None,
    };
    let done = context.home.backup(&names, &to, &protection, args.force, unix_now())?;
    if context.output.json {
        context.output.document(&json!({
            "file": to.display().to_string(),
            "encrypted": encrypted,
            "namespaces": done.iter().map(|d| json!({
                "name": d.name.as_str(),
                "rows": d.rows,
                "encrypted": encrypted || d.encrypted,
            })).collect::<Vec<_>>(),
        }))?;
    } else {
        let list: Vec<&str> = done.iter().map(|d| d.name.as_str()).collect();
        context.output.note(&format!("saved {} in {}", list.join(", "), to.display()));
    }
    let bare: Vec<&str> = done.iter().filter(|d| !encrypted && !d.encrypted).map(|d| d.name.as_str()).collect();
    if !bare.is_empty() {
        context.output.alert(&format!(
            "WARNING: {} holds the keys of {} unencrypted: whoever has it can use the accounts. Keep it to yourself, or give a passphrase",
            to.display(),
            bare.join(", ")
        ));
    }
    Ok(ExitCode::Done)
}

pub(crate) fn recover(context: &Context, args: &RecoverArgs) -> Result<ExitCode, CliError> {
    let path = &args.file;
    let file = fs::File::open(path).map_err(|e| {
        CliError::failed(format!("{}: {e}", path.display())).advise("-f names the file that `tdl backup` wrote")
    })?;
    let head =
        ArchiveReader::head(BufReader::new(file)).map_err(|source| StoreError::BadBackup { path: path.clone(), source })?;
    let passphrase = match head.is_encrypted() {
        true => Some(context.settings.passphrase.get_or_ask(&format!("Passphrase of {}:", path.display()))?),
        false => None,
    };
    let arrived = context.home.recover(head, path, passphrase.as_ref(), &args.names, args.overwrite, unix_now())?;
    tell(context, &arrived, &context.home, true)?;
    Ok(ExitCode::Done)
}

pub(crate) fn migrate(context: &Context, args: &MigrateArgs) -> Result<ExitCode, CliError> {
    let to = destination(&args.to)?;
    let names = chosen(context, &args.names)?;
    let same = fs::canonicalize(&to).ok().is_some_and(|there| fs::canonicalize(context.home.root()).ok() == Some(there));
    if same {
        return Err(
            CliError::usage(format!("{} is the home that they are in", to.display())).advise("--to names another directory")
        );
    }
    let mode = if args.moving { MigrateMode::Move } else { MigrateMode::Copy };
    if args.moving && !args.yes {
        let list: Vec<&str> = names.iter().map(NamespaceName::as_str).collect();
        confirm(&format!("Move {} to {} and remove them here?", list.join(", "), to.display()))?;
    }
    let other = Home::at(&to);
    let arrived = context.home.migrate(&names, &other, mode, args.overwrite, unix_now())?;
    let config = copy_config(context.home.root(), &to)?;
    tell(context, &arrived, &other, !args.moving)?;
    if config {
        context.output.note(&format!("config.toml was copied as well; from now on: tdl --home {}", to.display()));
    }
    Ok(ExitCode::Done)
}

/// What has come to pass, and what to look out for.
fn tell(context: &Context, arrived: &[Arrived], home: &Home, twice: bool) -> Result<(), CliError> {
    if context.output.json {
        context.output.document(
            &arrived
                .iter()
                .map(|a| {
                    json!({
                        "name": a.name.as_str(),
                        "path": home.path_of(&a.name).display().to_string(),
                        "encrypted": a.encrypted,
                        "set_aside": a.set_aside.as_ref().map(NamespaceName::as_str),
                    })
                })
                .collect::<Vec<_>>(),
        )?;
    }
    for one in arrived {
        context.output.note(&format!("namespace '{}' is in {}", one.name, home.path_of(&one.name).display()));
        if let Some(aside) = &one.set_aside {
            context.output.alert(&format!(
                "the namespace '{}' that was there is called '{aside}' now; `tdl ns rm {aside}` removes it",
                one.name
            ));
        }
    }
    if twice && !arrived.is_empty() {
        context.output.alert(&format!("WARNING: the same keys may be in two places now. {TWO_PLACES}"));
    }
    Ok(())
}

/// A directory, or the Go tool's way of naming a storage.
fn destination(text: &str) -> Result<PathBuf, CliError> {
    if !text.contains('=') {
        return Ok(PathBuf::from(text));
    }
    let (mut kind, mut path) = (None, None);
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("type", value)) => kind = Some(value),
            Some(("path", value)) if !value.is_empty() => path = Some(PathBuf::from(value)),
            _ => {
                return Err(
                    CliError::usage(format!("--to: '{part}' is neither type=... nor path=...")).advise("write --to DIR")
                );
            }
        }
    }
    match (kind, path) {
        (None | Some("sqlite"), Some(path)) => Ok(path),
        (Some(kind), _) if kind != "sqlite" => Err(CliError::usage(format!("--to: there is no storage of the type '{kind}'"))
            .advise("namespaces are SQLite files: write --to DIR")),
        _ => Err(CliError::usage("--to: path=DIR is missing").advise("write --to DIR")),
    }
}

fn confirm(question: &str) -> Result<(), CliError> {
    if !passphrase::can_ask() {
        return Err(CliError::usage("this wants a yes, and there is no terminal to ask at").advise("give --yes"));
    }
    match Confirm::new(question).with_default(false).prompt() {
        Ok(true) => Ok(()),
        _ => Err(CliError::interrupted().advise("nothing was changed")),
    }
}

/// Copies config.toml, where there is none yet. Says whether it did.
fn copy_config(from: &Path, to: &Path) -> Result<bool, CliError> {
    let (from, to) = (from.join("config.toml"), to.join("config.toml"));
    if !from.is_file() || to.exists() {
        return Ok(false);
    }
    fs::copy(&from, &to).map(|_| true).map_err(|e| {
        CliError::failed(format!("{}: {e}", to.display())).advise("the namespaces are there; copy config.toml by hand")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_directory_or_named_as_the_go_tool_does() {
        let path = |text| destination(text).expect(text);
        assert_eq!(path("there"), PathBuf::from("there"));
        assert_eq!(path("type=sqlite,path=/a b"), PathBuf::from("/a b"));
        assert_eq!(path("path=x"), PathBuf::from("x"));
        for wrong in ["type=bolt,path=x", "type=sqlite", "path=", "colour=red,path=x", "path=x,y"] {
            assert_eq!(destination(wrong).expect_err(wrong).code, ExitCode::Usage, "{wrong}");
        }
    }
}
