//! Login codes: `auth.sendCode` and what goes with it. How a code travels is the number's: see [`crate::delivery`].
//!
//! `auth.resendCode` goes through the number's deliveries, one after another, and each is announced by `next_type` in the answer before.
//! A number about which nobody has said anything has one: the account's other sessions if it has any, and a text message otherwise.

use std::fmt::Write as _;

use tdl_core::tl::api::functions::auth as f;
use tdl_core::tl::api::{enums, types};

use super::{Call, notices};
use crate::delivery::{CALLER_PREFIX, CODE_LENGTH, Deliveries, Delivery, EMAIL_CODE_LENGTH, email_pattern};
use crate::fault::Fault;
use crate::state::codes::{self, CODE_LIFETIME, LoginCode, Wanted};
use crate::state::keys;
use crate::state::users::{self, Phone};

/// Seconds after which the next delivery may be asked for.
const NEXT_AFTER: i32 = 60;

/// The number, if it is one of this cluster and its home is here.
pub(super) fn local_phone(call: &Call<'_>, number: &str) -> Result<Phone, Fault> {
    let phone = Phone::parse(number, call.settings.dc_count()).ok_or(Fault::PhoneNumberInvalid)?;
    if phone.dc == call.dc { Ok(phone) } else { Err(Fault::PhoneMigrate(phone.dc)) }
}

/// How the number wants its codes, and whether somebody has said so.
fn deliveries(call: &Call<'_>, phone: &Phone) -> Result<(Wanted, bool), Fault> {
    call.state.read(|db| {
        if let Some(wanted) = codes::wanted(db, &phone.digits)? {
            return Ok((wanted, true));
        }
        let elsewhere = match users::by_phone(db, &phone.digits)? {
            Some(user) => !keys::authorizations(db, user.id)?.is_empty(),
            None => false,
        };
        let only = if elsewhere { Delivery::App } else { Delivery::Sms };
        Ok((Wanted { kinds: only.into(), email: None, new_email: None }, false))
    })
}

/// Sends a code by the delivery at a place in the list.
pub(super) fn send(call: &mut Call<'_>, phone: &Phone, step: usize) -> Result<enums::auth::SentCode, Fault> {
    let (wanted, _) = deliveries(call, phone)?;
    let kind = wanted.kinds.at(step).ok_or(Fault::SendCodeUnavailable)?;
    let r#type = sent_type(kind, phone, &wanted)?;
    let mut hash = String::with_capacity(18);
    for _ in 0..2 {
        let _ = write!(hash, "{:08x}", call.rng.next_u32());
    }
    let (now, dc) = (call.now, call.dc);
    call.state.write(|tx| codes::add(tx, &hash, &phone.digits, dc, step, now))?;
    if kind == Delivery::App {
        tell_sessions(call, phone)?;
    }
    let next_type = next_type(&wanted.kinds, step.saturating_add(1));
    let timeout = next_type.is_some().then_some(NEXT_AFTER);
    Ok(types::auth::SentCode { r#type, phone_code_hash: hash.into(), next_type, timeout }.into())
}

/// The account's other sessions are told the code, by a message from the service.
fn tell_sessions(call: &mut Call<'_>, phone: &Phone) -> Result<(), Fault> {
    let user = call.state.read(|db| {
        let Some(user) = users::by_phone(db, &phone.digits)? else { return Ok(None) };
        Ok::<_, Fault>((!keys::authorizations(db, user.id)?.is_empty()).then_some(user))
    })?;
    match (user, Delivery::App.code(phone.dc)) {
        (Some(user), Some(code)) => notices::login_code(call, user.id, &code),
        _ => Ok(()),
    }
}

fn sent_type(kind: Delivery, phone: &Phone, wanted: &Wanted) -> Result<enums::auth::SentCodeType, Fault> {
    let length = CODE_LENGTH;
    let beginning = |code: &str| code.chars().next().map(|first| first.to_string().as_str().into());
    let code = kind.code(phone.dc).unwrap_or_default();
    Ok(match kind {
        Delivery::App => types::auth::SentCodeTypeApp { length }.into(),
        Delivery::Sms => types::auth::SentCodeTypeSms { length }.into(),
        Delivery::Call => types::auth::SentCodeTypeCall { length }.into(),
        Delivery::FlashCall => types::auth::SentCodeTypeFlashCall { pattern: format!("{CALLER_PREFIX}*").into() }.into(),
        Delivery::MissedCall => types::auth::SentCodeTypeMissedCall { prefix: CALLER_PREFIX.into(), length }.into(),
        Delivery::Fragment => {
            types::auth::SentCodeTypeFragmentSms { url: "https://fragment.com/login/sandbox".into(), length }.into()
        }
        Delivery::Firebase => {
            types::auth::SentCodeTypeFirebaseSms { length, ..types::auth::SentCodeTypeFirebaseSms::default() }.into()
        }
        Delivery::SmsWord => types::auth::SentCodeTypeSmsWord { beginning: beginning(&code) }.into(),
        Delivery::SmsPhrase => {
            let beginning = code.split(' ').next().map(Into::into);
            types::auth::SentCodeTypeSmsPhrase { beginning }.into()
        }
        Delivery::Email => types::auth::SentCodeTypeEmailCode {
            email_pattern: email_pattern(wanted.email.as_deref().unwrap_or_default()).into(),
            length: EMAIL_CODE_LENGTH,
            reset_available_period: Some(0),
            ..types::auth::SentCodeTypeEmailCode::default()
        }
        .into(),
        Delivery::EmailSetup => types::auth::SentCodeTypeSetUpEmailRequired::default().into(),
        Delivery::Banned => return Err(Fault::PhoneNumberBanned),
        Delivery::Flood => return Err(Fault::PhoneNumberFlood),
    })
}

fn next_type(kinds: &Deliveries, step: usize) -> Option<enums::auth::CodeType> {
    Some(match kinds.at(step)? {
        Delivery::Call => enums::auth::CodeType::Call,
        Delivery::FlashCall => enums::auth::CodeType::FlashCall,
        Delivery::MissedCall => enums::auth::CodeType::MissedCall,
        Delivery::Fragment => enums::auth::CodeType::FragmentSms,
        _ => enums::auth::CodeType::Sms,
    })
}

/// Nothing is sent anywhere: the code of a test number is known from the number.
pub(crate) fn send_code(call: &mut Call<'_>, req: f::SendCode) -> Result<enums::auth::SentCode, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    send(call, &phone, 0)
}

/// By the next of the number's deliveries; where nobody has said which, the same again.
pub(crate) fn resend_code(call: &mut Call<'_>, req: f::ResendCode) -> Result<enums::auth::SentCode, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    let code = find(call, &phone, &req.phone_code_hash)?;
    let (_, said) = deliveries(call, &phone)?;
    send(call, &phone, if said { code.step.saturating_add(1) } else { 0 })
}

pub(crate) fn cancel_code(call: &mut Call<'_>, req: f::CancelCode) -> Result<bool, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    find(call, &phone, &req.phone_code_hash)?;
    call.state.write(|tx| codes::remove(tx, &req.phone_code_hash))?;
    Ok(true)
}

/// The login code that a hash stands for, if it is this number's and still good.
pub(super) fn find(call: &Call<'_>, phone: &Phone, hash: &str) -> Result<LoginCode, Fault> {
    if hash.is_empty() {
        return Err(Fault::PhoneCodeHashEmpty);
    }
    let code = call.state.read(|db| codes::find(db, hash))?.ok_or(Fault::PhoneCodeExpired)?;
    let good = code.phone == phone.digits && code.dc == call.dc && call.now <= code.created.saturating_add(CODE_LIFETIME);
    if good { Ok(code) } else { Err(Fault::PhoneCodeExpired) }
}

/// Checks what was given for a code.
pub(super) fn check(call: &Call<'_>, phone: &Phone, code: &LoginCode, req: &f::SignIn) -> Result<(), Fault> {
    let (wanted, _) = deliveries(call, phone)?;
    let kind = wanted.kinds.at(code.step).unwrap_or(Delivery::Sms);
    let right = kind.code(phone.dc).ok_or(Fault::PhoneCodeInvalid)?;
    let given = match (kind, &req.email_verification) {
        (Delivery::Email, Some(enums::EmailVerification::Code(verification))) => &*verification.code,
        // Nobody has an account of Apple's or Google's here; and the address that is to be set up has to be first.
        (_, Some(_)) | (Delivery::Email | Delivery::EmailSetup, None) => return Err(Fault::PhoneCodeInvalid),
        (_, None) => req.phone_code.as_deref().unwrap_or_default().trim(),
    };
    let given = if kind == Delivery::FlashCall { given.trim_start_matches('+') } else { given };
    if given.eq_ignore_ascii_case(&right) { Ok(()) } else { Err(Fault::PhoneCodeInvalid) }
}

/// The login address is forgotten at once, and the code comes by text message.
pub(crate) fn reset_login_email(call: &mut Call<'_>, req: f::ResetLoginEmail) -> Result<enums::auth::SentCode, Fault> {
    let phone = local_phone(call, &req.phone_number)?;
    find(call, &phone, &req.phone_code_hash)?;
    let (wanted, _) = deliveries(call, &phone)?;
    if wanted.email.is_none() {
        return Err(Fault::EmailInstallMissing);
    }
    let wanted = Wanted { kinds: wanted.kinds.with_first(Delivery::Sms), email: None, new_email: None };
    call.state.write(|tx| codes::want(tx, &phone.digits, &wanted))?;
    send(call, &phone, 0)
}
