//! A temporary key over a fresh connection: made, and bound to the permanent one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

use tdl_core::crypto::keylog::KeyLogger;
use tdl_core::crypto::rsa::PublicKey;
use tdl_core::ids::{DcId, SessionId};
use tdl_core::mtproto::binding::{self, Binding};
use tdl_core::mtproto::handshake::client::{Config, Established};
use tdl_core::mtproto::handshake::{KeyKind, Mode};
use tdl_core::mtproto::rpc_error::RpcError;
use tdl_core::mtproto::session::{
    ClientParams, Event as SessionEvent, Failure, FutureSalt, Reaction, RequestId, RequestOptions, Session,
};
use tdl_core::tl::{Deserialize, Serialize, api};
use tdl_core::trace::{Event, Tracer};
use tdl_core::transport::{Frame, TransportError};

use super::clock::Clock;
use super::error::ProtocolError;
use super::exchange::{ExchangeError, exchange};
use super::io::Readiness;
use super::key::KeyMaterial;
use super::temp::TempMaterial;
use super::wire::Wire;

/// How long the binding may take, key exchange not included: one round trip, or two where the server corrects our clock.
const BIND_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the binding is asked for anew because the server would not take its message.
const ATTEMPTS: u32 = 3;
/// How long a closing connection may take to write its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is needed to make a temporary key.
pub(super) struct Order {
    /// The key to bind it to.
    pub(super) perm: KeyMaterial,
    pub(super) rsa_keys: Arc<[PublicKey]>,
    pub(super) dc: DcId,
    pub(super) wire_dc: DcId,
    /// For how many seconds.
    pub(super) expires_in: i32,
    pub(super) clock: Clock,
    pub(super) tracer: Tracer,
    pub(super) key_log: KeyLogger,
}

/// Why there is no temporary key.
pub(super) enum BindError {
    /// The connection ended, or was too slow.
    Lost(String),
    /// The server refused below the protocol.
    Refused(TransportError),
    /// The server broke a rule.
    Protocol(ProtocolError),
    /// The server made the key and would not bind it.
    Unbound(RpcError),
}

impl From<ExchangeError> for BindError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Lost(reason) => Self::Lost(reason),
            ExchangeError::Refused(error) => Self::Refused(error),
            ExchangeError::Protocol(error) => Self::Protocol(error),
        }
    }
}

/// Makes a temporary key and binds it. The session that asked for the binding can go on over the same connection.
pub(super) async fn make(io: &mut Wire, order: &Order, rng: &mut StdRng) -> Result<(Session, TempMaterial), BindError> {
    let config = Config {
        tracer: order.tracer.clone(),
        ..Config::new(&order.rsa_keys, order.wire_dc, Mode::Temporary { expires_in: order.expires_in })
    };
    let established = exchange(io, &config, order.clock, rng).await?;
    let material = material(&established, order);
    // The binding itself is the first thing under it.
    order.key_log.key(&material.auth_key, order.dc, Some(material.expires_at));
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let params = ClientParams {
        salts: material.salts.clone(),
        time_offset: material.time_offset,
        tracer: order.tracer.clone(),
        ..ClientParams::new(established.auth_key, SessionId(super::driver::draw_session_id(rng)), seed)
    };
    let mut session = Session::client(params, order.clock.now());
    let too_slow = |_| Err(BindError::Lost(format!("no answer to the binding of a key within {} s", BIND_TIMEOUT.as_secs())));
    tokio::time::timeout(BIND_TIMEOUT, bind(io, &mut session, order, &material, rng)).await.unwrap_or_else(too_slow)?;
    order.tracer.emit(order.clock.now(), || Event::TempKeyBound {
        id: material.auth_key.id(),
        perm: material.perm_key_id,
        expires_at: material.expires_at,
    });
    Ok((session, material))
}

fn material(established: &Established, order: &Order) -> TempMaterial {
    let expires_at = match established.kind {
        KeyKind::Temporary { expires_at } => expires_at,
        // It was asked for a temporary one: what is not is of no use, and ends at once.
        KeyKind::Permanent => order.clock.now().unix().saturating_add(established.time_offset),
    };
    TempMaterial {
        auth_key: established.auth_key.clone(),
        perm_key_id: order.perm.auth_key.id(),
        salts: vec![FutureSalt::unlimited(established.salt)],
        time_offset: established.time_offset,
        created_at: expires_at.saturating_sub(order.expires_in.into()),
        expires_at,
    }
}

/// Asks for the binding until there is an answer.
async fn bind(
    io: &mut Wire,
    session: &mut Session,
    order: &Order,
    material: &TempMaterial,
    rng: &mut StdRng,
) -> Result<(), BindError> {
    for _ in 0..ATTEMPTS {
        let id = ask(session, order, material, rng)?;
        match answer(io, session, order.clock, id, rng).await? {
            Ok(Ok(body)) => {
                return match bool::from_bytes(body) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(BindError::Unbound(RpcError::new(400, "BOOL_FALSE"))),
                    Err(error) => Err(BindError::Protocol(ProtocolError::Answer { method: "auth.bindTempAuthKey", error })),
                };
            }
            Ok(Err(error)) => return Err(BindError::Unbound(error)),
            // The message was not taken: another identifier needs another message.
            Err(_) => {}
        }
    }
    Err(BindError::Lost(format!("the server refused {ATTEMPTS} messages that bind a key")))
}

/// Hands the request over: inside and outside it has the same identifier.
fn ask(session: &mut Session, order: &Order, material: &TempMaterial, rng: &mut StdRng) -> Result<RequestId, BindError> {
    let misuse = |error: tdl_core::mtproto::session::ApiMisuse| BindError::Lost(error.to_string());
    let now = order.clock.now();
    let reserved = session.reserve(now).map_err(misuse)?;
    let binding = Binding {
        msg_id: reserved.msg_id(),
        nonce: rng.next_u64().cast_signed(),
        temp_auth_key_id: material.auth_key.id(),
        perm_auth_key_id: material.perm_key_id,
        session_id: session.session_id(),
        expires_at: i32::try_from(material.expires_at).unwrap_or(i32::MAX),
    };
    let request = api::functions::auth::BindTempAuthKey {
        perm_auth_key_id: binding.perm_auth_key_id,
        nonce: binding.nonce,
        expires_at: binding.expires_at,
        encrypted_message: binding::seal(&order.perm.auth_key, &binding, rng),
    };
    let options = RequestOptions { compress: false, ..RequestOptions::default() };
    session.request_reserved(now, &reserved, request.to_bytes(), options).map_err(misuse)
}

/// Drives the session until the request has ended.
async fn answer(
    io: &mut Wire,
    session: &mut Session,
    clock: Clock,
    id: RequestId,
    rng: &mut StdRng,
) -> Result<Result<Result<Bytes, RpcError>, Failure>, BindError> {
    loop {
        while let Some(event) = session.poll_event() {
            match event {
                SessionEvent::Response { id: ended, result } if ended == id => return Ok(Ok(result)),
                SessionEvent::Failed { id: ended, error } if ended == id => return Ok(Err(error)),
                SessionEvent::ConnectionDead(cause) => return Err(BindError::Lost(cause.to_string())),
                // A new session, salts: the caller asks the session itself.
                _ => {}
            }
        }
        while let Some(frame) = io.turn(true, session.auth_key_id()).and_then(|turn| turn.poll(session, clock.now())) {
            io.queue(&frame, false, rng).map_err(BindError::Protocol)?;
        }
        let due = session.poll_timeout().map(|due| clock.instant(due));
        tokio::select! {
            ready = io.ready() => match ready {
                Ok(Readiness::Read(0)) => return Err(BindError::Lost("closed by the server while a key was bound".to_owned())),
                Ok(Readiness::Read(_)) => receive(io, session, clock)?,
                Ok(Readiness::Written) => {}
                Err(error) => return Err(BindError::Lost(error.to_string())),
            },
            () = sleep_until(due) => session.handle_timeout(clock.now()),
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn receive(io: &mut Wire, session: &mut Session, clock: Clock) -> Result<(), BindError> {
    while let Some(frame) = io.next_frame().map_err(BindError::Protocol)? {
        match frame {
            Frame::Payload(payload) => match session.handle_input(clock.now(), payload) {
                Ok(()) => {}
                Err(error) if error.reaction() == Reaction::Ignore => {}
                Err(error) => return Err(BindError::Protocol(error.into())),
            },
            Frame::QuickAck(_) => {}
            Frame::Error(TransportError::AuthKeyNotFound) => {
                return Err(BindError::Lost("the server does not know the key that it has just made".to_owned()));
            }
            Frame::Error(error) => return Err(BindError::Refused(error)),
        }
    }
    Ok(())
}

/// Says goodbye on a connection that served only to bind a key.
pub(super) async fn leave(mut io: Wire, mut session: Session, clock: Clock, rng: &mut StdRng) {
    session.flush_acks();
    while let Some(frame) = io.turn(false, session.auth_key_id()).and_then(|turn| turn.poll(&mut session, clock.now())) {
        if io.queue(&frame, false, rng).is_err() {
            return;
        }
    }
    // A peer that does not take its last bytes in time does without.
    let _ = tokio::time::timeout(GOODBYE, io.finish()).await;
}
