//! Introductions, codes, signing in and up, leaving, and carrying an authorization around.

use super::{World, introduced};
use crate::services::Effect;
use crate::state::authorizations::DAY;
use crate::state::codes::CODE_LIFETIME;
use crate::state::keys::EXPORT_LIFETIME;
use tdl_core::tl::api::{enums, functions as f, types};
use tdl_core::tl::mtproto::enums::DestroyAuthKeyRes;
use tdl_core::tl::mtproto::functions::DestroyAuthKey;
use tdl_core::tl::{Identifiable as _, Serialize as _};

fn sign_in(phone: &str, hash: &str, code: Option<&str>) -> f::auth::SignIn {
    f::auth::SignIn {
        phone_number: phone.into(),
        phone_code_hash: hash.into(),
        phone_code: code.map(Into::into),
        email_verification: None,
    }
}

fn sign_up(phone: &str, hash: &str, first_name: &str) -> f::auth::SignUp {
    f::auth::SignUp {
        no_joined_notifications: false,
        phone_number: phone.into(),
        phone_code_hash: hash.into(),
        first_name: first_name.into(),
        last_name: "".into(),
    }
}

fn send_code(phone: &str) -> f::auth::SendCode {
    f::auth::SendCode {
        phone_number: phone.into(),
        api_id: 1,
        api_hash: "x".into(),
        settings: types::CodeSettings::default().into(),
    }
}

#[test]
fn a_client_introduces_itself_first_and_is_remembered() {
    let mut world = World::new();
    let key = world.bare_key(1);
    assert_eq!(world.fault(key, f::help::GetConfig), "CONNECTION_NOT_INITED");
    let layer_only = f::InvokeWithLayer { layer: 230, query: f::help::GetConfig };
    assert_eq!(world.fault(key, layer_only.clone()), "CONNECTION_NOT_INITED");
    let introduced = introduced(f::help::GetConfig);
    assert_eq!(world.fault(key, introduced.query.clone()), "CONNECTION_LAYER_INVALID");
    for layer in [0, 225, 231] {
        let wrong = f::InvokeWithLayer { layer, ..introduced.clone() };
        assert_eq!(world.fault(key, wrong), "CONNECTION_LAYER_INVALID");
    }
    let with = |edit: fn(&mut f::InitConnection<f::help::GetConfig>)| {
        let mut call = introduced.clone();
        edit(&mut call.query);
        call
    };
    assert_eq!(world.fault(key, with(|c| c.device_model = "".into())), "CONNECTION_DEVICE_MODEL_EMPTY");
    assert_eq!(world.fault(key, with(|c| c.system_version = "".into())), "CONNECTION_SYSTEM_EMPTY");
    assert_eq!(world.fault(key, with(|c| c.app_version = "".into())), "CONNECTION_APP_VERSION_EMPTY");
    world.call(key, introduced).unwrap();
    let enums::Config::Config(config) = world.call(key, f::help::GetConfig).unwrap();
    assert_eq!((config.this_dc, config.dc_options.len()), (1, 3));
    world.call(key, f::InvokeWithLayer { layer: 224, query: f::help::GetConfig }).unwrap();
    assert_eq!(world.state.auth(1, key.id).unwrap().unwrap().layer, Some(224));
}

#[test]
fn a_temporary_key_can_do_nothing_by_itself() {
    let mut world = World::new();
    let key = world.key_until(1, Some(world.now + 60));
    assert_eq!(world.fault(key, introduced(f::help::GetAppConfig { hash: 0 })), "AUTH_KEY_PERM_EMPTY");
}

#[test]
fn unknown_methods_are_named_and_unreadable_ones_are_not() {
    let mut world = World::new();
    let key = world.key(1);
    let body = [&0xdead_beef_u32.to_le_bytes()[..], &[0; 12]].concat();
    assert_eq!(world.call_raw(key, body.into()).unwrap_err().to_string(), "INPUT_METHOD_INVALID_3735928559_12");
    let id = f::messages::GetAllDrafts::ID;
    assert_eq!(world.fault(key, f::messages::GetAllDrafts), format!("INPUT_METHOD_INVALID_{id}_0"));
    let mut body = send_code("9996611111").to_bytes().to_vec();
    body.truncate(8);
    assert_eq!(world.call_raw(key, body.into()).unwrap_err().to_string(), "INPUT_FETCH_ERROR");
}

#[test]
fn a_code_is_for_its_number_its_dc_and_five_minutes() {
    let mut world = World::new();
    let key = world.key(2);
    assert_eq!(world.fault(key, send_code("+1 555")), "PHONE_NUMBER_INVALID");
    assert_eq!(world.fault(key, send_code("9996641111")), "PHONE_NUMBER_INVALID");
    assert_eq!(world.fault(key, send_code("9996611111")), "PHONE_MIGRATE_1");
    let phone = "+99966 2 1111";
    let hash = world.code_hash(key, phone);
    assert_eq!(world.fault(key, sign_in(phone, &hash, None)), "PHONE_CODE_EMPTY");
    assert_eq!(world.fault(key, sign_in(phone, "", Some("22222"))), "PHONE_CODE_HASH_EMPTY");
    assert_eq!(world.fault(key, sign_in(phone, "0", Some("22222"))), "PHONE_CODE_EXPIRED");
    assert_eq!(world.fault(key, sign_in("9996622222", &hash, Some("22222"))), "PHONE_CODE_EXPIRED");
    assert_eq!(world.fault(key, sign_in("9996611111", &hash, Some("11111"))), "PHONE_MIGRATE_1");
    assert_eq!(world.fault(key, sign_in(phone, &hash, Some("22223"))), "PHONE_CODE_INVALID");
    assert_eq!(world.fault(key, sign_up(phone, &hash, "Bob")), "PHONE_CODE_INVALID", "the code was not given yet");
    let resend = f::auth::ResendCode { phone_number: phone.into(), phone_code_hash: hash.as_str().into(), reason: None };
    let enums::auth::SentCode::Code(again) = world.call(key, resend.clone()).unwrap() else { panic!("a code") };
    assert_eq!(world.fault(key, resend), "PHONE_CODE_EXPIRED", "replaced");
    let hash = again.phone_code_hash.to_string();
    world.call(key, sign_in(phone, &hash, Some("22222"))).unwrap();
    assert_eq!(world.fault(key, sign_up(phone, &hash, " ")), "FIRSTNAME_INVALID");
    world.now += CODE_LIFETIME + 1;
    assert_eq!(world.fault(key, sign_up(phone, &hash, "Bob")), "PHONE_CODE_EXPIRED");
    let hash = world.code_hash(key, phone);
    let cancel = f::auth::CancelCode { phone_number: phone.into(), phone_code_hash: hash.as_str().into() };
    assert!(world.call(key, cancel).unwrap());
    assert_eq!(world.fault(key, sign_in(phone, &hash, Some("22222"))), "PHONE_CODE_EXPIRED");
}

#[test]
fn an_account_is_made_once_and_entered_from_anywhere() {
    let mut world = World::new();
    let (first, id) = world.account("9996611111", "Ann");
    let second = world.key(1);
    assert_eq!(world.fault(second, f::users::GetUsers { id: vec![] }), "AUTH_KEY_UNREGISTERED");
    let (one, two) = (world.code_hash(second, "9996611111"), "11111");
    let enums::auth::Authorization::Authorization(_) = world.call(second, sign_in("9996611111", &one, Some(two))).unwrap()
    else {
        panic!("it exists")
    };
    let enums::account::Authorizations::Authorizations(list) = world.call(first, f::account::GetAuthorizations).unwrap();
    let list: Vec<_> = list.authorizations.into_iter().map(|enums::Authorization::Authorization(a)| a).collect();
    assert_eq!((list.len(), list.iter().filter(|a| a.current && a.hash == 0).count()), (2, 1));
    let other = list.iter().find(|a| !a.current).unwrap();
    world.now += DAY;
    assert_eq!((&*other.device_model, other.api_id), ("Test", 1));
    assert_eq!(world.fault(first, f::account::ResetAuthorization { hash: 0 }), "HASH_INVALID");
    assert!(world.call(first, f::account::ResetAuthorization { hash: other.hash }).unwrap());
    assert_eq!(world.effects, [Effect::LoggedOut { dc: 1, key_id: second.id }]);
    assert_eq!(world.fault(second, f::updates::GetState), "SESSION_REVOKED");
    let users = world.call(first, f::users::GetUsers { id: vec![enums::InputUser::UserSelf] }).unwrap();
    let [enums::User::User(user)] = users.as_slice() else { panic!("one user") };
    assert_eq!((user.id, user.phone.as_deref()), (id, Some("9996611111")));
    world.call(first, f::auth::LogOut).unwrap();
    assert_eq!(world.fault(first, f::updates::GetState), "AUTH_KEY_UNREGISTERED");
    assert_eq!(world.fault(first, f::auth::LogOut), "AUTH_KEY_UNREGISTERED");
}

#[test]
fn an_authorization_travels_once_to_the_dc_it_is_for() {
    let mut world = World::new();
    let (home, id) = world.account("9996611111", "Ann");
    let away = world.key(2);
    for dc_id in [1, 4] {
        assert_eq!(world.fault(home, f::auth::ExportAuthorization { dc_id }), "DC_ID_INVALID");
    }
    let export = |world: &mut World, dc_id| {
        let answer = world.call(home, f::auth::ExportAuthorization { dc_id }).unwrap();
        let enums::auth::ExportedAuthorization::Authorization(exported) = answer;
        assert_eq!(exported.id, id);
        f::auth::ImportAuthorization { id, bytes: exported.bytes }
    };
    let elsewhere = export(&mut world, 3);
    assert_eq!(world.fault(away, elsewhere), "AUTH_BYTES_INVALID");
    let late = export(&mut world, 2);
    world.now += EXPORT_LIFETIME + 1;
    assert_eq!(world.fault(away, late), "AUTH_BYTES_INVALID");
    let good = export(&mut world, 2);
    assert_eq!(world.fault(away, f::auth::ImportAuthorization { id: id + 1, ..good.clone() }), "AUTH_BYTES_INVALID");
    world.call(away, good.clone()).unwrap();
    assert_eq!(world.fault(away, good), "AUTH_BYTES_INVALID", "it is good for one time");
    // Enough for files, not for the rest.
    world.call(away, f::users::GetUsers { id: vec![enums::InputUser::UserSelf] }).unwrap();
    assert_eq!(world.fault(away, f::updates::GetState), "USER_MIGRATE_1");
    let enums::account::Authorizations::Authorizations(list) = world.call(home, f::account::GetAuthorizations).unwrap();
    assert_eq!(list.authorizations.len(), 1, "what was imported is no login of its own");
    world.call(home, f::auth::LogOut).unwrap();
    assert_eq!(world.fault(away, f::users::GetUsers { id: vec![] }), "AUTH_KEY_UNREGISTERED");
}

#[test]
fn a_destroyed_key_is_gone() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    assert_eq!(world.call(key, DestroyAuthKey).unwrap(), DestroyAuthKeyRes::DestroyAuthKeyOk);
    assert_eq!(world.effects, [Effect::LoggedOut { dc: 1, key_id: key.id }]);
    assert_eq!(world.fault(key, f::updates::GetState), "AUTH_KEY_UNREGISTERED");
    let bare = world.bare_key(1);
    assert_eq!(world.call(bare, DestroyAuthKey).unwrap(), DestroyAuthKeyRes::DestroyAuthKeyOk, "it needs no introduction");
}

#[test]
fn names_profiles_and_contacts() {
    let mut world = World::new();
    let (ann, ann_id) = world.account("9996611111", "Ann");
    let (bob, bob_id) = world.account("9996622222", "Bob");
    let name = |username: &str| f::account::UpdateUsername { username: username.into() };
    for wrong in ["abc", "1abcde", "ab-cde"] {
        assert_eq!(world.fault(bob, name(wrong)), "USERNAME_INVALID");
    }
    world.call(bob, name("bobby")).unwrap();
    assert_eq!(world.fault(ann, name("BOBBY")), "USERNAME_OCCUPIED");
    let resolve = |username: &str| f::contacts::ResolveUsername { username: username.into(), referer: None };
    assert_eq!(world.fault(ann, resolve("nobody")), "USERNAME_NOT_OCCUPIED");
    let enums::contacts::ResolvedPeer::Peer(found) = world.call(ann, resolve("Bobby")).unwrap();
    let [enums::User::User(user)] = found.users.as_slice() else { panic!("one user") };
    assert_eq!((user.id, user.phone.as_deref(), user.contact), (bob_id, None, false));
    let phone = |phone: &str| f::contacts::ResolvePhone { phone: phone.into() };
    assert_eq!(world.fault(ann, phone("9996633333")), "PHONE_NOT_OCCUPIED");
    world.call(ann, phone("+9996622222")).unwrap();
    let contact = |first: &str| {
        let contact = types::InputPhoneContact {
            client_id: 5,
            phone: "+9996622222".into(),
            first_name: first.into(),
            last_name: "".into(),
            note: None,
        };
        f::contacts::ImportContacts { contacts: vec![contact.into()] }
    };
    assert_eq!(world.fault(ann, contact("")), "CONTACT_NAME_EMPTY");
    let enums::contacts::ImportedContacts::Contacts(imported) = world.call(ann, contact("Robert")).unwrap();
    let [enums::User::User(user)] = imported.users.as_slice() else { panic!("one user") };
    assert_eq!((user.first_name.as_deref(), user.contact, user.phone.as_deref()), (Some("Robert"), true, Some("9996622222")));
    let enums::contacts::Contacts::Contacts(list) = world.call(ann, f::contacts::GetContacts { hash: 0 }).unwrap() else {
        panic!("contacts")
    };
    assert_eq!((list.contacts.len(), list.saved_count), (1, 1));
    // Every pair of accounts has an access hash of its own.
    let stolen = types::InputUser { user_id: bob_id, access_hash: user.access_hash.unwrap() };
    let (eve, _) = world.account("9996611112", "Eve");
    assert_eq!(world.fault(eve, f::users::GetFullUser { id: stolen.clone().into() }), "USER_ID_INVALID");
    assert!(world.call(eve, f::users::GetUsers { id: vec![stolen.clone().into()] }).unwrap().is_empty());
    world.call(ann, f::users::GetFullUser { id: stolen.into() }).unwrap();
    let profile = f::account::UpdateProfile { first_name: Some("".into()), ..f::account::UpdateProfile::default() };
    assert_eq!(world.fault(ann, profile), "FIRSTNAME_INVALID");
    let enums::User::User(user) = world
        .call(ann, f::account::UpdateProfile { last_name: Some("Lee".into()), ..f::account::UpdateProfile::default() })
        .unwrap()
    else {
        panic!("a user")
    };
    assert_eq!((user.id, user.last_name.as_deref()), (ann_id, Some("Lee")));
    let enums::account::Password::Password(password) = world.call(ann, f::account::GetPassword).unwrap();
    assert!(!password.has_password && password.secure_random.len() == 256);
    assert_eq!(
        world.fault(ann, f::auth::CheckPassword { password: enums::InputCheckPasswordSrp::InputCheckPasswordEmpty }),
        "PASSWORD_HASH_INVALID"
    );
    assert!(world.call(ann, f::account::UpdateStatus { offline: false }).unwrap());
}

#[test]
fn what_clients_ask_at_their_start() {
    let mut world = World::new();
    let (key, _) = world.account("9996611111", "Ann");
    let enums::help::AppConfig::Config(config) = world.call(key, f::help::GetAppConfig { hash: 0 }).unwrap() else {
        panic!("the configuration")
    };
    assert_eq!(world.call(key, f::help::GetAppConfig { hash: config.hash }).unwrap(), enums::help::AppConfig::NotModified);
    world.call(key, f::help::GetCdnConfig).unwrap();
    world.call(key, f::help::GetTermsOfServiceUpdate).unwrap();
    world.call(key, f::help::GetPromoData).unwrap();
    world.call(key, f::help::GetCountriesList { lang_code: "en".into(), hash: 0 }).unwrap();
    world.call(key, f::langpack::GetLanguages { lang_pack: "".into() }).unwrap();
    world.call(key, f::langpack::GetLangPack { lang_pack: "".into(), lang_code: "en".into() }).unwrap();
    let strings = f::langpack::GetStrings { lang_pack: "".into(), lang_code: "en".into(), keys: vec!["a".into(), "b".into()] };
    assert_eq!(world.call(key, strings).unwrap().len(), 2);
    let other = f::langpack::GetLanguage { lang_pack: "".into(), lang_code: "xx".into() };
    assert_eq!(world.fault(key, other), "LANG_CODE_NOT_SUPPORTED");
}
