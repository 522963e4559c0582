//! The client as its users see it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{broadcast, mpsc};

use crate::crypto::rsa::PublicKey;
use crate::ids::DcId;
use crate::net::{Clock, Dialer, NetError, Remembering, TcpDialer};
use crate::tl::{RemoteCall, layers};
use crate::trace::Tracer;

use super::config::ClientConfig;
use super::device::Introduction;
use super::error::InvokeError;
use super::inner::{Inner, Method, Route, Together, lock, method_id, prelude};
use super::interpreter::Interpreter;
use super::notice::Notice;
use super::ordered::Ordered;
use super::part::with_part;
use super::persistence::{AccountRecord, EndedRecord, Identity, Persistence, PersistenceError};
use super::shared::Shared;
use super::updates::{UPDATES, Updates};
use super::way::Way;

/// A client: typed calls to the account's Telegram.
///
/// Cheap to clone; clones share connections and state. Nothing is dialled before the first call. A call may be dropped at any time: the
/// server is told to drop the answer. Connections close when the last clone is dropped; [`Client::close`] waits for it.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

/// What replaces the outside world in tests.
pub(crate) struct Surroundings {
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) clock: Clock,
}

impl Client {
    /// A client with this configuration, over what `store` remembers. Reads the store; dials nothing.
    ///
    /// # Errors
    /// [`InvokeError::Store`], [`InvokeError::UnknownLayer`], or [`InvokeError::Config`] when the DC table has no usable RSA key or no DC.
    pub async fn connect(config: ClientConfig, store: Arc<dyn Persistence>, tracer: Tracer) -> Result<Self, InvokeError> {
        Self::connect_through(
            config,
            store,
            tracer,
            Surroundings { dialer: Arc::new(Remembering::new(TcpDialer)), clock: Clock::system() },
        )
        .await
    }

    /// As [`Client::connect`], through other surroundings.
    // Async although it awaits nothing yet: the connections' tasks need a runtime, and callers should not come to rely on less.
    #[expect(clippy::unused_async)]
    pub(crate) async fn connect_through(
        config: ClientConfig,
        store: Arc<dyn Persistence>,
        tracer: Tracer,
        surroundings: Surroundings,
    ) -> Result<Self, InvokeError> {
        let interpreter = Interpreter::new(config.layer)?;
        let rsa_keys: Arc<[PublicKey]> = config.dcs.public_keys()?.into();
        let first = config.dcs.first_dc().ok_or(NetError::NoAddress { dc: DcId(0) })?;
        let home = store.home_dc()?.unwrap_or(first);
        let identity = Identity { device: config.device.clone(), layer: config.layer.layer, api_id: config.api_id };
        // What is not said to the server is not what the authorization was introduced as.
        let says_so = config.introduction == Introduction::Full;
        if says_so && store.identity()?.as_ref() != Some(&identity) {
            store.save_identity(&identity)?;
        }
        let mut rng = config.seed.map_or_else(rand::make_rng, StdRng::from_seed);
        let mut seed = [0; 32];
        if config.proxy.is_some() {
            rng.fill_bytes(&mut seed);
        }
        let way = Way::new(&config, surroundings.dialer, surroundings.clock, seed)?;
        let (sender, items) = mpsc::channel(UPDATES);
        let ended = store.ended()?.map(|ended| ended.reason);
        let shared = Arc::new(Shared::new(store, surroundings.clock, home, ended, sender, interpreter));
        let updates = config.updates.then(|| Updates { items, gap: Arc::clone(&shared.gap) });
        let inner = Inner {
            prelude: prelude(&config),
            rsa_keys,
            way,
            clock: surroundings.clock,
            tracer,
            opener: Arc::default(),
            sealer: Arc::default(),
            shared,
            rng: Mutex::new(rng),
            dcs: Mutex::default(),
            updates: Mutex::new(updates),
            cdn: tokio::sync::Mutex::default(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where its connections open large messages together.
    #[cfg(test)]
    pub(crate) fn opener(&self) -> &Arc<crate::net::Opener> {
        &self.inner.opener
    }

    /// Where they encrypt large messages together.
    #[cfg(test)]
    pub(crate) fn sealer(&self) -> &Arc<crate::net::Sealer> {
        &self.inner.sealer
    }

    /// Calls a method on the account's home DC, and follows the account when the server says that it lives elsewhere.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvokeError> {
        self.inner.typed(Route::Home, request, None).await
    }

    /// Calls a method on one DC. When the account is logged in, its authorization is carried there first, once and for all runs.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke_on<R: RemoteCall>(&self, dc: DcId, request: &R) -> Result<R::Return, InvokeError> {
        self.inner.typed(Route::On(dc), request, None).await
    }

    /// Calls a method of which only the bytes are at hand: constructor id and arguments. Returns the result's bytes. `None` is the home DC.
    /// Both are in the negotiated layer, that of the client's [`LayerPlan`](super::LayerPlan): nothing is translated.
    ///
    /// # Errors
    /// See [`InvokeError`]. Never [`InvokeError::Decode`].
    pub async fn invoke_raw(&self, dc: Option<DcId>, body: Bytes) -> Result<Bytes, InvokeError> {
        let id = method_id(&body);
        let schema = layers::schema(self.inner.config.layer.layer)?;
        let method = Method { name: schema.by_id(id).map_or("a method unknown to the schema", |d| d.name.as_str()), id };
        self.inner.call(dc.map_or(Route::Home, Route::On), method, body, None).await
    }

    /// Calls to the home DC that the server does one after the other, in an order of their own.
    pub fn ordered(&self) -> Ordered {
        Ordered::new(Arc::clone(&self.inner))
    }

    /// Calls to one DC for uploads and downloads, over up to [`ClientConfig::transfer_connections`] connections of their own.
    pub fn media(&self, dc: DcId) -> Media {
        Media { client: self.clone(), route: Route::Transfer(dc), dc, together: None }
    }

    /// The account's home DC, as far as it is known.
    pub fn home_dc(&self) -> DcId {
        self.inner.shared.home()
    }

    /// Moves the account's home, as a login by QR code demands. Stored at once.
    ///
    /// # Errors
    /// The store's.
    pub fn set_home_dc(&self, dc: DcId) -> Result<(), PersistenceError> {
        self.inner.shared.set_home(dc)
    }

    /// Whether the account is logged in at home, as far as we know. Asks nobody.
    ///
    /// # Errors
    /// The store's.
    pub fn is_authorized(&self) -> Result<bool, InvokeError> {
        Ok(self.inner.dc(self.home_dc())?.state.is_authorized())
    }

    /// Notes that a login has succeeded at the home DC: `auth.signIn` and its like call this with the account they logged in.
    ///
    /// # Errors
    /// The store's.
    pub fn logged_in(&self, account: &AccountRecord) -> Result<(), InvokeError> {
        let home = self.home_dc();
        self.inner.dc(home)?.state.set_authorized(true)?;
        let store = &self.inner.shared.store;
        store.set_home_dc(home)?;
        // Another account has other counters.
        if store.account()?.is_some_and(|before| before.user_id != account.user_id) {
            store.save_update_state(None)?;
        }
        store.save_account(account)?;
        store.clear_ended()?;
        self.inner.shared.forget_ended();
        Ok(())
    }

    /// Makes a login possible where the authorization has ended: its keys are dropped, so that the next call makes new ones. How it ended,
    /// peers and unfinished transfers stay stored until [`Client::logged_in`]. Without such an end it does nothing. Says how it had ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn start_over(&self) -> Result<Option<EndedRecord>, InvokeError> {
        let store = &self.inner.shared.store;
        let Some(ended) = store.ended()? else { return Ok(None) };
        self.inner.close_all().await;
        for auth in store.dc_auths()? {
            store.forget_dc_auth(auth.dc, auth.auth_key.id())?;
        }
        self.inner.shared.forget_ended();
        Ok(Some(ended))
    }

    /// Forgets keys, account and peers, here and in the store: after `auth.logOut`, or when the authorization has ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self) -> Result<(), InvokeError> {
        self.inner.close_all().await;
        self.inner.shared.store.forget_all()?;
        self.inner.shared.forget_ended();
        Ok(())
    }

    /// What happens that a person may want to hear of. Each receiver hears everything from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.inner.shared.notices()
    }

    /// Says something to whoever listens to [`Client::notices`].
    pub fn tell(&self, notice: Notice) {
        self.inner.shared.notice(notice);
    }

    /// The stream of updates, for the first who asks, when [`ClientConfig::updates`] is set. Begins with the next call to the home DC.
    pub fn updates(&self) -> Option<Updates> {
        lock(&self.inner.updates).take()
    }

    /// The clock that the client reads.
    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The store behind the client.
    pub fn store(&self) -> &Arc<dyn Persistence> {
        &self.inner.shared.store
    }

    /// Random bytes from which a secret may be made.
    pub fn random_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        lock(&self.inner.rng).fill_bytes(&mut seed);
        seed
    }

    /// Unix time in seconds by the home DC's clock, as far as it is known: by that of this machine before the first connection.
    pub fn server_time(&self) -> i64 {
        let offset = self.inner.shared.store.dc_auth(self.home_dc()).ok().flatten().map_or(0, |auth| auth.time_offset);
        self.clock().now().unix().saturating_add(offset)
    }

    /// Random bytes for identifiers that a caller has to choose (`random_id`, `file_id`).
    pub fn random_i64(&self) -> i64 {
        lock(&self.inner.rng).next_u64().cast_signed()
    }

    /// Says goodbye on all connections and waits until their tasks have ended. Calls under way fail with [`InvokeError::Closed`].
    pub async fn close(&self) {
        self.inner.close_all().await;
    }
}

/// Calls to one DC over its transfer connections. See [`Client::media`].
#[derive(Clone)]
pub struct Media {
    client: Client,
    route: Route,
    dc: DcId,
    together: Option<Arc<Together>>,
}

impl Media {
    pub(super) fn cdn(client: Client, dc: DcId) -> Self {
        Self { client, route: Route::Cdn(dc), dc, together: None }
    }

    /// The same, all of whose calls by [`Media::once`] take one connection: the one that has the least to do when the first is made. For a few
    /// small calls that belong together: what is asked in the same moment travels in the same packet, and so does most of what is answered.
    #[must_use]
    pub fn together(&self) -> Self {
        Self { together: Some(Arc::default()), ..self.clone() }
    }

    /// The DC.
    pub fn dc(&self) -> DcId {
        self.dc
    }

    /// Calls a method there. A `FILE_MIGRATE` answer is followed.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvokeError> {
        self.client.inner.typed(self.route, request, None).await
    }

    /// Calls a method there, once: the caller waits, repeats and follows as it sees fit. For whoever has many such calls under way, and
    /// has to hold all of them back when one is refused.
    ///
    /// # Errors
    /// See [`InvokeError`]. Flood waits and migrations are [`InvokeError::Rpc`]; see [`InvokeError::flood_wait`] and
    /// [`InvokeError::is_passing`].
    pub async fn once<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvokeError> {
        self.client.inner.typed_once(self.route, request, None, self.together.as_ref()).await
    }

    /// As [`once`](Self::once), for a call with a part of a file, which is its last argument and empty in `request`. The part is not copied
    /// until it goes out. For methods that are the same in every layer.
    ///
    /// # Errors
    /// See [`Media::once`].
    pub(crate) async fn once_with_part<R: RemoteCall>(&self, request: &R, part: Bytes) -> Result<R::Return, InvokeError> {
        self.client.inner.serialized_once::<R>(self.route, with_part(request, part)).await
    }

    /// The same, in a takeout: `invokeWithTakeout`. "Takeout API".
    ///
    /// # Errors
    /// See [`Media::once`].
    pub async fn once_in_takeout<R: RemoteCall>(&self, takeout: i64, request: &R) -> Result<R::Return, InvokeError> {
        self.client.inner.typed_once(self.route, request, Some(takeout), self.together.as_ref()).await
    }

    /// Where an answer of [`Media::once`] sends the call, if it is `FILE_MIGRATE`. Says so in trace and notices.
    ///
    /// # Errors
    /// The DC has no address.
    pub fn follow(&self, error: &InvokeError) -> Result<Option<Self>, InvokeError> {
        let InvokeError::Rpc(error) = error else { return Ok(None) };
        let Some(to) = error.migrate().filter(|_| error.name == "FILE_MIGRATE") else { return Ok(None) };
        self.client.inner.migrate(self.dc, DcId(to), false, &error.message)?;
        Ok(Some(self.client.media(DcId(to))))
    }
}
