//! Ways in, and the operator, over real sockets: who is told, and when.

use tdl_core::crypto::srp::Kdf;
use tdl_core::tl::api::{enums, functions as f, types};

use super::{Client, Cluster, Config, Kind, beside, introduced, plain};
use crate::operator::{Login, NewBot, NewUser, Operator, OperatorError};

fn with_password(phone: &str, password: &str) -> NewUser {
    let login = Login { password: Some(password.into()), hint: "usual".into(), ..Login::default() };
    NewUser { phone: phone.into(), login, ..NewUser::default() }
}

/// Gives the password that a login needs.
fn give_password(client: &mut Client, password: &str) -> enums::auth::Authorization {
    let enums::account::Password::Password(state) = client.call(f::account::GetPassword).unwrap();
    let Some(enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm)) = &state.current_algo
    else {
        panic!("an algorithm")
    };
    let kdf = Kdf::check(&algorithm.salt1, &algorithm.salt2, algorithm.g, &algorithm.p).unwrap();
    let proof = kdf.prove(password.as_bytes(), state.srp_b.as_ref().unwrap(), &mut client.rng).unwrap();
    let (a, m1) = (proof.a.to_vec().into(), proof.m1.to_vec().into());
    let password = types::InputCheckPasswordSrp { srp_id: state.srp_id.unwrap(), a, m1 }.into();
    client.call(f::auth::CheckPassword { password }).unwrap()
}

fn export() -> f::auth::ExportLoginToken {
    f::auth::ExportLoginToken { api_id: 1, api_hash: "".into(), except_ids: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_a_login_token_hears_that_it_was_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let options = plain(Kind::Intermediate);
        let operator = Operator::open(dir.path()).unwrap();
        let ann = operator.add_user(&NewUser { phone: "9996611111".into(), ..NewUser::default() }).unwrap();
        let bob = operator.add_user(&with_password("9996622222", "secret")).unwrap();
        let mut logged_in = Client::new(&dcs[0], &pem, &options, 1);
        assert_eq!(logged_in.login("9996611111"), ann.id);

        // In the account's own DC. A session that wants no updates is not told.
        let mut new = Client::new(&dcs[0], &pem, &options, 2);
        let enums::auth::LoginToken::Token(token) = new.call(introduced(export())).unwrap() else { panic!("a token") };
        logged_in.call(f::auth::AcceptLoginToken { token: token.token }).unwrap();
        let enums::Updates::UpdateShort(heard) = new.update() else { panic!("a short update") };
        assert_eq!(heard.update, enums::Update::LoginToken);
        assert!(matches!(new.call(export()).unwrap(), enums::auth::LoginToken::Success(_)));
        new.call(f::updates::GetState).unwrap();

        // In another one, with a password.
        let mut bobs = Client::new(&dcs[1], &pem, &options, 3);
        let settings = types::CodeSettings::default().into();
        let send = f::auth::SendCode { phone_number: "9996622222".into(), api_id: 1, api_hash: "".into(), settings };
        let enums::auth::SentCode::Code(sent) = bobs.call(introduced(send)).unwrap() else { panic!("a code") };
        let sign_in = f::auth::SignIn {
            phone_number: "9996622222".into(),
            phone_code_hash: sent.phone_code_hash,
            phone_code: Some("22222".into()),
            email_verification: None,
        };
        let refused = bobs.call(sign_in).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (401, "SESSION_PASSWORD_NEEDED"));
        give_password(&mut bobs, "secret");
        let mut new = Client::new(&dcs[0], &pem, &options, 4);
        let enums::auth::LoginToken::Token(token) = new.call(introduced(export())).unwrap() else { panic!("a token") };
        bobs.call(f::auth::AcceptLoginToken { token: token.token }).unwrap();
        new.update();
        let enums::auth::LoginToken::MigrateTo(to) = new.call(export()).unwrap() else { panic!("elsewhere") };
        let mut there = Client::new(&dcs[1], &pem, &options, 5);
        let import = f::auth::ImportLoginToken { token: to.token.clone() };
        assert_eq!(there.call(introduced(import)).unwrap_err().message, "SESSION_PASSWORD_NEEDED");
        let enums::auth::Authorization::Authorization(answer) = give_password(&mut there, "secret") else { panic!("it is in") };
        assert!(matches!(answer.user, enums::User::User(user) if user.id == bob.id));
        there.call(f::updates::GetState).unwrap();
    })
    .await;
    cluster.shutdown().await;
}

/// The first text that is beyond the state `known`: what was seeded may still be on its way to those who have logged in since, and is no news.
fn hears(client: &mut Client, known: i32) -> (String, i64, bool) {
    loop {
        match client.update() {
            enums::Updates::UpdateShortMessage(heard) if heard.pts > known => {
                break (heard.message.to_string(), heard.user_id, heard.out);
            }
            enums::Updates::UpdateShortMessage(_) => {}
            enums::Updates::UpdateShortChatMessage(heard) if heard.pts <= known => {}
            other => panic!("not a text: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_writes_and_both_sides_hear_it() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Config::new(dir.path())).await.unwrap();
    let operator = cluster.operator().unwrap();
    let (dcs, pem) = (cluster.dcs().to_vec(), cluster.rsa_public_key().to_owned());
    beside(move || {
        let options = plain(Kind::Intermediate);
        let people = operator.seed_demo().unwrap();
        assert_eq!(operator.seed_demo().unwrap(), people, "the same people");
        let (ada, bob) = (&people[0], &people[1]);
        let mut reader = Client::new(&dcs[1], &pem, &options, 1);
        assert_eq!(reader.login(bob.phone.as_deref().unwrap()), bob.id);
        let enums::messages::Dialogs::Dialogs(dialogs) = reader
            .call(f::messages::GetDialogs { limit: 10, offset_peer: enums::InputPeer::Empty, ..Default::default() })
            .unwrap()
        else {
            panic!("all dialogs")
        };
        assert_eq!(dialogs.dialogs.len(), 2);
        let mut writer = Client::new(&dcs[0], &pem, &options, 2);
        assert_eq!(writer.login(ada.phone.as_deref().unwrap()), ada.id);
        let known = [&mut reader, &mut writer].map(|client| {
            let enums::updates::State::State(state) = client.call(f::updates::GetState).unwrap();
            state.pts
        });
        operator.send_message("@ada_demo", &bob.id.to_string(), "heard?").unwrap();
        assert_eq!(hears(&mut reader, known[0]), ("heard?".to_owned(), ada.id, false));
        assert_eq!(hears(&mut writer, known[1]), ("heard?".to_owned(), bob.id, true));
    })
    .await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_an_operator_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Operator::open(dir.path()), Err(OperatorError::State(_))), "no cluster has run here");
    Cluster::start(Config::new(dir.path())).await.unwrap().shutdown().await;
    // Nobody runs it: that is as good.
    let operator = Operator::open(dir.path()).unwrap();
    let user = |phone: &str| NewUser { phone: phone.into(), ..NewUser::default() };
    assert!(matches!(operator.add_user(&user("123")), Err(OperatorError::Phone(_))));
    assert!(matches!(operator.add_user(&user("9996641111")), Err(OperatorError::Phone(_))), "there is no DC 4");
    let named = |username: &str| NewUser { username: Some(username.into()), ..user("9996611111") };
    assert!(matches!(operator.add_user(&named("1")), Err(OperatorError::Username(_))));
    let ann = operator.add_user(&named("annie")).unwrap();
    assert_eq!((ann.first_name.as_str(), ann.code.as_deref(), ann.has_password), ("User 1111", Some("11111"), false));
    assert!(matches!(operator.add_user(&named("annie")), Err(OperatorError::PhoneTaken(_))));
    let other = NewUser { phone: "9996611112".into(), ..named("ANNIE") };
    assert!(matches!(operator.add_user(&other), Err(OperatorError::UsernameTaken(_))));
    let nameless = NewUser { first_name: Some(" ".into()), ..user("9996611113") };
    assert!(matches!(operator.add_user(&nameless), Err(OperatorError::Name)));
    let login = |edit: fn(&mut Login)| {
        let mut login = Login { password: Some("x".into()), ..Login::default() };
        edit(&mut login);
        login
    };
    let phone = "9996611111";
    assert!(matches!(
        operator.set_login(phone, &login(|l| l.password = Some(String::new()))),
        Err(OperatorError::EmptyPassword)
    ));
    assert!(matches!(operator.set_login(phone, &login(|l| l.recovery_email = Some("x".into()))), Err(OperatorError::Email(_))));
    assert!(matches!(operator.set_login("9996611119", &login(|_| ())), Err(OperatorError::NoAccount(_))));
    let kinds = Login { deliveries: Some("email,sms".parse().unwrap()), ..Login::default() };
    assert_eq!(operator.set_login("9996611119", &kinds).unwrap(), None, "the number has no account yet");
    let set = operator.set_login(phone, &kinds).unwrap().unwrap();
    assert_eq!((set.delivery.as_deref(), set.code.as_deref()), (Some("email,sms"), Some("111111")));
    operator.forget_delivery(phone).unwrap();
    assert_eq!(operator.accounts().unwrap()[0].delivery, None);
    assert!(operator.set_login(phone, &login(|_| ())).unwrap().unwrap().has_password);
    assert!(!operator.remove_password(phone).unwrap().has_password);
    let bot = NewBot { name: "Bot".into(), ..NewBot::default() };
    assert!(matches!(operator.add_bot(&NewBot { dc: Some(4), ..bot.clone() }), Err(OperatorError::Dc(4))));
    assert!(matches!(operator.add_bot(&NewBot { name: String::new(), ..bot.clone() }), Err(OperatorError::Name)));
    let (bot, token) = operator.add_bot(&bot).unwrap();
    assert_ne!(operator.renew_token(&bot.id.to_string()).unwrap(), token);
    assert!(matches!(operator.renew_token("@annie"), Err(OperatorError::NoBot(_))));
    assert!(matches!(operator.send_message("@annie", "@nobody", "x"), Err(OperatorError::NoAccount(_))));
    assert!(matches!(operator.send_message("@annie", "@annie", " "), Err(OperatorError::Text)));
    assert_eq!(operator.send_message("@annie", "@annie", "note").unwrap(), 1);
    assert_eq!(operator.accounts().unwrap().len(), 2);
}
