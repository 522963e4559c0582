//! Login tokens: exported, accepted, claimed here and elsewhere.

use tdl_core::tl::api::{enums, functions as f, types};
use tdl_core::tl::{Deserialize as _, Serialize as _};

use super::passwords::{proof, set};
use super::{Key, World};
use crate::services::Effect;
use crate::state::login_tokens::{CLAIM_LIFETIME, TOKEN_LIFETIME};

type Answer = enums::auth::LoginToken;

fn export(except_ids: &[i64]) -> f::auth::ExportLoginToken {
    f::auth::ExportLoginToken { api_id: 1, api_hash: "x".into(), except_ids: except_ids.to_vec() }
}

fn token(world: &mut World, key: Key) -> types::auth::LoginToken {
    match world.call(key, export(&[])).unwrap() {
        Answer::Token(token) => *token,
        other => panic!("a token, not {other:?}"),
    }
}

fn accept(token: &types::auth::LoginToken) -> f::auth::AcceptLoginToken {
    f::auth::AcceptLoginToken { token: token.token.clone() }
}

fn import(token: &types::auth::LoginToken) -> f::auth::ImportLoginToken {
    f::auth::ImportLoginToken { token: token.token.clone() }
}

fn user_of(answer: &Answer) -> i64 {
    let Answer::Success(success) = answer else { panic!("success, not {answer:?}") };
    let enums::auth::Authorization::Authorization(authorization) = &success.authorization else { panic!("an authorization") };
    let enums::User::User(user) = &authorization.user else { panic!("a user") };
    user.id
}

#[test]
fn a_token_logs_its_key_in_once_it_is_accepted() {
    let mut world = World::new();
    let (ann, id) = world.account("9996611111", "Ann");
    let key = world.key(1);
    let first = token(&mut world, key);
    assert_eq!(i64::from(first.expires), world.now + TOKEN_LIFETIME);
    world.now += TOKEN_LIFETIME - 1;
    assert_eq!(token(&mut world, key), first, "the same until it ends");
    assert_eq!(world.fault(key, import(&first)), "AUTH_TOKEN_INVALID", "nobody has accepted it");
    let enums::Authorization::Authorization(accepted) = world.call(ann, accept(&first)).unwrap();
    assert_eq!(
        (&*accepted.device_model, accepted.api_id, accepted.password_pending, accepted.current),
        ("Test", 1, false, false)
    );
    let [Effect::TellKey { dc: 1, key_id, updates }] = world.effects.as_slice() else { panic!("{:?}", world.effects) };
    assert_eq!(*key_id, key.id);
    let enums::Updates::UpdateShort(update) = enums::Updates::from_bytes(updates.clone()).unwrap() else { panic!("short") };
    assert_eq!(update.update, enums::Update::LoginToken);
    assert_eq!(world.fault(ann, accept(&first)), "AUTH_TOKEN_ALREADY_ACCEPTED");
    assert_eq!(world.fault(key, f::updates::GetState), "AUTH_KEY_UNREGISTERED", "not before it asks again");
    let answer = world.call(key, export(&[])).unwrap();
    assert_eq!(user_of(&answer), id);
    world.call(key, f::updates::GetState).unwrap();
    assert_eq!(user_of(&world.call(key, export(&[])).unwrap()), id, "as often as it asks");
    let other = world.key(1);
    assert_eq!(world.fault(other, import(&first)), "AUTH_TOKEN_ALREADY_ACCEPTED", "one login");
    let enums::account::Authorizations::Authorizations(list) = world.call(ann, f::account::GetAuthorizations).unwrap();
    let hashes: Vec<i64> = list.authorizations.iter().map(|enums::Authorization::Authorization(a)| a.hash).collect();
    assert!(hashes.contains(&accepted.hash), "{hashes:?}");
}

#[test]
fn a_token_that_is_not_accepted_in_time_is_replaced() {
    let mut world = World::new();
    let (ann, _) = world.account("9996611111", "Ann");
    let key = world.key(1);
    let first = token(&mut world, key);
    world.now += TOKEN_LIFETIME;
    assert_eq!(world.fault(ann, accept(&first)), "AUTH_TOKEN_EXPIRED");
    let second = token(&mut world, key);
    assert_ne!(first.token, second.token);
    assert_eq!(world.fault(ann, accept(&first)), "AUTH_TOKEN_INVALIDX", "forgotten");
    let unknown = types::auth::LoginToken { token: "x".into(), ..second.clone() };
    assert_eq!(world.fault(ann, accept(&unknown)), "AUTH_TOKEN_INVALIDX");
    assert_eq!(world.fault(key, import(&unknown)), "AUTH_TOKEN_INVALIDX");
    // Who accepts has to be somebody.
    assert_eq!(world.fault(key, accept(&second)), "AUTH_KEY_UNREGISTERED");
    world.call(ann, accept(&second)).unwrap();
    world.now += CLAIM_LIFETIME;
    assert_eq!(world.fault(key, import(&second)), "AUTH_TOKEN_EXPIRED");
    assert_ne!(token(&mut world, key).token, second.token);
}

#[test]
fn accounts_that_a_client_has_already_are_excepted() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let (bob, bob_id) = world.account("9996612222", "Bob");
    let key = world.key(1);
    let Answer::Token(excepting) = world.call(key, export(&[ann_id])).unwrap() else { panic!("a token") };
    let Answer::Token(other) = world.call(key, export(&[ann_id, 5])).unwrap() else { panic!("a token") };
    assert_ne!(excepting.token, other.token, "what is excepted is another");
    assert_eq!(world.fault(ann, accept(&other)), "AUTH_TOKEN_EXCEPTION");
    world.call(bob, accept(&other)).unwrap();
    assert_eq!(user_of(&world.call(key, export(&[])).unwrap()), bob_id);
}

#[test]
fn an_account_of_another_dc_is_logged_in_there() {
    let mut world = World::new();
    let (bob, id) = world.account("9996622222", "Bob");
    let key = world.key(1);
    let exported = token(&mut world, key);
    world.call(bob, accept(&exported)).unwrap();
    assert!(matches!(world.effects.as_slice(), [Effect::TellKey { dc: 1, key_id, .. }] if *key_id == key.id));
    let Answer::MigrateTo(to) = world.call(key, export(&[])).unwrap() else { panic!("elsewhere") };
    assert_eq!((to.dc_id, &to.token), (2, &exported.token));
    assert!(matches!(world.call(key, import(&exported)).unwrap(), Answer::MigrateTo(to) if to.dc_id == 2));
    let there = world.key(2);
    assert_eq!(user_of(&world.call(there, import(&exported)).unwrap()), id);
    world.call(there, f::updates::GetState).unwrap();
    assert_eq!(world.fault(there, import(&exported)), "AUTH_TOKEN_ALREADY_ACCEPTED");
    assert_eq!(world.fault(key, f::updates::GetState), "AUTH_KEY_UNREGISTERED", "the key of the wrong DC stands for nobody");
}

#[test]
fn a_password_is_asked_for_after_a_token_too() {
    let mut world = World::new();
    let (ann, _) = world.account("9996611111", "Ann");
    set(&mut world, ann, "secret");
    let (here, key) = (world.key(1), world.key(2));
    for (exporter, importer) in [(here, None), (key, Some(world.key(1)))] {
        let exported = token(&mut world, exporter);
        let enums::Authorization::Authorization(accepted) = world.call(ann, accept(&exported)).unwrap();
        assert!(accepted.password_pending);
        let entered = match importer {
            None => {
                assert_eq!(world.fault(exporter, export(&[])), "SESSION_PASSWORD_NEEDED");
                assert_eq!(world.fault(exporter, export(&[])), "SESSION_PASSWORD_NEEDED", "still");
                exporter
            }
            Some(importer) => {
                assert!(matches!(world.call(exporter, export(&[])).unwrap(), Answer::MigrateTo(_)));
                assert_eq!(world.fault(importer, import(&exported)), "SESSION_PASSWORD_NEEDED");
                importer
            }
        };
        let password = proof(&mut world, entered, "secret");
        world.call(entered, f::auth::CheckPassword { password }).unwrap();
        world.call(entered, f::updates::GetState).unwrap();
    }
}

#[test]
fn a_token_of_a_key_that_is_gone_is_worth_nothing() {
    let mut world = World::new();
    let (ann, _) = world.account("9996611111", "Ann");
    let key = world.key(1);
    let exported = token(&mut world, key);
    world.call_raw(key, tdl_core::tl::mtproto::functions::DestroyAuthKey.to_bytes()).unwrap();
    assert_eq!(world.fault(ann, accept(&exported)), "AUTH_TOKEN_INVALIDX");
}
