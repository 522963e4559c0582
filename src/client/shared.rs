//! What a client's parts have in common, and how its connections reach it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};

use crate::ids::DcId;
use crate::mtproto::handshake::client::Established;
use crate::mtproto::session::FutureSalt;
use crate::net::{Clock, Host, HostError, KeyMaterial, KeySlot, KeyUse, KeyVerdict, Status, TempMaterial, TempSlot};

use super::error::Unauthorized;
use super::interpreter::Interpreter;
use super::notice::Notice;
use super::persistence::{DcAuth, EndedRecord, Persistence, PersistenceError, SaltRecord, TempAuth};
use super::updates::UpdateItem;

/// Notices kept for a listener that is slow; older ones are dropped.
const NOTICES: usize = 256;

/// State that outlives any connection.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Persistence>,
    pub(super) clock: Clock,
    home: Mutex<DcId>,
    ended: Mutex<Option<Unauthorized>>,
    notices: broadcast::Sender<Notice>,
    pub(super) updates: mpsc::Sender<UpdateItem>,
    /// Whether updates were dropped since the last one that the listener took.
    pub(super) gap: Arc<AtomicBool>,
    pub(super) interpreter: Interpreter,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn Persistence>,
        clock: Clock,
        home: DcId,
        ended: Option<Unauthorized>,
        updates: mpsc::Sender<UpdateItem>,
        interpreter: Interpreter,
    ) -> Self {
        let (notices, _) = broadcast::channel(NOTICES);
        Self {
            store,
            clock,
            home: Mutex::new(home),
            ended: Mutex::new(ended),
            notices,
            updates,
            gap: Arc::default(),
            interpreter,
        }
    }

    pub(super) fn home(&self) -> DcId {
        *lock(&self.home)
    }

    /// Stored first: a process that dies now starts at the new home.
    pub(super) fn set_home(&self, dc: DcId) -> Result<(), PersistenceError> {
        self.store.set_home_dc(dc)?;
        *lock(&self.home) = dc;
        Ok(())
    }

    pub(super) fn ended(&self) -> Option<Unauthorized> {
        *lock(&self.ended)
    }

    /// Latched first, so that nothing more is asked even if it cannot be stored.
    pub(super) fn set_ended(&self, reason: Unauthorized) -> Result<(), PersistenceError> {
        *lock(&self.ended) = Some(reason);
        self.store.save_ended(&EndedRecord { reason, at: self.clock.now().unix() })
    }

    /// From here on questions are asked again. What is stored stays: only a login that has succeeded removes it.
    pub(super) fn forget_ended(&self) {
        *lock(&self.ended) = None;
    }

    pub(super) fn notice(&self, notice: Notice) {
        // Nobody listening is no error.
        let _ = self.notices.send(notice);
    }

    pub(super) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }
}

/// Values are replaced whole, so a panic elsewhere leaves none half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One DC's auth key and login flag, for all connections to it: their [`Host`].
pub(super) struct DcState {
    pub(super) dc: DcId,
    pub(super) key: Arc<KeySlot>,
    main: Arc<TempSlot>,
    media: Arc<TempSlot>,
    authorized: AtomicBool,
    /// Held while the login is carried here, so that it is carried once.
    pub(super) import: tokio::sync::Mutex<()>,
    pub(super) shared: Arc<Shared>,
}

impl DcState {
    /// What the store knows about a DC.
    pub(super) fn load(dc: DcId, shared: Arc<Shared>) -> Result<Self, PersistenceError> {
        let stored = shared.store.dc_auth(dc)?;
        let authorized = AtomicBool::new(stored.as_ref().is_some_and(|auth| auth.authorized));
        let key = Arc::new(KeySlot::new(stored.as_ref().map(material)));
        let temp = |key_use| shared.store.temp_auth(dc, key_use);
        let (main, media) = (temp(KeyUse::Main)?, temp(KeyUse::Media)?);
        let slot = |stored: Option<TempAuth>| Arc::new(TempSlot::new(stored.as_ref().map(temp_material)));
        let (main, media) = (slot(main), slot(media));
        Ok(Self { dc, key, main, media, authorized, import: tokio::sync::Mutex::default(), shared })
    }

    /// The temporary key of one kind of connection.
    pub(super) fn temp(&self, key_use: KeyUse) -> &Arc<TempSlot> {
        match key_use {
            KeyUse::Main => &self.main,
            KeyUse::Media => &self.media,
        }
    }

    pub(super) fn is_authorized(&self) -> bool {
        self.authorized.load(Ordering::Acquire)
    }

    /// Notes, here and in the store, whether the account is logged in under the DC's key.
    pub(super) fn set_authorized(&self, authorized: bool) -> Result<(), PersistenceError> {
        if let Some(key_id) = self.key.key_id() {
            self.shared.store.set_authorized(self.dc, key_id, authorized)?;
        }
        self.authorized.store(authorized, Ordering::Release);
        Ok(())
    }

    /// Whether nothing has to be carried here before the account can be served: it lives here, or was carried here.
    pub(super) fn has_login_of(&self, home: DcId) -> bool {
        self.dc == home || self.is_authorized()
    }

    fn is_home(&self) -> bool {
        self.shared.home() == self.dc
    }

    /// Takes over what another process, or this one, has stored.
    fn adopt(&self, stored: &DcAuth) -> KeyMaterial {
        self.authorized.store(stored.authorized, Ordering::Release);
        material(stored)
    }
}

fn host_error(error: PersistenceError) -> HostError {
    Arc::new(error)
}

impl Host for DcState {
    fn key_made(&self, established: &Established) -> Result<KeyMaterial, HostError> {
        let fresh = DcAuth {
            dc: self.dc,
            auth_key: established.auth_key.clone(),
            salts: records(&[FutureSalt::unlimited(established.salt)]),
            time_offset: established.time_offset,
            authorized: false,
            created_at: self.shared.clock.now().unix(),
        };
        let stored = self.shared.store.insert_dc_auth(&fresh).map_err(host_error)?;
        Ok(self.adopt(&stored))
    }

    fn key_unknown(&self, key_id: i64) -> Result<KeyVerdict, HostError> {
        let stored = self.shared.store.dc_auth(self.dc).map_err(host_error)?;
        match stored {
            Some(stored) if stored.auth_key.id() != key_id => Ok(KeyVerdict::Use(self.adopt(&stored))),
            // A login at home exists only under this key, and it is for the user to hear that it is gone. Elsewhere the login was
            // carried there, and can be carried again.
            Some(stored) if stored.authorized && self.is_home() => Ok(KeyVerdict::Keep),
            _ => {
                self.shared.store.forget_dc_auth(self.dc, key_id).map_err(host_error)?;
                self.authorized.store(false, Ordering::Release);
                Ok(KeyVerdict::Replace)
            }
        }
    }

    fn temp_key_made(&self, key_use: KeyUse, material: &TempMaterial) -> Result<(), HostError> {
        let auth = TempAuth {
            dc: self.dc,
            key_use,
            perm_key_id: material.perm_key_id,
            auth_key: material.auth_key.clone(),
            salts: records(&material.salts),
            time_offset: material.time_offset,
            created_at: material.created_at,
            expires_at: material.expires_at,
        };
        self.shared.store.save_temp_auth(&auth).map_err(host_error)
    }

    fn temp_key(&self, key_use: KeyUse, perm_key_id: i64) -> Result<Option<TempMaterial>, HostError> {
        let stored = self.shared.store.temp_auth(self.dc, key_use).map_err(host_error)?;
        Ok(stored.filter(|temp| temp.perm_key_id == perm_key_id).as_ref().map(temp_material))
    }

    fn temp_key_ended(&self, _: KeyUse, key_id: i64) -> Result<(), HostError> {
        self.shared.store.forget_temp_auth(self.dc, key_id).map_err(host_error)
    }

    fn salts_changed(&self, key_id: i64, salts: &[FutureSalt], time_offset: i64) {
        // Salts are a convenience: the server teaches them again. A store that fails here will fail loudly where it matters.
        let (store, salts) = (&self.shared.store, records(salts));
        let saved = if self.key.key_id() == Some(key_id) {
            store.save_salts(self.dc, key_id, &salts, time_offset)
        } else {
            store.save_temp_salts(self.dc, key_id, &salts, time_offset)
        };
        if let Err(error) = saved {
            tracing::warn!(dc = self.dc.0, %error, "salts could not be stored");
        }
    }

    fn status(&self, status: Status) {
        let dc = self.dc;
        self.shared.notice(match status {
            Status::KeyExchange => Notice::KeyExchange { dc },
            Status::Reconnecting { attempt, delay, reason } => Notice::Reconnecting { dc, attempt, delay, reason },
            Status::Reconnected { attempts } => Notice::Reconnected { dc, attempts },
            Status::Flooded { wait } => Notice::Flooded { dc, wait },
            Status::GaveUp { reason } => Notice::GaveUp { dc, reason },
        });
    }

    fn update(&self, body: Bytes) {
        if self.is_home() {
            // Whoever asks for what was missed is told it in a form that can be read, or why not.
            let item = self.shared.interpreter.update(body).map_or_else(
                |error| {
                    tracing::warn!(%error, "an update cannot be read in the negotiated layer");
                    UpdateItem::Gap
                },
                UpdateItem::Update,
            );
            self.shared.offer(item);
        }
    }

    fn new_session(&self) {
        if self.is_home() {
            self.shared.offer(UpdateItem::Gap);
        }
    }
}

pub(super) fn material(auth: &DcAuth) -> KeyMaterial {
    KeyMaterial {
        auth_key: auth.auth_key.clone(),
        salts: future_salts(&auth.salts),
        time_offset: auth.time_offset,
        created_at: auth.created_at,
    }
}

fn temp_material(auth: &TempAuth) -> TempMaterial {
    TempMaterial {
        auth_key: auth.auth_key.clone(),
        perm_key_id: auth.perm_key_id,
        salts: future_salts(&auth.salts),
        time_offset: auth.time_offset,
        created_at: auth.created_at,
        expires_at: auth.expires_at,
    }
}

pub(super) fn future_salts(records: &[SaltRecord]) -> Vec<FutureSalt> {
    records.iter().map(|&SaltRecord { salt, since, until }| FutureSalt { since, until, salt }).collect()
}

fn records(salts: &[FutureSalt]) -> Vec<SaltRecord> {
    salts.iter().map(|&FutureSalt { since, until, salt }| SaltRecord { salt, since, until }).collect()
}
