//! Codes by email, and the address that has to be set up first.

use super::*;

use functions::{
    account::{SendVerifyEmailCode, VerifyEmail},
    auth::{ResendCode, ResetLoginEmail, SendCode, SignIn},
};

fn by_email() -> types::auth::SentCodeTypeEmailCode {
    types::auth::SentCodeTypeEmailCode {
        email_pattern: "a***@example.org".into(),
        length: 6,
        reset_available_period: Some(3600),
        ..Default::default()
    }
}

fn wanted() -> enums::auth::SentCode {
    sent_by(types::auth::SentCodeTypeSetUpEmailRequired::default().into())
}

fn verify_sent() -> enums::account::SentEmailCode {
    types::account::SentEmailCode { email_pattern: "a***@example.org".into(), length: 6 }.into()
}

fn verified() -> enums::account::EmailVerified {
    types::account::EmailVerifiedLogin { email: "ada@example.org".into(), sent_code: sent_by(by_email().into()) }.into()
}

fn answers(emails: &[&'static str], codes: &[&str]) -> Answers {
    Answers { emails: emails.iter().copied().collect(), ..Answers::codes(codes) }
}

#[test]
fn a_code_that_came_by_email_is_sent_as_such() {
    let api = Script::default()
        .step::<SendCode>(sent_by(by_email().into()))
        .fails::<SignIn>(rpc(400, "EMAIL_CODE_INVALID"))
        .step::<SignIn>(authorization());
    let mut answers = Answers::codes(&["111 111", "123 456"]);
    login(&api, &mut answers).expect("logged in");
    let sign_in: SignIn = api.request(2);
    assert_eq!(sign_in.phone_code, None);
    let Some(enums::EmailVerification::Code(code)) = sign_in.email_verification else { panic!("no code of an email") };
    assert_eq!(code.code.as_ref(), "123456");
    let seen = &answers.seen[0];
    assert_eq!(seen.delivery, Delivery::Email { pattern: "a***@example.org".into() });
    assert_eq!((seen.length, seen.email_reset), (Some(6), Some(EmailReset::After(3600))));
}

#[test]
fn an_email_that_cannot_be_read_any_more_is_taken_away() {
    let api = Script::default()
        .step::<SendCode>(sent_by(by_email().into()))
        .step::<ResetLoginEmail>(sent_by(types::auth::SentCodeTypeSms { length: 5 }.into()))
        .step::<SignIn>(authorization());
    let mut typed = Answers::codes(&["22222"]);
    typed.codes.push_front(CodeAnswer::ResetEmail);
    login(&api, &mut typed).expect("logged in");
    let sign_in: SignIn = api.request(2);
    assert_eq!(sign_in.phone_code.as_deref(), Some("22222"));

    let pending = types::auth::SentCodeTypeEmailCode { reset_pending_date: Some(1_800_000_600), ..by_email() };
    let api = Script::default()
        .step::<SendCode>(sent_by(pending.into()))
        .fails::<ResetLoginEmail>(rpc(400, "TASK_ALREADY_EXISTS"))
        .step::<SignIn>(authorization());
    let mut typed = Answers::codes(&["123456"]);
    typed.codes.push_front(CodeAnswer::ResetEmail);
    login(&api, &mut typed).expect("logged in");
    let resets: Vec<_> = typed.seen.iter().map(|seen| seen.email_reset).collect();
    assert_eq!(resets, [Some(EmailReset::At(1_800_000_600)), None]);
}

#[test]
fn an_address_is_set_up_where_one_is_wanted() {
    let api = Script::default()
        .step::<SendCode>(wanted())
        .fails::<SendVerifyEmailCode>(rpc(400, "EMAIL_INVALID"))
        .step::<SendVerifyEmailCode>(verify_sent())
        .fails::<VerifyEmail>(rpc(400, "CODE_INVALID"))
        .step::<SendVerifyEmailCode>(verify_sent())
        .step::<VerifyEmail>(verified())
        .step::<SignIn>(authorization());
    let mut answers = answers(&["ada", " ada@example.org "], &["000000"]);
    answers.codes.push_back(CodeAnswer::Resend);
    answers.codes.extend(["654-321", "123456"].map(|code| CodeAnswer::Code(code.into())));
    assert_eq!(login(&api, &mut answers).expect("logged in"), LoggedIn::In(me()));
    assert_eq!(answers.refused, [None, Some("EMAIL_INVALID".to_owned())]);
    let send: SendVerifyEmailCode = api.request(2);
    assert_eq!(send.email.as_ref(), "ada@example.org");
    let enums::EmailVerifyPurpose::LoginSetup(purpose) = send.purpose else { panic!("another purpose") };
    assert_eq!((purpose.phone_number.as_ref(), purpose.phone_code_hash.as_ref()), ("9996621234", "h1"));
    let verify: VerifyEmail = api.request(5);
    let enums::EmailVerification::Code(code) = verify.verification else { panic!("no code") };
    assert_eq!(code.code.as_ref(), "654321");
    assert_eq!(answers.seen.len(), 4, "three times for the address, once for the login");
}

#[test]
fn an_address_that_cannot_be_set_up_ends_the_login() {
    let mut api = Script::default().step::<SendCode>(wanted());
    for name in ["EMAIL_INVALID", "EMAIL_NOT_ALLOWED", "EMAIL_NOT_ALLOWED"] {
        api = api.fails::<SendVerifyEmailCode>(rpc(400, name));
    }
    let error = login(&api, &mut answers(&["a", "b", "c", "d"], &[])).expect_err("refused");
    assert!(matches!(&error, Error::EmailRefused { name } if name == "EMAIL_NOT_ALLOWED") && error.advice().is_some());

    let api = Script::default().step::<SendCode>(wanted());
    assert!(matches!(login(&api, &mut Answers::default()), Err(Error::Prompt(e)) if e.to_string() == "no email"));

    let api = Script::default().step::<SendCode>(wanted()).fails::<SendVerifyEmailCode>(rpc(400, "PHONE_NUMBER_BANNED"));
    assert!(matches!(login(&api, &mut answers(&["a@b"], &[])), Err(Error::PhoneBanned)));

    let begun = || Script::default().step::<SendCode>(wanted()).step::<SendVerifyEmailCode>(verify_sent());
    let mut api = begun();
    for _ in 0..MAX_CODE_ATTEMPTS {
        api = api.fails::<VerifyEmail>(rpc(400, "EMAIL_CODE_INVALID"));
    }
    assert!(matches!(login(&api, &mut answers(&["a@b"], &["1", "2", "3", "4"])), Err(Error::CodeWrong { .. })));

    let api = begun().fails::<VerifyEmail>(rpc(400, "EMAIL_VERIFY_EXPIRED"));
    assert!(matches!(login(&api, &mut answers(&["a@b"], &["1"])), Err(Error::CodeExpired)));

    let only: enums::account::EmailVerified = types::account::EmailVerified { email: "a@b".into() }.into();
    let api = begun().step::<VerifyEmail>(only);
    assert!(matches!(login(&api, &mut answers(&["a@b"], &["1"])), Err(Error::Nonsense { method: "account.verifyEmail", .. })));

    let mut cancelled = answers(&["a@b"], &[]);
    cancelled.codes.push_back(CodeAnswer::Cancel);
    assert!(matches!(login(&begun(), &mut cancelled), Err(Error::Cancelled)));

    let mut api = begun();
    for _ in 0..MAX_RESENDS {
        api = api.step::<SendVerifyEmailCode>(verify_sent());
    }
    let mut again = answers(&["a@b"], &[]);
    again.codes.extend((0..9).map(|_| CodeAnswer::Resend));
    assert!(matches!(login(&api, &mut again), Err(Error::TooManyResends)));
}

#[test]
fn a_server_that_wants_an_address_again_and_again_is_left() {
    let again: enums::account::EmailVerified =
        types::account::EmailVerifiedLogin { email: "a@b".into(), sent_code: wanted() }.into();
    let mut api = Script::default().step::<SendCode>(wanted());
    for _ in 0..3 {
        api = api.step::<SendVerifyEmailCode>(verify_sent()).step::<VerifyEmail>(again.clone());
    }
    let result = login(&api, &mut answers(&["a@b"; 3], &["1", "1", "1"]));
    assert!(matches!(result, Err(Error::Nonsense { method: "auth.sendCode", .. })), "{result:?}");
    // A resent code may want an address as well.
    let api = Script::default()
        .step::<SendCode>(sent())
        .step::<ResendCode>(wanted())
        .step::<SendVerifyEmailCode>(verify_sent())
        .step::<VerifyEmail>(verified())
        .step::<SignIn>(authorization());
    let mut typed = answers(&["a@b"], &["1", "2"]);
    typed.codes.push_front(CodeAnswer::Resend);
    login(&api, &mut typed).expect("logged in");
}
