//! What a connection needs from the floor above, and what it tells it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use tdl_core::mtproto::handshake::client::Established;
use tdl_core::mtproto::session::FutureSalt;

use super::key::KeyMaterial;
use super::temp::{KeyUse, TempMaterial};

/// A failure of the floor above, passed through to whoever waits.
pub type HostError = Arc<dyn Error + Send + Sync>;

/// The owner of a connection: keeps its state, hears of what happens.
///
/// Called from the connection's task; each call must be short.
pub trait Host: Send + Sync {
    /// A key was made. Stores it, and returns the one to use: another process may have stored one first.
    ///
    /// # Errors
    /// Whatever kept it from being stored. The key is then not used.
    fn key_made(&self, established: &Established) -> Result<KeyMaterial, HostError>;

    /// The server does not know the key with this id. Decides what becomes of it.
    ///
    /// # Errors
    /// Whatever kept the owner from looking.
    fn key_unknown(&self, key_id: i64) -> Result<KeyVerdict, HostError>;

    /// A temporary key was made and bound. Stores it; it is used from here on.
    ///
    /// # Errors
    /// Whatever kept it from being stored. The key is then not used.
    fn temp_key_made(&self, key_use: KeyUse, material: &TempMaterial) -> Result<(), HostError>;

    /// The temporary key that is stored, if it is bound to the permanent key with this id: another process may have made it.
    ///
    /// # Errors
    /// Whatever kept the owner from looking.
    fn temp_key(&self, key_use: KeyUse, perm_key_id: i64) -> Result<Option<TempMaterial>, HostError>;

    /// The temporary key with this id is of no use any more. Forgets it, if it is the one that is stored.
    ///
    /// # Errors
    /// Whatever kept it from being forgotten.
    fn temp_key_ended(&self, key_use: KeyUse, key_id: i64) -> Result<(), HostError>;

    /// Salts or the time offset of the key with this id, permanent or temporary, are others now.
    fn salts_changed(&self, key_id: i64, salts: &[FutureSalt], time_offset: i64);

    /// Something happened that a person may want to hear of.
    fn status(&self, status: Status);

    /// The server pushed an update.
    fn update(&self, body: Bytes);

    /// The server began a new session: updates may have been missed.
    fn new_session(&self);
}

/// What becomes of a key that the server does not know.
#[derive(Debug)]
pub enum KeyVerdict {
    /// Nothing hangs on it: make another.
    Replace,
    /// Another one is in the store by now: use that.
    Use(KeyMaterial),
    /// A login hangs on it: stop, the user has to know.
    Keep,
}

/// What a connection is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// A key exchange begins.
    KeyExchange,
    /// The connection is lost, or was never made; the next attempt follows.
    Reconnecting {
        /// 1 for the first attempt after the loss.
        attempt: u32,
        /// How long until then.
        delay: Duration,
        /// What ended the last one.
        reason: String,
    },
    /// The connection is back, after this many attempts.
    Reconnected {
        /// How many.
        attempts: u32,
    },
    /// The server has had too many connections (transport error 429), and is left alone for a while.
    Flooded {
        /// How long.
        wait: Duration,
    },
    /// The connection was to stay and cannot: nothing is tried before the next request.
    GaveUp {
        /// Why.
        reason: String,
    },
}
