//! Writing `tdata` as current versions of Telegram Desktop have it.

use std::path::Path;

use rand::Rng;
use zeroize::Zeroizing;

use crate::crypto::AuthKey;

use super::super::bytes::put_qt_bytes;
use super::super::{Error, ForeignSession, Format, private_files};
use super::{Files, MAX_ACCOUNTS, authorization, config, data_name, file, local};

/// The version that is written into the files: 5.8.3. Desktop refuses files of versions newer than itself, and takes older ones over; the
/// layout has been the same since 2.8.
const VERSION: i32 = 5_008_003;

/// The files of a `tdata` with these accounts, by name, the first of them the active one. An empty passcode stands for none.
///
/// # Errors
///
/// [`Error::Missing`] for an account whose id is not known, or where there is no account; [`Error::CannotHold`] for more accounts than a
/// `tdata` has; [`Error::NoHomeKey`].
pub fn files(accounts: &[ForeignSession], passcode: &[u8], rng: &mut impl Rng) -> Result<Files, Error> {
    let missing = |what| Error::Missing { format: Format::Tdata, what };
    let count = match i32::try_from(accounts.len()) {
        Ok(0) => return Err(missing("an account")),
        Ok(count) if count <= MAX_ACCOUNTS => count,
        _ => return Err(Error::CannotHold { format: Format::Tdata, what: "so many accounts" }),
    };
    let mut out = Files::new();
    let mut random = Zeroizing::new([0; AuthKey::LEN]);
    rng.fill_bytes(random.as_mut_slice());
    let local_key = AuthKey::from_bytes(&random);
    let mut encrypted = |content: &[u8], key: &AuthKey| {
        let mut block = Vec::new();
        put_qt_bytes(&mut block, &local::encrypt(content, key, rng));
        block
    };

    for (index, account) in (0_i32..).zip(accounts) {
        account.home_key()?;
        let user_id = account.user_id.ok_or_else(|| missing("the account's id"))?;
        let name = file::name_on_disk(&data_name(index));
        let content = authorization::write(user_id, account.home_dc, &account.keys);
        out.insert(format!("{name}s"), file::frame(&encrypted(&content, &local_key), VERSION));
        // A map that names nothing. The salt and the key in front of it are in `key_data` now.
        let mut map = Vec::new();
        put_qt_bytes(&mut map, &[]);
        put_qt_bytes(&mut map, &[]);
        map.extend_from_slice(&encrypted(&[], &local_key));
        out.insert(format!("{name}/maps"), file::frame(&map, VERSION));
        if let Some(address) = account.address {
            let content = config::write(account.test.unwrap_or(false), account.home_dc, address);
            out.insert(format!("{name}/configs"), file::frame(&encrypted(&content, &local_key), VERSION));
        }
    }

    let mut list = Vec::new();
    for number in std::iter::once(count).chain(0..count).chain([0]) {
        list.extend_from_slice(&number.to_be_bytes());
    }
    let list = encrypted(&list, &local_key);
    let mut salt = [0; local::SALT];
    rng.fill_bytes(&mut salt);
    let sealed = local::encrypt(local_key.as_bytes(), &local::passcode_key(passcode, &salt), rng);
    let mut key_data = Vec::new();
    put_qt_bytes(&mut key_data, &salt);
    put_qt_bytes(&mut key_data, &sealed);
    key_data.extend_from_slice(&list);
    out.insert("key_datas".to_owned(), file::frame(&key_data, VERSION));
    Ok(out)
}

/// Writes a `tdata` into a directory that is made for it, readable by its owner only. `key_data`, which makes a `tdata` of it, is written last.
///
/// # Errors
///
/// [`Error::Exists`] where the directory is there already; [`Error::Io`]; as [`files`].
pub fn write(directory: &Path, accounts: &[ForeignSession], passcode: &[u8], rng: &mut impl Rng) -> Result<(), Error> {
    let files = files(accounts, passcode, rng)?;
    private_files::create_dir(directory)?;
    for (name, content) in files {
        if let Some((account, _)) = name.split_once('/') {
            let account = directory.join(account);
            if !account.is_dir() {
                private_files::create_dir(&account)?;
            }
        }
        private_files::create(&directory.join(name), &content)?;
    }
    Ok(())
}
