use rand::{SeedableRng as _, rngs::StdRng};

use super::super::super::bytes::put_qt_bytes;
use super::*;
use crate::seal::SealError;

const LEAST: [u32; 3] = [8, 1, 1];

fn local_key() -> AuthKey {
    AuthKey::from_bytes(&[5; 256])
}

/// A key of a record: how it is closed, its number, the costs that it claims, and the passcode (with the least costs).
fn wrap(kind: u32, number: u32, costs: [u32; 3], passcode: &[u8]) -> Vec<u8> {
    let salt = [u8::try_from(number).unwrap(); 32];
    let key = local::costly_key(passcode, &salt, KdfParams::LEAST, LIMITS).unwrap();
    let mut out: Vec<u8> = [kind, number].into_iter().chain(costs).flat_map(u32::to_be_bytes).collect();
    put_qt_bytes(&mut out, &salt);
    put_qt_bytes(&mut out, &local::encrypt(local_key().as_bytes(), &key, &mut StdRng::from_seed([4; 32])));
    out
}

/// A record and what it is in.
fn content(mark: u32, current: u32, count: u32, wraps: &[Vec<u8>]) -> Vec<u8> {
    let mut record: Vec<u8> = [mark, 2, current, count].into_iter().flat_map(u32::to_be_bytes).collect();
    record.extend(wraps.concat());
    let mut out = Vec::new();
    put_qt_bytes(&mut out, &[1; 32]);
    // Where the key stood before: an array that is null.
    out.extend_from_slice(&[0xff; 4]);
    put_qt_bytes(&mut out, &[0; 32]);
    put_qt_bytes(&mut out, &record);
    out
}

fn open(content: &[u8], passcode: &[u8]) -> Result<AuthKey, Error> {
    KeyData::parse(content)?.open(passcode)
}

#[test]
fn the_key_of_a_record_opens_with_its_passcode_only() {
    let content = content(MARK, 1, 1, &[wrap(ARGON2ID, 1, LEAST, b"1234")]);
    assert!(open(&content, b"1234").unwrap() == local_key());
    assert!(matches!(open(&content, b"1235"), Err(Error::WrongPasscode)));
    assert!(matches!(open(&content, b""), Err(Error::PasscodeNeeded)));
    for len in 0..content.len() {
        match KeyData::parse(&content[..len]) {
            // All that the older layout has, without a key.
            Ok(data) => assert!(matches!(data.open(b"1234"), Err(Error::BadEncryptedLength { .. })), "{len} bytes"),
            Err(error) => assert!(matches!(error, Error::Truncated { .. }), "{len} bytes: {error}"),
        }
    }
}

#[test]
fn each_key_of_a_record_is_tried_and_ways_that_are_not_known_are_passed_over() {
    let (mine, other, unknown) =
        (wrap(ARGON2ID, 2, LEAST, b"1234"), wrap(ARGON2ID, 1, LEAST, b"older"), wrap(9, 1, LEAST, b"1234"));
    for wraps in [[mine.clone(), other.clone()], [other, mine.clone()], [unknown.clone(), mine]] {
        assert!(open(&content(MARK, 2, 2, &wraps), b"1234").unwrap() == local_key());
    }
    for passcode in [b"".as_slice(), b"1234"] {
        let only_unknown = content(MARK, 1, 1, std::slice::from_ref(&unknown));
        assert!(matches!(open(&only_unknown, passcode), Err(Error::NewerPasscode)));
        let other_mark = content(MARK + 0x100, 1, 1, &[wrap(ARGON2ID, 1, LEAST, b"1234")]);
        assert!(matches!(open(&other_mark, passcode), Err(Error::NewerPasscode)));
    }
}

#[test]
fn a_record_cannot_ask_for_much() {
    for costs in [[(256 << 10) + 1, 1, 1], [256 << 10, 65, 1], [u32::MAX; 3], [8, 0, 1], [8, 1, 2], [1024, 1, 17], [8, 1, 0]] {
        let content = content(MARK, 1, 1, &[wrap(ARGON2ID, 1, costs, b"1234")]);
        let error = open(&content, b"1234").unwrap_err();
        assert!(matches!(error, Error::PasscodeCost(SealError::KdfOutOfBounds { .. })), "{costs:?}: {error}");
    }
    for count in [0, 3, u32::MAX] {
        let error = open(&content(MARK, 1, count, &[]), b"1234").unwrap_err();
        assert!(matches!(error, Error::BadValue { found, .. } if found == i64::from(count)));
    }
}

#[test]
fn a_key_that_stands_where_it_always_did_needs_no_record() {
    let salt = [1; 32];
    let key = local::passcode_key(b"", &salt);
    let mut content = Vec::new();
    put_qt_bytes(&mut content, &salt);
    put_qt_bytes(&mut content, &local::encrypt(local_key().as_bytes(), &key, &mut StdRng::from_seed([4; 32])));
    put_qt_bytes(&mut content, &[0; 32]);
    assert!(open(&content, b"").unwrap() == local_key());
    // As 7.3 writes it where there is no passcode.
    put_qt_bytes(&mut content, &[0x4b, 0x44, 0x32, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(open(&content, b"").unwrap() == local_key());
}
