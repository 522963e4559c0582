//! A connection of its own to one address, for looking at what is there: how long each round trip takes, and how a key is made.
//!
//! Nothing is kept of it, and no other connection is disturbed: a [`Probe`] has a session of its own, even under a key that is in use.

use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use tdl_core::ids::SessionId;
use tdl_core::mtproto::handshake::client::{ClientHandshake, Config, Established};
use tdl_core::mtproto::handshake::watch::Watch;
use tdl_core::mtproto::handshake::{self, Mode};
use tdl_core::mtproto::session::{ClientParams, Event, FutureSalt, KeyDestruction, Reaction, Session};
use tdl_core::trace::{self, Tracer};
use tdl_core::transport::{Frame, TransportError};

use super::driver::{draw_session_id, next_connection, opening};
use super::error::{DialFailure, ProtocolError};
use super::exchange::{ExchangeError, exchange, receive};
use super::io::Readiness;
use super::key::KeyMaterial;
use super::link::LinkConfig;
use super::websocket::UpgradeError;
use super::wire::Wire;

/// How long the last bytes may take to be written.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a look at an address came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialFailure),
    /// The connection ended, or was too slow.
    #[error("{0}")]
    Lost(String),
    /// The server refused below the protocol.
    #[error("the server refuses: {0} ({meaning})", meaning = .0.meaning())]
    Refused(TransportError),
    /// The server broke a rule.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl From<ExchangeError> for ProbeError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Lost(reason) => Self::Lost(reason),
            ExchangeError::Refused(error) => Self::Refused(error),
            ExchangeError::Protocol(error) => Self::Protocol(error),
        }
    }
}

impl From<UpgradeError> for ProbeError {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Lost(reason) => Self::Lost(reason),
            UpgradeError::Protocol(error) => Self::Protocol(error.into()),
        }
    }
}

/// A connection to one address.
pub struct Probe {
    io: Wire,
    config: LinkConfig,
    tracer: Tracer,
    rng: StdRng,
    route: String,
    connected: Duration,
}

impl Probe {
    /// Connects, within [`LinkConfig::dial_timeout`]. Of what the configuration says, requests, sessions and temporary keys do not
    /// matter here.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn open(config: LinkConfig, addr: SocketAddr) -> Result<Self, ProbeError> {
        let (clock, timeout) = (config.clock, config.dial_timeout);
        let tracer = config.tracer.with_connection(next_connection(), config.dc);
        let mut rng = StdRng::from_seed(config.seed);
        let began = clock.now();
        tracer.emit(began, || trace::Event::Dialing { addr: addr.to_string() });
        let dialled = tokio::time::timeout(timeout, config.dialer.dial(addr)).await;
        let stream = dialled.map_err(|_| DialFailure::Timeout { after: timeout })??;
        let connected = clock.now().mono.saturating_sub(began.mono);
        let opening = opening(&config, addr, tracer.clone());
        let route = opening.to_string();
        let io = Wire::open(stream, opening, &mut rng).await?;
        tracer.emit(clock.now(), || trace::Event::Connected { addr: route.clone(), took: connected });
        Ok(Self { io, config, tracer, rng, route, connected })
    }

    /// How long it took until the address had taken the connection, or the proxy had led on to it.
    pub fn connected(&self) -> Duration {
        self.connected
    }

    /// Where it leads and what travels on it.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Sends `req_pq_multi` and waits for `resPQ`: the round trip, which shows that there is a server, that it speaks this transport,
    /// and that it has a key we trust.
    ///
    /// # Errors
    /// See [`ProbeError`]. Half of an exchange is left behind either way; the connection is good for another beginning.
    pub async fn req_pq(&mut self) -> Result<Duration, ProbeError> {
        let clock = self.config.clock;
        let keys = self.config.rsa_keys.clone();
        let config = Config { tracer: self.tracer.clone(), ..Config::new(&keys, self.config.wire_dc, Mode::Permanent) };
        let (handshake, frame) = ClientHandshake::new(&config, clock.now(), &mut self.rng);
        self.io.queue(&frame, false, &mut self.rng)?;
        let began = clock.now().mono;
        let timeout = self.config.dial_timeout;
        let answer =
            tokio::time::timeout(timeout, receive(&mut self.io)).await.map_err(|_| no_answer("req_pq_multi", timeout))?;
        let answer = answer?;
        let took = clock.now().mono.saturating_sub(began);
        handshake.handle_frame(answer.freeze(), clock.now(), &mut self.rng).map_err(ProtocolError::from)?;
        Ok(took)
    }

    /// Makes a key, which nobody will use unless the caller does.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn exchange(&mut self, mode: Mode, watch: Watch) -> Result<Established, ProbeError> {
        let keys = self.config.rsa_keys.clone();
        let config = Config { tracer: self.tracer.clone(), watch, ..Config::new(&keys, self.config.wire_dc, mode) };
        Ok(exchange(&mut self.io, &config, self.config.clock, &mut self.rng).await?)
    }

    /// Pings under a key that the server has, in a session of its own: the round trip of an encrypted message.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn ping(&mut self, key: &KeyMaterial) -> Result<Duration, ProbeError> {
        let mut session = self.session(key);
        session.ping().map_err(|error| ProbeError::Lost(error.to_string()))?;
        self.drive(&mut session, "a ping", |session| session.rtt()).await
    }

    /// Has the server forget a key that was made here, and says goodbye.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn destroy(mut self, key: &Established) -> Result<KeyDestruction, ProbeError> {
        let material = KeyMaterial {
            auth_key: key.auth_key.clone(),
            salts: vec![FutureSalt::unlimited(key.salt)],
            time_offset: key.time_offset,
            created_at: self.config.clock.now().unix(),
        };
        let mut session = self.session(&material);
        session.destroy_auth_key().map_err(|error| ProbeError::Lost(error.to_string()))?;
        let destroyed = self
            .drive(&mut session, "destroy_auth_key", |session| {
                // What else happens, a new session or salts, does not matter here.
                while let Some(event) = session.poll_event() {
                    if let Event::AuthKeyDestroyed { outcome } = event {
                        return Some(outcome);
                    }
                }
                None
            })
            .await?;
        // A peer that does not take the last bytes in time does without.
        let _ = tokio::time::timeout(GOODBYE, self.io.finish()).await;
        Ok(destroyed)
    }

    fn session(&mut self, key: &KeyMaterial) -> Session {
        let params = ClientParams {
            salts: key.salts.clone(),
            time_offset: key.time_offset,
            tracer: self.tracer.clone(),
            ..ClientParams::new(
                key.auth_key.clone(),
                SessionId(draw_session_id(&mut self.rng)),
                super::driver::seed(&mut self.rng),
            )
        };
        Session::client(params, self.config.clock.now())
    }

    /// Drives the session until `result` is there.
    async fn drive<T>(
        &mut self,
        session: &mut Session,
        what: &'static str,
        result: impl FnMut(&mut Session) -> Option<T>,
    ) -> Result<T, ProbeError> {
        let timeout = self.config.dial_timeout;
        let driven = tokio::time::timeout(timeout, self.drive_on(session, result)).await;
        driven.map_err(|_| no_answer(what, timeout))?
    }

    async fn drive_on<T>(
        &mut self,
        session: &mut Session,
        mut result: impl FnMut(&mut Session) -> Option<T>,
    ) -> Result<T, ProbeError> {
        let clock = self.config.clock;
        loop {
            if let Some(result) = result(session) {
                return Ok(result);
            }
            while let Some(frame) = self.io.turn(true, session.auth_key_id()).and_then(|turn| turn.poll(session, clock.now())) {
                self.io.queue(&frame, false, &mut self.rng)?;
            }
            let due = session.poll_timeout().map(|due| clock.instant(due));
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = self.io.ready() => match ready {
                    Ok(Readiness::Read(0)) => return Err(ProbeError::Lost("closed by the server".to_owned())),
                    Ok(Readiness::Read(_)) => self.take(session)?,
                    Ok(Readiness::Written) => {}
                    Err(error) => return Err(ProbeError::Lost(error.to_string())),
                },
                () = due => session.handle_timeout(clock.now()),
            }
        }
    }

    fn take(&mut self, session: &mut Session) -> Result<(), ProbeError> {
        while let Some(frame) = self.io.next_frame()? {
            match frame {
                Frame::Payload(payload) => match session.handle_input(self.config.clock.now(), payload) {
                    Ok(()) => {}
                    Err(error) if error.reaction() == Reaction::Ignore => {}
                    Err(error) => return Err(ProtocolError::from(error).into()),
                },
                Frame::QuickAck(_) => {}
                Frame::Error(error) => return Err(ProbeError::Refused(error)),
            }
        }
        Ok(())
    }
}

fn no_answer(what: &str, after: Duration) -> ProbeError {
    ProbeError::Lost(format!("no answer to {what} within {} s", after.as_secs_f64()))
}

impl ProbeError {
    /// The rule of the key exchange that the server broke, if that is what ended it.
    pub fn handshake(&self) -> Option<&handshake::Error> {
        match self {
            Self::Protocol(ProtocolError::Handshake(error)) => Some(error),
            _ => None,
        }
    }
}
