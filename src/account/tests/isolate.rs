//! A login of our own out of another program's: two scripts, one for each key.

use crate::client::{ClientConfig, DcTable, DeviceProfile, Introduction};

use super::*;

use functions::{
    account::GetPassword,
    auth::{AcceptLoginToken, ExportLoginToken, ImportLoginToken},
    users::GetUsers,
};

use enums::auth::LoginToken;

fn token() -> LoginToken {
    types::auth::LoginToken { expires: i32::try_from(NOW).expect("fits") + 30, token: b"token".to_vec().into() }.into()
}

fn success() -> LoginToken {
    types::auth::LoginTokenSuccess { authorization: authorization() }.into()
}

fn accepted() -> enums::Authorization {
    types::Authorization { hash: 9, device_model: "tdl".into(), ..types::Authorization::default() }.into()
}

fn begin() -> Script {
    Script::default().step::<ExportLoginToken>(token())
}

fn moved(foreign: &Script, own: &Script) -> Result<LoggedIn, Error> {
    run(isolate(foreign, own, &mut Answers::default(), LoginRequest { now: NOW, ..LoginRequest::default() }))
}

#[test]
fn the_other_key_is_asked_one_thing() {
    let foreign = Script::default().step::<AcceptLoginToken>(accepted());
    let own = begin().step::<ExportLoginToken>(success());
    assert_eq!(moved(&foreign, &own).expect("let in"), LoggedIn::In(me()));
    let accept: AcceptLoginToken = foreign.request(0);
    assert_eq!(accept.token.as_ref(), b"token");
    assert_eq!(foreign.sent.borrow().len(), 1);
    assert!(!foreign.authorized.get() && foreign.account.borrow().is_none(), "nothing is noted for it");
    assert!(own.authorized.get() && own.is_done());
}

#[test]
fn our_key_follows_the_account_and_proves_the_password() {
    let to = types::auth::LoginTokenMigrateTo { dc_id: 4, token: b"there".to_vec().into() };
    let foreign = Script::default().step::<AcceptLoginToken>(accepted());
    let own = begin().step::<ExportLoginToken>(LoginToken::from(to)).step::<ImportLoginToken>(success());
    moved(&foreign, &own).expect("let in");
    assert_eq!(own.home.get(), Some(DcId(4)));

    let foreign = Script::default().step::<AcceptLoginToken>(accepted());
    let own = begin()
        .fails::<ExportLoginToken>(rpc(401, "SESSION_PASSWORD_NEEDED"))
        .fails::<GetPassword>(rpc(500, "asked for on our own key"));
    assert!(matches!(moved(&foreign, &own), Err(Error::Invoke(_))));
    assert!(own.is_done() && foreign.is_done());
}

#[test]
fn an_attempt_that_was_cut_off_goes_on_without_the_other_key() {
    // Let in, and not noted.
    let own = Script::default().with_key().step::<GetUsers>(vec![user()]);
    let foreign = Script::default();
    assert_eq!(moved(&foreign, &own).expect("let in"), LoggedIn::Resumed(me()));
    assert!(foreign.is_asked_nothing());
    // Accepted, and not used.
    let own = Script::default()
        .with_key()
        .fails::<GetUsers>(InvokeError::Unauthorized(Unauthorized::KeyUnregistered))
        .step::<ExportLoginToken>(success());
    assert_eq!(moved(&foreign, &own).expect("let in"), LoggedIn::In(me()));
    assert!(foreign.is_asked_nothing());
    // As far as the password, whose own story is told elsewhere.
    let halfway = || Script::default().with_key().fails::<GetUsers>(rpc(401, "SESSION_PASSWORD_NEEDED"));
    let own = halfway().fails::<GetPassword>(rpc(500, "asked for"));
    assert!(matches!(moved(&foreign, &own), Err(Error::Invoke(_))));
    assert!(own.is_done() && foreign.is_asked_nothing());
    // Somebody who wants to begin anew does.
    let own = halfway().step::<ExportLoginToken>(success());
    let request = LoginRequest { force: true, now: NOW, ..LoginRequest::default() };
    let outcome = run(isolate(&foreign, &own, &mut Answers::default(), request));
    assert_eq!(outcome.expect("let in"), LoggedIn::In(me()));
}

#[test]
fn an_answer_that_was_lost_is_looked_for_on_our_own_key() {
    let lost = || Script::default().fails::<AcceptLoginToken>(InvokeError::Closed);
    moved(&lost(), &begin().step::<ExportLoginToken>(success())).expect("let in");
    let error = moved(&lost(), &begin().step::<ExportLoginToken>(token())).expect_err("it had not arrived");
    assert!(matches!(error, Error::Invoke(InvokeError::Closed)));
    let twice = Script::default().fails::<AcceptLoginToken>(rpc(400, "AUTH_TOKEN_ALREADY_ACCEPTED"));
    moved(&twice, &begin().step::<ExportLoginToken>(success())).expect("let in");
}

#[test]
fn each_refusal_has_a_variant_and_advice() {
    type Check = fn(&Error) -> bool;
    let ended = || InvokeError::Unauthorized(Unauthorized::SessionRevoked);
    let cases: [(InvokeError, Check); 4] = [
        (ended(), |e| matches!(e, Error::ForeignEnded(Unauthorized::SessionRevoked))),
        (rpc(400, "BOT_METHOD_INVALID"), |e| matches!(e, Error::ForeignIsBot)),
        (rpc(400, "USER_BOT_INVALID"), |e| matches!(e, Error::ForeignIsBot)),
        (rpc(400, "AUTH_TOKEN_EXPIRED"), |e| matches!(e, Error::ForeignRefused { name } if name == "AUTH_TOKEN_EXPIRED")),
    ];
    for (error, check) in cases {
        let error = moved(&Script::default().fails::<AcceptLoginToken>(error), &begin()).expect_err("refused");
        assert!(check(&error) && error.advice().is_some(), "{error:?}");
    }
    let accepting = || Script::default().step::<AcceptLoginToken>(accepted());
    let gone = begin().fails::<ExportLoginToken>(rpc(400, "AUTH_TOKEN_EXPIRED"));
    assert!(matches!(moved(&accepting(), &gone), Err(Error::LinkRefused { .. })));
    let gone = Script::default().fails::<ExportLoginToken>(rpc(400, "AUTH_TOKEN_EXPIRED"));
    assert!(matches!(moved(&Script::default(), &gone), Err(Error::LinkRefused { .. })));
    let forgotten = begin().step::<ExportLoginToken>(token());
    assert!(matches!(moved(&accepting(), &forgotten), Err(Error::Nonsense { method: "auth.exportLoginToken", .. })));
}

#[test]
fn another_account_that_is_in_here_is_not_replaced() {
    let own = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    let request = LoginRequest { user_id: Some(78), now: NOW, ..LoginRequest::default() };
    let foreign = Script::default();
    let result = run(isolate(&foreign, &own, &mut Answers::default(), request));
    assert!(matches!(result, Err(Error::OtherAccount { .. })), "{result:?}");
    assert!(foreign.is_asked_nothing());
}

/// What a client on another program's key may do, and how it introduces itself.
#[test]
fn a_client_on_a_lent_key_is_quiet() {
    let config = || {
        let mut config = ClientConfig::new(DcTable::production(), 12, "hash");
        config.updates = true;
        config
    };
    let unknown = lent(config(), None);
    assert!(!unknown.updates && unknown.pfs.is_none());
    assert_eq!(unknown.introduction, Introduction::Silent);

    let device = DeviceProfile { name: "desktop".into(), device_model: "Desktop".into(), ..DeviceProfile::default() };
    let owner = |layer| Some(OwnersIdentity { device: device.clone(), layer, api_id: 2040 });
    let known = lent(config(), owner(214));
    assert!(!known.updates && known.pfs.is_none());
    assert_eq!((known.introduction, known.layer.layer, known.api_id, &known.device), (Introduction::Full, 214, 2040, &device));

    let not_spoken = lent(config(), owner(213));
    assert_eq!((not_spoken.introduction, not_spoken.layer), (Introduction::Silent, config().layer));
}
