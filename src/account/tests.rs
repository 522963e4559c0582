//! The flows against a server that follows a script.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::{
    client::{AccountRecord, InvokeError, RpcError, Unauthorized},
    tl::{
        Deserialize, Identifiable, RemoteCall, Serialize,
        api::{enums, functions, types},
    },
};

use super::*;

const NOW: i64 = 1_800_000_000;
const PHONE: &str = "+99966 2-1234";

/// A client whose server answers by script and complains about anything else.
#[derive(Default)]
struct Script {
    steps: RefCell<VecDeque<(&'static str, Result<Bytes, InvokeError>)>>,
    sent: RefCell<Vec<Bytes>>,
    authorized: Cell<bool>,
    account: RefCell<Option<AccountRecord>>,
    forgotten: Cell<bool>,
}

impl Script {
    fn step<R: RemoteCall + Identifiable>(self, answer: impl Serialize) -> Self {
        self.steps.borrow_mut().push_back((R::NAME, Ok(answer.to_bytes())));
        self
    }

    fn fails<R: RemoteCall + Identifiable>(self, error: InvokeError) -> Self {
        self.steps.borrow_mut().push_back((R::NAME, Err(error)));
        self
    }

    fn logged_in_before(self) -> Self {
        self.authorized.set(true);
        *self.account.borrow_mut() = Some(me().record(5));
        self
    }

    /// The request that was sent as number `index`.
    fn request<R: Deserialize>(&self, index: usize) -> R {
        R::from_bytes(self.sent.borrow()[index].clone()).expect("the request that the script expects")
    }

    fn is_done(&self) -> bool {
        self.steps.borrow().is_empty()
    }
}

impl Api for Script {
    fn invoke<R: RemoteCall>(&self, request: &R) -> impl Future<Output = Result<R::Return, InvokeError>> {
        let (name, answer) = self.steps.borrow_mut().pop_front().unwrap_or_else(|| panic!("the script has no {}", R::NAME));
        assert_eq!(name, R::NAME, "out of order");
        self.sent.borrow_mut().push(request.to_bytes());
        ready(answer.map(|bytes| R::Return::from_bytes(bytes).expect("the script's answer has the method's type")))
    }

    fn application(&self) -> (i32, &str) {
        (12, "hash")
    }

    fn logged_in(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        self.authorized.set(true);
        self.save_account(account)
    }

    fn is_authorized(&self) -> Result<bool, InvokeError> {
        Ok(self.authorized.get())
    }

    fn save_account(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        *self.account.borrow_mut() = Some(account.clone());
        Ok(())
    }

    fn account(&self) -> Result<Option<AccountRecord>, InvokeError> {
        Ok(self.account.borrow().clone())
    }

    fn forget(&self) -> impl Future<Output = Result<(), InvokeError>> {
        self.authorized.set(false);
        self.forgotten.set(true);
        *self.account.borrow_mut() = None;
        ready(Ok(()))
    }
}

/// Answers given beforehand.
#[derive(Default)]
struct Answers {
    codes: VecDeque<CodeAnswer>,
    name: Option<Name>,
    seen: Vec<CodeSent>,
    terms: Option<String>,
}

impl Answers {
    fn codes(codes: &[&str]) -> Self {
        Self { codes: codes.iter().map(|code| CodeAnswer::Code((*code).into())).collect(), ..Self::default() }
    }
}

impl LoginPrompts for Answers {
    async fn phone(&mut self) -> Result<String, PromptError> {
        Ok(PHONE.into())
    }

    async fn code(&mut self, sent: &CodeSent, _wrong: u32) -> Result<CodeAnswer, PromptError> {
        self.seen.push(sent.clone());
        self.codes.pop_front().ok_or_else(|| "no more codes".into())
    }

    async fn name(&mut self, terms: Option<&str>) -> Result<Name, PromptError> {
        self.terms = terms.map(Into::into);
        self.name.clone().ok_or_else(|| "no name".into())
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a script never waits"),
    }
}

fn login(api: &Script, answers: &mut Answers) -> Result<LoggedIn, Error> {
    run(login_code(api, answers, LoginRequest { now: NOW, ..LoginRequest::default() }))
}

fn user() -> enums::User {
    types::User {
        id: 77,
        is_self: true,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        phone: Some("9996621234".into()),
        ..types::User::default()
    }
    .into()
}

fn me() -> Me {
    Me::read(&user()).expect("a user")
}

fn authorization() -> enums::auth::Authorization {
    types::auth::Authorization { user: user(), ..Default::default() }.into()
}

fn sent_by(kind: enums::auth::SentCodeType) -> enums::auth::SentCode {
    types::auth::SentCode {
        r#type: kind,
        phone_code_hash: "h1".into(),
        next_type: Some(enums::auth::CodeType::Sms),
        timeout: Some(60),
    }
    .into()
}

fn sent() -> enums::auth::SentCode {
    sent_by(types::auth::SentCodeTypeApp { length: 5 }.into())
}

fn rpc(code: i32, name: &str) -> InvokeError {
    InvokeError::Rpc(RpcError { code, name: name.into(), parameter: None, message: name.into() })
}

use functions::{
    auth::{LogOut, ResendCode, SendCode, SignIn, SignUp},
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
    let at_sign_in: [(&str, Check); 2] = [
        ("PHONE_CODE_EXPIRED", |e| matches!(e, Error::CodeExpired)),
        ("SESSION_PASSWORD_NEEDED", |e| matches!(e, Error::PasswordUnsupported)),
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
fn codes_that_only_official_apps_can_get_are_refused() {
    for kind in [
        enums::auth::SentCodeType::from(types::auth::SentCodeTypeFirebaseSms::default()),
        types::auth::SentCodeTypeSetUpEmailRequired::default().into(),
    ] {
        let api = Script::default().step::<SendCode>(sent_by(kind));
        assert!(matches!(login(&api, &mut Answers::default()), Err(Error::DeliveryUnsupported(_))));
    }
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
        types::auth::SentCodeTypeSmsWord { beginning: Some("ap".into()) }.into(),
        types::auth::SentCodeTypeSmsPhrase { beginning: None }.into(),
        types::auth::SentCodeTypeCall { length: 5 }.into(),
        types::auth::SentCodeTypeFlashCall { pattern: "+7***".into() }.into(),
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
fn whoami_asks_the_server_and_corrects_the_record() {
    assert!(matches!(run(whoami(&Script::default(), NOW)), Err(Error::NotLoggedIn)));

    let renamed: enums::User = types::User { id: 77, first_name: Some("Countess".into()), ..types::User::default() }.into();
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![renamed]);
    assert_eq!(run(whoami(&api, NOW)).expect("asked").name(), "Countess");
    let record = api.account.borrow().clone().expect("there");
    assert_eq!((record.name.as_str(), record.logged_in_at), ("Countess", 5));

    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    *api.account.borrow_mut() = None;
    run(whoami(&api, NOW)).expect("asked");
    assert_eq!(*api.account.borrow(), Some(me().record(NOW)), "a record that a crash prevented is made up for");

    let empty: enums::User = types::UserEmpty { id: 77 }.into();
    for users in [vec![], vec![empty]] {
        let api = Script::default().logged_in_before().step::<GetUsers>(users);
        assert!(matches!(run(whoami(&api, NOW)), Err(Error::Nonsense { method: "users.getUsers", .. })));
    }
}

#[test]
fn logging_out_keeps_everything_until_the_server_agrees() {
    assert!(matches!(run(logout(&Script::default())), Err(Error::NotLoggedIn)));

    let api = Script::default().logged_in_before().step::<LogOut>(enums::auth::LoggedOut::default());
    assert_eq!(run(logout(&api)).expect("done"), LoggedOut::Now);
    assert!(api.forgotten.get());

    let api = Script::default().logged_in_before().fails::<LogOut>(InvokeError::Unauthorized(Unauthorized::KeyUnregistered));
    assert_eq!(run(logout(&api)).expect("done"), LoggedOut::Before);
    assert!(api.forgotten.get());

    let api = Script::default().logged_in_before().fails::<LogOut>(rpc(500, "INTERNAL"));
    assert!(matches!(run(logout(&api)), Err(Error::Invoke(_))));
    assert!(!api.forgotten.get() && api.authorized.get());
}

#[test]
fn the_first_active_username_stands_in_for_a_missing_main_one() {
    let names = vec![
        types::Username { username: "old".into(), active: false, editable: false, ..Default::default() }.into(),
        types::Username { username: "new".into(), active: true, editable: false, ..Default::default() }.into(),
    ];
    let user: enums::User = types::User { id: 1, usernames: Some(names), ..types::User::default() }.into();
    let me = Me::read(&user).expect("a user");
    assert_eq!((me.username.as_deref(), me.name().as_str()), (Some("new"), "(no name)"));
}
