//! Calls from a recording, made again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::BytesMut;
use rand::{SeedableRng, rngs::StdRng};

use super::{outcome, settings};
use crate::{
    clock::Now,
    crypto::{AuthKey, WrongKeyLength},
    ids::MsgId,
    mtproto::{
        envelope::{self, EnvelopeError, Header, Opened, Side},
        session::{
            ClientParams, FutureSalt, HttpWait, KeyDestruction, RequestId, RequestOptions, Reserved, Seed, ServerParams,
            Session,
        },
    },
    trace::{
        Event, Layer, Observer, Record, Tracer,
        call::{Call, SaltSpan, SessionName},
    },
};

/// Identifiers that were kept back and not used yet: more are not remembered.
const MOST_RESERVED: usize = 4096;

/// Why a call cannot be made again: the recording is wrong, not the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The first call is none that begins a session.
    #[error("the session begins with a call that is no beginning")]
    NoBeginning,
    /// A session begins that has begun.
    #[error("the session begins a second time")]
    BegunBefore,
    /// The key has another length.
    #[error(transparent)]
    KeyLength(#[from] WrongKeyLength),
    /// The key is another one than the session is named after.
    #[error("the session is named after key {expected:016x}, and its key is {found:016x}")]
    OtherKey {
        /// The identifier of the key.
        found: i64,
        /// The one in the name.
        expected: i64,
    },
    /// The seed has another length.
    #[error("a seed has 32 bytes, not {found}")]
    SeedLength {
        /// The length found, in bytes.
        found: usize,
    },
    /// A limit that this program does not have.
    #[error("unknown setting '{name}'")]
    UnknownSetting {
        /// Its name.
        name: String,
    },
    /// A limit beyond what a recording may ask for: it would let a packed object fill the memory.
    #[error("the setting '{name}' is greater than {most}")]
    SettingTooLarge {
        /// Its name.
        name: &'static str,
        /// The most that is taken.
        most: usize,
    },
    /// A request has an identifier that was not kept back.
    #[error("message {msg_id} was not reserved")]
    NotReserved {
        /// The identifier.
        msg_id: MsgId,
    },
    /// A message cannot be what the host had opened.
    #[error("message {msg_id} cannot have been opened: {error}")]
    NotOpened {
        /// The message.
        msg_id: MsgId,
        /// What is wrong with it.
        error: EnvelopeError,
    },
    /// A word that names nothing.
    #[error("unknown outcome '{word}'")]
    UnknownOutcome {
        /// The word.
        word: String,
    },
}

/// What came of a call that was made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// Its outcome, as a recording writes it.
    pub outcome: String,
    /// What the session reported meanwhile. Bodies are left out.
    pub events: Vec<Event>,
}

impl Played {
    /// Whether the session refused what came in.
    pub fn is_refusal(&self) -> bool {
        self.outcome.starts_with(outcome::REFUSED)
    }
}

/// A session that does again what another one did.
pub struct Player {
    session: Session,
    stage: Arc<Stage>,
    auth_key: AuthKey,
    reserved: BTreeMap<MsgId, Reserved>,
}

/// Catches what the session's own recorder writes about the call.
#[derive(Default)]
struct Stage(Mutex<Option<Played>>);

impl Observer for Stage {
    fn record(&self, record: &Record) {
        if let Event::CoreDone { outcome, events, .. } = &record.event {
            let played = Played { outcome: outcome.clone(), events: events.clone() };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(played);
        }
    }

    fn wants(&self, layer: Layer) -> bool {
        layer == Layer::Core
    }
}

impl Stage {
    /// A poll that brought nothing is not written.
    fn take(&self) -> Played {
        let played = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        played.unwrap_or_else(|| Played { outcome: "nothing".to_owned(), events: Vec::new() })
    }
}

impl Player {
    /// Begins the session.
    ///
    /// # Errors
    ///
    /// [`PlayError`]: the call is no beginning, or its arguments are wrong.
    pub fn begin(name: SessionName, now: Now, call: &Call) -> Result<(Self, Played), PlayError> {
        let stage = Arc::<Stage>::default();
        let tracer = Tracer::new(stage.clone());
        let session_id = name.session_id;
        let (session, auth_key) = match call {
            Call::BeginClient { auth_key, salts, time_offset, rng_seed, ping, limits } if !name.server => {
                let auth_key = key(auth_key, name)?;
                let params = ClientParams {
                    salts: salts_of(salts),
                    time_offset: *time_offset,
                    tracer,
                    ping: settings::ping(ping)?,
                    limits: settings::bearable_limits(limits)?,
                    ..ClientParams::new(auth_key.clone(), session_id, seed(rng_seed)?)
                };
                (Session::client(params, now), auth_key)
            }
            Call::BeginServer { auth_key, salts, rng_seed, limits } if name.server => {
                let auth_key = key(auth_key, name)?;
                let params = ServerParams {
                    tracer,
                    limits: settings::bearable_limits(limits)?,
                    ..ServerParams::new(auth_key.clone(), session_id, salts_of(salts), seed(rng_seed)?)
                };
                (Session::server(params, now), auth_key)
            }
            _ => return Err(PlayError::NoBeginning),
        };
        let played = stage.take();
        Ok((Self { session, stage, auth_key, reserved: BTreeMap::new() }, played))
    }

    /// Makes one call.
    ///
    /// # Errors
    ///
    /// [`PlayError`]: it cannot be made. What a session thinks of a call that can be made is no error but its outcome.
    pub fn play(&mut self, now: Now, call: &Call) -> Result<Played, PlayError> {
        self.call(now, call)?;
        Ok(self.stage.take())
    }

    fn call(&mut self, now: Now, call: &Call) -> Result<(), PlayError> {
        let session = &mut self.session;
        // What a call returns is in its record.
        match call {
            Call::BeginClient { .. } | Call::BeginServer { .. } => return Err(PlayError::BegunBefore),
            Call::Input { frame } => {
                let _ = session.handle_input(now, BytesMut::from(&frame[..]));
            }
            Call::Opened { salt, session_id, msg_id, seq_no, body } => {
                let header = Header { salt: *salt, session_id: *session_id, msg_id: *msg_id, seq_no: *seq_no };
                let opened = reopened(&self.auth_key, &header, body)?;
                let _ = session.handle_opened(now, opened);
            }
            Call::Timeout {} => session.handle_timeout(now),
            Call::QuickAck { token } => {
                let _ = session.handle_quick_ack(*token);
            }
            Call::ConnectionLost {} => session.connection_lost(now),
            Call::ConnectionOpened {} => session.connection_opened(now),
            Call::FlushAcks {} => session.flush_acks(),
            Call::Request { body, method, compress, alone, quick_ack, after } => {
                let options = RequestOptions { method: *method, compress: *compress, alone: *alone, quick_ack: *quick_ack };
                let after: Vec<RequestId> = after.iter().map(|id| RequestId(*id)).collect();
                let _ = session.request_after(now, body.clone(), options, &after);
            }
            Call::Reserve {} => {
                if let Ok(reserved) = session.reserve(now) {
                    self.reserved.insert(reserved.msg_id(), reserved);
                    if self.reserved.len() > MOST_RESERVED {
                        self.reserved.pop_first();
                    }
                }
            }
            Call::RequestReserved { msg_id, body, method, alone, quick_ack } => {
                let options = RequestOptions { method: *method, compress: false, alone: *alone, quick_ack: *quick_ack };
                let reserved = self.reserved.remove(msg_id).ok_or(PlayError::NotReserved { msg_id: *msg_id })?;
                let _ = session.request_reserved(now, &reserved, body.clone(), options);
            }
            Call::Cancel { request } => {
                let _ = session.cancel(now, RequestId(*request));
            }
            Call::DestroySession { session_id } => {
                let _ = session.destroy_session(*session_id);
            }
            Call::DestroyAuthKey {} => {
                let _ = session.destroy_auth_key();
            }
            Call::Respond { req, result, compress } => {
                let _ = session.respond(now, *req, result.clone(), *compress);
            }
            Call::Push { body } => {
                let _ = session.push(now, body.clone());
            }
            Call::SessionDestroyed { session_id, existed } => {
                let _ = session.session_destroyed(*session_id, *existed);
            }
            Call::Ping {} => {
                let _ = session.ping();
            }
            Call::AuthKeyDestroyed { msg_id, outcome } => {
                let all = [KeyDestruction::Destroyed, KeyDestruction::Unknown, KeyDestruction::Failed];
                let found = all.into_iter().find(|known| outcome::destruction(*known) == outcome);
                let found = found.ok_or_else(|| PlayError::UnknownOutcome { word: outcome.to_string() })?;
                let _ = session.auth_key_destroyed(*msg_id, found);
            }
            Call::SetSalts { salts } => {
                let _ = session.set_salts(salts_of(salts));
            }
            Call::PollOutput {} => {
                let _ = session.poll_output(now);
            }
            Call::PollHttpRequest { max_delay, wait_after, max_wait, listen } => {
                let wait = HttpWait { max_delay: *max_delay, wait_after: *wait_after, max_wait: *max_wait };
                let _ = session.poll_http_request(now, &wait, *listen);
            }
            Call::PollHttpResponse {} => {
                let _ = session.poll_http_response(now);
            }
            Call::TakeHttpWait {} => {
                let _ = session.take_http_wait();
            }
            Call::PollEvent {} => {
                let _ = session.poll_event();
            }
        }
        Ok(())
    }
}

fn key(bytes: &[u8], name: SessionName) -> Result<AuthKey, PlayError> {
    let key = AuthKey::try_from_slice(bytes)?;
    if key.id() != name.auth_key_id {
        return Err(PlayError::OtherKey { found: key.id(), expected: name.auth_key_id });
    }
    Ok(key)
}

fn seed(bytes: &[u8]) -> Result<Seed, PlayError> {
    <[u8; 32]>::try_from(bytes).map(Seed).map_err(|_| PlayError::SeedLength { found: bytes.len() })
}

fn salts_of(spans: &[SaltSpan]) -> Vec<FutureSalt> {
    spans.iter().map(|SaltSpan { since, until, salt }| FutureSalt { since: *since, until: *until, salt: *salt }).collect()
}

/// There is no way to an opened message but to open one.
fn reopened(key: &AuthKey, header: &Header, body: &[u8]) -> Result<Opened, PlayError> {
    let mut rng = StdRng::from_seed([0; 32]);
    let msg_id = header.msg_id;
    if !body.len().is_multiple_of(4) {
        let error = EnvelopeError::LengthNotDivisibleByFour { len: i32::try_from(body.len()).unwrap_or(i32::MAX) };
        return Err(PlayError::NotOpened { msg_id, error });
    }
    let sealed = envelope::seal(key, Side::Client, header, &[body], &mut rng);
    envelope::open(key, Side::Client, sealed).map_err(|error| PlayError::NotOpened { msg_id, error })
}
