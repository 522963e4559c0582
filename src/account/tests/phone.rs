//! The login with a phone number and a code.

use super::*;

use functions::{
    auth::{CancelCode, LogOut, ReportMissingCode, ResendCode, SendCode, SignIn, SignUp},
    users::GetUsers,
};

#[test]
fn a_login_sends_the_code_it_was_given() {
    let api = Script::default().step::<SendCode>(sent()).step::<SignIn>(authorization());
    let mut answers = Answers::codes(&[" 22-2 22"]);
    assert_eq!(login(&api, &mut answers).expect("logged in"), LoggedIn::In(me()));
    let send: SendCode = api.request(0);
    assert_eq!((send.phone_number.as_ref(), send.api_id, send.api_hash.as_ref()), ("9996621234", 12, "hash"));
    let sign_in: SignIn = api.request(1);
    assert_eq!((sign_in.phone_code_hash.as_ref(), sign_in.phone_code.as_deref()), ("h1", Some("22222")));
    let seen = &answers.seen[0];
    assert_eq!((&seen.delivery, seen.length, &seen.next, seen.wait), (&Delivery::App, Some(5), &Some(Delivery::Sms), Some(60)));
    let record = api.account.borrow().clone().expect("recorded");
    assert_eq!((record.user_id, record.name.as_str(), record.logged_in_at), (77, "Ada Lovelace", NOW));
    assert_eq!(record.phone.as_deref(), Some("+999*****34"), "redacted");
}

#[test]
fn an_unknown_number_signs_up() {
    let terms = types::help::TermsOfService {
        text: "be nice".into(),
        id: types::DataJson { data: "{}".into() }.into(),
        ..Default::default()
    };
    let required = types::auth::AuthorizationSignUpRequired { terms_of_service: Some(terms.into()) };
    let api = Script::default()
        .step::<SendCode>(sent())
        .step::<SignIn>(enums::auth::Authorization::from(required))
        .step::<SignUp>(authorization());
    let mut answers = Answers { name: Some(Name { first: " Ada ".into(), last: String::new() }), ..Answers::codes(&["22222"]) };
    assert_eq!(login(&api, &mut answers).expect("signed up"), LoggedIn::Up(me()));
    let sign_up: SignUp = api.request(2);
    assert_eq!((sign_up.first_name.as_ref(), sign_up.last_name.as_ref(), sign_up.phone_code_hash.as_ref()), ("Ada", "", "h1"));
    assert_eq!(answers.terms.as_deref(), Some("be nice"));
}

#[test]
fn an_old_server_says_it_with_an_error() {
    let api = Script::default()
        .step::<SendCode>(sent())
        .fails::<SignIn>(rpc(400, "PHONE_NUMBER_UNOCCUPIED"))
        .step::<SignUp>(authorization());
    let mut answers = Answers { name: Some(Name { first: "Ada".into(), last: "L".into() }), ..Answers::codes(&["22222"]) };
    assert!(matches!(login(&api, &mut answers), Ok(LoggedIn::Up(_))));
}

#[test]
fn a_new_account_needs_a_name() {
    let required = types::auth::AuthorizationSignUpRequired::default();
    let api = Script::default().step::<SendCode>(sent()).step::<SignIn>(enums::auth::Authorization::from(required));
    let mut answers = Answers { name: Some(Name { first: "  ".into(), last: String::new() }), ..Answers::codes(&["22222"]) };
    assert!(matches!(login(&api, &mut answers), Err(Error::NameRefused { .. })));
}

#[test]
fn wrong_codes_are_asked_again_a_few_times() {
    let api = Script::default()
        .step::<SendCode>(sent())
        .fails::<SignIn>(rpc(400, "PHONE_CODE_INVALID"))
        .fails::<SignIn>(rpc(400, "PHONE_CODE_INVALID"))
        .step::<SignIn>(authorization());
    assert!(matches!(login(&api, &mut Answers::codes(&["1", "2", "3"])), Ok(LoggedIn::In(_))));

    let mut api = Script::default().step::<SendCode>(sent());
    for _ in 0..MAX_CODE_ATTEMPTS {
        api = api.fails::<SignIn>(rpc(400, "PHONE_CODE_INVALID"));
    }
    let result = login(&api, &mut Answers::codes(&["1", "2", "3", "4"]));
    assert!(matches!(result, Err(Error::CodeWrong { attempts: MAX_CODE_ATTEMPTS })), "{result:?}");
}

#[test]
fn a_code_that_does_not_arrive_is_sent_another_way() {
    let api = Script::default()
        .step::<SendCode>(sent())
        .step::<ResendCode>(sent_by(types::auth::SentCodeTypeSms { length: 5 }.into()))
        .step::<SignIn>(authorization());
    let mut answers = Answers::codes(&["22222"]);
    answers.codes.push_front(CodeAnswer::Resend);
    assert!(login(&api, &mut answers).is_ok());
    assert_eq!(answers.seen.iter().map(|s| s.delivery.clone()).collect::<Vec<_>>(), [Delivery::App, Delivery::Sms]);

    let mut api = Script::default().step::<SendCode>(sent());
    for _ in 0..MAX_RESENDS {
        api = api.step::<ResendCode>(sent());
    }
    let mut answers = Answers { codes: (0..9).map(|_| CodeAnswer::Resend).collect(), ..Answers::default() };
    assert!(matches!(login(&api, &mut answers), Err(Error::TooManyResends)));
}

#[test]
fn the_server_may_need_no_code_or_a_second_start() {
    let success = types::auth::SentCodeSuccess { authorization: authorization() };
    let api =
        Script::default().fails::<SendCode>(rpc(500, "AUTH_RESTART")).step::<SendCode>(enums::auth::SentCode::from(success));
    assert!(matches!(login(&api, &mut Answers::default()), Ok(LoggedIn::In(_))));
}

#[test]
fn each_refusal_has_a_variant_and_advice() {
    type Check = fn(&Error) -> bool;
    let at_send: [(&str, Check); 6] = [
        ("PHONE_NUMBER_INVALID", |e| matches!(e, Error::PhoneInvalid { phone } if !phone.contains("6621"))),
        ("PHONE_NUMBER_BANNED", |e| matches!(e, Error::PhoneBanned)),
        ("PHONE_NUMBER_FLOOD", |e| matches!(e, Error::TooManyLogins { .. })),
        ("PHONE_PASSWORD_FLOOD", |e| matches!(e, Error::TooManyLogins { .. })),
        ("API_ID_INVALID", |e| matches!(e, Error::ApplicationRefused { .. })),
        ("API_ID_PUBLISHED_FLOOD", |e| matches!(e, Error::ApplicationRefused { .. })),
    ];
    for (name, check) in at_send {
        let error = login(&Script::default().fails::<SendCode>(rpc(400, name)), &mut Answers::default()).expect_err(name);
        assert!(check(&error) && error.advice().is_some(), "{name}: {error:?}");
    }
    let at_sign_in: [(&str, Check); 3] = [
        ("PHONE_CODE_EXPIRED", |e| matches!(e, Error::CodeExpired)),
        ("EMAIL_VERIFY_EXPIRED", |e| matches!(e, Error::CodeExpired)),
        ("UPDATE_APP_TO_LOGIN", |e| matches!(e, Error::OfficialAppWanted { .. })),
    ];
    for (name, check) in at_sign_in {
        let api = Script::default().step::<SendCode>(sent()).fails::<SignIn>(rpc(401, name));
        let error = login(&api, &mut Answers::codes(&["1"])).expect_err(name);
        assert!(check(&error) && error.advice().is_some(), "{name}: {error:?}");
    }
    let error =
        login(&Script::default().fails::<SendCode>(rpc(400, "SOMETHING_NEW")), &mut Answers::default()).expect_err("new");
    assert!(matches!(&error, Error::Invoke(InvokeError::Rpc(e)) if e.name == "SOMETHING_NEW"));
}

#[test]
fn codes_that_only_official_apps_can_get_are_refused_unless_there_is_another_way() {
    let firebase = || enums::auth::SentCodeType::from(types::auth::SentCodeTypeFirebaseSms::default());
    let alone: enums::auth::SentCode =
        types::auth::SentCode { r#type: firebase(), phone_code_hash: "h1".into(), next_type: None, timeout: None }.into();
    let api = Script::default().step::<SendCode>(alone);
    let error = login(&api, &mut Answers::default()).expect_err("refused");
    assert!(matches!(error, Error::DeliveryUnsupported(Delivery::Firebase)) && error.advice().is_some());

    let api = Script::default()
        .step::<SendCode>(sent_by(firebase()))
        .step::<ResendCode>(sent_by(types::auth::SentCodeTypeSms { length: 5 }.into()))
        .step::<SignIn>(authorization());
    let mut answers = Answers::codes(&["22222"]);
    login(&api, &mut answers).expect("logged in");
    assert_eq!(answers.seen[0].delivery, Delivery::Sms);

    let mut api = Script::default().step::<SendCode>(sent_by(firebase()));
    for _ in 0..3 {
        api = api.step::<ResendCode>(sent_by(firebase()));
    }
    assert!(matches!(login(&api, &mut Answers::default()), Err(Error::Nonsense { method: "auth.sendCode", .. })));

    let payment = enums::auth::SentCode::from(types::auth::SentCodePaymentRequired::default());
    assert!(matches!(
        login(&Script::default().step::<SendCode>(payment), &mut Answers::default()),
        Err(Error::PaymentRequired)
    ));
}

#[test]
fn every_way_of_a_code_is_named_for_people() {
    use enums::auth::SentCodeType as T;
    let kinds: Vec<T> = vec![
        types::auth::SentCodeTypeApp { length: 5 }.into(),
        types::auth::SentCodeTypeSms { length: 5 }.into(),
        types::auth::SentCodeTypeSmsWord { beginning: Some("1".into()) }.into(),
        types::auth::SentCodeTypeSmsPhrase { beginning: None }.into(),
        types::auth::SentCodeTypeCall { length: 5 }.into(),
        types::auth::SentCodeTypeFlashCall { pattern: "+1***".into() }.into(),
        types::auth::SentCodeTypeMissedCall { prefix: "+7".into(), length: 4 }.into(),
        types::auth::SentCodeTypeEmailCode { email_pattern: "a*@b".into(), length: 6, ..Default::default() }.into(),
        types::auth::SentCodeTypeFragmentSms { url: "https://fragment.com/x".into(), length: 5 }.into(),
    ];
    let mut texts = Vec::new();
    for kind in kinds {
        let api = Script::default().step::<SendCode>(sent_by(kind)).step::<SignIn>(authorization());
        let mut answers = Answers::codes(&["1"]);
        login(&api, &mut answers).expect("logged in");
        texts.push(answers.seen[0].delivery.to_string());
    }
    for other in [Delivery::Firebase, Delivery::EmailSetup] {
        texts.push(other.to_string());
    }
    let total = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), total, "{texts:?}");
}

#[test]
fn text_that_is_no_phone_number_is_not_sent() {
    for phone in ["", "12", "hello", "+49 151 1234x678", "1234567890123456"] {
        let request = LoginRequest { phone: Some(phone.into()), ..LoginRequest::default() };
        let result = run(login_code(&Script::default(), &mut Answers::default(), request));
        assert!(matches!(result, Err(Error::PhoneInvalid { .. })), "{phone}");
    }
}

#[test]
fn what_the_servers_hints_rule_out_is_not_sent() {
    let word = || sent_by(types::auth::SentCodeTypeSmsWord { beginning: Some("ap".into()) }.into());
    let api = Script::default().step::<SendCode>(word()).step::<SignIn>(authorization());
    login(&api, &mut Answers::codes(&["pear", "Apple"])).expect("logged in");
    let sign_in: SignIn = api.request(1);
    assert_eq!(sign_in.phone_code.as_deref(), Some("Apple"));
    let api = Script::default().step::<SendCode>(word());
    let result = login(&api, &mut Answers::codes(&["pear", "plum", "fig"]));
    assert!(matches!(result, Err(Error::CodeWrong { attempts: MAX_CODE_ATTEMPTS })), "{result:?}");
}

#[test]
fn a_code_that_cannot_be_sent_another_way_is_still_waited_for() {
    let api = Script::default()
        .step::<SendCode>(sent())
        .fails::<ResendCode>(rpc(406, "SEND_CODE_UNAVAILABLE"))
        .step::<ReportMissingCode>(true)
        .step::<SignIn>(authorization());
    let mut answers = Answers::codes(&["22222"]);
    answers.codes.push_front(CodeAnswer::Missing { mnc: "01".into() });
    answers.codes.push_front(CodeAnswer::Resend);
    login(&api, &mut answers).expect("logged in");
    let next: Vec<_> = answers.seen.iter().map(|seen| seen.next.clone()).collect();
    assert_eq!(next, [Some(Delivery::Sms), None, None]);
    let report: ReportMissingCode = api.request(2);
    assert_eq!((report.phone_code_hash.as_ref(), report.mnc.as_ref()), ("h1", "01"));

    let api = Script::default().step::<SendCode>(sent()).fails::<ReportMissingCode>(rpc(400, "PHONE_NUMBER_INVALID"));
    let mut answers = Answers { codes: [CodeAnswer::Missing { mnc: String::new() }].into(), ..Answers::default() };
    assert!(matches!(login(&api, &mut answers), Err(Error::PhoneInvalid { .. })));
}

#[test]
fn a_cancelled_code_is_withdrawn() {
    for heard in [true, false] {
        let api = Script::default().step::<SendCode>(sent());
        let api = if heard { api.step::<CancelCode>(true) } else { api.fails::<CancelCode>(rpc(500, "INTERNAL")) };
        let mut answers = Answers { codes: [CodeAnswer::Cancel].into(), ..Answers::default() };
        let error = login(&api, &mut answers).expect_err("cancelled");
        assert!(matches!(error, Error::Cancelled) && error.advice().is_some());
        let cancel: CancelCode = api.request(1);
        assert_eq!(cancel.phone_code_hash.as_ref(), "h1");
    }
}

#[test]
fn the_terms_name_the_age_that_they_ask_for() {
    let terms = types::help::TermsOfService {
        text: "be nice".into(),
        id: types::DataJson { data: "{}".into() }.into(),
        min_age_confirm: Some(16),
        ..Default::default()
    };
    let required = types::auth::AuthorizationSignUpRequired { terms_of_service: Some(terms.into()) };
    let api = Script::default()
        .step::<SendCode>(sent())
        .step::<SignIn>(enums::auth::Authorization::from(required))
        .step::<SignUp>(authorization());
    let mut answers = Answers { name: Some(Name { first: "Ada".into(), last: String::new() }), ..Answers::codes(&["22222"]) };
    login(&api, &mut answers).expect("signed up");
    assert!(answers.terms.as_deref().is_some_and(|terms| terms.contains("16 years")), "{:?}", answers.terms);
}

#[test]
fn a_question_without_an_answer_ends_the_login() {
    let api = Script::default().step::<SendCode>(sent());
    assert!(matches!(login(&api, &mut Answers::default()), Err(Error::Prompt(e)) if e.to_string() == "no more codes"));
    assert!(!api.authorized.get());
}

#[test]
fn logging_in_twice_says_who_and_sends_no_code() {
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    assert_eq!(login(&api, &mut Answers::default()).expect("fine"), LoggedIn::Already(me()));

    let with = |phone: &str| {
        let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
        run(login_code(&api, &mut Answers::default(), LoginRequest { phone: Some(phone.into()), ..LoginRequest::default() }))
    };
    assert!(matches!(with("+999 66 21234"), Ok(LoggedIn::Already(_))), "the same number");
    assert!(matches!(with("9996610000"), Err(Error::OtherAccount { .. })), "another number");
}

#[test]
fn force_ends_the_old_authorization_first() {
    let api = Script::default()
        .logged_in_before()
        .step::<LogOut>(enums::auth::LoggedOut::default())
        .step::<SendCode>(sent())
        .step::<SignIn>(authorization());
    let request = LoginRequest { force: true, now: NOW, ..LoginRequest::default() };
    assert!(matches!(run(login_code(&api, &mut Answers::codes(&["1"]), request)), Ok(LoggedIn::In(_))));
    assert!(api.forgotten.get() && api.is_done());
}

#[test]
fn an_authorization_that_the_server_ended_is_replaced() {
    let ended = || InvokeError::Unauthorized(Unauthorized::SessionRevoked);
    let api = Script::default()
        .logged_in_before()
        .fails::<GetUsers>(ended())
        .step::<SendCode>(sent())
        .step::<SignIn>(authorization());
    assert!(matches!(login(&api, &mut Answers::codes(&["1"])), Ok(LoggedIn::In(_))));
    assert!(api.forgotten.get());
}

#[test]
fn a_login_that_was_cut_off_is_taken_over() {
    let api = Script::default().with_key().step::<GetUsers>(vec![user()]);
    assert_eq!(login(&api, &mut Answers::default()).expect("resumed"), LoggedIn::Resumed(me()));
    assert!(api.authorized.get() && *api.account.borrow() == Some(me().record(NOW)));

    // The account that is there is not the one that is wanted: it is ended, and none is left that nobody knows of.
    let api = Script::default()
        .with_key()
        .step::<GetUsers>(vec![user()])
        .step::<LogOut>(enums::auth::LoggedOut::default())
        .step::<SendCode>(sent())
        .step::<SignIn>(authorization());
    let request = LoginRequest { phone: Some("9996610000".into()), now: NOW, ..LoginRequest::default() };
    assert!(matches!(run(login_code(&api, &mut Answers::codes(&["1"]), request)), Ok(LoggedIn::In(_))));

    // Nobody was let in under the key, or only half.
    for error in [InvokeError::Unauthorized(Unauthorized::KeyUnregistered), rpc(401, "SESSION_PASSWORD_NEEDED")] {
        let api =
            Script::default().with_key().fails::<GetUsers>(error).step::<SendCode>(sent()).step::<SignIn>(authorization());
        assert!(matches!(login(&api, &mut Answers::codes(&["1"])), Ok(LoggedIn::In(_))));
        assert!(!api.forgotten.get());
    }
    // The key is of no use any more.
    let api = Script::default()
        .with_key()
        .fails::<GetUsers>(InvokeError::Unauthorized(Unauthorized::KeyDuplicated))
        .step::<SendCode>(sent())
        .step::<SignIn>(authorization());
    login(&api, &mut Answers::codes(&["1"])).expect("logged in");
    assert!(api.forgotten.get());
    // Nobody knows.
    let api = Script::default().with_key().fails::<GetUsers>(InvokeError::Closed);
    assert!(matches!(login(&api, &mut Answers::default()), Err(Error::Invoke(InvokeError::Closed))));
}
