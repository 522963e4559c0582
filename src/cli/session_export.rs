//! `tdl session export`: the namespace's session, in another program's format.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use serde_json::json;
use tdl::store::{
    Error as StoreError, NamespaceName,
    foreign::{self, ForeignSession, Format, create_private_file, gramjs, mtcute, own, pyrogram, tdata, telethon},
};
use zeroize::Zeroizing;

use super::{
    context::{Context, has_login, unix_now},
    exit::{CliError, ExitCode},
    passphrase,
    prompt::{Question, ask},
};

/// The formats, by the names of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// Our own document, with everything that is known
    Tdl,
    /// Telethon
    Telethon,
    /// Pyrogram, kurigram and others that were made of it
    Pyrogram,
    /// GramJS
    Gramjs,
    /// mtcute
    Mtcute,
    /// Telegram Desktop
    Tdata,
}

/// The arguments of `tdl session export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session export --format telethon --reveal-key            a session string on standard output
  tdl session export --format pyrogram --file -o my.session --reveal-key
                                                               a session file, as the program itself keeps it
  tdl session export --format tdata -o tdata --with work --reveal-key
                                                               this namespace and another one, for Telegram Desktop

Two programs that use one key at the same time disturb each other. Stop using it here, or give the other program a login of its own.")]
pub(crate) struct ExportArgs {
    /// Which program it is for
    #[arg(long, value_name = "FORMAT", ignore_case = true)]
    format: FormatName,

    /// Where to write it: a file, or the directory to make for tdata. It must not exist yet
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Write the program's session file instead of a session string; needs -o
    #[arg(long, requires = "output")]
    file: bool,

    /// Further namespaces to put into the same tdata
    #[arg(long, value_name = "NAME")]
    with: Vec<NamespaceName>,

    /// Protect tdata with a local passcode, which Telegram Desktop then asks for
    #[arg(long, env = "TDL_PASSCODE", value_name = "PASSCODE", hide_env_values = true)]
    passcode: Option<String>,

    /// Yes, hand out the key: whoever has it is logged in as you
    #[arg(long)]
    reveal_key: bool,
}

pub(crate) async fn run(context: &Context, args: ExportArgs) -> Result<ExitCode, CliError> {
    check(&args)?;
    let mut sessions = vec![session(context, &context.settings.ns)?];
    for name in &args.with {
        sessions.push(session(context, name)?);
    }
    consent(&args).await?;
    let written = write(&args, &sessions)?;
    context
        .output
        .alert("warning: the key is in two places now. Two programs that use it at the same time disturb each other: messages");
    context.output.alert("         go to one of them only, and from two addresses at once Telegram ends it for both");
    let session = &sessions[0];
    match (written, &args.output) {
        (Some(text), None) if context.output.json => context.output.document(&json!({
            "format": text.format_name(),
            "user_id": session.user_id,
            "home_dc": session.home_dc.0,
            "session": text.text.as_str(),
        }))?,
        (Some(text), None) => context.output.line(&text.text)?,
        (_, Some(path)) if context.output.json => context.output.document(&json!({
            "format": format_of(&args).program(),
            "user_id": session.user_id,
            "home_dc": session.home_dc.0,
            "path": path.display().to_string(),
        }))?,
        (_, Some(path)) => context.output.note(&format!("written to {}", path.display())),
        (None, None) => {}
    }
    Ok(ExitCode::Done)
}

/// What the parser cannot know: which flags go with which format.
fn check(args: &ExportArgs) -> Result<(), CliError> {
    let tdata = args.format == FormatName::Tdata;
    let wrong = |what: &str, advice: &str| Err(CliError::usage(what).advise(advice));
    if tdata && args.output.is_none() {
        return wrong("tdata is a directory, and there is no name for it", "name one that does not exist yet with -o");
    }
    if !tdata && !args.with.is_empty() {
        return wrong(
            "--with goes with tdata only: the other formats hold one account",
            "export the namespaces one by one, with -n",
        );
    }
    // From the environment it may be meant for something else.
    if !tdata && args.passcode.is_some() && std::env::var_os("TDL_PASSCODE").is_none() {
        return wrong(
            "--passcode goes with tdata only: the other formats have none",
            "leave it out, and keep the file to yourself",
        );
    }
    if args.file && matches!(args.format, FormatName::Tdl | FormatName::Gramjs) {
        return wrong("this format is a text and has no session file", "leave --file out");
    }
    Ok(())
}

fn session(context: &Context, name: &NamespaceName) -> Result<ForeignSession, CliError> {
    let namespace = match context.home.open_existing(name, unix_now()) {
        Ok(namespace) => namespace,
        Err(StoreError::NoSuchNamespace { name, .. }) => return Err(CliError::not_logged_in(name)),
        Err(error) => return Err(error.into()),
    };
    passphrase::unlock(&context.settings.passphrase, &namespace)?;
    if !has_login(&namespace)? {
        return Err(CliError::not_logged_in(name));
    }
    let (table, cluster) = context.cluster()?;
    namespace.bind_cluster(&cluster)?;
    Ok(ForeignSession::from_store(&namespace, &table)?)
}

/// A secret leaves only where somebody says so.
async fn consent(args: &ExportArgs) -> Result<(), CliError> {
    if args.reveal_key {
        return Ok(());
    }
    let refused = || {
        CliError::usage("the key of this login would be handed out: whoever has it is logged in as you")
            .advise("give --reveal-key if that is what you want")
    };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused());
    }
    let question = Question {
        text: "Hand out the key of this login? Type yes:".into(),
        help: Some("whoever has it is logged in as you, until you end the session".into()),
        flag: "--reveal-key",
        env: "",
        secret: false,
    };
    match ask(question).await?.as_str() {
        "yes" => Ok(()),
        _ => Err(refused()),
    }
}

/// A text, and the format that it is in.
struct Text {
    format: Format,
    text: Zeroizing<String>,
}

impl Text {
    fn format_name(&self) -> &'static str {
        self.format.program()
    }
}

fn format_of(args: &ExportArgs) -> Format {
    args.format.format(args.file)
}

impl FormatName {
    /// The format of the program's session strings, or of its files.
    pub(crate) fn format(self, file: bool) -> Format {
        match (self, file) {
            (Self::Tdl, _) => Format::Tdl,
            (Self::Telethon, false) => Format::TelethonString,
            (Self::Telethon, true) => Format::TelethonFile,
            (Self::Pyrogram, false) => Format::PyrogramString,
            (Self::Pyrogram, true) => Format::PyrogramFile,
            (Self::Gramjs, _) => Format::Gramjs,
            (Self::Mtcute, false) => Format::MtcuteString,
            (Self::Mtcute, true) => Format::MtcuteFile,
            (Self::Tdata, _) => Format::Tdata,
        }
    }
}

/// Writes it where it is to go. What comes back is a text for standard output.
fn write(args: &ExportArgs, sessions: &[ForeignSession]) -> Result<Option<Text>, CliError> {
    let session = &sessions[0];
    let path = args.output.as_deref();
    let format = format_of(args);
    let text = match (format, path) {
        (Format::Tdata, Some(path)) => {
            tdata::write(path, sessions, args.passcode.as_deref().unwrap_or_default().as_bytes(), &mut rand::rng())?;
            return Ok(None);
        }
        (Format::TelethonFile, Some(path)) => {
            telethon::write_file(session, path)?;
            return Ok(None);
        }
        (Format::PyrogramFile, Some(path)) => {
            pyrogram::write_file(session, path)?;
            return Ok(None);
        }
        (Format::MtcuteFile, Some(path)) => {
            mtcute::write_file(session, path)?;
            return Ok(None);
        }
        (Format::TelethonString, _) => telethon::to_string(session)?,
        (Format::PyrogramString, _) => pyrogram::to_string(session)?,
        (Format::Gramjs, _) => gramjs::to_string(session)?,
        (Format::MtcuteString, _) => mtcute::to_string(session)?,
        _ => own::to_string(session)?,
    };
    match path {
        Some(path) => {
            let mut line = Zeroizing::new(String::with_capacity(text.len() + 1));
            line.push_str(&text);
            line.push('\n');
            create_private_file(path, line.as_bytes())?;
            Ok(None)
        }
        None => Ok(Some(Text { format, text })),
    }
}

impl From<foreign::Error> for CliError {
    fn from(error: foreign::Error) -> Self {
        use foreign::Error;
        let code = match &error {
            Error::NotLoggedIn => ExitCode::NotLoggedIn,
            Error::NotFound { .. }
            | Error::Unrecognised { .. }
            | Error::NotTdata { .. }
            | Error::PasscodeNeeded
            | Error::WrongPasscode
            | Error::Missing { .. }
            | Error::CannotHold { .. }
            | Error::Exists { .. } => ExitCode::Usage,
            // The enum may grow; until someone chooses a code, it is a failure like any other.
            _ => ExitCode::Failed,
        };
        let advice = error.advice();
        Self { code, what: super::exit::chain(&error), advice: Some(advice) }
    }
}
