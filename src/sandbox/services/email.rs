//! The address that login codes can go to: named during a login that demands one, and changed later. "User Authorization".

use tdl_core::tl::api::functions::account as f;
use tdl_core::tl::api::{enums, types};

use super::{Call, codes as login_codes};
use crate::delivery::{Delivery, EMAIL_CODE_LENGTH, email_pattern, is_email};
use crate::fault::Fault;
use crate::state::codes::{self, Wanted};
use crate::state::users::{Phone, User};

/// The login that an address is set up for, if it demands one.
fn login(call: &Call<'_>, purpose: &types::EmailVerifyPurposeLoginSetup) -> Result<(Phone, codes::LoginCode, Wanted), Fault> {
    let phone = login_codes::local_phone(call, &purpose.phone_number)?;
    let code = login_codes::find(call, &phone, &purpose.phone_code_hash).map_err(|fault| match fault {
        Fault::PhoneCodeExpired | Fault::PhoneCodeHashEmpty => Fault::PhoneHashExpired,
        other => other,
    })?;
    let wanted = call.state.read(|db| codes::wanted(db, &phone.digits))?;
    let wanted = wanted.filter(|wanted| wanted.kinds.first() == Delivery::EmailSetup);
    Ok((phone, code, wanted.ok_or(Fault::EmailNotAllowed)?))
}

/// The account's login address, if it has one.
fn own(call: &Call<'_>) -> Result<(User, Wanted), Fault> {
    let user = call.user()?;
    if user.dc != call.dc {
        return Err(Fault::UserMigrate(user.dc));
    }
    let wanted = call.state.read(|db| codes::wanted(db, &user.phone))?.filter(|wanted| wanted.email.is_some());
    Ok((user, wanted.ok_or(Fault::EmailNotSetup)?))
}

/// Nothing is sent anywhere; see [`crate::delivery`] for what the code is.
pub(crate) fn send_verify_email_code(
    call: &mut Call<'_>,
    req: f::SendVerifyEmailCode,
) -> Result<enums::account::SentEmailCode, Fault> {
    let email: &str = &req.email;
    match &req.purpose {
        enums::EmailVerifyPurpose::LoginSetup(purpose) => {
            login(call, purpose)?;
            valid(email)?;
            call.state.write(|tx| codes::name_email(tx, &purpose.phone_code_hash, email))?;
        }
        enums::EmailVerifyPurpose::LoginChange => {
            let (user, wanted) = own(call)?;
            valid(email)?;
            let wanted = Wanted { new_email: Some(email.to_owned()), ..wanted };
            call.state.write(|tx| codes::want(tx, &user.phone, &wanted))?;
        }
        // There is no Telegram Passport here.
        enums::EmailVerifyPurpose::Passport => {
            call.user_id()?;
            return Err(Fault::EmailNotAllowed);
        }
    }
    Ok(types::account::SentEmailCode { email_pattern: email_pattern(email).into(), length: EMAIL_CODE_LENGTH }.into())
}

fn valid(email: &str) -> Result<(), Fault> {
    if is_email(email) { Ok(()) } else { Err(Fault::EmailInvalid) }
}

fn check(dc: i32, given: &enums::EmailVerification) -> Result<(), Fault> {
    match given {
        enums::EmailVerification::Code(given) if Delivery::Email.code(dc).is_some_and(|code| code == *given.code) => Ok(()),
        _ => Err(Fault::CodeInvalid),
    }
}

/// The address is the account's from here on. In a login, the login code goes to it at once.
pub(crate) fn verify_email(call: &mut Call<'_>, req: f::VerifyEmail) -> Result<enums::account::EmailVerified, Fault> {
    match &req.purpose {
        enums::EmailVerifyPurpose::LoginSetup(purpose) => {
            let (phone, code, wanted) = login(call, purpose)?;
            let email = code.email.ok_or(Fault::EmailVerifyExpired)?;
            check(phone.dc, &req.verification)?;
            let kinds = wanted.kinds.with_first(Delivery::Email);
            let wanted = Wanted { kinds, email: Some(email.clone()), new_email: None };
            call.state.write(|tx| codes::want(tx, &phone.digits, &wanted))?;
            let sent_code = login_codes::send(call, &phone, 0)?;
            Ok(types::account::EmailVerifiedLogin { email: email.into(), sent_code }.into())
        }
        enums::EmailVerifyPurpose::LoginChange => {
            let (user, wanted) = own(call)?;
            let email = wanted.new_email.clone().ok_or(Fault::EmailVerifyExpired)?;
            check(user.dc, &req.verification)?;
            let wanted = Wanted { email: Some(email.clone()), new_email: None, ..wanted };
            call.state.write(|tx| codes::want(tx, &user.phone, &wanted))?;
            Ok(types::account::EmailVerified { email: email.into() }.into())
        }
        enums::EmailVerifyPurpose::Passport => {
            call.user_id()?;
            Err(Fault::EmailNotAllowed)
        }
    }
}
