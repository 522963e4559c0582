//! The server against a client that breaks one rule: each fires, and no other.

use num_bigint::BigUint;

use crate::{
    crypto::{
        dh::{DhError, KNOWN_PRIME},
        hash::sha1,
    },
    tl::{mtproto::types, wire},
};

use super::*;

fn flipped(mut bytes: [u8; 16]) -> [u8; 16] {
    flip(&mut bytes);
    bytes
}

fn honest_request() -> functions::ReqDhParams {
    read(&STAGES.req_dh_params)
}

fn request_body(body: Bytes) -> Error {
    error_of(STAGES.server_1.clone().handle(body, NOW, &mut rng(9)))
}

/// What the server says to `req_DH_params` with one thing changed.
fn request(edit: impl FnOnce(&mut functions::ReqDhParams)) -> Error {
    let mut request = honest_request();
    edit(&mut request);
    request_body(request.to_bytes())
}

/// The same inside the RSA block, which is encrypted anew.
fn rsa_block(content: &[u8]) -> Error {
    request(|it| {
        let encrypted = KEY.public().encrypt_pad(content, &mut rng(7)).unwrap();
        it.encrypted_data = Bytes::copy_from_slice(&encrypted);
    })
}

fn inner(edit: impl FnOnce(&mut types::PQInnerDataDc)) -> Error {
    let enums::PQInnerData::Dc(mut inner) = open_rsa_block(&honest_request()) else { panic!("a permanent key") };
    edit(&mut inner);
    rsa_block(&enums::PQInnerData::Dc(inner).to_bytes())
}

#[test]
fn first_messages_that_are_none() {
    let expected = Message::ReqPq;
    let id = u32::from_le_bytes(*STAGES.req_dh_params.first_chunk().unwrap());
    let error = wire::Error::UnknownConstructor { id, expected: "req_pq_multi" };
    let found = STAGES.server_0.clone().handle(STAGES.req_dh_params.clone(), &mut rng(9)).err();
    assert_eq!(found, Some(InvalidMessage::Decode { expected, error }.into()));
    let found = STAGES.server_0.clone().handle(Bytes::new(), &mut rng(9)).err();
    assert!(matches!(found, Some(Error::InvalidMessage(InvalidMessage::Decode { .. }))));
}

/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn requests_with_other_nonces() {
    let honest = honest_request();
    let (nonce, server_nonce) = (honest.nonce, honest.server_nonce);
    for message in [Message::ReqDhParams, Message::PqInnerData] {
        let (found, expected) = (Nonce(flipped(nonce)), Nonce(nonce));
        let error = match message {
            Message::ReqDhParams => request(|it| flip(&mut it.nonce)),
            _ => inner(|it| flip(&mut it.nonce)),
        };
        assert_eq!(error, PeerMisbehaved::NonceMismatch { message, found, expected }.into());
        let (found, expected) = (Nonce(flipped(server_nonce)), Nonce(server_nonce));
        let error = match message {
            Message::ReqDhParams => request(|it| flip(&mut it.server_nonce)),
            _ => inner(|it| flip(&mut it.server_nonce)),
        };
        assert_eq!(error, PeerMisbehaved::ServerNonceMismatch { message, found, expected }.into());
    }
}

#[test]
fn requests_with_wrong_factors() {
    let padded = |number: &Bytes| Bytes::from([&[0], &number[..]].concat());
    let factors = Error::from(PeerMisbehaved::FactorsMismatch);
    assert_eq!(request(|it| std::mem::swap(&mut it.p, &mut it.q)), factors);
    assert_eq!(request(|it| it.p = Bytes::new()), factors);
    assert_eq!(request(|it| it.q = Bytes::from_static(&[7])), factors);
    assert_eq!(request(|it| it.p = padded(&it.p)), factors, "leading zeros");

    let factors = Error::from(PeerMisbehaved::InnerFactorsMismatch);
    assert_eq!(inner(|it| std::mem::swap(&mut it.p, &mut it.q)), factors);
    assert_eq!(inner(|it| it.p = Bytes::new()), factors);
    assert_eq!(inner(|it| it.q = padded(&it.q)), factors);
    assert_eq!(inner(|it| it.pq = Bytes::from_static(&[15])), PeerMisbehaved::InnerPqMismatch.into());
    assert_eq!(inner(|it| it.pq = padded(&it.pq)), PeerMisbehaved::InnerPqMismatch.into());
}

/// Row: A.2 "unknown fingerprint behaviour"
#[test]
fn requests_for_another_key() {
    let found = KEY.public().fingerprint() ^ 1;
    let error = Error::from(PeerIncompatible::UnknownFingerprint { found });
    assert_eq!(request(|it| it.public_key_fingerprint = found), error);
    assert_eq!(error.transport_code(), -404);
}

/// Row: A.2 "RSA_PAD"
#[test]
fn rsa_blocks_that_are_none() {
    for len in [0, 1, 255, 257, 512] {
        let found = request(|it| it.encrypted_data = vec![1; len].into());
        assert_eq!(found, PeerMisbehaved::RsaBlockLength { len }.into());
    }
    let invalid = Error::from(PeerMisbehaved::RsaPadInvalid);
    assert_eq!(request(|it| it.encrypted_data = vec![0xff; 256].into()), invalid, "over the modulus");
    assert_eq!(request(|it| it.encrypted_data = vec![0; 256].into()), invalid);
    for at in [0, 100, 255] {
        let found = request(|it| {
            let mut block = it.encrypted_data.to_vec();
            block[at] ^= 1;
            it.encrypted_data = block.into();
        });
        assert_eq!(found, invalid, "byte {at}");
    }
}

#[test]
fn rsa_blocks_with_something_else() {
    let expected = Message::PqInnerData;
    let error = wire::Error::UnknownConstructor { id: 0x0606_0606, expected: "P_Q_inner_data" };
    assert_eq!(rsa_block(&[6; 100]), InvalidMessage::Decode { expected, error }.into());
}

/// Row: A.2 "inner data"
#[test]
fn another_data_centre() {
    for found in [0, 1, 3, 10_002, -1, i32::MIN, i32::MAX].map(DcId) {
        let error = Error::from(PeerIncompatible::WrongDc { found, expected: DC });
        assert_eq!(inner(|it| it.dc = found.0), error);
        assert_eq!(error.transport_code(), -444);
    }
}

/// Older clients name no data centre, with or without a lifetime.
/// Row: A.2 "inner data"
#[test]
fn every_form_of_the_rsa_block() {
    let enums::PQInnerData::Dc(it) = open_rsa_block(&honest_request()) else { panic!("a permanent key") };
    let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc } = *it;
    let temporary = |expires_in| {
        let (pq, p, q) = (pq.clone(), p.clone(), q.clone());
        types::PQInnerDataTempDc { pq, p, q, nonce, server_nonce, new_nonce, dc, expires_in }
    };
    for found in [0, -1, i32::MIN] {
        let content = enums::PQInnerData::from(temporary(found)).to_bytes();
        assert_eq!(rsa_block(&content), PeerMisbehaved::ExpiresInNotPositive { found }.into());
    }

    let expires_at = NOW.unix() + 60;
    let (dc, temp) = (Some(DC), KeyKind::Temporary { expires_at });
    let (a, b) = (temporary(60), temporary(60));
    let untagged = types::PQInnerDataTemp { pq: a.pq, p: a.p, q: a.q, nonce, server_nonce, new_nonce, expires_in: 60 };
    let plain = types::PQInnerData { pq: b.pq, p: b.p, q: b.q, nonce, server_nonce, new_nonce };
    let forms: [(enums::PQInnerData, _, _); 3] =
        [(temporary(60).into(), temp, dc), (untagged.into(), temp, None), (plain.into(), KeyKind::Permanent, None)];
    for (form, kind, dc) in forms {
        let mut request = honest_request();
        let encrypted = KEY.public().encrypt_pad(&form.to_bytes(), &mut rng(7)).unwrap();
        request.encrypted_data = Bytes::copy_from_slice(&encrypted);
        // The same randomness as the honest run, so that the client's answer fits.
        let mut theirs = rng(2);
        let _ = server::start(&server_config()).handle(STAGES.req_pq.clone(), &mut theirs).unwrap();
        let (server, _) = STAGES.server_1.clone().handle(request.to_bytes(), NOW, &mut theirs).unwrap();
        let outcome = server.handle(STAGES.set_client_dh_params.clone(), &mut |_| false);
        let Ok(server::Outcome::Done(established, answer)) = outcome else { panic!("the exchange is honest") };
        assert_eq!((established.kind, established.dc), (kind, dc));
        assert_eq!((established.auth_key, answer), (STAGES.auth_key.clone(), STAGES.dh_gen_ok.clone()));
    }
}

fn honest_set() -> functions::SetClientDhParams {
    read(&STAGES.set_client_dh_params)
}

/// What the server says to `set_client_DH_params` with one thing changed.
fn set(edit: impl FnOnce(&mut functions::SetClientDhParams)) -> Error {
    let mut request = honest_set();
    edit(&mut request);
    let outcome = STAGES.server_2.clone().handle(request.to_bytes(), &mut |_| false);
    error_of(outcome)
}

fn set_inner(edit: impl FnOnce(&mut types::ClientDhInnerData)) -> Error {
    let enums::ClientDhInnerData::Data(mut inner) = STAGES.secrets.open(&honest_set().encrypted_data);
    edit(&mut inner);
    set(|it| it.encrypted_data = STAGES.secrets.seal(&enums::ClientDhInnerData::Data(inner)))
}

/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn the_last_request_with_other_nonces() {
    let honest = honest_set();
    let (nonce, server_nonce) = (honest.nonce, honest.server_nonce);
    for message in [Message::SetClientDhParams, Message::ClientDhInnerData] {
        let (found, expected) = (Nonce(flipped(nonce)), Nonce(nonce));
        let error = match message {
            Message::SetClientDhParams => set(|it| flip(&mut it.nonce)),
            _ => set_inner(|it| flip(&mut it.nonce)),
        };
        assert_eq!(error, PeerMisbehaved::NonceMismatch { message, found, expected }.into());
        let (found, expected) = (Nonce(flipped(server_nonce)), Nonce(server_nonce));
        let error = match message {
            Message::SetClientDhParams => set(|it| flip(&mut it.server_nonce)),
            _ => set_inner(|it| flip(&mut it.server_nonce)),
        };
        assert_eq!(error, PeerMisbehaved::ServerNonceMismatch { message, found, expected }.into());
    }
}

/// Row: A.2 "answer shorter than 20 B"
#[test]
fn the_last_request_of_a_wrong_length() {
    let message = Message::ClientDhInnerData;
    let with = |len| set(|it| it.encrypted_data = vec![3; len].into());
    for len in [0, 20, 79] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedTooShort { message, len, min: 80 }.into());
    }
    for len in [81, 335, 1023] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedNotBlockAligned { message, len }.into());
    }
    for len in [1025, 8192] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedTooLong { message, len, max: 1024 }.into());
    }
    assert_eq!(with(336), PeerMisbehaved::InnerHashMismatch { message }.into());
}

#[test]
fn the_last_request_altered_or_overlong_or_something_else() {
    let message = Message::ClientDhInnerData;
    let found = set(|it| {
        let mut data = it.encrypted_data.to_vec();
        data[40] ^= 1;
        it.encrypted_data = data.into();
    });
    assert_eq!(found, PeerMisbehaved::InnerHashMismatch { message }.into());

    let content = STAGES.secrets.open::<enums::ClientDhInnerData>(&honest_set().encrypted_data).to_bytes();
    let sealed = STAGES.secrets.seal_raw(&content, 32);
    let len = sealed.len() - 20 - content.len();
    assert_eq!(set(|it| it.encrypted_data = sealed), PeerMisbehaved::InnerPaddingTooLong { message, len }.into());

    let found = set(|it| it.encrypted_data = STAGES.secrets.seal_raw(&[8; 300], 0));
    let error = wire::Error::UnknownConstructor { id: 0x0808_0808, expected: "Client_DH_Inner_Data" };
    assert_eq!(found, InvalidMessage::Decode { expected: message, error }.into());
}

/// Row: A.2 "dh_gen_retry"
#[test]
fn retry_ids_name_the_key_before() {
    let found = set_inner(|it| it.retry_id = 5);
    assert_eq!(found, PeerMisbehaved::RetryIdMismatch { found: 5, expected: 0 }.into());

    let outcome = STAGES.server_2.clone().handle(STAGES.set_client_dh_params.clone(), &mut |_| true);
    let Ok(server::Outcome::Retry(server, _)) = outcome else { panic!("the key is taken") };
    let found = server.handle(STAGES.set_client_dh_params.clone(), &mut |_| false).err();
    let expected = STAGES.auth_key.aux_hash();
    assert_eq!(found, Some(PeerMisbehaved::RetryIdMismatch { found: 0, expected }.into()));
}

/// Row: A.2 "1<g,g_a,g_b<p-1"
/// Row: A.2 "2^1984 <= g_a,g_b <= p-2^1984"
#[test]
fn the_last_request_with_an_unsafe_public_value() {
    let with = |g_b: &[u8]| set_inner(|it| it.g_b = Bytes::copy_from_slice(g_b));
    let bad = |error| Error::from(PeerMisbehaved::BadPublicValue { name: "g_b", error });
    for out_of_range in [&[][..], &[0], &[1], &[0; 256], &KNOWN_PRIME, &[0xff; 256], &[1; 257]] {
        assert_eq!(with(out_of_range), bad(DhError::PublicOutOfRange));
    }
    let mut almost = KNOWN_PRIME;
    almost[255] -= 2;
    assert_eq!(with(&almost), bad(DhError::PublicTooLarge));
    assert_eq!(with(&[2]), bad(DhError::PublicTooSmall));
}

/// The key's identifier is what is asked about, and nothing else.
#[test]
fn the_taken_question_is_about_the_key() {
    let mut asked = Vec::new();
    let outcome = STAGES.server_2.clone().handle(STAGES.set_client_dh_params.clone(), &mut |id| {
        asked.push(id);
        false
    });
    assert!(matches!(outcome, Ok(server::Outcome::Done(..))));
    assert_eq!(asked, [STAGES.auth_key.id()]);
}

/// A block as clients of before 2021 encrypt it: a hash, the data, anything.
fn legacy_block(hash: [u8; 20], data: &[u8]) -> Bytes {
    let mut block = [hash.as_slice(), data].concat();
    block.resize(255, 0xa5);
    let modulus = BigUint::from_bytes_be(&KEY.public().modulus());
    let power = BigUint::from_bytes_be(&block).modpow(&BigUint::from(65_537_u32), &modulus).to_bytes_be();
    [vec![0; 256 - power.len()], power].concat().into()
}

#[test]
fn rsa_blocks_of_before_2021() {
    let enums::PQInnerData::Dc(it) = open_rsa_block(&honest_request()) else { panic!("a permanent key") };
    let types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, .. } = *it;
    let data = enums::PQInnerData::from(types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }).to_bytes();
    let with = |accept, encrypted_data| {
        // The same randomness as the honest run, so that the client's answer fits.
        let mut theirs = rng(2);
        let config = server_config().with_legacy_rsa(accept);
        let (server, _) = server::start(&config).handle(STAGES.req_pq.clone(), &mut theirs).unwrap();
        server.handle(functions::ReqDhParams { encrypted_data, ..honest_request() }.to_bytes(), NOW, &mut theirs)
    };
    let honest = legacy_block(sha1(&[&data]), &data);
    let (server, _) = with(true, honest.clone()).unwrap();
    let outcome = server.handle(STAGES.set_client_dh_params.clone(), &mut |_| false);
    assert!(matches!(outcome, Ok(server::Outcome::Done(established, _)) if established.auth_key == STAGES.auth_key));
    // Whoever did not ask for it does not get it.
    assert_eq!(with(false, honest).err(), Some(PeerMisbehaved::RsaPadInvalid.into()));
    let forged = legacy_block(sha1(&[b"else"]), &data);
    assert_eq!(with(true, forged).err(), Some(PeerMisbehaved::LegacyRsaHashMismatch.into()));
    // 256 bytes with the first not zero are neither the one form nor the other.
    assert_eq!(with(true, vec![1; 256].into()).err(), Some(PeerMisbehaved::RsaPadInvalid.into()));
}
