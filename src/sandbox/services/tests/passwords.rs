//! Passwords: set, asked for, proved, changed, recovered, removed.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tdl_core::crypto::srp::Kdf;
use tdl_core::tl::api::{enums, functions as f, types};

use super::{Key, World};
use crate::fault::Fault;
use crate::services::recovery::{RESET_DELAY, RESET_PAUSE};
use crate::state::passwords::CHALLENGE_LIFETIME;

type Algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow;

const PHONE: &str = "9996611111";

fn algorithm(of: &enums::PasswordKdfAlgo) -> Algorithm {
    match of {
        enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm) => (**algorithm).clone(),
        enums::PasswordKdfAlgo::Unknown => panic!("an algorithm"),
    }
}

fn kdf(algorithm: &Algorithm) -> Kdf {
    Kdf::check(&algorithm.salt1, &algorithm.salt2, algorithm.g, &algorithm.p).unwrap()
}

fn state(world: &mut World, key: Key) -> types::account::Password {
    let enums::account::Password::Password(password) = world.call(key, f::account::GetPassword).unwrap();
    *password
}

/// The proof of a password, for a challenge that is got for it.
pub(super) fn proof(world: &mut World, key: Key, password: &str) -> enums::InputCheckPasswordSrp {
    let state = state(world, key);
    let kdf = kdf(&algorithm(state.current_algo.as_ref().unwrap()));
    let proof = kdf.prove(password.as_bytes(), state.srp_b.as_ref().unwrap(), &mut StdRng::from_seed([3; 32])).unwrap();
    let (a, m1) = (proof.a.to_vec().into(), proof.m1.to_vec().into());
    types::InputCheckPasswordSrp { srp_id: state.srp_id.unwrap(), a, m1 }.into()
}

fn new_settings(world: &mut World, key: Key, password: &str) -> types::account::PasswordInputSettings {
    let offered = algorithm(&state(world, key).new_algo);
    let new = kdf(&offered).for_new_password(&mut StdRng::from_seed([4; 32]));
    types::account::PasswordInputSettings {
        new_password_hash: Some(new.verifier(password.as_bytes()).as_bytes().to_vec().into()),
        new_algo: Some(Algorithm { salt1: new.salt1().to_vec().into(), ..offered }.into()),
        hint: Some("the usual".into()),
        ..types::account::PasswordInputSettings::default()
    }
}

fn update(
    password: enums::InputCheckPasswordSrp,
    new: types::account::PasswordInputSettings,
) -> f::account::UpdatePasswordSettings {
    f::account::UpdatePasswordSettings { password, new_settings: new.into() }
}

/// Sets the first password.
pub(super) fn set(world: &mut World, key: Key, password: &str) {
    let new = new_settings(world, key, password);
    assert!(world.call(key, update(enums::InputCheckPasswordSrp::InputCheckPasswordEmpty, new)).unwrap());
}

fn sign_in(world: &mut World, key: Key) -> Result<enums::auth::Authorization, Fault> {
    let hash = world.code_hash(key, PHONE);
    let code = Some("11111".into());
    let request = f::auth::SignIn {
        phone_number: PHONE.into(),
        phone_code_hash: hash.into(),
        phone_code: code,
        email_verification: None,
    };
    world.call(key, request)
}

/// A key on which the account's password is missing.
fn half_in(world: &mut World) -> Key {
    let key = world.key(1);
    assert_eq!(sign_in(world, key).unwrap_err().to_string(), "SESSION_PASSWORD_NEEDED");
    key
}

fn check(password: enums::InputCheckPasswordSrp) -> f::auth::CheckPassword {
    f::auth::CheckPassword { password }
}

#[test]
fn a_password_is_the_second_half_of_a_login() {
    let mut world = World::new();
    let (ann, id) = world.account(PHONE, "Ann");
    assert!(!state(&mut world, ann).has_password);
    set(&mut world, ann, "pässword");
    let shown = state(&mut world, ann);
    assert_eq!((shown.has_password, shown.has_recovery, shown.hint.as_deref()), (true, false, Some("the usual")));
    let again = state(&mut world, ann);
    assert!(shown.srp_id != again.srp_id && shown.srp_b != again.srp_b, "each challenge is a new one");

    let key = half_in(&mut world);
    // What may be called in between.
    assert!(state(&mut world, key).has_password);
    world.call(key, f::help::GetConfig).unwrap();
    assert_eq!(world.fault(key, f::auth::RequestPasswordRecovery), "PASSWORD_RECOVERY_NA");
    // And what may not.
    let own = f::users::GetUsers { id: vec![enums::InputUser::UserSelf] };
    assert_eq!(world.fault(key, own.clone()), "SESSION_PASSWORD_NEEDED");
    assert_eq!(world.fault(key, f::updates::GetState), "SESSION_PASSWORD_NEEDED");
    assert_eq!(world.fault(key, f::account::ResetPassword), "SESSION_PASSWORD_NEEDED");
    assert_eq!(world.fault(key, f::auth::ExportAuthorization { dc_id: 2 }), "SESSION_PASSWORD_NEEDED");

    let wrong = proof(&mut world, key, "password");
    assert_eq!(world.fault(key, check(wrong)), "PASSWORD_HASH_INVALID");
    let empty = enums::InputCheckPasswordSrp::InputCheckPasswordEmpty;
    assert_eq!(world.fault(key, check(empty)), "PASSWORD_HASH_INVALID");
    let right = proof(&mut world, key, "pässword");
    let enums::auth::Authorization::Authorization(answer) = world.call(key, check(right)).unwrap() else { panic!("it is in") };
    assert!(matches!(answer.user, enums::User::User(user) if user.id == id));
    world.call(key, own).unwrap();
    // Who is in may have a password checked.
    let right = proof(&mut world, key, "pässword");
    world.call(key, check(right)).unwrap();
}

#[test]
fn a_challenge_is_for_its_key_for_one_try_and_for_ten_minutes() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    set(&mut world, ann, "secret");
    let (key, other) = (half_in(&mut world), half_in(&mut world));
    let stolen = proof(&mut world, key, "secret");
    assert_eq!(world.fault(other, check(stolen.clone())), "SRP_ID_INVALID");
    // It was not used up by that.
    let wrong = match &stolen {
        enums::InputCheckPasswordSrp::Srp(proof) => {
            types::InputCheckPasswordSrp { m1: vec![0; 32].into(), ..(**proof).clone() }
        }
        enums::InputCheckPasswordSrp::InputCheckPasswordEmpty => panic!("a proof"),
    };
    assert_eq!(world.fault(key, check(wrong.into())), "PASSWORD_HASH_INVALID");
    assert_eq!(world.fault(key, check(stolen)), "SRP_ID_INVALID", "one try");
    let late = proof(&mut world, key, "secret");
    world.now += CHALLENGE_LIFETIME + 1;
    assert_eq!(world.fault(key, check(late)), "SRP_ID_INVALID");
    for a in [vec![], vec![0; 256], vec![0xff; 256], vec![1]] {
        let srp_id = state(&mut world, key).srp_id.unwrap();
        let outside = types::InputCheckPasswordSrp { srp_id, a: a.into(), m1: vec![0; 32].into() };
        assert_eq!(world.fault(key, check(outside.into())), "SRP_A_INVALID");
    }
}

#[test]
fn a_password_that_changed_meanwhile_says_so() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    set(&mut world, ann, "first");
    let key = half_in(&mut world);
    let old = proof(&mut world, key, "first");
    let (current, new) = (proof(&mut world, ann, "first"), new_settings(&mut world, ann, "second"));
    assert!(world.call(ann, update(current, new)).unwrap());
    assert_eq!(world.fault(key, check(old)), "SRP_PASSWORD_CHANGED");
    let old = proof(&mut world, key, "second");
    // Removed: then nothing is asked for any more.
    let current = proof(&mut world, ann, "second");
    let nothing = types::account::PasswordInputSettings {
        new_algo: Some(enums::PasswordKdfAlgo::Unknown),
        new_password_hash: Some("".into()),
        hint: Some("".into()),
        ..types::account::PasswordInputSettings::default()
    };
    assert!(world.call(ann, update(current, nothing.clone())).unwrap());
    assert!(!state(&mut world, ann).has_password);
    assert_eq!(world.fault(key, check(old)), "SRP_PASSWORD_CHANGED");
    let empty = || enums::InputCheckPasswordSrp::InputCheckPasswordEmpty;
    world.call(key, check(empty())).unwrap();
    assert_eq!(world.fault(ann, update(empty(), nothing)), "NEW_SETTINGS_EMPTY");
    assert_eq!(world.fault(ann, update(empty(), types::account::PasswordInputSettings::default())), "NEW_SETTINGS_EMPTY");
    assert_eq!(world.fault(ann, check(empty())), "PASSWORD_HASH_INVALID", "there is none");
}

#[test]
fn only_a_password_that_continues_what_was_offered_is_set() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    let good = new_settings(&mut world, ann, "secret");
    let offered = algorithm(&state(&mut world, ann).new_algo);
    let current = algorithm(good.new_algo.as_ref().unwrap());
    let empty = || enums::InputCheckPasswordSrp::InputCheckPasswordEmpty;
    let refused = |world: &mut World, edit: &dyn Fn(&mut Algorithm)| {
        let mut algorithm = current.clone();
        edit(&mut algorithm);
        let new = types::account::PasswordInputSettings { new_algo: Some(algorithm.into()), ..good.clone() };
        world.fault(ann, update(empty(), new))
    };
    assert_eq!(refused(&mut world, &|a| a.salt1 = offered.salt1.clone()), "NEW_SALT_INVALID", "nothing of the client's own");
    assert_eq!(refused(&mut world, &|a| a.salt1 = vec![7; 40].into()), "NEW_SALT_INVALID");
    assert_eq!(refused(&mut world, &|a| a.salt1 = [&a.salt1[..], &[0; 300]].concat().into()), "NEW_SALT_INVALID");
    assert_eq!(refused(&mut world, &|a| a.salt2 = vec![7; 16].into()), "NEW_SALT_INVALID");
    assert_eq!(refused(&mut world, &|a| a.g = 4), "NEW_SETTINGS_INVALID");
    assert_eq!(refused(&mut world, &|a| a.p = vec![0xff; 256].into()), "NEW_SETTINGS_INVALID");
    for hash in [vec![1], vec![0; 256], vec![0xff; 256]] {
        let new = types::account::PasswordInputSettings { new_password_hash: Some(hash.into()), ..good.clone() };
        assert_eq!(world.fault(ann, update(empty(), new)), "NEW_SETTINGS_INVALID");
    }
    let unknown = types::account::PasswordInputSettings { new_algo: Some(enums::PasswordKdfAlgo::Unknown), ..good.clone() };
    assert_eq!(world.fault(ann, update(empty(), unknown)), "NEW_SETTINGS_INVALID");
    let passport = types::SecureSecretSettings::default();
    let with_passport = types::account::PasswordInputSettings { new_secure_settings: Some(passport.into()), ..good.clone() };
    assert_eq!(world.fault(ann, update(empty(), with_passport)), "NEW_SETTINGS_INVALID");
    assert!(world.call(ann, update(empty(), good.clone())).unwrap());
    // The old one is asked for from now on, and the salts are others.
    assert_eq!(world.fault(ann, update(empty(), good.clone())), "PASSWORD_HASH_INVALID");
    let current = proof(&mut world, ann, "secret");
    assert_eq!(world.fault(ann, update(current, good)), "NEW_SALT_INVALID");
    let settings = f::account::GetPasswordSettings { password: proof(&mut world, ann, "wrong") };
    assert_eq!(world.fault(ann, settings), "PASSWORD_HASH_INVALID");
    let settings = f::account::GetPasswordSettings { password: proof(&mut world, ann, "secret") };
    let enums::account::PasswordSettings::Settings(settings) = world.call(ann, settings).unwrap();
    assert_eq!(settings.email, None);
}

/// Sets a password with an address, which is confirmed.
fn set_with_email(world: &mut World, key: Key, password: &str) {
    let new =
        types::account::PasswordInputSettings { email: Some("ann@example.org".into()), ..new_settings(world, key, password) };
    let request = update(enums::InputCheckPasswordSrp::InputCheckPasswordEmpty, new);
    assert_eq!(world.fault(key, request), "EMAIL_UNCONFIRMED_6");
    assert!(world.call(key, f::account::ConfirmPasswordEmail { code: "111111".into() }).unwrap());
}

#[test]
fn an_address_is_confirmed_before_anything_holds() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    let confirm = |code: &str| f::account::ConfirmPasswordEmail { code: code.into() };
    assert_eq!(world.fault(ann, confirm("111111")), "EMAIL_HASH_EXPIRED");
    assert_eq!(world.fault(ann, f::account::ResendPasswordEmail), "EMAIL_HASH_EXPIRED");
    assert_eq!(world.fault(ann, f::account::CancelPasswordEmail), "EMAIL_HASH_EXPIRED");
    let empty = || enums::InputCheckPasswordSrp::InputCheckPasswordEmpty;
    let with = |world: &mut World, email: &str| types::account::PasswordInputSettings {
        email: Some(email.into()),
        ..new_settings(world, ann, "secret")
    };
    let wrong = with(&mut world, "nowhere");
    assert_eq!(world.fault(ann, update(empty(), wrong)), "EMAIL_INVALID");
    let new = with(&mut world, "ann@example.org");
    assert_eq!(world.fault(ann, update(empty(), new.clone())), "EMAIL_UNCONFIRMED_6");
    let shown = state(&mut world, ann);
    assert_eq!((shown.has_password, shown.email_unconfirmed_pattern.as_deref()), (false, Some("a***@example.org")));
    assert!(world.call(ann, f::account::ResendPasswordEmail).unwrap());
    assert_eq!(world.fault(ann, confirm("111112")), "CODE_INVALID");
    assert!(world.call(ann, f::account::CancelPasswordEmail).unwrap());
    assert_eq!(world.fault(ann, confirm("111111")), "EMAIL_HASH_EXPIRED");
    assert_eq!(world.fault(ann, update(empty(), new)), "EMAIL_UNCONFIRMED_6");
    world.call(ann, confirm("111111")).unwrap();
    let shown = state(&mut world, ann);
    assert_eq!((shown.has_password, shown.has_recovery, shown.email_unconfirmed_pattern), (true, true, None));
    let settings = f::account::GetPasswordSettings { password: proof(&mut world, ann, "secret") };
    let enums::account::PasswordSettings::Settings(settings) = world.call(ann, settings).unwrap();
    assert_eq!(settings.email.as_deref(), Some("ann@example.org"));
    // Another address, without another password; then none.
    let (current, address) = (proof(&mut world, ann, "secret"), |email: &str| types::account::PasswordInputSettings {
        email: Some(email.into()),
        ..types::account::PasswordInputSettings::default()
    });
    assert_eq!(world.fault(ann, update(current, address("bob@example.org"))), "EMAIL_UNCONFIRMED_6");
    world.call(ann, confirm("111111")).unwrap();
    let current = proof(&mut world, ann, "secret");
    assert!(world.call(ann, update(current, address(""))).unwrap());
    assert!(!state(&mut world, ann).has_recovery);
}

#[test]
fn a_forgotten_password_is_recovered_by_email_in_the_middle_of_a_login() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    assert_eq!(world.fault(ann, f::auth::RequestPasswordRecovery), "PASSWORD_EMPTY");
    set_with_email(&mut world, ann, "secret");
    let key = half_in(&mut world);
    let recover = |code: &str, new_settings| f::auth::RecoverPassword { code: code.into(), new_settings };
    let check = |code: &str| f::auth::CheckRecoveryPassword { code: code.into() };
    assert_eq!(world.fault(key, check("111111")), "PASSWORD_RECOVERY_EXPIRED", "nobody has asked for it");
    let enums::auth::PasswordRecovery::Recovery(sent) = world.call(key, f::auth::RequestPasswordRecovery).unwrap();
    assert_eq!(&*sent.email_pattern, "a***@example.org");
    assert_eq!(world.fault(key, check("")), "CODE_EMPTY");
    assert_eq!(world.fault(key, check("222222")), "CODE_INVALID");
    assert_eq!(world.fault(key, recover("222222", None)), "CODE_INVALID");
    assert!(world.call(key, check("111111")).unwrap());
    assert_eq!(world.fault(key, f::updates::GetState), "SESSION_PASSWORD_NEEDED");
    let nothing = types::account::PasswordInputSettings::default();
    assert_eq!(world.fault(key, recover("111111", Some(nothing.into()))), "NEW_SETTINGS_INVALID");
    let new = new_settings(&mut world, key, "other");
    world.call(key, recover("111111", Some(new.into()))).unwrap();
    world.call(key, f::updates::GetState).unwrap();
    assert_eq!(world.fault(key, check("111111")), "PASSWORD_RECOVERY_EXPIRED", "it was used");
    let new = half_in(&mut world);
    let right = proof(&mut world, new, "other");
    world.call(new, f::auth::CheckPassword { password: right }).unwrap();
    // Without a new one there is none afterwards.
    world.call(ann, f::auth::RequestPasswordRecovery).unwrap();
    world.call(ann, recover("111111", None)).unwrap();
    assert!(!state(&mut world, ann).has_password);
    let free = world.key(1);
    sign_in(&mut world, free).unwrap();
}

#[test]
fn a_password_can_be_removed_without_it_in_a_week() {
    use enums::account::ResetPasswordResult as Answer;
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    assert_eq!(world.fault(ann, f::account::ResetPassword), "PASSWORD_EMPTY");
    assert_eq!(world.fault(ann, f::account::DeclinePasswordReset), "RESET_REQUEST_MISSING");
    set(&mut world, ann, "secret");
    let due = world.now + RESET_DELAY;
    let asked = world.call(ann, f::account::ResetPassword).unwrap();
    assert!(matches!(asked, Answer::ResetPasswordRequestedWait(wait) if i64::from(wait.until_date) == due));
    assert_eq!(state(&mut world, ann).pending_reset_date.map(i64::from), Some(due));
    assert!(world.call(ann, f::account::DeclinePasswordReset).unwrap());
    let asked = world.call(ann, f::account::ResetPassword).unwrap();
    assert!(matches!(asked, Answer::ResetPasswordFailedWait(wait) if i64::from(wait.retry_date) == world.now + RESET_PAUSE));
    world.now += RESET_PAUSE;
    world.call(ann, f::account::ResetPassword).unwrap();
    world.now += RESET_DELAY - 1;
    assert!(matches!(world.call(ann, f::account::ResetPassword).unwrap(), Answer::ResetPasswordRequestedWait(_)));
    world.now += 1;
    assert!(matches!(world.call(ann, f::account::ResetPassword).unwrap(), Answer::ResetPasswordOk));
    assert!(!state(&mut world, ann).has_password);
}

#[test]
fn who_waits_for_a_password_can_give_up() {
    let mut world = World::new();
    let (ann, _) = world.account(PHONE, "Ann");
    set(&mut world, ann, "secret");
    let key = half_in(&mut world);
    world.call(key, f::auth::LogOut).unwrap();
    assert_eq!(world.fault(key, f::account::GetPassword), "AUTH_KEY_UNREGISTERED");
    assert_eq!(world.fault(key, f::auth::LogOut), "AUTH_KEY_UNREGISTERED");
}
