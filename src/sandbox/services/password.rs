//! Passwords: "Two-factor authentication". What is asked before and after a login, and how a password is set, changed and removed.
//!
//! What the methods can be refused with:
//!
//! | error | when |
//! |---|---|
//! | `SRP_ID_INVALID` | the challenge was not given to this key, was answered before, or is older than ten minutes |
//! | `SRP_PASSWORD_CHANGED` | the password is another since the challenge was given |
//! | `SRP_A_INVALID` | the client's public value is out of range |
//! | `PASSWORD_HASH_INVALID` | the password is wrong, or there is none |
//! | `NEW_SALT_INVALID` | the salts of a new password do not continue those that were offered |
//! | `NEW_SETTINGS_INVALID`, `NEW_SETTINGS_EMPTY` | nothing that could be set, or nothing at all |
//! | `EMAIL_INVALID` | no address |
//! | `EMAIL_UNCONFIRMED_6` | all is well, and holds once `account.confirmPasswordEmail` has the code |

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tdl_core::crypto::dh::{Group, LEN};
use tdl_core::crypto::srp::{Challenge, Kdf, SrpError, Verifier};
use tdl_core::tl::Str;
use tdl_core::tl::api::functions::{account as f, auth as fa};
use tdl_core::tl::api::{enums, types};
use zeroize::Zeroizing;

use super::{Call, auth, unix32};
use crate::delivery::{Delivery, EMAIL_CODE_LENGTH, email_pattern, is_email};
use crate::fault::Fault;
use crate::state::codes;
use crate::state::passwords::{self, Draft, Given, Password, Secret};
use crate::state::users::User;

/// Seconds for which settings wait for their address to be confirmed.
const DRAFT_LIFETIME: i64 = 3600;
/// Bytes that the cluster adds to what clients draw at random.
const SECURE_RANDOM: usize = 256;

/// The salts of the account's next password, as they are offered; the client appends to the first one.
fn offer(call: &Call<'_>, user: i64, current: Option<&Password>) -> Kdf {
    let digest = current.map_or(0, |password| password.secret.digest());
    let part = |n| call.state.derive(b"password salt", &[user, digest, n]).to_le_bytes();
    Kdf::new(&part(0), &[part(1), part(2)].concat(), Group::known())
}

fn algorithm(kdf: &Kdf) -> enums::PasswordKdfAlgo {
    types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
        salt1: Bytes::copy_from_slice(kdf.salt1()),
        salt2: Bytes::copy_from_slice(kdf.salt2()),
        g: kdf.group().g(),
        p: Bytes::copy_from_slice(kdf.group().prime()),
    }
    .into()
}

/// The random source of a challenge, and the stored password as a verifier.
fn challenge(secret: &Secret, seed: &[u8; 32]) -> Result<Challenge, Fault> {
    let kdf = secret.kdf();
    let verifier = stored_verifier(&kdf, &secret.verifier)?;
    Challenge::new(&kdf, &verifier, &mut StdRng::from_seed(*seed)).map_err(|_| damaged())
}

fn stored_verifier(kdf: &Kdf, bytes: &[u8]) -> Result<Verifier, Fault> {
    kdf.check_verifier(bytes).map_err(|_| damaged())
}

fn damaged() -> Fault {
    Fault::Internal(crate::state::Error::Damaged("password"))
}

/// What a client needs to prove a password, and to set one: of the account that is logged in, or that the key waits for.
pub(crate) fn password(call: &mut Call<'_>, _: f::GetPassword) -> Result<enums::account::Password, Fault> {
    let user = call.account()?;
    let (now, dc, key_id) = (call.now, call.auth.dc, call.auth.key_id);
    let (current, draft, reset, wanted) = call.state.read(|db| {
        Ok::<_, Fault>((
            passwords::find(db, user.id)?,
            passwords::draft(db, user.id, now)?,
            passwords::reset(db, user.id)?,
            codes::wanted(db, &user.phone)?,
        ))
    })?;
    let mut secure_random = vec![0; SECURE_RANDOM];
    call.rng.fill_bytes(&mut secure_random);
    let mut answer = types::account::Password {
        new_algo: algorithm(&offer(call, user.id, current.as_ref())),
        new_secure_algo: types::SecurePasswordKdfAlgoPbkdf2Hmacsha512iter100000 {
            salt: Bytes::copy_from_slice(&call.state.derive(b"secure salt", &[user.id]).to_le_bytes()),
        }
        .into(),
        secure_random: secure_random.into(),
        email_unconfirmed_pattern: draft.map(|draft| email_pattern(&draft.email).into()),
        pending_reset_date: reset.due.map(unix32),
        login_email_pattern: wanted.and_then(|wanted| wanted.email).map(|email| email_pattern(&email).into()),
        ..types::account::Password::default()
    };
    if let Some(current) = current {
        let mut seed = Zeroizing::new([0; 32]);
        call.rng.fill_bytes(&mut *seed);
        let public = *challenge(&current.secret, &seed)?.public();
        let id = call.random_id();
        let given = Given { dc, key_id, user: user.id, seed, digest: current.secret.digest(), created: now };
        call.state.write(|tx| passwords::give(tx, id, &given))?;
        answer.has_password = true;
        answer.has_recovery = current.email.is_some();
        answer.current_algo = Some(algorithm(&current.secret.kdf()));
        answer.srp_b = Some(Bytes::copy_from_slice(&public));
        answer.srp_id = Some(id);
        answer.hint = (!current.hint.is_empty()).then(|| current.hint.as_str().into());
    }
    Ok(answer.into())
}

/// Checks what a call says about the account's password. The answer: the password, if there is one.
fn check(call: &mut Call<'_>, user: i64, given: &enums::InputCheckPasswordSrp) -> Result<Option<Password>, Fault> {
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let current = call.state.read(|db| passwords::find(db, user))?;
    let enums::InputCheckPasswordSrp::Srp(proof) = given else {
        return if current.is_none() { Ok(None) } else { Err(Fault::PasswordHashInvalid) };
    };
    let taken = call.state.write(|tx| passwords::take(tx, proof.srp_id, dc, key_id, now))?;
    let Some(taken) = taken.filter(|taken| taken.user == user) else {
        return Err(if current.is_none() { Fault::PasswordHashInvalid } else { Fault::SrpIdInvalid });
    };
    let current = current.filter(|now| now.secret.digest() == taken.digest).ok_or(Fault::SrpPasswordChanged)?;
    match challenge(&current.secret, &taken.seed)?.check(&proof.a, &proof.m1) {
        Ok(()) => Ok(Some(current)),
        Err(SrpError::PublicValue(_)) => Err(Fault::SrpAInvalid),
        Err(_) => Err(Fault::PasswordHashInvalid),
    }
}

/// The second half of a login: the password. Of an account that is logged in already, it is only checked.
pub(crate) fn check_password(call: &mut Call<'_>, req: fa::CheckPassword) -> Result<enums::auth::Authorization, Fault> {
    let user = call.account()?;
    let (dc, key_id, now) = (call.auth.dc, call.auth.key_id, call.now);
    let current = check(call, user.id, &req.password)?;
    let waits = call.waits_for()?.is_some();
    if current.is_none() && !waits {
        return Err(Fault::PasswordHashInvalid);
    }
    if waits {
        call.state.write(|tx| passwords::admit(tx, dc, key_id, user.id, now))?;
        return auth::entered(call, &user, true);
    }
    auth::authorization(call, &user)
}

pub(crate) fn password_settings(
    call: &mut Call<'_>,
    req: f::GetPasswordSettings,
) -> Result<enums::account::PasswordSettings, Fault> {
    let user = call.user_id()?;
    let current = check(call, user, &req.password)?;
    let email = current.and_then(|password| password.email).map(Str::from);
    Ok(types::account::PasswordSettings { email, secure_settings: None }.into())
}

/// What new settings do to the password.
#[derive(Debug)]
enum Change {
    Keep,
    Remove,
    Set(Secret, String),
}

/// Reads the part of new settings that is about the password.
fn change(
    call: &Call<'_>,
    user: i64,
    current: Option<&Password>,
    new: &types::account::PasswordInputSettings,
) -> Result<Change, Fault> {
    // There is no Telegram Passport here, so nothing is encrypted with a password.
    if new.new_secure_settings.is_some() {
        return Err(Fault::NewSettingsInvalid);
    }
    let (Some(algorithm), Some(hash)) = (&new.new_algo, &new.new_password_hash) else { return Ok(Change::Keep) };
    if hash.is_empty() {
        return Ok(Change::Remove);
    }
    let enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm) = algorithm else {
        return Err(Fault::NewSettingsInvalid);
    };
    let offered = offer(call, user, current);
    let continued = algorithm.salt1.len() > offered.salt1().len()
        && algorithm.salt1.len() <= LEN
        && algorithm.salt1.starts_with(offered.salt1());
    if !continued || algorithm.salt2 != offered.salt2() {
        return Err(Fault::NewSaltInvalid);
    }
    if algorithm.g != offered.group().g() || algorithm.p != offered.group().prime()[..] {
        return Err(Fault::NewSettingsInvalid);
    }
    let verifier = offered.check_verifier(hash).map_err(|_| Fault::NewSettingsInvalid)?;
    let secret = Secret {
        salt1: algorithm.salt1.to_vec(),
        salt2: algorithm.salt2.to_vec(),
        verifier: Zeroizing::new(verifier.as_bytes().to_vec()),
    };
    Ok(Change::Set(secret, new.hint.as_deref().unwrap_or_default().to_owned()))
}

pub(crate) fn update_password_settings(call: &mut Call<'_>, req: f::UpdatePasswordSettings) -> Result<bool, Fault> {
    let user = call.user_id()?;
    let current = check(call, user, &req.password)?;
    let enums::account::PasswordInputSettings::Settings(new) = &req.new_settings;
    let change = change(call, user, current.as_ref(), new)?;
    if matches!(change, Change::Keep | Change::Remove) && current.is_none() {
        return Err(Fault::NewSettingsEmpty);
    }
    let old_email = current.as_ref().and_then(|password| password.email.clone());
    // Absent: it stays. Empty: it goes. Another one: it has to be confirmed.
    let email = match new.email.as_deref() {
        None => old_email,
        Some("") => None,
        Some(email) if !is_email(email) => return Err(Fault::EmailInvalid),
        Some(email) => Some(email.to_owned()),
    };
    let is_new_email = email.is_some() && email != current.as_ref().and_then(|password| password.email.clone());
    let digest = current.as_ref().map(|password| password.secret.digest());
    let now = call.now;
    call.state.write(|tx| {
        let stored = passwords::find(tx, user)?;
        if stored.as_ref().map(|password| password.secret.digest()) != digest {
            return Err(Fault::SrpPasswordChanged);
        }
        match (change, email) {
            (Change::Remove, _) => passwords::remove(tx, user)?,
            (change, Some(email)) if is_new_email => {
                let (secret, hint) = match change {
                    Change::Set(secret, hint) => (Some(secret), hint),
                    Change::Keep | Change::Remove => (None, String::new()),
                };
                let draft = Draft { secret, hint, email, expires: now.saturating_add(DRAFT_LIFETIME) };
                passwords::set_draft(tx, user, Some(&draft))?;
            }
            (Change::Set(secret, hint), email) => {
                passwords::set(tx, user, &Password { secret, hint, email, recovery_until: 0 })?;
            }
            (Change::Keep, email) => {
                if let Some(stored) = stored {
                    passwords::set(tx, user, &Password { email, ..stored })?;
                }
            }
        }
        Ok(())
    })?;
    // Nothing of this holds yet; the error is how the servers say so.
    let removed = matches!(&new.new_password_hash, Some(hash) if hash.is_empty());
    if is_new_email && !removed { Err(Fault::EmailUnconfirmed(EMAIL_CODE_LENGTH)) } else { Ok(true) }
}

/// Sets a password without asking for the old one: after a recovery.
pub(super) fn replace(
    call: &Call<'_>,
    user: i64,
    current: &Password,
    new: &enums::account::PasswordInputSettings,
) -> Result<Password, Fault> {
    let enums::account::PasswordInputSettings::Settings(new) = new;
    match change(call, user, Some(current), new)? {
        Change::Set(secret, hint) if new.email.is_none() => {
            Ok(Password { secret, hint, email: current.email.clone(), recovery_until: 0 })
        }
        _ => Err(Fault::NewSettingsInvalid),
    }
}

/// The code that goes to an account's addresses.
pub(super) fn email_code(user: &User) -> Result<String, Fault> {
    Delivery::Email.code(user.dc).ok_or(Fault::CodeInvalid)
}

fn current_draft(call: &Call<'_>, user: i64) -> Result<Draft, Fault> {
    let now = call.now;
    call.state.read(|db| passwords::draft(db, user, now))?.ok_or(Fault::EmailHashExpired)
}

/// The settings that waited for this hold now.
pub(crate) fn confirm_password_email(call: &mut Call<'_>, req: f::ConfirmPasswordEmail) -> Result<bool, Fault> {
    let user = call.user()?;
    let draft = current_draft(call, user.id)?;
    if *req.code != *email_code(&user)? {
        return Err(Fault::CodeInvalid);
    }
    let Draft { secret, hint, email, .. } = draft;
    call.state.write(|tx| {
        let current = passwords::find(tx, user.id)?;
        let password = match (secret, current) {
            (Some(secret), _) => Password { secret, hint, email: Some(email), recovery_until: 0 },
            (None, Some(current)) => Password { email: Some(email), ..current },
            // The password whose address this was to be is gone.
            (None, None) => return Err(Fault::EmailHashExpired),
        };
        passwords::set(tx, user.id, &password)?;
        Ok(())
    })?;
    Ok(true)
}

/// It is the same code again.
pub(crate) fn resend_password_email(call: &mut Call<'_>, _: f::ResendPasswordEmail) -> Result<bool, Fault> {
    let user = call.user_id()?;
    current_draft(call, user)?;
    Ok(true)
}

/// The settings that wait are forgotten.
pub(crate) fn cancel_password_email(call: &mut Call<'_>, _: f::CancelPasswordEmail) -> Result<bool, Fault> {
    let user = call.user_id()?;
    current_draft(call, user)?;
    call.state.write(|tx| passwords::set_draft(tx, user, None))?;
    Ok(true)
}
