//! The login by a link.

use super::*;

use functions::{
    account::GetPassword,
    auth::{ExportLoginToken, ImportLoginToken},
    users::GetUsers,
};

use enums::auth::LoginToken;

fn token(text: &'static str, seconds: i32) -> LoginToken {
    let expires = i32::try_from(NOW).expect("fits") + seconds;
    types::auth::LoginToken { expires, token: text.as_bytes().to_vec().into() }.into()
}

fn success() -> LoginToken {
    types::auth::LoginTokenSuccess { authorization: authorization() }.into()
}

fn migrate(dc: i32) -> LoginToken {
    types::auth::LoginTokenMigrateTo { dc_id: dc, token: b"moved".to_vec().into() }.into()
}

fn scan(api: &Script, answers: &mut Answers, watch: &mut Watch) -> Result<LoggedIn, Error> {
    run(login_qr(api, watch, answers, &[5, 6], LoginRequest { now: NOW, ..LoginRequest::default() }))
}

fn shown(answers: &Answers) -> Vec<Vec<u8>> {
    answers.links.iter().map(|link| LoginLink::token_of(&link.url).expect("a link")).collect()
}

#[test]
fn a_link_is_shown_until_it_is_accepted() {
    let api = Script::default().step::<ExportLoginToken>(token("one", 30)).step::<ExportLoginToken>(success());
    let (mut answers, mut watch) = (Answers::default(), Watch::default());
    assert_eq!(scan(&api, &mut answers, &mut watch).expect("logged in"), LoggedIn::In(me()));
    assert_eq!(shown(&answers), [b"one".to_vec()]);
    assert_eq!((watch.waits.as_slice(), watch.cleared), ([Duration::from_secs(30)].as_slice(), 1));
    let export: ExportLoginToken = api.request(0);
    assert_eq!((export.api_id, export.api_hash.as_ref(), export.except_ids.as_slice()), (12, "hash", [5, 6].as_slice()));
    assert_eq!(*api.account.borrow(), Some(me().record(NOW)));
}

#[test]
fn a_link_whose_time_is_up_is_replaced_and_the_same_one_is_not_drawn_again() {
    let api = Script::default()
        .fails::<ExportLoginToken>(rpc(500, "AUTH_RESTART"))
        .step::<ExportLoginToken>(token("one", 30))
        .step::<ExportLoginToken>(token("one", 3))
        .step::<ExportLoginToken>(token("two", 9999))
        .step::<ExportLoginToken>(token("three", -5))
        .step::<ExportLoginToken>(success());
    let (mut answers, mut watch) = (Answers::default(), Watch::default());
    scan(&api, &mut answers, &mut watch).expect("logged in");
    assert_eq!(shown(&answers), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    let waits: Vec<u64> = watch.waits.iter().map(Duration::as_secs).collect();
    assert_eq!(waits, [30, 3, 120, 1], "never at once again, and never for ever");
    assert_eq!(watch.cleared, 1, "what is heard after the first was shown counts");
}

#[test]
fn the_account_may_live_elsewhere_and_have_a_password() {
    let api = Script::default()
        .step::<ExportLoginToken>(token("one", 30))
        .step::<ExportLoginToken>(migrate(4))
        .step::<ImportLoginToken>(success());
    scan(&api, &mut Answers::default(), &mut Watch::default()).expect("logged in");
    assert_eq!(api.home.get(), Some(DcId(4)));
    let import: ImportLoginToken = api.request(2);
    assert_eq!(import.token.as_ref(), b"moved");

    // The password's own story is told elsewhere; here it begins.
    let needed = || rpc(401, "SESSION_PASSWORD_NEEDED");
    for api in [
        Script::default().fails::<ExportLoginToken>(needed()),
        Script::default().step::<ExportLoginToken>(migrate(4)).fails::<ImportLoginToken>(needed()),
    ] {
        let api = api.fails::<GetPassword>(rpc(500, "INTERNAL"));
        assert!(matches!(scan(&api, &mut Answers::default(), &mut Watch::default()), Err(Error::Invoke(_))));
        assert!(api.is_done());
    }
}

#[test]
fn a_server_that_makes_no_sense_is_left() {
    let mut api = Script::default().step::<ExportLoginToken>(migrate(1));
    for dc in [2, 3, 4] {
        api = api.step::<ImportLoginToken>(migrate(dc));
    }
    let result = scan(&api, &mut Answers::default(), &mut Watch::default());
    assert!(matches!(result, Err(Error::Nonsense { method: "auth.importLoginToken", .. })), "{result:?}");

    let api = Script::default().step::<ExportLoginToken>(migrate(1)).step::<ImportLoginToken>(token("x", 30));
    let result = scan(&api, &mut Answers::default(), &mut Watch::default());
    assert!(matches!(result, Err(Error::Nonsense { method: "auth.importLoginToken", .. })), "{result:?}");

    let sign_up = types::auth::AuthorizationSignUpRequired::default().into();
    let odd: LoginToken = types::auth::LoginTokenSuccess { authorization: sign_up }.into();
    let api = Script::default().step::<ExportLoginToken>(odd);
    let result = scan(&api, &mut Answers::default(), &mut Watch::default());
    assert!(matches!(result, Err(Error::Nonsense { method: "auth.exportLoginToken", .. })), "{result:?}");
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let mut api = Script::default();
    let names: Vec<&'static str> = (0..=MAX_LINKS).map(|n| &*String::leak(format!("token {n}"))).collect();
    for name in &names {
        api = api.step::<ExportLoginToken>(token(name, 30));
    }
    let mut answers = Answers::default();
    let error = scan(&api, &mut answers, &mut Watch::default()).expect_err("nobody came");
    assert!(matches!(error, Error::LinkNotAccepted { links: MAX_LINKS }) && error.advice().is_some(), "{error:?}");
    assert_eq!(answers.links.len(), usize::try_from(MAX_LINKS).expect("fits"));

    // The server's clock stands still.
    let mut api = Script::default();
    for _ in 0..4 * MAX_LINKS {
        api = api.step::<ExportLoginToken>(token("one", 30));
    }
    let error = scan(&api, &mut Answers::default(), &mut Watch::default()).expect_err("nobody came");
    assert!(matches!(error, Error::LinkNotAccepted { links: 1 }), "{error:?}");
    assert!(api.is_done());
}

#[test]
fn a_token_that_is_lost_is_replaced_a_few_times() {
    let lost = |name| Script::default().step::<ExportLoginToken>(migrate(4)).fails::<ImportLoginToken>(rpc(400, name));
    for name in ["AUTH_TOKEN_EXPIRED", "AUTH_TOKEN_INVALID", "AUTH_TOKEN_ALREADY_ACCEPTED"] {
        let api = lost(name).step::<ExportLoginToken>(success());
        scan(&api, &mut Answers::default(), &mut Watch::default()).expect("logged in");
    }
    let mut api = Script::default();
    for _ in 0..3 {
        api = api.fails::<ExportLoginToken>(rpc(400, "AUTH_TOKEN_EXPIRED"));
    }
    let error = scan(&api, &mut Answers::default(), &mut Watch::default()).expect_err("refused");
    assert!(matches!(&error, Error::LinkRefused { name } if name == "AUTH_TOKEN_EXPIRED") && error.advice().is_some());
}

#[test]
fn what_cannot_be_heard_shown_or_asked_ends_the_login() {
    let api = Script::default().step::<ExportLoginToken>(token("one", 30));
    let mut deaf = Watch { closed: true, ..Watch::default() };
    assert!(matches!(scan(&api, &mut Answers::default(), &mut deaf), Err(Error::Invoke(InvokeError::Closed))));

    let api = Script::default().fails::<ExportLoginToken>(rpc(400, "API_ID_INVALID"));
    assert!(matches!(scan(&api, &mut Answers::default(), &mut Watch::default()), Err(Error::ApplicationRefused { .. })));
}

#[test]
fn somebody_who_is_in_already_is_shown_nothing() {
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    let mut answers = Answers::default();
    assert_eq!(scan(&api, &mut answers, &mut Watch::default()).expect("fine"), LoggedIn::Already(me()));
    assert!(answers.links.is_empty());
    // The token of an earlier process was accepted after it had died.
    let api = Script::default().with_key().step::<GetUsers>(vec![user()]);
    assert_eq!(scan(&api, &mut answers, &mut Watch::default()).expect("fine"), LoggedIn::Resumed(me()));
}

/// The client's own watch: what it takes for a sign.
#[test]
fn the_update_is_known_in_all_its_wrappings() {
    use crate::account::qr::tells_of_token;
    let update = || enums::Update::LoginToken;
    let yes: [enums::Updates; 3] = [
        types::UpdateShort { update: update(), date: 1 }.into(),
        types::Updates { updates: vec![update()], ..types::Updates::default() }.into(),
        types::UpdatesCombined { updates: vec![update()], ..types::UpdatesCombined::default() }.into(),
    ];
    for updates in yes {
        assert!(tells_of_token(&updates.to_bytes()));
    }
    let no: [enums::Updates; 2] =
        [types::Updates::default().into(), types::UpdateShort { update: enums::Update::PtsChanged, date: 1 }.into()];
    for updates in no {
        assert!(!tells_of_token(&updates.to_bytes()));
    }
    assert!(!tells_of_token(&Bytes::from_static(b"nonsense")));
}
