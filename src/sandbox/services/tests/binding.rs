//! `auth.bindTempAuthKey`, and what a bound key stands for.

use super::*;
use crate::state::binding::MAX_BOUND;
use tdl_core::mtproto::binding::{self, Binding};
use tdl_core::tl::mtproto::functions::DestroyAuthKey;

/// The bytes of the key that [`World::key_until`] makes as its n-th.
fn bytes(number: u8) -> AuthKey {
    AuthKey::from_bytes(&[number; 256])
}

fn binding(world: &World, temp: Key, perm: Key) -> Binding {
    Binding {
        msg_id: MSG_ID,
        nonce: 5,
        temp_auth_key_id: temp.id,
        perm_auth_key_id: perm.id,
        session_id: SESSION,
        expires_at: (world.now + 3000) as i32,
    }
}

/// The request that carries `inside`, but says `outside` itself.
fn request(perm: &AuthKey, inside: &Binding, outside: &Binding) -> f::auth::BindTempAuthKey {
    f::auth::BindTempAuthKey {
        perm_auth_key_id: outside.perm_auth_key_id,
        nonce: outside.nonce,
        expires_at: outside.expires_at,
        encrypted_message: binding::seal(perm, inside, &mut rng(3)),
    }
}

/// A world with an account on a permanent key (the first key made), and a temporary key that is not bound yet (the second).
fn world() -> (World, Key, Key, i64) {
    let mut world = World::new();
    let (perm, user) = world.account("9996610001", "Ann");
    let temp = world.key_until(1, Some(world.now + 3600));
    (world, perm, temp, user)
}

fn bind(world: &mut World, temp: Key, perm: Key) {
    let binding = binding(world, temp, perm);
    assert!(world.call(temp, request(&bytes(1), &binding, &binding)).unwrap());
}

#[test]
fn an_unbound_key_is_good_for_three_methods() {
    let (mut world, _, temp, _) = world();
    assert_eq!(world.fault(temp, f::updates::GetState), "AUTH_KEY_PERM_EMPTY");
    assert_eq!(world.fault(temp, introduced(f::updates::GetState)), "AUTH_KEY_PERM_EMPTY");
    assert_eq!(world.fault(temp, f::auth::LogOut), "AUTH_KEY_PERM_EMPTY");
    world.call(temp, f::help::GetNearestDc).unwrap();
    world.call(temp, f::help::GetConfig).unwrap();
    assert_eq!(Fault::AuthKeyPermEmpty.code(), 401);
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[test]
fn a_bound_key_stands_for_the_permanent_one() {
    let (mut world, perm, temp, user) = world();
    bind(&mut world, temp, perm);
    // Login, layer and device are there at once.
    world.call(temp, f::updates::GetState).unwrap();
    let auth = world.state.auth_behind(1, temp.id).unwrap().unwrap();
    assert_eq!((auth.key_id, auth.user), (perm.id, Some(user)));
    // And what is said under the one holds for the other.
    let key = world.bare_key(1);
    let temp = world.key_until(1, Some(world.now + 3600));
    let b = binding(&world, temp, key);
    world.call(temp, request(&bytes(3), &b, &b)).unwrap();
    assert_eq!(world.fault(temp, f::help::GetAppConfig { hash: 0 }), "CONNECTION_NOT_INITED");
    world.call(temp, introduced(f::help::GetNearestDc)).unwrap();
    assert_eq!(world.state.auth(1, key.id).unwrap().unwrap().layer, Some(230));
    assert_eq!(world.state.auth(1, temp.id).unwrap().unwrap().layer, None);
}

#[test]
fn binding_again_to_the_same_key_is_no_mistake() {
    let (mut world, perm, temp, _) = world();
    bind(&mut world, temp, perm);
    bind(&mut world, temp, perm);
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[test]
fn every_field_of_the_message_has_to_be_the_requests() {
    let (mut world, perm, temp, _) = world();
    let b = binding(&world, temp, perm);
    let others = [
        Binding { msg_id: MsgId(MSG_ID.0 + 4), ..b },
        Binding { nonce: 6, ..b },
        Binding { temp_auth_key_id: 7, ..b },
        Binding { perm_auth_key_id: 7, ..b },
        Binding { session_id: SessionId(7), ..b },
        Binding { expires_at: b.expires_at + 1, ..b },
    ];
    for inside in others {
        assert_eq!(world.fault(temp, request(&bytes(1), &inside, &b)), "ENCRYPTED_MESSAGE_INVALID", "{inside:?}");
    }
    // A key that nobody knows, one of another's, a temporary one, and no message at all.
    let unknown = Binding { perm_auth_key_id: bytes(99).id(), ..b };
    assert_eq!(world.fault(temp, request(&bytes(99), &unknown, &unknown)), "ENCRYPTED_MESSAGE_INVALID");
    assert_eq!(world.fault(temp, request(&bytes(99), &b, &b)), "ENCRYPTED_MESSAGE_INVALID");
    let short_lived = world.key_until(1, Some(world.now + 3600));
    let to_temp = binding(&world, temp, short_lived);
    assert_eq!(world.fault(temp, request(&bytes(3), &to_temp, &to_temp)), "ENCRYPTED_MESSAGE_INVALID");
    let empty = f::auth::BindTempAuthKey { encrypted_message: Bytes::new(), ..request(&bytes(1), &b, &b) };
    assert_eq!(world.fault(temp, empty), "ENCRYPTED_MESSAGE_INVALID");
    assert_eq!(world.fault(temp, f::updates::GetState), "AUTH_KEY_PERM_EMPTY", "nothing was bound");
}

#[test]
fn what_cannot_be_bound_is_not() {
    let (mut world, perm, temp, _) = world();
    let b = binding(&world, perm, perm);
    assert_eq!(world.fault(perm, request(&bytes(1), &b, &b)), "TEMP_AUTH_KEY_EMPTY");
    let past = Binding { expires_at: world.now as i32, ..binding(&world, temp, perm) };
    assert_eq!(world.fault(temp, request(&bytes(1), &past, &past)), "EXPIRES_AT_INVALID");
    bind(&mut world, temp, perm);
    let other = world.bare_key(1);
    let b = binding(&world, temp, other);
    assert_eq!(world.fault(temp, request(&bytes(3), &b, &b)), "TEMP_AUTH_KEY_ALREADY_BOUND");
    // A key of another DC is not known here.
    let away = world.bare_key(2);
    let fresh = world.key_until(1, Some(world.now + 3600));
    let b = binding(&world, fresh, away);
    assert_eq!(world.fault(fresh, request(&bytes(4), &b, &b)), "ENCRYPTED_MESSAGE_INVALID");
}

#[test]
fn a_key_ends_when_both_have_said_that_it_does() {
    let (mut world, perm, temp, _) = world();
    bind(&mut world, temp, perm);
    assert_eq!(world.state.auth(1, temp.id).unwrap().unwrap().expires, Some(world.now + 3000), "the earlier of the two");
    assert!(world.state.auth_key(DcId(1), temp.id, world.now + 2999).unwrap().is_some());
    assert!(world.state.auth_key(DcId(1), temp.id, world.now + 3000).unwrap().is_none());
}

/// Row: A.3 "destroy_auth_key"
#[test]
fn logging_out_and_destroying_take_the_temporary_keys_along() {
    let (mut world, perm, temp, _) = world();
    bind(&mut world, temp, perm);
    let before = world.state.key_losses();
    world.call(temp, f::auth::LogOut).unwrap();
    assert!(world.state.auth_key(DcId(1), temp.id, world.now).unwrap().is_none());
    assert_ne!(world.state.key_losses(), before, "connections look again");
    assert_eq!(world.fault(perm, f::updates::GetState), "AUTH_KEY_UNREGISTERED", "the permanent key stays, logged out");

    let temp = world.key_until(1, Some(world.now + 3600));
    bind(&mut world, temp, perm);
    world.call_raw(temp, tdl_core::tl::Serialize::to_bytes(&DestroyAuthKey)).unwrap();
    for key in [temp, perm] {
        assert!(world.state.auth_key(DcId(1), key.id, world.now).unwrap().is_none());
    }
}

#[test]
fn who_was_logged_out_from_elsewhere_is_told_so_under_a_bound_key() {
    let (mut world, perm, temp, _) = world();
    bind(&mut world, temp, perm);
    let other = world.key(1);
    let hash = world.code_hash(other, "9996610001");
    let sign_in = f::auth::SignIn {
        phone_number: "9996610001".into(),
        phone_code_hash: hash.as_str().into(),
        phone_code: Some("11111".into()),
        email_verification: None,
    };
    world.call(other, sign_in).unwrap();
    // Temporary keys do not last for the day that this takes.
    world.settings.rules.fresh = false;
    world.call(other, f::auth::ResetAuthorizations).unwrap();
    assert_eq!(world.fault(temp, f::updates::GetState), "SESSION_REVOKED");
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let (mut world, perm, first, _) = world();
    bind(&mut world, first, perm);
    for _ in 1..MAX_BOUND {
        world.now += 1;
        let temp = world.key_until(1, Some(world.now + 3600));
        bind(&mut world, temp, perm);
        assert!(world.state.auth_key(DcId(1), first.id, world.now).unwrap().is_some());
    }
    world.now += 1;
    let last = world.key_until(1, Some(world.now + 3600));
    bind(&mut world, last, perm);
    assert!(world.state.auth_key(DcId(1), first.id, world.now).unwrap().is_none());
    world.call(last, f::updates::GetState).unwrap();
}
