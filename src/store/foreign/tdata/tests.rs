use std::{collections::BTreeMap, fs};

use rand::{SeedableRng as _, rngs::StdRng};
use zeroize::Zeroizing;

use crate::ids::DcId;

use super::super::Format;
use super::super::bytes::put_qt_bytes;
use super::*;

const DATA: &str = "D877F783D5D3EF8C";
const DATA_2: &str = "A7FDF864FBC10B77";

fn account(user: i64, dc: i32) -> ForeignSession {
    let seed = u8::try_from(dc).unwrap();
    let mut account = ForeignSession::new(Format::Tdata, dc.into(), &AuthKey::from_bytes(&[seed; 256])).unwrap();
    account.set_user_id(user).unwrap();
    account
}

fn two() -> [ForeignSession; 2] {
    let mut first = account(7_000_000_001, 2);
    first.keys.insert(DcId(4), AuthKey::from_bytes(&[4; 256]));
    first.address = Some("149.154.167.51:443".parse().unwrap());
    first.test = Some(false);
    let mut second = account(12, 3);
    second.address = Some("149.154.175.117:443".parse().unwrap());
    second.test = Some(true);
    [first, second]
}

fn written(accounts: &[ForeignSession], passcode: &[u8]) -> Files {
    files(accounts, passcode, &mut StdRng::from_seed([7; 32])).unwrap()
}

/// A list of accounts, and the key of the files, by hand.
fn key_data(numbers: &[i32], local_key: &AuthKey) -> Zeroizing<Vec<u8>> {
    let mut rng = StdRng::from_seed([8; 32]);
    let list: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    let salt = [1; 32];
    let mut content = Vec::new();
    put_qt_bytes(&mut content, &salt);
    put_qt_bytes(&mut content, &local::encrypt(local_key.as_bytes(), &local::passcode_key(b"", &salt), &mut rng));
    put_qt_bytes(&mut content, &local::encrypt(&list, local_key, &mut rng));
    frame(&content, 6_001_004)
}

fn account_file(account: &ForeignSession, local_key: &AuthKey) -> Zeroizing<Vec<u8>> {
    let plain = authorization::write(account.user_id.unwrap(), account.home_dc, &account.keys);
    let mut content = Vec::new();
    put_qt_bytes(&mut content, &local::encrypt(&plain, local_key, &mut StdRng::from_seed([9; 32])));
    frame(&content, 6_001_004)
}

fn legacy_files(passcode: &[u8], salt: &[u8]) -> Files {
    let mut rng = StdRng::from_seed([3; 32]);
    let local_key = AuthKey::from_bytes(&[5; 256]);
    let mut map = Vec::new();
    put_qt_bytes(&mut map, salt);
    put_qt_bytes(&mut map, &local::encrypt(local_key.as_bytes(), &local::legacy_passcode_key(passcode, salt), &mut rng));
    put_qt_bytes(&mut map, &local::encrypt(b"", &local_key, &mut rng));
    BTreeMap::from([
        (format!("{DATA}/map1"), frame(&map, 1_001_023)),
        (format!("{DATA}0"), account_file(&account(77, 2), &local_key)),
    ])
}

fn damage(files: &mut Files, name: &str) {
    let file = files.get_mut(name).unwrap();
    let last = file.len() - 20;
    file[last] ^= 1;
}

#[test]
fn what_is_written_is_read_again_with_all_accounts() {
    let tdata = read_from(&written(&two(), b""), b"").unwrap();
    let users: Vec<_> = tdata.accounts.iter().map(|a| (a.user_id, a.home_dc.0, a.name.clone())).collect();
    assert_eq!(users, [(Some(7_000_000_001), 2, Some("data".into())), (Some(12), 3, Some("data#2".into()))]);
    for (read, written) in tdata.accounts.iter().zip(two()) {
        assert_eq!((&read.keys, read.address, read.test), (&written.keys, written.address, written.test));
        assert_eq!((read.owner.app_version.as_deref(), read.owner.lang_pack.as_deref()), (Some("5.8.3"), Some("tdesktop")));
    }
    assert_eq!((tdata.active.as_deref(), tdata.legacy, tdata.version), (Some("data"), false, 5_008_003));
    assert!(tdata.unreadable.is_empty() && tdata.stale.is_empty());
}

#[test]
fn a_passcode_is_needed_and_a_wrong_one_is_told_from_damage() {
    let passcode = "Kennwort \u{1f511}".as_bytes();
    let mut files = written(&two()[..1], passcode);
    assert!(matches!(read_from(&files, b""), Err(Error::PasscodeNeeded)));
    assert!(matches!(read_from(&files, b"kennwort"), Err(Error::WrongPasscode)));
    assert_eq!(read_from(&files, passcode).unwrap().accounts.len(), 1);
    damage(&mut files, "key_datas");
    for passcode in [b"".as_slice(), passcode] {
        assert!(matches!(read_from(&files, passcode), Err(Error::BadChecksum { name }) if name == "key_datas"));
    }
}

#[test]
fn the_layout_with_one_account_is_read_with_and_without_a_passcode() {
    for passcode in [b"".as_slice(), b"1234"] {
        let mut files = legacy_files(passcode, &[6; 32]);
        let tdata = read_from(&files, passcode).unwrap();
        assert!(tdata.legacy && tdata.unreadable.is_empty());
        assert_eq!((tdata.accounts[0].user_id, tdata.version), (Some(77), 1_001_023));
        assert!(matches!(read_from(&files, b"12345"), Err(Error::WrongPasscode)));
        damage(&mut files, &format!("{DATA}/map1"));
        assert!(matches!(read_from(&files, passcode), Err(Error::BadChecksum { .. })));
    }
    assert!(matches!(read_from(&legacy_files(b"1", &[6; 32]), b""), Err(Error::PasscodeNeeded)));
    assert!(matches!(read_from(&legacy_files(b"", &[6; 31]), b""), Err(Error::BadSaltLength { found: 31 })));
}

#[test]
fn a_current_layout_without_its_key_is_not_taken_for_a_legacy_one() {
    let mut files = written(&two(), b"");
    files.remove("key_datas");
    assert!(matches!(read_from(&files, b""), Err(Error::MissingFile { name }) if name == "key_data"));
    assert!(matches!(read_from(&Files::new(), b""), Err(Error::MissingFile { .. })));
}

#[test]
fn an_older_copy_stands_in_for_a_damaged_one() {
    let mut files = written(&two(), b"");
    let (key, first) = (files["key_datas"].clone(), files[&format!("{DATA}s")].clone());
    files.insert("key_data1".into(), key);
    files.insert(format!("{DATA}0"), first);
    damage(&mut files, "key_datas");
    damage(&mut files, &format!("{DATA}s"));
    let tdata = read_from(&files, b"").unwrap();
    assert_eq!(tdata.accounts.len(), 2);
    assert_eq!(tdata.stale, ["key_data", DATA]);
    // Two damaged copies: the newer one's error is told.
    damage(&mut files, "key_data1");
    assert!(matches!(read_from(&files, b""), Err(Error::BadChecksum { name }) if name == "key_datas"));
}

#[test]
fn of_two_old_copies_the_newer_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let local_key = AuthKey::from_bytes(&[5; 256]);
    fs::write(dir.path().join("key_datas"), key_data(&[1, 0], &local_key)).unwrap();
    let copies = [(format!("{DATA}0"), 11, 2000), (format!("{DATA}1"), 22, 1000)];
    for swap in [false, true] {
        for (name, user, age) in &copies {
            let path = dir.path().join(name);
            fs::write(&path, account_file(&account(*user, 2), &local_key)).unwrap();
            let age = if swap { 3000 - age } else { *age };
            let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 - age);
            fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
        }
        let read = read(dir.path(), b"").unwrap();
        assert_eq!(read.accounts[0].user_id, Some(if swap { 11 } else { 22 }));
    }
}

#[test]
fn a_damaged_account_does_not_hide_the_others() {
    let mut files = written(&two(), b"");
    damage(&mut files, &format!("{DATA}s"));
    let tdata = read_from(&files, b"").unwrap();
    assert_eq!(tdata.accounts.len(), 1);
    assert!(matches!(&tdata.unreadable[..], [(name, Error::BadChecksum { .. })] if name == "data"));
    files.remove(&format!("{DATA}s"));
    assert!(matches!(&read_from(&files, b"").unwrap().unreadable[..], [(_, Error::MissingFile { name })] if name == DATA));
    damage(&mut files, &format!("{DATA_2}s"));
    assert!(matches!(read_from(&files, b""), Err(Error::MissingFile { .. })));
}

#[test]
fn a_file_of_another_key_is_damage_and_not_a_wrong_passcode() {
    let mut files = written(&two()[..1], b"");
    files.insert(format!("{DATA}s"), account_file(&account(1, 2), &AuthKey::from_bytes(&[5; 256])));
    assert!(matches!(read_from(&files, b""), Err(Error::BadDigest { what: "the account's keys" })));
}

#[test]
fn accounts_that_nobody_is_logged_in_to_are_told_as_such() {
    let local_key = AuthKey::from_bytes(&[5; 256]);
    let mut nobody = account(1, 2);
    nobody.user_id = Some(0);
    let mut files = BTreeMap::from([
        ("key_datas".to_owned(), key_data(&[1, 0], &local_key)),
        (format!("{DATA}s"), account_file(&nobody, &local_key)),
    ]);
    assert!(matches!(read_from(&files, b""), Err(Error::NotLoggedIn)));
    files.insert("key_datas".to_owned(), key_data(&[2, 0, 1, 1], &local_key));
    assert!(matches!(read_from(&files, b""), Err(Error::MissingFile { name }) if name == DATA_2), "damage says more");
}

#[test]
fn lists_of_accounts_that_cannot_be() {
    let local_key = AuthKey::from_bytes(&[5; 256]);
    let with = |numbers: &[i32]| {
        let files = BTreeMap::from([
            ("key_datas".to_owned(), key_data(numbers, &local_key)),
            (format!("{DATA}s"), account_file(&account(1, 2), &local_key)),
        ]);
        read_from(&files, b"")
    };
    for count in [0, -1, 1001, i32::MAX] {
        assert!(matches!(with(&[count, 0]), Err(Error::BadAccountCount { found }) if found == count));
    }
    for index in [-1, 1000, i32::MIN] {
        assert!(matches!(with(&[1, index]), Err(Error::BadAccountIndex { found }) if found == index));
    }
    assert!(matches!(with(&[3, 0]), Err(Error::Truncated { what: "the list of accounts", .. })));
    // Named twice, it is one account; an active one that is not there is none.
    let tdata = with(&[2, 0, 0, 9]).unwrap();
    assert_eq!((tdata.accounts.len(), tdata.active), (1, None));
    assert_eq!(tdata.accounts[0].owner.layer, Some(214));
}

#[test]
fn a_config_that_cannot_be_read_is_done_without() {
    let mut files = written(&two()[..1], b"");
    damage(&mut files, &format!("{DATA}/configs"));
    let account = &read_from(&files, b"").unwrap().accounts[0];
    assert_eq!((account.address, account.test), (None, None));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let mut files = written(&two()[..1], b"");
    files.insert("key_datas".into(), Zeroizing::new(vec![0; (1 << 20) + 1]));
    assert!(matches!(read_from(&files, b""), Err(Error::TooLarge { limit: 0x10_0000, .. })));
}

#[test]
fn a_directory_is_found_from_the_one_above_and_its_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("tdata");
    assert!(matches!(read(dir.path(), b""), Err(Error::NotTdata { .. })));
    assert!(matches!(read(&inner, b""), Err(Error::NotFound { .. })));
    write(&inner, &two(), b"", &mut StdRng::from_seed([1; 32])).unwrap();
    for path in [dir.path(), &inner] {
        let tdata = read(path, b"").unwrap();
        assert_eq!((tdata.accounts.len(), tdata.accounts[0].path.as_deref()), (2, Some(inner.as_path())));
    }
    let again = write(&inner, &two(), b"", &mut StdRng::from_seed([1; 32]));
    assert!(matches!(again, Err(Error::Exists { path }) if path == inner));
    #[cfg(unix)]
    for name in ["key_datas", "D877F783D5D3EF8Cs", "D877F783D5D3EF8C/maps", "D877F783D5D3EF8C/configs"] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(inner.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is() {
    let rng = &mut StdRng::from_seed([1; 32]);
    assert!(matches!(files(&[], b"", rng), Err(Error::Missing { what: "an account", .. })));
    let mut stranger = account(1, 2);
    stranger.user_id = None;
    assert!(matches!(files(&[stranger], b"", rng), Err(Error::Missing { what: "the account's id", .. })));
    let mut keyless = account(1, 2);
    keyless.keys.clear();
    assert!(matches!(files(&[keyless], b"", rng), Err(Error::NoHomeKey { dc: 2 })));
    let many = vec![account(1, 2); 1001];
    assert!(matches!(files(&many, b"", rng), Err(Error::CannotHold { .. })));
}
