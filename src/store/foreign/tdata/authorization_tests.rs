use super::*;

fn auth_key(seed: u8) -> AuthKey {
    AuthKey::from_bytes(&[seed; 256])
}

fn block(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    [&kind.to_be_bytes(), parts.concat().as_slice()].concat()
}

fn old_user(user: i32, dc: i32) -> Vec<u8> {
    block(USER, &[&user.to_be_bytes(), &dc.to_be_bytes()])
}

fn old_key(dc: i32, seed: u8) -> Vec<u8> {
    block(KEY, &[&dc.to_be_bytes(), &[seed; 256]])
}

fn qt(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_qt_bytes(&mut out, bytes);
    out
}

fn wrapped(inner: &[u8]) -> Vec<u8> {
    block(AUTHORIZATION, &[&qt(inner)])
}

fn one_key() -> Vec<u8> {
    [1_i32.to_be_bytes().as_slice(), &2_i32.to_be_bytes(), &[2; 256], &0_i32.to_be_bytes()].concat()
}

#[test]
fn what_is_written_is_read_again_and_every_end_before_the_end_is_seen() {
    let keys = BTreeMap::from([(DcId(2), auth_key(2)), (DcId(4), auth_key(4))]);
    let content = write(7_000_000_001, DcId(4), &keys);
    let read = parse(&content).unwrap();
    assert_eq!((read.user_id, read.home_dc, &read.keys), (Some(7_000_000_001), DcId(4), &keys));
    assert!(matches!(parse(&[]), Err(Error::NotLoggedIn)));
    for end in 1..content.len() {
        assert!(matches!(parse(&content[..end]), Err(Error::Truncated { .. })), "end at {end}");
    }
}

#[test]
fn ids_of_32_bits_are_read() {
    let inner = [77_i32.to_be_bytes().as_slice(), &2_i32.to_be_bytes(), &one_key()].concat();
    let read = parse(&wrapped(&inner)).unwrap();
    assert_eq!((read.user_id, read.home_dc, read.keys.len()), (Some(77), DcId(2), 1));
}

#[test]
fn blocks_of_the_first_versions_are_read_and_their_addresses_passed_over() {
    let content = [
        block(ADDRESS_WITH_HOST, &[&[0; 4], &qt(b"\0h"), &qt(b"\0i"), &[0; 4]]),
        block(ADDRESS_WITH_FLAGS, &[&[0; 8], &qt(b"\0i"), &[0; 4]]),
        block(ADDRESSES, &[&qt(&[0; 9])]),
        old_key(2, 2),
        old_key(1, 1),
        old_user(77, 2),
    ]
    .concat();
    let read = parse(&content).unwrap();
    assert_eq!((read.user_id, read.home_dc), (Some(77), DcId(2)));
    assert_eq!(read.keys, BTreeMap::from([(DcId(1), auth_key(1)), (DcId(2), auth_key(2))]));
}

#[test]
fn who_is_not_logged_in_is_not() {
    let nobody = |user: i64, dc: i32| parse(&write(user, DcId(dc), &BTreeMap::from([(DcId(2), auth_key(2))])));
    assert!(matches!(nobody(0, 2), Err(Error::NotLoggedIn)));
    assert!(matches!(nobody(7, 0), Err(Error::NotLoggedIn)));
    assert!(matches!(nobody(7, 4), Err(Error::NoHomeKey { dc: 4 })));
    assert!(matches!(parse(&[old_user(7, 2), old_key(2, 0)].concat()), Err(Error::NotLoggedIn)));
    assert!(matches!(parse(&[old_user(7, 2000), old_key(2000, 1)].concat()), Err(Error::BadDc { found: 2000 })));
    assert!(matches!(parse(&[old_user(-7, 2), old_key(2, 1)].concat()), Err(Error::BadUserId { found: -7 })));
}

#[test]
fn keys_of_temporary_connections_and_empty_ones_are_left_out() {
    let content = [old_user(7, 2), old_key(2, 2), old_key(20_002, 3), old_key(3, 0)].concat();
    assert_eq!(parse(&content).unwrap().keys.len(), 1);
}

#[test]
fn what_no_version_wrote_is_refused() {
    assert!(matches!(parse(&block(0x99, &[])), Err(Error::UnknownBlock { found: 0x99 })));
    let long = block(ADDRESS_WITH_FLAGS, &[&[0; 8], &qt(&[0; 1026]), &[0; 4]]);
    assert!(matches!(parse(&long), Err(Error::TooLarge { limit: 1024, found: 1026, .. })));
    for count in [-1, 2, i32::MAX] {
        let inner = [77_i32.to_be_bytes().as_slice(), &2_i32.to_be_bytes(), &count.to_be_bytes(), &one_key()[4..]].concat();
        assert!(matches!(parse(&wrapped(&inner)), Err(Error::BadKeyCount { found }) if found == count), "{count}");
    }
    let wide = [WIDE_IDS.to_be_bytes().as_slice(), &u64::MAX.to_be_bytes(), &2_i32.to_be_bytes(), &one_key()].concat();
    assert!(matches!(parse(&wrapped(&wide)), Err(Error::BadUserId { found: -1 })));
}
