//! Temporary keys: what protects the traffic when forward secrecy is on.
//!
//! A DC has one permanent key, which is who we are, and for each kind of connection a temporary one, which the traffic is encrypted with
//! and which ends after a day. Whoever finds the permanent key later can read nothing of what was said. See "Perfect Forward Secrecy".

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use tdl_core::crypto::AuthKey;
use tdl_core::mtproto::session::FutureSalt;

/// What a connection is for. Each kind has a temporary key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyUse {
    /// Calls and updates.
    Main,
    /// Uploads and downloads.
    Media,
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Media => "media",
        })
    }
}

/// How long temporary keys last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PfsPolicy {
    /// For how long a temporary key is made. Default a day, as the official clients ask for.
    pub lifetime: Duration,
}

impl PfsPolicy {
    /// The shortest lifetime that leaves time for making the next key.
    pub const SHORTEST: Duration = Duration::from_secs(4);
    /// The longest that is of any use.
    pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);

    /// The lifetime as the key exchange writes it: whole seconds, within the bounds.
    pub fn expires_in(self) -> i32 {
        let lifetime = self.lifetime.clamp(Self::SHORTEST, Self::LONGEST);
        i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX)
    }
}

impl Default for PfsPolicy {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(86_400) }
    }
}

/// The most time before its end at which a key is renewed, without the jitter.
const LONGEST_MARGIN: i64 = 600;

/// A temporary key that is bound, and what has to be known to use it at once.
#[derive(Clone)]
pub struct TempMaterial {
    /// The key.
    pub auth_key: AuthKey,
    /// The permanent key that it is bound to.
    pub perm_key_id: i64,
    /// Salts known, oldest first.
    pub salts: Vec<FutureSalt>,
    /// Server time minus local time, in seconds.
    pub time_offset: i64,
    /// When it was made, in Unix time by the server's clock.
    pub created_at: i64,
    /// When it ends, in Unix time by the server's clock.
    pub expires_at: i64,
}

impl fmt::Debug for TempMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, perm, end) = (self.auth_key.id(), self.perm_key_id, self.expires_at);
        write!(f, "TempMaterial({id:#018x} for {perm:#018x} until {end})")
    }
}

impl TempMaterial {
    /// When to have the next one ready, in Unix time by the server's clock: a quarter of its lifetime before its end, ten minutes at
    /// most, and up to half as much earlier, so that not every client comes at the same moment. `jitter` is any number, the same for the
    /// whole life of the key.
    pub fn renew_at(&self, jitter: u32) -> i64 {
        let lifetime = self.expires_at.saturating_sub(self.created_at).max(0);
        let margin = (lifetime / 4).min(LONGEST_MARGIN);
        let earlier = i64::from(jitter) % (margin / 2 + 1);
        self.expires_at.saturating_sub(margin).saturating_sub(earlier)
    }

    /// Whether it can still be used at `server_unix`, with time for a request and its answer.
    pub fn is_usable(&self, server_unix: i64) -> bool {
        let lifetime = self.expires_at.saturating_sub(self.created_at).max(0);
        server_unix < self.expires_at.saturating_sub((lifetime / 20).min(30))
    }
}

/// The temporary key of one kind of connection to one DC, shared by all of them. Holds the lock under which a key is made, so that
/// connections which need one at the same moment make one between them; tells those that wait when another one is there.
#[derive(Debug)]
pub struct TempSlot {
    material: Mutex<Option<TempMaterial>>,
    pub(super) exchange: tokio::sync::Mutex<()>,
    changes: watch::Sender<u64>,
}

impl TempSlot {
    /// A slot with the key that a store held, if it held one.
    pub fn new(material: Option<TempMaterial>) -> Self {
        let (changes, _) = watch::channel(0);
        Self { material: Mutex::new(material), exchange: tokio::sync::Mutex::default(), changes }
    }

    /// The key as it is now, if it is bound to the permanent key with this id.
    pub fn current(&self, perm_key_id: i64) -> Option<TempMaterial> {
        self.lock().as_ref().filter(|material| material.perm_key_id == perm_key_id).cloned()
    }

    /// Puts a key in, in place of the one there, and tells those that wait.
    pub fn set(&self, material: TempMaterial) {
        *self.lock() = Some(material);
        self.changes.send_modify(|count| *count += 1);
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

    /// Tells of keys that are put in from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whole values are put in and taken out, so a panic elsewhere leaves none half-changed.
    fn lock(&self) -> MutexGuard<'_, Option<TempMaterial>> {
        self.material.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(lifetime: i64) -> TempMaterial {
        TempMaterial {
            auth_key: AuthKey::from_bytes(&[7; 256]),
            perm_key_id: 9,
            salts: Vec::new(),
            time_offset: 0,
            created_at: 1000,
            expires_at: 1000 + lifetime,
        }
    }

    #[test]
    fn a_key_is_renewed_before_its_end_and_not_by_all_at_once() {
        for (lifetime, margin) in [(86_400, 600), (2400, 600), (400, 100), (8, 2), (4, 1)] {
            let key = material(lifetime);
            let times: std::collections::BTreeSet<i64> = (0..10_000).map(|jitter| key.renew_at(jitter)).collect();
            let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
            assert_eq!(last, key.expires_at - margin, "{lifetime}");
            assert_eq!(first, key.expires_at - margin - margin / 2, "{lifetime}");
            assert_eq!(times.len() as i64, margin / 2 + 1, "every second of it is drawn");
            assert!(key.is_usable(last), "there is time to make the next one while this one works");
            assert!(!key.is_usable(key.expires_at));
        }
        assert_eq!(key_of_nothing().renew_at(u32::MAX), 1000);
    }

    fn key_of_nothing() -> TempMaterial {
        material(0)
    }

    #[test]
    fn a_slot_gives_out_only_what_belongs_to_the_permanent_key() {
        let slot = TempSlot::new(None);
        assert!(slot.current(9).is_none());
        let mut changes = slot.changes();
        slot.set(material(100));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(slot.current(9).is_some() && slot.current(8).is_none());
        let id = material(100).auth_key.id();
        slot.learn(id + 1, &[], 5);
        assert_eq!(slot.current(9).unwrap().time_offset, 0);
        slot.learn(id, &[], 5);
        assert_eq!(slot.current(9).unwrap().time_offset, 5);
        slot.clear(id + 1);
        assert!(slot.current(9).is_some());
        slot.clear(id);
        assert!(slot.current(9).is_none() && !changes.has_changed().unwrap());
    }

    #[test]
    fn lifetimes_stay_within_bounds() {
        let expires_in = |secs| PfsPolicy { lifetime: Duration::from_secs(secs) }.expires_in();
        assert_eq!([expires_in(0), expires_in(60), expires_in(u64::MAX)], [4, 60, 7 * 86_400]);
        assert_eq!(PfsPolicy::default().expires_in(), 86_400);
    }

    #[test]
    fn debug_output_has_no_key_material() {
        let text = format!("{:?}", material(5));
        assert!(!text.contains("0707"), "{text}");
    }
}
