//! An account's authorizations: listed, ended, confirmed; how long they last; and who is told of a new one.
//!
//! "User Authorization", Confirming login; the methods' own pages.

use super::{Call, auth, notices, unix32};
use crate::fault::Fault;
use crate::state::authorizations::{self, AUTOCONFIRM, AuthorizationSettings, DAY, Standing};
use crate::state::keys::{self, Auth, Device};
use crate::state::users::User;
use tdl_core::tl::api::functions::{account as f, auth as f_auth};
use tdl_core::tl::api::{enums, types};

/// The longest time without use that an account may allow, in days.
const TTL_DAYS_MAX: i32 = 366;

/// Whether the caller's authorization and account may still be used: asked before every method that needs somebody logged in.
pub(crate) fn check(call: &mut Call<'_>) -> Result<(), Fault> {
    let Some(user) = call.auth.user else { return Ok(()) };
    let rules = call.state.read(|db| authorizations::account_rules(db, user))?;
    match rules.standing {
        Standing::Good => {}
        Standing::Deleted => return Err(Fault::UserDeactivated),
        Standing::Banned => return Err(Fault::UserDeactivatedBan),
    }
    // What was imported lives as long as what it was imported from.
    if call.auth.imported_from.is_none() && rules.has_expired(call.auth.active_at, call.now) {
        let (dc, key_id) = (call.auth.dc, call.auth.key_id);
        call.state.write(|tx| authorizations::expire(tx, dc, key_id))?;
        (call.auth.user, call.auth.expired) = (None, true);
        return Err(Fault::SessionExpired);
    }
    Ok(())
}

/// The number by which an authorization is named to its account's other ones.
fn public_hash(call: &Call<'_>, dc: i32, key_id: i64) -> i64 {
    call.state.derive(b"authorization", &[dc.into(), key_id])
}

fn is_own(call: &Call<'_>, a: &Auth) -> bool {
    (a.dc, a.key_id) == (call.auth.dc, call.auth.key_id)
}

/// The number by which an authorization is named to the caller: 0 for its own.
fn hash(call: &Call<'_>, a: &Auth) -> i64 {
    if is_own(call, a) { 0 } else { public_hash(call, a.dc, a.key_id) }
}

/// Who is registered under the identifiers of the official clients.
fn official_app(api_id: i32) -> Option<&'static str> {
    Some(match api_id {
        2_040 | 17_349 => "Telegram Desktop",
        4 | 6 => "Telegram Android",
        21_724 => "Telegram Android X",
        8 | 10_840 => "Telegram iOS",
        2_834 => "Telegram macOS",
        2_496 | 1_025_907 => "Telegram Web",
        _ => return None,
    })
}

/// The name of an application. Those that nobody registered have none; here they go by their number.
fn app_name(api_id: i32) -> String {
    official_app(api_id).map_or_else(|| format!("App {api_id}"), str::to_owned)
}

/// The platform that a device's own words point to; empty if they point to none.
fn platform(device: &Device) -> &'static str {
    let system = device.system_version.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| system.contains(word));
    if has(&["windows"]) {
        "Windows"
    } else if has(&["macos", "mac os", "os x", "darwin"]) {
        "macOS"
    } else if has(&["android", "sdk "]) {
        "Android"
    } else if has(&["ios", "iphone", "ipad"]) {
        "iOS"
    } else if has(&["linux", "ubuntu", "debian", "fedora", "arch", "snap", "flatpak", "glibc"]) {
        "Linux"
    } else {
        match device.lang_pack.as_str() {
            "tdesktop" => "Desktop",
            "android" | "android_x" => "Android",
            "ios" => "iOS",
            "macos" => "macOS",
            "weba" | "webk" | "webogram" => "Web",
            _ => "",
        }
    }
}

/// Where an address is. There is no table of the world here: addresses of this machine are known as such.
fn country(ip: &str) -> &'static str {
    match ip.parse::<std::net::IpAddr>() {
        Ok(ip) if ip.is_loopback() => "Loopback",
        _ => "",
    }
}

/// Whether an authorization still waits to be confirmed.
fn is_unconfirmed(settings: &AuthorizationSettings, a: &Auth, now: i64) -> bool {
    settings.unconfirmed && now < a.bound_at.saturating_add(AUTOCONFIRM)
}

/// An authorization as the caller sees it.
pub(crate) fn view(call: &Call<'_>, a: &Auth) -> Result<enums::Authorization, Fault> {
    let settings = call.state.read(|db| authorizations::settings(db, a.dc, a.key_id))?;
    Ok(types::Authorization {
        current: is_own(call, a),
        official_app: official_app(a.device.api_id).is_some(),
        encrypted_requests_disabled: settings.encrypted_disabled,
        call_requests_disabled: settings.calls_disabled,
        unconfirmed: is_unconfirmed(&settings, a, call.now),
        hash: hash(call, a),
        device_model: a.device.device_model.as_str().into(),
        platform: platform(&a.device).into(),
        system_version: a.device.system_version.as_str().into(),
        api_id: a.device.api_id,
        app_name: app_name(a.device.api_id).into(),
        app_version: a.device.app_version.as_str().into(),
        date_created: unix32(a.bound_at),
        date_active: unix32(a.active_at),
        ip: a.ip.as_str().into(),
        country: country(&a.ip).into(),
        region: "".into(),
        ..types::Authorization::default()
    }
    .into())
}

/// The caller's own first, then the one that was used last; those whose time is over are ended before.
pub(crate) fn authorizations(call: &mut Call<'_>, _: f::GetAuthorizations) -> Result<enums::account::Authorizations, Fault> {
    let user = call.user_id()?;
    let (own, now) = ((call.auth.dc, call.auth.key_id), call.now);
    let ended = call.state.write(|tx| authorizations::expire_due(tx, user, Some(own), now))?;
    auth::logged_out(call, &ended);
    let (mut list, rules) =
        call.state.read(|db| Ok::<_, Fault>((keys::authorizations(db, user)?, authorizations::account_rules(db, user)?)))?;
    list.sort_by_key(|a| !is_own(call, a));
    let authorizations = list.iter().map(|a| view(call, a)).collect::<Result<_, _>>()?;
    Ok(types::account::Authorizations { authorization_ttl_days: rules.ttl_days, authorizations }.into())
}

/// What is logged in for less than a day may not end others, nor have them end.
fn check_fresh(call: &Call<'_>) -> Result<(), Fault> {
    let fresh = call.now < call.auth.bound_at.saturating_add(DAY);
    if call.settings.rules.fresh && fresh { Err(Fault::FreshResetAuthorisationForbidden) } else { Ok(()) }
}

/// The authorization of the account that a hash names.
fn by_hash(call: &Call<'_>, wanted: i64) -> Result<Auth, Fault> {
    let user = call.user_id()?;
    let list = call.state.read(|db| keys::authorizations(db, user))?;
    list.into_iter().find(|a| hash(call, a) == wanted || public_hash(call, a.dc, a.key_id) == wanted).ok_or(Fault::HashInvalid)
}

/// Ends one authorization; one's own is ended by logging out.
pub(crate) fn reset_authorization(call: &mut Call<'_>, req: f::ResetAuthorization) -> Result<bool, Fault> {
    let found = by_hash(call, req.hash)?;
    if is_own(call, &found) {
        return Err(Fault::HashInvalid);
    }
    check_fresh(call)?;
    auth::end(call, &[(found.dc, found.key_id)], true)?;
    Ok(true)
}

/// Ends all authorizations but the caller's.
pub(crate) fn reset_authorizations(call: &mut Call<'_>, _: f_auth::ResetAuthorizations) -> Result<bool, Fault> {
    let user = call.user_id()?;
    check_fresh(call)?;
    let list = call.state.read(|db| keys::authorizations(db, user))?;
    let others: Vec<(i32, i64)> = list.iter().filter(|a| !is_own(call, a)).map(|a| (a.dc, a.key_id)).collect();
    auth::end(call, &others, true)?;
    Ok(true)
}

/// Confirms an authorization, or says what it may take part in. One that is unconfirmed does not confirm itself.
pub(crate) fn change_authorization_settings(call: &mut Call<'_>, req: f::ChangeAuthorizationSettings) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let target = by_hash(call, req.hash)?;
    let own = is_own(call, &target);
    let now = call.now;
    let confirmed = call.state.write(|tx| {
        let mut settings = authorizations::settings(tx, target.dc, target.key_id)?;
        let waits = is_unconfirmed(&settings, &target, now);
        if req.confirmed && own && waits {
            return Err(Fault::HashInvalid);
        }
        settings.unconfirmed &= !req.confirmed;
        settings.encrypted_disabled = req.encrypted_requests_disabled.unwrap_or(settings.encrypted_disabled);
        settings.calls_disabled = req.call_requests_disabled.unwrap_or(settings.calls_disabled);
        authorizations::set_settings(tx, target.dc, target.key_id, &settings)?;
        Ok(req.confirmed && waits)
    })?;
    if confirmed {
        let hash = public_hash(call, target.dc, target.key_id);
        let update = types::UpdateNewAuthorization { hash, ..types::UpdateNewAuthorization::default() };
        push(call, user, update);
    }
    Ok(true)
}

/// Sets after how many days without use the account's authorizations end.
pub(crate) fn set_authorization_ttl(call: &mut Call<'_>, req: f::SetAuthorizationTtl) -> Result<bool, Fault> {
    let user = call.user_id()?;
    if !(1..=TTL_DAYS_MAX).contains(&req.authorization_ttl_days) {
        return Err(Fault::TtlDaysInvalid);
    }
    check_fresh(call)?;
    let (own, now) = ((call.auth.dc, call.auth.key_id), call.now);
    let ended = call.state.write(|tx| {
        authorizations::set_ttl(tx, user, req.authorization_ttl_days)?;
        authorizations::expire_due(tx, user, Some(own), now)
    })?;
    auth::logged_out(call, &ended);
    Ok(true)
}

fn push(call: &mut Call<'_>, user: i64, update: types::UpdateNewAuthorization) {
    let updates = vec![enums::Update::from(update)];
    let date = call.date();
    call.push(user, &types::Updates { updates, users: Vec::new(), chats: Vec::new(), date, seq: 0 }.into());
}

/// The caller's key stands for an account from now on. Its other authorizations are told, by `updateNewAuthorization` and a message from
/// 777000; `unconfirmed`: none of them had a part in it, so they are to say whether it was them.
pub(crate) fn logged_in(call: &mut Call<'_>, user: &User, unconfirmed: bool) -> Result<(), Fault> {
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let others = call.state.read(|db| keys::authorizations(db, user.id))?;
    let alone = others.iter().all(|a| (a.dc, a.key_id) == (dc, key_id));
    let settings = AuthorizationSettings { unconfirmed: unconfirmed && !alone, ..AuthorizationSettings::default() };
    call.state.write(|tx| authorizations::set_settings(tx, dc, key_id, &settings))?;
    // Bots log in as often as they like.
    if alone || user.bot || !call.settings.rules.notices {
        return Ok(());
    }
    // As it is now: the address and the dates as well.
    let own = call.state.auth(dc, key_id)?.ok_or(Fault::AuthKeyUnregistered)?;
    let device = &own.device;
    let place = country(&own.ip);
    let place = if place.is_empty() { "unknown" } else { place };
    let mut update =
        types::UpdateNewAuthorization { hash: public_hash(call, dc, key_id), ..types::UpdateNewAuthorization::default() };
    if settings.unconfirmed {
        update.unconfirmed = true;
        update.date = Some(unix32(now));
        update.device = Some(device.device_model.as_str().into());
        update.location = Some(format!("{place} (IP={})", own.ip).into());
    }
    push(call, user.id, update);
    let text = format!(
        "New login. {}, somebody logged in to your account from a new device on {} UTC.\n\nDevice: {}, {} {}, {}\nLocation: {place} (IP = {})\n\n\
         Was it not you? End that session in Settings > Devices, and set a password.",
        user.first_name,
        notices::utc(now),
        device.device_model,
        app_name(device.api_id),
        device.app_version,
        device.system_version,
        own.ip,
    );
    notices::send(call, user.id, &text)
}
