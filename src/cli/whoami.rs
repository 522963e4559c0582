//! `tdl whoami`: who is logged in, as the server sees it.

use clap::Args;
use serde_json::{Value, json};
use tdl::account::{self, Me};

use super::{
    context::{Context, unix_now},
    exit::{CliError, ExitCode},
    output::printable,
};

/// The arguments of `tdl whoami`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tdl whoami\n  tdl whoami -n work --json")]
pub(crate) struct WhoamiArgs {}

pub(crate) async fn run(context: &Context, _args: WhoamiArgs) -> Result<ExitCode, CliError> {
    let (client, namespace) = context.logged_in().await?;
    let result = account::whoami(&client, unix_now()).await;
    let dc = client.home_dc().0;
    client.close().await;
    let me = match result {
        Err(account::Error::NotLoggedIn) => return Err(CliError::not_logged_in(namespace.name())),
        other => other?,
    };
    if context.output.json {
        let mut document = to_json(&me);
        document["namespace"] = namespace.name().as_str().into();
        document["home_dc"] = dc.into();
        context.output.document(&document)?;
    } else {
        let mut pairs = pairs(&me);
        pairs.push(("home DC", dc.to_string()));
        pairs.push(("namespace", namespace.name().to_string()));
        context.output.key_values(&pairs)?;
    }
    Ok(ExitCode::Done)
}

/// The account as a JSON object.
pub(crate) fn to_json(me: &Me) -> Value {
    json!({
        "id": me.id,
        "first_name": me.first_name,
        "last_name": me.last_name,
        "username": me.username,
        "phone": me.phone,
        "bot": me.is_bot,
        "premium": me.is_premium,
    })
}

/// The account for people.
fn pairs(me: &Me) -> Vec<(&'static str, String)> {
    let kind = match (me.is_bot, me.is_premium) {
        (true, _) => "bot",
        (false, true) => "user with Premium",
        (false, false) => "user",
    };
    let mut pairs = vec![("name", printable(&me.name())), ("id", me.id.to_string()), ("kind", kind.to_owned())];
    if let Some(username) = &me.username {
        pairs.push(("username", format!("@{}", printable(username))));
    }
    if let Some(phone) = &me.phone {
        pairs.push(("phone", format!("+{}", printable(phone.trim_start_matches('+')))));
    }
    pairs
}
