//! `tdl session ls` and `tdl session end`: the account's authorizations, on the server.

use std::time::Duration;

use chrono::{Local, TimeZone as _};
use clap::Args;
use serde_json::{Value, json};
use tdl::{
    account::{self, Authorization, Authorizations, EndError},
    client::{Client, Identity, Persistence},
    store::Namespace,
};

use super::{
    context::{Context, unix_now},
    duration,
    exit::{CliError, ExitCode},
    output::{printable, stdout_colour},
};

/// Days without use after which an authorization is shown as idle.
const IDLE_DAYS: i64 = 30;

/// Seconds between the moments at which the server and this machine wrote down the same login.
const SAME_LOGIN: i64 = 300;

/// The arguments of `tdl session ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session ls
  tdl session ls --json | jq -r '.authorizations[] | select(.idle) | .hash'

MARK says `this one` of the authorization that asks, `borrowed` of it where its key is another program's, and `ns NAME` of those that
namespaces of this home hold: they are known by their device and by the time of their login. What has not been used for 30 days is dimmed.
HASH is what `tdl session end` takes; the first characters do, if no other begins with them.")]
pub(crate) struct LsArgs {}

/// The arguments of `tdl session end`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tdl session end 3f9a                    the one whose hash in `tdl session ls` begins so
  tdl session end --inactive 90d --dry-run
  tdl session end --others                all but the one that asks

The authorization that asks is never ended by this: that is what `tdl logout` is for. A login has to be a day old before the server lets it
end others.")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["hashes", "others", "inactive"]))]
pub(crate) struct EndArgs {
    /// Hashes from `tdl session ls`, or how they begin
    #[arg(value_name = "HASH", value_parser = hash_prefix)]
    hashes: Vec<String>,

    /// All authorizations but the one that asks
    #[arg(long)]
    others: bool,

    /// Those that have not been used for so long: 90d, 12h
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    inactive: Option<Duration>,

    /// Show which would be ended, and end none
    #[arg(long)]
    dry_run: bool,
}

/// Hashes are written as 16 hexadecimal digits.
fn hash_prefix(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text) } else { Err("a hash is up to 16 hexadecimal digits, as `tdl session ls` shows them".to_owned()) }
}

fn written(hash: i64) -> String {
    format!("{hash:016x}")
}

/// A login that a namespace of this home holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ours {
    namespace: String,
    identity: Identity,
    /// By the server's clock.
    logged_in_at: i64,
}

/// The namespace that an authorization is the login of. The server says nothing of keys, so it is known by what it said of itself and by
/// its time; if several fit, by the nearest time.
fn owner<'a>(authorization: &Authorization, ours: &'a [Ours]) -> Option<&'a Ours> {
    let device = |ours: &Ours| {
        let device = &ours.identity.device;
        ours.identity.api_id == authorization.api_id
            && device.device_model == authorization.device_model
            && device.system_version == authorization.system_version
    };
    let apart = |ours: &Ours| (ours.logged_in_at - authorization.created).abs();
    ours.iter().filter(|o| device(o) && apart(o) <= SAME_LOGIN).min_by_key(|o| apart(o))
}

/// The namespaces of this home that are logged in to the same account, other than `own`. What cannot be opened is passed over.
fn of_this_home(context: &Context, own: &Namespace, user_id: i64) -> Vec<Ours> {
    let names = context.home.list().unwrap_or_default();
    let others = names.into_iter().filter(|name| name != own.name());
    others
        .filter_map(|name| {
            let namespace = context.home.open_existing(&name, unix_now()).ok()?;
            let same = namespace.cluster().ok()? == own.cluster().ok()?;
            let account = namespace.account().ok()??;
            let home = namespace.home_dc().ok()??;
            let auth = namespace.dc_auth(home).ok()??;
            let identity = namespace.identity().ok()??;
            let logged_in_at = account.logged_in_at.saturating_add(auth.time_offset);
            (same && account.user_id == user_id && auth.authorized).then(|| Ours {
                namespace: name.to_string(),
                identity,
                logged_in_at,
            })
        })
        .collect()
}

/// An authorization as it is shown.
struct Row<'a> {
    authorization: &'a Authorization,
    mark: String,
    idle: bool,
}

pub(crate) async fn ls(context: &Context, _args: LsArgs) -> Result<ExitCode, CliError> {
    let (client, namespace) = context.logged_in().await?;
    let result = account::authorizations(&client).await;
    let now = client.server_time();
    client.close().await;
    let all = result?;
    let user = namespace.account()?.map_or(0, |account| account.user_id);
    let ours = of_this_home(context, &namespace, user);
    let borrowed = super::doctor::borrowed_from(&namespace)?;
    let rows: Vec<Row<'_>> = all.list.iter().map(|a| row(a, &ours, borrowed.as_deref(), now)).collect();
    match context.output.json {
        true => context.output.document(&json!({
            "ttl_days": all.ttl_days,
            "authorizations": rows.iter().map(|row| row_json(row, &ours, borrowed.as_deref())).collect::<Vec<_>>(),
        }))?,
        false => print(context, &rows)?,
    }
    Ok(ExitCode::Done)
}

fn row<'a>(authorization: &'a Authorization, ours: &[Ours], borrowed: Option<&str>, now: i64) -> Row<'a> {
    let mark = match (authorization.current, borrowed) {
        (true, Some(program)) => format!("this one, borrowed from {}", printable(program)),
        (true, None) => "this one".to_owned(),
        (false, _) => owner(authorization, ours).map(|o| format!("ns {}", o.namespace)).unwrap_or_default(),
    };
    let idle = !authorization.current && now.saturating_sub(authorization.active) > IDLE_DAYS * 86_400;
    Row { authorization, mark, idle }
}

fn print(context: &Context, rows: &[Row<'_>]) -> Result<(), CliError> {
    let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let text = super::output::table_text(&["HASH", "DEVICE", "APPLICATION", "FROM", "CREATED", "LAST USED", "MARK"], &cells);
    if !stdout_colour() {
        return context.output.raw(text.as_bytes());
    }
    let idle = std::iter::once(false).chain(rows.iter().map(|row| row.idle));
    let lines: String = text
        .lines()
        .zip(idle)
        .map(|(line, idle)| if idle { format!("\x1b[2m{line}\x1b[0m\n") } else { format!("{line}\n") })
        .collect();
    context.output.raw(lines.as_bytes())
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let a = row.authorization;
    let join = |parts: &[&str], by: &str| parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(by);
    let mut mark = row.mark.clone();
    for (holds, word) in [(a.unconfirmed, "unconfirmed"), (a.password_pending, "waits for the password"), (row.idle, "idle")] {
        if holds {
            mark = join(&[&mark, word], ", ");
        }
    }
    // The platform says no more where the system begins with it.
    let platform = if a.system_version.to_lowercase().contains(&a.platform.to_lowercase()) { "" } else { a.platform.as_str() };
    vec![
        if a.current { "-".to_owned() } else { written(a.hash) },
        printable(&join(&[&a.device_model, platform, &a.system_version], ", ")),
        printable(&join(&[&a.app_name, &a.app_version], " ")),
        printable(&join(&[&a.ip, &a.region, &a.country], ", ")),
        date(a.created),
        date(a.active),
        mark,
    ]
}

fn date(unix: i64) -> String {
    match Local.timestamp_opt(unix, 0).single() {
        Some(time) if unix > 0 => time.format("%Y-%m-%d %H:%M").to_string(),
        _ => "-".to_owned(),
    }
}

fn row_json(row: &Row<'_>, ours: &[Ours], borrowed: Option<&str>) -> Value {
    let a = row.authorization;
    json!({
        "hash": if a.current { Value::Null } else { written(a.hash).into() },
        "current": a.current,
        "borrowed_from": borrowed.filter(|_| a.current),
        "namespace": if a.current { None } else { owner(a, ours).map(|o| o.namespace.as_str()) },
        "idle": row.idle,
        "official": a.official,
        "unconfirmed": a.unconfirmed,
        "password_pending": a.password_pending,
        "device": a.device_model,
        "platform": a.platform,
        "system": a.system_version,
        "api_id": a.api_id,
        "app": a.app_name,
        "app_version": a.app_version,
        "ip": a.ip,
        "country": a.country,
        "region": a.region,
        "created": a.created,
        "active": a.active,
    })
}

/// The authorizations that the arguments mean. Never the one that asks.
fn chosen<'a>(all: &'a Authorizations, args: &EndArgs, now: i64) -> Result<Vec<&'a Authorization>, CliError> {
    if args.others {
        return Ok(all.list.iter().filter(|a| !a.current).collect());
    }
    if let Some(age) = args.inactive {
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        return Ok(all.unused_since(now.saturating_sub(age)).collect());
    }
    let mut chosen: Vec<&Authorization> = Vec::new();
    for prefix in &args.hashes {
        let found: Vec<_> = all.list.iter().filter(|a| !a.current && written(a.hash).starts_with(prefix.as_str())).collect();
        let hint = "`tdl session ls` shows them all";
        match found.as_slice() {
            [] => return Err(CliError::failed(format!("no authorization has a hash that begins with {prefix}")).advise(hint)),
            [one] if chosen.iter().any(|c| c.hash == one.hash) => {}
            [one] => chosen.push(one),
            many => {
                let what = format!("{} authorizations have a hash that begins with {prefix}", many.len());
                return Err(CliError::usage(what).advise(format!("give more of it; {hint}")));
            }
        }
    }
    Ok(chosen)
}

pub(crate) async fn end(context: &Context, args: EndArgs) -> Result<ExitCode, CliError> {
    let (client, _) = context.logged_in().await?;
    let result = end_chosen(context, &client, &args).await;
    client.close().await;
    result
}

async fn end_chosen(context: &Context, client: &Client, args: &EndArgs) -> Result<ExitCode, CliError> {
    let all = account::authorizations(client).await?;
    let now = client.server_time();
    let chosen = chosen(&all, args, now)?;
    let mut failed: Vec<(i64, CliError)> = Vec::new();
    if !args.dry_run && !chosen.is_empty() {
        if args.others {
            account::end_other_authorizations(client).await.map_err(|e| refused(e, &all, now))?;
        } else {
            for authorization in &chosen {
                match account::end_authorization(client, authorization.hash).await {
                    // What is not there any more has ended, whoever ended it.
                    Ok(()) | Err(EndError::Unknown) => {}
                    // The others would be refused as well.
                    Err(error @ EndError::TooFresh) => return Err(refused(error, &all, now)),
                    Err(error) => failed.push((authorization.hash, refused(error, &all, now))),
                }
            }
        }
    }
    report(context, args, &chosen, &failed, now)?;
    Ok(match (failed.len(), chosen.len()) {
        (0, _) => ExitCode::Done,
        (failures, all) if failures == all => ExitCode::Failed,
        _ => ExitCode::SomeFailed,
    })
}

/// A refusal in words.
fn refused(error: EndError, all: &Authorizations, now: i64) -> CliError {
    match error {
        EndError::TooFresh => {
            let wait = all.wait(now).as_secs().max(60);
            let span = format!("{} h {} min", wait / 3600, wait % 3600 / 60);
            CliError::failed(
                "the server lets a login end others only when it is a day old (FRESH_RESET_AUTHORISATION_FORBIDDEN)",
            )
            .advise(format!("wait {span}, or end them in an app that has been logged in for longer (Settings, Devices)"))
        }
        EndError::Invoke(error) => error.into(),
        other => CliError::failed(other.to_string()),
    }
}

fn report(
    context: &Context,
    args: &EndArgs,
    chosen: &[&Authorization],
    failed: &[(i64, CliError)],
    now: i64,
) -> Result<(), CliError> {
    let has_failed = |a: &Authorization| failed.iter().find(|(hash, _)| *hash == a.hash);
    for (hash, error) in failed {
        context.output.alert(&format!("{} is still there: {}", written(*hash), error.what));
    }
    if context.output.json {
        let ended = |a: &&&Authorization| has_failed(a).is_none();
        return context.output.document(&json!({
            "dry_run": args.dry_run,
            "ended": chosen.iter().filter(ended).map(|a| row_json(&row(a, &[], None, now), &[], None)).collect::<Vec<_>>(),
            "failed": failed.iter().map(|(hash, error)| json!({ "hash": written(*hash), "error": error.what })).collect::<Vec<_>>(),
        }));
    }
    for a in chosen.iter().filter(|a| has_failed(a).is_none()) {
        let verb = if args.dry_run { "would end" } else { "ended" };
        context.output.line(&format!(
            "{verb} {}: {}, {} {}, last used {}",
            written(a.hash),
            printable(&a.device_model),
            printable(&a.app_name),
            printable(&a.app_version),
            date(a.active)
        ))?;
    }
    if chosen.is_empty() {
        context.output.note("there is nothing to end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tdl::client::DeviceProfile;

    use super::*;

    fn authorization(hash: i64, active: i64) -> Authorization {
        Authorization { hash, active, ..Authorization::default() }
    }

    fn all() -> Authorizations {
        let current = Authorization { current: true, ..authorization(0, 0) };
        let list = vec![current, authorization(0x1a2b << 48, 500), authorization(0x1a2c << 48, 900), authorization(-1, 900)];
        Authorizations { list, ttl_days: 183 }
    }

    fn args(hashes: &[&str]) -> EndArgs {
        EndArgs { hashes: hashes.iter().map(|h| (*h).to_owned()).collect(), others: false, inactive: None, dry_run: false }
    }

    fn hashes(found: Result<Vec<&Authorization>, CliError>) -> Vec<i64> {
        found.unwrap().into_iter().map(|a| a.hash).collect()
    }

    #[test]
    fn authorizations_are_chosen_by_the_beginning_of_their_hash() {
        let all = all();
        assert_eq!(hashes(chosen(&all, &args(&["1a2b"]), 1000)), [0x1a2b << 48]);
        assert_eq!(hashes(chosen(&all, &args(&["f", "ffff", "1a2c"]), 1000)), [-1, 0x1a2c << 48], "each once");
        assert_eq!(chosen(&all, &args(&["1a2"]), 1000).unwrap_err().code, ExitCode::Usage);
        // The one that asks has the number 0.
        assert_eq!(chosen(&all, &args(&["0000"]), 1000).unwrap_err().code, ExitCode::Failed);
        assert!(hash_prefix("").is_err() && hash_prefix("xyz").is_err() && hash_prefix(&"a".repeat(17)).is_err());
        assert_eq!(hash_prefix(" FF ").unwrap(), "ff");
    }

    #[test]
    fn the_one_that_asks_is_never_chosen() {
        let all = all();
        let others = EndArgs { others: true, ..args(&[]) };
        assert_eq!(hashes(chosen(&all, &others, 1000)).len(), 3);
        let inactive = |seconds| EndArgs { inactive: Some(Duration::from_secs(seconds)), ..args(&[]) };
        assert_eq!(hashes(chosen(&all, &inactive(200), 1000)), [0x1a2b << 48]);
        assert_eq!(hashes(chosen(&all, &inactive(0), 1000)).len(), 3);
        assert_eq!(hashes(chosen(&all, &inactive(u64::MAX), 1000)), [0_i64; 0]);
    }

    #[test]
    fn a_login_is_known_by_its_device_and_its_time() {
        let identity = |model: &str| {
            let device = DeviceProfile { device_model: model.into(), ..DeviceProfile::default() };
            Identity { device, layer: 230, api_id: 7 }
        };
        let ours = |namespace: &str, model: &str, logged_in_at| Ours {
            namespace: namespace.into(),
            identity: identity(model),
            logged_in_at,
        };
        let all = [ours("a", "tdl", 1000), ours("b", "tdl", 1200), ours("c", "box", 1000)];
        let listed = |model: &str, created| Authorization {
            device_model: model.into(),
            system_version: DeviceProfile::default().system_version,
            api_id: 7,
            created,
            ..Authorization::default()
        };
        let name = |model: &str, created| owner(&listed(model, created), &all).map(|o| o.namespace.as_str());
        assert_eq!((name("tdl", 1010), name("tdl", 1190), name("box", 1010)), (Some("a"), Some("b"), Some("c")));
        assert_eq!((name("tdl", 2000), name("other", 1000)), (None, None));
    }

    #[test]
    fn how_long_to_wait_is_said() {
        let all = Authorizations {
            list: vec![Authorization { current: true, created: 1000, ..Authorization::default() }],
            ttl_days: 183,
        };
        let error = refused(EndError::TooFresh, &all, 1000 + 3600);
        assert!(error.advice.unwrap().starts_with("wait 23 h 0 min"));
    }
}
