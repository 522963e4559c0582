//! The client against someone who changes one thing in what the server says: each rule fires, and no other.

use crate::{
    crypto::dh::{DhError, KNOWN_PRIME},
    tl::{mtproto::types, wire},
};

use super::*;

fn nonce_mismatch(message: Message, found: [u8; 16], expected: [u8; 16]) -> Error {
    PeerMisbehaved::NonceMismatch { message, found: Nonce(found), expected: Nonce(expected) }.into()
}

fn server_nonce_mismatch(message: Message, found: [u8; 16], expected: [u8; 16]) -> Error {
    PeerMisbehaved::ServerNonceMismatch { message, found: Nonce(found), expected: Nonce(expected) }.into()
}

fn flipped(mut bytes: [u8; 16]) -> [u8; 16] {
    flip(&mut bytes);
    bytes
}

/// What the client says to `resPQ` with one thing changed.
fn res_pq(edit: impl FnOnce(&mut types::ResPq)) -> Error {
    let enums::ResPq::Pq(mut answer) = read(&STAGES.res_pq);
    edit(&mut answer);
    let body = enums::ResPq::Pq(answer).to_bytes();
    error_of(STAGES.client_1.clone().handle(body, &mut rng(9)))
}

/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn res_pq_with_another_nonce() {
    let enums::ResPq::Pq(honest) = read(&STAGES.res_pq);
    let expected = nonce_mismatch(Message::ResPq, flipped(honest.nonce), honest.nonce);
    assert_eq!(res_pq(|it| flip(&mut it.nonce)), expected);
}

/// Row: A.2 "pq sanity"
#[test]
fn res_pq_with_a_bad_number() {
    let with = |pq: &[u8]| res_pq(|it| it.pq = Bytes::copy_from_slice(pq));
    assert_eq!(with(&[0, 0, 0, 0, 0, 0, 0, 0, 15]), PeerMisbehaved::PqTooLong { len: 9 }.into());
    assert_eq!(with(&[1; 64]), PeerMisbehaved::PqTooLong { len: 64 }.into());
    assert_eq!(with(&[0x80, 0, 0, 0, 0, 0, 0, 0]), PeerMisbehaved::PqTooLarge { pq: 1 << 63 }.into());
    assert_eq!(with(&[0xff; 8]), PeerMisbehaved::PqTooLarge { pq: u64::MAX }.into());
    let largest_prime = 0x7fff_ffff_ffff_ffe7_u64;
    for pq in [0, 1, 2, 3, 6, 9, 30, 105, 0x7fff_ffff, 0x7fff_ffff * 0x7fff_ffff, largest_prime, 1 << 62] {
        assert_eq!(with(&u64::to_be_bytes(pq)), PeerMisbehaved::PqNotTwoOddPrimes { pq }.into());
    }
    assert_eq!(with(&[]), PeerMisbehaved::PqNotTwoOddPrimes { pq: 0 }.into());
}

/// Leading zeros change no number, and few bytes make a small one: both are factored and sent back as they came.
#[test]
fn res_pq_with_an_odd_but_lawful_number() {
    for (pq, p, q) in [(&[0, 0, 15][..], 3, 5), (&[15], 3, 5), (&[0, 0, 0, 0, 0, 5, 0xc5, 0x6d], 613, 617)] {
        let enums::ResPq::Pq(mut answer) = read(&STAGES.res_pq);
        answer.pq = Bytes::copy_from_slice(pq);
        let body = enums::ResPq::Pq(answer).to_bytes();
        let (next, request) = STAGES.client_1.clone().handle(body, &mut rng(9)).unwrap();
        assert_eq!(next.pq(), p * q);
        let request: functions::ReqDhParams = read(&request);
        assert_eq!((&request.p, &request.q), (&minimal(p), &minimal(q)));
        let enums::PQInnerData::Dc(inner) = open_rsa_block(&request) else { panic!("a permanent key") };
        assert_eq!((&inner.pq[..], inner.p, inner.q, inner.dc), (pq, minimal(p), minimal(q), DC.0));
    }
}

/// Row: A.2 "unknown fingerprint behaviour"
#[test]
fn res_pq_without_a_key_that_we_know() {
    for offered in [vec![], vec![1, -2, 3]] {
        let expected = PeerIncompatible::NoCommonKey { offered: offered.clone() };
        assert_eq!(res_pq(|it| it.server_public_key_fingerprints = offered), expected.into());
    }
    let (client, _) = client::start(&client::Config::new(&[], DC, Mode::Permanent), &mut rng(1));
    let found = client.handle(STAGES.res_pq.clone(), &mut rng(1)).err();
    assert!(matches!(found, Some(Error::PeerIncompatible(PeerIncompatible::NoCommonKey { .. }))), "{found:?}");
}

#[test]
fn other_messages_than_expected() {
    let expect = |expected, error| Some(Error::from(InvalidMessage::Decode { expected, error }));
    let id = u32::from_le_bytes(*STAGES.dh_gen_ok.first_chunk().unwrap());
    let unknown = |expected| wire::Error::UnknownConstructor { id, expected };
    let other = || STAGES.dh_gen_ok.clone();

    let found = STAGES.client_1.clone().handle(other(), &mut rng(9)).err();
    assert_eq!(found, expect(Message::ResPq, unknown("ResPQ")));
    let found = STAGES.client_2.clone().handle(other(), NOW, &mut rng(9)).err();
    assert_eq!(found, expect(Message::ServerDhParams, unknown("Server_DH_Params")));
    let mut longer = other().to_vec();
    longer.extend_from_slice(&[0; 4]);
    let found = STAGES.client_3.clone().handle(longer.into(), &mut rng(9)).err();
    assert_eq!(found, expect(Message::DhGen, wire::Error::TrailingBytes { left: 4 }));
}

fn honest_params() -> types::ServerDhParamsOk {
    match read(&STAGES.server_dh_params) {
        enums::ServerDhParams::Ok(answer) => *answer,
        enums::ServerDhParams::Fail(_) => panic!("the honest server does not fail"),
    }
}

fn params_body(body: enums::ServerDhParams) -> Error {
    error_of(STAGES.client_2.clone().handle(body.to_bytes(), NOW, &mut rng(9)))
}

/// What the client says to `server_DH_params_ok` with one thing changed.
fn params(edit: impl FnOnce(&mut types::ServerDhParamsOk)) -> Error {
    let mut answer = honest_params();
    edit(&mut answer);
    params_body(answer.into())
}

/// The same inside the encrypted part.
fn inner(edit: impl FnOnce(&mut types::ServerDhInnerData)) -> Error {
    let enums::ServerDhInnerData::Data(mut inner) = STAGES.secrets.open(&honest_params().encrypted_answer);
    edit(&mut inner);
    params(|it| it.encrypted_answer = STAGES.secrets.seal(&enums::ServerDhInnerData::Data(inner)))
}

/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn params_with_other_nonces() {
    let (honest, message) = (honest_params(), Message::ServerDhParams);
    let expected = nonce_mismatch(message, flipped(honest.nonce), honest.nonce);
    assert_eq!(params(|it| flip(&mut it.nonce)), expected);
    let expected = server_nonce_mismatch(message, flipped(honest.server_nonce), honest.server_nonce);
    assert_eq!(params(|it| flip(&mut it.server_nonce)), expected);

    let message = Message::ServerDhInnerData;
    let expected = nonce_mismatch(message, flipped(honest.nonce), honest.nonce);
    assert_eq!(inner(|it| flip(&mut it.nonce)), expected);
    let expected = server_nonce_mismatch(message, flipped(honest.server_nonce), honest.server_nonce);
    assert_eq!(inner(|it| flip(&mut it.server_nonce)), expected);
}

/// Row: A.2 "answer shorter than 20 B"
#[test]
fn params_of_a_wrong_length() {
    let message = Message::ServerDhInnerData;
    let with = |len| {
        params(|it| {
            let mut answer = it.encrypted_answer.to_vec();
            answer.resize(len, 0);
            it.encrypted_answer = answer.into();
        })
    };
    for len in [0, 1, 16, 19, 20, 64, 79] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedTooShort { message, len, min: 80 }.into());
    }
    for len in [81, 591, 593, 1023] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedNotBlockAligned { message, len }.into());
    }
    for len in [1025, 1040, 4096] {
        assert_eq!(with(len), PeerMisbehaved::EncryptedTooLong { message, len, max: 1024 }.into());
    }
    for len in [80, 576] {
        assert_eq!(with(len), PeerMisbehaved::InnerHashMismatch { message }.into());
    }
    // 592 bytes with 8 of padding, and more behind.
    for (len, padding) in [(608, 24), (1024, 440)] {
        assert_eq!(with(len), PeerMisbehaved::InnerPaddingTooLong { message, len: padding }.into());
    }
}

/// Row: A.2 "SHA1(answer)"
#[test]
fn params_with_a_changed_byte_anywhere() {
    for at in (0..592).step_by(37) {
        let found = params(|it| {
            let mut answer = it.encrypted_answer.to_vec();
            answer[at] ^= 0x10;
            it.encrypted_answer = answer.into();
        });
        assert_eq!(found, PeerMisbehaved::InnerHashMismatch { message: Message::ServerDhInnerData }.into(), "byte {at}");
    }
}

/// Row: A.2 "SHA1(answer)"
#[test]
fn params_with_too_much_padding() {
    let message = Message::ServerDhInnerData;
    let honest: enums::ServerDhInnerData = STAGES.secrets.open(&honest_params().encrypted_answer);
    let content = honest.to_bytes();
    for padding in [16, 100, 400] {
        let sealed = STAGES.secrets.seal_raw(&content, padding);
        let len = sealed.len() - 20 - content.len();
        assert_eq!(params(|it| it.encrypted_answer = sealed), PeerMisbehaved::InnerPaddingTooLong { message, len }.into());
    }
}

/// Bytes that the server did mean, by their hash, but that are not the message: the reader's complaint is passed on.
#[test]
fn params_that_are_something_else() {
    let expected = Message::ServerDhInnerData;
    let found = params(|it| it.encrypted_answer = STAGES.secrets.seal_raw(&[7; 80], 0));
    let error = wire::Error::UnknownConstructor { id: 0x0707_0707, expected: "Server_DH_inner_data" };
    assert_eq!(found, InvalidMessage::Decode { expected, error }.into());
}

/// Row: A.2 "p is 2048-bit safe prime"
/// Row: A.2 "g quadratic residue"
#[test]
fn params_with_an_unsafe_group() {
    for g in [i32::MIN, -3, 0, 1, 8, i32::MAX] {
        assert_eq!(inner(|it| it.g = g), PeerMisbehaved::BadGroup(DhError::GeneratorOutOfRange { g }).into());
    }
    for g in [2, 5, 6] {
        assert_eq!(inner(|it| it.g = g), PeerMisbehaved::BadGroup(DhError::GeneratorNotResidue { g }).into());
    }
    let prime = |bytes: &[u8]| inner(|it| it.dh_prime = Bytes::copy_from_slice(bytes));
    let bad = |error| Error::from(PeerMisbehaved::BadGroup(error));
    assert_eq!(prime(&[]), bad(DhError::PrimeSize { bits: 0 }));
    assert_eq!(prime(&[0; 256]), bad(DhError::PrimeSize { bits: 0 }));
    assert_eq!(prime(&KNOWN_PRIME[1..]), bad(DhError::PrimeSize { bits: 2037 }));
    assert_eq!(prime(&[&[1], &KNOWN_PRIME[..]].concat()), bad(DhError::PrimeSize { bits: 2049 }));
    // Twelve more or less leave the generator 3 as lawful as it was.
    let mut composite = KNOWN_PRIME;
    composite[255] += 12;
    assert_eq!(prime(&composite), bad(DhError::PrimeComposite));
}

/// Row: A.2 "1<g,g_a,g_b<p-1"
/// Row: A.2 "2^1984 <= g_a,g_b <= p-2^1984"
#[test]
fn params_with_an_unsafe_public_value() {
    let with = |g_a: &[u8]| inner(|it| it.g_a = Bytes::copy_from_slice(g_a));
    let bad = |error| Error::from(PeerMisbehaved::BadPublicValue { name: "g_a", error });
    for out_of_range in [&[][..], &[0], &[1], &[0; 256], &KNOWN_PRIME, &[0xff; 256], &[1; 257]] {
        assert_eq!(with(out_of_range), bad(DhError::PublicOutOfRange));
    }
    let mut almost = KNOWN_PRIME;
    almost[255] -= 1;
    assert_eq!(with(&almost), bad(DhError::PublicOutOfRange), "p - 1");
    almost[255] -= 1;
    assert_eq!(with(&almost), bad(DhError::PublicTooLarge), "p - 2");
    assert_eq!(with(&[2]), bad(DhError::PublicTooSmall));
    assert_eq!(with(&[0xff; 248]), bad(DhError::PublicTooSmall), "2^1984 - 1");
}

/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn params_fail_is_believed_only_from_the_server() {
    let honest = honest_params();
    let (nonce, server_nonce) = (honest.nonce, honest.server_nonce);
    let new_nonce_hash = STAGES.secrets.new_nonce.plain_hash();
    let fail = |nonce, server_nonce, new_nonce_hash| {
        params_body(types::ServerDhParamsFail { nonce, server_nonce, new_nonce_hash }.into())
    };
    assert_eq!(fail(nonce, server_nonce, new_nonce_hash), Refused::DhParams.into());
    assert_eq!(fail(nonce, server_nonce, flipped(new_nonce_hash)), PeerMisbehaved::DhParamsFailHashMismatch.into());
    let message = Message::ServerDhParams;
    let expected = nonce_mismatch(message, flipped(nonce), nonce);
    assert_eq!(fail(flipped(nonce), server_nonce, new_nonce_hash), expected);
    let expected = server_nonce_mismatch(message, flipped(server_nonce), server_nonce);
    assert_eq!(fail(nonce, flipped(server_nonce), new_nonce_hash), expected);
}

/// Row: A.2 "time offset from server_time"
#[test]
fn server_time_may_be_anything() {
    for (server_time, offset) in [(i32::MIN, -3_854_908_753), (0, -1_707_425_105), (i32::MAX, 440_058_542)] {
        let enums::ServerDhInnerData::Data(mut inner) = STAGES.secrets.open(&honest_params().encrypted_answer);
        inner.server_time = server_time;
        let mut answer = honest_params();
        answer.encrypted_answer = STAGES.secrets.seal(&enums::ServerDhInnerData::Data(inner));
        let body = enums::ServerDhParams::from(answer).to_bytes();
        let (next, _) = STAGES.client_2.clone().handle(body, NOW, &mut rng(9)).unwrap();
        assert_eq!(next.time_offset(), offset);
    }
}

fn dh_gen(verdict: Verdict, nonces: Nonces, hash: [u8; 16]) -> Result<client::Outcome, Error> {
    let Nonces { nonce, server_nonce } = nonces;
    let answer: enums::SetClientDhParamsAnswer = match verdict {
        Verdict::Ok => types::DhGenOk { nonce, server_nonce, new_nonce_hash1: hash }.into(),
        Verdict::Retry => types::DhGenRetry { nonce, server_nonce, new_nonce_hash2: hash }.into(),
        Verdict::Fail => types::DhGenFail { nonce, server_nonce, new_nonce_hash3: hash }.into(),
    };
    STAGES.client_3.clone().handle(answer.to_bytes(), &mut rng(9))
}

const VERDICTS: [Verdict; 3] = [Verdict::Ok, Verdict::Retry, Verdict::Fail];

/// Every branch checks both nonces and its own hash; in particular no answer can be turned into another.
/// Row: A.2 "new_nonce_hash1/2/3 verified"
/// Row: A.2 "nonce/server_nonce on every answer"
#[test]
fn every_verdict_has_to_be_proven() {
    let honest = honest_params();
    let nonces = Nonces { nonce: honest.nonce, server_nonce: honest.server_nonce };
    let hash = |verdict| STAGES.secrets.new_nonce.hash(verdict, &STAGES.auth_key);
    for verdict in VERDICTS {
        let expected = nonce_mismatch(Message::DhGen, flipped(nonces.nonce), nonces.nonce);
        let changed = Nonces { nonce: flipped(nonces.nonce), ..nonces };
        assert_eq!(dh_gen(verdict, changed, hash(verdict)).unwrap_err(), expected);
        let expected = server_nonce_mismatch(Message::DhGen, flipped(nonces.server_nonce), nonces.server_nonce);
        let changed = Nonces { server_nonce: flipped(nonces.server_nonce), ..nonces };
        assert_eq!(dh_gen(verdict, changed, hash(verdict)).unwrap_err(), expected);

        let mismatch = Error::from(match verdict {
            Verdict::Ok => PeerMisbehaved::NewNonceHash1Mismatch,
            Verdict::Retry => PeerMisbehaved::NewNonceHash2Mismatch,
            Verdict::Fail => PeerMisbehaved::NewNonceHash3Mismatch,
        });
        for other in VERDICTS.into_iter().filter(|other| *other != verdict) {
            assert_eq!(dh_gen(verdict, nonces, hash(other)).unwrap_err(), mismatch, "{other:?} as {verdict:?}");
        }
        assert_eq!(dh_gen(verdict, nonces, flipped(hash(verdict))).unwrap_err(), mismatch);
    }
    assert!(matches!(dh_gen(Verdict::Ok, nonces, hash(Verdict::Ok)), Ok(client::Outcome::Done(_))));
    assert!(matches!(dh_gen(Verdict::Retry, nonces, hash(Verdict::Retry)), Ok(client::Outcome::Retry(..))));
    assert_eq!(dh_gen(Verdict::Fail, nonces, hash(Verdict::Fail)).unwrap_err(), Refused::DhGen.into());
}

/// A server that never has enough: five new keys, each named by the hash of the one before, and no sixth.
/// Row: A.2 "dh_gen_retry"
#[test]
fn endless_retries_are_refused() {
    let mut server = STAGES.server_2.clone();
    let (mut client, mut request) = (STAGES.client_3.clone(), STAGES.set_client_dh_params.clone());
    let mut secrets = Vec::new();
    let ours = &mut rng(9);
    for _ in 0..MAX_RETRIES {
        let sent: functions::SetClientDhParams = read(&request);
        let enums::ClientDhInnerData::Data(inner) = STAGES.secrets.open(&sent.encrypted_data);
        secrets.push((inner.retry_id, inner.g_b));
        let Ok(server::Outcome::Retry(next, answer)) = server.handle(request, &mut |_| true) else { panic!("taken") };
        server = *next;
        let Ok(client::Outcome::Retry(next, body)) = client.handle(answer, ours) else { panic!("a retry") };
        (client, request) = (next, body);
    }
    assert_eq!(secrets[0].0, 0);
    assert_eq!(secrets[1].0, STAGES.auth_key.aux_hash());
    let mut values: Vec<_> = secrets.iter().map(|(_, g_b)| g_b.clone()).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), usize::from(MAX_RETRIES), "a new secret each time");

    // The honest server would fail now; this one asks once more.
    let mut key = None;
    let outcome = server.handle(request, &mut |_| false);
    if let Ok(server::Outcome::Done(established, _)) = outcome {
        key = Some(established.auth_key);
    }
    let honest = honest_params();
    let hash = STAGES.secrets.new_nonce.hash(Verdict::Retry, &key.expect("the key is free now"));
    let again = types::DhGenRetry { nonce: honest.nonce, server_nonce: honest.server_nonce, new_nonce_hash2: hash };
    let found = client.handle(enums::SetClientDhParamsAnswer::from(again).to_bytes(), ours).unwrap_err();
    assert_eq!(found, Refused::TooManyRetries.into());
}
