//! The client's side of the key exchange.
//!
//! Each state's `handle` takes the body of the server's message and gives the next state and the body to send. [`ClientHandshake`]
//! does the same with whole frames and reports each step to a tracer.

use bytes::Bytes;
use rand::Rng;
use zeroize::Zeroizing;

use crate::{
    check::{Check, broken},
    clock::Now,
    crypto::{
        self, AuthKey,
        dh::{self, Group, KNOWN_PRIME, PublicValue},
        kdf::{self, AesKeyIv},
        pq,
        rsa::PublicKey,
    },
    ids::{DcId, Salt},
    mtproto::plain,
    tl::{
        Serialize,
        mtproto::{enums, functions, types},
    },
    trace::{Event, Tracer},
};

use super::{
    KeyKind, MAX_RETRIES, Mode, NewNonce, Nonces, NoncesMatched, PlainMsgIds, Verdict, check_nonce, decode, draw_secret,
    error::{Error, InvalidMessage, Message, PeerIncompatible, PeerMisbehaved, Refused},
    minimal, sealed,
    watch::{Computed, Note, Secret, Watch},
};

/// What a client needs to know to make a key.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    /// The server keys that we trust, in order of preference.
    pub keys: &'a [PublicKey],
    /// The data centre we mean to talk to: the server refuses when it is of another kind. 10000 more for test data centres, negative
    /// for media-only ones.
    pub dc: DcId,
    /// The kind of key to make.
    pub mode: Mode,
    /// Who hears of each step.
    pub tracer: Tracer,
    /// Who sees each value and each check.
    pub watch: Watch,
}

impl<'a> Config<'a> {
    /// What is needed for a key, with nobody listening.
    pub fn new(keys: &'a [PublicKey], dc: DcId, mode: Mode) -> Self {
        Self { keys, dc, mode, tracer: Tracer::off(), watch: Watch::off() }
    }
}

/// A key that both sides have.
#[derive(Clone, Debug)]
pub struct Established {
    /// The key.
    pub auth_key: AuthKey,
    /// The first server salt.
    pub salt: Salt,
    /// The server's clock minus ours, in seconds.
    pub time_offset: i64,
    /// How long the key lasts.
    pub kind: KeyKind,
}

/// What to put into the RSA block.
#[derive(Clone, Copy)]
enum Inner {
    /// `p_q_inner_data_dc` or `p_q_inner_data_temp_dc`, as the mode says.
    Tagged(DcId),
    /// `p_q_inner_data`, as clients sent it before data centres were named: what the published exchanges have.
    #[cfg(test)]
    Untagged,
}

/// Starts an exchange: the first state, and the body of `req_pq_multi`.
pub fn start(config: &Config<'_>, rng: &mut dyn Rng) -> (ExpectResPq, Bytes) {
    start_with(config, Inner::Tagged(config.dc), rng)
}

/// [`start`] with the old form of the RSA block.
#[cfg(test)]
pub(super) fn start_untagged(config: &Config<'_>, rng: &mut dyn Rng) -> (ExpectResPq, Bytes) {
    start_with(config, Inner::Untagged, rng)
}

fn start_with(config: &Config<'_>, inner: Inner, rng: &mut dyn Rng) -> (ExpectResPq, Bytes) {
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    // The keys are copied so that no state borrows: a handful, once per exchange.
    let next = ExpectResPq { keys: config.keys.to_vec(), inner, mode: config.mode, nonce, watch: config.watch.clone() };
    (next, functions::ReqPqMulti { nonce }.to_bytes())
}

/// `req_pq_multi` was sent; `resPQ` is to come.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectResPq {
    keys: Vec<PublicKey>,
    inner: Inner,
    mode: Mode,
    nonce: [u8; 16],
    watch: Watch,
}

impl ExpectResPq {
    /// Takes `resPQ`; gives the body of `req_DH_params`.
    ///
    /// Factoring `pq` takes milliseconds.
    ///
    /// # Errors
    ///
    /// The nonce is not ours, `pq` is not what it has to be, or the server offers no key that we know.
    pub fn handle(self, body: Bytes, rng: &mut dyn Rng) -> Result<(ExpectServerDhParams, Bytes), Error> {
        let enums::ResPq::Pq(answer) = decode(Message::ResPq, body)?;
        let watch = &self.watch;
        check_nonce(Message::ResPq, answer.nonce, self.nonce, watch)?;
        let nonces = Nonces { nonce: self.nonce, server_nonce: answer.server_nonce };

        let pq = read_pq(&answer.pq, watch)?;
        let factors = pq::factorize(pq);
        if let Some((p, q)) = factors {
            watch.computed(|| Computed::Factors { pq, p, q });
        }
        // The check itself is in the factoring.
        watch.note(|| Note::Checked { check: Check::PqFactorsPrime, holds: factors.is_some() });
        let (p, q) = match factors {
            Some((p, q)) if !watch.broken(Check::PqOdd, p % 2 == 0) => (p, q),
            Some(_) | None => return Err(PeerMisbehaved::PqNotTwoOddPrimes { pq }.into()),
        };

        let offered = answer.server_public_key_fingerprints;
        let known = self.keys.iter().find(|key| !broken(Check::KeyOffered, !offered.contains(&key.fingerprint())));
        watch.note(|| Note::Checked { check: Check::KeyOffered, holds: known.is_some() });
        let Some(key) = known else { return Err(PeerIncompatible::NoCommonKey { offered }.into()) };
        watch.computed(|| Computed::ServerKey { fingerprint: key.fingerprint() });

        let mut new_nonce = NewNonce(Zeroizing::new([0; 32]));
        rng.fill_bytes(&mut new_nonce.0[..]);
        watch.computed(|| Computed::NewNonce(Secret::new(&new_nonce.0[..])));

        let (p, q) = (minimal(p), minimal(q));
        let inner = Zeroizing::new(self.inner_data(&nonces, &answer.pq, &p, &q, &new_nonce));
        watch.note(|| Note::Inside { message: Message::PqInnerData, body: Secret::new(&inner) });
        let encrypted = key.encrypt_pad(&inner, rng).expect("p_q_inner_data has at most 112 bytes of the 144 that fit");
        watch.computed(|| Computed::RsaPad { data: inner.len(), encrypted: encrypted.len() });
        let request = functions::ReqDhParams {
            nonce: nonces.nonce,
            server_nonce: nonces.server_nonce,
            p,
            q,
            public_key_fingerprint: key.fingerprint(),
            encrypted_data: Bytes::copy_from_slice(&encrypted),
        };
        let fingerprint = key.fingerprint();
        let next = ExpectServerDhParams { nonces, new_nonce, mode: self.mode, pq, fingerprint, watch: self.watch };
        Ok((next, request.to_bytes()))
    }

    /// `pq` is sent back as it came, leading zeros and all: it names the number that the server remembers.
    pub(super) fn inner_data(&self, nonces: &Nonces, pq: &Bytes, p: &Bytes, q: &Bytes, new_nonce: &NewNonce) -> Vec<u8> {
        let Nonces { nonce, server_nonce } = *nonces;
        let (pq, p, q, new_nonce) = (pq.clone(), p.clone(), q.clone(), *new_nonce.0);
        let mut out = Vec::with_capacity(128);
        let inner: enums::PQInnerData = match (self.inner, self.mode) {
            (Inner::Tagged(DcId(dc)), Mode::Permanent) => {
                types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc }.into()
            }
            (Inner::Tagged(DcId(dc)), Mode::Temporary { expires_in }) => {
                types::PQInnerDataTempDc { pq, p, q, nonce, server_nonce, new_nonce, dc, expires_in }.into()
            }
            #[cfg(test)]
            (Inner::Untagged, Mode::Permanent) => types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }.into(),
            #[cfg(test)]
            (Inner::Untagged, Mode::Temporary { expires_in }) => {
                types::PQInnerDataTemp { pq, p, q, nonce, server_nonce, new_nonce, expires_in }.into()
            }
        };
        inner.serialize(&mut out);
        out
    }
}

/// `pq` as a number. Leading zeros do not change it.
fn read_pq(bytes: &[u8], watch: &Watch) -> Result<u64, PeerMisbehaved> {
    let len = bytes.len();
    if watch.broken(Check::PqLength, len > 8) {
        return Err(PeerMisbehaved::PqTooLong { len });
    }
    let pq = bytes.iter().fold(0, |pq, byte| pq << 8 | u64::from(*byte));
    if watch.broken(Check::PqSize, pq > i64::MAX.cast_unsigned()) {
        return Err(PeerMisbehaved::PqTooLarge { pq });
    }
    Ok(pq)
}

/// `req_DH_params` was sent; `server_DH_params_ok` is to come, or `server_DH_params_fail`.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectServerDhParams {
    nonces: Nonces,
    new_nonce: NewNonce,
    mode: Mode,
    pq: u64,
    fingerprint: i64,
    watch: Watch,
}

/// The least that `server_DH_inner_data` takes: the fixed fields and two empty numbers.
const MIN_SERVER_INNER: usize = 4 + 16 + 16 + 4 + 4 + 4 + 4;

impl ExpectServerDhParams {
    /// The number that the server had us factor.
    pub fn pq(&self) -> u64 {
        self.pq
    }

    /// The fingerprint of the server key that was chosen.
    pub fn fingerprint(&self) -> i64 {
        self.fingerprint
    }

    /// Takes the server's half of the Diffie–Hellman exchange; gives the body of `set_client_DH_params`.
    ///
    /// # Errors
    ///
    /// Nonces that are not of this exchange, an encrypted part that does not prove that the server knows the new nonce, a group or a
    /// `g_a` that is not safe; or the server's refusal, if it proves to be the server's.
    pub fn handle(self, body: Bytes, now: Now, rng: &mut dyn Rng) -> Result<(ExpectDhGen, Bytes), Error> {
        let watch = &self.watch;
        let answer = match decode(Message::ServerDhParams, body)? {
            enums::ServerDhParams::Ok(answer) => answer,
            enums::ServerDhParams::Fail(fail) => {
                self.nonces.check(Message::ServerDhParams, fail.nonce, fail.server_nonce, watch)?;
                let proven = crypto::constant_time_eq(&fail.new_nonce_hash, &self.new_nonce.plain_hash());
                return Err(match watch.broken(Check::DhParamsFailHash, !proven) {
                    false => Refused::DhParams.into(),
                    true => PeerMisbehaved::DhParamsFailHashMismatch.into(),
                });
            }
        };
        self.nonces.check(Message::ServerDhParams, answer.nonce, answer.server_nonce, watch)?;

        let cipher = kdf::tmp_aes(&self.nonces.server_nonce, &self.new_nonce.0);
        watch.computed(|| Computed::TmpAes { key: Secret::new(&cipher.key), iv: Secret::new(&cipher.iv) });
        let message = Message::ServerDhInnerData;
        let (inner, authentic) = sealed::open(&cipher, &answer.encrypted_answer, message, MIN_SERVER_INNER, watch)?;
        let enums::ServerDhInnerData::Data(inner) = inner;
        let matched = self.nonces.check(message, inner.nonce, inner.server_nonce, watch)?;
        watch.computed(|| Computed::Prime { known: inner.dh_prime[..] == KNOWN_PRIME });
        let mut each = |check, holds| watch.note(|| Note::Checked { check, holds });
        let group = Group::check_telling(inner.g, &inner.dh_prime, &mut each).map_err(PeerMisbehaved::BadGroup)?;
        let bad_g_a = |error| PeerMisbehaved::BadPublicValue { name: "g_a", error };
        let g_a = group.check_public_telling(&inner.g_a, &mut each).map_err(bad_g_a)?;

        let server_time = i64::from(inner.server_time);
        watch.computed(|| Computed::Clock { server: server_time, offset: server_time.saturating_sub(now.unix()) });
        let exchange = Exchange {
            nonces: self.nonces,
            new_nonce: self.new_nonce,
            cipher,
            offer: Offer { group, g_a, _matched: matched, _authentic: authentic },
            time_offset: server_time.saturating_sub(now.unix()),
            kind: self.mode.kind(server_time),
            watch: self.watch,
        };
        Ok(ExpectDhGen::attempt(exchange.into(), 0, 0, rng))
    }
}

/// The server's half of the exchange, with the proofs that it may be used.
#[cfg_attr(test, derive(Clone))]
struct Offer {
    group: Group,
    g_a: PublicValue,
    _matched: NoncesMatched,
    _authentic: sealed::Authentic,
}

/// What stays the same from one attempt to the next.
#[cfg_attr(test, derive(Clone))]
struct Exchange {
    nonces: Nonces,
    new_nonce: NewNonce,
    cipher: AesKeyIv,
    offer: Offer,
    time_offset: i64,
    kind: KeyKind,
    watch: Watch,
}

/// `set_client_DH_params` was sent; `dh_gen_ok`, `dh_gen_retry` or `dh_gen_fail` is to come.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ExpectDhGen {
    exchange: Box<Exchange>,
    auth_key: AuthKey,
    retries: u8,
}

/// What the server's last word means.
#[derive(Debug)]
pub enum Outcome {
    /// Both sides have the key.
    Done(Established),
    /// The server has another key of that identifier: here is a new attempt, and the body to send for it.
    Retry(ExpectDhGen, Bytes),
}

impl std::fmt::Debug for ExpectDhGen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpectDhGen").field("auth_key", &self.auth_key).field("retries", &self.retries).finish_non_exhaustive()
    }
}

impl ExpectDhGen {
    /// One attempt: a new secret, our half of the exchange for it, and the key that results.
    fn attempt(exchange: Box<Exchange>, retry_id: i64, retries: u8, rng: &mut dyn Rng) -> (Self, Bytes) {
        let Exchange { nonces, cipher, offer, watch, .. } = &*exchange;
        let (secret, g_b) = draw_secret(&offer.group, rng);
        watch.computed(|| Computed::Exponent { b: Secret::new(&secret[..]), g_b: g_b.as_bytes() });
        let auth_key = offer.group.shared(&offer.g_a, &secret);
        watch.computed(|| Computed::AuthKey { key: Secret::new(auth_key.as_bytes()), id: auth_key.id() });

        let Nonces { nonce, server_nonce } = *nonces;
        let inner = types::ClientDhInnerData { nonce, server_nonce, retry_id, g_b: Bytes::copy_from_slice(g_b.as_bytes()) };
        let inner = enums::ClientDhInnerData::from(inner).to_bytes();
        watch.note(|| Note::Inside { message: Message::ClientDhInnerData, body: Secret::new(&inner) });
        let encrypted_data = sealed::seal(cipher, &inner, rng);
        let request = functions::SetClientDhParams { nonce, server_nonce, encrypted_data }.to_bytes();
        (Self { exchange, auth_key, retries }, request)
    }

    /// The group that the server chose.
    pub fn group(&self) -> &Group {
        &self.exchange.offer.group
    }

    /// The server's clock minus ours, in seconds.
    pub fn time_offset(&self) -> i64 {
        self.exchange.time_offset
    }

    /// Takes the server's last word.
    ///
    /// # Errors
    ///
    /// Nonces that are not of this exchange, a hash that does not prove that the server has the same key, a refusal, or one retry too
    /// many.
    pub fn handle(self, body: Bytes, rng: &mut dyn Rng) -> Result<Outcome, Error> {
        let (verdict, nonce, server_nonce, hash) = match decode(Message::DhGen, body)? {
            enums::SetClientDhParamsAnswer::DhGenOk(it) => (Verdict::Ok, it.nonce, it.server_nonce, it.new_nonce_hash1),
            enums::SetClientDhParamsAnswer::DhGenRetry(it) => (Verdict::Retry, it.nonce, it.server_nonce, it.new_nonce_hash2),
            enums::SetClientDhParamsAnswer::DhGenFail(it) => (Verdict::Fail, it.nonce, it.server_nonce, it.new_nonce_hash3),
        };
        let watch = &self.exchange.watch;
        self.exchange.nonces.check(Message::DhGen, nonce, server_nonce, watch)?;
        let expected = self.exchange.new_nonce.hash(verdict, &self.auth_key);
        let check = match verdict {
            Verdict::Ok => Check::NewNonceHash1,
            Verdict::Retry => Check::NewNonceHash2,
            Verdict::Fail => Check::NewNonceHash3,
        };
        let proven = !watch.broken(check, !crypto::constant_time_eq(&hash, &expected));
        match verdict {
            Verdict::Ok if proven => Ok(Outcome::Done(self.establish())),
            Verdict::Retry if proven && !watch.broken(Check::RetriesEnd, self.retries >= MAX_RETRIES) => {
                watch.computed(|| Computed::Retry { count: self.retries + 1 });
                let (next, body) = Self::attempt(self.exchange, self.auth_key.aux_hash(), self.retries + 1, rng);
                Ok(Outcome::Retry(next, body))
            }
            Verdict::Retry if proven => Err(Refused::TooManyRetries.into()),
            Verdict::Fail if proven => Err(Refused::DhGen.into()),
            Verdict::Ok => Err(PeerMisbehaved::NewNonceHash1Mismatch.into()),
            Verdict::Retry => Err(PeerMisbehaved::NewNonceHash2Mismatch.into()),
            Verdict::Fail => Err(PeerMisbehaved::NewNonceHash3Mismatch.into()),
        }
    }

    fn establish(self) -> Established {
        let Exchange { nonces, new_nonce, time_offset, kind, watch, .. } = *self.exchange;
        let Self { auth_key, .. } = self;
        let salt = new_nonce.first_salt(&nonces.server_nonce);
        let key_id = auth_key.id();
        watch.note(|| Note::Established { key_id, key: Secret::new(auth_key.as_bytes()), salt: &salt, kind });
        Established { auth_key, salt, time_offset, kind }
    }
}

/// The client's side with whole frames: give it what the server sends, send what it says.
#[must_use]
#[cfg_attr(test, derive(Clone))]
pub struct ClientHandshake {
    state: State,
    ids: PlainMsgIds,
    tracer: Tracer,
    watch: Watch,
}

#[cfg_attr(test, derive(Clone))]
enum State {
    ResPq(ExpectResPq),
    ServerDhParams(ExpectServerDhParams),
    DhGen(ExpectDhGen),
}

impl State {
    /// The server's message that is to come.
    const fn awaited(&self) -> Message {
        match self {
            Self::ResPq(_) => Message::ResPq,
            Self::ServerDhParams(_) => Message::ServerDhParams,
            Self::DhGen(_) => Message::DhGen,
        }
    }

    /// The message of ours that led here.
    const fn said(&self) -> Message {
        match self {
            Self::ResPq(_) => Message::ReqPq,
            Self::ServerDhParams(_) => Message::ReqDhParams,
            Self::DhGen(_) => Message::SetClientDhParams,
        }
    }
}

/// What follows from a frame.
pub enum Step {
    /// Send this frame and wait for the next one.
    Send(ClientHandshake, Bytes),
    /// The exchange is over.
    Done(Established),
}

impl ClientHandshake {
    /// Starts an exchange, and gives the first frame to send.
    pub fn new(config: &Config<'_>, now: Now, rng: &mut dyn Rng) -> (Self, Bytes) {
        let (next, body) = start(config, rng);
        let mut ids = PlainMsgIds::client();
        let frame = plain::encode(ids.next(now), &body);
        config.tracer.emit(now, || step("req_pq_multi", format!("for {}", config.dc)));
        config.watch.note(|| Note::Sent { message: Message::ReqPq, body: &body, frame: frame.len() });
        (Self { state: State::ResPq(next), ids, tracer: config.tracer.clone(), watch: config.watch.clone() }, frame)
    }

    /// Takes a frame from the server.
    ///
    /// # Errors
    ///
    /// See [`Error`]. The exchange is over then; a new one begins with [`ClientHandshake::new`].
    pub fn handle_frame(self, frame: Bytes, now: Now, rng: &mut dyn Rng) -> Result<Step, Error> {
        let Self { state, ids, tracer, watch } = self;
        let len = frame.len();
        let advanced = plain::decode(frame).map_err(|error| InvalidMessage::from(error).into()).and_then(|(_, body)| {
            watch.note(|| Note::Received { message: state.awaited(), body: &body, frame: len });
            Self::advance(state, body, now, rng, &tracer)
        });
        match advanced {
            Ok(Advance::Send(state, body)) => {
                let mut ids = ids;
                let frame = plain::encode(ids.next(now), &body);
                watch.note(|| Note::Sent { message: state.said(), body: &body, frame: frame.len() });
                Ok(Step::Send(Self { state, ids, tracer, watch }, frame))
            }
            Ok(Advance::Done(established)) => {
                tracer.emit(now, || Event::AuthKeyReady { id: established.auth_key.id(), fresh: true });
                Ok(Step::Done(established))
            }
            Err(error) => {
                tracer.emit(now, || Event::CheckFailed { rule: error.rule().into(), detail: error.to_string() });
                watch.note(|| Note::Failed(&error));
                Err(error)
            }
        }
    }

    fn advance(state: State, body: Bytes, now: Now, rng: &mut dyn Rng, tracer: &Tracer) -> Result<Advance, Error> {
        Ok(match state {
            State::ResPq(state) => {
                let (next, body) = state.handle(body, rng)?;
                tracer.emit(now, || step("resPQ", format!("pq {}, key {:#018x}", next.pq(), next.fingerprint())));
                tracer.emit(now, || computed("pq factored", next.pq().to_string()));
                tracer.emit(now, || step("req_DH_params", String::new()));
                Advance::Send(State::ServerDhParams(next), body)
            }
            State::ServerDhParams(state) => {
                let (next, body) = state.handle(body, now, rng)?;
                let detail = || format!("g {}, server clock {:+} s", next.group().g(), next.time_offset());
                tracer.emit(now, || step("server_DH_params_ok", detail()));
                tracer.emit(now, || {
                    computed("DH group checked", format!("g {}, prime of {} bits", next.group().g(), 8 * dh::LEN))
                });
                tracer.emit(now, || step("set_client_DH_params", String::new()));
                Advance::Send(State::DhGen(next), body)
            }
            State::DhGen(state) => match state.handle(body, rng)? {
                Outcome::Done(established) => {
                    tracer.emit(now, || step("dh_gen_ok", String::new()));
                    Advance::Done(established)
                }
                Outcome::Retry(next, body) => {
                    tracer.emit(now, || step("dh_gen_retry", format!("retry {} of {MAX_RETRIES}", next.retries)));
                    tracer.emit(now, || step("set_client_DH_params", String::new()));
                    Advance::Send(State::DhGen(next), body)
                }
            },
        })
    }
}

enum Advance {
    Send(State, Bytes),
    Done(Established),
}

fn computed(what: &'static str, detail: String) -> Event {
    Event::Computed { what: what.into(), detail }
}

fn step(name: &'static str, detail: String) -> Event {
    Event::HandshakeStep { name: name.into(), detail }
}
