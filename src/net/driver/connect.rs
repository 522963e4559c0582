//! How a connection comes about, and what follows its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::dial::dial;
use crate::error::{DialError, NetError, ProtocolError, RequestError};
use crate::exchange::{ExchangeError, exchange};
use crate::host::{KeyVerdict, Status};
use crate::key::KeyMaterial;
use crate::link::LinkConfig;
use crate::websocket::UpgradeError;
use crate::wire::{Opening, Wire};
use tdl_core::ids::SessionId;
use tdl_core::mtproto::handshake::Mode;
use tdl_core::mtproto::handshake::client::Config;
use tdl_core::mtproto::session::{ClientParams, Session};
use tdl_core::trace::{ConnId, Event, Tracer};
use tdl_core::transport::{self, TransportError};

use super::{Driver, End, Outage, seed};

/// The longest pause that the server may impose before another key is bound. It is not asked often enough to deserve more.
const LONGEST_BINDING_PAUSE: Duration = Duration::from_secs(60);
/// What is added to the numbers of the public test DCs where the protocol writes them.
const TEST_DCS: i32 = 10_000;
/// Connections in a row that may end with a broken rule before waiting requests are told.
pub(super) const VIOLATIONS_TOLERATED: u32 = 3;

impl Driver {
    /// Dials, and sees to it that there is a key and a session.
    pub(super) async fn connect(&mut self) -> Result<Wire, End> {
        self.attempt();
        let clock = self.config.clock;
        let (dialer, carrier, timeout) = (Arc::clone(&self.config.dialer), self.config.carrier, self.config.dial_timeout);
        let addrs: Vec<_> = self.config.addrs.iter().map(|addr| carrier.addr(*addr)).collect();
        if addrs.is_empty() {
            self.fail_all(&NetError::NoAddress { dc: self.config.dc }.into());
            return Err(End::Lost("no address".to_owned()));
        }
        self.connections += 1;
        self.tracer = self.config.tracer.with_connection(next_connection(), self.config.dc);
        let began = clock.now();
        let via = dialer.via().map(|proxy| format!(" through {proxy}")).unwrap_or_default();
        self.tracer.emit(began, || Event::Dialing {
            addr: match dialer.place() {
                Some(place) => place.to_string(),
                None => addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            } + &via,
        });
        let dialled = self.meanwhile(async move { dial(&*dialer, &addrs, timeout).await }).await.ok_or(End::Closed)?;
        let (stream, addr) = dialled.map_err(|failures| self.nobody_there(&failures))?;
        self.unproven = Some(addr);
        let opening = opening(&self.config, addr, self.tracer.clone());
        let opened_as = opening.to_string();
        let mut rng = StdRng::from_seed(seed(&mut self.rng));
        let opened = self.meanwhile(async move { Wire::open(stream, opening, &mut rng).await }).await.ok_or(End::Closed)?;
        let io = opened.map_err(|error| match error {
            UpgradeError::Lost(reason) => End::Lost(reason),
            UpgradeError::Protocol(error) => End::Violation(error.into()),
        })?;
        self.tracer.emit(clock.now(), || Event::Connected {
            addr: opened_as + &via,
            took: clock.now().mono.saturating_sub(began.mono),
        });
        self.drop_ended();
        if self.session.is_some() { Ok(io) } else { self.begin_session(io).await }
    }

    /// Begins a session: under the DC's key, or under a temporary one that is bound to it. Makes what is missing first, over this very
    /// connection.
    async fn begin_session(&mut self, io: Wire) -> Result<Wire, End> {
        let (io, material, fresh) = match self.key.current() {
            Some(material) => (io, material, false),
            None => self.make_key(io).await?,
        };
        let key_id = material.auth_key.id();
        let now = self.config.clock.now();
        if !fresh {
            self.tracer.emit(now, || Event::AuthKeyReady { id: key_id, fresh });
        }
        // With forward secrecy it encrypts what binds the temporary keys.
        self.config.key_log.key(&material.auth_key, self.config.dc, None);
        if let Some(pfs) = self.config.pfs.clone() {
            return self.begin_temp_session(io, pfs, material).await;
        }
        let params = ClientParams {
            salts: material.salts,
            time_offset: material.time_offset,
            tracer: self.tracer.clone(),
            ..ClientParams::new(material.auth_key, SessionId(draw_session_id(&mut self.rng)), seed(&mut self.rng))
        };
        self.begin(Session::client(params, now), key_id, None);
        Ok(io)
    }

    /// One exchange per DC at a time: whoever comes second finds the key made.
    async fn make_key(&mut self, mut io: Wire) -> Result<(Wire, KeyMaterial, bool), End> {
        let (slot, host) = (Arc::clone(&self.key), Arc::clone(&self.host));
        let (keys, dc, clock, tracer) =
            (Arc::clone(&self.config.rsa_keys), self.config.wire_dc, self.config.clock, self.tracer.clone());
        let mut rng = StdRng::from_seed(seed(&mut self.rng));
        let made = self.meanwhile(async move {
            let _one_at_a_time = slot.exchange.lock().await;
            if let Some(material) = slot.current() {
                return Ok((io, material, false));
            }
            host.status(Status::KeyExchange);
            let config = Config { tracer, ..Config::new(&keys, dc, Mode::Permanent) };
            let established = exchange(&mut io, &config, clock, &mut rng).await.map_err(|error| match error {
                ExchangeError::Lost(reason) => End::Lost(reason),
                ExchangeError::Refused(error) => End::Refused(error),
                ExchangeError::Protocol(error) => End::Violation(error),
            })?;
            // Stored before it is used: from here on no run makes it again.
            let material = host.key_made(&established).map_err(End::Host)?;
            slot.set(material.clone());
            Ok((io, material, true))
        });
        made.await.unwrap_or(Err(End::Closed))
    }

    /// Counts an attempt to connect.
    fn attempt(&mut self) {
        let since = self.config.clock.now().mono;
        self.outage.get_or_insert(Outage { since, attempts: 0 }).attempts += 1;
    }

    /// Decides what follows the end of a connection, and waits if it is to be tried again.
    pub(super) async fn recover(&mut self, end: End) {
        let mut least = Duration::ZERO;
        let reason = end.to_string();
        self.note_end();
        match end {
            End::Closed | End::Rested => return,
            End::Lost(_) => {}
            End::Host(error) => return self.give_up(&RequestError::Host(error)),
            End::Barred(error) => return self.give_up(&error.into()),
            End::Refused(TransportError::AuthKeyNotFound) if self.session.is_some() => return self.handle_unknown_key(),
            End::Rekey => return self.rekey(),
            End::Unbound(error) => {
                if !self.binding_refused(&error) {
                    return;
                }
                let seconds = error.flood_wait().and_then(|seconds| seconds.try_into().ok()).unwrap_or(0);
                least = Duration::from_secs(seconds).min(LONGEST_BINDING_PAUSE);
            }
            End::Refused(error) => match self.refused(error) {
                Some(wait) => least = wait,
                None => return,
            },
            End::Violation(error) => {
                if !self.tolerates(error) {
                    return;
                }
            }
        }
        if self.pending.is_empty() && !self.keep_alive {
            return;
        }
        let now = self.config.clock.now().mono;
        let delay = self.backoff.next_delay().max(least);
        let outage = self.outage.get_or_insert(Outage { since: now, attempts: 0 });
        let (attempts, after) = (outage.attempts, now.saturating_sub(outage.since));
        let limit = self.config.reconnect_timeout;
        if !limit.is_zero() && after + delay > limit {
            self.outage = None;
            self.fail_all(&NetError::Unreachable { dc: self.config.dc, attempts, after, last: reason.clone() }.into());
            if !self.keep_alive {
                self.backoff.reset();
                return;
            }
        }
        self.host.status(Status::Reconnecting { attempt: attempts.max(1), delay, reason });
        // `None` leads back to the loop in `run`, which looks at what is left to do.
        let _ = self.meanwhile(tokio::time::sleep(delay)).await;
    }

    /// The server does not know the key of a session.
    fn handle_unknown_key(&mut self) {
        let Some(active) = &self.session else { return };
        if active.temp.is_some() {
            return self.temp_key_unknown();
        }
        let key_id = active.key_id;
        self.perm_key_unknown(key_id);
    }

    /// The server does not know the permanent key: the owner decides.
    pub(super) fn perm_key_unknown(&mut self, key_id: i64) {
        match self.host.key_unknown(key_id) {
            Ok(KeyVerdict::Replace) => self.key.clear(key_id),
            Ok(KeyVerdict::Use(material)) => self.key.set(material),
            Ok(KeyVerdict::Keep) => return self.give_up(&RequestError::KeyLost),
            Err(error) => return self.give_up(&RequestError::Host(error)),
        }
        self.tolerates(ProtocolError::Refused(TransportError::AuthKeyNotFound));
        // What may have been executed under it, or under temporary keys that were bound to it, ends here; the rest is asked anew.
        for active in std::mem::take(&mut self.draining).into_iter().chain(self.session.take()) {
            self.abandon(&active);
        }
    }
}

/// How a fresh stream to an address is made to carry frames.
pub(crate) fn opening(config: &LinkConfig, addr: SocketAddr, tracer: Tracer) -> Opening {
    let (dialer, timeout) = (Arc::clone(&config.dialer), config.dial_timeout);
    Opening {
        carrier: config.carrier,
        options: transport::Options { dc: config.wire_dc, ..config.transport },
        place: config.dialer.place().cloned().unwrap_or_else(|| addr.into()),
        test: config.wire_dc.0.abs() >= TEST_DCS,
        redial: Box::new(move || {
            let dialer = Arc::clone(&dialer);
            Box::pin(async move {
                let failure =
                    |failures: Vec<DialError>| failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                dial(&*dialer, &[addr], timeout).await.map(|(stream, _)| stream).map_err(failure)
            })
        }),
        clock: config.clock,
        tracer,
    }
}

/// Connections of this process, in whatever role: the number that traces show.
pub fn next_connection() -> ConnId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    ConnId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Zero is no session: servers refuse it.
pub(crate) fn draw_session_id(rng: &mut StdRng) -> i64 {
    loop {
        let id = rng.next_u64().cast_signed();
        if id != 0 {
            return id;
        }
    }
}
