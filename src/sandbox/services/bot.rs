//! Bots: logging in with a token, and what bots may not call, and only bots may.

use std::collections::HashSet;
use std::sync::LazyLock;

use tdl_core::crypto::constant_time_eq;
use tdl_core::tl::Identifiable as _;
use tdl_core::tl::api::{enums, functions as f};

use super::{Call, auth};
use crate::fault::Fault;
use crate::state::users;
use crate::state::{bots, passwords};

/// Methods that the documentation marks as "Only users can use this method", of those that need a login.
static USERS_ONLY: LazyLock<HashSet<u32>> = LazyLock::new(|| {
    HashSet::from([
        f::account::CancelPasswordEmail::ID,
        f::account::ConfirmPasswordEmail::ID,
        f::account::DeclinePasswordReset::ID,
        f::account::GetAuthorizations::ID,
        f::account::GetPassword::ID,
        f::account::GetPasswordSettings::ID,
        f::account::ResendPasswordEmail::ID,
        f::account::ResetAuthorization::ID,
        f::account::ResetPassword::ID,
        f::account::SendVerifyEmailCode::ID,
        f::account::SetAuthorizationTtl::ID,
        f::account::UpdatePasswordSettings::ID,
        f::account::UpdateProfile::ID,
        f::account::UpdateStatus::ID,
        f::account::UpdateUsername::ID,
        f::account::VerifyEmail::ID,
        f::auth::AcceptLoginToken::ID,
        f::auth::CheckPassword::ID,
        f::auth::CheckRecoveryPassword::ID,
        f::auth::RecoverPassword::ID,
        f::auth::RequestPasswordRecovery::ID,
        f::auth::ResetAuthorizations::ID,
        f::contacts::GetContacts::ID,
        f::contacts::ImportContacts::ID,
        f::contacts::ResolvePhone::ID,
        f::help::AcceptTermsOfService::ID,
        f::help::GetPromoData::ID,
        f::help::GetTermsOfServiceUpdate::ID,
        f::messages::GetDialogFilters::ID,
        f::messages::GetDialogs::ID,
        f::messages::GetHistory::ID,
        f::messages::GetPeerDialogs::ID,
        f::messages::GetPinnedDialogs::ID,
        f::messages::ReadHistory::ID,
        f::messages::Search::ID,
    ])
});

/// Methods that it marks as "Only bots can use this method". None of them is answered here, but who may not call them is told so.
static BOTS_ONLY: LazyLock<HashSet<u32>> = LazyLock::new(|| {
    HashSet::from([
        f::bots::AnswerWebhookJsonquery::ID,
        f::bots::GetBotCommands::ID,
        f::bots::GetBotMenuButton::ID,
        f::bots::ResetBotCommands::ID,
        f::bots::SendCustomRequest::ID,
        f::bots::SetBotBroadcastDefaultAdminRights::ID,
        f::bots::SetBotCommands::ID,
        f::bots::SetBotGroupDefaultAdminRights::ID,
        f::bots::SetBotMenuButton::ID,
        f::help::SetBotUpdatesStatus::ID,
        f::messages::GetGameHighScores::ID,
        f::messages::SetBotCallbackAnswer::ID,
        f::messages::SetBotPrecheckoutResults::ID,
        f::messages::SetBotShippingResults::ID,
        f::messages::SetGameScore::ID,
        f::messages::SetInlineBotResults::ID,
    ])
});

/// Refuses what is only for the other kind of account.
pub(crate) fn check(call: &Call<'_>, method: u32) -> Result<(), Fault> {
    let (users_only, bots_only) = (USERS_ONLY.contains(&method), BOTS_ONLY.contains(&method));
    let Some(user) = call.auth.user.filter(|_| users_only || bots_only) else { return Ok(()) };
    match call.state.read(|db| bots::is_bot(db, user))? {
        true if users_only => Err(Fault::BotMethodInvalid),
        false if bots_only => Err(Fault::UserBotRequired),
        _ => Ok(()),
    }
}

/// A token taken apart: the bot's id and the secret. "Bots" writes it `123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11`.
fn parse(token: &str) -> Option<(i64, &str)> {
    let (id, secret) = token.split_once(':')?;
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let good = digits && !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    Some((id.parse().ok().filter(|_| good)?, secret))
}

pub(crate) fn import_bot_authorization(
    call: &mut Call<'_>,
    req: f::auth::ImportBotAuthorization,
) -> Result<enums::auth::Authorization, Fault> {
    let (id, secret) = parse(&req.bot_auth_token).ok_or(Fault::AccessTokenInvalid)?;
    let (user, tokens) = call.state.read(|db| {
        let user = users::by_id(db, id)?.filter(|user| user.bot);
        Ok::<_, Fault>((user.ok_or(Fault::AccessTokenInvalid)?, bots::tokens(db, id)?))
    })?;
    // All are looked at, so that the time does not tell which one it was.
    let mut found = None;
    for (known, revoked) in &tokens {
        if constant_time_eq(known.as_bytes(), secret.as_bytes()) {
            found = Some(*revoked);
        }
    }
    match found {
        None => return Err(Fault::AccessTokenInvalid),
        Some(true) => return Err(Fault::AccessTokenExpired),
        Some(false) => {}
    }
    if user.dc != call.dc {
        return Err(Fault::UserMigrate(user.dc));
    }
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    call.state.write(|tx| passwords::admit(tx, dc, key_id, user.id, now))?;
    auth::entered(call, &user, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        assert_eq!(parse("7000000001:ABC-def_9"), Some((7_000_000_001, "ABC-def_9")));
        for wrong in ["", ":", "1", "1:", ":x", "x:y", "-1:x", "+1:x", "1:a b", "1:é", "99999999999999999999:x", "1:x:y"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_method_is_for_both_and_for_neither() {
        assert!(USERS_ONLY.is_disjoint(&BOTS_ONLY));
    }
}
