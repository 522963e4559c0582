//! `tdl logout`: the end of an authorization.

use clap::Args;
use serde_json::json;
use tdl::{
    account::{self, LoggedOut},
    client::Persistence,
    tl::api::functions,
};

use super::{
    context::{Context, has_login, not_ended},
    exit::{CliError, ExitCode},
    output::printable,
};

/// The arguments of `tdl logout`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl logout
  tdl logout --all-others                 everywhere but here
  tdl logout -n old --local-only          the server cannot be reached, or the namespace is of no use")]
pub(crate) struct LogoutArgs {
    /// Ask nothing of the server, and remove what is here. The authorization stays alive until you end it from another device
    #[arg(long, conflicts_with = "all_others")]
    local_only: bool,

    /// End all other authorizations of the account, on all devices, and keep this one
    #[arg(long)]
    all_others: bool,
}

async fn end_all_others(context: &Context) -> Result<ExitCode, CliError> {
    let (client, namespace) = context.logged_in().await?;
    let result = client.invoke(&functions::auth::ResetAuthorizations {}).await;
    client.close().await;
    if !result? {
        return Err(CliError::failed("the server did not end the other authorizations")
            .advise("try again, or end them in an official app"));
    }
    match context.output.json {
        true => context.output.document(&json!({ "namespace": namespace.name().as_str(), "others": "ended" }))?,
        false => context.output.note("all other devices are logged out; this one is not"),
    }
    Ok(ExitCode::Done)
}

pub(crate) async fn run(context: &Context, args: LogoutArgs) -> Result<ExitCode, CliError> {
    if args.all_others {
        return end_all_others(context).await;
    }
    // Whoever has lost the passphrase can still empty it: no key is needed for that.
    let namespace = match args.local_only {
        true => context.namespace_if_any()?.ok_or_else(|| CliError::not_logged_in(&context.settings.ns))?,
        false => context.open_namespace()?,
    };
    let name = namespace.name().clone();
    let (server, text) = if args.local_only {
        let (was, ended) = (namespace.key_heads()?.iter().any(|key| key.authorized), namespace.ended()?);
        namespace.forget_all()?;
        let text = match was {
            _ if ended.is_some() => format!("namespace '{name}' is empty now; the server had ended the authorization before"),
            true => format!(
                "namespace '{name}' is empty now; the authorization is still alive on the server: end it in an official app (Settings, Devices)"
            ),
            false => format!("namespace '{name}' is empty now; it was not logged in"),
        };
        ("not_asked", text)
    } else {
        not_ended(&namespace)?;
        if !has_login(&namespace)? {
            return Err(CliError::not_logged_in(name));
        }
        if let Some(borrowed) = namespace.borrowed()? {
            let program = printable(&borrowed.program);
            return Err(CliError::failed(format!(
                "namespace '{name}' lives on the key of {program}: logging out would end it there"
            ))
            .advise(format!("forget it here alone with --local-only, or end it in {program}")));
        }
        let client = context.connect(&namespace).await?;
        let result = account::logout(&client).await;
        client.close().await;
        match result {
            Ok(LoggedOut::Now) => ("ended", format!("logged out; namespace '{name}' is empty now")),
            Ok(LoggedOut::Before) => {
                ("had_ended", format!("the server had ended the authorization before; namespace '{name}' is empty now"))
            }
            Err(account::Error::NotLoggedIn) => return Err(CliError::not_logged_in(name)),
            Err(error) => {
                let error = CliError::from(error);
                return Err(match error.code {
                    ExitCode::Network => {
                        error.advise("nothing was removed; try again, or remove it here alone with --local-only")
                    }
                    _ => error,
                });
            }
        }
    };
    match context.output.json {
        true => context.output.document(&json!({ "namespace": name.as_str(), "server": server }))?,
        false => context.output.note(&text),
    }
    Ok(ExitCode::Done)
}
