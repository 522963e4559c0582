//! `tdl sandbox user|message|seed`: the operator of a local cluster, beside `tdl sandbox up` or without it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tdl::sandbox::{
    delivery::Deliveries,
    operator::{Account, Login, NewBot, NewUser, Operator, OperatorError},
    state,
};

use super::{
    context::Context,
    exit::{CliError, ExitCode, chain},
    output::printable,
    sandbox_content::{self, MediaArgs, SeedFilesArgs, SeedMessagesArgs},
    settings::Cluster,
};

/// The commands under `tdl sandbox user`.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account or a bot; print what it logs in with
    #[command(after_help = "\
Examples:
  tdl sandbox user add --dir box --phone 9996621234 --name Ada
  tdl sandbox user add --dir box --phone 9996621235 --password secret --recovery-email ada@example.org
  tdl sandbox user add --dir box --phone 9996621236 --delivery app,sms,call
                                          the login code comes to other sessions; asked for again, as a text message; then by a call
  tdl sandbox user add --dir box --bot --name Helper --username helper_bot
                                          prints the bot's token

A code never goes anywhere: it follows from the number, 99966XYYYY, and from how it travels. It is XXXXX for app, sms, call, missed-call,
fragment and firebase; 99966XXXXX for flash-call; XXXXXX for email and email-setup; a word, or a few, for sms-word and sms-phrase, which
`user add` and `user ls` print. With banned and flood, the number is refused.")]
    Add(AddArgs),
    /// Change the password of an account, or how login codes travel to a number, with an account or without
    #[command(after_help = "\
Examples:
  tdl sandbox user set --dir box --phone 9996621234 --password other
  tdl sandbox user set --dir box --phone 9996621234 --no-password
  tdl sandbox user set --dir box --phone 9996621240 --delivery email-setup")]
    Set(SetArgs),
    /// List the accounts and bots, with the code that each would be sent
    #[command(after_help = "Examples:\n  tdl sandbox user ls --dir box\n  tdl --sandbox box sandbox user ls --json")]
    Ls(DirArgs),
    /// Give a bot another token, and print it; the one before is expired from now on
    #[command(after_help = "Example:\n  tdl sandbox user token --dir box @helper_bot")]
    Token(TokenArgs),
}

/// The commands under `tdl sandbox message`.
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Write a message in somebody's name; the sessions of both sides are told, if the cluster runs
    #[command(after_help = "\
Examples:
  tdl sandbox message send --dir box --from 9996621234 --to @bob_demo \"Are you there?\"
  tdl sandbox message send --dir box --from 9996621234 --to 9996621234 \"a note to oneself\"
  tdl sandbox message send --dir box --from 9996621234 --to @bob_demo --photo small.jpg --photo large.jpg \"in two sizes\"
  tdl sandbox message send --dir box --from 9996621234 --to @bob_demo --file talk.mp4 --video 1920x1080 --quality 640x360:small.mp4
  tdl sandbox message send --dir box --from 9996621234 --to @bob_demo --photo a.jpg --file b.mp4 --as paid")]
    Send(SendArgs),
}

/// The commands under `tdl sandbox seed`.
#[derive(Debug, Subcommand)]
pub(crate) enum SeedCommand {
    /// Make three people who know each other and have written to each other; a second time, only list them
    #[command(after_help = "Example:\n  tdl sandbox seed demo --dir box")]
    Demo(DirArgs),
    /// Write many messages with files, whose names, lengths and contents follow from a seed; they count as read
    #[command(
        after_help = "Example:\n  tdl sandbox seed files --dir box --from 9996621234 --to @bob_demo --count 10000 --size 1..64K --seed 7"
    )]
    Files(SeedFilesArgs),
    /// Write many messages with a text; they count as read
    #[command(after_help = "Example:\n  tdl sandbox seed messages --dir box --from 9996621234 --to @bob_demo --count 50000")]
    Messages(SeedMessagesArgs),
}

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct DirArgs {
    /// The directory that `tdl sandbox up --dir` was given [default: that of --sandbox]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The arguments of `tdl sandbox user add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// The phone number, 99966XYYYY: the account lives on DC X
    #[arg(long, value_name = "N", required_unless_present = "bot", conflicts_with = "bot")]
    phone: Option<String>,
    /// Make a bot, which has no number and logs in with a token
    #[arg(long, requires = "name")]
    bot: bool,
    /// The first name [default: User YYYY]
    #[arg(long, value_name = "S")]
    name: Option<String>,
    /// The last name
    #[arg(long, value_name = "S", default_value = "", hide_default_value = true, conflicts_with = "bot")]
    last_name: String,
    /// The username
    #[arg(long, value_name = "S")]
    username: Option<String>,
    /// Where a bot lives [default: 1]
    #[arg(long, value_name = "N", requires = "bot")]
    home_dc: Option<i32>,
    /// Without Premium
    #[arg(long, conflicts_with = "bot")]
    no_premium: bool,
    #[command(flatten)]
    login: LoginArgs,
}

/// What holds for logins.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The password that a login needs besides the code
    #[arg(long, value_name = "S", conflicts_with = "bot")]
    password: Option<String>,
    /// What is shown to whoever is asked for it
    #[arg(long, value_name = "S", default_value = "", hide_default_value = true, requires = "password")]
    hint: String,
    /// The address by which it can be recovered
    #[arg(long, value_name = "ADDRESS", requires = "password")]
    recovery_email: Option<String>,
    /// How login codes travel, one after another with commas in between: app sms call flash-call missed-call fragment firebase sms-word
    /// sms-phrase email email-setup banned flood [default: app where the account is logged in, sms elsewhere]
    #[arg(long, value_name = "KIND", conflicts_with = "bot")]
    delivery: Option<Deliveries>,
    /// The address for login codes [default: the number at example.org]
    #[arg(long, value_name = "ADDRESS", requires = "delivery")]
    login_email: Option<String>,
}

/// The arguments of `tdl sandbox user set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// The phone number
    #[arg(long, value_name = "N")]
    phone: String,
    /// Take the password away
    #[arg(long, conflicts_with = "password")]
    no_password: bool,
    /// The new password
    #[arg(long, value_name = "S", required_unless_present_any = ["no_password", "delivery"])]
    password: Option<String>,
    /// What is shown to whoever is asked for it
    #[arg(long, value_name = "S", default_value = "", hide_default_value = true, requires = "password")]
    hint: String,
    /// The address by which it can be recovered
    #[arg(long, value_name = "ADDRESS", requires = "password")]
    recovery_email: Option<String>,
    /// How login codes travel: see `tdl sandbox user add --help`
    #[arg(long, value_name = "KIND")]
    delivery: Option<Deliveries>,
    /// The address for login codes [default: the number at example.org]
    #[arg(long, value_name = "ADDRESS", requires = "delivery")]
    login_email: Option<String>,
}

/// The arguments of `tdl sandbox user token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// The bot: its id or @username
    #[arg(value_name = "BOT")]
    bot: String,
}

/// The arguments of `tdl sandbox message send`.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    dir: DirArgs,
    /// Who writes: a phone number, @username or id
    #[arg(long, value_name = "WHO")]
    from: String,
    /// To whom: a phone number, @username or id
    #[arg(long, value_name = "WHO")]
    to: String,
    /// What it says
    #[arg(value_name = "TEXT", required_unless_present_any = ["photo", "file"], default_value = "", hide_default_value = true)]
    text: String,
    #[command(flatten)]
    media: MediaArgs,
}

pub(crate) async fn user(context: &Context, command: UserCommand) -> Result<ExitCode, CliError> {
    match command {
        UserCommand::Add(args) if args.bot => add_bot(context, args).await,
        UserCommand::Add(args) => add(context, args).await,
        UserCommand::Set(args) => set(context, args).await,
        UserCommand::Ls(args) => {
            let accounts = on(context, args, Operator::accounts).await?;
            list(context, &accounts)
        }
        UserCommand::Token(args) => {
            let token = on(context, args.dir, move |operator| operator.renew_token(&args.bot)).await?;
            if context.output.json {
                context.output.document(&json!({ "token": token }))?;
            } else {
                context.output.line(&token)?;
            }
            Ok(ExitCode::Done)
        }
    }
}

pub(crate) async fn message(context: &Context, command: MessageCommand) -> Result<ExitCode, CliError> {
    let MessageCommand::Send(SendArgs { dir, from, to, text, media }) = command;
    if !media.is_none() {
        return sandbox_content::post(context, dir, (from, to, text), media).await;
    }
    let id = on(context, dir, move |operator| operator.send_message(&from, &to, &text)).await?;
    if context.output.json {
        context.output.document(&json!({ "id": id }))?;
    } else {
        context.output.line(&format!("message {id}"))?;
    }
    Ok(ExitCode::Done)
}

pub(crate) async fn seed(context: &Context, command: SeedCommand) -> Result<ExitCode, CliError> {
    match command {
        SeedCommand::Demo(dir) => {
            let accounts = on(context, dir, Operator::seed_demo).await?;
            list(context, &accounts)
        }
        SeedCommand::Files(args) => sandbox_content::seed_files(context, args).await,
        SeedCommand::Messages(args) => sandbox_content::seed_messages(context, args).await,
    }
}

/// Does something on the cluster's state, on a thread that may wait.
pub(crate) async fn on<T: Send + 'static>(
    context: &Context,
    DirArgs { dir }: DirArgs,
    work: impl FnOnce(&Operator) -> Result<T, OperatorError> + Send + 'static,
) -> Result<T, CliError> {
    let dir = match (dir, &context.settings.cluster) {
        (Some(dir), _) => dir,
        (None, Cluster::Sandbox(dir)) => dir.clone(),
        (None, _) => return Err(CliError::usage("which cluster?").advise("say its directory: --dir DIR, or --sandbox DIR")),
    };
    let shown = dir.display().to_string();
    let done = tokio::task::spawn_blocking(move || work(&Operator::open(&dir)?)).await;
    let done = done.map_err(|error| CliError::failed(format!("the cluster's operator ended early: {error}")))?;
    done.map_err(|error| {
        let advice = match &error {
            OperatorError::State(state::Error::Io { .. }) => {
                format!("start a cluster there first: tdl sandbox up --dir {shown}")
            }
            OperatorError::State(state::Error::Version { .. }) => {
                format!("start it once with this program, which brings it up to date: tdl sandbox up --dir {shown}")
            }
            OperatorError::NoAccount(_) => format!("see who is there: tdl sandbox user ls --dir {shown}"),
            OperatorError::PhoneTaken(_) => {
                format!("choose another number, or change the account: tdl sandbox user set --dir {shown} --phone …")
            }
            _ => return CliError::failed(chain(&error)),
        };
        CliError::failed(chain(&error)).advise(advice)
    })
}

async fn add(context: &Context, args: AddArgs) -> Result<ExitCode, CliError> {
    let new = NewUser {
        phone: args.phone.unwrap_or_default(),
        first_name: args.name,
        last_name: args.last_name,
        username: args.username,
        premium: !args.no_premium,
        login: Login {
            password: args.login.password,
            hint: args.login.hint,
            recovery_email: args.login.recovery_email,
            deliveries: args.login.delivery,
            login_email: args.login.login_email,
        },
    };
    let account = on(context, args.dir, move |operator| operator.add_user(&new)).await?;
    show(context, &account, None)
}

async fn add_bot(context: &Context, args: AddArgs) -> Result<ExitCode, CliError> {
    let new = NewBot { name: args.name.unwrap_or_default(), username: args.username, dc: args.home_dc };
    let (account, token) = on(context, args.dir, move |operator| operator.add_bot(&new)).await?;
    show(context, &account, Some(&token))
}

async fn set(context: &Context, args: SetArgs) -> Result<ExitCode, CliError> {
    let login = Login {
        password: args.password,
        hint: args.hint,
        recovery_email: args.recovery_email,
        deliveries: args.delivery,
        login_email: args.login_email,
    };
    let (phone, no_password) = (args.phone.clone(), args.no_password);
    let account = on(context, args.dir, move |operator| {
        if no_password {
            operator.remove_password(&phone)?;
        }
        operator.set_login(&phone, &login)
    })
    .await?;
    match account {
        Some(account) => show(context, &account, None),
        None => {
            context.output.note(&format!("{} has no account yet; the next login will find it so", printable(&args.phone)));
            Ok(ExitCode::Done)
        }
    }
}

/// One account.
fn show(context: &Context, account: &Account, token: Option<&str>) -> Result<ExitCode, CliError> {
    if context.output.json {
        let mut document = json!(account);
        if let Some(token) = token {
            document["token"] = token.into();
        }
        context.output.document(&document)?;
        return Ok(ExitCode::Done);
    }
    let mut pairs = vec![("id", account.id.to_string()), ("name", name(account)), ("home DC", account.dc.to_string())];
    let mut add = |key, value: Option<&str>| pairs.extend(value.map(|value| (key, value.to_owned())));
    add("username", account.username.as_deref());
    add("phone", account.phone.as_deref());
    add("delivery", account.delivery.as_deref());
    add("login code", account.code.as_deref());
    add("password", account.has_password.then_some("yes"));
    add("token", token);
    context.output.key_values(&pairs)?;
    Ok(ExitCode::Done)
}

fn name(account: &Account) -> String {
    printable(format!("{} {}", account.first_name, account.last_name).trim())
}

/// All accounts.
fn list(context: &Context, accounts: &[Account]) -> Result<ExitCode, CliError> {
    if context.output.json {
        context.output.document(&accounts)?;
        return Ok(ExitCode::Done);
    }
    if accounts.is_empty() {
        context.output.note("nobody has an account here yet; `tdl sandbox user add` or a sign-up makes one");
        return Ok(ExitCode::Done);
    }
    let rows: Vec<Vec<String>> = accounts
        .iter()
        .map(|account| {
            let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
            vec![
                account.id.to_string(),
                or_dash(account.phone.as_deref().or(account.bot.then_some("bot"))),
                account.dc.to_string(),
                name(account),
                or_dash(account.username.as_deref()),
                or_dash(account.code.as_deref()),
                or_dash(account.delivery.as_deref()),
                if account.has_password { "yes" } else { "no" }.to_owned(),
                account.authorizations.to_string(),
            ]
        })
        .collect();
    let heading = ["ID", "PHONE", "DC", "NAME", "USERNAME", "CODE", "DELIVERY", "PASSWORD", "LOGINS"];
    context.output.table(&heading, &rows)?;
    Ok(ExitCode::Done)
}
