//! Telegram Desktop's `tdata`.
//!
//! ```text
//! key_data          salt; the local key, encrypted with the passcode's; the list of accounts, encrypted with the local key ([`key_data`])
//! D877F783D5D3EF8C  the first account's keys, encrypted with the local key; the name is made of `data`, that of the next of `data#2`
//! D877F783D5D3EF8C/ what else the account has: `map` names it, `config` says where the DCs are
//! ```
//!
//! Each file has one of the suffixes `s`, `0` and `1` (`folder`), and the frame of `file`. The encryption is that of `local`. Versions
//! before 2.1 knew one account only and no `key_data`: salt and local key stood in the account's `map`.
//!
//! Nothing is ever written into a `tdata` that is read.

mod authorization;
mod config;
mod file;
mod folder;
mod key_data;
mod local;
mod versions;
mod write;

use std::path::{Path, PathBuf};

use crate::crypto::AuthKey;

use super::bytes::Cursor;
use super::{Error, ForeignSession};

pub use authorization::parse as parse_account;
pub use config::{Config, parse as parse_config};
pub use file::frame;
pub use folder::{Files, Folder};
pub use write::{files, write};

use folder::{Directory, Found, newest};
use key_data::KeyData;

/// The application's id of Telegram Desktop's own builds. `tdata` does not say which one was used: builds of distributions have theirs.
pub const DESKTOP_API_ID: i32 = 2040;

/// The most accounts that are looked for. Desktop allows six; some that were made of it allow more.
const MAX_ACCOUNTS: i32 = 1000;

/// The largest files: keys and accounts have some kilobytes, maps grow with the drafts.
const SMALL: u64 = 1 << 20;
const LARGE: u64 = 16 << 20;

/// A `tdata` that was read.
#[derive(Debug)]
pub struct Tdata {
    /// The accounts that are logged in, in Desktop's order.
    pub accounts: Vec<ForeignSession>,
    /// Accounts that could not be read, by their name, and why. [`Error::NotLoggedIn`] is among the reasons.
    pub unreadable: Vec<(String, Error)>,
    /// The name of the account that Desktop shows first.
    pub active: Option<String>,
    /// The version of the Desktop that wrote it, as a number: 5008003 is 5.8.3.
    pub version: i32,
    /// Whether it has the layout of versions before 2.1.
    pub legacy: bool,
    /// Files of which the newest copy is damaged and an older one was taken.
    pub stale: Vec<String>,
}

/// Reads the `tdata` at `path`: the directory itself, or the one that it is in. An empty passcode stands for none.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::NotTdata`]; [`Error::PasscodeNeeded`], [`Error::WrongPasscode`], [`Error::NewerPasscode`] and
/// [`Error::PasscodeCost`]; otherwise what is damaged. An account that cannot be read is no error as long as another one can.
pub fn read(path: &Path, passcode: &[u8]) -> Result<Tdata, Error> {
    if !path.exists() {
        return Err(Error::NotFound { path: path.to_path_buf() });
    }
    let directory = directory(path).ok_or_else(|| Error::NotTdata { path: path.to_path_buf() })?;
    let mut tdata = read_from(&Directory(directory.clone()), passcode)?;
    for account in &mut tdata.accounts {
        account.path = Some(directory.clone());
    }
    Ok(tdata)
}

/// The directory of a `tdata`, given it or the one that it is in.
pub fn directory(path: &Path) -> Option<PathBuf> {
    let legacy = format!("{}/map", file::name_on_disk(&data_name(0)));
    [path.to_path_buf(), path.join("tdata")]
        .into_iter()
        .find(|directory| ["key_data", &legacy].iter().any(|name| folder::has_copy(directory, name)))
}

/// Reads a `tdata` from wherever its files are.
///
/// # Errors
///
/// As [`read`], with [`Error::MissingFile`] where there is none.
pub fn read_from(folder: &dyn Folder, passcode: &[u8]) -> Result<Tdata, Error> {
    match newest(folder, "key_data", SMALL) {
        Ok(found) => current(folder, found, passcode),
        Err(Error::MissingFile { .. }) => legacy(folder, passcode),
        Err(error) => Err(error),
    }
}

fn current(folder: &dyn Folder, key_data: Found, passcode: &[u8]) -> Result<Tdata, Error> {
    let Found { file, stale } = key_data;
    let key_data = KeyData::parse(&file.content)?;
    let local_key = key_data.open(passcode)?;
    let list = local::decrypt("the list of accounts", key_data.list, &local_key)?;
    let mut list = Cursor::new(&list);
    let count = list.i32("the list of accounts")?;
    if !(1..=MAX_ACCOUNTS).contains(&count) {
        return Err(Error::BadAccountCount { found: count });
    }
    let mut reading = Reading::new(folder, &local_key, file.version);
    reading.note("key_data", stale);
    let mut seen = Vec::new();
    for _ in 0..count {
        let index = list.i32("the list of accounts")?;
        if !(0..MAX_ACCOUNTS).contains(&index) {
            return Err(Error::BadAccountIndex { found: index });
        }
        // Desktop passes over what it has seen already.
        if !seen.contains(&index) {
            seen.push(index);
            reading.account(&data_name(index));
        }
    }
    if !list.is_empty() {
        let active = list.i32("the list of accounts")?;
        reading.tdata.active = seen.contains(&active).then(|| data_name(active));
    }
    reading.finish()
}

fn legacy(folder: &dyn Folder, passcode: &[u8]) -> Result<Tdata, Error> {
    let name = data_name(0);
    let map_name = format!("{}/map", file::name_on_disk(&name));
    let Found { file, stale } = newest(folder, &map_name, LARGE)?;
    let mut cursor = Cursor::new(&file.content);
    let salt = cursor.qt_bytes("the map")?;
    let key = cursor.qt_bytes("the map")?;
    let map = cursor.qt_bytes("the map")?;
    if salt.is_empty() && key.is_empty() {
        // The map of a current layout, whose key_data is gone: nothing opens it any more.
        return Err(Error::MissingFile { name: "key_data".to_owned() });
    }
    let local_key =
        key_data::open_local_key(salt, key, passcode, |passcode, salt| Ok(local::legacy_passcode_key(passcode, salt)))?;
    // Nothing in it is needed; but whoever reads a map has to know that it is whole.
    local::decrypt("the map", map, &local_key)?;
    let mut reading = Reading::new(folder, &local_key, file.version);
    reading.tdata.legacy = true;
    reading.note(&map_name, stale);
    reading.account(&name);
    reading.tdata.active = Some(name);
    reading.finish()
}

/// Accounts being read.
struct Reading<'a> {
    folder: &'a dyn Folder,
    local_key: &'a AuthKey,
    tdata: Tdata,
}

impl<'a> Reading<'a> {
    fn new(folder: &'a dyn Folder, local_key: &'a AuthKey, version: i32) -> Self {
        let tdata =
            Tdata { accounts: Vec::new(), unreadable: Vec::new(), active: None, version, legacy: false, stale: Vec::new() };
        Self { folder, local_key, tdata }
    }

    fn note(&mut self, name: &str, stale: bool) {
        if stale {
            self.tdata.stale.push(name.to_owned());
        }
    }

    fn account(&mut self, name: &str) {
        match self.read_account(name) {
            Ok(account) => self.tdata.accounts.push(account),
            Err(error) => self.tdata.unreadable.push((name.to_owned(), error)),
        }
    }

    fn read_account(&mut self, name: &str) -> Result<ForeignSession, Error> {
        let file_name = file::name_on_disk(name);
        let Found { file, stale } = newest(self.folder, &file_name, SMALL)?;
        self.note(&file_name, stale);
        let plain = self.open("the account's keys", &file.content)?;
        let mut account = authorization::parse(&plain)?;
        account.name = Some(name.to_owned());
        account.owner = versions::owner(file.version);
        // Desktop does without it where it cannot be read, and so do we.
        let config = newest(self.folder, &format!("{file_name}/config"), SMALL)
            .and_then(|found| self.open("the config", &found.file.content))
            .and_then(|plain| config::parse(&plain));
        if let Ok(config) = config {
            account.test = Some(config.test);
            account.address = config.address(account.home_dc);
        }
        Ok(account)
    }

    fn open(&self, what: &'static str, content: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
        local::decrypt(what, Cursor::new(content).qt_bytes(what)?, self.local_key)
    }

    fn finish(self) -> Result<Tdata, Error> {
        let mut tdata = self.tdata;
        // Where nothing can be read, damage says more than an account that nobody is logged in to.
        if tdata.accounts.is_empty() {
            let damaged = tdata.unreadable.iter().position(|(_, error)| !matches!(error, Error::NotLoggedIn)).unwrap_or(0);
            if damaged < tdata.unreadable.len() {
                return Err(tdata.unreadable.swap_remove(damaged).1);
            }
        }
        Ok(tdata)
    }
}

/// The name under which an account's data is kept.
fn data_name(index: i32) -> String {
    match index {
        0 => "data".to_owned(),
        _ => format!("data#{}", index + 1),
    }
}

#[cfg(test)]
mod tests;
