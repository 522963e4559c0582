//! `tdl login`: a fresh authorization for this namespace.

mod foreign;
mod import;
mod prompts;
mod qr;

use std::{io, io::IsTerminal, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use tdl::{
    account::{self, LoggedIn, LoginRequest, LoginSignals},
    client::{Client, Persistence},
    store::Namespace,
};
use zeroize::Zeroizing;

use super::{
    context::{Context, no_application, unix_now},
    exit::{CliError, ExitCode},
    output::printable,
    prompt::{Question, ask},
    settings::Cluster,
    whoami,
};
pub(crate) use import::{ImportArgs, run as import};
pub(crate) use prompts::Prompts;

/// The arguments of `tdl login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl login                                           shows a code to scan with Telegram on your phone
  tdl login -T code                                   asks for all it needs
  tdl login -T code --phone +4915112345678            asks for the code only
  TDL_PHONE=+4915112345678 TDL_CODE=12345 tdl login   asks nothing
  printf '%s\\n' 12345 'my password' | tdl login --phone +4915112345678
                                                      answers from standard input, a line for each question
  tdl login -T desktop                                lets the account of Telegram Desktop on this machine let us in
  tdl login -T desktop -d /mnt/old/tdata --account 12345678
  tdl login -T bot --token 123456:AAF…                a bot; better with TDL_TOKEN, which nobody else can see
  tdl --sandbox box login --phone 9996621234 --code 22222 --first-name Ada
                                                      a new account in the local cluster: it lives on DC 2, hence the code

Telegram itself wants an application of your own: --app-id and --app-hash, free at https://my.telegram.org/apps.
If the account has two-step verification, its password is asked for; it is proved to the server, and never sent.")]
pub(crate) struct LoginArgs {
    /// How to log in [default: what the other flags belong to; qr on a terminal, code elsewhere]
    #[arg(short = 'T', long = "type", value_name = "TYPE", ignore_case = true)]
    kind: Option<LoginType>,

    /// The phone number, with its country code
    #[arg(long, env = "TDL_PHONE", value_name = "NUMBER", hide_env_values = true)]
    phone: Option<String>,

    /// The code that Telegram sends, if you know it already
    #[arg(long, env = "TDL_CODE", value_name = "CODE", hide_env_values = true)]
    code: Option<String>,

    /// The password of two-step verification, if the account has one. Others on this machine can see what is given as a flag
    #[arg(long, env = "TDL_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// The email address for an account that needs one before it is let in
    #[arg(long, env = "TDL_EMAIL", value_name = "ADDRESS", hide_env_values = true)]
    email: Option<String>,

    /// First name for a new account, if the number has none yet
    #[arg(long, env = "TDL_FIRST_NAME", value_name = "NAME")]
    first_name: Option<String>,

    /// Last name for a new account
    #[arg(long, env = "TDL_LAST_NAME", value_name = "NAME")]
    last_name: Option<String>,

    /// The tdata directory of Telegram Desktop, or the session file of another program [default: where Desktop keeps it]
    #[arg(short = 'd', long, env = "TDL_DESKTOP", value_name = "PATH", hide_env_values = true)]
    desktop: Option<PathBuf>,

    /// The local passcode of Telegram Desktop. Others on this machine can see what is given as a flag
    #[arg(short = 'p', long, env = "TDL_PASSCODE", value_name = "PASSCODE", hide_env_values = true)]
    passcode: Option<String>,

    /// Which account, if there are several: its user id or its name there
    #[arg(long, env = "TDL_ACCOUNT", value_name = "ID", hide_env_values = true)]
    account: Option<String>,

    /// Live on the other program's own key instead of one of our own. Telegram may end the login of both; see `tdl session isolate`
    #[arg(long)]
    borrow: bool,

    /// The token of a bot, as @BotFather gives it. Others on this machine can see what is given as a flag
    #[arg(long, env = "TDL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// End the authorization that the namespace holds, and log in anew
    #[arg(long)]
    force: bool,
}

/// The ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LoginType {
    /// With a code that Telegram on another device scans
    Qr,
    /// With your phone number and a code
    Code,
    /// Through Telegram Desktop, or another program that is logged in: it lets a key of our own in, once
    Desktop,
    /// As a bot, with its token
    Bot,
}

impl LoginArgs {
    /// The way that is meant.
    fn kind(&self, terminal: bool) -> LoginType {
        match self.kind {
            Some(kind) => kind,
            None if self.token.is_some() => LoginType::Bot,
            None if self.desktop.is_some() || self.borrow => LoginType::Desktop,
            None if self.phone.is_some() || self.code.is_some() || !terminal => LoginType::Code,
            None => LoginType::Qr,
        }
    }
}

pub(crate) async fn run(context: &Context, mut args: LoginArgs) -> Result<ExitCode, CliError> {
    let kind = args.kind(io::stderr().is_terminal());
    let namespace = namespace(context, args.force)?;
    let request = LoginRequest { phone: args.phone.take(), user_id: None, force: args.force, now: unix_now() };
    let mut prompts = Prompts::new(context, &mut args);
    let (client, result) = match kind {
        LoginType::Code => {
            let client = context.connect(&namespace).await?;
            begin_anew(context, &client).await?;
            let result = account::login_code(&client, &mut prompts, request).await;
            (client, result)
        }
        LoginType::Bot => {
            let token = match args.token {
                Some(token) => token,
                None => ask(bot_token()).await?,
            };
            let client = context.connect(&namespace).await?;
            begin_anew(context, &client).await?;
            let result = account::login_bot(&client, &token, request).await;
            (client, result)
        }
        LoginType::Desktop => {
            let given = foreign::Given {
                path: args.desktop,
                passcode: args.passcode.map(Zeroizing::new),
                account: args.account,
                borrow: args.borrow,
            };
            let (outcome, dc) = foreign::run(context, &namespace, given, request, &mut prompts).await?;
            return report(context, &namespace, &outcome, dc.0);
        }
        LoginType::Qr => {
            let except = others(context, &namespace)?;
            // The server says that a link was opened in an update.
            let client = context.connect_listening(&namespace).await?;
            begin_anew(context, &client).await?;
            let mut signals = LoginSignals::of(&client).expect("nobody else has this client's updates");
            let result =
                account::login_qr(&client, &mut signals, &mut prompts, &except, LoginRequest { phone: None, ..request }).await;
            (client, result)
        }
    };
    let dc = client.home_dc().0;
    client.close().await;
    report(context, &namespace, &result?, dc)
}

/// The namespace to log in, where that is possible.
fn namespace(context: &Context, force: bool) -> Result<Arc<Namespace>, CliError> {
    let public = matches!(context.settings.cluster, Cluster::Production | Cluster::PublicTest);
    if public && context.settings.app_hash.is_none() {
        return Err(no_application());
    }
    let namespace = context.create_namespace()?;
    if let Some(borrowed) = namespace.borrowed()? {
        if !force {
            let program = printable(&borrowed.program);
            return Err(CliError::failed(format!("namespace '{}' lives on the key of {program}", namespace.name()))
                .advise("get a key of your own with `tdl session isolate`, forget this one with --force, or choose another namespace with -n"));
        }
        // It is another program's login, and not ours to end.
        namespace.forget_all()?;
    }
    Ok(namespace)
}

/// Where the login that was here has ended, the new one begins with keys of its own.
async fn begin_anew(context: &Context, client: &Client) -> Result<(), CliError> {
    if let Some(ended) = client.start_over().await? {
        context.output.note(&format!("the login that was here has ended: {}; logging in anew", ended.reason));
    }
    Ok(())
}

/// Says how a login ended.
fn report(context: &Context, namespace: &Arc<Namespace>, outcome: &LoggedIn, dc: i32) -> Result<ExitCode, CliError> {
    let me = outcome.me();
    let (word, text) = match outcome {
        LoggedIn::Already(_) => ("already_logged_in", "already logged in"),
        LoggedIn::Resumed(_) => ("resumed", "the login that was cut off is complete now: logged in"),
        LoggedIn::In(_) => ("logged_in", "logged in"),
        LoggedIn::Up(_) => ("signed_up", "signed up and logged in"),
    };
    if context.output.json {
        let mut document = whoami::to_json(me);
        document["outcome"] = word.into();
        document["namespace"] = namespace.name().as_str().into();
        document["home_dc"] = dc.into();
        context.output.document(&document)?;
    } else {
        context.output.note(&format!("{text} as {} (id {}), namespace '{}'", printable(&me.name()), me.id, namespace.name()));
        if matches!(outcome, LoggedIn::Already(_)) {
            context.output.note("for another account choose another namespace with -n; --force replaces this one");
        }
    }
    Ok(ExitCode::Done)
}

/// The accounts that other namespaces here are logged in with, at the same Telegram: they need not be let in twice.
fn others(context: &Context, own: &Arc<Namespace>) -> Result<Vec<i64>, CliError> {
    let (_, cluster) = context.cluster()?;
    let mut ids = Vec::new();
    for name in context.home.list()? {
        if &name == own.name() {
            continue;
        }
        // Whatever is wrong with another namespace is no matter of this login.
        let Ok(other) = context.home.open_existing(&name, unix_now()) else { continue };
        let same = other.cluster().is_ok_and(|found| found.as_ref() == Some(&cluster));
        let lives = other.ended().is_ok_and(|ended| ended.is_none());
        if let (true, Ok(Some(account))) = (same && lives, other.account()) {
            ids.push(account.user_id);
        }
    }
    Ok(ids)
}

fn bot_token() -> Question {
    Question {
        text: "Bot token:".into(),
        help: Some("from @BotFather, such as 123456789:AAF…".into()),
        flag: "--token",
        env: "TDL_TOKEN",
        secret: true,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoginArgs,
    }

    #[test]
    fn the_way_follows_from_what_is_given() {
        let kind = |line: &str, terminal| {
            let words = ["login"].into_iter().chain(line.split_whitespace());
            Line::try_parse_from(words).expect("parses").args.kind(terminal)
        };
        assert_eq!((kind("", true), kind("", false)), (LoginType::Qr, LoginType::Code));
        assert_eq!(kind("--phone 9996621234", true), LoginType::Code);
        assert_eq!(kind("--code 22222", true), LoginType::Code);
        assert_eq!(kind("--token 1:x", true), LoginType::Bot);
        assert_eq!((kind("-d tdata", true), kind("--borrow", true)), (LoginType::Desktop, LoginType::Desktop));
        assert_eq!(kind("-T QR --phone 1", false), LoginType::Qr);
    }
}
