//! The email address that some accounts need before they are let in ("User Authorization", `auth.sentCodeTypeSetUpEmailRequired`).
//!
//! ```text
//! account.sendVerifyEmailCode ─▶ the person reads the code ─▶ account.verifyEmail ─▶ account.emailVerifiedLogin, with the next auth.sentCode
//! ```

use crate::tl::{
    Str,
    api::{
        enums::{self, account::EmailVerified},
        functions, types,
    },
};

use super::{
    Api, CodeAnswer, CodeSent, Error, LoginPrompts,
    error::is,
    phone::{MAX_CODE_ATTEMPTS, MAX_RESENDS, WRONG_CODE},
};

/// How many addresses may be refused.
const MAX_ADDRESSES: u32 = 3;

/// What servers call an address that they do not take.
const REFUSED: &[&str] = &["EMAIL_INVALID", "EMAIL_NOT_ALLOWED", "EMAIL_NOT_SETUP"];

/// Sets an address up, and answers with how the login code comes then.
pub(super) async fn set_up(
    api: &impl Api,
    prompts: &mut impl LoginPrompts,
    phone: &str,
    hash: &Str,
) -> Result<enums::auth::SentCode, Error> {
    let purpose: enums::EmailVerifyPurpose =
        types::EmailVerifyPurposeLoginSetup { phone_number: phone.into(), phone_code_hash: hash.clone() }.into();
    let (mut refused, mut name): (u32, Option<String>) = (0, None);
    let (request, mut sent) = loop {
        let email = prompts.email(name.as_deref()).await.map_err(Error::Prompt)?;
        let request = functions::account::SendVerifyEmailCode { purpose: purpose.clone(), email: email.trim().into() };
        match api.invoke(&request).await {
            Ok(enums::account::SentEmailCode::Code(sent)) => break (request, sent),
            Err(crate::client::InvokeError::Rpc(error)) if REFUSED.contains(&error.name.as_str()) => {
                refused += 1;
                if refused == MAX_ADDRESSES {
                    return Err(Error::EmailRefused { name: error.name });
                }
                name = Some(error.name);
            }
            Err(error) => return Err(Error::of_login(error, phone)),
        }
    };
    let (mut wrong, mut resent) = (0, 0);
    loop {
        let code = CodeSent::to_new_email(&sent);
        match prompts.code(&code, wrong).await.map_err(Error::Prompt)? {
            CodeAnswer::Cancel => return Err(Error::Cancelled),
            CodeAnswer::Code(text) => {
                let text = code.typed(&text).unwrap_or_default();
                let verification = types::EmailVerificationCode { code: text.into() }.into();
                let request = functions::account::VerifyEmail { purpose: purpose.clone(), verification };
                match api.invoke(&request).await {
                    Ok(EmailVerified::Login(verified)) => return Ok(verified.sent_code),
                    Ok(EmailVerified::Verified(_)) => {
                        return Err(Error::Nonsense {
                            method: "account.verifyEmail",
                            what: "it does not go on with the login",
                        });
                    }
                    Err(error) if is(&error, WRONG_CODE) => {
                        wrong += 1;
                        if wrong == MAX_CODE_ATTEMPTS {
                            return Err(Error::CodeWrong { attempts: wrong });
                        }
                    }
                    Err(error) => return Err(Error::of_login(error, phone)),
                }
            }
            // There is one way to an address that is not known yet: the same again.
            CodeAnswer::Resend | CodeAnswer::Missing { .. } | CodeAnswer::ResetEmail => {
                resent += 1;
                if resent > MAX_RESENDS {
                    return Err(Error::TooManyResends);
                }
                let answer = api.invoke(&request).await.map_err(|error| Error::of_login(error, phone))?;
                let enums::account::SentEmailCode::Code(again) = answer;
                (sent, wrong) = (again, 0);
            }
        }
    }
}
