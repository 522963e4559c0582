//! Each rule in both directions, and the message by a second way of making it.

use std::collections::BTreeSet;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::crypto::{aes, hash::sha1};

fn key(byte: u8) -> AuthKey {
    AuthKey::from_bytes(&std::array::from_fn(|i| (i as u8).wrapping_mul(3) ^ byte))
}

fn binding() -> Binding {
    Binding {
        msg_id: MsgId(0x6553_f100_1234_5678),
        nonce: -77,
        temp_auth_key_id: key(1).id(),
        perm_auth_key_id: key(2).id(),
        session_id: SessionId(0x5e55_1011),
        expires_at: 1_700_086_400,
    }
}

fn rng() -> StdRng {
    StdRng::from_seed([8; 32])
}

/// The decrypted part of a message that is right.
fn plain() -> [u8; PADDED_LEN] {
    let message = seal(&key(2), &binding(), &mut rng());
    let mut plain = <[u8; PADDED_LEN]>::try_from(&message[HEADER_LEN..]).unwrap();
    let msg_key = message[8..24].try_into().unwrap();
    kdf::aes_v1(&key(2), &msg_key, Side::Client).decrypt(&mut plain).unwrap();
    plain
}

/// `check` of a message whose bytes from `at` on are others, under a message key that fits them.
fn altered(at: usize, bytes: &[u8]) -> BindingError {
    let mut plain = plain();
    plain[at..at + bytes.len()].copy_from_slice(bytes);
    check(&key(2), &binding(), &seal_raw(&key(2), &plain)).unwrap_err()
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[test]
fn what_a_client_makes_a_server_accepts() {
    let message = seal(&key(2), &binding(), &mut rng());
    assert_eq!(message.len(), 104);
    assert_eq!(check(&key(2), &binding(), &message), Ok(()));
    let again = seal(&key(2), &binding(), &mut StdRng::from_seed([9; 32]));
    assert_ne!(message, again, "random bytes make it another one");
    assert_eq!(check(&key(2), &binding(), &again), Ok(()));
}

/// The formulas of "Mobile Protocol: Detailed Description (v.1.0, DEPRECATED)", written out once more.
/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[test]
fn the_message_is_that_of_the_page() {
    let (perm, b) = (key(2), binding());
    let message = seal(&perm, &b, &mut rng());
    assert_eq!(message[..8], perm.id().to_le_bytes());
    let (k, msg_key) = (perm.as_bytes(), &message[8..24]);
    let sha1_a = sha1(&[msg_key, &k[..32]]);
    let sha1_b = sha1(&[&k[32..48], msg_key, &k[48..64]]);
    let sha1_c = sha1(&[&k[64..96], msg_key]);
    let sha1_d = sha1(&[msg_key, &k[96..128]]);
    let aes_key = [&sha1_a[..8], &sha1_b[8..20], &sha1_c[4..16]].concat();
    let aes_iv = [&sha1_a[8..20], &sha1_b[..8], &sha1_c[16..20], &sha1_d[..8]].concat();
    let mut plain = message[24..].to_vec();
    aes::ige_decrypt(&aes_key.try_into().unwrap(), &aes_iv.try_into().unwrap(), &mut plain).unwrap();
    assert_eq!(sha1(&[&plain[..72]])[4..], *msg_key);
    let mut expected = Vec::new();
    expected.extend_from_slice(&b.msg_id.0.to_le_bytes());
    expected.extend_from_slice(&[0, 0, 0, 0, 40, 0, 0, 0, 0x65, 0xf7, 0xa3, 0x75]);
    for number in [b.nonce, b.temp_auth_key_id, b.perm_auth_key_id, b.session_id.0] {
        expected.extend_from_slice(&number.to_le_bytes());
    }
    expected.extend_from_slice(&b.expires_at.to_le_bytes());
    assert_eq!(plain[16..72], expected);
}

/// Row: A.3 "temp keys + auth.bindTempAuthKey (MTProto-v1 inner encryption)"
#[test]
fn each_rule_fires() {
    let b = binding();
    let sound = seal(&key(2), &b, &mut rng());
    let found = |error: BindingError| error.rule();
    let mut rules = BTreeSet::new();

    for len in [0, 23, 24, 103] {
        assert_eq!(check(&key(2), &b, &sound[..len]), Err(BindingError::WrongLength { len }));
    }
    let long = [&sound[..], &[0; 16]].concat();
    assert_eq!(check(&key(2), &b, &long), Err(BindingError::WrongLength { len: 120 }));
    rules.insert(found(BindingError::WrongLength { len: 0 }));

    // The server looked the named key up: the message is under another one.
    let other = Binding { perm_auth_key_id: key(3).id(), ..b };
    let error = check(&key(3), &other, &sound).unwrap_err();
    assert_eq!(error, BindingError::KeyIdMismatch { found: key(2).id(), expected: key(3).id() });
    rules.insert(found(error));
    assert!(matches!(check(&key(3), &b, &sound), Err(BindingError::KeyIdMismatch { .. })));

    // The identifier of the right key in front of what another key has made.
    let mut forged = seal(&key(4), &b, &mut rng()).to_vec();
    forged[..8].copy_from_slice(&key(2).id().to_le_bytes());
    assert_eq!(check(&key(2), &b, &forged), Err(BindingError::MsgKeyMismatch));
    rules.insert(found(BindingError::MsgKeyMismatch));

    let cases = [
        (altered(16, &8_i64.to_le_bytes()), BindingError::MsgIdMismatch { found: MsgId(8), expected: b.msg_id }),
        (altered(24, &2_i32.to_le_bytes()), BindingError::SeqNoNotZero { found: 2 }),
        (altered(28, &(-40_i32).to_le_bytes()), BindingError::WrongInnerLength { found: -40 }),
        (altered(32, &7_u32.to_le_bytes()), BindingError::WrongConstructor { found: 7 }),
        (altered(36, &8_i64.to_le_bytes()), BindingError::NonceMismatch),
        (altered(44, &9_i64.to_le_bytes()), BindingError::TempKeyMismatch { found: 9, expected: b.temp_auth_key_id }),
        (altered(52, &9_i64.to_le_bytes()), BindingError::PermKeyMismatch { found: 9, expected: b.perm_auth_key_id }),
        (altered(60, &9_i64.to_le_bytes()), BindingError::SessionMismatch { found: SessionId(9), expected: b.session_id }),
        (altered(68, &9_i32.to_le_bytes()), BindingError::ExpiryMismatch { found: 9, expected: b.expires_at }),
    ];
    for (error, expected) in cases {
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
        rules.insert(found(error));
    }
    assert_eq!(rules.len(), 12, "every variant was seen: {rules:?}");
}

#[test]
fn the_same_message_is_worth_nothing_in_another_request() {
    let b = binding();
    let message = seal(&key(2), &b, &mut rng());
    let others = [
        Binding { msg_id: MsgId(b.msg_id.0 + 4), ..b },
        Binding { nonce: 1, ..b },
        Binding { temp_auth_key_id: 1, ..b },
        Binding { perm_auth_key_id: 1, ..b },
        Binding { session_id: SessionId(1), ..b },
        Binding { expires_at: 1, ..b },
    ];
    for other in others {
        assert!(check(&key(2), &other, &message).is_err(), "{other:?}");
    }
}

#[test]
fn every_prefix_and_every_flipped_bit_is_refused() {
    let b = binding();
    let message = seal(&key(2), &b, &mut rng());
    for len in 0..message.len() {
        assert!(matches!(check(&key(2), &b, &message[..len]), Err(BindingError::WrongLength { .. })));
    }
    for bit in 0..message.len() * 8 {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // IGE spreads a change over all that follows, so the last block, which ends in padding, is the one where only the signed half
        // is sure to change. It does: its blocks are encrypted whole.
        assert!(check(&key(2), &b, &flipped).is_err(), "bit {bit}");
    }
}
