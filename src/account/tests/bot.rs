//! The login of a bot.

use super::*;

use functions::{auth::ImportBotAuthorization, users::GetUsers};

const TOKEN: &str = "77:AAF-secret_0";

fn bot(api: &Script, token: &str) -> Result<LoggedIn, Error> {
    run(login_bot(api, token, LoginRequest { now: NOW, phone: Some("9996621234".into()), ..LoginRequest::default() }))
}

#[test]
fn a_bot_is_let_in_by_its_token() {
    let api = Script::default().step::<ImportBotAuthorization>(authorization());
    assert_eq!(bot(&api, " 77:AAF-secret_0\n").expect("logged in"), LoggedIn::In(me()));
    let call: ImportBotAuthorization = api.request(0);
    assert_eq!((call.api_id, call.api_hash.as_ref(), call.bot_auth_token.as_ref()), (12, "hash", TOKEN));
    assert_eq!(*api.account.borrow(), Some(me().record(NOW)));
}

#[test]
fn what_is_no_token_is_not_sent() {
    let long = format!("77:{}", "x".repeat(300));
    for text in [
        "",
        "77",
        "77:",
        ":secret",
        "x7:secret",
        "-7:secret",
        "0:secret",
        "77:se cret",
        "77:sécret",
        "99999999999999999999:s",
        &long,
    ] {
        let api = Script::default();
        assert!(matches!(bot(&api, text), Err(Error::BotTokenInvalid)), "{text}");
        assert!(api.is_asked_nothing());
    }
}

#[test]
fn each_refusal_has_a_variant_and_advice() {
    type Check = fn(&Error) -> bool;
    let cases: [(&str, Check); 3] = [
        ("ACCESS_TOKEN_INVALID", |e| matches!(e, Error::BotTokenInvalid)),
        ("ACCESS_TOKEN_EXPIRED", |e| matches!(e, Error::BotTokenExpired)),
        ("API_ID_INVALID", |e| matches!(e, Error::ApplicationRefused { .. })),
    ];
    for (name, check) in cases {
        let api = Script::default().fails::<ImportBotAuthorization>(rpc(400, name));
        let error = bot(&api, TOKEN).expect_err(name);
        assert!(check(&error) && error.advice().is_some() && !error.to_string().contains("secret"), "{error:?}");
    }
}

#[test]
fn a_bot_that_is_in_stays_and_another_account_is_not_taken_for_it() {
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    assert_eq!(bot(&api, TOKEN).expect("fine"), LoggedIn::Already(me()));
    let api = Script::default().logged_in_before().step::<GetUsers>(vec![user()]);
    assert!(matches!(bot(&api, "78:AAF"), Err(Error::OtherAccount { .. })));
}
