//! `tdl session import`: another program's session, given as a file, a directory or a text.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use tdl::{
    account::LoginRequest,
    store::foreign::{self, Sessions, detect_path, read_path_as, read_text, read_text_as},
};
use zeroize::Zeroizing;

use super::{
    Prompts,
    foreign::{Entry, enter, with_passcode},
    namespace, report,
};
use crate::cli::{
    context::{Context, unix_now},
    exit::{CliError, ExitCode},
    session_export::FormatName,
};

/// The longest text that may be a session, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// The arguments of `tdl session import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session import my.session                    a session file of Telethon, Pyrogram or mtcute, whichever it is
  tdl session import tdata --account 12345678      one of several accounts of Telegram Desktop
  tdl session import -                             a session string, from standard input
  tdl session import my.session --borrow           lives on the very key in it

The session lets a key of our own in, once, and is forgotten: the other program notices nothing and stays logged in. With --borrow this
namespace lives on the other program's key: for a program that is not used any more.")]
pub(crate) struct ImportArgs {
    /// A session file, a tdata directory, or a file with a session string in it; - reads a string from standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Which program it is of [default: found out]
    #[arg(long, value_name = "FORMAT", ignore_case = true)]
    format: Option<FormatName>,

    /// Which account, if there are several: its user id or its name there
    #[arg(long, env = "TDL_ACCOUNT", value_name = "ID", hide_env_values = true)]
    account: Option<String>,

    /// Live on the other program's own key instead of one of our own. Telegram may end the login of both; see `tdl session isolate`
    #[arg(long)]
    borrow: bool,

    /// The local passcode of Telegram Desktop. Others on this machine can see what is given as a flag
    #[arg(short = 'p', long, env = "TDL_PASSCODE", value_name = "PASSCODE", hide_env_values = true)]
    passcode: Option<String>,

    /// The password of two-step verification, if the account has one. Others on this machine can see what is given as a flag
    #[arg(long, env = "TDL_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// End the authorization that the namespace holds, and log in anew
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(context: &Context, args: ImportArgs) -> Result<ExitCode, CliError> {
    // Before the namespace is made: what cannot be read leaves nothing.
    let (place, sessions) = if args.path.as_os_str() == "-" {
        ("standard input".to_owned(), read_stdin(args.format)?)
    } else {
        let passcode = args.passcode.map(Zeroizing::new);
        let sessions = with_passcode(passcode, |passcode| read(&args.path, args.format, passcode)).await?;
        (args.path.display().to_string(), sessions)
    };
    let namespace = namespace(context, args.force)?;
    let request = LoginRequest { phone: None, user_id: None, force: args.force, now: unix_now() };
    let mut prompts = Prompts::with_password(context, args.password);
    let entry = Entry { place, sessions, account: args.account, borrow: args.borrow };
    let (outcome, dc) = enter(context, &namespace, entry, request, &mut prompts).await?;
    report(context, &namespace, &outcome, dc.0)
}

/// Reads what is at a path. A program's name stands for its files and its strings.
fn read(path: &Path, format: Option<FormatName>, passcode: &[u8]) -> Result<Sessions, foreign::Error> {
    let found = detect_path(path);
    let format = match (format, found) {
        (None, found) => found?,
        (Some(name), Ok(found)) if found == name.format(true) => found,
        (Some(_), Err(error @ foreign::Error::NotFound { .. })) => return Err(error),
        // Whoever names a format hears what is wrong with it.
        (Some(name), _) => name.format(!is_text(path)),
    };
    read_path_as(path, format, passcode)
}

/// Whether a path is one of a text: a small file that is nothing else.
fn is_text(path: &Path) -> bool {
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let mut head = [0; 16];
    // A string is longer than that, and has no zero in it, as a database's head has.
    file.read_exact(&mut head).is_ok() && head.is_ascii() && !head.contains(&0)
}

fn read_stdin(format: Option<FormatName>) -> Result<Sessions, CliError> {
    let mut text = Zeroizing::new(String::new());
    let failed = |e: io::Error| CliError::failed(format!("standard input cannot be read: {e}"));
    let len = io::stdin().lock().take(MAX_TEXT + 1).read_to_string(&mut text).map_err(failed)?;
    if len as u64 > MAX_TEXT {
        return Err(foreign::Error::TooLarge { what: "the text".into(), limit: MAX_TEXT, found: len as u64 }.into());
    }
    let session = match format {
        Some(name) => read_text_as(&text, name.format(false)),
        None => read_text(&text),
    };
    Ok(session?.into())
}
