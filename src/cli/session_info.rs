//! `tdl session info`: everything that is stored with an authorization, but its keys.

use serde_json::{Value, json};
use tdl::{
    client::{DcAuth, Persistence, TempAuth},
    seal::KdfParams,
    store::{Encryption, Namespace},
};

use super::{
    context::{Context, unix_now},
    device,
    exit::{CliError, ExitCode},
    output::{counted, printable},
};

/// One permanent key, as far as it can be read.
struct Key {
    dc: i32,
    id: i64,
    authorized: bool,
    created_at: i64,
    /// What is sealed with it in an encrypted namespace that is locked.
    opened: Option<DcAuth>,
}

impl Key {
    fn salts_until(&self) -> Option<i64> {
        self.opened.as_ref()?.salts.iter().map(|salt| salt.until).max()
    }
}

fn keys(namespace: &Namespace) -> Result<Vec<Key>, CliError> {
    let locked = matches!(namespace.encryption(), Encryption::Locked(_));
    let mut opened = if locked { Vec::new() } else { namespace.dc_auths()? };
    Ok(namespace
        .key_heads()?
        .into_iter()
        .map(|head| Key {
            dc: head.dc,
            id: head.key_id,
            authorized: head.authorized,
            created_at: head.created_at,
            opened: opened.iter().position(|auth| auth.dc.0 == head.dc).map(|at| opened.swap_remove(at)),
        })
        .collect())
}

pub(crate) fn run(context: &Context) -> Result<ExitCode, CliError> {
    // Locked or not: what is sealed is shown as such.
    let namespace = context.namespace_if_any()?.ok_or_else(|| CliError::not_logged_in(&context.settings.ns))?;
    let keys = keys(&namespace)?;
    let temporary = match namespace.encryption() {
        Encryption::Locked(_) => None,
        _ => Some(namespace.temp_auths()?),
    };
    match context.output.json {
        true => document(context, &namespace, &keys, temporary.as_deref()),
        false => print(context, &namespace, &keys, temporary.as_deref()),
    }
}

fn document(
    context: &Context,
    namespace: &Namespace,
    keys: &[Key],
    temporary: Option<&[TempAuth]>,
) -> Result<ExitCode, CliError> {
    let (account, identity, home_dc) = (namespace.account()?, namespace.identity()?, namespace.home_dc()?);
    let used = device::in_use(context.settings.device.as_deref(), Some(namespace))?;
    let updates = namespace.update_state()?;
    let holder = namespace.updates_holder()?;
    context.output.document(&json!({
        "namespace": namespace.name().as_str(),
        "path": namespace.path().display().to_string(),
        "created_at": namespace.created_at()?,
        "cluster": namespace.cluster()?,
        "encrypted": namespace.encryption() != Encryption::None,
        "locked": matches!(namespace.encryption(), Encryption::Locked(_)),
        "ended": namespace.ended()?.map(|e| json!({ "reason": e.reason.code(), "at": e.at })),
        "account": account.as_ref().map(|a| json!({
            "user_id": a.user_id,
            "name": a.name,
            "username": a.username,
            "phone": a.phone,
            "bot": a.is_bot,
            "logged_in_at": a.logged_in_at,
        })),
        "borrowed": namespace.borrowed()?.map(|b| json!({
            "program": b.program,
            "path": b.path.as_ref().map(|path| path.display().to_string()),
            "introduces": b.introduces,
            "since": b.since,
        })),
        "home_dc": home_dc.map(|dc| dc.0),
        "identity": identity.as_ref().map(|i| json!({
            "api_id": i.api_id,
            "layer": i.layer,
            "device": device::to_json(&i.device, i.device == used),
        })),
        "next_device": identity.as_ref().is_none_or(|i| i.device != used).then(|| device::to_json(&used, true)),
        "dcs": keys.iter().map(|key| key_json(key, home_dc.map(|dc| dc.0))).collect::<Vec<Value>>(),
        "temporary_keys": temporary.map(|keys| keys.iter().map(temp_json).collect::<Vec<Value>>()),
        "updates": updates.as_ref().map(|u| json!({
            "pts": u.pts,
            "qts": u.qts,
            "seq": u.seq,
            "date": u.date,
            "channels": u.channels.len(),
        })),
        "updates_followed_by": holder.map(|h| json!({ "pid": h.pid, "since": h.since })),
        "unfinished_transfers": namespace.jobs()?.len(),
    }))?;
    Ok(ExitCode::Done)
}

fn print(context: &Context, namespace: &Namespace, keys: &[Key], temporary: Option<&[TempAuth]>) -> Result<ExitCode, CliError> {
    let dash = || "-".to_owned();
    let mut pairs = vec![
        ("namespace", namespace.name().to_string()),
        ("file", namespace.path().display().to_string()),
        ("made", age(namespace.created_at()?)),
        ("cluster", namespace.cluster()?.unwrap_or_else(dash)),
        ("encrypted", encryption(namespace.encryption())),
    ];
    if let Some(ended) = namespace.ended()? {
        pairs.push(("login ended", format!("{}: {}", age(ended.at), ended.reason)));
    }
    match namespace.account()? {
        None => pairs.push(("account", "not logged in".into())),
        Some(a) => {
            pairs.push(("account", format!("{} (id {})", printable(&a.name), a.user_id)));
            pairs.push(("phone", a.phone.clone().unwrap_or_else(dash)));
            pairs.push(("logged in", age(a.logged_in_at)));
        }
    }
    if let Some(b) = namespace.borrowed()? {
        pairs.push(("key of", format!("{}, borrowed {}", printable(&b.program), age(b.since))));
    }
    let home_dc = namespace.home_dc()?.map(|dc| dc.0);
    pairs.push(("home DC", home_dc.map_or_else(dash, |dc| dc.to_string())));
    let used = device::in_use(context.settings.device.as_deref(), Some(namespace))?;
    if let Some(i) = namespace.identity()? {
        pairs.push(("device", printable(&i.device.to_string())));
        if used != i.device {
            pairs.push(("device, next", printable(&used.to_string())));
        }
        pairs.push(("language", printable(&format!("{}, system {}", i.device.lang_code, i.device.system_lang_code))));
        pairs.push(("layer", i.layer.to_string()));
        pairs.push(("API id", i.api_id.to_string()));
    }
    if let Some(u) = namespace.update_state()? {
        let channels = counted(u.channels.len(), "channel");
        let text = format!("pts {}, qts {}, seq {}, {channels}, {}", u.pts, u.qts, u.seq, age(u.date.into()));
        pairs.push(("watched up to", text));
    }
    if let Some(holder) = namespace.updates_holder()? {
        pairs.push(("watched by", holder.to_string()));
    }
    pairs.push(("unfinished", counted(namespace.jobs()?.len(), "transfer")));
    context.output.key_values(&pairs)?;
    if !keys.is_empty() {
        context.output.line("")?;
        let rows: Vec<Vec<String>> = keys.iter().map(|key| key_row(key, home_dc)).collect();
        context.output.table(&["DC", "KEY ID", "LOGIN", "SALTS", "UNTIL", "CLOCK", "MADE"], &rows)?;
    }
    let temporary = temporary.unwrap_or_default();
    if !temporary.is_empty() {
        context.output.line("")?;
        let rows: Vec<Vec<String>> = temporary.iter().map(temp_row).collect();
        context.output.table(&["DC", "TEMPORARY KEY", "FOR", "SALTS", "ENDS"], &rows)?;
    }
    Ok(ExitCode::Done)
}

fn encryption(found: Encryption) -> String {
    let with = |params: KdfParams| format!("yes (Argon2id, {} MiB, {} passes)", params.memory_kib / 1024, params.passes);
    match found {
        Encryption::None => "no".to_owned(),
        Encryption::Unlocked(params) => with(params),
        Encryption::Locked(params) => format!("{}; locked: no passphrase was given", with(params)),
    }
}

/// How the account came to be logged in under a key.
fn login(key: &Key, home_dc: Option<i32>) -> &'static str {
    match (key.authorized, Some(key.dc) == home_dc) {
        (false, _) => "no",
        (true, true) => "home",
        // Exported at home, imported there.
        (true, false) => "imported",
    }
}

fn key_json(key: &Key, home_dc: Option<i32>) -> Value {
    json!({
        "dc": key.dc,
        "key_id": format!("{:016x}", key.id),
        "authorized": key.authorized,
        "login": login(key, home_dc),
        "salts": key.opened.as_ref().map(|auth| auth.salts.len()),
        "salts_until": key.salts_until(),
        "time_offset": key.opened.as_ref().map(|auth| auth.time_offset),
        "created_at": key.created_at,
    })
}

fn key_row(key: &Key, home_dc: Option<i32>) -> Vec<String> {
    let sealed = || "sealed".to_owned();
    let offset = key.opened.as_ref().map_or(0, |auth| auth.time_offset);
    vec![
        key.dc.to_string(),
        format!("{:016x}", key.id),
        login(key, home_dc).to_owned(),
        key.opened.as_ref().map_or_else(sealed, |auth| auth.salts.len().to_string()),
        match (key.salts_until(), &key.opened) {
            (Some(until), _) => from_now(until, offset),
            (None, Some(_)) => "-".to_owned(),
            (None, None) => sealed(),
        },
        key.opened.as_ref().map_or_else(sealed, |auth| format!("{:+} s", auth.time_offset)),
        age(key.created_at),
    ]
}

fn temp_json(auth: &TempAuth) -> Value {
    json!({
        "dc": auth.dc.0,
        "key_id": format!("{:016x}", auth.auth_key.id()),
        "bound_to": format!("{:016x}", auth.perm_key_id),
        "use": auth.key_use.to_string(),
        "salts": auth.salts.len(),
        "salts_until": auth.salts.iter().map(|salt| salt.until).max(),
        "created_at": auth.created_at,
        "expires_at": auth.expires_at,
    })
}

fn temp_row(auth: &TempAuth) -> Vec<String> {
    vec![
        auth.dc.0.to_string(),
        format!("{:016x}", auth.auth_key.id()),
        auth.key_use.to_string(),
        auth.salts.len().to_string(),
        from_now(auth.expires_at, auth.time_offset),
    ]
}

/// In how long, by the clock of a server, in one unit.
fn from_now(at: i64, time_offset: i64) -> String {
    match at.saturating_sub(unix_now().saturating_add(time_offset)) {
        ..=0 => "has ended".to_owned(),
        left @ 1..60 => format!("in {left} s"),
        left @ 60..3600 => format!("in {} min", left / 60),
        left @ 3600..172_800 => format!("in {} h", left / 3600),
        left @ 172_800..315_360_000 => format!("in {} days", left / 86_400),
        // A salt that came without an end.
        _ => "not known".to_owned(),
    }
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
