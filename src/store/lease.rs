//! Who follows the updates of a namespace: one process at a time.
//!
//! The server's updates of one account come in one order, and how far they have been told is one record. Two processes that both told
//! and both stored it would each tell a part. So whoever follows them holds a lock on `NAME.updates`; the system takes it back when the process
//! ends, however it ends. The file says who it is, for whoever comes second.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{ErrorKind, Read as _, Write as _},
};

use super::{Error, Namespace, private};

/// Who follows the updates, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// Since when, in local Unix time.
    pub since: Option<i64>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "another tdl (process {pid})"),
            None => f.write_str("another tdl"),
        }
    }
}

/// The right to follow the updates of a namespace. Given back when dropped, and when the process dies.
#[derive(Debug)]
pub struct UpdateLease {
    _file: File,
}

impl Namespace {
    /// Takes the right to follow the updates. `pid` and `now` are for whoever comes second.
    ///
    /// # Errors
    ///
    /// [`Error::Watched`] while another process has it; what making the file can raise.
    pub fn follow_updates(&self, pid: u32, now: i64) -> Result<UpdateLease, Error> {
        let path = self.path().with_extension("updates");
        let mut file = private::open_or_create(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Watched { name: self.name().to_string(), holder: read(&mut file) });
            }
            // A file system without locks cannot tell: then two at once are the user's to avoid.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{pid} {now}")).map_err(|e| Error::io(&path, e))?;
        Ok(UpdateLease { _file: file })
    }

    /// Who follows the updates at this moment, if anybody does.
    ///
    /// # Errors
    ///
    /// What opening the file can raise.
    pub fn updates_holder(&self) -> Result<Option<Holder>, Error> {
        let path = self.path().with_extension("updates");
        if !path.exists() {
            return Ok(None);
        }
        let mut file = private::open_or_create(&path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Some(read(&mut file))),
            _ => Ok(None),
        }
    }
}

/// The file is short, and ours; what does not look like it is not believed.
fn read(file: &mut File) -> Holder {
    let mut text = String::new();
    if file.take(64).read_to_string(&mut text).is_err() {
        return Holder::default();
    }
    let mut words = text.split_whitespace();
    Holder { pid: words.next().and_then(|word| word.parse().ok()), since: words.next().and_then(|word| word.parse().ok()) }
}

#[cfg(test)]
mod tests {
    use crate::store::{Home, NamespaceName};

    use super::*;

    #[test]
    fn the_second_is_told_who_is_first_and_gets_it_when_that_one_ends() {
        let dir = tempfile::tempdir().expect("directory");
        let home = Home::at(dir.path());
        let name = NamespaceName::default();
        let (one, two) = (home.open(&name, 1).expect("opened"), home.open(&name, 1).expect("opened"));
        assert_eq!(two.updates_holder().expect("read"), None);
        let lease = one.follow_updates(77, 5).expect("first");
        let holder = Holder { pid: Some(77), since: Some(5) };
        assert!(matches!(two.follow_updates(78, 6), Err(Error::Watched { holder: found, .. }) if found == holder));
        assert_eq!(two.updates_holder().expect("read"), Some(holder));
        drop(lease);
        assert_eq!(two.updates_holder().expect("read"), None);
        let _lease = two.follow_updates(78, 6).expect("now it is free");
        drop((one, two));
        home.remove(&name).expect("removed");
        assert_eq!(std::fs::read_dir(home.namespace_dir()).expect("listed").count(), 0, "its file goes with it");
    }
}
