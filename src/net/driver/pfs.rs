//! Temporary keys on a connection.
//!
//! A connection without one makes and binds it before anything else is said. Some time before its end the next one is made and bound over
//! a connection of its own, while traffic goes on under the old one; then new requests go to a session under the new key, and the old
//! session stays until its last answer.
//!
//! What the server may say against a key, and what follows ("Perfect Forward Secrecy"):
//!
//! | what | what follows |
//! |---|---|
//! | 404, other sessions are draining | those are over; once more with the key in use |
//! | 404 | the key is forgotten; another one is made |
//! | `AUTH_KEY_PERM_EMPTY` | the same, and the request is asked again: it was not executed |
//! | keys in a row that end before anything is answered | waiting requests fail |
//! | `ENCRYPTED_MESSAGE_INVALID` once, or the permanent key is younger than a minute | another temporary key, after a pause |
//! | `ENCRYPTED_MESSAGE_INVALID` again | the permanent key is forgotten: the owner decides, as with 404 for it |
//! | any other refusal to bind | another temporary key, after a pause |
//! | [`REFUSALS_TOLERATED`] refusals in a row | waiting requests fail with the last of them |

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bind::{self, BindError, Order};
use crate::dial::dial;
use crate::error::{ProtocolError, RequestError};
use crate::host::Host;
use crate::key::KeyMaterial;
use crate::link::{LinkConfig, Outgoing, Pfs};
use crate::temp::{KeyUse, TempMaterial};
use crate::wire::Wire;
use tdl_core::clock::Now;
use tdl_core::ids::{DcId, SessionId};
use tdl_core::mtproto::rpc_error::RpcError;
use tdl_core::mtproto::session::{ClientParams, Session};
use tdl_core::trace::Event;
use tdl_core::transport;

use super::connect::opening;
use super::requests::Pending;
use super::sessions::Temp;
use super::{Driver, End, draw_session_id, next_connection, seed};

/// Refusals to bind in a row before waiting requests are told.
const REFUSALS_TOLERATED: u32 = 5;
/// Refusals after which the permanent key is suspected.
const REFUSALS_UNSUSPECTED: u32 = 1;
/// A permanent key younger than this may not be known everywhere yet: the page's number, in seconds.
const SETTLED_AFTER: i64 = 60;

/// The making of the next key, which ends with the connection.
pub(super) struct Renewal(JoinHandle<Result<(), String>>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until the key in the slot is another one.
pub(super) async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    // The slot outlives the connection: there is no error to be had.
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Waits for the end of a renewal.
pub(super) async fn finished(renewal: &mut Option<Renewal>) -> Result<(), String> {
    match renewal {
        Some(renewal) => (&mut renewal.0).await.unwrap_or_else(|error| Err(error.to_string())),
        None => std::future::pending().await,
    }
}

impl From<BindError> for End {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Lost(reason) => Self::Lost(reason),
            BindError::Refused(error) => Self::Refused(error),
            BindError::Protocol(error) => Self::Violation(error),
            BindError::Unbound(error) => Self::Unbound(error),
        }
    }
}

/// The number of the DC that a key's exchange names. A key for uploads and downloads has the negative one, as TDLib has it for all
/// connections of the kind, whether or not the address is one that serves nothing else.
fn number_of(key_use: KeyUse, wire_dc: DcId) -> DcId {
    match key_use {
        KeyUse::Main => wire_dc,
        KeyUse::Media => DcId(wire_dc.0.saturating_neg()),
    }
}

fn order(config: &LinkConfig, pfs: &Pfs, perm: KeyMaterial, tracer: tdl_core::trace::Tracer) -> Order {
    Order {
        perm,
        rsa_keys: Arc::clone(&config.rsa_keys),
        dc: config.dc,
        wire_dc: number_of(pfs.key_use, config.wire_dc),
        expires_in: pfs.policy.expires_in(),
        clock: config.clock,
        tracer,
        key_log: config.key_log.clone(),
    }
}

/// Whether a key can be used now, by its own idea of the server's time.
fn is_usable(material: &TempMaterial, now: Now) -> bool {
    material.is_usable(now.unix().saturating_add(material.time_offset))
}

impl Driver {
    /// Begins a session under a temporary key; makes and binds one first, over this very connection, when there is none.
    pub(super) async fn begin_temp_session(&mut self, io: Wire, pfs: Pfs, perm: KeyMaterial) -> Result<Wire, End> {
        let clock = self.config.clock;
        let known = pfs.slot.current(perm.auth_key.id()).filter(|material| is_usable(material, clock.now()));
        let (io, session, material) = match known {
            Some(material) => (io, None, material),
            None => self.make_temp_key(io, pfs, perm).await?,
        };
        match session {
            Some(session) => {
                self.begin_under(session, &material);
                // It was made known by the binding.
                self.host.new_session();
            }
            None => {
                let session = self.session_under(&material);
                self.begin_under(session, &material);
            }
        }
        Ok(io)
    }

    /// One at a time for each kind of connection: whoever comes second finds the key made.
    async fn make_temp_key(
        &mut self,
        mut io: Wire,
        pfs: Pfs,
        perm: KeyMaterial,
    ) -> Result<(Wire, Option<Session>, TempMaterial), End> {
        let (host, clock) = (Arc::clone(&self.host), self.config.clock);
        let order = order(&self.config, &pfs, perm, self.tracer.clone());
        let mut rng = StdRng::from_seed(seed(&mut self.rng));
        let made = self.meanwhile(async move {
            let _one_at_a_time = pfs.slot.exchange.lock().await;
            let perm_key_id = order.perm.auth_key.id();
            let known = match pfs.slot.current(perm_key_id).filter(|material| is_usable(material, clock.now())) {
                Some(material) => Some(material),
                None => host.temp_key(pfs.key_use, perm_key_id).map_err(End::Host)?,
            };
            if let Some(material) = known.filter(|material| is_usable(material, clock.now())) {
                pfs.slot.set(material.clone());
                return Ok((io, None, material));
            }
            let (session, material) = bind::make(&mut io, &order, &mut rng).await?;
            // Stored before it is used: from here on no run makes it again.
            host.temp_key_made(pfs.key_use, &material).map_err(End::Host)?;
            pfs.slot.set(material.clone());
            Ok((io, Some(session), material))
        });
        let made = made.await.unwrap_or(Err(End::Closed));
        if made.is_ok() {
            self.refusals = 0;
        }
        made
    }

    fn session_under(&mut self, material: &TempMaterial) -> Session {
        self.config.key_log.key(&material.auth_key, self.config.dc, Some(material.expires_at));
        let params = ClientParams {
            salts: material.salts.clone(),
            time_offset: material.time_offset,
            tracer: self.tracer.clone(),
            ..ClientParams::new(material.auth_key.clone(), SessionId(draw_session_id(&mut self.rng)), seed(&mut self.rng))
        };
        Session::client(params, self.config.clock.now())
    }

    fn begin_under(&mut self, session: Session, material: &TempMaterial) {
        let temp = Temp {
            perm_key_id: material.perm_key_id,
            renew_at: material.renew_at(self.jitter),
            expires_at: material.expires_at,
        };
        self.begin(session, material.auth_key.id(), Some(temp));
    }

    /// Goes over to the key in the slot, if it is another one than that of the session in use. For a connection that is open.
    pub(super) fn switch(&mut self) {
        let Some(pfs) = self.config.pfs.clone() else { return };
        let Some((key_id, Some(temp))) = self.session.as_ref().map(|active| (active.key_id, active.temp)) else { return };
        let Some(material) = pfs.slot.current(temp.perm_key_id).filter(|material| material.auth_key.id() != key_id) else {
            return;
        };
        self.retire();
        let session = self.session_under(&material);
        self.begin_under(session, &material);
        if self.keep_alive && !self.config.prelude.hello.is_empty() {
            self.say_hello();
        }
    }

    /// Makes the session known to the server, so that updates go to it. Nobody waits for the answer.
    fn say_hello(&mut self) {
        // Tokens of requests count up from 1.
        let token = u64::MAX - self.serials;
        let (reply, _) = tokio::sync::oneshot::channel();
        let hello = Outgoing { compress: false, ..Outgoing::new(self.config.prelude.hello.clone()) };
        self.pending.insert(token, Pending::new(hello, reply));
        self.waiting.push_back(token);
    }

    /// When the key wants something, on the monotonic clock.
    pub(super) fn key_deadline(&self) -> Option<Duration> {
        let now = self.config.clock.now();
        let at = |unix: i64, active: &super::Active| {
            let unix = Duration::from_secs(unix.try_into().unwrap_or(0));
            now.mono.saturating_add(unix.saturating_sub(active.session.server_time(now)))
        };
        let active = self.session.as_ref()?;
        let temp = active.temp?;
        let renewal = self.renewal.is_none().then(|| at(temp.renew_at, active).max(self.renew_after));
        let draining = self.draining.iter().filter_map(|active| Some(at(active.temp?.expires_at, active)));
        renewal.into_iter().chain([at(temp.expires_at, active)]).chain(draining).min()
    }

    /// Ends what is under keys that have ended; begins to renew the key in use when it is time.
    pub(super) fn check_keys(&mut self, now: Now) -> Result<(), End> {
        self.drop_drained_keys(now);
        let Some(active) = &self.session else { return Ok(()) };
        let Some(temp) = active.temp else { return Ok(()) };
        let server = active.session.server_time(now).as_secs();
        let passed = |unix: i64| server >= unix.try_into().unwrap_or(0);
        if passed(temp.expires_at) {
            return Err(End::Rekey);
        }
        if passed(temp.renew_at) && now.mono >= self.renew_after && self.renewal.is_none() {
            match self.key.current().filter(|perm| perm.auth_key.id() == temp.perm_key_id) {
                Some(perm) => self.renew(perm),
                // Another connection has found the permanent key lost: there is nothing to bind the next one to.
                None => return Err(End::Rekey),
            }
        }
        Ok(())
    }

    /// Draining sessions whose keys have ended.
    fn drop_drained_keys(&mut self, now: Now) {
        for active in std::mem::take(&mut self.draining) {
            let server = active.session.server_time(now).as_secs();
            if active.temp.is_some_and(|temp| server >= temp.ends_at()) {
                self.abandon(&active);
            } else {
                self.draining.push_back(active);
            }
        }
    }

    /// Before a connection is used: what is under keys that have ended is over.
    pub(super) fn drop_ended(&mut self) {
        let now = self.config.clock.now();
        self.drop_drained_keys(now);
        let ended = |active: &super::Active| {
            let server = i64::try_from(active.session.server_time(now).as_secs()).unwrap_or(i64::MAX);
            active.temp.is_some_and(|temp| server >= temp.expires_at)
        };
        if let Some(active) = self.session.take_if(|active| ended(active)) {
            self.abandon(&active);
        }
    }

    /// Makes the next key in the background, over a connection of its own.
    fn renew(&mut self, perm: KeyMaterial) {
        let (Some(pfs), Some(active)) = (self.config.pfs.clone(), &self.session) else { return };
        let old = active.key_id;
        let (config, host) = (self.config.clone(), Arc::clone(&self.host));
        let rng = StdRng::from_seed(seed(&mut self.rng));
        self.renewal = Some(Renewal(tokio::spawn(renew(config, pfs, perm, host, old, rng))));
    }

    /// A renewal has ended. If it failed, the next one comes after a pause; the key in use is still good.
    pub(super) fn renewed(&mut self, outcome: Result<(), String>) {
        self.renewal = None;
        match outcome {
            // Should it have been another connection's, the key in the slot is in use here already, or will be at once.
            Ok(()) => self.switch(),
            Err(reason) => {
                let delay = self.backoff.next_delay();
                self.renew_after = self.config.clock.now().mono.saturating_add(delay);
                tracing::debug!(dc = self.config.dc.0, %reason, "a temporary key could not be renewed yet");
            }
        }
    }

    /// The server does not know a key on this connection. It does not say which: sessions that are draining are given up first, and one
    /// that ended here a moment ago is blamed first. The next connection has none of those.
    pub(super) fn temp_key_unknown(&mut self) {
        if std::mem::take(&mut self.parted) || !self.draining.is_empty() {
            for active in std::mem::take(&mut self.draining) {
                self.abandon(&active);
            }
            return;
        }
        let Some(active) = self.session.take() else { return };
        self.abandon(&active);
        self.forget_temp_key(active.key_id);
        self.violations += 1;
        if self.violations >= super::connect::VIOLATIONS_TOLERATED {
            self.violations = 0;
            self.fail_all(&ProtocolError::Refused(transport::TransportError::AuthKeyNotFound).into());
        }
    }

    /// The key in use has ended or is bound to nothing: what waits is asked under another one.
    pub(super) fn rekey(&mut self) {
        let Some(key_id) = self.session.as_ref().map(|active| active.key_id) else { return };
        self.forget_temp_key(key_id);
        self.violations += 1;
        if self.violations >= super::connect::VIOLATIONS_TOLERATED {
            self.violations = 0;
            self.fail_all(&ProtocolError::KeysDoNotLast.into());
        }
        // What is under way in it may still be answered; what has ended altogether is dropped before the next connection is used.
        self.retire();
    }

    fn forget_temp_key(&mut self, key_id: i64) {
        let Some(pfs) = &self.config.pfs else { return };
        pfs.slot.clear(key_id);
        if let Err(error) = self.host.temp_key_ended(pfs.key_use, key_id) {
            self.fail_all(&RequestError::Host(error));
        }
    }

    /// The server will not bind a temporary key. Whether to try again after a pause.
    pub(super) fn binding_refused(&mut self, error: &RpcError) -> bool {
        self.refusals += 1;
        let perm = self.key.current();
        let settled =
            perm.as_ref().is_some_and(|key| self.config.clock.now().unix().saturating_sub(key.created_at) > SETTLED_AFTER);
        if let Some(perm) =
            perm.filter(|_| settled && error.is("ENCRYPTED_MESSAGE_INVALID") && self.refusals > REFUSALS_UNSUSPECTED)
        {
            self.refusals = 0;
            self.perm_key_unknown(perm.auth_key.id());
            return false;
        }
        if self.refusals >= REFUSALS_TOLERATED {
            self.refusals = 0;
            self.fail_all(&ProtocolError::Unbound(error.clone()).into());
        }
        true
    }
}

/// Makes and binds the key after `old`, and puts it into the slot. Errors are for the log: the next attempt is not far.
async fn renew(
    config: LinkConfig,
    pfs: Pfs,
    perm: KeyMaterial,
    host: Arc<dyn Host>,
    old: i64,
    mut rng: StdRng,
) -> Result<(), String> {
    let _one_at_a_time = pfs.slot.exchange.lock().await;
    let (clock, perm_key_id) = (config.clock, perm.auth_key.id());
    let is_next = |material: &TempMaterial| material.auth_key.id() != old && is_usable(material, clock.now());
    // Another connection, or another process, may have been faster.
    if pfs.slot.current(perm_key_id).is_some_and(|material| is_next(&material)) {
        return Ok(());
    }
    let stored = host.temp_key(pfs.key_use, perm_key_id).map_err(|error| error.to_string())?;
    if let Some(material) = stored.filter(is_next) {
        pfs.slot.set(material);
        return Ok(());
    }
    let tracer = config.tracer.with_connection(next_connection(), config.dc);
    let began = clock.now();
    let addrs: Vec<_> = config.addrs.iter().map(|addr| config.carrier.addr(*addr)).collect();
    let dialled = dial(&*config.dialer, &addrs, config.dial_timeout).await;
    let (stream, addr) = dialled.map_err(|failures| failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let opening = opening(&config, addr, tracer.clone());
    let opened_as = opening.to_string();
    let mut io = Wire::open(stream, opening, &mut rng).await.map_err(|error| error.to_string())?;
    tracer.emit(clock.now(), || Event::Connected {
        addr: opened_as + ", to renew a key",
        took: clock.now().mono.saturating_sub(began.mono),
    });
    let order = order(&config, &pfs, perm, tracer);
    let (session, material) = bind::make(&mut io, &order, &mut rng).await.map_err(|error| End::from(error).to_string())?;
    host.temp_key_made(pfs.key_use, &material).map_err(|error| error.to_string())?;
    pfs.slot.set(material);
    bind::leave(io, session, clock, &mut rng).await;
    order.tracer.emit(clock.now(), || Event::Disconnected { reason: "closed by us".to_owned() });
    Ok(())
}
