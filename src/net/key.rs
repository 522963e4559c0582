//! The auth key of a DC, as the connections to it share it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tdl_core::crypto::AuthKey;
use tdl_core::mtproto::session::FutureSalt;

/// An auth key and what has to be known to use it at once.
#[derive(Clone)]
pub struct KeyMaterial {
    /// The key.
    pub auth_key: AuthKey,
    /// Salts known, oldest first.
    pub salts: Vec<FutureSalt>,
    /// Server time minus local time, in seconds.
    pub time_offset: i64,
    /// When it was made, in local Unix time.
    pub created_at: i64,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({:#018x})", self.auth_key.id())
    }
}

/// One DC's key, shared by all connections to it. Holds the lock under which a missing key is made, so that connections which open at
/// the same moment make one key between them.
#[derive(Debug, Default)]
pub struct KeySlot {
    material: Mutex<Option<KeyMaterial>>,
    pub(super) exchange: tokio::sync::Mutex<()>,
}

impl KeySlot {
    /// A slot with the key that a store held, if it held one.
    pub fn new(material: Option<KeyMaterial>) -> Self {
        Self { material: Mutex::new(material), exchange: tokio::sync::Mutex::default() }
    }

    /// The key as it is now.
    pub fn current(&self) -> Option<KeyMaterial> {
        self.lock().clone()
    }

    /// The id of the key, without a copy of it.
    pub fn key_id(&self) -> Option<i64> {
        self.lock().as_ref().map(|material| material.auth_key.id())
    }

    /// Puts a key in, in place of the one there.
    pub fn set(&self, material: KeyMaterial) {
        *self.lock() = Some(material);
    }

    /// Takes the key with this id out; another one stays.
    pub fn clear(&self, key_id: i64) {
        let mut slot = self.lock();
        if slot.as_ref().is_some_and(|material| material.auth_key.id() == key_id) {
            *slot = None;
        }
    }

    /// Notes what was learnt about the key with this id.
    pub fn learn(&self, key_id: i64, salts: &[FutureSalt], time_offset: i64) {
        if let Some(material) = self.lock().as_mut().filter(|material| material.auth_key.id() == key_id) {
            material.salts = salts.to_vec();
            material.time_offset = time_offset;
        }
    }

    /// Whole values are put in and taken out, so a panic elsewhere leaves none half-changed.
    fn lock(&self) -> MutexGuard<'_, Option<KeyMaterial>> {
        self.material.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
