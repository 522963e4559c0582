//! `tdl session`: the authorization that a namespace holds.

use clap::Subcommand;
use serde_json::{Value, json};
use tdl::client::{DcAuth, Persistence, TempAuth};

use super::{
    authorizations::{self, EndArgs, LsArgs},
    context::{Context, unix_now},
    doctor::{self, DoctorArgs},
    exit::{CliError, ExitCode},
    isolate::{self, IsolateArgs},
    output::printable,
};

/// The commands under `tdl session`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Show what this namespace holds: account, data centres, key ids, salts. Never a key, and nothing is asked of the server
    #[command(after_help = "Examples:\n  tdl session info\n  tdl session info -n work --json")]
    Info,
    /// List the authorizations of the account, on the server: which is this one, which are others of ours, which are idle
    Ls(LsArgs),
    /// End authorizations of the account, on the server. Never the one that asks: that is `tdl logout`
    End(EndArgs),
    /// Look whether anything is in conflict: evidence, what it means, what to do
    Doctor(DoctorArgs),
    /// Replace a borrowed key by one of our own, without logging the other program out
    Isolate(IsolateArgs),
}

pub(crate) async fn run(context: &Context, command: SessionCommand) -> Result<ExitCode, CliError> {
    match command {
        SessionCommand::Info => info(context),
        SessionCommand::Ls(args) => authorizations::ls(context, args).await,
        SessionCommand::End(args) => authorizations::end(context, args).await,
        SessionCommand::Doctor(args) => doctor::run(context, args).await,
        SessionCommand::Isolate(args) => isolate::run(context, args).await,
    }
}

fn info(context: &Context) -> Result<ExitCode, CliError> {
    let namespace = context.open_namespace()?;
    let (account, identity, home_dc, auths) =
        (namespace.account()?, namespace.identity()?, namespace.home_dc()?, namespace.dc_auths()?);
    let temporary = namespace.temp_auths()?;
    let borrowed = namespace.borrowed()?;
    let updates = namespace.update_state()?;
    let (cluster, created_at, unfinished) = (namespace.cluster()?, namespace.created_at()?, namespace.jobs()?.len());
    if context.output.json {
        context.output.document(&json!({
            "namespace": namespace.name().as_str(),
            "path": namespace.path().display().to_string(),
            "created_at": created_at,
            "cluster": cluster,
            "account": account.as_ref().map(|a| json!({
                "user_id": a.user_id,
                "name": a.name,
                "username": a.username,
                "phone": a.phone,
                "bot": a.is_bot,
                "logged_in_at": a.logged_in_at,
            })),
            "borrowed": borrowed.as_ref().map(|b| json!({
                "program": b.program,
                "path": b.path.as_ref().map(|path| path.display().to_string()),
                "introduces": b.introduces,
                "since": b.since,
            })),
            "home_dc": home_dc.map(|dc| dc.0),
            "identity": identity.as_ref().map(|i| json!({
                "api_id": i.api_id,
                "layer": i.layer,
                "device": {
                    "profile": i.device.name,
                    "model": i.device.device_model,
                    "system": i.device.system_version,
                    "app_version": i.device.app_version,
                },
            })),
            "dcs": auths.iter().map(dc_json).collect::<Vec<Value>>(),
            "temporary_keys": temporary.iter().map(temp_json).collect::<Vec<Value>>(),
            "updates": updates.as_ref().map(|u| json!({
                "pts": u.pts,
                "qts": u.qts,
                "seq": u.seq,
                "date": u.date,
                "channels": u.channels.len(),
            })),
            "unfinished_transfers": unfinished,
        }))?;
        return Ok(ExitCode::Done);
    }
    let dash = || "-".to_owned();
    let mut pairs = vec![
        ("namespace", namespace.name().to_string()),
        ("file", namespace.path().display().to_string()),
        ("made", age(created_at)),
        ("cluster", cluster.unwrap_or_else(dash)),
    ];
    match &account {
        None => pairs.push(("account", "not logged in".into())),
        Some(a) => {
            pairs.push(("account", format!("{} (id {})", printable(&a.name), a.user_id)));
            pairs.push(("phone", a.phone.clone().unwrap_or_else(dash)));
            pairs.push(("logged in", age(a.logged_in_at)));
        }
    }
    if let Some(b) = &borrowed {
        pairs.push(("key of", format!("{}, borrowed {}", printable(&b.program), age(b.since))));
    }
    pairs.push(("home DC", home_dc.map_or_else(dash, |dc| dc.0.to_string())));
    if let Some(i) = &identity {
        let d = &i.device;
        pairs.push(("device", format!("{}: {}, {}, {}", d.name, d.device_model, d.system_version, d.app_version)));
        pairs.push(("layer", i.layer.to_string()));
        pairs.push(("API id", i.api_id.to_string()));
    }
    if let Some(u) = &updates {
        let channels = if u.channels.len() == 1 { "1 channel".to_owned() } else { format!("{} channels", u.channels.len()) };
        pairs.push(("watched up to", format!("pts {}, qts {}, {channels}", u.pts, u.qts)));
    }
    pairs.push(("unfinished", format!("{unfinished} transfer(s)")));
    context.output.key_values(&pairs)?;
    if !auths.is_empty() {
        context.output.line("")?;
        let rows: Vec<Vec<String>> = auths.iter().map(dc_row).collect();
        context.output.table(&["DC", "KEY ID", "LOGGED IN", "SALTS", "CLOCK", "MADE"], &rows)?;
    }
    if !temporary.is_empty() {
        context.output.line("")?;
        let rows: Vec<Vec<String>> = temporary.iter().map(temp_row).collect();
        context.output.table(&["DC", "TEMPORARY KEY", "FOR", "SALTS", "ENDS"], &rows)?;
    }
    Ok(ExitCode::Done)
}

fn dc_json(auth: &DcAuth) -> Value {
    json!({
        "dc": auth.dc.0,
        "key_id": format!("{:016x}", auth.auth_key.id()),
        "authorized": auth.authorized,
        "salts": auth.salts.len(),
        "salts_until": auth.salts.iter().map(|s| s.until).max(),
        "time_offset": auth.time_offset,
        "created_at": auth.created_at,
    })
}

fn dc_row(auth: &DcAuth) -> Vec<String> {
    vec![
        auth.dc.0.to_string(),
        format!("{:016x}", auth.auth_key.id()),
        if auth.authorized { "yes" } else { "no" }.to_owned(),
        auth.salts.len().to_string(),
        format!("{:+} s", auth.time_offset),
        age(auth.created_at),
    ]
}

fn temp_json(auth: &TempAuth) -> Value {
    json!({
        "dc": auth.dc.0,
        "key_id": format!("{:016x}", auth.auth_key.id()),
        "bound_to": format!("{:016x}", auth.perm_key_id),
        "use": auth.key_use.to_string(),
        "salts": auth.salts.len(),
        "created_at": auth.created_at,
        "expires_at": auth.expires_at,
    })
}

fn temp_row(auth: &TempAuth) -> Vec<String> {
    let left = auth.expires_at.saturating_sub(unix_now().saturating_add(auth.time_offset));
    vec![
        auth.dc.0.to_string(),
        format!("{:016x}", auth.auth_key.id()),
        auth.key_use.to_string(),
        auth.salts.len().to_string(),
        match left {
            ..=0 => "has ended".to_owned(),
            1..60 => format!("in {left} s"),
            60..3600 => format!("in {} min", left / 60),
            _ => format!("in {} h", left / 3600),
        },
    ]
}

/// How long ago, in one unit.
fn age(at: i64) -> String {
    let seconds = unix_now().saturating_sub(at);
    match seconds {
        ..0 => "in the future (check the clock)".to_owned(),
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
