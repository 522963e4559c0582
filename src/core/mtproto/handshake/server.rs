//! The server's side of the key exchange.
//!
//! Each state's `handle` takes the body of the client's message and gives the next state and the body to send. [`ServerHandshake`]
//! does the same with whole frames, answers a repeated request as it did the first time, and reports each step to a tracer.
//!
//! What a stranger can make a server hold is one state and one answer, some two kilobytes; what he can make it compute is bounded
//! by [`MAX_STARTS`](self) beginnings and [`MAX_RETRIES`] retries a connection.

use std::sync::Arc;

use bytes::Bytes;
use rand::Rng;
use zeroize::Zeroizing;

use crate::{
    check::{Check, broken},
    clock::Now,
    crypto::{
        AuthKey, constant_time_eq,
        dh::{DhError, Group, KNOWN_PRIME},
        hash::{sha1, sha256},
        kdf::{self, AesKeyIv},
        pq,
        rsa::PrivateKey,
    },
    ids::{DcId, Salt},
    mtproto::plain,
    tl::{
        Deserialize, Identifiable, Reader, Serialize,
        mtproto::{enums, functions, types},
    },
    trace::{Event, Tracer},
};

use super::{
    KeyKind, MAX_RETRIES, Mode, NewNonce, Nonces, NoncesMatched, PlainMsgIds, Verdict, decode, draw_secret,
    error::{Error, InvalidMessage, Message, PeerIncompatible, PeerMisbehaved, Refused},
    minimal, sealed,
    watch::Watch,
};

/// How often one connection may begin an exchange. A client that lost its thread begins anew; nobody does so sixteen times.
const MAX_STARTS: u32 = 16;

/// What a server needs to make keys. Cheap to clone: one for each connection.
#[derive(Clone)]
pub struct Config {
    keys: Arc<[PrivateKey]>,
    group: Arc<Group>,
    dc: DcId,
    legacy_rsa: bool,
    /// Who hears of each step.
    pub tracer: Tracer,
}

impl Config {
    /// A server of data centre `dc` with the given RSA keys, which are offered in this order, and the group that the public servers
    /// use: the known prime with generator 3.
    pub fn new(keys: impl Into<Arc<[PrivateKey]>>, dc: DcId) -> Self {
        Self { keys: keys.into(), group: Arc::new(Group::known()), dc, legacy_rsa: false, tracer: Tracer::off() }
    }

    /// The same with another generator of the known prime's group, 2 to 7.
    ///
    /// # Errors
    ///
    /// The number does not generate the subgroup of prime order.
    pub fn with_generator(mut self, g: i32) -> Result<Self, DhError> {
        self.group = Arc::new(Group::check(g, &KNOWN_PRIME)?);
        Ok(self)
    }

    /// The same, for clients of before 2021 too: they encrypt the data with its SHA-1 and random bytes in place of RSA_PAD. Telethon 1
    /// does so to this day, and the public servers accept it.
    #[must_use]
    pub fn with_legacy_rsa(mut self, accept: bool) -> Self {
        self.legacy_rsa = accept;
        self
    }

    /// The same with somebody listening.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    /// Whether a client that names data centre `found` is at the right place. Older clients name none. A media-only connection, whose
    /// number is negative, leads to the same data centre.
    fn accepts(&self, found: DcId) -> bool {
        found.0.unsigned_abs() == self.dc.0.unsigned_abs()
    }
}

/// A key that both sides have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Established {
    /// The key.
    pub auth_key: AuthKey,
    /// The first server salt.
    pub salt: Salt,
    /// How long the client wants the key to last.
    pub kind: KeyKind,
    /// The data centre that the client means to talk to: negative for media-only use. `None` if it did not say.
    pub dc: Option<DcId>,
}

/// Starts to wait for a client.
pub fn start(config: &Config) -> ExpectReqPq {
    ExpectReqPq { config: config.clone() }
}

/// `req_pq_multi` is to come.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectReqPq {
    config: Config,
}

impl ExpectReqPq {
    /// Takes `req_pq_multi`, or `req_pq` from old clients; gives the body of `resPQ`.
    ///
    /// # Errors
    ///
    /// The body is neither of the two.
    pub fn handle(self, body: Bytes, rng: &mut dyn Rng) -> Result<(ExpectReqDhParams, Bytes), Error> {
        let nonce = match id_of(&body) {
            Some(functions::ReqPq::ID) => decode::<functions::ReqPq>(Message::ReqPq, body)?.nonce,
            _ => decode::<functions::ReqPqMulti>(Message::ReqPq, body)?.nonce,
        };
        let mut server_nonce = [0; 16];
        rng.fill_bytes(&mut server_nonce);
        let (pq, p, q) = pq::random_pq(rng);
        // Always eight bytes: some clients take no other length.
        let pq = Bytes::copy_from_slice(&pq.to_be_bytes());
        let answer = types::ResPq {
            nonce,
            server_nonce,
            pq: pq.clone(),
            server_public_key_fingerprints: self.config.keys.iter().map(|key| key.public().fingerprint()).collect(),
        };
        let answer = enums::ResPq::from(answer).to_bytes();
        let nonces = Nonces { nonce, server_nonce };
        Ok((ExpectReqDhParams { config: self.config, nonces, pq, p: minimal(p), q: minimal(q) }, answer))
    }
}

/// `resPQ` was sent; `req_DH_params` is to come.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectReqDhParams {
    config: Config,
    nonces: Nonces,
    pq: Bytes,
    p: Bytes,
    q: Bytes,
}

/// What a client wants, from the RSA block. Its form says what kind of key, and where.
#[cfg_attr(test, derive(Clone))]
struct Wanted {
    new_nonce: NewNonce,
    mode: Mode,
    dc: Option<DcId>,
    _matched: NoncesMatched,
}

impl ExpectReqDhParams {
    /// Takes `req_DH_params`; gives the body of `server_DH_params_ok`.
    ///
    /// # Errors
    ///
    /// Nonces, factors or a `pq` that are not of this exchange, outside or inside the RSA block; a key that is not ours; a block that
    /// is not what RSA_PAD makes; another data centre; a lifetime that is none.
    pub fn handle(self, body: Bytes, now: Now, rng: &mut dyn Rng) -> Result<(ExpectSetClientDhParams, Bytes), Error> {
        let request: functions::ReqDhParams = decode(Message::ReqDhParams, body)?;
        self.nonces.check(Message::ReqDhParams, request.nonce, request.server_nonce, &Watch::off())?;
        if broken(Check::FactorP, request.p != self.p) || broken(Check::FactorQ, request.q != self.q) {
            return Err(PeerMisbehaved::FactorsMismatch.into());
        }
        let wanted = self.open_rsa_block(request.public_key_fingerprint, &request.encrypted_data)?;

        let group = &self.config.group;
        let (secret, g_a) = draw_secret(group, rng);
        let Nonces { nonce, server_nonce } = self.nonces;
        let inner = types::ServerDhInnerData {
            nonce,
            server_nonce,
            g: group.g(),
            dh_prime: Bytes::copy_from_slice(group.prime()),
            g_a: Bytes::copy_from_slice(g_a.as_bytes()),
            server_time: i32::try_from(now.unix()).unwrap_or(i32::MAX),
        };
        let cipher = kdf::tmp_aes(&server_nonce, &wanted.new_nonce.0);
        let encrypted_answer = sealed::seal(&cipher, &enums::ServerDhInnerData::from(inner).to_bytes(), rng);
        let answer = types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer };
        let answer = enums::ServerDhParams::from(answer).to_bytes();

        let kind = wanted.mode.kind(now.unix());
        let (nonces, config) = (self.nonces, self.config);
        Ok((ExpectSetClientDhParams { config, nonces, wanted, kind, cipher, secret, retry_id: 0, retries: 0 }, answer))
    }

    fn open_rsa_block(&self, fingerprint: i64, encrypted: &[u8]) -> Result<Wanted, Error> {
        let key = self.config.keys.iter().find(|key| !broken(Check::ServerKeyKnown, key.public().fingerprint() != fingerprint));
        let key = key.ok_or(PeerIncompatible::UnknownFingerprint { found: fingerprint })?;
        let block = <&[u8; 256]>::try_from(encrypted).map_err(|_| PeerMisbehaved::RsaBlockLength { len: encrypted.len() })?;
        let (content, legacy_hash) = match key.decrypt_pad(block) {
            Ok(content) => (Bytes::copy_from_slice(&content[..]), None),
            Err(_) if self.config.legacy_rsa => {
                let legacy = key.decrypt_legacy(block).map_err(|_| PeerMisbehaved::RsaPadInvalid)?;
                (Bytes::copy_from_slice(&legacy.content[..]), Some(legacy.hash))
            }
            Err(_) => return Err(PeerMisbehaved::RsaPadInvalid.into()),
        };

        // The block has a fixed size: what follows the object is padding.
        let message = Message::PqInnerData;
        let mut reader = Reader::new(content.clone());
        let inner = enums::PQInnerData::deserialize(&mut reader)
            .map_err(|error| InvalidMessage::Decode { expected: message, error })?;
        // Only now is it known where the data ends, which the hash is of. Nothing was taken out of it yet.
        let data = content.get(..reader.position()).unwrap_or_default();
        if broken(Check::LegacyRsaHash, legacy_hash.is_some_and(|hash| !constant_time_eq(&hash, &sha1(&[data])))) {
            return Err(PeerMisbehaved::LegacyRsaHashMismatch.into());
        }
        let (pq, p, q, nonces, new_nonce, mode, dc) = match inner {
            enums::PQInnerData::Data(it) => {
                (it.pq, it.p, it.q, (it.nonce, it.server_nonce), it.new_nonce, Mode::Permanent, None)
            }
            enums::PQInnerData::Dc(it) => {
                (it.pq, it.p, it.q, (it.nonce, it.server_nonce), it.new_nonce, Mode::Permanent, Some(DcId(it.dc)))
            }
            enums::PQInnerData::Temp(it) => {
                let mode = Mode::Temporary { expires_in: it.expires_in };
                (it.pq, it.p, it.q, (it.nonce, it.server_nonce), it.new_nonce, mode, None)
            }
            enums::PQInnerData::TempDc(it) => {
                let mode = Mode::Temporary { expires_in: it.expires_in };
                (it.pq, it.p, it.q, (it.nonce, it.server_nonce), it.new_nonce, mode, Some(DcId(it.dc)))
            }
        };
        let new_nonce = NewNonce(Zeroizing::new(new_nonce));
        let matched = self.nonces.check(message, nonces.0, nonces.1, &Watch::off())?;
        if broken(Check::InnerPq, pq != self.pq) {
            return Err(PeerMisbehaved::InnerPqMismatch.into());
        }
        if broken(Check::InnerFactorP, p != self.p) || broken(Check::InnerFactorQ, q != self.q) {
            return Err(PeerMisbehaved::InnerFactorsMismatch.into());
        }
        if let Some(found) = dc.filter(|dc| broken(Check::RightDc, !self.config.accepts(*dc))) {
            return Err(PeerIncompatible::WrongDc { found, expected: self.config.dc }.into());
        }
        if let Mode::Temporary { expires_in: found } = mode
            && broken(Check::LifetimePositive, found <= 0)
        {
            return Err(PeerMisbehaved::ExpiresInNotPositive { found }.into());
        }
        Ok(Wanted { new_nonce, mode, dc, _matched: matched })
    }
}

/// `server_DH_params_ok` was sent, or `dh_gen_retry`; `set_client_DH_params` is to come.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectSetClientDhParams {
    config: Config,
    nonces: Nonces,
    wanted: Wanted,
    kind: KeyKind,
    cipher: AesKeyIv,
    secret: Zeroizing<[u8; 256]>,
    retry_id: i64,
    retries: u8,
}

/// The least that `client_DH_inner_data` takes: the fixed fields and an empty number.
const MIN_CLIENT_INNER: usize = 4 + 16 + 16 + 8 + 4;

/// What a server does about a client's half of the exchange. Each comes with the body to send.
pub enum Outcome {
    /// Both sides have the key: `dh_gen_ok`.
    Done(Established, Bytes),
    /// There is another key of that identifier: `dh_gen_retry`.
    Retry(Box<ExpectSetClientDhParams>, Bytes),
    /// And again and again: `dh_gen_fail`. The exchange is over.
    Fail(Bytes),
}

impl ExpectSetClientDhParams {
    /// Takes `set_client_DH_params`; gives the body of `dh_gen_ok`, `dh_gen_retry` or `dh_gen_fail`.
    ///
    /// `is_taken` says whether there is another key of that identifier already.
    ///
    /// # Errors
    ///
    /// Nonces that are not of this exchange, an encrypted part that does not prove that the client knows the new nonce, a wrong
    /// `retry_id`, a `g_b` that is not safe.
    pub fn handle(mut self, body: Bytes, is_taken: &mut dyn FnMut(i64) -> bool) -> Result<Outcome, Error> {
        let request: functions::SetClientDhParams = decode(Message::SetClientDhParams, body)?;
        self.nonces.check(Message::SetClientDhParams, request.nonce, request.server_nonce, &Watch::off())?;
        let message = Message::ClientDhInnerData;
        let (inner, _authentic) =
            sealed::open(&self.cipher, &request.encrypted_data, message, MIN_CLIENT_INNER, &Watch::off())?;
        let enums::ClientDhInnerData::Data(inner) = inner;
        self.nonces.check(message, inner.nonce, inner.server_nonce, &Watch::off())?;
        if broken(Check::RetryId, inner.retry_id != self.retry_id) {
            return Err(PeerMisbehaved::RetryIdMismatch { found: inner.retry_id, expected: self.retry_id }.into());
        }
        let group = &self.config.group;
        let g_b = group.check_public(&inner.g_b).map_err(|error| PeerMisbehaved::BadPublicValue { name: "g_b", error })?;
        let auth_key = group.shared(&g_b, &self.secret);

        // A key whose identifier is 0 would make every message of its owner look unencrypted.
        let taken = auth_key.id() == 0 || broken(Check::KeyIdFree, is_taken(auth_key.id()));
        let verdict = match taken {
            false => Verdict::Ok,
            true if self.retries < MAX_RETRIES => Verdict::Retry,
            true => Verdict::Fail,
        };
        let Nonces { nonce, server_nonce } = self.nonces;
        let hash = self.wanted.new_nonce.hash(verdict, &auth_key);
        let answer: enums::SetClientDhParamsAnswer = match verdict {
            Verdict::Ok => types::DhGenOk { nonce, server_nonce, new_nonce_hash1: hash }.into(),
            Verdict::Retry => types::DhGenRetry { nonce, server_nonce, new_nonce_hash2: hash }.into(),
            Verdict::Fail => types::DhGenFail { nonce, server_nonce, new_nonce_hash3: hash }.into(),
        };
        let answer = answer.to_bytes();
        Ok(match verdict {
            Verdict::Ok => {
                let salt = self.wanted.new_nonce.first_salt(&server_nonce);
                Outcome::Done(Established { auth_key, salt, kind: self.kind, dc: self.wanted.dc }, answer)
            }
            Verdict::Retry => {
                self.retry_id = auth_key.aux_hash();
                self.retries += 1;
                Outcome::Retry(Box::new(self), answer)
            }
            Verdict::Fail => Outcome::Fail(answer),
        })
    }
}

fn id_of(body: &[u8]) -> Option<u32> {
    body.first_chunk::<4>().map(|id| u32::from_le_bytes(*id))
}

/// The server's side with whole frames: give it what the client sends, send what it says.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ServerHandshake {
    config: Config,
    state: State,
    ids: PlainMsgIds,
    starts: u32,
    /// The last request's hash and our answer: a client that did not hear it asks again, and must hear the same.
    last: Option<([u8; 32], Bytes)>,
}

#[cfg_attr(test, derive(Clone))]
enum State {
    ReqPq(ExpectReqPq),
    ReqDhParams(ExpectReqDhParams),
    SetClientDhParams(Box<ExpectSetClientDhParams>),
}

/// What follows from a frame.
pub enum Step {
    /// Send this frame and wait for the next one.
    Send(ServerHandshake, Bytes),
    /// Send nothing and wait for the next frame: some clients acknowledge even here.
    Wait(ServerHandshake),
    /// Send this frame; both sides have the key.
    Done(Established, Bytes),
    /// Send this frame; the exchange is over without a key.
    Failed(Error, Bytes),
}

impl ServerHandshake {
    /// Starts to wait for a client.
    pub fn new(config: &Config) -> Self {
        let state = State::ReqPq(start(config));
        Self { config: config.clone(), state, ids: PlainMsgIds::server(), starts: 0, last: None }
    }

    /// Takes a frame from the client. `is_taken` says whether there is another key of that identifier already.
    ///
    /// # Errors
    ///
    /// See [`Error`]. The exchange is over then; the client is told by [`Error::transport_code`] and no more.
    pub fn handle_frame(
        self,
        frame: Bytes,
        now: Now,
        rng: &mut dyn Rng,
        is_taken: &mut dyn FnMut(i64) -> bool,
    ) -> Result<Step, Error> {
        let tracer = self.config.tracer.clone();
        let failed = |error: &Error| Event::CheckFailed { rule: error.rule().into(), detail: error.to_string() };
        let done = plain::decode(frame)
            .map_err(|error| InvalidMessage::from(error).into())
            .and_then(|(_, body)| self.handle_body(body, now, rng, is_taken));
        match &done {
            Ok(Step::Done(established, _)) => {
                tracer.emit(now, || Event::AuthKeyReady { id: established.auth_key.id(), fresh: true });
            }
            Ok(Step::Failed(error, _)) | Err(error) => tracer.emit(now, || failed(error)),
            Ok(Step::Send(..) | Step::Wait(_)) => {}
        }
        done
    }

    fn handle_body(
        mut self,
        body: Bytes,
        now: Now,
        rng: &mut dyn Rng,
        is_taken: &mut dyn FnMut(i64) -> bool,
    ) -> Result<Step, Error> {
        if id_of(&body) == Some(types::MsgsAck::ID) {
            return Ok(Step::Wait(self));
        }
        let request = sha256(&[&body]);
        if let Some((last, answer)) = &self.last
            && *last == request
        {
            let frame = plain::encode(self.ids.next(now), answer);
            return Ok(Step::Send(self, frame));
        }
        let begins = matches!(id_of(&body), Some(functions::ReqPqMulti::ID | functions::ReqPq::ID));
        if begins {
            self.starts += 1;
            if broken(Check::RestartsEnd, self.starts > MAX_STARTS) {
                return Err(PeerMisbehaved::TooManyRestarts { count: self.starts }.into());
            }
            self.state = State::ReqPq(start(&self.config));
        }
        let tracer = &self.config.tracer;
        let trace = |name: &'static str, detail: &dyn Fn() -> String| {
            tracer.emit(now, || Event::HandshakeStep { name: name.into(), detail: detail() });
        };

        let (state, answer) = match self.state {
            State::ReqPq(state) => {
                let (next, answer) = state.handle(body, rng)?;
                trace("req_pq_multi", &String::new);
                trace("resPQ", &|| format!("nonce {:?}", super::Nonce(next.nonces.nonce)));
                (State::ReqDhParams(next), answer)
            }
            State::ReqDhParams(state) => {
                let (next, answer) = state.handle(body, now, rng)?;
                trace("req_DH_params", &|| format!("{:?}, {:?}", next.wanted.mode, next.wanted.dc));
                trace("server_DH_params_ok", &|| format!("g {}", next.config.group.g()));
                (State::SetClientDhParams(Box::new(next)), answer)
            }
            State::SetClientDhParams(state) => {
                let outcome = state.handle(body, is_taken)?;
                trace("set_client_DH_params", &String::new);
                match outcome {
                    Outcome::Done(established, answer) => {
                        trace("dh_gen_ok", &String::new);
                        return Ok(Step::Done(established, plain::encode(self.ids.next(now), &answer)));
                    }
                    Outcome::Fail(answer) => {
                        trace("dh_gen_fail", &String::new);
                        return Ok(Step::Failed(Refused::TooManyRetries.into(), plain::encode(self.ids.next(now), &answer)));
                    }
                    Outcome::Retry(next, answer) => {
                        trace("dh_gen_retry", &|| format!("retry {} of {MAX_RETRIES}", next.retries));
                        (State::SetClientDhParams(next), answer)
                    }
                }
            }
        };
        let frame = plain::encode(self.ids.next(now), &answer);
        Ok(Step::Send(Self { state, last: Some((request, answer)), ..self }, frame))
    }
}
