//! Login codes by every way there is, email addresses, terms of service.

use tdl_core::tl::api::{enums, functions as f, types};

use super::{Key, World};
use crate::delivery::{Deliveries, Delivery};
use crate::state::codes::{self, CODE_LIFETIME, Wanted};

type SentType = enums::auth::SentCodeType;

const PHONE: &str = "9996622222";

fn want(world: &World, kinds: &str) {
    let kinds: Deliveries = kinds.parse().unwrap();
    let email = (kinds.first() == Delivery::Email).then(|| "bob@example.org".to_owned());
    world.state.write(|tx| codes::want(tx, PHONE, &Wanted { kinds, email, new_email: None })).unwrap();
}

fn send() -> f::auth::SendCode {
    let settings = types::CodeSettings::default().into();
    f::auth::SendCode { phone_number: PHONE.into(), api_id: 1, api_hash: "x".into(), settings }
}

fn sent(answer: enums::auth::SentCode) -> types::auth::SentCode {
    match answer {
        enums::auth::SentCode::Code(sent) => *sent,
        _ => panic!("a code"),
    }
}

fn sign_in(hash: &str, code: &str) -> f::auth::SignIn {
    f::auth::SignIn {
        phone_number: PHONE.into(),
        phone_code_hash: hash.into(),
        phone_code: Some(code.into()),
        email_verification: None,
    }
}

fn sign_in_by_email(hash: &str, code: &str) -> f::auth::SignIn {
    let verification = types::EmailVerificationCode { code: code.into() };
    f::auth::SignIn { phone_code: None, email_verification: Some(verification.into()), ..sign_in(hash, "") }
}

fn resend(hash: &str) -> f::auth::ResendCode {
    f::auth::ResendCode { phone_number: PHONE.into(), phone_code_hash: hash.into(), reason: None }
}

fn log_in(world: &mut World, key: Key, hash: &str, code: &str) {
    assert!(matches!(world.call(key, sign_in(hash, code)).unwrap(), enums::auth::Authorization::Authorization(_)));
}

#[test]
fn every_delivery_is_named_and_has_its_code() {
    let mut world = World::new();
    world.account(PHONE, "Bob");
    let is = |kind: Delivery, found: &SentType| match (kind, found) {
        (Delivery::App, SentType::App(t)) => t.length == 5,
        (Delivery::Sms, SentType::Sms(t)) => t.length == 5,
        (Delivery::Call, SentType::Call(t)) => t.length == 5,
        (Delivery::Firebase, SentType::FirebaseSms(t)) => t.length == 5,
        (Delivery::Fragment, SentType::FragmentSms(t)) => t.length == 5 && t.url.starts_with("https://"),
        (Delivery::FlashCall, SentType::FlashCall(t)) => &*t.pattern == "+99966*",
        (Delivery::MissedCall, SentType::MissedCall(t)) => (&*t.prefix, t.length) == ("+99966", 5),
        (Delivery::SmsWord, SentType::SmsWord(t)) => t.beginning.as_deref() == Some("b"),
        (Delivery::SmsPhrase, SentType::SmsPhrase(t)) => t.beginning.as_deref() == Some("birch"),
        _ => false,
    };
    let others = [Delivery::Email, Delivery::EmailSetup, Delivery::Banned, Delivery::Flood];
    for kind in Delivery::ALL.into_iter().filter(|kind| !others.contains(kind)) {
        want(&world, kind.name());
        let key = world.key(2);
        let answer = sent(world.call(key, send()).unwrap());
        assert!(is(kind, &answer.r#type), "{kind}: {answer:?}");
        assert_eq!((answer.next_type, answer.timeout), (None, None));
        assert_eq!(world.fault(key, sign_in(&answer.phone_code_hash, "wrong")), "PHONE_CODE_INVALID");
        assert_eq!(world.fault(key, sign_in_by_email(&answer.phone_code_hash, "222222")), "PHONE_CODE_INVALID");
        log_in(&mut world, key, &answer.phone_code_hash, &kind.code(2).unwrap());
    }
}

#[test]
fn resending_goes_through_what_was_announced() {
    use enums::auth::CodeType;
    let mut world = World::new();
    world.account(PHONE, "Bob");
    want(&world, "app,sms,flash-call,missed-call,call,fragment,sms-word");
    let key = world.key(2);
    let mut answer = sent(world.call(key, send()).unwrap());
    let announced =
        [CodeType::Sms, CodeType::FlashCall, CodeType::MissedCall, CodeType::Call, CodeType::FragmentSms, CodeType::Sms];
    for next in announced {
        assert_eq!((answer.next_type, answer.timeout), (Some(next), Some(60)));
        let before = answer.phone_code_hash.clone();
        answer = sent(world.call(key, resend(&before)).unwrap());
        assert_eq!(world.fault(key, resend(&before)), "PHONE_CODE_EXPIRED");
    }
    assert!(matches!(answer.r#type, SentType::SmsWord(_)));
    assert_eq!((answer.next_type, answer.timeout), (None, None));
    assert_eq!(world.fault(key, sign_in(&answer.phone_code_hash, "22222")), "PHONE_CODE_INVALID", "it is a word now");
    assert_eq!(world.fault(key, resend(&answer.phone_code_hash)), "SEND_CODE_UNAVAILABLE");
    log_in(&mut world, key, &answer.phone_code_hash, "Birch");
    // Who has said nothing gets the same again.
    world.state.write(|tx| codes::want_default(tx, PHONE)).unwrap();
    let other = world.key(2);
    let answer = sent(world.call(other, send()).unwrap());
    assert!(matches!(answer.r#type, SentType::App(_)));
    assert!(matches!(sent(world.call(other, resend(&answer.phone_code_hash)).unwrap()).r#type, SentType::App(_)));
}

#[test]
fn numbers_that_are_refused() {
    let mut world = World::new();
    let key = world.key(2);
    want(&world, "banned");
    assert_eq!(world.fault(key, send()), "PHONE_NUMBER_BANNED");
    want(&world, "flood");
    assert_eq!(world.fault(key, send()), "PHONE_NUMBER_FLOOD");
}

#[test]
fn a_code_by_email_is_an_email_verification() {
    let mut world = World::new();
    world.account(PHONE, "Bob");
    want(&world, "email,sms");
    let key = world.key(2);
    let answer = sent(world.call(key, send()).unwrap());
    let SentType::EmailCode(by_email) = &answer.r#type else { panic!("{answer:?}") };
    assert_eq!((&*by_email.email_pattern, by_email.length), ("b***@example.org", 6));
    let hash = &answer.phone_code_hash;
    assert_eq!(world.fault(key, sign_in(hash, "222222")), "PHONE_CODE_INVALID", "that is no email verification");
    assert_eq!(world.fault(key, sign_in_by_email(hash, "222223")), "PHONE_CODE_INVALID");
    let google = types::EmailVerificationGoogle { token: "222222".into() };
    let by_google = f::auth::SignIn { email_verification: Some(google.into()), ..sign_in(hash, "") };
    assert_eq!(world.fault(key, by_google), "PHONE_CODE_INVALID");
    world.call(key, sign_in_by_email(hash, "222222")).unwrap();
    let enums::account::Password::Password(password) = world.call(key, f::account::GetPassword).unwrap();
    assert_eq!(password.login_email_pattern.as_deref(), Some("b***@example.org"));
    // Whoever has lost the address goes on without it.
    let other = world.key(2);
    let answer = sent(world.call(other, send()).unwrap());
    let reset = |hash| f::auth::ResetLoginEmail { phone_number: PHONE.into(), phone_code_hash: hash };
    let by_sms = sent(world.call(other, reset(answer.phone_code_hash)).unwrap());
    assert!(matches!(by_sms.r#type, SentType::Sms(_)));
    assert_eq!(world.fault(other, reset(by_sms.phone_code_hash.clone())), "EMAIL_INSTALL_MISSING");
    log_in(&mut world, other, &by_sms.phone_code_hash, "22222");
}

#[test]
fn an_address_that_a_login_demands_is_set_up_in_it() {
    let mut world = World::new();
    world.account(PHONE, "Bob");
    want(&world, "email-setup,sms");
    let key = world.key(2);
    let answer = sent(world.call(key, send()).unwrap());
    assert!(matches!(answer.r#type, SentType::SetUpEmailRequired(_)));
    assert_eq!(world.fault(key, sign_in(&answer.phone_code_hash, "222222")), "PHONE_CODE_INVALID");
    let purpose = |hash: &str| {
        enums::EmailVerifyPurpose::from(types::EmailVerifyPurposeLoginSetup {
            phone_number: PHONE.into(),
            phone_code_hash: hash.into(),
        })
    };
    let name = |purpose, email: &str| f::account::SendVerifyEmailCode { purpose, email: email.into() };
    let verify = |purpose, code: &str| f::account::VerifyEmail {
        purpose,
        verification: types::EmailVerificationCode { code: code.into() }.into(),
    };
    let hash = answer.phone_code_hash.to_string();
    assert_eq!(world.fault(key, verify(purpose(&hash), "222222")), "EMAIL_VERIFY_EXPIRED", "none was named");
    assert_eq!(world.fault(key, name(purpose("x"), "bob@example.org")), "PHONE_HASH_EXPIRED");
    assert_eq!(world.fault(key, name(purpose(&hash), "bob")), "EMAIL_INVALID");
    let enums::account::SentEmailCode::Code(named) = world.call(key, name(purpose(&hash), "bob@example.org")).unwrap();
    assert_eq!((&*named.email_pattern, named.length), ("b***@example.org", 6));
    assert_eq!(world.fault(key, verify(purpose(&hash), "222223")), "CODE_INVALID");
    let answer = world.call(key, verify(purpose(&hash), "222222")).unwrap();
    let enums::account::EmailVerified::Login(verified) = answer else { panic!("a login") };
    assert_eq!(&*verified.email, "bob@example.org");
    let sent = sent(verified.sent_code);
    assert!(matches!(sent.r#type, SentType::EmailCode(_)));
    assert_eq!(sent.next_type, Some(enums::auth::CodeType::Sms));
    world.call(key, sign_in_by_email(&sent.phone_code_hash, "222222")).unwrap();
    // It is changed from inside.
    let change = || enums::EmailVerifyPurpose::LoginChange;
    assert_eq!(world.fault(key, verify(change(), "222222")), "EMAIL_VERIFY_EXPIRED");
    world.call(key, name(change(), "rob@example.org")).unwrap();
    assert_eq!(world.fault(key, verify(change(), "1")), "CODE_INVALID");
    let changed = world.call(key, verify(change(), "222222")).unwrap();
    assert!(matches!(changed, enums::account::EmailVerified::Verified(verified) if &*verified.email == "rob@example.org"));
    assert_eq!(world.fault(key, name(enums::EmailVerifyPurpose::Passport, "bob@example.org")), "EMAIL_NOT_ALLOWED");
}

#[test]
fn an_address_is_set_up_only_where_it_is_wanted() {
    let mut world = World::new();
    let (bob, _) = world.account(PHONE, "Bob");
    let key = world.key(2);
    let hash = world.code_hash(key, PHONE);
    let purpose = types::EmailVerifyPurposeLoginSetup { phone_number: PHONE.into(), phone_code_hash: hash.into() };
    let name = |purpose| f::account::SendVerifyEmailCode { purpose, email: "bob@example.org".into() };
    assert_eq!(world.fault(key, name(purpose.clone().into())), "EMAIL_NOT_ALLOWED");
    assert_eq!(world.fault(bob, name(enums::EmailVerifyPurpose::LoginChange)), "EMAIL_NOT_SETUP");
    assert_eq!(world.fault(key, name(enums::EmailVerifyPurpose::LoginChange)), "AUTH_KEY_UNREGISTERED");
    world.now += CODE_LIFETIME + 1;
    assert_eq!(world.fault(key, name(purpose.into())), "PHONE_HASH_EXPIRED");
}

#[test]
fn terms_are_shown_at_the_sign_up_and_owed_until_they_are_accepted() {
    let mut world = World::new();
    let key = world.key(2);
    let hash = world.code_hash(key, PHONE);
    let answer = world.call(key, sign_in(&hash, "22222")).unwrap();
    let enums::auth::Authorization::SignUpRequired(required) = answer else { panic!("a sign-up") };
    let Some(enums::help::TermsOfService::Service(terms)) = required.terms_of_service else { panic!("terms") };
    assert!(!terms.text.is_empty());
    let sign_up = f::auth::SignUp {
        no_joined_notifications: false,
        phone_number: PHONE.into(),
        phone_code_hash: hash.into(),
        first_name: "Bob".into(),
        last_name: "".into(),
    };
    world.call(key, sign_up).unwrap();
    let asked = world.call(key, f::help::GetTermsOfServiceUpdate).unwrap();
    assert!(matches!(asked, enums::help::TermsOfServiceUpdate::Update(_)));
    let other = types::DataJson { data: "{}".into() };
    assert!(!world.call(key, f::help::AcceptTermsOfService { id: other.into() }).unwrap());
    assert!(world.call(key, f::help::AcceptTermsOfService { id: terms.id.clone() }).unwrap());
    let asked = world.call(key, f::help::GetTermsOfServiceUpdate).unwrap();
    assert!(matches!(asked, enums::help::TermsOfServiceUpdate::Empty(_)));
}
