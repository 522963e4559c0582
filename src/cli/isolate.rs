//! `tdl session isolate`: a key of one's own in place of a borrowed one. And what `tdl login` shares with it.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tdl::{
    account::{self, LoggedIn, LoginRequest},
    client::{Client, Persistence},
    ids::DcId,
    store::{Namespace, NamespaceName},
};

use super::{
    context::{Context, no_application, unix_now},
    exit::{CliError, ExitCode},
    login::Prompts,
    output::printable,
    settings::Cluster,
};

/// The arguments of `tdl session isolate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session isolate
  tdl session isolate -n work --password 'my password'    better with TDL_PASSWORD, which nobody else can see

The other program notices nothing: its key lets ours in with one call, and is forgotten here.")]
pub(crate) struct IsolateArgs {
    /// The password of two-step verification, if the account has one. Others on this machine can see what is given as a flag
    #[arg(long, env = "TDL_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

pub(crate) async fn run(context: &Context, args: IsolateArgs) -> Result<ExitCode, CliError> {
    let namespace = context.namespace_with_login()?;
    let spare_name = spare(namespace.name())?;
    let Some(borrowed) = namespace.borrowed()? else {
        clear_away(context, &namespace, &spare_name)?;
        match context.output.json {
            true => context.output.document(&json!({ "namespace": namespace.name().as_str(), "outcome": "own_already" }))?,
            false => context.output.note(&format!("namespace '{}' has a key of its own already", namespace.name())),
        }
        return Ok(ExitCode::Done);
    };
    let home = namespace.home_dc()?.ok_or_else(|| CliError::not_logged_in(namespace.name()))?;
    let known = namespace.account()?.map(|account| account.user_id);
    // The key is stored before it is used, in a namespace of its own until it is logged in: a run that is cut off here is gone on with by
    // the next one, and no authorization is left that nobody has the key of.
    let own = Arc::new(context.home.open(&spare_name, unix_now())?);
    let foreign = context.connect(&namespace).await?;
    let request = LoginRequest { phone: None, user_id: known, force: false, now: unix_now() };
    let mut prompts = Prompts::with_password(context, args.password);
    let result = into_own(context, &foreign, &own, home, request, &mut prompts).await;
    foreign.close().await;
    drop(foreign);
    let (outcome, dc) = result?;
    let outcome = outcome?;
    namespace.take_login(&own)?;
    drop(own);
    clear_away(context, &namespace, &spare_name)?;
    let me = outcome.me();
    let program = printable(&borrowed.program);
    match context.output.json {
        true => context.output.document(&json!({
            "namespace": namespace.name().as_str(),
            "outcome": "isolated",
            "id": me.id,
            "home_dc": dc.0,
            "borrowed_from": borrowed.program,
        }))?,
        false => context.output.note(&format!(
            "namespace '{}' has a key of its own now, as {} (id {}); {program} keeps its own",
            namespace.name(),
            printable(&me.name()),
            me.id
        )),
    }
    Ok(ExitCode::Done)
}

/// Makes a login under a key of our own in `own`, accepted once by the client `foreign`, whose account lives at `home`. How that ended, and the
/// account's DC.
pub(super) async fn into_own(
    context: &Context,
    foreign: &Client,
    own: &Arc<Namespace>,
    home: DcId,
    request: LoginRequest,
    prompts: &mut Prompts,
) -> Result<(Result<LoggedIn, account::Error>, DcId), CliError> {
    if matches!(context.settings.cluster, Cluster::Production | Cluster::PublicTest) && context.settings.app_hash.is_none() {
        return Err(no_application());
    }
    if own.home_dc()?.is_none() {
        // At the account's own DC there is no detour.
        own.set_home_dc(home)?;
    }
    let client = context.connect(own).await?;
    let result = account::isolate(foreign, &client, prompts, request).await;
    let dc = client.home_dc();
    client.close().await;
    Ok((result, dc))
}

/// The name of the namespace that holds a key until it is logged in.
fn spare(name: &NamespaceName) -> Result<NamespaceName, CliError> {
    // A name has 64 characters at most.
    let short: String = name.as_str().chars().take(50).collect();
    Ok(format!("{}.isolating", short.trim_end_matches(['.', ' '])).parse()?)
}

/// Removes what an isolation has left beside the namespace: a copy of the key that it has now, or nothing of use.
fn clear_away(context: &Context, namespace: &Namespace, spare: &NamespaceName) -> Result<(), CliError> {
    if !context.home.contains(spare) {
        return Ok(());
    }
    let left = context.home.open_existing(spare, unix_now())?;
    let keys = |of: &Namespace| -> Result<Vec<i64>, CliError> {
        Ok(of.dc_auths()?.into_iter().filter(|auth| auth.authorized).map(|auth| auth.auth_key.id()).collect())
    };
    let (left_keys, own_keys) = (keys(&left)?, keys(namespace)?);
    drop(left);
    if left_keys.iter().all(|key| own_keys.contains(key)) {
        context.home.remove(spare)?;
    } else {
        context.output.note(&format!("namespace '{spare}' holds a login of its own: look at it with `tdl whoami -n {spare}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_for_every_namespace() {
        let spare_of = |name: &str| spare(&name.parse().expect("a name")).expect("a name").to_string();
        assert_eq!(spare_of("default"), "default.isolating");
        assert_eq!(spare_of(&"x".repeat(64)), format!("{}.isolating", "x".repeat(50)));
        assert_eq!(spare_of(&format!("{}.{}", "x".repeat(49), "y".repeat(14))), format!("{}.isolating", "x".repeat(49)));
    }
}
