//! The flows against a server that follows a script.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use zeroize::Zeroizing;

use crate::{
    client::{AccountRecord, InvokeError, RpcError, Unauthorized},
    ids::DcId,
    tl::{
        Deserialize, Identifiable, RemoteCall, Serialize,
        api::{enums, functions, types},
    },
};

use super::*;

mod bot;
mod email;
mod isolate;
mod password;
mod phone;
mod qr;
mod session;

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
    key: Cell<bool>,
    home: Cell<Option<DcId>>,
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

    /// A namespace in which an earlier login made a key, and maybe more.
    fn with_key(self) -> Self {
        self.key.set(true);
        self
    }

    /// Whether nothing at all was asked.
    fn is_asked_nothing(&self) -> bool {
        self.sent.borrow().is_empty()
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

    fn has_key(&self) -> Result<bool, InvokeError> {
        Ok(self.key.get())
    }

    fn set_home(&self, dc: DcId) -> Result<(), InvokeError> {
        self.home.set(Some(dc));
        Ok(())
    }

    fn random_seed(&self) -> [u8; 32] {
        [7; 32]
    }

    fn server_time(&self) -> i64 {
        NOW
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
    passwords: VecDeque<&'static str>,
    asked: Vec<PasswordAsked>,
    emails: VecDeque<&'static str>,
    refused: Vec<Option<String>>,
    links: Vec<LoginLink>,
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

    async fn password(&mut self, asked: &PasswordAsked) -> Result<Zeroizing<String>, PromptError> {
        self.asked.push(asked.clone());
        self.passwords.pop_front().map(|text| Zeroizing::new(text.into())).ok_or_else(|| "no password".into())
    }

    async fn email(&mut self, refused: Option<&str>) -> Result<String, PromptError> {
        self.refused.push(refused.map(Into::into));
        self.emails.pop_front().map(Into::into).ok_or_else(|| "no email".into())
    }
}

impl LinkDisplay for Answers {
    fn show(&mut self, link: &LoginLink) -> Result<(), PromptError> {
        self.links.push(link.clone());
        Ok(())
    }
}

/// A watch that hears what it is to hear at once, and counts.
#[derive(Default)]
struct Watch {
    waits: Vec<Duration>,
    cleared: u32,
    closed: bool,
}

impl TokenWatch for Watch {
    async fn wait(&mut self, at_most: Duration) -> Result<(), InvokeError> {
        self.waits.push(at_most);
        if self.closed { Err(InvokeError::Closed) } else { Ok(()) }
    }

    fn clear(&mut self) {
        self.cleared += 1;
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
