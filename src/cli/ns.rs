//! `tdl ns`: the namespaces here.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tdl::{
    client::Persistence,
    seal::KdfParams,
    store::{Encryption, Error as StoreError, Home, NamespaceName},
};

use super::{
    context::{Context, unix_now},
    exit::{CliError, ExitCode, chain},
    output::{fit, printable},
    passphrase::PassphraseSource,
};

/// The commands under `tdl ns`.
#[derive(Debug, Subcommand)]
pub(crate) enum NsCommand {
    /// List the namespaces and who is logged in with each
    #[command(after_help = "Examples:\n  tdl ns ls\n  tdl ns ls --json")]
    Ls,
    /// Give a namespace another name
    #[command(after_help = "Example:\n  tdl ns rename default work")]
    Rename(RenameArgs),
    /// Remove namespaces from this machine, with the keys in them
    #[command(after_help = "\
Examples:
  tdl logout -n old && tdl ns rm old      end the authorization on the server first
  tdl ns rm --force broken                remove what cannot be logged out any more")]
    Rm(RmArgs),
    /// Encrypt the keys of a namespace with a passphrase
    #[command(after_help = "\
Examples:
  tdl ns encrypt                          asks for the passphrase, twice
  tdl ns encrypt work --passphrase-file word
  tdl ns encrypt new && tdl login -n new  nothing is ever stored in the clear

Sealed are the keys and salts of the authorization: without the passphrase, whoever has the file cannot use the account. Names of chats, the
account's name and unfinished transfers are not. From then on every command needs the passphrase: at the prompt, from --passphrase-file,
--passphrase-command or TDL_PASSPHRASE. A lost one cannot be had back: end the login in an official app, and log in anew.")]
    Encrypt(OneArgs),
    /// Take the encryption of a namespace away
    #[command(after_help = "Example:\n  tdl ns decrypt work")]
    Decrypt(OneArgs),
    /// Change the passphrase of a namespace
    #[command(after_help = "\
Examples:
  tdl ns passwd
  tdl ns passwd work --passphrase-file old --new-passphrase-file new")]
    Passwd(PasswdArgs),
}

/// The arguments of commands about one namespace.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The namespace [default: the one in use]
    #[arg(value_name = "NAME")]
    name: Option<NamespaceName>,
}

/// The arguments of `tdl ns passwd`.
#[derive(Debug, Args)]
pub(crate) struct PasswdArgs {
    /// The namespace [default: the one in use]
    #[arg(value_name = "NAME")]
    name: Option<NamespaceName>,

    /// A file whose first line is the new passphrase; TDL_NEW_PASSPHRASE can hold the passphrase itself
    #[arg(long, env = "TDL_NEW_PASSPHRASE_FILE", value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,

    /// A command that prints the new passphrase
    #[arg(long, env = "TDL_NEW_PASSPHRASE_COMMAND", value_name = "COMMAND")]
    new_passphrase_command: Option<String>,
}

/// The arguments of `tdl ns rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The namespace
    #[arg(value_name = "OLD")]
    from: NamespaceName,
    /// Its new name
    #[arg(value_name = "NEW")]
    to: NamespaceName,
}

/// The arguments of `tdl ns rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The namespaces to remove
    #[arg(value_name = "NAME", required = true)]
    names: Vec<NamespaceName>,
    /// Remove it although it is logged in, or damaged. The authorization stays alive on the server until you end it from another device
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(context: &Context, command: NsCommand) -> Result<ExitCode, CliError> {
    match command {
        NsCommand::Ls => ls(context),
        NsCommand::Rename(args) => rename(context, &args),
        NsCommand::Rm(args) => rm(context, &args),
        NsCommand::Encrypt(args) => encrypt(context, args),
        NsCommand::Decrypt(args) => decrypt(context, args),
        NsCommand::Passwd(args) => passwd(context, args),
    }
}

fn encrypt(context: &Context, args: OneArgs) -> Result<ExitCode, CliError> {
    let name = args.name.unwrap_or_else(|| context.settings.ns.clone());
    // Before the question, which would be for nothing.
    if context.home.contains(&name) && context.home.open_existing(&name, unix_now())?.encryption() != Encryption::None {
        return Err(StoreError::AlreadyEncrypted { name: name.to_string() }.into());
    }
    let passphrase = context.settings.passphrase.get_or_ask_new(&format!("New passphrase for namespace '{name}':"))?;
    context.home.encrypt(&name, &passphrase, KdfParams::DEFAULT, unix_now())?;
    context.output.note(&format!("namespace '{name}' is encrypted now; backups made before are not"));
    Ok(ExitCode::Done)
}

fn decrypt(context: &Context, args: OneArgs) -> Result<ExitCode, CliError> {
    let name = args.name.unwrap_or_else(|| context.settings.ns.clone());
    if context.home.open_existing(&name, unix_now())?.encryption() == Encryption::None {
        return Err(StoreError::NotEncrypted { name: name.to_string() }.into());
    }
    let passphrase = context.settings.passphrase.get_or_ask(&format!("Passphrase of namespace '{name}':"))?;
    context.home.decrypt(&name, &passphrase, unix_now())?;
    context.output.note(&format!("namespace '{name}' is not encrypted any more"));
    Ok(ExitCode::Done)
}

fn passwd(context: &Context, args: PasswdArgs) -> Result<ExitCode, CliError> {
    let name = args.name.unwrap_or_else(|| context.settings.ns.clone());
    let namespace = context.home.open_existing(&name, unix_now())?;
    if namespace.encryption() == Encryption::None {
        return Err(StoreError::NotEncrypted { name: name.to_string() }.into());
    }
    let old = context.settings.passphrase.get_or_ask(&format!("Passphrase of namespace '{name}':"))?;
    // Before the second question, which would be for nothing.
    namespace.unlock(&old)?;
    let source = PassphraseSource {
        file: args.new_passphrase_file,
        command: args.new_passphrase_command,
        variable: "TDL_NEW_PASSPHRASE",
    };
    let new = source.get_or_ask_new(&format!("New passphrase for namespace '{name}':"))?;
    namespace.change_passphrase(&old, &new, KdfParams::DEFAULT)?;
    context.output.note(&format!("namespace '{name}' has a new passphrase; backups made before open with the old one"));
    Ok(ExitCode::Done)
}

/// One row of the list.
struct Row {
    name: NamespaceName,
    /// The rest, or why it cannot be read.
    content: Result<Content, String>,
}

struct Content {
    logged_in: bool,
    ended: Option<&'static str>,
    encrypted: bool,
    user_id: Option<i64>,
    account: Option<String>,
    username: Option<String>,
    phone: Option<String>,
    home_dc: Option<i32>,
    cluster: Option<String>,
}

fn read(home: &Home, name: &NamespaceName) -> Result<Content, String> {
    let namespace = home.open_existing(name, unix_now()).map_err(|e| e.to_string())?;
    let cluster = namespace.cluster().map_err(|e| e.to_string())?;
    let read = || {
        let account = namespace.account()?;
        Ok(Content {
            logged_in: namespace.key_heads()?.iter().any(|key| key.authorized),
            ended: namespace.ended()?.map(|ended| ended.reason.code()),
            encrypted: namespace.encryption() != Encryption::None,
            home_dc: namespace.home_dc()?.map(|dc| dc.0),
            user_id: account.as_ref().map(|a| a.user_id),
            username: account.as_ref().and_then(|a| a.username.clone()),
            phone: account.as_ref().and_then(|a| a.phone.clone()),
            account: account.map(|a| a.name),
            cluster,
        })
    };
    read().map_err(|e: tdl::client::PersistenceError| chain(&e))
}

fn ls(context: &Context) -> Result<ExitCode, CliError> {
    let rows: Vec<Row> =
        context.home.list()?.into_iter().map(|name| Row { content: read(&context.home, &name), name }).collect();
    let damaged = rows.iter().any(|row| row.content.is_err());
    if context.output.json {
        let list: Vec<Value> = rows.iter().map(|row| to_json(&context.home, row)).collect();
        context.output.document(&list)?;
    } else if rows.is_empty() {
        context.output.note(&format!("no namespaces in {} yet; `tdl login` makes one", context.home.namespace_dir().display()));
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(|row| to_cells(row, &context.settings.ns)).collect();
        context.output.table(&["", "NAME", "ACCOUNT", "USER ID", "DC", "CLUSTER"], &cells)?;
    }
    Ok(if damaged { ExitCode::SomeFailed } else { ExitCode::Done })
}

fn to_cells(row: &Row, current: &NamespaceName) -> Vec<String> {
    let mark = if row.name == *current { "*" } else { "" };
    let mut cells = vec![mark.to_owned(), row.name.to_string()];
    match &row.content {
        Err(error) => cells.push(format!("cannot be read: {error}")),
        Ok(content) => {
            let name = match (&content.account, content.logged_in) {
                (Some(name), true) => fit(&printable(name), 32),
                (Some(name), false) if content.ended.is_some() => format!("{} (login ended)", fit(&printable(name), 20)),
                (Some(name), false) => format!("{} (logged out)", fit(&printable(name), 20)),
                (None, _) => "(not logged in)".to_owned(),
            };
            let dash = || "-".to_owned();
            cells.push(match &content.username {
                Some(username) => format!("{name} @{}", printable(username)),
                None => name,
            });
            cells.push(content.user_id.map_or_else(dash, |id| id.to_string()));
            cells.push(content.home_dc.map_or_else(dash, |dc| dc.to_string()));
            cells.push(content.cluster.clone().unwrap_or_else(dash));
        }
    }
    cells
}

fn to_json(home: &Home, row: &Row) -> Value {
    let path = home.path_of(&row.name).display().to_string();
    match &row.content {
        Err(error) => json!({ "name": row.name.as_str(), "path": path, "error": error }),
        Ok(c) => json!({
            "name": row.name.as_str(),
            "path": path,
            "logged_in": c.logged_in,
            "ended": c.ended,
            "encrypted": c.encrypted,
            "user_id": c.user_id,
            "account": c.account,
            "username": c.username,
            "phone": c.phone,
            "home_dc": c.home_dc,
            "cluster": c.cluster,
        }),
    }
}

fn rename(context: &Context, args: &RenameArgs) -> Result<ExitCode, CliError> {
    context.home.rename(&args.from, &args.to, unix_now())?;
    context.output.note(&format!("namespace '{}' is now '{}'", args.from, args.to));
    Ok(ExitCode::Done)
}

fn rm(context: &Context, args: &RmArgs) -> Result<ExitCode, CliError> {
    // Look at all before touching one.
    for name in &args.names {
        if !context.home.contains(name) {
            context.home.open_existing(name, unix_now())?;
        }
        if args.force {
            continue;
        }
        match read(&context.home, name) {
            Ok(content) if !content.logged_in => {}
            Ok(_) => {
                return Err(CliError::failed(format!(
                    "namespace '{name}' is logged in; without its key you cannot end that from here"
                ))
                .advise(format!("end it first with `tdl logout -n {name}`, or remove the key all the same with --force")));
            }
            Err(error) => {
                return Err(CliError::failed(format!("namespace '{name}' cannot be read: {error}"))
                    .advise("--force removes it all the same"));
            }
        }
    }
    let mut failed = None;
    let mut removed = 0;
    for name in &args.names {
        match context.home.remove(name) {
            Ok(_) => {
                removed += 1;
                context.output.note(&format!("removed namespace '{name}'"));
            }
            Err(error) => failed = Some(CliError::from(error)),
        }
    }
    match failed {
        None => Ok(ExitCode::Done),
        Some(mut error) => {
            if removed > 0 {
                error.code = ExitCode::SomeFailed;
            }
            Err(error)
        }
    }
}
