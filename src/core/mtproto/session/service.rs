//! Service messages: reading and writing them.
//!
//! They are few, small, and some do not follow the general rules (`rpc_result` holds an object of any type to its end, `info:string`
//! of `msgs_state_info` is no text), so they are read by hand. A test compares the constructors with the schema's. See "Service
//! Messages", "Service Messages about Messages".

use std::time::Duration;

use bytes::Bytes;

use super::{acks::MAX_IDS, event::KeyDestruction, params::HttpWait, salts::FutureSalt};
use crate::{
    check::{Check, broken},
    ids::{MsgId, Salt, SeqNo, SessionId},
    mtproto::{
        container::{self, constructor},
        gzip,
    },
    tl::{Reader, wire},
};

/// Constructors, by their names in the schema.
pub mod ids {
    /// `rpc_result`.
    pub const RPC_RESULT: u32 = 0xf35c_6d01;
    /// `rpc_error`.
    pub const RPC_ERROR: u32 = 0x2144_ca19;
    /// `rpc_drop_answer`.
    pub const RPC_DROP_ANSWER: u32 = 0x58e4_a740;
    pub(crate) const RPC_ANSWER_UNKNOWN: u32 = 0x5e2a_d36e;
    pub(crate) const RPC_ANSWER_DROPPED_RUNNING: u32 = 0xcd78_e586;
    pub(crate) const RPC_ANSWER_DROPPED: u32 = 0xa43a_d8b7;
    pub(crate) const GET_FUTURE_SALTS: u32 = 0xb921_bd04;
    pub(crate) const FUTURE_SALTS: u32 = 0xae50_0895;
    pub(crate) const PING: u32 = 0x7abe_77ec;
    pub(crate) const PING_DELAY_DISCONNECT: u32 = 0xf342_7b8c;
    pub(crate) const PONG: u32 = 0x3477_73c5;
    pub(crate) const DESTROY_SESSION: u32 = 0xe751_2126;
    pub(crate) const DESTROY_SESSION_OK: u32 = 0xe220_45fc;
    pub(crate) const DESTROY_SESSION_NONE: u32 = 0x62d3_50c9;
    pub(crate) const NEW_SESSION_CREATED: u32 = 0x9ec2_0908;
    pub(crate) const MSG_COPY: u32 = 0xe060_46b2;
    pub(crate) const HTTP_WAIT: u32 = 0x9299_359f;
    /// `destroy_auth_key`.
    pub const MSGS_ACK: u32 = 0x62d6_b459;
    pub(crate) const BAD_MSG_NOTIFICATION: u32 = 0xa7ef_f811;
    pub(crate) const BAD_SERVER_SALT: u32 = 0xedab_447b;
    pub(crate) const MSGS_STATE_REQ: u32 = 0xda69_fb52;
    pub(crate) const MSGS_STATE_INFO: u32 = 0x04de_b57d;
    pub(crate) const MSGS_ALL_INFO: u32 = 0x8cc0_d131;
    pub(crate) const MSG_DETAILED_INFO: u32 = 0x276d_3ec6;
    pub(crate) const MSG_NEW_DETAILED_INFO: u32 = 0x809d_b6df;
    pub(crate) const MSG_RESEND_REQ: u32 = 0x7d86_1a08;
    pub(crate) const MSG_RESEND_ANS_REQ: u32 = 0x8610_baeb;
    /// `destroy_auth_key`.
    pub const DESTROY_AUTH_KEY: u32 = 0xd143_5160;
    pub(crate) const DESTROY_AUTH_KEY_OK: u32 = 0xf660_e1d4;
    pub(crate) const DESTROY_AUTH_KEY_NONE: u32 = 0x0a9f_2259;
    pub(crate) const DESTROY_AUTH_KEY_FAIL: u32 = 0xea10_9b13;
    pub(crate) const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
    pub(crate) const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;
    pub(crate) const VECTOR: u32 = 0x1cb5_c415;
}
use ids::*;

/// A service message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// `msg_container`; only recognised.
    Container,
    /// `gzip_packed`, still packed.
    Gzip(Bytes),
    /// `msg_copy`, and the message inside.
    Copy(container::Message),
    /// `rpc_result`: the answer to the message `req`, unread.
    RpcResult {
        /// The request's msg_id.
        req: MsgId,
        /// The answer.
        result: Bytes,
    },
    /// `rpc_drop_answer`.
    DropAnswer {
        /// The request's msg_id.
        req: MsgId,
    },
    /// `get_future_salts`.
    GetFutureSalts {
        /// How many.
        num: i32,
    },
    /// `future_salts`.
    FutureSalts {
        /// The request's msg_id.
        req: MsgId,
        /// The salts, at most 8192.
        salts: Vec<FutureSalt>,
    },
    /// `ping` and `ping_delay_disconnect`.
    Ping {
        /// What the answer repeats.
        ping_id: i64,
        /// Seconds until the server is to close the connection, if it is.
        disconnect_delay: Option<i32>,
    },
    /// `pong`.
    Pong {
        /// The ping's msg_id.
        msg_id: MsgId,
        /// What the ping said.
        ping_id: i64,
    },
    /// `destroy_session`.
    DestroySession {
        /// Which one.
        session_id: SessionId,
    },
    /// `destroy_session_ok` and `destroy_session_none`.
    SessionDestroyed {
        /// Which one.
        session_id: SessionId,
        /// Whether there was such a session.
        existed: bool,
    },
    /// `destroy_auth_key`.
    DestroyAuthKey,
    /// The three answers to it.
    KeyDestroyed(KeyDestruction),
    /// `new_session_created`.
    NewSession {
        /// The first message that the server has of it.
        first_msg_id: MsgId,
        /// Tells one such event from another.
        unique_id: i64,
        /// The salt to use.
        salt: Salt,
    },
    /// `http_wait`.
    HttpWait(HttpWait),
    /// `msgs_ack`.
    Acks(IdList),
    /// `bad_msg_notification`.
    BadMsg {
        /// Which message.
        about: MsgId,
        /// What is wrong with it.
        code: i32,
    },
    /// `bad_server_salt`.
    BadSalt {
        /// Which message.
        about: MsgId,
        /// What is wrong with it.
        code: i32,
        /// The salt to use.
        salt: Salt,
    },
    /// `msgs_state_req`, at most 8192 messages.
    StateReq(Vec<MsgId>),
    /// `msgs_state_info`.
    StateInfo {
        /// The request's msg_id.
        req: MsgId,
        /// A byte for each message asked about.
        info: Bytes,
    },
    /// `msgs_all_info`.
    AllInfo {
        /// The messages, at most 8192.
        about: Vec<MsgId>,
        /// A byte for each.
        info: Bytes,
    },
    /// `msg_detailed_info` and `msg_new_detailed_info`.
    DetailedInfo {
        /// The request's msg_id, if it answers one.
        about: Option<MsgId>,
        /// The answer's.
        answer: MsgId,
    },
    /// `msg_resend_req`.
    ResendReq(Vec<MsgId>),
    /// `msg_resend_ans_req`.
    ResendAnswersReq(Vec<MsgId>),
}

/// What does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Bytes that are no such object.
    Wire(wire::Error),
    /// A list of more than 8192 identifiers.
    TooManyIds(usize),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::TooManyIds(found) => write!(f, "a list of {found} identifiers"),
        }
    }
}

impl From<wire::Error> for ReadError {
    fn from(error: wire::Error) -> Self {
        Self::Wire(error)
    }
}

/// Reads a service message; `None` if the body is something else. Containers are only recognised.
pub fn read(body: &Bytes) -> Result<Option<Service>, ReadError> {
    let id = constructor(body);
    if id == container::ID {
        return Ok(Some(Service::Container));
    }
    let mut r = Reader::new(body.clone());
    if r.u32().is_err() {
        return Ok(None);
    }
    let r = &mut r;
    let service = match id {
        gzip::ID => Service::Gzip(r.bytes()?),
        MSG_COPY => {
            let (msg_id, seq_no, len) = (MsgId(r.i64()?), SeqNo(r.i32()?), r.u32()?);
            Service::Copy(container::Message { msg_id, seq_no, body: r.raw(usize::try_from(len).unwrap_or(usize::MAX))? })
        }
        RPC_RESULT => {
            let req = MsgId(r.i64()?);
            Service::RpcResult { req, result: r.rest() }
        }
        RPC_DROP_ANSWER => Service::DropAnswer { req: MsgId(r.i64()?) },
        GET_FUTURE_SALTS => Service::GetFutureSalts { num: r.i32()? },
        FUTURE_SALTS => future_salts(r)?,
        PING => Service::Ping { ping_id: r.i64()?, disconnect_delay: None },
        PING_DELAY_DISCONNECT => Service::Ping { ping_id: r.i64()?, disconnect_delay: Some(r.i32()?) },
        PONG => Service::Pong { msg_id: MsgId(r.i64()?), ping_id: r.i64()? },
        DESTROY_SESSION => Service::DestroySession { session_id: SessionId(r.i64()?) },
        DESTROY_SESSION_OK => Service::SessionDestroyed { session_id: SessionId(r.i64()?), existed: true },
        DESTROY_SESSION_NONE => Service::SessionDestroyed { session_id: SessionId(r.i64()?), existed: false },
        NEW_SESSION_CREATED => Service::NewSession { first_msg_id: MsgId(r.i64()?), unique_id: r.i64()?, salt: Salt(r.i64()?) },
        DESTROY_AUTH_KEY => Service::DestroyAuthKey,
        DESTROY_AUTH_KEY_OK => Service::KeyDestroyed(KeyDestruction::Destroyed),
        DESTROY_AUTH_KEY_NONE => Service::KeyDestroyed(KeyDestruction::Unknown),
        DESTROY_AUTH_KEY_FAIL => Service::KeyDestroyed(KeyDestruction::Failed),
        HTTP_WAIT => {
            let mut millis = || Ok::<_, wire::Error>(Duration::from_millis(u64::try_from(r.i32()?).unwrap_or(0)));
            Service::HttpWait(HttpWait { max_delay: millis()?, wait_after: millis()?, max_wait: millis()? })
        }
        MSGS_ACK => Service::Acks(ids_in_place(r)?),
        BAD_MSG_NOTIFICATION => {
            let (about, _seq_no, code) = (MsgId(r.i64()?), r.i32()?, r.i32()?);
            Service::BadMsg { about, code }
        }
        BAD_SERVER_SALT => {
            let (about, _seq_no, code) = (MsgId(r.i64()?), r.i32()?, r.i32()?);
            Service::BadSalt { about, code, salt: Salt(r.i64()?) }
        }
        MSGS_STATE_REQ => Service::StateReq(id_list(r)?),
        MSGS_STATE_INFO => Service::StateInfo { req: MsgId(r.i64()?), info: r.bytes()? },
        MSGS_ALL_INFO => Service::AllInfo { about: id_list(r)?, info: r.bytes()? },
        MSG_DETAILED_INFO => {
            let (about, answer, _bytes, _status) = (MsgId(r.i64()?), MsgId(r.i64()?), r.i32()?, r.i32()?);
            Service::DetailedInfo { about: Some(about), answer }
        }
        MSG_NEW_DETAILED_INFO => {
            let (answer, _bytes, _status) = (MsgId(r.i64()?), r.i32()?, r.i32()?);
            Service::DetailedInfo { about: None, answer }
        }
        MSG_RESEND_REQ => Service::ResendReq(id_list(r)?),
        MSG_RESEND_ANS_REQ => Service::ResendAnswersReq(id_list(r)?),
        _ => return Ok(None),
    };
    let left = r.remaining();
    if broken(Check::ServiceTrailingBytes, left > 0) {
        return Err(wire::Error::TrailingBytes { left }.into());
    }
    Ok(Some(service))
}

/// A list of identifiers as it came: a slice of the frame. Acknowledgements come all the time, and are worth no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList(Bytes);

impl IdList {
    /// The identifiers, in the list's order.
    pub fn iter(&self) -> impl Iterator<Item = MsgId> + '_ {
        self.0.as_chunks::<8>().0.iter().map(|bytes| MsgId(i64::from_le_bytes(*bytes)))
    }
}

/// `Vector<long>`, at most 8192 of them, left where they are.
fn ids_in_place(r: &mut Reader) -> Result<IdList, ReadError> {
    let count = id_count(r)?;
    Ok(IdList(r.raw(8 * count)?))
}

/// `Vector<long>`, at most 8192 of them.
fn id_list(r: &mut Reader) -> Result<Vec<MsgId>, ReadError> {
    let count = id_count(r)?;
    let mut list = Vec::with_capacity(count.min(r.remaining() / 8));
    for _ in 0..count {
        list.push(MsgId(r.i64()?));
    }
    Ok(list)
}

/// The head of a `Vector<long>`: how many there are said to be, at most 8192.
fn id_count(r: &mut Reader) -> Result<usize, ReadError> {
    let id = r.u32()?;
    if broken(Check::ListIsVector, id != VECTOR) {
        return Err(wire::Error::UnknownConstructor { id, expected: "Vector" }.into());
    }
    let claimed = r.u32()?;
    let count = usize::try_from(claimed).unwrap_or(usize::MAX);
    if broken(Check::ListLength, count > MAX_IDS) {
        return Err(ReadError::TooManyIds(count));
    }
    Ok(count)
}

/// `future_salts#ae500895 req_msg_id:long now:int salts:vector<future_salt>`: a bare vector of bare objects.
fn future_salts(r: &mut Reader) -> Result<Service, ReadError> {
    let (req, _now) = (MsgId(r.i64()?), r.i32()?);
    let count = usize::try_from(r.u32()?).unwrap_or(usize::MAX);
    if broken(Check::SaltsLength, count > MAX_IDS) {
        return Err(ReadError::TooManyIds(count));
    }
    let mut salts = Vec::with_capacity(count.min(r.remaining() / 16));
    for _ in 0..count {
        salts.push(FutureSalt { since: i64::from(r.i32()?), until: i64::from(r.i32()?), salt: Salt(r.i64()?) });
    }
    Ok(Service::FutureSalts { req, salts })
}

/// What a server says about an answer that is dropped, as it stands in `rpc_result`; `None` if it says something else.
pub(super) fn read_drop_outcome(body: &Bytes) -> Result<Option<super::event::DropOutcome>, wire::Error> {
    use super::event::DropOutcome;
    Ok(Some(match constructor(body) {
        RPC_ANSWER_UNKNOWN => DropOutcome::Unknown,
        RPC_ANSWER_DROPPED_RUNNING => DropOutcome::Running,
        RPC_ANSWER_DROPPED => {
            let mut r = Reader::new(body.clone());
            let (_id, _msg_id, _seq_no) = (r.u32()?, r.i64()?, r.i32()?);
            DropOutcome::Dropped { bytes: r.i32()? }
        }
        _ => return Ok(None),
    }))
}

/// Writes a constructor and its numbers.
struct Writer(Vec<u8>);

impl Writer {
    fn new(id: u32) -> Self {
        Self(id.to_le_bytes().to_vec())
    }

    fn int(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn long(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, value: &[u8]) -> Self {
        wire::write_bytes(&mut self.0, value);
        self
    }

    fn ids(self, ids: &[MsgId]) -> Self {
        let vector = self.int(VECTOR.cast_signed()).int(i32::try_from(ids.len()).unwrap_or(i32::MAX));
        ids.iter().fold(vector, |writer, id| writer.long(id.0))
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}

#[cfg(test)]
pub(super) fn msgs_ack(ids: &[MsgId]) -> Bytes {
    Writer::new(MSGS_ACK).ids(ids).done()
}

/// The first bytes of `msgs_ack#62d6b459 msg_ids:Vector<long>`, before so many identifiers.
pub(super) fn msgs_ack_header(count: usize) -> [u8; 12] {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&MSGS_ACK.to_le_bytes());
    head[4..8].copy_from_slice(&VECTOR.to_le_bytes());
    head[8..].copy_from_slice(&length(count).to_le_bytes());
    head
}

pub(super) fn msgs_state_req(ids: &[MsgId]) -> Bytes {
    Writer::new(MSGS_STATE_REQ).ids(ids).done()
}

pub(super) fn msg_resend_req(ids: &[MsgId]) -> Bytes {
    Writer::new(MSG_RESEND_REQ).ids(ids).done()
}

pub(super) fn msg_resend_ans_req(ids: &[MsgId]) -> Bytes {
    Writer::new(MSG_RESEND_ANS_REQ).ids(ids).done()
}

pub(super) fn msgs_state_info(req: MsgId, info: &[u8]) -> Bytes {
    Writer::new(MSGS_STATE_INFO).long(req.0).bytes(info).done()
}

pub(super) fn msg_detailed_info(about: MsgId, answer: MsgId, bytes: usize) -> Bytes {
    Writer::new(MSG_DETAILED_INFO).long(about.0).long(answer.0).int(length(bytes)).int(0).done()
}

pub(super) fn msg_new_detailed_info(answer: MsgId, bytes: usize) -> Bytes {
    Writer::new(MSG_NEW_DETAILED_INFO).long(answer.0).int(length(bytes)).int(0).done()
}

#[cfg(test)]
pub(super) fn ping_delay_disconnect(ping_id: i64, delay: u64) -> Bytes {
    Bytes::copy_from_slice(&ping_delay_disconnect_bytes(ping_id, delay))
}

/// `ping_delay_disconnect#f3427b8c ping_id:long disconnect_delay:int = Pong`.
pub(super) fn ping_delay_disconnect_bytes(ping_id: i64, delay: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..4].copy_from_slice(&PING_DELAY_DISCONNECT.to_le_bytes());
    out[4..12].copy_from_slice(&ping_id.to_le_bytes());
    out[12..].copy_from_slice(&i32::try_from(delay).unwrap_or(i32::MAX).to_le_bytes());
    out
}

#[cfg(test)]
pub(super) fn pong(msg_id: MsgId, ping_id: i64) -> Bytes {
    Bytes::copy_from_slice(&pong_bytes(msg_id, ping_id))
}

/// `pong#347773c5 msg_id:long ping_id:long = Pong`.
pub(super) fn pong_bytes(msg_id: MsgId, ping_id: i64) -> [u8; 20] {
    let mut out = [0; 20];
    out[..4].copy_from_slice(&PONG.to_le_bytes());
    out[4..12].copy_from_slice(&msg_id.0.to_le_bytes());
    out[12..].copy_from_slice(&ping_id.to_le_bytes());
    out
}

pub(super) fn get_future_salts(num: i32) -> Bytes {
    Writer::new(GET_FUTURE_SALTS).int(num).done()
}

pub(super) fn future_salts_answer(req: MsgId, now: i64, salts: &[FutureSalt]) -> Bytes {
    let head = Writer::new(FUTURE_SALTS).long(req.0).int(seconds(now)).int(length(salts.len()));
    salts.iter().fold(head, |writer, salt| writer.int(seconds(salt.since)).int(seconds(salt.until)).long(salt.salt.0)).done()
}

pub(super) fn http_wait(wait: &HttpWait) -> Bytes {
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    Writer::new(HTTP_WAIT).int(millis(wait.max_delay)).int(millis(wait.wait_after)).int(millis(wait.max_wait)).done()
}

pub(super) fn rpc_drop_answer(req: MsgId) -> Bytes {
    Writer::new(RPC_DROP_ANSWER).long(req.0).done()
}

pub(super) fn rpc_answer_unknown() -> Bytes {
    Writer::new(RPC_ANSWER_UNKNOWN).done()
}

pub(super) fn rpc_answer_dropped_running() -> Bytes {
    Writer::new(RPC_ANSWER_DROPPED_RUNNING).done()
}

pub(super) fn rpc_answer_dropped(answer: MsgId, seq_no: SeqNo, bytes: usize) -> Bytes {
    Writer::new(RPC_ANSWER_DROPPED).long(answer.0).int(seq_no.0).int(length(bytes)).done()
}

pub(super) fn rpc_error(code: i32, message: &str) -> Bytes {
    Writer::new(RPC_ERROR).int(code).bytes(message.as_bytes()).done()
}

pub(super) fn destroy_session(session_id: SessionId) -> Bytes {
    Writer::new(DESTROY_SESSION).long(session_id.0).done()
}

pub(super) fn destroy_session_answer(session_id: SessionId, existed: bool) -> Bytes {
    Writer::new(if existed { DESTROY_SESSION_OK } else { DESTROY_SESSION_NONE }).long(session_id.0).done()
}

pub(super) fn destroy_auth_key() -> Bytes {
    Writer::new(DESTROY_AUTH_KEY).done()
}

pub(super) fn destroy_auth_key_answer(outcome: KeyDestruction) -> Bytes {
    let id = match outcome {
        KeyDestruction::Destroyed => DESTROY_AUTH_KEY_OK,
        KeyDestruction::Unknown => DESTROY_AUTH_KEY_NONE,
        KeyDestruction::Failed => DESTROY_AUTH_KEY_FAIL,
    };
    Writer::new(id).done()
}

/// What a constructor says about destroying a key, if anything.
pub(super) fn key_destruction(id: u32) -> Option<KeyDestruction> {
    Some(match id {
        DESTROY_AUTH_KEY_OK => KeyDestruction::Destroyed,
        DESTROY_AUTH_KEY_NONE => KeyDestruction::Unknown,
        DESTROY_AUTH_KEY_FAIL => KeyDestruction::Failed,
        _ => return None,
    })
}

pub(super) fn new_session_created(first_msg_id: MsgId, unique_id: i64, salt: Salt) -> Bytes {
    Writer::new(NEW_SESSION_CREATED).long(first_msg_id.0).long(unique_id).long(salt.0).done()
}

pub(super) fn bad_msg_notification(about: MsgId, seq_no: SeqNo, code: i32) -> Bytes {
    Writer::new(BAD_MSG_NOTIFICATION).long(about.0).int(seq_no.0).int(code).done()
}

pub(super) fn bad_server_salt(about: MsgId, seq_no: SeqNo, salt: Salt) -> Bytes {
    Writer::new(BAD_SERVER_SALT).long(about.0).int(seq_no.0).int(48).long(salt.0).done()
}

/// The first bytes of `rpc_result#f35c6d01 req_msg_id:long result:Object`.
pub(super) fn rpc_result_header(req: MsgId) -> [u8; 12] {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&RPC_RESULT.to_le_bytes());
    head[4..].copy_from_slice(&req.0.to_le_bytes());
    head
}

/// The first bytes of `invokeAfterMsg#cb9f372d msg_id:long query:!X`.
pub(super) fn invoke_after_msg_header(before: MsgId) -> [u8; 12] {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&INVOKE_AFTER_MSG.to_le_bytes());
    head[4..].copy_from_slice(&before.0.to_le_bytes());
    head
}

/// The first bytes of `invokeAfterMsgs#3dc4b4f0 msg_ids:Vector<long> query:!X`.
pub(super) fn invoke_after_msgs_header(before: &[MsgId]) -> Bytes {
    Writer::new(INVOKE_AFTER_MSGS).ids(before).done()
}

fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

fn seconds(unix: i64) -> i32 {
    i32::try_from(unix).unwrap_or(if unix < 0 { 0 } else { i32::MAX })
}
