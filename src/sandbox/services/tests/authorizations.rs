//! What is known about authorizations, how they end, and who is told of new ones.

use super::*;
use crate::services::notices::SERVICE_USER;
use crate::state::authorizations::{AUTOCONFIRM, DAY, Standing, set_standing};

const ANN: &str = "9996611111";

/// Another authorization of an account that exists.
fn log_in(world: &mut World, phone: &str) -> Key {
    let key = world.key(phone[5..6].parse().unwrap());
    sign_in(world, key, phone);
    key
}

fn sign_in(world: &mut World, key: Key, phone: &str) {
    let hash = world.code_hash(key, phone);
    let request = f::auth::SignIn {
        phone_number: phone.into(),
        phone_code_hash: hash.into(),
        phone_code: Some(phone[5..6].repeat(5).into()),
        email_verification: None,
    };
    world.call(key, request).unwrap();
}

fn list(world: &mut World, key: Key) -> (i32, Vec<types::Authorization>) {
    let enums::account::Authorizations::Authorizations(list) = world.call(key, f::account::GetAuthorizations).unwrap();
    let all = list.authorizations.into_iter().map(|enums::Authorization::Authorization(a)| *a).collect();
    (list.authorization_ttl_days, all)
}

/// The hash under which one authorization sees the only other one.
fn other_hash(world: &mut World, key: Key) -> i64 {
    let (_, all) = list(world, key);
    let [_, other] = all.as_slice() else { panic!("two") };
    other.hash
}

/// The updates that the last call left for an account.
fn updates(world: &World, id: i64) -> Vec<enums::Update> {
    let pushed = world.effects.iter().filter_map(|effect| match effect {
        Effect::Push { user, updates } if *user == id => Some(updates.clone()),
        _ => None,
    });
    pushed
        .flat_map(|bytes| match enums::Updates::from_bytes(bytes).unwrap() {
            enums::Updates::Updates(updates) => updates.updates,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn text(update: &enums::Update) -> String {
    let enums::Update::NewMessage(new) = update else { panic!("a message: {update:?}") };
    let enums::Message::Message(message) = &new.message else { panic!("a message") };
    assert_eq!(message.from_id, Some(types::PeerUser { user_id: SERVICE_USER }.into()));
    assert!(!message.out);
    message.message.to_string()
}

#[test]
fn an_authorization_is_shown_with_everything_that_is_known_about_it() {
    let mut world = World::new();
    let (first, _) = world.account(ANN, "Ann");
    world.now += 100;
    let second = log_in(&mut world, ANN);
    let mut desktop = introduced(f::help::GetNearestDc);
    desktop.query = f::InitConnection {
        api_id: 2040,
        device_model: "XPS".into(),
        system_version: "Windows 11 x64".into(),
        app_version: "5.1 x64".into(),
        lang_pack: "tdesktop".into(),
        ..desktop.query
    };
    world.call(second, desktop).unwrap();
    world.now += 1000;
    world.call(second, f::updates::GetState).unwrap();
    let (ttl, all) = list(&mut world, first);
    assert_eq!(ttl, 183);
    let [own, other] = all.as_slice() else { panic!("two") };
    assert!(own.current && own.hash == 0 && !own.unconfirmed && !own.official_app);
    assert_eq!((&*own.device_model, &*own.app_name, own.api_id, &*own.platform), ("Test", "App 1", 1, ""));
    assert!(!other.current && other.hash != 0 && other.official_app && other.unconfirmed);
    assert_eq!((&*other.device_model, &*other.system_version, &*other.app_version), ("XPS", "Windows 11 x64", "5.1 x64"));
    assert_eq!((&*other.app_name, other.api_id, &*other.platform), ("Telegram Desktop", 2040, "Windows"));
    assert_eq!((&*other.ip, &*other.country), ("127.0.0.1", "Loopback"));
    assert_eq!((i64::from(other.date_created), i64::from(other.date_active)), (NOW + 100, NOW + 1100));
    assert!(!other.encrypted_requests_disabled && !other.call_requests_disabled && !other.password_pending);
    // The one that asks is first, though another was active later.
    let (_, all) = list(&mut world, second);
    assert!(all[0].current && &*all[0].device_model == "XPS");
}

#[test]
fn settings_are_kept_for_each_authorization() {
    let mut world = World::new();
    let (first, _) = world.account(ANN, "Ann");
    log_in(&mut world, ANN);
    let hash = other_hash(&mut world, first);
    let change = |hash, encrypted, calls| f::account::ChangeAuthorizationSettings {
        confirmed: false,
        hash,
        encrypted_requests_disabled: encrypted,
        call_requests_disabled: calls,
    };
    assert!(world.call(first, change(hash, Some(true), None)).unwrap());
    assert!(world.call(first, change(hash, None, Some(true))).unwrap());
    assert!(world.call(first, change(0, None, Some(true))).unwrap());
    let seen = |world: &mut World| {
        let (_, all) = list(world, first);
        all.iter().map(|a| (a.encrypted_requests_disabled, a.call_requests_disabled)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut world), [(false, true), (true, true)]);
    world.call(first, change(hash, Some(false), None)).unwrap();
    assert_eq!(seen(&mut world), [(false, true), (false, true)]);
    assert_eq!(world.fault(first, change(hash + 1, None, None)), "HASH_INVALID");
    // They are the authorization's, not the key's.
    let again = world.key(1);
    sign_in(&mut world, again, ANN);
    assert!(!list(&mut world, again).1[0].call_requests_disabled);
}

#[test]
fn a_fresh_authorization_ends_no_other() {
    let mut world = World::new();
    let (first, _) = world.account(ANN, "Ann");
    let second = log_in(&mut world, ANN);
    let hash = other_hash(&mut world, second);
    let forbidden = "FRESH_RESET_AUTHORISATION_FORBIDDEN";
    let ttl = f::account::SetAuthorizationTtl { authorization_ttl_days: 30 };
    world.now += DAY - 1;
    assert_eq!(world.fault(second, f::account::ResetAuthorization { hash }), forbidden);
    assert_eq!(world.fault(second, f::auth::ResetAuthorizations), forbidden);
    assert_eq!(world.fault(second, ttl.clone()), forbidden);
    assert_eq!(Fault::FreshResetAuthorisationForbidden.code(), 406);
    world.call(first, f::updates::GetState).unwrap();
    // What is wrong at any age is said at any age.
    assert_eq!(world.fault(second, f::account::ResetAuthorization { hash: hash + 1 }), "HASH_INVALID");
    world.now += 1;
    world.call(second, ttl).unwrap();
    assert!(world.call(second, f::account::ResetAuthorization { hash }).unwrap());
    assert_eq!(world.effects, [Effect::LoggedOut { dc: 1, key_id: first.id }]);
    assert_eq!(world.fault(first, f::updates::GetState), "SESSION_REVOKED");
    assert_eq!(world.fault(second, f::account::ResetAuthorization { hash }), "HASH_INVALID", "it is gone");
    let own = world.state.derive(b"authorization", &[1, second.id]);
    assert_eq!(world.fault(second, f::account::ResetAuthorization { hash: own }), "HASH_INVALID", "one's own is logged out");
    // All others at once.
    let third = log_in(&mut world, ANN);
    let fourth = log_in(&mut world, ANN);
    assert!(world.call(second, f::auth::ResetAuthorizations).unwrap());
    for ended in [third, fourth] {
        assert_eq!(world.fault(ended, f::updates::GetState), "SESSION_REVOKED");
    }
    assert_eq!(list(&mut world, second).1.len(), 1);
    // Without the rule, at once.
    world.settings.rules.fresh = false;
    let fifth = log_in(&mut world, ANN);
    assert!(world.call(fifth, f::auth::ResetAuthorizations).unwrap());
    assert_eq!(world.fault(second, f::updates::GetState), "SESSION_REVOKED");
}

#[test]
fn what_is_not_used_for_too_long_ends() {
    let mut world = World::new();
    let (first, _) = world.account(ANN, "Ann");
    let second = log_in(&mut world, ANN);
    let away = world.key(2);
    let enums::auth::ExportedAuthorization::Authorization(exported) =
        world.call(second, f::auth::ExportAuthorization { dc_id: 2 }).unwrap();
    world.call(away, f::auth::ImportAuthorization { id: exported.id, bytes: exported.bytes }).unwrap();
    world.now += DAY;
    for days in [0, -1, 367] {
        let wrong = f::account::SetAuthorizationTtl { authorization_ttl_days: days };
        assert_eq!(world.fault(first, wrong), "TTL_DAYS_INVALID");
    }
    assert!(world.call(first, f::account::SetAuthorizationTtl { authorization_ttl_days: 10 }).unwrap());
    world.now += 9 * DAY - 1;
    world.call(first, f::updates::GetState).unwrap();
    assert_eq!(list(&mut world, first).0, 10);
    assert_eq!(list(&mut world, first).1.len(), 2);
    world.now += 1;
    // Nobody need look for it to have ended.
    assert_eq!(world.fault(second, f::updates::GetState), "SESSION_EXPIRED");
    assert_eq!(world.fault(second, f::updates::GetState), "SESSION_EXPIRED", "and it stays so");
    assert_eq!(world.fault(away, f::users::GetUsers { id: vec![] }), "SESSION_EXPIRED", "with what was imported from it");
    assert_eq!(list(&mut world, first).1.len(), 1);
    // Looking ends it as well, and its sessions are told nothing more.
    let third = log_in(&mut world, ANN);
    world.now += 9 * DAY;
    world.call(first, f::updates::GetState).unwrap();
    world.now += DAY;
    assert_eq!(list(&mut world, first).1.len(), 1);
    assert_eq!(world.effects, [Effect::LoggedOut { dc: 1, key_id: third.id }]);
    // So does a shorter time. The one that sets it is used by that, and stays.
    let fourth = log_in(&mut world, ANN);
    world.now += 3 * DAY;
    world.call(first, f::account::SetAuthorizationTtl { authorization_ttl_days: 2 }).unwrap();
    assert_eq!(world.effects, [Effect::LoggedOut { dc: 1, key_id: fourth.id }]);
    assert_eq!(world.fault(fourth, f::help::GetPromoData), "SESSION_EXPIRED");
}

#[test]
fn accounts_that_are_deleted_or_banned() {
    let mut world = World::new();
    let (ann, id) = world.account(ANN, "Ann");
    for (standing, text) in [(Standing::Deleted, "USER_DEACTIVATED"), (Standing::Banned, "USER_DEACTIVATED_BAN")] {
        world.state.write(|tx| set_standing(tx, id, standing)).unwrap();
        assert_eq!(world.fault(ann, f::updates::GetState), text);
        assert_eq!(world.fault(ann, f::users::GetUsers { id: vec![] }), text);
        world.call(ann, f::help::GetNearestDc).unwrap();
    }
    world.state.write(|tx| set_standing(tx, id, Standing::Good)).unwrap();
    world.call(ann, f::updates::GetState).unwrap();
}

#[test]
fn a_new_authorization_is_told_to_the_others_and_confirmed_by_them() {
    let mut world = World::new();
    let (first, id) = world.account(ANN, "Ann");
    assert_eq!(world.effects, [], "nobody is told of the first one");
    let second = world.key(1);
    let hash = world.code_hash(second, ANN);
    let code = updates(&world, id);
    let [code] = code.as_slice() else { panic!("the code") };
    assert!(text(code).starts_with("Login code: 11111."));
    let request = f::auth::SignIn {
        phone_number: ANN.into(),
        phone_code_hash: hash.into(),
        phone_code: Some("11111".into()),
        email_verification: None,
    };
    world.call(second, request).unwrap();
    let told = updates(&world, id);
    let [enums::Update::NewAuthorization(new), message] = told.as_slice() else { panic!("two: {told:?}") };
    assert!(new.unconfirmed && new.date == Some(NOW as i32) && new.device.as_deref() == Some("Test"));
    assert_eq!(new.location.as_deref(), Some("Loopback (IP=127.0.0.1)"));
    assert_eq!(new.hash, other_hash(&mut world, first));
    let message = text(message);
    assert!(message.starts_with("New login. Ann, ") && message.contains("2026-09-21 14:13:20 UTC"), "{message}");
    assert!(message.contains("Device: Test, App 1 1, 1\nLocation: Loopback (IP = 127.0.0.1)"), "{message}");
    // They are messages like others, of a user whom everybody is shown as what he is.
    let enums::messages::Dialogs::Dialogs(dialogs) =
        world.call(first, f::messages::GetDialogs { limit: 10, ..Default::default() }).unwrap()
    else {
        panic!("one chat")
    };
    let [enums::Dialog::Dialog(dialog)] = dialogs.dialogs.as_slice() else { panic!("one chat") };
    assert_eq!((dialog.unread_count, &dialog.peer), (2, &types::PeerUser { user_id: SERVICE_USER }.into()));
    let service = dialogs.users.iter().find_map(|user| match user {
        enums::User::User(user) => (user.id == SERVICE_USER).then_some(user),
        enums::User::Empty(_) => None,
    });
    let service = service.unwrap();
    assert!(service.verified && service.support && service.phone.as_deref() == Some("42777"));

    // It does not confirm itself; another one does, and all are told.
    let confirm = |hash| f::account::ChangeAuthorizationSettings {
        confirmed: true,
        hash,
        encrypted_requests_disabled: None,
        call_requests_disabled: None,
    };
    assert_eq!(world.fault(second, confirm(0)), "HASH_INVALID");
    assert!(list(&mut world, second).1[0].unconfirmed);
    assert!(world.call(first, confirm(new.hash)).unwrap());
    let told = updates(&world, id);
    assert!(matches!(told.as_slice(), [enums::Update::NewAuthorization(it)] if !it.unconfirmed && it.hash == new.hash));
    assert!(!list(&mut world, second).1[0].unconfirmed);
    // Once is enough.
    world.call(first, confirm(new.hash)).unwrap();
    assert_eq!(world.effects, []);
    // Time does it as well.
    let third = log_in(&mut world, ANN);
    world.now += AUTOCONFIRM - 1;
    assert!(list(&mut world, third).1[0].unconfirmed);
    world.now += 1;
    assert!(!list(&mut world, third).1[0].unconfirmed);
}

#[test]
fn without_the_rule_nobody_is_told() {
    let mut world = World::new();
    world.settings.rules.notices = false;
    let (first, _) = world.account(ANN, "Ann");
    log_in(&mut world, ANN);
    assert_eq!(world.effects, []);
    let enums::updates::State::State(state) = world.call(first, f::updates::GetState).unwrap();
    assert_eq!((state.pts, state.unread_count), (1, 0));
    assert!(list(&mut world, first).1[1].unconfirmed, "it is unconfirmed all the same");
}

#[test]
fn a_database_without_the_tables_gets_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    state.write(|tx| tx.execute_batch("DROP TABLE authorization_settings; DROP TABLE account_rules")).unwrap();
    drop(state);
    let state = open(dir.path());
    state.write(|tx| set_standing(tx, 5, Standing::Banned)).unwrap();
    let rules = state.read(|db| crate::state::authorizations::account_rules(db, 5)).unwrap();
    assert_eq!((rules.standing, rules.ttl_days), (Standing::Banned, 183));
}
