//! Who is told of auth keys, if anybody: the hook for key logs.
//!
//! With a key log, a capture of the encrypted traffic can be read later (by the module `debug` of `tdl`). So whoever has one can do whatever the owner
//! of the account can. Nothing logs keys unless it was asked to, and what can be observed otherwise ([`crate::trace`]) holds none: this is
//! the one way out, and it has a name of its own.

use std::fmt;
use std::sync::Arc;

use super::AuthKey;
use crate::ids::DcId;

/// Takes keys. It is called on the task that drives a connection: it must be quick. It is told of a key each time it is taken into use.
pub trait KeyLog: Send + Sync {
    /// Takes one key.
    fn key(&self, entry: &KeyEntry<'_>);
}

/// A key that is about to be used.
pub struct KeyEntry<'a> {
    /// The key.
    pub key: &'a AuthKey,
    /// The data centre that it is shared with.
    pub dc: DcId,
    /// When it ends, in Unix time by the server's clock, if it is a temporary one.
    pub expires_at: Option<i64>,
}

/// Shows no key.
impl fmt::Debug for KeyEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEntry").field("key", self.key).field("dc", &self.dc).field("expires_at", &self.expires_at).finish()
    }
}

/// The handle that whoever uses keys holds. Off unless somebody asked for a key log. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyLogger(Option<Arc<dyn KeyLog>>);

impl KeyLogger {
    /// Tells nobody.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Tells `log`.
    pub fn new(log: Arc<dyn KeyLog>) -> Self {
        Self(Some(log))
    }

    /// Tells of a key that is about to be used; `expires_at` if it is a temporary one.
    pub fn key(&self, key: &AuthKey, dc: DcId, expires_at: Option<i64>) {
        if let Some(log) = &self.0 {
            log.key(&KeyEntry { key, dc, expires_at });
        }
    }
}

impl fmt::Debug for KeyLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "KeyLogger(on)" } else { "KeyLogger(off)" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Ids(Mutex<Vec<(i64, DcId, Option<i64>)>>);

    impl KeyLog for Ids {
        fn key(&self, entry: &KeyEntry<'_>) {
            self.0.lock().unwrap().push((entry.key.id(), entry.dc, entry.expires_at));
        }
    }

    #[test]
    fn whoever_asked_is_told_and_nobody_else() {
        let (log, key) = (Arc::new(Ids::default()), AuthKey::from_bytes(&[7; 256]));
        KeyLogger::off().key(&key, DcId(2), None);
        KeyLogger::new(log.clone()).key(&key, DcId(2), Some(9));
        assert_eq!(*log.0.lock().unwrap(), [(key.id(), DcId(2), Some(9))]);
    }

    #[test]
    fn debug_output_has_no_key() {
        let key = AuthKey::from_bytes(&[0xa7; 256]);
        let shown = format!("{:?} {:?}", KeyEntry { key: &key, dc: DcId(1), expires_at: None }, KeyLogger::off());
        assert!(!shown.contains("a7a7") && shown.contains("KeyLogger(off)"), "{shown}");
    }
}
