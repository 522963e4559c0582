//! Data centres, their connections, and the loop around a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

use crate::crypto::rsa::PublicKey;
use crate::ids::DcId;
use crate::mtproto::rpc_error::RpcError;
use crate::mtproto::session::{Failure, Query};
use crate::net::{Clock, KeyUse, Link, LinkConfig, NetError, Opener, Pfs, Place, Prelude, RequestError, Sealer};
use crate::tl::{Deserialize, RawObject, RemoteCall, Serialize, api};
use crate::trace::{Event, Tracer};
use crate::transport::Host;

use super::cdn::{CdnKey, CdnPlace};
use super::config::ClientConfig;
use super::device::Introduction;
use super::error::{InvokeError, Unauthorized};
use super::notice::Notice;
use super::persistence::PersistenceError;
use super::policy::{FIRST_RETRY_DELAY, RETRIES, Verdict, judge};
use super::shared::{DcState, Shared};
use super::updates::Updates;
use super::way::{Way, WayTo};

/// Migrations that one request may go through: from any DC to the right one, and once more when the account moves meanwhile.
const MIGRATIONS: u32 = 3;

pub(super) struct Inner {
    pub(super) config: ClientConfig,
    pub(super) rsa_keys: Arc<[PublicKey]>,
    pub(super) prelude: Prelude,
    pub(super) way: Way,
    pub(super) clock: Clock,
    pub(super) tracer: Tracer,
    pub(super) opener: Arc<Opener>,
    /// Where they encrypt large messages together.
    pub(super) sealer: Arc<Sealer>,
    pub(super) shared: Arc<Shared>,
    pub(super) rng: Mutex<StdRng>,
    pub(super) dcs: Mutex<HashMap<DcId, Arc<Dc>>>,
    pub(super) updates: Mutex<Option<Updates>>,
    /// The RSA keys of content-delivery DCs, once they were asked for. Held while they are, so that they are asked for once.
    pub(super) cdn: tokio::sync::Mutex<Option<Vec<CdnKey>>>,
}

/// A DC that has been used: its key, and the connections to it.
pub(super) struct Dc {
    pub(super) state: Arc<DcState>,
    /// What is particular to a content-delivery DC.
    cdn: Option<CdnPlace>,
    main: Mutex<Option<Arc<Link>>>,
    transfer: Mutex<Vec<Arc<Link>>>,
}

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// To wherever the account lives.
    Home,
    /// To one DC, over its main connection.
    On(DcId),
    /// To one DC, over one of its transfer connections.
    Transfer(DcId),
    /// To a content-delivery DC that `Inner::cdn` has prepared. No login is carried there, and none ends there.
    Cdn(DcId),
}

/// Which method a request calls, for errors, notices and the trace.
#[derive(Clone, Copy)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) id: u32,
}

/// How a request is called, and what it has gone through already.
#[derive(Default)]
struct Patience {
    /// Waits imposed by the server, summed up.
    waited: Duration,
    /// Repetitions because the server stumbled.
    retries: u32,
    /// Nothing is waited for, repeated or followed: the caller does that.
    none: bool,
    /// The takeout that it is called in.
    takeout: Option<i64>,
    /// The connection that it shares with others.
    together: Option<Arc<Together>>,
}

/// The transfer connection of calls that are to travel together: that of the first of them.
#[derive(Default)]
pub(super) struct Together(Mutex<Option<Arc<Link>>>);

impl Method {
    pub(super) fn of<R: RemoteCall>() -> Self {
        Self { name: R::NAME, id: R::ID }
    }

    /// Whether asking twice does no harm: what only reads, and file parts, which replace themselves.
    fn is_repeatable(self) -> bool {
        self.name.starts_with("upload.") || self.name.rsplit('.').next().is_some_and(|name| name.starts_with("get"))
    }

    /// File parts are compressed already, or should be.
    fn compresses(self) -> bool {
        !self.name.starts_with("upload.")
    }
}

impl Dc {
    pub(super) fn new(state: Arc<DcState>, cdn: Option<CdnPlace>) -> Self {
        Self { state, cdn, main: Mutex::default(), transfer: Mutex::default() }
    }

    /// Whether it is a content-delivery DC.
    pub(super) fn is_cdn(&self) -> bool {
        self.cdn.is_some()
    }
}

impl Inner {
    /// A call of the generated types, whatever layer was negotiated.
    pub(super) async fn typed<R: RemoteCall>(
        &self,
        route: Route,
        request: &R,
        place: Option<&Place>,
    ) -> Result<R::Return, InvokeError> {
        self.typed_with(route, request, place, Patience::default()).await
    }

    /// The same, asked once: waits, stumbles and migrations are the caller's.
    pub(super) async fn typed_once<R: RemoteCall>(
        &self,
        route: Route,
        request: &R,
        takeout: Option<i64>,
        together: Option<&Arc<Together>>,
    ) -> Result<R::Return, InvokeError> {
        let patience = Patience { none: true, takeout, together: together.cloned(), ..Patience::default() };
        self.typed_with(route, request, None, patience).await
    }

    /// A call of the generated types that is serialized already, asked once. For methods that are the same in every layer.
    pub(super) async fn serialized_once<R: RemoteCall>(&self, route: Route, body: Query) -> Result<R::Return, InvokeError> {
        let method = Method::of::<R>();
        let asked = method_id(body.head());
        let answer = self.call_with(route, method, body, None, Patience { none: true, ..Patience::default() }).await?;
        let answer = self.shared.interpreter.answer(method, asked, answer)?;
        R::Return::from_bytes(answer).map_err(|error| InvokeError::Decode { method: method.name, error })
    }

    async fn typed_with<R: RemoteCall>(
        &self,
        route: Route,
        request: &R,
        place: Option<&Place>,
        patience: Patience,
    ) -> Result<R::Return, InvokeError> {
        let method = Method::of::<R>();
        let body = self.shared.interpreter.request(method, request.to_bytes())?;
        let asked = method_id(&body);
        let body = match patience.takeout {
            // The wrapper is the same in every layer.
            Some(takeout_id) => api::functions::InvokeWithTakeout { takeout_id, query: RawObject(body) }.to_bytes(),
            None => body,
        };
        let answer = self.call_with(route, method, body.into(), place, patience).await?;
        let answer = self.shared.interpreter.answer(method, asked, answer)?;
        R::Return::from_bytes(answer).map_err(|error| InvokeError::Decode { method: method.name, error })
    }

    /// The loop around a request, in the negotiated layer: where to, over what, and what to do about the answer.
    pub(super) async fn call(
        &self,
        route: Route,
        method: Method,
        body: Bytes,
        place: Option<&Place>,
    ) -> Result<Bytes, InvokeError> {
        self.call_with(route, method, body.into(), place, Patience::default()).await
    }

    async fn call_with(
        &self,
        route: Route,
        method: Method,
        body: Query,
        place: Option<&Place>,
        mut patience: Patience,
    ) -> Result<Bytes, InvokeError> {
        let mut route = route;
        let mut migrations = 0;
        let mut reimported = false;
        loop {
            if let Some(reason) = self.shared.ended() {
                return Err(InvokeError::Unauthorized(reason));
            }
            let dc_id = match route {
                Route::Home => self.shared.home(),
                Route::On(dc) | Route::Transfer(dc) | Route::Cdn(dc) => dc,
            };
            let dc = self.dc(dc_id)?;
            let transfer = matches!(route, Route::Transfer(_) | Route::Cdn(_));
            if dc.cdn.is_none() && !dc.state.has_login_of(self.shared.home()) {
                // Boxed: carrying the login is a call in itself.
                Box::pin(self.carry_login(&dc, transfer)).await?;
            }
            let link = match &patience.together {
                Some(together) if transfer => {
                    let mut shared = lock(&together.0);
                    match &*shared {
                        Some(link) => Arc::clone(link),
                        None => Arc::clone(shared.insert(self.link(&dc, transfer)?)),
                    }
                }
                _ => self.link(&dc, transfer)?,
            };
            let (error, verdict) = match self.ask(&dc, &link, method, &body, place, &mut patience).await? {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            match verdict {
                _ if patience.none && !matches!(verdict, Verdict::Ended(_)) => return Err(InvokeError::Rpc(error)),
                // Nobody is logged in there: whatever it says ends nothing.
                _ if dc.cdn.is_some() => return Err(InvokeError::Rpc(error)),
                Verdict::Migrate { to, home } if migrations < MIGRATIONS && (!home || route == Route::Home) => {
                    migrations += 1;
                    self.migrate(dc_id, to, home, &error.message)?;
                    route = match route {
                        Route::Home if home => Route::Home,
                        Route::Home | Route::On(_) => Route::On(to),
                        Route::Transfer(_) | Route::Cdn(_) => Route::Transfer(to),
                    };
                }
                Verdict::Ended(reason) => {
                    let elsewhere = dc_id != self.shared.home() && reason != Unauthorized::KeyDuplicated;
                    if elsewhere && !reimported && dc.state.is_authorized() {
                        // What was carried there is gone; it can be carried again, once.
                        reimported = true;
                        dc.state.set_authorized(false)?;
                        continue;
                    }
                    return Err(self.ended(reason, elsewhere, &dc)?);
                }
                _ => return Err(InvokeError::Rpc(error)),
            }
        }
    }

    /// Asks over one connection, and asks again after waits and stumbles as far as patience goes.
    async fn ask(
        &self,
        dc: &Dc,
        link: &Link,
        method: Method,
        body: &Query,
        place: Option<&Place>,
        patience: &mut Patience,
    ) -> Result<Result<Bytes, (RpcError, Verdict)>, InvokeError> {
        let dc_id = dc.state.dc;
        loop {
            let error = match link.request_in(body.clone(), method.compresses(), place).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(RequestError::Rpc(error)) => error,
                // Nobody knows whether it was executed, or its answer is lost. Where that does not matter, it is asked again.
                Err(RequestError::Failed(
                    failure @ (Failure::SessionReset
                    | Failure::Uncertain
                    | Failure::AnswerLost
                    | Failure::TooManyResends { .. }),
                )) if !patience.none && method.is_repeatable() && patience.retries < RETRIES => {
                    patience.retries += 1;
                    self.trace_retry(method, patience, Duration::ZERO, &failure.to_string());
                    continue;
                }
                Err(other) => return Err(self.failure(other, method, dc)),
            };
            match judge(&error) {
                Verdict::Wait(wait) => {
                    patience.waited += wait;
                    let seconds = wait.as_secs();
                    let traced = i64::try_from(seconds).unwrap_or(i64::MAX);
                    self.tracer.emit(self.clock.now(), || Event::FloodWait { method: method.id, seconds: traced });
                    if patience.none {
                        return Ok(Err((error, Verdict::Return)));
                    }
                    if patience.waited > self.config.max_flood_wait {
                        return Err(InvokeError::FloodWait { seconds, method: method.name });
                    }
                    self.shared.notice(Notice::FloodWait { dc: dc_id, method: method.name, wait });
                    tokio::time::sleep(wait).await;
                }
                Verdict::Retry if !patience.none && patience.retries < RETRIES => {
                    let delay = FIRST_RETRY_DELAY * (1 << patience.retries);
                    patience.retries += 1;
                    self.trace_retry(method, patience, delay, &error.message);
                    self.shared.notice(Notice::Retry { dc: dc_id, method: method.name, error: error.message, delay });
                    tokio::time::sleep(delay).await;
                }
                verdict => return Ok(Err((error, verdict))),
            }
        }
    }

    fn trace_retry(&self, method: Method, patience: &Patience, delay: Duration, reason: &str) {
        let (method, attempt) = (method.id, patience.retries);
        self.tracer.emit(self.clock.now(), || Event::Retry { method, attempt, delay, reason: reason.to_owned() });
    }

    /// Notes the end of an authorization. From here on nothing is asked under it any more.
    fn ended(&self, reason: Unauthorized, elsewhere: bool, dc: &Dc) -> Result<InvokeError, PersistenceError> {
        // Asking without ever having logged in is no end of anything: a login may follow.
        let never = reason == Unauthorized::KeyUnregistered && !dc.state.is_authorized();
        if !elsewhere && !never {
            self.shared.set_ended(reason)?;
        }
        if dc.state.is_authorized() {
            dc.state.set_authorized(false)?;
        }
        Ok(InvokeError::Unauthorized(reason))
    }

    /// A failure below the API, in the caller's terms.
    fn failure(&self, error: RequestError, method: Method, dc: &Dc) -> InvokeError {
        match error {
            RequestError::Rpc(error) => InvokeError::Rpc(error),
            RequestError::Net(error) => InvokeError::Net(error),
            RequestError::Timeout { after } => InvokeError::Timeout { method: method.name, after },
            RequestError::Protocol(error) => InvokeError::Protocol(error),
            RequestError::Failed(error) => InvokeError::Failed { method: method.name, error },
            RequestError::Misuse(error) => InvokeError::BadRequest { method: method.name, error },
            RequestError::KeyLost => {
                let reason = Unauthorized::KeyLost;
                self.ended(reason, false, dc).unwrap_or_else(InvokeError::Store)
            }
            RequestError::Host(error) => InvokeError::Store(PersistenceError::Unavailable(Box::new(error))),
            RequestError::Closed => InvokeError::Closed,
        }
    }

    pub(super) fn migrate(&self, from: DcId, to: DcId, home: bool, reason: &str) -> Result<(), InvokeError> {
        if self.config.dcs.addresses(to, self.config.ipv6_first, false).is_empty() {
            return Err(NetError::NoAddress { dc: to }.into());
        }
        self.tracer.emit(self.clock.now(), || Event::Migrate { from, to, reason: reason.to_owned() });
        self.shared.notice(Notice::Migrate { from, to, home });
        if home {
            self.shared.set_home(to)?;
            // Nothing more is asked there for now. Whoever still waits for an answer keeps the connection until it comes.
            if let Some(left) = lock(&self.dcs).get(&from) {
                drop(lock(&left.main).take());
            }
        }
        Ok(())
    }

    /// Carries the account's login to a DC that it has not been carried to, over a connection of the kind that is about to need it.
    async fn carry_login(&self, dc: &Dc, transfer: bool) -> Result<(), InvokeError> {
        let home = self.shared.home();
        if dc.state.dc == home || dc.state.is_authorized() || !self.dc(home)?.state.is_authorized() {
            return Ok(());
        }
        let _once = dc.state.import.lock().await;
        if dc.state.is_authorized() {
            return Ok(());
        }
        self.shared.notice(Notice::Importing { dc: dc.state.dc });
        let export = api::functions::auth::ExportAuthorization { dc_id: dc.state.dc.0 };
        let api::enums::auth::ExportedAuthorization::Authorization(exported) = self.typed(Route::Home, &export, None).await?;
        let import = api::functions::auth::ImportAuthorization { id: exported.id, bytes: exported.bytes };
        let method = Method::of::<api::functions::auth::ImportAuthorization>();
        let link = self.link(dc, transfer)?;
        let body = self.shared.interpreter.request(method, import.to_bytes())?;
        match self.ask(dc, &link, method, &body.into(), None, &mut Patience::default()).await? {
            Ok(_) => Ok(dc.state.set_authorized(true)?),
            Err((error, _)) => Err(InvokeError::Rpc(error)),
        }
    }

    pub(super) fn dc(&self, id: DcId) -> Result<Arc<Dc>, InvokeError> {
        if let Some(dc) = lock(&self.dcs).get(&id) {
            return Ok(Arc::clone(dc));
        }
        // Read without the lock: a slow disk holds up nobody else. Who comes second finds the first one's entry.
        let state = Arc::new(DcState::load(id, Arc::clone(&self.shared))?);
        Ok(Arc::clone(lock(&self.dcs).entry(id).or_insert_with(|| Arc::new(Dc::new(state, None)))))
    }

    /// The main connection, or the transfer connection with the least to do: a further one is made before any has to share.
    fn link(&self, dc: &Dc, transfer: bool) -> Result<Arc<Link>, InvokeError> {
        if !transfer {
            let mut main = lock(&dc.main);
            if let Some(link) = &*main {
                return Ok(Arc::clone(link));
            }
            let link = self.spawn(dc, false)?;
            if self.config.updates && dc.state.dc == self.shared.home() {
                link.open();
            }
            return Ok(Arc::clone(main.insert(link)));
        }
        let mut pool = lock(&dc.transfer);
        match pool.iter().min_by_key(|link| link.in_flight()) {
            Some(link) if link.in_flight() == 0 || pool.len() >= self.config.transfer_connections.max(1) => {
                Ok(Arc::clone(link))
            }
            _ => {
                let link = self.spawn(dc, true)?;
                pool.push(Arc::clone(&link));
                Ok(link)
            }
        }
    }

    fn spawn(&self, dc: &Dc, transfer: bool) -> Result<Arc<Link>, InvokeError> {
        let mut config = self.link_config(dc.state.dc, transfer);
        if let Some(place) = &dc.cdn {
            place.amend(&mut config);
        }
        if config.addrs.is_empty() {
            return Err(NetError::NoAddress { dc: config.dc }.into());
        }
        let key_use = if transfer { KeyUse::Media } else { KeyUse::Main };
        // A content-delivery DC knows no temporary keys: nobody is logged in there.
        let pfs = self.config.pfs.filter(|_| dc.cdn.is_none());
        config.pfs = pfs.map(|policy| Pfs { slot: Arc::clone(dc.state.temp(key_use)), key_use, policy });
        Ok(Arc::new(Link::spawn(config, Arc::clone(&dc.state.key), Arc::clone(&dc.state) as _)))
    }

    /// What a connection to a DC is told, without forward secrecy.
    pub(super) fn link_config(&self, id: DcId, transfer: bool) -> LinkConfig {
        let WayTo { dialer, addrs, transport, carrier } = self.way.to(&self.config, id, transfer);
        let mut seed = [0; 32];
        lock(&self.rng).fill_bytes(&mut seed);
        LinkConfig {
            dc: id,
            wire_dc: self.config.dcs.wire_id(id),
            addrs,
            transport,
            carrier,
            quick_acks: self.config.quick_acks,
            rsa_keys: Arc::clone(&self.rsa_keys),
            dialer,
            clock: self.clock,
            tracer: self.tracer.clone(),
            prelude: self.prelude.for_link(transfer || !self.config.updates),
            dial_timeout: self.config.dial_timeout,
            reconnect_timeout: self.config.reconnect_timeout,
            request_timeout: self.config.request_timeout,
            max_in_flight: self.config.max_in_flight,
            pfs: None,
            key_log: self.config.key_log.clone(),
            opener: Arc::clone(&self.opener),
            sealer: Arc::clone(&self.sealer),
            seed,
        }
    }
}

impl Inner {
    /// Says goodbye on all connections.
    pub(super) async fn close_all(&self) {
        let dcs = std::mem::take(&mut *lock(&self.dcs));
        let links: Vec<Arc<Link>> = dcs
            .into_values()
            .flat_map(|dc| {
                let transfer = std::mem::take(&mut *lock(&dc.transfer));
                lock(&dc.main).take().into_iter().chain(transfer)
            })
            .collect();
        futures_util::future::join_all(links.iter().map(|link| link.close())).await;
    }
}

/// What goes in front of requests: generic calls whose own request is empty.
pub(super) fn prelude(config: &ClientConfig) -> Prelude {
    let device = &config.device;
    let nothing = RawObject(Bytes::new());
    let query = api::functions::InitConnection {
        api_id: config.api_id,
        device_model: device.device_model.as_str().into(),
        system_version: device.system_version.as_str().into(),
        app_version: device.app_version.as_str().into(),
        system_lang_code: device.system_lang_code.as_str().into(),
        lang_pack: device.lang_pack.as_str().into(),
        lang_code: device.lang_code.as_str().into(),
        proxy: client_proxy(config),
        params: device.tl_params(),
        query: nothing.clone(),
    };
    let first = match config.introduction {
        Introduction::Full => api::functions::InvokeWithLayer { layer: config.layer.layer, query }.to_bytes(),
        Introduction::Silent => Bytes::new(),
    };
    Prelude {
        first,
        every: api::functions::InvokeWithoutUpdates { query: nothing }.to_bytes(),
        hello: api::functions::updates::GetState.to_bytes(),
        layer: config.layer.layer,
        device: device.to_string(),
    }
}

/// The constructor id that a request begins with.
pub(super) fn method_id(body: &[u8]) -> u32 {
    body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

/// What the server is told of the proxy: where an MTProxy is, as the server itself does not see it ("initConnection", proxy). Of others it is
/// told nothing.
fn client_proxy(config: &ClientConfig) -> Option<api::enums::InputClientProxy> {
    let at = config.proxy.as_ref().filter(|proxy| proxy.secret().is_some())?.at();
    let address = match &at.host {
        // Without the brackets that a URL has around an IPv6 address.
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    Some(api::types::InputClientProxy { address: address.into(), port: at.port.into() }.into())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is changed by single insertions and removals, which a panic elsewhere cannot leave half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::DcTable;

    #[test]
    fn an_mtproxy_is_named_to_the_server_and_others_are_not() {
        let first = |proxy: &str| {
            let mut config = ClientConfig::new(DcTable::production(), 1, "x");
            config.proxy = Some(proxy.parse().unwrap());
            let mut first = prelude(&config).first;
            let _ = first.split_to(8);
            // The query is empty: nothing is read of it.
            let init = api::functions::InitConnection::<RawObject>::from_bytes(first).unwrap();
            init.proxy.map(|api::enums::InputClientProxy::Proxy(proxy)| (proxy.address.to_string(), proxy.port))
        };
        assert_eq!(first("mtproxy://00112233445566778899aabbccddeeff@p.example"), Some(("p.example".to_owned(), 443)));
        assert_eq!(first("mtproxy://dd00112233445566778899aabbccddeeff@[::1]:99"), Some(("::1".to_owned(), 99)));
        for other in ["socks5://a", "http://a", "https://a"] {
            assert_eq!(first(other), None, "{other}");
        }
    }

    #[test]
    fn who_is_to_be_silent_says_nothing_of_itself() {
        let mut config = ClientConfig::new(DcTable::production(), 1, "x");
        assert!(!prelude(&config).first.is_empty());
        config.introduction = Introduction::Silent;
        let silent = prelude(&config);
        assert!(silent.first.is_empty() && !silent.every.is_empty(), "updates are not asked for all the same");
    }

    #[test]
    fn only_what_does_no_harm_is_repeatable() {
        let repeatable = |name| Method { name, id: 0 }.is_repeatable();
        assert!(repeatable("help.getConfig") && repeatable("upload.saveFilePart") && repeatable("messages.getHistory"));
        assert!(!repeatable("messages.sendMessage") && !repeatable("auth.signIn") && !repeatable("initConnection"));
    }
}
