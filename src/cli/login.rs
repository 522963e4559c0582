//! `tdl login`: a fresh authorization for this namespace.

use clap::{Args, ValueEnum};
use tdl::account::{self, CodeAnswer, CodeSent, LoggedIn, LoginPrompts, LoginRequest, MAX_CODE_ATTEMPTS, Name, PromptError};

use super::{
    context::{Context, no_application, unix_now},
    exit::{CliError, ExitCode},
    output::{Output, printable},
    prompt::{Question, ask},
    settings::Cluster,
    whoami,
};

/// The arguments of `tdl login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl login -T code                                   asks for all it needs
  tdl login -T code --phone +4915112345678            asks for the code only
  TDL_PHONE=+4915112345678 TDL_CODE=12345 tdl login   asks nothing
  tdl --sandbox box login --phone 9996621234 --code 22222 --first-name Ada
                                                      a new account in the local cluster: it lives on DC 2, hence the code

Telegram itself wants an application of your own: --app-id and --app-hash, free at https://my.telegram.org/apps.
Accounts with two-step verification cannot log in with this version.")]
pub(crate) struct LoginArgs {
    /// How to log in
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = "code", ignore_case = true)]
    kind: LoginType,

    /// The phone number, with its country code
    #[arg(long, env = "TDL_PHONE", value_name = "NUMBER", hide_env_values = true)]
    phone: Option<String>,

    /// The code that Telegram sends, if you know it already
    #[arg(long, env = "TDL_CODE", value_name = "CODE", hide_env_values = true)]
    code: Option<String>,

    /// First name for a new account, if the number has none yet
    #[arg(long, env = "TDL_FIRST_NAME", value_name = "NAME")]
    first_name: Option<String>,

    /// Last name for a new account
    #[arg(long, env = "TDL_LAST_NAME", value_name = "NAME")]
    last_name: Option<String>,

    /// End the authorization that the namespace holds, and log in anew
    #[arg(long)]
    force: bool,
}

/// The ways to log in that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LoginType {
    /// With your phone number and a code
    Code,
}

pub(crate) async fn run(context: &Context, args: LoginArgs) -> Result<ExitCode, CliError> {
    let LoginType::Code = args.kind;
    let public = matches!(context.settings.cluster, Cluster::Production | Cluster::PublicTest);
    if public && context.settings.app_hash.is_none() {
        return Err(no_application());
    }
    let namespace = context.create_namespace()?;
    let client = context.connect(&namespace).await?;
    if let Some(ended) = client.start_over().await? {
        context.output.note(&format!("the login that was here has ended: {}; logging in anew", ended.reason));
    }
    let request = LoginRequest { phone: args.phone, force: args.force, now: unix_now() };
    let mut prompts =
        Prompts { code: args.code, first_name: args.first_name, last_name: args.last_name, output: context.output.clone() };
    let result = account::login_code(&client, &mut prompts, request).await;
    let dc = client.home_dc().0;
    client.close().await;
    let outcome = result?;
    let me = outcome.me();
    let (word, text) = match &outcome {
        LoggedIn::Already(_) => ("already_logged_in", "already logged in"),
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

/// Answers from flags first, then from the person at the terminal.
struct Prompts {
    code: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    output: Output,
}

impl LoginPrompts for Prompts {
    async fn phone(&mut self) -> Result<String, PromptError> {
        let question = Question {
            text: "Phone number:".into(),
            help: Some("with the country code, such as +49 151 12345678".into()),
            flag: "--phone",
            env: "TDL_PHONE",
            secret: false,
        };
        Ok(ask(question).await?)
    }

    async fn code(&mut self, sent: &CodeSent, wrong: u32) -> Result<CodeAnswer, PromptError> {
        if let Some(code) = self.code.clone() {
            return match wrong {
                0 => Ok(CodeAnswer::Code(code)),
                _ => Err(CliError::failed("the server says that the code is wrong")
                    .advise("give the latest code that came in, or leave --code out and type it")
                    .into()),
            };
        }
        if wrong > 0 {
            self.output.note(&format!("that code is wrong; {} more tries", MAX_CODE_ATTEMPTS.saturating_sub(wrong)));
        }
        let delivery = printable(&sent.delivery.to_string());
        self.output.note(&format!("a code was sent {delivery}"));
        let help = sent.next.as_ref().map(|next| {
            let after = sent.wait.map(|seconds| format!(" (after {seconds} s)")).unwrap_or_default();
            format!("Enter alone: it does not arrive, send it {}{after}", printable(&next.to_string()))
        });
        let resend = help.is_some();
        let text = match sent.length {
            Some(length) => format!("Code ({length} digits):"),
            None => "Code:".to_owned(),
        };
        loop {
            let question = Question { text: text.clone(), help: help.clone(), flag: "--code", env: "TDL_CODE", secret: false };
            match ask(question).await? {
                code if !code.is_empty() => return Ok(CodeAnswer::Code(code)),
                _ if resend => return Ok(CodeAnswer::Resend),
                _ => {}
            }
        }
    }

    async fn name(&mut self, terms: Option<&str>) -> Result<Name, PromptError> {
        self.output.note("this number has no account yet: one will be made");
        if let Some(terms) = terms {
            self.output.note(&format!(
                "by going on you accept the terms of service:\n{}",
                terms.lines().map(printable).collect::<Vec<_>>().join("\n")
            ));
        }
        let question = |text: &str, flag, env| Question { text: text.into(), help: None, flag, env, secret: false };
        let first = match self.first_name.clone() {
            Some(name) => name,
            None => ask(question("First name:", "--first-name", "TDL_FIRST_NAME")).await?,
        };
        let last = match (self.last_name.clone(), &self.first_name) {
            (Some(name), _) => name,
            // Whoever gave the first name by flag wants no questions; a last name is optional.
            (None, Some(_)) => String::new(),
            (None, None) => ask(question("Last name (optional):", "--last-name", "TDL_LAST_NAME")).await?,
        };
        Ok(Name { first, last })
    }
}
